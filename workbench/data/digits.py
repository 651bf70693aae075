"""Handwritten digits, 8 × 8: real data that comes with scikit-learn, so nothing is downloaded."""

from __future__ import annotations

import functools
import importlib.util
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
import torch

from workbench.base import BadInput
from workbench.data._data import Data, Samples, stratified


@dataclass(frozen=True)
class Digits(Data):
    """1797 digits of 43 writers: 1000 train, 297 validation, 500 test, stratified by the split.

    The test part is never used for choosing anything. Pixels 0 … 16 are scaled to [0, 1].
    """

    title: ClassVar[str] = "Handwritten digits"
    source: ClassVar[str] = "Alpaydin & Kaynak, 1998, UCI; shipped in scikit-learn"
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
    """x (1797, 1, 8, 8), y (1797,), read from scikit-learn's own file.

    `sklearn.datasets.load_digits` gives the same numbers (tested) but takes a second to import,
    which every worker would pay before its first step.
    """
    found = importlib.util.find_spec("sklearn")
    file = Path(found.origin or "").parent / "datasets/data/digits.csv.gz" if found else None
    if file is None or not file.exists():
        raise BadInput("digits: scikit-learn's file is missing; run pip install scikit-learn")
    rows = np.loadtxt(file, delimiter=",", dtype=np.float32)
    x = torch.from_numpy(rows[:, :64] / 16).reshape(-1, 1, 8, 8)
    return x, torch.from_numpy(rows[:, 64].astype(np.int64))
