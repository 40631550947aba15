"""A second, plain implementation of every hybrid, in numpy and float64, straight from the bundle.

Written from docs/contracts.md for clarity, one token after another where the recurrence is; it shares no code with the
PyTorch models, so agreement of the two says that both are right.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from .bundle.bundle import Bundle
from .bundle.names import split_layer

F64 = npt.NDArray[np.float64]


def _silu(x: F64) -> F64:
    return np.asarray(x / (1 + np.exp(-x)))


def _softplus(x: F64) -> F64:
    return np.asarray(np.logaddexp(0, x))


def _rms_norm(x: F64, weight: F64, eps: float) -> F64:
    return np.asarray(x / np.sqrt((x * x).mean(axis=-1, keepdims=True) + eps) * weight)


class Reference:
    """A variant's forward pass: token ids (T,), and features (T, D) for a draft that reads them, to logits (T, V)."""

    def __init__(self, bundle: Bundle, layers: Sequence[str]) -> None:
        self._bundle, self._layers = bundle, [split_layer(layer) for layer in layers]
        self._arch = bundle.manifest.architecture_of(layers)
        self._draft = (bundle.manifest.draft(layers) or (None,))[0]

    def _weight(self, name: str, mixer_set: str | None = None) -> F64:
        return self._bundle.tensor(name, mixer_set).astype(np.float64)

    def logits(self, ids: Sequence[int], features: npt.ArrayLike | None = None) -> F64:
        eps = self._arch.rms_norm_eps
        embedding = self._weight("model.embed_tokens.weight")
        x = embedding[np.asarray(ids)]
        if features is not None:
            x = x + np.asarray(features, np.float64) @ self._weight("model.features_proj.weight", self._draft).T
        for index, (kind, mixer_set) in enumerate(self._layers):
            layer = f"model.layers.{index}."
            u = _rms_norm(x, self._weight(layer + "input_layernorm.weight", mixer_set), eps)
            if kind == "attention":
                x = x + self._attention(u, layer, mixer_set)
            else:
                x = x + self._mamba2(u, layer, str(mixer_set))
            u = _rms_norm(x, self._weight(layer + "post_attention_layernorm.weight", mixer_set), eps)
            gate = _silu(u @ self._weight(layer + "mlp.gate_proj.weight", mixer_set).T)
            up = u @ self._weight(layer + "mlp.up_proj.weight", mixer_set).T
            x = x + (gate * up) @ self._weight(layer + "mlp.down_proj.weight", mixer_set).T
        head = embedding if self._arch.tie_word_embeddings else self._weight("lm_head.weight")
        return np.asarray(_rms_norm(x, self._weight("model.norm.weight", self._draft), eps) @ head.T)

    def _attention(self, u: F64, layer: str, mixer_set: str | None) -> F64:
        arch, length = self._arch, len(u)
        dim, groups = arch.head_dim, arch.num_key_value_heads
        q, k, v = (
            (u @ self._weight(f"{layer}self_attn.{name}_proj.weight", mixer_set).T).reshape(length, -1, dim)
            for name in "qkv"
        )
        angles = np.outer(np.arange(length), arch.rope_theta ** (-np.arange(0, dim, 2) / dim))
        cos, sin = np.cos(angles)[:, None], np.sin(angles)[:, None]

        def rotate(x: F64) -> F64:
            low, high = x[..., : dim // 2], x[..., dim // 2 :]
            return np.concatenate([low * cos - high * sin, high * cos + low * sin], axis=-1)

        q, k = rotate(q), rotate(k)
        future = np.triu(np.full((length, length), -np.inf), 1)
        heads = []
        for head in range(arch.num_attention_heads):
            group = head // (arch.num_attention_heads // groups)
            scores = q[:, head] @ k[:, group].T / np.sqrt(dim) + future
            weights = np.exp(scores - scores.max(axis=-1, keepdims=True))
            heads.append(weights / weights.sum(axis=-1, keepdims=True) @ v[:, group])
        return np.asarray(np.concatenate(heads, axis=-1) @ self._weight(layer + "self_attn.o_proj.weight", mixer_set).T)

    def _mamba2(self, u: F64, layer: str, mixer_set: str) -> F64:
        config = self._bundle.manifest.mixer_sets[mixer_set].config
        heads, groups, dim, size = (config[name] for name in ("num_heads", "num_kv_heads", "head_dim", "state_size"))
        inner, length = heads * dim, len(u)

        def weight(name: str) -> F64:
            return self._weight(f"{layer}mamba.{name}", mixer_set)

        rows = u @ weight("in_proj.weight").T
        z, rows = (rows[:, :inner], rows[:, inner:]) if config["gate"] else (None, rows)
        mixed, dt = rows[:, :-heads], rows[:, -heads:]
        if config["conv_kernel"]:
            taps, bias, kernel = weight("conv1d.weight"), weight("conv1d.bias"), config["conv_kernel"]
            padded = np.concatenate([np.zeros((kernel - 1, mixed.shape[1])), mixed])
            mixed = bias + sum(padded[tap : tap + length] * taps[:, tap] for tap in range(kernel))
        if config["conv_activation"] == "silu":
            mixed = _silu(mixed)
        x = mixed[:, : groups * dim].reshape(length, groups, dim).repeat(heads // groups, axis=1)
        b = mixed[:, groups * dim : groups * (dim + size)].reshape(length, groups, size).repeat(heads // groups, axis=1)
        c = mixed[:, groups * (dim + size) :].reshape(length, heads, size)
        step = _softplus(dt + weight("dt_bias"))
        if config["form"] == "ssd":
            decay, value = np.exp(-np.exp(weight("A_log")) * step), step[..., None] * x
        else:
            decay, value = np.exp(-step), x

        state, skip = np.zeros((heads, size, dim)), weight("D")[:, None]
        outputs = []
        for t in range(length):
            state = decay[t][:, None, None] * state + b[t][:, :, None] * value[t][:, None, :]
            outputs.append((state * c[t][:, :, None]).sum(axis=1) + skip * x[t])
        y = np.stack(outputs).reshape(length, inner)
        if z is not None:
            y = y * _silu(z)
        if config["norm"] == "rms":
            count = config["norm_groups"]
            scale = weight("norm.weight").reshape(count, -1)
            y = _rms_norm(y.reshape(length, count, -1), scale, config["norm_eps"]).reshape(length, inner)
        return np.asarray(y @ weight("out_proj.weight").T)
