"""The parts of the Train page as HTML, each from the runs as they stand now."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from workbench import charts, runs, words
from workbench.charts import Opinion, Series, escape
from workbench.charts.stacked import Term, losses
from workbench.data import DATA, Data
from workbench.engine import LOOK
from workbench.recipe import Recipe, digest
from workbench.ui import _form, _inside
from workbench.ui._compare import Compared, compare, differences, scores, tuned
from workbench.ui._desk import Sight, current, look
from workbench.ui._take import (
    Example,
    Shown,
    Teacher,
    finished,
    heard,
    shown,
    softmax,
    take,
    together,
)
from workbench.ui._visitor import Visitor

#: Pixels of chart, image's column, page and answers, until the page reports its own.
WIDTHS = (520, 232, 1120, 640)
#: Classes of which each has a bar, and letters of a name beside one.
BARS, LETTERS = 10, 10


#: Opinions, names of their classes, and which of these is true.
_Few = tuple[list[Opinion], list[str], int]


@dataclass(frozen=True)
class Scene:
    """All that the page shows, gathered once for one drawing of it."""

    visitor: Visitor
    sights: list[Sight]
    bar: Sight | None  # whom the run bar speaks about
    chosen: Sight | None
    baseline: Sight | None
    compared: dict[str, Compared]
    widths: tuple[int, ...]
    beside: list[Sight]  # the runs on the data of the one in the picture
    data: Data
    message: str = ""

    @property
    def live(self) -> bool:
        """Whether something is under way."""
        return any(sight.active for sight in self.sights)

    @property
    def shown(self) -> Shown:
        """Class names and samples of its data."""
        return shown(self.data)

    @property
    def example(self) -> tuple[int, Example] | None:
        """The picked sample and its place; None where its data are gone."""
        known = self.shown.examples
        place = self.visitor.sample % len(known) if known else 0
        return (place, known[place]) if known else None


def _text(text: str) -> str:
    """A sentence as HTML, in which 'T = 8' stays on one line."""
    return escape(text.replace(" = ", "\u00a0=\u00a0"))


def scene(one: Visitor, widths: tuple[int, ...] = WIDTHS) -> Scene:
    """The scene of a visitor."""
    sights = look(one)
    by_run = {sight.run: sight for sight in sights}
    bar = current(one)
    seen = by_run.get(one.chosen) or (by_run.get(bar.run) if bar else None)
    seen = seen or by_run.get(one.baseline) or (sights[0] if sights else None)
    data = seen.take.recipe.data.whole() if seen else DATA["digits"]()
    beside = [sight for sight in sights if sight.take.recipe.data.whole() == data]
    baseline = by_run.get(one.baseline)
    if baseline not in beside:  # what learns from other data cannot be compared
        baseline = beside[0] if beside else None
    return Scene(
        one,
        sights,
        by_run.get(bar.run) if bar else None,
        by_run.get(one.chosen),
        baseline,
        compare(baseline, beside),
        widths,
        beside,
        data,
    )


# --------------------------------------------------------------------------- status and bar


def notice(message: str) -> str:
    """What went wrong."""
    return f'<p class="notice" role="alert">{escape(message)}</p>'


def status(now: Scene, ready: str = "") -> str:
    """What went wrong, if anything; the state in words with its marker; the line of progress.

    `ready` is said when the form means a run that is still to come, and nothing is under way.
    """
    wrong = notice(now.message) if now.message else ""
    idle = now.bar is None or (bool(ready) and now.bar.state in ("finished", "failed"))
    said = _idle(now, ready) if idle else _state(now)
    fast = now.visitor.hurried
    pace = (
        f'<button type="button" class="link" data-do="pace" title="{words.PACE_NOTE}">'
        f"{words.SLOW_DOWN if fast else words.FULL_SPEED}</button>"
    )
    return f'{wrong}<div class="state">{said}{pace}</div>{_progress(None if idle else now)}'


def _idle(now: Scene, ready: str) -> str:
    if not now.sights:
        return _status("empty", escape(words.EMPTY))
    return _status("idle", _bold("idle", ready) if ready else "")


def _state(now: Scene) -> str:
    sight = now.bar
    assert sight is not None
    at, before = words.at_step(sight.step, sight.steps), _teaching(sight)
    rest = {
        "queued": words.waiting(sight.ahead),
        "running": words.teaching(*before) if before else at,
        "paused": words.PAUSED_AT.format(at),
        "stopped": words.KEPT_AT.format(at),
        "finished": words.finished(sight.seconds),
        "failed": "",
    }[sight.state]
    text = _bold(sight.state, rest)
    if sight.state == "failed":
        text = f"<span>{escape(words.broke(sight.reason, sight.step))}</span>"
    why = words.whole(sight.reason) if sight.state == "stopped" and sight.reason else ""
    if why and why != now.message:
        text += f" <span>{escape(why)}</span>"
    lost = sight.events[-1].diverged if sight.events else ()
    if lost and sight.state != "failed":
        text += f" <span>{escape(words.diverged(len(lost), len(sight.take.recipes)))}</span>"
    return _status(sight.state, text, sight)


def _teaching(sight: Sight) -> tuple[str, int, int] | None:
    """Who learns before the students do, and how far that is; None once they learn themselves."""
    for link in _form.chain(sight.take.recipe)[:-1] if not sight.events else ():
        if finished(link) is None:
            folders = runs.takes(digest([link]))
            events = take(folders[-1]).events() if folders else []
            step = events[-1].step if events else 0
            return words.teacher_name(link.student), step, link.steps
    return None


def _bold(state: str, rest: str) -> str:
    return f"<span><b>{escape(words.STATES[state])}</b> {escape(rest)}</span>"


def _status(state: str, text: str, sight: Sight | None = None) -> str:
    dot = ""
    if sight is not None and state in ("running", "paused"):
        on = " on" if state == "running" else ""
        dot = f'<i class="live-dot {sight.role}{on}"></i>'
    kind = " failed" if state == "failed" else ""
    return f'<p class="status{kind}" role="status" data-state="{state}">{dot}{text}</p>'


def _progress(now: Scene | None) -> str:
    sight = now.bar if now else None
    done = (sight.step, sight.steps) if sight else (0, 1)
    if sight and (before := _teaching(sight)):
        done = before[1:]
    share = 100.0 if sight and sight.state == "finished" else 100 * done[0] / done[1]
    return (
        f'<div class="progress" role="progressbar" aria-label="{words.TRAIN}" aria-valuemin="0" '
        f'aria-valuemax="100" aria-valuenow="{share:.0f}">'
        f'<i style="--done:{share:.1f}%"></i></div>'
    )


# ------------------------------------------------------------------------------- the chart


def _curve_names(names: Sequence[str], width: int) -> list[str]:
    """Names beside curves, where there is room for little: the method, and what tells it apart."""
    most, found = (16 if width >= 500 else 12), []
    split = [name.split(", ") for name in names]
    for name, (head, *rest) in zip(names, split, strict=True):
        like = [other for first, *other in split if first == head]
        own = [part for part in rest if not all(part in other for other in like)]
        own = _few_parts(own, like, 30 - len(head))
        temperature = next((part for part in rest if part.startswith("T = ")), "")
        if width < 500 and head == words.SHORT["kd"] and temperature:
            head = temperature  # a phone has no room for the word, and T says it
            own = [part for part in own if part != temperature]
        short = ", ".join([head, *own])
        found.append(name if len(name) <= most else short)
    return found


def _few_parts(own: Sequence[str], like: Sequence[Sequence[str]], most: int) -> list[str]:
    """What is left of a name's parts where there is no room: those that fewest others have."""
    kept = list(own)
    while len(kept) > 1 and len(", ".join(kept)) + 2 > most:
        kept.remove(max(kept, key=lambda part: sum(part in other for other in like)))
    return kept


