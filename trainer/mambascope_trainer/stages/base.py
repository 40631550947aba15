"""What a training stage gives the loop."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn

from ..model.llama import Llama


class Stage(ABC):
    """One method of training. Token ids are (batch, seq_len + 1): inputs and next tokens."""

    @abstractmethod
    def named_parameters(self) -> dict[str, nn.Parameter]:
        """What the optimiser updates, in a fixed order, by the bundle's tensor names."""

    @abstractmethod
    def matrices(self) -> dict[str, list[int]]:
        """The projections among them that Muon may take, each with the row counts of its independent segments."""

    def learning_rates(self) -> dict[str, float]:
        """The parameters whose learning rate is not the config's, each with the factor by which it differs."""
        return {}

    def models(self) -> list[Llama]:
        """The models that it runs."""
        return [value for value in vars(self).values() if isinstance(value, Llama)]

    def student(self) -> tuple[Llama, list[str]]:
        """The model that learns, and the pattern in which its text is sampled."""
        model = self.models()[-1]
        return model, model.pattern

    def teacher(self) -> tuple[Llama, list[str]] | None:
        """The model that it learns from, which does not change, and its pattern; None if there is none."""
        return None

    @abstractmethod
    def train_step(self, ids: Tensor, step: int, scale: float) -> dict[str, Tensor]:
        """Forward and backward of one micro-batch, the loss times `scale`; returns unscaled measures, on the device.

        Whatever is drawn at random depends on the seed and the step alone: it is the same in every micro-batch of a
        step and on every process, and a resumed run repeats it.
        """

    @abstractmethod
    def evaluate(self, batches: Iterable[Tensor]) -> dict[str, float]:
        """Measures on held-out batches."""

    @abstractmethod
    def state_dict(self) -> dict[str, Any]:
        """What a checkpoint keeps: the live tensors, sharded ones as they are, by the bundle's names."""

    @abstractmethod
    def load_state_dict(self, state: dict[str, Any]) -> None: ...

    def parameters(self) -> list[nn.Parameter]:
        return list(self.named_parameters().values())


def mean_measures(records: list[dict[str, Tensor]]) -> dict[str, float]:
    """Mean over micro-batches, in one transfer to the host."""
    if not records:
        return {}
    table = torch.stack([torch.stack([record[key].float() for key in records[0]]) for record in records])
    return dict(zip(records[0], table.double().mean(dim=0).tolist(), strict=True))
