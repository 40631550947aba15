"""The bundle's manifest as checked dataclasses; needs the standard library alone.

The browser's schema (`lib/weights/manifest.ts`) describes the same document.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from math import prod
from pathlib import Path
from typing import Any

from ..errors import MambascopeError
from .agreement import check_agreement
from .codecs import CODEC_PARTS, part_shapes
from .fields import Reader, invalid
from .names import FILE_PATTERN, NAME_PATTERN, SHA256_PATTERN, split_layer
from .safetensors import DTYPES
from .token_ranking import TokenRanking, parse_token_ranking

FORMAT, VERSION = "mambascope-bundle", 1
MANIFEST = "manifest.json"


@dataclass(frozen=True)
class Architecture:
    """The teacher's shape, in Hugging Face Llama's names."""

    hidden_size: int
    intermediate_size: int
    num_hidden_layers: int
    num_attention_heads: int
    num_key_value_heads: int
    head_dim: int
    vocab_size: int
    max_position_embeddings: int
    rms_norm_eps: float
    rope_theta: float
    tie_word_embeddings: bool
    hidden_act: str = "silu"
    model_type: str = "llama"

    def to_json(self) -> dict[str, Any]:
        data = asdict(self)
        return {"model_type": data.pop("model_type"), **data}

    def tensor_shapes(self) -> dict[str, tuple[int, ...]]:
        """Every base tensor that this shape needs, in the model's order."""
        d, inner = self.hidden_size, self.intermediate_size
        q, kv = self.num_attention_heads * self.head_dim, self.num_key_value_heads * self.head_dim
        shapes: dict[str, tuple[int, ...]] = {"model.embed_tokens.weight": (self.vocab_size, d)}
        for i in range(self.num_hidden_layers):
            layer = f"model.layers.{i}."
            shapes[layer + "input_layernorm.weight"] = (d,)
            shapes[layer + "self_attn.q_proj.weight"] = (q, d)
            shapes[layer + "self_attn.k_proj.weight"] = (kv, d)
            shapes[layer + "self_attn.v_proj.weight"] = (kv, d)
            shapes[layer + "self_attn.o_proj.weight"] = (d, q)
            shapes[layer + "post_attention_layernorm.weight"] = (d,)
            shapes[layer + "mlp.gate_proj.weight"] = (inner, d)
            shapes[layer + "mlp.up_proj.weight"] = (inner, d)
            shapes[layer + "mlp.down_proj.weight"] = (d, inner)
        shapes["model.norm.weight"] = (d,)
        if not self.tie_word_embeddings:
            shapes["lm_head.weight"] = (self.vocab_size, d)
        return shapes


@dataclass(frozen=True)
class FileInfo:
    bytes: int
    sha256: str


@dataclass(frozen=True)
class TensorEntry:
    """Where a tensor's parts lie: byte ranges `[begin, end)` from the start of the file."""

    codec: str
    shape: tuple[int, ...]
    file: str
    parts: Mapping[str, tuple[int, int]]

    def to_json(self) -> dict[str, Any]:
        parts = {name: list(span) for name, span in self.parts.items()}
        return {"codec": self.codec, "shape": list(self.shape), "file": self.file, "parts": parts}


@dataclass(frozen=True)
class Draft:
    """What makes a mixer set a draft, a small model of its own: how its architecture differs from its base's.

    features: it also reads its target's hidden states (EAGLE, arXiv 2401.15077), and so cannot run alone.
    """

    num_hidden_layers: int
    intermediate_size: int
    features: bool = False

    def architecture(self, base: Architecture) -> Architecture:
        """The draft's shape."""
        return replace(base, num_hidden_layers=self.num_hidden_layers, intermediate_size=self.intermediate_size)

    def to_json(self) -> dict[str, Any]:
        shape = {"num_hidden_layers": self.num_hidden_layers, "intermediate_size": self.intermediate_size}
        return {**shape, **({"features": True} if self.features else {})}


@dataclass(frozen=True)
class MixerSet:
    """One mixer for each of `layers`, a Mamba mixer unless it is a draft's; `training` is free-form."""

    mixer: str
    config: Mapping[str, Any]
    layers: tuple[int, ...]
    tensors: Mapping[str, TensorEntry]
    training: Mapping[str, Any] = field(default_factory=dict)
    draft: Draft | None = None

    def to_json(self) -> dict[str, Any]:
        return {
            "mixer": self.mixer,
            **({"draft": self.draft.to_json()} if self.draft else {}),
            "config": dict(self.config),
            "layers": list(self.layers),
            "tensors": {name: entry.to_json() for name, entry in self.tensors.items()},
            "training": dict(self.training),
        }


@dataclass(frozen=True)
class Variant:
    """A hybrid: a title and one mixer name a layer, `attention`, `mamba2:<set>` or `mamba:<set>`."""

    title: str
    layers: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        return {"title": self.title, "layers": list(self.layers)}


@dataclass(frozen=True)
class SpecialTokens:
    """`bos` is the token put before every text (null: none), `eos` those that end one, `pad` the filler."""

    bos: int | None
    eos: tuple[int, ...]
    pad: int | None

    def to_json(self) -> dict[str, Any]:
        return {"bos": self.bos, "eos": list(self.eos), "pad": self.pad}


