"""Many students in one pass, and a cached teacher: ours against one student by a plain loop."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import torch
from torch import Tensor, nn

from workbench.base import Outputs, Trouble
from workbench.bench import loops, plain
from workbench.bench.clock import Row, absent, cpu, ratio, training_flops, turns
from workbench.bench.loops import BATCH
from workbench.data import DATA
from workbench.engine import State, Teacher, begin, train
from workbench.methods import METHODS
from workbench.models import MODELS
from workbench.recipe import Recipe, teacher
from workbench.recipes import RECIPES
from workbench.runs import prepare

ROOT = Path(__file__).parent.parent.parent
#: So many images of Fashion-MNIST are enough to time a step.
IMAGES = 5120


def trained(state: State) -> float:
    """CPU seconds of training alone: nothing is prepared, evaluated or written."""
    for one in state.stacks:
        one.looks = {}
    return cpu(lambda: list(train(state)))


def one_pass(rounds: int, peak: float = 0.0) -> dict[str, Row]:
    """The first act's 24 students in one pass, against one student of a plain loop."""
    recipes = [recipe.but(events=1) for recipe in RECIPES["first-act"].recipes]
    first = recipes[0]
    found = turns(
        {
            "many": lambda: trained(prepare(recipes)),
            "one": lambda: loops.labels_only(first.steps, first.learning_rate),
        },
        rounds,
        warm=True,
    )
    student = nn.Sequential(nn.Linear(64, 16), nn.ReLU(), nn.Linear(16, 10))
    done = training_flops(student, torch.rand(50, 64)) * len(recipes) * first.steps
    share = of_peak(done, min(found["many"]), peak)
    return {"sweep24_over_one": ratio(found["many"], found["one"], of_peak=share)}


def of_peak(flops: float, seconds: float, peak: float) -> float | None:
    """The share of the machine's peak that so many operations in so many seconds are."""
    return flops / seconds / peak if peak else None


def cached(name: str, student: str, steps: int, rounds: int, peak: float) -> dict[str, Row]:
    """Distillation from cached answers against labels only, on the same batches of 64."""
    data = DATA["digits"]()
    labels = Recipe(student, data, batch_size=64, steps=steps, events=1)
    taught = labels.but(method=METHODS["kd"](), teachers=(teacher(data),))
    found = turns(
        {
            "kd": lambda: trained(prepare([taught])),
            "scratch": lambda: trained(prepare([labels])),
        },
        rounds,
        warm=True,
    )
    done = training_flops(MODELS[student](data.shape, 10), torch.rand(64, *data.shape)) * steps
    share = of_peak(done, min(found["kd"]), peak)
    return {f"kd_cached_over_scratch_{name}": ratio(found["kd"], found["scratch"], of_peak=share)}


def own_subsets(rounds: int, steps: int, peak: float) -> dict[str, Row]:
    """24 students on minibatches of their own subsets of the digits, against one plain one."""
    digits = DATA["digits"]
    kd = METHODS["kd"](temperature=8, alpha=1)
    base = Recipe(batch_size=64, steps=steps, events=1)
    recipes = [
        base.but(data=digits(images=200 + 30 * i), seed=i)
        if i % 2
        else base.but(
            data=digits(images=200 + 30 * i), seed=i, method=kd, teachers=(teacher(digits()),)
        )
        for i in range(24)
    ]
    part = digits().parts()["train"]
    x, y = part.x[:500].flatten(1), part.y[:500]

    def one() -> float:
        student = nn.Sequential(nn.Linear(64, 16), nn.ReLU(), nn.Linear(16, 10))
        return loops.from_memory(student, x, y, None, 64, steps)

    found = turns(
        {"many": lambda: trained(prepare(recipes)) / steps, "one": one}, rounds, warm=True
    )
    student = nn.Sequential(nn.Linear(64, 16), nn.ReLU(), nn.Linear(16, 10))
    share = of_peak(24 * training_flops(student, x[:64]), min(found["many"]), peak)
    note = "12 learn labels, 12 from a teacher, of 200 to 890 images each"
    return {"minibatch24_over_one": ratio(found["many"], found["one"], note, share)}


# --------------------------------------------------------------------------- on Fashion-MNIST


def images() -> tuple[Tensor, Tensor]:
    """The first images of Fashion-MNIST, in [0, 1], and their labels."""
    part = DATA["fashion-mnist"]().parts()["train"]
    return part.kept[:IMAGES].float() / 255, part.y[:IMAGES]


def missing() -> str:
    """Why there is nothing to measure on Fashion-MNIST; "" if it is here."""
    if DATA["fashion-mnist"].here():
        return ""
    return "Fashion-MNIST is not on this machine; any command with --data fashion-mnist gets it"


