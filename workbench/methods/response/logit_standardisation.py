"""Logit standardisation: soften what is left of the logits once mean and spread are taken out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor, nn

from workbench.base import BadInput, Batch, Method, Outputs, knob
from workbench.functional import cross_entropy, kl, softened
from workbench.methods._knobs import temperature, weighs


@dataclass(frozen=True)
class LogitStandardisation(Method):
    r"""$w\,T^2\,\mathrm{KL}(\sigma(\hat z_t/T)\,\|\,\sigma(\hat z_s/T)) + v\,\mathrm{CE}(y,z_s)$

    with $\hat z=(z-\bar z)/s(z)$, each row of logits with mean 0 and standard deviation 1.

    One temperature for both networks asks the student for logits as large as the teacher's. Here
    it is free in their scale (twice its logits have the same loss) and copies only their shape.
    So its confidence means nothing: calibrate it afterwards. The labels see raw logits.

    Shapes: student.logits (*lead, B, K), teacher.logits (B, K) or (*lead, B, K), batch.y (B,) or
    (*lead, B) with −1 = unlabelled (no label term there). Terms: teacher, labels (*lead), in nats.
    Raises BadInput for two classes, of whose standardised logits only the sign is left. The
    standard deviation is the sample's in the authors' code, to which the weights belong. It is
    kept above 0.01, because the gradient grows with its inverse: the authors add 1e-7, and a
    student that says the same of all classes then gets one of 10⁶.
    """

    title: ClassVar[str] = "Logit standardisation"
    paper: ClassVar[str] = "Sun et al., 2024, arXiv:2403.01427"

    temperature: float = temperature(2.0)
    weight: float = weighs(9.0, "w", "of the teacher", 20, title="Teacher's weight")
    label_weight: float = weighs(0.1, "v", "of the labels", 1, title="Labels' weight")
    convention: str = knob(
        "code",
        choices=("code", "paper"),
        meaning="standard deviation of the sample (code) or of the population",
    )

    def loss(
        self, student: Outputs, teacher: Outputs | None, batch: Batch, adapter: nn.Module | None
    ) -> Mapping[str, Tensor]:
        """Divergence of the standardised, softened logits, and cross-entropy with the labels."""
        assert teacher is not None
        z = student.logits
        if z.shape[-1] < 3:
            raise BadInput(
                f"LogitStandardisation: {z.shape[-1]} classes: expected at least 3, because of "
                "two standardised logits only the sign is left"
            )
        z_t, z_s = (self.standardised(each) for each in (teacher.logits, z))
        soft = kl(*softened(z_t, z_s, self.temperature))
        return {
            "teacher": (self.weight * self.temperature**2 * soft).to(z.dtype),
            "labels": self.label_weight * cross_entropy(z, batch.y),
        }

    def standardised(self, z: Tensor) -> Tensor:
        """Rows (…, K) with mean 0 and standard deviation 1."""
        z = z - z.mean(-1, keepdim=True)
        count = z.shape[-1] - (self.convention == "code")
        variance = z.square().sum(-1, keepdim=True) / count
        return z / variance.clamp_min(1e-4).sqrt()
