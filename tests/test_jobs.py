"""Trainings as jobs: who may ask for what, and worker processes from end to end."""

import errno
import io
import json
import os
import queue
import signal
import threading
import time
from pathlib import Path

import pytest
from lab import digits

from workbench import Recipe, Run, jobs, runs
from workbench.base import BadInput, Trouble
from workbench.jobs import (
    Busy,
    Job,
    Pool,
    command,
    follow,
    followers,
    leave,
    read_command,
    sole,
    work,
)
from workbench.runs import Lease, Status, new_take

ANNA, BEN = "anna-0123456789", "ben-0123456789"


def small(**more):
    return Recipe(**{"data": digits(), "steps": 12, "events": 4, **more})


def long(**more):
    return small(**{"steps": 100_000, "events": 199, "batch_size": 10, **more})


def until(true, seconds=30):
    end = time.monotonic() + seconds
    while not (found := true()):
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.01)
    return found


def age(folder, token, seconds):
    """Make a follower look away `seconds` ago: a fake clock by file times."""
    then = time.time() - seconds
    os.utime(folder / "followers" / token, (then, then))


@pytest.fixture
def folder():
    return new_take([small()])


# -------------------------------------------------------------------- followers and commands


def test_followers_are_those_who_looked_lately(folder):
    assert followers(folder) == []
    follow(folder, ANNA)
    assert sole(folder, ANNA) and not sole(folder, BEN)
    follow(folder, BEN)
    assert followers(folder) == [ANNA, BEN] and not sole(folder, ANNA)
    age(folder, BEN, jobs.PRESENT + 1)
    assert followers(folder) == [ANNA] and sole(folder, ANNA)
    assert followers(folder, within=60) == [ANNA, BEN]
    leave(folder, ANNA)
    leave(folder, ANNA)
    assert followers(folder) == [] and sole(folder, ANNA)


def test_nobody_follows_a_run_that_was_removed(tmp_path):
    follow(tmp_path / "gone", ANNA)
    assert followers(tmp_path / "gone") == [] and not (tmp_path / "gone").exists()


@pytest.mark.parametrize(
    "token",
    ["", "short", "../../../etc/passwd", "a" * 65, "with space 123", "new\nline12", "ä" * 9],
)
def test_a_token_is_no_path(folder, token):
    follow(folder, ANNA)
    for ask in (follow, leave, sole, lambda f, t: command(f, t, "stop")):
        with pytest.raises(BadInput, match="8 to 64 letters and digits"):
            ask(folder, token)


def test_a_command_counts_while_its_sender_is_alone(folder):
    assert command(folder, ANNA, "pause")
    assert read_command(folder) == {"by": ANNA, "do": "pause", "count": 1}
    follow(folder, BEN)
    assert not command(folder, ANNA, "stop") and read_command(folder)["do"] == "pause"
    leave(folder, BEN)
    assert command(folder, ANNA, "go") and read_command(folder)["count"] == 2
    with pytest.raises(
        BadInput, match="'explode' is not known: expected pause, go, hurry, step or stop"
    ):
        command(folder, ANNA, "explode")


@pytest.mark.parametrize("text", ["", "{", "[]", "null", "5"])
def test_a_garbled_command_is_none(folder, text):
    (folder / "command.json").write_text(text)
    assert read_command(folder) == {}
    follow(folder, ANNA)
    assert Job(Run.at(folder), 0).asked() == "go"


# ---------------------------------------------------------------------------------- one job


def test_a_sole_follower_pauses_steps_and_goes_on(folder):
    job = Job(Run.at(folder), 0)
    follow(folder, ANNA)
    assert job.asked() == "go" and job.turn() and len(job.run.events()) == 1
    command(folder, ANNA, "pause")
    assert job.asked() == "pause" and not job.turn() and len(job.run.events()) == 1
    for seen in (2, 3):
        command(folder, ANNA, "step")
        assert job.asked() == "step" and job.turn()
        assert len(job.run.events()) == seen
        assert job.asked() == "pause" and not job.turn()  # one step a command
    command(folder, ANNA, "go")
    while not job.over:
        assert job.asked() == "go"
        job.turn()
    assert job.run.status.status == "done" and len(job.run.events()) == 5


def test_a_sole_follower_stops(folder):
    job = Job(Run.at(folder), 0)
    follow(folder, ANNA)
    job.turn()
    command(folder, ANNA, "stop")
    assert job.asked() == "stop" and job.turn()
    until(lambda: job.over or not job.turn(), 5)
    assert job.over and job.run.status.status == "stopped" and not Lease.held(folder)


