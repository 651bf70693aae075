"""Methods that learn or remember something besides the student, each against its paper.

The reference numbers were computed apart from this package, from the papers' formulas and, where
a method has a convention `code`, by the authors' published code, on the inputs drawn below.
"""

import functools
import math

import lab
import numpy as np
import pytest
import torch
import torch.nn.functional as F
from lab import digits
from torch import nn
from torch.testing import assert_close

from workbench import METHODS, MODELS, Batch, Outputs, Recipe, Run
from workbench.base import BadInput, Build
from workbench.engine import begin, train
from workbench.evaluation import cost
from workbench.functional import contrast, cosine_gap, square_gap, surprise

B, C = 8, 10
CE = 2.9175375
LEARNT = ("crd", "deep-to-shallow", "fitnets", "hidden", "mean-teacher", "mutual", "simkd", "vid")


@pytest.fixture(scope="module")
def drawn():
    """The inputs of every reference value, drawn in one order in float32."""
    torch.manual_seed(0)
    randn = torch.randn
    found = {"s": randn(B, C), "t": randn(B, C) * 3, "y": torch.randint(0, C, (B,))}
    found |= {"fs": randn(B, 6, 7, 7), "ft": randn(B, 12, 7, 7), "t2": randn(B, C) * 3}
    found |= {"hs": randn(B, 5, 16), "ht": randn(B, 5, 16), "hw": randn(B, 5, 24)}
    found |= {"W": randn(24, 16) / 4, "zs": randn(B, 5, C), "zt": randn(B, 5, C) * 3}
    torch.randint(0, C, (B, 5))
    found |= {"b1": randn(B, 12, 7, 7)}
    for name, shape, width in (("V1", (12, 6), 6), ("V2", (12, 12), 12), ("V3", (12, 12), 12)):
        found[name] = randn(*shape) / width**0.5
    assert abs(float(found["t2"].sum()) + 10.505149) < 1e-4
    return found


def close(value, reference, rel=1e-5):
    value = value.item() if isinstance(value, torch.Tensor) else value
    assert value == pytest.approx(reference, rel=rel)


def maps(drawn, kind):
    """Maps (B, C, 7, 7) as features (B, 49, C)."""
    return drawn[kind].flatten(2).transpose(1, 2)


def seen(drawn):
    """Student and teacher with one map each, and the batch."""
    student = Outputs(drawn["s"], {"map": maps(drawn, "fs")}, {"map": (7, 7)})
    teacher = Outputs(drawn["t"], {"map": maps(drawn, "ft")}, {"map": (7, 7)})
    return student, teacher, Batch(drawn["s"], drawn["y"], torch.arange(B))


BUILD = Build([0], False, None)


# ------------------------------------------------------------------------------ hidden states


def test_hidden_states_by_square_and_cosine(drawn):
    hs, ht = drawn["hs"], drawn["ht"]
    close(square_gap(hs, ht), 1.9863170)
    close(cosine_gap(hs, ht), 0.97097713)
    length = torch.tensor([5, 4, 3, 5, 2, 5, 1, 4])
    valid = torch.arange(5) < length[:, None]
    close(square_gap(hs[valid][:, None], ht[valid][:, None]), 1.8598192)
    close(square_gap((hs @ drawn["W"].T)[valid][:, None], drawn["hw"][valid][:, None]), 2.0330846)


def test_the_cosine_ignores_length_and_the_square_does_not(drawn):
    hs, ht = drawn["hs"].double(), drawn["ht"].double()
    assert_close(cosine_gap(7 * hs, ht), cosine_gap(hs, ht))
    assert float(square_gap(7 * hs, ht)) > 2 * float(square_gap(hs, ht))
    assert float(cosine_gap(torch.zeros_like(hs), ht)) == 1  # not NaN


@pytest.mark.parametrize("distance", ["square", "cosine"])
def test_a_projection_can_undo_any_linear_map(drawn, distance):
    """Whatever linear copy of the teacher the student has, some projection finds it at no loss."""
    student, teacher, batch = seen(drawn)
    mix = torch.randn(12, 12)
    student = Outputs(drawn["s"], {"map": teacher.features["map"] @ mix}, {"map": (7, 7)})
    method = METHODS["hidden"](distance=distance)
    adapter = method.setup(student, teacher, batch, B, BUILD)
    (linear,) = [module for module in adapter.modules() if isinstance(module, nn.Linear)]
    with torch.no_grad():
        linear.weight.copy_(torch.linalg.inv(mix).T)
        linear.bias.zero_()
    assert method.loss(student, teacher, batch, adapter)["hidden"].item() < 1e-6


