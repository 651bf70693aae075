"""08 Teaching oneself: who teaches oneself adds no knowledge, but what is random averages out."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from workbench.lessons._exercise import Exercise, Wrong
from workbench.lessons._lesson import Lesson


def _labels(seed: int) -> tuple[Tensor, torch.Generator]:
    draw = torch.Generator().manual_seed(seed)
    return torch.randint(0, 10, (6,), generator=draw), draw


# ---------------------------------------------------------------------- q1: virtual


def virtual(y: Tensor, sure: float, T: float) -> Tensor:
    """A made-up teacher's answers: `sure` of the label, the rest for the others, softened."""
    made = torch.full((len(y), 10), (1 - sure) / 9).scatter(-1, y[:, None], sure)
    return (made.log() / T).softmax(-1)


def _made(y: Tensor, sure: float, share: float = 9) -> Tensor:
    return torch.full((len(y), 10), (1 - sure) / share).scatter(-1, y[:, None], sure)


def _virtual_inputs(seed: int) -> tuple[Tensor, float, float]:
    return _labels(seed)[0], (0.99, 0.9, 0.8, 0.95)[seed % 4], (20.0, 4.0, 1.0, 2.0)[seed % 4]


def _over(p: Tensor) -> Tensor:
    return p / p.sum(-1, keepdim=True)


Q1 = Exercise(
    name="q1",
    task="Complete virtual(y, sure, T).",
    answer=virtual,
    inputs=_virtual_inputs,
    expects="a row of ten shares per label",
    praise="it never saw an image, and it is never quite sure. Nobody had to train it.",
    hints=(
        "torch.full((len(y), 10), …) and .scatter(-1, y[:, None], sure) make the unsoftened "
        "answers. To soften them, take their logarithms as logits.",
        "made = torch.full((len(y), 10), (1 - sure) / 9).scatter(-1, y[:, None], sure); "
        "return (made.log() / T).softmax(-1)",
    ),
    wrongs=(
        Wrong("not softened", lambda y, sure, T: _made(y, sure),
              "T does nothing here. Divide the logarithms by T, then take the softmax."),
        Wrong("of probabilities", lambda y, sure, T: (_made(y, sure) / T).softmax(-1),
              "this is a softmax of probabilities. Their logarithms are the logits: lesson 01. "
              "(It has been seen in the wild, and is nearly uniform.)"),
        Wrong("ten", lambda y, sure, T: (_made(y, sure, 10).log() / T).softmax(-1),
              "nine others share the rest, not ten."),
        Wrong("not shared", lambda y, sure, T: (_made(y, sure, 1).log() / T).softmax(-1),
              "every other digit gets the whole rest. Nine of them share it."),
        Wrong("powers", lambda y, sure, T: _made(y, sure) ** (1 / T),
              "the powers are right, but a row no longer adds up to 1."),
        Wrong("sharpened", lambda y, sure, T: _over(_made(y, sure) ** T),
              "this sharpens: the power is 1/T, not T."),
        Wrong("label alone", lambda y, sure, T: _made(y, 1.0), "this is the label itself."),
    ),
    laws=(
        ("each row should add up to 1.",
         lambda f, y, sure, T: torch.allclose(f(y, sure, T).sum(-1), torch.ones(6), atol=1e-4)),
        ("at T = 1 the label should get `sure`.",
         lambda f, y, sure, T: torch.allclose(f(y, sure, 1.0), _made(y, sure), atol=1e-4)),
        ("the label should have the largest share.",
         lambda f, y, sure, T: torch.equal(f(y, sure, T).argmax(-1), y)),
    ),
)  # fmt: skip


# ---------------------------------------------------------------------- q2: refined


def refined(y: Tensor, past: Tensor, share: float) -> Tensor:
    """Labels, mixed with the own past where there is one; rows of 0 have none."""
    known = share * (past.sum(-1, keepdim=True) > 0)
    return (1 - known) * F.one_hot(y, 10) + known * past


def _hard(y: Tensor) -> Tensor:
    return F.one_hot(y, 10).float()


def _past_inputs(seed: int) -> tuple[Tensor, Tensor, float]:
    y, draw = _labels(seed)
    past = (3 * torch.randn(6, 10, generator=draw)).softmax(-1)
    past[:2] = 0  # never seen yet
    return y, past, (0.8, 0.3, 0.5, 0.1)[seed % 4]


