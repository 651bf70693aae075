"""Your own: a folder or zip of pictures by class, an .npz of x and y, a .csv of features."""

from __future__ import annotations

import functools
import hashlib
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import torch

from workbench.base import BadInput, knob
from workbench.data._data import Data, Samples, images, labelled, left_out, stratified
from workbench.data._read import BYTES, CLASSES, COUNT, FLAG, Found, read


class Facts(NamedTuple):
    """What `content` says: the data's checksum and its form."""

    checksum: str
    samples: int
    shape: tuple[int, ...]
    classes: int


@dataclass(frozen=True)
class Own(Data):
    """A user's data: three fifths train, a fifth validation, a fifth test, by class and split.

    Pictures of a folder or zip are cut to a square and scaled to `side`; columns of a CSV are
    standardised by mean and standard deviation of the training part. What is read is known by
    its content: a recipe carries its checksum, so a run of data that changed is never taken for
    this one, and data that only moved keep their runs.
    """

    title: ClassVar[str] = "Your own"
    source: ClassVar[str] = "a folder, .zip, .npz or .csv of yours"

    images: int = images(COUNT, COUNT)
    labelled: int = labelled(COUNT)
    left_out: tuple[int, ...] = left_out(CLASSES)
    path: str = knob(
        "", kind="text", accepts=(0, 1000), compare=False, meaning="the folder or file of the data"
    )
    label: str = knob(
        "",
        kind="text",
        accepts=(0, 100),
        meaning="a CSV's label column: its name, or its number where it has no header",
    )
    side: int = knob(
        32,
        accepts=(8, 64),
        slider=(8, 64),
        meaning="pixels to which each picture is cut and scaled",
    )
    content: str = knob(
        "", kind="text", accepts=(0, 80), meaning="what was found there, filled in when it is read"
    )
    owner: str = knob(
        "",
        kind="text",
        accepts=(0, 64),
        meaning="whose it is: of the same content, everybody's runs are their own",
    )

    def _sensible(self) -> None:
        if not self.path:
            if self.content or self.label or self.owner:
                self._facts()
            return
        if not self.content:
            path = Path(self.path).expanduser().absolute()
            found = _found(str(path), self.label, self.side, "")
            object.__setattr__(self, "path", str(path))
            object.__setattr__(self, "content", _content(found))
        facts = self._facts()
        default = self.knobs()["images"].default
        for name in ("images", "labelled"):
            if getattr(self, name) not in (default, *range(self.size + 1)):
                raise BadInput(
                    f"Own({name}={getattr(self, name)}): expected at most the {self.size} of "
                    f"its training part; leave {name} out for all of them"
                )
        if any(gone >= facts.classes for gone in self.left_out):
            raise BadInput(
                f"Own(left_out={list(self.left_out)}): expected classes in "
                f"[0, {facts.classes - 1}], as many as it has"
            )
        if len(facts.shape) != 3 and (self.augment != "none" or self.shown == "patches"):
            wrong = "shown=patches" if self.augment == "none" else f"augment={self.augment}"
            raise BadInput(f"Own({wrong}): expected pictures, but these are features")
        super()._sensible()

    def _facts(self) -> Facts:
        if not self.path:
            raise BadInput(
                "Own(path=): expected a folder, .zip, .npz or .csv, as in --data own:path=pets.zip"
            )
        found = re.fullmatch(r"([0-9a-f]{16})-(\d{1,6})-(\d{1,5}(?:x\d{1,2}x\d{1,2})?)-(\d{1,4})",
                             self.content)  # fmt: skip
        if found is None:
            raise BadInput(
                f"Own(content={self.content}): expected what reading the data filled in"
            )
        shape = tuple(int(size) for size in found[3].split("x"))
        return Facts(found[1], int(found[2]), shape, int(found[4]))

    @property
    def shape(self) -> tuple[int, ...]:  # type: ignore[override]
        """Of one sample: (C, H, W), or (D,) where they are features."""
        return self._facts().shape

    @property
    def classes(self) -> int:  # type: ignore[override]
        """How many classes it has."""
        return self._facts().classes

    @property
    def size(self) -> int:
        """How many samples the training part has."""
        return _cuts(self._facts().samples)[0]

    @property
    def rows(self) -> str:
        """The content is what a row means."""
        said = f"{self.content} {self.side} {self.label}"
        return f"{super().rows}-{hashlib.sha256(said.encode()).hexdigest()[:16]}"

    @property
    def names(self) -> tuple[str, ...]:
        """What the classes are called: folders, or the labels as they were written."""
        return self._read().names

    @property
    def samples(self) -> int:
        """How many samples all parts have."""
        return self._facts().samples

    @property
    def tests(self) -> int:
        """How many samples the test part has."""
        return self.samples - _cuts(self.samples)[1]

    @classmethod
    def describe(cls) -> dict[str, Any]:
        """Nothing is known before it is read."""
        return {"title": cls.title, "source": cls.source, "shape": None, "classes": None,
                "here": True}  # fmt: skip

    def parts(self) -> dict[str, Samples]:
        """Train (three fifths), validation and test (a fifth each)."""
        return _parts(self)

    def _read(self) -> Found:
        self._facts()
        return _found(self.path, self.label, self.side, self.content)