def test_positions_meet_at_the_smaller_grid_or_in_their_mean(drawn):
    student, teacher, batch = seen(drawn)
    small = F.adaptive_avg_pool2d(drawn["ft"], 3).flatten(2).transpose(1, 2)
    wide = Outputs(drawn["s"], {"map": teacher.features["map"]}, {"map": (7, 7)})
    less = Outputs(drawn["t"], {"map": small}, {"map": (3, 3)})
    hidden = METHODS["hidden"]()
    assert float(hidden.loss(wide, less, batch, None)["hidden"]) < 1e-9
    vector = Outputs(drawn["s"], {"last": teacher.features["map"].mean(1, keepdim=True)})
    assert float(hidden.loss(vector, teacher, batch, None)["hidden"]) < 1e-9


# ------------------------------------------------------------------------------------ FitNets


def hinted(drawn, stage="", **knobs):
    """FitNets with the reference's regressor."""
    student, teacher, batch = seen(drawn)
    method = METHODS["fitnets"](**knobs)
    adapter = method.setup(student, teacher, batch, B, BUILD)
    (linear,) = [module for module in adapter.modules() if isinstance(module, nn.Linear)]
    with torch.no_grad():
        linear.weight.copy_(drawn["V1"])
        linear.bias.zero_()
    batch = Batch(batch.x, batch.y, batch.index, stage=stage)
    return {k: v.item() for k, v in method.loss(student, teacher, batch, adapter).items()}


def test_hints_first_then_answers(drawn):
    found = hinted(drawn, "hints")
    close(found["hint"], 100 * 1.7663981)
    assert list(found) == ["hint"]
    close(hinted(drawn, "hints", convention="paper", weight=1)["hint"], 1.7663981 * 12 * 49 / 2)
    found = hinted(drawn, "answers", temperature=4, alpha=0.9)
    assert list(found) == ["teacher", "labels"]
    close(found["teacher"], 0.9 * 3.6715839)
    close(found["labels"], 0.1 * CE)


def test_joint_hints_are_both_at_once(drawn):
    assert [name for name, _, _ in METHODS["fitnets"]().plan()] == ["hints", "answers"]
    joint = METHODS["fitnets"](training="joint")
    assert [name for name, _, _ in joint.plan()] == [""]
    assert list(hinted(drawn, training="joint")) == ["hint", "teacher", "labels"]


def test_a_hint_moves_what_lies_below_it_and_the_regressor_rests_afterwards():
    teacher = Recipe("cnn-8", seed=77, steps=3, events=1)
    recipe = Recipe("cnn-4", digits(20), METHODS["fitnets"](), (teacher,), steps=6,
                    weight_decay=0, events=6)  # fmt: skip
    state = begin([recipe], lab.teachers(teacher), dtype=torch.float64)
    moved, stages = [], []
    for event in train(state):
        one = state.stacks[0]
        found = {k: v.clone() for k, v in one.network.named_parameters()}
        found |= {f"regressor {k}": v.clone() for k, v in one.parts[0].adapter.named_parameters()}
        moved.append(found)
        stages.append(event.stage)

    def changed(a, b):
        names = {k for k in moved[a] if not torch.equal(moved[a][k], moved[b][k])}
        return {k.split(".")[0] + k.split(".")[1] if "s." in k else k.split(" ")[0] for k in names}

    hints = changed(0, 2)
    assert {"convs0", "convs1", "regressor"} <= hints
    assert not {"convs2", "head.weight"} & hints
    answers = changed(2, 6)
    assert "convs2" in answers and "regressor" not in answers
    assert stages[1:] == ["hints", "hints", "answers", "answers", "answers", "answers"]


# ---------------------------------------------------------------------------------------- VID


