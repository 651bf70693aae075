"""What a sweep's form says: two axes with their values, and the plan that they mean.

The form's value is a line of JSON, like that of Train, and nothing of it is trusted: what does not
lie on an axis is checked by `_form.setup`, and every value of an axis by its knob.
"""

from __future__ import annotations

import functools
import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from workbench import words
from workbench.base import BadInput, Knob
from workbench.charts import escape
from workbench.data import Data
from workbench.methods import METHODS
from workbench.sweep import WATCHED, Plan, plan
from workbench.ui import _form

#: What all methods have and what may lie on an axis, the likeliest first.
SHARED = ("learning_rate", "images", "steps", "weight_decay", "batch_size", "label_noise")
#: What else the drawer has, as on Train.
BESIDE = ("student", "teacher")
#: Values of an axis, and how many the page takes; cells beyond that are too small to press.
USUAL, MOST = 6, 12
SEEDS = 5
NAMES = ("method", "across", "down", "seeds", "values", "knobs", "data", *SHARED, *BESIDE)


@dataclass(frozen=True)
class Asked:
    """A sweep as it was asked for: what lies across and down, and its plan."""

    across: Knob
    down: Knob
    plan: Plan

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns of the map."""
        columns = len({cell.knobs[self.across.name] for cell in self.plan.cells})
        return len(self.plan.cells) // columns, columns

    def values(self, knob: Knob) -> list[Any]:
        """The values on an axis, in their order."""
        return list(dict.fromkeys(cell.knobs[knob.name] for cell in self.plan.cells))


def axes(method: str, data: Data | None = None) -> dict[str, Knob]:
    """What may lie on an axis: the method's own numbers first, then those that all share."""
    shared = _form.common(data)
    own = {
        name: knob
        for name, knob in METHODS[method].knobs().items()
        if knob.kind in ("float", "int") and knob.slider
    }
    return own | {name: shared[name] for name in SHARED if name in shared}


def usual(knob: Knob) -> list[float]:
    """Values over the knob's slider, evenly on its scale, as people would choose them."""
    low, high = knob.slider or (float(knob.low or 0), float(knob.high or 1))
    shares = [k / (USUAL - 1) for k in range(USUAL)]
    if knob.scale == "log" and low > 0:
        found = [_round(low * (high / low) ** share, 1) for share in shares]
    else:
        found = [_round(low + (high - low) * share, 3) for share in shares]
    found = [float(round(v)) if knob.kind == "int" else v for v in found]
    return list(dict.fromkeys(min(max(v, knob.low or v), high) for v in found))


def _round(value: float, digits: int) -> float:
    return float(f"{value:.{digits}g}")


def text(values: Sequence[float]) -> str:
    """The values of an axis as they are typed."""
    return ", ".join(f"{value:g}" for value in values)


def title(knob: Knob) -> str:
    """'Temperature T', as an axis calls it."""
    return f"{knob.title} {knob.symbol}".strip()


def defaults(method: str = "kd", data: Data | None = None) -> dict[str, Any]:
    """The form on arrival: the method's first two numbers, over their sliders."""
    known, found = axes(method, data), _form.defaults(method, data)
    across, down = list(known)[:2]
    kept = {name: found[name] for name in ("data", *SHARED, *BESIDE) if name in found}
    values = {name: text(usual(known[name])) for name in (across, down)}
    return {"method": method, "across": across, "down": down, "seeds": SEEDS,
            "values": values, "knobs": {}} | kept  # fmt: skip


# ---------------------------------------------------------------------------- what is meant


def read(line: object, own: Data | None = None) -> Asked:
    """The sweep that the form's line of JSON means, asked by the visitor of `own`."""
    if not isinstance(line, str) or len(line) > _form.LARGEST:
        raise BadInput(words.NO_SWEEP)
    return _read(line, own, getattr(own, "path", ""))


@functools.lru_cache(maxsize=200)
def _read(line: str, own: Data | None, path: str) -> Asked:
    try:
        return asked(json.loads(line, object_pairs_hook=_form.once), own)
    except (json.JSONDecodeError, RecursionError):
        raise BadInput(words.NO_SWEEP) from None


