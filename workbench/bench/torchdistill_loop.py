"""torchdistill's own training loop on what it is handed; runs in an environment of its own.

There it is `python -P -c "from workbench.bench.torchdistill_loop import main; main(folder)"`:
the folder's `given.npz` holds pixels, labels, the order of the samples and the weights that both
sides begin with; on standard output, JSON comes last. Only torch, numpy and torchvision are
imported besides torchdistill, because nothing else is installed there.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from workbench.bench import plain
from workbench.vision import dataset, torchvision


class Given:
    """A sampler that gives one epoch of an order after the other."""

    def __init__(self, order: np.ndarray) -> None:
        self.epochs = iter(order.tolist())
        self.size = order.shape[1]

    def __iter__(self) -> Iterator[int]:
        return iter(next(self.epochs))

    def __len__(self) -> int:
        return self.size


def settings(order: np.ndarray, batch: int, rate: float) -> dict[str, Any]:
    """The training as torchdistill's YAML files describe one: our `kd` at its defaults."""
    both = {"student_module_path": ".", "student_module_io": "output",
            "teacher_module_path": ".", "teacher_module_io": "output"}  # fmt: skip
    loss = {"key": "KDLoss", "kwargs": both | {"temperature": 4.0, "alpha": 0.1, "beta": 0.9}}
    return {
        "num_epochs": len(order),
        "train_data_loader": {
            "dataset_id": "train",
            "sampler": {"class_or_func": lambda _: Given(order)},
            "kwargs": {"batch_size": batch, "num_workers": 0},
        },
        "teacher": {"requires_grad": False, "forward_proc": "forward_batch_only"},
        "student": {"forward_proc": "forward_batch_only"},
        "criterion": {
            "key": "WeightedSumLoss",
            "kwargs": {"sub_terms": {"kd": {"criterion": loss, "weight": 1.0}}},
        },
        "optimizer": {"key": "AdamW", "kwargs": {"lr": rate, "weight_decay": 0.01}},
    }


def network(name: str, role: str, given: Mapping[str, np.ndarray]) -> torch.nn.Module:
    """A plain network with the weights that were handed over for its role."""
    start = f"{role}."
    state = {
        k.removeprefix(start): torch.from_numpy(given[k]) for k in given if k.startswith(start)
    }
    return plain.network(name, state)


def train(box: Any, teacher: torch.nn.Module) -> float:
    """The loop of torchdistill's examples: CPU seconds of all epochs."""
    teacher.eval()
    begun = time.process_time()
    for epoch in range(box.num_epochs):
        box.pre_epoch_process(epoch=epoch)
        for x, y, supplement in box.train_data_loader:
            loss = box.forward_process(x, y, supplement)
            box.post_forward_process(loss)
            loss.item()  # its logger reads it every step
        box.post_epoch_process()
    return time.process_time() - begun


def main(folder: str) -> None:
    """Train on what lies in a folder, and print what came of it."""
    torch.set_num_threads(1)
    torchvision()  # declared first where it was built for another torch
    import torchdistill
    from torchdistill.core.distillation import get_distillation_box

    given = dict(np.load(Path(folder) / "given.npz", allow_pickle=False))
    pixels, labels, x, y = (
        torch.from_numpy(given[k]) for k in ("pixels", "labels", "test_pixels", "test_labels")
    )
    student = network(str(given["student"]), "student", given)
    teacher = network("resnet-20", "teacher", given)
    config = settings(given["order"], int(given["batch"]), float(given["rate"]))
    data = {"train": dataset("FashionMNIST", pixels, labels)}
    box = get_distillation_box(teacher, student, data, config, torch.device("cpu"), None, False, 1)
    seconds = train(box, teacher)
    found = {
        "seconds": seconds,
        "accuracy": plain.accuracy(student, _numbers(x), y),
        "torch": torch.__version__,
        "torchdistill": torchdistill.__version__,
    }
    sys.stdout.write("\n" + json.dumps(found) + "\n")


def _numbers(pixels: Tensor) -> Tensor:
    return pixels.unsqueeze(1).float() / 255
