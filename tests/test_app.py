"""The app from outside: its calls for scripts, its door, its check, and what it refuses."""

from __future__ import annotations

import errno
import json
import math
import os
import re
import signal
import subprocess
import sys
import time
from types import SimpleNamespace
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest
from app_server import ROOT, Server, free_port
from gradio_client import Client
from gradio_client.exceptions import AppError
from starlette.datastructures import QueryParams

from workbench import RECIPES, Recipe, Run, runs, vision, words
from workbench.base import BadInput, Trouble
from workbench.charts import escape
from workbench.data import DATA
from workbench.inside import compares
from workbench.methods import METHODS
from workbench.ui import (
    _act,
    _check,
    _desk,
    _form,
    _inside,
    _serve,
    _take,
    _visitor,
    pages,
    start,
    train,
)


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with Server(tmp_path_factory.mktemp("home")) as running:
        yield running


@pytest.fixture(scope="module")
def client(server):
    return Client(server.url, verbose=False)


def finished(client, run, seconds=30):
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        found = client.predict(run, api_name="/status")
        if found["status"] not in ("queued", "running"):
            return found
        time.sleep(0.1)
    raise AssertionError(f"not finished after {seconds} s: {found}")


def test_only_named_calls_are_public(client):
    named = client.view_api(return_format="dict", print_info=False)["named_endpoints"]
    assert set(named) == {"/recipes", "/train", "/sweep", "/status", "/compare", "/shipped"}
    assert all(call["description"] for call in named.values())
    for call in named.values():
        for value in call["parameters"] + call["returns"]:
            assert (
                "Any" not in value["python_type"]["type"] and value["python_type"]["description"]
            )


def test_recipes_lists_every_method_and_knob(client):
    found = client.predict(api_name="/recipes")
    assert set(found["methods"]) == set(METHODS)
    for key, method in METHODS.items():
        assert set(found["methods"][key]["knobs"]) == set(method.knobs())
    assert {"images", "student", "learning_rate", "steps", "seeds"} <= set(found["knobs"])


def test_a_run_trains_and_is_compared(client):
    run = client.predict("kd:temperature=8,alpha=1", {"steps": 60}, 50, 3, api_name="/train")
    found = finished(client, run)
    assert found["status"] == "done" and found["step"] == found["steps"] == 60
    assert found["accuracy"]["n"] == 3 and 0 < found["accuracy"]["mean"] <= 1
    labels, *_ = client.predict(api_name="/shipped")
    judged = client.predict(labels, run, api_name="/compare")
    assert judged["pairs"] == 3 and judged["over"] == "seeds"
    assert judged["verdict"] in ("BEATS", "LOSES", "INCONCLUSIVE")


def test_a_sweep_trains_and_each_of_its_cells_is_found(client):
    grid = {"temperature": [1, 8], "alpha": [0, 1]}
    made = client.predict(grid, "kd", {"steps": 40}, 50, 2, api_name="/sweep")
    (run,) = made["runs"]
    found = finished(client, run)
    assert found["status"] == "done" and len(found["students"]) == 10
    knobs = [cell["knobs"] for cell in made["cells"]]
    assert knobs == [{"temperature": t, "alpha": a} for t in (1.0, 8.0) for a in (0.0, 1.0)]
    means = {}
    for cell in made["cells"] + made["labels"]:
        first, last = cell["students"]
        assert cell["run"] == run and last == first + 1
        means[tuple(cell["knobs"].values())] = sum(found["students"][first : last + 1]) / 2
    assert means[1.0, 0.0] == means[8.0, 0.0] == means[()], "alpha = 0 is labels only"


def test_a_sweeps_bad_input_is_one_sentence(client):
    with pytest.raises(AppError, match="Temperature goes from") as error:
        client.predict({"temperature": [1, -1]}, "kd", {}, 50, 2, api_name="/sweep")
    assert "Traceback" not in str(error.value)


def test_a_methods_knobs_may_stand_among_the_others(client):
    run = client.predict("kd", {"temperature": 2, "steps": 20}, 50, 1, api_name="/train")
    recipe = finished(client, run)["recipe"]
    assert recipe["method"] == {"name": "kd", "temperature": 2} and recipe["steps"] == 20


