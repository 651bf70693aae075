"""What a lesson's cell shows: each in three forms, driven as a learner drives it."""

from __future__ import annotations

import asyncio
import threading
import time

import pytest

from workbench import DATA, METHODS, RECIPES, Run, charts
from workbench.base import BadInput
from workbench.events import Event
from workbench.notebook import (
    Guess,
    GuessFirst,
    LiveRun,
    Page,
    Passes,
    Picture,
    Slider,
    SweepRun,
    Twin,
    series,
    style,
)
from workbench.sweep import plan

WIDGET = "application/vnd.jupyter.widget-view+json"


def bars(value):
    return charts.answer([0.1] * 10, width=400, finding=[f"T = {value:.1f}"])


def curve(events):
    return charts.curves(series(events, [("kd", "Student", [0])]), width=500, last_step=100)


def made(steps=100, pause=0.0, fails=None):
    """Events as a training makes them."""
    for step in range(0, steps + 1, 5):
        if step == fails:
            raise ValueError("the loss became infinite")
        time.sleep(pause)
        yield Event(step, steps, {}, {"test": (step / steps,)})


@pytest.fixture(autouse=True)
def plain(monkeypatch):
    monkeypatch.delenv("WORKBENCH_FAST", raising=False)
    monkeypatch.delenv("WORKBENCH_PACE", raising=False)


def settled(run, seconds=5):
    until = time.monotonic() + seconds
    while not run._done.is_set() and time.monotonic() < until:
        time.sleep(0.01)
    assert run._done.is_set()


def test_a_picture_has_three_forms():
    data, more = Picture(bars(8))._repr_mimebundle_()
    assert data["image/png"].startswith(b"\x89PNG") and "T = 8.0" in data["text/plain"]
    assert "<svg" in data["text/html"] and more["image/png"]["alt"] == data["text/plain"]
    assert repr(Page("<p>a<b>b</b></p>")) == "a b"


def test_the_style_stays_inside_a_lesson():
    text = style()
    assert text.startswith("<style>.wb{") and ":root" not in text and "body:" not in text
    assert "data-jp-theme-light" in text and text.count("{") == text.count("}")


@pytest.mark.parametrize("more", [{}, {"log": True}, {"whole": True}])
def test_a_slider_redraws_and_keeps_a_still(more):
    slider = Slider(bars, "T", 1, 20, start=4, **more)
    assert "T = 4.0" in slider.chart.value
    begun = time.perf_counter()
    slider.value = 8
    assert time.perf_counter() - begun < 0.05
    assert "T = 8.0" in slider.chart.value
    data, _ = slider._repr_mimebundle_()
    assert {WIDGET, "image/png", "text/plain"} == set(data) and "T = 8.0" in data["text/plain"]


@pytest.mark.parametrize(("low", "high", "more"), [(2, 1, {}), (0, 1, {"log": True})])
def test_a_slider_without_a_range_is_refused(low, high, more):
    with pytest.raises(BadInput, match="low < high"):
        Slider(bars, "T", low, high, **more)


def test_a_guess_stands_beside_the_truth():
    guess = Guess("How many?", 0, 100, unit="%")
    reveal = guess.reveal(82.0, "Labels only", role="labels")
    assert "still open" in reveal.chart.value and "82" not in reveal.chart.value
    guess.slider.value = 70
    assert "Guess: 70" in guess.chart.value and guess.value is None
    guess.say.click()
    assert guess.value == 70 and guess.share == 0.7 and guess.slider.disabled
    for words in ("You said 70", "Labels only 82.0", "Why the gap?"):
        assert words in reveal.chart.value.replace("\u202f%", "")
    later = guess.reveal(71.0)
    assert "You said 70" in later.chart.value and "Why the gap?" not in later.chart.value


def test_a_guess_may_be_skipped():
    guess = Guess("How many?", 0, 100)
    reveal = guess.reveal(82.0)
    guess.skip.click()
    assert guess.value is None and guess.share is None
    assert "It is 82.0" in reveal.chart.value and "You said" not in reveal.chart.value


def test_what_comes_after_a_guess_waits_for_it():
    guess, begun = Guess("How many?", 0, 100), []
    slider = Slider(bars, "T", 1, 20, after=guess)
    reveal = guess.reveal(82.0, also=bars(8))

    def source():
        begun.append(True)
        yield from made()

    run = LiveRun(source(), curve, name="a", seconds=0, after=guess)
    time.sleep(0.2)
    assert not begun and "still open" in run.status.value
    with pytest.raises(GuessFirst, match="still open") as stopped:
        asyncio.run(_await(run))
    assert stopped.value._render_traceback_() == [str(stopped.value)]
    assert len(slider.box.children) == 2
    assert "still open" in slider.box.children[1].value and "T = 8.0" not in reveal.chart.value
    guess.say.click()
    assert len(asyncio.run(_await(run))) == 21 and begun
    assert len(slider.box.children) == 3 and "T = 8.0" in reveal.chart.value
    data, _ = reveal._repr_mimebundle_()
    assert "82.0" in data["text/plain"] and "T = 8.0" in data["text/plain"]
    assert LiveRun(made(), curve, name="a", seconds=0, after=Guess("?", 0, 1)).wait(), "no wait"


def test_stop_before_the_guess_keeps_the_first_event():
    run = LiveRun(made(), curve, name="a", seconds=30, after=Guess("?", 0, 1))
    run.button.click()
    settled(run)
    assert len(run.wait()) == 1 and "Stopped at step 0" in run.status.value


