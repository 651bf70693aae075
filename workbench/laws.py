"""What every loss must obey, as data: the tests run these laws, and so can whoever writes a loss.

Each law has a name, a sentence and `check(method or loss)`, which says why it is broken, or None.
A method that may break one declares it in `exceptions`, with the reason.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, cast

import torch
from torch import Tensor, nn

from workbench.base import PEER, BadInput, Batch, Build, Method, Outputs, stack
from workbench.models.mlp import MLP

Loss = Callable[[Outputs, Outputs | None, Batch, nn.Module | None], Mapping[str, Tensor]]

#: Relative and absolute difference at which two float64 numbers still are the same.
RTOL, ATOL = 1e-6, 1e-9
#: How much larger duplicate rows may make the gradient.
DUPLICATES = 100.0
#: Samples in the data from which a case draws its batch.
SAMPLES = 40


@dataclass(frozen=True)
class Law:
    """A property of losses: its name, what it says, and the check of one stage of a method."""

    name: str
    sentence: str
    holds: Callable[[Method, str], str | None]

    def check(self, loss: Method | Loss) -> str | None:
        """Why the loss breaks this law; None if it obeys. An error counts as breaking it."""
        method = loss if isinstance(loss, Method) else _Bare(loss)
        for stage, _, _ in method.plan():
            try:
                why = self.holds(method, stage)
            except Exception as error:  # whoever's loss it is may raise anything
                why = f"{type(error).__name__}: {error}"
            if why:
                return f"in stage {stage!r}: {why}" if stage else why
        return None


LAWS: dict[str, Law] = {}


def broken(loss: Method | Loss) -> dict[str, str]:
    """The laws that a loss breaks without having declared it, each with the reason."""
    allowed = loss.exceptions if isinstance(loss, Method) else {}
    found = {name: law.check(loss) for name, law in LAWS.items() if name not in allowed}
    return {name: why for name, why in found.items() if why}


# ---------------------------------------------------------------------------------- a case


@dataclass(frozen=True)
class _Bare(Method):
    """A loss function that nobody made a method of."""

    title: ClassVar[str] = "A loss"
    paper: ClassVar[str] = ""

    function: Loss | None = None

    def loss(
        self, student: Outputs, teacher: Outputs | None, batch: Batch, adapter: nn.Module | None
    ) -> dict[str, Tensor]:
        """What the function says."""
        assert self.function is not None
        return dict(self.function(student, teacher, batch, adapter))


@dataclass(frozen=True)
class Case:
    """What one call of `loss` gets: outputs in float64 of a student (or stack) and a teacher."""

    student: Outputs
    teacher: Outputs
    batch: Batch

    def terms(self, method: Method, adapter: nn.Module | None) -> Mapping[str, Tensor]:
        """The method's terms; without a teacher where it needs none."""
        teacher = self.teacher if "teacher" in method.needs else None
        return method.loss(self.student, teacher, self.batch, adapter)

    def adapter(self, method: Method, seeds: tuple[int, ...] = (0,)) -> nn.Module | None:
        """What the method learns or remembers besides the students."""
        stacked = self.student.logits.ndim > 2
        teacher = self.teacher if "teacher" in method.needs else None
        made = method.setup(
            self.student,
            teacher,
            self.batch,
            SAMPLES,
            Build(seeds, stacked, lambda fresh: self._network(seeds, fresh)),
        )
        return None if made is None else made.to(torch.float64)

    def _network(self, seeds: tuple[int, ...], fresh: bool) -> nn.Module:
        """A network that takes the case's x, as `Build` gives it: one, or a stack."""
        lead = (len(seeds),) if self.student.logits.ndim > 2 else ()
        made = MLP((1, 4, 4), self.student.logits.shape[-1], lead, (5,))
        made.initialise([seed + fresh * PEER for seed in seeds])
        return made

    def rows(self, index: Tensor) -> Case:
        """Some samples of the batch, in this order."""
        batch = self.batch
        batch = dataclasses.replace(
            batch,
            x=batch.x[index],
            y=batch.y[index],
            index=None if batch.index is None else batch.index[index],
        )
        return Case(self.student.rows(index), self.teacher.rows(index), batch)

    def logits(self, change: Callable[[Tensor], Tensor]) -> Case:
        """The same case with all logits of student and teacher changed."""
        return Case(_logits(self.student, change), _logits(self.teacher, change), self.batch)


