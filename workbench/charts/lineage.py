"""Who taught whom: generations of a born-again chain, a teacher, its assistant and a student."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from workbench import words
from workbench.charts import (
    Row,
    _el,
    _line,
    _lines,
    _mark,
    _nice,
    _role,
    _svg,
    _text,
    _wrap,
    mean_sd,
    table,
)
from workbench.words import NARROW, mean_percent, percent, plain

#: Pixels of a column below which names no longer stand side by side.
NARROW_COLUMN = 100


@dataclass(frozen=True)
class Generation:
    """One link of a chain: its students' accuracies, and what is to be known besides."""

    role: str
    name: str
    note: str
    values: Sequence[float | None]


def lineage(
    chain: Sequence[Generation],
    *,
    width: float,
    span: tuple[float, float] = (0.5, 1.0),
    title: str = words.RIGHT_ON_TEST,
    height: float = 240,
) -> str:
    """A column per generation: mean and ± 1 standard deviation, an arrow from teacher to student.

    The axis is that of the curves, so that a chain is read like a run.
    """
    left, top = 40.0, 44.0
    column = (width - left) / max(1, len(chain))
    if column < NARROW_COLUMN:
        return _rows(chain, width, span, title)
    names = [_wrap(one.name, column - 10) for one in chain]
    notes = [_wrap(one.note, column - 6, 12) for one in chain]
    deep = 16 * max(map(len, names), default=1)
    bottom = top + height
    low, high = span

    def y(value: float) -> float:
        inside = min(max(value, low), high)
        return bottom - height * (inside - low) / (high - low)

    out = [_text(0, 12, title, "tick")]
    stride = _nice((high - low) * 100 / 5)
    for k in range(int((high - low) * 100 / stride + 1e-6) + 1):
        value = low * 100 + k * stride
        at = round(y(value / 100)) + 0.5
        unit = f"{NARROW}%" if value + stride > 100 * high + 1e-6 else ""
        out.append(_line(left, at, width, at, "grid" if k else "zero"))
        out.append(_text(left - 8, at + 4, f"{plain(value, 0)}{unit}", "tick", text_anchor="end"))
    places = []
    for i, one in enumerate(chain):
        x, found = left + column * (i + 0.5), mean_sd(one.values)
        places.append((x, y(found[0]) if found else bottom))
        out.append(_node(one, places[-1], y, column))
        middle = {"text_anchor": "middle"}
        low_name = bottom + 6 + 16 * len(names[i])
        out.append(
            _el("g", _lines(x, low_name, names[i], "name", **middle), class_=_role(one.role))
        )
        low_note = bottom + 6 + deep + 16 * len(notes[i])
        out.append(_lines(x, low_note, notes[i], "tick", **middle))
    # below everything: a value over an arrow stays readable
    out[:0] = [_arrow(a, b) for a, b in zip(places, places[1:], strict=False)]
    foot = bottom + 14 + deep + 16 * max(map(len, notes), default=1)
    said = [words.generation_said(one.name, _mean(one), one.note) for one in chain]
    return _svg(width, foot, words.lineage_said(said), *out)


def _rows(chain: Sequence[Generation], width: float, span: tuple[float, float], title: str) -> str:
    """The same turned by a quarter, for a phone: a row per generation, the axis below them."""
    left, right, row = min(150.0, 0.45 * width), width - 20, 76.0
    low, high = span

    def x(value: float) -> float:
        inside = min(max(value, low), high)
        return left + (right - left) * (inside - low) / (high - low)

    bottom, out, places = row * len(chain), [], []
    for k in range(3):
        value = low + (high - low) * k / 2
        out.append(_line(x(value), 0, x(value), bottom, "grid" if k else "zero"))
        unit = f"{NARROW}%" if k == 2 else ""
        text = f"{plain(100 * value, 0)}{unit}"
        out.append(_text(x(value), bottom + 16, text, "tick", text_anchor="middle"))
    for i, one in enumerate(chain):
        found, y = mean_sd(one.values), row * i + 30
        lines = _wrap(one.name, left - 12)
        notes = _wrap(one.note, left - 12, 12)
        name = _lines(0, y + 16 * (len(lines) - 1) - 12, lines, "name")
        out.append(_lines(0, y + 16 * (len(lines) + len(notes) - 1) - 10, notes, "tick"))
        at = (x(found[0]) if found else left, y)
        places.append(at)
        mark = _mark(one.role, *at, 6) if found else ""
        side = -1 if at[0] > (left + right) / 2 else 1  # where there is room for its value
        anchor, text = ("end" if side < 0 else "start"), _mean(one)
        value_ = _text(at[0] + 12 * side, y - 12, text, "val halo", text_anchor=anchor)
        out.append(_el("g", name, mark, value_, class_=_role(one.role)))
    out[:0] = [_arrow(a, b) for a, b in zip(places, places[1:], strict=False)]
    out.append(_text(right, bottom + 34, title, "tick", text_anchor="end"))
    said = [words.generation_said(one.name, _mean(one), one.note) for one in chain]
    return _svg(width, bottom + 40, words.lineage_said(said), *out)


def _mean(one: Generation) -> str:
    found = mean_sd(one.values)
    return mean_percent(found) if found else words.UNTRAINED


def _node(
    one: Generation, place: tuple[float, float], y: Callable[[float], float], column: float
) -> str:
    x, at = place
    found = mean_sd(one.values)
    if not found:
        return _text(x, at - 8, words.UNTRAINED, "soft", text_anchor="middle")
    mean, sd, n = found
    ends = y(mean - sd), y(mean + sd)
    bar = _line(x, ends[0], x, ends[1], "", stroke="var(--c)", stroke_width=4) if n > 1 else ""
    text = mean_percent(found) if column >= 104 else percent(mean, 1 if column >= 56 else 0)
    value = _text(x, min(ends[1], at) - 12, text, "val halo", text_anchor="middle")
    return _el("g", bar, _mark(one.role, x, at, 6), value, class_=_role(one.role))


def _arrow(start: tuple[float, float], end: tuple[float, float]) -> str:
    """From teacher to student, between their marks."""
    dx, dy = end[0] - start[0], end[1] - start[1]
    long = math.hypot(dx, dy) or 1.0
    ux, uy = dx / long, dy / long
    a = (start[0] + 14 * ux, start[1] + 14 * uy)
    b = (end[0] - 14 * ux, end[1] - 14 * uy)
    tip = [(b[0] - 8 * ux + 4 * s * uy, b[1] - 8 * uy - 4 * s * ux) for s in (1, -1)]
    head = (
        f"M{tip[0][0]:.1f},{tip[0][1]:.1f}L{b[0]:.1f},{b[1]:.1f}L{tip[1][0]:.1f},{tip[1][1]:.1f}"
    )
    return _line(*a, *b, "edge") + _el("path", class_="edge", d=head, fill="none")


def lineage_table(chain: Sequence[Generation], *, caption: str) -> str:
    """The same in numbers: a row per generation."""
    rows = [Row(one.name, [_mean(one), one.note], one.role) for one in chain]
    return table(list(words.LINEAGE_COLUMNS), rows, caption=caption)
