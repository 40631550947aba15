"""The weight bundle: manifest, safetensors shards and block codecs. Needs numpy alone."""

from .bundle import Bundle
from .codecs import EncodedTensor, decode, encode
from .manifest import Architecture, Manifest, MixerSet, SpecialTokens, TensorEntry, Variant, load_manifest
from .writer import BundleWriter, Description, Storage

__all__ = [
    "Architecture",
    "Bundle",
    "BundleWriter",
    "Description",
    "EncodedTensor",
    "Manifest",
    "MixerSet",
    "SpecialTokens",
    "Storage",
    "TensorEntry",
    "Variant",
    "decode",
    "encode",
    "load_manifest",
]
