"""A student that never sees a 3: can a teacher's answers to other digits show it what a 3 is?"""

from workbench.recipe import Recipe
from workbench.recipes._splits import Arm, over_splits

#: Rates as `compare … --images 1000 --left-out 3` chooses them on validation.
_NO_THREES = {"images": 1000, "left_out": (3,)}
_ARMS: tuple[Arm, ...] = (
    ("scratch", {}, 1e-2, _NO_THREES),
    ("hard-labels", {"alpha": 1}, 1e-2, _NO_THREES),
    ("kd", {"temperature": 8, "alpha": 1}, 3e-2, _NO_THREES),
)


def recipes() -> list[Recipe]:
    """Labels only, the teacher's hard labels, its soft answers; six splits, five seeds each."""
    return over_splits(_ARMS, seeds=5)
