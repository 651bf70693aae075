"""Contracts of everything in the registries: a new file is tested as soon as it is saved."""

import ast
import dataclasses
import inspect
import json
import math
import pickle
import sys
import textwrap

import numpy as np
import pytest
import torch

import workbench
from workbench import DATA, METHODS, MODELS, RECIPES, Recipe, laws
from workbench.__main__ import main
from workbench.base import (
    BadInput,
    Knob,
    Knobbed,
    Method,
    NoSuchName,
    Registry,
    Trouble,
    knob,
    only_class,
)
from workbench.data import Data
from workbench.evaluation import cost
from workbench.models import layers
from workbench.models._network import Network
from workbench.recipe import arms, digest, teacher

NOT_NUMBERS = {
    "nan": math.nan,
    "inf": math.inf,
    "minus inf": -math.inf,
    "true": True,
    "false": False,
    "text": "4",
    "nothing": None,
    "list": [1],
    "complex": 1j,
    "numpy true": np.bool_(True),
}

KNOBBED = {
    **{f"method {name}": method for name, method in METHODS.items()},
    **{f"data {name}": data for name, data in DATA.items()},
    "recipe": Recipe,
}
KNOBS = [(owner, name) for owner, of in KNOBBED.items() for name in of.knobs()]
NUMBERS = [(owner, name) for owner, name in KNOBS if KNOBBED[owner].knobs()[name].kind in
           ("float", "int")]  # fmt: skip

owners = pytest.mark.parametrize("owner", KNOBBED)
every_knob = pytest.mark.parametrize(("owner", "name"), KNOBS)
every_number = pytest.mark.parametrize(("owner", "name"), NUMBERS)
methods = pytest.mark.parametrize("name", METHODS)


WEIGHTS = {name: sum(p.numel() for p in size.empty((1, 8, 8), 10).parameters())
           for name, size in MODELS.items()}  # fmt: skip
FAMILIES = {size.family for size in MODELS.values()}
#: The smallest size of every family, and all that cost next to nothing.
CHEAP = {name for name, n in WEIGHTS.items() if n <= 10_000} | {
    min((n for n in MODELS if MODELS[n].family is family), key=WEIGHTS.__getitem__)
    for family in FAMILIES
}
models = pytest.mark.parametrize("name", sorted(CHEAP))
data_sets = pytest.mark.parametrize("name", DATA)


def code_lines(cls):
    """Lines of a class with code on them: no blanks, comments or docstrings."""
    source = textwrap.dedent(inspect.getsource(cls))
    tree = ast.parse(source)
    prose = set()
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        if isinstance(node, (ast.ClassDef, ast.FunctionDef)) and isinstance(body[0], ast.Expr):
            if isinstance(body[0].value, ast.Constant) and isinstance(body[0].value.value, str):
                prose |= set(range(body[0].lineno, body[0].end_lineno + 1))
    lines = enumerate(source.splitlines(), 1)
    return sum(1 for i, t in lines if i not in prose and t.strip() and t.strip()[0] != "#")


# -------------------------------------------------------------------------------- the door


def test_the_public_door_opens_on_the_registries():
    assert len(workbench.__all__) <= 12
    for registry in (METHODS, MODELS, DATA, RECIPES):
        assert len(registry) > 0 and list(registry) == sorted(registry)
    with pytest.raises(AttributeError, match="no name 'Trainer'; it has"):
        _ = workbench.Trainer


@pytest.mark.parametrize("registry", [METHODS, MODELS, DATA, RECIPES], ids=lambda r: r.kind)
def test_an_unknown_name_is_refused_with_the_nearest(registry):
    name = next(iter(registry))
    with pytest.raises(BadInput, match=f"did you mean '{name}'") as caught:
        registry[name + "x"]
    assert isinstance(caught.value, KeyError) and str(caught.value).startswith(registry.kind)
    assert name in registry and "nobody" not in registry and registry.get("nobody") is None
    with pytest.raises(NoSuchName):
        registry[["kd"]]


