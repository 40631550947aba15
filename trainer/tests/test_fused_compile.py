"""The fused passes' kernels compile for a GPU (compute capability 9.0) that need not be there, as they are launched."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = """
from dataclasses import replace

import torch
import triton
from samples import ARCHITECTURE
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource

from mambascope_trainer.model.config import Mamba2Config
from mambascope_trainer.model.llama import Llama
from mambascope_trainer.speculative import cycle_kernels, mixer_kernels, product_kernels
from mambascope_trainer.speculative.cycle import Cycle
from mambascope_trainer.speculative.fused_model import FusedModel

SHORT = {torch.bfloat16: "*bf16", torch.float32: "*fp32", torch.int64: "*i64", torch.int32: "*i32"}
compiled = set()


class Compiled:
    "A kernel that is compiled for each of its launches instead of run."

    def __init__(self, kernel):
        self.kernel = kernel

    def __getitem__(self, grid):
        return self.launch

    def launch(self, *values, num_warps, num_stages, launch_pdl=False, **constants):
        names = self.kernel.arg_names
        general = {p.name for p in self.kernel.params if p.do_not_specialize}
        given = dict(zip([name for name in names if name not in constants], values, strict=True))
        constants.update({n: 1 for n, v in given.items() if type(v) is int and v == 1 and n not in general})
        signature, aligned = {}, {}
        for index, name in enumerate(names):
            value = given.get(name)
            if name in constants:
                signature[name] = "constexpr"
            elif isinstance(value, torch.Tensor):
                signature[name] = SHORT[value.dtype]
            else:
                signature[name] = "fp32" if isinstance(value, float) else "i32"
            apart = value.data_ptr() if isinstance(value, torch.Tensor) else value
            if name not in constants and name not in general and type(apart) is int and apart % 16 == 0:
                aligned[(index,)] = [["tt.divisibility", 16]]
        key = (self.kernel.fn.__name__, str(signature), str(sorted(constants.items(), key=str)), str(aligned))
        if key in compiled:
            return
        compiled.add(key)
        fixed = {(names.index(name),): value for name, value in constants.items()}
        options = {"num_warps": num_warps, "num_stages": num_stages, "launch_pdl": launch_pdl}
        source = ASTSource(self.kernel, signature, fixed, aligned)
        made = triton.compile(source, target=GPUTarget("cuda", 90, 32), options=options)
        assert ("griddepcontrol.wait" in made.asm["ptx"]) == launch_pdl
        assert ".local" not in made.asm["ptx"], "numbers that do not fit the registers"
        if "product" in key[0] or key[0] in ("gated_kernel", "head_kernel", "attention_kernel"):
            assert "mma.sync" in made.asm["ptx"], "products that are not the tensor cores'"


for module in (cycle_kernels, mixer_kernels, product_kernels):
    for name, kernel in list(vars(module).items()):
        if name.endswith("_kernel"):
            setattr(module, name, Compiled(kernel))


def model(layers, features=False):
    shape = {"hidden_size": 576, "intermediate_size": 1536, "num_attention_heads": 9, "num_key_value_heads": 3}
    arch = replace(ARCHITECTURE, **shape, head_dim=64, num_hidden_layers=len(layers), vocab_size=4096)
    made = Llama(arch, features)
    mamba = [index for index, name in enumerate(layers) if name == "mamba2"]
    made.add_mamba(mamba, Mamba2Config.like_attention(arch, form="discrete", conv_activation="identity", norm="none"))
    made.use(layers)
    for name, parameter in made.named_parameters():
        if parameter.dim() == 2 and "conv1d" not in name:
            parameter.data = parameter.data.to(torch.bfloat16)
    return made.requires_grad_(False)


hybrid, small = model(["attention", "mamba2"]), model(["mamba2"], features=True)
plain = Cycle(FusedModel(hybrid, 512, 1), None, 0)
plain.target.choose(plain.unverified, plain.position, "plain", plain.best)
plain.target.run(plain.unverified, plain.position, "plain")
plain.settle_greedy()
target = FusedModel(hybrid, 512, 5)
cycle = Cycle(target, FusedModel(small, 512, 5, torch.arange(512)), 4)
target.choose(cycle.unverified, cycle.position, "verify", cycle.best)
drafted, own = cycle.tokens[2:3], cycle.draft.hidden[None, 1:2]
cycle.draft.choose(cycle.pair, cycle.position, "open", drafted, -1, 0, cycle.features)
cycle.draft.choose(drafted[None], cycle.position, "step", cycle.tokens[3:4], 1, 2, own)
cycle.settle_greedy()
print("compiled", sorted({key[0] for key in compiled}))
"""
KERNELS = ["attention", "embed", "gated", "head", "mamba", "pick", "product", "rotary_product", "settle"]


def test_the_kernels_of_both_decoders_compile_ahead_of_time(tmp_path: Path) -> None:
    pytest.importorskip("triton", reason="needs Triton: pip install triton (it comes with PyTorch's CUDA builds)")
    environment = {**os.environ, "TRITON_INTERPRET": "0", "TRITON_CACHE_DIR": str(tmp_path)}
    environment["PYTHONPATH"] = os.pathsep.join([str(Path(__file__).parents[1]), str(Path(__file__).parent)])
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.stdout.strip() == f"compiled {[f'{name}_kernel' for name in KERNELS]}", done.stderr[-2000:]
