"""Teacher-free distillation: a made-up teacher that is always right and never quite sure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn

from workbench.base import Batch, Method, Outputs, knob
from workbench.functional import cross_entropy, kl, one_hot, per_student, soft_log_probs
from workbench.methods._knobs import alpha


@dataclass(frozen=True)
class VirtualTeacher(Method):
    r"""$(1-\alpha)\,\mathrm{CE}(y,p) + \alpha\,\mathrm{KL}(p^d_\tau\,\|\,p)$, $p=\sigma(z_s)$

    with $p^d=a$ on the label and $(1-a)/(K-1)$ elsewhere, and $p^d_\tau\propto(p^d)^{1/\tau}$.

    The paper's point: part of what distillation gives is regularisation, for which no teacher is
    needed. The softened made-up teacher is label smoothing, with most of the mass off the label.
    Whatever a real teacher gives must be more than this.

    Shapes: student.logits (*lead, B, K), batch.y (B,) or (*lead, B) with −1 = unlabelled (left
    out: it has no target). Terms: virtual, labels (*lead), in nats. `code` is the authors' code:
    100 times the mean over classes (the sum, for their 100 classes), and a softmax of p^d/τ, of
    probabilities rather than their logarithms.
    """

    title: ClassVar[str] = "Virtual teacher"
    paper: ClassVar[str] = "Yuan et al., 2020, arXiv:1909.11723"
    needs: ClassVar[frozenset[str]] = frozenset({"labels"})

    alpha: float = alpha(0.1)
    teacher_temperature: float = knob(
        20.0,
        slider=(1, 40),
        accepts=(0.01, 1e6),
        symbol="τ",
        meaning="softens the made-up teacher",
    )
    sureness: float = knob(
        0.99, slider=(0.5, 0.999), accepts=(0.01, 0.999999), symbol="a",
        meaning="what it gives the label, before it is softened",
    )  # fmt: skip
    convention: str = knob(
        "paper", choices=("paper", "code"), meaning="the paper's formula, or the authors' code"
    )

    def loss(
        self, student: Outputs, teacher: Outputs | None, batch: Batch, adapter: nn.Module | None
    ) -> Mapping[str, Tensor]:
        """Divergence to the made-up teacher, and cross-entropy with the labels."""
        z = student.logits
        label, sure = one_hot(batch.y, z), per_student(self.sureness, z)
        rest = (1 - sure) / (z.shape[-1] - 1)
        sure, rest = (torch.as_tensor(v, dtype=z.dtype, device=z.device) for v in (sure, rest))
        code, said = self.convention == "code", torch.where(label, sure, rest)
        heights = (said if code else said.log()).expand(z.shape)
        log_p = soft_log_probs(heights, self.teacher_temperature)
        virtual = kl(log_p, soft_log_probs(z), batch.y >= 0) * (100 / z.shape[-1] if code else 1)
        return {
            "virtual": self.alpha * virtual,
            "labels": (1 - self.alpha) * cross_entropy(z, batch.y),
        }
