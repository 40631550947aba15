"""FLOPs of a training step, counted from the shapes: what the method needs, not what an implementation spends.

A multiply-add counts as 2. Counted: projections, MLPs, LM head; attention's two products over the causal half; the scan
as its recurrence (state update and read-out, 2 N P multiply-adds a head and token). Not counted: norms, activations,
convolution, softmax, quantisation, optimiser, anything recomputed. The teacher's forward pass is counted. Backward:
the gradient of a layer's input costs its forward FLOPs again (twice for attention's products and the scan, which have
two operands), that of a weight as much again, for trained weights alone; nothing below the lowest replaced layer.
Layers that teacher and student share below it are counted once.
"""

from __future__ import annotations

from dataclasses import dataclass

from ..bundle.manifest import Architecture
from ..run.config import RunConfig

#: Dense bfloat16 peak without sparsity, TFLOP/s, by a part of the device's name (NVIDIA's data sheets, SXM parts).
PEAK_TFLOPS = {"H100": 989.0, "H200": 989.0, "A100": 312.0}


def peak_tflops(device_name: str) -> float | None:
    """The device's dense bfloat16 peak, None where it is not known."""
    return next((peak for part, peak in PEAK_TFLOPS.items() if part in device_name), None)


@dataclass(frozen=True)
class Flops:
    """FLOPs a token: of products with weights, of attention's products, of the scan."""

    weights: float = 0.0
    attention: float = 0.0
    scan: float = 0.0

    @property
    def total(self) -> float:
        return self.weights + self.attention + self.scan

    def __add__(self, other: Flops) -> Flops:
        return Flops(self.weights + other.weights, self.attention + other.attention, self.scan + other.scan)

    def __mul__(self, count: float) -> Flops:
        return Flops(self.weights * count, self.attention * count, self.scan * count)


def step_flops(config: RunConfig, arch: Architecture) -> Flops:
    """FLOPs a token of one training step of `align` or `distill`."""
    inner = arch.num_attention_heads * arch.head_dim
    grouped = arch.num_key_value_heads * arch.head_dim
    mlp = Flops(2.0 * 3 * arch.hidden_size * arch.intermediate_size)
    projections = Flops(2.0 * arch.hidden_size * (2 * inner + 2 * grouped))
    products = Flops(attention=2.0 * 2 * inner * (config.data.seq_len + 1) / 2)
    in_proj = Flops(2.0 * arch.hidden_size * (2 * inner + 2 * grouped + arch.num_attention_heads))
    out_proj = Flops(2.0 * arch.hidden_size * inner)
    scan = Flops(scan=2.0 * 2 * inner * arch.head_dim)
    head = Flops(2.0 * arch.hidden_size * arch.vocab_size)

    replaced, depth, first = len(config.layers), arch.num_hidden_layers, min(config.layers)
    attention_layer = mlp + projections + products
    mixer = in_proj + out_proj + scan
    mixer_backward = (mixer + scan) + in_proj + out_proj
    if config.method == "align":
        # The teacher's pass ends with the last mixer's target. A mixer's input is the teacher's: it has no gradient.
        teacher = attention_layer * max(config.layers) + projections + products
        alone = mixer + (out_proj + scan * 2) + in_proj + out_proj
        return teacher + alone * replaced
    kept = depth - first - replaced
    forward = (mlp + mixer) * replaced + attention_layer * kept
    backward = (mlp + mixer_backward) * replaced + (attention_layer + products) * kept
    frozen_input = in_proj * -1  # the lowest replaced layer's input needs no gradient
    return attention_layer * depth + forward + backward + frozen_input + head * 3
