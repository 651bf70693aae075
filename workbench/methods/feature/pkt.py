"""PKT: copy how probable each sample makes every other as its neighbour."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor, nn

from workbench.base import BadInput, Batch, Method, Outputs, knob
from workbench.functional import cross_entropy, embedding, neighbour_gap, neighbours
from workbench.methods._knobs import weighs
from workbench.methods._layers import Pairs, layers, paired


@dataclass(frozen=True)
class PKT(Method):
    r"""$\mathrm{CE}(y,z_s) + w\,\overline{p_{ij}\log(p_{ij}/q_{ij})}$

    with $p_{ij}=k_{ij}/\sum_j k_{ij}$, $k_{ij}=(\cos(f_i,f_j)+1)/2$: the probability that the
    teacher gives j as the neighbour of i; q is the student's.

    Probabilities of neighbours depend on the geometry alone, not on which features make it: widths
    may differ, and a rotation changes nothing.

    Shapes: features (*lead, B, P, D) of both, whose D may differ, batch.y (B,) or (*lead, B) with
    −1 = unlabelled (no label term there). Terms: neighbours, labels (*lead). `code` keeps each
    sample as its own neighbour and averages over B², with weight 30 000; `paper` leaves it out and
    sums over all pairs, with 1. There is no fixed factor between them. Raises BadInput for fewer
    than 2 samples.
    """

    title: ClassVar[str] = "Probabilistic knowledge transfer"
    paper: ClassVar[str] = "Passalis & Tefas, 2018, arXiv:1803.10837"
    needs: ClassVar[frozenset[str]] = frozenset({"teacher", "features", "whole batch"})
    shows: ClassVar[str] = "neighbours"

    weight: float = weighs(30000.0, "w", "of the neighbours", 60000, paper=1.0)
    layers: Pairs = layers()
    convention: str = knob("code", choices=("code", "paper"), meaning="mean (code) or sum")

    def loss(
        self, student: Outputs, teacher: Outputs | None, batch: Batch, adapter: nn.Module | None
    ) -> Mapping[str, Tensor]:
        """The divergence between neighbours, and cross-entropy with the labels."""
        if batch.y.shape[-1] < 2:
            raise BadInput(f"PKT: a batch of {batch.y.shape[-1]}: expected at least 2 samples; "
                           "set batch_size (of a loader: drop_last=True)")  # fmt: skip
        pairs = paired("PKT", self.layers, student, teacher)
        code = self.convention == "code"
        gaps = [neighbour_gap(embedding(mine), embedding(its), code) for mine, its in pairs]
        return {
            "neighbours": self.weight * sum(gaps[1:], gaps[0]),
            "labels": cross_entropy(student.logits, batch.y),
        }

    def batches(self) -> tuple[float, float]:
        """A neighbour is another sample."""
        return 2, math.inf

    def view(self, features: Tensor) -> Tensor:
        """How probable each sample makes every other as its neighbour."""
        return neighbours(embedding(features), self.convention == "code")