def _logits(said: Outputs, change: Callable[[Tensor], Tensor]) -> Outputs:
    extra = {k: change(v) if k == "members" else v for k, v in said.extra.items()}
    return dataclasses.replace(said, logits=change(said.logits), extra=extra)


def case(stage: str = "", samples: int = 6, classes: int = 5, seed: int = 0) -> Case:
    """A student, a teacher with other widths, and a labelled batch, drawn from the seed."""
    draw = torch.Generator().manual_seed(seed)

    def normal(*shape: int) -> Tensor:
        return torch.randn(shape, generator=draw, dtype=torch.float64)

    def said(width: int, size: float) -> Outputs:
        features = {"hidden1": normal(samples, 1, width)}
        grids = {}
        for k, side in enumerate((4, 2, 2), 1):
            features[f"stage{k}"] = normal(samples, side * side, width + k)
            grids[f"stage{k}"] = (side, side)
        return Outputs(normal(samples, classes) * size, features, grids)

    def dressed(student: Outputs, teacher: Outputs) -> Outputs:
        """With the feature that a method which dresses its students gives them, as the first."""
        name, last = "projected", list(teacher.features)[-1]
        features = {name: normal(*teacher.features[last].shape), **student.features}
        grids = {name: teacher.grids[last], **student.grids}
        return dataclasses.replace(student, features=features, grids=grids)

    student, teacher = said(5, 1.0), said(7, 3.0)
    members = torch.stack([teacher.logits, normal(samples, classes) * 3])
    teacher = dataclasses.replace(teacher, extra={"members": members})
    y = torch.randint(0, classes, (samples,), generator=draw)
    index = torch.randperm(SAMPLES, generator=draw)[:samples]
    batch = Batch(normal(samples, 1, 4, 4), y, index, progress=0.25, stage=stage)
    return Case(dressed(student, teacher), teacher, batch)


def variants(method: Method, n: int) -> list[Method]:
    """n methods of one kind whose numbers run over their sliders."""
    changes: list[dict[str, float]] = [{} for _ in range(n)]
    for name, made in method.knobs().items():
        if made.kind in ("float", "int") and made.slider:
            low, high = made.slider
            for i in range(n):
                value = low + (high - low) * i / max(1, n - 1)
                changes[i][name] = round(value) if made.kind == "int" else value
    return [cast(Method, dataclasses.replace(cast(Any, method), **change)) for change in changes]


def total(terms: Mapping[str, Tensor]) -> Tensor:
    """The loss: the terms are weighted already and add up to it."""
    return sum(terms.values(), torch.zeros((), dtype=torch.float64))


def gradients(
    method: Method, one: Case, adapter: nn.Module | None
) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """The gradients that reach the student's outputs and the teacher's, by their names."""

    def leaves(said: Outputs) -> Outputs:
        return said.each(lambda value: value.detach().clone().requires_grad_())

    def reached(said: Outputs) -> dict[str, Tensor]:
        named = {"logits": said.logits, **said.features, **said.extra}
        return {k: v.grad for k, v in named.items() if v.grad is not None}

    alive = Case(leaves(one.student), leaves(one.teacher), one.batch)
    loss = total(alive.terms(method, adapter)).sum()
    if loss.requires_grad:
        loss.backward()
    return reached(alive.student), reached(alive.teacher)


def _law(name: str, sentence: str) -> Callable[[Callable[[Method, str], str | None]], Law]:
    def add(holds: Callable[[Method, str], str | None]) -> Law:
        LAWS[name] = Law(name, sentence, holds)
        return LAWS[name]

    return add


