"""Pipelines: several stages in one run directory, each starting from what the one before it left.

A config with `stages` holds shared fields, and in each stage the fields that differ; one with `stepwise` repeats its
stages for less and less attention (progressive replacement, arXiv 2408.15237, section 3).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import pairwise
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

Document = dict[str, Any]


class StepwiseConfig(BaseModel):
    """Less and less attention: each step's layers are those of the step before and more."""

    model_config = ConfigDict(extra="forbid")

    ratios: list[Annotated[float, Field(ge=0, le=1)]] = Field(
        min_length=1, description="Shares of the layers that keep attention, falling, such as 0.5, 0.25, 0.125, 0"
    )
    selection: Literal["interleaved"] | list[list[Annotated[int, Field(ge=0)]]] = Field(
        default="interleaved",
        description="The layers that keep attention: spread evenly among those of the step before, or a list a ratio",
    )


def is_pipeline(document: Any) -> bool:
    return isinstance(document, dict) and ("stages" in document or "stepwise" in document)


def expand(document: Document, layer_count: Callable[[], int]) -> Document:
    """The same pipeline without `stepwise`: its stages written out, each with a name.

    layer_count: the teacher's, asked for only if needed. Raises ValueError naming what is wrong, and pydantic's
    ValidationError for a `stepwise` that is not valid.
    """
    stages = document.get("stages", [{}])
    if not isinstance(stages, list) or not stages or not all(isinstance(stage, dict) for stage in stages):
        raise ValueError("stages: expected a list of objects, at least one")
    stages = [{"name": str(stage.get("method", f"stage-{i}")), **stage} for i, stage in enumerate(stages)]
    if "stepwise" in document:
        stepwise = StepwiseConfig.model_validate(document["stepwise"])
        stages = [
            {**stage, "name": name if len(stages) == 1 else f"{name}-{stage['name']}", "layers": layers}
            for name, layers in replaced_layers(stepwise, layer_count())
            for stage in stages
        ]
    names = [stage["name"] for stage in stages]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise ValueError(f"stages: two are named {twice!r}")
    return {**{key: value for key, value in document.items() if key != "stepwise"}, "stages": stages}


def stage_documents(document: Document) -> list[tuple[str, Document]]:
    """Name and whole config of each stage of an expanded pipeline.

    Stages after the first start from "previous", and what that lacks from the shared `mixer.start_from` or fresh,
    unless they say otherwise themselves.
    """
    shared = {key: value for key, value in document.items() if key != "stages"}
    whole = []
    for index, stage in enumerate(document["stages"]):
        fields = {key: value for key, value in stage.items() if key != "name"}
        config = merge(shared, fields)
        mixer = config.setdefault("mixer", {})
        own = fields.get("mixer", {})
        if index and isinstance(mixer, dict) and not (isinstance(own, dict) and "start_from" in own):
            given = mixer.get("start_from") or ["init"]
            mixer["start_from"] = ["previous", *([given] if isinstance(given, str) else given)]
        whole.append((stage["name"], config))
    return whole


def merge(shared: Document, changes: Document) -> Document:
    """`shared` with `changes`, section by section; lists and plain values are replaced. Shares nothing with either."""
    merged = {key: merge(value, {}) if isinstance(value, dict) else value for key, value in shared.items()}
    for key, value in changes.items():
        held = merged.get(key)
        merged[key] = merge(held if isinstance(held, dict) else {}, value) if isinstance(value, dict) else value
    return merged


def replaced_layers(stepwise: StepwiseConfig, count: int) -> list[tuple[str, list[int]]]:
    """A name, such as attn50, and the layers to replace, of each step. Raises ValueError if they are not nested."""
    ratios, selection = stepwise.ratios, stepwise.selection
    if any(later >= earlier for earlier, later in pairwise(ratios)):
        raise ValueError("stepwise.ratios: each must be less than the one before")
    if isinstance(selection, list) and len(selection) != len(ratios):
        raise ValueError(f"stepwise.selection: {len(ratios)} ratios need {len(ratios)} lists")
    kept, steps = list(range(count)), []
    for place, ratio in enumerate(ratios):
        if isinstance(selection, list):
            chosen = sorted(set(selection[place]))
            if not set(chosen) <= set(kept):
                raise ValueError("stepwise.selection: a list names layers that the one before has replaced")
        else:
            wanted = kept_layers(ratio, count)
            chosen = [kept[i * len(kept) // wanted] for i in range(wanted)]
        if len(chosen) == count:
            raise ValueError("stepwise: a step replaces no layer")
        kept = chosen
        steps.append((f"attn{math.floor(100 * ratio)}", [i for i in range(count) if i not in kept]))
    return steps


def kept_layers(ratio: float, count: int) -> int:
    """How many of `count` layers keep attention: half up, at least one if the ratio is not 0 (docs/contracts.md)."""
    return max(math.floor(ratio * count + 0.5), 1 if ratio else 0)
