"""Measures of a student: quality, calibration, fidelity, cost, and verdicts on differences.

Pure functions: logits and labels in, numbers out. Nothing here trains, draws or touches disk.
"""

from workbench.evaluation.calibration import Bin, ece, reliability
from workbench.evaluation.cost import Latency, flops, latency, parameters, weight_bytes
from workbench.evaluation.fidelity import Venn, agreement, kl_to_teacher, repeated_errors, venn
from workbench.evaluation.quality import (
    accuracies,
    accuracy,
    brier,
    confusion,
    confusion_difference,
    nll,
    per_class_recall,
)
from workbench.evaluation.report import aggregate, report, reports
from workbench.evaluation.verdict import (
    Scores,
    Summary,
    Verdict,
    corrected,
    summary,
    verdict,
    verdicts,
)

__all__ = [
    "Bin",
    "Latency",
    "Scores",
    "Summary",
    "Venn",
    "Verdict",
    "accuracies",
    "accuracy",
    "aggregate",
    "agreement",
    "brier",
    "confusion",
    "confusion_difference",
    "corrected",
    "ece",
    "flops",
    "kl_to_teacher",
    "latency",
    "nll",
    "parameters",
    "per_class_recall",
    "reliability",
    "repeated_errors",
    "report",
    "reports",
    "summary",
    "venn",
    "verdict",
    "verdicts",
    "weight_bytes",
]
