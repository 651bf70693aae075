"""The gradient that is written by hand equals autograd's."""

from dataclasses import dataclass
from typing import ClassVar

import pytest
import torch
from lab import KD, OTHER, SMOOTH, TEACHER, assert_same_weights, digits, teachers, weights
from torch.testing import assert_close

from workbench import METHODS, Recipe, train
from workbench.adamw import StackedAdamW
from workbench.base import Batch, Outputs
from workbench.byhand import ByHand, Slope
from workbench.engine import begin
from workbench.functional import distillation, soft_and_hard, toward
from workbench.models.mlp import MLP

FIXED = [name for name, kind in METHODS.items() if kind.fixed]


def plain(**more):
    return Recipe(**{"data": digits(), "steps": 9, "events": 3} | more)


def taught(method, by=TEACHER, **more):
    return plain(method=method, teachers=(by,) if "teacher" in method.needs else (), **more)


#: what stacks: settings, teachers, rates, methods and transfer sets that differ
GROUPS = {
    "knobs": [taught(KD(temperature=t, alpha=a), seed=i)
              for i, (t, a) in enumerate([(1, 0), (4, 0.9), (20, 1)])],
    "one alpha": [taught(KD(temperature=t, alpha=1), seed=t) for t in (1, 8)],
    "methods": [taught(KD(alpha=0)), taught(KD(alpha=1), OTHER), plain(seed=1),
                plain(seed=2, learning_rate=1e-3, weight_decay=0.5)],
    "hot": [taught(KD(temperature=1e4, alpha=0.5)), plain()],
    "own images": [plain(data=digits(left_out=(3,))), plain(data=digits(left_out=(4,))),
                   taught(KD(), data=digits(left_out=(4,), label_noise=0.5))],
    "unlabelled": [taught(KD(), data=digits(labelled=10)), plain(data=digits(labelled=10))],
    "one": [plain()],
}  # fmt: skip


def both(recipes, dtype=torch.float64):
    """The group's state and events with the gradient by hand, and by autograd."""
    found = []
    for hand in (True, False):
        state = begin(recipes, teachers(), dtype=dtype)
        (one,) = state.stacks
        assert one.hand is not None
        if not hand:
            one.hand = None
        found.append((state, list(train(state))))
    return found


@pytest.mark.parametrize("batch_size", [0, 16])
@pytest.mark.parametrize("student", ["mlp-16", "mlp-64-64"])
@pytest.mark.parametrize("group", GROUPS)
def test_a_run_by_hand_is_a_run_by_autograd(group, student, batch_size):
    recipes = [r.but(student=student, batch_size=batch_size) for r in GROUPS[group]]
    (a, mine), (b, theirs) = both(recipes)
    assert_close(a.tensors(), b.tensors(), rtol=0, atol=1e-9)
    for one, other in zip(mine, theirs, strict=True):
        assert one.terms.keys() == other.terms.keys() and one.accuracy == other.accuracy
        for name, row in one.terms.items():
            known = [(a, b) for a, b in zip(row, other.terms[name], strict=True) if b is not None]
            assert [a for a, _ in known] == pytest.approx([b for _, b in known], rel=1e-7)
            assert [a is None for a in row] == [b is None for b in other.terms[name]]


@pytest.mark.parametrize("own", [False, True])
@pytest.mark.parametrize("widths", [(5,), (5, 4), (6, 5, 4)])
def test_every_gradient_equals_autograds(widths, own):
    torch.manual_seed(0)
    network = MLP((7,), 3, (4,), widths).double()
    network.initialise([0, 1, 2, 3])
    x = torch.randn(4, 6, 7) if own else torch.randn(6, 7)
    y, z_t = torch.randint(-1, 3, (4, 6)), torch.randn(4, 6, 3, dtype=torch.float64)
    like = torch.zeros(4, 6, 3, dtype=torch.float64)
    temperature, alpha = (torch.tensor(v).double() for v in ([1, 2, 8, 3], [0, 0.3, 1, 0.9]))
    targets = soft_and_hard(z_t, y, temperature, alpha, like)
    distillation(network(x.double()).logits, targets).sum().backward()
    hand = ByHand(network)
    hand.back(hand.logits(x.double()), [(slice(0, 4), Slope.of(targets))])
    for given, expected in zip(hand.gradient, network.parameters(), strict=True):
        assert expected.grad.abs().sum() > 0
        assert_close(given, expected.grad)


@pytest.mark.parametrize("name", FIXED)
def test_fixed_says_that_the_targets_say_all(name):
    """Its terms add up to `distillation`, or `toward`, of its targets: what the slope is of."""
    torch.manual_seed(0)
    method = METHODS[name]()
    z, z_t = (torch.randn(2, 6, 4, dtype=torch.float64) for _ in range(2))
    batch = Batch(torch.zeros(6, 1), torch.randint(0, 4, (2, 6)))
    said = Outputs(z_t) if "teacher" in method.needs else None
    targets = method.targets(z, said, batch)
    found = sum(method.loss(Outputs(z), said, batch, None).values())
    given = distillation(z, targets) if len(targets) > 1 else toward(z, *targets)
    assert_close(found, given if given.ndim == 1 else given.sum(0))


def test_who_inherits_fixed_is_asked_for_its_loss():
    @dataclass(frozen=True)
    class Doubled(KD):
        title: ClassVar[str] = "twice"

        def loss(self, *given):
            return {name: 2 * term for name, term in super().loss(*given).items()}

    for method in (Doubled(), SMOOTH()):
        recipes = [taught(method)]
        assert begin(recipes, teachers()).stacks[0].hand is None


def test_a_student_that_diverges_is_frozen_and_the_rest_go_on_by_hand(monkeypatch):
    recipes = [plain(seed=1), plain(seed=2), taught(KD(), seed=3)]
    state, healthy = (begin(recipes, teachers()) for _ in range(2))
    calls = []
    step = StackedAdamW.step
    monkeypatch.setattr(
        StackedAdamW, "step", lambda s, *given: calls.append(len(given)) or step(s, *given)
    )
    events = train(state)
    next(events)
    (one,) = state.stacks
    with torch.no_grad():
        one.network.layers[0].weight[one.members.index(1)].fill_(3e38)
    last = list(events)[-1]
    assert last.diverged == (1,) and last.accuracy["test"][1] is None
    assert calls == [1] + [2] * 8  # the step in which it diverged by autograd, the rest by hand
    list(train(healthy))
    for i in (0, 2):
        assert_same_weights(weights(state, i), weights(healthy, i), exact=False, atol=1e-6)
