"""The Gradio app: one file is one page, found by walking; files with _ are what pages share.

Importing this costs nothing, so that `python app.py --help` answers at once.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import ModuleType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from workbench.base import Registry


@dataclass(frozen=True)
class Page:
    """A tab: its place in the row, its name, and what fills it when called inside a tab."""

    order: int
    title: str
    fill: Callable[[], None]


def _read(module: ModuleType) -> Mapping[str, Page]:
    page = getattr(module, "PAGE", None)
    return {module.__name__.rsplit(".", 1)[-1]: page} if page else {}


def pages() -> Registry[Page]:
    """Every page, by the name of its file."""
    from workbench.base import Registry

    return Registry("page", __name__, _read)
