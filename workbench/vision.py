"""The only door to torchvision, which may have been built for another torch than ours.

PyPI's torchvision for Linux is built against CUDA. Beside torch's CPU build its compiled part
does not load, and then `import torchvision` fails with "operator torchvision::nms does not exist",
because it registers a Python kernel for two operators that nobody declared. Declaring them is
enough for everything written in Python (models, weights, transforms); only the operators
themselves stay unusable, and nothing here uses them.
"""

from __future__ import annotations

import contextlib
import functools
import io
import socket
import sys
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from workbench.base import Trouble

if TYPE_CHECKING:
    from torch import Tensor
    from torch.utils.data import Dataset

#: The operators that torchvision expects its compiled part to have declared.
MISSING = (
    "nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
    "qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
)
_kept: list[Any] = []  # a Library that nobody holds takes its declarations with it


@functools.cache
def torchvision() -> ModuleType:
    """The module torchvision; ImportError with the remedy where it cannot be had."""
    try:
        import torchvision as found
    except RuntimeError as error:
        if "torchvision::" not in str(error):
            raise
        found = _declared()
    except ImportError as error:
        raise ImportError(
            f"torchvision is missing ({error}); run pip install torchvision"
        ) from None
    return found


def bridged() -> bool:
    """Whether it was built for another torch, so that its operators are declared here."""
    torchvision()
    return bool(_kept)


def _declared() -> ModuleType:
    """Import it once more, with the missing operators declared."""
    import importlib

    import torch

    for name in [name for name in sys.modules if name.split(".")[0] == "torchvision"]:
        del sys.modules[name]
    library = torch.library.Library("torchvision", "DEF")
    _kept.append(library)
    for operator in MISSING:
        try:
            library.define(operator)
        except RuntimeError:  # this one is there already
            continue
    return importlib.import_module("torchvision")


# ------------------------------------------------------------------------------ data sets


def download(name: str, folder: Path, asked: str) -> None:
    """Fetch a data set of torchvision's into a folder, with its bar where that is a terminal.

    `Trouble` says, for the data set `asked`, why that cannot be done.
    """
    before = socket.getdefaulttimeout()
    quiet = not sys.stderr.isatty()
    try:
        kind = getattr(torchvision().datasets, name)
        folder.mkdir(parents=True, exist_ok=True)
        socket.setdefaulttimeout(30)
        with contextlib.redirect_stderr(io.StringIO()) if quiet else contextlib.nullcontext():
            kind(root=str(folder), train=True, download=True)
    except Exception as error:  # of urllib, of sockets, of the disk, of a broken archive
        why = " ".join(str(error).split())[:200] or type(error).__name__
        raise Trouble(
            f"{asked}: is not on this machine and cannot be downloaded to {folder} ({why}); "
            "try again with a network, or take digits, which need none"
        ) from None
    finally:
        socket.setdefaulttimeout(before)


def pictures(name: str, folder: Path, train: bool, asked: str) -> tuple[Any, list[int]]:
    """Pixels (n, H, W, C) as bytes and labels of a part of a data set that torchvision unpickles.

    It does so only where every file has the checksum it knows.
    """
    try:
        found = getattr(torchvision().datasets, name)(root=str(folder), train=train)
    except Exception as error:
        why = " ".join(str(error).split())[:200] or type(error).__name__
        raise Trouble(
            f"{asked}: its files in {folder} are not those that were published ({why}); "
            "remove them, and they are fetched again"
        ) from None
    return found.data, list(found.targets)


def dataset(name: str, pixels: Tensor, labels: Tensor) -> Dataset[tuple[Tensor, Tensor]]:
    """torchvision's dataset of that name over pixels (n, H, W) that are in memory already.

    Each sample is opened as a picture, made a tensor and normalised, as in every tutorial.
    """
    door = torchvision()
    kind, transforms = getattr(door.datasets, name), door.transforms
    made: Any = kind.__new__(kind)
    made.data, made.targets, made.target_transform = pixels, labels, None
    made.transform = transforms.Compose(
        [transforms.ToTensor(), transforms.Normalize((0.0,), (1.0,))]
    )
    found: Dataset[tuple[Tensor, Tensor]] = made
    return found
