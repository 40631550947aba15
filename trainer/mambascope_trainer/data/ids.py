"""How token ids are stored: 16 bits where the vocabulary fits them, else 32."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

#: Token ids as stored, uint16 or uint32.
Ids = npt.NDArray[np.unsignedinteger[Any]]

STORED = (np.dtype(np.uint16), np.dtype(np.uint32))


def id_type(largest: int) -> np.dtype[np.unsignedinteger[Any]]:
    """The type that holds ids up to `largest`."""
    return STORED[0] if largest <= 0xFFFF else STORED[1]
