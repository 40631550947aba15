"""How far a hybrid is from its teacher on given tokens: KL, top-1 agreement, perplexity."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import torch
from tokenizers import Tokenizer
from torch import Tensor

from ..losses import LossWeights, distillation_loss
from ..model.llama import Llama


@torch.no_grad()
def compare_with_teacher(model: Llama, pattern: Sequence[str], batches: Iterable[Tensor]) -> dict[str, float]:
    """Means a token of `pattern` against the same model with attention in every layer.

    batches: ids (b, T + 1). Returns kl (nat), agreement (0..1), perplexity, teacher_perplexity and perplexity_ratio.
    """
    sums: dict[str, float] = {}
    count = 0
    device = model.embed_tokens.weight.device
    for ids in batches:
        ids = ids.to(device)
        inputs, labels = ids[:, :-1], ids[:, 1:].flatten()
        model.use(["attention"] * len(pattern))
        teacher = model.hidden(inputs).flatten(0, 1)
        model.use(pattern)
        student = model.hidden(inputs).flatten(0, 1)
        _, measures = distillation_loss(student, teacher, model.head_weight, labels, LossWeights())
        for key, value in measures.items():
            sums[key] = sums.get(key, 0.0) + float(value) * labels.numel()
        count += labels.numel()
    means = {key: value / count for key, value in sums.items()}
    return {
        "kl": means["kl"],
        "agreement": means["agreement"],
        "perplexity": math.exp(means["ce"]),
        "teacher_perplexity": math.exp(means["teacher_ce"]),
        "perplexity_ratio": math.exp(means["ce"] - means["teacher_ce"]),
        "tokens": count,
    }


def text_windows(path: Path, tokenizer: Tokenizer, seq_len: int, batch: int, limit: int | None) -> Iterator[Tensor]:
    """A text file as batches (b, seq_len + 1) of windows that do not overlap; at most `limit` windows."""
    ids = tokenizer.encode(path.read_text(encoding="utf-8"), add_special_tokens=False).ids
    count = (len(ids) - 1) // seq_len
    windows = [ids[i * seq_len : (i + 1) * seq_len + 1] for i in range(count if limit is None else min(limit, count))]
    for start in range(0, len(windows), batch):
        yield torch.tensor(windows[start : start + batch])
