"""Each method against its paper: reference values, identities and limits.

The reference numbers were computed apart from this package, from the papers' formulas and, where
a method has a convention `code`, by the authors' published code, on the inputs drawn below.
"""

import dataclasses
import math

import lab
import numpy as np
import pytest
import torch
import torch.nn.functional as F
from lab import digits
from torch.testing import assert_close

from workbench import METHODS, Batch, Outputs, Recipe
from workbench.base import BadInput, stack
from workbench.engine import begin, train
from workbench.functional import (
    angles,
    between,
    correlation,
    decoupled,
    kernel_gap,
    kl,
    soft_log_probs,
)

B, C = 8, 10


@pytest.fixture(scope="module")
def drawn():
    """The inputs of every reference value, drawn in one order in float32."""
    torch.manual_seed(0)
    found = {"s": torch.randn(B, C), "t": torch.randn(B, C) * 3, "y": torch.randint(0, C, (B,))}
    found |= {"fs": torch.randn(B, 6, 7, 7), "ft": torch.randn(B, 12, 7, 7)}
    found["t2"] = torch.randn(B, C) * 3
    assert abs(float(found["t2"].sum()) + 10.505149) < 1e-4
    return found


def terms(name, drawn, members=None, progress=1.0, stage="", student=None, **knobs):
    """The terms of a method on the drawn inputs, as plain numbers."""
    s = drawn["s"] if student is None else student
    extra = {} if members is None else {"members": torch.stack(members)}
    heard = Outputs(drawn["t"], extra=extra)
    batch = Batch(s, drawn["y"], progress=progress, stage=stage)
    method = METHODS[name](**knobs)
    found = method.loss(Outputs(s), heard if "teacher" in method.needs else None, batch, None)
    return {k: v if v.requires_grad else float(v) for k, v in found.items()}


def close(value, reference, rel=1e-5):
    assert value == pytest.approx(reference, rel=rel)


def doubles(drawn):
    return {k: v.double() if v.is_floating_point() else v for k, v in drawn.items()}


CE = 2.9175375

# ------------------------------------------------------------------- decoupled distillation


def test_decoupled_distillation(drawn):
    found = terms("dkd", drawn)
    close(found["labels"], CE)
    close(found["target"] + found["others"], 27.0233364)


def test_decoupled_parts_add_up_to_the_divergence(drawn):
    """The paper's identity, per sample: KL = target + (1 − p_y) · others."""
    log_p, log_q = (soft_log_probs(drawn[k].double(), 4.0) for k in "ts")
    for i in range(B):
        one = slice(i, i + 1)
        target, others = decoupled(log_p[one], log_q[one], drawn["y"][one])
        left = 1 - log_p[i, drawn["y"][i]].exp()
        assert_close(target + left * others, kl(log_p[one], log_q[one]), rtol=1e-12, atol=1e-14)


def test_two_classes_leave_nothing_beside_the_label():
    z = torch.randn(5, 2)
    batch = Batch(z, torch.tensor([0, 1, 1, 0, 1]), progress=1)
    found = METHODS["dkd"]().loss(Outputs(z), Outputs(-z), batch)
    assert float(found["others"]) == 0 < float(found["target"])


@pytest.mark.parametrize("size", [200.0, 1e4])
def test_a_saturated_teacher_can_be_decoupled(drawn, size):
    s = (drawn["s"] * size).requires_grad_()
    found = terms("dkd", drawn | {"t": drawn["t"] * size}, student=s)
    (slope,) = torch.autograd.grad(sum(found.values()), s)
    assert all(math.isfinite(value.item()) for value in found.values())
    assert bool(torch.isfinite(slope).all())


