"""`python app.py --check`: whether all is in order on this machine, a line for each thing."""

from __future__ import annotations

import importlib
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Callable
from pathlib import Path

from workbench import words
from workbench.base import BadInput, Trouble

#: Megabytes of disk and memory below which a class would run into trouble.
DISK, MEMORY = 500, 1500


class Amiss(Exception):
    """Something is not in order: what, and the remedy."""


def check(port: int) -> int:
    """Print a line for each thing; 0 if all are in order."""
    looks: dict[str, Callable[[], str]] = {
        "python": _python,
        "gradio": _gradio,
        "torchvision": _torchvision,
        "home": _home,
        "digits": _digits,
        "shipped runs": _shipped,
        "port": lambda: _port(port),
        "training": _training,
        "machine": _machine,
    }
    wrong = 0
    for name, look in looks.items():
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                line, mark = look(), "ok "
        except Exception as error:  # whatever it is, a line must say so
            known = isinstance(error, (Amiss, BadInput, Trouble, ImportError))
            line, mark = f"{error}" if known else f"{type(error).__name__}: {error}", "BAD"
            wrong += 1
        print(f"{mark} {name:13}{line}", flush=True)
    print(words.CHECKED if not wrong else words.not_all(wrong), flush=True)
    return 1 if wrong else 0


def _python() -> str:
    import torch

    if tuple(sys.version_info) < (3, 11):
        raise Amiss(f"Python {platform.python_version()}; install 3.11 or later")
    return f"{platform.python_version()}, torch {torch.__version__}"


def _gradio() -> str:
    import gradio

    if tuple(int(part) for part in gradio.__version__.split(".")[:2]) < (6, 31):
        raise Amiss(f"{gradio.__version__}; run pip install 'gradio>=6.31,<7'")
    return str(gradio.__version__)


def _torchvision() -> str:
    import torch

    from workbench.vision import bridged, torchvision

    found = torchvision()
    importlib.import_module("torchvision.models")  # what is used of it
    if bridged():
        return words.BRIDGED.format(found.__version__, torch.__version__)
    return str(found.__version__)


def _home() -> str:
    from workbench.runs import usable_home

    folder = usable_home()
    room = shutil.disk_usage(folder).free / 1e6
    if room < DISK:
        raise Amiss(f"{folder} has {room:.0f} MB left; make room, or set WORKBENCH_HOME elsewhere")
    return f"{folder}, {room / 1000:.0f} GB free"


def _digits() -> str:
    from workbench.data import DATA

    parts = DATA["digits"]().parts()
    return ", ".join(f"{len(part)} {name}" for name, part in parts.items())


def _shipped() -> str:
    from workbench import assets

    if found := assets.unsound():
        raise Amiss(f"{found[0]}; make them anew with python -m workbench.assets")
    return f"{len(assets.shipped())} are sound"


def _port(port: int) -> str:
    from workbench.ui._serve import free

    if not free("127.0.0.1", port):
        raise Amiss(words.port_taken(port))
    return f"{port} is free"


def _training() -> str:
    """A worker's process trains two steps in a home of its own."""
    program = (
        "import time; t = time.time(); from workbench.recipe import Recipe; "
        "from workbench.runs import Run; r = Run(Recipe(steps=2, events=1)).drain(); "
        "assert r.status.status == 'done'; print(time.time() - t)"
    )
    with tempfile.TemporaryDirectory() as home:
        done = subprocess.run(
            [sys.executable, "-c", program],
            env=os.environ | {"WORKBENCH_HOME": home, "OMP_NUM_THREADS": "1"},
            cwd=Path(__file__).parents[2],
            capture_output=True,
            text=True,
            timeout=120,
        )
    if done.returncode:
        last = (done.stderr.strip() or "no reason given").splitlines()[-1]
        raise Amiss(f"a worker could not train ({last}); run pip install -r requirements.txt")
    return f"a worker trains, ready after {float(done.stdout):.1f} s"


def _machine() -> str:
    cores = os.cpu_count() or 1
    memory = _memory()
    if memory is not None and memory < MEMORY:
        raise Amiss(f"{memory:.0f} MB of memory left; close other programs")
    said = "" if memory is None else f", {memory / 1000:.1f} GB of memory free"
    return f"{cores} cores{said}"


def _memory() -> float | None:
    """Megabytes that are free; None where the system does not say."""
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
    except OSError:
        return None
    found = [line.split()[1] for line in lines if line.startswith("MemAvailable")]
    return int(found[0]) / 1000 if found else None
