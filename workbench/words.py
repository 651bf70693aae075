"""Every word that a visitor reads, and the sentences made from numbers.

Short, concrete, second person; a question before, a finding after; no exclamation marks. A run
is named by what differs from the first act, so that a name says what was changed.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeGuard

if TYPE_CHECKING:
    from workbench.base import Knob, Method
    from workbench.recipe import Recipe

# -------------------------------------------------------------------------------- numbers

NARROW = "\u202f"  # narrow no-break space: between a number and its unit, and in 85 002
MINUS = "\u2212"
ABSENT = "–"


def is_number(value: float | None) -> TypeGuard[float]:
    """Whether there is something to write: neither missing nor diverged."""
    return value is not None and math.isfinite(value)


def plain(value: float, digits: int) -> str:
    """A rounded number with a real minus and no minus before zero."""
    text = f"{value:.{digits}f}"
    if text.startswith("-"):
        text = (MINUS if float(text) else "") + text[1:]
    return text


def percent(value: float | None, digits: int = 1) -> str:
    """0.91 -> '91.0 %'; what is missing or diverged is a dash, never 'nan'."""
    return f"{plain(100 * value, digits)}{NARROW}%" if is_number(value) else ABSENT


def signed(value: float | None, digits: int = 1) -> str:
    """0.112 -> '+11.2', -0.066 -> '−6.6': a difference in points always shows its direction."""
    if not is_number(value):
        return ABSENT
    text = plain(100 * value, digits)
    return "+" + text if not text.startswith(MINUS) and float(text) else text


def interval(low: float | None, high: float | None, digits: int = 1) -> str:
    """'10.3 to 12.2', rounded outwards: rounding must not make an interval miss zero."""
    if not (is_number(low) and is_number(high)):
        return ABSENT
    scale = 10**digits  # the inner round removes what binary adds: 0.103 * 100 is 10.299999…
    down = math.floor(round(100 * scale * low, 6)) / scale
    up = math.ceil(round(100 * scale * high, 6)) / scale
    return f"{plain(down, digits)} to {plain(up, digits)}"


def thousands(value: int) -> str:
    """85002 -> '85 002'."""
    return f"{value:,}".replace(",", NARROW).replace("-", MINUS)


def mean_percent(summary: tuple[float, float, int] | None) -> str:
    """Mean, standard deviation and n as '91.0 % ± 0.7'; one student has no spread."""
    if summary is None:
        return ABSENT
    mean, sd, n = summary
    return percent(mean) + (f" ± {plain(100 * sd, 1)}" if n > 1 else "")


def number(value: float) -> str:
    """A number as people write it: 1 000, 0.01, 8."""
    if float(value).is_integer() and abs(value) >= 1000:
        return thousands(int(value))
    return f"{value:g}".replace("-", "\u2212")


# ------------------------------------------------------------------------------- the app

BRAND = "Distillation Workbench"
COPY_LINK, COPIED, DARK, LIGHT = "Copy link", "Link copied", "Dark", "Light"
TRAIN = "Train"
HEADLINE = "What should the student copy?"
PRESETS = "Start from"
RECIPE, METHOD, MORE = "Recipe", "Method", "More"
MORE_HINT = "data, rate, steps, students"
GONE = (
    "The workbench cannot be reached; your runs are kept. "
    "Start it again, and this page goes on by itself."
)
LOADING = "Opening the workbench."

# what each button says is also what it does
RUN, PAUSE, CONTINUE, STEP = "Run", "Pause", "Continue", "Step"
STOP, RESET, AGAIN, LEAVE = "Stop, keep it", "Reset", "Run again", "Leave the queue"
BRING_BACK = "Bring them back"
UNDO_REMOVE = "Undo the last removal"
FULL_SPEED, SLOW_DOWN = "Full speed", "Slow down"
PACE_NOTE = "The result is the same at any speed"
REMOVE, BASELINE = "Remove", "Make baseline"

IMAGE, IMAGE_NEXT, IMAGE_ALL = "This image, now", "Next image", "All 60 images"
GALLERY, GALLERY_NOTE = "Pick an image", "60 that no student has seen"
EVERYBODY = "What every model says"
LOSS, PINNED = "Loss", "Pinned runs"
AXIS = "Right on the 500 test images"
DETAILS = "More about this comparison"
STRIPS, MISTAKES, SURE = (
    "Pair by pair",
    "Which mistakes went away",
    "Is it as right as it is sure?",
)
SAVE, SAVE_NAME = "Save picture", "distillation-workbench.svg"
TEACHER = "Teacher"
COLUMNS = ("Run", "Right on test", "Against {}", "Agrees with teacher", "ECE", "CPU time", "State")
EMPTY = "Nothing pinned yet. Run one, then compare."
EMPTY_TABLE = "No run in the list."
ALL_COLUMNS = "All columns"
IS_BASE = "baseline"
SURE_COLUMNS = ("This sure", "Right", "Images")
IS_READ_AS = "is / read as"

# data besides the digits
OWN_DATA, NOT_HERE = "Your own…", "{}, not here: --data {}"
DROP, DROP_NOTE = (
    "Choose a file, or drop one here",
    "A .zip with a folder of pictures for each class, a .npz of x and y, or a .csv whose last "
    "column is the label; at most {} MB. Only you see it and its runs.",
)
TOO_LARGE = "This file is larger than {} MB. Nothing was changed."
READING, UPLOADING = "Reading it …", "Sending it …"
NO_UPLOAD = "The file did not arrive. Choose it again."
NOT_KEPT = "The file could not be kept here ({}). Nothing was changed."
NOTHING_IN = "{} is empty. Expected a .zip, .npz or .csv with data in it."
NO_OWN = "Choose a file of yours under More, Data: nothing is here yet."
OWN_LINK = "An address does not carry anybody's own data."
FIRST_TEACHER = "the teacher learns first."
SAMPLE, SAMPLE_NEXT = "This sample, now", "Next sample"
DATA_GONE = "The data of this run are no longer here; its curves and its verdict stay."
NUMBERS_NOTE = "Its features, each over its spread in the training part."


def not_here(title: str, key: str) -> str:
    """That published data would have to be fetched first, and how."""
    return (
        f"{title} is not on this machine. Run python -m workbench train scratch --data {key} "
        "once, which fetches it, and reload the page."
    )


def how_to_get(key: str) -> str:
    """How data that are not on this machine are fetched."""
    return f"Published data: python -m workbench train scratch --data {key} fetches {key}."


def too_large(name: str, size: int, most: int) -> str:
    """A file that is too large to be sent."""
    return (
        f"{name}: {size / 1e6:.0f} MB, expected at most {most / 1e6:.0f} MB. Nothing was changed."
    )


def too_many_numbers(name: str, most: int) -> str:
    """A file that unpacks to more than this app trains on."""
    return f"{name}: holds too many pixels or numbers, expected at most {thousands(most)} in all"


def was_read(
    name: str, count: int, shape: Sequence[int], classes: Sequence[str], train: int, tests: int
) -> str:
    """What an upload turned out to hold."""
    shown = ", ".join(one[:20] for one in classes[:6]) + (", …" if len(classes) > 6 else "")
    what = "images" if len(shape) == 3 else "samples"
    size = f"{shape[1]} × {shape[2]}" + (" in colour" if shape[0] == 3 else " in grey") if (
        len(shape) == 3) else f"{shape[0]} number{'s' * (shape[0] > 1)} each"  # fmt: skip
    return (
        f"{name}: {thousands(count)} {what}, {size}, {len(classes)} classes ({shown}). "
        f"{thousands(train)} to learn from, {thousands(tests)} for the test."
    )


def set_aside(said: Sequence[str]) -> str:
    """What of an upload was set aside."""
    return " ".join(whole(one.partition(": ")[2] or one) for one in said)


def images_of(size: int) -> str:
    """The note under the number of images."""
    return f"Of the teacher's {thousands(size) if size >= 10_000 else size}."


def taught_on(size: int, pictures: bool) -> str:
    """The note under the teacher."""
    count = thousands(size) if size >= 10_000 else size
    return f"Trained on all {count} {'images' if pictures else 'samples'}."


def axis(tests: int, pictures: bool, some: int = 0) -> str:
    """What the chart shows; `some`: how many are looked at on the way, where that is not all."""
    count, what = (
        thousands(tests) if tests >= 10_000 else tests,
        "images" if pictures else "samples",
    )
    if some and some < tests:
        return f"Right on {some} test {what}, in the end on all {count}"
    return f"Right on the {count} test {what}"


def sample_said(place: int, label: str) -> str:
    """A sample that is no picture."""
    return f"Test sample {place + 1}, {label}:"


def gallery_count(count: int) -> tuple[str, str]:
    """What is said of the gallery: its link, its note."""
    return f"All {count} images", f"{count} that no student has seen"


def teaching(name: str, step: int, steps: int) -> str:
    """What is under way before the first step of a student."""
    at = f", {at_step(step, steps)}" if step else ""
    return f"the {name[:1].lower()}{name[1:]} learns first{at}."


# knobs that belong to no registry entry
STUDENT, STUDENT_MEANING = "Student", "{} weights"
TEACHER_KNOB, TEACHER_MEANING = "Teacher", "trained on all 1000 images"
ASSISTANT, ASSISTANT_MEANING = "Assistant", "learns from the teacher, then teaches the student"
GENERATIONS = "Generations"
GENERATIONS_MEANING = "each one teaches the next; 1 = no generation between"
SEEDS, SEEDS_MEANING = "Students", "how many, each from its own start"

DATA, DATA_NOTE = "Data", "what both learn from"

# what stands under a knob, where its declaration was written for engineers
MEANINGS = {
    "images": "of the teacher's 1000",
    "data": DATA_NOTE,
    "temperature": "softens both answers",
    "alpha": "labels get the rest",
    "epsilon": "spread over all digits",
    "labelled": "images that keep their label",
    "left_out": "classes that the student never sees",
    "batch_size": "images a step; 0 = all of them",
    "learning_rate": "how far each step goes",
    "weight_decay": "pulls weights towards 0",
    "augment": "pictures change anew at each step",
    "views": "0 = anew at each step; else versions, kept",
    "shown": "images, or noise that the teacher labels",
}
#: What a run is called in a chart, by method: as the field abbreviates it, where it does.
SHORT = {
    "annealing": "Annealed",
    "attention": "Attention",
    "correlation-congruence": "CC",
    "crd": "CRD",
    "divergence": "Divergence",
    "dkd": "DKD",
    "ensemble": "Ensemble",
    "fitnets": "FitNets",
    "hard-labels": "Hard labels",
    "kd": "Distilled",
    "logit-standardisation": "Standardised",
    "mutual": "Mutual",
    "nst": "NST",
    "own-predictions": "PS-KD",
    "pkt": "PKT",
    "rkd": "RKD",
    "similarity": "Similarity",
    "simkd": "SimKD",
    "vid": "VID",
}
FAMILIES = {
    "labels": "Labels",
    "response": "The teacher's answers",
    "feature": "Its features",
    "relation": "Relations between samples",
    "self": "Without a teacher",
}
TERMS = {
    "teacher": "from teacher",
    "labels": "from labels",
    "uniform": "smoothing",
    "virtual": "made-up",
    "past": "own past",
    "distances": "distances",
    "angles": "angles",
    "similarities": "similarities",
    "correlations": "correlations",
    "neighbours": "neighbours",
    "attention": "attention",
    "selectivity": "selectivity",
    "hint": "the hint",
    "hidden": "hidden layers",
    "information": "information",
    "contrast": "one from others",
    "average": "own average",
    "peer": "from its peer",
    "peer's labels": "peer: labels",
    "peer's student": "peer: from it",
    "heads": "heads: labels",
    "deepest": "heads: deepest",
    "features": "features",
    "target": "label or not",
    "others": "the rest",
    "inter": "class order",
    "intra": "image order",
}

BROKEN = "Something here did not work; your runs are kept. Reload the page to go on."
DAMAGED = (
    "A run of this list was damaged on the disk and is set aside. Run it again, "
    "or go on with the others."
)
STILL = "Your run is still going, step {} of {}. Stop it first, or let it end."
SHARED_PACE = "Others watch this run, so its pace stays as it is."
REMOVE_LIVE = "This run is still going. Stop it first."
LONG = (
    "This would take about {} minutes of training; at most 10 are allowed here. "
    "Take fewer steps, images or students."
)
UNLABELLED = "{} has nothing to learn from: Labelled is 0."
TWICE = "{} stands twice in the address."
NO_NUMBER, NOTHING = "{} in the address is {}, which is not a number.", "empty"
TITLED = "Distillation Workbench"


def meaning(knob: Knob) -> str:
    """The note under a knob: a sentence."""
    text = MEANINGS.get(knob.name, knob.meaning)
    return text[:1].upper() + text[1:] + ("." if text and text[-1] not in ".?" else "")


KINDS = {bool: "true or false", str: "a text", list: "a list", tuple: "a list", dict: "an object"}


def allowed(knob: Knob, raw: object, text: bool = True) -> str:
    """Field, value, what is allowed: 'Temperature goes from 0.01 to 1 000 000; 'abc' does not'.

    `text`: a number may come as people typed it; where it may not, its kind is what is wrong.
    """
    shown = str(raw).strip()
    shown = shown[:24] + "…" if len(shown) > 25 else shown
    kind = "nothing" if raw is None else KINDS.get(type(raw), "")
    if knob.kind == "choice":
        return f"{knob.title} is one of {', '.join(knob.choices or ())}; {shown} is not."
    if knob.kind == "pairs":
        return f"{knob.title} is pairs of layer names, student:teacher; {shown} is not."
    assert knob.low is not None and knob.high is not None
    low, high = number(knob.low), number(knob.high)
    if knob.kind == "classes":
        return f"{knob.title} is different digits from {low} to {high}; {shown} is not."
    whole = " in whole numbers" if knob.kind == "int" else ""
    if not text and kind:
        quoted = repr(shown) if isinstance(raw, str) else shown
        return f"{knob.title} goes from {low} to {high}{whole}; {quoted} is {kind}, not a number."
    if not shown:
        return f"{knob.title} needs a value; it goes from {low} to {high}{whole}."
    return f"{knob.title} goes from {low} to {high}{whole}; {shown} does not fit."


def clamped(knob: Knob, text: str, value: float) -> str:
    """A number of the address that was moved into its range."""
    low, high = (number(v) for v in (knob.low or 0, knob.high or 0))
    whole = " in whole numbers" if knob.kind == "int" else ""
    moved = f"{text[:24]} in the address was set to {number(value)}"
    return f"{knob.title} goes from {low} to {high}{whole}; {moved}."


#: After a reason why a value of the address cannot be taken, where something else stands already.
UNCHANGED = "{} It stays as it was."


def kept(reason: str, usual: object) -> str:
    """Why a value of the address cannot be taken, and what stands there instead."""
    shown = number(usual) if isinstance(usual, (int, float)) else str(usual or "none")
    return f"{whole(reason)} It is left at {shown}."


def unknown(name: str, text: str, method: str, elsewhere: bool) -> str:
    """A name of the address that means nothing, or nothing to this method."""
    why = f"{method} does not have" if elsewhere else "is not known here"
    return f"The address has {name}={text}, which {why}; it was left out."


def other_method(found: Sequence[str], usual: str) -> str:
    """An address that names no method, or two."""
    if len(found) > 1:
        return kept(TWICE.format(METHOD), usual)
    return f"The address has method={found[0]}, which is not known here; {usual} was taken."


def notes(every: Sequence[str], most: int = 3) -> str:
    """The first few sentences about an address, and how many there are besides."""
    rest = len(every) - most
    more = [f"{rest} more of its values could not be taken."] if rest > 0 else []
    return " ".join([*every[:most], *more])


def stranger(name: object, method: str, own: Sequence[str], shared: Sequence[str]) -> str:
    """A knob that neither the method nor all methods have."""
    has = f"{method} has {', '.join(own)}; " if own else f"{method} has none of its own; "
    return f"knob {str(name)[:40]!r} is not known: {has}all methods have {', '.join(shared)}"


def sentence(error: Exception) -> str:
    """What a visitor reads of an error: its message without the names of Python."""
    from workbench.base import BadInput  # it brings torch, which pictures do without

    text = str(error).strip() or type(error).__name__
    head, colon, rest = text.partition(": ")
    if isinstance(error, BadInput) and colon and "(" in head and "=" in head:
        value = head[head.index("(") + 1 :].removesuffix(")").replace("=", " = ")
        text = f"{value.replace('_', ' ')}: {rest}"
    elif colon and (title := _titles().get(head)):
        text = f"{title}: {rest}"
    return whole(text)


@functools.cache
def _titles() -> dict[str, str]:
    """What methods are called, by the names that Python has for them."""
    from workbench.methods import METHODS

    return {kind.__name__: kind.title for kind in METHODS.values()}


def whole(text: str) -> str:
    """A reason as a sentence of its own; the name of a file stays as it is."""
    first = text.split(" ")[0].rstrip(":,.")
    text = text if "." in first else text[:1].upper() + text[1:]
    return text if text.endswith((".", "?")) else text + "."


def method_name(method: Method) -> str:
    """The method in one or two words."""
    return SHORT.get(method.key(), method.title)


def listed(method: type[Method]) -> str:
    """The method in the list: after its abbreviation, where it has one."""
    short = SHORT.get(method.key(), "")
    known = any(c.isupper() for c in short[1:]) and short.lower() not in method.title.lower()
    return f"{short}: {lower(method.title)}" if known else method.title


def _knob_parts(method: Method) -> list[str]:
    """The knobs worth naming: those that differ from their defaults, and kd's two."""
    parts = []
    for name, knob in method.knobs().items():
        value, usual = getattr(method, name), method.key() == "kd"
        if usual and name == "alpha" and value == 1:  # the first act's: the pure case
            continue
        if value == knob.default and not usual:
            continue
        if knob.kind == "pairs":
            pairs = (a if a == b else f"{a} to {b}" for a, b in value)
            parts.append(f"at {' and '.join(pairs)}")
        elif knob.kind in ("float", "int", "choice"):
            shown = value if isinstance(value, str) else number(value)
            parts.append(f"{knob.symbol or knob.title.lower()} = {shown}")
    return parts


