"""Wide residual networks: fewer layers, more channels, norm and ReLU before each convolution."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

from torch import Tensor, nn

from workbench.models._network import Conv, ConvNetwork, Dense, Drawn, Norm, kaiming


class WRN(ConvNetwork):
    """Three stages of n blocks, depth 6n + 4, widths 16w, 32w, 64w behind a stem of 16.

    Named `wrn-depth-width`. The blocks are pre-activation, without dropout: what goes on from
    block to block is never cut by a ReLU, so "stage1" and "stage2" have either sign; a last norm
    and ReLU make "stage3", whose mean the head reads.

    Shapes: x (B, C, H, W) or (n, B, C, H, W); logits (*lead, B, K); features "stage1" … "stage3"
    (*lead, B, H·W, channels) with their grids.
    Source: Zagoruyko & Komodakis, 2016, arXiv:1605.07146.
    """

    DRAWN: ClassVar[Drawn] = staticmethod(kaiming)
    TEACHING: ClassVar[Mapping[str, Any]] = {**ConvNetwork.TEACHING, "steps": 150}
    SIZES: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        f"wrn-{d}-{w}": {"depth": d, "width": w} for d in (16, 40) for w in (1, 2)
    }

    def __init__(
        self, shape: tuple[int, ...], classes: int, lead: tuple[int, ...], depth: int, width: int
    ) -> None:
        super().__init__(shape, classes, lead)
        self.options = {"depth": depth, "width": width}
        widths = [16, *(16 * width * 2**i for i in range(3))]
        self.stem = Conv(lead, shape[0], 16, bias=False)
        self.blocks = nn.ModuleList(
            nn.Sequential(
                Block(lead, widths[i], widths[i + 1], stride=1 if i == 0 else 2),
                *(Block(lead, widths[i + 1], widths[i + 1]) for _ in range((depth - 4) // 6 - 1)),
            )
            for i in range(3)
        )
        self.norm = Norm(lead, widths[-1])
        self.head = Dense(lead, widths[-1], classes)

    def stages(self, x: Tensor) -> Iterator[Tensor]:
        """The maps after each stage of blocks, the last after norm and ReLU."""
        x = self.stem(x)
        for i, blocks in enumerate(self.blocks, 1):
            x = blocks(x)
            yield self.norm(x).relu() if i == len(self.blocks) else x


class Block(nn.Module):
    """Norm, ReLU and convolution, twice, added to what came in.

    Where the width changes, the shortcut is a 1 × 1 convolution of what the first ReLU lets pass.
    """

    def __init__(self, lead: tuple[int, ...], inputs: int, outputs: int, stride: int = 1) -> None:
        super().__init__()
        self.norms = nn.ModuleList((Norm(lead, inputs), Norm(lead, outputs)))
        self.first = Conv(lead, inputs, outputs, stride, bias=False)
        self.second = Conv(lead, outputs, outputs, bias=False)
        self.shortcut: nn.Module | None = None
        if inputs != outputs:
            self.shortcut = Conv(lead, inputs, outputs, stride, kernel=1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """x (B, n · inputs, H, W) to (B, n · outputs, H', W')."""
        h = self.norms[0](x).relu()
        kept = x if self.shortcut is None else self.shortcut(h)
        total: Tensor = self.second(self.norms[1](self.first(h)).relu()) + kept
        return total
