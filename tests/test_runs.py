"""Laws of runs: replay, resume, one trainer and many watchers, damage, disks, what is kept."""

import errno
import json
import os
import shutil
import signal
import subprocess
import sys
import textwrap
import threading
import time
import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import torch
from lab import KD, Hint, Memory, Stages, assert_same_weights, digits, known
from torch import nn

from workbench import METHODS, Recipe, Run, engine, runs
from workbench.__main__ import main
from workbench.assets import shipped, unsound
from workbench.base import BadInput, Trouble
from workbench.engine import train
from workbench.models._network import Network
from workbench.runs import DamagedRunWarning, Lease, Status, prepare, prune, remove, takes

ROOT = Path(__file__).parent.parent
SHORT = {"steps": 12, "events": 4}


def small(**more):
    return Recipe(**{"data": digits(), **SHORT, **more})


def long(**more):
    """Some seconds of steps."""
    return small(**{"steps": 100_000, "events": 199, "batch_size": 10, **more})


def reference(recipes):
    """The events of an uninterrupted run in a take of its own, and its weights."""
    run = Run(recipes, fresh=True)
    events = list(run)
    return events, [run.student(i).state_dict() for i in range(len(run.recipes))]


def until(true, seconds=20):
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.01)


@pytest.fixture
def hasty(monkeypatch):
    """Leases go stale in half a second, checkpoints are written at every event."""
    monkeypatch.setattr(runs, "STALE", 0.5)
    monkeypatch.setattr(runs, "BEAT", 0.1)
    monkeypatch.setattr(runs, "SAVE", 0.0)


# --------------------------------------------------------------------------- live and replay


GROUP = [small(), small(seed=1, learning_rate=0.1), small(method=METHODS["label-smoothing"]())]


def test_live_is_replay_is_a_second_live_run():
    live, first = [], Run(GROUP)
    try:
        for event in first:
            live.append(event)
            torch.manual_seed(event.step)
            torch.set_grad_enabled(False)
    finally:
        torch.set_grad_enabled(True)
    assert len(live) == 5 and first.status.status == "done"
    replay, second = Run(GROUP), Run(GROUP, fresh=True)
    assert list(replay) == live and replay.folder == first.folder
    assert list(second) == live and second.folder != first.folder
    for name in ("events.jsonl", "weights.safetensors", "opinions.f16"):
        assert (second.folder / name).read_bytes() == (first.folder / name).read_bytes()
    assert list(Run.at(first.folder)) == live == first.events()
    assert len(takes(first.name)) == 2


def test_nothing_is_trained_until_somebody_iterates(home):
    Run(GROUP)
    assert not home.exists()


def test_a_finished_run_says_what_it_was():
    run = Run(GROUP).drain()
    status, state = run.status, json.loads((run.folder / "state.json").read_text())
    assert (status.status, status.step, status.steps) == ("done", 12, 12)
    assert {"torch", "python", "machine", "device", "threads"} <= set(status.facts)
    assert set(state["sums"]) == {"recipes.json", "events.jsonl", "weights.safetensors"}
    timings = [json.loads(t) for t in (run.folder / "timings.jsonl").read_text().splitlines()]
    assert [t[0] for t in timings] == [0, 3, 6, 9, 12]
    # two arms of the three differ in more than the seed: three arms of 60 opinions on 10 classes
    assert len((run.folder / "opinions.f16").read_bytes()) == 5 * 3 * 60 * 10 * 2
    assert not (run.folder / "checkpoint.safetensors").exists()
    assert not (run.folder / "lease").exists()


def test_students_logits_and_reports_of_a_run():
    run = Run(GROUP)
    student = run.student(1)  # trains it
    assert run.status.status == "done" and not student.training
    x = digits().parts()["test"]
    said = student(x.x).logits
    torch.testing.assert_close(run.logits()[1], said)
    right = (said.argmax(-1) == x.y).double().mean().item()
    assert run.events()[-1].accuracy["test"][1] == right
    reports = run.reports()
    assert len(reports) == 3 and Run(GROUP).reports() == reports
    with pytest.raises(BadInput, match="at least one recipe"):
        Run([])


# ---------------------------------------------------------------------------- stop and resume


KINDS = {
    "full batch": [small(), small(seed=3)],
    "minibatches": [small(batch_size=16), small(batch_size=16, seed=3)],
    "cnn": [small(student="cnn-4", batch_size=16, schedule="cosine")],
    "two shapes": [small(), small(student="mlp-32")],
}


