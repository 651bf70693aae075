"""MLP-Mixer for small pictures: width, blocks, and p pixels a side of a patch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from torch import Tensor, nn

from workbench.models._network import Drawn, LayerNorm, Perceptron, TokenNetwork, truncated


class Mixer(TokenNetwork):
    r"""An MLP across the tokens and an MLP across the channels, in turn; no attention.

    Named `mixer-width-blocks-patch`. The MLP across tokens has half as many hidden units as the
    width, that across channels 4 times as many, as in Mixer-S and Mixer-B. Its weights belong
    to places: they say where a token lies without being told.

    Shapes: x (B, C, H, W) or (n, B, C, H, W); logits (*lead, B, K); features "block1", … and
    "norm" (*lead, B, tokens, width) with their grids.
    Source: Tolstikhin et al., 2021, arXiv:2105.01601, section 2.
    """

    DRAWN: ClassVar[Drawn] = staticmethod(truncated)
    SIZES: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "mixer-32-2-p2": {"width": 32, "depth": 2, "patch": 2},
        "mixer-64-4-p2": {"width": 64, "depth": 4, "patch": 2},
        "mixer-64-4-p4": {"width": 64, "depth": 4, "patch": 4},
        "mixer-128-8-p4": {"width": 128, "depth": 8, "patch": 4},
    }

    def __init__(
        self,
        shape: tuple[int, ...],
        classes: int,
        lead: tuple[int, ...],
        width: int,
        depth: int,
        patch: int,
    ) -> None:
        super().__init__(shape, classes, lead, width, patch)
        self.options = {"width": width, "depth": depth, "patch": patch}
        tokens = self.grid[0] * self.grid[1]
        self.blocks = nn.ModuleList(Block(lead, tokens, width) for _ in range(depth))


class Block(nn.Module):
    """An MLP across tokens, then one across channels; both are added to what came in."""

    def __init__(self, lead: tuple[int, ...], tokens: int, width: int) -> None:
        super().__init__()
        self.norms = nn.ModuleList(LayerNorm(lead, width) for _ in range(2))
        self.tokens = Perceptron(lead, tokens, width // 2)
        self.channels = Perceptron(lead, width, 4 * width)

    def forward(self, x: Tensor) -> tuple[Tensor, None]:
        """x (*lead, B, P, D), same shape back, and no attention."""
        x = x + self.tokens(self.norms[0](x).mT).mT
        return x + self.channels(self.norms[1](x)), None
