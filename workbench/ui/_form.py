"""What goes in: a form made from the knobs of every registry, and the recipes that it means.

The form is one component whose value is a line of JSON; its sliders answer in the browser
(`form.js`). Nothing that comes from there is trusted: `setup` checks every value again.
"""

from __future__ import annotations

import functools
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from workbench import words
from workbench.base import BadInput, Knob, Method, Trouble
from workbench.charts import escape
from workbench.data import DATA, Data
from workbench.engine import LOOK
from workbench.inside import compared
from workbench.methods import METHODS
from workbench.models import MODELS, cost
from workbench.recipe import Recipe, digest, misfit, taught_by, teacher
from workbench.recipes import RECIPES
from workbench.ui._take import finished

#: Knobs that no visitor turns: the app has one split, its seeds are counted, its pace is fixed.
FIXED = ("seed", "events", "split", "images")
FIRST = ("learning_rate", "steps", "seeds", "batch_size", "teacher", "assistant", "generations")
#: A visitor's own data, in the form's list; where they lie is known by the visitor's token alone.
OWN = "own"
#: What only a method with a teacher has.
TAUGHT = ("teacher", "assistant", "generations")
#: Seeds of those who teach in between: nobody starts from the weights of its own teacher.
ELDER = 1000
#: The assistant that is none.
NOBODY = "none"
#: Method knobs that stand in front; the others are behind "More".
FRONT = 2
#: Floating-point operations a second of one slow core, and the longest training in seconds.
SPEED, LONGEST = 1.5e10, 600
#: Seconds within which a dozen students, and a teacher, of a model that the page offers train.
QUICK = {"student": 60, "teacher": 15}
#: The same on data that do not come with the package: real pictures take longer.
PATIENT = {"student": 300, "teacher": 90}
#: Classes of which each has a box.
NAMED = 20
#: Samples that a test part may have for its evaluation to cost next to nothing.
FEW_TESTS = 500
LARGEST = 20_000  # characters of JSON: far more than any form needs
LARGEST_FILE = 20_000_000  # bytes of an upload


@dataclass(frozen=True)
class Setup:
    """An arm: a recipe and how many students it is trained with."""

    recipe: Recipe
    seeds: int

    @property
    def recipes(self) -> tuple[Recipe, ...]:
        """One recipe per student."""
        return tuple(self.recipe.but(seed=seed) for seed in range(self.seeds))

    @property
    def seconds(self) -> float:
        """About how long it takes on one slow core."""
        recipe, data = self.recipe, self.recipe.data
        images = min(data.images, data.size)
        batch = min(recipe.batch_size or images, images)
        work = self.seeds * _work(recipe.student, data)
        work += sum(_work(link.student, data) for link in chain(recipe)[1:-1])
        seen = 0 if data.tests <= FEW_TESTS else 2 * min(data.tests, LOOK) * recipe.events
        looks = self.seeds * _work(recipe.student, data) * seen
        return (recipe.steps * batch * 3 * work + looks) / SPEED

    @property
    def teaching(self) -> float:
        """About how long its first teacher takes on one slow core."""
        return sum(map(_taught_in, self._first))

    @property
    def untaught(self) -> float:
        """The same for those that nobody has trained yet."""
        return sum(_taught_in(one) for one in self._first if not finished(one))

    @property
    def _first(self) -> list[Recipe]:
        """Who teaches first: several in an ensemble."""
        found = chain(self.recipe)
        return list(found[1].teachers) if len(found) > 1 else []


def _taught_in(one: Recipe) -> float:
    """About how long a teacher learns on one slow core."""
    batch = min(one.batch_size or one.data.size, one.data.size)
    return one.steps * batch * 3 * _work(one.student, one.data) / SPEED


def chain(recipe: Recipe) -> list[Recipe]:
    """The recipe with all that came before it, the first teacher first."""
    found = [recipe]
    while found[0].teachers:
        found.insert(0, found[0].teachers[0])
    return found


def weights(student: str, data: Data) -> int:
    """How many a model has."""
    return cost(student, data.shape, data.classes)[0]


