"""What a lesson is: a question, what answers it, and what to do on the way."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from workbench.lessons._exercise import Exercise

NOTEBOOKS = Path(__file__).parents[2] / "notebooks"


@dataclass(frozen=True)
class Lesson:
    """A lesson as data; its notebook says the same words, which a test compares.

    Attributes:
        number: two digits, the key.
        title: as the notebook's headline.
        question: what the lesson answers, one sentence.
        sentence: the answer, what should stay.
        minutes: of a learner's time.
        words: five words to know first, each with a plain meaning.
        misconception: what many believe before, and the lesson contradicts.
        exercises: in the order of the notebook.
        recipes: names of the recipes whose runs answer the question.
        page: the app's page that shows the same.
    """

    number: str
    title: str
    question: str
    sentence: str
    minutes: int
    words: Mapping[str, str]
    misconception: str
    exercises: tuple[Exercise, ...]
    recipes: tuple[str, ...] = ()
    page: str = ""

    @property
    def notebook(self) -> Path:
        """Where its notebook lies."""
        slug = re.sub(r"\W+", "_", self.title.lower()).strip("_")
        return NOTEBOOKS / f"{self.number}_{slug}.ipynb"

    def describe(self) -> dict[str, Any]:
        """Plain data for `python -m workbench list --json`."""
        return {
            "title": self.title,
            "question": self.question,
            "minutes": self.minutes,
            "words": dict(self.words),
            "misconception": self.misconception,
            "recipes": list(self.recipes),
            "exercises": [exercise.name for exercise in self.exercises],
            "page": self.page,
            "notebook": f"notebooks/{self.notebook.name}",
        }

    def key(self) -> str:
        """The answer key for who teaches: solutions, and what each wrong answer means."""
        parts = [f"{self.number} {self.title}", f"Misconception: {self.misconception}"]
        for exercise in self.exercises:
            parts.append(f"{exercise.name}: {exercise.task}\n\n{exercise.answer_text()}")
            parts += [f"Hint {i}: {hint}" for i, hint in enumerate(exercise.hints, 1)]
            parts += [f"If wrong, {w.name}: {w.says}" for w in exercise.wrongs]
        parts.append(f"In one sentence: {self.sentence}")
        return "\n\n".join(parts)
