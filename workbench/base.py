"""The nouns everything is built from: Knob, Outputs, Batch, Method, and the registry of files."""

from __future__ import annotations

import dataclasses
import difflib
import functools
import importlib
import importlib.util
import inspect
import math
import numbers
import pkgutil
import sys
import textwrap
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any, ClassVar, Self, TypeVar, cast

import torch
from torch import Tensor, nn

T = TypeVar("T")
M = TypeVar("M", bound="Method")


class BadInput(ValueError):
    """What a user gave cannot be used: the message names field, value and expectation."""


class Trouble(RuntimeError):
    """This machine is not in order (disk, port, folder): one sentence, with the remedy."""


class NoSuchName(BadInput, KeyError):
    """A name that no registry holds; also a KeyError, so that a registry stays a Mapping."""

    def __str__(self) -> str:
        return str(self.args[0])


def unknown(kind: str, name: object, known: Sequence[str]) -> NoSuchName:
    """The error for a name nobody knows, with the nearest one that somebody does."""
    near = difflib.get_close_matches(str(name), known, n=1, cutoff=0.5)
    hint = f"; did you mean {near[0]!r}?" if near else ""
    return NoSuchName(f"{kind} {name!r} is not known: expected one of {', '.join(known)}{hint}")


def twice(owner: str, name: str, first: object, second: object) -> BadInput:
    """The error for a value that is given two times, with both."""
    both = " and ".join(str(value)[:40] for value in (first, second))
    return BadInput(f"{owner}({name}=…): given twice ({both}), expected once")


# ---------------------------------------------------------------------------------- knobs


@dataclass(frozen=True)
class Knob:
    """A hyper-parameter that knows everything a slider, a flag, a table row and a check need.

    `low` and `high` bound what is accepted (inclusive); `slider` is the range worth playing
    with. Kinds: float, int, choice, classes (a tuple of class numbers), pairs (of layer names),
    text. `usual` has another default where the knob `convention` has that value: a weight
    belongs to the formula that it was published with.
    """

    name: str
    kind: str
    default: Any
    low: float | None = None
    high: float | None = None
    slider: tuple[float, float] | None = None
    choices: tuple[str, ...] | None = None
    scale: str = "linear"
    meaning: str = ""
    title: str = ""
    symbol: str = ""
    usual: tuple[tuple[str, Any], ...] = ()

    def under(self, convention: str) -> Any:
        """The default under a convention."""
        return dict(self.usual).get(convention, self.default)

    def expectation(self) -> str:
        """What this knob accepts, in words."""
        if self.kind == "choice":
            return f"one of {', '.join(self.choices or ())}"
        if self.kind == "pairs":
            return "pairs of layer names, student:teacher"
        if self.kind == "text":
            return f"at most {_plain(self.high)} letters"
        bounds = f"[{_plain(self.low)}, {_plain(self.high)}]"
        if self.kind == "classes":
            return f"different class numbers in {bounds}"
        return f"{'a whole number' if self.kind == 'int' else 'a value'} in {bounds}"

    def check(self, owner: str, value: object) -> Any:
        """The value in its own type, or `BadInput` naming field, value and expectation."""
        try:
            return _CHECKS[self.kind](self, value)
        except (TypeError, ValueError, OverflowError):
            raise self._refusal(owner, repr(value)) from None

    def parse(self, owner: str, text: str) -> Any:
        """The value that a command line's text means; an error shows it as it was typed."""
        try:
            return _CHECKS[self.kind](self, _read(self.kind, text))
        except (TypeError, ValueError, OverflowError):
            raise self._refusal(owner, text if text.strip() else repr(text)) from None

    def _refusal(self, owner: str, shown: str) -> BadInput:
        shown = shown if len(shown) <= 60 else shown[:57] + "…"
        return BadInput(
            f"{owner}({self.name}={shown}): expected {self.expectation()} ({self.meaning})"
        )

    def describe(self) -> dict[str, Any]:
        """Plain data for `python -m workbench list --json`."""
        return {
            "kind": self.kind,
            "default": list(self.default) if isinstance(self.default, tuple) else self.default,
            "low": self.low,
            "high": self.high,
            "slider": list(self.slider) if self.slider else None,
            "choices": list(self.choices) if self.choices else None,
            "scale": self.scale,
            "meaning": self.meaning,
            **({"usual": dict(self.usual)} if self.usual else {}),
        }