@pytest.mark.parametrize("stops", [(1,), (2,), (4,), (5,), (1, 2, 4)], ids=str)
@pytest.mark.parametrize("kind", KINDS)
def test_a_stopped_run_keeps_what_happened_and_resumes_to_the_same(kind, stops):
    recipes = KINDS[kind]
    whole, weights = reference(recipes)
    runs.remove(Run(recipes).folder)
    for stop in stops:
        run, heard = Run(recipes), []
        for event in run:
            heard.append(event)
            if len(heard) == stop:
                break
        assert heard == whole[:stop] == Run(recipes).events()
        assert run.status.status == "stopped" and run.status.step == whole[stop - 1].step
        assert not (run.folder / "weights.safetensors").exists()
        assert not Lease.held(run.folder)
    last = Run(recipes)
    assert last.folder == run.folder and list(last) == whole
    for i in range(len(recipes)):
        assert_same_weights(last.student(i).state_dict(), weights[i])
    size = len(runs.arms(recipes)) * 60 * 10 * 2
    assert len((last.folder / "opinions.f16").read_bytes()) == 5 * size
    assert list(Run(recipes)) == whole


def test_views_resume_to_the_same_bytes_and_an_older_run_has_holes():
    recipes = [Recipe("mlp-16", digits(), METHODS["pkt"](), (small(),), seed=s, steps=12, events=4)
               for s in range(2)]  # fmt: skip
    whole = Run(recipes).drain()
    reference = (whole.folder / "views.f16").read_bytes()
    again = Run(recipes, fresh=True)
    for event in again:
        if event.step == 6:
            break
    with open(again.folder / "views.f16", "ab") as file:
        file.write(b"beyond the checkpoint")
    assert Run.at(again.folder).drain().folder == again.folder
    assert (again.folder / "views.f16").read_bytes() == reference
    old = Run(recipes, fresh=True)
    for event in old:
        if event.step == 6:
            break
    (old.folder / "views.f16").unlink()
    Run.at(old.folder).drain()
    found = (old.folder / "views.f16").read_bytes()
    assert len(found) == len(reference) and found[-1800:] == reference[-1800:]
    assert found[:1800] == b"\x00\x7e" * 900  # half precision's "not a number"


@pytest.mark.parametrize("method", [Hint, Stages, Memory], ids=lambda m: m.__name__)
def test_adapters_and_memories_resume(monkeypatch, method):
    by = (small(seed=9),) if "teacher" in method.needs else ()
    recipes = [small(method=method(), teachers=by, seed=s) for s in (0, 1)]
    with known(monkeypatch, method):
        whole, weights = reference(recipes)
        runs.remove(Run(recipes).folder)
        for stop in (1, 2, 3, 4):
            for event, _ in zip(Run(recipes), range(stop), strict=False):
                assert event in whole
        last = Run(recipes)
        assert list(last) == whole
        for i in range(2):
            assert_same_weights(last.student(i).state_dict(), weights[i])


def test_halt_stops_a_training():
    run = Run(long())
    for event in run:
        if event.step > 0:
            run.halt()
    assert run.status.status == "stopped" and 0 < run.status.step < 100_000
    assert len(Run(long()).events()) == 2


PLACES = [(engine.Stack, "look"), (engine.Stack, "learn"), (runs.Recorder, "record"),
          (runs.Recorder, "note"), (runs.Recorder, "save")]  # fmt: skip


@pytest.mark.parametrize("count", [1, 2, 5])
@pytest.mark.parametrize("place", PLACES, ids=lambda place: place[1])
def test_wherever_ctrl_c_falls_the_run_resumes_to_the_same(hasty, monkeypatch, place, count):
    whole, weights = reference(small())
    runs.remove(Run(small()).folder)
    owner, name = place
    act, calls = getattr(owner, name), []

    def interrupted(*args, **more):
        calls.append(name)
        if len(calls) == count:
            signal.raise_signal(signal.SIGINT)
        return act(*args, **more)

    with monkeypatch.context() as patch:
        patch.setattr(owner, name, interrupted)
        run = Run(small())
        with pytest.raises(KeyboardInterrupt):
            run.drain()
    assert run.status.status == "stopped" and run.events() == whole[: len(run.events())]
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    assert list(Run(small())) == whole
    assert_same_weights(run.student().state_dict(), weights[0])


