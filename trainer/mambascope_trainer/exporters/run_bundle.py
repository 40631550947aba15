"""A run's result as a bundle: a family of its own (pretrain), or a mixer set and a variant (other methods)."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from tokenizers import Tokenizer

from ..bundle.manifest import Manifest, SpecialTokens
from ..bundle.writer import BundleWriter, Description, Storage
from ..data.pack import END_OF_TEXT
from ..errors import MambascopeError
from ..mixers.quantise import fake_q4_0, fake_q8_0
from ..model.config import Mamba2Config
from ..run.build import new_architecture
from ..run.config import RunConfig, read_config
from ..run.directory import RunDirectory
from .draft import add_draft


@dataclass(frozen=True)
class RunExport:
    """How to write a run. `name` is that of the mixer set and its variant; `tokenizer` belongs to pretrain runs.

    others: the mixer set of the replaced layers that the run left as they were (`layers_trained`); none: they are
    written again.
    """

    codec: str
    name: str | None = None
    title: str | None = None
    tokenizer: Path | None = None
    description: str = ""
    license: str = "Apache-2.0"
    others: str | None = None


def export_run(directory: Path, out: Path, fallbacks: Sequence[Path], options: RunExport) -> str:
    """Writes the run's newest checkpoint into the family's folder `out`; the name of its variant.

    Raises `usage` for missing names, and the errors of runs and bundles.
    """
    config = read_config(directory / "config.json")
    checkpoint = RunDirectory(directory).require_checkpoint()
    state: dict[str, torch.Tensor] = checkpoint["stage"]
    if config.method == "pretrain":
        return _export_family(config, state, out, options)
    return _export_mixers(config, state, checkpoint["step"], out, fallbacks, options)


def _export_family(config: RunConfig, state: dict[str, torch.Tensor], out: Path, options: RunExport) -> str:
    if options.tokenizer is None or options.title is None:
        raise MambascopeError("usage", "A new family needs a tokenizer and a title.", "Give --tokenizer and --title.")
    end: int | None = Tokenizer.from_file(str(options.tokenizer)).token_to_id(END_OF_TEXT)
    if end is None:
        raise MambascopeError(
            "tokenizer", f"{options.tokenizer} has no {END_OF_TEXT}.", "Name the tokenizer that `pack` made."
        )
    tokenizer_config = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "eos_token": END_OF_TEXT,
        "pad_token": END_OF_TEXT,
    }
    BundleWriter.create(
        out,
        Description(config.family, options.title, options.description, options.license, "Trained by this project"),
        new_architecture(config),
        SpecialTokens(bos=end, eos=(end,), pad=end),
        (options.tokenizer.read_bytes(), json.dumps(tokenizer_config, indent=1).encode()),
        {key if key.startswith("lm_head.") else f"model.{key}": value.float().numpy() for key, value in state.items()},
        Storage(matrix=options.codec, embedding=options.codec),
    )
    return "teacher"


def _export_mixers(
    config: RunConfig,
    state: dict[str, torch.Tensor],
    step: int,
    out: Path,
    fallbacks: Sequence[Path],
    options: RunExport,
) -> str:
    if options.name is None:
        raise MambascopeError("usage", "A mixer set needs a name.", "Give --set.")
    if config.method == "draft":
        writer = BundleWriter.open(out, fallbacks)
        add_draft(writer, options.name, options.title, options.codec, config, state, step)
        return options.name
    if config.train == "all":
        raise MambascopeError(
            "export-unsupported",
            "The run trained the base too (train: all), which a bundle's variants share.",
            "Export it with --format hf or onnx; import-hf makes a family of its own of the former.",
        )
    writer = BundleWriter.open(out, fallbacks)
    own = _own_layers(config, writer.manifest, options.others)
    state = {key: value for key, value in state.items() if _layer_of(key) in own}
    arch = writer.manifest.architecture
    mixer = Mamba2Config.like_attention(arch, **config.mixer.options)
    rounding = {"q4_0": fake_q4_0, "q8_0": fake_q8_0}.get(options.codec)
    tensors = {
        # Values on the codec's own grid, so that encoding gives back what training saw.
        key: (rounding(value) if rounding and key.endswith("_proj.weight") else value).float().numpy()
        for key, value in state.items()
    }
    training = {
        "run": config.name,
        "method": config.method,
        "pattern": config.pattern,
        "steps": step,
        "tokens": step * config.optimiser.batch * config.data.seq_len,
    }
    writer.add_mixer_set(options.name, mixer.model_dump(), own, tensors, Storage(matrix=options.codec), training, True)
    replaced = set(config.layers)
    layers = ["attention"] * arch.num_hidden_layers
    for i in replaced:
        layers[i] = f"mamba2:{options.name if i in own else options.others}"
    kept = 1 - len(replaced) / arch.num_hidden_layers
    writer.add_variant(options.name, options.title or f"{kept:.0%} attention", layers)
    return options.name


def _own_layers(config: RunConfig, manifest: Manifest, others: str | None) -> list[int]:
    """The layers that the run's set holds: those that trained if `others` has the rest. Raises `usage`."""
    if others is None:
        return config.layers
    trained = config.layers if config.layers_trained is None else config.layers_trained
    rest = set(config.layers) - set(trained)
    held = manifest.mixer_sets.get(others)
    if held is None or not rest <= set(held.layers):
        raise MambascopeError(
            "usage",
            f"The set {others!r} does not hold the layers {sorted(rest)} of {manifest.family}, which the run left as "
            "they were.",
            "Name the set that the run started from, or leave --others out to write all layers again.",
        )
    return list(trained)


def _layer_of(name: str) -> int:
    """7 of `model.layers.7.mamba.D`."""
    return int(name.split(".")[2])
