"""Finished runs that come with the package, so that nothing is empty on arrival.

`python -m workbench.assets` makes them anew, which is due whenever the engine or one of their
recipes changes; `--check` only says whether they are sound. Each folder of `runs/` is named by
its group of recipes, which it holds as `recipes.json`:

- the teacher of the digits, split 0 (`workbench.recipe.teacher`),
- each arm of the recipe `first-act`, 12 students, as a group of its own,
- the arm at T = 1 of `first-act-cold`, likewise.
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


def groups(name: str) -> list[tuple[Recipe, ...]]:
    """The arms of a named recipe, each as a group of its own."""
    found = RECIPES[name].recipes
    return [tuple(found[i] for i in places) for places in arms(found).values()]


def shipped() -> list[tuple[Recipe, ...]]:
    """The groups that are shipped: the teacher first, then the arms that learn beside it."""
    acts = dict.fromkeys([*groups("first-act"), *groups("first-act-cold")])
    return [(teacher(DATA["digits"]()),), *acts]


def make() -> list[Path]:
    """Train every group in an empty home and put it where the old one was."""
    target, before = runs.SHIPPED, os.environ.get("WORKBENCH_HOME")
    with tempfile.TemporaryDirectory() as new:
        # hidden, or the old runs would be found and not trained again
        runs.SHIPPED, os.environ["WORKBENCH_HOME"] = Path(new) / "none", new
        try:
            first, *others = [runs.Run(group, device="cpu").drain() for group in shipped()]
            first.reports()
            for run in others:
                run.reports(first.recipes[0])
        finally:
            runs.SHIPPED = target
            if before is None:
                del os.environ["WORKBENCH_HOME"]
            else:
                os.environ["WORKBENCH_HOME"] = before
        shutil.rmtree(target, ignore_errors=True)
        made = []
        for run in (first, *others):
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
