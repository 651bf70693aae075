"""What a method sees inside two networks: the layers that it compares, and what of them.

It is there to be drawn. The pairs are found by letting the method's own loss read the features of
two untrained networks, so that the picture cannot say other layers than those that count.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor, nn

from workbench.base import Batch, Build, Method, Outputs
from workbench.engine import listen
from workbench.models import MODELS, layers
from workbench.recipe import Recipe

#: Samples of each class in a matrix of relations.
EACH = 3
#: Samples on which a loss is tried: enough for triplets, few enough for all of them.
ROWS = 12


class _Read(dict[str, Tensor]):
    """Features that remember in which order they were read."""

    def __init__(self, features: Outputs, who: int, log: list[tuple[int, str]]) -> None:
        super().__init__(features.features)
        self.who, self.log = who, log

    def __getitem__(self, name: str) -> Tensor:
        self.log.append((self.who, name))
        return super().__getitem__(name)


def compares(method: Method | type[Method]) -> bool:
    """Whether a method lets one choose layers to compare."""
    return any(knob.kind == "pairs" for knob in method.knobs().values())


def compared(recipe: Recipe) -> tuple[tuple[str, str], ...]:
    """The pairs (student's layer, teacher's) that the loss of a recipe reads, without repeats.

    None where it chooses no layers. Raises BadInput, the method's own, where they cannot be.
    """
    if not compares(recipe.method) or recipe.student not in MODELS or not recipe.teachers:
        return ()
    return _compared(recipe.method, _names(recipe), recipe.data.shape, recipe.data.classes)


@functools.lru_cache(maxsize=256)
def _compared(
    method: Method, names: tuple[str, str], shape: tuple[int, ...], classes: int
) -> tuple[tuple[str, str], ...]:
    x = torch.rand(ROWS, *shape, generator=torch.Generator().manual_seed(0))
    index = torch.arange(ROWS)
    y = index % classes
    mine, its = (listen(MODELS[name](shape, classes), x, features=True) for name in names)
    batch = Batch(x, y, index)
    build = Build([0], False, lambda fresh: MODELS[names[0]](shape, classes))
    adapter = method.setup(mine, its, batch, ROWS, build)
    log: list[tuple[int, str]] = []
    mine, its = (
        Outputs(one.logits, _Read(one, who, log), one.grids, one.extra)
        for who, one in enumerate((mine, its))
    )
    done = 0.0
    with torch.no_grad():
        for name, share, _ in method.plan():
            method.loss(mine, its, replace(batch, progress=done, stage=name), adapter)
            done += share
    order = list(layers(names[0], shape))
    found = {(a[1], b[1]) for a, b in itertools.pairwise(log) if (a[0], b[0]) == (0, 1)}
    return tuple(sorted(found, key=lambda pair: order.index(pair[0])))


def _names(recipe: Recipe) -> tuple[str, str]:
    return recipe.student, recipe.teachers[0].student


def related(y: Sequence[int]) -> list[int]:
    """The samples of a matrix of relations: the first few of each class, sorted by class."""
    return [i for k in sorted(set(y)) for i in [j for j, c in enumerate(y) if c == k][:EACH]]


def drawn(recipe: Recipe) -> tuple[tuple[str, str], ...]:
    """The pairs of which there is something to see: of a method that shows maps, those of maps."""
    pairs = compared(recipe)
    if recipe.method.shows != "maps":
        return pairs
    maps = [
        {key for key, layer in layers(name, recipe.data.shape).items() if layer.grid}
        for name in (_names(recipe) if pairs else ())
    ]
    return tuple(p for p in pairs if all(n in known for n, known in zip(p, maps, strict=True)))


def views(recipe: Recipe, network: nn.Module, x: Tensor, y: Tensor, who: int = 0) -> list[Tensor]:
    """What the method of a recipe compares of one network, for each pair that is `drawn`.

    Maps (n, P) of all samples x (n, …), or relations (m, m) of the `related` ones, labelled
    y (n,). `who` is 0 for the student, 1 for the teacher.
    """
    pairs = drawn(recipe)
    if not pairs:
        return []
    maps = recipe.method.shows == "maps"
    said = listen(network, x if maps else x[related(y.tolist())], features=True)
    with torch.no_grad():
        return [recipe.method.view(said.features[pair[who]]) for pair in pairs]


def sizes(recipe: Recipe, y: Tensor) -> list[tuple[int, int]]:
    """The shapes of a student's `views`."""
    if recipe.method.shows != "maps":
        count = len(related(y.tolist()))
        return [(count, count)] * len(drawn(recipe))
    known = layers(recipe.student, recipe.data.shape) if drawn(recipe) else {}
    return [(len(y), known[mine].positions) for mine, _ in drawn(recipe)]
