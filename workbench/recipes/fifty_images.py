"""Is it the softness or the teacher? Four ways to learn 50 images, on six splits of the data."""

from typing import Any

from workbench.data import DATA
from workbench.methods import METHODS
from workbench.recipe import Recipe, teacher

#: Each arm with the rate that validation chose, as `python -m workbench compare` finds it.
_ARMS: tuple[tuple[str, dict[str, Any], float], ...] = (
    ("scratch", {}, 3e-3),
    ("label-smoothing", {}, 3e-3),
    ("kd", {"temperature": 1, "alpha": 1}, 3e-2),
    ("kd", {"temperature": 8, "alpha": 1}, 1e-2),
)


def recipes() -> list[Recipe]:
    """4 arms × 6 splits × 8 seeds in one run."""
    made = []
    for name, knobs, rate in _ARMS:
        method = METHODS[name](**knobs)
        for split in range(6):
            data = DATA["digits"](images=50, split=split)
            taught = (teacher(data),) if "teacher" in method.needs else ()
            arm = Recipe(data=data, method=method, teachers=taught, learning_rate=rate)
            made += [arm.but(seed=seed) for seed in range(8)]
    return made
