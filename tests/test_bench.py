"""The bench: its shape and its arithmetic; no test asserts a time."""

from __future__ import annotations

import contextlib
import errno
import io
import itertools
import json
import math
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch

from workbench import DATA, MODELS, bench
from workbench.__main__ import MADE, main
from workbench.base import Trouble
from workbench.bench import (
    act,
    browser,
    clock,
    gpu,
    kept,
    loops,
    peers,
    pictures,
    plain,
    processes,
    scaling,
    students,
    tricks,
)
from workbench.bench.clock import Row
from workbench.bench.goals import BROWSER, GOALS, SECONDS, TRICKS, missed
from workbench.engine import listen
from workbench.vision import dataset

ROOT = Path(__file__).parent.parent
FASHION = DATA["fashion-mnist"].here()
here = pytest.mark.skipif(not FASHION, reason="Fashion-MNIST is not on this machine")
PEAK = {"fp32": 1e11, "bf16": 2e11}


# ------------------------------------------------------------------------- arithmetic and shape


def test_what_is_compared_takes_turns():
    order, times = [], {"a": iter([9, 3, 1, 2]), "b": iter([9, 5, 6, 4])}

    def ask(name):
        order.append(name)
        return next(times[name])

    found = clock.turns({k: lambda k=k: ask(k) for k in times}, 3, warm=True)
    assert found == {"a": [3, 1, 2], "b": [5, 6, 4]}, "the first round does not count"
    assert order == ["a", "b"] * 4


def test_a_ratio_is_of_the_smallest_and_its_spread_of_the_rounds():
    row = clock.ratio([4.0, 6.0, 3.0], [2.0, 2.0, 1.0], "so")
    assert row == Row(3.0, (3.0, 2.0, 3.0), 3, None, "so")
    assert clock.ratio([2.0, 8.0, 3.0], [1.0, 2.0, 2.0]).spread[0] == 2.0
    assert clock.seconds([3.0, 1.0, 2.0]) == Row(1.0, (2.0, 1.0, 3.0), 3)


def test_a_goal_knows_its_direction():
    assert GOALS["tutorial_over_ours_cnn"].sign == "≥ 8"
    assert missed({"tutorial_over_ours_cnn": 7.9, "sweep24_over_one": 1.7}) == [
        "tutorial_over_ours_cnn", "sweep24_over_one"
    ]  # fmt: skip
    assert missed({"tutorial_over_ours_cnn": 8.0, "sweep24_over_one": 1.6}) == []
    assert missed({"tutorial_over_ours_cnn": None, "repdistiller_over_ours_cnn": 0.1}) == []


def test_it_leaves_threads_and_home_as_they_were(home):
    torch.set_num_threads(2)
    with pytest.raises(ValueError), clock.calm():
        assert torch.get_num_threads() == 1 and os.environ["WORKBENCH_HOME"] != str(home)
        raise ValueError
    assert torch.get_num_threads() == 2 and os.environ["WORKBENCH_HOME"] == str(home)


def test_the_table_says_what_was_missed_and_what_was_not_measured():
    found = bench.result(
        {
            "sweep24_over_one": Row(3.0, (3.1, 2.9, 3.3), 5, 0.052),
            "app_up_over_imports": Row(1.0),
            "compare_empty_home": Row(None),
            "tutorial_over_ours_mlp": Row(44.0, note="8 batches"),
            "slider_latency": Row(0.0123),
        },
        PEAK,
    )
    assert bench.rows(found)[1:] == [
        ["sweep24_over_one", "3.00", "3.10 (2.90–3.30), 5", "5%", "≤ 1.6", "CPU, missed"],
        ["app_up_over_imports", "1.00", "", "", "≤ 1.5", "wall"],
        ["tutorial_over_ours_mlp", "44.00", "", "", "≥ 45", "CPU, missed, 8 batches"],
        ["compare_empty_home", "–", "", "", "≤ 50", "not measured on this system"],
        ["slider_latency", "0.0123", "", "", "≤ 0.016", "seconds"],
    ]
    assert found["missed"] == ["sweep24_over_one", "tutorial_over_ours_mlp"]
    assert bench.outcome(found) == "missed: sweep24_over_one, tutorial_over_ours_mlp"
    assert bench.outcome({"missed": []}) == "all goals met"
    assert "GEMM peak 100 GFLOP/s in fp32" in bench.about(found) and "AMX" in bench.about(found)


