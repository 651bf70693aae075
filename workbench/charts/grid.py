"""A sweep as a map: a cell for each pair of settings, darker where more is right.

    grid(cells, rows=Axis("Alpha", ["0", "0.5", "1"]), columns=Axis("Temperature", ["1", "4"]),
         width=544)

`cells[i][j]` belongs to row i and column j. The number in a cell is the mean over its students,
so that colour is never alone; a cell whose students wait is hatched, one under way has a line
that grows along its foot.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from workbench import words
from workbench.charts import (
    Row,
    _el,
    _fit,
    _line,
    _mark,
    _svg,
    _text,
    _text_width,
    escape,
    mean_sd,
    table,
)
from workbench.words import is_number, mean_percent, percent

#: The colours end at multiples of five points, so that they do not jump as cells come in.
NICE = 0.05
#: Shades of the key: steps, because a gradient has no edge to read a value at.
STEPS = 8
TOP, FOOT, GAP = 40.0, 52.0, 2.0


@dataclass(frozen=True)
class Axis:
    """The name of what is varied, and its values as text, in the order of the cells."""

    name: str
    values: Sequence[str]


@dataclass(frozen=True)
class Cell:
    """What is right of each student, as a fraction; None where one diverged.

    `state` is one of finished, running, queued, stopped; `share` of it is done.
    """

    values: Sequence[float | None] = ()
    state: str = "finished"
    share: float = 1.0

    @property
    def mean(self) -> float | None:
        """The mean of those that did not diverge; None where there is none, or none yet."""
        found = mean_sd(self.values)
        return found[0] if found else None

    @property
    def lost(self) -> int:
        """How many students diverged."""
        return sum(not is_number(v) for v in self.values)


def grid(
    cells: Sequence[Sequence[Cell]],
    *,
    rows: Axis,
    columns: Axis,
    width: float,
    picked: tuple[int, int] | None = None,
    guess: tuple[int, int] | None = None,
    reference: float | None = None,
    span: tuple[float, float] | None = None,
    ask: bool = False,
) -> str:
    """The map, with a key on which `reference` (labels only) is marked.

    `picked` (row, column) has the yellow ring and `guess` the diamond. With `ask` the cells are
    buttons: each carries `data-cell="row,column"`, and one of them can be reached by Tab; the
    page moves among them by arrows. Without it, the map is one picture.
    """
    frame = _Frame.of(rows, columns, width)
    low, high = span or reach([c.mean for row in cells for c in row] + [reference])
    half = width / 2 - 8
    out = [
        _text(0, 12, _fit(words.downwards(rows.name), half, 12), "tick"),
        _text(width, 12, _fit(words.across(columns.name), half, 12), "tick", text_anchor="end"),
    ]
    for j, value in enumerate(columns.values):
        text = _fit(value, frame.wide, 12)
        out.append(_text(frame.x(j) + frame.wide / 2, 32, text, "bold", text_anchor="middle"))
    drawn = []
    for i, value in enumerate(rows.values):
        text, y = _fit(value, frame.left - 8, 12), frame.y(i) + frame.high / 2 + 4.5
        out.append(_text(frame.left - 8, y, text, "bold", text_anchor="end"))
        for j in range(len(columns.values)):
            cell = cells[i][j] if i < len(cells) and j < len(cells[i]) else Cell(state="queued")
            shown = _cell(frame, (i, j), cell, (low, high), guess == (i, j))
            if ask:
                name = words.grid_cell(_pair(rows, columns, i, j), _said(cell))
                shown = _button(shown, (i, j), name, picked or (0, 0), picked == (i, j))
            drawn.append(shown)
    if picked:
        drawn.append(_ring(frame, picked))
    foot = frame.y(len(rows.values)) + 14
    out += [*drawn, _key(frame.left, foot, width, (low, high), reference)]
    label = words.grid_said(columns.name, rows.name, _lines_said(cells, rows, columns), reference)
    svg = _svg(width, foot + FOOT, label, *out)
    return svg.replace('role="img"', 'role="group"', 1) if ask else svg


def places(rows: Axis, columns: Axis, width: float) -> tuple[float, float, float, float]:
    """Where the cells of a map of this width lie: their left and top, and the size of each."""
    frame = _Frame.of(rows, columns, width)
    return frame.left, frame.y(0), frame.wide, frame.high


def grid_table(cells: Sequence[Sequence[Cell]], *, rows: Axis, columns: Axis, caption: str) -> str:
    """The numbers of the map: a line for each cell, with its spread and its students."""
    lines = [
        Row(
            _pair(rows, columns, i, j),
            [
                mean_percent(mean_sd(cell.values)),
                str(sum(map(is_number, cell.values))),
                words.grid_state(cell.state, cell.share, cell.lost),
            ],
        )
        for i, row in enumerate(cells)
        for j, cell in enumerate(row)
    ]
    return table(words.GRID_COLUMNS, lines, caption=caption, short=(0, 1, 2, 3))


def reach(values: Sequence[float | None]) -> tuple[float, float]:
    """From where to where the colours go: around all values, to five points on either side."""
    found = [v for v in values if is_number(v)] or [0.0, 1.0]
    low = math.floor(min(found) / NICE + 1e-9) * NICE
    high = math.ceil(max(found) / NICE - 1e-9) * NICE
    return round(low, 2), round(max(high, low + NICE), 2)


# ---------------------------------------------------------------------------------- pieces


@dataclass(frozen=True)
class _Frame:
    """Where the cells lie: beside the names of the rows, below those of the columns."""

    left: float
    wide: float
    high: float

    @classmethod
    def of(cls, rows: Axis, columns: Axis, width: float) -> _Frame:
        """As wide as the picture allows; high enough for a finger where there is room."""
        names = max((_text_width(value, 13) for value in rows.values), default=0.0)
        left = min(names + 12, width / 4)
        wide = (width - left) / max(1, len(columns.values))
        return cls(left, wide, min(max(0.62 * wide, 28.0), 52.0))

    def x(self, j: int) -> float:
        return self.left + self.wide * j

    def y(self, i: int) -> float:
        return TOP + self.high * i

    def box(self, i: int, j: int, grow: float = -GAP / 2) -> dict[str, object]:
        """The rectangle of a cell, with room between two."""
        return {
            "x": self.x(j) - grow, "y": self.y(i) - grow,
            "width": self.wide + 2 * grow, "height": self.high + 2 * grow,
        }  # fmt: skip


def _strength(value: float, span: tuple[float, float]) -> str:
    """How much of the role's colour lies over the page: even steps look even (tested)."""
    share = (value - span[0]) / ((span[1] - span[0]) or 1.0)
    return f"calc(var(--heat)*{min(max(share, 0.0), 1.0):.3f})"


