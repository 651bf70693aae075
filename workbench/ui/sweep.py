"""Sweep: two knobs, every pair of their values, and a map that fills while one watches."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Any

import gradio as gr

from workbench import words
from workbench.base import BadInput, Trouble
from workbench.ui import Page, _axes, _map, _sweep, _tabs
from workbench.ui._map import WIDTHS
from workbench.ui._picture import notice
from workbench.ui._sweep import View
from workbench.ui._tabs import Sessions, failure, kept_token
from workbench.ui._visitor import Visitor, is_token, token_of, visitor

#: Seconds between two looks at a sweep: its map is large.
LOOK = 0.2
BUTTONS = ("main", "second", "ghost")
PARTS = ("status", "say", "map", "tools", "panel")
#: What is drawn again only when nothing is under way.
CALM = ("tools",)
CLICKS = "window.workbench.clicks(element, trigger)\n"
#: A tab that opens is laid out a moment later.
LATER = """async (token, form, widths) => {
  for (let i = 0; i < 40 && !window.sweep.measure(); i++)
    await new Promise((go) => setTimeout(go, 25))
  return [token, form, window.sweep.measure()]
}"""


@dataclass
class Session:
    """An open page: its widths, what its form says, what it was told last, its newest follow."""

    widths: tuple[int, ...] = WIDTHS
    form: str = ""
    message: str = ""
    turn: int = 0


session = Sessions(Session)


# --------------------------------------------------------------------------------- drawing


def bar(now: View | None, same: bool) -> list[str]:
    """What the buttons say; empty = not there."""
    if now is None or now.shipped:
        return [words.RUN, "", ""]
    if now.swept.asking:
        return [words.SKIP_AND_RUN, words.NOT_NOW, ""]
    if now.live:
        return [words.STOP, "", ""]
    if not same:
        return [words.RUN, words.CONTINUE if now.state == "stopped" else "", words.RESET]
    if now.state == "stopped":
        return [words.CONTINUE, words.AGAIN, words.RESET]
    return [words.AGAIN, "", words.RESET]


def draw(one: Visitor, here: Session, calm: bool = True) -> dict[str, Any]:
    """Every part of the page as it stands."""
    now = _sweep.view(one)
    asked, message = None, here.message
    try:  # before the page has arrived, its form says nothing
        asked = _axes.read(here.form, one.data()) if here.form else None
    except (BadInput, Trouble) as error:
        message = message or words.sentence(error)
    same = bool(now and asked and now.asked.plan.passes == asked.plan.passes)
    labels = bar(now, same)
    found: dict[str, Any] = {
        name: gr.Button(label or " ", visible=bool(label), interactive=True)
        for name, label in zip(BUTTONS, labels, strict=True)
    }
    found["status"] = _map.status(now, message, asked, one.hurried, same)
    live = now is not None and now.live
    makers: dict[str, Callable[[View], str]] = {
        "say": _map.say,
        "map": lambda view: _map.chart(view, here.widths[0]),
        "tools": _map.tools,
        "panel": lambda view: _map.panel(view, here.widths[1]),
    }
    for name, make in makers.items():
        if now is None:
            found[name] = ""
        else:
            found[name] = gr.skip() if name in CALM and live and not calm else make(now)
    return found | {"live": live, "labels": labels}


def drawn(one: Visitor, here: Session, calm: bool = True) -> dict[str, Any]:
    """The page; where it cannot be drawn, one sentence says why and the rest stays as it was."""
    found: dict[str, Any] = {}
    said = failure(lambda: found.update(draw(one, here, calm)))
    if not said:
        return found
    kept: dict[str, Any] = dict.fromkeys((*BUTTONS, *PARTS), gr.skip())
    return kept | {"status": notice(said), "live": False, "labels": []}


def _values(found: dict[str, Any]) -> list[Any]:
    return [found[name] for name in (*BUTTONS, *PARTS)]


def _latest(known: str, here: Session) -> dict[str, Any]:
    """The page, drawn again if something was pressed meanwhile: an answer may overtake another."""
    while True:
        turn = here.turn
        found = drawn(visitor(known), here)
        if here.turn == turn:
            return found


# -------------------------------------------------------------------------------- handlers


def arrive(token: object, form: object, widths: object, request: gr.Request) -> list[Any]:
    """A page opens: its visitor's sweep, the form of its address or of that sweep."""
    here = session(request)
    here.widths = _tabs.widths(widths, here.widths)
    known, query = token_of(token, str(request.session_hash)), request.query_params
    one, here.message = visitor(known), ""
    mine = _sweep.read(one)
    if _axes.means(dict(query)):
        values, notes = _axes.from_address(query.multi_items())
        here.form, here.message = json.dumps(values), words.notes(notes)
    else:
        here.form = _axes.kept(mine.asking or mine.line, one.data())
    return [known, here.form, *_values(_latest(known, here))]


