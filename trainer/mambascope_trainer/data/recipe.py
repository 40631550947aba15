"""How data were made, beside the data: the same recipe is not made twice."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from .errors import DataError


def recipe_key(settings: dict[str, Any]) -> str:
    """A digest of all that the data depend on; `settings` is JSON."""
    return hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()[:16]


def file_digest(path: Path) -> str:
    """SHA-256 of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def write_recipe(path: Path, recipe: dict[str, Any]) -> None:
    """Whole or not at all."""
    part = path.with_suffix(".part")
    part.write_text(json.dumps(recipe, indent=1), encoding="utf-8")
    part.replace(path)


def read_recipe(path: Path) -> dict[str, Any] | None:
    """The recipe in a file, None if there is none or it is not one."""
    try:
        recipe = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, json.JSONDecodeError):
        return None
    return recipe if isinstance(recipe, dict) else None


def made_before(recipe: Path, settings: dict[str, Any], results: Iterable[Path]) -> dict[str, Any] | None:
    """The recipe if it is that of these settings and what it made is all there; None if nothing was made yet.

    Raises DataError if something else is in the way.
    """
    found, key = read_recipe(recipe), recipe_key(settings)
    here = [path for path in results if path.exists()]
    if found is not None and found.get("key") == key:
        return found
    if here:
        raise DataError(f"{here[0]} holds data of another recipe", "Name another place, or delete it first.")
    return None
