"""Published data sets: found on this machine, or downloaded; cut into the three parts."""

from __future__ import annotations

import functools
import gzip
import hashlib
import os
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
import torch

from workbench import vision
from workbench.base import Trouble
from workbench.data._data import Data, Samples, stratified

#: How many of the published training part are kept for validation, and how many the test has.
VALIDATION, TEST = 5000, 10_000


def cache() -> Path:
    """Where downloads are kept: WORKBENCH_DATA, else a folder in torch's cache."""
    found = os.environ.get("WORKBENCH_DATA")
    return Path(found) if found else Path(torch.hub.get_dir()).parent / "datasets"


class Official(Data):
    """The published test part, whole, for the end alone; what is published for training is cut.

    The split takes 5000 of it for validation, stratified, and orders the rest; it orders the test
    part, too, so that the first of each part are stratified.
    """

    @classmethod
    def read(cls) -> tuple[Samples, Samples]:
        """What is published for training and for the test, as it is published."""
        raise NotImplementedError

    @property
    def tests(self) -> int:
        """How many samples the test part has: as published, so nothing is read for it."""
        return TEST

    def parts(self) -> dict[str, Samples]:
        """Train (all but 5000), validation (5000) and the published test part."""
        return _parts(type(self), self.split)  # type: ignore[arg-type]  # a class is hashable


@functools.lru_cache(maxsize=2)  # a copy of all pixels each
def _parts(kind: type[Official], split: int) -> dict[str, Samples]:
    train, test = _read(kind)  # type: ignore[arg-type]
    order, last = (torch.from_numpy(stratified(split, part.y.numpy())) for part in (train, test))
    cut = len(train) - VALIDATION
    return {
        "train": _rows(train, order[:cut]),
        "validation": _rows(train, order[cut:]),
        "test": _rows(test, last),
    }


def _rows(part: Samples, order: torch.Tensor) -> Samples:
    return Samples(part.kept[order], part.y[order])


@functools.lru_cache(maxsize=2)
def _read(kind: type[Official]) -> tuple[Samples, Samples]:
    train, test = kind.read()
    for part in (train, test):
        if (
            part.kept.shape[1:] != kind.shape
            or not 0 <= int(part.y.min()) <= int(part.y.max()) < kind.classes
        ):
            raise Trouble(
                f"{kind.key()}: {tuple(part.kept.shape)} with labels up to {int(part.y.max())}, "
                f"expected (n, {', '.join(map(str, kind.shape))}) and {kind.classes} classes"
            )
    return train, test


# ------------------------------------------------------------------------------------ IDX


@dataclass(frozen=True)
class Sums:
    """A file's checksums: MD5 as torchvision publishes it, or SHA-256 of what is packed in it."""

    md5: str
    sha256: str = ""


#: The names of images and labels, by part.
NAMES = {
    part: (f"{word}-images-idx3-ubyte.gz", f"{word}-labels-idx1-ubyte.gz")
    for part, word in (("train", "train"), ("test", "t10k"))
}


class Idx(Official):
    """Grey pictures in four packed IDX files: 60 000 to learn from, 10 000 for the test."""

    #: torchvision's class, and the folder of its cache
    TORCHVISION: ClassVar[str]
    #: where else the files may lie
    FOLDERS: ClassVar[tuple[str, ...]] = ()
    SUMS: ClassVar[Mapping[str, Sums]]

    @classmethod
    def folder(cls) -> Path | None:
        """Where all four files are, or None."""
        for folder in (*map(Path, cls.FOLDERS), cache() / cls.TORCHVISION / "raw"):
            if all((folder / name).is_file() for name in cls.SUMS):
                return folder
        return None

    @classmethod
    def here(cls) -> bool:
        """Whether the files are on this machine."""
        return cls.folder() is not None

    @classmethod
    def read(cls) -> tuple[Samples, Samples]:
        """Both parts, each file against its checksum; downloaded first if need be."""
        folder = cls.folder()
        if folder is None:
            vision.download(cls.TORCHVISION, cache(), cls.key())
            folder = cache() / cls.TORCHVISION / "raw"
        made = []
        for pixels, labels in NAMES.values():
            x, y = (read_idx(folder / name, cls.SUMS[name]) for name in (pixels, labels))
            made.append(Samples(torch.from_numpy(x).unsqueeze(1), torch.from_numpy(y).long()))
        return made[0], made[1]


def read_idx(path: Path, sums: Sums) -> np.ndarray:
    """The bytes of a packed IDX file in their shape; `Trouble` if it is not what was published.

    IDX: two zero bytes, 8 for bytes, the number of axes, each length as four bytes, the content.
    """
    again = f"{path}: {{}}; remove it, and it is fetched again"
    try:
        packed = path.read_bytes()
        content = gzip.decompress(packed)
    except (OSError, EOFError, zlib.error) as error:
        raise Trouble(again.format(f"cannot be read ({error})")) from None
    known = sums.sha256 and hashlib.sha256(content).hexdigest() == sums.sha256
    if not known and hashlib.md5(packed, usedforsecurity=False).hexdigest() != sums.md5:
        raise Trouble(again.format("its checksum is not that of the published file"))
    axes = content[3]
    shape = [int.from_bytes(content[4 + 4 * i : 8 + 4 * i], "big") for i in range(axes)]
    found = np.frombuffer(content, np.uint8, offset=4 + 4 * axes)
    if content[:3] != b"\0\0\x08" or found.size != np.prod(shape):
        raise Trouble(again.format("is no IDX file of bytes"))
    return found.reshape(shape).copy()


# ---------------------------------------------------------------------------------- CIFAR


class Cifar(Official):
    """Colour pictures of 32 × 32, read by torchvision: 50 000 to learn from, 10 000 for the test.

    Their files are pickles, which are opened by torchvision alone and only where each has the
    checksum that torchvision knows; nothing that a user hands in is ever unpickled.
    """

    TORCHVISION: ClassVar[str]
    FOLDER: ClassVar[str]

    @classmethod
    def here(cls) -> bool:
        """Whether the files are in the cache."""
        return (cache() / cls.FOLDER).is_dir()

    @classmethod
    def read(cls) -> tuple[Samples, Samples]:
        """Both parts; downloaded first if need be."""
        if not cls.here():
            vision.download(cls.TORCHVISION, cache(), cls.key())
        made = []
        for train in (True, False):
            pixels, labels = vision.pictures(cls.TORCHVISION, cache(), train, cls.key())
            x = torch.from_numpy(np.ascontiguousarray(pixels.transpose(0, 3, 1, 2)))
            made.append(Samples(x, torch.tensor(labels)))
        return made[0], made[1]