def test_variational_information(drawn):
    student, teacher, batch = seen(drawn)
    method = METHODS["vid"]()
    adapter = method.setup(student, teacher, batch, B, BUILD)
    layers = [module for module in adapter.modules() if isinstance(module, nn.Linear)]
    with torch.no_grad():
        for layer, name in zip(layers, ("V1", "V2", "V3"), strict=True):
            layer.weight.copy_(drawn[name])
    close(method.loss(student, teacher, batch, adapter)["information"], 0.93117714)
    paper = METHODS["vid"](convention="paper", weight=1)
    close(paper.loss(student, teacher, batch, adapter)["information"], 547.53210)
    assert {name for name, p in adapter.named_parameters() if "scale" in name and p.requires_grad}


def test_a_channel_that_cannot_be_predicted_gets_its_own_variance():
    """The best variance is the mean square of the error: with it, a loud channel counts little."""
    errors = torch.randn(500, 1, 2, dtype=torch.float64) * torch.tensor([0.1, 10.0])
    scale = torch.zeros(2, dtype=torch.float64, requires_grad=True)
    optimiser = torch.optim.LBFGS([scale], max_iter=200, line_search_fn="strong_wolfe")

    def loss():
        optimiser.zero_grad()
        value = surprise(errors, torch.zeros(()), scale.exp())
        value.backward()
        return value

    optimiser.step(loss)
    assert_close(scale.exp().detach(), errors.square().mean((0, 1)), rtol=1e-4, atol=0)


# ---------------------------------------------------------------------------------------- CRD


def crd(drawn, n=20, lead=(), index=None, **knobs):
    student, teacher, batch = seen({k: v.double() if v.is_floating_point() else v
                                    for k, v in drawn.items()})  # fmt: skip
    if lead:
        student = student.each(lambda v: v.expand(*lead, *v.shape))
        teacher = teacher.each(lambda v: v.unsqueeze(0))
    index = torch.arange(B) if index is None else index
    batch = Batch(batch.x, batch.y, index)
    method = METHODS["crd"](**knobs)
    seeds = list(range(lead[0])) if lead else [0]
    adapter = method.setup(student, teacher, batch, n, Build(seeds, bool(lead), None)).double()
    return method, student, teacher, batch, adapter


def test_contrast_is_the_papers_formula(drawn):
    """Against the sum over h₊ and 1 − h, written out one by one."""
    scores = np.exp(np.random.RandomState(0).randn(5, 1 + 7))
    n, m = 30, 7
    h = scores / (scores + m / n)
    by_hand = -(np.log(h[:, 0]).sum() + np.log(1 - h[:, 1:]).sum()) / 5
    close(contrast(torch.from_numpy(np.log(scores)), n), by_hand, rel=1e-12)


def test_contrastive_representation(drawn):
    """Against NumPy: embeddings, memories, Z of the first batch, others by their shift."""
    n, tau = 20, 0.07
    method, student, teacher, batch, adapter = crd(drawn, n)
    draw = torch.Generator().manual_seed(0)
    shift = (torch.randperm(n - 1, generator=draw) + 1).numpy()

    def view(linear, features):
        weight, bias = (p.detach().numpy() for p in linear.each[0].parameters())
        found = features.mean(1).numpy() @ weight.T + bias
        return found / np.linalg.norm(found, axis=1, keepdims=True)

    total = 0.0
    v_s = view(adapter[0].student, student.features["map"])
    v_t = view(adapter[0].teacher, teacher.features["map"])
    for v, memory in ((v_s, adapter[0].teacher_memory), (v_t, adapter[0].student_memory)):
        rows = np.concatenate([np.zeros(1, int), shift])[None] + np.arange(B)[:, None]
        out = np.exp(np.einsum("bd,bmd->bm", v, memory.numpy()[rows % n]) / tau)
        out = out / (out.mean() * n)
        noise = (n - 1) / n
        total -= np.log(out[:, 0] / (out[:, 0] + noise)).sum() / B
        total -= np.log(noise / (out[:, 1:] + noise)).sum() / B
    close(method.loss(student, teacher, batch, adapter)["contrast"], 0.8 * total, rel=1e-9)


