"""Small files that a start reads where it would have to compute or import for a second.

`digits.npz` is scikit-learn's digits, `costs.json` what each model costs for samples of the data
sets. `python -m workbench.assets --only tables` writes both; tests hold them equal to their
sources.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from workbench.base import BadInput
from workbench.data import DATA
from workbench.data.digits import FILE
from workbench.models import COSTS, MODELS, counted
from workbench.runs import write


def tables() -> list[Path]:
    """Write both files."""
    from sklearn.datasets import load_digits

    found = load_digits()
    pixels, labels = (kept.astype(np.uint8) for kept in (found.data, found.target))
    np.savez_compressed(FILE, pixels=pixels, labels=labels)
    shapes = {
        (kind.shape, kind.classes) for kind in DATA.values() if isinstance(kind.shape, tuple)
    }
    lines = []
    for shape, classes in sorted(shapes):
        for name in MODELS:
            try:
                cost = counted(name, shape, classes)
            except BadInput:  # it cannot take samples of this shape
                continue
            lines.append(json.dumps([name, list(shape), classes, *cost]))
    write(COSTS, "[\n" + ",\n".join(lines) + "\n]\n")
    return [FILE, COSTS]
