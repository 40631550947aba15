"""`prepare`: local chats and texts, or datasets of a hub, to packed token rows for the teacher's tokenizer."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from ..bundle.bundle import Bundle
from ..data.chat import TokenizerFiles
from ..data.encode import EncodeSettings
from ..data.prepare import PrepareRequest, default_workers, prepare
from ..data.sources import parse_source
from ..errors import MambascopeError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--bundle", type=Path, nargs="+", required=True, help="folders of the teacher's family")
    options = "[,share=0.5][,limit=1000]"
    parser.add_argument(
        "--source",
        action="append",
        default=[],
        metavar=f"PATH{options}[,documents=file|paragraph|line][,field=text]",
        help="a .jsonl or text file, or a folder of them; may be given again",
    )
    parser.add_argument(
        "--dataset",
        action="append",
        default=[],
        metavar=f"NAME[:CONFIG]{options}[,split=train][,field=text]",
        help="a Hugging Face dataset; may be given again",
    )
    parser.add_argument("--split", default="train", help="of datasets that name none")
    parser.add_argument("--field", default="text", help="of sources that name none")
    parser.add_argument("--exclude", action="append", default=[], metavar="PATH", help="drop copies of these documents")
    parser.add_argument("--out", type=Path, required=True, help="data folder: train/ and evaluation/ are made in it")
    parser.add_argument("--length", type=int, default=1025, help="tokens a row")
    parser.add_argument("--held-out", type=int, default=0, help="rows for evaluation/")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--near", type=float, default=0.8, help="similarity of near-duplicates; 0: exact ones only")
    parser.add_argument("--tokenised-share", type=float, default=0.0, help="share of texts put in WikiText's form")
    parser.add_argument("--workers", type=int, help="tokenising processes (default: one a core)")


def run(options: argparse.Namespace) -> None:
    sources = [parse_source(text, field=options.field) for text in options.source]
    sources += [parse_source(text, hub=True, field=options.field, split=options.split) for text in options.dataset]
    if not sources:
        raise MambascopeError("usage", "There is nothing to prepare.", "Give --source or --dataset.")
    sources += [parse_source(text, field=options.field, excluded=True) for text in options.exclude]
    for name, valid in (
        ("length", options.length > 1),
        ("held-out", options.held_out >= 0),
        ("near", 0 <= options.near <= 1),
        ("tokenised-share", 0 <= options.tokenised_share <= 1),
    ):
        if not valid:
            raise MambascopeError("usage", f"--{name} is out of range.", "Correct it.")
    tokenizer = TokenizerFiles.of(Bundle.open(options.bundle))
    encode = EncodeSettings(tokenizer, options.tokenised_share, options.seed, options.near > 0)
    request = PrepareRequest(
        tuple(sources), encode, options.length, options.held_out, options.seed, options.near or None
    )
    counts = prepare(request, options.out, options.workers or default_workers(sources))
    print(json.dumps({"result": counts}), flush=True)
