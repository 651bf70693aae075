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

import pytest
import torch

from workbench import bench
from workbench.__main__ import main

ROOT = Path(__file__).parent.parent


def test_the_smallest_of_rounds_that_take_turns_counts():
    order, times = [], {"a": iter([3, 1, 2]), "b": iter([5, 6, 4])}

    def ask(name):
        order.append(name)
        return next(times[name])

    assert bench.least({k: lambda k=k: ask(k) for k in times}, 3) == {"a": 1, "b": 4}
    assert order == ["a", "b"] * 3


def test_it_leaves_threads_and_home_as_they_were(home):
    torch.set_num_threads(2)
    with pytest.raises(ValueError), bench._calm():
        assert torch.get_num_threads() == 1 and os.environ["WORKBENCH_HOME"] != str(home)
        raise ValueError
    assert torch.get_num_threads() == 2 and os.environ["WORKBENCH_HOME"] == str(home)


def test_the_table_says_what_was_missed_and_what_was_not_measured():
    found = {
        "ratios": {"sweep24_over_one": 3.0, "app_up_over_imports": 1.0},
        "cpu_seconds": {"compare_empty_home": None, "compare_all_cached": 2.0},
        "wall": list(bench.WALL),
    }
    assert bench.rows(found)[1:] == [
        ["sweep24_over_one", "3.00", "≤ 2", "CPU, missed"],
        ["app_up_over_imports", "1.00", "≤ 1.5", "wall"],
        ["compare_empty_home", "–", "≤ 50", "not measured on this system"],
        ["compare_all_cached", "2.00", "≤ 5", "CPU seconds"],
    ]


def test_it_names_the_goals_that_were_missed(monkeypatch):
    measured = {"sweep24_over_one": 3.0, "app_up_over_imports": 1.5, "compare_empty_home": None}
    assert bench.missed(measured) == ["sweep24_over_one"]
    for name in ("imports", "one_pass", "cached", "app", "comparison"):
        monkeypatch.setattr(bench, name, lambda *_: {"compare_all_cached": 6.0})
    monkeypatch.setattr(bench, "app", lambda rounds: {"app_up_over_imports": 1.6})
    monkeypatch.setattr(bench, "first_act", lambda rounds: 0.1)
    monkeypatch.setattr(bench, "browser", lambda rounds, report: {"click_to_first_point": 9.0})
    late = ["compare_all_cached", "app_up_over_imports", "click_to_first_point"]
    assert bench.measure()["missed"] == late
    assert bench.outcome({"missed": ["a", "b"]}) == "missed: a, b"
    assert bench.outcome({"missed": []}) == "all goals met"


def test_a_worker_that_still_writes_is_no_failure_of_the_measurement(monkeypatch):
    """An app that was ended leaves workers that put down what they have, for a moment."""

    def filled_meanwhile(*_, **__):
        raise OSError(errno.ENOTEMPTY, "Directory not empty")

    with bench._calm():
        home = Path(os.environ["WORKBENCH_HOME"])
        monkeypatch.setattr(os, "rmdir", filled_meanwhile)
    monkeypatch.undo()
    shutil.rmtree(home)


def test_progress_ends_before_the_table_begins(monkeypatch):
    """Where both streams go to one file, no line runs into another."""

    def measure(quick, report):
        report("the app's start", 0.8)
        return {"ratios": {"sweep24_over_one": 1.0}, "cpu_seconds": None, "missed": [], "wall": []}

    clock = itertools.count(0, 10)
    monkeypatch.setattr(bench, "measure", measure)
    monkeypatch.setattr(time, "monotonic", lambda: next(clock))
    both = io.StringIO()
    with contextlib.redirect_stdout(both), contextlib.redirect_stderr(both):
        assert main(["bench", "--quick"]) == 0
    first, *table, last = both.getvalue().split("\n")[:-1]
    assert first == " 80% the app's start" and last == "all goals met"
    assert table[0].startswith("what") and table[-1].endswith("CPU")


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
    for ratio in found["ratios"].values():
        assert type(ratio) is float and math.isfinite(ratio) and ratio > 0
    assert set(found["ratios"]) <= set(bench.GOALS) and found["cpu_seconds"] is None
    assert found["missed"] == bench.missed(found["ratios"])
    assert found["machine"]["threads"] == 1 and found["machine"]["torch"] == torch.__version__


def test_without_a_browser_it_says_why(monkeypatch):
    monkeypatch.delenv("CHROMIUM", raising=False)
    monkeypatch.setattr(bench.shutil, "which", lambda name: None)
    found = bench.browser(1)
    why = found["reason"]
    assert set(found) == {*bench.BROWSER, "reason"} and "is installed" in why
    rows = bench.rows({"ratios": {}, "cpu_seconds": None, "wall": [], "wall_seconds": found})
    assert [row[0] for row in rows[1:]] == list(bench.BROWSER)
    assert all(row[1] == "–" and why in row[3] for row in rows[1:])


@pytest.mark.slow
def test_the_first_act_is_measured_in_a_browser(home):
    found = bench.browser(1)
    if "reason" in found:
        pytest.skip(found["reason"])
    assert list(found) == list(bench.BROWSER)
    assert all(math.isfinite(seconds) and seconds > 0 for seconds in found.values())
