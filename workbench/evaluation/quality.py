"""How often, and how surely, one student is right: accuracy, likelihood, recall, confusion."""

import numpy as np
from numpy.typing import NDArray
from torch.nn.functional import one_hot

from workbench.evaluation._inputs import Array, as_labels, as_logits, predictions


def accuracy(logits: Array, labels: Array) -> float:
    r"""Return the share of samples whose largest logit is the label's.

    $\frac1n \sum_i [\arg\max_k z_{ik} = y_i]$

    A sample with a NaN logit counts as wrong, so that a diverged student cannot score at chance.

    Args:
        logits: of one student, (n, K). For a stack see `accuracies`.
        labels: class numbers, (n,).
    """
    z = as_logits(logits, "accuracy")
    return float((predictions(z) == as_labels(labels, z, "accuracy")).double().mean())


def accuracies(logits: Array, labels: Array) -> list[float]:
    """Return the accuracy of each student of a stack, in one tensor operation.

    The live chart asks for it every few steps; one call per student would cost more than a step.

    Args:
        logits: of N students on the same samples, (N, n, K).
        labels: class numbers, (n,).
    """
    z = as_logits(logits, "accuracies", axes=3)
    hits = predictions(z) == as_labels(labels, z[0], "accuracies")
    return [float(share) for share in hits.double().mean(-1)]


def nll(logits: Array, labels: Array) -> float:
    r"""Return the mean negative log-likelihood of the labels, in nats per sample.

    $-\frac1n \sum_i \log \sigma(z_i)_{y_i}$

    From log-softmax in float64, not from probabilities: clipping a float32 probability away from
    zero, as `sklearn.metrics.log_loss` must, hides how wrong a confident mistake is.

    Args:
        logits: of one student, (n, K).
        labels: class numbers, (n,).
    """
    z = as_logits(logits, "nll")
    y = as_labels(labels, z, "nll")
    return float(-z.log_softmax(-1).gather(-1, y[:, None]).mean())


def brier(logits: Array, labels: Array) -> float:
    r"""Return the multi-class Brier score: summed over classes, averaged over samples, in 0..2.

    $\frac1n \sum_i \sum_k (\sigma(z_i)_k - [k = y_i])^2$

    This is Brier's own convention; others divide by K or by 2, so compare scores with care.

    Args:
        logits: of one student, (n, K).
        labels: class numbers, (n,).

    Source: Brier, 1950, Monthly Weather Review 78(1).
    """
    z = as_logits(logits, "brier")
    y = as_labels(labels, z, "brier")
    return float((z.softmax(-1) - one_hot(y, z.shape[-1])).square().sum(-1).mean())


def per_class_recall(logits: Array, labels: Array) -> list[float | None]:
    """Return for each class the share of its samples which the student finds, K values.

    A class without samples gets None: 0 would blame the student, and NaN is not JSON.

    Args:
        logits: of one student, (n, K).
        labels: class numbers, (n,).
    """
    from sklearn.metrics import recall_score

    z = as_logits(logits, "per_class_recall")
    y = as_labels(labels, z, "per_class_recall").numpy()
    recall = recall_score(
        y,
        predictions(z).numpy(),
        labels=range(z.shape[-1]),
        average=None,
        zero_division=np.nan,
    )
    return [None if np.isnan(share) else float(share) for share in recall]


def confusion(logits: Array, labels: Array) -> NDArray[np.int64]:
    """Return the counts (K, K): the row is the true class, the column the student's answer.

    A sample with a NaN logit has no answer and is in no column, so its row sums to less.

    Args:
        logits: of one student, (n, K).
        labels: class numbers, (n,).
    """
    from sklearn.metrics import confusion_matrix

    z = as_logits(logits, "confusion")
    y = as_labels(labels, z, "confusion").numpy()
    counts = confusion_matrix(y, predictions(z).numpy(), labels=range(z.shape[-1]))
    return np.asarray(counts, dtype=np.int64)


def confusion_difference(baseline: Array, arm: Array) -> NDArray[np.float64]:
    r"""Return which mistakes went away, (K, K): mean counts of the baseline minus the arm's.

    $\bar C^\text{baseline} - \bar C^\text{arm}$

    Off the diagonal, positive = mistakes that the baseline makes and the arm does not. On the
    diagonal the sign turns: positive = correct answers which the arm lost.

    Args:
        baseline: one confusion matrix (K, K), or those of several seeds (N, K, K), averaged first.
        arm: the same for the method under test; the number of seeds may differ.

    Raises:
        ValueError: matrices which are not square, or not of the same classes.
    """
    a, b = (np.asarray(counts, dtype=np.float64) for counts in (baseline, arm))
    square = all(m.ndim in (2, 3) and m.shape[-1] == m.shape[-2] and m.size for m in (a, b))
    if not square or a.shape[-1] != b.shape[-1]:
        raise ValueError(
            f"confusion_difference(baseline.shape={a.shape}, arm.shape={b.shape}): expected "
            "(K, K) or (N, K, K) with one K, because cells of the same classes are subtracted"
        )
    classes = a.shape[-1]
    difference = _mean_counts(a, classes) - _mean_counts(b, classes)
    return np.asarray(difference, dtype=np.float64)


def _mean_counts(counts: NDArray[np.float64], classes: int) -> NDArray[np.float64]:
    return np.asarray(counts.reshape(-1, classes, classes).mean(0))
