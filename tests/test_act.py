"""The first act from inside: what it claims about its images, where one stands, bad input."""

from __future__ import annotations

import math
import time
from types import SimpleNamespace

import pytest

from workbench import charts, jobs, runs, words
from workbench.base import BadInput
from workbench.evaluation import Verdict
from workbench.jobs import Busy
from workbench.recipe import digest
from workbench.recipes import RECIPES
from workbench.ui import _act, _desk, _form, _stage, _tabs, _visitor
from workbench.ui._act import Act, Showing
from workbench.ui._take import softmax


class Pool:
    """A pool that trains nothing and remembers what it was asked."""

    def __init__(self, full=False):
        self.asked, self.full, self.left, self.why = [], full, [], {}

    def submit(self, recipes, token, seconds=None):
        if self.full:
            raise Busy("8 trainings wait already; try again in a minute")
        self.asked.append(recipes)
        return runs.Run(recipes, fresh=True).folder

    def ahead(self, folder):
        return 0 if folder not in self.left else None

    def withdraw(self, folder):
        self.left.append(folder)
        return True


@pytest.fixture
def pool(monkeypatch):
    made = Pool()
    monkeypatch.setattr(_desk, "pool", lambda: made)
    monkeypatch.setattr(_desk, "trains", lambda folder: False)
    return made


@pytest.fixture
def token(pool):
    return _visitor.new_token()


def now(token):
    return _act.read(_visitor.visitor(token))


# ------------------------------------------------------------------------- what it claims


def test_the_images_look_certain_and_are_not():
    """Right and 98 % sure at T = 1; at T = 8 three others stand out, to all of the images."""
    for one in _act.examples():
        cold, warm = softmax(one.logits, 1), softmax(one.logits, 8)
        assert max(cold) > 0.98 and cold.index(max(cold)) == one.label
        others = sorted((p for k, p in enumerate(warm) if k != one.label), reverse=True)
        assert others[2] > 0.06 and others[2] > 1.5 * others[3]
    assert len(_act.examples()) == len(_act.EXAMPLES)


def test_the_teacher_is_sure_of_the_students_images():
    assert 0.99 < _act.sure() < 1


@pytest.mark.parametrize("stage", _act.RECIPE)
def test_the_recording_is_what_the_recipe_trains(stage):
    events, group = _act.recorded(stage), _act.recipes(stage)
    assert len(events) == group[0].events + 1 and events[-1].step == group[0].steps
    assert len(events[-1].accuracy["test"]) == len(group) == 24
    live = runs.Run(group).drain().events()[-1].accuracy["test"]
    # the same here to the last digit; another processor rounds otherwise, and the rate is high
    assert live == pytest.approx(events[-1].accuracy["test"], abs=0.01)


def test_the_two_acts_share_their_first_students():
    warm, cold = (RECIPES[name].recipes for name in _act.RECIPE.values())
    assert warm[:12] == cold[:12] and digest(warm) != digest(cold)
    assert {r.method.temperature for r in cold[12:]} == {1.0}


# --------------------------------------------------------------------------- where one stands


def test_a_second_click_starts_nothing(token, pool):
    _act.begin(token, "warm", 0.86)
    first = now(token)
    _act.begin(token, "warm", 0.86)
    for stage, guess in (("warm", 0.6), ("cold", None)):  # from a page that shows something else
        with pytest.raises(BadInput, match="learn already"):
            _act.begin(token, stage, guess)
    assert now(token) == first and first.guess == 0.86 and len(pool.asked) == 1


def test_what_does_not_start_in_time_is_a_recording(token, pool, monkeypatch):
    monkeypatch.setenv("WORKBENCH_PACE", "2")
    _act.begin(token, "warm")
    _act.hurry(token)
    assert now(token).warm.run
    act = now(token)
    late = Showing(act.warm.run, time.time() - _act.PATIENCE - 0.1)
    _act.write(token, Act("warm", None, late))
    _act.hurry(token)
    assert now(token).warm.run == "" and pool.left
    seen = _act.view(now(token))
    assert seen.recorded and seen.state == "running" and len(seen.events) < 10


def test_a_full_queue_is_a_recording(token, pool):
    pool.full = True
    _act.begin(token, "warm", 0.9)
    seen = _act.view(now(token))
    assert seen.recorded and seen.state == "finished" and seen.verdict.text == "BEATS"
    assert words.RECORDING in _stage.race(now(token), seen, 700)
    assert "recording of an earlier one" in _stage.foot(now(token), seen)


