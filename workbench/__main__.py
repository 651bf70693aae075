"""The command line: `python -m workbench list | train | compare | sweep | replay | runs | …`.

Methods, data, knobs, their ranges and their meanings come from the registries. Results go to
standard output, messages and the progress bar to standard error. Exit codes: 0 done, whatever
the verdict; 2 bad input; 1 something is not in order here; 130 stopped by Ctrl-C.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import re
import shlex
import sys
import time
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

if TYPE_CHECKING:
    from workbench.base import Knob, Method
    from workbench.data import Data
    from workbench.evaluation import Verdict
    from workbench.recipe import Recipe
    from workbench.runs import Run
    from workbench.sweep import Cell, Plan

ROOT = Path(__file__).parent.parent
Report = Callable[[str, float], None]


class Usage(Exception):
    """The command line cannot be read."""


class Parser(argparse.ArgumentParser):
    """An argparse parser whose errors are one sentence."""

    def error(self, message: str) -> NoReturn:
        """Raise instead of printing the usage."""
        raise Usage(f"{self.prog}: {message}; see {self.prog} --help")


class Once(argparse.Action):
    """Keeps a flag's text, and refuses the flag when it is given twice."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: Any,
        option_string: str | None = None,
    ) -> None:
        """Called by argparse for each time the flag is given."""
        given = namespace.__dict__.setdefault("given", set())
        if self.dest in given:
            both = f"{getattr(namespace, self.dest)} and {values}"
            raise Usage(f"{option_string}: given twice ({both}), expected once")
        given.add(self.dest)
        setattr(namespace, self.dest, values)


@dataclass(frozen=True)
class Command:
    """What a word after `python -m workbench` does; `fill` adds its flags when they are needed."""

    help: str
    fill: Callable[[Parser], None]
    do: Callable[[argparse.Namespace], int]


def main(argv: Sequence[str] | None = None) -> int:
    """The exit code; nothing but results goes to standard output."""
    words = list(sys.argv[1:] if argv is None else argv)
    warnings.showwarning = _sentence  # a damaged run is reported in one line, not with its source
    try:
        return _run(words)
    except KeyboardInterrupt:
        again = shlex.join(["python", "-m", "workbench", *words])
        print(f"stopped, kept; resume with {again}", file=sys.stderr)
        return 130
    except BrokenPipeError:  # `… | head` has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except Usage as error:
        print(error, file=sys.stderr)
        return 2
    except Exception as error:
        return _explain(error)


def _explain(error: Exception) -> int:
    from workbench.base import BadInput, Trouble

    text = " ".join(str(error).split())
    known = isinstance(error, (BadInput, Trouble))
    print(text if known else f"{type(error).__name__}: {text}", file=sys.stderr)
    return 2 if isinstance(error, BadInput) else 1


def _sentence(message: Warning | str, *_: object, **__: object) -> None:
    print(" ".join(str(message).split()), file=sys.stderr)


def _run(words: Sequence[str]) -> int:
    parser = Parser(prog="python -m workbench", description=__doc__, allow_abbrev=False,
                    formatter_class=argparse.RawDescriptionHelpFormatter)  # fmt: skip
    choices = parser.add_subparsers(dest="command", metavar="COMMAND")
    name, chosen = words[0] if words else "", parser
    if name and not name.startswith("-") and name not in COMMANDS:
        from workbench.base import unknown

        raise unknown("command", name, list(COMMANDS))
    for each, command in COMMANDS.items():
        made = choices.add_parser(
            each, help=command.help, description=command.help, allow_abbrev=False
        )
        if each == name:  # the flags of the others would cost an import of torch
            command.fill(made)
            chosen = made
    if not name:
        parser.print_help(sys.stderr)
        raise Usage("expected a command")
    args, rest = parser.parse_known_args(words)
    if rest:
        _refuse(rest[0], chosen)
    from workbench.runs import size_cap

    size_cap()  # refused at once, not by the first command that needs a new folder
    return COMMANDS[name].do(args)


def _refuse(word: str, parser: Parser) -> NoReturn:
    if not word.startswith("--"):
        raise Usage(f"{parser.prog}: {word!r} is one word too many")
    from workbench.base import unknown

    flags = [flag for flag in parser._option_string_actions if flag.startswith("--")]
    raise unknown(f"{parser.prog}: flag", word.split("=")[0], flags)


# ---------------------------------------------------------------------------- flags and values


def _flag(parser: Parser, made: Knob, default: str | None = None) -> None:
    """A flag for a knob; its text is read later, so that an error names who wants it."""
    shown = default or _text(made.default) or "none"
    about = f"{made.meaning}: {made.expectation()} (default: {shown})"
    parser.add_argument(
        "--" + made.name.replace("_", "-"),
        dest=made.name,
        action=Once,
        metavar="VALUE",
        help=about.replace("%", "%%"),
    )


def _text(value: Any) -> str:
    if isinstance(value, tuple):
        return ",".join(str(item) for item in value)
    return f"{value:g}" if isinstance(value, float) else str(value)


def _name(parser: Parser, flag: str, default: str, about: str) -> None:
    parser.add_argument(
        f"--{flag}", action=Once, default=default, metavar="NAME", help=f"{about} ({default})"
    )


def _json_flag(parser: Parser) -> None:
    parser.add_argument("--json", action="store_true", help="JSON on standard output alone")


def _counts(*names: str) -> list[Knob]:
    """The numbers that belong to a command rather than to a recipe."""
    from workbench.base import Knob

    every = {
        "splits": Knob("splits", "int", 6, 1, 100, meaning="how many divisions of the data"),
        "seeds": Knob("seeds", "int", 8, 1, 1000, meaning="how many students of each"),
        "workers": Knob("workers", "int", 2, 1, 64, meaning="processes that train at once"),
    }
    return [every[name] for name in names]


def _fill_training(parser: Parser, recipe: Sequence[str], without: Sequence[str]) -> None:
    """The flags of whatever trains: student, teacher, data, and the named knobs of a recipe."""
    from workbench.data import DATA
    from workbench.models import MODELS
    from workbench.recipe import Recipe

    _name(parser, "student", "mlp-16", f"one of {', '.join(MODELS)}, or package.module:factory")
    about = "a model, or several joined by +, which learns from all labels (mlp-256-256)"
    parser.add_argument("--teacher", action=Once, metavar="NAME", help=about)
    _name(parser, "data", "digits", _data_help())
    knobs = {name: made for kind in DATA.values() for name, made in kind.knobs().items()}
    for name, made in (knobs | DATA["digits"].knobs()).items():
        if name not in without and (made.kind != "text" or name == "label"):
            _flag(parser, made)
    for name, made in Recipe.knobs().items():
        if name in recipe:
            chosen = name == "learning_rate" and "split" in without
            _flag(parser, made, "the best of five on validation data" if chosen else None)
    _name(parser, "device", "auto", "auto, cpu, cuda or mps")
    _json_flag(parser)


