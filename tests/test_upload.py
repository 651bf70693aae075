"""A visitor's own data on the page: what is taken in, what is refused, and who may see it."""

from __future__ import annotations

import io
import json
import os
import zipfile
from types import SimpleNamespace

import numpy as np
import pytest
from gradio.utils import get_upload_folder
from PIL import Image
from starlette.datastructures import QueryParams

from workbench import Run, runs, words
from workbench.base import BadInput
from workbench.data import DATA, _read
from workbench.data.own import _found, _parts
from workbench.methods import METHODS
from workbench.ui import _api, _data, _form, _picture, _take, _visitor, train

EVIL = "<b>x</b>"


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("WORKBENCH_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path / "sent"))
    return tmp_path


def table(count=30, classes=(EVIL, "two", "three"), value="{:.3f}"):
    draw = np.random.RandomState(0)
    rows = ["a,b,class"]
    for i in range(count):
        k = i % len(classes)
        cells = [value.format(v) for v in draw.randn(2) + 3 * k]
        rows.append(",".join([*cells, classes[k]]))
    return "\n".join(rows).encode()


def pictures(side=12, extra=()):
    draw, file = np.random.RandomState(0), io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for i in range(20):
            made = io.BytesIO()
            Image.fromarray(draw.randint(0, 255, (side, side, 3), np.uint8)).save(made, "PNG")
            archive.writestr(f"{('cat', EVIL[1:4])[i % 2]}/{i}.png", made.getvalue())
        for name, content in extra:
            archive.writestr(name, content)
    return file.getvalue()


def arrays(**given):
    file = io.BytesIO()
    np.savez(file, **given)
    return file.getvalue()


def sent(content, name):
    """A file as Gradio puts it away."""
    folder = os.path.join(get_upload_folder(), "0" * 64)
    os.makedirs(folder, exist_ok=True)
    path = os.path.join(folder, name)
    with open(path, "wb") as file:
        file.write(content)
    return path


def give(token, content, name="mine.csv"):
    path = sent(content, name)
    try:
        _data.receive(token, path, name)
    finally:
        assert not os.path.exists(path)
    return _visitor.visitor(token)


def request(token):
    return SimpleNamespace(session_hash=token, query_params=QueryParams(""))


HUGE = b"\0" * (_form.LARGEST_FILE + 1)
FEW = arrays(x=np.zeros((30, 4), np.float32), y=np.zeros(30, int))
OBJECTS = arrays(x=np.array([{}] * 30, object), y=np.arange(30) % 2)
ENDLESS = np.full((30, 4), np.nan, np.float32)
WRONG = {
    "a type of its own": (b"MZ\x90", "tool.exe", "expected a .zip, .npz or .csv"),
    "too large": (HUGE, "big.zip", "20 MB"),
    "empty": (b"", "none.csv", "is empty"),
    "a page": (b"<html><body>hello</body></html>", "page.csv", "at least two columns"),
    "no zip": (b"PK but no more", "pets.zip", "no zip file"),
    "leads out": (pictures(extra=[("../../x.png", b"x")]), "pets.zip", "leads out of it"),
    "one class": (FEW, "one.npz", "one class only"),
    "pickled": (OBJECTS, "objects.npz", "unpickled"),
    "no numbers": (arrays(x=ENDLESS, y=np.arange(30) % 2), "nan.npz", "NaN"),
    "infinite": (table(value="inf"), "inf.csv", "infinite"),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_cannot_be_used_is_one_sentence_and_leaves_what_there_was(home, case):
    token = _visitor.new_token()
    before = give(token, table()).own
    content, name, said = WRONG[case]
    with pytest.raises(BadInput) as error:
        give(token, content, name)
    text = words.sentence(error.value)
    assert said in text and "Traceback" not in text and str(home) not in text
    one = _visitor.visitor(token)
    assert one.own == before and one.data() is not None and len(list(one.folder.iterdir())) == 1


def test_a_zip_that_unpacks_to_too_much_is_refused_unread(home, monkeypatch):
    monkeypatch.setattr(_read, "BYTES", 19_000_000)
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for i in range(20):
            archive.writestr(f"{'ab'[i % 2]}/{i}.png", b"\0" * 1_000_000)
    assert len(file.getvalue()) < 100_000
    with pytest.raises(BadInput, match="unpacks to more"):
        give(_visitor.new_token(), file.getvalue(), "bomb.zip")


def test_more_numbers_than_the_page_trains_on_are_refused(home, monkeypatch):
    monkeypatch.setattr(_data, "NUMBERS", 59)
    token = _visitor.new_token()
    with pytest.raises(BadInput, match="at most 59"):
        give(token, table())
    assert not list(_visitor.visitor(token).folder.iterdir())


@pytest.mark.parametrize("path", ["/etc/passwd", "", "../x", "\0", None, 5])
def test_nothing_but_what_was_sent_can_be_named(home, path):
    secret = home / "secret.csv"
    secret.write_bytes(table())
    os.makedirs(get_upload_folder(), exist_ok=True)
    os.symlink(secret, os.path.join(get_upload_folder(), "link.csv"))
    linked = os.path.join(get_upload_folder(), "link.csv")
    for one in (path, str(secret), linked, f"{get_upload_folder()}/../secret.csv"):
        with pytest.raises(BadInput):
            _data.receive(_visitor.new_token(), one, "mine.csv")
    assert secret.exists()


def test_the_oldest_files_make_room(home):
    token = _visitor.new_token()
    for count in range(30, 30 + 3 * (_data.KEPT + 2), 3):
        one = give(token, table(count))
    assert len(list(one.folder.iterdir())) == _data.KEPT and one.data().samples == count


def test_only_its_visitor_finds_data_and_runs(home):
    mine, other = _visitor.new_token(), _visitor.new_token()
    one = give(mine, table())
    line = _form.with_own(_form.show(_form.defaults()), one.data())
    made = _form.read(line, one.data())
    recipe = made.recipe.but(steps=2, events=1, method=METHODS["scratch"](), teachers=())
    run = Run(recipe).drain()
    name = f"{run.folder.parent.name}/{run.folder.name}"
    with pytest.raises(BadInput, match="not known here"):
        _api._folder(name)
    two = _visitor.visitor(other)
    assert two.data() is None and two.find(f"runs/{name}") is None
    with pytest.raises(BadInput, match="nothing is here yet"):
        _form.read(line, two.data())
    # the same file in other hands is other data, with runs of their own
    theirs = give(other, table()).data()
    assert theirs != one.data() and theirs.path != one.data().path
    assert _form.named(line, theirs)[1] != _form.named(line, one.data())[1]
    assert one.key[:32] in one.data().path and mine not in one.data().path
    values, (note,) = _form.from_address([("data", "own"), ("steps", "50")])
    assert values["data"] == "digits" and words.OWN_LINK in note


def test_an_upload_fills_the_form_and_what_is_wrong_leaves_it(home):
    token = _visitor.new_token()
    line = _form.show(_form.defaults() | {"student": "cnn-8", "images": 700, "left_out": [7]})

    def upload(content, name):
        event = SimpleNamespace(_data={"path": sent(content, name), "name": name})
        return train.received(token, line, request(token), event)

    filled = json.loads(upload(table(), "mine.csv")[0])
    assert filled["data"] == "own" and filled["images"] == 18 and filled["left_out"] == []
    assert filled["student"].startswith("mlp") and filled["about"]["names"] == [
        EVIL,
        "three",
        "two",
    ]
    assert "30 samples" in filled["about"]["said"]
    own = _visitor.visitor(token).data()
    made = _form.read(json.dumps(filled), own)
    assert made.recipe.data.classes == 3 and made.recipe.data.shape == (2,)
    kept = json.loads(upload(b"", "none.csv")[0])
    assert kept["data"] == "digits" and kept["student"] == "cnn-8"
    assert "is empty" in kept["about"]["said"] and _visitor.visitor(token).data() == own


@pytest.mark.parametrize("content, name", [(table(), "a.csv"), (pictures(), "a.zip")])
def test_a_run_on_own_data_is_drawn_and_every_name_is_escaped(home, content, name):
    token = _visitor.new_token()
    own = give(token, content, name).data()
    made = _form.setup(_form.defaults(data=own) | {"steps": 4, "seeds": 1}, own=own)
    recipe = made.recipe.but(events=2, teachers=(made.recipe.teachers[0].but(steps=2),))
    folder = Run(recipe).drain().folder
    with _visitor.change(token) as one:
        one.put(_visitor.Entry(_visitor.name_of(folder)))
        one.chosen = _visitor.name_of(folder)
    here = train.Session(form=_form.show(_form.defaults()))
    found = train.draw(one, here)
    drawn = "".join(value for value in found.values() if isinstance(value, str))
    assert EVIL not in drawn and EVIL[:3] + "<" not in drawn
    assert f"Right on the {own.tests} test" in found["chart"]
    assert ("data:image" in found["image"]) == (name == "a.zip")
    assert ("Test sample" in found["image"]) == (name == "a.csv")
    assert found["everybody"] and ("data-sample" in found["samples"]) == (name == "a.zip")
    now = _picture.scene(one)  # digits and own data are not compared
    assert len(now.sights) == 3 and len(now.beside) == 1 and not now.compared
    _take._shown.cache_clear()
    _take._heard.cache_clear()
    for path in one.folder.iterdir():
        path.unlink()
    _found.cache_clear()
    _parts.cache_clear()
    assert words.DATA_GONE in train.draw(one, here)["image"] and one.data() is None


def test_published_data_that_are_not_here_are_not_fetched(monkeypatch):
    absent = next(key for key, kind in DATA.items() if not kind.here()) if any(
        not kind.here() for kind in DATA.values()) else "mnist"  # fmt: skip
    monkeypatch.setattr(DATA[absent], "here", classmethod(lambda cls: False))
    with pytest.raises(BadInput, match="not on this machine"):
        _form.setup({"data": absent})
    assert f'value="{absent}" disabled' in _form.html()
    assert _form.from_address([("data", absent)])[0]["data"] == "digits"


def test_a_teacher_that_takes_long_is_said_first():
    said = words.ready(8.0, 5.0, True, 55.0)
    assert said == "Up to about 60 s: the teacher learns first."
    assert "learns first, step 20 of 600" in words.teaching("Teacher", 20, 600)
    assert runs.GALLERY == 60
