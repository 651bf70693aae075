"""Relational KD: copy the distances between samples and the angles at them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn

from workbench.base import BadInput, Batch, Method, Outputs, knob
from workbench.functional import (
    angles,
    cross_entropy,
    distances,
    embedding,
    relative_distances,
)
from workbench.methods._knobs import weighs
from workbench.methods._layers import Pairs, layers, paired


@dataclass(frozen=True)
class RKD(Method):
    r"""$\mathrm{CE}(y,z_s) + w_d\,\overline{h(\psi_s,\psi_t)} + w_a\,\overline{h(\cos_s,\cos_t)}$

    with $\psi_{ij}=\lVert f_i-f_j\rVert/\mu$ the distances over their mean μ, $\cos_{ijk}$ the
    cosine of the angle at i between j and k, and h the Huber loss with δ = 1.

    The student may place samples anywhere, as long as they lie to each other as the teacher's do:
    rotating, moving or scaling all features changes nothing, and widths may differ.

    Shapes: features (*lead, B, P, D) of both, whose D may differ, batch.y (B,) or
    (*lead, B) with −1 = unlabelled (no label term there). Terms: distances, angles,
    labels (*lead).
    `code` averages over all B² pairs and B³ triplets, to which the weights belong; `paper` sums,
    and its weights are those over B² and B³ for a batch of 64.
    Pairs closer than 0.01 μ have no angle: its gradient grows with the inverse of the distance.
    Raises BadInput for fewer than 2 samples (3 for angles), and more than 128 for angles; with
    angle = 0 there are none.
    """

    title: ClassVar[str] = "Relational KD"
    paper: ClassVar[str] = "Park et al., 2019, arXiv:1904.05068"
    needs: ClassVar[frozenset[str]] = frozenset({"teacher", "features", "whole batch"})
    shows: ClassVar[str] = "distances"

    distance: float = weighs(25.0, "", "of the distances", 100, paper=0.006)
    angle: float = weighs(50.0, "", "of the angles", 200, paper=0.0002)
    layers: Pairs = layers()
    convention: str = knob("code", choices=("code", "paper"), meaning="mean (code) or sum")

    def loss(
        self, student: Outputs, teacher: Outputs | None, batch: Batch, adapter: nn.Module | None
    ) -> Mapping[str, Tensor]:
        """Huber losses of distances and angles, and cross-entropy with the labels."""
        rows = len(batch.y) if batch.y.ndim == 1 else batch.y.shape[-1]
        low, high = self.batches()
        angled = low == 3
        if not low <= rows <= high:
            raise BadInput(
                f"RKD: a batch of {rows}: expected {'3 to 128' if angled else 'at least 2'} "
                "samples, because an angle needs three and all triplets are compared; set "
                "batch_size (of a loader: drop_last=True)"
            )
        pairs = paired("RKD", self.layers, student, teacher)
        both = [(embedding(mine), embedding(its)) for mine, its in pairs]
        terms = (distances, angles if angled else lambda mine, its: 0 * distances(mine, its))
        each = [sum((of(*p) for p in both[1:]), of(*both[0])) for of in terms]
        size = [rows**2, rows**3] if self.convention == "paper" else [1, 1]
        return {
            "distances": self.distance * size[0] * each[0],
            "angles": self.angle * size[1] * each[1],
            "labels": cross_entropy(student.logits, batch.y),
        }

    def batches(self) -> tuple[float, float]:
        """Angles need three samples, and are compared in all triplets; distances need two."""
        angled = bool((torch.as_tensor(self.angle) != 0).any())
        return (3, 128) if angled else (2, math.inf)

    def view(self, features: Tensor) -> Tensor:
        """The distances between samples over their mean."""
        return relative_distances(embedding(features))
