"""`log(softmax(z))` instead of `log_softmax(z)`."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

LAW = "large"
SYMPTOM = (
    "All is well for hours. Then one image is so clear that a probability rounds to 0, "
    "and the loss is NaN."
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
    log_q = F.softmax(student_logits / temperature, -1).log()  # !
    soft = F.kl_div(log_q, p, reduction="batchmean") * temperature**2
    return alpha * soft + (1 - alpha) * F.cross_entropy(student_logits, labels)
