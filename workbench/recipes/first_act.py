"""Twelve students see 50 labels, twelve the teacher's soft answers to the same 50 images."""

from workbench.data import DATA
from workbench.methods import METHODS
from workbench.recipe import Recipe, teacher


def recipes() -> list[Recipe]:
    """12 + 12 students in one run, each kind with the rate that `compare` chose on validation."""
    data = DATA["digits"](images=50)
    labels = Recipe(data=data, learning_rate=1e-2)
    kd = METHODS["kd"](temperature=8, alpha=1)
    taught = Recipe(data=data, method=kd, teachers=(teacher(data),), learning_rate=1e-1)
    return [arm.but(seed=seed) for arm in (labels, taught) for seed in range(12)]
