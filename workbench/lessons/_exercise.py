"""Exercises that check themselves: nothing to check yet, not yet because …, or correct.

An answer is a function or a value. A function is called on random inputs beside the reference;
if it does what a known wrong answer does, it is told that one's reason, which helps more than a
cross. It runs in a thread of its own, so that an endless loop ends with a sentence.
"""

from __future__ import annotations

import builtins
import ctypes
import html
import inspect
import numbers
import textwrap
import threading
import traceback
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

NOTHING, NOT_YET, CORRECT = "nothing to check yet", "not yet", "correct"
#: Seconds that one check may take.
PATIENCE = 5.0
_SIGNS = {NOTHING: "…", NOT_YET: "↺", CORRECT: "✓"}


@dataclass(frozen=True)
class Reply:
    """What a check, a hint or a solution says; a notebook shows it, `print` shows it too."""

    state: str
    text: str = ""
    code: str = ""

    def __str__(self) -> str:
        said = f"{_SIGNS.get(self.state, '')} {self.state}{': ' if self.text else ''}{self.text}"
        return f"{said}\n{self.code}".strip()

    def __repr__(self) -> str:
        return str(self)

    def __bool__(self) -> bool:
        return self.state == CORRECT

    def _repr_html_(self) -> str:
        """The same with the state in bold; `role=status` lets a screen reader say it."""
        head = f"<b>{_SIGNS.get(self.state, '')} {html.escape(self.state)}</b>"
        text = f"<p role='status'>{head}{': ' if self.text else ''}{html.escape(self.text)}</p>"
        if self.code:
            code = f"<pre>{html.escape(self.code)}</pre>"
            text = f"<details><summary>{head}</summary>{code}</details>"
        return text


@dataclass(frozen=True)
class Wrong:
    """A wrong answer that people give, and what it should be told."""

    name: str
    answer: Any
    says: str


#: A property that a right answer has: what to say if not, and whether it holds.
Law = tuple[str, Callable[..., bool]]