def _cell(
    frame: _Frame, at: tuple[int, int], cell: Cell, span: tuple[float, float], guessed: bool
) -> str:
    i, j = at
    mean, box = cell.mean, frame.box(i, j)
    if mean is None:
        out = _el("rect", style="fill:var(--sunken)", rx=2, **box)
        out += _cross(frame, i, j) if cell.lost else _hatch(frame, i, j)
    else:
        faint = ";opacity:.55" if cell.state in ("running", "stopped") else ""
        out = _el("rect", style="fill:var(--bg)", rx=2, **box)
        fill = f"fill:var(--kd);fill-opacity:{_strength(mean, span)}{faint}"
        out += _el("rect", style=fill, rx=2, **box) + _number(frame, i, j, cell)
    if cell.state in ("running", "stopped"):
        x, y = frame.x(j) + 3, frame.y(i) + frame.high - 3.5
        end = x + (frame.wide - 6) * min(max(cell.share, 0.0), 1.0)
        out += _line(x, y, x + frame.wide - 6, y, "grid", stroke_width=2)
        out += _line(x, y, end, y, "edge", stroke_width=2)
    if cell.state == "running":
        inner = frame.box(i, j, -2.0)
        out += _el("rect", class_="edge", fill="none", rx=2, stroke_dasharray="4 3", **inner)
    if guessed:
        out += _mark("you", frame.x(j) + 10, frame.y(i) + 11, 3.5)
    return out


def _number(frame: _Frame, i: int, j: int, cell: Cell) -> str:
    """The mean, as exact as there is room for; a small cross where some students diverged."""
    fits = next((d for d in (1, 0) if _text_width(f"{99.9:.{d}f}", 13) <= frame.wide - 4), None)
    out = ""
    if fits is not None:
        text = percent(cell.mean, fits).split(words.NARROW)[0]
        x, y = frame.x(j) + frame.wide / 2, frame.y(i) + frame.high / 2 + 4.5
        out = _text(x, y, text, text_anchor="middle", pointer_events="none")
    if cell.lost:
        x, y = frame.x(j) + frame.wide - 11, frame.y(i) + 5
        d = f"M{x:.1f},{y:.1f}l6,6m0,-6l-6,6"
        out += _el("path", class_="edge", d=d, fill="none")
    return out


