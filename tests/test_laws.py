"""Every law can be broken: a loss that breaks it is caught, and told why."""

from dataclasses import dataclass
from typing import ClassVar

import pytest
import torch
from torch import nn

from workbench import METHODS, Method, laws
from workbench.base import BadInput, knob
from workbench.functional import cross_entropy, kl, soft_log_probs
from workbench.laws import LAWS, broken


def plain(student, teacher, batch, adapter):
    """A loss that obeys every law."""
    return {"labels": cross_entropy(student.logits, batch.y)}


def empty(student, teacher, batch, adapter):
    return {}


def each_sample(student, teacher, batch, adapter):
    return {"labels": -soft_log_probs(student.logits)[..., 0]}


def number(student, teacher, batch, adapter):
    return {"labels": 1.0}


def nan(student, teacher, batch, adapter):
    return {"labels": cross_entropy(student.logits, batch.y) * float("nan")}


def over_the_stack(student, teacher, batch, adapter):
    return {"labels": cross_entropy(student.logits, batch.y).mean()}


def detached(student, teacher, batch, adapter):
    return {"labels": cross_entropy(student.logits.detach(), batch.y)}


def nothing_to_learn(student, teacher, batch, adapter):
    return {"labels": 0 * cross_entropy(student.logits, batch.y)}


def teaches_the_teacher(student, teacher, batch, adapter):
    return {"soft": kl(soft_log_probs(teacher.logits), soft_log_probs(student.logits))}


def first_sample(student, teacher, batch, adapter):
    return {"labels": -soft_log_probs(student.logits)[..., 0, :].mean(-1)}


def raw_logits(student, teacher, batch, adapter):
    difference = student.logits - teacher.logits.detach()
    return {"match": difference.square().mean((-1, -2))}


def first_class(student, teacher, batch, adapter):
    return {"labels": -soft_log_probs(student.logits)[..., 0].mean(-1)}


def distances(student, teacher, batch, adapter):
    p = soft_log_probs(student.logits).exp()
    gaps = (p.unsqueeze(-2) - p.unsqueeze(-3)).square().sum(-1)
    return {"distances": (gaps + 1e-30).log().mean((-1, -2)) / 10}


def careless(student, teacher, batch, adapter):
    return {"labels": -student.logits.softmax(-1).log().mean((-1, -2))}


def left_classes(student, teacher, batch, adapter):
    """Divides by the spread over the classes that are not the largest."""
    log_p = soft_log_probs(student.logits)
    rest = log_p.sort(-1).values[..., :-1]
    return {"rest": (rest.std(-1)).mean(-1)}


def over_samples(student, teacher, batch, adapter):
    return {"spread": soft_log_probs(student.logits).std(-2).mean(-1)}


def divides_by_labels(student, teacher, batch, adapter):
    known = batch.y >= 0
    log_p = soft_log_probs(student.logits).mean(-1)
    return {"labels": -(log_p * known).sum(-1) / known.sum(-1)}


def writes(student, teacher, batch, adapter):
    student.logits.detach().mul_(0.5)
    return plain(student, teacher, batch, adapter)


def draws(student, teacher, batch, adapter):
    return {"labels": cross_entropy(student.logits, batch.y) * torch.rand(())}


CULPRITS = {
    empty: ("terms", "there is no term"),
    each_sample: ("terms", "not a scalar tensor but"),
    number: ("terms", "not a scalar tensor but float"),
    nan: ("terms", "is nan"),
    over_the_stack: ("stack", "together"),
    detached: ("gradient", "no gradient reaches the logits"),
    nothing_to_learn: ("gradient", "zero everywhere"),
    teaches_the_teacher: ("teacher", "reaches the teacher's logits"),
    first_sample: ("order", "labels is"),
    raw_logits: ("shift", "match is"),
    first_class: ("classes", "labels is"),
    distances: ("duplicates", "makes the gradient"),
    careless: ("large", "labels is"),
    left_classes: ("two classes", "rest is nan"),
    over_samples: ("one sample", "spread is nan"),
    divides_by_labels: ("unlabelled", "labels is nan"),
    writes: ("pure", "into the student's logits"),
    draws: ("pure", "random numbers"),
}


