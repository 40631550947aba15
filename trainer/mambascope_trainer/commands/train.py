"""`train`: a run config in, a run directory out."""

from __future__ import annotations

import argparse
from pathlib import Path

from ..run.config import ConfigError, read_plan
from ..run.schema import schema_text
from ..run.train import train


class _PrintSchema(argparse.Action):
    """Prints and ends, as --help does: the other options are not needed."""

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        print(schema_text(), end="")
        parser.exit()


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--config", type=Path, required=True, help="the run config (JSON)")
    parser.add_argument(
        # torchrun takes --run itself, as an abbreviation of its own options.
        "--run",
        "--run-dir",
        dest="directory",
        type=Path,
        required=True,
        help="the run directory, made if it is missing",
    )
    parser.add_argument(
        "--print-schema", action=_PrintSchema, nargs=0, help="print the run config's JSON Schema and end"
    )
    parser.add_argument("--resume", action="store_true", help="go on from the newest checkpoint")
    parser.add_argument(
        "--steps", type=int, help="instead of the config's optimiser.steps; of every stage of a pipeline"
    )


def run(options: argparse.Namespace) -> None:
    if options.steps is not None and options.steps < 1:
        raise ConfigError("--steps must be at least 1", "Give a number of steps.")
    train(read_plan(options.config, options.steps), options.directory, options.resume)