def test_decoupled_warm_up_is_linear_and_may_differ_within_a_stack(drawn):
    for progress, over, share in ((0.0, 0.5, 0), (0.25, 0.5, 0.5), (0.5, 0.5, 1), (0, 0, 1)):
        found = terms("dkd", drawn, progress=progress, warm_up=over)
        close(found["target"] + found["others"], 27.0233364 * share)
    methods = [METHODS["dkd"](warm_up=w) for w in (0, 0.5, 1)]
    s, t, y = (drawn[k] for k in "sty")
    for progress in (0.0, 0.25, 0.75):
        many = stack(methods, s).loss(
            Outputs(s.expand(3, B, C)), Outputs(t[None]), Batch(s, y, progress=progress)
        )
        for i, method in enumerate(methods):
            one = method.loss(Outputs(s), Outputs(t), Batch(s, y, progress=progress))
            assert_close(many["others"][i], one["others"])


# ------------------------------------------------------------------------------------- DIST


@pytest.mark.parametrize(
    ("temperature", "inter", "intra"),
    [(1, 0.93224907, 0.80907416), (4, 0.93521047, 0.96881425)],
)
def test_dist(drawn, temperature, inter, intra):
    found = terms("dist", drawn, temperature=temperature)
    close(found["inter"], 2 * temperature**2 * inter)
    close(found["intra"], 2 * temperature**2 * intra)
    close(found["labels"], CE)


def test_correlation_is_numpys_and_ignores_scale_and_offset(drawn):
    s, t = drawn["s"].double(), drawn["t"].double()
    for axis, rows in ((-1, zip(s, t, strict=True)), (-2, zip(s.T, t.T, strict=True))):
        found = correlation(s, t, axis)
        assert_close(found.numpy(), np.array([np.corrcoef(a, b)[0, 1] for a, b in rows]))
        assert_close(correlation(3 * s - 7, t, axis), found)
    assert_close(correlation(s, s, -1), torch.ones(B, dtype=torch.float64))
    assert torch.equal(correlation(torch.ones(4, 3), torch.randn(4, 3), -1), torch.zeros(4))


def test_dist_leaves_out_what_is_not_defined(drawn):
    two = drawn | {"s": drawn["s"][:, :2], "t": drawn["t"][:, :2], "y": drawn["y"] % 2}
    found = terms("dist", two, temperature=1)
    assert found["inter"] == 0
    close(found["intra"], 2 * 1.0519092)
    one = {k: v[:1] for k, v in drawn.items()}
    assert terms("dist", one)["intra"] == 0 < terms("dist", one)["inter"]


# --------------------------------------------------------------------- logit standardisation


@pytest.mark.parametrize(
    ("temperature", "convention", "soft"),
    [
        (2, "code", 0.85584086),
        (2, "paper", 0.94967490),
        (4, "code", 0.86314803),
        (4, "paper", 0.95874113),
    ],
)
def test_logit_standardisation(drawn, temperature, convention, soft):
    found = terms("logit-standardisation", drawn, temperature=temperature, convention=convention)
    close(found["teacher"], 9 * soft)
    close(found["labels"], 0.1 * CE)


def test_the_scale_of_standardised_logits_is_free(drawn):
    once = terms("logit-standardisation", drawn)["teacher"]
    close(terms("logit-standardisation", drawn, student=7 * drawn["s"])["teacher"], once)
    with pytest.raises(BadInput, match="2 classes: expected at least 3"):
        terms("logit-standardisation", drawn | {"t": drawn["t"][:, :2], "y": drawn["y"] % 2},
              student=drawn["s"][:, :2])  # fmt: skip


def test_a_student_that_knows_nothing_gets_a_bounded_gradient(drawn):
    s = torch.zeros(B, C, requires_grad=True)
    found = terms("logit-standardisation", drawn, student=s)
    (slope,) = torch.autograd.grad(found["teacher"], s)
    assert 0 < float(slope.norm()) < 1e3


# ---------------------------------------------------------- logits, labels, several teachers


def test_matching_logits(drawn):
    close(terms("matching-logits", drawn)["teacher"], 44.096844)
    close(terms("matching-logits", drawn, convention="code")["teacher"], 8.8193684)
    close(terms("matching-logits", drawn, centred="yes")["teacher"], 39.686462)


