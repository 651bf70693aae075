"""Finished runs that come with the package, so that nothing is empty on arrival.

`python -m workbench.assets` makes them anew, which is due whenever the engine or one of their
recipes changes; `--check` only says whether they are sound. Each folder of `runs/` is named by
its group of recipes, which it holds as `recipes.json`:

- the teacher of the digits, split 0 (`workbench.recipe.teacher`),
- each arm of the recipe `first-act`, 12 students, as a group of its own,
- the arm at T = 1 of `first-act-cold`, likewise.

The arms are cut out of the run of all 24, which is what the first act trains: alone they would
round a little differently, and the page Train would show other numbers than the act before it.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

from workbench import runs
from workbench.data import DATA
from workbench.recipe import Recipe, arms, digest, teacher
from workbench.recipes import RECIPES

#: What is not shipped: who trained, who watched, how to resume.
LEFT = shutil.ignore_patterns("lease", "followers", "command.json", "checkpoint.*", ".*")


ACTS = ("first-act", "first-act-cold")


def groups(name: str) -> list[tuple[Recipe, ...]]:
    """The arms of a named recipe, each as a group of its own."""
    found = RECIPES[name].recipes
    return [tuple(found[i] for i in places) for places in arms(found).values()]


def shipped() -> list[tuple[Recipe, ...]]:
    """The groups that are shipped: the teacher first, then the arms that learn beside it."""
    acts = dict.fromkeys(group for name in ACTS for group in groups(name))
    return [(teacher(DATA["digits"]()),), *acts]


def make() -> list[Path]:
    """Train every group in an empty home and put it where the old one was."""
    target, before = runs.SHIPPED, os.environ.get("WORKBENCH_HOME")
    with tempfile.TemporaryDirectory() as new:
        # hidden, or the old runs would be found and not trained again
        runs.SHIPPED, os.environ["WORKBENCH_HOME"] = Path(new) / "none", new
        try:
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
        finally:
            runs.SHIPPED = target
            if before is None:
                del os.environ["WORKBENCH_HOME"]
            else:
                os.environ["WORKBENCH_HOME"] = before
        shutil.rmtree(target, ignore_errors=True)
        made = []
        for run in (first, *others.values()):
            made.append(target / run.name / "1")
            shutil.copytree(run.folder, made[-1], ignore=LEFT)
    return made


def unsound() -> list[str]:
    """What is wrong with the shipped runs: one sentence each, nothing if they are in order."""
    found = []
    for group in shipped():
        folder = runs.SHIPPED / digest(group) / "1"
        try:
            if runs.Status.read(folder).status != "done":
                raise runs.Damaged(f"{folder}: is missing")
            runs.verify(folder)
        except runs.Damaged as error:
            found.append(str(error))
    return found
