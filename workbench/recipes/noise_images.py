"""A student that never sees a digit: can it learn to read from what a teacher says to noise?"""

from workbench.recipe import Recipe
from workbench.recipes._splits import Arm, over_splits

#: Rates as `compare … --shown pixels` and `--shown uniform` choose them on validation.
_PIXELS, _UNIFORM = {"shown": "pixels"}, {"shown": "uniform"}
_ARMS: tuple[Arm, ...] = (
    ("hard-labels", {"alpha": 1}, 1e-2, _PIXELS),
    ("kd", {"temperature": 8, "alpha": 1}, 1e-2, _PIXELS),
    ("hard-labels", {"alpha": 1}, 3e-2, _UNIFORM),
    ("kd", {"temperature": 8, "alpha": 1}, 1e-1, _UNIFORM),
)


def recipes() -> list[Recipe]:
    """Hard labels and soft answers, to pixels of other images and to uniform noise."""
    return over_splits(_ARMS, seeds=5)
