"""Branches beside each other: the block of every Inception network (Szegedy et al. 2015, 2016, 2017)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from lensmith import check
from lensmith.compose.blocks.block import Pool
from lensmith.compose.blocks.conv import Step
from lensmith.compose.layers import Maker, Tensor


@dataclass(frozen=True, slots=True)
class Branches:
    """Several ways through the same feature maps, their channels put beside each other.

    With ``scale`` it is a block of Inception-ResNet: a last 1×1 convolution without activation brings the
    channels back to as many as came in, and so many times the result is added to them.

    Args:
        branches: each a tuple of :class:`Step`, :class:`Pool` and, for branches that fork, further
            :class:`Branches`; an empty one passes its input on. Strides are theirs.
        scale: of the residual sum (Szegedy et al. 2017, Section 3.3); None for no sum.
        activation: after the residual sum.
    """

    own_stride: ClassVar[int] = 1
    takes_filters: ClassVar[bool] = False

    branches: tuple[tuple[Step | Pool | Branches, ...], ...]
    scale: float | None = None
    activation: str = "relu"

    def __post_init__(self) -> None:
        object.__setattr__(self, "branches", _checked(self.branches))
        if self.scale is not None:
            check.between("branches.scale", self.scale, 0.0, 10.0)

    def build(self, x: Tensor, make: Maker, *, filters: int, stride: int, name: str) -> Tensor:
        if stride != 1:
            remedy = "Give the steps of the branches their strides, and leave the group's out"
            raise check.SettingError(check.sentence(name, "stride 1", stride, remedy))
        ends = [along(branch, x, make, f"{name}-branch{i}") for i, branch in enumerate(self.branches, start=1)]
        joined = make.concatenate(ends, f"{name}-concat")
        return joined if self.scale is None else self._added(x, joined, make, name)

    def _added(self, x: Tensor, joined: Tensor, make: Maker, name: str) -> Tensor:
        joined = make.conv(joined, f"{name}-restore-conv", x.shape[-1], 1, bias=True)
        total = make.add_scaled(x, joined, f"{name}-add", float(self.scale or 0.0))
        return make.activation(total, f"{name}-activation", self.activation)


def along(parts: tuple[Step | Pool | Branches, ...], x: Tensor, make: Maker, name: str) -> Tensor:
    """Go through the parts of a branch or a stem one after the other; they are named ``{name}-1``, ``{name}-2``, …"""
    for i, part in enumerate(parts, start=1):
        if isinstance(part, Branches):
            x = part.build(x, make, filters=0, stride=1, name=f"{name}-{i}")
        else:
            x = part.build(x, make, f"{name}-{i}" + "-pool" * isinstance(part, Pool))
    return x


def _checked(branches: Any) -> tuple[tuple[Any, ...], ...]:
    if not isinstance(branches, list | tuple) or not branches:
        raise check.SettingError(check.sentence("branches.branches", "at least one branch", repr(branches)))
    made = tuple(tuple(branch) if isinstance(branch, list | tuple) else (branch,) for branch in branches)
    for branch in made:
        for part in branch:
            if not isinstance(part, Step | Pool | Branches):
                expected = "Step, Pool and Branches records"
                raise check.SettingError(check.sentence("branches.branches", expected, repr(part)))
    return made
