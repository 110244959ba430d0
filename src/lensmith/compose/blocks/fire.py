"""The fire module of SqueezeNet (Iandola et al. 2016)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from lensmith import check
from lensmith.compose.layers import Maker, Tensor

Bypass = Literal["none", "simple", "complex"]
BYPASSES: tuple[Bypass, ...] = ("none", "simple", "complex")


@dataclass(frozen=True, slots=True)
class Fire:
    """Few 1×1 filters, then 1×1 and 3×3 filters beside each other (Iandola et al. 2016, Figure 1).

    Every convolution has a bias and a rectifier; no batch normalisation.

    Args:
        squeeze: the first convolution has so many times the block's filters, above 0 to 1 (the paper's SR).
        share: of the block's filters that are 3×3, 0..1 (the paper's pct3×3).
        bypass: what went in is added to what comes out (Figure 2): ``simple`` where both have the same channels,
            ``complex`` everywhere, through a 1×1 convolution where they have not; or ``none``.
    """

    own_stride: ClassVar[int] = 1
    takes_filters: ClassVar[bool] = True

    squeeze: float = 0.125
    share: float = 0.5
    bypass: Bypass = "none"

    def __post_init__(self) -> None:
        check.between("fire.squeeze", self.squeeze, 0.0, 1.0)
        check.between("fire.share", self.share, 0.0, 1.0)
        check.one_of("fire.bypass", self.bypass, BYPASSES)

    def build(self, x: Tensor, make: Maker, *, filters: int, stride: int, name: str) -> Tensor:
        if stride != 1:
            remedy = "Pool before or after the group instead"
            raise check.SettingError(check.sentence(name, "stride 1", stride, remedy))
        wide = round(filters * self.share)
        thin = _rectified(x, make, max(1, round(filters * self.squeeze)), 1, f"{name}-conv1")
        ends = [
            _rectified(thin, make, width, kernel, f"{name}-conv{2 if kernel == 1 else 3}")
            for width, kernel in ((filters - wide, 1), (wide, 3))
            if width
        ]
        return self._bypassed(x, make.concatenate(ends, f"{name}-concat"), make, name)

    def _bypassed(self, x: Tensor, joined: Tensor, make: Maker, name: str) -> Tensor:
        same = x.shape[-1] == joined.shape[-1]
        if self.bypass == "none" or (self.bypass == "simple" and not same):
            return joined
        if not same:
            x = make.conv(x, f"{name}-shortcut-conv", joined.shape[-1], 1, bias=True)
        return make.add([x, joined], f"{name}-add")


def _rectified(x: Tensor, make: Maker, filters: int, kernel: int, name: str) -> Tensor:
    return make.activation(make.conv(x, name, filters, kernel, bias=True), f"{name}-relu", "relu")
