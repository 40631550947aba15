"""A model with its states in static buffers, whose passes read tokens at a position held on the device.

Every pass of one kind has the same shapes and addresses, so that a whole cycle of speculative decoding can be one CUDA
graph. One sequence.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from ..bundle.manifest import Architecture
from ..mixers.attention import Attention, rotate
from ..mixers.mamba2 import Mamba2
from ..model.llama import Layer, LayerState, Llama
from .multistep import Inputs, multistep

#: `verify`: from the checkpoint, after the replay; the state after the pass is not kept. `open`: as `verify`, but it is
#: kept as the running state. `step`: on from the running state; the checkpoint stays. `plain`: on from the running
#: state, for good: nothing can be rolled back.
Kind = Literal["verify", "open", "step", "plain"]


@dataclass(frozen=True)
class MambaState:
    """checkpoint, running (1, H, N, P); the inputs of the tokens since the checkpoint; the convolution's inputs: those
    of the kernel-1 tokens before the checkpoint, then those since (1, kernel-1 + T, channels)."""

    checkpoint: Tensor
    running: Tensor
    cached: Inputs
    window: Tensor

    def bytes(self) -> dict[str, int]:
        return {
            "checkpoint": self.checkpoint.nbytes,
            "cached": sum(x.nbytes for x in (*self.cached.tensors(), self.window)),
        }


@dataclass(frozen=True)
class AttentionState:
    """keys and values (1, G, length, P); what lies past the position is never read."""

    keys: Tensor
    values: Tensor

    @staticmethod
    def zeros(arch: Architecture, length: int, device: torch.device, dtype: torch.dtype) -> AttentionState:
        """Room for `length` tokens."""
        keys = torch.zeros(1, arch.num_key_value_heads, length, arch.head_dim, device=device, dtype=dtype)
        return AttentionState(keys, torch.zeros_like(keys))

    def load(self, keys: Tensor, values: Tensor) -> None:
        """Take over those of an ordinary pass, (1, G, T, P)."""
        self.keys[:, :, : keys.shape[2]] = keys
        self.values[:, :, : values.shape[2]] = values


class StaticModel:
    """`tokens`: how many a checkpoint can be behind; `length`: how many the context holds; `shortlist` (n,): the only
    tokens whose logits `run` gives, in that order."""

    def __init__(self, model: Llama, length: int, tokens: int, shortlist: Tensor | None = None) -> None:
        self.model, self.length, self.tokens, self.shortlist = model, length, tokens, shortlist
        self.device = model.embed_tokens.weight.device
        self.dtype = model.embed_tokens.weight.dtype
        self.head = model.head_weight if shortlist is None else model.head_weight[shortlist].contiguous()
        self.states = [self._new_state(index) for index in range(len(model.layers))]
        cos, sin = model.rotary(0, length)
        self.cos, self.sin = cos.clone(), sin.clone()
        self.places = torch.arange(length, device=self.device)
        #: Tokens of the last pass that count: the next `verify` or `open` replays them.
        self.accepted = torch.zeros(1, dtype=torch.long, device=self.device)
        #: The last pass's hidden states (T, D), after the last norm.
        self.hidden = torch.zeros(tokens, model.arch.hidden_size, device=self.device, dtype=self.dtype)

    def _new_state(self, index: int) -> MambaState | AttentionState:
        arch, layer = self.model.arch, self.model.layer(index)
        if layer.active == "attention":
            return AttentionState.zeros(arch, self.length, self.device, self.dtype)
        config = self.model.mamba(index).config
        h, g, n, p = config.num_heads, config.num_kv_heads, config.state_size, config.head_dim
        wide = torch.promote_types(self.dtype, torch.float32)
        state = torch.zeros(1, h, n, p, device=self.device, dtype=wide)
        grouped = g if config.form == "discrete" else h
        cached = Inputs.zeros((1, self.tokens, h, g, grouped, n, p), self.device, self.dtype)
        rows = max(config.conv_kernel - 1, 0) + self.tokens
        window = torch.zeros(1, rows, config.conv_size, device=self.device, dtype=self.dtype)
        return MambaState(state, torch.zeros_like(state), cached, window)

    def load(self, states: Sequence[LayerState]) -> None:
        """Take over the states of an ordinary pass; nothing is to be replayed."""
        self.accepted.zero_()
        for held, (first, second) in zip(self.states, states, strict=True):
            if isinstance(held, AttentionState):
                held.load(first, second)
            else:
                held.window.zero_()
                held.window[:, : first.shape[2]] = first.transpose(1, 2)
                held.checkpoint.copy_(second)
                held.running.copy_(second)

    def reset(self) -> None:
        """The state before any token."""
        self.accepted.zero_()
        for state in self.states:
            if isinstance(state, MambaState):
                for tensor in (state.window, state.checkpoint, state.running):
                    tensor.zero_()

    def moving(self) -> list[Tensor]:
        """The tensors that a pass changes for good."""
        found = [self.accepted]
        for state in self.states:
            for value in vars(state).values():
                found += value.tensors() if isinstance(value, Inputs) else [value]
        return found

    def run(
        self, ids: Tensor, position: Tensor, kind: Kind, shift: int = 0, offset: int = 0, features: Tensor | None = None
    ) -> Tensor:
        """Logits (T, V or n), float32 or wider, of ids (1, T) whose first token has place `position` (1,) + shift.

        offset: how many tokens since the checkpoint came before these (`step`). features (1, T, D): what the target
        knew before each token, for a model that reads them.
        """
        rows = position + shift + self.places[: ids.shape[1]]
        rotary = self.cos[rows], self.sin[rows]
        visible = self.places[None, :] <= rows[:, None]
        x = self.model.embed(ids, features)
        for index, state in enumerate(self.states):
            layer = self.model.layer(index)
            u = layer.input_layernorm(x)
            if isinstance(state, AttentionState):
                x = x + self._attend(layer, state, u, rotary, rows, visible)
            else:
                x = x + self._recur(self.model.mamba(index), state, u, kind, offset)
            x = x + layer.mlp(layer.post_attention_layernorm(x))
        x = self.model.norm(x)
        self.hidden[: ids.shape[1]] = x[0]
        logits = F.linear(x, self.head)[0]
        return logits.to(torch.promote_types(logits.dtype, torch.float32))

    def choose(
        self, ids: Tensor, position: Tensor, kind: Kind, out: Tensor, shift: int = 0, offset: int = 0,
        features: Tensor | None = None,
    ) -> None:  # fmt: skip
        """The likeliest tokens (of the shortlist, if there is one) after the last of ids, as many as out (n,) holds."""
        best = self.run(ids, position, kind, shift, offset, features)[-out.shape[0] :].argmax(dim=-1)
        out.copy_(best if self.shortlist is None else self.shortlist.index_select(0, best))

    def _attend(
        self, layer: Layer, state: AttentionState, u: Tensor, rotary: tuple[Tensor, Tensor], rows: Tensor, seen: Tensor
    ) -> Tensor:
        attention, length = layer.self_attn, u.shape[1]
        assert isinstance(attention, Attention)
        groups, size = attention.groups, attention.head_dim
        split = (1, length, -1, size)
        q = rotate(attention.q_proj(u).view(split).transpose(1, 2), *rotary)
        k = rotate(attention.k_proj(u).view(split).transpose(1, 2), *rotary)
        state.keys.index_copy_(2, rows, k)
        state.values.index_copy_(2, rows, attention.v_proj(u).view(split).transpose(1, 2))
        # Two products a group of queries, which share the read of their keys: one path whatever the number of tokens.
        grouped = q.reshape(1, groups, -1, size)
        scores = torch.unflatten(grouped @ state.keys.transpose(2, 3), 2, (-1, length))
        wide = scores.to(torch.promote_types(scores.dtype, torch.float32)) * size**-0.5
        weights = wide.masked_fill(~seen, float("-inf")).softmax(dim=-1).to(q.dtype)
        y = (weights.flatten(2, 3) @ state.values).view(1, -1, length, size)
        out: Tensor = attention.o_proj(y.transpose(1, 2).reshape(1, length, -1))
        return out

    def _recur(self, mamba: Mamba2, state: MambaState, u: Tensor, kind: Kind, offset: int) -> Tensor:
        z, xbc, dt = mamba.project(u)
        x, B, C = mamba.mix(xbc, self._past(mamba, state, xbc, kind, offset))
        log_decay, d = mamba.decays(dt)
        new = Inputs(B, mamba.values(x, d), log_decay)
        if kind in ("step", "plain"):
            y = multistep(state.running, C, new, last=state.running)
        else:
            last = state.running if kind == "open" else None
            y = multistep(state.checkpoint, C, new, state.cached, self.accepted, last)
        if kind != "plain":
            state.cached.write(new, offset)
        return mamba.combine(mamba.with_skip(y, x), z)

    def _past(self, mamba: Mamba2, state: MambaState, xbc: Tensor, kind: Kind, offset: int) -> Tensor | None:
        """The convolution's inputs before this pass (1, channels, kernel-1); keeps those of the pass."""
        keep = mamba.config.conv_kernel - 1
        if keep < 1:
            return None
        if kind == "plain":
            past = state.window[:, :keep].clone()
            state.window[:, :keep] = torch.cat([past, xbc], dim=1)[:, -keep:]
            return past.transpose(1, 2)
        if kind != "step":
            # What lies before the tokens to come: cut from behind the accepted ones.
            state.window[:, :keep] = state.window[:, self.accepted + self.places[:keep]]
        past = state.window[:, offset : offset + keep].transpose(1, 2).clone()
        state.window[:, keep + offset : keep + offset + xbc.shape[1]] = xbc
        return past

    def moved_by(self, count: Tensor) -> None:
        """The next pass begins after the first `count` (1,) tokens since the checkpoint."""
        self.accepted.copy_(count)

    def memory(self) -> dict[str, int]:
        """Bytes of what speculation holds beside an ordinary decoder's states: one checkpoint and cached inputs."""
        total = {"checkpoint": 0, "cached": 0}
        for state in self.states:
            if isinstance(state, MambaState):
                for name, size in state.bytes().items():
                    total[name] += size
        return total
