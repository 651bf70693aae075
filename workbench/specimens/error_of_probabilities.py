"""Mean squared error of probabilities instead of a divergence."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

LAW = "direction"
SYMPTOM = "It is slow where it matters: where the student is sure and wrong there is no gradient."


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
    soft = F.mse_loss(q, p) * temperature**2  # !
    return alpha * soft + (1 - alpha) * F.cross_entropy(student_logits, labels)
