"""Inverted residual blocks: wide inside, narrow between blocks (Sandler et al. 2018, Howard et al. 2019)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from lensmith import check
from lensmith.compose.layers import Kernel, Maker, Tensor, check_activation, check_kernel

SqueezeOf = Literal["inside", "input"]
SQUEEZE_OF: tuple[SqueezeOf, ...] = ("inside", "input")
MULTIPLE = 8


def divisible(width: float, by: int = MULTIPLE) -> int:
    """The multiple of ``by`` nearest to a width, at least ``by``, and not more than a tenth below the width.

    The rule of the MobileNet authors' code (``_make_divisible``), by which every scaled width is rounded.

    >>> [divisible(width) for width in (4.2, 11.2, 12, 33.6)]
    [8, 16, 16, 32]
    """
    rounded = max(by, int(width + by / 2) // by * by)
    return rounded + by if rounded < 0.9 * width else rounded


@dataclass(frozen=True, slots=True)
class Squeeze:
    """Squeeze and excitation inside an inverted residual block (Hu et al. 2018; Howard et al. 2019, Section 5.3).

    Args:
        share: the hidden layer has so many times the channels, 0..1.
        of: whose channels: those ``inside`` the block (MobileNet V3) or of its ``input`` (EfficientNet).
        multiple: the width is rounded to a multiple of this.
        activation: of the hidden layer.
        gate: of the factors.
    """

    share: float = 0.25
    of: SqueezeOf = "inside"
    multiple: int = MULTIPLE
    activation: str = "relu"
    gate: str = "hard_sigmoid"

    def __post_init__(self) -> None:
        check.between("squeeze.share", self.share, 0.0, 1.0)
        check.one_of("squeeze.of", self.of, SQUEEZE_OF)
        check.positive("squeeze.multiple", self.multiple)
        check_activation("squeeze.activation", self.activation)
        check_activation("squeeze.gate", self.gate)

    def build(self, x: Tensor, make: Maker, *, before: int, name: str) -> Tensor:
        """The channels of ``x``, each times its factor; ``before`` is how many channels the block took in."""
        width = before if self.of == "input" else x.shape[-1]
        units = divisible(width * self.share, self.multiple)
        return make.squeeze(x, name, units, activation=self.activation, gate=self.gate)


@dataclass(frozen=True, slots=True)
class InvertedResidual:
    """Widen by a 1×1 convolution, filter each channel, narrow by a linear 1×1 (Sandler et al. 2018, Figure 4d).

    What came in is added where neither size nor channels change.

    Args:
        expansion: so many times the channels inside, rounded to a multiple of 8; 1 leaves the first convolution out.
        kernel: side of the depthwise window, or its height and width.
        squeeze: squeeze and excitation before the last convolution; None for none.
        activation: of the first two convolutions; the last has none.
    """

    own_stride: ClassVar[int] = 2
    takes_filters: ClassVar[bool] = True

    expansion: float = 6
    kernel: Kernel = 3
    squeeze: Squeeze | None = None
    activation: str = "relu6"

    def __post_init__(self) -> None:
        check.between("inverted-residual.expansion", self.expansion, 1.0, 100.0)
        object.__setattr__(self, "kernel", check_kernel("inverted-residual.kernel", self.kernel))
        if self.squeeze is not None and not isinstance(self.squeeze, Squeeze):
            expected = "a Squeeze record or None"
            raise check.SettingError(check.sentence("inverted-residual.squeeze", expected, repr(self.squeeze)))
        check_activation("inverted-residual.activation", self.activation)

    def build(self, x: Tensor, make: Maker, *, filters: int, stride: int, name: str) -> Tensor:
        source, before, bias = x, x.shape[-1], make.conventions.bias
        if self.expansion != 1:
            x = make.conv(x, f"{name}-conv1", divisible(before * self.expansion), 1, bias=bias)
            x = make.activation(make.norm(x, f"{name}-norm1"), f"{name}-activation1", self.activation)
        x = make.depthwise(x, f"{name}-conv2", self.kernel, stride=stride, bias=bias)
        x = make.activation(make.norm(x, f"{name}-norm2"), f"{name}-activation2", self.activation)
        if self.squeeze is not None:
            x = self.squeeze.build(x, make, before=before, name=name)
        x = make.norm(make.conv(x, f"{name}-conv3", filters, 1, bias=bias), f"{name}-norm3")
        return make.add([source, x], f"{name}-add") if stride == 1 and before == filters else x