def received(content: bytes, name: str, folder: Path, most: int = BYTES) -> Own:
    """Data that arrive as bytes, such as an upload called `name`: kept in a folder, and read.

    The file is named by its content, never by what a visitor calls it; what cannot be used is
    not kept.
    """
    suffix = Path(name).suffix.lower()
    if len(content) > most:
        raise BadInput(
            f"{name[:60]}: {len(content) / 1e6:.0f} MB, expected at most {most / 1e6:.0f} MB"
        )
    if suffix not in (".zip", ".npz", ".csv"):
        raise BadInput(f"{name[:60]}: expected a .zip, .npz or .csv")
    path = folder / f"{hashlib.sha256(content).hexdigest()[:32]}{suffix}"
    fresh = not path.exists()
    folder.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    try:
        return Own(path=str(path))
    except BadInput as error:
        if fresh:
            path.unlink()
        said = str(error).replace(FLAG, "")  # no such choice here
        raise BadInput(said.replace(str(path), name[:60])) from None


def _content(found: Found) -> str:
    shape = "x".join(map(str, found.x.shape[1:]))
    return f"{found.checksum}-{len(found.y)}-{shape}-{len(found.names)}"


@functools.lru_cache(maxsize=2)
def _found(path: str, label: str, side: int, content: str) -> Found:
    """What lies at a path, if its content is what a recipe knows (or none does yet)."""
    if not content:
        return read(Path(path), label, side)
    if not Path(path).exists():
        raise BadInput(
            f"own data: {path} is gone; put it back, or give its new place to --data, and runs of "
            "the same content are found again"
        )
    found = read(Path(path), label, side, quiet=True)
    if _content(found) != content:
        raise BadInput(
            f"own data: {path} has changed since this run was made (it was {content}, it is "
            f"{_content(found)}); put the old content back, or train anew with --data {path}"
        )
    return found


def _cuts(count: int) -> tuple[int, int]:
    """Where the training part and the validation part end."""
    return count * 3 // 5, count * 4 // 5


@functools.lru_cache(maxsize=4)
def _parts(data: Own) -> dict[str, Samples]:
    found = data._read()
    order = torch.from_numpy(stratified(data.split, found.y.numpy()))
    first, second = _cuts(len(found.y))
    places = {"train": order[:first], "validation": order[first:second], "test": order[second:]}
    x = found.x
    if x.ndim == 2:
        train = x[places["train"]]
        mean, std = train.mean(0), train.std(0)
        x = ((x - mean) / torch.where(std > 0, std, 1)).float()
    return {name: Samples(x[at], found.y[at]) for name, at in places.items()}
