"""The parts of the Sweep page as HTML: the map, what it says, and the cell that was pressed."""

from __future__ import annotations

from workbench import charts, jobs, words
from workbench.base import Knob
from workbench.charts import Series, escape, mean_sd
from workbench.charts.grid import Axis, grid, grid_table
from workbench.data import Data
from workbench.engine import LOOK
from workbench.ui import _axes, _sweep
from workbench.ui._axes import Asked
from workbench.ui._picture import notice
from workbench.ui._sweep import Place, View
from workbench.ui._take import finished, heard
from workbench.words import mean_percent, number, percent

#: Pixels of map and panel, until the page reports its own.
WIDTHS = (472, 296)
#: The cell that is open on arrival: the first act's.
FIRST = (8.0, 1.0)


def _axis(knob: Knob, asked: Asked) -> Axis:
    return Axis(_axes.title(knob), [number(value) for value in asked.values(knob)])


def _name(now: View, at: Place) -> str:
    """'T = 8, α = 0.5'."""
    knobs = now.cell(at).knobs
    pairs = [
        (knob.symbol or knob.title, knobs[knob.name])
        for knob in (now.asked.across, now.asked.down)
    ]
    return words.setting(pairs)


def picked(now: View) -> Place | None:
    """The cell in the panel: the pressed one; on arrival that of the first act."""
    rows, columns = now.asked.shape
    at = now.swept.picked
    if at is not None and at[0] < rows and at[1] < columns:
        return at
    if now.shipped:
        values = (now.asked.values(now.asked.across), now.asked.values(now.asked.down))
        return values[1].index(FIRST[1]), values[0].index(FIRST[0])
    return None


# --------------------------------------------------------------------------------- the map


def chart(now: View, width: int) -> str:
    """The map itself; its cells are buttons."""
    base = mean_sd(now.base())
    asked = now.asked
    drawn = grid(
        now.squares(),
        rows=_axis(asked.down, asked),
        columns=_axis(asked.across, asked),
        width=width,
        picked=None if now.swept.asking else picked(now),
        guess=now.swept.guess,
        reference=base[0] if base else None,
        ask=True,
    )
    points = sum(len(one.events) for one in now.passes)
    axis = words.axis(_data(now).tests, len(_data(now).shape) == 3, LOOK)
    return (
        f'<p class="aside">{escape(words.IN_PER_CENT.format(axis))}</p>'
        f'<div class="figure" id="sweep-grid" data-n="{points}">{drawn}</div>'
    )


def _data(now: View) -> Data:
    return now.asked.plan.cells[0].recipes[0].data


def tools(now: View) -> str:
    """What stands under the map: the picture to keep, its numbers, and what it does not say."""
    asked = now.asked
    table = grid_table(
        now.squares(),
        rows=_axis(asked.down, asked),
        columns=_axis(asked.across, asked),
        caption=words.SWEEP_AXIS,
    )
    save = f'<button type="button" class="link" data-save="sweep-grid">{words.SAVE}</button>'
    details = charts.data_table(table).replace("<details", '<details data-keep="sweep-grid"', 1)
    return (
        f'<div class="under">{save}{details}</div>'
        f'<p class="aside caveat">{escape(words.NOTHING_PICKED)}</p>'
    )


# --------------------------------------------------------------------------- what is said


def say(now: View) -> str:
    """The one sentence of the page."""
    if now.swept.asking:
        text, more = words.GUESS_WHERE, ""
    elif now.over:
        text, more = _span(now), words.SHIPPED_SWEEP if now.shipped else _guess(now)
    else:
        text, more = (words.STOPPED_MAP if now.swept.stopped else words.WATCH), ""
    second = f'<p class="aside">{_tight(more)}</p>' if more else ""
    return f'<div class="say" role="status"><p>{_tight(text)}</p></div>{second}'


def _tight(text: str) -> str:
    """A sentence as HTML, in which 'T = 8' stays on one line."""
    return escape(text.replace(" = ", "\u00a0=\u00a0"))


def _ranked(now: View) -> list[tuple[float, Place]]:
    """The means of the map, the highest first."""
    found = [
        (square.mean, (i, j))
        for i, row in enumerate(now.squares())
        for j, square in enumerate(row)
        if square.mean is not None
    ]
    return sorted(found, key=lambda one: -one[0])


def _span(now: View) -> str:
    ranked = _ranked(now)
    if not ranked:
        return words.diverged(1, 1)
    high, top = ranked[0]
    low, bottom = next(one for one in ranked if one[0] == ranked[-1][0])
    base = mean_sd(now.base())
    said = percent(base[0]) if base else ""
    return words.span_said(percent(low), _name(now, bottom), percent(high), _name(now, top), said)


def _guess(now: View) -> str:
    at, ranked = now.swept.guess, _ranked(now)
    rows, columns = now.asked.shape
    if at is None or at[0] >= rows or at[1] >= columns:
        return ""
    mine = next((mean for mean, place in ranked if place == at), None)
    if mine is None:
        return ""
    rank = 1 + sum(mean > mine for mean, _ in ranked)
    said = words.guess_said_cell(_name(now, at), percent(mine), rank, len(ranked))
    return f"{said} {words.why_there(rank == 1)}"


# ----------------------------------------------------------------------------- the run bar


