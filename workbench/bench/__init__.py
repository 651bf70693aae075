"""Speed as ratios in one run, so that they mean the same on every machine.

Numerator and denominator take turns and the smallest of the rounds counts, because neighbours
can only make a measurement slower. Training runs on one torch thread and is measured in CPU
seconds, imports too; only what people wait for is wall time: the app's start and, in a browser,
its first act.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from workbench.bench.clock import Row, calm, machine, peaks
from workbench.bench.goals import BROWSER, GOALS, SECONDS, TRICKS, as_json, missed

Report = Callable[[str, float], None]
Rows = dict[str, Row]
#: What a part is called, how many seconds it takes about, and what measures it.
Part = tuple[str, float, Callable[[], Rows]]


def parts(quick: bool, peak: float) -> list[Part]:
    """What is measured, in order; with `quick` only what takes a moment, in fewer rounds."""
    # here, because a peer's environment imports this package for its plain networks
    from workbench.bench import processes, students

    few = 1 if quick else 2
    first: list[Part] = [
        ("imports", 10 * few, lambda: processes.imports(3 * few)),
        ("one pass for 24 students", 5 * few, lambda: students.one_pass(8 * few, peak)),
        (
            "a cached teacher, MLP",
            4 * few,
            lambda: students.cached("mlp", "mlp-16", 200, 12 * few, peak),
        ),
        (
            "a cached teacher, CNN",
            8 * few,
            lambda: students.cached("cnn", "cnn-8", 60, 5 * few, peak),
        ),
        ("the app's start", 20 * few, lambda: processes.app(2 * few)),
    ]
    return first if quick else first + _more(peak)


def _more(peak: float) -> list[Part]:
    """What a whole measurement has besides."""
    from workbench.bench import act, browser, gpu, pictures, processes, students, tricks

    return [
        ("24 students, minibatches", 4, lambda: students.own_subsets(9, 200, peak)),
        ("16 and 36 students", 8, lambda: students.shared(7, 40, peak)),
        ("4 CNN students", 28, lambda: students.four_cnns(3, 40, peak)),
        ("loops of tutorials", 32, lambda: pictures.against_ours(3, peak)),
        ("a CUDA card", 1, lambda: gpu.thousand(3)),
        ("compare", 34, lambda: processes.comparison()),
        ("the first act", 6, lambda: act.first_act(4)),
        ("the digits from nothing", 10, lambda: act.from_nothing(2)),
        ("the first point", 12, lambda: processes.first_point(2)),
        ("what pays", 50, lambda: tricks.tried(3, 15)),
        ("the first act in a browser", 24, lambda: browser.browser(3)),
    ]


def measure(
    quick: bool = False, peers: bool = False, report: Report = lambda what, share: None
) -> dict[str, Any]:
    """Every number; `quick` a few of them, `peers` also against a library of others."""
    rows: Rows = {}
    python, why = _peer(peers, report)  # made in the real home, which `calm` hides
    with calm():
        peak = peaks()
        asked = parts(quick, peak["fp32"])
        whole, passed = sum(seconds for _, seconds, _ in asked), 0.0
        for what, seconds, ask in asked:
            report(what, passed / whole)
            rows |= ask()
            passed += seconds
        if peers:
            rows |= _against(python, why, report)
    return result(rows, peak)


def _peer(wanted: bool, report: Report) -> tuple[Any, str]:
    """The Python of the peer's environment, or None and why there is none."""
    from workbench.base import Trouble

    if not wanted:
        return None, ""
    from workbench.bench import peers

    try:
        return peers.environment(report), ""
    except Trouble as error:
        return None, str(error)


def _against(python: Any, why: str, report: Report) -> Rows:
    from workbench.bench import peers
    from workbench.bench.clock import absent

    return peers.against(python, 2, report) if python else absent(peers.NAMES, why)


