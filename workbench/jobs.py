"""Trainings as jobs: worker processes train, pages tail the folders and send commands.

A worker (`python -m workbench.jobs`) turns between up to two runs with one torch thread. It
iterates the same `Run` as everybody else, paced so that one can follow. Whoever looks at a run
keeps a *follower* file fresh; pause, step, stop and hurry (without the pace) arrive through
`command.json`, and count only while their sender is the sole follower, so that nobody stops what
somebody else is watching.
"""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from workbench.base import BadInput, Trouble
from workbench.events import Event
from workbench.recipe import Recipe, digest
from workbench.runs import Lease, Run, Status, usable_home, write

WORKERS, TURNS, WAITING = 2, 2, 8
#: Seconds: a follower counts as present, a training without one goes on, commands are read.
PRESENT, ALONE, POLL = 3.0, 20.0, 0.1
#: Seconds that a paced run takes at least: long enough for a class to see the curves grow and to
#: hit Pause; WORKBENCH_PACE overrides it.
PACE = 8.0
LACKING = "the training process ended twice; this machine may lack memory"


class Busy(BadInput):
    """The queue is full."""


# ------------------------------------------------------------------- followers and commands


def follow(folder: Path, token: str) -> None:
    """Say that `token` looks at this run now; call it about once a second."""
    path = folder / "followers" / _safe(token)
    try:
        path.parent.mkdir(exist_ok=True)
        path.touch()
        os.utime(path)
    except OSError:
        pass  # a run that was removed has no followers


def leave(folder: Path, token: str) -> None:
    """Say that `token` no longer looks at this run."""
    with suppress(OSError):  # nor has a run that was removed any left
        (folder / "followers" / _safe(token)).unlink(missing_ok=True)


def followers(folder: Path, within: float = PRESENT) -> list[str]:
    """Who looked at this run within the last seconds."""
    now, found = time.time(), []
    for path in (folder / "followers").glob("*"):
        try:
            if now - path.stat().st_mtime < within:
                found.append(path.name)
        except OSError:
            continue
    return sorted(found)


def sole(folder: Path, token: str) -> bool:
    """Whether nobody but `token` looks at this run."""
    return all(name == _safe(token) for name in followers(folder))


def command(folder: Path, token: str, do: str) -> bool:
    """Ask for pause, go, hurry, step or stop; False where others watch: then only views can."""
    if do not in ("pause", "go", "hurry", "step", "stop"):
        raise BadInput(f"command {do!r} is not known: expected pause, go, hurry, step or stop")
    follow(folder, token)
    if not sole(folder, token):
        return False
    asked = read_command(folder)
    write(
        folder / "command.json",
        json.dumps({"by": _safe(token), "do": do, "count": asked.get("count", 0) + 1}),
    )
    return True


def read_command(folder: Path) -> dict[str, Any]:
    """The last command, or nothing."""
    try:
        found = json.loads((folder / "command.json").read_text())
        return found if isinstance(found, dict) else {}
    except (OSError, ValueError):
        return {}


def _safe(token: str) -> str:
    if not re.fullmatch(r"[0-9a-zA-Z-]{8,64}", token):
        raise BadInput("a follower's token: expected 8 to 64 letters and digits")
    return token


# ------------------------------------------------------------------------- inside a worker


@dataclass
class Job:
    """A run that a worker advances, event by event."""

    run: Run
    pace: float
    events: Iterator[Event] = field(init=False)
    due: float = 0.0
    answered: int = 0  # the count of the last step command that was carried out
    deserted: float = field(default_factory=time.monotonic)
    over: bool = False
    known: int = 0  # the step up to which a resumed run was recorded: that needs no pace

    def __post_init__(self) -> None:
        before = self.run.status
        self.known = before.step
        self.events = iter(self.run)
        if before.status != "queued":  # what was asked of an earlier training is not for this one
            self.answered = read_command(self.run.folder).get("count", 0)

    def asked(self) -> str:
        """What the sole follower wants now: go, hurry, pause, step or stop."""
        folder = self.run.folder
        here, asked = followers(folder), read_command(folder)
        if here:
            self.deserted = time.monotonic()
        elif time.monotonic() - self.deserted > ALONE:
            return "stop"
        mine = not here or here == [asked.get("by")]
        if not mine or not asked or asked.get("count", 0) < self.answered:
            return "go"
        do = str(asked.get("do", "go"))
        if do == "step":
            return "pause" if asked["count"] == self.answered else "step"
        # an act that was asked before this training began is not meant for it
        return do if asked["count"] > self.answered or do in ("pause", "hurry") else "go"

    def turn(self) -> bool:
        """Advance by an event if one is due; False when there was nothing to do."""
        do = self.asked()
        if do == "stop":
            self.run.halt()
        elif do == "pause" or (do == "go" and time.monotonic() < self.due):
            return False
        if do == "step":
            self.answered = read_command(self.run.folder)["count"]
        event = next(self.events, None)
        if event is None:
            self.over = True
        elif event.step <= self.known:
            return True
        # a schedule, not a pause after each event: the pace holds on a busy machine too, and
        # after a hurry or some steps it goes on at once
        recipe, now = self.run.recipes[0], time.monotonic()
        interval = self.pace / max(1, min(recipe.steps, recipe.events))
        self.due = min(max(self.due + interval, now - interval), now + interval)
        return True


