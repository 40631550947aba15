"""What an imported hybrid says of itself, whichever layout it comes in."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from ..model.config import Mamba2Config

F32 = npt.NDArray[np.float32]
Shapes = Mapping[str, tuple[int, ...]]


@dataclass(frozen=True)
class ImportedSet:
    """Layers with mixers of one config, and their tensors by the bundle's names."""

    name: str
    config: Mamba2Config
    layers: list[int]
    tensors: dict[str, F32]
    training: dict[str, Any] = field(default_factory=dict)


class ImportedHybrid(Protocol):
    """`variant` is the name of the hybrid in its family, `layers` are those whose attention it has replaced."""

    variant: str
    layers: list[int]

    def sets(self, read: Callable[[str], F32], shapes: Shapes) -> Iterator[ImportedSet]: ...


def mixer_names(hybrid: ImportedHybrid, shapes: Shapes) -> set[str]:
    """Names of the mixers' tensors in the checkpoint."""
    prefixes = tuple(f"model.layers.{index}.mamba." for index in hybrid.layers)
    return {name for name in shapes if name.startswith(prefixes)}
