"""A sweep equals the runs it replaces, says what it takes, and keeps what was finished."""

from __future__ import annotations

import errno
import json
import math

import pytest
import torch

from workbench import assets, runs
from workbench import sweep as sweeps
from workbench.base import BadInput, Trouble
from workbench.data import DATA
from workbench.engine import train
from workbench.methods import METHODS
from workbench.recipe import Recipe, arms
from workbench.runs import Run, extract, load_tensors, prepare, verify
from workbench.sweep import plan, sweep

KD = METHODS["kd"]
FEW = DATA["digits"](images=20)
GRID = {"temperature": [1, 8], "alpha": [0, 0.5]}
SHORT = {"data": FEW, "teacher": "mlp-4", "seeds": 2, "steps": 4, "events": 2}


def small(grid=GRID, **changes):
    return plan(KD, grid, **SHORT | changes)


def ends(state):
    """The last event of a training."""
    return list(train(state))[-1]


# ------------------------------------------------------------------------------------- laws


@pytest.mark.parametrize("student, teacher", [("mlp-4", "mlp-4"), ("cnn-4", "mlp-4")])
@pytest.mark.parametrize("method", ["kd", "dkd"])
def test_a_sweep_equals_the_separate_runs_of_its_cells(student, teacher, method):
    """Temperature × a weight × seeds in one pass, and each student alone, in float64."""
    kind = METHODS[method]
    grid = {"temperature": [1, 8], "others" if method == "dkd" else "alpha": [0, 0.5]}
    made = plan(kind, grid, **SHORT | {"student": student, "teacher": teacher, "steps": 12})
    (group,) = made.passes
    assert len(group) == 8 and len(set(group)) == 8
    together = ends(prepare(group, dtype=torch.float64))
    for i, recipe in enumerate(group):
        alone = ends(prepare([recipe], dtype=torch.float64))
        for part, row in alone.accuracy.items():
            assert together.accuracy[part][i] == pytest.approx(row[0], abs=1e-6), (part, recipe)
        for name, row in alone.terms.items():
            assert together.terms[name][i] == pytest.approx(row[0], abs=1e-6), (name, recipe)


def test_a_split_sweep_gives_the_numbers_of_one_pass():
    whole, split = small(labels=True), small(labels=True, most=4)
    assert len(whole.passes) == 1 and sorted(map(len, split.passes)) == [4, 6]
    a = sweeps.train(whole)
    b = sweeps.train(split)
    assert [c["knobs"] for c in a["cells"]] == [c["knobs"] for c in b["cells"]]
    for one, other in zip(a["cells"], b["cells"], strict=True):
        assert one["accuracy"]["mean"] == pytest.approx(other["accuracy"]["mean"], abs=0.005)
    assert len(b["runs"]) == 2 and b["run"] == b["runs"][0]


# ------------------------------------------------------------------------------- the plan


def test_a_plan_says_what_would_be_trained_and_trains_nothing(home):
    made = small({"temperature": [1, 8], "images": [10, 20]}, labels=True)
    assert [dict(cell.knobs) for cell in made.cells] == [
        {"temperature": t, "images": n} for t in (1.0, 8.0) for n in (10, 20)
    ]
    assert all([r.seed for r in cell.recipes] == [0, 1] for cell in made.cells)
    assert [dict(one.knobs) for one in made.labels] == [{"images": 10}, {"images": 20}]
    assert made.base(made.cells[3]) is made.labels[1]
    assert 0 < made.seconds < 60 and 0 < made.memory < 1e9 and made.note == ""
    assert not home.exists(), "not even a folder"
    for cell in (*made.cells, *made.labels):
        i, where = made.students(cell)
        assert made.passes[i][where] == cell.recipes


def test_what_cannot_share_a_pass_gets_its_own():
    rest = {name: value for name, value in SHORT.items() if name != "steps"}
    made = plan(KD, {"steps": [2, 3], "temperature": [1, 8]}, **rest)
    assert [{r.steps for r in group} for group in made.passes] == [{2}, {3}]
    assert len(sweeps.train(made)["cells"]) == 4


def test_more_takes_more():
    one, more = small(), small(seeds=8)
    assert more.seconds > one.seconds and more.memory > 3 * one.memory
    assert small(steps=4000).seconds > 3 * one.seconds
    assert small(student="cnn-8").memory > 2 * one.memory


