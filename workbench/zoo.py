"""What the bug zoo costs, and the laws for mistakes that are not in the loss.

A loss has laws of its own (`check`). A comparison of layers must not care how channels are
numbered, and a training must leave the teacher alone and the student in train mode.
"""

from __future__ import annotations

import copy
import functools
from collections.abc import Callable, Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from workbench.base import Batch, Outputs
from workbench.check import reference
from workbench.data import DATA, Data
from workbench.engine import listen
from workbench.methods import METHODS
from workbench.models import MODELS
from workbench.recipe import teacher
from workbench.runs import Run
from workbench.specimens import Loss, Specimen, of

Report = Callable[[str, float], None]
Scores = dict[str, list[list[float]]]
#: What every comparison here has in common; the reader is told.
IMAGES, STEPS, RATE = 50, 300, 1e-2
#: Images of a whole training: with fifty, statistics of a batch hurt more than they help.
MANY = 500
#: Student and teacher of a training; of layers, which must be as wide as each other.
TRAINED, COMPARED = ("cnn-4", "cnn-8"), ("cnn-8", "cnn-8")


class Logits(nn.Module):
    """A network of ours as most people's are: it gives logits."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, x: Tensor) -> Tensor:
        """x (B, C, H, W) to logits (B, K)."""
        said: Outputs = self.network(x)
        return said.logits


# -------------------------------------------------------------------------------- their laws


def _teacher_rests(training: Callable[..., None]) -> str | None:
    """The teacher is what it was, to the last statistic."""
    student, taught, x, y = _pair()
    before = {k: v.clone() for k, v in taught.state_dict().items()}
    training(student, taught, x, y, steps=2, rate=RATE)
    moved = [k for k, v in taught.state_dict().items() if not torch.equal(v, before[k])]
    return f"the training moved the teacher's {moved[0]}" if moved else None


def _student_trains(training: Callable[..., None]) -> str | None:
    """At every step that moves a weight the student is in train mode."""
    student, taught, x, y = _pair()
    modes: list[bool] = []

    def note(network: nn.Module, _: Any, said: Tensor) -> None:
        mode = network.training
        if said.requires_grad:  # who only looks at the accuracy goes no way back
            said.register_hook(lambda slope: modes.append(mode))

    student.register_forward_hook(note)
    training(student, taught, x, y, steps=3, rate=RATE)
    late = [i for i, mode in enumerate(modes) if not mode]
    return f"in eval mode from step {late[0] + 1} on" if late else None


def _pair() -> tuple[Logits, Logits, Tensor, Tensor]:
    """A student and a teacher with batch normalisation, and a batch."""
    draw = torch.Generator().manual_seed(0)
    x, y = torch.rand(6, 1, 8, 8, generator=draw), torch.arange(6) % 10
    made = (Logits(MODELS[name]((1, 8, 8), 10, seed)) for seed, name in enumerate(TRAINED))
    student, taught = made
    return student, taught, x, y


def _channels(features: Callable[[Tensor, Tensor], Tensor]) -> str | None:
    """The student's channels in another order are the same maps."""
    f_s, f_t = _maps()
    once, turned = features(f_s, f_t), features(f_s.flip(-1), f_t)
    if torch.allclose(once, turned, rtol=1e-5):
        return None
    return f"{float(once):.6g}, with the student's channels in another order {float(turned):.6g}"


def _paper(features: Callable[[Tensor, Tensor], Tensor]) -> str | None:
    """On drawn numbers it is the formula of the method that it means to be."""
    right = next(one.right for one in of("features").values() if one.function is features)
    f_s, f_t = _maps()
    found, wanted = features(f_s, f_t), of_method(right, f_s, f_t)
    if torch.allclose(found, wanted, rtol=1e-4):
        return None
    return f"{float(found):.6g} where {right} gives {float(wanted):.6g}"


def of_method(name: str, f_s: Tensor, f_t: Tensor) -> Tensor:
    """What a method's comparison of layers adds to the loss, at its default weight."""
    grid = (4, 4) if f_s.shape[-2] == 16 else (8, 8)
    z, y = f_s.new_zeros(len(f_s), 2), torch.zeros(len(f_s), dtype=torch.int64)
    one, other = (Outputs(z, {"map": f}, {"map": grid}) for f in (f_s, f_t))
    terms = dict(METHODS[name]().loss(one, other, Batch(f_s, y), None))
    return sum((v for k, v in terms.items() if k != "labels"), z.new_zeros(()))


def _maps() -> tuple[Tensor, Tensor]:
    draw = torch.Generator().manual_seed(0)
    f_s, f_t = (torch.rand(6, 16, 5, generator=draw) for _ in range(2))
    return f_s, f_t


#: law -> what it says, and what says why a function breaks it.
LAWS: Mapping[str, tuple[str, Callable[[Callable[..., Any]], str | None]]] = {
    "teacher rests": ("A training leaves the teacher as it was.", _teacher_rests),
    "student trains": ("The student is in train mode at every step.", _student_trains),
    "channels": ("Attention does not depend on the order of channels.", _channels),
    "paper": ("On drawn numbers it is what its paper's formula gives.", _paper),
}


