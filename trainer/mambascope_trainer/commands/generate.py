"""`generate`: token rows of chats and plain text, or stories, sampled from the teacher; or stories from the grammar."""

from __future__ import annotations

import argparse
from pathlib import Path

import torch
from tokenizers import Tokenizer

from ..bundle.bundle import Bundle
from ..data.generate import generate_rows, generate_stories, write_grammar_stories
from ..errors import MambascopeError
from ..model.load import load_teacher
from ..run.loop import resolve_device


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--bundle", type=Path, nargs="+", help="folders of the teacher's family (not for grammar)")
    parser.add_argument("--kind", choices=("rows", "stories", "grammar"), required=True)
    parser.add_argument("--out", type=Path, required=True, help="a data folder (rows) or a .jsonl file (stories)")
    parser.add_argument("--rows", type=int, required=True, help="rows to sample, rounded up to whole batches")
    parser.add_argument("--length", type=int, default=1025, help="tokens a row")
    parser.add_argument("--batch", type=int, default=512, help="rows sampled together")
    parser.add_argument("--text-share", type=float, default=0.35, help="rows: share of plain text, the rest chats")
    parser.add_argument("--seed", type=int, default=0)


def run(options: argparse.Namespace) -> None:
    if options.kind == "grammar":
        write_grammar_stories(options.out, options.rows, options.seed)
        return
    if not options.bundle:
        raise MambascopeError("usage", "Sampling needs a teacher.", "Give --bundle.")
    bundle = Bundle.open(options.bundle)
    device = resolve_device("auto")
    model = load_teacher(bundle).eval().requires_grad_(False)
    model.to(device, torch.bfloat16 if device.type == "cuda" else torch.float32)
    tokenizer = Tokenizer.from_file(str(bundle.path(bundle.manifest.tokenizer.file)))
    size = (options.rows, options.length, options.batch, options.seed)
    if options.kind == "rows":
        generate_rows(model, tokenizer, options.out, *size, options.text_share)
    else:
        generate_stories(model, tokenizer, options.out, *size)
