"""A hybrid as an ONNX graph in transformers.js's names: one definition for whole prompts and single steps.

Inputs `input_ids`, `attention_mask`, `position_ids`, then a layer's `past_key_values.<i>.key|value` (b, G, S, P), or
`past_conv.<i>` (b, channels, kernel - 1) and `past_ssm.<i>` (b, H, N, P); outputs `logits` (b, T, V) and the layers'
`present…`. A model without attention has `past_key_values.0.key` (b, 1, S, 1) too, for its length alone.
Left-padded batches are exact: the mask covers cached tokens too, and a padded token leaves no trace.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import onnx
from torch import Tensor

from ..mixers.attention import rotary_table
from ..model.config import Mamba2Config
from ..model.llama import Llama
from .onnx_graph import CONTRIB, DType, OnnxGraph
from .onnx_linear import F32, Linear

BATCH, TOKENS, PAST, TOTAL = "batch_size", "sequence_length", "past_sequence_length", "total_sequence_length"
#: Added to the scores of padded keys.
_UNREADABLE: dict[DType, float] = {np.float32: -1e9, np.float16: -3e4}


def build_model(model: Llama, precision: str) -> onnx.ModelProto:
    """The graph of the model's active mixers; `precision` is f32, f16, q8 or q4. Mamba-2 states are always float32."""
    return _Builder(model, precision).build()


@dataclass(frozen=True)
class _Masks:
    """Names of what depends on the mask alone: shared by all layers, each made once."""

    present: str
    readable: str
    last_index: str
    total: str


