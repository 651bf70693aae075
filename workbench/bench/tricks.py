"""Single tricks, each against without it: on a CPU most do not pay, and one does."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from workbench.bench import loops, plain
from workbench.bench.clock import Row, cpu, ratio, turns
from workbench.bench.loops import BATCH

#: The CNN student's step on a batch in memory, as each variant has it.
Step = Callable[[], None]


def tried(rounds: int, steps: int) -> dict[str, Row]:
    """Every variant of a CNN student's step against the plain one, taking turns."""
    x, y, z_t = _batch()
    made: dict[str, Step] = {
        "plain": _stepped(plain.LeNet(), x, y, z_t),
        "channels_last": _stepped(_last(plain.LeNet()), _last(x), y, z_t),
        "bf16": _stepped(plain.LeNet(), x, y, z_t, bf16=True),
        "channels_last_bf16": _stepped(_last(plain.LeNet()), _last(x), y, z_t, bf16=True),
        "grouped": _four(x, y, z_t, _grouped),
        "slices": _four(x, y, z_t, _sliced),
    }
    why = note = ""
    try:
        made["compiled"], note = _compiled(x, y, z_t)
    except Exception as error:  # no C++ compiler, or one it cannot use
        why = " ".join(str(error).split())[:80] or type(error).__name__

    def timed(step: Step) -> float:
        def loop() -> None:
            for _ in range(steps):
                step()

        return cpu(loop)

    found = turns({name: partial(timed, step) for name, step in made.items()}, rounds, warm=True)
    rows = {
        f"{name}_over_plain": ratio(found[name], found["plain"])
        for name in ("channels_last", "bf16", "channels_last_bf16")
    }
    rows["grouped_over_slices"] = ratio(found["grouped"], found["slices"])
    rows["compiled_over_plain"] = (
        Row(None, note=f"not measured: {why}")
        if why
        else ratio(found["compiled"], found["plain"], note)
    )
    return rows | _vmapped(x, y, z_t, rounds, steps)


def _batch() -> tuple[Tensor, Tensor, Tensor]:
    """Pictures, labels and a teacher's answers: any, to time a step."""
    draw = torch.Generator().manual_seed(0)
    x = torch.rand(BATCH, 1, 28, 28, generator=draw)
    return x, torch.arange(BATCH) % 10, 3 * torch.randn(BATCH, 10, generator=draw)


def _last(x: Any) -> Any:
    """A tensor or a network with its channels last in memory."""
    return x.to(memory_format=torch.channels_last)


def _stepped(student: nn.Module, x: Tensor, y: Tensor, z_t: Tensor, bf16: bool = False) -> Step:
    optimiser = torch.optim.AdamW(student.parameters(), lr=1e-3)

    def step() -> None:
        optimiser.zero_grad()
        with torch.autocast("cpu", torch.bfloat16) if bf16 else nullcontext():
            z = student(x)
        plain.kd(z.float(), z_t, y).backward()
        optimiser.step()

    return step


def _compiled(x: Tensor, y: Tensor, z_t: Tensor) -> tuple[Step, str]:
    """The compiled student's step, and what the first one cost."""
    from torch._inductor import config

    step = _stepped(torch.compile(plain.LeNet()), x, y, z_t)  # type: ignore[arg-type]
    before = sum(os.times()[:4])  # of this process and of the compilers that it starts
    # in this process, and without the headers that torch keeps for the next time
    with config.patch(compile_threads=1, cpp_cache_precompile_headers=False):
        step()
    return step, f"its first step took {sum(os.times()[:4]) - before:.0f} CPU seconds"


# ------------------------------------------------------------------- four students in a pass


def _grouped(x: Tensor, weights: Sequence[Tensor], biases: Sequence[Tensor]) -> Tensor:
    """Four students' convolutions as one over channels (4 · C)."""
    for i, (weight, bias) in enumerate(zip(weights, biases, strict=True)):
        made = F.conv2d(x, weight.flatten(0, 1), bias.flatten(), padding=1, groups=4 if i else 1)
        x = F.max_pool2d(F.relu(made), 2)
    return x.unflatten(1, (4, -1)).transpose(0, 1)


def _sliced(x: Tensor, weights: Sequence[Tensor], biases: Sequence[Tensor]) -> Tensor:
    """The same, student by student."""
    found = []
    for k in range(4):
        h = x
        for weight, bias in zip(weights, biases, strict=True):
            h = F.max_pool2d(F.relu(F.conv2d(h, weight[k], bias[k], padding=1)), 2)
        found.append(h)
    return torch.stack(found)


def _four(
    x: Tensor,
    y: Tensor,
    z_t: Tensor,
    convolve: Callable[[Tensor, Sequence[Tensor], Sequence[Tensor]], Tensor],
) -> Step:
    """Four students' step in one pass, with their convolutions one way or the other."""
    each = [plain.LeNet() for _ in range(4)]
    state = {
        name: nn.Parameter(torch.stack([dict(one.named_parameters())[name] for one in each]))
        for name, _ in each[0].named_parameters()
    }
    weights, biases = ([state[f"convs.{i}.{kind}"] for i in (0, 1)] for kind in ("weight", "bias"))
    optimiser = torch.optim.AdamW(list(state.values()), lr=1e-3, fused=True)

    def step() -> None:
        optimiser.zero_grad()
        h = convolve(x, weights, biases).flatten(2)
        for name in ("hidden", "head"):
            h = h if name == "hidden" else F.relu(h)
            bias = state[f"{name}.bias"].unsqueeze(1)
            h = torch.baddbmm(bias, h, state[f"{name}.weight"].mT)
        sum(plain.kd(z, z_t, y) for z in h).backward()  # type: ignore[union-attr]
        optimiser.step()

    return step


def _vmapped(x: Tensor, y: Tensor, z_t: Tensor, rounds: int, steps: int) -> dict[str, Row]:
    found = turns(
        {
            "together": lambda: loops.by_vmap(plain.LeNet, 4, x, y, z_t, steps),
            "one": lambda: loops.from_memory(plain.LeNet(), x, y, z_t, BATCH, steps),
        },
        rounds,
    )
    four = [4 * seconds for seconds in found["one"]]
    return {"vmap_cnn4_over_four": ratio(found["together"], four)}
