"""The Distillation Workbench: teach and practise knowledge distillation.

The public door. Names load when they are used, so that importing the package costs nothing.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from workbench.base import Batch, Knob, Method, Outputs
    from workbench.data import DATA
    from workbench.engine import train
    from workbench.external import distill
    from workbench.methods import METHODS
    from workbench.models import MODELS
    from workbench.recipe import Recipe
    from workbench.recipes import RECIPES
    from workbench.runs import Run

_HOMES = {
    "METHODS": "methods",
    "MODELS": "models",
    "DATA": "data",
    "RECIPES": "recipes",
    "Knob": "base",
    "Outputs": "base",
    "Batch": "base",
    "Method": "base",
    "Recipe": "recipe",
    "Run": "runs",
    "train": "engine",
    "distill": "external",
}

__all__ = [
    "DATA",
    "METHODS",
    "MODELS",
    "RECIPES",
    "Batch",
    "Knob",
    "Method",
    "Outputs",
    "Recipe",
    "Run",
    "distill",
    "train",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(
            f"module 'workbench' has no name {name!r}; it has {', '.join(__all__)}"
        )
    return getattr(importlib.import_module(f"workbench.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return __all__
