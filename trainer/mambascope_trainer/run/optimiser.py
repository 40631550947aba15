"""The optimiser of a run: AdamW, or Muon for matrices with AdamW for the rest."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
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
    rates: Mapping[str, float] | None = None,
) -> Optimiser:
    """The optimiser of `parameters`, by name.

    matrices: those that Muon may take (projections inside layers), each with the row counts of its segments; AdamW
    takes the others, and everything if config.name is "adamw". Vectors have no weight decay. rates: by how much the
    learning rate of a parameter differs.
    """
    scales = {parameters[name]: scale for name, scale in (rates or {}).items() if name in parameters}
    if config.name == "adamw":
        return _adamw(list(parameters.values()), config.learning_rate, config, device, scales)
    matrices = matrices or {}
    rest = [p for name, p in parameters.items() if name not in matrices]
    segments = {parameters[name]: rows for name, rows in matrices.items() if name in parameters}
    parts: list[torch.optim.Optimizer] = []
    if segments:
        parts.append(_muon(segments, config, scales))
    if rest:
        parts.append(_adamw(rest, config.adam_learning_rate or config.learning_rate, config, device, scales))
    return Together(parts)


def _muon(
    segments: Mapping[nn.Parameter, Sequence[int]], config: OptimiserConfig, scales: Mapping[nn.Parameter, float]
) -> Muon:
    groups = [
        {"params": [p for p in segments if scales.get(p, 1.0) == scale], "peak": scale * config.learning_rate}
        for scale in _different(segments, scales)
    ]
    return Muon(groups, config.learning_rate, config.momentum, config.weight_decay, segments)


def _different(parameters: Iterable[nn.Parameter], scales: Mapping[nn.Parameter, float]) -> list[float]:
    return list(dict.fromkeys(scales.get(p, 1.0) for p in parameters))


def _adamw(
    parameters: Sequence[nn.Parameter],
    peak: float,
    config: OptimiserConfig,
    device: torch.device,
    scales: Mapping[nn.Parameter, float],
) -> torch.optim.AdamW:
    groups: list[dict[str, Any]] = []
    for scale in _different(parameters, scales):
        of = [p for p in parameters if scales.get(p, 1.0) == scale]
        groups += [
            {"params": [p for p in of if p.dim() > 1], "weight_decay": config.weight_decay, "peak": scale * peak},
            {"params": [p for p in of if p.dim() <= 1], "weight_decay": 0.0, "peak": scale * peak},
        ]
    return torch.optim.AdamW(
        [group for group in groups if group["params"]],
        lr=peak,
        betas=(0.9, config.beta2),
        fused=device.type == "cuda",
    )
