"""Numbers that were computed elsewhere, from the papers' formulas and by torch."""

import numpy as np
import pytest
import torch
from torch import nn
from torch.testing import assert_close

from workbench import METHODS, Batch, Outputs
from workbench.adamw import StackedAdamW
from workbench.functional import cross_entropy, kl, soft_log_probs


@pytest.fixture
def drawn():
    """B = 8, C = 10 in float32: student, teacher, labels."""
    torch.manual_seed(0)
    return torch.randn(8, 10), torch.randn(8, 10) * 3, torch.randint(0, 10, (8,))


def close(value, reference, digits=7):
    assert_close(float(value), reference, rtol=1e-5, atol=0.5 * 10**-digits)


def test_the_fixture_is_the_one_all_references_were_made_with(drawn):
    s, t, y = drawn
    close(cross_entropy(s, y), 2.9175375)
    close(cross_entropy(t, y), 4.0363207)


def test_distillation(drawn):
    s, t, y = drawn
    terms = METHODS["kd"](temperature=4, alpha=1).loss(Outputs(s), Outputs(t), Batch(s, y), None)
    close(terms["teacher"], 3.6715839)
    close(sum(terms.values()), 3.6715839)
    close(kl(soft_log_probs(t, 4.0), soft_log_probs(s, 4.0)), 0.2294740)
    close(kl(soft_log_probs(t), soft_log_probs(s)), 1.8764212)
    terms = METHODS["kd"]().loss(Outputs(s), Outputs(t), Batch(s, y), None)
    close(terms["teacher"], 0.9 * 3.6715839)
    close(terms["labels"], 0.1 * 2.9175375)


@pytest.mark.parametrize("temperature", [20, 99, 101, 1e3, 1e4, 1e5, 1e6])
@pytest.mark.parametrize("alpha", [1, 0.5])
def test_a_hot_teacher_is_heard_in_float32_too(drawn, temperature, alpha):
    """A divergence of about 1/T² must not drown in rounding before T² weighs it."""
    s, t, y = drawn
    method, found = METHODS["kd"](temperature=temperature, alpha=alpha), []
    for z_s, z_t in ((s, t), (s.double(), t.double())):
        z_s = z_s.clone().requires_grad_()
        value = method.loss(Outputs(z_s), Outputs(z_t), Batch(z_s, y), None)["teacher"]
        assert value.dtype == z_s.dtype
        found.append((value.item(), *torch.autograd.grad(value, z_s)))
    assert found[0][0] == pytest.approx(found[1][0], rel=2e-3)
    assert_close(found[0][1].double(), found[1][1], rtol=2e-3, atol=1e-6)


def test_distillation_against_numpy(drawn):
    s, t, _ = (value.double().numpy() for value in drawn)
    p, q = (np.exp(z / 4) / np.exp(z / 4).sum(-1, keepdims=True) for z in (t, s))
    close(16 * (p * np.log(p / q)).sum(-1).mean(), 3.6715839)


def test_label_smoothing(drawn):
    s, _, y = drawn
    terms = METHODS["label-smoothing"](epsilon=0.1).loss(Outputs(s), None, Batch(s, y), None)
    close(sum(terms.values()), 2.9063795)
    # the variant that gives the label nothing of ε is Szegedy's with ε' = εK/(K − 1)
    other = METHODS["label-smoothing"](epsilon=0.1 * 10 / 9)
    close(sum(other.loss(Outputs(s), None, Batch(s, y), None).values()), 2.9051397)


@pytest.mark.parametrize(
    ("temperature", "norm"),
    [(1, 0.2745), (2, 0.3263), (4, 0.3206), (8, 0.3142), (16, 0.3133), (32, 0.3138)],
)
def test_t_squared_keeps_the_gradient_steady(drawn, temperature, norm):
    s, t, y = drawn
    s.requires_grad_()
    method = METHODS["kd"](temperature=temperature, alpha=1)
    terms = method.loss(Outputs(s), Outputs(t), Batch(s, y), None)
    (slope,) = torch.autograd.grad(terms["teacher"], s)
    assert abs(slope.norm().item() - norm) < 0.6e-4
    bare = slope.norm().item() / temperature**2
    assert temperature < 32 or abs(bare - 0.0003) < 0.6e-4


def test_the_limit_of_the_gradient_is_that_of_logit_matching(drawn):
    s, t, _ = drawn
    centred = [z - z.mean(-1, keepdim=True) for z in (s, t)]
    assert abs(((centred[0] - centred[1]) / 80).norm().item() - 0.3150) < 0.6e-4


# ------------------------------------------------------------------------------------ adamw


