"""The parts of the Train page, drawn from shipped runs as if they were at any point."""

from __future__ import annotations

import asyncio
import copy
import re
from dataclasses import replace
from types import SimpleNamespace

import gradio as gr
import pytest
from lab import digits

from workbench import METHODS, assets, charts, runs, words
from workbench.recipe import digest
from workbench.ui import _compare, _desk, _picture, _tabs, _visitor, start, sweep, train
from workbench.ui._take import Take
from workbench.ui._visitor import Entry, name_of


@pytest.fixture
def sights(home):
    """Labels only, distilled at T = 8 and at T = 1: finished, with twelve students each."""
    one = _visitor.visitor(_visitor.new_token())
    folder = runs.SHIPPED / digest(assets.groups("first-act-cold")[-1]) / "1"
    one.put(Entry(name_of(folder)))
    found = _desk.look(one)
    starts = ["Labels only", "Distilled, T = 8", "Distilled, T = 1"]
    assert all(map(str.startswith, (sight.name for sight in found), starts)) and len(found) == 3
    return found


def at(sight, state, step):
    """A run that has come no further."""
    seen = [event for event in sight.events if event.step <= step]
    return replace(sight, state=state, step=step, events=seen)


def scene(sights, chosen=0, baseline=0):
    """The page with these runs, one of them in the picture."""
    one = _visitor.visitor(_visitor.new_token())
    if not sights:
        return _picture.Scene(one, [], None, None, None, {}, _picture.WIDTHS, [], digits())
    base = sights[baseline]
    compared = _compare.compare(base, sights)
    picked = sights[chosen]
    widths, data = _picture.WIDTHS, picked.take.recipe.data.whole()
    return _picture.Scene(one, sights, picked, picked, base, compared, widths, sights, data)


@pytest.mark.parametrize(
    ("place", "said"), [(0, "learns from labels alone"), (1, "is chasing the teacher")]
)
def test_a_student_chases_only_a_teacher_that_it_has(sights, place, said):
    sights[place] = at(sights[place], "running", 100)
    assert f"The student {said}." in _picture.image(scene(sights, place))
    sights[place] = at(sights[place], "stopped", 100)
    assert "The student" not in _picture.image(scene(sights, place))


def test_without_a_weight_on_the_teacher_nobody_chases_it(sights):
    take = sights[1].take
    deaf = copy.copy(take)
    deaf.recipes = [replace(take.recipe, method=METHODS["kd"](temperature=8, alpha=0))]
    sights[1] = replace(at(sights[1], "running", 100), take=deaf)
    assert "The student learns from labels alone." in _picture.image(scene(sights, 1))


def test_without_a_run_the_teacher_stands_alone(sights):
    for now in (scene([]), scene([at(sights[1], "queued", -1)])):
        image = _picture.image(now)
        assert "No student’s yet." in image and "Both answers" not in image
        assert "Teacher" in image and "Student" not in image and "Distilled" not in image
    table = _picture.pins(scene([]))
    assert words.EMPTY_TABLE in table and "<th" not in table


@pytest.mark.parametrize("measured", ["", "0,0", "nan,1,1,1", "a,b,c,d", None, "1e400,1,1,1"])
def test_what_was_measured_before_is_kept_where_nothing_is(measured):
    """The page and its tab open at once, and the one that is out of sight knows no widths."""
    assert _tabs.widths("350.4,350,350,350", train.WIDTHS) == (350, 350, 350, 350)
    assert _tabs.widths(measured, (350, 350, 350, 350)) == (350, 350, 350, 350)


def test_what_was_drawn_for_other_widths_is_drawn_again(monkeypatch):
    here, drawn = train.Session(), []

    def draw(one, now, calm):
        drawn.append(now.widths)
        now.widths = (350,) * 4  # the tab is laid out meanwhile
        parts = (*train.BUTTONS, *train.PARTS)
        return {part: str(now.widths) for part in parts} | {"live": False, "labels": []}

    async def followed():
        return [values async for values in train.follow(_visitor.new_token(), None)]

    monkeypatch.setattr(train, "session", lambda request: here)
    monkeypatch.setattr(train, "draw", draw)
    assert len(asyncio.run(followed())) == 2 and drawn == [train.WIDTHS, (350,) * 4]


@pytest.mark.parametrize("page", [start, sweep, train])
def test_a_follow_ends_with_nothing_since_gradio_repeats_its_last(page, home):
    """Else the picture of before a click would be drawn over what the click did."""

    async def followed():
        request = SimpleNamespace(session_hash=page.__name__)
        return [values async for values in page.follow(_visitor.new_token(), request)]

    first, *_, last = asyncio.run(followed())
    assert any(isinstance(value, str) for value in first)
    assert all(value == gr.skip() for value in last) and len(last) == len(first)


