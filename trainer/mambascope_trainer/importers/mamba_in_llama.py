"""Checkpoints of "The Mamba in the Llama" (arXiv 2408.15237) as its authors publish them, Mamba-2 form.

Layout (github.com/jxiw/MambaInLlama): the teacher's config.json, mamba_config.json, and one state dictionary in which a
layer has `mamba.*` in the place of `self_attn.*`. Rows of in_proj are z, x, B, C, dt, as here; C has a group a query
head, x and B a group a key/value head, repeated before or after the convolution.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from ..bundle.manifest import Architecture
from ..bundle.mixer_shapes import mamba2_tensor_shapes
from ..errors import MambascopeError
from ..model.config import Mamba2Config
from .hybrid import F32, ImportedSet, Shapes

MAMBA_CONFIG = "mamba_config.json"
_KERNEL: Final = 4


class SsmConfig(BaseModel):
    """`ssm_cfg`: what the authors' mixer is made with. Fields of initialisation and kernels change no result."""

    model_config = ConfigDict(extra="ignore")

    d_state: int = Field(default=128, gt=0)
    d_conv: int = Field(default=4, gt=0)
    ngroups: int = Field(default=1, gt=0)
    d_ssm: int | None = None
    D_has_hdim: bool = False
    rmsnorm: bool = True
    norm_before_gate: bool = False
    dt_limit: tuple[float, float] = (0.0, float("inf"))
    bias: bool = False


class MambaConfig(BaseModel):
    """mamba_config.json."""

    model_config = ConfigDict(extra="ignore")

    d_model: int = Field(gt=0)
    d_inner: int | None = Field(default=None, gt=0)
    d_xb: int = Field(gt=0)
    n_layer: int = Field(gt=0)
    attn_layers: list[int]
    ssm_cfg: SsmConfig = Field(default_factory=SsmConfig)
    intermediate_size: int | None = None


