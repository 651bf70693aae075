"""Laws of what is seen inside networks: the layers are those that the loss reads."""

import pytest
import torch
from lab import digits

from workbench import METHODS, Recipe
from workbench.base import BadInput
from workbench.inside import compared, compares, drawn, related, sizes, views
from workbench.models import MODELS

COMPARING = [name for name, method in METHODS.items() if compares(method)]
every = pytest.mark.parametrize("name", COMPARING)
SHAPE = ((1, 8, 8), 10)


def recipe(name, pairs=()):
    taught = Recipe("cnn-8", digits())
    return Recipe("cnn-4", digits(), METHODS[name](layers=pairs), (taught,))


@every
def test_the_pairs_are_those_that_the_knob_names(name):
    pairs = (("stage1", "stage2"), ("stage3", "stage3"))
    assert compared(recipe(name, pairs)) == pairs
    assert set(compared(recipe(name))) <= {(f"stage{i}", f"stage{i}") for i in (1, 2, 3)}
    assert compared(recipe(name))


@every
def test_a_layer_that_is_none_is_refused_by_name(name):
    with pytest.raises(BadInput, match="stage9"):
        compared(recipe(name, (("stage1", "stage9"),)))


@every
def test_views_have_their_sizes_and_what_they_show_is_of_one_scale(name):
    made, test = recipe(name), digits().parts()["test"]
    x, y = test.x[:60], test.y[:60]
    found = views(made, MODELS["cnn-4"](*SHAPE), x, y)
    assert [tuple(one.shape) for one in found] == sizes(made, y) and len(found) == len(drawn(made))
    for one in found:
        if made.method.shows == "maps":
            torch.testing.assert_close(one.norm(dim=-1), torch.ones(60))
        else:  # the samples are sorted by class, so that the diagonal is each with itself
            assert list(y[related(y.tolist())]) == sorted(y[related(y.tolist())])
            assert len(one) == 30 and bool(torch.isfinite(one).all())


def test_methods_that_choose_no_layers_compare_none():
    kd = Recipe("cnn-4", digits(), METHODS["kd"](), (Recipe("cnn-8", digits()),))
    assert compared(kd) == () and sizes(kd, torch.zeros(60, dtype=torch.int64)) == []
