"""Theorems about the pure functions, and the shapes they keep."""

import math

import numpy as np
import pytest
import torch
from torch.testing import assert_close

from workbench import METHODS, Batch, Outputs
from workbench.base import BadInput
from workbench.functional import (
    average,
    cross_entropy,
    entropy,
    kl,
    mixture,
    per_student,
    right,
    soft_log_probs,
)

LEADS = [(), (3,), (2, 3)]
SHAPES = [(*lead, 6, 10) for lead in LEADS] + [(3, 6, 4, 10), (6, 2), (1, 10), (3, 1, 2)]
shapes = pytest.mark.parametrize("shape", SHAPES, ids=str)
pytestmark = pytest.mark.usefixtures("float64")


def labels(shape, classes=10):
    return torch.randint(-1, classes, shape)


def kd(z_s, z_t, y, **knobs):
    return METHODS["kd"](**knobs).loss(Outputs(z_s), Outputs(z_t), Batch(z_s, y), None)


def numpy_softmax(z):
    e = np.exp(z - z.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


# ------------------------------------------------------------------------------- softmax


@shapes
@pytest.mark.parametrize("temperature", [0.01, 0.5, 1.0, 4.0, 1e6])
def test_soft_log_probs_is_torchs_softmax(shape, temperature):
    logits = torch.randn(shape, requires_grad=True)
    mine = soft_log_probs(logits, temperature)
    assert mine.shape == shape
    theirs = torch.log_softmax(logits / temperature, -1)
    assert_close(mine, theirs)
    weight = torch.randn(shape)
    (a,) = torch.autograd.grad((mine * weight).sum(), logits)
    (b,) = torch.autograd.grad((theirs * weight).sum(), logits)
    assert_close(a, b)


def test_a_temperature_per_student_is_each_students_own():
    logits, temperatures = torch.randn(3, 6, 10), torch.tensor([0.5, 4.0, 20.0])
    mine = soft_log_probs(logits, temperatures)
    for i, temperature in enumerate(temperatures.tolist()):
        assert_close(mine[i], soft_log_probs(logits[i], temperature))
    with pytest.raises(ValueError, match=r"needs logits \(n, B, K\)"):
        soft_log_probs(logits[0, 0], temperatures)


def test_per_student_broadcasts_from_the_front():
    assert per_student(2.5, torch.randn(3, 4)) == 2.5
    assert per_student(torch.tensor([1.0, 2.0, 3.0]), torch.randn(3, 4, 5, 6)).shape == (
        3,
        1,
        1,
        1,
    )


@shapes
def test_temperature_never_changes_the_order(shape):
    logits = torch.randn(shape)
    assert torch.equal(soft_log_probs(logits, 7.0).argsort(-1), logits.argsort(-1))


# ---------------------------------------------------------------------------------- kl, ce


@shapes
def test_kl_is_positive_and_zero_for_the_same(shape):
    p, q = soft_log_probs(torch.randn(shape)), soft_log_probs(torch.randn(shape) * 3)
    axes = 2 if len(shape) == 4 else 1
    assert kl(p, q, axes=axes).shape == shape[: -1 - axes]
    assert bool((kl(p, q, axes=axes) > 0).all())
    assert bool((kl(p, p, axes=axes) == 0).all())
    assert bool((kl(p, p.clone(), axes=axes) == 0).all())


def test_kl_in_float32_is_hardly_ever_negative():
    z = torch.randn(2000, 10, dtype=torch.float32)
    near = z + 1e-4 * torch.randn_like(z)
    assert min(kl(soft_log_probs(z[i : i + 1]), soft_log_probs(near[i : i + 1])).item()
               for i in range(2000)) >= -1e-6  # fmt: skip


def test_kl_and_cross_entropy_against_numpy():
    z_p, z_q, y = torch.randn(6, 10), torch.randn(6, 10), torch.randint(0, 10, (6,))
    p, q = numpy_softmax(z_p.numpy()), numpy_softmax(z_q.numpy())
    reference = (p * (np.log(p) - np.log(q))).sum(-1).mean()
    assert_close(kl(soft_log_probs(z_p), soft_log_probs(z_q)).item(), reference)
    reference = -np.log(q[np.arange(6), y.numpy()]).mean()
    assert_close(cross_entropy(z_q, y).item(), reference)
    assert_close(entropy(soft_log_probs(z_p)).numpy(), -(p * np.log(p)).sum(-1))
    mean = np.log((p + q) / 2)
    assert_close(mixture(soft_log_probs(torch.stack([z_p, z_q]))).numpy(), mean)


def test_kl_is_summed_over_classes_not_averaged():
    """Ten classes and the same ten split in twins: half the probability each, the same KL."""
    p, q = soft_log_probs(torch.randn(6, 10)), soft_log_probs(torch.randn(6, 10))
    twins = [torch.cat([x, x], -1) - math.log(2) for x in (p, q)]
    assert_close(kl(*twins), kl(p, q))


def test_kl_is_cross_entropy_minus_entropy():
    p, q = soft_log_probs(torch.randn(6, 10)), soft_log_probs(torch.randn(6, 10))
    assert_close(kl(p, q), -(p.exp() * q).sum(-1).mean() - entropy(p).mean())


@pytest.mark.parametrize("lead", LEADS, ids=str)
@pytest.mark.parametrize("shared", [True, False])
def test_cross_entropy_is_torchs_over_the_labelled(lead, shared):
    logits = torch.randn(*lead, 6, 10, requires_grad=True)
    y = labels((6,) if shared else (*lead, 6))
    y[..., 0], y[..., 1] = -1, 3
    mine = cross_entropy(logits, y)
    assert mine.shape == lead
    flat, rows = logits.reshape(-1, 6, 10), y.expand(*lead, 6).reshape(-1, 6)
    theirs = [
        torch.nn.functional.cross_entropy(z, r, ignore_index=-1)
        for z, r in zip(flat, rows, strict=True)
    ]
    theirs = torch.stack(theirs).reshape(lead)
    assert_close(mine, theirs)
    (a,) = torch.autograd.grad(mine.sum(), logits)
    (b,) = torch.autograd.grad(theirs.sum(), logits)
    assert_close(a, b)
    assert bool((a[..., 0, :] == 0).all())


def test_no_label_is_no_loss():
    logits = torch.randn(2, 6, 10, requires_grad=True)
    loss = cross_entropy(logits, torch.full((6,), -1))
    loss.sum().backward()
    assert bool((loss == 0).all()) and bool((logits.grad == 0).all())


def test_an_unlabelled_row_may_be_anything():
    """Infinite where it does not count: 0 · ∞ would be NaN."""
    logits = torch.zeros(3, 4)
    logits[0] = torch.tensor([0.0, 1e308, -1e308, 0.0])
    assert math.isfinite(cross_entropy(logits, torch.tensor([-1, 0, 1])).item())


# ----------------------------------------------------------------------------------- masks


@pytest.mark.parametrize("lead", LEADS, ids=str)
def test_a_mask_leaves_positions_out(lead):
    values, mask = torch.randn(*lead, 4, 5), torch.rand(4, 5) > 0.4
    found = average(values, mask, axes=2)
    assert found.shape == lead
    assert_close(found, values[..., mask].mean(-1))
    poisoned = values.clone()
    poisoned[..., ~mask] = torch.inf
    assert_close(average(poisoned, mask, axes=2), found)
    assert bool((average(values, torch.zeros(4, 5, dtype=torch.bool), axes=2) == 0).all())
    assert_close(average(values, None, axes=2), values.mean((-1, -2)))


def test_a_masked_kl_is_that_of_the_valid_tokens():
    p, q = soft_log_probs(torch.randn(4, 5, 10)), soft_log_probs(torch.randn(4, 5, 10))
    mask = torch.rand(4, 5) > 0.4
    assert_close(kl(p, q, mask, axes=2), kl(p[mask], q[mask]))
    one = mask.expand(3, 4, 5)  # a mask for each student
    assert_close(kl(p, q, one, axes=2), kl(p, q, mask, axes=2).expand(3))


# ------------------------------------------------------------------------ hinton's theorems


@pytest.mark.parametrize("temperature", [0.5, 1.0, 4.0, 20.0])
def test_alpha_zero_is_cross_entropy_exactly(temperature):
    z_s, z_t, y = torch.randn(6, 10), torch.randn(6, 10), torch.randint(0, 10, (6,))
    found = kd(z_s, z_t, y, alpha=0, temperature=temperature)
    assert_close(sum(found.values()), cross_entropy(z_s, y), rtol=1e-14, atol=0)
    assert found["teacher"].item() == 0


def test_alpha_one_ignores_labels():
    z_s, z_t = torch.randn(6, 10), torch.randn(6, 10)
    losses = {sum(kd(z_s, z_t, labels((6,)), alpha=1).values()).item() for _ in range(5)}
    unlabelled = sum(kd(z_s, z_t, torch.full((6,), -1), alpha=1).values()).item()
    assert losses == {unlabelled}


def test_alpha_mixes_linearly():
    z_s, z_t, y = torch.randn(6, 10), torch.randn(6, 10), torch.randint(0, 10, (6,))
    low, mid, high = (sum(kd(z_s, z_t, y, alpha=a).values()) for a in (0.0, 0.25, 1.0))
    assert_close(mid, 0.75 * low + 0.25 * high)


@pytest.mark.parametrize("temperature", [0.5, 1.0, 4.0, 20.0])
@pytest.mark.parametrize("lead", [(), (3,)], ids=str)
def test_the_gradient_of_the_soft_term(temperature, lead):
    """T/B · (p_s − p_t)."""
    z_s, z_t = torch.randn(*lead, 6, 10, requires_grad=True), torch.randn(6, 10)
    soft = kd(z_s, z_t, labels((6,)), alpha=1, temperature=temperature)["teacher"]
    (slope,) = torch.autograd.grad(soft.sum(), z_s)
    p_s, p_t = (torch.softmax(z / temperature, -1) for z in (z_s, z_t))
    assert_close(slope, temperature / 6 * (p_s - p_t))


def test_a_hot_student_matches_logits():
    """Hinton 2015, section 2.1: the gradient tends to the centred difference over K · B."""
    z_s, z_t = torch.randn(6, 10, requires_grad=True), torch.randn(6, 10) * 3
    (slope,) = torch.autograd.grad(
        kd(z_s, z_t, labels((6,)), alpha=1, temperature=1e5)["teacher"], z_s
    )
    centred = [z - z.mean(-1, keepdim=True) for z in (z_s, z_t)]
    assert_close(slope, (centred[0] - centred[1]) / 60, rtol=1e-3, atol=1e-6)


@pytest.mark.parametrize("alpha", [0.0, 0.3, 0.9, 1.0])
@pytest.mark.parametrize("lead", LEADS[:2], ids=str)
@pytest.mark.parametrize("shared", [True, False])
def test_the_gradient_of_distillation_is_its_derivative(alpha, lead, shared):
    """By finite differences, and unlabelled rows among them."""
    z_s = torch.randn(*lead, 5, 4, requires_grad=True)
    z_t = torch.randn(5, 4) if shared else torch.randn(*lead, 5, 4)
    y = labels((5,) if shared else (*lead, 5), 4)
    y[..., 0] = -1

    def loss(z):
        return sum(kd(z, z_t, y, alpha=alpha, temperature=2.0).values())

    assert torch.autograd.gradcheck(loss, z_s)


def test_distillation_scales_with_what_comes_back():
    """A loss times 3, or one of its terms alone, has three times or its own gradient."""
    z_s, z_t, y = torch.randn(5, 4, requires_grad=True), torch.randn(5, 4), labels((5,), 4)
    terms = kd(z_s, z_t, y)
    grads = [torch.autograd.grad(t, z_s, retain_graph=True)[0] for t in terms.values()]
    (both,) = torch.autograd.grad(3 * sum(terms.values()), z_s)
    assert_close(both, 3 * sum(grads))
    again = kd(z_s, z_t, y)
    back = reversed([*again.values()])
    found = [torch.autograd.grad(t, z_s, retain_graph=True)[0] for t in back]
    for a, b in zip(grads, reversed(found), strict=True):
        assert_close(a, b)


def test_the_same_logits_have_nothing_to_learn():
    z = torch.randn(6, 10, requires_grad=True)
    soft = kd(z, z.detach().clone(), labels((6,)), alpha=1)["teacher"]
    (slope,) = torch.autograd.grad(soft, z)
    assert soft.item() == 0 and slope.abs().max().item() < 1e-15


# -------------------------------------------------------------------------- label smoothing


def smoothing(z, y, epsilon):
    terms = METHODS["label-smoothing"](epsilon=epsilon).loss(Outputs(z), None, Batch(z, y), None)
    return sum(terms.values())


def test_no_smoothing_is_cross_entropy():
    z, y = torch.randn(6, 10), labels((6,))
    assert_close(smoothing(z, y, 0.0), cross_entropy(z, y), rtol=1e-14, atol=0)


def test_full_smoothing_ignores_the_label():
    z = torch.randn(6, 10)
    y = torch.randint(0, 10, (6,))
    assert_close(smoothing(z, y, 1.0), smoothing(z, (y + 1) % 10, 1.0))


@pytest.mark.parametrize("epsilon", [0.05, 0.1, 0.5, 0.9])
def test_smoothing_is_torchs(epsilon):
    z, y = torch.randn(6, 10), torch.randint(0, 10, (6,))
    theirs = torch.nn.functional.cross_entropy(z, y, label_smoothing=epsilon)
    assert_close(smoothing(z, y, epsilon), theirs)


@pytest.mark.parametrize(("epsilon", "classes"), [(0.1, 10), (0.1, 2), (0.5, 3)])
def test_the_least_of_label_smoothing_is_the_entropy_of_its_target(epsilon, classes):
    y = torch.arange(classes)
    target = (1 - epsilon) * torch.eye(classes) + epsilon / classes
    least = entropy(target.log()).mean()
    best = target.log().requires_grad_()
    value = smoothing(best, y, epsilon)
    assert_close(value, least)
    (slope,) = torch.autograd.grad(value, best)
    assert float(slope.abs().max()) < 1e-12
    for _ in range(20):
        assert smoothing(target.log() + 0.1 * torch.randn(classes, classes), y, epsilon) > least
    if (epsilon, classes) == (0.1, 10):
        assert abs(least.item() - 0.5002880) < 1e-7


def test_an_unlabelled_image_is_left_out_of_smoothing():
    z, y = torch.randn(6, 10), torch.randint(0, 10, (6,))
    z, y = torch.cat([z, torch.randn(2, 10)]), torch.cat([y, torch.full((2,), -1)])
    assert_close(smoothing(z, y, 0.3), smoothing(z[:6], y[:6], 0.3))


@pytest.mark.parametrize("heard", [None, Outputs(torch.zeros(4, 7))])
def test_distillation_names_a_teacher_that_does_not_fit(heard):
    student, batch = Outputs(torch.zeros(4, 10)), Batch(torch.zeros(4, 1), torch.zeros(4).long())
    with pytest.raises(BadInput, match=r"KD: teacher's logits .*expected.*\(4, 10\)"):
        METHODS["kd"]().loss(student, heard, batch, None)


WITH = {"stage1": torch.zeros(4, 1, 3)}, {"stage1": (1, 1)}
GOOD = (
    Outputs(torch.zeros(4, 10), *WITH),
    Outputs(torch.zeros(4, 10), *WITH),
    torch.zeros(4).long(),
)


@pytest.mark.parametrize("name", METHODS)
@pytest.mark.parametrize(
    ("place", "value", "message"),
    [
        (0, torch.zeros(4, 10), r"student is Tensor: expected Outputs\(logits\)"),
        (0, Outputs(torch.zeros(10)), r"student.logits \(10,\) and batch.y \(4,\): expected"),
        (2, None, "batch.y is NoneType: expected whole numbers"),
        (2, torch.zeros(4), "batch.y is torch.float"),
        (2, torch.zeros(1).long(), r".* and batch.y \(1,\): expected"),
        (2, torch.full((4,), 10), "batch.y holds 10 to 10: expected -1 to 9 for 10 classes"),
    ],
)
def test_a_loss_says_which_argument_is_at_fault(name, place, value, message):
    given = list(GOOD)
    given[place] = value
    student, teacher, y = given
    method = METHODS[name]()
    if place == 2 and y is not None and len(y) == 4 and ignores_labels(method):
        return
    with pytest.raises(BadInput, match=rf"{type(method).__name__}\.loss: {message}"):
        method.loss(student, teacher, Batch(torch.zeros(4, 1), y), None)


def ignores_labels(method):
    """Whether labels play no part in what it says in its first stage."""
    torch.manual_seed(0)
    heard = [Outputs(torch.randn(4, 10), *WITH) for _ in range(2)]
    stage = method.stages[0][0]
    said = [
        method.loss(*heard, Batch(torch.zeros(4, 1), torch.full((4,), k), stage=stage), None)
        for k in (0, 1)
    ]
    return all(torch.equal(said[0][name], said[1][name]) for name in said[0])


def test_a_loss_refuses_a_teacher_of_another_batch():
    heard, batch = Outputs(torch.zeros(3, 10)), Batch(torch.zeros(4, 1), GOOD[2])
    with pytest.raises(BadInput, match=r"teacher.logits \(3, 10\) beside .*the same samples"):
        METHODS["kd"]().loss(GOOD[0], heard, batch, None)
    with pytest.raises(BadInput, match="batch is tuple: expected Batch"):
        METHODS["kd"]().loss(GOOD[0], GOOD[1], GOOD, None)


@pytest.mark.parametrize("name", METHODS)
def test_a_mask_that_would_be_left_aside_is_refused(name):
    student, teacher, y = GOOD
    batch = Batch(torch.zeros(4, 1), y, mask=torch.ones(4, dtype=torch.bool))
    with pytest.raises(BadInput, match="batch.mask is given: expected None, because no loss"):
        METHODS[name]().loss(student, teacher, batch, None)


@pytest.mark.parametrize("name", METHODS)
def test_an_empty_batch_has_no_loss(name):
    nothing = Outputs(torch.zeros(0, 10), {"stage1": torch.zeros(0, 1, 3)}, {"stage1": (1, 1)})
    batch = Batch(torch.zeros(0, 1), torch.zeros(0).long())
    if name in ("rkd", "pkt"):  # have neither angle nor neighbour there, and say so
        with pytest.raises(
            BadInput, match=r"a batch of 0: expected (3 to 128|at least 2) samples"
        ):
            METHODS[name]().loss(nothing, nothing, batch, None)
        return
    terms = METHODS[name]().loss(nothing, nothing, batch, None)
    assert [term.item() for term in terms.values()] == [0] * len(terms)


@pytest.mark.parametrize("kind", ["plain", "equals", "nan", "rounded"])
@pytest.mark.parametrize("lead", [(), (3,)])
def test_right_is_argmax(kind, lead):
    torch.manual_seed(0)
    z, y = torch.randn(*lead, 40, 5), torch.randint(0, 5, (40,))
    if kind == "equals":
        z[..., :7, :] = 0
    if kind == "nan":
        z[..., 3, 1] = math.nan
    if kind == "rounded":
        z = z.round()
    assert torch.equal(right(z, y), z.argmax(-1) == y)
    own = y.expand(*lead, 40)
    assert torch.equal(right(z, own), z.argmax(-1) == own)