def _series(now: Scene) -> list[Series]:
    out = []
    names = _curve_names([sight.name for sight in now.beside], now.widths[0])
    for sight, name in zip(now.beside, names, strict=True):
        rows = zip(*(e.accuracy.get("test", ()) for e in sight.events), strict=False)
        steps = [event.step for event in sight.events]
        out.append(Series(sight.role, name, steps, list(rows), sight.state))
    return out


def _teacher(now: Scene) -> Recipe:
    sight = now.chosen or now.bar or now.baseline
    return sight.take.teacher if sight else _form.setup(_form.defaults()).recipe.teachers[0]


def _taught(now: Scene) -> Teacher | None:
    """The teacher of the run in the picture; the shipped one when there is none."""
    return heard(_teacher(now)) if len(several := _several(now)) < 2 else together(several)


def _several(now: Scene) -> tuple[Recipe, ...]:
    """The teachers of the run in the picture."""
    sight = now.chosen or now.bar or now.baseline
    return sight.take.recipe.teachers if sight else ()


def _teacher_name(now: Scene) -> str:
    """'Teacher', and which one where it is not the usual one; or how many they are."""
    return words.teacher_name(_teacher(now).student, len(_several(now)))


def _floor(now: Scene) -> float:
    """Where the axis starts: at 0 only if a run that is over ended below a half."""
    if now.data.classes > 2 * BARS:
        return 0.0
    ends = [s for s in now.beside if not s.active]
    means = [charts.mean_sd(scores(s)) for s in ends]
    return 0.0 if any(m and m[0] < 0.52 for m in means) else 0.5


