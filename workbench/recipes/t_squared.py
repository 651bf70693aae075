"""T² forgotten, half the weight with the labels: what does a turn of T do then?

To AdamW a loss and a multiple of it are nearly the same, so forgetting T² is turning alpha down:
(1 − a) CE + a KL is a multiple of (1 − α) CE + α T² KL with α = a / (a + (1 − a) T²).
"""

from workbench.recipe import Recipe
from workbench.recipes._splits import Arm, over_splits

#: At T = 1 there is nothing to forget. Rates as `compare … --images 50 --seeds 5` chooses them on
#: validation, with T² and without.
_HALF = 0.5
_RATES = {2: (1e-1, 3e-2), 4: (1e-1, 3e-2), 8: (3e-2, 3e-2), 16: (3e-2, 1e-1)}


def _arm(T: int, alpha: float, rate: float) -> Arm:
    return "kd", {"temperature": T, "alpha": alpha}, rate, {"images": 50}


def recipes() -> list[Recipe]:
    """With T² and without, at T = 2, 4, 8 and 16; six splits, five seeds each."""
    kept = [_arm(T, _HALF, rate) for T, (rate, _) in _RATES.items()]
    forgotten = [
        _arm(T, _HALF / (_HALF + (1 - _HALF) * T**2), rate) for T, (_, rate) in _RATES.items()
    ]
    return over_splits([*kept, *forgotten], seeds=5)
