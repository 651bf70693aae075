"""NST: match the distributions of what the channels select in the picture."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor, nn

from workbench.base import Batch, Method, Outputs
from workbench.functional import cross_entropy, selectivity_gap
from workbench.methods._knobs import weighs
from workbench.methods._layers import Pairs, layers, maps, resized


@dataclass(frozen=True)
class NST(Method):
    r"""$\mathrm{CE}(y,z_s) + w\,[\overline{k(t,t)}+\overline{k(s,s)}-2\,\overline{k(s,t)}]$

    with $k(a,b)=(a^\top b)^2$: the maximum mean discrepancy between the channels of student and
    teacher, each channel a map over H × W of length 1.

    A channel selects places. Which channel does it is arbitrary, so not channels are compared but
    their distributions: permuting them changes nothing, and their numbers may differ.

    Shapes: features (*lead, B, H·W, D) of both with their grids, the larger one pooled, batch.y
    (B,) or (*lead, B) with −1 = unlabelled (no label term there). Terms: selectivity, labels
    (*lead). Raises BadInput where a layer is no map.
    """

    title: ClassVar[str] = "Neuron selectivity transfer"
    paper: ClassVar[str] = "Huang & Wang, 2017, arXiv:1707.01219"
    needs: ClassVar[frozenset[str]] = frozenset({"teacher", "features", "maps"})

    weight: float = weighs(50.0, "w", "of the selectivity", 200)
    layers: Pairs = layers()

    def loss(
        self, student: Outputs, teacher: Outputs | None, batch: Batch, adapter: nn.Module | None
    ) -> Mapping[str, Tensor]:
        """The discrepancy between the channels, and cross-entropy with the labels."""
        pairs = maps("NST", self.layers, student, teacher)
        chosen = pairs if self.layers else pairs[-1:]
        gaps = [selectivity_gap(*resized(pair, student, teacher)) for pair in chosen]
        return {
            "selectivity": self.weight * sum(gaps[1:], gaps[0]),
            "labels": cross_entropy(student.logits, batch.y),
        }