def _same(a: Mapping[str, Tensor], b: Mapping[str, Tensor]) -> str | None:
    """Where two results differ."""
    if a.keys() != b.keys():
        return f"the terms are {sorted(a)}, then {sorted(b)}"
    for name in a:
        if a[name].shape != b[name].shape:
            return f"{name} has shape {tuple(a[name].shape)}, then {tuple(b[name].shape)}"
        if not torch.allclose(a[name], b[name], rtol=RTOL, atol=ATOL):
            return f"{name} is {_shown(a[name])}, then {_shown(b[name])}"
    return None


def _shown(value: Tensor) -> str:
    numbers = [f"{number:.9g}" for number in value.detach().reshape(-1).tolist()[:4]]
    return numbers[0] if value.ndim == 0 else f"[{', '.join(numbers)}]"


def _finite(method: Method, one: Case) -> str | None:
    """Why value or gradient are not finite scalars; a `BadInput` with its reason is allowed."""
    try:
        adapter = one.adapter(method)
        terms = one.terms(method, adapter)
    except BadInput as error:
        return None if str(error) else "it raises without a reason"
    for name, value in terms.items():
        if not bool(torch.isfinite(value).all()):
            return f"the term {name} is {_shown(value)}"
    for name, slope in gradients(method, one, adapter)[0].items():
        if not bool(torch.isfinite(slope).all()):
            return f"the gradient of {name} is not finite"
    return None


def _unchanged(method: Method, one: Case, other: Case) -> str | None:
    adapter = one.adapter(method)
    return _same(one.terms(method, adapter), other.terms(method, adapter))


# ---------------------------------------------------------------------------------- the laws


@_law("terms", "For one student the loss is a dict of named, finite scalars.")
def terms(method: Method, stage: str) -> str | None:
    """At least one term, each a tensor without axes."""
    one = case(stage)
    found = one.terms(method, one.adapter(method))
    if not found:
        return "there is no term"
    for name, value in found.items():
        if not isinstance(name, str) or not name:
            return f"{name!r} is not a name"
        if not isinstance(value, Tensor) or value.shape != ():
            shape = tuple(value.shape) if isinstance(value, Tensor) else type(value).__name__
            return f"the term {name} is not a scalar tensor but {shape}"
        if not bool(torch.isfinite(value)):
            return f"the term {name} is {_shown(value)}"
    return None


@_law("stack", "The loss of a stack is the losses of its students, one by one.")
def stacks(method: Method, stage: str) -> str | None:
    """With numbers that differ from student to student, on a shared batch and on own ones."""
    if not method.stackable:
        return None
    seeds = (0, 1, 2)
    methods = variants(method, len(seeds))
    for shared in (True, False):
        ones = [case(stage, seed=seed) for seed in seeds]
        if shared:
            ones = [Case(one.student, ones[0].teacher, ones[0].batch) for one in ones]
        adapters = [o.adapter(m, (s,)) for o, m, s in zip(ones, methods, seeds, strict=True)]
        alone = [o.terms(m, a) for o, m, a in zip(ones, methods, adapters, strict=True)]
        apart = {name: torch.stack([one[name] for one in alone]) for name in alone[0]}
        together = _together(ones, shared)
        merged = stack(methods, together.student.logits)
        found = together.terms(merged, together.adapter(merged, seeds))
        why = _same(apart, found)
        if why:
            return f"one by one {why} together ({'one batch' if shared else 'own batches'})"
    return None


def _together(ones: list[Case], shared: bool) -> Case:
    first, student = ones[0].batch, _joined([one.student for one in ones])
    if shared:
        teacher = ones[0].teacher.each(lambda value: value.unsqueeze(0))
        return Case(student, teacher, first)
    batch = dataclasses.replace(
        first,
        x=torch.stack([one.batch.x for one in ones]),
        y=torch.stack([one.batch.y for one in ones]),
        index=torch.stack([one.batch.index for one in ones if one.batch.index is not None]),
    )
    return Case(student, _joined([one.teacher for one in ones]), batch)


