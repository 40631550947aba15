"""A model over static states in the form that is fastest here."""

from __future__ import annotations

import sys

import torch
from torch import Tensor

from ..mixers.triton_launch import triton_available
from ..model.llama import Llama
from .fused_model import FusedModel, unfit
from .static_model import StaticModel

SequenceModel = StaticModel | FusedModel


def open_model(
    model: Llama, length: int, tokens: int, shortlist: Tensor | None = None, fused: bool = True, overlap: bool = False
) -> SequenceModel:
    """On CUDA as the project's fused kernels, if `fused`, and where they fail, which is told, in plain PyTorch.

    float32 on CUDA is always plain PyTorch: that is the path for exact comparisons. Arguments as of `StaticModel`, and
    `overlap` as of `fused_products.Launch`.
    """
    weight = model.embed_tokens.weight
    if not fused or not weight.is_cuda or weight.dtype == torch.float32:
        return StaticModel(model, length, tokens, shortlist)
    reason = unfit(model, tokens) if triton_available() else "Triton is not there, or turned off"
    if reason is None:
        try:
            return _tried(FusedModel(model, length, tokens, shortlist, overlap))
        # Whatever a compiler of kernels raises on a GPU that it was not tried on.
        except Exception as error:
            reason = f"{type(error).__name__}: {error}".strip().splitlines()[0]
    print(f"Passes are not fused: {reason}", file=sys.stderr, flush=True)
    return StaticModel(model, length, tokens, shortlist)


@torch.no_grad()
def _tried(fused: FusedModel) -> FusedModel:
    """The model after a pass over zeros, which compiles its kernels."""
    count = fused.tokens
    features = None
    if fused.model.features_proj is not None:
        features = torch.zeros(1, count, fused.hidden.shape[1], dtype=fused.dtype, device=fused.device)
    ids = torch.zeros(1, count, dtype=torch.long, device=fused.device)
    position = torch.zeros_like(ids[0, :1])
    fused.choose(ids, position, "plain" if count == 1 else "verify", torch.zeros_like(ids[0]), features=features)
    torch.cuda.synchronize(fused.device)
    fused.reset()
    return fused
