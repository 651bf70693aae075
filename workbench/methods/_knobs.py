"""Knobs that several methods have, declared once, so that they mean the same everywhere."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from workbench.base import knob


def temperature(default: float = 4.0) -> Any:
    """T of a softened answer, in training alone."""
    return knob(
        default,
        slider=(0.5, 20),
        accepts=(0.01, 1e6),
        scale="log",
        symbol="T",
        meaning="how much both answers are softened",
    )


def alpha(default: float = 0.9) -> Any:
    """The teacher's share; the labels get the rest."""
    return knob(
        default,
        slider=(0, 1),
        accepts=(0, 1),
        title="Teacher's share",
        symbol="α",
        meaning="0 = labels only, 1 = teacher only",
    )


def weighs(
    default: float,
    symbol: str,
    meaning: str,
    most: float = 10.0,
    title: str = "",
    paper: float | None = None,
) -> Any:
    """What one term counts; `paper`: by the convention `paper`, if that is another number."""
    return knob(
        default,
        slider=(0, most),
        accepts=(0, 1e6),
        symbol=symbol,
        meaning=meaning,
        title=title,
        usual=None if paper is None else {"paper": paper},
    )


def ramp_at(progress: float, over: float | Tensor) -> float | Tensor:
    """From 0 to 1 over a share of the training, then 1."""
    if isinstance(over, Tensor):
        return (
            (progress / over.clamp_min(1e-9)).clamp_max(1.0) if progress else (over == 0).to(over)
        )
    return 1.0 if progress >= over else progress / over
