"""bfloat16 is used where the machine says that it pays, and changes nothing but the learning."""

import pytest
import torch
from lab import digits

from workbench import Recipe, half, train
from workbench.base import BadInput
from workbench.engine import begin
from workbench.methods import METHODS
from workbench.runs import prepare

CNN = Recipe("cnn-8", digits(), steps=30, events=2)


@pytest.fixture(autouse=True)
def afresh(monkeypatch):
    monkeypatch.setattr(half, "WORK", 1e5)
    clear = half.pays.cache_clear
    clear()
    yield
    clear()


@pytest.mark.parametrize(("units", "gain", "used"), [
    (True, 2.0, True), (True, 1.1, False), (False, 2.0, False),
])  # fmt: skip
def test_it_takes_matrix_units_that_pay(monkeypatch, units, gain, used):
    monkeypatch.delenv("WORKBENCH_BF16", raising=False)
    monkeypatch.setattr(half, "units", lambda: units)
    monkeypatch.setattr(half, "gain", lambda: gain)
    assert begin([CNN]).stacks[0].half is used


def test_a_small_step_a_perceptron_and_double_precision_never_ask(monkeypatch):
    monkeypatch.setattr(half, "pays", lambda: pytest.fail("asked"))
    assert not begin([CNN.but(student="mlp-16")]).stacks[0].half
    assert not begin([CNN], dtype=torch.float64).stacks[0].half
    monkeypatch.setattr(half, "WORK", 1e9)
    assert not begin([CNN]).stacks[0].half


def test_the_machine_is_asked_once(monkeypatch):
    monkeypatch.delenv("WORKBENCH_BF16", raising=False)
    asked = []
    monkeypatch.setattr(half, "units", lambda: True)
    monkeypatch.setattr(half, "gain", lambda: asked.append(1) or 2.0)
    for _ in range(3):
        begin([CNN])
    assert len(asked) == 1


def test_the_gain_is_a_ratio_of_two_times():
    assert 0.01 < half.gain(rounds=1) < 100


@pytest.mark.parametrize("method", ["scratch", "kd", "attention"])
def test_a_student_learns_in_bfloat16_and_is_kept_in_full(monkeypatch, method):
    monkeypatch.setenv("WORKBENCH_BF16", "on")
    by = () if method == "scratch" else (Recipe("cnn-8", digits(), seed=9, steps=3, events=1),)
    made = [CNN.but(method=METHODS[method](), teachers=by, seed=s) for s in (0, 1)]
    state = prepare(made)
    events = list(train(state))
    assert all(one.half for one in state.stacks)
    assert all(v.dtype != torch.bfloat16 for v in state.tensors().values())
    monkeypatch.setenv("WORKBENCH_BF16", "off")
    half.pays.cache_clear()
    plain = list(train(prepare(made)))
    first, same = (run[1].terms for run in (events, plain))
    for name, row in first.items():
        assert row == pytest.approx(same[name], rel=0.3, abs=0.1)


def test_a_word_it_does_not_know_is_refused(monkeypatch):
    monkeypatch.setenv("WORKBENCH_BF16", "yes")
    with pytest.raises(BadInput, match="WORKBENCH_BF16=yes: expected probe, on or off"):
        begin([CNN])
