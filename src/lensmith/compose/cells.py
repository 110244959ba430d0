"""The learner of NASNet: cells that each read the two before them (Zoph et al. 2018).

A cell is five sums of two operations each, found by search (Figure 4, NASNet-A). Here it is a table.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from lensmith import check
from lensmith.compose.blocks.block import Pool
from lensmith.compose.blocks.xception import separable
from lensmith.compose.layers import Maker, Tensor, check_flag, check_image

# An operation and what it reads: ``here`` is the cell's input, ``before`` the cell's before, both brought to the
# cell's width; ``padded`` is the former with a margin for strided pools; a number is the sum of that place.
Operation = tuple[str, str | int]


@dataclass(frozen=True, slots=True)
class _Cell:
    """Sums of two operations each, and those of them that are put beside each other in the end."""

    sums: tuple[tuple[Operation, Operation], ...]
    joined: tuple[str | int, ...]
    stride: int


_NORMAL = _Cell(
    sums=(
        (("separable5", "here"), ("separable3", "before")),
        (("separable5", "before"), ("separable3", "before")),
        (("average", "here"), ("pass", "before")),
        (("average", "before"), ("average", "before")),
        (("separable3", "here"), ("pass", "here")),
    ),
    joined=("before", 1, 2, 3, 4, 5),
    stride=1,
)
_REDUCTION = _Cell(
    sums=(
        (("separable5", "here"), ("separable7", "before")),
        (("max", "padded"), ("separable7", "before")),
        (("average", "padded"), ("separable5", "before")),
        (("pass", 2), ("average", 1)),
        (("separable3", 1), ("max", "padded")),
    ),
    joined=(2, 3, 4, 5),
    stride=2,
)


@dataclass(frozen=True, slots=True)
class CellGroup:
    """Cells of one width.

    Args:
        filters: the width of each operation; a normal cell gives six times as many channels, a reduction four times.
        cells: how many normal cells, 0 or more.
        reduce: whether a reduction cell, which halves the image, comes before them.
        skip: whether the cell after the reduction reads, beside it, not what the reduction read but what came
            before that.
    """

    filters: int
    cells: int = 0
    reduce: bool = True
    skip: bool = False

    def __post_init__(self) -> None:
        if check.positive("cell-group.filters", self.filters) == 1:
            raise check.SettingError("cell-group.filters: expected at least 2, since reductions halve them; got 1")
        if self.cells != 0 or isinstance(self.cells, bool):
            check.positive("cell-group.cells", self.cells)
        for name in ("reduce", "skip"):
            check_flag(f"cell-group.{name}", getattr(self, name))
        if not self.cells and not self.reduce:
            raise check.SettingError("cell-group.cells: expected at least 1, since reduce is False; got 0")
        if self.skip and not self.reduce:
            raise check.SettingError("cell-group.skip: expected False, since reduce is False; got True")

    def build(self, x: Tensor, before: Tensor | None, make: Maker, name: str) -> tuple[Tensor, Tensor | None]:
        """Add the cells; returns what the last gives and what the one before it gave (None: there was none)."""
        for i, cell in enumerate((_REDUCTION,) * self.reduce + (_NORMAL,) * self.cells, start=1):
            made = _built(cell, x, before, make, self.filters, f"{name}-block{i}")
            before = before if cell is _REDUCTION and self.skip else x
            x = made
        return x, before


@dataclass(frozen=True, slots=True)
class Cells:
    """A learner of groups of cells, one after the other, with a rectifier at the end.

    >>> Cells([CellGroup(44, cells=4), CellGroup(88, cells=4)]).groups[1].reduce
    True
    """

    groups: tuple[CellGroup, ...]

    def __post_init__(self) -> None:
        groups: Any = self.groups
        if not isinstance(groups, list | tuple) or not groups:
            raise check.SettingError(check.sentence("cells.groups", "at least one CellGroup", repr(groups)))
        for group in groups:
            if not isinstance(group, CellGroup):
                raise check.SettingError(check.sentence("cells.groups", "CellGroup records", repr(group)))
        object.__setattr__(self, "groups", tuple(groups))

    def build(self, x: Tensor, make: Maker) -> Tensor:
        check_image("learner", x)
        before: Tensor | None = None
        for i, group in enumerate(self.groups, start=1):
            x, before = group.build(x, before, make, f"learner-group{i}")
        return make.activation(x, "learner-relu", "relu")


def _built(cell: _Cell, x: Tensor, before: Tensor | None, make: Maker, filters: int, name: str) -> Tensor:
    """One cell: both inputs at its width, the sums in order, the joined ones beside each other."""
    if before is not None or cell is _NORMAL:  # the first reduction reads its one input twice, as it is
        before = _fitted(x if before is None else before, x, make, filters, f"{name}-before")
    here = make.activation(x, f"{name}-relu", "relu")
    here = make.norm(make.conv(here, f"{name}-conv", filters, 1, bias=make.conventions.bias), f"{name}-norm")
    known: dict[str | int, Tensor] = {"here": here, "before": x if before is None else before}
    if cell.stride > 1:
        known["padded"] = make.pad(here, f"{name}-pad", 3, cell.stride)
    for i, pair in enumerate(cell.sums, start=1):
        sides = zip(("left", "right"), pair, strict=True)
        both = [_done(each, known, make, cell, filters, f"{name}-{side}{i}") for side, each in sides]
        known[i] = make.add(both, f"{name}-add{i}")
    return make.concatenate([known[place] for place in cell.joined], f"{name}-concat")


def _done(
    operation: Operation, known: dict[str | int, Tensor], make: Maker, cell: _Cell, filters: int, name: str
) -> Tensor:
    """What an operation gives; it strides where it reads an input of a reduction cell, not where it reads a sum."""
    kind, place = operation
    x, stride = known[place], 1 if isinstance(place, int) else cell.stride
    if kind == "pass":
        return x
    if kind == "max":
        return Pool(3, stride=stride).build(x, make, f"{name}-pool")
    if kind == "average":
        padding: Any = "valid" if place == "padded" else "same"
        return Pool(3, stride=stride, kind="average", padding=padding).build(x, make, f"{name}-pool")
    kernel = int(kind.removeprefix("separable"))
    for i in (1, 2):  # every separable convolution is applied twice (Appendix A.4)
        x = make.activation(x, f"{name}-relu{i}", "relu")
        x = separable(x, make, f"{name}-{i}", filters, kernel, stride=stride if i == 1 else 1)
    return x


def _fitted(before: Tensor, x: Tensor, make: Maker, filters: int, name: str) -> Tensor:
    """The output of the cell before at this cell's size and width; as it is where both fit already."""
    if tuple(before.shape[1:3]) == tuple(x.shape[1:3]):
        if before.shape[-1] == filters:
            return before
        before = make.activation(before, f"{name}-relu", "relu")
        before = make.conv(before, f"{name}-conv", filters, 1, bias=make.conventions.bias)
    else:
        if any(math.ceil(old / 2) != new for old, new in zip(before.shape[1:3], x.shape[1:3], strict=True)):
            expected = "an input twice as large as the other, or as large"
            got = f"{before.shape[1]}×{before.shape[2]} and {x.shape[1]}×{x.shape[2]}"
            raise check.SettingError(check.sentence(name, expected, got, "Leave skip out where no cells come between"))
        before = _halved(make.activation(before, f"{name}-relu", "relu"), make, filters, name)
    return make.norm(before, f"{name}-norm")


def _halved(x: Tensor, make: Maker, filters: int, name: str) -> Tensor:
    """Half the size without a loss: every other pixel, beside every other pixel one to the right and one below."""
    moved = make.layers.ZeroPadding2D(((0, 1), (0, 1)), name=f"{name}-pad")(x)
    moved = make.layers.Cropping2D(((1, 0), (1, 0)), name=f"{name}-crop")(moved)
    halves = []
    for i, (pixels, width) in enumerate(((x, filters // 2), (moved, filters - filters // 2)), start=1):
        pixels = Pool(1, stride=2, kind="average").build(pixels, make, f"{name}-pool{i}")
        halves.append(make.conv(pixels, f"{name}-conv{i}", width, 1, bias=False))
    return make.concatenate(halves, f"{name}-concat")
