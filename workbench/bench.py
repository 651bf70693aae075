"""Speed as ratios in one run, so that they mean the same on every machine.

Numerator and denominator take turns and the smallest of the rounds counts, because neighbours
can only make a measurement slower. Training runs on one torch thread and is measured in CPU
seconds, imports too; only what people wait for is wall time: the app's start and, in a browser,
its first act.
"""

from __future__ import annotations

import os
import platform
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import nn

from workbench.data import DATA
from workbench.engine import train
from workbench.methods import METHODS
from workbench.recipe import Recipe, teacher
from workbench.recipes import RECIPES
from workbench.runs import Run, prepare

ROOT = Path(__file__).parent.parent
#: What each ratio should be at most, and each number of CPU seconds.
GOALS = {
    "import_workbench_over_torch": 1.10,
    "kd_cached_over_scratch_mlp": 1.25,
    "kd_cached_over_scratch_cnn": 1.05,
    "sweep24_over_one": 2.0,
    "app_up_over_imports": 1.5,
    "compare_empty_home": 50.0,
    "compare_teachers_cached": 25.0,
    "compare_all_cached": 5.0,
    "first_act_cpu": 2.0,
    "page_to_first_picture": 2.0,
    "click_to_first_point": 1.0,
    "slider_latency": 0.016,
}
#: The first act in a browser: seconds of wall time, for which a Chromium must be there.
BROWSER = ("page_to_first_picture", "click_to_first_point", "slider_latency")
#: The clock of each ratio that is not of CPU time.
WALL = ("app_up_over_imports",)
COMPARE = ["compare", "scratch", "kd:temperature=8,alpha=1", "--data", "digits", "--images", "50",
           "--splits", "6", "--seeds", "8", "--json"]  # fmt: skip


def measure(
    quick: bool = False, report: Callable[[str, float], None] = lambda what, share: None
) -> dict[str, Any]:
    """Every ratio; without `quick` more rounds, and the CPU seconds of a comparison."""
    few = 1 if quick else 2
    parts: list[tuple[str, Callable[[], dict[str, float]]]] = [
        ("imports", lambda: imports(4 * few)),
        ("one pass for 24 students", lambda: one_pass(10 * few)),
        ("a cached teacher, MLP", lambda: cached("mlp", "mlp-16", 200, 20 * few)),
        ("a cached teacher, CNN", lambda: cached("cnn", "cnn-8", 60, 6 * few)),
        ("the app's start", lambda: app(2 * few)),
    ]
    ratios: dict[str, float] = {}
    with _calm():
        for i, (what, ask) in enumerate(parts):
            report(what, i / (len(parts) + (0 if quick else 3)))
            ratios |= {name: round(ratio, 4) for name, ratio in ask().items()}
        seconds = None if quick else comparison(report) | {"first_act_cpu": first_act(4)}
        waited = None if quick else browser(3, report)
    waits = {k: v for k, v in (waited or {}).items() if not isinstance(v, str)}
    return {
        "machine": machine(),
        "ratios": ratios,
        "cpu_seconds": seconds,
        "wall_seconds": waited,
        "goals": GOALS,
        "missed": missed(ratios | (seconds or {}) | waits),
        "wall": list(WALL),
    }


def missed(measured: Mapping[str, float | None]) -> list[str]:
    """The names of what is above its goal; what was not measured is not."""
    return [name for name, value in measured.items() if value is not None and value > GOALS[name]]


def machine() -> dict[str, Any]:
    """What the numbers were measured on."""
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else None
    return {
        "system": f"{platform.system()} {platform.machine()}",
        "cores": os.cpu_count(),
        "load": None if load is None else round(load, 2),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "threads": 1,
    }


@contextmanager
def _calm() -> Iterator[None]:
    """One torch thread and an empty home; both as before afterwards."""
    threads, home = torch.get_num_threads(), os.environ.get("WORKBENCH_HOME")
    torch.set_num_threads(1)
    # workers of an app that was ended may still write down what they have
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        os.environ["WORKBENCH_HOME"] = folder
        try:
            yield
        finally:
            torch.set_num_threads(threads)
            if home is None:
                del os.environ["WORKBENCH_HOME"]
            else:
                os.environ["WORKBENCH_HOME"] = home


def least(asked: Mapping[str, Callable[[], float]], rounds: int) -> dict[str, float]:
    """The smallest of what each gives, taking turns."""
    found: dict[str, list[float]] = {name: [] for name in asked}
    for _ in range(rounds):
        for name, ask in asked.items():
            found[name].append(ask())
    return {name: min(values) for name, values in found.items()}


# -------------------------------------------------------------------------------- in Python


