"""The rules between fields of a run config."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .config import RunConfig


def rules(c: RunConfig) -> list[tuple[bool, str]]:
    """(whether it is broken, what it says) of each rule between fields."""
    hybrid = c.method in ("orient", "align", "distill", "dpo")
    end_to_end = c.method in ("distill", "dpo")
    names = [pattern.name for pattern in c.mixture]
    mixed = {i for pattern in c.mixture for i in pattern.layers}
    starts = [c.mixer.start_from] if isinstance(c.mixer.start_from, str) else c.mixer.start_from or []
    return [
        (
            c.optimiser.batch % c.optimiser.accumulate != 0,
            "optimiser.batch must be a multiple of optimiser.accumulate",
        ),
        (hybrid and not c.layers, "layers: name at least one layer to replace"),
        (c.method == "pretrain" and c.architecture is None, "architecture: pretrain needs the shape of the new model"),
        (c.method == "draft" and c.draft is None, "draft: a draft run needs this section"),
        (
            c.draft is not None and c.draft.features and c.sample_every > 0,
            "sample_every: a draft on features writes no text without its target; leave it out",
        ),
        (
            c.draft is not None and not c.draft.features and c.draft.feature_loss > 0,
            "draft.feature_loss: only a draft on features (draft.features) has it",
        ),
        (
            c.draft is not None and c.draft.start_from is not None and c.draft.from_layers is not None,
            "draft.start_from: a draft starts from another or from layers of the teacher's, not from both",
        ),
        (
            c.draft is not None and c.draft.start_from is not None and c.mixer.start_from is not None,
            "mixer.start_from: a draft that starts from another (draft.start_from) takes its mixers too",
        ),
        (
            c.method == "draft" and bool(c.layers),
            "layers: a draft has none of the teacher's layers; see draft.from_layers",
        ),
        (c.method == "dpo" and not isinstance(c.data.train, str), "data.train: dpo reads one file of preference pairs"),
        (c.pattern != "fixed" and c.method != "distill", "pattern: only distill has patterns that change"),
        (
            (c.pattern == "mixture") != bool(c.mixture),
            'mixture: pattern "mixture" needs a list of patterns, and only it has one',
        ),
        (len(set(names)) < len(names), "mixture: two patterns have the same name"),
        (not mixed <= set(c.layers), f"mixture: layers {sorted(mixed - set(c.layers))} are not in layers"),
        (c.train != "mixers" and not end_to_end, "train: align and orient train mixers alone"),
        (
            c.train != "mixers" and c.pattern != "fixed",
            'train: norms and MLPs train with pattern "fixed" alone; several patterns share the teacher\'s',
        ),
        (
            c.layers_trained is not None and not set(c.layers_trained) <= set(c.layers),
            "layers_trained: some are not in layers",
        ),
        (c.layers_trained == [], "layers_trained: name at least one layer, or leave it out"),
        (
            c.layers_trained is not None and (c.train == "all" or not end_to_end),
            'layers_trained: only distill and dpo have it, and not with train "all"',
        ),
        (
            c.loss.ce_tokens == "answers" and (c.method != "distill" or not c.loss.alpha),
            "loss.ce_tokens: only distill with loss.alpha above 0 takes the CE of answers",
        ),
        ("init" in starts[:-1], 'mixer.start_from: "init" comes last'),
        (starts == ["init"], 'mixer.start_from: leave it out to initialise all layers, or name a source before "init"'),
    ]
