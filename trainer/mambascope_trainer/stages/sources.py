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
from ..run.config import ConfigError, read_config
from ..run.directory import RunDirectory

BUNDLE_PREFIX = "bundle:"


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
    except (MambascopeError, OSError) as error:
        raise ConfigError(f"{text}: {error}") from None


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


def first_with(sources: Sequence[MixerSource], layers: Iterable[int]) -> dict[int, MixerSource]:
    """Each layer's source, the first that has it; layers that none has are left out."""
    found = {}
    for layer in layers:
        source = next((source for source in sources if source.has(layer)), None)
        if source is not None:
            found[layer] = source
    return found
