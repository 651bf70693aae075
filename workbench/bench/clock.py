"""Clocks and turns: what is compared takes turns, and the smallest of the rounds counts.

Neighbours can only make a measurement slower, so the least of several is nearest to the truth;
the ratios round by round say how much of a ratio is theirs.
"""

from __future__ import annotations

import os
import platform
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from statistics import median
from typing import Any

import torch
from torch import Tensor


@dataclass(frozen=True)
class Row:
    """A measured number; of a ratio also what it was round by round: median, least, largest."""

    value: float | None
    spread: tuple[float, float, float] | None = None
    rounds: int = 0
    of_peak: float | None = None  # the share of the machine's fp32 peak that our side reached
    note: str = ""


def absent(names: Sequence[str], why: str) -> dict[str, Row]:
    """Rows that were not measured, and why."""
    return dict.fromkeys(names, Row(None, note=f"not measured: {why}"))


def ratio(
    above: Sequence[float], below: Sequence[float], note: str = "", of_peak: float | None = None
) -> Row:
    """The smallest of `above` over the smallest of `below`, and the spread over the rounds."""
    each = [a / b for a, b in zip(above, below, strict=True)]
    spread = (median(each), min(each), max(each))
    return Row(min(above) / min(below), spread, len(each), of_peak, note)


def seconds(times: Sequence[float], note: str = "") -> Row:
    """The smallest of some times, and their spread."""
    return Row(min(times), (median(times), min(times), max(times)), len(times), note=note)


def turns(
    asked: Mapping[str, Callable[[], float]], rounds: int, warm: bool = False
) -> dict[str, list[float]]:
    """What each gives, round by round; in a round each has its turn.

    With `warm` one round more goes before them, which does not count: caches fill, kernels load.
    """
    found: dict[str, list[float]] = {name: [] for name in asked}
    for _ in range(rounds + warm):
        for name, ask in asked.items():
            found[name].append(ask())
    return {name: times[warm:] for name, times in found.items()}


def cpu(work: Callable[[], Any]) -> float:
    """CPU seconds of some work in this process."""
    start = time.process_time()
    work()
    return time.process_time() - start


@contextmanager
def calm() -> Iterator[None]:
    """One torch thread, an empty home, nothing compiled before; all as it was afterwards."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    # workers of an app that was ended may still write down what they have
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        compiled = os.path.join(folder, "compiled")
        try:
            with environment(WORKBENCH_HOME=folder, TORCHINDUCTOR_CACHE_DIR=compiled):
                yield
        finally:
            torch.set_num_threads(threads)


@contextmanager
def environment(**variables: str) -> Iterator[None]:
    """Variables of the environment inside; as before afterwards."""
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in before.items():
            os.environ.pop(name, None)
            if value is not None:
                os.environ[name] = value


# ------------------------------------------------------------------------------ the machine


def machine() -> dict[str, Any]:
    """What the numbers were measured on."""
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else None
    return {
        "system": f"{platform.system()} {platform.machine()}",
        "cores": os.cpu_count(),
        "load": None if load is None else round(load, 2),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "threads": 1,
        "amx": _can("_is_amx_tile_supported"),
        "avx512_bf16": _can("_is_avx512_bf16_supported"),
        "cuda": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
        "date": time.strftime("%Y-%m-%d"),
    }


def _can(name: str) -> bool | None:
    """What torch says of the processor; None where it does not know how to ask."""
    ask = getattr(torch.cpu, name, None)
    return None if ask is None else bool(ask())


def peaks(rounds: int = 12) -> dict[str, float]:
    """Floating-point operations a second of a product of two 1024 × 1024 matrices, one thread."""
    both = {"fp32": torch.float32, "bf16": torch.bfloat16}
    given = {name: torch.rand(1024, 1024).to(dtype) for name, dtype in both.items()}

    def product(x: Tensor) -> float:
        return cpu(lambda: x @ x)

    asked = {name: lambda x=x: product(x) for name, x in given.items()}
    turns(asked, 2)  # the first ones prepare their kernels
    return {name: 2 * 1024**3 / min(times) for name, times in turns(asked, rounds).items()}


def training_flops(network: torch.nn.Module, x: Tensor) -> float:
    """Operations of one forward and backward pass over a batch; a multiply-add counts as two."""
    from torch.utils.flop_counter import FlopCounterMode

    with FlopCounterMode(display=False) as counter:
        said = network(x)
        getattr(said, "logits", said).sum().backward()
    network.zero_grad()
    return float(counter.get_total_flops())
