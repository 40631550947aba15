"""Sample text from the teacher: a static KV cache, one batch, CUDA graphs a context bucket.

Sequence-level distillation (arXiv 2408.15237, section 3) wants the teacher's own text; it costs only GPU time and has
no licence but the model's. Rows are forced along their prompts and then sampled; in chats the turns' markers are forced
too, so that a row is a run of conversations of the length asked for.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from ..mixers.attention import Attention, rotate
from ..model.llama import Layer, Llama

BUCKET = 128
PREFILL_ROWS = 256
#: Divides the positive logits of penalised tokens that a row has sampled before (arXiv 1909.05858, section 4.1).
REPETITION_PENALTY = 1.15


@dataclass(frozen=True)
class TurnMarkers:
    """Tokens forced after an end-of-turn: to the other role, or to a fresh conversation."""

    end_of_turn: int
    to_assistant: list[int]
    to_user: list[int]
    to_new: list[int]
    new_conversation: float = 0.5


class TeacherSampler:
    """Samples rows of `length` tokens from an all-attention Llama. `batch` rows are decoded together.

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
        arch, weight = model.arch, model.embed_tokens.weight
        self.device = weight.device
        shape = (arch.num_hidden_layers, batch, arch.num_key_value_heads, length, arch.head_dim)
        self.keys = torch.zeros(shape, dtype=weight.dtype, device=self.device)
        self.values = torch.zeros_like(self.keys)
        self.rows = torch.zeros(batch, length + 1, dtype=torch.long, device=self.device)
        self.forced = torch.full_like(self.rows, -1)
        self.temperature = torch.ones(batch, 1, device=self.device)
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
            self.seen = torch.zeros(batch, arch.vocab_size, dtype=torch.bool, device=self.device)
        self.graphs: dict[int, torch.cuda.CUDAGraph] = {}
        torch.manual_seed(seed)

    def sample(self, prompts: list[list[int]], temperatures: list[float], stop: int | None = None) -> Tensor:
        """Rows (batch, length) of token ids. With `stop`, a row repeats that token once it has sampled it.

        Raises ValueError if there is not one prompt and temperature a row, a temperature is not positive, or a prompt
        is empty or as long as a row.
        """
        if len(prompts) != self.batch or len(temperatures) != self.batch:
            raise ValueError(f"expected {self.batch} prompts and temperatures")
        if not 0 < min(map(len, prompts)) <= max(map(len, prompts)) < self.length:
            raise ValueError(f"a prompt is empty, or as long as the rows ({self.length} tokens)")
        if min(temperatures) <= 0:
            raise ValueError("temperatures must be positive")
        forced = torch.full((self.batch, self.length + 1), -1, dtype=torch.long)
        for row, prompt in enumerate(prompts):
            forced[row, : len(prompt)] = torch.tensor(prompt)
        self.forced.copy_(forced)
        self.rows[:, 0] = self.forced[:, 0]
        self.temperature[:, 0] = torch.tensor(temperatures)
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
            for step in range(known, self.length - 1):
                self._run(min((step // BUCKET + 1) * BUCKET, self.length))
        return self.rows[:, : self.length].clone()

    def _prefill(self, known: int) -> None:
        """Fill the caches with the first `known` tokens of every prompt, some rows at a time."""
        self.rows[:, : known + 1] = self.forced[:, : known + 1]
        self.position.fill_(known)
        if known == 0:
            return
        rotary = self.model.rotary(0, known)
        for rows in torch.split(torch.arange(self.batch, device=self.device), PREFILL_ROWS):
            x = self.model.embed_tokens(self.rows[rows, :known])
            for index, layer in enumerate(self.model.layers):
                x, (keys, values) = layer(x, rotary)
                self.keys[index, rows, :, :known] = keys
                self.values[index, rows, :, :known] = values

    def _run(self, context: int) -> None:
        if self.device.type != "cuda":
            self._step(context)
            return
        if context not in self.graphs:
            # Warm up on a side stream without moving on, then capture.
            saved = [s.clone() for s in (self.position, self.role, self.marker, self.left, self.done, self.rows)]
            new_stream: Callable[[], torch.cuda.Stream] = torch.cuda.Stream
            stream = new_stream()
            stream.wait_stream(torch.cuda.current_stream())
            with torch.cuda.stream(stream):
                self._step(context)
            torch.cuda.current_stream().wait_stream(stream)
            graph = torch.cuda.CUDAGraph()
            with torch.cuda.graph(graph):
                self._step(context)
            for state, value in zip(
                (self.position, self.role, self.marker, self.left, self.done, self.rows), saved, strict=True
            ):
                state.copy_(value)
            self.graphs[context] = graph
        self.graphs[context].replay()

    def _step(self, context: int) -> None:
        """Feed the token at `position`, choose the one after it, move on."""
        current = self.rows.gather(1, self.position.expand(self.batch, 1))
        x = self.model.embed_tokens(current[:, 0])
        cos, sin = self.cos[self.position], self.sin[self.position]
        visible = torch.arange(context, device=self.device) <= self.position
        for index, layer in enumerate(self.model.layers):
            assert isinstance(layer, Layer)
            assert layer.self_attn is not None
            x = x + self._attend(layer.self_attn, index, layer.input_layernorm(x), cos, sin, visible)
            x = x + layer.mlp(layer.post_attention_layernorm(x))
        logits = F.linear(self.model.norm(x), self.model.head_weight).float() / self.temperature
        if self.seen is not None and self.penalised is not None:
            sampled = self.forced.gather(1, self.position.expand(self.batch, 1)) < 0  # not the prompt's
            self.seen.scatter_(1, current, sampled | self.seen.gather(1, current))
            lowered = torch.where(logits > 0, logits / REPETITION_PENALTY, logits * REPETITION_PENALTY)
            logits = torch.where(self.seen & self.penalised, lowered, logits)
        # Exponential race: argmax of p / Exp(1) draws from p.
        noise = torch.empty_like(logits).exponential_()
        probabilities = logits.softmax(dim=-1)
        if self.min_p:
            least = self.min_p * probabilities.amax(dim=-1, keepdim=True)
            probabilities = probabilities.where(probabilities >= least, 0.0)
        drawn = (probabilities / noise).argmax(dim=-1)
        token = self._next_token(current[:, 0], drawn)
        self.position += 1
        self.rows.scatter_(1, self.position.expand(self.batch, 1), token[:, None])

    def _attend(self, attention: Attention, index: int, u: Tensor, cos: Tensor, sin: Tensor, visible: Tensor) -> Tensor:
        """One token a row against the cache; grouped queries share the read of their keys."""
        groups, size = attention.groups, attention.head_dim
        q = rotate(attention.q_proj(u).view(self.batch, groups, -1, size), cos, sin)
        k = rotate(attention.k_proj(u).view(self.batch, groups, 1, size), cos, sin)
        v = attention.v_proj(u).view(self.batch, groups, 1, size)
        keys, values = self.keys[index], self.values[index]
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