def test_the_gradient_of_the_contrast(drawn):
    """−Σ (1 − h₊) m₊/τ + Σ h_j m_j/τ, in the view; so the own memory draws, others repel."""
    method, student, teacher, batch, adapter = crd(drawn)
    adapter[0].constants += 1.0
    adapter[0].step += 1
    f = student.features["map"].clone().requires_grad_()
    seen_ = Outputs(student.logits, {"map": f}, student.grids)

    def loss(value):
        one = Outputs(student.logits, {"map": value}, student.grids)
        return method.loss(one, teacher, batch, adapter)["contrast"]

    assert torch.autograd.gradcheck(loss, (f[:, :2].detach().requires_grad_(),))
    slope = torch.autograd.grad(method.loss(seen_, teacher, batch, adapter)["contrast"], f)[0]
    assert bool((slope.flatten(1).norm(dim=1) > 0).all())
    log_scores = torch.tensor([[0.3, -1.2, 2.0]], dtype=torch.float64, requires_grad=True)
    found = torch.autograd.grad(contrast(log_scores, 10), log_scores)[0]
    h = log_scores.exp() / (log_scores.exp() + 0.2)
    assert_close(found, torch.cat([h[:, :1] - 1, h[:, 1:]], 1).detach())


def test_z_is_that_of_the_first_batch(drawn):
    method, student, teacher, batch, adapter = crd(drawn)
    method.loss(student, teacher, batch, adapter)
    method.update(adapter, None, student, teacher, batch)
    first = adapter[0].constants.clone()
    method.loss(student, teacher, batch, adapter)
    assert int(adapter[0].step) == 1 and bool((first != 0).all())
    method.update(adapter, None, student, teacher, batch)
    assert torch.equal(adapter[0].constants, first) and int(adapter[0].step) == 2


def test_memories_move_towards_the_views_and_keep_their_length(drawn):
    method, student, teacher, batch, adapter = crd(drawn, momentum=0.25)
    before = adapter[0].student_memory.clone()
    with torch.no_grad():
        view = adapter[0].views(student.features["map"].mean(1), teacher.features["map"].mean(1))[
            0
        ]
        method.loss(student, teacher, batch, adapter)
        for weights in adapter.parameters():
            weights.mul_(2).add_(0.1)  # the step: what is remembered was said before it
        method.update(adapter, None, student, teacher, batch)
    moved = F.normalize(0.25 * before[:B] + 0.75 * view, dim=-1)
    assert_close(adapter[0].student_memory[:B], moved)
    assert torch.equal(adapter[0].student_memory[B:], before[B:])
    assert_close(adapter[0].teacher_memory.norm(dim=-1), torch.ones(20, dtype=torch.float64))


def test_others_are_never_the_sample_itself(drawn):
    """Its own memory moved far away: no other sample's score may see it."""
    method, student, teacher, batch, adapter = crd(drawn)
    pair = (student.features["map"].mean(1), teacher.features["map"].mean(1))
    for step in range(5):
        adapter[0].step.fill_(step)
        before, _ = adapter[0](batch.index, pair, 1024, 0.07)
        kept = adapter[0].teacher_memory[3].clone()
        adapter[0].teacher_memory[3] = -kept
        after, _ = adapter[0](batch.index, pair, 1024, 0.07)
        adapter[0].teacher_memory[3] = kept
        assert before.shape == (2, B, 20)
        assert torch.equal(before[0, 3, 1:], after[0, 3, 1:])
        assert not torch.equal(before[0, 3, 0], after[0, 3, 0])


def test_fewer_others_and_own_batches(drawn):
    index = torch.stack([torch.randperm(200)[:B] for _ in range(3)])
    method, student, teacher, batch, adapter = crd(drawn, 200, (3,), index, others="64")
    batch = Batch(batch.x, batch.y.expand(3, B), index)
    teacher = teacher.each(lambda v: v.expand(3, *v.shape[1:]))
    pair = (student.features["map"].mean(-2), teacher.features["map"].mean(-2))
    said, log_z = adapter[0](index, pair, 64, 0.07)
    assert said.shape == (2, 3, B, 65) and log_z.shape == (2, 3)
    before = adapter[0].student_memory.clone()
    method.loss(student, teacher, batch, adapter)
    method.update(adapter, None, student, teacher, batch)
    for i in range(3):
        moved = (adapter[0].student_memory[i] != before[i]).any(-1).nonzero().flatten()
        assert moved.tolist() == sorted(index[i].tolist())


