"""Pictures of what lies inside two networks: paired layers, maps, and relations of samples."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from workbench import words
from workbench.charts import (
    _el,
    _fit,
    _line,
    _lines,
    _mark,
    _role,
    _svg,
    _text,
    _wrap,
    digit,
)
from workbench.words import ABSENT, is_number, plain

Matrix = Sequence[Sequence[float]]
#: A heat map has so many shades: one path each, where a rectangle for every cell would be slow.
SHADES = 16


def heat(
    values: Matrix, place: tuple[float, float, float], span: tuple[float, float], role: str
) -> str:
    """Cells (x, y, size of one) that grow darker from one end of the span to the other."""
    x, y, cell = place
    low, high = span
    scale = SHADES / (high - low) if high != low else 0.0
    drawn: list[list[str]] = [[] for _ in range(SHADES + 1)]
    for i, row in enumerate(values):
        shades = [round((v - low) * scale) if math.isfinite(v) else 0 for v in row]
        begin = 0
        for j, shade in enumerate(shades, 1):  # neighbours of one shade are one rectangle
            if j == len(shades) or shades[j] != shade:
                cells = f"M{begin},{i}h{j - begin}v1h{begin - j}z"
                drawn[min(max(shade, 0), SHADES)].append(cells)
                begin = j
    wide = max(map(len, values), default=0)
    out = [_el("rect", style="fill:var(--sunken)", width=wide, height=len(values))]
    for shade, cells_ in enumerate(drawn):
        if shade and cells_:
            out.append(_el("path", d="".join(cells_), fill_opacity=f"{shade / SHADES:g}"))
    crisp = {"class_": _role(role), "style": "fill:var(--c)", "shape_rendering": "crispEdges"}
    return _el("g", *out, transform=f"translate({x:g},{y:g}) scale({cell:.4g})", **crisp)


def _key(x: float, y: float, ends: tuple[str, str]) -> str:
    """What pale and dark mean, in ink, because every model has its own colour."""
    out = [_text(x, y + 12, ends[0], "tick")]
    x += 6.6 * len(ends[0]) + 8
    for k in range(6):
        box = {"x": x + 18 * k, "y": y, "width": 18, "height": 16}
        out.append(_el("rect", style="fill:var(--sunken)", **box))
        out.append(_el("rect", fill="var(--ink)", fill_opacity=f"{k / 5:.1f}", **box))
    return "".join(out) + _text(x + 116, y + 12, ends[1], "tick")


# ---------------------------------------------------------------- paired layers


@dataclass(frozen=True)
class Tower:
    """A network's layers from the input on: name and size of each."""

    role: str
    name: str
    layers: Sequence[tuple[str, str]]


@dataclass(frozen=True)
class Box:
    """Where a layer is drawn; `who` is 0 for the student, 1 for the teacher."""

    who: int
    layer: int
    x: float
    y: float
    width: float
    height: float = 44


def boxes(towers: tuple[Tower, Tower], width: float) -> list[Box]:
    """The places of all layers, student's on the left, so that a page can lay buttons on them."""
    wide = min(168.0, 0.38 * width)
    top = 12.0 + 16 * max(len(_wrap(one.name, wide - 20)) for one in towers)
    return [
        Box(who, i, who * (min(width, 480) - wide), top + 56 * i, wide)
        for who, one in enumerate(towers)
        for i in range(len(one.layers))
    ]


def pairing(
    student: Tower, teacher: Tower, pairs: Sequence[tuple[str, str]], *, width: float
) -> str:
    """Which layer of the student is compared with which of the teacher's: a line for each pair."""
    towers = (student, teacher)
    places = boxes(towers, width)
    by_name = {(box.who, towers[box.who].layers[box.layer][0]): box for box in places}
    known = [pair for pair in pairs if (0, pair[0]) in by_name and (1, pair[1]) in by_name]
    used = {(who, pair[who]) for pair in known for who in (0, 1)}
    out = [_join(by_name[0, mine], by_name[1, its]) for mine, its in known]
    for who, one in enumerate(towers):
        first = next((box for box in places if box.who == who), Box(who, 0, 0, 28, width / 2))
        lines = _wrap(one.name, first.width - 20)
        mark = _mark(one.role, first.x + 7, first.y - 16 - 16 * (len(lines) - 1))
        name = _lines(first.x + 20, first.y - 12, lines, "name")
        out.append(_el("g", mark, name, class_=_role(one.role)))
    for (who, name), box in by_name.items():
        size = towers[who].layers[box.layer][1]
        out.append(_layer(box, name, size, towers[who].role if (who, name) in used else ""))
    said = [
        words.tower_said(one.name, [f"{name} {size}" for name, size in one.layers])
        for one in towers
    ]
    height = max((box.y + box.height for box in places), default=28) + 4
    return _svg(width, height, words.pairing_said(said, known), *out)


