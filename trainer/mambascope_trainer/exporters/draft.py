"""A draft run's result into its family's bundle: a set that holds the draft, and its variant."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from ..bundle.manifest import Draft
from ..bundle.writer import BundleWriter, Storage
from ..mixers.quantise import straight_through
from ..model.config import Mamba2Config
from ..run.config import DraftConfig, RunConfig


def add_draft(
    writer: BundleWriter,
    name: str,
    title: str | None,
    codec: str,
    config: RunConfig,
    state: Mapping[str, Tensor],
    step: int,
) -> None:
    """Writes the draft's own tensors (bundle names, float32) as set and variant `name`; matrices as `codec`.

    Matrices are rounded to the codec's grid by training's own rounding, so that encoding gives back what training saw.
    """
    shape = config.draft or DraftConfig()
    arch = writer.manifest.architecture
    mamba = shape.mixer == "mamba2"
    rounding = codec if codec in ("q4_0", "q8_0") else None
    tensors = {
        key: (straight_through(value, rounding) if key.endswith("_proj.weight") else value).float().numpy()
        for key, value in state.items()
    }
    training: dict[str, Any] = {
        "run": config.name,
        "method": config.method,
        "target": shape.target,
        "steps": step,
        "tokens": step * config.optimiser.batch * config.data.seq_len,
    }
    kind = "Mamba-2" if mamba else "attention"
    layers = f"{shape.layers} {kind} layer{'' if shape.layers == 1 else 's'}"
    writer.add_draft(
        name,
        title or (f"Draft on features (EAGLE, {layers})" if shape.features else f"Draft ({layers})"),
        shape.mixer,
        Mamba2Config.like_attention(arch, **config.mixer.options).model_dump() if mamba else {},
        Draft(shape.layers, shape.intermediate_size or arch.intermediate_size, shape.features),
        tensors,
        Storage(matrix=codec),
        training,
    )
