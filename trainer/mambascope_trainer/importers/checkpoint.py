"""A checkpoint folder's tensors by name: safetensors, in one file or sharded, or PyTorch's own files where allowed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from zipfile import is_zipfile

import numpy as np
import numpy.typing as npt
import torch
from safetensors import SafetensorError, safe_open

from ..errors import MambascopeError

SINGLE, INDEX = "model.safetensors", "model.safetensors.index.json"
PICKLE, PICKLE_INDEX = "pytorch_model.bin", "pytorch_model.bin.index.json"
_DTYPES = {"F32", "F16", "BF16", "F64"}


class Checkpoint:
    """Names and shapes of a folder's tensors, read from headers; values are read when they are asked for."""

    def __init__(self, folder: Path, allow_pickle: bool = False) -> None:
        """Raises `weights-missing`, `weights-pickle`, `weights-damaged` or `weights-type`.

        PyTorch's files are read as tensors alone (`weights_only`), and only with `allow_pickle`.
        """
        self.folder = folder
        self.shapes: dict[str, tuple[int, ...]] = {}
        self._files: dict[str, Path] = {}
        self._loaded: dict[str, torch.Tensor] = {}
        if (folder / INDEX).is_file() or (folder / SINGLE).is_file():
            for file, names in _files(folder, SINGLE, INDEX).items():
                self._read_header(file, names)
        elif (folder / PICKLE).is_file() or (folder / PICKLE_INDEX).is_file():
            if not allow_pickle:
                raise MambascopeError(
                    "weights-pickle",
                    f"{folder} has its weights as pickles (pytorch_model.bin), which could run code when read.",
                    "Load the model with transformers and save it with save_pretrained, which writes safetensors.",
                )
            for file, names in _files(folder, PICKLE, PICKLE_INDEX).items():
                self._read_pickle(file, names)
        else:
            raise MambascopeError(
                "weights-missing",
                f"{folder} has neither {SINGLE} nor {INDEX}.",
                "Name the folder that save_pretrained wrote, with all its weights.",
            )

    def _read_header(self, file: Path, names: set[str] | None) -> None:
        try:
            with safe_open(file, framework="pt") as opened:
                found = set(opened.keys())
                for name in sorted(found):
                    part = opened.get_slice(name)
                    if part.get_dtype() not in _DTYPES:
                        raise MambascopeError(
                            "weights-type",
                            f"Tensor {name} has the type {part.get_dtype()}; float types alone can be imported.",
                            "Use a checkpoint that is not quantised.",
                        )
                    self.shapes[name], self._files[name] = tuple(part.get_shape()), file
        except SafetensorError as error:
            raise _damaged(file, str(error)) from error
        _check_names(file, names, found)

    def _read_pickle(self, file: Path, names: set[str] | None) -> None:
        try:
            # PyTorch's older files are no archives, and cannot be mapped.
            content: Any = torch.load(file, map_location="cpu", weights_only=True, mmap=is_zipfile(file))
        except Exception as error:  # torch raises anything between RuntimeError and UnpicklingError
            raise _damaged(file, str(error).splitlines()[0]) from error
        if not isinstance(content, dict) or not all(isinstance(item, torch.Tensor) for item in content.values()):
            raise _damaged(file, "it does not hold a dictionary of tensors")
        self._loaded |= content
        self.shapes |= {name: tuple(item.shape) for name, item in content.items()}
        _check_names(file, names, set(content))

    def tensor(self, name: str) -> npt.NDArray[np.float32]:
        """A tensor's values in float32. Raises `weights-damaged`."""
        if name in self._loaded:
            value = self._loaded[name]
        else:
            try:
                with safe_open(self._files[name], framework="pt") as opened:
                    value = opened.get_tensor(name)
            except SafetensorError as error:
                raise _damaged(self._files[name], str(error)) from error
        array: npt.NDArray[np.float32] = value.float().numpy()
        return array


def _files(folder: Path, single: str, index: str) -> dict[Path, set[str] | None]:
    """The weight files, each with the names that the index puts there (None: no index)."""
    if not (folder / index).is_file():
        return {folder / single: None}
    try:
        weight_map: dict[str, str] = json.loads((folder / index).read_text(encoding="utf-8"))["weight_map"]
        files: dict[Path, set[str] | None] = {folder / Path(name).name: set() for name in weight_map.values()}
        for tensor, name in weight_map.items():
            group = files[folder / Path(name).name]
            assert group is not None
            group.add(tensor)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise _damaged(folder / index, f"it is no index of shards ({error})") from error
    missing = [path.name for path in files if not path.is_file()]
    if missing:
        raise MambascopeError(
            "weights-missing",
            f"{folder} lacks {len(missing)} of {len(files)} shards, {missing[0]} first.",
            "Download the missing files.",
        )
    return files


def _check_names(file: Path, expected: set[str] | None, found: set[str]) -> None:
    if expected is not None and not expected <= found:
        raise _damaged(file, f"it lacks {min(expected - found)}, which the index puts there")


def _damaged(file: Path, why: str) -> MambascopeError:
    return MambascopeError("weights-damaged", f"{file.name} cannot be read: {why}.", "Download the file again.")
