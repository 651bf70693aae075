"""The parts of the Start page as HTML: the bars and the guess, then what the students do."""

from __future__ import annotations

import json

from workbench import charts, words
from workbench.charts import Difference, Note, Opinion, Series, escape
from workbench.evaluation import Verdict
from workbench.ui import _act
from workbench.ui._act import Act, View
from workbench.ui._take import softmax

#: Pixels of the chart and of the strip in the card, until the page reports its own.
WIDTHS = (752, 270)
TABLE = (1.0, 2.0, 4.0, 8.0, 16.0)


# ------------------------------------------------------------------------- bars and guess


def look() -> str:
    """The first picture: an image, the teacher's bars, the temperature, the guess.

    It is drawn for T = 1 here, once; `start.js` moves it from then on, within a frame.
    """
    shown = _act.examples()
    known, labels = _act.taught(), _act.labels_get()
    if not shown or known is None or labels is None:
        return f'<p class="aside">{escape(words.NO_RECORDING)}</p>'
    facts = {
        "examples": [{"label": e.label, "logits": [round(v, 4) for v in e.logits]} for e in shown],
        "words": words.SOFT,
        "labels": labels,
        "teacher": known.accuracy,
    }
    data = escape(json.dumps(facts, separators=(",", ":")))
    parts = _image(), _bars(known.accuracy), _temperature(), _ask(known.accuracy, labels)
    return f'<div class="look" data-facts="{data}">{"".join(parts)}{_foot()}</div>'


def _image() -> str:
    pictures = "".join(
        f'<div data-example="{i}"{"" if i == 0 else " hidden"}>'
        f"{charts.digit(e.pixels, 240, words.SOFT['alt'].format(best=e.label))}</div>"
        for i, e in enumerate(_act.examples())
    )
    first = _act.examples()[0]
    note = f"{words.SOFT['pixels']}<br><span data-its-label>"
    note += f"{words.SOFT['image'].format(best=first.label)}</span>"
    button = f'<button type="button" class="link" data-next>{words.ANOTHER_IMAGE}</button>'
    return (
        f'<section class="see"><h2 class="part">{words.ONE_IMAGE}</h2>{pictures}'
        f'<div><p class="aside">{note}</p>{button}</div></section>'
    )


def _bars(accuracy: float) -> str:
    first = _act.examples()[0]
    shares = softmax(first.logits, 1.0)
    said = Opinion("teacher", words.TEACHER, shares)
    order = sorted(range(len(shares)), key=lambda k: -shares[k])
    drawn = charts.soft_bars(
        said,
        said,
        _act.mean_digits(),
        height=312,
        named=order[:4],
        label=words.soft_label(shares, 1.0),
    )
    rest = f'<span class="brief">{words.OF_TEST}</span>'
    right = f"<small>{escape(words.right_on(accuracy))}{rest}</small>"
    return (
        f'<section class="bars"><h2 class="part">{charts.marker("teacher", 14)}{words.SAYS}'
        f'{right}</h2><p class="say" data-finding>{escape(words.soft_sentence(shares, 1.0))}</p>'
        f'<div class="figure" id="soft">{drawn}</div>'
        f'<p class="out-of-sight" role="status" data-heard></p></section>'
    )


def _temperature() -> str:
    ticks = "".join(
        f'<span style="left:{25 * i}%">{t:g}{"<br>" + text if text else ""}</span>'
        for i, (t, text) in enumerate(
            zip(TABLE, (words.AS_TRAINED, "", "", "", words.VERY_SOFT), strict=True)
        )
    )
    now = words.SOFT["now"].format(T=1)
    return (
        f'<section class="temperature"><div class="now"><label for="start-T" class="aside">'
        f'{words.TEMPERATURE}</label><output for="start-T" data-now>{now}</output></div>'
        f'<div><input id="start-T" type="range" min="0" max="4" step="0.02" value="0" '
        f'aria-label="{words.TEMPERATURE}"><div class="ticks" aria-hidden="true">{ticks}</div>'
        "</div></section>"
    )


