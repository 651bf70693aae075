"""DIST: match how teacher and student rank classes and samples, not their exact values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor, nn

from workbench.base import Batch, Method, Outputs
from workbench.functional import average, correlation, cross_entropy, softened
from workbench.methods._knobs import temperature, weighs


@dataclass(frozen=True)
class DIST(Method):
    r"""$\mathrm{CE}(y,z_s) + T^2[\beta\,(1-\bar\rho_{rows}) + \gamma\,(1-\bar\rho_{columns})]$

    with $\rho$ Pearson's correlation of the softened probabilities: between the classes of each
    sample (inter), and between the samples of the batch for each class (intra).

    A correlation ignores scale and offset. A student that is too small to reach a strong teacher's
    exact probabilities can still prefer what the teacher prefers, and is not punished further.

    Shapes: student.logits (*lead, B, K), teacher.logits (B, K) or (*lead, B, K), batch.y (B,) or
    (*lead, B) with −1 = unlabelled (no label term there). Terms: inter, intra, labels (*lead);
    both correlations go from 0 to 2. Two classes have rows with ρ = ±1 whatever the values, and a
    batch of one has no correlation over samples: there that term is left out, as 0. Defaults: the
    authors' for CIFAR-100; their T for ImageNet is 1. The T² is of their later code.
    """

    title: ClassVar[str] = "DIST"
    paper: ClassVar[str] = "Huang et al., 2022, arXiv:2205.10536"
    needs: ClassVar[frozenset[str]] = frozenset({"teacher", "whole batch"})

    temperature: float = temperature(4.0)
    beta: float = weighs(2.0, "β", "of the ranking of the classes", title="Inter")
    gamma: float = weighs(2.0, "γ", "of the ranking of the samples", title="Intra")

    def loss(
        self, student: Outputs, teacher: Outputs | None, batch: Batch, adapter: nn.Module | None
    ) -> Mapping[str, Tensor]:
        """One minus both mean correlations, and cross-entropy with the labels."""
        assert teacher is not None
        z = student.logits
        p, q = (log.exp() for log in softened(teacher.logits, z, self.temperature))
        inter = average(1 - correlation(q, p, -1)) if z.shape[-1] > 2 else 0 * q.sum((-1, -2))
        intra = average(1 - correlation(q, p, -2)) if z.shape[-2] > 1 else 0 * q.sum((-1, -2))
        scale = self.temperature**2
        return {
            "inter": (self.beta * scale * inter).to(z.dtype),
            "intra": (self.gamma * scale * intra).to(z.dtype),
            "labels": cross_entropy(z, batch.y),
        }
