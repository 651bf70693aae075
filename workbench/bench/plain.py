"""The same networks as everybody writes them: torch's own layers, one student, eager.

Their state dicts have the keys of ours, so that both can begin with the same weights. Only torch
is imported here, because the peers' own environments run these networks, too.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class MLP(nn.Module):
    """784-32-10."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.ModuleList([nn.Linear(784, 32), nn.Linear(32, 10)])

    def forward(self, x: Tensor) -> Tensor:
        """x (B, 1, 28, 28) to logits (B, 10)."""
        logits: Tensor = self.layers[1](F.relu(self.layers[0](x.flatten(1))))
        return logits


class LeNet(nn.Module):
    """Two convolutions with pooling, and two dense layers: 27 thousand weights."""

    def __init__(self) -> None:
        super().__init__()
        self.convs = nn.ModuleList([nn.Conv2d(1, 8, 3, padding=1), nn.Conv2d(8, 16, 3, padding=1)])
        self.hidden, self.head = nn.Linear(784, 32), nn.Linear(32, 10)

    def forward(self, x: Tensor) -> Tensor:
        """x (B, 1, 28, 28) to logits (B, 10)."""
        for conv in self.convs:
            x = F.max_pool2d(F.relu(conv(x)), 2)
        logits: Tensor = self.head(F.relu(self.hidden(x.flatten(1))))
        return logits


class Block(nn.Module):
    """Two convolutions with norms, added to what came in."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.second = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.norms = nn.ModuleList(nn.BatchNorm2d(outputs) for _ in range(2))
        self.shortcut = nn.Sequential()
        if stride > 1:
            self.shortcut.append(nn.Conv2d(inputs, outputs, 1, stride, bias=False))
            self.shortcut.append(nn.BatchNorm2d(outputs))

    def forward(self, x: Tensor) -> Tensor:
        """x (B, inputs, H, W) to (B, outputs, H', W')."""
        h = F.relu(self.norms[0](self.first(x)))
        return F.relu(self.norms[1](self.second(h)) + self.shortcut(x))


class ResNet20(nn.Module):
    """He's residual network of depth 20: 272 thousand weights."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(1, 16, 3, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(16)
        widths = (16, 16, 32, 64)
        self.blocks = nn.ModuleList(
            nn.Sequential(Block(a, b, 1 if a == b else 2), Block(b, b, 1), Block(b, b, 1))
            for a, b in zip(widths, widths[1:], strict=False)
        )
        self.head = nn.Linear(64, 10)

    def forward(self, x: Tensor) -> Tensor:
        """x (B, 1, 28, 28) to logits (B, 10)."""
        x = F.relu(self.norm(self.stem(x)))
        for blocks in self.blocks:
            x = blocks(x)
        logits: Tensor = self.head(x.mean((-1, -2)))
        return logits


NETWORKS: Mapping[str, type[nn.Module]] = {
    "mlp-32": MLP, "lenet-8": LeNet, "resnet-20": ResNet20,
}  # fmt: skip


def network(name: str, state: Mapping[str, Tensor] | None = None) -> nn.Module:
    """A plain network by our name for it; with `state`, the weights of ours."""
    made = NETWORKS[name]()
    if state is not None:
        missing, unknown = made.load_state_dict(dict(state), strict=False)
        wrong = [key for key in missing if not key.endswith("num_batches_tracked")] + unknown
        if wrong:
            raise ValueError(f"{name}: weights of another network: {', '.join(wrong)}")
    return made


def kd(
    z_s: Tensor, z_t: Tensor, y: Tensor, temperature: float = 4.0, alpha: float = 0.9
) -> Tensor:
    """The loss of the tutorials, with T² and batchmean as it should be; (B, K), (B, K), (B,)."""
    soft = F.kl_div(
        F.log_softmax(z_s / temperature, 1), F.softmax(z_t / temperature, 1),
        reduction="batchmean",
    )  # fmt: skip
    return (1 - alpha) * F.cross_entropy(z_s, y) + alpha * temperature**2 * soft


@torch.no_grad()
def accuracy(network: nn.Module, x: Tensor, y: Tensor) -> float:
    """The share of x (n, …) that a network names right."""
    network.eval()
    said = torch.cat([network(part) for part in x.split(500)])
    return float((said.argmax(1) == y).double().mean())