def test_what_a_method_costs_besides_its_networks_is_tried():
    """RKD compares every three samples: at 50 of them, that is most of what it takes."""
    rest = SHORT | {"data": DATA["digits"](images=50), "steps": 300}
    dear = plan(METHODS["rkd"], {"angle": [0, 50]}, **rest)
    cheap = plan(METHODS["rkd"], {"distance": [1, 50]}, fixed={"angle": 0}, **rest)
    assert dear.seconds > 1.5 * cheap.seconds and dear.memory > cheap.memory


def test_what_cannot_be_tried_is_estimated_from_its_networks(monkeypatch):
    def broken(recipe, rows):
        raise RuntimeError("somebody's own code")

    monkeypatch.setattr(sweeps, "_tried", {})
    monkeypatch.setattr(sweeps, "_try", broken)
    assert small().seconds > 0 and small().memory > 0


def test_a_sweep_that_does_not_fit_is_split_or_refused_in_one_sentence(monkeypatch):
    whole = small().memory
    monkeypatch.setattr(sweeps, "_memory", lambda device: int(whole * 0.6 / sweeps.SHARE))
    split = small()
    assert [len(group) for group in split.passes] == [4, 4]
    assert split.memory <= whole * 0.6
    assert split.note.startswith("Trained in 2 passes, because one would take ")
    monkeypatch.setattr(sweeps, "_memory", lambda device: int(whole * 0.2 / sweeps.SHARE))
    with pytest.raises(BadInput, match=r"sweep\(seeds=2\): expected at most .* MB for a setting"):
        small()


def test_the_machines_memory_is_that_of_its_container():
    found = sweeps._memory("cpu")
    assert 1e8 < found < 1e14


BAD = [
    ({}, {}, r"sweep(grid={}): expected a knob"),
    ([1], {}, "sweep(grid=[1]): expected a knob"),
    ({"temperature": [1, math.nan]}, {}, "KD(temperature=nan): expected"),
    ({"temperature": [1, math.inf]}, {}, "KD(temperature=inf): expected"),
    ({"temperature": [1, True]}, {}, "KD(temperature=True): expected"),
    ({"temperature": [1, "2"]}, {}, "KD(temperature='2'): expected"),
    ({"temperature": [1, 1.0]}, {}, "KD(temperature=1.0): given twice, expected once, because"),
    ({"temperature": []}, {}, "sweep(temperature=[]): expected a list of at least one value"),
    ({"temperature": 4}, {}, "sweep(temperature=4): expected a list of at least one value"),
    ({"temperature": "12"}, {}, "sweep(temperature=12): expected a list of at least one value"),
    ({"temprature": [1]}, {}, "KD: knob 'temprature' is not known"),
    ({"seed": [1, 2]}, {}, "KD: knob 'seed' is not known"),
    ({"split": [1, 2]}, {}, "KD: knob 'split' is not known"),
    ({"images": [10, 2000]}, {}, "KD(images=2000): expected"),
    ({"temperature": [1]}, {"seeds": 0}, "sweep(seeds=0): expected"),
    ({"temperature": [1]}, {"seeds": True}, "sweep(seeds=True): expected"),
    ({"temperature": range(1, 102)}, {"seeds": 20}, "sweep(students=2020): expected at most 2000"),
    ({"alpha": [0, 1]}, {"fixed": {"alpha": 1}}, "KD(alpha=…): given twice"),
    ({"steps": [1, 2]}, {}, "KD(steps=…): given twice"),
]


@pytest.mark.parametrize("grid, more, said", BAD, ids=[said for *_, said in BAD])
def test_a_grid_that_means_nothing_is_refused_in_one_sentence(grid, more, said, home):
    with pytest.raises(BadInput) as refused:
        small(grid, **more)
    assert str(refused.value).startswith(said) and "\n" not in str(refused.value)
    assert not home.exists()


def test_labels_only_have_no_labels_only_beside_them():
    scratch = METHODS["scratch"]
    made = plan(scratch, {"learning_rate": [0.01, 0.1]}, **SHORT, labels=True)
    assert made.labels == () and made.base(made.cells[0]) is None
    noise = plan(KD, {"temperature": [1, 8]}, **SHORT | {"data": DATA["digits"](shown="pixels")},
                 fixed={"alpha": 1}, labels=True)  # fmt: skip
    assert noise.labels == (), "noise has no labels"


# ------------------------------------------------------------------------- what was finished


class Enough(Exception):
    """Somebody stops it."""


