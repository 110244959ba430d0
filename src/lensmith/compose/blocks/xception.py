"""Separable convolutions without anything between their two halves: the blocks of Xception (Chollet 2017)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from lensmith import check
from lensmith.compose.blocks.block import Pool
from lensmith.compose.layers import Kernel, Maker, Tensor, check_activation, check_flag, check_kernel

Widening = Literal["first", "last"]
WIDENINGS: tuple[Widening, ...] = ("first", "last")


@dataclass(frozen=True, slots=True)
class SeparableConv:
    """A separable convolution, normalised and activated: the exit of Xception (Chollet 2017, Figure 5).

    Unlike in the ``separable`` block of MobileNet, nothing comes between the window over each channel and the
    1×1 convolution that mixes them: Section 4.7 found that better.

    Args:
        kernel: side of the window over each channel, or its height and width.
        activation: after the normalisation.
    """

    own_stride: ClassVar[int] = 1
    takes_filters: ClassVar[bool] = True

    kernel: Kernel = 3
    activation: str = "relu"

    def __post_init__(self) -> None:
        object.__setattr__(self, "kernel", check_kernel("separable-conv.kernel", self.kernel))
        check_activation("separable-conv.activation", self.activation)

    def build(self, x: Tensor, make: Maker, *, filters: int, stride: int, name: str) -> Tensor:
        x = separable(x, make, name, filters, self.kernel, stride=stride)
        return make.activation(x, f"{name}-activation", self.activation)


@dataclass(frozen=True, slots=True)
class SeparableResidual:
    """Separable convolutions beside a shortcut: the module of Xception (Chollet 2017, Figure 5).

    Each convolution is activated before and normalised after. Where the block strides, a max pool of 3 pixels
    after the last convolution does it, and the shortcut is a normalised 1×1 convolution of that stride; where
    the channels change without a stride the shortcut is such a convolution too.

    Args:
        depth: how many convolutions.
        kernel: side of the window over each channel, or its height and width.
        widening: whether the ``first`` or the ``last`` convolution brings the channels to the group's filters.
        activated: whether the first convolution's input is activated too; not where the stem has done it.
        activation: before each convolution.
    """

    own_stride: ClassVar[int] = 2
    takes_filters: ClassVar[bool] = True

    depth: int = 2
    kernel: Kernel = 3
    widening: Widening = "first"
    activated: bool = True
    activation: str = "relu"

    def __post_init__(self) -> None:
        check.positive("separable-residual.depth", self.depth)
        object.__setattr__(self, "kernel", check_kernel("separable-residual.kernel", self.kernel))
        check.one_of("separable-residual.widening", self.widening, WIDENINGS)
        check_flag("separable-residual.activated", self.activated)
        check_activation("separable-residual.activation", self.activation)

    def build(self, x: Tensor, make: Maker, *, filters: int, stride: int, name: str) -> Tensor:
        # The shortcut is made first, as in keras.applications, whose names of it tell no more than the order.
        shortcut = self._shortcut(x, make, filters, stride, f"{name}-shortcut")
        channels = x.shape[-1]
        for i in range(1, self.depth + 1):
            if i > 1 or self.activated:
                x = make.activation(x, f"{name}-activation{i}", self.activation)
            width = filters if self.widening == "first" or i == self.depth else channels
            x = separable(x, make, f"{name}-{i}", width, self.kernel)
        if stride > 1:
            x = Pool(3, stride=stride, padding="same").build(x, make, f"{name}-pool")
        return make.add([x, shortcut], f"{name}-add")

    def _shortcut(self, x: Tensor, make: Maker, filters: int, stride: int, name: str) -> Tensor:
        if stride == 1 and x.shape[-1] == filters:
            return x
        x = make.conv(x, f"{name}-conv", filters, 1, stride=stride, bias=make.conventions.bias)
        return make.norm(x, f"{name}-norm")


def separable(x: Tensor, make: Maker, name: str, filters: int, kernel: Kernel, *, stride: int = 1) -> Tensor:
    """A window over each channel by itself, a 1×1 convolution of all, a batch normalisation, nothing between them."""
    x = make.depthwise(x, f"{name}-depthwise", kernel, stride=stride)
    x = make.conv(x, f"{name}-pointwise", filters, 1, bias=make.conventions.bias)
    return make.norm(x, f"{name}-norm")
