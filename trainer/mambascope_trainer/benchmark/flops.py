"""FLOPs of a training step, counted from the shapes: what the method needs, not what an implementation spends.

A multiply-add counts as 2. Counted: projections, MLPs, LM head; attention's two products over the causal half; the scan
as its recurrence (state update and read-out, 2 N P multiply-adds a head and token). Not counted: norms, activations,
convolution, softmax, quantisation, optimiser, anything recomputed. The teacher's forward pass is counted. Backward:
the gradient of a layer's input costs its forward FLOPs again (twice for attention's products and the scan, which have
two operands), that of a weight as much again, for trained weights alone; nothing below the lowest replaced layer.
Layers that teacher and student share below it are counted once.
"""

from __future__ import annotations

from ..bundle.manifest import Architecture
from ..run.config import RunConfig

#: Dense bfloat16 peak without sparsity, TFLOP/s, by a part of the device's name (NVIDIA data sheets, SXM parts).
PEAK_TFLOPS = {"H100": 989.0, "H200": 989.0, "A100": 312.0}


def peak_tflops(device_name: str) -> float | None:
    """The device's dense bfloat16 peak, None where it is not known."""
    return next((peak for part, peak in PEAK_TFLOPS.items() if part in device_name), None)


def flops_per_token(config: RunConfig, arch: Architecture) -> float:
    """FLOPs a token of one training step of `align` or `distill`."""
    inner = arch.num_attention_heads * arch.head_dim
    grouped = arch.num_key_value_heads * arch.head_dim
    mlp = 2.0 * 3 * arch.hidden_size * arch.intermediate_size
    attention_weights = 2.0 * arch.hidden_size * (2 * inner + 2 * grouped)
    attention_products = 2.0 * 2 * inner * (config.data.seq_len + 1) / 2
    mixer_weights = 2.0 * arch.hidden_size * (3 * inner + 2 * grouped + arch.num_attention_heads)
    scan = 2.0 * 2 * inner * arch.head_dim
    head = 2.0 * arch.hidden_size * arch.vocab_size

    replaced, depth, first = len(config.layers), arch.num_hidden_layers, min(config.layers)
    teacher_layer = mlp + attention_weights + attention_products
    mixer_forward, mixer_backward = mixer_weights + scan, 2 * mixer_weights + 2 * scan
    if config.method == "align":
        # The input of a mixer is the teacher's: no gradient with respect to it.
        in_proj = 2.0 * arch.hidden_size * (2 * inner + 2 * grouped + arch.num_attention_heads)
        passes = (max(config.layers) + 1) * teacher_layer
        return passes + replaced * (mixer_forward + mixer_backward - in_proj)
    kept = depth - first - replaced
    forward = replaced * (mlp + mixer_forward) + kept * teacher_layer
    backward = replaced * (mlp + mixer_backward) + kept * (mlp + attention_weights + 2 * attention_products)
    return depth * teacher_layer + forward + backward + 3 * head