def _cross(frame: _Frame, i: int, j: int) -> str:
    """Every student of the cell diverged: there is no number."""
    x, y = frame.x(j) + frame.wide / 2 - 5, frame.y(i) + frame.high / 2 - 5
    d = f"M{x:.1f},{y:.1f}l10,10m0,-10l-10,10"
    return _el("path", class_="edge", d=d, fill="none", pointer_events="none")


def _hatch(frame: _Frame, i: int, j: int) -> str:
    """Nothing is known yet: thin strokes, where zero would be plain."""
    x, y = frame.x(j) + GAP / 2, frame.y(i) + GAP / 2
    wide, high = frame.wide - GAP, frame.high - GAP
    strokes = []
    for k in range(1, int((wide + high) / 8) + 1):  # from the left or lower edge, up to the right
        start = 8.0 * k
        x1, y1 = max(0.0, start - high), min(start, high)
        length = min(y1, wide - x1)
        if length > 0:
            strokes.append(f"M{x + x1:.1f},{y + y1:.1f}l{length:.1f},{-length:.1f}")
    still = {"stroke_opacity": ".5", "fill": "none", "pointer_events": "none"}
    return _el("path", class_="zero", d="".join(strokes), **still)


def _button(
    shown: str, at: tuple[int, int], name: str, first: tuple[int, int], pressed: bool
) -> str:
    """A cell that can be chosen: by mouse, by finger, and by keyboard."""
    return _el(
        "g", _el("title", escape(name)), shown, class_="cell", role="button",
        data_do="cell", data_cell=f"{at[0]},{at[1]}", tabindex=0 if at == first else -1,
        aria_label=name, aria_pressed=str(pressed).lower(), style="cursor:pointer",
    )  # fmt: skip


def _ring(frame: _Frame, at: tuple[int, int]) -> str:
    """Yellow is you."""
    still = {"fill": "none", "pointer_events": "none"}
    yellow = _el("rect", stroke="var(--you)", stroke_width=4, rx=3, **frame.box(*at, 1.0), **still)
    return yellow + _el("rect", class_="edge", rx=5, **frame.box(*at, 3.5), **still)


def _key(
    x: float, y: float, width: float, span: tuple[float, float], reference: float | None
) -> str:
    """What pale and dark mean, and where labels only lie between them."""
    low, high = percent(span[0], 0), percent(span[1], 0)
    start, wide = x + _text_width(low, 12) + 6, min(22.0, (width - x - 110) / STEPS)
    out = [_text(x, y + 12, low, "tick")]
    for k in range(STEPS):
        at = span[0] + (span[1] - span[0]) * k / (STEPS - 1)
        style = f"fill:var(--kd);fill-opacity:{_strength(at, span)}"
        box = {"x": start + wide * k, "y": y, "width": wide, "height": 16}
        out.append(_el("rect", style=style, **box))
    end = start + wide * STEPS
    frame = {"x": start, "y": y, "width": end - start, "height": 16}
    out.append(_el("rect", class_="zero", fill="none", **frame))
    out.append(_text(end + 6, y + 12, high, "tick"))
    if is_number(reference):
        share = min(max((reference - span[0]) / ((span[1] - span[0]) or 1.0), 0.0), 1.0)
        place = start + (end - start) * share
        text = words.reference(percent(reference))
        out.append(_line(place, y - 2, place, y + 24, "edge"))
        out.append(_mark("labels", place, y + 30))
        out.append(_text(*_beside(place, y + 35, text, width)))
    return "".join(out)


def _beside(x: float, y: float, text: str, width: float) -> tuple[float, float, str]:
    """Right of a mark; left of it where the picture ends."""
    wide = _text_width(text, 13)
    return (x + 10 if x + 10 + wide <= width else max(0.0, x - 10 - wide)), y, text


# ---------------------------------------------------------------------------------- words


def _pair(rows: Axis, columns: Axis, i: int, j: int) -> str:
    return words.grid_pair(columns.name, columns.values[j], rows.name, rows.values[i])


def _said(cell: Cell) -> str:
    """'91.0 % ± 0.7, 8 students', and what is special about it."""
    found = mean_sd(cell.values)
    count = len(cell.values) - cell.lost
    state = words.grid_state(cell.state, cell.share, cell.lost)
    return words.grid_value(mean_percent(found) if found else "", count, state)


def _lines_said(cells: Sequence[Sequence[Cell]], rows: Axis, columns: Axis) -> list[str]:
    """The label: the mean of every cell, row by row."""
    out = []
    for value, row in zip(rows.values, cells, strict=False):
        said = [
            f"{name} {percent(c.mean) if c.mean is not None else words.grid_empty(c.lost)}"
            for name, c in zip(columns.values, row, strict=False)
        ]
        out.append(f"{value}: {', '.join(said)}.")
    return out