def _plain(number: float | None) -> str:
    return "…" if number is None else f"{number:g}".replace("e+0", "e")


def _read(kind: str, text: str) -> object:
    """A text as a value of a knob's kind, not checked yet."""
    if kind == "float":
        return float(text)
    if kind == "int":
        return int(text) if text.lstrip("+-").isdigit() else float(text)
    if kind == "classes":
        parts = [part for part in text.replace("+", ",").split(",") if part.strip()]
        return tuple(int(part) for part in parts)
    if kind == "pairs":
        return tuple(tuple(pair.split(":")) for pair in text.split("+") if pair)
    return text


def _number(knob: Knob, value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, numbers.Real):
        raise TypeError
    number = float(value)
    if not math.isfinite(number):
        raise ValueError
    if (knob.low is not None and number < knob.low) or (
        knob.high is not None and number > knob.high
    ):
        raise ValueError
    return number


def _whole(knob: Knob, value: object) -> int:
    number = _number(knob, value)
    if not number.is_integer():
        raise ValueError
    return int(cast(Any, value))


def _choice(knob: Knob, value: object) -> str:
    if not isinstance(value, str) or value not in (knob.choices or ()):
        raise ValueError
    return value


def _classes(knob: Knob, value: object) -> tuple[int, ...]:
    if isinstance(value, (str, bytes)) or not isinstance(value, Sequence):
        raise TypeError
    numbers_ = tuple(_whole(knob, item) for item in value)
    if len(set(numbers_)) != len(numbers_):
        raise ValueError
    return tuple(sorted(numbers_))


def _pairs(knob: Knob, value: object) -> tuple[tuple[str, str], ...]:
    if isinstance(value, (str, bytes)) or not isinstance(value, Sequence):
        raise TypeError
    pairs = tuple(tuple(item) for item in value)
    if any(len(p) != 2 or not all(isinstance(s, str) and s for s in p) for p in pairs):
        raise ValueError
    return cast(tuple[tuple[str, str], ...], pairs)


def _words(knob: Knob, value: object) -> str:
    if not isinstance(value, str) or len(value) > (knob.high or 0) or not value.isprintable():
        raise ValueError
    return value


_CHECKS: dict[str, Callable[[Knob, object], Any]] = {
    "float": _number,
    "int": _whole,
    "choice": _choice,
    "classes": _classes,
    "pairs": _pairs,
    "text": _words,
}


def knob(
    default: Any,
    *,
    meaning: str,
    accepts: tuple[float, float] | None = None,
    slider: tuple[float, float] | None = None,
    choices: tuple[str, ...] | None = None,
    kind: str | None = None,
    scale: str = "linear",
    title: str = "",
    symbol: str = "",
    compare: bool = True,
    usual: Mapping[str, Any] | None = None,
) -> Any:
    """Declare a dataclass field that is a knob; its kind follows from the default.

    `usual`: another default for a convention, as in {"paper": 1.0}. What differs only in a
    knob that is not to `compare` is equal, and has the same name.
    """
    kind = kind or {float: "float", int: "int", str: "choice"}[type(default)]
    low, high = accepts or (None, None)
    others = tuple((usual or {}).items())
    made = Knob(
        "", kind, default, low, high, slider, choices, scale, meaning, title, symbol, others
    )
    return field(default=default, compare=compare, metadata={"knob": made})


