"""The loss as what it is, a sum: its terms on top of each other, step by step."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from workbench import words
from workbench.charts import (
    _el,
    _fit,
    _line,
    _path,
    _role,
    _svg,
    _text,
    _text_width,
    apart,
)
from workbench.words import ABSENT, is_number, plain, thousands

#: Terms that are neither the teacher's nor the labels' have no colour of a model, but a shade.
SHADES = (0.62, 0.4, 0.24, 0.14)
HEIGHT, ROW, GAP = 72, 36, 12


@dataclass(frozen=True)
class Term:
    """One named part of the loss, step by step; `role` says whose voice it carries."""

    role: str
    name: str
    values: Sequence[float | None]


def losses(terms: Sequence[Term], *, width: float, total: int | None = None) -> str:
    """A band per term, from the zero line up, or down where it is below 0, with its value now.

    `total` is how many values a whole run has: the bands then grow into room that waits for them.
    """
    height = max(HEIGHT, ROW * len(terms))
    room = max((_text_width(t.name, 13) for t in terms), default=0) + 22
    right = width - min(max(room, 96), 0.58 * width)
    edges = _edges(terms)
    low = min((v for row in edges for pair in row for v in pair), default=0.0)
    high = max((v for row in edges for pair in row for v in pair), default=0.0)
    span = (high - low) or 1.0

    def y(value: float) -> float:
        return 2 + (height - 4) * (high - value) / span

    count = max((len(t.values) for t in terms), default=0)
    stride = right / max(1, (total or count) - 1)
    every = -(-count // 300) or 1
    shades = iter(SHADES)
    out, middles, fills = [], [], []
    for term, row in zip(terms, edges, strict=True):
        shown = [(stride * k, *pair) for k, pair in enumerate(row)]
        shown = shown[::every] + (shown[-1:] if (len(shown) - 1) % every else [])
        ring = [(x, y(top)) for x, top, _ in shown] + [(x, y(foot)) for x, _, foot in shown[::-1]]
        named = term.role in ("teacher", "labels")
        strength = 0.85 if named else next(shades, SHADES[-1])
        ink = "var(--c)" if named else "var(--ink)"
        fills.append({"fill": ink, "fill_opacity": f"{strength:g}"})
        if len(shown) > 1:
            band = _el("path", d=_path(ring) + "z", stroke="var(--paper,var(--bg))",
                       stroke_width=1, **fills[-1])  # fmt: skip
            out.append(_el("g", band, class_=_role(term.role)))
        top, foot = row[-1] if row else (0.0, 0.0)
        middles.append(y((top + foot) / 2))
    out.append(_line(0, y(0), right, y(0), "zero"))
    said = []
    places = apart(middles, ROW, ROW / 2, height - ROW / 2)
    for term, at, fill in zip(terms, places, fills, strict=True):
        last = term.values[-1] if term.values else None  # none once its stage is over
        now = _loss(float(last)) if last is not None and is_number(last) else ABSENT
        swatch = _el("rect", x=right + GAP, y=at - 15, width=4, height=30, **fill)
        out.append(_el("g", swatch, class_=_role(term.role)))
        x = right + GAP + 10
        out.append(_text(x, at - 3, _fit(term.name, width - x, 13)))
        out.append(_text(x, at + 14, now, "bold"))
        said.append(f"{term.name} {now}")
    return _svg(width, height, words.losses_said(said), *out)


def _edges(terms: Sequence[Term]) -> list[list[tuple[float, float]]]:
    """Top and foot of each band at each step: what is above 0 goes up, what is below goes down."""
    count = max((len(t.values) for t in terms), default=0)
    up, down = [0.0] * count, [0.0] * count
    found = []
    for term in terms:
        row = []
        for k in range(count):
            given = term.values[k] if k < len(term.values) else None
            value = float(given) if given is not None and is_number(given) else 0.0
            pile = up if value >= 0 else down
            row.append((pile[k] + value, pile[k]))
            pile[k] += value
        found.append(row)
    return found


def _loss(value: float) -> str:
    if abs(value) >= 1e6:  # 1.1e16: there is no room for more
        return f"{value:.1e}".replace("e+", "e").replace("-", words.MINUS)
    return plain(value, 2) if abs(value) < 100 else thousands(round(value))
