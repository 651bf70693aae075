"""The teacher's hard labels: the student learns the class the teacher would name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor, nn

from workbench.base import Batch, Method, Outputs
from workbench.functional import at_labels, toward
from workbench.methods._knobs import alpha


@dataclass(frozen=True)
class HardLabels(Method):
    r"""$(1-\alpha)\,\mathrm{CE}(y,z_s) + \alpha\,\mathrm{CE}(\arg\max_k z_{t,k},z_s)$

    The limit T → 0 for the teacher alone: of its answer only the first place is left, neither how
    sure it is nor what else it considered. So this is the control for "softness", and where images
    are plenty it is as good: a teacher can label what nobody has.

    Shapes: student.logits (*lead, B, K), teacher.logits (B, K) or (*lead, B, K), batch.y (B,) or
    (*lead, B) with −1 = unlabelled (no term of the labels there). Terms: teacher, labels (*lead),
    in nats. Of equal logits the first class counts. A half for each, as for DeiT.
    """

    title: ClassVar[str] = "Teacher's hard labels"
    paper: ClassVar[str] = "Touvron et al., 2021, arXiv:2012.12877"

    alpha: float = alpha(0.5)

    def targets(self, like: Tensor, teacher: Outputs | None, batch: Batch) -> tuple[Tensor, ...]:
        """Each label's share of the mean, and the same for what the teacher would say."""
        assert teacher is not None
        said = teacher.logits.argmax(-1)
        return at_labels(batch.y, like), at_labels(said, like)

    def loss(
        self, student: Outputs, teacher: Outputs | None, batch: Batch, adapter: nn.Module | None
    ) -> Mapping[str, Tensor]:
        """Cross-entropy with the teacher's first choice, and with the labels."""
        z = student.logits
        labels, said = batch.targets or self.targets(z, teacher, batch)
        return {
            "teacher": self.alpha * toward(z, said),
            "labels": (1 - self.alpha) * toward(z, labels),
        }