class Knobbed:
    """A frozen dataclass whose fields are (mostly) knobs: names and values are checked."""

    def __new__(cls, *args: object, **values: object) -> Self:
        names = [f.name for f in dataclasses.fields(cast(Any, cls)) if f.init]
        for name, value in values.items():
            if name not in names:
                raise cls._stranger(name, names)
            if name in names[: len(args)]:
                raise twice(cls.__name__, name, repr(args[names.index(name)]), repr(value))
        if len(args) > len(names):
            raise BadInput(f"{cls.__name__}: {len(args)} values for {len(names)} knobs")
        made = super().__new__(cls)
        if args or values:  # what is not given takes the default of its convention
            object.__setattr__(made, "_given", {*names[: len(args)], *values})
        return made

    def __post_init__(self) -> None:
        given = self.__dict__.pop("_given", ())
        for name, made in self.knobs().items():
            usual = made.under(getattr(self, "convention", ""))
            value = getattr(self, name) if name in given else usual
            object.__setattr__(self, name, made.check(type(self).__name__, value))

    @classmethod
    def knobs(cls) -> dict[str, Knob]:
        """The knobs by name, in the order of declaration."""
        found: dict[str, Knob] = {}
        for f in dataclasses.fields(cast(Any, cls)):
            if "knob" in f.metadata:
                made = cast(Knob, f.metadata["knob"])
                title = made.title or f.name.replace("_", " ").capitalize()
                found[f.name] = dataclasses.replace(made, name=f.name, title=title)
        return found

    def values(self) -> dict[str, Any]:
        """Every knob's value by name."""
        return {name: getattr(self, name) for name in self.knobs()}

    def changed(self, also: Collection[str] = ()) -> dict[str, Any]:
        """The knobs that differ from their defaults, and `also` those, as JSON-able values."""
        convention = getattr(self, "convention", "")
        different = {
            name: getattr(self, name)
            for name, made in self.knobs().items()
            if name in also or {getattr(self, name)} != {made.default, made.under(convention)}
        }
        return {k: _listed(v) if isinstance(v, tuple) else v for k, v in different.items()}

    @classmethod
    def _stranger(cls, name: str, known: Sequence[str]) -> NoSuchName:
        kind = f"{cls.__name__}: knob"
        if not known:  # a list of nothing would end in the middle of the sentence
            return NoSuchName(f"{kind} {name!r} is not known: {cls.__name__} has no knobs")
        return unknown(kind, name, known)

    @classmethod
    def key(cls) -> str:
        """The name in the registry: the file's, with - for _."""
        return cls.__module__.rsplit(".", 1)[-1].replace("_", "-")

    def spec(self, also: Collection[str] = ()) -> str:
        """The command line's word for this, `kd:temperature=8,alpha=1`; `also` with those."""
        parts = [f"{k}={_word(v)}" for k, v in self.changed(also).items()]
        return self.key() + (":" + ",".join(parts) if parts else "")

    @classmethod
    def parse(cls, text: str) -> Self:
        """The inverse of `spec` for what follows the colon: `temperature=8,alpha=1`."""
        return cls(**cls.given(text))

    @classmethod
    def given(cls, text: str) -> dict[str, Any]:
        """The knobs that such a text names, at their default or not, with their values."""
        knobs, given, typed = cls.knobs(), {}, dict[str, str]()
        for part in text.split(",") if text else ():
            name, equals, value = part.partition("=")
            name = name.strip().replace("-", "_")
            if not part.strip():
                raise BadInput(
                    f"{cls.__name__}: {text!r} has a comma with no name=value beside it"
                )
            if not equals:
                raise BadInput(f"{cls.__name__}: {part!r} is not name=value")
            if name not in knobs:
                raise cls._stranger(name, list(knobs))
            if name in given:
                raise twice(cls.__name__, name, typed[name], value.strip())
            typed[name] = value.strip()
            given[name] = knobs[name].parse(cls.__name__, typed[name])
        return given


def _listed(value: Any) -> Any:
    return [_listed(item) for item in value] if isinstance(value, tuple) else value


def _word(value: Any) -> str:
    if isinstance(value, list):  # as `changed` gives tuples
        return "+".join(":".join(v) if isinstance(v, list) else str(v) for v in value)
    return (
        f"{value:g}" if isinstance(value, float) and float(f"{value:g}") == value else str(value)
    )


# ------------------------------------------------------------------------ what flows in a step