def _work(student: str, data: Data) -> int:
    return cost(student, data.shape, data.classes)[1]


@functools.lru_cache(maxsize=100)
def _quick(role: str, data: Data) -> tuple[str, ...]:
    """The models that train quickly on some data, the smallest first.

    Students are counted as the form stands on arrival; the command line has every model.
    """
    few = replace(data.whole(), images=min(50, data.size))
    limits, quick = QUICK if data.EMBEDDED else PATIENT, []
    for name in MODELS:
        try:
            made = Setup(Recipe(name, few), 12)
            taught = Setup(Recipe(name, few, METHODS["kd"](), (teacher(data, name),)), 1)
        except BadInput:  # it cannot take samples of this shape
            continue
        if (taught.teaching if role == "teacher" else made.seconds) <= limits[role]:
            quick.append(name)
    return tuple(sorted(quick, key=lambda name: weights(name, data)))


def here() -> tuple[str, ...]:
    """The published data sets that are on this machine."""
    return tuple(key for key, kind in DATA.items() if key != OWN and kind.here())


def chosen(key: object, own: Data | None = None) -> Data:
    """The data of a name in the list; `BadInput` if they cannot be had without a download."""
    if key == OWN:
        if own is None:
            raise BadInput(words.NO_OWN)
        return own.whole()
    known = DATA[key] if isinstance(key, str) else DATA[str(key)[:40]]
    if not known.here():
        raise BadInput(words.not_here(known.title, known.key()))
    return known()


# ------------------------------------------------------------------------------------ knobs


def common(data: Data | None = None) -> dict[str, Knob]:
    """The knobs that every method has, in the order of the form: images and student in front.

    Their ranges are those of the data, the digits if none are given.
    """
    data = (data or DATA["digits"]()).whole()
    teachers, of_data = _quick("teacher", data), data.knobs()
    low = 10.0 if data.size > 10 else 1.0
    own = {
        "images": replace(of_data["images"], high=data.size, slider=(low, data.size)),
        "student": _choice("student", "mlp-16", _quick("student", data), words.STUDENT),
    }
    later = {
        "data": _choice("data", "digits", (*here(), OWN), words.DATA),
        "seeds": Knob("seeds", "int", 12, 1, 24, (1, 24), title=words.SEEDS,
                      meaning=words.SEEDS_MEANING),
        "teacher": _choice("teacher", "mlp-256-256", teachers, words.TEACHER_KNOB),
        "assistant": _choice("assistant", NOBODY, (NOBODY, *teachers), words.ASSISTANT),
        "generations": Knob("generations", "int", 1, 1, 5, (1, 5), title=words.GENERATIONS,
                            meaning=words.GENERATIONS_MEANING),
    }  # fmt: skip
    declared = Recipe.knobs() | {name: of_data[name] for name in Data.knobs()}
    declared["steps"] = replace(declared["steps"], low=1)
    declared["left_out"] = replace(declared["left_out"], high=data.classes - 1)
    later |= {name: knob for name, knob in declared.items() if name not in FIXED}
    first = {name: later.pop(name) for name in FIRST if name in later}
    return own | first | later


def _choice(name: str, default: str, choices: Sequence[str], title: str) -> Knob:
    meaning = {"teacher": words.TEACHER_MEANING, "assistant": words.ASSISTANT_MEANING}.get(
        name, ""
    )
    usual = default if default in choices or not choices else choices[-1]
    return Knob(name, "choice", usual, choices=tuple(choices), title=title, meaning=meaning)


def defaults(method: str = "kd", data: Data | None = None) -> dict[str, Any]:
    """The form on arrival: the method's own defaults, 50 images."""
    known = common(data)
    values = {name: knob.default for name, knob in known.items()}
    values["images"] = min(50, int(known["images"].high or 50))
    values["data"] = data.key() if data else "digits"
    knobs = {name: knob.default for name, knob in METHODS[method].knobs().items()}
    for name, models in _wanted(method).items():
        found = [model for model in models if model in (known[name].choices or ())]
        values[name] = found[0] if found else values[name]
    return {"method": method, "knobs": knobs} | values


