"""Attention transfer compares channel by channel: the sum over channels is forgotten."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

LAW = "channels"
RIGHT = "attention"
SYMPTOM = (
    "It fails as soon as student and teacher differ in width; with equal widths it asks the "
    "student's third channel to be the teacher's third, which nothing made it."
)


def features(student: Tensor, teacher: Tensor) -> Tensor:
    """The mistake is in the line marked !. Shapes: maps (B, H·W, C) of both."""
    f_s = F.normalize(student.square().flatten(1), dim=-1)  # ! .sum(-1) belongs before normalize
    f_t = F.normalize(teacher.detach().square().flatten(1), dim=-1)
    return 1000 * (f_s - f_t).square().mean()