def test_a_whole_measurement_asks_every_part_and_a_quick_one_few(monkeypatch):
    """What is asked for, its names in GOALS, its rounds in the result; nothing is timed."""
    asked = []

    def fake(module, name, rows):
        monkeypatch.setattr(module, name, lambda *_: asked.append(name) or rows)

    whole = {
        (processes, "imports"): ["import_workbench_over_torch"],
        (students, "one_pass"): ["sweep24_over_one"],
        (students, "cached"): ["kd_cached_over_scratch_mlp", "kd_cached_over_scratch_cnn"],
        (processes, "app"): ["app_up_over_imports"],
        (students, "own_subsets"): ["minibatch24_over_one"],
        (students, "shared"): ["shared16_over_one", "shared36_over_one", *TRICKS[:2]],
        (students, "four_cnns"): ["cnn4_over_one", "cnn4_two_processes_over_one"],
        (pictures, "against_ours"): pictures.NAMES,
        (gpu, "thousand"): ["gpu1000_over_one"],
        (processes, "comparison"): [n for n in SECONDS if n.startswith("compare")],
        (act, "first_act"): ["first_act_cpu"],
        (act, "from_nothing"): ["from_nothing", "from_nothing_teacher"],
        (processes, "first_point"): ["first_point"],
        (tricks, "tried"): list(TRICKS[2:]),
        (browser, "browser"): list(BROWSER),
    }
    for (module, name), names in whole.items():
        fake(module, name, dict.fromkeys(names, Row(1.0)))
    monkeypatch.setattr(bench, "peaks", lambda: PEAK)
    said = []
    found = bench.measure(report=lambda what, share: said.append(share))
    assert set(asked) == {name for _, name in whole} and said == sorted(said) and said[-1] < 1
    every = {**bench.measured(found), **found["tricks"]}
    assert set(every) | set(peers.NAMES) == set(GOALS), "a row without a goal, or a goal without"
    asked.clear()
    quick = bench.measure(quick=True)
    assert set(asked) == {"imports", "one_pass", "cached", "app"}
    assert quick["cpu_seconds"] is quick["wall_seconds"] is quick["tricks"] is None


def test_a_worker_that_still_writes_is_no_failure_of_the_measurement(monkeypatch):
    """An app that was ended leaves workers that put down what they have, for a moment."""

    def filled_meanwhile(*_, **__):
        raise OSError(errno.ENOTEMPTY, "Directory not empty")

    with clock.calm():
        home = Path(os.environ["WORKBENCH_HOME"])
        monkeypatch.setattr(os, "rmdir", filled_meanwhile)
    monkeypatch.undo()
    shutil.rmtree(home)


# ----------------------------------------------------------------------------- the command line


def test_progress_ends_before_the_table_begins(monkeypatch):
    """Where both streams go to one file, no line runs into another."""

    def measure(quick, peers, report):
        report("the app's start", 0.8)
        return bench.result({"sweep24_over_one": Row(1.0)}, PEAK)

    ticks = itertools.count(0, 10)
    monkeypatch.setattr(bench, "measure", measure)
    monkeypatch.setattr(time, "monotonic", lambda: next(ticks))
    both = io.StringIO()
    with contextlib.redirect_stdout(both), contextlib.redirect_stderr(both):
        assert main(["bench", "--quick"]) == 0
    first, *table, empty, _, last = both.getvalue().split("\n")[:-1]
    assert first == " 80% the app's start" and last == "all goals met" and empty == ""
    assert table[0].startswith("what") and table[-1].endswith("CPU")


