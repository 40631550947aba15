"""The run config: everything that a training run depends on, one JSON file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from ..data.mixture import DataSource
from ..errors import MambascopeError


class ConfigError(MambascopeError):
    """A run config that cannot be used; the message names each field."""

    def __init__(self, message: str, action: str = "Correct the config and start again.") -> None:
        super().__init__("config-invalid", message, action)


class Section(BaseModel):
    model_config = ConfigDict(extra="forbid")


class DataConfig(Section):
    train: str | Annotated[list[DataSource], Field(min_length=1)] = Field(
        description="Data folder with rows-*.npy, or several with their shares"
    )
    evaluation: str | None = Field(default=None, description="Held-out data folder; none: no evaluation")
    seq_len: int = Field(default=1024, gt=1, description="Tokens a sequence")


class OptimiserConfig(Section):
    steps: int = Field(gt=0, description="Optimiser steps")
    batch: int = Field(gt=0, description="Sequences a step")
    accumulate: int = Field(default=1, gt=0, description="Micro-batches a step; batch must be a multiple")
    name: Literal["adamw", "muon"] = Field(
        default="adamw", description="muon: Muon for the layers' projections, AdamW for the rest"
    )
    learning_rate: float = Field(gt=0, description="Peak")
    adam_learning_rate: float | None = Field(
        default=None, gt=0, description="muon: AdamW's peak; none: that of Muon, whose steps have AdamW's size"
    )
    schedule: Literal["cosine", "wsd"] = Field(
        default="cosine", description="After the warm-up: cosine, or the peak and then a linear decay"
    )
    decay_fraction: float = Field(default=0.2, gt=0, le=1, description="wsd: share of the steps that decay")
    final_fraction: float = Field(default=0.05, ge=0, le=1, description="Last learning rate over the peak")
    warmup: int = Field(default=50, ge=0, description="Linear warm-up, steps")
    weight_decay: float = Field(default=0.0, ge=0, description="Of matrices; vectors have none")
    beta2: float = Field(default=0.98, gt=0, lt=1, description="AdamW")
    momentum: float = Field(default=0.95, ge=0, lt=1, description="Muon")
    clip: float = Field(default=1.0, gt=0, description="Largest gradient norm")


class MixerConfig(Section):
    options: dict[str, Any] = Field(
        default_factory=dict, description="Fields of the mamba2 config that differ from the defaults"
    )
    init: Literal["attention", "random"] = "attention"
    start_from: str | None = Field(default=None, description="A run directory whose last mixers to start from")
    codec: Literal["q4_0", "q8_0"] | None = Field(default=None, description="Train through this block codec")


class LossConfig(Section):
    alpha: float = Field(default=0.0, ge=0, description="Weight of CE on the teacher's text")
    beta: float = Field(default=1.0, ge=0, description="Weight of KL(teacher || student)")
    temperature: float = Field(default=1.0, gt=0)


class DraftConfig(Section):
    layers: int = Field(default=2, gt=0, description="The draft's own layers")
    mixer: Literal["mamba2", "attention"] = "mamba2"
    intermediate_size: int | None = Field(default=None, gt=0, description="Width of its MLPs; none: the teacher's")
    from_layers: list[Annotated[int, Field(ge=0)]] | None = Field(
        default=None, description="Teacher's layers that its layers start from; none: spread from the first to the last"
    )
    target: str = Field(default="teacher", description="The variant whose tokens it is to guess")


class ParallelConfig(Section):
    strategy: Literal["auto", "fsdp", "ddp", "none"] = Field(
        default="auto",
        description="Several processes: shards (FSDP2) or replicas; auto: replicas where they take little of a GPU",
    )


class CheckpointConfig(Section):
    sharded: bool | None = Field(
        default=None, description="A folder of shards, one a process, rather than a file; none: with several processes"
    )
    optimiser: bool = Field(default=True, description="False: small checkpoints, whose resume is not exact")
    keep: int = Field(default=2, gt=0, description="Newest checkpoints that are kept")


class SamplesConfig(Section):
    prompts: list[Annotated[str, Field(min_length=1)]] = Field(
        default_factory=list, description="User turns for chat models, openings for others; none: built in"
    )
    tokens: int = Field(default=64, gt=0, description="Tokens a sample")
    temperature: float = Field(default=0.0, ge=0, description="0: greedy")


class RunConfig(Section):
    name: str
    method: Literal["pretrain", "align", "distill", "draft"]
    family: str
    bundle: list[str] = Field(min_length=1, description="Roots in which the family's folder is looked for")
    layers: list[Annotated[int, Field(ge=0)]] = Field(
        default_factory=list, description="Layers that get a Mamba-2 mixer"
    )
    pattern: Literal["fixed", "random"] = Field(
        default="fixed", description="distill: all `layers` replaced, or a random subset of them each step"
    )
    full_probability: float = Field(
        default=0.5, ge=0, le=1, description="pattern=random: share of steps with all of `layers` replaced"
    )
    architecture: dict[str, Any] | None = Field(default=None, description="pretrain: the shape of the new model")
    mixer: MixerConfig = Field(default_factory=MixerConfig)
    loss: LossConfig = Field(default_factory=LossConfig)
    draft: DraftConfig | None = Field(default=None, description="draft: the small model to train")
    data: DataConfig
    optimiser: OptimiserConfig
    seed: int = 0
    device: Literal["auto", "cpu", "cuda"] = "auto"
    compile: bool = False
    checkpoint_activations: Literal["none", "layers"] = Field(
        default="none", description="layers: keep only the layers' inputs, and run each layer again backward"
    )
    parallel: ParallelConfig = Field(default_factory=ParallelConfig)
    checkpoint: CheckpointConfig = Field(default_factory=CheckpointConfig)
    samples: SamplesConfig = Field(default_factory=SamplesConfig)
    log_every: int = Field(default=10, gt=0)
    eval_every: int = Field(default=200, gt=0)
    eval_batches: int = Field(default=8, gt=0)
    checkpoint_every: int = Field(default=500, gt=0)
    sample_every: int = Field(default=0, ge=0, description="Steps between samples of the student's text; 0: none")

    @field_validator("layers")
    @classmethod
    def _each_once(cls, layers: list[int]) -> list[int]:
        if len(set(layers)) < len(layers):
            raise ValueError("a layer is named twice")
        return sorted(layers)


def invalid_fields(error: ValidationError, prefix: str = "") -> str:
    """One line a wrong field: its path and what is wrong with it."""
    return "\n".join(f"  {prefix}{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors())


def read_config(path: Path) -> RunConfig:
    """Parse and validate a config file. Raises ConfigError naming each wrong field."""
    try:
        config = RunConfig.model_validate(json.loads(path.read_text()))
    except FileNotFoundError:
        raise ConfigError(f"{path}: no such file") from None
    except json.JSONDecodeError as error:
        raise ConfigError(f"{path}: not JSON ({error})") from None
    except ValidationError as error:
        raise ConfigError(f"{path}: the run config is not valid:\n{invalid_fields(error)}") from None
    if config.optimiser.batch % config.optimiser.accumulate:
        raise ConfigError(f"{path}: optimiser.batch must be a multiple of optimiser.accumulate")
    if config.method == "draft":
        if config.draft is None:
            raise ConfigError(f"{path}: draft: a draft run needs this section")
        if config.layers:
            raise ConfigError(f"{path}: layers: a draft has none of the teacher's layers; see draft.from_layers")
    elif config.method != "pretrain" and not config.layers:
        raise ConfigError(f"{path}: layers: name at least one layer to replace")
    if config.method == "pretrain" and config.architecture is None:
        raise ConfigError(f"{path}: architecture: pretrain needs the shape of the new model")
    return config