@dataclass(frozen=True)
class Outputs:
    """What a network says about a batch.

    Shapes: `logits` (*lead, B, K) or (*lead, B, L, K), classes last, where `lead` is the stack
    of students (absent for one student and for teachers). `features[name]` (*lead, B, P, D)
    with P = 1, H·W or tokens, and `grids[name]` = (H, W) where there is a grid. `extra` holds
    what only some networks have: attentions, the members (M, B, K) of an ensemble.
    """

    logits: Tensor
    features: Mapping[str, Tensor] = field(default_factory=dict)
    grids: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    extra: Mapping[str, Tensor] = field(default_factory=dict)

    def each(self, change: Callable[[Tensor], Tensor]) -> Outputs:
        """The same outputs with every tensor of logits and features changed."""
        features = {name: change(value) for name, value in self.features.items()}
        extra = {name: change(value) for name, value in self.extra.items()}
        return Outputs(change(self.logits), features, self.grids, extra)

    def students(self, part: slice | int) -> Outputs:
        """Some students of the stack, or one: `part` of the leading axis."""
        return self.each(lambda value: value[part])

    def unbind(self) -> list[Outputs]:
        """The outputs of every place of the leading axis."""
        if not self.features and not self.extra:  # the usual case, many times as fast
            return [Outputs(logits) for logits in self.logits.unbind()]
        return [self.students(i) for i in range(len(self.logits))]

    def split(self, sizes: Sequence[int]) -> list[Outputs]:
        """The stack cut into parts of consecutive students."""
        if len(sizes) == 1:
            return [self]
        logits = self.logits.split(sizes)  # one operation backwards, where slices take three each
        rest = {k: v.split(sizes) for k, v in self.features.items()}
        more = {k: v.split(sizes) for k, v in self.extra.items()}
        return [
            Outputs(
                logits[i],
                {k: v[i] for k, v in rest.items()},
                self.grids,
                {k: v[i] for k, v in more.items()},
            )
            for i in range(len(sizes))
        ]

    def rows(self, index: Tensor) -> Outputs:
        """Some samples: index (…, B) into the first axis of outputs without a lead."""
        if not self.features and not self.extra:  # the usual case, twice as fast
            return Outputs(self.logits.index_select(0, index.flatten()).unflatten(0, index.shape))
        members = {k: v[:, index].movedim(0, -3) for k, v in self.extra.items() if k == "members"}
        rest = {k: v[index.to(v.device)] for k, v in self.extra.items() if k != "members"}
        # features that are larger than an accelerator's memory stay where they are
        features = {name: value[index.to(value.device)] for name, value in self.features.items()}
        return Outputs(self.logits[index], features, self.grids, rest | members)


@dataclass(frozen=True)
class Batch:
    """What a step learns from.

    Shapes: `x` (B, …) shared by the stack or (n, B, …); `y` (B,) or (n, B), −1 = unlabelled;
    `index` like y: which sample of those shown; `mask` like y: True where a token is valid.
    `progress` in [0, 1] runs over the whole training, `stage` names the method's current stage.
    `targets` is what the method's `targets` gave for this batch, where that was worked out before.
    """

    x: Tensor
    y: Tensor
    index: Tensor | None = None
    mask: Tensor | None = None
    epoch: int = 0
    progress: float = 0.0
    stage: str = ""
    targets: tuple[Tensor, ...] = ()


class Terms(Mapping[str, Tensor]):
    """Named terms that lie in one tensor: `whole` (len(names), *lead).

    It is cut apart only where a term is read. At the size of a small student, cutting and going
    back through the cuts costs as much as half an optimiser's step.
    """

    def __init__(self, names: tuple[str, ...], whole: Tensor) -> None:
        self.names, self.whole = names, whole

    def __getitem__(self, name: str) -> Tensor:
        if name not in self.names:
            raise KeyError(name)
        return self.whole[self.names.index(name)]

    def __iter__(self) -> Iterator[str]:
        return iter(self.names)

    def __len__(self) -> int:
        return len(self.names)

    def __repr__(self) -> str:
        return repr(dict(self))