def test_distillation_becomes_logit_matching_for_a_high_temperature(drawn):
    """T² KL → 1/K of the centred half square; with Hinton's section 2.1."""
    limit = terms("matching-logits", drawn, centred="yes")["teacher"] / C
    close(limit, 3.9686463)
    close(terms("kd", drawn, temperature=1e5, alpha=1)["teacher"], limit, rel=1e-4)
    for beta in (0, 0.3, 0.5, 1):
        found = terms("divergence", drawn, temperature=1e5, alpha=1, beta=beta)["teacher"]
        close(found, limit, rel=1e-4)


def test_the_teachers_hard_labels(drawn):
    close(sum(terms("hard-labels", drawn).values()), 2.8090379)
    found = terms("hard-labels", drawn, alpha=1)
    close(found["teacher"], 2.7005384)
    assert found["labels"] == 0
    for t in (drawn["t"] * 100, drawn["t"] + 5):  # neither scale nor offset counts
        close(terms("hard-labels", drawn | {"t": t}, alpha=1)["teacher"], 2.7005384)
    tied = torch.zeros(B, C)
    first = terms("hard-labels", drawn | {"t": tied}, alpha=1)["teacher"]
    close(first, terms("kd", drawn | {"y": torch.zeros(B).long()}, alpha=0)["labels"])


@pytest.mark.parametrize(
    ("mean", "cold", "warm"),
    [
        ("probabilities", 1.4835839, 2.0773487),
        ("logits", 1.3750429, 1.9580647),
        ("losses", 1.9606961, 3.7641971),
    ],
)
def test_several_teachers(drawn, mean, cold, warm):
    members = [drawn["t"], drawn["t2"]]
    for temperature, value in ((1, cold), (4, warm)):
        knobs = {"temperature": temperature, "mean": mean}
        close(terms("ensemble", drawn, members, alpha=1, **knobs)["teacher"], value)
        close(terms("ensemble", drawn, members[:1], alpha=1, **knobs)["teacher"],
              terms("kd", drawn, temperature=temperature, alpha=1)["teacher"])  # fmt: skip
        both = terms("ensemble", drawn, members, **knobs)
        close(both["teacher"], 0.9 * value)
        close(both["labels"], 0.1 * CE)


def test_mean_losses_and_mean_probabilities_differ_by_what_has_no_student_in_it(drawn):
    s = drawn["s"].clone().requires_grad_()
    slopes = []
    for mean in ("probabilities", "losses"):
        found = terms("ensemble", drawn, [drawn["t"], drawn["t2"]], student=s, alpha=1, mean=mean)
        slopes.append(torch.autograd.grad(found["teacher"], s)[0])
    assert_close(*slopes, rtol=1e-4, atol=1e-7)


# --------------------------------------------------------------------------------- annealing


@pytest.mark.parametrize(
    ("progress", "summed", "mean"),
    [
        (0.0, 13.095099, 1.3095099),
        (0.75 * 3.5 / 7, 36.967163, 3.6967168),
        (0.74, 88.193687, 8.8193684),
    ],
)
def test_annealing_scales_the_target(drawn, progress, summed, mean):
    for convention, value in (("paper", summed), ("code", mean)):
        found = terms("annealing", drawn, None, progress, "teacher", convention=convention)
        assert list(found) == ["teacher"]
        close(found["teacher"], value)
    assert terms("annealing", drawn, None, 0.9, "labels") == {"labels": pytest.approx(CE)}


def test_the_temperature_falls_in_equal_steps_to_one(drawn):
    shares = []
    for i in range(14):
        found = terms("annealing", drawn, None, 0.75 * (i + 0.5) / 14, "teacher", hottest=7,
                      student=torch.zeros(B, C))  # fmt: skip
        shares.append(round(7 * math.sqrt(found["teacher"] / float((drawn["t"] ** 2).sum() / B))))
    assert shares == [1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6, 7, 7]


# ------------------------------------------------------------------------------- divergences

