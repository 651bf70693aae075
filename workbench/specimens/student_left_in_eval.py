"""The student is left in eval mode after the first look at its accuracy."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

LAW = "student trains"
SYMPTOM = (
    "The loss falls as ever, but dropout and batch normalisation are off from the second step "
    "on: the statistics stay those of the first batch."
)


def training(
    student: nn.Module, teacher: nn.Module, x: Tensor, y: Tensor, *, steps: int, rate: float
) -> None:
    """The mistake is in the line marked !."""
    optimiser = torch.optim.AdamW(student.parameters(), rate)
    teacher.eval()
    student.train()
    with torch.no_grad():
        p = F.softmax(teacher(x) / 8, -1)
    for _ in range(steps):
        loss = F.kl_div(F.log_softmax(student(x) / 8, -1), p, reduction="batchmean") * 64
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        student.eval()  # ! and no train() after it
        (student(x).argmax(-1) == y).float().mean()
