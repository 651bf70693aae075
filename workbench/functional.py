"""Pure tensor maths: soft targets, divergences, cross-entropies. Classes on the last axis.

Every reduction keeps the leading axes (the stack of students): it averages over the `axes` axes
before the classes (1 = the batch, 2 = the batch and its tokens) and over valid positions only.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import nll_loss


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
    # where, not a product: an invalid entry may be infinite, and 0 · ∞ is NaN
    return torch.where(mask, values, 0.0).sum(over) / mask.sum(over).clamp_min(1)


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
    if logits.ndim > 2 and axes == 1:  # a stack: one hand-written gradient for nine operations
        found: Tensor = _Distillation.apply(logits, logits.detach(), y, 1.0, 0.0)[1]
        return found
    missed = miss(soft_log_probs(logits), y)
    over = tuple(range(-axes, 0))
    return missed.sum(over) / (y >= 0).sum(over).clamp_min(1)


def miss(log_probs: Tensor, y: Tensor) -> Tensor:
    """−log_probs (*lead, B, K) at the label y (B,) or (*lead, B); 0 where unlabelled."""
    if log_probs.ndim == 2:
        return nll_loss(log_probs, y, ignore_index=-1, reduction="none")
    # nll_loss is ten times slower than gather once there is a leading axis
    rows = y.clamp_min(0).expand(log_probs.shape[:-1]).unsqueeze(-1)
    return torch.where(y >= 0, -log_probs.gather(-1, rows).squeeze(-1), 0.0)


def label_average(values: Tensor, y: Tensor, axes: int = 1) -> Tensor:
    """The mean of values (*lead, B) over the labelled samples, 0 when there is none."""
    return average(values, y >= 0, axes)


def distillation(
    z_s: Tensor, z_t: Tensor, y: Tensor, temperature: float | Tensor, alpha: float | Tensor
) -> tuple[Tensor, Tensor]:
    r"""$\alpha T^2\,\mathrm{KL}(p\,\|\,q)$ and $(1-\alpha)\,\mathrm{CE}(y,\sigma(z_s))$.

    With $p=\sigma(z_t/T)$, $q=\sigma(z_s/T)$: the numbers of `kl` and `cross_entropy`, with the
    gradient written by hand,
    $\alpha T(q-p)/B$ and $(1-\alpha)(\sigma(z_s)-\mathbb 1_y)/B$, because at the size of a
    small student the bookkeeping of two dozen tiny operations costs more than the student. A
    term of plain weight 0 is not computed. Not differentiable twice.

    Shapes: z_s (*lead, B, K), z_t the same or broadcastable, y (B,) or (*lead, B), temperature
    and alpha numbers or (*lead,); both terms (*lead).
    """
    return _Distillation.apply(z_s, z_t.detach(), y, temperature, alpha)


class _Distillation(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        z_s: Tensor,
        z_t: Tensor,
        y: Tensor,
        temperature: float | Tensor,
        alpha: float | Tensor,
    ) -> tuple[Tensor, Tensor]:
        # Classes before samples from here on: (…, K, B) is how a stack lies in memory.
        plain, lead = not isinstance(alpha, Tensor), z_s.shape[:-2]
        z, t = z_s.transpose(-1, -2), per_student(temperature, z_s)
        soft = hard = z.new_zeros(lead)
        ctx.soft, ctx.hard = None, None
        if not plain or alpha != 0:
            log_p = torch.log_softmax(z_t.transpose(-1, -2) / t, -2)
            log_q = torch.log_softmax(z / t, -2)
            p, scale = log_p.exp(), alpha * temperature**2 / z.shape[-1]
            soft = scale * (p * (log_p - log_q)).sum((-1, -2))
            ctx.soft = (log_q.exp_().sub_(p), scale / temperature)
        if not plain or alpha != 1:
            log_q, valid = torch.log_softmax(z, -2), (y >= 0).to(z.dtype)
            weight = valid / valid.sum(-1, keepdim=True).clamp_min(1)
            index = y.clamp_min(0).expand(*lead, z.shape[-1]).unsqueeze(-2)
            chosen = log_q.gather(-2, index).squeeze(-2)
            hard = (alpha - 1) * (chosen * weight).sum(-1)
            off = log_q.exp_().scatter_add_(
                -2, index, log_q.new_full((), -1.0).expand(index.shape)
            )
            ctx.hard = (off.mul_(weight.unsqueeze(-2)), 1 - alpha)
        return soft, hard

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        total = None
        for kept, grad in zip((ctx.soft, ctx.hard), grads, strict=True):
            if kept is not None:
                gradient, scale = kept
                part = gradient * (grad * scale)[..., None, None]
                total = part if total is None else total.add_(part)
        assert total is not None
        return total.transpose(-1, -2), None, None, None, None


def entropy(log_p: Tensor) -> Tensor:
    r"""$-\sum_k p_k\log p_k$ in nats, 0 to log K. Shapes: (…, K) to (…)."""
    return -(log_p.exp() * log_p).sum(-1)


def mixture(log_probs: Tensor) -> Tensor:
    """The log of the mean probability of an ensemble. Shapes: (M, …, K) to (…, K)."""
    return torch.logsumexp(log_probs, 0) - math.log(log_probs.shape[0])
