"""Many runs at once: an honest comparison of arms, and a sweep over settings.

Every number that decides anything is chosen on validation data; the test part only reports.
"""

from __future__ import annotations

import dataclasses
import functools
import itertools
import math
import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any, Self

import torch
from torch import Tensor, nn

from workbench import inside
from workbench.base import BadInput, Knob, Method, twice, unknown
from workbench.data import Data
from workbench.engine import LOOK, Teacher, begin, built, listen
from workbench.jobs import deaf
from workbench.methods import METHODS
from workbench.models import MODELS, cost
from workbench.recipe import Recipe, arms, digest, taught_by, teachers
from workbench.runs import GALLERY, Damaged, Run, Status, extract, takes, verify
from workbench.said import memory

#: The learning rates that an arm may choose from, by its mean validation accuracy.
RATES = (1e-3, 3e-3, 1e-2, 3e-2, 1e-1)
#: Students of a sweep, and the share of the machine's memory that one pass may take: the app
#: trains four at once.
LARGEST, SHARE = 2000, 0.2
#: Students of a pass that somebody watches. 36 cells × 5 seeds (mlp-16, 50 images, 300 steps) in
#: one pass take 1.9 s of a core, in 3 of 60 the same, in 4 of 45 2.2 s, in 6 of 30 2.3 s, in 36 of
#: 5 6.1 s: at about 48 a map fills in parts, two workers share it, and it costs a tenth more.
WATCHED = 48
#: A sweep that nobody watches is cut up for so many processes where it takes more operations
#: than half of these, some ten to twenty seconds: to start them costs four, and two of them take
#: half the time of one. What is cut is named by its parts, so nothing that is measured decides.
LARGE, WORKERS = 4e11, 2
#: What is no axis: seeds and splits are repeated, not compared, and events only report.
APART = ("seed", "split", "events")
#: Told what is being done and which share of the whole is done.
Report = Callable[[str, float], None]


def silent(what: str, share: float) -> None:
    """A report to nobody."""


def compare(
    methods: Sequence[Method],
    *,
    data: Data,
    student: str = "mlp-16",
    teacher: str = "mlp-256-256",
    splits: int = 6,
    seeds: int = 8,
    learning_rate: float | None = None,
    workers: int = 2,
    device: str = "auto",
    report: Report = silent,
    **fields: Any,
) -> dict[str, Any]:
    """Train every method on the same splits and seeds, and judge each against the first.

    Each arm takes the learning rate of `RATES` with the best mean validation accuracy over
    splits and seeds (ties to the smaller), unless one is given; the test part is looked at once,
    by the students that were trained with it. `fields` are other fields of the recipe (steps, …).
    """
    check(methods, splits, seeds)
    base = Recipe(student, learning_rate=learning_rate or 1e-2, **fields)
    arms = [
        [_arm(base, method, teacher, split) for split in _splits(data, splits)]
        for method in methods
    ]
    named = [teachers(one.data, teacher) for one in arms[0]]  # the first is agreed with
    every = [one for some in named for one in some]
    every += [one for arm in arms for recipe in arm for one in recipe.teachers]
    with Hands(workers, device, report) as hands:
        hands.train([[one] for one in dict.fromkeys(every)], "training the teachers", 0.0, 0.3)
        rates = [learning_rate] * len(arms)
        if learning_rate is None:
            rates = list(_choose(arms, seeds, hands))
        groups = [
            [_seeded(one.but(learning_rate=rate), seeds) for one in arm]
            for arm, rate in zip(arms, rates, strict=True)
        ]
        students = [group for arm in groups for group in arm]
        hands.train(students, "training the students", 0.7, 0.98)
    reports = [[Run(g).reports(t[0]) for g, t in zip(arm, named, strict=True)] for arm in groups]
    report("done", 1.0)
    return _judged(methods, groups, reports, rates)


def check(methods: Sequence[Method], splits: int, seeds: int) -> None:
    """`BadInput` unless the arms differ and their numbers make sense."""
    if len(methods) < 2:
        raise BadInput(f"compare: expected at least two arms, got {len(methods)}")
    if len(set(methods)) < len(methods):
        raise BadInput("compare: expected different arms, but one is given twice")
    for name, value in (("splits", splits), ("seeds", seeds)):
        if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= 1000:
            raise BadInput(f"compare({name}={value!r}): expected a whole number in [1, 1000]")