def _data_help() -> str:
    """What `--data` means, and where a knob's range is another than the digits'."""
    from workbench.data import DATA

    ranges = [f"{name} {kind.knobs()['images'].high:.0f}" for name, kind in DATA.items()]
    return (
        f"one of {', '.join(DATA)}; your own: a folder or zip with a folder of pictures for each "
        "class, an .npz of x and y, a .csv whose last column is the label (or --label's); "
        f"images: up to {', '.join(ranges)}"
    )


def _value(owner: str, made: Knob, args: argparse.Namespace) -> Any:
    text = getattr(args, made.name, None)
    return made.default if text is None else made.parse(owner, text)


def _data(args: argparse.Namespace) -> Data:
    """The data that a name, a spec or a path and the flags mean; read or fetched at once."""
    from workbench.base import BadInput, twice
    from workbench.data import DATA

    name, colon, rest = args.data.partition(":")
    if name in DATA or not os.path.exists(args.data):
        place = os.sep in args.data or Path(args.data).suffix.lower() in (".zip", ".npz", ".csv")
        if name not in DATA and place:
            raise BadInput(f"{args.data}: no such file or folder")
        kind = DATA[name]
        given = kind.given(rest)
    else:
        kind, given = DATA["own"], {"path": args.data}
    every = {name for other in DATA.values() for name in other.knobs()}
    for name in every:
        text = getattr(args, name, None)
        if text is None:
            continue
        if name not in kind.knobs():
            raise BadInput(f"{kind.__name__}: has no knob {name!r}")
        if name in given:
            raise twice(kind.__name__, name, given[name], text)
        given[name] = kind.knobs()[name].parse(kind.__name__, text)
    made = kind(**given)
    made.parts()
    return made


def _method(spec: str) -> tuple[Method, str]:
    """What a spec means, and how tables call it: by every knob typed, at its default or not."""
    from workbench.base import BadInput
    from workbench.methods import METHODS

    name, colon, rest = spec.partition(":")
    kind = METHODS[name]
    if colon and not rest.strip():
        raise BadInput(f"{spec!r}: expected name=value after the colon, or no colon")
    given = kind.given(rest)
    method = kind(**given)
    return method, method.spec(also=given)


def _known(args: argparse.Namespace) -> None:
    """Student, teacher and device exist: said before anything trains."""
    from workbench.engine import pick_device
    from workbench.models import MODELS

    for name in (args.student, *(args.teacher or args.student).split("+")):
        if not (size := MODELS[name]).stackable:  # somebody's code: it shall fail now
            data = _data(args)
            size(data.shape, data.classes)
    pick_device(args.device)


def _numbers(owner: str, args: argparse.Namespace, *names: str) -> dict[str, int]:
    return {made.name: _value(owner, made, args) for made in _counts(*names)}


def _recipe_values(args: argparse.Namespace, *names: str) -> dict[str, Any]:
    """The knobs of the recipe that were given; what was not keeps the callee's default."""
    from workbench.recipe import Recipe

    given = {name: made for name, made in Recipe.knobs().items() if name in names}
    return {
        name: _value("Recipe", made, args)
        for name, made in given.items()
        if getattr(args, name, None) is not None
    }


# -------------------------------------------------------------------------- what is printed


def _dump(found: Any) -> int:
    print(json.dumps(found, indent=1, allow_nan=False))
    return 0


def _columns(rows: Sequence[Sequence[str]]) -> str:
    """Rows as text, the columns aligned."""
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    lines = ("  ".join(c.ljust(w) for c, w in zip(row, widths, strict=True)) for row in rows)
    return "\n".join(line.rstrip() for line in lines)


def _percent(accuracy: Mapping[str, Any]) -> str:
    """`92.9 ± 0.9`, from fractions; – where it is undefined."""
    mean, std = accuracy["mean"], accuracy["std"]
    if mean is None:
        return "–"
    return f"{100 * mean:.1f}" + ("" if std is None else f" ± {100 * std:.1f}")


@contextmanager
def _progress(quiet: bool) -> Iterator[Report]:
    """A bar on a terminal; elsewhere now and then a line, or nothing."""
    if sys.stderr.isatty():
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

        columns = TextColumn("{task.description}", markup=False), BarColumn(), TimeElapsedColumn()
        with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
            task = bar.add_task("", total=1.0)
            yield lambda text, done: bar.update(task, description=text, completed=done)
        return
    said = [time.monotonic()]

    def line(text: str, done: float) -> None:
        if not quiet and time.monotonic() - said[0] > 5:
            said[0] = time.monotonic()
            print(f"{done:4.0%} {text}", file=sys.stderr, flush=True)

    yield line


# ------------------------------------------------------------------------------------- list


def catalogue() -> dict[str, Any]:
    """Everything the registries know, as plain data."""
    from workbench.data import DATA
    from workbench.lessons import LESSONS
    from workbench.methods import METHODS
    from workbench.models import MODELS
    from workbench.recipes import RECIPES

    def knobs(kind: Any) -> dict[str, Any]:
        return {name: made.describe() for name, made in kind.knobs().items()}

    return {
        "methods": {
            name: {"family": kind.family(), "paper": kind.paper, "knobs": knobs(kind)}
            for name, kind in METHODS.items()
        },
        "models": {
            name: {"family": size.family.__name__, "options": dict(size.options)}
            for name, size in MODELS.items()
        },
        "data": {
            name: kind.describe() | {"knobs": knobs(kind)}
            for name, kind in DATA.items()
        },
        "recipes": {
            name: {"question": named.question, "arms": _arms(named.recipes)}
            for name, named in RECIPES.items()
        },
        "lessons": {name: lesson.describe() for name, lesson in LESSONS.items()},
    }  # fmt: skip


def _arms(recipes: Sequence[Recipe]) -> list[dict[str, Any]]:
    from workbench.recipe import arms

    return [
        {"recipe": arm.to_json(), "seeds": [recipes[i].seed for i in places]}
        for arm, places in arms(recipes).items()
    ]


def _list(args: argparse.Namespace) -> int:
    found = catalogue()
    if args.json:
        return _dump(found)
    for title, entries in found.items():
        if entries:
            print(f"{title}\n{_columns([_entry(*item) for item in entries.items()])}\n")
    print("python -m workbench train --help says what each knob accepts.")
    return 0


def _entry(name: str, entry: Mapping[str, Any]) -> list[str]:
    about = entry.get("paper") or entry.get("question") or entry.get("title") or ""
    about += "" if entry.get("here", True) else " (not on this machine; fetched when it is used)"
    made = entry["options"] if "options" in entry else entry.get("knobs", {})
    knobs = [f"{k}={v['default'] if isinstance(v, dict) else v}" for k, v in made.items()]
    return [f"  {name}", entry.get("family", ""), ", ".join(knobs), about]


