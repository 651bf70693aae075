"""The command line: exact JSON, exit codes, and nothing on standard output for bad input."""

from __future__ import annotations

import dataclasses
import json
import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest

from workbench import DATA, METHODS, MODELS, RECIPES, Run, runs
from workbench.__main__ import COMMANDS, main
from workbench.base import BadInput
from workbench.sweep import sweep

ROOT = Path(__file__).parent.parent
SHORT = ["--images", "20", "--steps", "6", "--seeds", "2"]
TWO = ["scratch", "kd:temperature=8,alpha=1", "--data", "digits", "--images", "20", "--splits",
       "2", "--seeds", "2", "--steps", "5", "--teacher", "mlp-4", "--workers", "1"]  # fmt: skip


@pytest.fixture
def call(capsys):
    """(exit code, standard output, standard error) of a command line."""

    def run(*words):
        code = main(list(words))
        said = capsys.readouterr()
        return code, said.out, said.err

    return run


@pytest.fixture
def result(call):
    """The JSON of a command line that succeeds."""

    def run(*words):
        code, out, err = call(*words, "--json")
        assert (code, err) == (0, ""), err
        return json.loads(out)

    return run


def apart(*words, **more):
    """In a process of its own, as people call it."""
    return subprocess.run(
        [sys.executable, "-m", "workbench", *words], cwd=ROOT, capture_output=True, text=True,
        timeout=120, **more,
    )  # fmt: skip


# ------------------------------------------------------------------------------------- list


def test_list_gives_every_registry(result):
    found = result("list")
    assert list(found) == ["methods", "models", "data", "recipes", "lessons"]
    for key, registry in (("methods", METHODS), ("models", MODELS), ("data", DATA)):
        assert list(found[key]) == list(registry)
    assert list(found["recipes"]) == list(RECIPES)
    for entry in found["methods"].values():
        assert list(entry) == ["family", "paper", "knobs"]
        for knob in entry["knobs"].values():
            assert list(knob) == ["kind", "default", "low", "high", "slider", "choices", "scale",
                                  "meaning", *(["usual"] if "usual" in knob else [])]  # fmt: skip
    assert found["methods"]["label-smoothing"]["family"] == "labels"
    temperature = found["methods"]["kd"]["knobs"]["temperature"]
    assert temperature["default"] == 4 and (temperature["low"], temperature["high"]) == (0.01, 1e6)
    assert found["data"]["digits"]["knobs"]["left_out"]["default"] == []


def test_list_is_readable_too(call):
    code, out, _ = call("list")
    assert code == 0 and all(name in out for name in [*METHODS, *MODELS, *DATA, *RECIPES])