DIAL = [
    (0, 1.8764211, 0.22947397),
    (0.001, 1.8708156, 0.22942074),
    (0.1, 1.5967002, 0.22507398),
    (0.5, 1.4076677, 0.21994445),
    (0.9, 1.7504503, 0.23135672),
    (0.999, 2.7001088, 0.23835503),
    (1, 2.9008466, 0.23844140),
]


@pytest.mark.parametrize(("beta", "cold", "warm"), DIAL)
def test_the_dial_of_divergences(drawn, beta, cold, warm):
    """In float32 too: the plain formula loses five digits near its ends."""
    for kind in (drawn, doubles(drawn)):
        close(terms("divergence", kind, temperature=1, alpha=1, beta=beta)["teacher"], cold, 3e-6)
        close(
            terms("divergence", kind, temperature=4, alpha=1, beta=beta)["teacher"],
            16 * warm,
            3e-6,
        )


def test_the_dials_ends_and_middle_have_names(drawn):
    log_p, log_q = (soft_log_probs(drawn[k].double()) for k in "ts")
    assert_close(between(log_p, log_q, 0.0), kl(log_p, log_q))
    assert_close(between(log_p, log_q, 1.0), kl(log_q, log_p))
    middle = torch.logaddexp(log_p, log_q) - math.log(2)
    shannon = (kl(log_p, middle) + kl(log_q, middle)) / 2
    assert_close(between(log_p, log_q, 0.5), 4 * shannon)


@pytest.mark.parametrize("beta", [1e-12, 1e-8, 1e-6, 1e-4, 0.01, 0.3])
def test_the_dial_is_continuous_symmetric_and_exactly_zero_for_equals(drawn, beta):
    log_p, log_q = (soft_log_probs(drawn[k].double()) for k in "ts")
    forth, back = between(log_p, log_q, beta), between(log_q, log_p, 1 - beta)
    assert_close(forth, back, rtol=1e-6, atol=1e-9)
    assert abs(float(forth - between(log_p, log_q, 0.0))) <= 6 * beta + 1e-9  # its slope is -5.7
    mixed = torch.logaddexp(log_p + math.log(beta), log_q + math.log1p(-beta))
    plain = (beta * kl(log_p, mixed) + (1 - beta) * kl(log_q, mixed)) / (beta * (1 - beta))
    if beta >= 1e-4:
        assert_close(forth, plain, rtol=1e-7, atol=1e-9)
    for kind in (torch.float32, torch.float64):
        same = log_p.to(kind)
        assert float(between(same, same, beta)) == 0


@pytest.mark.parametrize("beta", [0.001, 0.1, 0.5])
def test_sure_of_different_classes_reaches_the_dials_bound(beta):
    """There, and only there, the binary entropy over β(1 − β); and no gradient but at β = 0."""
    p, z = torch.tensor([[2e4, 0.0]]), torch.tensor([[0.0, 2e4]], requires_grad=True)
    value = between(soft_log_probs(p), soft_log_probs(z), beta)
    least = -(beta * math.log(beta) + (1 - beta) * math.log(1 - beta)) / (beta * (1 - beta))
    close(value.item(), least)
    assert float(torch.autograd.grad(value, z)[0].norm()) < 1e-6
    forward = between(soft_log_probs(p), soft_log_probs(z), 0.0)
    assert float(torch.autograd.grad(forward, z)[0].norm()) > 1


@pytest.mark.parametrize(
    ("beta", "norm"), [(0, 0.27450), (0.1, 0.16322), (0.5, 0.10813), (0.9, 0.12726), (1, 0.30797)]
)
def test_the_dials_gradient(drawn, beta, norm):
    s = drawn["s"].clone().requires_grad_()
    found = terms("divergence", drawn, student=s, temperature=1, alpha=1, beta=beta)
    (slope,) = torch.autograd.grad(found["teacher"], s)
    assert abs(float(slope.norm()) - norm) < 1e-5


# ------------------------------------------------------------------------------ teacher-free


