"""06 Inside: hints, attention maps, a re-used classifier; what can be copied, does it help?"""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from workbench.lessons._exercise import Exercise, Wrong
from workbench.lessons._lesson import Lesson

# ------------------------------------------------------------------------- q1: the hint


def hint(f_s: Tensor, f_t: Tensor, W: Tensor, b: Tensor) -> Tensor:
    """The mean square between the student's features, through the regressor, and the teacher's."""
    return (f_s @ W + b - f_t.detach()).square().mean()


def _hint_inputs(seed: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    draw = torch.Generator().manual_seed(seed)
    images, places, narrow, wide = ((4, 6, 3, 5), (2, 4, 2, 7), (5, 1, 3, 4), (3, 9, 4, 6))[
        seed % 4
    ]
    sizes = (images, places, narrow), (images, places, wide), (narrow, wide), (wide,)
    f_s, f_t, W, b = (torch.randn(size, generator=draw) for size in sizes)
    return f_s, f_t, W, b


def _reached(f: Callable[..., Tensor], *given: Tensor) -> list[bool]:
    """Whether the gradient reaches each of what a hint is given."""
    leaves = [one.requires_grad_() for one in given]
    loss = f(*leaves)
    if not loss.requires_grad:
        return [False] * len(leaves)
    found = torch.autograd.grad(loss, leaves, allow_unused=True)
    return [one is not None and bool(one.any()) for one in found]


def _dealt(f: Callable[..., Tensor], f_s: Tensor, f_t: Tensor, W: Tensor, b: Tensor) -> bool:
    """Whether the order of the teacher's channels does not matter."""
    order = torch.arange(f_t.shape[-1] - 1, -1, -1)
    again = f(f_s, f_t[..., order], W[:, order], b[order])
    return bool(torch.allclose(again, f(f_s, f_t, W, b), atol=1e-4))


Q1 = Exercise(
    name="q1",
    task="Complete hint(f_s, f_t, W, b).",
    answer=hint,
    inputs=_hint_inputs,
    expects="one number, the hint's loss",
    praise="any linear copy of the teacher's channels in the student's makes it small.",
    hints=(
        "f_s @ W + b has the teacher's width. Then the mean of squared differences; the teacher "
        "is no part of what learns, so f_t.detach().",
        "return (f_s @ W + b - f_t.detach()).square().mean()",
    ),
    wrongs=(
        Wrong("sum", lambda s, t, W, b: (s @ W + b - t).square().sum(),
              "you add up all squares. Then a larger batch, more places or more channels count as "
              "a larger weight. Take the mean."),
        Wrong("half", lambda s, t, W, b: (s @ W + b - t).square().mean() / 2,
              "this is half the mean square. The paper has a half, of a sum; the weight of 100 "
              "that people use belongs to the plain mean."),
        Wrong("root", lambda s, t, W, b: (s @ W + b - t).square().mean().sqrt(),
              "you take the root. Its gradient does not get smaller near the goal."),
        Wrong("absolute", lambda s, t, W, b: (s @ W + b - t).abs().mean(),
              "you take absolute differences. Square them."),
        Wrong("no bias", lambda s, t, W, b: (s @ W - t).square().mean(),
              "the regressor's b is left out."),
        Wrong("places", lambda s, t, W, b: (s.mean(-2) @ W + b - t.mean(-2)).square().mean(),
              "you average over the places first. Then it does not matter any more *where* the "
              "teacher sees something."),
        Wrong("the other way", lambda s, t, W, b: (s - (t - b) @ W.T).square().mean(),
              "you bring the teacher to the student's width. What is lost on that way, nobody "
              "has to learn: the student goes to the teacher, f_s @ W + b."),
    ),
    laws=(
        ("it should be 0 where the regressor hits the teacher's features.",
         lambda f, s, t, W, b: float(f(s, s @ W + b, W, b)) < 1e-6),
        ("the teacher's channels in another order, W's columns and b with them, should give the "
         "same.", _dealt),
        ("every image twice should give the same.",
         lambda f, s, t, W, b: torch.allclose(
             f(torch.cat([s, s]), torch.cat([t, t]), W, b), f(s, t, W, b), atol=1e-4)),
    ),
    must=(
        ("the gradient reaches the teacher's features: it would come to meet the student. Say "
         "f_t.detach().", lambda f, *given: not _reached(f, *given)[1]),
        ("no gradient reaches the student's features, so that it cannot learn the hint.",
         lambda f, *given: _reached(f, *given)[0]),
        ("no gradient reaches W and b: the regressor must be learnt, too.",
         lambda f, *given: all(_reached(f, *given)[2:])),
    ),
)  # fmt: skip


# ---------------------------------------------------------------- q2: the attention map


def attention_map(f: Tensor) -> Tensor:
    """How strongly a layer answers at each place, over all channels; length 1 for each image."""
    q = f.square().sum(-1)
    return q / q.norm(dim=-1, keepdim=True)


def _map_inputs(seed: int) -> tuple[Tensor]:
    draw = torch.Generator().manual_seed(seed)
    size = ((4, 6, 3), (3, 4, 5), (2, 9, 7), (5, 4, 4))[seed % 4]
    return (torch.randn(size, generator=draw) + 0.3,)


def _unit(q: Tensor) -> Tensor:
    return q / q.norm(dim=-1, keepdim=True)


Q2 = Exercise(
    name="q2",
    task="Complete attention_map(f).",
    answer=attention_map,
    inputs=_map_inputs,
    expects="a row per image with a number per place",
    praise="which channel answered is gone, and how many channels there are; where, is kept.",
    hints=(
        "Channels are the last axis: square, then sum over them. What is left has a row per "
        "image; divide each by its length, the root of its sum of squares.",
        "q = f.square().sum(-1); return q / q.norm(dim=-1, keepdim=True)",
    ),
    wrongs=(
        Wrong("channels kept", lambda f: F.normalize(f.square().flatten(1), dim=-1),
              "the channels are not summed. Then widths must agree, and the student's third "
              "channel must be the teacher's third."),
        Wrong("places summed", lambda f: _unit(f.square().sum(-2)),
              "you sum over the places: that says which channel answers, not where. Channels are "
              "the last axis."),
        Wrong("plain", lambda f: f.square().sum(-1),
              "each image's map should have length 1. Else a layer with larger numbers asks one "
              "with small ones to grow."),
        Wrong("signed", lambda f: _unit(f.sum(-1)),
              "you sum the features as they are: a strong + and a strong − would be no answer at "
              "all. Square first."),
        Wrong("late", lambda f: _unit(f.sum(-1).square()),
              "you sum first and square then: + and − cancel. Square first."),
        Wrong("absolute", lambda f: _unit(f.abs().sum(-1)),
              "you sum absolute values, p = 1. Here it is squares, p = 2, which favours places "
              "where a few channels answer strongly."),
        Wrong("shares", lambda f: f.square().sum(-1) / f.square().sum((-1, -2)).unsqueeze(-1),
              "you divide by the sum. The length is the root of the sum of squares; with shares "
              "the usual weight would mean something else."),
        Wrong("largest", lambda f: (lambda q: q / q.amax(-1, keepdim=True))(f.square().sum(-1)),
              "you divide by the largest place. Divide by the length."),
        Wrong("whole", lambda f: (lambda q: q / q.norm())(f.square().sum(-1)),
              "you divide by the length over all images. Each image has its own."),
        Wrong("across", lambda f: (lambda q: q / q.norm(dim=0))(f.square().sum(-1)),
              "you divide across the images: dim=0. An image's places are the last axis, dim=-1."),
    ),
    laws=(
        ("the channels in another order should give the same.",
         lambda f, x: torch.allclose(f(x.flip(-1)), f(x), atol=1e-4)),
        ("each image's map should have length 1.",
         lambda f, x: torch.allclose(f(x).norm(dim=-1), torch.ones(len(x)), atol=1e-4)),
        ("features three times as large should give the same.",
         lambda f, x: torch.allclose(f(3 * x), f(x), atol=1e-4)),
        ("every channel twice should give the same.",
         lambda f, x: torch.allclose(f(torch.cat([x, x], -1)), f(x), atol=1e-4)),
    ),
)  # fmt: skip


# ---------------------------------------------------------------------- q3: the bug

Q3 = Exercise(
    name="q3",
    task="Name the line with the bug: q3.check(2), say.",
    answer=3,
    expects="the number of a line, a whole number from 1 to 9",
    praise="line 3 hands the optimiser the student alone. W and b get a gradient at every step, "
    "and nobody takes it: the student must bend itself to fit a random map.",
    hints=(
        "The hint stays large. Three things could make it smaller: the student, W and b. Do all "
        "of them move?",
        "Compare W before and after the training. Who changes it?",
    ),
    wrongs=(
        Wrong("line 1", 1, "line 1 only names the function and what it is given."),
        Wrong("line 2", 2, "line 2 draws the regressor at random, as every layer begins. What "
              "should happen to it then?"),
        Wrong("line 4", 4, "line 4 takes as many steps as the other students."),
        Wrong("line 5", 5, "line 5 asks the students for logits and features, as it should."),
        Wrong("line 6", 6, "line 6 brings 16 channels to 64, as it should, and W and b do get a "
              "gradient here. Who uses it?"),
        Wrong("line 7", 7, "line 7 is the mean square for each student, and f_t was detached."),
        Wrong("line 8", 8, "line 8 has the usual weight of the hint and the labels' loss."),
        Wrong("line 9", 9, "line 9 takes a step. For which parameters?"),
    ),
)  # fmt: skip


LESSON = Lesson(
    number="06",
    title="Inside: hints, attention, layers",
    question="What can be copied from inside a network, and does it help?",
    sentence="Channels must drop out first, by a regressor or by a map; whether the copy helps, "
    "only a tuned control can say.",
    minutes=45,
    words={
        "channel": "one map of a layer; its width counts them",
        "hint": "a layer of the teacher that the student should resemble",
        "regressor": "a learnt map to the teacher's width, dropped afterwards",
        "attention map": "how strongly a layer answers at each place",
        "joint": "both losses at once; two-stage: one after the other",
    },
    misconception="A student that also copies the teacher's layers is better than one that does "
    "not.",
    exercises=(Q1, Q2, Q3),
    recipes=("inside",),
    page="train",
)
