"""`train`: a run config in, a run directory out."""

from __future__ import annotations

import argparse
from pathlib import Path

from ..run.config import ConfigError, read_plan
from ..run.train import train


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--config", type=Path, required=True, help="the run config (JSON)")
    parser.add_argument(
        "--run", dest="directory", type=Path, required=True, help="the run directory, made if it is missing"
    )
    parser.add_argument("--resume", action="store_true", help="go on from the newest checkpoint")
    parser.add_argument(
        "--steps", type=int, help="instead of the config's optimiser.steps; of every stage of a pipeline"
    )


def run(options: argparse.Namespace) -> None:
    if options.steps is not None and options.steps < 1:
        raise ConfigError("--steps must be at least 1", "Give a number of steps.")
    train(read_plan(options.config, options.steps), options.directory, options.resume)
