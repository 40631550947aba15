"""The arithmetic that a measurement is made in, chosen once and recorded with it."""

from __future__ import annotations

from typing import Literal

import torch

Dtype = Literal["float32", "bfloat16"]
#: Tokens whose logits are held in float32 at a time: 1024 x 49,152 are 192 MiB.
HEAD_TOKENS = 1024


def autocast(device: torch.device, dtype: Dtype) -> torch.autocast:
    """The context of the layers' arithmetic. The LM head is always applied in float32 (`full_precision`)."""
    return torch.autocast(device.type, dtype=torch.bfloat16, enabled=dtype == "bfloat16")


def full_precision(device: torch.device) -> torch.autocast:
    """The context in which the LM head is applied: bfloat16 logits of 20 are 0.06 apart, more than hybrids differ."""
    return torch.autocast(device.type, enabled=False)
