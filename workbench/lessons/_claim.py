"""A number in a lesson's text, computed again each time the notebook runs."""

from __future__ import annotations

import math
import re
from typing import Any

from workbench.base import BadInput

_NUMBER = re.compile(r"[−-]?\d+(?:[ \u202f]\d{3}\b)*(?:\.\d+)?")
#: What a text counts or names without claiming it: headings, steps of a list, other lessons, the
#: minutes that it takes, temperatures, formulas, code, a hundred per cent as the whole.
_NAMES = re.compile(
    r"^#+ \d+|^\d+\. |[Ll]esson \d\d|About \d+ minutes|\bT = \d+|\d+ × \d+|\b100 %"
    r"|\$[^$]*\$|`[^`]*`|<[^>]+>",
    re.M,
)


def stated(text: str) -> float:
    """The number that a claim states, its last: 'at T = 8: 44.3 %', '−24', '85 002'."""
    return _value(_last(text))


def _last(text: str) -> str:
    found: list[str] = _NUMBER.findall(text)
    if not found:
        raise BadInput(f"claim({text!r}): expected a number in the text, found none")
    return found[-1]


def _value(number: str) -> float:
    return float(re.sub(r"[ \u202f]", "", number).replace("−", "-"))


def claim(text: str, value: float, within: float = 0.0) -> None:
    """Raise unless the text's last number is true of `value`, to the last digit it shows.

    Numbers that are trained anew differ a little between processors: of these the text says
    "about", which allows one more in the last digit; and where they differ by more, as the mean
    of a few CNNs on few images does, `within` allows that much besides.
    """
    number = _last(text)
    digits = len(number.partition(".")[2])
    tolerance = (1.5 if "about" in text.lower() else 0.5) * 10**-digits + float(within)
    value = float(value)
    if not math.isfinite(value) or abs(value - _value(number)) > tolerance + 1e-9:
        raise AssertionError(
            f"the text says {text!r}, but here it is {value:.6g} (tolerance {tolerance:g})"
        )


def prose(notebook: Any) -> str:
    """What a learner reads: text cells, and the questions of guesses."""
    asked = [
        question
        for cell in notebook.cells
        if cell.cell_type == "code"
        for question in re.findall(r'Guess\(\s*"([^"]+)"', cell.source)
    ]
    texts = [cell.source for cell in notebook.cells if cell.cell_type == "markdown"]
    return "\n".join([*texts, *asked])


def unproved(notebook: Any) -> list[str]:
    """The numbers of the prose that no `claim` of the notebook states; digits name classes."""
    sources = "\n".join(c.source for c in notebook.cells if c.cell_type == "code")
    claimed = {stated(text) for text in re.findall(r'claim\("([^"]+)"', sources)}
    text = _NAMES.sub(" ", prose(notebook))
    measured = {n for n in _NUMBER.findall(text) if "." in n or abs(_value(n)) >= 10}
    measured |= set(re.findall(r"(?<![\d.])\d(?= %)", text))
    return sorted(n for n in measured if _value(n) not in claimed)
