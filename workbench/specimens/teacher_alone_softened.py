"""The temperature on the teacher alone."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

LAW = "both sides"
SYMPTOM = (
    "Accuracy looks fine, confidence does not: the student learns the softened answer as "
    "its own and is unsure of everything."
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
    log_q = F.log_softmax(student_logits, -1)  # !
    soft = F.kl_div(log_q, p, reduction="batchmean") * temperature**2
    return alpha * soft + (1 - alpha) * F.cross_entropy(student_logits, labels)
