"""Lengths below each other that begin at 0, each made of parts that add up.

bars([Bar("With T²", [("teacher", 3.7), ("labels", 1.0)], "79 %")], width=720)
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from workbench.charts import _el, _fit, _line, _role, _svg, _text, _text_width
from workbench.words import is_number

ROW, TALL = 52.0, 18.0


@dataclass(frozen=True)
class Bar:
    """A name, its parts (role, length) one after the other, and the numbers in words."""

    name: str
    parts: Sequence[tuple[str, float]]
    note: str = ""


def bars(rows: Sequence[Bar], *, width: float, most: float | None = None, title: str = "") -> str:
    """A bar per row under its name; `most` is the full width, else the longest is.

    Parts after the first are hatched, so that colour is not the only thing that tells them apart.
    """
    top = 40.0 if title else 4.0
    sums = [sum(v for _, v in row.parts if is_number(v)) for row in rows]
    full = most or max(sums, default=0.0) or 1.0
    foot = top + ROW * len(rows)
    out = [_text(0, 20, title, "finding")] if title else []
    for i, row in enumerate(rows):
        y, x = top + ROW * i, 0.0
        room = width - _text_width(row.note, 13) - 16
        out.append(_text(0, y + 16, _fit(row.name, room), "bold"))
        out.append(_text(width, y + 16, row.note, text_anchor="end"))
        track = {"x": 0, "y": y + 24, "width": width, "height": TALL}
        out.append(_el("rect", class_="grid", style="fill:var(--sunken)", **track))
        for k, (role, value) in enumerate(row.parts):
            wide = width * min(max(value if is_number(value) else 0.0, 0.0), full) / full
            box = {"x": x, "y": y + 24, "width": wide, "height": TALL}
            part = _el("rect", fill="var(--c)", **box)
            if k and wide > 2:
                part = _el("rect", fill="var(--c)", fill_opacity="var(--band)", **box)
                part += _el("rect", fill="none", stroke="var(--c)", stroke_width=2,
                            x=x + 1, y=y + 25, width=wide - 2, height=TALL - 2)  # fmt: skip
            out.append(_el("g", part, class_=_role(role)))
            x += wide
        out.append(_line(0.5, y + 22, 0.5, y + 26 + TALL, "zero"))
    said = [f"{row.name}: {row.note}." for row in rows]
    return _svg(width, foot, " ".join([title, *said]).strip(), *out)
