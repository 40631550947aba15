"""Sample text from a teacher or a hybrid: static state buffers, one batch, CUDA graphs a context bucket.

Sequence-level distillation (arXiv 2408.15237, section 3) wants the teacher's own text, preference pairs the student's
too; it costs only GPU time and has no licence but the model's. Rows are forced along their prompts and then sampled; in
chats the turns' markers are forced too, so that a row is a run of conversations of the length asked for.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor

from ..mixers.attention import Attention, rotate
from ..mixers.mamba2 import Mamba2
from ..model.llama import Layer, Llama
from .chat import TurnMarkers

BUCKET = 128
PREFILL_ROWS = 256
#: Divides the positive logits of penalised tokens that a row has sampled before (arXiv 1909.05858, section 4.1).
REPETITION_PENALTY = 1.15


class Sampler:
    """Samples rows of `length` tokens from a model's active pattern. `batch` rows are decoded together.

    Attention layers keep keys and values of all `length` places; Mamba-2 layers their convolution's window and their
    state, in float32.

    `min_p` drops tokens less likely than that share of the likeliest; `penalised` (V,) marks tokens that should not
    recur.
    """

    def __init__(
        self,
        model: Llama,
        batch: int,
        length: int,
        markers: TurnMarkers | None,
        seed: int,
        min_p: float = 0.0,
        penalised: Tensor | None = None,
    ) -> None:
        self.model, self.batch, self.length, self.markers, self.min_p = model, batch, length, markers, min_p
        self.device = model.embed_tokens.weight.device
        self.pattern = model.pattern
        self.states = [self._new_state(index) for index in range(len(model.layers))]
        self.rows = torch.zeros(batch, length + 1, dtype=torch.long, device=self.device)
        self.forced = torch.full_like(self.rows, -1)
        # Of users' turns and of the assistant's, as `role` counts them.
        self.temperature = torch.ones(batch, 2, device=self.device)
        self.position = torch.zeros(1, dtype=torch.long, device=self.device)
        # The turn machine: whose turn it is (0 user, 1 assistant), which marker runs, how many of its tokens are left.
        self.role = torch.zeros(batch, dtype=torch.long, device=self.device)
        self.marker = torch.zeros_like(self.role)
        self.left = torch.zeros_like(self.role)
        self.done = torch.zeros(batch, dtype=torch.bool, device=self.device)
        if markers is not None:
            lists = [markers.to_user, markers.to_assistant, markers.to_new]
            width = max(len(entry) for entry in lists)
            self.marker_tokens = torch.tensor([[0] * (width - len(e)) + e for e in lists], device=self.device)
            self.marker_sizes = torch.tensor([len(e) for e in lists], device=self.device)
        self.cos, self.sin = model.rotary(0, length)
        self.stop = -1
        self.penalised, self.seen = penalised, None
        if penalised is not None:
            self.seen = torch.zeros(batch, model.arch.vocab_size, dtype=torch.bool, device=self.device)
        self.graphs: dict[int, torch.cuda.CUDAGraph] = {}
        torch.manual_seed(seed)

    def _new_state(self, index: int) -> tuple[Tensor, Tensor]:
        """Zeros: keys and values (batch, G, length, P), or window (batch, channels, kernel-1), S (batch, H, N, P)."""
        arch, weight = self.model.arch, self.model.embed_tokens.weight
        if self.pattern[index] == "attention":
            keys = weight.new_zeros(self.batch, arch.num_key_value_heads, self.length, arch.head_dim)
            return keys, torch.zeros_like(keys)
        config = self.model.mamba(index).config
        window = weight.new_zeros(self.batch, config.conv_size, max(config.conv_kernel - 1, 0))
        shape = (self.batch, config.num_heads, config.state_size, config.head_dim)
        return window, torch.zeros(shape, device=self.device, dtype=torch.promote_types(weight.dtype, torch.float32))

    def sample(
        self,
        prompts: list[list[int]],
        temperatures: list[float],
        stop: int | None = None,
        users: list[float] | None = None,
    ) -> Tensor:
        """Rows (batch, length) of token ids. With `stop`, a row repeats that token once it has sampled it.

        A temperature of 0 takes the likeliest token. `users`: temperatures of the users' turns in rows with markers;
        none: those of the assistant's. Raises ValueError if there is not one prompt and temperature a row, a
        temperature is negative, a prompt is empty or as long as a row, or the model's pattern is no longer the one
        that the sampler was made for.
        """
        if self.model.pattern != self.pattern:
            raise ValueError("the model's pattern has changed: make another sampler")
        if len(prompts) != self.batch or len(temperatures) != self.batch:
            raise ValueError(f"expected {self.batch} prompts and temperatures")
        if not 0 < min(map(len, prompts)) <= max(map(len, prompts)) < self.length:
            raise ValueError(f"a prompt is empty, or as long as the rows ({self.length} tokens)")
        if min([*temperatures, *(users or [])]) < 0 or len(users or temperatures) != self.batch:
            raise ValueError("temperatures must be 0 or positive, one a row")
        forced = torch.full((self.batch, self.length + 1), -1, dtype=torch.long)
        for row, prompt in enumerate(prompts):
            forced[row, : len(prompt)] = torch.tensor(prompt)
        self.forced.copy_(forced)
        self.rows[:, 0] = self.forced[:, 0]
        self.temperature[:, 0] = torch.tensor(users or temperatures)
        self.temperature[:, 1] = torch.tensor(temperatures)
        if self.seen is not None:
            self.seen.zero_()
        for state in (self.role, self.marker, self.left, self.done):
            state.zero_()
        if self.stop != (-1 if stop is None else stop):
            self.stop = -1 if stop is None else stop
            self.graphs.clear()  # they hold the old one
        with torch.no_grad():
            known = min(map(len, prompts)) - 1
            self._prefill(known)
            with self._recurrent():
                for step in range(known, self.length - 1):
                    self._run(min((step // BUCKET + 1) * BUCKET, self.length))
                    if stop is not None and step % BUCKET == BUCKET - 1 and bool(self.done.all()):
                        self.rows[:, step + 2 :] = self.stop
                        break
        return self.rows[:, : self.length].clone()

    def _prefill(self, known: int) -> None:
        """Fill the caches with the first `known` tokens of every prompt, some rows at a time."""
        self.rows[:, : known + 1] = self.forced[:, : known + 1]
        self.position.fill_(known)
        for index, states in enumerate(self.states):
            if self.pattern[index] != "attention":  # what an attention layer holds beyond `known` is never read
                for state in states:
                    state.zero_()
        if known == 0:
            return
        rotary = self.model.rotary(0, known)
        for rows in torch.split(torch.arange(self.batch, device=self.device), PREFILL_ROWS):
            x = self.model.embed(self.rows[rows, :known])
            for index, layer in enumerate(self.model.layers):
                x, state = layer(x, rotary)
                for held, value in zip(self.states[index], state, strict=True):
                    if self.pattern[index] == "attention":
                        held[rows, :, :known] = value
                    else:
                        held[rows] = value.to(held.dtype)

    @contextmanager
    def _recurrent(self) -> Iterator[None]:
        """Mamba-2 layers take their one-token recurrence: a chunked kernel would pad one token to a chunk."""
        mixers = [self.model.mamba(i) for i, name in enumerate(self.pattern) if name != "attention"]
        before = [mixer.backend for mixer in mixers]
        for mixer in mixers:
            mixer.backend = "loop"
        try:
            yield
        finally:
            for mixer, backend in zip(mixers, before, strict=True):
                mixer.backend = backend

    def _run(self, context: int) -> None:
        if self.device.type != "cuda":
            self._step(context)
            return
        if context not in self.graphs:
            # Warm up on a side stream without moving on, then capture.
            moving = [self.position, self.role, self.marker, self.left, self.done, self.rows]
            moving += [s for i, name in enumerate(self.pattern) if name != "attention" for s in self.states[i]]
            saved = [state.clone() for state in moving]
            new_stream: Callable[[], torch.cuda.Stream] = torch.cuda.Stream
            stream = new_stream()
            stream.wait_stream(torch.cuda.current_stream())
            with torch.cuda.stream(stream):
                self._step(context)
            torch.cuda.current_stream().wait_stream(stream)
            graph = torch.cuda.CUDAGraph()
            with torch.cuda.graph(graph):
                self._step(context)
            for state, value in zip(moving, saved, strict=True):
                state.copy_(value)
            self.graphs[context] = graph
        self.graphs[context].replay()

    def _step(self, context: int) -> None:
        """Feed the token at `position`, choose the one after it, move on."""
        current = self.rows.gather(1, self.position.expand(self.batch, 1))
        logits = self._logits(current[:, 0], context)
        if self.seen is not None and self.penalised is not None:
            sampled = self.forced.gather(1, self.position.expand(self.batch, 1)) < 0  # not the prompt's
            self.seen.scatter_(1, current, sampled | self.seen.gather(1, current))
            lowered = torch.where(logits > 0, logits / REPETITION_PENALTY, logits * REPETITION_PENALTY)
            logits = torch.where(self.seen & self.penalised, lowered, logits)
        temperature = self.temperature.gather(1, self.role[:, None])
        greedy = temperature == 0
        # Exponential race: argmax of p / Exp(1) draws from p; without noise it is the likeliest.
        noise = torch.empty_like(logits).exponential_().masked_fill_(greedy, 1.0)
        probabilities = (logits / temperature.masked_fill(greedy, 1.0)).softmax(dim=-1)
        if self.min_p:
            least = self.min_p * probabilities.amax(dim=-1, keepdim=True)
            probabilities = probabilities.where(probabilities >= least, 0.0)
        drawn = (probabilities / noise).argmax(dim=-1)
        token = self._next_token(current[:, 0], drawn)
        self.position += 1
        self.rows.scatter_(1, self.position.expand(self.batch, 1), token[:, None])

    def _logits(self, current: Tensor, context: int) -> Tensor:
        """Feed the tokens (batch,) at `position`; float32 logits (batch, V) of those after them."""
        x = self.model.embed(current)
        cos, sin = self.cos[self.position], self.sin[self.position]
        visible = torch.arange(context, device=self.device) <= self.position
        for index, layer in enumerate(self.model.layers):
            assert isinstance(layer, Layer)
            u = layer.input_layernorm(x)
            if layer.active == "attention":
                assert layer.self_attn is not None
                x = x + self._attend(layer.self_attn, index, u, cos, sin, visible)
            else:
                assert layer.mamba is not None
                x = x + self._recur(layer.mamba, index, u)
            x = x + layer.mlp(layer.post_attention_layernorm(x))
        return F.linear(self.model.norm(x), self.model.head_weight).float()

    def _recur(self, mamba: Mamba2, index: int, u: Tensor) -> Tensor:
        """One token a row; the window and the state move on in place."""
        out, after = mamba(u[:, None], self.states[index])
        for held, value in zip(self.states[index], after, strict=True):
            held.copy_(value)
        return cast(Tensor, out[:, 0])

    def _attend(self, attention: Attention, index: int, u: Tensor, cos: Tensor, sin: Tensor, visible: Tensor) -> Tensor:
        """One token a row against the cache; grouped queries share the read of their keys."""
        groups, size = attention.groups, attention.head_dim
        q = rotate(attention.q_proj(u).view(self.batch, groups, -1, size), cos, sin)
        k = rotate(attention.k_proj(u).view(self.batch, groups, 1, size), cos, sin)
        v = attention.v_proj(u).view(self.batch, groups, 1, size)
        keys, values = self.states[index]
        keys.index_copy_(2, self.position, k)
        values.index_copy_(2, self.position, v)
        context = visible.shape[0]
        scores = (q @ keys[:, :, :context].transpose(2, 3)).float() * size**-0.5
        weights = scores.masked_fill(~visible, float("-inf")).softmax(dim=-1).to(v.dtype)
        out: Tensor = attention.o_proj((weights @ values[:, :, :context]).reshape(self.batch, -1))
        return out

    def _next_token(self, current: Tensor, drawn: Tensor) -> Tensor:
        """The token after `current`: the prompt's, a turn marker's, the stop token again, or the drawn one."""
        token = drawn
        if self.markers is not None:
            in_prompt = self.forced.gather(1, (self.position + 1).expand(self.batch, 1))[:, 0] >= 0
            ended = (current == self.markers.end_of_turn) & (self.left == 0) & ~in_prompt
            fresh = torch.rand(self.batch, device=self.device) < self.markers.new_conversation
            after_assistant = torch.where(fresh, 2, 0)
            self.marker.copy_(torch.where(ended, torch.where(self.role == 0, 1, after_assistant), self.marker))
            self.left.copy_(torch.where(ended, self.marker_sizes[self.marker], self.left))
            self.role.copy_(torch.where(ended, 1 - self.role, self.role))
            column = self.marker_tokens.shape[1] - self.left
            marker = self.marker_tokens[self.marker, column.clamp(max=self.marker_tokens.shape[1] - 1)]
            token = torch.where(self.left > 0, marker, token)
            self.left.sub_(1).clamp_(min=0)
        forced = self.forced.gather(1, (self.position + 1).expand(self.batch, 1))[:, 0]
        token = torch.where(self.done, torch.full_like(token, self.stop), token)
        token = torch.where(forced >= 0, forced, token)
        if self.stop >= 0:
            self.done.copy_(self.done | ((token == self.stop) & (forced < 0)))
        return token


def for_sampling(model: Llama, device: torch.device, half: bool | None = None) -> Llama:
    """The model on `device`, frozen; matrices in bfloat16 if `half` (by default on CUDA), decays and norms never."""
    model.eval().requires_grad_(False).to(device)
    if device.type == "cuda" if half is None else half:
        for name, parameter in model.named_parameters():
            if parameter.dim() == 2 and "conv1d" not in name:
                parameter.data = parameter.data.to(torch.bfloat16)
    return model