def test_what_fails_says_why_and_can_be_tried_again(monkeypatch):
    def fails(*args):
        raise RuntimeError("out of memory\nand a long story")

    with monkeypatch.context() as patch:
        patch.setattr(METHODS["scratch"], "loss", fails)
        run = Run(small())
        with pytest.raises(RuntimeError, match="out of memory"):
            run.drain()
    assert run.status.status == "failed" and run.status.reason == "out of memory"
    assert not Lease.held(run.folder)
    assert len(list(Run(small()))) == 5


SCRIPT = """
import sys, time
sys.path[:0] = [{tests!r}, {root!r}]
from workbench import runs
runs.SAVE, runs.BEAT = {save}, 0.1
from test_runs import small, long, digits
from workbench import Run
for event in Run({recipes}):
    print(event.to_json(), flush=True)
    time.sleep({pause})
"""


def elsewhere(recipes, pause=0.05, save=0.0):
    """Another process that trains."""
    script = textwrap.dedent(SCRIPT).format(
        tests=str(ROOT / "tests"), root=str(ROOT), recipes=recipes, pause=pause, save=save
    )
    return subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True)


@pytest.mark.parametrize("save", [0.0, 0.2])
def test_a_killed_training_resumes_to_the_same(hasty, save):
    recipe = small(steps=400, events=100, batch_size=16)
    whole, weights = reference(recipe)
    runs.remove(Run(recipe).folder)
    words = "small(steps=400, events=100, batch_size=16)"
    with elsewhere(words, 0.02, save) as other:
        for _ in range(20):
            other.stdout.readline()
        other.send_signal(signal.SIGKILL)
    run = Run(recipe)
    assert run.status.status == "running" and len(run.events()) >= 20
    assert list(run) == whole
    assert_same_weights(run.student().state_dict(), weights[0])


# ------------------------------------------------------------------- one trains, others watch


def test_of_two_threads_one_trains_and_the_other_watches():
    recipe = small(steps=600, events=60)
    together = threading.Barrier(3)

    def ask(i):
        together.wait(10)
        return list(Run(recipe))

    with ThreadPoolExecutor(3) as pool:
        results = list(pool.map(ask, range(3)))
    assert results[0] == results[1] == results[2] and len(results[0]) == 61
    (folder,) = takes(Run(recipe).name)
    timings = (folder / "timings.jsonl").read_text().splitlines()
    assert len(timings) == 61  # it was trained once


def test_of_two_processes_one_trains_and_the_other_watches():
    recipe = small(steps=60, events=30)
    with elsewhere("small(steps=60, events=30)", 0.03) as other:
        first = other.stdout.readline()
        run = Run(recipe)
        assert run.status.status == "running" and Lease.held(run.folder)
        mine = list(run)
        theirs = [first.strip(), *(line.strip() for line in other.stdout)]
    assert [event.to_json() for event in mine] == theirs and len(mine) == 31
    assert len((run.folder / "timings.jsonl").read_text().splitlines()) == 31


def test_fresh_joins_a_training_under_way_and_else_trains_again():
    recipe = small(steps=300, events=60)
    first = Run(recipe)
    generator = iter(first)
    next(generator)
    joined = Run(recipe, fresh=True)
    assert joined.folder == first.folder
    with ThreadPoolExecutor(1) as pool:
        watching = pool.submit(list, joined)
        events = [*first.events()[:1], *generator]
        assert watching.result(20) == events
    again = Run(recipe, fresh=True)
    assert again.folder != first.folder and list(again) == events


def test_a_watcher_of_a_stopped_training_ends():
    first = Run(long())
    generator = iter(first)
    next(generator), next(generator)
    with ThreadPoolExecutor(1) as pool:
        watching = pool.submit(list, Run(long()))
        time.sleep(0.3)
        generator.close()
        until(lambda: not Lease.held(first.folder))
        heard = watching.result(20) if first.status.status == "stopped" else None
    assert heard is not None and len(heard) >= 2


def test_exactly_one_gets_a_lease(tmp_path):
    for age in (None, 100):
        if age is not None:
            (tmp_path / "lease").write_text("gone")
            os.utime(tmp_path / "lease", (time.time() - age,) * 2)
        leases = [Lease(tmp_path) for _ in range(8)]
        with ThreadPoolExecutor(8) as pool:
            took = list(pool.map(Lease.take, leases))
        assert sum(took) == 1 and Lease.held(tmp_path)
        owner = leases[took.index(True)]
        assert owner.mine() and sum(lease.mine() for lease in leases) == 1
        for lease in leases:
            lease.release()
        assert not Lease.held(tmp_path) and not (tmp_path / "lease").exists()