class _Builder:
    def __init__(self, model: Llama, precision: str) -> None:
        self.model, self.arch = model, model.arch
        self.graph = OnnxGraph("mambascope")
        self.linear = Linear(self.graph, precision)
        self.dtype = self.linear.dtype

    def build(self) -> onnx.ModelProto:
        graph, arch = self.graph, self.arch
        ids = graph.input("input_ids", np.int64, [BATCH, TOKENS])
        graph.input("attention_mask", np.int64, [BATCH, TOTAL])
        graph.input("position_ids", np.int64, [BATCH, TOKENS])
        graph.output("logits", np.float32, [BATCH, TOKENS, arch.vocab_size])
        masks = self._masks()
        if "attention" not in self.model.pattern:
            self._length_cache(masks)
        embedding = _array(self.model.embed_tokens.weight)
        x = self.linear.rows(ids, "model.embed_tokens.weight", embedding, "embedded")
        for index, kind in enumerate(self.model.pattern):
            layer, prefix = self.model.layer(index), f"model.layers.{index}"
            u = self._norm(x, f"{prefix}.input_layernorm", layer.input_layernorm.weight)
            mixed = self._attention(index, u, masks) if kind == "attention" else self._mamba(index, u, masks)
            x = graph.node("Add", [x, mixed], f"{prefix}/mixed")
            u = self._norm(x, f"{prefix}.post_attention_layernorm", layer.post_attention_layernorm.weight)
            x = graph.node("Add", [x, self._mlp(index, u)], f"{prefix}/out")
        x = self._norm(x, "model.norm", self.model.norm.weight)
        name = "model.embed_tokens.weight" if arch.tie_word_embeddings else "lm_head.weight"
        logits = self.linear.head(x, name, _array(self.model.head_weight), "logits_raw")
        graph.node("Cast", [logits], "logits", to=onnx.TensorProto.FLOAT)
        return graph.model()

    def _masks(self) -> _Masks:
        graph = self.graph
        tokens = graph.node("Shape", ["input_ids"], "token_count", start=1, end=2)
        batch = graph.node("Shape", ["input_ids"], "batch", start=0, end=1)
        total = graph.node("Shape", ["attention_mask"], "total_long", start=1, end=2)
        real = graph.node("Cast", ["attention_mask"], "mask_float", to=onnx.TensorProto.FLOAT)
        one = graph.weight("one", np.float32(1))

        begin = graph.node("Neg", [tokens], "tokens_negated")
        ends, axes = graph.integers(np.iinfo(np.int64).max), graph.integers(1)
        own = graph.node("Slice", [real, begin, ends, axes], "mask_of_tokens")
        present = graph.node("Unsqueeze", [own, graph.integers(2)], "present_mask")

        missing = graph.node("Sub", [real, one], "mask_missing")
        penalty = graph.weight("unreadable", np.float32(-_UNREADABLE[self.dtype]))
        bias = self._activations(graph.node("Mul", [missing, penalty], "mask_penalty"), "mask_bias")
        wide = graph.node("Unsqueeze", [bias, graph.integers(1, 2)], "mask_bias_wide")
        shape = graph.node("Concat", [batch, graph.integers(1), tokens, total], "bias_shape", axis=0)
        readable = graph.node("Expand", [wide, shape], "attention_bias")

        total_int = graph.node("Cast", [total], "total_int", to=onnx.TensorProto.INT32)
        scalar = graph.node("Squeeze", [total_int], "total")
        before = graph.node("Sub", [total_int, graph.weight("one_int", [1], np.int32)], "last_index_one")
        return _Masks(present, readable, graph.node("Expand", [before, batch], "last_index"), scalar)

    def _length_cache(self, masks: _Masks) -> None:
        """A cache of zeros, one number a token, where no layer has keys: transformers.js reads the length from one."""
        graph, name = self.graph, "0.key"
        past = graph.input(f"past_key_values.{name}", np.float32, (BATCH, 1, PAST, 1))
        zeros = graph.node("Mul", [masks.present, graph.weight("zero", np.float32(0))], "length_zeros")
        added = graph.node("Unsqueeze", [zeros, graph.integers(1)], "length_added")
        graph.output(f"present.{name}", np.float32, (BATCH, 1, TOTAL, 1))
        graph.node("Concat", [past, added], f"present.{name}", axis=2)

    def _attention(self, index: int, u: str, masks: _Masks) -> str:
        graph, arch, prefix = self.graph, self.arch, f"model.layers.{index}.self_attn"
        layer = self.model.layer(index).self_attn
        assert layer is not None
        stacked = np.concatenate([_array(item.weight) for item in (layer.q_proj, layer.k_proj, layer.v_proj)])
        packed = self.linear.product(u, f"{prefix}.qkv_proj.weight", stacked, f"{prefix}/qkv")
        heads, groups, width = arch.num_attention_heads, arch.num_key_value_heads, arch.head_dim
        sizes = graph.integers(heads * width, groups * width, groups * width)
        graph.node("Split", [packed, sizes], [f"{prefix}/{name}" for name in "qkv"], axis=-1)
        q, k = self._rotary(f"{prefix}/q"), self._rotary(f"{prefix}/k")
        past, present = [], []
        for kind in ("key", "value"):
            before, after = (BATCH, groups, PAST, width), (BATCH, groups, TOTAL, width)
            past.append(graph.input(f"past_key_values.{index}.{kind}", self.dtype, before))
            present.append(graph.output(f"present.{index}.{kind}", self.dtype, after))
        inputs = [q, k, f"{prefix}/v", *past, masks.last_index, masks.total, "", "", "", masks.readable]
        attributes = {"num_heads": heads, "kv_num_heads": groups, "scale": width**-0.5}
        graph.node("GroupQueryAttention", inputs, [f"{prefix}/read", *present], CONTRIB, **attributes)
        return self.linear.product(
            f"{prefix}/read", f"{prefix}.o_proj.weight", _array(layer.o_proj.weight), f"{prefix}/out"
        )

    def _rotary(self, x: str) -> str:
        names = ("rotary.cosine", "rotary.sine")
        if not self.graph.has(names[0]):
            half = self.arch.head_dim // 2
            for name, table in zip(names, rotary_table(self.arch, self.arch.max_position_embeddings), strict=True):
                self.graph.weight(name, table[:, :half].numpy(), self.dtype)
        return self.graph.node("RotaryEmbedding", [x, "position_ids", *names], f"{x}_turned", CONTRIB)

    def _mamba(self, index: int, u: str, masks: _Masks) -> str:
        graph, mamba = self.graph, self.model.mamba(index)
        config, prefix = mamba.config, f"model.layers.{index}.mamba"
        heads, groups, width, size = config.num_heads, config.num_kv_heads, config.head_dim, config.state_size

        def at(name: str) -> str:
            return f"{prefix}/{name}"

        rows = self.linear.product(u, f"{prefix}.in_proj.weight", _array(mamba.in_proj.weight), at("rows"))
        # The recurrence and its inputs are float32 in every precision.
        rows = self._float(rows, at("rows_float"))
        gates = [config.inner_size] if config.gate else []
        names = [at(name) for name in (["z"] if config.gate else []) + ["inputs", "dt"]]
        graph.node("Split", [rows, graph.integers(*gates, config.conv_size, heads)], names, axis=-1)
        inputs = graph.node("Mul", [at("inputs"), masks.present], at("inputs_present"))
        mixed = self._convolution(index, config, inputs)
        sizes = graph.integers(groups * width, groups * size, heads * size)
        graph.node("Split", [mixed, sizes], [at("x"), at("B"), at("C")], axis=-1)

        # Head h reads group h // (H / G), so heads of one group lie side by side: (b, T, G, H/G, P).
        share = heads // groups
        x = graph.node("Reshape", [at("x"), graph.integers(0, 0, groups, 1, width)], at("x_grouped"))
        biased = graph.node("Add", [at("dt"), self._vector(f"{prefix}.dt_bias", mamba.dt_bias)], at("dt_biased"))
        step = graph.node("Softplus", [biased], at("step_any"))
        step = graph.node("Mul", [step, masks.present], at("step"))
        if config.form == "ssd":
            rate = graph.weight(f"{prefix}.A", -np.exp(_array(mamba.A_log)))
            decay = graph.node("Mul", [step, rate], at("decay"))
            scale = graph.node("Reshape", [step, graph.integers(0, 0, groups, share, 1)], at("step_grouped"))
            value = graph.node("Mul", [x, scale], at("value_grouped"))
        else:
            decay = graph.node("Neg", [step], at("decay"))
            spread = graph.node("Expand", [x, graph.integers(1, 1, groups, share, width)], at("value_any"))
            mask = graph.node("Unsqueeze", [masks.present, graph.integers(3, 4)], at("present"))
            value = graph.node("Mul", [spread, mask], at("value_grouped"))
        value = graph.node("Reshape", [value, graph.integers(0, 0, -1)], at("value"))
        state = graph.input(f"past_ssm.{index}", np.float32, [BATCH, heads, size, width])
        after = graph.output(f"present_ssm.{index}", np.float32, [BATCH, heads, size, width])
        graph.node(
            "LinearAttention",
            [at("C"), at("B"), value, state, decay],
            [at("read"), after],
            CONTRIB,
            q_num_heads=heads,
            kv_num_heads=heads,
            update_rule="gated",
            scale=1.0,
        )
        skip = graph.weight(f"{prefix}.D", _array(mamba.D).reshape(groups, share, 1))
        skipped = graph.node("Mul", [x, skip], at("skip_grouped"))
        skipped = graph.node("Reshape", [skipped, graph.integers(0, 0, -1)], at("skip"))
        y = graph.node("Add", [at("read"), skipped], at("y"))
        if config.gate:
            y = graph.node("Mul", [y, self._silu(at("z"), at("gate"))], at("gated"))
        if config.norm == "rms":
            y = self._group_norm(prefix, config, y, mamba.norm.weight)
        y = self._activations(y, at("y_out"))
        return self.linear.product(y, f"{prefix}.out_proj.weight", _array(mamba.out_proj.weight), at("out"))

    def _convolution(self, index: int, config: Mamba2Config, x: str) -> str:
        """Inputs (b, T, channels) to x, B, C; also declares the state `past_conv.<index>`, if there is one."""
        graph, prefix = self.graph, f"model.layers.{index}.mamba"
        active = config.conv_activation == "silu"
        if not config.conv_kernel:
            return self._silu(x, f"{prefix}/mixed") if active else x
        mamba, shape = self.model.mamba(index), (BATCH, config.conv_size, config.conv_kernel - 1)
        state = graph.input(f"past_conv.{index}", np.float32, shape)
        after = graph.output(f"present_conv.{index}", np.float32, shape)
        taps = graph.weight(f"{prefix}.conv1d.weight", _array(mamba.conv1d.weight)[:, None])
        bias = self._vector(f"{prefix}.conv1d.bias", mamba.conv1d.bias)
        channels_first = graph.node("Transpose", [x], f"{prefix}/inputs_channels_first", perm=[0, 2, 1])
        graph.node(
            "CausalConvWithState",
            [channels_first, taps, bias, state],
            [f"{prefix}/convolved", after],
            CONTRIB,
            activation="silu" if active else "none",
        )
        return graph.node("Transpose", [f"{prefix}/convolved"], f"{prefix}/mixed", perm=[0, 2, 1])

    def _group_norm(self, prefix: str, config: Mamba2Config, y: str, weight: Tensor) -> str:
        graph, count = self.graph, config.norm_groups
        width = config.inner_size // count
        ones = graph.weight(f"ones_{width}", np.ones(width))
        split = graph.node("Reshape", [y, graph.integers(0, 0, count, width)], f"{prefix}/groups")
        normed = self._simple_norm(split, ones, config.norm_eps, f"{prefix}/groups_normed")
        joined = graph.node("Reshape", [normed, graph.integers(0, 0, -1)], f"{prefix}/groups_joined")
        return graph.node("Mul", [joined, self._vector(f"{prefix}.norm.weight", weight)], f"{prefix}/normed")

    def _mlp(self, index: int, u: str) -> str:
        graph, mlp, prefix = self.graph, self.model.layer(index).mlp, f"model.layers.{index}.mlp"
        stacked = np.concatenate([_array(mlp.gate_proj.weight), _array(mlp.up_proj.weight)])
        both = self.linear.product(u, f"{prefix}.gate_up_proj.weight", stacked, f"{prefix}/both")
        inner = self.arch.intermediate_size
        graph.node("Split", [both, graph.integers(inner, inner)], [f"{prefix}/gate", f"{prefix}/up"], axis=-1)
        gated = graph.node("Mul", [self._silu(f"{prefix}/gate", f"{prefix}/silu"), f"{prefix}/up"], f"{prefix}/gated")
        return self.linear.product(gated, f"{prefix}.down_proj.weight", _array(mlp.down_proj.weight), f"{prefix}/down")

    def _norm(self, x: str, name: str, weight: Tensor) -> str:
        scale = self.graph.weight(f"{name}.weight", _array(weight), self.dtype)
        return self._simple_norm(x, scale, self.arch.rms_norm_eps, f"{name}/normed")

    def _simple_norm(self, x: str, scale: str, eps: float, y: str) -> str:
        return self.graph.node("SimplifiedLayerNormalization", [x, scale], y, axis=-1, epsilon=eps, stash_type=1)

    def _silu(self, x: str, y: str) -> str:
        return self.graph.node("QuickGelu", [x], y, CONTRIB, alpha=1.0)

    def _vector(self, name: str, values: Tensor) -> str:
        return self.graph.weight(name, _array(values))

    def _float(self, x: str, y: str) -> str:
        return x if self.dtype is np.float32 else self.graph.node("Cast", [x], y, to=onnx.TensorProto.FLOAT)

    def _activations(self, x: str, y: str) -> str:
        return x if self.dtype is np.float32 else self.graph.node("Cast", [x], y, to=onnx.TensorProto.FLOAT16)


def _array(tensor: Tensor) -> F32:
    array: F32 = tensor.detach().float().cpu().numpy()
    return array
