"""MNIST as in 2015: 146 errors with labels, 74 from a teacher, and few on a 3 never seen?

Hinton, Vinyals & Dean, 2015, arXiv:1503.02531, section 3. What differs: the teacher has pictures
moved by a pixel but no dropout and no bound on its weights; AdamW; 5000 images are set aside. The
published figures for the omitted 3 are after its bias was raised to fit the test images; before,
206 errors.
"""

from typing import Any

from workbench.data import DATA
from workbench.methods import METHODS
from workbench.recipe import Recipe

#: The paper's accuracy of each arm, and its errors among 10 000 test images.
PUBLISHED = ("98.54 (146 errors)", "99.26 (74 errors)", "98.91 (109 errors)")


def recipes() -> list[Recipe]:
    """Labels, answers at T = 20, and the same without any 3; three seeds each."""
    how: dict[str, Any] = {
        "steps": 8600,
        "batch_size": 128,
        "schedule": "cosine",
        "learning_rate": 1e-3,
    }
    every: dict[str, Any] = {"images": 55_000, "labelled": 55_000}
    moved = DATA["mnist"](**every, augment="shift")
    teacher = Recipe("mlp-1200-1200", moved, **how)
    labels = Recipe("mlp-800-800", DATA["mnist"](**every), **how)
    taught = labels.but(method=METHODS["kd"](temperature=20), teachers=(teacher,))
    no_threes = taught.but(data=DATA["mnist"](**every, left_out=(3,)))
    return [arm.but(seed=seed) for arm in (labels, taught, no_threes) for seed in range(3)]
