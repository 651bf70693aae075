"""What every data set has: a split, what the student is shown, and the surgery on that."""

from __future__ import annotations

import base64
import dataclasses
import functools
import io
import math
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np
import torch
from torch import Tensor

from workbench.base import BadInput, Knobbed, knob

AUGMENT = ("none", "shift", "crop", "flip", "crop-flip")
SHOWN = ("images", "uniform", "pixels", "patches")


def as_numbers(x: Tensor, dtype: torch.dtype = torch.float32) -> Tensor:
    """Samples as networks take them: pixels kept as uint8 become numbers in [0, 1]."""
    return x.to(dtype).div_(255) if x.dtype == torch.uint8 else x.to(dtype)


def as_address(x: Tensor) -> str:
    """A picture (C, H, W) in [0, 1] as a data: address."""
    from PIL import Image

    pixels = (x.clamp(0, 1) * 255).to(torch.uint8).permute(1, 2, 0).numpy()
    made = Image.fromarray(pixels[..., 0] if len(x) == 1 else pixels)
    file = io.BytesIO()
    made.save(file, "WEBP", quality=85)
    return f"data:image/webp;base64,{base64.b64encode(file.getvalue()).decode()}"


@dataclass(frozen=True)
class Samples:
    """One part: `kept` (n, …) as memory holds it, y (n,), classes 0 … K−1.

    Large sets of pictures are kept as uint8, a quarter of the memory; `x` is what networks see:
    pictures (n, C, H, W) in [0, 1], or samples (n, D) of features.
    """

    kept: Tensor
    y: Tensor

    @property
    def x(self) -> Tensor:
        """The samples as numbers, made anew where they are kept as uint8."""
        return as_numbers(self.kept)

    def __len__(self) -> int:
        return len(self.y)


def images(most: int, usual: int = 1000) -> Any:
    """The knob `images` of a data set with so many in its training part."""
    return knob(
        usual,
        accepts=(1, most),
        slider=(10, most),
        scale="log",
        symbol="n",
        meaning="how many training images the student sees",
    )


def labelled(most: int) -> Any:
    """The knob `labelled`, whose default means all."""
    return knob(
        most,
        accepts=(0, most),
        slider=(0, most),
        meaning="how many of the images keep their label, all by default; 0 = none",
    )


def left_out(classes: int) -> Any:
    """The knob `left_out` of a data set with so many classes."""
    return knob(
        (),
        kind="classes",
        accepts=(0, classes - 1),
        meaning="classes that the student never sees",
    )


