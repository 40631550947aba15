"""The run config's JSON Schema that is checked in, and the recipes under it."""

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from mambascope_trainer.cli import main
from mambascope_trainer.run.config import read_plan
from mambascope_trainer.run.schema import run_config_schema

REPOSITORY = Path(__file__).parents[2]
RECIPES = sorted((REPOSITORY / "trainer" / "recipes").glob("*.json"))
SCHEMA = REPOSITORY / "docs" / "run-config.schema.json"


def test_the_schema_that_is_checked_in_is_current(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="0"):
        main(["train", "--print-schema"])
    assert capsys.readouterr().out == SCHEMA.read_text(), (
        "write it again: train --print-schema > docs/run-config.schema.json"
    )


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_recipes_are_valid_by_the_schema_and_the_trainer(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(REPOSITORY)
    document = json.loads(path.read_text())
    Draft202012Validator(run_config_schema()).validate(document)
    plan = read_plan(path)
    assert plan.name == path.stem
    assert (REPOSITORY / "public" / "models" / plan.stages[0].config.family / "manifest.json").exists()


def recipe(name: str) -> Any:
    return json.loads((REPOSITORY / "trainer" / "recipes" / f"{name}.json").read_text())


BREAKS: dict[str, tuple[str, Callable[[Any], Any]]] = {
    "an unknown field": ("stories-align", lambda c: c.update(colour=1)),
    "a missing section": ("stories-align", lambda c: c.pop("optimiser")),
    "a field of a wrong kind": ("stories-align", lambda c: c["optimiser"].update(steps="many")),
    "an unknown field of a stage": ("tiny-mohawk", lambda c: c["stages"][0].update(layres=[1])),
    "an unknown field of a stage's section": ("tiny-mohawk", lambda c: c["stages"][0]["optimiser"].update(step=1)),
    "no stages": ("tiny-mohawk", lambda c: c.pop("stages")),
}


@pytest.mark.parametrize("name", list(BREAKS))
def test_the_schema_refuses(name: str) -> None:
    base, change = BREAKS[name]
    validator, document = Draft202012Validator(run_config_schema()), recipe(base)
    assert validator.is_valid(document)
    broken = copy.deepcopy(document)
    change(broken)
    assert not validator.is_valid(broken)
