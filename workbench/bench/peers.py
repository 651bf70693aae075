"""torchdistill's own loop beside ours: same images in the same order, weights, loss, optimiser.

It lives in a virtual environment that is made here, once, in `peers/` of the home, with the torch
that runs here; what it needs is handed over as one file of arrays.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
import venv
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from workbench.base import Trouble
from workbench.bench.clock import Row, absent, cpu, ratio
from workbench.bench.loops import BATCH
from workbench.bench.students import IMAGES, missing, trained
from workbench.data import DATA, Data
from workbench.engine import State, Teacher, Transfer, begin, listen
from workbench.methods import METHODS
from workbench.models import MODELS
from workbench.recipe import Recipe, teacher
from workbench.runs import home, prepare

ROOT = Path(__file__).parent.parent.parent
PEER = "torchdistill"
EPOCHS, RATE, TESTS = 5, 3e-3, 2000
#: Steps of the teacher, enough to be right about four times of five.
TAUGHT = 120
STUDENTS = {"cnn": "lenet-8", "mlp": "mlp-32"}
NAMES = [f"{PEER}_{how}_{kind}" for how in ("over_ours", "cached_inside") for kind in STUDENTS]
Report = Callable[[str, float], None]


def environment(report: Report = lambda what, share: None) -> Path:
    """The Python of torchdistill's environment, made first if need be; `Trouble` if it cannot.

    It is whole or it is not there: a file written last says so, whatever ended the making.
    """
    version = torch.__version__.split("+")[0]
    folder = home() / "peers" / f"{PEER}-torch-{version}"
    python = folder / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")
    if (folder / "whole").exists():
        return python
    report(f"an environment for {PEER}", 0.0)
    shutil.rmtree(folder, ignore_errors=True)
    try:
        venv.create(folder, with_pip=True)
        words = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        done = subprocess.run(
            [python, *words, f"torch=={version}", PEER], capture_output=True, text=True
        )
        if done.returncode:
            lines = [line for line in done.stderr.splitlines() if "ERROR" in line]
            raise Trouble(f"pip could not install {PEER}: {(lines or ['no reason given'])[-1]}")
        (folder / "whole").write_text("")
    except (OSError, subprocess.CalledProcessError) as error:
        shutil.rmtree(folder, ignore_errors=True)
        raise Trouble(f"no environment could be made for {PEER} ({error})") from None
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    return python


def against(python: Path, rounds: int, report: Report) -> dict[str, Row]:
    """The rows of both students."""
    if why := missing():
        return absent(NAMES, why)
    report(f"a teacher for {PEER} and for ours", 0.1)
    data = DATA["fashion-mnist"](images=IMAGES)
    elder = teacher(data, "resnet-20").but(steps=TAUGHT, events=1)
    state = prepare([elder])
    trained(state)
    network = state.network(0).eval()
    rows: dict[str, Row] = {}
    try:
        for i, (kind, student) in enumerate(STUDENTS.items()):
            report(f"{PEER} and ours, {student}", 0.3 + 0.35 * i)
            rows |= _measured(kind, python, Race(student, data, elder, network), rounds)
    except Trouble as error:
        return rows | absent([name for name in NAMES if name not in rows], str(error))
    return {name: rows[name] for name in NAMES}


class Race:
    """What both sides are given: a student to begin with, a trained teacher, images, an order."""

    def __init__(self, student: str, data: Data, elder: Recipe, network: nn.Module) -> None:
        self.student, self.data, self.elder, self.network = student, data, elder, network
        self.steps = EPOCHS * (IMAGES // BATCH)
        part, test = (data.parts()[name] for name in ("train", "test"))
        self.pixels, self.labels = part.kept[:IMAGES], part.y[:IMAGES]
        self.tests = test.kept[:TESTS], test.y[:TESTS]

    def begun(self, said: Teacher) -> State:
        """Our training before its first step."""
        recipe = Recipe(
            self.student, self.data, METHODS["kd"](), (self.elder,), learning_rate=RATE,
            steps=self.steps, batch_size=BATCH, events=1,
        )  # fmt: skip
        key = (self.elder, self.data.rows, self.data.split)
        return begin([recipe], {key: said}, device="cpu")

    def ours(self) -> dict[str, float]:
        """CPU seconds of collecting the teacher's answers, of training, and the accuracy."""
        said: list[Teacher] = []
        collecting = cpu(
            lambda: said.append(Teacher(self.network, listen(self.network, self.pixels)))
        )
        state = self.begun(said[0])
        training = trained(state)
        x, y = self.tests
        right = listen(state.network(0), x).logits.argmax(-1) == y
        return {
            "collecting": collecting,
            "seconds": training,
            "accuracy": float(right.double().mean()),
        }

    def order(self) -> Tensor:
        """Which images each of our epochs shows, in order: (epochs, images)."""
        feed = self.begun(Teacher(self.network, _silence(self.data))).stacks[0].feed
        assert isinstance(feed, Transfer)
        found = []
        for step in range(self.steps):
            index = feed.batch(step).index
            assert index is not None
            found.append(index.clone())
        return torch.cat(found).view(EPOCHS, -1)

    def hand_over(self, folder: Path) -> None:
        """Everything as arrays in one file."""
        begun = MODELS[self.student](self.data.shape, self.data.classes, 0).state_dict()
        state = {f"student.{k}": v.numpy() for k, v in begun.items()}
        state |= {f"teacher.{k}": v.numpy() for k, v in self.network.state_dict().items()}
        x, y = self.tests
        given: dict[str, Any] = {
            "pixels": self.pixels.squeeze(1).numpy(), "labels": self.labels.numpy(),
            "test_pixels": x.squeeze(1).numpy(), "test_labels": y.numpy(),
            "order": self.order().numpy(), "student": np.array(self.student),
            "batch": np.array(BATCH), "rate": np.array(RATE),
        }  # fmt: skip
        np.savez(folder / "given.npz", **given, **state)


def _silence(data: Data) -> Any:
    """Answers that say nothing, where only the order of the images is asked."""
    from workbench.base import Outputs

    return Outputs(torch.zeros(IMAGES, data.classes))


def _measured(kind: str, python: Path, race: Race, rounds: int) -> dict[str, Row]:
    theirs, ours = [], []
    with tempfile.TemporaryDirectory() as folder:
        race.hand_over(Path(folder))
        for _ in range(rounds):
            theirs.append(_asked(python, Path(folder)))
            ours.append(race.ours())
    peer = [one["seconds"] for one in theirs]
    alone = [one["seconds"] for one in ours]
    whole = [one["seconds"] + one["collecting"] for one in ours]
    last = theirs[-1]
    note = (
        f"right: {100 * last['accuracy']:.1f} % by torchdistill {last['torchdistill']}, "
        f"{100 * ours[-1]['accuracy']:.1f} % by ours; {race.steps} batches of {BATCH}"
    )
    return {
        f"{PEER}_over_ours_{kind}": ratio(peer, alone, note),
        f"{PEER}_cached_inside_{kind}": ratio(peer, whole, f"{EPOCHS} epochs"),
    }


def _asked(python: Path, folder: Path) -> dict[str, Any]:
    """What torchdistill's process says."""
    program = "import sys; from workbench.bench.torchdistill_loop import main; main(sys.argv[1])"
    done = subprocess.run(
        [python, "-c", program, str(folder)], cwd=ROOT, capture_output=True, text=True
    )
    if done.returncode:
        why = (done.stderr.strip().splitlines() or ["no reason given"])[-1]
        raise Trouble(f"{PEER}'s process failed ({why})")
    found: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    return found
