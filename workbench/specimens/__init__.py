"""The bug zoo: losses with a mistake that people really make, apart from the methods.

One file = one specimen: its docstring names the mistake, LAW the law that catches it, SYMPTOM
what to look for, and `loss` is a whole distillation loss with that mistake in it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from types import ModuleType

from torch import Tensor

from workbench.base import Registry

#: (student_logits, teacher_logits, labels, *, temperature, alpha) to a scalar.
Loss = Callable[..., Tensor]


@dataclass(frozen=True)
class Specimen:
    """A loss with one mistake: what it is, what one sees, and the law that it breaks."""

    name: str
    mistake: str
    symptom: str
    law: str
    loss: Loss


def _specimen(module: ModuleType) -> dict[str, Specimen]:
    name = module.__name__.rsplit(".", 1)[-1].replace("_", "-")
    mistake = (module.__doc__ or "").split("\n")[0]
    try:
        made = Specimen(name, mistake, module.SYMPTOM, module.LAW, module.loss)
    except AttributeError as error:
        raise TypeError(f"{module.__file__}: expected SYMPTOM, LAW and loss ({error})") from None
    return {name: made}


SPECIMENS: Registry[Specimen] = Registry("specimen", __name__, _specimen)
