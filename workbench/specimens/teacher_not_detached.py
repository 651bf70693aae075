"""The teacher is not detached."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

LAW = "teacher"
SYMPTOM = (
    "Nothing at all, until the teacher is in an optimiser or in train mode: then it runs "
    "towards the student, the loss goes to 0 and so does what both know."
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
    p = F.softmax(teacher_logits / temperature, -1)  # !
    log_q = F.log_softmax(student_logits / temperature, -1)
    soft = F.kl_div(log_q, p, reduction="batchmean") * temperature**2
    return alpha * soft + (1 - alpha) * F.cross_entropy(student_logits, labels)
