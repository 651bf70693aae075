"""Many runs at once: an honest comparison of arms, and a sweep over settings.

Every number that decides anything is chosen on validation data; the test part only reports.
"""

from __future__ import annotations

import itertools
import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any, Self

import torch

from workbench.base import BadInput, Method, twice
from workbench.data import Data
from workbench.engine import built
from workbench.jobs import deaf
from workbench.recipe import Recipe, taught_by, teachers
from workbench.runs import Run

#: The learning rates that an arm may choose from, by its mean validation accuracy.
RATES = (1e-3, 3e-3, 1e-2, 3e-2, 1e-1)
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


def sweep(
    kind: type[Method],
    grid: Mapping[str, Sequence[Any]],
    *,
    data: Data,
    student: str = "mlp-16",
    teacher: str = "mlp-256-256",
    fixed: Mapping[str, Any] | None = None,
    seeds: int = 8,
    device: str = "auto",
    report: Report = silent,
    **fields: Any,
) -> dict[str, Any]:
    """Every combination of the grid's knobs, times seeds, trained in one pass.

    Knobs of the method and fields of the recipe may be swept alike; `fixed` are knobs of the
    method that are the same in every cell. The cells are not a search: all are shown, with
    validation and test accuracy, and none is picked.
    """
    fixed = fixed or {}
    if not grid:
        raise BadInput("sweep: expected at least one knob with several values, got none")
    for name in grid.keys() & fixed.keys():
        raise twice(kind.__name__, name, fixed[name], list(grid[name]))
    cells = [dict(zip(grid, values, strict=True)) for values in itertools.product(*grid.values())]
    if len(cells) * seeds > 2000:
        raise BadInput(f"sweep: {len(cells)} settings × {seeds} seeds; expected at most 2000")
    base = Recipe(student, **fields)  # with labels: not every method needs them
    recipes: list[Recipe] = []
    for cell in cells:
        knobs = {k: v for k, v in cell.items() if k in kind.knobs()}
        rest = {k: v for k, v in cell.items() if k not in knobs}
        arm = _arm(base, kind(**fixed, **knobs), teacher, data).but(**rest)
        recipes += _seeded(arm, seeds)
    if recipes[0].teachers:
        with Hands(1, device, report) as hands:
            hands.train([[one] for one in recipes[0].teachers], "training the teacher", 0.0, 0.3)
    run = Run(recipes, device=device)
    for event in run:
        report("training the students", 0.3 + 0.7 * event.step / max(1, event.steps))
    last = run.events()[-1]
    return {
        "run": run.name,
        "method": kind.key(),
        "fixed": dict(fixed),
        "cells": [_cell(c, i, seeds, last.accuracy) for i, c in enumerate(cells)],
    }


def _cell(
    cell: Mapping[str, Any], i: int, seeds: int, accuracy: Mapping[str, Sequence[float | None]]
) -> dict[str, Any]:
    from workbench.evaluation import summary

    rows = {part: summary([row[i * seeds : (i + 1) * seeds]]) for part, row in accuracy.items()}
    return {"knobs": dict(cell), "accuracy": rows["test"], "validation": rows["validation"]}


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
