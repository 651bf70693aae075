"""Still figures: any live picture as a PNG, for GitHub, print and wherever no kernel runs.

A picture is drawn once, as SVG by `charts`; here matplotlib only repeats its lines, boxes and
words. So the still never tells another story than the live picture. It uses matplotlib's
`Figure` itself and no pyplot, whose hidden state a slider's thread would damage.
"""

from __future__ import annotations

import io
import re
import xml.etree.ElementTree as ET
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from workbench.charts import DASH, TOKENS

#: Pixels of the still per pixel of the picture: sharp on a projector.
SCALE = 2
#: Pixels of paper around it: labels may reach over the picture's edge.
MARGIN = 16
#: Points per pixel at 100 pixels an inch; DejaVu is wider than the fonts that charts plans for.
POINT, NARROWER = 0.72, 0.92
#: From so many shades on a picture is a map: with 64 colours its lines would lose theirs to them.
MAP = 24
_NUMBER = re.compile(r"[-+]?(?:\d+\.?\d*|\.\d+)(?:e[-+]?\d+)?")
_STEP = re.compile(rf"([MLlmhvHVczZ])|({_NUMBER.pattern})")
_SIZES = {"tick": 12.0, "name": 14.0, "finding": 19.0, "aside": 13.0, "val": 13.0}


def png(svg: str, dark: bool = False) -> bytes:
    """The picture as PNG bytes, on the paper of its mode."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    root = ET.fromstring(svg)
    width, height = float(root.get("width", 640)), float(root.get("height", 320))
    figure = Figure(
        figsize=((width + 2 * MARGIN) / 100, (height + 2 * MARGIN) / 100), dpi=100 * SCALE
    )
    FigureCanvasAgg(figure)
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set_xlim(-MARGIN, width + MARGIN)
    axes.set_ylim(height + MARGIN, -MARGIN)
    axes.set_axis_off()
    pen = _Pen(axes, dark)
    figure.set_facecolor(pen.colour("var(--bg)") or "white")
    for child in root:
        pen.draw(child, {})
    return _small(figure.canvas, 128 if svg.count("fill-opacity:") > MAP else 64)


def growth(
    lines: Mapping[str, tuple[Sequence[float], Sequence[float]]],
    across: str,
    up: str,
    dark: bool = False,
) -> bytes:
    """Lines on logarithmic axes, each with its name at its end, as PNG bytes.

    Dashes and markers tell them apart, for colour means a model; names are pushed apart.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    ink, muted, rule, grid, paper = (
        TOKENS[name][dark] for name in ("ink", "muted", "rule", "line", "bg")
    )
    figure = Figure(figsize=(7.6, 3.4), dpi=100 * SCALE, facecolor=paper)
    FigureCanvasAgg(figure)
    axes = figure.add_axes((0.07, 0.14, 0.53, 0.74), facecolor=paper)
    axes.set_xscale("log")
    axes.set_yscale("log")
    ends = []
    for (name, (x, y)), dash, marker in zip(lines.items(), DASH.values(), "osD^", strict=False):
        style: Any = (0, [float(n) / 2 for n in dash.split()]) if dash else "-"
        axes.plot(x, y, color=ink, linestyle=style, marker=marker, markersize=4, linewidth=1.5)
        ends.append((name, x[-1], y[-1]))
    axes.grid(True, axis="y", color=grid, linewidth=0.8)
    axes.tick_params(which="both", colors=muted, labelsize=9)
    for side, spine in axes.spines.items():
        spine.set_visible(side == "bottom")
        spine.set_color(rule)
    for axis, furthest in ((axes.xaxis, [x for _, x, _ in ends]),
                           (axes.yaxis, [y for _, _, y in ends])):  # fmt: skip
        most = max(furthest)
        axis.set_ticks([4**k for k in range(12) if 4**k <= most * 1.2])
        axis.set_ticks([], minor=True)
        axis.set_major_formatter(lambda value, _: f"{value:g}")
        axis.set_view_interval(0.85, most * 1.15, ignore=True)
    axes.set_xlabel(across, color=muted, fontsize=9, loc="left")
    axes.text(-0.06, 1.05, up, transform=axes.transAxes, color=muted, fontsize=9)
    _name_ends(axes, ends, ink, rule)
    return _small(figure.canvas)


def _name_ends(axes: Any, ends: Sequence[tuple[str, float, float]], ink: str, rule: str) -> None:
    """Each line's name right of the axes, as high as its end or just below its neighbour's."""
    room, last = 0.08, 2.0
    into = axes.transData + axes.transAxes.inverted()
    for name, x, y in sorted(ends, key=lambda end: -end[2]):
        height = into.transform((x, y))[1]
        last = min(height, last - room)
        axes.annotate(
            name,
            (x, y),
            xytext=(1.03, last),
            textcoords="axes fraction",
            color=ink,
            fontsize=9,
            va="center",
            arrowprops={
                "arrowstyle": "-",
                "color": rule,
                "linewidth": 0.6,
                "shrinkB": 4,
                "relpos": (0, 0.5),
            },
        )


