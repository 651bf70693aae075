"""What a teacher said is kept once, in half the bytes, and never believed when it was changed."""

import json
import math
import os
import warnings

import numpy as np
import pytest
import torch
from lab import digits
from test_runs import flip, garble, halve
from torch.testing import assert_close

from workbench import METHODS, Recipe, Run, said, train
from workbench.base import Trouble
from workbench.engine import ROWS, listen
from workbench.runs import DamagedRunWarning, prepare
from workbench.said import pack, unpack

TEACHER = Recipe("mlp-16", digits(), seed=5, steps=3, events=1)


def student(method="kd", **more):
    fields = {"data": digits(), "steps": 4, "events": 2} | more
    return Recipe("mlp-4", method=METHODS[method](), teachers=(TEACHER,), **fields)


@pytest.fixture(autouse=True)
def home(monkeypatch, tmp_path):
    monkeypatch.setenv("WORKBENCH_HOME", str(tmp_path))
    return tmp_path


@pytest.fixture
def asked(monkeypatch):
    """How many rows the networks are asked about, call by call."""
    calls = []

    def listening(network, x, *rest, **more):
        calls.append(len(x))
        return listen(network, x, *rest, **more)

    Run(TEACHER).drain()
    monkeypatch.setattr("workbench.runs.listen", listening)
    return calls


# ------------------------------------------------------------------------------ how exactly


@pytest.mark.parametrize("scale", [1e-3, 1.0, 30.0, 1000.0])
@pytest.mark.parametrize("classes", [2, 10, 100])
def test_the_error_of_a_logit_is_within_its_bound(scale, classes):
    torch.manual_seed(0)
    z = scale * torch.randn(500, classes) + 7 * scale
    top, kept = z.amax(-1, keepdim=True), pack(z)
    assert kept.dtype == np.float16 and kept.shape == (500, classes + 2)
    bound = (top - z) * 2**-11 + top.abs() * 2**-20 + 2**-24
    assert bool(((unpack(kept) - z).abs() <= bound).all())
    assert torch.equal(unpack(kept).argmax(-1), z.argmax(-1))


@pytest.mark.parametrize("temperature", [1.0, 4.0, 20.0])
@pytest.mark.parametrize("scale", [0.1, 3.0, 30.0])
def test_the_error_of_the_probabilities_is_within_its_bound(scale, temperature):
    torch.manual_seed(0)
    z = (scale * torch.randn(2000, 10)).double()
    p, q = ((v.double() / temperature).softmax(-1) for v in (z, unpack(pack(z.float()))))
    assert float((p - q).abs().sum(-1).max()) <= 2**-10 * (math.log(10) + 1)


@pytest.mark.parametrize("worst", [1e5, -1e6, math.inf])
def test_logits_that_half_precision_cannot_hold_are_kept_whole(worst):
    z = torch.randn(5, 3)
    z[2, 1] = worst
    assert torch.equal(unpack(pack(z)), z) and pack(z).dtype == np.float32


def test_features_are_kept_to_half_precision(asked):
    part = prepare([student("pkt")]).stacks[0].parts[0]
    real = listen(Run(TEACHER).student(), digits().seen(), features=True).features["hidden1"]
    found = part.said.features["hidden1"]
    assert found.dtype == torch.float16
    assert_close(found.float(), real[: len(found)], rtol=2**-11, atol=2**-24)


def test_features_too_large_for_half_precision_are_kept_whole(monkeypatch):
    monkeypatch.setattr(said, "LARGEST", 1e-3)
    part = prepare([student("pkt")]).stacks[0].parts[0]
    real = listen(Run(TEACHER).student(), digits().seen(), features=True).features["hidden1"]
    assert_close(part.said.features["hidden1"], real[:50])


# --------------------------------------------------------------------------------- once


@pytest.mark.parametrize("method", ["kd", "pkt"])
def test_a_teacher_is_asked_once(asked, method):
    first = list(train(prepare([student(method)])))
    assert sum(n for n in asked if n > 1) == ROWS  # the first part, of which 50 are shown
    asked.clear()
    again = list(train(prepare([student(method)])))
    assert not [n for n in asked if n > 1] and again == first


def test_features_are_asked_for_when_a_method_wants_them(asked):
    prepare([student("kd")])
    folder = Run(TEACHER).folder
    assert len(list(folder.glob("said-*.npy"))) == 1
    prepare([student("pkt")])
    assert len(list(folder.glob("said-*.npy"))) == 2
    asked.clear()
    prepare([student("kd"), student("pkt")])
    assert not [n for n in asked if n > 1]
    kept = sum(file.stat().st_size for file in folder.glob("said-*.npy"))
    assert kept < ROWS * (12 + 16) * 2 + 1000  # half precision, and a header each


