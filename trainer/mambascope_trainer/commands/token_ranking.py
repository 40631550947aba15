"""`token-ranking`: a family's tokens by how often its training data hold them, for drafts with a shortlist."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
import numpy.typing as npt

from ..bundle.bundle import Bundle
from ..bundle.manifest import Manifest
from ..bundle.token_ranking import rank_tokens
from ..bundle.writer import BundleWriter
from ..data.tokens import DataError, shards_of
from ..errors import MambascopeError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--bundle", type=Path, nargs="+", required=True, help="the family's folders")
    parser.add_argument("--rows", type=Path, nargs="+", required=True, help="data folders, as train reads them")
    parser.add_argument("--count", type=int, default=16384, help="tokens to rank")
    parser.add_argument("--out", type=Path, help="folder of the manifest that is to have it (default: the bundle's)")


def run(options: argparse.Namespace) -> None:
    bundle = Bundle.open(options.bundle)
    manifest = bundle.manifest
    size = manifest.architecture.vocab_size
    if options.count < 1:
        raise MambascopeError("usage", "--count counts tokens.", "Give a number from 1.")
    counts = count_tokens(options.rows, size)
    ids = rank_tokens(counts, _special(manifest), min(options.count, size))
    out = options.out or next(folder for folder in bundle.folders if (folder / "manifest.json").is_file())
    BundleWriter.open(out, options.bundle).rank_tokens(ids)
    total = int(counts.sum())
    shares = {str(n): round(int(counts[ids[:n]].sum()) / total, 5) for n in (2048, 4096, 8192, 16384) if n <= len(ids)}
    result = {"count": len(ids), "tokens": total, "distinct": int((counts > 0).sum()), "covered": shares}
    print(json.dumps({"result": result}), flush=True)


def count_tokens(folders: list[Path], vocabulary: int) -> npt.NDArray[np.int64]:
    """How often each id (V,) occurs in the rows of the folders. Raises DataError for no rows, or ids beyond V."""
    counts = np.zeros(vocabulary, dtype=np.int64)
    for folder in folders:
        for rows in shards_of(folder):
            if int(rows.max()) >= vocabulary:
                raise DataError(
                    f"the rows of {folder} hold token {int(rows.max())}, the family has {vocabulary}",
                    "Name data that were made with this family's tokenizer.",
                )
            counts += np.bincount(rows.ravel(), minlength=vocabulary)
    return counts


def _special(manifest: Manifest) -> list[int]:
    """The ends of texts and turns, and what texts begin with."""
    special = manifest.special_tokens
    return [*special.eos, *([] if special.bos is None else [special.bos])]
