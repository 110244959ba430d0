"""Stems and learners: frozen records that add layers to a tensor. Tasks are in :mod:`.tasks`.

Layers are named by part: ``stem-conv``, ``learner-group2-block1-conv1``, ``learner-dense3``.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from lensmith import check
from lensmith.backend import keras
from lensmith.compose.blocks import Basic, Block, Bottleneck, Conv
from lensmith.compose.layers import (
    Maker,
    Padding,
    Tensor,
    check_activation,
    check_flag,
    check_image,
    check_padding,
    check_widths,
    check_window,
)

POOLS = ("max", "average")


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

    def build(self, x: Tensor, name: str) -> Tensor:
        if self.padding == "valid":
            check_window(name, x, self.size)
        layer = keras.layers.MaxPooling2D if self.kind == "max" else keras.layers.AveragePooling2D
        return layer(self.size, strides=self.stride, padding=self.padding, name=name)(x)


@dataclass(frozen=True, slots=True)
class ConvStem:
    """The entry of a residual network: one convolution, then a pool.

    Args:
        filters: channels out.
        kernel: side of the window.
        stride: 2 for photographs; 1 for images of 32 pixels or so.
        pool: window of a max pool of stride 2, or None.
        norm: batch normalisation between convolution and activation.
        activation: ``linear`` for networks of version 2, whose first block activates.
        bias: in the convolution; None means only without ``norm``, where version 2 has none either.
    """

    filters: int
    kernel: int = 7
    stride: int = 2
    pool: int | None = None
    norm: bool = True
    activation: str = "relu"
    bias: bool | None = None

    def __post_init__(self) -> None:
        for name in ("filters", "kernel", "stride"):
            check.positive(f"conv-stem.{name}", getattr(self, name))
        if self.pool is not None:
            check.positive("conv-stem.pool", self.pool)
        check_flag("conv-stem.norm", self.norm)
        if self.bias is not None:
            check_flag("conv-stem.bias", self.bias)
        check_activation("conv-stem.activation", self.activation)

    def build(self, x: Tensor, make: Maker) -> Tensor:
        check_image("stem", x)
        bias = not self.norm if self.bias is None else self.bias
        x = make.conv(x, "stem-conv", self.filters, self.kernel, stride=self.stride, bias=bias)
        x = make.norm(x, "stem-norm") if self.norm else x
        x = make.activation(x, "stem-activation", self.activation)
        if self.pool is None:
            return x
        return Pool(self.pool, stride=2).build(make.pad(x, "stem-pool-pad", self.pool), "stem-pool")


@dataclass(frozen=True, slots=True)
class Flatten:
    """A stem that turns an image into a row of numbers, for dense networks."""

    def build(self, x: Tensor, make: Maker) -> Tensor:
        return keras.layers.Flatten(name="stem-flatten")(x)


@dataclass(frozen=True, slots=True)
class Group:
    """Blocks of one kind, the first of which may stride; then a pool and a dropout if wanted.

    Args:
        block: the record that is repeated.
        filters: one number for all ``blocks``, or one for each block.
        blocks: how many, 1 if left out; left out when ``filters`` names each.
        stride: of the first block; None is the block's own (2 for residual blocks, else 1). All others have 1.
        pool: after the blocks; a whole number is a max pool of that window.
        dropout: share of activations dropped after the pool, 0..1.
    """

    block: Block
    filters: int | tuple[int, ...]
    blocks: int | None = None
    stride: int | None = None
    pool: Pool | int | None = None
    dropout: float = 0.0

    def __post_init__(self) -> None:
        if not isinstance(self.block, Conv | Basic | Bottleneck):
            raise check.SettingError(check.sentence("group.block", "a Conv, Basic or Bottleneck", repr(self.block)))
        if isinstance(self.filters, list):
            object.__setattr__(self, "filters", tuple(self.filters))
        for filters in self.each_filters:
            check.positive("group.filters", filters)
        if self.stride is not None:
            check.positive("group.stride", self.stride)
        if self.pool is not None and not isinstance(self.pool, Pool):
            object.__setattr__(self, "pool", Pool(check.positive("group.pool", self.pool)))
        check.between("group.dropout", self.dropout, 0.0, 1.0)

    @property
    def each_filters(self) -> tuple[int, ...]:
        """The filters of each block."""
        if not isinstance(self.filters, tuple):
            return (self.filters,) * (1 if self.blocks is None else check.positive("group.blocks", self.blocks))
        if not self.filters:
            raise check.SettingError("group.filters: expected at least one block; got none. Name a number of filters")
        if self.blocks is not None and check.positive("group.blocks", self.blocks) != len(self.filters):
            expected = f"{len(self.filters)}, since filters names {len(self.filters)}"
            raise check.SettingError(check.sentence("group.blocks", expected, self.blocks, "Leave blocks out"))
        return self.filters

    def build(self, x: Tensor, make: Maker, name: str) -> Tensor:
        first = self.block.own_stride if self.stride is None else self.stride
        for i, filters in enumerate(self.each_filters, start=1):
            stride = first if i == 1 else 1
            x = self.block.build(x, make, filters=filters, stride=stride, name=f"{name}-block{i}")
        if isinstance(self.pool, Pool):
            x = self.pool.build(x, f"{name}-pool")
        return make.dropout(x, f"{name}-dropout", self.dropout)


@dataclass(frozen=True, slots=True, init=False)
class Groups:
    """A convolutional learner: groups of blocks, one after the other.

    >>> Groups(Group(Conv(), filters=16), Group(Conv(), filters=(32, 64), pool=2)).groups[1].pool
    Pool(size=2, stride=None, kind='max', padding='valid')
    """

    groups: tuple[Group, ...] = field(default=())

    def __init__(self, *groups: Group) -> None:
        for group in groups:
            if not isinstance(group, Group):
                raise check.SettingError(check.sentence("groups", "Group records", repr(group)))
        if not groups:
            raise check.SettingError("groups: expected at least one group; got none. For no learner at all, say None")
        object.__setattr__(self, "groups", tuple(groups))

    def build(self, x: Tensor, make: Maker) -> Tensor:
        check_image("learner", x)
        for i, group in enumerate(self.groups, start=1):
            x = group.build(x, make, f"learner-group{i}")
        if getattr(self.groups[-1].block, "version", "") == "2":  # version 2 leaves its last sum not activated
            x = make.activation(make.norm(x, "learner-norm"), "learner-relu", "relu")
        return x


@dataclass(frozen=True, slots=True)
class Dense:
    """A learner of fully connected layers, for rows of numbers and flattened images.

    Args:
        units: the width of each layer.
        activation: after each layer.
        dropout: share of units dropped before each activation, 0..1.
    """

    units: tuple[int, ...]
    activation: str = "relu"
    dropout: float = 0.0

    def __post_init__(self) -> None:
        object.__setattr__(self, "units", check_widths("dense.units", self.units))
        if not self.units:
            raise check.SettingError("dense.units: expected at least one layer; got none. For no learner, say None")
        check_activation("dense.activation", self.activation)
        check.between("dense.dropout", self.dropout, 0.0, 1.0)

    def build(self, x: Tensor, make: Maker) -> Tensor:
        if len(x.shape) != 2:
            expected = "a row of numbers"
            raise check.SettingError(check.sentence("learner", expected, x.shape[1:], "Put a Flatten stem before it"))
        for i, width in enumerate(self.units, start=1):
            x = make.dense(x, f"learner-dense{i}", width)
            x = make.dropout(x, f"learner-dropout{i}", self.dropout)
            x = make.activation(x, f"learner-activation{i}", self.activation)
        return x


Stem = ConvStem | Flatten
Learner = Groups | Dense
