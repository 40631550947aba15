"""A tokenizer of its own for a small model, and text packed into rows with it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

from .tokens import DataError, write_rows

END_OF_TEXT = "<|endoftext|>"


def read_texts(paths: Iterable[Path]) -> Iterator[str]:
    """The `text` of JSON lines, each once. Raises DataError naming the line that is not one."""
    seen: set[int] = set()
    for path in paths:
        with path.open(encoding="utf-8") as file:
            for number, line in enumerate(file, 1):
                try:
                    text = json.loads(line)["text"]
                except (json.JSONDecodeError, KeyError, TypeError):
                    text = None
                if not isinstance(text, str):
                    raise DataError(f'{path}, line {number}: expected {{"text": "…"}}')
                if hash(text) not in seen:
                    seen.add(hash(text))
                    yield text


def train_tokenizer(texts: Iterable[str], vocabulary: int) -> Tokenizer:
    """Byte-level BPE; id 0 is the end of text."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary, special_tokens=[END_OF_TEXT], initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )  # fmt: skip
    tokenizer.train_from_iterator(texts, trainer)
    return tokenizer


def pack_texts(
    texts: list[str], tokenizer: Tokenizer, out: Path, length: int, held_out: float = 0.01
) -> dict[str, int]:
    """Join the texts, an end of text after each, and cut rows of `length` into out/train and out/evaluation.

    Returns the token counts of the two.
    """
    end = tokenizer.token_to_id(END_OF_TEXT)
    if end is None:
        raise DataError(f"the tokenizer has no {END_OF_TEXT}")
    split = int(len(texts) * (1 - held_out))
    counts = {}
    for name, part in (("train", texts[:split]), ("evaluation", texts[split:])):
        stream = [i for encoding in tokenizer.encode_batch(part) for i in (*encoding.ids, end)]
        rows = len(stream) // length
        if rows == 0:
            raise DataError(f"{len(stream)} tokens of {name} text do not fill a row of {length}")
        packed = np.array(stream[: rows * length]).reshape(rows, length)
        write_rows(out / name, "packed", packed, {"kind": "packed text", "texts": len(part), "length": length})
        counts[name] = int(packed.size)
    return counts