def work(requests: IO[str], answers: IO[str]) -> None:
    """The worker's loop: requests and answers are lines of JSON; it ends with its input."""
    import torch

    torch.set_num_threads(1)
    waiting: list[dict[str, Any]] = []
    ended = threading.Event()
    jobs: list[Job] = []

    def read() -> None:
        for line in requests:
            waiting.append(json.loads(line))
        ended.set()

    def watch() -> None:  # a stop must not wait for the next event
        while not ended.wait(POLL):
            for job in list(jobs):
                if job.asked() == "stop":
                    job.run.halt()

    for loop in (read, watch):
        threading.Thread(target=loop, daemon=True).start()
    print(json.dumps({"ready": os.getpid()}), file=answers, flush=True)
    while not ended.is_set():
        while waiting and len(jobs) < TURNS:
            jobs += _begin(waiting.pop(0), answers)
        busy = [_turn(job, answers) for job in jobs]
        jobs[:] = [job for job in jobs if not job.over]
        if not any(busy):
            time.sleep(0.005 if jobs else 0.02)
    for job in jobs:  # the app is closing: keep what there is
        job.run.halt()
        with suppress(OSError, Trouble):  # and if there is no room for it, the last checkpoint
            next(job.events, None)


def _begin(request: dict[str, Any], answers: IO[str]) -> list[Job]:
    folder = Path(request["folder"])
    try:
        return [Job(Run.at(folder), float(request["pace"]))]
    except Exception as error:  # a damaged or removed take must not take the others with it
        _over(folder, answers, error)
        return []


def _turn(job: Job, answers: IO[str]) -> bool:
    try:
        busy = job.turn()
    except Exception as error:  # the worker goes on
        job.over = True
        _over(job.run.folder, answers, error)
        return True
    if job.over:
        _over(job.run.folder, answers)
    return busy


def _over(folder: Path, answers: IO[str], error: Exception | None = None) -> None:
    """Say that a run is over, and why: a full disk has no room for that in state.json."""
    why = "" if error is None else (f"{error}" or type(error).__name__).splitlines()[0][:500]
    if error is not None:
        known = isinstance(error, (BadInput, Trouble))  # they name what they are about
        print(why if known else f"{folder}: {why}", file=sys.stderr, flush=True)
    print(json.dumps({"over": str(folder), "why": why}), file=answers, flush=True)


# --------------------------------------------------------------------------- in front of it


@contextmanager
def deaf() -> Iterator[None]:
    """Ctrl-C is heard after this, not inside, and by no process that starts here.

    It is for who started them and tells them to end. Windows has no such thing.
    """
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


