"""Knowledge distillation: the student copies the teacher's softened class probabilities."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor, nn

from workbench.base import BadInput, Batch, Method, Outputs, Terms
from workbench.functional import distillation, soft_and_hard
from workbench.methods._knobs import alpha, temperature


@dataclass(frozen=True)
class KD(Method):
    r"""$(1-\alpha)\,\mathrm{CE}(y,\sigma(z_s)) + \alpha\,T^2\,\mathrm{KL}(p\,\|\,q)$

    with $p=\sigma(z_t/T)$, the softened teacher, and $q=\sigma(z_s/T)$, the softened student.

    The $T^2$ keeps the size of the soft gradient steady when you turn $T$: the gradient of the
    divergence shrinks like $1/T^2$, so without it the slider would change two things at once.
    Temperature belongs to training; it is never applied when the student is used.

    Shapes: student.logits (*lead, B, K), teacher.logits (B, K) or (*lead, B, K), batch.y (B,) or
    (*lead, B) with −1 = unlabelled (no label term there). Terms: teacher, labels (*lead), in nats.
    """

    title: ClassVar[str] = "Distillation"
    paper: ClassVar[str] = "Hinton, Vinyals & Dean, 2015, arXiv:1503.02531"
    fixed: ClassVar[bool] = True

    temperature: float = temperature(4.0)
    alpha: float = alpha(0.9)

    def targets(self, like: Tensor, teacher: Outputs | None, batch: Batch) -> tuple[Tensor, ...]:
        """The softened teacher and the labels, each with its weight."""
        if teacher is None or teacher.logits.shape[-1] != like.shape[-1]:
            heard = None if teacher is None else tuple(teacher.logits.shape)
            raise BadInput(
                f"KD: teacher's logits {heard}: expected the classes of the student's, "
                f"{tuple(like.shape)}"
            )
        return soft_and_hard(teacher.logits, batch.y, self.temperature, self.alpha, like)

    def loss(
        self, student: Outputs, teacher: Outputs | None, batch: Batch, adapter: nn.Module | None
    ) -> Mapping[str, Tensor]:
        """Softened divergence to the teacher, and cross-entropy with the labels."""
        z = student.logits
        found = distillation(z, batch.targets or self.targets(z, teacher, batch))
        if isinstance(self.alpha, Tensor) or self.alpha not in (0, 1):
            return Terms(("teacher", "labels"), found)
        none = found.detach() * 0  # half the cost of new zeros
        terms = (found, none) if self.alpha else (none, found)
        return {"teacher": terms[0], "labels": terms[1]}
