"""Deep mutual learning: two students that know nothing yet teach each other."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor, nn

from workbench.base import Batch, Build, Method, Outputs
from workbench.functional import cross_entropy, kl, softened
from workbench.methods._knobs import weighs


class Peer(nn.Module):
    """Another student of the same shape, which learns beside it."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, x: Tensor) -> Tensor:
        """x as the students see it, to logits (*lead, B, K)."""
        found: Outputs = self.network(x)
        return found.logits


@dataclass(frozen=True)
class Mutual(Method):
    r"""$\mathrm{CE}(y,z_1) + w\,\mathrm{KL}(p_2\,\|\,p_1)$, and the same for the peer

    with $p_i=\sigma(z_i)$ at T = 1, each the other's teacher, detached.

    There is no large network. Two that start elsewhere are wrong in different places, and agree
    where they are right; each draws the other towards flatter answers. What it costs is a second
    training, so compare at equal compute.

    Shapes: student.logits (*lead, B, K), batch.x (B, …) or (n, B, …), batch.y (B,) or (*lead, B)
    with −1 = unlabelled (no label term there, the peer still teaches). Terms: peer, labels,
    peer's labels, peer's student (*lead), in nats: the last two move the peer alone. Both see one
    batch and step at once; the peer has the student's shape, learning rate and another seed, and
    is left behind. With more than two, the authors sum over the peers.
    """

    title: ClassVar[str] = "Deep mutual learning"
    paper: ClassVar[str] = "Zhang et al., 2018, arXiv:1706.00384"
    needs: ClassVar[frozenset[str]] = frozenset({"labels", "network"})
    exceptions: ClassVar[Mapping[str, str]] = {
        "classes": "the peer is a network, whose classes keep their places"
    }

    weight: float = weighs(1.0, "w", "of agreeing with the peer")

    def setup(
        self, student: Outputs, teacher: Outputs | None, sample: Batch, n: int, build: Build
    ) -> nn.Module | None:
        """A peer from another initialisation."""
        return Peer(build.network(fresh=True))

    def loss(
        self, student: Outputs, teacher: Outputs | None, batch: Batch, adapter: nn.Module | None
    ) -> Mapping[str, Tensor]:
        """Each one's cross-entropy with the labels, and divergence from the other."""
        z = student.logits
        z_p = adapter(batch.x) if adapter is not None else z.detach()
        return {
            "peer": self.weight * kl(*softened(z_p, z)),
            "labels": cross_entropy(z, batch.y),
            "peer's labels": cross_entropy(z_p, batch.y),
            "peer's student": self.weight * kl(*softened(z, z_p)),
        }
