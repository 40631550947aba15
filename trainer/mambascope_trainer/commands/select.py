"""`select`: which layers keep attention, by greedy backward selection; JSON lines."""

from __future__ import annotations

import argparse
import json
from itertools import groupby
from pathlib import Path
from typing import Any

from ..bundle.bundle import Bundle
from ..data.tokens import TokenRows
from ..errors import MambascopeError
from ..evaluation.selection import GreedySelection, Replacement
from ..model.llama import Llama
from ..model.load import load_teacher
from ..run.device import resolve_device
from ..stages.hybrid import load_mixer_state
from ..stages.sources import MixerSource, bundle_source, first_with, open_source


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--bundle", type=Path, nargs="+", required=True, help="folders of the family")
    parser.add_argument("--set", dest="sets", nargs="*", default=[], help="mixer sets, tried in this order for a layer")
    parser.add_argument("--run", dest="runs", nargs="*", default=[], help="run directories, tried before the sets")
    parser.add_argument("--rows", type=Path, required=True, help="data folder of held-out rows")
    parser.add_argument("--keep", type=int, nargs="+", default=[0], help="numbers of attention layers to keep")
    parser.add_argument("--always-keep", type=int, nargs="*", default=[], help="layers that keep attention throughout")
    parser.add_argument("--seq-len", type=int, default=1024)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--limit", type=int, default=16, help="windows to measure on")
    parser.add_argument("--device", default="auto", choices=("auto", "cpu", "cuda"))
    parser.add_argument("--out", type=Path, help="also write the result to this JSON file")


def run(options: argparse.Namespace) -> None:
    bundle = Bundle.open(options.bundle)
    model = load_teacher(bundle)
    count = model.arch.num_hidden_layers
    sources = [open_source(path, model.arch) for path in options.runs]
    sources += [bundle_source(bundle, name) for name in options.sets]
    layers = [i for i in add_mixers(model, sources) if i not in options.always_keep]
    fewest = count - len(layers)
    wrong = [keep for keep in options.keep if not fewest <= keep <= count]
    if wrong:
        raise MambascopeError(
            "usage",
            f"Cannot keep {wrong[0]} attention layers: {len(layers)} of {count} layers can be replaced.",
            f"Name numbers from {fewest} to {count} after --keep, or more mixers with --set or --run.",
        )
    model.eval().requires_grad_(False).to(resolve_device(options.device))
    rows = TokenRows(options.rows, options.seq_len, seed=0)
    selection = GreedySelection(model, rows.once(options.batch, options.limit))

    def report(step: Replacement) -> None:
        line = {"kept": count - len(selection.replaced), "layer": step.layer, "kl": round(step.kl, 6)}
        print(json.dumps(line), flush=True)

    steps = selection.run(layers, count - min(options.keep), report)
    result = _result(options, steps, count, selection.tokens, bundle.manifest.family)
    print(json.dumps({"result": {"family": result["family"], "patterns": result["patterns"]}}), flush=True)
    if options.out is not None:
        options.out.parent.mkdir(parents=True, exist_ok=True)
        options.out.write_text(json.dumps(result, indent=1) + "\n")


def add_mixers(model: Llama, sources: list[MixerSource]) -> list[int]:
    """Give each layer the mixer of the first source that has one; returns these layers."""
    found = first_with(sources, range(model.arch.num_hidden_layers))
    for layer, source in found.items():
        model.add_mamba([layer], source.config)
        load_mixer_state(model, [layer], source.state)
    return list(found)


def pattern_text(replaced: set[int], count: int) -> str:
    """The text form of docs/contracts.md, section 2, with no set named."""
    runs = [(name, len(list(group))) for name, group in groupby("m" if i in replaced else "a" for i in range(count))]
    return ".".join(f"{name}{length if length > 1 else ''}" for name, length in runs)


def _result(
    options: argparse.Namespace, steps: list[Replacement], count: int, tokens: int, family: str
) -> dict[str, Any]:
    patterns = []
    for keep in sorted(options.keep, reverse=True):
        done = steps[: count - keep]
        replaced = {step.layer for step in done}
        patterns.append(
            {
                "keep": keep,
                "kl": round(done[-1].kl, 6) if done else 0.0,
                "attention": [i for i in range(count) if i not in replaced],
                "layers": sorted(replaced),
                "pattern": pattern_text(replaced, count),
            }
        )
    order = [
        {"layer": s.layer, "kl": round(s.kl, 6), "candidates": {str(i): round(kl, 6) for i, kl in s.candidates.items()}}
        for s in steps
    ]
    return {
        "family": family,
        "mixers": [*options.runs, *options.sets],
        "rows": options.rows.name,
        "tokens": tokens,
        "patterns": patterns,
        "order": order,
    }
