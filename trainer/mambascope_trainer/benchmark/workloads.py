"""What is timed: a training stage on a model of random weights, set up as a run sets it up."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ..bundle.manifest import Architecture
from ..mixers.scan import Backend
from ..model.llama import Llama
from ..run.config import RunConfig
from ..stages.align import Align
from ..stages.base import Stage
from ..stages.distill import Distill
from ..stages.hybrid import add_student_mixers
from ..stages.pretrain import Pretrain

SMOLLM2_135M = Architecture(
    hidden_size=576,
    intermediate_size=1536,
    num_hidden_layers=30,
    num_attention_heads=9,
    num_key_value_heads=3,
    head_dim=64,
    vocab_size=49152,
    max_position_embeddings=8192,
    rms_norm_eps=1e-5,
    rope_theta=100000.0,
    tie_word_embeddings=True,
)
TINY = Architecture(
    hidden_size=64,
    intermediate_size=96,
    num_hidden_layers=4,
    num_attention_heads=4,
    num_key_value_heads=2,
    head_dim=16,
    vocab_size=320,
    max_position_embeddings=256,
    rms_norm_eps=1e-5,
    rope_theta=10000.0,
    tie_word_embeddings=True,
)


@dataclass(frozen=True)
class Workload:
    """A stage on one pattern: `method` "align" or "distill", the share of layers that hold a Mamba-2 mixer."""

    name: str
    method: str
    share: float

    def layers(self, count: int) -> list[int]:
        """The replaced layers of `count`: all, or the odd ones."""
        return list(range(count)) if self.share == 1 else list(range(1, count, 2))


WORKLOADS = {
    w.name: w
    for w in (
        Workload("align-all", "align", 1.0),
        Workload("align-half", "align", 0.5),
        Workload("distill-attn50", "distill", 0.5),
        Workload("distill-attn0", "distill", 1.0),
    )
}


def run_config(workload: Workload, arch: Architecture, batch: int, seq_len: int, compiled: bool) -> RunConfig:
    """The config of a run of this workload, with the mixer that ships (docs/shipped-models.md)."""
    return RunConfig.model_validate(
        {
            "name": workload.name,
            "method": workload.method,
            "family": "random",
            "bundle": ["random"],
            "layers": workload.layers(arch.num_hidden_layers),
            "mixer": {
                "options": {"form": "discrete", "conv_activation": "identity", "norm": "none"},
                "codec": "q4_0" if workload.method == "distill" else None,
            },
            "data": {"train": "random", "seq_len": seq_len},
            "optimiser": {"steps": 1, "batch": batch, "learning_rate": 1e-3},
            "compile": compiled,
        }
    )


def build(
    config: RunConfig, arch: Architecture, device: torch.device, backend: Backend
) -> tuple[Stage, list[nn.Parameter]]:
    """The stage on random weights, frozen parts in bfloat16 on CUDA; and the parameters that it trains."""
    torch.manual_seed(config.seed)
    torch.set_float32_matmul_precision("high")
    model = Llama(arch)
    Pretrain.initialise(model, config.seed)
    add_student_mixers(model, config)
    model.to(device)
    for index in config.layers:
        model.mamba(index).backend = backend
    if device.type == "cuda":
        model.freeze_dtype(torch.bfloat16)
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    if config.method == "align":
        return Align(model, config.layers, config.compile), trained
    if config.compile:
        model.compile_layers()
    return Distill(model, config), trained


def random_ids(arch: Architecture, batch: int, seq_len: int, device: torch.device) -> Tensor:
    """(batch, seq_len + 1) token ids."""
    return torch.randint(arch.vocab_size, (batch, seq_len + 1), device=device)