def _ask(teacher: float, labels: float) -> str:
    shown = words.percent(teacher), words.percent(labels, 0)
    levels = [
        ("teacher", f"{words.TEACHER} {shown[0]}", teacher),
        ("labels", f"{words.A_NAME} {shown[1]}", labels),
    ]
    label = words.SOFT["unguessed"].format(teacher=shown[0], labels=shown[1])
    axis = charts.guess_axis(levels, start=labels, text=words.UNGUESSED, label=label, height=232)
    slider = (
        f'<input type="range" min="50" max="100" step="1" value="{round(100 * labels)}" '
        f'aria-label="{words.GUESS_SLIDER}" aria-orientation="vertical" data-guess>'
    )
    return (
        f'<section class="ask card"><h2 class="part">{charts.marker("you", 16)}{words.GUESS}</h2>'
        f'<p class="aside">{escape(words.GUESS_NOTE)}</p>'
        f'<p class="say">{escape(words.a_gets(labels))}</p>'
        f'<div class="draw">{axis}{slider}<span class="handle"></span></div>'
        f'<p class="aside hint" role="status" data-hint></p>'
        f'<button type="button" class="act-button" data-train>{words.TRAIN_BOTH}</button>'
        f'<button type="button" class="link" data-skip>{words.SKIP}</button></section>'
    )


def _foot() -> str:
    first = _act.examples()[0]
    columns = [
        (f"T = {t:g}", Opinion("teacher", words.TEACHER, softmax(first.logits, t))) for t in TABLE
    ]
    table = charts.data_table(charts.soft_table(columns, caption=words.SAYS_TABLE))
    save = f'<button type="button" class="link" data-save="soft">{words.SAVE}</button>'
    return (
        f'<div class="foot"><span class="aside">{words.FROM_RUNS}</span>'
        f'<div class="under">{save}{table}</div></div>'
    )


# -------------------------------------------------------------------------------- the head


def head(act: Act, seen: View | None, message: str = "") -> str:
    """The step, the headline, and a sentence where something was not as it should be."""
    step, text = 1, words.ACT_LOOK
    if seen is not None:
        judged = seen.verdict
        step = 4 if act.stage == "cold" else 3 if judged is not None else 2
        if seen.state in ("stopped", "failed"):
            text = words.act_stopped(seen.step, seen.steps)
        elif judged is None:
            text = words.ACT_COLD if act.stage == "cold" else words.ACT_WATCH
        elif act.stage == "cold":
            before = _act.view(act, "warm")
            text = words.cold_headline(judged, before.verdict if before else None)
        else:
            text = words.act_headline(judged)
    dots = "".join(f"<i{' class=on' if i < step else ''}></i>" for i in range(4))
    going = int(seen is not None and not seen.over)
    said = f'<p class="status failed" role="status">{escape(message)}</p>' if message else ""
    return (
        f'<div id="act-now" data-stage="{act.stage}" data-going="{going}">'
        f'<p class="steps"><span class="dots" aria-hidden="true">{dots}</span>'
        f"<span>{words.step_of(step)}</span></p>"
        f'<h1 tabindex="-1">{escape(text)}</h1>{said}</div>'
    )


# ------------------------------------------------------------------------------- the curves


def race(act: Act, seen: View | None, width: int) -> str:
    """Both bands of curves, the teacher's line, the visitor's mark, and what to see in them."""
    if seen is None:
        return ""
    note = None
    over = seen.overtaken if seen.state == "finished" else None
    narrow = width < 520
    if over is not None and over > seen.steps // 50 and act.stage == "warm" and not narrow:
        low, high = seen.means(over)
        note = Note(seen.events[over].step, ((low or 0) + (high or 0)) / 2, words.TOUCHES)
    known = _act.taught()
    series = _series(act, seen, narrow)
    drawn = charts.curves(
        series,
        width=width,
        height=340 if narrow else 396,
        teacher=known.accuracy if known else None,
        last_step=seen.steps,
        title=words.AXIS,
        you=act.mark,
        note=note,
    )
    about = words.LEARN_NOTE if len(series) < 3 else words.BANDS_NOTE
    recorded = f'<b class="recorded">{words.RECORDING}</b> ' if seen.recorded else ""
    return (
        f'<h2 class="part">{words.LEARN}<small>{recorded}{escape(about)}</small></h2>'
        f'<div class="figure" id="race" data-n="{len(seen.events)}" data-state="{seen.state}">'
        f'{drawn}</div><p class="say" role="status">{_nowrap(_say(act, seen))}</p>'
        f"{_why(act, seen)}"
    )


