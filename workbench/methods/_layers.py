"""Which layer of the student is compared with which of the teacher."""

from __future__ import annotations

from typing import Any

from torch import Tensor
from torch.nn.functional import adaptive_avg_pool2d

from workbench.base import BadInput, Outputs, knob, unknown

Pairs = tuple[tuple[str, str], ...]


def layers(default: str = "the last") -> Any:
    """A knob: pairs of layer names; without one, the last layer of each, or all."""
    about = f"student's:teacher's, joined by +; none = {default} of each"
    return knob((), kind="pairs", meaning=about)


def paired(
    owner: str, pairs: Pairs, student: Outputs, teacher: Outputs | None
) -> list[tuple[Tensor, Tensor]]:
    """The features (*lead, B, P, D) of each pair, the teacher's detached."""
    found = _named(owner, pairs, student, teacher)
    assert teacher is not None
    return [(student.features[mine], teacher.features[its].detach()) for mine, its in found]


def _named(owner: str, pairs: Pairs, student: Outputs, teacher: Outputs | None) -> Pairs:
    """The pairs, or the last layer of each; every name is there."""
    if teacher is None or not student.features or not teacher.features:
        who = "the student" if not student.features else "the teacher"
        raise BadInput(
            f"{owner}: compares features, but {who} gives none: expected Outputs with features; "
            "in distill say layers=[(student's, teacher's)]"
        )
    found = pairs or ((list(student.features)[-1], list(teacher.features)[-1]),)
    for pair in found:
        for who, name, there in zip(("student", "teacher"), pair, (student, teacher), strict=True):
            if name not in there.features:
                raise unknown(f"{owner}(layers=…): {who}'s layer", name, list(there.features))
    return found


def maps(owner: str, pairs: Pairs, student: Outputs, teacher: Outputs | None) -> Pairs:
    """The pairs of layers that are maps: those that are named, else all, from the last ones on."""
    _named(owner, pairs, student, teacher)  # says what is wrong with names
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
