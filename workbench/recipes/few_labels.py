"""Fifty labels, 950 images without: are a teacher's answers worth more than its mere names?"""

from workbench.recipe import Recipe
from workbench.recipes._splits import Arm, over_splits

#: Rates as `compare … --images 1000 --labelled 50` chooses them on validation.
_FEW = {"images": 1000, "labelled": 50}
_ARMS: tuple[Arm, ...] = (
    ("scratch", {}, 1e-2, _FEW),
    ("hard-labels", {"alpha": 1}, 1e-2, _FEW),
    ("kd", {"temperature": 8, "alpha": 1}, 3e-2, _FEW),
)


def recipes() -> list[Recipe]:
    """Labels only, the teacher's hard labels, its soft answers; six splits, five seeds each."""
    return over_splits(_ARMS, seeds=5)
