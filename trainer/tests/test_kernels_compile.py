"""The multi-step kernel compiles for a GPU (compute capability 9.0) that need not be there."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = """
import triton
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource
from mambascope_trainer.speculative.multistep_kernels import multistep_kernel as kernel

def build(short, N, P, WIDTH, GROUP, CACHED, KEEP_LAST):
    constants = dict(N=N, P=P, WIDTH=WIDTH, GROUP=GROUP, CACHED=CACHED, KEEP_LAST=KEEP_LAST)
    wide = {"STATE", "LAST", "OLD_DECAY", "DECAY"}
    signature = {
        name: "constexpr" if name in constants else "*i64" if name == "ACCEPTED" else "*fp32" if name in wide
        else "*" + short if name.isupper() else "i32"
        for name in kernel.arg_names
    }
    source = ASTSource(kernel, signature, {(kernel.arg_names.index(name),): v for name, v in constants.items()})
    made = triton.compile(source, target=GPUTarget("cuda", 90, 32), options={"num_warps": 4, "num_stages": 2})
    assert made.asm["cubin"]

for short in ("bf16", "fp32"):
    for size, head, width in ((64, 64, 32), (128, 128, 16)):  # SmolLM2's heads, the paper's 7B
        for group, cached, last in ((1, False, True), (4, True, True)):
            build(short, size, head, width, group, cached, last)
build("fp16", 128, 64, 16, 4, True, False)
print("compiled")
"""


def test_the_multistep_kernel_compiles_ahead_of_time(tmp_path: Path) -> None:
    pytest.importorskip("triton", reason="needs Triton: pip install triton (it comes with PyTorch's CUDA builds)")
    environment = {**os.environ, "TRITON_INTERPRET": "0", "TRITON_CACHE_DIR": str(tmp_path)}
    environment["PYTHONPATH"] = str(Path(__file__).parents[1])
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], env=environment, capture_output=True, text=True, check=False, timeout=120
    )
    assert done.stdout.strip() == "compiled", done.stderr[-2000:]
