"""Every word that people read is in one file: `words`, and nowhere in what draws and asks."""

import ast
import builtins
import importlib.util
import re
import string
import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
import test_charts

from workbench import charts, words

PACKAGE = Path(words.__file__).parent
FILES = [path for part in ("charts", "ui") for path in sorted((PACKAGE / part).glob("*.py"))]

#: Attributes that are read, or read aloud; all others are for machines.
READ = r"(?:aria-\w+text|aria-label|title|alt|placeholder|data-(?:name|done|dark|light))"
#: CSS, JavaScript and Python in strings.
CODE = re.compile(r"[\w-]+:[^;{}]+;|=>|^import \w+;|^window\.")
LETTERS = re.compile("[A-Za-z]{2,}")
#: A capital, or a word beside another or beside a value.
PROSE = re.compile(
    r"\b[A-Z][a-z]+\b|(?<![\w-])[a-z]{2,}[,;:.]? +(?:[a-z]+(?![\w-])|\{)|\} +[a-z]{2,}(?![\w-])"
)
#: Words, but not for people: a setting of Gradio and fonts.
ALLOWED = {"False", "Segoe UI", "Roboto", "Noto Sans"}
#: Names of styles: 'name halo' is no sentence.
STYLES = set(re.findall(r"\.([a-z][\w-]*)", charts.STYLE))
#: Whoever reads these reads the program.
LOGS = {"debug", "info", "warning", "error", "exception"}


def literals(tree):
    """(line, text) of each string in the code; an f-string is one text, its values are {}."""
    skip = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            skip.add(id(node.value))  # docstrings
        if isinstance(node, ast.JoinedStr):
            skip |= {id(part) for part in node.values}
            skip |= {id(part) for value in node.values if isinstance(value, ast.FormattedValue)
                     and value.format_spec for part in ast.walk(value.format_spec)}  # fmt: skip
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            skip |= {id(part) for part in node.args if node.func.attr in LOGS}
        if isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call):
            if hasattr(builtins, ast.unparse(node.exc.func)):  # an error for programmers
                skip |= {id(part) for part in ast.walk(node.exc)}
    for node in ast.walk(tree):
        if id(node) in skip:
            continue
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.lineno, node.value
        if isinstance(node, ast.JoinedStr):
            parts = (p.value if isinstance(p, ast.Constant) else "{}" for p in node.values)
            yield node.lineno, "".join(parts)


def read(text):
    """What people read of a string, if it is more than a name for the program."""
    if text in ALLOWED or CODE.search(text):
        return []
    found = [value for _, value in re.findall(rf"\b{READ}=([\"'])(.*?)\1", text)]
    rest = re.sub(r"<[^<>]*>|<[^<>]*$|^[^<>]*>|[\w-]+=(?:\"[^\"]*\"|'[^']*'|\w+)", " ", text)
    if "<" in text:  # between the marks of markup, every word is for people
        return [*filter(LETTERS.search, (*found, rest))]
    styled = STYLES.issuperset(rest.replace("{}", " ").split())
    return [*filter(LETTERS.search, found), *([rest] if PROSE.search(rest) and not styled else [])]


@pytest.mark.parametrize("path", FILES, ids=[f"{path.parent.name}-{path.stem}" for path in FILES])
def test_no_word_that_people_read_stands_elsewhere(path):
    tree = ast.parse(path.read_text("utf-8"))
    found = [
        f"{path.name}:{line}: {part!r}" for line, text in literals(tree) for part in read(text)
    ]
    assert not found, "words belong to workbench/words.py: " + "; ".join(found)


@pytest.mark.parametrize("code", [
    '_text(0, 12, "Teacher")', '"no answer yet"', 'f"step {last}"', 'f"{a} sure, {b}"',
    '"<summary>Data table</summary>"', '"<b>fixed</b>"', "'<i title=\"next\">'",
    "f'<i aria-label=\"{a} of {b}\">'", 'BadInput("run: expected an id")', 'f"Axis: {low:g}"',
])  # fmt: skip
def test_a_word_is_noticed(code):
    assert [part for _, text in literals(ast.parse(f"x = {code}")) for part in read(text)]


@pytest.mark.parametrize("code", [
    '"""A docstring."""', '_text(0, 12, name, "name halo", text_anchor="end")', 'x = " hidden"',
    'x = f\'<i class="live-dot {role}" data-do="next" title="{words.NEXT}">{words.NEXT}</i>\'',
    'raise AttributeError(f"module has no attribute {name}")', 'x = \'" data-own="\'',
    'x = state == "failed"', 'x = f"chip {role}"',
])  # fmt: skip
def test_what_is_for_the_program_may_stay(code):
    assert not [part for _, text in literals(ast.parse(code)) for part in read(text)]