def test_no_knob_has_two_meanings():
    for method in METHODS.values():
        assert not method.knobs().keys() & _form.common().keys()


def test_shipped_runs_show_the_first_act(client):
    labels, warm, cold = client.predict(api_name="/shipped")
    judged = client.predict(labels, warm, api_name="/compare")
    assert judged["verdict"] == "BEATS" and judged["difference"]["low"] > 0.05
    at_one = client.predict(labels, cold, api_name="/compare")
    assert at_one["difference"]["high"] < judged["difference"]["low"]


BAD = [
    (("kd", {"learning_rate": True}, 50, 2), "Learning rate"),
    (("kd", {"learning_rate": "0.01"}, 50, 2), "Learning rate"),
    (("kd", {"learning_rate": 11}, 50, 2), "Learning rate"),
    (("kd", {"steps": 1.5}, 50, 2), "Steps"),
    (
        ("kd", {"colour": 1}, 50, 2),
        "'colour' is not known: kd has temperature, alpha; all methods",
    ),
    (("scratch", {"temperature": 1}, 50, 2), "scratch has none of its own"),
    (("kd:temperature=2", {"temperature": 3}, 50, 2), "temperature = …: given twice (2.0 and 3)"),
    (("kd", {"temperature": "8"}, 50, 2), "1 000 000; '8' is a text, not a number."),
    (("kd", {}, "50", 2), "1 000 in whole numbers; '50' is a text, not a number."),
    (("kd", {"left_out": list(range(9))}, 50, 2), "two classes"),
    (("kd", {"left_out": [1] * 100_000}, 50, 2), "Left out"),
    (("kd", {"left_out": "123"}, 50, 2), "Left out"),
    (("kd", {"student": "mlp-17"}, 50, 2), "mlp-17"),
    (("kd", {"steps": 100_000, "student": "mlp-256-256"}, 1000, 24), "minutes"),
    (("kd", {"images": 5}, 50, 2), "images = …: given twice (50 and 5)"),
    (("kd", {}, 0, 2), "Images"),
    (("kd", {}, 1001, 2), "Images"),
    (("kd", {"labelled": 60}, 50, 2), "Labelled goes from 0 to 50"),
    (("kd", {}, 50, 25), "Students"),
    (("kd", {}, 50, "2"), "Students"),
    (("kd", [1], 50, 2), "knobs"),
    (("kd:temperature=-1", {}, 50, 2), "temperature"),
    (("kd:temperature=1,temperature=2", {}, 50, 2), "temperature = …: given twice (1 and 2)"),
    (("kd:warmth=1", {}, 50, 2), "warmth"),
    (("kdd", {}, 50, 2), "did you mean 'kd'"),
    (("x" * 30_000, {}, 50, 2), "method"),
    ((None, {}, 50, 2), "method"),
]


@pytest.mark.parametrize(("values", "named"), BAD)
def test_bad_input_is_one_sentence(client, values, named):
    with pytest.raises(AppError) as error:
        client.predict(*values, api_name="/train")
    said = str(error.value)
    assert named.lower() in said.lower().replace(words.NARROW, " ")
    assert "Traceback" not in said and "\n" not in said


@pytest.mark.parametrize("value", ["NaN", "Infinity", "1e400", "-1e400"])
def test_numbers_that_json_does_not_have_are_refused(server, value):
    body = f'{{"data": ["kd", {{"learning_rate": {value}}}, 50, 2]}}'.encode()
    address = f"{server.url}/gradio_api/call/train"
    asked = Request(address, body, {"Content-Type": "application/json"})
    event = json.loads(urlopen(asked, timeout=10).read())["event_id"]
    said = urlopen(f"{address}/{event}", timeout=10).read().decode()
    assert "event: error" in said and "Learning rate" in said


def posted(server, body):
    """What a script without our client sends: the status and what comes back."""
    asked = Request(f"{server.url}/gradio_api/call/train", body.encode(),
                    {"Content-Type": "application/json"})  # fmt: skip
    try:
        with urlopen(asked, timeout=10) as answer:
            return answer.status, json.loads(answer.read())
    except HTTPError as error:
        return error.code, json.loads(error.read())


