"""A thousand small students on a CUDA card, where there is one. Nobody has run this yet."""

from __future__ import annotations

import time

import torch

from workbench.bench.clock import Row, absent, ratio, turns
from workbench.engine import train
from workbench.recipes import RECIPES
from workbench.runs import prepare


def thousand(rounds: int, students: int = 1000) -> dict[str, Row]:
    """The first act's students, a thousand of them, against one on the same card; wall time."""
    if not torch.cuda.is_available():
        return absent(["gpu1000_over_one"], "no CUDA card is here")
    asked = {"many": lambda: _waited(students), "one": lambda: _waited(1)}
    found = turns(asked, rounds, warm=True)
    note = f"{torch.cuda.get_device_name()}, {min(found['many']):.2f} s for all"
    return {"gpu1000_over_one": ratio(found["many"], found["one"], note)}


def _waited(n: int) -> float:
    """Seconds of wall time of n students' training on the card."""
    first = RECIPES["first-act"].recipes[-1].but(events=1)
    state = prepare([first.but(seed=seed) for seed in range(n)], device="cuda")
    for one in state.stacks:
        one.looks = {}
    torch.cuda.synchronize()
    start = time.perf_counter()
    for _ in train(state):
        pass
    torch.cuda.synchronize()
    return time.perf_counter() - start
