"""Vision transformers for small pictures: width, blocks, and p pixels a side of a patch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from workbench.models._network import Dense, Drawn, LayerNorm, Perceptron, TokenNetwork, truncated


class ViT(TokenNetwork):
    r"""Pre-norm blocks $x + \mathrm{MSA}(\mathrm{LN}(x))$, $x + \mathrm{MLP}(\mathrm{LN}(x))$.

    Named `vit-width-blocks-patch`. Heads are 16 wide in the small sizes and 64 in
    `vit-192-12-p4`, which is ViT-Ti (DeiT-Ti) with smaller patches; the MLP is 4 times as wide
    as the tokens. There is no class token: the head reads the mean of the tokens after the last
    norm, which is as good and leaves every token a place on the grid (Beyer, Zhai & Kolesnikov,
    2022, arXiv:2205.01580).

    Shapes: x (B, C, H, W) or (n, B, C, H, W); logits (*lead, B, K); features "block1", … and
    "norm" (*lead, B, tokens, width) with their grids; `extra` has "attention1", …
    (*lead, B, heads, tokens, tokens), whose rows add up to 1.
    Source: Dosovitskiy et al., 2020, arXiv:2010.11929, section 3.1.
    """

    DRAWN: ClassVar[Drawn] = staticmethod(truncated)
    SIZES: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "vit-32-2-p2": {"width": 32, "depth": 2, "heads": 2, "patch": 2},
        "vit-64-4-p2": {"width": 64, "depth": 4, "heads": 4, "patch": 2},
        "vit-64-4-p4": {"width": 64, "depth": 4, "heads": 4, "patch": 4},
        "vit-192-12-p4": {"width": 192, "depth": 12, "heads": 3, "patch": 4},
    }

    def __init__(
        self,
        shape: tuple[int, ...],
        classes: int,
        lead: tuple[int, ...],
        width: int,
        depth: int,
        heads: int,
        patch: int,
    ) -> None:
        super().__init__(shape, classes, lead, width, patch)
        self.options = {"width": width, "depth": depth, "heads": heads, "patch": patch}
        self.place = nn.Parameter(torch.zeros(*lead, self.grid[0] * self.grid[1], width))
        self.blocks = nn.ModuleList(Block(lead, width, heads) for _ in range(depth))


class Block(nn.Module):
    """Attention between tokens, then an MLP of each; both are added to what came in."""

    def __init__(self, lead: tuple[int, ...], width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.norms = nn.ModuleList(LayerNorm(lead, width) for _ in range(2))
        self.mixed = Dense(lead, width, 3 * width)
        self.joined = Dense(lead, width, width)
        self.mlp = Perceptron(lead, width, 4 * width)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """x (*lead, B, P, D), same shape back; attention (*lead, B, heads, P, P)."""
        parts = self.mixed.tokens(self.norms[0](x)).unflatten(-1, (3, self.heads, -1)).unbind(-3)
        query, key, value = (part.transpose(-3, -2) for part in parts)  # (*lead, B, heads, P, d)
        attention = (query @ key.mT * query.shape[-1] ** -0.5).softmax(-1)
        heard = (attention @ value).transpose(-3, -2).flatten(-2)
        x = x + self.joined.tokens(heard)
        return x + self.mlp(self.norms[1](x)), attention