class Build:
    """What `setup` may ask for: a copy per student of what it makes, and networks like theirs.

    `build(make)` gives make() once per student, seeded like the student. `build.network()` gives
    a copy of the students' network as it stands (an average begins there), with `fresh` the same
    architecture from another initialisation (a peer); for methods that declare the need
    "network", which have a stack to themselves.
    """

    def __init__(
        self, seeds: Sequence[int], stacked: bool, network: Callable[[bool], nn.Module] | None
    ) -> None:
        self.seeds, self.stacked, self._network = seeds, stacked, network

    def __call__(self, make: Callable[[], nn.Module]) -> nn.Module:
        """make() with one copy per student."""
        return Copies(make, self.seeds, self.stacked)

    def network(self, fresh: bool = False) -> nn.Module:
        """A network of the students' shape that is nobody else's."""
        assert self._network is not None, 'only for a method with the need "network"'
        return self._network(fresh)


#: How far a peer's seeds lie from its students': equal seeds would make it their equal.
PEER = 7_368_787


class Method(Knobbed):
    """*What* the student copies: a frozen dataclass whose fields are knobs, with a pure loss.

    `loss` returns named, already weighted terms, each of the lead's shape (a scalar for one
    student); they add up to the loss by construction. It never writes: what must be learnt or
    remembered besides the student comes from `setup`, changes in `update`.
    """

    title: ClassVar[str]
    paper: ClassVar[str]
    #: out of: labels, teacher, features, maps, depth, network (a copy of the student's),
    #: classifier (the teacher's, which the student answers with), live teacher, whole batch
    needs: ClassVar[frozenset[str]] = frozenset({"teacher"})
    #: how many teachers it has where one is named: the same network from so many seeds
    teachers: ClassVar[int] = 1
    #: (name, share of the steps, what learns: "student", "adapter" or "both")
    stages: ClassVar[tuple[tuple[str, float, str], ...]] = (("", 1.0, "both"),)
    #: False where the loss cannot serve a stack; its students are then trained one by one
    stackable: ClassVar[bool] = True
    #: True where the loss is `functional.distillation` of its `targets`, or `toward` of a single
    #: one: then they say all of it, and its gradient can be taken by hand (`byhand.py`)
    fixed: ClassVar[bool] = False
    #: what `view` gives where features are compared: maps, or relations of samples by their name
    shows: ClassVar[str] = "maps"
    #: law -> why this method is a declared exception from it
    exceptions: ClassVar[Mapping[str, str]] = {}

    def __init_subclass__(cls, **more: Any) -> None:
        super().__init_subclass__(**more)
        if "loss" in vars(cls):
            cls.loss = _explained(cls.loss)  # type: ignore[method-assign]

    @classmethod
    def family(cls) -> str:
        """The folder a method's file lies in."""
        return cls.__module__.rsplit(".", 2)[-2]

    @classmethod
    def sentence(cls) -> str:
        """What the student copies: the first line of the method's file."""
        about = inspect.getdoc(sys.modules[cls.__module__]) or ""
        return about.split("\n\n")[0].replace("\n", " ")

    @classmethod
    def reasons(cls) -> list[str]:
        """The formula, and why it is so: the paragraphs of the docstring before the shapes."""
        parts = (inspect.getdoc(cls) or "").split("\n\n")
        ends = [i for i, part in enumerate(parts) if part.startswith("Shapes:")]
        return [part.replace("\n", " ") for part in parts[: ends[0] if ends else None]]

    @classmethod
    def source(cls) -> str:
        """The code of `loss` as it stands in the method's file."""
        return textwrap.dedent(inspect.getsource(inspect.unwrap(cls.loss)))

    def loss(
        self, student: Outputs, teacher: Outputs | None, batch: Batch, adapter: nn.Module | None
    ) -> Mapping[str, Tensor]:
        """Named, weighted terms of the lead's shape."""
        raise NotImplementedError(f"{type(self).__name__} has no loss")

    def targets(self, like: Tensor, teacher: Outputs | None, batch: Batch) -> tuple[Tensor, ...]:
        """All that `loss` needs of teacher and labels; the engine asks for many steps at once.

        Then `loss` finds it in `batch.targets`, and no teacher beside it. Every tensor keeps
        the leading axes of `batch.y`, the first of which may be the steps. `like` has the
        student's number of classes and kind of number. Nothing by default.
        """
        return ()

    def setup(
        self, student: Outputs, teacher: Outputs | None, sample: Batch, n: int, build: Build
    ) -> nn.Module | None:
        """What must be learnt or remembered besides the student; None if nothing.

        `student` and `teacher` are outputs for `sample`; n is how many samples are shown;
        `build` makes one copy per student, or networks like theirs.
        """
        return None

    def plan(self) -> tuple[tuple[str, float, str], ...]:
        """The stages of this method with these knobs."""
        return self.stages

    def batches(self) -> tuple[float, float]:
        """How many samples a batch may have, at least and at most."""
        return 1, math.inf

    def update(
        self,
        adapter: nn.Module,
        network: nn.Module,
        student: Outputs,
        teacher: Outputs | None,
        batch: Batch,
    ) -> None:
        """After the optimiser's step and without gradient: memories, moving averages.

        `network` is the students' after the step, `student` what it said before it.
        """

    def view(self, features: Tensor) -> Tensor:
        """What of one layer (…, B, P, D) is compared, to be looked at: it decides nothing.

        Maps (…, B, P) of how strongly each place answers, of length 1, by default; or the
        relations (…, B, B) of the samples, as `shows` names them.
        """
        return nn.functional.normalize(features.square().sum(-1), dim=-1)

    def transfer(self, teacher: Outputs, y: Tensor) -> Tensor:
        """The labels (n,) which the student is shown instead of the references y (n,)."""
        return y


