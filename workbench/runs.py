"""A run is a folder named by its group of recipes: iterate it to replay, resume or train.

    <WORKBENCH_HOME>/runs/<name>/<take>/
        recipes.json           what decides the run
        events.jsonl           what happened; timings.jsonl beside it, one line an event
        opinions.f16           what the first student of each arm says about the gallery, by event
        views.f16              what its method compares inside it, where it compares layers
        state.json             queued, running, stopped, done or failed; the step; checksums
        checkpoint.safetensors of a run that is not done
        weights.safetensors    of one that is: written last, atomically
        lease, followers/, command.json   who trains, who watches, what they ask

Takes of one name differ in nothing but when they were trained. Whoever holds the lease trains;
everybody else tails the files. A damaged take is reported and set aside, never loaded.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
import os
import platform
import re
import shutil
import signal
import threading
import time
import uuid
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, cast

import torch
from torch import Tensor, nn

from workbench import engine, inside
from workbench.base import BadInput, Outputs, Trouble
from workbench.data import Data
from workbench.engine import ROWS, State, Teacher, begin, listen, train
from workbench.events import Event
from workbench.models import MODELS
from workbench.recipe import Recipe, arms, digest
from workbench.said import ROOM, Refused, Shelf

SHIPPED = Path(__file__).parent / "assets" / "runs"
#: How many test samples (the first, stratified) a run records its opinions about at each event.
GALLERY = 60
#: A number in half precision that nobody recorded.
UNSEEN = b"\x00\x7e"
#: Seconds: between heartbeats, until a lease is stale, between checkpoints.
BEAT, STALE, SAVE = 0.5, 5.0, 1.0


def home() -> Path:
    """The folder of all runs: WORKBENCH_HOME, else the user's cache folder."""
    found = os.environ.get("WORKBENCH_HOME")
    if found:
        folder = Path(found)
    else:
        import platformdirs

        folder = Path(platformdirs.user_cache_path("distillation-workbench"))
    if os.path.isfile(folder):  # the system's own reason would be "File exists"
        raise Trouble(
            f"{_called(folder)}: is a file, expected a folder; "
            "set WORKBENCH_HOME to a folder you may write to"
        )
    return folder


def _called(folder: Path) -> str:
    """A home as messages call it: WORKBENCH_HOME is not blamed for what it does not say."""
    return f"WORKBENCH_HOME={folder}" if os.environ.get("WORKBENCH_HOME") else f"{folder}"


def usable_home() -> Path:
    """The home, existing and writable; else `Trouble` with the remedy."""
    folder = home()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe = folder / f".probe-{uuid.uuid4().hex}"
        probe.write_text("")
        probe.unlink()
    except (OSError, RuntimeError) as error:
        raise _refused(error, folder) from None
    return folder


def _refused(error: Exception, folder: Path | None = None) -> Trouble:
    """What the disk refuses, whichever file it was: the home, why, and the remedy."""
    why = getattr(error, "strerror", None) or error
    return Trouble(
        f"{_called(folder or home())}: runs cannot be kept there ({why}); make room on its disk, "
        "or set WORKBENCH_HOME to a folder you may write to"
    )


# ----------------------------------------------------------------------------------- files


def write(path: Path, content: str | bytes) -> None:
    """Write a file whole or not at all."""
    data = content.encode() if isinstance(content, str) else content
    part = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}")
    try:
        part.write_bytes(data)
        for patience in range(20):  # Windows refuses while somebody reads the old file
            try:
                os.replace(part, path)
                break
            except PermissionError:
                if patience == 19:
                    raise
                time.sleep(0.01)
    except OSError as error:
        part.unlink(missing_ok=True)
        if isinstance(error, FileNotFoundError):
            raise
        raise _refused(error) from None


def checksum(path: Path) -> str:
    """The SHA-256 of a file, because safetensors and JSON load a flipped bit silently."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def save_tensors(path: Path, tensors: Mapping[str, Tensor], **facts: str) -> None:
    """Tensors as safetensors, written whole."""
    from safetensors.torch import save

    plain = {k: v.detach().cpu().contiguous().clone() for k, v in tensors.items()}
    _, content = _split(save(plain))
    write(path, save(plain, facts | {"sum": hashlib.sha256(content).hexdigest()}))


def _split(data: bytes) -> tuple[dict[str, Any], bytes]:
    """A safetensors file's header and its content."""
    end = 8 + int.from_bytes(data[:8], "little")
    return json.loads(data[8:end]), data[end:]


def load_tensors(path: Path) -> dict[str, Tensor]:
    """The tensors of a safetensors file; ValueError if they are not what was saved."""
    from safetensors.torch import load

    data = path.read_bytes()
    found = load(data)
    header, content = _split(data)
    expected = header.get("__metadata__", {}).get("sum")
    if expected is not None and hashlib.sha256(content).hexdigest() != expected:
        raise ValueError("its checksum does not fit")
    return found


