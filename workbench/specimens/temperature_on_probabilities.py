"""The temperature divides probabilities instead of logits."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

LAW = "both sides"
SYMPTOM = (
    "At T = 1 nothing is wrong. From there the target is nearly uniform at once, and T "
    "changes little."
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
    p = F.softmax(teacher_logits.detach(), -1) / temperature
    p = F.softmax(p, -1) if temperature != 1 else p  # !
    log_q = F.log_softmax(student_logits / temperature, -1)
    soft = F.kl_div(log_q, p, reduction="batchmean") * temperature**2
    return alpha * soft + (1 - alpha) * F.cross_entropy(student_logits, labels)
