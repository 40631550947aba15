"""The run config as JSON Schema: a single run, or a pipeline of several stages."""

from __future__ import annotations

import json
from typing import Any

from .config import RunConfig
from .pipeline import StepwiseConfig

Schema = dict[str, Any]


def run_config_schema() -> Schema:
    """A run config is a Run, or a Pipeline, whose shared fields and stages are parts of one."""
    run = RunConfig.model_json_schema()
    definitions: Schema = run.pop("$defs")
    parts = {f"Partial{name}": _partial(schema) for name, schema in definitions.items() if "properties" in schema}
    stage = _partial(run)
    stage["properties"] = {**stage["properties"], "name": {"type": "string", "description": "As metrics call it"}}
    shared = _partial(run)
    shared["properties"] = {
        **shared["properties"],
        "stages": {"type": "array", "minItems": 1, "items": {"$ref": "#/$defs/Stage"}},
        "stepwise": {"$ref": "#/$defs/StepwiseConfig"},
    }
    shared |= {"required": ["name"], "anyOf": [{"required": ["stages"]}, {"required": ["stepwise"]}]}
    # Items of lists are whole: no part of them is referred to.
    referred = json.dumps([stage, shared, parts])
    used = {name: part for name, part in parts.items() if f'"#/$defs/{name}"' in referred}
    named = {
        "Run": run,
        "Pipeline": {**shared, "title": "Pipeline", "description": "Shared fields, and stages that change some"},
        "Stage": {**stage, "title": "Stage", "description": "The fields of one stage that differ from the shared ones"},
        "StepwiseConfig": StepwiseConfig.model_json_schema(),
    }
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Run config",
        "anyOf": [{"$ref": "#/$defs/Run"}, {"$ref": "#/$defs/Pipeline"}],
        "$defs": {**named, **definitions, **used},
    }


def schema_text() -> str:
    return json.dumps(run_config_schema(), indent=1, ensure_ascii=False) + "\n"


def _partial(schema: Schema) -> Schema:
    """The same object with no field required, down to its sections."""
    text = json.dumps({key: value for key, value in schema.items() if key != "required"})
    partial: Schema = json.loads(text)
    for field in partial.get("properties", {}).values():
        _to_partial_sections(field)
    return partial


def _to_partial_sections(field: Schema) -> None:
    """A section is merged with the shared one, so each of its fields may be left out; items of lists are whole."""
    for place in (field, *field.get("anyOf", [])):
        name = place.get("$ref", "").removeprefix("#/$defs/")
        if name:
            place["$ref"] = f"#/$defs/Partial{name}"
