"""Is this loss right? Runs somebody's own distillation loss through the laws.

A loss is `my_loss(student_logits, teacher_logits, labels, *, temperature, alpha)` with logits
(B, K) and labels (B,), alpha the teacher's share. What it breaks is said with numbers, and which
specimen of the bug zoo it resembles.
"""

from __future__ import annotations

import importlib.util
import inspect
import sys
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from workbench.base import BadInput, Batch, Outputs, unknown
from workbench.functional import cross_entropy, kl, soft_log_probs
from workbench.laws import LAWS, RTOL, case
from workbench.specimens import SPECIMENS, Loss, of

#: Laws of every loss that hold for one that knows neither stacks nor missing labels.
SHARED = ("terms", "gradient", "teacher", "order", "shift", "classes", "duplicates", "large",
          "two classes", "one sample", "pure")  # fmt: skip
#: Temperatures at which a loss is compared with the reference.
COLD, HOT, HOTTER = 1.0, 8.0, 20.0


@dataclass(frozen=True)
class Demand:
    """What a distillation loss must do: a name, a sentence, and what says why it does not."""

    name: str
    sentence: str
    holds: Callable[[Loss], str | None]


@dataclass(frozen=True)
class Finding:
    """What a check came to: what is broken, with the reason, and what it resembles.

    `asked`: the laws that it was asked for, one alone if it could not be called at all.
    """

    broken: Mapping[str, str]
    resembles: str | None
    exactly: bool
    asked: tuple[str, ...]

    def describe(self) -> dict[str, Any]:
        """Plain data for --json."""
        alike = None if self.resembles is None else SPECIMENS[self.resembles]
        return {
            "broken": dict(self.broken),
            "laws": {name: name not in self.broken if name in self.asked else None
                     for name in sentences()},
            "resembles": alike and {"name": alike.name, "mistake": alike.mistake,
                                    "symptom": alike.symptom, "exactly": self.exactly},
        }  # fmt: skip


def check(loss: Loss) -> Finding:
    """Which laws a loss breaks, each with the reason, and the specimen that it resembles."""

    if why := _uncalled(loss):
        return Finding({"terms": why}, None, False, ("terms",))
    broken = {}
    for name in SHARED:
        why = _breaks(loss, name)
        if why:
            broken[name] = why
    for demand in DEMANDS:
        try:
            why = demand.holds(loss)
        except Exception as error:  # whoever's loss it is may raise anything
            why = f"{type(error).__name__}: {' '.join(str(error).split())}"
        if why:
            broken[demand.name] = why
    alike = _alike(loss, broken) if broken else (None, False)
    return Finding(broken, *alike, tuple(sentences()))


def _uncalled(loss: Loss) -> str | None:
    """Why a loss cannot be asked anything: it raises, or what it returns is no loss."""
    one = case()
    try:
        found: Any = loss(one.student.logits.clone().requires_grad_(), one.teacher.logits.clone(),
                          one.batch.y.clone(), temperature=4.0, alpha=0.9)  # fmt: skip
    except (Exception, SystemExit) as error:  # whoever's loss it is may raise anything
        return f"{type(error).__name__}: {' '.join(str(error).split())}"
    if not isinstance(found, Tensor):
        return f"it returns {type(found).__name__}, expected a tensor without axes"
    if found.ndim == 0 and not bool(torch.isfinite(found)):
        return f"it is {float(found):g} for ordinary logits, expected a finite number"
    return None


def _breaks(loss: Loss, law: str) -> str | None:
    """Why it breaks one of the laws that hold for methods too."""

    def terms(student: Outputs, heard: Outputs | None, batch: Batch, _: Any) -> dict[str, Tensor]:
        assert heard is not None
        return {"loss": loss(student.logits, heard.logits, batch.y, temperature=4.0, alpha=0.9)}

    return LAWS[law].check(terms)


def sentences() -> dict[str, str]:
    """Every law that a loss is asked for, in one sentence."""
    shared = {name: LAWS[name].sentence for name in SHARED}
    shared["terms"] = "The loss is one finite number, a tensor without axes."
    return shared | {demand.name: demand.sentence for demand in DEMANDS}


# -------------------------------------------------------------------- what distillation must do


def reference(
    student_logits: Tensor, teacher_logits: Tensor, labels: Tensor, *, temperature: float,
    alpha: float,
) -> Tensor:  # fmt: skip
    """Hinton's loss as it should be: what every loss here is compared with."""
    log_p = soft_log_probs(teacher_logits.detach(), temperature)
    soft = kl(log_p, soft_log_probs(student_logits, temperature))
    return alpha * temperature**2 * soft + (1 - alpha) * cross_entropy(student_logits, labels)


def _slope(loss: Loss, temperature: float, alpha: float, seed: int = 0) -> Tensor:
    """The gradient (B, K) at the student's logits."""
    one = case(seed=seed)
    z = one.student.logits.clone().requires_grad_()
    value = loss(z, one.teacher.logits, one.batch.y, temperature=temperature, alpha=alpha)
    if not value.requires_grad:
        return torch.zeros_like(z)
    return torch.autograd.grad(value, z, materialize_grads=True)[0]


