"""What is true of one family of networks alone; what is true of all is in the contracts."""

import json
import math
import re
import sys

import pytest
import torch
from safetensors.torch import save_file
from torch.nn.functional import batch_norm, conv2d

from workbench import METHODS, MODELS, Recipe, Run, train, vision
from workbench.base import BadInput
from workbench.engine import begin, listen
from workbench.evaluation import flops
from workbench.models import COSTS, counted, layers
from workbench.recipe import digest, teacher


def weights(name, shape, classes):
    return sum(p.numel() for p in MODELS[name].empty(shape, classes).parameters())


#: On CIFAR-100, counted by building the networks of github.com/HobbitLong/RepDistiller
#: (models/resnet.py, models/wrn.py), whose outputs ours repeat with its weights.
PUBLISHED = {
    "resnet-8": 83_892, "resnet-14": 181_108, "resnet-20": 278_324, "resnet-32": 472_756,
    "resnet-56": 861_620, "resnet-110": 1_736_564, "resnet8x4": 1_233_540,
    "resnet32x4": 7_433_860, "wrn-16-1": 180_916, "wrn-16-2": 703_284, "wrn-40-1": 569_780,
    "wrn-40-2": 2_255_156,
}  # fmt: skip


@pytest.mark.parametrize("name", PUBLISHED)
def test_networks_have_the_published_number_of_weights(name):
    assert weights(name, (3, 32, 32), 100) == PUBLISHED[name]


#: He 2016, table 6, and Zagoruyko & Komodakis 2016, table 4: millions on CIFAR-10.
ROUNDED = {"resnet-20": 0.27, "resnet-32": 0.46, "resnet-56": 0.85, "resnet-110": 1.7,
           "wrn-40-1": 0.6, "wrn-40-2": 2.2}  # fmt: skip


@pytest.mark.parametrize("name", ROUNDED)
def test_networks_are_as_large_as_their_papers_say(name):
    assert math.isclose(weights(name, (3, 32, 32), 10) / 1e6, ROUNDED[name], rel_tol=0.07)