@dataclass(frozen=True)
class TokenizerFiles:
    file: str = "tokenizer.json"
    config: str = "tokenizer_config.json"


@dataclass(frozen=True)
class Manifest:
    """A family: its base, mixer sets and variants, and every file with its checksum."""

    family: str
    title: str
    description: str
    license: str
    source: str
    architecture: Architecture
    special_tokens: SpecialTokens
    tokenizer: TokenizerFiles
    files: Mapping[str, FileInfo]
    origin: Mapping[str, Any]
    tensors: Mapping[str, TensorEntry]
    mixer_sets: Mapping[str, MixerSet]
    variants: Mapping[str, Variant]
    token_ranking: TokenRanking | None = None

    def to_json(self) -> dict[str, Any]:
        return {
            "format": FORMAT,
            "version": VERSION,
            "family": self.family,
            "title": self.title,
            "description": self.description,
            "license": self.license,
            "source": self.source,
            "architecture": self.architecture.to_json(),
            "special_tokens": self.special_tokens.to_json(),
            "tokenizer": asdict(self.tokenizer),
            **({"token_ranking": asdict(self.token_ranking)} if self.token_ranking else {}),
            "files": {name: asdict(info) for name, info in sorted(self.files.items())},
            "base": {
                "origin": dict(self.origin),
                "tensors": {name: entry.to_json() for name, entry in self.tensors.items()},
            },
            "mixer_sets": {name: mixer_set.to_json() for name, mixer_set in self.mixer_sets.items()},
            "variants": {name: variant.to_json() for name, variant in self.variants.items()},
        }

    def draft(self, layers: Sequence[str]) -> tuple[str, MixerSet] | None:
        """The draft that these layers (of a checked variant) are, by its set's name; None if they are the base's."""
        name = split_layer(layers[0])[1]
        mixer_set = self.mixer_sets.get(name) if name is not None else None
        return (name, mixer_set) if name is not None and mixer_set is not None and mixer_set.draft else None

    def reads_features(self, layers: Sequence[str]) -> bool:
        """Whether these layers are a draft's that needs its target's hidden states."""
        found = self.draft(layers)
        return found is not None and found[1].draft is not None and found[1].draft.features

    def architecture_of(self, layers: Sequence[str]) -> Architecture:
        """The shape of a variant's model: the base's, or the draft's."""
        found = self.draft(layers)
        if found is None or found[1].draft is None:
            return self.architecture
        return found[1].draft.architecture(self.architecture)

    def entry(self, name: str, mixer_set: str | None = None) -> TensorEntry:
        """A tensor's entry; the set's tensors override the base's. Raises `tensor-missing`."""
        if mixer_set is not None:
            if mixer_set not in self.mixer_sets:
                raise MambascopeError(
                    "mixer-set-missing",
                    f"Family {self.family} has no mixer set {mixer_set!r}.",
                    f"Choose one of: {', '.join(self.mixer_sets) or 'none yet'}.",
                )
            if name in self.mixer_sets[mixer_set].tensors:
                return self.mixer_sets[mixer_set].tensors[name]
        if name not in self.tensors:
            raise MambascopeError(
                "tensor-missing", f"Family {self.family} has no tensor {name!r}.", "Import or export it again."
            )
        return self.tensors[name]


def load_manifest(path: Path) -> Manifest:
    """Reads and checks a manifest. Raises `manifest-missing` or `manifest-invalid`."""
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise MambascopeError(
            "manifest-missing", f"There is no {path.name} in {path.parent}.", "Import the family, or name its folder."
        ) from error
    except (ValueError, OSError) as error:
        raise invalid("manifest", f"it cannot be read ({error})") from error
    return parse_manifest(data)


def parse_manifest(data: Any) -> Manifest:
    """Checks a decoded JSON document: fields and types, then everything that must agree. Raises `manifest-invalid`."""
    top = Reader(data, "manifest")
    if (top.text("format"), top.integer("version", 1)) != (FORMAT, VERSION):
        raise invalid("manifest", f"it is not of format {FORMAT} version {VERSION}")
    architecture = _architecture(top.child("architecture"))
    special = top.child("special_tokens")
    tokenizer = top.child("tokenizer")
    base = top.child("base")
    ranking = top.optional_child("token_ranking")
    manifest = Manifest(
        family=top.text("family", NAME_PATTERN),
        title=top.text("title"),
        description=top.text("description"),
        license=top.text("license"),
        source=top.text("source"),
        architecture=architecture,
        special_tokens=SpecialTokens(
            special.optional_integer("bos"), special.integers("eos"), special.optional_integer("pad")
        ),
        tokenizer=TokenizerFiles(tokenizer.text("file", FILE_PATTERN), tokenizer.text("config", FILE_PATTERN)),
        files={name: _file_info(item) for name, item in top.children("files", FILE_PATTERN)},
        origin=_origin(base.child("origin")),
        tensors=_tensors(base),
        mixer_sets={name: _mixer_set(item) for name, item in top.children("mixer_sets", NAME_PATTERN)},
        variants={name: _variant(item) for name, item in top.children("variants", NAME_PATTERN)},
        token_ranking=parse_token_ranking(ranking, architecture.vocab_size) if ranking else None,
    )
    for reader in (top, special, tokenizer, base):
        reader.done()
    check_agreement(manifest)
    return manifest


