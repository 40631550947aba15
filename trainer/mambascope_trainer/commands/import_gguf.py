"""`import-gguf`: progress as JSON lines on standard output, the last one `{"done": …}`."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from ..errors import MambascopeError
from ..importers.import_gguf import Titles, import_gguf, restore_base
from ..progress import Progress


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("source", type=Path, help="the .gguf file, or a wheel that holds one")
    parser.add_argument("--out", type=Path, required=True, help="the family's folder, made if it is missing")
    parser.add_argument("--family", help="the family's name (needed unless --manifest gives it)")
    parser.add_argument("--manifest", type=Path, help="a shipped manifest: write only its base files, byte for byte")
    for name in ("title", "description", "license", "source-url"):
        parser.add_argument(f"--{name}", help=f"the manifest's {name}, instead of the file's own")


def run(options: argparse.Namespace) -> None:
    progress = Progress(sys.stdout)
    if options.manifest is not None:
        files = restore_base(options.source, options.manifest, options.out, progress)
    elif options.family is None:
        raise MambascopeError("usage", "A new family needs a name.", "Give --family, or --manifest to restore one.")
    else:
        titles = Titles(options.title, options.description, options.license, options.source_url)
        files = sorted(import_gguf(options.source, options.family, options.out, titles, progress).files)
    print(json.dumps({"result": {"out": str(options.out), "files": files}}), flush=True)
