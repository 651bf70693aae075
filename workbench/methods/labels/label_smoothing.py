"""Label smoothing: softer labels without a teacher, the control for "softness"."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor, nn

from workbench.base import Batch, Method, Outputs, knob
from workbench.functional import at_labels, toward


@dataclass(frozen=True)
class LabelSmoothing(Method):
    r"""$(1-\varepsilon)\,\mathrm{CE}(y,p) - \frac{\varepsilon}{K}\sum_k\log p_k$, $p=\sigma(z_s)$

    Every wrong class gets the same share, so the target is soft but says nothing about which
    classes are alike: what distillation adds beyond this is the teacher's knowledge, not softness.
    Its minimum is the entropy of the smoothed target, not 0.

    Shapes: student.logits (*lead, B, K), batch.y (B,) or (*lead, B) with −1 = unlabelled (left
    out, not given the uniform target). Terms: labels, uniform (*lead), in nats.
    """

    title: ClassVar[str] = "Label smoothing"
    paper: ClassVar[str] = "Szegedy et al., 2015, arXiv:1512.00567"
    needs: ClassVar[frozenset[str]] = frozenset({"labels"})

    epsilon: float = knob(
        0.1,
        slider=(0, 0.9),
        accepts=(0, 1),
        title="Smoothing",
        symbol="ε",
        meaning="share of the target spread evenly over all classes",
    )

    def targets(self, like: Tensor, teacher: Outputs | None, batch: Batch) -> tuple[Tensor, ...]:
        """Each label's share of the mean, and the same share of every class."""
        at = at_labels(batch.y, like)
        return at, at.sum(-2, keepdim=True).expand_as(at) / like.shape[-1]

    def loss(
        self, student: Outputs, teacher: Outputs | None, batch: Batch, adapter: nn.Module | None
    ) -> Mapping[str, Tensor]:
        """Cross-entropy with the label, and with the uniform distribution."""
        label, every = batch.targets or self.targets(student.logits, teacher, batch)
        return {
            "labels": (1 - self.epsilon) * toward(student.logits, label),
            "uniform": self.epsilon * toward(student.logits, every),
        }
