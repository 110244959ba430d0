"""Dense connections: every layer reads what all layers before it gave (Huang et al. 2017)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from lensmith import check
from lensmith.compose.blocks.block import Pool
from lensmith.compose.layers import Maker, Tensor


@dataclass(frozen=True, slots=True)
class DenseLayer:
    """BN-ReLU-Conv, its channels put beside those that came in (Huang et al. 2017, Section 3).

    The group's ``filters`` are the growth rate: so many channels each layer adds.

    Args:
        bottleneck: a 1×1 convolution to so many times the growth rate comes first (DenseNet-B); None for none.
        dropout: share dropped after each convolution (Section 4.2: 0.2 where images are not augmented), 0..1.
    """

    own_stride: ClassVar[int] = 1
    takes_filters: ClassVar[bool] = True

    bottleneck: int | None = 4
    dropout: float = 0.0

    def __post_init__(self) -> None:
        if self.bottleneck is not None:
            check.positive("dense-layer.bottleneck", self.bottleneck)
        check.between("dense-layer.dropout", self.dropout, 0.0, 1.0)

    @property
    def leaves_open(self) -> bool:
        """What it gives still waits for a normalisation and an activation."""
        return True

    def build(self, x: Tensor, make: Maker, *, filters: int, stride: int, name: str) -> Tensor:
        if stride != 1:
            remedy = "Put a group of a Transition before it, and leave the group's stride out"
            raise check.SettingError(check.sentence(name, "stride 1", stride, remedy))
        convs = ((filters, 3),) if self.bottleneck is None else ((self.bottleneck * filters, 1), (filters, 3))
        new = x
        for i, (width, kernel) in enumerate(convs, start=1):
            new = make.activation(make.norm(new, f"{name}-norm{i}"), f"{name}-relu{i}", "relu")
            new = make.conv(new, f"{name}-conv{i}", width, kernel, bias=make.conventions.bias)
            new = make.dropout(new, f"{name}-dropout{i}", self.dropout)
        return make.concatenate([x, new], f"{name}-concat")


@dataclass(frozen=True, slots=True)
class Transition:
    """What stands between two dense blocks: BN-ReLU-Conv 1×1, then the mean of each 2×2 window (Huang et al. 2017).

    Args:
        compression: share of the channels that is kept, above 0 and up to 1 (Section 3: θ; 0.5 is DenseNet-C).
    """

    own_stride: ClassVar[int] = 2
    takes_filters: ClassVar[bool] = False

    compression: float = 0.5

    def __post_init__(self) -> None:
        check.between("transition.compression", self.compression, 0.0, 1.0)
        if self.compression == 0:
            raise check.SettingError("transition.compression: expected a share above 0; got 0, which keeps no channel")

    def build(self, x: Tensor, make: Maker, *, filters: int, stride: int, name: str) -> Tensor:
        x = make.activation(make.norm(x, f"{name}-norm"), f"{name}-relu", "relu")
        kept = max(1, int(x.shape[-1] * self.compression))
        x = make.conv(x, f"{name}-conv", kept, 1, bias=make.conventions.bias)
        return x if stride == 1 else Pool(stride, kind="average").build(x, make, f"{name}-pool")
