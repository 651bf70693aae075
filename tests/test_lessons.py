"""Lessons: their data, their exercises, and notebooks that are current and claim what they say."""

from __future__ import annotations

import re
import statistics
import sys
import time

import nbformat
import numpy as np
import pytest
import torch
from torch import Tensor

from workbench import RECIPES
from workbench.__main__ import main
from workbench.base import BadInput
from workbench.lessons import LESSONS, Reply, claim, current
from workbench.lessons._build import execute, unclean
from workbench.lessons._claim import prose, stated, unproved
from workbench.lessons._exercise import CORRECT, NOT_YET, NOTHING

EXERCISES = [(n, q) for n, lesson in LESSONS.items() for q in lesson.exercises]
WRONGS = [(n, q, w) for n, q in EXERCISES for w in q.wrongs]
FUNCTIONS = [(n, q) for n, q in EXERCISES if q.inputs]
every_lesson = pytest.mark.parametrize("number", LESSONS)


def name(value):
    return getattr(value, "name", None)


def cells(number, kind=None):
    found = nbformat.read(LESSONS[number].notebook, as_version=4).cells
    return [cell for cell in found if kind in (None, cell.cell_type)]


def notebook(number):
    return nbformat.read(LESSONS[number].notebook, as_version=4)


# ------------------------------------------------------------------------------ what it is


@every_lesson
def test_a_lesson_says_what_it_needs_to(number):
    lesson = LESSONS[number]
    assert lesson.number == number and len(lesson.words) == 5 and lesson.question.endswith("?")
    assert lesson.notebook.exists() and all(name in RECIPES for name in lesson.recipes)
    text = prose(notebook(number))
    for said in (f"# {number} · {lesson.title}", lesson.question, lesson.sentence,
                 f"About {lesson.minutes} minutes"):  # fmt: skip
        assert said in text
    for word, meaning in lesson.words.items():
        assert f"| **{word}** | {meaning} |" in text


@every_lesson
def test_a_lesson_keeps_its_measure(number):
    code, text = cells(number, "code"), cells(number, "markdown")
    lines = [len([x for x in c.source.splitlines() if x.strip()]) for c in code]
    assert len([c for c in code if "claims" not in c.metadata.get("tags", [])]) <= 25
    assert statistics.median(lines) <= 6 and max(lines) <= 25
    words = [len(re.sub(r"<[^>]+>|\$.*?\$", " ", c.source).split()) for c in text]
    assert max(words) <= 80 and sum(words) <= 1500
    sources = "\n".join(c.source for c in code)
    assert sources.count("Guess(") >= 2 and len(re.findall(r"\.check\(", sources)) >= 2
    assert len(re.findall(r"\b(Slider|LiveRun|SweepRun|Twin)\(", sources)) <= 3
    assert "pyplot" not in sources


@every_lesson
def test_a_guess_comes_before_its_run(number):
    at = {}
    for i, cell in enumerate(cells(number)):
        for what, verb in re.findall(r"(\w+)(?:\.(reveal)| = Guess)", cell.source):
            at.setdefault((what, verb), i)
    asked = [what for what, verb in at if not verb]
    assert asked and all(at[what, ""] < at[what, "reveal"] for what in asked)


@every_lesson
def test_what_a_guess_is_about_waits_for_it(number):
    """Run all at once, no cell may answer a question that is still open; nor may its still."""
    open_, gated = None, re.compile(r"\.reveal\(|after=|\bafter\": |await run")
    for cell in cells(number, "code"):
        if "claims" in cell.metadata.get("tags", []):
            assert not cell.outputs, cell.id
        if found := re.search(r"(\w+) = Guess\(", cell.source):
            open_ = found[1]
        elif gated.search(cell.source):
            assert open_ in cell.source or "await run" in cell.source, cell.id
        if re.search(r"\.reveal\(|\bafter\b", cell.source):
            assert "answer" in cell.metadata.tags, cell.id
        hidden = cell.metadata.get("jupyter", {}).get("outputs_hidden", False)
        assert hidden == ("answer" in cell.metadata.get("tags", [])), cell.id
    runs = [c.source for c in cells(number, "code") if "LiveRun(\n" in c.source]
    assert all("after=" in source for source in runs)


