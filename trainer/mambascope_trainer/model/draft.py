"""A draft for speculative decoding: a Llama of a few layers on another's embedding and LM head."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..mixers.init import init_from_attention
from .config import Mamba2Config
from .llama import MLP, Layer, Llama
from .load import replace_attention


def spread_layers(count: int, of: int) -> list[int]:
    """`count` layers of a model of `of`, from the first to the last in equal steps; the first alone for one."""
    return [round(index * (of - 1) / (count - 1)) for index in range(count)] if count > 1 else [0]


def draft_of(
    teacher: Llama,
    sources: Sequence[int],
    intermediate_size: int,
    mamba: Mamba2Config | None,
    attention_init: bool,
    features: bool = False,
) -> Llama:
    """A draft whose layers start as copies of the teacher's layers `sources`.

    With `mamba`, each layer has that mixer in the place of attention, initialised from it if `attention_init`. An MLP
    narrower than the teacher's keeps the channels that weigh most. The embedding and the LM head are the teacher's own
    modules. With `features` it also reads its target's hidden states, to no effect before it is trained: their
    projection is zero.

    Raises ValueError if the MLP is wider than the teacher's, or the mixer does not fit its attention.
    """
    arch = replace(teacher.arch, num_hidden_layers=len(sources), intermediate_size=intermediate_size)
    if intermediate_size > teacher.arch.intermediate_size:
        raise ValueError(
            f"the MLP is wider ({intermediate_size}) than the teacher's ({teacher.arch.intermediate_size})"
        )
    with torch.device("meta"):
        draft = Llama(arch, features)
    draft.embed_tokens, draft.lm_head = teacher.embed_tokens, teacher.lm_head
    draft.layers.to_empty(device="cpu")
    draft.norm.to_empty(device="cpu")
    if draft.features_proj is not None:
        nn.init.zeros_(draft.features_proj.to_empty(device="cpu").weight)
    with torch.no_grad():
        draft.norm.weight.copy_(teacher.norm.weight)
        for index, source in enumerate(sources):
            _copy_layer(draft.layer(index), teacher.layer(source))
    if mamba is not None:
        replace_attention(draft, mamba)
        for index, source in enumerate(sources):
            attention = teacher.layer(source).self_attn
            if attention_init and attention is not None:
                init_from_attention(draft.mamba(index), attention)
    return draft


def own_modules(draft: Llama) -> list[tuple[str, nn.Module]]:
    """What a draft does not share, with its name in a bundle."""
    own: list[tuple[str, nn.Module]] = [("model.layers.", draft.layers), ("model.norm.", draft.norm)]
    return own if draft.features_proj is None else [*own, ("model.features_proj.", draft.features_proj)]


def features_before(hidden: Tensor) -> Tensor:
    """A target's hidden states (b, T, D) as its draft's features for the same tokens: each one's of the token before,
    zeros for the first."""
    return F.pad(hidden[:, :-1], (0, 0, 1, 0))


def own_state(draft: Llama) -> dict[str, Tensor]:
    """The draft's own tensors by the bundle's names."""
    return {
        prefix + key: value.detach()
        for prefix, module in own_modules(draft)
        for key, value in module.state_dict().items()
    }


def load_own_state(draft: Llama, state: dict[str, Tensor]) -> None:
    """The inverse of `own_state`. Raises RuntimeError naming the tensors that do not fit."""
    for prefix, module in own_modules(draft):
        module.load_state_dict({key.removeprefix(prefix): v for key, v in state.items() if key.startswith(prefix)})


def _copy_layer(layer: Layer, source: Layer) -> None:
    state = {key: value for key, value in source.state_dict().items() if not key.startswith(("mlp.", "mamba."))}
    kept = _heaviest_channels(source.mlp, layer.mlp.gate_proj.out_features)
    state["mlp.gate_proj.weight"] = source.mlp.gate_proj.weight[kept]
    state["mlp.up_proj.weight"] = source.mlp.up_proj.weight[kept]
    state["mlp.down_proj.weight"] = source.mlp.down_proj.weight[:, kept]
    layer.load_state_dict(state)


def _heaviest_channels(mlp: MLP, count: int) -> Tensor:
    """Channels in their order, those with the largest product of the norms of their gate, up and down weights."""
    weight = mlp.gate_proj.weight.norm(dim=1) * mlp.up_proj.weight.norm(dim=1) * mlp.down_proj.weight.norm(dim=0)
    indices: Tensor = weight.topk(count).indices
    return indices.sort().values
