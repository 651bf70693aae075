"""One pair of the field's table on CIFAR-100, resnet32x4 to resnet8x4: what does each method add?

Published figures: Tian, Krishnan & Isola, 2020, arXiv:1910.10699, in the table of their code. What
differs: AdamW with a cosine instead of SGD with three drops, batches of 128 instead of 64, 5000
images set aside; 240 epochs as there. It wants a GPU.
"""

from typing import Any

from workbench.data import DATA
from workbench.methods import METHODS
from workbench.recipe import Recipe

_ARMS = ("scratch", "kd", "attention", "similarity", "pkt", "rkd", "vid", "crd")
#: The published accuracy of each arm; the teacher's is 79.42.
PUBLISHED = ("72.50", "73.33", "73.44", "72.94", "73.64", "71.90", "73.09", "75.51")


def recipes() -> list[Recipe]:
    """Labels and seven methods at their published weights, from one teacher; three seeds each."""
    data = DATA["cifar100"](images=45_000, labelled=45_000, augment="crop-flip")
    how: dict[str, Any] = {
        "steps": 84_240,
        "batch_size": 128,
        "schedule": "cosine",
        "weight_decay": 0.05,
    }
    teacher = Recipe("resnet32x4", data, learning_rate=2e-3, **how)
    labels = Recipe("resnet8x4", data, learning_rate=2e-3, **how)
    arms = [labels]
    published = {"crd": {"others": "16384"}}  # fewer by default, because data are small here
    for name in _ARMS[1:]:
        method = METHODS[name](**published.get(name, {}))
        arms.append(labels.but(method=method, teachers=(teacher,)))
    return [arm.but(seed=seed) for arm in arms for seed in range(3)]
