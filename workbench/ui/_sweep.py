"""Where a visitor's sweep stands, and what its buttons do.

A sweep is a few plain values on the server, so that a reload or a second tab finds it: the form's
line, one run for each pass of its plan, the guess, the picked cell. Two passes are in the workers'
hands at a time; whoever looks at the page hands them the next, so one that is left stops.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from workbench import assets, jobs, runs, words
from workbench.base import BadInput, Trouble
from workbench.charts.grid import Cell as Square
from workbench.evaluation import Scores, Verdict, corrected
from workbench.events import Event
from workbench.runs import Damaged, Lease, Run
from workbench.sweep import Cell, done
from workbench.ui import _axes, _desk, _form
from workbench.ui._axes import Asked
from workbench.ui._take import take
from workbench.ui._visitor import Entry, Visitor, change, name_of, visitor

#: Passes of one visitor in the workers' hands, and seconds after which one that nobody looked at
#: has stopped.
HANDS, LEFT = 2, 15.0
Place = tuple[int, int]


@dataclass(frozen=True)
class Swept:
    """A visitor's sweep: empty `line` where they have none, and the shipped one is shown."""

    line: str = ""  # the form that it was asked by
    runs: tuple[str, ...] = ()  # of each pass; empty where it has none yet
    stopped: bool = False
    why: str = ""  # what ended it, where nobody asked for that
    guess: Place | None = None
    asking: str = ""  # the form's line, while the guess is asked for
    predicted: bool = False  # a guess was made or skipped: R1 asks before the first run only
    picked: Place | None = None
    seen: float = 0.0  # when somebody looked last while it went on


def read(one: Visitor) -> Swept:
    """The visitor's sweep; one that was tampered with begins anew."""
    found = dict(one.sweep)
    try:
        for name in ("guess", "picked"):
            if found.get(name) is not None:
                i, j = found[name]
                found[name] = int(i), int(j)
        found["runs"] = tuple(found.get("runs", ()))
        made = Swept(**found)
        good = all(run == "" or Entry.known(run) for run in made.runs)
        texts = all(isinstance(v, str) for v in (made.line, made.why, made.asking))
        if not good or not texts or isinstance(made.seen, (str, bool)):
            return Swept()
        if made.line and len(_axes.read(made.line, one.data()).plan.passes) != len(made.runs):
            return Swept()
        return made
    except (TypeError, ValueError):
        return Swept()


def _write(token: str, **changes: Any) -> Swept:
    with change(token) as one:
        made = replace(read(one), **changes)
        one.sweep = asdict(made)
        return made


# --------------------------------------------------------------------------- what is to be seen


@dataclass(frozen=True)
class Pass:
    """One run of a plan as it stands: state in the words of a cell, its events so far."""

    state: str  # queued, running, stopped, finished
    events: Sequence[Event] = ()
    run: str = ""
    reason: str = ""

    @property
    def share(self) -> float:
        """How much of it is done."""
        last = self.events[-1] if self.events else None
        return last.step / max(1, last.steps) if last else 0.0


@dataclass(frozen=True)
class View:
    """A sweep as it stands now: its squares, row by row."""

    asked: Asked
    passes: Sequence[Pass]
    shipped: bool = False
    swept: Swept = field(default_factory=Swept)

    @property
    def live(self) -> bool:
        """Whether something is under way, or will be by itself."""
        return not self.shipped and not self.swept.stopped and not self.over

    @property
    def over(self) -> bool:
        """Whether every pass is finished."""
        return all(one.state == "finished" for one in self.passes)

    @property
    def state(self) -> str:
        """The state in the words of the run bar."""
        if self.over:
            return "finished"
        if self.swept.stopped:
            return "stopped"
        return "running" if any(one.events for one in self.passes) else "queued"

    @property
    def share(self) -> float:
        """How much of the whole is done."""
        sizes = [len(group) for group in self.asked.plan.passes]
        done_ = sum(n * one.share for n, one in zip(sizes, self.passes, strict=True))
        return done_ / sum(sizes)

    def cell(self, at: Place) -> Cell:
        """The plan's cell at a place of the map."""
        return self.asked.plan.cells[at[0] * self.asked.shape[1] + at[1]]

    def scores(self, cell: Cell | None, step: int = -1) -> tuple[float | None, ...]:
        """What is right of each student of a cell at an event; nothing where it has none yet."""
        if cell is None:
            return ()
        i, mine = self.asked.plan.students(cell)
        events = self.passes[i].events
        return events[step].accuracy["test"][mine] if events else ()

    def squares(self) -> list[list[Square]]:
        """The map's cells."""
        rows, columns = self.asked.shape
        return [[self._square((i, j)) for j in range(columns)] for i in range(rows)]

    def _square(self, at: Place) -> Square:
        cell = self.cell(at)
        one = self.passes[self.asked.plan.place(cell)[0]]
        state = "queued" if not one.events else one.state
        if state == "running" and self.swept.stopped:
            state = "stopped"
        return Square(self.scores(cell), state, one.share)

    def base(self) -> tuple[float | None, ...]:
        """The scores of labels only, where all cells have the same."""
        labels = self.asked.plan.labels
        return self.scores(labels[0]) if len(labels) == 1 else ()

    def events(self, cell: Cell) -> tuple[list[int], list[tuple[float | None, ...]]]:
        """The steps of a cell, and a row for each of its students."""
        i, mine = self.asked.plan.students(cell)
        events = self.passes[i].events
        rows = zip(*(event.accuracy["test"][mine] for event in events), strict=True)
        return [event.step for event in events], list(rows)

    def verdicts(self) -> dict[Place, Verdict]:
        """Every finished cell against labels only, corrected for how many they are (Holm)."""
        plan, (rows, columns) = self.asked.plan, self.asked.shape
        pairs: dict[str, tuple[Scores, Scores]] = {}
        for i in range(rows):
            for j in range(columns):
                cell = self.cell((i, j))
                base = plan.base(cell)
                if base and all(
                    self.passes[plan.place(one)[0]].state == "finished" for one in (cell, base)
                ):
                    pairs[f"{i},{j}"] = [self.scores(cell)], [self.scores(base)]
        judged = corrected(pairs) if pairs else {}
        return {(int(k.split(",")[0]), int(k.split(",")[1])): v for k, v in judged.items()}