def _join(a: Box, b: Box) -> str:
    x1, y1, x2, y2 = a.x + a.width, a.y + a.height / 2, b.x, b.y + b.height / 2
    bend = (x2 - x1) / 2
    path = f"M{x1:.1f},{y1:.1f}c{bend:.1f},0 {bend:.1f},{y2 - y1:.1f} {x2 - x1:.1f},{y2 - y1:.1f}"
    ends = "".join(
        _el("circle", cx=x, cy=y, r=3.5, fill="var(--ink)") for x, y in ((x1, y1), (x2, y2))
    )
    return _el("path", class_="edge", d=path, fill="none") + ends


def _layer(box: Box, name: str, size: str, role: str) -> str:
    """A box: in its model's colour where it is compared, else pale and dashed."""
    edge = {"stroke": "var(--c)", "stroke_width": 2} if role else {"stroke": "var(--rule)"}
    dash = None if role else "3 3"
    place = {"x": box.x + 1, "y": box.y, "width": box.width - 2, "height": box.height, "rx": 4}
    drawn = _el("rect", fill="var(--surface)", stroke_dasharray=dash, **edge, **place)
    short = _fit(name, box.width - 16, 13)
    kind = "bold" if role else "soft"
    text = _text(box.x + 10, box.y + 19, short, kind)
    return _el("g", drawn, text, class_=_role(role)) + _text(
        box.x + 10, box.y + 35, _fit(size, box.width - 12, 12), "tick"
    )


# ---------------------------------------------------------------- maps


@dataclass(frozen=True)
class Maps:
    """Where the paired layers of a network answer: for each its values by place, or nothing."""

    role: str
    name: str
    grids: Sequence[Matrix]


def attention(
    pixels: Matrix,
    alt: str,
    teacher: Maps,
    student: Maps,
    titles: Sequence[str],
    *,
    width: float,
) -> str:
    """Teacher above student, a column per pair of layers; the picture that they see beside them.

    Full colour is where the teacher's layer answers most, so that a scale holds for both and does
    not move while the student learns. Below a pair, how alike the two are: 1 is the same map.
    """
    columns = len(titles) + 1
    size = min(112.0, (width - 12 * (columns - 1)) / columns)
    row, top, left = size + 30, 46.0, size + 12
    frame = _el("rect", class_="grid", fill="none", x=0, y=top, width=size, height=size)
    image = _el("g", digit(pixels, size, alt), transform=f"translate(0,{top:g})")
    out = [_text(0, 12, words.IMAGE_COLUMN, "tick"), image, frame]
    alike = []
    for k, title in enumerate(titles):
        x, its = left * (k + 1), teacher.grids[k]
        out.append(_text(x, 12, _fit(title, size + 10, 12), "tick"))
        peak = max((v for line in its for v in line), default=1.0) or 1.0
        mine = student.grids[k] if k < len(student.grids) else []
        out.append(_map(its, (x, top, size), peak, teacher.role))
        out.append(_map(mine, (x, top + row, size), peak, student.role))
        alike.append(words.alike(closeness(its, mine)))
        out.append(_text(x, top + row + size + 18, alike[-1], ""))
    for one, y in ((teacher, top - 10), (student, top + row - 8)):
        name = _text(left + 20, y, _fit(one.name, width - left - 20, 14), "name")
        out.append(_el("g", _mark(one.role, left + 7, y - 5), name, class_=_role(one.role)))
    foot = top + row + size + 34
    label = words.maps_said(alt, student.name, titles, alike)
    return _svg(width, foot + 20, label, *out, _key(left, foot, words.WEAK_STRONG))


def _map(grid: Matrix, place: tuple[float, float, float], peak: float, role: str) -> str:
    x, y, size = place
    if not grid:
        box = {"x": x, "y": y, "width": size, "height": size}
        gone = _text(x + size / 2, y + size / 2 + 5, ABSENT, "soft", text_anchor="middle")
        return _el("rect", style="fill:var(--sunken)", **box) + gone
    return heat(grid, (x, y, size / max(len(grid), 1)), (0.0, peak), role)


def closeness(a: Matrix, b: Matrix) -> float | None:
    """The cosine of two maps, 1 if they are the same; None where they do not lie on one grid."""
    one, other = ([v for row in each for v in row] for each in (a, b))
    if len(one) != len(other) or not one:
        return None
    size = math.sqrt(sum(v * v for v in one) * sum(v * v for v in other))
    return sum(v * w for v, w in zip(one, other, strict=True)) / size if size else None


# ---------------------------------------------------------------- relations


@dataclass(frozen=True)
class Related:
    """How a network sees samples to lie to each other: a matrix, or nothing yet."""

    role: str
    name: str
    values: Matrix


