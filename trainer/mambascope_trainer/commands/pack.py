"""`pack`: train a tokenizer on texts (unless there is one) and pack them into token rows."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from tokenizers import Tokenizer

from ..data.pack import pack_texts, read_texts, train_tokenizer


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--texts", type=Path, nargs="+", required=True, help='JSON lines with a "text" each')
    parser.add_argument(
        "--tokenizer", type=Path, required=True, help="tokenizer.json, trained on the texts if it is missing"
    )
    parser.add_argument("--vocabulary", type=int, default=4096)
    parser.add_argument("--out", type=Path, required=True, help="data folder: train/ and evaluation/ are made in it")
    parser.add_argument("--length", type=int, default=513, help="tokens a row")


def run(options: argparse.Namespace) -> None:
    texts = list(read_texts(options.texts))
    if not options.tokenizer.exists():
        options.tokenizer.parent.mkdir(parents=True, exist_ok=True)
        train_tokenizer(texts, options.vocabulary).save(str(options.tokenizer))
    counts = pack_texts(texts, Tokenizer.from_file(str(options.tokenizer)), options.out, options.length)
    print(json.dumps({"result": {"texts": len(texts), **counts}}), flush=True)