def test_contrast_needs_to_know_which_sample_is_which(drawn):
    student, teacher, batch = seen(drawn)
    with pytest.raises(BadInput, match="Crd: tells each sample from the others of 20"):
        METHODS["crd"]().setup(student, teacher, Batch(batch.x, batch.y), 20, BUILD)
    with pytest.raises(BadInput, match="Crd: tells each sample from the others of 1,"):
        METHODS["crd"]().setup(student, teacher, batch, 1, BUILD)


# -------------------------------------------------------------------------- re-used classifier


def test_the_projected_feature_is_the_teachers(drawn):
    student, teacher, batch = seen(drawn)
    found = {**student.features, "projected": student.features["map"] @ drawn["V1"].T}
    student = Outputs(drawn["s"], found, {"map": (7, 7), "projected": (7, 7)})
    close(METHODS["simkd"]().loss(student, teacher, batch, None)["features"], 1.7663981)


@pytest.mark.parametrize(("student", "teacher"), [("mlp-4", "cnn-8"), ("cnn-4", "mlp-16"),
                                                  ("cnn-4", "cnn-8")])  # fmt: skip
def test_a_student_answers_with_the_teachers_classifier(student, teacher):
    """Given the teacher's feature it gives the teacher's logits, before and after training."""
    taught = Recipe(teacher, seed=77, steps=3, events=1)
    recipe = Recipe(student, digits(20), METHODS["simkd"](), (taught,), steps=4, events=2)
    known = lab.teachers(taught)
    state = begin([recipe], known, dtype=torch.float64)
    other = known[next(iter(known))].network.double()
    last = [*other(torch.rand(5, 1, 8, 8).double(), True).features.values()][-1].mean(-2)
    before = {k: v.clone() for k, v in state.network(0).state_dict().items()}
    list(train(state))
    found = state.network(0)
    assert_close(found.classify(last), other.classify(last), rtol=1e-5, atol=1e-5)
    moved = {k for k, v in found.state_dict().items() if not torch.equal(v, before[k])}
    assert not any(name.startswith("head.") for name in moved)
    assert {name.split(".")[0] for name in moved} == {"body", "projector", "norms"}
    said = found.eval()(torch.rand(5, 1, 8, 8).double(), features=True)
    assert_close(found.classify(said.features["projected"].mean(-2)), said.logits)


def test_what_is_kept_is_projector_and_classifier_too(home):
    taught = Recipe("cnn-8", seed=77, steps=3, events=1)
    recipe = Recipe("cnn-4", digits(20), METHODS["simkd"](), (taught,), steps=4, events=2)
    run = Run([recipe, recipe.but(seed=1)]).drain()
    seen_ = run.events()[-1].accuracy["test"]
    y = recipe.data.parts()["test"].y
    for i, logits in enumerate(run.logits()):
        assert float((logits.argmax(-1) == y).double().mean()) == pytest.approx(seen_[i])
    plain = sum(p.numel() for p in MODELS["cnn-4"]((1, 8, 8), 10).parameters())
    assert cost.parameters(run.student()) > plain


# -------------------------------------------------------------------------- oneself as teacher


class Says(nn.Module):
    """A network that gives one answer."""

    def __init__(self, logits):
        super().__init__()
        self.logits = nn.Parameter(logits.clone())

    def forward(self, x, features=False):
        return Outputs(self.logits)


def alone(name, drawn, says, progress=1.0, **knobs):
    """A method whose other network, a peer or an average, says what it is told to."""
    method = METHODS[name](**knobs)
    student, batch = Outputs(drawn["s"]), Batch(drawn["s"], drawn["y"], progress=progress)
    build = Build([0], False, lambda fresh: Says(says))
    adapter = method.setup(student, None, batch, B, build)
    return {k: float(v) for k, v in method.loss(student, None, batch, adapter).items()}


def test_mutual_learning(drawn):
    found = alone("mutual", drawn, drawn["t"])
    close(found["labels"] + found["peer"], 4.7939587)
    close(found["peer's labels"] + found["peer's student"], 6.9371672)