def _joined(many: list[Outputs]) -> Outputs:
    features = {k: torch.stack([s.features[k] for s in many]) for k in many[0].features}
    extra = {k: torch.stack([s.extra[k] for s in many]) for k in many[0].extra}
    return Outputs(torch.stack([s.logits for s in many]), features, many[0].grids, extra)


@_law("ahead", "What it works out for many steps ahead gives each step the same loss.")
def ahead(method: Method, stage: str) -> str | None:
    """Two steps of a stack, its `targets` asked for together."""
    seeds = (0, 1, 2) if method.stackable else (0,)
    merged = stack(variants(method, len(seeds)), torch.zeros((), dtype=torch.float64))
    for shared in (True, False):
        steps = []
        for step in (0, 10):
            ones = [case(stage, seed=seed + step) for seed in seeds]
            steps.append(_together(ones, shared) if method.stackable else ones[0])
        adapter = steps[0].adapter(merged, seeds)
        heard = _joined([one.teacher for one in steps]) if "teacher" in method.needs else None
        first = steps[0].batch
        y = torch.stack([one.batch.y for one in steps])
        y = y.unsqueeze(1) if method.stackable and y.ndim == 2 else y
        found = merged.targets(steps[0].student.logits, heard, dataclasses.replace(first, y=y))
        for i, one in enumerate(steps):
            batch = dataclasses.replace(one.batch, targets=tuple(each[i] for each in found))
            told = Case(one.student, one.teacher, batch).terms(merged, adapter)
            if found:
                told = merged.loss(one.student, None, batch, adapter)
            why = _same(one.terms(merged, adapter), told)
            if why:
                return f"step by step {why} ahead ({'one batch' if shared else 'own batches'})"
    return None


@_law("gradient", "The gradient reaches the student, and every weight that is learnt beside it.")
def reaches(method: Method, stage: str) -> str | None:
    """The student's logits; a method that needs features may do with these."""
    one = case(stage)
    adapter = one.adapter(method)
    found, _ = gradients(method, one, adapter)
    if "features" not in method.needs and "logits" not in found:
        return "no gradient reaches the logits"
    if not any(bool(slope.abs().sum() > 0) for slope in found.values()):
        return "the gradient is zero everywhere"
    still = [learns for name, _, learns in method.plan() if name == stage] == ["student"]
    learnt = adapter.named_parameters() if adapter is not None and not still else ()
    for name, parameter in learnt:
        if parameter.requires_grad and parameter.grad is None:
            return f"no gradient reaches {name} of what is learnt beside the student"
    return None


@_law("teacher", "No gradient reaches the teacher.")
def spares_teacher(method: Method, stage: str) -> str | None:
    """Even if its outputs would take one."""
    one = case(stage)
    _, found = gradients(method, one, one.adapter(method))
    return f"a gradient reaches the teacher's {', '.join(found)}" if found else None


@_law("order", "The order of the samples in the batch is irrelevant.")
def order(method: Method, stage: str) -> str | None:
    """A permutation of the rows changes nothing."""
    one = case(stage)
    return _unchanged(method, one, one.rows(torch.tensor([4, 2, 0, 5, 1, 3])))


@_law("shift", "Adding a constant to all logits of a row changes nothing.")
def shift(method: Method, stage: str) -> str | None:
    """Other constants for each row and for student and teacher: probabilities stay the same."""
    one = case(stage)
    steps = torch.linspace(-7.0, 11.0, len(one.batch.y), dtype=torch.float64)[:, None]
    student = _logits(one.student, lambda value: value + steps)
    teacher = _logits(one.teacher, lambda value: value - 2 * steps)
    return _unchanged(method, one, Case(student, teacher, one.batch))


@_law("classes", "Permuting the classes changes nothing.")
def classes(method: Method, stage: str) -> str | None:
    """For student, teacher and labels alike."""
    one = case(stage)
    place = torch.tensor([3, 0, 4, 1, 2])
    moved = one.logits(lambda value: value[..., place])
    batch = dataclasses.replace(one.batch, y=place.argsort()[one.batch.y])
    return _unchanged(method, one, Case(moved.student, moved.teacher, batch))


