"""Live pictures: data in, SVG text out; the app, the notebooks and the README share them.

Plain Python, because a picture is rebuilt ten times a second while two cores also train. Every
picture is drawn at the pixel width it is given, so that text stays readable on a phone, and takes
its colours from the variables in `STYLE`, so that dark mode needs no second drawing. Fractions go
in, per cent come out. What people read is written in `words`. Read from top to bottom: tokens,
numbers, elements, then one picture each.
"""

import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from html import unescape
from typing import NamedTuple

from workbench import words
from workbench.words import (
    ABSENT,
    NARROW,
    interval,
    is_number,
    mean_percent,
    percent,
    plain,
    signed,
    thousands,
)

# ---------------------------------------------------------------- tokens

TOKENS: dict[str, tuple[str, str]] = {  # name: (light, dark)
    "bg": ("#FBFAF7", "#14161A"),
    "surface": ("#FFFFFF", "#1C1F25"),
    "sunken": ("#F2F0EA", "#0F1114"),
    "ink": ("#1B1D21", "#ECEBE7"),
    "muted": ("#5C5F66", "#A8ABB2"),
    "line": ("#E2DFD7", "#30343B"),
    "rule": ("#85878C", "#747982"),
    "teacher": ("#009E73", "#46CFA3"),
    "teacher-text": ("#00704F", "#6BDDB7"),
    "labels": ("#D55E00", "#F2853F"),
    "labels-text": ("#A84700", "#FFA46B"),
    "kd": ("#0072B2", "#56B4E9"),
    "kd-text": ("#00639C", "#74C3EF"),
    "third": ("#B45A91", "#DA8FBC"),
    "third-text": ("#97447A", "#E6A9CD"),
    "fourth": ("#1B1D21", "#ECEBE7"),
    "fourth-text": ("#1B1D21", "#ECEBE7"),
    "you": ("#F0E442", "#F0E442"),
    "you-edge": ("#1B1D21", "#14161A"),
    "fail": ("#B3261E", "#FF8F85"),
    "wash": ("12%", "18%"),
    "band": (".16", ".22"),
    "thin": (".3", ".36"),
    "heat": (".8", ".55"),
}

DASH = {  # a role is colour + dash + marker + word: colour alone is not enough for every eye
    "teacher": None,
    "labels": "3 3",
    "kd": "10 4",
    "third": "10 4 2 4",
    "fourth": "2 5",
    "muted": "16 4",
    "you": "1 5",
}


def _tokens(dark: bool) -> str:
    return "".join(f"--{name}:{pair[dark]};" for name, pair in TOKENS.items())


PICTURE = (  # what a single svg needs
    f":root{{{_tokens(False)}}}.dark{{{_tokens(True)}}}"
    + """
:root{--serif:Charter,Cambria,"Noto Serif",Georgia,serif;
--sans:ui-sans-serif,system-ui,"Segoe UI",Roboto,"Noto Sans",sans-serif}
.teacher{--c:var(--teacher);--ct:var(--teacher-text)}
.labels{--c:var(--labels);--ct:var(--labels-text)}
.kd{--c:var(--kd);--ct:var(--kd-text)}
.third{--c:var(--third);--ct:var(--third-text)}
.fourth{--c:var(--fourth);--ct:var(--fourth-text)}
.muted{--c:var(--muted);--ct:var(--muted)}
.you{--c:var(--you);--ct:var(--ink)}
.chart{display:block;overflow:visible;max-width:none;font-family:var(--sans);
font-variant-numeric:tabular-nums}
.chart text{fill:var(--ink);font-size:13px}
.chart .tick{fill:var(--muted);font-size:12px}
.chart .soft{fill:var(--muted)}
.chart .bold{font-weight:600}
.chart .grid{stroke:var(--line)}
.chart .zero{stroke:var(--rule)}
.chart .edge{stroke:var(--ink);stroke-width:1.5px}
.chart .name{font-weight:600;font-size:14px;fill:var(--ct)}
.chart .val{fill:var(--ct);font-size:13px}
.chart .aside{font-weight:400;font-size:13px;fill:var(--muted)}
.chart .finding{font:400 19px/28px var(--serif)}
.chart .halo{paint-order:stroke;stroke:var(--paper,var(--bg));stroke-width:4px;
stroke-linejoin:round}
"""
)

# And what the HTML around it needs: tables, chips, rows of strips. The impossible id outranks the
# rules that a host page, such as Gradio's prose or a notebook, has for every table.
STYLE = (
    PICTURE
    + """body:not(#none){
.digit{background:var(--surface);border:1px solid var(--line);border-radius:4px;
box-sizing:border-box;display:block}
.marker{display:inline-block;vertical-align:-3px;margin-right:8px;flex:none}
.chip{display:inline-flex;align-items:center;gap:6px;height:28px;padding:0 10px;
border-radius:4px;font:600 13px/20px var(--sans);white-space:nowrap;color:var(--ct,var(--ink));
background:color-mix(in srgb,var(--c,var(--muted)) var(--wash),var(--surface))}
.chip.muted{--ct:var(--ink)}
.forest{font:400 14px/20px var(--sans);color:var(--ink);font-variant-numeric:tabular-nums}
.forest .strip{display:grid;grid-template-columns:216px minmax(0,1fr) 232px;gap:0 24px;
align-items:center;border-top:1px solid var(--line)}
.forest .who{display:flex;font-weight:600}.forest .who .marker{margin-top:3px}
.forest small{display:block;font-weight:400;font-size:13px;color:var(--muted)}
.forest .out{display:flex;flex-direction:column;align-items:flex-end;gap:4px}
.forest .out small b{color:var(--ink);font-weight:600}
.forest .axis{border-top-color:var(--rule)}
.forest.narrow .strip{grid-template-columns:minmax(0,1fr) auto;gap:4px 12px;padding:12px 0 4px}
.forest.narrow .plot{grid-column:1/-1;grid-row:2}
.forest.narrow .axis{padding:0}.forest.narrow .axis .plot{grid-row:1}
.numbers{font:400 14px/20px var(--sans);color:var(--ink);font-variant-numeric:tabular-nums;
position:relative}
.numbers .scroll{overflow-x:auto}
.numbers table{border-collapse:collapse;width:100%;margin:0;border:0;font-size:14px}
.numbers caption{text-align:left;font-weight:600;padding:0 0 12px;color:var(--ink);
caption-side:top;font-size:14px}
.numbers caption small{font-weight:400;font-size:13px;color:var(--muted);margin-left:8px}
.numbers tr{border:0;background:none}
.numbers th,.numbers td{text-align:right;padding:0 12px;height:44px;border:0;
border-top:1px solid var(--line);color:var(--ink);white-space:nowrap;font-weight:400}
.numbers thead th{font-weight:600;font-size:12px;line-height:16px;color:var(--muted);height:auto;
padding-bottom:8px;border:0;vertical-align:bottom;white-space:normal}
.numbers tr>:first-child{text-align:left;padding-left:0}
.numbers tr>:last-child{padding-right:0}
.numbers tr.wait td{color:var(--muted)}
.numbers tr.live>*{background:color-mix(in srgb,var(--c) 10%,transparent)}
.numbers .blank{display:inline-block;width:24px}
.numbers>details,.data{display:none;font:400 13px/20px var(--sans);margin-top:8px}
.data{display:block;color:var(--ink)}
.numbers>details>summary,.data>summary{cursor:pointer;width:max-content;min-height:24px;
color:var(--ink);text-decoration:underline;text-decoration-color:var(--rule);
text-underline-offset:4px;list-style:none}
.numbers>details>summary::-webkit-details-marker,.data>summary::-webkit-details-marker
{display:none}
.data[open]>summary{margin-bottom:12px}
.data .numbers th,.data .numbers td{height:32px}
@media(max-width:639px){.numbers th,.numbers td{padding:0 0 0 8px;font-size:13px;height:48px}
.numbers tbody th{white-space:normal;position:relative}
.numbers tbody th.marked{padding-left:24px}
.numbers tbody th .marker,.numbers .blank{position:absolute;left:0;top:16px}
.numbers .more{display:none}.numbers>details{display:block}
.numbers:has(>details[open]) .more{display:table-cell}
.numbers:has(>details[open]) :is(th,td){min-width:72px}}}
"""
)

# ---------------------------------------------------------------- numbers


def mean_sd(values: Iterable[float | None]) -> tuple[float, float, int] | None:
    """Mean, sample standard deviation and n of what is finite; None if nothing is."""
    kept = [v for v in values if v is not None and math.isfinite(v)]
    n = len(kept)
    if not n:
        return None
    mean = sum(kept) / n
    return mean, math.sqrt(sum((v - mean) ** 2 for v in kept) / (n - 1)) if n > 1 else 0.0, n


def percent_sd(values: Iterable[float | None]) -> str:
    """'91.0 % ± 0.7', or without the spread where there is only one student."""
    return mean_percent(mean_sd(values))


def _nice(step: float) -> float:
    """The smallest of 1, 2, 5, 10, … that is at least `step`: ticks people can count by."""
    power = 10.0 ** math.floor(math.log10(step)) if step > 0 else 1.0
    return next(power * m for m in (1, 2, 5, 10) if power * m >= step * 0.999)


# ---------------------------------------------------------------- elements

