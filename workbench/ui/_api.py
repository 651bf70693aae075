"""What a script may ask the app: a few named calls, each checked as strictly as the page."""

import json
import re
import secrets
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Literal, TypedDict, cast

import gradio as gr
from gradio.components.api_component import Api
from gradio.events import api
from gradio.utils import get_function_description
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from workbench import jobs, runs, words
from workbench.base import BadInput, Trouble
from workbench.charts import mean_sd
from workbench.evaluation import verdict
from workbench.methods import METHODS
from workbench.sweep import Cell, Plan
from workbench.ui import _axes, _desk, _form
from workbench.ui._take import take
from workbench.ui._visitor import name_of

LONGEST = 20_000
_watcher = secrets.token_hex(16)


# What the calls take and give. Gradio reads the types off the functions, for `view_api` and its
# page about the API; that is why this file does not postpone its annotations.

Value = int | float | str | list[int] | list[list[str]]
Plain = Value | bool | None
Written = Plain | dict[str, Plain]


class KnobInfo(TypedDict):
    """A knob: kind, default, accepted range, slider, choices, scale and meaning."""

    kind: str
    default: Plain
    low: float | None
    high: float | None
    slider: list[float] | None
    choices: list[str] | None
    scale: str
    meaning: str


class MethodInfo(TypedDict):
    """A method: what it is called, its paper, its own knobs."""

    title: str
    paper: str
    knobs: dict[str, KnobInfo]


class Known(TypedDict):
    """Every method, and the knobs that all of them share."""

    methods: dict[str, MethodInfo]
    knobs: dict[str, KnobInfo]


class Accuracy(TypedDict):
    """The share right on test: mean and sample standard deviation over n students."""

    mean: float
    std: float
    n: int


class Progress(TypedDict):
    """How far a run is."""

    run: str
    status: Literal["queued", "running", "stopped", "done", "failed"]
    step: int
    steps: int
    ahead: int | None
    reason: str
    accuracy: Accuracy | None
    students: list[float | None]
    recipe: dict[str, Written | list[dict[str, Written]]]


class Square(TypedDict):
    """A cell of a sweep: its knobs, its run, and where its students stand in it."""

    knobs: dict[str, Plain]
    run: str
    students: list[int]


class Planned(TypedDict):
    """A sweep that was begun: its runs, about how long one core takes, its cells."""

    runs: list[str]
    seconds: float
    cells: list[Square]
    labels: list[Square]


class Interval(TypedDict):
    """A mean difference as a share, and its 95 % interval."""

    mean: float | None
    low: float | None
    high: float | None


class Judged(TypedDict):
    """One run against another."""

    difference: Interval
    pairs: int
    over: Literal["splits", "seeds"]
    verdict: Literal["BEATS", "LOSES", "INCONCLUSIVE"]


def _refused(error: Exception) -> gr.Error:
    """The one sentence that a caller reads."""
    return gr.Error(words.sentence(error), print_exception=False)


def _folder(run: object) -> Path:
    if not isinstance(run, str) or not re.fullmatch(r"[0-9a-f]{16}/[0-9]{1,9}", run):
        raise BadInput(words.NO_RUN)
    for root in (runs.home() / "runs", runs.SHIPPED):
        if (root / run / "recipes.json").exists() and not _private(root / run):
            return root / run
    raise BadInput(words.LOST_RUN.format(run))


def _private(folder: Path) -> bool:
    """Whether a run learns from somebody's own data: their list on the page alone shows it."""
    return any(recipe.data.key() == _form.OWN for recipe in take(folder).recipes)


