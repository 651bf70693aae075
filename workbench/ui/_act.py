"""The first act: which images it shows, where a visitor stands in it, and what is to be seen.

A visitor's act is a few plain values on the server, so that a reload, a second tab or a laptop
that was closed finds it as it was left. Curves grow with the clock, from the first event on, also
for whoever joins a training under way or watches a recording.
"""

from __future__ import annotations

import functools
import math
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Concatenate, ParamSpec

from workbench import assets, jobs, runs, words
from workbench.base import BadInput, Trouble
from workbench.data import DATA
from workbench.engine import listen
from workbench.evaluation import Verdict, verdict
from workbench.events import Event, Row
from workbench.recipe import Recipe, digest, teacher
from workbench.recipes import RECIPES
from workbench.runs import Damaged, Lease, Run
from workbench.ui import _desk
from workbench.ui._take import Teacher, finished, heard, take
from workbench.ui._visitor import Entry, Visitor, change, name_of, visitor

#: Test images that the teacher reads right and looks certain about at T = 1, while at T = 8 three
#: other digits stand out; the first is a 3 which one can see as a 9, an 8 or a 5.
EXAMPLES = (469, 344, 463, 50, 56)
#: Seconds in which a training must have begun; then the recording plays. And seconds that it
#: takes at most: the first act is a surprise, and slower it would be a wait.
PATIENCE, PACE = 2.0, 2.0
#: The stages whose students learn, and the recipe of each.
RECIPE = {"warm": "first-act", "cold": "first-act-cold"}
WARM, COLD = 8.0, 1.0
LOW, HIGH = 0.5, 1.0
P = ParamSpec("P")


# ----------------------------------------------------------------------------- what is shown


@dataclass(frozen=True)
class Example:
    """A test image: what it is, how it looks, what the teacher says."""

    label: int
    pixels: tuple[tuple[float, ...], ...]
    logits: tuple[float, ...]


@functools.cache
def examples() -> tuple[Example, ...]:
    """The images of the first act, the most telling first."""
    data = DATA["digits"]()
    folder, test = finished(teacher(data)), data.parts()["test"]
    if folder is None:
        return ()
    places = list(EXAMPLES)
    logits = listen(Run.at(folder).student(), test.x[places]).logits
    found = zip(test.y[places].tolist(), test.x[places, 0].tolist(), logits.tolist(), strict=True)
    return tuple(Example(y, tuple(map(tuple, x)), tuple(z)) for y, x, z in found)


@functools.cache
def mean_digits() -> tuple[tuple[tuple[float, ...], ...], ...]:
    """The mean training image of every class."""
    train = DATA["digits"]().parts()["train"]
    means = [train.x[train.y == k, 0].mean(0).tolist() for k in range(DATA["digits"].classes)]
    return tuple(tuple(map(tuple, image)) for image in means)


@functools.cache
def sure() -> float | None:
    """How sure the teacher is of the students' own images at T = 1, on average."""
    recipe = RECIPES["first-act-cold"].recipes[-1]
    folder = finished(recipe.teachers[0])
    if folder is None:
        return None
    index, _ = recipe.data.transfer()
    x = recipe.data.parts()["train"].x[index]
    return float(listen(Run.at(folder).student(), x).logits.softmax(-1).amax(-1).mean())


def taught() -> Teacher | None:
    """The teacher's accuracy and answers."""
    return heard(teacher(DATA["digits"]()))


@functools.cache
def recorded(stage: str) -> tuple[Event, ...]:
    """The shipped run of a stage: its arms side by side, as the group of 24 records them."""
    arms = []
    for group in assets.groups(RECIPE[stage]):
        folder = runs.SHIPPED / digest(group) / "1"
        with suppress(Damaged):
            arms.append(take(folder).events())
    if len(arms) != 2 or not all(arms):
        return ()
    return tuple(
        replace(a, accuracy={"test": (*a.accuracy["test"], *b.accuracy["test"])})
        for a, b in zip(*arms, strict=False)
    )


def labels_get() -> float | None:
    """What student A will get: the mean of the recorded twelve."""
    found = recorded("warm")
    return None if not found else _mean(found[-1].accuracy["test"][:12])


def _mean(row: Sequence[float | None]) -> float | None:
    kept = [v for v in row if v is not None]
    return sum(kept) / len(kept) if kept else None


