"""A run as the page reads it: its folder is looked at again and again, but read only once."""

from __future__ import annotations

import functools
import math
import threading
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from workbench import inside, runs
from workbench.base import BadInput, Trouble
from workbench.data import DATA, Data, as_address, as_numbers
from workbench.engine import listen
from workbench.events import Event
from workbench.functional import mixture
from workbench.recipe import Recipe, arms, digest, teacher
from workbench.runs import GALLERY, Damaged, Lease, Run, Status

#: Takes kept in memory; a hundred visitors look at a few dozen.
KEPT = 200


class Take:
    """A run's folder: recipes, and the events recorded so far, read as they are appended."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.recipes = Run.at(folder).recipes
        self._events: list[Event] = []
        self._read, self._file = 0, -1
        self._reports: list[dict[str, Any]] | None = None
        self._lock = threading.Lock()

    @property
    def recipe(self) -> Recipe:
        """The arm."""
        return self.recipes[0].arm()

    @property
    def teacher(self) -> Recipe:
        """Its teacher; for a student of labels the one it could have had."""
        return self.recipe.teachers[0] if self.recipe.teachers else teacher(self.recipe.data)

    def status(self) -> Status:
        """What state.json says now."""
        return Status.read(self.folder)

    def events(self) -> list[Event]:
        """Everything recorded so far."""
        path = self.folder / "events.jsonl"
        with self._lock:
            try:
                found = path.stat()
                if found.st_ino != self._file or found.st_size < self._read:
                    self._events, self._read, self._file = [], 0, found.st_ino
                    self._reports = None
                if found.st_size > self._read:
                    with open(path, "rb") as file:
                        file.seek(self._read)
                        new = file.read()
                    whole = new[: new.rfind(b"\n") + 1]
                    self._events += [Event.from_json(line) for line in whole.decode().splitlines()]
                    self._read += len(whole)
            except FileNotFoundError:
                return []
            except (OSError, ValueError) as error:
                raise Damaged(f"{path}: {error}") from None
            return list(self._events)

    def opinion(self, event: int, sample: int) -> list[float]:
        """What the first student said about a gallery image at an event: logits, or nothing."""
        classes = self.recipe.data.classes
        size = GALLERY * classes * 2
        try:
            with open(self.folder / "opinions.f16", "rb") as file:
                file.seek(event * size + sample * classes * 2)
                found = np.frombuffer(file.read(classes * 2), np.float16)
        except OSError:
            return []
        return [float(v) for v in found] if len(found) == classes else []

    def views(self, event: int) -> list[list[list[float]]]:
        """What the method compared inside the first student at an event, by pair; or nothing."""
        try:
            shapes, whole = _layout(tuple(self.recipes))
            with open(self.folder / "views.f16", "rb") as file:
                file.seek(event * whole)
                found = np.frombuffer(file.read(whole), np.float16).astype(float)
        except (OSError, BadInput):  # its data may be gone
            return []
        if not whole or len(found) * 2 != whole or not np.isfinite(found).all():
            return []
        ends = np.cumsum([rows * columns for rows, columns in shapes])
        parts = np.split(found, ends)[: len(shapes)]
        return [p.reshape(shape).tolist() for p, shape in zip(parts, shapes, strict=True)]

    def reports(self) -> list[dict[str, Any]] | None:
        """The evaluation of every student of a finished run; None before."""
        with self._lock:
            if self._reports is None and self.status().status == "done":
                run = Run(self.recipes, folder=self.folder)
                known = finished(self.teacher)
                try:
                    self._reports = run.reports(self.teacher if known else None)
                except BadInput:  # its data are gone, and were not evaluated before
                    self._reports = []
            return self._reports or None


_takes: OrderedDict[Path, Take] = OrderedDict()
_lock = threading.Lock()


def take(folder: Path) -> Take:
    """The take of a folder, kept in memory; one that is damaged is set aside."""
    try:
        runs.verify(folder)
        with _lock:
            if folder not in _takes:
                _takes[folder] = Take(folder)
                while len(_takes) > KEPT:
                    _takes.popitem(last=False)
            _takes.move_to_end(folder)
            return _takes[folder]
    except Damaged as error:
        with _lock:
            _takes.pop(folder, None)
        if folder.exists() and not Lease.held(folder):
            runs.set_aside(folder, str(error))
        raise


def finished(recipe: Recipe) -> Path | None:
    """The folder of a finished run, without training one."""
    for folder in runs.takes(digest([recipe])):
        try:
            if Status.read(folder).status == "done":
                runs.verify(folder)
                return folder
        except Damaged:
            continue
    return None


@dataclass(frozen=True)
class Teacher:
    """A teacher as the page shows it: its accuracy and what it says about the gallery."""

    accuracy: float
    logits: tuple[tuple[float, ...], ...]


def heard(recipe: Recipe) -> Teacher | None:
    """A teacher's answers, or None while nobody has trained it."""
    folder = finished(recipe)
    try:
        return _heard(folder) if folder is not None and recipe.data.here() else None
    except BadInput:  # its data are gone
        return None