def begun(student: str, temperatures: Sequence[float], steps: int, seen: int = IMAGES) -> State:
    """Students of a teacher whose answers are there already: any answers, to time a step."""
    data = DATA["fashion-mnist"](images=seen)
    elder = teacher(data, "resnet-20")
    network = MODELS["resnet-20"].empty(data.shape, data.classes)
    said = torch.randn(seen, data.classes, generator=torch.Generator().manual_seed(0))
    taught = Teacher(network, Outputs(3 * said))
    base = Recipe(student, data, teachers=(elder,), batch_size=BATCH, steps=steps, events=1,
                  method=METHODS["kd"](), learning_rate=1e-3)  # fmt: skip
    recipes = [
        base.but(method=METHODS["kd"](temperature=each), seed=i)
        for i, each in enumerate(temperatures)
    ]
    return begin(recipes, {(elder, data.rows, data.split): taught}, device="cpu")


def shared(rounds: int, steps: int, peak: float) -> dict[str, Row]:
    """16 and 36 students of one minibatch, each with its own seed and temperature."""
    names = ("shared16_over_one", "shared36_over_one", "vmap16_over_ours", "vmap36_over_ours")
    if why := missing():
        return absent(names, why)
    x, y = images()
    said = 3 * torch.randn(len(x), 10)

    def many(n: int) -> float:
        return trained(begun("mlp-32", [1 + i / 4 for i in range(n)], steps)) / steps

    few = max(4, steps // 4)
    found = turns(
        {
            "one": lambda: loops.from_memory(plain.MLP(), x, y, said, BATCH, steps),
            "shared16": lambda: many(16),
            "shared36": lambda: many(36),
            "vmap16": lambda: loops.by_vmap(plain.MLP, 16, x, y, said, few),
            "vmap36": lambda: loops.by_vmap(plain.MLP, 36, x, y, said, few),
        },
        rounds,
        warm=True,
    )
    done = training_flops(plain.MLP(), x[:BATCH])
    rows = {}
    for n in (16, 36):
        ours, theirs = found[f"shared{n}"], found[f"vmap{n}"]
        share = of_peak(n * done, min(ours), peak)
        rows[f"shared{n}_over_one"] = ratio(ours, found["one"], of_peak=share)
        alone = f"{min(theirs) / min(found['one']):.1f} times one by a plain loop"
        rows[f"vmap{n}_over_ours"] = ratio(theirs, ours, alone)
    return rows


def four_cnns(rounds: int, steps: int, peak: float) -> dict[str, Row]:
    """Four CNN students in one pass, and as two processes, against one."""
    names = ("cnn4_over_one", "cnn4_two_processes_over_one")
    if why := missing():
        return absent(names, why)

    def ours(n: int) -> float:
        return trained(begun("lenet-8", [4.0 + i for i in range(n)], steps)) / steps

    found = turns({"four": lambda: ours(4), "one": lambda: ours(1)}, rounds, warm=True)
    done = 4 * training_flops(plain.LeNet(), torch.rand(BATCH, 1, 28, 28))
    share = of_peak(done, min(found["four"]), peak)
    with _processes(2) as both:
        asked = {
            "two": lambda: _waited(both, 2, steps),
            "one": lambda: _waited(both[:1], 1, steps),
        }
        waited = turns(asked, rounds, warm=True)
    return {
        names[0]: ratio(found["four"], found["one"], of_peak=share),
        names[1]: ratio(waited["two"], waited["one"]),
    }


#: One of several processes: for each line, makes students; trains them at the next one.
_PROCESS = """
import sys
import torch
from workbench.bench import students
torch.set_num_threads(1)
for line in sys.stdin:
    n, steps = map(int, line.split())
    state = students.begun("lenet-8", [4.0 + i for i in range(n)], steps)
    print("ready", flush=True)
    sys.stdin.readline()
    students.trained(state)
    print("done", flush=True)
"""


@contextmanager
def _processes(count: int) -> Iterator[list[subprocess.Popen[str]]]:
    """Processes that train when told to; gone afterwards, whatever happens."""
    words, pipe = [sys.executable, "-c", _PROCESS], subprocess.PIPE
    started = [
        subprocess.Popen(words, cwd=ROOT, text=True, bufsize=1, stdin=pipe, stdout=pipe)
        for _ in range(count)
    ]
    try:
        yield started
    finally:
        for one in started:
            one.kill()
            one.communicate()


def _waited(processes: Sequence[subprocess.Popen[str]], students: int, steps: int) -> float:
    """Wall time until each process has trained so many students."""
    _tell(processes, f"{students} {steps}")
    start = time.perf_counter()
    _tell(processes, "")
    return time.perf_counter() - start


def _tell(processes: Sequence[subprocess.Popen[str]], line: str) -> None:
    """A line to each, and wait until each has answered."""
    try:
        for one in processes:
            assert one.stdin
            one.stdin.write(f"{line}\n")
        answers = [one.stdout.readline() for one in processes if one.stdout]
    except OSError:  # it is gone, and so is its pipe
        answers = [""]
    if not all(answers):
        raise Trouble("a process that trains beside this one ended; is there memory for it?")
