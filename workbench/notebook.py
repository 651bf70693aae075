"""What a lesson's cell shows: pictures, a slider, a guess, a live run.

Callbacks and threads only assign traits of widgets: they never print, display or draw with
pyplot, because newer kernels handle a slider in a thread of its own. Everything here also has a
still picture, which is what a notebook keeps where no kernel runs. `WORKBENCH_FAST=1` takes the
pauses out of live runs and runs them before their cell ends; numbers and words stay the same.
"""

from __future__ import annotations

import asyncio
import html
import math
import os
import re
import threading
import time
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from typing import Any, cast

from torch import Tensor

from workbench import charts, plots, words
from workbench.base import BadInput
from workbench.charts.grid import Axis, Cell, grid, places
from workbench.events import Event, Row
from workbench.functional import soft_log_probs
from workbench.runs import Run
from workbench.sweep import Plan
from workbench.words import percent

WIDTH = 720
#: Seconds: between two pictures of a live run, and that one takes at least.
EVERY, PACE = 0.2, 4.0
_WIDGET = "application/vnd.jupyter.widget-view+json"

Bundle = tuple[dict[str, Any], dict[str, Any]]


def fast() -> bool:
    """Whether live runs need nobody to watch them."""
    return os.environ.get("WORKBENCH_FAST", "") not in ("", "0")


def style() -> str:
    """The charts' look, in a lesson's pictures alone, in the mode that the page is in.

    The page around a picture is not ours: everything is nested in .wb, and dark is JupyterLab's
    and VS Code's word for it.
    """
    rules = charts.STYLE.replace(":root{", "&{").replace("body:not(#none){", "&:not(#none){")
    rules = rules.replace(
        ".dark{", ":is([data-jp-theme-light=false],.vscode-dark,.theme-dark) &{", 1
    )
    return (
        "<style>.wb{"
        + rules
        + """--paper:var(--jp-layout-color0,var(--bg));color:var(--ink);overflow-x:auto;
padding:8px 4px;font:400 14px/20px var(--sans)}
.wb .numbers{max-width:720px}
.wb .note{color:var(--muted);font-size:13px;margin:4px 0 0}
.wb-board{align-items:flex-start;flex-wrap:wrap}
.wb-aside{margin-right:24px}
.wb-bar{align-items:center;flex-wrap:wrap}
.wb-bar .widget-slider{flex:1 1 280px;max-width:560px}
.wb-map{position:relative;overflow-x:auto}
.wb-map>.wb-live{margin:0;flex:none}
.wb-map .wb{overflow:visible}
.wb-cells{position:absolute;display:grid;overflow:visible}
.wb-cells button{width:auto;height:auto;margin:0;padding:0;border:0;background:none;opacity:1}
.wb-cells button:is(:hover,:focus-visible){outline:2px solid currentColor;outline-offset:-2px;
box-shadow:none;background:none}
.wb-bar button{border-radius:8px;min-width:max-content}
</style>"""
    )


def framed(content: str) -> str:
    """HTML that stands in a cell: the content in our look."""
    return f'<div class="wb">{content}</div>'


def _label(svg: str) -> str:
    """What a picture says in words."""
    found = svg.partition('aria-label="')[2].partition('"')[0]
    return html.unescape(found)


def bundle(svg: str, *, widget: Any = None, page: str = "") -> Bundle:
    """The forms of one output: live, as a picture, and in words."""
    words = _label(svg)
    still = plots.png(svg)
    width = int.from_bytes(still[16:20], "big") // plots.SCALE  # else it is shown twice as large
    data: dict[str, Any] = {"text/plain": words, "image/png": still}
    if widget is not None:
        data[_WIDGET] = {
            "version_major": 2,
            "version_minor": 0,
            "model_id": widget.model_id,
        }
    else:
        data["text/html"] = style() + framed(page or svg)
    return data, {"image/png": {"alt": words, "width": width}}