@pytest.mark.parametrize(
    ("content", "found"),
    [
        ("", 0),
        ("class A(Method):\n    pass\nclass B(Method):\n    pass\n", 2),
        ("from workbench.methods.response.kd import KD\n", 0),
    ],
)
def test_a_file_with_zero_or_two_methods_is_refused_by_path(tmp_path, monkeypatch, content, found):
    package = tmp_path / "shelf"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "_helper.py").write_text("raise RuntimeError('helpers are not walked')")
    (package / "odd.py").write_text("from workbench.base import Method\n" + content)
    monkeypatch.syspath_prepend(tmp_path)
    shelf = Registry("method", "shelf", lambda m: {m.__name__: only_class(m, Method)})
    try:
        with pytest.raises(TypeError, match=f"exactly one Method, found {found}") as caught:
            list(shelf)
        assert str(package / "odd.py") in str(caught.value)
    finally:
        for name in [name for name in sys.modules if name.split(".")[0] == "shelf"]:
            del sys.modules[name]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("def broken(:", "SyntaxError: invalid syntax"),
        ("1 / 0", "ZeroDivisionError: division by zero"),
        ("from workbench.base import Mehtod", "ImportError: cannot import name 'Mehtod'"),
        ("import workbench.nothing", "No module named 'workbench.nothing'"),
    ],
)
def test_a_file_that_cannot_be_read_is_named(tmp_path, monkeypatch, content, said):
    package = tmp_path / "workbench_shelf"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "foo.py").write_text(content)
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(Trouble, match="mend the file, or put _ before") as caught:
        list(Registry("method", "workbench_shelf", lambda module: {}))
    assert str(caught.value).startswith(f"{package / 'foo.py'}: cannot be read (")
    assert said in str(caught.value) and "\n" not in str(caught.value)
    (package / "foo.py").write_text("import what_nobody_installed")
    with pytest.raises(ModuleNotFoundError, match="what_nobody_installed"):  # no fault of the file
        list(Registry("method", "workbench_shelf", lambda module: {}))
    del sys.modules["workbench_shelf"]


def test_a_registry_says_what_is_in_it():
    assert repr(METHODS) == f"<Registry 'method': {', '.join(sorted(METHODS))}>"


def test_two_files_cannot_add_the_same_name(tmp_path, monkeypatch):
    package = tmp_path / "twins"
    package.mkdir()
    for name in ("__init__", "a", "b"):
        (package / f"{name}.py").write_text("")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(TypeError, match=r"b\.py: thing 'same' stands twice"):
        list(Registry("thing", "twins", lambda module: {"same": 1}))


# ----------------------------------------------------------------------------------- knobs


def refused(owner, name, value):
    """The message with which a value is refused: it names class, field, value, expectation."""
    of = KNOBBED[owner]
    with pytest.raises(BadInput) as caught:
        of(**{name: value})
    message = str(caught.value)
    assert f"{of.__name__}({name}=" in message and "expected " in message
    assert of.knobs()[name].expectation() in message and of.knobs()[name].meaning in message
    assert len(message.splitlines()) == 1
    return message


@every_knob
def test_every_knob_explains_itself(owner, name):
    found = KNOBBED[owner].knobs()[name]
    assert found.name == name and len(found.meaning) > 5 and found.title
    assert found.scale in ("linear", "log")
    assert found.kind in ("float", "int", "choice", "classes", "pairs", "text")
    assert found.check("it", found.default) == found.default
    if found.kind in ("float", "int"):
        assert found.slider is not None and found.low <= found.slider[0] < found.slider[1]
        assert found.slider[1] <= found.high
        assert found.slider[0] <= found.default <= found.slider[1]
        assert all(math.isfinite(bound) for bound in (found.low, found.high))
        assert found.scale == "linear" or found.slider[0] > 0
    if found.kind == "choice":
        assert found.default in found.choices and len(set(found.choices)) == len(found.choices)
    json.dumps(found.describe(), allow_nan=False)
    assert set(found.describe()) - {"usual"} == {
        "kind", "default", "low", "high", "slider", "choices", "scale", "meaning",
    }  # fmt: skip


@every_number
@pytest.mark.parametrize("value", NOT_NUMBERS.values(), ids=NOT_NUMBERS)
def test_what_is_no_number_is_refused(owner, name, value):
    assert f"={value!r})" in refused(owner, name, value)


@every_number
def test_bounds_are_inclusive_and_beyond_them_is_refused(owner, name):
    found = KNOBBED[owner].knobs()[name]
    for bound in (found.low, found.high):
        assert found.check("it", bound) == bound
    for value in (
        math.nextafter(found.low, -math.inf),
        math.nextafter(found.high, math.inf),
        10**400,
    ):
        refused(owner, name, value)
    if found.kind == "int":
        assert type(found.check("it", float(found.low))) is int
        refused(owner, name, found.low + 0.5)


@every_knob
def test_a_long_value_is_shortened_in_the_message(owner, name):
    assert len(refused(owner, name, "x" * 5000)) < 400


@owners
def test_unknown_knobs_and_knobs_given_twice_are_refused(owner):
    of = KNOBBED[owner]
    with pytest.raises(BadInput, match=f"{of.__name__}: knob 'nonsense' is not known"):
        of(nonsense=1)
    names = [f.name for f in dataclasses.fields(of)]
    with pytest.raises(BadInput, match="values for"):
        of(*range(len(names) + 1))
    if names:
        with pytest.raises(BadInput, match=rf"\({names[0]}=…\): given twice \(1 and 2\)"):
            of(1, **{names[0]: 2})