_FORBIDDEN = (*range(9), 11, 12, *range(14, 32), *range(127, 160), *range(0xD800, 0xE000))
_UNSAFE: dict[int, str | None] = dict.fromkeys((*_FORBIDDEN, 0xFFFE, 0xFFFF))  # not in XML
_UNSAFE |= {ord(c): f"&#{ord(c)};" for c in "<>&\"'"}
_UNSAFE |= {ord(c): f"&#{ord(c)};" for c in "${}`"}  # a template literal must not see these


def escape(text: object) -> str:
    """Text as it may stand in SVG, HTML, an attribute or a JavaScript template."""
    return str(text).translate(_UNSAFE)


def _name(text: str) -> str:
    """A run's name in HTML: 'T = 8' stays on one line where the name has to break."""
    return escape(text.replace(" = ", "\u00a0=\u00a0"))


def _value(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.1f}".removesuffix(".0")
    return str(value) if isinstance(value, int) else escape(value)


def _el(tag: str, *content: str, **attributes: object) -> str:
    """An element: `class_` is class, `stroke_width` is stroke-width, None is left out."""
    named = "".join(
        f' {key.strip("_").replace("_", "-")}="{_value(value)}"'
        for key, value in attributes.items()
        if value is not None
    )
    return f"<{tag}{named}>{''.join(content)}</{tag}>"


def _text(x: float, y: float, text: object, class_: str = "", **attributes: object) -> str:
    return _el("text", escape(text), class_=class_ or None, x=x, y=y, **attributes)


def _line(x1: float, y1: float, x2: float, y2: float, class_: str, **attributes: object) -> str:
    return _el("line", class_=class_, x1=x1, y1=y1, x2=x2, y2=y2, **attributes)


def _svg(width: float, height: float, label: str, *content: str) -> str:
    """A picture for sighted readers with the same numbers as its label."""
    return _el(
        "svg", *content, xmlns="http://www.w3.org/2000/svg", class_="chart", role="img",
        aria_label=label, width=width, height=height,
    )  # fmt: skip


def below(top: str, bottom: str) -> str:
    """Two pictures as one, the second under the first."""
    sizes, labels, inside = [], [], []
    for svg in (top, bottom):
        start = svg.index(">") + 1
        found = dict(re.findall(r'(width|height|aria-label)="([^"]*)"', svg[:start]))
        sizes.append((float(found["width"]), float(found["height"])))
        labels.append(unescape(found["aria-label"]))
        inside.append(svg[start : -len("</svg>")])
    (width, height), (wide, high) = sizes
    moved = _el("g", inside[1], transform=f"translate(0,{height:g})")
    return _svg(max(width, wide), height + high, " ".join(labels), inside[0], moved)


def _path(points: Iterable[tuple[float, float]]) -> str:
    return "M" + "L".join([f"{x:.1f},{y:.1f}" for x, y in points])


def _text_width(text: str, size: float = 14) -> float:
    """A generous guess in pixels: fonts differ, and nobody can measure text in Python."""
    return 0.58 * size * len(text)


def _fit(text: str, room: float, size: float = 14) -> str:
    """The text, shortened with an ellipsis where the room is too small for it."""
    most = max(3, int(room / (0.58 * size)))
    return text if len(text) <= most else text[: most - 1].rstrip() + "…"


def _wrap(text: str, room: float, size: float = 14) -> list[str]:
    """The text in one or two lines, broken at a space but never inside 'T = 8'."""
    lines = [""]
    for word in text.replace(" = ", "\u00a0=\u00a0").split(" "):
        longer = f"{lines[-1]} {word}".lstrip(" ")
        if lines[-1] and len(lines) < 2 and _text_width(longer, size) > room:
            lines.append(word)
        else:
            lines[-1] = longer
    return [_fit(line.replace("\u00a0", " "), room, size) for line in lines]


def _lines(
    x: float, y: float, lines: Sequence[str], class_: str, tail: str = "", **attributes: object
) -> str:
    """Lines of text, 16 px apart, the last of them at `y`, and what stands behind it."""
    first, *rest = lines
    below = "".join(_el("tspan", escape(line), x=x, dy=16) for line in rest)
    top = y - 16 * len(rest)
    return _el("text", escape(first), below, tail, class_=class_, x=x, y=top, **attributes)


def _mark(role: str, x: float, y: float, r: float = 5) -> str:
    """Each role's own shape: square, disc, ring, triangle, cross; yours is the diamond."""
    colour, paper = "var(--c)", "var(--paper,var(--bg))"
    if role == "teacher":
        shape = _el("rect", x=x - r, y=y - r, width=2 * r, height=2 * r, fill=colour)
    elif role == "kd":
        shape = _el("circle", cx=x, cy=y, r=r + 0.5, fill=colour)
    elif role == "labels":
        ring = {"fill": paper, "stroke": colour, "stroke_width": 2.2}
        shape = _el("circle", cx=x, cy=y, r=r - 0.4, **ring)
    elif role == "third":
        tip = f"M{x:.1f},{y - r - 1:.1f}l{r + 1},{2 * r}h{-2 * r - 2}z"
        shape = _el("path", d=tip, fill=colour)
    elif role == "fourth":
        a = r - 1
        cross = f"M{x - a:.1f},{y - a:.1f}l{2 * a},{2 * a}m0,{-2 * a}l{-2 * a},{2 * a}"
        shape = _el("path", d=cross, stroke=colour, stroke_width=2.4, fill="none")
    elif role == "you":
        diamond = f"M{x:.1f},{y - r - 3:.1f}l{r + 3},{r + 3}l{-r - 3},{r + 3}l{-r - 3},{-r - 3}z"
        edge = {"fill": "var(--you)", "stroke": "var(--you-edge)", "stroke_width": 1.6}
        shape = _el("path", d=diamond, **edge)
    else:
        tip = f"M{x:.1f},{y + r:.1f}l{r},{-2 * r + 1}h{-2 * r}z"
        shape = _el("path", d=tip, fill=paper, stroke=colour, stroke_width=2)
    return _el("g", shape, class_=_role(role))


def _role(role: str) -> str:
    return role if role in DASH else "muted"


def marker(role: str, size: int = 16) -> str:
    """A role's shape for tables and running text; the word beside it is for screen readers."""
    shape = _mark(role, size / 2, size / 2, size / 2 - (4.5 if role == "you" else 2.5))
    return _el("svg", shape, class_="marker", width=size, height=size, aria_hidden="true")


def roles(baseline: Sequence[bool], focus: int | None = None) -> list[str]:
    """One role per run, in order: labels only keeps `labels`, the others kd, third, fourth.

    From the fifth on they are `muted`, and the one in focus borrows `third`: a run keeps its
    role in every chart and table, so ask once for the whole list.
    """
    free = iter(("kd", "third", "fourth"))
    named = iter(("labels",))
    out = [next(named if plain else free, "muted") for plain in baseline]
    if focus is not None and out[focus] == "muted":
        out = ["muted" if role == "third" else role for role in out]
        out[focus] = "third"
    return out


def standalone(svg: str, dark: bool = False) -> str:
    """The picture with its style inside, as a file to save or to show in a README."""
    rules = (PICTURE + "svg{background:var(--bg)}").replace(">", "&gt;")
    style = f"<style>{rules}</style>"
    class_ = 'class="chart dark"' if dark else 'class="chart"'
    start = svg.index(">") + 1
    return svg[:start].replace('class="chart"', class_, 1) + style + svg[start:]


def apart(
    targets: Sequence[float], gap: float | Sequence[float], low: float, high: float
) -> list[float]:
    """Positions as near to the targets as can be, in their order, and at least `gap` apart.

    Each may ask for a gap of its own; between two it is their mean. Neighbours that collide are
    pooled around their common middle, so that a crowd opens up evenly instead of sliding away
    from its curves. If the room is too small, the gap wins.
    """
    gaps = [gap] * len(targets) if isinstance(gap, (int, float)) else gap
    order = sorted(range(len(targets)), key=lambda i: targets[i])
    needs = [(gaps[i] + gaps[j]) / 2 for i, j in zip(order, order[1:], strict=False)]
    at = [sum(needs[:rank]) for rank in range(len(order))]
    pools: list[tuple[float, int]] = []  # (sum, size) of targets less what those above need
    for rank, i in enumerate(order):
        total, size = targets[i] - at[rank], 1
        while pools and pools[-1][0] / pools[-1][1] >= total / size:
            above = pools.pop()
            total, size = total + above[0], size + above[1]
        pools.append((total, size))
    last = max(low, high - sum(needs))
    level = [min(max(total / size, low), last) for total, size in pools for _ in range(size)]
    out = [0.0] * len(targets)
    for rank, i in enumerate(order):
        out[i] = level[rank] + at[rank]
    return out


# ---------------------------------------------------------------- curves


@dataclass(frozen=True)
class Series:
    """One run: a row of `values` per student, a column per step; None where there is no number.

    `state` is one of finished, running, paused, stopped, failed, queued (drawn at half strength).
    """

    role: str
    name: str
    steps: Sequence[int]
    values: Sequence[Sequence[float | None]]
    state: str = "finished"


@dataclass(frozen=True)
class Note:
    """The one annotation a chart may have: a ring at a point, and two words."""

    step: float
    value: float
    text: str


class _Point(NamedTuple):
    step: int
    mean: float
    sd: float
    n: int


