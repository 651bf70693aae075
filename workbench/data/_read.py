"""Reads what a user hands in: pictures by class, arrays, a table; every limit stands here.

Nothing is unpacked to disk, no link is followed and nothing is unpickled. What cannot be used is
refused in one sentence; single pictures that cannot be read are counted, named and set aside.
"""

from __future__ import annotations

import csv
import functools
import hashlib
import io
import math
import os
import re
import stat
import sys
import warnings
import zipfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, TypeVar

import numpy as np
import torch
from torch import Tensor

from workbench.base import BadInput, unknown

T = TypeVar("T")
#: Bytes of all that is read, unpacked; of one picture's file; of a table, which takes much more.
BYTES, FILE, TABLE = 500_000_000, 20_000_000, 50_000_000
#: Samples; numbers of all of them; pixels of one picture; classes; samples of a class at least.
COUNT, NUMBERS, PIXELS, CLASSES, LEAST = 50_000, 100_000_000, 25_000_000, 1000, 5
#: Height and width of pictures in an array, and columns of a table, at most.
SIDE, COLUMNS = 96, 10_000
#: The brightest pixel of 8-bit pictures is above this.
DARK = 64
PICTURES = {".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp"}


class SetAsideWarning(UserWarning):
    """Some pictures could not be read and are left out."""


@dataclass(frozen=True, eq=False)
class Found:
    """x (n, C, H, W) or (n, D), y (n,) classes 0 … K−1 with their names, and a checksum."""

    x: Tensor
    y: Tensor
    names: tuple[str, ...]
    checksum: str


def read(path: Path, label: str = "", side: int = 32, quiet: bool = False) -> Found:
    """What lies at a path; `BadInput` in one sentence if it cannot be used."""
    try:
        if path.is_dir():
            return _pictures(_folder(path), path, side, quiet)
        size = path.stat().st_size
        if not stat.S_ISREG(path.stat().st_mode):
            raise BadInput(f"{path}: expected a folder or an ordinary file")
        most = TABLE if path.suffix.lower() == ".csv" else BYTES
        if size > most:
            raise BadInput(f"{path}: {size / 1e6:.0f} MB, expected at most {most / 1e6:.0f} MB")
        if path.suffix.lower() == ".zip":
            with _archive(path) as archive:
                return _pictures(_members(archive, path), path, side, quiet)
        if path.suffix.lower() == ".npz":
            return _arrays(path, quiet)
        if path.suffix.lower() == ".csv":
            return _table(path, label)
    except OSError as error:
        raise BadInput(f"{path}: cannot be read ({error.strerror or error})") from None
    raise BadInput(f"{path}: expected a folder, .zip, .npz or .csv")


def watched(items: Sequence[T], what: str, quiet: bool) -> Iterator[T]:
    """The items, with a bar where somebody sits at a terminal."""
    if quiet or len(items) < 200 or not sys.stderr.isatty():
        yield from items
        return
    from rich.console import Console
    from rich.progress import track

    yield from track(items, what, console=Console(stderr=True), transient=True)


def _finished(
    path: Path, x: Tensor, labels: Sequence[Any], names: Sequence[Any], checksum: str
) -> Found:
    """The data, once its classes are counted and its numbers looked at."""
    place = {name: k for k, name in enumerate(names)}
    y = torch.tensor([place[label] for label in labels])
    counts = torch.bincount(y, minlength=len(names)).tolist()
    if len(names) < 2:
        raise BadInput(
            f"{path}: {'one class only' if names else 'no class'}, expected at least two, "
            "because with one there is nothing to tell apart"
        )
    if len(names) > CLASSES:
        raise BadInput(f"{path}: {len(names)} classes, expected at most {CLASSES}")
    if min(counts) < LEAST:
        few = names[counts.index(min(counts))]
        raise BadInput(
            f"{path}: class {str(few)[:40]!r} has {min(counts)}, expected at least {LEAST} of "
            f"each, so that every part has some{_LABEL if path.suffix.lower() == '.csv' else ''}"
        )
    if x.is_floating_point():
        wrong = ~torch.isfinite(x).flatten(1).all(1)
        if bool(wrong.any()):
            first = int(wrong.int().argmax()) + 1
            raise BadInput(
                f"{path}: {int(wrong.sum())} of {len(x)} samples hold NaN or an infinite number, "
                f"the first is sample {first}; expected finite ones"
            )
    return Found(x, y, tuple(str(name) for name in names), checksum)


def _many(path: Path, count: int, numbers: int) -> None:
    if not numbers:
        raise BadInput(f"{path}: holds no sample")
    if count > COUNT:
        raise BadInput(f"{path}: {count} samples, expected at most {COUNT}")
    if numbers > NUMBERS:
        raise BadInput(f"{path}: {numbers} numbers, expected at most {NUMBERS}")