def test_nothing_that_is_measured_decides_how_a_long_sweep_is_cut(monkeypatch):
    found = []
    for seconds in (0.0, 1e-3, 1.0):
        monkeypatch.setattr(sweeps, "_seen", lambda recipe, s=seconds: (s, 0.0, 0.0))
        found.append(
            sweeps.plan(
                METHODS["kd"],
                {"temperature": (1, 4), "alpha": (0.5, 1)},
                data=DATA["digits"](images=200),
                student="cnn-8",
                batch_size=64,
            )
        )
    assert len(found[0].passes) == 2 and found[0].seconds < found[2].seconds
    assert found[0].passes == found[1].passes == found[2].passes


def test_a_long_sweep_is_shared_by_processes(monkeypatch):
    monkeypatch.setattr(sweeps, "LARGE", 2.0)
    made, seen = small(most=4), []
    given = sweeps.train(made, report=lambda what, share: seen.append((what, share)))
    alone = sweeps.train(small(), report=lambda what, share: None)
    assert sorted(share for _, share in seen) == [share for _, share in seen]
    for one, other in zip(given["cells"], alone["cells"], strict=True):
        assert one["accuracy"]["mean"] == pytest.approx(other["accuracy"]["mean"], abs=0.01)


def test_an_interrupted_sweep_goes_on_and_what_was_finished_stays():
    made, seen = small(most=4), []

    def until(what, share):
        seen.append(share)
        if share > 0.9:
            raise Enough

    with pytest.raises(Enough):
        sweeps.train(made, report=until)
    first, second = made.passes
    before = sweeps.done(first).folder.joinpath("state.json").stat().st_mtime_ns
    assert sweeps.done(second) is None
    assert len(sweeps.train(made)["cells"]) == 4
    assert sweeps.done(first).folder.joinpath("state.json").stat().st_mtime_ns == before
    assert sweeps.done(second) is not None and sorted(seen) == seen


def test_a_full_disk_stops_a_sweep_with_its_sentence_and_keeps_what_was_finished(monkeypatch):
    made = small(most=4)
    record, broken = runs.Recorder.record, made.passes[1]

    def full(self, event, state):
        if state.recipes == broken and event.step:
            raise runs._refused(OSError(errno.ENOSPC, "No space left on device"))
        record(self, event, state)

    monkeypatch.setattr(runs.Recorder, "record", full)
    with pytest.raises(Trouble, match="runs cannot be kept there .No space left on device"):
        sweeps.train(made)
    assert sweeps.done(made.passes[0]) is not None
    assert Run(broken).standing.status == "stopped"
    monkeypatch.undo()


# ---------------------------------------------------------------------------- a cell is a run


@pytest.fixture
def swept():
    made = small(labels=True)
    sweeps.train(made)
    return made, Run(made.passes[0])


def test_a_cell_is_a_run_that_nobody_trained_again(swept):
    made, whole = swept
    cell = made.cells[3]
    run = made.extract(cell)
    assert run.recipes == cell.recipes and run.status.status == "done"
    verify(run.folder)
    _, where = made.students(cell)
    for mine, theirs in zip(run.events(), whole.events(), strict=True):
        assert mine.step == theirs.step and mine.steps == theirs.steps
        assert all(mine.accuracy[p] == row[where] for p, row in theirs.accuracy.items())
        assert all(row == theirs.terms[name][where] for name, row in mine.terms.items())
    assert set(run.events()[-1].terms) == {"labels", "teacher"}
    for i, recipe in enumerate(run.recipes):
        ours, theirs = run.student(i), whole.student(whole.recipes.index(recipe))
        for name, value in ours.state_dict().items():
            assert torch.equal(value, theirs.state_dict()[name])
    place = list(arms(whole.recipes)).index(cell.recipes[0].arm())
    assert torch.equal(run.opinions()[:, 0], whole.opinions()[:, place])
    assert run.status.facts["part_of"] == f"{whole.name}/1"
    assert len(run.reports()) == 2


def test_an_extracted_run_is_found_again_and_replays(swept):
    made, _ = swept
    run = made.extract(made.cells[1])
    again = made.extract(made.cells[1])
    assert run.folder == again.folder
    assert [e.step for e in Run(made.cells[1].recipes)] == [0, 2, 4]
    assert not (run.folder / "lease").exists()


def test_labels_only_are_cut_out_without_the_terms_of_the_others(swept):
    made, _ = swept
    run = made.extract(made.labels[0])
    assert set(run.events()[-1].terms) == {"labels"}


