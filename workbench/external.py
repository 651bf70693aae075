"""`distill`: an engineer's own networks and DataLoader, through the same engine and methods."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

from workbench.base import PEER, BadInput, Batch, Build, Method, Outputs, Trouble, unknown
from workbench.engine import (
    ONE_THREAD,
    Ensemble,
    Part,
    Stack,
    State,
    TorchAdamW,
    emits,
    listen,
    pick_device,
    train,
)
from workbench.events import Event, Row
from workbench.methods import METHODS
from workbench.recipe import EXTERNAL, Recipe


def distill(
    teacher: nn.Module | Sequence[nn.Module] | None,
    student: nn.Module,
    loader: Iterable[Any],
    method: str | Method = "kd",
    *,
    epochs: int | None = None,
    steps: int | None = None,
    learning_rate: float = 1e-3,
    weight_decay: float = 0.01,
    schedule: str = "constant",
    layers: Sequence[tuple[str, str]] = (),
    validation: Iterable[Any] | None = None,
    events: int = 20,
    listener: Callable[[Event], None] | None = None,
    device: str | torch.device = "auto",
    seed: int = 0,
    **knobs: Any,
) -> nn.Module:
    """Train `student` in place on what `teacher` says about the loader's batches; return it.

    The teacher is asked at every step, in eval mode and without gradient, so that it sees the
    augmented batch that the student sees; it comes back unchanged. The student comes back in
    eval mode, an ordinary module.

    Shapes: the loader yields x (B, …) or (x, y) with y (B,) integers, −1 = unlabelled, or
    (x, y, index) with index (B,) which samples of the data these are, for methods that remember
    each sample; both networks give logits (B, K), as a tensor or as an object's `.logits`.
    `layers` are pairs (student's, teacher's) of module names, read through hooks; maps
    (B, C, H, W) become features (B, H·W, C). `knobs` are the method's: `temperature=4`. The
    training takes `epochs` (10) passes over the loader, or `steps` batches. Every `Event` goes
    to `listener`; with a `validation` loader it carries the student's accuracy. `seed` is that
    of what a method draws for itself (a projection between layers); student and loader have
    their own.

    Raises `BadInput` for a wrong name, value, shape or batch, or numbers in it that are not
    finite; `Trouble` when the loss becomes infinite.
    """
    _plausible(student, loader, validation, listener)
    fields: dict[str, Any] = {
        "learning_rate": learning_rate, "weight_decay": weight_decay, "schedule": schedule,
        "events": events, "seed": seed,
    }  # fmt: skip
    for name, value in fields.items():  # refused here, a caller sees what was written
        Recipe.knobs()[name].check("distill", value)
    made = _method(method, knobs, _named(layers))
    if layers and not {"features", "depth"} & made.needs:
        raise BadInput(f"distill(layers=…): {made.spec()} looks at no layer; leave layers out")
    total = _steps(loader, epochs, steps)
    marked = (Recipe(EXTERNAL),) if "teacher" in made.needs else ()
    recipe = Recipe(EXTERNAL, method=made, teachers=marked, steps=total, **fields)
    taught = _teachers(teacher, made)
    found = {module: module.training for one in taught for module in one.modules()}
    homes = [next(iter(one.parameters()), torch.empty(0)).device for one in (student, *taught)]
    lost: Event | None = None
    one = _stack(recipe, taught, student, loader, layers, validation, str(device))
    try:
        for event in train(_state(one, recipe)):
            lost = lost or (event if event.diverged else None)
            if listener is not None:
                listener(event)
        if lost is not None:
            raise _infinite(one, lost, learning_rate)
    except ValueError as error:
        _explain(one, error)
        raise
    finally:
        _close(one)
        for network, home in zip((student, *taught), homes, strict=True):
            network.to(home)
        for module, mode in found.items():  # module by module: some may be frozen on purpose
            module.training = mode
        student.eval()
    return student


def _infinite(one: Stack, event: Event, rate: float) -> Exception:
    """Why the loss became infinite: nothing was shown after the batch at which it did."""
    assert isinstance(one.feed, Loaded)
    x, when = one.feed.shown.to(one.feed.device), f"before step {event.step}"
    if not bool(torch.isfinite(x).all()):
        return BadInput(f"distill: a batch {when} has an x that is not finite; clean the data")
    live = one.parts[0].live
    if live is not None and not bool(torch.isfinite(listen(live, x).logits).all()):
        return BadInput(
            f"distill: the teacher's logits for a batch {when} are not finite; "
            "check its weights and how x is scaled"
        )
    if not one.feed.sane:
        return BadInput(
            "distill: the student's logits were not finite before the first step; "
            "check its weights and how x is scaled"
        )
    return Trouble(
        f"distill(learning_rate={rate:g}): the loss became infinite {when}; "
        "try a smaller learning rate"
    )


def _explain(one: Stack, error: ValueError) -> None:
    """`BadInput` with the remedy if it is BatchNorm's error about a batch of one sample."""
    assert isinstance(one.feed, Loaded)
    if len(one.feed.shown) == 1 and "per channel" in str(error):
        raise BadInput(
            "distill: a batch of 1 sample, of which the student's BatchNorm can take no variance; "
            "give the DataLoader drop_last=True"
        ) from error