def convolve(state, name, x, stride=1):
    weight = state[f"{name}.weight"]
    return conv2d(x, weight, stride=stride, padding=weight.shape[-1] // 2)


def normal(state, name, x):
    values = [state[f"{name}.{key}"] for key in ("running_mean", "running_var", "weight", "bias")]
    return batch_norm(x, *values)


def resnet_by_hand(state, x, blocks):
    """He 2016, figure 5 left, three stages; the shortcut is option B."""
    x = normal(state, "norm", convolve(state, "stem", x)).relu()
    for stage in range(3):
        for block in range(blocks):
            at, stride = f"blocks.{stage}.{block}", 2 if stage and not block else 1
            h = normal(state, f"{at}.norms.0", convolve(state, f"{at}.first", x, stride)).relu()
            h = normal(state, f"{at}.norms.1", convolve(state, f"{at}.second", h))
            if f"{at}.shortcut.0.weight" in state:
                x = convolve(state, f"{at}.shortcut.0", x, stride)
                x = normal(state, f"{at}.shortcut.1", x)
            x = (x + h).relu()
    return x


def wrn_by_hand(state, x, blocks):
    """Zagoruyko & Komodakis 2016, figure 1c, three stages, then norm and ReLU."""
    x = convolve(state, "stem", x)
    for stage in range(3):
        for block in range(blocks):
            at, stride = f"blocks.{stage}.{block}", 2 if stage and not block else 1
            h = normal(state, f"{at}.norms.0", x).relu()
            if f"{at}.shortcut.weight" in state:
                x = convolve(state, f"{at}.shortcut", h, stride)
            h = normal(state, f"{at}.norms.1", convolve(state, f"{at}.first", h, stride)).relu()
            x = x + convolve(state, f"{at}.second", h)
    return normal(state, "norm", x).relu()


@pytest.mark.parametrize(
    ("name", "by_hand", "blocks"),
    [
        ("resnet-14", resnet_by_hand, 2),
        ("resnet8x4", resnet_by_hand, 1),
        ("wrn-16-1", wrn_by_hand, 2),
        ("wrn-16-2", wrn_by_hand, 2),
    ],
)
def test_residual_networks_compute_what_their_papers_draw(name, by_hand, blocks):
    network = MODELS[name]((3, 8, 8), 5, 0).double()
    x = torch.rand(4, 3, 8, 8, dtype=torch.float64)
    network(x)  # the running statistics move
    network.eval()
    maps = by_hand(network.state_dict(), x, blocks)
    said = network(x, features=True)
    torch.testing.assert_close(said.features["stage3"], maps.flatten(2).transpose(1, 2))
    torch.testing.assert_close(said.logits, network.head.rows(maps.mean((2, 3))))


@pytest.mark.parametrize("name", ["resnet-14", "wrn-16-2"])
@pytest.mark.parametrize("seeds", [1, [1, 2]])
def test_convolutions_of_residual_networks_begin_as_he_proposes(name, seeds):
    """Normal, variance 2 / fan_out; the last layer's ±1/√fan_in."""
    network = MODELS[name]((3, 8, 8), 10, seeds)
    drawn = [
        p * math.sqrt(p.shape[-4] * p.shape[-1] ** 2 / 2)
        for n, p in network.named_parameters()
        if p.ndim - len(network.lead) == 4
    ]
    every = torch.cat([p.flatten() for p in drawn])
    assert abs(every.std() - 1) < 0.01 and abs(every.mean()) < 0.01 and every.abs().max() > 3
    assert network.head.weight.abs().max() <= 1 / math.sqrt(network.head.fan_in)


def test_grids_halve_from_stage_to_stage():
    for name in ("resnet-8", "resnet8x4", "wrn-40-2"):
        grids = [layer.grid for layer in layers(name, (3, 32, 32)).values()]
        assert grids == [(32, 32), (16, 16), (8, 8)]
    assert [layer.width for layer in layers("resnet8x4", (3, 32, 32)).values()] == [64, 128, 256]
    assert [layer.width for layer in layers("wrn-16-2", (1, 8, 8)).values()] == [32, 64, 128]
    assert layers("mlp-64-64", (1, 8, 8))["hidden2"] == (None, 1, 64)


@pytest.mark.parametrize("name", ["cnn-4", "resnet-8", "wrn-16-1"])
@pytest.mark.parametrize("shape", [(64,), (1, 3, 3), (1, 1, 64)])
def test_what_is_no_picture_is_refused_with_the_remedy(name, shape):
    for ask in (MODELS[name].check, lambda s: MODELS[name](s, 10), lambda s: layers(name, s)):
        with pytest.raises(BadInput, match=rf"^{name}: expected pictures .*; take an MLP"):
            ask(shape)


def test_a_recipe_refuses_pictures_that_its_student_cannot_take(monkeypatch):
    data = Recipe().data
    monkeypatch.setattr(type(data), "shape", (1, 2, 2))
    with pytest.raises(BadInput, match="^resnet-8: expected pictures"):
        Recipe("resnet-8", data)


# ---------------------------------------------------------------------------------- tokens


def test_a_transformer_is_that_of_torchvision():
    """Its encoder with our weights; what it puts before the tokens (a class) is left out."""
    from functools import partial

    vision.torchvision()
    from torchvision.models.vision_transformer import Encoder

    network = MODELS["vit-64-4-p2"]((1, 8, 8), 10, 3).double()
    norm = partial(torch.nn.LayerNorm, eps=1e-6)
    theirs = Encoder(16, 4, 4, 64, 256, 0.0, 0.0, norm).double().eval()
    ours = network.state_dict()
    renamed = {"pos_embedding": ours["place"].unsqueeze(0)}
    pairs = {
        "ln_1": "norms.0",
        "ln_2": "norms.1",
        "self_attention.in_proj_": "mixed",
        "self_attention.out_proj": "joined",
        "mlp.0": "mlp.wide",
        "mlp.3": "mlp.narrow",
    }
    for kind in ("weight", "bias"):
        renamed[f"ln.{kind}"] = ours[f"norm.{kind}"]
        for i in range(4):
            for its, mine in pairs.items():
                key = f"layers.encoder_layer_{i}.{its}{'' if its.endswith('_') else '.'}{kind}"
                renamed[key] = ours[f"blocks.{i}.{mine}.{kind}"]
    theirs.load_state_dict(renamed)
    x = torch.rand(3, 1, 8, 8, dtype=torch.float64)
    weight = ours["embed.weight"].view(64, 1, 2, 2)
    tokens = conv2d(x, weight, ours["embed.bias"], stride=2).flatten(2).transpose(1, 2)
    torch.testing.assert_close(network(x, features=True).features["norm"], theirs(tokens))


def mixer_by_hand(state, x, depth):
    """Tolstikhin 2021, equation 1, token by token."""

    def norm(name, t):
        centred = t - t.mean(-1, keepdim=True)
        scaled = centred / (centred.square().mean(-1, keepdim=True) + 1e-6).sqrt()
        return scaled * state[f"{name}.weight"] + state[f"{name}.bias"]

    def mlp(name, t):
        h = t @ state[f"{name}.wide.weight"].T + state[f"{name}.wide.bias"]
        h = h * (1 + torch.erf(h / 2**0.5)) / 2
        return h @ state[f"{name}.narrow.weight"].T + state[f"{name}.narrow.bias"]

    for i in range(depth):
        x = x + mlp(f"blocks.{i}.tokens", norm(f"blocks.{i}.norms.0", x).mT).mT
        x = x + mlp(f"blocks.{i}.channels", norm(f"blocks.{i}.norms.1", x))
    return norm("norm", x)


def test_a_mixer_computes_what_its_paper_writes():
    network = MODELS["mixer-64-4-p2"]((3, 8, 8), 10, 3).double()
    state, x = network.state_dict(), torch.rand(2, 3, 8, 8, dtype=torch.float64)
    patches = torch.stack(
        [x[:, :, i : i + 2, j : j + 2].flatten(1) for i in range(0, 8, 2) for j in range(0, 8, 2)],
        1,
    )
    tokens = patches @ state["embed.weight"].T + state["embed.bias"]
    said = network(x, features=True)
    torch.testing.assert_close(said.features["norm"], mixer_by_hand(state, tokens, 4))
    assert not said.extra


def test_transformers_and_mixers_have_the_published_number_of_weights():
    """At the papers' own sizes: ViT-Ti/16 (DeiT-Ti) 5.7 million, Mixer-S/16 18 million.

    A class token and its place are the 384 weights that ViT-Ti/16 has and ours has not.
    """
    options = MODELS["vit-192-12-p4"].options | {"patch": 16}
    vit = MODELS["vit-192-12-p4"].family((3, 224, 224), 1000, (), **options)
    assert sum(p.numel() for p in vit.parameters()) == 5_717_416 - 384
    options = {"width": 512, "depth": 8, "patch": 16}
    mixer = MODELS["mixer-32-2-p2"].family((3, 224, 224), 1000, (), **options)
    assert sum(p.numel() for p in mixer.parameters()) == 18_528_264


def test_attention_adds_up_to_one_and_lies_on_the_grid():
    network = MODELS["vit-32-2-p2"]((1, 8, 6), 10, [0, 1])
    said = network(torch.rand(5, 1, 8, 6), features=True)
    assert list(said.extra) == ["attention1", "attention2"]
    for seen in said.extra.values():
        assert seen.shape == (2, 5, 2, 12, 12) and bool((seen > 0).all())
        torch.testing.assert_close(seen.sum(-1), torch.ones(2, 5, 2, 12))
    assert set(said.grids.values()) == {(4, 3)}
    assert not network(torch.rand(5, 1, 8, 6)).extra


def test_listening_in_parts_keeps_what_is_extra():
    network = MODELS["vit-32-2-p2"]((1, 8, 8), 10, [0, 1]).double()
    x = torch.rand(5, 1, 8, 8, dtype=torch.float64)
    whole, parts = (listen(network, x, features=True, rows=rows) for rows in (5, 2))
    for kind in ("features", "extra"):
        assert getattr(whole, kind).keys() == getattr(parts, kind).keys()
        for name, seen in getattr(whole, kind).items():
            torch.testing.assert_close(getattr(parts, kind)[name], seen)


@pytest.mark.parametrize(
    ("name", "shape", "why"),
    [
        ("vit-32-2-p2", (1, 7, 8), "expected pictures .* that 2 × 2 patches fill"),
        ("mixer-64-4-p4", (3, 30, 30), "expected pictures .* that 4 × 4 patches fill"),
        ("vit-32-2-p2", (64,), "expected pictures"),
        ("vit-64-4-p4", (1, 4, 4), "expected pictures .* of more than one patch"),
    ],
)
def test_pictures_that_patches_do_not_fill_are_refused(name, shape, why):
    with pytest.raises(BadInput, match=rf"^{name}: {why}.*; take "):
        MODELS[name](shape, 10)


@pytest.mark.parametrize("seeds", [1, [1, 2]])
def test_tokens_begin_as_their_papers_propose(seeds):
    """Normal, σ = 1/√fan_in (the places of tokens: 1/√width), cut at 2σ; biases zero."""
    for name in ("vit-64-4-p2", "mixer-64-4-p2"):
        network = MODELS[name]((1, 8, 8), 10, seeds)
        for key, p in network.named_parameters():
            if "norm" not in key and key.endswith("bias"):
                assert not p.any()
            elif "norm" not in key:
                sigma = p.shape[-1] ** -0.5
                assert p.abs().max() <= 2 * sigma + 1e-6
                if p.numel() > 2000:
                    assert math.isclose(p.detach().std(), 0.88 * sigma, rel_tol=0.05)


def test_operations_of_tokens_are_counted():
    """A transformer's and a mixer's matrix products, by hand: two for a multiply-add."""
    x, tokens, d = torch.zeros(3, 1, 8, 8), 16, 32
    vit, mixer = (MODELS[name]((1, 8, 8), 10) for name in ("vit-32-2-p2", "mixer-32-2-p2"))
    ends = tokens * 4 * d + d * 10
    block = tokens * d * (3 * d + d + 8 * d) + 2 * tokens * tokens * d
    assert flops(vit, x) == 3 * 2 * (ends + 2 * block)
    block = tokens * d * 8 * d + d * 2 * tokens * d // 2
    assert flops(mixer, x) == 3 * 2 * (ends + 2 * block)


def test_what_models_cost_is_known_beforehand_and_right():
    rows = json.loads(COSTS.read_text())
    known = {(name, tuple(shape), classes): (w, n) for name, shape, classes, w, n in rows}
    assert {name for name, shape, _ in known if shape == (1, 8, 8)} == set(MODELS)
    assert {shape for _, shape, _ in known} >= {(1, 8, 8), (1, 28, 28), (3, 32, 32)}
    for key, found in known.items():
        if key[1] == (1, 8, 8) or key[0] in ("cnn-8", "mlp-16"):
            assert counted(*key) == found, f"{key}: run python -m workbench.assets --only tables"


@pytest.mark.parametrize(
    "name", ["mlp-64-64", "cnn-8", "vit-32-2-p2", "mixer-32-2-p2", "wrn-16-1"]
)
def test_operations_are_those_of_pytorchs_counter(name):
    made = MODELS[name]((1, 12, 12), 7)
    weights, operations = counted(name, (1, 12, 12), 7)
    assert operations == flops(made, torch.zeros(1, 1, 12, 12))
    assert weights == sum(p.numel() for p in made.parameters())


# --------------------------------------------------------------------------------- adopted

OWN = """
from torch import nn

def make():
    return nn.Sequential(nn.Flatten(), nn.Linear(64, 8), nn.ReLU(), nn.Linear(8, 10))

class Conv(nn.Module):
    def __init__(self):
        super().__init__()
        self.maps, self.head = nn.Conv2d(1, 4, 3, stride=2, padding=1), nn.Linear(4, 10)

    def forward(self, x):
        return self.head(self.maps(x).relu().mean((2, 3)))

def seven():
    return nn.Sequential(nn.Flatten(), nn.Linear(64, 7))

def wide():
    return nn.Linear(64, 10)

def pair():
    class Pair(nn.Flatten):
        def forward(self, x):
            return x, x
    return Pair()

def needs(k):
    return nn.Linear(64, k)

def nothing():
    return 5

number = 5
"""


@pytest.fixture
def own(tmp_path, monkeypatch):
    """A folder with somebody's file `nets_of_mine.py`, and one that cannot be imported."""
    (tmp_path / "nets_of_mine.py").write_text(OWN)
    (tmp_path / "broken_of_mine.py").write_text("1 / 0")
    (tmp_path / "poor_of_mine.py").write_text("import what_nobody_installed")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.chdir(tmp_path)
    yield tmp_path
    for name in [name for name in sys.modules if name.endswith("_of_mine")]:
        del sys.modules[name]


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("nowhere:make", "no module 'nowhere' in this folder or on PYTHONPATH"),
        ("nets_of_mine.py:make", "did you mean nets_of_mine:make"),
        ("broken_of_mine:make", r"cannot be imported \(ZeroDivisionError: division by zero\)"),
        ("poor_of_mine:make", "needs what_nobody_installed, which is missing"),
        ("nets_of_mine:mak", "has no name 'mak'; did you mean 'make'"),
        ("nets_of_mine:number", "number is int: expected a function"),
        ("nets_of_mine:nothing", "gives int: expected an nn.Module"),
        ("nets_of_mine:needs", r"called without arguments \(TypeError: needs\(\) missing 1"),
        ("nets_of_mine:seven", r"gives logits \(2, 7\) for 2 samples: expected \(2, 10\)"),
        ("nets_of_mine:wide", r"does not take samples \(1, 8, 8\) \(RuntimeError: mat1 and"),
        ("nets_of_mine:pair", "answers with tuple: expected a tensor of logits"),
        ("nets_of_mine:make@w.pt", "safetensors only, since other files can run code"),
        ("nets_of_mine:make@w.safetensors", "no such file"),
        ("nets_of_mine:make@not.safetensors", "not a safetensors file"),
        ("torchvision:resnet19", "no such classifier; did you mean 'resnet18'"),
        ("torchvision:resnet18@BEST", "expected one of DEFAULT, IMAGENET1K_V1, or a file"),
    ],
)
def test_what_cannot_be_adopted_is_refused_by_name(own, name, said):
    (own / "w.pt").write_bytes(b"anything")
    (own / "not.safetensors").write_bytes(b"anything")
    with pytest.raises(BadInput, match=said) as caught:
        MODELS[name]((1, 8, 8), 10)
    assert str(caught.value).startswith(name.partition("@")[0])
    assert len(str(caught.value).splitlines()) == 1