class Damaged(BadInput):
    """A run folder that cannot be trusted: the message says which file and why."""


class DamagedRunWarning(UserWarning):
    """A damaged run was set aside."""


@dataclass(frozen=True)
class Status:
    """What state.json says: a status word, the step, and what the machine was like."""

    status: str  # queued, running, stopped, done, failed
    step: int = 0
    steps: int = 0
    reason: str = ""
    cpu_seconds: float = 0.0
    facts: Mapping[str, Any] | None = None  # device, threads, versions
    sums: Mapping[str, str] | None = None  # file -> SHA-256, of a run that is done

    @classmethod
    def read(cls, folder: Path) -> Status:
        """The status of a take; `Damaged` if state.json is not one."""
        try:
            return cls(**json.loads((folder / "state.json").read_text()))
        except FileNotFoundError:
            raise Damaged(f"{folder}/state.json: is missing") from None
        except NotADirectoryError:
            raise Damaged(f"{folder}: is a file, expected a folder") from None
        except (OSError, ValueError, TypeError) as error:
            raise Damaged(f"{folder}/state.json: {error}") from None

    def write(self, folder: Path) -> None:
        """Into state.json, atomically."""
        write(folder / "state.json", json.dumps(self.__dict__))


class Lease:
    """The right to train a take: an exclusive file whose time stamp is a heartbeat."""

    def __init__(self, folder: Path) -> None:
        self.path, self.token = folder / "lease", uuid.uuid4().hex
        self._stop = threading.Event()

    def take(self) -> bool:
        """Try to get it; a lease without heartbeat is taken over."""
        try:
            stale = self.path.read_text()
            if time.time() - self.path.stat().st_mtime < STALE:
                return False
            aside = self.path.with_name(f".lease-{self.token}")
            os.rename(self.path, aside)  # of several who try, one succeeds
            if aside.read_text() != stale:  # somebody renewed it in between: give it back
                os.rename(aside, self.path)
                return False
            aside.unlink(missing_ok=True)
        except OSError:
            pass
        try:
            with open(self.path, "x") as file:
                file.write(self.token)
        except FileExistsError:
            return False
        except OSError as error:
            self.path.unlink(missing_ok=True)  # made, but there was no room for what it says
            raise _refused(error) from None
        threading.Thread(target=self._beat, daemon=True).start()
        return True

    def _beat(self) -> None:
        while not self._stop.wait(BEAT):
            try:
                if self.path.read_text() == self.token:
                    os.utime(self.path)
            except OSError:
                return

    def mine(self) -> bool:
        """Whether nobody took it over (after a sleep of the machine, say)."""
        try:
            return self.path.read_text() == self.token
        except OSError:
            return False

    def release(self) -> None:
        """Give it back."""
        self._stop.set()
        if self.mine():
            self.path.unlink(missing_ok=True)

    @staticmethod
    def held(folder: Path) -> bool:
        """Whether somebody trains this take now."""
        try:
            return time.time() - (folder / "lease").stat().st_mtime < STALE
        except OSError:
            return False


# ------------------------------------------------------------------------------------ runs


