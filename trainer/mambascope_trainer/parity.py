"""Comparing the PyTorch models with independent implementations, and recording what the browser must reproduce."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from tokenizers import Tokenizer

from .bundle.bundle import Bundle
from .bundle.safetensors import write_atomic
from .model.llama import LayerState, Llama
from .reference import Reference

F32 = npt.NDArray[np.float32]

TOP = 32
FORMAT, VERSION = "mambascope-parity", 1
PLAIN_PROMPTS = (
    "Once upon a time, there was a little girl named Lily who",
    "In 1984, 3.14159 naïve café owners said: “Ça va?” — 你好 🙂\n\n\tdef f(x): return x + 12",
)
CHAT_PROMPT = "<|im_start|>user\nWhat is the capital of France?<|im_end|>\n<|im_start|>assistant\n"


@dataclass(frozen=True)
class Difference:
    """How far one implementation's logits are from another's: in logits, in nats, and in chosen tokens."""

    variant: str
    against: str
    tokens: int
    max_abs_diff: float
    max_kl: float
    top1_agreement: float


def compare(variant: str, against: str, ours: npt.ArrayLike, theirs: npt.ArrayLike) -> Difference:
    """`theirs` and `ours` are logits (T, V); KL is of theirs to ours, the largest over positions."""
    a, b = np.asarray(ours, np.float64), np.asarray(theirs, np.float64)
    log_a, log_b = a - _logsumexp(a)[:, None], b - _logsumexp(b)[:, None]
    kl = (np.exp(log_b) * (log_b - log_a)).sum(axis=-1)
    agreement = float((a.argmax(axis=-1) == b.argmax(axis=-1)).mean())
    return Difference(variant, against, len(a), float(np.abs(a - b).max()), float(kl.max()), agreement)


def _logsumexp(x: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    top = x.max(axis=-1)
    return np.asarray(top + np.log(np.exp(x - top[..., None]).sum(axis=-1)))


def default_prompts(tokenizer: Tokenizer) -> list[str]:
    """Two plain texts, and a chat turn where the vocabulary has the chat format's tokens."""
    return [*PLAIN_PROMPTS, *([CHAT_PROMPT] if tokenizer.token_to_id("<|im_start|>") is not None else [])]


@torch.no_grad()
def prefill_logits(model: Llama, ids: Sequence[int]) -> F32:
    """Logits (T, V) of one pass over all tokens."""
    logits: F32 = model(torch.tensor([list(ids)]))[0][0].float().numpy()
    return logits


@torch.no_grad()
def stepwise_logits(model: Llama, ids: Sequence[int]) -> F32:
    """Logits (T, V) of one token at a time, through the layers' states."""
    states: list[LayerState] | None = None
    rows = []
    for position, token in enumerate(ids):
        logits, states = model(torch.tensor([[token]]), states, position)
        rows.append(logits[0, -1].float().numpy())
    return np.stack(rows)


@torch.no_grad()
def greedy(model: Llama, ids: Sequence[int], count: int) -> tuple[list[int], list[float]]:
    """`count` greedy tokens (no stop token), and each one's lead over the second choice in logits.

    A small lead marks a token that another arithmetic may rightly choose otherwise.
    """
    tokens, leads = [], []
    logits, states = model(torch.tensor([list(ids)]))
    for position in range(len(ids), len(ids) + count):
        best = logits[0, -1].topk(2)
        tokens.append(int(best.indices[0]))
        leads.append(float(best.values[0] - best.values[1]))
        logits, states = model(torch.tensor([[tokens[-1]]]), states, position)
    return tokens, leads


def transformers_logits(bundle: Bundle, prompts: Sequence[Sequence[int]]) -> list[F32]:
    """The teacher's logits from transformers' Llama with the bundle's weights, float32, eager attention."""
    from transformers import LlamaConfig, LlamaForCausalLM

    config = LlamaConfig(**bundle.manifest.architecture.to_json(), attn_implementation="eager")
    model = LlamaForCausalLM(config).eval()
    state = {name: torch.from_numpy(bundle.tensor(name)) for name in bundle.manifest.tensors}
    if config.tie_word_embeddings:
        state["lm_head.weight"] = state["model.embed_tokens.weight"]
    model.load_state_dict(state)
    with torch.no_grad():
        return [model(torch.tensor([list(ids)])).logits[0].numpy() for ids in prompts]


def check_variant(bundle: Bundle, variant: str, model: Llama, prompts: Sequence[Sequence[int]]) -> list[Difference]:
    """Prefill against the float64 reference and against stepping; the teacher against transformers too."""
    ours = [prefill_logits(model, ids) for ids in prompts]
    joined = np.concatenate(ours)
    layers = bundle.variant(variant).layers
    reference = Reference(bundle, layers)
    others = {
        "float64 reference": np.concatenate([reference.logits(ids) for ids in prompts]),
        "token by token": np.concatenate([stepwise_logits(model, ids) for ids in prompts]),
    }
    if all(layer == "attention" for layer in layers):
        others["transformers"] = np.concatenate(transformers_logits(bundle, prompts))
    return [compare(variant, name, joined, logits) for name, logits in others.items()]


def record_case(
    model: Llama, text: str, ids: Sequence[int], continuation: int, logits_file: Path | None = None
) -> dict[str, Any]:
    """What the browser must reproduce for one prompt: of each position the top logits and the log-sum-exp, of
    the last one all logits (base64 of little-endian float32), and the greedy continuation.

    `logits_file` takes all positions' logits (T, V), as little-endian float32; the case names it.
    """
    logits = prefill_logits(model, ids)
    if logits_file is not None:
        logits_file.parent.mkdir(parents=True, exist_ok=True)
        write_atomic(logits_file, [logits.astype("<f4").tobytes()])
    top = np.argsort(-logits, axis=-1, kind="stable")[:, :TOP]
    values = np.take_along_axis(logits, top, axis=-1)
    tokens, leads = greedy(model, ids, continuation)
    return {
        **({} if logits_file is None else {"logits": logits_file.name}),
        "text": text,
        "ids": list(ids),
        "top_ids": top.tolist(),
        "top_logits": [[float(f"{value:.7g}") for value in row] for row in values],
        "logsumexp": [float(f"{value:.9g}") for value in _logsumexp(logits.astype(np.float64))],
        "last_logits": base64.b64encode(logits[-1].astype("<f4").tobytes()).decode(),
        "continuation": tokens,
        "continuation_leads": [float(f"{lead:.4g}") for lead in leads],
    }


def fixture(
    bundle: Bundle,
    models: dict[str, Llama],
    texts: Sequence[str],
    continuation: int,
    differences: list[Difference],
    logits: Path | None = None,
) -> dict[str, Any]:
    """The document for the browser's parity test; the folder `logits` takes all positions' logits, a file a case."""
    tokenizer = load_tokenizer(bundle)
    manifest = bundle.manifest
    return {
        "format": FORMAT,
        "version": VERSION,
        "family": manifest.family,
        "files": {name: info.sha256 for name, info in manifest.files.items() if name.endswith(".safetensors")},
        "differences": [asdict(item) for item in differences],
        "variants": {
            name: {
                "layers": list(bundle.variant(name).layers),
                "cases": [
                    record_case(
                        model,
                        text,
                        tokenizer.encode(text).ids,
                        continuation,
                        logits and logits / f"{name}-{index}.f32",
                    )
                    for index, text in enumerate(texts)
                ],
            }
            for name, model in models.items()
        },
    }


def load_tokenizer(bundle: Bundle) -> Tokenizer:
    return Tokenizer.from_file(str(bundle.path(bundle.manifest.tokenizer.file)))