def _cpu(work: Callable[[], Any]) -> float:
    start = time.process_time()
    work()
    return time.process_time() - start


def _trained(recipes: Sequence[Recipe]) -> float:
    """CPU seconds of training alone: nothing is prepared, evaluated or written."""
    state = prepare(recipes)
    for one in state.stacks:
        one.looks = {}
    return _cpu(lambda: list(train(state)))


def _plain(steps: int, rate: float) -> float:
    """CPU seconds of the loop that everybody writes: one student, the first act's 50 images."""
    data = DATA["digits"](images=50)
    index, y = data.transfer()
    x = data.parts()["train"].x[index].flatten(1)
    student = nn.Sequential(nn.Linear(64, 16), nn.ReLU(), nn.Linear(16, 10))
    optimiser = torch.optim.AdamW(student.parameters(), lr=rate)

    def loop() -> None:
        for _ in range(steps):
            optimiser.zero_grad()
            nn.functional.cross_entropy(student(x), y).backward()
            optimiser.step()

    return _cpu(loop)


def one_pass(rounds: int) -> dict[str, float]:
    """The first act's 24 students in one pass, against one student of a plain loop."""
    recipes = [recipe.but(events=1) for recipe in RECIPES["first-act"].recipes]
    first = recipes[0]
    found = least(
        {
            "many": lambda: _trained(recipes),
            "one": lambda: _plain(first.steps, first.learning_rate),
        },
        rounds,
    )
    return {"sweep24_over_one": found["many"] / found["one"]}


def cached(name: str, student: str, steps: int, rounds: int) -> dict[str, float]:
    """Distillation from cached answers against labels only, on the same batches of 64."""
    data = DATA["digits"]()
    labels = Recipe(student, data, batch_size=64, steps=steps, events=1)
    taught = labels.but(method=METHODS["kd"](), teachers=(teacher(data),))
    found = least(
        {"kd": lambda: _trained([taught]), "scratch": lambda: _trained([labels])}, rounds
    )
    return {f"kd_cached_over_scratch_{name}": found["kd"] / found["scratch"]}


# --------------------------------------------------------------------- in processes of its own


def _python(program: str) -> list[float]:
    """The numbers that a fresh interpreter prints."""
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True
    )
    return [float(word) for word in done.stdout.split()]


def imports(rounds: int) -> dict[str, float]:
    """`import workbench` with all its public names, on top of `import torch`."""
    program = (
        "from time import process_time as now; a = now(); import torch; b = now(); "
        "import workbench; [getattr(workbench, n) for n in workbench.__all__]; "
        "print(b - a, now() - b)"
    )
    times = [_python(program) for _ in range(rounds)]
    first, more = (min(column) for column in zip(*times, strict=True))
    return {"import_workbench_over_torch": (first + more) / first}


def app(rounds: int) -> dict[str, float]:
    """Until the app's server answers, against `import torch, gradio` alone; wall time."""
    found = least({"app": _up, "imports": _imported}, rounds)
    return {"app_up_over_imports": found["app"] / found["imports"]}


def _imported() -> float:
    start = time.perf_counter()
    _python("import torch, gradio")
    return time.perf_counter() - start


def _up() -> float:
    start = time.perf_counter()
    with _serving():
        return time.perf_counter() - start


@contextmanager
def _serving() -> Iterator[str]:
    """The app's address, once it answers."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    start = time.perf_counter()
    server = subprocess.Popen(
        [sys.executable, str(ROOT / "app.py"), "--host", "127.0.0.1", "--port", str(port)],
        cwd=ROOT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        while server.poll() is None and time.perf_counter() - start < 120:
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{port}", timeout=5).close()
                break
            except OSError:
                time.sleep(0.02)
        else:
            raise RuntimeError("the app did not start; python app.py --check says why")
        yield f"http://127.0.0.1:{port}"
    finally:
        server.terminate()
        server.wait(20)


def comparison(report: Callable[[str, float], None]) -> dict[str, float | None]:
    """CPU seconds of the comparison of the first act, children included, in two workers."""
    found: dict[str, float | None] = {}
    with tempfile.TemporaryDirectory() as first, tempfile.TemporaryDirectory() as second:
        report("compare with an empty home", 0.6)
        found["compare_empty_home"] = _compare(Path(first))
        kept = [teacher(DATA["digits"](split=split)).name for split in range(6)]
        for name in kept:
            source = Path(first) / "runs" / name
            if source.exists():  # one of them is shipped
                shutil.copytree(source, Path(second) / "runs" / name)
        report("compare with its teachers cached", 0.8)
        found["compare_teachers_cached"] = _compare(Path(second))
        report("compare with all cached", 0.95)
        found["compare_all_cached"] = _compare(Path(first))
    return found


def _compare(home: Path) -> float | None:
    try:
        import resource
    except ImportError:  # Windows does not say what children used
        return None

    def spent() -> float:
        used = resource.getrusage(resource.RUSAGE_CHILDREN)
        return used.ru_utime + used.ru_stime

    before = spent()
    subprocess.run(
        [sys.executable, "-m", "workbench", *COMPARE],
        cwd=ROOT,
        env=os.environ | {"WORKBENCH_HOME": str(home)},
        capture_output=True,
        check=True,
    )
    return round(spent() - before, 2)


# ------------------------------------------------------------------------------ in a browser


def first_act(rounds: int) -> float:
    """CPU seconds of the first act's 24 students with all that is recorded of them."""
    recipes = RECIPES["first-act"].recipes
    Run(recipes[-1].teachers[0]).drain()  # shipped, else trained before

    def once() -> float:
        return _cpu(lambda: Run(recipes, fresh=True).drain())

    return round(min(once() for _ in range(rounds)), 3)