def chart(now: Scene) -> str:
    """Every run's curve and the teacher's line."""
    known = _taught(now)
    width = now.widths[0]
    last = max((s.steps for s in now.beside), default=300)
    picture = charts.curves(
        _series(now),
        width=width,
        height=320 if width < 420 else 432,
        teacher=known.accuracy if known else None,
        teacher_name=_teacher_name(now),
        last_step=last,
        span=(_floor(now), 1.0),
        title=_axis(now),
    )
    points = sum(len(s.events) for s in now.beside)
    return f'<div class="figure" id="curves" data-n="{points}">{picture}</div>'


def _axis(now: Scene) -> str:
    return words.axis(now.data.tests, len(now.data.shape) == 3, LOOK)


def chart_tools(now: Scene) -> str:
    """What stands under the chart: its numbers as a table, and the picture to keep."""
    table = charts.curves_table(_series(now), caption=_axis(now))
    return _under("curves", table)


def _under(figure: str, table: str) -> str:
    """'Save picture' and 'Data table' below a figure."""
    save = f'<button type="button" class="link" data-save="{figure}">{words.SAVE}</button>'
    details = charts.data_table(table).replace("<details", f'<details data-keep="{figure}"', 1)
    return f'<div class="under">{save}{details}</div>'


# -------------------------------------------------------------------------------- the image


def _temperature(now: Scene) -> tuple[float, float]:
    """The temperature of the bars, and the chosen run's own."""
    sight = now.chosen
    own = float(getattr(sight.take.recipe.method, "temperature", 1.0)) if sight else 1.0
    return (own if now.visitor.heated else 1.0), own


def _student(sight: Sight, sample: int, temperature: float) -> Opinion:
    """What a run's first student says now."""
    logits = sight.take.opinion(len(sight.events) - 1, sample) if sight.events else []
    return Opinion(sight.role, sight.name, softmax(logits, temperature))


def drawn(one: Example, size: float, alt: str) -> str:
    """A sample's picture, in ink where it is small."""
    if not one.picture:
        return charts.digit(one.rows, size, alt)
    return (
        f'<img class="digit" src="{one.picture}" alt="{escape(alt)}" width="{size:g}" '
        f'height="{size:g}">'
    )


def _few(models: Sequence[Opinion], truth: int, names: Sequence[str]) -> _Few:
    """Of many classes those that somebody thinks of most, and the true one."""
    most = [max((_at(m, k) for m in models), default=0.0) for k in range(len(names))]
    first = sorted(range(len(names)), key=lambda k: (k != truth, -most[k]))[:BARS]
    kept = sorted(first)
    cut = [
        replace(m, probabilities=[_at(m, k) for k in kept] if m.probabilities else [])
        for m in models
    ]
    short = [n if len(n) <= LETTERS else f"{n[: LETTERS - 1]}…" for n in (names[k] for k in kept)]
    return cut, short, kept.index(truth)


def _at(model: Opinion, k: int) -> float:
    value = model.probabilities[k] if k < len(model.probabilities) else None
    return value if value is not None else 0.0


