"""Importing a Hugging Face folder, a teacher or a hybrid, as a family of its own."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from ..bundle.bundle import Bundle
from ..bundle.codecs import EncodedTensor
from ..bundle.manifest import Architecture, Manifest
from ..bundle.names import NAME_PATTERN
from ..bundle.verify import verify_bundle
from ..bundle.writer import BundleWriter, Description, Storage
from ..errors import MambascopeError
from ..new_folder import new_folder
from ..progress import Progress
from .checkpoint import Checkpoint
from .hf_config import HuggingFaceConfig, check_model, read_json, read_model
from .hf_tokenizer import read_tokenizer
from .hybrid import ImportedHybrid, mixer_names
from .import_gguf import Titles
from .mamba_in_llama import MAMBA_CONFIG, MambaConfig, MambaInLlama
from .own_hybrid import MODEL_TYPE, OwnConfig, OwnHybrid

_ATTENTION = re.compile(r"model\.layers\.(\d+)\.self_attn\..+")
# Buffers that older checkpoints hold beside their weights.
_IGNORED = re.compile(r".*\.rotary_emb\.inv_freq")
_HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")
_HUB_FILES = ["*.json", "*.safetensors", "*.jinja", "pytorch_model*.bin"]


@dataclass(frozen=True)
class Codecs:
    """How projections, and the embedding with the LM head, are stored; other tensors are f32."""

    matrix: str = "q8_0"
    embedding: str | None = None

    def storage(self) -> Storage:
        # Four bits in the embedding cost more than they save.
        default = "q8_0" if self.matrix.startswith("q4") else self.matrix
        return Storage(matrix=self.matrix, embedding=self.embedding or default)


def import_hugging_face(
    source: str, family: str, out: Path, titles: Titles, codecs: Codecs, progress: Progress
) -> Manifest:
    """Writes the family into the new folder `out`: base, tokenizer and the variant `teacher`, or of a hybrid its mixers
    and one variant: `published` (its authors' layout) or `imported` (that of `export --format hf`).

    Everything is checked before; nothing is left behind by a failure.
    """
    if not NAME_PATTERN.fullmatch(family):
        raise MambascopeError(
            "family-name", f"{family!r} cannot name a family.", "Use up to 64 letters, digits, hyphens and underscores."
        )
    folder = find_source(source)
    document, own = read_json(folder / "config.json"), None
    if isinstance(document, dict) and document.get("model_type") == MODEL_TYPE:
        own = check_model("config.json", document, OwnConfig)
        document = own.as_llama(document)
    config = check_model("config.json", document, HuggingFaceConfig)
    mamba = read_model(folder / MAMBA_CONFIG, MambaConfig) if (folder / MAMBA_CONFIG).is_file() else None
    arch = config.architecture(attention=mamba is None or bool(mamba.attn_layers))
    checkpoint = Checkpoint(folder, allow_pickle=mamba is not None)
    hybrid: ImportedHybrid | None = None
    if own is not None:
        hybrid = OwnHybrid(own, arch.hidden_size, checkpoint.shapes)
    elif mamba is not None:
        hybrid = MambaInLlama(mamba, arch, checkpoint.shapes)
    names = _base_names(arch, checkpoint, hybrid)
    tokenizer = read_tokenizer(folder, config)

    # A folder is named without its path, which says nothing elsewhere.
    label = folder.resolve().name if Path(source).is_dir() else source
    description = Description(
        family, titles.title or label, titles.description or "", titles.license or "unknown", titles.source or label
    )
    storage = codecs.storage()
    with new_folder(out) as part:
        encoded: dict[str, EncodedTensor] = {}
        for done, name in enumerate(names, start=1):
            encoded[name] = storage.encode(name, checkpoint.tensor(name))
            progress.report("convert", done, len(names))
        origin = {"kind": "imported", "source": label}
        writer = BundleWriter.create(
            part,
            description,
            arch,
            tokenizer.special_tokens,
            (tokenizer.file, tokenizer.config),
            encoded,
            origin=origin,
        )
        if hybrid is not None:
            _add_hybrid(writer, hybrid, checkpoint, storage)
        for fault in verify_bundle(Bundle.open(part), progress):
            raise MambascopeError("checksum-mismatch", f"{fault.file}: {fault.text}.", "Check the disk and try again.")
    return writer.manifest


def _add_hybrid(writer: BundleWriter, hybrid: ImportedHybrid, checkpoint: Checkpoint, storage: Storage) -> None:
    layers = ["attention"] * writer.manifest.architecture.num_hidden_layers
    for item in hybrid.sets(checkpoint.tensor, checkpoint.shapes):
        writer.add_mixer_set(item.name, item.config.model_dump(), item.layers, item.tensors, storage, item.training)
        for index in item.layers:
            layers[index] = f"mamba2:{item.name}"
    kept = layers.count("attention") / len(layers)
    writer.add_variant(hybrid.variant, f"{kept:.0%} attention, as {hybrid.variant}", layers)


def find_source(source: str) -> Path:
    """The folder itself, or a hub id's files in the hub's own cache.

    Raises `source-missing`, `package-missing` or `hub-unreachable`.
    """
    folder = Path(source)
    if folder.is_dir():
        return folder
    if folder.exists() or not _HUB_ID.fullmatch(source):
        raise MambascopeError(
            "source-missing", f"{source} is neither a folder nor a hub id.", "Name a folder, or owner/name on the hub."
        )
    try:
        from huggingface_hub import snapshot_download
    except ModuleNotFoundError:
        raise MambascopeError(
            "package-missing",
            f"There is no folder {source}; to fetch it as a hub id, the Python package huggingface_hub is needed.",
            "Install huggingface_hub, or download the model's files and name their folder.",
        ) from None
    try:
        return Path(snapshot_download(source, allow_patterns=_HUB_FILES))
    except Exception as error:  # the package raises errors of its own, of requests and of httpx
        raise MambascopeError(
            "hub-unreachable",
            f"There is no folder {source}, and the hub did not give it: {str(error).splitlines()[0]}.",
            "Check the name, the network and the access rights, or download the files and name their folder.",
        ) from error


def _base_names(arch: Architecture, checkpoint: Checkpoint, hybrid: ImportedHybrid | None) -> list[str]:
    """The base's tensors in the model's order. Raises `hf-tensors` if one is missing, unknown or of another shape."""
    replaced = set(hybrid.layers) if hybrid is not None else set()
    expected: Mapping[str, tuple[int, ...]] = {
        name: shape
        for name, shape in arch.tensor_shapes().items()
        if (match := _ATTENTION.fullmatch(name)) is None or int(match[1]) not in replaced
    }
    ignored = {"lm_head.weight"} if arch.tie_word_embeddings else set()
    mixers = mixer_names(hybrid, checkpoint.shapes) if hybrid is not None else set()
    unknown = sorted(
        name
        for name in checkpoint.shapes
        if name not in expected and name not in mixers and name not in ignored and not _IGNORED.fullmatch(name)
    )
    missing = [name for name in expected if name not in checkpoint.shapes]
    if missing:
        raise _tensors(f"it lacks {len(missing)} tensors, {missing[0]} first")
    if unknown:
        raise _tensors(f"it has {len(unknown)} tensors that a Llama has not, {unknown[0]} first")
    for name, shape in expected.items():
        if checkpoint.shapes[name] != shape:
            raise _tensors(f"{name} has the shape {list(checkpoint.shapes[name])}, config.json asks for {list(shape)}")
    return list(expected)


def _tensors(why: str) -> MambascopeError:
    return MambascopeError(
        "hf-tensors",
        f"The checkpoint does not fit its config.json: {why}.",
        "Download all its files again, or choose a plain Llama.",
    )