@dataclass(frozen=True)
class _Frame:
    """Where a chart's axes lie, in pixels, and how data become positions."""

    width: float
    height: float
    right: float
    last: float
    low: float
    high: float
    left: float = 40
    top: float = 28

    @property
    def bottom(self) -> float:
        return self.height - 34

    def x(self, step: float) -> float:
        return self.left + (self.right - self.left) * step / self.last

    def y(self, value: float) -> float:
        return self.bottom - (self.bottom - self.top) * (value - self.low) / (self.high - self.low)

    def inside(self, value: float) -> float:
        return self.y(min(max(value, self.low), self.high))


_EDGE = 16  # from the right end of the axes to the labels beside it


@dataclass(frozen=True)
class _Label:
    """A name and a value that want to stand beside the end of a curve."""

    role: str
    name: str
    value: str
    x: float
    y: float
    head: bool = False  # inside the plot, at the head of a curve that has not reached the edge


def curves(
    series: Sequence[Series],
    *,
    width: float,
    height: float | None = None,
    teacher: float | None = None,
    teacher_name: str = words.TEACHER,
    last_step: int | None = None,
    span: tuple[float, float] = (0.5, 1.0),
    title: str = words.RIGHT_ON_TEST,
    you: float | None = None,
    note: Note | None = None,
) -> str:
    """Accuracy by step: a mean line and a band of ± 1 standard deviation for each run.

    The axes are fixed by `span` and `last_step` before a run starts and never jump. Up to two
    series also show every student as a thin line; from three on that would be a thicket.
    """
    drawn = [(s, _summary(s)) for s in series]
    frame = _frame(drawn, width, height, last_step, span, extra=(teacher, you))
    labels: list[_Label] = []
    body: list[str] = []
    if is_number(teacher):
        body.append(_across(frame, "teacher", teacher, stroke="var(--c)", stroke_width=2))
        labels.append(_edge_label(frame, "teacher", teacher_name, teacher, percent(teacher)))
    for one, points in drawn:
        body.append(_run(frame, one, points, students=len(series) <= 2))
        if found := [p for p in points if p]:
            labels.append(_run_label(frame, one, found[-1]))
    if is_number(you):
        dots = {"stroke": "var(--ink)", "stroke_width": 1.5, "stroke_linecap": "round"}
        body.append(_across(frame, "you", you, **dots))
        labels.append(_edge_label(frame, "you", words.YOU_SAID, you, percent(you, 0)))
    seen = [_sentence(frame, *pair) for pair in drawn]
    label = words.curves_said(title, seen, teacher, you)
    return _svg(
        width, frame.height, label, _axes(frame, title), _clip(frame, body),
        _note(frame, note) if note else "", _labels(frame, labels),
    )  # fmt: skip


