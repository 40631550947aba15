"""A function of static tensors as a CUDA graph, and what it leaves behind read back."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence

import torch
from torch import Tensor


class Replayed:
    """A function of static tensors, as a CUDA graph from its first call on; on a CPU the function itself.

    `moving` are the tensors that it changes for good. Where the graph cannot be captured the function runs as it is,
    and `reason` says why.
    """

    def __init__(self, work: Callable[[], None], moving: Sequence[Tensor], graph: bool = True) -> None:
        self.work, self.moving = work, moving
        self.graph: torch.cuda.CUDAGraph | None = None
        self.plain = not graph or not moving[0].is_cuda
        self.reason: str | None = None

    def __call__(self) -> None:
        if self.graph is None and not self.plain:
            self._capture()
        if self.graph is None:
            self.work()
        else:
            self.graph.replay()

    def _capture(self) -> None:
        """Warm up on a side stream and put back what that moved on, then capture (which runs nothing)."""
        saved = [tensor.clone() for tensor in self.moving]
        new_stream: Callable[[], torch.cuda.Stream] = torch.cuda.Stream
        stream = new_stream()
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            for _ in range(2):
                self.work()
        torch.cuda.current_stream().wait_stream(stream)
        torch.cuda.synchronize()
        graph = torch.cuda.CUDAGraph()
        try:
            with torch.cuda.graph(graph, capture_error_mode="thread_local"):
                self.work()
            self.graph = graph
        except RuntimeError as error:
            self.plain, self.reason = True, str(error).strip().splitlines()[0]
            print(f"The pass is run without a CUDA graph: {self.reason}", file=sys.stderr, flush=True)
        for tensor, value in zip(self.moving, saved, strict=True):
            tensor.copy_(value)
        torch.cuda.synchronize()


class ReadBack:
    """Brings a few integers of a static tensor to the host: one copy to pinned memory, one wait."""

    def __init__(self, source: Tensor) -> None:
        self.source = source
        self.host = torch.empty(source.shape, dtype=source.dtype, pin_memory=source.is_cuda)

    def take(self) -> list[int]:
        """The numbers, once all work before this call is done."""
        self.host.copy_(self.source, non_blocking=True)
        if self.source.is_cuda:
            torch.cuda.current_stream(self.source.device).synchronize()
        numbers: list[int] = self.host.flatten().tolist()
        return numbers
