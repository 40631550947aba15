"""`import-hf`: progress as JSON lines on standard output, the last one the result."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from ..bundle.codecs import CODEC_PARTS
from ..importers.import_gguf import Titles
from ..importers.import_hf import Codecs, import_hugging_face
from ..progress import Progress


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--source", required=True, help="a folder with config.json and safetensors (or mamba_config.json), or a hub id"
    )
    parser.add_argument("--out", type=Path, required=True, help="the family's new folder")
    parser.add_argument("--family", help="the family's name (default: that of the folder)")
    parser.add_argument("--codec", choices=tuple(CODEC_PARTS), default="q8_0", help="how projections are stored")
    parser.add_argument(
        "--embedding-codec",
        choices=tuple(CODEC_PARTS),
        help="embedding and LM head (default: at least q8_0)",
    )
    for name in ("title", "description", "license", "source-url"):
        parser.add_argument(f"--{name}", help=f"the manifest's {name}")


def run(options: argparse.Namespace) -> None:
    titles = Titles(options.title, options.description, options.license, options.source_url)
    codecs = Codecs(options.codec, options.embedding_codec)
    family = options.family or options.out.resolve().name
    manifest = import_hugging_face(options.source, family, options.out, titles, codecs, Progress(sys.stdout))
    result = {"out": str(options.out), "files": sorted(manifest.files), "variants": list(manifest.variants)}
    print(json.dumps({"result": result}), flush=True)
