"""KL with its arguments swapped: the divergence from student to teacher."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

LAW = "direction"
SYMPTOM = (
    "It trains, and well: reverse KL is legal. But the student keeps to one class where "
    "the teacher sees two, and no published T or weight fits."
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
    log_p = F.log_softmax(teacher_logits.detach() / temperature, -1)
    q = F.softmax(student_logits / temperature, -1)
    soft = F.kl_div(log_p, q, reduction="batchmean") * temperature**2  # !
    return alpha * soft + (1 - alpha) * F.cross_entropy(student_logits, labels)
