"""Verdicts: hand-computed intervals, Holm by its own step-down rule, and what stays undecided."""

import itertools
import math
import re

import numpy as np
import pytest
from scipy.stats import ttest_rel

from workbench.evaluation import Verdict, corrected, summary, verdict, verdicts


def splits(*values):
    return [[value] for value in values]


def holm_rejects(p, level=0.05):
    """Holm's step-down rule as he states it: stop at the first p above level / (what is left)."""
    rejected = set()
    for left, i in zip(range(len(p), 0, -1), np.argsort(p, kind="stable"), strict=True):
        if p[i] > level / left:
            break
        rejected.add(int(i))
    return rejected


def test_interval_of_five_splits_by_hand():
    # d = 1..5: mean 3, s = sqrt(2.5), error = sqrt(.5), t(.975, 4) = 2.7764451052
    v = verdict(splits(1, 2, 3, 4, 5), splits(0, 0, 0, 0, 0))
    half = 2.7764451052 * math.sqrt(0.5)
    assert (v.mean, v.n, v.over, v.coverage) == (3, 5, "splits", 0.95)
    assert (v.low, v.high) == pytest.approx((3 - half, 3 + half), rel=1e-9)
    assert v.p == pytest.approx(0.0132356, abs=1e-6)
    assert v.text == "BEATS"


def test_interval_of_two_seeds_by_hand():
    # one degree of freedom is Cauchy's: t = tan(0.475 pi) = 12.7062
    v = verdict([[0.6, 0.8]], [[0.5, 0.5]])
    half = math.tan(0.475 * math.pi) * 0.1
    assert (v.low, v.high) == pytest.approx((0.2 - half, 0.2 + half), rel=1e-9)
    assert v.p == pytest.approx(1 - 2 * math.atan(2) / math.pi)
    assert (v.n, v.over, v.text) == (2, "seeds", "INCONCLUSIVE")


def test_interval_equals_scipy():
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(7, 3)), rng.normal(size=(7, 3))
    v, expected = verdict(a, b), ttest_rel(a.mean(1), b.mean(1))
    interval = expected.confidence_interval(0.95)
    assert v.p == pytest.approx(expected.pvalue, rel=1e-9)
    assert (v.low, v.high) == pytest.approx((interval.low, interval.high), rel=1e-9)


def test_swapping_the_arms_turns_the_verdict_round():
    a, b = splits(0.9, 0.91, 0.93), splits(0.7, 0.72, 0.71)
    wins, loses = verdict(a, b), verdict(b, a)
    assert (wins.text, loses.text) == ("BEATS", "LOSES")
    assert (loses.low, loses.high) == pytest.approx((-wins.high, -wins.low))
    assert loses.p == pytest.approx(wins.p)


def test_what_both_arms_owe_to_the_split_cancels():
    a, b, hard = np.array([0.81, 0.82, 0.84]), np.array([0.80, 0.80, 0.80]), [0, -0.5, 0.1]
    together, apart = (
        verdict(splits(*(a + hard)), splits(*(b + hard))),
        verdict(a[:, None], b[:, None]),
    )
    assert (together.low, together.high) == pytest.approx((apart.low, apart.high))


def test_seeds_are_averaged_and_are_no_evidence_of_their_own():
    few = verdict([[1, 3], [2, 6]], [[0, 0], [0, 0]])
    assert few == verdict(splits(2, 4), splits(0, 0))
    assert few == verdict([[1, 3] * 50, [2, 6] * 50], [[0] * 7, [0]])


@pytest.mark.parametrize(
    ("d", "text", "p"), [(0.25, "BEATS", 0), (-0.25, "LOSES", 0), (0, "INCONCLUSIVE", 1)]
)
def test_differences_without_variance_decide_by_their_sign(d, text, p):
    v = verdict(splits(0.5 + d, 0.75 + d, 1 + d), splits(0.5, 0.75, 1))
    assert v == Verdict(d, d, d, p, 3, text, "splits", 0.95)


def test_rounding_is_no_difference():
    # (0.1 + 0.2) / 2 and 0.15 differ by 3e-17 in floating point, in every split
    v = verdict([[0.1, 0.2]] * 4, [[0.15, 0.15]] * 4)
    assert np.mean([0.1, 0.2]) != 0.15
    assert (v.low, v.high, v.text) == (0, 0, "INCONCLUSIVE")
    assert verdict(splits(0.9, 0.8), splits(0.8, 0.7)).p == 0  # both 0.1, but not in binary


