"""Train: any method, its knobs, and students that learn beside each other while one watches."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, replace
from typing import Any

import gradio as gr

from workbench import jobs, words
from workbench.base import BadInput
from workbench.data import Data
from workbench.runs import GALLERY
from workbench.ui import Page, _data, _desk, _form, _inside, _picture, _tabs
from workbench.ui._picture import WIDTHS, Scene, scene
from workbench.ui._tabs import Sessions, failure, kept_token
from workbench.ui._take import finished
from workbench.ui._visitor import Visitor, change, is_token, token_of, visitor

#: Seconds between two looks at a run.
LOOK = 0.1
CLICKS = "window.workbench.clicks(element, trigger)\n"
LATEX: list[dict[str, str | bool]] = [{"left": "$", "right": "$", "display": False}]
#: Marks the picked image in the gallery, whose pictures stay.
PRESS = """
const [digits, others] = element.querySelectorAll('.gallery')
const press = () => {
  const end = props.value.indexOf('\\n'), place = end < 0 ? props.value : props.value.slice(0, end)
  const html = end < 0 ? '' : props.value.slice(end + 1)
  digits.hidden = end >= 0
  if (others.kept !== html) others.innerHTML = others.kept = html
  element.querySelectorAll('[data-sample]').forEach((button) =>
    button.setAttribute('aria-pressed', button.dataset.sample === place))
  const heading = digits.querySelector('h2') // one place of the page has the name
  digits.hidden ? heading.removeAttribute('id') : heading.id = 'gallery'
}
watch('value', press)
press()"""
#: Reports the widths of the columns when the window changes.
EAR = """let timer = 0
window.addEventListener('resize', () => {
  clearTimeout(timer)
  timer = setTimeout(() => {
    const now = window.workbench.widths()
    if (now && now !== props.value) { props.value = now; trigger('input') }
  }, 200)
})"""
MEASURE = "(token, form, widths) => [token, form, window.workbench.widths()]"
#: A tab that opens is laid out a moment later.
LATER = """async (token, form, widths) => {
  for (let i = 0; i < 40 && !window.workbench.widths(); i++)
    await new Promise((go) => setTimeout(go, 25))
  return [token, form, window.workbench.widths()]
}"""

#: The parts of the page in the order in which every handler gives them back.
BUTTONS = ("main", "second", "third", "ghost")
PARTS = (
    "status", "chart", "tools", "image", "finding", "card", "formula", "pairs", "code", "panel",
    "pins", "samples", "everybody", "details",
)  # fmt: skip
#: What the form's method looks like: it changes with a knob, without a training.
ABOUT = ("card", "formula", "pairs", "code")
#: What is drawn again only when nothing is under way.
CALM = ("tools", "details")


@dataclass
class Session:
    """An open page: its widths, what its form says, what it was told last, its newest follow.

    `watched` is the run whose end the page tells, although its form may mean another one.
    """

    widths: tuple[int, ...] = WIDTHS
    form: str = ""
    message: str = ""
    watched: str = ""
    turn: int = 0


session = Sessions(Session)


# --------------------------------------------------------------------------------- drawing


def bar(now: Scene, fresh: bool) -> list[str]:
    """What the four buttons say; empty = not there."""
    sight = now.bar
    if sight is None and not now.sights:
        return [words.RUN, "", "", words.BRING_BACK]
    if sight is not None and sight.active:
        return {
            "queued": [words.LEAVE, "", "", ""],
            "running": [words.PAUSE, words.STEP, words.STOP, ""],
            "paused": [words.CONTINUE, words.STEP, words.STOP, ""],
        }[sight.state]
    if sight is not None and sight.state == "stopped":
        if fresh:
            return [words.RUN, words.CONTINUE, "", words.RESET]
        return [words.CONTINUE, words.AGAIN, "", words.RESET]
    if sight is not None and sight.state == "failed":
        return [words.RUN, "", "", words.RESET]
    if fresh or sight is None:
        return [words.RUN, words.STEP, "", words.RESET]
    return [words.AGAIN, "", "", words.RESET]


def _meant(line: str, own: Data | None) -> tuple[_form.Setup | None, str, str]:
    """The arm that a form means and the name of its run, or what is wrong with it."""
    try:
        return *_form.named(line, own), ""
    except BadInput as error:
        return None, "", words.sentence(error)


def _ready(made: _form.Setup, hurried: bool) -> str:
    """What Run will cost."""
    untrained = any(finished(teacher) is None for teacher in made.recipe.teachers)
    pace = 0.0 if hurried else jobs.pace()
    return words.ready(pace, made.seconds, untrained, made.untaught)


def draw(one: Visitor, here: Session, calm: bool = True) -> dict[str, Any]:
    """Every part of the page; without the calm ones while a run grows."""
    now = scene(one, here.widths)
    if one.notice:
        here.message, one.notice = f"{one.notice} {here.message}".strip(), ""
    now = replace(now, message=here.message)
    own = one.data()
    made, name, wrong = _meant(here.form, own)
    if now.live and now.bar:
        here.watched = now.bar.run
    elif wrong and not now.message:
        now = replace(now, message=wrong)
    # a form that cannot be read is fresh: Run then says why
    fresh = made is None or now.bar is None or now.bar.take.folder.parent.name != name
    told = now.live or (now.bar is not None and now.bar.run == here.watched)
    ready = _ready(made, one.hurried) if made and fresh and not told else ""
    labels = bar(now, fresh)
    found: dict[str, Any] = {
        name: gr.Button(label or " ", visible=bool(label), interactive=True)
        for name, label in zip(BUTTONS, labels, strict=True)
    }
    makers: dict[str, Callable[[Scene], str]] = {
        "status": lambda now: _picture.status(now, ready),
        "chart": _picture.chart,
        "tools": _picture.chart_tools,
        "image": _picture.image,
        "finding": _picture.finding,
        "card": lambda _: _inside.card(here.form),
        "formula": lambda _: _inside.formula(here.form),
        "pairs": lambda now: _inside.pairs(here.form, now.widths[2], own),
        "code": lambda _: _inside.code(here.form),
        "panel": _picture.panel,
        "pins": _picture.pins,
        "samples": _picture.picked,
        "everybody": _picture.everybody,
        "details": _picture.details,
    }
    for name in PARTS:
        skip = name in CALM and now.live and not calm
        found[name] = gr.skip() if skip else makers[name](now)
    found["live"] = now.live
    found["labels"] = labels
    return found


def drawn(one: Visitor, here: Session, calm: bool = True) -> dict[str, Any]:
    """The page; where it cannot be drawn, one sentence says why and the rest stays as it was."""
    found: dict[str, Any] = {}
    said = failure(lambda: found.update(draw(one, here, calm)))
    if not said:
        return found
    kept: dict[str, Any] = dict.fromkeys((*BUTTONS, *PARTS), gr.skip())
    return kept | {"status": _picture.notice(said), "live": False, "labels": []}


def _values(found: dict[str, Any]) -> list[Any]:
    return [found[name] for name in (*BUTTONS, *PARTS)]


# -------------------------------------------------------------------------------- handlers


def arrive(token: object, form: object, widths: object, request: gr.Request) -> list[Any]:
    """A page opens: its visitor's list, the form of its address, a run that still goes on."""
    here = session(request)
    here.widths = _tabs.widths(widths, here.widths)
    known, query = token_of(token, str(request.session_hash)), request.query_params
    asked = query.multi_items() if _form.means(dict(query)) else []
    values, notes = _form.from_address(asked)
    here.form = _form.show(values) if values else _remembered(visitor(known))
    here.message = words.notes(notes)
    return [known, _told(visitor(known), here.form), *_values(drawn(visitor(known), here))]


