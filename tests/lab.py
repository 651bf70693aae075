"""Methods, teachers and comparisons that only the tests of the engine need."""

import contextlib
from dataclasses import dataclass
from typing import ClassVar

import pytest
import torch
from torch import nn

from workbench import DATA, METHODS, MODELS, Method, Recipe
from workbench.base import knob
from workbench.engine import Teacher, begin, listen, train
from workbench.functional import cross_entropy, kl, per_student, soft_log_probs

SCRATCH, KD, SMOOTH = METHODS["scratch"], METHODS["kd"], METHODS["label-smoothing"]
TEACHER = Recipe("mlp-32", seed=77, steps=3, events=1)
OTHER = Recipe("mlp-32", seed=78, steps=3, events=1)
WIDE = frozenset({"teacher", "features"})


def digits(images=50, **more):
    return DATA["digits"](images=images, **more)


class Named(Method):
    """A method in no file of its own: its key is the class's name."""

    title: ClassVar[str] = "test"
    paper: ClassVar[str] = "none"

    @classmethod
    def key(cls):
        return cls.__name__.lower()


@dataclass(frozen=True)
class Hint(Named):
    """FitNets in one stage: a regressor of each student's own, learnt beside it."""

    needs: ClassVar = WIDE
    weight: float = knob(1.0, accepts=(0, 10), meaning="of the hint")

    def setup(self, student, teacher, sample, n, build):
        narrow, wide = student.features["hidden1"], teacher.features["hidden1"]
        assert int(sample.index.max()) < n <= 1000 and not student.logits.requires_grad
        return build(lambda: nn.Linear(narrow.shape[-1], wide.shape[-1]))

    def loss(self, student, teacher, batch, adapter):
        wide = teacher.features["hidden1"]
        hint = (adapter(student.features["hidden1"]) - wide).square().mean((-1, -2, -3))
        return {"hint": self.weight * hint, "labels": cross_entropy(student.logits, batch.y)}


@dataclass(frozen=True)
class Stages(Hint):
    """First the regressor alone, then both, then distillation of the student alone."""

    stages: ClassVar = (
        ("regressor", 0.25, "adapter"),
        ("hints", 0.25, "both"),
        ("answers", 0.5, "student"),
    )

    def loss(self, student, teacher, batch, adapter):
        if batch.stage == "answers":
            return KD().loss(student, teacher, batch, None)
        return {"hint": super().loss(student, teacher, batch, adapter)["hint"]}


class Past(nn.Module):
    """What a student said about every sample."""

    def __init__(self, n, k):
        super().__init__()
        self.register_buffer("said", torch.full((n, k), 1.0 / k))
        self.register_buffer("count", torch.zeros((), dtype=torch.int64))


@dataclass(frozen=True)
class Memory(Named):
    """Every student is taught by what it said when it last saw the sample (PS-KD's memory)."""

    needs: ClassVar = frozenset({"labels"})
    share: float = knob(0.5, accepts=(0, 1), meaning="of the past")

    def setup(self, student, teacher, sample, n, build):
        return build(lambda: Past(n, student.logits.shape[-1]))

    def loss(self, student, teacher, batch, adapter):
        past = torch.stack([copy.said[rows(batch, i)] for i, copy in enumerate(adapter.each)])
        past = past.to(student.logits)
        ce = -(past * soft_log_probs(student.logits)).sum(-1).mean(-1)
        plain = cross_entropy(student.logits, batch.y)
        return {"past": self.share * ce, "labels": (1 - self.share) * plain}

    def update(self, adapter, network, student, teacher, batch):
        assert not torch.is_grad_enabled()
        for i, copy in enumerate(adapter.each):
            copy.said[rows(batch, i)] = student.logits[i].softmax(-1).to(copy.said)
            copy.count += 1


def rows(batch, i):
    return batch.index if batch.index.ndim == 1 else batch.index[i]


@dataclass(frozen=True)
class Poison(Named):
    """Labels only, but where `dose` > 0 the loss is NaN from the middle on."""

    needs: ClassVar = frozenset({"labels"})
    dose: float = knob(0.0, accepts=(0, 1), meaning="NaN if above 0")

    def loss(self, student, teacher, batch, adapter):
        ce = cross_entropy(student.logits, batch.y)
        bad = torch.as_tensor(self.dose, device=ce.device) > 0
        return {"labels": torch.where(bad & (batch.progress >= 0.5), torch.nan, ce)}


@dataclass(frozen=True)
class Hiccup(Poison):
    """NaN in the seventh of twelve steps alone: finite again once the weights are frozen."""

    def loss(self, student, teacher, batch, adapter):
        ce = cross_entropy(student.logits, batch.y)
        bad = torch.as_tensor(self.dose, device=ce.device) > 0
        return {"labels": torch.where(bad & (0.45 < batch.progress < 0.55), torch.nan, ce)}


