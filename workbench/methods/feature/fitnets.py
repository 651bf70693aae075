"""FitNets: the student's middle layer first learns to imitate the teacher's, then its answers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor, nn

from workbench.base import Batch, Build, Method, Outputs, knob
from workbench.functional import cross_entropy, kl, softened, square_gap
from workbench.methods._knobs import alpha, temperature, weighs
from workbench.methods._layers import Pairs, Projections, layers, matched, projected


@dataclass(frozen=True)
class Fitnets(Method):
    r"""first $w\lVert r(f_s)-f_t\rVert^2$, then $(1-\alpha)\mathrm{CE}+\alpha T^2\mathrm{KL}$

    with r a learnt regressor (a 1 × 1 convolution) from the student's guided layer to the
    teacher's hint layer, dropped afterwards.

    A thin, deep student that starts at random has far to go; the hint brings its lower half to
    where the teacher's is, and the second stage starts from there. So the hint must be a middle
    layer: the later it is, the less is left free. `joint` learns both at once, as most later
    comparisons do, and needs a weight for it.

    Shapes: features (*lead, B, P, D) of both (grids meet at the smaller one, else P is averaged
    away), logits (*lead, B, K), batch.y (B,) or (*lead, B) with −1 = unlabelled. Terms: hint,
    then teacher, labels (*lead). The hint is the mean over samples, positions and width (`code`),
    with weight 100, or half the sum for each sample (`paper`), with 1.
    """

    title: ClassVar[str] = "FitNets hints"
    paper: ClassVar[str] = "Romero et al., 2015, arXiv:1412.6550"
    needs: ClassVar[frozenset[str]] = frozenset({"teacher", "features"})

    training: str = knob("two-stage", choices=("two-stage", "joint"), meaning="hints first, or with the rest")  # fmt: skip # noqa: E501
    weight: float = weighs(100.0, "w", "of the hint", 1000, paper=1.0)
    temperature: float = temperature()
    alpha: float = alpha()
    layers: Pairs = layers("the middle")
    convention: str = knob("code", choices=("code", "paper"), meaning="mean, or half the sum")

    def plan(self) -> tuple[tuple[str, float, str], ...]:
        """Hints for the first third, unless joint."""
        staged = (("hints", 1 / 3, "both"), ("answers", 2 / 3, "student"))
        return staged if self.training == "two-stage" else self.stages

    def setup(
        self, student: Outputs, teacher: Outputs | None, sample: Batch, n: int, build: Build
    ) -> nn.Module | None:
        """A regressor for each pair of layers."""
        pairs = matched("Fitnets", self.layers, student, teacher, "the middle")
        return Projections(build, pairs, nn.Linear)

    def loss(
        self, student: Outputs, teacher: Outputs | None, batch: Batch, adapter: nn.Module | None
    ) -> Mapping[str, Tensor]:
        """The hint, or distillation of the answers, or both."""
        found: dict[str, Tensor] = {}
        if batch.stage != "answers":
            pairs = matched("Fitnets", self.layers, student, teacher, "the middle")
            gaps = [self._gap(*p) for p in zip(projected(adapter, pairs), pairs, strict=True)]
            found["hint"] = self.weight * sum(gaps[1:], gaps[0])
        if batch.stage != "hints":
            assert teacher is not None
            soft = kl(*softened(teacher.logits, student.logits, self.temperature))
            found["teacher"] = self.alpha * self.temperature**2 * soft
            found["labels"] = (1 - self.alpha) * cross_entropy(student.logits, batch.y)
        return found

    def _gap(self, mine: Tensor, pair: tuple[Tensor, Tensor]) -> Tensor:
        size = mine.shape[-1] * mine.shape[-2] / 2 if self.convention == "paper" else 1.0
        return size * square_gap(mine, pair[1])
