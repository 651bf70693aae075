"""What every network of ours has: named sizes, a stack of students, an initialisation by seed."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar, Protocol, Self

import torch
from torch import Tensor, nn

from workbench.base import Outputs


class Drawn(Protocol):
    """How a parameter begins: written in place into `one` student's, drawn from a generator."""

    def __call__(
        self, module: nn.Module, name: str, one: Tensor, generator: torch.Generator
    ) -> None: ...


def uniform(module: nn.Module, name: str, one: Tensor, generator: torch.Generator) -> None:
    """Uniform in ±1/√fan_in, as torch's own layers begin."""
    if isinstance(module, (Dense, Conv)):
        bound = 1 / math.sqrt(module.fan_in)
        one.copy_((2 * torch.rand(one.shape, generator=generator) - 1) * bound)


def kaiming(module: nn.Module, name: str, one: Tensor, generator: torch.Generator) -> None:
    """Convolutions normal with variance 2/fan_out (He 2015, arXiv:1502.01852), the rest uniform.

    It keeps the size of what goes back through many layers with ReLU.
    """
    if isinstance(module, Conv):
        fan_out = one.shape[0] * one[0, 0].numel()
        one.copy_(torch.randn(one.shape, generator=generator) * math.sqrt(2 / fan_out))
    else:
        uniform(module, name, one, generator)


def truncated(module: nn.Module, name: str, one: Tensor, generator: torch.Generator) -> None:
    """Normal with σ = 1/√fan_in, cut at 2σ, biases zero: what passes keeps its size.

    The places of tokens begin with σ = 1/√width, about the size of the tokens themselves. (With
    0.02 for all, as large transformers have it, widths of 32 learn slowly.)
    """
    if isinstance(module, LayerNorm) or name == "bias":
        return
    std = 1 / math.sqrt(module.fan_in if isinstance(module, Dense) else one.shape[-1])
    nn.init.trunc_normal_(one, std=std, a=-2 * std, b=2 * std, generator=generator)


class Network(nn.Module):
    """A network, or a stack of n of one shape whose parameters have a leading axis (n,).

    A stack runs all its students in one pass; student i of a stack built with `seeds` equals
    the single network built with `seeds[i]`.
    """

    #: name -> options of __init__
    SIZES: ClassVar[Mapping[str, Mapping[str, Any]]] = {}
    #: whether its features are maps over a grid
    MAPS: ClassVar[bool] = False
    #: whether nearly all of its work is convolutions
    CONVOLVES: ClassVar[bool] = False
    #: it is asked about so many samples at once: more of what passes through many maps leaves the
    #: caches and takes twice as long
    AT_ONCE: ClassVar[int] = 128
    #: whether a stack of students can be one of it; else they train one by one
    STACKABLE: ClassVar[bool] = True
    #: how a teacher is trained on a thousand small pictures, where it differs from Recipe's own
    TEACHING: ClassVar[Mapping[str, Any]] = {
        "steps": 500, "batch_size": 64, "learning_rate": 1e-2, "schedule": "cosine", "events": 20,
    }  # fmt: skip
    #: and what of that changes with tens of thousands of pictures: a minute or two of one core
    LARGE: ClassVar[Mapping[str, Any]] = {"steps": 500, "batch_size": 128}
    #: how its weights begin
    DRAWN: ClassVar[Drawn] = staticmethod(uniform)

    def __init__(self, shape: tuple[int, ...], classes: int, lead: tuple[int, ...]) -> None:
        super().__init__()
        self.shape, self.classes, self.lead = shape, classes, lead
        self.options: dict[str, Any] = {}

    @classmethod
    def teaching(cls, options: Mapping[str, Any]) -> Mapping[str, Any]:
        """The fields of a teacher's recipe at a size."""
        return cls.TEACHING

    @classmethod
    def misfit(cls, shape: tuple[int, ...], options: Mapping[str, Any]) -> str:
        """Why a size cannot take samples of `shape`, and what to do; "" if it can."""
        return ""

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
        """Draw the weights as the family does, for each student from a generator of its seed."""
        for i, seed in enumerate(seeds):
            generator = torch.Generator().manual_seed(seed)
            for module in self.modules():
                for name, parameter in module.named_parameters(recurse=False):
                    one = parameter[i] if self.lead else parameter
                    self.DRAWN(module, name, one, generator)

    def student(self, i: int) -> Self:
        """Student i of the stack as an ordinary network of its own, with copied weights."""
        single = type(self)(self.shape, self.classes, (), **self.options)
        state = self.state_dict()
        if self.lead:
            state = {name: value[i] if value.ndim else value for name, value in state.items()}
        single.load_state_dict({name: value.clone() for name, value in state.items()})
        return single.to(next(self.parameters())).train(self.training)