def test_an_adopted_network_is_only_a_name_until_it_is_built():
    """Recipes come from files: reading one runs nobody's code."""
    recipe = Recipe("os:getcwd")
    assert Recipe.from_json(recipe.to_json()) == recipe
    assert recipe.student in MODELS and "os:getcwd" not in list(MODELS)
    with pytest.raises(BadInput, match="gives str: expected an nn.Module"):
        MODELS[recipe.student]((1, 8, 8), 10)
    for name in ("mlp:", ":make", "a b:c", "mlp-16@w.safetensors", "x:y@"):
        with pytest.raises(BadInput, match="is not known"):
            Recipe(name)


def test_other_code_is_another_network(own):
    """A run is not found again under a name whose code has changed; its recipe says so."""
    file = own / "nets_of_mine.py"
    before = Recipe("nets_of_mine:make")
    assert re.fullmatch("nets_of_mine:make#[0-9a-f]{12}", before.student)
    assert Recipe(before.student) == before == Recipe.from_json(before.to_json())
    file.write_text(file.read_text() + "\n# wider\n")
    after = Recipe("nets_of_mine:make")
    assert after.student != before.student and digest([after]) != digest([before])
    with pytest.raises(BadInput, match="nets_of_mine.py is not the code of this recipe"):
        MODELS[before.student]((1, 8, 8), 10)
    assert MODELS[after.student]((1, 8, 8), 10).options["code"] in after.student