def test_a_lease_that_was_renewed_in_between_is_given_back(tmp_path, monkeypatch):
    """Somebody else took the stale lease over just before it was moved aside."""
    path, rename = tmp_path / "lease", os.rename
    path.write_text("gone")
    os.utime(path, (1000, 1000))

    def late(a, b):
        monkeypatch.setattr(os, "rename", rename)
        path.write_text("renewed")
        rename(a, b)

    monkeypatch.setattr(os, "rename", late)
    assert not Lease(tmp_path).take()
    assert path.read_text() == "renewed" and [p.name for p in tmp_path.iterdir()] == ["lease"]


def test_a_lease_beats(tmp_path, hasty):
    lease = Lease(tmp_path)
    assert lease.take()
    time.sleep(0.9)  # well beyond STALE
    assert Lease.held(tmp_path) and not Lease(tmp_path).take()
    lease.release()


def test_a_stale_lease_is_taken_over(hasty):
    recipe = small()
    folder = Run(recipe).folder
    (folder / "lease").write_text("somebody who was killed")
    Status("running", 3, 12).write(folder)
    started = time.monotonic()
    assert len(list(Run(recipe))) == 5 and time.monotonic() - started < 5
    assert Run(recipe).status.status == "done"


def test_who_lost_the_lease_writes_no_more():
    """A laptop slept: somebody else took the run over and may have finished it."""
    recipe = small()
    run = Run(recipe)
    generator = iter(run)
    next(generator)
    (run.folder / "lease").write_text("somebody else")
    before = {p.name: p.read_bytes() for p in run.folder.glob("*.json*")}
    with pytest.raises(Trouble, match="took this run over"):
        list(generator)
    assert {p.name: p.read_bytes() for p in run.folder.glob("*.json*")} == before
    assert (run.folder / "lease").read_text() == "somebody else"


def test_who_lost_the_lease_and_leaves_writes_no_more():
    run = Run(small())
    generator = iter(run)
    next(generator)
    (run.folder / "lease").write_text("somebody else")
    before = {p.name: p.read_bytes() for p in run.folder.glob("*.json*")}
    generator.close()
    assert {p.name: p.read_bytes() for p in run.folder.glob("*.json*")} == before
    assert not (run.folder / "checkpoint.safetensors").exists()


# ---------------------------------------------------------------------------------- damage


def garble(path):
    path.write_bytes(b"\xff\x00garbage{")


def flip(path):
    data = bytearray(path.read_bytes())
    data[-9] ^= 0x10
    path.write_bytes(data)


def halve(path):
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def break_line(path):
    lines = path.read_text().splitlines()
    path.write_text("\n".join([lines[0], lines[1][:30], *lines[2:], ""]))


def replace_with_list(path):
    path.write_text("[1, 2]")


def unlink(path):
    path.unlink()


def lose_a_line(path):
    first, _, *rest = path.read_text().splitlines(keepends=True)
    path.write_text("".join([first, *rest]))


def lose_the_last_line(path):
    *kept, _ = path.read_text().splitlines(keepends=True)
    path.write_text("".join(kept))


def one_word(path):
    path.write_text("garbage")


def another_runs(path):
    """A line that is an event, but of two students."""
    first, *rest = path.read_text().splitlines(keepends=True)
    path.write_text("".join([list(Run([small(seed=8), small(seed=9)]))[0].to_json(), "\n", *rest]))


def add_a_byte(path):
    with open(path, "a") as file:
        file.write(" ")


DONE = [
    ("state.json", garble),
    ("state.json", halve),
    ("state.json", replace_with_list),
    ("state.json", unlink),
    ("events.jsonl", break_line),
    ("events.jsonl", halve),
    ("events.jsonl", garble),
    ("events.jsonl", unlink),
    ("events.jsonl", add_a_byte),
    ("weights.safetensors", flip),
    ("weights.safetensors", halve),
    ("weights.safetensors", unlink),
    ("recipes.json", garble),
    ("recipes.json", unlink),
]
STOPPED = [
    ("state.json", garble),
    ("state.json", unlink),
    ("events.jsonl", break_line),
    ("events.jsonl", garble),
    ("events.jsonl", one_word),
    ("events.jsonl", unlink),
    ("events.jsonl", lose_a_line),
    ("events.jsonl", lose_the_last_line),
    ("events.jsonl", another_runs),
    ("recipes.json", garble),
    ("recipes.json", replace_with_list),
    ("checkpoint.safetensors", halve),
    ("checkpoint.safetensors", garble),
    ("checkpoint.safetensors", flip),
]


