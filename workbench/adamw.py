"""AdamW for a stack: every student has its own learning rate and decay, and can be frozen."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn


class StackedAdamW:
    r"""AdamW (Loshchilov & Hutter, 2017, arXiv:1711.05101) over stacked parameters (n, …).

    torch's optimisers take one learning rate; here there is one per student. All parameters
    lie in one flat tensor, so a step is a dozen operations whatever the number of layers. Equal
    to `torch.optim.AdamW` for each student alone (tested).
    """

    def __init__(
        self,
        parameters: Sequence[nn.Parameter],
        n: int,
        learning_rates: Sequence[float],
        weight_decays: Sequence[float],
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
    ) -> None:
        self.parameters, self.n, self.betas, self.eps = list(parameters), n, betas, eps
        flat = torch.cat([p.detach().reshape(-1) for p in self.parameters])
        self.flat, self.grad = flat, torch.zeros_like(flat)
        self.first, self.second = torch.zeros_like(flat), torch.zeros_like(flat)
        self.step_count = 0
        self.alive: Tensor | None = None  # (n,) once somebody is frozen
        at = 0
        for p in self.parameters:
            p.data = flat[at : at + p.numel()].view(p.shape)
            p.grad = self.grad[at : at + p.numel()].view(p.shape)
            at += p.numel()
        self.rate = self._spread(learning_rates)
        self.decay = self._spread(
            [r * d for r, d in zip(learning_rates, weight_decays, strict=True)]
        )

    def _spread(self, values: Sequence[float]) -> float | Tensor:
        """One number if all students share it, else its value at every place of `flat`."""
        if len(set(values)) == 1:
            return values[0]
        return self.everywhere(torch.tensor(values, dtype=self.flat.dtype))

    def everywhere(self, values: Tensor) -> Tensor:
        """values (n,) at every place of `flat` that belongs to the student."""
        values = values.to(self.flat.device)
        parts = [values[:, None].expand(self.n, p.numel() // self.n) for p in self.parameters]
        return torch.cat([part.reshape(-1) for part in parts])

    def zero_grad(self) -> None:
        """Forget the gradient; it stays the same memory, into which backward adds."""
        self.grad.zero_()

    @torch.no_grad()
    def step(self, factor: float = 1.0) -> None:
        """One step; `factor` is the schedule's share of the learning rate."""
        grad, (b1, b2) = self.grad, self.betas
        if self.alive is not None:
            here = self.everywhere(self.alive)
            grad = torch.where(here, grad, torch.zeros_like(grad))
            kept = self.flat.clone()
        self.step_count += 1
        self.first.lerp_(grad, 1 - b1)
        self.second.mul_(b2).addcmul_(grad, grad, value=1 - b2)
        correction = (1 - b2**self.step_count) ** 0.5
        size = self.first / self.second.sqrt().div_(correction).add_(self.eps)
        scale = factor / (1 - b1**self.step_count)
        if isinstance(self.decay, Tensor) or self.decay:
            self.flat.sub_(self.flat * self.decay, alpha=factor)
        if isinstance(self.rate, Tensor):
            size.mul_(self.rate)
            self.flat.sub_(size, alpha=scale)
        else:
            self.flat.sub_(size, alpha=scale * self.rate)
        if self.alive is not None:
            self.flat.copy_(torch.where(here, self.flat, kept))

    def freeze(self, alive: Tensor) -> None:
        """Students with alive (n,) False keep their weights from now on."""
        self.alive = alive.to(self.flat.device)

    def memory(self) -> dict[str, Tensor]:
        """What a checkpoint must hold besides the weights."""
        return {"first": self.first, "second": self.second}

    def remember(self, memory: Mapping[str, Tensor], steps: int) -> None:
        """The inverse of `memory`, after `steps` steps."""
        self.first.copy_(memory["first"])
        self.second.copy_(memory["second"])
        self.step_count = steps