def shown(token: object, form: object, widths: object, request: gr.Request) -> list[Any]:
    """The tab opens: it is laid out only now; what the first act has handed over is in it."""
    here = session(request)
    here.widths = _tabs.widths(widths, here.widths)
    known = token_of(token, str(request.session_hash))
    filled: Any = gr.skip()
    if visitor(known).handed:
        with change(known) as one:
            one.handed = False
        here.form = filled = _remembered(visitor(known))
        here.message = ""
    filled = _told(visitor(known), filled) if isinstance(filled, str) else filled
    return [filled, *_values(drawn(visitor(known), here))]


def _remembered(one: Visitor) -> str:
    """What the form said last, if that can still be run."""
    try:
        _form.read(one.form, one.data())
        return one.form
    except BadInput:
        return _form.show(_form.defaults())


def _told(one: Visitor, line: str) -> str:
    """A line for the form, with what it must know of the visitor's own data."""
    return _form.told(line, one.data(), str(one.own.get("said", "")))


def pressed(label: object, token: object, form: object, request: gr.Request) -> list[Any]:
    """One of the four buttons: what it said is what is done."""
    here, known = session(request), str(token)
    if not is_token(token):
        raise gr.Error(words.BROKEN)
    here.form = form = _tabs.sent(form, here.form)
    deeds: dict[str, Callable[[], object]] = {
        words.RUN: lambda: _start(known, form),
        words.AGAIN: lambda: _start(known, form),
        words.PAUSE: lambda: _desk.hold(known),
        words.CONTINUE: lambda: _desk.go_on(known),
        words.STEP: lambda: _step(known, form),
        words.STOP: lambda: _stop(known),
        words.LEAVE: lambda: _desk.leave_queue(known),
        words.RESET: lambda: _desk.reset(known),
        words.BRING_BACK: lambda: _desk.bring_back(known),
    }
    here.message = failure(deeds.get(str(label), lambda: None))
    here.watched = visitor(known).chosen
    return _values(drawn(visitor(known), here, calm=False))


