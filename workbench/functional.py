"""Pure tensor maths: soft targets, divergences, relations. Classes on the last axis.

Every reduction keeps the leading axes (the stack of students): it averages over the `axes` axes
before the classes (1 = the batch, 2 = the batch and its tokens) and over valid positions only.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn.functional import cosine_similarity, huber_loss, nll_loss, normalize, softplus

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
        return values.mean(over) if values.numel() else values.sum(over)
    # where, not a product: an invalid entry may be infinite, and 0 · ∞ is NaN
    return torch.where(mask, values, 0.0).sum(over) / mask.sum(over).clamp_min(1)


def kl(log_p: Tensor, log_q: Tensor, mask: Tensor | None = None, axes: int = 1) -> Tensor:
    r"""$\mathrm{KL}(p\,\|\,q)=\sum_k p_k(\log p_k-\log q_k)$ in nats: teacher first.

    Summed over classes (dividing by K would let the weight depend on the number of classes),
    averaged over the valid positions; exactly 0 for identical tensors.

    Shapes: log_p, log_q (*lead, B, K) or broadcastable; result (*lead).
    """
    return average((log_p.exp() * (log_p - log_q)).sum(-1), mask, axes)


def right(logits: Tensor, y: Tensor) -> Tensor:
    """Whether the largest logit is the label's, the first of equals counting, as `argmax` has it.

    By comparing, because `argmax` over an axis of 10 is ten times slower on a CPU: for two dozen
    students it took longer than their training.

    Shapes: logits (*lead, B, K), y (B,) or (*lead, B); result (*lead, B).
    """
    z = logits.transpose(-1, -2)
    largest = z == z.amax(-2, keepdim=True)
    if bool((largest.sum(-2) != 1).any()):  # equals, or not a number
        return torch.as_tensor(z.argmax(-2) == y)
    rows = y.expand(z.shape[:-2] + z.shape[-1:]).unsqueeze(-2)
    return largest.gather(-2, rows).squeeze(-2)


def fine_enough(z: Tensor, temperature: float | Tensor) -> Tensor:
    """The logits, above T = 100 in double where the device has it.

    A divergence of about 1/T² must not drown in float32's rounding before T² weighs it.
    """
    hottest = float(temperature.max()) if isinstance(temperature, Tensor) else temperature
    return z.double() if hottest > HOT and z.device.type != "mps" else z


def softened(z_t: Tensor, z_s: Tensor, temperature: float | Tensor = 1.0) -> tuple[Tensor, Tensor]:
    r"""$\log\sigma(z_t/T)$ of the teacher, detached, and $\log\sigma(z_s/T)$ of the student.

    Shapes: z_t (B, K) or (*lead, B, K), z_s (*lead, B, K), temperature a number or (n,).
    """
    z_t, z_s = (fine_enough(z, temperature) for z in (z_t.detach(), z_s))
    if isinstance(temperature, Tensor):  # a teacher without a lead is softened for each student
        z_t = z_t.expand(z_s.shape)
    return soft_log_probs(z_t, temperature), soft_log_probs(z_s, temperature)


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
    z = fine_enough(z, temperature)  # and with it, by promotion, whatever meets it

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


def decoupled(log_p: Tensor, log_q: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    r"""KL of "the label or not", and KL among the classes that are not the label.

    With $b=(p_y,1-p_y)$ and $\hat p$ the other classes renormalised,
    $\mathrm{KL}(p\|q)=\mathrm{KL}(b^p\|b^q)+(1-p_y)\,\mathrm{KL}(\hat p\|\hat q)$. In logarithms
    throughout: $1-p_y$ may be too small for a number.

    Shapes: log_p, log_q (*lead, B, K) or broadcastable, y (B,) or (*lead, B); each result
    (*lead), averaged over the labelled samples.
    """
    label = one_hot(y, log_q)
    both, other = [], []
    for log_r in (log_p, log_q):
        rest = torch.where(label, -torch.inf, log_r)
        left = torch.logsumexp(rest, -1, keepdim=True)
        other.append(torch.where(label, 0.0, rest - left))
        at = torch.where(label, log_r, 0.0).sum(-1, keepdim=True)
        both.append(torch.cat([at, left], -1))
    share = torch.where(label, 0.0, other[0].exp())
    valid = y >= 0
    target = (both[0].exp() * (both[0] - both[1])).sum(-1)
    return average(target, valid), average((share * (other[0] - other[1])).sum(-1), valid)


def one_hot(y: Tensor, like: Tensor) -> Tensor:
    """True at each sample's label; where unlabelled, at class 0, which a mask must leave out.

    Shapes: y (B,) or (*lead, B), like (…, K); result (B, K) or (*lead, B, K).
    """
    return y.clamp_min(0).unsqueeze(-1) == torch.arange(like.shape[-1], device=y.device)


def correlation(a: Tensor, b: Tensor, axis: int) -> Tensor:
    r"""Pearson's $\rho(a,b)$ along an axis, 0 where one of them is constant.

    The product of the norms is kept above 1e-8 rather than raised by it: so no value is shrunk,
    and the gradient stays finite.

    Shapes: a, b (…, B, K) or broadcastable; result without that axis.
    """
    a, b = (each - each.mean(axis, keepdim=True) for each in (a, b))
    size = a.square().sum(axis) * b.square().sum(axis)
    return (a * b).sum(axis) / size.clamp_min(1e-16).sqrt()


def between(log_p: Tensor, log_q: Tensor, beta: float | Tensor) -> Tensor:
    r"""$D_\beta$: forward KL at β = 0, four times Jensen–Shannon at ½, reverse KL at 1.

    $D_\beta=\frac{\beta\,\mathrm{KL}(p\|m)+(1-\beta)\,\mathrm{KL}(q\|m)}{\beta(1-\beta)}$,
    $m=\beta p+(1-\beta)q$. Divided by β(1−β) it does not vanish at the ends, and near p = q it is
    $\tfrac12\chi^2$ for every β, so the dial does not change the size of the step. Written as
    $\sum p\frac{d-\ell}{1-\beta}+(p-q)-q\frac{\ell}{\beta}$ with $d=\log p-\log q$ and
    $\ell=\log(1+\beta(e^d-1))$, which loses no digits at the ends; for β > ½ with p and q swapped.

    Shapes: log_p, log_q (*lead, B, K) or broadcastable, beta a number or (n,); result (*lead).
    """
    beta = torch.as_tensor(beta, dtype=log_q.dtype, device=log_q.device)
    beta = beta.reshape(beta.shape + (1,) * (log_q.ndim - beta.ndim)) if beta.ndim else beta
    swap = beta > 0.5
    beta = torch.where(swap, 1 - beta, beta)
    a, b = torch.where(swap, log_q, log_p), torch.where(swap, log_p, log_q)
    p, q, d = a.exp(), b.exp(), a - b
    some = beta.clamp_min(1e-8)  # below, it is 0
    far = d > 30  # where the exponential might overflow, the 1 beside it does not count
    near = torch.log1p(some * torch.expm1(torch.where(far, 0.0, d)))
    log = torch.where(far, some.log() + d, near)
    rest = torch.where(far, -some.log(), d - near)
    value = p * rest / (1 - beta) + (p - q) - q * log / some
    return average(torch.where(beta < 1e-8, p * d, value).sum(-1))


def entropy(log_p: Tensor) -> Tensor:
    r"""$-\sum_k p_k\log p_k$ in nats, 0 to log K. Shapes: (…, K) to (…)."""
    return -(log_p.exp() * log_p).sum(-1)


def mixture(log_probs: Tensor) -> Tensor:
    """The log of the mean probability of an ensemble. Shapes: (M, …, K) to (…, K)."""
    return torch.logsumexp(log_probs, 0) - math.log(log_probs.shape[0])


# ------------------------------------------------------------------------------- relations


def embedding(features: Tensor) -> Tensor:
    """One vector a sample: the mean over positions. Shapes: (*lead, B, P, D) to (*lead, B, D)."""
    return features.mean(-2)


def _gaps(f: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """f_i − f_j (*lead, B, B, D), their lengths (*lead, B, B), 0 on the diagonal, and the mean."""
    apart = f.unsqueeze(-2) - f.unsqueeze(-3)
    square = apart.square().sum(-1)
    same = torch.eye(f.shape[-2], dtype=torch.bool, device=f.device)
    lengths = torch.where(same, 0.0, torch.where(same, 1.0, square).clamp_min(1e-12).sqrt())
    count = max(1, f.shape[-2] * (f.shape[-2] - 1))
    return apart, lengths, lengths.sum((-1, -2), keepdim=True) / count


def distances(f_s: Tensor, f_t: Tensor) -> Tensor:
    """The mean over B² of the Huber loss between distances, each divided by their mean.

    Shapes: f_s (*lead, B, D), f_t (*lead, B, D') or broadcastable; result (*lead).
    """
    return _huber(relative_distances(f_s), relative_distances(f_t)).mean((-1, -2))


def relative_distances(f: Tensor) -> Tensor:
    r"""$\lVert f_i-f_j\rVert/\mu$, with μ their mean. Shapes: (*lead, B, D) to (*lead, B, B)."""
    _, lengths, mean = _gaps(f)
    return lengths / mean.clamp_min(1e-12)


def angles(f_s: Tensor, f_t: Tensor) -> Tensor:
    """The mean over B³ of the Huber loss between the cosines of all angles.

    Pairs closer than 0.01 of the mean distance, in either network, count as without an angle.
    Their inverse length is taken of a safe number: a mask afterwards would leave 0 · ∞ = NaN.

    Shapes: f_s (*lead, B, D), f_t (*lead, B, D') or broadcastable; result (*lead).
    """
    both = [_gaps(f) for f in (f_s, f_t)]
    valid = [length > (0.01 * mean.detach()).clamp_min(2e-6) for _, length, mean in both]
    good = valid[0] & valid[1]
    edges = [
        apart * torch.where(good, torch.where(good, length, 1.0).reciprocal(), 0.0).unsqueeze(-1)
        for apart, length, _ in both
    ]
    cosines = [edge @ edge.transpose(-1, -2) for edge in edges]
    return _huber(*cosines).mean((-1, -2, -3))


def _huber(a: Tensor, b: Tensor) -> Tensor:
    """torch's, element by element, of tensors that broadcast, which it warns of."""
    a, b = torch.broadcast_tensors(a, b)
    return huber_loss(a, b, reduction="none")


def gram_gap(f_s: Tensor, f_t: Tensor) -> Tensor:
    """The mean over B² of the squared difference of F Fᵀ with rows of L2 norm 1.

    Shapes: f_s (*lead, B, D), f_t (*lead, B, D') or broadcastable; result (*lead).
    """
    return average((similarities(f_s) - similarities(f_t)).square(), axes=2)


def similarities(f: Tensor) -> Tensor:
    """F Fᵀ with rows of L2 norm 1. Shapes: (*lead, B, D) to (*lead, B, B)."""
    return normalize(f @ f.transpose(-1, -2), dim=-1)


def kernel_gap(f_s: Tensor, f_t: Tensor, gamma: float | Tensor, powers: int = 2) -> Tensor:
    """The mean over B² of the squared difference of Gaussian kernels, as series.

    Shapes: f_s (*lead, B, D), f_t (*lead, B, D') or broadcastable, gamma a number or (n,);
    result (*lead).
    """
    wide = torch.as_tensor(gamma, dtype=f_s.dtype, device=f_s.device)[..., None, None]
    return average((kernel(f_s, wide, powers) - kernel(f_t, wide, powers)).square(), axes=2)


def kernel(f: Tensor, gamma: Tensor, powers: int = 2) -> Tensor:
    r"""$\sum_p e^{-2\gamma}(2\gamma)^p/p!\,(\hat f\hat f^\top)^p$, with $\hat f$ of length 1.

    Shapes: f (*lead, B, D), gamma broadcastable with the result (*lead, B, B).
    """
    f = normalize(f, dim=-1)
    products = f @ f.transpose(-1, -2)
    series = [(2 * gamma) ** p / float(math.factorial(p)) * products**p for p in range(powers + 1)]
    return torch.exp(-2 * gamma) * sum(series[1:], series[0])


def attention_gap(f_s: Tensor, f_t: Tensor, power: float | Tensor, squared: bool = True) -> Tensor:
    r"""Between maps $\sum_c|f_c|^p$ of length 1: the mean square, or half the mean norm.

    Shapes: f_s (*lead, B, P, D), f_t (*lead, B, P, D') or broadcastable, power a number or (n,);
    result (*lead).
    """
    wide = per_student(power, f_s)
    square = (attention_map(f_s, wide) - attention_map(f_t, wide)).square()
    if squared:
        return average(square, axes=2)
    return average(square.sum(-1).clamp_min(1e-24).sqrt() / 2)


def attention_map(f: Tensor, power: float | Tensor) -> Tensor:
    r"""$\sum_c|f_c|^p$ divided by its L2 norm. Shapes: (*lead, B, P, D) to (*lead, B, P)."""
    return normalize((f.abs().clamp_min(1e-12) ** power).sum(-1), dim=-1)


def square_gap(f_s: Tensor, f_t: Tensor) -> Tensor:
    """The mean square of f_s − f_t over samples, positions and width.

    Shapes: f_s (*lead, B, P, D), f_t (*lead, B, P, D) or broadcastable; result (*lead).
    """
    return average((f_s - f_t).square(), axes=3)


def cosine_gap(f_s: Tensor, f_t: Tensor) -> Tensor:
    r"""The mean over samples and positions of $1-\cos(f_s,f_t)$; it ignores their lengths.

    Shapes: f_s (*lead, B, P, D), f_t (*lead, B, P, D) or broadcastable; result (*lead).
    """
    return average(1 - cosine_similarity(f_s, f_t, -1), axes=2)


def surprise(f_t: Tensor, mean: Tensor, variance: Tensor) -> Tensor:
    r"""$\tfrac12[(f_t-\mu)^2/\sigma^2+\log\sigma^2]$, averaged over samples, positions and width.

    The negative log-likelihood of a Gaussian without its constant, so it may be below 0.

    Shapes: f_t (*lead, B, P, D), mean and variance alike or broadcastable; result (*lead).
    """
    return average((f_t - mean).square() / variance + variance.log(), axes=3) / 2


def contrast(log_scores: Tensor, n: int) -> Tensor:
    r"""Noise-contrastive estimation: how surprising it is which sample is the own one.

    $-\frac1B\sum[\log\frac{s_+}{s_++M/n}+\sum_{j}\log\frac{M/n}{s_j+M/n}]$ with M others a sample,
    of which each has the chance 1/n under noise. In logarithms: a score may overflow.

    Shapes: log_scores (*lead, B, 1 + M), the own sample first; result (*lead).
    """
    odds = log_scores - math.log((log_scores.shape[-1] - 1) / n)
    return average(softplus(-odds[..., 0]) + softplus(odds[..., 1:]).sum(-1))


def selectivity_gap(f_s: Tensor, f_t: Tensor) -> Tensor:
    """The maximum mean discrepancy of the channels, maps of length 1, under k(a, b) = (aᵀb)².

    Shapes: f_s (*lead, B, P, D), f_t (*lead, B, P, D') or broadcastable; result (*lead).
    """
    s, t = (normalize(f.transpose(-1, -2), dim=-1) for f in (f_s, f_t))

    def kernel(a: Tensor, b: Tensor) -> Tensor:
        return average((a @ b.transpose(-1, -2)).square(), axes=3)

    return kernel(t, t) + kernel(s, s) - 2 * kernel(s, t)


def neighbour_gap(f_s: Tensor, f_t: Tensor, itself: bool = True) -> Tensor:
    """KL of the probabilities of neighbours: the mean over B², or without itself the sum.

    Shapes: f_s (*lead, B, D), f_t (*lead, B, D') or broadcastable; result (*lead).
    """
    q, p = neighbours(f_s, itself), neighbours(f_t, itself)
    each = p * ((p + 1e-7) / (q + 1e-7)).log()
    return average(each, axes=2) if itself else each.sum((-1, -2))


def neighbours(f: Tensor, itself: bool = True) -> Tensor:
    r"""$k_{ij}/\sum_jk_{ij}$, $k_{ij}=(\cos(f_i,f_j)+1)/2$: how likely j is the neighbour of i.

    Shapes: (*lead, B, D) to (*lead, B, B), whose rows add up to 1.
    """
    f = f / (f.square().sum(-1, keepdim=True).clamp_min(1e-24).sqrt() + 1e-7)
    near = (f @ f.transpose(-1, -2) + 1) / 2
    if not itself:
        near = near * (1 - torch.eye(f.shape[-2], dtype=f.dtype, device=f.device))
    return near / near.sum(-1, keepdim=True).clamp_min(1e-12)