# ------------------------------------------------------------------------------------ train


def _fill_train(parser: Parser) -> None:
    from workbench.recipe import Recipe

    parser.add_argument("specs", nargs="+", metavar="SPEC", help=_spec_help() + "; or a recipe")
    for made in _counts("seeds"):
        _flag(parser, made)
    _fill_training(parser, list(Recipe.knobs()), ())
    parser.add_argument("--fresh", action="store_true", help="train again what is finished")


def _spec_help() -> str:
    """The methods with their knobs, as they are written."""
    from workbench.methods import METHODS

    parts = []
    for name, kind in METHODS.items():
        knobs = [f"{k} in [{m.low:g}, {m.high:g}]" if m.low is not None and m.high is not None
                 else k for k, m in kind.knobs().items()]  # fmt: skip
        parts.append(f"{name} ({', '.join(knobs)})" if knobs else name)
    return "method:knob=value,… such as kd:temperature=8,alpha=1; " + ", ".join(parts)


def _groups(args: argparse.Namespace) -> list[tuple[list[Recipe], list[str]]]:
    """The runs that are asked for, a named recipe's or the seeds of each method; their arms."""
    from workbench.base import BadInput, unknown
    from workbench.methods import METHODS
    from workbench.recipe import arms
    from workbench.recipes import RECIPES

    found: list[tuple[list[Recipe], list[str]]] = []
    for spec in args.specs:
        if spec in RECIPES:
            given = sorted(getattr(args, "given", set()) - {"device"})
            if given:
                raise BadInput(f"{spec}: the recipe decides {given[0]} itself; leave it out")
            recipes = list(RECIPES[spec].recipes)
            found.append((recipes, _told_apart(list(arms(recipes)))))
        else:
            name = spec.partition(":")[0]
            if name not in METHODS:
                raise unknown("method or recipe", name, [*METHODS, *RECIPES])
            method, label = _method(spec)
            found.append((_seeds(method, args), [label]))
    return found


def _seeds(method: Method, args: argparse.Namespace) -> list[Recipe]:
    from workbench.recipe import Recipe, taught_by

    data = _data(args)
    by = taught_by(method, data, args.teacher or "mlp-256-256")
    values = _recipe_values(args, *Recipe.knobs())
    one = Recipe(args.student, data, method, by, **values)
    seeds = _numbers("train", args, "seeds")["seeds"]
    return [one.but(seed=one.seed + i) for i in range(seeds)]


def _train(args: argparse.Namespace) -> int:
    from workbench.base import Trouble
    from workbench.runs import Run

    _known(args)
    found = []
    groups = _groups(args)
    with _progress(args.json) as report:
        for i, (group, labels) in enumerate(groups):
            for elder in _elders(group):  # before the students, who wait for them
                taught = Run(elder, device=args.device)
                for event in taught if taught.status.status != "done" else ():
                    report(f"a teacher, {elder.student}, step {event.step} of {event.steps}",
                           i / len(groups))  # fmt: skip
            run = Run(group, fresh=args.fresh, device=args.device)
            spec = args.specs[i]
            what = f"{spec if len(labels) > 1 else labels[0]}, {_students(len(group))}"
            for event in run:
                report(what, (i + event.step / max(1, event.steps)) / len(groups))
            if run.status.status != "done":
                raise Trouble(f"{run.folder}: was stopped elsewhere; run this again to resume it")
            found.append(_outcome(run))
    if args.json:
        return _dump({"runs": found})
    named = [(made, group) for made, (group, labels) in zip(found, groups, strict=True)
             if len(labels) > 1 and len({one.data.split for one in group}) > 1]  # fmt: skip
    for made, group in named:
        print(_over_splits(made, group))
    if len(named) == len(groups):
        return 0
    every = [_published(spec) for spec in args.specs]
    rows = [["method", "students", "accuracy %", *(["published %"] * any(every)), "folder"]]
    for made, (group, labels), known in zip(found, groups, every, strict=True):
        if (made, group) in named:
            continue
        for i, (arm, label) in enumerate(zip(made["arms"], labels, strict=True)):
            beside = [known[i] if known else ""] * any(every)
            score = _percent(arm["accuracy"])
            rows.append([label, str(arm["accuracy"]["n"]), score, *beside, made["folder"]])
    print(_columns(rows))
    print("± is the standard deviation over seeds on one split; compare adds splits.")
    return 0


def _elders(group: Sequence[Recipe]) -> list[Recipe]:
    """All who taught the students of a group, and their teachers before them."""
    found: dict[Recipe, None] = {}
    for one in group:
        found |= dict.fromkeys([*_elders(one.teachers), *one.teachers])
    return list(found)


def _over_splits(made: Mapping[str, Any], group: Sequence[Recipe]) -> str:
    """A named recipe by arm: mean over splits, and what it gains over the labels above it."""
    from workbench.evaluation import corrected, summary
    from workbench.recipe import arms
    from workbench.runs import Run

    scores = Run(group).events()[-1].accuracy["test"]
    by: dict[Recipe, list[list[float | None]]] = {}
    for arm, places in arms(group).items():
        by.setdefault(_first_split(arm), []).append([scores[i] for i in places])
    kinds, base = list(by), {}
    for i, kind in enumerate(kinds):
        above = [one for one in kinds[:i] if one.method.key() == "scratch"]
        alike = [one for one in kinds[:i] if one.data == kind.data]
        if kind.method.key() != "scratch" and (above or alike):
            base[kind] = above[-1] if above else alike[0]
    labels = dict(zip(kinds, _told_apart(kinds), strict=True))
    judged = corrected({labels[kind]: (by[kind], by[to]) for kind, to in base.items()})
    rows = [["method", "rate", "splits × seeds", "accuracy %", "difference", "verdict"]]
    for kind, found in by.items():
        against = judged.get(labels[kind])
        said = _difference(against) if against else ("", "")
        rows.append([labels[kind], _text(kind.learning_rate), f"{len(found)} × {len(found[0])}",
                     _percent(summary(found)), *said])  # fmt: skip
    return "\n".join([
        _columns(rows),
        "± is the standard deviation over splits; a difference is to the labels above it, or else "
        "to the first of the same data.",
        f"by split: --json; the run: {made['folder']}",
    ])  # fmt: skip


def _first_split(arm: Recipe) -> Recipe:
    """The same arm, and all who taught it, on split 0."""
    data = dataclasses.replace(arm.data, split=0)
    taught = tuple(_first_split(teacher) for teacher in arm.teachers)
    start = arm.start and _first_split(arm.start)
    return arm.but(data=data, teachers=taught, start=start)