# ------------------------------------------------------------------------- where one stands


@dataclass(frozen=True)
class Showing:
    """A run on the stage: live (its name) or the recording, since when, stopped where."""

    run: str = ""  # empty: the recording
    since: float = 0.0
    stopped: int = -1  # events shown when it was stopped; -1: it goes on


@dataclass(frozen=True)
class Act:
    """look: bars and guess. warm, cold: students learn, or have learnt, at T = 8 or 1."""

    stage: str = "look"
    guess: float | None = None
    warm: Showing | None = None
    cold: Showing | None = None
    cold_guess: float | None = None

    @property
    def mark(self) -> float | None:
        """The visitor's guess for the stage."""
        return self.cold_guess if self.stage == "cold" else self.guess

    @property
    def showing(self) -> Showing | None:
        """The run of the stage."""
        return {"warm": self.warm, "cold": self.cold}.get(self.stage)


def read(one: Visitor) -> Act:
    """The visitor's act; one that was tampered with begins anew."""
    found = one.act
    try:
        shown = {k: Showing(**found[k]) for k in RECIPE if found.get(k) is not None}
        made = Act(
            found.get("stage", "look"),
            guessed(found.get("guess")),
            shown.get("warm"),
            shown.get("cold"),
            guessed(found.get("cold_guess")),
        )
        if made.stage not in ("look", *RECIPE) or (made.stage != "look" and not made.showing):
            return Act()
        for each in shown.values():
            if each.run and not Entry.known(each.run):
                return Act()
            float(each.since), int(each.stopped)
        return made
    except (TypeError, ValueError, AttributeError):
        return Act()


def write(token: str, act: Act) -> None:
    """Keep it."""
    with change(token) as one:
        one.act = asdict(act)


def _put(act: Act, showing: Showing) -> Act:
    """The act with another showing on its stage."""
    return replace(act, warm=showing) if act.stage == "warm" else replace(act, cold=showing)


def guessed(value: object) -> float | None:
    """A guess as a share, None if it was skipped; `BadInput` for what is not on the axis."""
    if value is None or value == "":
        return None
    shown = str(value)[:24]
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        raise BadInput(words.GUESS_AGAIN.format(shown))
    try:
        number = float(value)
    except ValueError:
        number = math.nan
    if isinstance(value, str):
        number /= 100
    if not LOW <= number <= HIGH:
        raise BadInput(words.GUESS_AGAIN.format(shown))
    return number


# ------------------------------------------------------------------------- what is to be seen


@dataclass(frozen=True)
class View:
    """A run as far as it is shown now."""

    stage: str
    state: str  # queued, running, stopped, finished, failed
    recorded: bool
    events: Sequence[Event]
    steps: int
    seconds: float | None = None
    reason: str = ""  # why it stopped or failed, where nobody asked it to

    @property
    def over(self) -> bool:
        """Whether nothing more comes by itself."""
        return self.state in ("stopped", "finished", "failed")

    @property
    def step(self) -> int:
        """The last step that is shown."""
        return self.events[-1].step if self.events else 0

    def rows(self, taught: bool) -> list[Row]:
        """One row per student of an arm, a column per event."""
        half = slice(12, 24) if taught else slice(12)
        return list(zip(*(e.accuracy["test"][half] for e in self.events), strict=True))

    @property
    def verdict(self) -> Verdict | None:
        """Distilled against labels only at the end, paired by seed; None before."""
        if self.state != "finished" or not self.events:
            return None
        row = self.events[-1].accuracy["test"]
        return verdict([row[12:24]], [row[:12]])

    @property
    def pairs(self) -> list[float]:
        """Distilled minus labels only, for each start."""
        row = self.events[-1].accuracy["test"] if self.events else ()
        both = zip(row[12:24], row[:12], strict=True)
        return [b - a for b, a in both if a is not None and b is not None]

    def means(self, at: int = -1) -> tuple[float | None, float | None]:
        """Mean accuracy of the two arms at an event."""
        row = self.events[at].accuracy["test"] if self.events else ()
        return _mean(row[:12]), _mean(row[12:24])

    @property
    def overtaken(self) -> int | None:
        """The event from which distilled stays ahead, if it was behind before."""
        both = [self.means(i) for i in range(len(self.events))]
        ahead = [a is not None and b is not None and b > a for a, b in both]
        if not ahead or not ahead[-1]:
            return None
        last = max((i for i, yes in enumerate(ahead) if not yes), default=-1)
        low = both[last][0] or 0.0
        return last + 1 if last >= 0 and low > LOW else None


