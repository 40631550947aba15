"""The optimiser of a run: AdamW, or Muon for matrices with AdamW for the rest."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import torch
from torch import nn

from .config import OptimiserConfig
from .muon import Muon


class Optimiser(Protocol):
    """What the loop uses. Each parameter group has `lr`, and `peak`: the rate at the top of its schedule."""

    @property
    def param_groups(self) -> list[dict[str, Any]]: ...

    def step(self) -> Any: ...

    def zero_grad(self, set_to_none: bool = True) -> None: ...

    def state_dict(self) -> dict[str, Any]: ...

    def load_state_dict(self, state_dict: dict[str, Any]) -> None: ...


class Together:
    """Several optimisers that step as one. `parts` are the plain ones, for tools that save the state of each."""

    def __init__(self, parts: Sequence[torch.optim.Optimizer]) -> None:
        self.parts = list(parts)

    @property
    def param_groups(self) -> list[dict[str, Any]]:
        return [group for part in self.parts for group in part.param_groups]

    def step(self) -> None:
        for part in self.parts:
            part.step()

    def zero_grad(self, set_to_none: bool = True) -> None:
        for part in self.parts:
            part.zero_grad(set_to_none)

    def state_dict(self) -> dict[str, Any]:
        return {"parts": [part.state_dict() for part in self.parts]}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        for part, state in zip(self.parts, state_dict["parts"], strict=True):
            part.load_state_dict(state)


def build_optimiser(
    parameters: Mapping[str, nn.Parameter],
    config: OptimiserConfig,
    device: torch.device,
    matrices: Mapping[str, Sequence[int]] | None = None,
) -> Optimiser:
    """The optimiser of `parameters`, by name.

    matrices: those that Muon may take (projections inside layers), each with the row counts of its segments; AdamW
    takes the others, and everything if config.name is "adamw". Vectors have no weight decay.
    """
    if config.name == "adamw":
        return _adamw(list(parameters.values()), config.learning_rate, config, device)
    matrices = matrices or {}
    rest = [p for name, p in parameters.items() if name not in matrices]
    segments = {parameters[name]: rows for name, rows in matrices.items() if name in parameters}
    parts: list[torch.optim.Optimizer] = []
    if segments:
        parts.append(_muon(segments, config))
    if rest:
        parts.append(_adamw(rest, config.adam_learning_rate or config.learning_rate, config, device))
    return Together(parts)


def _muon(segments: Mapping[nn.Parameter, Sequence[int]], config: OptimiserConfig) -> Muon:
    muon = Muon(list(segments), config.learning_rate, config.momentum, config.weight_decay, segments)
    for group in muon.param_groups:
        group["peak"] = config.learning_rate
    return muon


def _adamw(
    parameters: Sequence[nn.Parameter], peak: float, config: OptimiserConfig, device: torch.device
) -> torch.optim.AdamW:
    groups: list[dict[str, Any]] = [
        {"params": [p for p in parameters if p.dim() > 1], "weight_decay": config.weight_decay, "peak": peak},
        {"params": [p for p in parameters if p.dim() <= 1], "weight_decay": 0.0, "peak": peak},
    ]
    return torch.optim.AdamW(
        [group for group in groups if group["params"]],
        lr=peak,
        betas=(0.9, config.beta2),
        fused=device.type == "cuda",
    )
