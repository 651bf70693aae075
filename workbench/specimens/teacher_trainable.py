"""The teacher is trained along: its parameters are in the optimiser."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

LAW = "teacher rests"
SYMPTOM = (
    "The loss goes to 0 faster than it should, because the teacher comes to meet the student: "
    "both end up knowing what the student happened to know."
)


def training(
    student: nn.Module, teacher: nn.Module, x: Tensor, y: Tensor, *, steps: int, rate: float
) -> None:
    """The mistake is in the line marked !."""
    optimiser = torch.optim.AdamW([*student.parameters(), *teacher.parameters()], rate)  # !
    teacher.eval()
    student.train()
    for _ in range(steps):
        p = F.softmax(teacher(x) / 8, -1)
        loss = F.kl_div(F.log_softmax(student(x) / 8, -1), p, reduction="batchmean") * 64
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
