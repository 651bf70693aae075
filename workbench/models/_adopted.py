"""Networks that are not ours, by name: your own, and torchvision's.

    package.module:factory                     what factory() gives
    package.module:factory@file.safetensors    the same, with these weights
    torchvision:resnet18                       a classifier of torchvision, untrained
    torchvision:resnet18@DEFAULT               with weights that torchvision downloads
    torchvision:resnet18@file.safetensors      with weights of your own

A name is only text until a network is built: a recipe that is read, shown or hashed runs nobody's
code. Weights of a file are read as safetensors, which can hold nothing but numbers. A recipe adds
`#` and the beginning of a SHA-256 to both parts of the name, that of the module's file and that of
the weights', so that other code or other weights are another recipe. (What a module imports is
not looked at.)
"""

from __future__ import annotations

import difflib
import hashlib
import importlib
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from workbench.base import BadInput, Outputs
from workbench.models._network import Network

TORCHVISION = "torchvision"
#: What torchvision's weights expect of a picture in [0, 1].
MEAN, DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
NAME = re.compile(
    r"(?P<module>[\w./-]+):(?P<factory>\w+)(#(?P<code>[0-9a-f]{12}))?"
    r"(@(?P<weights>.+?)(#(?P<sum>[0-9a-f]{12}))?)?"
)


def named(name: str) -> tuple[str, Mapping[str, Any]] | None:
    """The whole name of an adopted network and its options; None if a name is none of such."""
    if not (found := NAME.fullmatch(name)):
        return None
    options = found.groupdict()
    file = Path(options["weights"] or "")
    if options["weights"] and options["sum"] is None and file.suffix and file.is_file():
        options["sum"] = _sum(file)
    if options["code"] is None and (code := _file(options["module"])):
        options["code"] = _sum(code)
    name = f"{options['module']}:{options['factory']}"
    name += f"#{options['code']}" if options["code"] else ""
    name += f"@{options['weights']}" if options["weights"] else ""
    return name + (f"#{options['sum']}" if options["sum"] else ""), options


def _file(module: str) -> Path | None:
    """Where a module's code lies, without running any: torchvision's is not somebody's own."""
    if module == TORCHVISION or not all(part.isidentifier() for part in module.split(".")):
        return None
    inside = Path(*module.split("."))
    for place in sys.path:
        for file in (inside.with_suffix(".py"), inside / "__init__.py"):
            if (Path(place) / file).is_file():
                return Path(place) / file
    return None


def _sum(file: Path) -> str:
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()[:12]