def _start(known: str, form: object, stepping: bool = False) -> None:
    """Train what the form says, and remember it for a reload."""
    _desk.start(known, _form.read(form, visitor(known).data()), stepping)
    with change(known) as one:
        one.form = str(form)


def _step(known: str, form: object) -> None:
    """The next event of what is under way; else start, and stop for breath at the first one."""
    if _desk.active(visitor(known)):
        _desk.step(known)
        return
    _start(known, form, stepping=True)


def _stop(known: str) -> None:
    """Stop, and wait a moment so that the page can say what was kept."""
    _desk.stop(known)
    until = time.monotonic() + 1.5
    while _desk.active(visitor(known)) and time.monotonic() < until:
        time.sleep(0.05)


def clicked(token: object, form: object, request: gr.Request, event: gr.EventData) -> list[Any]:
    """A link inside a picture or a table: its data say what to do."""
    here, known = session(request), str(token)
    asked = event._data if isinstance(event._data, dict) else {}
    do, run = str(asked.get("do")), str(asked.get("run", ""))[:60]
    one = visitor(known)
    filled: Any = gr.skip()
    if do == "preset":
        made = _form.presets().get(str(asked.get("name")))
        filled = _form.show(_form.values_of(made)) if made else filled
        here.watched = ""
    here.form = filled if isinstance(filled, str) else str(form)
    filled = _told(one, filled) if isinstance(filled, str) else filled
    place = str(asked.get("sample", ""))
    deeds: dict[str, Callable[[], object]] = {
        "choose": lambda: _desk.choose(known, run),
        "baseline": lambda: _desk.measure_against(known, run),
        "control": lambda: _desk.control(known, run),
        "remove": lambda: _desk.remove(known, run),
        "back": lambda: _desk.bring_back(known),
        "heat": lambda: _desk.heat(known),
        "pace": lambda: _desk.turn_pace(known),
        "next": lambda: _desk.pick(known, _picture.after(one)),
        "pick": lambda: _desk.pick(known, int(place) % GALLERY if place.isdigit() else 0),
    }
    here.message = failure(deeds.get(do, lambda: None))
    return [filled, *_values(drawn(visitor(known), here))]


