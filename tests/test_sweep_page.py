"""The page Sweep without a browser: what its form means, and what a visitor's sweep does."""

from __future__ import annotations

import json
import threading
import time
from types import SimpleNamespace

import gradio as gr
import pytest
from starlette.datastructures import QueryParams

from workbench import assets, jobs, words
from workbench.base import BadInput, Trouble
from workbench.methods import METHODS
from workbench.runs import Run
from workbench.sweep import done
from workbench.ui import _axes, _desk, _map, _sweep, _tabs, _visitor
from workbench.ui import sweep as page

SMALL = {
    "method": "kd", "across": "temperature", "down": "alpha", "seeds": 2, "knobs": {},
    "values": {"temperature": "1, 8", "alpha": "0, 1"},
    "images": 20, "steps": 4, "student": "mlp-4", "teacher": "mlp-4",
}  # fmt: skip
LINE = json.dumps(SMALL)


def line(**changes):
    return json.dumps(SMALL | changes)


# ------------------------------------------------------------------------------- the form


@pytest.mark.parametrize("method", list(METHODS))
def test_every_method_has_a_sweep_to_begin_with(method):
    values = _axes.defaults(method)
    known = _axes.axes(method)
    assert {values["across"], values["down"]} <= set(known) and values["across"] != values["down"]
    small = values | {"values": {name: _axes.text(_axes.usual(known[name])[:1])
                                 for name in (values["across"], values["down"])}}  # fmt: skip
    asked = _axes.asked(small)
    assert len(asked.plan.cells) == 1 and asked.plan.method == method


def test_temperature_and_alpha_lie_on_the_axes_on_arrival():
    asked = _axes.asked(_axes.defaults())
    assert (asked.across.name, asked.down.name) == ("temperature", "alpha")
    assert asked.values(asked.across) == [0.5, 1, 2, 5, 10, 20]
    assert asked.values(asked.down) == [0, 0.2, 0.4, 0.6, 0.8, 1]
    assert asked.shape == (6, 6) and len(asked.plan.labels) == 1
    assert len(asked.plan.passes) == 4 and asked.plan.seconds < 60
    assert asked.plan.cells[0].recipes[0].data.images == 50


def test_the_usual_values_of_an_axis_are_those_of_its_slider():
    for method in METHODS:
        for knob in _axes.axes(method).values():
            values = _axes.usual(knob)
            assert 2 <= len(set(values)) == len(values) <= _axes.MOST
            assert [knob.check("axis", v) for v in values] == sorted(values)


@pytest.mark.parametrize("written, values", [
    ("1, 2, 4", [1, 2, 4]), (" 1 2\t4 ", [1, 2, 4]), ("1,2,4,", [1, 2, 4]), ("1e0", [1]),
    ("0,5; 1; 2,5", [0.5, 1, 2.5]), ([1, 2.5], [1, 2.5]),
])  # fmt: skip
def test_values_are_read_as_people_type_them(written, values):
    assert _axes.numbers(_axes.axes("kd")["temperature"], written) == values


@pytest.mark.parametrize("written, said", [
    ("", "needs at least one value"), ("   ", "needs at least one value"), (",,", "at least one"),
    ("1, banana", "banana does not fit"), ("1, nan", "nan does not fit"), ("inf", "inf does not"),
    ("1, 1.0", "Temperature has 1 twice"), ("0", "0 does not fit"), ("-1, 2", "-1 does not fit"),
    (",".join(map(str, range(1, 14))), "has 13 values; at most 12"), ("1" * 60, "does not fit"),
    ([True], "true or false"), (["1"], "is a text"), ([None], "nothing"), ({}, "at least one"),
    (5, "at least one"), (None, "at least one"), ([[1]], "a list"), ([float("nan")], "nan"),
])  # fmt: skip
def test_values_that_mean_nothing_are_refused_in_one_sentence(written, said):
    with pytest.raises(BadInput) as refused:
        _axes.numbers(_axes.axes("kd")["temperature"], written)
    assert said in str(refused.value) and "\n" not in str(refused.value)


