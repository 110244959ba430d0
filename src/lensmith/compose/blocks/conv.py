"""Convolutions: the block of plain networks, and the single step of a stem or a branch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from lensmith import check
from lensmith.compose.layers import (
    Kernel,
    Maker,
    Padding,
    Tensor,
    check_activation,
    check_flag,
    check_kernel,
    check_padding,
)

Order = Literal["none", "before", "after", "local"]
ORDERS: tuple[Order, ...] = ("none", "before", "after", "local")


@dataclass(frozen=True, slots=True)
class Conv:
    """A convolution and its activation: the block of VGG (Simonyan & Zisserman 2015) and of plain networks.

    Args:
        kernel: side of the window in pixels, or its height and width.
        padding: ``same`` keeps the size (at stride 1), ``valid`` uses no padding.
        norm: batch normalisation ``before`` or ``after`` the activation, ``local`` response normalisation after it
            (:mod:`lensmith.compose.local_response`), or ``none``.
        activation: a Keras activation name.
        bias: None leaves the bias out exactly where a batch normalisation comes before the activation.
        groups: channels are dealt into so many groups that do not see each other.
    """

    own_stride: ClassVar[int] = 1
    takes_filters: ClassVar[bool] = True

    kernel: Kernel = 3
    padding: Padding = "same"
    norm: Order = "none"
    activation: str = "relu"
    bias: bool | None = None
    groups: int = 1

    def __post_init__(self) -> None:
        object.__setattr__(self, "kernel", check_kernel("conv.kernel", self.kernel))
        check_padding("conv.padding", self.padding)
        check.one_of("conv.norm", self.norm, ORDERS)
        check_activation("conv.activation", self.activation)
        if self.bias is not None:
            check_flag("conv.bias", self.bias)
        check.positive("conv.groups", self.groups)

    def build(self, x: Tensor, make: Maker, *, filters: int, stride: int, name: str) -> Tensor:
        bias = self.norm != "before" or make.conventions.bias if self.bias is None else self.bias
        x = make.conv(
            x,
            f"{name}-conv",
            filters,
            self.kernel,
            stride=stride,
            bias=bias,
            padding=self.padding,
            groups=self.groups,
        )
        if self.norm == "before":
            x = make.norm(x, f"{name}-norm")
        x = make.activation(x, f"{name}-activation", self.activation)
        if self.norm == "local":
            return make.local_norm(x, f"{name}-norm")
        return make.norm(x, f"{name}-norm") if self.norm == "after" else x


@dataclass(frozen=True, slots=True)
class Step:
    """One convolution with its width and stride: what stems and branches are written of.

    Args:
        filters: channels out.
        kernel: side of the window in pixels, or its height and width.
        stride: the result is so many times smaller.
        padding, norm, activation, bias, groups: see :class:`Conv`.
    """

    filters: int
    kernel: Kernel = 1
    stride: int = 1
    padding: Padding = "same"
    norm: Order = "before"
    activation: str = "relu"
    bias: bool | None = None
    groups: int = 1

    def __post_init__(self) -> None:
        check.positive("step.filters", self.filters)
        check.positive("step.stride", self.stride)
        object.__setattr__(self, "kernel", check_kernel("step.kernel", self.kernel))
        check_padding("step.padding", self.padding)
        check.one_of("step.norm", self.norm, ORDERS)
        check_activation("step.activation", self.activation)
        if self.bias is not None:
            check_flag("step.bias", self.bias)
        check.positive("step.groups", self.groups)

    def build(self, x: Tensor, make: Maker, name: str) -> Tensor:
        block = Conv(self.kernel, self.padding, self.norm, self.activation, self.bias, self.groups)
        return block.build(x, make, filters=self.filters, stride=self.stride, name=name)
