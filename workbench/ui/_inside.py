"""What makes a method visible: its card, its pairs of layers, and what it sees inside a run."""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Sequence
from pathlib import Path

from workbench import charts, inside, words
from workbench.base import BadInput
from workbench.charts import escape
from workbench.charts.inside import (
    Box,
    Maps,
    Matrix,
    Related,
    Tower,
    attention,
    boxes,
    pairing,
    relations,
)
from workbench.charts.lineage import Generation, lineage, lineage_table
from workbench.data import Data
from workbench.methods import METHODS
from workbench.models import layers
from workbench.recipe import Recipe
from workbench.ui import _form
from workbench.ui._compare import scores
from workbench.ui._desk import Sight
from workbench.ui._take import Untaught, finished, shown, take, taught

#: Pixels of a method's card beside what it sees, and between the two.
CARD, GAP = 400, 48


def widths(wide: int) -> tuple[int, int]:
    """Of card and of what is seen beside it, or below it on a small screen."""
    return (CARD, wide - CARD - GAP) if wide >= 960 else (wide, wide)


def script() -> str:
    """What lets one pick pairs of layers in the browser."""
    return (Path(__file__).parent / "pairs.js").read_text(encoding="utf-8")


# --------------------------------------------------------------------------------- the card


def _key(line: str) -> str:
    """The method that a form's line of JSON names."""
    try:
        found = json.loads(line)["method"]
        return found if found in METHODS else "kd"
    except (ValueError, TypeError, KeyError):
        return "kd"


def card(line: str) -> str:
    """The form's method: its name, and in one sentence what the student copies."""
    return _card(_key(line))


@functools.cache
def _card(key: str) -> str:
    method = METHODS[key]
    sentence = escape(words.what_it_copies(method.sentence()))
    return f'<h2 class="part">{escape(method.title)}</h2><p class="say">{sentence}</p>'


def formula(line: str) -> str:
    """Its formula and the reasons for it, as Markdown."""
    return "\n\n".join(METHODS[_key(line)].reasons())


def code(line: str) -> str:
    """Its loss as it stands in its file, folded, and the paper."""
    return _code(_key(line))


@functools.cache
def _code(key: str) -> str:
    return (
        f'<details class="data code" data-keep="code"><summary>{words.CODE}</summary>'
        f'<pre tabindex="0"><code>{escape(METHODS[key].source())}</code></pre></details>'
        f'<p class="aside">{_linked(METHODS[key].paper)}</p>'
    )


def _linked(paper: str) -> str:
    """A paper, its arXiv number as the way to it."""
    where = r'<a href="https://arxiv.org/abs/\1" target="_blank" rel="noreferrer">\g<0></a>'
    return re.sub(r"arXiv:(\d{4}\.\d{4,5})", where, escape(paper))


# ------------------------------------------------------------------------- pairs of layers


def pairs(line: str, wide: int, own: Data | None = None) -> str:
    """The layers of student and teacher and which are compared, with buttons that change it."""
    return _pairs(line, widths(wide)[0], own)


@functools.lru_cache(maxsize=200)
def _pairs(line: str, width: int, own: Data | None) -> str:
    kind = METHODS[_key(line)]
    knob = next((name for name, one in kind.knobs().items() if one.kind == "pairs"), "")
    if not knob:
        return ""
    wrong, changed = "", False
    found: tuple[tuple[str, str], ...] = ()
    try:
        recipe = _form.read(line, own).recipe
        found, changed = inside.compared(recipe), bool(getattr(recipe.method, knob))
    except BadInput as error:
        wrong = words.sentence(error)
        try:  # without the pairs, to have something to pick from
            values = json.loads(line)
            bare = values | {"knobs": values["knobs"] | {knob: ""}}
            recipe = _form.setup(bare, own=own).recipe
        except BadInput:
            return f'<p class="notice">{escape(wrong)}</p>'
        changed = True
    towers = _towers(recipe)
    drawn = pairing(*towers, found, width=min(width, 480))
    buttons = "".join(_button(box, towers[box.who]) for box in boxes(towers, min(width, 480)))
    said = f'<p class="notice">{escape(wrong)}</p>' if wrong else ""
    back = f'<button type="button" class="link" data-default>{words.DEFAULT_PAIRS}</button>'
    names = escape("+".join(map(":".join, found)))
    data = f'data-pairs="{names}" data-method="{kind.key()}" data-knob="{knob}"'
    return (
        f'<h2 class="part">{words.PAIRING}</h2><div class="pairing" {data}>{drawn}{buttons}</div>'
        f'{said}<p class="aside">{words.PAIRING_NOTE} {back if changed else ""}</p>'
    )