def _plausible(student: object, loader: object, validation: object, listener: object) -> None:
    """`BadInput` for an argument that is not the kind of thing it should be."""
    if not isinstance(student, nn.Module):
        raise BadInput(f"distill(student={_kind(student)}): expected an nn.Module")
    if not any(p.requires_grad for p in student.parameters()):
        raise BadInput("distill: the student has no parameters to train, or all are frozen")
    for name, batches in (("loader", loader), ("validation", validation)):
        if batches is None and name == "validation":
            continue
        if isinstance(batches, type) or not (
            hasattr(batches, "__iter__") or hasattr(batches, "__getitem__")
        ):
            raise BadInput(
                f"distill({name}={_kind(batches)}): expected batches, such as a DataLoader"
            )
        if name == "validation" and isinstance(batches, Iterator):
            raise BadInput("distill(validation=…): can be read only once; expected a DataLoader")
    if listener is not None and not callable(listener):
        raise BadInput(f"distill(listener={_kind(listener)}): expected a function of an Event")


def _kind(value: object) -> str:
    """A short word for a value: a module's own takes many lines."""
    if isinstance(value, type):
        return f"the class {value.__name__}"
    short = isinstance(value, (int, float, str, bool, type(None)))
    return repr(value)[:60] if short else type(value).__name__


def _named(layers: object) -> Sequence[tuple[str, str]]:
    """The pairs of layer names, or `BadInput`."""
    if isinstance(layers, (list, tuple)) and all(
        isinstance(pair, (list, tuple)) and [type(name) for name in pair] == [str, str]
        for pair in layers
    ):
        return layers
    raise BadInput(f"distill(layers={layers!r}): expected pairs (student's, teacher's) of names")


def _steps(loader: Iterable[Any], epochs: int | None, steps: int | None) -> int:
    """How many batches are shown."""
    length = _length(loader)
    if length == 0:
        raise BadInput("distill: the loader is empty")
    if steps is not None:
        if epochs is not None:
            raise BadInput(f"distill(epochs={epochs}, steps={steps}): expected one of the two")
        made = replace(Recipe.knobs()["steps"], low=1, meaning="batches that are shown")
        return int(made.check("distill", steps))
    if length is None:
        raise BadInput("distill(steps=None): the loader has no length; say how many steps")
    passes = replace(
        Recipe.knobs()["steps"], low=1, name="epochs", meaning="passes over the loader"
    )
    return int(passes.check("distill", 10 if epochs is None else epochs)) * length


def _method(
    method: str | Method, knobs: dict[str, Any], layers: Sequence[tuple[str, str]]
) -> Method:
    if isinstance(method, Method):
        if knobs:
            raise BadInput(f"distill: {', '.join(knobs)} given beside a finished {method.spec()}")
        return method
    kind = METHODS[method]
    paired = [name for name, knob in kind.knobs().items() if knob.kind == "pairs"]
    if layers and paired and paired[0] not in knobs:
        knobs = {paired[0]: tuple(layers)} | knobs
    return kind(**knobs)


def _teachers(teacher: nn.Module | Sequence[nn.Module] | None, method: Method) -> list[nn.Module]:
    several = isinstance(teacher, (list, tuple))
    found: list[Any] = list(teacher) if several else [] if teacher is None else [teacher]  # type: ignore[arg-type]
    if "teacher" in method.needs and not found:
        raise BadInput(f"distill(teacher={teacher!r}): {method.spec()} needs a teacher")
    for one in found:
        if not isinstance(one, nn.Module):
            raise BadInput(f"distill(teacher={type(one).__name__}): expected an nn.Module")
    return found if "teacher" in method.needs else []