class Picture:
    """A picture in a cell: `Picture(charts.answer(…))`."""

    def __init__(self, svg: str) -> None:
        self.svg = svg

    def __repr__(self) -> str:
        return _label(self.svg)

    def _repr_mimebundle_(self, **_: Any) -> Bundle:
        return bundle(self.svg)


class Page:
    """A table or other HTML of charts in a cell, which needs no still."""

    def __init__(self, content: str) -> None:
        self.content = content

    def __repr__(self) -> str:
        words = re.sub(r"<svg.*?</svg>|</tr>", ". ", self.content, flags=re.S)
        return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", words)).split())

    def _repr_html_(self) -> str:
        return style() + framed(self.content)


def _widgets() -> Any:
    import ipywidgets

    return ipywidgets


def _html(content: str, name: str) -> Any:
    """A widget that shows HTML; tests find it by its name."""
    made = _widgets().HTML(framed(content))
    made.add_class(name)
    return made


_OPEN = (
    '<p class="note" role="status">Your guess above is still open. Move its slider and press '
    "<b>That is my guess</b>, or skip it. Then this appears.</p>"
)


class _Shown:
    """Something live in a cell: a box of widgets, and the still of its picture."""

    svg: str
    box: Any

    def _repr_mimebundle_(self, **_: Any) -> Bundle:
        return bundle(self.svg, widget=self.box)

    def _boxed(self, *rows: Any, after: Guess | None = None) -> Any:
        """The rows, or a note in their place until a guess is made or skipped."""
        look, box = _widgets().HTML(style()), _widgets().VBox()
        box.children = [look, *rows]
        if after is not None and not after.closed:
            box.children = [look, _html(_OPEN, "wb-open")]
            after.then(lambda: setattr(box, "children", [look, *rows]))
        return box


class Slider(_Shown):
    """A slider that redraws a picture: `Slider(draw, "T", 1, 20)` with draw(value) an SVG.

    With `after` it appears once that guess is made or skipped.
    """

    def __init__(
        self,
        draw: Callable[[float], str],
        name: str,
        low: float,
        high: float,
        *,
        start: float | None = None,
        log: bool = False,
        whole: bool = False,
        aside: str = "",
        after: Guess | None = None,
    ) -> None:
        if not low < high or (log and low <= 0):
            raise BadInput(f"Slider({name!r}, {low}, {high}): expected low < high, above 0 if log")
        self.draw = draw
        start = low if start is None else start
        make, look = _widgets(), {"description": name, "continuous_update": True}
        if log:
            # doublings in steps of 1/20: 2, 4, 8 and 16 are on the way, where a browser may rest
            self.slider = make.FloatLogSlider(
                value=start, base=2, min=math.log2(low), max=math.log2(high), step=0.05,
                readout_format=".1f", **look,
            )  # fmt: skip
        elif whole:
            self.slider = make.IntSlider(value=int(start), min=int(low), max=int(high), **look)
        else:
            self.slider = make.FloatSlider(
                value=start, min=low, max=high, step=(high - low) / 100, **look
            )
        self.slider.add_class("wb-slider")
        self.svg = draw(self.slider.value)
        self.chart = _html(self.svg, "wb-chart")
        self.slider.observe(self._moved, "value")
        # what stands aside is a widget of its own: it need not travel with every move
        beside = [_html(aside, "wb-aside")] if aside else []
        board = make.HBox([*beside, self.chart]).add_class("wb-board")
        bar = make.HBox([self.slider]).add_class("wb-bar")
        self.box = self._boxed(bar, board, after=after)

    @property
    def value(self) -> float:
        """Where the slider is; assigning moves it."""
        return float(self.slider.value)

    @value.setter
    def value(self, value: float) -> None:
        self.slider.value = value

    def _moved(self, change: Any) -> None:
        self.svg = self.draw(float(change["new"]))
        self.chart.value = framed(self.svg)