def _this(now: Scene, place: int, one: Example, note: str) -> str:
    """The picked sample: its picture, or its numbers where it has none."""
    names = now.shown.names
    if one.numbers:
        values = ", ".join(words.plain(v, 2) for v in one.numbers[:8])
        values += ", …" if len(one.numbers) > 8 else ""
        said = words.sample_said(place, names[one.label])
        return (
            f'<p class="features"><b>{escape(said)}</b> {escape(values)}</p>'
            f'<p class="aside">{words.NUMBERS_NOTE} {escape(note)}</p>'
        )
    alt = words.image_alt(names[one.label], place, now.data.key())
    return f'<div class="this-one">{drawn(one, 72, alt)}<p class="aside">{escape(note)}</p></div>'


def image(now: Scene) -> str:
    """The picked image, the teacher's answer beside the chosen student's, and the loss."""
    pictures = len(now.data.shape) == 3
    title = words.IMAGE if pictures else words.SAMPLE
    sight = now.chosen
    if now.example is None:
        gone = f'<section><h2 class="part">{title}</h2><p class="aside">{words.DATA_GONE}</p>'
        return gone + "</section>" + (_losses(now, sight) if sight and sight.events else "")
    sample, one = now.example
    temperature, own = _temperature(now)
    known = _taught(now)
    said = _student(sight, sample, temperature).probabilities if sight else []
    if sight and said:
        recipe = sight.take.recipe  # with alpha = 0 a method hears no teacher
        listens = bool(recipe.teachers) and getattr(recipe.method, "alpha", 1.0) != 0
        alone = recipe.method.family() == "self" and not recipe.teachers
        note = words.chasing(temperature, sight.active, listens, alone)
    else:
        note = words.unanswered(temperature, sight is not None and sight.state == "finished")
    out = [f'<section><h2 class="part">{title}</h2>{_this(now, sample, one, note)}']
    if known:
        left = Opinion("teacher", _teacher_name(now), softmax(known.logits[sample], temperature))
        name = words.method_name(sight.take.recipe.method) if sight else words.STUDENT
        right = Opinion(sight.role if sight else "muted", name, said)
        width = min(now.widths[1], 320)
        (left, right), names, truth = _few([left, right], one.label, now.shown.names)
        out.append(charts.opinions(left, right, width=width, classes=names, truth=truth))
    after = words.IMAGE_NEXT if pictures else words.SAMPLE_NEXT
    buttons = [f'<button type="button" class="link" data-do="next">{after}</button>']
    if own != 1:
        text = words.heat(own, now.visitor.heated)
        buttons.append(f'<button type="button" class="link" data-do="heat">{text}</button>')
    if pictures:
        every = words.gallery_count(len(now.shown.examples))[0]
        buttons.append(f'<a class="link" href="#gallery">{every}</a>')
    out.append(f'<div class="tools">{"".join(buttons)}</div></section>')
    return "".join(out) + (_losses(now, sight) if sight and sight.events else "")


def _losses(now: Scene, sight: Sight) -> str:
    """The loss as the sum of its terms: mean over the students."""
    names = list(dict.fromkeys(name for event in sight.events for name in event.terms))
    terms = []
    for name in names:
        role = name if name in ("teacher", "labels") else "muted"
        found = (charts.mean_sd(e.terms.get(name, ())) for e in sight.events)
        values = [m[0] if m else None for m in found]
        terms.append(Term(role, words.TERMS.get(name, name), values))
    if not terms:
        return ""
    side = now.widths[1]
    width = min(side - 368 if side > 600 else side, 420)  # beside the image, or below it
    drawn = losses(terms, width=width, total=sight.take.recipe.events + 1)
    step = f"<small>{escape(words.at_step(sight.step, sight.steps))}</small>"
    return f'<section class="loss"><h2 class="part">{words.LOSS}{step}</h2>{drawn}</section>'


def samples(data: Data | None = None) -> str:
    """The gallery, a button for each image; that of the digits is what a page begins with."""
    known = data or DATA["digits"]()
    found, out = shown(known), []
    for place, one in enumerate(found.examples):
        if one.numbers:  # there is nothing to see
            return ""
        picture = drawn(one, 36, words.image_alt(found.names[one.label], place, known.key()))
        out.append(
            f'<button type="button" data-do="pick" data-sample="{place}" '
            f'aria-pressed="false">{picture}</button>'
        )
    if not out:
        return ""
    note = f"<small>{words.gallery_count(len(out))[1]}</small>"
    heading = f'<h2 class="part" id="gallery">{words.GALLERY}{note}</h2>'
    return f'{heading}<div class="samples small">{"".join(out)}</div>'


