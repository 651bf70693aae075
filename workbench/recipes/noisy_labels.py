"""Four labels of ten are wrong: does a teacher that learnt from right ones help?"""

from workbench.recipe import Recipe
from workbench.recipes._splits import Arm, over_splits

#: Rates as `compare … --images 1000 --label-noise 0.4` chooses them on validation.
_NOISY = {"images": 1000, "label_noise": 0.4}
_ARMS: tuple[Arm, ...] = (
    ("scratch", {}, 1e-3, _NOISY),
    ("hard-labels", {"alpha": 1}, 1e-2, _NOISY),
    ("kd", {"temperature": 8, "alpha": 1}, 3e-2, _NOISY),
    ("kd", {"temperature": 8, "alpha": 0.5}, 1e-1, _NOISY),
)


def recipes() -> list[Recipe]:
    """Noisy labels, the teacher's hard labels, its soft answers, and half of each."""
    return over_splits(_ARMS, seeds=5)