class Twin(Slider):
    """One number under two names: two sliders that move each other, and one picture of it.

    `draw` is given the first; the second stands at `turn(first)`, and `turn` is its own inverse.
    """

    def __init__(
        self,
        draw: Callable[[float], str],
        name: str,
        other: str,
        turn: Callable[[float], float],
        low: float,
        high: float,
        *,
        start: float,
        after: Guess | None = None,
    ) -> None:
        super().__init__(draw, name, low, high, start=start)
        look = {"min": low, "max": high, "step": (high - low) / 100, "description": other}
        self.turn = turn
        self.twin = _widgets().FloatSlider(value=turn(start), continuous_update=True, **look)
        self.twin.add_class("wb-slider")
        self.slider.observe(lambda change: self._follow(self.twin, change["new"]), "value")
        self.twin.observe(lambda change: self._follow(self.slider, change["new"]), "value")
        bars = [_widgets().HBox([one]).add_class("wb-bar") for one in (self.slider, self.twin)]
        self.box = self._boxed(*bars, self.chart, after=after)

    def _follow(self, other: Any, value: float) -> None:
        wanted = self.turn(float(value))
        if abs(other.value - wanted) > 1e-6:  # else they would chase each other's rounding
            other.value = wanted


class Guess(_Shown):
    """A prediction before a run: a slider, or *Skip the guess*; then `reveal` beside the truth.

    `value` is the guess, or None while it is open and after a skip. What a guess is about waits
    for it, also when all cells are run at once: `reveal(…)`, `Slider(…, after=guess)` and
    `LiveRun(…, after=guess)`.
    """

    def __init__(
        self, question: str, low: float, high: float, *, unit: str = "", start: float | None = None
    ) -> None:
        if not low < high:
            raise BadInput(f"Guess({question!r}, {low}, {high}): expected low < high")
        self.question, self.low, self.high, self.unit = question, low, high, unit
        self.value: float | None = None
        self.closed = False
        self._waiting: list[Callable[[], None]] = []
        make = _widgets()
        middle = (low + high) / 2 if start is None else start
        self.slider = make.FloatSlider(
            value=middle, min=low, max=high, step=1, readout_format=".0f",
            description="Your guess",
        )  # fmt: skip
        self.slider.add_class("wb-guess")
        self.say = make.Button(description="That is my guess").add_class("wb-say")
        self.skip = make.Button(description="Skip the guess").add_class("wb-skip")
        self.svg = self._axis(None)
        self.ask = _html("", "wb-ask")
        self.chart = _html(self._axis(middle), "wb-axis")
        self.slider.observe(self._moved, "value")
        self.say.on_click(lambda _: self.close(self.slider.value))
        self.skip.on_click(lambda _: self.close(None))
        bar = make.HBox([self.slider, self.say, self.skip]).add_class("wb-bar")
        self.box = self._boxed(self.chart, bar, self.ask)

    @property
    def share(self) -> float | None:
        """A guess in per cent as a share, for the mark in a picture of curves."""
        return None if self.value is None else self.value / 100

    def _axis(self, you: float | None) -> str:
        return charts.guess(
            self.low, self.high, width=WIDTH, title=self.question, unit=self.unit, you=you,
            yours=words.YOU_SAID if self.closed else words.GUESS_SO_FAR,
        )  # fmt: skip

    def _moved(self, change: Any) -> None:
        self.chart.value = framed(self._axis(float(change["new"])))

    def close(self, value: float | None) -> None:
        """Make the guess, or skip it with None: whatever waits for it is shown."""
        self.value, self.closed = value, True
        self.chart.value = framed(self._axis(value))
        self.slider.disabled = self.say.disabled = self.skip.disabled = True
        said = "Skipped." if value is None else "Noted. Run the next cell."
        self.ask.value = framed(f'<p class="note" role="status">{said}</p>')
        for show in self._waiting:
            show()

    def then(self, show: Callable[[], None]) -> None:
        """Call this once there is a guess or a skip; at once if there is."""
        if self.closed:
            show()
        else:
            self._waiting.append(show)

    def reveal(
        self, truth: float, name: str = "It is", role: str = "kd", digits: int = 1, also: str = ""
    ) -> Reveal:
        """The truth beside the guess on the same axis, as soon as there is a guess or a skip.

        `also` is a picture that would give it away, shown under it.
        """
        return Reveal(self, truth, name, role, digits, also)


