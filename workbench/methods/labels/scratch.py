"""Labels only: the baseline that every distilled student is compared with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor, nn

from workbench.base import Batch, Method, Outputs
from workbench.functional import at_labels, toward


@dataclass(frozen=True)
class Scratch(Method):
    r"""Ordinary training on labels: $\mathrm{CE}(y, \sigma(z_s))$, no teacher.

    Whatever a teacher gives must be more than this; without the same student on the same
    images beside it, no number of a distilled student means anything.

    Shapes: student.logits (*lead, B, K), batch.y (B,) or (*lead, B) with −1 = unlabelled (left
    out). Terms: labels (*lead), in nats.
    """

    title: ClassVar[str] = "Labels only"
    paper: ClassVar[str] = "maximum likelihood; no paper needed"
    needs: ClassVar[frozenset[str]] = frozenset({"labels"})
    fixed: ClassVar[bool] = True

    def targets(self, like: Tensor, teacher: Outputs | None, batch: Batch) -> tuple[Tensor, ...]:
        """Each label's share of the mean."""
        return (at_labels(batch.y, like),)

    def loss(
        self, student: Outputs, teacher: Outputs | None, batch: Batch, adapter: nn.Module | None
    ) -> Mapping[str, Tensor]:
        """Cross-entropy with the labels."""
        (weights,) = batch.targets or self.targets(student.logits, teacher, batch)
        return {"labels": toward(student.logits, weights)}