def _value(loss: Loss, student: Tensor, alpha: float, temperature: float = COLD) -> float:
    one = case()
    found = loss(student, one.teacher.logits, one.batch.y, temperature=temperature, alpha=alpha)
    return float(found.detach())


def _off(loss: Loss, temperature: float, alpha: float) -> tuple[float, float]:
    """How far the gradient points elsewhere (0 to 2), and how many times too large it is."""
    found, right = (_slope(each, temperature, alpha).flatten() for each in (loss, reference))
    if not float(found.norm()):
        return 1.0, 0.0
    cosine = float(found @ right / (found.norm() * right.norm()))
    return 1 - cosine, float(found.norm() / right.norm())


def _direction(loss: Loss) -> str | None:
    off, size = _off(loss, COLD, 1.0)
    if not size:
        return "at alpha = 1 there is no gradient: the teacher is not heard"
    if off < 1e-9:
        return None
    rest = (_slope(loss, COLD, 1.0) - _slope(reference, COLD, 1.0)).flatten()
    labels = _slope(reference, COLD, 0.0).flatten()
    if torch.cosine_similarity(rest, labels, dim=0) > 1 - 1e-9:
        return "at alpha = 1, the teacher alone, the labels still count"
    return f"the cosine with it is {1 - off:.4f}"


def _reduction(loss: Loss) -> str | None:
    off, size = _off(loss, COLD, 1.0)
    if off > 1e-9 or abs(size - 1) < RTOL:
        return None  # where it points elsewhere its size means nothing
    rows, classes = case().student.logits.shape
    known = {1 / classes: "a mean over classes too", 1 / (rows * classes): "a mean over all",
             float(rows): "a sum over the batch"}  # fmt: skip
    why = next((f" ({text})" for k, text in known.items() if abs(size / k - 1) < 1e-6), "")
    return f"at T = 1 the gradient is {size:.4g} times the right one{why}"


def _both_sides(loss: Loss) -> str | None:
    cold, _ = _off(loss, COLD, 1.0)
    off, size = _off(loss, HOT, 1.0)
    if cold > 1e-9 or not size:
        return None
    return None if off < 1e-9 else f"at T = {HOT:g} the cosine with the right one is {1 - off:.4f}"


def _squared(loss: Loss) -> str | None:
    cold, small = _off(loss, COLD, 1.0)
    for temperature in (HOT, HOTTER):
        hot, large = _off(loss, temperature, 1.0)
        if max(cold, hot) > 1e-9 or not small:
            return None
        share = large / small
        if abs(share - 1) >= 1e-6:
            return (
                f"from T = 1 to T = {temperature:g} the teacher's weight becomes {share:.4g} "
                "times what it was"
            )
    return None


def _sure(loss: Loss) -> str | None:
    """Asked only where the direction is right: else another law speaks."""
    if _off(loss, COLD, 1.0)[0] > 1e-9:
        return None
    one, rows = case(), torch.arange(len(case().batch.y))
    wrong = one.teacher.logits.argmin(-1)
    z = torch.zeros_like(one.student.logits)
    z[rows, wrong] = 60.0

    def at(each: Loss) -> Tensor:
        leaf = z.clone().requires_grad_()
        value = each(leaf, one.teacher.logits, one.batch.y, temperature=COLD, alpha=1.0)
        return torch.autograd.grad(value, leaf, materialize_grads=True)[0]

    found, right = at(loss), at(reference)
    # where its size is wrong everywhere, the law of the reduction says so
    found = found / (_off(loss, COLD, 1.0)[1] or 1.0)
    if torch.allclose(found, right, rtol=1e-3, atol=1e-6):
        return None
    share = float(found.norm() / right.norm())
    return (
        "where the student is sure of the wrong class, 60 above the rest, the gradient is "
        f"{share:.3g} times the right one: such students never learn better"
    )


def _size_of_batch(loss: Loss) -> str | None:
    one = case()
    both = [torch.cat([t, t]) for t in (one.student.logits, one.teacher.logits, one.batch.y)]
    once = _value(loss, one.student.logits, 0.5)
    twice = float(loss(*both, temperature=COLD, alpha=0.5).detach())
    if abs(twice - once) <= RTOL * (1 + abs(once)):
        return None
    return f"{once:.6g}, and {twice:.6g} with every sample twice"


def _labels(loss: Loss) -> str | None:
    off, size = _off(loss, HOT, 0.0)
    if off < 1e-9 and abs(size - 1) < RTOL:
        return None
    found = _slope(loss, HOT, 1.0)
    if torch.allclose(found, _slope(reference, HOT, 0.0), rtol=RTOL):
        return "alpha = 1 gives the labels alone: here alpha is the teacher's share"
    return f"the gradient is {size:.4g} times the cross-entropy's, the cosine {1 - off:.4f}"


def _mixture(loss: Loss) -> str | None:
    z = case().student.logits
    none, half, full = (_value(loss, z, alpha, 4.0) for alpha in (0.0, 0.5, 1.0))
    if abs(half - (none + full) / 2) <= RTOL * (1 + abs(half)):
        return None
    return f"{none:.6g} at alpha = 0 and {full:.6g} at 1, but {half:.6g} at ½"


