"""`variant`: list a layer pattern of a bundle's mixer sets as a variant of the family; no weights are written."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from ..bundle.names import NAME_PATTERN
from ..bundle.writer import BundleWriter
from ..errors import MambascopeError
from ..evaluation.subjects import parse_pattern


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--bundle", type=Path, nargs="+", required=True, help="the family's folders; the first is written"
    )
    parser.add_argument("--name", required=True, help="of the variant; one of that name is replaced")
    parser.add_argument("--title", help="default: the share of attention")
    parser.add_argument("--pattern", required=True, help="a mixer a layer, such as a.m~attn50.a2")


def run(options: argparse.Namespace) -> None:
    if not NAME_PATTERN.fullmatch(options.name):
        raise MambascopeError("usage", f"{options.name!r} is no name.", "Use letters, digits, - and _.")
    writer = BundleWriter.open(options.bundle[0], options.bundle[1:])
    layers = parse_pattern(options.pattern, writer.manifest.architecture.num_hidden_layers)
    kept = layers.count("attention") / len(layers)
    writer.add_variant(options.name, options.title or f"{kept:.0%} attention", layers)
    print(json.dumps({"result": {"variant": options.name, "layers": layers}}), flush=True)