@functools.cache
def _wanted(method: str) -> dict[str, list[str]]:
    """The students and teachers of the digits that a method can do with, if not all can.

    The usual one is the first; a larger one comes before a smaller, where that is not to be had.
    """
    kind, shape, found = METHODS[method], DATA["digits"].shape, {}
    for role, first in (("student", ("mlp-64-64", "cnn-8")), ("teacher", ("cnn-32",))):
        every = {n for key in ("digits", *here()) for n in _quick(role, DATA[key]())}
        names = [n for n in sorted(every) if not misfit(kind, *_roles(kind, role, n), shape)]
        if len(names) < len(every):
            names.sort(key=lambda n: (n not in first, -weights(n, DATA["digits"]())))
            found[role] = names
    return found


def _roles(kind: type[Method], role: str, name: str) -> tuple[str, list[str]]:
    """A network in its role, and as the other one whoever does with every method."""
    if role == "student":
        return name, ["cnn-8"] if "teacher" in kind.needs else []
    return "cnn-8", [name]


def values_of(setup: Setup) -> dict[str, Any]:
    """The inverse of `setup`: what the form shows for an arm."""
    recipe = setup.recipe
    found = defaults(recipe.method.key(), recipe.data) | recipe.values() | recipe.data.values()
    found |= {"knobs": recipe.method.values(), "student": recipe.student, "seeds": setup.seeds}
    if recipe.teachers:
        first, *between = [link.student for link in chain(recipe)[:-1]]
        found["teacher"] = first
        other = bool(between) and between[0] != recipe.student
        found["assistant"] = between[0] if other else NOBODY
        found["generations"] = 1 + len(between) - other
    found["data"] = recipe.data.key()
    return {name: found[name] for name in ("method", "knobs", *common())}


def _checked(knob: Knob, owner: str, raw: object, text: bool) -> Any:
    """A value that may be used, or `BadInput` in the visitor's words."""
    try:
        if text and isinstance(raw, str) and knob.kind in ("float", "int"):
            return knob.parse(owner, raw.strip().replace(",", "."))  # a decimal comma is fine
        if text and isinstance(raw, str) and knob.kind in ("classes", "pairs"):
            return knob.parse(owner, raw)
        return knob.check(owner, raw)
    except BadInput:
        raise BadInput(words.allowed(knob, raw, text)) from None


def setup(found: object, text: bool = True, own: Data | None = None) -> Setup:
    """The arm that a form's values mean; `text`: numbers may come as people typed them.

    `own`: the data of the visitor who asks; nobody else's can be meant.
    """
    if not isinstance(found, Mapping):
        raise BadInput(words.NO_VALUES.format("recipe"))
    given = dict(found)
    given.pop("about", None)  # what the page was told of the visitor's data
    method = _method(given.pop("method", "kd"), given.pop("knobs", {}), text)
    whole = chosen(given.get("data", "digits"), own)
    knobs = common(whole)
    usual = defaults(method.key(), whole) | {"student": knobs["student"].default,
                                             "teacher": knobs["teacher"].default}  # fmt: skip
    for name in given:
        if name not in knobs:
            raise BadInput(words.no_knob(name, list(knobs)))
    value = {
        name: _checked(knob, "form", given.get(name, usual[name]), text)
        for name, knob in knobs.items()
    }
    value["labelled"] = _labelled(value["labelled"], value["images"], method, knobs["labelled"])
    data = replace(whole, **{k: v for k, v in value.items() if k in Data.knobs()})
    others = {k: v for k, v in value.items() if k in Recipe.knobs()}
    taught = taught_by(method, data, value["teacher"])
    before = [value["assistant"]] if value["assistant"] != NOBODY else []
    before += [value["student"]] * (value["generations"] - 1)
    for place, name in enumerate(before if taught else ()):  # each teaches the next
        taught = (Recipe(name, data, method, taught, seed=ELDER + place, **others),)
    recipe = Recipe(value["student"], data, method, taught, **others)
    low, high = method.batches()
    rows = min(recipe.batch_size or data.images, data.images)
    if not low <= rows <= high:
        raise BadInput(words.batch(method.title, rows, low, high))
    compared(recipe)  # says what is wrong with the names of layers
    made = Setup(recipe, value["seeds"])
    long = made.seconds + made.teaching
    if long > LONGEST:
        raise BadInput(words.LONG.format(math.ceil(long / 60)))
    return made


