"""How far a hybrid is from its teacher on given tokens: KL, top-1 agreement, perplexity."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from pathlib import Path

import torch
from tokenizers import Tokenizer
from torch import Tensor

from ..data.tokens import DataError
from ..losses import LossWeights, distillation_loss
from ..model.llama import Llama


@torch.no_grad()
def compare_with_teacher(student: Llama, teacher: Llama, batches: Iterable[Tensor]) -> dict[str, float]:
    """Means a token of `student` against `teacher`, two models on one device that share the LM head.

    batches: ids (b, T + 1). Returns kl (nat), agreement (0..1), perplexity, teacher_perplexity, perplexity_ratio and
    tokens. Raises DataError if there is no batch.
    """
    sums: dict[str, float] = {}
    count = 0
    device = student.embed_tokens.weight.device
    for batch in batches:
        ids = batch.to(device)
        inputs, labels = ids[:, :-1], ids[:, 1:].flatten()
        hidden = student.hidden(inputs).flatten(0, 1), teacher.hidden(inputs).flatten(0, 1)
        _, measures = distillation_loss(*hidden, student.head_weight, labels, LossWeights())
        for key, value in measures.items():
            sums[key] = sums.get(key, 0.0) + float(value) * labels.numel()
        count += labels.numel()
    if count == 0:
        raise DataError(
            "there is not one window of tokens to evaluate on", "Give more text, or lower the window's length."
        )
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