def shown(token: object, form: object, widths: object, request: gr.Request) -> list[Any]:
    """The tab opens: it is laid out only now."""
    here = session(request)
    here.widths = _tabs.widths(widths, here.widths)
    return _values(_latest(token_of(token, str(request.session_hash)), here))


def pressed(label: object, token: object, form: object, request: gr.Request) -> list[Any]:
    """One of the buttons: what it said is what is done."""
    here, known = session(request), str(token)
    if not is_token(token):
        raise gr.Error(words.BROKEN)
    here.turn += 1  # whoever follows now must not draw over what is done here
    here.form = _tabs.sent(form, here.form)
    deeds: dict[str, Callable[[], object]] = {
        words.RUN: lambda: _sweep.ask(known, here.form),
        words.SKIP_AND_RUN: lambda: _sweep.guess(known, None),
        words.NOT_NOW: lambda: _sweep.give_up(known),
        words.STOP: lambda: _stop(known),
        words.CONTINUE: lambda: _sweep.go_on(known),
        words.AGAIN: lambda: _sweep.again(known),
        words.RESET: lambda: _sweep.reset(known),
    }
    here.message = failure(deeds.get(str(label), lambda: None))
    here.turn += 1  # and who drew before it was done draws again
    return _values(drawn(visitor(known), here))


def _stop(known: str) -> None:
    """Stop, and wait a moment so that the page can say what was kept."""
    _sweep.stop(known)
    until = time.monotonic() + 1.5
    while time.monotonic() < until:
        now = _sweep.view(visitor(known))
        if now is None or all(one.state != "running" for one in now.passes):
            return
        time.sleep(0.05)


def clicked(token: object, form: object, request: gr.Request, event: gr.EventData) -> list[Any]:
    """A cell, or a link: its data say what to do. The last value chooses the tab."""
    here, known = session(request), str(token)
    if not is_token(token):
        raise gr.Error(words.BROKEN)
    here.turn += 1
    here.form = _tabs.sent(form, here.form)
    asked = event._data if isinstance(event._data, dict) else {}
    do, cell = str(asked.get("do")), asked.get("cell")
    deeds: dict[str, Callable[[], object]] = {
        "cell": lambda: _press(known, cell),
        "open": lambda: _open(known, cell),
        "pace": lambda: _sweep.turn_pace(known),
    }
    here.message = failure(deeds.get(do, lambda: None))
    here.turn += 1
    tab = gr.Tabs(selected="train") if do == "open" and not here.message else gr.skip()
    return [*_values(drawn(visitor(known), here)), tab]


def _press(known: str, cell: object) -> None:
    """A cell is a guess while one is asked for, else it is looked at."""
    now = _sweep.view(visitor(known))
    at = _sweep.place(cell, now)
    if now is not None and now.swept.asking:
        _sweep.guess(known, at)
    else:
        _sweep.pick(known, at)


def _open(known: str, cell: object) -> None:
    now = _sweep.view(visitor(known))
    _sweep.open_in_train(known, _sweep.place(cell, now))


def changed(token: object, form: object, request: gr.Request) -> list[Any]:
    """The form says something else: only the bar and its status can change."""
    here = session(request)
    here.form, here.message = _tabs.sent(form, here.form), ""
    found = _latest(str(token), here)
    return [found[name] for name in (*BUTTONS, "status")]


def resized(token: object, widths: object, request: gr.Request) -> list[Any]:
    """The window has another width: the pictures are drawn for it."""
    here = session(request)
    here.widths = _tabs.widths(widths, here.widths)
    return _values(_latest(str(token), here))


