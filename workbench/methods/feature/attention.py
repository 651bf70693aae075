"""Attention transfer: copy where the teacher looks, layer by layer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor, nn

from workbench.base import Batch, Method, Outputs, knob
from workbench.functional import attention_gap, attention_map, cross_entropy
from workbench.methods._knobs import weighs
from workbench.methods._layers import Pairs, layers, maps, resized


@dataclass(frozen=True)
class Attention(Method):
    r"""$\mathrm{CE}(y,z_s) + w\sum_l\,\overline{(\hat Q_s-\hat Q_t)^2}$, $Q=\sum_c|f_c|^p$

    with $\hat Q$ the map over H × W divided by its L2 norm: how strongly a layer answers at each
    place, whatever its channels mean. So widths may differ, and permuting channels changes
    nothing. Summing over channels is the point: without it neither would hold.

    Shapes: features (*lead, B, H·W, D) of both with their grids, the larger one pooled, batch.y
    (B,) or (*lead, B) with −1 = unlabelled (no label term there). Terms: attention, labels
    (*lead). `code` is the mean over batch and places, with weight 1000; `paper` is half the norm,
    not squared, mean over the batch, with 16: the paper divides its 1000 by the number of places,
    here 64 of an 8 × 8 map. Raises BadInput where a layer is no map.
    """

    title: ClassVar[str] = "Attention transfer"
    paper: ClassVar[str] = "Zagoruyko & Komodakis, 2017, arXiv:1612.03928"
    needs: ClassVar[frozenset[str]] = frozenset({"teacher", "features", "maps"})

    weight: float = weighs(1000.0, "w", "of the attention maps", 5000, paper=16.0)
    power: float = knob(2.0, slider=(1, 4), accepts=(1, 16), symbol="p", meaning="of activations")
    layers: Pairs = layers("all")
    convention: str = knob(
        "code", choices=("code", "paper"), meaning="mean square (code) or half the norm"
    )

    def loss(
        self, student: Outputs, teacher: Outputs | None, batch: Batch, adapter: nn.Module | None
    ) -> Mapping[str, Tensor]:
        """The differences of the attention maps, and cross-entropy with the labels."""
        pairs = maps("Attention", self.layers, student, teacher)
        squared = self.convention == "code"
        gaps = [attention_gap(*resized(p, student, teacher), self.power, squared) for p in pairs]
        return {
            "attention": self.weight * sum(gaps[1:], gaps[0]),
            "labels": cross_entropy(student.logits, batch.y),
        }

    def view(self, features: Tensor) -> Tensor:
        """The attention map."""
        return attention_map(features, self.power)
