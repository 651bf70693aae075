"""Calibration: constructions whose error is known, edges of the bins, and a NumPy reference."""

from fractions import Fraction

import numpy as np
import pytest
import torch

from workbench.evaluation import ece, reliability


def two_class(confidence, right):
    """Probabilities (n, 2) whose larger entry is the confidence, and labels that make it right."""
    p = np.stack([confidence, 1 - np.asarray(confidence)], -1)
    return p, np.where(right, 0, 1)


def reference_ece(p, y, bins):
    c, hit = p.max(-1), p.argmax(-1) == y
    place = np.maximum(np.ceil(c * bins).astype(int) - 1, 0)
    return sum(abs(hit[place == m].sum() - c[place == m].sum()) for m in np.unique(place)) / len(y)


@pytest.mark.parametrize("bins", [1, 7, 15])
def test_ece_equals_numpy_by_definition(bins):
    rng = np.random.default_rng(0)
    z, y = rng.normal(size=(500, 4)) * 3, rng.integers(0, 4, 500)
    p = np.exp(z) / np.exp(z).sum(-1, keepdims=True)
    assert ece(z, y, bins) == pytest.approx(reference_ece(p, y, bins), rel=1e-9)
    assert ece(p, y, bins, probabilities=True) == pytest.approx(ece(z, y, bins), rel=1e-9)


@pytest.mark.parametrize("equal_mass", [False, True])
def test_a_perfectly_calibrated_student_has_no_error(equal_mass):
    confidence = np.repeat([0.6, 0.8, 0.9], 10)
    right = np.concatenate([np.arange(10) < 10 * c for c in (0.6, 0.8, 0.9)])
    p, y = two_class(confidence, right)
    assert ece(p, y, equal_mass=equal_mass, probabilities=True) == pytest.approx(0, abs=1e-12)
    assert ece(p, 1 - y, equal_mass=equal_mass, probabilities=True) > 0.5


@pytest.mark.parametrize("equal_mass", [False, True])
def test_ece_of_one_confidence_is_its_gap(equal_mass):
    p, y = two_class(np.full(20, 0.9), np.arange(20) < 10)
    assert ece(p, y, equal_mass=equal_mass, probabilities=True) == pytest.approx(0.4)


def test_confidence_one_is_in_the_last_bin_with_its_neighbours():
    # torchmetrics 1.9 opens a bin of its own for 1.0 and reports .525 here
    p, y = two_class(np.array([1.0, 0.95]), np.array([True, False]))
    last = reliability(p, y, 10, probabilities=True)[-1]
    assert (last.count, last.accuracy) == (2, 0.5)
    assert ece(p, y, 10, probabilities=True) == pytest.approx(0.475)
    assert reliability(np.array([[1e4, 0.0]]), np.array([0]))[-1].count == 1


@pytest.mark.parametrize("bins", [2, 3, 5, 10, 15])
def test_a_confidence_on_an_edge_belongs_to_the_bin_below(bins):
    for m in range(1, bins + 1):
        c = float(Fraction(m, bins))
        if c <= 0.5:
            continue
        p, y = two_class(np.array([c]), np.array([True]))
        counts = [b.count for b in reliability(p, y, bins, probabilities=True)]
        assert counts.index(1) == m - 1, c


def test_the_first_bin_is_closed_on_both_sides():
    many = np.full((1, 1000), 1e-3)
    assert reliability(many, np.array([0]), probabilities=True)[0].count == 1


@pytest.mark.parametrize("equal_mass", [False, True])
@pytest.mark.parametrize("bins", [1, 15, 40])
def test_every_sample_is_in_one_bin_and_within_its_edges(bins, equal_mass):
    rng = np.random.default_rng(1)
    z, y = rng.normal(size=(37, 3)) * 3, rng.integers(0, 3, 37)
    found = reliability(z, y, bins, equal_mass=equal_mass)
    assert len(found) == bins
    assert sum(b.count for b in found) == 37
    assert (found[0].low, found[-1].high) == (0, 1)
    assert all(a.high == b.low for a, b in zip(found, found[1:], strict=False))
    assert all(b.low <= b.high for b in found)
    for b in found:
        assert (b.confidence is None) == (b.accuracy is None) == (b.count == 0)
        assert b.count == 0 or b.low < b.confidence <= b.high


def test_equal_mass_bins_hold_equally_many():
    z = np.stack([np.linspace(0.1, 4, 60), np.zeros(60)], -1)
    assert {b.count for b in reliability(z, np.zeros(60, int), equal_mass=True)} == {4}


@pytest.mark.parametrize("equal_mass", [False, True])
def test_the_order_of_samples_is_irrelevant_even_with_ties(equal_mass):
    rng = np.random.default_rng(2)
    z = np.stack([rng.integers(1, 4, 50), np.zeros(50)], -1)
    y, order = rng.integers(0, 2, 50), rng.permutation(50)
    before = ece(z, y, equal_mass=equal_mass)
    assert ece(z[order], y[order], equal_mass=equal_mass) == pytest.approx(before)


def test_small_logits_are_not_taken_for_probabilities():
    z, y = torch.tensor([[0.9, 0.1]]), torch.tensor([0])
    assert ece(z, y) == pytest.approx(1 - 1 / (1 + np.exp(-0.8)))
    assert ece(z, y, probabilities=True) == pytest.approx(0.1)


def test_float32_probabilities_are_accepted():
    p = torch.randn(50, 1000).softmax(-1)
    assert 0 <= ece(p, torch.zeros(50, dtype=torch.long), probabilities=True) <= 1


@pytest.mark.parametrize("measure", [ece, reliability])
def test_wrong_input_is_refused_by_name(measure):
    y = np.array([0])
    with pytest.raises(ValueError, match=r"bins=0\).*every sample needs a bin"):
        measure(np.zeros((1, 2)), y, 0)
    with pytest.raises(ValueError, match=r"belongs to no bin"):
        measure(np.array([[np.nan, 0.0]]), y)
    with pytest.raises(ValueError, match=r"sum to 1 \(worst is off by 0.5"):
        measure(np.array([[0.75, 0.75]]), y, probabilities=True)
    with pytest.raises(ValueError, match=r"expected rows in 0..1"):
        measure(np.array([[1.5, -0.5]]), y, probabilities=True)
