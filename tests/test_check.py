"""The bug zoo and the check of a user's own loss: each mistake is caught, and recognised."""

import functools
import inspect
import json

import pytest
import torch
import torch.nn.functional as F

from workbench import METHODS, zoo
from workbench.__main__ import main
from workbench.base import BadInput, Registry
from workbench.check import check as checked
from workbench.check import load, reference, sentences
from workbench.specimens import SPECIMENS, _specimen, of

pytestmark = pytest.mark.filterwarnings("ignore:reduction")
specimens = pytest.mark.parametrize("name", SPECIMENS)
losses = pytest.mark.parametrize("name", of("loss"))


def mixed(student_logits, teacher_logits, labels, temperature, alpha, **mistake):
    """A loss as people write it, whole, with one thing changed."""
    log_q = F.log_softmax(student_logits / temperature, dim=1)
    p = F.softmax(teacher_logits.detach() / temperature, dim=1)
    soft = mistake.get("soft", lambda p, log_q: F.kl_div(log_q, p, reduction="batchmean"))
    scale = mistake.get("scale", lambda t: t**2)(temperature)
    hard = F.cross_entropy(student_logits, labels)
    return mistake.get("mix", lambda a, s, h: a * s + (1 - a) * h)(
        alpha, scale * soft(p, log_q), hard
    )


def written(**mistake):
    def loss(student_logits, teacher_logits, labels, *, temperature, alpha):
        return mixed(student_logits, teacher_logits, labels, temperature, alpha, **mistake)

    return loss


# -------------------------------------------------------------------------------- the zoo


def test_specimens_cannot_be_picked_as_methods():
    assert not set(SPECIMENS) & set(METHODS) and len(SPECIMENS) >= 10


@specimens
def test_a_specimen_says_what_it_is(name):
    one = SPECIMENS[name]
    assert one.name == name and one.law in (sentences() if one.kind == "loss" else zoo.LAWS)
    assert one.mistake.endswith(".") and len(one.symptom) > 40
    source = inspect.getsource(one.function)
    assert source.count("# !") == 1 and len(source.splitlines()) <= 22
    assert (one.right in METHODS) == (one.kind == "features")


@losses
def test_its_law_catches_it_and_the_zoo_knows_it(name):
    found = checked(SPECIMENS[name].loss)
    assert SPECIMENS[name].law in found.broken
    assert found.resembles == name
    assert json.loads(json.dumps(found.describe()))["resembles"]["mistake"]


@pytest.mark.parametrize("name", [*of("features"), *of("training")])
def test_its_law_catches_what_is_not_in_the_loss(name):
    assert SPECIMENS[name].law in zoo.broken(SPECIMENS[name])


def test_right_trainings_and_right_comparisons_break_nothing():
    for law in ("teacher rests", "student trains"):
        assert zoo.LAWS[law][1](zoo.right_training) is None
    for name in {one.right for one in of("features").values()}:
        assert zoo.LAWS["channels"][1](functools.partial(zoo.of_method, name)) is None


def test_a_training_may_look_at_the_accuracy_in_eval_mode():
    def careful(student, teacher, x, y, *, steps, rate):
        for _ in range(steps):
            zoo.right_training(student, teacher, x, y, steps=1, rate=rate)
            student.eval()
            student(x)

    assert zoo.LAWS["student trains"][1](careful) is None


def test_the_right_loss_breaks_nothing():
    for loss in (reference, written()):
        found = checked(loss)
        assert dict(found.broken) == {} and found.resembles is None
        assert all(found.describe()["laws"].values())


def test_a_method_of_ours_is_right_too():
    def ours(student_logits, teacher_logits, labels, *, temperature, alpha):
        from workbench import Batch, Outputs

        method = METHODS["kd"](temperature=temperature, alpha=alpha)
        batch = Batch(student_logits, labels)
        return sum(method.loss(Outputs(student_logits), Outputs(teacher_logits), batch).values())

    assert dict(checked(ours).broken) == {}


def test_a_file_that_is_no_specimen_is_named():
    with pytest.raises(TypeError, match="SYMPTOM, LAW and one of loss, features, training"):
        _ = Registry("specimen", "workbench.recipes", _specimen).found


# ----------------------------------------------------------------------- users' own mistakes

