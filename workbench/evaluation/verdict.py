"""Did it really help? A paired comparison whose answer may be: we cannot tell."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import fsum, isfinite, nan, sqrt
from typing import Literal, NamedTuple, TypedDict

LEVEL = 0.05
# Scores are shares of some hundred samples: what is smaller than this, relative to the scores,
# is the rounding of a mean, and must not become "a difference without any variance".
ROUNDING = 1e-12

Scores = Sequence[Sequence[float | None]]
Over = Literal["splits", "seeds"]


@dataclass(frozen=True)
class Verdict:
    """The paired difference, arm minus baseline, and what may be said about it.

    Attributes:
        mean: mean difference, in the unit of the scores; None if a score is missing.
        low: lower end of the interval; None if there is none (n < 2, or a score is missing).
        high: upper end of the interval, or None.
        p: two-sided p-value, after Holm's correction if there are several arms, or None.
        n: how many pairs.
        text: BEATS if low > 0, LOSES if high < 0, else INCONCLUSIVE.
        over: what the pairs are: splits of the data, or seeds on the only split. Seeds tell
            nothing about other data, so the page must say which.
        coverage: of the interval: 0.95, or more after Holm's correction.
    """

    mean: float | None
    low: float | None
    high: float | None
    p: float | None
    n: int
    text: Literal["BEATS", "LOSES", "INCONCLUSIVE"]
    over: Over
    coverage: float

    @property
    def equal(self) -> bool:
        """Whether every pair scored the same: that is known, and not inconclusive."""
        return self.mean == self.low == self.high == 0

    def __str__(self) -> str:
        """Such as `BEATS: +0.104 (0.086 to 0.122; 95 %, 8 seeds)`."""
        if self.mean is None:
            return f"{self.text}: a score is missing"
        pairs = f"{self.n} {self.over if self.n != 1 else self.over[:-1]}"
        if self.low is None or self.high is None:
            return f"{self.text}: {self.mean:+.3g} (no interval from {pairs})"
        sure = f"{100 * self.coverage:.3g} %"
        return (
            f"{self.text}: {self.mean:+.3g} ({self.low:.3g} to {self.high:.3g}; {sure}, {pairs})"
        )


class Summary(TypedDict):
    """Mean, sample standard deviation and number of the splits (or seeds, if one split)."""

    mean: float | None
    std: float | None
    n: int


class _Paired(NamedTuple):
    mean: float | None
    error: float | None  # standard error of the mean; None if there is no interval
    p: float | None
    n: int
    over: Over


def verdict(arm: Scores, baseline: Scores) -> Verdict:
    r"""Return whether the arm beats the baseline: the 95 % t-interval of the paired difference.

    $\bar d \pm t_{0.975,\,n-1} \, s_d / \sqrt n$ with $d_i = \text{arm}_i - \text{baseline}_i$

    A pair is a split: scores are averaged over seeds first, because seeds on one split share its
    data and are no independent evidence. With a single split the seeds are paired, and `over`
    says so. Pairing removes what both arms owe to the split, which is most of the spread.

    Args:
        arm: scores as [split][seed], larger is better; None or NaN for a run that failed.
        baseline: the same for the baseline, on the same splits in the same order. The number of
            seeds may differ, except with a single split, where the seeds are the pairs.

    Raises:
        ValueError: the two cannot be paired; the message names both shapes.
    """
    return _judge(_pair(arm, baseline, "verdict"), LEVEL)


def verdicts(scores: Mapping[str, Scores]) -> dict[str, Verdict]:
    r"""Return the verdict of every arm against the first one, corrected for their number.

    Holm: with the p-values sorted, $\tilde p_i = \max_{j \le i} \min(1, (m - j + 1) p_j)$, and arm
    i is decided when $\tilde p_i \le 0.05$. Twenty useless arms would otherwise give one that
    "beats". Each interval is built at $1 - 0.05\,p_i / \tilde p_i$, since $\tilde p_i \le 0.05$
    exactly if $p_i \le 0.05\,p_i / \tilde p_i$: it excludes 0 exactly when Holm rejects. With one
    comparison this is the plain t-interval.

    An arm without a p-value still counts in m: how many comparisons there are was decided before
    anybody saw the scores.

    Args:
        scores: name → scores as [split][seed]; the first is the baseline, and has no verdict.

    Raises:
        ValueError: no baseline, or an arm that cannot be paired with it.

    Source: Holm, 1979, Scandinavian Journal of Statistics 6(2).
    """
    if not scores:
        raise ValueError(
            "verdicts(scores={}): expected at least a baseline, because arms are compared with it"
        )
    baseline, *arms = scores
    return corrected({arm: (scores[arm], scores[baseline]) for arm in arms})


def corrected(comparisons: Mapping[str, tuple[Scores, Scores]]) -> dict[str, Verdict]:
    """Return `verdicts` where every arm has a baseline of its own: name → (arm, baseline)."""
    pairs = {
        arm: _pair(own, base, f"verdicts[{arm!r}]") for arm, (own, base) in comparisons.items()
    }
    ranked = sorted(pairs, key=lambda arm: _or_one(pairs[arm].p))
    results, most = {}, 0.0
    for rank, arm in enumerate(ranked):
        p, left = _or_one(pairs[arm].p), len(pairs) - rank
        most = max(most, min(1.0, left * p))
        level = LEVEL * (p / most) if most > 0 else LEVEL / left  # p = 0: the limit
        results[arm] = _judge(pairs[arm], level, most)
    return {arm: results[arm] for arm in pairs}


def summary(scores: Scores) -> Summary:
    """Return mean, sample standard deviation (n - 1) and n of one arm's scores.

    Over splits, each the mean of its seeds; with a single split over its seeds. The std is None
    for n < 2, and all but n is None if a score is missing: a mean of the runs that survived would
    flatter an arm whose runs diverge.

    Args:
        scores: [split][seed]; None or NaN for a run that failed.
    """
    units = _units(scores, "summary")
    mean = _mean(units)
    if not isfinite(mean):
        return Summary(mean=None, std=None, n=len(units))
    return Summary(mean=mean, std=_std(units) if len(units) > 1 else None, n=len(units))


def _pair(arm: Scores, baseline: Scores, what: str) -> _Paired:
    a, b = _units(arm, what), _units(baseline, what)
    if len(arm) != len(baseline) or len(a) != len(b):
        raise ValueError(
            f"{what}(arm={_shape(arm)}, baseline={_shape(baseline)}): expected equally many "
            "splits, and seeds if there is one split, because differences are taken pair by pair"
        )
    over: Over = "seeds" if len(arm) == 1 else "splits"
    differences = [x - y for x, y in zip(a, b, strict=True)]
    n, mean = len(differences), _mean(differences)
    if not isfinite(mean):
        return _Paired(None, None, None, n, over)
    tiny = ROUNDING * max(abs(score) for score in a + b)
    mean = 0.0 if abs(mean) <= tiny else mean
    if n < 2:
        return _Paired(mean, None, None, n, over)
    if max(differences) - min(differences) <= tiny:
        return _Paired(mean, 0.0, 0.0 if mean else 1.0, n, over)

    from scipy.special import stdtr  # scipy.stats has the same, and takes a second to import

    error = _std(differences) / sqrt(n)
    return _Paired(mean, error, 2 * float(stdtr(n - 1, -abs(mean) / error)), n, over)


def _judge(pair: _Paired, level: float, p: float | None = None) -> Verdict:
    """Build the interval at 1 - level; `p` replaces the pair's own when it was corrected."""
    mean, error, own, n, over = pair
    if mean is None or error is None or own is None:
        return Verdict(mean, None, None, None, n, "INCONCLUSIVE", over, 1 - level)

    from scipy.special import stdtrit

    # Without variance the quantile does not matter, and at level 0 it would be 0 · inf.
    half = error * float(stdtrit(n - 1, 1 - level / 2)) if error else 0.0
    low, high = mean - half, mean + half
    text: Literal["BEATS", "LOSES", "INCONCLUSIVE"]
    text = "BEATS" if low > 0 else "LOSES" if high < 0 else "INCONCLUSIVE"
    return Verdict(mean, low, high, own if p is None else p, n, text, over, 1 - level)


def _units(scores: Scores, what: str) -> list[float]:
    """Return the values which are independent: one per split, or per seed if one split."""
    try:
        rows = [[_number(score) for score in row] for row in scores]
    except TypeError:
        raise ValueError(
            f"{what}(scores={scores!r}): expected a list per split with a score per seed, "
            "because splits and seeds are different evidence"
        ) from None
    return rows[0] if len(rows) == 1 else [_mean(row) for row in rows]


def _number(score: float | None) -> float:
    return float(score) if score is not None and isfinite(score) else nan


def _mean(values: Sequence[float]) -> float:
    # fsum is exact, so the order of seeds cannot create a difference between equal arms.
    return fsum(values) / len(values) if values else nan


def _std(values: Sequence[float]) -> float:
    mean = _mean(values)
    return sqrt(fsum((value - mean) ** 2 for value in values) / (len(values) - 1))


def _or_one(p: float | None) -> float:
    return 1.0 if p is None else p


def _shape(scores: Scores) -> str:
    return f"{len(scores)} splits with {[len(row) for row in scores]} seeds"