def _labelled(labelled: int, images: int, method: Method, knob: Knob) -> int:
    """How many labels the data shall keep: all, said in the one way that means all."""
    if labelled in (images, knob.default):
        return int(knob.default)
    if labelled > images:
        raise BadInput(words.allowed(replace(knob, high=images), labelled))
    if not labelled and "labels" in method.needs:
        raise BadInput(words.UNLABELLED.format(method.title))
    return labelled


def _method(key: object, knobs: object, text: bool) -> Method:
    """The method of a name and its knobs."""
    kind = METHODS[key] if isinstance(key, str) else METHODS[str(key)[:40]]
    if not isinstance(knobs, Mapping):
        raise BadInput(words.NO_VALUES.format("knobs"))
    known = kind.knobs()
    checked = {
        name: _checked(known[name], kind.__name__, raw, text) if name in known else raw
        for name, raw in knobs.items()
    }
    return kind(**checked)


def read(line: object, own: Data | None = None) -> Setup:
    """The arm that the form's line of JSON means, asked by the visitor of `own`."""
    if not isinstance(line, str) or len(line) > LARGEST:
        raise BadInput(words.NO_JSON)
    try:
        return setup(json.loads(line, object_pairs_hook=once), own=own)
    except (json.JSONDecodeError, RecursionError):
        raise BadInput(words.NO_JSON) from None