def shipped() -> View | None:
    """The sweep that comes with the workbench."""
    plan = assets.swept()
    grid = plan.cells[0].knobs
    known = _axes.axes(plan.method)
    down, across = (known[name] for name in grid)
    found = [_look(name_of(run.folder) if run else "") for run in map(done, plan.passes)]
    asked = Asked(across, down, plan)
    view = View(asked, found, True)
    return view if view.over else None


def view(one: Visitor) -> View | None:
    """What the page shows: the visitor's sweep, else the shipped one."""
    mine = read(one)
    if mine.asking:
        asked = _axes.read(mine.asking, one.data())
        waiting = [Pass("queued") for _ in asked.plan.passes]
        return View(asked, waiting, swept=replace(mine, stopped=True, picked=None))
    if not mine.line:
        found = shipped()
        return replace(found, swept=mine) if found else None
    asked = _axes.read(mine.line, one.data())
    return View(asked, [_look(run) for run in mine.runs], swept=mine)


def _look(run: str) -> Pass:
    if not run:
        return Pass("queued")
    folder = Entry(run).folder
    try:
        found = take(folder)
        held = Lease.held(folder)  # before the status: a run that ends now is then done
        status, events = found.status(), found.events()
    except (Damaged, BadInput, OSError):
        return Pass("stopped" if Lease.held(folder) else "queued")
    reason = _desk.why(folder, status)
    if status.status == "done":
        return Pass("finished", events, run)
    if status.status == "failed":
        return Pass("stopped", events, run, reason)
    if _desk.pool().ahead(folder) is not None:
        return Pass("queued", events, run)
    if held or _desk.trains(folder):
        return Pass("running", events, run)
    return Pass("stopped", events, run, reason)


# ---------------------------------------------------------------------------------- actions


def ask(token: str, line: str) -> None:
    """Run was pressed: before the first sweep a guess is asked for, later ones begin."""
    one = visitor(token)
    current = view(one)
    if current is not None and current.live:
        raise BadInput(words.SWEEP_STILL)
    asked = _axes.read(line, one.data())
    if read(one).predicted or len(asked.plan.cells) < 2:
        begin(token, line)
    else:
        _write(token, asking=line)


def guess(token: str, at: Place | None) -> None:
    """The guess, or that it was skipped; then the students learn."""
    with visitor(token).lock:
        mine = read(visitor(token))
        if not mine.asking:
            return
        line = mine.asking
        _write(token, asking="", predicted=True)
        begin(token, line, at)


def give_up(token: str) -> None:
    """No sweep after all."""
    _write(token, asking="")


def begin(token: str, line: str, at: Place | None = None, fresh: bool = False) -> None:
    """Train a plan: passes that were finished before are found, unless it shall be fresh."""
    with visitor(token).lock:
        plan = _axes.read(line, visitor(token).data()).plan
        found = [None if fresh else done(group) for group in plan.passes]
        names = tuple(name_of(run.folder) if run else "" for run in found)
        _write(token, line=line, runs=names, stopped=False, why="", guess=at, picked=None,
               asking="", predicted=True, seen=time.time())  # fmt: skip
        tend(token)


def again(token: str) -> None:
    """The same plan, trained anew."""
    begin(token, read(visitor(token)).line, read(visitor(token)).guess, fresh=True)


