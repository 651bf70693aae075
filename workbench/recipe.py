"""A recipe is everything that decides a run, and nothing that does not."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from workbench.base import BadInput, Knobbed, Method, knob, unknown
from workbench.data import DATA, Data
from workbench.methods import METHODS
from workbench.models import MODELS, layers

#: Raised when the meaning of a recipe changes, so that old runs are not taken for new ones.
FORMAT = 1
#: So many numbers make one batch; with more of them, a step needs gigabytes.
WHOLE = 10_000_000
#: With more training images than this, a teacher takes more and larger steps.
MANY = 10_000
#: The student and method of somebody's own networks, which only `distill` knows.
EXTERNAL = "external"


@dataclass(frozen=True)
class Recipe(Knobbed):
    """A student, what it sees, what it copies from whom, and how it is trained.

    A teacher is just another recipe, and `start` continues from another recipe's student: so
    generations, assistants and ensembles cost no code, and the whole provenance is one JSON.
    With 0 steps a student is what it began as: somebody's trained network that teaches.
    Device, threads and versions are recorded beside a run, never part of its recipe.
    """

    student: str = "mlp-16"
    data: Data = dataclasses.field(default_factory=lambda: DATA["digits"]())
    method: Method = dataclasses.field(default_factory=lambda: METHODS["scratch"]())
    teachers: tuple[Recipe, ...] = ()
    start: Recipe | None = None
    seed: int = knob(0, accepts=(0, 2**31 - 1), slider=(0, 99), meaning="the initialisation")
    learning_rate: float = knob(
        1e-2, accepts=(1e-6, 10), slider=(1e-4, 0.3), scale="log", meaning="AdamW's step size"
    )
    weight_decay: float = knob(
        0.01, accepts=(0, 10), slider=(0, 1), meaning="AdamW's decay, times the learning rate"
    )
    schedule: str = knob(
        "constant", choices=("constant", "cosine"), meaning="the learning rate over the steps"
    )
    steps: int = knob(
        300, accepts=(0, 100_000), slider=(50, 2000), scale="log", meaning="optimiser steps"
    )
    batch_size: int = knob(
        0, accepts=(0, 100_000), slider=(0, 256), meaning="images a step; 0 = all of them"
    )
    events: int = knob(
        60, accepts=(1, 199), slider=(1, 199), meaning="how often the run reports; 1 = at its end"
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        for name, kind in (("data", Data), ("method", Method)):
            if not isinstance(getattr(self, name), kind):
                shown = repr(getattr(self, name))[:60]
                raise BadInput(f"Recipe({name}={shown}): expected a {kind.__name__}")
        if self.student not in MODELS and self.student != EXTERNAL:
            raise unknown("Recipe(student=…): model", self.student, list(MODELS))
        if self.student != EXTERNAL:
            size = MODELS[self.student]
            size.check(self.data.shape)
            object.__setattr__(self, "student", size.name)
            if "#" not in self.student:  # only weights of one's own may be left as they are
                dataclasses.replace(self.knobs()["steps"], low=1).check("Recipe", self.steps)
        given: Any = self.teachers
        if not isinstance(given, (tuple, list)) or not all(isinstance(t, Recipe) for t in given):
            raise BadInput(f"Recipe(teachers={repr(given)[:60]}): expected recipes in a tuple")
        object.__setattr__(self, "teachers", tuple(given))
        if self.start is not None and not isinstance(self.start, Recipe):
            raise BadInput(f"Recipe(start={repr(self.start)[:60]}): expected a Recipe or None")
        needs, who = self.method.needs, f"{type(self.method).__name__}"
        if "teacher" in needs and not self.teachers:
            raise BadInput(f"{who}: expected at least one teacher, got none")
        if "labels" in needs and self.student != EXTERNAL:
            if self.data.shown != "images":
                raise BadInput(
                    f"{who}: learns from labels, and noise (shown={self.data.shown}) has none; "
                    "take a method that hears the teacher alone, such as kd"
                )
            if not self.data.labelled:
                raise BadInput(f"{who}: learns from labels alone, but the transfer set has none")
        count = min(self.data.images, self.data.size)
        if not self.batch_size and count * math.prod(self.data.shape) > WHOLE:
            raise BadInput(
                f"Recipe(batch_size=0, images={count}): expected a batch_size, such as 128, "
                "because a step on all of them at once takes gigabytes"
            )
        taught_by = [one.student for one in self.teachers]
        why = misfit(type(self.method), self.student, taught_by, self.data.shape)
        if why:
            raise BadInput(f"{who}: {why}")
        if "teacher" not in needs and self.teachers:
            raise BadInput(f"{who}: has no use for a teacher, but {len(self.teachers)} given")

    def to_json(self, name: bool = False) -> dict[str, Any]:
        """What differs from the defaults, as plain data; for a name, without where data lie."""
        found: dict[str, Any] = {}
        if self.student != "mlp-16":
            found["student"] = self.student
        found["data"] = {"name": self.data.key()} | self.data.changed()
        for each in dataclasses.fields(self.data) if name else ():
            if not each.compare:
                found["data"].pop(each.name, None)
        found["method"] = {"name": self.method.key()} | self.method.changed()
        if self.teachers:
            found["teachers"] = [teacher.to_json(name) for teacher in self.teachers]
        if self.start:
            found["start"] = self.start.to_json(name)
        return found | self.changed()

    @classmethod
    def from_json(cls, found: Mapping[str, Any]) -> Recipe:
        """The inverse of `to_json`; anything unknown or out of range is refused by name."""
        try:
            given = _object(found)
            for name, registry in (("data", DATA), ("method", METHODS)):
                if name in given:
                    part = _object(given[name])
                    made: Any = registry[part.pop("name")]
                    given[name] = made(**part)
            if "teachers" in given:
                given["teachers"] = tuple(cls.from_json(t) for t in given["teachers"])
            if given.get("start") is not None:
                given["start"] = cls.from_json(given["start"])
            return cls(**given)
        except (TypeError, AttributeError, KeyError) as error:
            if isinstance(error, BadInput):
                raise
            raise BadInput(f"Recipe: not a recipe's JSON ({error})") from None

    @property
    def name(self) -> str:
        """The hash of what differs from the defaults plus the format version."""
        return digest([self])

    def arm(self) -> Recipe:
        """The recipe without its seed: an arm is recipes that differ only in seed."""
        return dataclasses.replace(self, seed=0)

    def but(self, **changes: Any) -> Recipe:
        """The same recipe with some fields changed."""
        return dataclasses.replace(self, **changes)


def misfit(
    method: type[Method], student: str, teachers: Sequence[str], shape: tuple[int, ...]
) -> str:
    """Why a method cannot do with these networks, and what to take; "" if it can."""
    for name in (student, *teachers) if "maps" in method.needs else ():
        if name != EXTERNAL and not MODELS[name].maps:
            return (
                f"compares maps (H, W), and {name} has none; take CNNs, such as cnn-8 from cnn-32"
            )
    if "depth" in method.needs and student != EXTERNAL and len(layers(student, shape)) < 2:
        return f"teaches shallow layers, and {student} has one; take mlp-64-64 or cnn-8"
    return ""


def _object(found: object) -> dict[str, Any]:
    if not isinstance(found, Mapping):
        raise TypeError(f"expected an object, got {repr(found)[:60]}")
    return dict(found)


def digest(recipes: Sequence[Recipe]) -> str:
    """The name of a group of recipes: 16 hexadecimal digits of a SHA-256."""
    found = {"format": FORMAT, "recipes": [recipe.to_json(name=True) for recipe in recipes]}
    text = json.dumps(found, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def arms(recipes: Sequence[Recipe]) -> dict[Recipe, list[int]]:
    """The arms of a group, in order, each with the positions of its recipes."""
    found: dict[Recipe, list[int]] = {}
    for i, recipe in enumerate(recipes):
        found.setdefault(recipe.arm(), []).append(i)
    return found


def teacher(data: Data, student: str = "mlp-256-256") -> Recipe:
    """The teacher of a split: trained on labels of all its training images, by minibatches."""
    how = dict(MODELS[student].teaching)
    if data.size > MANY and how.get("steps"):
        how |= MODELS[student].family.LARGE
    return Recipe(student, data.whole(), **how)


def taught_by(method: Method, data: Data, names: str = "mlp-256-256") -> tuple[Recipe, ...]:
    """Who teaches by a method: nobody, those that are named, or of a single one so many seeds."""
    if "teacher" not in method.needs:
        return ()
    return teachers(data, names if "+" in names else "+".join([names] * method.teachers))


def teachers(data: Data, names: str = "mlp-256-256") -> tuple[Recipe, ...]:
    """The teachers of a split that names joined by + mean; a name said again has the next seed."""
    found: list[Recipe] = []
    for name in names.split("+"):
        one = teacher(data, name)
        again = sum(other.student == name for other in found)
        found.append(one.but(seed=one.seed + again))
    return tuple(found)