def _published(spec: str) -> tuple[str, ...]:
    """What somebody else found for each arm of a named recipe."""
    from workbench.recipes import RECIPES

    return RECIPES[spec].published if spec in RECIPES else ()


def _outcome(run: Run) -> dict[str, Any]:
    """What a finished run came to, by arm."""
    from workbench.evaluation import aggregate
    from workbench.recipe import arms

    taught = [teacher for recipe in run.recipes for teacher in recipe.teachers]
    reports = run.reports(taught[0] if taught else None)
    made = []
    for arm, places in arms(run.recipes).items():
        measured = aggregate([reports[i] for i in places])
        made.append({"method": arm.method.key(), "knobs": arm.method.values(),
                     "learning_rate": arm.learning_rate, **measured})  # fmt: skip
    return {"name": run.name, "folder": str(run.folder), "arms": made}


# ------------------------------------------------------------------------ compare and sweep

_COMPARED = ("learning_rate", "steps", "batch_size")


def _fill_compare(parser: Parser) -> None:
    parser.add_argument("specs", nargs="+", metavar="SPEC", help=_spec_help())
    for made in _counts("splits", "seeds", "workers"):
        _flag(parser, made)
    _fill_training(parser, _COMPARED, ("split",))


def _compare(args: argparse.Namespace) -> int:
    from workbench import sweep
    from workbench.base import BadInput

    if len(args.specs) < 2:
        raise BadInput("compare: expected at least two methods, the baseline first")
    methods, labels = zip(*(_method(spec) for spec in args.specs), strict=True)
    _known(args)
    counts = _numbers("compare", args, "splits", "seeds", "workers")
    data, values = _data(args), _recipe_values(args, *_COMPARED)
    with _progress(args.json) as report:
        found = sweep.compare(
            methods,
            data=data,
            student=args.student,
            teacher=args.teacher or "mlp-256-256",
            device=args.device,
            report=report,
            **counts,
            **values,
        )
    if args.json:
        return _dump(found)
    print(_compared(found, labels, data))
    return 0


def _compared(found: Mapping[str, Any], labels: Sequence[str], data: Data) -> str:
    """The table, a sentence for each difference, and what to keep in mind."""
    left_out = list(data.left_out)
    head = ["method", "rate", "accuracy %", "NLL", "ECE", "agreement %", "CPU s"]
    rows = [head + [f"recall of {c} %" for c in left_out]]
    for label, arm in zip(labels, found["arms"], strict=True):
        cells = [label, _text(arm["learning_rate"]), _percent(arm["accuracy"])]
        cells += [_mean(arm["nll"]), _mean(arm["ece"]), _mean(arm["agreement"], 100, 1)]
        cells += [_mean(arm["cpu_seconds"], 1, 1)]
        rows.append(cells + [_mean(arm["recall"][c], 100, 1) for c in left_out])
    base, *others = labels
    judged = zip(others, found["differences"], strict=True)
    said = [_verdict(arm, base, one) for arm, one in judged]
    return "\n".join([_columns(rows), "", *said, *_caveats(found, data)])


def _mean(value: Any, times: float = 1.0, digits: int = 3) -> str:
    number = value["mean"] if isinstance(value, Mapping) else value
    return "–" if number is None else f"{times * number:.{digits}f}"


def _verdict(arm: str, base: str, one: Mapping[str, Any]) -> str:
    """A difference to the baseline as a sentence."""
    if one["mean"] is None:
        return f"{arm} and {base}: no verdict, because a student failed."
    if one["low"] is None:
        return f"{arm}: {100 * one['mean']:+.1f} points, no interval from a single pair."
    if _equal(one):
        return f"{arm} and {base}: the same score in every pair."
    mean, low, high = (100 * one[k] for k in ("mean", "low", "high"))
    if one["verdict"] == "INCONCLUSIVE":
        return (
            f"{arm} and {base}: no difference to be seen, {mean:+.1f} points, "
            f"interval {low:.1f} to {high:.1f}."
        )
    word = "beats" if one["verdict"] == "BEATS" else "loses to"
    low, high = (low, high) if mean > 0 else (-high, -low)
    return (
        f"{arm} {word} {base} by {abs(mean):.1f} points ({100 * one['coverage']:.1f} % interval "
        f"{low:.1f} to {high:.1f}, {one['n']} pairs of {one['over']})."
    )


def _caveats(found: Mapping[str, Any], data: Data) -> list[str]:
    from workbench.methods import METHODS

    parts, seen = data.parts(), len(data.transfer()[0])
    said = [
        f"Each rate is the best of five on {len(parts['validation'])} labelled validation images,"
        " unless you gave one."
    ]
    if any("teacher" in METHODS[arm["method"]].needs for arm in found["arms"]):
        said.append(
            f"The teacher saw {len(parts['train'])} labels; each student saw {seen} images."
        )
    if len(found["differences"]) > 1:
        said.append(f"Intervals are widened for {len(found['differences'])} comparisons (Holm).")
    return said


def _fill_sweep(parser: Parser) -> None:
    about = "a method, with the knobs that stay the same: kd, or kd:alpha=1"
    parser.add_argument("method", metavar="SPEC", help=about)
    about = "the values to try, of a knob of the method, the recipe or the data"
    parser.add_argument("grid", nargs="+", metavar="KNOB=A,B,…", help=about)
    for made in _counts("seeds"):
        _flag(parser, made)
    about = "afterwards, make a run of one setting, for replay and the app: temperature=8,alpha=1"
    parser.add_argument("--open", action=Once, metavar="KNOB=A,…", help=about)
    _fill_training(parser, _COMPARED, ())


def _sweep(args: argparse.Namespace) -> int:
    from workbench import sweep
    from workbench.runs import usable_home

    usable_home()  # before anything is promised
    method, _ = _method(args.method)
    kind, fixed = type(method), type(method).given(args.method.partition(":")[2])
    grid = _grid(kind, args, fixed)
    _known(args)
    values = _recipe_values(args, *(name for name in _COMPARED if name not in grid))
    planned = sweep.plan(
        kind,
        grid,
        fixed=fixed,
        data=_data(args),
        student=args.student,
        teacher=args.teacher or "mlp-256-256",
        device=args.device,
        **values | _numbers("sweep", args, "seeds"),
    )
    wanted = _wanted(kind, planned, args.open) if args.open is not None else None
    if not args.json:
        print(_expected(planned), file=sys.stderr)
    with _progress(args.json) as report:
        found = sweep.train(planned, args.device, report)
    if wanted is not None:
        run = planned.extract(wanted)
        found["opened"] = {"knobs": dict(wanted.knobs), "run": run.name, "folder": str(run.folder)}
    if args.json:
        return _dump(found)
    if fixed:
        print(f"{method.spec(also=fixed)} in every cell")
    print(_columns(_map(grid, found["cells"])))
    print("± is the standard deviation over seeds on one split; one learning rate for all cells."
          if "learning_rate" not in grid else
          "± is the standard deviation over seeds on one split.")  # fmt: skip
    if wanted is not None:
        print(f"{_setting(wanted.knobs)} is run {found['opened']['run']}; replay shows it.")
    return 0


