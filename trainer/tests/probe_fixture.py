"""Writes what `lib/inference/probe/trainer*.test.ts` read: the trainer's evaluation of hybrids on fixed tokens.

From the project's root, with PYTHONPATH=trainer: python trainer/tests/probe_fixture.py [folder of SmolLM2's base]
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path

import torch

from mambascope_trainer.bundle import Bundle
from mambascope_trainer.evaluation.agreement import compare_with_teacher
from mambascope_trainer.model.load import load_mixers, load_teacher
from mambascope_trainer.parity import load_tokenizer

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "lib" / "inference" / "probe" / "fixtures"
STORY = (
    "Once upon a time, there was a little girl named Mia who had a red kite. One windy day the kite flew over the "
    "fence and into a tall tree. Mia was sad. Her brother Tom said, “Do not cry! I will help you.” Tom climbed up and "
    "up, but the branch was thin. A bird looked at him and took the string in its beak. The kite came down, and they "
    "all laughed."
)
PROSE = (
    "A lens bends light because light is slower in glass than in air. Opticians of the seventeenth century ground "
    "their lenses by hand: f = R / (n - 1), they might have written, had they agreed on a notation. In 1665 Hooke "
    "drew a flea as long as a forearm, and readers were horrified — and delighted."
)


def evaluated(bundle: Bundle, text: str, patterns: Sequence[Sequence[str]]) -> dict[str, object]:
    bos = bundle.manifest.special_tokens.bos
    ids = [*([] if bos is None else [bos]), *load_tokenizer(bundle).encode(text, add_special_tokens=False).ids]
    teacher = load_teacher(bundle).eval()
    cases = []
    for layers in patterns:
        student = load_teacher(bundle)
        load_mixers(student, bundle, layers)
        means = compare_with_teacher(student.eval(), teacher, [torch.tensor([ids])])
        cases.append({"layers": list(layers), **means})
    return {"text": text, "tokens": ids, "cases": cases}


def alternating(layers: int, mixer_set: str, every: int) -> list[str]:
    return ["attention" if index % every else f"mamba2:{mixer_set}" for index in range(layers)]


def write(name: str, bundle: Bundle, text: str, mixed: Sequence[Sequence[str]]) -> None:
    variants = [bundle.variant(variant).layers for variant in ("attn50", "attn0")]
    FOLDER.mkdir(exist_ok=True)
    (FOLDER / f"{name}.json").write_text(json.dumps(evaluated(bundle, text, [*variants, *mixed])) + "\n")


if __name__ == "__main__":
    write("stories", Bundle.open(ROOT / "public/models/stories"), STORY, [alternating(8, "aligned", 3)])
    if len(sys.argv) > 1:
        family = "smollm2-135m-instruct"
        write(family, Bundle.open([sys.argv[1], ROOT / "public/models" / family]), PROSE, [])
