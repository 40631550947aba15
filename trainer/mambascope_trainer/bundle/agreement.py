"""What no single field of a manifest shows: shapes, layers, sets and files must fit each other."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING

from .fields import invalid
from .mixer_shapes import check_mamba2_config, mamba2_tensor_shapes
from .names import split_layer

if TYPE_CHECKING:
    from .manifest import Architecture, Manifest, MixerSet, TensorEntry, Variant

_LAYER = re.compile(r"model\.layers\.(\d+)\.(.+)")
LAST_NORM = "model.norm.weight"
FEATURES = "model.features_proj.weight"


def check_agreement(manifest: Manifest) -> None:
    """Raises `manifest-invalid` with the place of the first fault."""
    _check_places(manifest, "base.tensors", manifest.tensors)
    _check_shapes("base.tensors", manifest.tensors, manifest.architecture.tensor_shapes(), required=False)
    for name, mixer_set in manifest.mixer_sets.items():
        _check_set(manifest, f"mixer_sets[{name}]", mixer_set)
    for name, variant in manifest.variants.items():
        _check_variant(manifest, f"variants[{name}]", variant)
    for name in (manifest.tokenizer.file, manifest.tokenizer.config):
        if name not in manifest.files:
            raise invalid("tokenizer", f"{name} is not among the manifest's files")


def _check_places(manifest: Manifest, where: str, tensors: Mapping[str, TensorEntry]) -> None:
    for name, entry in tensors.items():
        if entry.file not in manifest.files:
            raise invalid(f"{where}[{name}]", f"its file {entry.file} is not among the manifest's files")
        if any(end > manifest.files[entry.file].bytes for _, end in entry.parts.values()):
            raise invalid(f"{where}[{name}]", f"it lies beyond the end of {entry.file}")


def _check_shapes(
    where: str, tensors: Mapping[str, TensorEntry], expected: Mapping[str, tuple[int, ...]], required: bool
) -> None:
    for name, entry in tensors.items():
        if name not in expected:
            raise invalid(f"{where}[{name}]", "the architecture has no such tensor")
        if entry.shape != expected[name]:
            raise invalid(f"{where}[{name}]", f"its shape is {entry.shape}, the architecture needs {expected[name]}")
    missing = expected.keys() - tensors.keys() if required else ()
    if missing:
        raise invalid(where, f"{min(missing)} is missing")


def _check_set(manifest: Manifest, where: str, mixer_set: MixerSet) -> None:
    if mixer_set.draft:
        architecture = mixer_set.draft.architecture(manifest.architecture)
        _check_draft(manifest, where, mixer_set, architecture)
        return
    layers, count = mixer_set.layers, manifest.architecture.num_hidden_layers
    if not layers or len(set(layers)) != len(layers) or max(layers) >= count:
        raise invalid(where, f"its layers must be different ones within 0..{count - 1}")
    check_mamba2_config(mixer_set.config, f"{where}.config")
    _check_places(manifest, f"{where}.tensors", mixer_set.tensors)
    mixers: dict[str, tuple[int, ...]] = {}
    for layer in layers:
        mixers |= mamba2_tensor_shapes(mixer_set.config, manifest.architecture.hidden_size, layer)
    own = {name: entry for name, entry in mixer_set.tensors.items() if name in mixers}
    _check_shapes(f"{where}.tensors", own, mixers, required=True)
    overrides = {name: entry for name, entry in mixer_set.tensors.items() if name not in mixers}
    replaceable = {
        name: shape
        for name, shape in manifest.architecture.tensor_shapes().items()
        if (match := _LAYER.fullmatch(name)) and int(match[1]) in layers
    }
    _check_shapes(f"{where}.tensors", overrides, replaceable, required=False)


def _check_draft(manifest: Manifest, where: str, mixer_set: MixerSet, architecture: Architecture) -> None:
    count = architecture.num_hidden_layers
    if sorted(mixer_set.layers) != list(range(count)):
        raise invalid(where, f"the layers of a draft of {count} must be 0..{count - 1}, each once")
    _check_places(manifest, f"{where}.tensors", mixer_set.tensors)
    _check_shapes(f"{where}.tensors", mixer_set.tensors, _draft_shapes(where, mixer_set, architecture), required=True)


def _draft_shapes(where: str, mixer_set: MixerSet, architecture: Architecture) -> dict[str, tuple[int, ...]]:
    """All that a draft owns: its layers, the last norm, and what reads features if it does. The embedding and the LM
    head are the base's."""
    attention = mixer_set.mixer == "attention"
    shapes = {
        name: shape
        for name, shape in architecture.tensor_shapes().items()
        if name == LAST_NORM or ((match := _LAYER.fullmatch(name)) and (attention or not _is_attention(match)))
    }
    if mixer_set.draft and mixer_set.draft.features:
        shapes[FEATURES] = (architecture.hidden_size, architecture.hidden_size)
    if attention:
        if mixer_set.config:
            raise invalid(f"{where}.config", "it must be empty: attention has the base's shape")
        return shapes
    check_mamba2_config(mixer_set.config, f"{where}.config")
    for layer in range(architecture.num_hidden_layers):
        shapes |= mamba2_tensor_shapes(mixer_set.config, architecture.hidden_size, layer)
    return shapes


def _is_attention(match: re.Match[str]) -> bool:
    return match[2].startswith("self_attn.")


def _check_draft_variant(manifest: Manifest, where: str, variant: Variant, name: str) -> None:
    """A draft is taken whole: each of its layers in its place, and no other's among them."""
    mixer_set = manifest.mixer_sets[name]
    expected = (f"{mixer_set.mixer}:{name}",) * len(mixer_set.layers)
    if tuple(variant.layers) != expected:
        raise invalid(where, f"a draft's variant has the draft's layers and no others, such as {list(expected)}")
    for tensor in manifest.architecture.tensor_shapes():
        if not _LAYER.fullmatch(tensor) and tensor != LAST_NORM and tensor not in manifest.tensors:
            raise invalid(where, f"it needs {tensor}, which is missing")


def _check_variant(manifest: Manifest, where: str, variant: Variant) -> None:
    for layer in variant.layers:
        name = split_layer(layer)[1]
        if name is not None and name in manifest.mixer_sets and manifest.mixer_sets[name].draft:
            _check_draft_variant(manifest, where, variant, name)
            return
    count = manifest.architecture.num_hidden_layers
    if len(variant.layers) != count:
        raise invalid(where, f"it has {len(variant.layers)} layers, the architecture {count}")
    chosen: list[MixerSet | None] = []
    for index, layer in enumerate(variant.layers):
        kind, set_name = split_layer(layer)
        target = manifest.mixer_sets.get(set_name) if set_name is not None else None
        if set_name is not None and (target is None or target.mixer != kind or index not in target.layers):
            raise invalid(where, f"layer {index} is {layer!r}, but that set has no such mixer for it")
        chosen.append(target)
    for name in manifest.architecture.tensor_shapes():
        match = _LAYER.fullmatch(name)
        mixer_set = chosen[int(match[1])] if match else None
        replaced = match is not None and mixer_set is not None and _is_attention(match)
        if not replaced and name not in manifest.tensors and (mixer_set is None or name not in mixer_set.tensors):
            raise invalid(where, f"it needs {name}, which is missing")