def _expected(planned: Plan) -> str:
    """What a sweep will take, before it begins."""
    cells, seeds, passes = len(planned.cells), len(planned.cells[0].recipes), len(planned.passes)
    said = f"{cells} setting{'s' * (cells > 1)} × {_students(seeds)}"
    said += f" in {passes} pass{'es' * (passes > 1)}"
    return f"{said}: about {_duration(planned.seconds)} of one core. {planned.note}".rstrip()


def _duration(seconds: float) -> str:
    return f"{seconds:.1f} s" if seconds < 10 else f"{seconds:.0f} s" if seconds < 120 else (
        f"{seconds / 60:.0f} minutes")  # fmt: skip


def _map(grid: Mapping[str, Sequence[Any]], cells: Sequence[Mapping[str, Any]]) -> list[list[str]]:
    """Two axes as a map, the first of them down and the second across; else a line for a cell."""
    names = list(grid)
    if len(names) != 2:
        rows = [[*names, "accuracy %"]]
        return rows + [
            [*(_text(cell["knobs"][k]) for k in names), _percent(cell["accuracy"])]
            for cell in cells
        ]
    down, across = grid.values()
    rows = [[f"accuracy %: {names[0]} \\ {names[1]}", *map(_text, across)]]
    for i, value in enumerate(down):
        line = cells[i * len(across) : (i + 1) * len(across)]
        rows.append([_text(value), *(_percent(cell["accuracy"]) for cell in line)])
    return rows


def _setting(knobs: Mapping[str, Any]) -> str:
    return ",".join(f"{name}={_text(value)}" for name, value in knobs.items())


def _wanted(kind: type[Method], planned: Plan, text: str) -> Cell:
    """The cell that a text such as temperature=8,alpha=1 means."""
    from workbench.base import BadInput
    from workbench.sweep import axes

    known = axes(kind, planned.cells[0].recipes[0].data)
    pairs = [word.partition("=") for word in text.split(",")]
    knobs = {name.strip().replace("-", "_"): rest for name, _, rest in pairs}
    for cell in planned.cells:
        if (
            len(pairs) == len(knobs)
            and knobs.keys() == cell.knobs.keys()
            and all(
                known[name].parse(kind.__name__, knobs[name]) == value
                for name, value in cell.knobs.items()
            )
        ):
            return cell
    first = _setting(planned.cells[0].knobs)
    raise BadInput(f"sweep(open={text[:60]}): expected a setting of this sweep, such as {first}")


def _grid(
    kind: type[Method], args: argparse.Namespace, fixed: Mapping[str, Any]
) -> dict[str, list[Any]]:
    from workbench.base import BadInput, twice, unknown
    from workbench.data import Data
    from workbench.sweep import axes

    knobs = axes(kind, Data)
    found: dict[str, list[Any]] = {}
    typed = {name: _text(value) for name, value in fixed.items()}
    flags = {name: getattr(args, name, None) for name in knobs}
    typed |= {name: text for name, text in flags.items() if text is not None}
    for word in args.grid:
        name, equals, rest = word.partition("=")
        name = name.replace("-", "_")
        if not equals or not rest:
            raise BadInput(f"sweep: {word!r} is not knob=value,value,…")
        if name not in knobs:
            raise unknown(f"{kind.__name__}: knob", name, list(knobs))
        values: list[Any] = []
        for text in rest.split(","):
            value = knobs[name].parse(kind.__name__, text)
            if value in values:
                raise BadInput(f"{kind.__name__}({name}={text}): given twice, expected once")
            values.append(value)
        if name in typed:
            raise twice(kind.__name__, name, typed[name], rest)
        found[name], typed[name] = values, rest
    return found


# ---------------------------------------------------------------------- replay and the runs


def _find(word: str) -> list[Path]:
    """The takes that a folder, a name or the beginning of a name means; `name/2` is one take."""
    from workbench.base import BadInput
    from workbench.runs import every_take

    if (Path(word) / "recipes.json").exists():
        return [Path(word).resolve()]
    if not re.fullmatch(r"[0-9a-f]{4,16}(/\d+)?", word):
        raise BadInput(f"run {word!r}: expected a folder, or at least four letters of its name "
                       "as runs list shows it")  # fmt: skip
    name, _, take = word.partition("/")
    found = [p for p in every_take()
             if p.parent.name.startswith(name) and take in ("", p.name)]  # fmt: skip
    if not found:
        raise BadInput(f"run {word!r} is not known; runs list shows those there are")
    if len({p.parent.name for p in found}) > 1:
        names = ", ".join(sorted({p.parent.name for p in found}))
        raise BadInput(f"run {word!r} may mean {names}; give more letters")
    return found


def _fill_replay(parser: Parser) -> None:
    parser.add_argument("run", metavar="RUN", help="a folder, a name, or how a name begins")
    _json_flag(parser)


def _replay(args: argparse.Namespace) -> int:
    from workbench.recipe import arms
    from workbench.runs import Run, verify

    run = Run.at(_find(args.run)[0])
    verify(run.folder)
    events = run.events()
    if args.json:
        for event in events:
            print(event.to_json())
        return 0
    groups = arms(run.recipes)
    rows = [["step", *_told_apart(list(groups))]]
    for event in events:
        scores = event.accuracy.get("test", ())
        rows.append([str(event.step), *(_spread([scores[i] for i in places])
                                        for places in groups.values())])  # fmt: skip
    print(_columns(rows))
    print(f"Accuracy on the test part in %, {_students(len(run.recipes))}; {_standing(run)}.")
    return 0


def _told_apart(arms: Sequence[Recipe]) -> list[str]:
    """The arms' methods, and what differs where two have the same: `kd learning_rate=0.01`."""
    specs = [arm.method.spec() for arm in arms]
    values = [arm.values() | arm.data.values() | {"student": arm.student} | _taught(arm)
              for arm in arms]  # fmt: skip
    names = []
    for spec, mine in zip(specs, values, strict=True):
        alike = [one for other, one in zip(specs, values, strict=True) if other == spec]
        parts = [f"{k}={_text(v)}" for k, v in mine.items()
                 if any(one.get(k) != v for one in alike)]  # fmt: skip
        names.append(" ".join([spec, *parts]))
    return names


def _taught(arm: Recipe) -> dict[str, str]:
    """Who taught an arm, its teacher first, each with its rate."""
    found, one = [], arm
    while one.teachers:
        one = one.teachers[0]
        found.append(f"{one.student}@{one.learning_rate:g}")
    return {"taught_by": "/".join(found)} if found else {}


