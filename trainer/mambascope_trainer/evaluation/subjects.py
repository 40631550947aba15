"""What is evaluated: variants of a bundle, layer patterns in text form, and runs at several precisions."""

from __future__ import annotations

import copy
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from ..bundle.bundle import Bundle
from ..errors import MambascopeError
from ..mixers.quantise import straight_through
from ..model.llama import Llama
from ..model.load import check_alone, load_mixers, load_variant, needs_target
from ..run.config import ConfigError, RunConfig, read_config
from ..run.directory import RunDirectory
from ..stages.draft import load_draft_run
from ..stages.hybrid import add_student_mixers, load_student_state

#: The mixer set of a run's own mixers in a pattern.
RUN_SET = "run"
_KINDS = {"a": "attention", "m": "mamba2", "s": "mamba"}
_RUN = re.compile(r"([ams])([1-9][0-9]{0,2})?(?:~([A-Za-z0-9][A-Za-z0-9_-]{0,63}))?")


@dataclass(frozen=True)
class Subject:
    """A model to measure: `label` says which (`variant`, `pattern`, or `run` and `codec`), `load` builds it."""

    label: dict[str, str]
    load: Callable[[], Llama]

    @property
    def name(self) -> str:
        """A short name for files and progress."""
        return "-".join(self.label.values())


def parse_pattern(text: str, layers: int) -> list[str]:
    """A layer pattern's text form (docs/contracts.md, section 2) as one entry a layer. Raises `pattern-invalid`."""
    entries: list[str] = []
    for part in text.split("."):
        match = _RUN.fullmatch(part)
        if match is None or (match[1] == "a") != (match[3] is None):
            raise _bad_pattern(text, f"{part!r} is no run of layers")
        entry = _KINDS[match[1]] + (f":{match[3]}" if match[3] else "")
        entries += [entry] * int(match[2] or 1)
    if len(entries) != layers:
        raise _bad_pattern(text, f"it has {len(entries)} layers, the model {layers}")
    return entries


def subjects(
    bundle: Bundle,
    teacher: Llama,
    variants: Sequence[str],
    patterns: Sequence[str],
    runs: Sequence[Path],
    codecs: Sequence[str],
) -> list[Subject]:
    """All subjects in order. `teacher` is the bundle's, on the CPU; patterns and runs start from a copy of it.

    What is wrong with a variant's name, a pattern or a run is raised here, not when its turn comes.
    """
    for name in variants:
        check_alone(bundle, name)
    layers = {text: parse_pattern(text, teacher.arch.num_hidden_layers) for text in patterns}
    found = [Subject({"variant": name}, partial(load_variant, bundle, name)) for name in variants]
    for text, entries in layers.items():
        _check_sets(bundle, text, entries)
        found.append(Subject({"pattern": text}, partial(_load_pattern, bundle, teacher, entries)))
    for run in runs:
        path, pattern = _split_run(run)
        replaced = _check_run(path, pattern, teacher.arch.num_hidden_layers)
        for codec in codecs:
            label = {"run": path.name, **({"pattern": pattern} if pattern else {}), "codec": codec}
            found.append(Subject(label, partial(load_run, teacher, path, codec, replaced)))
    return found


def _check_sets(bundle: Bundle, text: str, entries: Sequence[str]) -> None:
    for index, entry in enumerate(entries):
        name = entry.partition(":")[2]
        if not name:
            continue
        mixer_set = bundle.manifest.mixer_sets.get(name)
        if mixer_set is None:
            known = ", ".join(bundle.manifest.mixer_sets) or "none"
            raise _bad_pattern(text, f"there is no mixer set {name!r} (there are: {known})")
        if index not in mixer_set.layers:
            raise _bad_pattern(text, f"the set {name!r} has no mixer for layer {index}")


def _load_pattern(bundle: Bundle, teacher: Llama, entries: Sequence[str]) -> Llama:
    model = copy.deepcopy(teacher)
    load_mixers(model, bundle, entries)
    return model


def _split_run(run: Path) -> tuple[Path, str | None]:
    """`data/runs/x@a.m2~run` to the run's directory and the pattern of its mixers, None without `@`."""
    path, at, pattern = str(run).rpartition("@")
    return (Path(path), pattern) if at else (run, None)


def _check_run(path: Path, pattern: str | None, layers: int) -> list[int] | None:
    """The layers that a pattern replaces, in which `run` is the only mixer set; None without a pattern.

    Raises before anything is measured what `load_run` would raise after.
    """
    config = read_config(path / "config.json")
    if config.method == "pretrain":
        raise ConfigError(f"{path}: a pretrain run has no teacher to compare with", "Export it and name its bundle.")
    _check_draft_alone(config)
    if not RunDirectory(path).checkpoints():
        raise MambascopeError("checkpoint-missing", f"{path} holds no checkpoint.", "Train the run first.")
    if pattern is None:
        return None
    entries = parse_pattern(pattern, layers)
    if set(entries) - {"attention", f"mamba2:{RUN_SET}"}:
        raise _bad_pattern(pattern, f"the mixers of a run are called m~{RUN_SET}")
    replaced = [index for index, entry in enumerate(entries) if entry != "attention"]
    missing = sorted(set(replaced) - set(config.layers))
    if missing:
        raise _bad_pattern(pattern, f"the run has no mixer for layer {missing[0]}")
    return replaced


def _check_draft_alone(config: RunConfig) -> None:
    if config.draft is not None and config.draft.features:
        raise needs_target(config.name)


def load_run(teacher: Llama, path: Path, codec: str, replaced: Sequence[int] | None = None) -> Llama:
    """The newest checkpoint of a run with `replaced` layers (none given: all that it has trained so far) replaced, or
    the draft that it trained; matrices rounded to `codec` ("f32": as they are)."""
    config = read_config(path / "config.json")
    _check_draft_alone(config)
    state = RunDirectory(path).require_checkpoint()["stage"]
    if config.method == "draft":
        return load_draft_run(teacher, config, state, codec)
    # A pipeline that has not come to its last stage has not the mixers of all of its layers yet.
    held = [i for i in config.layers if f"model.layers.{i}.mamba.in_proj.weight" in state]
    replaced = held if replaced is None else replaced
    missing = sorted(set(replaced) - set(held))
    if missing or not held:
        what = f"no mixer of layer {missing[0]}" if missing else "no mixers"
        raise MambascopeError("checkpoint-missing", f"The checkpoint of {path} holds {what} yet.", "Train the run on.")
    model = copy.deepcopy(teacher)
    add_student_mixers(model, config.model_copy(update={"layers": held}))
    load_student_state(model, held, state)
    for index in held:
        mamba = model.mamba(index)
        # Rounded once here: through the module's own codec they would be rounded again in every step of decoding.
        mamba.codec = None
        for linear in (mamba.in_proj, mamba.out_proj):
            linear.weight.data = straight_through(linear.weight.data, None if codec == "f32" else codec)
    model.use(["mamba2" if i in replaced else "attention" for i in range(model.arch.num_hidden_layers)])
    return model


def _bad_pattern(text: str, wrong: str) -> MambascopeError:
    return MambascopeError(
        "pattern-invalid",
        f"The layer pattern {text!r} cannot be used: {wrong}.",
        'Write runs joined by ".", for example "a.m~attn50.a2.m2~aligned".',
    )
