"""How the cost of a training grows: with students, with images, and with the teacher's size.

A line is a growing size with what it costs in CPU seconds; its exponent is the slope of the
straight line through it on logarithmic axes: 0 costs nothing more, 1 costs as many times more.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from torch import nn

from workbench.base import Trouble
from workbench.bench.clock import cpu, machine, turns
from workbench.bench.loops import BATCH
from workbench.bench.students import IMAGES, begun, images, missing, trained
from workbench.data import DATA
from workbench.engine import listen
from workbench.models import MODELS

STUDENTS = (1, 2, 4, 8, 16, 32, 64)
SEEN = (1024, 4096, 16384, 55_000)
TEACHERS = ("mlp-64-64", "mlp-256-256", "mlp-800-800", "mlp-1200-1200")
EPOCHS = 5
#: What grows along each line, as the picture and the README call it.
LINES = {
    "students": "students, one pass",
    "images": "images, one epoch",
    "live": "teacher's weights, asked at every step",
    "cached": "teacher's weights, asked once",
}


def measure(
    rounds: int = 5, report: Callable[[str, float], None] = lambda what, share: None
) -> dict[str, Any]:
    """Sizes and seconds of every line, and its exponent; `Trouble` without Fashion-MNIST."""
    if why := missing():
        raise Trouble(f"bench --scaling: {why}")
    found: dict[str, Any] = {}
    for i, (name, ask) in enumerate(
        (("students", _students), ("images", _images), ("teacher", _teachers))
    ):
        report(f"scaling with {name}", i / 3)
        found |= ask(rounds)
    for line in found.values():
        line["exponent"] = round(exponent(line["sizes"], line["seconds"]), 2)
        line["seconds"] = [float(f"{each:.4g}") for each in line["seconds"]]
    return {"machine": machine(), "lines": found}


def exponent(sizes: Sequence[float], seconds: Sequence[float]) -> float:
    """The slope by least squares on logarithmic axes."""
    x, y = ([math.log(each) for each in values] for values in (sizes, seconds))
    middle, height = sum(x) / len(x), sum(y) / len(y)
    above = sum((a - middle) * (b - height) for a, b in zip(x, y, strict=True))
    return above / sum((a - middle) ** 2 for a in x)


def _least(asked: Mapping[int, Callable[[], float]], rounds: int) -> dict[str, Any]:
    """A line: each size with the smallest of its rounds."""
    times = turns({str(size): ask for size, ask in asked.items()}, rounds, warm=True)
    return {"sizes": list(asked), "seconds": [min(each) for each in times.values()]}


def _students(rounds: int) -> dict[str, Any]:
    """Students 784-32-10 of one minibatch, each with its own seed and temperature."""

    def many(n: int) -> float:
        return trained(begun("mlp-32", [1 + i / 4 for i in range(n)], IMAGES // BATCH))

    return {"students": _least({n: partial(many, n) for n in STUDENTS}, rounds)}


def _images(rounds: int) -> dict[str, Any]:
    """One student 784-32-10 that sees so many images once."""

    def epoch(n: int) -> float:
        return trained(begun("mlp-32", [4.0], n // BATCH, n))

    return {"images": _least({n: partial(epoch, n) for n in SEEN}, rounds)}


def _teachers(rounds: int) -> dict[str, Any]:
    """A student 784-32-10 over five epochs, its teacher asked at every step or once."""
    shape, x = DATA["fashion-mnist"].shape, images()[0]
    made = {name: MODELS[name](shape, 10) for name in TEACHERS}
    sizes = {sum(p.numel() for p in one.parameters()): one for one in made.values()}

    def step_by_step(teacher: nn.Module) -> None:
        for _ in range(EPOCHS):
            for part in x.split(BATCH):
                listen(teacher, part)

    def training() -> float:
        return trained(begun("mlp-32", [4.0], EPOCHS * (IMAGES // BATCH)))

    asked: dict[str, Callable[[nn.Module], float]] = {
        "live": lambda one: cpu(lambda: step_by_step(one)) + training(),
        "cached": lambda one: cpu(lambda: listen(one, x)) + training(),
    }
    return {
        name: _least({n: partial(ask, one) for n, one in sizes.items()}, rounds)
        for name, ask in asked.items()
    }


def table(found: Mapping[str, Any]) -> list[list[str]]:
    """Each line with its sizes, seconds and exponent."""
    rows = [["what grows", "from, to", "CPU seconds", "exponent"]]
    for name, line in found["lines"].items():
        ends = [[each[0], each[-1]] for each in (line["sizes"], line["seconds"])]
        rows.append(
            [
                LINES[name],
                f"{ends[0][0]:,} to {ends[0][1]:,}".replace(",", " "),
                f"{ends[1][0]:.3g} to {ends[1][1]:.3g}",
                f"{line['exponent']:.2f}",
            ]
        )
    return rows


def picture(found: Mapping[str, Any], dark: bool = False) -> bytes:
    """The lines as a PNG, each as so many times its smallest."""
    from workbench import plots

    lines = {
        f"{LINES[name]}: {line['exponent']:.2f}": (
            [each / line["sizes"][0] for each in line["sizes"]],
            [each / line["seconds"][0] for each in line["seconds"]],
        )
        for name, line in found["lines"].items()
    }
    return plots.growth(
        lines, "times as large", "times the CPU seconds, and the exponent of each line", dark
    )