def received(token: object, form: object, request: gr.Request, event: gr.EventData) -> list[Any]:
    """A file was sent: it becomes the visitor's own data, or one sentence says why not."""
    here, known = session(request), str(token)
    if not is_token(token):
        raise gr.Error(words.BROKEN)
    asked = event._data if isinstance(event._data, dict) else {}
    wrong = failure(lambda: _data.receive(known, asked.get("path"), asked.get("name")))
    one = visitor(known)
    here.message, here.watched = wrong, ""
    line = form if isinstance(form, str) and len(form) <= _form.LARGEST else ""
    here.form = line if wrong else _form.with_own(line, one.data())
    filled = _form.told(here.form, one.data(), wrong or str(one.own.get("said", "")))
    return [filled, *_values(drawn(one, here))]


def changed(token: object, form: object, request: gr.Request) -> list[Any]:
    """A knob moved: only the bar, its status and what is said of the method can change."""
    here = session(request)
    here.form, here.message, here.watched = (form if isinstance(form, str) else ""), "", ""
    found = drawn(visitor(str(token)), here)
    return [found[name] for name in (*BUTTONS, "status", *ABOUT)]


def resized(token: object, widths: object, request: gr.Request) -> list[Any]:
    """The window has another width: every picture is drawn for it."""
    here = session(request)
    here.widths = _tabs.widths(widths, here.widths)
    return _values(drawn(visitor(str(token)), here))


async def follow(token: object, request: gr.Request) -> AsyncIterator[list[Any]]:
    """Tail what is under way, ten times a second, until it is over or a newer follow begins."""
    here = session(request)
    here.turn += 1
    mine, beat = here.turn, 0.0
    last: dict[str, Any] = {}
    if not is_token(token):
        return
    one = visitor(str(token))
    while here.turn == mine:
        if time.monotonic() - beat > 1:
            beat = time.monotonic()
            await asyncio.to_thread(failure, lambda: _attend(one))  # which the drawing says
        widths = here.widths
        found = await asyncio.to_thread(drawn, one, here, calm=False)
        if here.turn != mine:  # a newer one has begun meanwhile
            break
        if here.widths != widths:  # drawn for a window that is no more
            continue
        changes = _tabs.changes(found, last, BUTTONS, PARTS)
        if changes is not None:
            yield changes
        if not found["live"]:
            break
        last = found
        await asyncio.sleep(LOOK)
    # Gradio sends once more at the end what was yielded last, over all that came since
    yield [gr.skip() for _ in (*BUTTONS, *PARTS)]


def _attend(one: Visitor) -> None:
    """Say that somebody looks at the runs that are under way."""
    for sight in _desk.look(one):
        if sight.active:
            jobs.follow(sight.entry.folder, _desk.follower(one.key))


# ---------------------------------------------------------------------------------- layout


def _html(name: str, **more: Any) -> gr.HTML:
    return gr.HTML(elem_id=name, js_on_load=CLICKS, apply_default_css=False, **more)