def tend(token: str) -> None:
    """Look after a sweep that goes on: say that somebody looks, hand over the next passes."""
    with visitor(token).lock:
        one = visitor(token)
        mine = read(one)
        if not mine.line or mine.stopped or mine.asking:
            return
        now = view(one)
        if now is None or now.over:
            return
        if time.time() - mine.seen > LEFT:  # it was left, and its trainings with it
            _write(token, stopped=True)
            return
        broken = next((p.reason for p in now.passes if p.state == "stopped" and p.reason), "")
        if broken:
            _write(token, stopped=True, why=broken)
            return
        names, who = list(mine.runs), _desk.follower(one.key)
        under_way = [i for i, p in enumerate(now.passes) if p.run and p.state in _desk.ACTIVE]
        for i in under_way:
            jobs.follow(Entry(names[i]).folder, who)
        try:
            for i, one_pass in enumerate(now.passes):
                if len(under_way) >= HANDS:
                    break
                if one_pass.state == "finished" or i in under_way:
                    continue
                names[i] = _hand_over(one, now, i)
                under_way.append(i)
        except jobs.Busy:  # others wait already: the next look tries again
            pass
        except (BadInput, Trouble) as error:
            _write(token, runs=tuple(names), stopped=True, why=words.sentence(error))
            return
        if tuple(names) != mine.runs or time.time() - mine.seen > LEFT / 3:
            _write(token, runs=tuple(names), seen=time.time())


def _hand_over(one: Visitor, now: View, i: int) -> str:
    """Give pass i to the workers: from where it stopped, or from its beginning."""
    who, group = _desk.follower(one.key), now.asked.plan.passes[i]
    seconds = 0.0 if one.hurried else pace(len(now.passes))
    before = now.passes[i]
    if before.run and before.state == "stopped":
        folder = Entry(before.run).folder
        jobs.command(folder, who, "hurry" if one.hurried else "go")
        return name_of(_desk.pool().resume(folder, who, seconds))
    return name_of(_desk.pool().submit(group, who, seconds))


def pace(passes: int) -> float:
    """Seconds that a pass takes at least, so that the whole sweep can be watched."""
    return jobs.pace() * min(passes, HANDS) / max(1, passes)


def stop(token: str) -> None:
    """End what is under way and keep it; what others watch goes on for them."""
    with visitor(token).lock:
        one = visitor(token)
        now = view(one)
        if now is None or not now.live:
            return
        who = _desk.follower(one.key)
        for each in now.passes:
            if not each.run or each.state not in _desk.ACTIVE:
                continue
            folder = Entry(each.run).folder
            if jobs.sole(folder, who) and not _desk.pool().withdraw(folder):
                jobs.command(folder, who, "stop")
            jobs.leave(folder, who)
        _write(token, stopped=True, why="")


def go_on(token: str) -> None:
    """Continue what was stopped."""
    with visitor(token).lock:
        for run in read(visitor(token)).runs:  # why it stopped may be over
            if run:
                _desk.pool().why.pop(Entry(run).folder, None)
        _write(token, stopped=False, why="", seen=time.time())
        tend(token)


def reset(token: str) -> None:
    """Back to the shipped sweep; nothing is deleted."""
    mine = read(visitor(token))
    with change(token) as one:
        one.sweep = asdict(Swept(predicted=mine.predicted))


def turn_pace(token: str) -> None:
    """From slow enough to be watched to full speed, or back."""
    with change(token) as one:
        one.hurried = not one.hurried
        now, who = view(one), _desk.follower(one.key)
        for each in now.passes if now else ():
            if each.run and each.state in _desk.ACTIVE:
                jobs.command(Entry(each.run).folder, who, "hurry" if one.hurried else "go")


def pick(token: str, at: Place) -> None:
    """Look at a cell; the same one again closes it."""
    mine = read(visitor(token))
    _write(token, picked=None if mine.picked == at else at)


def place(text: object, now: View | None) -> Place:
    """A place that the page sent, if the map has it."""
    parts = str(text)[:12].split(",")
    rows, columns = now.asked.shape if now else (0, 0)
    if len(parts) == 2 and all(part.isdigit() for part in parts):
        i, j = map(int, parts)
        if i < rows and j < columns:
            return i, j
    raise BadInput(words.NO_CELL)


def open_in_train(token: str, at: Place) -> None:
    """Make a run of a finished cell, put it in the visitor's list, and the form with it."""
    now = view(visitor(token))
    if now is None:
        raise BadInput(words.NO_CELL)
    cell = now.cell(at)
    if now.passes[now.asked.plan.place(cell)[0]].state != "finished":
        raise BadInput(words.CELL_NOT_YET)
    names = [name_of(_taken(now, cell).folder)]
    base = now.asked.plan.base(cell)
    if base and now.passes[now.asked.plan.place(base)[0]].state == "finished":
        names.append(name_of(_taken(now, base).folder))  # as long, on the same images
    with change(token) as one:
        for found in reversed(names):
            if one.find(found) is None:
                one.put(replace(Entry(found), hidden=0.0))
        one.chosen, one.baseline = names[0], names[1] if names[1:] else one.baseline
        if one.find(one.baseline) is None:
            one.baseline = one.shown()[0].run
        made = _form.Setup(cell.recipes[0].arm(), len(cell.recipes))
        with suppress(BadInput):
            one.form = _form.show(_form.values_of(made))
        one.handed = True


def _taken(now: View, cell: Cell) -> Run:
    """The cell as a run of its own, from the very pass that is shown."""
    i, k = now.asked.plan.place(cell)
    return runs.extract(Run.at(Entry(now.passes[i].run).folder), k)