# ---------------------------------------------------------------- a language without letters


def foreign(value):
    """The same without latin letters; what stands in braces is filled in later."""
    if isinstance(value, str):
        return re.sub(r"(\{[^}]*\})|[A-Za-z]", lambda m: m[1] or "ж", value)
    if isinstance(value, tuple):
        return tuple(map(foreign, value))
    if isinstance(value, dict):
        return {key: foreign(one) for key, one in value.items()}
    return value


#: Letters that no translation touches, for what data say.
AWAY = {ord(c): 0xE000 + ord(c) for c in string.ascii_letters}


def kept(value):
    """What is given to a sentence, put out of reach of its translation."""
    if isinstance(value, (list, tuple)):
        return [*map(kept, value)]
    return value.translate(AWAY) if isinstance(value, str) and value not in words.SEEN else value


@pytest.fixture
def abroad(monkeypatch):
    """`charts` after every word was translated, also those that stand in its signatures."""
    back = {there: here for here, there in AWAY.items()}

    def translated(function):
        return lambda *given: foreign(function(*map(kept, given))).translate(back)

    for name, value in vars(words).copy().items():
        made = getattr(value, "__module__", None) == words.__name__
        if made and value.__annotations__.get("return") == "str":
            monkeypatch.setattr(words, name, translated(value))
        elif name.isupper():
            monkeypatch.setattr(words, name, foreign(value))
    others = {"inside": "within", "lineage": "chain", "stacked": "stacked", "grid": "maps"}
    for name, alias in others.items():
        file = Path(charts.__file__).with_name(f"{name}.py")
        monkeypatch.setattr(test_charts, alias, loaded(monkeypatch, f"{name}_abroad", file))
    return loaded(monkeypatch, "charts_abroad", Path(charts.__file__))


def loaded(monkeypatch, name, file):
    """A module anew, with the words as they are now."""
    spec = importlib.util.spec_from_file_location(name, file)
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, name, module)  # dataclasses look there
    spec.loader.exec_module(module)
    return module


def said(text):
    """All that is read of a picture, or read aloud."""
    for element in ET.fromstring(text).iter():
        for part in (element.text, element.tail, element.get("aria-label")):
            yield re.sub("Run|Distilled|labels", "", part or "")  # names that the data have


@pytest.mark.parametrize("width", [320, 900])
def test_pictures_speak_the_language_of_the_words(abroad, monkeypatch, width):
    for name in ("Bin", "Difference", "Note", "Opinion", "Row", "Series"):
        monkeypatch.setattr(test_charts, name, getattr(abroad, name))
    monkeypatch.setattr(test_charts, "charts", abroad)
    drawn = test_charts.everything(width, "8")
    sure, none = abroad.Opinion("kd", "8", [0.9, 0.1]), abroad.Opinion("kd", "8", [])
    lost = abroad.Series("kd", "8", [5], [[None]])
    digit = [[[0.0, 1.0]]] * 2
    drawn |= {
        "chips": f"<p>{''.join(map(abroad.chip, words.VERDICTS))}</p>",
        "no model": abroad.opinion_rows([], width=width),
        "no answer": abroad.opinion_rows([none], width=width, truth=1),
        "no number": abroad.curves([lost], width=width),
        "no loss": test_charts.stacked.losses([], width=width),
        "no bin": abroad.reliability([], width=width),
        "nothing fixed": abroad.confusion_difference([[0.0] * 10] * 10, width=width, by="8"),
        "both ways": abroad.differences([test_charts.difference("8", [-0.2, 0.2])], width=width),
        "guess": abroad.guess(0, 100, width=width, you=70, truth=80),
        "soft": abroad.soft_bars(sure, none, digit),
        "soft table": abroad.soft_table([("8", sure)], caption="8"),
        "wide": abroad.table(["8"] * 5, [], caption="8"),
        **{
            state: abroad.curves(
                test_charts.series(1, length=9, state=state, name="8"), width=width, last_step=300
            )
            for state in (*words.SEEN, "ended")
        },
    }
    latin = {name: [*filter(LETTERS.search, said(text))]
             for name, text in drawn.items()}  # fmt: skip
    assert not any(latin.values()), {name: found for name, found in latin.items() if found}
    assert "ж" in drawn["curves"] and "ж" in drawn["chips"]


def test_pictures_and_words_are_quick_to_import():
    """Neither brings torch, which takes seconds."""
    code = "import sys, workbench.charts; sys.exit('torch' in sys.modules)"
    assert not subprocess.run([sys.executable, "-c", code], cwd=PACKAGE.parent).returncode