# ------------------------------------------------------------------------------- pictures

#: A picture's name with / between its folders, and how its bytes are had.
Member = tuple[str, Callable[[], bytes]]


def _folder(root: Path) -> list[Member]:
    """The pictures below a folder, without links and hidden files."""
    found: list[Member] = []
    total = 0
    for here, folders, files in os.walk(root):
        folders[:] = sorted(f for f in folders if f[0] != "." and not Path(here, f).is_symlink())
        for name in sorted(files):
            path = Path(here, name)
            if name[0] == "." or path.suffix.lower() not in PICTURES or path.is_symlink():
                continue
            total += path.stat().st_size
            found.append((path.relative_to(root).as_posix(), functools.partial(_bytes, path)))
            if len(found) > COUNT or total > BYTES:
                raise BadInput(
                    f"{root}: expected at most {COUNT} pictures of {BYTES / 1e6:.0f} MB together"
                )
    return found


def _bytes(path: Path) -> bytes:
    with open(path, "rb") as file:
        return file.read(FILE + 1)


def _archive(path: Path) -> zipfile.ZipFile:
    try:
        return zipfile.ZipFile(path)
    except (zipfile.BadZipFile, ValueError, NotImplementedError) as error:
        raise BadInput(f"{path}: is no zip file that can be read ({error})") from None


def _members(archive: zipfile.ZipFile, path: Path) -> list[Member]:
    """The pictures in a zip; what would unpack to more than is allowed is refused unread."""
    found: list[Member] = []
    entries = archive.infolist()
    if len(entries) > 4 * COUNT or sum(entry.file_size for entry in entries) > BYTES:
        raise BadInput(
            f"{path}: unpacks to more than is read here: expected at most {COUNT} pictures, "
            f"{BYTES / 1e6:.0f} MB together"
        )
    for entry in entries:
        name = PurePosixPath(entry.filename)
        if name.is_absolute() or ".." in name.parts or set(entry.filename) & set("\\:\0"):
            raise BadInput(
                f"{path}: holds the name {entry.filename[:60]!r}, which leads out of it; expected "
                "names such as cat/1.png"
            )
        hidden = any(part[0] == "." or part == "__MACOSX" for part in name.parts)
        if entry.is_dir() or hidden or stat.S_ISLNK(entry.external_attr >> 16):
            continue
        if name.suffix.lower() in PICTURES:
            if entry.flag_bits & 1:
                raise BadInput(f"{path}: is encrypted; expected a zip without a password")
            found.append((str(name), functools.partial(_unpacked, archive, entry)))
    return found