class Adopted(Network):
    """Somebody else's network: it trains alone, since its weights have no leading axis.

    Its features are what its parts (the children of the module) give, by their names, where that
    is a tensor (B, D), (B, P, D) or a map (B, C, H, W); the logits are none of them.

    Shapes: x (B, *shape) to logits (B, K); features (B, P, D), maps with their grids.
    """

    STACKABLE: ClassVar[bool] = False
    MAPS: ClassVar[bool] = True

    def __init__(
        self,
        shape: tuple[int, ...],
        classes: int,
        lead: tuple[int, ...],
        module: str,
        factory: str,
        code: str | None,
        weights: str | None,
        sum: str | None,
    ) -> None:
        super().__init__(shape, classes, lead)
        self.options = {"module": module, "factory": factory, "code": code,
                        "weights": weights, "sum": sum}  # fmt: skip
        self.name = f"{module}:{factory}"
        self.network = self._make(0)

    def _make(self, seed: int) -> nn.Module:
        module, factory = self.options["module"], self.options["factory"]
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            if module == TORCHVISION:
                return _builder(factory)(self.classes)
            file, code = _file(module), self.options["code"]
            if code and file and _sum(file) != code:
                raise BadInput(
                    f"{self.name}: {file} is not the code of this recipe ({code}…): it was "
                    f"changed since; train anew, with --student {self.name}"
                )
            return _own(self.name, _found(self.name, module, factory))

    def initialise(self, seeds: Sequence[int]) -> None:
        """As its factory draws, under the seed; then the weights of its name; then it is tried."""
        (seed,) = seeds
        self.network = self._make(seed)
        if self.options["weights"] is not None:
            _load(self.name, self.network, self._weights(), self.options["module"] == TORCHVISION)
        said = self._tried()
        if said.shape != (2, self.classes):
            raise BadInput(
                f"{self.name}: gives logits {tuple(said.shape)} for 2 samples: expected "
                f"(2, {self.classes}), because the data have {self.classes} classes"
            )

    def _weights(self) -> Mapping[str, Tensor]:
        source = self.options["weights"]
        if self.options["module"] == TORCHVISION and not Path(source).suffix:
            return _downloaded(self.options["factory"], source)
        return _read(self.name, Path(source), self.options["sum"])

    @torch.no_grad()
    def _tried(self) -> Tensor:
        training = self.training
        try:
            return self.eval()(torch.zeros(2, *self.shape)).logits
        except BadInput:
            raise
        except Exception as error:  # whoever's network it is may raise anything
            raise BadInput(
                f"{self.name}: does not take samples {self.shape} ({_why(error)}); "
                "expected a network for this data"
            ) from error
        finally:
            self.train(training)

    @classmethod
    def teaching(cls, options: Mapping[str, Any]) -> Mapping[str, Any]:
        """Weights of one's own teach as they are; torchvision's know other classes, and learn."""
        if options["weights"] is not None and options["module"] != TORCHVISION:
            return {"steps": 0, "events": 1}
        return {**cls.TEACHING, "learning_rate": 1e-3, "steps": 200}

    def forward(self, x: Tensor, features: bool = False) -> Outputs:
        """Logits, and what the parts gave when asked for."""
        if self.options["module"] == TORCHVISION:
            x = _as_torchvision(x)
        caught: dict[str, Tensor] = {}
        hooks = self._listen(caught) if features else []
        try:
            logits = _logits(self.name, self.network(x))
        finally:
            for hook in hooks:
                hook.remove()
        kept = {k: v for k, v in caught.items() if v is not logits and len(v) == len(x)}
        grids = {k: (v.shape[2], v.shape[3]) for k, v in kept.items() if v.ndim == 4}
        return Outputs(logits, {k: _positions(v) for k, v in kept.items()}, grids)

    def _listen(self, caught: dict[str, Tensor]) -> list[Any]:
        whole = self.network
        while len(children := dict(whole.named_children())) == 1:
            (whole,) = children.values()  # a wrapper round the parts

        def catch(name: str) -> Callable[..., None]:
            def hook(module: nn.Module, given: Any, gives: Any) -> None:
                if isinstance(gives, Tensor) and 2 <= gives.ndim <= 4:
                    caught[name] = gives

            return hook

        return [part.register_forward_hook(catch(name)) for name, part in children.items()]

    def classify(self, embedding: Tensor) -> Tensor:
        """Its last part, if that is one linear layer: embedding (B, D) to logits (B, K)."""
        last = [module for module in self.network.modules() if not list(module.children())][-1]
        if not isinstance(last, nn.Linear):
            raise BadInput(f"{self.name}: its last part is no linear layer, and has no classifier")
        found: Tensor = last(embedding)
        return found


# ------------------------------------------------------------------------------------ your own


def _found(name: str, module: str, factory: str) -> Callable[[], object]:
    """The callable that a name means; `BadInput` if module or name are not there."""
    try:
        home = importlib.import_module(module)
    except ModuleNotFoundError as error:
        if not module.startswith(error.name or "?"):
            raise BadInput(f"{name}: {module} needs {error.name}, which is missing") from error
        stem = module.removesuffix(".py").replace("/", ".")
        hint = f"; did you mean {stem}:{factory}?" if stem != module else ""
        raise BadInput(
            f"{name}: no module {module!r} in this folder or on PYTHONPATH{hint}"
        ) from None
    except Exception as error:  # somebody's file may do anything
        raise BadInput(f"{name}: {module} cannot be imported ({_why(error)})") from error
    if not hasattr(home, factory):
        raise BadInput(f"{name}: {module} has no name {factory!r}{_near(factory, _names(home))}")
    made = getattr(home, factory)
    if not callable(made):
        raise BadInput(f"{name}: {factory} is {type(made).__name__}: expected a function that "
                       "gives an nn.Module")  # fmt: skip
    found: Callable[[], object] = made
    return found


def _own(name: str, factory: Callable[[], object]) -> nn.Module:
    """What a factory gives; `BadInput` unless that is a network."""
    try:
        made = factory()
    except Exception as error:
        raise BadInput(
            f"{name}: fails when it is called without arguments ({_why(error)})"
        ) from error
    if not isinstance(made, nn.Module):
        raise BadInput(f"{name}: gives {type(made).__name__}: expected an nn.Module")
    return made


def _names(module: ModuleType) -> list[str]:
    return [name for name in vars(module) if not name.startswith("_")]


def _near(name: str, known: Sequence[str]) -> str:
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    return f"; did you mean {near[0]!r}?" if near else ""


def _why(error: BaseException) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"