@pytest.mark.parametrize("changes, said", [
    ({"across": "alpha"}, "lies across and down"), ({"across": "warmth"}, "cannot be swept here"),
    ({"across": 5}, "cannot be swept"), ({"method": "kdd"}, "did you mean 'kd'"),
    ({"method": [1]}, "is not known"), ({"seeds": "99"}, "Students goes from 1 to 24"),
    ({"seeds": True}, "Students"), ({"values": [1]}, "values"), ({"knobs": "x"}, "knobs"),
    ({"colour": 1}, "colour"), ({"steps": "banana"}, "Steps"), ({"data": "own"}, "file of yours"),
    ({"data": "nothing"}, "not known"), ({"student": "mlp-17"}, "mlp-17"),
    ({"images": 1000, "steps": 50000, "student": "mlp-16", "seeds": 24}, "minutes"),
    ({"knobs": {"warmth": 1}}, "warmth"), ({"left_out": [1]}, "left_out"),
])  # fmt: skip
def test_a_form_that_means_nothing_is_refused_in_one_sentence(changes, said):
    with pytest.raises(BadInput) as refused:
        _axes.read(line(**changes))
    told = words.sentence(refused.value)
    assert said.lower() in told.lower() and "\n" not in told


@pytest.mark.parametrize("given", ["", "[", "[]", "5", "{" * 5000, "x" * 10**6, None, 5])
def test_a_line_that_is_no_form_is_refused(given):
    with pytest.raises(BadInput):
        _axes.read(given)


def test_a_cell_needs_as_many_images_as_its_method():
    found = _axes.defaults("rkd") | {"across": "distance", "down": "images"}
    found["values"] = {"distance": "25", "images": "50, 1000"}
    with pytest.raises(BadInput, match="images at a time"):
        _axes.asked(found)


@pytest.mark.parametrize("query, expected, notes", [
    ("", {}, []),
    ("seeds=3&temperature=1,4", {"seeds": "3"}, []),
    ("temperature=1,nan", {}, ["nan does not fit. It stays as it was."]),
    ("method=label-smoothing&epsilon=0,0.5", {"method": "label-smoothing"}, []),
    ("method=nothing", {"method": "kd"}, ["method=nothing, which is not known"]),
    ("across=learning_rate&learning_rate=0.01,0.1", {"across": "learning_rate"}, []),
    ("across=alpha&down=temperature", {"across": "alpha", "down": "temperature"}, []),
    ("across=warmth", {"across": "temperature"}, ["cannot be swept here"]),
    ("bogus=1&seeds=2&seeds=3", {"seeds": "2"}, ["stands twice", "bogus=1"]),
    ("data=own", {"data": "digits"}, ["does not carry"]),
    ("values=1&knobs=2&epsilon=1", {}, ["values=1", "knobs=2", "epsilon=1"]),
    ("images=20&steps=100&__theme=dark", {"images": "20", "steps": "100"}, []),
])  # fmt: skip
def test_an_address_sets_the_form_and_says_what_it_could_not(query, expected, notes):
    values, said = _axes.from_address(QueryParams("tab=sweep&" + query).multi_items())
    assert {name: values[name] for name in expected} == expected
    assert len(said) == len(notes) and all(a in b for a, b in zip(notes, said, strict=True)), said
    _axes.asked(values)
    assert _axes.means({"tab": "sweep", "seeds": "3"}) and not _axes.means({"tab": "train"})
    assert not _axes.means({"tab": "sweep", "__theme": "dark"})


def test_the_form_offers_every_method_and_its_axes():
    text = _axes.html()
    assert all(f'value="{method}"' in text for method in METHODS)
    assert text.count('class="pick"') >= 6 and "<script" not in text


# -------------------------------------------------------------------------- a visitor's sweep