@pytest.mark.parametrize("batch_size", [0, 16])
def test_what_is_larger_than_its_share_of_memory_is_mapped(monkeypatch, batch_size):
    recipe = student("pkt", batch_size=batch_size)
    whole = list(train(prepare([recipe])))
    monkeypatch.setattr(said, "SHARE", 1e-9)
    (file,) = Run(TEACHER).folder.glob("said-*-hidden1.npy")
    assert isinstance(said.loaded(file), np.memmap)
    assert list(train(prepare([recipe]))) == whole


# ------------------------------------------------------------------------------- refused


@pytest.mark.parametrize("damage", [flip, halve, garble, lambda path: path.unlink()])
@pytest.mark.parametrize("which", ["*-logits.npy", "*-hidden1.npy", "*.json"])
def test_what_was_changed_is_refused_and_asked_again(asked, damage, which):
    whole = list(train(prepare([student("pkt")])))
    (path,) = Run(TEACHER).folder.glob(f"said-{which}")
    if damage is flip and which == "*.json":
        path.write_text(path.read_text().replace('"sum": "', '"sum": "0', 1))
    else:
        damage(path)
    asked.clear()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        assert list(train(prepare([student("pkt")]))) == whole
    gone = which == "*.json" and not caught
    told = [str(w.message) for w in caught if issubclass(w.category, DamagedRunWarning)]
    assert gone or (len(told) == 1 and "asked again" in told[0] and "\n" not in told[0])
    assert sum(n for n in asked if n > 1) == ROWS  # the first part, of which 50 are shown
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # it is whole again
        prepare([student("pkt")])


def test_the_answers_of_another_teacher_are_refused(asked):
    whole = list(train(prepare([student()])))
    (path,) = Run(TEACHER).folder.glob("said-*.json")
    found = json.loads(path.read_text())["index"]
    for facts in ({"teacher": "0" * 16}, {"weights": "0" * 64}):
        path.write_text(said._sealed(found | {"facts": found["facts"] | facts}))
        with pytest.warns(DamagedRunWarning, match="another teacher"):
            assert list(train(prepare([student()]))) == whole


def test_no_bit_of_the_index_can_change_unseen():
    whole = list(train(prepare([student("pkt")])))
    (path,) = Run(TEACHER).folder.glob("said-*.json")
    good = path.read_bytes()
    for at in range(0, 8 * len(good), 61):
        changed = bytearray(good)
        changed[at // 8] ^= 1 << at % 8
        path.write_bytes(changed)
        with pytest.warns(DamagedRunWarning, match="asked again"):
            state = prepare([student("pkt")])
        assert path.read_bytes() == good
    assert list(train(state)) == whole


class Full:
    """A file on a disk that is full."""

    def write(self, content):
        raise OSError(28, "No space left on device")

    def close(self):
        self.write(b"")


@pytest.mark.parametrize("count", [1, 2, 3, 4])
def test_a_full_disk_is_said_and_leaves_nothing_half_written(monkeypatch, count):
    Run(TEACHER).drain()
    calls, put = [], said._Growing._put

    def full(self, content):
        calls.append(self)
        if len(calls) == count:
            self.file.close()
            self.file = Full()
        put(self, content)

    monkeypatch.setattr(said._Growing, "_put", full)
    with pytest.raises(Trouble, match="make room on its disk"):
        prepare([student("pkt")])
    assert not list(Run(TEACHER).folder.glob(".said*"))


def test_what_a_killed_process_had_half_written_is_removed(monkeypatch):
    Run(TEACHER).drain()
    old, new = (Run(TEACHER).folder / f".said-digits-0-hidden1.npy.{n}" for n in "ab")
    for path in (old, new):
        path.write_bytes(b"half")
    os.utime(old, (1, 1))
    prepare([student("pkt")])
    assert not old.exists() and new.exists()


def test_a_container_has_less_memory_than_its_machine(monkeypatch):
    real = said.memory()
    monkeypatch.setattr(said.Path, "read_text", lambda self: "1000000\n")
    assert said.memory() == 1_000_000 < real
    monkeypatch.setattr(said.Path, "read_text", lambda self: "max\n")
    assert said.memory() >= real
