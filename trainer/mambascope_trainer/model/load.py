"""Build models from weight bundles."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from ..bundle.bundle import Bundle
from .config import Mamba2Config, mixer_of
from .llama import Layer, Llama


def load_teacher(bundle: Bundle) -> Llama:
    """The all-attention model of a bundle, float32 on the CPU. Raises the bundle's errors for missing or damaged files."""
    arch = bundle.manifest.architecture
    with torch.device("meta"):
        model = Llama(arch)
    model.to_empty(device="cpu")
    state = {}
    for name in model.state_dict():
        stored = name if name.startswith("lm_head.") else f"model.{name}"
        state[name] = torch.from_numpy(bundle.tensor(stored))
    model.load_state_dict(state)
    return model


def load_mixers(model: Llama, bundle: Bundle, layers: Sequence[str]) -> None:
    """Add the Mamba-2 mixers that `layers` names ("mamba2:<set>") and activate the pattern."""
    pattern = []
    for index, entry in enumerate(layers):
        name, mixer_set = mixer_of(entry)
        pattern.append(name)
        if mixer_set is None:
            continue
        if name != "mamba2":
            raise ValueError(f"layer {index}: the trainer has no {name} mixer")
        model.add_mamba([index], Mamba2Config.model_validate(bundle.manifest.mixer_sets[mixer_set].config))
        layer = model.layers[index]
        assert isinstance(layer, Layer) and layer.mamba is not None
        prefix = f"model.layers.{index}.mamba."
        layer.mamba.load_state_dict(
            {key: torch.from_numpy(bundle.tensor(prefix + key, mixer_set)) for key in layer.mamba.state_dict()}
        )
    model.use(pattern)


def load_variant(bundle: Bundle, variant: str) -> Llama:
    """A variant of a bundle by name, float32 on the CPU, in evaluation mode. Raises `variant-missing` and as `load_teacher`."""
    layers = bundle.variant(variant).layers
    model = load_teacher(bundle)
    load_mixers(model, bundle, layers)
    return model.eval().requires_grad_(False)
