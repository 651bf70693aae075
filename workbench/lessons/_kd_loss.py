"""The loss that lessons 02 to 04 let a learner write, a step more each time, and its laws."""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from workbench.lessons._exercise import Law, same


def kd_loss(z_s: Tensor, z_t: Tensor, y: Tensor, T: float, alpha: float) -> Tensor:
    """The distillation loss of a batch."""
    # 1 soften
    log_q, p = (z_s / T).log_softmax(-1), (z_t / T).softmax(-1)
    # 2 compare
    soft = (p * (p.log() - log_q)).sum(-1).mean()
    # 3 rescale
    soft = T**2 * soft
    # 4 mix
    return alpha * soft + (1 - alpha) * F.cross_entropy(z_s, y)


def learns(loss: Callable[[Tensor], Tensor], logits: Tensor) -> bool:
    """Whether a gradient comes back to the logits."""
    z = logits.clone().requires_grad_()
    found = loss(z)
    if not found.requires_grad:
        return False
    found.backward()
    return z.grad is not None and bool(z.grad.abs().sum() > 0)


def inputs(seed: int) -> tuple[Tensor, Tensor, Tensor, float, float]:
    """A batch of six images with ten classes, a temperature and an alpha."""
    draw = torch.Generator().manual_seed(seed)
    z_s, z_t = 3 * torch.randn(2, 6, 10, generator=draw)
    y = torch.randint(10, (6,), generator=draw)
    return z_s, z_t, y, (4.0, 8.0, 2.0, 1.0)[seed % 4], (0.9, 1.0, 0.5, 0.3)[seed % 4]


GRADIENT: Law = (
    "no gradient reaches the student: nothing may be detached on its side.",
    lambda f, a, b, y, T, alpha: learns(lambda z: f(z, b, y, T, 1.0), a),
)
LAWS: tuple[Law, ...] = (
    (
        "for equal answers and alpha = 1 the loss should be 0.",
        lambda f, a, b, y, T, alpha: abs(float(f(b, b, y, T, 1.0))) < 1e-4,
    ),
    (
        "the loss should never be below zero.",
        lambda f, a, b, y, T, alpha: float(f(a, b, y, T, alpha)) > -1e-6,
    ),
    (
        "twice the same images should give the same loss.",
        lambda f, a, b, y, T, alpha: same(
            f(a, b, y, T, alpha), f(*(torch.cat([one, one]) for one in (a, b, y)), T, alpha)
        ),
    ),
    (
        "with alpha = 0 it should be the cross-entropy with the labels.",
        lambda f, a, b, y, T, alpha: same(f(a, b, y, T, 0.0), F.cross_entropy(a, y)),
    ),
)