class Here:
    """A pool that trains what it is given at once, or keeps it waiting."""

    def __init__(self):
        self.lock, self.doing, self.why, self.kept = threading.Lock(), [], {}, []
        self.holds, self.full = False, False

    def submit(self, group, who, seconds):
        if self.full:
            raise jobs.Busy("8 trainings wait already; try again in a minute")
        return self.resume(Run(group, fresh=True).folder, who, seconds)

    def resume(self, folder, who, seconds):
        self.kept.append(folder)
        if not self.holds:
            Run.at(folder).drain()
        return folder

    def ahead(self, folder):
        return self.kept.index(folder) if self.holds and folder in self.kept else None

    def withdraw(self, folder):
        self.kept.remove(folder)
        return True


@pytest.fixture
def pool(monkeypatch, home):
    made = Here()
    monkeypatch.setattr(_desk, "pool", lambda: made)
    return made


@pytest.fixture
def token(pool):
    return _visitor.new_token()


def now(token):
    return _sweep.view(_visitor.visitor(token))


def to_its_end(token):
    for _ in range(20):
        if not now(token).live:
            break
        _sweep.tend(token)
    return now(token)


def test_somebody_new_sees_the_shipped_sweep(token):
    view = now(token)
    assert view.shipped and view.over and not view.live
    assert view.asked.shape == (3, 4) and all(c.state == "finished" for r in view.squares()
                                              for c in r)  # fmt: skip
    said = _map.say(view)
    assert "labels only get 81.3" in said and "T\u00a0=\u00a016" in said
    judged = view.verdicts()
    texts = [[judged[i, j].text for j in range(4)] for i in range(3)]
    assert all(judged[0, j].equal for j in range(4)), "alpha = 0 hears no teacher"
    assert texts[1][1:] == texts[2][1:] == ["BEATS"] * 3, "the sentence says that a warm one helps"
    squares = view.squares()
    for row in squares[1:]:
        means = [cell.mean for cell in row]
        assert means == sorted(means), "along a row: warmer is better"
    for a, b in zip(*squares[1:], strict=True):
        assert abs(a.mean - b.mean) < 0.005, "down a column: little changes"
    assert _map.picked(view) == (2, 2) and "BEATS" in _map.panel(view, 296)


def test_a_guess_is_asked_for_before_the_first_sweep_only(token):
    _sweep.ask(token, LINE)
    view = now(token)
    assert view.swept.asking == LINE and not view.live and words.GUESS_WHERE in _map.say(view)
    assert words.GUESS_CARD in _map.panel(view, 296)
    _sweep.give_up(token)
    assert now(token).shipped
    _sweep.ask(token, LINE)
    page._press(token, "1,1")
    view = to_its_end(token)
    assert view.over and view.swept.guess == (1, 1) and "You said T" in _map.say(view)
    other = line(values={"temperature": "2, 8", "alpha": "0, 1"})
    _sweep.ask(token, other)
    assert now(token).swept.line == other and not now(token).swept.asking


def test_a_guess_may_be_skipped_and_a_late_press_is_none(token):
    _sweep.ask(token, LINE)
    _sweep.guess(token, None)
    view = to_its_end(token)
    assert view.over and view.swept.guess is None and "You said" not in _map.say(view)
    _sweep.guess(token, (0, 0))
    assert now(token).swept.guess is None


def test_a_sweep_fills_pass_by_pass_and_a_reload_finds_it(token, pool, monkeypatch):
    monkeypatch.setattr("workbench.ui._axes.WATCHED", 2)
    _axes._read.cache_clear()
    monkeypatch.setattr(_axes.planned, "__defaults__", (2,))
    pool.holds = True
    _sweep.begin(token, LINE)
    view = now(token)
    assert len(view.passes) == 5 and view.state == "queued" and len(pool.kept) == _sweep.HANDS
    assert {cell.state for row in view.squares() for cell in row} == {"queued"}
    pool.holds = False
    for folder in pool.kept:
        Run.at(folder).drain()
    view = now(token)
    assert view.live and 0 < view.share < 1
    _visitor._known.clear()  # the server was restarted
    assert now(token).share == view.share
    view = to_its_end(token)
    assert view.over and view.share == 1 and view.state == "finished"
    _axes._read.cache_clear()


