"""What every data set has: a split, and the surgery on its transfer set."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from workbench.base import BadInput, Knobbed, knob


@dataclass(frozen=True)
class Samples:
    """Pictures and labels of one part: x (n, C, H, W) in [0, 1], y (n,), classes 0 … K−1."""

    x: Tensor
    y: Tensor

    def __len__(self) -> int:
        return len(self.y)


@dataclass(frozen=True)
class Data(Knobbed):
    """A data set and what the student may see of it, the *transfer set*.

    The transfer set is the first `images` of the training part (stratified and nested: every
    prefix has all classes, 50 is contained in 100), then without the classes `left_out`; its
    first `labelled` images keep their label (by default all), of which a share `label_noise` is
    wrong. All this is fixed by the split: seeds change the students alone.
    """

    title: ClassVar[str]
    source: ClassVar[str]
    shape: ClassVar[tuple[int, int, int]]
    classes: ClassVar[int]

    split: int = knob(
        0, accepts=(0, 9999), slider=(0, 9), meaning="which division into train, validation, test"
    )
    images: int = knob(
        1000,
        accepts=(1, 1000),
        slider=(10, 1000),
        scale="log",
        symbol="n",
        meaning="how many training images the student sees",
    )
    labelled: int = knob(
        1000,
        accepts=(0, 1000),
        slider=(0, 1000),
        meaning="how many of the images keep their label, all by default; 0 = none",
    )
    left_out: tuple[int, ...] = knob(
        (), kind="classes", accepts=(0, 9), meaning="classes that the student never sees"
    )
    label_noise: float = knob(
        0.0, accepts=(0, 1), slider=(0, 0.8), meaning="share of the labels that are wrong"
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        every = self.knobs()["labelled"].default  # as many as there can be, whatever `images` is
        if self.images < self.labelled != every:
            raise BadInput(
                f"{type(self).__name__}(labelled={self.labelled}, images={self.images}): expected "
                f"at most as many labels as images; leave labelled at {every} to keep them all"
            )
        if len(self.left_out) > self.classes - 2:
            raise BadInput(
                f"{type(self).__name__}(left_out={list(self.left_out)}): expected at least two "
                "classes to stay, because with one there is nothing to tell apart"
            )
        if not len(self.transfer()[0]):
            raise BadInput(
                f"{type(self).__name__}(images={self.images}, left_out={list(self.left_out)}): "
                "no image is left; see more images or leave out fewer classes"
            )

    def parts(self) -> dict[str, Samples]:
        """The split's parts: train (in the order of nested subsets), validation, test."""
        raise NotImplementedError

    def transfer(self) -> tuple[Tensor, Tensor]:
        """What the student is shown: index (m,) into the training part, y (m,), −1 unlabelled."""
        clean = self.parts()["train"].y[: self.images]
        y = clean.clone()
        if self.label_noise:
            draw = np.random.RandomState(self.split)
            wrong = draw.rand(len(self.parts()["train"]))[: len(y)] < self.label_noise
            shift = draw.randint(1, self.classes, len(self.parts()["train"]))[: len(y)]
            noisy = (clean + torch.from_numpy(shift)) % self.classes
            y = torch.where(torch.from_numpy(wrong), noisy, clean)
        y[self.labelled :] = -1
        index = torch.arange(len(y))
        for left_out in self.left_out:
            index = index[clean[index] != left_out]
        return index, y[index]


@functools.lru_cache(maxsize=32)
def stratified(split: int, labels: tuple[int, ...]) -> np.ndarray:
    """An order of the samples, shuffled by the split, in which every prefix is stratified.

    Within each class the r-th of n_c shuffled samples gets the place (r + ½)/n_c: so any prefix
    has the classes in proportion, and the first 50 of the digits are five of each.
    """
    y = np.asarray(labels)
    draw = np.random.RandomState(split)  # its stream is frozen for good, unlike default_rng's
    place = np.empty(len(y))
    for label in np.unique(y):
        members = draw.permutation(np.flatnonzero(y == label))
        place[members] = (np.arange(len(members)) + 0.5) / len(members)
    return np.argsort(place, kind="stable")