def test_the_list_and_the_key_have_every_lesson(capsys):
    assert main(["lessons", "list"]) == 0 and main(["lessons", "key"]) == 0
    out = capsys.readouterr().out
    for lesson in LESSONS.values():
        assert lesson.title in out and lesson.question in out
        for exercise in lesson.exercises:
            assert exercise.answer_text() in out
            assert all(wrong.says in out for wrong in exercise.wrongs)
    assert main(["lessons", "key", "99"]) == 2 and main(["lessons", "key", "--check"]) == 2


# -------------------------------------------------------------------------------- exercises


@pytest.mark.parametrize(("number", "exercise"), EXERCISES, ids=name)
def test_the_solution_is_correct_and_an_untouched_stub_is_not_judged(number, exercise):
    assert exercise.check(exercise.answer).state == CORRECT
    assert exercise.check().state == NOTHING
    assert exercise.use(exercise.answer) is exercise.answer
    if exercise.inputs:

        def stub(*_):
            raise NotImplementedError

        assert exercise.check(stub).state == NOTHING
        assert exercise.use(stub) is exercise.answer


@pytest.mark.parametrize(("number", "exercise", "wrong"), WRONGS, ids=name)
def test_a_listed_wrong_answer_gets_its_reason(number, exercise, wrong):
    reply = exercise.check(wrong.answer)
    assert reply.state == NOT_YET and wrong.says in reply.text
    assert not reply and exercise.use(wrong.answer) is exercise.answer


@pytest.mark.parametrize(("number", "exercise"), FUNCTIONS, ids=name)
@pytest.mark.parametrize(
    ("given", "said"),
    [
        (lambda *a: None, "returns nothing"),
        (lambda *a: "x" * 3, "returns a str, 'xxx'"),
        (lambda *a: {}, "returns a dict, {}"),
        (lambda *a: 1 / 0, "ZeroDivisionError"),
        (lambda: 1, "TypeError"),
        ("soften", "expected your function, got a str"),
        (3.0, "expected your function, got a float, 3.0"),
    ],
)
def test_a_wrong_type_is_named(number, exercise, given, said):
    reply = exercise.check(given)
    assert reply.state == NOT_YET and said in reply.text
    assert "Traceback" not in str(reply)


@pytest.mark.parametrize(("number", "exercise"), EXERCISES, ids=name)
def test_a_line_is_a_number(number, exercise):
    if exercise.inputs is None:
        for given in ("3", 3.0, True, [3], 99):
            assert "expected the number of a line" in exercise.check(given).text


def endless(*_):
    while True:
        pass


def stubborn(*_):
    while True:
        try:
            time.sleep(0.001)
        except Exception:
            pass


@pytest.mark.parametrize("loop", [endless, stubborn])
def test_an_endless_loop_is_stopped_and_said_so(loop):
    begun = time.monotonic()
    reply = EXERCISES[0][1].check(loop, seconds=0.3)
    assert time.monotonic() - begun < 2
    assert reply.state == NOT_YET and "still running after 0.3 seconds" in reply.text
    assert EXERCISES[0][1].check(EXERCISES[0][1].answer), "the next check works"


def test_an_answer_may_not_change_what_the_lesson_needs_again():
    def writes(logits, temperature):
        logits /= temperature
        return logits.softmax(-1)

    def empties(p, y, digit):
        p[:, digit] = 0
        return int(p[y == digit].mean(0).argmax())

    for q, answer in zip(LESSONS["01"].exercises, (writes, empties), strict=False):
        assert "changes what it is given" in q.check(answer).text
        assert q.check(q.answer), "the next check is not spoilt"


@pytest.mark.parametrize("turn", [Tensor.tolist, Tensor.numpy])
def test_right_numbers_of_another_kind_are_told_so(turn):
    reply = LESSONS["01"].exercises[0].check(lambda z, T: turn((z / T).softmax(-1)))
    assert reply.state == NOT_YET and "a tensor; your function returns" in reply.text


def test_a_whole_number_of_numpy_is_a_class_and_a_yes_is_none():
    q = LESSONS["01"].exercises[1]
    assert q.check(lambda *given: np.int64(q.answer(*given)))
    for odd in (True, [1]):
        assert "expected a class number" in q.check(lambda *_, odd=odd: odd).text


