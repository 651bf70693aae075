"""Annealed temperature: match a scaled-down teacher first, the whole one later, labels last."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor, nn

from workbench.base import Batch, Method, Outputs, knob
from workbench.functional import average, cross_entropy, per_student


@dataclass(frozen=True)
class Annealing(Method):
    r"""$\frac1B\sum_i\lVert z_{s,i}-\Phi(T)\,z_{t,i}\rVert^2$ while T falls, then labels only

    with $\Phi(T)=1-(T-1)/\tau$ and T = τ, τ − 1, …, 1 in equal stretches of the first stage.

    A strong teacher's logits are large, and a small student cannot reach them from nothing. So the
    target begins at 1/τ of them and grows. The temperature scales the *target*; this is not a
    divergence with a falling T. The stages are never mixed.

    Shapes: student.logits (*lead, B, K), teacher.logits (B, K) or (*lead, B, K), batch.y (B,) or
    (*lead, B) with −1 = unlabelled (left out of the second stage). Terms: teacher (*lead), in
    logits², then labels (*lead), in nats. `code` takes the mean over classes instead of the sum.
    """

    title: ClassVar[str] = "Annealed temperature"
    paper: ClassVar[str] = "Jafari et al., 2021, arXiv:2104.07163"
    needs: ClassVar[frozenset[str]] = frozenset({"teacher", "labels"})
    stages: ClassVar[tuple[tuple[str, float, str], ...]] = (
        ("teacher", 0.75, "student"),
        ("labels", 0.25, "student"),
    )
    exceptions: ClassVar[Mapping[str, str]] = {
        "shift": "the first stage copies logits with their offset, as in the paper"
    }

    hottest: int = knob(
        7,
        slider=(1, 20),
        accepts=(1, 1000),
        title="Temperatures",
        symbol="τ",
        meaning="how many temperatures, from this one down to 1",
    )
    convention: str = knob(
        "paper", choices=("paper", "code"), meaning="sum over the classes, or their mean"
    )

    def loss(
        self, student: Outputs, teacher: Outputs | None, batch: Batch, adapter: nn.Module | None
    ) -> Mapping[str, Tensor]:
        """The distance to the scaled teacher, or cross-entropy with the labels."""
        assert teacher is not None
        z = student.logits
        if batch.stage == "labels":
            return {"labels": cross_entropy(z, batch.y)}
        passed = min(batch.progress / self.stages[0][1], 1 - 1e-9)
        most = per_student(self.hottest, z)
        temperature = most - (most * passed // 1)
        gap = z - (1 - (temperature - 1) / most) * teacher.logits.detach()
        square = gap.square()
        each = square.sum(-1) if self.convention == "paper" else square.mean(-1)
        return {"teacher": average(each)}
