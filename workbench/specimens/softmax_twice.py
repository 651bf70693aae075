"""A softmax before the log-softmax."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

LAW = "direction"
SYMPTOM = (
    "The student cannot be sure of anything: its logits live between 0 and 1. Training is "
    "slow and ends early."
)


def loss(
    student_logits: Tensor,
    teacher_logits: Tensor,
    labels: Tensor,
    *,
    temperature: float = 4.0,
    alpha: float = 0.9,
) -> Tensor:
    """The mistake is in the line marked !."""
    p = F.softmax(teacher_logits.detach() / temperature, -1)
    log_q = F.log_softmax(F.softmax(student_logits / temperature, -1), -1)  # !
    soft = F.kl_div(log_q, p, reduction="batchmean") * temperature**2
    return alpha * soft + (1 - alpha) * F.cross_entropy(student_logits, labels)