#: The teacher that needs no name.
USUAL_TEACHER = "mlp-256-256"


def teacher_name(student: str, several: int = 1) -> str:
    """'Teacher', or 'Teacher cnn-8' where it is not the usual one; or '3 teachers'."""
    if several > 1:
        return f"{several} teachers"
    return TEACHER if student == USUAL_TEACHER else f"{TEACHER} {student}"


def run_name(recipe: Recipe, rates: Mapping[str, float]) -> str:
    """'Distilled, T = 8': the method, then what differs from the first act."""
    data, parts = recipe.data, _knob_parts(recipe.method)
    if data.key() != "digits":
        parts.append("your data" if data.key() == "own" else data.title)
    if data.images != 50:
        parts.append(f"{data.images} image{'s' * (data.images > 1)}")
    if recipe.student != "mlp-16":
        parts.append(recipe.student)
    parts += _taught_by(recipe)
    if data.left_out:
        parts.append(f"without {', '.join(map(str, data.left_out))}")
    if data.labelled < data.images:
        parts.append(f"{data.labelled} labelled")
    if data.label_noise:
        parts.append(f"{percent(data.label_noise, 0)} wrong labels")
    parts += [data.augment] * (data.augment != "none")
    parts += [f"{data.views} versions"] * (data.views > 0)
    parts += [f"noise ({data.shown})"] * (data.shown != "images")
    if recipe.learning_rate not in (1e-2, rates.get(recipe.method.key())):
        parts.append(rate(recipe))
    parts += [
        f"{word} {number(value) if not isinstance(value, str) else value}"
        for word, value, usual in (
            ("steps", recipe.steps, 300),
            ("batch", recipe.batch_size, 0),
            ("decay", recipe.weight_decay, 0.01),
            ("schedule", recipe.schedule, "constant"),
        )
        if value != usual
    ]
    return ", ".join([method_name(recipe.method), *parts])