def status(now: View | None, message: str, asked: Asked | None, hurried: bool, same: bool) -> str:
    """What went wrong, the state in words, the line of progress; `same`: the form means it."""
    wrong = notice(message) if message else ""
    if now is None:
        return wrong + notice(words.NO_SHIPPED)
    idle = now.shipped or bool(now.swept.asking) or (not now.live and not same)
    said = _ready(asked, hurried) if idle else _state(now)
    share = 0.0 if idle else 100.0 * now.share
    pace = (
        f'<button type="button" class="link" data-do="pace" title="{words.PACE_NOTE}">'
        f"{words.SLOW_DOWN if hurried else words.FULL_SPEED}</button>"
    )
    state = "idle" if idle else now.state
    bar = (
        f'<div class="progress" role="progressbar" aria-label="{words.SWEEP}" aria-valuemin="0" '
        f'aria-valuemax="100" aria-valuenow="{share:.0f}">'
        f'<i style="--done:{share:.1f}%"></i></div>'
    )
    dot = '<i class="live-dot kd on"></i>' if state == "running" else ""
    return (
        f'{wrong}<div class="state"><p class="status" data-state="{state}">{dot}<span>{said}'
        f"</span></p>{pace}</div>{bar}"
    )


def _ready(asked: Asked | None, hurried: bool) -> str:
    """What Run will cost."""
    if asked is None:
        return ""
    plan = asked.plan
    seconds = plan.seconds / min(_sweep.HANDS, len(plan.passes))
    many = words.cells_and_seeds(len(plan.cells), len(plan.cells[0].recipes))
    cost = words.takes_about(seconds, 0.0 if hurried else jobs.pace())
    return f"<b>{words.STATES['idle']}</b> {escape(f'{many} {cost} {plan.note}'.strip())}"


def _state(now: View) -> str:
    plan = now.asked.plan
    finished = sum(now.passes[plan.place(cell)[0]].state == "finished" for cell in plan.cells)
    said = words.cells_done(finished, len(plan.cells))
    if now.state == "queued":
        ahead = words.FIRST_TEACHER if _untaught(now) else ""
        return f"<b>{words.STATES['queued']}</b> {escape(ahead)}"
    if now.state == "stopped":
        why = f" {escape(words.whole(now.swept.why))}" if now.swept.why else ""
        return f"<b>{words.STATES['stopped']}</b>, {escape(said)}.{why}"
    if now.state == "finished":
        many = words.cells_and_seeds(len(plan.cells), len(plan.cells[0].recipes))
        return f"<b>{words.STATES['finished']}</b>, {escape(many)}"
    return f"<b>{words.STATES['running']}</b> {escape(said)}"


def _untaught(now: View) -> bool:
    return any(finished(one) is None for one in now.asked.plan.cells[0].recipes[0].teachers)


# -------------------------------------------------------------------------------- the panel


def panel(now: View, width: int) -> str:
    """The guess, or the pressed cell: how its students learn, and what they gain."""
    if now.swept.asking:
        return (
            f'<section class="card enter"><h2 class="part">{words.GUESS_CARD}</h2>'
            f'<p class="aside">{escape(words.GUESS_HOW)}</p></section>'
        )
    at = picked(now)
    if at is None:
        return f'<section><h2 class="part">{words.ONE_CELL}</h2><p class="aside">' + (
            f"{escape(words.PRESS_CELL)}</p></section>"
        )
    cell = now.cell(at)
    scores = now.scores(cell)
    found = mean_sd(scores)
    name = f'<h2 class="part">{_tight(_name(now, at))}'
    big = mean_percent(found)
    count = words.cell_says(big, len(scores)) if scores else words.grid_state("queued", 0, 0)
    lost = f" {words.diverged(n, len(scores))}" if (n := sum(v is None for v in scores)) else ""
    return (
        f'<section>{name}</h2><p class="big">{big} <small>{escape(count)}{escape(lost)}</small>'
        f"</p>{_curves(now, at, width)}{_verdict(now, at)}{_open(now, at)}</section>"
    )


def _curves(now: View, at: Place, width: int) -> str:
    cell = now.cell(at)
    base = now.asked.plan.base(cell)
    runs = [("labels", words.LABELS_ONLY, base), ("kd", _name(now, at), cell)]
    series = []
    for role, name, one in runs:
        if one is not None:
            steps, rows = now.events(one)
            if steps:
                state = now.passes[now.asked.plan.place(one)[0]].state
                series.append(Series(role, name, steps, rows, state))
    teacher = cell.recipes[0].teachers
    known = heard(teacher[0]) if len(teacher) == 1 else None
    low = (
        0.0 if any(v is not None and v < 0.5 for one in runs for v in now.scores(one[2])) else 0.5
    )
    drawn = charts.curves(
        series,
        width=width,
        height=248,
        teacher=known.accuracy if known else None,
        last_step=cell.recipes[0].steps,
        span=(low, 1.0),
        title=words.SWEEP_AXIS,
    )
    table = charts.curves_table(series, caption=words.SWEEP_AXIS)
    details = charts.data_table(table).replace("<details", '<details data-keep="sweep-cell"', 1)
    return f'<div class="figure" id="sweep-cell">{drawn}</div><div class="under">{details}</div>'


def _verdict(now: View, at: Place) -> str:
    every = now.verdicts()
    found = every.get(at)
    if found is None:
        return ""
    few = found.n < 5 and found.text == "INCONCLUSIVE" and not found.equal
    text = words.finding(_name(now, at), words.LABELS_ONLY, found, None)
    chip = charts.chip(found.text.lower()) if not found.equal else ""
    return (
        f'<div class="judged">{chip}<p class="say">{_tight(text)}</p>'
        f'<p class="aside">{escape(words.cell_caveat(found.over, len(every), few))}</p></div>'
    )


def _open(now: View, at: Place) -> str:
    ready = now.passes[now.asked.plan.place(now.cell(at))[0]].state == "finished"
    if not ready:
        return ""
    return (
        f'<button type="button" class="act-button plain" data-do="open" '
        f'data-cell="{at[0]},{at[1]}">{words.OPEN_IN_TRAIN}</button>'
    )
