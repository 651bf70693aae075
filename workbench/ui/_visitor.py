"""What a visitor has before them: a list of runs, kept on the server under a random token.

The token lives in the browser's storage; the file is named by its hash. So a reload, a second
tab or a server that was restarted finds the list again, and nobody finds anybody else's.
"""

from __future__ import annotations

import hashlib
import json
import re
import secrets
import shutil
import threading
import time
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from workbench import assets, runs, words
from workbench.base import BadInput, Trouble
from workbench.data import Data
from workbench.data.own import Own
from workbench.recipe import digest
from workbench.ui._take import undecided

#: Runs in one list, visitors in memory, and seconds after which a list nobody opened is deleted.
LONGEST, VISITORS, FORGET = 24, 500, 60 * 86_400
_KEPT = ("chosen", "baseline", "sample", "heated", "hurried", "form", "act", "sweep", "handed",
         "own")  # fmt: skip
_RUN = re.compile(r"(runs|shipped)/[0-9a-f]{16}/[0-9]{1,9}")


@dataclass(frozen=True)
class Entry:
    """A run in a visitor's list.

    `view` is live, or where others watch too: held (paused for this visitor only) or left
    (stopped for this visitor only), both at the step `seen`. `hidden` says since when, 0 = shown.
    """

    run: str
    seen: int = 0
    view: str = "live"
    hidden: float = 0.0

    @property
    def folder(self) -> Path:
        """The take's folder."""
        root, rest = self.run.split("/", 1)
        return (runs.SHIPPED if root == "shipped" else runs.home() / "runs") / rest

    @staticmethod
    def known(run: object) -> bool:
        """Whether this can be the name of a run: it came from a file."""
        return isinstance(run, str) and _RUN.fullmatch(run) is not None


def name_of(folder: Path) -> str:
    """The inverse of `Entry.folder`: a name that survives a move of the home folder."""
    root = "shipped" if folder.is_relative_to(runs.SHIPPED) else "runs"
    return f"{root}/{folder.parent.name}/{folder.name}"


@dataclass
class Visitor:
    """A visitor's list, the row it is measured against, the row in the picture, the image."""

    key: str
    entries: list[Entry] = field(default_factory=list)
    chosen: str = ""
    baseline: str = ""
    sample: int = 0
    heated: bool = True  # opinions at the chosen run's temperature, else at 1
    hurried: bool = False  # trainings go at full speed, else slowly enough to be watched
    form: str = ""  # what the form said when a run was started last
    act: dict[str, Any] = field(default_factory=dict)  # where they stand in the first act
    sweep: dict[str, Any] = field(default_factory=dict)  # their sweep, and their guess about it
    handed: bool = False  # the first act has set the form, and Train has not shown it yet
    own: dict[str, Any] = field(default_factory=dict)  # their data: file, content, what was said
    notice: str = ""  # what a page has still to say about the list
    lock: threading.RLock = field(default_factory=threading.RLock, repr=False)

    @property
    def folder(self) -> Path:
        """Where this visitor's data lie; found by the token alone."""
        return runs.home() / "visitors" / self.key

    def data(self) -> Data | None:
        """The visitor's own data, if there are any and their file is still there."""
        try:
            path = self.folder / Path(str(self.own["file"])).name
            if not path.is_file():
                return None
            return Own(path=str(path), content=self.own["content"], owner=self.key[:32])
        except (KeyError, BadInput, Trouble, OSError):
            return None

    def shown(self) -> list[Entry]:
        """The entries on the page; one whose folder is gone is not."""
        return [e for e in self.entries if not e.hidden and e.folder.is_dir()]

    def find(self, run: str) -> Entry | None:
        """The shown entry of a run."""
        return next((e for e in self.shown() if e.run == run), None)

    def put(self, entry: Entry) -> None:
        """Change an entry in its place, or append it and drop what is too old."""
        places = [i for i, e in enumerate(self.entries) if e.run == entry.run]
        if places:
            self.entries[places[0]] = entry
        else:
            self.entries = [*self.entries, entry][-LONGEST:]

    def hide(self, names: list[str]) -> None:
        """Take runs off the page together; `bring_back` undoes it."""
        now = time.time()
        for run in names:
            if entry := self.find(run):
                self.put(replace(entry, hidden=now, view="live"))

    def lose(self, run: str) -> None:
        """A damaged run leaves the list for good."""
        self.entries = [entry for entry in self.entries if entry.run != run]
        self.choose_others(run)
        self.notice = words.DAMAGED

    def choose_others(self, run: str) -> None:
        """Where a run was that left the list, the last and the first take its place."""
        left = [entry.run for entry in self.shown()] or [""]
        if run == self.chosen:
            self.chosen = left[-1]
        if run == self.baseline:
            self.baseline = left[0]

    def bring_back(self) -> None:
        """Show again what was hidden last."""
        last = max((e.hidden for e in self.entries), default=0.0)
        for entry in self.entries:
            if last and entry.hidden == last:
                self.put(replace(entry, hidden=0.0))


