"""What the buttons do: one pool of workers, and every visitor's runs as they stand now."""

from __future__ import annotations

import functools
import threading
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from workbench import jobs, words
from workbench.base import BadInput
from workbench.charts import roles
from workbench.events import Event
from workbench.jobs import Pool
from workbench.methods import METHODS
from workbench.runs import Damaged, Lease, Run, Status
from workbench.ui import _form
from workbench.ui._take import Take, take
from workbench.ui._visitor import Entry, Visitor, change, name_of, visitor

ACTIVE = ("queued", "running", "paused")


@functools.cache
def pool() -> Pool:
    """The one pool of this server."""
    return Pool()


def warm() -> None:
    """Start the workers beside the server, so that the first click finds torch imported."""
    threading.Thread(target=pool().start, daemon=True).start()


@dataclass(frozen=True)
class Sight:
    """A run of a visitor's list as it stands now."""

    entry: Entry
    take: Take
    state: str  # queued, running, paused, stopped, finished, failed
    step: int
    events: Sequence[Event]
    name: str
    role: str = "muted"
    ahead: int | None = None
    reason: str = ""
    seconds: float | None = None

    @property
    def run(self) -> str:
        """Its name."""
        return self.entry.run

    @property
    def steps(self) -> int:
        """How many it has in all."""
        return self.take.recipe.steps

    @property
    def active(self) -> bool:
        """Whether its training is not over."""
        return self.state in ACTIVE


def look(one: Visitor) -> list[Sight]:
    """The runs of a list, in its order; one that is damaged leaves it, and the page says so."""
    found = []
    for entry in one.shown():
        try:
            found.append(_see(entry, one.key))
        except Damaged:
            if not Lease.held(entry.folder):
                with one.lock:
                    one.lose(entry.run)
        except (BadInput, OSError):
            continue
    taken, names = _roles(found, one.chosen), _told_apart(found)
    return [
        replace(sight, role=role, name=name)
        for sight, role, name in zip(found, taken, names, strict=True)
    ]


def _roles(sights: Sequence[Sight], chosen: str) -> list[str]:
    """Each run's role among those of its data: others never stand beside it in a chart."""
    data = [sight.take.recipe.data.whole() for sight in sights]
    found = [""] * len(sights)
    for one in dict.fromkeys(data):
        places = [i for i, other in enumerate(data) if other == one]
        labels = [sights[i].take.recipe.method.key() == "scratch" for i in places]
        at = [k for k, i in enumerate(places) if sights[i].run == chosen]
        for i, role in zip(places, roles(labels, at[0] if at else None), strict=True):
            found[i] = role
    return found


def _told_apart(sights: Sequence[Sight]) -> list[str]:
    """Names of which no two are alike: first the rate is mentioned, then they are counted."""
    names = []
    for sight in sights:
        rates = {s.take.recipe.learning_rate for s in sights if s.name == sight.name}
        rate = words.rate(sight.take.recipe)
        names.append(f"{sight.name}, {rate}" if len(rates) > 1 else sight.name)
    counts = [names[: i + 1].count(name) for i, name in enumerate(names)]
    return [f"{n} ({k})" if k > 1 else n for n, k in zip(names, counts, strict=True)]


def follower(key: str) -> str:
    """A visitor's name among the followers of a run."""
    return key[:32]


def _see(entry: Entry, key: str) -> Sight:
    found = take(entry.folder)
    status, events = found.status(), found.events()
    state, ahead = _state(entry, status, key)
    if entry.view != "live":
        events = [event for event in events if event.step <= entry.seen]
    step = events[-1].step if events else 0
    name = words.run_name(found.recipe, _form.rates())
    seconds = status.cpu_seconds or None
    reason = why(entry.folder, status)
    return Sight(entry, found, state, step, events, name, "", ahead, reason, seconds)


def why(folder: Path, status: Status) -> str:
    """What ended a run before its time; a full disk has no room for that in state.json."""
    said = "" if status.status == "done" else pool().why.get(folder, "")
    return status.reason or said


def _state(entry: Entry, status: Status, key: str) -> tuple[str, int | None]:
    """The state in the words of the run bar, and how many wait before it."""
    folder = entry.folder
    if entry.view == "left":
        return "stopped", None
    if entry.view == "held":
        return "paused", None
    if status.status in ("done", "failed"):
        return {"done": "finished", "failed": "failed"}[status.status], None
    ahead = pool().ahead(folder)
    if ahead is not None:
        return "queued", ahead
    if Lease.held(folder) or trains(folder):
        return ("paused" if _paused(folder, follower(key)) else "running"), None
    return "stopped", None  # also what a server that was ended left behind


def trains(folder: Path) -> bool:
    """Whether a worker of this server has it."""
    with pool().lock:
        return any(folder in doing for doing in pool().doing)


def _paused(folder: Path, who: str) -> bool:
    asked = jobs.read_command(folder)
    held = asked.get("by") == who and asked.get("do") in ("pause", "step")
    return held and jobs.sole(folder, who)


# ---------------------------------------------------------------------------------- actions


def active(one: Visitor) -> Sight | None:
    """The run that is under way; a visitor has at most one."""
    return next((s for s in reversed(look(one)) if s.active), None)


def current(one: Visitor) -> Sight | None:
    """The run that the bar speaks about: the one under way, else the chosen one."""
    sights = look(one)
    under_way = [s for s in sights if s.active]
    found = under_way or [s for s in sights if s.run == one.chosen]
    return found[-1] if found else None


