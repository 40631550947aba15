"""`speculate`: measure speculative decoding, the state update alone and whole models; JSON lines."""

from __future__ import annotations

import argparse
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from ..benchmark.multistep import GENERATED, WIDTHS, multistep_seconds
from ..benchmark.passes import Passes
from ..benchmark.speculative import Comparison, compare, count_different
from ..bundle.bundle import Bundle
from ..bundle.token_ranking import read_ranking
from ..data.sampler import for_sampling
from ..errors import MambascopeError
from ..evaluation.answers import read_questions
from ..evaluation.chat import Chat
from ..evaluation.results import write_results
from ..model.llama import Llama
from ..model.load import load_variant
from ..run.device import resolve_device
from ..run.samples import CHAT_PROMPTS, TEXT_PROMPTS
from ..speculative.decoder import PlainDecoder, Settings, SpeculativeDecoder
from ..speculative.open_model import SequenceModel
from ..speculative.static_model import Kind, StaticModel

#: Drafts a cycle, where none are named.
LENGTHS = (1, 2, 3, 4, 6, 8)
#: A draft's passes of a cycle, and the tokens that they read: the first, and each of the others.
DRAFT_PASSES: tuple[tuple[Kind, int], ...] = (("open", 2), ("step", 1))
#: Tokens that drafts may propose where the family ranks its tokens.
SHORTLIST = 8192


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--kernel", action="store_true", help="the state update alone: multi-step against single steps")
    parser.add_argument("--widths", nargs="+", choices=list(WIDTHS), default=list(WIDTHS))
    parser.add_argument("--bundle", type=Path, nargs="+", help="folders of the family whose models are decoded")
    parser.add_argument("--targets", nargs="+", default=["attn50"], metavar="VARIANT")
    parser.add_argument("--drafts", nargs="+", default=["draft2"], metavar="VARIANT")
    parser.add_argument("--k", type=int, nargs="+", help="drafts a cycle (with --kernel: tokens a pass)")
    parser.add_argument("--prompts", type=Path, help="questions as MT-Bench writes them; their first turns are asked")
    parser.add_argument("--limit", type=int, default=20, help="prompts, evenly from the file")
    parser.add_argument("--tokens", type=int, default=128, help="tokens of an answer")
    parser.add_argument("--context", type=int, default=512, help="tokens of prompt and answer")
    parser.add_argument("--temperature", type=float, default=0.0)
    parser.add_argument("--top-p", type=float, default=1.0)
    parser.add_argument("--shortlist", type=int, help="tokens that drafts may propose (8192 with a ranking); 0: all")
    parser.add_argument(
        "--dtype",
        choices=("auto", "f32", "bf16"),
        default="auto",
        help="of matrices; auto: bf16 on CUDA, f32 with --exact",
    )
    parser.add_argument("--profile", action="store_true", help="what passes cost, by each path, instead of decoding")
    parser.add_argument("--no-fused", action="store_true", help="passes in plain PyTorch instead of the fused kernels")
    parser.add_argument("--exact", action="store_true", help="count answers that differ from plain ones")
    parser.add_argument("--no-graph", action="store_true", help="run passes as they are, not as CUDA graphs")
    parser.add_argument("--repeats", type=int, default=50, help="timed runs of --kernel and --profile")
    parser.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto")
    parser.add_argument("--results", type=Path, help="also add speculative.* entries to this results file")


def run(options: argparse.Namespace) -> None:
    if not options.kernel and not options.bundle:
        raise MambascopeError("usage", "There is nothing to measure.", "Give --kernel, or models with --bundle.")
    if options.shortlist is not None and options.shortlist < 0:
        raise MambascopeError("usage", "--shortlist counts tokens.", "Give a number from 0.")
    if options.k is not None and min(options.k) < 1:
        raise MambascopeError("usage", "--k counts tokens.", "Give numbers from 1.")
    device = resolve_device(options.device)
    entries = _kernel(options, device) if options.kernel else []
    if options.bundle:
        entries += _models(options, device)
    if options.results is not None:
        write_results(options.results, entries)