def test_every_law_has_a_loss_that_breaks_it():
    assert {law for law, _ in CULPRITS.values()} == set(LAWS) - {"ahead"}
    for name, law in LAWS.items():
        assert law.name == name and law.sentence.endswith(".") and len(law.sentence) > 20


@pytest.mark.filterwarnings("ignore:std")
@pytest.mark.parametrize("loss", CULPRITS, ids=lambda loss: loss.__name__)
def test_who_breaks_a_law_is_told_why(loss):
    name, said = CULPRITS[loss]
    assert said in (LAWS[name].check(loss) or "it obeys")
    assert name in broken(loss)


def test_who_obeys_is_told_nothing():
    assert broken(plain) == {} and broken(METHODS["scratch"]()) == {}


def test_an_error_counts_as_breaking_the_law():
    def fails(student, teacher, batch, adapter):
        raise KeyError("hidden9")

    assert all("KeyError: 'hidden9'" in why for why in broken(fails).values())
    assert set(broken(fails)) == set(LAWS)


def test_a_reason_for_too_few_samples_is_allowed():
    def says(student, teacher, batch, adapter):
        if len(batch.y) < 2:
            raise BadInput("distances need two samples")
        return plain(student, teacher, batch, adapter)

    assert LAWS["one sample"].check(says) is None and broken(says) == {}


@dataclass(frozen=True)
class Hint(Method):
    """A method with everything: features, an adapter, stages, knobs."""

    title: ClassVar[str] = "Hint"
    paper: ClassVar[str] = "none"
    needs: ClassVar = frozenset({"teacher", "features"})
    stages: ClassVar = (("hints", 0.5, "both"), ("labels", 0.5, "student"))
    weight: float = knob(1.0, accepts=(0, 10), slider=(1, 2), meaning="how much")

    def setup(self, student, teacher, sample, n, build):
        wide, narrow = teacher.features["hidden1"], student.features["hidden1"]
        return build(lambda: nn.Linear(narrow.shape[-1], wide.shape[-1]))

    def loss(self, student, teacher, batch, adapter):
        if batch.stage == "labels":
            return {"labels": cross_entropy(student.logits, batch.y)}
        wide = teacher.features["hidden1"].detach()
        difference = (adapter(student.features["hidden1"]) - wide).square().mean((-1, -2, -3))
        return {"hint": self.weight * difference}


def test_methods_with_adapters_and_stages_are_checked_too():
    """What rests in a stage needs no gradient there; what is said to learn does."""

    class Restless(Hint):
        stages: ClassVar = (("hints", 0.5, "both"), ("labels", 0.5, "both"))

    assert broken(Hint()) == {}
    assert "in stage 'labels': no gradient reaches" in LAWS["gradient"].check(Restless())


def test_a_method_that_forgets_the_steps_is_noticed():
    """Its target is that of the mean teacher of all steps, not of each."""

    @dataclass(frozen=True)
    class Hasty(Method):
        title: ClassVar[str] = "Hasty"
        paper: ClassVar[str] = "none"

        def targets(self, like, teacher, batch):
            p = teacher.logits.detach().softmax(-1)
            return (p.mean(0, keepdim=True).expand_as(p) if p.ndim > 3 else p,)

        def loss(self, student, teacher, batch, adapter):
            (p,) = batch.targets or self.targets(student.logits, teacher, batch)
            return {"soft": -(p * soft_log_probs(student.logits)).sum((-1, -2))}

    assert "ahead" in LAWS["ahead"].check(Hasty()) and set(broken(Hasty())) == {"ahead"}


def test_an_adapter_that_is_written_is_noticed():
    @dataclass(frozen=True)
    class Writes(Hint):
        def loss(self, student, teacher, batch, adapter):
            next(adapter.parameters()).detach().add_(1)
            return super().loss(student, teacher, batch, adapter)

    assert "into the adapter's" in LAWS["pure"].check(Writes())


def test_a_case_is_the_same_each_time():
    one, two = laws.case(seed=4), laws.case(seed=4)
    assert torch.equal(one.student.logits, two.student.logits)
    assert one.student.features["hidden1"].shape[-1] != one.teacher.features["hidden1"].shape[-1]
