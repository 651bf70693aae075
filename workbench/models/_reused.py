"""A student that answers with its teacher's classifier."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Self

import torch
from torch import Tensor, nn
from torch.nn.functional import adaptive_avg_pool2d

from workbench.base import Outputs
from workbench.models._network import Conv, Dense, Network, Norm, uniform


class Reused(Network):
    """A body, a projector to the width of another network's last feature, and that one's head.

    The head is frozen. The projector is 1 × 1 to half the width, 3 × 3, 1 × 1, each with a norm
    and, but for the last where the other's features may be negative, ReLU. It stays: the student
    costs body, projector and head.

    Shapes: as the body's, with one more feature, the last: "projected" (*lead, B, P, D).
    """

    def __init__(self, body: Network, grid: tuple[int, int], width: int, positive: bool) -> None:
        super().__init__(body.shape, body.classes, body.lead)
        self.options = {"grid": grid, "width": width, "positive": positive}
        self.body, self.grid, lead, half = body, grid, body.lead, max(1, width // 2)
        with torch.no_grad():
            x = torch.zeros(2, *body.shape).to(next(body.parameters()))
            probe = body.eval()(x, features=True)
        body.train()
        self.name = list(probe.features)[-1]
        own = probe.features[self.name]
        side = probe.grids.get(self.name, (1, own.shape[-2]))
        self.side, self.at = side, (min(side[0], grid[0]), min(side[1], grid[1]))
        middle = 3 if self.at != (1, 1) else 1  # there the other eight weights see zeros alone
        sizes = ((own.shape[-1], half, 1), (half, half, middle), (half, width, 1))
        self.projector = nn.ModuleList(
            Conv(lead, a, b, kernel=kernel, bias=False) for a, b, kernel in sizes
        )
        self.norms = nn.ModuleList(Norm(lead, b) for _, b, _ in sizes)
        self.head = Dense(lead, width, body.classes).requires_grad_(False)

    def forward(self, x: Tensor, features: bool = False) -> Outputs:
        """The head's logits of the projected feature, averaged over its positions."""
        said = self.body(x, features=True)
        f = said.features[self.name]
        maps = f.transpose(-1, -2).movedim(-3, 0).flatten(1, -2).unflatten(-1, self.side)
        maps = adaptive_avg_pool2d(maps, self.at) if self.at != self.side else maps
        for i, (conv, norm) in enumerate(zip(self.projector, self.norms, strict=True)):
            maps = norm(conv(maps))
            maps = maps.relu() if i < 2 or self.options["positive"] else maps
        apart = maps.flatten(2).unflatten(1, (*self.lead, -1)).movedim(0, -3).transpose(-1, -2)
        seen = {**said.features, "projected": apart} if features else {}
        grids = {**said.grids, "projected": self.at} if features else {}
        return Outputs(self.classify(apart.mean(-2)), seen, grids)

    def classify(self, embedding: Tensor) -> Tensor:
        """The other network's head: embedding (*lead, B, D) to logits (*lead, B, K)."""
        return self.head.rows(embedding)

    @torch.no_grad()
    def draw(self, seeds: Sequence[int]) -> None:
        """Draw the projector alone, for each student from a generator of its seed."""
        for i, seed in enumerate(seeds):
            generator = torch.Generator().manual_seed(seed)
            for conv in self.projector:
                assert isinstance(conv, Conv)
                one = conv.weight[i] if self.lead else conv.weight
                uniform(conv, "weight", one, generator)

    def student(self, i: int) -> Self:
        """Student i of the stack as an ordinary network of its own, with copied weights."""
        state: dict[str, Any] = self.state_dict()
        if self.lead:
            state = {name: value[i] if value.ndim else value for name, value in state.items()}
        single = type(self)(self.body.student(i), **self.options)
        single.load_state_dict({name: value.clone() for name, value in state.items()})
        return single.to(next(self.parameters())).train(self.training)


def reused(body: Network, other: Network, seeds: Sequence[int]) -> Reused:
    """The body with the other network's classifier; the projector drawn from the seeds."""
    like = next(other.parameters())
    with torch.no_grad():
        said = other.eval()(torch.rand(4, *other.shape).to(like), features=True)
    name = list(said.features)[-1]
    last, grid = said.features[name], said.grids.get(name)
    made = Reused(body, grid or (1, last.shape[-2]), last.shape[-1], bool((last >= 0).all()))
    made.draw(seeds)
    size = last.shape[-1]
    with torch.no_grad():  # a linear layer is what it does to nothing and to each unit vector
        bias = other.classify(torch.zeros(1, size).to(like))[0]
        made.head.bias.copy_(bias)
        made.head.weight.copy_((other.classify(torch.eye(size).to(like)) - bias).T)
    return made