def test_an_adopted_network_is_drawn_by_its_seed(own):
    drawn = torch.random.get_rng_state()
    one, again, other = (MODELS["nets_of_mine:make"]((1, 8, 8), 10, seed) for seed in (1, 1, 2))
    weight = [network.state_dict()["network.1.weight"] for network in (one, again, other)]
    assert torch.equal(weight[0], weight[1]) and not torch.equal(weight[0], weight[2])
    assert torch.equal(drawn, torch.random.get_rng_state()) and one.training


def test_the_parts_of_an_adopted_network_are_its_features(own):
    found = layers("nets_of_mine:Conv", (1, 8, 8))
    assert found == {"maps": ((4, 4), 16, 4)}
    assert list(layers("nets_of_mine:make", (1, 8, 8))) == ["0", "1", "2"]
    network = MODELS["nets_of_mine:make"]((1, 8, 8), 10)
    said = network(torch.rand(3, 1, 8, 8), features=True)
    torch.testing.assert_close(network.classify(said.features["2"].mean(-2)), said.logits)
    assert not network(torch.rand(3, 1, 8, 8)).features


def test_adopted_students_train_one_by_one_and_ours_beside_them_together(own):
    names = ["nets_of_mine:make", "mlp-4", "nets_of_mine:make", "mlp-4"]
    recipes = [Recipe(name, seed=i, steps=20, events=1) for i, name in enumerate(names)]
    state = begin([r.but(learning_rate=0.01 * (i + 1)) for i, r in enumerate(recipes)])
    assert sorted(len(one.members) for one in state.stacks) == [1, 1, 2]
    before = [state.network(i).state_dict()["network.1.weight"].clone() for i in (0, 2)]
    (event,) = train(state)
    assert all(rate > 0.3 for rate in event.accuracy["test"])
    for i, old in zip((0, 2), before, strict=True):  # every row of every weight
        assert bool((state.network(i).state_dict()["network.1.weight"] != old).any(1).all())
    alone = begin([recipes[2].but(learning_rate=0.03)])
    list(train(alone))
    assert torch.equal(alone.logits(0, "test"), state.logits(2, "test"))