def test_help_is_quick_and_loads_no_torch():
    program = (
        "import sys; from workbench.__main__ import main\n"
        "try: main(['--help'])\n"
        "except SystemExit as end: assert end.code == 0\n"
        "assert 'torch' not in sys.modules"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert all(name in done.stdout for name in COMMANDS)


@pytest.mark.parametrize("command", ["train", "compare", "sweep"])
def test_help_names_every_flag_with_range_and_default(command, capsys):
    with pytest.raises(SystemExit) as end:
        main([command, "--help"])
    said = " ".join(capsys.readouterr().out.split())
    assert end.value.code == 0
    assert "how many training images the student sees: a whole number in [1, 1000]" in said
    assert "--learning-rate" in said and "(default:" in said


# ----------------------------------------------------------------------------- bad input

BAD = [
    ("compare", "scratch", "kd", "--images", "0"),
    ("compare", "scratch", "kd", "--images", "nan"),
    ("compare", "scratch", "kd", "--images", "1.5"),
    ("compare", "scratch", "kd", "--images", "True"),
    ("compare", "scratch", "kd", "--images", ""),
    ("compare", "scratch", "kd", "--images", "50", "--images", "60"),
    ("compare", "scratch", "kd", "--images"),
    ("compare", "scratch", "kd", "--learning-rate", "inf"),
    ("compare", "scratch", "kd", "--learning-rate", "true"),
    ("compare", "scratch", "kd", "--label-noise=-0.1"),
    ("compare", "scratch", "kd", "--left-out", "10"),
    ("compare", "scratch", "kd", "--left-out", "3,3"),
    ("compare", "scratch", "kd", "--splits", "0"),
    ("compare", "scratch", "kd", "--seeds", "-1"),
    ("compare", "scratch", "kd", "--workers", "0"),
    ("compare", "scratch", "kd", "--device", "tpu"),
    ("compare", "scratch", "kd", "--student", "mlp-17"),
    ("compare", "scratch", "kd", "--teacher", "mlp"),
    ("compare", "scratch", "kd", "--data", "digit"),
    ("compare", "scratch", "kd", "--imagse", "50"),
    ("compare", "scratch", "kd", "--image", "50"),
    ("compare", "scratch"),
    ("compare", "kd", "kd:temperature=4"),
    ("compare", "scratch", "kdd"),
    ("compare", "scratch", "kd:temprature=8"),
    ("compare", "scratch", "kd:temperature=0"),
    ("compare", "scratch", "kd:temperature=nan"),
    ("compare", "scratch", "kd:temperature=inf"),
    ("compare", "scratch", "kd:temperature=True"),
    ("compare", "scratch", "kd:temperature=1e7"),
    ("compare", "scratch", "kd:temperature=8,temperature=8"),
    ("compare", "scratch", "kd:temperature"),
    ("compare", "scratch", "kd:alpha=1.01"),
    ("compare", "scratch", "kd:"),
    ("compare", "scratch:", "kd"),
    ("compare", "scratch", "kd: "),
    ("compare", "scratch", "kd:temperature=1,,alpha=1"),
    ("train", "kd:temperature=1,"),
    ("train", "kd:,"),
    ("compare", "scratch", "label-smoothing:epsilon=-0.1"),
    ("train", "kd", "--seed", "-1"),
    ("train", "kd", "--seed", "2147483647"),
    ("train", "kd", "--steps", "0"),
    ("train", "kd", "--schedule", "linear"),
    ("train", "scratch", "--labelled", "0"),
    ("train", "first-act", "--steps", "10"),
    ("train",),
    ("sweep", "kd"),
    ("sweep", "kd", "temperature"),
    ("sweep", "kd", "temperature=1,1"),
    ("sweep", "kd", "temperature=1,nan"),
    ("sweep", "kd", "temperature=1", "temperature=2"),
    ("sweep", "kd:temperature=1", "temperature=2,4"),
    ("sweep", "kd:", "temperature=2,4"),
    ("sweep", "kd:alpha=2", "temperature=2,4"),
    ("sweep", "kd:alfa=1", "temperature=2,4"),
    ("sweep", "kd", "temprature=1"),
    ("replay", "abcdef0123"),
    ("replay", "."),
    ("replay", ""),
    ("runs",),
    ("runs", "lst"),
    ("runs", "list", "x"),
    ("runs", "show"),
    ("runs", "rm", "a2bf"),
    ("table", "models"),
    ("bench", "quick"),
    ("lst",),
    ("--version",),
    (),
]  # fmt: skip


@pytest.mark.parametrize("words", BAD, ids=" ".join)
def test_bad_input_is_one_sentence_and_exit_code_2(words, call, home):
    code, out, err = call(*words)
    assert code == 2 and out == ""
    sentence = err.strip().splitlines()
    assert len(sentence) == 1 or words == (), err
    assert len(sentence[-1]) > 10 and "Traceback" not in err
    assert not list(home.glob("runs/*")), "nothing was trained"


@pytest.mark.parametrize(
    ("words", "parts"),
    [
        (("compare", "scratch", "kd", "--images", "nan"), ("images=nan", "[1, 1000]")),
        (("compare", "scratch", "kd:temperature=0"), ("temperature=0", "[0.01, 1e6]", "softened")),
        (("compare", "scratch", "kdd"), ("'kdd'", "did you mean 'kd'")),
        (("compare", "scratch", "kd", "--imagse", "5"), ("--imagse", "did you mean '--images'")),
        (("compare", "scratch", "kd", "--student", "mlp-17"), ("mlp-17", "did you mean")),
        (("comprae", "scratch"), ("'comprae'", "did you mean 'compare'")),
        (("train", "kd", "--steps", "1", "--steps", "2"), ("--steps: given twice (1 and 2)",)),
        (("train", "kd:alpha=1,alpha=0"), ("KD(alpha=…): given twice (1 and 0)",)),
        (("train", "scratch:temperature=3"), ("'temperature'", "Scratch has no knobs\n")),
        (("sweep", "kd", "alpha=0", "temperature=1,2,1.0"), ("KD(temperature=1.0): given twice",)),
        (("sweep", "kd", "alpha=0", "alpha=1"), ("KD(alpha=…): given twice (0 and 1)",)),
        (("sweep", "kd:alpha=1", "alpha=0,0.5"), ("KD(alpha=…): given twice (1 and 0,0.5)",)),
        (("train", "kd:"), ("'kd:': expected name=value after the colon",)),
        (("train", "kd:temperature=1,,alpha=1"), ("KD: 'temperature=1,,alpha=1' has a comma",)),
        (("train", "kd:temperature=true"), ("KD(temperature=true): expected a value in",)),
        (("train", "kd:temperature=1e7"), ("KD(temperature=1e7): expected",)),
        (("train", "kd", "--images", ""), ("images=''): expected a whole number",)),
        (("train", "kd", "--schedule", "linear"), ("schedule=linear): expected one of",)),
    ],
)  # fmt: skip
def test_an_error_names_field_value_and_expectation(words, parts, call):
    _, _, err = call(*words)
    assert all(part in err for part in parts), err


@pytest.mark.parametrize("text", ["nan", "inf", "-1", "0", "many"])
def test_a_cap_that_is_none_is_refused_before_anything_else(text, call, home, monkeypatch):
    monkeypatch.setenv("WORKBENCH_CAP_MB", text)
    for words in (("train", "scratch", *SHORT), ("runs", "list"), ("replay", "a2bf")):
        code, out, err = call(*words)
        assert (code, out) == (2, "")
        assert err == f"WORKBENCH_CAP_MB={text}: expected a positive number of megabytes\n"
    assert not home.exists()


def test_a_home_that_cannot_be_used_is_trouble_and_exit_code_1(call, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("WORKBENCH_HOME", str(tmp_path / "file" / "home"))
    code, out, err = call("train", "scratch", *SHORT)
    assert code == 1 and out == "" and "WORKBENCH_HOME" in err
    assert len(err.strip().splitlines()) == 1


@pytest.mark.parametrize("words", [("train", "scratch", *SHORT), ("runs", "list"),
                                   ("sweep", "scratch", "learning_rate=0.1")])  # fmt: skip
def test_a_home_that_is_a_file_is_called_one(words, call, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("WORKBENCH_HOME", str(tmp_path / "file"))
    code, out, err = call(*words)
    assert (code, out, err.count("\n")) == (1, "", 1)
    assert err.startswith(f"WORKBENCH_HOME={tmp_path / 'file'}: is a file, expected a folder; set")


def test_what_nobody_expected_is_one_sentence_and_exit_code_1(call, monkeypatch):
    monkeypatch.setattr(Run, "__iter__", lambda self: 1 / 0)
    code, out, err = call("train", "scratch", *SHORT)
    assert (code, out) == (1, "") and err.startswith("ZeroDivisionError") and err.count("\n") == 1


# ------------------------------------------------------------------------------------ train


def test_train_gives_accuracy_and_folder_and_is_not_trained_twice(result):
    arm = result("train", "kd:temperature=8", "--teacher", "mlp-4", *SHORT)["runs"][0]
    only = arm["arms"][0]
    assert only["method"] == "kd" and only["knobs"] == {"temperature": 8.0, "alpha": 0.9}
    assert set(only["accuracy"]) == {"mean", "std", "n"} and only["accuracy"]["n"] == 2
    assert 0 <= only["accuracy"]["mean"] <= 1
    folder = Path(arm["folder"])
    before = (folder / "timings.jsonl").read_text()
    again = result("train", "kd:temperature=8", "--teacher", "mlp-4", *SHORT)["runs"][0]
    assert again == arm and (folder / "timings.jsonl").read_text() == before
    fresh = result("train", "kd:temperature=8", "--teacher", "mlp-4", "--fresh", *SHORT)
    assert Path(fresh["runs"][0]["folder"]) != folder


def test_train_without_json_is_a_table(call):
    code, out, _ = call("train", "scratch", "label-smoothing:epsilon=0.2", *SHORT)
    assert code == 0 and "label-smoothing:epsilon=0.2" in out and "±" in out and "\x1b" not in out


def test_an_arm_is_called_by_every_knob_that_was_typed(call, result):
    """Although a knob at its default is no part of the recipe: the run has the same name."""
    spec, words = "kd:temperature=4,alpha=1", ["--teacher", "mlp-4", *SHORT]
    out = call("train", "kd:alpha=1,temperature=4.0", "kd", *words)[1]
    assert [line.split()[0] for line in out.splitlines()[1:3]] == [spec, "kd"]
    typed, short = (result("train", one, *words) for one in (spec, "kd:alpha=1"))
    assert typed == short
    assert typed["runs"][0]["arms"][0]["knobs"] == {"temperature": 4.0, "alpha": 1.0}
    out = call("compare", spec, "kd", *TWO[2:], "--learning-rate", "0.01")[1]
    assert out.splitlines()[1].startswith(f"{spec} ") and spec in out.split("\n\n")[1]


def test_a_named_recipe_shows_its_arms(call):
    out = call("train", "first-act")[1]
    assert [line.split()[0] for line in out.splitlines()[1:3]] == [
        "scratch", "kd:temperature=8,alpha=1"
    ]  # fmt: skip


def test_every_knob_of_recipe_and_data_is_a_flag(result):
    words = ["--split", "1", "--images", "30", "--labelled", "25", "--left-out", "3,5",
             "--label-noise", "0.1", "--seed", "4", "--learning-rate", "0.02", "--weight-decay",
             "0", "--schedule", "cosine", "--steps", "4", "--batch-size", "10", "--events", "2",
             "--seeds", "1"]  # fmt: skip
    folder = Path(result("train", "scratch", *words)["runs"][0]["folder"])
    assert json.loads((folder / "recipes.json").read_text()) == [
        {"data": {"name": "digits", "split": 1, "images": 30, "labelled": 25, "left_out": [3, 5],
                  "label_noise": 0.1}, "method": {"name": "scratch"}, "seed": 4,
         "learning_rate": 0.02, "weight_decay": 0.0, "schedule": "cosine", "steps": 4,
         "batch_size": 10, "events": 2}
    ]  # fmt: skip


@pytest.mark.skipif(os.name != "posix", reason="Ctrl-C is sent differently elsewhere")
def test_ctrl_c_keeps_what_there_is_and_train_resumes_it(home, result):
    words = ["train", "scratch", "--seeds", "1", "--steps", "20000", "--events", "199"]
    env = os.environ | {"WORKBENCH_HOME": str(home)}
    process = subprocess.Popen(
        [sys.executable, "-m", "workbench", *words], cwd=ROOT, env=env, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        # a shell's background jobs ignore Ctrl-C, and so would their children
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )  # fmt: skip
    until = time.monotonic() + 60
    while time.monotonic() < until and not any(
        path.stat().st_size > 2000 for path in home.glob("runs/*/*/events.jsonl")
    ):
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=30)
    assert process.returncode == 130 and out == "" and "Traceback" not in err
    assert "stopped, kept; resume with python -m workbench train scratch" in err
    stopped = next(one for one in result("runs", "list")["runs"] if not one["shipped"])
    assert stopped["status"] == "stopped" and 0 < stopped["step"] < 20000
    found = result(*words)
    assert found["runs"][0]["folder"] == stopped["folder"]


# --------------------------------------------------------------------- compare and sweep


def test_compare_gives_the_exact_format(result):
    found = result("compare", *TWO)
    assert {"arms", "difference", "verdict"} <= set(found)
    assert [arm["method"] for arm in found["arms"]] == ["scratch", "kd"]
    assert found["arms"][1]["knobs"] == {"temperature": 8.0, "alpha": 1.0}
    for arm in found["arms"]:
        assert set(arm["accuracy"]) == {"mean", "std", "n"} and arm["accuracy"]["n"] == 2
        assert arm["learning_rate"] in (1e-3, 3e-3, 1e-2, 3e-2, 1e-1)
    difference = found["difference"]
    assert set(difference) == {"mean", "low", "high"}
    means = [arm["accuracy"]["mean"] for arm in found["arms"]]
    assert difference["mean"] == pytest.approx(means[1] - means[0])
    low, high = difference["low"], difference["high"]
    assert found["verdict"] == ("BEATS" if low > 0 else "LOSES" if high < 0 else "INCONCLUSIVE")


def test_an_undefined_interval_is_null_and_inconclusive(result):
    words = list(TWO)
    words[words.index("--splits") + 1] = words[words.index("--seeds") + 1] = "1"
    found = result("compare", *words, "--learning-rate", "0.01")
    assert found["difference"]["low"] is None and found["difference"]["high"] is None
    assert found["verdict"] == "INCONCLUSIVE" and found["arms"][0]["accuracy"]["std"] is None
    assert found["arms"][0]["learning_rate"] == 0.01


def test_compare_without_json_is_a_table_a_sentence_and_caveats(call):
    code, out, _ = call("compare", *TWO, "--left-out", "3", "--learning-rate", "0.01")
    assert code == 0 and "recall of 3 %" in out and "297 labelled validation images" in out
    assert "The teacher saw 1000 labels; each student saw 18 images." in out
    assert "kd:temperature=8,alpha=1" in out and ("beats" in out or "loses" in out
                                                  or "no difference" in out)  # fmt: skip


@pytest.mark.parametrize("surgery", [("--labelled", "0"), ("--shown", "pixels")])
def test_who_hears_the_teacher_alone_is_compared_and_swept_without_labels(result, surgery):
    few = ["--images", "20", "--steps", "2", "--seeds", "1", *surgery]
    both = "hard-labels:alpha=1", "kd:temperature=8,alpha=1"
    once = ["--splits", "1", "--workers", "1", "--learning-rate", "0.01"]
    assert len(result("compare", *both, *few, *once)["arms"]) == 2
    assert len(result("sweep", "kd:alpha=1", "temperature=2,4", *few)["cells"]) == 2


def test_json_is_alone_on_standard_output_of_a_process(home):
    done = apart("compare", *TWO, "--json", env=os.environ | {"WORKBENCH_HOME": str(home)})
    assert done.returncode == 0 and done.stderr == ""
    json.loads(done.stdout)


@pytest.mark.skipif(os.name != "posix", reason="needs SIGKILL")
def test_the_workers_of_a_killed_comparison_end(home):
    """While one lives, it holds the standard error of who was killed open."""
    words = ["compare", *TWO[:-1], "2", "--learning-rate", "0.01"]
    process = subprocess.Popen(
        [sys.executable, "-m", "workbench", *words], cwd=ROOT, stderr=subprocess.PIPE,
        env=os.environ | {"WORKBENCH_HOME": str(home)}, start_new_session=True,
    )  # fmt: skip
    until = time.monotonic() + 60
    while time.monotonic() < until and not list(home.glob("runs/*/*/events.jsonl")):
        time.sleep(0.01)
    process.kill()
    try:
        process.communicate(timeout=30)
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)


@pytest.mark.skipif(os.name != "posix", reason="Ctrl-C is sent differently elsewhere")
@pytest.mark.parametrize("sign", ["state.json", "lease"], ids=["early", "late"])
def test_ctrl_c_in_a_comparison_is_one_sentence(sign, home, result):
    """A terminal sends it to all processes: also to those that are still importing."""

    def begun(file):
        """A teacher under way would be done before the signal comes, a student is not."""
        recipes = file.with_name("recipes.json")
        return sign == "state.json" or "100000" in recipes.read_text()

    words = ["compare", "scratch", "kd", "--splits", "4", "--seeds", "1", "--steps", "100000"]
    process = subprocess.Popen(
        [sys.executable, "-m", "workbench", *words, "--json"], cwd=ROOT, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True,
        env=os.environ | {"WORKBENCH_HOME": str(home)},
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )  # fmt: skip
    until = time.monotonic() + 60
    while time.monotonic() < until and not any(map(begun, home.glob(f"runs/*/*/{sign}"))):
        time.sleep(0.01)
    time.sleep(0.3)
    os.killpg(process.pid, signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130 and out == "" and err.count("\n") == 1
    assert err.startswith("stopped, kept; resume with python -m workbench compare scratch kd")
    left = [one["status"] for one in result("runs", "list")["runs"] if not one["shipped"]]
    assert set(left) <= {"queued", "stopped", "done"}
    assert sign == "state.json" or "stopped" in left
    assert not any(home.glob("runs/*/*/lease"))


def test_sweep_trains_all_settings_in_one_run(result, call):
    words = ["kd", "temperature=1,8", "alpha=0,1", "--teacher", "mlp-4", *SHORT]
    found = result("sweep", *words)
    assert [cell["knobs"] for cell in found["cells"]] == [
        {"temperature": t, "alpha": a} for t in (1.0, 8.0) for a in (0.0, 1.0)
    ]
    assert all(set(cell["accuracy"]) == {"mean", "std", "n"} for cell in found["cells"])
    code, out, err = call("sweep", *words)
    lines = [line.split("  ") for line in out.splitlines()]
    assert code == 0 and "accuracy %: temperature \\ alpha" in out and len(lines) == 4
    means = [f"{100 * cell['accuracy']['mean']:.1f} " for cell in found["cells"]]
    assert [line[:1] for line in lines[1:3]] == [["1"], ["8"]], "a map: a row for a temperature"
    assert all(means[2 * i + j] in out.splitlines()[1 + i] for i in (0, 1) for j in (0, 1))
    assert "4 settings × 2 students in 1 pass: about 0." in err, "said before it begins"


def test_a_cell_of_a_sweep_opens_as_a_run(result, call):
    words = ["kd", "temperature=1,8", "alpha=0,1", "--teacher", "mlp-4", *SHORT]
    found = result("sweep", *words, "--open", "alpha=1,temperature=8")
    opened, cell = found["opened"], found["cells"][3]
    assert opened["knobs"] == cell["knobs"] == {"temperature": 8.0, "alpha": 1.0}
    lines = [json.loads(line) for line in call("replay", opened["run"], "--json")[1].splitlines()]
    row = lines[-1]["accuracy"]["test"]
    assert len(row) == 2 and sum(row) / 2 == pytest.approx(cell["accuracy"]["mean"])
    assert "test part in %, 2 students; done." in call("replay", opened["run"])[1]
    code, out, _ = call("sweep", *words, "--open", "alpha=1,temperature=8")
    assert code == 0 and f"temperature=8,alpha=1 is run {opened['run']}" in out
    for wrong in (
        "temperature=8",
        "temperature=8,alpha=0.5",
        "alpha=1,alpha=1",
        "temperature",
        "",
    ):
        code, out, err = call("sweep", *words, "--open", wrong)
        assert code == 2 and out == "" and err.count("\n") == 1, wrong


def test_knobs_of_a_sweeps_spec_are_the_same_in_every_cell(result, call):
    words = ["temperature=1,8", "--teacher", "mlp-4", *SHORT]
    found = result("sweep", "kd:alpha=1", *words)
    assert (found["method"], found["fixed"]) == ("kd", {"alpha": 1.0})
    assert [cell["knobs"] for cell in found["cells"]] == [{"temperature": t} for t in (1.0, 8.0)]
    both = result("sweep", "kd", "alpha=1", *words)
    assert both["run"] == found["run"]  # the same recipes
    for one, other in zip(found["cells"], both["cells"], strict=True):
        assert one["accuracy"] == other["accuracy"]
    code, out, _ = call("sweep", "kd:alpha=1", *words)
    assert code == 0 and out.startswith("kd:alpha=1 in every cell\ntemperature  accuracy %\n")
    with pytest.raises(BadInput, match=r"KD\(alpha=…\): given twice"):
        sweep(METHODS["kd"], {"alpha": [0, 1]}, fixed={"alpha": 1}, data=DATA["digits"]())


# ------------------------------------------------------------------------- replay and runs


def test_replay_tells_arms_of_one_method_apart(call, result):
    """A trial of several learning rates, and one of two methods."""
    rates = result("sweep", "scratch", "learning_rate=0.01,0.1", "weight_decay=0", *SHORT)["run"]
    out = call("replay", rates)[1]
    assert out.split("\n")[0].split("  ")[1:] == [
        "scratch learning_rate=0.01", "scratch learning_rate=0.1"
    ]  # fmt: skip
    assert ", 4 students; done" in out
    other = result("sweep", "label-smoothing", "epsilon=0,0.2", *SHORT)["run"]
    head = call("replay", other)[1].split("\n")[0].split()
    assert head == ["step", "label-smoothing:epsilon=0", "label-smoothing:epsilon=0.2"]
    alone = result("train", "scratch", *SHORT[:-1], "1")["runs"][0]["name"]
    assert ", 1 student; done" in call("replay", alone)[1]


def test_replay_shows_what_happened_and_trains_nothing(call, result):
    run = result("train", "scratch", "--events", "3", *SHORT)["runs"][0]
    folder = Path(run["folder"])
    lines = (folder / "events.jsonl").read_text()
    for word in (run["name"], run["name"][:6], f"{run['name']}/1", str(folder)):
        code, out, _ = call("replay", word, "--json")
        assert code == 0 and out == lines
    code, out, _ = call("replay", run["name"])
    assert code == 0 and len(out.splitlines()) == 2 + len(lines.splitlines())
    assert "done" in out


def test_a_damaged_run_is_reported_and_set_aside(call, result, home):
    run = result("train", "scratch", *SHORT)["runs"][0]
    (Path(run["folder"]) / "events.jsonl").write_text("{")
    code, out, err = call("replay", run["name"])
    assert code == 2 and out == "" and "damaged" in err and "Traceback" not in err
    assert list((home / "damaged").iterdir())


def test_runs_are_listed_shown_and_removed(call, result):
    run = result("train", "scratch", *SHORT)["runs"][0]
    mine = f"{run['name']}/1"
    listed = {one["run"]: one for one in result("runs", "list")["runs"]}
    assert listed[mine]["status"] == "done" and listed[mine]["methods"] == ["scratch"]
    assert any(one["shipped"] for one in listed.values())
    shown = result("runs", "show", run["name"])["runs"][0]
    assert shown["run"] == mine and len(shown["recipes"]) == 2
    assert mine in call("runs", "list")[1] and "recipe" in call("runs", "show", mine)[1]
    code, out, err = call("runs", "rm", mine)
    assert (code, out) == (0, "") and f"removed {mine}" in err
    assert not Path(run["folder"]).exists()


def test_a_run_lists_each_of_its_methods_once(call, result):
    """A trial of five rates has five arms of one method; a sweep has many of one kind."""
    result("sweep", "scratch", "learning_rate=0.01,0.1", *SHORT)
    result("sweep", "label-smoothing", "epsilon=0.1,0.2,0.3,0.4,0.5", *SHORT)
    listed = [one["methods"] for one in result("runs", "list")["runs"] if not one["shipped"]]
    assert sorted(map(len, listed)) == [1, 5] and ["scratch"] in listed
    lines = call("runs", "list")[1].splitlines()
    assert lines[0].split()[-1] == "methods" and any(line.endswith(" scratch") for line in lines)
    said = "  label-smoothing label-smoothing:epsilon=0.2 … 3 more"
    assert any(line.endswith(said) for line in lines)


@pytest.mark.skipif(os.name != "posix", reason="needs SIGKILL")
def test_a_run_whose_process_was_killed_is_listed_as_stopped(home, call, result, monkeypatch):
    words = ["train", "scratch", "--seeds", "1", "--steps", "50000", "--events", "199"]
    process = subprocess.Popen(
        [sys.executable, "-m", "workbench", *words], cwd=ROOT, stdout=subprocess.PIPE,
        env=os.environ | {"WORKBENCH_HOME": str(home)},
    )  # fmt: skip
    until = time.monotonic() + 60
    while time.monotonic() < until and not any(
        path.stat().st_size > 2000 for path in home.glob("runs/*/*/events.jsonl")
    ):
        time.sleep(0.01)

    def mine():
        return next(one for one in result("runs", "list")["runs"] if not one["shipped"])

    assert mine()["status"] == "running"
    process.kill()
    process.communicate(timeout=30)
    monkeypatch.setattr(runs, "STALE", 0.0)  # rather than wait until the lease is that old
    assert mine()["status"] == "stopped" and mine()["step"] > 0
    assert json.loads((Path(mine()["folder"]) / "state.json").read_text())["status"] == "running"
    assert "stopped (resumable)" in call("runs", "list")[1]
    assert "; stopped at step " in call("replay", mine()["run"])[1]


def test_rm_removes_nothing_outside_its_home(call, tmp_path, result):
    run = result("train", "scratch", *SHORT)["runs"][0]
    elsewhere = tmp_path / "mine"
    Path(run["folder"]).rename(elsewhere)
    for word in (str(elsewhere), str(next(runs.SHIPPED.glob("*/1")))):
        code, _, err = call("runs", "rm", word)
        assert code == 2 and "not removed" in err and Path(word).exists()


def test_the_league_table_has_every_method(call, result, monkeypatch):
    words = ["table", "--data", "digits", "--images", "10", "--splits", "1", "--seeds", "1"]
    compare = sys.modules["workbench.sweep"].compare
    short = {"steps": 3, "events": 1, "learning_rate": 0.01, "workers": 1}
    monkeypatch.setattr(
        "workbench.sweep.compare", lambda methods, **given: compare(methods, **given | short)
    )
    found = result(*words)
    maps = {name for name, method in METHODS.items() if {"maps", "depth"} & method.needs}
    assert maps and {arm["method"] for arm in found["arms"]} == set(METHODS) - maps
    found = result(*words, "--student", "cnn-4", "--teacher", "cnn-4")
    assert {arm["method"] for arm in found["arms"]} == set(METHODS)
    code, out, _ = call(*words)
    table, _, notes = out.partition("\n\n")
    lines = table.splitlines()
    assert code == 0 and len(lines) == 2 + len(METHODS) - len(maps)
    assert {note.split("`")[1] for note in notes.splitlines()} == maps, "who is left out is said"
    assert all(line.startswith("| ") and line.count("|") == 8 for line in (lines[0], *lines[2:]))
    shown = [float(line.split("|")[4].split("±")[0]) for line in lines[2:]]
    assert shown == sorted(shown, reverse=True)


def test_a_published_figure_stands_beside_ours(call, monkeypatch):
    named = dataclasses.replace(RECIPES["first-act"], published=("98.54 (146 errors)", "99.26"))
    few = tuple(r.but(steps=2, events=1) for r in named.recipes[::6])
    known = {**RECIPES.found, "first-act": dataclasses.replace(named, recipes=few)}
    monkeypatch.setattr(RECIPES, "_found", known)
    code, out, _ = call("train", "first-act", "scratch", *SHORT)
    assert code == 2  # a recipe decides its images itself
    code, out, _ = call("train", "first-act")
    assert code == 0 and "published %" in out and "98.54 (146 errors)" in out
    assert "published %" not in call("train", "scratch", *SHORT)[1]


def test_several_teachers_are_joined_by_plus(result, call):
    several = ("--teacher", "mlp-16+mlp-16+cnn-4")
    run = result("train", "ensemble", *SHORT, *several)["runs"][0]
    teachers = Run.at(run["folder"]).recipes[0].teachers
    assert [(one.student, one.seed) for one in teachers] == [("mlp-16", 0), ("mlp-16", 1),
                                                             ("cnn-4", 0)]  # fmt: skip
    code, _, err = call("train", "ensemble", *SHORT, "--teacher", "mlp-16+mpl-16")
    assert code == 2 and "did you mean 'mlp-16'" in err


@pytest.mark.parametrize("words", [[], ["methods", "--data", "digits"]])
def test_one_table_is_printed_at_a_time(call, words):
    code, out, err = call("table", *words)
    assert (
        code == 2
        and out == ""
        and err.startswith("table: expected methods, tree, benchmarks, or --data")
    )
