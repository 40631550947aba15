"""Which layers keep attention: greedy backward selection by the KL to the teacher.

From all attention, replace one layer at a time, each time the one whose Mamba mixer raises the KL least. The patterns
that come out are nested: one order of the layers gives a pattern for every ratio.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from ..model.llama import Llama

#: Tokens whose logits, the teacher's and a candidate's, exist at a time.
CHUNK_TOKENS = 4096


@dataclass(frozen=True)
class Replacement:
    """One step: the layer that was replaced, and the KL (nat a token) of the pattern with it."""

    layer: int
    kl: float
    #: The KL of every layer that might have been replaced instead.
    candidates: dict[int, float]


class GreedySelection:
    """A teacher with Mamba-2 mixers beside its attention, and the held-out batches (b, T + 1) to choose by.

    A candidate differs from the current pattern in one layer, so the layers below it are computed once for all
    candidates.
    """

    def __init__(self, model: Llama, batches: Iterable[Tensor], autocast: bool = True) -> None:
        self.model = model
        self.device = model.embed_tokens.weight.device
        self.autocast = autocast and self.device.type == "cuda"
        self.inputs = [ids[:, :-1].to(self.device) for ids in batches]
        self.tokens = sum(ids.numel() for ids in self.inputs)
        self.replaced: set[int] = set()
        self.targets = [self._finish(self._prefixes(ids)[-1]) for ids in self.inputs]

    @torch.no_grad()
    def measure(self, candidates: Sequence[int]) -> dict[int, float]:
        """KL(teacher || student) a token with each candidate layer replaced besides those that are."""
        sums = dict.fromkeys(candidates, torch.zeros((), dtype=torch.float64, device=self.device))
        for ids, target in zip(self.inputs, self.targets, strict=True):
            prefixes = self._prefixes(ids)
            students = [self._finish(self._suffix(prefixes[i], i)) for i in candidates]
            for start in range(0, len(target), CHUNK_TOKENS):
                part = slice(start, start + CHUNK_TOKENS)
                wanted = self._log_probabilities(target[part])
                for i, student in zip(candidates, students, strict=True):
                    sums[i] = sums[i] + _kl_sum(wanted, self._log_probabilities(student[part]))
        return {i: float(total) / self.tokens for i, total in sums.items()}

    def run(
        self, layers: Sequence[int], count: int, report: Callable[[Replacement], None] | None = None
    ) -> list[Replacement]:
        """Replace `count` of `layers`, one after another. Raises ValueError if there are not so many left."""
        left = [i for i in layers if i not in self.replaced]
        if count > len(left):
            raise ValueError(f"{count} layers cannot be replaced: {len(left)} have a mixer")
        steps = []
        for _ in range(count):
            measured = self.measure(left)
            best = min(left, key=lambda i: measured[i])
            left.remove(best)
            self.replaced.add(best)
            steps.append(Replacement(best, measured[best], measured))
            if report is not None:
                report(steps[-1])
        return steps

    @torch.no_grad()
    def _prefixes(self, ids: Tensor) -> list[Tensor]:
        """The input of every layer under the current pattern, and the last one's output."""
        x, rotary = self.model.embed_tokens(ids), self.model.rotary(0, ids.shape[1])
        states = [x]
        for index in range(len(self.model.layers)):
            states.append(self._layer(index, states[-1], rotary, index in self.replaced))
        return states

    def _suffix(self, x: Tensor, replaced: int) -> Tensor:
        """Layer `replaced` with its Mamba mixer and those above it, from that layer's input."""
        rotary = self.model.rotary(0, x.shape[1])
        for index in range(replaced, len(self.model.layers)):
            x = self._layer(index, x, rotary, index == replaced or index in self.replaced)
        return x

    def _layer(self, index: int, x: Tensor, rotary: tuple[Tensor, Tensor], mamba: bool) -> Tensor:
        layer = self.model.layer(index)
        layer.active = "mamba2" if mamba else "attention"
        with torch.autocast(self.device.type, dtype=torch.bfloat16, enabled=self.autocast):
            out: Tensor = layer(x, rotary)[0]
        return out

    @torch.no_grad()
    def _finish(self, x: Tensor) -> Tensor:
        """Final normed hidden states (tokens, D)."""
        out: Tensor = self.model.norm(x).flatten(0, 1)
        return out

    def _log_probabilities(self, hidden: Tensor) -> Tensor:
        with torch.autocast(self.device.type, dtype=torch.bfloat16, enabled=self.autocast):
            logits = F.linear(hidden, self.model.head_weight)
        return F.log_softmax(logits.float(), dim=-1)


def _kl_sum(wanted: Tensor, found: Tensor) -> Tensor:
    return (wanted.exp() * (wanted - found)).sum(dtype=torch.float64)
