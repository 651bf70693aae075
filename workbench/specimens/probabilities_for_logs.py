"""Probabilities where `kl_div` wants log-probabilities."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

LAW = "least"
SYMPTOM = "The loss is negative, which no divergence can be, and goes on falling."


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
    q = F.softmax(student_logits / temperature, -1)
    soft = F.kl_div(q, p, reduction="batchmean") * temperature**2  # !
    return alpha * soft + (1 - alpha) * F.cross_entropy(student_logits, labels)