def ids(pairs):
    return [f"{name} {how.__name__}" for name, how in pairs]


@pytest.mark.parametrize(("name", "damage"), DONE, ids=ids(DONE))
def test_a_damaged_finished_run_is_set_aside_and_trained_again(home, name, damage):
    whole = list(Run(small()))
    folder = Run(small()).folder
    time.sleep(0.01)
    damage(folder / name)
    with pytest.warns(DamagedRunWarning, match="set aside") as caught:
        run = Run(small())
        assert list(run) == whole
    assert len(caught) == 1 and name in str(caught[0].message)
    (aside,) = (home / "damaged").iterdir()
    assert name in (aside / "why.txt").read_text()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert list(Run(small())) == whole and takes(run.name) == [run.folder]


@pytest.mark.parametrize(("name", "damage"), STOPPED, ids=ids(STOPPED))
@pytest.mark.parametrize("direct", [False, True], ids=["by recipe", "by folder"])
def test_a_damaged_stopped_run_trains_again(home, name, damage, direct):
    whole, weights = reference(small())
    runs.remove(Run(small()).folder)
    for event in Run(small()):
        if event.step == 6:
            break
    folder = Run(small()).folder
    damage(folder / name)
    if direct and name in ("recipes.json", "state.json", "events.jsonl"):
        kept = {path.name: path.read_bytes() for path in folder.iterdir()}
        with pytest.raises(runs.Damaged, match=name):
            list(Run.at(folder))
        assert {path.name: path.read_bytes() for path in folder.iterdir()} == kept
        return
    with pytest.warns(DamagedRunWarning, match="set aside") as caught:
        run = Run.at(folder) if direct else Run(small())
        assert list(run) == whole
    assert name in str(caught[0].message) and list((home / "damaged").iterdir())
    assert_same_weights(run.student().state_dict(), weights[0])


def test_a_half_written_last_line_is_not_damage():
    """Whoever was killed while writing it."""
    whole, _ = reference(small())
    runs.remove(Run(small()).folder)
    for event in Run(small()):
        if event.step == 6:
            break
    folder = Run(small()).folder
    with open(folder / "events.jsonl", "a") as file:
        file.write(whole[3].to_json()[:40])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert Run(small()).events() == whole[:3] and list(Run(small())) == whole


def test_events_beyond_the_checkpoint_are_told_again_not_twice():
    whole, _ = reference(small())
    runs.remove(Run(small()).folder)
    for event in Run(small()):
        if event.step == 6:
            break
    folder = Run(small()).folder
    with open(folder / "events.jsonl", "a") as file:
        file.write(whole[3].to_json() + "\n")
    with open(folder / "opinions.f16", "ab") as file:
        file.write(b"0" * 1200)
    assert list(Run(small())) == whole
    assert len((folder / "opinions.f16").read_bytes()) == 5 * 1200


def test_a_take_that_grows_while_it_is_read_is_not_damaged():
    """Whoever looks, at whatever moment: between the events, and while it is taken up again."""
    recipe = small(steps=600, events=150, batch_size=10)
    ended, found = threading.Event(), []

    def watch(folder):
        while not ended.is_set():
            runs.verify(folder)
            found.append(len(runs.read_events(folder)))

    with ThreadPoolExecutor(1) as pool:
        watching = pool.submit(watch, Run(recipe).folder)
        for stop in (20, 50, 90):
            for event in Run(recipe):
                if event.step > 4 * stop:
                    break
        Run(recipe).drain()
        ended.set()
        watching.result(20)
    assert len(set(found)) > 10


def test_a_take_is_read_once_for_each_change_of_its_files(monkeypatch):
    done, stopped = Run(small()).drain().folder, Run(small(seed=1)).folder
    for _ in Run(small(seed=1)):
        break
    calls = []
    monkeypatch.setattr(
        runs, "checksum", lambda path, sum=runs.checksum: calls.append(path) or sum(path)
    )
    monkeypatch.setattr(
        runs, "read_events", lambda path, read=runs.read_events: calls.append(path) or read(path)
    )
    for _ in range(3):
        runs.verify(done), runs.verify(stopped)
    assert len(calls) == 4
    os.utime(stopped / "events.jsonl"), os.utime(done / "weights.safetensors")
    runs.verify(done), runs.verify(stopped)
    assert len(calls) == 8


def test_a_checkpoint_of_another_shape_is_not_loaded(home):
    for event in Run(small()):
        if event.step == 3:
            break
    runs.save_tensors(Run(small()).folder / "checkpoint.safetensors", {"step": torch.tensor(3)})
    with pytest.warns(DamagedRunWarning):
        assert len(list(Run(small()))) == 5


