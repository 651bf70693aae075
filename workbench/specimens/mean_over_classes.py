"""`reduction="mean"`: the divergence is divided by the number of classes, too."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

LAW = "reduction"
SYMPTOM = (
    "With ten classes the teacher counts a tenth of what alpha says, with a thousand a "
    "thousandth: the same alpha means something else on each data set."
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
    soft = F.kl_div(log_q, p, reduction="mean") * temperature**2  # !
    return alpha * soft + (1 - alpha) * F.cross_entropy(student_logits, labels)