def test_views_are_cut_out_too():
    """A method that compares layers has lines for each of its arms."""
    made = plan(METHODS["attention"], {"weight": [1.0, 10.0]}, data=FEW, student="cnn-4",
                teacher="cnn-4", seeds=1, steps=2, events=2, labels=True)  # fmt: skip
    sweeps.train(made)
    whole = Run(made.passes[0])
    parts = [made.extract(cell).folder / "views.f16" for cell in made.cells]
    lines = [path.read_bytes() for path in parts]
    assert lines[0] and len(lines[0]) == len(lines[1])
    size, both = len(lines[0]) // 3, (whole.folder / "views.f16").read_bytes()
    assert both == b"".join(line[at * size :][:size] for at in range(3) for line in lines)
    assert not (made.extract(made.labels[0]).folder / "views.f16").exists()


def test_a_run_that_is_shipped_small_still_has_its_last_opinions(swept):
    made, whole = swept
    before = whole.opinions()
    (whole.folder / "opinions.f16").unlink()
    (whole.folder / "timings.jsonl").unlink()
    run = made.extract(made.cells[2])
    place = list(arms(whole.recipes)).index(made.cells[2].recipes[0].arm())
    torch.testing.assert_close(run.opinions()[-1, 0], before[-1, place], atol=0.01, rtol=0.01)
    assert run.opinions()[0].isnan().all(), "what was not recorded is unseen"


def test_a_diverged_student_stays_marked_in_its_cell():
    made = small({"learning_rate": [0.01, 10.0]}, student="mlp-4", steps=40)
    sweeps.train(made)
    whole = Run(made.passes[0])
    path = whole.folder / "events.jsonl"
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    lines[-1]["diverged"] = [3]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    state = json.loads((whole.folder / "state.json").read_text())
    state["sums"]["events.jsonl"] = runs.checksum(path)
    (whole.folder / "state.json").write_text(json.dumps(state))
    assert made.extract(made.cells[1]).events()[-1].diverged == (1,)
    assert made.extract(made.cells[0]).events()[-1].diverged == ()


def test_only_an_arm_of_a_finished_run_is_cut_out(swept):
    _, whole = swept
    for k in (-1, 5, True, 1.0, "0"):
        with pytest.raises(BadInput, match="extract\\(k="):
            extract(whole, k)
    with pytest.raises(BadInput, match="expected a finished run"):
        extract(Run(Recipe(steps=2, events=1)), 0)


def test_a_damaged_pass_gives_no_cell(swept):
    made, whole = swept
    tensors = load_tensors(whole.folder / "weights.safetensors")
    runs.save_tensors(whole.folder / "weights.safetensors", {k: v + 1 for k, v in tensors.items()})
    with pytest.raises(runs.Damaged):
        extract(Run(made.passes[0], folder=whole.folder), 0)


def test_sweep_is_plan_and_train():
    found = sweep(KD, GRID, **SHORT)
    assert found["run"] == Run(small().passes[0]).name
    assert set(found) == {"run", "method", "fixed", "cells", "runs"}


# ------------------------------------------------------------------------------ what is shipped


def test_the_shipped_sweep_is_finished_sound_small_and_made_by_its_plan():
    made = assets.swept()
    assert assets.unsound() == [] and len(made.passes) == 1
    run = sweeps.done(made.passes[0])
    assert run is not None and run.folder.is_relative_to(runs.SHIPPED)
    assert sum(file.stat().st_size for file in run.folder.iterdir()) <= 300_000
    best = run.events()[-1].accuracy["test"]
    means = {tuple(c.knobs.values()): sum(best[made.students(c)[1]]) / 4 for c in made.cells}
    labels = sum(best[made.students(made.labels[0])[1]]) / 4
    assert all(abs(means[0.0, t] - labels) < 0.005 for t in (1, 4, 8, 16)), "alpha = 0"
    assert means[1.0, 8.0] > labels + 0.05 > means[1.0, 1.0], "what the page says of it"
    opened = made.extract(made.cells[10])
    assert not opened.folder.is_relative_to(runs.SHIPPED) and opened.status.status == "done"


def test_the_shipped_sweep_can_be_made_anew(monkeypatch, tmp_path):
    """On this machine it ends within a few images of what is shipped."""
    made = assets.swept()
    old = sweeps.done(made.passes[0]).events()[-1].accuracy["test"]
    monkeypatch.setattr(runs, "SHIPPED", tmp_path / "shipped")
    monkeypatch.setattr(assets, "swept", lambda: made)
    (folder,) = assets.make(acts=False)
    assert folder.is_relative_to(tmp_path / "shipped") and not (folder / "opinions.f16").exists()
    new = Run.at(folder).events()[-1].accuracy["test"]
    verify(folder)
    assert max(abs(a - b) for a, b in zip(old, new, strict=True)) < 0.02