def picked(now: Scene) -> str:
    """The picked image's place; with the gallery below it where that is not of the digits."""
    place = str(now.example[0]) if now.example else "0"
    return place if now.data.key() == "digits" else f"{place}\n{samples(now.data)}"


def after(one: Visitor) -> int:
    """The place of the next sample, in a circle."""
    now = scene(one)
    return (now.example[0] + 1) % len(now.shown.examples) if now.example else 0


def everybody(now: Scene) -> str:
    """What the teacher and every run say about the picked image."""
    if now.example is None:
        return ""
    sample, one = now.example
    temperature, _ = _temperature(now)
    known = _taught(now)
    models = [_student(sight, sample, temperature) for sight in now.beside[-6:]]
    short = _curve_names([sight.name for sight in now.beside], 500)[-6:]
    models = [replace(one, name=name) for one, name in zip(models, short, strict=True)]
    if known:
        said = softmax(known.logits[sample], temperature)
        models.insert(0, Opinion("teacher", _teacher_name(now), said))
    models, names, truth = _few(models, one.label, now.shown.names)
    width = now.widths[3]
    figure = charts.opinion_rows(models, width=width, classes=names, truth=truth, bar=36)
    hot = f"<small>{escape(words.at(temperature))}</small>"
    heading = f'<h2 class="part">{words.EVERYBODY}{hot}</h2>'
    table = charts.opinions_table(models, caption=words.EVERYBODY, classes=names)
    figure = f'<div class="figure" id="answers">{figure}</div>'
    return f"{heading}{figure}{_under('answers', table)}"


def panel(now: Scene) -> str:
    """What the shown run's method compares inside teacher and student."""
    sight = now.chosen or now.bar
    return _inside.panel(sight, now.sights, now.visitor.sample, now.widths[2])  # its own data


# ------------------------------------------------------------------- the verdict, the table


def finding(now: Scene) -> str:
    """The verdict on the chosen run as a sentence, and what it does not say."""
    base, sight = now.baseline, now.chosen
    if not now.sights or base is None:
        return ""
    if len(now.beside) == 1:
        return f'<p class="say">{words.ALONE}</p>'
    if sight is None or sight.run == base.run:
        others = [s for s in now.beside if s.run in now.compared]
        if not others:
            return f'<p class="say">{words.ALONE}</p>'
        sight = others[-1]
    one = now.compared.get(sight.run)
    if one is None:
        return ""
    if sight.active or base.active:
        learns = sight if sight.active else base
        return f'<p class="say">{_text(words.going(learns.name))}</p>'
    apart = differences(sight.take.recipe, base.take.recipe)
    # who differs in several things is no evidence for one of them
    word = "equal" if one.verdict.equal else one.verdict.text
    chip = charts.chip("unlike" if len(apart) > 1 else word)
    text = words.finding(sight.name, base.name, one.verdict, one.step)
    length = ""
    if one.step is not None:
        shorter = min(sight, base, key=lambda run: run.step)
        length = words.cut(one.step, broke=shorter.state == "failed")
    elif sight.steps != base.steps:
        length = words.unequal(sight.steps, base.steps)
    if len(apart) > 1:
        length = f"{length} {words.confounded(apart)}".strip()
    note = words.caveat(
        tuned([base, sight]),
        one.verdict.over,
        one.several,
        one.fewer,
        length,
        sight.take.recipe.student == base.take.recipe.student,
        now.data.tests,
    )
    return (
        f'<div class="verdict" data-verdict="{one.verdict.text}">{chip}'
        f'<p class="say">{_text(text)}</p><p class="aside">{escape(note)}</p>'
        f"{_control(sight) if len(apart) > 1 else ''}</div>"
    )


def _control(sight: Sight) -> str:
    """A button that trains the control of a run: everything alike, but labels alone."""
    recipe = sight.take.recipe
    if recipe.method.key() == "scratch" or recipe.data.shown != "images":
        return ""
    text = words.control(recipe.student, recipe.data.images)
    return (
        f'<button type="button" class="link" data-do="control" data-run="{sight.run}">'
        f"{escape(text)}</button>"
    )


