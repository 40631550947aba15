"""Build models from weight bundles."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from ..bundle.bundle import Bundle
from ..bundle.names import split_layer
from ..errors import MambascopeError
from .config import Mamba2Config
from .llama import Llama


def load_teacher(bundle: Bundle) -> Llama:
    """The all-attention model of a bundle, float32 on the CPU. Raises the bundle's errors for missing files."""
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
    """Add the Mamba-2 mixers that `layers` names ("mamba2:<set>") and activate the pattern.

    A set's tensors replace the base's of the same name in these layers, the attention's aside. Raises
    `mixer-unsupported` for mixers that the trainer does not have.
    """
    pattern = []
    for index, entry in enumerate(layers):
        name, mixer_set = split_layer(entry)
        pattern.append(name)
        if mixer_set is None:
            continue
        if name != "mamba2":
            raise MambascopeError(
                "mixer-unsupported", f"Layer {index}: the trainer has no {name} mixer.", "Choose another variant."
            )
        model.add_mamba([index], Mamba2Config.model_validate(bundle.manifest.mixer_sets[mixer_set].config))
        prefix = f"model.layers.{index}."
        state = model.layer(index).state_dict()
        stored = {key: prefix + key for key in state if not key.startswith("self_attn.")}
        tensors = {key: torch.from_numpy(bundle.tensor(full, mixer_set)) for key, full in stored.items()}
        model.layer(index).load_state_dict({**state, **tensors})
    model.use(pattern)


def load_variant(bundle: Bundle, variant: str) -> Llama:
    """A variant of a bundle by name, float32 on the CPU, in evaluation mode.

    Raises `variant-missing`, and as `load_teacher` and `load_mixers` do.
    """
    layers = bundle.variant(variant).layers
    model = load_teacher(bundle)
    load_mixers(model, bundle, layers)
    return model.eval().requires_grad_(False)
