"""Each generation learns from the one before, from the same wrong labels: is there a gain?"""

from __future__ import annotations

from typing import Any

from workbench.data import DATA, Data
from workbench.methods import METHODS
from workbench.recipe import Recipe

#: Same architecture, T = 1, fresh initialisation (Furlanello et al., 2018, arXiv:1805.04770).
_AGAIN = METHODS["kd"](temperature=1, alpha=1)
_SIZE: dict[str, Any] = {"student": "mlp-64", "steps": 600, "batch_size": 64}
#: Elders begin from these seeds on, so that no student starts from its teacher's weights.
_ELDER = 1000
#: A rate that nobody chose, at which some wrong labels are learnt by heart; then the best of
#: 0.001 … 0.1 on validation images for each generation in turn; the same with right labels.
_UNCHOSEN, _NOISY, _CLEAN = (1e-2, 1e-2, 1e-2), (1e-3, 1e-2, 1e-2), (3e-2, 3e-2)
#: What softness alone gives, at validation's rate for wrong and for right labels.
_SOFTER = METHODS["label-smoothing"]()


def _generations(data: Data, rates: tuple[float, ...]) -> list[Recipe]:
    """A recipe for each generation: the first learns labels, each other from its elder."""
    found = [Recipe(data=data, learning_rate=rates[0], **_SIZE)]
    for place, rate in enumerate(rates[1:]):
        elder = found[-1].but(seed=_ELDER + place)
        found.append(elder.but(method=_AGAIN, teachers=(elder,), learning_rate=rate, seed=0))
    return found


def _arms(split: int) -> list[Recipe]:
    """Generations, and what they must be more than: softer labels without any teacher."""
    noisy, clean = (DATA["digits"](split=split, label_noise=share) for share in (0.4, 0.0))
    forty, none = _generations(noisy, _NOISY), _generations(clean, _CLEAN)
    softer = forty[0].but(method=_SOFTER), none[0].but(method=_SOFTER, learning_rate=1e-2)
    return [*_generations(noisy, _UNCHOSEN), *forty, softer[0], *none, softer[1]]


def unchosen() -> list[Recipe]:
    """The generations at the rate that nobody chose, so that nobody calls it tuned."""
    noisy = [DATA["digits"](split=split, label_noise=0.4) for split in range(6)]
    return [arm for data in noisy for arm in _generations(data, _UNCHOSEN)]


def recipes() -> list[Recipe]:
    """Two chains and a control on 40 % wrong labels, one of each on right ones."""
    arms = [arm for split in range(6) for arm in _arms(split)]
    return [arm.but(seed=seed) for arm in arms for seed in range(5)]
