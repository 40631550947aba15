"""A projection that is trained through the block codec in which it will ship."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from .quantise import straight_through


class CodedLinear(nn.Linear):
    """y = q(W) x without bias: the quantised value forward, the identity's gradient backward."""

    def __init__(self, source: nn.Linear, codec: str | None) -> None:
        """Takes over the source's weight; `codec` as `straight_through` has it."""
        super().__init__(source.in_features, source.out_features, bias=False, device="meta")
        self.weight = source.weight
        self.codec = codec

    def forward(self, input: Tensor) -> Tensor:
        return F.linear(input, straight_through(self.weight, self.codec))


def code_projections(module: nn.Module, codec: str | None) -> None:
    """Every direct child that is a plain linear layer, trained through `codec` from now on."""
    for name, child in list(module.named_children()):
        if type(child) is nn.Linear:
            setattr(module, name, CodedLinear(child, codec))
