"""The bug zoo: mistakes that people really make, apart from the methods.

One file = one specimen: its docstring names the mistake, LAW the law that catches it, SYMPTOM
what to look for, and one function has it in it: `loss` is a whole distillation loss, `features` a
loss between two layers (RIGHT is the method that it means to be), `training` a whole loop.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from types import ModuleType
from typing import Any

from torch import Tensor

from workbench.base import Registry

#: (student_logits, teacher_logits, labels, *, temperature, alpha) to a scalar.
Loss = Callable[..., Tensor]
KINDS = ("loss", "features", "training")


@dataclass(frozen=True)
class Specimen:
    """Code with one mistake: what it is, what one sees, and the law that it breaks."""

    name: str
    mistake: str
    symptom: str
    law: str
    kind: str  # the name of its function, out of KINDS
    function: Callable[..., Any]
    right: str = ""  # the method that a feature loss means to be

    @property
    def loss(self) -> Loss:
        """The function of a specimen that is a whole loss."""
        assert self.kind == "loss", f"{self.name} is no loss"
        return self.function


def _specimen(module: ModuleType) -> dict[str, Specimen]:
    name = module.__name__.rsplit(".", 1)[-1].replace("_", "-")
    mistake = (module.__doc__ or "").split("\n")[0]
    kinds = [kind for kind in KINDS if hasattr(module, kind)]
    try:
        (kind,) = kinds
        made = (mistake, module.SYMPTOM, module.LAW, kind, getattr(module, kind))
    except (AttributeError, ValueError) as error:
        raise TypeError(
            f"{module.__file__}: expected SYMPTOM, LAW and one of {', '.join(KINDS)} ({error})"
        ) from None
    return {name: Specimen(name, *made, getattr(module, "RIGHT", ""))}


SPECIMENS: Registry[Specimen] = Registry("specimen", __name__, _specimen)


def of(kind: str) -> dict[str, Specimen]:
    """The specimens of one kind."""
    return {name: one for name, one in SPECIMENS.items() if one.kind == kind}
