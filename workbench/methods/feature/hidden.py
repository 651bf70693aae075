"""Hidden states: the student's layer, through a learnt projection, looks like the teacher's."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor, nn

from workbench.base import Batch, Build, Method, Outputs, knob
from workbench.functional import cosine_gap, cross_entropy, square_gap
from workbench.methods._knobs import weighs
from workbench.methods._layers import Pairs, Projections, layers, matched, projected


@dataclass(frozen=True)
class Hidden(Method):
    r"""$\mathrm{CE}(y,z_s) + w\,d(W f_s + b,\,f_t)$, $d$ = mean square or $1-\cos$

    with W and b learnt beside the student and dropped afterwards.

    The projection lets the widths differ, and no longer asks that the student's third channel be
    the teacher's third: any linear copy will do. The cosine ignores how long the vectors are, so
    nothing keeps the student's from growing; the mean square asks for the size as well.

    Shapes: features (*lead, B, P, D) of both (grids meet at the smaller one, else P is averaged
    away), batch.y (B,) or (*lead, B) with −1 = unlabelled (no label term there). Terms: hidden,
    labels (*lead). Means over samples, positions and width. DistilBERT uses the cosine (weight 1).
    """

    title: ClassVar[str] = "Hidden states"
    paper: ClassVar[str] = (
        "Sanh et al., 2019, arXiv:1910.01108; Jiao et al., 2020, arXiv:1909.10351"
    )
    needs: ClassVar[frozenset[str]] = frozenset({"teacher", "features"})

    distance: str = knob("square", choices=("square", "cosine"), meaning="mean square or 1 − cos")
    weight: float = weighs(10.0, "w", "of the hidden states", 100)
    layers: Pairs = layers()

    def setup(
        self, student: Outputs, teacher: Outputs | None, sample: Batch, n: int, build: Build
    ) -> nn.Module | None:
        """A projection for each pair of layers."""
        return Projections(build, matched("Hidden", self.layers, student, teacher), nn.Linear)

    def loss(
        self, student: Outputs, teacher: Outputs | None, batch: Batch, adapter: nn.Module | None
    ) -> Mapping[str, Tensor]:
        """The distance of the projected layers, and cross-entropy with the labels."""
        pairs = matched("Hidden", self.layers, student, teacher)
        far = cosine_gap if self.distance == "cosine" else square_gap
        mine = projected(adapter, pairs)
        gaps = [far(f_s, f_t) for f_s, (_, f_t) in zip(mine, pairs, strict=True)]
        return {
            "hidden": self.weight * sum(gaps[1:], gaps[0]),
            "labels": cross_entropy(student.logits, batch.y),
        }
