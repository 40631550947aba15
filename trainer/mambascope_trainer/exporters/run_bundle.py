"""A run's result as a bundle: a family of its own (pretrain), or a mixer set and a variant (other methods)."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from tokenizers import Tokenizer

from ..bundle.manifest import SpecialTokens
from ..bundle.writer import BundleWriter, Description, Storage
from ..data.pack import END_OF_TEXT
from ..errors import MambascopeError
from ..mixers.quantise import fake_q4_0, fake_q8_0
from ..model.config import Mamba2Config
from ..run.config import RunConfig, read_config
from ..run.directory import RunDirectory
from ..run.train import new_architecture
from .draft import add_draft


@dataclass(frozen=True)
class RunExport:
    """How to write a run. `name` is that of the mixer set and its variant; `tokenizer` belongs to pretrain runs."""

    codec: str
    name: str | None = None
    title: str | None = None
    tokenizer: Path | None = None
    description: str = ""
    license: str = "Apache-2.0"


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
    writer = BundleWriter.open(out, fallbacks)
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
    writer.add_mixer_set(
        options.name, mixer.model_dump(), config.layers, tensors, Storage(matrix=options.codec), training, True
    )
    replaced = set(config.layers)
    layers = [f"mamba2:{options.name}" if i in replaced else "attention" for i in range(arch.num_hidden_layers)]
    kept = 1 - len(replaced) / arch.num_hidden_layers
    writer.add_variant(options.name, options.title or f"{kept:.0%} attention", layers)
    return options.name
