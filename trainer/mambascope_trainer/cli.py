"""The command line. Each subcommand is a module with `add_arguments` and `run`, imported only when it is chosen,
so that importing a model needs numpy alone."""

from __future__ import annotations

import argparse
import importlib
import json
import sys
from collections.abc import Sequence

from .errors import MambascopeError
from .files import file_error
from .run.supervised import report_error

#: Subcommand to (module, help).
COMMANDS: dict[str, tuple[str, str]] = {
    "import-gguf": ("commands.import_gguf", "convert a GGUF file (or a wheel that holds one) to a bundle"),
    "import-hf": ("commands.import_hf", "convert a Hugging Face folder or a published hybrid to a bundle"),
    "verify": ("commands.verify", "check a bundle: manifest, files, checksums, values"),
    "generate": ("commands.generate", "make training data with a teacher"),
    "prepare": ("commands.prepare", "tokenise, deduplicate and pack local chats and texts, or datasets"),
    "token-ranking": ("commands.token_ranking", "rank a family's tokens by how often its data hold them"),
    "pack": ("commands.pack", "train a tokenizer on texts and pack them into token rows"),
    "train": ("commands.train", "run a training config in a run directory, or resume it"),
    "job": ("commands.job", "run the steps of a run directory's job.json, or go on with them"),
    "select": ("commands.select", "choose the layers that keep attention, greedily by the KL to the teacher"),
    "evaluate": ("commands.evaluate", "compare hybrids with their teacher: distance, choices, needle, samples"),
    "export": ("commands.export", "write a run or a variant into a bundle, a Hugging Face folder or an ONNX folder"),
    "bench": ("commands.bench", "measure training speed on random weights"),
    "speculate": ("commands.speculate", "measure speculative decoding: the state update alone, and whole models"),
    "variant": ("commands.variant", "list a layer pattern of a bundle's mixer sets as a variant"),
    "parity": ("commands.parity", "compare the models' logits with an independent implementation"),
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one subcommand; 0 if it succeeded, 1 for an expected failure (printed as JSON), 2 for wrong usage."""
    try:
        options = parse(sys.argv[1:] if arguments is None else arguments)
        return int(options.run(options) or 0)
    except MambascopeError as error:
        return _fail(error)
    except OSError as error:
        return _fail(file_error(error))
    except ModuleNotFoundError as error:
        return _fail(_missing_package(error))


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """The options of a subcommand, with its `run`. Exits with 2 for wrong usage."""
    parser = argparse.ArgumentParser(prog="mambascope_trainer", description="Distils and converts hybrid models.")
    subparsers = parser.add_subparsers(dest="command", required=True, metavar="command")
    chosen = next((word for word in arguments if word in COMMANDS), None)
    for name, (module_name, summary) in COMMANDS.items():
        subparser = subparsers.add_parser(name, help=summary, description=summary)
        if name == chosen:
            module = importlib.import_module(f".{module_name}", __package__)
            module.add_arguments(subparser)
            subparser.set_defaults(run=module.run)
    return parser.parse_args(arguments)


def _missing_package(error: ModuleNotFoundError) -> MambascopeError:
    return MambascopeError(
        "package-missing",
        f"The Python package {error.name} is not installed.",
        "Install trainer/requirements.txt, or trainer/requirements-import.txt for import-gguf and verify.",
    )


def _fail(error: MambascopeError) -> int:
    """Tells programs on standard output (the runner of a job in a file) and people on standard error."""
    if not report_error(error):
        print(json.dumps({"error": error.to_json()}), flush=True)
    print(f"{error.message} {error.action}", file=sys.stderr, flush=True)
    return 1