def _small(canvas: Any, colours: int = 64) -> bytes:
    """A drawn canvas as a PNG of few colours: a quarter of the size, to look at the same.

    Without dates and versions, so that two makings of one picture are the same bytes.
    """
    from PIL import Image

    canvas.draw()
    drawn = Image.frombuffer("RGBA", canvas.get_width_height(), canvas.buffer_rgba())
    out = io.BytesIO()
    drawn.convert("RGB").quantize(colours, dither=Image.Dither.NONE).save(
        out, "PNG", optimize=True
    )
    return out.getvalue()


@dataclass(frozen=True)
class _Pen:
    """Where to draw, and what an element inherits: role, place, clip, opacity."""

    axes: Any
    dark: bool
    role: str = ""
    x: float = 0.0
    y: float = 0.0
    zoom: float = 1.0
    opacity: float = 1.0
    clip: Any = None

    def draw(self, element: ET.Element, above: Mapping[str, str]) -> None:
        """An element and what is in it."""
        tag = element.tag.rsplit("}", 1)[-1]
        own = dict(element.attrib)
        own |= dict(re.findall(r"([\w-]+):([^;]+)", own.pop("style", "")))
        classes = own.get("class", "").split()
        roles = [name for name in classes if name in DASH]
        pen = replace(self, role=roles[-1]) if roles else self
        if "opacity" in own:
            pen = replace(pen, opacity=pen.opacity * float(own["opacity"]))
        if tag in ("g", "svg"):
            own = {k: v for k, v in above.items() if k in ("fill", "shape-rendering")} | own
            pen = pen._moved(own) if tag == "g" else pen._framed(own)
            for child in element:
                pen.draw(child, own)
        elif tag in ("rect", "circle", "line", "path"):
            pen._shape(tag, {**above, **own}, classes)
        elif tag == "text":
            pen._text(element, own, classes)

    def _moved(self, own: Mapping[str, str]) -> _Pen:
        found = re.match(
            r"translate\(([^,]+),([^)]+)\)(?: scale\(([^)]+)\))?", own.get("transform", "")
        )
        if not found:
            return self
        dx, dy = float(found[1]) * self.zoom, float(found[2]) * self.zoom
        return replace(self, x=self.x + dx, y=self.y + dy, zoom=self.zoom * float(found[3] or 1))

    def _framed(self, own: Mapping[str, str]) -> _Pen:
        """An inner svg: its box is a window onto its own coordinates."""
        from matplotlib.patches import Rectangle

        x, y = (self.at(own, "x", "y"))[0]
        width, height = float(own.get("width", 0)), float(own.get("height", 0))
        left, top, wide, _ = (float(n) for n in own.get("viewBox", f"0 0 {width} 0").split())
        zoom = self.zoom * width / (wide or 1)
        box = Rectangle((x, y), width * self.zoom, height * self.zoom,
                        transform=self.axes.transData)  # fmt: skip
        return replace(self, x=x - left * zoom, y=y - top * zoom, zoom=zoom, clip=box)

    def at(self, own: Mapping[str, str], *names: str) -> list[tuple[float, float]]:
        """Points in the figure: names come in pairs, x before y."""
        v = [float(own.get(name, 0)) for name in names]
        return [
            (self.x + self.zoom * v[i], self.y + self.zoom * v[i + 1]) for i in range(0, len(v), 2)
        ]

    # -------------------------------------------------------------------- colours

    def colour(self, value: str | None) -> str | None:
        """A colour of the mode: roles give --c and --ct, tokens the rest."""
        if not value or value == "none":
            return None
        name = (re.findall(r"--([\w-]+)", value) or ["ink"])[-1]
        if name in ("c", "ct"):
            role = self.role or "muted"
            wanted = f"{role}-text" if name == "ct" else role
            name = wanted if wanted in TOKENS else "ink" if role == "you" else role
        return TOKENS[name][self.dark]

    def strength(self, value: str | None) -> float:
        """An opacity: a number, a token, or a token times a number."""
        found = re.findall(r"--([\w-]+)", value or "")
        numbers = [float(n) for n in re.findall(_NUMBER, re.sub(r"--[\w-]+", "", value or "1"))]
        for name in found:
            numbers.append(float(TOKENS[name][self.dark]))
        product = self.opacity
        for number in numbers:
            product *= number
        return product

    # --------------------------------------------------------------------- shapes

    def _shape(self, tag: str, own: Mapping[str, str], classes: list[str]) -> None:
        stroke, width = own.get("stroke"), float(own.get("stroke-width", 1))
        for name, colour in (("grid", "line"), ("zero", "rule"), ("edge", "ink")):
            if name in classes:
                stroke = f"var(--{colour})"
                width = 1.5 if name == "edge" else width
        fill = own.get("fill", "none" if tag == "line" else "var(--ink)")
        if tag == "path" and "fill" not in own and stroke:
            fill = "none"
        style: dict[str, Any] = {"linewidth": 0, "facecolor": "none", "edgecolor": "none"}
        if (found := self.colour(fill)) is not None:
            style["facecolor"] = (found, self.strength(own.get("fill-opacity")))
        if (found := self.colour(stroke)) is not None:
            style["edgecolor"] = (found, self.strength(own.get("stroke-opacity")))
            style["linewidth"] = width * self.zoom * POINT
        if own.get("shape-rendering") == "crispEdges":
            style["antialiased"] = False  # cells that touch leave no seam
        if dash := own.get("stroke-dasharray"):
            each = [float(n) for n in re.findall(_NUMBER, dash)]
            style["linestyle"] = (0, [max(0.1, n / max(width, 0.1)) for n in each])
            style["linestyle"] = (0, [n * width * POINT / style["linewidth"]
                                      for n in style["linestyle"][1]])  # fmt: skip
        self.axes.add_patch(patch := _patch(tag, own, self, style))
        patch.set_clip_path(self.clip) if self.clip is not None else patch.set_clip_on(False)

    def _text(self, element: ET.Element, own: Mapping[str, str], classes: list[str]) -> None:
        from matplotlib.patheffects import withStroke

        size = next((_SIZES[name] for name in classes if name in _SIZES), 13.0)
        if found := re.search(r"[\d.]+", own.get("font-size", "")):
            size = float(found[0])
        colour = "var(--ct)" if {"name", "val"} & set(classes) else "var(--ink)"
        if {"tick", "soft", "aside"} & set(classes):
            colour = "var(--muted)"
        aside = [part for part in element if part.tag.endswith("tspan")]
        words = (element.text or "") + "".join(f"  {part.text or ''}" for part in aside)
        halo = withStroke(linewidth=4 * POINT, foreground=self.colour("var(--bg)"))
        self.axes.text(
            *self.at(own, "x", "y")[0],
            words.replace("$", r"\$"),
            fontsize=size * self.zoom * POINT * NARROWER,
            color=self.colour(colour),
            ha={"middle": "center", "end": "right"}.get(own.get("text-anchor", ""), "left"),
            va="baseline",
            family="serif" if "finding" in classes else "sans-serif",
            weight="bold" if {"bold", "name"} & set(classes) else "normal",
            alpha=self.opacity,
            path_effects=[halo] if "halo" in classes else None,
        )