def _why(act: Act, seen: View) -> str:
    """The question that the outcome asks, and its answer."""
    judged = seen.verdict
    if judged is None:
        return ""
    if act.stage == "warm":
        ask = words.why(act.guess, seen.means()[1] or 0.0, judged)
        answer = words.because(judged)
    else:
        sure = _act.sure()
        ask, answer = words.cold_ask(judged), words.cold_why(sure) if sure is not None else ""
    return f'<p class="aside why"><b>{escape(ask)}</b> {_nowrap(answer)}</p>'


def _nowrap(text: str) -> str:
    return escape(text.replace(" = ", "\u00a0=\u00a0"))


def _at(stage: str) -> str:
    return words.temperature(_act.WARM if stage == "warm" else _act.COLD)


def _series(act: Act, seen: View, narrow: bool) -> list[Series]:
    steps = [event.step for event in seen.events]
    state = {"queued": "running", "failed": "stopped"}.get(seen.state, seen.state)
    name = words.A_SHORT if narrow else words.A_NAME
    out = [Series("labels", name, steps, seen.rows(False), state)]
    short = words.B_SHORT.format(_at(act.stage))
    if act.stage == "warm":
        name = short if narrow else words.B_NAME
        return [*out, Series("kd", name, steps, seen.rows(True), state)]
    before = _act.view(act, "warm")
    if before is not None and before.events:
        at, was = [event.step for event in before.events], words.B_SHORT.format(_at("warm"))
        out.append(Series("kd", was, at, before.rows(True)))
    return [*out, Series("third", short, steps, seen.rows(True), state)]


def _say(act: Act, seen: View) -> str:
    judged, name = seen.verdict, words.B_FULL.format(_at(act.stage))
    if judged is not None and act.stage == "cold":
        before = _act.view(act, "warm")
        return words.cold_finding(name, judged, before.verdict if before else None)
    if judged is not None:
        return words.act_finding(name, judged)
    if seen.state in ("stopped", "failed"):
        low, high = seen.means()
        return words.act_means(low, high) if low is not None and high is not None else ""
    return words.LOOK_AT if act.stage == "warm" else words.LOOK_AT_COLD


# --------------------------------------------------------------------------------- the card


def card(act: Act, seen: View | None, width: int) -> str:
    """What follows from it: the state while they learn, then verdict, guess and reason."""
    if seen is None:
        return ""
    if (judged := seen.verdict) is not None:
        return f'<div class="card enter">{_judged(act, seen, judged, width)}</div>'
    word, rest = words.act_now(seen.recorded, seen.state, seen.step, seen.steps)
    dot = '<i class="live-dot on"></i>' if not seen.over else ""
    low, high = seen.means()
    means = words.act_means(low, high) if low is not None and high is not None else ""
    done = 100 * seen.step / seen.steps
    bar = (
        f'<div class="progress" role="progressbar" aria-label="{words.LEARN}" aria-valuemin="0" '
        f'aria-valuemax="100" aria-valuenow="{done:.0f}"><i style="--done:{done:.1f}%"></i></div>'
    )
    buttons = [("stop", words.STOP, "plain")]
    if seen.over:
        buttons = [("again", words.TRAIN_AGAIN, "plain")]
        if seen.state == "stopped":
            buttons.insert(0, ("go", words.GO_ON, ""))
        buttons.append(("train", words.TO_TRAIN, "link"))
    heard = ' role="status"' if seen.over else ""  # not ten times a second
    return (
        f'<div class="card"><p class="status"{heard} data-state="{seen.state}">{dot}'
        f"<span><b>{escape(word)}</b> {escape(rest)}</span></p>{bar}"
        f'<p class="aside means">{escape(means)}</p>{_yours(act, None)}{_buttons(buttons)}</div>'
    )