def _stack(
    recipe: Recipe,
    teachers: Sequence[nn.Module],
    student: nn.Module,
    loader: Iterable[Any],
    layers: Sequence[tuple[str, str]],
    validation: Iterable[Any] | None,
    device: str,
) -> Stack:
    """The student as a stack of one, its layers read through hooks."""
    if any(one is student for one in teachers):
        raise BadInput("distill: teacher and student are the same module; copy one of them")
    feed = Loaded(loader)
    size = sum(p.numel() for p in student.parameters()) * len(feed.first[0])
    there = next(student.parameters()).device
    where = there if device == "auto" and there.type != "cpu" else None
    feed.device = where = where or pick_device(device, size)
    read = Read(student.to(where), [mine for mine, _ in layers])
    taught = [Read(t.to(where), [its for _, its in layers]) for t in teachers]
    live = Ensemble(taught) if len(taught) > 1 else taught[0] if taught else None
    if live is not None:
        live.eval()
    rates = {"lr": recipe.learning_rate, "weight_decay": recipe.weight_decay}
    trained = [p for p in student.parameters() if p.requires_grad]
    part = Part(slice(0, 1), recipe.method, None, live=live, features=bool(layers))
    return Examined(
        [0],
        read,
        [part],
        feed,
        TorchAdamW([{"params": trained} | rates]),
        {},
        recipe.schedule == "cosine",
        stacked=False,
        validation=validation,
        device=where,
    )


def _state(one: Stack, recipe: Recipe) -> State:
    """The state before the first step, once networks, batches and method fit each other."""
    part, feed, read = one.parts[0], one.feed, one.network
    assert isinstance(feed, Loaded) and isinstance(read, Read)
    _fits(read, part.live, feed)
    _set_up(one, part, recipe, feed.device)
    _labels_count(one, part)
    read.train()
    size = sum(p.numel() for p in read.parameters()) * len(feed.first[0])
    threads = 1 if size < ONE_THREAD else None
    when = emits(recipe.steps, recipe.events)
    return State((recipe,), [one], recipe.steps, when, threads=threads)


def _fits(student: Read, teacher: nn.Module | None, feed: Loaded) -> None:
    """`BadInput` unless both networks take the first batch and speak of the same classes."""
    x, y = feed.first
    said = _asked("student", student, x.to(feed.device))
    feed.sane = bool(torch.isfinite(said).all())
    if said.ndim != 2 or len(said) != len(x):
        raise BadInput(f"distill: student's logits {tuple(said.shape)}: expected ({len(x)}, K)")
    if teacher is not None:
        theirs = _asked("teacher", teacher, x.to(feed.device))
        if theirs.shape != said.shape:
            raise BadInput(
                f"distill: teacher's logits {tuple(theirs.shape)}, student's "
                f"{tuple(said.shape)}: expected the same classes in the same order"
            )
    if int(y.max()) >= said.shape[-1]:
        raise BadInput(f"distill: label {int(y.max())} for {said.shape[-1]} classes")


def _asked(who: str, network: nn.Module, x: Tensor) -> Tensor:
    """The logits for the first batch; `BadInput` if the network cannot take it."""
    try:
        return listen(network, x).logits
    except (RuntimeError, TypeError, IndexError) as error:
        why = " ".join(str(error).split())
        raise BadInput(
            f"distill: the {who} does not take the loader's x {tuple(x.shape)} {x.dtype}: {why}"
        ) from error


def _labels_count(one: Stack, part: Part) -> None:
    """`BadInput` if the loader has no labels and the method would learn from them."""
    feed = one.feed
    if not isinstance(feed, Loaded) or feed.labelled:
        return
    batch = feed.batch(0)
    heard = listen(one.network, batch.x, features=True)
    mine, said = part.show(feed, batch, False, heard.logits)
    if bool((mine.y >= 0).any()):  # the teacher labelled them
        return
    some = replace(mine, y=torch.zeros_like(mine.y))
    loss = [
        sum(part.method.loss(heard, said, shown, part.adapter).values(), torch.zeros(()))
        for shown in (mine, some)
    ]
    if not torch.equal(*loss):
        hint = "; say alpha=1" if "alpha" in part.method.knobs() else ""
        raise BadInput(
            f"distill: the loader gives x alone, and {part.method.key()} learns from labels{hint}"
        )


