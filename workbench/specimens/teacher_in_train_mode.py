"""The teacher is asked in train mode: `eval()` forgotten."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

LAW = "teacher rests"
SYMPTOM = (
    "Its answer to an image depends on what else is in the batch, its dropout adds noise, and its "
    "statistics drift towards the transfer set: it is worse after the training than before."
)


def training(
    student: nn.Module, teacher: nn.Module, x: Tensor, y: Tensor, *, steps: int, rate: float
) -> None:
    """The mistake is in the line marked !."""
    optimiser = torch.optim.AdamW(student.parameters(), rate)
    teacher.train()  # ! as a network is when it was just made
    student.train()
    for _ in range(steps):
        with torch.no_grad():
            p = F.softmax(teacher(x) / 8, -1)
        loss = F.kl_div(F.log_softmax(student(x) / 8, -1), p, reduction="batchmean") * 64
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
