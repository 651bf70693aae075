"""05 What exactly is transferred? Control experiments: take one thing out, and train again."""

from __future__ import annotations

import torch
from torch import Tensor

from workbench.lessons._exercise import Exercise, Wrong
from workbench.lessons._lesson import Lesson


def _draw(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


# ------------------------------------------------------------------------- q1: flat


def flat(p: Tensor) -> Tensor:
    """Each row keeps its largest share; what is left goes to all others alike."""
    most, first = p.max(-1, keepdim=True)
    rest = ((1 - most) / (p.shape[-1] - 1)).expand_as(p)
    return rest.scatter(-1, first, most)


def _flat_inputs(seed: int) -> tuple[Tensor]:
    z = 2 * torch.randn(6, 10, generator=_draw(seed))
    return (z.softmax(-1),)


def _over(share: int) -> object:
    """The rest divided by another number of classes."""

    def wrong(p: Tensor) -> Tensor:
        most, first = p.max(-1, keepdim=True)
        return ((1 - most) / share).expand_as(p).scatter(-1, first, most)

    return wrong


def _smoothed(p: Tensor) -> Tensor:
    mean = p.max(-1).values.mean()
    most = torch.full_like(p[:, :1], float(mean))
    return ((1 - most) / 9).expand_as(p).scatter(-1, p.argmax(-1, keepdim=True), most)


def _one_hot(p: Tensor) -> Tensor:
    return torch.zeros_like(p).scatter(-1, p.argmax(-1, keepdim=True), 1.0)


def _nothing(p: Tensor) -> Tensor:
    most, first = p.max(-1, keepdim=True)
    return torch.zeros_like(p).scatter(-1, first, most)


Q1 = Exercise(
    name="q1",
    task="Complete flat(p).",
    answer=flat,
    inputs=_flat_inputs,
    expects="shares of the same shape as p",
    praise="it is as sure as the teacher, image by image, and says nothing about likeness.",
    hints=(
        "most, first = p.max(-1, keepdim=True) gives each row's largest share, and where it is. "
        "Nine others divide 1 − most among them.",
        "Begin with ((1 - most) / 9).expand_as(p), then put most back: .scatter(-1, first, most).",
    ),
    wrongs=(
        Wrong("ten", _over(10),
              "you divide the rest by ten. Nine digits share it, since the first keeps its own; "
              "your rows add up to less than 1."),
        Wrong("uniform", lambda p: torch.full_like(p, 0.1),
              "every digit gets the same, the first too. The largest share should stay."),
        Wrong("hard", _one_hot,
              "this is the hard label: 100 % and nothing besides. Keep the largest share."),
        Wrong("nothing", _nothing,
              "the others get nothing. Divide what is left, 1 − most, among them."),
        Wrong("one for all", _smoothed,
              "every image is equally sure here: that is label smoothing. Each row keeps its own "
              "largest share."),
        Wrong("unchanged", lambda p: p, "this is p itself."),
    ),
    laws=(
        ("the rows should add up to 1.",
         lambda f, p: torch.allclose(f(p).sum(-1), torch.ones(len(p)), atol=1e-4)),
        ("each row's largest share should stay what and where it is.",
         lambda f, p: torch.allclose(f(p).max(-1).values, p.max(-1).values, atol=1e-4)
         and torch.equal(f(p).argmax(-1), p.argmax(-1))),
        ("done twice it should change nothing more.",
         lambda f, p: torch.allclose(f(f(p)), f(p), atol=1e-4)),
    ),
)  # fmt: skip


# ------------------------------------------------------------------------- q2: lift


def lift(z: Tensor, digit: int, count: int) -> float:
    """What to add to a digit's logit so that `count` images are called it."""
    others = z.clone()
    others[:, digit] = -torch.inf
    gap = others.max(-1).values - z[:, digit]
    return float(gap.sort().values[count - 1])


def _gap(z: Tensor, digit: int) -> Tensor:
    others = z.clone()
    others[:, digit] = -torch.inf
    return others.max(-1).values - z[:, digit]


def _itself(z: Tensor, digit: int, count: int) -> Tensor:
    return (z.max(-1).values - z[:, digit]).sort().values[count - 1]


def _lift_inputs(seed: int) -> tuple[Tensor, int, int]:
    z = 3 * torch.randn(40, 10, generator=_draw(seed))
    z[:, 3] -= (8.0, 6.0, -6.0, 0.0)[seed % 4]  # also too high already: then it is lowered
    return z, 3, (4, 9, 2, 6)[seed % 4]


def _called(z: Tensor, digit: int, bias: float) -> int:
    """How many images are at least as much this digit as any other, with the bias."""
    return int((_gap(z, digit) <= float(bias) + 1e-5).sum())


Q2 = Exercise(
    name="q2",
    task="Complete lift(z, digit, count).",
    answer=lift,
    inputs=_lift_inputs,
    expects="one number, a bias for this digit's logit",
    praise="the count-th image is just reached; one number for all images, and none of them read.",
    hints=(
        "How much is each image short of being called this digit? Its best other logit minus "
        "this one. Sort these gaps; how many of them must be covered?",
        "others = z.clone(); others[:, digit] = -torch.inf; gap = others.max(-1).values - "
        "z[:, digit]; return gap.sort().values[count - 1]",
    ),
    wrongs=(
        Wrong("one too many", lambda z, d, n: _gap(z, d).sort().values[n],
              "this reaches one image more. Places count from 0: the count-th is at count − 1."),
        Wrong("from the top", lambda z, d, n: _gap(z, d).sort(descending=True).values[n - 1],
              "you begin with the images that lack most. Those that lack least come first."),
        Wrong("turned", lambda z, d, n: -_gap(z, d).sort().values[n - 1],
              "the sign is turned: best other logit minus this digit's."),
        Wrong("the mean", lambda z, d, n: _gap(z, d).mean(),
              "the mean gap has nothing to do with count. Sort the gaps instead."),
        Wrong("itself", _itself,
              "the digit competes with itself, so the gap is never below 0, even where the bias "
              "must be lowered. Leave it out of the maximum."),
    ),
    laws=(
        ("exactly `count` images should be at least as much this digit as any other.",
         lambda f, z, d, n: _called(z, d, f(z, d, n)) == n),
        ("if the digit's logit is 1 higher already, 1 less should be added.",
         lambda f, z, d, n: abs(
             float(f(z + torch.eye(10)[d], d, n)) - float(f(z, d, n)) + 1) < 1e-3),
        ("adding one number to all logits should change nothing.",
         lambda f, z, d, n: abs(float(f(z + 5, d, n)) - float(f(z, d, n))) < 1e-3),
    ),
)  # fmt: skip


# ---------------------------------------------------------------------- q3: the bug

Q3 = Exercise(
    name="q3",
    task="Name the line with the bug: q3.check(2), say.",
    answer=6,
    expects="the number of a line, a whole number from 1 to 8",
    praise="line 6 takes the answers by their place in the pass, but the images come in a new "
    "order each pass. So every image is taught what the teacher said about another one.",
    hints=(
        "The teacher's term does not fall, whatever the student does. Could it be that one image "
        "is asked for different answers each time?",
        "Which images does line 5 show, and to which images do the answers in line 6 belong?",
    ),
    wrongs=(
        Wrong("line 1", 1, "line 1 only names the function and what it is given."),
        Wrong("line 2", 2, "asking the teacher once is right: it never changes its mind. The "
              "answers lie in the order of x, which matters later."),
        Wrong("line 3", 3, "many passes over the images are right."),
        Wrong("line 4", 4, "a new order each pass is right, and usual. Who does not know of it?"),
        Wrong("line 5", 5, "line 5 shows the student the images of this batch, as it should."),
        Wrong("line 7", 7, "line 7 has T squared and both terms, and y[batch] are the right "
              "labels. Are z_t the right answers?"),
        Wrong("line 8", 8, "line 8 takes one step down the loss, as it should."),
    ),
)  # fmt: skip


LESSON = Lesson(
    number="05",
    title="What exactly is transferred?",
    question="A teacher's answers beat labels. Which part of an answer does the work?",
    sentence="It is what the teacher says about each single image; where images of every class "
    "are plenty, a name for each does as well.",
    minutes=45,
    words={
        "control": "the same training with one thing taken out",
        "hard label": "a class and nothing besides, whoever named it",
        "class average": "the mean answer to all images of one class",
        "recall": "the share of a class's images that are called so",
        "bias": "what a network adds to a class's logit, whatever the image",
    },
    misconception="Dark knowledge is why soft answers always beat hard labels.",
    exercises=(Q1, Q2, Q3),
    recipes=("few-labels", "unlabelled", "noisy-labels", "left-out", "noise-images"),
    page="train",
)