def test_a_peer_starts_elsewhere_and_learns_and_neither_teaches_itself():
    recipes = [Recipe("mlp-4", digits(20), METHODS["mutual"](), seed=s, steps=40, events=4)
               for s in (0, 1)]  # fmt: skip
    state = begin(recipes, dtype=torch.float64)
    one = state.stacks[0]
    peer = dict(one.parts[0].adapter.named_parameters())
    for name, value in one.network.named_parameters():
        assert not torch.equal(value, peer[f"network.{name}"])
    first, *_, last = (event.terms for event in list(train(state))[1:])
    for name in ("labels", "peer's labels"):
        assert all(b < a for a, b in zip(first[name], last[name], strict=True)), name


def test_the_terms_of_each_reach_it_alone(drawn):
    method = METHODS["mutual"]()
    s = drawn["s"].clone().requires_grad_()
    batch = Batch(s, drawn["y"])
    adapter = method.setup(Outputs(s), None, batch, B, Build([0], False, lambda _: Says(-s)))
    found = method.loss(Outputs(s), None, batch, adapter)
    for name, who in (("peer", s), ("labels", s), ("peer's labels", adapter.network.logits),
                      ("peer's student", adapter.network.logits)):  # fmt: skip
        both = torch.autograd.grad(found[name], [s, adapter.network.logits], allow_unused=True,
                                   retain_graph=True)  # fmt: skip
        moved = [value is not None and bool(value.abs().sum() > 0) for value in both]
        assert moved == [who is s, who is not s], name


def test_mean_teacher(drawn):
    close(alone("mean-teacher", drawn, drawn["t"])["average"], 100 * 0.060281981)
    for progress, ramp in ((0, 0.0067379), (0.06, 0.0407622), (0.15, 0.2865048), (0.3, 1)):
        found = alone("mean-teacher", drawn, drawn["t"], progress=progress)["average"]
        close(found, 100 * 0.060281981 * ramp, rel=1e-4)
    assert alone("mean-teacher", drawn, drawn["t"], 0, ramp_up=0)["average"] > 6  # at once


@pytest.mark.parametrize(
    ("decay", "expected"),
    [(0.999, [0.5, 1, 1.5, 2, 2.5]), (0.0, [1, 2, 3, 4, 5]), (0.5, [0.5, 1.25, 2.125, 3.0625])],
)
def test_the_average_is_a_plain_mean_at_first(decay, expected):
    says = nn.Linear(1, 1, bias=False)
    nn.init.zeros_(says.weight)
    batch = Batch(torch.zeros(B, 1), torch.zeros(B).long())
    student = Outputs(torch.zeros(B, C))
    method = METHODS["mean-teacher"](decay=decay)
    network = functools.partial(nn.Linear, 1, 1, bias=False)
    adapter = method.setup(student, None, batch, B, Build([0], False, lambda _: network()))
    nn.init.zeros_(adapter.network.weight)
    for theta, mean in zip(range(1, 6), expected, strict=False):
        nn.init.constant_(says.weight, theta)
        with torch.no_grad():
            method.update(adapter, says, student, None, batch)
        close(adapter.network.weight, mean)
    assert not any(p.requires_grad for p in adapter.parameters())


class Shallow(nn.Module):
    """Heads that say what they are told to."""

    def __init__(self, said, like):
        super().__init__()
        self.found = [said], [like]

    def forward(self, seen):
        return self.found


def test_deep_to_shallow(drawn):
    like = drawn["b1"].flatten(1)
    student = Outputs(
        drawn["t"], {"a": torch.zeros(B, 1, 3), "b": drawn["ft"].flatten(1)[:, None]}
    )
    batch = Batch(drawn["t"], drawn["y"])
    heads = Shallow(drawn["s"], like)

    def total(**knobs):
        found = METHODS["deep-to-shallow"](weight=0, **knobs).loss(student, None, batch, heads)
        return float(sum(found.values()))

    close(total(), 6.1955881)
    close(total(convention="scaled"), 7.1315165)
    found = METHODS["deep-to-shallow"](weight=1).loss(student, None, batch, heads)
    close(found["features"], 98.361603**2 / B)


