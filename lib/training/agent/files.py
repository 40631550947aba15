"""Reads and writes files under the node's root."""

from __future__ import annotations

import base64
import binascii
import os
import stat as modes
import uuid
from typing import Any, Dict

from .core import AgentError, Call, Params, inside, op, os_error, root

# One read never holds a call longer than this; readers ask again from where it ended.
MAX_READ_BYTES = 64 * 1024 * 1024
MAX_WRITE_BYTES = 2 * 1024 * 1024


def described(info: os.stat_result) -> Dict[str, Any]:
    """What readers need to notice that a file grew or was replaced."""
    return {"size": info.st_size, "mtime": info.st_mtime, "inode": info.st_ino}


@op("stat")
def stat(call: Call, params: Params) -> object:
    """Size, time, inode and kind of a path; null if there is nothing."""
    try:
        info = os.stat(inside(params.text("path")))
    except FileNotFoundError:
        return None
    kind = "file" if modes.S_ISREG(info.st_mode) else "folder" if modes.S_ISDIR(info.st_mode) else "other"
    return {**described(info), "kind": kind}


@op("list")
def list_folder(call: Call, params: Params) -> object:
    """The files under a folder, with their sizes; `deep` goes into its folders. An absent folder has none. At most `limit` (10 000)."""
    base, deep, limit = inside(params.text("path")), params.flag("deep"), params.integer("limit", 10_000)
    entries = []
    pending = [""]
    while pending:
        call.check()
        relative = pending.pop()
        try:
            with os.scandir(os.path.join(base, relative)) as found:
                for entry in found:
                    name = relative + entry.name
                    if entry.is_symlink():
                        continue
                    folder = entry.is_dir(follow_symlinks=False)
                    try:
                        info = entry.stat(follow_symlinks=False)
                    except FileNotFoundError:
                        continue
                    entries.append({"path": name, "kind": "folder" if folder else "file", **described(info)})
                    if folder and deep:
                        pending.append(name + "/")
        except (FileNotFoundError, NotADirectoryError):
            continue
        if len(entries) > limit:
            raise AgentError("too-large", "The folder %s has more than %d files." % (params.text("path"), limit))
    entries.sort(key=lambda entry: str(entry["path"]))
    return {"entries": entries}


@op("read")
def read(call: Call, params: Params) -> object:
    """Sends bytes of a file from `offset` (below the file's end: none), at most `length`, then tells size and inode of what was read."""
    name, offset = params.text("path"), params.integer("offset", 0)
    left = min(params.integer("length", MAX_READ_BYTES), MAX_READ_BYTES)
    sent = 0
    try:
        with open(inside(name), "rb") as file:
            file.seek(offset)
            while left > 0:
                chunk = file.read(min(left, 256 * 1024))
                if not chunk:
                    break
                call.data(chunk)
                sent += len(chunk)
                left -= len(chunk)
            # Of the open file, so that the numbers belong to the bytes even if the name now means another file.
            info = os.fstat(file.fileno())
    except IsADirectoryError as error:
        raise AgentError("not-a-file", "%s is a folder." % name) from error
    except OSError as error:
        raise os_error(error, "%s cannot be read" % name) from error
    return {**described(info), "offset": offset, "bytes": sent}


def write_atomic(path: str, data: bytes, exclusive: bool = False) -> None:
    """Writes a whole file under another name, then renames it: readers see the old one or the new one. `exclusive`: never over another."""
    temporary = os.path.join(os.path.dirname(path), "." + os.path.basename(path) + "." + uuid.uuid4().hex[:8])
    try:
        with open(temporary, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        if exclusive:
            os.link(temporary, path)
            os.unlink(temporary)
        else:
            os.replace(temporary, path)
    except BaseException:
        try:
            os.unlink(temporary)
        except FileNotFoundError:
            pass
        raise


@op("write")
def write(call: Call, params: Params) -> object:
    """Writes a file whole (`data`: base64, at most 2 MiB) with its folders. `exclusive`: error `exists` if it is there."""
    name = params.text("path")
    try:
        data = base64.b64decode(params.text("data"), validate=True)
    except binascii.Error as error:
        raise AgentError("bad-request", "data is not base64.") from error
    if len(data) > MAX_WRITE_BYTES:
        raise AgentError("too-large", "%s is too large to be written at once." % name)
    path = inside(name)
    if path == root():
        raise AgentError("path", "The node's folder is not a file.")
    try:
        os.makedirs(os.path.dirname(path), exist_ok=True)
        write_atomic(path, data, params.flag("exclusive"))
        return described(os.stat(path))
    except FileExistsError as error:
        raise AgentError("exists", "%s exists already." % name, "Choose another name.") from error
    except OSError as error:
        raise os_error(error, "%s cannot be written" % name) from error


@op("move")
def move(call: Call, params: Params) -> object:
    """Renames a folder or file `from` to `to`, both under the root. Error `exists` if there is something already."""
    source, target = inside(params.text("from")), inside(params.text("to"))
    if root() in (source, target):
        raise AgentError("path", "The node's folder itself cannot be moved.")
    if os.path.lexists(target):
        raise AgentError("exists", "%s exists already." % params.text("to"), "Choose another name.")
    try:
        os.makedirs(os.path.dirname(target), exist_ok=True)
        os.rename(source, target)
    except OSError as error:
        raise os_error(error, "%s cannot be moved" % params.text("from")) from error
    return None


@op("mkdir")
def mkdir(call: Call, params: Params) -> object:
    """Makes a folder with its parents. `exclusive`: error `exists` if it is there."""
    name = params.text("path")
    path = inside(name)
    try:
        os.makedirs(os.path.dirname(path), exist_ok=True)
        os.mkdir(path)
    except FileExistsError as error:
        if params.flag("exclusive") or not os.path.isdir(path):
            raise AgentError("exists", "%s exists already." % name, "Choose another name.") from error
    except OSError as error:
        raise os_error(error, "The folder %s cannot be made" % name) from error
    return None
