"""The kept result: what the README's section of benchmarks is made from."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from workbench.bench import about, measured, number, scaling, spread
from workbench.bench.goals import GOALS
from workbench.runs import write

ASSETS = Path(__file__).parent.parent / "assets"
RESULT, SCALING = ASSETS / "benchmarks.json", ASSETS / "scaling.json"


def keep(found: Mapping[str, Any]) -> Path:
    """Put a result where the README's section is made from."""
    write(RESULT, json.dumps(found, indent=1, allow_nan=False) + "\n")
    return RESULT


def keep_scaling(found: Mapping[str, Any]) -> list[Path]:
    """Put what was measured of scaling there, and its picture in both modes."""
    made = [SCALING, ASSETS / "scaling.png", ASSETS / "scaling-dark.png"]
    write(SCALING, json.dumps(found, indent=1, allow_nan=False) + "\n")
    for path, dark in zip(made[1:], (False, True), strict=True):
        write(path, scaling.picture(found, dark))
    return made


def section() -> str:
    """The README's section, in Markdown, from what is kept."""
    found = json.loads(RESULT.read_text("utf-8"))
    parts = [
        f"Measured on {about(found)}.",
        _table(found),
        _missed(found),
        "One thing at a time, each against without it; below 1 it pays:",
        _tricks(found),
    ]
    if SCALING.exists():
        parts.append(_scaling(json.loads(SCALING.read_text("utf-8"))))
    return "\n\n".join(parts)


def _table(found: Mapping[str, Any]) -> str:
    lines = ["| what | measured | median (range), rounds | of peak | goal | |",
             "|---|---|---|---|---|---|"]  # fmt: skip
    for name, value in measured(found).items():
        goal, note = GOALS[name], found["notes"].get(name, "")
        share = found["of_peak"].get(name)
        unit = {"CPU": "", "wall": "wall time"}.get(goal.clock, goal.clock)
        missed = "**missed**" if name in found["missed"] else ""
        cells = (
            goal.about, number(name, value), spread(name, found),
            "" if share is None else f"{100 * share:.0f} %", goal.sign,
            "; ".join(filter(None, (missed, unit, note))),
        )  # fmt: skip
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _missed(found: Mapping[str, Any]) -> str:
    names = found["missed"]
    if not names:
        return "Every goal is met."
    return f"{len(names)} of {_bound(found)} goals are missed; the table says which."


def _bound(found: Mapping[str, Any]) -> int:
    """How many of the measured rows have a goal."""
    values = measured(found).items()
    return sum(value is not None and GOALS[name].bound is not None for name, value in values)


def _tricks(found: Mapping[str, Any]) -> str:
    lines = ["| what | measured | median (range), rounds | |", "|---|---|---|---|"]
    for name, value in (found["tricks"] or {}).items():
        note = found["notes"].get(name, "")
        if value is not None:
            note = "; ".join(filter(None, ("pays" if value < 0.95 else "does not pay", note)))
        cells = (GOALS[name].about, number(name, value), spread(name, found), note)
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _last(line: Mapping[str, Any]) -> float:
    """The exponent between a line's last two points."""
    sizes, seconds = line["sizes"], line["seconds"]
    return math.log(seconds[-1] / seconds[-2]) / math.log(sizes[-1] / sizes[-2])


def _scaling(found: Mapping[str, Any]) -> str:
    each = [f"{scaling.LINES[k]} {line['exponent']:.2f}" for k, line in found["lines"].items()]
    words = "How the cost grows, as exponents: " + "; ".join(each)
    folder = "workbench/assets/scaling"
    ends = ", ".join(f"{_last(line):.2f}" for line in found["lines"].values())
    return (
        "**How cost grows.** Each line begins at 1; its exponent is 0 where more costs nothing, "
        "and 1 where twice as much costs twice as much. It is fitted to the whole line, which is "
        "flat at first by what every step costs; between the last two points alone it is "
        f"{ends}.\n\n"
        "<picture>\n"
        f'<source media="(prefers-color-scheme: dark)" srcset="{folder}-dark.png">\n'
        f'<img src="{folder}.png" alt="{words}">\n'
        "</picture>"
    )