def test_a_live_run_draws_and_ends():
    run = LiveRun(made(), curve, name="a", seconds=0.2)
    events = asyncio.run(_await(run))
    assert len(events) == 21 and "Finished" in run.status.value
    assert "100.0" in run.chart.value and run.button.disabled
    assert run.progress.value == run.progress.max == 100


async def _await(run):
    return await run


def test_stop_stops_and_keeps():
    run = LiveRun(made(), curve, name="a", seconds=30)
    while len(run.events) < 2:
        time.sleep(0.01)
    begun = time.monotonic()
    run.button.click()
    events = run.wait()
    assert time.monotonic() - begun < 0.5 and 2 <= len(events) < 21
    assert "Stopped at step" in run.status.value and "kept" in run.status.value


def test_stopping_a_real_run_leaves_it_resumable(home):
    source = Run(RECIPES["first-act"].recipes, fresh=True)
    run = LiveRun(source, curve, name="a", seconds=30)
    while len(run.events) < 2:
        time.sleep(0.01)
    run.stop()
    settled(run)
    assert source.status.status == "stopped"
    run = LiveRun(Run.at(source.folder), curve, name="a", seconds=0)
    assert run.wait()[-1].step == 300 and source.status.status == "done"


def test_the_same_name_ends_the_older_run():
    first = LiveRun(made(), curve, name="a", seconds=30)
    second = LiveRun(made(), curve, name="a", seconds=0)
    second.wait()
    settled(first)
    assert first.events[-1].step < 100 and second.events[-1].step == 100


def test_a_broken_run_says_so_and_raises_where_it_is_awaited():
    run = LiveRun(made(fails=50), curve, name="a", seconds=0)
    with pytest.raises(ValueError, match="infinite"):
        run.wait()
    assert "It broke: the loss became infinite" in run.status.value


def test_fast_changes_when_but_not_what(monkeypatch):
    slow = LiveRun(made(), curve, name="a", seconds=0.3)
    slow.wait()
    monkeypatch.setenv("WORKBENCH_FAST", "1")
    fast = LiveRun(made(), curve, name="a", seconds=60)
    assert fast._done.is_set(), "it is over when its cell is"
    assert fast.events == slow.events and fast.svg == slow.svg
    assert fast.status.value == slow.status.value


def test_callbacks_work_from_another_thread():
    slider = Slider(bars, "T", 1, 20)
    worker = threading.Thread(target=lambda: setattr(slider, "value", 9))
    worker.start()
    worker.join()
    assert "T = 9.0" in slider.chart.value


# ------------------------------------------------------------------------------ two knobs


def test_two_sliders_are_one_number():
    twin = Twin(bars, "ours", "theirs", lambda a: 1 - a, 0, 1, start=0.9)
    assert twin.twin.value == pytest.approx(0.1) and "T = 0.9" in twin.chart.value
    twin.value = 0.3
    assert twin.twin.value == pytest.approx(0.7) and "T = 0.3" in twin.chart.value
    twin.twin.value = 0.2
    assert twin.value == pytest.approx(0.8) and "T = 0.8" in twin.chart.value


def planned(most=None):
    data = DATA["digits"](images=10)
    values = {"temperature": (1, 8), "alpha": (0, 0.5)}
    how = {"data": data, "student": "mlp-4", "seeds": 2, "steps": 4, "events": 2}
    return plan(METHODS["kd"], values, most=most, **how)


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("WORKBENCH_HOME", str(tmp_path))


@pytest.mark.parametrize("most", [None, 4])
def test_passes_are_one_stream(home, most):
    events = list(Passes(planned(most)))
    passes = 1 if most is None else 2
    assert [e.step for e in events][-1] == events[-1].steps == 4 * passes
    steps = [e.step for e in events]
    assert steps == sorted(steps) and all(len(e.accuracy["test"]) == 8 for e in events)
    early = [e for e in events if e.step < 4]
    assert all((e.accuracy["test"][4:] == (None,) * 4) == (passes == 2) for e in early)
    ends = [Run(group).events()[-1].accuracy["test"] for group in planned(most).passes]
    assert events[-1].accuracy["test"] == tuple(v for row in ends for v in row)


def test_a_sweep_fills_its_map_and_a_cell_can_be_chosen(home):
    guess = Guess("?", 0, 1)
    run = SweepRun(
        planned(4), "alpha", "temperature", name="map", span=(0.0, 1.0), picked=(1, 0), after=guess
    )
    assert "4 settings, 2 students each: about" in run.plan.value
    run.pace = 0
    guess.skip.click()
    run.wait()
    assert "alpha = 0.5" in run.chart.value and "temperature = 1" in run.chart.value
    assert [one.tooltip for one in run.buttons][:2] == [
        "temperature 1, alpha 0", "temperature 8, alpha 0",
    ]  # fmt: skip
    run.buttons[3].click()
    assert "temperature = 8: right" in run.chart.value
    run.buttons[1].click()
    assert "alpha = 0.5" not in run.chart.value and "temperature = 8: right" in run.chart.value
    data, _ = run._repr_mimebundle_()
    assert {WIDGET, "image/png", "text/plain"} == set(data) and "alpha" in data["text/plain"]


def test_a_stopped_sweep_keeps_what_there_is(home):
    run = SweepRun(planned(4), "alpha", "temperature", name="map", span=(0, 1))
    run.stop()
    settled(run, 30)
    assert run.events and run.events[-1].step < 8 and "Stopped" in run.status.value