def _students(count: int) -> str:
    return f"{count} student{'' if count == 1 else 's'}"


def _spread(scores: Sequence[float | None]) -> str:
    from workbench.evaluation import summary

    return _percent(summary([scores]))


def _standing(run: Run) -> str:
    status = run.standing
    why = f" ({status.reason})" if status.reason else ""
    at = "" if status.status == "done" else f" at step {status.step} of {run.recipes[0].steps}"
    return f"{status.status}{at}{why}"


def _fill_runs(parser: Parser) -> None:
    parser.add_argument("what", choices=("list", "show", "rm"), metavar="list|show|rm")
    parser.add_argument("runs", nargs="*", metavar="RUN", help="for show and rm")
    _json_flag(parser)


def _runs(args: argparse.Namespace) -> int:
    from workbench.base import BadInput
    from workbench.runs import every_take

    if args.what == "list":
        if args.runs:
            raise BadInput(f"runs list: {args.runs[0]!r} is one word too many")
        return _runs_list([_about(take) for take in every_take()], args.json)
    if not args.runs:
        raise BadInput(f"runs {args.what}: expected at least one run")
    takes = [take for word in args.runs for take in _find(word)]
    if args.what == "rm":
        return _runs_rm(takes, args.json)
    found = [_about(take) | {"recipes": json.loads((take / "recipes.json").read_text("utf-8"))}
             for take in takes]  # fmt: skip
    if args.json:
        return _dump({"runs": found})
    for one in found:
        recipes = one.pop("recipes")
        print(_columns([[key, str(value)] for key, value in one.items()]))
        print(f"recipe  {json.dumps(recipes[0])}\n")
    return 0


def _about(take: Path) -> dict[str, Any]:
    """A take in one row."""
    from workbench.recipe import arms
    from workbench.runs import SHIPPED, Run

    run = Run.at(take)
    status, events = run.standing, run.events()
    last = events[-1].accuracy.get("test", ()) if events else ()
    right = [score for score in last if score is not None]
    return {
        "run": f"{take.parent.name}/{take.name}",
        "status": status.status,
        "step": status.step,
        "steps": run.recipes[0].steps,
        "methods": list(dict.fromkeys(arm.method.spec() for arm in arms(run.recipes))),
        "students": len(run.recipes),
        "accuracy": sum(right) / len(right) if right else None,
        "bytes": sum(f.stat().st_size for f in take.glob("*") if f.is_file()),
        "shipped": take.is_relative_to(SHIPPED),
        "folder": str(take),
    }


def _runs_list(found: list[dict[str, Any]], as_json: bool) -> int:
    from workbench.runs import home

    if as_json:
        return _dump({"home": str(home()), "runs": found})
    rows = [["run", "status", "step", "students", "accuracy %", "kB", "", "methods"]]
    for one in found:
        right = "–" if one["accuracy"] is None else f"{100 * one['accuracy']:.1f}"
        shipped = "shipped" if one["shipped"] else ""
        status = "stopped (resumable)" if one["status"] == "stopped" else one["status"]
        rows.append([one["run"], status, f"{one['step']}/{one['steps']}", str(one["students"]),
                     right, f"{one['bytes'] / 1000:.0f}", shipped,
                     _few(one["methods"])])  # fmt: skip
    print(_columns(rows))
    print(f"They live in {home()}")
    return 0


def _few(words: Sequence[str]) -> str:
    """The words, or two of them and how many more: a sweep has hundreds."""
    return " ".join(words) if len(words) < 4 else f"{words[0]} {words[1]} … {len(words) - 2} more"


def _runs_rm(takes: Sequence[Path], as_json: bool) -> int:
    from workbench.base import BadInput
    from workbench.runs import SHIPPED, home, remove

    for take in takes:
        if not take.is_relative_to((home() / "runs").resolve()) and not take.is_relative_to(
            home() / "runs"
        ):
            where = (
                "is shipped with the package" if take.is_relative_to(SHIPPED) else "is elsewhere"
            )
            raise BadInput(f"{take}: {where} and is not removed")
    for take in takes:
        remove(take)
        print(f"removed {take.parent.name}/{take.name}", file=sys.stderr)
    return _dump({"removed": [str(take) for take in takes]}) if as_json else 0


# ---------------------------------------------------------------------------------- lessons


def _fill_lessons(parser: Parser) -> None:
    choices = ("list", "key", "build")
    parser.add_argument("what", choices=choices, metavar="list|key|build")
    parser.add_argument("numbers", nargs="*", metavar="NUMBER", help="01, 02, …; all if none")
    about = "for build: write nothing, say what is not current"
    parser.add_argument("--check", action="store_true", help=about)


def _lessons(args: argparse.Namespace) -> int:
    from workbench.base import BadInput
    from workbench.lessons import LESSONS

    if args.check and args.what != "build":
        raise BadInput(f"lessons {args.what}: --check belongs to build")
    chosen = [LESSONS[number] for number in args.numbers or LESSONS]
    if args.what == "list":
        rows = [[o.number, o.title, f"{o.minutes} minutes", o.question] for o in chosen]
        print(_columns(rows))
        return 0
    if args.what == "key":
        print("\n\n\n".join(lesson.key() for lesson in chosen))
        return 0
    return _build([lesson.notebook for lesson in chosen], args.check)


def _build(notebooks: Sequence[Path], check: bool) -> int:
    from workbench.lessons import build, current

    wrong = []
    for path in notebooks:
        if check:
            found = current(path)
            wrong += found
            print(f"{path.name}: {'not current' if found else 'current'}")
        else:
            print(f"{path.name}: {'built' if build(path) else 'was current'}")
    for sentence in wrong:
        print(sentence, file=sys.stderr)
    return 1 if wrong else 0


# ---------------------------------------------------------------------- is this loss right?


def _fill_check(parser: Parser) -> None:
    wants = "(student_logits, teacher_logits, labels, *, temperature, alpha)"
    about = f"your loss: FILE.py:FUNCTION, called with {wants}"
    parser.add_argument("loss", nargs="?", metavar="LOSS", help=about)
    about = "instead: train a student with each specimen of the bug zoo, and say what that costs"
    parser.add_argument("--zoo", action="store_true", help=about)
    _json_flag(parser)


