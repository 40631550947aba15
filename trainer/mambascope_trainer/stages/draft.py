"""Distillation of a draft for speculative decoding: a few layers learn the target's next-token distribution.

The loss is that of end-to-end distillation: KL to the target plus alpha * CE on the text. KL bounds what speculation
wants, the total variation distance, from above (Pinsker), and its gradient does not vanish where the draft is far off.
A draft on features (EAGLE, arXiv 2401.15077) also reads the target's hidden states, and its own where it decodes.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..bundle.bundle import Bundle
from ..evaluation.acceptance import expected_acceptance
from ..evaluation.own_steps import OwnSteps
from ..losses import LossWeights, distillation_loss
from ..mixers.coded_linear import CodedLinear, code_projections
from ..mixers.quantise import straight_through
from ..model.config import Mamba2Config
from ..model.draft import draft_of, features_before, load_own_state, own_modules, own_state, spread_layers
from ..model.llama import Llama
from ..model.load import load_alone, load_teacher, load_variant
from ..run.config import DraftConfig, RunConfig
from .base import Stage, mean_measures
from .hybrid import projection_segments
from .own_features import own_positions, trained_features
from .sources import sources_of


class DraftStage(Stage):
    """A draft with float32 layers of its own, on the frozen embedding and LM head of the target that it learns."""

    def __init__(self, target: Llama, draft: Llama, config: RunConfig) -> None:
        self.target, self.draft, self.compiled, self.seed = target, draft, config.compile, config.seed
        self.shape = config.draft or DraftConfig()
        loss = config.loss
        self.weights = LossWeights(loss.alpha, loss.beta, loss.temperature)

    def named_parameters(self) -> dict[str, nn.Parameter]:
        modules = own_modules(self.draft)
        return {f"{prefix}{name}": p for prefix, module in modules for name, p in module.named_parameters()}

    def matrices(self) -> dict[str, list[int]]:
        return projection_segments(self.draft, self.named_parameters())

    def learning_rates(self) -> dict[str, float]:
        """Features are many times as long as the embeddings that they are added to: a step of their projection would
        move the layers' input as many times as far as one of a layer does."""
        if self.draft.features_proj is None:
            return {}
        # A normed state has a root mean square of one, times the norm's weights.
        embeddings, features = (_rms(w) for w in (self.target.embed_tokens.weight, self.target.norm.weight))
        return {"model.features_proj.weight": min(1.0, embeddings / features)}

    def teacher(self) -> tuple[Llama, list[str]]:
        return self.target, self.target.pattern

    def _features(self, ids: Tensor, target: Tensor, step: int | None) -> Tensor | None:
        """Features for ids (b, T), whose hidden states in the target are (b, T, D); true ones without a step."""
        if self.draft.features_proj is None:
            return None
        if step is None or self.shape.passes == 1:
            return features_before(target)
        generator = torch.Generator().manual_seed((self.seed << 32) + step)
        own = own_positions(ids.shape[1], self.shape.own_run, generator).to(ids.device, non_blocking=True)
        return trained_features(self.draft, ids, target, own, self.shape.passes)

    def _measure(self, ids: Tensor, step: int | None) -> tuple[Tensor, dict[str, Tensor], Tensor, Tensor]:
        inputs, labels = ids[:, :-1], ids[:, 1:].flatten()
        with torch.no_grad():
            target = self.target.hidden(inputs)
        features = self._features(inputs, target, step)
        draft, target = self.draft.hidden(inputs, features=features).flatten(0, 1), target.flatten(0, 1)
        head = self.target.head_weight
        loss, measures = distillation_loss(draft, target, head, labels, self.weights, self.compiled)
        if self.shape.feature_loss:
            distance = F.smooth_l1_loss(draft, target.to(draft.dtype))
            loss, measures = loss + self.shape.feature_loss * distance, {**measures, "feature_loss": distance.detach()}
        return loss, measures, draft, target

    def train_step(self, ids: Tensor, step: int, scale: float) -> dict[str, Tensor]:
        loss, measures, _, _ = self._measure(ids, step)
        torch.autograd.backward(loss * scale)
        return {"loss": loss.detach(), **measures}

    @torch.no_grad()
    def evaluate(self, batches: Iterable[Tensor]) -> dict[str, float]:
        """kl, ce, teacher_ce (nat a token), agreement (top-1) and acceptance (both 0..1), all with true features, and
        agreement.k: the share of greedy drafts that stand at the k-th step of a row of drafts (see OwnSteps)."""
        records = []
        own_steps = OwnSteps(self.target, self.draft, self.compiled)
        for ids in batches:
            loss, measures, draft, target = self._measure(ids, None)
            acceptance = expected_acceptance(draft, target, self.target.head_weight)
            records.append({"loss": loss, **measures, "acceptance": acceptance})
            own_steps.add(ids[:, :-1])
        return {**mean_measures(records), **own_steps.measures()} if records else {}

    def state_dict(self) -> dict[str, Any]:
        return own_state(self.draft)

    def load_state_dict(self, state: dict[str, Any]) -> None:
        load_own_state(self.draft, state)