def test_hurry_leaves_the_pace_and_go_takes_it_up_at_once(folder):
    job = Job(Run.at(folder), 60.0)  # four events, 15 s apart
    follow(folder, ANNA)
    while job.turn():
        assert not job.over
    command(folder, ANNA, "hurry")
    assert job.asked() == "hurry" and job.turn()
    command(folder, ANNA, "go")
    assert not job.turn() and not job.over and job.due - time.monotonic() <= 15


def test_a_resumed_training_still_hurries(folder):
    job = Job(Run.at(folder), 0)
    follow(folder, ANNA)
    job.turn()
    command(folder, ANNA, "stop")
    while not job.over:
        job.turn()
    command(folder, ANNA, "hurry")
    again = Job(Run.at(folder), 60.0)
    while not again.over:
        assert again.asked() == "hurry" and again.turn()
    assert again.run.events() == list(Run(small(), fresh=True))


@pytest.mark.parametrize("do", ["pause", "hurry", "step", "stop"])
def test_what_one_of_two_followers_asked_is_ignored(folder, do):
    job = Job(Run.at(folder), 0)
    job.turn()
    command(folder, ANNA, do)
    assert job.asked() == do
    follow(folder, BEN)
    assert job.asked() == "go"
    leave(folder, ANNA)
    assert job.asked() == "go"  # Ben is alone now, but it was Anna who asked
    leave(folder, BEN)


def test_a_pause_holds_while_nobody_looks(folder):
    job = Job(Run.at(folder), 0)
    job.turn()
    command(folder, ANNA, "pause")
    leave(folder, ANNA)
    assert job.asked() == "pause"


def test_a_deserted_training_stops_and_can_resume(folder):
    job = Job(Run.at(folder), 0)
    follow(folder, ANNA)
    job.turn(), job.turn()
    age(folder, ANNA, jobs.PRESENT + 1)
    assert job.asked() == "go"  # not yet
    job.deserted -= jobs.ALONE - 1
    assert job.asked() == "go"
    follow(folder, ANNA)
    assert job.asked() == "go"  # somebody came back: the clock starts again
    leave(folder, ANNA)
    job.deserted -= jobs.ALONE - 1
    assert job.asked() == "go"
    job.deserted -= 2
    assert job.asked() == "stop"
    while not job.over:
        job.turn()
    assert job.run.status.status == "stopped"
    again = Job(Run.at(folder), 0)
    while not again.over:
        again.turn()
    assert again.run.events() == list(Run(small(), fresh=True))


def test_what_was_asked_of_an_earlier_training_is_not_for_this_one(folder):
    job = Job(Run.at(folder), 0)
    follow(folder, ANNA)
    job.turn()
    command(folder, ANNA, "stop")
    while not job.over:
        job.turn()
    again = Job(Run.at(folder), 0)
    assert again.asked() == "go"
    while not again.over:
        again.turn()
    assert again.run.status.status == "done"


@pytest.mark.parametrize("events", [20, 60])
def test_a_paced_run_takes_its_time(events):
    job = Job(Run.at(new_take([small(steps=20, events=events)])), 1.0)
    started, turns = time.monotonic(), []
    while not job.over:
        turns.append(job.turn())
        time.sleep(0.002)
    assert 0.85 < time.monotonic() - started < 5 and turns.count(False) > 20


@pytest.mark.parametrize(("text", "seconds"), [("0", 0), ("1.5", 1.5), ("-3", 0), ("999", 60)])
def test_the_pace_is_a_setting(monkeypatch, text, seconds):
    monkeypatch.setenv("WORKBENCH_PACE", text)
    assert jobs.pace() == seconds
    monkeypatch.delenv("WORKBENCH_PACE")
    assert jobs.pace() == jobs.PACE


def test_a_pace_that_is_no_number_is_trouble(monkeypatch):
    monkeypatch.setenv("WORKBENCH_PACE", "slow")
    with pytest.raises(Trouble, match="WORKBENCH_PACE=slow: expected a number of seconds"):
        jobs.pace()


# ---------------------------------------------------------------------------------- a worker


