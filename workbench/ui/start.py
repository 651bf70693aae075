"""Start: the first act. Bars that open up, a guess, students that learn, and why it is so."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gradio as gr

from workbench import words
from workbench.ui import Page, _act, _form, _stage
from workbench.ui._stage import WIDTHS
from workbench.ui._tabs import Sessions, failure, kept_token
from workbench.ui._visitor import token_of, visitor

#: Seconds between two looks at a run.
LOOK = 0.1
PARTS = ("head", "race", "card", "foot")
CLICKS = "window.workbench.clicks(element, trigger)\n"
MEASURE = "(token, ear) => [token, window.start.measure()]"


@dataclass
class Session:
    """An open page: its widths, whether it wants no motion, what it was told, its follow."""

    widths: tuple[int, ...] = WIDTHS
    still: bool = False
    message: str = ""
    turn: int = 0


session = Sessions(Session)


def _measured(here: Session, text: object) -> None:
    """Widths of chart and card, and whether motion is unwanted: '752,270,0'."""
    try:
        race, card, still = (int(float(v)) for v in str(text)[:40].split(","))
    except (ValueError, OverflowError):
        return
    here.widths = min(2400, max(280, race)), min(2400, max(200, card))
    here.still = still == 1


# --------------------------------------------------------------------------------- drawing


def draw(token: str, here: Session) -> dict[str, Any]:
    """Every part of the page as it stands."""
    act = _act.read(visitor(token))
    seen = _act.view(act, jumps=here.still)
    reason = words.whole(seen.reason) if seen and seen.reason and seen.over else ""
    return {
        "head": _stage.head(act, seen, here.message or reason),
        "race": _stage.race(act, seen, here.widths[0]),
        "card": _stage.card(act, seen, here.widths[1]),
        "foot": _stage.foot(act, seen),
        "live": seen is not None and not seen.over,
    }


def drawn(token: str, here: Session) -> dict[str, Any]:
    """The page; where it cannot be drawn, one sentence says why and the rest stays as it was."""
    found: dict[str, Any] = {}
    said = failure(lambda: found.update(draw(token, here)))
    if not said:
        return found
    kept: dict[str, Any] = dict.fromkeys(PARTS, gr.skip())
    return kept | {"head": _stage.head(_act.read(visitor(token)), None, said), "live": False}


def _values(found: dict[str, Any]) -> list[Any]:
    return [found[name] for name in PARTS]


# -------------------------------------------------------------------------------- handlers


def arrive(token: object, ear: object, request: gr.Request) -> list[Any]:
    """A page opens: where its visitor stands, and the temperature of its address."""
    here, query = session(request), request.query_params
    _measured(here, ear)
    known = token_of(token, str(request.session_hash))
    found: dict[str, float] = {}
    if not _form.means(dict(query)):
        found, notes = _act.from_address(query.multi_items())
        here.message = words.notes(notes)
    return [known, json.dumps(found) if found else gr.skip(), *_values(drawn(known, here))]


def clicked(token: object, ear: object, request: gr.Request, event: gr.EventData) -> list[Any]:
    """A button: its data say what to do. The last value chooses the tab."""
    here, known = session(request), token_of(token, str(request.session_hash))
    here.turn += 1  # whoever follows now must not draw over what is done here
    _measured(here, ear)
    asked = event._data if isinstance(event._data, dict) else {}
    do = str(asked.get("do"))
    deeds: dict[str, Callable[[], object]] = {
        "guess": lambda: _act.begin(known, "warm", _act.guessed(asked.get("guess", ""))),
        "cold": lambda: _cold(known, asked.get("guess", "")),
        "stop": lambda: _act.stop(known),
        "go": lambda: _act.go_on(known),
        "again": lambda: _again(known),
        "over": lambda: _over(known),
        "train": lambda: _act.hand_over(known),
    }
    here.message = failure(deeds.get(do, lambda: None))
    tab = gr.Tabs(selected="train") if do == "train" and not here.message else gr.skip()
    return [*_values(drawn(known, here)), tab]


def _cold(known: str, guess: object) -> None:
    """T = 1 comes after T = 8: there must be something to compare it with."""
    if _act.read(visitor(known)).warm is not None:
        _act.begin(known, "cold", _act.guessed(guess))


def _again(known: str) -> None:
    """Train a stopped stage once more."""
    act = _act.read(visitor(known))
    seen = _act.view(act)
    if seen is not None and seen.state in ("stopped", "failed"):
        _act.begin(known, act.stage, act.mark)


def _over(known: str) -> None:
    """Back to the bars, unless another page has begun what this one does not show yet."""
    seen = _act.view(_act.read(visitor(known)))
    if seen is None or seen.over:
        _act.again(known)


def resized(token: object, ear: object, request: gr.Request) -> list[Any]:
    """The window has another width: the picture is drawn for it."""
    here = session(request)
    _measured(here, ear)
    return _values(drawn(token_of(token, str(request.session_hash)), here))


async def follow(token: object, request: gr.Request) -> AsyncIterator[list[Any]]:
    """Tail what the students do, ten times a second, until it is over."""
    here = session(request)
    here.turn += 1
    mine, beat = here.turn, 0.0
    last: dict[str, Any] = {}
    known = token_of(token, str(request.session_hash))
    while here.turn == mine:
        if time.monotonic() - beat > 1:
            beat = time.monotonic()
            await asyncio.to_thread(failure, lambda: _act.attend(known))
        # what goes wrong with what nobody asked for, the drawing says
        await asyncio.to_thread(failure, lambda: _act.hurry(known))
        found = await asyncio.to_thread(drawn, known, here)
        if here.turn != mine:
            break
        changes = [found[n] if found[n] != last.get(n) else gr.skip() for n in PARTS]
        if any(isinstance(change, str) for change in changes):
            yield changes
        if not found["live"]:
            break
        last = found
        await asyncio.sleep(LOOK)
    # Gradio sends once more at the end what was yielded last, over all that came since
    yield [gr.skip() for _ in PARTS]


# ---------------------------------------------------------------------------------- layout


def _html(name: str, value: str = "", script: str = CLICKS, **more: Any) -> gr.HTML:
    return gr.HTML(
        value, elem_id=f"start-{name}", js_on_load=script, apply_default_css=False, **more
    )


def fill() -> None:
    """Lay the page out and wire it."""
    token, tabs = kept_token(), gr.context.Context.block.parent  # type: ignore[union-attr]
    scripts = (Path(__file__).parent / "start.js").read_text(encoding="utf-8")
    bars, turn, ear_script = scripts.split("// ---\n")[1:]
    first = _act.Act()
    with gr.Column(elem_id="start"):
        ear = _html("ear", script=ear_script, html_template="", visible="hidden")
        parts = {"head": _html("head", _stage.head(first, None), CLICKS + turn)}
        look = _html("look", script=bars, html_template=_stage.look())
        with gr.Row(elem_id="stage"):
            parts["race"] = _html("race")
            parts["card"] = _html("card")
        parts["foot"] = _html("foot")
    parts = {name: parts[name] for name in PARTS}
    _wire(token, tabs, ear, look, parts)


def _wire(
    token: gr.BrowserState, tabs: Any, ear: gr.HTML, look: gr.HTML, parts: dict[str, gr.HTML]
) -> None:
    """Every handler gives the whole page back, and what is under way is followed."""
    page = list(parts.values())
    quiet: dict[str, Any] = {
        "show_progress": "hidden",
        "api_visibility": "private",
        "concurrency_limit": None,
    }
    # multiple: while an older follow is ending, Gradio would drop the one that replaces it
    more: dict[str, Any] = {"trigger_mode": "multiple"}
    chain: dict[str, Any] = {"fn": follow, "inputs": [token], "outputs": page, **quiet, **more}
    demo = gr.context.Context.root_block
    assert demo is not None
    demo.load(arrive, [token, ear], [token, look, *page], js=MEASURE, **quiet).success(**chain)
    for area in (look, parts["card"], parts["foot"]):
        area.click(clicked, [token, ear], [*page, tabs], **quiet).success(**chain)
    parts["head"].input(follow, [token], page, **quiet, **more)  # the page was away, and is back
    ear.input(resized, [token, ear], page, trigger_mode="always_last", **quiet)


PAGE = Page(10, words.START, fill)