def _patch(tag: str, own: Mapping[str, str], pen: _Pen, style: Mapping[str, Any]) -> Any:
    from matplotlib.patches import Circle, PathPatch, Rectangle

    if tag == "rect":
        wide, tall = (float(own.get(k, 0)) * pen.zoom for k in ("width", "height"))
        return Rectangle(pen.at(own, "x", "y")[0], wide, tall, **style)
    if tag == "circle":
        return Circle(pen.at(own, "cx", "cy")[0], float(own.get("r", 0)) * pen.zoom, **style)
    from matplotlib.path import Path

    if tag == "line":
        return PathPatch(Path(pen.at(own, "x1", "y1", "x2", "y2")), capstyle="butt", **style)
    codes, points = _walked(own.get("d", ""))
    placed = [(pen.x + pen.zoom * x, pen.y + pen.zoom * y) for x, y in points]
    return PathPatch(Path(placed or [(0, 0)], codes or [1]), capstyle="butt", **style)


def _walked(d: str) -> tuple[list[int], list[tuple[float, float]]]:
    """A path's commands as matplotlib's codes and absolute points: M, L, h, v, c, z, relatives."""
    codes: list[int] = []
    points: list[tuple[float, float]] = []
    x = y = 0.0
    start, command, held = (0.0, 0.0), "", list[float]()
    for word, number in _STEP.findall(d):
        if word in ("z", "Z"):
            codes.append(79)
            points.append(start)
            x, y = start
        elif word:
            command, held = word, []
        else:
            held.append(float(number))
            if command in "hH":
                x = held[0] + (x if command == "h" else 0)
            elif command in "vV":
                y = held[0] + (y if command == "v" else 0)
            elif len(held) < (6 if command == "c" else 2):
                continue
            elif command == "c":
                curve = [(x + held[i], y + held[i + 1]) for i in (0, 2, 4)]
                codes += [4, 4, 4]
                points += curve
                (x, y), held = curve[-1], []
                continue
            elif command.islower():
                x, y = x + held[0], y + held[1]
            else:
                x, y = held
            moved = command in "mM"
            codes.append(1 if moved else 2)
            points.append((x, y))
            start = (x, y) if moved else start
            command, held = {"m": "l", "M": "L"}.get(command, command), []
    return codes, points
