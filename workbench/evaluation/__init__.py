"""Measures of a student: quality, calibration, fidelity, cost, and verdicts on differences.

Pure functions: logits and labels in, numbers out. Nothing here trains, draws or touches disk.
"""

from workbench.evaluation.calibration import Bin, ece, reliability
from workbench.evaluation.quality import (
    accuracies,
    accuracy,
    brier,
    confusion,
    confusion_difference,
    nll,
    per_class_recall,
)

__all__ = [
    "Bin",
    "accuracies",
    "accuracy",
    "brier",
    "confusion",
    "confusion_difference",
    "ece",
    "nll",
    "per_class_recall",
    "reliability",
]
