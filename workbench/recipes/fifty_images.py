"""Is it the softness or the teacher? Four ways to learn 50 images, on six splits of the data."""

from workbench.recipe import Recipe
from workbench.recipes._splits import Arm, over_splits

#: Each arm with the rate that validation chose, as `python -m workbench compare` finds it.
_FEW = {"images": 50}
_ARMS: tuple[Arm, ...] = (
    ("scratch", {}, 3e-3, _FEW),
    ("label-smoothing", {}, 3e-3, _FEW),
    ("kd", {"temperature": 1, "alpha": 1}, 3e-2, _FEW),
    ("kd", {"temperature": 8, "alpha": 1}, 1e-2, _FEW),
)


def recipes() -> list[Recipe]:
    """4 arms × 6 splits × 8 seeds in one run."""
    return over_splits(_ARMS, seeds=8)