@pytest.mark.parametrize("text", ['{"accuracy": 0.99}', "[]", "[{}]", "null", '"reports"', "{"])
def test_a_report_that_is_not_what_was_written_is_made_again(text):
    run = Run(small())
    whole = run.reports()
    (path,) = run.folder.glob("report-*.json")
    written = path.read_text()
    edited = json.loads(written)
    edited["reports"][0]["accuracy"] = 0.999
    for damaged in (text, json.dumps(edited), json.dumps(edited["reports"])):
        path.write_text(damaged)
        assert Run(small()).reports() == whole and path.read_text() == written


def test_shipped_reports_are_what_was_written(monkeypatch):
    monkeypatch.setattr("workbench.evaluation.report", None)  # they are not made again
    first, *others = shipped()
    assert Run(first).reports()
    assert all(Run(group).reports(first[0]) for group in others)


def test_listing_runs_survives_damage_and_strangers(home):
    Run(small()).drain()
    Run(small(seed=1)).drain()
    garble(Run(small(seed=1)).folder / "state.json")
    (home / "runs" / "not a run").mkdir()
    (home / "runs" / "0123456789abcdef").mkdir()
    (home / "runs" / "0123456789abcdef" / "x").write_text("")
    (home / "runs" / "stray").write_text("")
    with pytest.warns(DamagedRunWarning):
        found = runs.every_take()
    mine = [take for take in found if take.is_relative_to(home)]
    assert mine == [Run(small()).folder]


@pytest.mark.parametrize("ask", [lambda: runs.every_take(), lambda: Run(small()).drain()])
def test_a_file_in_the_place_of_a_take_is_set_aside(home, ask):
    stray = home / "runs" / Run(small()).name / "1"
    stray.parent.mkdir(parents=True)
    stray.write_text("")
    with pytest.warns(DamagedRunWarning, match="set aside") as caught:
        ask()
    assert len(caught) == 1 and str(stray) in str(caught[0].message)
    assert not stray.is_file() and len(list((home / "damaged").glob("*/1"))) == 1
    assert Run(small()).drain().status.status == "done"


def test_a_name_leaves_no_empty_folder_behind(home):
    for seed in (0, 1):
        Run(small(seed=seed)).drain()
    first, second = (Run(small(seed=seed)).folder for seed in (0, 1))
    other = Run(small(seed=1), fresh=True).drain().folder
    for folder in (first, second):
        garble(folder / "events.jsonl")
    with pytest.warns(DamagedRunWarning, match="set aside"):
        runs.every_take()
    assert list((home / "runs").iterdir()) == [other.parent] and other.exists()
    assert len(list((home / "damaged").glob("*/why.txt"))) == 2


def test_shipped_runs_are_sound():
    assert unsound() == []


# ----------------------------------------------------------------------------- home and disk


def bad_homes(tmp_path):
    (tmp_path / "file").write_text("")
    return [tmp_path / "file", tmp_path / "file" / "below", Path("/proc/nothing/here")]


@pytest.mark.parametrize("which", range(3))
def test_a_home_that_cannot_be_is_one_sentence_with_the_remedy(tmp_path, monkeypatch, which):
    folder = bad_homes(tmp_path)[which]
    if str(folder).startswith("/proc") and not Path("/proc").exists():
        pytest.skip("no /proc on this system")
    monkeypatch.setenv("WORKBENCH_HOME", str(folder))
    for ask in (runs.usable_home, lambda: Run(small()).drain(), lambda: Run(small()).student()):
        with pytest.raises(Trouble, match="set WORKBENCH_HOME to") as caught:
            ask()
        message = str(caught.value)
        assert str(folder) in message and len(message.splitlines()) == 1


@pytest.mark.skipif(sys.platform != "linux", reason="needs XDG_CACHE_HOME")
@pytest.mark.parametrize("cache", [".", "distillation-workbench"], ids=["a file", "below one"])
def test_who_set_no_home_is_not_told_that_it_is_bad(tmp_path, monkeypatch, cache):
    (tmp_path / "distillation-workbench").write_text("")
    cache = tmp_path / cache
    monkeypatch.delenv("WORKBENCH_HOME")
    monkeypatch.setenv("XDG_CACHE_HOME", str(cache))
    with pytest.raises(Trouble, match="set WORKBENCH_HOME to a folder") as caught:
        runs.usable_home()
    assert str(caught.value).startswith(f"{cache / 'distillation-workbench'}: ")