def _towers(recipe: Recipe) -> tuple[Tower, Tower]:
    data = recipe.data
    its = recipe.teachers[0].student
    return tuple(  # type: ignore[return-value]
        Tower(
            role,
            f"{word} {name}",
            [
                (key, words.layer_size(layer.grid, layer.width))
                for key, layer in layers(name, data.shape).items()
            ],
        )
        for role, word, name in (
            ("kd", words.STUDENT, recipe.student),
            ("teacher", words.TEACHER, its),
        )
    )


def _button(box: Box, tower: Tower) -> str:
    name, size = tower.layers[box.layer]
    label = (words.PICK_ITS if box.who else words.PICK_MINE).format(name, size)
    place = (
        f"left:{box.x:.0f}px;top:{box.y:.0f}px;width:{box.width:.0f}px;height:{box.height:.0f}px"
    )
    return (
        f'<button type="button" data-layer="{escape(name)}" data-who="{box.who}" '
        f'aria-pressed="false" aria-label="{escape(label)}" style="{place}"></button>'
    )


# ------------------------------------------------------------------------- inside a run


def panel(sight: Sight | None, sights: Sequence[Sight], sample: int, wide: int) -> str:
    """What the shown run's method compares, as it is now; and who taught its teacher."""
    if sight is None:
        return ""
    width = widths(wide)[1]
    return _seen(sight, sample, width) + _lineage(sight, sights, width)


def _seen(sight: Sight, sample: int, width: int) -> str:
    recipe = sight.take.recipe
    try:
        found = inside.drawn(recipe)
        its = taught(recipe) if found else []
    except BadInput:  # it could not train either, and says why
        return ""
    except Untaught:
        return _part(words.SHOWS[recipe.method.shows][0], words.NOT_TAUGHT, "")
    known = shown(recipe.data)
    if not found or not known.examples:
        return ""
    title, note, _ = words.SHOWS[recipe.method.shows]
    mine = sight.take.views(len(sight.events) - 1) if sight.events else []
    if sight.events and not mine:
        note = words.NOT_SEEN
    draw = _maps if recipe.method.shows == "maps" else _relations
    save = f'<button type="button" class="link" data-save="inside">{words.SAVE}</button>'
    drawn = draw(sight, its, mine, sample, width)
    figure = f'<div class="figure" id="inside">{drawn}</div><div class="under">{save}</div>'
    name = words.method_name(recipe.method)
    return _part(title, note, figure, words.first_student(name, sight.step, sight.steps))


Views = Sequence[Matrix]


def _maps(sight: Sight, its: Views, mine: Views, sample: int, width: int) -> str:
    """Where both look in the picked image."""
    recipe = sight.take.recipe
    known = shown(recipe.data)
    sample %= len(known.examples)
    one = known.examples[sample]
    name = words.teacher_name(recipe.teachers[0].student)
    teacher, student = (
        Maps(role, who, [_grid(one[sample], g) for one, g in zip(seen, grids, strict=False)])
        for role, who, seen, grids in (
            ("teacher", name, its, _grids(recipe, 1)),
            (sight.role, words.method_name(recipe.method), mine, _grids(recipe, 0)),
        )
    )
    titles = [words.pair_title(*pair) for pair in inside.drawn(recipe)]
    alt = words.image_alt(known.names[one.label], sample, recipe.data.key())
    return attention(one.rows, alt, teacher, student, titles, width=width)