class Run:
    """The run of a group of recipes.

    Iterating it replays a finished run, continues a stopped one, tails one that somebody else
    trains, and else trains. `fresh=True` trains again, or joins a training under way. Leaving
    the loop early stops the training and keeps what there is.
    """

    def __init__(
        self,
        recipes: Recipe | Sequence[Recipe],
        fresh: bool = False,
        device: str = "auto",
        folder: Path | None = None,
    ) -> None:
        given: Any = recipes
        several = isinstance(given, Iterable) and not isinstance(given, str)
        self.recipes: tuple[Recipe, ...] = tuple(given) if several else (given,)
        if not self.recipes:
            raise BadInput("Run: needs at least one recipe, got none")
        if not all(isinstance(each, Recipe) for each in self.recipes):
            shown = repr(recipes)[:60]
            raise BadInput(
                f"Run(recipes={shown}): expected recipes; Run.at(folder) opens a folder"
            )
        self.fresh, self.device = fresh, device
        self.name = digest(self.recipes)
        self._folder = folder
        self._halt = False
        self._state: State | None = None

    @classmethod
    def at(cls, folder: str | Path, device: str = "auto") -> Run:
        """The run of a take's folder."""
        folder = Path(folder)
        try:
            found = json.loads((folder / "recipes.json").read_text())
            recipes = [Recipe.from_json(recipe) for recipe in found]
        except (OSError, ValueError, TypeError) as error:
            raise Damaged(f"{folder}/recipes.json: {error}") from None
        return cls(recipes, device=device, folder=folder)

    @property
    def folder(self) -> Path:
        """The take's folder: a finished one if there is, else the latest, else a new one."""
        if self._folder is None:
            self._folder = self._choose()
        return self._folder

    def _choose(self) -> Path:
        last = max((int(take.name) for take in takes(self.name)), default=0)
        found = sound(self.name)
        running = [take for take in found if Lease.held(take)]
        if self.fresh:
            return running[-1] if running else new_take(self.recipes)
        done = [take for take in found if Status.read(take).status == "done"]
        if done:
            return done[-1]
        return (running or found or [new_take(self.recipes, last)])[-1]

    @property
    def status(self) -> Status:
        """What state.json says now."""
        return Status.read(self.folder)

    @property
    def standing(self) -> Status:
        """The status, but stopped where who trained was killed and could not say so."""
        held = Lease.held(self.folder)  # before the status: a run that ends now is then done
        status = self.status
        if status.status == "running" and not held:
            return dataclasses.replace(status, status="stopped")
        return status

    def events(self) -> list[Event]:
        """What is recorded so far, without waiting."""
        return read_events(self.folder)

    def halt(self) -> None:
        """End a training before its next step; it stands as stopped."""
        self._halt = True
        if self._state is not None:
            self._state.halt = True

    def __iter__(self) -> Iterator[Event]:
        folder, seen = self.folder, -1
        while True:
            lease, done = Lease(folder), self.status.status == "done"
            verify(folder)
            mine = not done and lease.take()
            source = self._train(folder, lease) if mine else self._tail(folder)
            for event in iter(self.events()) if done else source:
                if event.step > seen:  # who watched goes on where the training was left
                    seen = event.step
                    yield event
            if done or mine:
                return
            if Status.read(folder).status in ("stopped", "failed") and not Lease.held(folder):
                return

    def _tail(self, folder: Path) -> Iterator[Event]:
        """What somebody else trains, as it is recorded."""
        seen = 0
        while True:
            held = Lease.held(folder)
            events = read_events(folder)
            yield from events[seen:]
            seen = max(seen, len(events))
            if not held or self._halt:
                return
            time.sleep(0.05)

    def _train(self, folder: Path, lease: Lease) -> Iterator[Event]:
        recorder = Recorder(folder, len(self.recipes), self.recipes[0].steps)
        try:
            recorder.note("running")
            state = self._prepared()
            try:
                kept = recorder.resume(state)
            except Damaged as error:
                set_aside(folder / "checkpoint.safetensors", str(error))
                state = self._prepared()
                kept = recorder.resume(state)
            yield from kept
            events = train(state)
            while event := self._next(events, state, recorder, lease):
                yield event
                recorder.resumed()
            if state.step < state.steps:
                recorder.stop(state)
            else:
                recorder.finish(state)
        except TakenOver:
            raise  # the folder is somebody else's now
        except Halted:
            recorder.note("stopped")
        except (GeneratorExit, KeyboardInterrupt):
            if lease.mine():
                recorder.stop(self._state)
            raise
        except Exception as error:
            recorder.fail(error)
            raise
        finally:
            recorder.close()
            lease.release()
            self._state, self._halt = None, False

    def _next(
        self, events: Iterator[Event], state: State, recorder: Recorder, lease: Lease
    ) -> Event | None:
        """The next event, recorded; None at the end."""
        with _patient(state):
            event = next(events, None)
            if event is not None:
                if not lease.mine():
                    raise TakenOver(
                        f"{recorder.folder}: another process took this run over; it goes on there"
                    )
                recorder.record(event, state)
        return event

    def _prepared(self) -> State:
        self._state = prepare(self.recipes, self.device, lambda: self._halt)
        self._state.halt = self._halt  # asked while it was made
        return self._state

    def drain(self) -> Run:
        """Train it to its end, or do nothing if it is done."""
        for _ in self:
            pass
        return self

    def student(self, i: int = 0) -> nn.Module:
        """Trained student i of the group, in eval mode; trains it first if need be."""
        if self.status.status != "done":
            self.drain()
        verify(self.folder)
        recipe = self.recipes[i]
        made = engine.built(recipe)
        tensors = load_tensors(self.folder / "weights.safetensors")
        made.load_state_dict(engine.under(f"{i}.", tensors))
        return cast(nn.Module, made.eval())

    def logits(self, part: str = "test") -> Tensor:
        """What every student says about a part of its data: (n, samples, K)."""
        x = [recipe.data.parts()[part].kept for recipe in self.recipes]
        return torch.stack([listen(self.student(i), x[i]).logits for i in range(len(x))])

    def opinions(self) -> Tensor:
        """What the first student of each arm said about the gallery: (events, arms, images, K)."""
        import numpy as np

        classes = self.recipes[0].data.classes
        read = np.fromfile(self.folder / "opinions.f16", np.float16)
        shape = (-1, len(arms(self.recipes)), GALLERY, classes)
        return torch.from_numpy(read.astype(np.float32).reshape(shape))

    def reports(self, teacher: Recipe | None = None) -> list[dict[str, Any]]:
        """The evaluation of every student on its test part, kept beside the run."""
        from workbench.evaluation import report

        name = f"report-{teacher.name if teacher else 'alone'}.json"
        if self.status.status != "done":
            self.drain()
        try:
            text = (self.folder / name).read_text()
            found: list[dict[str, Any]] = json.loads(text)["reports"]
            if text == _sealed(found):
                return found
        except (OSError, ValueError, TypeError, KeyError):
            pass  # not there, or damaged: evaluating again costs a moment
        heard = Run(teacher).logits()[0] if teacher else None
        logits = self.logits()
        labels = [recipe.data.parts()["test"].y for recipe in self.recipes]
        made = [report(logits[i], labels[i], heard) for i in range(len(labels))]
        if not self.folder.is_relative_to(SHIPPED):
            write(self.folder / name, _sealed(made))
        return made