def pins(now: Scene) -> str:
    """The table of the visitor's runs."""
    if not now.sights:
        heading = f'<h2 class="part">{words.PINNED}</h2>'
        return f'{heading}<p class="aside">{words.EMPTY_TABLE}</p>'
    counts = [len(sight.take.recipes) for sight in now.sights]
    note = f"<small>{escape(words.pinned_note(counts))}</small>"
    caption = f"<caption>{words.PINNED}{note}</caption>"
    base = words.lower(now.baseline.name) if now.baseline else ""
    heads = [text.format(base).strip() for text in words.COLUMNS]
    more = (False, False, False, True, True, True, True, True)
    cells = "".join(
        f'<th scope="col"{_more(hide)}>{_text(text)}</th>'
        for text, hide in zip([*heads, ""], more, strict=True)
    ).replace('<th scope="col" class="more"></th>', '<td class="more"></td>')
    rows = "".join(_pin(now, sight) for sight in now.sights)
    grid = f"<table>{caption}<thead><tr>{cells}</tr></thead><tbody>{rows}</tbody></table>"
    scroll = f'<div class="scroll" tabindex="0" role="region" aria-label="{words.PINNED}">'
    rest = f'<details data-keep="pins"><summary>{words.ALL_COLUMNS}</summary></details>'
    undo = ""
    if any(entry.hidden for entry in now.visitor.entries):
        button = f'<button type="button" class="link" data-do="back">{words.UNDO_REMOVE}</button>'
        undo = f'<p class="undo">{button}</p>'
    return f'<div class="numbers pins">{scroll}{grid}</div>{rest}{undo}</div>'


def _more(hide: bool) -> str:
    return ' class="more"' if hide else ""


def _pin(now: Scene, sight: Sight) -> str:
    base = now.baseline is not None and sight.run == now.baseline.run
    shown = now.chosen is not None and sight.run == now.chosen.run
    reports = sight.take.reports() if sight.state == "finished" else None
    lost = sight.events[-1].diverged if sight.events else ()
    reports = reports and [{} if i in lost else one for i, one in enumerate(reports)]
    cells = [
        (charts.percent_sd(scores(sight)), ""),
        (words.IS_BASE if base else _difference(now, sight), "against"),
        (_mean(reports, "agreement"), "more"),
        (_mean(reports, "ece"), "more"),
        (words.seconds(sight.seconds), "more"),
    ]
    body = "".join(f'<td class="{kind}">{escape(text)}</td>' for text, kind in cells)
    state = words.cell_state(
        sight.state, sight.step, sight.steps, sight.ahead, len(lost) == len(sight.take.recipes)
    )
    dot = f'<i class="live-dot {sight.role} on"></i> ' if sight.state == "running" else ""
    body += f"<td class='more'>{dot}{escape(state)}</td>"
    run = f'data-run="{sight.run}"'
    tools = (
        []
        if base or sight not in now.beside
        else [_act("baseline", run, words.BASELINE, sight.name)]
    )
    tools += [] if sight.active else [_act("remove", run, words.REMOVE, sight.name)]
    body += f'<td class="more acts">{" ".join(tools)}</td>'
    name = charts.escape(sight.name.replace(" = ", "\u00a0=\u00a0"))
    head = (
        f'<th scope="row" class="marked">{charts.marker(sight.role)}<button type="button" '
        f'class="row-name" data-do="choose" {run} aria-pressed="{str(shown).lower()}">{name}'
        "</button></th>"
    )
    live = "live" if sight.active and sight.state != "queued" else ""
    wait = "wait" if sight.state == "queued" else ""
    return f'<tr class="{sight.role} {live}{wait}" {run}>{head}{body}</tr>'


def _act(do: str, run: str, text: str, name: str) -> str:
    label = escape(f"{text}: {name}")
    return (
        f'<button type="button" class="link" data-do="{do}" {run} aria-label="{label}">'
        f"{text}</button>"
    )


def _difference(now: Scene, sight: Sight) -> str:
    one = now.compared.get(sight.run)
    if one is None or one.verdict.mean is None:
        return words.ABSENT
    found = one.verdict
    mark = "≠ " if _unlike(now, sight) else ""
    return mark + words.against(found.mean, found.low, found.high, one.step)