def test_the_virtual_teacher(drawn):
    close(sum(terms("virtual-teacher", drawn).values()), 2.6771743)
    close(terms("virtual-teacher", drawn, alpha=1)["virtual"], 0.51390743)
    close(sum(terms("virtual-teacher", drawn, convention="code").values()), 3.1298323)


def test_the_virtual_teacher_is_label_smoothing_of_another_strength(drawn):
    """Its gradient is that of smoothing with what the softened teacher leaves the others."""
    s = drawn["s"].double().requires_grad_()
    odds = (0.99 / (0.01 / 9)) ** (1 / 20)
    epsilon = 10 / (odds + 9)
    found = terms("virtual-teacher", drawn, student=s, alpha=1)["virtual"]
    smooth = terms("label-smoothing", drawn, student=s, epsilon=epsilon)
    slopes = [torch.autograd.grad(loss, s)[0] for loss in (found, sum(smooth.values()))]
    assert_close(*slopes, rtol=1e-9, atol=1e-12)


# --------------------------------------------------------------------------------- relations


def flat(drawn, kind):
    """Feature maps as one vector a sample, (B, 1, D)."""
    return drawn[kind].flatten(1).unsqueeze(1)


def related(name, drawn, **knobs):
    s, f = knobs.pop("s", drawn["s"]), knobs.pop("f", flat(drawn, "fs"))
    student = Outputs(s, {"last": f})
    teacher = Outputs(drawn["t"], {"last": flat(drawn, "ft")})
    return METHODS[name](**knobs).loss(student, teacher, Batch(s, drawn["y"]), None)


def test_relational_kd(drawn):
    found = related("rkd", drawn, distance=1, angle=1)
    close(float(found["distances"]), 0.00072627160)
    close(float(found["angles"]), 0.00081355043)
    close(float(found["labels"]), CE)
    found = related("rkd", drawn, distance=1, angle=1, convention="paper")
    close(float(found["distances"]), 0.046481382)
    close(float(found["angles"]), 0.41653779)


def test_similarities(drawn):
    close(float(related("similarity", drawn, weight=1)["similarities"]), 0.0054895, rel=2e-5)


def test_correlation_congruence(drawn):
    found = related("correlation-congruence", drawn, weight=1)["correlations"]
    close(float(found), 0.00070209929, rel=2e-5)
    s, t = drawn["s"].double(), drawn["t"].double()
    close(float(kernel_gap(s, t, 0.4)), 0.018740324)
    exact = [
        torch.exp(-0.4 * torch.cdist(F.normalize(f, dim=-1), F.normalize(f, dim=-1)).square())
        for f in (s, t)
    ]
    many = kernel_gap(s, t, 0.4, powers=30)  # the series is that of a Gaussian
    assert_close(many, (exact[0] - exact[1]).square().mean(), rtol=1e-9, atol=1e-12)


def test_neighbours(drawn):
    close(float(related("pkt", drawn, weight=1)["neighbours"]), 0.00029300241, rel=3e-5)
    found = related("pkt", drawn, weight=1, convention="paper")["neighbours"]
    close(float(found), 0.02324884, rel=3e-5)
    one = Outputs(drawn["s"][:1], {"last": flat(drawn, "fs")[:1]})
    with pytest.raises(BadInput, match="PKT: a batch of 1: expected at least 2"):
        METHODS["pkt"]().loss(one, one, Batch(drawn["s"][:1], drawn["y"][:1]), None)


def mapped(name, drawn, place=None, **knobs):
    """A method of maps; `place` permutes the student's channels."""
    f_s, f_t = (drawn[k].flatten(2).transpose(1, 2) for k in ("fs", "ft"))
    f_s = f_s if place is None else f_s[..., place]
    student = Outputs(drawn["s"], {"map": f_s}, {"map": (7, 7)})
    teacher = Outputs(drawn["t"], {"map": f_t}, {"map": (7, 7)})
    return METHODS[name](**knobs).loss(student, teacher, Batch(f_s, drawn["y"]), None)


