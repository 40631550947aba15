"""Local texts and chats to packed token rows: read, tokenised, deduplicated, mixed, shuffled, held out, packed.

Two passes. The first streams the sources through the tokenising processes to one file of tokens; what stays in memory
are a length, a hash and a signature a document. The second picks the documents and writes them, shuffled, as rows.
"""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from .encode import Encoded, Encoders, EncodeSettings
from .errors import DataError
from .ids import Ids
from .near_duplicates import BINS, later_duplicates
from .recipe import made_before, recipe_key, write_recipe
from .sources import Source

#: Of what is written: a change of it makes old recipes new ones.
VERSION = 1
#: Tokens of a shard of rows.
SHARD = 1 << 24

Ints = npt.NDArray[np.int64]


@dataclass(frozen=True)
class PrepareRequest:
    """What to make of the sources: rows of `length` tokens, `held_out` of them apart.

    `near`: estimated similarity from which on a document counts as a copy of an earlier one; None: exact copies only.
    """

    sources: tuple[Source, ...]
    encode: EncodeSettings
    length: int
    held_out: int = 0
    seed: int = 0
    near: float | None = 0.8

    def describe(self) -> dict[str, Any]:
        """All that the rows depend on, as JSON."""
        tokenizer = self.encode.tokenizer
        return {
            "version": VERSION,
            "sources": [source.describe() for source in self.sources],
            "tokenizer": recipe_key({"files": [tokenizer.tokenizer, tokenizer.config, tokenizer.bos, tokenizer.eos]}),
            "tokenised_share": self.encode.tokenised_share,
            "length": self.length,
            "held_out": self.held_out,
            "seed": self.seed,
            "near": self.near,
        }


def prepare(request: PrepareRequest, out: Path, workers: int) -> dict[str, Any]:
    """Write out/train, out/evaluation (if rows are held out) and out/recipe.json; returns the counts.

    Data of the same recipe are not made twice. Raises DataError for sources, lines and shares that cannot be used.
    """
    settings, recipe = request.describe(), out / "recipe.json"
    before = made_before(recipe, settings, [out / "train", out / "evaluation"])
    if before is not None:
        return {**before["counts"], "cached": True}
    part = out / ".part"
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True)
    try:
        with _Store(part / "tokens") as store, Encoders(request.encode, workers) as encoders:
            read = [_read(k, source, store, encoders) for k, source in enumerate(request.sources)]
            documents, stored = store.documents(), encoders.encoder.stored
        kept, dropped = _without_copies(documents, request)
        order = _chosen(documents, kept, request)
        tokens = np.memmap(part / "tokens", stored, "r")
        counts = {"sources": read, **dropped, **_write(tokens, documents, order, part, request)}
        for name in ("train", "evaluation"):
            if (part / name).exists():
                (part / name).replace(out / name)
        write_recipe(recipe, {"key": recipe_key(settings), "settings": settings, "counts": counts})
        return counts
    finally:
        shutil.rmtree(part, ignore_errors=True)


@dataclass(frozen=True)
class _Documents:
    """Of every document: its source, place and length in the file of tokens, hash and signature."""

    source: Ints
    starts: Ints
    lengths: Ints
    exact: npt.NDArray[np.uint64]
    signatures: npt.NDArray[np.uint16]
    signed: npt.NDArray[np.bool_]


class _Store:
    """Takes encoded pieces: tokens go to a file, the rest is kept."""

    def __init__(self, path: Path) -> None:
        self.path, self.parts = path, list[tuple[int, Encoded]]()

    def __enter__(self) -> Self:
        self.file = self.path.open("wb")
        return self

    def __exit__(self, *_: object) -> None:
        self.file.close()

    def add(self, source: int, encoded: Encoded, count: int) -> int:
        """The first `count` documents of a piece; returns their tokens."""
        lengths = encoded.lengths[:count]
        tokens = int(lengths.sum())
        self.file.write(encoded.tokens[:tokens].tobytes())
        rest = (encoded.exact[:count], encoded.signatures[:count], encoded.signed[:count])
        self.parts.append((source, Encoded(encoded.tokens[:0], lengths, *rest, encoded.size)))
        return tokens

    def documents(self) -> _Documents:
        parts = [part for _, part in self.parts]
        lengths = np.concatenate([np.zeros(0, np.int64), *(p.lengths for p in parts)])
        return _Documents(
            np.repeat([source for source, _ in self.parts], [len(p.lengths) for p in parts]).astype(np.int64),
            np.cumsum(lengths) - lengths,
            lengths,
            np.concatenate([np.zeros(0, np.uint64), *(p.exact for p in parts)]),
            np.concatenate([np.zeros((0, BINS), np.uint16), *(p.signatures for p in parts)]),
            np.concatenate([np.zeros(0, np.bool_), *(p.signed for p in parts)]),
        )