MISTAKES = {
    "a constant instead of T squared": ({"scale": lambda t: 100.0}, "T squared"),
    "half of it": ({"soft": lambda p, q: F.kl_div(q, p, reduction="batchmean") / 2}, "reduction"),
    "labels not weighed": ({"mix": lambda a, s, h: a * s + h}, "direction"),
    "a maximum": ({"mix": lambda a, s, h: torch.maximum(a * s, (1 - a) * h)}, "mixture"),
    "a floor in the log": (
        {"soft": lambda p, q: F.kl_div((q.exp() + 1e-8).log(), p, reduction="batchmean")},
        "sure",
    ),
    "T at most ten": ({"scale": lambda t: min(t, 10.0) ** 2}, "T squared"),
    "a sum over six": ({"soft": lambda p, q: F.kl_div(q, p, reduction="sum") / 6}, "batch"),
    "labels doubled": ({"mix": lambda a, s, h: a * s + (1 - a) * 2 * h}, "labels"),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_mistakes_that_no_specimen_has_are_caught_by_a_law(name):
    mistake, law = MISTAKES[name]
    found = checked(written(**mistake))
    assert law in found.broken
    assert name != "labels not weighed" or found.broken[law].endswith("the labels still count")


def test_the_cross_entropy_form_is_right():
    """Its value has the teacher's entropy too, which no student can change."""
    found = checked(written(soft=lambda p, q: -(p * q).sum(1).mean()))
    assert dict(found.broken) == {}


def test_what_raises_is_said_with_its_error():
    def fails(student_logits, teacher_logits, labels, *, temperature, alpha):
        raise KeyError("no such layer")

    found = checked(fails)
    assert list(found.broken) == ["terms"] == [*found.asked] and found.resembles is None
    assert found.broken["terms"] == "KeyError: 'no such layer'"
    assert found.describe()["laws"]["teacher"] is None, "it was not asked"


@pytest.mark.parametrize(
    ("value", "said"),
    [(lambda: None, "it returns NoneType"), (lambda: 3.0, "it returns float"),
     (lambda: torch.tensor(torch.nan), "it is nan for"), (lambda: exit(3), "SystemExit: 3")],
)  # fmt: skip
def test_what_is_no_loss_is_said_once(value, said):
    found = checked(lambda z_s, z_t, y, *, temperature, alpha: value())
    assert said in found.broken["terms"] and len(found.broken) == 1


def test_what_it_resembles_breaks_a_law_that_it_breaks(recwarn):
    """A specimen is named for what it does wrong, never for what both do right."""

    def temperature_on_labels(student_logits, teacher_logits, labels, *, temperature, alpha):
        soft = mixed(student_logits, teacher_logits, labels, temperature, 1.0)
        hard = F.cross_entropy(student_logits / temperature, labels)
        return alpha * soft + (1 - alpha) * hard

    for loss in (temperature_on_labels, *(written(**mistake) for mistake, _ in MISTAKES.values())):
        found = checked(loss)
        assert found.resembles is None or SPECIMENS[found.resembles].law in found.broken
    assert not recwarn.list, "a warning that the specimens bring is nobody's"


# --------------------------------------------------------------------------------- by command

FILE = """
import torch.nn.functional as F
from beside import softened

def right(student_logits, teacher_logits, labels, *, temperature, alpha):
    soft = F.kl_div(softened(student_logits, temperature).log_softmax(1),
                    softened(teacher_logits.detach(), temperature).softmax(1),
                    reduction="batchmean")
    return alpha * temperature**2 * soft + (1 - alpha) * F.cross_entropy(student_logits, labels)

def flat(student_logits, teacher_logits, labels, *, temperature, alpha):
    return right(student_logits, teacher_logits, labels, temperature=temperature,
                 alpha=alpha) / temperature**2

def other(student, teacher):
    return 0.0
"""


@pytest.fixture
def file(tmp_path):
    (tmp_path / "beside.py").write_text("def softened(z, t):\n    return z / t\n")
    path = tmp_path / "my_losses.py"
    path.write_text(FILE)
    return path


def test_a_right_loss_ends_with_zero(file, capsys):
    assert main(["check", f"{file}:right"]) == 0
    out = capsys.readouterr().out
    assert "BROKEN" not in out and out.endswith(f"all {len(sentences())} laws hold\n")


def test_a_wrong_one_is_told_why_and_ends_with_one(file, capsys):
    assert main(["check", f"{file}:flat"]) == 1
    out = capsys.readouterr().out
    assert "BROKEN  T squared" in out and "here: from T = 1 to T = 8" in out
    assert main(["check", f"{file}:flat", "--json"]) == 1
    found = json.loads(capsys.readouterr().out)
    assert found["laws"]["T squared"] is False and found["laws"]["order"] is True


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        ("{}:other", "expected other(student_logits, teacher_logits, labels, *, temperature, al"),
        ("{}:rigth", "did you mean 'right'?"),
        ("{}", "expected file.py:function"),
        ("nowhere.py:f", "nowhere.py: no such file"),
    ],
)
def test_what_cannot_be_checked_is_refused_in_a_sentence(file, spec, said, capsys):
    with pytest.raises(BadInput) as caught:
        load(spec.format(file))
    assert said in str(caught.value)
    assert main(["check", spec.format(file)]) == 2
    shown = capsys.readouterr()
    assert shown.out == "" and shown.err.count("\n") == 1


def test_a_file_that_cannot_be_read_is_named(tmp_path):
    path = tmp_path / "odd.py"
    path.write_text("1 / 0\n")
    with pytest.raises(BadInput, match=r"odd\.py: cannot be read \(ZeroDivisionError"):
        load(f"{path}:loss")


@pytest.mark.parametrize("words", [[], ["x.py:f", "--zoo"]])
def test_one_thing_is_asked_at_a_time(words, capsys):
    assert main(["check", *words]) == 2
    assert "expected a loss, as my_losses.py:my_loss, or --zoo" in capsys.readouterr().err


def test_what_a_mistake_costs_is_measured(monkeypatch, capsys, home):
    few = {"splits": 1, "seeds": 2, "steps": 3}
    costs = {
        "cost": ("loss", {"distillation"}),
        "cost_of_training": ("training", {"training"}),
        "cost_of_features": ("features", {"attention", "similarity"}),
    }
    for name, (kind, right) in costs.items():
        measure = getattr(zoo, name)
        found = measure(**few)
        assert set(found) == {*right, *of(kind)}
        assert all(len(row) == 2 and 0 <= min(row) for (row,) in found.values())
        assert name != "cost" or measure(**few) == found
        two = {name: [[0.9, 0.8], [0.7, 0.9]] for name in found}
        monkeypatch.setattr(zoo, name, lambda report, two=two: two)
    assert main(["check", "--zoo"]) == 0
    out = capsys.readouterr().out
    assert all(name in out for name in SPECIMENS) and out.count("not tuned") == 3
    assert main(["check", "--zoo", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert set(found["verdicts"]) == set(SPECIMENS) < set(found["accuracy"])
