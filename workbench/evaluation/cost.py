"""What a network costs when it is used: parameters, bytes, floating-point operations, time."""

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from time import perf_counter
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn


@dataclass(frozen=True)
class Latency:
    """Wall time of one call of one network on one batch; times in seconds per call.

    Attributes:
        name: of the network.
        batch: samples per call.
        minimum: the headline. On a machine with neighbours it varies by 2 % where the mean
            varies by 53 %: others can only make a call slower.
        p50: median.
        p95: what the neighbours did, rather than the network, when `noisy`.
        p99: the same, more so.
        repeats: how many calls were timed.
        load: the machine's load average over the last minute; None where the system has none.
        noisy: p95 / p50 > 3 or p50 / minimum > 1.5: trust the minimum only, and compare ratios.
    """

    name: str
    batch: int
    minimum: float
    p50: float
    p95: float
    p99: float
    repeats: int
    load: float | None
    noisy: bool


def parameters(module: nn.Module) -> int:
    """Return how many numbers the network learns; a tensor used twice counts once."""
    return sum(weight.numel() for weight in module.parameters())


def weight_bytes(module: nn.Module) -> int:
    """Return the size in bytes of the weights as a safetensors file: what would be deployed.

    Parameters and buffers, in the precision they have, plus the file's header. A tied weight is
    stored once, as it is in a deployed file. The code and the runtime are not counted.
    """
    from safetensors.torch import save

    names = {id(value): name for name, value in module.state_dict(keep_vars=True).items()}
    tensors = {
        name: value.detach().clone(memory_format=torch.contiguous_format)
        for name, value in module.state_dict(keep_vars=True).items()
        if isinstance(value, Tensor) and names[id(value)] == name
    }
    return len(save(tensors))


def flops(module: nn.Module, example: Tensor) -> int:
    """Return the floating-point operations of one call; a multiply-add counts as two.

    Matrix products, convolutions and attention are counted, because they are nearly all of the
    work. Ignored: element-wise operations, normalisation, activations, look-ups, and time spent
    moving memory; so a network with 12 times fewer operations may be only twice as fast. The
    count depends on shapes only and is the same on every machine.

    PyTorch's fused CPU kernels (attention, encoder layers, LSTM) hide their products from the
    counter, which then reports 0 for a whole transformer. They are switched off while counting.

    Args:
        module: the network; its mode is restored.
        example: one batch as the network takes it, (B, …); the count is for all B samples.
    """
    from torch.nn.attention import SDPBackend, sdpa_kernel
    from torch.utils.flop_counter import FlopCounterMode

    counter = FlopCounterMode(display=False)
    with _inference(module), _unfused(), sdpa_kernel(SDPBackend.MATH), counter:
        module(example)
    return int(counter.get_total_flops())


def latency(
    modules: Mapping[str, nn.Module],
    example: Tensor,
    *,
    batches: Sequence[int] = (1, 256),
    warm_up: int = 20,
    repeats: int = 100,
) -> tuple[Latency, ...]:
    """Return how long a call takes: a row per network and batch size, measured side by side.

    One thread, warmed up, and the networks take turns (A B A B …), so that a neighbour's burst
    hits all of them; measured one after the other it would decide which one is "faster". Batch
    1 is what one user waits for, batch 256 what a server pays; their ratios differ.

    Args:
        modules: name → network, which returns a tensor or an object with `.logits`; modes and
            the thread count are restored.
        example: a batch as the networks take it, (B, …), B ≥ 1; its rows are repeated or cut to
            the batch sizes.
        batches: samples per call.
        warm_up: calls before the clock is read, at least 1.
        repeats: calls that are timed, at least 1.

    Raises:
        TypeError: `modules` is no mapping, or a network returns neither a tensor nor an object
            with `.logits`.
        ValueError: no network, no row in the example, or a count below 1.
    """
    if not isinstance(modules, Mapping):
        raise TypeError(
            f"latency(modules={type(modules).__name__}): expected a mapping such as "
            "{'student': network}, because networks are timed side by side and told apart by name"
        )
    counts = {"networks": len(modules), "rows of example": len(example), "warm_up": warm_up}
    counts |= {"repeats": repeats, "batch": min(batches, default=0)}
    for name, count in counts.items():
        if count < 1:
            raise ValueError(
                f"latency({name}={count}): expected at least 1, because there is nothing to time"
            )
    with _inference(*modules.values()), _one_thread():
        return tuple(
            row
            for batch in batches
            for row in _side_by_side(modules, _rows(example, batch), warm_up, repeats)
        )


def _side_by_side(
    modules: Mapping[str, nn.Module], batch: Tensor, warm_up: int, repeats: int
) -> list[Latency]:
    for name, module in modules.items():
        _check_output(name, module(batch))
    for _ in range(warm_up - 1):
        for module in modules.values():
            module(batch)
    times: dict[str, list[float]] = {name: [] for name in modules}
    for _ in range(repeats):
        for name, module in modules.items():
            times[name].append(_seconds(module, batch))
    return [_latency(name, len(batch), seconds) for name, seconds in times.items()]


def _seconds(module: Callable[[Tensor], object], batch: Tensor) -> float:
    start = perf_counter()
    module(batch)
    if batch.device.type != "cpu":  # the call only queues the work
        torch.accelerator.synchronize()
    return perf_counter() - start


def _latency(name: str, batch: int, seconds: Sequence[float]) -> Latency:
    p50, p95, p99 = (float(value) for value in np.percentile(seconds, (50, 95, 99)))
    minimum = min(seconds)
    noisy = p95 > 3 * p50 or p50 > 1.5 * minimum
    return Latency(name, batch, minimum, p50, p95, p99, len(seconds), _load(), noisy)


def _load() -> float | None:
    try:
        return os.getloadavg()[0]
    except (AttributeError, OSError):  # Windows has no load average; a sandbox may hide it
        return None


def _rows(example: Tensor, batch: int) -> Tensor:
    return example[torch.arange(batch, device=example.device) % len(example)]


def _check_output(name: str, output: object) -> None:
    if not isinstance(getattr(output, "logits", output), Tensor):
        raise TypeError(
            f"latency({name!r} returns {type(output).__name__}): expected a tensor or an object "
            "with .logits, because only a network that answers can be timed"
        )


@contextmanager
def _inference(*modules: nn.Module) -> Iterator[None]:
    """Evaluate without gradients, then restore the mode of every part by itself.

    `module.train(flag)` would not do: it would thaw a part that was frozen on purpose.
    """
    modes = [(part, part.training) for module in modules for part in module.modules()]
    try:
        for module in modules:
            module.eval()
        with torch.no_grad():
            yield
    finally:
        for part, mode in modes:
            part.training = mode


@contextmanager
def _one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


@contextmanager
def _unfused() -> Iterator[None]:
    """Switch off the fused kernels which the operation counter cannot look into."""
    onednn: Any = torch.backends.mkldnn  # its flags are properties which torch does not type
    before = torch.backends.mha.get_fastpath_enabled(), onednn.enabled
    torch.backends.mha.set_fastpath_enabled(False)
    onednn.enabled = False
    try:
        yield
    finally:
        fast, onednn.enabled = before
        torch.backends.mha.set_fastpath_enabled(fast)