def _unlike(now: Scene, sight: Sight) -> bool:
    """Whether a run and the baseline differ in several things, so that neither explains it."""
    if now.baseline is None:
        return False
    return len(differences(sight.take.recipe, now.baseline.take.recipe)) > 1


def _mean(reports: Sequence[dict[str, float | None]] | None, name: str) -> str:
    found = charts.mean_sd([one.get(name) for one in reports]) if reports else None
    return words.percent(found[0]) if found else words.ABSENT


# ------------------------------------------------------------------------- more about it


def details(now: Scene) -> str:
    """Pair by pair, which mistakes went away, and how honest the confidence is."""
    base = now.baseline
    sight = now.chosen if now.chosen and base and now.chosen.run != base.run else None
    if sight is None and base:
        others = [s for s in now.beside if s.run in now.compared]
        sight = others[-1] if others else None
    if base is None or sight is None:
        return f'<p class="aside">{words.ALONE}</p>'
    parts = [_strips(now), _mistakes(now, base, sight), _sure(now, sight)]
    return f'<div class="more-about">{"".join(parts)}</div>'


def _strips(now: Scene) -> str:
    rows = []
    for sight in now.sights:
        one = now.compared.get(sight.run)
        if one is None or one.verdict.mean is None or one.verdict.low is None:
            continue
        found, note = one.verdict, charts.percent_sd(scores(sight))
        assert found.mean is not None and found.low is not None and found.high is not None
        rows.append(
            charts.Difference(
                sight.role, sight.name, one.pairs, found.mean, found.low, found.high, note,
                "unlike" if _unlike(now, sight) else found.text.lower(),
            )
        )  # fmt: skip
    if not rows:
        return ""
    drawn = charts.differences(rows, width=now.widths[2])
    n = max(len(row.pairs) for row in rows)
    return _part(words.STRIPS, words.strips_note(n), drawn, "whole")


def _mistakes(now: Scene, base: Sight, sight: Sight) -> str:
    ours, theirs = sight.take.reports(), base.take.reports()
    if sight.state != "finished" or base.state != "finished" or not ours or not theirs:
        return ""
    names = now.shown.names
    if len(names) > BARS:
        return ""
    from workbench.evaluation import aggregate

    before, after = aggregate(theirs)["confusion"], aggregate(ours)["confusion"]
    change = [
        [a - b for a, b in zip(x, y, strict=True)] for x, y in zip(before, after, strict=True)
    ]
    width = min(now.widths[2], 440)
    drawn = charts.confusion_difference(change, width=width, classes=names, by=sight.name)
    rows = [
        charts.Row(name, [f"{v:.1f}".replace("-", words.MINUS) for v in row])
        for name, row in zip(names, change, strict=True)
    ]
    note = words.mistakes_note(sight.name, base.name)
    table = charts.table([words.IS_READ_AS, *names], rows, caption=words.MISTAKES)
    return _part(words.MISTAKES, note, _figure("mistakes", drawn, table))


def _sure(now: Scene, sight: Sight) -> str:
    reports = sight.take.reports() if sight.state == "finished" else None
    found = reports[0].get("reliability") if reports else None
    if not reports or not found:
        return ""
    bins = [charts.Bin(b["confidence"], b["accuracy"], b["count"]) for b in found]
    width = min(now.widths[2], 440)
    drawn = charts.reliability(bins, width=width, role=sight.role, name=sight.name)
    rows = [
        charts.Row(words.percent(b.confidence, 0), [words.percent(b.accuracy, 0), str(b.count)])
        for b in bins
        if b.count
    ]
    table = charts.table(list(words.SURE_COLUMNS), rows, caption=words.SURE)
    note = words.sure_note(sight.name, reports[0]["ece"])
    return _part(words.SURE, note, _figure("sure", drawn, table))


def _figure(name: str, drawn: str, table: str) -> str:
    return f'<div class="figure" id="{name}">{drawn}</div>{_under(name, table)}'


def _part(title: str, note: str, content: str, kind: str = "") -> str:
    heading = f'<h2 class="part">{escape(title)}</h2><p class="aside">{_text(note)}</p>'
    return f'<section class="{kind}">{heading}{content}</section>'