def _taught_by(recipe: Recipe) -> list[str]:
    """The first teacher, if it is not the usual one, and who learnt and taught in between."""
    between, first = [], recipe
    while first.teachers:
        first = first.teachers[0]
        between.append(first.student)
    if not between:
        return []
    *between, last = between
    count = len(recipe.teachers)
    by = f"{count} teachers" if count > 1 else ""
    parts = [f"from {last}"] if last != USUAL_TEACHER else []
    parts = ([f"{by} {last}"] if parts else [by]) if by else parts
    others = [name for name in reversed(between) if name != recipe.student]
    parts += [f"through {', '.join(others)}"] if others else []
    again = between.count(recipe.student)
    return parts + ([f"generation {again + 1}"] if again else [])


def rate(recipe: Recipe) -> str:
    """The learning rate in a name."""
    return f"rate {number(recipe.learning_rate)}"


# ------------------------------------------------------------------------------ the run bar


def ready(pace: float, seconds: float, untrained: bool, teaching: float = 0.0) -> str:
    """What Run will cost: its pace in seconds, unless the training itself may take longer.

    `teaching`: what a teacher takes that learns first, where that is most of it.
    """
    if teaching > max(pace, 3.0):
        return (
            f"Up to about {number(10 * math.ceil((teaching + seconds) / 10))} s: {FIRST_TEACHER}"
        )
    if not pace:
        about = f", some {number(5 * math.ceil(seconds / 5))} s or less" if seconds > 3 else ""
        return f"At full speed{about}."
    if untrained or 2 * seconds > pace:  # `seconds` is an estimate, and machines differ
        return f"More than {number(pace)} s."
    return f"About {number(pace)} s, slowed down."


def waiting(ahead: int | None) -> str:
    """The queue in words."""
    if not ahead:
        return "You are next."
    return f"{ahead} ahead of you."


def at_step(step: int, steps: int) -> str:
    """'step 120 of 300'."""
    return f"step {thousands(step)} of {thousands(steps)}"


PAUSED_AT, KEPT_AT = "at {}.", "at {}, kept."


def seconds(value: float | None) -> str:
    """A time in a table; a run that never began took none."""
    return f"{value:.1f} s" if value else ABSENT


def finished(seconds: float | None) -> str:
    """What it took."""
    return "" if seconds is None else f"in {seconds:.1f} s of CPU time."


STATES = {
    "idle": "Ready.",
    "queued": "Waiting.",
    "running": "Running,",
    "paused": "Paused",
    "stopped": "Stopped",
    "finished": "Finished",
    "failed": "This run broke.",
    "empty": "",
}