def _unpacked(archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> bytes:
    with archive.open(entry) as file:
        return file.read(FILE + 1)


def _inside(members: Iterable[Member]) -> list[tuple[str, Callable[[], bytes]]]:
    """The same without a folder that holds all classes, as many zips have it."""
    found = sorted(members, key=lambda member: member[0])
    while found:
        parts = [name.split("/") for name, _ in found]
        if len({part[0] for part in parts}) > 1 or min(map(len, parts)) < 3:
            break
        found = [(name.split("/", 1)[1], load) for name, load in found]
    return found


def _pictures(members: Sequence[Member], path: Path, side: int, quiet: bool) -> Found:
    """Pictures by class, each cut to a square and scaled; grey where all are."""
    inside = [member for member in _inside(members) if "/" in member[0]]
    if not inside:
        raise BadInput(
            f"{path}: expected a folder of pictures ({', '.join(sorted(PICTURES))}) for each "
            "class, such as cat/1.png, and found none"
        )
    _many(path, len(inside), len(inside) * side * side)
    sums, made, labels = hashlib.sha256(), [], []
    grey, wrong = True, []
    for name, load in watched(inside, f"reading {path.name}", quiet):
        try:
            data = load()
            sums.update(name.encode() + b"\0" + hashlib.sha256(data).digest())
            pixels, plain = _picture(data, side)
        except Exception as error:  # decoders fail in many ways, and a zip's checksum may
            wrong.append(f"{name} ({' '.join(str(error).split())[:60]})")
            continue
        grey = grey and plain
        made.append(pixels)
        labels.append(name.split("/")[0])
    if not made:
        raise BadInput(f"{path}: none of {len(inside)} pictures can be read: {wrong[0]}")
    if wrong and not quiet:
        shown = ", ".join(wrong[:3]) + (", …" if len(wrong) > 3 else "")
        warnings.warn(
            f"{path}: left out, because they cannot be read: {len(wrong)} of {len(inside)} "
            f"pictures: {shown}",
            SetAsideWarning,
            stacklevel=2,
        )
    x = torch.from_numpy(np.stack([p[..., :1] if grey else p for p in made])).permute(0, 3, 1, 2)
    names = sorted(set(labels))
    return _finished(path, x.contiguous(), labels, names, sums.hexdigest()[:16])


def _picture(data: bytes, side: int) -> tuple[np.ndarray, bool]:
    """The pixels (side, side, 3) of a picture's file, and whether it is grey."""
    from PIL import Image, ImageOps, UnidentifiedImageError

    if len(data) > FILE:
        raise ValueError(f"larger than {FILE / 1e6:.0f} MB")
    try:
        opened = Image.open(io.BytesIO(data), formats=("PNG", "JPEG", "BMP", "GIF", "WEBP"))
    except UnidentifiedImageError:
        raise ValueError("is no picture of a kind that is read here") from None
    with opened as image:
        if image.width * image.height > PIXELS:
            raise ValueError(f"more than {PIXELS / 1e6:.0f} million pixels")
        grey = image.mode in ("1", "L", "LA", "I", "I;16", "F")
        turned = ImageOps.exif_transpose(image)
        if turned.mode.startswith("I"):  # sixteen bits: PIL would cut them off at 255
            turned = Image.fromarray((np.asarray(turned) >> 8).astype(np.uint8))
        if turned.mode in ("RGBA", "LA", "PA") or "transparency" in turned.info:
            clear = turned.convert("RGBA")
            white = Image.new("RGBA", clear.size, "white")
            turned = Image.alpha_composite(white, clear)
        fitted = ImageOps.fit(turned.convert("RGB"), (side, side), Image.Resampling.BICUBIC)
        return np.asarray(fitted), grey


# --------------------------------------------------------------------------------- arrays


def _arrays(path: Path, quiet: bool) -> Found:
    """x and y of an .npz; pictures in [0, 1] or [0, 255], or features."""
    with _archive(path) as archive:
        x, y = (_array(archive, path, name) for name in ("x", "y"))
    if y.ndim != 1 or len(y) != len(x):
        raise BadInput(f"{path}: x {x.shape} and y {y.shape}: expected (n, …) and (n,)")
    if y.dtype.kind not in "iuUS":
        raise BadInput(f"{path}: y holds {y.dtype}: expected whole numbers or words, a class each")
    if x.dtype.kind not in "fiub":
        raise BadInput(f"{path}: x holds {x.dtype}: expected numbers")
    _many(path, len(x), x.size)
    shaped = _shaped(path, x, quiet)
    labels = y.tolist()
    sums = hashlib.sha256(path.read_bytes()).hexdigest()[:16]
    return _finished(path, shaped, labels, sorted(set(labels)), sums)


def _array(archive: zipfile.ZipFile, path: Path, name: str) -> np.ndarray:
    """An array of the archive; its header says how large it is before it is unpacked."""
    held = [entry.filename.removesuffix(".npy") for entry in archive.infolist()]
    if name not in held:
        shown = ", ".join(held[:5])[:80] or "nothing"
        raise BadInput(f"{path}: holds {shown}: expected the arrays x (n, …) and y (n,)")
    entry = archive.infolist()[held.index(name)]
    if entry.file_size > BYTES:
        raise BadInput(
            f"{path}: {name} unpacks to {entry.file_size / 1e6:.0f} MB, expected at most "
            f"{BYTES / 1e6:.0f} MB"
        )
    try:
        with archive.open(entry) as file:
            content = file.read(BYTES + 1)
        stream = io.BytesIO(content)
        version = np.lib.format.read_magic(stream)
        header = {(1, 0): np.lib.format.read_array_header_1_0,
                  (2, 0): np.lib.format.read_array_header_2_0}[version]  # fmt: skip
        shape, _, dtype = header(stream)
        if dtype.hasobject:
            raise ValueError("objects, which would have to be unpickled")
        if math.prod(shape) * dtype.itemsize != len(content) - stream.tell():
            raise ValueError("its header does not fit its content")
        stream.seek(0)
        return np.lib.format.read_array(stream, allow_pickle=False)
    except Exception as error:  # zip, zlib, header: all mean the same here
        why = " ".join(str(error).split())[:80]
        raise BadInput(f"{path}: {name} is no array that can be read ({why})") from None


def _shaped(path: Path, x: np.ndarray, quiet: bool) -> Tensor:
    """Samples (n, D) of features, or pictures (n, C, H, W): bytes as they are, else [0, 1].

    Where the brightest pixel is far from 255 but above 1, as in scikit-learn's digits (16), it
    is taken for white: as 8-bit pictures all would be nearly black.
    """
    if x.ndim == 2:
        if not 1 <= x.shape[1] <= COLUMNS:
            raise BadInput(f"{path}: {x.shape[1]} features, expected 1 to {COLUMNS}")
        return torch.from_numpy(x.astype(np.float32))
    if x.ndim == 3:
        x = x[:, None]
    elif x.ndim == 4 and x.shape[-1] in (1, 3):
        x = x.transpose(0, 3, 1, 2)
    if x.ndim != 4 or x.shape[1] not in (1, 3) or not all(4 <= n <= SIDE for n in x.shape[2:]):
        raise BadInput(
            f"{path}: x has the shape {x.shape}: expected (n, D), (n, H, W), (n, H, W, C) or "
            f"(n, C, H, W) with C 1 or 3 and H, W in [4, {SIDE}]"
        )
    low, high = (float(end) if x.size else 0.0 for end in (np.min(x), np.max(x)))
    if low < 0 or high > 255:
        raise BadInput(
            f"{path}: pixels from {low:g} to {high:g}: expected them in [0, 1] or [0, 255]"
        )
    white = 255 if high > DARK else max(high, 1)
    if white == 255 and x.dtype.kind in "iu":
        return torch.from_numpy(np.ascontiguousarray(x, np.uint8))
    if 1 < white < 255 and not quiet:
        warnings.warn(
            f"{path}: the brightest pixel is {white:g}, which is taken for white; divide x by "
            "another number if it is not",
            UserWarning,
            stacklevel=2,
        )
    return torch.from_numpy(np.ascontiguousarray(x, np.float32)) / white


# ---------------------------------------------------------------------------------- table

#: What only the command line can say of the label's column.
FLAG = ", unless --label names another"
_LABEL = f"; the last column is the label{FLAG}"


def _table(path: Path, label: str) -> Found:
    """A CSV: a row a sample, numbers but for one column, the label; a header if there is one."""
    data = path.read_bytes()
    try:
        text = data.decode("utf-8-sig")
        first = text.split("\n", 1)[0]
        mark = max(",;\t", key=first.count)
        if mark == ";":  # where cells are parted by ; a comma is a decimal point
            text = re.sub(r"(?<=\d),(?=\d)", ".", text)
        rows = [row for row in csv.reader(io.StringIO(text, newline=""), delimiter=mark) if row]
    except (UnicodeDecodeError, csv.Error) as error:
        raise BadInput(f"{path}: is no table in UTF-8 that can be read ({error})") from None
    if not rows or len(rows[0]) < 2:
        raise BadInput(f"{path}: expected rows of at least two columns, a number and a label")
    width = len(rows[0])
    for line, row in enumerate(rows, 1):
        if len(row) != width:
            raise BadInput(
                f"{path}: row {line} has {len(row)} columns, expected {width} as in the first"
            )
    names = [name.strip() for name in rows[0]]
    place = int(label) - 1 if label.isdecimal() else width - 1  # of the label, without a header
    words = {k for k, cell in enumerate(rows[0]) if _number(cell) is None}
    headed = label in names or bool(words - {place})
    at = width - 1
    if label and headed:
        if label not in names:
            raise unknown(f"{path}: column", label, names)
        at = names.index(label)
    elif label:
        if not label.isdecimal() or not 1 <= int(label) <= width:
            raise BadInput(
                f"{path}: column {label!r}: it has no header, expected a number from 1 to {width}"
            )
        at = int(label) - 1
    body = rows[headed:]
    if width - 1 > COLUMNS:
        raise BadInput(f"{path}: {width} columns, expected at most {COLUMNS}")
    _many(path, len(body), len(body) * width)
    x = np.empty((len(body), width - 1), np.float32)
    for line, row in enumerate(body):
        numbers = [_number(cell) for column, cell in enumerate(row) if column != at]
        if None in numbers:
            column = numbers.index(None) + (numbers.index(None) >= at)
            called = f"{names[column][:40]!r}" if headed else f"{column + 1}"
            raise BadInput(
                f"{path}: row {line + 1 + headed}, column {called}: expected a number, got "
                f"{row[column][:40]!r}{'' if label else _LABEL}"
            )
        with np.errstate(over="ignore"):  # infinite numbers are refused below
            x[line] = numbers
    labels = [row[at].strip() for row in body]
    return _finished(
        path, torch.from_numpy(x), labels, _sorted(labels), hashlib.sha256(data).hexdigest()[:16]
    )


def _number(cell: str) -> float | None:
    try:
        return float(cell)
    except ValueError:
        return None


def _sorted(labels: Iterable[str]) -> list[str]:
    """The classes in order: as numbers where all are."""
    names = sorted(set(labels))
    if all(_number(name) is not None for name in names):
        return sorted(names, key=float)
    return names
