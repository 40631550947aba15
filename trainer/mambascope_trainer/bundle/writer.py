"""Writing bundles: a base with its tokenizer, mixer sets and variants. The manifest is replaced last, by rename."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ..errors import MambascopeError
from .bundle import Bundle
from .codecs import BLOCK, EncodedTensor, encode
from .manifest import (
    MANIFEST,
    Architecture,
    Draft,
    FileInfo,
    Manifest,
    MixerSet,
    SpecialTokens,
    TensorEntry,
    TokenizerFiles,
    Variant,
    format_manifest,
    load_manifest,
    parse_manifest,
)
from .safetensors import write_atomic
from .shards import plan_shards, write_shard
from .token_ranking import TokenRanking, write_ranking

Tensors = Mapping[str, npt.ArrayLike | EncodedTensor]


@dataclass(frozen=True)
class Storage:
    """How tensors are stored: matrices of the projections as `matrix`, the embedding and LM head as `embedding`,
    anything else f32. `codecs` decides for single names, `importance` weighs columns or elements (see `encode`)."""

    matrix: str = "q4_1"
    embedding: str = "q8_0"
    codecs: Mapping[str, str] | None = None
    importance: Mapping[str, npt.ArrayLike] | None = None

    def codec(self, name: str, shape: Sequence[int]) -> str:
        if self.codecs and name in self.codecs:
            return self.codecs[name]
        if len(shape) != 2 or shape[1] % BLOCK:
            return "f32"
        if name in ("model.embed_tokens.weight", "lm_head.weight"):
            return self.embedding
        return self.matrix if name.endswith("_proj.weight") else "f32"

    def encode(self, name: str, values: npt.ArrayLike | EncodedTensor) -> EncodedTensor:
        if isinstance(values, EncodedTensor):
            return values
        importance = self.importance.get(name) if self.importance else None
        shape = values.shape if hasattr(values, "shape") else ()
        return encode(values, self.codec(name, shape), importance)


@dataclass(frozen=True)
class Description:
    """A family in words."""

    family: str
    title: str
    description: str
    license: str
    source: str


class BundleWriter:
    """Adds to the family in `folder`; `manifest` always equals the one on disk."""

    def __init__(self, folder: Path, manifest: Manifest) -> None:
        self.folder = folder
        self.manifest = manifest

    @classmethod
    def open(cls, folder: Path | str, fallbacks: Iterable[Path | str] = ()) -> BundleWriter:
        """Continues the family in `folder`, or that of a fallback folder; the new manifest goes to `folder`."""
        bundle = Bundle.open([folder, *fallbacks])
        return cls(Path(folder), bundle.manifest)

    @classmethod
    def create(
        cls,
        folder: Path | str,
        description: Description,
        architecture: Architecture,
        special_tokens: SpecialTokens,
        tokenizer: tuple[bytes, bytes],
        tensors: Tensors,
        storage: Storage | None = None,
        origin: Mapping[str, Any] | None = None,
    ) -> BundleWriter:
        """Writes a family of its own: base tensors, tokenizer.json and tokenizer_config.json, the variant `teacher`.

        `origin` is where the base comes from (default: shipped). A base without some layers' attention has no teacher.
        """
        target, names = Path(folder), TokenizerFiles()
        files: dict[str, FileInfo] = {}
        for name, content in zip((names.file, names.config), tokenizer, strict=True):
            written = write_atomic(target / name, [content])
            files[name] = FileInfo(written.bytes, written.sha256)
        order = [name for name in architecture.tensor_shapes() if name in tensors]
        order += [name for name in tensors if name not in order]
        shards, entries = _write_tensors(target, "base", {name: tensors[name] for name in order}, storage or Storage())
        teacher = Variant("Teacher (100% attention)", ("attention",) * architecture.num_hidden_layers)
        writer = cls(
            target,
            Manifest(
                family=description.family,
                title=description.title,
                description=description.description,
                license=description.license,
                source=description.source,
                architecture=architecture,
                special_tokens=special_tokens,
                tokenizer=names,
                files={**files, **shards},
                origin=origin or {"kind": "shipped"},
                tensors=entries,
                mixer_sets={},
                variants={"teacher": teacher} if entries.keys() >= architecture.tensor_shapes().keys() else {},
                token_ranking=_ranking_of(target, files[names.file]),
            ),
        )
        writer._save(writer.manifest)
        return writer

    def add_mixer_set(
        self,
        name: str,
        config: Mapping[str, Any],
        layers: Iterable[int],
        tensors: Tensors,
        storage: Storage | None = None,
        training: Mapping[str, Any] | None = None,
        replace_existing: bool = False,
    ) -> None:
        """Writes a Mamba-2 mixer set (full tensor names, see the contracts) and lists it.

        Variants that used an older set of that name in layers which the new one lacks are dropped. Raises
        `mixer-set-exists`, or `manifest-invalid` if tensors do not fit the config.
        """
        if name in self.manifest.mixer_sets and not replace_existing:
            raise MambascopeError(
                "mixer-set-exists",
                f"Family {self.manifest.family} already has a mixer set {name!r}.",
                "Choose another name, or ask for it to be replaced.",
            )
        files, entries = _write_tensors(self.folder, f"mixers-{name}", tensors, storage or Storage())
        mixer_set = MixerSet("mamba2", dict(config), tuple(sorted(layers)), entries, dict(training or {}))
        lost = {i for i in range(self.manifest.architecture.num_hidden_layers) if i not in mixer_set.layers}
        variants = {
            key: variant
            for key, variant in self.manifest.variants.items()
            if not any(entry == f"mamba2:{name}" and i in lost for i, entry in enumerate(variant.layers))
        }
        self._list_set(name, mixer_set, files, variants)

    def add_draft(
        self,
        name: str,
        title: str,
        mixer: str,
        config: Mapping[str, Any],
        draft: Draft,
        tensors: Tensors,
        storage: Storage | None = None,
        training: Mapping[str, Any] | None = None,
    ) -> None:
        """Writes a draft and its variant, in the place of older ones of that name.

        Raises `manifest-invalid` if tensors do not fit the mixer, its config or the draft's shape.
        """
        files, entries = _write_tensors(self.folder, f"mixers-{name}", tensors, storage or Storage())
        layers = draft.num_hidden_layers
        mixer_set = MixerSet(mixer, dict(config), tuple(range(layers)), entries, dict(training or {}), draft)
        variant = Variant(title, (f"{mixer}:{name}",) * layers)
        self._list_set(name, mixer_set, files, {**self.manifest.variants, name: variant})

    def _list_set(
        self, name: str, mixer_set: MixerSet, files: Mapping[str, FileInfo], variants: Mapping[str, Variant]
    ) -> None:
        old = self.manifest.mixer_sets.get(name)
        stale = {entry.file for entry in old.tensors.values()} - files.keys() if old else set()
        kept = {file: info for file, info in self.manifest.files.items() if file not in stale}
        sets = {**self.manifest.mixer_sets, name: mixer_set}
        self._save(replace(self.manifest, files={**kept, **files}, mixer_sets=sets, variants=variants))
        for file in stale:
            (self.folder / file).unlink(missing_ok=True)

    def add_variant(self, name: str, title: str, layers: Sequence[str]) -> None:
        """Lists a variant, in the place of an older one of that name. Raises `manifest-invalid` or `layer-name`."""
        variants = {**self.manifest.variants, name: Variant(title, tuple(layers))}
        self._save(replace(self.manifest, variants=variants))

    def rank_tokens(self, ids: npt.NDArray[np.uint32]) -> None:
        """Writes the family's token ranking, in the place of an older one."""
        self._save(replace(self.manifest, token_ranking=write_ranking(self.folder, ids)))

    def _save(self, manifest: Manifest) -> None:
        checked = parse_manifest(manifest.to_json())
        write_atomic(self.folder / MANIFEST, [format_manifest(checked).encode("utf-8")])
        self.manifest = checked


def _ranking_of(folder: Path, tokenizer: FileInfo) -> TokenRanking | None:
    """The ranking of the family that is to be replaced: a new base with the same tokenizer keeps it."""
    if not (folder / MANIFEST).is_file():
        return None
    old = load_manifest(folder / MANIFEST)
    return old.token_ranking if old.files[old.tokenizer.file] == tokenizer else None


def _write_tensors(
    folder: Path, prefix: str, tensors: Tensors, storage: Storage
) -> tuple[dict[str, FileInfo], dict[str, TensorEntry]]:
    encoded = {name: storage.encode(name, values) for name, values in tensors.items()}
    files: dict[str, FileInfo] = {}
    entries: dict[str, TensorEntry] = {}
    for shard in plan_shards(prefix, {name: tensor.nbytes for name, tensor in encoded.items()}):
        files[shard.file], shard_entries = write_shard(folder, shard, encoded)
        entries.update(shard_entries)
    return files, entries