class Lines:
    """Requests that can still be written while they are read."""

    def __init__(self):
        self.waiting = queue.Queue()

    def ask(self, folder, pace=0.0):
        self.waiting.put(json.dumps({"folder": str(folder), "pace": pace}) + "\n")

    def __iter__(self):
        return iter(self.waiting.get, None)


def worker():
    requests, answers = Lines(), io.StringIO()
    thread = threading.Thread(target=work, args=(requests, answers))
    thread.start()

    def said():
        return [json.loads(line) for line in answers.getvalue().splitlines()]

    def end():
        requests.waiting.put(None)
        thread.join(20)
        assert not thread.is_alive()

    return requests, said, end


def test_a_worker_says_ready_and_over():
    requests, said, end = worker()
    folders = [new_take([small(seed=s)]) for s in range(3)]
    for folder in folders:
        requests.ask(folder)
    until(lambda: len(said()) == 4)
    end()
    assert said()[0] == {"ready": os.getpid()}
    assert {answer["over"] for answer in said()[1:]} == set(map(str, folders))
    assert all(Status.read(folder).status == "done" for folder in folders)


def test_a_worker_survives_runs_that_cannot_begin(home):
    requests, said, end = worker()
    broken, gone, fine = (new_take([small(seed=s)]) for s in range(3))
    garbled = new_take([small(seed=3)])
    (broken / "recipes.json").write_text("{")
    (garbled / "state.json").write_text("{")
    for folder in (broken, home / "runs" / gone.parent.name / "9", garbled, fine):
        requests.ask(folder)
    until(lambda: {"over": str(fine), "why": ""} in said())
    end()
    assert len(said()) == 5 and Status.read(fine).status == "done"
    why = {answer["over"]: answer["why"] for answer in said()[1:]}
    assert "recipes.json" in why[str(broken)] and "state.json" in why[str(garbled)]


def test_a_worker_says_why_where_the_disk_has_no_room_for_it(home, monkeypatch, capsys):
    """Full from the second event on: neither that event nor a status can be written."""
    record, full = runs.Recorder.record, []

    def until_full(self, event, state):
        if event.step:
            full.append(True)
        record(self, event, state)

    def no_room(self, data, write=Path.write_bytes):
        if full:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return write(self, data)

    requests, said, end = worker()
    folder = new_take([small()])
    with monkeypatch.context() as patch:
        patch.setattr(runs.Recorder, "record", until_full)
        patch.setattr(Path, "write_bytes", no_room)
        requests.ask(folder)
        until(lambda: len(said()) == 2)
        end()
    why = said()[1]["why"]
    assert why.startswith(f"WORKBENCH_HOME={home}: runs cannot be kept there (No space left on")
    assert "make room on its disk, or set WORKBENCH_HOME to" in why and str(folder) not in why
    assert capsys.readouterr().err == why + "\n"
    assert Status.read(folder).status == "running" and not Lease.held(folder)
    assert len(Run.at(folder).events()) == 2
    assert len(list(Run.at(folder))) == 5


def test_a_worker_that_ends_keeps_what_there_is():
    requests, said, end = worker()
    folder = new_take([long()])
    requests.ask(folder)
    until(lambda: len(Run.at(folder).events()) > 2)
    end()
    assert Status.read(folder).status == "stopped" and not Lease.held(folder)
    assert (folder / "checkpoint.safetensors").exists()


# ------------------------------------------------------------------------------------- pools


@pytest.fixture(scope="module")
def pool():
    made = Pool(1)
    made.start()
    until(lambda: made.ready == 1, 60)
    yield made
    made.close()


def ended(folder, seconds=30):
    def over():
        follow(folder, ANNA)
        return Status.read(folder).status in ("done", "stopped", "failed")

    until(over, seconds)
    return Status.read(folder).status


def idle(pool):
    until(lambda: not pool.queue and not any(pool.doing))


def test_a_pool_trains_what_is_submitted(pool):
    folder = pool.submit([small(), small(seed=1)], ANNA, 0)
    assert ANNA in followers(folder) and ended(folder) == "done"
    events = Run.at(folder).events()
    assert events == list(Run([small(), small(seed=1)], fresh=True))
    idle(pool)


def test_submitting_again_trains_again_or_joins(pool):
    first = pool.submit([long()], ANNA, 0)
    until(lambda: Lease.held(first) and len(Run.at(first).events()) > 1)
    assert pool.submit([long()], BEN, 0) == first and followers(first) == [ANNA, BEN]
    assert not command(first, BEN, "stop")
    leave(first, BEN)
    assert command(first, ANNA, "stop") and ended(first) == "stopped"
    idle(pool)
    second = pool.submit([small()], ANNA, 0)
    assert ended(second) == "done"
    idle(pool)
    third = pool.submit([small()], ANNA, 0)
    assert third != second and ended(third) == "done"
    idle(pool)