def test_curves_grow_with_the_clock(monkeypatch):
    monkeypatch.setenv("WORKBENCH_PACE", "2")
    for seconds, least, most in ((0, 1, 2), (1, 30, 33), (2.1, 61, 61)):
        act = Act("warm", None, Showing("", time.time() - seconds))
        seen = _act.view(act)
        assert least <= len(seen.events) <= most
        assert (seen.verdict is None) == (seconds < 2)
        assert len(_act.view(act, jumps=True).events) in (1, 16, 31, 46, 61)


def test_jumps_show_the_end_of_a_training_that_failed(monkeypatch):
    monkeypatch.setenv("WORKBENCH_PACE", "2")
    events = _act.recorded("warm")[:20]
    monkeypatch.setattr(_act, "_live", lambda folder: (events, "failed", None, "no memory"))
    for seconds, shown, over in ((0.6, 16, False), (5, 20, True)):
        seen = _act.view(Act("warm", None, Showing("home/a/1", time.time() - seconds)), jumps=True)
        assert (len(seen.events), seen.over) == (shown, over)


def test_stop_keeps_what_is_shown_and_continue_goes_on(token, pool, monkeypatch):
    monkeypatch.setenv("WORKBENCH_PACE", "2")
    _act.write(token, Act("warm", 0.8, Showing("", time.time() - 1)))
    _act.stop(token)
    kept = _act.view(now(token))
    assert kept.state == "stopped" and 28 < len(kept.events) < 36 and kept.verdict is None
    assert words.GO_ON in _stage.card(now(token), kept, 270)
    _act.go_on(token)
    seen = _act.view(now(token))
    assert seen.state == "running" and abs(len(seen.events) - len(kept.events)) <= 2


def test_stop_before_the_first_event(token, pool):
    _act.begin(token, "warm")
    _act.stop(token)
    seen = _act.view(now(token))
    assert seen.state == "stopped" and not seen.events and pool.left
    act = now(token)
    assert "Stopped" in _stage.card(act, seen, 270) and _stage.race(act, seen, 700)
    _act.hurry(token)
    assert now(token) == act  # what was stopped stays so


def test_it_hands_its_settings_over(token):
    _act.write(token, Act("cold", 0.8, Showing("", 1.0), Showing("", 1.0)))
    _act.hand_over(token)
    one = _visitor.visitor(token)
    made = _form.read(one.form)
    assert made.recipe == RECIPES["first-act-cold"].recipes[-1].arm() and made.seeds == 12
    assert one.handed and len(one.shown()) == 3 and one.find(one.chosen)


def test_two_pages_of_one_session_get_one_token():
    assert _visitor.token_of("", "s1") == _visitor.token_of(None, "s1")
    assert _visitor.token_of("", "s1") != _visitor.token_of("", "s2")


# ------------------------------------------------------------------------------- bad input


@pytest.mark.parametrize("guess", ["49", "101", "nan", "inf", "1e999", "abc", "<b>", True, [], {}])
def test_a_guess_outside_the_axis_is_one_sentence(guess):
    with pytest.raises(BadInput, match="Your guess goes from 50 to 100"):
        _act.guessed(guess)


@pytest.mark.parametrize(("guess", "share"), [("", None), (None, None), ("50", 0.5), ("86", 0.86)])
def test_a_guess_on_the_axis(guess, share):
    assert _act.guessed(guess) == share


@pytest.mark.parametrize(
    "kept",
    [
        {"stage": "loud"}, {"stage": "warm"}, {"stage": "warm", "warm": {"run": "../../x/1"}},
        {"stage": "warm", "warm": {"run": "", "since": "now"}}, {"stage": "warm", "warm": 5},
        {"stage": "look", "guess": "x"}, {"guess": math.nan}, {"stage": []}, {"stage": None},
        {"stage": "cold", "cold": {"walk": 1}},
    ],
)  # fmt: skip
def test_an_act_that_is_none_begins_anew(kept):
    assert _act.read(SimpleNamespace(act=kept)) == Act()