def test_own_weights_teach_as_they_are(own):
    """No step is taken; other weights in the same file are another recipe."""
    weights = MODELS["nets_of_mine:make"]((1, 8, 8), 10, 3).network.state_dict()
    save_file(weights, "mine.safetensors")
    data = Recipe().data
    mine = teacher(data, "nets_of_mine:make@mine.safetensors")
    assert mine.steps == 0 and "#" in mine.student
    assert Recipe.from_json(mine.to_json()) == mine == Recipe(mine.student, data.whole(), steps=0,
                                                              events=1)  # fmt: skip
    state = begin([mine])
    (event,) = train(state)
    assert event.step == event.steps == 0 and event.accuracy["test"][0] is not None
    for key, value in state.network(0).network.state_dict().items():
        assert torch.equal(value, weights[key])
    taught = Recipe("mlp-4", data, METHODS["kd"](alpha=1), (mine,), steps=3)
    (folder,) = Run([taught]).drain().recipes
    assert folder.teachers == (mine,)
    save_file({key: value + 1 for key, value in weights.items()}, "mine.safetensors")
    assert teacher(data, "nets_of_mine:make@mine.safetensors").name != mine.name
    with pytest.raises(BadInput, match="other weights than the recipe's"):
        begin([mine])


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda w: w.pop("1.bias"), "the file lacks 1.bias"),
        (lambda w: w.update(extra=w["1.bias"].clone()), "the network does not know extra"),
        (lambda w: w.update({"3.bias": torch.zeros(7)}), "the file has another shape for 3.bias"),
    ],
)
def test_weights_that_do_not_fit_are_refused_by_name(own, change, said):
    weights = MODELS["nets_of_mine:make"]((1, 8, 8), 10).network.state_dict()
    change(weights)
    save_file(weights, "mine.safetensors")
    with pytest.raises(BadInput, match=f"nets_of_mine:make: {said}"):
        MODELS["nets_of_mine:make@mine.safetensors"]((1, 8, 8), 10)


