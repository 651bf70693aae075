"""Finished runs that come with the package, so that nothing is empty on arrival.

`python -m workbench.assets` makes them anew, which is due whenever the engine or one of their
recipes changes; `--check` only says whether they are sound. Each folder of `runs/` is named by
its group of recipes, which it holds as `recipes.json`:

- the teacher of the digits, split 0 (`workbench.recipe.teacher`),
- each arm of the recipe `first-act`, 12 students, as a group of its own,
- the arm at T = 1 of `first-act-cold`, likewise,
- a small sweep over temperature and alpha, in one run.

The arms are cut out of the run of all 24, which is what the first act trains: alone they would
round a little differently, and the page Train would show other numbers than the act before it.
"""

from __future__ import annotations

import functools
import json
import os
import shutil
import tempfile
from dataclasses import replace
from pathlib import Path

from workbench import runs
from workbench.data import DATA
from workbench.methods import METHODS
from workbench.recipe import Recipe, arms, digest, teacher
from workbench.recipes import RECIPES
from workbench.sweep import Plan, plan

#: What is not shipped: who trained, who watched, how to resume.
_ALWAYS = ("lease", "followers", "command.json", "checkpoint.*", ".*")
LEFT = shutil.ignore_patterns(*_ALWAYS)
#: And what of a sweep: it would be more than all the rest.
THIN = shutil.ignore_patterns(*_ALWAYS, "opinions.f16", "timings.jsonl", "report-*")

ACTS = ("first-act", "first-act-cold")


def groups(name: str) -> list[tuple[Recipe, ...]]:
    """The arms of a named recipe, each as a group of its own."""
    found = RECIPES[name].recipes
    return [tuple(found[i] for i in places) for places in arms(found).values()]


def shipped() -> list[tuple[Recipe, ...]]:
    """The groups that are shipped: the teacher first, then the arms that learn beside it."""
    acts = dict.fromkeys(group for name in ACTS for group in groups(name))
    return [(teacher(DATA["digits"]()),), *acts]


@functools.cache
def swept() -> Plan:
    """The sweep that is shipped: what the page Sweep shows before anybody has run one.

    Twelve cells, few events and four seeds (with three, no cell could be told from labels only
    among so many) keep it below 300 kB; its opinions are left out, and asked for anew when a
    cell is opened.
    """
    grid = {"alpha": [0.0, 0.5, 1.0], "temperature": [1.0, 4.0, 8.0, 16.0]}
    data = DATA["digits"](images=50)
    return plan(METHODS["kd"], grid, data=data, seeds=4, labels=True, events=5)


def make(acts: bool = True, sweep: bool = True) -> list[Path]:
    """Train every group in an empty home and put it where the old one was."""
    target, before = runs.SHIPPED, os.environ.get("WORKBENCH_HOME")
    made: list[Path] = []
    with tempfile.TemporaryDirectory() as new:
        # hidden, or the old runs would be found and not trained again
        runs.SHIPPED, os.environ["WORKBENCH_HOME"] = Path(new) / "none", new
        try:
            trained = _acts() if acts else []
            groups_ = swept().passes if sweep else ()
            maps = [runs.Run(group, device="cpu").drain() for group in groups_]
        finally:
            runs.SHIPPED = target
            if before is None:
                del os.environ["WORKBENCH_HOME"]
            else:
                os.environ["WORKBENCH_HOME"] = before
        if acts and sweep:  # with what is shipped no more
            shutil.rmtree(target, ignore_errors=True)
        for run in (*trained, *maps):
            made.append(target / run.name / "1")
            shutil.rmtree(made[-1], ignore_errors=True)
            shutil.copytree(run.folder, made[-1], ignore=THIN if run in maps else LEFT)
            if run in maps:
                _pack(made[-1])
    return made


def _acts() -> list[runs.Run]:
    """The teacher, and the arms of the first act beside each other."""
    first = runs.Run(teacher(DATA["digits"]()), device="cpu").drain()
    first.reports()
    others: dict[str, runs.Run] = {}
    for name in ACTS:
        whole = runs.Run(RECIPES[name].recipes, device="cpu").drain()
        for k, group in enumerate(groups(name)):
            if digest(group) not in others:
                others[digest(group)] = runs.extract(whole, k)
    for run in others.values():
        run.reports(first.recipes[0])
    return [first, *others.values()]


def _pack(folder: Path) -> None:
    """Recipes without the spaces that people read them by."""
    recipes = json.loads((folder / "recipes.json").read_text())
    runs.write(folder / "recipes.json", json.dumps(recipes, separators=(",", ":")))
    status = runs.Status.read(folder)
    sums = dict(status.sums or {}) | {"recipes.json": runs.checksum(folder / "recipes.json")}
    replace(status, sums=sums).write(folder)


def unsound() -> list[str]:
    """What is wrong with the shipped runs: one sentence each, nothing if they are in order."""
    found = []
    for group in (*shipped(), *swept().passes):
        folder = runs.SHIPPED / digest(group) / "1"
        try:
            if runs.Status.read(folder).status != "done":
                raise runs.Damaged(f"{folder}: is missing")
            runs.verify(folder)
        except runs.Damaged as error:
            found.append(str(error))
    return found