@pytest.mark.parametrize("owner", [owner for owner in KNOBBED if owner != "recipe"])
def test_spec_and_parse_are_inverse(owner):
    of = KNOBBED[owner]
    settings = [{}]
    for name, found in of.knobs().items():
        if found.kind == "choice":
            settings += [{name: choice} for choice in found.choices]
        elif found.kind in ("float", "int"):
            settings += [{name: bound} for bound in (*found.slider, found.low, found.high)]
        elif found.kind == "classes":
            settings += [{name: (3, 5)}]
    if owner.startswith("data"):
        settings = [{"labelled": min(100, s.get("images", 100)), **s} for s in settings]
        settings = [{"augment": "crop", **s} if s.get("views") else s for s in settings]
    for given in settings:
        made = of(**given)
        key, _, knobs = made.spec().partition(":")
        assert key == of.key() and of.parse(knobs) == made
        _, _, knobs = made.spec(also=of.knobs()).partition(":")
        assert of.given(knobs) == made.values() and of.parse(knobs) == made


@owners
def test_a_bad_spec_is_refused_by_name(owner):
    of = KNOBBED[owner]
    for text, said in (
        ("nonsense=1", "is not known"),
        ("nonsense", "is not name=value"),
        (",", "has a comma"),
    ):
        with pytest.raises(BadInput, match=said):
            of.parse(text)
    for name, found in of.knobs().items():
        for text in ("nan", "inf", "True", "1,1", "x", ""):
            with pytest.raises(BadInput):
                if found.kind in ("classes", "pairs", "text") and text == "":
                    raise BadInput("nothing is a legal empty list, or text")
                of.parse(f"{name}={text}")
        value = made_text(found)
        with pytest.raises(BadInput, match=rf"\({name}=…\): given twice \({value} and 7\)"):
            of.parse(f"{name}={value},{name}= 7")
        assert getattr(of.parse(f"{name.replace('_', '-')}={value}"), name) == found.default


def test_who_has_no_knobs_says_so():
    for ask in (lambda: METHODS["scratch"](t=1), lambda: METHODS["scratch"].parse("t=1")):
        with pytest.raises(
            BadInput, match="^Scratch: knob 't' is not known: Scratch has no knobs"
        ):
            ask()


def made_text(found):
    """How a knob's default is written on the command line."""
    default = found.default
    return "+".join(map(str, default)) if isinstance(default, tuple) else str(default)


@dataclasses.dataclass(frozen=True)
class Shelf(Knobbed):
    """Knobs of the kinds that few files use."""

    layers: tuple = knob((("a", "b"),), kind="pairs", meaning="which layer copies which")
    gone: tuple = knob((), kind="classes", accepts=(0, 9), meaning="classes")
    how: str = knob("one", choices=("one", "two"), meaning="which way")
    count: int = knob(3, accepts=(1, 10**17), meaning="how many")


@pytest.mark.parametrize(
    "given",
    [
        {"layers": "a:b"},
        {"layers": (("a", "b", "c"),)},
        {"layers": (("a", ""),)},
        {"layers": 5},
        {"gone": (1, 1)},
        {"gone": (10,)},
        {"gone": (-1,)},
        {"gone": (True,)},
        {"gone": (1.5,)},
        {"gone": "12"},
        {"how": "three"},
        {"how": 1},
        {"count": 10**18},
    ],
)
def test_odd_kinds_of_knobs_are_checked_too(given):
    (name,) = given
    with pytest.raises(BadInput, match=rf"^Shelf\({name}="):
        Shelf(**given)


def test_odd_kinds_of_knobs_take_what_fits():
    made = Shelf(layers=[["a", "b"], ["c", "d"]], gone=[7, 3.0], how="two", count=2**53 + 1)
    assert made.values() == {
        "layers": (("a", "b"), ("c", "d")), "gone": (3, 7), "how": "two", "count": 2**53 + 1
    }  # fmt: skip
    assert Shelf.parse(made.spec().partition(":")[2]) == made
    assert json.loads(json.dumps(made.changed()))["layers"] == [["a", "b"], ["c", "d"]]


def test_a_knob_is_frozen():
    with pytest.raises(dataclasses.FrozenInstanceError):
        METHODS["kd"]().alpha = 0.5
    with pytest.raises(dataclasses.FrozenInstanceError):
        Knob("a", "float", 1.0).low = 0


# --------------------------------------------------------------------------------- methods


