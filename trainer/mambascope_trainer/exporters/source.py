"""What is exported: a model and its tokenizer, from a bundle's variant, any pattern of its mixers, or a run."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from ..bundle.bundle import Bundle
from ..bundle.manifest import SpecialTokens
from ..bundle.names import split_layer
from ..errors import MambascopeError
from ..evaluation.subjects import load_run, parse_pattern
from ..model.llama import Llama
from ..model.load import load_alone, load_mixers, load_teacher
from ..run.config import read_config
from .run_bundle import RunExport, export_run


@dataclass(frozen=True)
class ExportSource:
    """A model in evaluation mode, float32 on the CPU, and all that its folder needs beside the weights."""

    model: Llama
    name: str
    title: str
    license: str
    origin: str
    special_tokens: SpecialTokens
    tokenizer: bytes
    tokenizer_config: dict[str, Any]


def from_bundle(folders: Sequence[Path], variant: str | None, pattern: str | None) -> ExportSource:
    """A variant by name, or the mixers that a pattern's text form names (default: the variant `teacher`)."""
    if variant is not None and pattern is not None:
        raise MambascopeError("usage", "A variant and a pattern exclude each other.", "Give one of them.")
    bundle = Bundle.open(folders)
    if pattern is None:
        name = variant or "teacher"
        return _with_tokenizer(bundle, load_alone(bundle, name), name)
    layers = _known(bundle, parse_pattern(pattern, bundle.manifest.architecture.num_hidden_layers))
    model = load_teacher(bundle, [index for index, entry in enumerate(layers) if entry != "attention"])
    load_mixers(model, bundle, layers)
    return _with_tokenizer(bundle, model, pattern)


def from_run(directory: Path, fallbacks: Sequence[Path], options: RunExport) -> ExportSource:
    """What a run has trained, its mixers rounded to `options.codec`. `fallbacks` are folders of its family, beside
    those that its config names."""
    config = read_config(directory / "config.json")
    if config.method == "pretrain":
        with TemporaryDirectory() as scratch:
            export_run(directory, Path(scratch), [], options)
            return replace(from_bundle([Path(scratch)], None, None), name=f"{config.family} {directory.name}")
    bundle = Bundle.open([*fallbacks, *(Path(root) / config.family for root in config.bundle)])
    return _with_tokenizer(bundle, load_run(load_teacher(bundle), directory, options.codec), directory.name)


def _with_tokenizer(bundle: Bundle, model: Llama, name: str) -> ExportSource:
    manifest = bundle.manifest
    return ExportSource(
        model=model.eval().requires_grad_(False),
        name=f"{manifest.family} {name}",
        title=manifest.title,
        license=manifest.license,
        origin=manifest.source,
        special_tokens=manifest.special_tokens,
        tokenizer=bundle.path(manifest.tokenizer.file).read_bytes(),
        tokenizer_config=json.loads(bundle.path(manifest.tokenizer.config).read_text(encoding="utf-8")),
    )


def _known(bundle: Bundle, layers: list[str]) -> list[str]:
    """The layers, if the family has a mixer for each. Raises `mixer-set-missing`."""
    sets = bundle.manifest.mixer_sets
    for index, layer in enumerate(layers):
        kind, mixer_set = split_layer(layer)
        if mixer_set is None:
            continue
        if mixer_set not in sets or sets[mixer_set].mixer != kind or index not in sets[mixer_set].layers:
            raise MambascopeError(
                "mixer-set-missing",
                f"Family {bundle.manifest.family} has no mixer {layer!r} for layer {index}.",
                f"Its mixer sets are: {', '.join(sets) or 'none yet'}.",
            )
    return layers