class Reveal(_Shown):
    """The answer to a guess; closed until the guess is made."""

    def __init__(
        self, guess: Guess, truth: float, name: str, role: str, digits: int, also: str
    ) -> None:
        self.guess, self.truth, self.name, self.role, self.digits, self.also = (
            guess, float(truth), name, role, digits, also,
        )  # fmt: skip
        self.svg = self._axis()
        self.chart = _html(_OPEN, "wb-reveal")
        self.box = self._boxed(self.chart)
        guess.then(self.open)

    def _axis(self) -> str:
        return charts.guess(
            self.guess.low, self.guess.high, width=WIDTH, unit=self.guess.unit,
            you=self.guess.value, truth=self.truth, name=self.name, role=self.role,
            digits=self.digits,
        )  # fmt: skip

    def open(self) -> None:
        """Show the truth, and ask for a reason where the guess was far off."""
        self.svg, you = self._axis(), self.guess.value
        far = you is not None and abs(you - self.truth) > 0.05 * (self.guess.high - self.guess.low)
        why = '<p class="note">Why the gap? Say it in one sentence before you read on.</p>'
        self.chart.value = framed(self.svg + (why if far else "") + self.also)

    def _repr_mimebundle_(self, **_: Any) -> Bundle:
        return bundle(
            charts.below(self.svg, self.also) if self.also else self.svg, widget=self.box
        )


# ----------------------------------------------------------------------------- live run

_running: dict[str, LiveRun] = {}


class GuessFirst(Exception):
    """Ends a cell that needs the answer to an open guess; a notebook shows one line of it.

    To wait for it there would keep the kernel busy, and of a slider that is moved meanwhile only
    the first move would arrive.
    """

    def __init__(self) -> None:
        super().__init__("Your guess above is still open. Make or skip it, then run on from here.")

    def _render_traceback_(self) -> list[str]:
        return [str(self)]


