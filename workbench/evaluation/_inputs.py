"""What every measure accepts: logits and labels, checked once and brought to float64."""

from typing import Any

import torch
from numpy.typing import NDArray
from torch import Tensor

Array = Tensor | NDArray[Any]


def as_logits(logits: Array, what: str, axes: int = 2) -> Tensor:
    """Return detached float64 logits on the CPU, shape (n, K), or (N, n, K) when `axes` is 3.

    Float64, because the measures are compared to the fourth decimal and a float32 log-softmax of
    a confident student already loses it. CPU first, because some accelerators have no float64.

    Raises:
        ValueError: the wrong number of axes, no samples or no classes.
    """
    z = torch.as_tensor(logits).detach().cpu().to(torch.float64)
    if z.ndim != axes or z.numel() == 0:
        shape = "(samples, classes)" if axes == 2 else "(students, samples, classes)"
        raise ValueError(
            f"{what}(logits.shape={tuple(z.shape)}): expected a non-empty {shape} array, "
            f"because {'one student' if axes == 2 else 'a stack of students'} is judged here"
        )
    return z


def as_labels(labels: Array, logits: Tensor, what: str) -> Tensor:
    """Return the labels as int64 on the CPU, shape (n,), checked against logits (n, K).

    Raises:
        TypeError: labels which are not integers, for example one-hot or soft labels.
        ValueError: another number of labels than samples, or a class the logits do not have.
    """
    y = torch.as_tensor(labels).detach().cpu()
    if y.is_floating_point() or y.is_complex() or y.dtype == torch.bool:
        raise TypeError(
            f"{what}(labels.dtype={y.dtype}): expected integers, because a label is a class number"
        )
    n, classes = logits.shape
    if y.shape != (n,):
        raise ValueError(
            f"{what}(labels.shape={tuple(y.shape)}): expected ({n},), "
            f"because the logits have shape {tuple(logits.shape)}"
        )
    if y.min() < 0 or y.max() >= classes:
        raise ValueError(
            f"{what}(labels={int(y.min())}..{int(y.max())}): expected classes in "
            f"0..{classes - 1}, because the logits have {classes} columns"
        )
    return y.long()


def as_pair(student: Array, teacher: Array, what: str) -> tuple[Tensor, Tensor]:
    """Return the logits of student and teacher on the same samples, both (n, K).

    Raises:
        ValueError: the two have different shapes.
    """
    z_s, z_t = as_logits(student, what), as_logits(teacher, what)
    if z_s.shape != z_t.shape:
        raise ValueError(
            f"{what}(student.shape={tuple(z_s.shape)}, teacher.shape={tuple(z_t.shape)}): "
            "expected equal shapes, because they are compared sample by sample"
        )
    return z_s, z_t


def predictions(logits: Tensor) -> Tensor:
    """Return the predicted classes, (..., n, K) → (..., n), and -1 where a logit is NaN.

    `argmax` alone would report the position of the NaN, so that a student which diverged would
    score like one which always answers class 0: chance, where the truth is "no answer".
    """
    return logits.argmax(-1).masked_fill(logits.isnan().any(-1), -1)


def as_probabilities(values: Array, what: str, probabilities: bool) -> Tensor:
    """Return class probabilities (n, K): the softmax of logits, or the values themselves.

    The caller says which; guessing from the range 0..1 takes small logits for probabilities.

    Raises:
        ValueError: NaN (no confidence, so no bin), or `probabilities` whose rows are not a
            distribution.
    """
    z = as_logits(values, what)
    p = z if probabilities else z.softmax(-1)
    if p.isnan().any():
        raise ValueError(
            f"{what}(logits=NaN or infinite): expected finite logits, "
            "because a confidence that is not a number belongs to no bin"
        )
    off = float((p.sum(-1) - 1).abs().max())
    if p.min() < 0 or off > 1e-4:  # a float32 softmax is off by 1e-7 per class
        raise ValueError(
            f"{what}(probabilities): expected rows in 0..1 which sum to 1 (worst is off by "
            f"{off:.2g}), because logits are meant when probabilities=False"
        )
    return p