def _splits(data: Data, splits: int) -> list[Data]:
    fields = data.values() | {"split": 0}
    return [type(data)(**fields | {"split": data.split + s}) for s in range(splits)]


def _arm(base: Recipe, method: Method, model: str, data: Data) -> Recipe:
    return base.but(method=method, data=data, teachers=taught_by(method, data, model))


def _seeded(arm: Recipe, seeds: int) -> list[Recipe]:
    return [arm.but(seed=seed) for seed in range(seeds)]


def _choose(arms: Sequence[Sequence[Recipe]], seeds: int, hands: Hands) -> list[float]:
    """Each arm's best rate on validation data; trials look once, at their end."""
    trials = [
        [r.but(learning_rate=rate, events=1) for rate in RATES for r in _seeded(one, seeds)]
        for arm in arms
        for one in arm
    ]
    found = hands.train(trials, "choosing the learning rates", 0.3, 0.7)
    chosen, per_arm = [], len(arms[0])
    for i in range(len(arms)):
        rows = torch.tensor(found[i * per_arm : (i + 1) * per_arm], dtype=torch.float64)
        means = rows.view(per_arm, len(RATES), seeds).mean((0, 2))
        chosen.append(RATES[int(means.argmax())])  # the first of equals is the smaller
    return chosen


def _judged(
    methods: Sequence[Method],
    groups: Sequence[Sequence[Sequence[Recipe]]],
    reports: Sequence[Sequence[Sequence[Mapping[str, Any]]]],
    rates: Sequence[float | None],
) -> dict[str, Any]:
    """The comparison as plain data: arms, differences to the first, the last one's verdict."""
    from workbench.evaluation import summary, verdicts

    arms, scores = [], {}
    for method, group, found, rate in zip(methods, groups, reports, rates, strict=True):
        runs = [Run(one) for one in group]
        measured = {
            name: summary([[r.get(name) for r in split] for split in found])
            for name in ("accuracy", "nll", "brier", "ece", "agreement", "kl_to_teacher")
        }
        recall = [[r["recall"] for r in split] for split in found]
        classes = range(group[0][0].data.classes)
        arms.append(
            {"method": method.key(), "knobs": method.values(), "learning_rate": rate}
            | measured
            | {
                "recall": [summary([[r[k] for r in split] for split in recall]) for k in classes],
                "cpu_seconds": round(sum(run.status.cpu_seconds for run in runs), 2),
                "cost": _cost(group[0][0]),
                "diverged": sum(len(run.events()[-1].diverged) for run in runs),
                "runs": [run.name for run in runs],
            }
        )
        scores[method.spec()] = [[r["accuracy"] for r in split] for split in found]
    judged = verdicts(scores)
    differences = [
        {
            "arm": name,
            "mean": v.mean,
            "low": v.low,
            "high": v.high,
            "p": v.p,
            "n": v.n,
            "over": v.over,
            "coverage": v.coverage,
            "verdict": v.text,
        }
        for name, v in judged.items()
    ]
    last = differences[-1]
    return {
        "arms": arms,
        "differences": differences,
        "difference": {name: last[name] for name in ("mean", "low", "high")},
        "verdict": last["verdict"],
    }


def _cost(recipe: Recipe) -> dict[str, int]:
    """What the student costs to keep and to ask once: equal steps are not equal compute."""
    from workbench.evaluation import flops, parameters, weight_bytes

    made = built(recipe)
    one = torch.zeros(1, *recipe.data.shape)
    size = {"parameters": parameters(made), "bytes": weight_bytes(made)}
    return size | {"flops": flops(made, one)}


# ------------------------------------------------------------------------ the plan of a sweep


@dataclass(frozen=True)
class Cell:
    """A setting of a sweep: its knobs, and a recipe for each seed."""

    knobs: Mapping[str, Any]
    recipes: tuple[Recipe, ...]