def test_attention(drawn):
    close(float(mapped("attention", drawn, weight=1)["attention"]), 0.0086026, rel=2e-5)
    found = mapped("attention", drawn, weight=2, convention="paper")["attention"]
    close(float(found), 0.6473963)


def test_selectivity(drawn):
    close(float(mapped("nst", drawn, weight=1)["selectivity"]), 0.24388236, rel=2e-5)


@pytest.mark.parametrize("name", ["attention", "nst"])
def test_which_channel_sees_it_is_irrelevant(drawn, name):
    kind = doubles(drawn)
    once, other = mapped(name, kind), mapped(name, kind, torch.tensor([3, 1, 5, 0, 2, 4]))
    for term in once:
        assert_close(other[term], once[term])


@pytest.mark.parametrize("name", ["attention", "nst"])
def test_a_larger_map_is_pooled_and_what_is_no_map_is_refused(name):
    large, small = torch.randn(5, 4, 8, 8), torch.randn(5, 3, 4, 4)
    logits, y = torch.randn(5, 6), torch.zeros(5).long()

    def said(value):
        return Outputs(logits, {"map": value.flatten(2).mT}, {"map": tuple(value.shape[2:])})

    pooled = said(F.avg_pool2d(large, 2))
    for pair in ((said(small), said(large)), (said(large), said(small))):
        even = [pooled if one.grids["map"] == (8, 8) else one for one in pair]
        found, right = (
            METHODS[name]().loss(*both, Batch(large, y), None) for both in (pair, even)
        )
        for term in found:
            assert_close(found[term], right[term])
    bare = Outputs(logits, {"hidden1": torch.randn(5, 1, 3)})
    with pytest.raises(BadInput, match="compares maps .* has none; take CNNs"):
        METHODS[name]().loss(bare, bare, Batch(logits, y), None)
    with pytest.raises(BadInput, match="layer 'hidden1' is none; take CNNs"):
        METHODS[name](layers=(("hidden1", "hidden1"),)).loss(bare, bare, Batch(logits, y), None)


@pytest.mark.parametrize("name", ["rkd", "similarity", "correlation-congruence", "pkt"])
def test_a_rotation_of_the_features_changes_no_relation(drawn, name):
    kind = doubles(drawn)
    f = flat(kind, "fs")
    turn, _ = torch.linalg.qr(torch.randn(f.shape[-1], f.shape[-1], dtype=torch.float64))
    once, turned = related(name, kind), related(name, kind, f=f @ turn)
    for term in once:
        assert_close(turned[term], once[term], rtol=1e-9, atol=1e-12)


def test_what_else_leaves_relations_as_they_are(drawn):
    kind = doubles(drawn)
    f = flat(kind, "fs")
    once, moved = related("rkd", kind), related("rkd", kind, f=3 * f + 5)
    for term in once:
        assert_close(moved[term], once[term], rtol=1e-9, atol=1e-12)
    for name in ("similarity", "correlation-congruence"):
        term = next(iter(related(name, kind)))
        assert_close(related(name, kind, f=3 * f)[term], related(name, kind)[term])
    same = Outputs(kind["s"], {"last": f})
    batch = Batch(kind["s"], kind["y"])
    for name in ("rkd", "similarity", "correlation-congruence"):
        *relations, _ = METHODS[name]().loss(same, same, batch, None).values()
        assert all(float(value) == 0 for value in relations)


@pytest.mark.parametrize("near", [0.0, 1e-6, 1e-4, 1e-3, 5e-3])
def test_angles_of_twins_do_not_explode(drawn, near):
    """Without a mask the gradient is 10⁹ times as large for twins, 10⁵ for near ones."""
    kind = doubles(drawn)
    f_s, f_t = flat(kind, "fs").squeeze(1), flat(kind, "ft").squeeze(1)

    def slope(f):
        f = f.clone().requires_grad_()
        return float(torch.autograd.grad(angles(f, f_t), f)[0].norm())

    twin = f_s.clone()
    mean = torch.pdist(f_s).mean()
    aside = torch.randn_like(f_s[0])
    twin[1] = f_s[0] + near * mean * aside / aside.norm()
    assert slope(twin) < 2 * slope(f_s)
    assert slope(torch.ones_like(f_s)) == 0 == float(angles(torch.ones_like(f_s), f_t))


