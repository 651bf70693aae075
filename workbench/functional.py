"""Pure tensor maths: soft targets, divergences, cross-entropies. Classes on the last axis.

Every reduction keeps the leading axes (the stack of students): it averages over the `axes` axes
before the classes (1 = the batch, 2 = the batch and its tokens) and over valid positions only.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor


def per_student(knob: float | Tensor, x: Tensor) -> float | Tensor:
    """A knob, plain or one value per student (n,), shaped so that it broadcasts over x (n, …)."""
    if isinstance(knob, Tensor):
        return knob.to(x).reshape(knob.shape + (1,) * (x.ndim - knob.ndim))
    return knob


def soft_log_probs(logits: Tensor, temperature: float | Tensor = 1.0) -> Tensor:
    r"""Softened log-probabilities $\log\sigma(z/T)$.

    T > 1 lifts the small probabilities, where the teacher says which classes it finds alike;
    it never changes their order. The softmax runs over a transposed view, because over a last
    axis of about 10 classes it is 10 to 20 times slower on a CPU.

    Shapes: logits (*lead, …, K), temperature a number or (*lead,); result like logits.
    """
    if isinstance(temperature, Tensor) and temperature.ndim >= logits.ndim - 1:
        raise ValueError("soft_log_probs: a temperature per student needs logits (n, B, K)")
    if isinstance(temperature, Tensor) or temperature != 1.0:
        logits = logits / per_student(temperature, logits)
    return torch.log_softmax(logits.transpose(-1, -2), -2).transpose(-1, -2)


def average(values: Tensor, mask: Tensor | None = None, axes: int = 1) -> Tensor:
    """The mean of values (*lead, B) over its last `axes` axes, where mask is True.

    Without a valid entry it is 0, not NaN: an unlabelled batch has no label loss.
    """
    over = tuple(range(-axes, 0))
    if mask is None:
        return values.mean(over)
    valid = mask.to(values.dtype).expand(values.shape)
    # where, not a product: an invalid entry may be infinite, and 0 · ∞ is NaN
    kept = torch.where(mask, values, torch.zeros((), dtype=values.dtype, device=values.device))
    return kept.sum(over) / valid.sum(over).clamp_min(1)


def kl(log_p: Tensor, log_q: Tensor, mask: Tensor | None = None, axes: int = 1) -> Tensor:
    r"""$\mathrm{KL}(p\,\|\,q)=\sum_k p_k(\log p_k-\log q_k)$ in nats: teacher first.

    Summed over classes (dividing by K would let the weight depend on the number of classes),
    averaged over the valid positions; exactly 0 for identical tensors.

    Shapes: log_p, log_q (*lead, B, K) or broadcastable; result (*lead).
    """
    return average((log_p.exp() * (log_p - log_q)).sum(-1), mask, axes)


def cross_entropy(logits: Tensor, y: Tensor, axes: int = 1) -> Tensor:
    r"""$-\log\sigma(z)_y$ averaged over the labelled samples (y ≥ 0); 0 when there is none.

    Shapes: logits (*lead, B, K), y (B,) or (*lead, B); result (*lead).
    """
    return label_average(-pick(soft_log_probs(logits), y), y, axes)


def pick(log_probs: Tensor, y: Tensor) -> Tensor:
    """log_probs (*lead, B, K) at the label y (B,) or (*lead, B); unlabelled rows take class 0."""
    index = y.clamp_min(0).expand(log_probs.shape[:-1]).unsqueeze(-1)
    return log_probs.gather(-1, index).squeeze(-1)


def label_average(values: Tensor, y: Tensor, axes: int = 1) -> Tensor:
    """The mean of values (*lead, B) over the labelled samples, 0 when there is none."""
    return average(values, y >= 0, axes)


def entropy(log_p: Tensor) -> Tensor:
    r"""$-\sum_k p_k\log p_k$ in nats, 0 to log K. Shapes: (…, K) to (…)."""
    return -(log_p.exp() * log_p).sum(-1)


def mixture(log_probs: Tensor) -> Tensor:
    """The log of the mean probability of an ensemble. Shapes: (M, …, K) to (…, K)."""
    return torch.logsumexp(log_probs, 0) - math.log(log_probs.shape[0])