def relations(
    teacher: Related,
    student: Related,
    classes: Sequence[str],
    *,
    width: float,
    near: bool = False,
    ends: tuple[str, str] = words.WEAK_STRONG,
) -> str:
    """Both matrices side by side, samples sorted by class: what belongs together is a block.

    `classes` names each sample's. The scale is the teacher's from its least to its greatest value
    off the diagonal, for both, and stays while the student learns; `near`: small is dark.
    """
    n = max(1, len(classes))
    gap, left, top = 20.0, 16.0, 44.0
    side = min(320.0, (width - gap - 2 * left) / 2)
    cell = side / n
    span = _span(teacher.values)
    span = span[::-1] if near else span
    out = []
    for i, one in enumerate((teacher, student)):
        x = left + i * (side + gap + left)
        lines = _wrap(one.name, side - 4)
        mark = _mark(one.role, x - left + 7, 11)
        out.append(_el("g", mark, _lines(x + 4, 16 * len(lines), lines, "name"),
                       class_=_role(one.role)))  # fmt: skip
        if one.values:
            out.append(heat(one.values, (x, top, cell), span, one.role))
        else:
            box = {"x": x, "y": top, "width": side, "height": side}
            out.append(_el("rect", style="fill:var(--sunken)", **box))
            out.append(_text(x + side / 2, top + side / 2, ABSENT, "soft", text_anchor="middle"))
        out.append(_borders(classes, x, top, cell))
    said = [_blocks(one, classes) for one in (teacher, student) if one.values]
    alike = words.agree(correlation(teacher.values, student.values))
    foot = top + side + 24
    below = 24 if width < 480 else 0  # beside the key there is no room
    out.append(_key(left, foot, ends))
    right = left + 2 * side + gap + left
    end = {} if below else {"text_anchor": "end"}
    out.append(_text(left if below else right, foot + 13 + below, alike, "", **end))
    return _svg(width, foot + 20 + below, words.relations_said(said, alike), *out)


def _runs(classes: Sequence[str]) -> list[tuple[str, int, int]]:
    """Each class with the stretch of samples that belong to it."""
    cuts = [i for i in range(len(classes)) if not i or classes[i] != classes[i - 1]]
    return [(classes[a], a, b) for a, b in zip(cuts, [*cuts[1:], len(classes)], strict=True)]


def _borders(classes: Sequence[str], x: float, y: float, cell: float) -> str:
    out, side = [], cell * len(classes)
    for name, a, b in _runs(classes):
        middle = cell * (a + b) / 2
        out.append(_text(x + middle, y + side + 14, name, "tick", text_anchor="middle"))
        out.append(_text(x - 5, y + middle + 4, name, "tick", text_anchor="end"))
        if a:
            stroke = {"stroke": "var(--paper,var(--bg))", "stroke_width": 2}
            out.append(_line(x + cell * a, y, x + cell * a, y + side, "", **stroke))
            out.append(_line(x, y + cell * a, x + side, y + cell * a, "", **stroke))
    return "".join(out)


def _span(values: Matrix) -> tuple[float, float]:
    known = [v for i, row in enumerate(values) for j, v in enumerate(row) if i != j]
    known = [v for v in known if math.isfinite(v)]
    return (min(known), max(known)) if known else (0.0, 1.0)


def correlation(a: Matrix, b: Matrix) -> float | None:
    """Pearson's, off the diagonal; None where there is nothing to correlate."""
    if len(a) != len(b):
        return None
    pairs = [
        (v, w)
        for i, (one, other) in enumerate(zip(a, b, strict=True))
        for j, (v, w) in enumerate(zip(one, other, strict=True))
        if i != j and is_number(v) and is_number(w)
    ]
    if not pairs:
        return None
    p, q = (sum(pair[k] for pair in pairs) / len(pairs) for k in (0, 1))
    both = sum((v - p) * (w - q) for v, w in pairs)
    size = math.sqrt(sum((v - p) ** 2 for v, _ in pairs) * sum((w - q) ** 2 for _, w in pairs))
    return both / size if size else None


def _blocks(one: Related, classes: Sequence[str]) -> str:
    """Within a class and between classes, on average: what the blocks show, in words."""
    sums = {True: [0.0, 0], False: [0.0, 0]}
    for i, row in enumerate(one.values):
        for j, value in enumerate(row):
            if i != j and math.isfinite(value):
                kind = sums[classes[i] == classes[j]]
                kind[0] += value
                kind[1] += 1
    means = {same: total / count if count else math.nan for same, (total, count) in sums.items()}
    digits = 3 if max(map(abs, means.values()), default=1.0) < 0.1 else 2
    return words.blocks_said(one.name, plain(means[True], digits), plain(means[False], digits))
