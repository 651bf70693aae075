"""07 Relations: copy how images lie to each other; turn, stretch and width do not matter."""

from __future__ import annotations

import torch
from torch import Tensor

from workbench.lessons._exercise import Exercise, Wrong
from workbench.lessons._lesson import Lesson


def _features(seed: int) -> tuple[Tensor]:
    draw = torch.Generator().manual_seed(seed)
    size = (6, 5), (4, 3), (7, 2), (5, 9)
    scale = torch.rand(size[seed % 4][0], 1, generator=draw) * 3 + 0.5
    return (scale * torch.randn(size[seed % 4], generator=draw) + 1,)


def _turn(f: Tensor) -> Tensor:
    """The vectors turned, all alike."""
    draw = torch.Generator().manual_seed(f.shape[-1])
    return f @ torch.linalg.qr(torch.randn(f.shape[-1], f.shape[-1], generator=draw))[0]


# ---------------------------------------------------------------------- q1: distances


def distances(f: Tensor) -> Tensor:
    """How far each image is from each other, over the mean of all pairs."""
    apart = f[:, None] - f[None, :]
    d = (apart**2).sum(-1).sqrt()
    return d / (d.sum() / (len(f) * (len(f) - 1)))


def _apart(f: Tensor) -> Tensor:
    return ((f[:, None] - f[None, :]) ** 2).sum(-1).sqrt()


def _over(d: Tensor) -> Tensor:
    return d / (d.sum() / (len(d) * (len(d) - 1)))


Q1 = Exercise(
    name="q1",
    task="Complete distances(f).",
    answer=distances,
    inputs=_features,
    expects="a row and a column per image",
    praise="whatever the unit and the width, the mean distance of two images is 1.",
    hints=(
        "f[:, None] - f[None, :] has the difference of every pair, (B, B, D). Square, sum, root. "
        "Then divide by the mean over pairs of *different* images.",
        "d = ((f[:, None] - f[None, :]) ** 2).sum(-1).sqrt(); n = len(f); "
        "return d / (d.sum() / (n * (n - 1)))",
    ),
    wrongs=(
        Wrong("plain", _apart,
              "these are distances in the network's own unit. Divide by their mean: else one "
              "with large features asks one with small ones to grow."),
        Wrong("with the diagonal", lambda f: _apart(f) / _apart(f).mean(),
              "your mean counts each image's distance to itself, which is 0. There are "
              "B·(B − 1) pairs."),
        Wrong("squared", lambda f: _over(_apart(f) ** 2),
              "these are squared distances. Take the root before you divide."),
        Wrong("largest", lambda f: _apart(f) / _apart(f).max(),
              "you divide by the largest distance: one far image would shrink all others. Divide "
              "by the mean."),
        Wrong("by row", lambda f: _apart(f) / (_apart(f).sum(-1, keepdim=True) / (len(f) - 1)),
              "each row has a mean of its own here. One mean for all pairs."),
        Wrong("city", lambda f: _over((f[:, None] - f[None, :]).abs().sum(-1)),
              "you add up absolute differences. That changes when the vectors are turned; take "
              "the root of the sum of squares."),
    ),
    laws=(
        ("an image should be at distance 0 from itself.",
         lambda f, x: torch.allclose(f(x).diagonal(), torch.zeros(len(x)), atol=1e-4)),
        ("from i to j it should be as far as from j to i.",
         lambda f, x: torch.allclose(f(x), f(x).T, atol=1e-4)),
        ("features three times as large should give the same.",
         lambda f, x: torch.allclose(f(3 * x), f(x), atol=1e-4)),
        ("features that are moved and turned should give the same.",
         lambda f, x: torch.allclose(f(_turn(x + 2)), f(x), atol=1e-3)),
    ),
)  # fmt: skip


# ------------------------------------------------------------------------- q2: alike


def alike(f: Tensor) -> Tensor:
    """Dot products of all images, each row of length 1."""
    gram = f @ f.T
    return gram / gram.norm(dim=-1, keepdim=True)


