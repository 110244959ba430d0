"""Stems and learners: frozen records that add layers to a tensor. Tasks are in :mod:`.tasks`.

Layers are named by part: ``stem-conv``, ``learner-group2-block1-conv1``, ``learner-dense3``.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from lensmith import check
from lensmith.compose.blocks import BLOCKS, Block, Branches, Pool, Step, along
from lensmith.compose.cells import Cells
from lensmith.compose.layers import Maker, Tensor, check_activation, check_flag, check_image, check_widths


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
        bias = not self.norm or make.conventions.bias if self.bias is None else self.bias
        x = make.conv(x, "stem-conv", self.filters, self.kernel, stride=self.stride, bias=bias)
        x = make.norm(x, "stem-norm") if self.norm else x
        x = make.activation(x, "stem-activation", self.activation)
        if self.pool is None:
            return x
        return Pool(self.pool, stride=2).build(make.pad(x, "stem-pool-pad", self.pool, 2), make, "stem-pool")


@dataclass(frozen=True, slots=True, init=False)
class Steps:
    """A stem of convolutions and pools, one after the other; a :class:`Branches` block may stand among them.

    >>> Steps(Step(32, kernel=3, stride=2), Pool(3, stride=2)).steps[0].filters
    32
    """

    steps: tuple[Step | Pool | Branches, ...] = field(default=())

    def __init__(self, *steps: Step | Pool | Branches) -> None:
        for step in steps:
            if not isinstance(step, Step | Pool | Branches):
                raise check.SettingError(check.sentence("steps", "Step, Pool or Branches records", repr(step)))
        if not steps:
            raise check.SettingError("steps: expected at least one step; got none. For no stem at all, say None")
        object.__setattr__(self, "steps", tuple(steps))

    def build(self, x: Tensor, make: Maker) -> Tensor:
        check_image("stem", x)
        return along(self.steps, x, make, "stem")


@dataclass(frozen=True, slots=True)
class Flatten:
    """A stem that turns an image into a row of numbers, for dense networks."""

    def build(self, x: Tensor, make: Maker) -> Tensor:
        return make.layers.Flatten(name="stem-flatten")(x)


@dataclass(frozen=True, slots=True)
class Group:
    """Blocks, one of which may stride; then a pool and a dropout if wanted.

    Args:
        block: the record that is repeated, or a tuple of records, one for each block.
        filters: one number for all ``blocks``, or one for each block; None where the blocks name their own.
        blocks: how many, 1 if left out; left out when ``block`` or ``filters`` names each.
        stride: of the first block; None is the block's own (2 for residual blocks, else 1). All others have 1.
        pool: after the blocks; a whole number is a max pool of that window.
        dropout: share of activations dropped after the pool, 0..1.
        strided: which block has the stride, the ``first`` or the ``last``.
    """

    block: Block | tuple[Block, ...]
    filters: int | tuple[int, ...] | None = None
    blocks: int | None = None
    stride: int | None = None
    pool: Pool | int | None = None
    dropout: float = 0.0
    strided: Literal["first", "last"] = "first"

    def __post_init__(self) -> None:
        for name in ("block", "filters"):
            if isinstance(getattr(self, name), list):
                object.__setattr__(self, name, tuple(getattr(self, name)))
        self._check_blocks()
        if self.stride is not None:
            check.positive("group.stride", self.stride)
        if self.pool is not None and not isinstance(self.pool, Pool):
            object.__setattr__(self, "pool", Pool(check.positive("group.pool", self.pool)))
        check.between("group.dropout", self.dropout, 0.0, 1.0)
        check.one_of("group.strided", self.strided, ("first", "last"))

    def _check_blocks(self) -> None:
        own = self.block if isinstance(self.block, tuple) else (self.block,)
        if not own:
            raise check.SettingError("group.block: expected at least one block; got none. Name a block")
        for block in own:
            if type(block) not in BLOCKS.values():
                expected = f"a block ({', '.join(kind.__name__ for kind in BLOCKS.values())})"
                raise check.SettingError(check.sentence("group.block", expected, repr(block)))
            if block.takes_filters == (self.filters is None):
                expected = "a number of filters" if block.takes_filters else "none, since the block names its own"
                raise check.SettingError(check.sentence("group.filters", expected, repr(self.filters)))
        each = self.each_filters  # which checks how many there are
        if self.filters is not None:
            for filters in each:
                check.positive("group.filters", filters)

    @property
    def each_block(self) -> tuple[Block, ...]:
        """The blocks in order."""
        if isinstance(self.block, tuple):
            return self.block
        return (self.block,) * len(self.each_filters)

    @property
    def each_filters(self) -> tuple[int, ...]:
        """The filters of each block; 0 where blocks name their own."""
        named = {
            name: len(value)
            for name, value in (("block", self.block), ("filters", self.filters))
            if isinstance(value, tuple)
        }
        if isinstance(self.filters, tuple) and not self.filters:
            raise check.SettingError("group.filters: expected at least one block; got none. Name a number of filters")
        counts = {**named} if self.blocks is None else {**named, "blocks": check.positive("group.blocks", self.blocks)}
        if len(set(counts.values())) > 1:
            name, count = next(iter(counts.items()))
            last = list(counts)[-1]
            expected = f"{count}, since {name} names {count}"
            remedy = "Leave blocks out" if last == "blocks" else "Name one for each block"
            raise check.SettingError(check.sentence(f"group.{last}", expected, counts[last], remedy))
        if isinstance(self.filters, tuple):
            return self.filters
        return (self.filters or 0,) * next(iter(counts.values()), 1)

    def build(self, x: Tensor, make: Maker, name: str) -> Tensor:
        blocks = self.each_block
        own = blocks[0].own_stride if self.stride is None else self.stride
        place = 1 if self.strided == "first" else len(blocks)
        for i, (block, filters) in enumerate(zip(blocks, self.each_filters, strict=True), start=1):
            x = block.build(x, make, filters=filters, stride=own if i == place else 1, name=f"{name}-block{i}")
        if isinstance(self.pool, Pool):
            x = self.pool.build(x, make, f"{name}-pool")
        return make.dropout(x, f"{name}-dropout", self.dropout)


@dataclass(frozen=True, slots=True, init=False)
class Groups:
    """A convolutional learner: groups of blocks, one after the other.

    >>> from lensmith.compose import Conv
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
        if self.closing:
            x = make.activation(make.norm(x, "learner-norm"), "learner-relu", "relu")
        return x

    @property
    def closing(self) -> bool:
        """Whether a batch normalisation and a rectifier close the learner: where the last block leaves that open."""
        return bool(getattr(self.groups[-1].each_block[-1], "leaves_open", False))


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


Stem = ConvStem | Steps | Flatten
Learner = Groups | Dense | Cells
