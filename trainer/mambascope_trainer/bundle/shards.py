"""Splitting tensors into safetensors shards of a bounded size, always in the same way."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from .codecs import CODEC_PARTS, EncodedTensor
from .manifest import FileInfo, TensorEntry
from .safetensors import Array, write_safetensors

#: Shards stay below 16 MiB, header included; a single larger tensor has a shard for itself.
MAX_SHARD_BYTES = 16 * 2**20 - 1
_HEADER_RESERVE = 256 * 2**10


@dataclass(frozen=True)
class Shard:
    """A file name and the names of the tensors that it holds."""

    file: str
    tensors: tuple[str, ...]


def plan_shards(prefix: str, sizes: Mapping[str, int]) -> list[Shard]:
    """Fills shards with tensors (name to bytes) in their order; names are `<prefix>-00001-of-00002.safetensors`."""
    limit = MAX_SHARD_BYTES - _HEADER_RESERVE
    groups: list[list[str]] = []
    used = limit
    for name, size in sizes.items():
        if used + size > limit:
            groups.append([])
            used = 0
        groups[-1].append(name)
        used += size
    return [
        Shard(f"{prefix}-{index:05d}-of-{len(groups):05d}.safetensors", tuple(group))
        for index, group in enumerate(groups, start=1)
    ]


def part_name(tensor: str, part: str) -> str:
    """A part's name inside the safetensors file: `<tensor>`, or `<tensor>.<part>` for block codecs."""
    return tensor if part == "data" else f"{tensor}.{part}"


def write_shard(
    directory: Path,
    shard: Shard,
    tensors: Mapping[str, EncodedTensor],
    expected_sha256: str | None = None,
    on_bytes: Callable[[int], None] | None = None,
) -> tuple[FileInfo, dict[str, TensorEntry]]:
    """Writes one shard atomically; its size and checksum, and its tensors' entries."""
    arrays: dict[str, Array] = {}
    for name in shard.tensors:
        for part in CODEC_PARTS[tensors[name].codec]:
            arrays[part_name(name, part)] = tensors[name].parts[part]
    written = write_safetensors(directory / shard.file, arrays, expected_sha256, on_bytes)
    entries = {}
    for name in shard.tensors:
        tensor = tensors[name]
        spans = {part: written.entries[part_name(name, part)] for part in CODEC_PARTS[tensor.codec]}
        entries[name] = TensorEntry(
            tensor.codec, tensor.shape, shard.file, {part: (span.begin, span.end) for part, span in spans.items()}
        )
    return FileInfo(written.bytes, written.sha256), entries