@dataclass(frozen=True)
class PoisonedHint(Hint):
    """A hint that becomes NaN where `dose` > 0."""

    dose: float = knob(0.0, accepts=(0, 1), meaning="NaN if above 0")

    def loss(self, student, teacher, batch, adapter):
        terms = super().loss(student, teacher, batch, adapter)
        bad = torch.as_tensor(self.dose, device=terms["hint"].device) > 0
        return {
            k: torch.where(bad & (batch.progress >= 0.5), torch.nan, v) for k, v in terms.items()
        }


@dataclass(frozen=True)
class Soft(Named):
    """The teacher's answer at a temperature."""

    temperature: float = knob(1.0, accepts=(0.1, 10), meaning="T")

    def loss(self, student, teacher, batch, adapter):
        p, q = (soft_log_probs(o.logits, self.temperature) for o in (teacher, student))
        return {"soft": kl(p, q)}


@dataclass(frozen=True)
class Alone(Soft):
    """The same, which cannot serve a stack."""

    stackable: ClassVar[bool] = False

    def loss(self, student, teacher, batch, adapter):
        assert student.logits.ndim == 2 and teacher.logits.ndim == 2 and batch.y.ndim == 1
        return super().loss(student, teacher, batch, adapter)


@dataclass(frozen=True)
class LoneHint(Hint):
    """A hint that cannot serve a stack."""

    stackable: ClassVar[bool] = False


@dataclass(frozen=True)
class Live(Named):
    """The teacher is asked at every step."""

    needs: ClassVar = frozenset({"teacher", "live teacher"})
    weight: float = knob(1.0, accepts=(0, 10), meaning="of the teacher")

    def loss(self, student, teacher, batch, adapter):
        soft = kl(soft_log_probs(teacher.logits), soft_log_probs(student.logits))
        return {"teacher": self.weight * soft}


@dataclass(frozen=True)
class Hard(Named):
    """The student is shown the teacher's labels instead of the references."""

    def transfer(self, teacher, y):
        return teacher.logits.argmax(-1).expand(y.shape)

    def loss(self, student, teacher, batch, adapter):
        return {"labels": cross_entropy(student.logits, batch.y)}


@dataclass(frozen=True)
class Members(Named):
    """Every teacher of an ensemble is copied, each with the same weight."""

    weight: float = knob(1.0, accepts=(0, 10), meaning="of the teachers")

    def loss(self, student, teacher, batch, adapter):
        members = soft_log_probs(teacher.extra["members"].movedim(-3, 0))
        soft = torch.stack([kl(one, soft_log_probs(student.logits)) for one in members])
        assert per_student(self.weight, student.logits) is not None
        return {"teachers": self.weight * soft.mean(0)}


# --------------------------------------------------------------------------------- running


def network_of(recipe):
    """An untrained network that is sure of itself."""
    made = MODELS[recipe.student](recipe.data.shape, recipe.data.classes, recipe.seed)
    with torch.no_grad():
        list(made.parameters())[-2].mul_(20)
    return made.eval()


def teachers(*recipes, split=0, features=True):
    """What `begin` wants to know about teachers."""
    found = {}
    for recipe in recipes or (TEACHER, OTHER):
        network = network_of(recipe)
        x = digits(split=split).parts()["train"].x
        found[recipe, "digits", split] = Teacher(network, listen(network, x, features))
    return found


def run(recipes, dtype=torch.float64, **more):
    """All events of a group that is trained in one state, and the state."""
    recipes = [recipes] if isinstance(recipes, Recipe) else list(recipes)
    state = begin(recipes, more.pop("teachers", None) or teachers(), dtype=dtype, **more)
    return list(train(state)), state


def weights(state, i):
    return state.network(i).state_dict()


def assert_same_weights(one, two, exact=True, atol=1e-9):
    assert one.keys() == two.keys()
    for name, value in one.items():
        if exact:
            assert torch.equal(value, two[name]), name
        else:
            torch.testing.assert_close(value, two[name], rtol=1e-6, atol=atol)


def assert_one_by_one(recipes, **more):
    """Students trained in one state are those trained alone: events and weights, to 1e-6."""
    together, state = run(recipes, **more)
    for i, recipe in enumerate(recipes):
        apart, alone = run(recipe, **more)
        assert_same_weights(weights(state, i), weights(alone, 0), exact=False, atol=1e-6)
        for a, b in zip(together, apart, strict=True):
            assert (a.step, a.steps) == (b.step, b.steps)
            for part, row in b.accuracy.items():
                assert a.accuracy[part][i] == row[0]
            mine = {name: row[i] for name, row in a.terms.items() if row[i] is not None}
            assert mine == pytest.approx({k: row[0] for k, row in b.terms.items()}, rel=1e-6)
    return state


@contextlib.contextmanager
def known(monkeypatch, *methods):
    """Let the registry know some methods, so that runs can read their recipes."""
    found = dict(METHODS.found) | {method.key(): method for method in methods}
    with monkeypatch.context() as patch:
        patch.setattr(METHODS, "_found", found)
        yield
