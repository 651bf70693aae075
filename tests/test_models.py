"""What is true of one family of networks alone; what is true of all is in the contracts."""

import math

import pytest
import torch
from torch.nn.functional import batch_norm, conv2d

from workbench import MODELS, Recipe
from workbench.base import BadInput
from workbench.models import layers


def weights(name, shape, classes):
    size = MODELS[name]
    network = size.family(shape, classes, (), **size.options)
    return sum(p.numel() for p in network.parameters())


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