def no_room(*args, **more):
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_a_full_disk_before_the_run(monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(Path, "write_bytes", no_room)
        with pytest.raises(Trouble, match="No space left.*make room"):
            Run(small()).drain()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert len(list(Run(small()))) == 5


def test_a_lease_for_which_there_is_no_room_is_not_held(tmp_path, monkeypatch):
    """Else everybody would wait for a trainer who never was."""

    def full(path, mode):
        Path(path).touch()
        no_room()

    monkeypatch.setattr(runs, "open", full, raising=False)
    with pytest.raises(Trouble, match="No space left.*make room"):
        Lease(tmp_path).take()
    assert not Lease.held(tmp_path) and not list(tmp_path.iterdir())


def test_a_full_disk_during_the_run(monkeypatch):
    run, write = Run(small()), Path.write_bytes
    generator = iter(run)
    next(generator)
    with monkeypatch.context() as patch:
        patch.setattr(Path, "write_bytes", no_room)
        with pytest.raises(Trouble, match="No space left.*make room"):
            list(generator)
    assert Path.write_bytes is write and not Lease.held(run.folder)
    assert len(list(Run(small()))) == 5


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
@pytest.mark.parametrize("name", ["events", "timings"])
def test_a_disk_that_is_full_for_events(monkeypatch, name):
    resume = runs.Recorder.resume

    def full(self, state):
        yield from resume(self, state)
        getattr(self, name).close()
        setattr(self, name, open("/dev/full", "a"))

    with monkeypatch.context() as patch:
        patch.setattr(runs.Recorder, "resume", full)
        run = Run(small())
        with pytest.raises(Trouble, match="No space left.*make room") as caught:
            run.drain()
        assert len(str(caught.value).splitlines()) == 1
    assert run.status.status == "stopped" and "No space left" in run.status.reason
    assert not Lease.held(run.folder) and len(list(Run(small()))) == 5


def test_the_oldest_takes_go_first(monkeypatch):
    folders = []
    for seed in range(4):
        folders.append(Run(small(seed=seed)).drain().folder)
        os.utime(folders[-1], (1000 + seed, 1000 + seed))
    sizes = [sum(f.stat().st_size for f in folder.iterdir()) for folder in folders]
    lease = Lease(folders[0])
    assert lease.take()
    os.utime(folders[0], (1000, 1000))
    prune((sum(sizes[1:]) + 500) / 1e6)  # one of three must go, but the oldest is being trained
    assert [folder.exists() for folder in folders] == [True, False, True, True]
    lease.release()
    os.utime(folders[0], (1000, 1000))
    prune(sizes[3] * 1.5 / 1e6)
    assert [folder.exists() for folder in folders] == [False, False, False, True]
    prune()
    assert folders[3].exists()
    for text in ("0", "-1", "many", "nan", "inf", "-inf", "1e999", ""):
        monkeypatch.setenv("WORKBENCH_CAP_MB", text)
        with pytest.raises(BadInput, match=f"WORKBENCH_CAP_MB={text}: expected a positive"):
            prune()


def test_what_is_trained_or_shipped_cannot_be_removed(home):
    run = Run(small(steps=50))
    generator = iter(run)
    next(generator)
    with pytest.raises(BadInput, match="is being trained; stop it first"):
        remove(run.folder)
    generator.close()
    remove(run.folder)
    assert not run.folder.exists() and not run.folder.parent.exists()
    shipped = next(runs.SHIPPED.glob("*/1"))
    with pytest.raises(BadInput, match="is shipped"):
        remove(shipped)
    assert shipped.exists()


def test_what_cannot_be_deleted_is_said_and_does_not_hinder_pruning(home, monkeypatch, capsys):
    locked, free = (Run(small(seed=seed)).drain().folder for seed in (0, 1))
    os.utime(locked, (1000, 1000))  # the oldest: pruning meets it first
    rmtree = shutil.rmtree

    def refuse(folder, *args, **more):
        if folder == locked:
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(folder))
        rmtree(folder, *args, **more)

    monkeypatch.setattr(shutil, "rmtree", refuse)
    assert main(["runs", "rm", f"{locked.parent.name}/1"]) == 1
    out, err = capsys.readouterr()
    assert out == "" and err.count("\n") == 1
    assert err.startswith(f"{locked}: cannot be removed (Permission denied); close what")
    prune(1e-6)
    assert locked.exists() and not free.exists()


