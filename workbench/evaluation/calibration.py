"""Does 0.9 mean 90 %? Reliability bins and the expected calibration error."""

from dataclasses import dataclass

import torch
from torch import Tensor

from workbench.evaluation._inputs import Array, as_labels, as_probabilities


@dataclass(frozen=True)
class Bin:
    """The samples whose confidence lies in (low, high]; the means are None when there are none."""

    low: float
    high: float
    count: int
    confidence: float | None
    accuracy: float | None


def reliability(
    logits: Array,
    labels: Array,
    bins: int = 15,
    *,
    equal_mass: bool = False,
    probabilities: bool = False,
) -> tuple[Bin, ...]:
    r"""Return the bins of a reliability diagram: what the student claims and what it achieves.

    $B_m = \{i : \text{low}_m < \max_k p_{ik} \le \text{high}_m\}$

    Bins are closed on the right, so that a confidence of exactly 1.0 is in the last one (and 0,
    which only rounding can produce, in the first): every sample is in exactly one bin. With equal
    width most students leave the low bins empty; with equal mass every bin holds about n / bins
    samples. Equal confidences are never parted, since then the order of the samples would matter.

    Args:
        logits: of one student, (n, K); NaN is refused.
        labels: class numbers, (n,).
        bins: how many.
        equal_mass: edges at the quantiles of the confidence instead of equal widths.
        probabilities: `logits` holds probabilities, whose rows sum to 1.

    Source: Guo et al., 2017, arXiv:1706.04599; equal mass: Nixon et al., 2019, arXiv:1904.01685.
    """
    if bins < 1:
        raise ValueError(
            f"reliability(bins={bins}): expected at least 1, because every sample needs a bin"
        )
    p = as_probabilities(logits, "reliability", probabilities)
    y = as_labels(labels, p, "reliability")
    confidence, answer = p.max(-1)
    inner = _quantile_edges(confidence, bins) if equal_mass else _even_edges(bins)
    place = torch.bucketize(confidence, inner)  # edge[m-1] < c <= edge[m]: closed on the right
    edges = [0.0, *inner.tolist(), 1.0]
    hit = (answer == y).double()
    return tuple(
        _bin(edges[m], edges[m + 1], confidence[place == m], hit[place == m]) for m in range(bins)
    )


def ece(
    logits: Array,
    labels: Array,
    bins: int = 15,
    *,
    equal_mass: bool = False,
    probabilities: bool = False,
) -> float:
    r"""Return the expected calibration error: the mean gap between confidence and accuracy, 0..1.

    $\sum_m \frac{|B_m|}{n} \, |\mathrm{acc}(B_m) - \mathrm{conf}(B_m)|$

    It depends on the bins and is biased upwards for few samples, so only values with the same
    `bins` and about the same n can be compared.

    Args:
        logits: of one student, (n, K); NaN is refused.
        labels: class numbers, (n,).
        bins: how many; 15 is the paper's.
        equal_mass: edges at the quantiles of the confidence instead of equal widths.
        probabilities: `logits` holds probabilities, whose rows sum to 1.

    Source: Guo et al., 2017, arXiv:1706.04599.
    """
    return error_of(
        reliability(logits, labels, bins, equal_mass=equal_mass, probabilities=probabilities)
    )


def error_of(bins: tuple[Bin, ...]) -> float:
    """Return the expected calibration error of bins which exist already."""
    gaps = (
        b.count * abs(b.accuracy - b.confidence)
        for b in bins
        if b.accuracy is not None and b.confidence is not None
    )
    return sum(gaps) / sum(b.count for b in bins)


def _bin(low: float, high: float, confidence: Tensor, hit: Tensor) -> Bin:
    if len(hit) == 0:
        return Bin(low, high, 0, None, None)
    return Bin(low, high, len(hit), float(confidence.mean()), float(hit.mean()))


def _even_edges(bins: int) -> Tensor:
    """Return the inner edges (bins - 1,): m / bins rounded once, as the caller writes 0.7."""
    return torch.arange(1, bins, dtype=torch.float64) / bins


def _quantile_edges(confidence: Tensor, bins: int) -> Tensor:
    """Return the inner edges (bins - 1,), each of them a confidence which occurs, from (n,)."""
    n = len(confidence)
    last = [-(-n * m // bins) - 1 for m in range(1, bins)]  # whole numbers: no rounding at edges
    return confidence.sort().values[last]
