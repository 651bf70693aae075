"""Fifty images, two CNNs: does it help to copy what lies inside the teacher?"""

from typing import Any

from workbench.recipe import Recipe
from workbench.recipes._splits import Arm, over_splits

#: Rates as `compare … --images 50 --student cnn-8 --teacher cnn-32` chooses them on validation.
_FIFTY: dict[str, Any] = {"images": 50}
_ARMS: tuple[Arm, ...] = (
    ("scratch", {}, 1e-2, _FIFTY),
    ("attention", {}, 1e-2, _FIFTY),
    ("kd", {}, 1e-1, _FIFTY),
    ("fitnets", {}, 3e-2, _FIFTY),
    ("fitnets", {"training": "joint"}, 1e-2, _FIFTY),
    ("simkd", {}, 1e-2, _FIFTY),
)


def recipes() -> list[Recipe]:
    """Labels, maps, answers, hints before and beside answers, a re-used classifier; six splits."""
    return over_splits(_ARMS, seeds=5, student="cnn-8", big="cnn-32")