def _architecture(reader: Reader) -> Architecture:
    architecture = Architecture(
        model_type=reader.text("model_type", re.compile("llama")),
        hidden_size=reader.integer("hidden_size", 1),
        intermediate_size=reader.integer("intermediate_size", 1),
        num_hidden_layers=reader.integer("num_hidden_layers", 1),
        num_attention_heads=reader.integer("num_attention_heads", 1),
        num_key_value_heads=reader.integer("num_key_value_heads", 1),
        head_dim=reader.integer("head_dim", 2),
        vocab_size=reader.integer("vocab_size", 1),
        max_position_embeddings=reader.integer("max_position_embeddings", 1),
        rms_norm_eps=reader.positive("rms_norm_eps"),
        rope_theta=reader.positive("rope_theta"),
        tie_word_embeddings=reader.boolean("tie_word_embeddings"),
        hidden_act=reader.text("hidden_act", re.compile("silu")),
    )
    reader.done()
    if architecture.num_attention_heads % architecture.num_key_value_heads or architecture.head_dim % 2:
        raise invalid(reader.path, "query heads must be a multiple of key/value heads, and head_dim even")
    return architecture


def _file_info(reader: Reader) -> FileInfo:
    info = FileInfo(reader.integer("bytes", 0), reader.text("sha256", SHA256_PATTERN))
    reader.done()
    return info


def _origin(reader: Reader) -> dict[str, Any]:
    kind = reader.text("kind")
    origin: dict[str, Any] = {"kind": kind}
    names = {"shipped": (), "imported": ("source",), "gguf-package": ("package", "version", "file")}
    if kind not in names:
        raise invalid(reader.path, f"kind {kind!r} is none of {', '.join(names)}")
    for name in names[kind]:
        origin[name] = reader.text(name)
    if kind == "gguf-package":
        origin["sha256"] = reader.text("sha256", SHA256_PATTERN)
    reader.done()
    return origin


def _tensors(reader: Reader) -> dict[str, TensorEntry]:
    tensors = {}
    for name, item in reader.children("tensors"):
        codec = item.text("codec")
        if codec not in CODEC_PARTS:
            raise invalid(item.path, f"codec {codec!r} is none of {', '.join(CODEC_PARTS)}")
        parts = item.child("parts")
        spans = {part: parts.span(part) for part in CODEC_PARTS[codec]}
        parts.done()
        entry = TensorEntry(codec, item.integers("shape"), item.text("file", FILE_PATTERN), spans)
        item.done()
        for part, shape in part_shapes(codec, entry.shape).items():
            size = prod(shape) * DTYPES[CODEC_PARTS[codec][part]].itemsize
            begin, end = spans[part]
            if end - begin != size:
                raise invalid(item.path, f"part {part} spans {end - begin} bytes, its shape needs {size}")
        tensors[name] = entry
    return tensors


def _mixer_set(reader: Reader) -> MixerSet:
    mixer = reader.text("mixer")
    draft = _draft(draft_fields) if (draft_fields := reader.optional_child("draft")) else None
    if mixer != "mamba2" and not (draft and mixer == "attention"):
        raise invalid(reader.path, f"mixer {mixer!r} is not known to this version, only mamba2 (attention in drafts)")
    mixer_set = MixerSet(
        mixer=mixer,
        config=reader.free("config"),
        layers=reader.integers("layers"),
        tensors=_tensors(reader),
        training=reader.free("training", optional=True),
        draft=draft,
    )
    reader.done()
    return mixer_set


def _draft(reader: Reader) -> Draft:
    layers, width = reader.integer("num_hidden_layers", 1), reader.integer("intermediate_size", 1)
    draft = Draft(layers, width, reader.flag("features"))
    reader.done()
    return draft


def _variant(reader: Reader) -> Variant:
    variant = Variant(reader.text("title"), reader.texts("layers"))
    reader.done()
    return variant


def format_manifest(manifest: Manifest) -> str:
    """Stable JSON text: nested, but what fits a line stays on one, so that a tensor is a line in a diff."""
    return _format(manifest.to_json(), 0) + "\n"


def _format(value: Any, depth: int) -> str:
    flat = json.dumps(value, ensure_ascii=False)
    if not isinstance(value, dict | list) or not value or (len(flat) <= 200 and depth > 1):
        return flat
    pad, end = " " * (depth + 1), " " * depth
    if isinstance(value, list):
        return "[\n" + ",\n".join(pad + _format(item, depth + 1) for item in value) + f"\n{end}]"
    items = (f"{pad}{json.dumps(key)}: {_format(item, depth + 1)}" for key, item in value.items())
    return "{\n" + ",\n".join(items) + f"\n{end}}}"
