"""Named recipes: one file = one experiment; its docstring asks, its `recipes()` are one run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import ModuleType

from workbench.base import Registry
from workbench.recipe import Recipe


@dataclass(frozen=True)
class Named:
    """A group of recipes with a name: what it asks, and the run that answers."""

    name: str
    question: str
    recipes: tuple[Recipe, ...]
    published: tuple[str, ...] = ()  # what somebody else found, for each arm
    unchosen: tuple[Recipe, ...] = ()  # arms whose rate validation did not choose


def _named(module: ModuleType) -> Mapping[str, Named]:
    name = module.__name__.rsplit(".", 1)[-1].replace("_", "-")
    question = (module.__doc__ or "").strip().splitlines()[0]
    published = tuple(getattr(module, "PUBLISHED", ()))
    unchosen = tuple(getattr(module, "unchosen", tuple)())
    return {name: Named(name, question, tuple(module.recipes()), published, unchosen)}


RECIPES: Registry[Named] = Registry("recipe", __name__, _named)
