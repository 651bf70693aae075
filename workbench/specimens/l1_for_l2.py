"""The rows of the similarities are divided by their L1 norm instead of L2."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

LAW = "paper"
RIGHT = "similarity"
SYMPTOM = (
    "The loss is smaller by about the number of samples in a batch, so the published weight "
    "counts for little and turning the batch size turns the weight."
)


def features(student: Tensor, teacher: Tensor) -> Tensor:
    """The mistake is in the line marked !. Shapes: features (B, P, D) of both."""
    f_s, f_t = student.flatten(1), teacher.detach().flatten(1)
    g_s = F.normalize(f_s @ f_s.T, p=1, dim=1)  # ! p=2
    g_t = F.normalize(f_t @ f_t.T, p=1, dim=1)
    return 3000 * (g_s - g_t).square().mean()
