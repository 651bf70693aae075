"""bfloat16 where it was measured to help on this machine, and nowhere by default.

Without matrix units (AMX) convolutions take 1.4 to 2 times as long in bfloat16 (`python -m
workbench bench` says it of a machine); with them they should learn faster. So the machine is
asked: whether it has the units, and then, once a process and in about a second, whether they pay.
Nobody has run this with AMX yet; without it the probe finds 0.5 to 0.75. Weights, losses, the
optimiser and every evaluation stay in float32. WORKBENCH_BF16=on or off decides it.
"""

from __future__ import annotations

import functools
import os
import time
from collections.abc import Callable

import torch
from torch import nn

from workbench.base import BadInput

#: So many times as fast it must be, and so many operations a step must take.
GAIN, WORK = 1.2, 1e8


@functools.cache
def pays() -> bool:
    """Whether convolutions learn faster in bfloat16 here."""
    wanted = os.environ.get("WORKBENCH_BF16", "probe")
    if wanted not in ("probe", "on", "off"):
        raise BadInput(f"WORKBENCH_BF16={wanted}: expected probe, on or off")
    if wanted != "probe":
        return wanted == "on"
    return units() and gain() >= GAIN


def units() -> bool:
    """Whether the processor has matrix units for bfloat16."""
    has: Callable[[], bool] | None = getattr(torch.cpu, "_is_amx_tile_supported", None)
    return bool(has and has())


def gain(rounds: int = 3) -> float:
    """How many times as fast a convolution of 32 channels learns in bfloat16."""
    layer = nn.Conv2d(32, 32, 3, padding=1)
    x = torch.zeros(32, 32, 28, 28).contiguous(memory_format=torch.channels_last)
    times: dict[bool, list[float]] = {False: [], True: []}
    with torch.enable_grad():
        for _ in range(rounds + 1):
            for half, found in times.items():
                start = time.perf_counter()
                with torch.autocast("cpu", torch.bfloat16, enabled=half):
                    made = layer(x)
                made.float().sum().backward()
                found.append(time.perf_counter() - start)
    return min(times[False][1:]) / min(times[True][1:])
