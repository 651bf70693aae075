"""What a teacher said about the rows that students see: asked once, kept in half the bytes.

Beside the teacher's run lie, for each data set and split,

    said-<rows>-<split>-logits.npy   (N, K + 2) float16, see `pack`
    said-<rows>-<split>-<layer>.npy  (N, P, D) float16: a feature, where a method asked for them
    said-<rows>-<split>.json         whose answers they are, and the SHA-256 of each; written last

What is larger than `SHARE` of the machine's memory is not read but mapped, so that only the rows
of a batch are. What is another teacher's, or was changed, is refused with a sentence and asked
for again. Nothing depends on whether it was there: fresh answers are rounded in the same way.

The error of a feature is at most 2⁻¹¹ of its size, and below 6 · 10⁻⁵ at most 2⁻²⁵. That of a
logit is at most 2⁻¹¹ of its distance from the sample's largest logit (with 2⁻²⁰ of that one, and
2⁻²⁴), so the largest probabilities are the most exact: altogether Σ|Δp| ≤ 2⁻¹⁰ (ln K + 1) at every
temperature from 1 on, about a three-hundredth for ten classes at worst, and a ten-thousandth for
a teacher that is nearly sure.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from workbench.base import Outputs

#: The largest number of half precision.
LARGEST = 65504.0
#: What takes more than this share of the machine's memory is mapped from its file.
SHARE = 1 / 100
#: Bytes of one teacher's features about one data set that are kept; beyond, it is asked anew.
ROOM = 500_000_000
LOGITS = "logits"
#: Seconds after which a half-written file is nobody's.
PATIENCE = 600.0


def memory() -> int:
    """Bytes of memory that this machine, or its container, has; 8 GB where nobody says."""
    found = [8_000_000_000]
    with suppress(AttributeError, ValueError, OSError):  # Windows does not say
        found = [os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")]
    for name in ("memory.max", "memory/memory.limit_in_bytes"):
        with suppress(OSError, ValueError):  # not a container, or one without a limit
            found.append(int((Path("/sys/fs/cgroup") / name).read_text()))
    return min(found)


def pack(logits: Tensor) -> np.ndarray:
    """Logits (N, K) as (N, K + 2) float16: distances from the largest, which itself is two.

    A softmax knows distances alone, and small ones matter most; they are the exact ones. The
    largest logit is a number of half precision and its rest. Where distances are too large for
    half precision, or infinite, it is (N, K) float32.
    """
    z = logits.detach().float().cpu()
    top = z.amax(-1, keepdim=True)
    gaps = z - top
    if not bool((gaps >= -LARGEST).all() and (top.abs() <= LARGEST).all()):
        return np.asarray(z.numpy())
    first = top.half()
    rest = (top - first.float()).half()
    return np.asarray(torch.cat([gaps.half(), first, rest], -1).numpy())


def unpack(kept: np.ndarray) -> Tensor:
    """The inverse of `pack`, (N, K) float32."""
    found = torch.from_numpy(np.array(kept))
    if found.dtype == torch.float32:
        return found
    first, rest = found[:, -2:].float().unbind(-1)
    return found[:, :-2].float() + (first + rest).unsqueeze(-1)


class Refused(Exception):
    """Kept answers that cannot be trusted: the message says which file and why."""


@dataclass(frozen=True)
class Shelf:
    """Where the answers of a trained teacher about one data set lie.

    `facts` say whose they are; `ask(features)` gives its answers in parts.
    """

    folder: Path | None  # None: nowhere; they are asked for anew
    key: str
    facts: Mapping[str, Any]
    ask: Callable[[bool], Iterator[Outputs]]

    def fetch(self, rows: int, features: bool) -> Outputs:
        """What it said about the first `rows` rows or more; `Refused` if that was changed."""
        index = self._index()
        kept = index["arrays"] if index and index["rows"] >= rows else {}
        if LOGITS not in kept or (features and not index["features"]):
            return self._anew(rows, features)
        names = [name for name in kept if features or name == LOGITS]
        return self._outputs({name: self._read(name, kept[name]) for name in names}, index)

    def forget(self) -> None:
        """Without its index nothing of it is read again."""
        if self.folder is not None:
            (self.folder / f"{self.key}.json").unlink(missing_ok=True)

    def _index(self) -> dict[str, Any]:
        if self.folder is None:
            return {}
        path = self.folder / f"{self.key}.json"
        try:
            text = path.read_text(encoding="utf-8")
            found: dict[str, Any] = json.loads(text)["index"]
            if _sealed(found) != text:
                raise Refused(f"{path}: its checksum does not fit (changed or half-written)")
        except FileNotFoundError:
            return {}
        except (OSError, ValueError, TypeError, KeyError) as error:
            raise Refused(f"{path}: {error}") from None
        if found["facts"] != dict(self.facts):
            raise Refused(f"{path}: are the answers of another teacher, or about other data")
        return found

    def _file(self, name: str) -> Path:
        assert self.folder is not None
        return self.folder / f"{self.key}-{name}.npy"

    def _read(self, name: str, entry: Mapping[str, Any]) -> np.ndarray:
        path = self._file(name)
        try:
            if summed(path) != entry["sum"]:
                raise Refused(f"{path}: its checksum does not fit (changed or half-written)")
            return loaded(path)
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise Refused(f"{path}: {error}") from None

    def _outputs(self, arrays: Mapping[str, np.ndarray], index: Mapping[str, Any]) -> Outputs:
        rest = {name: torch.from_numpy(v) for name, v in arrays.items() if name != LOGITS}
        extra = {name: rest.pop(name) for name in index["extra"] if name in rest}
        grids = {name: tuple(grid) for name, grid in index["grids"].items() if name in rest}
        return Outputs(unpack(arrays[LOGITS]), rest, grids, extra)

    def _anew(self, rows: int, features: bool) -> Outputs:
        """Ask, and keep the answers."""
        self._tidy()
        shelves: dict[str, _Growing] = {}
        try:
            try:
                last = self._fill(shelves, rows, features, np.float16)
            except OverflowError:  # a feature is too large for it
                _drop(shelves)
                last = self._fill(shelves, rows, features, np.float32)
            arrays = {name: one.whole() for name, one in shelves.items()}
        except BaseException:  # a full disk, Ctrl-C: nothing stays half-written
            _drop(shelves)
            raise
        index = {
            "facts": dict(self.facts),
            "rows": rows,
            "features": features,
            "extra": list(last.extra),
            "grids": {name: list(grid) for name, grid in last.grids.items()},
            "arrays": {name: {"sum": one.sum.hexdigest()} for name, one in shelves.items()},
        }
        if self.folder is not None:
            _replace(self.folder / f"{self.key}.json", _sealed(index).encode())
        return self._outputs(arrays, index)

    def _fill(
        self, shelves: dict[str, _Growing], rows: int, features: bool, dtype: Any
    ) -> Outputs:
        """Write what it says, part by part; the last part."""
        said: list[Tensor] = []
        for part in self.ask(features):
            said.append(part.logits)
            for name, value in {**part.features, **part.extra}.items():
                if name not in shelves:
                    shelves[name] = _Growing(self._place(name), rows, value, dtype)
                shelves[name].add(value)
        packed = pack(torch.cat(said))
        like = torch.from_numpy(packed)
        shelves[LOGITS] = _Growing(self._place(LOGITS), len(packed), like, packed.dtype)
        shelves[LOGITS].add(like)
        return part

    def _place(self, name: str) -> Path | None:
        return None if self.folder is None else self._file(name)

    def _tidy(self) -> None:
        """Remove what a process that was killed had half-written."""
        for part in () if self.folder is None else self.folder.glob(f".{self.key}-*"):
            with suppress(OSError):
                if time.time() - part.stat().st_mtime > PATIENCE:  # nobody writes so long
                    part.unlink()


def _drop(shelves: dict[str, _Growing]) -> None:
    """Forget what is not whole yet."""
    for one in shelves.values():
        one.drop()
    shelves.clear()


class _Growing:
    """An array that is written part by part, to its file or, without one, to memory."""

    def __init__(self, path: Path | None, rows: int, like: Tensor, dtype: Any) -> None:
        self.path, self.dtype, self.sum = path, np.dtype(dtype), hashlib.sha256()
        self.parts: list[np.ndarray] = []
        if path is not None:
            self.part = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}")
            self.file = open(self.part, "wb")
            head = {"descr": self.dtype.str, "fortran_order": False,
                    "shape": (rows, *like.shape[1:])}  # fmt: skip
            self._put(_header(head))

    def add(self, value: Tensor) -> None:
        """The next rows; OverflowError if they do not fit."""
        plain = value.detach().float().cpu() if value.dtype != torch.float16 else value
        if self.dtype == np.float16 and bool((plain.abs() > LARGEST).any()):
            raise OverflowError
        array = plain.numpy().astype(self.dtype)
        if self.path is None:
            self.parts.append(array)
        else:
            self._put(array.tobytes())

    def _put(self, content: bytes) -> None:
        try:
            self.file.write(content)  # and not through a map of it: a full disk would be fatal
        except OSError:
            self.drop()
            raise
        self.sum.update(content)

    def drop(self) -> None:
        """Forget it."""
        if self.path is not None:
            with suppress(OSError):  # what was still to be written does not fit either
                self.file.close()
            self.part.unlink(missing_ok=True)

    def whole(self) -> np.ndarray:
        """All rows, once the last is there."""
        if self.path is None:
            return np.concatenate(self.parts)
        self.file.close()
        os.replace(self.part, self.path)
        return loaded(self.path)


def _sealed(index: Mapping[str, Any]) -> str:
    """An index as it is kept: with its own checksum."""
    found = hashlib.sha256(json.dumps(index).encode()).hexdigest()
    return json.dumps({"sum": found, "index": index})


def _header(head: Mapping[str, Any]) -> bytes:
    out = io.BytesIO()
    np.lib.format.write_array_header_1_0(out, dict(head))
    return out.getvalue()


def loaded(path: Path) -> np.ndarray:
    """An array file: in memory, or mapped if it is large."""
    large = path.stat().st_size > SHARE * memory()
    # "c": what is written to it stays here; nothing is, but torch warns of what is read-only
    found: np.ndarray = np.load(path, mmap_mode="c" if large else None, allow_pickle=False)
    return found


def summed(path: Path) -> str:
    """The SHA-256 of a file, a piece at a time."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _replace(path: Path, content: bytes) -> None:
    part = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}")
    try:
        part.write_bytes(content)
        os.replace(part, path)
    except OSError:
        part.unlink(missing_ok=True)
        raise
