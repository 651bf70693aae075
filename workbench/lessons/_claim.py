"""A number in a lesson's text, computed again each time the notebook runs."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

from workbench.base import BadInput

_NUMBER = re.compile(r"[−-]?\d+(?:[ \u202f]\d{3})*(?:\.\d+)?")


@dataclass(frozen=True)
class Claim:
    """A sentence whose number was found again."""

    text: str

    def __repr__(self) -> str:
        return f"✓ {self.text}"


def stated(text: str) -> float:
    """The number that a claim states, its last: 'at T = 8: 44.3 %', '−24.1', '85 002'."""
    found = _NUMBER.findall(text)
    if not found:
        raise BadInput(f"claim({text!r}): expected a number in the text, found none")
    return float(re.sub(r"[ \u202f]", "", found[-1]).replace("−", "-"))


def claim(text: str, value: float, tolerance: float = 0.0) -> None:
    """Print that the text's last number is true of `value`, or raise: a lesson must not misstate.

    Trained numbers differ a little between processors, so they get a tolerance; counts get none.
    What is printed does not depend on such differences.
    """
    number = stated(text)
    value = float(value)
    if not math.isfinite(value) or abs(value - number) > tolerance + 1e-9:
        raise AssertionError(
            f"the text says {text!r}, but here it is {value:.6g} (tolerance {tolerance:g})"
        )
    print(Claim(text))
