"""02 Fifty images: one student, the same images, once with labels, once with answers."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from workbench.lessons._exercise import Exercise, Wrong
from workbench.lessons._kd_loss import GRADIENT, LAWS, inputs, kd_loss
from workbench.lessons._lesson import Lesson

# ------------------------------------------------------------------------ q1: kd_loss


def _variant(compare: str, rescale: bool = True) -> object:
    """The loss with another second or third step: what people write there."""

    def wrong(z_s: Tensor, z_t: Tensor, y: Tensor, T: float, alpha: float) -> Tensor:
        log_q, p = (z_s / T).log_softmax(-1), (z_t / T).softmax(-1)
        q, log_p = log_q.exp(), p.log()
        rows = {
            "right": lambda: (p * (log_p - log_q)).sum(-1).mean(),
            "swapped": lambda: (q * (log_q - log_p)).sum(-1).mean(),
            "negative": lambda: (p * (log_q - log_p)).sum(-1).mean(),
            "mean": lambda: (p * (log_p - log_q)).mean(),
            "sum": lambda: (p * (log_p - log_q)).sum(),
            "cross": lambda: -(p * log_q).sum(-1).mean(),
            "probabilities": lambda: (p * (log_p - q)).sum(-1).mean(),
            "unweighted": lambda: (log_p - log_q).sum(-1).mean(),
            "square": lambda: ((p - q) ** 2).sum(-1).mean(),
            "mse": lambda: F.mse_loss(q, p),
        }
        soft = rows[compare]() * (T**2 if rescale else 1)
        return alpha * soft + (1 - alpha) * F.cross_entropy(z_s, y)

    return wrong


Q1 = Exercise(
    name="q1",
    task="Write step 2 of kd_loss: compare p with q.",
    answer=kd_loss,
    inputs=inputs,
    expects="one number, the loss of the batch",
    praise="never below zero, zero only for equal answers, and averaged over the images.",
    hints=(
        "For each image: sum over classes of p times (log p minus log q). Then one mean.",
        "soft = (p * (p.log() - log_q)).sum(-1).mean()",
    ),
    wrongs=(
        Wrong("swapped", _variant("swapped"),
              "you weigh with q, the student. In distillation the teacher's p is the weight."),
        Wrong("negative", _variant("negative"),
              "the sign is turned: log p minus log q. Yours would reward being different."),
        Wrong("mean over classes", _variant("mean"),
              "you average over the classes too, so the loss is 10 times too small. Sum over the "
              "last axis first, then take the mean over images."),
        Wrong("sum over images", _variant("sum"),
              "you add up all images, so a larger batch has a larger loss. Take their mean."),
        Wrong("cross-entropy", _variant("cross"),
              "this is the cross-entropy: it lacks p.log(), so it is not zero for equal answers."),
        Wrong("probabilities", _variant("probabilities"),
              "one side is a probability where a log-probability belongs. You have log_q."),
        Wrong("no weight", _variant("unweighted"),
              "every class counts the same. Weigh the difference of the logs with p."),
        Wrong("squares", _variant("square"),
              "these are squared differences. They hardly see small probabilities, which are "
              "the point; compare logarithms."),
        Wrong("mean squares", _variant("mse"),
              "mse_loss compares by squared differences. They hardly see small probabilities, "
              "which are the point; compare logarithms."),
        Wrong("no rescaling", _variant("right", rescale=False),
              "T squared is missing: step 3 should stay as it is."),
    ),
    must=(GRADIENT,),
    laws=LAWS,
)  # fmt: skip


# -------------------------------------------------------------------------- q2: points


def points(taught: Tensor, alone: Tensor) -> Tensor:
    """Mean and standard deviation over seeds of the paired differences, in points."""
    difference = 100 * (taught - alone)
    return torch.stack([difference.mean(), difference.std()])


def _points_inputs(seed: int) -> tuple[Tensor, Tensor]:
    draw = torch.Generator().manual_seed(seed)
    alone = 0.8 + 0.05 * torch.randn(12, generator=draw)
    return alone + 0.1 + 0.01 * torch.randn(12, generator=draw), alone


Q2 = Exercise(
    name="q2",
    task="Complete points(taught, alone).",
    answer=points,
    inputs=_points_inputs,
    expects="two numbers in one tensor, the mean and the standard deviation in points",
    praise="pairs share their seed, so their difference is less noisy than either score.",
    hints=(
        "Subtract pair by pair first, in points (times 100). Then one mean and one std().",
        "d = 100 * (taught - alone); return torch.stack([d.mean(), d.std()])",
    ),
    wrongs=(
        Wrong("turned", lambda a, b: torch.stack([100 * (b - a).mean(), 100 * (b - a).std()]),
              "the sign is turned: taught minus alone."),
        Wrong("shares", lambda a, b: torch.stack([(a - b).mean(), (a - b).std()]),
              "these are shares. Points are shares times 100."),
        Wrong("difference of stds",
              lambda a, b: 100 * torch.stack([a.mean() - b.mean(), a.std() - b.std()]),
              "you subtract two standard deviations. Subtract pair by pair first, then std()."),
        Wrong("population",
              lambda a, b: 100 * torch.stack([(a - b).mean(), (a - b).std(correction=0)]),
              "you divide by n. For a sample divide by n − 1, as std() does by itself."),
    ),
)  # fmt: skip


# ------------------------------------------------------------------------- q3: the bug

Q3 = Exercise(
    name="q3",
    task="Name the line with the bug: q3.check(2), say.",
    answer=3,
    expects="the number of a line, a whole number from 1 to 5",
    praise="kl_div wants the student's log-probabilities; line 3 hands it probabilities. Nothing "
    "complains. Only the sign of the loss does.",
    hints=(
        "A comparison of two distributions is never below zero. Which line could break that?",
        "What does F.kl_div want as its first argument: probabilities, or their logarithm?",
    ),
    wrongs=(
        Wrong("line 1", 1, "line 1 only names the function and what it is given."),
        Wrong("line 2", 2, "the teacher's side is right: kl_div wants plain probabilities there."),
        Wrong("line 4", 4, "the call is right, batchmean too. Look at what it is handed, and in "
              "which line that was made."),
        Wrong("line 5", 5, "T squared is right: it keeps the gradient's size. It cannot turn a "
              "sign either."),
    ),
)  # fmt: skip


LESSON = Lesson(
    number="02",
    title="Fifty images",
    question="Same student, same fifty images: are a teacher's answers worth more than labels?",
    sentence="The teacher's answers carry what it learnt from images the student never sees.",
    minutes=35,
    words={
        "label": "the right class of an image, one number",
        "transfer set": "the images on which a student may listen to its teacher",
        "loss": "the number that training makes small",
        "divergence": "how far one set of probabilities is from another; never below zero",
        "seed": "the number that decides a network's random start",
    },
    misconception="Soft labels help because they are soft.",
    exercises=(Q1, Q2, Q3),
    recipes=("first-act", "fifty-images"),
    page="train",
)