def _set_up(one: Stack, part: Part, recipe: Recipe, device: torch.device) -> None:
    if type(part.method).setup is Method.setup:
        return
    batch = one.feed.batch(0)
    heard = listen(one.network, batch.x, features=True)
    mine, said = part.show(one.feed, batch, False, heard.logits)
    assert isinstance(one.network, Read) and isinstance(one.feed, Loaded)
    spare = copy.deepcopy(one.network)
    build = Build([recipe.seed], False, lambda fresh: _like(spare, recipe, fresh))
    part.adapter = part.method.setup(heard, said, mine, one.feed.samples(), build)
    if part.adapter is not None:
        learnt = [p for p in part.adapter.to(device).parameters() if p.requires_grad]
        rates = {"lr": recipe.learning_rate, "weight_decay": recipe.weight_decay}
        part.optimiser = TorchAdamW([{"params": learnt} | rates]) if learnt else None


def _like(spare: Read, recipe: Recipe, fresh: bool) -> nn.Module:
    """A copy of the student as it stands, or one with another initialisation."""
    made = copy.deepcopy(spare)
    made.close()  # the hooks on the student's own layers are not its
    for name, module in made.named_modules() if fresh else ():
        if not list(module.parameters(recurse=False)):
            continue
        reset = getattr(module, "reset_parameters", None)
        if reset is None:
            raise BadInput(
                f"distill({recipe.method.key()}): needs a peer of another initialisation, but the "
                f"student's layer {name.removeprefix('network.') or 'itself'!r} has parameters "
                "and no reset_parameters(); give it one"
            )
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(recipe.seed + PEER)
            reset()
    return made


def _close(one: Stack) -> None:
    for network in (one.network, *(part.live for part in one.parts)):
        for module in network.modules() if network is not None else ():
            if isinstance(module, Read):
                module.close()


# ---------------------------------------------------------------------- networks and batches


class Read(nn.Module):
    """A network of somebody else's that speaks `Outputs`; named layers are read through hooks."""

    def __init__(self, network: nn.Module, layers: Sequence[str]) -> None:
        super().__init__()
        self.network = network
        self.caught: dict[str, Tensor] = {}
        names = dict(network.named_modules())
        self.hooks = []
        for name in dict.fromkeys(layers):
            if name not in names or not name:
                raise unknown("layer", name, [n for n in names if n])
            self.hooks.append(names[name].register_forward_hook(self._catch(name)))

    def _catch(self, name: str) -> Callable[..., None]:
        def hook(module: nn.Module, inputs: Any, output: Any) -> None:
            self.caught[name] = output[0] if isinstance(output, (tuple, list)) else output

        return hook

    def forward(self, x: Tensor, features: bool = False) -> Outputs:
        """x (B, …) to logits (B, K) and the named layers as (B, P, D)."""
        self.caught.clear()
        logits = _logits(self.network(x))
        if not features:
            return Outputs(logits)
        grids = {k: (v.shape[2], v.shape[3]) for k, v in self.caught.items() if v.ndim == 4}
        return Outputs(logits, {k: _feature(k, v) for k, v in self.caught.items()}, grids)

    def close(self) -> None:
        """Take the hooks off again."""
        for hook in self.hooks:
            hook.remove()


def _logits(said: Any) -> Tensor:
    logits = said if isinstance(said, Tensor) else getattr(said, "logits", None)
    if not isinstance(logits, Tensor):
        raise BadInput(
            f"distill: a network gave {type(said).__name__}: expected a tensor of logits (B, K) "
            "or an object with .logits"
        )
    return logits


def _feature(name: str, value: Tensor) -> Tensor:
    """(B, C, H, W) to (B, H·W, C); (B, L, D) as it is; (B, D) to (B, 1, D)."""
    if value.ndim == 4:
        return value.flatten(2).transpose(-1, -2)
    if value.ndim == 2:
        return value.unsqueeze(-2)
    if value.ndim == 3:
        return value
    raise BadInput(f"layer {name!r}: shape {tuple(value.shape)}: expected 2 to 4 axes")


