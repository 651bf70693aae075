"""Decoupled distillation: how sure the teacher is, and what it says besides, weighed apart."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor, nn

from workbench.base import Batch, Method, Outputs, knob
from workbench.functional import cross_entropy, decoupled, softened
from workbench.methods._knobs import ramp_at, temperature, weighs


@dataclass(frozen=True)
class DKD(Method):
    r"""$\mathrm{CE} + r\,T^2[\alpha\,\mathrm{KL}(b^p\|b^q) + \beta\,\mathrm{KL}(\hat p\|\hat q)]$

    with $b=(p_y,1-p_y)$, "the label or not", and $\hat p$ the softened probabilities of all other
    classes, renormalised; $r$ grows from 0 to 1 over the warm-up.

    The ordinary divergence is $\mathrm{KL}(b^p\|b^q)+(1-p_y)\,\mathrm{KL}(\hat p\|\hat q)$: the
    surer the teacher, the less its opinion of the other classes counts, and that opinion is what
    it knows beyond the label. Here both have weights of their own; $\alpha=1$ with
    $\beta=1-p_y$ would be distillation. With two classes there is no other class, and the second
    part is 0.

    Shapes: student.logits (*lead, B, K), teacher.logits (B, K) or (*lead, B, K), batch.y (B,) or
    (*lead, B) with −1 = unlabelled (left out: without a label nothing can be decoupled). Terms:
    target, others, labels (*lead), in nats. Defaults: the authors' for CIFAR-100, whose warm-up
    is 20 of 240 epochs.
    """

    title: ClassVar[str] = "Decoupled distillation"
    paper: ClassVar[str] = "Zhao et al., 2022, arXiv:2203.08679"
    needs: ClassVar[frozenset[str]] = frozenset({"teacher", "labels"})

    temperature: float = temperature(4.0)
    target: float = weighs(1.0, "α", "of the label against the rest", title="Target")
    others: float = weighs(8.0, "β", "of what it says about the other classes", 16, title="Others")
    warm_up: float = knob(
        0.08,
        slider=(0, 0.5),
        accepts=(0, 1),
        title="Warm-up",
        meaning="share of the training over which the teacher's parts grow",
    )

    def loss(
        self, student: Outputs, teacher: Outputs | None, batch: Batch, adapter: nn.Module | None
    ) -> Mapping[str, Tensor]:
        """The two parts of the softened divergence, and cross-entropy with the labels."""
        assert teacher is not None
        z = student.logits
        target, others = decoupled(*softened(teacher.logits, z, self.temperature), batch.y)
        ramp = self.temperature**2 * ramp_at(batch.progress, self.warm_up)
        return {
            "target": (self.target * ramp * target).to(z.dtype),
            "others": (self.others * ramp * others).to(z.dtype),
            "labels": cross_entropy(z, batch.y),
        }