def test_the_deepest_teaches_and_is_not_taught(drawn):
    """Its logits and features get a gradient from the labels alone."""
    t = drawn["t"].clone().requires_grad_()
    deep = drawn["ft"].flatten(1)[:, None].clone().requires_grad_()
    student = Outputs(t, {"a": torch.zeros(B, 1, 3), "b": deep})
    heads = Shallow(drawn["s"].clone().requires_grad_(), drawn["b1"].flatten(1))
    found = METHODS["deep-to-shallow"]().loss(student, None, Batch(t, drawn["y"]), heads)
    soft = found["deepest"] + found["features"] + found["heads"]
    slopes = torch.autograd.grad(soft, [t, deep], allow_unused=True)
    assert all(slope is None or not slope.any() for slope in slopes)
    with pytest.raises(BadInput, match="1 layers with features: expected at least 2"):
        METHODS["deep-to-shallow"]().setup(
            Outputs(t, {"a": deep}), None, Batch(t, drawn["y"]), B, BUILD
        )


# --------------------------------------------------------------------------- all, in training


def some(name, model="cnn-4", **more):
    method, teacher = METHODS[name](), Recipe("cnn-8", seed=77, steps=3, events=1)
    taught = (teacher,) if "teacher" in method.needs else ()
    given = {"steps": 6, "batch_size": 5, "events": 3, **more}
    recipes = [Recipe(model, digits(20), method, taught, seed=s, **given) for s in (0, 1)]
    return recipes, lab.teachers(teacher)


@pytest.mark.parametrize("model", ["mlp-64-64", "cnn-4"])
@pytest.mark.parametrize("name", LEARNT)
def test_they_are_trained_in_stacks(name, model):
    recipes, teachers = some(name, model)
    state = lab.assert_one_by_one(recipes, teachers=teachers)
    assert len(state.stacks) == 1


@pytest.mark.parametrize("name", LEARNT)
def test_they_survive_an_interruption(name):
    recipes, teachers = some(name)
    events, state = lab.run(recipes, teachers=teachers)
    half = begin(recipes, teachers, dtype=torch.float64)
    training = train(half)
    next(training), next(training)
    again = begin(recipes, teachers, dtype=torch.float64)
    again.restore(half.tensors(), half.step)
    assert list(train(again))[-1] == events[-1]
    for key, value in state.tensors().items():
        assert torch.equal(value, again.tensors()[key]), key


def test_a_memory_holds_the_samples_that_are_shown_and_no_others():
    """Whoever is no sample of this training is nobody's other, whatever lies between."""
    recipes, teachers = some("crd", "mlp-4")
    others = [r.but(data=digits(30)) for r in recipes]
    gaps = [recipes[0].but(data=digits(30, left_out=(k,))) for k in (3, 8)]
    group = [*recipes, *others, *gaps]
    state = lab.assert_one_by_one(group, teachers=teachers)
    parts = [part for stack in state.stacks for part in stack.parts]
    sizes = [part.adapter[0].n for part in parts]
    assert sorted(sizes) == sorted({len(r.data.transfer()[0]) for r in group})
    for part in parts:
        memory = part.adapter[0].student_memory
        draw = torch.Generator().manual_seed(part.adapter[0].n)
        start = F.normalize(torch.randn(memory.shape[-2:], generator=draw), dim=-1).to(memory)
        for one in memory:  # after six steps of five only the rest of an epoch has not moved
            assert int(((one - start).abs().amax(-1) > 1e-6).sum()) >= len(one) // 5 * 5


def test_networks_of_two_methods_do_not_share_a_stack():
    recipes, _ = some("mutual", "mlp-4")
    others, _ = some("mean-teacher", "mlp-4")
    plain = Recipe("mlp-4", digits(20), steps=6, batch_size=5, events=3)
    assert len(lab.assert_one_by_one([*recipes, plain, *others]).stacks) == 3


def test_a_student_that_diverges_leaves_its_neighbours_memory_alone():
    recipes, teachers = some("crd", "mlp-4")
    state = begin(recipes, teachers, dtype=torch.float64)
    with torch.no_grad():
        next(state.stacks[0].network.parameters())[1] = torch.nan
    last = list(train(state))[-1]
    memory = state.stacks[0].parts[0].adapter[0].student_memory
    assert last.diverged == (1,) and math.isfinite(last.terms["contrast"][0])
    assert bool(torch.isfinite(memory[0]).all()) and not bool(torch.isfinite(memory[1]).all())
