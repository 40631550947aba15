"""Writing a folder whole or not at all."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import mkdtemp

from .errors import MambascopeError


@contextmanager
def new_folder(out: Path) -> Iterator[Path]:
    """A folder to fill, beside `out`, which takes its place if the block succeeds and goes if it fails.

    Raises `out-exists` if `out` is there and not an empty folder.
    """
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise MambascopeError("out-exists", f"{out} is there already.", "Name a new folder, or remove that one.")
    out.parent.mkdir(parents=True, exist_ok=True)
    part = Path(mkdtemp(dir=out.parent, prefix=f".{out.name}.", suffix=".part"))
    try:
        yield part
        part.chmod(0o755)
        part.replace(out)
    except BaseException:
        shutil.rmtree(part, ignore_errors=True)
        raise