def asked(found: object, own: Data | None = None) -> Asked:
    """The sweep that a form's values mean; `BadInput` in the visitor's words."""
    if not isinstance(found, Mapping):
        raise BadInput(words.NO_VALUES.format("sweep"))
    given = dict(found)
    for name in given:
        if name not in NAMES:
            raise BadInput(words.no_knob(name, NAMES))
    method = given.get("method", "kd")
    kind = METHODS[method] if isinstance(method, str) else METHODS[str(method)[:40]]
    data = _form.chosen(given.get("data", "digits"), own)
    known = axes(kind.key(), data)
    first = defaults(kind.key(), data)
    pair = [_axis(known, given.get(name, first[name])) for name in ("across", "down")]
    if pair[0].name == pair[1].name:
        raise BadInput(words.SAME_AXES.format(pair[0].title))
    written = given.get("values", {})
    if not isinstance(written, Mapping):
        raise BadInput(words.NO_VALUES.format("values"))
    grid = {}
    for knob in reversed(pair):  # down is the outer one: a map fills from its top
        grid[knob.name] = numbers(knob, written.get(knob.name, text(usual(knob))))
    base = _rest(given, kind.key(), data, grid, own)
    return Asked(pair[0], pair[1], planned(base, grid))


def _axis(known: Mapping[str, Knob], name: object) -> Knob:
    if not isinstance(name, str) or name not in known:
        titles = ", ".join(known)
        raise BadInput(words.NO_AXIS.format(str(name)[:40], titles))
    return known[name]


def numbers(knob: Knob, written: object) -> list[Any]:
    """The values of an axis from what was typed; one sentence for the first that does not fit."""
    if isinstance(written, str):  # with semicolons, a comma may be a decimal one
        typed = written.replace(",", ".").split(";") if ";" in written else re.split(
            r"[,\s]+", written.strip())  # fmt: skip
        parts: list[object] = [part.strip() for part in typed if part.strip()]
    elif isinstance(written, Sequence):
        parts = list(written)
    else:
        parts = []
    if not 1 <= len(parts) <= MOST:
        raise BadInput(words.so_many_values(knob.title, len(parts), MOST))
    found: list[Any] = []
    for part in parts:
        try:
            read_ = isinstance(written, str) and isinstance(part, str)
            value = knob.parse("sweep", str(part)) if read_ else knob.check("sweep", part)
        except BadInput:
            raise BadInput(words.allowed(knob, part, isinstance(written, str))) from None
        if value in found:
            raise BadInput(words.TWO_CELLS.format(knob.title, words.number(value)))
        found.append(value)
    return found


def _rest(
    given: Mapping[str, Any],
    method: str,
    data: Data,
    grid: Mapping[str, Sequence[Any]],
    own: Data | None,
) -> _form.Setup:
    """What is the same in every cell, checked as Train checks it; with the first of each axis."""
    usual_ = _form.defaults(method, data)
    knobs = given.get("knobs", {})
    if not isinstance(knobs, Mapping):
        raise BadInput(words.NO_VALUES.format("knobs"))
    mine = METHODS[method].knobs()
    fixed = dict(knobs) | {name: values[0] for name, values in grid.items() if name in mine}
    shared = {name: usual_[name] for name in (*SHARED, *BESIDE) if name in usual_}
    shared |= {name: given[name] for name in (*SHARED, *BESIDE) if name in given}
    shared |= {name: values[0] for name, values in grid.items() if name not in mine}
    found = {"method": method, "knobs": fixed, "data": given.get("data", "digits"),
             "seeds": given.get("seeds", SEEDS)}  # fmt: skip
    return _form.setup(found | shared, own=own)


def planned(
    base: _form.Setup, grid: Mapping[str, Sequence[Any]], most: int | None = WATCHED
) -> Plan:
    """The plan of a grid around a setting, if it can be trained here in bearable time."""
    recipe = base.recipe
    kind, own = type(recipe.method), recipe.method.values()
    taught = "+".join(dict.fromkeys(one.student for one in recipe.teachers)) or "mlp-256-256"
    fields = {
        name: getattr(recipe, name)
        for name in ("learning_rate", "steps", "weight_decay", "batch_size")
        if name not in grid
    }
    found = plan(
        kind,
        grid,
        data=recipe.data,
        student=recipe.student,
        teacher=taught,
        fixed={name: value for name, value in own.items() if name not in grid},
        seeds=base.seeds,
        labels=True,
        most=most,
        **fields,
    )
    for cell in found.cells:
        _together(cell.recipes[0])
    if found.seconds > _form.LONGEST:
        raise BadInput(words.too_long(math.ceil(found.seconds / 60), len(found.cells), base.seeds))
    return found


