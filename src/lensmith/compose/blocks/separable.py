"""Depthwise separable convolutions: the block of MobileNet V1 (Howard et al. 2017)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

from lensmith import check
from lensmith.compose.layers import (
    STRIDE_PADDINGS,
    Kernel,
    Maker,
    StridePadding,
    Tensor,
    check_activation,
    check_kernel,
)


@dataclass(frozen=True, slots=True)
class Separable:
    """Filter each channel by itself, then mix them by a 1×1 convolution (Howard et al. 2017, Figure 3 right).

    A batch normalisation and an activation follow each of the two.

    Args:
        kernel: side of the depthwise window, or its height and width.
        activation: after each normalisation.
        padding: where the zeros go when the window strides, as in :class:`Conventions`; None is the recipe's own.
    """

    own_stride: ClassVar[int] = 1
    takes_filters: ClassVar[bool] = True

    kernel: Kernel = 3
    activation: str = "relu6"
    padding: StridePadding | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "kernel", check_kernel("separable.kernel", self.kernel))
        check_activation("separable.activation", self.activation)
        if self.padding is not None:
            check.one_of("separable.padding", self.padding, STRIDE_PADDINGS)

    def build(self, x: Tensor, make: Maker, *, filters: int, stride: int, name: str) -> Tensor:
        if self.padding is not None:
            make = replace(make, conventions=replace(make.conventions, padding=self.padding))
        bias = make.conventions.bias
        x = make.depthwise(x, f"{name}-conv1", self.kernel, stride=stride, bias=bias)
        x = make.activation(make.norm(x, f"{name}-norm1"), f"{name}-activation1", self.activation)
        x = make.conv(x, f"{name}-conv2", filters, 1, bias=bias)
        return make.activation(make.norm(x, f"{name}-norm2"), f"{name}-activation2", self.activation)
