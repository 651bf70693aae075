"""03 The thermostat: T decides of how many digits an answer speaks; turn it from cold to hot."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from workbench.lessons._exercise import Exercise, Wrong
from workbench.lessons._kd_loss import GRADIENT, LAWS, inputs, kd_loss
from workbench.lessons._lesson import Lesson

# ------------------------------------------------------------------------ q1: kd_loss


def _softened(how: str) -> object:
    """The loss with another first step: what people write there."""

    def wrong(z_s: Tensor, z_t: Tensor, y: Tensor, T: float, alpha: float) -> Tensor:
        log_q, p = {
            "teacher": lambda: (z_s.log_softmax(-1), (z_t / T).softmax(-1)),
            "student": lambda: ((z_s / T).log_softmax(-1), z_t.softmax(-1)),
            "neither": lambda: (z_s.log_softmax(-1), z_t.softmax(-1)),
            "times": lambda: ((z_s * T).log_softmax(-1), (z_t * T).softmax(-1)),
            "probabilities": lambda: (
                (z_s.softmax(-1) / T).log_softmax(-1), (z_t.softmax(-1) / T).softmax(-1),
            ),
            "after": lambda: (z_s.log_softmax(-1) / T, z_t.softmax(-1) / T),
            "names": lambda: ((z_t / T).log_softmax(-1), (z_s / T).softmax(-1)),
            "no log": lambda: ((z_s / T).softmax(-1), (z_t / T).softmax(-1)),
            "images": lambda: ((z_s / T).log_softmax(0), (z_t / T).softmax(0)),
        }[how]()  # fmt: skip
        soft = T**2 * (p * (p.log() - log_q)).sum(-1).mean()
        return alpha * soft + (1 - alpha) * F.cross_entropy(z_s, y)

    return wrong


Q1 = Exercise(
    name="q1",
    task="Write step 1 of kd_loss: log_q and p, both softened.",
    answer=kd_loss,
    inputs=inputs,
    expects="one number, the loss of the batch",
    praise="both answers at the same T, the student's as a logarithm.",
    hints=(
        "Two names: log_q from the student's logits, p from the teacher's. Both logits are "
        "divided by T first; one becomes a log_softmax, the other a softmax.",
        "log_q, p = (z_s / T).log_softmax(-1), (z_t / T).softmax(-1)",
    ),
    wrongs=(
        Wrong("teacher only", _softened("teacher"),
              "only the teacher is softened. A student that says just what the teacher says must "
              "have no loss: soften both with the same T."),
        Wrong("student only", _softened("student"),
              "only the student is softened: it would be asked for the teacher's answer at T = 1, "
              "at another T. Soften both."),
        Wrong("no temperature", _softened("neither"),
              "T is not used: this is the loss at T = 1, times T squared."),
        Wrong("multiplied", _softened("times"),
              "you multiply by T. Then a high T makes answers surer: divide."),
        Wrong("probabilities", _softened("probabilities"),
              "you divide probabilities by T. It belongs to the logits, before any softmax."),
        Wrong("after", _softened("after"),
              "you divide after the softmax. T belongs to the logits."),
        Wrong("names", _softened("names"),
              "log_q is made from the teacher and p from the student. q is the student."),
        Wrong("no logarithm", _softened("no log"),
              "log_q must be a logarithm: log_softmax, where you have softmax."),
        Wrong("over the images", _softened("images"),
              "you normalise over the images. Each image is a row: use the last axis."),
    ),
    must=(GRADIENT,),
    laws=LAWS,
)  # fmt: skip


# --------------------------------------------------------------------- q2: thermostat


def thermostat(z: Tensor, digits: float) -> float:
    """The T at which the answers speak of so many digits."""
    low, high = 0.01, 10_000.0
    for _ in range(60):
        T = (low * high) ** 0.5
        log_p = (z / T).log_softmax(-1)
        heard = (-(log_p.exp() * log_p).sum(-1)).mean().exp()
        low, high = (T, high) if heard < digits else (low, T)
    return T


def _halved(z: Tensor, digits: float, what: str) -> float:
    """The same search for another quantity, or the wrong way."""
    low, high = 0.01, 10_000.0
    for _ in range(60):
        T = (low * high) ** 0.5
        log_p = (z / T).log_softmax(-1)
        entropy = -(log_p.exp() * log_p).sum(-1)
        found = {
            "turned": lambda e: e.mean().exp(),
            "each": lambda e: e.exp().mean(),
            "entropy": lambda e: e.mean(),
            "first": lambda e: e[0].exp(),
            "sum": lambda e: e.sum().exp(),
            "bits": lambda e: 2 ** e.mean(),
        }[what](entropy)
        cold = bool(found > digits) if what == "turned" else bool(found < digits)
        low, high = (T, high) if cold else (low, T)
    return T


def _heard(z: Tensor, T: float) -> float:
    log_p = (z / float(T)).log_softmax(-1)
    return float((-(log_p.exp() * log_p).sum(-1)).mean().exp())


def _thermostat_inputs(seed: int) -> tuple[Tensor, float]:
    draw = torch.Generator().manual_seed(seed)
    z = (8.0, 3.0, 1.0, 20.0)[seed % 4] * torch.randn(12, 10, generator=draw)
    return z, (5.0, 2.0, 8.0, 3.0)[seed % 4]


Q2 = Exercise(
    name="q2",
    task="Complete thermostat(z, digits).",
    answer=thermostat,
    inputs=_thermostat_inputs,
    expects="one number, a temperature",
    praise="a teacher that is three times as sure gets three times the T, by itself.",
    hints=(
        "heard(z, T) grows with T. Take a T between two ends: if too few digits are heard, it is "
        "the new lower end, else the new upper end. Sixty times, and the ends have met.",
        "low, high = 0.01, 10_000.0; in a loop: T = (low * high) ** 0.5, then "
        "low, high = (T, high) if heard(z, T) < digits else (low, T). Return T.",
    ),
    wrongs=(
        Wrong("turned", lambda z, d: _halved(z, d, "turned"),
              "the search runs the wrong way. If too few digits are heard, T must go up."),
        Wrong("each image", lambda z, d: _halved(z, d, "each"),
              "you average the digits of each image. heard takes the mean entropy first, and exp "
              "of that."),
        Wrong("entropy", lambda z, d: _halved(z, d, "entropy"),
              "this compares the entropy itself with the digits. exp turns it into a number of "
              "digits."),
        Wrong("first image", lambda z, d: _halved(z, d, "first"),
              "this looks at the first image only. Take the mean over all rows."),
        Wrong("sum", lambda z, d: _halved(z, d, "sum"),
              "you add up the entropies of all images. Take their mean."),
        Wrong("bits", lambda z, d: _halved(z, d, "bits"),
              "you take a power of 2, but log_softmax is a natural logarithm: exp."),
        Wrong("arithmetic", lambda z, d: d,
              "you return the digits. Search for the T at which that many are heard."),
    ),
    laws=(
        ("at your T the answers should speak of that many digits.",
         lambda f, z, d: abs(_heard(z, f(z, d)) - d) < 0.05),
        ("a teacher three times as sure should get three times the T.",
         lambda f, z, d: abs(float(f(3 * z, d)) / float(f(z, d)) - 3) < 0.05),
        ("more digits should need a higher T.",
         lambda f, z, d: float(f(z, d + 0.5)) > float(f(z, d))),
        ("the ends have not met yet: halve more often.",
         lambda f, z, d: abs(_heard(z, f(z, d)) - d) < 1e-4),
    ),
)  # fmt: skip


# -------------------------------------------------------------------- q3: the bug

Q3 = Exercise(
    name="q3",
    task="Name the line with the bug: q3.check(2), say.",
    answer=3,
    expects="the number of a line, a whole number from 1 to 6",
    praise="line 3 softens when nobody learns any more. T belongs to the loss; a student in use "
    "answers at T = 1.",
    hints=(
        "The largest bar is the same one at every T. Which line decides how large it is?",
        "Where was T needed: in training, or in use?",
    ),
    wrongs=(
        Wrong("line 1", 1, "a default argument by itself does nothing. Who uses this T?"),
        Wrong("line 2", 2, "line 2 asks the student for its logits, as it should."),
        Wrong("line 4", 4, "line 4 reads the largest share and whose it is; both come from p. "
              "Look at what p is."),
        Wrong("line 5", 5, "asking a person below 90 % is a sensible rule, if the shares mean "
              "what they say. Who spoilt them?"),
        Wrong("line 6", 6, "line 6 returns the answers."),
    ),
)  # fmt: skip


LESSON = Lesson(
    number="03",
    title="The thermostat",
    question="How far should a teacher's answers be softened, and does it matter?",
    sentence="Turn T up until the teacher speaks of several digits; above that little changes, "
    "and in use there is no T at all.",
    minutes=40,
    words={
        "sweep": "the same training at many settings, all shown and none picked",
        "entropy": "how widely an answer is spread over the classes",
        "alpha": "the teacher's share of the loss; 1 means no labels at all",
        "limit": "what something comes to as a number grows without end",
        "confidence": "the largest share of an answer",
    },
    misconception="T = 1 is fine, since soft labels are soft anyway; and whoever trains at T must "
    "use the student at T.",
    exercises=(Q1, Q2, Q3),
    recipes=("thermostat",),
    page="sweep",
)