def scripted(
    method: str, grid: object, knobs: dict[str, Any], images: object, seeds: object
) -> Plan:
    """The plan that a script's call means, in as few passes as memory allows; numbers only."""
    kind = METHODS[method]
    known = axes(kind.key())
    if not isinstance(grid, Mapping) or not 1 <= len(grid) <= 2:
        raise BadInput(words.NO_GRID)
    for name in knobs.keys() & {*grid, "images", "seeds", "method", "knobs"}:
        given = dict(grid) | {"images": images, "seeds": seeds, "method": method}
        both = (str(one)[:40] for one in (given.get(name), knobs[name]))
        raise BadInput(words.GIVEN_TWICE.format(name, *both))
    values = {}
    for name, written in grid.items():
        knob = _axis(known, name)
        if isinstance(written, str):
            raise BadInput(words.allowed(knob, written, False))
        values[knob.name] = numbers(knob, written)
    mine = kind.knobs()
    first = {name: some[0] for name, some in values.items()}
    own = {name: value for name, value in (knobs | first).items() if name in mine}
    shared = {name: value for name, value in (knobs | first).items() if name not in mine}
    usual_ = _form.defaults(kind.key())
    networks = {name: usual_[name] for name in BESIDE}
    found = networks | {"images": images} | shared
    found |= {"method": kind.key(), "knobs": own, "seeds": seeds}
    return planned(_form.setup(found, text=False), values, None)


def _together(recipe: Any) -> None:
    """As on Train: a method may need a number of images at once."""
    low, high = recipe.method.batches()
    rows = min(recipe.batch_size or recipe.data.images, recipe.data.images)
    if not low <= rows <= high:
        raise BadInput(words.batch(recipe.method.title, rows, low, high))


def kept(line: str, own: Data | None) -> str:
    """The form's line if it can still be run, else that of somebody new."""
    try:
        read(line, own)
        return line
    except BadInput:
        return json.dumps(defaults())


# ------------------------------------------------------------------------------- the address


def means(query: Mapping[str, str]) -> bool:
    """Whether an address asks for a sweep."""
    return query.get("tab") == "sweep" and any(
        name != "tab" and name[:2] != "__" for name in query
    )


def from_address(query: Sequence[tuple[str, str]]) -> tuple[dict[str, Any], list[str]]:
    """The form's values in an address, and a sentence for each that could not be taken."""
    notes: list[str] = []
    given: dict[str, str] = {}
    for key, value in query[:60]:
        if key == "tab" or key[:2] == "__":
            continue
        if key[:40] in given:
            notes.append(words.TWICE.format(key[:40]))
        else:
            given[key[:40]] = value.strip()[:200]
    method = given.pop("method", "kd")
    if method not in METHODS:
        notes.append(words.other_method([method], METHODS["kd"].title))
        method = "kd"
    values = defaults(method)
    for name, said in _in_order(given, values):
        changed = dict(values)
        if name in axes(method) and name in (values["across"], values["down"]):
            changed["values"] = dict(values["values"]) | {name: said}
        elif name in METHODS[method].knobs():
            changed["knobs"] = dict(values["knobs"]) | {name: said}
        elif name in NAMES and name not in ("values", "knobs"):
            changed[name] = said
            if name in ("across", "down") and said in axes(method):
                changed["values"] = {said: text(usual(axes(method)[said]))} | values["values"]
        else:
            elsewhere = any(name in other.knobs() for other in METHODS.values())
            notes.append(words.unknown(name, said, METHODS[method].title, elsewhere))
            continue
        if changed.get("data") == _form.OWN:
            notes.append(words.OWN_LINK)
            continue
        if name == "across" and said == values["down"]:  # the other one is still to come
            changed["down"] = values["across"]
        try:
            asked(changed)
            values = changed
        except BadInput as error:
            notes.append(words.UNCHANGED.format(words.sentence(error)))
    return values, notes


