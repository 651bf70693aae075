"""CIFAR-10: 60 000 small colour photographs in ten classes, 32 × 32."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from workbench.data._data import images, labelled
from workbench.data._official import Cifar


@dataclass(frozen=True)
class CIFAR10(Cifar):
    """Ten kinds of things: 45 000 train, 5000 validation, 10 000 test (the published one).

    Read from torchvision's cache, or downloaded through torchvision.
    """

    title: ClassVar[str] = "CIFAR-10"
    source: ClassVar[str] = "Krizhevsky, 2009, Learning multiple layers of features, Toronto"
    shape: ClassVar[tuple[int, ...]] = (3, 32, 32)
    classes: ClassVar[int] = 10
    TORCHVISION: ClassVar[str] = "CIFAR10"
    FOLDER: ClassVar[str] = "cifar-10-batches-py"

    images: int = images(45_000)
    labelled: int = labelled(45_000)

    @property
    def names(self) -> tuple[str, ...]:
        """Kinds of things, as they are published."""
        return (
            "airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship",
            "truck",
        )  # fmt: skip
