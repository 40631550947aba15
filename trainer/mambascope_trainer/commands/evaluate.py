"""`evaluate`: a bundle's variants, or a run's mixers at several precisions, against the teacher; JSON lines."""

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
from ..evaluation.results import quality_entries, write_results
from ..model.llama import Llama
from ..model.load import load_teacher, load_variant
from ..run.config import read_config
from ..run.directory import RunDirectory
from ..run.loop import resolve_device
from ..stages.hybrid import add_student_mixers, load_mixer_state


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--bundle", type=Path, nargs="+", required=True, help="folders of the family")
    parser.add_argument("--variants", nargs="*", default=[], help="variants of the bundle")
    parser.add_argument("--runs", type=Path, nargs="*", default=[], help="run directories: their last mixers, by codec")
    parser.add_argument(
        "--codecs", nargs="*", default=["f32", "q4_0"], choices=("f32", "q8_0", "q4_0"), help="for --runs"
    )
    parser.add_argument("--text", type=Path, nargs="*", default=[], help="text files")
    parser.add_argument("--rows", type=Path, nargs="*", default=[], help="data folders")
    parser.add_argument("--seq-len", type=int, default=1024)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--limit", type=int, help="at most this many windows of each file or folder")
    parser.add_argument("--out", type=Path, help="also write the records to this JSON file")
    parser.add_argument("--results", type=Path, help="also add quality.* entries to this results file")


def run(options: argparse.Namespace) -> None:
    bundle = Bundle.open(options.bundle)
    tokenizer = Tokenizer.from_file(str(bundle.path(bundle.manifest.tokenizer.file)))
    device = resolve_device("auto")
    teacher = load_teacher(bundle).eval().requires_grad_(False).to(device)
    records = []
    for label, student in _subjects(options, bundle):
        student.eval().requires_grad_(False).to(device)
        for source in (*options.text, *options.rows):
            with torch.autocast(device.type, dtype=torch.bfloat16, enabled=device.type == "cuda"):
                measures = compare_with_teacher(student, teacher, _batches(source, tokenizer, options))
            record = {
                "family": bundle.manifest.family,
                **label,
                "data": source.name,
                "seq_len": options.seq_len,
                **measures,
            }
            print(json.dumps(record), flush=True)
            records.append(record)
    if options.results is not None:
        write_results(options.results, quality_entries(records))
    if options.out is not None:
        options.out.write_text(json.dumps(records, indent=1))


def _subjects(options: argparse.Namespace, bundle: Bundle) -> Iterator[tuple[dict[str, str], Llama]]:
    for name in options.variants:
        yield {"variant": name}, load_variant(bundle, name)
    for path in options.runs:
        config = read_config(path / "config.json")
        state = RunDirectory(path).require_checkpoint()["stage"]
        for codec in options.codecs:
            model = load_teacher(bundle)
            add_student_mixers(model, config)
            load_mixer_state(model, config.layers, state)
            for index in config.layers:
                model.mamba(index).codec = None if codec == "f32" else codec
            replaced = set(config.layers)
            model.use(["mamba2" if i in replaced else "attention" for i in range(model.arch.num_hidden_layers)])
            yield {"run": path.name, "codec": codec}, model


def _batches(source: Path, tokenizer: Tokenizer, options: argparse.Namespace) -> Iterator[torch.Tensor]:
    if source.is_dir():
        yield from TokenRows(source, options.seq_len, seed=0).once(options.batch, options.limit)
    else:
        yield from text_windows(source, tokenizer, options.seq_len, options.batch, options.limit)
