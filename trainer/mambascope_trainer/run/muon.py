"""Muon: momentum whose matrices are orthogonalised before they are applied.

Keller Jordan and others, "Muon: An optimizer for hidden layers in neural networks" (2024); the step's size is matched
to AdamW's as in arXiv 2502.16982, section 2.2, so that one learning rate serves both.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.distributed.tensor import DTensor, Replicate

#: The quintic's coefficients, steepest at zero, and how often it is applied.
COEFFICIENTS = (3.4445, -4.7750, 2.0315)
ITERATIONS = 5
#: Root mean square of an AdamW step at learning rate 1, which Muon's is scaled to.
ADAM_RMS = 0.2


def orthogonalise(matrices: Tensor) -> Tensor:
    """Newton-Schulz iteration on (n, rows, columns): nearly the closest semi-orthogonal matrices, bfloat16 on CUDA.

    Singular values end between about 0.7 and 1.2.
    """
    a, b, c = COEFFICIENTS
    x = matrices.to(torch.bfloat16) if matrices.is_cuda else matrices.float()
    tall = x.shape[-2] > x.shape[-1]
    if tall:
        x = x.mT
    x = x / x.norm(dim=(-2, -1), keepdim=True).clamp(min=1e-7)
    for _ in range(ITERATIONS):
        gram = x @ x.mT
        x = a * x + torch.baddbmm(gram, gram, gram, beta=b, alpha=c) @ x
    result: Tensor = (x.mT if tall else x).to(matrices.dtype)
    return result


class Muon(torch.optim.Optimizer):
    """Muon with Nesterov momentum for matrices; each of a matrix's row segments is orthogonalised by itself.

    segments: a parameter's row counts, one a segment; one that is not named is a single segment. Segments of the same
    shape are iterated in one batch. A sharded matrix is gathered for the iteration and keeps its own shard of it.
    """

    def __init__(
        self,
        parameters: Sequence[nn.Parameter] | Sequence[dict[str, Any]],
        lr: float,
        momentum: float,
        weight_decay: float,
        segments: Mapping[nn.Parameter, Sequence[int]],
    ) -> None:
        super().__init__(parameters, {"lr": lr, "momentum": momentum, "weight_decay": weight_decay})
        self.segments = {id(parameter): list(rows) for parameter, rows in segments.items()}

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:  # type: ignore[override]
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            self._step_group(group)
        return loss

    def _step_group(self, group: dict[str, Any]) -> None:
        moved = [p for p in group["params"] if p.grad is not None]
        if not moved:
            return
        for p in moved:
            if "momentum_buffer" not in self.state[p]:
                self.state[p]["momentum_buffer"] = torch.zeros_like(p)
        gradients = [p.grad for p in moved]
        buffers = [self.state[p]["momentum_buffer"] for p in moved]
        rate, keep = group["lr"], group["momentum"]
        torch._foreach_lerp_(buffers, gradients, 1 - keep)
        ahead = torch._foreach_lerp(gradients, buffers, keep)
        updates = self._orthogonal([_whole(update) for update in ahead], [self._rows(p) for p in moved])
        for p, update in zip(moved, updates, strict=True):
            p.mul_(1 - rate * group["weight_decay"]).sub_(rate * _sharded_like(update, p))

    def _rows(self, parameter: nn.Parameter) -> list[int]:
        return self.segments.get(id(parameter), [parameter.shape[0]])

    @staticmethod
    def _orthogonal(matrices: list[Tensor], rows: list[list[int]]) -> list[Tensor]:
        pieces = [piece for matrix, sizes in zip(matrices, rows, strict=True) for piece in torch.split(matrix, sizes)]
        by_shape: dict[torch.Size, list[int]] = {}
        for index, piece in enumerate(pieces):
            by_shape.setdefault(piece.shape, []).append(index)
        for shape, places in by_shape.items():
            done = orthogonalise(torch.stack([pieces[i] for i in places])) * (ADAM_RMS * max(shape) ** 0.5)
            for place, piece in zip(places, done, strict=True):
                pieces[place] = piece
        ends = iter(pieces)
        return [torch.cat([next(ends) for _ in sizes]) for sizes in rows]


def _whole(tensor: Tensor) -> Tensor:
    return tensor.full_tensor() if isinstance(tensor, DTensor) else tensor


def _sharded_like(whole: Tensor, parameter: Tensor) -> Tensor:
    """This process's shard: every process has computed the same whole, so nothing is sent."""
    if not isinstance(parameter, DTensor):
        return whole
    mesh = parameter.device_mesh
    everywhere = DTensor.from_local(whole, mesh, [Replicate()] * mesh.ndim, run_check=False)
    return everywhere.redistribute(mesh, parameter.placements)
