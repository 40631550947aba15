"""How far a hybrid is from its teacher on given tokens: KL, top-1 agreement, perplexity."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import torch
import torch.nn.functional as F
from tokenizers import Tokenizer
from torch import Tensor

from ..data.tokens import DataError, TokenRows
from ..model.llama import Llama
from .arithmetic import HEAD_TOKENS, Dtype, autocast, full_precision

MEASURES = ("kl", "agreement", "ce", "teacher_ce", "acceptance")


@torch.no_grad()
def token_sums(student: Tensor, teacher: Tensor, heads: tuple[Tensor, Tensor], labels: Tensor) -> Tensor:
    """Sums over tokens of `MEASURES` (5,), float64, of hidden states (n, D), their heads (V, D) and labels (n,).

    Logits are held for `HEAD_TOKENS` tokens at a time.
    """
    sums = torch.zeros(len(MEASURES), dtype=torch.float64, device=student.device)
    with full_precision(student.device):
        for start in range(0, len(labels), HEAD_TOKENS):
            part = slice(start, start + HEAD_TOKENS)
            s = F.log_softmax(student[part].float() @ heads[0].float().T, dim=-1)
            t = F.log_softmax(teacher[part].float() @ heads[1].float().T, dim=-1)
            agree = s.argmax(dim=-1) == t.argmax(dim=-1)
            # KL(teacher || student), arXiv 2408.15237, section 3.
            kl = (t.exp() * (t - s)).sum(dim=-1)
            ce, teacher_ce = (-x.gather(1, labels[part, None])[:, 0] for x in (s, t))
            # The chance that speculative sampling keeps the student's token (arXiv 2211.17192, theorem 3.5).
            acceptance = torch.minimum(s.exp(), t.exp()).sum(dim=-1)
            sums += torch.stack([x.double().sum() for x in (kl, agree, ce, teacher_ce, acceptance)])
    return sums


@torch.no_grad()
def compare_with_teacher(
    student: Llama,
    teacher: Llama,
    batches: Iterable[Tensor],
    dtype: Dtype = "float32",
    step: Callable[[int], None] | None = None,
) -> dict[str, float]:
    """Means a token of `student` against `teacher`, two models on one device with one vocabulary.

    batches: ids (b, T + 1); `step` is told of each batch's windows. Returns kl (nat), agreement and acceptance (0..1),
    perplexity, teacher_perplexity, perplexity_ratio and tokens. Raises DataError if there is no batch.
    """
    device = student.embed_tokens.weight.device
    sums, count = torch.zeros(len(MEASURES), dtype=torch.float64, device=device), 0
    for batch in batches:
        ids = batch.to(device)
        inputs, labels = ids[:, :-1], ids[:, 1:].flatten()
        with autocast(device, dtype):
            hidden = [model.hidden(inputs).flatten(0, 1) for model in (student, teacher)]
        sums += token_sums(hidden[0], hidden[1], (student.head_weight, teacher.head_weight), labels)
        count += labels.numel()
        if step is not None:
            step(len(ids))
    if count == 0:
        raise DataError(
            "there is not one window of tokens to evaluate on", "Give more text, or lower the window's length."
        )
    means = dict(zip(MEASURES, (sums / count).tolist(), strict=True))
    return {
        "kl": means["kl"],
        "agreement": means["agreement"],
        "acceptance": means["acceptance"],
        "perplexity": math.exp(means["ce"]),
        "teacher_perplexity": math.exp(means["teacher_ce"]),
        "perplexity_ratio": math.exp(means["ce"] - means["teacher_ce"]),
        "tokens": count,
    }


class Windows:
    """The windows of a text file or of a data folder, (b, seq_len + 1) a batch; at most `limit` of them.

    A file's windows do not overlap: each holds seq_len inputs, and its last label begins the next one.
    """

    def __init__(self, source: Path, tokenizer: Tokenizer, seq_len: int, limit: int | None) -> None:
        self.seq_len = seq_len
        self.ids: Tensor | None = None
        if source.is_dir():
            self.rows = TokenRows(source, seq_len, seed=0)
            count = len(self.rows)
        else:
            try:
                text = source.read_text(encoding="utf-8")
            except UnicodeDecodeError as error:
                raise DataError(f"{source} is not UTF-8 text ({error.reason})") from None
            self.ids = torch.tensor(tokenizer.encode(text, add_special_tokens=False).ids)
            count = max(0, (len(self.ids) - 1) // seq_len)
        self.count = count if limit is None else min(limit, count)

    def batches(self, size: int) -> Iterator[Tensor]:
        if self.ids is None:
            yield from self.rows.once(size, self.count)
            return
        for start in range(0, self.count, size):
            places = range(start, min(start + size, self.count))
            yield torch.stack([self.ids[i * self.seq_len : (i + 1) * self.seq_len + 1] for i in places])
