"""Which layer of the student is compared with which of the teacher."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from workbench.base import BadInput, Outputs, knob, unknown

Pairs = tuple[tuple[str, str], ...]


def layers() -> Any:
    """A knob: pairs of layer names; without one, the last layer of each."""
    return knob(
        (), kind="pairs", meaning="student's:teacher's, joined by +; none = the last of each"
    )


def paired(
    owner: str, pairs: Pairs, student: Outputs, teacher: Outputs | None
) -> list[tuple[Tensor, Tensor]]:
    """The features (*lead, B, P, D) of each pair, the teacher's detached."""
    if teacher is None or not student.features or not teacher.features:
        who = "the student" if not student.features else "the teacher"
        raise BadInput(
            f"{owner}: compares features, but {who} gives none: expected Outputs with features; "
            "in distill say layers=[(student's, teacher's)]"
        )
    last = ((list(student.features)[-1], list(teacher.features)[-1]),)
    found = []
    for mine, its in pairs or last:
        for who, name, there in (("student", mine, student), ("teacher", its, teacher)):
            if name not in there.features:
                raise unknown(f"{owner}(layers=…): {who}'s layer", name, list(there.features))
        found.append((student.features[mine], teacher.features[its].detach()))
    return found
