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
    looks: list[Callable[[], str]] = [
        _python, _gradio, _torchvision, _home, _digits, _shipped, lambda: _port(port), _training,
        _machine,
    ]  # fmt: skip
    wrong = 0
    for name, look in zip(words.LOOKS, looks, strict=True):
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                line, mark = look(), words.IN_ORDER
        except Exception as error:  # whatever it is, a line must say so
            known = isinstance(error, (Amiss, BadInput, Trouble, ImportError))
            line, mark = f"{error}" if known else f"{type(error).__name__}: {error}", words.AMISS
            wrong += 1
        print(f"{mark} {name:13}{line}", flush=True)
    print(words.CHECKED if not wrong else words.not_all(wrong), flush=True)
    return 1 if wrong else 0


def _python() -> str:
    import torch

    if tuple(sys.version_info) < (3, 11):
        raise Amiss(words.OLD_PYTHON.format(platform.python_version()))
    return words.PYTHON.format(platform.python_version(), torch.__version__)


def _gradio() -> str:
    import gradio

    if tuple(int(part) for part in gradio.__version__.split(".")[:2]) < (6, 31):
        raise Amiss(words.OLD_GRADIO.format(gradio.__version__))
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
        raise Amiss(words.NO_ROOM.format(folder, room))
    return words.ROOM.format(folder, room / 1000)


def _digits() -> str:
    from workbench.data import DATA

    parts = DATA["digits"]().parts()
    return ", ".join(f"{len(part)} {name}" for name, part in parts.items())


def _shipped() -> str:
    from workbench import assets

    if found := assets.unsound():
        raise Amiss(words.UNSOUND.format(found[0]))
    return words.SOUND.format(len(assets.shipped()))


def _port(port: int) -> str:
    from workbench.ui._serve import free

    if not free("127.0.0.1", port):
        raise Amiss(words.port_taken(port))
    return words.FREE_PORT.format(port)


def _training() -> str:
    """A worker's process trains two steps in a home of its own."""
    from workbench.methods import METHODS
    from workbench.models import MODELS

    _ = METHODS.found, MODELS.found  # a broken file is named, before a worker stumbles over it
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
        last = (done.stderr.strip() or words.NO_REASON).splitlines()[-1]
        raise Amiss(words.NO_WORKER.format(last))
    return words.WORKER.format(float(done.stdout))


def _machine() -> str:
    cores = os.cpu_count() or 1
    memory = _memory()
    if memory is not None and memory < MEMORY:
        raise Amiss(words.NO_MEMORY.format(memory))
    said = words.CORES.format(cores)
    return said if memory is None else said + words.MEMORY.format(memory / 1000)


def _memory() -> float | None:
    """Megabytes that are free; None where the system does not say."""
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
    except OSError:
        return None
    found = [line.split()[1] for line in lines if line.startswith("MemAvailable")]
    return int(found[0]) / 1000 if found else None
