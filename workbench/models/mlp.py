"""Multilayer perceptrons: small enough that a class can watch two dozen of them train."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from torch import Tensor, nn

from workbench.base import Outputs
from workbench.models._network import Dense, Network


class MLP(Network):
    """Dense layers with ReLU between them.

    Shapes: x (B, *shape) or (n, B, *shape); logits (*lead, B, K), in memory (*lead, K, B);
    features "hidden1", … (*lead, B, 1, width).
    """

    #: it has no maps, and wants fewer calls
    AT_ONCE: ClassVar[int] = 1024
    TEACHING: ClassVar[Mapping[str, Any]] = {
        "steps": 600, "batch_size": 64, "learning_rate": 2e-3, "events": 20,
    }  # fmt: skip
    LARGE: ClassVar[Mapping[str, Any]] = {
        "steps": 4000, "batch_size": 128, "schedule": "cosine",
    }  # fmt: skip
    SIZES: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "mlp-4": {"widths": (4,)},
        "mlp-8": {"widths": (8,)},
        "mlp-16": {"widths": (16,)},
        "mlp-32": {"widths": (32,)},
        "mlp-64": {"widths": (64,)},
        "mlp-64-64": {"widths": (64, 64)},
        "mlp-256-256": {"widths": (256, 256)},
        "mlp-800-800": {"widths": (800, 800)},
        "mlp-1200-1200": {"widths": (1200, 1200)},
    }

    def __init__(
        self, shape: tuple[int, ...], classes: int, lead: tuple[int, ...], widths: Sequence[int]
    ) -> None:
        super().__init__(shape, classes, lead)
        self.options = {"widths": tuple(widths)}
        sizes = [math.prod(shape), *widths, classes]
        pairs = zip(sizes[:-1], sizes[1:], strict=True)
        self.layers = nn.ModuleList(Dense(lead, a, b) for a, b in pairs)

    def forward(self, x: Tensor, features: bool = False) -> Outputs:
        """Logits, and the hidden activations when asked for."""
        h = x.flatten(-len(self.shape)).transpose(-1, -2)
        seen: dict[str, Tensor] = {}
        *hidden, _ = self.layers
        for i, layer in enumerate(hidden, 1):
            h = layer(h).relu()
            if features:
                seen[f"hidden{i}"] = h.transpose(-1, -2).unsqueeze(-2)
        return Outputs(self.classify(h.transpose(-1, -2)), seen)

    def classify(self, embedding: Tensor) -> Tensor:
        """The last layer's logits (*lead, B, K) for the last hidden (*lead, B, width)."""
        head: Any = self.layers[-1]
        logits: Tensor = head.rows(embedding)
        return logits
