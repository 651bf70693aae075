"""What takes processes of its own: imports, the app's start, and a whole comparison."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median

from workbench.bench.clock import Row, ratio, seconds, turns
from workbench.data import DATA
from workbench.recipe import teacher

ROOT = Path(__file__).parent.parent.parent
COMPARE = ["compare", "scratch", "kd:temperature=8,alpha=1", "--data", "digits", "--images", "50",
           "--splits", "6", "--seeds", "8", "--json"]  # fmt: skip


def _python(program: str) -> list[float]:
    """The numbers that a fresh interpreter prints."""
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True
    )
    return [float(word) for word in done.stdout.split()]


def imports(rounds: int) -> dict[str, Row]:
    """`import workbench` with all its public names, on top of `import torch`."""
    program = (
        "from time import process_time as now; a = now(); import torch; b = now(); "
        "import workbench; [getattr(workbench, n) for n in workbench.__all__]; "
        "print(b - a, now() - b)"
    )
    times = [_python(program) for _ in range(rounds)]
    first, more = (min(column) for column in zip(*times, strict=True))
    each = [(a + b) / a for a, b in times]
    spread = (median(each), min(each), max(each))
    return {"import_workbench_over_torch": Row((first + more) / first, spread, rounds)}


def first_point(rounds: int) -> dict[str, Row]:
    """CPU seconds from `import torch, gradio` until the first act's curves have a point."""
    program = (
        "import torch, gradio; torch.set_num_threads(1); from time import process_time as now; "
        "from workbench import RECIPES, Run, charts; "
        "run = Run(RECIPES['first-act'].recipes, fresh=True); "
        "point = next(event for event in run if event.step > 0); print(now())"
    )
    return {"first_point": seconds([_python(program)[0] for _ in range(rounds)])}


def app(rounds: int) -> dict[str, Row]:
    """Until the app's server answers, against `import torch, gradio` alone; wall time."""
    found = turns({"app": _up, "imports": _imported}, rounds)
    return {"app_up_over_imports": ratio(found["app"], found["imports"])}


def _imported() -> float:
    start = time.perf_counter()
    _python("import torch, gradio")
    return time.perf_counter() - start


def _up() -> float:
    start = time.perf_counter()
    with serving():
        return time.perf_counter() - start


@contextmanager
def serving() -> Iterator[str]:
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


def comparison() -> dict[str, Row]:
    """CPU seconds of the comparison of the first act, children included, in two workers."""
    found: dict[str, Row] = {}
    with tempfile.TemporaryDirectory() as first, tempfile.TemporaryDirectory() as second:
        found["compare_empty_home"] = _compare(Path(first))
        kept = [teacher(DATA["digits"](split=split)).name for split in range(6)]
        for name in kept:
            source = Path(first) / "runs" / name
            if source.exists():  # one of them is shipped
                shutil.copytree(source, Path(second) / "runs" / name)
        found["compare_teachers_cached"] = _compare(Path(second))
        found["compare_all_cached"] = _compare(Path(first))
    return found


def _compare(home: Path) -> Row:
    try:
        import resource
    except ImportError:  # Windows does not say what children used
        return Row(None, note="not measured on this system")

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
    return Row(spent() - before, rounds=1)