@methods
def test_a_method_says_what_it_is(name):
    method = METHODS[name]
    assert method.key() == name and method.family() in {
        "labels", "response", "feature", "relation", "self", "language",
    }  # fmt: skip
    assert method.title and method.paper
    doc = inspect.getdoc(method)
    assert len(doc) > 100 and "Shapes:" in doc and "$" in doc
    known = {"labels", "teacher", "features", "maps", "depth", "network", "classifier"}
    known |= {"live teacher", "whole batch"}
    assert method.needs <= known
    assert dataclasses.is_dataclass(method) and method() == method()
    assert [f.name for f in dataclasses.fields(method)] == list(method.knobs())
    assert math.isclose(sum(share for _, share, _ in method().plan()), 1)
    assert all(who in ("student", "adapter", "both") for _, _, who in method().plan())


@pytest.mark.parametrize(
    "name", [name for name, kind in METHODS.items() if any(m.usual for m in kind.knobs().values())]
)
def test_a_weight_belongs_to_its_convention(name):
    """By each convention, untouched, the method pulls about as hard; what is given stays."""
    kind = METHODS[name]
    by = {}
    for convention in kind.knobs()["convention"].choices:
        method = kind(convention=convention)
        assert kind.parse(f"convention={convention}") == method
        one = laws.case(samples=64)
        build = workbench.base.Build([0], False, None)
        adapter = method.setup(one.student, one.teacher, one.batch, laws.SAMPLES, build)
        batch = dataclasses.replace(one.batch, stage=method.plan()[0][0])
        terms = method.loss(one.student, one.teacher, batch, adapter and adapter.double())
        by[convention] = sum(float(v.detach().abs()) for k, v in terms.items() if k != "labels")
    assert 1 / 30 < by["paper"] / by["code"] < 30
    weights = [k for k, made in kind.knobs().items() if made.usual]
    for weight in weights:
        given = kind(convention="paper", **{weight: kind.knobs()[weight].default})
        assert getattr(given, weight) == kind().values()[weight]
        assert kind(**given.changed()) == given == pickle.loads(pickle.dumps(given))
        assert getattr(dataclasses.replace(kind(), convention="paper"), weight) == getattr(
            kind(), weight
        ), "a copy is given all it has"


@methods
def test_a_method_costs_one_file_of_at_most_forty_lines(name):
    assert code_lines(METHODS[name]) <= 40


@methods
@pytest.mark.parametrize("law", laws.LAWS)
def test_a_method_obeys_the_laws(name, law):
    allowed = METHODS[name].exceptions
    if law in allowed:
        pytest.skip(f"declared exception: {allowed[law]}")
    assert laws.LAWS[law].check(METHODS[name]()) is None
    for i, variant in enumerate(laws.variants(METHODS[name](), 3)):
        why = laws.LAWS[law].check(variant)
        if law != "gradient":  # an end of a slider may switch a loss off
            assert why is None, f"{variant.spec()} ({i}): {why}"


@methods
def test_declared_exceptions_name_a_law_and_a_reason(name):
    for law, reason in METHODS[name].exceptions.items():
        assert law in laws.LAWS and len(reason) > 10


# ---------------------------------------------------------------------------------- models


def sample(classes=10, n=None, dtype=torch.float64):
    draw = torch.Generator().manual_seed(7)
    return torch.rand((*([] if n is None else [n]), 5, 1, 8, 8), generator=draw).to(dtype)


def build(name, seeds):
    return MODELS[name]((1, 8, 8), 10, seeds).double()


@pytest.mark.parametrize("name", MODELS)
def test_a_model_says_what_it_is(name):
    family = MODELS[name].family
    assert MODELS[name].name == name and issubclass(family, Network)
    assert "Shapes:" in inspect.getdoc(family) and code_lines(family) <= 60


@models
@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("shared", [True, False])
def test_student_i_of_a_stack_is_the_network_of_that_seed(name, training, shared):
    seeds = [5, 0, 123]
    many = build(name, seeds).train(training)
    x = sample() if shared else sample(n=3)
    together = many(x, features=True)
    assert together.logits.shape == (3, 5, 10)
    for i, seed in enumerate(seeds):
        one, cut = build(name, seed).train(training), build(name, seeds).train(training).student(i)
        for single in (one, cut):
            said = single(x if shared else x[i], features=True)
            assert (
                said.grids == together.grids and said.features.keys() == together.features.keys()
            )
            torch.testing.assert_close(said.logits, together.logits[i], rtol=1e-9, atol=1e-12)
            for layer, seen in said.features.items():
                torch.testing.assert_close(seen, together.features[layer][i])
        after = many.student(i).state_dict()  # the norms' running statistics too
        assert after.keys() == one.state_dict().keys()
        for key, value in one.state_dict().items():
            torch.testing.assert_close(after[key], value)