class Pool:
    """A few worker processes and the queue before them."""

    def __init__(self, workers: int = WORKERS) -> None:
        self.size = workers
        self.lock = threading.Lock()
        self.workers: list[subprocess.Popen[str]] = []
        self.doing: list[list[Path]] = []
        self.queue: list[tuple[Path, float]] = []
        self.restarts: dict[Path, int] = {}
        self.why: dict[Path, str] = {}  # what ended a run, where it was not its recipe's end
        self.ready = 0
        self.closed = False

    def start(self) -> None:
        """Start the workers, so that they have imported torch when the first run comes."""
        with self.lock:
            while len(self.workers) < self.size:
                self._spawn(len(self.workers))

    def _spawn(self, i: int) -> None:
        env = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONUNBUFFERED": "1"}
        with deaf():
            worker = subprocess.Popen(
                [sys.executable, "-m", "workbench.jobs"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
                env=env,
                cwd=Path(__file__).parent.parent,
            )
        if i == len(self.workers):
            self.workers.append(worker)
            self.doing.append([])
        else:
            self.workers[i] = worker
        threading.Thread(target=self._listen, args=(i, worker), daemon=True).start()

    def _listen(self, i: int, worker: subprocess.Popen[str]) -> None:
        assert worker.stdout is not None
        for line in worker.stdout:
            said = json.loads(line)
            with self.lock:
                if "ready" in said:
                    self.ready += 1
                if "over" in said:
                    done = Path(said["over"])
                    if said["why"]:
                        self.why[done] = said["why"]
                    self.doing[i] = [folder for folder in self.doing[i] if folder != done]
                self._dispatch()
        with self.lock:  # it died: its runs kept their checkpoints and go on in another
            if self.closed or self.workers[i] is not worker:
                return
            lost, self.doing[i] = self.doing[i], []
            self.ready -= 1
            self._spawn(i)
            for folder in reversed(lost):
                self.restarts[folder] = self.restarts.get(folder, 0) + 1
                if self.restarts[folder] <= 2:
                    self.queue.insert(0, (folder, pace()))
                else:
                    self.why[folder] = LACKING
                    with suppress(Trouble):
                        Status("failed", reason=LACKING).write(folder)
            self._dispatch()

    def _dispatch(self) -> None:
        while self.queue:
            i = min(range(len(self.doing)), key=lambda j: len(self.doing[j]), default=-1)
            if i < 0 or len(self.doing[i]) >= TURNS:
                return
            folder, seconds = self.queue.pop(0)
            stdin = self.workers[i].stdin
            assert stdin is not None
            try:
                stdin.write(json.dumps({"folder": str(folder), "pace": seconds}) + "\n")
                stdin.flush()
                self.doing[i].append(folder)
            except OSError:  # it is dying: `_listen` restarts it and dispatches again
                self.queue.insert(0, (folder, seconds))
                return

    def submit(self, recipes: Sequence[Recipe], token: str, seconds: float | None = None) -> Path:
        """Train a group again, or join its training under way: the take's folder to tail."""
        with self.lock:  # one that only waits is joined too
            asked = [f for f, _ in self.queue] + [f for doing in self.doing for f in doing]
        same = [f for f in asked if f.parent.name == digest(recipes)]
        same = [f for f in same if Status.read(f).status == "queued"]
        folder = same[-1] if same else Run(recipes, fresh=True).folder
        return self.resume(folder, token, seconds)

    def resume(self, folder: Path, token: str, seconds: float | None = None) -> Path:
        """Train a take from where it stopped, or join whoever trains it."""
        follow(folder, token)
        with self.lock:
            known = [f for f, _ in self.queue] + [f for doing in self.doing for f in doing]
            if folder in known or Lease.held(folder):
                return folder
            self.why.pop(folder, None)
            if len(self.queue) >= WAITING:
                raise Busy(f"{len(self.queue)} trainings wait already; try again in a minute")
            self.queue.append((folder, pace() if seconds is None else seconds))
            self._dispatch()
        return folder

    def ahead(self, folder: Path) -> int | None:
        """How many runs wait before this one; None if it does not wait."""
        with self.lock:
            waiting = [f for f, _ in self.queue]
            return waiting.index(folder) if folder in waiting else None

    def withdraw(self, folder: Path) -> bool:
        """Leave the queue; False where it trains already."""
        with self.lock:
            before = len(self.queue)
            self.queue = [(f, s) for f, s in self.queue if f != folder]
            return len(self.queue) < before

    def close(self) -> None:
        """End the workers; what they train is kept and can resume."""
        self.closed = True
        for worker in self.workers:
            if worker.stdin is not None:
                worker.stdin.close()
        for worker in self.workers:
            try:
                worker.wait(5)
            except subprocess.TimeoutExpired:
                worker.kill()


def pace() -> float:
    """Seconds a run takes at least, so that one can follow it."""
    text = os.environ.get("WORKBENCH_PACE", str(PACE))
    try:
        return max(0.0, min(60.0, float(text)))
    except ValueError:
        raise Trouble(f"WORKBENCH_PACE={text}: expected a number of seconds") from None


if __name__ == "__main__":
    usable_home()
    work(sys.stdin, sys.stdout)
