"""What is true of one family of networks alone; what is true of all is in the contracts."""

import math

import pytest
import torch
from torch.nn.functional import batch_norm, conv2d

from workbench import MODELS, Recipe, vision
from workbench.base import BadInput
from workbench.engine import listen
from workbench.evaluation import flops
from workbench.models import layers


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
    """Cut at 2σ: σ = 0.02 for the transformer, 1/√fan_in for the mixer; biases zero."""
    for name in ("vit-64-4-p2", "mixer-64-4-p2"):
        network = MODELS[name]((1, 8, 8), 10, seeds)
        for key, p in network.named_parameters():
            if "norm" not in key and key.endswith("bias"):
                assert not p.any()
            elif "norm" not in key:
                sigma = 0.02 if name.startswith("vit") else p.shape[-1] ** -0.5
                assert p.abs().max() <= 2 * sigma + 1e-7
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
