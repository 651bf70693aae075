"""LeNet: two convolutions with pooling, then dense layers: fast, and most weights in one layer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from torch import Tensor, nn

from workbench.base import Outputs
from workbench.models._network import Conv, Dense, Network


class LeNet(Network):
    """Two 3 × 3 convolutions (w, 2w channels), each pooled by two, and a dense layer of 4w.

    Shapes: x (B, C, H, W) or (n, B, C, H, W); logits (*lead, B, K); feature "hidden"
    (*lead, B, 1, 4w).
    Source: after LeCun, Bottou, Bengio & Haffner, 1998, with ReLU and maxima.
    """

    CONVOLVES: ClassVar[bool] = True
    SIZES: ClassVar[Mapping[str, Mapping[str, Any]]] = {"lenet-8": {"width": 8}}

    def __init__(
        self, shape: tuple[int, ...], classes: int, lead: tuple[int, ...], width: int
    ) -> None:
        super().__init__(shape, classes, lead)
        self.options = {"width": width}
        self.convs = nn.ModuleList([Conv(lead, shape[0], width), Conv(lead, width, 2 * width)])
        places = (shape[1] // 4) * (shape[2] // 4)
        self.hidden = Dense(lead, 2 * width * places, 4 * width)
        self.head = Dense(lead, 4 * width, classes)

    @classmethod
    def misfit(cls, shape: tuple[int, ...], options: Mapping[str, Any]) -> str:
        """Samples that are no pictures, or smaller than 4 × 4, where halving twice leaves none."""
        if len(shape) == 3 and min(shape[1:]) >= 4:
            return ""
        return f"expected pictures (C, H, W) of at least 4 × 4, got {shape}; take an MLP: mlp-16"

    def forward(self, x: Tensor, features: bool = False) -> Outputs:
        """Logits, and the hidden activations when asked for."""
        if x.ndim > 4:  # every student has its own batch: (n, B, C, …) to (B, n · C, …)
            x = x.movedim(0, 1).flatten(1, 2)
        for conv in self.convs:
            x = nn.functional.max_pool2d(conv(x).relu(), 2)
        h = self.hidden(x.flatten(1).T.unflatten(0, (*self.lead, -1))).relu()
        seen = {"hidden": h.transpose(-1, -2).unsqueeze(-2)} if features else {}
        return Outputs(self.classify(h.transpose(-1, -2)), seen)

    def classify(self, embedding: Tensor) -> Tensor:
        """The head's logits (*lead, B, K) for hidden activations (*lead, B, 4w)."""
        return self.head.rows(embedding)