def view(act: Act, stage: str = "", jumps: bool = False) -> View | None:
    """What the stage shows now; `jumps`: in at most four, for whoever wants no motion."""
    stage = stage or act.stage
    showing = {"warm": act.warm, "cold": act.cold}.get(stage)
    if showing is None:
        return None
    steps = RECIPES[RECIPE[stage]].recipes[0].steps
    if not showing.run:
        events: Sequence[Event] = recorded(stage)
        state, seconds, reason = ("finished" if events else "failed"), None, ""
    else:
        events, state, seconds, reason = _live(Entry(showing.run).folder)
    whole = RECIPES[RECIPE[stage]].recipes[0].events
    shown = _due(showing, whole)
    ended = state not in ("running", "queued") and shown >= len(events)
    if jumps and events and not ended:
        shown = 1 + (min(shown, len(events)) - 1) * 4 // whole * whole // 4
    if showing.stopped >= 0:
        shown, state = showing.stopped, "stopped"
    elif shown < len(events):
        state = "running"
    return View(stage, state, not showing.run, events[:shown], steps, seconds, reason)


def _due(showing: Showing, count: int) -> int:
    """How many events of so many the clock allows."""
    if not pace():
        return count + 1
    return 1 + int(max(0.0, time.time() - showing.since) / pace() * count)


def pace() -> float:
    """Seconds that the students of a stage learn for the eye."""
    return min(PACE, jobs.pace())


def _live(folder: Path) -> tuple[list[Event], str, float | None, str]:
    """Events, state and CPU seconds of a training, and what ended it before its time."""
    try:
        found = take(folder)
        status, events = found.status(), found.events()
    except (Damaged, BadInput, OSError):
        return [], "failed", None, ""
    reason = _desk.why(folder, status)
    if status.status in ("done", "failed"):
        state = {"done": "finished"}.get(status.status, "failed")
        return events, state, status.cpu_seconds, reason
    going = _desk.pool().ahead(folder) is not None or _desk.trains(folder) or Lease.held(folder)
    if not going:
        return events, "stopped", None, reason
    return events, "running" if events else "queued", None, ""


# ---------------------------------------------------------------------------------- actions


def recipes(stage: str) -> tuple[Recipe, ...]:
    """The group of 24 of a stage."""
    return RECIPES[RECIPE[stage]].recipes


def _in_turn(do: Callable[Concatenate[str, P], None]) -> Callable[Concatenate[str, P], None]:
    """An action that reads where a visitor stands and writes it, with nobody in between."""

    @functools.wraps(do)
    def alone(token: str, /, *given: P.args, **named: P.kwargs) -> None:
        with visitor(token).lock:
            do(token, *given, **named)

    return alone


@_in_turn
def begin(token: str, stage: str, guess: float | None = None) -> None:
    """Let the students of a stage learn; a second click while they do changes nothing."""
    act = read(visitor(token))
    seen = view(act)
    if seen is not None and not seen.over:
        if act.stage != stage or (guess is not None and guess != act.mark):
            raise BadInput(words.UNDER_WAY)  # from a page that does not show it yet
        return
    who = _desk.follower(visitor(token).key)
    try:
        run = name_of(_desk.pool().submit(recipes(stage), who, pace()))
    except (BadInput, Trouble):  # the queue or the disk is full: the recording says as much
        run = ""
    showing = Showing(run, time.time())
    if stage == "warm":
        write(token, Act("warm", guess, showing, None))
    else:
        write(token, replace(act, stage="cold", cold=showing, cold_guess=guess))


@_in_turn
def hurry(token: str) -> None:
    """Play the recording where a training has not begun in time, or broke before it did."""
    act = read(visitor(token))
    showing, seen = act.showing, view(act)
    if showing is None or seen is None or not showing.run or seen.events:
        return
    late = time.time() - showing.since > PATIENCE
    if not late and seen.state not in ("failed", "stopped"):
        return
    if showing.stopped < 0:
        _let_go(token, Entry(showing.run).folder)
        write(token, _put(act, Showing("", time.time())))


