"""VID: keep in the student's layer what it takes to predict the teacher's."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn

from workbench.base import Batch, Build, Method, Outputs, knob
from workbench.functional import cross_entropy, surprise
from workbench.methods._knobs import weighs
from workbench.methods._layers import Pairs, Projections, layers, matched, projected


class Gaussian(nn.Module):
    """Mean of the teacher's features given the student's, and a variance for each channel."""

    def __init__(self, width: int, target: int, variance: float = 5.0) -> None:
        super().__init__()
        widths = (width, target, target)
        self.mean = nn.ModuleList(nn.Linear(size, target, bias=False) for size in widths)
        start = math.log(math.expm1(variance - 1e-5))  # softplus of it, and the floor, is variance
        self.scale = nn.Parameter(torch.full((target,), start))

    def forward(self, f_s: Tensor) -> Tensor:
        """f_s (…, D) to mean and variance, side by side (…, 2 D')."""
        for i, layer in enumerate(self.mean):
            f_s = layer(f_s if i == 0 else f_s.relu())
        variance = nn.functional.softplus(self.scale) + 1e-5
        return torch.cat([f_s, variance.expand_as(f_s)], -1)


@dataclass(frozen=True)
class Vid(Method):
    r"""$\mathrm{CE}(y,z_s) + w\,\overline{\tfrac12[(f_t-\mu(f_s))^2/\sigma^2+\log\sigma^2]}$

    with μ three learnt 1 × 1 convolutions and σ² a learnt variance for each channel.

    The negative log-likelihood bounds the mutual information of the two layers from below: the
    student keeps what predicts the teacher. Channels that it cannot predict get a large variance
    and then count little, where a plain mean square would fight for them. If the variance were
    not learnt, this would be a mean square with another weight.

    Shapes: features (*lead, B, P, D) of both (grids meet at the smaller one, else P is averaged
    away), batch.y (B,) or (*lead, B) with −1 = unlabelled (no label term there). Terms:
    information, labels (*lead). `code` is the mean over samples, positions and width, to which
    the weight belongs; `paper` the sum over the last two, with a weight of one over 512 numbers.
    Without ½ log 2π; may be below 0.
    """

    title: ClassVar[str] = "Variational information"
    paper: ClassVar[str] = "Ahn et al., 2019, arXiv:1904.05835"
    needs: ClassVar[frozenset[str]] = frozenset({"teacher", "features"})

    weight: float = weighs(1.0, "w", "of the information", paper=0.002)
    layers: Pairs = layers()
    convention: str = knob("code", choices=("code", "paper"), meaning="mean (code) or sum")

    def setup(
        self, student: Outputs, teacher: Outputs | None, sample: Batch, n: int, build: Build
    ) -> nn.Module | None:
        """A Gaussian for each pair of layers."""
        return Projections(build, matched("Vid", self.layers, student, teacher), Gaussian)

    def loss(
        self, student: Outputs, teacher: Outputs | None, batch: Batch, adapter: nn.Module | None
    ) -> Mapping[str, Tensor]:
        """How surprising the teacher's features are, and cross-entropy with the labels."""
        pairs = matched("Vid", self.layers, student, teacher)
        gaps = []
        for said, (_, f_t) in zip(projected(adapter, pairs), pairs, strict=True):
            wide = said.shape[-1] == 2 * f_t.shape[-1]
            mean, variance = said.chunk(2, -1) if wide else (said, torch.ones_like(said))
            size = f_t.shape[-1] * f_t.shape[-2] if self.convention == "paper" else 1
            gaps.append(size * surprise(f_t, mean, variance))
        return {
            "information": self.weight * sum(gaps[1:], gaps[0]),
            "labels": cross_entropy(student.logits, batch.y),
        }
