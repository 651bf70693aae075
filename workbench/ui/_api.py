"""What a script may ask the app: a few named calls, each checked as strictly as the page."""

from __future__ import annotations

import re
import secrets
from pathlib import Path
from typing import Any

import gradio as gr
from gradio.events import api

from workbench import jobs, runs
from workbench.base import BadInput, Trouble
from workbench.charts import mean_sd
from workbench.evaluation import verdict
from workbench.methods import METHODS
from workbench.ui import _desk, _form, words
from workbench.ui._take import take
from workbench.ui._visitor import name_of

LONGEST = 20_000
_watcher = secrets.token_hex(16)


def _refused(error: Exception) -> gr.Error:
    """The one sentence that a caller reads."""
    return gr.Error(words.sentence(error), print_exception=False)


def _folder(run: object) -> Path:
    if not isinstance(run, str) or not re.fullmatch(r"[0-9a-f]{16}/[0-9]{1,9}", run):
        raise BadInput("run: expected the id that train gave, like 0123456789abcdef/1")
    for root in (runs.home() / "runs", runs.SHIPPED):
        if (root / run / "recipes.json").exists():
            return root / run
    raise BadInput(f"run: {run} is not known here; it may have been removed")


def recipes() -> dict[str, Any]:
    """Every method with its knobs, and the knobs that all share: kind, default and range."""
    return {
        "methods": {
            key: {
                "title": method.title,
                "paper": method.paper,
                "knobs": {name: knob.describe() for name, knob in method.knobs().items()},
            }
            for key, method in METHODS.items()
        },
        "knobs": {name: knob.describe() for name, knob in _form.common().items()},
    }


def train(
    method: str = "kd", knobs: dict[str, Any] | None = None, images: int = 50, seeds: int = 12
) -> str:
    """Train students and give back the run's id; ask `status` about it.

    `method` may be a specification such as "kd:temperature=8,alpha=1". `knobs` are any of those
    that `recipes` lists, for example {"learning_rate": 0.03, "student": "mlp-8"}.
    """
    try:
        if not isinstance(method, str) or len(method) > LONGEST:
            raise BadInput("method: expected a name such as kd:temperature=8")
        if knobs is not None and (not isinstance(knobs, dict) or len(knobs) > 50):
            raise BadInput("knobs: expected an object with at most 50 names")
        key, _, own = method.partition(":")
        given: dict[str, Any] = dict(knobs or {})
        for name in ("images", "seeds", "method", "knobs"):
            if name in given:
                raise BadInput(f"knobs({name}=…): given twice, expected once")
        made_of = METHODS[key].parse(own).values()
        found = given | {"method": key, "knobs": made_of, "images": images, "seeds": seeds}
        made = _form.setup(found, text=False)
        folder = _desk.pool().submit(made.recipes, _watcher, seconds=0.0)
        return f"{folder.parent.name}/{folder.name}"
    except (BadInput, Trouble) as error:
        raise _refused(error) from None


def status(run: str) -> dict[str, Any]:
    """How far a run is: status, step, steps, accuracy (mean, std, n) and its recipe."""
    try:
        folder = _folder(run)
        found, one = take(folder), take(folder).status()
        if one.status in ("queued", "running"):
            jobs.follow(folder, _watcher)  # who asks is a follower: unasked runs are stopped
        ahead, events = _desk.pool().ahead(folder), found.events()
        return {
            "run": run,
            "status": one.status,
            "step": events[-1].step if events else 0,
            "steps": found.recipe.steps,
            "ahead": ahead,
            "reason": one.reason,
            "accuracy": _summary(events[-1].accuracy.get("test", ()) if events else ()),
            "recipe": found.recipe.to_json(),
        }
    except (BadInput, Trouble) as error:
        raise _refused(error) from None


def _summary(row: Any) -> dict[str, float | int] | None:
    found = mean_sd(row)
    return None if found is None else {"mean": found[0], "std": found[1], "n": found[2]}


def compare(baseline: str, run: str) -> dict[str, Any]:
    """Two finished runs, paired by seed: mean difference, 95 % interval, verdict."""
    try:
        rows = []
        for one in (baseline, run):
            found = take(_folder(one))
            if found.status().status != "done":
                raise BadInput(f"run: {one} is not finished; ask status about it")
            rows.append(found.events()[-1].accuracy["test"])
        n = min(map(len, rows))
        judged = verdict([rows[1][:n]], [rows[0][:n]])
        return {
            "difference": {"mean": judged.mean, "low": judged.low, "high": judged.high},
            "pairs": judged.n,
            "over": judged.over,
            "verdict": judged.text,
        }
    except (BadInput, Trouble) as error:
        raise _refused(error) from None


def shipped() -> list[str]:
    """The ids of the runs that come with the workbench, labels only first."""
    from workbench import assets
    from workbench.recipe import digest

    _, *groups = assets.shipped()
    names = [name_of(runs.SHIPPED / digest(group) / "1") for group in groups]
    return [name.partition("/")[2] for name in names]


def expose() -> None:
    """Declare the calls inside a Blocks context."""
    for call in (recipes, train, status, compare, shipped):
        api(call, api_name=call.__name__, concurrency_limit=None)