@pytest.mark.parametrize(
    ("arm", "baseline", "mean", "n", "over"),
    [
        ([[0.5]], [[0.25]], 0.25, 1, "seeds"),
        ([], [], None, 0, "splits"),
        ([[]], [[]], None, 0, "seeds"),
        ([[0.5], [None]], [[0.5], [0.5]], None, 2, "splits"),
        ([[0.5], [0.5]], [[0.5], [math.nan]], None, 2, "splits"),
        ([[0.5, math.inf]], [[0.5, 0.5]], None, 2, "seeds"),
        ([[0.5], []], [[0.5], [0.5]], None, 2, "splits"),
        ([[math.inf, -math.inf], [0.5, 0.5]], [[0.5], [0.5]], None, 2, "splits"),
    ],
)
def test_what_cannot_be_decided_is_inconclusive(arm, baseline, mean, n, over):
    v = verdict(arm, baseline)
    assert v == Verdict(mean, None, None, None, n, "INCONCLUSIVE", over, 0.95)
    assert verdicts({"baseline": baseline, "arm": arm})["arm"] == v


@pytest.mark.parametrize(
    ("arm", "baseline", "shapes"),
    [
        ([[1], [2]], [[1], [2], [3]], r"arm=2 splits.*baseline=3 splits"),
        ([[1, 2]], [[1, 2, 3]], r"arm=1 splits with \[2\] seeds, baseline=1 splits with \[3\]"),
        ([[1, 2]], [[1], [2]], r"arm=1 splits with \[2\] seeds, baseline=2 splits with \[1, 1\]"),
    ],
)
def test_what_cannot_be_paired_is_refused_with_both_shapes(arm, baseline, shapes):
    with pytest.raises(ValueError, match=rf"^verdict\({shapes}.*because differences"):
        verdict(arm, baseline)
    with pytest.raises(ValueError, match=rf"^verdicts\['new'\]\({shapes}"):
        verdicts({"old": baseline, "new": arm})


@pytest.mark.parametrize("judge", [lambda s: verdict(s, s), summary])
def test_a_flat_list_is_refused(judge):
    with pytest.raises(ValueError, match=r"scores=\[0.5, 0.6\]\): expected a list per split"):
        judge([0.5, 0.6])


def test_one_comparison_is_the_plain_interval():
    rng = np.random.default_rng(3)
    for _ in range(20):
        a, b = rng.normal(size=(2, 5, 2))
        assert verdicts({"b": b, "a": a}) == {"a": verdict(a, b)}


def test_intervals_exclude_zero_exactly_when_holm_rejects():
    rng = np.random.default_rng(4)
    seen = set()
    for _ in range(300):
        m, n = rng.integers(2, 7), rng.integers(2, 9)
        baseline = rng.normal(size=(n, 2))
        arms = [baseline + rng.normal(rng.normal(), 1, size=(n, 2)) for _ in range(m)]
        rejected = holm_rejects([verdict(arm, baseline).p for arm in arms])
        found = verdicts({"baseline": baseline, **dict(enumerate(arms))})
        for i, v in found.items():
            assert (v.text != "INCONCLUSIVE") == (i in rejected)
            assert (v.p <= 0.05) == (i in rejected)
            assert (v.low > 0 or v.high < 0) == (i in rejected)
            assert 0.95 <= v.coverage <= 1 - 0.05 / m + 1e-12
        seen.add(len(rejected))
    assert {0, 1, 2, 3} <= seen


def test_holm_takes_back_what_is_only_luck_among_many():
    rng = np.random.default_rng(5)
    baseline = rng.normal(size=(6, 1))
    null = {i: baseline + rng.normal(size=(6, 1)) for i in range(60)}
    assert any(verdict(arm, baseline).text != "INCONCLUSIVE" for arm in null.values())
    found = verdicts({"baseline": baseline, **null})
    assert all(v.text == "INCONCLUSIVE" for v in found.values())