@models
def test_features_have_the_documented_shapes(name):
    said = build(name, [1, 2])(sample(), features=True)
    assert said.features and not build(name, [1, 2])(sample()).features
    for layer, seen in said.features.items():
        assert seen.shape[:2] == (2, 5) and seen.ndim == 4
        if layer in said.grids:
            assert seen.shape[2] == said.grids[layer][0] * said.grids[layer][1]
        else:
            assert seen.shape[2] == 1
    assert len({tuple(s.shape) for s in said.features.values()} | {()}) >= 2


@models
def test_the_logits_are_the_head_on_the_mean_of_the_last_feature(name):
    for seeds, x in ((3, sample()), ([3, 4], sample()), ([3, 4], sample(n=2))):
        network = build(name, seeds)
        said = network(x, features=True)
        embedding = list(said.features.values())[-1].mean(-2)
        torch.testing.assert_close(network.classify(embedding), said.logits)


@models
def test_the_layers_of_a_model_are_those_it_gives(name):
    said = build(name, 0)(sample(), features=True)
    found = layers(name, (1, 8, 8))
    assert list(found) == list(said.features)
    for layer, seen in said.features.items():
        assert found[layer] == (said.grids.get(layer), *seen.shape[-2:])


@models
def test_features_do_not_change_the_logits(name):
    x = sample()
    assert torch.equal(build(name, 3)(x).logits, build(name, 3)(x, features=True).logits)


@models
def test_gradient_reaches_every_parameter_by_name(name):
    for seeds in (4, [4, 5]):
        network = build(name, seeds)
        network(sample()).logits.square().sum().backward()
        for parameter, value in network.named_parameters():
            assert value.grad is not None and bool(value.grad.abs().sum() > 0), parameter


@models
def test_students_do_not_touch_each_other(name):
    network = build(name, [0, 1])
    network(sample()).logits[0].square().sum().backward()
    for parameter, value in network.named_parameters():
        assert bool((value.grad[1] == 0).all()), parameter


@models
def test_a_seed_decides_the_weights(name):
    state, again = build(name, 3).state_dict(), build(name, 3).state_dict()
    other, drawn = build(name, 4).state_dict(), torch.random.get_rng_state()
    assert all(torch.equal(state[k], again[k]) for k in state)
    assert any(not torch.equal(state[k], other[k]) for k in state)
    build(name, [3, 4])
    assert torch.equal(drawn, torch.random.get_rng_state())


@pytest.mark.parametrize("name", ["mlp-64-64", "cnn-8"])
@pytest.mark.parametrize("seeds", [5, [5, 6]])
def test_weights_are_drawn_within_one_over_the_root_of_fan_in(name, seeds):
    network = build(name, seeds)
    lead = len(network.lead)
    for weight, bias in [
        (m.weight, m.bias) for m in network.modules() if getattr(m, "weight", None) is not None
    ]:
        fan_in = math.prod(weight.shape[lead + 1 :])
        if fan_in > 1:
            bound = 1 / math.sqrt(fan_in)
            assert 0.8 * bound < weight.abs().max().item() <= bound + 1e-7
            assert bias.abs().max().item() <= bound + 1e-7


@models
def test_a_state_dict_goes_round(name):
    for first, second in ((3, 8), ([3, 4], [8, 9])):
        one, two = build(name, first), build(name, second)
        one(sample())  # moves the running statistics
        two.load_state_dict(one.state_dict())
        assert torch.equal(one.eval()(sample()).logits, two.eval()(sample()).logits)


@models
def test_a_student_is_a_copy(name):
    network = build(name, [1, 2])
    one = network.student(1)
    with torch.no_grad():
        next(one.parameters()).add_(1)
    for key, value in build(name, [1, 2]).state_dict().items():
        assert torch.equal(network.state_dict()[key], value)
    assert not network.eval().student(0).training and network.train().student(0).training


@pytest.mark.parametrize("shape,classes", [((3, 8, 8), 2), ((1, 5, 7), 4)])
@models
def test_a_model_fits_other_pictures(name, shape, classes):
    try:
        said = MODELS[name](shape, classes, [0, 1])(torch.rand(3, *shape))
    except BadInput as error:  # with the remedy, and before anything else happens
        assert str(error).startswith(f"{name}: expected ") and "; take " in str(error)
        return
    assert said.logits.shape == (2, 3, classes)


@models
def test_a_batch_of_one_works_when_the_network_is_used(name):
    assert build(name, 0).eval()(sample()[:1]).logits.shape == (1, 10)