def broken(specimen: Specimen) -> dict[str, str]:
    """The laws of its kind that a specimen of layers or of training breaks, with the reason."""
    names = (
        ("channels", "paper")
        if specimen.kind == "features"
        else ("teacher rests", "student trains")
    )
    found = {name: LAWS[name][1](specimen.function) for name in names}
    return {name: why for name, why in found.items() if why}


# ------------------------------------------------------------------------- what they cost


def cost(
    report: Report = lambda what, share: None, splits: int = 6, seeds: int = 8, steps: int = STEPS
) -> Scores:
    """Test accuracies [split][seed] of students taught by the right loss and by each wrong one.

    The first 50 images, T = 8, alpha = 0.9, AdamW at 0.01 for all, full batches.
    """
    losses: dict[str, Loss] = {"distillation": reference}
    losses |= {name: specimen.loss for name, specimen in of("loss").items()}

    def score(name: str, data: Data, seed: int) -> float:
        x, y = _shown(data)
        student = Logits(MODELS["mlp-16"](data.shape, data.classes, seed))
        heard = listen(_taught(data), x).logits
        _descend(student, steps, lambda: losses[name](
            student(x), heard, y, temperature=8.0, alpha=0.9
        ))  # fmt: skip
        return _accuracy(student, data)

    return _scored(losses, score, report, splits, seeds)


def cost_of_training(
    report: Report = lambda what, share: None, splits: int = 6, seeds: int = 2, steps: int = STEPS
) -> Scores:
    """The same for whole trainings: 500 images, cnn-4 from cnn-8, T = 8, the teacher alone."""
    loops: dict[str, Callable[..., None]] = {"training": right_training}
    loops |= {name: specimen.function for name, specimen in of("training").items()}

    def score(name: str, data: Data, seed: int) -> float:
        x, y = _shown(data, MANY)
        student = Logits(MODELS[TRAINED[0]](data.shape, data.classes, seed))
        taught = Logits(copy.deepcopy(_taught(data, TRAINED[1])))
        loops[name](student, taught, x, y, steps=steps, rate=RATE)
        return _accuracy(student, data)

    return _scored(loops, score, report, splits, seeds)


def cost_of_features(
    report: Report = lambda what, share: None, splits: int = 6, seeds: int = 3, steps: int = STEPS
) -> Scores:
    """The same for comparisons of the last layers: cnn-8 from cnn-8, beside the labels."""
    wrong = of("features")
    right = dict.fromkeys(one.right for one in wrong.values())
    gaps = {name: lambda f_s, f_t, name=name: of_method(name, f_s, f_t) for name in right}
    gaps |= {name: specimen.function for name, specimen in wrong.items()}

    def score(name: str, data: Data, seed: int) -> float:
        x, y = _shown(data)
        student = MODELS[COMPARED[0]](data.shape, data.classes, seed)
        taught = listen(_taught(data, COMPARED[1]), x, features=True)

        def loss() -> Tensor:
            said = student(x, True)
            gap = gaps[name](said.features["stage3"], taught.features["stage3"])
            return F.cross_entropy(said.logits, y) + gap

        _descend(student, steps, loss)
        return _accuracy(Logits(student), data)

    return _scored(gaps, score, report, splits, seeds)


def right_training(
    student: nn.Module, teacher: nn.Module, x: Tensor, y: Tensor, *, steps: int, rate: float
) -> None:
    """The loop as it should be: the teacher in eval mode and asked once, the student trained."""
    teacher.eval()
    with torch.no_grad():
        p = F.softmax(teacher(x) / 8, -1)
    student.train()
    optimiser = torch.optim.AdamW(student.parameters(), rate)
    for _ in range(steps):
        loss = F.kl_div(F.log_softmax(student(x) / 8, -1), p, reduction="batchmean") * 64
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()


@functools.lru_cache(maxsize=1)  # every student of a split hears the same one
def _taught(data: Data, model: str = "mlp-256-256") -> nn.Module:
    return Run(teacher(data, model)).student()


def _shown(data: Data, images: int = IMAGES) -> tuple[Tensor, Tensor]:
    train = data.parts()["train"]
    return train.x[:images], train.y[:images]


def _descend(student: nn.Module, steps: int, loss: Callable[[], Tensor]) -> None:
    """The plain loop that everybody writes."""
    student.train()
    optimiser = torch.optim.AdamW(student.parameters(), lr=RATE, weight_decay=0.01)
    for _ in range(steps):
        optimiser.zero_grad()
        loss().backward()
        optimiser.step()


def _accuracy(student: Logits, data: Data) -> float:
    test = data.parts()["test"]
    return float((listen(student.network, test.x).logits.argmax(-1) == test.y).double().mean())


def _scored(
    kinds: Mapping[str, Any],
    score: Callable[[str, Data, int], float],
    report: Report,
    splits: int,
    seeds: int,
) -> Scores:
    found: Scores = {name: [] for name in kinds}
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # for so small a student two are slower
    try:
        for split in range(splits):
            data = DATA["digits"](split=split, images=IMAGES)
            for i, name in enumerate(kinds):
                report(name, (split + i / len(kinds)) / splits)
                found[name].append([score(name, data, seed) for seed in range(seeds)])
    finally:
        torch.set_num_threads(threads)
    return found
