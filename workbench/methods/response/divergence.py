"""A dial of divergences: forward KL, Jensen–Shannon, reverse KL and all between."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor, nn

from workbench.base import Batch, Method, Outputs, knob
from workbench.functional import between, cross_entropy, softened
from workbench.methods._knobs import alpha, temperature


@dataclass(frozen=True)
class Divergence(Method):
    r"""$(1-\alpha)\,\mathrm{CE}(y,\sigma(z_s)) + \alpha\,T^2\,D_\beta(p\,\|\,q)$

    with $D_\beta=[\beta\,\mathrm{KL}(p\|m)+(1-\beta)\,\mathrm{KL}(q\|m)]\,/\,\beta(1-\beta)$ and
    $m=\beta p+(1-\beta)q$: forward KL at β = 0 (ordinary distillation), four times the
    Jensen–Shannon divergence at ½, reverse KL at 1.

    Forward KL makes the student cover all that the teacher finds possible; reverse KL lets it keep
    to one of them. Divided by β(1 − β) the dial is continuous at its ends and does not change the
    size of the step. For 0 < β ≤ 1 it is bounded: a student that is sure and wrong feels nothing.

    Shapes: student.logits (*lead, B, K), teacher.logits (B, K) or (*lead, B, K), batch.y (B,) or
    (*lead, B) with −1 = unlabelled (no label term there). Terms: teacher, labels (*lead), in nats.
    The published values, which vanish at both ends, are β(1 − β) times these.
    """

    title: ClassVar[str] = "Divergence dial"
    paper: ClassVar[str] = "after Agarwal et al., 2023, arXiv:2306.13649"

    beta: float = knob(
        0.5,
        slider=(0, 1),
        accepts=(0, 1),
        title="Divergence",
        symbol="β",
        meaning="0 = forward KL, ½ = Jensen–Shannon, 1 = reverse KL",
    )
    temperature: float = temperature(4.0)
    alpha: float = alpha(0.9)

    def loss(
        self, student: Outputs, teacher: Outputs | None, batch: Batch, adapter: nn.Module | None
    ) -> Mapping[str, Tensor]:
        """The softened divergence at β, and cross-entropy with the labels."""
        assert teacher is not None
        z = student.logits
        soft = between(*softened(teacher.logits, z, self.temperature), self.beta)
        return {
            "teacher": (self.alpha * self.temperature**2 * soft).to(z.dtype),
            "labels": (1 - self.alpha) * cross_entropy(z, batch.y),
        }