def test_what_was_finished_before_is_found_and_again_trains_anew(token, pool):
    _sweep.begin(token, LINE)
    to_its_end(token)
    runs, count = now(token).swept.runs, len(pool.kept)
    other = _visitor.new_token()
    _sweep.begin(other, LINE)
    assert now(other).over and now(other).swept.runs == runs and len(pool.kept) == count
    _sweep.again(other)
    assert to_its_end(other).over and now(other).swept.runs != runs
    assert len(pool.kept) == count + 1


def test_stop_keeps_what_there_is_and_continue_goes_on(token, pool):
    pool.holds = True
    _sweep.begin(token, LINE)
    with pytest.raises(BadInput, match="still going"):
        _sweep.ask(token, LINE)
    _sweep.stop(token)
    view = now(token)
    assert view.state == "stopped" and not view.live and pool.kept == []
    _sweep.tend(token)
    assert pool.kept == [], "stopped is stopped"
    pool.holds = False
    _sweep.go_on(token)
    assert to_its_end(token).over
    _sweep.reset(token)
    assert now(token).shipped and now(token).swept.predicted


def test_a_sweep_that_was_left_has_stopped(token, pool, monkeypatch):
    pool.holds = True
    _sweep.begin(token, LINE)
    later = time.time() + 2 * _sweep.LEFT
    monkeypatch.setattr(_sweep.time, "time", lambda: later)
    _sweep.tend(token)
    assert now(token).state == "stopped"


def test_who_finds_the_queue_full_waits(token, pool):
    pool.full = True
    _sweep.begin(token, LINE)
    view = now(token)
    assert view.live and view.state == "queued" and view.swept.why == ""
    pool.full = False
    assert to_its_end(token).over


def test_a_full_disk_stops_it_with_its_sentence(token, pool, monkeypatch):
    said = "/home: runs cannot be kept there (No space left on device); make room on its disk"

    def full(*_):
        raise Trouble(said)

    monkeypatch.setattr(pool, "submit", full)
    _sweep.begin(token, LINE)
    view = now(token)
    assert view.state == "stopped" and "No space left" in view.swept.why
    assert "No space left" in _map.status(view, "", view.asked, False, True)


def test_a_pass_that_broke_stops_the_sweep_and_says_why(token, pool):
    pool.holds = True
    _sweep.begin(token, LINE)
    (folder,) = pool.kept
    pool.holds, pool.why[folder] = False, jobs.LACKING
    _sweep.tend(token)
    view = now(token)
    assert view.state == "stopped" and view.swept.why == jobs.LACKING
    _sweep.go_on(token)
    assert to_its_end(token).over, "and can go on when the reason is gone"


@pytest.mark.parametrize("tampered", [
    {"line": 5}, {"runs": 5}, {"runs": ["../../etc"]}, {"guess": "x"}, {"picked": [1]},
    {"colour": 1}, {"line": LINE, "runs": []}, {"asking": ["x"]}, {"line": "{", "runs": [""]},
    {"seen": "now"}, {"guess": ["a", "b"]},
])  # fmt: skip
def test_a_list_that_was_tampered_with_begins_anew(token, tampered):
    with _visitor.change(token) as one:
        one.sweep = tampered
    assert _sweep.read(_visitor.visitor(token)) == _sweep.Swept() and now(token).shipped


@pytest.mark.parametrize("cell", ["", "a,b", "9,9", "-1,0", "1", "1,2,3", None, 5, "0,99999999"])
def test_a_cell_that_the_map_does_not_have_is_refused(token, cell):
    with pytest.raises(BadInput, match="no such cell"):
        _sweep.place(cell, now(token))


