"""Batches made ahead of their step: read, cut and pinned in a thread while the device works."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterator
from dataclasses import fields, replace
from typing import Any, TypeVar, cast

import torch
from torch import Tensor

#: Token ids, or a frozen dataclass of tensors with the same first dimension.
Batch = TypeVar("Batch")


def map_batch(batch: Batch, change: Callable[[Tensor], Tensor]) -> Batch:
    """The batch with each of its tensors changed."""
    held: Any = batch
    changed: Any
    if isinstance(held, Tensor):
        changed = change(held)
    else:
        changed = replace(held, **{field.name: change(getattr(held, field.name)) for field in fields(held)})
    return cast(Batch, changed)


def split_batch(batch: Batch, parts: int) -> list[Batch]:
    """`parts` micro-batches of equal size, in order."""

    def part(place: int) -> Batch:
        return map_batch(batch, lambda tensor: tensor.chunk(parts)[place])

    return [part(place) for place in range(parts)]


def to_device(batch: Batch, device: torch.device) -> Batch:
    """Copy without waiting; pinned batches are copied beside the device's work."""
    return map_batch(batch, lambda tensor: tensor.to(device, non_blocking=True))


class Prefetcher(Iterator[Batch]):
    """Yields make(start), make(start + 1), …, up to `ahead` of them made before they are asked for.

    `make` must depend on its argument alone. Its errors are raised where its batch would have come. Batches for a GPU
    are pinned. Close it.
    """

    def __init__(self, make: Callable[[int], Batch], start: int, device: torch.device, ahead: int = 3) -> None:
        self._make = make
        # A new thread has GPU 0 as its own, whichever this process works on.
        self._gpu = torch.cuda.current_device() if device.type == "cuda" else None
        self._made: queue.Queue[Batch | Exception] = queue.Queue(maxsize=ahead)
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._run, args=(start,), name="prefetch", daemon=True)
        self._thread.start()

    def __next__(self) -> Batch:
        made = self._made.get()
        if isinstance(made, Exception):
            raise made
        return made

    def close(self) -> None:
        self._closed.set()
        while self._thread.is_alive():
            try:
                self._made.get(timeout=0.05)
            except queue.Empty:
                continue
        self._thread.join()

    def _run(self, step: int) -> None:
        if self._gpu is not None:
            torch.cuda.set_device(self._gpu)
        while not self._closed.is_set():
            item: Batch | Exception
            try:
                item = self._make(step)
                if self._gpu is not None:
                    item = map_batch(item, lambda tensor: tensor.pin_memory())
            except Exception as error:
                item = error
            self._made.put(item)
            if isinstance(item, Exception):
                return
            step += 1
