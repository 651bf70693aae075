"""Matching logits: the student copies the teacher's raw logits, without a softmax."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor, nn

from workbench.base import Batch, Method, Outputs, knob
from workbench.functional import average
from workbench.methods._knobs import weighs


@dataclass(frozen=True)
class MatchingLogits(Method):
    r"""$\frac{w}{2}\,\frac1B\sum_i\lVert z_{s,i}-z_{t,i}\rVert^2$, the teacher alone

    Logits still tell the improbable classes apart, where probabilities are all nearly 0. It is the
    limit of distillation for a high temperature: $T^2\mathrm{KL}$ goes to $1/K$ of this, with both
    rows of logits centred. An offset that no probability shows is copied too, unless centred.

    Shapes: student.logits (*lead, B, K), teacher.logits (B, K) or (*lead, B, K); labels are not
    used. Terms: teacher (*lead), in logits². `code` takes the mean over classes, as libraries do:
    2/K of the paper's sum.
    """

    title: ClassVar[str] = "Matching logits"
    paper: ClassVar[str] = "Ba & Caruana, 2014, arXiv:1312.6184"
    exceptions: ClassVar[Mapping[str, str]] = {
        "shift": "logits are copied with their offset, as in the paper; centred=yes drops it"
    }

    weight: float = weighs(1.0, "w", "of the squared difference")
    centred: str = knob(
        "no", choices=("no", "yes"), meaning="whether each row's mean is taken out first"
    )
    convention: str = knob(
        "paper", choices=("paper", "code"), meaning="half the sum over classes, or their mean"
    )

    def loss(
        self, student: Outputs, teacher: Outputs | None, batch: Batch, adapter: nn.Module | None
    ) -> Mapping[str, Tensor]:
        """The squared difference of the logits."""
        assert teacher is not None
        gap = student.logits - teacher.logits.detach()
        if self.centred == "yes":
            gap = gap - gap.mean(-1, keepdim=True)
        square = gap.square()
        each = square.sum(-1) / 2 if self.convention == "paper" else square.mean(-1)
        return {"teacher": self.weight * average(each)}
