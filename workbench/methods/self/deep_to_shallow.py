"""Be your own teacher: the deepest layer teaches heads on the shallow ones."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor, nn

from workbench.base import BadInput, Batch, Build, Method, Outputs, knob
from workbench.functional import average, cross_entropy, embedding, kl, softened
from workbench.methods._knobs import alpha, temperature, weighs


class Heads(nn.Module):
    """For each shallow layer a classifier, and a bridge to the width of the deepest one."""

    def __init__(self, build: Build, widths: list[int], classes: int) -> None:
        super().__init__()
        *shallow, last = widths
        self.heads, self.bridges = (
            nn.ModuleList(build(functools.partial(nn.Linear, width, size)) for width in shallow)
            for size in (classes, last)
        )

    def forward(self, seen: list[Tensor]) -> tuple[list[Tensor], list[Tensor]]:
        """Embeddings (*lead, B, D) of all layers, to the shallow ones' logits and features."""
        said = [head(f) for head, f in zip(self.heads, seen, strict=False)]
        return said, [bridge(f) for bridge, f in zip(self.bridges, seen, strict=False)]


@dataclass(frozen=True)
class DeepToShallow(Method):
    r"""$\mathrm{CE}(y,z_C)+\sum_i[(1-\alpha)\mathrm{CE}(y,z_i)+\alpha\mathrm{KL}_i+\lambda D_i]$

    with a classifier $z_i$ and an adapted feature $F_i$ on each shallow layer i, C the deepest,
    $\mathrm{KL}_i=\mathrm{KL}(\sigma(z_C/T)\|\sigma(z_i/T))$ and $D_i=\lVert F_i-F_C\rVert^2$. The
    deepest answer and feature are detached: the knowledge flows upstream only.

    A shallow layer that can classify alone gets a gradient which did not have to come through the
    whole network. The heads are dropped after the training, so the student costs what it did;
    kept, they would allow an early exit.

    Shapes: student.logits (*lead, B, K), features (*lead, B, P, D), batch.y (B,) or (*lead, B)
    with −1 = unlabelled (no label term there). Terms: labels, heads, deepest, features (*lead).
    `paper` has no T² before the divergence, `scaled` has. λ belongs to the mean over samples of
    the sum over the width. Raises BadInput for a student with one layer.
    """

    title: ClassVar[str] = "Deep to shallow"
    paper: ClassVar[str] = "Zhang et al., 2019, arXiv:1905.08094"
    needs: ClassVar[frozenset[str]] = frozenset({"labels", "features", "depth"})
    exceptions: ClassVar[Mapping[str, str]] = {
        "classes": "its own heads are drawn class by class, and are not permuted with the rest"
    }

    temperature: float = temperature(3.0)
    alpha: float = alpha(0.3)
    weight: float = weighs(0.03, "λ", "of the features", 1.0)
    convention: str = knob("paper", choices=("paper", "scaled"), meaning="with T² or without")

    def setup(
        self, student: Outputs, teacher: Outputs | None, sample: Batch, n: int, build: Build
    ) -> nn.Module | None:
        """A head and a bridge for every layer but the deepest."""
        widths = [value.shape[-1] for value in student.features.values()]
        if len(widths) < 2:
            raise BadInput(
                f"DeepToShallow: the student has {len(widths)} layers with features: expected at "
                "least 2, such as mlp-64-64 or cnn-8, or two pairs of layers in distill"
            )
        return Heads(build, widths, student.logits.shape[-1])

    def loss(
        self, student: Outputs, teacher: Outputs | None, batch: Batch, adapter: nn.Module | None
    ) -> Mapping[str, Tensor]:
        """The deepest head's cross-entropy, and what each shallow one learns."""
        z, seen = student.logits, [embedding(f) for f in student.features.values()]
        nothing = z.new_zeros(z.shape[:-2])
        said, like = adapter(seen) if adapter is not None else ([], [])
        factor = self.temperature**2 if self.convention == "scaled" else 1.0
        soft = [factor * kl(*softened(z, mine, self.temperature)) for mine in said]
        gaps = [average((f - seen[-1].detach()).square().sum(-1)) for f in like]
        return {
            "labels": cross_entropy(z, batch.y),
            "heads": (1 - self.alpha) * sum((cross_entropy(m, batch.y) for m in said), nothing),
            "deepest": self.alpha * sum(soft, nothing),
            "features": self.weight * sum(gaps, nothing),
        }
