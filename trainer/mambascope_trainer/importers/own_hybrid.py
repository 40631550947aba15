"""Hybrids that `export --format hf` wrote, read back: config.json lists each layer's mixer."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from ..bundle.mixer_shapes import mamba2_tensor_shapes
from ..errors import MambascopeError
from ..model.config import Mamba2Config
from .hybrid import F32, ImportedSet, Shapes

MODEL_TYPE = "mambascope"


class OwnConfig(BaseModel):
    """The fields that a plain Llama's config has not."""

    model_config = ConfigDict(extra="ignore")

    mixers: list[Literal["attention"] | Mamba2Config] = Field(min_length=1)
    rope_base: float = Field(gt=0)

    def as_llama(self, document: dict[str, Any]) -> dict[str, Any]:
        """config.json as that of a Llama of the same shape."""
        names = {"model_type": "llama", "num_hidden_layers": len(self.mixers), "rope_theta": self.rope_base}
        return {**document, **names, "rope_parameters": None, "rope_scaling": None}


class OwnHybrid:
    """A mixer set for each config that its layers have."""

    variant = "imported"

    def __init__(self, config: OwnConfig, hidden_size: int, shapes: Shapes) -> None:
        """Raises `hf-tensors` where a mixer's tensor is missing or of another shape."""
        self._mixers = {index: mixer for index, mixer in enumerate(config.mixers) if isinstance(mixer, Mamba2Config)}
        self._hidden_size = hidden_size
        self.layers = list(self._mixers)
        for index, mixer in self._mixers.items():
            for name, shape in mamba2_tensor_shapes(mixer.model_dump(), hidden_size, index).items():
                if shapes.get(name) != shape:
                    found = list(shapes[name]) if name in shapes else "missing"
                    raise MambascopeError(
                        "hf-tensors",
                        f"The checkpoint does not fit its config.json: {name} is {found}, not {list(shape)}.",
                        "Export or download the folder again.",
                    )

    def sets(self, read: Callable[[str], F32], shapes: Shapes) -> Iterator[ImportedSet]:
        configs = list(dict.fromkeys(self._mixers.values()))
        for number, config in enumerate(configs, start=1):
            layers = [index for index, mixer in self._mixers.items() if mixer == config]
            names = (n for i in layers for n in mamba2_tensor_shapes(config.model_dump(), self._hidden_size, i))
            name = self.variant if len(configs) == 1 else f"{self.variant}-{number}"
            yield ImportedSet(name, config, layers, {item: read(item) for item in names})
