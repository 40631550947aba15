"""The run config: everything that a training run depends on, one JSON file."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator

from ..bundle.bundle import Bundle
from ..data.mixture import DataSource
from ..errors import MambascopeError
from .pipeline import expand, is_pipeline, stage_documents
from .rules import rules


class ConfigError(MambascopeError):
    """A run config that cannot be used; the message names each field."""

    def __init__(self, message: str, action: str = "Correct the config and start again.") -> None:
        super().__init__("config-invalid", message, action)


class Section(BaseModel):
    model_config = ConfigDict(extra="forbid")


def _each_once(layers: list[int]) -> list[int]:
    if len(set(layers)) < len(layers):
        raise ValueError("a layer is named twice")
    return sorted(layers)


Layers = Annotated[list[Annotated[int, Field(ge=0)]], AfterValidator(_each_once)]


class DataConfig(Section):
    train: str | Annotated[list[DataSource], Field(min_length=1)] = Field(
        description="Folder with token rows (made by generate, prepare or pack), or several with their shares; "
        "dpo: a file of preference pairs"
    )
    evaluation: str | None = Field(
        default=None, description="Folder with held-out token rows (dpo: a file of pairs); none: no evaluation"
    )
    seq_len: int = Field(
        default=1024, gt=1, description="Tokens a sequence: memory and the cost of attention grow with it"
    )


class OptimiserConfig(Section):
    steps: int = Field(gt=0, description="How many times the optimiser changes the weights")
    batch: int = Field(gt=0, description="Sequences a step, of all processes together")
    accumulate: int = Field(
        default=1, gt=0, description="Parts of a step's batch that are worked on in turn, to save memory"
    )
    name: Literal["adamw", "muon"] = Field(
        default="adamw", description="muon: Muon for the layers' projections, AdamW for the rest"
    )
    learning_rate: float = Field(gt=0, description="The highest, reached after the warm-up")
    adam_learning_rate: float | None = Field(
        default=None, gt=0, description="muon: AdamW's peak; none: that of Muon, whose steps have AdamW's size"
    )
    schedule: Literal["cosine", "wsd"] = Field(
        default="cosine", description="After the warm-up: cosine, or the peak and then a linear decay"
    )
    decay_fraction: float = Field(default=0.2, gt=0, le=1, description="wsd: share of the steps that decay")
    final_fraction: float = Field(
        default=0.05, ge=0, le=1, description="The last learning rate as a share of the highest"
    )
    warmup: int = Field(default=50, ge=0, description="Steps in which the rate rises from zero")
    weight_decay: float = Field(default=0.0, ge=0, description="Pull of matrices towards zero; vectors have none")
    beta2: float = Field(default=0.98, gt=0, lt=1, description="How slowly AdamW's mean of squared gradients forgets")
    momentum: float = Field(default=0.95, ge=0, lt=1, description="How slowly Muon's mean of gradients forgets")
    clip: float = Field(default=1.0, gt=0, description="Largest norm of the gradient; longer ones are shortened")


class MixerConfig(Section):
    options: dict[str, Any] = Field(
        default_factory=dict, description="Fields of the mamba2 config that differ from the defaults"
    )
    init: Literal["attention", "random"] = Field(
        default="attention",
        description="New mixers: x, B and C from attention's values, keys and queries, or all at random",
    )
    start_from: str | Annotated[list[str], Field(min_length=1)] | None = Field(
        default=None,
        description="Where trained mixers come from: a run directory, bundle:<family's folder>#<mixer set>, in a "
        'pipeline "previous", or a list of them, the first that has a layer; "init" at its end initialises the rest',
    )
    calibrate: Literal["fresh", "all", "none"] = Field(
        default="fresh",
        description="Scale out_proj to the length of attention's output on a first batch: of layers that start from "
        "no trained mixer, of all, of none (align and distill)",
    )
    codec: Literal["q4_0", "q8_0"] | None = Field(
        default=None, description="Round weights to this block format in every step: its export loses nothing more"
    )


class LossConfig(Section):
    alpha: float = Field(
        default=0.0,
        ge=0,
        description="How much the next token of the text itself counts (cross-entropy; on the teacher's text: SeqKD)",
    )
    ce_tokens: Literal["all", "answers"] = Field(
        default="all", description="CE of all tokens, or of those in the assistant's turns (and of rows that have none)"
    )
    beta: float = Field(
        default=1.0, ge=0, description="How much the distance to the teacher counts, KL(teacher || student)"
    )
    temperature: float = Field(default=1.0, gt=0, description="Softens both distributions of the KL; 1: as they are")


class MixturePattern(Section):
    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]*$", description="As measures call it: kl.<name>")
    layers: Layers = Field(min_length=1, description="Layers that it replaces")
    share: float = Field(default=1.0, gt=0, description="Of the steps with a named pattern, relative to the others")


class DpoConfig(Section):
    beta: float = Field(default=0.1, gt=0, description="How strongly the student is tied to the teacher, the reference")


class DraftConfig(Section):
    layers: int = Field(default=2, gt=0, description="The draft's own layers")
    mixer: Literal["mamba2", "attention"] = Field(default="mamba2", description="What mixes tokens in its layers")
    intermediate_size: int | None = Field(default=None, gt=0, description="Width of its MLPs; none: the teacher's")
    from_layers: list[Annotated[int, Field(ge=0)]] | None = Field(
        default=None, description="Teacher's layers that its layers start from; none: spread from the first to the last"
    )
    start_from: str | None = Field(
        default=None, description="A draft of the family, of the same shape, that it starts from instead of the teacher"
    )
    target: str = Field(default="teacher", description="The variant whose tokens it is to guess")
    features: bool = Field(
        default=False, description="It also reads the target's hidden states (EAGLE), and runs beside that target alone"
    )
    passes: int = Field(
        default=2,
        gt=0,
        description="features: passes a step, the last of which trains. Each but the first reads in some places the "
        "draft's own hidden states of the pass before, as decoding does; 1: true features alone",
    )
    own_run: int = Field(
        default=3,
        gt=0,
        description="features: the longest run of tokens that read the draft's own hidden states; a cycle of K drafts "
        "has K - 1",
    )
    feature_loss: float = Field(
        default=0.0, ge=0, description="features: how much the distance of hidden states to the target's counts"
    )


class ParallelConfig(Section):
    strategy: Literal["auto", "fsdp", "ddp", "none"] = Field(
        default="auto",
        description="Several processes: shards (FSDP2) or replicas; auto: replicas where they take little of a GPU",
    )


class CheckpointConfig(Section):
    sharded: bool | None = Field(
        default=None,
        description="A folder of shards, one a process, rather than a file; automatic: with several processes",
    )
    optimiser: bool = Field(
        default=True, description="Without it checkpoints are small, and a resume starts the optimiser anew"
    )
    keep: int = Field(default=2, gt=0, description="Newest checkpoints that are kept")


class SamplesConfig(Section):
    prompts: list[Annotated[str, Field(min_length=1)]] = Field(
        default_factory=list, description="User turns for chat models, openings for others; none: built in"
    )
    tokens: int = Field(default=64, gt=0, description="Tokens a sample")
    temperature: float = Field(default=0.0, ge=0, description="0: greedy")


class RunConfig(Section):
    name: str
    method: Literal["pretrain", "orient", "align", "distill", "dpo", "draft"] = Field(
        description="distill: the model learns the teacher's next-token distribution (Mamba in the Llama; MOHAWK's "
        "stage 3). align: each mixer learns its attention's output (stage 2). orient: each mixer learns attention's "
        "matrix (stage 1). dpo: preferences, the teacher as reference. draft: a small model for speculation. "
        "pretrain: a new teacher"
    )
    family: str = Field(description="The teacher: the name of a model's folder")
    bundle: list[str] = Field(min_length=1, description="Folders in which the family's folder is looked for")
    layers: Layers = Field(
        default_factory=list,
        description="Layers whose attention is replaced by Mamba-2; none with a mixture: all that it names",
    )
    layers_trained: Layers | None = Field(
        default=None, description="Replaced layers whose mixers train; none: all. The others stay as they start"
    )
    train: Literal["mixers", "mixers+norms", "mixers+mlp", "all"] = Field(
        default="mixers",
        description="What trains of the replaced layers: mixers alone, with their norms, with norms and MLPs; or all "
        "layers and the last norm. Embedding and LM head never do",
    )
    pattern: Literal["fixed", "random", "mixture"] = Field(
        default="fixed",
        description="Which layers are replaced in a step. fixed: all of them. random: a subset by chance, so that each "
        "can be swapped alone. mixture: one of several patterns, which one set of mixers is to serve",
    )
    full_probability: float = Field(
        default=0.5, ge=0, le=1, description="Share of the steps that replace all of them; the others a random subset"
    )
    mixture: list[MixturePattern] = Field(
        default_factory=list,
        description="The patterns, each with its name, the layers it replaces, and its share of the steps",
    )
    random_share: float = Field(
        default=0.0, ge=0, lt=1, description="Share of the steps with a random subset beside the named patterns"
    )
    architecture: dict[str, Any] | None = Field(
        default=None, description="Its shape in Hugging Face's names, as in a bundle's manifest"
    )
    mixer: MixerConfig = Field(default_factory=MixerConfig)
    loss: LossConfig = Field(default_factory=LossConfig)
    dpo: DpoConfig = Field(default_factory=DpoConfig)
    draft: DraftConfig | None = Field(default=None, description="The small model to train")
    data: DataConfig
    optimiser: OptimiserConfig
    seed: int = Field(default=0, description="Decides the order of the data, random starts and patterns")
    device: Literal["auto", "cpu", "cuda"] = Field(default="auto", description="auto: a GPU where there is one")
    compile: bool = Field(
        default=False,
        description="Compile the layers: about twice as fast on a GPU, after a minute or two at the start",
    )
    cuda_graph: Literal["auto", "off"] = Field(
        default="off",
        description="auto: where all steps do the same (align, or distill with a fixed pattern; compiled, on CUDA, "
        "parameters not sharded), one is captured and replayed, so that the processor never keeps the GPU waiting",
    )
    checkpoint_activations: Literal["none", "layers"] = Field(
        default="none", description="layers: keep only the layers' inputs, and run each layer again backward"
    )
    parallel: ParallelConfig = Field(default_factory=ParallelConfig)
    checkpoint: CheckpointConfig = Field(default_factory=CheckpointConfig)
    samples: SamplesConfig = Field(default_factory=SamplesConfig)
    log_every: int = Field(
        default=10, gt=0, description="Steps between lines of losses and rates, means over these steps"
    )
    eval_every: int = Field(default=200, gt=0, description="Steps between evaluations on the held-out data")
    eval_batches: int = Field(default=8, gt=0, description="Batches of held-out data an evaluation; the same each time")
    checkpoint_every: int = Field(
        default=500, gt=0, description="Steps between checkpoints: what a crash can cost. A stop makes one too"
    )
    sample_every: int = Field(default=0, ge=0, description="Steps between samples of the student's text; 0: none")

    @model_validator(mode="after")
    def _consistent(self) -> RunConfig:
        if not self.layers and self.mixture:
            self.layers = sorted({i for pattern in self.mixture for i in pattern.layers})
        problems = [message for wrong, message in rules(self) if wrong]
        if problems:
            raise ValueError("\n  ".join(problems))
        return self


def invalid_fields(error: ValidationError, prefix: str = "") -> str:
    """One line a wrong field: its path and what is wrong with it."""
    lines = []
    for e in error.errors():
        path, message = ".".join(map(str, e["loc"])), e["msg"].removeprefix("Value error, ")
        lines.append(f"  {prefix}{path}: {message}" if path else f"  {message}")
    return "\n".join(lines)


def read_config(path: Path) -> RunConfig:
    """Parse and validate a config file; of a pipeline, its last stage's. Raises ConfigError naming each wrong field."""
    return read_plan(path).stages[-1].config


