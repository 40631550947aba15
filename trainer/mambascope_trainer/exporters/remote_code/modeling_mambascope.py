"""A Llama whose layers have attention or Mamba-2; load it with `AutoModelForCausalLM` and `trust_remote_code=True`.

Attention-initialised, grouped-query aware Mamba-2 as in arXiv 2408.15237 (form "ssd"), and MOHAWK's discrete Mamba-2,
arXiv 2408.10189 (form "discrete"). Left-padded batches are exact: a padded position leaves no trace in any state.
"""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers import GenerationMixin, PreTrainedModel
from transformers.modeling_outputs import CausalLMOutputWithPast

from .configuration_mambascope import HybridLlamaConfig

State = tuple[Tensor, Tensor]


def widen(x: Tensor) -> Tensor:
    """In float32, or wider if it is already."""
    return x.to(torch.promote_types(x.dtype, torch.float32))


class HybridCache:
    """Two tensors a layer: attention's keys and values (b, G, S, P), or Mamba-2's last convolution inputs
    (b, channels, kernel - 1) and its state (b, H, N, P) in float32 or wider."""

    is_compileable = False

    def __init__(self, layers: int) -> None:
        self.states: list[State | None] = [None] * layers
        self.seen = 0

    def __len__(self) -> int:
        return len(self.states)

    def get_seq_length(self, layer_idx: int = 0) -> int:
        return self.seen

    def get_max_cache_shape(self, layer_idx: int = 0) -> None:
        return None

    def reset(self) -> None:
        self.states, self.seen = [None] * len(self.states), 0

    def crop(self, max_length: int) -> None:
        raise ValueError("The state of a Mamba-2 layer holds all tokens so far: it cannot be cut back.")

    def reorder_cache(self, beam_idx: Tensor) -> None:
        self.batch_select_indices(beam_idx)

    def batch_select_indices(self, indices: Tensor) -> None:
        self._map(lambda x: x.index_select(0, indices.to(x.device)))

    def batch_repeat_interleave(self, repeats: int) -> None:
        self._map(lambda x: x.repeat_interleave(repeats, dim=0))

    def _map(self, change: Any) -> None:
        self.states = [None if state is None else (change(state[0]), change(state[1])) for state in self.states]


class RMSNorm(nn.Module):
    def __init__(self, size: int, eps: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(size))
        self.eps = eps

    def forward(self, x: Tensor) -> Tensor:
        wide = widen(x)
        wide = wide * torch.rsqrt(wide.square().mean(dim=-1, keepdim=True) + self.eps)
        return (wide * self.weight).to(x.dtype)