@_law("duplicates", "Duplicate rows keep the gradient bounded.")
def duplicates(method: Method, stage: str) -> str | None:
    """At most 100 times the gradient without the duplicate, for exact and for close ones."""
    one = case(stage)
    adapter = one.adapter(method)
    plain = _norm(gradients(method, one, adapter)[0])
    twice = one.rows(torch.tensor([0, 0, 1, 2, 3, 4, 5]))
    near = Case(twice.student.each(_nudged), twice.teacher.each(_nudged), twice.batch)
    for name, rows in (("a duplicate row", twice), ("a row that is nearly another", near)):
        size = _norm(gradients(method, rows, adapter)[0])
        if not size <= DUPLICATES * plain:
            return f"{name} makes the gradient {size:.3g}, without it {plain:.3g}"
    return None


def _norm(slopes: Mapping[str, Tensor]) -> float:
    return float(sum(slope.pow(2).sum() for slope in slopes.values())) ** 0.5


def _nudged(value: Tensor) -> Tensor:
    moved = value.clone()
    moved.reshape(-1)[0] += 1e-7
    return moved


@_law("large", "Value and gradient are finite for logits of ±10 000.")
def large(method: Method, stage: str) -> str | None:
    """Also where student and teacher are sure of different classes."""
    one = case(stage)
    sign = torch.where(one.student.logits > 0, 1e4, -1e4).to(torch.float64)
    apart = Case(
        dataclasses.replace(one.student, logits=sign),
        _logits(one.teacher, lambda value: torch.where(value > 0, -1e4, 1e4).to(value)),
        one.batch,
    )
    return _finite(method, apart)


@_law("two classes", "Value and gradient are finite for two classes.")
def two_classes(method: Method, stage: str) -> str | None:
    """Nothing is left over there once the label's class is taken out."""
    return _finite(method, case(stage, classes=2))


@_law("one sample", "Value and gradient are finite for a batch of one, or it says why not.")
def one_sample(method: Method, stage: str) -> str | None:
    """Where a loss is undefined for so few it raises `BadInput` with the reason."""
    return _finite(method, case(stage, samples=1))


@_law("unlabelled", "A batch without a label gives finite terms.")
def unlabelled(method: Method, stage: str) -> str | None:
    """All labels are −1."""
    one = case(stage)
    batch = dataclasses.replace(one.batch, y=torch.full_like(one.batch.y, -1))
    return _finite(method, Case(one.student, one.teacher, batch))


@_law("pure", "The loss writes nothing: inputs and adapter stay, a second call says the same.")
def pure(method: Method, stage: str) -> str | None:
    """Not into its inputs, not into what it remembers, not into torch's random numbers."""
    one, other = case(stage), case(stage)
    adapter = one.adapter(method)
    before = {k: v.clone() for k, v in adapter.state_dict().items()} if adapter else {}
    random = torch.random.get_rng_state()
    first = one.terms(method, adapter)
    if not torch.equal(random, torch.random.get_rng_state()):
        return "it draws from torch's global random numbers"
    for who in ("student", "teacher"):
        here, there = getattr(one, who), getattr(other, who)
        named = {"logits": here.logits, **here.features, **here.extra}
        fresh = {"logits": there.logits, **there.features, **there.extra}
        for name, value in named.items():
            if not torch.equal(value, fresh[name]):
                return f"it writes into the {who}'s {name}"
    for name in ("x", "y", "index"):
        if not torch.equal(getattr(one.batch, name), getattr(other.batch, name)):
            return f"it writes into the batch's {name}"
    after = adapter.state_dict() if adapter else {}
    for name, value in before.items():
        if not torch.equal(value, after[name]):
            return f"it writes into the adapter's {name}"
    return _same(first, one.terms(method, adapter))
