"""`generate`: training data sampled from the teacher, or from the story grammar.

rows         token rows of chats and plain text
answers      chats whose last turn is the teacher's answer (JSON lines, for `prepare`)
preferences  pairs for DPO: the teacher's answer against a student's (JSON lines)
stories, grammar   short stories (JSON lines)
grammar-pairs      pairs for DPO: a story's own end against another's (JSON lines)
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..bundle.bundle import Bundle
from ..bundle.manifest import TensorEntry
from ..bundle.names import split_layer
from ..data.answers import Sampling
from ..data.chat import ChatFormat
from ..data.generate import (
    RowsRequest,
    generate_rows,
    generate_stories,
    read_openings,
    write_grammar_pairs,
    write_grammar_stories,
)
from ..data.generate_chats import ChatRequest, generate_answers, generate_preferences
from ..data.recipe import file_digest, made_before, read_recipe, recipe_key, write_recipe
from ..data.sampler import for_sampling
from ..errors import MambascopeError
from ..evaluation.subjects import load_run
from ..model.llama import Llama
from ..model.load import load_alone, load_teacher
from ..run.device import resolve_device
from ..run.directory import RunDirectory


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--bundle", type=Path, nargs="+", help="folders of the teacher's family (not for grammar)")
    parser.add_argument(
        "--kind", choices=("rows", "answers", "preferences", "stories", "grammar", "grammar-pairs"), required=True
    )
    parser.add_argument("--out", type=Path, required=True, help="a data folder (rows) or a .jsonl file (the others)")
    parser.add_argument("--rows", type=int, required=True, help="rows or lines to make; rows in whole batches")
    parser.add_argument("--length", type=int, default=1025, help="tokens a row, or a prompt with its answer")
    parser.add_argument("--batch", type=int, default=512, help="rows sampled together")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--text-share", type=float, default=0.35, help="rows: share of plain text, the rest chats")
    parser.add_argument("--text-openings", type=Path, help="rows: texts whose first words the plain texts start with")
    parser.add_argument("--opened-share", type=float, default=1.0, help="rows: share of plain texts that do so")
    for name, default in (("text", 0.9), ("chat", 0.8), ("prompt", 0.9), ("student", 0.8)):
        parser.add_argument(
            f"--{name}-temperature",
            type=float,
            nargs="+",
            default=[default],
            help="one, lowest and highest, or three and more to choose from; 0: greedy",
        )
    parser.add_argument(
        "--question-temperature", type=float, nargs="+", help="rows: of the users' turns, if not as the assistant's"
    )
    parser.add_argument("--min-p", type=float, default=0.0, help="drop tokens below this share of the likeliest")
    parser.add_argument("--prompts", type=Path, help="answers, preferences: JSON lines of prompts; none: sampled")
    parser.add_argument("--longest-prompt", type=int, default=256, help="tokens of a sampled prompt")
    student = parser.add_mutually_exclusive_group()
    student.add_argument("--student", help="preferences: a variant; rows: the variant that writes them")
    student.add_argument("--student-run", type=Path, help="preferences: a run directory, its last mixers")
    parser.add_argument("--codec", choices=("f32", "q8_0", "q4_0"), default="f32", help="for --student-run")


def run(options: argparse.Namespace) -> None:
    if options.kind == "grammar":
        write_grammar_stories(options.out, options.rows, options.seed)
        return
    if options.kind == "grammar-pairs":
        write_grammar_pairs(options.out, options.rows, options.seed)
        return
    if not options.bundle:
        raise MambascopeError("usage", "Sampling needs a teacher.", "Give --bundle.")
    bundle = Bundle.open(options.bundle)
    chat = ChatFormat.of(bundle)
    settings = _settings(options, bundle)
    recipe = options.out / "recipe.json" if options.kind == "rows" else options.out.with_suffix(".recipe.json")
    if _cached(options, recipe, settings):
        return
    made = _make(options, bundle, chat)
    document: dict[str, Any] = {"key": recipe_key(settings), "settings": settings, "made": made}
    if options.kind == "rows":  # a folder takes rows of several calls
        before = (read_recipe(recipe) or {}).get("runs", [])
        document = {"kind": "sampled rows", "runs": [*before, document]}
    write_recipe(recipe, document)
    print(json.dumps({"result": made}), flush=True)


def _make(options: argparse.Namespace, bundle: Bundle, chat: ChatFormat) -> dict[str, int]:
    device = resolve_device("auto")
    teacher = for_sampling(load_teacher(bundle), device)
    size = (options.rows, options.length, options.batch, options.seed)
    sampling = {
        name: _sampling(getattr(options, f"{name}_temperature"), name, options.min_p)
        for name in ("text", "chat", "prompt", "student")
    }
    if options.kind == "rows":
        openings = [] if options.text_openings is None else read_openings(options.text_openings, chat, options.seed)
        asked = options.question_temperature
        request = RowsRequest(
            *size,
            options.text_share,
            sampling["text"],
            sampling["chat"],
            None if asked is None else _sampling(asked, "question", 0.0),
            tuple(openings),
            options.opened_share,
        )
        writer = teacher if options.student is None else for_sampling(load_alone(bundle, options.student), device)
        return generate_rows(writer, chat, options.out, request)
    if options.kind == "stories":
        return {"stories": generate_stories(teacher, chat.tokenizer, options.out, *size)}
    drawn = (sampling["prompt"], sampling["chat"], sampling["student"])
    chats = ChatRequest(*size, options.prompts, options.longest_prompt, *drawn)
    if options.kind == "answers":
        return generate_answers(teacher, chat, options.out, chats)
    student = for_sampling(_student(options, bundle), device)
    return generate_preferences(teacher, student, chat, options.out, chats)


def _student(options: argparse.Namespace, bundle: Bundle) -> Llama:
    if options.student_run is not None:
        return load_run(load_teacher(bundle), options.student_run, options.codec)
    if options.student is None:
        raise MambascopeError("usage", "Preferences need a student.", "Give --student or --student-run.")
    return load_alone(bundle, options.student)


def _cached(options: argparse.Namespace, recipe: Path, settings: dict[str, Any]) -> bool:
    """Whether these data are made already; says so. Raises DataError if other data are in a file's way."""
    if options.kind == "rows":
        runs = (read_recipe(recipe) or {}).get("runs", [])
        found = next((entry for entry in runs if entry.get("key") == recipe_key(settings)), None)
    else:
        found = made_before(recipe, settings, [options.out])
    if found is not None:
        print(json.dumps({"result": {**found["made"], "cached": True}}), flush=True)
    return found is not None