def _check(args: argparse.Namespace) -> int:
    from workbench import check
    from workbench.base import BadInput

    if args.zoo == bool(args.loss):
        raise BadInput("check: expected a loss, as my_losses.py:my_loss, or --zoo")
    if args.zoo:
        return _zoo(args.json)
    with redirect_stdout(sys.stderr):  # what the loss prints is no answer
        found = check.check(check.load(args.loss))
    code = 1 if found.broken else 0
    if args.json:
        _dump(found.describe())
        return code
    for name, sentence in check.sentences().items():
        if name not in found.asked:
            continue
        why = found.broken.get(name)
        print(f"{'holds ' if why is None else 'BROKEN'}  {name}: {sentence}")
        if why is not None:
            print(f"        here: {why}")
    said = found.describe()["resembles"]
    if said:
        how = "It is the specimen" if said["exactly"] else "It resembles the specimen"
        print(f"{how} {said['name']}: {said['mistake']} {said['symptom']}")
    if len(found.asked) < len(check.sentences()):
        print("the other laws were not asked")
        return code
    print(f"{len(found.broken)} of {len(check.sentences())} laws broken" if found.broken
          else f"all {len(check.sentences())} laws hold")  # fmt: skip
    return code


def _zoo(as_json: bool) -> int:
    from workbench import zoo
    from workbench.evaluation import summary, verdicts
    from workbench.specimens import SPECIMENS

    found: dict[str, dict[str, Any]] = {}
    notes = {
        "loss": "50 images, T = 8, alpha = 0.9, one rate for all (0.01, not tuned).",
        "training": "cnn-4 from cnn-8, 500 images, T = 8, alpha = 1, rate 0.01, not tuned.",
        "features": "cnn-8 from cnn-8, 50 images, last layers and labels, rate 0.01, not tuned.",
    }
    with _progress(as_json) as report:
        found["loss"] = zoo.cost(report)
        found["training"] = zoo.cost_of_training(report)
        found["features"] = zoo.cost_of_features(report)
    judged: dict[str, Any] = {}
    for kind, scores in found.items():
        for name in scores:
            base = SPECIMENS[name].right if name in SPECIMENS else ""
            base = base or next(iter(scores))
            if name in SPECIMENS:
                pair = {base: scores[base], name: scores[name]}
                judged |= verdicts(pair if kind == "features" else scores)
    if as_json:
        accuracy = {name: rows for scores in found.values() for name, rows in scores.items()}
        return _dump({"accuracy": accuracy, "verdicts": {k: v.text for k, v in judged.items()}})
    for kind, scores in found.items():
        rows = [["specimen", "law", "accuracy %", "against the right one", "verdict"]]
        for name, each in scores.items():
            law = SPECIMENS[name].law if name in SPECIMENS else ""
            against = _difference(judged[name]) if name in judged else ("", "")
            rows.append([name, law, _percent(summary(each)), *against])
        print(_columns(rows))
        print(notes[kind])
    return 0


# ------------------------------------------------------------------------- bench and tables


def _fill_bench(parser: Parser) -> None:
    flags = {
        "quick": "at most a minute: a few of the ratios, fewer rounds",
        "peers": "also against torchdistill, in an environment that is made for it",
        "scaling": "how cost grows with students, images and the teacher",
        "keep": "keep the result for the README: see table benchmarks",
    }
    for name, about in flags.items():
        parser.add_argument(f"--{name}", action="store_true", help=about)
    _json_flag(parser)


def _bench(args: argparse.Namespace) -> int:
    from workbench.base import BadInput

    for one, other in (("quick", "peers"), ("quick", "scaling"), ("quick", "keep"),
                       ("scaling", "peers")):  # fmt: skip
        if getattr(args, one) and getattr(args, other):
            raise BadInput(f"bench: expected --{one} or --{other}, got both")
    try:
        return _scaled(args) if args.scaling else _measured(args)
    except KeyboardInterrupt:  # unlike a training, half a measurement is nothing
        print("stopped; nothing is kept", file=sys.stderr)
        return 130


def _measured(args: argparse.Namespace) -> int:
    from workbench import bench

    with _progress(args.json) as report:
        found = bench.measure(args.quick, args.peers, report)
    if args.keep:
        from workbench.bench import kept

        print(f"kept in {kept.keep(found)}", file=sys.stderr)
    if args.json:
        return _dump(found)
    print(_columns(bench.rows(found)))
    if found["tricks"]:
        print(f"\n{_columns(bench.trick_rows(found))}")
    print(f"\n{bench.about(found)}\n{bench.outcome(found)}")
    return 0


def _scaled(args: argparse.Namespace) -> int:
    from workbench.bench import kept, scaling

    with _progress(args.json) as report:
        found = scaling.measure(report=report)
    if args.keep:
        for path in kept.keep_scaling(found):
            print(f"kept in {path}", file=sys.stderr)
    if args.json:
        return _dump(found)
    print(_columns(scaling.table(found)))
    return 0


#: What no docstring says.
_ABOUT = {
    "README.md": "this page",
    "LICENSE": "Apache-2.0",
    "requirements.txt": "what the app and the package need",
    "notebooks": "The lessons: Jupyter notebooks with guesses, experiments and exercises.",
    "tests": "Mirrors workbench/, and contract tests over the registries.",
    "runs": "Finished runs: weights and events, named by their recipes.",
    "run": "makes a fresh environment and runs the tests",
    "browser": "The app in a real browser.",
}
_SHOWN = (".ci", "README.md", "LICENSE", "requirements.txt", "app.py", "notebooks", "workbench",
          "tests")  # fmt: skip


def methods_table() -> str:
    """The README's table of methods, in Markdown."""
    from workbench.methods import METHODS

    rows = ["| method | family | knobs | what it is | source |", "|---|---|---|---|---|"]
    for name, kind in sorted(METHODS.items(), key=lambda item: (item[1].family(), item[0])):
        knobs = [f"{k} = {_text(m.default)}" for k, m in kind.knobs().items()]
        about = sys.modules[kind.__module__].__doc__ or ""
        cells = (f"`{name}`", kind.family(), ", ".join(knobs), about.splitlines()[0], kind.paper)
        rows.append("| " + " | ".join(cells) + " |")
    return "\n".join(rows)


def tree() -> str:
    """The README's annotated tree: every folder, and the files of the package itself."""
    lines: list[tuple[str, str]] = []
    for name in _SHOWN:
        if (ROOT / name).exists():
            _branch(ROOT / name, 0, lines)
    width = max(len(name) for name, _ in lines) + 2
    return "\n".join(f"{name.ljust(width)}{about}".rstrip() for name, about in lines)


def _branch(path: Path, depth: int, lines: list[tuple[str, str]]) -> None:
    lines.append(("  " * depth + path.name + ("/" if path.is_dir() else ""), _sentence_of(path)))
    if not path.is_dir() or path.name == "runs":
        return
    files = [p for p in path.iterdir() if p.is_file() and not p.name.startswith("_")]
    if path == ROOT / "workbench" or path.name == ".ci":
        for file in sorted(files):
            _branch(file, depth + 1, lines)
    for folder in sorted(p for p in path.iterdir() if p.is_dir() and p.name[0] not in "._"):
        _branch(folder, depth + 1, lines)