@pytest.mark.parametrize(
    ("query", "found", "notes"),
    [
        ({}, {}, []),
        ({"T": "8", "image": "2", "tab": "start", "__theme": "dark"}, {"T": 8, "image": 2}, []),
        ({"T": "nan"}, {}, ["is nan, which is not a number. It stays as it was."]),
        ({"tab": "start", "temperature": "4"}, {"T": 4}, []),
        ({"T": "1e9"}, {"T": 16}, ["was set to 16"]),
        ({"T": "-inf", "x": "<b>"}, {}, ["is -inf", "x=<b>"]),
        ({"image": "99"}, {"image": 5}, ["was set to 5"]),
        ({"tab": "nowhere"}, {}, ["tab=nowhere"]),
    ],
)
def test_an_address_is_clamped_or_left_out(query, found, notes):
    values, said = _act.from_address([*query.items()])
    assert values == found and len(said) == len(notes)
    assert all(note in sentence for note, sentence in zip(notes, said, strict=True))


@pytest.mark.parametrize(
    ("query", "tab"),
    [({}, None), ({"tab": "train"}, "train"), ({"steps": "nan"}, "train"), ({"T": "8"}, None),
     ({"k.temperature": "2"}, "train"), ({"tab": "start", "method": "kd"}, "start"),
     ({"tab": "nowhere"}, None)],
)  # fmt: skip
def test_an_address_opens_its_tab(query, tab):
    found = _tabs.landing(SimpleNamespace(query_params=query))
    assert getattr(found, "selected", None) == tab


# ------------------------------------------------------------------------- words and pictures


def judged(mean, low, high, text):
    return Verdict(mean, low, high, None, 12, text, "seeds", 0.95)


BEATS = judged(0.126, 0.119, 0.134, "BEATS")
NOTHING = judged(0.004, -0.001, 0.009, "INCONCLUSIVE")
LOSES = judged(-0.03, -0.04, -0.02, "LOSES")


def test_the_sentence_follows_the_verdict():
    assert words.act_headline(BEATS) == "Same 50 images, thirteen points better."
    assert "no difference" in words.act_headline(NOTHING)
    assert words.act_headline(LOSES).endswith("three points worse.")
    assert "because its teacher saw 1000 labels" in words.act_finding("B", BEATS)
    for other in (NOTHING, LOSES):
        assert "although" in words.act_finding("B", other)
        assert words.why(0.8, 0.8, other) == "Why is B not ahead?"
    assert "most of the gain is gone" in words.cold_headline(judged(0.02, 0, 0, "BEATS"), BEATS)
    assert "still ten points" in words.cold_headline(judged(0.1, 0, 0, "BEATS"), BEATS)
    assert "no gain" in words.cold_headline(NOTHING, BEATS)
    assert "three points worse" in words.cold_headline(LOSES, BEATS)


@pytest.mark.parametrize(
    ("guess", "said"), [(0.86, "further"), (0.99, "less far"), (0.94, "ahead")]
)
def test_the_question_follows_the_guess(guess, said):
    assert said in words.why(guess, 0.944, BEATS)


def test_the_sentence_of_the_bars_has_three_cases():
    logits = _act.examples()[0].logits
    said = {t: words.soft_sentence(softmax(logits, t), t) for t in (1, 8, 16)}
    assert "99.9" in said[1] and "most to 9, 8 and 5" in said[8] and said[16] != said[8]
    assert "nearly even" in words.soft_sentence([0.19] + [0.09] * 9, 16)


def test_bars_and_axis_carry_their_numbers_and_no_template():
    html = _stage.look()
    assert "${" not in html and "{{" not in html and "`" not in html
    assert html.count('role="img"') >= 3 and "Teacher 97.8" in html
    shares = charts.Opinion("teacher", "Teacher", [0.9, 0.1])
    drawn = charts.soft_bars(shares, shares, [[[0.5]], [[1.0]]], label="<script>${1}")
    assert "<script>" not in drawn and "${" not in drawn and 'data-bar="1"' in drawn
    table = charts.soft_table([("T = 1", shares)], caption="x", classes="ab")
    assert "90.0" in table and "<caption>" in table


def test_the_first_act_takes_two_seconds_and_less_if_asked(monkeypatch):
    monkeypatch.delenv("WORKBENCH_PACE", raising=False)
    assert _act.pace() == 2.0 < jobs.pace()
    monkeypatch.setenv("WORKBENCH_PACE", "0.5")
    assert _act.pace() == 0.5
