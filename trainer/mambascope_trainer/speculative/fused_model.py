"""A model over static states as few kernels: five a layer, of the project's own in Triton.

Each product takes in the norm before it and what follows it (product_kernels), attention and the Mamba-2 recurrence are
one kernel each (mixer_kernels). For passes of up to 16 tokens, whose time is that of launching kernels and of reading
the weights once. What a pass gives for a token does not depend on how many tokens it reads.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ..mixers.attention import Attention
from ..mixers.mamba2 import Mamba2
from ..mixers.scan_triton import SIZES
from ..mixers.triton_launch import device_of
from ..model.llama import LayerState, Llama, RMSNorm
from .fused_products import NARROWEST, ROWS, WIDEST, Best, Launch, Norm
from .static_model import AttentionState, Kind

#: Keys that attention takes together; columns of a Mamba-2 state that a program, one warp, holds.
KEYS = 128
COLUMNS = 16


@dataclass(frozen=True)
class TwoSided:
    """A Mamba-2 layer's states. checkpoint, running (H, N, P); the others have two sides, of which a pass reads one and
    writes the other: B (2, T, G, N), v (2, T, H, P), log_decay (2, T, H) of the tokens since the checkpoint, window
    (2, kernel-1 + T, channels)."""

    checkpoint: Tensor
    running: Tensor
    B: Tensor
    v: Tensor
    log_decay: Tensor
    window: Tensor


def unfit(model: Llama, tokens: int) -> str | None:
    """Why the kernels do not serve a model and passes of `tokens` tokens; None if they do."""
    arch = model.arch
    widths = {arch.hidden_size, arch.intermediate_size}
    for index, layer in enumerate(model.layers):
        if layer.active == "attention":
            widths.add(arch.num_attention_heads * arch.head_dim)
            if arch.head_dim not in SIZES:
                return f"heads of {arch.head_dim}"
            continue
        config = model.mamba(index).config
        widths.add(config.inner_size)
        if config.head_dim not in SIZES or config.state_size not in SIZES:
            return f"a state of {config.state_size} x {config.head_dim} a head"
    if tokens > ROWS:
        return f"passes of more than {ROWS} tokens"
    if min(widths) < NARROWEST or max(widths) > WIDEST:
        return f"a width of {min(widths)} to {max(widths)}"
    dtype = model.embed_tokens.weight.dtype
    return None if dtype in (torch.bfloat16, torch.float16, torch.float32) else f"numbers of {dtype}"


class FusedModel:
    """As `StaticModel`, with the same arguments. The model's weights are read in place."""

    def __init__(self, model: Llama, length: int, tokens: int, shortlist: Tensor | None = None) -> None:
        self.model, self.length, self.tokens, self.shortlist = model, length, tokens, shortlist
        self.device = model.embed_tokens.weight.device
        self.dtype = model.embed_tokens.weight.dtype
        self.head = model.head_weight if shortlist is None else model.head_weight[shortlist].contiguous()
        self.launch = Launch()
        arch = model.arch
        self.table = tuple(part.clone() for part in model.rotary(0, length))
        self.states = [self._new_state(index) for index in range(len(model.layers))]
        self.rates = [self._rate(index) for index in range(len(model.layers))]
        self.accepted = torch.zeros(1, dtype=torch.long, device=self.device)
        #: The side of the states' buffers that the next pass reads.
        self.side = torch.zeros(1, dtype=torch.long, device=self.device)
        #: The last pass's hidden states (rows, D), after the last norm.
        self.hidden = self._room(arch.hidden_size)
        self.best = Best(self.head.shape[0], self.device)
        mixers = [model.mamba(i) for i, state in enumerate(self.states) if isinstance(state, TwoSided)]
        attended = arch.num_attention_heads * arch.head_dim
        self.x = self._room(arch.hidden_size)
        self.first = self._room(max([attended, *(_row(mamba) for mamba in mixers)]))
        self.second = self._room(max([attended, *(mamba.config.inner_size for mamba in mixers)]))
        self.inner = self._room(arch.intermediate_size)

    def _room(self, width: int) -> Tensor:
        return torch.zeros(self.tokens, width, device=self.device, dtype=self.dtype)

    def _new_state(self, index: int) -> TwoSided | AttentionState:
        arch = self.model.arch
        if self.model.layer(index).active == "attention":
            return AttentionState.zeros(arch, self.length, self.device, self.dtype)
        config, held = self.model.mamba(index).config, (2, self.tokens)
        h, g, n, p = config.num_heads, config.num_kv_heads, config.state_size, config.head_dim
        return TwoSided(
            torch.zeros(h, n, p, device=self.device),
            torch.zeros(h, n, p, device=self.device),
            torch.zeros(*held, g, n, device=self.device, dtype=self.dtype),
            torch.zeros(*held, h, p, device=self.device, dtype=self.dtype),
            torch.zeros(*held, h, device=self.device),
            torch.zeros(2, 3 + self.tokens, config.conv_size, device=self.device, dtype=self.dtype),
        )

    def _rate(self, index: int) -> Tensor:
        """What a head's time step is multiplied with for its log-decay (H,)."""
        mamba = self.model.layer(index).mamba
        if self.model.layer(index).active == "attention" or mamba is None:
            return torch.zeros(0)
        return -torch.ones_like(mamba.D) if mamba.config.form == "discrete" else -mamba.A_log.exp()

    def load(self, states: Sequence[LayerState]) -> None:
        """Take over the states of an ordinary pass; nothing is to be replayed."""
        self.accepted.zero_()
        self.side.zero_()
        for held, (first, second) in zip(self.states, states, strict=True):
            if isinstance(held, AttentionState):
                held.load(first, second)
            else:
                held.window.zero_()
                held.window[0, : first.shape[2]] = first[0].transpose(0, 1)
                held.checkpoint.copy_(second[0])
                held.running.copy_(second[0])

    def reset(self) -> None:
        """The state before any token."""
        self.accepted.zero_()
        self.side.zero_()
        for state in self.states:
            if isinstance(state, TwoSided):
                for tensor in (state.window, state.checkpoint, state.running):
                    tensor.zero_()

    def moving(self) -> list[Tensor]:
        """The tensors that a pass changes for good."""
        return [self.accepted, self.side, *(x for state in self.states for x in vars(state).values())]

    def run(
        self, ids: Tensor, position: Tensor, kind: Kind, shift: int = 0, offset: int = 0, features: Tensor | None = None
    ) -> Tensor:
        """As `StaticModel.run`."""
        x = self._layers(ids, position, kind, shift, offset, features)
        logits = torch.empty(ids.shape[1], self.head.shape[0], device=self.device)
        self.launch.head(x, self._norm(self.model.norm), self.head, self.hidden, logits, self.best)
        return logits

    def choose(
        self, ids: Tensor, position: Tensor, kind: Kind, out: Tensor, shift: int = 0, offset: int = 0,
        features: Tensor | None = None,
    ) -> None:  # fmt: skip
        """As `StaticModel.choose`."""
        x = self._layers(ids, position, kind, shift, offset, features)
        self.launch.head(x, self._norm(self.model.norm), self.head, self.hidden, None, self.best)
        self.best.pick(ids.shape[1], out, self.shortlist, self.launch)

    def _layers(
        self, ids: Tensor, position: Tensor, kind: Kind, shift: int, offset: int, features: Tensor | None
    ) -> Tensor:
        from .cycle_kernels import embed_kernel

        rows, width = ids.shape[1], self.x.shape[1]
        x = self.x[:rows]
        with device_of(x):
            embed_kernel[(rows,)](
                ids, self.model.embed_tokens.weight, x, width, WIDTH=1 << (width - 1).bit_length(),
                **self.launch.options(4),
            )  # fmt: skip
        projection = self.model.features_proj
        if (features is None) != (projection is None):
            raise ValueError("features are for models that read them, which need them")
        if features is not None and projection is not None:
            self.launch.product(features[0], width, None, projection.weight, x, add=True)
        for index, state in enumerate(self.states):
            layer = self.model.layer(index)
            norm = self._norm(layer.input_layernorm)
            if isinstance(state, AttentionState):
                assert layer.self_attn is not None
                self._attend(layer.self_attn, norm, state, x, position, shift)
            else:
                self._recur(index, norm, state, x, kind, offset)
            inner, mlp = self.inner[:rows], layer.mlp
            gate, up = mlp.gate_proj.weight, mlp.up_proj.weight
            self.launch.gated(x, self._norm(layer.post_attention_layernorm), gate, up, inner)
            self.launch.product(inner, inner.shape[1], None, mlp.down_proj.weight, x, add=True)
        return x

    def _attend(
        self, attention: Attention, norm: Norm, state: AttentionState, x: Tensor, position: Tensor, shift: int
    ) -> None:
        from .mixer_kernels import attention_kernel

        rows, size = x.shape[0], attention.head_dim
        width = attention.heads * size
        q, mixed = self.first.view(-1)[: rows * width].view(rows, width), self.second.view(-1)[: rows * width]
        weights = (attention.q_proj.weight, attention.k_proj.weight, attention.v_proj.weight)
        cos, sin = self.table
        self.launch.rotary(x, norm, weights, (cos, sin), position, shift, q, state.keys, state.values)
        with device_of(x):
            attention_kernel[(attention.heads,)](
                q, state.keys, state.values, position, mixed, rows, shift, attention.heads, self.length,
                attention.heads // attention.groups, size**-0.5, ROWS=ROWS, P=size, BLOCK=KEYS,
                **self.launch.options(4),
            )  # fmt: skip
        self.launch.product(mixed.view(rows, width), width, None, attention.o_proj.weight, x, add=True)

    def _recur(self, index: int, norm: Norm, state: TwoSided, x: Tensor, kind: Kind, offset: int) -> None:
        from .mixer_kernels import mamba_kernel

        mamba = self.model.mamba(index)
        config, rows = mamba.config, x.shape[0]
        joint, width = self.first.view(-1)[: rows * _row(mamba)].view(rows, -1), config.inner_size
        mixed = self.second.view(-1)[: rows * width].view(rows, width)
        self.launch.product(x, x.shape[1], norm, mamba.in_proj.weight, joint, add=False)
        conv, step = config.conv_kernel > 0, kind in ("step", "plain")
        taps = (mamba.conv1d.weight, mamba.conv1d.bias) if conv else (mamba.D, mamba.D)
        columns = min(COLUMNS, config.head_dim)
        with device_of(x):
            mamba_kernel[(config.num_heads, config.head_dim // columns)](
                joint, *taps, mamba.dt_bias, self.rates[index], mamba.D, state.checkpoint, state.running, state.B,
                state.v, state.log_decay, state.window, self.side, self.accepted, mixed, rows, offset, self.tokens,
                joint.shape[1], config.num_heads, config.num_heads // config.num_kv_heads,
                width if config.gate else 0, config.conv_size, state.window.shape[1],
                N=config.state_size, P=config.head_dim, WIDTH=columns, CONV=conv,
                SILU=config.conv_activation == "silu", GATE=config.gate, SSD=config.form == "ssd", REPLAY=not step,
                STEP=kind == "step", KEEP_LAST=kind != "verify", KEEP_INPUTS=kind != "plain",
                **self.launch.options(1),
            )  # fmt: skip
        after = None
        if config.norm == "rms":
            group = None if config.norm_groups == 1 else width // config.norm_groups
            after = Norm(mamba.norm.weight, config.norm_eps, group)
        self.launch.product(mixed, width, after, mamba.out_proj.weight, x, add=True)

    def _norm(self, norm: torch.nn.Module) -> Norm:
        assert isinstance(norm, RMSNorm)
        return Norm(norm.weight, norm.eps)

    def moved_by(self, count: Tensor) -> None:
        """The next pass begins after the first `count` (1,) tokens since the checkpoint."""
        self.accepted.copy_(count)
        self.side.neg_().add_(1)

    def memory(self) -> dict[str, int]:
        """Bytes of what speculation holds beside an ordinary decoder's states: a checkpoint and two sides of inputs."""
        total = {"checkpoint": 0, "cached": 0}
        for state in self.states:
            if isinstance(state, TwoSided):
                total["checkpoint"] += state.checkpoint.nbytes
                total["cached"] += sum(x.nbytes for x in (state.B, state.v, state.log_decay, state.window))
        return total


def _row(mamba: Mamba2) -> int:
    """Numbers from one row of in_proj's output to the next: rows begin at a multiple of 16."""
    return -(-mamba.config.in_proj_rows // 16) * 16
