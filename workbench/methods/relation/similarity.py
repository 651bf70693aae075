"""Similarity-preserving KD: copy which samples of the batch look alike."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor, nn

from workbench.base import Batch, Method, Outputs
from workbench.functional import cross_entropy, gram_gap, similarities
from workbench.methods._knobs import weighs
from workbench.methods._layers import Pairs, layers, paired


@dataclass(frozen=True)
class Similarity(Method):
    r"""$\mathrm{CE}(y,z_s) + \frac{w}{B^2}\lVert \hat G_s-\hat G_t\rVert_F^2$, $G=FF^\top$

    with each row of the B × B matrix G of dot products divided by its L2 norm.

    Samples which excite the same features in the teacher shall do so in the student, whichever
    features those are: G has the size of the batch, not of the layers. A rotation of all features
    changes nothing.

    Shapes: features (*lead, B, P, D) of both, whose D may differ, batch.y (B,) or
    (*lead, B) with −1 = unlabelled (no label term there); maps are flattened. Terms:
    similarities, labels (*lead). The row norm is L2; L1 gives another value.
    """

    title: ClassVar[str] = "Similarity-preserving KD"
    paper: ClassVar[str] = "Tung & Mori, 2019, arXiv:1907.09682"
    needs: ClassVar[frozenset[str]] = frozenset({"teacher", "features", "whole batch"})
    shows: ClassVar[str] = "similarities"

    weight: float = weighs(3000.0, "w", "of the similarities", 10000)
    layers: Pairs = layers()

    def loss(
        self, student: Outputs, teacher: Outputs | None, batch: Batch, adapter: nn.Module | None
    ) -> Mapping[str, Tensor]:
        """The difference of the similarity matrices, and cross-entropy with the labels."""
        pairs = paired("Similarity", self.layers, student, teacher)
        gaps = [gram_gap(mine.flatten(-2), its.flatten(-2)) for mine, its in pairs]
        return {
            "similarities": self.weight * sum(gaps[1:], gaps[0]),
            "labels": cross_entropy(student.logits, batch.y),
        }

    def view(self, features: Tensor) -> Tensor:
        """The dot products of samples, each row of length 1."""
        return similarities(features.flatten(-2))