@dataclass(frozen=True)
class Plan:
    """What a sweep will train, and what that takes; nothing has been trained yet.

    Each of `passes` is one run, trained in one stacked pass, and holds whole cells: whoever asks
    for the same sweep again finds those that are done. `labels` are the students of labels only
    that the cells are measured against, if they were asked for. `seconds` of one core and `memory`
    in bytes (of the largest pass) are estimates; `note` says why there are several passes.
    """

    method: str
    fixed: Mapping[str, Any]
    cells: tuple[Cell, ...]
    labels: tuple[Cell, ...]
    passes: tuple[tuple[Recipe, ...], ...]
    seconds: float
    memory: int
    note: str = ""

    @functools.cached_property
    def _places(self) -> dict[Recipe, tuple[int, int]]:
        return {arm: (i, k) for i, group in enumerate(self.passes)
                for k, arm in enumerate(arms(group))}  # fmt: skip

    @functools.cached_property
    def _known(self) -> dict[int, tuple[int, int]]:  # a recipe takes long to hash, and pages ask
        return {id(cell): self._places[cell.recipes[0].arm()] for cell in self.cells + self.labels}

    def place(self, cell: Cell) -> tuple[int, int]:
        """The pass of a cell, and which arm of it the cell is."""
        try:
            return self._known.get(id(cell)) or self._places[cell.recipes[0].arm()]
        except KeyError:
            raise BadInput(f"Plan: has no cell {dict(cell.knobs)}") from None

    def students(self, cell: Cell) -> tuple[int, slice]:
        """The pass of a cell, and where its students stand in it."""
        i, k = self.place(cell)
        return i, slice(k * len(cell.recipes), (k + 1) * len(cell.recipes))

    def base(self, cell: Cell) -> Cell | None:
        """Labels only, everything else as in the cell; None where nobody asked for it."""
        wanted = _labels_only(cell.recipes[0])
        return next((one for one in self.labels if one.recipes[0] == wanted), None)

    def extract(self, cell: Cell) -> Run:
        """A cell of a finished pass as a run of its own: replayed and opened like any other."""
        i, k = self.place(cell)
        return extract(Run(self.passes[i]), k)


