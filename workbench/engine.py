"""The engine: `for event in train(state)`. One generator; pause, step and stop are the caller's.

A state holds stacks: students of one shape that train in one pass, whether they differ in seed,
learning rate, knobs, method or transfer set. No context is held across a `yield`, because a
generator may be advanced from several threads, and a gradient mode left open would stay there.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any, Protocol, cast

import torch
from torch import Tensor, nn

from workbench import half
from workbench.adamw import StackedAdamW
from workbench.base import PEER, BadInput, Batch, Build, Copies, Method, Outputs, Terms, stack
from workbench.byhand import ByHand, Slope
from workbench.data import Data, as_numbers
from workbench.events import Event, Row, finite
from workbench.functional import mixture, right, soft_log_probs
from workbench.models import MODELS, Network, cost, reused
from workbench.models.mlp import MLP
from workbench.recipe import Recipe

#: Parameters times batch size below which a second thread, or an accelerator, only costs time.
ONE_THREAD, ACCELERATOR = 3e7, 5e8
#: On the way a run looks at the first so many of validation and test, at its end at all of them.
LOOK = 2000
#: A network is asked about so many samples at once, unless it says how many (`Network.AT_ONCE`).
ROWS = Network.AT_ONCE


@dataclass(frozen=True)
class Teacher:
    """A trained network and what it says about the rows that are shown: computed once, kept.

    `said` may be about the first rows of the training part alone, as far as the transfer sets go.
    """

    network: nn.Module
    said: Outputs


@torch.no_grad()
def listen(
    network: nn.Module,
    x: Tensor,
    features: bool = False,
    rows: int = 0,
    dtype: torch.dtype = torch.float32,
) -> Outputs:
    """What a network in eval mode says about x (B, …), without gradient, in parts of `rows`.

    Pixels that are kept as uint8 become numbers of `dtype` part by part.
    """
    training = network.training
    network.eval()
    rows = rows or int(getattr(network, "AT_ONCE", ROWS))
    pixels = x.dtype == torch.uint8
    try:
        parts = [network(as_numbers(part, dtype) if pixels else part, features)
                 for part in x.split(rows)]  # fmt: skip
    finally:
        network.train(training)
    if len(parts) == 1:
        return parts[0]
    logits = torch.cat([p.logits for p in parts], -2)
    seen = {k: torch.cat([p.features[k] for p in parts], -3) for k in parts[0].features}
    lead = logits.ndim - 2  # samples follow it, but for the members (M, B, K) of an ensemble
    extra = {k: torch.cat([p.extra[k] for p in parts], -2 if k == "members" else lead)
             for k in parts[0].extra}  # fmt: skip
    return Outputs(logits, seen, parts[0].grids, extra)


class Optimiser(Protocol):
    """What the engine asks of an optimiser; `factor` is the schedule's share of the rate."""

    def zero_grad(self) -> None: ...
    def step(self, factor: float = 1.0) -> None: ...
    def freeze(self, alive: Tensor) -> None: ...
    def memory(self) -> dict[str, Tensor]: ...
    def remember(self, memory: Mapping[str, Tensor]) -> None: ...


class TorchAdamW:
    """torch's AdamW behind the same four verbs: for networks that are not stacks of ours."""

    def __init__(self, groups: Sequence[Mapping[str, Any]]) -> None:
        self.inner = torch.optim.AdamW([dict(group) for group in groups])
        self.rates = [group["lr"] for group in self.inner.param_groups]
        self.alive = [True] * len(self.rates)

    def zero_grad(self) -> None:
        """Forget the gradient."""
        self.inner.zero_grad()

    def step(self, factor: float = 1.0) -> None:
        """One step at `factor` times the learning rates."""
        for group, rate, lives in zip(
            self.inner.param_groups, self.rates, self.alive, strict=True
        ):
            group["lr"] = rate * factor
            for p in () if lives else group["params"]:
                p.grad = None
        self.inner.step()

    def freeze(self, alive: Tensor) -> None:
        """Groups whose student is not alive lose their gradients until the next call."""
        self.alive = alive.tolist()

    def memory(self) -> dict[str, Tensor]:
        """The moments by parameter."""
        state = self.inner.state_dict()["state"]
        return {f"{i}.{k}": v for i, entry in state.items() for k, v in entry.items()}

    def remember(self, memory: Mapping[str, Tensor]) -> None:
        """The inverse of `memory`."""
        state: dict[int, dict[str, Tensor]] = {}
        for name, value in memory.items():
            i, key = name.split(".", 1)
            state.setdefault(int(i), {})[key] = value
        self.inner.load_state_dict(self.inner.state_dict() | {"state": state})


# ---------------------------------------------------------------------------- what is shown


class Feed(Protocol):
    """Where batches come from; a pure function of the step, so that a resumed run is the same."""

    def batch(self, step: int) -> Batch: ...