@dataclass(frozen=True)
class Data(Knobbed):
    """A data set and what the student may see of it, the *transfer set*.

    The transfer set is the first `images` of the training part (stratified and nested: every
    prefix has all classes, 50 is contained in 100), then without the classes `left_out`; its
    first `labelled` images keep their label (by default all), of which a share `label_noise` is
    wrong. Instead of images it may be shown noise of their shape, which has no labels. All this
    is fixed by the split: seeds change the students alone. `augment` changes pictures anew at
    every step; with `views` each has so many changed versions, one an epoch, in turn. Either way
    the teacher is asked about what the student sees (Beyer et al., 2021, arXiv:2106.05237, call
    that consistent teaching), but about versions only once. Teachers learn from the images as
    they are.
    """

    title: ClassVar[str]
    source: ClassVar[str]
    shape: ClassVar[tuple[int, ...]]
    classes: ClassVar[int]
    #: Comes with what the package needs, and is read in a moment.
    EMBEDDED: ClassVar[bool] = False

    split: int = knob(
        0, accepts=(0, 9999), slider=(0, 9), meaning="which division into train, validation, test"
    )
    images: int = images(1000)
    labelled: int = labelled(1000)
    left_out: tuple[int, ...] = left_out(10)
    label_noise: float = knob(
        0.0, accepts=(0, 1), slider=(0, 0.8), meaning="share of the labels that are wrong"
    )
    augment: str = knob(
        "none",
        choices=AUGMENT,
        meaning="how pictures are changed anew at every step: moved by a pixel, or by up to an "
        "eighth (crop), mirrored",
    )
    views: int = knob(
        0,
        accepts=(0, 64),
        slider=(0, 16),
        meaning="0 = changed anew at every step, and the teacher asked every time; else every "
        "picture has so many changed versions, about which it is asked once",
    )
    shown: str = knob(
        "images",
        choices=SHOWN,
        meaning="the images, or noise that only the teacher labels: uniform, each pixel from "
        "another image, or each image's patches shuffled",
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        owner = type(self).__name__
        every = self.knobs()["labelled"].default  # as many as there can be, whatever `images` is
        if self.images < self.labelled != every:
            raise BadInput(
                f"{owner}(labelled={self.labelled}, images={self.images}): expected "
                f"at most as many labels as images; leave labelled at {every} to keep them all"
            )
        if self.shown != "images":
            for name in ("left_out", "label_noise"):
                if getattr(self, name):
                    raise BadInput(
                        f"{owner}({name}={getattr(self, name)}, shown={self.shown}): expected "
                        f"shown=images with {name}, because noise has no classes"
                    )
        if self.views and self.augment == "none":
            raise BadInput(
                f"{owner}(views={self.views}, augment=none): expected augment=shift, crop or flip "
                "with views, because versions that are not changed are all the same"
            )
        self._sensible()

    def _sensible(self) -> None:
        """`BadInput` if nothing could be learnt from this, as far as its facts say."""
        if len(self.left_out) > self.classes - 2:
            raise BadInput(
                f"{type(self).__name__}(left_out={list(self.left_out)}): expected at least two "
                "classes to stay, because with one there is nothing to tell apart"
            )
        if self.EMBEDDED:
            self.transfer()

    @classmethod
    def here(cls) -> bool:
        """Whether it can be read on this machine now, without a download."""
        return True

    @classmethod
    def describe(cls) -> dict[str, Any]:
        """What is known of it before it is read."""
        return {
            "title": cls.title,
            "source": cls.source,
            "shape": list(cls.shape),
            "classes": cls.classes,
            "here": cls.here(),
        }

    def parts(self) -> dict[str, Samples]:
        """The split's parts: train (in the order of nested subsets), validation, test."""
        raise NotImplementedError

    @property
    def size(self) -> int:
        """How many samples the training part has."""
        return int(self.knobs()["images"].high or 0)

    @property
    def names(self) -> tuple[str, ...]:
        """What the classes are called; their numbers where nobody named them."""
        return tuple(map(str, range(self.classes)))

    @property
    def tests(self) -> int:
        """How many samples the test part has."""
        return len(self.parts()["test"])

    @property
    def rows(self) -> str:
        """What a row of `seen()` is to a student, as a name: images, noise, or their versions."""
        name = self.key() if self.shown == "images" else f"{self.key()}-{self.shown}"
        return f"{name}-{self.augment}-{self.views}x{self.images}" if self.views else name

    @property
    def anew(self) -> bool:
        """Whether pictures are changed at every step."""
        return self.augment != "none" and not self.views

    def whole(self, shown: str = "images") -> Self:
        """The same split without surgery: every training image and label, as it is."""
        knobs = self.knobs()
        changed = {
            name: knobs[name].default
            for name in ("labelled", "left_out", "label_noise", "augment", "views")
        }
        return dataclasses.replace(
            self, images=int(knobs["images"].high or 0), shown=shown, **changed
        )

    def transfer(self) -> tuple[Tensor, Tensor]:
        """What the student is shown: index (m,) into `seen()`, y (m,), −1 unlabelled."""
        train = self.parts()["train"]
        clean = train.y[: self.images]
        y = clean.clone()
        if self.label_noise:
            draw = np.random.RandomState(self.split)
            wrong = draw.rand(len(train))[: len(y)] < self.label_noise
            shift = draw.randint(1, self.classes, len(train))[: len(y)]
            noisy = (clean + torch.from_numpy(shift)) % self.classes
            y = torch.where(torch.from_numpy(wrong), noisy, clean)
        y[self.labelled if self.shown == "images" else 0 :] = -1
        index = torch.arange(len(y))
        for gone in self.left_out:
            index = index[clean[index] != gone]
        if not len(index):
            raise BadInput(
                f"{type(self).__name__}(images={self.images}, left_out={list(self.left_out)}): "
                "no image is left; see more images or leave out fewer classes"
            )
        return index, y[index]

    def seen(self) -> Tensor:
        """The rows of the training part as students see them, kept like the images: (n, …).

        With `views`, versions of the first m = `images` of them: version v of row i is v m + i.
        """
        whole = self.whole(self.shown)
        if self.views:
            return _versions(dataclasses.replace(
                whole, images=self.images, augment=self.augment, views=self.views
            ))  # fmt: skip
        return self.parts()["train"].kept if self.shown == "images" else _noise(whole)

    def reach(self) -> int:
        """How many rows of `seen()`, from the first on, hold all that is shown."""
        return self.views * self.each or 1 + int(self.transfer()[0].max())

    @property
    def each(self) -> int:
        """How many rows one version has: `images`, or as many as there are."""
        return min(self.images, len(self.parts()["train"]))

    def by_row(self, values: Tensor) -> Tensor:
        """Something (…, P) by row of the training part, −1 where unknown, by row of `seen()`."""
        if not self.views:
            return values
        missing = self.each - values.shape[-1]
        filled = torch.nn.functional.pad(values, (0, missing), value=-1)
        return filled.repeat((1,) * (values.ndim - 1) + (self.views,))

    def augmented(self, x: Tensor, step: int) -> Tensor:
        """The pictures of a step, x (B, C, H, W) or (n, B, C, H, W), changed as `augment` says.

        A pure function of split and step: a resumed run sees the same pictures. The place in the
        batch decides the change, so that students in one stack see what each would see alone.
        """
        *lead, count, _, height, width = x.shape
        draw = torch.Generator().manual_seed(2**41 + self.split * 1_000_003 + step)
        most = {"shift": (1, 1), "flip": (0, 0)}.get(
            self.augment, (math.ceil(height / 8), math.ceil(width / 8))
        )
        down, right = (torch.randint(-m, m + 1, (count,), generator=draw) for m in most)
        mirror = torch.rand(count, generator=draw) < ("flip" in self.augment) / 2
        rows, columns = torch.arange(height), torch.arange(width)
        across = torch.where(mirror[:, None], columns.flip(0), columns)
        rows = (rows + down[:, None] + most[0]).to(x.device)
        across = (across + right[:, None] + most[1]).to(x.device)
        padded = torch.nn.functional.pad(x, (most[1], most[1], most[0], most[0]))
        each = torch.arange(count, device=x.device)[:, None, None]
        # advanced indexing puts its axes in front: (B, H, W, *lead, C)
        moved = padded.movedim(-4, 0).movedim((-2, -1), (1, 2))[
            each, rows[:, :, None], across[:, None, :]
        ]
        return moved.movedim((1, 2), (-2, -1)).movedim(0, -4).contiguous()


@functools.lru_cache(maxsize=4)
def _versions(data: Data) -> Tensor:
    """The versions of the first rows one after the other: (views · images, …)."""
    x = data.whole(data.shown).seen()[: data.images]
    first = 1_000_000  # no run has so many steps, so no version is a step's of a run without views
    return torch.cat([data.augmented(x, first + v) for v in range(data.views)])


@functools.lru_cache(maxsize=4)
def _noise(data: Data) -> Tensor:
    """Noise of the shape of a training part, without any of its labels: (n, …), kept alike.

    uniform: every pixel anything between the smallest and the largest. pixels: each from the
    same place of another image, so that means and spreads are those of the data and nothing hangs
    together. patches: each image cut into patches, a quarter of a side each, in a new order.
    """
    x = data.parts()["train"].kept
    draw = torch.Generator().manual_seed(2**42 + data.split)
    if data.shown == "uniform":
        if x.dtype == torch.uint8:
            return torch.randint(0, 256, x.shape, generator=draw, dtype=torch.uint8)
        low, high = x.amin(0), x.amax(0)
        return low + (high - low) * torch.rand(x.shape, generator=draw)
    if data.shown == "pixels":
        flat, found = x.flatten(1), torch.empty_like(x.flatten(1))
        for at in range(0, len(x), 4096):  # the draw takes eight times the memory of its pixels
            size = found[at : at + 4096].shape
            found[at : at + 4096] = flat.gather(0, torch.randint(len(x), size, generator=draw))
        return found.view_as(x)
    if x.ndim != 4:
        raise BadInput(
            f"{type(data).__name__}(shown=patches): expected pictures, because features have no "
            "patches; take uniform or pixels"
        )
    side = max(1, min(x.shape[-2:]) // 4)
    height, width = (size // side * side for size in x.shape[-2:])
    cut = x[..., :height, :width].unflatten(-2, (-1, side)).unflatten(-1, (-1, side))
    cut = cut.permute(0, 2, 4, 1, 3, 5).flatten(1, 2)  # (n, patches, C, side, side)
    order = torch.rand(cut.shape[:2], generator=draw).argsort(1)
    cut = cut[torch.arange(len(x))[:, None], order]
    cut = cut.unflatten(1, (height // side, width // side)).permute(0, 3, 1, 4, 2, 5)
    found = x.clone()
    found[..., :height, :width] = cut.reshape(*x.shape[:2], height, width)
    return found


def stratified(split: int, y: np.ndarray) -> np.ndarray:
    """An order of the samples, shuffled by the split, in which every prefix is stratified.

    Within each class the r-th of n_c shuffled samples gets the place (r + ½)/n_c: so any prefix
    has the classes in proportion, and the first 50 of the digits are five of each.
    """
    draw = np.random.RandomState(split)  # its stream is frozen for good, unlike default_rng's
    place = np.empty(len(y))
    for label in np.unique(y):
        members = draw.permutation(np.flatnonzero(y == label))
        place[members] = (np.arange(len(members)) + 0.5) / len(members)
    return np.argsort(place, kind="stable")
