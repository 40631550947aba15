"""Files that are replaced whole or not at all, and what a full disk is."""

from __future__ import annotations

import errno
import os
from pathlib import Path

from .errors import MambascopeError

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def replace_text(path: Path, text: str, durable: bool = True) -> None:
    """Replace a file by rename: readers see the old text or the new one, and the old one stays if this fails.

    durable: wait until the text is on the disk, so that a power cut keeps one of the two.
    """
    part = path.with_name(f".{path.name}.part")
    try:
        with part.open("w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            if durable:
                os.fsync(file.fileno())
        part.replace(path)
    except OSError:
        part.unlink(missing_ok=True)
        raise


def sync_folder(folder: Path) -> None:
    """Wait until the names in a folder are on the disk; does nothing where folders cannot be opened."""
    try:
        handle = os.open(folder, os.O_RDONLY)
    except OSError:
        return
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def is_full(error: BaseException) -> bool:
    """Whether an error says that the disk, the quota or the limit of a file's size is reached."""
    return isinstance(error, OSError) and error.errno in _FULL


def file_error(error: OSError) -> MambascopeError:
    """An operating system's error as one that says what to do."""
    if is_full(error):
        return MambascopeError(
            "disk-full",
            f"The disk is full: {error}.",
            "Free space on it; a run goes on from its last checkpoint, which is whole, when it is resumed.",
        )
    return MambascopeError(
        "file-access",
        f"A file could not be read or written: {error}.",
        "Check its path, its permissions and the disk's space.",
    )
