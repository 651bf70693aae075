"""What a knob does: a line through the means at each of its settings.

    along([Line("kd", "Distilled", [[0.84, 0.85], [0.93, 0.94]])], settings=["1", "8"],
          knob="T", width=720)

Settings stand side by side at equal distances, as people turn a knob: 1, 2, 4, 8. With `log` the
values are plain numbers on a logarithmic axis, where a power of the knob is a straight line.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from workbench import words
from workbench.charts import (
    DASH,
    _el,
    _Frame,
    _Label,
    _labels,
    _line,
    _mark,
    _path,
    _role,
    _svg,
    _text,
    _text_width,
    mean_sd,
)
from workbench.words import NARROW, mean_percent, number, percent, plain

#: Room on the right for the names.
MARGIN = 136.0


@dataclass(frozen=True)
class Line:
    """One kind of student: at each setting a value per student (or per split)."""

    role: str
    name: str
    values: Sequence[Sequence[float | None]]


def along(
    lines: Sequence[Line],
    *,
    settings: Sequence[str],
    knob: str,
    width: float,
    height: float = 320,
    span: tuple[float, float] = (0.5, 1.0),
    log: bool = False,
    title: str = words.RIGHT_ON_TEST,
) -> str:
    """Means with ± 1 standard deviation, a marker each; names and last values at the right."""
    longest = max((_text_width(line.name) for line in lines), default=0.0)
    margin = min(max(MARGIN, longest + 20), max(MARGIN, 0.36 * width))
    low, high = (math.log10(v) for v in span) if log else span
    frame = _Frame(width, height, width - margin, max(1, len(settings) - 1), low, high, left=52)
    body, labels, said = [], [], []
    for line in lines:
        points = _points(line, log)
        body.append(_drawn(frame, line.role, points))
        said.append(_said(line, settings, log))
        if points:
            at, mean, _ = points[-1]
            text = _shown(10**mean) if log else mean_percent(mean_sd(line.values[at]))
            labels.append(_Label(line.role, line.name, text, frame.x(at), frame.inside(mean)))
    label = f"{title}, {knob}: {', '.join(settings)}. {' '.join(said)}"
    return _svg(
        width, height, label, _grid(frame, settings, knob, log), _text(0, 12, title, "tick"),
        *body, _labels(frame, labels),
    )  # fmt: skip


def _points(line: Line, log: bool) -> list[tuple[int, float, float]]:
    """Setting, mean and spread, where there is a number; of logarithms the spread is not drawn."""
    found = []
    for at, values in enumerate(line.values):
        summed = mean_sd(values)
        if summed and (not log or summed[0] > 0):
            mean, sd, _ = summed
            found.append((at, math.log10(mean) if log else mean, 0.0 if log else sd))
    return found


def _drawn(frame: _Frame, role: str, points: Sequence[tuple[int, float, float]]) -> str:
    """A line with a marker and a whisker at each setting; what stays the same is a band."""
    places = [(frame.x(at), frame.inside(mean)) for at, mean, _ in points]
    same = len(points) > 1 and len({(mean, sd) for _, mean, sd in points}) == 1
    out = []
    for (x, _), (_, mean, sd) in zip(places, points, strict=True):
        if sd and not same:
            top, foot = frame.inside(mean + sd), frame.inside(mean - sd)
            out.append(_line(x, top, x, foot, "", stroke="var(--c)", stroke_width=6,
                             stroke_opacity="var(--thin)"))  # fmt: skip
    if same and points[0][2]:
        _, mean, sd = points[0]
        top, foot = frame.inside(mean + sd), frame.inside(mean - sd)
        box = {"x": places[0][0], "y": top, "width": places[-1][0] - places[0][0]}
        fill = {"fill": "var(--c)", "fill_opacity": "var(--band)"}
        out.append(_el("rect", height=foot - top, **box, **fill))
    if len(places) > 1:
        look = {"fill": "none", "stroke": "var(--c)", "stroke_width": 2.5}
        out.append(_el("path", d=_path(places), stroke_dasharray=DASH[_role(role)], **look))
    out += [_mark(role, x, y) for x, y in (places[-1:] if same else places)]
    return _el("g", *out, class_=_role(role))


def _grid(frame: _Frame, settings: Sequence[str], knob: str, log: bool) -> str:
    """Whole powers of ten, or about five steps of per cent; the knob's settings below."""
    out = []
    for k, (value, text) in enumerate(_ticks(frame, log)):
        y = round(frame.y(value)) + 0.5
        out.append(_line(frame.left - 8, y, frame.right + 8, y, "grid" if k else "zero"))
        out.append(_text(frame.left - 14, y + 4, text, "tick", text_anchor="end"))
    for at, text in enumerate(settings):
        words_ = f"{knob} = {text}" if not at else text
        out.append(_text(frame.x(at), frame.bottom + 20, words_, "tick", text_anchor="middle"))
    return "".join(out)


def _ticks(frame: _Frame, log: bool) -> list[tuple[float, str]]:
    if log:
        powers = range(math.ceil(frame.low - 1e-9), math.floor(frame.high + 1e-9) + 1)
        return [(float(k), number(10.0**k)) for k in powers]
    stride = 5 if frame.high - frame.low <= 0.35 else 10 if frame.high - frame.low <= 0.6 else 20
    first = math.ceil(100 * frame.low / stride - 1e-9)
    last = math.floor(100 * frame.high / stride + 1e-9)
    return [
        (k * stride / 100, plain(k * stride, 0) + (f"{NARROW}%" if k == last else ""))
        for k in range(first, last + 1)
    ]


def _shown(value: float) -> str:
    """A number of any size in two digits: 3.7, 0.0024."""
    digits = max(0, 1 - math.floor(math.log10(value))) if value > 0 else 0
    return plain(value, digits)


def _said(line: Line, settings: Sequence[str], log: bool) -> str:
    """The label: the mean at each setting."""
    means = []
    for text, values in zip(settings, line.values, strict=False):
        found = mean_sd(values)
        shown = words.ABSENT if not found else _shown(found[0]) if log else percent(found[0])
        means.append(f"{text}: {shown}")
    return f"{line.name} {', '.join(means)}."