@pytest.mark.parametrize("count", [2, 129])
def test_angles_need_three_samples_and_not_too_many(count):
    said = Outputs(torch.randn(count, 5), {"last": torch.randn(count, 1, 3)})
    with pytest.raises(BadInput, match=f"RKD: a batch of {count}: expected 3 to 128"):
        METHODS["rkd"]().loss(said, said, Batch(said.logits, torch.zeros(count).long()), None)


@pytest.mark.parametrize("count", [2, 129])
def test_distances_alone_need_two_samples_and_no_limit(count):
    said = Outputs(torch.randn(count, 5), {"last": torch.randn(count, 1, 3)})
    other = Outputs(said.logits, {"last": torch.randn(count, 1, 3)})
    batch = Batch(said.logits, torch.zeros(count).long())
    found = METHODS["rkd"](angle=0).loss(said, other, batch, None)
    assert float(found["angles"]) == 0 and (count == 2 or float(found["distances"]) > 0)
    with pytest.raises(BadInput, match="RKD: a batch of 1: expected at least 2"):
        one = Outputs(said.logits[:1], {"last": said.features["last"][:1]})
        METHODS["rkd"](angle=0).loss(one, one, Batch(one.logits, batch.y[:1]), None)


def test_layers_are_paired_by_name_and_the_last_ones_by_default():
    here, there = ({f"hidden{k}": torch.randn(6, 1, width) for k in (1, 2)} for width in (3, 4))
    student, teacher = Outputs(torch.randn(6, 5), here), Outputs(torch.randn(6, 5), there)
    batch = Batch(student.logits, torch.zeros(6).long())

    def asked(**knobs):
        return METHODS["similarity"](**knobs).loss(student, teacher, batch, None)["similarities"]

    last = asked(layers=(("hidden2", "hidden2"),))
    assert torch.equal(asked(), last)
    first = asked(layers=(("hidden1", "hidden2"),))
    assert not torch.equal(first, last)
    assert_close(asked(layers=(("hidden1", "hidden2"), ("hidden2", "hidden2"))), first + last)
    assert METHODS["similarity"].parse("layers=hidden1:hidden2+hidden2:hidden2").layers == (
        ("hidden1", "hidden2"), ("hidden2", "hidden2"),
    )  # fmt: skip
    with pytest.raises(
        BadInput, match=r"Similarity\(layers=…\): teacher's layer 'hidden3' is not"
    ):
        asked(layers=(("hidden1", "hidden3"),))
    bare = Outputs(student.logits)
    with pytest.raises(BadInput, match="compares features, but the student gives none"):
        METHODS["similarity"]().loss(bare, teacher, batch, None)


WITHIN = [(name, model) for name in ("rkd", "similarity", "correlation-congruence", "pkt")
          for model in ("mlp-4", "cnn-4")]  # fmt: skip


@pytest.mark.parametrize(("name", "model"), [*WITHIN, ("attention", "cnn-4"), ("nst", "cnn-4")])
def test_features_are_trained_with_in_stacks(name, model):
    method, teacher = METHODS[name], Recipe("cnn-8", seed=77, steps=3, events=1)
    recipes = [
        Recipe(model, digits(20), method(), (teacher,), seed=s, steps=4, events=2) for s in (0, 1)
    ]
    lab.assert_one_by_one(recipes, teachers=lab.teachers(teacher))


# ---------------------------------------------------------------------- own earlier predictions


