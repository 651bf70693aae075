"""01 The dark in the answer: a sure answer still ranks all the others, and T makes it visible."""

from __future__ import annotations

import torch
from torch import Tensor

from workbench.lessons._exercise import Exercise, Wrong
from workbench.lessons._lesson import Lesson


def _draw(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


# ---------------------------------------------------------------------- q1: soften


def soften(logits: Tensor, temperature: float) -> Tensor:
    """Softened probabilities."""
    z = logits / temperature
    z = z - z.max(-1, keepdim=True).values  # exp of a large number would be infinite
    return z.exp() / z.exp().sum(-1, keepdim=True)


def _soften_inputs(seed: int) -> tuple[Tensor, float]:
    z = 8 * torch.randn(5, 10, generator=_draw(seed))
    return (z * 40 if seed == 3 else z), (2.0, 8.0, 0.5, 4.0)[seed % 4]


Q1 = Exercise(
    name="q1",
    task="Complete soften(logits, temperature).",
    answer=soften,
    inputs=_soften_inputs,
    expects="probabilities of the same shape as the logits",
    praise="each row adds up to 1, and a high T makes all classes alike.",
    hints=(
        "Divide first. Then each entry is exp(z) over the sum of its row's exp(z).",
        "z = logits / temperature; then (z - largest).exp(), divided by its sum over the last "
        "axis. torch has a ready function for the second part.",
    ),
    wrongs=(
        Wrong("multiplied", lambda z, T: (z * T).softmax(-1),
              "you multiply by T. Then a high T makes the answer surer, not softer: divide."),
        Wrong("not normalised", lambda z, T: (z / T).exp(),
              "the rows do not add up to 1. Divide by the sum of each row."),
        Wrong("over the images", lambda z, T: (z / T).softmax(0),
              "you normalise over the images. Each image is a row: use the last axis."),
        Wrong("over everything", lambda z, T: (z / T).exp() / (z / T).exp().sum(),
              "you divide by the sum over all images. Each row has a sum of its own: "
              "sum(-1, keepdim=True)."),
        Wrong("T on probabilities", lambda z, T: (z.softmax(-1) / T).softmax(-1),
              "you divide probabilities by T. T belongs to the logits, before any softmax."),
        Wrong("divided after", lambda z, T: z.softmax(-1) / T,
              "you divide probabilities by T, after the softmax. The rows no longer add up to 1."),
        Wrong("no temperature", lambda z, T: z.softmax(-1),
              "the temperature is not used: this is the answer at T = 1."),
        Wrong("log", lambda z, T: (z / T).log_softmax(-1),
              "these are logarithms. Probabilities are between 0 and 1."),
        Wrong("overflow", lambda z, T: (z / T).exp() / (z / T).exp().sum(-1, keepdim=True),
              "with large logits exp is infinite, and infinite over infinite is no number. "
              "Take the row's largest logit off first: it changes nothing else."),
    ),
    laws=(
        ("the rows should add up to 1.",
         lambda f, z, T: torch.allclose(f(z, T).sum(-1), torch.ones(len(z)), atol=1e-4)),
        ("the largest class should stay the largest.",
         lambda f, z, T: torch.equal(f(z, T).argmax(-1), z.argmax(-1))),
        ("at a very high T all classes should be nearly alike.",
         lambda f, z, T: torch.allclose(f(z, 1e6), torch.full(z.shape, 0.1), atol=1e-3)),
        ("at T = 1 it should be the plain softmax.",
         lambda f, z, T: torch.allclose(f(z, 1.0), z.softmax(-1), atol=1e-4)),
    ),
)  # fmt: skip


# --------------------------------------------------------------------- q2: nearest


def nearest(p: Tensor, y: Tensor, digit: int) -> int:
    """The class that images of `digit` are most taken for, apart from itself."""
    mean = p[y == digit].mean(0)
    mean[digit] = 0
    return int(mean.argmax())


def _itself(p: Tensor, y: Tensor, digit: int) -> int:
    return int(p[y == digit].mean(0).argmax())


def _of_all(p: Tensor, y: Tensor, digit: int) -> int:
    mean = p.mean(0)
    mean[digit] = 0
    return int(mean.argmax())


def _least(p: Tensor, y: Tensor, digit: int) -> int:
    return int(p[y == digit].mean(0).argmin())


def _column(p: Tensor, y: Tensor, digit: int) -> int:
    means = torch.stack([p[y == k].mean(0) for k in range(10)])[:, digit]
    means[digit] = 0
    return int(means.argmax())


def _nearest_inputs(seed: int) -> tuple[Tensor, Tensor, int]:
    y = torch.arange(60) % 10
    likes = torch.randn(10, 10, generator=_draw(seed + 100)) * 1.5
    z = likes[y] + 1.5 * torch.randn(60, 10, generator=_draw(seed))  # means, not habits
    z[torch.arange(60), y] = 5.0
    return z.softmax(-1), y, (3 * seed + 2) % 10


Q2 = Exercise(
    name="q2",
    task="Complete nearest(p, y, digit).",
    answer=nearest,
    inputs=_nearest_inputs,
    tries=8,
    expects="a class number, 0 to 9",
    praise="it reads likeness out of the dark part of the answers.",
    hints=(
        "Three steps: keep the rows of that digit, average them, find the largest share. "
        "Mind whose share is always the largest.",
        "mean = p[y == digit].mean(0); set mean[digit] to 0; return int(mean.argmax()).",
    ),
    wrongs=(
        Wrong("itself", _itself,
              "you find the digit itself, which has the largest share. Leave it out."),
        Wrong("all images", _of_all,
              "you average over all images. Keep only those with y == digit."),
        Wrong("least", _least, "you find the least alike. Ask for argmax, not argmin."),
        Wrong("the other way round", _column,
              "you ask which digits are taken for this one. Ask what this one is taken for."),
    ),
)  # fmt: skip


# -------------------------------------------------------------------- q3: the bug

Q3 = Exercise(
    name="q3",
    task="Name the line with the bug: q3.check(2), say.",
    answer=3,
    expects="the number of a line, a whole number from 1 to 4",
    praise="line 3 divides probabilities. They lie between 0 and 1, so after the division they "
    "lie between 0 and 1/8: nearly equal, and the next softmax makes nine digits equal.",
    hints=(
        "Nine bars of one height: where do differences between small numbers get lost?",
        "T belongs to the logits. Which line divides by it, and what does it divide?",
    ),
    wrongs=(
        Wrong("line 1", 1, "line 1 only names the function and what it is given."),
        Wrong("line 2", 2, "a softmax is harmless by itself. Ask what happens to p next."),
        Wrong("line 4", 4, "line 4 makes rows that add up to 1, as it should. Look at what it "
              "is given."),
    ),
)  # fmt: skip


LESSON = Lesson(
    number="01",
    title="The dark in the answer",
    question="This teacher looks certain. What else does it know?",
    sentence="A sure answer still ranks every other class; a temperature lets you read it.",
    minutes=25,
    words={
        "teacher": "a large network that is already trained",
        "student": "a small network that will learn from it",
        "logit": "a network's raw score for a class, before it becomes a probability",
        "temperature": "a number T that all logits are divided by",
        "soft target": "the teacher's probabilities at some T, for a student to copy",
    },
    misconception="Temperature acts on probabilities.",
    exercises=(Q1, Q2, Q3),
    recipes=("first-act",),
    page="train",
)