def _kernel(options: argparse.Namespace, device: torch.device) -> list[dict[str, Any]]:
    dtype = torch.bfloat16 if device.type == "cuda" else torch.float32
    entries = []
    for name in options.widths:
        single = multistep_seconds(WIDTHS[name], 0, device, dtype, options.repeats)
        for tokens in options.k or range(1, 17):
            seconds = multistep_seconds(WIDTHS[name], tokens, device, dtype, options.repeats)
            of = {"width": name, "K": tokens, "tokens": GENERATED, "dtype": str(dtype).removeprefix("torch.")}
            print(
                json.dumps({**of, "microseconds": round(seconds * 1e6, 1), "single": round(single * 1e6, 1)}),
                flush=True,
            )
            peer = {"name": "single-step", "value": round(single * 1e6, 2)}
            value = {"value": round(seconds * 1e6, 2), "unit": "µs", "of": of, "peer": peer}
            entries.append({"metric": "speculative.kernel_time", **value, "ratio": round(single / seconds, 3)})
    return entries


@dataclass(frozen=True)
class Subject:
    """What is decoded with: the draft by its name, and the drafts a cycle."""

    draft: str
    k: int


def _models(options: argparse.Namespace, device: torch.device) -> list[dict[str, Any]]:
    bundle = Bundle.open(options.bundle)
    chat = Chat(bundle)
    prompts = [ids for ids in _prompts(options, chat) if len(ids) + options.tokens + 32 <= options.context]
    if not prompts:
        raise MambascopeError(
            "usage", f"No prompt fits a context of {options.context} tokens.", "Give a larger --context."
        )
    temperature = 0.0 if options.exact else options.temperature
    settings = Settings(options.tokens, tuple(bundle.manifest.special_tokens.eos), temperature, options.top_p)
    half = options.dtype == "bf16" or (options.dtype == "auto" and device.type == "cuda" and not options.exact)
    shortlist = _shortlist(options, bundle)
    drafts = {name: for_sampling(load_variant(bundle, name), device, half) for name in options.drafts}
    entries = []
    for target_name in options.targets:
        target = for_sampling(load_variant(bundle, target_name), device, half)
        of: dict[str, Any] = {
            "family": bundle.manifest.family,
            "variant": target_name,
            "temperature": temperature,
            "provider": f"pytorch-{device.type}",
            "prompts": len(prompts),
            "tokens": options.tokens,
            "dtype": "bfloat16" if half else "float32",
            **({} if shortlist is None else {"shortlist": len(shortlist)}),
        }
        if options.profile:
            entries += _passes(options, {**drafts, target_name: target}, target_name, of, shortlist)
            continue
        how = {"context": options.context, "temperature": temperature, "top_p": options.top_p}
        by = {"graph": not options.no_graph, "fused": not options.no_fused}
        plain = PlainDecoder(target, **how, **by)
        decoders = {
            Subject(name, k): SpeculativeDecoder(target, drafts[name], k, **how, shortlist=shortlist, **by)
            for name in options.drafts
            for k in options.k or LENGTHS
        }
        of |= {"passes": _path(plain.target)}
        if options.exact:
            for subject, different in count_different(plain, decoders, prompts, settings).items():
                entries.append(_different(different, {**of, "draft": subject.draft, "K": subject.k}))
            continue
        for subject, found in compare(plain, decoders, prompts, settings).items():
            decoder = decoders[subject]
            reason = plain.step.reason or decoder.cycle.reason
            more = {} if reason is None else {"graph": f"none: {reason}"}
            passes = _path(decoder.target)
            own = {**of, "passes": passes, "draft": subject.draft, "K": subject.k, **more}
            entries += _entries(found, own, decoder.target.memory())
    return entries


def _path(static: SequenceModel) -> str:
    """What runs a decoder's passes."""
    return "pytorch" if isinstance(static, StaticModel) else "fused"


