"""Checkpoints: one file (`step-<n>.pt`), or a folder of shards (`step-<n>/`, torch.distributed.checkpoint).

A state is nested dicts and lists of tensors and plain values. Both kinds are written whole or not at all, read alike,
and resumed by any number of processes, whichever number wrote them.
"""

from __future__ import annotations

import os
import pickle
import re
import shutil
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor
from torch.distributed.checkpoint.api import CheckpointException
from torch.distributed.checkpoint.filesystem import FileSystemReader, FileSystemWriter
from torch.distributed.checkpoint.metadata import TensorStorageMetadata
from torch.distributed.checkpoint.state_dict_loader import load
from torch.distributed.checkpoint.state_dict_saver import save
from torch.distributed.tensor import DTensor, distribute_tensor

from ..errors import MambascopeError
from ..files import sync_folder
from .distributed import Ranks

State = dict[str, Any]
#: Given a tensor's path in the state, the live tensor that its value is for, if that is sharded.
Live = Callable[[str], DTensor | None]

_SKELETON = "state.pt"
_TENSOR = "__tensor__"
#: What reading a damaged checkpoint raises. CheckpointException is no Exception.
_UNREADABLE = (OSError, RuntimeError, EOFError, KeyError, ValueError, pickle.UnpicklingError, CheckpointException)


class UnreadableCheckpointError(MambascopeError):
    """No checkpoint of a run can be read."""

    def __init__(self, folder: Path) -> None:
        super().__init__(
            "checkpoint-unreadable",
            f"None of the checkpoints in {folder} can be read.",
            "Copy them again, or remove them to start from step 0.",
        )


class UnwrittenCheckpointError(MambascopeError):
    """A checkpoint could not be written; those before it are whole."""

    def __init__(self, part: Path, reason: BaseException) -> None:
        free = shutil.disk_usage(part.parent).free
        super().__init__(
            "checkpoint-unwritten",
            f"{part.with_suffix('').name} could not be written to {part.parent}, where {free >> 20} MiB are free: "
            f"{str(reason).splitlines()[0] if str(reason) else type(reason).__name__}.",
            "Free space on that disk, or raise the quota, and resume: the checkpoints before it are whole.",
        )


def checkpoint_paths(folder: Path) -> list[Path]:
    """Complete checkpoints, oldest first."""
    found = [
        (match, path) for path in folder.glob("step-*") if (match := re.fullmatch(r"step-(\d+)(\.pt)?", path.name))
    ]
    return [path for match, path in sorted(found, key=lambda pair: int(pair[0][1]))]


def save_checkpoint(folder: Path, step: int, state: State, ranks: Ranks, sharded: bool, keep: int) -> None:
    """Write a checkpoint, then drop all but the newest `keep`. Every rank calls it with its part of the state."""
    path = folder / (f"step-{step:07d}" if sharded else f"step-{step:07d}.pt")
    part = path.with_name(f"{path.name}.part")
    if ranks.leads:
        for leftover in folder.glob("step-*.part"):
            _remove(leftover)
    ranks.meet()
    if sharded:
        tensors, skeleton = _take_apart(state)
        with _writing(part), _quiet():
            save(tensors, storage_writer=FileSystemWriter(part), no_dist=ranks.world == 1)
        if ranks.leads:
            with _writing(part):
                _write(skeleton, part / _SKELETON)
    else:
        whole = _map_tensors(state, lambda _, tensor: _gathered(tensor))
        if ranks.leads:
            with _writing(part):
                _write(whole, part)
    if ranks.leads:
        for same in checkpoint_paths(folder):
            if _step(same) == step:
                _remove(same)
        part.replace(path)
        sync_folder(folder)  # or a power cut could leave neither the new one nor the old
        for old in checkpoint_paths(folder)[:-keep]:
            _remove(old)
    ranks.meet()


def newest_checkpoint(
    folder: Path, log: Callable[[str], None], ranks: Ranks | None = None, live: Live | None = None
) -> State | None:
    """The newest checkpoint that can be read, on the CPU but for what `live` names; None if there is none at all.

    With `ranks`, every rank calls it, and all read the same one. A checkpoint that cannot be read is logged and
    skipped; raises UnreadableCheckpointError if all are.
    """
    ranks = ranks or Ranks()
    paths = ranks.share(checkpoint_paths(folder))
    for path in reversed(paths):
        state, problem = None, ""
        try:
            state = _read(path, live or (lambda _: None), ranks)
        except _UNREADABLE as error:
            problem = f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}"
        if not ranks.any(state is None):
            return state
        log(f"{path.name} cannot be read and is skipped ({problem or 'another rank cannot read it'})")
    if paths:
        raise UnreadableCheckpointError(folder)
    return None


