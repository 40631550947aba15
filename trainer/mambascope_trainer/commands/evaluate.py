"""`evaluate`: variants, layer patterns and runs against their teacher; progress and records are JSON lines."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from types import UnionType
from typing import Any, Literal, Union, get_args, get_origin

from pydantic.fields import FieldInfo

from ..evaluation.plan import Plan, read_plan
from ..evaluation.results import quality_entries, write_results
from ..evaluation.runner import evaluate


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """One option a field of the plan, with no default here: what is not given comes from the plan's file."""
    parser.add_argument("--plan", type=Path, help="a JSON file with any of these options (underscores for dashes)")
    for name, field in Plan.model_fields.items():
        parser.add_argument(
            f"--{name.replace('_', '-')}", default=argparse.SUPPRESS, help=field.description, **_parsing(field)
        )


def run(options: argparse.Namespace) -> None:
    given = {name: value for name, value in vars(options).items() if name in Plan.model_fields}
    plan = read_plan(options.plan, given)
    records = []
    for record in evaluate(plan, sys.stdout):
        print(json.dumps(record, ensure_ascii=False), flush=True)
        records.append(record)
        # Written as they come: a command that is cut off keeps what it has measured.
        if plan.results is not None:
            write_results(plan.results, quality_entries([record]))
        if plan.out is not None:
            plan.out.parent.mkdir(parents=True, exist_ok=True)
            plan.out.write_text(json.dumps(records, indent=1, ensure_ascii=False))


def _parsing(field: FieldInfo) -> dict[str, Any]:
    """argparse's view of a field: several values for a list, choices of a Literal. Values are checked by the plan."""
    annotation: Any = field.annotation
    options: dict[str, Any] = {}
    if get_origin(annotation) is list:
        options["nargs"] = "*"
        annotation = get_args(annotation)[0]
    if get_origin(annotation) in (UnionType, Union):
        annotation = get_args(annotation)[0]
    if get_origin(annotation) is Literal:
        options["choices"] = _texts(get_args(annotation))
    return options


def _texts(values: Sequence[object]) -> list[str]:
    return [str(value) for value in values]