def start(token: str, made: _form.Setup, stepping: bool = False) -> None:
    """Train an arm anew, or join its training under way, and put it in the picture.

    `stepping`: it waits after its first event; asked before it begins, so that it cannot run on.
    """
    one = visitor(token)
    if under_way := active(one):
        raise BadInput(words.STILL.format(under_way.step, under_way.steps))
    folder = Run(made.recipes, fresh=True).folder
    jobs.command(folder, follower(one.key), "step" if stepping else _speed(one))
    pool().resume(folder, follower(one.key))
    with change(token) as one:
        one.put(Entry(name_of(folder)))
        one.chosen = name_of(folder)
        if one.find(one.baseline) is None:
            one.baseline = one.shown()[0].run


def control(token: str, run: str) -> None:
    """Train the control of a run, everything alike but labels alone, and compare all with it."""
    sight = next((s for s in look(visitor(token)) if s.run == run), None)
    if sight is None:
        return
    recipe = sight.take.recipe.but(method=METHODS["scratch"](), teachers=())
    start(token, _form.Setup(recipe, len(sight.take.recipes)))
    with change(token) as one:
        one.baseline, one.chosen = one.chosen, run


def go_on(token: str) -> None:
    """Continue: a paused training, one's own paused view, or a stopped run."""
    with change(token) as one:
        sight = current(one)
        if sight is None:
            return
        one.put(replace(sight.entry, view="live"))
        one.chosen = sight.run
        folder, who = sight.entry.folder, follower(one.key)
        jobs.command(folder, who, _speed(one))  # before the pace can be turned
    if _state(replace(sight.entry, view="live"), sight.take.status(), one.key)[0] == "stopped":
        pool().resume(folder, who)


def _speed(one: Visitor) -> str:
    """The command that lets a training go on."""
    return "hurry" if one.hurried else "go"


def turn_pace(token: str) -> None:
    """From slow enough to be watched to full speed, or back: what is under way, and what comes."""
    with change(token) as one:
        sight = active(one)
        if (
            sight
            and sight.state == "running"
            and not jobs.sole(sight.entry.folder, follower(one.key))
        ):
            raise BadInput(words.SHARED_PACE)
        one.hurried = not one.hurried
        if sight and sight.state in ("queued", "running"):
            jobs.command(sight.entry.folder, follower(one.key), _speed(one))


def hold(token: str) -> None:
    """Pause: the training if nobody else watches, else this visitor's view."""
    _ask(token, "pause", "held")


def step(token: str) -> None:
    """The next event, then wait."""
    with change(token) as one:
        sight = active(one)
        if sight is None:
            return
        if sight.entry.view == "held":
            later = [e.step for e in sight.take.events() if e.step > sight.entry.seen]
            one.put(replace(sight.entry, seen=later[0] if later else sight.entry.seen))
            if later and later[0] == sight.steps:
                one.put(replace(sight.entry, view="live"))
            return
    _ask(token, "step", "held")


def stop(token: str) -> None:
    """End the training and keep it, or only stop watching where others go on."""
    _ask(token, "stop", "left")


def _ask(token: str, do: str, view: str) -> None:
    with change(token) as one:
        sight = active(one)
        if sight is None:
            return
        folder, who = sight.entry.folder, follower(one.key)
        if sight.entry.view == "held" and do == "stop":
            one.put(replace(sight.entry, view="left"))
        elif not jobs.command(folder, who, do):
            one.put(replace(sight.entry, view=view, seen=sight.step))
        if view == "left":
            with_others = not jobs.sole(folder, who)
            if with_others:
                jobs.leave(folder, who)


def leave_queue(token: str) -> None:
    """Give up one's place; the run before it is in the picture again."""
    with change(token) as one:
        sight = active(one)
        if sight is None:
            return
        folder, who = sight.entry.folder, follower(one.key)
        if jobs.sole(folder, who) and not pool().withdraw(folder):
            jobs.command(folder, who, "stop")
        jobs.leave(folder, who)
        one.entries = [e for e in one.entries if e.run != sight.run]
        one.chosen = one.shown()[-1].run if one.shown() else ""


def reset(token: str) -> None:
    """Empty the list; nothing is deleted."""
    with change(token) as one:
        one.hide([entry.run for entry in one.shown()])
        one.chosen = ""


def bring_back(token: str) -> None:
    """Undo the last reset or removal."""
    with change(token) as one:
        one.bring_back()
        if one.shown():
            one.chosen = one.shown()[-1].run


def choose(token: str, run: str) -> None:
    """Put a run in the picture."""
    with change(token) as one:
        if one.find(run):
            one.chosen = run


def measure_against(token: str, run: str) -> None:
    """Make a run the one that the others are compared with."""
    with change(token) as one:
        if one.find(run):
            one.baseline = run


def remove(token: str, run: str) -> None:
    """Take a run off the list."""
    with change(token) as one:
        sight = next((s for s in look(one) if s.run == run), None)
        if sight is None:
            return
        if sight.active:
            raise BadInput(words.REMOVE_LIVE)
        one.hide([run])
        one.choose_others(run)


def pick(token: str, sample: int) -> None:
    """Look at another image."""
    with change(token) as one:
        one.sample = sample


def heat(token: str) -> None:
    """Switch between the chosen run's temperature and 1."""
    with change(token) as one:
        one.heated = not one.heated
