"""Where mixers can start from: a run, a set of a bundle, or several of them, the first that has a layer."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from ..bundle.bundle import Bundle
from ..bundle.manifest import Architecture
from ..errors import MambascopeError
from ..model.config import Mamba2Config
from ..model.llama import Llama
from ..run.config import ConfigError, RunConfig, read_config
from ..run.directory import RunDirectory
from .hybrid import load_mixer_state

BUNDLE_PREFIX = "bundle:"
#: Names that are no source: what an earlier stage of the same run left, and the initialisation.
PREVIOUS, INIT = "previous", "init"


@dataclass(frozen=True)
class MixerSource:
    """Mixers by the bundle's tensor names, all of one shape."""

    name: str
    config: Mamba2Config
    state: dict[str, Tensor]

    def has(self, layer: int) -> bool:
        return f"model.layers.{layer}.mamba.in_proj.weight" in self.state


def open_source(text: str, arch: Architecture) -> MixerSource:
    """A run directory, or "bundle:<family's folder>[,<another>]#<mixer set>". Raises ConfigError if it is neither."""
    try:
        if text.startswith(BUNDLE_PREFIX):
            folders, mark, mixer_set = text.removeprefix(BUNDLE_PREFIX).partition("#")
            if not mark or not folders:
                raise ConfigError(f"{text}: a set is named by bundle:<folder>#<mixer set>")
            return bundle_source(Bundle.open(folders.split(",")), mixer_set)
        return _run_source(Path(text), arch)
    except MambascopeError as error:
        raise ConfigError(f"{text}: {error.message}", error.action) from None


def bundle_source(bundle: Bundle, name: str) -> MixerSource:
    """A mixer set's Mamba-2 tensors, float32 on the CPU. Raises `mixer-set-missing` or `mixer-unsupported`."""
    sets = bundle.manifest.mixer_sets
    if name not in sets:
        raise MambascopeError(
            "mixer-set-missing",
            f"Family {bundle.manifest.family} has no mixer set {name!r}.",
            f"Choose one of: {', '.join(sets) or 'none yet'}.",
        )
    if sets[name].mixer != "mamba2":
        raise MambascopeError(
            "mixer-unsupported", f"The trainer has no {sets[name].mixer} mixer.", "Choose another mixer set."
        )
    wanted = [key for key in sets[name].tensors if ".mamba." in key]
    state = {key: torch.from_numpy(bundle.tensor(key, name)) for key in wanted}
    return MixerSource(name, Mamba2Config.model_validate(sets[name].config), state)


def _run_source(path: Path, arch: Architecture) -> MixerSource:
    state = RunDirectory(path).require_checkpoint()["stage"]
    config = read_config(path / "config.json")
    return MixerSource(str(path), Mamba2Config.like_attention(arch, **config.mixer.options), state)


def start_mixers(model: Llama, config: RunConfig, previous: dict[str, Tensor] | None) -> list[int]:
    """Load the mixers of `config.layers` from the first source that has them, and whatever else trains from the same.

    previous: what an earlier stage of a pipeline left, the source "previous". Returns the layers that no source has,
    which stay as they were initialised; raises ConfigError if the config does not allow that, or if shapes differ.
    """
    found = sources_of(config, config.layers, model.arch, previous)
    trained = {name for name, p in model.named_parameters() if p.requires_grad}
    for layer, source in found.items():
        load_mixer_state(model, [layer], source.state)
        prefix = f"model.layers.{layer}."
        extra = {k.removeprefix("model."): v for k, v in source.state.items() if k.startswith(prefix)}
        model.load_state_dict({k: v for k, v in extra.items() if k in trained}, strict=False)
    return [i for i in config.layers if i not in found]


def sources_of(
    config: RunConfig, layers: Sequence[int], arch: Architecture, previous: dict[str, Tensor] | None
) -> dict[int, MixerSource]:
    """The source that the config gives each of `layers`, checked; layers to be initialised are left out. Raises as
    `start_mixers` does."""
    given = config.mixer.start_from
    names = [given] if isinstance(given, str) else given or []
    wanted = Mamba2Config.like_attention(arch, **config.mixer.options)
    sources = [_open(name, arch, wanted, previous) for name in names if name != INIT]
    found = first_with(sources, layers)
    missing = [i for i in layers if i not in found]
    if missing and sources and names[-1] != INIT:
        raise ConfigError(f'mixer.start_from: the mixers to start from have no layer {missing[0]} (add "{INIT}"?)')
    for source in found.values():
        _check_shape(source, wanted)
    return found


def _open(name: str, arch: Architecture, wanted: Mamba2Config, previous: dict[str, Tensor] | None) -> MixerSource:
    if name != PREVIOUS:
        try:
            return open_source(name, arch)
        except ConfigError as error:
            raise ConfigError(f"mixer.start_from: {error.message}") from None
    if previous is None:
        raise ConfigError(f'mixer.start_from: there is no stage before this one that "{PREVIOUS}" could name')
    return MixerSource(PREVIOUS, wanted, previous)


def _check_shape(source: MixerSource, wanted: Mamba2Config) -> None:
    found, needed = source.config.model_dump(), wanted.model_dump()
    wrong = [f"{key} is {found[key]!r}, not {value!r}" for key, value in needed.items() if found[key] != value]
    if wrong:
        raise ConfigError(f"mixer.start_from: the mixers of {source.name} have another form: {', '.join(wrong)}")


def first_with(sources: Sequence[MixerSource], layers: Iterable[int]) -> dict[int, MixerSource]:
    """Each layer's source, the first that has it; layers that none has are left out."""
    found = {}
    for layer in layers:
        source = next((source for source in sources if source.has(layer)), None)
        if source is not None:
            found[layer] = source
    return found