def _let_go(token: str, folder: Path) -> bool:
    """Stop looking at a training, and end it unless others look; True if it was ended."""
    who = _desk.follower(visitor(token).key)
    alone = jobs.sole(folder, who)
    if alone and not _desk.pool().withdraw(folder):
        jobs.command(folder, who, "stop")
    jobs.leave(folder, who)
    return alone


@_in_turn
def stop(token: str) -> None:
    """Stop at once and keep what is shown; the training goes on only where others watch it."""
    act = read(visitor(token))
    showing, seen = act.showing, view(act)
    if showing is None or seen is None or seen.over:
        return
    write(token, _put(act, replace(showing, stopped=len(seen.events))))
    if showing.run and seen.state != "finished":
        _let_go(token, Entry(showing.run).folder)


@_in_turn
def go_on(token: str) -> None:
    """Continue what was stopped from where it stands."""
    act = read(visitor(token))
    showing, seen = act.showing, view(act)
    if showing is None or seen is None or seen.state != "stopped":
        return
    count = recipes(act.stage)[0].events
    since = time.time() - pace() * max(0, len(seen.events) - 1) / count
    run = showing.run
    if run and _live(Entry(run).folder)[1] == "stopped":
        try:
            _desk.pool().resume(Entry(run).folder, _desk.follower(visitor(token).key), pace())
        except (BadInput, Trouble):
            run = ""
    write(token, _put(act, Showing(run, since)))


@_in_turn
def again(token: str) -> None:
    """Start over, from the bars."""
    stop(token)
    write(token, Act())


def attend(token: str) -> None:
    """Say that somebody looks at the run on the stage."""
    act = read(visitor(token))
    seen = view(act)
    if act.showing and act.showing.run and seen and not seen.over:
        jobs.follow(Entry(act.showing.run).folder, _desk.follower(visitor(token).key))


@_in_turn
def hand_over(token: str) -> None:
    """Give Train what was just seen: the shipped runs of both arms, and the form set to them."""
    from workbench.ui import _form

    act = read(visitor(token))
    stage = act.stage if act.stage in RECIPE else "warm"
    labels, taught = assets.groups(RECIPE[stage])
    with change(token) as one:
        for group in (labels, taught):
            folder = runs.SHIPPED / digest(group) / "1"
            known = one.find(name_of(folder))
            if folder.is_dir() and known is None:
                one.put(Entry(name_of(folder)))
            if folder.is_dir():
                one.chosen = name_of(folder)
        one.form = _form.show(_form.values_of(_form.Setup(taught[0].arm(), len(taught))))
        one.handed = True


def from_address(query: Sequence[tuple[str, str]]) -> tuple[dict[str, float], list[str]]:
    """Temperature and image in an address, and a sentence for each value that was changed."""
    found: dict[str, float] = {}
    notes: list[str] = []
    bounds = {"T": (1.0, 16.0), "image": (1.0, float(len(EXAMPLES)))}
    names = {"T": words.TEMPERATURE, "image": words.IMAGE_NUMBER}
    query = [("T" if key == "temperature" else key, text) for key, text in query[:60]]
    given = [key for key, _ in query]
    for key, text in dict(query).items():
        text = str(text)[:80]
        if key.startswith("__") or (key == "tab" and text == "start"):
            continue
        if given.count(key) > 1 and key in bounds:
            notes.append(words.UNCHANGED.format(words.TWICE.format(names[key])))
            continue
        try:
            value = float(text)
        except ValueError:
            value = math.nan
        if key in bounds and not math.isfinite(value):
            said = words.NO_NUMBER.format(names[key], text or words.NOTHING)
            notes.append(words.UNCHANGED.format(said))
            continue
        if key not in bounds:
            notes.append(words.LEFT_OUT.format(str(key)[:40], text))
            continue
        low, high = bounds[key]
        inside = min(max(value, low), high)
        found[key] = round(inside) if key == "image" else inside
        if inside != value:
            limits = words.number(low), words.number(high)
            notes.append(words.MOVED.format(names[key], *limits, text, words.number(found[key])))
    return found, notes
