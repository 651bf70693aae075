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
        self.flat, self.grad, self.room = flat, torch.zeros_like(flat), torch.zeros_like(flat)
        self.first, self.second = torch.zeros_like(flat), torch.zeros_like(flat)
        self.step_count = 0
        self.here: Tensor | None = None  # where in `flat` students live, once one is frozen
        at = 0
        for p in self.parameters:
            p.data = flat[at : at + p.numel()].view(p.shape)
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
        """Forget the gradient."""
        for p in self.parameters:
            p.grad = None

    @torch.no_grad()
    def step(self, factor: float = 1.0) -> None:
        """One step; `factor` is the schedule's share of the learning rate.

        Everything happens in memory that exists already: fresh tensors of this size come from
        the operating system page by page, which would cost more than the arithmetic.
        """
        b1, b2 = self.betas
        flat = [
            p.new_zeros(p.numel()) if p.grad is None else p.grad.reshape(-1)
            for p in self.parameters
        ]
        torch.cat(flat, out=self.grad)
        grad, size = self.grad, self.room
        if self.here is not None:
            grad.masked_fill_(~self.here, 0.0)  # not a product: a frozen gradient may be NaN
            kept = self.flat.clone()
        self.step_count += 1
        self.first.lerp_(grad, 1 - b1)
        self.second.mul_(b2).addcmul_(grad, grad, value=1 - b2)
        correction = (1 - b2**self.step_count) ** 0.5
        torch.sqrt(self.second, out=size).add_(self.eps * correction)
        scale = factor * correction / (1 - b1**self.step_count)
        if isinstance(self.decay, Tensor):
            self.flat.addcmul_(self.flat, self.decay, value=-factor)
        elif self.decay:
            self.flat.mul_(1 - factor * self.decay)
        if isinstance(self.rate, Tensor):
            torch.div(self.first, size, out=size)
            self.flat.addcmul_(size, self.rate, value=-scale)
        else:
            self.flat.addcdiv_(self.first, size, value=-scale * self.rate)
        if self.here is not None:
            self.flat.copy_(torch.where(self.here, self.flat, kept))

    def freeze(self, alive: Tensor) -> None:
        """Students with alive (n,) False keep their weights until the next call."""
        self.here = None if bool(alive.all()) else self.everywhere(alive)

    def memory(self) -> dict[str, Tensor]:
        """What a checkpoint must hold besides the weights."""
        return {"first": self.first, "second": self.second}

    def remember(self, memory: Mapping[str, Tensor], steps: int) -> None:
        """The inverse of `memory`, after `steps` steps."""
        self.first.copy_(memory["first"])
        self.second.copy_(memory["second"])
        self.step_count = steps
