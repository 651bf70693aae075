"""What every network of ours has: named sizes, a stack of students, an initialisation by seed."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Self

import torch
from torch import Tensor, nn

from workbench.base import Outputs


class Network(nn.Module):
    """A network, or a stack of n of one shape whose parameters have a leading axis (n,).

    A stack runs all its students in one pass; student i of a stack built with `seeds` equals
    the single network built with `seeds[i]`.
    """

    #: name -> options of __init__
    SIZES: ClassVar[Mapping[str, Mapping[str, Any]]] = {}
    #: whether its features are maps over a grid
    MAPS: ClassVar[bool] = False

    def __init__(self, shape: tuple[int, ...], classes: int, lead: tuple[int, ...]) -> None:
        super().__init__()
        self.shape, self.classes, self.lead = shape, classes, lead
        self.options: dict[str, Any] = {}

    def forward(self, x: Tensor, features: bool = False) -> Outputs:
        """x (B, *shape) shared, or (n, B, *shape), to outputs with logits (*lead, B, K).

        The logits are `classify` of the last feature's mean over positions.
        """
        raise NotImplementedError

    def classify(self, embedding: Tensor) -> Tensor:
        """The head, one linear layer: embedding (*lead, B, D) to logits (*lead, B, K)."""
        raise NotImplementedError

    @torch.no_grad()
    def initialise(self, seeds: Sequence[int]) -> None:
        """Uniform in ±1/√fan_in, drawn for each student from a generator of its own seed."""
        for i, seed in enumerate(seeds):
            generator = torch.Generator().manual_seed(seed)
            for module in self.modules():
                if isinstance(module, (Dense, Conv)):
                    bound = 1 / math.sqrt(math.prod(module.weight.shape[len(self.lead) + 1 :]))
                    for parameter in (module.weight, module.bias):
                        one = parameter[i] if self.lead else parameter
                        drawn = torch.rand(one.shape, generator=generator)
                        one.copy_((2 * drawn - 1) * bound)

    def student(self, i: int) -> Self:
        """Student i of the stack as an ordinary network of its own, with copied weights."""
        single = type(self)(self.shape, self.classes, (), **self.options)
        state = self.state_dict()
        if self.lead:
            state = {name: value[i] if value.ndim else value for name, value in state.items()}
        single.load_state_dict({name: value.clone() for name, value in state.items()})
        return single.to(next(self.parameters())).train(self.training)


class Dense(nn.Module):
    """A linear layer for a stack, on activations (…, D, B): features first, samples last.

    Samples last in memory makes every softmax and bias run along the long axis, and lets the
    first layer of a whole stack be one matrix product when its students share the batch.
    """

    def __init__(self, lead: tuple[int, ...], inputs: int, outputs: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(*lead, outputs, inputs))
        self.bias = nn.Parameter(torch.zeros(*lead, outputs))

    def forward(self, h: Tensor) -> Tensor:
        """h (D, B) shared or (*lead, D, B) to (*lead, outputs, B)."""
        weight, bias = self.weight, self.bias
        if weight.ndim == 2:
            return torch.addmm(bias.unsqueeze(-1), weight, h)
        if h.ndim == 2:
            n, outputs, inputs = weight.shape
            return torch.addmm(bias.view(-1, 1), weight.view(-1, inputs), h).view(n, outputs, -1)
        return torch.baddbmm(bias.unsqueeze(-1), weight, h)

    def rows(self, h: Tensor) -> Tensor:
        """The same for samples first: h (*lead, B, D) to (*lead, B, outputs), not in memory."""
        return self(h.transpose(-1, -2)).transpose(-1, -2)


class Conv(nn.Module):
    """A 3 × 3 convolution for a stack, as one grouped convolution over channels (n · C)."""

    def __init__(self, lead: tuple[int, ...], inputs: int, outputs: int, stride: int = 1) -> None:
        super().__init__()
        self.stride, self.inputs = stride, inputs
        self.weight = nn.Parameter(torch.zeros(*lead, outputs, inputs, 3, 3))
        self.bias = nn.Parameter(torch.zeros(*lead, outputs))

    def forward(self, x: Tensor) -> Tensor:
        """x (B, C, H, W) shared or (B, n · C, H, W) to (B, n · outputs, H', W')."""
        weight = self.weight.flatten(0, -4) if self.weight.ndim > 4 else self.weight
        groups = x.shape[1] // self.inputs
        return nn.functional.conv2d(
            x, weight, self.bias.flatten(), stride=self.stride, padding=1, groups=groups
        )


class Norm(nn.Module):
    """Batch normalisation for a stack: per student and channel."""

    running_mean: Tensor
    running_var: Tensor

    def __init__(self, lead: tuple[int, ...], channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(*lead, channels))
        self.bias = nn.Parameter(torch.zeros(*lead, channels))
        self.register_buffer("running_mean", torch.zeros(*lead, channels))
        self.register_buffer("running_var", torch.ones(*lead, channels))

    def forward(self, x: Tensor) -> Tensor:
        """x (B, n · C, H, W), same shape back; batch statistics only in train mode."""
        return nn.functional.batch_norm(
            x,
            self.running_mean.view(-1),
            self.running_var.view(-1),
            self.weight.flatten(),
            self.bias.flatten(),
            training=self.training,
        )
