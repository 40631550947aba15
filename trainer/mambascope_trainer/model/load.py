"""Build models from weight bundles."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import torch

from ..bundle.bundle import Bundle
from ..bundle.names import split_layer
from ..errors import MambascopeError
from .config import Mamba2Config
from .llama import Llama


def load_teacher(bundle: Bundle, replaced: Iterable[int] = ()) -> Llama:
    """The all-attention model of a bundle, float32 on the CPU. Raises the bundle's errors for missing files.

    Layers in `replaced` have no attention if the base has none for them (a published hybrid's base).
    """
    with torch.device("meta"):
        model = Llama(bundle.manifest.architecture)
    for index in replaced:
        if f"model.layers.{index}.self_attn.q_proj.weight" not in bundle.manifest.tensors:
            model.layer(index).self_attn = None
    return _fill(model, bundle, None)


def load_draft(bundle: Bundle, name: str) -> Llama:
    """The draft of set `name` on the base's embedding and LM head, float32 on the CPU. Raises as `load_teacher`."""
    mixer_set = bundle.manifest.mixer_sets[name]
    with torch.device("meta"):
        layers = [f"{mixer_set.mixer}:{name}"]
        model = Llama(bundle.manifest.architecture_of(layers), bundle.manifest.reads_features(layers))
        if mixer_set.mixer == "mamba2":
            replace_attention(model, Mamba2Config.model_validate(mixer_set.config))
    return _fill(model, bundle, name)


def replace_attention(model: Llama, config: Mamba2Config) -> None:
    """Every layer a Mamba-2 mixer in the place of its attention, initialised as constructed."""
    indices = range(len(model.layers))
    model.add_mamba(indices, config)
    model.use(["mamba2"] * len(model.layers))
    for index in indices:
        model.layer(index).self_attn = None


def _fill(model: Llama, bundle: Bundle, mixer_set: str | None) -> Llama:
    """The bundle's numbers in a model without memory, those of the set before the base's."""
    model.to_empty(device="cpu")
    state = {}
    for name in model.state_dict():
        stored = name if name.startswith("lm_head.") else f"model.{name}"
        state[name] = torch.from_numpy(bundle.tensor(stored, mixer_set))
    model.load_state_dict(state)
    return model


def load_mixers(model: Llama, bundle: Bundle, layers: Sequence[str]) -> None:
    """Add the Mamba-2 mixers that `layers` names ("mamba2:<set>") and activate the pattern.

    A set's tensors replace the base's of the same name in these layers, the attention's aside. Raises
    `mixer-unsupported` for mixers that the trainer does not have, and for a draft's.
    """
    pattern = []
    for index, entry in enumerate(layers):
        name, mixer_set = split_layer(entry)
        pattern.append(name)
        if mixer_set is None:
            continue
        if name == "attention" or bundle.manifest.mixer_sets[mixer_set].draft:
            raise MambascopeError(
                "mixer-unsupported",
                f"Layer {index}: {entry} is no mixer of the base's.",
                "A draft is a variant, whole.",
            )
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


def needs_target(name: str) -> MambascopeError:
    """What is raised where the draft on features `name` is asked to run alone."""
    return MambascopeError(
        "draft-needs-target",
        f"{name} is a draft on its target's features, and cannot run without a target.",
        "Name it as a draft for speculation: speculate --drafts, or the Speculate page.",
    )


def load_alone(bundle: Bundle, variant: str) -> Llama:
    """As `load_variant`, of a variant that is to run without a target. Raises `draft-needs-target` for others."""
    check_alone(bundle, variant)
    return load_variant(bundle, variant)


def check_alone(bundle: Bundle, variant: str) -> None:
    """Raises `draft-needs-target` for a draft on features, and `variant-missing`."""
    if bundle.manifest.reads_features(bundle.variant(variant).layers):
        raise needs_target(variant)


def load_variant(bundle: Bundle, variant: str) -> Llama:
    """A variant of a bundle by name, a draft on features too, float32 on the CPU, in evaluation mode.

    Raises `variant-missing`, and as `load_teacher` and `load_mixers` do.
    """
    layers = bundle.variant(variant).layers
    draft = bundle.manifest.draft(layers)
    if draft is not None:
        model = load_draft(bundle, draft[0])
    else:
        model = load_teacher(bundle, [index for index, entry in enumerate(layers) if entry != "attention"])
        load_mixers(model, bundle, layers)
    return model.eval().requires_grad_(False)
