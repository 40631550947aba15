"""A model over static states in the form that is fastest here."""

from __future__ import annotations

import sys

import torch
from torch import Tensor

from ..mixers.triton_launch import triton_available
from ..model.llama import Llama
from .fused_model import FusedModel, unfit
from .static_model import Kind, StaticModel

SequenceModel = StaticModel | FusedModel
#: How far logits may lie from PyTorch's, over these: in bfloat16 a few hundredths do, of rounding.
FURTHEST = 0.2


def open_model(
    model: Llama, length: int, tokens: int, shortlist: Tensor | None = None, fused: bool = True
) -> SequenceModel:
    """On CUDA as the project's fused kernels, if `fused`, and where they fail, which is told, in plain PyTorch.

    float32 on CUDA is always plain PyTorch: that is the path for exact comparisons. Arguments as of `StaticModel`.
    """
    weight = model.embed_tokens.weight
    if not fused or not weight.is_cuda or weight.dtype == torch.float32:
        return StaticModel(model, length, tokens, shortlist)
    reason = unfit(model, tokens) if triton_available() else "Triton is not there, or turned off"
    if reason is None:
        try:
            return checked(FusedModel(model, length, tokens, shortlist))
        # Whatever a compiler of kernels raises on a GPU that it was not tried on.
        except Exception as error:
            reason = f"{type(error).__name__}: {error}".strip().splitlines()[0]
    print(f"Passes are not fused: {reason}", file=sys.stderr, flush=True)
    return StaticModel(model, length, tokens, shortlist)


@torch.no_grad()
def checked(fused: FusedModel) -> FusedModel:
    """The model, after passes that compile its kernels. Raises ValueError if plain PyTorch gives something else."""
    model, count, width = fused.model, fused.tokens, fused.hidden.shape[1]
    features = None
    if model.features_proj is not None:
        features = torch.linspace(-1, 1, count * width, device=fused.device).to(fused.dtype).view(1, count, width)
    ids = torch.arange(count, device=fused.device)[None]
    position = torch.zeros_like(ids[0, :1])
    kind: Kind = "plain" if count == 1 else "verify"
    plain = StaticModel(model, fused.length, count, fused.shortlist)
    for shift in range(2):  # the second replays, or goes on from, the first's first token
        found, expected = (x.run(ids, position, kind, shift, features=features) for x in (fused, plain))
        deviation = float((found - expected).norm() / expected.norm())
        if not deviation <= FURTHEST:  # nor if it is no number
            raise ValueError(f"their results are {deviation:.2g} away from those of plain PyTorch")
        for x in (fused, plain):
            x.moved_by(position + 1)
    fused.reset()
    return fused
