"""Correlation congruence: copy a kernel between samples, richer than their dot product."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn

from workbench.base import Batch, Method, Outputs, knob
from workbench.functional import cross_entropy, embedding, kernel, kernel_gap
from workbench.methods._knobs import weighs
from workbench.methods._layers import Pairs, layers, paired


@dataclass(frozen=True)
class CorrelationCongruence(Method):
    r"""$\mathrm{CE}(y,z_s) + \frac{w}{B^2}\lVert K_s-K_t\rVert_F^2$

    with $K_{ij}=\sum_{p=0}^{2}e^{-2\gamma}\frac{(2\gamma)^p}{p!}(\hat f_i^\top\hat f_j)^p$ on
    features of length 1: the Taylor series of a Gaussian kernel of their distance.

    Higher powers weigh pairs that are alike more than a plain correlation does. The features must
    have length 1: only then does the series mean a Gaussian, and without it the powers explode.

    Shapes: features (*lead, B, P, D) of both, whose D may differ, batch.y (B,) or
    (*lead, B) with −1 = unlabelled (no label term there). Terms: correlations, labels (*lead).
    With the published weight, 0.003, this mean changes nothing; the default here is our own.
    """

    title: ClassVar[str] = "Correlation congruence"
    paper: ClassVar[str] = "Peng et al., 2019, arXiv:1904.01802"
    needs: ClassVar[frozenset[str]] = frozenset({"teacher", "features", "whole batch"})
    shows: ClassVar[str] = "correlations"

    weight: float = weighs(100.0, "w", "of the correlations", 1000)
    gamma: float = knob(
        0.4, slider=(0.1, 2), accepts=(0.001, 10), symbol="γ", meaning="the kernel's width"
    )
    layers: Pairs = layers()

    def loss(
        self, student: Outputs, teacher: Outputs | None, batch: Batch, adapter: nn.Module | None
    ) -> Mapping[str, Tensor]:
        """The difference of the kernels, and cross-entropy with the labels."""
        pairs = paired("CorrelationCongruence", self.layers, student, teacher)
        gaps = [kernel_gap(embedding(mine), embedding(its), self.gamma) for mine, its in pairs]
        return {
            "correlations": self.weight * sum(gaps[1:], gaps[0]),
            "labels": cross_entropy(student.logits, batch.y),
        }

    def view(self, features: Tensor) -> Tensor:
        """The kernel between samples."""
        return kernel(embedding(features), torch.tensor(self.gamma).to(features))