def test_a_name_that_stands_twice_in_json_is_refused(server):
    knobs = '{"temperature": 2, "steps": 20, "temperature": 8}'
    said = "Temperature = …: given twice (2 and 8), expected once."
    assert posted(server, f'{{"data": ["kd", {knobs}, 50, 1]}}') == (400, {"error": said})
    status, found = posted(server, '{"data": ["kd", {"steps": 20}, 50, 1]}')
    assert status == 200 and set(found) == {"event_id"}
    assert posted(server, '{"data": [')[0] == 422
    with pytest.raises(BadInput, match=r"steps=…\): given twice \(1 and 2\)"):
        _form.read('{"method": "kd", "steps": 1, "steps": 2}')


@pytest.mark.parametrize("value", [math.nan, math.inf, True, None, [], {}, "8", 1e7, -1])
def test_a_knob_of_a_method_is_checked_strictly(value):
    with pytest.raises(BadInput, match="Temperature goes from"):
        _form.setup({"method": "kd", "knobs": {"temperature": value}}, text=False)


@pytest.mark.parametrize(
    ("value", "said"),
    [("8", "'8' is a text"), (True, "true or false"), (None, "nothing"), ([8], "a list"),
     ({}, "an object"), (1e7, "does not fit"), (math.nan, "nan does not fit")],
)  # fmt: skip
def test_what_is_wrong_with_a_value_is_its_kind_or_its_size(value, said):
    with pytest.raises(BadInput, match=said):
        _form.setup({"method": "kd", "knobs": {"temperature": value}}, text=False)


@pytest.mark.parametrize("line", ["", "[", "[]", "5", "{" * 5000, "x" * 10**6, None, 5])
def test_a_form_that_is_no_form_is_refused(line):
    with pytest.raises(BadInput):
        _form.read(line)


@pytest.mark.parametrize("run", ["", "../../etc/passwd", "0" * 16 + "/1", 5, None, "a" * 10**5])
def test_a_run_that_is_none_is_refused(client, run):
    with pytest.raises(AppError, match="(?i)^run"):
        client.predict(run, api_name="/status")


def test_the_app_says_where_it_is(server):
    assert f"The workbench is open at http://127.0.0.1:{server.port} (Ctrl-C" in server.said()


def test_nothing_in_the_log_is_a_traceback(server):
    assert "Traceback" not in server.said()


