"""`export`: a run's result into a bundle: a family of its own (pretrain), or a mixer set and a variant (other runs)."""

from __future__ import annotations

import argparse
import json
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


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--run", dest="directory", type=Path, required=True, help="the run directory")
    parser.add_argument("--out", type=Path, required=True, help="the family's folder")
    parser.add_argument("--fallback", type=Path, nargs="*", default=[], help="other folders of the family")
    parser.add_argument("--set", dest="mixer_set", help="name of the mixer set and of its variant")
    parser.add_argument("--title", help="title of the variant, or of a new family")
    parser.add_argument("--codec", choices=("q4_0", "q8_0", "f16"), default="q8_0", help="how matrices are stored")
    parser.add_argument("--tokenizer", type=Path, help="pretrain runs: tokenizer.json")
    parser.add_argument("--description", default="", help="pretrain runs: what the family is")
    parser.add_argument("--license", default="Apache-2.0", help="pretrain runs")


def run(options: argparse.Namespace) -> None:
    config = read_config(options.directory / "config.json")
    checkpoint = RunDirectory(options.directory).require_checkpoint()
    state: dict[str, torch.Tensor] = checkpoint["stage"]
    if config.method == "pretrain":
        _export_family(options, config, state)
    else:
        _export_mixers(options, config, state, checkpoint["step"])
    print(json.dumps({"result": {"out": str(options.out)}}), flush=True)


def _export_family(options: argparse.Namespace, config: RunConfig, state: dict[str, torch.Tensor]) -> None:
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
        options.out,
        Description(config.family, options.title, options.description, options.license, "Trained by this project"),
        new_architecture(config),
        SpecialTokens(bos=end, eos=(end,), pad=end),
        (options.tokenizer.read_bytes(), json.dumps(tokenizer_config, indent=1).encode()),
        {key if key.startswith("lm_head.") else f"model.{key}": value.float().numpy() for key, value in state.items()},
        Storage(matrix=options.codec, embedding=options.codec),
    )


def _export_mixers(options: argparse.Namespace, config: RunConfig, state: dict[str, torch.Tensor], step: int) -> None:
    if options.mixer_set is None:
        raise MambascopeError("usage", "A mixer set needs a name.", "Give --set.")
    writer = BundleWriter.open(options.out, options.fallback)
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
        options.mixer_set, mixer.model_dump(), config.layers, tensors, Storage(matrix=options.codec), training, True
    )
    replaced = set(config.layers)
    layers = [f"mamba2:{options.mixer_set}" if i in replaced else "attention" for i in range(arch.num_hidden_layers)]
    kept = 1 - len(replaced) / arch.num_hidden_layers
    writer.add_variant(options.mixer_set, options.title or f"{kept:.0%} attention", layers)
