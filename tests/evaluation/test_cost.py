"""Cost: counts by hand, modules left as they were found, and a clock that can be believed."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import nn

from workbench.evaluation import cost, flops, latency, parameters, weight_bytes


class Tied(nn.Module):
    """Embedding and output layer share one weight, as language models do."""

    def __init__(self):
        super().__init__()
        self.embedding = nn.Embedding(50, 8)
        self.output = nn.Linear(8, 50, bias=False)
        self.output.weight = self.embedding.weight

    def forward(self, x):
        return SimpleNamespace(logits=self.output(self.embedding(x)))


class Mode(nn.Module):
    """Remembers how it was called."""

    def __init__(self):
        super().__init__()
        self.calls = []

    def forward(self, x):
        state = (self.training, torch.is_grad_enabled(), torch.get_num_threads())
        self.calls.append((len(x), *state))
        return x


def frozen_norm():
    """A network in training whose normalisation was frozen on purpose."""
    module = nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4), nn.Dropout()).train()
    module[1].eval()
    return module


def test_parameters_by_hand():
    assert parameters(nn.Linear(10, 3)) == 33
    assert parameters(nn.BatchNorm1d(5)) == 10  # its running mean and variance are not learnt
    assert parameters(Tied()) == 400


def test_weight_bytes_is_the_file_on_disk(tmp_path):
    from safetensors.torch import save_file

    module = nn.Sequential(nn.Linear(10, 3), nn.BatchNorm1d(3))
    save_file(module.state_dict(), tmp_path / "weights.safetensors")
    assert weight_bytes(module) == (tmp_path / "weights.safetensors").stat().st_size


def test_weight_bytes_follow_precision_and_store_tied_weights_once():
    module = nn.Linear(100, 100, bias=False)
    assert weight_bytes(module) - weight_bytes(module.half()) == 20_000
    assert 1600 < weight_bytes(Tied()) < 1800
    module.weight = nn.Parameter(torch.zeros(100, 100).t())  # not contiguous
    assert weight_bytes(module) > 40_000


@pytest.mark.parametrize("batch", [1, 3])
def test_flops_of_products_by_hand(batch):
    mlp = nn.Sequential(nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 10))
    assert flops(mlp, torch.zeros(batch, 64)) == batch * 2 * (64 * 32 + 32 * 10)
    conv = nn.Conv2d(3, 4, 3)
    assert flops(conv, torch.zeros(batch, 3, 8, 8)) == batch * 2 * (4 * 6 * 6) * (3 * 3 * 3)
    assert flops(Tied(), torch.zeros(batch, 5, dtype=torch.long)) == batch * 5 * 2 * 8 * 50


def test_flops_see_into_fused_kernels():
    # The plain counter reports 0 for each of them in eval mode on a CPU.
    b, n, d, hidden = 2, 5, 16, 32
    products = 2 * b * n * (3 * d * d + d * d + 2 * d * hidden) + 2 * 2 * b * n * n * d
    layer = nn.TransformerEncoderLayer(d, 2, hidden, batch_first=True)
    assert flops(layer, torch.zeros(b, n, d)) == products

    class Attention(nn.Module):
        def forward(self, x):
            return nn.functional.scaled_dot_product_attention(x, x, x)

    assert flops(Attention(), torch.zeros(b, 1, n, d)) == 2 * 2 * b * n * n * d
    assert flops(nn.LSTM(d, 8), torch.zeros(n, b, d)) == 2 * b * n * 4 * 8 * (d + 8)


def test_flops_restore_the_kernels():
    before = torch.backends.mha.get_fastpath_enabled(), torch.backends.mkldnn.enabled
    with pytest.raises(RuntimeError):
        flops(nn.Linear(3, 2), torch.zeros(1, 4))
    assert (torch.backends.mha.get_fastpath_enabled(), torch.backends.mkldnn.enabled) == before


@pytest.mark.parametrize(
    "measure",
    [flops, lambda module, x: latency({"a": module}, x, batches=(2,), warm_up=1, repeats=1)],
)
def test_measuring_leaves_the_module_as_it_was(measure):
    module = frozen_norm()
    modes = [part.training for part in module.modules()]
    weights = {name: value.clone() for name, value in module.state_dict().items()}
    measure(module, torch.randn(2, 4))
    assert [part.training for part in module.modules()] == modes == [True, True, False, True]
    for name, value in module.state_dict().items():
        assert torch.equal(value, weights[name]), name
    with pytest.raises(RuntimeError):
        measure(module, torch.randn(2, 5))
    assert [part.training for part in module.modules()] == modes


def test_latency_calls_in_eval_mode_without_gradients_on_one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        module = Mode()
        latency({"a": module}, torch.zeros(3, 4), batches=(1, 5), warm_up=2, repeats=3)
        assert module.calls == [(1, False, False, 1)] * 5 + [(5, False, False, 1)] * 5
        assert torch.get_num_threads() == 2
        assert torch.is_grad_enabled()
    finally:
        torch.set_num_threads(threads)


def test_latency_takes_turns():
    order = []
    modules = {name: Mode() for name in "abc"}
    for name, module in modules.items():
        module.register_forward_hook(lambda *_, name=name: order.append(name))
    latency(modules, torch.zeros(1, 4), batches=(1,), warm_up=1, repeats=4)
    assert "".join(order) == "abc" * 5


def test_latency_rows():
    rows = latency({"a": Mode(), "b": Tied()}, torch.zeros(2, 3).long(), repeats=5)
    assert [(row.name, row.batch) for row in rows] == [("a", 1), ("b", 1), ("a", 256), ("b", 256)]
    for row in rows:
        assert 0 < row.minimum <= row.p50 <= row.p95 <= row.p99
        assert row.repeats == 5


def test_latency_ranks_a_large_network_behind_a_small_one():
    modules = {"large": nn.Linear(1500, 1500), "small": nn.Linear(8, 8)}
    modules["small"] = nn.Sequential(nn.Flatten(), nn.AdaptiveAvgPool1d(8), modules["small"])
    large, small = latency(modules, torch.zeros(1, 1500), batches=(64,), repeats=10)
    assert large.minimum > 2 * small.minimum


def fake_clock(monkeypatch, seconds):
    """Let each timed call take what the list says."""
    ticks = iter(np.cumsum([t for second in seconds for t in (0.0, second)]).tolist())
    monkeypatch.setattr(cost, "perf_counter", lambda: next(ticks))


@pytest.mark.parametrize(
    ("seconds", "noisy"),
    [
        ([1.0] * 100, False),
        ([1.0] * 90 + [2.9] * 10, False),
        ([1.0] * 90 + [3.1] * 10, True),  # p95 / p50
        ([1.0] + [1.4] * 99, False),
        ([1.0] + [1.6] * 99, True),  # p50 / minimum
    ],
)
def test_latency_says_when_it_is_noisy(monkeypatch, seconds, noisy):
    fake_clock(monkeypatch, seconds)
    (row,) = latency({"a": Mode()}, torch.zeros(1, 1), batches=(1,))
    assert row.noisy is noisy
    assert row.minimum == pytest.approx(1)
    assert (row.p50, row.p95, row.p99) == pytest.approx(np.percentile(seconds, (50, 95, 99)))


def test_load_is_none_where_the_system_has_none(monkeypatch):
    monkeypatch.setattr(cost.os, "getloadavg", lambda: (1.5, 0, 0), raising=False)
    (row,) = latency({"a": Mode()}, torch.zeros(1, 1), batches=(1,), repeats=1)
    assert row.load == 1.5
    monkeypatch.delattr(cost.os, "getloadavg")
    (row,) = latency({"a": Mode()}, torch.zeros(1, 1), batches=(1,), repeats=1)
    assert row.load is None


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"modules": {}}, "networks=0"),
        ({"example": torch.zeros(0, 4)}, "rows of example=0"),
        ({"warm_up": 0}, "warm_up=0"),
        ({"repeats": 0}, "repeats=0"),
        ({"batches": (1, 0)}, "batch=0"),
        ({"batches": ()}, "batch=0"),
    ],
)
def test_latency_refuses_what_has_nothing_to_time(change, message):
    arguments = {"modules": {"a": Mode()}, "example": torch.zeros(1, 4)} | change
    with pytest.raises(ValueError, match=rf"^latency\({message}\): expected at least 1"):
        latency(**arguments)


@pytest.mark.parametrize("given", [Mode(), [Mode()], None])
def test_latency_wants_names_beside_its_networks(given):
    kind = type(given).__name__
    with pytest.raises(
        TypeError, match=rf"^latency\(modules={kind}\): expected a mapping such as"
    ):
        latency(given, torch.zeros(1, 4))


def test_latency_refuses_a_network_without_an_answer():
    class Silent(nn.Module):
        def forward(self, x):
            return None

    with pytest.raises(TypeError, match=r"latency\('quiet' returns NoneType\).*\.logits"):
        latency({"quiet": Silent()}, torch.zeros(1, 4), repeats=1)