def _in_order(given: Mapping[str, str], values: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Axes first: they decide what the other names of an address mean."""
    first = ("data", "across", "down")
    return sorted(given.items(), key=lambda one: first.index(one[0]) if one[0] in first else 9)


# ------------------------------------------------------------------------------------- HTML


def html() -> str:
    """The form: the method, its two axes and how many students; the rest in a drawer."""
    facts = {key: _facts(key) for key in METHODS}
    options = "".join(
        f'<optgroup label="{escape(name)}">{_methods(family)}</optgroup>'
        for family, name in words.FAMILIES.items()
    )
    shared = _form.common()
    front = (
        f'<label class="out-of-sight" for="s-method">{words.METHOD}</label>'
        f'<select id="s-method" class="pick" data-field="method">{options}</select>'
        f"{_select('across', words.ACROSS)}{_select('down', words.DOWN)}"
        f"{_number(replace(shared['seeds'], default=SEEDS), words.SEEDS_NOTE)}"
    )
    rest = "".join(
        f'<div class="knob"><label for="s-{name}-values" data-values="{name}"></label>'
        f'<input id="s-{name}-values" class="words" type="text" maxlength="200" '
        f'data-typed="{name}" autocomplete="off"></div>'
        for name in ("across", "down")
    )
    rest += "".join(_block(key) for key in METHODS)
    rest += "".join(_number(shared[n], "") for n in SHARED if n in shared)
    rest += "".join(_choices(shared[n]) for n in (*BESIDE, "data"))
    return (
        f'<form class="knobs sweep" onsubmit="return false" autocomplete="off" '
        f'data-facts="{escape(json.dumps(facts))}"><div class="front">'
        f'<h2 class="part">{words.SWEEP_PART}</h2>{front}</div><details class="drawer"><summary>'
        f"{words.MORE}<small>{words.SWEEP_MORE}</small></summary>"
        f'<div class="rest">{rest}</div></details></form>'
    )


def _facts(key: str) -> dict[str, Any]:
    """What the browser must know of a method: its axes, their usual values, its networks."""
    first = _form.defaults(key)
    found = [[name, title(knob), text(usual(knob))] for name, knob in axes(key).items()]
    return {"axes": found, "student": first["student"], "teacher": first["teacher"]}


def _methods(family: str) -> str:
    found = [(key, words.listed(kind)) for key, kind in METHODS.items() if kind.family() == family]
    found.sort(key=lambda one: (one[0] not in ("kd", "scratch"), one[1].lower()))
    return "".join(f'<option value="{escape(k)}">{escape(said)}</option>' for k, said in found)


def _select(name: str, label: str) -> str:
    """One of the axes; the browser fills it for the method, and says which values it has."""
    return (
        f'<div class="knob"><label for="s-{name}">{label}</label>'
        f'<select id="s-{name}" class="pick" data-field="{name}"></select>'
        f'<p class="note" data-has="{name}"></p></div>'
    )


def _block(key: str) -> str:
    """The method's own knobs, for where they are not on an axis."""
    rows = ""
    for knob in METHODS[key].knobs().values():
        if knob.kind in ("float", "int"):
            rows += _number(knob, words.meaning(knob), key)
        elif knob.kind == "choice":
            rows += _choices(knob, key)
    return f'<div data-method="{escape(key)}" hidden>{rows}</div>' if rows else ""


def _number(knob: Knob, note: str, method: str = "") -> str:
    ident = f"s-{method}-{knob.name}" if method else f"s-{knob.name}"
    symbol = f"<i>{escape(knob.symbol)}</i>" if knob.symbol else ""
    below = f'<p class="note">{escape(note)}</p>' if note else ""
    usual_ = 50 if knob.name == "images" else knob.default
    return (
        f'<div class="knob"><label for="{ident}">{escape(knob.title)}{symbol}</label>'
        f'<input id="{ident}" type="text" inputmode="decimal" maxlength="40" '
        f'value="{usual_:g}" data-field="{knob.name}" data-own="{escape(method)}" '
        f'data-low="{knob.low}" data-high="{knob.high}">{below}</div>'
    )


def _choices(knob: Knob, method: str = "") -> str:
    ident = f"s-{method}-{knob.name}" if method else f"s-{knob.name}"
    chosen = [c for c in knob.choices or () if c != _form.OWN]
    options = "".join(
        f'<option value="{escape(c)}"{" selected" * (c == knob.default)}>{escape(c)}</option>'
        for c in chosen
    )
    return (
        f'<div class="knob"><label for="{ident}">{escape(knob.title)}</label>'
        f'<select id="{ident}" class="pick" data-field="{knob.name}" '
        f'data-own="{escape(method)}">{options}</select></div>'
    )


def script() -> list[str]:
    """What makes the form, the map and the ear answer in the browser."""
    found = (Path(__file__).parent / "sweep.js").read_text(encoding="utf-8")
    return found.split("// ---\n")[1:]
