"""Stage 1 of MOHAWK (arXiv 2408.10189, section 4.1): matrix orientation.

Each mixer's SSD matrix, decays and D included, learns its attention layer's matrix on the teacher's activations. What
the matrix does not depend on (x, gate, norm, out_proj) stays as it is.
"""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from ..mixers.attention import Attention
from ..mixers.mamba2 import Mamba2
from ..model.llama import Llama
from .activations import Rotary, teacher_activations, teacher_layer
from .base import mean_measures
from .hybrid import HybridStage
from .matrix import ROWS, SsdTerms, attention_rows


class Orient(HybridStage):
    """Loss a layer: ||attention - SSD||_F, the mean over sequences and heads, summed over the layers."""

    def __init__(self, model: Llama, layers: list[int], compiled: bool) -> None:
        super().__init__(model, layers)
        model.use(["attention"] * model.arch.num_hidden_layers)
        self.squares = torch.compile(_block_squares, dynamic=False) if compiled else _block_squares
        self.teacher_layer = torch.compile(teacher_layer, dynamic=False) if compiled else teacher_layer

    def train_step(self, ids: Tensor, step: int, scale: float) -> dict[str, Tensor]:
        records = []
        for index, distance, relative in self._layers(ids):
            torch.autograd.backward(distance * scale)
            records.append((index, distance.detach(), relative))
        return _measures(records)

    @torch.no_grad()
    def evaluate(self, batches: Iterable[Tensor]) -> dict[str, float]:
        return mean_measures([_measures(list(self._layers(ids))) for ids in batches])

    def _layers(self, ids: Tensor) -> Iterable[tuple[int, Tensor, Tensor]]:
        rotary = self.model.rotary(0, ids.shape[1] - 1)
        for index, u, _ in teacher_activations(self.model, self.layers, ids[:, :-1], self.teacher_layer):
            attention = self.model.layer(index).self_attn
            assert attention is not None
            yield index, *self.distance(self.model.mamba(index), attention, u, rotary)

    def distance(self, mamba: Mamba2, attention: Attention, u: Tensor, rotary: Rotary) -> tuple[Tensor, Tensor]:
        """Mean Frobenius distance of the matrices on u (b, T, D), and that relative to attention's norm.

        A block of rows exists at a time; the backward pass makes it again.
        """
        with torch.no_grad():
            queries, keys = attention.queries_and_keys(u, rotary)
        terms = SsdTerms(*mamba.matrix_terms(u))
        sums = torch.zeros(2, *queries.shape[:2], device=u.device)
        with torch.autocast(u.device.type, enabled=False):
            for start in range(0, u.shape[1], ROWS):
                stop = min(start + ROWS, u.shape[1])
                part = checkpoint(self.squares, terms, queries, keys, start, stop, use_reentrant=False)
                assert isinstance(part, Tensor)
                sums = sums + part
        # The root has no slope at zero.
        norms = sums.clamp(min=1e-12).sqrt().mean(dim=(1, 2))
        return norms[0], (norms[0] / norms[1]).detach()


def _block_squares(terms: SsdTerms, queries: Tensor, keys: Tensor, start: int, stop: int) -> Tensor:
    """Of a block of rows: the squared distance a sequence and head, and attention's own square: (2, b, H)."""
    wanted = attention_rows(queries, keys, start, stop)
    off = (wanted - terms.rows(start, stop)).square().sum(dim=(2, 3))
    return torch.stack([off, wanted.square().sum(dim=(2, 3))]).float()


def _measures(records: list[tuple[int, Tensor, Tensor]]) -> dict[str, Tensor]:
    by_layer = {f"orient.{index}": distance for index, distance, _ in records}
    relative = torch.stack([share for _, _, share in records]).mean()
    return {"loss": torch.stack(list(by_layer.values())).mean(), "relative": relative, **by_layer}