def _relations(sight: Sight, its: Views, mine: Views, sample: int, width: int) -> str:
    """How the samples lie to each other in the last pair of layers."""
    recipe, known = sight.take.recipe, shown(sight.take.recipe.data)
    labels = [one.label for one in known.examples]
    ends = words.SHOWS[recipe.method.shows][2]
    return relations(
        Related("teacher", words.teacher_name(recipe.teachers[0].student), its[-1]),
        Related(sight.role, words.method_name(recipe.method), mine[-1] if mine else []),
        [known.names[labels[i]][:4] for i in inside.related(labels)],
        width=width,
        near=ends == words.FAR_NEAR,
        ends=ends,
    )


def _grids(recipe: Recipe, who: int) -> list[tuple[int, int]]:
    """The grids of one network's layers, by pair."""
    name = recipe.teachers[0].student if who else recipe.student
    known = layers(name, recipe.data.shape)
    return [known[pair[who]].grid or (1, 1) for pair in inside.drawn(recipe)]


def _grid(values: Sequence[float], grid: tuple[int, int]) -> Matrix:
    return [values[i * grid[1] : (i + 1) * grid[1]] for i in range(grid[0])]


def _part(title: str, note: str, content: str, whose: str = "") -> str:
    small = f"<small>{escape(whose)}</small>" if whose else ""
    heading = f'<h2 class="part">{escape(title)}{small}</h2><p class="aside">{escape(note)}</p>'
    return f"<section>{heading}{content}</section>"


# ------------------------------------------------------------------------- who taught whom


def _lineage(sight: Sight, sights: Sequence[Sight], width: int) -> str:
    links = _form.chain(sight.take.recipe)
    if len(links) < 3:
        return ""
    known = [_generation(links, i, sights) for i in range(len(links) - 1)]
    known.append(_link(links, len(links) - 1, sight.role, scores(sight)))
    low = min((v for one in known for v in one.values if v is not None), default=1.0)
    span = (0.0 if low < 0.5 else 0.5, 1.0)
    drawn = lineage(known, width=width, span=span)
    table = charts.data_table(lineage_table(known, caption=words.LINEAGE))
    save = f'<button type="button" class="link" data-save="lineage">{words.SAVE}</button>'
    table = table.replace("<details", '<details data-keep="lineage"', 1)
    under = f'<div class="under">{save}{table}</div>'
    figure = f'<div class="figure" id="lineage">{drawn}</div>{under}'
    return _part(words.LINEAGE, words.LINEAGE_NOTE, figure)


def _generation(links: Sequence[Recipe], at: int, sights: Sequence[Sight]) -> Generation:
    """What is known of a teacher: the visitor's own run of it, with all its seeds, or its own."""
    link = links[at]
    values: Sequence[float | None] = ()
    own = [sight for sight in sights if sight.take.recipe == link.arm() and sight.events]
    if own:
        values = scores(own[-1])
    elif folder := finished(link):
        events = take(folder).events()
        values = events[-1].accuracy["test"] if events else ()
    return _link(links, at, "muted" if at else "teacher", values)


def _link(
    links: Sequence[Recipe], at: int, role: str, values: Sequence[float | None]
) -> Generation:
    """One of some links, each the teacher of the next."""
    recipe, last = links[at], links[-1]
    name = words.link_name(recipe.method, recipe.student, bool(recipe.teachers))
    like = [i for i, one in enumerate(links) if i and one.student == last.student]
    place = like.index(at) + 1 if at in like and len(like) > 1 else 0
    between = bool(recipe.teachers) and recipe.student != last.student
    note = words.link_note(place, _form.weights(recipe.student, recipe.data), between)
    return Generation(role, name, note, values)
