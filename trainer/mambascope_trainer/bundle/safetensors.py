"""Reading and deterministic writing of safetensors files, with numpy alone."""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ..errors import MambascopeError

Array = npt.NDArray[np.generic]

DTYPES: dict[str, np.dtype[Any]] = {
    "U8": np.dtype("u1"),
    "F32": np.dtype("<f4"),
    "F16": np.dtype("<f2"),
}
# Every U8 part is a multiple of 16 bytes, so in this order each entry is aligned to its element size at least.
_ORDER = {"U8": 0, "F32": 1, "F16": 2}
_HEADER_ALIGNMENT = 64
_MAX_HEADER = 100_000_000


@dataclass(frozen=True)
class Entry:
    """One tensor of a file; `begin` and `end` are counted from the start of the file."""

    dtype: str
    shape: tuple[int, ...]
    begin: int
    end: int


def _corrupt(path: Path, why: str) -> MambascopeError:
    return MambascopeError(
        "safetensors-corrupt", f"{path.name} is not a valid safetensors file: {why}.", "Fetch or write the file again."
    )


def read_entries(path: Path) -> dict[str, Entry]:
    """The file's tensors, checked: known dtypes, sizes that fit the shapes, no holes or overlaps, no bytes left."""
    size = path.stat().st_size
    with path.open("rb") as file:
        prefix = file.read(8)
        length = int.from_bytes(prefix, "little")
        if len(prefix) < 8 or length > min(size - 8, _MAX_HEADER):
            raise _corrupt(path, "its header does not fit the file")
        try:
            header = json.loads(file.read(length))
        except ValueError as error:
            raise _corrupt(path, f"its header is not JSON ({error})") from error
    if not isinstance(header, dict):
        raise _corrupt(path, "its header is not an object")
    entries: dict[str, Entry] = {}
    for name, value in header.items():
        if name == "__metadata__":
            continue
        try:
            dtype, shape = str(value["dtype"]), tuple(int(n) for n in value["shape"])
            begin, end = (int(n) + 8 + length for n in value["data_offsets"])
        except (KeyError, TypeError, ValueError) as error:
            raise _corrupt(path, f"tensor {name} is not described well") from error
        if dtype not in DTYPES:
            raise _corrupt(path, f"tensor {name} has dtype {dtype}; a bundle holds {', '.join(DTYPES)}")
        if end - begin != prod(shape) * DTYPES[dtype].itemsize:
            raise _corrupt(path, f"tensor {name} has {end - begin} bytes, which do not fit its shape {list(shape)}")
        entries[name] = Entry(dtype, shape, begin, end)
    position = 8 + length
    for name, entry in sorted(entries.items(), key=lambda item: item[1].begin):
        if entry.begin != position:
            raise _corrupt(path, f"there is a hole or an overlap before tensor {name}")
        position = entry.end
    if position != size:
        raise _corrupt(path, f"it has {size} bytes, its header speaks of {position}")
    return entries


def read_range(path: Path, dtype: str, shape: Sequence[int], begin: int, end: int) -> Array:
    """One tensor, memory-mapped read-only."""
    if end > path.stat().st_size:
        raise _corrupt(path, f"it ends before byte {end}")
    return np.memmap(path, dtype=DTYPES[dtype], mode="r", offset=begin, shape=tuple(shape))


def serialise(tensors: Mapping[str, Array]) -> tuple[bytes, dict[str, Entry], list[Array]]:
    """Header bytes, entries and data in file order. The same tensors always give the same bytes."""
    codes = {dtype: code for code, dtype in DTYPES.items()}
    names = sorted(tensors, key=lambda name: _ORDER[codes[tensors[name].dtype]])  # stable: else the caller's order
    header: dict[str, Any] = {}
    position = 0
    for name in names:
        array = tensors[name]
        header[name] = {
            "dtype": codes[array.dtype],
            "shape": list(array.shape),
            "data_offsets": [position, position + array.nbytes],
        }
        position += array.nbytes
    text = json.dumps(header, separators=(",", ":"), ensure_ascii=True).encode()
    text += b" " * (-(len(text) + 8) % _HEADER_ALIGNMENT)
    start = 8 + len(text)
    entries = {
        name: Entry(
            item["dtype"], tuple(item["shape"]), start + item["data_offsets"][0], start + item["data_offsets"][1]
        )
        for name, item in header.items()
    }
    return len(text).to_bytes(8, "little") + text, entries, [tensors[name] for name in names]


@dataclass(frozen=True)
class Written:
    """What a write made: size, checksum, and the entries of a safetensors file (empty for other files)."""

    bytes: int
    sha256: str
    entries: Mapping[str, Entry]


def write_atomic(
    path: Path,
    chunks: Sequence[bytes | memoryview],
    expected_sha256: str | None = None,
    on_bytes: Callable[[int], None] | None = None,
) -> Written:
    """Writes chunks to a temporary file beside `path`, checks the checksum if given, and renames it into place.

    Raises `checksum-mismatch`, leaving what was at `path` untouched.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    digest, size = hashlib.sha256(), 0
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".part")
    try:
        with os.fdopen(handle, "wb") as file:
            for chunk in chunks:
                digest.update(chunk)
                file.write(chunk)
                size += len(chunk)
                if on_bytes:
                    on_bytes(len(chunk))
            file.flush()
            os.fsync(file.fileno())
        if expected_sha256 is not None and digest.hexdigest() != expected_sha256:
            raise MambascopeError(
                "checksum-mismatch",
                f"{path.name} would have SHA-256 {digest.hexdigest()}, the manifest says {expected_sha256}.",
                "Use the source that the manifest's origin names, and the same version of this program.",
            )
        Path(temporary).chmod(0o644)
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
    return Written(size, digest.hexdigest(), {})


def write_safetensors(
    path: Path,
    tensors: Mapping[str, Array],
    expected_sha256: str | None = None,
    on_bytes: Callable[[int], None] | None = None,
) -> Written:
    """Writes a safetensors file atomically and deterministically; see `write_atomic`."""
    header, entries, arrays = serialise(tensors)
    data = [np.ascontiguousarray(array).reshape(-1).view(np.uint8).data for array in arrays]
    written = write_atomic(path, [header, *data], expected_sha256, on_bytes)
    return Written(written.bytes, written.sha256, entries)


def sha256_file(path: Path, on_bytes: Callable[[int], None] | None = None) -> str:
    """The file's SHA-256 in hexadecimal, read in pieces."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(1 << 20):
            digest.update(chunk)
            if on_bytes:
                on_bytes(len(chunk))
    return digest.hexdigest()
