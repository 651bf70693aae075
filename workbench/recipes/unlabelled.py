"""A thousand images: all their labels, or none and a teacher that names or describes them."""

from workbench.recipe import Recipe
from workbench.recipes._splits import Arm, over_splits

#: Rates as `compare … --images 1000` chooses them on validation; alpha = 1 reads no label.
_ALL, _NONE = {"images": 1000}, {"images": 1000, "labelled": 0}
_ARMS: tuple[Arm, ...] = (
    ("scratch", {}, 1e-2, _ALL),
    ("hard-labels", {"alpha": 1}, 1e-2, _NONE),
    ("kd", {"temperature": 8, "alpha": 1}, 3e-2, _NONE),
)


def recipes() -> list[Recipe]:
    """All labels against no label and a teacher; six splits, five seeds each."""
    return over_splits(_ARMS, seeds=5)
