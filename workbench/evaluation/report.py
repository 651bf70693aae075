"""All there is to say about one student, or each of a stack, as plain data for JSON."""

from collections.abc import Sequence
from dataclasses import asdict
from math import isfinite
from typing import Any

import numpy as np
import torch

from workbench.evaluation._inputs import Array, as_labels, as_logits
from workbench.evaluation.calibration import error_of, reliability
from workbench.evaluation.fidelity import agreement, kl_to_teacher, repeated_errors, venn
from workbench.evaluation.quality import accuracy, brier, confusion, nll, per_class_recall
from workbench.evaluation.verdict import summary

QUALITY = ("accuracy", "nll", "brier", "ece")
FIDELITY = ("agreement", "kl_to_teacher", "repeated_errors")


def report(logits: Array, labels: Array, teacher_logits: Array | None = None) -> dict[str, Any]:
    """Return every measure of one student as a dict of numbers, lists and None.

    What is not finite becomes None (the likelihood of a diverged student), because NaN is not
    JSON and a chart would draw it somewhere.

    Keys: n, accuracy, nll, brier, ece, reliability (a dict per bin: low, high, count,
    confidence, accuracy), recall (K), confusion (K rows = true class, K columns = answer); with
    a teacher also agreement, kl_to_teacher, repeated_errors, venn (student_only, both,
    teacher_only, neither).

    Args:
        logits: of one student, (n, K).
        labels: class numbers, (n,).
        teacher_logits: on the same samples, (n, K).
    """
    z = as_logits(logits, "report")
    y = as_labels(labels, z, "report")
    # Without a confidence there are no bins; calibration would refuse, the report says None.
    bins = None if z.softmax(-1).isnan().any() else reliability(z, y)
    result: dict[str, Any] = {
        "n": len(y),
        "accuracy": accuracy(z, y),
        "nll": _finite(nll(z, y)),
        "brier": _finite(brier(z, y)),
        "ece": None if bins is None else error_of(bins),
        "reliability": None if bins is None else [asdict(one) for one in bins],
        "recall": per_class_recall(z, y),
        "confusion": confusion(z, y).tolist(),
    }
    if teacher_logits is not None:
        result |= {
            "agreement": agreement(z, teacher_logits),
            "kl_to_teacher": _finite(kl_to_teacher(z, teacher_logits)),
            "repeated_errors": repeated_errors(z, teacher_logits, y),
            "venn": asdict(venn(z, teacher_logits, y)),
        }
    return result


def reports(
    logits: Array, labels: Array, teacher_logits: Array | None = None
) -> list[dict[str, Any]]:
    """Return the report of each student of a stack, in their order.

    Args:
        logits: of N students, (N, n, K).
        labels: class numbers, (n,), or (N, n) if the students were tested on different splits.
        teacher_logits: (n, K), or (N, n, K) if the students had different teachers.

    Raises:
        ValueError: a stack of labels or teachers which is not as high as that of the students.
    """
    z = as_logits(logits, "reports", axes=3)
    y = _one_each(labels, len(z), 2, "labels")
    t = None if teacher_logits is None else _one_each(teacher_logits, len(z), 3, "teacher_logits")
    return [report(z[i], y[i], None if t is None else t[i]) for i in range(len(z))]


def aggregate(reports: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Return mean and sample standard deviation of the scalars over students, and mean confusion.

    Keys: students; for each scalar of the reports a dict of mean, std and n; confusion (K, K) as
    mean counts. A scalar which one student lacks is None for all: the mean of those which
    converged would flatter the method.

    Args:
        reports: of `report` or `reports`, all with or all without a teacher.

    Raises:
        ValueError: no reports, or some with and some without a teacher.
    """
    if not reports or len({frozenset(one) for one in reports}) != 1:
        raise ValueError(
            f"aggregate(reports={[sorted(one) for one in reports]}): expected at least one, all "
            "with the same measures, because a mean over some of the students misleads"
        )
    scalars = [name for name in QUALITY + FIDELITY if name in reports[0]]
    counts = np.mean([one["confusion"] for one in reports], axis=0)
    return {
        "students": len(reports),
        **{name: dict(summary([[one[name] for one in reports]])) for name in scalars},
        "confusion": counts.tolist(),
    }


def _finite(value: float) -> float | None:
    return value if isfinite(value) else None


def _one_each(values: Array, students: int, axes: int, what: str) -> torch.Tensor:
    """Return the values with a leading axis of students: shared ones repeated (not copied)."""
    v = torch.as_tensor(values)
    if v.ndim == axes - 1:
        return v.expand(students, *v.shape)
    if v.ndim != axes or len(v) != students:
        raise ValueError(
            f"reports({what}.shape={tuple(v.shape)}): expected {axes - 1} axes, or {axes} with "
            f"{students} first, because there are {students} students"
        )
    return v