class MLP(nn.Module):
    def __init__(self, config: HybridLlamaConfig) -> None:
        super().__init__()
        self.gate_proj = nn.Linear(config.hidden_size, config.intermediate_size, bias=False)
        self.up_proj = nn.Linear(config.hidden_size, config.intermediate_size, bias=False)
        self.down_proj = nn.Linear(config.intermediate_size, config.hidden_size, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.down_proj(F.silu(self.gate_proj(x)) * self.up_proj(x))
        return out


def rotate(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Half-split rotary embedding of (b, heads, T, P) by angles (b, 1, T, P)."""
    low, high = x.chunk(2, dim=-1)
    return (x * cos + torch.cat([-high, low], dim=-1) * sin).to(x.dtype)


class Attention(nn.Module):
    def __init__(self, config: HybridLlamaConfig) -> None:
        super().__init__()
        self.heads, self.groups, self.width = config.num_attention_heads, config.num_key_value_heads, config.head_dim
        self.q_proj = nn.Linear(config.hidden_size, self.heads * self.width, bias=False)
        self.k_proj = nn.Linear(config.hidden_size, self.groups * self.width, bias=False)
        self.v_proj = nn.Linear(config.hidden_size, self.groups * self.width, bias=False)
        self.o_proj = nn.Linear(self.heads * self.width, config.hidden_size, bias=False)

    def forward(
        self, u: Tensor, rotary: tuple[Tensor, Tensor], readable: Tensor | None, state: State | None
    ) -> tuple[Tensor, State]:
        batch, length, _ = u.shape
        q = self.q_proj(u).view(batch, length, self.heads, self.width).transpose(1, 2)
        k = self.k_proj(u).view(batch, length, self.groups, self.width).transpose(1, 2)
        v = self.v_proj(u).view(batch, length, self.groups, self.width).transpose(1, 2)
        q, k = rotate(q, *rotary), rotate(k, *rotary)
        if state is not None:
            k, v = torch.cat([state[0], k], dim=2), torch.cat([state[1], v], dim=2)
        repeats = self.heads // self.groups
        keys, values = k.repeat_interleave(repeats, dim=1), v.repeat_interleave(repeats, dim=1)
        y = F.scaled_dot_product_attention(q, keys, values, attn_mask=readable, is_causal=readable is None)
        return self.o_proj(y.transpose(1, 2).reshape(batch, length, -1)), (k, v)


def scan(C: Tensor, B: Tensor, v: Tensor, log_decay: Tensor, state: Tensor, chunk: int = 64) -> tuple[Tensor, Tensor]:
    """S_t = exp(log_decay_t) S_{t-1} + B_t v_t^T and y_t = S_t^T C_t, as a matrix inside chunks, as a recurrence
    between them ("Transformers are SSMs", arXiv 2405.21060, section 6).

    C, B (b, T, H, N), v (b, T, H, P), log_decay (b, T, H) <= 0, state (b, H, N, P); y (b, T, H, P) and the last state.
    """
    parts = []
    for start in range(0, C.shape[1], chunk):
        c, b, x, a = (item[:, start : start + chunk].transpose(1, 2) for item in (C, B, v, log_decay[..., None]))
        total = a[..., 0].cumsum(dim=-1)
        gap = total[..., :, None] - total[..., None, :]
        causal = torch.ones(gap.shape[-2:], dtype=torch.bool, device=gap.device).tril()
        weights = (c @ b.transpose(-1, -2)) * gap.masked_fill(~causal, float("-inf")).exp()
        parts.append((weights @ x + (c * total.exp()[..., None]) @ state).transpose(1, 2))
        kept = (b * (total[..., -1:] - total).exp()[..., None]).transpose(-1, -2)
        state = total[..., -1].exp()[..., None, None] * state + kept @ x
    return torch.cat(parts, dim=1), state


class Taps(nn.Module):
    """A depthwise causal convolution; the last tap multiplies the current token."""

    def __init__(self, channels: int, kernel: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(channels, kernel))
        self.bias = nn.Parameter(torch.zeros(channels))

    def forward(self, padded: Tensor) -> Tensor:
        return F.conv1d(padded, self.weight[:, None], self.bias, groups=padded.shape[1])


class Scale(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels))


class Mamba2(nn.Module):
    def __init__(self, hidden_size: int, shape: dict[str, Any]) -> None:
        super().__init__()
        self.shape = shape
        self.heads, self.groups = shape["num_heads"], shape["num_kv_heads"]
        self.width, self.size, self.kernel = shape["head_dim"], shape["state_size"], shape["conv_kernel"]
        self.inner = self.heads * self.width
        self.channels = self.groups * (self.width + self.size) + self.heads * self.size
        self.rows = [self.inner if shape["gate"] else 0, self.channels, self.heads]
        self.in_proj = nn.Linear(hidden_size, sum(self.rows), bias=False)
        self.out_proj = nn.Linear(self.inner, hidden_size, bias=False)
        if self.kernel:
            self.conv1d = Taps(self.channels, self.kernel)
        if shape["form"] == "ssd":
            self.A_log = nn.Parameter(torch.zeros(self.heads))
        self.dt_bias = nn.Parameter(torch.full((self.heads,), -2.0))
        self.D = nn.Parameter(torch.zeros(self.heads))
        if shape["norm"] == "rms":
            self.norm = Scale(self.inner)

    def forward(self, u: Tensor, present: Tensor | None, state: State | None) -> tuple[Tensor, State]:
        """`present` (b, T, 1) is 0 at padded positions."""
        (batch, length, _), shape = u.shape, self.shape
        z, inputs, dt = self.in_proj(u).split(self.rows, dim=-1)
        if present is not None:
            inputs = inputs * present.to(inputs.dtype)
        inputs = inputs.transpose(1, 2)
        reach = max(self.kernel - 1, 0)
        if state is None:
            past = inputs.new_zeros(batch, self.channels, reach)
            matrix = widen(u.new_zeros(batch, self.heads, self.size, self.width))
        else:
            past, matrix = state
        padded = torch.cat([past.to(inputs.dtype), inputs], dim=2)
        mixed = (self.conv1d(padded) if self.kernel else inputs).transpose(1, 2)
        if shape["conv_activation"] == "silu":
            mixed = F.silu(mixed)
        sizes = [self.groups * self.width, self.groups * self.size, self.heads * self.size]
        x, B, C = (torch.unflatten(widen(part), -1, (-1, last)) for part, last in
                   zip(mixed.split(sizes, dim=-1), (self.width, self.size, self.size), strict=True))  # fmt: skip
        x, B = (item.repeat_interleave(self.heads // self.groups, dim=2) for item in (x, B))

        step = F.softplus(widen(dt) + widen(self.dt_bias))
        ssd = shape["form"] == "ssd"
        log_decay = -widen(self.A_log).exp() * step if ssd else -step
        v = x * step[..., None] if ssd else x
        if present is not None:
            log_decay, v = log_decay * present, v * present[..., None]
        y, matrix = scan(C, B, v, log_decay, matrix)
        y = (y + widen(self.D)[:, None] * x).reshape(batch, length, self.inner)
        if shape["gate"]:
            y = y * F.silu(widen(z))
        if shape["norm"] == "rms":
            y = torch.unflatten(y, -1, (shape["norm_groups"], -1))
            y = (y * torch.rsqrt(y.square().mean(dim=-1, keepdim=True) + shape["norm_eps"])).flatten(-2)
            y = y * self.norm.weight
        return self.out_proj(y.to(u.dtype)), (padded[..., padded.shape[2] - reach :], matrix)


class HybridLayer(nn.Module):
    def __init__(self, config: HybridLlamaConfig, mixer: str | dict[str, Any]) -> None:
        super().__init__()
        self.input_layernorm = RMSNorm(config.hidden_size, config.rms_norm_eps)
        self.post_attention_layernorm = RMSNorm(config.hidden_size, config.rms_norm_eps)
        self.mlp = MLP(config)
        if isinstance(mixer, dict):
            self.mamba = Mamba2(config.hidden_size, mixer)
        else:
            self.self_attn = Attention(config)
        self.is_attention = not isinstance(mixer, dict)

    def forward(
        self, x: Tensor, rotary: tuple[Tensor, Tensor], readable: Tensor | None, present: Tensor | None,
        state: State | None,
    ) -> tuple[Tensor, State]:  # fmt: skip
        u = self.input_layernorm(x)
        if self.is_attention:
            mixed, state = self.self_attn(u, rotary, readable, state)
        else:
            mixed, state = self.mamba(u, present, state)
        x = x + mixed
        return x + self.mlp(self.post_attention_layernorm(x)), state


class HybridLlamaPreTrainedModel(PreTrainedModel):  # type: ignore[misc]
    config_class = HybridLlamaConfig
    base_model_prefix = "model"
    supports_gradient_checkpointing = False
    _no_split_modules = ["HybridLayer"]  # noqa: RUF012
    _supports_sdpa = True
    _is_stateful = True  # a recurrent state cannot be rolled back

    def _init_weights(self, module: nn.Module) -> None:
        if isinstance(module, nn.Linear | nn.Embedding):
            nn.init.normal_(module.weight, std=0.02)


class HybridLlamaModel(HybridLlamaPreTrainedModel):
    def __init__(self, config: HybridLlamaConfig) -> None:
        super().__init__(config)
        self.embed_tokens = nn.Embedding(config.vocab_size, config.hidden_size)
        self.layers = nn.ModuleList(HybridLayer(config, mixer) for mixer in config.mixers)
        self.norm = RMSNorm(config.hidden_size, config.rms_norm_eps)
        self.post_init()

    def rotary(self, positions: Tensor) -> tuple[Tensor, Tensor]:
        """cos and sin (b, 1, T, head_dim) of positions (b, T)."""
        width, device = self.config.head_dim, positions.device
        turns = torch.arange(0, width, 2, dtype=torch.float64, device=device) / width
        angles = positions[:, None, :, None].double() * self.config.rope_base**-turns
        angles = torch.cat([angles, angles], dim=-1)
        return angles.cos().float(), angles.sin().float()

    def forward(
        self,
        x: Tensor,
        attention_mask: Tensor | None = None,
        position_ids: Tensor | None = None,
        cache: HybridCache | None = None,
    ) -> Tensor:
        """Embedded tokens (b, T, D) to normed hidden states; `attention_mask` (b, S + T) covers the cached ones too."""
        length, past = x.shape[1], cache.seen if cache is not None else 0
        padded = attention_mask is not None and not bool(attention_mask.all())
        if position_ids is None:
            position_ids = torch.arange(past, past + length, device=x.device)[None]
            if padded and attention_mask is not None:
                position_ids = (attention_mask.long().cumsum(dim=-1) - 1).clamp(min=0)[:, -length:]
        readable = present = None
        if past or padded:
            readable = torch.ones(length, past + length, dtype=torch.bool, device=x.device).tril(past)[None, None]
        if padded and attention_mask is not None and readable is not None:
            present = widen(attention_mask[:, -length:, None].to(x.dtype))
            # A padded query reads itself, or its softmax would be over nothing.
            own = torch.eye(past + length, dtype=torch.bool, device=x.device)[past:]
            readable = (readable & attention_mask[:, None, None, :].bool()) | own
        rotary = self.rotary(position_ids)
        for index, layer in enumerate(self.layers):
            x, state = layer(x, rotary, readable, present, cache.states[index] if cache is not None else None)
            if cache is not None:
                cache.states[index] = state
        if cache is not None:
            cache.seen += length
        normed: Tensor = self.norm(x)
        return normed


class HybridLlamaForCausalLM(HybridLlamaPreTrainedModel, GenerationMixin):  # type: ignore[misc]
    _tied_weights_keys = {"lm_head.weight": "model.embed_tokens.weight"}  # noqa: RUF012

    def __init__(self, config: HybridLlamaConfig) -> None:
        super().__init__(config)
        self.model = HybridLlamaModel(config)
        self.lm_head = nn.Linear(config.hidden_size, config.vocab_size, bias=False)
        self.post_init()

    def get_input_embeddings(self) -> nn.Module:
        return self.model.embed_tokens

    def set_input_embeddings(self, value: nn.Embedding) -> None:
        self.model.embed_tokens = value

    def get_output_embeddings(self) -> nn.Module:
        return self.lm_head

    @classmethod
    def _supports_default_dynamic_cache(cls) -> bool:
        return False  # `forward` makes its own

    def prepare_inputs_for_generation(
        self,
        input_ids: Tensor,
        past_key_values: HybridCache | None = None,
        attention_mask: Tensor | None = None,
        use_cache: bool | None = None,
        **_: Any,
    ) -> dict[str, Any]:
        seen = past_key_values.get_seq_length() if past_key_values is not None else 0
        return {
            "input_ids": input_ids[:, seen:],
            "past_key_values": past_key_values,
            "attention_mask": attention_mask,
            "use_cache": use_cache,
        }

    def forward(
        self,
        input_ids: Tensor | None = None,
        attention_mask: Tensor | None = None,
        position_ids: Tensor | None = None,
        past_key_values: HybridCache | None = None,
        inputs_embeds: Tensor | None = None,
        labels: Tensor | None = None,
        use_cache: bool | None = None,
        logits_to_keep: int | Tensor = 0,
        **_: Any,
    ) -> CausalLMOutputWithPast:
        if (input_ids is None) == (inputs_embeds is None):
            raise ValueError("Give either input_ids or inputs_embeds.")
        if past_key_values is not None and not isinstance(past_key_values, HybridCache):
            raise ValueError(f"past_key_values must be a HybridCache, not {type(past_key_values).__name__}.")
        if use_cache is None:
            use_cache = self.config.use_cache and not self.training
        if use_cache and past_key_values is None:
            past_key_values = HybridCache(len(self.model.layers))
        x = self.model.embed_tokens(input_ids) if inputs_embeds is None else inputs_embeds
        hidden = self.model(x, attention_mask, position_ids, past_key_values)
        kept = slice(-logits_to_keep, None) if isinstance(logits_to_keep, int) else logits_to_keep
        logits = self.lm_head(hidden[:, kept])
        loss = None
        if labels is not None:
            loss = F.cross_entropy(logits[:, :-1].float().flatten(0, 1), labels[:, 1:].flatten(), ignore_index=-100)
        return CausalLMOutputWithPast(loss=loss, logits=logits, past_key_values=past_key_values)
