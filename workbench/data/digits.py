"""Handwritten digits, 8 × 8: real data that comes with the package, so nothing is downloaded."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
import torch

from workbench.base import BadInput
from workbench.data._data import Data, Samples, stratified

#: uint8: pixels (1797, 64) of 0 … 16, labels (1797,). `python -m workbench.assets` writes it.
FILE = Path(__file__).parent.parent / "assets" / "digits.npz"


@dataclass(frozen=True)
class Digits(Data):
    """1797 digits of 43 writers: 1000 train, 297 validation, 500 test, stratified by the split.

    The test part is never used for choosing anything. Pixels 0 … 16 are scaled to [0, 1].
    """

    title: ClassVar[str] = "Handwritten digits"
    source: ClassVar[str] = "Alpaydin & Kaynak, 1998, UCI; as scikit-learn has them"
    shape: ClassVar[tuple[int, ...]] = (1, 8, 8)
    classes: ClassVar[int] = 10
    EMBEDDED: ClassVar[bool] = True

    def parts(self) -> dict[str, Samples]:
        """Train (1000), validation (297) and test (500)."""
        return _parts(self.split)


@functools.lru_cache(maxsize=32)
def _parts(split: int) -> dict[str, Samples]:
    x, y = _read()
    order = torch.from_numpy(stratified(split, y.numpy()))
    cuts = {"train": (0, 1000), "validation": (1000, 1297), "test": (1297, 1797)}
    return {name: Samples(x[order[a:b]], y[order[a:b]]) for name, (a, b) in cuts.items()}


@functools.lru_cache(maxsize=1)
def _read() -> tuple[torch.Tensor, torch.Tensor]:
    """x (1797, 1, 8, 8), y (1797,).

    From an array file of ours, which a test holds equal to `sklearn.datasets.load_digits`: that
    takes a second to import, which every worker would pay before its first step.
    """
    try:
        with np.load(FILE, allow_pickle=False) as kept:
            pixels, labels = kept["pixels"], kept["labels"]
    except (OSError, ValueError, KeyError) as error:
        raise BadInput(f"digits: {FILE}: {error}; install this package again") from None
    x = torch.from_numpy(pixels.astype(np.float32) / 16).reshape(-1, 1, 8, 8)
    return x, torch.from_numpy(labels.astype(np.int64))