def past(drawn, progress=0.5, lead=(), index=None, n=20, alpha=0.8):
    """The method, its memory of what the teacher of the reference says, and a batch."""
    s, t, y = (drawn[k] for k in "sty")
    index = torch.arange(B) if index is None else index
    method, batch = METHODS["own-predictions"](alpha=alpha), Batch(s, y, index, progress=progress)
    student = Outputs(s.expand(*lead, B, C))
    memory = method.setup(student, None, batch, n, None)
    method.update(memory, None, Outputs(t.expand(*lead, B, C)), None, batch)
    return method, student, batch, memory


def test_own_predictions(drawn):
    method, student, batch, memory = past(drawn)
    found = method.loss(student, None, batch, memory)
    close(float(found["labels"]), 0.6 * CE)
    close(float(found["past"]), 0.4 * 2.8773859)
    close(float(sum(found.values())), 2.9014771)


def test_who_was_never_seen_has_labels_alone(drawn):
    method, student, batch, memory = past(drawn)
    memory.said[:4] = 0
    found = method.loss(student, None, batch, memory)
    whole = [F.cross_entropy(drawn["s"][k], drawn["y"][k], reduction="sum")
             for k in (slice(4), slice(4, 8))]  # fmt: skip
    close(float(found["labels"]), float(whole[0] + 0.6 * whole[1]) / B)
    fresh = method.setup(student, None, batch, 20, None)
    assert float(method.loss(student, None, batch, fresh)["past"]) == 0
    close(float(method.loss(student, None, batch, fresh)["labels"]), CE)
    blank = dataclasses.replace(batch, y=torch.full((B,), -1))  # a past needs no label
    found = method.loss(student, None, blank, memory)
    assert float(found["labels"]) == 0 < float(found["past"])


def test_each_student_remembers_its_own_answers_to_its_own_samples(drawn):
    index = torch.stack([torch.randperm(20)[:B] for _ in range(3)])
    method, student, batch, memory = past(drawn, lead=(3,), index=index)
    assert memory.said.shape == (3, 20, C)
    for i in range(3):
        assert_close(memory.said[i, index[i]], drawn["t"].softmax(-1))
        rest = [k for k in range(20) if k not in index[i].tolist()]
        assert float(memory.said[i, rest].abs().sum()) == 0
    close(method.loss(student, None, batch, memory)["past"].tolist(), [0.4 * 2.8773859] * 3)


def test_a_past_needs_to_know_which_sample_is_which(drawn):
    with pytest.raises(BadInput, match="OwnPredictions: remembers each sample"):
        METHODS["own-predictions"]().setup(
            Outputs(drawn["s"]), None, Batch(drawn["s"], drawn["y"]), 20, None
        )


def test_the_past_is_trained_with_in_stacks_and_survives_an_interruption():
    method = METHODS["own-predictions"]
    recipes = [Recipe("mlp-4", digits(20), method(), seed=s, steps=6, batch_size=5, events=3)
               for s in (0, 1)]  # fmt: skip
    lab.assert_one_by_one([*recipes, recipes[0].but(method=method(alpha=0.3))])
    events, state = lab.run(recipes)
    assert events[-1].terms["past"][0] > 0
    half = begin(recipes, dtype=torch.float64)
    training = train(half)
    next(training), next(training)
    again = begin(recipes, dtype=torch.float64)
    again.restore(half.tensors(), half.step)
    assert list(train(again))[-1] == events[-1]


# ------------------------------------------------------------------------- hot temperatures


@pytest.mark.parametrize(
    ("name", "knobs"),
    [
        ("dkd", {}),
        ("dist", {}),
        ("divergence", {"beta": 0.3}),
        ("ensemble", {"mean": "probabilities"}),
        ("ensemble", {"mean": "logits"}),
        ("logit-standardisation", {}),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
@pytest.mark.parametrize("temperature", [99, 1e3, 1e5])
def test_hot_answers_are_compared_in_float32_too(drawn, name, knobs, temperature):
    found = [sum(terms(name, kind, temperature=temperature, **knobs).values())
             for kind in (drawn, doubles(drawn))]  # fmt: skip
    assert found[0] == pytest.approx(found[1], rel=2e-3)
