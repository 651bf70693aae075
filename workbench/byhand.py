"""The one gradient that is written by hand: stacks of MLPs that learn fixed distributions.

At the size of a small student autograd's bookkeeping costs more than the numbers: the
first act's 24 MLPs of 64-16-10 take three quarters of the time of ONE by a plain loop, where with
autograd they took 1.8 times as long (`python -m workbench bench`). It pays for nothing else: a
convolution is bound by its arithmetic, and for losses that look at features there is no formula
this short.

A loss is fixed if its targets say all of it (`Method.fixed`):

    L = Σ_r Σ_kb w_rkb (log σ(s_r z_b)_k − c_rkb)          r: the terms, such as teacher and labels

with weights, scales s = 1/T and constants that do not move. Then

    ∂L/∂z_kb = Σ_r s_r (w_rkb − σ(s_r z_b)_k Σ_j w_rjb)

and from there back through dense layers and ReLUs, h' = relu(W h + b), with g = ∂L/∂(W h + b):

    ∂L/∂W = g hᵀ,   ∂L/∂b = Σ_b g,   ∂L/∂h = Wᵀ g where h > 0, else 0.

Everything lies with samples last, so that softmax and sums run along the long axis, and the first
layer of students that share the batch is one matrix product. Equal to autograd (tested).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from workbench.models.mlp import MLP


class Slope(NamedTuple):
    """What of ∂L/∂z does not depend on z; `scale` is None where it is 1.

    Shapes: scale ([R,] n, 1, 1), toward = s w ([R,] n, K, B), mass = s Σ_k w ([R,] n, 1, B), or
    broadcastable; leading axes more where they are about several steps.
    """

    scale: Tensor | None
    toward: Tensor
    mass: Tensor

    @classmethod
    def of(cls, targets: tuple[Tensor, ...]) -> Slope:
        """From a fixed method's targets: (weights,) or (scale, known, weights)."""
        scale, weight = (targets[0], targets[-1]) if len(targets) > 1 else (None, targets[0])
        toward = weight if scale is None else weight * scale
        return cls(scale, toward, toward.sum(-2, keepdim=True))

    def unbind(self) -> list[Slope]:
        """One for each step of the first axis."""
        scales = [None] * len(self.toward) if self.scale is None else list(self.scale)
        return [Slope(*one) for one in zip(scales, self.toward, self.mass, strict=True)]

    def at(self, z: Tensor, out: Tensor) -> None:
        """∂L/∂z for logits z (n, K, B), written to `out` like z."""
        q = torch.softmax(z if self.scale is None else z * self.scale, -2)
        several, same = self.toward.ndim > z.ndim, self.toward.dtype == out.dtype
        into = out if same and not several else None
        found = torch.addcmul(self.toward, q, self.mass, value=-1, out=into)
        if several:
            torch.sum(found, 0, dtype=out.dtype, out=out)
        elif into is None:
            out.copy_(found)


class ByHand:
    """Loss and gradient of a stack of MLPs; the weights are the network's own."""

    def __init__(self, network: MLP) -> None:
        layers: Any = network.layers
        self.weights = [layer.weight.detach() for layer in layers]
        self.biases = [layer.bias.detach() for layer in layers]
        #: of network.parameters(), in their order
        self.gradient = [torch.empty_like(p) for p in network.parameters()]
        self.seen: list[Tensor] = []  # what each layer was given

    @torch.no_grad()
    def logits(self, x: Tensor) -> Tensor:
        """x (B, D) shared or (n, B, D) to logits (n, K, B); what is between is kept."""
        h = x.transpose(-1, -2)
        self.seen = []
        for weight, bias in zip(self.weights, self.biases, strict=True):
            h = h.relu_() if self.seen else h
            self.seen.append(h)
            if h.ndim == 2:
                h = torch.addmm(bias.view(-1, 1), weight.view(-1, len(h)), h)
                h = h.unflatten(0, bias.shape)
            else:
                h = torch.baddbmm(bias.unsqueeze(-1), weight, h)
        return h

    @torch.no_grad()
    def back(self, z: Tensor, slopes: Sequence[tuple[slice, Slope]]) -> Tensor:
        """Write the gradient at the logits z; ∂L/∂(last bias) (n, K) tells who diverged."""
        g = torch.empty_like(z)
        for where, slope in slopes:
            slope.at(z[where], g[where])
        for i in reversed(range(len(self.weights))):
            into, bias, h = *self.gradient[2 * i : 2 * i + 2], self.seen[i]
            torch.sum(g, -1, out=bias)
            if h.ndim == 2:
                torch.mm(g.flatten(0, 1), h.T, out=into.view(-1, len(h)))
            else:
                torch.bmm(g, h.mT, out=into)
            if i:
                g = torch.ops.aten.threshold_backward(torch.bmm(self.weights[i].mT, g), h, 0)
        return self.gradient[-1]