def _gram(f: Tensor) -> Tensor:
    return f @ f.T


Q2 = Exercise(
    name="q2",
    task="Complete alike(f).",
    answer=alike,
    inputs=_features,
    expects="a row and a column per image",
    praise="each row says whom one image is like, and no image counts more than another.",
    hints=(
        "Two steps: all dot products, f @ f.T. Then divide each row by its length, the root of "
        "its sum of squares.",
        "g = f @ f.T; return g / g.norm(dim=-1, keepdim=True)",
    ),
    wrongs=(
        Wrong("plain", _gram, "these are plain dot products. Divide each row by its length."),
        Wrong("L1", lambda f: _gram(f) / _gram(f).abs().sum(-1, keepdim=True),
              "you divide by the sum of absolute values, the L1 norm. The length is the root of "
              "the sum of squares. It trains all the same, with another weight than the paper's."),
        Wrong("columns", lambda f: _gram(f) / _gram(f).norm(dim=0, keepdim=True),
              "you divide the columns by their lengths. Each row belongs to one image: dim=-1."),
        Wrong("features first", lambda f: (lambda n: n @ n.T)(f / f.norm(dim=-1, keepdim=True)),
              "you give the features length 1 before the products: those are cosines. Here the "
              "rows of the product get length 1."),
        Wrong("whole", lambda f: _gram(f) / _gram(f).norm(),
              "you divide by the length of the whole matrix. Each row has its own."),
        Wrong("softmax", lambda f: _gram(f).softmax(-1),
              "a softmax turns rows into shares. Divide by the length instead."),
        Wrong("across", lambda f: (lambda g: g / g.norm(dim=-1, keepdim=True))(f.T @ f),
              "f.T @ f compares features with each other. Images are rows: f @ f.T."),
    ),
    laws=(
        ("each row should have length 1.",
         lambda f, x: torch.allclose(f(x).norm(dim=-1), torch.ones(len(x)), atol=1e-4)),
        ("features three times as large should give the same.",
         lambda f, x: torch.allclose(f(3 * x), f(x), atol=1e-4)),
        ("features that are turned should give the same.",
         lambda f, x: torch.allclose(f(_turn(x)), f(x), atol=1e-3)),
    ),
)  # fmt: skip


# ---------------------------------------------------------------------- q3: the bug

Q3 = Exercise(
    name="q3",
    task="Name the line with the bug: q3.check(4), say.",
    answer=2,
    expects="the number of a line, a whole number from 1 to 5",
    praise="dim=1 is the features for one network, (images, features), and the images for a "
    "stack, (students, images, features). The last axis is right for both: dim=-1.",
    hints=(
        "An image's cosine with itself is 1. Whose is not, the teacher's or the students'?",
        "The teacher's features have two axes, the students' have three. Which line counts axes "
        "from the front?",
    ),
    wrongs=(
        Wrong("line 1", 1, "line 1 only names the function and what it is given."),
        Wrong("line 3", 3, "line 3 multiplies every image with every other, for one network and "
              "for a stack. It gives cosines if what it is handed has length 1."),
        Wrong("line 4", 4, "line 4 only names the function and what it is given."),
        Wrong("line 5", 5, "line 5 takes the mean over both axes of a matrix, a number per "
              "student, as it should. Which of the two matrices is none of cosines?"),
    ),
)  # fmt: skip


LESSON = Lesson(
    number="07",
    title="Relations",
    question="Teacher and student have layers of different widths: what can be compared?",
    sentence="Compare not where images lie but how they lie to each other: turn, unit and width "
    "drop out.",
    minutes=40,
    words={
        "features": "the numbers of a hidden layer, one vector per image",
        "relation": "a number about two images or three: a distance, an angle",
        "cosine": "how alike two directions are, 1 if they are the same",
        "rotation": "turning all vectors alike; no distance changes",
        "batch": "the images that are looked at together",
    },
    misconception="To copy a layer, the student's must have the teacher's width.",
    exercises=(Q1, Q2, Q3),
    page="train",
)