def test_norm_counts_like_torch():
    """Our stacked batch normalisation against nn.BatchNorm2d, two steps."""
    network, x = build("cnn-4", [0, 1]), sample()
    conv, norm = network.convs[0], network.norms[0]
    reference = torch.nn.BatchNorm2d(8).double()
    for _ in range(2):
        torch.testing.assert_close(norm(conv(x)), reference(conv(x)))
    torch.testing.assert_close(norm.running_mean.flatten(), reference.running_mean)
    torch.testing.assert_close(norm.running_var.flatten(), reference.running_var)


# ------------------------------------------------------------------------------------ data


@data_sets
def test_a_data_set_says_what_it_is(name):
    data = DATA[name]
    assert data.key() == name and data.title and data.source and inspect.getdoc(data)
    assert issubclass(data, Data) and data() == data()
    about = data.describe()
    if name != "own":  # of which nothing is known before it is read
        assert len(about["shape"]) == 3 and about["classes"] >= 2
        assert data.knobs()["left_out"].high == about["classes"] - 1
        assert data.knobs()["images"].high == data.knobs()["labelled"].high == data().size


@pytest.mark.parametrize("split", [0, 1, 2, 9999])
def test_the_digits_split_is_stratified_and_disjoint(split):
    parts = DATA["digits"](split=split).parts()
    assert {k: len(v) for k, v in parts.items()} == {
        "train": 1000, "validation": 297, "test": 500
    }  # fmt: skip
    rows = torch.cat([p.x.flatten(1) for p in parts.values()])
    whole, _ = reference()
    assert sorted(map(bytes, rows.numpy())) == sorted(map(bytes, whole.flatten(1).numpy()))
    share = np.bincount(torch.cat([p.y for p in parts.values()]).numpy()) / 1797
    for part in parts.values():
        counts = np.bincount(part.y.numpy(), minlength=10)
        assert np.abs(counts - share * len(part)).max() <= 1.01


def reference():
    """The digits as scikit-learn gives them."""
    from sklearn.datasets import load_digits

    found = load_digits()
    x = torch.from_numpy((found.data / 16).astype(np.float32)).reshape(-1, 1, 8, 8)
    return x, torch.from_numpy(found.target.astype(np.int64))


def test_the_digits_are_those_of_scikit_learn():
    """In some order, and each with its own label."""
    x, y = reference()
    parts = DATA["digits"]().parts().values()
    mine = torch.cat([torch.cat([p.x.flatten(1), p.y[:, None]], 1) for p in parts])
    theirs = torch.cat([x.flatten(1), y[:, None]], 1)
    assert sorted(mine.tolist()) == sorted(theirs.tolist())
    assert mine.dtype == torch.float32 and float(mine[:, :64].min()) == 0
    assert float(mine[:, :64].max()) == 1


@pytest.mark.parametrize("split", [0, 5])
def test_subsets_are_stratified_and_nested(split):
    largest, _ = DATA["digits"](split=split).transfer()
    for images in (1, 10, 50, 100, 237, 1000):
        data = DATA["digits"](split=split, images=images)
        index, y = data.transfer()
        assert torch.equal(index, largest[:images]) and torch.equal(
            y, data.parts()["train"].y[index]
        )
        counts = np.bincount(y.numpy(), minlength=10)
        assert counts.max() - counts.min() <= max(2, images // 50)
    _, fifty = DATA["digits"](split=split, images=50).transfer()
    assert np.bincount(fifty.numpy()).tolist() == [5] * 10


def test_splits_differ_and_repeat():
    one, again = (DATA["digits"](split=3).parts()["test"].x for _ in range(2))
    assert torch.equal(one, again)
    assert not torch.equal(one, DATA["digits"](split=4).parts()["test"].x)


def test_only_the_first_images_keep_their_label():
    data = DATA["digits"](images=100, labelled=30)
    index, y = data.transfer()
    assert len(index) == 100 and torch.equal(y[:30], data.parts()["train"].y[:30])
    assert bool((y[30:] == -1).all())
    assert bool((DATA["digits"](images=100, labelled=0).transfer()[1] == -1).all())


def test_no_more_labels_than_images():
    """Only the default may be more: it means all, however many images there are."""
    every = DATA["digits"].knobs()["labelled"].default
    for labelled in (50, every):
        assert bool((DATA["digits"](images=50, labelled=labelled).transfer()[1] >= 0).all())
    for labelled in (51, every - 1):
        with pytest.raises(BadInput, match=rf"labelled={labelled}, images=50\): expected at most"):
            DATA["digits"](images=50, labelled=labelled)


def test_left_out_classes_are_never_seen():
    index, y = DATA["digits"](images=200, left_out=(3, 7)).transfer()
    whole, labels = DATA["digits"](images=200).transfer()
    assert set(y.tolist()) == set(range(10)) - {3, 7}
    keep = (labels != 3) & (labels != 7)
    assert torch.equal(index, whole[keep]) and torch.equal(y, labels[keep])
    noisy, _ = DATA["digits"](images=200, left_out=(3, 7), label_noise=0.5).transfer()
    assert torch.equal(noisy, index)  # it is the picture that is left out, not the label


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 1.0])
def test_label_noise_is_the_share_of_wrong_labels(share):
    data = DATA["digits"](label_noise=share)
    clean, noisy = DATA["digits"]().transfer()[1], data.transfer()[1]
    wrong = (clean != noisy).double().mean().item()
    assert abs(wrong - share) < 4 * math.sqrt(share * (1 - share) / 1000) + 1e-12
    assert torch.equal(noisy, data.transfer()[1]) and set(noisy.tolist()) <= set(range(10))
    few = DATA["digits"](images=50, label_noise=share).transfer()[1]
    assert torch.equal(few, noisy[:50])


