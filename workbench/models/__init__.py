"""One file = one architecture family; its named sizes are the entries of MODELS."""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

import torch

from workbench.base import BadInput, Registry, only_class
from workbench.models._adopted import Adopted, named
from workbench.models._network import Network
from workbench.models._reused import reused
from workbench.models._work import operations


@dataclass(frozen=True)
class Size:
    """A family at a named size: call it to build a network, or a stack of them."""

    name: str
    family: type[Network]
    options: Mapping[str, Any]

    def __call__(
        self, shape: Sequence[int], classes: int, seeds: int | Sequence[int] = 0
    ) -> Network:
        """A network for samples of `shape` (C, H, W); a list of seeds builds a stack (n,)."""
        made = self.empty(shape, classes, () if isinstance(seeds, int) else (len(seeds),))
        made.initialise([seeds] if isinstance(seeds, int) else list(seeds))
        return made

    def empty(self, shape: Sequence[int], classes: int, lead: tuple[int, ...] = ()) -> Network:
        """The same before its weights are drawn, which takes most of the time."""
        self.check(shape)
        return self.family(tuple(shape), classes, lead, **self.options)

    def check(self, shape: Sequence[int]) -> None:
        """`BadInput` with the remedy unless it can take samples of `shape`."""
        if why := self.family.misfit(tuple(shape), self.options):
            raise BadInput(f"{self.name}: {why}")

    @property
    def teaching(self) -> Mapping[str, Any]:
        """The recipe of a teacher of this family, on a thousand small pictures."""
        return self.family.teaching(self.options)

    @property
    def stackable(self) -> bool:
        """Whether students of it train in one pass."""
        return self.family.STACKABLE

    @property
    def convolves(self) -> bool:
        """Whether nearly all of its work is convolutions."""
        return self.family.CONVOLVES

    @property
    def maps(self) -> bool:
        """Whether its features are maps over a grid."""
        return self.family.MAPS


def _sizes(module: ModuleType) -> dict[str, Size]:
    family = only_class(module, Network)
    return {name: Size(name, family, options) for name, options in family.SIZES.items()}


class Models(Registry[Size]):
    """The families found by walking, and adopted networks by the form of their name."""

    def __getitem__(self, name: str) -> Size:
        if isinstance(name, str) and (found := named(name)):
            whole, options = found
            return Size(whole, Adopted, options)
        return super().__getitem__(name)

    def __contains__(self, name: object) -> bool:
        return super().__contains__(name) or (isinstance(name, str) and bool(named(name)))


MODELS: Registry[Size] = Models("model", __name__, _sizes)


class Layer(NamedTuple):
    """A feature (B, P, D) that a model has: its grid (H, W) or None, positions P, and width D."""

    grid: tuple[int, int] | None
    positions: int
    width: int


@functools.cache
@torch.no_grad()
def layers(name: str, shape: tuple[int, ...]) -> Mapping[str, Layer]:
    """The features of a model for samples of `shape`, by name, from the first to the last.

    Asked of a network without weights and one empty sample: a few milliseconds, the first time.
    (On the meta device it would be two seconds, for what torch imports then.)
    """
    network = MODELS[name].empty(shape, 2).eval()
    said = network(torch.zeros(1, *shape), features=True)
    return {
        key: Layer(said.grids.get(key), seen.shape[-2], seen.shape[-1])
        for key, seen in said.features.items()
    }


#: what the models cost for samples of the data sets; `python -m workbench.assets --only tables`
COSTS = Path(__file__).parent.parent / "assets" / "costs.json"


@functools.lru_cache(maxsize=1000)
def cost(name: str, shape: tuple[int, ...], classes: int) -> tuple[int, int]:
    """A model's number of weights, and of operations for one sample.

    Known beforehand for the data sets: to count them for all models takes seconds.
    """
    return _costs().get((name, shape, classes)) or counted(name, shape, classes)


def counted(name: str, shape: tuple[int, ...], classes: int) -> tuple[int, int]:
    """`cost`, from the network itself."""
    network = MODELS[name].empty(shape, classes).eval()
    weights = sum(p.numel() for p in network.parameters())
    return weights, operations(network, torch.zeros(1, *shape))


@functools.cache
def _costs() -> dict[tuple[str, tuple[int, ...], int], tuple[int, int]]:
    try:
        rows = json.loads(COSTS.read_text(encoding="utf-8"))
        return {(name, tuple(shape), k): (w, n) for name, shape, k, w, n in rows}
    except (OSError, ValueError):  # it saves time, no more
        return {}


__all__ = ["COSTS", "MODELS", "Layer", "Network", "Size", "cost", "counted", "layers", "reused"]