def test_a_taken_port_is_one_sentence(server):
    command = [sys.executable, "app.py", "--port", str(server.port)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.returncode == 1 and not done.stdout
    assert done.stderr.count("\n") == 1 and f"--port {server.port + 1}" in done.stderr


@pytest.mark.skipif(os.name != "posix", reason="other systems have no such ports")
def test_a_port_that_needs_rights_is_not_called_taken(monkeypatch, capsys):
    def bind(self, address):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    monkeypatch.setattr("socket.socket.bind", bind)
    with pytest.raises(
        Trouble, match=r"^Port 80 cannot be opened without the rights .* --port 7860"
    ):
        _serve.free("127.0.0.1", 80)
    with pytest.raises(Trouble, match="rights that ports below 1024 need"):
        _check._port(80)
    assert not _serve.free("127.0.0.1", 8080) and not _serve.free("127.0.0.1", 0)


@pytest.mark.parametrize("port", ["abc", "70000", "-1", "0", "", "80.5", "²", "9" * 5000])
def test_a_bad_port_is_one_sentence(port, capsys):
    assert _serve.main(["--port", port]) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1 and "expected a whole number from 1 to 65535" in said
    assert len(said) < 120


@pytest.mark.skipif(os.name != "posix", reason="Ctrl-C is sent differently elsewhere")
@pytest.mark.parametrize("up", [False, True], ids=["while it imports", "when it is up"])
def test_ctrl_c_ends_the_app_without_a_traceback(tmp_path, up):
    """A terminal sends it to the workers too, which are still importing."""
    port = free_port()
    process = subprocess.Popen(
        [sys.executable, "app.py", "--port", str(port)], cwd=ROOT, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True,
        env=os.environ | {"WORKBENCH_HOME": str(tmp_path)},
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )  # fmt: skip
    until = time.monotonic() + 60
    time.sleep(1.5)
    while up and _serve.free("127.0.0.1", port) and time.monotonic() < until:
        time.sleep(0.1)
    time.sleep(0.3)
    os.killpg(process.pid, signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert "Traceback" not in err and process.returncode in (0, 130), err


def test_a_bad_port_is_named_by_where_it_came_from(monkeypatch, capsys):
    monkeypatch.setenv("GRADIO_SERVER_PORT", "http")
    assert _serve.main([]) == 2
    assert capsys.readouterr().err.startswith("GRADIO_SERVER_PORT 'http'")


@pytest.mark.parametrize(
    "host", ["nonsense.invalid", "192.0.2.1", "2001:db8::1", "a" * 99, "a..b"]
)
def test_a_host_that_is_not_this_machine_is_named_by_where_it_came_from(host, monkeypatch, capsys):
    monkeypatch.setenv("GRADIO_SERVER_NAME", host)
    for given, source in ([], "GRADIO_SERVER_NAME"), (["--host", host], "--host"):
        assert _serve.main(given) == 2
        said = capsys.readouterr().err
        assert said.count("\n") == 1 and said.startswith(f"{source} {host[:40]!r}: expected an")


def test_no_home_is_one_sentence(tmp_path):
    (tmp_path / "file").write_text("")
    env = os.environ | {"WORKBENCH_HOME": str(tmp_path / "file" / "home")}
    command = [sys.executable, "app.py", "--port", str(free_port())]
    done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, timeout=60)
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1 and "WORKBENCH_HOME" in done.stderr


def test_check_says_what_is_in_order(tmp_path):
    env = os.environ | {"WORKBENCH_HOME": str(tmp_path)}
    command = [sys.executable, "app.py", "--check", "--port", str(free_port())]
    done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, timeout=120)
    lines = done.stdout.splitlines()
    assert done.returncode == 0, done.stdout + done.stderr
    assert sum(line.startswith("ok ") for line in lines) == 9


@pytest.mark.parametrize(("wrong", "said"), [(1, "1 of these is not"), (2, "2 of these are not")])
def test_check_counts_what_is_amiss(wrong, said):
    assert words.not_all(wrong).startswith(said)


@pytest.mark.parametrize("kept", [[], [object()]])
def test_check_says_that_torchvision_was_built_for_another_torch(kept, monkeypatch):
    vision.torchvision()
    monkeypatch.setattr(vision, "_kept", kept)
    assert ("noticed and handled" in _check._torchvision()) == bool(kept)


def test_help_needs_no_torch():
    program = "import sys, app; assert 'torch' not in sys.modules and 'gradio' not in sys.modules"
    subprocess.run([sys.executable, "-c", program], cwd=ROOT, check=True, timeout=60)


def test_app_is_short():
    assert len((ROOT / "app.py").read_text().splitlines()) <= 40


# ------------------------------------------------------------------ the parts, from inside


def test_a_whole_number_is_shown_as_one():
    """T = 4, not 4.0: in the box, and so in the link that is copied."""
    assert not re.search(r'value="\d+\.0"', _form.html())


def test_every_method_has_its_knobs_in_the_form():
    html = _form.html()
    for key, method in METHODS.items():
        assert f'data-method="{key}"' in html and f'value="{key}"' in html
        for name in method.knobs():
            assert f'data-field="{name}" data-own="{key}"' in html
    assert "${" not in html and "{{" not in html and "`" not in html  # a template would run these


def test_the_teacher_is_asked_for_where_there_is_one():
    block = '<div data-method="([^"]*)" hidden><div class="knob"><label for="f-teacher"'
    (shown,) = re.findall(block, _form.html())
    assert shown.split() == [key for key, kind in METHODS.items() if "teacher" in kind.needs]


@pytest.mark.parametrize("key", METHODS)
def test_the_form_means_the_recipe_that_it_shows(key):
    made = _form.setup(_form.defaults(key))
    assert made.recipe.method == METHODS[key]() and made.recipe.data.images == 50
    assert _form.setup(_form.values_of(made)) == made