class LiveRun(_Shown):
    """A training that draws itself while it runs, with a Stop that stops it.

    It runs in a thread, so its cell returns at once; a later cell says `events = await run`,
    which leaves the kernel free to hear the Stop button. Interrupting the kernel stops it too.
    Starting a run under the name of one that still runs ends the old one first. With `after` it
    waits for that guess, and awaiting it before raises `GuessFirst`. A run that is stopped keeps
    at least its first event.
    """

    def __init__(
        self,
        source: Iterable[Event],
        draw: Callable[[Sequence[Event]], str],
        *,
        name: str,
        seconds: float | None = None,
        after: Guess | None = None,
    ) -> None:
        if name in _running:
            _running[name].stop()
        _running[name] = self
        self.source, self.draw, self.name, self.after = source, draw, name, after
        self.events: list[Event] = []
        self.error: Exception | None = None
        paced = PACE if seconds is None else seconds
        self.pace = 0.0 if fast() else float(os.environ.get("WORKBENCH_PACE") or paced)
        self._halt, self._done = threading.Event(), threading.Event()
        self._drawn = 0.0
        make = _widgets()
        self.button = make.Button(description="Stop, keep it").add_class("wb-stop")
        self.progress = make.IntProgress(value=0, max=1)
        self.progress.style.bar_color = "var(--jp-ui-font-color1,#333)"  # colour means a model
        self.status = _html('<p class="note" role="status">Starting.</p>', "wb-status")
        self.svg = draw([])
        self.chart = _html(self.svg, "wb-live")
        self.button.on_click(lambda _: self.stop())
        bar = make.HBox([self.button, self.progress, self.status]).add_class("wb-bar")
        self.box = self._boxed(*self._rows(bar))
        worker = threading.Thread(target=self._work, daemon=True)
        worker.start()
        if fast():
            self.wait()

    def _rows(self, bar: Any) -> list[Any]:
        """What stands in the box below each other."""
        return [bar, self.chart]

    def stop(self) -> None:
        """End the training before its next step; what there is stays."""
        if not self._done.is_set():
            self._say("Stopping.")
        self._halt.set()
        halt = getattr(self.source, "halt", None)
        if halt is not None and self.events:
            halt()

    def wait(self) -> list[Event]:
        """What happened, once it is over; `await run` is better, since Stop can be heard.

        It waits for no guess, because nobody could make one meanwhile.
        """
        self.after = None
        try:
            while not self._done.wait(0.05):
                pass
        except KeyboardInterrupt:
            self._give_up()
        return self._result()

    def __await__(self) -> Generator[Any, None, list[Event]]:
        return self._wait().__await__()

    async def _wait(self) -> list[Event]:
        if self._open() and not self._done.is_set() and not fast():
            raise GuessFirst
        try:
            while not self._done.is_set():  # never join(): an interrupt there loses the thread
                await asyncio.sleep(0.05)
        except (KeyboardInterrupt, asyncio.CancelledError):
            self._give_up()
        return self._result()

    def _give_up(self) -> None:
        self.stop()
        self._done.wait(5)

    def _result(self) -> list[Event]:
        if self.error is not None:
            raise self.error
        return list(self.events)

    def _work(self) -> None:
        try:
            self._wait_for_guess()
            events = iter(self.source)
            begun = time.monotonic()
            for event in events:
                self.events.append(event)
                self._show(event)
                due = begun + self.pace * event.step / max(1, event.steps)
                self._halt.wait(max(0.0, due - time.monotonic()))
                if self._halt.is_set():
                    break
            close = getattr(events, "close", None)
            if close is not None:
                close()
        except Exception as error:  # shown in the panel, and raised by whoever waits
            self.error = error
        finally:
            self._finish()

    def _wait_for_guess(self) -> None:
        if self._open() and not fast():
            self._say("Your guess above is still open. Make it or skip it, and they begin.")
            while self._open() and not self._halt.wait(0.05):
                pass

    def _open(self) -> bool:
        guess = self.after
        return guess is not None and not guess.closed

    def _show(self, event: Event) -> None:
        if fast() or time.monotonic() - self._drawn < EVERY:
            return
        self._drawn = time.monotonic()
        self.progress.max, self.progress.value = event.steps, event.step
        self._say(f"Running, step {event.step} of {event.steps}.")
        self.svg = self.draw(self.events)
        self.chart.value = framed(self.svg)

    def _say(self, text: str) -> None:
        self.status.value = framed(f'<p class="note" role="status">{html.escape(text)}</p>')

    def _finish(self) -> None:
        try:
            if self.events:
                self.svg = self.draw(self.events)
                self.chart.value = framed(self.svg)
                self.progress.max = self.events[-1].steps
                self.progress.value = self.events[-1].step
            last = self.events[-1] if self.events else None
            if self.error is not None:
                self._say(f"It broke: {str(self.error).splitlines()[0][:200]}")
            elif last is None or last.step < last.steps:
                self._say(f"Stopped at step {last.step if last else 0}, kept.")
            else:
                self._say("Finished.")
            self.button.disabled = True
        finally:
            _running.pop(self.name, None) if _running.get(self.name) is self else None
            self._done.set()


class Passes:
    """A planned sweep as one stream of events: its passes one after the other.

    `accuracy` has a value for every student of the sweep, None for those whose pass has not begun.
    """

    def __init__(self, planned: Plan) -> None:
        self.runs = [Run(group) for group in planned.passes]
        self.halted = False

    def halt(self) -> None:
        """Let the pass under way end before its next step; what there is stays."""
        self.halted = True
        for run in self.runs:
            run.halt()

    def __iter__(self) -> Iterator[Event]:
        before: Row = ()
        whole = sum(len(run.recipes) for run in self.runs)
        for i, run in enumerate(self.runs):
            row = before
            for event in run:
                row = before + event.accuracy["test"]
                seen = row + (None,) * (whole - len(row))
                step, steps = i * event.steps + event.step, len(self.runs) * event.steps
                yield Event(step, steps, {}, {"test": seen})
            before = row
            if self.halted:
                return


