"""Pieces of files to token ids and hashes, in many processes. What a process imports here is light: no torch."""

from __future__ import annotations

import multiprocessing
import os
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from dataclasses import dataclass
from random import Random
from typing import Self

import numpy as np
import numpy.typing as npt

from .chat import ChatFormat, TokenizerFiles
from .documents import Document, Piece, documents
from .errors import DataError
from .ids import Ids, id_type
from .jsonl import LineError
from .near_duplicates import BINS, exact_hash, normalise, text_signature
from .tokenised_form import tokenised

#: Tokens of a word from which on it counts as rare, and becomes <unk> in WikiText's form.
RARE = 3


@dataclass(frozen=True)
class EncodeSettings:
    """How documents become tokens. `tokenised_share` of the plain texts is written in WikiText's form."""

    tokenizer: TokenizerFiles
    tokenised_share: float = 0.0
    seed: int = 0
    near: bool = True


@dataclass(frozen=True)
class Encoded:
    """The documents of a piece, one after another, each with its end of text."""

    tokens: Ids
    lengths: npt.NDArray[np.int64]
    exact: npt.NDArray[np.uint64]
    #: (n, BINS) and which of them say something: short documents have none.
    signatures: npt.NDArray[np.uint16]
    signed: npt.NDArray[np.bool_]
    size: int


class Encoder:
    """Encodes pieces. Raises LineError for what is no document."""

    def __init__(self, settings: EncodeSettings) -> None:
        self.settings, self.chat = settings, ChatFormat(settings.tokenizer)
        self.stored = id_type(self.chat.tokenizer.get_vocab_size() - 1)
        self._rare: dict[str, bool] = {}

    def encode(self, piece: Piece) -> Encoded:
        found = list(documents(piece))
        # Hashes are those of the words said: the template's markers make no two chats alike.
        normalised = [normalise(d.text or " ".join(turn["content"] for turn in d.messages)) for d in found]
        exact = [exact_hash(n) for n in normalised]
        texts = [self._text(piece, d, h) for d, h in zip(found, exact, strict=True)]
        bos, end = self.chat.bos, self.chat.end_of_text
        arrays = []
        for encoding in self.chat.tokenizer.encode_batch_fast(texts, add_special_tokens=False):
            ids = encoding.ids
            start = [] if bos in (None, end) or ids[:1] == [bos] else [bos]
            arrays.append(np.array([*start, *ids, end], self.stored))
        signatures = [text_signature(n) if self.settings.near else None for n in normalised]
        empty = np.zeros(BINS, np.uint16)
        return Encoded(
            np.concatenate(arrays) if arrays else np.zeros(0, self.stored),
            np.array([len(a) for a in arrays], np.int64),
            np.array(exact, np.uint64),
            np.stack([empty if s is None else s for s in signatures]) if arrays else np.zeros((0, BINS), np.uint16),
            np.array([s is not None for s in signatures], np.bool_),
            len(piece.data),
        )

    def _text(self, piece: Piece, document: Document, number: int) -> str:
        if document.messages:
            try:
                return self.chat.render(document.messages)
            except DataError as error:
                raise LineError(piece.path, document.line, error.message) from None
        # Which texts are rewritten depends on the text alone, not on the process or the order.
        if Random(number ^ self.settings.seed).random() < self.settings.tokenised_share:
            return tokenised(document.text, self._is_rare)
        return document.text

    def _is_rare(self, word: str) -> bool:
        known = self._rare.get(word)
        if known is None:
            known = self._rare[word] = len(self.chat.encode(" " + word)) >= RARE
        return known


_encoder: Encoder | None = None


def _start(settings: EncodeSettings) -> None:
    global _encoder
    os.environ["TOKENIZERS_PARALLELISM"] = "false"  # the processes are the parallelism
    _encoder = Encoder(settings)


def _encode(piece: Piece) -> Encoded | tuple[Piece, int, str]:
    """A bad line comes back as data: exceptions with arguments of their own do not survive the way."""
    assert _encoder is not None
    try:
        return _encoder.encode(piece)
    except LineError as error:
        return piece, error.number, error.problem


class Encoders:
    """A context that encodes pieces in `workers` processes (1: this one)."""

    def __init__(self, settings: EncodeSettings, workers: int) -> None:
        self.settings, self.workers = settings, workers
        self.encoder = Encoder(settings)  # what is wrong with the tokenizer is said once, here
        self.pool: ProcessPoolExecutor | None = None

    def __enter__(self) -> Self:
        if self.workers > 1:
            context = multiprocessing.get_context("spawn")
            self.pool = ProcessPoolExecutor(self.workers, context, _start, (self.settings,))
        return self

    def __exit__(self, *_: object) -> None:
        if self.pool is not None:
            self.pool.shutdown(cancel_futures=True)

    def encode(self, pieces: Iterable[Piece]) -> Iterator[Encoded]:
        """The pieces encoded, in their order. Raises LineError as Encoder does.

        At most a few pieces a process are held at a time.
        """
        if self.pool is None:
            for piece in pieces:
                yield self.encoder.encode(piece)
            return
        waiting: deque[Future[Encoded | tuple[Piece, int, str]]] = deque()
        for piece in pieces:
            waiting.append(self.pool.submit(_encode, piece))
            if len(waiting) > 3 * self.workers:
                yield _result(waiting.popleft())
        while waiting:
            yield _result(waiting.popleft())


def _result(future: Future[Encoded | tuple[Piece, int, str]]) -> Encoded:
    found = future.result()
    if isinstance(found, Encoded):
        return found
    piece, number, problem = found
    raise LineError(piece.path, number, problem)