class ConvNetwork(Network):
    """A network of convolutions: stages of maps, their mean over positions, one linear layer.

    Inside, the channels of all students lie side by side: (B, n · C, H, W).
    """

    MAPS: ClassVar[bool] = True
    CONVOLVES: ClassVar[bool] = True
    head: Dense

    @classmethod
    def misfit(cls, shape: tuple[int, ...], options: Mapping[str, Any]) -> str:
        """Samples that are no pictures, or smaller than 4 × 4, where halving leaves nothing."""
        if len(shape) == 3 and min(shape[1:]) >= 4:
            return ""
        return f"expected pictures (C, H, W) of at least 4 × 4, got {shape}; take an MLP: mlp-16"

    def stages(self, x: Tensor) -> Iterator[Tensor]:
        """The maps (B, n · C, H, W) after each stage; the last ones are pooled."""
        raise NotImplementedError

    def forward(self, x: Tensor, features: bool = False) -> Outputs:
        """Logits, and the stages when asked for."""
        if x.ndim > 4:  # every student has its own batch: (n, B, C, …) to (B, n · C, …)
            x = x.movedim(0, 1).flatten(1, 2)
        seen: dict[str, Tensor] = {}
        grids: dict[str, tuple[int, int]] = {}
        maps = x
        for i, maps in enumerate(self.stages(x), 1):
            if features:
                apart = maps.flatten(2).unflatten(1, (*self.lead, -1))
                seen[f"stage{i}"] = apart.movedim(0, -3).transpose(-1, -2)
                grids[f"stage{i}"] = (maps.shape[-2], maps.shape[-1])
        pooled = maps.mean((-1, -2)).T.unflatten(0, (*self.lead, -1))
        return Outputs(self.classify(pooled.transpose(-1, -2)), seen, grids)

    def classify(self, embedding: Tensor) -> Tensor:
        """The head's logits (*lead, B, K) for pooled maps (*lead, B, D)."""
        return self.head.rows(embedding)