@contextmanager
def _writing(part: Path) -> Iterator[None]:
    """Gives the space of a checkpoint back that cannot be written. Raises UnwrittenCheckpointError."""
    try:
        yield
    except (OSError, RuntimeError, CheckpointException) as error:
        if isinstance(error, dist.DistError):
            raise  # another process has gone
        with suppress(OSError):
            _remove(part)
        raise UnwrittenCheckpointError(part, error) from error


@contextmanager
def _quiet() -> Iterator[None]:
    """Without the remark that a single process is one."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="torch.distributed is disabled")
        yield


def _read(path: Path, live: Live, ranks: Ranks) -> State:
    if path.is_dir():
        skeleton: State = torch.load(path / _SKELETON, map_location="cpu", weights_only=True)
        reader = FileSystemReader(path)
        stored = reader.read_metadata().state_dict_metadata
        tensors = {name: _target(entry, live(name)) for name, entry in stored.items()}
        with _quiet():
            load(tensors, storage_reader=reader, no_dist=ranks.world == 1)
        whole: State = _put_together(skeleton, tensors)
        return whole
    # Mapped: a rank reads from the file only what it keeps.
    state = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
    placed: State = _map_tensors(state, lambda name, tensor: _placed(tensor, live(name)))
    return placed


def _target(entry: object, live: DTensor | None) -> Tensor:
    if not isinstance(entry, TensorStorageMetadata):
        raise ValueError("the checkpoint holds something else than tensors")
    if live is not None and live.shape == entry.size:
        return torch.empty_like(live, dtype=entry.properties.dtype)
    return torch.empty(entry.size, dtype=entry.properties.dtype)


def _placed(tensor: Tensor, live: DTensor | None) -> Tensor:
    if live is None or live.shape != tensor.shape:
        return tensor.clone()  # not mapped: the file is dropped when newer ones come
    mesh = live.device_mesh
    return distribute_tensor(tensor.to(mesh.device_type), mesh, live.placements, src_data_rank=None)


def _gathered(tensor: Tensor) -> Tensor:
    return (tensor.full_tensor() if isinstance(tensor, DTensor) else tensor).detach().cpu()


def _map_tensors(value: Any, change: Callable[[str, Tensor], Tensor], path: str = "") -> Any:
    """A copy of a nested value with its tensors changed; a tensor's path joins keys and places by "/"."""
    if isinstance(value, Tensor):
        return change(path, value)
    if isinstance(value, Mapping):
        return {key: _map_tensors(entry, change, f"{path}/{key}" if path else str(key)) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(_map_tensors(entry, change, f"{path}/{place}") for place, entry in enumerate(value))
    return value


def _take_apart(state: State) -> tuple[dict[str, Tensor], State]:
    """The tensors by path, and the rest with a mark where each stood."""
    tensors: dict[str, Tensor] = {}

    def note(path: str, tensor: Tensor) -> Any:
        tensors[path] = tensor.detach()
        return {_TENSOR: path}

    return tensors, _map_tensors(state, note)


def _put_together(value: Any, tensors: Mapping[str, Tensor]) -> Any:
    if isinstance(value, Mapping):
        if value.keys() == {_TENSOR}:
            return tensors[value[_TENSOR]]
        return {key: _put_together(entry, tensors) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(_put_together(entry, tensors) for entry in value)
    return value


def optimiser_parameters(state: Mapping[str, Any], parameters: Iterator[Tensor], path: str) -> dict[str, Tensor]:
    """Path of each parameter's entry in an optimiser's state dict, to the parameter.

    state: a torch optimiser's, or {"parts": [...]} of several; parameters: theirs, in the order of their groups.
    """
    if "parts" in state:
        found: dict[str, Tensor] = {}
        for place, part in enumerate(state["parts"]):
            found |= optimiser_parameters(part, parameters, f"{path}/parts/{place}")
        return found
    numbers = [number for group in state["param_groups"] for number in group["params"]]
    return {f"{path}/state/{number}": next(parameters) for number in numbers}


def _write(value: Any, path: Path) -> None:
    with path.open("wb") as file:
        torch.save(value, file)
        file.flush()
        os.fsync(file.fileno())


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink()


def _step(path: Path) -> int:
    return int(path.name.removesuffix(".pt").removeprefix("step-"))