def _summary(series: Series, most: int = 400) -> list[_Point | None]:
    """Mean and spread at each step; None where every student is missing."""
    stride = -(-len(series.steps) // most) or 1
    kept = list(range(0, len(series.steps), stride))
    if kept and kept[-1] != len(series.steps) - 1:
        kept[-1] = len(series.steps) - 1
    out: list[_Point | None] = []
    for i in kept:
        found = mean_sd([row[i] for row in series.values if i < len(row)])
        out.append(_Point(series.steps[i], *found) if found else None)
    return out


def _frame(
    drawn: Sequence[tuple[Series, list[_Point | None]]],
    width: float,
    height: float | None,
    last: int | None,
    span: tuple[float, float],
    extra: tuple[float | None, ...],
) -> _Frame:
    """Room for the labels on the right, and height for all of them below each other."""
    longest = max((_text_width(s.name) for s, _ in drawn), default=0)
    margin = min(max(112.0, longest + 20), max(112.0, 0.28 * width))
    count = len(drawn) + sum(map(is_number, extra))
    more = sum(len(_wrap(s.name, margin - _EDGE)) - 1 for s, _ in drawn)
    tall = max(height or (320 if width < 420 else 444), 62 + 38 * count + 16 * more)
    steps = [s.steps[-1] for s, _ in drawn if s.steps]
    end = max([last or 0, *steps]) or 1
    return _Frame(width, tall, width - margin, end, *span)


def _axes(frame: _Frame, title: str) -> str:
    """Grid, ticks left, the unit on the top tick only; a cut axis says so by its first tick."""
    out = [_text(0, 12, title, "tick")]
    stride = _nice((frame.high - frame.low) * 100 / 5)
    for k in range(int((frame.high - frame.low) * 100 / stride + 1e-6) + 1):
        value = frame.low * 100 + k * stride
        y = frame.y(value / 100)
        unit = f"{NARROW}%" if value + stride > 100 * frame.high + 1e-6 else ""
        text = f"{plain(value, 0 if stride >= 1 else 1)}{unit}"
        kind = "grid" if k else "zero"
        out.append(_line(frame.left, round(y) + 0.5, frame.right, round(y) + 0.5, kind))
        out.append(_text(frame.left - 8, y + 4, text, "tick", text_anchor="end"))
    stride = max(1, _nice(frame.last / max(2, (frame.right - frame.left) // 90)))
    below = frame.bottom + 18
    for k in range(int(frame.last / stride) + 1):
        x = frame.x(k * stride)
        if x < frame.right - 78:
            anchor = "middle" if k else "start"
            out.append(_text(x, below, f"{k * stride:g}", "tick", text_anchor=anchor))
    end = words.last_step(frame.last)
    out.append(_text(frame.right, below, end, "tick", text_anchor="end"))
    return "".join(out)


def _clip(frame: _Frame, content: Sequence[str]) -> str:
    """What lies below a cut axis is hidden; an inner svg does it without an id to collide."""
    x, y = frame.left, frame.top - 6
    w, h = frame.right - x + 2, frame.bottom - y
    box = {"x": x, "y": y, "width": w, "height": h, "viewBox": f"{x:g} {y:g} {w:g} {h:g}"}
    return _el("svg", *content, style="overflow:hidden", fill="none", **box)


def _across(frame: _Frame, role: str, value: float, **stroke: object) -> str:
    y = frame.inside(value)
    return _line(frame.left, y, frame.right, y, role, stroke_dasharray=DASH[role], **stroke)


def _segments(points: Sequence[_Point | None]) -> list[list[_Point]]:
    """A gap in the data is a gap in the line, not a bridge over what nobody measured."""
    out: list[list[_Point]] = [[]]
    for point in points:
        if point is None:
            out.append([])
        else:
            out[-1].append(point)
    return [segment for segment in out if segment]


def _run(frame: _Frame, series: Series, points: list[_Point | None], students: bool) -> str:
    """Band, students, casing and mean line of one run."""
    bands, means = [], []
    for part in _segments(points):
        xs = [frame.x(p.step) for p in part]
        means.append(_path([(x, frame.y(p.mean)) for x, p in zip(xs, part, strict=True)]))
        if len(part) > 1 and any(p.sd for p in part):
            upper = [(x, frame.y(p.mean + p.sd)) for x, p in zip(xs, part, strict=True)]
            lower = [(x, frame.y(p.mean - p.sd)) for x, p in zip(xs, part, strict=True)]
            bands.append(_path(upper + lower[::-1]) + "Z")
    mean = "".join(means)
    if not mean:
        return ""
    out = []
    if bands:
        out.append(_el("path", d="".join(bands), fill="var(--c)", fill_opacity="var(--band)"))
    if students and len(series.values) > 1:
        out += [_student(frame, series.steps, row) for row in series.values]
    line = {"d": mean, "stroke_linejoin": "round"}
    out.append(_el("path", stroke="var(--paper,var(--bg))", stroke_width=6, **line))
    dash = DASH[_role(series.role)]
    out.append(_el("path", stroke="var(--c)", stroke_width=2.5, stroke_dasharray=dash, **line))
    half = "0.5" if series.state == "queued" else None
    return _el("g", *out, class_=_role(series.role), opacity=half)


def _student(frame: _Frame, steps: Sequence[int], row: Sequence[float | None]) -> str:
    stride = -(-len(steps) // 400) or 1
    at = list(zip(steps, row, strict=False))[::stride]
    points = [(frame.x(step), frame.y(v)) for step, v in at if is_number(v)]
    if len(points) < 2:
        return ""
    return _el("path", d=_path(points), stroke="var(--c)", stroke_opacity="var(--thin)")


def _edge_label(frame: _Frame, role: str, name: str, value: float, text: str) -> _Label:
    return _Label(role, name, text, frame.right, frame.inside(value))


def _run_label(frame: _Frame, series: Series, end: _Point) -> _Label:
    text = mean_percent(end[1:]) + (" ↓" if end.mean < frame.low else "")
    x = frame.x(end.step)
    head = x < frame.right - 12
    return _Label(series.role, series.name, text, x, frame.inside(end.mean), head)


def _sentence(frame: _Frame, series: Series, points: list[_Point | None]) -> str:
    found = [p for p in points if p]
    if not found:
        return words.unseen(series.name)
    end = found[-1]
    short = end.step < frame.last
    return words.seen(series.name, series.state, end.step, short, mean_percent(end[1:]))


def _note(frame: _Frame, note: Note) -> str:
    x, y = frame.x(note.step), frame.inside(note.value)
    ring = _el("circle", class_="edge", cx=x, cy=y, r=9, fill="none")
    long = 26 + _text_width(note.text, 13)
    side = -1 if x + long > frame.right + 12 and x > long else 1  # rather not among the labels
    leader = _line(x + 7 * side, y + 7, x + 22 * side, y + 22, "edge")
    anchor = "start" if side > 0 else "end"
    return ring + leader + _text(x + 26 * side, y + 32, note.text, "halo", text_anchor=anchor)


def _labels(frame: _Frame, labels: Sequence[_Label]) -> str:
    """Markers at the ends, and the labels pushed apart with hairline leaders.

    A few running curves carry theirs at the head; a crowd there would hide the curves, so it
    stands in the margin.
    """
    narrow = frame.width < 420
    if sum(a.head for a in labels) > (1 if narrow else 4):
        labels = [replace(a, head=False) for a in labels]
    spots = [_spot(frame, label, narrow) for label in labels]
    names = [_wrap(a.name, room) for a, (*_, room) in zip(labels, spots, strict=True)]
    targets = [  # a head's label: below to the right, or above to the left
        a.y + (0 if not a.head else -33 if anchor == "end" else 13)
        for a, (_, anchor, _) in zip(labels, spots, strict=True)
    ]
    gaps = [22.0 + 16 * len(lines) for lines in names]
    places = apart(targets, gaps, frame.top - 6, frame.bottom - 16)
    out = []
    for label, (x, anchor, _), lines, target, y in zip(
        labels, spots, names, targets, places, strict=True
    ):
        far = abs(y - target) > (14 if label.head else 5)
        if far or (label.x < frame.right and not label.head):
            tip = x - 2 if anchor == "start" else x + 2
            out.append(_line(label.x + (6 if tip > label.x else -6), label.y, tip, y, "zero"))
        out.append(_mark(label.role, label.x, label.y, 6 if label.role == "you" else 5))
        out.append(_label(label, lines, x, y, anchor))
    return "".join(out)


def _spot(frame: _Frame, label: _Label, narrow: bool) -> tuple[float, str, float]:
    """Where a label begins or ends, and how much room it has there."""
    edge = frame.right + _EDGE
    room = frame.width - edge
    if not label.head:
        return edge, "start", room
    long = _text_width(max(label.name, label.value, key=len))
    if narrow and label.x - 6 - long > frame.left:
        return label.x - 6, "end", label.x - frame.left
    return min(label.x + 12, edge), "start", max(room, frame.width - label.x - 12)


def _label(label: _Label, lines: Sequence[str], x: float, y: float, anchor: str) -> str:
    """The name in one or two lines and below it the value, around `y`."""
    half = 8 * (len(lines) - 1)
    full = _el("title", escape(label.name)) if " ".join(lines) != label.name else ""
    name = _lines(x, y - 3 + half, lines, "name halo", text_anchor=anchor)
    value = _text(x, y + 14 + half, label.value, "val halo", text_anchor=anchor)
    return _el("g", full, name, value, class_=_role(label.role))


def curves_table(series: Sequence[Series], *, caption: str, rows: int = 11) -> str:
    """The same numbers as `curves` in words: about `rows` steps, mean ± standard deviation."""
    means = [{p.step: p for p in _summary(s) if p} for s in series]
    steps = sorted(set().union(*means)) if means else []
    stride = max(1, (len(steps) - 1) // (rows - 1))
    kept = sorted({*steps[::stride], *steps[-1:]})
    body = [
        Row(thousands(step), [mean_percent(m[step][1:] if step in m else None) for m in means])
        for step in kept
    ]
    return table([words.STEP_COLUMN, *(s.name for s in series)], body, caption=caption)


# ---------------------------------------------------------------- opinions


@dataclass(frozen=True)
class Opinion:
    """What one model says about one input: a probability per class."""

    role: str
    name: str
    probabilities: Sequence[float | None]


def _share(opinion: Opinion, k: int) -> float:
    value = opinion.probabilities[k] if k < len(opinion.probabilities) else None
    return min(1.0, max(0.0, value)) if value is not None and math.isfinite(value) else 0.0


def _top(all_opinions: Sequence[Opinion], classes: Sequence[str]) -> float:
    """A common end of the scale, in quarters, so that it rarely moves while a run is live."""
    most = max((_share(o, k) for o in all_opinions for k in range(len(classes))), default=1.0)
    return max(1, math.ceil(4 * most - 1e-9)) / 4


def opinions(
    left: Opinion,
    right: Opinion,
    *,
    width: float,
    classes: Sequence[str] = "0123456789",
    truth: int | None = None,
) -> str:
    """Teacher and student back to back, a row per class; a tick repeats the left on the right.

    A student that has not answered is not drawn; the teacher stays where it is.
    """
    middle, row = width / 2, 22.0
    names = [_wrap(one.name, middle - 16, 13) for one in (left, right)]
    top = 16.0 * (max(map(len, names)) - 1)
    half = max((_text_width(c, 13) for c in classes), default=8) / 2 + 10
    scale = (middle - half - 30) / _top([left, right], classes)
    out = [_heading(left.role, middle - half - 2, 12 + top, names[0], "end")]
    if right.probabilities:
        out.append(_heading(right.role, middle + half + 2, 12 + top, names[1], "start"))
    for k, name in enumerate(classes):
        out.append(
            _pair(left, right, k, name, (middle, half, top + 24 + k * row, scale), truth == k)
        )
    both = [one for one in (left, right) if one.probabilities or one is left]
    listed = [
        f"{c}: " + ", ".join(f"{one.name} {percent(_share(one, k), 0)}" for one in both)
        for k, c in enumerate(classes)
    ]
    return _svg(width, top + 26 + row * len(classes), "; ".join(listed), *out)


def _heading(role: str, x: float, y: float, lines: Sequence[str], anchor: str) -> str:
    return _el("g", _lines(x, y, lines, "val bold", text_anchor=anchor), class_=_role(role))


def _pair(
    left: Opinion,
    right: Opinion,
    k: int,
    name: str,
    place: tuple[float, float, float, float],
    true: bool,
) -> str:
    """One class: its name in the middle, a bar to either side, numbers where they matter."""
    middle, half, y, scale = place
    p, q = _share(left, k), _share(right, k)
    a, b = max(1.0, p * scale), max(1.0, q * scale)
    strong = true or max(p, q) > 0.05
    kind = "bold" if strong else "soft"
    out = [_text(middle, y + 14, name, kind, text_anchor="middle")]
    bar = {"y": y + 3, "height": 14, "fill": "var(--c)"}
    from_left = [_el("rect", x=middle - half - a, width=a, **bar)]
    from_right = [_el("rect", x=middle + half, width=b, **bar)]
    if strong:
        ends = middle - half - a - 6, middle + half + max(a, b) + 8
        from_left.append(_text(ends[0], y + 14, f"{100 * p:.0f}", "val", text_anchor="end"))
        from_right.append(_text(ends[1], y + 14, f"{100 * q:.0f}", "val"))
    out.append(_el("g", *from_left, class_=_role(left.role)))
    if not right.probabilities:
        return "".join(out)
    out.append(_el("g", *from_right, class_=_role(right.role)))
    if p > 0.03:
        x = middle + half + a
        tick = {"stroke": "var(--c)", "stroke_width": 2}
        out.append(_line(x, y, x, y + 20, _role(left.role), **tick))
    return "".join(out)


def opinion_rows(
    models: Sequence[Opinion],
    *,
    width: float,
    classes: Sequence[str] = "0123456789",
    truth: int | None = None,
    bar: float = 48,
) -> str:
    """Every model's answer to one input: a row of small bars per model, all on one scale."""
    narrow = width < 560
    left = 0.0 if narrow else min(200.0, 0.28 * width)
    names = [_wrap(m.name, width - 140 if narrow else left - 36) for m in models]
    head = 28.0 + 16 * max(map(len, names), default=1) if narrow else 18.0
    row = head + bar + 12
    top = _top(models, classes)
    column = (width - left) / max(1, len(classes))
    out = []
    for i, (model, lines) in enumerate(zip(models, names, strict=True)):
        y = i * row + (head - 27 if narrow else bar / 2 + 8 + 8 * len(lines))
        out.append(_model(model, lines, y, _says(model, classes, truth), narrow))
        out.append(_bars(model, (left, i * row + head, column, bar, top), truth))
        y = i * row + head + bar + 0.5
        out.append(_line(left, y, width, y, "zero"))
    foot = len(models) * row + 4
    longest = max((_text_width(name, 13) for name in classes), default=0.0)
    steep = longest > column  # names that do not fit side by side stand upright
    for k, name in enumerate(classes):
        x, kind = left + column * (k + 0.5), "bold" if k == truth else "soft"
        if steep:
            turn = f"rotate(-90 {x + 4:.1f} {foot:.1f})"
            out.append(_text(x + 4, foot, name, kind, text_anchor="end", transform=turn))
        else:
            out.append(_text(x, foot + 6, name, kind, text_anchor="middle"))
        if k == truth and not steep:
            out.append(_line(x - 8, foot + 12, x + 8, foot + 12, "edge"))
    said = [f"{m.name}: {_shares(m, classes)}." for m in models]
    label = words.answers_said(said, classes[truth] if truth is not None else None)
    return _svg(width, foot + (longest + 4 if steep else 16), label, *out)


def _shares(model: Opinion, classes: Sequence[str]) -> str:
    return ", ".join(f"{c} {percent(_share(model, k), 0)}" for k, c in enumerate(classes))


def _says(model: Opinion, classes: Sequence[str], truth: int | None) -> str:
    if not model.probabilities or not classes:
        return words.NO_ANSWER
    best = max(range(len(classes)), key=lambda k: _share(model, k))
    return words.says(classes[best], None if truth is None else best == truth)


def _model(model: Opinion, lines: Sequence[str], y: float, says: str, narrow: bool) -> str:
    """The model's name, its last line at `y`, and what it says, beside it or below."""
    full = _el("title", escape(model.name)) if " ".join(lines) != model.name else ""
    beside = _el("tspan", escape(says), class_="aside", dx=8) if narrow else ""
    below = "" if narrow else _text(20, y + 18, says, "soft")
    mark = _mark(model.role, 7, y - 5 - 16 * (len(lines) - 1))
    name = _lines(20, y, lines, "name", tail=beside)
    return _el("g", full, mark, name, class_=_role(model.role)) + below


def _bars(model: Opinion, place: tuple[float, ...], truth: int | None) -> str:
    left, y, column, bar, top = place
    wide = min(column * 0.72, 32)
    out = []
    for k in range(len(model.probabilities)):
        share = _share(model, k)
        x, tall = left + column * (k + 0.5), max(1.0, share / top * bar)
        place_ = {"x": x - wide / 2, "y": y + bar - tall, "width": wide, "height": tall}
        out.append(_el("rect", fill="var(--c)", **place_))
        if share >= 0.05 or k == truth:
            number = f"{100 * share:.0f}"
            out.append(_text(x, y + bar - tall - 5, number, "val", text_anchor="middle"))
    return _el("g", *out, class_=_role(model.role))


def opinions_table(
    models: Sequence[Opinion], *, caption: str, classes: Sequence[str] = "0123456789"
) -> str:
    """Every model's probabilities as a table: a row per model."""
    body = [
        Row(m.name, [percent(_share(m, k)) for k in range(len(classes))], m.role) for m in models
    ]
    return table([words.MODEL_COLUMN, *classes], body, caption=caption)


# ---------------------------------------------------------------- one answer, and guesses


def answer(
    probabilities: Sequence[float | None],
    *,
    width: float,
    finding: Sequence[str] = (),
    ghost: Sequence[float | None] = (),
    role: str = "teacher",
    name: str = words.SAYS,
    classes: Sequence[str] = "0123456789",
    bold: Iterable[int] = (),
) -> str:
    """One answer as bars under its finding; a pale ghost with a cap shows what it was before.

    The axis is always 0 to 100 %, so that what falls and what rises can be compared as they move.
    """
    said, before = Opinion(role, name, probabilities), Opinion(role, name, ghost)
    top = 26.0 * len(finding) + 34
    bottom, left = top + 210, 44.0
    column = (width - left) / max(1, len(classes))
    out = [_text(0, 20 + 26 * i, line, "finding") for i, line in enumerate(finding)]
    for k in (0, 50, 100):
        y = round(bottom - 2.1 * k) + 0.5
        out.append(_line(left, y, width, y, "grid" if k else "zero"))
        text = f"{k}{NARROW}%" if k == 100 else k
        out.append(_text(left - 8, y + 4, text, "tick", text_anchor="end"))
    strong, bars = set(bold), []
    for k, word in enumerate(classes):
        x, p, q = left + column * (k + 0.5), _share(said, k), _share(before, k)
        place = {"x": x - column * 0.35, "width": column * 0.7}
        if q > p:
            tall = 210 * q
            bars.append(_el("rect", y=bottom - tall, height=tall, fill="var(--c)",
                            fill_opacity="var(--band)", **place))  # fmt: skip
            bars.append(_el("rect", y=bottom - tall, height=2, fill="var(--c)", **place))
        tall = max(1.0, 210 * p)
        bars.append(_el("rect", y=bottom - tall, height=tall, fill="var(--c)", **place))
        kind = "halo bold" if k in strong else "halo soft"
        number = plain(100 * p, 1 if p < 0.9995 or p == 1 else 4)  # 100.0 would be untrue
        bars.append(_text(x, bottom - tall - 6, number, kind, text_anchor="middle"))
        kind = "bold" if k in strong else "soft"
        out.append(_text(x, bottom + 20, word, kind, text_anchor="middle"))
    out.append(_el("g", *bars, class_=_role(role)))
    label = f"{name}. {' '.join(finding)} " + ", ".join(
        f"{word} {percent(_share(said, k))}" for k, word in enumerate(classes)
    )
    return _svg(width, bottom + 30, label + ".", *out)


def similarity(
    rows: Sequence[Sequence[float | None]],
    *,
    width: float,
    peak: float,
    finding: Sequence[str] = (),
    role: str = "teacher",
    classes: Sequence[str] = "0123456789",
) -> str:
    """What images of each class are also taken for, in per cent: the mean answer by class.

    `peak` is the share with the full colour, fixed so that the picture lights up as answers
    soften. The diagonal is a slash: how sure the answer is, is another question.
    """
    left, top = 34.0, 26.0 * len(finding) + 52
    cell = min((width - left) / max(1, len(classes)), 44.0)
    out = [_text(0, 20 + 26 * i, line, "finding") for i, line in enumerate(finding)]
    out.append(_text(0, top - 28, words.IMAGE_OF, "tick"))
    out.append(_text(left + 40, top - 28, words.TAKEN_FOR, "tick"))
    pairs = []
    for i, name in enumerate(classes):
        at = {"text_anchor": "middle"}
        out.append(_text(12, top + cell * (i + 0.5) + 5, name, "bold", **at))
        out.append(_text(left + cell * (i + 0.5), top - 8, name, "bold", **at))
        row = Opinion(role, name, rows[i] if i < len(rows) else [])
        others = [j for j in range(len(classes)) if j != i]
        most = max(others, key=lambda j: _share(row, j), default=i)
        pairs.append(words.most_for(name, classes[most], _share(row, most)))
        for j in range(len(classes)):
            x, y = left + cell * j, top + cell * i
            if i == j:
                slash = f"M{x + cell * 0.36:.1f},{y + cell * 0.64:.1f}"
                slash += f"l{cell * 0.28:.1f},{-cell * 0.28:.1f}"
                out.append(_el("path", class_="zero", d=slash, stroke_width=1.5))
                continue
            share = _share(row, j)
            box = {"x": x + 1, "y": y + 1, "width": cell - 2, "height": cell - 2, "rx": 2}
            out.append(_el("rect", style="fill:var(--sunken)", **box))
            fill = f"fill:var(--{_role(role)});fill-opacity:{_strength(share, peak)}"
            if share >= 0.002:
                out.append(_el("rect", style=fill, **box))
            if share >= 0.01:
                number = f"{100 * share:.0f}"
                out.append(_text(x + cell / 2, y + cell / 2 + 4.5, number, **at))
    label = words.taken_said(finding, pairs)
    return _svg(width, top + cell * len(classes) + 6, label, *out)


def guess(
    low: float,
    high: float,
    *,
    width: float,
    title: str = "",
    unit: str = "",
    you: float | None = None,
    truth: float | None = None,
    name: str = words.IT_IS,
    role: str = "kd",
    digits: int = 1,
    yours: str = words.YOU_SAID,
) -> str:
    """Your guess, the diamond, and the truth on one axis, the same before and after the run."""
    above = 40.0 if title else 0.0
    left, right, y = 16.0, width - 24, 62.0 + above

    def x(value: float) -> float:
        inside = min(max(value, low), high)
        return left + (right - left) * (inside - low) / (high - low)

    def shown(value: float, places: int) -> str:
        return plain(value, places) + (NARROW + unit if unit else "")

    stride = max(1.0, _nice((high - low) / max(2, min(10, width // 72))))  # its words are whole
    out = [_line(left, y, right, y, "zero", stroke_width=2)]
    out += [_text(0, 20, title, "finding")] if title else []
    said = [title] if title else []
    for k in range(math.floor((high - low) / stride + 1e-9) + 1):
        at = low + k * stride
        last = at + stride > high + 1e-9
        out.append(_line(x(at), y, x(at), y + 6, "zero"))
        text = shown(at, 0) if last else plain(at, 0)
        out.append(_text(x(at), y + 22, text, "tick", text_anchor="middle"))
    both = is_number(you) and is_number(truth)
    if both:
        assert you is not None and truth is not None
        gap = {"stroke": "var(--ink)", "stroke_width": 1.5, "stroke_dasharray": DASH["you"]}
        out.append(_line(x(you), y, x(truth), y, "", **gap))
    for value, role_, word, base, places in (
        (truth, role, name, 22.0 + above, digits),
        (you, "you", yours, above + (44.0 if both else 22.0), 0),
    ):
        if not is_number(value):
            continue
        text = f"{word} {shown(value, places)}"
        half = _text_width(text, 14) / 2
        middle = min(max(x(value), half), width - half)
        word_ = _text(middle, base, text, "name halo", text_anchor="middle")
        out.append(_el("g", word_, class_=_role(role_)))
        out.append(_mark(role_, x(value), y, 6))
        said.append(text + ".")
    label = words.guess_said(shown(low, 0), shown(high, 0), said)
    return _svg(width, y + 30, label, *out)


def gallery(
    images: Sequence[Sequence[Sequence[float]]],
    names: Sequence[str],
    *,
    width: float,
    columns: int,
    label: str,
) -> str:
    """Small pictures in rows, each with its name below."""
    column = width / max(1, columns)
    size = min(column - 12, 56)
    out = []
    for i, (pixels, name) in enumerate(zip(images, names, strict=True)):
        x, y = column * (i % columns) + (column - size) / 2, (size + 30) * (i // columns)
        out.append(_el("g", digit(pixels, size, name), transform=f"translate({x:.1f},{y:.1f})"))
        out.append(_text(x + size / 2, y + size + 18, name, "soft", text_anchor="middle"))
    rows = -(-len(images) // max(1, columns))
    return _svg(width, (size + 30) * rows, label, *out)


# ---------------------------------------------------------------- soft targets


def soft_bars(
    warm: Opinion,
    cold: Opinion,
    pictures: Sequence[Sequence[Sequence[float]]],
    *,
    height: float = 320,
    named: Sequence[int] = (),
    label: str = "",
    note: str = "",
) -> str:
    """One answer as bars, with a pale ghost where the same answer stood when it was sharper.

    The only picture without a width: positions across are per cent, so that a page can show it
    before it knows its window, and a script can move the bars within a frame. `data-bar`,
    `data-ghost`, `data-cap`, `data-number` and `data-class` say what belongs to which class, and
    heights are counted from a base line at y = 0 up to `data-plot`. `pictures` stand below the
    bars, the `named` classes are bold.
    """
    plot = height - 84
    count = max(1, len(pictures))
    column = 91 / count
    out = []
    for part, text in ((0, "0"), (0.5, "50"), (1, f"100{NARROW}%")):
        y = round(-part * plot) + 0.5
        kind = "grid" if part else "zero"
        out.append(_el("line", class_=kind, x1="9%", x2="100%", y1=y, y2=y, data_share=part))
        out.append(_text_at(8, y + 4, text, "tick", text_anchor="end", data_share=part))
    bars = []
    for k, pixels in enumerate(pictures):
        x = 9 + column * (k + 0.5)
        hot, was = _share(warm, k), _share(cold, k)
        box = {"x": f"{x - column / 3:.2f}%", "width": f"{column * 2 / 3:.2f}%"}
        ghost, tall = was * plot if was > 0.02 else 0.0, max(1.0, hot * plot)
        ghosted = {"y": -ghost, "height": ghost, "fill_opacity": "var(--band)"}
        bars.append(_el("rect", fill="var(--c)", data_ghost=k, **box, **ghosted))
        cap = {"y": -ghost, "height": 2 if ghost else 0}
        bars.append(_el("rect", fill="var(--c)", data_cap=k, **box, **cap))
        bars.append(_el("rect", fill="var(--c)", data_bar=k, **box, y=-tall, height=tall))
        kind = "bold" if k in named else "soft"
        number = plain(100 * hot, 1)
        bars.append(_text_at(x, -tall - 6, number, f"{kind} halo", data_number=k))
        below = _el("g", _small(pixels, 28), transform="translate(-14,9)")
        shown = {"data_picture": k, "opacity": None if k in named else "0.45"}
        bars.append(_el("svg", below, x=f"{x:.2f}%", overflow="visible", **shown))
        bars.append(_text_at(x, 56, k, kind, data_class=k))
    best = max(range(count), key=lambda k: _share(cold, k))
    edge = 9 + column * (best + 0.5 + (0.5 if best < 7 else -0.5))
    anchor = "start" if best < 7 else "end"
    bars.append(_text_at(edge, 16 - plot * _share(cold, best), note, "val halo",
                         text_anchor=anchor, data_note=""))  # fmt: skip
    shift = _el("g", *out, *bars, class_=_role(warm.role), transform=f"translate(0,{plot + 20:g})")
    return _el(
        "svg", shift, xmlns="http://www.w3.org/2000/svg", class_="chart soft-bars", role="img",
        aria_label=label, width="100%", height=height, data_plot=f"{plot:g}",
    )  # fmt: skip


def _text_at(x: float, y: float, text: object, class_: str, **attributes: object) -> str:
    """Text whose place across is per cent."""
    attributes = {"text_anchor": "middle"} | attributes
    return _el("text", escape(text), class_=class_, x=f"{x:.2f}%", y=y, **attributes)


def _small(pixels: Sequence[Sequence[float]], size: float) -> str:
    """A digit inside a picture: no frame, no name of its own."""
    cell = size / max(1, len(pixels))
    out = [
        _el("rect", x=cell * x, y=cell * y, width=cell, height=cell, fill="var(--ink)",
            fill_opacity=f"{min(1.0, max(0.0, value)):.2f}")
        for y, row in enumerate(pixels)
        for x, value in enumerate(row)
        if value >= 0.04
    ]  # fmt: skip
    return _el("g", *out, shape_rendering="crispEdges")


def soft_table(
    opinions_at: Sequence[tuple[str, Opinion]], *, caption: str, classes: str = "0123456789"
) -> str:
    """The same answer at several temperatures: a row per class, a column per temperature."""
    body = [
        Row(name, [percent(_share(o, k)) for _, o in opinions_at])
        for k, name in enumerate(classes)
    ]
    short = range(len(opinions_at) + 1)
    return table(
        [words.DIGIT_COLUMN, *(name for name, _ in opinions_at)],
        body,
        caption=caption,
        short=short,
    )


# ---------------------------------------------------------------- a guess


def guess_axis(
    levels: Sequence[tuple[str, str, float]],
    *,
    start: float,
    text: str,
    label: str,
    span: tuple[float, float] = (0.5, 1.0),
    height: float = 256,
) -> str:
    """The accuracy axis on which a visitor puts a mark: `levels` are (role, words, value).

    As wide as its place; a script moves `data-you`, whose y it works out from `data-top`,
    `data-bottom` and the span, and writes `data-said` above it.
    """
    top, bottom = 14.0, height - 16
    low, high = span

    def y(value: float) -> float:
        inside = min(max(value, low), high)
        return bottom - (bottom - top) * (inside - low) / (high - low)

    out = []
    for k in range(6):
        value = low + (high - low) * k / 5
        at = round(y(value)) + 0.5
        unit = f"{NARROW}%" if k == 5 else ""
        kind = "grid" if k else "zero"
        out.append(_el("line", class_=kind, x1=42, x2="100%", y1=at, y2=at))
        tick = f"{100 * value:.0f}{unit}"
        out.append(_text(34, at + 4, tick, "tick", text_anchor="end"))
    for role, text_, value in levels:
        at, stroke = y(value), 2 if role == "teacher" else 2.5
        line = {"stroke": "var(--c)", "stroke_width": stroke, "stroke_dasharray": DASH[role]}
        # beside the place of the visitor's mark, which would hide it
        end = _el("svg", _mark(role, -40, at), x="100%", overflow="visible")
        name = _text(46, at + 17, text_, "name halo")
        drawn = _el("line", x1=42, x2="100%", y1=at, y2=at, **line)
        out.append(_el("g", drawn, end, name, class_=role))
    dots = {"stroke": "var(--ink)", "stroke_width": 1.5, "stroke_dasharray": DASH["you"]}
    dotted = _el("line", x1=42, x2="100%", y1=0, y2=0, stroke_linecap="round", **dots)
    said = _el("text", escape(text), class_="bold halo", x=-32, y=-8, text_anchor="end",
               data_said="", style="font-size:14px")  # fmt: skip
    arrows = "M-17.5,-2.5l3.5,-3.5l3.5,3.5M-17.5,2.5l3.5,3.5l3.5,-3.5"
    tips = _el("path", d=arrows, fill="none", stroke="var(--you-edge)", stroke_width=1.6)
    mark = _el("svg", said, _mark("you", -14, 0, 8), tips, x="100%", overflow="visible")
    you = _el("g", dotted, mark, data_you="", transform=f"translate(0,{y(start):.1f})")
    return _el(
        "svg", *out, you, xmlns="http://www.w3.org/2000/svg", class_="chart guess-axis",
        role="img", aria_label=label, width="100%", height=height, data_top=f"{top:g}",
        data_bottom=f"{bottom:g}",
    )  # fmt: skip


# ---------------------------------------------------------------- digits and losses


def digit(pixels: Sequence[Sequence[float]], size: float, alt: str) -> str:
    """A small picture from rows of brightness 0..1: ink on paper, so it follows the mode."""
    tall, wide = len(pixels), max((len(row) for row in pixels), default=1)
    out = []
    for y, row in enumerate(pixels):
        for x, value in enumerate(row):
            strength = min(1.0, max(0.0, value)) if is_number(value) else 0.0
            if strength >= 0.01:
                shade = {"fill": "var(--ink)", "fill_opacity": f"{strength:.2f}"}
                out.append(_el("rect", x=x, y=y, width=1, height=1, **shade))
    return _el(
        "svg", *out, xmlns="http://www.w3.org/2000/svg", class_="digit", role="img",
        aria_label=alt, viewBox=f"0 0 {wide} {max(1, tall)}", width=size,
        height=size * tall / wide, shape_rendering="crispEdges",
    )  # fmt: skip


# ---------------------------------------------------------------- differences


@dataclass(frozen=True)
class Difference:
    """One run against the baseline, as fractions: each pair, their mean, the 95 % interval."""

    role: str
    name: str
    pairs: Sequence[float]
    mean: float
    low: float
    high: float
    note: str = ""
    verdict: str | None = None  # beats, loses or inconclusive, where a correction decides it

    @property
    def decided(self) -> str:
        clear = "beats" if self.low > 0 else "loses" if self.high < 0 else "inconclusive"
        return self.verdict or clear


_CHIPS = {
    "beats": ("kd", "↑"),
    "loses": ("labels", "↓"),
    "inconclusive": ("muted", "≈"),
    "equal": ("muted", "="),
    "unlike": ("muted", "≠"),
}


def chip(verdict: str, text: str | None = None) -> str:
    """BEATS, LOSES or INCONCLUSIVE with its sign: the word and the arrow carry it, not colour."""
    role, arrow = _CHIPS.get(verdict.lower(), ("muted", "≈"))
    text = text or words.VERDICTS.get(verdict.lower(), verdict.upper())
    return _el("span", f"{arrow} {escape(text)}", class_=f"chip {role}")


def limits(rows: Sequence[Difference]) -> tuple[float, float]:
    """A common axis, in whole steps of five points or more, that holds every pair and zero."""
    every = [v for r in rows for v in (*r.pairs, r.low, r.high) if is_number(v)]
    low, high = min([0.0, *every]), max([0.0, *every])
    stride = _nice(max(high - low, 0.25) / 5)
    low, high = math.floor(low / stride + 1e-9), math.ceil(high / stride - 1e-9)
    return low * stride, max(high, low + 1) * stride


def spread(
    row: Difference,
    *,
    width: float,
    span: tuple[float, float] | None = None,
    axis: bool = True,
    height: float = 71,
) -> str:
    """A strip: each pair a dot, below it the mean as a tick on the interval's bar, zero in ink."""
    low, high = span or limits([row])
    x = _Scale(low, high, width)
    ticks = _difference_ticks(low, high, width)
    out = [_line(x(t), 0, x(t), height, "grid") for t in ticks if t and not axis]
    out.append(_line(x(0), 0, x(0), height, "edge"))
    out.append(_dots([x(p) for p in row.pairs if is_number(p)], height))
    if all(map(is_number, (row.mean, row.low, row.high))):
        y = height - 18
        bar = _line(x(row.low), y, x(row.high), y, "", stroke="var(--c)", stroke_width=4)
        out[-1] += bar + _line(
            x(row.mean), y - 7, x(row.mean), y + 7, "", stroke="var(--c)", stroke_width=3
        )
    out[-1] = _el("g", out[-1], class_=_role(row.role))
    if axis:
        out.append(_line(0, height + 0.5, width, height + 0.5, "zero"))
        out.append(_el("g", _tick_words(low, high, width), transform=f"translate(0,{height:g})"))
    label = words.difference_said(row.name, row.mean, row.low, row.high, len(row.pairs))
    return _svg(width, height + (26 if axis else 0), label, *out)


@dataclass(frozen=True)
class _Scale:
    """Points to pixels on a strip; what lies beyond its ends stays at the end."""

    low: float
    high: float
    width: float

    def __call__(self, value: float) -> float:
        room = self.width - 32  # half a tick label on either side
        inside = min(max(value, self.low), self.high)
        return 16 + room * (inside - self.low) / (self.high - self.low)


def _difference_ticks(low: float, high: float, width: float) -> list[float]:
    stride = _nice(100 * (high - low) / max(2, min(6, width // 72)))
    first = math.ceil(100 * low / stride - 1e-9)
    return [k * stride / 100 for k in range(first, math.floor(100 * high / stride + 1e-9) + 1)]


def _dots(xs: Sequence[float], height: float) -> str:
    """Dots that would hide each other are stacked, in steps that always fit the strip."""
    stacks: dict[int, int] = {}
    for x in xs:
        stacks[round(x / 8)] = stacks.get(round(x / 8), 0) + 1
    step = min(9.0, (height - 42) / max(1, max(stacks.values(), default=1) - 1))
    out = [
        _el("circle", cx=8 * place, cy=height - 37 - k * step, r=4, fill="var(--c)",
            fill_opacity="0.6")
        for place, count in stacks.items()
        for k in range(count)
    ]  # fmt: skip
    return "".join(out)


def _tick_words(low: float, high: float, width: float) -> str:
    x = _Scale(low, high, width)
    ticks = _difference_ticks(low, high, width)
    out = [_text(x(t), 18, signed(t, 0), "tick", text_anchor="middle") for t in ticks]
    gap = x(ticks[1]) - x(ticks[0]) if len(ticks) > 1 else 0
    if gap > 76 and ticks[0] < 0 < ticks[-1]:
        out.append(_text(x(0) - gap / 2, 18, words.WORSE, "tick", text_anchor="middle"))
        out.append(_text(x(0) + gap / 2, 18, words.BETTER, "tick", text_anchor="middle"))
    return "".join(out)


def differences(rows: Sequence[Difference], *, width: float) -> str:
    """A strip per run on one axis, its name before it and its verdict behind it, as HTML."""
    narrow = width < 860
    plot = width if narrow else width - 216 - 232 - 48
    span = limits(rows)
    out = []
    for row in rows:
        numbers = f"{signed(row.mean)} ({interval(row.low, row.high)})"
        small = numbers if narrow else row.note
        name = _el("span", _name(row.name), _el("small", escape(small)))
        strip = spread(row, width=plot, span=span, axis=False)
        verdict = [chip(row.decided)]
        if not narrow:
            bold = f"<b>{signed(row.mean)}</b> ({interval(row.low, row.high)})"
            verdict.append(_el("small", bold))
        cells = _el("div", marker(row.role), name, class_="who")
        cells += _el("div", strip, class_="plot") + _el("div", *verdict, class_="out")
        out.append(_el("div", cells, class_="strip"))
    ticks = _el("svg", _tick_words(*span, plot), class_="chart", width=plot, height=26,
                aria_hidden="true")  # fmt: skip
    blank = "" if narrow else "<div></div>"
    out.append(_el("div", blank, _el("div", ticks, class_="plot"), blank, class_="strip axis"))
    return _el("div", *out, class_="forest narrow" if narrow else "forest")


# ---------------------------------------------------------------- scores


@dataclass(frozen=True)
class Score:
    """One kind of student in a picture of scores: a fraction per student, and a word on it."""

    role: str
    name: str
    values: Sequence[float | None]
    note: str = ""


def scores(rows: Sequence[Score], *, width: float, low: float = 0.0, high: float = 1.0) -> str:
    """Kinds of students below each other on one axis in per cent: each a dot, their mean marked.

    What lies beyond the axis stays at its end; the numbers beside the names are exact.
    """
    x, tall, out, said = _Scale(low, high, width - 8), 48.0, [], []
    stride = _nice(100 * (high - low) / max(2, min(10, width // 72)))
    count = math.floor(100 * (high - low) / stride + 1e-9)
    ticks = [low + k * stride / 100 for k in range(count + 1)]
    foot = tall * len(rows) + 6
    out += [_line(x(t), 0, x(t), foot, "grid") for t in ticks]
    for i, row in enumerate(rows):
        y, found = tall * i + 36, [v for v in row.values if is_number(v)]
        measured = mean_percent(mean_sd(found))
        said.append(f"{row.name}: {measured}{', ' if row.note else ''}{row.note}.")
        tail = _el("tspan", escape(row.note), class_="aside", dx=8) if row.note else ""
        room = width - _text_width(measured + row.note, 13) - 24
        drawn = _text(0, y - 18, _fit(row.name, room), "name halo")
        drawn += _el("text", escape(measured), tail, class_="val halo", x=width, y=y - 18,
                     text_anchor="end")  # fmt: skip
        drawn += _line(x(low), y, x(high), y, "zero")
        for value in found:
            drawn += _el("circle", cx=x(value), cy=y, r=4, fill="var(--c)", fill_opacity="0.35")
        drawn += _mark(row.role, x(sum(found) / len(found)), y, 6) if found else ""
        out.append(_el("g", drawn, class_=_role(row.role)))
    for t in ticks:
        text = percent(t, 0) if t is ticks[-1] else plain(100 * t, 0)
        out.append(_text(x(t), foot + 16, text, "tick", text_anchor="middle"))
    return _svg(width, foot + 24, " ".join(said), *out)


# ---------------------------------------------------------------- confusions


def confusion_difference(
    change: Sequence[Sequence[float]],
    *,
    width: float,
    classes: Sequence[str] = "0123456789",
    picked: tuple[int, int] | None = None,
    by: str = "",
) -> str:
    """Which mistakes went away: baseline minus run, in images per student, true by read class.

    Blue is fixed by the run named `by`, orange is broken by it; each cell carries
    `data-cell="true,read"` for the page.
    """
    left, net = 26.0, 46.0 if width >= 400 else 34.0
    cell = (width - left - net) / max(1, len(classes))
    top = 40.0
    apart_from = [v for i, r in enumerate(change) for j, v in enumerate(r) if i != j]
    peak = max([4.0, *(abs(v) for v in apart_from if is_number(v))])
    out = [_text(0, 12, words.IS, "tick"), _text(left, 12, words.READ_AS, "tick")]
    out.append(_text(width, 12, words.NET, "tick", text_anchor="end"))
    for i, name in enumerate(classes):
        short, y = _fit(name, cell, 13), top + cell * (i + 0.5) + 5
        out.append(_text(6, y, short, "bold", text_anchor="middle"))
        out.append(_text(left + cell * (i + 0.5), 32, short, "bold", text_anchor="middle"))
        row = change[i] if i < len(change) else []
        out += [_cell(left, top, cell, (i, j), v, peak) for j, v in enumerate(row)]
        total = sum(v for j, v in enumerate(row) if j != i and is_number(v))
        kind = "soft" if abs(total) < 1 else ""
        out.append(_text(width, y, plain(total, 0), kind, text_anchor="end"))
    if picked:
        out.append(_ring(left + cell * picked[1], top + cell * picked[0], cell))
    foot = top + cell * len(classes) + 16
    key, more = _key(left, foot, peak, by, width)
    return _svg(width, foot + 28 + more, _mistakes(change, classes), *out, key)


def _strength(value: float, peak: float) -> str:
    """Square root, so that a single image is still seen beside the largest change."""
    return f"calc(var(--heat)*{min(1.0, math.sqrt(abs(value) / peak)):.2f})"


def _cell(
    left: float, top: float, cell: float, at: tuple[int, int], value: float, peak: float
) -> str:
    x, y = left + cell * at[1], top + cell * at[0]
    if at[0] == at[1]:
        slash = f"M{x + cell * 0.36:.1f},{y + cell * 0.36:.1f}l{cell * 0.28:.1f},{cell * 0.28:.1f}"
        return _el("path", class_="zero", d=slash, stroke_width=1.5)
    value = value if is_number(value) else 0.0
    role = "labels" if value < 0 else "kd"
    fill = f"fill:var(--{role});fill-opacity:{_strength(value, peak)}"
    box = {"x": x + 1, "y": y + 1, "width": cell - 2, "height": cell - 2, "rx": 2}
    style = "fill:var(--sunken)" if abs(value) < 0.25 else fill
    out = _el("rect", style=style, data_cell=f"{at[0]},{at[1]}", **box)
    if abs(value) >= 0.95:
        size = "font-size:12px" if cell < 30 else None
        number = plain(value, 0)
        x, y = x + cell / 2, y + cell / 2 + 4.5
        out += _text(x, y, number, text_anchor="middle", style=size, pointer_events="none")
    return out


def _ring(x: float, y: float, cell: float) -> str:
    yellow = {"x": x - 2, "y": y - 2, "width": cell + 4, "height": cell + 4, "rx": 4}
    edge = {"x": x - 4.5, "y": y - 4.5, "width": cell + 9, "height": cell + 9, "rx": 6}
    inner = _el("rect", fill="none", stroke="var(--you)", stroke_width=4, **yellow)
    return inner + _el("rect", class_="edge", fill="none", **edge)


def _key(x: float, y: float, peak: float, by: str, width: float) -> tuple[str, float]:
    """What the colours mean, and the height that a second line needs."""
    out = [_text(x, y + 12, words.BROKEN_NOW, "tick")]
    x += 50
    for part in (-0.15, -0.04, 0.04, 0.15, 0.43, 1.0):
        role = "labels" if part < 0 else "kd"
        style = f"fill:var(--{role});fill-opacity:{_strength(part * peak, peak)}"
        out.append(_el("rect", style=style, x=x, y=y, width=20, height=16, rx=2))
        x += 22
    lines = _wrap(words.fixed(by), width - x - 6, 12)
    more = 16.0 * (len(lines) - 1)
    return "".join(out) + _lines(x + 6, y + 12 + more, lines, "tick"), more


def _mistakes(change: Sequence[Sequence[float]], classes: Sequence[str]) -> str:
    """The label: the net per class, and every change of at least one image."""
    cells = [
        (value, words.read_as(classes[i], classes[j], value))
        for i, row in enumerate(change)
        for j, value in enumerate(row)
        if i != j and is_number(value) and abs(value) >= 0.95
    ]
    return words.mistakes_said([said for _, said in sorted(cells, key=lambda c: -abs(c[0]))])


# ---------------------------------------------------------------- reliability


@dataclass(frozen=True)
class Bin:
    """Answers of like confidence: how sure they were, how often right, how many there are."""

    confidence: float | None
    accuracy: float | None
    count: int


def reliability(
    bins: Sequence[Bin], *, width: float, role: str = "kd", name: str = words.STUDENT
) -> str:
    """How often it is right when it is so sure; on the diagonal it is as right as it is sure."""
    side = min(width - 60, 320)
    frame = _Frame(width, side + 28 + 34, 40 + side, 1, 0, 1)
    used = [b for b in bins if b.count and is_number(b.confidence) and is_number(b.accuracy)]
    places = [(frame.x(b.confidence or 0), frame.y(b.accuracy or 0), b) for b in used]
    out = [_text(0, 12, words.THIS_SURE, "tick"), _square(frame)]
    a, b = (frame.x(0), frame.y(0)), (frame.x(1), frame.y(1))
    out.append(_line(*a, *b, "zero", stroke_width=1.5, stroke_dasharray="4 4"))
    marks = []
    for x, y, one in places:
        on = frame.y(one.confidence or 0)
        marks.append(_line(x, y, x, on, "", stroke="var(--c)", stroke_opacity="0.5"))
    dash = DASH[_role(role)]
    line = {"fill": "none", "stroke": "var(--c)", "stroke_width": 2.5, "stroke_dasharray": dash}
    if len(places) > 1:
        marks.append(_el("path", d=_path([p[:2] for p in places]), **line))
    marks += [_mark(role, x, y, 4.5) for x, y, _ in places]
    out.append(_el("g", *marks, class_=_role(role)))
    out.append(_counts(frame, places, role))
    said = [words.bin_said(b.confidence, b.accuracy, b.count) for b in used]
    return _svg(width, frame.height + 62, words.bins_said(name, said), *out)


def _square(frame: _Frame) -> str:
    out = []
    for k in (0, 25, 50, 75, 100):
        unit = f"{NARROW}%" if k == 100 else ""
        y = round(frame.y(k / 100)) + 0.5
        out.append(_line(frame.left, y, frame.right, y, "grid" if k else "zero"))
        out.append(_text(frame.left - 8, y + 4, f"{k}{unit}", "tick", text_anchor="end"))
        anchor = "start" if not k else "end" if k == 100 else "middle"
        text = words.sure(k / 100) if k == 100 else k if k < 75 else ""
        out.append(_text(frame.x(k / 100), frame.bottom + 18, text, "tick", text_anchor=anchor))
    return "".join(out)


def _counts(frame: _Frame, places: Sequence[tuple[float, float, Bin]], role: str) -> str:
    """How many answers each point stands for; a number where it does not touch its neighbour."""
    base, most = frame.height + 40, max((b.count for *_, b in places), default=1)
    out = [
        _text(0, base - 8, words.COUNT, "tick"),
        _line(frame.left, base, frame.right, base, "grid"),
    ]
    free = -math.inf
    for x, _, one in sorted(places, key=lambda p: p[0]):
        tall = max(1.0, 28 * one.count / most)
        bar = {"x": x - 5, "y": base - tall, "width": 10, "height": tall}
        out.append(_el("g", _el("rect", fill="var(--c)", **bar), class_=_role(role)))
        number = thousands(one.count)
        half = _text_width(number, 12) / 2
        if x - half > free:
            out.append(_text(x, base + 16, number, "tick", text_anchor="middle"))
            free = x + half + 4
    return "".join(out)


# ---------------------------------------------------------------- tables


@dataclass(frozen=True)
class Row:
    """A row: its name, its cells as text, and the role whose marker stands before the name."""

    name: str
    cells: Sequence[str]
    role: str | None = None
    state: str = ""  # live tints the row, wait greys it


def table(
    columns: Sequence[str],
    rows: Sequence[Row],
    *,
    caption: str,
    note: str = "",
    short: Sequence[int] = (0, 1, 2),
) -> str:
    """The numbers as a table; a phone shows the `short` columns, the rest on 'All columns'."""
    marked = any(row.role for row in rows)
    head = "".join(
        _el("th", escape(c), scope="col", class_=_more(k, short)) for k, c in enumerate(columns)
    )
    body = "".join(_row(row, len(columns), short, marked) for row in rows)
    small = _el("small", escape(note)) if note else ""
    grid = _el(
        "table",
        _el("caption", escape(caption), small),
        _el("thead", _el("tr", head)),
        _el("tbody", body),
    )
    hidden = any(_more(k, short) for k in range(len(columns)))
    reach = {"tabindex": 0, "role": "region", "aria_label": caption} if hidden else {}
    rest = f"<details><summary>{words.ALL_COLUMNS}</summary></details>" if hidden else ""
    return _el("div", _el("div", grid, class_="scroll", **reach), rest, class_="numbers")


def _more(column: int, short: Sequence[int]) -> str | None:
    return None if column in short else "more"


def _row(row: Row, columns: int, short: Sequence[int], marked: bool) -> str:
    sign = marker(row.role) if row.role else '<span class="blank"></span>' if marked else ""
    first = _el("th", sign, _name(row.name), scope="row", class_="marked" if marked else None)
    cells = [*row.cells, *[ABSENT] * (columns - 1 - len(row.cells))][: columns - 1]
    rest = [_el("td", escape(c), class_=_more(k, short)) for k, c in enumerate(cells, 1)]
    class_ = f"{_role(row.role) if row.role else ''} {row.state}".strip()
    return _el("tr", first, *rest, class_=class_ or None)


def data_table(content: str) -> str:
    """The 'Data table' link under a figure, closed until somebody asks."""
    return _el("details", f"<summary>{words.DATA_TABLE}</summary>", content, class_="data")