def _read(number: int, source: Source, store: _Store, encoders: Encoders) -> dict[str, Any]:
    """Tokenise source `number`, at most its limit of documents."""
    count, tokens, size, started = 0, 0, 0, time.perf_counter()
    shown = started
    for encoded in encoders.encode(source.pieces()):
        left = len(encoded.lengths) if source.limit is None else source.limit - count
        tokens += store.add(number, encoded, left)
        count += min(left, len(encoded.lengths))
        size += encoded.size
        now = time.perf_counter()
        if now - shown > 2:
            shown = now
            rate = round(size / (now - started) / 1e6, 1)
            state = {"phase": "tokenise", "source": source.name, "documents": count, "tokens": tokens}
            print(json.dumps({**state, "megabytes_per_second": rate}), flush=True)
        if source.limit is not None and count >= source.limit:
            break
    if count == 0:
        raise DataError(f"{source.name} holds no documents", "Name another source.")
    return {"name": source.name, "documents": count, "tokens": tokens}


def _without_copies(documents: _Documents, request: PrepareRequest) -> tuple[npt.NDArray[np.bool_], dict[str, int]]:
    """Which documents to keep, and how many copies were dropped; excluded sources count as read before all others."""
    excluded = np.array([source.excluded for source in request.sources])[documents.source]
    order = np.argsort(~excluded, kind="stable")
    first = np.zeros(len(order), np.bool_)
    first[np.unique(documents.exact[order], return_index=True)[1]] = True
    keep = np.zeros(len(order), np.bool_)
    keep[order] = first
    exact = int((~keep).sum())
    if request.near is not None:
        signed = order[(keep & documents.signed)[order]]
        keep[signed[later_duplicates(documents.signatures[signed], request.near)]] = False
    near = int((~keep).sum()) - exact
    return keep & ~excluded, {"exact_copies": exact, "near_copies": near}


def _chosen(documents: _Documents, kept: npt.NDArray[np.bool_], request: PrepareRequest) -> Ints:
    """The documents in the order in which they are packed: each source's share of the tokens, shuffled."""
    places = np.random.default_rng(request.seed).permutation(len(kept))
    places = places[kept[places]]
    shares = {k: source.share for k, source in enumerate(request.sources) if not source.excluded}
    given = {k: share for k, share in shares.items() if share is not None}
    if not given:
        return places
    if len(given) < len(shares):
        raise DataError("some sources have a share and some have none", "Give each its share, or none of them.")
    # As many tokens as the source that is scarcest for its share allows.
    sums = {k: int(documents.lengths[places[documents.source[places] == k]].sum()) for k in given}
    total = min(sums[k] / share for k, share in given.items())
    wanted = np.zeros(len(request.sources))
    wanted[list(given)] = [share * total for share in given.values()]
    take = np.zeros(len(places), np.bool_)
    for k in given:
        own = documents.source[places] == k
        take[own] = np.cumsum(documents.lengths[places[own]]) <= wanted[k] + 0.5
    return places[take]


def _write(tokens: Ids, documents: _Documents, order: Ints, part: Path, request: PrepareRequest) -> dict[str, Any]:
    """Pack the documents: first the held-out rows, then, from another document on, the rows to train on."""
    lengths = documents.lengths[order]
    ends = np.cumsum(lengths)
    held = request.held_out * request.length
    split = int(np.searchsorted(ends, held)) + 1 if held else 0
    train_rows = int(lengths[split:].sum()) // request.length
    if train_rows == 0:
        raise DataError(
            f"{int(lengths.sum())} tokens do not fill {request.held_out} held-out rows and one of {request.length}",
            "Give more text, lower --length, or hold out fewer rows.",
        )
    counts: dict[str, Any] = {"documents": len(order)}
    for name, chosen, rows in (
        ("evaluation", order[:split], request.held_out),
        ("train", order[split:], train_rows),
    ):
        if rows:
            _pack(tokens, documents, chosen, part / name, rows, request.length)
            counts[name] = {"rows": rows, "tokens": rows * request.length}
    return counts


def _pack(tokens: Ids, documents: _Documents, chosen: Ints, folder: Path, rows: int, length: int) -> None:
    """The first `rows` rows of the chosen documents, joined, in shards."""
    folder.mkdir(parents=True)
    per_shard = max(1, SHARD // length)
    texts = (tokens[documents.starts[i] : documents.starts[i] + documents.lengths[i]] for i in chosen)
    rest = tokens[:0]
    for number, start in enumerate(range(0, rows, per_shard)):
        shard = np.empty((min(per_shard, rows - start), length), tokens.dtype)
        rest = _fill(shard.reshape(-1), rest, texts)
        np.save(folder / f"rows-{number:05d}.npy", shard)


def _fill(flat: Ids, rest: Ids, texts: Iterator[Ids]) -> Ids:
    """Fill `flat` with `rest` and the next texts; returns what is left of the last."""
    place = 0
    while True:
        taken = min(len(rest), len(flat) - place)
        flat[place : place + taken] = rest[:taken]
        place += taken
        if place == len(flat):
            return rest[taken:]
        rest = next(texts)


def default_workers(sources: Sequence[Source]) -> int:
    """A process a core, this one alone for less than a few megabytes."""
    size = sum(p.stat().st_size if p.is_file() else 1 << 30 for s in sources for p in [Path(s.name)])
    return 1 if size < 4 << 20 else len(os.sched_getaffinity(0))
