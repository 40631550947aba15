"""Names in bundles: families, mixer sets, variants, files, and a layer's mixer."""

from __future__ import annotations

import re

from ..errors import MambascopeError

NAME_PATTERN = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")
FILE_PATTERN = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
SHA256_PATTERN = re.compile(r"[0-9a-f]{64}")
MIXER_KINDS = ("attention", "mamba2", "mamba")


def split_layer(name: str) -> tuple[str, str | None]:
    """`attention` to (`attention`, None); `mamba2:attn50` to (`mamba2`, `attn50`). Raises `layer-name`.

    Attention of a set (`attention:draft2-attention`) is a draft's.
    """
    kind, colon, mixer_set = name.partition(":")
    if name == "attention" or (kind in MIXER_KINDS and colon and NAME_PATTERN.fullmatch(mixer_set)):
        return kind, mixer_set or None
    raise MambascopeError(
        "layer-name",
        f"{name!r} is no layer's mixer.",
        "Use 'attention' or '<mixer>:<set>' with mamba2, mamba or a draft's attention; sets are named in letters, "
        "digits, - and _.",
    )