def test_nearest_on_average_is_not_nearest_most_often():
    def mode(p, y, digit):
        rows = p[y == digit].clone()
        rows[:, digit] = 0
        return int(rows.argmax(-1).mode().values)

    assert not LESSONS["01"].exercises[1].check(mode)


def test_a_loss_must_reach_the_student():
    q = LESSONS["02"].exercises[0]
    for wrong in (
        lambda *given: q.answer(*given).detach(),
        lambda z_s, *given: q.answer(z_s.detach(), *given),
    ):
        assert "no gradient reaches the student" in q.check(wrong).text


def test_a_hint_must_leave_the_teacher_and_reach_all_that_learns():
    q = LESSONS["06"].exercises[0]
    for wrong, said in (
        (lambda s, t, W, b: (s @ W + b - t).square().mean(), "reaches the teacher's features"),
        (lambda s, *given: q.answer(s.detach(), *given), "no gradient reaches the student's"),
        (lambda s, t, W, b: q.answer(s, t, W.detach(), b), "no gradient reaches W and b"),
        (lambda *given: q.answer(*given).detach(), "no gradient reaches the student's"),
    ):
        assert said in q.check(wrong).text


def test_a_thermostat_must_search_to_the_end():
    def coarse(z, digits):
        low, high = 0.01, 10_000.0
        for _ in range(16):
            T = (low * high) ** 0.5
            log_p = (z / T).log_softmax(-1)
            found = (-(log_p.exp() * log_p).sum(-1)).mean().exp()
            low, high = (T, high) if found < digits else (low, T)
        return T

    q = LESSONS["03"].exercises[1]
    assert "halve more often" in q.check(coarse).text
    assert "speak of that many digits" in q.check(lambda z, digits: 8.0).text


def test_t_squared_forgotten_is_a_smaller_alpha():
    """What the recipe trains is a multiple of the loss without T²."""
    recipes = RECIPES["t-squared"].recipes
    kept, lost = ([r.method for r in part[::30]] for part in (recipes[:120], recipes[120:]))
    same = LESSONS["04"].exercises[2].answer
    assert [m.temperature for m in kept] == [m.temperature for m in lost] == [2, 4, 8, 16]
    for one, other in zip(kept, lost, strict=True):
        weights = one.alpha, 1 - one.alpha
        assert other.alpha == pytest.approx(same(*weights, one.temperature))
        ratio = other.alpha * one.temperature**2 / (1 - other.alpha)
        assert ratio == pytest.approx(weights[0] / weights[1])


def test_what_nobody_foresaw_gets_the_law_that_it_breaks():
    q = LESSONS["01"].exercises[0]
    reply = q.check(lambda z, T: 0.9 * (z / T).softmax(-1))
    assert "rows should add up to 1" in reply.text and "1 of 4 properties" in reply.text
    reply = q.check(lambda z, T: (z / T).softmax(-1)[:, :5])
    assert "expected shape (5, 10)" in reply.text and "(5, 5)" in reply.text


def test_hints_and_solutions_come_when_asked():
    for _, q in EXERCISES:
        assert q.hint(1).text != q.hint(2).text
        assert "expected a number from 1 to 2" in q.hint(3).text
        assert "<details>" in q.solution()._repr_html_() and q.solution().code
    html = Reply(NOT_YET, "<script>")._repr_html_()
    assert "<script>" not in html and "role='status'" in html


# ----------------------------------------------------------------------------------- claims


def test_a_claim_states_its_last_number():
    assert stated("at T = 8: 44.3 %") == 44.3 and stated("the loss is −24.1") == -24.1
    assert stated("the teacher has 85 002 weights") == 85002
    with pytest.raises(BadInput, match="found none"):
        stated("many")


def test_a_false_claim_stops_the_notebook(capsys):
    claim("it is 81.8 %", torch.tensor(81.77))
    claim("it is about 82 %", 80.6)
    assert capsys.readouterr().out == "", "it would answer a guess that is still open"
    for value in (81.86, 82.0, float("nan"), float("inf")):
        with pytest.raises(AssertionError, match="81.8"):
            claim("it is 81.8 %", value)
    for text, value in (("it is 82 %", 82.6), ("about 82 %", 83.6)):
        with pytest.raises(AssertionError, match="82"):
            claim(text, value)