class Loaded:
    """Batches from somebody's loader, started again when it ends."""

    whole = False

    def __init__(self, loader: Iterable[Any]) -> None:
        self.loader, self.device = loader, torch.device("cpu")
        self.epoch, self.iterator = 0, iter(loader)
        first = next(self.iterator, None)
        if first is None:
            raise BadInput("distill: the loader is empty")
        self.first = _pair(first)
        self.shown = self.first[0]  # the last x
        self.sane = True  # whether the student's first answer was finite
        self.labelled = isinstance(first, (tuple, list)) and len(first) > 1
        self.waiting: list[tuple[Tensor, Tensor]] = [self.first]
        self.index = self._index(first)

    def batch(self, step: int) -> Batch:
        """The next batch, on the device."""
        if step == 0 and self.waiting:  # looked at before training: shown again as the first
            x, y = self.first
            index = None if self.index is None else self.index.to(self.device)
            return Batch(x.to(self.device), y.to(self.device), index)
        self.waiting = []
        found = next(self.iterator, None)
        if found is None:
            self.epoch, self.iterator = self.epoch + 1, iter(self.loader)
            found = next(self.iterator, None)
            if found is None:
                raise BadInput(
                    "distill: the loader can be read only once; say steps=… of one pass"
                )
        x, y = _pair(found)
        self.shown = x
        return Batch(x.to(self.device), y.to(self.device), self._index(found), epoch=self.epoch)

    def _index(self, found: Any) -> Tensor | None:
        """Which samples a batch (x, y, index) holds; `BadInput` if it cannot be."""
        if not isinstance(found, (tuple, list)) or len(found) < 3:
            return None
        index, n = found[2], self.samples()
        if (
            not isinstance(index, Tensor)
            or index.is_floating_point()
            or index.shape != found[1].shape
            or (index.numel() and not 0 <= int(index.min()) <= int(index.max()) < n)
        ):
            raise BadInput(
                f"distill: a batch's index is {_kind(index)}: expected ({len(found[0])},) whole "
                f"numbers from 0 to {n - 1}, which samples of the data it holds"
            )
        return index.to(self.device, torch.int64)

    def samples(self) -> int:
        """How many samples the data have, as far as the loader says."""
        whole = len(self.first[0]) * (_length(self.loader) or 1)
        return max(whole, _length(getattr(self.loader, "dataset", ())) or 0)


def _pair(found: Any) -> tuple[Tensor, Tensor]:
    """x and y of a batch; −1 everywhere if it has no labels."""
    pair = found if isinstance(found, (tuple, list)) else (found,)
    if len(pair) not in (1, 2, 3) or not all(isinstance(part, Tensor) for part in pair[:2]):
        raise BadInput(
            f"distill: a batch is {type(found).__name__} of {len(pair)}: expected x, (x, y) or "
            "(x, y, index)"
        )
    x = pair[0]
    y = pair[1] if len(pair) > 1 else torch.full((len(x),), -1)
    if y.shape != (len(x),) or y.is_floating_point():
        raise BadInput(
            f"distill: labels {tuple(y.shape)} {y.dtype}: expected ({len(x)},) integers"
        )
    if y.numel() and int(y.min()) < -1:
        raise BadInput(f"distill: label {int(y.min())}: expected a class, or -1 = unlabelled")
    return x, y.to(torch.int64)


def _length(loader: Iterable[Any]) -> int | None:
    try:
        return len(loader)  # type: ignore[arg-type]
    except TypeError:
        return None


@dataclass
class Examined(Stack):
    """A student whose validation data come from a loader, batch by batch."""

    validation: Iterable[Any] | None = None
    device: torch.device | None = None

    def look(self, most: int | None = None) -> dict[str, Row]:
        """The accuracy on the validation loader, if there is one."""
        if self.validation is None:
            return {}
        right, n = 0, 0
        for x, y in _pairs(self.validation):
            if not bool((y >= 0).any()):
                raise BadInput("distill: the validation batches have no labels; expected (x, y)")
            said = listen(self.network, x.to(self.device)).logits.argmax(-1)
            right, n = right + int((said == y.to(self.device)).sum()), n + len(y)
        lives = self.alive is None or bool(self.alive.all())
        return {"validation": (right / n if n and lives else None,)}


def _pairs(loader: Iterable[Any]) -> Iterator[tuple[Tensor, Tensor]]:
    for found in loader:
        yield _pair(found)