@dataclass(frozen=True)
class Exercise:
    """A task with its reference answer, its laws, its well-known wrong answers and two hints.

    `inputs(seed)` gives the arguments of one call. `expects` says in words what comes back.
    """

    name: str
    task: str
    answer: Any
    hints: tuple[str, str]
    wrongs: tuple[Wrong, ...] = ()
    laws: tuple[Law, ...] = ()
    must: tuple[Law, ...] = ()  # what right numbers alone do not show
    inputs: Callable[[int], tuple[Any, ...]] | None = None
    expects: str = ""
    praise: str = ""
    tries: int = field(default=4)

    def check(self, given: Any = None, seconds: float = PATIENCE) -> Reply:
        """Whether `given` is right, and if not, why."""
        if given is None or given is ...:
            return Reply(NOTHING, self.task)
        if self.inputs is None:
            return self._value(given)
        if not callable(given):
            return Reply(
                NOT_YET, f"expected your function, got {_what(given)}. Pass its name, uncalled."
            )
        try:
            with warnings.catch_warnings(), _without_input():
                warnings.simplefilter("ignore")  # the reply says what matters
                return _within(seconds, lambda: self._function(given))
        except OutOfTime:
            return Reply(
                NOT_YET,
                f"it was still running after {seconds:g} seconds and was stopped. Is there a loop "
                "whose condition never becomes false?",
            )

    def use(self, given: Any) -> Any:
        """The learner's answer if it is right, else the reference, so that a lesson goes on."""
        return given if self.check(given) else self.answer

    def hint(self, number: int = 1) -> Reply:
        """Hint 1 points, hint 2 nearly says it."""
        if isinstance(number, bool) or number not in range(1, len(self.hints) + 1):
            said = f"{self.name}.hint({number!r}): expected a number from 1 to {len(self.hints)}"
            return Reply("no such hint", said)
        return Reply(f"hint {number}", self.hints[number - 1])

    def solution(self) -> Reply:
        """The reference, folded away until it is opened."""
        return Reply(f"solution of {self.name}", code=self.answer_text())

    def answer_text(self) -> str:
        """The reference as text: the function's source, or the value."""
        if self.inputs is None:
            return f"{self.answer}: {self.praise}"
        return textwrap.dedent(inspect.getsource(self.answer)).strip()

    # ------------------------------------------------------------------- judging

    def _value(self, given: Any) -> Reply:
        if isinstance(given, bool) or not isinstance(given, type(self.answer)):
            return Reply(NOT_YET, f"expected {self.expects}, got {_what(given)}.")
        if given == self.answer:
            return Reply(CORRECT, self.praise)
        for wrong in self.wrongs:
            if wrong.answer == given:
                return Reply(NOT_YET, f"because {wrong.says}")
        return Reply(NOT_YET, f"expected {self.expects}, got {given!r}.")

    def _function(self, given: Callable[..., Any]) -> Reply:
        """In the worker thread: every call that may fail, loop or lie."""
        assert self.inputs is not None
        cases = [self.inputs(seed) for seed in range(self.tries)]
        wanted = [self.answer(*copies(case)) for case in cases]
        found = []
        for case, right in zip(cases, wanted, strict=True):
            handed = copies(case)
            try:
                got = given(*handed)
            except NotImplementedError:
                return Reply(NOTHING, self.task)
            except SystemExit:
                return Reply(NOT_YET, "your function ends Python; it should return its result.")
            except Exception as error:
                return Reply(NOT_YET, _failed(error, given))
            if got is None or got is ...:
                return Reply(NOT_YET, "your function returns nothing. Does it end with return?")
            if not all(map(same, handed, case)):
                return Reply(
                    NOT_YET,
                    "your function changes what it is given, and the lesson needs that again. "
                    "Make a new tensor: z = z / T, not z /= T; and copy with clone().",
                )
            if odd := self._odd(got, right):
                known = self._known(cases[:1], [got]) if isinstance(got, Tensor) else ""
                return Reply(NOT_YET, f"because {known}" if known else odd)
            found.append(got)
        if all(same(got, right) for got, right in zip(found, wanted, strict=True)):
            for says, holds in self.must:
                if not holds(given, *copies(cases[0])):
                    return Reply(NOT_YET, f"the numbers are right, but {says}")
            return Reply(CORRECT, self.praise)
        if known := self._known(cases, found):
            return Reply(NOT_YET, f"because {known}")
        return self._broken_law(given, cases, found, wanted)

    def _odd(self, got: Any, right: Any) -> str:
        """What is wrong with the kind or the shape of a result; nothing if neither."""
        if isinstance(right, Tensor):
            if not isinstance(got, Tensor):
                return f"expected {self.expects}, a tensor; your function returns {_what(got)}."
            if got.shape != right.shape:
                return (
                    f"expected shape {tuple(right.shape)}, {self.expects}; "
                    f"yours has shape {tuple(got.shape)}."
                )
            return "" if right.is_floating_point() == got.is_floating_point() else (
                f"expected {self.expects}; yours holds {got.dtype}."
            )  # fmt: skip
        if isinstance(got, Tensor) and got.numel() == 1 and not isinstance(got, bool):
            return ""
        fits = isinstance(got, numbers.Real) and not isinstance(got, bool)
        return "" if fits else f"expected {self.expects}; your function returns {_what(got)}."

    def _known(self, cases: Sequence[tuple[Any, ...]], found: Sequence[Any]) -> str:
        """The reason of the known wrong answer that gives the same results, if one does."""
        for wrong in self.wrongs:
            try:
                theirs = [wrong.answer(*copies(case)) for case in cases]
                if all(same(a, b) for a, b in zip(found, theirs, strict=True)):
                    return wrong.says
            except Exception:  # a known wrong answer may fail on some inputs
                continue
        return ""

    def _broken_law(
        self,
        given: Callable[..., Any],
        cases: Sequence[tuple[Any, ...]],
        found: Sequence[Any],
        wanted: Sequence[Any],
    ) -> Reply:
        kept = 0
        broken = ""
        for says, holds in self.laws:
            try:
                good = all(holds(given, *copies(case)) for case in cases)
            except Exception:
                good = False
            kept += good
            broken = broken or ("" if good else says)
        first = next(
            i for i in range(len(found)) if not same(found[i], wanted[i])
        )  # there is one, or it were correct
        share = f" {kept} of {len(self.laws)} properties hold." if self.laws else ""
        mine, right = _short(found[first]), _short(wanted[first])
        shown = f" For one input yours begins {mine}, expected {right}."
        return Reply(NOT_YET, f"because {broken or 'the numbers differ.'}{share}{shown}")