def _sentence_of(path: Path) -> str:
    """The first sentence of a file's or package's docstring."""
    import ast

    if path.name in _ABOUT:
        return _ABOUT[path.name].rstrip(".")
    file = path / "__init__.py" if path.is_dir() else path
    if not file.exists() or file.suffix != ".py":
        return ""
    text = ast.get_docstring(ast.parse(file.read_text("utf-8"))) or ""
    return text.split("\n\n")[0].replace("\n", " ").split(". ")[0].rstrip(".")


def benchmarks() -> str:
    """The README's section of benchmarks, in Markdown, from the result that is kept."""
    from workbench.bench import kept

    return kept.section()


#: The generated parts of the README, by the names of their markers.
MADE: dict[str, Callable[[], str]] = {
    "methods": methods_table, "tree": tree, "benchmarks": benchmarks,
}  # fmt: skip


def _fill_table(parser: Parser) -> None:
    from workbench.data import DATA

    about = "a generated part of the README; or --data for the league table"
    names = "|".join(MADE)
    parser.add_argument("what", nargs="?", choices=list(MADE), metavar=names, help=about)
    about = "put it into the README, between its markers"
    parser.add_argument("--write", action="store_true", help=about)
    about = f"train every method on it, against labels only: {_data_help()}"
    parser.add_argument("--data", action=Once, metavar="NAME", help=about)
    _flag(parser, DATA["digits"].knobs()["images"], "50")
    _name(parser, "student", "mlp-16", "the student; a CNN for methods that compare maps")
    _name(parser, "teacher", "mlp-256-256", "the teacher")
    for made in _counts("splits", "seeds", "workers"):
        _flag(parser, made)
    _json_flag(parser)


def _table(args: argparse.Namespace) -> int:
    from workbench.base import BadInput

    if bool(args.what) == bool(args.data):
        raise BadInput(f"table: expected {', '.join(MADE)}, or --data with a data set")
    if args.write and not args.what:
        raise BadInput(f"table --write: expected {' or '.join(MADE)}, which the README holds")
    if not args.what:
        return _league(args)
    print(made := MADE[args.what]())
    if args.write:
        _put(args.what, made)
    return 0


def _put(name: str, made: str) -> None:
    """A generated part into the README, between `<!-- name -->` and `<!-- /name -->`."""
    from workbench.base import Trouble

    file = ROOT / "README.md"
    text = file.read_text("utf-8") if file.exists() else ""
    before, begin, rest = text.partition(f"<!-- {name} -->\n")
    _, end, after = rest.partition(f"\n<!-- /{name} -->")
    if not begin or not end:
        raise Trouble(f"{file}: has no markers <!-- {name} --> and <!-- /{name} -->")
    fenced = f"```\n{made}\n```" if name == "tree" else made
    file.write_text(before + begin + fenced + end + after, "utf-8")


def _league(args: argparse.Namespace) -> int:
    """Every method at its defaults against labels only, with tuned rates and equal steps."""
    from workbench import sweep
    from workbench.methods import METHODS
    from workbench.models import MODELS
    from workbench.recipe import misfit

    if args.images is None and "images=" not in args.data:
        args.images = "50"
    data = _data(args)
    both = args.student, args.teacher.split("+")
    for name in (both[0], *both[1]):
        _ = MODELS[name]  # an unknown one is refused
    fits = [name for name, kind in METHODS.items() if not misfit(kind, *both, data.shape)]
    names = ["scratch", *(name for name in fits if name != "scratch")]
    counts: dict[str, Any] = _numbers("table", args, "splits", "seeds", "workers")
    methods = [METHODS[name]() for name in names]
    with _progress(args.json) as report:
        found = sweep.compare(
            methods,
            data=data,
            student=args.student,
            teacher=args.teacher,
            # relations of three are not for a thousand
            batch_size=0 if len(data.transfer()[0]) <= 128 else 100,
            report=report,
            **counts,
        )
    if args.json:
        return _dump(found)
    rows = ["| method | family | rate | accuracy % | difference | verdict | CPU s |",
            "|---|---|---|---|---|---|---|"]  # fmt: skip
    judged = [None, *found["differences"]]
    lines = list(zip(names, found["arms"], judged, strict=True))
    for name, arm, one in sorted(lines, key=lambda line: -(line[1]["accuracy"]["mean"] or 0)):
        cells = [
            f"`{name}`",
            METHODS[name].family(),
            _text(arm["learning_rate"]),
            _percent(arm["accuracy"]),
            *(_difference(one) if one else ("", "")),
            _mean(arm["cpu_seconds"], 1, 1),
        ]
        rows.append("| " + " | ".join(cells) + " |")
    print("\n".join(rows))
    others = {name: misfit(kind, *both, data.shape) for name, kind in METHODS.items()
              if name not in fits}  # fmt: skip
    print(*(f"\n`{name}` is not here: it {why}." for name, why in others.items()), sep="")
    return 0


def _difference(one: Mapping[str, Any] | Verdict) -> tuple[str, str]:
    """A difference in points with its interval, and the verdict: +9.5 (4.8 to 14.1), BEATS."""
    if not isinstance(one, Mapping):
        one = dataclasses.asdict(one) | {"verdict": one.text}
    if one["mean"] is None:
        return "a student failed", one["verdict"]
    if _equal(one):
        return "0.0 in every pair", "EQUAL"
    ends = "" if one["low"] is None else f" ({100 * one['low']:.1f} to {100 * one['high']:.1f})"
    return f"{100 * one['mean']:+.1f}{ends}".replace("-", "−"), one["verdict"]


def _equal(one: Mapping[str, Any]) -> bool:
    """Whether every pair scored the same: that is known, and not inconclusive."""
    return bool(one["mean"] == one["low"] == one["high"] == 0)


COMMANDS = {
    "list": Command("show methods, models, data and recipes", _json_flag, _list),
    "train": Command("train the seeds of a method, or resume them", _fill_train, _train),
    "compare": Command("compare methods over splits and seeds", _fill_compare, _compare),
    "sweep": Command("train every setting of a method's knobs", _fill_sweep, _sweep),
    "replay": Command("show what happened in a run, without training", _fill_replay, _replay),
    "runs": Command("list, show or remove runs", _fill_runs, _runs),
    "lessons": Command(
        "list lessons, print answer keys, run and clean notebooks", _fill_lessons, _lessons
    ),
    "check": Command("run a loss of your own through the laws", _fill_check, _check),
    "bench": Command("measure ratios of speed in one run", _fill_bench, _bench),
    "table": Command("print a generated table of the README", _fill_table, _table),
}


if __name__ == "__main__":
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):  # a console that cannot show ± shows ?
            stream.reconfigure(errors="replace")
    raise SystemExit(main())