def cell_state(
    state: str, step: int, steps: int, ahead: int | None, diverged: bool = False
) -> str:
    """The state of a run in its table row; `diverged`: the loss of all students is infinite."""
    return {
        "queued": f"Waiting, {ahead or 0} ahead",
        "running": f"Running, {thousands(step)} of {thousands(steps)}",
        "paused": f"Paused at {thousands(step)}",
        "stopped": f"Stopped at {thousands(step)}, kept",
        "finished": "Diverged" if diverged else "Finished",
        "failed": f"Broke at {thousands(step)}",
    }.get(state, state)


def broke(reason: str, step: int) -> str:
    """'This run broke at step 41: the loss became infinite. …'"""
    text = reason.strip().rstrip(".") or "the training process ended"
    return f"This run broke at step {step}: {text}. Change a knob and run again."


def diverged(count: int, of: int) -> str:
    """Students whose loss became infinite."""
    who = "Every student's" if count == of else f"{count} of {of} students': the"
    return f"{who} loss became infinite. Try a smaller learning rate."


# ------------------------------------------------------------------------------ the verdict


def finding(name: str, against: str, verdict: Any, step: int | None) -> str:
    """The verdict as a sentence."""
    if verdict is None or verdict.mean is None:
        return f"{name} cannot be compared with {lower(against)}: a number is missing."
    points = f"{abs(100 * verdict.mean):.1f} points"
    if verdict.low is None:
        return f"One pair only: {signed(verdict.mean)} points, which says nothing about chance."
    if verdict.equal:
        return f"{name}: the same as {_aside(against)} in every one of {verdict.n} pairs."
    span = f"95{NARROW}% interval {interval(verdict.low, verdict.high)}"
    at = f" at step {thousands(step)}" if step is not None else ""
    comma = "," if "," in name else ""
    counted = f"{span}, {verdict.n} pairs{at}"
    if verdict.text == "BEATS":
        return f"{name}{comma} beats {_aside(against)} by {points} ({counted})."
    if verdict.text == "LOSES":
        return f"{name}{comma} loses {points} to {lower(against)} ({counted})."
    seen = f"no difference to {_aside(against)} to be seen"
    return f"{name}: {seen}, {signed(verdict.mean)} points ({counted})."


def against(mean: float | None, low: float | None, high: float | None, step: int | None) -> str:
    """The verdict in a cell: '+11.2 (10.3 to 12.2, step 120)', to break only at ( and step."""
    at = f", step\u00a0{step}" if step is not None else ""
    if low is None:
        return signed(mean) + at
    return f"{signed(mean)} ({interval(low, high).replace(' ', chr(160))}{at})"


def lower(name: str) -> str:
    """A name inside a sentence; an abbreviation stays as it is."""
    first = name.split(" ")[0].rstrip(",")
    return name[:1].lower() + name[1:] if first[1:].islower() else name


def _aside(name: str) -> str:
    """A name within a sentence that goes on: what follows its first comma is set off."""
    return lower(name) + ("," if "," in name else "")


def caveat(
    tuned: bool, over: str, several: bool, seeds: bool, length: str, alike: bool = True,
    tests: int = 1000,
) -> str:  # fmt: skip
    """What the verdict does not say.

    `length`, from `cut`, `unequal` and `confounded`, goes first; `alike`: one kind of network;
    `tests`: how many samples were asked about.
    """
    parts = [length] if length else []
    start = "start alike" if alike else "start apart, since the networks differ"
    parts += [
        f"Pairs are {over} that {start}, on one split of the data."
        if over == "seeds"
        else f"Pairs are {over}.",
        "Learning rates were chosen on validation images."
        if tuned
        else "Learning rates are not tuned.",
    ]
    if several:
        parts.append("Intervals are widened for the number of comparisons (Holm).")
    if tests < 200:
        parts.append(
            f"One of the {tests} test samples is {plain(100 / tests, 1)} points: other samples "
            "might say something else."
        )
    if seeds:
        parts.append("Only students that both have are paired.")
    return " ".join(parts)


def cut(step: int, broke: bool) -> str:
    """Why two runs are compared before their end, and what that is worth."""
    if broke:
        return f"Compared at step {thousands(step)}, where one of them broke."
    return (
        f"Compared at step {thousands(step)}, where one of them was stopped. "
        "A stop chosen by eye makes the interval look surer than it is."
    )


def batch(title: str, rows: int, low: float, high: float) -> str:
    """That a method cannot do with so many images at once, and what to turn."""
    at = f"{low:g} to {high:g}" if high < math.inf else f"at least {low:g}"
    return f"{title} compares {at} images at a time, not {rows}: set Batch size under More."


def control(student: str, images: int) -> str:
    """The button that trains what a run ought to be compared with."""
    seen = f"{thousands(images)} image{'s' * (images > 1)}"
    return f"Compare it with labels only: {student}, {seen}"


def unequal(steps: int, others: int) -> str:
    """That one run had more training than the other."""
    if 1 in (steps, others):
        return f"One learned for a single step, the other for {thousands(max(steps, others))}."
    return f"One learned for {thousands(steps)} steps, the other for {thousands(others)}."


def confounded(titles: Sequence[str]) -> str:
    """That two runs differ in several things, so that none of them alone explains the result."""
    *first, last = [title.lower() for title in titles]
    return f"They differ in {', '.join(first)} and {last} at once."


ALONE = "Run a second recipe, and this line says which is better."


def going(name: str) -> str:
    """While a run grows, before its verdict."""
    comma = "," if "," in name else ""
    return f"{name}{comma} is learning. The verdict comes with its last step."


def unanswered(temperature: float, over: bool) -> str:
    """What stands beside an image that no student has seen yet, or that it has no answer to."""
    none = "The student has none." if over else "No student’s yet."
    return f"The teacher’s answer {at(temperature)}. {none}"


def chasing(temperature: float, live: bool, taught: bool, alone: bool = False) -> str:
    """What the two answers beside an image are, and what a student that learns goes after."""
    goal = "is chasing the teacher" if taught else "learns from labels alone"
    goal = "has no teacher but itself, or a peer" if alone else goal
    return f"Both answers {at(temperature)}." + (f" The student {goal}." if live else "")


def at(temperature: float) -> str:
    """'at T = 8', which stays on one line."""
    return f"at T\u00a0=\u00a0{number(temperature)}"


def heat(own: float, hot: bool) -> str:
    """The switch between the two temperatures."""
    return "Show at T = 1" if hot else f"Show at T = {number(own)}"


def image_alt(label: object, place: int, data: str = "digits") -> str:
    """An image in words."""
    written = "a handwritten " if data in ("digits", "mnist") else ""
    return f"Test image {place + 1}, {written}{label}"


def strips_note(n: int) -> str:
    """What the strips show."""
    return f"Each dot is a pair with the same seed, one of {n}; the bar is the mean's interval."


def mistakes_note(name: str, against: str) -> str:
    """What the heat map shows."""
    return f"Test images a student: {lower(against)} minus {lower(name)}."


def sure_note(name: str, ece: float | None) -> str:
    """What the reliability diagram shows."""
    return f"{name}, first student. ECE is the mean gap to the diagonal, {percent(ece)}."


def pinned_note(counts: Sequence[int]) -> str:
    """How many students stand behind a row."""
    if not counts:
        return ""
    if len(set(counts)) == 1:
        each = f"{counts[0]} students each" if counts[0] > 1 else "1 student each"
    else:
        each = f"{min(counts)} to {max(counts)} students each"
    return f"{each}; mean ± standard deviation"


# ------------------------------------------------------------------------------- the pictures

