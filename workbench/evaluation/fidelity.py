"""Does the student imitate its teacher? Agreement, divergence, and mistakes they share."""

from dataclasses import dataclass

import torch

from workbench.evaluation._inputs import Array, as_labels, as_pair, predictions


@dataclass(frozen=True)
class Venn:
    """How many samples who gets wrong; the four counts add up to n."""

    student_only: int
    both: int
    teacher_only: int
    neither: int


def agreement(student: Array, teacher: Array) -> float:
    r"""Return the share of samples on which student and teacher give the same answer.

    $\frac1n \sum_i [\arg\max_k z^s_{ik} = \arg\max_k z^t_{ik}]$

    Right or wrong: a student can be as accurate as its teacher and yet disagree on many samples.

    Args:
        student: logits, (n, K).
        teacher: logits on the same samples, (n, K).

    Source: Stanton et al., 2021, arXiv:2106.05945.
    """
    z_s, z_t = as_pair(student, teacher, "agreement")
    answer = predictions(z_s)
    return float(((answer == predictions(z_t)) & (answer >= 0)).double().mean())


def kl_to_teacher(student: Array, teacher: Array) -> float:
    r"""Return the divergence of the student from its teacher, in nats per sample.

    $\frac1n \sum_i \sum_k p^t_{ik} (\log p^t_{ik} - \log p^s_{ik})$ with $p = \sigma(z)$

    At temperature 1, whatever the student was trained with: this is what the student predicts
    when it is used. Summed over classes, not averaged, and infinite if the student excludes what
    the teacher thinks possible.

    Args:
        student: logits, (n, K).
        teacher: logits on the same samples, (n, K).

    Source: Stanton et al., 2021, arXiv:2106.05945.
    """
    z_s, z_t = as_pair(student, teacher, "kl_to_teacher")
    log_s, log_t = z_s.log_softmax(-1), z_t.log_softmax(-1)
    p_t = log_t.exp()
    # Where p_t is 0 the term is 0 by continuity; the product would be 0 · inf = NaN.
    terms = torch.where(p_t == 0, torch.zeros_like(p_t), p_t * (log_t - log_s))
    return float(terms.sum(-1).mean())


def venn(student: Array, teacher: Array, labels: Array) -> Venn:
    """Return who gets how many samples wrong: student alone, both, teacher alone, neither.

    `both` counts samples that both get wrong, also with different wrong classes; for the same
    wrong class see `repeated_errors`.

    Args:
        student: logits, (n, K).
        teacher: logits on the same samples, (n, K).
        labels: class numbers, (n,).
    """
    z_s, z_t = as_pair(student, teacher, "venn")
    y = as_labels(labels, z_s, "venn")
    s, t = predictions(z_s) != y, predictions(z_t) != y
    student_only, both, teacher_only, neither = (
        int(group.sum()) for group in (s & ~t, s & t, ~s & t, ~s & ~t)
    )
    return Venn(student_only, both, teacher_only, neither)


def repeated_errors(student: Array, teacher: Array, labels: Array) -> float | None:
    r"""Return the share of the teacher's errors which the student repeats with the same class.

    $|\{i : \hat y^s_i = \hat y^t_i \ne y_i\}| \,/\, |\{i : \hat y^t_i \ne y_i\}|$

    Two independent models rarely choose the same wrong class, so what lies above the share of a
    student trained without this teacher was inherited. None if the teacher makes no error.

    Args:
        student: logits, (n, K).
        teacher: logits on the same samples, (n, K).
        labels: class numbers, (n,).
    """
    z_s, z_t = as_pair(student, teacher, "repeated_errors")
    y = as_labels(labels, z_s, "repeated_errors")
    answer_s, answer_t = predictions(z_s), predictions(z_t)
    errors = answer_t != y
    if not errors.any():
        return None
    repeated = errors & (answer_s == answer_t) & (answer_s >= 0)
    return int(repeated.sum()) / int(errors.sum())
