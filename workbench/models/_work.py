"""What a call costs, counted while it is made and without what PyTorch's own counter imports."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode


class Counter(TorchFunctionMode):
    """Counts the operations of matrix products, convolutions and attention, two a multiply-add.

    `evaluation.flops` counts the same below autograd, where foreign networks' fused products can
    be seen; the first time it takes a second, because PyTorch then imports its compiler. Networks
    of ours call every product by its name.
    """

    operations = 0

    def __torch_function__(
        self,
        function: Callable[..., Any],
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        """The call, counted."""
        made = function(*args, **(kwargs or {}))
        name = getattr(function, "__name__", "")
        if name == "conv2d":
            self._add(made, args[1][0].numel())
        elif name in ("addmm", "baddbmm"):
            self._add(made, args[1].shape[-1])
        elif name in ("mm", "bmm", "matmul", "linear"):
            self._add(made, args[0].shape[-1])
        elif name == "scaled_dot_product_attention":  # q kᵀ, then what it weighs
            self._add(made, args[1].shape[-2])
            self._add(args[0], args[1].shape[-2])
        return made

    def _add(self, made: Tensor, terms: int) -> None:
        self.operations += 2 * made.numel() * terms


@torch.no_grad()
def operations(network: nn.Module, x: Tensor) -> int:
    """The floating-point operations of network(x)."""
    with Counter() as counter:
        network(x)
    return int(counter.operations)
