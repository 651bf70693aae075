"""Several teachers: their mean probability, mean logits, or the mean of their losses."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn

from workbench.base import Batch, Method, Outputs, knob
from workbench.functional import cross_entropy, kl, mixture, softened
from workbench.methods._knobs import alpha, temperature


@dataclass(frozen=True)
class Ensemble(Method):
    r"""$(1-\alpha)\,\mathrm{CE}(y,z_s) + \alpha\,T^2\,\mathrm{KL}(\bar p\,\|\,\sigma(z_s/T))$

    with $\bar p$ what the teachers say together at T. The mean of probabilities keeps all that any
    of them likes and blurs. The mean of logits is their geometric mean: one teacher's p ≈ 0 is a
    veto, and whose logits are larger decides. The mean of the losses has the gradient of the first
    plus a constant, how much they disagree. Each is softened before the mean is taken.

    Shapes: student.logits (*lead, B, K), teacher.extra["members"] (M, B, K) or (*lead, M, B, K),
    without members the one teacher's logits, batch.y (B,) or (*lead, B) with −1 = unlabelled (no
    label term there). Terms: teacher, labels (*lead), in nats.
    """

    title: ClassVar[str] = "Ensemble of teachers"
    paper: ClassVar[str] = "Hinton, Vinyals & Dean, 2015, arXiv:1503.02531; You et al., KDD 2017"
    teachers: ClassVar[int] = 3

    temperature: float = temperature(4.0)
    alpha: float = alpha(0.9)
    mean: str = knob(
        "probabilities",
        choices=("probabilities", "logits", "losses"),
        meaning="of what the mean over the teachers is taken",
    )

    def loss(
        self, student: Outputs, teacher: Outputs | None, batch: Batch, adapter: nn.Module | None
    ) -> Mapping[str, Tensor]:
        """Divergence to what the teachers say together, and cross-entropy with the labels."""
        assert teacher is not None
        z = student.logits
        members = teacher.extra.get("members", teacher.logits.unsqueeze(-3)).unbind(-3)
        if self.mean == "logits":
            members = (sum(members[1:], members[0]) / len(members),)
        pairs = [softened(each, z, self.temperature) for each in members]
        if self.mean == "probabilities":
            pairs = [(mixture(torch.stack([p for p, _ in pairs])), pairs[0][1])]
        soft = sum((kl(*pair) for pair in pairs[1:]), kl(*pairs[0])) / len(pairs)
        return {
            "teacher": (self.alpha * self.temperature**2 * soft).to(z.dtype),
            "labels": (1 - self.alpha) * cross_entropy(z, batch.y),
        }
