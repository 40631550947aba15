"""config.json of a Llama-like Hugging Face model, checked: what the models here compute exactly, and nothing else."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from ..bundle.manifest import Architecture
from ..errors import MambascopeError

#: Model types whose forward pass is Llama's, given the checks below.
MODEL_TYPES = ("llama", "mistral")

Checked = TypeVar("Checked", bound=BaseModel)


class HuggingFaceConfig(BaseModel):
    """The fields that change the forward pass, and the special tokens; others are ignored."""

    model_config = ConfigDict(extra="ignore")

    model_type: str
    hidden_size: int = Field(gt=0)
    intermediate_size: int = Field(gt=0)
    num_hidden_layers: int = Field(gt=0)
    num_attention_heads: int = Field(gt=0)
    num_key_value_heads: int | None = Field(default=None, gt=0)
    head_dim: int | None = Field(default=None, gt=0)
    vocab_size: int = Field(gt=0)
    max_position_embeddings: int = Field(default=2048, gt=0)
    rms_norm_eps: float = Field(default=1e-6, gt=0)
    hidden_act: str = "silu"
    tie_word_embeddings: bool = False
    attention_bias: bool = False
    mlp_bias: bool = False
    sliding_window: int | None = None
    partial_rotary_factor: float = 1.0
    rope_theta: float | None = Field(default=None, gt=0)
    rope_scaling: dict[str, Any] | None = None
    rope_parameters: dict[str, Any] | None = None
    quantization_config: dict[str, Any] | None = None
    bos_token_id: int | None = None
    eos_token_id: int | list[int] | None = None
    pad_token_id: int | None = None

    @model_validator(mode="after")
    def _heads(self) -> HuggingFaceConfig:
        if self.num_attention_heads % (self.num_key_value_heads or self.num_attention_heads):
            raise ValueError("num_attention_heads must be a multiple of num_key_value_heads")
        if self.head_dim is None and self.hidden_size % self.num_attention_heads:
            raise ValueError("without head_dim, hidden_size must be a multiple of num_attention_heads")
        return self

    def architecture(self, attention: bool = True) -> Architecture:
        """The model's shape. Raises `hf-unsupported`, saying what the models here do not compute.

        attention: False if no layer has attention, so that its rotary embedding and window do not matter.
        """
        if self.model_type not in MODEL_TYPES:
            raise unsupported(f"its model type is {self.model_type!r}, not {' or '.join(MODEL_TYPES)}")
        if self.quantization_config is not None:
            raise unsupported("its weights are quantised", "Use the checkpoint that it was quantised from.")
        for name in ("attention_bias", "mlp_bias"):
            if getattr(self, name):
                raise unsupported(f"its projections have biases ({name})")
        if self.hidden_act != "silu":
            raise unsupported(f"its MLP's activation is {self.hidden_act!r}, not 'silu'")
        window = self.sliding_window if self.model_type == "mistral" and attention else None
        if window is not None and window < self.max_position_embeddings:
            raise unsupported(
                f"its attention sees a sliding window of {window} tokens",
                f'Texts within the window are exact if config.json says "max_position_embeddings": {window}.',
            )
        head_dim = self.head_dim or self.hidden_size // self.num_attention_heads
        if head_dim % 2:
            raise unsupported(f"its head_dim {head_dim} is odd")
        return Architecture(
            hidden_size=self.hidden_size,
            intermediate_size=self.intermediate_size,
            num_hidden_layers=self.num_hidden_layers,
            num_attention_heads=self.num_attention_heads,
            num_key_value_heads=self.num_key_value_heads or self.num_attention_heads,
            head_dim=head_dim,
            vocab_size=self.vocab_size,
            max_position_embeddings=self.max_position_embeddings,
            rms_norm_eps=self.rms_norm_eps,
            rope_theta=self._rope_theta() if attention else 10000.0,
            tie_word_embeddings=self.tie_word_embeddings,
        )

    def _rope_theta(self) -> float:
        rope = {**(self.rope_scaling or {}), **(self.rope_parameters or {})}
        kind = rope.get("rope_type", rope.get("type", "default"))
        if kind != "default":
            raise unsupported(
                f"it scales its rotary embedding ({kind})",
                "Choose a model without rope_scaling, such as Llama 3 or SmolLM2.",
            )
        if rope.get("partial_rotary_factor", self.partial_rotary_factor) != 1:
            raise unsupported("it rotates only a part of each head")
        theta = rope.get("rope_theta", self.rope_theta if self.rope_theta is not None else 10000.0)
        if not isinstance(theta, int | float) or theta <= 0:
            raise unsupported(f"its rope_theta is {theta!r}")
        return float(theta)


class GenerationConfig(BaseModel):
    """The special tokens of generation_config.json."""

    model_config = ConfigDict(extra="ignore")

    bos_token_id: int | None = None
    eos_token_id: int | list[int] | None = None
    pad_token_id: int | None = None


def read_json(path: Path) -> Any:
    """A JSON file's content. Raises `hf-config`."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise _wrong(f"There is no {path}") from None
    except ValueError as error:
        raise _wrong(f"{path.name} is not JSON ({error})") from None


def read_model(path: Path, model: type[Checked]) -> Checked:
    """A JSON file as a checked object. Raises `hf-config` naming each wrong field."""
    return check_model(path.name, read_json(path), model)


def check_model(name: str, document: Any, model: type[Checked]) -> Checked:
    """The content of the file `name` as a checked object. Raises `hf-config` naming each wrong field."""
    try:
        return model.model_validate(document)
    except ValidationError as error:
        faults = "; ".join(f"{'.'.join(map(str, item['loc']))}: {item['msg']}" for item in error.errors())
        raise _wrong(f"{name} cannot be used: {faults}") from None


def _wrong(why: str) -> MambascopeError:
    return MambascopeError("hf-config", f"{why}.", "Name a folder that save_pretrained wrote, or correct the file.")


def unsupported(why: str, action: str = "Choose a plain Llama, such as SmolLM2 or TinyLlama.") -> MambascopeError:
    return MambascopeError("hf-unsupported", f"The model cannot be imported: {why}.", action)
