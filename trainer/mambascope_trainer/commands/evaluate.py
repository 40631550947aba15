"""`evaluate`: a bundle's variants, or a run's mixers at several precisions, against the teacher; JSON on standard output."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from pathlib import Path

import torch
from tokenizers import Tokenizer

from ..bundle.bundle import Bundle
from ..data.tokens import TokenRows
from ..evaluation.agreement import compare_with_teacher, text_windows
from ..model.llama import Layer, Llama
from ..model.load import load_mixers, load_teacher
from ..run.config import RunConfig
from ..run.directory import RunDirectory
from ..run.loop import resolve_device
from ..stages.hybrid import add_student_mixers, load_mixer_state


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--bundle", type=Path, nargs="+", required=True, help="folders of the family")
    parser.add_argument("--variants", nargs="*", default=[], help="variants of the bundle")
    parser.add_argument("--runs", type=Path, nargs="*", default=[], help="run directories: their last mixers, by codec")
    parser.add_argument("--codecs", nargs="*", default=["f32", "q4_0"], help="for --runs: f32, q8_0, q4_0")
    parser.add_argument("--text", type=Path, nargs="*", default=[], help="text files")
    parser.add_argument("--rows", type=Path, nargs="*", default=[], help="data folders")
    parser.add_argument("--seq-len", type=int, default=1024)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--limit", type=int, help="at most this many windows of each file or folder")
    parser.add_argument("--out", type=Path, help="also write the records to this JSON file")


def run(options: argparse.Namespace) -> None:
    bundle = Bundle.open(options.bundle)
    tokenizer = Tokenizer.from_file(str(bundle.path(bundle.manifest.tokenizer.file)))
    device = resolve_device("auto")
    records = []
    for label, model, pattern in _subjects(options, bundle):
        model.eval().requires_grad_(False).to(device)
        for source in (*options.text, *options.rows):
            with torch.autocast(device.type, dtype=torch.bfloat16, enabled=device.type == "cuda"):
                measures = compare_with_teacher(model, pattern, _batches(source, tokenizer, options))
            record = {"family": bundle.manifest.family, **label, "data": source.name, "seq_len": options.seq_len, **measures}
            print(json.dumps(record), flush=True)
            records.append(record)
    if options.out is not None:
        options.out.write_text(json.dumps(records, indent=1))


def _subjects(options: argparse.Namespace, bundle: Bundle) -> Iterator[tuple[dict[str, str], Llama, list[str]]]:
    for name in options.variants:
        model = load_teacher(bundle)
        load_mixers(model, bundle, bundle.variant(name).layers)
        yield {"variant": name}, model, model.pattern
    for path in options.runs:
        directory = RunDirectory(path)
        config = RunConfig.model_validate(json.loads((path / "config.json").read_text()))
        checkpoint = directory.load_checkpoint()
        if checkpoint is None:
            raise FileNotFoundError(f"{path} holds no checkpoint")
        for codec in options.codecs:
            model = load_teacher(bundle)
            add_student_mixers(model, config)
            load_mixer_state(model, config.layers, checkpoint["stage"])
            for index in config.layers:
                layer = model.layers[index]
                assert isinstance(layer, Layer) and layer.mamba is not None
                layer.mamba.codec = None if codec == "f32" else codec
            replaced = set(config.layers)
            pattern = ["mamba2" if i in replaced else "attention" for i in range(model.arch.num_hidden_layers)]
            yield {"run": path.name, "codec": codec}, model, pattern


def _batches(source: Path, tokenizer: Tokenizer, options: argparse.Namespace) -> Iterator[torch.Tensor]:
    if source.is_dir():
        rows = TokenRows(source, options.seq_len, seed=0)
        count = len(rows) if options.limit is None else min(options.limit, len(rows))
        for start in range(0, count // options.batch):
            yield rows.batch(start, options.batch)
    else:
        yield from text_windows(source, tokenizer, options.seq_len, options.batch, options.limit)