def test_surgery_leaves_validation_and_test_alone():
    plain, cut = DATA["digits"](), DATA["digits"](images=50, left_out=(1,), label_noise=0.9)
    for part in ("validation", "test"):
        assert torch.equal(plain.parts()[part].y, cut.parts()[part].y)


def test_surgery_knows_nothing_of_seeds():
    torch.manual_seed(1)
    np.random.seed(1)
    one = DATA["digits"](label_noise=0.3).transfer()
    torch.manual_seed(2)
    np.random.seed(2)
    two = DATA["digits"](label_noise=0.3).transfer()
    assert all(torch.equal(a, b) for a, b in zip(one, two, strict=True))


def test_an_impossible_transfer_set_is_refused():
    with pytest.raises(BadInput, match="at least two classes to stay"):
        DATA["digits"](left_out=tuple(range(9)))
    gone = tuple(sorted(set(DATA["digits"](images=2).transfer()[1].tolist())))
    with pytest.raises(BadInput, match="no image is left"):
        DATA["digits"](images=2, left_out=gone)


# --------------------------------------------------------------------------------- recipes


def some_recipes():
    data = DATA["digits"](images=50, left_out=(3,))
    one, two = teacher(data), teacher(data, "cnn-8")
    kd = METHODS["kd"](temperature=8, alpha=1)
    taught = Recipe(data=data, method=kd, teachers=(one, two), seed=3)
    return [
        Recipe(),
        one,
        two,
        taught,
        Recipe("cnn-4", data, kd, (taught,), start=taught, schedule="cosine", batch_size=32),
        *[recipe for named in RECIPES.values() for recipe in named.recipes],
    ]


@pytest.mark.parametrize("name", RECIPES)
def test_a_named_recipe_asks_a_question_and_makes_a_run(name):
    named = RECIPES[name]
    assert named.name == name and len(named.question) > 20 and named.recipes
    assert len({(r.steps, r.events) for r in named.recipes}) == 1
    assert len(set(named.recipes)) == len(named.recipes)
    assert all(len(seeds) > 1 for seeds in arms(named.recipes).values())
    assert len(named.published) in (0, len(arms(named.recipes)))


def test_the_first_act_is_twelve_and_twelve():
    recipes = RECIPES["first-act"].recipes
    labels, taught = arms(recipes)
    assert len(recipes) == 24 and labels.method.key() == "scratch"
    assert taught.method == METHODS["kd"](temperature=8, alpha=1)
    assert {r.data for r in recipes} == {DATA["digits"](images=50)}
    assert {r.steps for r in recipes} == {300} and {r.batch_size for r in recipes} == {0}
    assert taught.teachers == (teacher(DATA["digits"]()),)
    assert teacher(DATA["digits"]()).student == "mlp-256-256"


@pytest.mark.slow
def test_the_first_act_has_the_rates_that_validation_chooses(home, capsys):
    asked = ["scratch", "kd:temperature=8,alpha=1", "kd:temperature=1,alpha=1"]
    assert (
        main(["compare", *asked, "--images", "50", "--splits", "1", "--seeds", "12", "--json"])
        == 0
    )
    chosen = [arm["learning_rate"] for arm in json.loads(capsys.readouterr().out)["arms"]]
    labels, hot = arms(RECIPES["first-act"].recipes)
    same, cold = arms(RECIPES["first-act-cold"].recipes)
    assert same == labels
    assert [arm.learning_rate for arm in (labels, hot, cold)] == chosen


def test_recipes_go_round_through_json():
    for recipe in some_recipes():
        text = json.dumps(recipe.to_json(), allow_nan=False)
        again = Recipe.from_json(json.loads(text))
        assert again == recipe and again.name == recipe.name and hash(again) == hash(recipe)


