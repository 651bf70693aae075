"""How far should the teacher's answers be softened? Fifty images, T from 1 to 1000."""

from workbench.recipe import Recipe
from workbench.recipes._splits import Arm, over_splits

#: Each arm with the rate that validation chose, as `python -m workbench compare` finds it. The
#: last is what distillation comes to as T grows: a tenth of the squared difference, as K = 10.
_FEW = {"images": 50}
_RATES = {1: 3e-2, 2: 3e-2, 4: 3e-2, 8: 1e-2, 16: 3e-2, 1000: 3e-2}
_ARMS: tuple[Arm, ...] = (
    ("scratch", {}, 3e-3, _FEW),
    *(("kd", {"temperature": T, "alpha": 1}, rate, _FEW) for T, rate in _RATES.items()),
    ("matching-logits", {"weight": 0.1, "centred": "yes"}, 3e-2, _FEW),
)


def recipes() -> list[Recipe]:
    """Labels, six temperatures, and matching logits; six splits, eight seeds each."""
    return over_splits(_ARMS, seeds=8)
