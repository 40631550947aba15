"""Reading a bundle: tensors as float32 arrays, from one folder or from several that share a family."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
import numpy.typing as npt

from ..errors import MambascopeError
from .codecs import CODEC_PARTS, EncodedTensor, decode, part_shapes
from .manifest import MANIFEST, FileInfo, Manifest, Variant, load_manifest
from .safetensors import read_range, sha256_file
from .token_ranking import TokenRanking


class Bundle:
    """A family's manifest and the folders in which its files may lie, looked up in their order."""

    def __init__(self, manifest: Manifest, folders: tuple[Path, ...]) -> None:
        self.manifest = manifest
        self.folders = folders

    @classmethod
    def open(cls, folders: Path | str | Iterable[Path | str]) -> Bundle:
        """Opens the family whose folders these are (say, the home's and the shipped one).

        The first folder that has a manifest gives it; files are taken from the first folder that has them.
        Raises `manifest-missing` or `manifest-invalid`.
        """
        paths = (Path(folders),) if isinstance(folders, Path | str) else tuple(Path(folder) for folder in folders)
        for path in paths:
            if (path / MANIFEST).is_file():
                return cls(load_manifest(path / MANIFEST), paths)
        raise MambascopeError(
            "manifest-missing",
            f"There is no {MANIFEST} in {' or '.join(map(str, paths)) or 'any folder'}.",
            "Import the family first, or name its folder.",
        )

    def find(self, file: str) -> Path | None:
        """Where a file of the manifest lies, or None. A file of another size is not that file."""
        size = self._info(file).bytes
        candidates = (folder / file for folder in self.folders)
        return next((path for path in candidates if path.is_file() and path.stat().st_size == size), None)

    def _info(self, file: str) -> FileInfo | TokenRanking:
        """What the manifest says of a file; the token ranking's stands in its own entry."""
        ranking = self.manifest.token_ranking
        return ranking if ranking is not None and ranking.file == file else self.manifest.files[file]

    def path(self, file: str) -> Path:
        """As `find`. Raises `file-missing`."""
        path = self.find(file)
        if path is None:
            raise MambascopeError(
                "file-missing",
                f"The file {file} of the family {self.manifest.family} is missing or incomplete.",
                "Fetch the family's base (its manifest's origin says where from), or export it again.",
            )
        return path

    def encoded(self, name: str, mixer_set: str | None = None) -> EncodedTensor:
        """A tensor as it is stored, memory-mapped. Raises `tensor-missing`, `mixer-set-missing`, `file-missing`."""
        entry = self.manifest.entry(name, mixer_set)
        path = self.path(entry.file)
        shapes, dtypes = part_shapes(entry.codec, entry.shape), CODEC_PARTS[entry.codec]
        parts = {part: read_range(path, dtypes[part], shapes[part], *span) for part, span in entry.parts.items()}
        return EncodedTensor(entry.codec, entry.shape, parts)

    def tensor(self, name: str, mixer_set: str | None = None) -> npt.NDArray[np.float32]:
        """A tensor's float32 values; those of the mixer set, if it has this tensor, before the base's."""
        return decode(self.encoded(name, mixer_set))

    def variant(self, name: str) -> Variant:
        """Raises `variant-missing`."""
        if name not in self.manifest.variants:
            raise MambascopeError(
                "variant-missing",
                f"Family {self.manifest.family} has no variant {name!r}.",
                f"Choose one of: {', '.join(self.manifest.variants)}.",
            )
        return self.manifest.variants[name]

    def verify_file(self, file: str, on_bytes: Callable[[int], None] | None = None) -> None:
        """Reads a file whole and compares its checksum. Raises `file-missing` or `checksum-mismatch`."""
        if sha256_file(self.path(file), on_bytes) != self._info(file).sha256:
            raise MambascopeError(
                "checksum-mismatch",
                f"The file {file} of the family {self.manifest.family} is damaged.",
                "Delete it and fetch or export it again.",
            )