def test_names_are_stable_for_good():
    """A run is found by its name: if these change, every run of every user is lost."""
    assert Recipe().name == "cc3785a5ea57e75f"
    assert digest(RECIPES["first-act"].recipes) == "8c967d48523a6b2f"
    assert teacher(DATA["digits"]()).name == "a2bf63428da52c90"


def test_a_default_spelled_out_does_not_rename():
    plain = Recipe()
    for field in dataclasses.fields(Recipe):
        assert Recipe(**{field.name: getattr(plain, field.name)}).name == plain.name
    for owner in (DATA["digits"], METHODS["kd"]):
        for name, found in owner.knobs().items():
            assert owner(**{name: found.default}).changed() == {}
    assert Recipe(learning_rate=0.01, seed=0.0, steps=300.0).name == plain.name


def test_whatever_differs_renames():
    base = some_recipes()[3]
    changes = [
        {"student": "mlp-32"},
        {"data": DATA["digits"](images=50)},
        {"data": DATA["digits"](images=50, left_out=(3,), label_noise=0.1)},
        {"method": METHODS["kd"](temperature=8)},
        {"method": METHODS["scratch"](), "teachers": ()},
        {"teachers": base.teachers[:1]},
        {"teachers": base.teachers[::-1]},
        {"start": Recipe()},
        {"seed": 4},
        {"learning_rate": 0.011},
        {"weight_decay": 0.0},
        {"schedule": "cosine"},
        {"steps": 301},
        {"batch_size": 1},
        {"events": 2},
    ]
    names = {base.but(**change).name for change in changes} | {base.name}
    assert len(names) == len(changes) + 1
    assert {field.name for field in dataclasses.fields(Recipe)} <= {k for c in changes for k in c}
    assert digest([base, base.but(seed=9)]) != digest([base.but(seed=9), base])


def test_arms_are_recipes_that_differ_only_in_seed():
    a, b = Recipe(), Recipe(learning_rate=0.1)
    found = arms([a.but(seed=5), b, a, b.but(seed=2)])
    assert found == {a: [0, 2], b: [1, 3]}


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"student": "mlp-17"}, "model 'mlp-17' is not known.*did you mean 'mlp-16'"),
        ({"data": "digits"}, r"Recipe\(data='digits'\): expected a Data"),
        ({"method": "kd"}, r"Recipe\(method='kd'\): expected a Method"),
        ({"method": METHODS["kd"]()}, "KD: expected at least one teacher, got none"),
        ({"method": METHODS["nst"](), "teachers": (Recipe("cnn-8"),)}, "maps .*mlp-16 has none"),
        (
            {"method": METHODS["nst"](), "student": "cnn-4", "teachers": (Recipe("mlp-8"),)},
            "maps .*mlp-8 has none",
        ),
        ({"teachers": (Recipe(),)}, "Scratch: has no use for a teacher"),
        ({"data": DATA["digits"](labelled=0)}, "Scratch: learns from labels alone"),
        ({"schedule": "linear"}, r"Recipe\(schedule='linear'\): expected one of constant, cosine"),
        ({"method": METHODS["kd"](), "teachers": ("kd",)}, "teachers"),
        ({"method": METHODS["kd"](), "teachers": Recipe()}, "teachers"),
        ({"start": "kd"}, "start"),
        ({"student": None}, "None"),
        ({"student": ["mlp-16"]}, "model"),
    ],
)
def test_a_recipe_that_makes_no_sense_is_refused(given, said):
    with pytest.raises(BadInput, match=said):
        Recipe(**given)


@pytest.mark.parametrize(
    "found",
    [
        [],
        None,
        "kd",
        5,
        {"data": {"name": "nothing"}},
        {"data": {}},
        {"data": 5},
        {"method": {"name": "kd", "temperature": 1e9}},
        {"method": {"name": "kd", "temperature": "8"}},
        {"method": {"name": "scratch", "temperature": 8}},
        {"teachers": 5},
        {"teachers": [5]},
        {"start": []},
        {"start": 5},
        {"learning_rate": None},
        {"learning_rate": [0.1]},
        {"seed": "0"},
        {"extra": 1},
    ],
    ids=repr,
)
def test_json_that_is_no_recipe_is_refused(found):
    with pytest.raises(BadInput):
        Recipe.from_json(found)


@pytest.mark.parametrize("name", MODELS)
def test_the_cost_of_every_model_can_be_counted(name):
    network = MODELS[name]((1, 8, 8), 10)
    counted = sum(p.numel() for p in network.parameters())
    assert cost.parameters(network) == counted