def copies(case: tuple[Any, ...]) -> tuple[Any, ...]:
    """Arguments of their own for each call: an answer may write into them."""
    return tuple(a.clone() if isinstance(a, Tensor) else a for a in case)


def same(got: Any, right: Any) -> bool:
    """Equal up to rounding, and of the same shape."""
    a, b = torch.as_tensor(got), torch.as_tensor(right)
    if a.shape != b.shape:
        return a.numel() == b.numel() == 1 and same(a.reshape(()), b.reshape(()))
    return bool(torch.allclose(a.double(), b.double(), rtol=1e-4, atol=1e-6, equal_nan=True))


def _what(value: Any) -> str:
    """A value in a sentence: its kind, and itself where that is short."""
    kind = type(value).__name__
    article = "an" if kind[0] in "aeiou" else "a"
    text = repr(value)
    plain = isinstance(value, (str, int, float, bool, list, tuple, dict)) and len(text) < 40
    return f"{article} {kind}, {text}" if plain else f"{article} {kind}"


def _short(value: Any) -> str:
    rows = torch.as_tensor(value).double().flatten()[:3].tolist()
    return ", ".join(f"{v:.3g}" for v in rows).replace("-", "−")


def _failed(error: Exception, given: Callable[..., Any]) -> str:
    """One sentence instead of a traceback: what happened, and in which line of the answer."""
    place = ""
    code = getattr(given, "__code__", None)
    for frame in traceback.extract_tb(error.__traceback__):
        if code is not None and frame.filename == code.co_filename and frame.line:
            place = f" in the line  {frame.line.strip()}"
    said = str(error).split("\n")[0][:160]
    return f"it stopped with {type(error).__name__}{place}: {said}"


@contextmanager
def _without_input() -> Iterator[None]:
    """An answer that asks the keyboard would wait for it, and the notebook with it."""

    def refuse(*_: object) -> str:
        raise RuntimeError("it asks for input; use the arguments that it is given")

    before = builtins.input
    builtins.input = refuse
    try:
        yield
    finally:
        builtins.input = before


# --------------------------------------------------------------------------- time limit


class OutOfTime(BaseException):
    """Raised inside an answer that takes too long; not an Exception, so that no answer eats it."""


def _within(seconds: float, work: Callable[[], Reply]) -> Reply:
    """What `work` returns, or `OutOfTime` after some seconds.

    A thread, because signals exist on one platform and in one thread only. A loop in Python is
    ended by an exception raised in its thread; one that never returns to Python is left behind.
    """
    done = threading.Event()
    reply: list[Reply] = []
    failed: list[BaseException] = []

    def run() -> None:
        try:
            reply.append(work())
        except OutOfTime:
            pass
        except BaseException as error:
            failed.append(error)
        finally:
            done.set()

    worker = threading.Thread(target=run, daemon=True)
    worker.start()
    try:
        done.wait(seconds)
    finally:  # also when the learner presses the stop button of the notebook
        for _ in range(20):
            if done.is_set():
                break
            ident = ctypes.c_ulong(worker.ident or 0)
            ctypes.pythonapi.PyThreadState_SetAsyncExc(ident, ctypes.py_object(OutOfTime))
            done.wait(0.05)
    if failed:
        raise failed[0]
    if not reply:
        raise OutOfTime
    return reply[0]