class TokenNetwork(Network):
    """A network of tokens: patches of a picture, blocks, a norm, the tokens' mean, one layer.

    As a stack every layer is one batched product (`Dense.tokens`). Four students on 8 × 8
    pictures cost 2.6 (`vit-32-2-p2`) to 3.1 (`mixer-32-2-p2`) single runs, eight 5.6 to 6.6.
    """

    MAPS: ClassVar[bool] = True
    #: without strong decay it learns a thousand digits by heart: 94 % on others, not 97
    TEACHING: ClassVar[Mapping[str, Any]] = {
        **Network.TEACHING, "steps": 1000, "learning_rate": 3e-3, "weight_decay": 1.0,
    }  # fmt: skip
    place: nn.Parameter | None
    blocks: nn.ModuleList

    def __init__(
        self, shape: tuple[int, ...], classes: int, lead: tuple[int, ...], width: int, patch: int
    ) -> None:
        super().__init__(shape, classes, lead)
        self.patch, self.grid = patch, (shape[1] // patch, shape[2] // patch)
        self.embed = Dense(lead, shape[0] * patch**2, width)
        self.register_parameter("place", None)  # (*lead, P, width) where a token is told it
        self.norm = LayerNorm(lead, width)
        self.head = Dense(lead, width, classes)

    @classmethod
    def misfit(cls, shape: tuple[int, ...], options: Mapping[str, Any]) -> str:
        """Samples that are no pictures, or not a whole number of patches, or but one of them."""
        patch = options["patch"]
        wanted = f"that {patch} × {patch} patches fill"
        if len(shape) == 3 and not any(side % patch for side in shape[1:]):
            if max(shape[1:]) > patch:
                return ""
            wanted = "of more than one patch"
        instead = "a CNN: cnn-8" if len(shape) == 3 else "an MLP: mlp-16"
        return f"expected pictures (C, H, W) {wanted}, got {shape}; take {instead}"

    def forward(self, x: Tensor, features: bool = False) -> Outputs:
        """Logits, and tokens after each block and the last norm, and attention, when asked for."""
        x = self.embed.tokens(self.patches(x))
        if self.place is not None:
            x = x + self.place.unsqueeze(-3)
        seen: dict[str, Tensor] = {}
        extra: dict[str, Tensor] = {}
        for i, block in enumerate(self.blocks, 1):
            x, attention = block(x)
            if features:
                seen[f"block{i}"] = x
            if features and attention is not None:
                extra[f"attention{i}"] = attention
        x = self.norm(x)
        if features:
            seen["norm"] = x
        grids = dict.fromkeys(seen, self.grid)
        return Outputs(self.classify(x.mean(-2)), seen, grids, extra)

    def patches(self, x: Tensor) -> Tensor:
        """x (…, C, H, W) to (…, P, C · p · p), row by row."""
        rows, columns = self.grid
        x = x.unflatten(-2, (rows, -1)).unflatten(-1, (columns, -1))
        return x.movedim((-4, -2), (-5, -4)).flatten(-3).flatten(-3, -2)

    def classify(self, embedding: Tensor) -> Tensor:
        """The head's logits (*lead, B, K) for mean tokens (*lead, B, D)."""
        return self.head.rows(embedding)


class Dense(nn.Module):
    """A linear layer for a stack, on activations (…, D, B): features first, samples last.

    Samples last in memory makes every softmax and bias run along the long axis, and lets the
    first layer of a whole stack be one matrix product when its students share the batch.
    """

    def __init__(self, lead: tuple[int, ...], inputs: int, outputs: int) -> None:
        super().__init__()
        self.fan_in = inputs
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

    def tokens(self, h: Tensor) -> Tensor:
        """For tokens: h (B, P, D) shared or (*lead, B, P, D) to (*lead, B, P, outputs)."""
        weight, bias = self.weight, self.bias
        if weight.ndim == 2:
            return nn.functional.linear(h, weight, bias)
        if h.ndim == 3:
            every = nn.functional.linear(h, weight.flatten(0, 1), bias.flatten())
            return every.unflatten(-1, bias.shape).movedim(-2, 0)
        made = torch.baddbmm(bias.unsqueeze(-2), h.flatten(1, 2), weight.mT)
        return made.unflatten(1, h.shape[1:3])


def channels_last(x: Tensor) -> Tensor:
    """The same x (B, C, H, W), on a CPU with its channels last in memory.

    One batch of 128 pictures of 28 × 28 is then learnt 1.2 times as fast by `cnn-8`, four
    students at once 1.3 times, `cnn-32` 1.15 times; 8 × 8 pictures as fast as before. (Measured
    on two cores without AMX. A stack as one grouped convolution costs, for four students on
    8 × 8 pictures, 1.6 single runs of `cnn-8` and 2.9 of `resnet-8` or `wrn-16-1`, and 3.5 on
    28 × 28, where the arithmetic is all there is: as slices, one convolution each, it costs four,
    and two processes of two students take two, in wall time.)
    """
    if x.device.type != "cpu":
        return x
    if x.shape[1] > 1:
        return x.contiguous(memory_format=torch.channels_last)
    # With one channel both layouts are the same numbers; the strides say which is meant.
    x = x.contiguous()
    return x.as_strided(x.shape, (x.stride(0), 1, x.stride(2), 1))


class Conv(nn.Module):
    """A convolution for a stack, as one grouped convolution over channels (n · C).

    3 × 3 with a bias, or as `kernel` (odd) and `bias` say; padded, so that stride 1 keeps H and W.
    """

    def __init__(
        self,
        lead: tuple[int, ...],
        inputs: int,
        outputs: int,
        stride: int = 1,
        kernel: int = 3,
        bias: bool = True,
    ) -> None:
        super().__init__()
        self.stride, self.inputs, self.padding = stride, inputs, kernel // 2
        self.fan_in = inputs * kernel**2
        self.weight = nn.Parameter(torch.zeros(*lead, outputs, inputs, kernel, kernel))
        self.bias = nn.Parameter(torch.zeros(*lead, outputs)) if bias else None

    def forward(self, x: Tensor) -> Tensor:
        """x (B, C, H, W) shared or (B, n · C, H, W) to (B, n · outputs, H', W')."""
        weight = self.weight.flatten(0, -4) if self.weight.ndim > 4 else self.weight
        return nn.functional.conv2d(
            channels_last(x),
            channels_last(weight),
            None if self.bias is None else self.bias.flatten(),
            stride=self.stride,
            padding=self.padding,
            groups=x.shape[1] // self.inputs,
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


class LayerNorm(nn.Module):
    """Layer normalisation for a stack: over the width of each token."""

    def __init__(self, lead: tuple[int, ...], width: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(*lead, width))
        self.bias = nn.Parameter(torch.zeros(*lead, width))

    def forward(self, x: Tensor) -> Tensor:
        """x (*lead, B, P, D), same shape back."""
        normal = nn.functional.layer_norm(x, x.shape[-1:], eps=1e-6)
        weight, bias = (part[..., None, None, :] for part in (self.weight, self.bias))
        return normal * weight + bias


class Perceptron(nn.Module):
    """Two dense layers with GELU between them, on the last axis of tokens."""

    def __init__(self, lead: tuple[int, ...], width: int, hidden: int) -> None:
        super().__init__()
        self.wide = Dense(lead, width, hidden)
        self.narrow = Dense(lead, hidden, width)

    def forward(self, x: Tensor) -> Tensor:
        """x (*lead, B, P, D), same shape back."""
        return self.narrow.tokens(nn.functional.gelu(self.wide.tokens(x)))
