"""CRD: tell the teacher's view of a sample from its views of all others, and the reverse."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn.functional import normalize

from workbench.base import BadInput, Batch, Build, Method, Outputs, knob
from workbench.functional import contrast, cross_entropy, embedding, per_student, similarities
from workbench.methods._knobs import weighs
from workbench.methods._layers import Pairs, layers, paired


class Views(nn.Module):
    """Two embeddings that are learnt, and what each said about every sample: (*lead, n, d).

    Who the others of a sample are follows from the step and the sample alone: positions
    (i + shift) mod n, with shifts drawn from a generator of the step. So no sample is its own
    other, order does not matter, and a resumed training draws the same.
    """

    student_memory: Tensor
    teacher_memory: Tensor
    constants: Tensor
    step: Tensor
    seen: Tensor  # both embeddings of the last batch, and log Z: what `keep` remembers
    log_z: Tensor

    def __init__(
        self, build: Build, pair: tuple[Tensor, Tensor], sample: Batch, n: int, width: int = 128
    ) -> None:
        super().__init__()
        if sample.index is None or n < 2:
            raise BadInput(
                f"Crd: tells each sample from the others of {n}, but there is no other, or the "
                "batches do not say which they hold; expected a loader of (x, y, index), or a "
                "Recipe of at least 2 images"
            )
        (f_s, f_t), self.n = pair, n
        self.student = build(lambda: nn.Linear(f_s.shape[-1], width))
        self.teacher = build(lambda: nn.Linear(f_t.shape[-1], width))
        draw, lead = torch.Generator().manual_seed(n), f_s.shape[:-2]
        for name in ("student_memory", "teacher_memory"):
            rows = normalize(torch.randn(n, width, generator=draw), dim=-1)
            self.register_buffer(name, rows.expand(*lead, n, width).clone())
        self.register_buffer("constants", torch.zeros(2, *lead))
        self.register_buffer("step", torch.zeros((), dtype=torch.int64))

    def views(self, f_s: Tensor, f_t: Tensor) -> tuple[Tensor, Tensor]:
        """Both embeddings of length 1, (*lead, B, d)."""
        wide = f_t.expand(*f_s.shape[:-1], f_t.shape[-1])
        return normalize(self.student(f_s), dim=-1), normalize(self.teacher(wide), dim=-1)

    def forward(
        self, index: Tensor, pair: tuple[Tensor, Tensor], others: int, temperature: float | Tensor
    ) -> tuple[Tensor, Tensor]:
        """Each view beside the other network's memory of its sample and of the others.

        Shapes: index (B,) or (n, B), the pair (*lead, B, D) and (B, D'); log-scores
        (2, *lead, B, 1 + M) and log Z (2, *lead): that of the first batch, until then of this.
        """
        n = self.n
        draw = torch.Generator().manual_seed(int(self.step))
        shift = torch.randperm(n - 1, generator=draw)[:others].add_(1)
        at = index.unsqueeze(-1) + torch.cat([shift.new_zeros(1), shift]).to(index.device)
        views = torch.stack(self.views(*pair))
        self.seen = views.detach()
        memories = torch.stack([self.teacher_memory, self.student_memory]).to(views)
        found = views @ memories.transpose(-1, -2)
        found = found.gather(-1, (at % n).expand(*found.shape[:-1], at.shape[-1]))
        found = found / per_student(temperature, found[0])
        count = max(found.shape[-1] * found.shape[-2], 1) / n
        now = found.detach().flatten(-2).logsumexp(-1) - math.log(count)
        self.log_z = torch.where(self.step > 0, self.constants.to(now), now)
        return found, self.log_z

    def keep(self, index: Tensor, momentum: float | Tensor) -> None:
        """Move the memory of a batch's samples towards what was said of them before the step."""
        lead = torch.arange(len(index), device=index.device).unsqueeze(-1)
        where: Any = (..., index, slice(None)) if index.ndim == 1 else (lead, index)
        memories = (self.student_memory, self.teacher_memory)
        for memory, view in zip(memories, self.seen, strict=True):
            share, view = per_student(momentum, view), view.to(memory)
            memory[where] = normalize(share * memory[where] + (1 - share) * view, dim=-1)
        self.constants.copy_(self.log_z)
        self.step += 1


def kept(
    adapter: nn.Module | None, pairs: list[tuple[Tensor, Tensor]]
) -> Iterator[tuple[Any, tuple[Tensor, Tensor]]]:
    """The views of each pair of layers beside it; nothing without an adapter."""
    return zip(adapter if isinstance(adapter, nn.ModuleList) else (), pairs, strict=False)


OTHERS = ("64", "256", "1024", "4096", "16384")


@dataclass(frozen=True)
class Crd(Method):
    r"""$\mathrm{CE}(y,z_s) - \frac{w}{B}\sum_{\text{both sides}}[\log h_+ + \sum_j\log(1-h_j)]$

    with $h=\frac{e^{v\cdot m/\tau}/Z}{e^{v\cdot m/\tau}/Z+M/n}$: how likely it is that view v of
    one network and memory m of the other show the same sample, rather than one of M others.

    Distances compare one sample with itself; here it must also be told from all the others, so
    what distinguishes samples is what is copied. It bounds the mutual information of the two
    embeddings from below, more tightly for more others. Z is estimated once, on the first batch,
    and then a constant, which makes each h a probability of its own.

    Shapes: features (*lead, B, P, D) of both, averaged over P and embedded in 128 numbers of
    length 1; batch.index and batch.y (B,) or (*lead, B), −1 = unlabelled (no label term there).
    Terms: contrast, labels (*lead), in nats. The memory, n × 128 for each side and student, is
    written after each step and part of a checkpoint. Others are any other samples, whatever their
    label. Raises BadInput where batches do not say which samples they hold.
    """

    title: ClassVar[str] = "Contrastive representation"
    paper: ClassVar[str] = "Tian et al., 2020, arXiv:1910.10699"
    needs: ClassVar[frozenset[str]] = frozenset({"teacher", "features"})
    shows: ClassVar[str] = "similarities"

    weight: float = weighs(0.8, "w", "of the contrast")
    sharpness: float = knob(
        0.07, slider=(0.05, 0.5), accepts=(0.02, 10), symbol="τ", meaning="of the views"
    )
    others: str = knob("1024", choices=OTHERS, symbol="M", meaning="how many others, if there are")
    momentum: float = knob(0.5, slider=(0, 0.99), accepts=(0, 1), meaning="of the memory")
    layers: Pairs = layers()

    def setup(
        self, student: Outputs, teacher: Outputs | None, sample: Batch, n: int, build: Build
    ) -> nn.Module | None:
        """For each pair of layers two embeddings and their memories."""
        pairs = self._pairs(student, teacher)
        return nn.ModuleList(Views(build, pair, sample, n) for pair in pairs)

    def loss(
        self, student: Outputs, teacher: Outputs | None, batch: Batch, adapter: nn.Module | None
    ) -> Mapping[str, Tensor]:
        """How well the two views of a sample are told from others, and cross-entropy."""
        far = torch.zeros_like(student.logits).sum((-1, -2))
        for views, pair in kept(adapter, self._pairs(student, teacher)):
            said, log_z = views(batch.index, pair, int(self.others), self.sharpness)
            far = far + contrast(said - log_z[..., None, None], views.n).sum(0)
        return {"contrast": self.weight * far, "labels": cross_entropy(student.logits, batch.y)}

    def update(
        self, adapter: nn.Module, network: nn.Module, student: Outputs, teacher: Outputs | None,
        batch: Batch,
    ) -> None:  # fmt: skip
        """Remember the views that the loss has seen, and Z of the first batch."""
        for views, _ in kept(adapter, self._pairs(student, teacher)):
            views.keep(batch.index, self.momentum)

    def view(self, features: Tensor) -> Tensor:
        """The dot products of the samples' embeddings, each row of length 1."""
        return similarities(embedding(features))

    def _pairs(self, student: Outputs, teacher: Outputs | None) -> list[tuple[Tensor, Tensor]]:
        pairs = paired("Crd", self.layers, student, teacher)
        return [(embedding(f_s), embedding(f_t)) for f_s, f_t in pairs]
