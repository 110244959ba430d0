"""What every block promises, and the pool that may stand beside blocks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal, Protocol

from lensmith import check
from lensmith.compose.layers import Maker, Padding, Tensor, check_padding, check_window

POOLS = ("max", "average")


class Block(Protocol):
    """What a group repeats: a frozen record that adds its layers to a tensor.

    ``own_stride`` is the stride a group's first block gets when none is named; ``takes_filters`` says whether the
    group names its width, or the block by itself.
    """

    own_stride: ClassVar[int]
    takes_filters: ClassVar[bool]

    def build(self, x: Tensor, make: Maker, *, filters: int, stride: int, name: str) -> Tensor:
        """Add the block's layers, named ``{name}-…``.

        Args:
            x: feature maps of shape ``(batch, height, width, channels)``.
            make: makes the layers.
            filters: the block's width; 0 where the block does not take it.
            stride: the result is so many times smaller.
            name: such as ``learner-group1-block2``.
        """
        ...


@dataclass(frozen=True, slots=True)
class Pool:
    """Pooling over windows.

    Args:
        size: side of the window in pixels.
        stride: None is the window's size, so that windows do not overlap.
        kind: ``max`` or ``average``.
        padding: ``same`` or ``valid`` (what does not fill a window is dropped).
    """

    size: int = 2
    stride: int | None = None
    kind: Literal["max", "average"] = "max"
    padding: Padding = "valid"

    def __post_init__(self) -> None:
        check.positive("pool.size", self.size)
        if self.stride is not None:
            check.positive("pool.stride", self.stride)
        check.one_of("pool.kind", self.kind, POOLS)
        check_padding("pool.padding", self.padding)

    def build(self, x: Tensor, make: Maker, name: str) -> Tensor:
        if self.padding == "valid":
            check_window(name, x, self.size)
        layer = make.layers.MaxPooling2D if self.kind == "max" else make.layers.AveragePooling2D
        return layer(self.size, strides=self.stride, padding=self.padding, name=name)(x)