def test_a_cell_opens_on_the_page_train(token):
    view = now(token)
    page._open(token, "2,3")
    one = _visitor.visitor(token)
    opened = one.find(one.chosen)
    cell = view.cell((2, 3))
    assert Run.at(opened.folder).recipes == cell.recipes and one.handed
    assert done(cell.recipes).folder == opened.folder
    assert json.loads(one.form)["knobs"] == {"temperature": 16.0, "alpha": 1.0}
    sights = {sight.run: sight for sight in _desk.look(one)}
    assert sights[one.chosen].state == "finished" and "T = 16" in sights[one.chosen].name


def test_a_cell_under_way_does_not_open_yet(token, pool):
    pool.holds = True
    _sweep.begin(token, LINE)
    with pytest.raises(BadInput, match="not finished"):
        page._open(token, "0,0")
    assert words.OPEN_IN_TRAIN not in _map.panel(now(token), 296)


def test_axes_over_images_have_a_reference_of_their_own_each(token):
    both = line(down="images", values={"temperature": "1, 8", "images": "10, 20"})
    _sweep.begin(token, both)
    view = to_its_end(token)
    assert len(view.asked.plan.labels) == 2 and view.base() == ()
    assert len(view.verdicts()) == 4 and "Labels only" not in _map.chart(view, 480)


# -------------------------------------------------------------------------------- the page


def request(**query):
    return SimpleNamespace(session_hash=_visitor.new_token(), query_params=QueryParams(query))


def texts(values):
    return " ".join(value for value in values if isinstance(value, str))


def test_nothing_is_empty_on_arrival(token):
    known, form, *parts = page.arrive(token, "", "480,296", request())
    assert known == token and json.loads(form) == _axes.defaults()
    drawn = texts(parts)
    assert drawn.count("data-cell=") == 13 and "BEATS" in drawn and words.NOTHING_PICKED in drawn
    assert "36 cells × 5 students. " in drawn and parts[0].value == words.RUN
    assert "Traceback" not in drawn and 'width="480"' in drawn and 'width="296"' in drawn


def test_the_page_goes_from_run_to_a_finished_map(token):
    asked = request()
    page.arrive(token, "", "480,296", asked)
    main = page.pressed(words.RUN, token, LINE, asked)
    assert main[0].value == words.SKIP_AND_RUN and main[1].value == words.NOT_NOW
    event = SimpleNamespace(_data={"do": "cell", "cell": "0,1"})
    drawn = page.clicked(token, LINE, asked, event)
    assert words.STOP in (drawn[0].value,) or now(token).over
    to_its_end(token)
    drawn = page.clicked(token, LINE, asked, SimpleNamespace(_data={"do": "cell", "cell": "1,1"}))
    assert drawn[0].value == words.AGAIN and "T\u00a0=\u00a08, α\u00a0=\u00a01" in texts(drawn)
    other = page.changed(token, line(seeds=3), asked)
    assert other[0].value == words.RUN and "4 cells × 3 students" in texts(other)
    *_, tab = page.clicked(
        token, LINE, asked, SimpleNamespace(_data={"do": "open", "cell": "1,1"})
    )
    assert isinstance(tab, gr.Tabs) and tab.selected == "train"


@pytest.mark.parametrize("form", ["{", "[]", 5, "x" * 10**6, line(seeds=99), line(data=1)])
def test_a_bad_form_is_one_sentence_on_the_page(token, form):
    asked = request()
    page.arrive(token, "", "", asked)
    for said in (page.pressed(words.RUN, token, form, asked), page.changed(token, form, asked)):
        drawn = texts(said)
        assert "Traceback" not in drawn and words.BROKEN not in drawn
    assert now(token).shipped


@pytest.mark.parametrize("form", ["", None])
def test_who_presses_before_the_form_is_filled_means_what_it_will_say(token, form):
    asked = request()
    _, filled, *_ = page.arrive(token, "", "", asked)
    assert page.pressed(words.RUN, token, form, asked)[0].value == words.SKIP_AND_RUN
    assert _sweep.read(_visitor.visitor(token)).asking == filled


