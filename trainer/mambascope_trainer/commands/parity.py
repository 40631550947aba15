"""`parity`: one JSON line a comparison; with --fixtures, the file that the browser's parity test reads."""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict
from pathlib import Path

import numpy as np

from ..bundle.bundle import Bundle
from ..bundle.safetensors import write_atomic
from ..errors import MambascopeError
from ..model.load import load_alone
from ..parity import check_variant, default_prompts, fixture, load_tokenizer


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("bundle", type=Path, nargs="+", help="the family's folder, or several that share the family")
    parser.add_argument("--variants", nargs="+", help="which variants (default: all that run alone)")
    parser.add_argument("--prompts", type=Path, help="a JSON list of texts, instead of the built-in ones")
    parser.add_argument("--continuation", type=int, default=128, help="greedy tokens to record a prompt")
    parser.add_argument("--tolerance", type=float, default=1e-3, help="largest accepted difference of logits")
    parser.add_argument("--fixtures", type=Path, help="write the recorded logits and continuations here")
    parser.add_argument("--logits", type=Path, help="with --fixtures: a folder for all positions' logits too")


def run(options: argparse.Namespace) -> int:
    bundle = Bundle.open(options.bundle)
    tokenizer = load_tokenizer(bundle)
    texts = _read_prompts(options.prompts) if options.prompts else default_prompts(tokenizer)
    prompts = [tokenizer.encode(text).ids for text in texts]
    manifest = bundle.manifest
    alone = [name for name, variant in manifest.variants.items() if not manifest.reads_features(variant.layers)]
    models = {name: load_alone(bundle, name) for name in options.variants or alone}
    differences = []
    for name, model in models.items():
        found = check_variant(bundle, name, model, prompts)
        differences += found
        for item in found:
            print(json.dumps(asdict(item)), flush=True)
    if options.fixtures:
        document = fixture(bundle, models, texts, options.continuation, differences, options.logits)
        write_atomic(options.fixtures, [(json.dumps(document, ensure_ascii=False) + "\n").encode("utf-8")])
    worst = max((item.max_abs_diff for item in differences), default=np.inf)
    if not worst <= options.tolerance:
        raise MambascopeError(
            "parity",
            f"Logits differ by up to {worst:.3g}, more than {options.tolerance:.3g}.",
            "Check the bundle with `verify`; if it is whole, the models disagree and one of them is wrong.",
        )
    return 0


def _read_prompts(path: Path) -> list[str]:
    texts = json.loads(path.read_text(encoding="utf-8"))
    if not isinstance(texts, list) or not texts or not all(isinstance(text, str) and text for text in texts):
        raise MambascopeError("prompts", f"{path} is not a JSON list of texts.", 'Write one, such as ["Hello"].')
    return texts