class Transfer:
    """Batches from transfer sets in memory, drawn from generators of their own.

    Students with the same transfer set share the batch (B, …); otherwise each has its own row
    of (n, B, …). The order depends on split and epoch only: seeds change the students alone.
    Batches are drawn for a stretch of steps at once, so that what follows from them alone (a
    softened teacher, shares of labels) is worked out once a stretch. Where the data is augmented,
    every step changes its samples anew, by a draw of its own: all students see the same change.
    """

    #: At most so many steps, and numbers in their x, are drawn at once.
    STEPS, ROOM = 64, 4_000_000

    def __init__(
        self,
        x: Tensor,
        views: Sequence[Tensor],
        split: int,
        batch_size: int,
        steps: int,
        data: Data | None = None,
        dtype: torch.dtype = torch.float32,
    ) -> None:
        self.x, self.views, self.split, self.last = x, views, split, steps
        self.augment = data.augmented if data and data.anew else None
        self.versions, self.each = (data.views, data.each) if data and data.views else (1, 0)
        self.dtype = x.dtype if x.is_floating_point() else dtype
        smallest = min(len(view) for view in views)
        self.size = min(batch_size or smallest, smallest)
        if any(len(v) != smallest for v in views) and self.size == smallest:
            raise BadInput("one stack: whole transfer sets of different sizes do not stack")
        self.whole = all(len(view) == self.size for view in views)
        self.still = (
            self.whole and self.augment is None and self.versions == 1
        )  # every step is the same
        self.epochs = [-1] * len(views)
        self.orders = list(views)
        each = len(views) * self.size * x[0].numel()
        self.steps = 1 if self.still else max(1, min(self.STEPS, self.ROOM // each))
        self.first = -1
        self.drawn = torch.empty(0)  # the rows of a stretch: (steps, B) or (steps, n, B)
        self.batches: list[Batch] = []
        self.at = 0  # where in the stretch the last batch lies

    def batch(self, step: int) -> Batch:
        """The batch of a step; labels are filled in by the stack's parts."""
        first = 0 if self.still else step - step % self.steps
        if first != self.first:
            self._draw(first)
        self.at = 0 if self.still else step - first
        return self.batches[self.at]

    def _draw(self, first: int) -> None:
        self.batches = []
        count = max(1, min(self.steps, self.last - first))
        drawn = [self._rows(first + i) for i in range(count)]
        self.drawn, self.first = torch.stack([rows for rows, _ in drawn]), first
        # index_select is several times faster than advanced indexing, on a flat index only
        x = self.x.index_select(0, self.drawn.flatten()).unflatten(0, self.drawn.shape)
        shown: Sequence[Tensor] = x.unbind()
        if self.augment is not None:
            shown = [self.augment(one, first + i) for i, one in enumerate(shown)]
        self.batches = [
            Batch(as_numbers(one, self.dtype), rows, rows, epoch=epoch)
            for one, (rows, epoch) in zip(shown, drawn, strict=True)
        ]

    def _rows(self, step: int) -> tuple[Tensor, int]:
        """The rows that a step shows, (B,) or (n, B), and the epoch."""
        pieces, epoch = [], 0
        for i, view in enumerate(self.views):
            epoch, at = divmod(step, len(view) // self.size)
            if epoch != self.epochs[i] and not self.whole:
                generator = torch.Generator().manual_seed(self.split * 1_000_003 + epoch)
                order = torch.randperm(len(view), generator=generator).to(view.device)
                self.orders[i], self.epochs[i] = view[order], epoch
            piece = self.orders[i][at * self.size : (at + 1) * self.size]
            pieces.append(piece + epoch % self.versions * self.each)
        return (pieces[0] if len(pieces) == 1 else torch.stack(pieces)), epoch


@dataclass
class Part:
    """The students of a stack that one call of `loss` serves: same method, same teachers."""

    where: slice
    method: Method
    y: Tensor | None  # by row that is shown: (P,), or (n, P) if transfer sets differ
    said: Outputs | None = None  # cached, by row
    live: nn.Module | None = None  # or asked at every step
    adapter: nn.Module | None = None
    optimiser: Optimiser | None = None
    features: bool = False
    place: Tensor | None = None  # of a row among those shown, like y: what a memory goes by
    terms: Mapping[str, Tensor] = field(default_factory=dict)
    slopes: list[Slope] | None = None  # by step, like `_shown`, if the gradient is by hand
    _drawn: Tensor | None = None  # the stretch of steps that `_shown` is about
    _shown: list[tuple[Tensor, Outputs | None, tuple[Tensor, ...]]] = field(default_factory=list)
    _targets: tuple[Tensor, ...] = ()  # of the stretch, where `_shown` leaves them out

    def show(
        self, feed: Feed, batch: Batch, stacked: bool, like: Tensor, progress: float = 0.0
    ) -> tuple[Batch, Outputs | None]:
        """The batch with this part's labels, and what its teacher says about it."""
        stage, _ = stage_at(self.method, progress)
        if self.y is None:  # no table of samples: batch by batch
            y, said = batch.y, None if self.live is None else self.ask(batch.x, stacked)
            if said is not None and type(self.method).transfer is not Method.transfer:
                y = self.method.transfer(said, y)
            return replace(batch, y=y, progress=progress, stage=stage), said
        assert isinstance(feed, Transfer) and batch.index is not None
        if feed.drawn is not self._drawn:
            self._look_up(feed.drawn, stacked, like)
        y, said, targets = self._shown[feed.at]
        if self._targets:
            targets = tuple(each[feed.at] for each in self._targets)
        own = batch.index.ndim > 1
        x, rows = (t[self.where] if own else t for t in (batch.x, batch.index))
        if self.live is not None:
            said = self.ask(x, stacked)
            if type(self.method).transfer is not Method.transfer:
                y = self.method.transfer(said, y)
        if self.place is not None:
            rows = self.place[rows] if self.place.ndim == 1 else self.place.gather(-1, rows)
        return Batch(x, y, rows, batch.mask, batch.epoch, progress, stage, targets), said

    def slope(self, feed: Transfer, like: Tensor) -> Slope:
        """What the gradient by hand needs of the batch's labels and teacher."""
        if feed.drawn is not self._drawn:
            self._look_up(feed.drawn, True, like)
        assert self.slopes is not None
        return self.slopes[feed.at]

    def fixed(self) -> bool:
        """Whether its targets say all of its loss."""
        declared = vars(type(self.method)).get("fixed", False)  # not by who only inherits it
        plain = self.adapter is None and self.live is None and len(self.method.plan()) == 1
        return bool(declared) and plain and not self.features

    def _look_up(self, drawn: Tensor, stacked: bool, like: Tensor) -> None:
        """What labels, teacher and method have for a stretch of steps (S, B) or (S, n, B)."""
        assert self.y is not None
        self._shown = []  # first: new memory costs more than what is put into it
        rows = drawn if drawn.ndim == 2 else drawn[:, self.where]
        if self.y.ndim == 1:
            y = self.y[rows]
        else:  # a row of labels for every student
            each = torch.arange(len(self.y), device=rows.device).unsqueeze(-1)
            y = self.y[each, rows if rows.ndim == 3 else rows.unsqueeze(1)]
        said: Sequence[Outputs | None] = [None] * len(drawn)
        targets: Sequence[tuple[Tensor, ...]] = [()] * len(drawn)
        heard = None
        if self.said is not None and self.live is None:
            heard = self.said.rows(rows).each(lambda value: value.to(like))
            if stacked and rows.ndim == 2:
                heard = heard.each(lambda value: value.unsqueeze(1))
        if self.live is None:
            lead = y.unsqueeze(1) if stacked and y.ndim == 2 else y
            found = self.method.targets(like, heard, Batch(like, lead))
            if self.slopes is None:
                targets = list(zip(*(each.unbind() for each in found), strict=True)) or targets
            else:  # few steps ask for the targets themselves
                self._targets, self.slopes = found, Slope.of(found).unbind()
            if heard is not None and (not found or type(self.method).setup is not Method.setup):
                said = heard.unbind()
        self._drawn, self._shown = drawn, list(zip(y.unbind(), said, targets, strict=True))

    def ask(self, x: Tensor, stacked: bool) -> Outputs:
        """What the live teacher says about x (B, …), or about each student's own (n, B, …)."""
        assert self.live is not None
        own = stacked and x.ndim > 1 + len(getattr(self.live, "shape", None) or x.shape[1:])
        said = listen(self.live, x.flatten(0, 1) if own else x, self.features, rows=10**9)
        if own:
            return said.rows(
                torch.arange(x.shape[0] * x.shape[1], device=x.device).view(x.shape[:2])
            )
        return said.each(lambda value: value.unsqueeze(0)) if stacked else said


# ------------------------------------------------------------------------------------ stacks


@dataclass
class Stack:
    """Students of one shape that train in one pass."""

    members: list[int]  # positions in the group
    network: nn.Module  # takes (x, features) and gives Outputs
    parts: list[Part]
    feed: Feed
    optimiser: Optimiser
    looks: Mapping[str, tuple[Tensor, Tensor]]  # part of the data -> x, y to evaluate on
    cosine: bool = False
    stacked: bool = True
    alive: Tensor | None = None
    seen: dict[str, Tensor] = field(default_factory=dict)  # part -> logits at the last event
    ones: dict[torch.Size, Tensor] = field(default_factory=dict)  # where each gradient begins
    hand: ByHand | None = None
    half: bool = False  # whether its convolutions learn in bfloat16

    def learn(self, step: int, steps: int, tell: bool = True) -> None:
        """One optimiser step for every student that is still alive; `tell`: the terms, too."""
        if self.alive is not None and not bool(self.alive.any()):
            return
        progress = step / steps
        batch = self.feed.batch(step)
        if self.hand is not None and self._by_hand(self.hand, batch, progress, tell):
            return
        features = any(part.features for part in self.parts)
        outputs = self._answer(batch.x, features)
        terms: list[Tensor] = []
        shown = []
        each = outputs.split([part.where.stop - part.where.start for part in self.parts])
        for part, heard in zip(self.parts, each, strict=True):
            mine, said = part.show(self.feed, batch, self.stacked, heard.logits, progress)
            part.terms = named = part.method.loss(heard, said, mine, part.adapter)
            terms += [named.whole] if isinstance(named, Terms) else named.values()
            shown.append((heard, said, mine))
        if self.alive is not None or not all(map(_finite, terms)):
            terms = [self._living()]
        self._step(terms, progress)
        if any(part.adapter is not None for part in self.parts):
            self._update(shown)

    def _answer(self, x: Tensor, features: bool) -> Outputs:
        """What the students say, as numbers of full precision."""
        if not self.half:
            return cast(Outputs, self.network(x, features))
        with torch.autocast("cpu", torch.bfloat16):
            said: Outputs = self.network(x, features)
        return said.each(lambda value: value.float())

    def _by_hand(self, hand: ByHand, batch: Batch, progress: float, tell: bool) -> bool:
        """The step without autograd; False, and nothing done, where a student diverges in it."""
        assert isinstance(self.feed, Transfer) and isinstance(self.optimiser, StackedAdamW)
        z = hand.logits(batch.x.flatten(batch.index.ndim if batch.index is not None else 1))
        heard = z.transpose(-1, -2)
        slopes = [(part.where, part.slope(self.feed, heard)) for part in self.parts]
        steepness = hand.back(z, slopes)
        # elsewhere than on a CPU to look is to wait, for longer than the step takes
        if (tell or z.device.type == "cpu") and not self._fine(steepness.sum(-1)):
            return False
        if tell and not self._fine(self._told(heard, batch, progress)):
            return False
        self.optimiser.step(self._factor(progress), hand.gradient)
        return True

    @torch.no_grad()
    def _told(self, logits: Tensor, batch: Batch, progress: float) -> Tensor:
        """Every student's loss at logits (n, B, K); its terms stay with the parts."""
        totals = []
        for part in self.parts:
            mine, said = part.show(self.feed, batch, self.stacked, logits, progress)
            part.terms = part.method.loss(Outputs(logits[part.where]), said, mine, None)
            totals.append(torch.stack(list(part.terms.values())).sum(0))
        return torch.cat(totals)

    def _fine(self, each: Tensor) -> bool:
        """Whether a number (n,) of every student who is alive is finite."""
        if self.alive is not None:
            each = torch.where(self.alive, each, torch.zeros_like(each))
        return math.isfinite(float(each.sum()))

    def _factor(self, progress: float) -> float:
        return (1 + math.cos(math.pi * progress)) / 2 if self.cosine else 1.0

    def _living(self) -> Tensor:
        """The loss of those whose loss is finite; the others are frozen for good."""
        sums = [sum(others, first) for first, *others in (p.terms.values() for p in self.parts)]
        each = torch.cat([loss.reshape(-1) for loss in sums])
        alive = torch.isfinite(each.detach())
        self.alive = alive if self.alive is None else alive & self.alive
        self._freeze(self.alive)
        return torch.where(self.alive, each, torch.zeros_like(each)).sum()

    def _freeze(self, alive: Tensor) -> None:
        self.optimiser.freeze(alive)
        for part in self.parts:
            if part.optimiser is not None:
                part.optimiser.freeze(alive[part.where])

    def _step(self, terms: Sequence[Tensor], progress: float) -> None:
        factor = self._factor(progress)
        special = [p for p in self.parts if p.optimiser is not None or len(p.method.plan()) > 1]
        self.optimiser.zero_grad()
        for part in special:
            if part.optimiser is not None:
                part.optimiser.zero_grad()
        learnt = [term for term in terms if term.requires_grad]
        if learnt:  # every student's every term counts once: the sum, without its bookkeeping
            torch.autograd.backward(learnt, [self._one(term) for term in learnt])
        if any(len(part.method.plan()) > 1 for part in special):
            self._hold([stage_at(part.method, progress)[1] for part in self.parts])
        self.optimiser.step(factor)
        for part in special:
            if part.optimiser is not None and stage_at(part.method, progress)[1] != "student":
                part.optimiser.step(factor)

    def _one(self, term: Tensor) -> Tensor:
        if term.shape not in self.ones:
            self.ones[term.shape] = torch.ones_like(term, requires_grad=False)
        return self.ones[term.shape]

    def _hold(self, learners: Sequence[str]) -> None:
        """Students whose method is in a stage that teaches the adapter alone keep still."""
        alive = torch.ones(len(self.members), dtype=torch.bool)
        for part, who in zip(self.parts, learners, strict=True):
            alive[part.where] = who != "adapter"
        self.optimiser.freeze(alive if self.alive is None else alive & self.alive.cpu())

    @torch.no_grad()
    def _update(self, shown: Sequence[tuple[Outputs, Outputs | None, Batch]]) -> None:
        for part, (heard, said, batch) in zip(self.parts, shown, strict=True):
            if part.adapter is not None:
                part.method.update(part.adapter, self.network, heard, said, batch)

    def look(self, most: int | None = None) -> dict[str, Row]:
        """The accuracy on the first `most` of each part of the data; the logits stay in `seen`."""
        found: dict[str, Row] = {}
        dtype = next(self.network.parameters()).dtype
        for name, (x, y) in self.looks.items():
            logits = listen(self.network, x[:most], dtype=dtype).logits
            self.seen[name] = logits
            rates = right(logits, y[:most]).to(torch.float64).mean(-1).reshape(-1)
            ends = torch.stack([logits.amin((-1, -2)), logits.amax((-1, -2))])
            good = torch.isfinite(ends).all(0).reshape(-1)
            if self.alive is not None:
                good &= self.alive
            pairs = zip(rates.tolist(), good.tolist(), strict=True)
            found[name] = tuple(rate if fine else None for rate, fine in pairs)
        return found

    def diverged(self) -> list[int]:
        """The positions in the group of students that were frozen."""
        if self.alive is None:
            return []
        return [m for m, lives in zip(self.members, self.alive.tolist(), strict=True) if not lives]

    def tensors(self) -> dict[str, Tensor]:
        """Everything that training changed, by name."""
        found = {f"network.{k}": v for k, v in self.network.state_dict().items()}
        found |= {f"optimiser.{k}": v for k, v in self.optimiser.memory().items()}
        for j, part in enumerate(self.parts):
            if part.adapter is not None:
                state = part.adapter.state_dict()
                found |= {f"adapter{j}.{k}": v for k, v in state.items()}
            if part.optimiser is not None:
                memory = part.optimiser.memory()
                found |= {f"memory{j}.{k}": v for k, v in memory.items()}
        if self.alive is not None:
            found["alive"] = self.alive
        return found

    @torch.no_grad()
    def restore(self, tensors: Mapping[str, Tensor]) -> None:
        """The inverse of `tensors`."""
        self.network.load_state_dict(under("network.", tensors))
        self.optimiser.remember(under("optimiser.", tensors))
        for j, part in enumerate(self.parts):
            if part.adapter is not None:
                part.adapter.load_state_dict(under(f"adapter{j}.", tensors))
            if part.optimiser is not None:
                part.optimiser.remember(under(f"memory{j}.", tensors))
        if "alive" in tensors:
            self.alive = tensors["alive"].to(torch.bool)
            self._freeze(self.alive)


def under(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors whose names begin with the prefix, without it."""
    return {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}


def _finite(term: Tensor) -> bool:
    numbers = term.flatten().tolist()  # where a sum and its reading would be three calls
    return math.isfinite(sum(numbers))


def stage_at(method: Method, progress: float) -> tuple[str, str]:
    """The stage's name and what learns in it, at a progress in [0, 1]."""
    reached = 0.0
    plan = method.plan()
    for name, share, learns in plan:
        reached += share
        if progress < reached:
            return name, learns
    return plan[-1][0], plan[-1][2]


# ------------------------------------------------------------------------------------- state


@dataclass
class State:
    """What a training holds. `step` steps are done; setting `halt` ends it before the next."""

    recipes: tuple[Recipe, ...]
    stacks: list[Stack]
    steps: int
    emits: tuple[int, ...]
    step: int = 0
    halt: bool = False
    threads: int | None = None  # None: leave them alone

    def tensors(self) -> dict[str, Tensor]:
        """Everything that training changed, by name, for a checkpoint."""
        return {f"{i}/{k}": v for i, s in enumerate(self.stacks) for k, v in s.tensors().items()}

    def restore(self, tensors: Mapping[str, Tensor], step: int) -> None:
        """Continue from a checkpoint taken after `step` steps."""
        for i, one in enumerate(self.stacks):
            one.restore(under(f"{i}/", tensors))
        self.step = step

    def network(self, i: int) -> nn.Module:
        """Student i of the group, on its own."""
        for one in self.stacks:
            if i in one.members:
                at = one.members.index(i)
                found: Any = one.network
                return found.student(at) if one.stacked else found
        raise IndexError(f"student {i} of {len(self.recipes)}")

    def logits(self, i: int, part: str) -> Tensor | None:
        """What student i said at the last event about a part of the data: (n, K)."""
        for one in self.stacks:
            if i in one.members and part in one.seen:
                seen = one.seen[part]
                return seen[one.members.index(i)] if one.stacked else seen
        return None


def train(state: State) -> Iterator[Event]:
    """Train the students of a state to its last step and report on the way.

    The state is complete at every `yield`: stop there and save it, and it resumes to the same
    numbers. A student whose loss becomes infinite is frozen and named in `diverged`; its
    neighbours go on.
    """
    if not isinstance(state, State):
        raise BadInput(
            f"train(state={repr(state)[:60]}): expected the State that runs.prepare(recipes) "
            "makes; Run(recipes) trains recipes"
        )
    if state.step == 0 and 0 in state.emits:
        yield _observe(state)
    while state.step < state.steps and not state.halt:
        _advance(state, next(emit for emit in state.emits if emit > state.step))
        if state.step in state.emits:
            yield _observe(state)


def _advance(state: State, until: int) -> None:
    """Train up to a step, or until halted; every context is closed again on return."""
    with _threads(state.threads), torch.enable_grad():
        while state.step < until and not state.halt:
            for one in state.stacks:
                one.learn(state.step, state.steps, tell=state.step + 1 == until)
            state.step += 1


def _observe(state: State) -> Event:
    n = len(state.recipes)
    terms: dict[str, list[float | None]] = {}
    accuracy: dict[str, list[float | None]] = {}
    stage = ""
    with _threads(state.threads):
        for one in state.stacks:
            for part in one.parts:
                places = one.members[part.where]
                for name, value in part.terms.items():
                    row = terms.setdefault(name, [None] * n)
                    for place, number in zip(
                        places, finite(value.reshape(-1).tolist()), strict=True
                    ):
                        row[place] = number
                stage = stage or stage_at(part.method, (state.step - 1) / max(1, state.steps))[0]
            for name, rates in one.look(LOOK if state.step < state.steps else None).items():
                row = accuracy.setdefault(name, [None] * n)
                for place, rate in zip(one.members, rates, strict=True):
                    row[place] = rate
    diverged = sorted(place for one in state.stacks for place in one.diverged())
    return Event(
        state.step,
        state.steps,
        {name: tuple(row) for name, row in terms.items()},
        {name: tuple(row) for name, row in accuracy.items()},
        tuple(diverged),
        stage,
    )


@contextmanager
def _threads(n: int | None) -> Iterator[None]:
    """n torch threads inside: for tiny networks two are slower, and collapse when busy."""
    before = torch.get_num_threads()
    if n is None or n == before:
        yield
        return
    torch.set_num_threads(n)
    try:
        yield
    finally:
        torch.set_num_threads(before)


# ------------------------------------------------------------------------- building a state


def pick_device(wanted: str = "auto", size: float = 0.0) -> torch.device:
    """The device by name, or the best there is for a size (parameters times batch)."""
    cuda, mps = torch.cuda.is_available(), torch.backends.mps.is_available()
    if wanted == "auto":
        best = "cuda" if cuda else "mps" if mps else "cpu"
        return torch.device(best if size >= ACCELERATOR else "cpu")
    there = {"cpu": True, "cuda": cuda, "mps": mps}
    if wanted not in there:
        raise BadInput(f"device {wanted!r} is not known: expected auto, cpu, cuda or mps")
    if not there[wanted]:
        raise BadInput(f"device {wanted!r} is not on this machine: expected auto or cpu")
    return torch.device(wanted)


def emits(steps: int, events: int) -> tuple[int, ...]:
    """The steps after which a run reports: 0 and then evenly; only the last if events is 1."""
    later = {math.ceil(k * steps / events) for k in range(1, events + 1)}
    return tuple(sorted(later if events == 1 else later | {0}))


def begin(
    recipes: Sequence[Recipe],
    teachers: Mapping[tuple[Recipe, str, int], Teacher] | None = None,
    starts: Mapping[Recipe, nn.Module] | None = None,
    device: str = "auto",
    dtype: torch.dtype = torch.float32,
) -> State:
    """The state before the first step of a group of recipes.

    `teachers` is keyed by the teacher's recipe and the student's data set and split: what it
    said about *that* training part. The group may mix shapes and methods: what stacks is
    stacked, the rest trains side by side.
    """
    if not recipes:
        raise BadInput("a run needs at least one recipe, got none")
    first = recipes[0]
    for name in ("steps", "events"):
        if any(getattr(r, name) != getattr(first, name) for r in recipes):
            raise BadInput(f"one run: all its recipes need the same {name}")
    groups: dict[Any, list[int]] = {}
    for i, recipe in enumerate(recipes):
        groups.setdefault(_shape(recipe, i), []).append(i)
    built = [
        _stack([recipes[i] for i in sorted(at, key=lambda i: _order(recipes[i]))],
               sorted(at, key=lambda i: _order(recipes[i])),
               teachers or {}, starts or {}, device, dtype)
        for at in groups.values()
    ]  # fmt: skip
    sizes = [_size(one.network) * getattr(one.feed, "size", 1) for one in built]
    return State(
        tuple(recipes),
        built,
        first.steps,
        emits(first.steps, first.events),
        threads=1 if max(sizes) < ONE_THREAD else None,
    )


def _size(network: nn.Module) -> float:
    return float(sum(p.numel() for p in network.parameters()))


def _shape(recipe: Recipe, i: int) -> Any:
    """What students must share to train in one pass."""
    rows = len(recipe.data.transfer()[0])
    batch = min(recipe.batch_size or rows, rows)
    alone: Any = i if not _stackable(recipe) else -1
    if {"network", "classifier"} & recipe.method.needs:  # what is made of it is all of it
        alone = (_order(recipe), alone)
    varied = len(recipe.method.plan()) > 1 and recipe.method
    whole = batch == rows
    return (recipe.student, recipe.data.rows, recipe.data.split, recipe.data.augment, batch,
            recipe.schedule, alone, varied, whole)  # fmt: skip


def _stackable(recipe: Recipe) -> bool:
    return recipe.method.stackable and MODELS[recipe.student].stackable


def _order(recipe: Recipe) -> tuple[str, ...]:
    """Students that one call of `loss` can serve lie side by side; otherwise order is kept."""
    choices = {k: v for k, v in recipe.method.values().items() if isinstance(v, (str, tuple))}
    return (
        recipe.method.key(),
        repr(sorted(choices.items())),
        repr([t.name for t in recipe.teachers]),
        # a memory has a place for each image that is shown
        "" if type(recipe.method).setup is Method.setup else str(len(recipe.data.transfer()[0])),
    )


def _stack(
    recipes: Sequence[Recipe],
    members: list[int],
    teachers: Mapping[tuple[Recipe, str, int], Teacher],
    starts: Mapping[Recipe, nn.Module],
    device: str,
    dtype: torch.dtype,
) -> Stack:
    first = recipes[0]
    seeds = [recipe.seed for recipe in recipes]
    stacked = _stackable(first)
    made = MODELS[first.student](
        first.data.shape, first.data.classes, seeds if stacked else seeds[0]
    )
    for i, recipe in enumerate(recipes):
        if recipe.start is not None:
            _load(made, starts[recipe.start], i if stacked else None)
    key = (first.data.rows, first.data.split)
    taught = teachers[first.teachers[0], *key].network if first.teachers else None
    made = dressed(first, made, taught, seeds)
    shown = [recipe.data.transfer() for recipe in recipes]
    batch = min(first.batch_size or len(shown[0][0]), len(shown[0][0]))
    where = pick_device(device, _size(made) * batch)
    network = made.to(where, dtype).train()
    parts = first.data.parts()
    x = _kept(first.data.seen(), where, dtype)
    same = all(torch.equal(index, shown[0][0]) for index, _ in shown)
    views = [index.to(where) for index, _ in (shown[:1] if same else shown)]
    feed = Transfer(x, views, first.data.split, first.batch_size, first.steps, first.data, dtype)
    rates = [recipe.learning_rate for recipe in recipes]
    decays = [recipe.weight_decay for recipe in recipes]
    learnt = [p for p in network.parameters() if p.requires_grad]
    optimiser = _optimiser(learnt, stacked, rates, decays)
    looks = {
        k: (_kept(parts[k].kept, where, dtype), parts[k].y.to(where))
        for k in ("validation", "test")
    }
    cosine = first.schedule == "cosine"
    one = Stack(members, network, [], feed, optimiser, looks, cosine, stacked)
    one.parts = [
        _part(one, slice(a, b), recipes[a:b], shown[a:b], teachers, where, dtype)
        for a, b in _runs([_order(recipe) for recipe in recipes])
    ]
    if where.type == "cpu" and dtype == torch.float32 and MODELS[first.student].convolves:
        _, work = cost(first.student, first.data.shape, first.data.classes)
        one.half = 3 * work * batch * len(recipes) >= half.WORK and half.pays()
    if type(network) is MLP and stacked and all(part.fixed() for part in one.parts):
        one.hand = ByHand(network)
        for part in one.parts:
            part.slopes = []
    return one


def dressed(
    recipe: Recipe, student: nn.Module, teacher: nn.Module | None, seeds: Sequence[int]
) -> Any:
    """What a recipe trains, and keeps: its student, or that with its teacher's classifier."""
    if "classifier" not in recipe.method.needs:
        return student
    return reused(cast(Any, student), cast(Any, teacher), seeds)


def built(recipe: Recipe) -> Any:
    """The network of a recipe as it is kept, its weights not loaded yet."""
    shape, classes = recipe.data.shape, recipe.data.classes
    named = [recipe.student, *(taught.student for taught in recipe.teachers[:1])]
    student, *teacher = (MODELS[name].empty(shape, classes) for name in named)
    return dressed(recipe, student, teacher[0] if teacher else None, [recipe.seed])


def _optimiser(
    learnt: Sequence[nn.Parameter],
    stacked: bool,
    rates: Sequence[float],
    decays: Sequence[float],
) -> Optimiser:
    """AdamW over a stack's leading axis, or over one network, which has no such axis."""
    if stacked:
        return StackedAdamW(learnt, len(rates), rates, decays)
    return TorchAdamW([{"params": list(learnt), "lr": rates[0], "weight_decay": decays[0]}])


def _held(value: Tensor, where: torch.device, dtype: torch.dtype) -> Tensor:
    """What a teacher said as a training keeps it: half precision stays so until it is shown."""
    return value if value.dtype == torch.float16 else value.to(where, dtype)


def _kept(x: Tensor, where: torch.device, dtype: torch.dtype) -> Tensor:
    """Samples as a training keeps them: pixels in uint8 stay so, a quarter of the memory."""
    return x.to(where) if x.dtype == torch.uint8 else x.to(where, dtype)


def _load(network: nn.Module, start: nn.Module, i: int | None) -> None:
    """Copy a trained network's weights into student i of the stack."""
    with torch.no_grad():
        for name, value in network.state_dict().items():
            (value if i is None else value[i]).copy_(start.state_dict()[name])


def _runs(keys: Sequence[Any]) -> list[tuple[int, int]]:
    """The bounds of stretches of equal keys."""
    cuts = [0, *(i for i in range(1, len(keys)) if keys[i] != keys[i - 1]), len(keys)]
    return list(zip(cuts, cuts[1:], strict=False))


def _part(
    one: Stack,
    where: slice,
    recipes: Sequence[Recipe],
    shown: Sequence[tuple[Tensor, Tensor]],
    teachers: Mapping[tuple[Recipe, str, int], Teacher],
    device: torch.device,
    dtype: torch.dtype,
) -> Part:
    first = recipes[0]
    like = torch.zeros((), device=device, dtype=dtype)
    method = stack([recipe.method for recipe in recipes], like)
    y = first.data.by_row(_by_row(shown)).to(device)
    part = Part(where, method, y, features="features" in method.needs)
    if type(method).setup is not Method.setup:
        places = [(index, torch.arange(len(index))) for index, _ in shown]
        part.place = first.data.by_row(_by_row(places)).to(device)
    if first.teachers:
        found = [teachers[t, first.data.rows, first.data.split] for t in first.teachers]
        rows = slice(y.shape[-1])  # of what is larger than memory not a copy, but a view
        said = joined([teacher.said.students(rows) for teacher in found])
        unsaid = part.features and not said.features  # too many numbers to be kept
        if "live teacher" in method.needs or first.data.anew or unsaid:
            networks = [teacher.network.to(device, dtype) for teacher in found]
            part.live = networks[0] if len(networks) == 1 else Ensemble(networks)
        else:
            part.said = said.each(lambda v: _held(v, device, dtype))
            part.y = method.transfer(part.said, y)
    _adapt(one, part, recipes, device, dtype)
    return part


def _by_row(values: Sequence[tuple[Tensor, Tensor]]) -> Tensor:
    """Each student's index (m,) and values (m,) as values by row: (P,) or (n, P); −1 elsewhere."""
    found = torch.full((len(values), 1 + max(int(index.max()) for index, _ in values)), -1)
    for row, (index, value) in zip(found, values, strict=True):
        row[index] = value
    return found[0] if bool((found == found[0]).all()) else found


def _adapt(
    one: Stack, part: Part, recipes: Sequence[Recipe], device: torch.device, dtype: torch.dtype
) -> None:
    """Let the method set up what it learns or remembers besides the students."""
    if type(part.method).setup is Method.setup:
        return
    batch = one.feed.batch(0)
    outputs = listen(one.network, batch.x, features=True)
    mine, said = part.show(one.feed, batch, one.stacked, outputs.logits)
    seeds = [recipe.seed for recipe in recipes]
    part.adapter = part.method.setup(
        outputs.students(part.where) if one.stacked else outputs,
        said,
        mine,
        len(recipes[0].data.transfer()[0]),
        Build(seeds, one.stacked, lambda fresh: _like(one, seeds, fresh)),
    )
    if part.adapter is None:
        return
    part.adapter.to(device, dtype)
    part.optimiser = _adapter_optimiser(part.adapter, recipes, one.stacked)


def _like(one: Stack, seeds: Sequence[int], fresh: bool) -> nn.Module:
    """A copy of a stack's network, or the same architecture from other seeds."""
    made: Any = copy.deepcopy(one.network)
    if fresh:
        made.initialise([seed + PEER for seed in seeds])
    return cast(nn.Module, made)


def _adapter_optimiser(
    adapter: nn.Module, recipes: Sequence[Recipe], stacked: bool
) -> Optimiser | None:
    """The student's learning rate and decay for what each student's adapter learns."""
    rates = [recipe.learning_rate for recipe in recipes]
    decays = [recipe.weight_decay for recipe in recipes]
    copies = [module for module in adapter.modules() if isinstance(module, Copies)]
    own = [p for p in adapter.parameters() if p.requires_grad]
    if own and not copies:  # a network of the students' shape
        return _optimiser(own, stacked, rates, decays)
    groups = []
    for i in range(len(recipes)):
        mine = [p for c in copies for p in c.each[i].parameters() if p.requires_grad]
        groups.append({"params": mine, "lr": rates[i], "weight_decay": decays[i]})
    return TorchAdamW(groups) if any(group["params"] for group in groups) else None


class Ensemble(nn.Module):
    """Several teachers as one: the mean of their probabilities."""

    def __init__(self, members: Sequence[nn.Module]) -> None:
        super().__init__()
        self.members = nn.ModuleList(members)
        self.shape = getattr(members[0], "shape", None)

    def forward(self, x: Tensor, features: bool = False) -> Outputs:
        """x (B, …) to the ensemble's logits (B, K), its members (M, B, K) in `extra`."""
        return joined([member(x) for member in self.members])


def joined(said: Sequence[Outputs]) -> Outputs:
    """One teacher's outputs, or an ensemble's: the mean probability, its members in `extra`."""
    if len(said) == 1:
        return said[0]
    members = torch.stack([one.logits for one in said])
    return Outputs(mixture(soft_log_probs(members)), extra={"members": members})
