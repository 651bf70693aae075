"""The only door to torchvision, which may have been built for another torch than ours.

PyPI's torchvision for Linux is built against CUDA. Beside torch's CPU build its compiled part
does not load, and then `import torchvision` fails with "operator torchvision::nms does not exist",
because it registers a Python kernel for two operators that nobody declared. Declaring them is
enough for everything written in Python (models, weights, transforms); only the operators
themselves stay unusable, and nothing here uses them.
"""

from __future__ import annotations

import functools
from types import ModuleType
from typing import Any

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
    import sys

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