@dataclass(frozen=True)
class PlannedStage:
    """One stage of a run. name: None if the run is not a pipeline; steps_before: those of the stages before it."""

    index: int
    name: str | None
    config: RunConfig
    steps_before: int = 0
    tokens_before: int = 0

    @property
    def steps(self) -> int:
        """Steps of the run up to the end of this stage."""
        return self.steps_before + self.config.optimiser.steps


@dataclass(frozen=True)
class Plan:
    """All stages of a run, one or more, and the document that says them in full."""

    document: dict[str, Any]
    stages: list[PlannedStage]

    @classmethod
    def of(cls, config: RunConfig) -> Plan:
        """A run of one stage."""
        return cls(config.model_dump(), [PlannedStage(0, None, config)])

    @property
    def name(self) -> str:
        return self.stages[0].config.name

    @property
    def steps(self) -> int:
        return self.stages[-1].steps


def read_plan(path: Path, steps: int | None = None) -> Plan:
    """Parse and validate the file of a run, a pipeline or not; `steps` replaces those of every stage.

    Raises ConfigError naming each wrong field.
    """
    try:
        document = json.loads(path.read_text())
    except FileNotFoundError:
        raise ConfigError(f"{path}: no such file") from None
    except json.JSONDecodeError as error:
        raise ConfigError(f"{path}: not JSON ({error})") from None
    if not is_pipeline(document):
        config = _validated(path, document, "the run config")
        if steps is not None:
            config.optimiser.steps = steps
        return Plan.of(config)
    try:
        document = expand(document, lambda: _layer_count(document))
    except ValidationError as error:
        raise ConfigError(f"{path}: the pipeline is not valid:\n{invalid_fields(error, 'stepwise.')}") from None
    except ValueError as error:
        raise ConfigError(f"{path}: {error}") from None
    stages: list[PlannedStage] = []
    before = tokens = 0
    for index, (name, fields) in enumerate(stage_documents(document)):
        config = _validated(path, fields, f"stage {name}")
        if steps is not None:
            config.optimiser.steps = steps
        stages.append(PlannedStage(index, name, config, before, tokens))
        before = stages[-1].steps
        tokens += config.optimiser.steps * config.optimiser.batch * config.data.seq_len
    options = stages[0].config.mixer.options
    other = next((s for s in stages if s.config.mixer.options != options), None)
    if other is not None:
        raise ConfigError(f"{path}: stage {other.name}: mixer.options: all stages must have the same")
    wrong = next((s for s in stages if s.config.method in ("pretrain", "draft")), None)
    if wrong is not None:
        raise ConfigError(f"{path}: stage {wrong.name}: {wrong.config.method} is a run of its own")
    return Plan(document, stages)


def _validated(path: Path, document: Any, what: str) -> RunConfig:
    try:
        return RunConfig.model_validate(document)
    except ValidationError as error:
        raise ConfigError(f"{path}: {what} is not valid:\n{invalid_fields(error)}") from None


def _layer_count(document: dict[str, Any]) -> int:
    """The teacher's layers, from its bundle's manifest."""
    family, roots = document.get("family"), document.get("bundle")
    if not isinstance(family, str) or not isinstance(roots, list) or not roots:
        raise ValueError("family, bundle: stepwise reads the teacher's number of layers there")
    try:
        return Bundle.open([Path(str(root)) / family for root in roots]).manifest.architecture.num_hidden_layers
    except MambascopeError as error:
        raise ValueError(f"bundle: {error.message}") from None