@pytest.mark.parametrize("place", [0, 1])
@pytest.mark.parametrize(
    ("state", "said"),
    [("stopped", "one of them was stopped. A stop"), ("failed", "one of them broke")],
)
def test_a_run_that_did_not_reach_its_end_is_compared_there_and_says_so(
    sights, place, state, said
):
    sights[place] = at(sights[place], state, 60)
    now = scene(sights, chosen=1)
    one, other = (now.compared[sight.run] for sight in sights[1:])
    assert one.step == 60 and other.step == (None if place else 60)
    assert one.several and other.several, "widened like the others"
    assert one.pairs == tuple(
        a - b for a, b in zip(*(_compare.scores(s, 60) for s in sights[1::-1]), strict=True)
    )
    alone = _compare.compare(sights[0], sights[:2])[sights[1].run].verdict
    assert one.verdict.p >= alone.p and one.verdict.coverage >= alone.coverage
    told = _picture.finding(now)
    assert "pairs at step 60)" in told and f"Compared at step 60, where {said}" in told
    assert "widened for the number" in told


def test_what_still_learns_has_no_verdict_and_widens_no_other(sights):
    before = scene(sights[:2], chosen=1)
    sights[2] = at(sights[2], "running", 100)
    now = scene(sights, chosen=1)
    assert now.compared[sights[1].run] == before.compared[sights[1].run]
    assert "Compared at" not in _picture.finding(now)
    assert re.search("T\u00a0=\u00a01.*, is learning", _picture.finding(scene(sights, chosen=2)))
    sights[0] = at(sights[0], "paused", 100)
    assert "Labels only is learning" in _picture.finding(scene(sights, chosen=1))


def test_runs_of_unequal_length_say_so(sights):
    shorter = Take(sights[1].take.folder)
    shorter.recipes = tuple(recipe.but(steps=60) for recipe in shorter.recipes)
    sights[1] = replace(at(sights[1], "finished", 60), take=shorter)
    told = _picture.finding(scene(sights, chosen=1))
    assert "One learned for 60 steps, the other for 300." in told
    assert "One learned" not in _picture.finding(scene(sights, chosen=2))


def test_runs_that_differ_in_more_than_the_method_say_so(sights):
    assert "They differ" not in _picture.finding(scene(sights, chosen=1))
    other = Take(sights[1].take.folder)
    data = replace(other.recipe.data, images=1000, left_out=(3,), label_noise=0.2)
    other.recipes = tuple(
        recipe.but(data=data, batch_size=64, schedule="cosine") for recipe in other.recipes
    )
    sights[1] = replace(sights[1], take=other)
    assert (
        "They differ in method, images, left out, label noise, batch size and schedule at once."
        in _picture.finding(scene(sights, chosen=1))
    )
    names = {"student": "mlp-32", "teachers": (other.recipe.teachers[0].but(student="mlp-64"),)}
    assert _compare.differences(other.recipe, other.recipe.but(**names)) == ["Student", "Teacher"]


def test_students_of_different_networks_do_not_start_alike(sights):
    assert "Pairs are seeds that start alike" in _picture.finding(scene(sights, chosen=1))
    other = Take(sights[1].take.folder)
    other.recipes = tuple(recipe.but(student="mlp-32") for recipe in other.recipes)
    sights[1] = replace(sights[1], take=other)
    told = _picture.finding(scene(sights, chosen=1))
    assert "seeds that start apart, since the networks differ" in told


def test_a_run_whose_students_all_diverged_says_nothing_else(sights):
    last = sights[1].events[-1]
    lost = replace(last, accuracy={"test": (None,) * 12}, diverged=tuple(range(12)))
    sights[1] = replace(sights[1], events=[*sights[1].events[:-1], lost])
    row = _picture.pins(scene(sights, chosen=1)).split("<tr")[3]
    cells = re.findall(r"<td[^>]*>([^<]*)</td>", row)
    assert cells[0] == cells[2] == cells[3] == words.ABSENT and cells[5] == "Diverged"


def test_a_teacher_that_is_not_the_usual_one_is_named(sights):
    assert _picture._teacher_name(scene(sights, chosen=1)) == "Teacher"
    other = Take(sights[1].take.folder)
    teacher = other.recipe.teachers[0]
    other.recipes = tuple(
        recipe.but(teachers=(teacher.but(student="cnn-8"),)) for recipe in other.recipes
    )
    sights[1] = replace(sights[1], take=other)
    now = scene(sights, chosen=1)
    assert _picture._teacher_name(now) == "Teacher cnn-8"
    drawn = charts.curves([], width=600, teacher=0.9, teacher_name="Teacher cnn-8")
    assert ">Teacher<tspan" in drawn and ">cnn-8<" in drawn  # in two lines


def test_one_removal_can_be_undone(sights):
    now = scene(sights)
    assert words.UNDO_REMOVE not in _picture.pins(now)
    for sight in sights:
        now.visitor.put(sight.entry)
    now.visitor.hide([sights[1].run])
    assert words.UNDO_REMOVE in _picture.pins(now)
    now.visitor.bring_back()
    assert words.UNDO_REMOVE not in _picture.pins(now)


def test_the_same_recipe_again_widens_no_interval(sights):
    twin = replace(sights[1], entry=Entry("home/again/1"))
    once = _compare.compare(sights[0], sights)
    twice = _compare.compare(sights[0], [*sights, twin])
    for sight in sights[1:]:
        assert twice[sight.run].verdict == once[sight.run].verdict
    assert twice[twin.run].verdict == once[sights[1].run].verdict and twice[twin.run].several