def _settings(options: argparse.Namespace, bundle: Bundle) -> dict[str, Any]:
    """All that the data depend on."""
    names = ["kind", "rows", "length", "batch", "seed", "min_p", "text_temperature", "chat_temperature"]
    if options.kind == "rows":
        names += ["text_share", "opened_share"]
        names += [name for name in ("question_temperature", "student") if getattr(options, name) is not None]
    elif options.kind != "stories":
        names += ["longest_prompt", "prompt_temperature"]
    if options.kind == "preferences":
        names += ["student_temperature", "student", "codec"]
    settings = {name: getattr(options, name) for name in names}
    settings["teacher"] = {"family": bundle.manifest.family, "base": _digest(bundle, bundle.manifest.tensors)}
    for name in ("prompts", "text_openings"):
        path = getattr(options, name)
        if path is not None:
            settings[name] = {"path": str(path), "sha256": file_digest(path) if path.is_file() else None}
    if options.student is not None:
        sets = {split_layer(entry)[1] for entry in bundle.variant(options.student).layers}
        settings["sets"] = {name: _digest(bundle, bundle.manifest.mixer_sets[name].tensors) for name in sets if name}
    if options.student_run is not None:
        checkpoints = RunDirectory(options.student_run).checkpoints()
        settings["student_run"] = [str(options.student_run), checkpoints[-1].name if checkpoints else None]
    return settings


def _digest(bundle: Bundle, tensors: Mapping[str, TensorEntry]) -> str:
    """Of the files that hold these tensors, by their checksums."""
    return recipe_key({entry.file: bundle.manifest.files[entry.file].sha256 for entry in tensors.values()})


def _sampling(values: list[float], name: str, min_p: float) -> Sampling:
    """One temperature, a range, or three and more to choose from. Raises `usage`."""
    low, high = values[0], values[-1]
    if min(values) < 0 or (len(values) == 2 and low > high):
        raise MambascopeError(
            "usage", f"--{name}-temperature {values} is no range.", "Give one, two that rise, or several; none below 0."
        )
    return Sampling((low, high), min_p, tuple(values) if len(values) > 2 else ())