class SweepRun(LiveRun):
    """A sweep over two knobs: a map that fills while it trains, and cells to click on.

    `rows` and `columns` are its two knobs. Under the map are the curves of the chosen cell beside
    those of the first cell of its column. How long all takes stands there before it begins.
    """

    def __init__(
        self,
        planned: Plan,
        rows: str,
        columns: str,
        *,
        name: str,
        span: tuple[float, float],
        picked: tuple[int, int] = (0, 0),
        after: Guess | None = None,
    ) -> None:
        self.planned, self.span, self.picked = planned, span, picked
        knobs = [list(dict.fromkeys(cell.knobs[knob] for cell in planned.cells))
                 for knob in (rows, columns)]  # fmt: skip
        self.rows, self.columns = (
            Axis(knob, [words.number(float(v)) for v in values])
            for knob, values in zip((rows, columns), knobs, strict=True)
        )
        at = {(cell.knobs[rows], cell.knobs[columns]): cell for cell in planned.cells}
        self.cells = [[at[one, other] for other in knobs[1]] for one in knobs[0]]
        make = _widgets()
        layout, self.buttons = make.Layout(), []
        for i, one in enumerate(self.rows.values):
            for j, other in enumerate(self.columns.values):
                pair = words.grid_pair(columns, other, rows, one)
                button = make.Button(tooltip=pair, layout=layout)
                button.on_click(lambda _, at=(i, j): self.choose(*at))
                self.buttons.append(button)
        said = words.sweep_size(
            len(planned.cells), len(planned.cells[0].recipes), max(PACE, planned.seconds)
        )
        self.plan = _html(f'<p class="note">{html.escape(said)}</p>', "wb-plan")
        super().__init__(Passes(planned), self._pictured, name=name, after=after)

    def _rows(self, bar: Any) -> list[Any]:
        """The map with a button on each cell: moves of a slider would get lost while it trains."""
        left, top, wide, high = places(self.rows, self.columns, WIDTH)
        make = _widgets()
        where = make.Layout(
            left=f"{left + 4:g}px", top=f"{top + 8:g}px", grid_auto_rows=f"{high:g}px",
            grid_template_columns=f"repeat({len(self.columns.values)}, {wide:g}px)",
        )  # fmt: skip
        over = make.Box(self.buttons, layout=where).add_class("wb-cells")
        return [self.plan, bar, make.Box([self.chart, over]).add_class("wb-map")]

    def choose(self, row: int, column: int) -> None:
        """Show the curves of a cell, as a click on it does."""
        self.picked = (row, column)
        self.svg = self.draw(self.events)
        self.chart.value = framed(self.svg)

    def _own(self, events: Sequence[Event], i: int, j: int) -> tuple[list[int], list[list[Any]]]:
        """The steps of a cell's own pass, and its students' accuracy at each."""
        at, where = self.planned.students(self.cells[i][j])
        first = sum(len(group) for group in self.planned.passes[:at])
        places = range(first + where.start, first + where.stop)
        steps: list[int] = []
        rows: list[list[Any]] = []
        for event in events:
            each = event.steps // len(self.planned.passes)
            step = event.step - at * each
            if 0 <= step <= each and event.accuracy["test"][places[0]] is not None:
                if step not in steps[-1:]:  # the next pass begins where this one ends
                    steps.append(step)
                    rows.append([event.accuracy["test"][k] for k in places])
        return steps, rows

    def _cell(self, events: Sequence[Event], i: int, j: int) -> Cell:
        steps, rows = self._own(events, i, j)
        if not steps:
            return Cell(state="queued")
        share = steps[-1] / max(1, events[-1].steps // len(self.planned.passes))
        return Cell(rows[-1], "finished" if share >= 1 else "running", share)

    def _pictured(self, events: Sequence[Event]) -> str:
        """The map, and under it the curves of the chosen cell."""
        events = list(events)  # the other thread goes on adding
        size = range(len(self.rows.values)), range(len(self.columns.values))
        cells = [[self._cell(events, i, j) for j in size[1]] for i in size[0]]
        over = grid(
            cells, rows=self.rows, columns=self.columns, width=WIDTH, picked=self.picked,
            span=self.span,
        )  # fmt: skip
        return charts.below(over, self._curves(events, *self.picked))

    def _curves(self, events: Sequence[Event], i: int, j: int) -> str:
        named = [f"{self.rows.name} = {value}" for value in self.rows.values]
        lines = []
        for role, at in dict.fromkeys((("labels", 0), ("kd", i) if i else ("labels", 0))):
            steps, rows = self._own(events, at, j)
            values = [list(one) for one in zip(*rows, strict=True)]
            lines.append(charts.Series(role, named[at], steps, values))
        title = f"{self.columns.name} = {self.columns.values[j]}: {words.RIGHT_ON_TEST.lower()}"
        last = self.cells[i][j].recipes[0].steps
        return charts.curves(lines, width=WIDTH, height=240, last_step=last, title=title)


# ------------------------------------------------------------------------ what lessons draw


def series(
    events: Sequence[Event], arms: Sequence[tuple[str, str, Sequence[int]]]
) -> list[charts.Series]:
    """Curves of a run's arms: (role, name, positions of its students) each."""
    steps = [event.step for event in events]
    rows = [event.accuracy["test"] for event in events]
    state = "running" if events and events[-1].step < events[-1].steps else "finished"
    return [
        charts.Series(role, name, steps, [[row[i] for row in rows] for i in places], state)
        for role, name, places in arms
    ]


def pixels(image: Tensor) -> list[list[float]]:
    """A picture's rows of brightness, from a tensor (1, H, W)."""
    return cast(list[list[float]], image[0].tolist())


def temperature(value: float) -> str:
    """'T = 8', not 'T = 8.0'."""
    return f"T = {value:.1f}".removesuffix(".0")


def softened(logits: Tensor, value: float) -> str:
    """One answer's bars at a temperature, over what they were at T = 1. Shape: logits (K,)."""
    now, before = (soft_log_probs(logits[None], t).exp()[0].tolist() for t in (value, 1.0))
    first = int(logits.argmax())
    ranked = [k for k in logits.argsort(descending=True).tolist() if k != first]
    rest = sum(now[k] for k in ranked)
    most, least = ranked[:3], ranked[-1]
    finding = [f"At {temperature(value)} everything goes to the {first}; the rest is dark."]
    if rest >= 0.005:
        share = percent(rest, 0 if rest > 0.1 else 1)
        finding = [
            f"At {temperature(value)} it gives {share} to other digits:",
            f"most to {most[0]}, {most[1]} and {most[2]}, least to {least}.",
        ]
    finding += [""] * (2 - len(finding))  # the bars must not jump
    return charts.answer(
        now, width=WIDTH - 176, finding=finding, ghost=before, bold=[first, *most],
        name="What the teacher says",
    )  # fmt: skip


def likeness(logits: Tensor, y: Tensor, value: float) -> str:
    """What images of each class are also taken for at a temperature. Shapes: (n, K), (n,)."""
    p = soft_log_probs(logits, value).exp()
    rows = [p[y == k].mean(0) for k in range(logits.shape[-1])]
    pairs = [(float(r[j]), i, j) for i, r in enumerate(rows) for j in range(len(r)) if i != j]
    share, i, j = max(pairs)
    finding = f"At {temperature(value)} the brightest pair is {i} taken for {j}, "
    finding += f"{percent(share)}."
    return charts.similarity(
        [r.tolist() for r in rows], width=WIDTH - 176, peak=0.14, finding=[finding]
    )