def test_corrected_p_by_hand():
    d = {"a": (1, 2, 3, 4, 5), "b": (1, 2, 3, 4, 6), "c": (-1, 1, -2, 2, 0.1)}
    raw = {name: verdict(splits(*x), splits(*[0] * 5)).p for name, x in d.items()}
    found = verdicts({"zero": splits(*[0] * 5), **{n: splits(*x) for n, x in d.items()}})
    assert raw["a"] < raw["b"] < raw["c"]
    assert found["a"].p == pytest.approx(3 * raw["a"])
    assert found["b"].p == pytest.approx(max(3 * raw["a"], 2 * raw["b"]))
    assert found["c"].p == pytest.approx(max(2 * raw["b"], raw["c"]))


def test_arms_with_baselines_of_their_own_are_corrected_together():
    base, near, far = splits(0, 0, 0, 0), splits(0.1, 0.2, 0.3, 0.5), splits(1, 2, 3, 5)
    shared = verdicts({"base": base, "near": near, "far": far})
    assert corrected({"near": (near, base), "far": (far, base)}) == shared
    shorter = corrected({"near": (near[:3], base[:3]), "far": (far, base)})
    assert shorter["near"].n == 3 and shorter["far"].coverage > 0.95
    own = verdict(near[:3], base[:3]).p, 2 * verdict(far, base).p
    assert (shorter["near"].p, shorter["far"].p) == pytest.approx((max(own), own[1]))
    assert corrected({}) == {}


def test_the_order_of_arms_is_kept_and_irrelevant():
    rng = np.random.default_rng(6)
    arms = {name: rng.normal(size=(4, 1)) for name in "abc"}
    baseline = {"z": rng.normal(size=(4, 1))}
    expected = verdicts(baseline | arms)
    for order in itertools.permutations("abc"):
        found = verdicts(baseline | {name: arms[name] for name in order})
        assert tuple(found) == order
        assert found == expected


def test_a_failed_arm_still_counts_as_a_comparison():
    scores = {
        "zero": splits(*[0] * 5),
        "good": splits(1, 2, 3, 4, 5),
        "failed": splits(*[None] * 5),
    }
    alone = verdict(scores["good"], scores["zero"])
    found = verdicts(scores)
    assert found["failed"].text == "INCONCLUSIVE"
    assert found["good"].p == pytest.approx(2 * alone.p)
    assert found["good"].coverage == pytest.approx(0.975)


def test_arms_without_variance_are_decided_among_others():
    zero = splits(0, 0, 0)
    found = verdicts(
        {"zero": zero, "up": splits(1, 1, 1), "same": zero, "noise": splits(1, -1, 2)}
    )
    assert [v.text for v in found.values()] == ["BEATS", "INCONCLUSIVE", "INCONCLUSIVE"]
    assert (found["up"].low, found["up"].high, found["up"].p) == (1, 1, 0)


def test_verdicts_needs_a_baseline():
    assert verdicts({"baseline": splits(1, 2)}) == {}
    with pytest.raises(ValueError, match=r"verdicts\(scores={}\).*a baseline"):
        verdicts({})


def test_summary_is_over_splits_with_the_samples_std():
    assert summary([[1, 3], [4, 4], [6, 6]]) == {"mean": 4, "std": 2, "n": 3}


def test_summary_of_one_split_is_over_seeds():
    assert summary([[1, 3]]) == {"mean": 2, "std": pytest.approx(math.sqrt(2)), "n": 2}
    assert summary([[0.5]]) == {"mean": 0.5, "std": None, "n": 1}


@pytest.mark.parametrize("missing", [None, math.nan, -math.inf])
def test_summary_does_not_average_the_survivors(missing):
    assert summary([[1, missing], [2, 2]]) == {"mean": None, "std": None, "n": 2}
    assert summary([]) == {"mean": None, "std": None, "n": 0}


def test_a_verdict_reads_as_a_sentence():
    said = str(verdict([[0.9, 0.92, 0.91]], [[0.8, 0.81, 0.83]]))
    assert re.fullmatch(r"BEATS: \+0\.0967 \(0\.0\d+ to 0\.1\d+; 95 %, 3 seeds\)", said)
    assert str(verdict([[0.9]], [[0.8]])) == "INCONCLUSIVE: +0.1 (no interval from 1 seed)"
    assert str(verdict([[None]], [[0.8]])) == "INCONCLUSIVE: a score is missing"