@pytest.mark.parametrize("between", [
    {"assistant": "mlp-64"}, {"generations": 3}, {"assistant": "mlp-64", "generations": 2},
], ids=str)  # fmt: skip
def test_a_chain_of_teachers_is_recipes_and_comes_back(between):
    values = _form.defaults() | between
    made = _form.setup(values)
    links = _form.chain(made.recipe)
    expected = [between.get("assistant")] * ("assistant" in between)
    expected += ["mlp-16"] * between.get("generations", 1)
    assert [link.student for link in links] == ["mlp-256-256", *expected]
    assert all(link.method == made.recipe.method for link in links[1:])
    assert _form.values_of(made) == values and _form.setup(_form.values_of(made)) == made
    name = words.run_name(made.recipe, {})
    assert ("through mlp-64" in name) == ("assistant" in between)
    assert ("generation " in name) == ("generations" in between)


COMPARING = [key for key, kind in METHODS.items() if compares(kind)]


@pytest.mark.parametrize("key", METHODS)
def test_every_method_has_a_card(key):
    line = _form.show(_form.defaults(key))
    method = METHODS[key]
    assert escape(method.title) in _inside.card(line) and "$" in _inside.formula(line)
    assert "Shapes:" not in _inside.formula(line)
    code = _inside.code(line)
    assert escape(method.paper) in re.sub("</?a[^>]*>", "", code) and "def loss(" in code
    assert ("https://arxiv.org/abs/" in code) == ("arXiv" in method.paper)
    assert bool(_inside.pairs(line, 1120)) == (key in COMPARING)


@pytest.mark.parametrize("key", COMPARING)
def test_pairs_of_layers_can_be_picked_and_a_wrong_one_is_one_sentence(key):
    values = _form.defaults(key) | {"student": "cnn-4", "teacher": "cnn-8"}
    knob = next(name for name, one in METHODS[key].knobs().items() if one.kind == "pairs")
    named = values | {"knobs": values["knobs"] | {knob: "stage1:stage2"}}
    drawn = _inside.pairs(_form.show(named), 390)
    assert drawn.count("<button") == 7 and 'data-pairs="stage1:stage2"' in drawn
    assert _inside.pairs(_form.show(values), 390).count("<button") == 6  # no way back is needed
    wrong = values | {"knobs": values["knobs"] | {knob: "stage9:stage1"}}
    found = _inside.pairs(_form.show(wrong), 390)
    assert found.count('class="notice"') == 1 and "stage9" in found and "<svg" in found
    with pytest.raises(BadInput, match="stage9"):
        _form.setup(wrong)


def test_a_run_shows_what_it_compares_and_who_taught_whom(home):
    taught = Recipe("mlp-8", DATA["digits"](images=50), steps=12, events=4)
    halfway = taught.but(method=METHODS["pkt"](), teachers=(taught,))
    run = Run([halfway.but(teachers=(halfway,), seed=s) for s in range(2)]).drain()
    token = _visitor.new_token()
    sight = _desk.look(listed(token, run))[-1]
    seen = sight.take.views(4)
    assert len(seen) == 1 and len(seen[0]) == 30 and abs(sum(seen[0][0]) - 1) < 0.01
    drawn = _inside.panel(sight, [sight], 0, 1120)
    assert "within a class" in drawn and drawn.count('role="img"') == 2
    accuracy = words.percent(Run(taught).events()[-1].accuracy["test"][0])
    assert f"Teacher mlp-8, {accuracy}, 610 weights; then" in drawn
    (run.folder / "views.f16").unlink()
    assert words.NOT_SEEN in _inside.panel(sight, [sight], 0, 1120)


def test_presets_are_the_first_acts_arms():
    assert list(_form.presets()) == ["Labels only", "Distilled, T = 8"]
    assert all(p.recipe in _form.tuned() and p.seeds == 12 for p in _form.presets().values())
    again = RECIPES["born-again"]
    assert again.unchosen and {r.arm() for r in again.recipes} > {*again.unchosen}
    assert not _form.tuned() & {*again.unchosen}