@pytest.mark.parametrize("data", [
    {}, None, {"do": "cell"}, {"do": "cell", "cell": "99,99"}, {"do": "open", "cell": [1]},
    {"do": "nothing"}, {"do": "open", "cell": "0"}, 5,
])  # fmt: skip
def test_a_click_on_nothing_is_at_most_one_sentence(token, data):
    drawn = page.clicked(token, LINE, request(), SimpleNamespace(_data=data))
    assert "Traceback" not in texts(drawn) and words.BROKEN not in texts(drawn)


def test_a_page_without_a_token_is_told_so():
    with pytest.raises(gr.Error):
        page.pressed(words.RUN, "x", LINE, request())
    with pytest.raises(gr.Error):
        page.clicked("x", LINE, request(), SimpleNamespace(_data={}))


def test_an_address_that_cannot_be_taken_is_said_on_arrival(token):
    _, form, *parts = page.arrive(
        token, "", "", request(tab="sweep", temperature="1,x", seeds="3")
    )
    assert json.loads(form)["seeds"] == "3"
    assert "x does not fit. It stays as it was." in texts(parts)


@pytest.mark.parametrize("measured", ["", "0", "nan,1", "a,b", None, "1e400,1", "1,2,3"])
def test_what_was_measured_before_is_kept_where_nothing_is(measured):
    assert _tabs.widths("350.4,300", page.WIDTHS) == (350, 300)
    assert _tabs.widths(measured, (350, 300)) == (350, 300)


def test_a_missing_recording_is_said(token, monkeypatch):
    monkeypatch.setattr(_sweep, "shipped", lambda: None)
    drawn = page.arrive(token, "", "", request())
    assert words.NO_SHIPPED in texts(drawn) and drawn[2].value == words.RUN


# ------------------------------------------------------------------------------ for scripts


def test_a_script_asks_for_a_sweep_in_one_pass(home):
    made = _axes.scripted("kd", {"temperature": [1, 8], "alpha": [0, 1]}, {"steps": 5}, 20, 2)
    assert len(made.passes) == 1 and len(made.cells) == 4 and len(made.labels) == 1
    assert {r.steps for r in made.passes[0]} == {5} and not home.exists()
    alone = _axes.scripted("kd", {"temperature": [1, 8]}, {"alpha": 0.5}, 20, 2)
    assert [cell.recipes[0].method.alpha for cell in alone.cells] == [0.5, 0.5]


@pytest.mark.parametrize("given, said", [
    (("kd", {}, {}, 50, 2), "one or two knobs"), (("kd", [1], {}, 50, 2), "one or two knobs"),
    (("kd", {"a": [1], "b": [1], "c": [1]}, {}, 50, 2), "one or two knobs"),
    (("kd", {"warmth": [1]}, {}, 50, 2), "cannot be swept"),
    (("kd", {"temperature": "1,2"}, {}, 50, 2), "is a text"),
    (("kd", {"temperature": ["1"]}, {}, 50, 2), "is a text"),
    (("kd", {"temperature": [1, True]}, {}, 50, 2), "true or false"),
    (("kd", {"temperature": [1, 1]}, {}, 50, 2), "twice"),
    (("kd", {"temperature": []}, {}, 50, 2), "at least one value"),
    (("kd", {"temperature": [1]}, {"temperature": 2}, 50, 2), "given twice"),
    (("kd", {"temperature": [1]}, {"images": 20}, 50, 2), "given twice"),
    (("kd", {"temperature": [1]}, {"colour": 2}, 50, 2), "colour"),
    (("kd", {"temperature": [1]}, {}, "50", 2), "is a text"),
    (("kd", {"temperature": [1]}, {}, 50, 25), "Students"),
    (("kdd", {"temperature": [1]}, {}, 50, 2), "did you mean"),
])  # fmt: skip
def test_a_scripts_bad_input_is_one_sentence(given, said):
    with pytest.raises(BadInput) as refused:
        _axes.scripted(*given)
    assert said in str(refused.value) and "\n" not in words.sentence(refused.value)


def test_the_shipped_sweep_is_the_plan_of_the_page():
    view = _sweep.shipped()
    assert view.asked.plan == assets.swept()