class Pair(nn.Module):
    """Two parameters per student of different shape."""

    def __init__(self, n):
        super().__init__()
        self.a, self.b = nn.Parameter(torch.randn(n, 3, 4)), nn.Parameter(torch.randn(n, 5))


def stacked(network, rates, decays, **more):
    return StackedAdamW(list(network.parameters()), len(rates), rates, decays, **more)


def alone(network, i, rate, decay, **more):
    mine = [nn.Parameter(p.detach()[i].clone()) for p in network.parameters()]
    return mine, torch.optim.AdamW(mine, lr=rate, weight_decay=decay, **more)


def slopes(n, step):
    draw = torch.Generator().manual_seed(step)
    return [torch.randn(n, 3, 4, generator=draw), torch.randn(n, 5, generator=draw)]


@pytest.mark.usefixtures("float64")
@pytest.mark.parametrize(
    ("rates", "decays"),
    [
        ([1e-3, 3e-2, 0.1], [0.01, 0.0, 0.5]),
        ([1e-2] * 3, [0.01] * 3),
        ([1e-2] * 3, [0.0] * 3),
        ([1e-2] * 3, [0.0, 0.1, 0.2]),
        ([1e-3, 1e-2, 1e-2], [0.1] * 3),
    ],
)
@pytest.mark.parametrize("more", [{}, {"betas": (0.8, 0.95), "eps": 1e-6}], ids=["usual", "other"])
def test_adamw_over_a_stack_is_torchs_for_each_student(rates, decays, more):
    network = Pair(3)
    students = [alone(network, i, rates[i], decays[i], **more) for i in range(3)]
    mine = stacked(network, rates, decays, **more)
    for step in range(20):
        factor = (1.0, 0.5, 0.25)[step % 3]
        mine.zero_grad()
        for p, g in zip(network.parameters(), slopes(3, step), strict=True):
            p.grad = g
        mine.step(factor)
        for i, (parameters, theirs) in enumerate(students):
            theirs.param_groups[0]["lr"] = rates[i] * factor
            for p, g in zip(parameters, slopes(3, step), strict=True):
                p.grad = g[i].clone()
            theirs.step()
    for i, (parameters, _) in enumerate(students):
        for p, q in zip(network.parameters(), parameters, strict=True):
            assert_close(p[i], q, rtol=1e-10, atol=1e-13)


@pytest.mark.usefixtures("float64")
@pytest.mark.parametrize("rates", [[0.1] * 3, [0.1, 0.2, 0.3]], ids=["one rate", "own rates"])
def test_a_frozen_student_keeps_its_weights(rates):
    network, free = Pair(3), Pair(3)
    free.load_state_dict(network.state_dict())
    mine, other = stacked(network, rates, [0.1] * 3), stacked(free, rates, [0.1] * 3)
    for step in range(6):
        if step == 2:
            mine.freeze(torch.tensor([True, False, True]))
            kept = [p[1].clone() for p in network.parameters()]
        for owner in (network, free):
            for p, g in zip(owner.parameters(), slopes(3, step), strict=True):
                p.grad = g
        if step >= 2:  # a frozen student's gradient may be anything
            for p in network.parameters():
                p.grad = p.grad.clone()
                p.grad[1] = torch.nan
        mine.step()
        other.step()
    for p, q, k in zip(network.parameters(), free.parameters(), kept, strict=True):
        assert torch.equal(p[1], k) and not torch.equal(q[1], k)
        assert torch.equal(p[0], q[0]) and torch.equal(p[2], q[2])


@pytest.mark.usefixtures("float64")
def test_what_it_remembers_continues_it():
    network, again = Pair(2), Pair(2)
    mine = stacked(network, [0.1, 0.2], [0.0, 0.1])
    for step in range(8):
        if step == 5:
            again.load_state_dict(network.state_dict())
            other = stacked(again, [0.1, 0.2], [0.0, 0.1])
            other.remember({k: v.clone() for k, v in mine.memory().items()})
        for optimiser, owner in [(mine, network)] + ([(other, again)] if step >= 5 else []):
            for p, g in zip(owner.parameters(), slopes(2, step), strict=True):
                p.grad = g
            optimiser.step()
    for p, q in zip(network.parameters(), again.parameters(), strict=True):
        assert torch.equal(p, q)


def test_a_parameter_without_gradient_only_decays():
    network = Pair(2)
    before = network.b.detach().clone()
    mine = stacked(network, [0.1, 0.1], [0.5, 0.5])
    network.a.grad = torch.randn(2, 3, 4)
    mine.step()
    assert_close(network.b.detach(), before * (1 - 0.1 * 0.5))