def browser(
    rounds: int, report: Callable[[str, float], None] = lambda what, share: None
) -> dict[str, float | str | None]:
    """What a visitor waits for, in seconds; None where there is no browser, with the reason."""
    report("the first act in a browser", 0.98)
    nothing: dict[str, float | str | None] = dict.fromkeys(BROWSER)
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        return nothing | {"reason": "playwright is not installed"}
    names = ("chromium", "chromium-browser", "google-chrome", "chrome")
    binary = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, names)), None)
    if binary is None:
        return nothing | {"reason": "no Chromium is installed"}
    with _serving() as address, sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=binary, args=["--no-sandbox"])
        visits = [_visit(opened, address) for _ in range(rounds + 1)][1:]  # the first one warms
        opened.close()
    return {name: round(min(times), 4) for name, *times in zip(BROWSER, *visits, strict=True)}


def _visit(opened: Any, address: str) -> tuple[float, float, float]:
    """Page to first picture, click to first point, and the slider's median, of a new visitor."""
    context = opened.new_context(viewport={"width": 1280, "height": 800})
    page = context.new_page()
    start = time.perf_counter()
    page.goto(address, wait_until="commit")
    page.wait_for_selector(".soft-bars [data-bar]")
    first = time.perf_counter() - start
    page.wait_for_selector("#start-T")
    moved = page.evaluate(MOVES)
    page.wait_for_timeout(1000)  # the workers have imported torch
    point = page.evaluate(CLICK)
    context.close()
    return first, point / 1000, moved / 1000


#: Moves the slider sixty times, layout included: the median in milliseconds.
MOVES = """() => {
  const slider = document.querySelector('#start-T'), all = []
  for (let i = 0; i < 60; i++) {
    slider.value = 4 * i / 59
    const begun = performance.now()
    slider.dispatchEvent(new Event('input'))
    document.querySelector('.soft-bars').getBBox()
    all.push(performance.now() - begun)
  }
  return all.sort((a, b) => a - b)[30]
}"""
#: Skips the guess and waits for the first point of the curves: milliseconds.
CLICK = """() => new Promise((tell) => {
  const begun = performance.now()
  document.querySelector('[data-skip]').click()
  const look = () => +document.querySelector('#race')?.dataset.n > 0
    ? tell(performance.now() - begun) : requestAnimationFrame(look)
  look()
})"""


# ------------------------------------------------------------------------------------ shown


def rows(found: Mapping[str, Any]) -> list[list[str]]:
    """The measurements as a table with the goal beside each."""
    table = [["what", "measured", "goal", ""]]
    for name, ratio in found["ratios"].items():
        table.append(_row(name, ratio, "wall" if name in found["wall"] else "CPU"))
    for name, seconds in (found["cpu_seconds"] or {}).items():
        table.append(_row(name, seconds, "CPU seconds"))
    waited = dict(found.get("wall_seconds") or {})
    why = waited.pop("reason", "")
    for name, seconds in waited.items():
        table.append(_row(name, seconds, "seconds", f"not measured: {why}"))
    return table


def _row(
    name: str, value: float | None, unit: str, absent: str = "not measured on this system"
) -> list[str]:
    goal = GOALS[name]
    if value is None:
        return [name, "–", f"≤ {goal:g}", absent]
    if missed({name: value}):
        unit += ", missed"
    shown = f"{value:.4f}" if goal < 0.1 else f"{value:.2f}"
    return [name, shown, f"≤ {goal:g}", unit]


def outcome(found: Mapping[str, Any]) -> str:
    """What the table comes to, in a sentence."""
    return f"missed: {', '.join(found['missed'])}" if found["missed"] else "all goals met"
