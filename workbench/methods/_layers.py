"""Which layer of the student is compared with which of the teacher."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from torch import Tensor, nn
from torch.nn.functional import adaptive_avg_pool2d

from workbench.base import BadInput, Build, Outputs, knob, unknown

Pairs = tuple[tuple[str, str], ...]


def layers(default: str = "the last") -> Any:
    """A knob: pairs of layer names; without one, the last layer of each, or all."""
    about = f"student's:teacher's, joined by +; none = {default} of each"
    return knob((), kind="pairs", meaning=about)


def named(
    owner: str, pairs: Pairs, student: Outputs, teacher: Outputs | None, default: str = "the last"
) -> Pairs:
    """The pairs of layer names: those that were given, else the last or the middle of each."""
    if teacher is None or not student.features or not teacher.features:
        who = "the student" if not student.features else "the teacher"
        raise BadInput(
            f"{owner}: compares features, but {who} gives none: expected Outputs with features; "
            "in distill say layers=[(student's, teacher's)]"
        )
    names = [list(said.features) for said in (student, teacher)]
    at = [(len(known) - 1) // 2 if default == "the middle" else -1 for known in names]
    pairs = pairs or ((names[0][at[0]], names[1][at[1]]),)
    for pair in pairs:
        for who, name, known in zip(("student", "teacher"), pair, names, strict=True):
            if name not in known:
                raise unknown(f"{owner}(layers=…): {who}'s layer", name, known)
    return pairs


def paired(
    owner: str, pairs: Pairs, student: Outputs, teacher: Outputs | None
) -> list[tuple[Tensor, Tensor]]:
    """The features (*lead, B, P, D) of each pair, the teacher's detached."""
    found = named(owner, pairs, student, teacher)
    assert teacher is not None
    return [(student.features[mine], teacher.features[its].detach()) for mine, its in found]


def matched(
    owner: str,
    pairs: Pairs,
    student: Outputs,
    teacher: Outputs | None,
    default: str = "the last",
) -> list[tuple[Tensor, Tensor]]:
    """The features of each pair with as many positions, the teacher's detached.

    Two grids meet at the smaller one; where one side has no grid, both are averaged over theirs.
    """
    found = []
    for mine, its in named(owner, pairs, student, teacher, default):
        assert teacher is not None
        f_s, f_t = student.features[mine], teacher.features[its].detach()
        if mine in student.grids and its in teacher.grids:
            f_s, f_t = resized((mine, its), student, teacher)
        elif f_s.shape[-2] != f_t.shape[-2]:
            f_s, f_t = f_s.mean(-2, keepdim=True), f_t.mean(-2, keepdim=True)
        found.append((f_s, f_t))
    return found


class Projections(nn.Module):
    """What is learnt for each pair of layers: a map from the student's width to the teacher's."""

    def __init__(
        self, build: Build, pairs: list[tuple[Tensor, Tensor]], make: Callable[..., nn.Module]
    ) -> None:
        super().__init__()
        widths = [(f_s.shape[-1], f_t.shape[-1]) for f_s, f_t in pairs]
        self.each = nn.ModuleList(build(functools.partial(make, a, b)) for a, b in widths)

    def forward(self, i: int, f_s: Tensor) -> Tensor:
        """The student's features (*lead, B, P, D) of pair i, at the teacher's width."""
        found: Tensor = self.each[i](f_s)
        return found


def projected(adapter: nn.Module | None, pairs: list[tuple[Tensor, Tensor]]) -> list[Tensor]:
    """The student's side of each pair at the teacher's width; as it is without an adapter."""
    if not isinstance(adapter, Projections):
        return [f_s for f_s, _ in pairs]
    return [adapter(i, f_s) for i, (f_s, _) in enumerate(pairs)]


def maps(owner: str, pairs: Pairs, student: Outputs, teacher: Outputs | None) -> Pairs:
    """The pairs of layers that are maps: those that are named, else all, from the last ones on."""
    named(owner, pairs, student, teacher)  # says what is wrong with names
    assert teacher is not None
    known = [[n for n in said.features if n in said.grids] for said in (student, teacher)]
    count = min(map(len, known))
    found = pairs or tuple(zip(*(names[-count:] for names in known if count), strict=True))
    lost = [n for pair in found for n, there in zip(pair, known, strict=True) if n not in there]
    if not found or lost:
        which = f"layer {lost[0]!r} is none" if lost else "student or teacher has none"
        raise BadInput(
            f"{owner}: compares maps (H, W), but {which}; take CNNs, such as cnn-8 from cnn-32"
        )
    return found


def resized(
    pair: tuple[str, str], student: Outputs, teacher: Outputs | None
) -> tuple[Tensor, Tensor]:
    """Both maps (*lead, B, P, D) of a pair at the smaller grid, the teacher's detached."""
    assert teacher is not None
    both = [(student.features[pair[0]], student.grids[pair[0]]),
            (teacher.features[pair[1]].detach(), teacher.grids[pair[1]])]  # fmt: skip
    height, width = (min(grid[axis] for _, grid in both) for axis in (0, 1))
    found = []
    for value, grid in both:
        if grid != (height, width):
            planes = value.transpose(-1, -2).unflatten(-1, grid)
            small = adaptive_avg_pool2d(planes.flatten(0, -4), (height, width))
            value = small.flatten(-2).unflatten(0, planes.shape[:-3]).transpose(-1, -2)
        found.append(value)
    return found[0], found[1]
