"""A training step as one CUDA graph: the processor only starts a replay, so it never keeps the GPU waiting."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from ..run.config import RunConfig
from .base import Stage

TrainStep = Callable[[Tensor, int, float], dict[str, Tensor]]

#: Calls before the capture: compilation, library handles and the choice of kernels cannot be captured.
WARMUP_CALLS = 3


def fast_train_step(stage: Stage, config: RunConfig, device: torch.device, sharded: bool) -> TrainStep:
    """The stage's `train_step`; with `cuda_graph: auto` replayed from a CUDA graph, where that is the same.

    The config must compile, and every step do the same work: align, or distill with a fixed pattern, on CUDA, with
    whole parameters and the activations kept.
    """
    same_work = config.method in ("align", "distill") and config.pattern == "fixed"
    kept = config.checkpoint_activations == "none"
    if config.cuda_graph == "auto" and config.compile and device.type == "cuda" and same_work and kept and not sharded:
        return GraphedStep(stage.train_step, stage.parameters())
    return stage.train_step


class GraphedStep:
    """A stage's `train_step` (forward and backward of a micro-batch), replayed from a CUDA graph after a warm-up.

    For steps whose work does not depend on the step number, on CUDA, with whole (not sharded) parameters. Gradients
    add up over micro-batches as without it. Where the capture fails, or for micro-batches of another shape, steps run
    as they are.
    """

    def __init__(self, train_step: TrainStep, parameters: Sequence[nn.Parameter]) -> None:
        self.train_step, self.parameters = train_step, list(parameters)
        self._calls = 0
        self._graph: torch.cuda.CUDAGraph | None = None

    @property
    def captured(self) -> bool:
        return self._graph is not None

    def __call__(self, ids: Tensor, step: int, scale: float) -> dict[str, Tensor]:
        """As `train_step`: ids (batch, seq_len + 1); the measures are the caller's own."""
        self._calls += 1
        if self._calls == WARMUP_CALLS + 1:
            self._try_capture(ids, step, scale)
        if self._graph is None or ids.shape != self._ids.shape or scale != self._scale:
            return self.train_step(ids, step, scale)
        # Gradients of earlier micro-batches lie where the replay writes.
        earlier = [None if p.grad is None else p.grad.clone() for p in self.parameters]
        self._ids.copy_(ids)
        self._graph.replay()
        for parameter, gradient, before in zip(self.parameters, self._gradients, earlier, strict=True):
            if gradient is not None:
                parameter.grad = gradient if before is None else gradient.add_(before)
        return {name: value.clone() for name, value in self._measures.items()}

    def _try_capture(self, ids: Tensor, step: int, scale: float) -> None:
        held = [p.grad for p in self.parameters]
        try:
            self._capture(ids, step, scale)
        except RuntimeError as error:
            torch.cuda.synchronize()
            warnings.warn(f"The step runs without a CUDA graph, which could not be captured: {error}", stacklevel=3)
        for parameter, gradient in zip(self.parameters, held, strict=True):
            parameter.grad = gradient

    def _capture(self, ids: Tensor, step: int, scale: float) -> None:
        self._ids, self._scale = ids.clone(), scale
        # Once more on another stream, as capturing does: it has library workspaces of its own.
        stream = torch.cuda.Stream()  # type: ignore[no-untyped-call]
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            self._drop_gradients()
            self.train_step(self._ids, step, scale)
        torch.cuda.current_stream().wait_stream(stream)
        self._drop_gradients()
        torch.clear_autocast_cache()  # a cast of a weight made before the capture would be that weight for ever
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph, capture_error_mode="thread_local"):
            self._measures = self.train_step(self._ids, step, scale)
        self._gradients = [p.grad for p in self.parameters]
        self._graph = graph

    def _drop_gradients(self) -> None:
        for parameter in self.parameters:
            parameter.grad = None