def test_a_saved_network_of_torchvision_is_loaded(tmp_path):
    """With its own classes it says what torchvision says; with others, its last layer is new."""
    vision.torchvision()
    from torchvision import models
    from torchvision.transforms.functional import normalize

    theirs = models.get_model("shufflenet_v2_x0_5", weights=None, num_classes=12).eval()
    file = tmp_path / "tiny.safetensors"
    save_file(theirs.state_dict(), file)
    name = f"torchvision:shufflenet_v2_x0_5@{file}"
    ours, other = (MODELS[name]((3, 32, 32), classes, 1).eval() for classes in (12, 5))
    x = torch.rand(2, 3, 32, 32)
    shown = normalize(x, [0.485, 0.456, 0.406], [0.229, 0.224, 0.225])
    torch.testing.assert_close(ours(x).logits, theirs(shown))
    before, after = (n(x, features=True).features["conv5"] for n in (ours, other))
    assert torch.equal(before, after) and other(x).logits.shape == (2, 5)
    grey = MODELS[name]((1, 32, 32), 12).eval()
    torch.testing.assert_close(grey(x[:, :1]).logits, ours(x[:, :1].expand(-1, 3, -1, -1)).logits)
    assert teacher(Recipe().data, name).steps > 0


def test_torchvisions_download_is_checked_and_reads_tensors_only(monkeypatch):
    vision.torchvision()
    from torchvision.models import _api, get_model

    asked = {}

    def load(url, **more):
        asked.update(more, url=url)
        return get_model("squeezenet1_1", weights=None).state_dict()

    monkeypatch.setattr(_api, "load_state_dict_from_url", load)
    made = MODELS["torchvision:squeezenet1_1@DEFAULT"]((3, 32, 32), 1000)
    assert made(torch.rand(2, 3, 32, 32)).logits.shape == (2, 1000)
    assert asked["check_hash"] is True and asked["weights_only"] is True
    assert asked["url"].startswith("https://download.pytorch.org/models/squeezenet1_1")

    def fail(url, **more):
        raise OSError("no network")

    monkeypatch.setattr(_api, "load_state_dict_from_url", fail)
    with pytest.raises(BadInput, match=r"@DEFAULT: cannot be downloaded \(OSError: no network\)"):
        MODELS["torchvision:squeezenet1_1@DEFAULT"]((3, 32, 32), 1000)