ADDRESS = [
    (
        "temperature",
        ["1e9"],
        1e6,
        "from 0.01 to 1 000 000; 1e9 in the address was set to 1 000 000",
    ),
    ("temperature", ["-3"], 0.01, "-3 in the address was set to 0.01"),
    ("temperature", ["inf"], 1e6, "inf in the address was set to 1 000 000"),
    ("temperature", ["900"], 900, ""),
    ("k.temperature", ["900"], 900, ""),  # as older links have it
    ("temperature", ["0,5"], 0.5, ""),
    ("temperature", ["nan"], 4, "is nan, which is not a number. It is left at 4"),
    ("temperature", ["hot"], 4, "is hot, which is not a number. It is left at 4"),
    ("temperature", [""], 4, "is empty, which is not a number"),
    ("temperature", ["2", "3"], 4, "Temperature stands twice in the address. It is left at 4"),
    ("images", ["50.5"], 50, "in whole numbers; 50.5 in the address was set to 50"),
    ("images", ["2000"], 1000, "2000 in the address was set to 1 000"),
    ("labelled", ["60"], 50, "Labelled goes from 0 to 50 in whole numbers; 60 in the address was"),
    ("labelled", ["50"], 50, ""),
    ("labelled", ["1000"], 1000, ""),  # as older links have it: all
    ("student", ["mlp-17"], "mlp-16", "mlp-17 is not. It is left at mlp-16"),
    ("left_out", ["1,1"], (), "It is left at none"),
    ("epsilon", ["0.1"], None, "epsilon=0.1, which Distillation does not have"),
    ("colour", ["1"], None, "colour=1, which is not known here"),
]


@pytest.mark.parametrize(("name", "texts", "value", "said"), ADDRESS)
def test_an_address_is_clamped_and_says_why(name, texts, value, said):
    values, notes = _form.from_address([("method", "kd"), *((name, text) for text in texts)])
    assert (values | values["knobs"]).get(name.removeprefix("k.")) == value
    assert len(notes) == bool(said) and said in "".join(notes).replace("\u202f", " ")


def test_an_address_may_use_the_symbol_that_start_uses():
    values, notes = _form.from_address([("tab", "train"), ("T", "8")])
    assert values["knobs"]["temperature"] == 8 and not notes


@pytest.mark.parametrize(("texts", "said"), [(["kdd"], "method=kdd"), (["kd", "kd"], "twice")])
def test_an_address_without_a_method_means_distillation(texts, said):
    values, notes = _form.from_address([("method", text) for text in texts])
    assert values == _form.defaults() and said in notes[0]


@pytest.mark.parametrize(("labelled", "means"), [("0", 0), ("20", 20), ("50", 1000), (1000, 1000)])
def test_as_many_labels_as_images_are_all(labelled, means):
    made = _form.setup(_form.defaults() | {"labelled": labelled})
    assert made.recipe.data == DATA["digits"](images=50, labelled=means)


@pytest.mark.parametrize(
    ("method", "labelled", "said"),
    [
        ("kd", 60, "Labelled goes from 0 to 50 in whole numbers; 60 does not fit."),
        ("scratch", 0, "Labels only has nothing to learn from: Labelled is 0."),
        ("label-smoothing", 0, "Label smoothing has nothing to learn from: Labelled is 0."),
    ],
)
def test_a_wrong_number_of_labels_is_said_in_the_forms_words(method, labelled, said):
    with pytest.raises(BadInput) as error:
        _form.setup(_form.defaults(method) | {"labelled": labelled})
    assert words.sentence(error.value) == said


def test_only_an_address_is_clamped():
    with pytest.raises(BadInput, match="Temperature goes from"):
        _form.setup({"method": "kd", "knobs": {"temperature": "1e9"}})


@pytest.mark.parametrize(
    ("pace", "seconds", "untrained", "said"),
    [
        (8.0, 0.5, False, "About 8 s, slowed down."),
        (8.0, 5.0, False, "More than 8 s."),
        (8.0, 0.5, True, "More than 8 s."),
        (0.0, 0.5, True, "At full speed."),
        (0.0, 11.0, True, "At full speed, some 15 s or less."),
    ],
)
def test_what_run_costs_is_no_more_than_is_known(pace, seconds, untrained, said):
    assert words.ready(pace, seconds, untrained) == said


