"""What a training stage gives the loop."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Protocol

from torch import Tensor, nn


class Stage(Protocol):
    """One method of training. Token ids are (batch, seq_len + 1): inputs and next tokens."""

    def parameters(self) -> list[nn.Parameter]:
        """What the optimiser updates, in a fixed order."""
        ...

    def train_step(self, ids: Tensor, step: int, scale: float) -> dict[str, Tensor]:
        """Forward and backward of one micro-batch, the loss times `scale`; returns unscaled measures, on the device."""
        ...

    def evaluate(self, batches: Iterable[Tensor]) -> dict[str, float]:
        """Measures on held-out batches."""
        ...

    def state_dict(self) -> dict[str, Any]: ...

    def load_state_dict(self, state: dict[str, Any]) -> None: ...


def mean_measures(records: list[dict[str, Tensor]]) -> dict[str, float]:
    """Mean over micro-batches, moved to the host in one go a measure."""
    return {key: sum(float(r[key]) for r in records) / len(records) for key in records[0]} if records else {}
