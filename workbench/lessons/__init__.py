"""Lessons as data, and the checks, hints and solutions of their exercises.

One file = one lesson, found by walking; its notebook asks, its file answers. So the answer key
never stands in the notebook: `python -m workbench lessons key 02` prints it.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import ModuleType

from workbench.base import Registry
from workbench.lessons._build import build, current
from workbench.lessons._claim import claim
from workbench.lessons._exercise import Exercise, Reply, Wrong
from workbench.lessons._lesson import Lesson


def _lesson(module: ModuleType) -> Mapping[str, Lesson]:
    found: Lesson = module.LESSON
    return {found.number: found}


LESSONS: Registry[Lesson] = Registry("lesson", __name__, _lesson)

__all__ = ["LESSONS", "Exercise", "Lesson", "Reply", "Wrong", "build", "claim", "current"]
