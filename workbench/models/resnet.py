"""Residual networks for small pictures, as the field's tables name them: depth, then width."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

from torch import Tensor, nn

from workbench.models._network import Conv, ConvNetwork, Dense, Drawn, Norm, kaiming


class ResNet(ConvNetwork):
    r"""Three stages of $n$ blocks $\mathrm{ReLU}(x + F(x))$: depth $6n + 2$ (He 2016).

    Widths 16, 32, 64 behind a stem of 16, and with `x4` 64, 128, 256 behind one of 32; the second
    and third stage halve the picture. Where a block changes shape its shortcut is a 1 × 1
    convolution with a norm (He's option B), as in the tables of RepDistiller (Tian 2020), whose
    networks these are; He's own for CIFAR pad with zeros (option A), which saves 1 % of the
    weights.

    Shapes: x (B, C, H, W) or (n, B, C, H, W); logits (*lead, B, K); features "stage1" … "stage3"
    (*lead, B, H·W, channels) with their grids, each after its last ReLU.
    Source: He, Zhang, Ren & Sun, 2016, arXiv:1512.03385, section 4.2.
    """

    DRAWN: ClassVar[Drawn] = staticmethod(kaiming)
    TEACHING: ClassVar[Mapping[str, Any]] = {**ConvNetwork.TEACHING, "steps": 150}
    SIZES: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        **{f"resnet-{d}": {"depth": d, "width": 1} for d in (8, 14, 20, 32, 56, 110)},
        **{f"resnet{d}x4": {"depth": d, "width": 4} for d in (8, 32)},
    }

    def __init__(
        self, shape: tuple[int, ...], classes: int, lead: tuple[int, ...], depth: int, width: int
    ) -> None:
        super().__init__(shape, classes, lead)
        self.options = {"depth": depth, "width": width}
        stem = 16 if width == 1 else 32
        widths = [stem, *(16 * width * 2**i for i in range(3))]
        self.stem = Conv(lead, shape[0], stem, bias=False)
        self.norm = Norm(lead, stem)
        self.blocks = nn.ModuleList(
            nn.Sequential(
                Block(lead, widths[i], widths[i + 1], stride=1 if i == 0 else 2),
                *(Block(lead, widths[i + 1], widths[i + 1]) for _ in range((depth - 2) // 6 - 1)),
            )
            for i in range(3)
        )
        self.head = Dense(lead, widths[-1], classes)

    def stages(self, x: Tensor) -> Iterator[Tensor]:
        """The maps after each stage of blocks."""
        x = self.norm(self.stem(x)).relu()
        for blocks in self.blocks:
            x = blocks(x)
            yield x


class Block(nn.Module):
    """Two convolutions with norms, added to what came in."""

    def __init__(self, lead: tuple[int, ...], inputs: int, outputs: int, stride: int = 1) -> None:
        super().__init__()
        self.first = Conv(lead, inputs, outputs, stride, bias=False)
        self.second = Conv(lead, outputs, outputs, bias=False)
        self.norms = nn.ModuleList(Norm(lead, outputs) for _ in range(2))
        self.shortcut = nn.Sequential()
        if stride > 1 or inputs != outputs:
            self.shortcut.append(Conv(lead, inputs, outputs, stride, kernel=1, bias=False))
            self.shortcut.append(Norm(lead, outputs))

    def forward(self, x: Tensor) -> Tensor:
        """x (B, n · inputs, H, W) to (B, n · outputs, H', W')."""
        h = self.norms[0](self.first(x)).relu()
        total: Tensor = self.norms[1](self.second(h)) + self.shortcut(x)
        return total.relu()