@every_lesson
def test_every_measured_number_in_the_prose_is_claimed(number):
    assert unproved(notebook(number)) == []


def test_a_number_that_nobody_proved_is_named():
    found = notebook("01")
    found.cells[1].source += "\n\n12 of 345 students, 6 789 weights, 7 %, 8.5, T = 16, the 3."
    assert unproved(found) == sorted(["12", "345", "6 789", "7", "8.5"])


# -------------------------------------------------------------------------------- notebooks


@every_lesson
def test_a_committed_notebook_is_clean_and_has_its_pictures(number):
    path = LESSONS[number].notebook
    found = nbformat.read(path, as_version=4)
    assert unclean(found) == []
    assert path.stat().st_size < 300_000
    for cell in cells(number, "code"):
        shows = re.search(
            r"\b(Slider|LiveRun|SweepRun|Twin|Guess|Picture)\(|\.reveal\(", cell.source
        )
        if shows and "import" not in cell.source:
            data = cell.outputs[-1].data
            assert data["image/png"] and len(data["text/plain"]) > 5, cell.id
            assert "text/html" not in data, "it would hide the picture where HTML is cleaned"


def test_what_is_not_clean_is_named():
    found = nbformat.read(LESSONS["01"].notebook, as_version=4)
    shown = next(cell for cell in found.cells if cell.get("outputs"))
    shown.outputs[0].data["application/vnd.jupyter.widget-view+json"] = {}
    found.metadata["widgets"] = {}
    found.cells[0].id = "abc"
    said = " ".join(unclean(found))
    assert "keeps a widget" in said and "metadata" in said and "fixed ids" in said


@pytest.mark.slow
@every_lesson
def test_a_committed_notebook_is_current(number):
    begun = time.monotonic()
    assert current(LESSONS[number].notebook) == []
    assert time.monotonic() - begun < 240  # a hang; 55 s of one core for the longest


@pytest.mark.slow
@every_lesson
def test_the_solutions_are_right_where_a_reader_writes_them(number):
    """With what the first cells have brought; what follows is the same with a right answer as with
    none, because the lesson then goes on with its own."""
    lesson = LESSONS[number]
    found = nbformat.read(lesson.notebook, as_version=4)
    places = [c for c in found.cells if re.search(r"^q\d\.check\(", c.source, re.M)]
    assert len(places) == len(lesson.exercises)
    for cell, exercise in zip(places, lesson.exercises, strict=True):
        answer = exercise.answer_text() if exercise.inputs else ""
        given = exercise.answer.__name__ if exercise.inputs else exercise.answer
        head = "from torch import Tensor\n" if answer else ""
        cell.source = f"{head}{answer}\n{exercise.name}.check({given})"
    code = [c for c in found.cells if c.cell_type == "code"]
    ready = next(i for i, c in enumerate(code) if "= LESSONS[" in c.source)
    found.cells = [*code[: ready + 1], *places]
    execute(found, lesson.notebook)
    for cell in places:
        assert "✓ correct" in cell.outputs[-1].data["text/plain"]


def test_the_readme_lists_every_lesson():
    text = (LESSONS["01"].notebook.parents[1] / "README.md").read_text(encoding="utf-8")
    for lesson in LESSONS.values():
        link = f"[{lesson.number} {lesson.title}](notebooks/{lesson.notebook.name})"
        assert f"| {link} | {lesson.minutes} | {lesson.question} |" in text


def test_an_answer_that_ends_python_is_told_so():
    reply = LESSONS["02"].exercises[0].check(lambda *given: sys.exit(0))
    assert not reply and "ends Python" in str(reply)


def test_an_answer_that_asks_the_keyboard_is_told_so():
    before = input
    reply = LESSONS["02"].exercises[0].check(lambda *given: float(input("?")))
    assert not reply and "it asks for input" in str(reply) and input is before


def test_a_warning_of_torch_does_not_stand_above_the_hint(recwarn):
    def mean(z_s, z_t, y, T, alpha):
        p, log_q = (z_t / T).softmax(-1), (z_s / T).log_softmax(-1)
        return T**2 * torch.nn.functional.kl_div(log_q, p)

    assert not LESSONS["02"].exercises[0].check(mean)
    assert not recwarn.list