def test_a_crowd_of_notes_is_counted():
    _, notes = _form.from_address([(f"x{i}", "1") for i in range(9)])
    assert words.notes(notes).endswith(". 6 more of its values could not be taken.")


def test_two_visitors_do_not_share_a_list(tmp_path, monkeypatch):
    monkeypatch.setenv("WORKBENCH_HOME", str(tmp_path))
    one, two = _visitor.new_token(), _visitor.new_token()
    with _visitor.change(one) as found:
        found.hide([entry.run for entry in found.shown()])
    assert not _visitor.visitor(one).shown() and len(_visitor.visitor(two).shown()) == 2
    _visitor._known.clear()  # as after a restart
    assert not _visitor.visitor(one).shown()
    with _visitor.change(one) as found:
        found.bring_back()
    assert len(_visitor.visitor(one).shown()) == 2
    assert one not in "".join(path.name for path in (tmp_path / "visitors").iterdir())


def test_somebody_new_sees_an_image_on_which_the_teacher_hesitates(tmp_path, monkeypatch):
    monkeypatch.setenv("WORKBENCH_HOME", str(tmp_path))
    place = _visitor.visitor(_visitor.new_token()).sample
    known = _take.heard(_form.setup(_form.defaults()).recipe.teachers[0])
    shares = _take.softmax(known.logits[place], 1.0)
    first, second = sorted(shares)[:-3:-1]
    assert first == shares[_take.gallery()[place].label] and second > 0.2


def test_a_damaged_list_starts_anew(tmp_path, monkeypatch):
    monkeypatch.setenv("WORKBENCH_HOME", str(tmp_path))
    token = _visitor.new_token()
    with _visitor.change(token):
        pass
    file = next((tmp_path / "visitors").iterdir())
    for text in ("", "[]", '{"entries": [{"run": "runs/../../x/1"}]}', '{"entries": 5}'):
        file.write_text(text)
        _visitor._known.clear()
        assert len(_visitor.visitor(token).shown()) == 2


def test_the_first_act_is_the_landing_page():
    assert min(pages().values(), key=lambda page: page.order).title == words.START


# ------------------------------------------------------------------------ damage and the disk


def listed(token, *runs_):
    """A visitor's list with these runs in it, the last one chosen."""
    with _visitor.change(token) as one:
        for run in runs_:
            one.put(_visitor.Entry(_visitor.name_of(run.folder)))
            one.chosen = _visitor.name_of(run.folder)
    return one


def garble(path):
    path.write_text("garbage")


def lose_a_line(path):
    first, _, *rest = path.read_text().splitlines(keepends=True)
    path.write_text("".join([first, *rest]))


def add_a_byte(path):
    path.write_bytes(path.read_bytes() + b" ")


FORM = _form.show(_form.defaults())
DAMAGE = [
    ("stopped", "events.jsonl", garble),
    ("stopped", "events.jsonl", lose_a_line),
    ("stopped", "state.json", garble),
    ("stopped", "recipes.json", garble),
    ("done", "events.jsonl", add_a_byte),
    ("done", "weights.safetensors", garble),
]


@pytest.mark.parametrize(
    ("how", "name", "damage"), DAMAGE, ids=lambda v: getattr(v, "__name__", v)
)
def test_a_damaged_run_leaves_the_list_and_the_page_says_so(home, how, name, damage):
    run, sound = (Run(Recipe(steps=12, events=4, seed=seed)) for seed in range(2))
    sound.drain()
    for event in run:
        if how == "stopped" and event.step == 6:
            break
    token, here = _visitor.new_token(), train.Session(form=FORM)
    one = listed(token, sound, run)
    before = train.draw(one, here)
    assert "notice" not in before["status"]
    damage(run.folder / name)
    with pytest.warns(runs.DamagedRunWarning, match=name):
        after = train.draw(one, here)
    assert words.DAMAGED in after["status"] and after["labels"][0]
    assert after["pins"].count("<tr") == before["pins"].count("<tr") - 1
    assert one.chosen == _visitor.name_of(sound.folder) and not run.folder.exists()
    assert len(list((home / "damaged").iterdir())) == 1
    again = train.draw(one, train.Session(form=FORM))
    assert "notice" not in again["status"] and again["pins"] == after["pins"]


