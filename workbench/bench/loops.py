"""The loops that others write, as they write them: what ours is compared with.

Each trains for a number of batches and returns the CPU seconds of one; nothing is prepared,
evaluated or kept inside the time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import islice

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.data import DataLoader

from workbench.bench import plain
from workbench.bench.clock import cpu
from workbench.data import DATA
from workbench.vision import dataset

#: Images a step, everywhere on Fashion-MNIST.
BATCH = 128


def labels_only(steps: int, rate: float) -> float:
    """One student, the first act's 50 images at once: CPU seconds of `steps` steps."""
    data = DATA["digits"](images=50)
    index, y = data.transfer()
    x = data.parts()["train"].x[index].flatten(1)
    student = nn.Sequential(nn.Linear(64, 16), nn.ReLU(), nn.Linear(16, 10))
    optimiser = torch.optim.AdamW(student.parameters(), lr=rate)

    def loop() -> None:
        for _ in range(steps):
            optimiser.zero_grad()
            F.cross_entropy(student(x), y).backward()
            optimiser.step()

    return cpu(loop)


def minibatches(x: Tensor, size: int, steps: int) -> Iterator[Tensor]:
    """The rows of each step: a new order every epoch."""
    order, at = torch.randperm(len(x)), 0
    for _ in range(steps):
        if at + size > len(x):
            order, at = torch.randperm(len(x)), 0
        yield order[at : at + size]
        at += size


def from_memory(
    student: nn.Module, x: Tensor, y: Tensor, said: Tensor | None, size: int, steps: int
) -> float:
    """One student on tensors in memory, with answers collected before, or with labels alone."""
    optimiser = torch.optim.AdamW(student.parameters(), lr=1e-3)

    def loop() -> None:
        for rows in minibatches(x, size, steps):
            optimiser.zero_grad()
            z = student(x[rows])
            loss = (
                F.cross_entropy(z, y[rows]) if said is None else plain.kd(z, said[rows], y[rows])
            )
            loss.backward()
            optimiser.step()

    return cpu(loop) / steps


# ------------------------------------------------------------------------ with a live teacher


def pictures(x: Tensor, y: Tensor) -> DataLoader[tuple[Tensor, Tensor]]:
    """torchvision's own dataset over pixels (n, H, W): every sample a PIL image, then a tensor.

    Normalised by mean 0 and deviation 1, which costs what any numbers cost and leaves the pixels
    what they are for ours.
    """
    return DataLoader(dataset("FashionMNIST", x, y), batch_size=BATCH, shuffle=True)


def tutorial(
    student: nn.Module,
    teacher: nn.Module,
    loader: DataLoader[tuple[Tensor, Tensor]],
    steps: int,
    gradient: bool = False,
) -> float:
    """A tutorial's: the teacher in eval mode and without gradient, asked at every step."""
    optimiser = torch.optim.AdamW(student.parameters(), lr=1e-3)
    student.train()
    teacher.eval()

    def loop() -> None:
        for x, y in islice(loader, steps):
            with torch.set_grad_enabled(gradient):
                z_t = teacher(x)
            loss = plain.kd(student(x), z_t, y)
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()

    return cpu(loop) / steps


def with_grad(
    student: nn.Module, teacher: nn.Module, loader: DataLoader[tuple[Tensor, Tensor]], steps: int
) -> float:
    """The same without `no_grad`: the gradient runs through the teacher, and nobody uses it."""
    seconds = tutorial(student, teacher, loader, steps, gradient=True)
    teacher.zero_grad()
    return seconds


def repdistiller(
    student: nn.Module, teacher: nn.Module, loader: DataLoader[tuple[Tensor, Tensor]], steps: int
) -> float:
    """After RepDistiller's helper/loops.py: SGD, and loss and two accuracies read every step."""
    optimiser = torch.optim.SGD(student.parameters(), lr=0.05, momentum=0.9, weight_decay=5e-4)
    student.train()
    teacher.eval()
    meters: list[tuple[float, float, float]] = []

    def loop() -> None:
        for x, y in islice(loader, steps):
            z_s = student(x)
            with torch.no_grad():
                z_t = teacher(x)
            soft = F.kl_div(F.log_softmax(z_s / 4, 1), F.softmax(z_t / 4, 1), reduction="sum")
            loss = 0.1 * F.cross_entropy(z_s, y) + 0.9 * soft * 16 / len(x)
            _, best = z_s.topk(5, 1, True, True)
            right = best.t().eq(y.view(1, -1).expand(5, -1))
            top = [float(right[:k].reshape(-1).float().sum(0)) * 100 / len(x) for k in (1, 5)]
            meters.append((loss.item(), top[0], top[1]))
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()

    return cpu(loop) / steps


# ------------------------------------------------------------------------- many by torch.func


def by_vmap(
    make: Callable[[], nn.Module], n: int, x: Tensor, y: Tensor, said: Tensor, steps: int
) -> float:
    """n students by `torch.func.vmap` of the gradient, the minibatch shared: seconds a step."""
    from torch.func import functional_call, grad, stack_module_state, vmap

    made = [make() for _ in range(n)]
    weights, buffers = stack_module_state(made)
    optimiser = torch.optim.AdamW(list(weights.values()), lr=1e-3)

    def loss(one: dict[str, Tensor], rest: dict[str, Tensor], z_t: Tensor, rows: Tensor) -> Tensor:
        z: Tensor = functional_call(made[0], (one, rest), (x[rows],))
        # vmap has no rule for kl_div, and would take its slow way round
        p = F.softmax(z_t / 4, 1)
        soft = (p * (p.log() - F.log_softmax(z / 4, 1))).sum(1).mean()
        return 0.1 * F.cross_entropy(z, y[rows]) + 0.9 * 16 * soft

    every = vmap(grad(loss), in_dims=(0, 0, None, None))

    def loop() -> None:
        for rows in minibatches(x, BATCH, steps):
            found = every(weights, buffers, said[rows], rows)
            for name, value in found.items():
                weights[name].grad = value
            optimiser.step()

    return cpu(loop) / steps
