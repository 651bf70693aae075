"""04 Why T squared: what T does to a gradient, what alpha weighs, and what a mean divides by."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from workbench.lessons._exercise import Exercise, Wrong
from workbench.lessons._kd_loss import GRADIENT, LAWS, inputs, kd_loss
from workbench.lessons._lesson import Lesson


def _draw(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


# ---------------------------------------------------------------------- q1: powers


def powers(T: Tensor, size: Tensor) -> Tensor:
    """The power of T by which `size` changes from each temperature to the next."""
    return size.log().diff() / T.log().diff()


def _powers_inputs(seed: int) -> tuple[Tensor, Tensor]:
    steps = 0.3 + torch.rand(6, generator=_draw(seed), dtype=torch.float64)
    T = steps.cumsum(0).exp()
    each = 2 * torch.randn(6, generator=_draw(seed + 50), dtype=torch.float64)
    return T, (each * steps).cumsum(0).exp()


Q1 = Exercise(
    name="q1",
    task="Complete powers(T, size).",
    answer=powers,
    inputs=_powers_inputs,
    expects="one power for each pair of neighbours",
    praise="a power is a slope, once both sides are logarithms.",
    hints=(
        "If size = c · T^k, then log size = log c + k · log T. What is the slope between two "
        "neighbours?",
        "size.log().diff() is how much the logarithm grows from each to the next; divide it by "
        "T.log().diff().",
    ),
    wrongs=(
        Wrong("no logarithms", lambda T, s: s.diff() / T.diff(),
              "this is the slope without logarithms. A power is the slope of log size over "
              "log T."),
        Wrong("of size only", lambda T, s: s.log().diff() / T.diff(),
              "T needs its logarithm, too."),
        Wrong("of T only", lambda T, s: s.diff() / T.log().diff(),
              "size needs its logarithm, too."),
        Wrong("doublings", lambda T, s: s.log2().diff(),
              "this is right where T doubles each time. Here it may grow by any factor: divide by "
              "the difference of log T."),
        Wrong("not divided", lambda T, s: s.log().diff(),
              "divide by how much log T grows from each to the next."),
        Wrong("turned", lambda T, s: -s.log().diff() / T.log().diff(),
              "the sign is turned: a size that shrinks has a power below zero."),
        Wrong("upside down", lambda T, s: T.log().diff() / s.log().diff(),
              "it is the other way up: log size over log T."),
        Wrong("from zero", lambda T, s: (s.log() / T.log())[1:],
              "a slope needs two points: take differences of neighbours on both sides."),
    ),
    laws=(
        ("a square should have the power 2.",
         lambda f, T, s: torch.allclose(f(T, T**2), torch.full_like(T[1:], 2.0), atol=1e-4)),
        ("a constant should have the power 0.",
         lambda f, T, s: torch.allclose(f(T, torch.ones_like(T)), 0 * T[1:], atol=1e-4)),
        ("ten times the size should change no power.",
         lambda f, T, s: torch.allclose(f(T, 10 * s), f(T, s), atol=1e-4)),
    ),
)  # fmt: skip


# ---------------------------------------------------------------------- q2: kd_loss


def _mixed(how: str) -> object:
    """The loss with other third and fourth steps: what people write there."""

    def wrong(z_s: Tensor, z_t: Tensor, y: Tensor, T: float, alpha: float) -> Tensor:
        log_q, p = (z_s / T).log_softmax(-1), (z_t / T).softmax(-1)
        soft, hard = (p * (p.log() - log_q)).sum(-1).mean(), F.cross_entropy(z_s, y)
        return {
            "none": lambda: alpha * soft + (1 - alpha) * hard,
            "once": lambda: alpha * T * soft + (1 - alpha) * hard,
            "divided": lambda: alpha * soft / T**2 + (1 - alpha) * hard,
            "both": lambda: T**2 * (alpha * soft + (1 - alpha) * hard),
            "labels": lambda: alpha * soft + (1 - alpha) * T**2 * hard,
            "turned": lambda: (1 - alpha) * T**2 * soft + alpha * hard,
            "added": lambda: T**2 * soft + hard,
            "whole": lambda: alpha * T**2 * soft + hard,
            "hot": lambda: alpha * T**2 * soft + (1 - alpha) * F.cross_entropy(z_s / T, y),
        }[how]()

    return wrong


Q2 = Exercise(
    name="q2",
    task="Write steps 3 and 4 of kd_loss: rescale, then mix.",
    answer=kd_loss,
    inputs=inputs,
    expects="one number, the loss of the batch",
    praise="T squared on the teacher's side alone, and alpha is the teacher's.",
    hints=(
        "Step 3 makes good what softening took from the teacher's pull. Step 4: alpha of that, "
        "and 1 − alpha of the cross-entropy, which has no T.",
        "soft = T**2 * soft; return alpha * soft + (1 - alpha) * F.cross_entropy(z_s, y)",
    ),
    wrongs=(
        Wrong("no T²", _mixed("none"), "T squared is missing: step 3."),
        Wrong("T once", _mixed("once"), "T once is not enough: the pull shrinks like 1/T²."),
        Wrong("divided", _mixed("divided"),
              "you divide by T squared. The pull is too small already: multiply."),
        Wrong("T² on both", _mixed("both"),
              "T squared stands before both terms. The labels' pull never shrank."),
        Wrong("T² on labels", _mixed("labels"),
              "T squared stands before the labels. It belongs to the teacher's term."),
        Wrong("alpha turned", _mixed("turned"),
              "alpha weighs the labels here. In this project it is the teacher's share; other "
              "code has it the other way."),
        Wrong("no alpha", _mixed("added"), "alpha is not used."),
        Wrong("labels whole", _mixed("whole"),
              "the labels' term has its full weight. It gets 1 − alpha."),
        Wrong("labels softened", _mixed("hot"),
              "the labels' term is softened, too. Labels are compared with the answer at T = 1."),
    ),
    must=(GRADIENT,),
    laws=LAWS,
)  # fmt: skip


# ------------------------------------------------------------------- q3: same_alpha


def same_alpha(w: float, v: float, T: float) -> float:
    """The alpha whose two terms pull in the ratio of w · KL and v · CE, without any T²."""
    return w / (w + v * T**2)


def _alpha_inputs(seed: int) -> tuple[float, float, float]:
    w, v = (float(n) for n in 0.2 + 10 * torch.rand(2, generator=_draw(seed)))
    return w, v, (5.0, 2.0, 1.0, 8.0)[seed % 4]


Q3 = Exercise(
    name="q3",
    task="Complete same_alpha(w, v, T).",
    answer=same_alpha,
    inputs=_alpha_inputs,
    expects="one number, an alpha between 0 and 1",
    praise="now any recipe can be read in this project's letters.",
    hints=(
        "Ours weighs the divergence with alpha · T² and the labels with 1 − alpha. Their ratio "
        "must be w : v. Solve for alpha.",
        "alpha · T² · v = (1 − alpha) · w. Collect alpha: alpha · (v · T² + w) = w.",
    ),
    wrongs=(
        Wrong("no T", lambda w, v, T: w / (w + v),
              "T is not used. Ours has T² before the divergence; theirs has not."),
        Wrong("T once", lambda w, v, T: w / (w + v * T), "T once: ours has T squared."),
        Wrong("T² on w", lambda w, v, T: w * T**2 / (w * T**2 + v),
              "T² is on the wrong side. Theirs lacks it, so the alpha of ours is smaller than "
              "w / (w + v)."),
        Wrong("turned", lambda w, v, T: v * T**2 / (w + v * T**2),
              "this is the labels' share, 1 − alpha."),
        Wrong("ratio", lambda w, v, T: w / (v * T**2),
              "this is alpha : (1 − alpha). Turn the ratio r into a share, r / (1 + r)."),
    ),
    laws=(
        ("it should lie between 0 and 1.",
         lambda f, w, v, T: 0 <= float(f(w, v, T)) <= 1),
        ("twice both weights should give the same alpha.",
         lambda f, w, v, T: abs(float(f(2 * w, 2 * v, T)) - float(f(w, v, T))) < 1e-6),
        ("at T = 1 it should be w / (w + v).",
         lambda f, w, v, T: abs(float(f(w, v, 1.0)) - w / (w + v)) < 1e-6),
        ("a higher T should give a smaller alpha.",
         lambda f, w, v, T: float(f(w, v, 2 * T)) < float(f(w, v, T))),
    ),
)  # fmt: skip


# -------------------------------------------------------------------- q4: the bug

Q4 = Exercise(
    name="q4",
    task="Name the line with the bug: q4.check(2), say.",
    answer=4,
    expects="the number of a line, a whole number from 1 to 5",
    praise="line 4 averages over the classes, too: a tenth for ten digits, a thousandth for a "
    "thousand classes. Sum over the classes, then take the mean over images.",
    hints=(
        "The divergence should be the logarithm of 10, and is a tenth of it. Where do ten of "
        "something become one?",
        "Over which axes does each mean or sum of the loss run, and over which should it?",
    ),
    wrongs=(
        Wrong("line 1", 1, "line 1 only names the function and what it is given."),
        Wrong("line 2", 2, "the teacher's softened probabilities are right."),
        Wrong("line 3", 3, "the student's softened log-probabilities are right."),
        Wrong("line 5", 5, "line 5 has T squared, and alpha on the teacher's side. Is `soft` what "
              "it should be?"),
    ),
)  # fmt: skip


LESSON = Lesson(
    number="04",
    title="Why T squared",
    question="Why is the teacher's term multiplied by T squared, and what happens if not?",
    sentence="Softening takes a factor of about T squared from the teacher's pull; put it back, "
    "or turning T turns the teacher off.",
    minutes=45,
    words={
        "gradient": "which way, and how hard, a loss pulls on each number",
        "norm": "the length of a gradient: the size of the pull",
        "optimiser": "the rule that makes a step out of a gradient",
        "reduction": "how many losses become one, by a sum or a mean",
        "convention": "which letter stands for what",
    },
    misconception="T squared is decoration, and alpha means the same everywhere.",
    exercises=(Q1, Q2, Q3, Q4),
    recipes=("t-squared",),
    page="train",
)