def once(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    """An object of JSON; `BadInput` for a name that stands in it twice."""
    found: dict[str, Any] = {}
    for name, value in pairs:
        if name in found:
            shown = (str(part)[:40] for part in (name, found[name], value))
            raise BadInput(words.GIVEN_TWICE.format(*shown))
        found[name] = value
    return found


def named(line: str, own: Data | None = None) -> tuple[Setup, str]:
    """The same with the name of its run, remembered: a page asks ten times a second."""
    return _named(line, own, getattr(own, "path", ""))


@functools.lru_cache(maxsize=1000)
def _named(line: str, own: Data | None, path: str) -> tuple[Setup, str]:
    made = read(line, own)  # data are the same wherever they lie, but they are read from there
    return made, digest(made.recipes)


def show(values: Mapping[str, Any]) -> str:
    """The line of JSON that sets the form."""
    return json.dumps(dict(values))


def about(data: Data) -> dict[str, Any]:
    """What the page must know of data to offer only what can be run on them."""
    knobs, pictures = common(data), len(data.shape) == 3
    options = {
        role: [[name, _shown(name, data)] for name in knobs[role].choices or ()]
        for role in ("student", "teacher", "assistant")
    }
    names = list(data.names) if data.classes <= NAMED else []
    notes = {"images": words.images_of(data.size), "teacher": words.taught_on(data.size, pictures)}
    return {"size": data.size, "names": names, "notes": notes, "options": options}


def with_own(line: str, own: Data | None) -> str:
    """The form's line with a visitor's data in place of others, and what does not fit left out."""
    values = _read_or_default(line)
    if own is None:
        return show(values)
    usual = defaults(values["method"], own)
    fits = {"images": min(50, own.size), "labelled": usual["labelled"], "left_out": [],
            "data": OWN}  # fmt: skip
    for role in ("student", "teacher", "assistant"):
        if values.get(role) not in (common(own)[role].choices or ()):
            fits[role] = usual[role]
    return show(values | fits)


def _read_or_default(line: str) -> dict[str, Any]:
    try:
        found = json.loads(line)
        return found if found.get("method") in METHODS else defaults()
    except (ValueError, AttributeError, TypeError, RecursionError):
        return defaults()


def told(line: str, own: Data | None, said: str) -> str:
    """The line that sets the form, with what the page must know of the visitor's data."""
    try:
        known = (about(own) if own else {}) | {"said": said}
        return json.dumps(dict(json.loads(line)) | {"about": known})
    except (ValueError, TypeError, BadInput):
        return line


# ---------------------------------------------------------------------- presets and address


def presets() -> dict[str, Setup]:
    """The arms of the first act, by name."""
    found: dict[str, Setup] = {}
    for recipe in RECIPES["first-act"].recipes:
        name = words.run_name(recipe, rates())
        seeds = found[name].seeds + 1 if name in found else 1
        found[name] = Setup(recipe.arm(), seeds)
    return found


@functools.cache
def tuned() -> frozenset[Recipe]:
    """The arms whose learning rate was chosen on validation images: those of named recipes."""
    found = (set(map(Recipe.arm, one.recipes)) - {*one.unchosen} for one in RECIPES.values())
    return frozenset().union(*found)


@functools.cache
def rates() -> Mapping[str, float]:
    """The learning rate that a name need not mention: the first act's, by method."""
    return {r.method.key(): r.learning_rate for r in RECIPES["first-act"].recipes}


def means(query: Mapping[str, str]) -> bool:
    """Whether an address asks for this form: it says so, or one of its values is a knob's."""
    if "tab" in query:
        return query["tab"] == "train"
    known = {"method", *common(), *(name for kind in METHODS.values() for name in kind.knobs())}
    return any(key[:2] == "k." or key in known for key in query)


def from_address(query: Sequence[tuple[str, str]]) -> tuple[dict[str, Any] | None, list[str]]:
    """The form's values in an address, clamped, and a sentence for each that was changed.

    Only here a value is moved into its range: who follows a link did not type it.
    """
    given: dict[str, list[str]] = {}
    for key, text in query[:60]:
        if not key.startswith("__") and key != "tab":  # Gradio's own, and the tab
            given.setdefault(key.removeprefix("k.")[:40], []).append(text.strip()[:80])
    if not given:
        return None, []
    notes: list[str] = []
    method = given.pop("method", ["kd"])
    if len(method) > 1 or method[0] not in METHODS:
        notes.append(words.other_method(method, METHODS["kd"].title))
        method = ["kd"]
    data, known = None, given.pop("data", ["digits"])
    try:
        if known[0] == OWN or len(known) > 1:
            raise BadInput(words.TWICE.format(words.DATA) if len(known) > 1 else words.OWN_LINK)
        data = chosen(known[0])
    except (BadInput, Trouble) as error:
        notes.append(words.kept(str(error), DATA["digits"].title))
    values, own, shared = defaults(method[0], data), METHODS[method[0]].knobs(), common(data)
    symbols = {knob.symbol: name for name, knob in own.items()}
    for key, texts in given.items():
        name = symbols.get(key, key)  # T is what the page Start calls it
        knob = own.get(name) or shared.get(name)
        if knob is None:
            elsewhere = any(name in other.knobs() for other in METHODS.values())
            notes.append(words.unknown(name, texts[0], METHODS[method[0]].title, elsewhere))
            continue
        target = values["knobs"] if name in own else values
        target[name], note = _clamped(knob, texts, target[name])
        notes += [note] if note else []
    labelled, images = shared["labelled"], values["images"]
    if images < values["labelled"] != labelled.default:
        notes.append(words.clamped(replace(labelled, high=images), given["labelled"][0], images))
        values["labelled"] = images
    try:
        setup(values)
    except BadInput as error:
        return None, [*notes, words.sentence(error)]
    return values, notes


def _clamped(knob: Knob, texts: Sequence[str], usual: Any) -> tuple[Any, str]:
    """A value in its range and, if it was not, the sentence that says so."""
    if len(texts) > 1:
        return usual, words.kept(words.TWICE.format(knob.title), usual)
    try:
        return _checked(knob, "address", texts[0], text=True), ""
    except BadInput as error:
        if knob.kind not in ("float", "int"):
            return usual, words.kept(str(error), usual)
    try:
        number = float(texts[0].replace(",", "."))
    except ValueError:
        number = math.nan
    if math.isnan(number):
        return usual, words.kept(
            words.NO_NUMBER.format(knob.title, texts[0] or words.NOTHING), usual
        )
    assert knob.low is not None and knob.high is not None
    value = min(max(number, knob.low), knob.high)
    value = round(value) if knob.kind == "int" else value
    return value, words.clamped(knob, texts[0], value)


# ------------------------------------------------------------------------------------- HTML


def script() -> str:
    """What makes the form answer in the browser."""
    return (Path(__file__).parent / "form.js").read_text(encoding="utf-8")


def html() -> str:
    """The form: a block of knobs for each method, then what all methods share."""
    shared = common()
    front = "".join(_row(knob) for name, knob in shared.items() if name in ("images", "student"))
    apart = ("images", "student", "data")
    more = "".join(_shared(k) for name, k in shared.items() if name not in apart)
    options = "".join(
        f'<optgroup label="{escape(title)}">{_methods(family)}</optgroup>'
        for family, title in words.FAMILIES.items()
    )
    blocks = [_block(key, list(method.knobs().values())) for key, method in METHODS.items()]
    heading = f'<h2 class="part">{words.RECIPE}</h2>'
    select = (
        f'<label class="out-of-sight" for="f-method">{words.METHOD}</label>'
        f'<select id="f-method" class="pick" data-field="method">{options}</select>'
    )
    drawer = (
        f'<details class="drawer"><summary>{words.MORE}<small>{words.MORE_HINT}</small></summary>'
        f'<div class="rest">{"".join(rest for _, rest in blocks)}{more}{_data(shared["data"])}'
        "</div></details>"
    )
    own = "".join(own for own, _ in blocks)
    return (
        '<form class="knobs" onsubmit="return false" autocomplete="off">'
        f'<div class="front">{heading}{select}{own}{front}</div>{drawer}</form>'
    )


def _methods(family: str) -> str:
    """The methods of a family as options: what is plain first, then by name."""
    found = [(key, words.listed(kind)) for key, kind in METHODS.items() if kind.family() == family]
    found.sort(key=lambda one: (one[0] not in ("kd", "scratch"), one[1].lower()))
    return "".join(f'<option value="{escape(k)}">{escape(text)}</option>' for k, text in found)


def _data(knob: Knob) -> str:
    """The list of data, with what the page must know of each, and where one's own are taken in."""
    options = []
    for key, kind in DATA.items():
        if key == OWN:
            continue
        if key in (knob.choices or ()):
            facts = escape(json.dumps(about(kind())))
            options.append(f'<option value="{key}" data-facts="{facts}">{escape(kind.title)}')
        else:
            gone = words.NOT_HERE.format(kind.title, key)
            options.append(f'<option value="{key}" disabled>{escape(gone)}')
    options.append(f'<option value="{OWN}">{words.OWN_DATA}')
    absent = [key for key in DATA if key not in (knob.choices or ())]
    get = words.how_to_get(absent[-1]) if absent else ""
    note = f'<p class="note">{escape(words.meaning(knob))}</p>'
    select = f'<select id="f-data" class="pick" data-field="data">{"".join(options)}</select>'
    most = LARGEST_FILE // 1_000_000
    drop = (
        f'<label class="drop"><input type="file" accept=".zip,.npz,.csv" id="f-file" '
        f'data-most="{LARGEST_FILE}" data-large="{escape(words.TOO_LARGE.format(most))}" '
        f'data-reading="{words.READING}" data-sending="{words.UPLOADING}" '
        f'data-lost="{words.NO_UPLOAD}"><span>{words.DROP}</span></label>'
        f'<p class="note said" role="status"></p>'
        f'<p class="note">{escape(words.DROP_NOTE.format(most))} {escape(get)}</p>'
    )
    head = f'<label for="f-data">{escape(knob.title)}</label>{note}{select}'
    return f'<div class="knob data">{head}<div class="own" hidden>{drop}</div></div>'


def _shared(knob: Knob) -> str:
    """A knob of all methods; those about teachers only where there is one."""
    if knob.name not in TAUGHT:
        return _row(knob)
    taught = " ".join(key for key, method in METHODS.items() if "teacher" in method.needs)
    return f'<div data-method="{escape(taught)}" hidden>{_row(knob)}</div>'


def _block(key: str, knobs: list[Knob]) -> tuple[str, str]:
    """A method's first knobs, and those that stand behind 'More'."""
    # layers are picked in their picture: the field stands behind the others
    first = [knob for knob in knobs if knob.kind != "pairs"][:FRONT]
    rows = {knob in first: "" for knob in knobs}
    for knob in sorted(knobs, key=lambda knob: knob.kind == "pairs"):
        rows[knob in first] += _row(knob, key)
    wants = escape(json.dumps(_wanted(key)))
    own = (
        f'<div data-method="{escape(key)}" data-wants="{wants}" hidden>{rows.get(True, "")}</div>'
    )
    wrap, rest = f'<div data-method="{escape(key)}" hidden>', rows.get(False, "")
    return own, f"{wrap}{rest}</div>" if rest else ""


def _row(knob: Knob, method: str = "") -> str:
    """A knob: its name and symbol, its note, what is typed and what is dragged."""
    ident = f"f-{method}-{knob.name}" if method else f"f-{knob.name}"
    symbol = f"<i>{escape(knob.symbol)}</i>" if knob.symbol else ""
    note = words.meaning(knob)
    note = f'<p class="note" data-note="{knob.name}">{escape(note)}</p>' if note else ""
    data = f'data-field="{escape(knob.name)}" data-own="{escape(method)}"'
    title = escape(knob.title)
    if knob.kind == "choice":
        options = "".join(_option(knob, choice) for choice in knob.choices or ())
        head = f'<label for="{ident}">{title}{symbol}</label>{note}'
        control = f'<select id="{ident}" class="pick" {data}>{options}</select>'
        return f'<div class="knob">{head}{control}</div>'
    if knob.kind == "classes":
        boxes = "".join(
            f'<label><input type="checkbox" value="{k}"><span>{k}</span></label>'
            for k in range(int(knob.low or 0), int(knob.high or 9) + 1)
        )
        legend = f"<legend>{title}</legend>{note}"
        return f'<fieldset class="knob classes" {data}>{legend}<div>{boxes}</div></fieldset>'
    if knob.kind == "pairs":
        head = f'<label for="{ident}">{title}{symbol}</label>'
        typed = f'<input id="{ident}" class="words" type="text" maxlength="200" value="" {data}>'
        return f'<div class="knob">{head}{note}{typed}</div>'
    start = f"{knob.default:g}" if isinstance(knob.default, (int, float)) else ""  # 4, not 4.0
    typed = f'<input id="{ident}" type="text" inputmode="decimal" maxlength="40" value="{start}" '
    bounds = f'{data} data-low="{knob.low}" data-high="{knob.high}" data-kind="{knob.kind}"'
    if knob.usual:  # by convention
        bounds += f' data-usual="{escape(json.dumps({"": knob.default} | dict(knob.usual)))}"'
    head = f'<label for="{ident}">{title}{symbol}</label>{typed}{bounds}>{note}'
    if not knob.slider:
        return f'<div class="knob">{head}</div>'
    low, high = knob.slider
    scale = knob.scale if low > 0 else "linear"
    drag = (
        f'<input type="range" min="0" max="1000" step="10" aria-label="{title}" '
        f'data-scale="{scale}" data-from="{low}" data-to="{high}">'
    )
    return f'<div class="knob">{head}{drag}</div>'


def _option(knob: Knob, choice: str) -> str:
    usual = " selected" * (choice == knob.default)
    text = escape(_shown(choice, DATA["digits"]()))
    return f'<option value="{escape(choice)}"{usual}>{text}</option>'


def _shown(choice: str, data: Data) -> str:
    """A choice in words: models with their size."""
    if choice not in MODELS:
        return choice
    return f"{choice}, {words.STUDENT_MEANING.format(words.thousands(weights(choice, data)))}"
