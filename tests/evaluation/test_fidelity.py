"""Fidelity: identities of the divergence, and the algebra of shared mistakes."""

import numpy as np
import pytest
import torch

from workbench.evaluation import (
    Venn,
    accuracy,
    agreement,
    kl_to_teacher,
    repeated_errors,
    venn,
)


@pytest.fixture
def case():
    rng = np.random.default_rng(0)
    return rng.normal(size=(100, 4)), rng.normal(size=(100, 4)), rng.integers(0, 4, 100)


def answers(*classes):
    return np.eye(4)[list(classes)]


def test_kl_equals_numpy_by_definition(case):
    s, t, _ = case
    p, q = (np.exp(z) / np.exp(z).sum(-1, keepdims=True) for z in (t, s))
    expected = np.mean((p * np.log(p / q)).sum(-1))
    assert kl_to_teacher(s, t) == pytest.approx(expected, rel=1e-9)
    assert kl_to_teacher(t, s) != pytest.approx(expected, rel=1e-3)


def test_kl_equals_torch(case):
    s, t = (torch.tensor(z) for z in case[:2])
    expected = torch.nn.functional.kl_div(
        s.log_softmax(-1), t.log_softmax(-1), log_target=True, reduction="batchmean"
    )
    assert kl_to_teacher(s, t) == pytest.approx(float(expected), rel=1e-9)


def test_kl_is_positive_and_zero_only_for_the_same_distribution(case):
    s, t, _ = case
    assert kl_to_teacher(s, t) > 0
    assert kl_to_teacher(t + 7, t) == pytest.approx(0, abs=1e-12)


def test_kl_where_the_teacher_excludes_a_class_is_finite_and_the_reverse_infinite():
    full, hole = np.array([[0.0, 0.0]]), np.array([[0.0, -np.inf]])
    assert kl_to_teacher(full, hole) == pytest.approx(np.log(2))
    assert kl_to_teacher(hole, full) == np.inf
    assert kl_to_teacher(hole, hole) == 0


@pytest.mark.parametrize("broken", [0, 1])
def test_kl_of_a_diverged_network_is_nan(broken):
    pair = [np.array([[0.0, 1.0]]), np.array([[0.0, 1.0]])]
    pair[broken] = np.array([[np.nan, 1.0]])
    assert np.isnan(kl_to_teacher(*pair))


def test_agreement_is_accuracy_against_the_teachers_answers(case):
    s, t, _ = case
    assert agreement(s, t) == pytest.approx(accuracy(s, t.argmax(-1)))
    assert agreement(s, t) == agreement(t, s)
    assert agreement(s, s) == 1


def test_two_networks_without_an_answer_do_not_agree():
    nothing = np.full((2, 3), np.nan)
    assert agreement(nothing, nothing) == 0
    assert repeated_errors(nothing, nothing, np.array([0, 1])) == 0


def test_venn_counts_each_sample_once():
    student, teacher = answers(0, 1, 2, 3, 0), answers(0, 0, 3, 3, 1)
    labels = np.array([0, 0, 1, 1, 0])
    # right/right, wrong/right, both wrong (differently), both wrong (alike), right/wrong
    assert venn(student, teacher, labels) == Venn(
        student_only=1, both=2, teacher_only=1, neither=1
    )
    assert repeated_errors(student, teacher, labels) == pytest.approx(1 / 3)


def test_venn_adds_up_to_the_accuracies(case):
    s, t, y = case
    v = venn(s, t, y)
    assert v.student_only + v.both + v.teacher_only + v.neither == 100
    assert (v.student_only + v.both) / 100 == pytest.approx(1 - accuracy(s, y))
    assert (v.teacher_only + v.both) / 100 == pytest.approx(1 - accuracy(t, y))


def test_a_copy_repeats_every_error_and_a_perfect_student_none(case):
    _, t, y = case
    assert repeated_errors(t, t, y) == 1
    assert repeated_errors(np.eye(4)[y], t, y) == 0


def test_a_teacher_without_errors_has_none_to_repeat():
    assert repeated_errors(answers(1), answers(0), np.array([0])) is None


@pytest.mark.parametrize("measure", [agreement, kl_to_teacher])
def test_other_shapes_are_refused_by_name(measure):
    with pytest.raises(
        ValueError,
        match=rf"^{measure.__name__}\(student.shape=\(2, 3\), teacher.shape=\(2, 4\)\).*because",
    ):
        measure(np.zeros((2, 3)), np.zeros((2, 4)))
