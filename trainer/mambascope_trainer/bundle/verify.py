"""Checking a whole bundle: every file's checksum, every tensor's place and values."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from ..errors import MambascopeError
from ..progress import Progress
from .bundle import Bundle
from .codecs import CODEC_PARTS, part_shapes
from .manifest import FileInfo, TensorEntry
from .safetensors import read_entries
from .shards import part_name
from .token_ranking import TokenRanking, ranking_fault


@dataclass(frozen=True)
class Fault:
    """`kind` is "missing" (a file that can be fetched) or "damaged"; `text` says which and why."""

    kind: str
    file: str
    text: str


def verify_bundle(bundle: Bundle, progress: Progress) -> list[Fault]:
    """All faults, none left out; an empty list says that the bundle is whole."""
    manifest = bundle.manifest
    faults: list[Fault] = []
    ranking = manifest.token_ranking
    files: dict[str, FileInfo | TokenRanking] = {**manifest.files, **({ranking.file: ranking} if ranking else {})}
    step = progress.counter("verify", sum(info.bytes for info in files.values()))
    sound: set[str] = set()
    for file, info in files.items():
        if bundle.find(file) is None:
            faults.append(Fault("missing", file, "missing, or not of the manifest's size"))
            step(info.bytes)
            continue
        try:
            bundle.verify_file(file, step)
            sound.add(file)
        except MambascopeError as error:
            faults.append(Fault("damaged", file, error.message))
    for file in sorted(sound):
        if file.endswith(".safetensors"):
            faults += [Fault("damaged", file, text) for text in _shard_faults(bundle, file)]
    if ranking is not None and ranking.file in sound:
        fault = ranking_fault(np.fromfile(bundle.path(ranking.file), "<u4"), manifest.architecture.vocab_size)
        faults += [Fault("damaged", ranking.file, fault)] if fault else []
    return faults


def _shard_faults(bundle: Bundle, file: str) -> Iterator[str]:
    """What the shard's own header and values say against the manifest."""
    try:
        stored = read_entries(bundle.path(file))
    except MambascopeError as error:
        yield error.message
        return
    used = set()
    for mixer_set, tensors in _indices(bundle):
        for name, entry in tensors.items():
            if entry.file != file:
                continue
            shapes = part_shapes(entry.codec, entry.shape)
            for part, dtype in CODEC_PARTS[entry.codec].items():
                key = part_name(name, part)
                used.add(key)
                found = stored.get(key)
                if found is None or (found.dtype, found.shape, found.begin, found.end) != (
                    dtype, shapes[part], *entry.parts[part],
                ):  # fmt: skip
                    yield f"tensor {key} is {found or 'missing'} there, the manifest says otherwise"
            if not np.isfinite(bundle.tensor(name, mixer_set)).all():
                yield f"tensor {name} has NaN or infinite values"
    for key in sorted(stored.keys() - used):
        yield f"it holds {key}, which the manifest does not list"


def _indices(bundle: Bundle) -> Iterator[tuple[str | None, Mapping[str, TensorEntry]]]:
    yield None, bundle.manifest.tensors
    for name, mixer_set in bundle.manifest.mixer_sets.items():
        yield name, mixer_set.tensors