def together(recipes: Sequence[Recipe]) -> Teacher | None:
    """What several teachers say together: the mean of their probabilities, as logits."""
    folders = [finished(recipe) for recipe in recipes]
    try:
        here = all(recipe.data.here() for recipe in recipes)
        return _heard(*(one for one in folders if one)) if all(folders) and here else None
    except BadInput:
        return None


@functools.lru_cache(maxsize=32)
def _heard(*folders: Path) -> Teacher:
    runs_ = [Run.at(folder) for folder in folders]
    test = runs_[0].recipes[0].data.parts()["test"]
    each = [listen(run.student(), test.x).logits for run in runs_]
    logits = each[0] if len(each) == 1 else mixture(torch.stack([z.log_softmax(-1) for z in each]))
    right = (logits.argmax(-1) == test.y).to(torch.float64).mean()
    return Teacher(float(right), tuple(tuple(row) for row in logits[:GALLERY].tolist()))


@functools.lru_cache(maxsize=64)
def _layout(recipes: tuple[Recipe, ...]) -> tuple[list[tuple[int, int]], int]:
    """The shapes of the first arm's views, and how many bytes all arms take an event."""
    each = [
        inside.sizes(recipe, recipe.data.parts()["test"].y[:GALLERY]) for recipe in arms(recipes)
    ]
    return each[0], 2 * sum(rows * columns for shapes in each for rows, columns in shapes)


@functools.lru_cache(maxsize=64)
def taught(recipe: Recipe) -> list[list[list[float]]]:
    """The views of a finished teacher, as the method of its student's recipe compares them."""
    folder = finished(recipe.teachers[0]) if recipe.teachers else None
    if folder is None:
        raise Untaught
    test, run = recipe.data.parts()["test"], Run.at(folder)
    found = inside.views(recipe, run.student(), test.kept[:GALLERY], test.y[:GALLERY], 1)
    return [one.tolist() for one in found]


class Untaught(Exception):
    """Nobody has trained the teacher yet; not remembered, because somebody will."""


@dataclass(frozen=True)
class Example:
    """A test sample as the page shows it.

    Its label, rows of brightness, numbers if it is features, and a picture as the address of its
    own bytes where the rows would be too many to draw one by one.
    """

    label: int
    rows: tuple[tuple[float, ...], ...] = ()
    numbers: tuple[float, ...] = ()
    picture: str = ""


@dataclass(frozen=True)
class Shown:
    """What the page shows of data: the names of the classes, and the first test samples."""

    names: tuple[str, ...]
    examples: tuple[Example, ...]


def shown(data: Data) -> Shown:
    """The same for all that may be done to a transfer set; without samples where data are gone."""
    try:
        if data.here():  # else it would be downloaded
            return _shown(data.whole())
    except (BadInput, Trouble):
        pass
    return Shown(tuple(map(str, range(data.classes))), ())


@functools.lru_cache(maxsize=32)
def _shown(data: Data) -> Shown:
    test = data.parts()["test"]
    return Shown(data.names, tuple(_example(*one) for one in zip(
        as_numbers(test.kept[:GALLERY]), test.y[:GALLERY].tolist(), strict=True)))  # fmt: skip


def _example(x: Tensor, label: int) -> Example:
    if x.ndim == 1:
        return Example(label, numbers=tuple(x.tolist()))
    rows = tuple(tuple(row) for row in x.mean(0).tolist())
    return Example(label, rows, picture=as_address(x) if max(x.shape) > 8 else "")


def gallery() -> tuple[Example, ...]:
    """The digits that the page shows."""
    return shown(DATA["digits"]()).examples


@functools.cache
def undecided() -> int:
    """The image of the gallery on which the shipped teacher hesitates most, and is right."""
    known = heard(teacher(DATA["digits"]()))
    if known is None:
        return 0
    doubts = [0.0] * GALLERY
    for place, (one, logits) in enumerate(zip(gallery(), known.logits, strict=True)):
        shares = softmax(logits, 1.0)
        if shares and max(shares) == shares[one.label]:
            doubts[place] = -sum(share * math.log(share) for share in shares if share)
    return doubts.index(max(doubts))


def softmax(logits: list[float] | tuple[float, ...], temperature: float) -> list[float]:
    """Probabilities at a temperature; nothing where a number is not finite."""
    if not logits or not all(map(math.isfinite, logits)):
        return []
    most = max(logits)
    shares = [math.exp((v - most) / temperature) for v in logits]
    total = sum(shares)
    return [share / total for share in shares]