async def follow(token: object, request: gr.Request) -> AsyncIterator[list[Any]]:
    """Tail a sweep that goes on, and hand the workers its next passes, until it is over."""
    here = session(request)
    here.turn += 1
    mine, beat = here.turn, 0.0
    last: dict[str, Any] = {}
    if not is_token(token):
        return
    known = str(token)
    while here.turn == mine:
        if time.monotonic() - beat > 0.5:
            beat = time.monotonic()
            await asyncio.to_thread(failure, lambda: _sweep.tend(known))
        widths = here.widths
        found = await asyncio.to_thread(drawn, visitor(known), here, not last)
        if here.turn != mine:  # a newer one has begun meanwhile
            break
        if here.widths != widths:  # drawn for a window that is no more
            continue
        if not found["live"]:  # its end: everything once more
            found = await asyncio.to_thread(drawn, visitor(known), here)
        changes = _tabs.changes(found, last, BUTTONS, PARTS)
        if changes is not None:
            yield changes
        if not found["live"]:
            break
        last = found
        await asyncio.sleep(LOOK)
    # Gradio sends once more at the end what was yielded last, over all that came since
    yield [gr.skip() for _ in (*BUTTONS, *PARTS)]


# ---------------------------------------------------------------------------------- layout


def _html(name: str, value: str = "", script: str = CLICKS, **more: Any) -> gr.HTML:
    return gr.HTML(
        value, elem_id=f"sweep-{name}", js_on_load=script, apply_default_css=False, **more
    )


def fill() -> None:
    """Lay the page out and wire it."""
    token, tab = kept_token(), gr.context.Context.block
    form_script, map_script, ear_script = _axes.script()
    ear = _html("ear", script=ear_script, html_template="", visible="hidden")
    parts: dict[str, Any] = {}
    gr.HTML(
        f"<h1>{words.SWEEP_HEADLINE}</h1>",
        elem_classes="say",
        js_on_load=None,
        apply_default_css=False,
    )
    with gr.Row(elem_id="sweep"):
        with gr.Column(elem_id="sweep-recipe"):
            form = _html("form", script=form_script, html_template=_axes.html())
        with gr.Column(elem_id="sweep-middle"):
            with gr.Row(elem_classes="run-bar"):
                parts |= _bar()
            parts["status"] = _html("status", f"<p class='status'>{words.LOADING}</p>")
            parts["say"] = _html("say")
            parts["map"] = _html("map", script=CLICKS + map_script)
            parts["tools"] = _html("tools")
        with gr.Column(elem_id="sweep-side"):
            parts["panel"] = _html("panel")
    _wire(token, tab, form, ear, parts)


def _bar() -> dict[str, gr.Button]:
    return {
        name: gr.Button(
            words.RUN if name == "main" else " ",
            variant="primary" if name == "main" else "secondary",
            visible=name == "main",
            interactive=False,  # until the page knows its visitor
            elem_id=f"sweep-do-{name}",
            elem_classes="ghost" if name == "ghost" else None,
        )
        for name in BUTTONS
    }


def _wire(
    token: gr.BrowserState, tab: Any, form: gr.HTML, ear: gr.HTML, parts: dict[str, Any]
) -> None:
    """Every handler gives the whole page back, and what is under way is followed."""
    page = [parts[name] for name in (*BUTTONS, *PARTS)]
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
    demo.load(arrive, [token, form, ear], [token, form, *page], **quiet).success(**chain)
    for name in BUTTONS:
        button = parts[name]
        button.click(pressed, [button, token, form], page, **quiet).success(**chain)
    for area in (parts["status"], parts["map"], parts["panel"]):
        area.click(clicked, [token, form], [*page, tab.parent], **quiet).success(**chain)
    told = [parts[name] for name in (*BUTTONS, "status")]
    form.input(changed, [token, form], told, trigger_mode="always_last", **quiet)
    ear.input(resized, [token, ear], page, trigger_mode="always_last", **quiet)
    tab.select(shown, [token, form, ear], page, js=LATER, **quiet)


PAGE = Page(40, words.SWEEP, fill)
