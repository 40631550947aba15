"""Data parallelism: replicas whose gradients are averaged, or parameters sharded over the processes (FSDP2)."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Sequence
from typing import Literal

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard, register_fsdp_forward_method
from torch.distributed.tensor import DTensor

from ..model.llama import Llama, RMSNorm
from .config import ConfigError
from .distributed import Ranks

Strategy = Literal["auto", "fsdp", "ddp", "none"]

#: A replica may take this share of a GPU; the rest is for activations.
REPLICA_SHARE = 0.25


def choose_strategy(wanted: Strategy, models: Sequence[nn.Module], ranks: Ranks, device: torch.device) -> Strategy:
    """ "auto" is none for one process, else replicas where they are small beside the GPU, else shards.

    Raises ConfigError for "none" with several processes: they would train apart.
    """
    if ranks.world == 1:
        return "none"
    if wanted == "none":
        raise ConfigError(f'parallel.strategy is "none", but there are {ranks.world} processes')
    if wanted != "auto":
        return wanted
    if device.type != "cuda":
        return "ddp"
    unique = {p for model in models for p in model.parameters()}
    # A trained parameter has a gradient and AdamW's two moments beside it.
    size = sum(p.numel() * p.element_size() * (4 if p.requires_grad else 1) for p in unique)
    return "ddp" if size <= REPLICA_SHARE * torch.cuda.get_device_properties(device).total_memory else "fsdp"


def distribute(models: Sequence[Llama], strategy: Strategy, ranks: Ranks, device: torch.device) -> None:
    """Make the models, built alike on every rank, one: rank 0's trained values everywhere, sharded for "fsdp"."""
    if strategy == "none":
        return
    with torch.no_grad():
        for parameter in {p: None for model in models for p in model.parameters() if p.requires_grad}:
            dist.broadcast(parameter.data, src=0)
    if strategy == "fsdp":
        for model in models:
            _shard(model, ranks.world, device)


def _shard(model: Llama, world: int, device: torch.device) -> None:
    """Shard every mixer and MLP; embedding, head and norms stay whole.

    A unit is a mixer or an MLP, not a layer: stages call mixers by themselves, and a step gathers the mixers of its own
    pattern only. The head is applied outside the model's forward pass, chunk by chunk, so it must be whole.
    """
    # Mixers and MLPs return views; nothing here changes their results in place.
    warnings.filterwarnings("ignore", message="FSDP2-wrapped module .* returned a view tensor")
    mesh = init_device_mesh(device.type, (world,))
    units = [part for layer in model.layers for part in layer.children() if not isinstance(part, RMSNorm)]
    for unit in units:
        fully_shard(unit, mesh=mesh)
        for method in ("matrix_terms", "queries_and_keys"):  # what matrix orientation calls instead of forward
            if hasattr(unit, method):
                register_fsdp_forward_method(unit, method)
    sharded = {parameter for unit in units for parameter in unit.parameters()}
    fully_shard(model, mesh=mesh, ignored_params={p for p in model.parameters() if p not in sharded})
    register_fsdp_forward_method(model, "hidden")
    # The first pass makes the model the root of its units; stages that call a mixer by itself come later.
    precision = torch.autocast("cuda", torch.bfloat16, enabled=device.type == "cuda")
    with torch.no_grad(), torch.compiler.set_stance("force_eager"), precision:
        features = None if model.features_proj is None else torch.zeros(1, 1, model.arch.hidden_size, device=device)
        model.hidden(torch.zeros(1, 1, dtype=torch.long, device=device), features=features)


class GradientAverage:
    """Averages the gradients of whole (not sharded) parameters over the ranks, in one flat buffer a data type.

    Parameters without a gradient in a step are left out, so every rank must leave out the same: patterns depend on the
    step alone.
    """

    def __init__(self, parameters: Iterable[nn.Parameter], ranks: Ranks) -> None:
        self.world = ranks.world
        self.groups: dict[torch.dtype, list[nn.Parameter]] = {}
        for parameter in parameters:
            if not isinstance(parameter, DTensor):
                self.groups.setdefault(parameter.dtype, []).append(parameter)
        self._buffers: dict[torch.dtype, Tensor] = {}

    def __call__(self) -> None:
        if self.world == 1:
            return
        for dtype, parameters in self.groups.items():
            held = [(p, p.grad) for p in parameters if p.grad is not None]
            if not held:
                continue
            sizes = [gradient.numel() for _, gradient in held]
            flat = self._buffer(dtype, parameters)[: sum(sizes)]
            views = [view.view_as(g) for view, (_, g) in zip(torch.split(flat, sizes), held, strict=True)]
            torch._foreach_copy_(views, [gradient for _, gradient in held])
            dist.all_reduce(flat)
            flat.div_(self.world)
            for (parameter, _), view in zip(held, views, strict=True):
                parameter.grad = view

    def _buffer(self, dtype: torch.dtype, parameters: list[nn.Parameter]) -> Tensor:
        if dtype not in self._buffers:
            count = sum(p.numel() for p in parameters)
            self._buffers[dtype] = torch.empty(count, dtype=dtype, device=parameters[0].device)
        return self._buffers[dtype]


def clip_gradients(parameters: Iterable[nn.Parameter], limit: float) -> Tensor:
    """Scale the gradients, sharded and whole, to a global norm of at most `limit`; returns the norm before."""
    held = [p for p in parameters if p.grad is not None]
    sharded, whole = [p for p in held if isinstance(p, DTensor)], [p for p in held if not isinstance(p, DTensor)]
    kinds = [kind for kind in (sharded, whole) if kind]
    norms = [_norm(kind) for kind in kinds]
    if not norms:
        return torch.zeros(())
    total = norms[0] if len(norms) == 1 else torch.linalg.vector_norm(torch.stack(norms))
    for kind in kinds:
        torch.nn.utils.clip_grads_with_norm_(kind, limit, total)
    return total


def _norm(parameters: Sequence[nn.Parameter]) -> Tensor:
    norm = torch.nn.utils.get_total_norm([p.grad for p in parameters if p.grad is not None])
    return norm.full_tensor() if isinstance(norm, DTensor) else norm


def separate_kinds(groups: Iterable[dict[str, object]]) -> None:
    """Let the optimiser update one by one the parameters of a group that holds both sharded and whole ones."""
    for group in groups:
        parameters = group["params"]
        assert isinstance(parameters, list)
        if len({isinstance(p, DTensor) for p in parameters}) > 1:
            group["fused"] = group["foreach"] = False