def _sealed(reports: Sequence[Mapping[str, Any]]) -> str:
    """Reports as they are kept: with a checksum, so that an edited one is not believed."""
    found = hashlib.sha256(json.dumps(reports).encode()).hexdigest()
    return json.dumps({"sum": found, "reports": reports})


class TakenOver(Trouble):
    """Somebody else trains this run now."""


class Halted(Exception):
    """Asked to stop while a teacher was still being made."""


@contextmanager
def _patient(state: State) -> Iterator[None]:
    """Ctrl-C inside waits for the step under way, and for its event to be on disk.

    In the middle of a step some weights have moved and others have not, and between a step and
    its event the history would get a hole: neither could be resumed to the same numbers.
    """
    ours = threading.current_thread() is threading.main_thread()
    if not ours or signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
        yield
        return
    asked: list[int] = []

    def later(number: int, _: object) -> None:
        asked.append(number)
        state.halt = True

    signal.signal(signal.SIGINT, later)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    if asked:
        raise KeyboardInterrupt


class Recorder:
    """Writes what happens into a take's folder, and reads back where it stopped."""

    def __init__(self, folder: Path, students: int, steps: int) -> None:
        self.folder, self.students, self.steps = folder, students, steps
        self.told = 0  # the last step whose event is on disk
        self.events: IO[str] | None = None
        self.timings: IO[str] | None = None
        self.opinions: IO[bytes] | None = None
        self.views: IO[bytes] | None = None
        self.arms: Mapping[Recipe, Sequence[int]] = {}
        self.spent, self.since = Status.read(folder).cpu_seconds, time.process_time()
        self.saved = time.monotonic()
        self.facts: dict[str, Any] = {
            "torch": torch.__version__,
            "python": platform.python_version(),
            "machine": f"{platform.system()} {platform.machine()}",
        }

    def _cpu(self) -> float:
        now = time.process_time()
        self.spent, self.since = self.spent + now - self.since, now
        return self.spent

    def resumed(self) -> None:
        """The listener is back: what it spent in between does not count."""
        self.since = time.process_time()

    def note(self, status: str, step: int = 0, **more: Any) -> None:
        """Say the status in state.json."""
        seconds = round(self._cpu(), 3)
        Status(status, step, self.steps, cpu_seconds=seconds, facts=self.facts, **more).write(
            self.folder
        )

    def resume(self, state: State) -> list[Event]:
        """Continue from the checkpoint if there is one: what was recorded up to it."""
        self.facts |= {
            "device": str(next(state.stacks[0].network.parameters()).device),
            "threads": state.threads or torch.get_num_threads(),
        }
        before = Status.read(self.folder).facts or {}
        if any(one.half for one in state.stacks) or "precision" in before:
            self.facts["precision"] = "bfloat16"  # of a part of it, at least
        kept: list[Event] = []
        checkpoint = self.folder / "checkpoint.safetensors"
        if checkpoint.exists():
            try:
                tensors = load_tensors(checkpoint)
                step = int(tensors.pop("step"))
                # at step 0 the engine reports again what was recorded
                past_events = read_events(self.folder) if step else []
                kept = [event for event in past_events if event.step <= step]
                state.restore(tensors, step)
            except Exception as error:  # safetensors, shapes, names: all mean the same here
                raise Damaged(f"{checkpoint}: {error}") from None
        write(self.folder / "events.jsonl", "".join(e.to_json() + "\n" for e in kept))
        self.told = kept[-1].step if kept else 0
        self.arms = arms(state.recipes)
        # append mode: the opinions of events that were dropped are cut off
        size = self._opinion_size(state) * len(kept)
        past, seen = self.folder / "opinions.f16", self.folder / "views.f16"
        write(past, past.read_bytes()[:size] if past.exists() else b"")
        view = len(self._inside(state))
        if view:
            known = seen.read_bytes()[: view * len(kept)] if seen.exists() else b""
            missing = view * len(kept) - len(known)  # of a run that began before there was this
            write(seen, known + UNSEEN * (missing // len(UNSEEN)))
        try:
            self.events = open(self.folder / "events.jsonl", "a", encoding="utf-8")
            self.timings = open(self.folder / "timings.jsonl", "a", encoding="utf-8")
            self.opinions = open(past, "ab")
            self.views = open(seen, "ab") if view else None
        except OSError as error:
            raise _refused(error) from None
        return kept

    def _opinion_size(self, state: State) -> int:
        classes = state.recipes[0].data.classes
        return len(self.arms) * GALLERY * classes * 2

    def record(self, event: Event, state: State) -> None:
        """One event, at once on disk."""
        assert self.events and self.timings and self.opinions
        try:
            for places in self.arms.values():
                logits = state.logits(places[0], "test")
                if logits is not None:
                    rows = logits[:GALLERY].to("cpu", torch.float16)
                    short = GALLERY - len(rows)  # a small test part: its lines stay as long
                    rows = torch.nn.functional.pad(rows, (0, 0, 0, short), value=math.nan)
                    self.opinions.write(rows.contiguous().numpy().tobytes())
            self.opinions.flush()
            if self.views:
                self.views.write(self._inside(state))
                self.views.flush()
            self.timings.write(json.dumps([event.step, round(self._cpu(), 4)]) + "\n")
            self.timings.flush()
            self.events.write(event.to_json() + "\n")
            self.events.flush()
        except OSError as error:
            raise _refused(error) from None
        self.told = event.step
        self.note("running", state.step)
        if time.monotonic() - self.saved > SAVE:
            self.save(state)

    def _inside(self, state: State) -> bytes:
        """What methods that compare layers see inside the first student of each arm."""
        found = []
        for recipe, places in self.arms.items():
            if inside.compares(recipe.method) and recipe.student in MODELS:
                test, network = recipe.data.parts()["test"], state.network(places[0])
                some = dataclasses.replace(test, kept=test.kept[:GALLERY], y=test.y[:GALLERY])
                x = some.x.to(next(network.parameters()))
                found += inside.views(recipe, network, x, some.y)
        return b"".join(one.to("cpu", torch.float16).numpy().tobytes() for one in found)

    def save(self, state: State) -> None:
        """A checkpoint: from here the run resumes to the same numbers."""
        tensors = state.tensors() | {"step": torch.tensor(state.step)}
        save_tensors(self.folder / "checkpoint.safetensors", tensors)
        self.saved = time.monotonic()

    def stop(self, state: State | None) -> None:
        """Keep what there is."""
        if state is not None and self.events is not None:
            self.save(state)
            self.note("stopped", state.step)
        else:
            self.note("stopped")

    def finish(self, state: State) -> None:
        """Weights last, then the word done."""
        students = [state.network(i) for i in range(self.students)]
        tensors = {
            f"{i}.{k}": v for i, s in enumerate(students) for k, v in s.state_dict().items()
        }
        self.close()
        save_tensors(self.folder / "weights.safetensors", tensors)
        sums = {name: checksum(self.folder / name) for name in SEALED}
        self.note("done", state.step, sums=sums)
        (self.folder / "checkpoint.safetensors").unlink(missing_ok=True)

    def fail(self, error: Exception) -> None:
        """One sentence that says why; what was recorded stays.

        Where the machine is at fault and not the recipe, it is only stopped: it can go on.
        """
        reason = (f"{error}" or type(error).__name__).splitlines()[0][:500]
        status = "stopped" if isinstance(error, Trouble) else "failed"
        with suppress(OSError, Trouble):  # the disk may be the reason
            self.note(status, self.told, reason=reason)

    def close(self) -> None:
        """Close the files."""
        for file in (self.events, self.timings, self.opinions, self.views):
            if file is not None:
                try:
                    file.close()
                except OSError:
                    pass  # a full disk, which was said already


# ------------------------------------------------------------------------- finding folders


def takes(name: str) -> list[Path]:
    """The folders of a name's takes, shipped ones first, then in order of their making."""
    found = []
    for root in (SHIPPED, home() / "runs"):
        try:
            here = [p for p in (root / name).iterdir() if p.name.isdigit()]
            found += sorted(here, key=lambda p: int(p.name))
        except OSError:
            continue
    return found


def sound(name: str) -> list[Path]:
    """The takes that can be trusted; the others are reported and set aside."""
    good = []
    for take in takes(name):
        try:
            verify(take)
            good.append(take)
        except Damaged as error:
            set_aside(take, str(error))
    return good


def new_take(recipes: Sequence[Recipe], last: int | None = None) -> Path:
    """A new folder for a group of recipes, with its recipes in it.

    Who asks at the same time gets the next number; or the same folder, if both say which `last`
    number they knew.
    """
    prune()
    root = usable_home() / "runs" / digest(recipes)
    numbers = [int(p.name) for p in takes(digest(recipes))] if last is None else [last]
    part = root / f".new-{uuid.uuid4().hex}"  # whole before anybody sees it
    try:
        part.mkdir(parents=True)
        write(part / "recipes.json", json.dumps([r.to_json() for r in recipes], indent=1))
        Status("queued", 0, recipes[0].steps).write(part)
        for k in range(max(numbers, default=0) + 1, 10**9):
            try:
                os.rename(part, root / str(k))
                return root / str(k)
            except OSError:
                if not (root / str(k)).exists():
                    raise
                if last is not None:
                    return root / str(k)
    except OSError as error:
        raise _refused(error) from None
    finally:
        shutil.rmtree(part, ignore_errors=True)
    raise AssertionError("unreachable")


def read_events(folder: Path) -> list[Event]:
    """The recorded events; a last line that is still being written is left out."""
    try:
        text = (folder / "events.jsonl").read_text(encoding="utf-8")
    except FileNotFoundError:
        return []
    except (OSError, UnicodeDecodeError) as error:
        raise Damaged(f"{folder}/events.jsonl: {error}") from None
    lines = text.split("\n")[:-1]
    try:
        return [Event.from_json(line) for line in lines]
    except ValueError as error:
        raise Damaged(f"{folder}/events.jsonl: {error}") from None


SEALED = ("recipes.json", "events.jsonl", "weights.safetensors")
_verified: dict[Path, tuple[object, ...]] = {}


def verify(folder: Path) -> None:
    """`Damaged` unless a take can be trusted; its files are read once for each change of them.

    A finished take is what its checksums say. One that is not finished has told every step that
    it got to. One that is being trained grows while it is read: that is left to who trains it.
    """
    names = ("state.json", "checkpoint.safetensors", *SEALED)
    stamps = tuple(_stamp(folder / name) for name in names)
    if _verified.get(folder) == stamps:
        return
    status = Status.read(folder)
    if status.status == "done":
        _verify_sums(folder, status)
    elif Lease.held(folder):
        return
    else:
        _verify_steps(folder, status)
    _verified[folder] = stamps


def _stamp(path: Path) -> tuple[int, ...] | None:
    """What changes with a file; None if it is not there."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_ino, found.st_size, found.st_mtime_ns


def _verify_sums(folder: Path, status: Status) -> None:
    sums = status.sums or {}
    for name in SEALED:
        try:
            found = checksum(folder / name)
        except OSError:
            raise Damaged(f"{folder}/{name}: is missing") from None
        if found != sums.get(name):
            raise Damaged(f"{folder}/{name}: its checksum does not fit (changed or half-written)")


def _verify_steps(folder: Path, status: Status) -> None:
    # read before the events, which may still grow; who was killed goes on from its checkpoint
    reached = max(_checkpoint_step(folder), status.step * (status.status != "running"))
    recipes, events = Run.at(folder).recipes, read_events(folder)
    due = engine.emits(recipes[0].steps, recipes[0].events)
    told = tuple(event.step for event in events)
    if told != due[: len(told)] or not all(_fits(event, recipes) for event in events):
        raise Damaged(f"{folder}/events.jsonl: its lines are not those of its recipe's steps")
    if reached and sum(step <= reached for step in due) > len(told):
        last = f"ends at step {told[-1]}" if told else "holds no event"
        raise Damaged(f"{folder}/events.jsonl: {last}, but the run got to step {reached}")


def _fits(event: Event, recipes: Sequence[Recipe]) -> bool:
    """Whether an event is one of these students' and says something about each."""
    rows = (*event.terms.values(), *event.accuracy.values())
    return event.steps == recipes[0].steps and all(len(row) == len(recipes) for row in rows)


def _checkpoint_step(folder: Path) -> int:
    """The step of the checkpoint; 0 where there is none, or none that can be read."""
    from safetensors import safe_open

    try:
        with safe_open(folder / "checkpoint.safetensors", "pt") as file:  # not all of it is read
            return int(file.get_tensor("step"))
    except Exception:  # who resumes from it says what is wrong with it
        return 0


def set_aside(path: Path, why: str) -> None:
    """Move a damaged take or file out of the way and say so; shipped ones are only reported."""
    where = "it is ignored"
    if not path.is_relative_to(SHIPPED):
        target = home() / "damaged" / f"{path.parent.name}-{path.stem}-{uuid.uuid4().hex[:6]}"
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            if path.is_file():
                target.mkdir()
            os.rename(path, target / path.name if path.is_file() else target)
            _drop_empty(path.parent)
            (target / "why.txt").write_text(why)
            where = f"it was set aside in {target}"
        except OSError:
            pass
    warnings.warn(f"a run is damaged: {why}; {where}", DamagedRunWarning, stacklevel=3)


def every_take() -> list[Path]:
    """All takes, shipped and own, the latest first; damaged ones are set aside."""
    names: set[str] = set()
    for root in (SHIPPED, home() / "runs"):
        try:
            names |= {p.name for p in root.iterdir() if re.fullmatch("[0-9a-f]{16}", p.name)}
        except OSError:
            continue
    found = [take for name in names for take in sound(name)]
    return sorted(found, key=lambda take: (take / "state.json").stat().st_mtime, reverse=True)


def remove(folder: Path) -> None:
    """Delete a take, unless somebody trains it or it is shipped; `Trouble` if it stays."""
    if folder.is_relative_to(SHIPPED):
        raise BadInput(f"{folder.parent.name}: is shipped with the package and cannot be removed")
    if Lease.held(folder):
        raise BadInput(f"{folder.parent.name}: is being trained; stop it first")
    try:
        shutil.rmtree(folder)
    except FileNotFoundError:
        pass  # somebody else removed it
    except OSError as error:
        raise Trouble(
            f"{folder}: cannot be removed ({error.strerror or error}); "
            "close what uses it and make the folder writable"
        ) from None
    _drop_empty(folder.parent)


def _drop_empty(folder: Path) -> None:
    """Remove the folder of a name whose last take is gone."""
    try:
        folder.rmdir()
    except OSError:
        pass  # it holds other takes


def prune(cap: float | None = None) -> None:
    """Delete the oldest takes that nobody trains until the home is below its cap (megabytes)."""
    megabytes = cap if cap is not None else size_cap()
    try:
        found = [p for p in (home() / "runs").glob("*/*") if p.name.isdigit()]
        sizes = {p: sum(f.stat().st_size for f in p.glob("*") if f.is_file()) for p in found}
        ages = {p: p.stat().st_mtime for p in found}
    except OSError:
        return
    total = sum(sizes.values())
    for take in sorted(found, key=ages.__getitem__):
        if total <= megabytes * 1e6:
            return
        if not Lease.held(take):
            try:
                remove(take)
            except Trouble:
                continue  # it stays, and so does its size
            total -= sizes[take]


def size_cap() -> float:
    """WORKBENCH_CAP_MB, how many megabytes the runs of a home may take."""
    text = os.environ.get("WORKBENCH_CAP_MB", "2000")
    try:
        cap = float(text)
        if 0 < cap < math.inf:
            return cap
    except ValueError:
        pass
    raise BadInput(f"WORKBENCH_CAP_MB={text}: expected a positive number of megabytes")


# ------------------------------------------------------------------------- a part of a run


def extract(whole: Run, k: int) -> Run:
    """Arm k of a finished run as a finished run of its own, without training it again.

    So a cell of a sweep is replayed, opened and compared like any other run. One that is there
    already is found; trained alone, it would be the same but for the last digits.
    """
    every = arms(whole.recipes)
    if isinstance(k, bool) or not isinstance(k, int) or not 0 <= k < len(every):
        raise BadInput(f"extract(k={k!r}): expected 0 to {len(every) - 1}, an arm of the run")
    if whole.status.status != "done":
        raise BadInput(f"{whole.name}: expected a finished run, because its parts have no end yet")
    verify(whole.folder)
    places = list(every.values())[k]
    made = Run([whole.recipes[i] for i in places])
    lease = Lease(made.folder)
    if made.status.status == "done" or not lease.take():
        return made.drain()  # or who has it takes it out, or trains it
    try:
        _take_out(whole, k, places, made.folder)
    finally:
        lease.release()
    return made


def _take_out(whole: Run, k: int, places: Sequence[int], folder: Path) -> None:
    """Every file of the arm, as it was recorded; the word done last."""
    events, status = whole.events(), whole.status
    named = {name for event in events for name, row in event.terms.items()
             if any(row[i] is not None for i in places)}  # fmt: skip

    def mine(rows: Mapping[str, Sequence[float | None]]) -> dict[str, tuple[float | None, ...]]:
        return {name: tuple(row[i] for i in places) for name, row in rows.items()}

    lines = [
        dataclasses.replace(
            event,
            terms={name: row for name, row in mine(event.terms).items() if name in named},
            accuracy=mine(event.accuracy),
            diverged=tuple(places.index(i) for i in event.diverged if i in places),
        ).to_json()
        for event in events
    ]
    write(folder / "events.jsonl", "\n".join(lines) + "\n")
    share = len(places) / len(whole.recipes)
    spent = _read(whole.folder / "timings.jsonl").decode().splitlines()
    shares = [[step, round(cpu * share, 4)] for step, cpu in map(json.loads, spent)]
    write(folder / "timings.jsonl", "".join(json.dumps(one) + "\n" for one in shares))
    for name, content in _heard_of(whole, k, places[0], len(events)).items():
        write(folder / name, content)
    tensors = load_tensors(whole.folder / "weights.safetensors")
    own = {f"{j}.{name}": value for j, i in enumerate(places)
           for name, value in engine.under(f"{i}.", tensors).items()}  # fmt: skip
    save_tensors(folder / "weights.safetensors", own)
    dataclasses.replace(
        status,
        cpu_seconds=round(status.cpu_seconds * share, 3),
        facts=dict(status.facts or {}) | {"part_of": f"{whole.name}/{whole.folder.name}"},
        sums={name: checksum(folder / name) for name in SEALED},
    ).write(folder)


def _heard_of(whole: Run, k: int, first: int, count: int) -> dict[str, bytes]:
    """The opinions of arm k, and what its method compared inside it, if it does that.

    A run may be shipped without them: then the last opinions are asked for anew, and those
    before are unseen.
    """
    every = list(arms(whole.recipes))
    test = every[k].data.parts()["test"]
    size = GALLERY * every[k].data.classes * 2
    found = {"opinions.f16": _column(_read(whole.folder / "opinions.f16"), [size] * len(every), k)}
    if len(found["opinions.f16"]) != size * count:
        said = listen(whole.student(first), test.kept[:GALLERY]).logits.to(torch.float16)
        last = said.contiguous().numpy().tobytes()
        last += UNSEEN * ((size - len(last)) // len(UNSEEN))
        found["opinions.f16"] = UNSEEN * (size // len(UNSEEN)) * (count - 1) + last
    sizes = [
        2 * sum(rows * columns for rows, columns in inside.sizes(arm, test.y[:GALLERY]))
        if inside.compares(arm.method) and arm.student in MODELS
        else 0
        for arm in every
    ]
    if sizes[k]:
        found["views.f16"] = _column(_read(whole.folder / "views.f16"), sizes, k)
    return found


def _column(content: bytes, sizes: Sequence[int], k: int) -> bytes:
    """Of lines that hold a part for each arm, the parts of arm k."""
    start, line = sum(sizes[:k]), sum(sizes)
    return b"".join(
        content[at + start : at + start + sizes[k]] for at in range(0, len(content), line)
    )


def _read(path: Path) -> bytes:
    """The content of a file; nothing where there is none."""
    try:
        return path.read_bytes()
    except OSError:
        return b""


# --------------------------------------------------------------------------------- teachers


def prepare(
    recipes: Sequence[Recipe],
    device: str = "auto",
    halted: Callable[[], bool] = lambda: False,
    dtype: torch.dtype = torch.float32,
) -> State:
    """The state of a group: its teachers and starts are found, or trained first."""
    asked: dict[tuple[Recipe, str, int], int] = {}  # about how many rows
    starts: dict[Recipe, nn.Module] = {}
    for recipe in recipes:
        shown = recipe.data.reach() if recipe.teachers else 0
        for teacher in recipe.teachers:
            key = (teacher, recipe.data.rows, recipe.data.split)
            asked[key] = max(shown, asked.get(key, 0))
        if recipe.start is not None and recipe.start not in starts:
            starts[recipe.start] = _trained(recipe.start, device, halted).student()
    features = any("features" in recipe.method.needs for recipe in recipes)
    seen = {(recipe.data.rows, recipe.data.split): recipe.data for recipe in recipes}
    teachers = {
        key: _teacher(key[0], seen[key[1:]], shown, device, halted, features)
        for key, shown in asked.items()
    }
    return begin(recipes, teachers, starts, device, dtype)


def _trained(recipe: Recipe, device: str, halted: Callable[[], bool]) -> Run:
    run = Run(recipe, device=device)
    for _ in run:
        if halted():
            raise Halted
    return run


def _teacher(
    recipe: Recipe,
    data: Data,
    shown: int,
    device: str,
    halted: Callable[[], bool],
    features: bool,
) -> Teacher:
    """A trained teacher, and what it says about the rows that students see: `shown`, or more.

    It is asked about whole parts of `ROWS`, because the last bits of an answer depend on how many
    were asked together: so they are the same whoever asked first.
    """
    run = _trained(recipe, device, halted)
    network = run.student()
    x = data.seen()[: ROWS * math.ceil(shown / ROWS)]
    features = features and _keeps(network, x)

    def ask(inside: bool) -> Iterator[Outputs]:
        return (listen(network, part, inside) for part in x.split(ROWS))

    facts = {"teacher": run.name, "weights": (run.status.sums or {}).get("weights.safetensors")}
    shipped = run.folder.is_relative_to(SHIPPED)
    key = f"said-{data.rows}-{data.split}"
    shelf = Shelf(None if shipped else run.folder, key, facts, ask)
    try:
        return Teacher(network, shelf.fetch(len(x), features))
    except Refused as error:
        warnings.warn(f"{error}; the teacher is asked again", DamagedRunWarning, stacklevel=3)
        shelf.forget()
        return Teacher(network, shelf.fetch(len(x), features))
    except OSError as error:
        raise _refused(error) from None


def _keeps(network: nn.Module, x: Tensor) -> bool:
    """Whether its features about x may be kept; if not, it is asked at every step."""
    one = listen(network, x[:1], features=True)
    numbers = sum(value.numel() for value in (*one.features.values(), *one.extra.values()))
    return 2 * len(x) * numbers <= ROOM