def _passes(
    options: argparse.Namespace,
    models: dict[str, Llama],
    target: str,
    of: dict[str, Any],
    shortlist: torch.Tensor | None,
) -> list[dict[str, Any]]:
    """A plain pass of the target, and of each K its verify pass and the first and the later passes of each draft."""
    kinds: list[tuple[str, int, Kind, int]] = [(target, 1, "plain", 1)]
    for k in options.k or LENGTHS:
        kinds.append((target, k, "verify", k + 1))
        kinds += [
            (name, k, kind, tokens) for name in options.drafts for kind, tokens in DRAFT_PASSES if k > 1 or tokens > 1
        ]
    kept = {key: value for key, value in of.items() if key in ("family", "provider", "dtype", "shortlist")}
    entries: list[dict[str, Any]] = []
    for name, k, kind, tokens in kinds:
        held = None if name == target else shortlist
        about = {**kept, "variant": name, "layers": len(models[name].layers), "kind": kind, "tokens": tokens}
        if kind != "plain":
            about["K"] = k
        for found in Passes(models[name], options.context, k, held).measure(kind, tokens, options.repeats):
            measured = found.to_json()
            print(json.dumps({**about, **measured}), flush=True)
            value = {"value": measured.pop("milliseconds"), "unit": "ms"}
            path = {"passes": measured.pop("path")}
            entries.append({"metric": "speculative.pass", **value, "of": {**about, **path}, **measured})
    return entries


def _shortlist(options: argparse.Namespace, bundle: Bundle) -> torch.Tensor | None:
    """The tokens that drafts may propose; None for all. Raises `usage` where the family cannot name so many."""
    if options.shortlist == 0:
        return None
    ranking = read_ranking(bundle)
    if ranking is None:
        if options.shortlist is None:
            return None
        raise MambascopeError(
            "usage", "The family has no token ranking.", "Make one with the command token-ranking, or --shortlist 0."
        )
    return torch.from_numpy(ranking[: options.shortlist or SHORTLIST].copy())


def _different(different: int, of: dict[str, Any]) -> dict[str, Any]:
    print(json.dumps({**of, "different": different}), flush=True)
    return {"metric": "speculative.different", "value": different, "unit": "prompt", "of": of}


def _prompts(options: argparse.Namespace, chat: Chat) -> list[list[int]]:
    if options.prompts is None:
        texts = list(CHAT_PROMPTS if chat.has_template else TEXT_PROMPTS)
    else:
        texts = [question.turns[0] for question in read_questions(options.prompts)]
    # Evenly from the file: MT-Bench's is sorted by category, and how well drafts guess depends on it.
    chosen = texts[:: max(1, len(texts) // options.limit)][: options.limit]
    ids = [chat.ids(chat.text([{"role": "user", "content": text}])) for text in chosen]
    return [prompt for prompt in ids if len(prompt) > 1]


def _entries(found: Comparison, of: dict[str, Any], memory: dict[str, int]) -> list[dict[str, Any]]:
    ratio = found.rate / found.plain_rate
    shown = {
        "speedup": round(ratio, 4),
        "acceptance": round(found.acceptance, 4),
        "tokens_per_cycle": round(found.tokens_per_cycle, 3),
        "tokens_per_second": round(found.rate, 1),
        "plain": round(found.plain_rate, 1),
        "cycle_ms": round(found.cycle_milliseconds, 3),
        "by_position": [round(share, 4) for share in found.by_position()],
        "same": found.same,
        **memory,
    }
    print(json.dumps({**of, **shown}), flush=True)
    plain = {"name": "plain decoding", "value": shown["plain"]}

    def entry(metric: str, value: Any, unit: str, **more: Any) -> dict[str, Any]:
        return {"metric": f"speculative.{metric}", "value": value, "unit": unit, "of": of, **more}

    return [
        entry("speedup", shown["speedup"], "ratio"),
        entry("decode", shown["tokens_per_second"], "token/s", peer=plain, ratio=shown["speedup"]),
        entry("acceptance", shown["acceptance"], "share", by_position=shown["by_position"], lengths=found.lengths),
        entry("tokens_per_cycle", shown["tokens_per_cycle"], "token"),
        entry("same_answers", found.same / found.prompts, "share"),
        entry("checkpoint_bytes", memory["checkpoint"], "byte"),
        entry("cached_bytes", memory["cached"], "byte"),
    ]