class MambaInLlama:
    """A checkpoint's mixers: which layers have them, their config here, and their tensors."""

    variant = "published"

    def __init__(self, config: MambaConfig, arch: Architecture, shapes: Shapes) -> None:
        """Raises `mixer-unsupported` saying which part cannot be expressed, or `hf-config` where the files disagree."""
        self._arch, self._ssm, self._attention = arch, config.ssm_cfg, config.attn_layers
        if config.n_layer != arch.num_hidden_layers or config.d_model != arch.hidden_size:
            raise _disagree("n_layer and d_model are not those of config.json")
        if not set(config.attn_layers) <= set(range(config.n_layer)):
            raise _disagree(f"attn_layers names layers beyond {config.n_layer - 1}")
        self.layers = [index for index in range(config.n_layer) if index not in set(config.attn_layers)]
        if not self.layers:
            raise _disagree("all layers are attention")
        self._check(config, shapes)
        size, heads = self._ssm.d_state, self._ssm.ngroups
        self._groups = config.d_xb // size
        # Repeated before it, x and B pass the convolution a query head each: a group of its own for each of them.
        channels = self._shape(shapes, self.layers[0], "conv1d.weight")[0]
        self._repeated = channels == 3 * heads * size
        self.config = Mamba2Config(
            form="ssd",
            num_heads=heads,
            num_kv_heads=heads if self._repeated else self._groups,
            head_dim=size,
            state_size=size,
            conv_kernel=_KERNEL,
            conv_activation="silu",
            gate=True,
            norm="rms" if self._ssm.rmsnorm else "none",
            norm_groups=heads if self._ssm.rmsnorm else 1,
        )
        for index in self.layers:
            self._check_layer(index, shapes)

    def _check(self, config: MambaConfig, shapes: Shapes) -> None:
        ssm = self._ssm
        if any(".mamba.in_proj_x." in name or ".mamba.x_proj." in name for name in shapes):
            raise _unsupported("its layers are Mamba-1 (in_proj_x), not Mamba-2")
        if ssm.d_conv > _KERNEL:
            raise _unsupported(f"its convolution has {ssm.d_conv} taps, more than {_KERNEL}")
        if ssm.D_has_hdim:
            raise _unsupported("D has a value a channel, not a head (D_has_hdim)")
        if ssm.norm_before_gate:
            raise _unsupported("its norm comes before the gate (norm_before_gate)")
        if ssm.dt_limit != (0.0, float("inf")):
            raise _unsupported(f"dt is limited to {list(ssm.dt_limit)}")
        if ssm.bias:
            raise _unsupported("its projections have biases")
        inner = config.d_inner if config.d_inner is not None else ssm.ngroups * ssm.d_state
        if inner != ssm.ngroups * ssm.d_state or ssm.d_ssm not in (None, inner):
            raise _unsupported(f"d_inner {inner} is not ngroups x d_state = {ssm.ngroups} x {ssm.d_state}")
        if config.d_xb % ssm.d_state or inner % config.d_xb:
            raise _unsupported(f"d_xb {config.d_xb} does not divide into heads of {ssm.d_state}")

    def _check_layer(self, index: int, shapes: Shapes) -> None:
        heads, size, groups, hidden = self._ssm.ngroups, self._ssm.d_state, self._groups, self._arch.hidden_size
        inner = heads * size
        channels = 3 * inner if self._repeated else inner + 2 * groups * size
        expected: dict[str, tuple[int, ...]] = {
            "in_proj.weight": (2 * inner + 2 * groups * size + heads, hidden),
            "out_proj.weight": (hidden, inner),
            "conv1d.weight": (channels, 1, self._ssm.d_conv),
            "dt_bias": (heads,),
            "A_log": (heads,),
            "D": (heads,),
            **({"norm.weight": (inner,)} if self._ssm.rmsnorm else {}),
        }
        for name, shape in expected.items():
            found = self._shape(shapes, index, name)
            if found != shape:
                raise _disagree(f"model.layers.{index}.mamba.{name} has the shape {list(found)}, not {list(shape)}")

    @staticmethod
    def _shape(shapes: Shapes, index: int, name: str) -> tuple[int, ...]:
        full = f"model.layers.{index}.mamba.{name}"
        if full not in shapes:
            raise _disagree(f"there is no tensor {full}")
        return shapes[full]

    def sets(self, read: Callable[[str], F32], shapes: Shapes) -> Iterator[ImportedSet]:
        """One set: all its mixers have the same config."""
        training = {"method": "The Mamba in the Llama", "attn_layers": sorted(self._attention)}
        yield ImportedSet(self.variant, self.config, self.layers, self._tensors(read, shapes), training)

    def _tensors(self, read: Callable[[str], F32], shapes: Shapes) -> dict[str, F32]:
        """The mixers' tensors in the layout of docs/contracts.md, section 3; the arithmetic stays the same."""
        tensors: dict[str, F32] = {}
        for index in self.layers:
            prefix = f"model.layers.{index}.mamba."
            bias = f"{prefix}conv1d.bias"
            taps = read(f"{prefix}conv1d.weight")[:, 0]
            own = {
                "in_proj.weight": self._in_proj(read(f"{prefix}in_proj.weight")),
                # Fewer taps are the last of four.
                "conv1d.weight": np.pad(taps, ((0, 0), (_KERNEL - taps.shape[1], 0))),
                "conv1d.bias": read(bias) if bias in shapes else np.zeros(taps.shape[0], np.float32),
            }
            for name in mamba2_tensor_shapes(self.config.model_dump(), self._arch.hidden_size, index):
                short = name.removeprefix(prefix)
                tensors[name] = own[short] if short in own else read(name)
        return tensors

    def _in_proj(self, rows: F32) -> F32:
        if not self._repeated:
            return rows
        size, heads = self._ssm.d_state, self._ssm.ngroups
        inner, shared = heads * size, self._groups * size
        z, x, b, rest = np.split(rows, np.cumsum([inner, shared, shared]))

        def repeat(part: F32) -> F32:
            return part.reshape(self._groups, size, -1).repeat(heads // self._groups, axis=0).reshape(inner, -1)

        return np.concatenate([z, repeat(x), repeat(b), rest])


def _unsupported(why: str) -> MambascopeError:
    return MambascopeError(
        "mixer-unsupported",
        f"The checkpoint's mixer cannot be expressed here: {why}.",
        "Choose one of the authors' Mamba-2 checkpoints with their default ssm_cfg.",
    )


def _disagree(why: str) -> MambascopeError:
    return MambascopeError(
        "hf-config", f"{MAMBA_CONFIG} does not fit the checkpoint: {why}.", "Download all its files."
    )
