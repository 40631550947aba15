"""`job`: runs the steps that a run directory's job.json names, or goes on with them."""

from __future__ import annotations

import argparse
from pathlib import Path

import mambascope_trainer

from ..job.plan import Places
from ..job.runner import Runner


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--run", "--run-dir", dest="directory", type=Path, required=True, help="a run directory with a job.json"
    )
    parser.add_argument("--root", type=Path, help="{root}: where data and models lie (the run directory's grandparent)")
    parser.add_argument("--shipped", type=Path, help="{shipped}: the bundles that ship (ROOT/shipped)")


def run(options: argparse.Namespace) -> int:
    directory = options.directory.resolve()
    root = (options.root or directory.parents[1]).resolve()
    shipped = (options.shipped or root / "shipped").resolve()
    trainer = Path(mambascope_trainer.__file__).resolve().parents[1]
    return int(Runner(Places(directory, root, shipped, trainer)).run() == "failed")