def _least(loss: Loss) -> str | None:
    one = case()
    least = _value(loss, one.teacher.logits, 1.0)
    others = [case(seed=s).student.logits for s in range(8)]
    others += [share * one.teacher.logits for share in (0.3, 3)]  # less sure than it, and surer
    lower = [v for v in (_value(loss, z, 1.0) for z in others) if v < least - 1e-9]
    if not lower:
        return None
    return f"a copy of the teacher scores {least:.4g}, another student {min(lower):.4g}"


DEMANDS = (
    Demand(
        "direction",
        "At T = 1 and alpha = 1 the gradient points along p_s − p_t, the forward KL's.",
        _direction,
    ),
    Demand("least", "At alpha = 1 no student scores lower than a copy of the teacher.", _least),
    Demand(
        "reduction",
        "At T = 1 and alpha = 1 the gradient is (p_s − p_t)/B: sum over classes, mean over batch.",
        _reduction,
    ),
    Demand(
        "both sides",
        "At T = 8 the gradient points along the difference of the softened answers.",
        _both_sides,
    ),
    Demand("batch", "Every sample twice gives the same loss.", _size_of_batch),
    Demand("sure", "A student that is sure and wrong gets the whole gradient.", _sure),
    Demand("T squared", "Turning T does not change what the teacher counts.", _squared),
    Demand("labels", "At alpha = 0 it is the cross-entropy with the labels.", _labels),
    Demand("mixture", "Between alpha = 0 and 1 it is a mixture in these shares.", _mixture),
)


# ------------------------------------------------------------------------------ resemblance


def _gradients(loss: Loss) -> Tensor:
    """What a loss does on a few cases: its gradients, one after another."""
    asked = ((COLD, 1.0), (HOT, 1.0), (4.0, 0.5), (HOT, 0.0))
    return torch.stack([_slope(loss, t, a, seed).flatten() for t, a in asked for seed in (0, 1)])


def _alike(loss: Loss, broken: Mapping[str, str]) -> tuple[str | None, bool]:
    """The specimen with the same gradients; else the nearest whose law the loss breaks, too."""
    try:
        mine = _gradients(loss)
    except Exception:  # it was said already why it cannot be asked
        return None, False
    if not bool(torch.isfinite(mine).all()) or not float(mine.norm()):
        return None, False
    if torch.allclose(mine, _gradients(reference), rtol=1e-6, atol=1e-12):
        return _by_law(broken)  # right on ordinary numbers: only a law tells such specimens apart
    near: list[tuple[float, str]] = []
    for name, specimen in of("loss").items():
        with warnings.catch_warnings():  # torch's, of a specimen's mistake, not of this loss
            warnings.simplefilter("ignore")
            theirs = _gradients(specimen.loss)
        if torch.allclose(mine, theirs, rtol=1e-6, atol=1e-12):
            return name, True
        cosine = torch.cosine_similarity(mine.flatten(), theirs.flatten(), dim=0)
        if specimen.law in broken:
            near.append((float(cosine), name))
    best, name = max(near, default=(0.0, ""))
    return (name, False) if best > 0.99 else (None, False)


def _by_law(broken: Mapping[str, str]) -> tuple[str | None, bool]:
    """For losses that are right on ordinary numbers: the specimen that breaks what it breaks."""
    for name, specimen in of("loss").items():
        if specimen.law in ("teacher", "large") and specimen.law in broken:
            return name, False
    return None, False


# ------------------------------------------------------------------------------ their files


def load(spec: str) -> Loss:
    """The function that `file.py:name` means; `BadInput` in one sentence if it cannot be had."""
    path, colon, name = spec.rpartition(":")
    if not colon or not name.isidentifier() or not path.endswith(".py"):
        raise BadInput(f"{spec!r}: expected file.py:function, such as my_losses.py:my_loss")
    file = Path(path)
    if not file.is_file():
        raise BadInput(f"{path}: no such file")
    found = importlib.util.spec_from_file_location(file.stem, file)
    assert found is not None and found.loader is not None
    module = importlib.util.module_from_spec(found)
    sys.path.insert(0, str(file.parent.resolve()))  # what lies beside it can be imported
    try:
        found.loader.exec_module(module)
    except Exception as error:
        why = " ".join(f"{type(error).__name__}: {error}".split())
        raise BadInput(f"{path}: cannot be read ({why})") from None
    finally:
        sys.path.pop(0)
    functions = [k for k, v in vars(module).items() if inspect.isfunction(v)]
    if not hasattr(module, name):
        raise unknown(f"{path}: function", name, functions)
    loss = getattr(module, name)
    try:
        inspect.signature(loss).bind(None, None, None, temperature=4.0, alpha=0.9)
    except TypeError as error:
        raise BadInput(
            f"{spec}: {error}; expected "
            f"{name}(student_logits, teacher_logits, labels, *, temperature, alpha)"
        ) from None
    return loss