def _logits(name: str, said: Any) -> Tensor:
    logits = said if isinstance(said, Tensor) else getattr(said, "logits", None)
    if not isinstance(logits, Tensor):
        raise BadInput(
            f"{name}: answers with {type(said).__name__}: expected a tensor of logits (B, K) or "
            "an object with .logits"
        )
    return logits


def _positions(value: Tensor) -> Tensor:
    """(B, C, H, W) to (B, H·W, C); (B, P, D) as it is; (B, D) to (B, 1, D)."""
    if value.ndim == 4:
        return value.flatten(2).transpose(-1, -2)
    return value.unsqueeze(-2) if value.ndim == 2 else value


# ------------------------------------------------------------------------------------- weights


def _read(name: str, file: Path, digest: str | None) -> Mapping[str, Tensor]:
    """The tensors of a safetensors file; `BadInput` for any other, which is never opened."""
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    if file.suffix != ".safetensors":
        raise BadInput(
            f"{name}@{file}: weights are read from safetensors only, since other files can run "
            "code; convert them with safetensors.torch.save_file(model.state_dict(), …)"
        )
    if not file.is_file():
        raise BadInput(f"{name}@{file}: no such file")
    if digest is not None and digest != _sum(file):
        raise BadInput(f"{name}@{file}: other weights than the recipe's ({digest}…)")
    try:
        return load_file(file)
    except SafetensorError as error:
        raise BadInput(f"{name}@{file}: not a safetensors file ({error})") from None


def _load(
    name: str, network: nn.Module, weights: Mapping[str, Tensor], other_classes: bool
) -> None:
    """Every weight by name and shape. The last layer may begin anew where the classes differ."""
    own = network.state_dict()
    given = dict(weights)
    last = [key for key, part in network.named_modules() if isinstance(part, nn.Linear)][-1:]
    if other_classes and last and given.get(f"{last[0]}.weight", own[f"{last[0]}.weight"]).shape \
            != own[f"{last[0]}.weight"].shape:  # fmt: skip
        given |= {key: own[key] for key in own if key.startswith(f"{last[0]}.")}
    wrong = {
        "lacks": [key for key in own if key not in given and "num_batches" not in key],
        "does not know": [key for key in given if key not in own],
        "has another shape for": [
            key for key in own if key in given and own[key].shape != given[key].shape
        ],
    }
    for what, keys in wrong.items():
        if keys:
            more = f" and {len(keys) - 3} more" if len(keys) > 3 else ""
            who = "the network" if what == "does not know" else "the file"
            raise BadInput(f"{name}: {who} {what} {', '.join(keys[:3])}{more}")
    network.load_state_dict(given, strict=False)


# --------------------------------------------------------------------------------- torchvision


def _builder(factory: str) -> Callable[[int], nn.Module]:
    """A classifier of torchvision, untrained, as a function of the number of classes."""
    models = _models()
    known = models.list_models(module=models)
    if factory not in known:
        raise BadInput(f"torchvision:{factory}: no such classifier{_near(factory, known)}")

    def build(classes: int) -> nn.Module:
        more = {"init_weights": True} if factory in ("googlenet", "inception_v3") else {}
        made: nn.Module = models.get_model(factory, weights=None, num_classes=classes, **more)
        return made

    return build


def _downloaded(factory: str, which: str) -> Mapping[str, Tensor]:
    """Weights through torchvision's own download: checksum of the file's name, tensors only."""
    entries = _models().get_model_weights(factory)
    if which != "DEFAULT" and which not in entries.__members__:
        known = ", ".join(sorted({"DEFAULT", *entries.__members__}))
        raise BadInput(f"torchvision:{factory}@{which}: expected one of {known}, or a file")
    try:
        found: Mapping[str, Tensor] = entries[which].get_state_dict(
            progress=True, check_hash=True, weights_only=True
        )
    except OSError as error:  # no network, no room
        raise BadInput(
            f"torchvision:{factory}@{which}: cannot be downloaded ({_why(error)}); download it "
            f"elsewhere from {entries[which].url}, or take a safetensors file"
        ) from None
    except RuntimeError as error:
        raise BadInput(f"torchvision:{factory}@{which}: damaged ({_why(error)})") from None
    return found


def _models() -> Any:
    from workbench.vision import torchvision

    return importlib.import_module(".models", torchvision().__name__)


def _as_torchvision(x: Tensor) -> Tensor:
    """Pictures (B, C, H, W) in [0, 1] as its weights expect them: three channels, standardised."""
    if x.ndim == 4 and x.shape[1] == 1:
        x = x.expand(-1, 3, -1, -1)
    mean, deviation = (x.new_tensor(t).view(3, 1, 1) for t in (MEAN, DEVIATION))
    return (x - mean) / deviation