RIGHT_ON_TEST, YOU_SAID, IT_IS = "Right on the test images", "You said", "It is"
GUESS_SO_FAR = "Guess:"
STEP_COLUMN, MODEL_COLUMN, DIGIT_COLUMN = "Step", "Model", "Digit"
DATA_TABLE = "Data table"
NO_ANSWER = "no answer"
IMAGE_OF, TAKEN_FOR = "image of", "also taken for"
VERDICTS = {
    "beats": "BEATS",
    "loses": "LOSES",
    "inconclusive": "INCONCLUSIVE",
    "equal": "EQUAL",
    "unlike": "NOT LIKE FOR LIKE",  # they differ in more than the method
}
WORSE, BETTER = "worse", "better"
IS, READ_AS, NET, BROKEN_NOW = "is", "read as", "net", "broken"
THIS_SURE, COUNT = "Right, when it is this sure", "n"

#: How far a run is seen that did not simply end.
SEEN = {
    "running": ", running at step {}",
    "paused": ", paused at step {}",
    "stopped": ", stopped at step {}",
    "failed": ", broke at step {}",
    "queued": ", waiting, last seen at step {}",
}


def last_step(step: float) -> str:
    """The right end of an axis of steps."""
    return f"step {step:g}"


def unseen(name: str) -> str:
    """A run before its first number."""
    return f"{name}: no number yet."


def seen(name: str, state: str, step: int, short: bool, accuracy: str) -> str:
    """Where a run stands; `short`: its numbers end before the axis does."""
    how = SEEN.get(state, ", ends at step {}" if short else "")
    return f"{name}{how.format(step)}: {accuracy}."


def curves_said(title: str, runs: Sequence[str], teacher: float | None, you: float | None) -> str:
    """Curves in words: what each run says, and the two lines across."""
    label = f"{title}, by step. " + " ".join(runs)
    label += f" {TEACHER}: {percent(teacher)}." if is_number(teacher) else ""
    label += f" {YOU_SAID} {percent(you, 0)}." if is_number(you) else ""
    return label.strip()


def says(answer: str, right: bool | None) -> str:
    """A model's answer, and whether it is right where that is known."""
    verdict = "" if right is None else ", right" if right else ", wrong"
    return f"says {answer}{verdict}"


def answers_said(models: Sequence[str], truth: str | None) -> str:
    """Every model's answer in words."""
    label = f"The answer is {truth}. " if truth is not None else ""
    return label + " ".join(models) or "No model yet."


def most_for(name: str, other: str, share: float) -> str:
    """What images of a class are taken for, if not for their own."""
    return f"{name} most for {other}, {percent(share)}"


def taken_said(finding: Sequence[str], pairs: Sequence[str]) -> str:
    """Which classes look alike, in words."""
    label = f"{' '.join(finding)} What images are also taken for: {'; '.join(pairs)}."
    return label.strip()


def guess_said(low: str, high: str, said: Sequence[str]) -> str:
    """A guess and the truth on their axis, in words."""
    return f"Axis from {low} to {high}. {' '.join(said)}".strip()


def losses_said(terms: Sequence[str]) -> str:
    """The terms of the loss, in words."""
    return f"Loss now: {', '.join(terms) or 'none'}"


def difference_said(name: str, mean: float, low: float, high: float, pairs: int) -> str:
    """A difference to the baseline, in words."""
    span = f"95{NARROW}% interval {interval(low, high)}"
    return f"{name}: {signed(mean)} points, {span}, {pairs} pairs."


def fixed(by: str) -> str:
    """What one of the two colours means; the other is `BROKEN_NOW`."""
    return f"fixed by {by}" if by else "fixed"


def read_as(name: str, other: str, value: float) -> str:
    """One cell of the mistakes that went away."""
    return f"{name} {READ_AS} {other} {plain(value, 1)}"


def mistakes_said(cells: Sequence[str]) -> str:
    """The mistakes that went away, in words."""
    listed = "; ".join(cells) or "none of one image or more"
    return f"Mistakes that went away (broken ones negative), in images per student: {listed}."


def sure(share: float | None) -> str:
    """The end of an axis of confidence."""
    return f"{percent(share, 0)} sure"


def bin_said(confidence: float | None, accuracy: float | None, count: int) -> str:
    """Answers of like confidence, in words."""
    return f"{sure(confidence)}, {percent(accuracy, 0)} right, {count} images"


def bins_said(name: str, bins: Sequence[str]) -> str:
    """How right it is when it is so sure, in words."""
    return f"{name}: {'; '.join(bins) or NO_ANSWER}."


# ------------------------------------------------------------------------- the page Sweep

SWEEP = "Sweep"
SWEEP_HEADLINE = "Which settings teach best?"
SWEEP_PART, SWEEP_MORE = "Sweep", "values, images, networks, rate"
ACROSS, DOWN = "Across", "Down"
SEEDS_NOTE = "How many in each cell, each from its own start."
NO_SWEEP = "sweep: expected a short line of JSON"
SAME_AXES = "{} lies across and down: choose another for one of them."
NO_AXIS = "axis: {} cannot be swept here; expected one of {}."
TWO_CELLS = "{} has {} twice; each value is a cell of its own."
NO_GRID = "grid: expected one or two knobs with lists of their values"
NO_CELL = "The map has no such cell."
CELL_NOT_YET = "The students of this cell are not finished."
SWEEP_STILL = "Your sweep is still going. Stop it first, or let it end."
GUESS_WHERE = "Which cell will be right most often? Press it, then they all learn."
GUESS_CARD = "Your guess first"
GUESS_HOW = (
    "Nothing has been trained yet. Press the cell that you think will end highest; your mark "
    "stays on the map."
)
SKIP_AND_RUN, NOT_NOW = "Skip the guess, run", "Not now"
ONE_CELL = "One cell"
PRESS_CELL = "Press a cell to see how its students learn, and what they gain over labels only."
OPEN_IN_TRAIN = "Open in Train"
LABELS_ONLY = "Labels only"
NOTHING_PICKED = (
    "The map shows test images, and nothing is picked by it: the highest of many cells is partly "
    "luck. To choose a setting, choose on validation images and test once."
)
SHIPPED_SWEEP = (
    "Recorded. Look along a row: a warmer teacher teaches more. Look down a column: from 0.5 to 1 "
    "little changes. In the row 0 nobody hears the teacher, so its temperature changes nothing."
)
NO_SHIPPED = "The recorded sweep is missing; python -m workbench.assets makes it anew."
STOPPED_MAP = "What is there stays. Continue goes on from here."
WATCH = "Each cell darkens as its students get more right."
SWEEP_AXIS, IN_PER_CENT = "Right on test, per cent", "{}, in per cent"


def so_many_values(title: str, count: int, most: int) -> str:
    """An axis with no value, or with too many."""
    if not count:
        return f"{title} needs at least one value, such as 1, 2, 4."
    return f"{title} has {count} values; at most {most} have room on the map."


def too_long(minutes: int, cells: int, seeds: int) -> str:
    """A sweep that would take too long here."""
    return (
        f"{cells} cells of {seeds} students would take about {minutes} minutes; at most 10 are "
        "allowed here. Take fewer values, students, steps or images."
    )


def cells_and_seeds(cells: int, seeds: int) -> str:
    """What Run will train: '36 cells × 5 students.'."""
    many = f"{cells} cell{'s' * (cells > 1)}"
    return f"{many} × {seeds} student{'s' * (seeds > 1)}."


def takes_about(seconds: float, pace: float) -> str:
    """What a sweep will take: its estimate, unless it is slowed down to be watched."""
    if seconds <= pace / 2:
        return f"About {number(pace)} s, slowed down."
    if seconds < 90:
        about = math.ceil(seconds) if seconds < 5 else 5 * math.ceil(seconds / 5)
        return f"About {number(max(about, pace))} s."
    return f"About {number(round(seconds / 60, 1 if seconds < 180 else None))} minutes."