Loss = Callable[..., Mapping[str, Tensor]]


def _explained(loss: Loss) -> Loss:
    """A method's loss that says which of its arguments is at fault when it fails."""

    @functools.wraps(loss)
    def explained(
        self: Method, student: Outputs, teacher: Outputs | None, batch: Batch, adapter: Any = None
    ) -> Mapping[str, Tensor]:
        try:
            fits = batch.y.shape[-1] == student.logits.shape[-2]  # else it might broadcast
            if fits and batch.mask is None:
                return loss(self, student, teacher, batch, adapter)
        except BadInput:
            raise
        except Exception:
            why = _fault(self, student, teacher, batch)
            if why is None:
                raise
            raise BadInput(f"{type(self).__name__}.loss: {why}") from None
        raise BadInput(f"{type(self).__name__}.loss: {_fault(self, student, teacher, batch)}")

    return explained


def _fault(method: Method, student: object, teacher: object, batch: object) -> str | None:
    """What is wrong with the arguments of a loss, or None if nothing is seen."""
    wanted = [("student", student, Outputs), ("batch", batch, Batch)]
    told = isinstance(batch, Batch) and batch.targets
    if teacher is not None or ("teacher" in method.needs and not told):
        wanted.append(("teacher", teacher, Outputs))
    for name, value, kind in wanted:
        if not isinstance(value, kind):
            how = "Outputs(logits)" if kind is Outputs else "Batch(x, y)"
            return f"{name} is {type(value).__name__}: expected {how}"
    assert isinstance(student, Outputs) and isinstance(batch, Batch)
    z, y = student.logits, batch.y
    if not isinstance(y, Tensor) or y.is_floating_point() or y.dtype == torch.bool:
        kind_ = y.dtype if isinstance(y, Tensor) else type(y).__name__
        return f"batch.y is {kind_}: expected whole numbers, a class each, -1 = unlabelled"
    if z.ndim < 2 or y.ndim == 0 or y.shape[-1] != z.shape[-2]:
        return (
            f"student.logits {tuple(z.shape)} and batch.y {tuple(y.shape)}: "
            "expected (…, B, K) and (…, B)"
        )
    if isinstance(teacher, Outputs) and teacher.logits.shape[-2:] != z.shape[-2:]:
        return (
            f"teacher.logits {tuple(teacher.logits.shape)} beside student.logits "
            f"{tuple(z.shape)}: expected the same samples and classes"
        )
    if batch.mask is not None:  # left aside, it would count tokens that are none
        return "batch.mask is given: expected None, because no loss has tokens to leave out yet"
    if y.numel() and not -1 <= int(y.min()) <= int(y.max()) < z.shape[-1]:
        return (
            f"batch.y holds {int(y.min())} to {int(y.max())}: expected -1 to {z.shape[-1] - 1} "
            f"for {z.shape[-1]} classes"
        )
    return None


