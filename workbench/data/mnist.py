"""MNIST: 70 000 handwritten digits, 28 × 28 in grey, on which distillation was first shown."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from workbench.data._data import images, labelled
from workbench.data._official import NAMES, Idx, Sums


@dataclass(frozen=True)
class MNIST(Idx):
    """Ten digits: 55 000 train, 5000 validation, 10 000 test (the published one).

    Read from torchvision's cache, or downloaded through torchvision.
    """

    title: ClassVar[str] = "MNIST"
    source: ClassVar[str] = "LeCun, Bottou, Bengio & Haffner, 1998, Proc. IEEE 86(11)"
    shape: ClassVar[tuple[int, ...]] = (1, 28, 28)
    classes: ClassVar[int] = 10
    TORCHVISION: ClassVar[str] = "MNIST"
    SUMS: ClassVar[Mapping[str, Sums]] = {
        NAMES["train"][0]: Sums("f68b3c2dcbeaaa9fbdd348bbdeb94873"),
        NAMES["train"][1]: Sums("d53e105ee54ea40749a09fcbcd1e9432"),
        NAMES["test"][0]: Sums("9fb629c4189551a2d022fa330f9573f3"),
        NAMES["test"][1]: Sums("ec29112dd5afa0611ce80d1b7f02629c"),
    }

    images: int = images(55_000)
    labelled: int = labelled(55_000)