def _rms(values: Tensor) -> float:
    return float(values.detach().float().square().mean().sqrt())


def build_draft(bundle: Bundle, config: RunConfig) -> tuple[Llama, Llama]:
    """The frozen target and the trainable draft of a `draft` run, float32 on the CPU.

    Raises ValueError or ConfigError where the config does not fit the family, `variant-missing` for an unknown target.
    """
    teacher = load_teacher(bundle)
    draft = new_draft(teacher, config)
    if config.draft is not None and config.draft.start_from is not None:
        _start_from(draft, bundle, config.draft.start_from)
    target = teacher
    name = (config.draft or DraftConfig()).target
    if name != "teacher":
        target = load_alone(bundle, name)
        target.embed_tokens, target.lm_head = teacher.embed_tokens, teacher.lm_head
    target.requires_grad_(False)
    for _, module in own_modules(draft):
        module.requires_grad_(True)
    return target, draft


def new_draft(teacher: Llama, config: RunConfig) -> Llama:
    """The draft of a run before its first step, on the teacher's embedding and LM head. Raises as `build_draft`."""
    shape = config.draft or DraftConfig()
    codec = config.mixer.codec
    width = shape.intermediate_size or teacher.arch.intermediate_size
    if codec is not None and width % 32:
        raise ValueError(f"draft.intermediate_size must be a multiple of 32 for {codec}, not {width}")
    layers = source_layers(shape, teacher.arch.num_hidden_layers)
    if shape.mixer == "mamba2":
        mamba = Mamba2Config.like_attention(teacher.arch, **config.mixer.options)
        draft = draft_of(teacher, layers, width, mamba, config.mixer.init == "attention", shape.features)
        _start_mixers(draft, layers, config)
    elif config.mixer.options or config.mixer.start_from is not None:
        raise ValueError("mixer: an attention draft takes nothing but codec")
    else:
        draft = draft_of(teacher, layers, width, None, True, shape.features)
    if draft.features_proj is not None:
        draft.features_proj = CodedLinear(draft.features_proj, codec)
    for index in range(len(draft.layers)):
        layer = draft.layer(index)
        code_projections(layer.mlp, codec)
        if layer.self_attn is not None:
            code_projections(layer.self_attn, codec)
        if layer.mamba is not None:
            layer.mamba.codec = codec
    return draft


def load_draft_run(teacher: Llama, config: RunConfig, state: dict[str, Tensor], codec: str) -> Llama:
    """The draft of a run's state, on the teacher's embedding and LM head; matrices rounded to `codec` ("f32": not)."""
    plain = config.mixer.model_copy(update={"codec": None, "start_from": None})
    draft = new_draft(teacher, config.model_copy(update={"mixer": plain}))
    rounding = None if codec == "f32" else codec
    matrix = "_proj.weight"
    load_own_state(draft, {k: straight_through(v, rounding) if k.endswith(matrix) else v for k, v in state.items()})
    return draft.requires_grad_(False)


def _start_mixers(draft: Llama, layers: list[int], config: RunConfig) -> None:
    """Mixers that were trained in the place of the teacher's `layers`, where the config names such."""
    found = sources_of(config, layers, draft.arch, None)
    for index, layer in enumerate(layers):
        if layer in found:
            prefix = f"model.layers.{layer}.mamba."
            own = {k.removeprefix(prefix): v for k, v in found[layer].state.items() if k.startswith(prefix)}
            draft.mamba(index).load_state_dict(own)


def _start_from(draft: Llama, bundle: Bundle, name: str) -> None:
    """A draft's weights, but for a projection of features that it has not. Raises ValueError where it does not fit."""
    field = "draft.start_from"
    if bundle.manifest.draft(bundle.variant(name).layers) is None:
        raise ValueError(f"{field}: {name} is no draft")
    source = load_variant(bundle, name)
    if source.features_proj is not None and draft.features_proj is None:
        raise ValueError(f"{field}: {name} reads features; set draft.features")
    if _shape(source) != _shape(draft):
        raise ValueError(f"{field}: {name} is {_shape(source)}, this draft {_shape(draft)}")
    load_own_state(draft, {**own_state(draft), **own_state(source)})


def _shape(draft: Llama) -> str:
    """What two drafts must have in common to hold each other's weights, as an error can say it."""
    mixers = [draft.pattern[0], *(f"({draft.mamba(0).config})" for name in draft.pattern[:1] if name == "mamba2")]
    return f"{len(draft.layers)} layers of {' '.join(mixers)}, MLPs of {draft.arch.intermediate_size} channels"


def source_layers(shape: DraftConfig, count: int) -> list[int]:
    """The layers of a model of `count` that the draft's layers start from. Raises ValueError naming one that is not."""
    sources = spread_layers(shape.layers, count) if shape.from_layers is None else shape.from_layers
    if len(sources) != shape.layers or max(sources) >= count:
        raise ValueError(f"draft.from_layers must name {shape.layers} layers within 0..{count - 1}, not {sources}")
    return sources
