"""Small convolutional networks for small pictures."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

from torch import Tensor, nn

from workbench.models._network import Conv, ConvNetwork, Dense, Norm


class CNN(ConvNetwork):
    """Three 3 × 3 convolutions (w, 2w, 2w channels; the second halves the picture), pooled.

    Shapes: x (B, C, H, W) or (n, B, C, H, W); logits (*lead, B, K); features "stage1" … "stage3"
    (*lead, B, H·W, channels) with their grids.
    """

    SIZES: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "cnn-4": {"width": 4},
        "cnn-8": {"width": 8},
        "cnn-16": {"width": 16},
        "cnn-32": {"width": 32},
    }

    def __init__(
        self, shape: tuple[int, ...], classes: int, lead: tuple[int, ...], width: int
    ) -> None:
        super().__init__(shape, classes, lead)
        self.options = {"width": width}
        channels = [shape[0], width, 2 * width, 2 * width]
        strides = [1, 2, 1]
        self.convs = nn.ModuleList(
            Conv(lead, a, b, s) for a, b, s in zip(channels, channels[1:], strides, strict=False)
        )
        self.norms = nn.ModuleList(Norm(lead, c) for c in channels[1:])
        self.head = Dense(lead, channels[-1], classes)

    def stages(self, x: Tensor) -> Iterator[Tensor]:
        """The maps after each convolution, its norm and ReLU."""
        for conv, norm in zip(self.convs, self.norms, strict=True):
            x = norm(conv(x)).relu()
            yield x
