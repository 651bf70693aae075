"""Alpha is the share of the labels: the other convention."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

LAW = "labels"
SYMPTOM = "Published settings do the opposite of what they say: alpha = 0.9 listens to the labels."


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
    soft = F.kl_div(log_q, p, reduction="batchmean") * temperature**2
    return (1 - alpha) * soft + alpha * F.cross_entropy(student_logits, labels)  # !