def test_stop_ends_a_training_within_a_second(pool):
    """Even one that reports rarely: 50 000 steps between two events."""
    waits = []
    for seed in range(3):
        folder = pool.submit([long(events=2, seed=seed)], ANNA, 0)
        until(lambda folder=folder: Run.at(folder).events())
        time.sleep(0.2)
        started = time.monotonic()
        assert command(folder, ANNA, "stop") and ended(folder) == "stopped"
        waits.append(time.monotonic() - started)
        assert 0 < Status.read(folder).step < 50_000
        if waits[-1] < 1:
            break
    assert min(waits) < 1, waits
    idle(pool)


def test_a_stopped_training_resumes_in_the_pool(pool):
    recipe = small(steps=3000, events=60, batch_size=10)
    folder = pool.submit([recipe], ANNA, 3.0)
    until(lambda: (follow(folder, ANNA), len(Run.at(folder).events()))[1] > 4)
    assert command(folder, ANNA, "stop") and ended(folder) == "stopped"
    kept = Run.at(folder).events()
    assert 4 < len(kept) < 61
    idle(pool)
    assert pool.resume(folder, ANNA, 0) == folder
    until(lambda: Status.read(folder).status == "done")
    assert Run.at(folder).events() == list(Run(recipe, fresh=True))
    idle(pool)


def test_places_in_the_queue(pool, monkeypatch):
    monkeypatch.setattr(jobs, "WAITING", 3)
    folders = [pool.submit([long(seed=s)], ANNA, 60.0) for s in range(5)]
    busy = folders[: jobs.TURNS]
    waiting = folders[jobs.TURNS :]
    assert [pool.ahead(f) for f in busy] == [None] * jobs.TURNS
    assert [pool.ahead(f) for f in waiting] == [0, 1, 2]
    with pytest.raises(Busy, match="3 trainings wait already; try again"):
        pool.submit([long(seed=99)], ANNA)
    assert pool.resume(waiting[1], BEN) == waiting[1] and pool.ahead(waiting[1]) == 1
    assert pool.withdraw(waiting[0]) and not pool.withdraw(waiting[0])
    assert not pool.withdraw(busy[0]) and pool.ahead(waiting[2]) == 1
    until(lambda: all(Lease.held(f) for f in busy))
    for folder in waiting[1:]:
        assert pool.withdraw(folder)
    for folder in busy:
        assert command(folder, ANNA, "stop")
        assert ended(folder) == "stopped"
    assert all(Status.read(f).status == "queued" for f in waiting)
    idle(pool)


def test_a_run_goes_on_when_its_worker_is_killed(pool):
    recipe = small(steps=3000, events=60, batch_size=10)
    folder = pool.submit([recipe], ANNA, 6.0)
    until(lambda: (follow(folder, ANNA), len(Run.at(folder).events()))[1] > 15)
    worker = pool.workers[0]
    os.kill(worker.pid, signal.SIGKILL)  # a process of our own
    until(lambda: pool.workers[0] is not worker)
    assert ended(folder, 60) == "done"
    assert Run.at(folder).events() == list(Run(recipe, fresh=True))
    idle(pool)


def test_a_closed_pool_keeps_what_there_is():
    made = Pool(1)
    made.start()
    until(lambda: made.ready == 1, 60)
    folder = made.submit([long()], ANNA, 0)
    until(lambda: len(Run.at(folder).events()) > 1)
    made.close()
    assert all(worker.poll() is not None for worker in made.workers)
    assert Status.read(folder).status == "stopped" and not Lease.held(folder)


def test_a_run_whose_process_dies_each_time_has_failed(pool, folder):
    """Its worker is killed whenever it begins: after two new starts it is given up."""
    made = Pool(0)
    made.size = 0
    made.restarts[folder] = 2

    class Dead:
        stdin = None
        stdout = iter(())

    made.workers, made.doing, made.ready = [Dead()], [[folder]], 1
    made._spawn = lambda i: None
    made._listen(0, made.workers[0])
    found = Status.read(folder)
    assert found.status == "failed" and "memory" in found.reason and made.queue == []
