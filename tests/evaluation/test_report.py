"""Reports: each number is its measure's, all of it is JSON, and nothing is hidden by a mean."""

import json
import subprocess
import sys
from dataclasses import asdict

import numpy as np
import pytest
import torch

from workbench import evaluation as ev


@pytest.fixture
def case():
    rng = np.random.default_rng(0)
    return rng.normal(size=(3, 60, 4)), rng.integers(0, 4, 60), rng.normal(size=(60, 4))


def strict_json(data):
    return json.loads(json.dumps(data, allow_nan=False))


def test_report_is_json_of_the_measures(case):
    (z, *_), y, t = case
    r = ev.report(z, y, t)
    assert strict_json(r) == r
    assert r == {
        "n": 60,
        "accuracy": ev.accuracy(z, y),
        "nll": ev.nll(z, y),
        "brier": ev.brier(z, y),
        "ece": ev.ece(z, y),
        "reliability": [asdict(b) for b in ev.reliability(z, y)],
        "recall": ev.per_class_recall(z, y),
        "confusion": ev.confusion(z, y).tolist(),
        "agreement": ev.agreement(z, t),
        "kl_to_teacher": ev.kl_to_teacher(z, t),
        "repeated_errors": ev.repeated_errors(z, t, y),
        "venn": asdict(ev.venn(z, t, y)),
    }


def test_report_without_a_teacher_says_nothing_about_one(case):
    (z, *_), y, t = case
    alone, both = ev.report(z, y), ev.report(z, y, t)
    assert set(both) - set(alone) == {"agreement", "kl_to_teacher", "repeated_errors", "venn"}
    assert all(alone[name] == both[name] for name in alone)


@pytest.mark.parametrize("broken", [np.nan, np.inf])
def test_report_of_a_diverged_student_has_none_and_is_json(case, broken):
    (z, *_), y, t = case
    z = z.copy()
    z[0] = broken
    r = strict_json(ev.report(z, y, t))
    undefined = {name for name, value in r.items() if value is None}
    assert undefined == {"nll", "brier", "ece", "reliability", "kl_to_teacher"}
    assert 0 < r["accuracy"] < 1


def test_reports_are_the_report_of_each(case):
    stack, y, t = case
    assert ev.reports(stack, y, t) == [ev.report(z, y, t) for z in stack]
    assert ev.reports(torch.tensor(stack), y) == [ev.report(z, y) for z in stack]


def test_reports_take_a_split_and_a_teacher_per_student(case):
    stack, y, t = case
    labels = np.stack([y, (y + 1) % 4, (y + 2) % 4])
    teachers = np.stack([t, -t, t * 2])
    expected = [ev.report(*one) for one in zip(stack, labels, teachers, strict=True)]
    assert ev.reports(stack, labels, teachers) == expected


def test_aggregate_is_mean_and_sample_std_over_students(case):
    stack, y, t = case
    found = ev.reports(stack, y, t)
    total = ev.aggregate(found)
    assert strict_json(total) == total
    assert total["students"] == 3
    for name in ("accuracy", "nll", "brier", "ece", "agreement", "kl_to_teacher"):
        values = [one[name] for one in found]
        assert total[name]["mean"] == pytest.approx(np.mean(values))
        assert total[name]["std"] == pytest.approx(np.std(values, ddof=1))
        assert total[name]["n"] == 3
    counts = np.mean([ev.confusion(z, y) for z in stack], axis=0)
    assert total["confusion"] == counts.tolist()


def test_aggregate_of_one_student_has_no_std(case):
    (z, *_), y, _ = case
    total = ev.aggregate([ev.report(z, y)])
    assert total["accuracy"] == {"mean": ev.accuracy(z, y), "std": None, "n": 1}
    assert "agreement" not in total


def test_aggregate_does_not_average_the_survivors(case):
    stack, y, _ = case
    stack[1, 0] = np.nan
    total = ev.aggregate(ev.reports(stack, y))
    assert total["nll"] == {"mean": None, "std": None, "n": 3}
    assert total["accuracy"]["mean"] is not None


def test_wrong_input_is_refused_by_name(case):
    stack, y, t = case
    with pytest.raises(ValueError, match=r"^report\(logits.shape=\(3, 60, 4\)\)"):
        ev.report(stack, y)
    with pytest.raises(ValueError, match=r"^reports\(logits.shape=\(60, 4\)\).*a stack"):
        ev.reports(stack[0], y)
    with pytest.raises(ValueError, match=r"^reports\(labels.shape=\(2, 60\)\).*3 students"):
        ev.reports(stack, np.stack([y, y]))
    with pytest.raises(ValueError, match=r"^reports\(teacher_logits.shape=\(2, 60, 4\)\)"):
        ev.reports(stack, y, np.stack([t, t]))
    with pytest.raises(ValueError, match=r"^aggregate\(reports=\[\]\): expected at least one"):
        ev.aggregate([])
    with pytest.raises(ValueError, match=r"^aggregate\(.*same measures"):
        ev.aggregate([ev.report(stack[0], y), ev.report(stack[1], y, t)])


def test_importing_the_package_imports_nothing_heavy():
    code = (
        "import sys, workbench.evaluation\n"
        "print(*{'sklearn', 'scipy', 'safetensors', 'matplotlib', 'gradio'} & set(sys.modules))"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == ""


def test_all_public_names_exist():
    assert all(hasattr(ev, name) for name in ev.__all__)
