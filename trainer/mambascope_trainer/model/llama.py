"""Llama whose layers can each hold an attention mixer, a Mamba-2 mixer, or both, one of them active.

Parameter names follow Hugging Face's Llama below `model.`, with `mamba` beside `self_attn`.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from ..bundle.manifest import Architecture
from ..errors import MambascopeError
from ..mixers.attention import Attention, rotary_table
from ..mixers.elementwise import kernels_serve, swiglu_triton
from ..mixers.joint_linear import project, project_together
from ..mixers.mamba2 import Mamba2
from .config import Mamba2Config

LayerState = tuple[Tensor, Tensor]


class RMSNorm(nn.Module):
    """Root-mean-square norm in float32 or wider, scaled a channel."""

    def __init__(self, size: int, eps: float) -> None:
        super().__init__()
        self.eps = eps
        self.weight = nn.Parameter(torch.ones(size))

    def forward(self, x: Tensor) -> Tensor:
        wide = x.to(torch.promote_types(x.dtype, torch.float32))
        wide = wide * torch.rsqrt(wide.square().mean(dim=-1, keepdim=True) + self.eps)
        return (wide * self.weight).to(x.dtype)


class MLP(nn.Module):
    """SwiGLU."""

    def __init__(self, arch: Architecture) -> None:
        super().__init__()
        self.gate_proj = nn.Linear(arch.hidden_size, arch.intermediate_size, bias=False)
        self.up_proj = nn.Linear(arch.hidden_size, arch.intermediate_size, bias=False)
        self.down_proj = nn.Linear(arch.intermediate_size, arch.hidden_size, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        projections = (self.gate_proj, self.up_proj)
        if kernels_serve(x):
            inner = swiglu_triton(project_together(x, projections))
        else:
            gate, up = project(x, projections)
            inner = F.silu(gate) * up
        out: Tensor = self.down_proj(inner)
        return out


class Layer(nn.Module):
    """Pre-norm residual layer. `active` names the mixer in use: "attention" or "mamba2"."""

    def __init__(self, arch: Architecture) -> None:
        super().__init__()
        self.input_layernorm = RMSNorm(arch.hidden_size, arch.rms_norm_eps)
        self.post_attention_layernorm = RMSNorm(arch.hidden_size, arch.rms_norm_eps)
        self.mlp = MLP(arch)
        self.self_attn: Attention | None = Attention(arch)
        self.mamba: Mamba2 | None = None
        self.active = "attention"

    def mixer_output(
        self, u: Tensor, rotary: tuple[Tensor, Tensor], state: LayerState | None
    ) -> tuple[Tensor, LayerState]:
        """The active mixer applied to the normed hidden state u (b, T, D)."""
        if self.active == "attention":
            assert self.self_attn is not None
            mixed: tuple[Tensor, LayerState] = self.self_attn(u, rotary, state)
        else:
            assert self.mamba is not None
            mixed = self.mamba(u, state)
        return mixed

    def forward(
        self, x: Tensor, rotary: tuple[Tensor, Tensor], state: LayerState | None = None, keep_state: bool = True
    ) -> tuple[Tensor, LayerState | None]:
        """x (b, T, D) and the state after it; None without `keep_state`: training has no use for it, and an output
        of a compiled layer costs a gradient."""
        mixed, state = self.mixer_output(self.input_layernorm(x), rotary, state)
        x = x + mixed
        return x + self.mlp(self.post_attention_layernorm(x)), state if keep_state else None


def _run_as(layer: Layer, active: str, x: Tensor, rotary: tuple[Tensor, Tensor]) -> Tensor:
    """The layer with the mixer of its first run: the pattern may have changed before the backward pass."""
    now, layer.active = layer.active, active
    try:
        out: Tensor = layer(x, rotary, keep_state=False)[0]
    finally:
        layer.active = now
    return out


class Llama(nn.Module):
    """Token ids (b, T) -> hidden states or logits.

    features: a draft that also reads another model's hidden states (EAGLE, arXiv 2401.15077, section 3.1). All its
    passes then take `features` (b, T, D): of each token the hidden state of the token before, zeros for the first.
    """

    def __init__(self, arch: Architecture, features: bool = False) -> None:
        super().__init__()
        self.arch = arch
        self.features_proj: nn.Linear | None = (
            nn.Linear(arch.hidden_size, arch.hidden_size, bias=False) if features else None
        )
        self.embed_tokens = nn.Embedding(arch.vocab_size, arch.hidden_size)
        self.layers = nn.ModuleList(Layer(arch) for _ in range(arch.num_hidden_layers))
        self.norm = RMSNorm(arch.hidden_size, arch.rms_norm_eps)
        self.lm_head = None if arch.tie_word_embeddings else nn.Linear(arch.hidden_size, arch.vocab_size, bias=False)
        self._rotary: tuple[Tensor, Tensor] | None = None
        #: Whether `hidden` keeps only each layer's input for the backward pass, which then runs the layer again.
        self.checkpoint_layers = False

    @property
    def head_weight(self) -> Tensor:
        """The LM head (V, D); the embedding where they are tied."""
        return self.embed_tokens.weight if self.lm_head is None else self.lm_head.weight

    def rotary(self, start: int, length: int) -> tuple[Tensor, Tensor]:
        """Rows start .. start+length of the rotary table, on the model's device."""
        device = self.embed_tokens.weight.device
        held = self._rotary
        if held is None or held[0].shape[0] < start + length or held[0].device != device:
            held = self._rotary = rotary_table(self.arch, max(start + length, 256), device)
        return held[0][start : start + length], held[1][start : start + length]

    def embed(self, ids: Tensor, features: Tensor | None = None) -> Tensor:
        """The first layer's input (b, T, D). Raises `features` if they are missing, or given to a model without."""
        x: Tensor = self.embed_tokens(ids)
        if (features is None) != (self.features_proj is None):
            raise MambascopeError(
                "features",
                "The model reads no features, but was given some."
                if features is not None
                else "The model is a draft on its target's features, and was given none.",
                "Run a draft on features beside its target, and any other model without features.",
            )
        if features is None or self.features_proj is None:
            return x
        read: Tensor = self.features_proj(features.to(x.dtype))
        return x + read

    def hidden(
        self,
        ids: Tensor,
        start: tuple[int, Tensor] | None = None,
        end: int | None = None,
        features: Tensor | None = None,
    ) -> Tensor:
        """Final normed hidden states (b, T, D), from the start of the sequences.

        `start` (a layer, its input (b, T, D)) continues from there; with `end`, the input of that layer is the result.
        """
        first, x = (0, self.embed(ids, features)) if start is None else start
        rotary = self.rotary(0, ids.shape[1])
        again = self.checkpoint_layers and torch.is_grad_enabled()
        for index in range(first, len(self.layers) if end is None else end):
            layer = self.layer(index)
            if again:  # nothing is drawn at random inside a layer
                x = checkpoint(_run_as, layer, layer.active, x, rotary, use_reentrant=False, preserve_rng_state=False)
            else:
                x, _ = layer(x, rotary, keep_state=False)
        out: Tensor = self.norm(x) if end is None else x
        return out

    def forward(
        self,
        ids: Tensor,
        states: Sequence[LayerState] | None = None,
        position: int = 0,
        features: Tensor | None = None,
    ) -> tuple[Tensor, list[LayerState]]:
        """Logits (b, T, V) and the layers' states; `states` and `position` continue an earlier call."""
        hidden, after = self.read(ids, states, position, features)
        return F.linear(hidden, self.head_weight), after

    def read(
        self,
        ids: Tensor,
        states: Sequence[LayerState] | None = None,
        position: int = 0,
        features: Tensor | None = None,
    ) -> tuple[Tensor, list[LayerState]]:
        """As `forward`, with the final normed hidden states (b, T, D) in the place of logits."""
        x, rotary = self.embed(ids, features), self.rotary(position, ids.shape[1])
        after = []
        for index, layer in enumerate(self.layers):
            x, state = layer(x, rotary, None if states is None else states[index])
            after.append(state)
        return self.norm(x), after

    def layer(self, index: int) -> Layer:
        """Layer `index`, typed."""
        layer = self.layers[index]
        assert isinstance(layer, Layer)
        return layer

    def mamba(self, index: int) -> Mamba2:
        """The Mamba-2 mixer of layer `index`. Raises ValueError if it has none."""
        mamba = self.layer(index).mamba
        if mamba is None:
            raise ValueError(f"layer {index} holds no mamba2 mixer")
        return mamba

    def add_mamba(self, indices: Sequence[int], config: Mamba2Config) -> None:
        """Give these layers a Mamba-2 mixer beside attention; `use` activates it."""
        for index in indices:
            self.layer(index).mamba = Mamba2(self.arch, config).to(self.embed_tokens.weight.device)

    def use(self, pattern: Sequence[str]) -> None:
        """Activate one mixer a layer: "attention" or "mamba2". Raises ValueError where the layer does not hold it."""
        if len(pattern) != len(self.layers):
            raise ValueError(f"the pattern names {len(pattern)} mixers for {len(self.layers)} layers")
        for index, name in enumerate(pattern):
            layer = self.layer(index)
            if (layer.self_attn if name == "attention" else layer.mamba) is None:
                raise ValueError(f"layer {index} holds no {name} mixer")
            layer.active = name

    def freeze_dtype(self, dtype: torch.dtype) -> None:
        """Store the frozen parameters as `dtype`; trained ones keep theirs."""
        for parameter in self.parameters():
            if not parameter.requires_grad:
                parameter.data = parameter.data.to(dtype)

    def compile_layers(self) -> None:
        """Compile a layer, not the model: layers share their graphs, so 30 of them compile as fast as two."""
        torch._dynamo.config.cache_size_limit = 64
        for layer in (*self.layers, self.norm):
            layer.compile(dynamic=False)

    @property
    def pattern(self) -> list[str]:
        return [str(layer.active) for layer in self.layers]
