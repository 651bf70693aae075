"""An event says what happened: plain numbers, no clock. A list of events is the history."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

#: One value per student of the group; None where it is not finite or does not apply.
Row = tuple[float | None, ...]


@dataclass(frozen=True)
class Event:
    """What a group of students was like after `step` steps.

    terms[name]: the loss terms of the last step's batch, already weighted, in nats.
    accuracy[part]: the share of validation and test samples they get right, 0 to 1.
    diverged: the positions of students whose loss became infinite; they are frozen since.
    """

    step: int
    steps: int
    terms: Mapping[str, Row]
    accuracy: Mapping[str, Row]
    diverged: tuple[int, ...] = ()
    stage: str = ""

    def to_json(self) -> str:
        """One line."""
        return json.dumps(asdict(self), separators=(",", ":"), allow_nan=False)

    @classmethod
    def from_json(cls, line: str) -> Event:
        """The inverse of `to_json`; ValueError where the line is not an event's."""
        found: dict[str, Any] = json.loads(line)
        try:
            for name in ("terms", "accuracy"):
                found[name] = {key: tuple(row) for key, row in found[name].items()}
            return cls(**found | {"diverged": tuple(found["diverged"])})
        except (TypeError, AttributeError, KeyError) as error:
            raise ValueError(f"not an event: {line[:80]!r} ({error})") from None


def finite(values: Sequence[float]) -> Row:
    """The values with None for what is not finite."""
    return tuple(v if math.isfinite(v) else None for v in values)