def recipes() -> Known:
    """Every method with its knobs, and the knobs that all share.

    Returns:
        kind, default, range and meaning of every knob
    """
    known = {
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
    return cast(Known, known)


def train(
    method: str = "kd", knobs: dict[str, Value] | None = None, images: int = 50, seeds: int = 12
) -> str:
    """Train students and give back the run's id; ask `status` about it.

    Args:
        method: a name that `recipes` lists, or with its knobs such as "kd:temperature=8,alpha=1"
        knobs: the method's own or any that all share, such as {"temperature": 8, "steps": 600}
        images: how many of the 1000 training images the student sees
        seeds: how many students are trained, each from its own start, 1 to 24

    Returns:
        the run's id, such as 0123456789abcdef/1
    """
    try:
        if not isinstance(method, str) or len(method) > LONGEST:
            raise BadInput(words.NO_METHOD)
        if knobs is not None and (not isinstance(knobs, dict) or len(knobs) > 50):
            raise BadInput(words.NO_KNOBS.format(50))
        key, _, written = method.partition(":")
        kind = METHODS[key]
        typed = kind.given(written)
        own = kind(**typed).values()
        beside = typed | {"images": images, "seeds": seeds, "method": method, "knobs": knobs}
        shared: dict[str, Any] = {}
        for name, value in (knobs or {}).items():
            if name in beside:
                both = (str(one)[:40] for one in (beside[name], value))
                raise BadInput(words.GIVEN_TWICE.format(name, *both))
            if name not in own and name not in _form.common():
                raise BadInput(words.stranger(name, key, list(own), list(_form.common())))
            (own if name in own else shared)[name] = value
        found = shared | {"method": key, "knobs": own, "images": images, "seeds": seeds}
        made = _form.setup(found, text=False)
        folder = _desk.pool().submit(made.recipes, _watcher, seconds=0.0)
        return f"{folder.parent.name}/{folder.name}"
    except (BadInput, Trouble) as error:
        raise _refused(error) from None


def sweep(
    grid: dict[str, list[float]],
    method: str = "kd",
    knobs: dict[str, Value] | None = None,
    images: int = 50,
    seeds: int = 5,
) -> Planned:
    """Train every pair of two knobs' values; ask `status` about each of the runs it gives back.

    Args:
        grid: one or two knobs with their values, such as {"temperature": [1, 4], "alpha": [0, 1]}
        method: a name that `recipes` lists, such as "kd"
        knobs: what is the same in every cell, such as {"steps": 600}
        images: how many of the 1000 training images the student sees
        seeds: how many students each cell has, 1 to 24

    Returns:
        the runs, and for every cell its run and the first and last of its students there
    """
    try:
        if not isinstance(method, str) or len(method) > LONGEST:
            raise BadInput(words.NO_METHOD)
        if knobs is not None and (not isinstance(knobs, dict) or len(knobs) > 50):
            raise BadInput(words.NO_KNOBS.format(50))
        made = _axes.scripted(method, grid, dict(knobs or {}), images, seeds)
        folders = [_desk.pool().submit(group, _watcher, seconds=0.0) for group in made.passes]
        names = [f"{folder.parent.name}/{folder.name}" for folder in folders]
        return {
            "runs": names,
            "seconds": round(made.seconds, 2),
            "cells": [_square(made, cell, names) for cell in made.cells],
            "labels": [_square(made, cell, names) for cell in made.labels],
        }
    except (BadInput, Trouble) as error:
        raise _refused(error) from None


def _square(made: Plan, cell: Cell, names: list[str]) -> Square:
    i, mine = made.students(cell)
    knobs = cast(dict[str, Plain], dict(cell.knobs))
    return {"knobs": knobs, "run": names[i], "students": [mine.start, mine.stop - 1]}


def status(run: str) -> Progress:
    """How far a run is. Ask at least every 20 seconds: a training that nobody follows stops.

    Args:
        run: the id that `train`, `sweep` or `shipped` gave

    Returns:
        its state, step, accuracy on test, of all and of each student, and recipe
    """
    try:
        folder = _folder(run)
        found, one = take(folder), take(folder).status()
        if one.status in ("queued", "running"):
            jobs.follow(folder, _watcher)  # who asks is a follower: unasked runs are stopped
        ahead, events = _desk.pool().ahead(folder), found.events()
        reason = _desk.why(folder, one)
        last = events[-1].accuracy.get("test", ()) if events else ()
        over = reason and one.status in ("queued", "running")  # there was no room to say so
        progress = {
            "run": run,
            "status": "stopped" if over else one.status,
            "step": events[-1].step if events else 0,
            "steps": found.recipe.steps,
            "ahead": ahead,
            "reason": reason,
            "accuracy": _summary(last),
            "students": list(last),
            "recipe": found.recipe.to_json(),
        }
        return cast(Progress, progress)
    except (BadInput, Trouble) as error:
        raise _refused(error) from None


def _summary(row: Iterable[float | None]) -> Accuracy | None:
    found = mean_sd(row)
    return None if found is None else {"mean": found[0], "std": found[1], "n": found[2]}


def compare(baseline: str, run: str) -> Judged:
    """Whether one finished run is better than another, paired by seed.

    Args:
        baseline: the id of the run to compare with
        run: the id of the run to judge

    Returns:
        the mean difference as a share, its 95 % interval and the verdict
    """
    try:
        rows = []
        for one in (baseline, run):
            found = take(_folder(one))
            if found.status().status != "done":
                raise BadInput(words.NOT_YET.format(one))
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
    """The ids of the runs that come with the workbench.

    Returns:
        ids, labels only first
    """
    from workbench import assets
    from workbench.recipe import digest

    _, *groups = assets.shipped()
    names = [name_of(runs.SHIPPED / digest(group) / "1") for group in groups]
    return [name.partition("/")[2] for name in names]


class Strict:
    """Refuses a call whose JSON names a value twice, of which Gradio would take the last."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Read what is asked before Gradio does, and hand it on."""
        if scope["type"] != "http" or scope["method"] != "POST" or "/call/" not in scope["path"]:
            await self.app(scope, receive, send)
            return
        request = Request(scope, receive)
        body = await request.body()
        try:
            json.loads(body, object_pairs_hook=_form.once)
        except BadInput as error:
            refused = JSONResponse({"error": words.sentence(error)}, 400)
            await refused(scope, receive, send)
            return
        except (ValueError, RecursionError):
            pass  # Gradio says what it makes of that
        sent = False

        async def again() -> Message:
            nonlocal sent
            if sent:
                return await receive()
            sent = True
            return {"type": "http.request", "body": body, "more_body": False}

        await self.app(scope, again, send)


def expose() -> None:
    """Declare the calls inside a Blocks context, each value with what its docstring says of it."""
    page = gr.context.Context.root_block
    assert page is not None
    for call in (recipes, train, sweep, status, compare, shipped):
        made = api(call, api_name=call.__name__, concurrency_limit=None)
        _, takes, gives = get_function_description(call)
        for name, texts in (("inputs", takes.values()), ("outputs", gives)):
            for box, text in zip(made[name], texts, strict=True):
                info = cast(Api, page.blocks[box])._api_info
                info |= {"description": text, "additional_description": text}
