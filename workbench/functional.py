"""Pure tensor maths: soft targets, divergences, cross-entropies. Classes on the last axis.

Every reduction keeps the leading axes (the stack of students): it averages over the `axes` axes
before the classes (1 = the batch, 2 = the batch and its tokens) and over valid positions only.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn.functional import nll_loss

#: The temperature from which float32 is too coarse: a divergence of 1/T² is weighed with T².
HOT = 100.0


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
    if logits.ndim > 2 and axes == 1:  # a stack: half the operations of what follows
        return toward(logits, at_labels(y, logits))
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


def at_labels(y: Tensor, like: Tensor) -> Tensor:
    """−1/n at each sample's label, n the number of labelled samples; 0 elsewhere.

    Classes before samples, as a stack lies in memory. `like` gives K and the kind of number.

    Shapes: y (*lead, B) with −1 = unlabelled, like (…, K); result (*lead, K, B).
    """
    valid = (y >= 0).to(like.dtype)
    share = valid / -valid.sum(-1, keepdim=True).clamp_min(1)
    found = share.new_zeros(*y.shape[:-1], like.shape[-1], y.shape[-1])
    return found.scatter_(-2, y.clamp_min(0).unsqueeze(-2), share.unsqueeze(-2))


def toward(logits: Tensor, weights: Tensor) -> Tensor:
    r"""$\sum_{b,k} w_{kb}\,\log\sigma(z_b)_k$: with weights from `at_labels`, the cross-entropy.

    Shapes: logits (*lead, B, K), weights (*lead, K, B) or broadcastable; result (*lead).
    """
    return (torch.log_softmax(logits.transpose(-1, -2), -2) * weights).sum((-1, -2))


def soft_and_hard(
    z_t: Tensor, y: Tensor, temperature: float | Tensor, alpha: float | Tensor, like: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """What `distillation` needs of teacher and labels alone: 1/T, log p and −weight · p.

    The labels are a second teacher, at T = 1 and sure of itself; then both terms are one
    formula, computed at once over an axis of 2. Where alpha is plainly 0 or 1 there is one term
    and no such axis.

    Shapes: z_t (*lead, B, K), y (B,) or (*lead, B), temperature and alpha numbers or (n,), like
    (n, B, K) or (B, K); results (…, 2, n, 1, 1) and twice (…, 2, n, K, B), without n as `like`.
    """
    z, plain = z_t.detach().transpose(-1, -2), not isinstance(alpha, Tensor)
    hottest = float(temperature.max()) if isinstance(temperature, Tensor) else temperature
    if hottest > HOT and z.device.type != "mps":
        z = z.double()  # and with it, by promotion, whatever meets it

    def wide(knob: float | Tensor) -> Tensor:
        return torch.as_tensor(knob, dtype=z.dtype, device=z.device)[..., None, None]

    inverse, share = wide(1 / temperature), wide(1 - alpha)
    if plain and alpha == 0:
        hard = at_labels(y, z_t)
        return torch.ones_like(hard[..., :1, :1]), torch.zeros_like(hard), hard
    log_p = torch.log_softmax(z * inverse, -2)
    soft = wide(-alpha * temperature**2 / max(1, z.shape[-1]))
    if plain and alpha == 1:
        return inverse.expand(*log_p.shape[:-2], 1, 1), log_p, log_p.exp() * soft
    hard = at_labels(y, z_t)
    # Written where it belongs: to stack it afterwards would take as long as all the rest. The
    # axis of 2 comes before the students', so that z broadcasts over it as it is.
    at = -like.ndim - 1
    ends = log_p[..., :1, :1], hard[..., :1, :1], share, like.new_empty((1,) * like.ndim)
    lead = list(torch.broadcast_tensors(*ends)[0].shape[:-2])
    lead.insert(len(lead) - like.ndim + 2, 2)
    scale = z.new_ones(*lead, 1, 1)
    known, weight = (z.new_empty(*lead, *z.shape[-2:]) for _ in range(2))
    scale.select(at, 0).copy_(inverse)
    known.select(at, 0).copy_(log_p)
    known.select(at, 1).zero_()
    weight.select(at, 0).copy_(log_p.exp() * soft)
    weight.select(at, 1).copy_(hard).mul_(share)
    return scale, known, weight


def distillation(z_s: Tensor, targets: tuple[Tensor, ...]) -> Tensor:
    r"""$\alpha T^2\,\mathrm{KL}(p\,\|\,q)$ and $(1-\alpha)\,\mathrm{CE}(y,\sigma(z_s))$.

    With $p=\sigma(z_t/T)$, $q=\sigma(z_s/T)$: the numbers of `kl` and `cross_entropy`, in a
    third of the operations. At the size of a small student each operation costs as much as the
    student, so weights are part of what `soft_and_hard` works out beforehand.

    Shapes: z_s (*lead, B, K), targets from `soft_and_hard`; result (2, *lead), or (*lead) where
    alpha is plainly 0 or 1 and only one of them is there.
    """
    inverse, log_p, weight = targets
    log_q = torch.log_softmax(z_s.transpose(-1, -2) * inverse, -2)
    terms = ((log_q - log_p) * weight).sum((-1, -2))
    return terms if terms.dtype == z_s.dtype else terms.to(z_s.dtype)


def entropy(log_p: Tensor) -> Tensor:
    r"""$-\sum_k p_k\log p_k$ in nats, 0 to log K. Shapes: (…, K) to (…)."""
    return -(log_p.exp() * log_p).sum(-1)


def mixture(log_probs: Tensor) -> Tensor:
    """The log of the mean probability of an ensemble. Shapes: (M, …, K) to (…, K)."""
    return torch.logsumexp(log_probs, 0) - math.log(log_probs.shape[0])