def cells_done(count: int, of: int) -> str:
    """How far a sweep is."""
    return f"{count} of {of} cells finished"


def setting(parts: Sequence[tuple[str, float]]) -> str:
    """A cell's name: 'T = 8, α = 0.5'."""
    return ", ".join(f"{name} = {number(value)}" for name, value in parts)


def span_said(low: str, low_at: str, high: str, high_at: str, base: str) -> str:
    """The finding of a map: from where to where it goes."""
    end = f"; labels only get {base}" if base else ""
    if low == high:
        return f"Every cell gets {low}{end}."
    return f"From {low} at {low_at} to {high} at {high_at}{end}."


def guess_said_cell(name: str, value: str, rank: int, of: int) -> str:
    """A guess and the truth, neutral."""
    if rank == 1:
        return f"You said {name}: it is the highest, {value}."
    last = {1: "st", 2: "nd", 3: "rd"}.get(rank % 10 if rank // 10 % 10 != 1 else 0, "th")
    return f"You said {name}: it gets {value}, {rank}{last} of {of}."


def why_there(hit: bool) -> str:
    """The question that a guess ends in."""
    return "Why is it highest there?" if hit else "Why is it higher elsewhere?"


def cell_says(value: str, count: int) -> str:
    """The big number's note: how many students it is the mean of."""
    return f"{count} student{'s' * (count > 1)}"


def cell_caveat(over: str, several: int, few: bool = False) -> str:
    """What the verdict of a cell does not say; `few`: too few pairs to tell anything apart."""
    said = [f"Pairs are {over} that start alike, on one split of the data.",
            "Learning rates are not tuned."]  # fmt: skip
    if several > 1:
        said.append(f"The interval is widened for {several} cells (Holm).")
    if few:
        said.append("So few students tell little apart: take more of them, or fewer cells.")
    return " ".join(said)


# ------------------------------------------------------------------------- a sweep as a map

GRID_COLUMNS = ("Setting", "Right on test", "Students", "State")


def downwards(name: str) -> str:
    """The name of what the rows of a map are."""
    return f"{name} ↓"


def across(name: str) -> str:
    """The name of what the columns of a map are."""
    return f"{name} →"


def grid_pair(column: str, one: str, row: str, other: str) -> str:
    """A cell's settings: 'Temperature 8, Alpha 0.5'."""
    return ", ".join(f"{name} {value}" for name, value in ((column, one), (row, other)) if name)


def sweep_size(settings: int, students: int, seconds: float) -> str:
    """What a sweep will train, and how long that takes."""
    return f"{settings} settings, {students} students each: about {seconds:.0f} s."


def grid_state(state: str, share: float, lost: int) -> str:
    """How far a cell is, and how many of its students diverged."""
    said = {
        "queued": "Waiting",
        "running": f"Running, {100 * share:.0f}{NARROW}%",
        "stopped": f"Stopped at {100 * share:.0f}{NARROW}%",
    }.get(state, "Finished")
    return f"{said}, {lost} diverged" if lost else said


def grid_value(value: str, count: int, state: str) -> str:
    """What a cell says: '91.0 % ± 0.7, 8 students. Finished'."""
    many = f"{value}, {count} student{'s' * (count > 1)}. " if value else ""
    return many + state


def grid_empty(lost: int) -> str:
    """Why a cell has no number."""
    return "diverged" if lost else "not yet"


def grid_cell(pair: str, value: str) -> str:
    """The name of a cell that can be chosen."""
    return f"{pair}: {value}"


def reference(value: str) -> str:
    """What the mark on the key of a map is."""
    return f"Labels only {value}"


def grid_said(column: str, row: str, lines: Sequence[str], base: float | None) -> str:
    """A map in words: the mean of every cell, row by row."""
    start = f"Right on test. Rows: {row}; in each, by {column}:" if row else f"By {column}:"
    end = [f"{reference(percent(base))}."] if is_number(base) else []
    return " ".join([start, *lines, *end])


# --------------------------------------------------------------------- inside two networks

WEAK_STRONG, FAR_NEAR = ("weak", "strong"), ("far", "near")
IMAGE_COLUMN = "image"
UNTRAINED = "not trained yet"
LINEAGE_COLUMNS = ("Generation", "Right on test", "What it is")
CODE, DEFAULT_PAIRS = "Code of its loss", "Back to the default"
PAIRING = "Layers that are compared"
PAIRING_NOTE = "Press a layer of the student, then one of the teacher, to add or remove a pair."
PICK_MINE, PICK_ITS = "{} of the student, {}", "{} of the teacher, {}"
NOT_TAUGHT = "The teacher is not trained yet; the first run trains it."
NOT_SEEN = "This run was recorded without a look inside. Run it again to see it."
#: What a method compares of samples or places: heading, what to look at, pale and dark.
SHOWS = {
    "maps": (
        "Where they look",
        "How strongly a layer answers at each place of this image, whatever its channels mean.",
        WEAK_STRONG,
    ),
    "distances": (
        "How far samples are from each other",
        "Distances over their mean, of test samples by class: blocks are classes seen alike.",
        FAR_NEAR,
    ),
    "similarities": (
        "Which samples excite the same features",
        "Dot products, each row of length 1, of test samples by class: blocks are classes seen "
        "alike.",
        WEAK_STRONG,
    ),
    "correlations": (
        "Which samples are alike",
        "The kernel between test samples, by class: blocks are classes seen alike.",
        WEAK_STRONG,
    ),
    "neighbours": (
        "Who is whose neighbour",
        "How probable each test sample makes the others, by class: blocks are classes seen alike.",
        WEAK_STRONG,
    ),
}
LINEAGE, LINEAGE_NOTE = "Who taught whom", "Each arrow goes from a teacher to its student."


def what_it_copies(about: str) -> str:
    """A method's one sentence, without its name, which stands above it."""
    name, colon, rest = about.partition(": ")
    return whole(rest if colon and len(name) < 60 else about)


def link_name(method: Method, student: str, taught: bool) -> str:
    """A link of a chain: the first teacher, or who learnt from it."""
    return f"{method_name(method)} {student}" if taught else f"{TEACHER} {student}"


def link_note(generation: int, weights: int, between: bool) -> str:
    """What a link of a chain is besides: its size, and the how-manieth of its kind."""
    size = STUDENT_MEANING.format(thousands(weights))
    if between:
        return f"assistant, {size}"
    return f"generation {generation}, {size}" if generation else size


def first_student(name: str, step: int, steps: int) -> str:
    """Whose inside is shown, and when."""
    return f"{name}: the first student, {at_step(step, steps)}"


def layer_size(grid: tuple[int, int] | None, width: int) -> str:
    """'8 × 8 × 16', or '16 units' where there is no grid."""
    return f"{grid[0]} × {grid[1]} × {width}" if grid else f"{thousands(width)} units"


def tower_said(name: str, layers: Sequence[str]) -> str:
    """A network's layers in words."""
    return f"{name}: {', '.join(layers) or 'no layers'}."


def pairing_said(towers: Sequence[str], pairs: Sequence[tuple[str, str]]) -> str:
    """Which layers are compared, in words."""
    listed = ", ".join(f"{mine} with {its}" for mine, its in pairs)
    return f"{' '.join(towers)} Compared: {listed or 'none'}."


def pair_title(mine: str, its: str) -> str:
    """A pair of layers above its maps."""
    return mine if mine == its else f"{mine} : {its}"


def alike(cosine: float | None) -> str:
    """How alike two maps are."""
    return f"alike {plain(cosine, 2)}" if is_number(cosine) else ""


def maps_said(image: str, name: str, layers: Sequence[str], alike: Sequence[str]) -> str:
    """Where teacher and student look, in words."""
    each = [f"{one} {how}" if how else one for one, how in zip(layers, alike, strict=True)]
    return f"{image}. Maps of teacher and {name}, 1 is the same: {', '.join(each)}."


def agree(correlation: float | None) -> str:
    """How alike two matrices are."""
    if not is_number(correlation):
        return ""
    return f"The two correlate by {plain(correlation, 2)}"


def blocks_said(name: str, within: str, between: str) -> str:
    """A matrix of relations in two numbers."""
    return f"{name}: {within} within a class, {between} between classes"


def relations_said(networks: Sequence[str], alike: str) -> str:
    """Relations of samples, in words."""
    return ". ".join([*networks, *([alike] if alike else [])]) + "."


def generation_said(name: str, accuracy: str, note: str) -> str:
    """One link of a chain, in words."""
    return f"{name}, {accuracy}" + (f", {note}" if note else "")


def lineage_said(links: Sequence[str]) -> str:
    """A chain in words."""
    return f"Who taught whom: {'; then '.join(links)}."


# ------------------------------------------------------------------ at the door of the server


def serving(url: str) -> str:
    """Where the app is, once it is there."""
    return f"The workbench is open at {url.rstrip('/')} (Ctrl-C ends it)"


def port_taken(port: int) -> str:
    """A port that somebody else has."""
    return (
        f"Port {port} is in use: open http://127.0.0.1:{port} if the workbench runs there "
        f"already, or start this one with python app.py --port {port + 1}"
    )


def port_forbidden(port: int, usual: int) -> str:
    """A port that needs rights."""
    return (
        f"Port {port} cannot be opened without the rights that ports below 1024 need here: "
        f"start with python app.py --port {usual}"
    )


def bad_port(source: str, text: str) -> str:
    """A port that is none."""
    return f"{source} {text[:40]!r}: expected a whole number from 1 to 65535"


def bad_host(source: str, text: str) -> str:
    """A host that this machine is not."""
    return (
        f"{source} {text[:40]!r}: expected an address of this machine, 127.0.0.1 for itself "
        "alone or 0.0.0.0 for its network too"
    )


CHECKED = "All is in order. Open the workbench with python app.py"


def not_all(wrong: int) -> str:
    """What the check ends with where something is amiss."""
    if wrong == 1:
        return "1 of these is not in order; its line says what to do."
    return f"{wrong} of these are not in order; each line says what to do."


ABOUT = "Open the Distillation Workbench."
PORT_HELP = "default {}, or GRADIO_SERVER_PORT"
HOST_HELP = "default 127.0.0.1, or GRADIO_SERVER_NAME"
CHECK_HELP = "say whether all is in order here, and open nothing"

# what the check looks at, line by line
LOOKS = (
    "python", "gradio", "torchvision", "home", "digits", "shipped runs", "port", "training",
    "machine",
)  # fmt: skip
IN_ORDER, AMISS = "ok ", "BAD"
PYTHON, OLD_PYTHON = "{}, torch {}", "Python {}; install 3.11 or later"
OLD_GRADIO = "{}; run pip install 'gradio>=6.31,<7'"
BRIDGED = "{}, built for another torch than {}: noticed and handled, nothing to do"
ROOM = "{}, {:.0f} GB free"
NO_ROOM = "{} has {:.0f} MB left; make room, or set WORKBENCH_HOME elsewhere"
SOUND, UNSOUND = "{} are sound", "{}; make them anew with python -m workbench.assets"
FREE_PORT = "{} is free"
WORKER = "a worker trains, ready after {:.1f} s"
NO_WORKER = "a worker could not train ({}); run pip install -r requirements.txt"
NO_REASON = "no reason given"
CORES, MEMORY = "{} cores", ", {:.1f} GB of memory free"
NO_MEMORY = "{:.0f} MB of memory left; close other programs"

# what a script's call is refused for
NO_RUN = "run: expected the id that train gave, like 0123456789abcdef/1"
LOST_RUN = "run: {} is not known here; it may have been removed"
NOT_YET = "run: {} is not finished; ask status about it"
NO_METHOD = "method: expected a name such as kd:temperature=8"
NO_KNOBS = "knobs: expected an object with at most {} names"
NO_VALUES = "{}: expected named values"
NO_JSON = "recipe: expected a short line of JSON"
GIVEN_TWICE = "knobs({}=…): given twice ({} and {}), expected once"


def no_knob(name: object, known: Sequence[str]) -> str:
    """A knob that no method has."""
    return f"knob {str(name)[:40]!r} is not known: expected {', '.join(known)}"


# ------------------------------------------------------------------------------ the first act

START = "Start"
MOVED = "{} goes from {} to {} here; {} in the address was set to {}."
LEFT_OUT = "The address has {}={}, which is not known here; it was left out."
ACT_LOOK = "This teacher looks certain. Is it?"
ACT_WATCH = "Twelve of each learn. Who gets further?"
ACT_COLD = "The same again, at T\u00a0=\u00a01."
ONE_IMAGE, ANOTHER_IMAGE, IMAGE_NUMBER = "One image", "Another image", "Image"
OF_TEST = " of test images"
SAYS, SAYS_TABLE = "What the teacher says", "What the teacher says about this image"
TEMPERATURE, AS_TRAINED, VERY_SOFT = "Temperature", "as trained", "very soft"
GUESS, UNGUESSED, GUESSED = "Your guess", "B: drag me", "B: {} %?".replace(" %", NARROW + "%")
POINTS = "points"
GUESS_SLIDER = "Your guess for student B, per cent right"
GUESS_NOTE = (
    "Student A learns 50 images from their labels. "
    "Student B learns the same 50 from bars like these, at T\u00a0=\u00a08."
)
GUESS_FIRST = "Drag the yellow mark to your guess first, or skip it."
GUESS_COLD = "Your guess for B at T\u00a0=\u00a01"
GUESS_COLD_SLIDER = "Your guess for student B at temperature 1, per cent right"
GUESS_COLD_FIRST = "Move the slider to your guess first, or skip it."
UNDER_WAY = "These students learn already, with another guess. Stop them first to change yours."
GUESS_AGAIN = "Your guess goes from 50 to 100 %; {} does not fit. The mark stays where it was."
TRAIN_BOTH, SKIP = "Train 12 of each", "Skip the guess"
NOW_COLD, TO_TRAIN, START_OVER = (
    "Now at T\u00a0=\u00a01",
    "Change anything, on Train",
    "Start over",
)
GO_ON, TRAIN_AGAIN = "Continue", "Train again"
FROM_RUNS = "All numbers come from real runs on scikit-learn’s digits."
LEARN, LEARN_NOTE = (
    "24 students learn",
    "each thin line is one student; bands are ± 1 standard deviation of twelve",
)
BANDS_NOTE = "bands are ± 1 standard deviation of twelve students"
RECORDING = "A recording"
RECORDING_WHY = "No training could start within 2 s, so this is the recording of an earlier one."
NO_RECORDING = "The recording is missing; python -m workbench.assets makes it anew."
LOOK_AT = "Two bands grow: A learns from labels, B from the teacher’s bars."
A_NAME, B_NAME = "A, labels only", "B, distilled"
A_SHORT, B_SHORT = "A, labels", "B, T = {}"
B_FULL = "B, distilled at T = {}"
YOUR_GUESS = "Your guess for B: {}"
LOOK_AT_COLD = "The same starts. This time B’s bars are at T\u00a0=\u00a01, nearly a label."
TOUCHES = "distilled overtakes"

#: What the script on the page fills in, by itself, as the temperature moves.
SOFT = {
    "sure": "At T\u00a0=\u00a0{T} it is {top} sure of a\u00a0{best}. Turn the temperature up.",
    "open": "At T\u00a0=\u00a0{T} it gives {rest} to other digits: most to {a}, {b} and {c}, "
    "least to {least}.",
    "even": "At T\u00a0=\u00a0{T} the ten are nearly even: {best} has {top}, {least} still {low}.",
    "ghost": "{top} at T\u00a0=\u00a01",
    "label": "The teacher at T = {T}: {shares}.",
    "pixels": "8 × 8 pixels, from the test set.",
    "image": "Its label says {best}.",
    "alt": "A handwritten {best}, 8 by 8 pixels",
    "now": "T\u00a0=\u00a0{T}",
    "guessed": GUESSED,
    "first": GUESS_FIRST,
    "guess": "You guess {guess} for B. Teacher {teacher}, A, labels only, {labels}.",
    "unguessed": "Teacher {teacher}, A, labels only, {labels}. No guess for B yet.",
}
NUMBERS = (
    "no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven",
    "twelve", "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen",
    "twenty",
)  # fmt: skip


def temperature(value: float) -> str:
    """8, 3.2: one decimal at most."""
    return f"{value:.1f}".removesuffix(".0")


def soft_sentence(shares: Sequence[float], at: float) -> str:
    """What to see in the teacher's bars; the page's script says the same, from the same words."""
    order = sorted(range(len(shares)), key=lambda k: -shares[k])
    best, a, b, c, *_, least = order
    rest = 1 - shares[best]
    kind = "sure" if rest < 0.01 else "even" if shares[best] < 0.25 else "open"
    return SOFT[kind].format(
        T=temperature(at),
        top=percent(shares[best], 1 if shares[best] > 0.9 else 0),
        rest=percent(rest, 0 if rest >= 0.1 else 1),
        low=percent(shares[least], 1),
        best=best,
        a=a,
        b=b,
        c=c,
        least=least,
    )


def soft_label(shares: Sequence[float], at: float) -> str:
    """The bars in words."""
    listed = ", ".join(f"{k} {percent(share)}" for k, share in enumerate(shares))
    return SOFT["label"].format(T=temperature(at), shares=listed)


def a_gets(accuracy: float) -> str:
    """The question before the run."""
    return f"A gets {percent(accuracy, 0)} right. And B?"


def right_on(accuracy: float) -> str:
    """How good the teacher is."""
    return f"right on {percent(accuracy)}"


def act_stopped(step: int, steps: int) -> str:
    """The headline of what was stopped."""
    return f"Stopped at step {step} of {steps}." if step else "Stopped before it began."


def step_of(step: int) -> str:
    """'1 of 4'."""
    return f"{step} of 4"


def some_points(difference: float) -> str:
    """'nine points', for a headline."""
    whole = round(abs(100 * difference))
    word = NUMBERS[whole] if whole < len(NUMBERS) else str(whole)
    return f"{word} point{'' if whole == 1 else 's'}" if whole else "a little"


def act_headline(verdict: Any) -> str:
    """What the run showed, in a headline."""
    if verdict.mean is None:
        return "Some students broke."
    if verdict.text == "INCONCLUSIVE":
        return "Same 50 images, no difference to be seen."
    better = "better" if verdict.text == "BEATS" else "worse"
    return f"Same 50 images, {some_points(verdict.mean)} {better}."


def cold_headline(cold: Any, warm: Any) -> str:
    """What is left of it at T = 1."""
    if cold.mean is None:
        return "Some students broke."
    if cold.text == "INCONCLUSIVE":
        return "At T\u00a0=\u00a01 no gain is to be seen."
    if cold.text == "LOSES":
        return f"At T\u00a0=\u00a01 it is {some_points(cold.mean)} worse."
    if warm is not None and warm.mean and cold.mean < warm.mean / 2:
        return "At T\u00a0=\u00a01 most of the gain is gone."
    return f"At T\u00a0=\u00a01 it is still {some_points(cold.mean)} better."


def act_finding(name: str, verdict: Any) -> str:
    """The outcome in one sentence: verdict, interval and the reason that is honest."""
    said = finding(name, "Labels only", verdict, None).removesuffix(".")
    if verdict.mean is None:
        return f"{said}."
    because = {
        "BEATS": ", because its teacher saw 1000 labels and passes some of that on",
        "LOSES": ", although its teacher saw 1000 labels",
        "INCONCLUSIVE": ", although its teacher saw 1000 labels",
    }[verdict.text]
    return f"{said}{because}."


def cold_finding(name: str, cold: Any, warm: Any) -> str:
    """The same at T = 1, beside what it was at T = 8."""
    said = finding(name, "Labels only", cold, None)
    if warm is None or warm.mean is None:
        return said
    return f"{said.removesuffix('.')}; at T = 8 it was {signed(warm.mean)}."


def act_pairs(verdict: Any, ahead: int) -> str:
    """Interval and pairs, for the card."""
    if verdict.low is None:
        return f"{verdict.n} pairs that start alike."
    span = f"95{NARROW}% interval {interval(verdict.low, verdict.high)}"
    each = "All" if ahead == verdict.n else str(ahead) if ahead else "None"
    return f"{span}, {verdict.n} pairs that start alike, one split. {each} of them ahead."


def missed(guess: float, result: float) -> str:
    """Guess and truth on one line, neutral."""
    return f"You said {percent(guess, 0)}, it is {percent(result, 0)}."


def why(guess: float | None, result: float, verdict: Any) -> str:
    """The question that the gap asks."""
    if verdict.text != "BEATS":
        return "Why is B not ahead?"
    if guess is None or abs(guess - result) < 0.015:
        return "Why is B ahead?"
    return f"Why did B get {'further' if result > guess else 'less far'} than you thought?"


def because(verdict: Any) -> str:
    """What the students heard."""
    if verdict.text != "BEATS":
        return "The teacher's answers did not help these students."
    return (
        "Every soft answer says which digits look alike, and the teacher learnt that from "
        "images that B never sees."
    )


def cold_ask(verdict: Any) -> str:
    """The question that T = 1 asks."""
    return "Why is so little left?" if verdict.text == "BEATS" else "Why is nothing left?"


def cold_why(sure: float) -> str:
    """Why T = 1 carries little: how sure the teacher is on the students' own images."""
    return (
        f"At T\u00a0=\u00a01 the teacher is {percent(sure)} sure of the 50 images, on average. "
        "Such an answer is hardly more than the label."
    )


def act_now(recorded: bool, state: str, step: int, steps: int) -> tuple[str, str]:
    """The state while students learn: a word and the rest."""
    rest = at_step(step, steps)
    if state == "queued":
        return "Starting.", "" if not recorded else RECORDING
    if state == "stopped":
        return "Stopped", f"at {rest}, kept."
    if state == "failed":
        return "This run broke.", ""
    return ("A recording," if recorded else "Training live,"), rest


def act_means(labels: float, taught: float) -> str:
    """Where the two stand."""
    return f"Now A is right on {percent(labels, 0)}, B on {percent(taught, 0)}."


def act_cost(
    recorded: bool, students: int, steps: int, seconds: float | None, rates: Sequence[float]
) -> str:
    """What it took, under the chart."""
    took = f", {seconds:.1f} s of CPU time" if seconds else ""
    what = f"{students} students, {steps} steps each{took}. "
    each = " and ".join(f"{rate:g}" for rate in rates)
    chosen = f"Learning rates {each}, from five tried on 297 other labelled images. "
    never = "Test images were never trained on."
    return (RECORDING_WHY + " " if recorded else "") + what + chosen + never
