"""A visitor's own data: an upload is read, and kept where its visitor alone finds it."""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from gradio.utils import get_upload_folder

from workbench import runs, words
from workbench.base import BadInput, Trouble
from workbench.data.own import Own, received
from workbench.ui._form import LARGEST_FILE as LARGEST
from workbench.ui._take import shown
from workbench.ui._visitor import change, visitor

#: Numbers that an upload may hold when it is read.
NUMBERS = 20_000_000
#: Files kept for one visitor and for all, and bytes for all of them; the oldest go first.
KEPT, ALL, TOTAL = 3, 1000, 1_000_000_000


def receive(token: str, sent: object, name: object) -> None:
    """Read an uploaded file, and keep it as the visitor's own data; `BadInput` if it is none.

    What the server has put away for it is deleted in any case.
    """
    path, called = _sent(sent), Path(str(name)[-200:]).name[-60:] or "data"
    try:
        if path.stat().st_size > LARGEST:
            raise BadInput(words.too_large(called, path.stat().st_size, LARGEST))
        content = path.read_bytes()
    except OSError:
        raise BadInput(words.NO_UPLOAD) from None
    finally:
        with suppress(OSError):
            path.unlink()
            path.parent.rmdir()
    if not content:
        raise BadInput(words.NOTHING_IN.format(called))
    one = visitor(token)
    data, aside = _read(content, called, one.folder)
    whole = shown(data.whole())
    said = words.was_read(called, data.samples, data.shape, whole.names, data.size, data.tests)
    with change(token) as one:
        one.own = {"file": Path(data.path).name, "content": data.content,
                   "said": f"{said} {aside}".strip()}  # fmt: skip
    _tidy(one.folder, Path(data.path))


def _sent(sent: object) -> Path:
    """The file that Gradio has taken in: nothing else on this machine can be named."""
    path = Path(str(sent))
    folder = Path(get_upload_folder()).resolve()
    try:
        found = path.resolve(strict=True)
    except (OSError, ValueError, RuntimeError):
        raise BadInput(words.NO_UPLOAD) from None
    if not found.is_relative_to(folder) or path.is_symlink() or not found.is_file():
        raise BadInput(words.NO_UPLOAD)
    return found


def _read(content: bytes, called: str, folder: Path) -> tuple[Own, str]:
    """The data in a file, and what of it was set aside."""
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        folder.mkdir(mode=0o700, exist_ok=True)
        with warnings.catch_warnings(record=True) as caught:  # one upload at a time is read
            warnings.simplefilter("always")
            data = received(content, called, folder, LARGEST)
    except OSError as error:
        raise Trouble(words.NOT_KEPT.format(error.strerror or error)) from None
    if data.samples * math.prod(data.shape) > NUMBERS:
        Path(data.path).unlink(missing_ok=True)
        raise BadInput(words.too_many_numbers(called, NUMBERS))
    kept = str(Path(data.path))
    said = [str(one.message).replace(kept, called) for one in caught
            if issubclass(one.category, UserWarning)]  # fmt: skip
    return replace(data, owner=folder.name[:32]), words.set_aside(said)


def _tidy(folder: Path, newest: Path) -> None:
    """Delete the oldest files: a visitor's, then everybody's."""
    _thin(folder.glob("*"), KEPT, TOTAL, newest)
    _thin((runs.home() / "visitors").glob("*/*"), ALL, TOTAL, newest)


def _thin(found: Iterable[Path], most: int, total: int, newest: Path) -> None:
    paths = [path for path in found if path.is_file()]
    paths.sort(key=lambda path: (path == newest, path.stat().st_mtime), reverse=True)
    size = 0
    for kept, path in enumerate(paths, 1):
        size += path.stat().st_size
        if kept > most or size > total:
            path.unlink(missing_ok=True)