def test_a_run_that_grows_is_not_taken_for_damaged(home):
    """Its trainer holds the lease; what it is just writing says nothing about it."""
    run = Run(Recipe(steps=12, events=4))
    token, here = _visitor.new_token(), train.Session(form=FORM)
    for event in run:
        one = listed(token, run)
        path = run.folder / "events.jsonl"
        whole = path.stat().st_size
        with open(path, "a") as file:
            file.write('{"step"')
        assert "notice" not in train.draw(one, here)["status"]
        os.truncate(path, whole)
        if event.step == 6:
            break
    assert run.folder.exists() and not (home / "damaged").exists()


def test_a_run_that_the_disk_stopped_says_why_and_can_go_on(home, monkeypatch):
    run, why = Run(Recipe(steps=12, events=4)), "the disk has no room; make some"
    for _ in run:
        break
    state = json.loads((run.folder / "state.json").read_text())
    runs.Status(**state | {"status": "running", "step": 0}).write(run.folder)
    one, here = listed(_visitor.new_token(), run), train.Session(form=FORM)
    assert "no room" not in train.draw(one, here)["status"]
    monkeypatch.setitem(_desk.pool().why, run.folder, why)  # as its worker said
    found = train.draw(one, here)
    assert words.STATES["stopped"] in found["status"] and words.whole(why) in found["status"]
    assert words.CONTINUE in found["labels"]
    here.message = words.whole(why)
    assert train.draw(one, here)["status"].count(words.whole(why)) == 1
    run.drain()
    assert "no room" not in train.draw(one, train.Session(form=FORM))["status"]


def asked(**more):
    """What a handler gets of a page that asks."""
    return SimpleNamespace(session_hash=_visitor.new_token(), query_params=QueryParams(more))


def lose_the_home(home):
    """Its folder is replaced by a file while the app runs."""
    home.rename(home.with_name("moved"))
    home.write_text("")


@pytest.mark.parametrize("label", [words.RUN, words.STEP, words.STOP, words.RESET, words.CONTINUE])
def test_a_home_that_is_gone_is_one_sentence_on_the_page(home, label, caplog):
    token = _visitor.new_token()
    listed(token, Run(Recipe(steps=12, events=4)).drain())
    lose_the_home(home)
    said = f"WORKBENCH_HOME={home}: is a file, expected a folder; set WORKBENCH_HOME to"
    request = asked()
    pages_ = [train.pressed(label, token, FORM, request), train.resized(token, "", request),
              train.arrive(token, "", "", request)[2:], train.arrive("", "", "", asked())[2:],
              train.clicked(token, FORM, request, SimpleNamespace(_data={"do": "heat"}))[1:],
              train.shown(token, FORM, "", request)[1:]]  # fmt: skip
    for found in pages_:
        page = dict(zip((*train.BUTTONS, *train.PARTS), found, strict=True))
        assert page["status"].count(said) == 1 and 'role="alert"' in page["status"]
        assert not isinstance(page["pins"], str)  # what was there stays
    assert said in train.changed(token, FORM, request)[len(train.BUTTONS)]
    assert not caplog.records  # nothing for the log


@pytest.mark.parametrize("do", ["guess", "stop", "go", "again", "train", "cold"])
def test_the_first_act_goes_on_without_a_home(home, do, caplog):
    token, request = _visitor.new_token(), asked()
    _act.write(token, _act.Act("warm", 0.8, _act.Showing("runs/0123456789abcdef/1", 1.0)))
    lose_the_home(home)
    *page, tab = start.clicked(
        token, "", request, SimpleNamespace(_data={"do": do, "guess": "80"})
    )
    assert "is a file, expected a folder" in page[0] and page[0].count("<h1") == 1
    assert not caplog.records
