"""The same arms on several splits of the data, with the rates that validation chose."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from workbench.data import DATA
from workbench.methods import METHODS
from workbench.recipe import Recipe, teacher

#: A method, its knobs, its learning rate, and what is done to its transfer set.
Arm = tuple[str, dict[str, Any], float, dict[str, Any]]


def over_splits(
    arms: Sequence[Arm],
    seeds: int,
    splits: int = 6,
    student: str = "mlp-16",
    big: str = "mlp-256-256",
) -> list[Recipe]:
    """Arms × splits × seeds in one run; the teacher is the split's own, which saw all labels."""
    made = []
    for name, knobs, rate, surgery in arms:
        method = METHODS[name](**knobs)
        for split in range(splits):
            data = DATA["digits"](split=split, **surgery)
            taught = (teacher(data, big),) if "teacher" in method.needs else ()
            arm = Recipe(student, data, method, taught, learning_rate=rate)
            made += [arm.but(seed=seed) for seed in range(seeds)]
    return made