def _buttons(buttons: list[tuple[str, str, str]]) -> str:
    return "".join(
        f'<button type="button" class="{"link" if kind == "link" else f"act-button {kind}"}" '
        f'data-do="{do}">{escape(text)}</button>'
        for do, text, kind in buttons
    )


def _yours(act: Act, result: float | None) -> str:
    if act.mark is None:
        return ""
    if result is None:
        said = words.YOUR_GUESS.format(words.percent(act.mark, 0))
    else:
        said = words.missed(act.mark, result)
    return f'<h2 class="part yours">{charts.marker("you", 16)}<span>{escape(said)}</span></h2>'


def _judged(act: Act, seen: View, judged: Verdict, width: int) -> str:
    role = "kd" if act.stage == "warm" else "third"
    out, pairs = [charts.chip(judged.text)], seen.pairs
    if judged.mean is not None:
        number = f"{words.signed(judged.mean)}<small>{words.POINTS}</small>"
        out.insert(0, f'<p class="huge {role}">{number}</p>')
    out = [f'<div class="score">{"".join(out)}</div>']
    note = words.act_pairs(judged, sum(p > 0 for p in pairs))
    out.append(f'<p class="aside">{_nowrap(note)}</p>')
    before = _act.view(act, "warm") if act.stage == "cold" else None
    if judged.mean is not None and judged.low is not None and judged.high is not None:
        name, decided = words.B_FULL.format(_at(act.stage)), judged.text.lower()
        ends = judged.low, judged.high
        row = Difference(role, name, pairs, judged.mean, *ends, "", decided)
        high = max([0.15, *pairs, *(before.pairs if before else ())])
        span = charts.limits([row])[0], charts.limits([Difference("kd", "", [high], 0, 0, 0)])[1]
        out.append(charts.spread(row, width=width, span=span))
    result = seen.means()[1] or 0.0
    out.append(f'<div class="told">{_yours(act, result)}</div>')
    if act.stage == "warm":
        out.append(_ask_cold(result))
    else:
        over = ("over", words.START_OVER, "link")
        out.append(_buttons([("train", words.TO_TRAIN, ""), over]))
    return "".join(out)


def _ask_cold(result: float) -> str:
    """The guess before T = 1: a slider that begins where B is at T = 8."""
    at = max(50, min(100, round(100 * result)))
    slider = (
        f'<input type="range" min="50" max="100" step="1" value="{at}" data-mark '
        f'style="--range_progress:{2 * (at - 50)}%" aria-label="{words.GUESS_COLD_SLIDER}" '
        f'data-first="{words.GUESS_COLD_FIRST}">'
    )
    return (
        f'<div class="ask-cold"><h2 class="part yours">{charts.marker("you", 16)}'
        f"<span>{words.GUESS_COLD}</span></h2><div>{slider}<output>?</output></div>"
        f'<p class="aside hint" role="status" data-hint></p></div>'
        f'<button type="button" class="act-button" data-do="cold" data-marked>{words.NOW_COLD}'
        f'</button><p class="pair"><button type="button" class="link" data-do="cold">{words.SKIP}'
        f"</button>{_buttons([('train', words.TO_TRAIN, 'link')])}</p>"
    )


# --------------------------------------------------------------------------------- the foot


def foot(act: Act, seen: View | None) -> str:
    """What it took, the numbers as a table, and the picture to keep."""
    if seen is None or not seen.over:
        return ""
    rates = [recipe.learning_rate for recipe in _act.recipes(seen.stage)[::12]]
    cost = words.act_cost(seen.recorded, 24, seen.steps, seen.seconds, rates)
    table = charts.data_table(charts.curves_table(_series(act, seen, False), caption=words.AXIS))
    table = table.replace("<details", '<details data-keep="race"', 1)
    over = f'<button type="button" class="link" data-do="over">{words.START_OVER}</button>'
    if act.stage == "cold" and seen.verdict is not None:
        over = ""  # it stands in the card
    save = f'<button type="button" class="link" data-save="race">{words.SAVE}</button>'
    return (
        f'<div class="foot"><span class="aside">{escape(cost)}</span>'
        f'<div class="under">{over}{save}{table}</div></div>'
    )
