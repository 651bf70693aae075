"""CIFAR-100: 60 000 small colour photographs in a hundred classes, 32 × 32."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from workbench.data._data import images, labelled, left_out
from workbench.data._official import Cifar


@dataclass(frozen=True)
class CIFAR100(Cifar):
    """A hundred kinds, 600 of each: 45 000 train, 5000 validation, 10 000 test as published.

    Read from torchvision's cache, or downloaded through torchvision.
    """

    title: ClassVar[str] = "CIFAR-100"
    source: ClassVar[str] = "Krizhevsky, 2009, Learning multiple layers of features, Toronto"
    shape: ClassVar[tuple[int, ...]] = (3, 32, 32)
    classes: ClassVar[int] = 100
    TORCHVISION: ClassVar[str] = "CIFAR100"
    FOLDER: ClassVar[str] = "cifar-100-python"

    images: int = images(45_000)
    labelled: int = labelled(45_000)
    left_out: tuple[int, ...] = left_out(100)
