"""T² forgotten."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

LAW = "T squared"
SYMPTOM = (
    "Turning T up turns the teacher off: at T = 8 its gradient is a sixty-fourth, and the "
    "labels outweigh it."
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
    log_q = F.log_softmax(student_logits / temperature, -1)
    soft = F.kl_div(log_q, p, reduction="batchmean")  # !
    return alpha * soft + (1 - alpha) * F.cross_entropy(student_logits, labels)
