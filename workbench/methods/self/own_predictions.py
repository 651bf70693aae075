"""PS-KD: the student's own earlier predictions soften its labels, more and more."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn

from workbench.base import BadInput, Batch, Build, Method, Outputs, knob
from workbench.functional import average, miss, soft_log_probs


class Past(nn.Module):
    """What each student said when it last saw a sample: (*lead, n, K), 0 where it never did."""

    said: Tensor

    def __init__(self, like: Tensor, n: int) -> None:
        super().__init__()
        self.register_buffer("said", like.new_zeros(*like.shape[:-2], n, like.shape[-1]))

    def rows(self, index: Tensor) -> tuple[Tensor, ...]:
        """Where the samples of a batch lie, of shape (B,) or (n, B)."""
        if self.said.ndim == 2 or index.ndim == 1:
            return (..., index, slice(None))  # type: ignore[return-value]
        return torch.arange(len(index), device=index.device).unsqueeze(-1), index


@dataclass(frozen=True)
class OwnPredictions(Method):
    r"""$-\sum_k[(1-\alpha_e)\,1_{k=y}+\alpha_e\,P_{e-1}(x)_k]\log p_k$

    with $P_{e-1}(x)$ what the student itself said about x when it last saw it, at T = 1, and
    $\alpha_e$ rising in proportion to the progress of the training, up to α.

    No teacher: the past is one that grows with the student. It is trusted little while the
    student knows little, and softens hard examples more than easy ones, which label smoothing
    cannot. What it gives is regularisation; there is no knowledge in it that was not there.

    Shapes: student.logits (*lead, B, K), batch.y and batch.index (B,) or (*lead, B), −1 =
    unlabelled (has a term once it has a past). Terms: past, labels (*lead), in nats. The memory is
    n × K for each student, is written after each step from the answer before it, and is part of
    a checkpoint. The authors raise the weight by epochs, here it rises with every step. Raises
    BadInput where batches do not say which samples they hold.
    """

    title: ClassVar[str] = "Own earlier predictions"
    paper: ClassVar[str] = "Kim et al., 2021, arXiv:2006.12000"
    needs: ClassVar[frozenset[str]] = frozenset({"labels"})

    alpha: float = knob(
        0.8, slider=(0, 1), accepts=(0, 1), title="Weight of the past", symbol="α",
        meaning="what its own past counts at the end",
    )  # fmt: skip

    def setup(
        self, student: Outputs, teacher: Outputs | None, sample: Batch, n: int, build: Build
    ) -> nn.Module | None:
        """The memory of all samples."""
        if sample.index is None:
            raise BadInput(
                "OwnPredictions: remembers each sample, but the batches do not say which they "
                "hold; expected a loader of (x, y, index), or a Recipe"
            )
        return Past(student.logits.detach(), n)

    def loss(
        self, student: Outputs, teacher: Outputs | None, batch: Batch, adapter: nn.Module | None
    ) -> Mapping[str, Tensor]:
        """Cross-entropy with the own past, and with the labels."""
        log_p = soft_log_probs(student.logits)
        was = torch.zeros_like(log_p)
        if isinstance(adapter, Past) and batch.index is not None:
            was = adapter.said[adapter.rows(batch.index)].to(log_p)
        seen = was.sum(-1) > 0
        share = torch.as_tensor(self.alpha * batch.progress).to(log_p).unsqueeze(-1) * seen
        past = average(share * -(was * log_p).sum(-1))
        labels = average((1 - share) * miss(log_p, batch.y), (batch.y >= 0).expand(share.shape))
        return {"past": past, "labels": labels}

    def update(
        self, adapter: nn.Module, network: nn.Module, student: Outputs, teacher: Outputs | None,
        batch: Batch,
    ) -> None:  # fmt: skip
        """Remember what was said."""
        assert isinstance(adapter, Past) and batch.index is not None
        adapter.said[adapter.rows(batch.index)] = student.logits.softmax(-1).to(adapter.said)