def result(rows: Mapping[str, Row], peak: Mapping[str, float]) -> dict[str, Any]:
    """The rows as plain data, by what kind of number they are."""
    values = {k: None if row.value is None else round(row.value, 4) for k, row in rows.items()}

    def those(names: Any) -> dict[str, float | None] | None:
        found = {name: values[name] for name in values if name in names}
        return found or None

    ratios = {k for k in GOALS if GOALS[k].clock in ("CPU", "wall")} - set(TRICKS)
    return {
        "machine": machine() | {f"{k}_gflops": round(v / 1e9, 1) for k, v in peak.items()},
        "ratios": those(ratios) or {},
        "cpu_seconds": those(SECONDS),
        "wall_seconds": those(BROWSER),
        "accuracy": those([k for k in GOALS if GOALS[k].clock == "of the test images"]),
        "tricks": those(TRICKS),
        "spread": {
            k: [round(each, 4) for each in row.spread] + [row.rounds]
            for k, row in rows.items()
            if row.spread
        },
        "of_peak": {k: round(row.of_peak, 3) for k, row in rows.items() if row.of_peak},
        "notes": {k: row.note for k, row in rows.items() if row.note},
        "goals": as_json(),
        "missed": missed(values),
        "wall": [k for k in values if GOALS[k].clock == "wall"],
    }


# ------------------------------------------------------------------------------------ shown


def measured(found: Mapping[str, Any]) -> dict[str, float | None]:
    """Every number of a result but those of single tricks, by name."""
    kinds = ("ratios", "cpu_seconds", "accuracy", "wall_seconds")
    return {name: value for kind in kinds for name, value in (found.get(kind) or {}).items()}


def rows(found: Mapping[str, Any]) -> list[list[str]]:
    """The measurements as a table with the goal beside each."""
    head = ["what", "measured", "rounds", "of peak", "goal", ""]
    return [head, *(_row(name, value, found) for name, value in measured(found).items())]


def trick_rows(found: Mapping[str, Any]) -> list[list[str]]:
    """What single tricks do: below 1 they pay."""
    table = [["trick", "measured", "rounds", ""]]
    for name, value in (found.get("tricks") or {}).items():
        note = found.get("notes", {}).get(name, "")
        table.append([name, number(name, value), spread(name, found), note])
    return table


def _row(name: str, value: float | None, found: Mapping[str, Any]) -> list[str]:
    goal, note = GOALS[name], found.get("notes", {}).get(name, "")
    if value is None:
        return [name, "–", "", "", goal.sign, note or "not measured on this system"]
    words = [goal.clock, "" if goal.met(value) else "missed", note]
    share = found.get("of_peak", {}).get(name)
    return [
        name, number(name, value), spread(name, found), "" if share is None else f"{share:.0%}",
        goal.sign, ", ".join(filter(None, words)),
    ]  # fmt: skip


def number(name: str, value: float | None) -> str:
    """A measured number, as fine as its goal."""
    if value is None:
        return "–"
    bound = GOALS[name].bound or 1
    return f"{value:.{4 if bound < 0.1 else 3 if GOALS[name].clock.startswith('of') else 2}f}"


def spread(name: str, found: Mapping[str, Any]) -> str:
    """Median and range over the rounds, and how many: `1.80 (1.74–1.91), 8`."""
    each = found.get("spread", {}).get(name)
    if not each:
        return ""
    middle, low, high = (number(name, value) for value in each[:3])
    return f"{middle} ({low}–{high}), {each[3]}"


def outcome(found: Mapping[str, Any]) -> str:
    """What the table comes to, in a sentence."""
    return f"missed: {', '.join(found['missed'])}" if found["missed"] else "all goals met"


def about(found: Mapping[str, Any]) -> str:
    """The machine in a sentence: what its numbers are shares of, and what it cannot do."""
    here = found["machine"]
    can = {True: "yes", False: "no", None: "unknown"}
    return (
        f"{here['system']}, {here['cores']} cores, Python {here['python']}, torch "
        f"{here['torch']}, one thread; GEMM peak {here['fp32_gflops']:.0f} GFLOP/s in fp32, "
        f"{here['bf16_gflops']:.0f} in bf16; AMX: {can[here['amx']]}, AVX512-BF16: "
        f"{can[here['avx512_bf16']]}; CUDA: {here['cuda'] or 'no'}; load {here['load']}; "
        f"{here['date']}"
    )