def test_the_home_is_the_environments_or_the_users_cache(monkeypatch, tmp_path):
    monkeypatch.setenv("WORKBENCH_HOME", str(tmp_path / "here"))
    assert runs.home() == tmp_path / "here"
    monkeypatch.delenv("WORKBENCH_HOME")
    assert runs.home().name == "distillation-workbench" and runs.home().is_absolute()


def test_takes_are_numbered_whoever_makes_them_at_once():
    with ThreadPoolExecutor(6) as pool:
        made = list(pool.map(lambda _: runs.new_take([small()]), range(6)))
    assert sorted(int(p.name) for p in made) == [1, 2, 3, 4, 5, 6]
    assert runs.new_take([small()]).name == "7" and takes(Run(small()).name)[-1].name == "7"


def test_files_are_written_whole_or_not_at_all(tmp_path, monkeypatch):
    path = tmp_path / "a.json"
    runs.write(path, "old")
    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", no_room)
        with pytest.raises(Trouble):
            runs.write(path, "new")
    assert path.read_text() == "old" and [p.name for p in tmp_path.iterdir()] == ["a.json"]


def test_windows_may_refuse_for_a_moment(tmp_path, monkeypatch):
    calls, replace = [], os.replace

    def busy(a, b):
        calls.append(a)
        if len(calls) < 4:
            raise PermissionError(errno.EACCES, "in use")
        replace(a, b)

    monkeypatch.setattr(os, "replace", busy)
    runs.write(tmp_path / "a.json", "new")
    assert (tmp_path / "a.json").read_text() == "new" and len(calls) == 4


# --------------------------------------------------------------------------------- teachers


def forwards(monkeypatch):
    """The batch sizes of all forward passes by single networks (teachers are such)."""
    seen, call = [], nn.Module.__call__

    def counted(self, *args, **more):
        if isinstance(self, Network) and not self.lead:
            assert not self.training
            seen.append(len(args[0]))
        return call(self, *args, **more)

    monkeypatch.setattr(nn.Module, "__call__", counted)
    return seen


def test_a_teacher_is_trained_and_asked_once(monkeypatch):
    teacher = small(seed=7)
    recipes = [small(method=KD(), teachers=(teacher,), seed=s, batch_size=16) for s in range(2)]
    seen = forwards(monkeypatch)
    state = prepare(recipes)
    assert seen == [engine.ROWS]  # a part of the images that holds all that are shown, once
    list(train(state))
    other = prepare([small(method=KD(temperature=1), teachers=(teacher,))])
    list(train(other))
    assert seen == [engine.ROWS] and Run(teacher).status.status == "done"


def test_assistants_ensembles_and_generations_need_no_code():
    first = small(student="mlp-32", seed=7)
    assistant = small(method=KD(), teachers=(first,), student="mlp-32", seed=8)
    pupil = small(method=KD(), teachers=(assistant, first), start=small(seed=3), seed=9)
    events = list(Run(pupil))
    for recipe in (first, assistant, small(seed=3)):
        assert Run(recipe).status.status == "done"
    assert events[0].accuracy == Run(small(seed=3)).events()[-1].accuracy
    assert list(Run(pupil, fresh=True)) == events


def test_features_are_asked_where_a_method_needs_them(monkeypatch):
    teacher = small(student="mlp-32", seed=7)
    with known(monkeypatch, Hint):
        state = prepare([small(method=Hint(), teachers=(teacher,))])
        assert set(state.stacks[0].parts[0].said.features) == {"hidden1"}
        assert len(list(Run(small(method=Hint(), teachers=(teacher,))))) == 5


def test_a_run_can_be_stopped_while_its_teacher_is_made():
    teacher = long(seed=7)
    run = Run(small(method=KD(), teachers=(teacher,)))
    timer = threading.Timer(0.5, run.halt)
    timer.start()
    assert list(run) == [] and run.status.status == "stopped"
    assert Run(teacher).status.status == "stopped"
    timer.join()


def test_a_halt_is_for_one_training_also_before_it_begins():
    run = Run(small())
    run.halt()
    assert len(list(run)) == 1
    assert run.status.status == "stopped" and len(list(run)) == 5


@pytest.mark.parametrize(
    "given", ["/tmp/run", Path("/tmp/run"), ["kd"], 42, None, Recipe, {1: 2}, [small(), None]]
)
def test_a_run_is_made_of_recipes(given):
    with pytest.raises(BadInput, match=r"Run\(recipes=.*Run\.at\(folder\) opens a folder"):
        Run(given)