@pytest.mark.parametrize(
    "flags",
    [("--quick", "--peers"), ("--quick", "--scaling"), ("--quick", "--keep"),
     ("--scaling", "--peers")],
)  # fmt: skip
def test_flags_that_contradict_each_other_are_refused(flags, capsys):
    assert main(["bench", *flags]) == 2
    out, err = capsys.readouterr()
    assert out == "" and err == f"bench: expected {flags[0]} or {flags[1]}, got both\n"


def test_ctrl_c_says_that_nothing_is_kept(monkeypatch, capsys):
    def stopped(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(bench, "measure", stopped)
    assert main(["bench"]) == 130
    assert capsys.readouterr().err == "stopped; nothing is kept\n"


@pytest.mark.slow
def test_quick_gives_plain_finite_numbers(home):
    done = subprocess.run(
        [sys.executable, "-m", "workbench", "bench", "--quick", "--json"], cwd=ROOT, text=True,
        capture_output=True, timeout=300, env=os.environ | {"WORKBENCH_HOME": str(home)},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert done.stderr == "" and list(found)[:2] == ["machine", "ratios"]
    assert set(found["ratios"]) == {
        "import_workbench_over_torch",
        "kd_cached_over_scratch_mlp",
        "kd_cached_over_scratch_cnn",
        "sweep24_over_one",
        "app_up_over_imports",
    }
    for name, ratio in found["ratios"].items():
        assert type(ratio) is float and math.isfinite(ratio) and ratio > 0
        middle, low, high, rounds = found["spread"][name]
        assert low <= middle <= high and rounds >= 2
    assert found["cpu_seconds"] is None and found["missed"] == missed(found["ratios"])
    assert found["machine"]["threads"] == 1 and found["machine"]["torch"] == torch.__version__
    assert found["machine"]["fp32_gflops"] > 1


# ------------------------------------------------------------------------ what is compared


@pytest.mark.parametrize("name", plain.NETWORKS)
def test_plain_networks_are_the_same_as_ours(name):
    ours = MODELS[name]((1, 28, 28), 10, 3).eval()
    theirs = plain.network(name, ours.state_dict()).eval()
    x = torch.rand(5, 1, 28, 28)
    torch.testing.assert_close(theirs(x), ours(x).logits, rtol=1e-4, atol=1e-5)
    with pytest.raises(ValueError, match="another network"):
        plain.network(name, {"nothing": torch.zeros(1)})


def test_the_plain_loss_is_ours():
    z_s, z_t, y = torch.randn(6, 10), torch.randn(6, 10), torch.arange(6)
    from workbench import METHODS, Batch, Outputs

    terms = METHODS["kd"]().loss(Outputs(z_s), Outputs(z_t), Batch(z_s, y), None)
    torch.testing.assert_close(plain.kd(z_s, z_t, y), sum(terms.values()))


def test_the_tutorials_pictures_are_the_same_numbers():
    pixels = torch.randint(0, 256, (4, 28, 28), dtype=torch.uint8)
    x, y = dataset("FashionMNIST", pixels, torch.tensor([3, 1, 4, 1]))[2]
    torch.testing.assert_close(x, pixels[2].unsqueeze(0) / 255)
    assert y == 4


def test_every_loop_of_others_teaches():
    """Each changes its student and only its student, and says a positive time."""
    pixels = torch.randint(0, 256, (256, 28, 28), dtype=torch.uint8)
    loader = loops.pictures(pixels, torch.arange(256) % 10)
    teacher = plain.network("mlp-32")
    before = [p.clone() for p in teacher.parameters()]
    for loop in (loops.tutorial, loops.with_grad, loops.repdistiller):
        student = plain.network("mlp-32")
        begun = [p.clone() for p in student.parameters()]
        assert loop(student, teacher, loader, 2) > 0
        assert not any(torch.equal(a, b) for a, b in zip(begun, student.parameters(), strict=True))
    assert all(torch.equal(a, b) for a, b in zip(before, teacher.parameters(), strict=True))


def test_vmap_trains_what_one_plain_loop_trains(monkeypatch):
    """Two students by vmap, of the same weights and rows, become the one of the plain loop."""
    x, y, said = torch.rand(8, 1, 28, 28), torch.arange(8), torch.randn(8, 10)
    monkeypatch.setattr(loops, "minibatches", lambda x, size, steps: [torch.arange(8)] * steps)
    one, begun = plain.MLP(), {}
    begun |= {k: v.clone() for k, v in one.state_dict().items()}
    made = []

    def make():
        made.append(plain.network("mlp-32", begun))
        return made[-1]

    seen = []
    real = torch.optim.AdamW
    monkeypatch.setattr(torch.optim, "AdamW", lambda p, **k: seen.append(list(p)) or real(p, **k))
    loops.by_vmap(make, 2, x, y, said, 3)
    stacked = seen[-1]
    monkeypatch.setattr(torch.optim, "AdamW", real)
    loops.from_memory(one, x, y, said, 8, 3)
    for mine, both in zip(one.parameters(), stacked, strict=True):
        torch.testing.assert_close(both[0], mine.detach(), rtol=1e-4, atol=1e-6)
        torch.testing.assert_close(both[1], mine.detach(), rtol=1e-4, atol=1e-6)


def test_slices_and_groups_are_the_same_four_students():
    x, weights = (
        torch.rand(3, 1, 28, 28),
        [torch.randn(4, 8, 1, 3, 3), torch.randn(4, 16, 8, 3, 3)],
    )
    biases = [torch.randn(4, 8), torch.randn(4, 16)]
    ways = [way(x, weights, biases) for way in (tricks._grouped, tricks._sliced)]
    torch.testing.assert_close(*ways, rtol=1e-3, atol=1e-4)


def test_operations_of_a_training_step_are_counted():
    """Two products of 2 · B · in · out forward, and backward again but for the first input."""
    done = clock.training_flops(plain.MLP(), torch.rand(4, 1, 28, 28))
    first, second = 2 * 4 * 784 * 32, 2 * 4 * 32 * 10
    assert done == 2 * first + 3 * second


def test_students_of_their_own_subsets_are_measured(home):
    (row,) = students.own_subsets(2, 3, 1e11).values()
    assert row.value > 0 and row.rounds == 2 and 0 < row.of_peak < 1


@here
def test_loops_with_a_live_teacher_are_measured(monkeypatch):
    monkeypatch.setattr(pictures, "LOOPS", [(n, loop, 1) for n, loop, _ in pictures.LOOPS])
    monkeypatch.setattr(pictures, "OURS", 3)
    monkeypatch.setattr(pictures, "ROWS", 128)
    found = pictures.against_ours(1, 1e11)
    assert list(found) == pictures.NAMES and all(row.value > 0 for row in found.values())
    assert "epochs" in found["tutorial5_over_ours_cnn"].note


def test_without_fashion_mnist_it_says_so(monkeypatch, capsys):
    monkeypatch.setattr(students, "missing", lambda: "it is not here")
    monkeypatch.setattr(pictures, "missing", lambda: "it is not here")
    monkeypatch.setattr(scaling, "missing", lambda: "it is not here")
    found = students.shared(1, 1, 0) | students.four_cnns(1, 1, 0) | pictures.against_ours(1, 0)
    assert {row.note for row in found.values()} == {"not measured: it is not here"}
    assert set(found) <= set(GOALS) and all(row.value is None for row in found.values())
    assert main(["bench", "--scaling"]) == 1
    assert capsys.readouterr().err == "bench --scaling: it is not here\n"


def test_a_process_that_is_gone_is_a_sentence():
    gone = subprocess.Popen(
        [sys.executable, "-c", ""], text=True, bufsize=1, stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )  # fmt: skip
    gone.wait()
    with pytest.raises(Trouble, match="ended; is there memory"):
        students._tell([gone], "1 1")
    with contextlib.suppress(OSError):
        gone.communicate()


def test_without_a_card_it_says_so():
    if torch.cuda.is_available():
        pytest.skip("here is one")
    assert gpu.thousand(1)["gpu1000_over_one"].note == "not measured: no CUDA card is here"


def test_without_a_browser_it_says_why(monkeypatch):
    monkeypatch.delenv("CHROMIUM", raising=False)
    monkeypatch.setattr(browser.shutil, "which", lambda name: None)
    found = browser.browser(1)
    assert list(found) == list(BROWSER)
    rows = bench.rows(bench.result(found, PEAK))
    assert all(row[1] == "–" and "is installed" in row[-1] for row in rows[1:])


@pytest.mark.slow
def test_the_first_act_is_measured_in_a_browser(home):
    found = browser.browser(1)
    if any(row.value is None for row in found.values()):
        pytest.skip(found[BROWSER[0]].note)
    assert list(found) == list(BROWSER)
    assert all(math.isfinite(row.value) and row.value > 0 for row in found.values())


# -------------------------------------------------------------------------------------- peers


def test_a_peer_s_environment_is_whole_or_not_there(home, monkeypatch):
    made = []

    def create(folder, with_pip):
        made.append(folder)
        (folder / "bin").mkdir(parents=True)

    def asked(outcome):
        def run(words, **_):
            if isinstance(outcome, BaseException):
                raise outcome
            return subprocess.CompletedProcess(words, outcome, "", "ERROR: no network\n")

        monkeypatch.setattr(peers.subprocess, "run", run)

    monkeypatch.setattr(peers.venv, "create", create)
    asked(KeyboardInterrupt())
    with pytest.raises(KeyboardInterrupt):
        peers.environment()
    assert not made[0].exists() and made[0].is_relative_to(home)
    asked(1)
    with pytest.raises(Trouble, match="pip could not install torchdistill: ERROR: no network"):
        peers.environment()
    assert not made[1].exists()
    asked(0)
    assert peers.environment().is_relative_to(made[2]) and len(made) == 3
    assert peers.environment().is_relative_to(made[2]) and len(made) == 3, "made once"


def test_without_its_environment_a_peer_is_not_measured(monkeypatch):
    def offline(report):
        raise Trouble("pip could not install torchdistill: no network")

    monkeypatch.setattr(peers, "environment", offline)
    monkeypatch.setattr(bench, "parts", lambda quick, peak: [])
    monkeypatch.setattr(bench, "peaks", lambda: PEAK)
    found = bench.measure(peers=True)
    assert set(found["ratios"]) == set(peers.NAMES) and not found["missed"]
    assert all(row[1] == "–" and "no network" in row[-1] for row in bench.rows(found)[1:])


@here
def test_a_peer_is_handed_what_ours_trains_on(tmp_path, monkeypatch):
    monkeypatch.setattr(peers, "IMAGES", 256)
    monkeypatch.setattr(peers, "EPOCHS", 2)
    data = DATA["fashion-mnist"](images=256)
    elder = peers.teacher(data, "resnet-20").but(steps=1, events=1)
    teacher = MODELS["resnet-20"](data.shape, 10, 1).eval()
    race = peers.Race("mlp-32", data, elder, teacher)
    race.hand_over(tmp_path)
    given = dict(np.load(tmp_path / "given.npz", allow_pickle=False))
    assert given["order"].shape == (2, 256)
    assert [sorted(epoch) for epoch in given["order"].tolist()] == [list(range(256))] * 2
    from workbench.bench.torchdistill_loop import Given, network, settings

    x = race.pixels[:4].float() / 255
    said = network("resnet-20", "teacher", given).eval()(x)
    torch.testing.assert_close(said, teacher(x).logits, rtol=1e-4, atol=1e-5)
    begun = race.begun(peers.Teacher(teacher, listen(teacher, race.pixels)))
    mine = network("mlp-32", "student", given)(x)
    torch.testing.assert_close(mine, begun.network(0)(x).logits, rtol=1e-4, atol=1e-5)
    sampler = Given(given["order"])
    assert [list(sampler), list(sampler)] == given["order"].tolist() and len(sampler) == 256
    assert settings(given["order"], 128, 3e-3)["num_epochs"] == 2
    assert set(race.ours()) == {"collecting", "seconds", "accuracy"}


def test_a_peer_s_process_that_fails_says_why(tmp_path, monkeypatch):
    outcome = subprocess.CompletedProcess([], 1, "", "Traceback\nKeyError: 'order'\n")
    monkeypatch.setattr(peers.subprocess, "run", lambda *_, **__: outcome)
    with pytest.raises(Trouble, match="torchdistill's process failed .KeyError: 'order'"):
        peers._asked(Path(sys.executable), tmp_path)


# ------------------------------------------------------------------ scaling, and what is kept


def test_exponents_are_slopes_on_logarithmic_axes():
    assert scaling.exponent([1, 2, 4], [3, 6, 12]) == pytest.approx(1)
    assert scaling.exponent([1, 10, 100], [5, 5, 5]) == pytest.approx(0)
    assert scaling.exponent([1, 4, 16], [1, 2, 4]) == pytest.approx(0.5)


def test_the_picture_of_scaling_is_there_in_both_modes(tmp_path, monkeypatch):
    lines = {
        name: {"sizes": [1, 8, 64], "seconds": [1, 2**k, 4**k], "exponent": k / 3}
        for k, name in enumerate(scaling.LINES)
    }
    monkeypatch.setattr(kept, "ASSETS", tmp_path)
    monkeypatch.setattr(kept, "SCALING", tmp_path / "scaling.json")
    for path in kept.keep_scaling({"lines": lines}):
        assert path.exists() and path.stat().st_size < 60_000
    light, dark = ((tmp_path / f"scaling{mode}.png").read_bytes() for mode in ("", "-dark"))
    assert light.startswith(b"\x89PNG") and light != dark
    assert scaling.picture({"lines": lines}) == light, "two makings are the same bytes"
    table = scaling.table({"lines": lines})
    assert table[1] == [scaling.LINES["students"], "1 to 64", "1 to 1", "0.00"]


def test_what_is_kept_is_sound():
    found = json.loads(kept.RESULT.read_text("utf-8"))
    every = {**bench.measured(found), **found["tricks"]}
    assert set(every) | set(peers.NAMES) == set(GOALS)
    assert found["missed"] == missed(every) and found["goals"] == bench.as_json()
    for name, (middle, low, high, rounds) in found["spread"].items():
        assert low <= middle <= high and rounds >= 1 and name in GOALS
    for name in found["spread"].keys() & bench.measured(found).keys():
        assert every[name] is not None
    lines = json.loads(kept.SCALING.read_text("utf-8"))["lines"]
    assert list(lines) == list(scaling.LINES)
    for line in lines.values():
        slope = scaling.exponent(line["sizes"], line["seconds"])
        assert slope == pytest.approx(line["exponent"], abs=0.01)


def test_the_readme_s_section_says_all_of_it():
    found, section = json.loads(kept.RESULT.read_text("utf-8")), kept.section()
    for name in {**bench.measured(found), **found["tricks"]}:
        assert f"| {GOALS[name].about} |" in section
    assert section.count("**missed**") == len(found["missed"])
    assert found["machine"]["torch"] in section and found["machine"]["date"] in section
    assert "AMX: " in section and (not found["missed"] or "goals are missed" in section)


def test_a_generated_part_is_put_between_its_markers(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("workbench.__main__.ROOT", tmp_path)
    monkeypatch.setitem(MADE, "benchmarks", lambda: "| new |")
    readme = tmp_path / "README.md"
    readme.write_text("a\n<!-- benchmarks -->\nold\n<!-- /benchmarks -->\nb\n", "utf-8")
    assert main(["table", "benchmarks", "--write"]) == 0
    assert readme.read_text("utf-8") == (
        "a\n<!-- benchmarks -->\n| new |\n<!-- /benchmarks -->\nb\n"
    )
    readme.write_text("nothing", "utf-8")
    assert main(["table", "benchmarks", "--write"]) == 1 and readme.read_text() == "nothing"
    assert "has no markers <!-- benchmarks -->" in capsys.readouterr().err
    assert main(["table", "--data", "digits", "--write"]) == 2