def new_token() -> str:
    """128 random bits."""
    return secrets.token_hex(16)


_lock = threading.Lock()
_tokens: OrderedDict[str, str] = OrderedDict()


def token_of(value: object, session: str) -> str:
    """The token a browser kept, else a new one: the same for all that one open page asks."""
    if is_token(value):
        return str(value)
    with _lock:
        made = _tokens.setdefault(session, new_token())
        while len(_tokens) > VISITORS:
            _tokens.popitem(last=False)
        return made


def is_token(value: object) -> bool:
    """Whether a browser handed in what `new_token` made."""
    return isinstance(value, str) and re.fullmatch("[0-9a-f]{32}", value) is not None


def _first(key: str) -> Visitor:
    """What somebody new finds: the first act's runs, the last of them in the picture."""
    folders = [runs.SHIPPED / digest(group) / "1" for group in assets.groups("first-act")]
    names = [name_of(folder) for folder in folders if folder.is_dir()]
    names = names or [""]
    entries = [Entry(name) for name in names if name]
    return Visitor(key, entries, names[-1], names[0], undecided())


_known: OrderedDict[str, Visitor] = OrderedDict()


def visitor(token: str) -> Visitor:
    """The visitor of a token, from memory or from its file; a damaged file starts anew."""
    key = hashlib.sha256(token.encode()).hexdigest()
    with _lock:
        if key not in _known:
            _known[key] = _load(key) or _first(key)
            while len(_known) > VISITORS:
                _known.popitem(last=False)
        _known.move_to_end(key)
        return _known[key]


@contextmanager
def change(token: str) -> Iterator[Visitor]:
    """Change a visitor's list and write it down."""
    found = visitor(token)
    with found.lock:
        yield found
        _save(found)


def _file(key: str) -> Path:
    return runs.home() / "visitors" / f"{key}.json"


def _load(key: str) -> Visitor | None:
    try:
        found: dict[str, Any] = json.loads(_file(key).read_text())
        entries = [Entry(**entry) for entry in found.pop("entries")]
        objects = all(isinstance(found.get(name, {}), dict) for name in ("act", "sweep", "own"))
        if all(Entry.known(entry.run) for entry in entries) and objects:
            return Visitor(key, entries[-LONGEST:], **found)
    except (OSError, ValueError, TypeError, KeyError, AttributeError, Trouble):
        pass
    return None


def _save(found: Visitor) -> None:
    kept = {k: getattr(found, k) for k in _KEPT}
    text = json.dumps({"entries": [asdict(entry) for entry in found.entries]} | kept)
    with suppress(OSError, Trouble):  # a list that cannot be kept must not stop a training
        path = _file(found.key)
        path.parent.mkdir(parents=True, exist_ok=True)
        runs.write(path, text)


def forget() -> None:
    """Delete lists that nobody has opened for long, and the data of those who left them."""
    with suppress(OSError):
        for path in (runs.home() / "visitors").glob("*.json"):
            with suppress(OSError):
                if time.time() - path.stat().st_mtime > FORGET:
                    path.unlink()
                    shutil.rmtree(path.with_suffix(""), ignore_errors=True)
