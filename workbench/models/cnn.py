"""Small convolutional networks for small pictures."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from torch import Tensor, nn

from workbench.base import Outputs
from workbench.models._network import Conv, Dense, Network, Norm


class CNN(Network):
    """Three 3 × 3 convolutions (w, 2w, 2w channels; the second halves the picture), pooled.

    Shapes: x (B, C, H, W) or (n, B, C, H, W); logits (*lead, B, K); features "stage1" … "stage3"
    (*lead, B, H·W, channels) with their grids.
    """

    MAPS: ClassVar[bool] = True
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

    def forward(self, x: Tensor, features: bool = False) -> Outputs:
        """Logits, and the three stages when asked for."""
        if x.ndim > 4:  # every student has its own batch: (n, B, C, …) to (B, n · C, …)
            x = x.movedim(0, 1).flatten(1, 2)
        seen: dict[str, Tensor] = {}
        grids: dict[str, tuple[int, int]] = {}
        for i, (conv, norm) in enumerate(zip(self.convs, self.norms, strict=True), 1):
            x = norm(conv(x)).relu()
            if features:
                maps = x.flatten(2).unflatten(1, (*self.lead, -1))
                seen[f"stage{i}"] = maps.movedim(0, -3).transpose(-1, -2)
                grids[f"stage{i}"] = (x.shape[-2], x.shape[-1])
        pooled = x.mean((-1, -2)).T.unflatten(0, (*self.lead, -1))
        return Outputs(self.classify(pooled.transpose(-1, -2)), seen, grids)

    def classify(self, embedding: Tensor) -> Tensor:
        """The head's logits (*lead, B, K) for pooled maps (*lead, B, 2w)."""
        return self.head.rows(embedding)