def stack(methods: Sequence[M], like: Tensor) -> M:
    """One method for a stack: knobs on which the students differ become tensors (n,).

    They take dtype and device of `like`. Only numbers can differ within one call of `loss`;
    other differences raise `BadInput`.
    """
    first = methods[0]
    if all(method == first for method in methods):
        return first
    merged = object.__new__(type(first))
    for name, made in first.knobs().items():
        values = [getattr(method, name) for method in methods]
        if all(value == values[0] for value in values):
            object.__setattr__(merged, name, values[0])
        elif made.kind in ("float", "int"):
            object.__setattr__(
                merged, name, torch.tensor(values, dtype=like.dtype, device=like.device)
            )
        else:
            raise BadInput(f"{type(first).__name__}({name}=…): cannot differ within one stack")
    return merged


class Copies(nn.Module):
    """One copy of an adapter per student; called on (n, …), each copy gets its own slice."""

    def __init__(self, make: Callable[[], nn.Module], seeds: Sequence[int], stacked: bool) -> None:
        super().__init__()
        self.stacked, copies = stacked, []
        for seed in seeds:
            with torch.random.fork_rng(devices=[]):
                torch.manual_seed(seed)
                copies.append(make())
        self.each = nn.ModuleList(copies)

    def forward(self, x: Tensor) -> Tensor:
        """x (n, …) or, for one student without a lead, (…)."""
        if not self.stacked:
            return self.each[0](x)
        return torch.stack([copy(part) for copy, part in zip(self.each, x, strict=True)])


# -------------------------------------------------------------------------------- registries


class Registry(Mapping[str, T]):
    """Everything of one kind, found by walking a package: no list to edit.

    Files whose name starts with _ are shared helpers. `read(module)` gives what a file adds.
    """

    def __init__(
        self, kind: str, package: str, read: Callable[[ModuleType], Mapping[str, T]]
    ) -> None:
        self.kind, self.package, self.read = kind, package, read
        self._found: dict[str, T] | None = None

    @property
    def found(self) -> dict[str, T]:
        """Name -> entry, walked at first use and sorted."""
        if self._found is None:
            entries: dict[str, T] = {}
            for module in _walk(importlib.import_module(self.package)):
                for name, entry in self.read(module).items():
                    if name in entries:
                        raise TypeError(f"{module.__file__}: {self.kind} {name!r} stands twice")
                    entries[name] = entry
            self._found = dict(sorted(entries.items()))
        return self._found

    def __getitem__(self, name: str) -> T:
        try:
            return self.found[name]
        except (KeyError, TypeError):
            raise unknown(self.kind, name, list(self.found)) from None

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and name in self.found

    def __iter__(self) -> Iterator[str]:
        return iter(self.found)

    def __len__(self) -> int:
        return len(self.found)

    def __repr__(self) -> str:
        return f"<Registry {self.kind!r}: {', '.join(self)}>"


def _walk(package: ModuleType) -> Iterator[ModuleType]:
    for info in pkgutil.walk_packages(package.__path__, package.__name__ + "."):
        if not info.ispkg and not info.name.rsplit(".", 1)[-1].startswith("_"):
            yield _imported(info.name)


def _imported(name: str) -> ModuleType:
    """The module; `Trouble` with its file if that is broken, which hides everything beside it."""
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if (error.name or "").split(".")[0] != __package__:
            raise  # something is not installed: the file is in order
        why = f"{error}"
    except Exception as error:
        why = f"{type(error).__name__}: {error}"
    found = importlib.util.find_spec(name)
    raise Trouble(
        f"{found.origin if found else name}: cannot be read ({why}); mend the file, "
        "or put _ before its name to leave it out"
    )


def only_class(module: ModuleType, base: type[T]) -> type[T]:
    """The one subclass of `base` which a file defines; zero or two is an error with the path."""
    found = [
        value
        for value in vars(module).values()
        if isinstance(value, type) and issubclass(value, base) and value is not base
        if value.__module__ == module.__name__
    ]
    if len(found) != 1:
        raise TypeError(
            f"{module.__file__}: expected exactly one {base.__name__}, found {len(found)}"
        )
    return found[0]