def plan(
    kind: type[Method],
    grid: Mapping[str, Sequence[Any]],
    *,
    data: Data,
    student: str = "mlp-16",
    teacher: str = "mlp-256-256",
    fixed: Mapping[str, Any] | None = None,
    seeds: int = 8,
    labels: bool = False,
    most: int | None = None,
    device: str = "auto",
    **fields: Any,
) -> Plan:
    """What `sweep` would train with these arguments; `BadInput` where it could not.

    Axes are knobs of the method, of the recipe or of the data. With `labels`, students of labels
    only are trained beside the cells; `most` is about how many students a pass has, for who
    wants to see one finish after the other.
    """
    values = _values(kind, grid, data, fixed or {}, fields)
    Knob("seeds", "int", 8, 1, 1000, meaning="how many students of each").check("sweep", seeds)
    count = math.prod(map(len, values.values()))
    if count * seeds > LARGEST:
        raise BadInput(
            f"sweep(students={count * seeds}): expected at most {LARGEST}, because {count} "
            f"settings × {seeds} seeds would take hours; take fewer values or seeds"
        )
    cells = []
    for combination in itertools.product(*values.values()):
        knobs = dict(zip(values, combination, strict=True))
        arm = _setting(kind, knobs, data, student, teacher, fixed or {}, fields)
        cells.append(Cell(knobs, tuple(_seeded(arm, seeds))))
    beside = _beside(cells) if labels else []
    room = int(SHARE * _memory(device))
    if most is None:  # a long one so that processes can share it, and stop between two
        parts = round(2 * _work([*beside, *cells]) / LARGE)
        most = -(-count * seeds // max(WORKERS, parts)) if parts else None
    passes, note = _split([*beside, *cells], most, room)
    taking = sum(map(_takes, passes))
    each = [_needs(group) for group in passes]
    taught = {one for group in passes for recipe in group for one in recipe.teachers}
    learning = sum(_takes([one]) for one in taught if not done([one]))
    return Plan(
        kind.key(),
        dict(fixed or {}),
        tuple(cells),
        tuple(beside),
        tuple(passes),
        taking + learning,
        max(each),
        note,
    )


def _values(
    kind: type[Method],
    grid: Mapping[str, Sequence[Any]],
    data: Data,
    fixed: Mapping[str, Any],
    fields: Mapping[str, Any],
) -> dict[str, list[Any]]:
    """The grid with every value checked by its knob, in the order given."""
    if not isinstance(grid, Mapping) or not grid:
        raise BadInput(
            f"sweep(grid={str(grid)[:40]}): expected a knob with its values, because without one "
            "there is nothing to vary"
        )
    known, found = axes(kind, data), {}
    for name, given in grid.items():
        if name not in known:
            raise unknown(f"{kind.__name__}: knob", name, list(known))
        for others in (fixed, fields):
            if name in others:
                raise twice(kind.__name__, name, others[name], given)
        several = isinstance(given, Iterable) and not isinstance(given, (str, bytes, Mapping))
        values = list(given) if several else []
        if not values:
            raise BadInput(
                f"sweep({name}={str(given)[:40]}): expected a list of at least one value, because "
                "an axis without values has no cells"
            )
        checked = [known[name].check(kind.__name__, value) for value in values]
        again = next((v for i, v in enumerate(checked) if v in checked[:i]), None)
        if again is not None:
            raise BadInput(
                f"{kind.__name__}({name}={again}): given twice, expected once, because both "
                "would be the same cell"
            )
        found[str(name)] = checked
    return found


def axes(kind: type[Method], data: Data | type[Data]) -> dict[str, Knob]:
    """What may be swept: knobs of a method, of the recipe, of the data; seeds are counted."""
    shared = {name: k for name, k in (Recipe.knobs() | data.knobs()).items() if name not in APART}
    return dict(kind.knobs()) | shared


def _setting(
    kind: type[Method],
    cell: Mapping[str, Any],
    data: Data,
    student: str,
    teacher: str,
    fixed: Mapping[str, Any],
    fields: Mapping[str, Any],
) -> Recipe:
    """The arm of a cell: each of its values where it belongs."""
    own = {k: v for k, v in cell.items() if k in kind.knobs()}
    shown = {k: v for k, v in cell.items() if k in data.knobs() and k not in own}
    rest = {k: v for k, v in cell.items() if k not in own | shown}
    base = Recipe(student, **fields)  # with labels: not every method needs them
    there = dataclasses.replace(data, **shown) if shown else data
    return _arm(base.but(**rest), kind(**fixed, **own), teacher, there)


def _labels_only(recipe: Recipe) -> Recipe:
    return recipe.but(method=METHODS["scratch"](), teachers=())


def _beside(cells: Sequence[Cell]) -> list[Cell]:
    """Labels only, once for all cells that differ in their method alone; none where no labels."""
    found: dict[Recipe, Cell] = {}
    swept = {cell.recipes[0] for cell in cells}
    for cell in cells:
        try:
            base = _labels_only(cell.recipes[0])
        except BadInput:  # noise, or images without labels: they have none
            continue
        if base not in found and base not in swept:  # labels only are measured against nothing
            own = {k: v for k, v in cell.knobs.items() if k not in cell.recipes[0].method.values()}
            found[base] = Cell(own, tuple(_seeded(base, len(cell.recipes))))
    return list(found.values())


def _split(
    cells: Sequence[Cell], most: int | None, room: int
) -> tuple[list[tuple[Recipe, ...]], str]:
    """Whole cells in as few passes as memory, and whoever watches, allow; and why several."""
    passes: list[tuple[Recipe, ...]] = []
    for _, alike in itertools.groupby(
        sorted(cells, key=lambda cell: cell.recipes[0].steps), lambda cell: cell.recipes[0].steps
    ):
        these = list(alike)
        for tried in (False, True):  # what is far too large is not tried first
            largest = max(_needs(cell.recipes, tried) for cell in these)
            if largest > room:
                raise _too_large(these[0].recipes, largest, room)
        fit = -(-len(these) // max(1, room // largest))
        watched = round(len(these) * len(these[0].recipes) / (most or math.inf))
        count = min(max(fit, watched), len(these))
        ends = [round(len(these) * k / count) for k in range(count + 1)]
        passes += [
            tuple(recipe for cell in these[start:end] for recipe in cell.recipes)
            for start, end in itertools.pairwise(ends)
        ]
    whole = sum(_needs(cell.recipes) for cell in cells)
    if whole <= room or len(passes) == 1:
        return passes, ""
    return passes, (
        f"Trained in {len(passes)} passes, because one would take {whole / 1e6:.0f} MB, and "
        f"{SHARE:.0%} of this machine's memory is {room / 1e6:.0f} MB."
    )


def _too_large(recipes: Sequence[Recipe], bytes_: int, room: int) -> BadInput:
    return BadInput(
        f"sweep(seeds={len(recipes)}): expected at most {room / 1e6:.0f} MB for a setting, "
        f"because that is {SHARE:.0%} of this machine's memory, and {recipes[0].student} would "
        f"take {bytes_ / 1e6:.0f} MB; take fewer seeds, a smaller student or a batch_size"
    )


def done(recipes: Sequence[Recipe]) -> Run | None:
    """The finished run of a group, without making a folder for it."""
    for folder in takes(digest(recipes)):
        try:
            if Status.read(folder).status == "done":
                verify(folder)
                return Run(recipes, folder=folder)
        except Damaged:
            continue
    return None


def sweep(
    kind: type[Method],
    grid: Mapping[str, Sequence[Any]],
    *,
    data: Data,
    device: str = "auto",
    report: Report = silent,
    **given: Any,
) -> dict[str, Any]:
    """Every combination of the grid's knobs, times seeds, trained in one pass where that fits.

    Knobs of the method and fields of the recipe may be swept alike; the rest of the arguments is
    that of `plan`, where `fixed` are knobs of the method that are the same in every cell. The
    cells are not a search: all are shown, with validation and test accuracy, and none is picked.
    """
    return train(plan(kind, grid, data=data, device=device, **given), device, report)


def train(planned: Plan, device: str = "auto", report: Report = silent) -> dict[str, Any]:
    """Train what a plan has left to train, and what came of it; passes that are done are found."""
    first = planned.passes[0][0]
    taught = dict.fromkeys(one for group in planned.passes for r in group for one in r.teachers)
    if taught:
        what = "training the teacher" + "s" * (len(first.teachers) > 1)
        with Hands(1, device, report) as hands:
            hands.train([[one] for one in taught], what, 0.0, 0.3)
    runs = [Run(group, device=device) for group in planned.passes]
    many = _work(planned.cells) > LARGE / 2 and len(runs) > 1
    if many and device in ("auto", "cpu") and not torch.cuda.is_available():
        with Hands(WORKERS, device, report) as hands:
            hands.train(planned.passes, "training the students", 0.3, 1.0)
    else:
        for i, run in enumerate(runs):
            for event in run:
                share = (i + event.step / max(1, event.steps)) / len(runs)
                report("training the students", 0.3 + 0.7 * share)
    return {
        "run": runs[0].name,
        "method": planned.method,
        "fixed": dict(planned.fixed),
        "cells": [_cell(planned, cell, runs) for cell in planned.cells],
        "runs": [run.name for run in runs],
    }


def _cell(planned: Plan, cell: Cell, runs: Sequence[Run]) -> dict[str, Any]:
    from workbench.evaluation import summary

    i, mine = planned.students(cell)
    last = runs[i].events()[-1].accuracy
    rows = {part: summary([row[mine]]) for part, row in last.items()}
    return {"knobs": dict(cell.knobs), "accuracy": rows["test"], "validation": rows["validation"]}


# --------------------------------------------------------------------------- what it takes


@functools.lru_cache(maxsize=1000)
def _size(student: str, shape: tuple[int, ...], classes: int) -> tuple[int, int, int, int]:
    """Weights, operations, numbers on the way and the most of them at once, of one sample."""
    seen = [0]

    def note(module: nn.Module, _: object, out: object) -> None:
        if isinstance(out, torch.Tensor) and not any(module.children()):
            seen.append(out.numel())

    network = MODELS[student].empty(shape, classes).eval()
    for module in network.modules():
        module.register_forward_hook(note)
    with torch.no_grad():
        network(torch.zeros(1, *shape))
    return *cost(student, shape, classes), sum(seen), max(seen)


def _of(recipe: Recipe) -> tuple[int, int, int, int]:
    """The size of a recipe's student; of somebody's own network nothing is known beforehand."""
    try:
        return _size(recipe.student, recipe.data.shape, recipe.data.classes)
    except Exception:  # code that is not ours may not run without numbers
        return 0, 0, 0, 0


def _work(cells: Sequence[Cell]) -> float:
    """The operations of their steps, forwards and back."""
    each = (cell.recipes[0] for cell in cells)
    return sum(
        3.0 * one.steps * _batch(one) * _of(one)[1] * len(cell.recipes)
        for one, cell in zip(each, cells, strict=True)
    )


def _batch(recipe: Recipe) -> int:
    images = min(recipe.data.images, recipe.data.size)
    return min(recipe.batch_size or images, images)


def _needs(recipes: Sequence[Recipe], tried: bool = True) -> int:
    """Bytes that a pass takes, about: a third more or less of what was measured.

    Weights with gradient, moments and what a step makes of them; what a batch leaves on its way,
    for the gradient, or what the method was seen to leave; and the largest two layers of those
    that are looked at.
    """
    total = 0.0
    for recipe in recipes:
        weights, _, passed, most = _of(recipe)
        classes = recipe.data.classes
        looked = min(MODELS[recipe.student].family.AT_ONCE, recipe.data.tests)
        left = 12 * _batch(recipe) * (passed + 10 * classes)
        total += 40 * weights + max(left, 2 * _seen(recipe)[1] if tried else 0.0)
        total += 4 * looked * (2 * most + 6 * classes)
    return int(1.3 * total)


def _takes(recipes: Sequence[Recipe]) -> float:
    """Seconds of one core that a pass takes, about: mostly within a factor of two.

    It counts 100 billion operations and 1.1 billion numbers a second; what does not depend on the
    batch is 6 µs a student and step, and a quarter millisecond a step for the whole pass. That is
    1.1 to 1.5 times what six sweeps took (mlp-16, mlp-64-64 and cnn-8, 10 to 180 students, 50 to
    1000 images). A method may cost a hundred times as much as its networks, so that one step of
    it is tried.
    """
    seconds = 0.05
    dearest: dict[str, float] = {}  # a term that one of them has is worked out for all
    for recipe in recipes:
        name = recipe.method.key()
        dearest[name] = max(dearest.get(name, 0.0), _seen(recipe)[0])
    for i, recipe in enumerate(recipes):
        _, work, passed, _ = _of(recipe)
        events = min(recipe.events, recipe.steps) + 1
        looked = min(LOOK, recipe.data.tests) + min(LOOK, recipe.data.size // 3)
        each = work / 1e11 + passed / 1.1e9
        alone = i == 0 or not (recipe.method.stackable and MODELS[recipe.student].stackable)
        step = 3 * _batch(recipe) * each + (2.5e-4 if alone else 6e-6)
        tried, view = dearest[recipe.method.key()], _seen(recipe)[2]
        seconds += recipe.steps * max(step, tried) + events * looked * each
        seconds += events * view * (recipe.seed == 0)  # an arm's first student is looked into
        seconds += events * (1e-3 if alone else 1.5e-4)
    return seconds


#: Images and students of a step that is tried: more would cost as much as what is to be known.
TRIED, TOGETHER = 64, 24
_tried: dict[tuple[object, ...], tuple[float, float, float]] = {}


def _seen(recipe: Recipe) -> tuple[float, float, float]:
    """Seconds and bytes of a student's step, and seconds of a look inside; tried here, once.

    What a method does besides its networks is its own affair: CRD compares with a thousand
    samples, RKD every three. 0 where it cannot be tried.
    """
    knobs = recipe.method.values().items()  # of a number, whether it is 0: that term is left out
    choices = {k: v if isinstance(v, (str, tuple)) else not v for k, v in knobs}
    rows = min(_batch(recipe), TRIED)
    taught = tuple(one.student for one in recipe.teachers)
    key = (recipe.method.key(), repr(sorted(choices.items())), recipe.student, taught,
           recipe.data.key(), recipe.data.augment, rows)  # fmt: skip
    if key not in _tried:
        try:
            _tried[key] = _try_alone(recipe, rows)
        except Exception:  # the training itself says what is wrong with it
            _tried[key] = 0.0, 0.0, 0.0
    seconds, kept, view = _tried[key]
    share = _batch(recipe) / rows
    return seconds * share, kept * share, view


def _try_alone(recipe: Recipe, rows: int) -> tuple[float, float, float]:
    """`_try` on one thread, as a pass of small students is trained."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        return _try(recipe, rows)
    finally:
        torch.set_num_threads(threads)


def _try(recipe: Recipe, rows: int) -> tuple[float, float, float]:
    """What a student's share of a step costs, in a pass of `TOGETHER`: fewer fit into a cache."""
    few = dataclasses.replace(recipe.data, images=rows)
    one = recipe.but(data=few, batch_size=0)
    shown, features = 1 + int(few.transfer()[0].max()), "features" in recipe.method.needs
    untrained = {}  # a teacher that knows nothing takes as long
    for taught in recipe.teachers:
        network = MODELS[taught.student](few.shape, few.classes, 0)
        said = listen(network, few.seen()[:shown], features)
        untrained[taught, few.rows, few.split] = Teacher(network, said)
    state = begin(_seeded(one, TOGETHER), untrained, device="cpu")
    kept: dict[int, int] = {}

    def keep(value: Tensor) -> Tensor:
        kept[value.untyped_storage().data_ptr()] = value.untyped_storage().nbytes()
        return value

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda value: value):
        for each in state.stacks:
            each.learn(0, 4)
    times = []
    for step in (1, 2, 3):
        start = time.process_time()  # others may be busy on this machine
        for each in state.stacks:
            each.learn(step, 4)
        times.append(time.process_time() - start)
    # a method in two stages changes from one to the other on the way
    seconds = (min(times[:2]) + times[2]) / 2 - 2.5e-4
    start = time.process_time()
    if inside.compares(recipe.method):
        test = few.parts()["test"]
        inside.views(one, state.network(0), test.x[:GALLERY], test.y[:GALLERY])
    view = time.process_time() - start
    return max(0.0, seconds) / TOGETHER, sum(kept.values()) / TOGETHER, view


def _memory(device: str) -> int:
    """The bytes of the machine that trains: of its GPU if one was asked for, of a container."""
    if device.startswith("cuda") and torch.cuda.is_available():
        return int(torch.cuda.get_device_properties(torch.device(device)).total_memory)
    return memory()


# ------------------------------------------------------------------------------- the hands


class Hands:
    """Trains groups that are not done yet, in worker processes when there are several.

    The processes start when they are first needed and serve until the `with` ends: to start
    one costs as much as training a hundred students. Ctrl-C is for who waits for them, here:
    they are told to end, and keep what there is.
    """

    def __init__(self, workers: int, device: str, report: Report) -> None:
        self.workers, self.device, self.report = workers, device, report
        self.pool: ProcessPoolExecutor | None = None
        self.processes: list[BaseProcess] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        if self.pool is not None:
            if kind is not None:
                for process in self.processes:
                    process.terminate()
            self.pool.shutdown()

    def train(
        self, groups: Sequence[Sequence[Recipe]], what: str, low: float, high: float
    ) -> list[list[float | None]]:
        """The validation accuracy of every student at the end of its run."""
        missing = [group for group in groups if Run(group).status.status != "done"]
        self.report(what, low)
        if len(missing) > 1 and self.workers > 1:
            self._together(missing, what, low, high)
        for i, group in enumerate(missing):
            Run(group, device=self.device).drain()
            if self.workers == 1 or len(missing) == 1:
                self.report(what, low + (high - low) * (i + 1) / len(missing))
        return [list(Run(group).events()[-1].accuracy["validation"]) for group in groups]

    def _together(
        self, groups: Sequence[Sequence[Recipe]], what: str, low: float, high: float
    ) -> None:
        folders = [Run(group).folder for group in groups]
        if self.pool is None:
            # fork after torch has threads is not safe
            context = multiprocessing.get_context("spawn")
            self.pool = ProcessPoolExecutor(self.workers, context, initializer=_begin)
        others = multiprocessing.active_children()
        with deaf():  # the processes start here
            futures = [self.pool.submit(_train, folder, self.device) for folder in folders]
            self.processes += [p for p in multiprocessing.active_children() if p not in others]
        for i, future in enumerate(futures):
            future.result()
            self.report(what, low + (high - low) * (i + 1) / len(groups))


_under_way: list[Run] = []
_told = threading.Event()


def _begin() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, _end)
    os.environ["OMP_NUM_THREADS"] = "1"
    torch.set_num_threads(1)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end(*_: object) -> None:
    """Told to: at once, or when what is under way has kept what there is."""
    _told.set()
    for run in _under_way:
        run.halt()
    if not _under_way:
        os._exit(1)


def _end_with_parent() -> None:
    """Whose parent was killed would wait for ever; a run that is cut off here can be resumed."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _train(folder: Path, device: str) -> None:
    run = Run.at(folder, device)
    _under_way.append(run)
    try:
        run.drain()
    finally:
        _under_way.remove(run)
        if _told.is_set():
            os._exit(1)
