"""Moves many bytes: run directories out as tar.gz, files in under checksums."""

from __future__ import annotations

import gzip
import hashlib
import io
import os
import shutil
import tarfile
import threading
import time
import uuid
from typing import Any, Dict, Iterator, List, Tuple

from .core import CHUNK_BYTES, AgentError, Call, Params, inside, op, os_error, root


class _Sink(io.RawIOBase):
    """A file that sends what is written to it with the call, in pieces of fair size."""

    def __init__(self, call: Call) -> None:
        self._call = call
        self._held = bytearray()

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        self._held += data
        if len(self._held) >= CHUNK_BYTES:
            self.flush()
        return len(data)

    def flush(self) -> None:
        if self._held:
            held, self._held = bytes(self._held), bytearray()
            self._call.data(held)


class _Exactly(io.RawIOBase):
    """The first `size` bytes of a file, with zeros where it became shorter: a member of an archive must have the size that was told."""

    def __init__(self, file: Any, size: int) -> None:
        self._file = file
        self._left = size

    def read(self, size: int = -1) -> bytes:
        wanted = self._left if size < 0 else min(size, self._left)
        data: bytes = self._file.read(wanted)
        data += b"\0" * (wanted - len(data))
        self._left -= wanted
        return data


@op("archive")
def archive(call: Call, params: Params) -> object:
    """Sends a folder as tar.gz, its members under `name`. `without`: names of subfolders to leave out. Files that vanish are left out."""
    base, name = inside(params.text("path")), params.text("name")
    without = set(params.texts("without", []))
    if not os.path.isdir(base):
        raise AgentError("not-found", "There is no folder %s on this node." % params.text("path"), "Reload the page.")
    sink = _Sink(call)
    files = 0
    with gzip.GzipFile(fileobj=sink, mode="wb", compresslevel=3, mtime=0) as packed, tarfile.open(fileobj=packed, mode="w|") as tar:
        for parent, folders, names in os.walk(base):
            folders[:] = sorted(folder for folder in folders if not (parent == base and folder in without))
            for entry in sorted(names):
                path = os.path.join(parent, entry)
                if os.path.islink(path) or not os.path.isfile(path):
                    continue
                try:
                    with open(path, "rb") as file:
                        info = os.fstat(file.fileno())
                        member = tarfile.TarInfo(name + "/" + os.path.relpath(path, base))
                        member.size, member.mtime = info.st_size, int(info.st_mtime)
                        tar.addfile(member, _Exactly(file, info.st_size))
                        files += 1
                except FileNotFoundError:
                    continue
    sink.flush()
    return {"files": files}


# (path, size, mtime, inode) -> sha256: a bundle is hashed once, not before every run.
_known: Dict[Tuple[str, int, int, int], str] = {}
_known_lock = threading.Lock()


def sha256_of(path: str, call: Call) -> str:
    """The checksum of a file. Raises OSError; Cancelled."""
    info = os.stat(path)
    key = (path, info.st_size, info.st_mtime_ns, info.st_ino)
    with _known_lock:
        if key in _known:
            return _known[key]
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        for block in iter(lambda: file.read(1024 * 1024), b""):
            digest.update(block)
            call.check()
    with _known_lock:
        if len(_known) > 10_000:
            _known.clear()
        _known[key] = digest.hexdigest()
    return digest.hexdigest()


@op("missing")
def missing(call: Call, params: Params) -> object:
    """Which of `files` ({name, size, sha256}) the folder `path` lacks or has differently: their names."""
    folder = params.text("path")
    absent = []
    for name, size, sha256 in _wanted(params):
        path = inside(folder + "/" + name)
        try:
            right = os.path.isfile(path) and os.path.getsize(path) == size and sha256_of(path, call) == sha256
        except OSError:
            right = False
        if not right:
            absent.append(name)
    return {"missing": absent}


def _wanted(params: Params) -> List[Tuple[str, int, str]]:
    files = []
    for entry in params.items("files"):
        fields = Params(entry if isinstance(entry, dict) else {})
        files.append((fields.text("name"), fields.integer("size"), fields.text("sha256")))
    return files


class _Bytes:
    """Reads exact counts from chunks as they come."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self._chunks = chunks
        self._held = b""

    def take(self, count: int) -> bytes:
        """Up to `count` bytes, at least one; b"" at the end."""
        while not self._held:
            chunk = next(self._chunks, None)
            if chunk is None:
                return b""
            self._held = chunk
        part, self._held = self._held[:count], self._held[count:]
        return part


@op("put")
def put(call: Call, params: Params) -> object:
    """Takes the contents of `files` ({name, size, sha256}), one after another, as the call's bytes, and puts them into the folder `path`.

    They are written and checked in a temporary folder first. `mode` "new": the folder appears whole, by one rename; if it is there already,
    what came is dropped (`created` is false). "merge": the files are renamed into the folder, in their order, over older ones.
    """
    name, mode = params.text("path"), params.text("mode")
    if mode not in ("new", "merge"):
        raise AgentError("bad-request", "mode must be new or merge.")
    target = inside(name)
    if target == root():
        raise AgentError("path", "The node's folder itself cannot be replaced.")
    files = _wanted(params)
    if len({file for file, _, _ in files}) != len(files):
        raise AgentError("bad-request", "A file is named twice.")
    for file, _, _ in files:
        inside(name + "/" + file)
    needed = sum(size for _, size, _ in files)
    if needed > shutil.disk_usage(root()).free:
        raise AgentError("disk-full", "The node's disk has no room for %d MB more." % (needed // 1_000_000), "Free some space on the node, then try again.")
    _sweep()
    temporary = os.path.join(root(), ".incoming", uuid.uuid4().hex)
    try:
        os.makedirs(temporary)
        source = _Bytes(call.input())
        for file, size, sha256 in files:
            _receive(source, os.path.join(temporary, *file.split("/")), file, size, sha256)
        if source.take(1):
            raise AgentError("bad-request", "More bytes came than the files have.")
        os.makedirs(os.path.dirname(target), exist_ok=True)
        if mode == "merge":
            for file, _, _ in files:
                final = inside(name + "/" + file)
                os.makedirs(os.path.dirname(final), exist_ok=True)
                os.replace(os.path.join(temporary, *file.split("/")), final)
            return {"created": True}
        if os.path.isdir(target):
            return {"created": False}
        try:
            os.rename(temporary, target)
        except OSError:
            # Another dashboard was quicker with the same folder.
            if not os.path.isdir(target):
                raise
            return {"created": False}
        return {"created": True}
    except OSError as error:
        raise os_error(error, "%s cannot be put on the node" % name) from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _sweep() -> None:
    """Deletes what uploads left behind that ended with their machine: anything that nothing wrote to for a day."""
    base = os.path.join(root(), ".incoming")
    for name in os.listdir(base) if os.path.isdir(base) else []:
        path = os.path.join(base, name)
        try:
            if os.path.getmtime(path) < time.time() - 86_400:
                shutil.rmtree(path, ignore_errors=True)
        except OSError:
            continue


def _receive(source: _Bytes, path: str, name: str, size: int, sha256: str) -> None:
    os.makedirs(os.path.dirname(path), exist_ok=True)
    digest, left = hashlib.sha256(), size
    with open(path, "wb") as file:
        while left > 0:
            part = source.take(left)
            if not part:
                raise AgentError("incomplete", "%s did not arrive whole." % name, "Try again.")
            digest.update(part)
            file.write(part)
            left -= len(part)
    if digest.hexdigest() != sha256:
        raise AgentError("checksum", "%s arrived damaged, or was changed while it was sent." % name, "Try again.")
