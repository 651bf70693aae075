"""A tiny student of a large teacher: does an assistant of a size between the two help?"""

from __future__ import annotations

from workbench.data import DATA, Data
from workbench.methods import METHODS
from workbench.recipe import Recipe, teacher

#: Each step is plain distillation (Mirzadeh et al., 2020, arXiv:1902.03393).
_KD = METHODS["kd"](temperature=4)
_STUDENT, _ASSISTANT = "mlp-8", "mlp-32"
#: Of labels, of the assistant, of answers: each the best of 0.001 … 0.1 on validation images, the
#: assistant's first. Its seed is one that no student begins from.
_ALONE, _BETWEEN, _TAUGHT, _ELDER = 1e-2, 3e-2, 1e-1, 1000


def _arms(data: Data) -> list[Recipe]:
    """From labels, from the large teacher, and from its assistant."""
    large = (teacher(data),)
    between = Recipe(_ASSISTANT, data, _KD, large, seed=_ELDER, learning_rate=_BETWEEN)
    direct = Recipe(_STUDENT, data, _KD, large, learning_rate=_TAUGHT)
    labels = Recipe(_STUDENT, data, learning_rate=_ALONE)
    return [labels, direct, direct.but(teachers=(between,))]


def recipes() -> list[Recipe]:
    """Three ways to learn 1000 images; six splits, five seeds each."""
    splits = [DATA["digits"](split=split) for split in range(6)]
    return [arm.but(seed=seed) for data in splits for arm in _arms(data) for seed in range(5)]
