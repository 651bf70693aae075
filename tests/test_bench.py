"""The bench: its shape and its arithmetic; no test asserts a time."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from workbench import bench

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
    assert found["machine"]["threads"] == 1 and found["machine"]["torch"] == torch.__version__