Q2 = Exercise(
    name="q2",
    task="Complete refined(y, past, share).",
    answer=refined,
    inputs=_past_inputs,
    expects="a row of ten shares per image",
    praise="who has no past yet learns the label alone; all rows add up to 1.",
    hints=(
        "A mixture: (1 − a) · label + a · past, with F.one_hot(y, 10). Let a be a column, one "
        "number per image: `share`, or 0 where the row of the past is all 0.",
        "a = share * (past.sum(-1, keepdim=True) > 0); "
        "return (1 - a) * F.one_hot(y, 10) + a * past",
    ),
    wrongs=(
        Wrong("without past", lambda y, past, a: (1 - a) * _hard(y) + a * past,
              "an image without a past gets only part of its label: its row does not add up to "
              "1. There the label counts fully."),
        Wrong("turned", lambda y, past, a: a * _hard(y) + (1 - a) * past,
              "`share` is what the past counts, not the label."),
        Wrong("added", lambda y, past, a: _hard(y) + a * past,
              "the label keeps its full weight and the past comes on top. Mix: 1 − share and "
              "share."),
        Wrong("past alone", lambda y, past, a: past, "the labels are gone."),
        Wrong("label alone", lambda y, past, a: _hard(y), "the past is gone."),
        Wrong("hard past", lambda y, past, a: (1 - a) * _hard(y) + a * _hard(past.argmax(-1)),
              "you take the past's first choice. Its whole answer says more."),
    ),
    laws=(
        ("each row should add up to 1.",
         lambda f, y, past, a: torch.allclose(f(y, past, a).sum(-1), torch.ones(6), atol=1e-4)),
        ("with share 0 it should be the label.",
         lambda f, y, past, a: torch.allclose(f(y, past, 0.0).float(), _hard(y), atol=1e-4)),
        ("an image without a past should get its label.",
         lambda f, y, past, a: torch.allclose(f(y, past, a)[:2].float(), _hard(y[:2]), atol=1e-4)),
    ),
)  # fmt: skip


# ---------------------------------------------------------------------- q3: the bug

Q3 = Exercise(
    name="q3",
    task="Name the line with the bug: q3.check(2), say.",
    answer=8,
    expects="the number of a line, a whole number from 1 to 9",
    praise="line 8 keeps 0.1 % of the average and takes 99.9 % of the student: the two weights "
    "are the wrong way round. So the teacher is the student of one step ago, and has nothing to "
    "say to it.",
    hints=(
        "How far the two are apart is nearly 0 at every step. What would an average over many "
        "steps differ by?",
        "With a = 0.999, how much of the old average is left after one step? After two?",
    ),
    wrongs=(
        Wrong("line 1", 1, "line 1 only names the function and what it is given."),
        Wrong("line 2", 2, "line 2 begins the average where the student begins, as it should: "
              "a copy, not the same network under two names."),
        Wrong("line 3", 3, "line 3 draws the batches and counts the steps from 1."),
        Wrong("line 4", 4, "both see the same images, and the average's answers are detached, "
              "as a teacher's should be."),
        Wrong("line 5", 5, "line 5 is the mean squared difference of their probabilities, as in "
              "the paper. It is right that it is small, but not that it is nothing."),
        Wrong("line 6", 6, "line 6 adds both terms and takes a step. The average is no part of "
              "the optimiser, which is right."),
        Wrong("line 7", 7, "line 7 lets the average begin as a plain mean: after the first step "
              "a is a half. That is the paper's."),
        Wrong("line 9", 9, "line 9 only gives back the average, and how far apart they were."),
    ),
)  # fmt: skip


LESSON = Lesson(
    number="08",
    title="Teaching oneself",
    question="Where does knowledge come from that nobody had?",
    sentence="Teaching oneself adds no knowledge: it averages, and what is random cancels "
    "out: wrong labels, steps, starts.",
    minutes=45,
    words={
        "virtual teacher": "a made-up answer for each label; no network gives it",
        "own past": "what a student last said of an image",
        "generation": "students that learn from the generation before",
        "moving average": "of a student's weights; late steps count more",
        "peer": "a second student that learns beside the first",
    },
    misconception="A student that learns from itself, again and again, gets better and better.",
    exercises=(Q1, Q2, Q3),
    recipes=("born-again",),
    page="train",
)
