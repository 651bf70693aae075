"""Quality: five-line references, scikit-learn, invariances, and wrong input by its message."""

import numpy as np
import pytest
import torch
from sklearn.metrics import accuracy_score, brier_score_loss, log_loss, recall_score

from workbench.evaluation import (
    accuracies,
    accuracy,
    brier,
    confusion,
    confusion_difference,
    nll,
    per_class_recall,
)

SCALARS = (accuracy, nll, brier)


@pytest.fixture
def case():
    rng = np.random.default_rng(0)
    return rng.normal(size=(200, 5)) * 2, rng.integers(0, 5, size=200)


def softmax(z):
    e = np.exp(z - z.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def test_scalars_equal_numpy_by_definition(case):
    z, y = case
    p = softmax(z)
    assert accuracy(z, y) == pytest.approx(np.mean(z.argmax(-1) == y))
    assert nll(z, y) == pytest.approx(-np.mean(np.log(p[np.arange(200), y])), rel=1e-12)
    assert brier(z, y) == pytest.approx(np.mean(((p - np.eye(5)[y]) ** 2).sum(-1)), rel=1e-12)


def test_scalars_equal_sklearn(case):
    z, y = case
    p = softmax(z)
    assert accuracy(z, y) == pytest.approx(accuracy_score(y, z.argmax(-1)))
    assert nll(z, y) == pytest.approx(log_loss(y, p, labels=range(5)), rel=1e-9)
    assert per_class_recall(z, y) == pytest.approx(recall_score(y, z.argmax(-1), average=None))


def test_brier_equals_sklearn_in_its_sum_convention(case):
    z, y = case
    expected = brier_score_loss(y, softmax(z), labels=range(5), scale_by_half=False)
    assert brier(z, y) == pytest.approx(expected, rel=1e-9)


def test_brier_is_zero_for_certain_truth_and_two_for_certain_error():
    z = np.array([[1e3, 0.0, 0.0]])
    assert brier(z, np.array([0])) == pytest.approx(0)
    assert brier(z, np.array([1])) == pytest.approx(2)


def test_nll_of_a_confident_mistake_is_not_clipped():
    assert nll(torch.tensor([[0.0, 500.0]]), torch.tensor([0])) == pytest.approx(500)


def test_uniform_logits_cost_log_k_nats():
    assert nll(np.zeros((3, 7)), np.array([0, 3, 6])) == pytest.approx(np.log(7))


@pytest.mark.parametrize("measure", SCALARS)
def test_scalars_ignore_order_shift_and_names_of_classes(measure, case):
    z, y = case
    rng = np.random.default_rng(1)
    order, names = rng.permutation(200), rng.permutation(5)
    renamed = np.argsort(names)[y]
    assert measure(z[order], y[order]) == pytest.approx(measure(z, y))
    assert measure(z + rng.normal(size=(200, 1)), y) == pytest.approx(measure(z, y))
    assert measure(z[:, names], renamed) == pytest.approx(measure(z, y))


@pytest.mark.parametrize("measure", SCALARS)
def test_tensor_and_array_of_any_precision_give_a_plain_float(measure, case):
    z, y = case
    from_tensor = measure(torch.tensor(z).float().requires_grad_(), torch.tensor(y))
    assert type(from_tensor) is float
    assert from_tensor == pytest.approx(measure(z, y), rel=1e-5)


def test_accuracies_are_the_accuracy_of_each(case):
    _, y = case
    stack = np.random.default_rng(2).normal(size=(4, 200, 5))
    assert accuracies(stack, y) == [accuracy(z, y) for z in stack]
    assert len(set(accuracies(stack, y))) > 1


def test_a_diverged_student_is_wrong_rather_than_at_chance():
    z, y = np.full((10, 2), np.nan), np.array([0, 1] * 5)
    assert accuracy(z, y) == 0
    assert accuracies(z[None], y) == [0]
    assert per_class_recall(z, y) == [0, 0]
    assert confusion(z, y).sum() == 0
    assert np.isnan(nll(z, y))


def test_recall_of_an_absent_class_is_none():
    z = np.eye(4)[[0, 1, 3, 3]]
    assert per_class_recall(z, np.array([0, 0, 3, 3])) == [0.5, None, None, 1.0]


def test_confusion_has_truth_in_rows_and_answers_in_columns():
    z = np.eye(3)[[1, 1, 2]]  # answers
    assert confusion(z, np.array([0, 0, 2])).tolist() == [[0, 2, 0], [0, 0, 0], [0, 0, 1]]


def test_confusion_adds_up(case):
    z, y = case
    counts = confusion(z, y)
    assert counts.sum(1).tolist() == np.bincount(y, minlength=5).tolist()
    assert counts.trace() / 200 == pytest.approx(accuracy(z, y))


def test_confusion_difference_is_positive_where_a_mistake_went_away():
    baseline = np.array([[5, 5], [0, 10]])
    arm = np.array([[9, 1], [0, 10]])
    assert confusion_difference(baseline, arm).tolist() == [[-4, 4], [0, 0]]


def test_confusion_difference_averages_over_seeds():
    baseline = np.array([[[4, 0], [0, 4]], [[2, 2], [0, 4]]])
    arm = torch.tensor([[4, 0], [1, 3]])
    assert confusion_difference(baseline, arm).tolist() == [[-1, 1], [-1, 1]]


@pytest.mark.parametrize("shapes", [((2, 2), (3, 3)), ((2, 3), (2, 3)), ((0, 2, 2), (2, 2))])
def test_confusion_difference_refuses_other_shapes(shapes):
    with pytest.raises(ValueError, match=r"baseline.shape=.*arm.shape=.*because cells"):
        confusion_difference(*(np.zeros(shape) for shape in shapes))


@pytest.mark.parametrize("measure", [*SCALARS, per_class_recall, confusion])
@pytest.mark.parametrize(
    ("logits", "labels", "error", "message"),
    [
        (np.zeros(3), np.zeros(3, int), ValueError, r"logits.shape=\(3,\).*because one student"),
        (np.zeros((2, 3, 4)), np.zeros(3, int), ValueError, r"logits.shape=\(2, 3, 4\)"),
        (np.zeros((0, 3)), np.zeros(0, int), ValueError, r"logits.shape=\(0, 3\).*non-empty"),
        (np.zeros((2, 3)), np.zeros(3, int), ValueError, r"labels.shape=\(3,\).*expected \(2,\)"),
        (np.zeros((2, 3)), np.array([0, 3]), ValueError, r"labels=0..3.*expected classes in 0..2"),
        (np.zeros((2, 3)), np.array([0, -1]), ValueError, r"labels=-1..0"),
        (np.zeros((2, 3)), np.zeros(2), TypeError, r"labels.dtype=.*expected integers"),
    ],
)
def test_wrong_input_is_refused_by_name(measure, logits, labels, error, message):
    with pytest.raises(error, match=rf"^{measure.__name__}\(.*{message}"):
        measure(logits, labels)


def test_accuracies_wants_a_stack():
    with pytest.raises(ValueError, match=r"accuracies\(logits.shape=\(2, 3\)\).*a stack"):
        accuracies(np.zeros((2, 3)), np.zeros(2, int))
