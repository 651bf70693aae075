"""Fashion-MNIST: the loops of tutorials and libraries against ours, per epoch and over five."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from workbench.bench import loops, plain
from workbench.bench.clock import Row, absent, cpu, ratio, training_flops, turns
from workbench.bench.loops import BATCH
from workbench.bench.students import IMAGES, begun, images, missing, of_peak, trained
from workbench.data import DATA
from workbench.engine import ROWS, listen
from workbench.models import MODELS

#: What is timed of an epoch: so many batches by a loop with a live teacher, and by ours.
LIVE, OURS = 8, IMAGES // BATCH
Loop = Callable[[nn.Module, nn.Module, Any, int], float]
LOOPS: tuple[tuple[str, Loop, int], ...] = (
    ("tutorial", loops.tutorial, LIVE),
    ("repdistiller", loops.repdistiller, LIVE),
    ("teacher_with_grad", loops.with_grad, LIVE // 2),
)
STUDENTS = {"cnn": "lenet-8", "mlp": "mlp-32"}
NAMES = [f"{loop}_over_ours_{kind}"
         for loop in ("tutorial", "tutorial5", "repdistiller", "teacher_with_grad")
         for kind in STUDENTS]  # fmt: skip


def against_ours(rounds: int, peak: float) -> dict[str, Row]:
    """Every loop with a live teacher, the collecting of its answers, and ours with them."""
    if why := missing():
        return absent(NAMES, why)
    x, y = images()
    pixels = (x * 255).round().to(torch.uint8).squeeze(1)
    loader = loops.pictures(pixels, y)
    elder = plain.network("resnet-20")
    ours = MODELS["resnet-20"](DATA["fashion-mnist"].shape, 10)
    asked: dict[str, Callable[[], float]] = {"collect": lambda: _collected(ours, x)}
    for kind, student in STUDENTS.items():
        for name, loop, steps in LOOPS:
            asked[f"{name}_{kind}"] = partial(_live, loop, student, elder, loader, steps)
        asked[f"ours_{kind}"] = partial(_ours, student)
    found = turns(asked, rounds)
    rows: dict[str, Row] = {}
    for kind in STUDENTS:
        rows |= _rows(kind, found, peak)
    return {name: rows[name] for name in NAMES}


def _live(loop: Loop, student: str, teacher: nn.Module, loader: Any, steps: int) -> float:
    """CPU seconds a batch of a loop, with a student that begins anew."""
    return loop(plain.network(student), teacher, loader, steps)


def _ours(student: str) -> float:
    """CPU seconds a batch of our training, the teacher's answers collected before."""
    return trained(begun(student, [4.0], OURS)) / OURS


def _collected(teacher: nn.Module, x: Tensor) -> float:
    """CPU seconds of a teacher's answers about one batch of images, asked as the engine does."""
    part = x[:ROWS]
    return cpu(lambda: listen(teacher, part)) * BATCH / len(part)


def _rows(kind: str, found: dict[str, list[float]], peak: float) -> dict[str, Row]:
    """The rows of one student; all times are seconds a batch."""
    ours, live = found[f"ours_{kind}"], found[f"tutorial_{kind}"]
    done = training_flops(plain.network(STUDENTS[kind]), torch.rand(BATCH, 1, 28, 28))
    share = of_peak(done, min(ours), peak)
    collected = [once + 5 * step for once, step in zip(found["collect"], ours, strict=True)]
    five = [5 * step for step in live]
    said = f"{LIVE} batches of {BATCH} by the loop, {OURS} by ours, both scaled"
    once = min(found["collect"]) / min(ours)
    rows = {
        f"tutorial_over_ours_{kind}": ratio(live, ours, said, share),
        f"tutorial5_over_ours_{kind}": ratio(
            five, collected, f"collecting costs as much as {once:.0f} of our epochs"
        ),
    }
    for loop in ("repdistiller", "teacher_with_grad"):
        rows[f"{loop}_over_ours_{kind}"] = ratio(found[f"{loop}_{kind}"], ours)
    return rows
