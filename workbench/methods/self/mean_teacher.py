"""Mean teacher: the student agrees with the moving average of its own weights."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn

from workbench.base import Batch, Build, Method, Outputs, knob
from workbench.functional import average, cross_entropy, per_student
from workbench.methods._knobs import ramp_at, weighs


class Average(nn.Module):
    """The exponential moving average of the students' weights, and how often it moved."""

    moved: Tensor

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network.requires_grad_(False).eval()
        self.register_buffer("moved", torch.zeros((), dtype=torch.int64))

    @torch.no_grad()
    def say(self, x: Tensor) -> Tensor:
        """The logits of the average."""
        found: Outputs = self.network(x)
        return found.logits


@dataclass(frozen=True)
class MeanTeacher(Method):
    r"""$\mathrm{CE}(y,z_s) + w\,r(e)\,\frac{1}{BK}\sum\lVert p_s-p_{\bar\theta}\rVert^2$

    with $\bar\theta\leftarrow a\bar\theta+(1-a)\theta$ after each step and
    $a=\min(1-\frac{1}{\text{step}+1},\,a_{max})$; $r(e)=\exp(-5(1-e)^2)$ rises to 1 over the first
    share of the training.

    The average of weights over many steps is a better model than any of them, and it is at hand
    without training it. The early steps are a plain mean, or the average would remember an
    initialisation that knows nothing. Unlabelled samples count: agreeing needs no label.

    Shapes: student.logits (*lead, B, K), batch.x (B, …) or (n, B, …), batch.y (B,) or (*lead, B)
    with −1 = unlabelled. Terms: average, labels (*lead); the mean is over classes, to which the
    weight belongs. Weights are averaged, statistics of normalisation are copied. Both networks
    see the same picture: the noise between two views, which the paper adds, is left out.
    """

    title: ClassVar[str] = "Mean teacher"
    paper: ClassVar[str] = "Tarvainen & Valpola, 2017, arXiv:1703.01780"
    needs: ClassVar[frozenset[str]] = frozenset({"labels", "network"})
    exceptions: ClassVar[Mapping[str, str]] = {
        "classes": "the average is a network, whose classes keep their places"
    }

    weight: float = weighs(100.0, "w", "of agreeing with the average", 200)
    decay: float = knob(
        0.999, slider=(0.9, 0.9999), accepts=(0, 1), symbol="a",
        meaning="how much of the average stays at a step, once there were enough",
    )  # fmt: skip
    ramp_up: float = knob(0.3, slider=(0, 1), accepts=(0, 1), meaning="share until full weight")

    def setup(
        self, student: Outputs, teacher: Outputs | None, sample: Batch, n: int, build: Build
    ) -> nn.Module | None:
        """The average begins as the student does."""
        return Average(build.network())

    def loss(
        self, student: Outputs, teacher: Outputs | None, batch: Batch, adapter: nn.Module | None
    ) -> Mapping[str, Tensor]:
        """The difference from the average's probabilities, and cross-entropy with the labels."""
        z, z_a = student.logits, student.logits.detach()
        z_a = adapter.say(batch.x) if isinstance(adapter, Average) else z_a
        reached = torch.as_tensor(ramp_at(batch.progress, self.ramp_up)).to(z)
        ramp = torch.exp(-5 * (1 - reached).square())
        gap = average((z.softmax(-1) - z_a.softmax(-1)).square().mean(-1))
        return {"average": self.weight * ramp * gap, "labels": cross_entropy(z, batch.y)}

    def update(
        self, adapter: nn.Module, network: nn.Module, student: Outputs, teacher: Outputs | None,
        batch: Batch,
    ) -> None:  # fmt: skip
        """Move the average towards the student."""
        assert isinstance(adapter, Average)
        adapter.moved += 1
        least = 1 - torch.as_tensor(self.decay).to(student.logits)
        share = torch.maximum(least, 1 / (adapter.moved + 1))
        for mean, its in zip(adapter.network.parameters(), network.parameters(), strict=True):
            mean.lerp_(its, per_student(share, its))
        for old, new in zip(adapter.network.buffers(), network.buffers(), strict=True):
            old.copy_(new)