def fill() -> None:
    """Lay the page out and wire it."""
    token, tab = kept_token(), gr.context.Context.block
    ear = gr.HTML("", elem_id="ear", html_template="", js_on_load=EAR, visible="hidden")
    parts: dict[str, Any] = {}
    with gr.Row(elem_classes="head-row"):
        headline = f"<h1>{words.HEADLINE}</h1>"
        gr.HTML(headline, elem_classes="say", js_on_load=None, apply_default_css=False)
        presets = _html("presets", value=_presets())
    with gr.Row(elem_classes="lab"):
        with gr.Column(elem_id="recipe"):
            form = gr.HTML(
                "",  # filled on arrival
                html_template=_form.html(),
                js_on_load=_form.script(),
                apply_default_css=False,
                elem_id="form",
            )
        with gr.Column(elem_id="middle"):
            with gr.Row(elem_classes="run-bar"):
                parts |= _bar()
            parts["status"] = _html("status", value=f"<p class='status'>{words.LOADING}</p>")
            parts["chart"] = _html("chart")
            parts["tools"] = _html("tools")
        with gr.Column(elem_id="side"):
            parts["image"] = _html("image")
    with gr.Column(elem_id="wide"):
        parts["finding"] = _html("finding")
        with gr.Row(elem_id="about"):
            with gr.Column(elem_id="method"):
                parts["card"] = _html("card")
                parts["formula"] = gr.Markdown(
                    "", latex_delimiters=LATEX, elem_id="formula", elem_classes="formula"
                )
                parts["pairs"] = gr.HTML(
                    "", js_on_load=_inside.script(), elem_id="pairs", apply_default_css=False
                )
                parts["code"] = _html("code")
            with gr.Column(elem_id="within"):
                parts["panel"] = _html("panel")
        parts["pins"] = _html("pins")
        with gr.Row(elem_classes="answers"):
            parts["samples"] = gr.HTML(
                "0",
                html_template=f'<div class="gallery">{_picture.samples()}</div>'
                '<div class="gallery"></div>',
                js_on_load=CLICKS + PRESS,
                elem_id="samples",
                apply_default_css=False,
            )
            parts["everybody"] = _html("everybody")
        with gr.Accordion(words.DETAILS, open=False, elem_id="more-about"):
            parts["details"] = _html("details")
    _wire(token, form, ear, presets, parts)
    page = [parts[name] for name in (*BUTTONS, *PARTS)]
    assert isinstance(tab, gr.Tab)
    tab.select(
        shown, [token, form, ear], [form, *page], js=LATER, show_progress="hidden",
        api_visibility="private", concurrency_limit=None,
    )  # fmt: skip


def _presets() -> str:
    buttons = "".join(
        f'<button type="button" class="link" data-do="preset" data-name="{name}">{name}</button>'
        for name in _form.presets()
    )
    return f'<p class="tools"><span class="aside">{words.PRESETS}</span>{buttons}</p>'


def _bar() -> dict[str, gr.Button]:
    look: dict[str, Any] = {
        "main": "primary",
        "second": "secondary",
        "third": "secondary",
        "ghost": "secondary",
    }
    start = {"main": words.RUN, "second": words.STEP}
    return {
        name: gr.Button(
            start.get(name, " "),
            variant=variant,
            visible=name in start,
            interactive=False,  # until the page knows its visitor
            elem_id=f"do-{name}",
            elem_classes="ghost" if name == "ghost" else None,
        )
        for name, variant in look.items()
    }


def _wire(
    token: gr.BrowserState, form: gr.HTML, ear: gr.HTML, presets: gr.HTML, parts: dict[str, Any]
) -> None:
    """Events: every handler gives the whole page back, and what is under way is followed."""
    page = [parts[name] for name in (*BUTTONS, *PARTS)]
    quiet: dict[str, Any] = {
        "show_progress": "hidden",
        "api_visibility": "private",
        "concurrency_limit": None,
    }
    chain: dict[str, Any] = {"fn": follow, "inputs": [token], "outputs": page, **quiet}
    demo = gr.context.Context.root_block
    assert demo is not None
    demo.load(arrive, [token, form, ear], [token, form, *page], js=MEASURE, **quiet).success(
        **chain
    )
    for name in BUTTONS:
        button = parts[name]
        button.click(pressed, [button, token, form], page, **quiet).success(**chain)
    for area in (presets, *(parts[n] for n in ("status", "image", "pins", "samples"))):
        area.click(clicked, [token, form], [form, *page], **quiet)
    parts["finding"].click(clicked, [token, form], [form, *page], **quiet).success(**chain)
    told = [parts[name] for name in (*BUTTONS, "status", *ABOUT)]
    form.input(changed, [token, form], told, trigger_mode="always_last", **quiet)
    one_at_a_time = quiet | {"concurrency_limit": 1}  # reading takes memory
    form.upload(received, [token, form], [form, *page], **one_at_a_time)
    ear.input(resized, [token, ear], page, trigger_mode="always_last", **quiet)


PAGE = Page(30, words.TRAIN, fill)
