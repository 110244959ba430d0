"""Residual blocks: what goes through some convolutions is added to what went in (He et al. 2016a, 2016b)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from lensmith import check
from lensmith.compose.layers import Maker, Tensor, check_flag

Version = Literal["1", "1.5", "2"]
Shortcut = Literal["projection", "padding", "subsample", "none"]
Norm = Literal["before", "after", "none"]
VERSIONS: tuple[Version, ...] = ("1", "1.5", "2")
SHORTCUTS: tuple[Shortcut, ...] = ("projection", "padding", "subsample", "none")
NORMS: tuple[Norm, ...] = ("before", "after", "none")


@dataclass(frozen=True, slots=True)
class Basic:
    """The two-convolution residual block (He et al. 2016a, Figure 5 left; version 2: He et al. 2016b, Figure 4e).

    Args:
        version: ``1`` and ``1.5`` (Conv-BN-ReLU, the same thing in a block without 1×1), or ``2`` (BN-ReLU-Conv);
            a number is taken too and becomes its name.
        shortcut: where the shape changes, a 1×1 ``projection`` (option B of the paper), zero ``padding`` of the
            channels after taking every stride-th pixel (option A: no parameters; the CIFAR networks),
            ``subsample`` (every stride-th pixel where only the size changes, else a projection) or ``none``: the block
            that changes the shape is then no residual block.
        norm: batch normalisation ``before`` or ``after`` the activation (version 1), or ``none``.
        bias: biases in the convolutions; the paper has none, since a batch normalisation follows. Where none does,
            they are always there.
        squeeze: squeeze and excitation (Hu et al. 2018) after the last convolution, with so many times fewer
            channels inside; None for none.
        dropout: share dropped between the two convolutions (Zagoruyko & Komodakis 2016, Section 2.4), 0..1.
    """

    own_stride: ClassVar[int] = 2
    takes_filters: ClassVar[bool] = True
    expansion: ClassVar[int] = 1

    version: Version = "1"
    shortcut: Shortcut = "projection"
    norm: Norm = "before"
    bias: bool = False
    squeeze: int | None = None
    dropout: float = 0.0

    def __post_init__(self) -> None:
        _check("basic", self)
        check.between("basic.dropout", self.dropout, 0.0, 1.0)

    @property
    def leaves_open(self) -> bool:
        """Whether its sum still waits for a normalisation and an activation."""
        return self.version == "2"

    def build(self, x: Tensor, make: Maker, *, filters: int, stride: int, name: str) -> Tensor:
        convs = (_Conv(filters, 3, stride), _Conv(filters, 3, dropout=self.dropout))
        return _Residual(self, convs, stride, make, name).build(x)


@dataclass(frozen=True, slots=True)
class Bottleneck:
    """The 1×1, 3×3, 1×1 residual block (He et al. 2016a, Figure 5 right), with cardinality that of ResNeXt.

    Args:
        version: ``1`` strides in the first 1×1 (the paper), ``1.5`` in the 3×3 (the version in general use),
            ``2`` is BN-ReLU-Conv (He et al. 2016b) and strides in the 3×3.
        expansion: the block's output has ``expansion · filters`` channels.
        shortcut, norm, bias, squeeze: see :class:`Basic`.
        cardinality: groups of the 3×3 convolution (Xie et al. 2017, Section 3).
        base_width: the two inner convolutions have ``filters · base_width / 64 · cardinality`` channels: 4 for the
            32×4d networks of that paper.
    """

    own_stride: ClassVar[int] = 2
    takes_filters: ClassVar[bool] = True

    version: Version = "1"
    expansion: int = 4
    shortcut: Shortcut = "projection"
    norm: Norm = "before"
    bias: bool = False
    squeeze: int | None = None
    cardinality: int = 1
    base_width: int = 64

    def __post_init__(self) -> None:
        _check("bottleneck", self)
        for name in ("expansion", "cardinality", "base_width"):
            check.positive(f"bottleneck.{name}", getattr(self, name))

    @property
    def leaves_open(self) -> bool:
        """Whether its sum still waits for a normalisation and an activation."""
        return self.version == "2"

    def build(self, x: Tensor, make: Maker, *, filters: int, stride: int, name: str) -> Tensor:
        first, second = (stride, 1) if self.version == "1" else (1, stride)
        width = max(1, filters * self.base_width // 64) * self.cardinality
        convs = (
            _Conv(width, 1, first),
            _Conv(width, 3, second, groups=self.cardinality),
            _Conv(filters * self.expansion, 1),
        )
        return _Residual(self, convs, stride, make, name).build(x)


def _check(place: str, block: Basic | Bottleneck) -> None:
    version: Any = block.version
    if isinstance(version, int | float) and not isinstance(version, bool):
        version = f"{version:g}"  # YAML reads an unquoted 1.5 as a number
        object.__setattr__(block, "version", version)
    check.one_of(f"{place}.version", version, VERSIONS)
    check.one_of(f"{place}.shortcut", block.shortcut, SHORTCUTS)
    check.one_of(f"{place}.norm", block.norm, NORMS)
    check_flag(f"{place}.bias", block.bias)
    if block.squeeze is not None:
        check.positive(f"{place}.squeeze", block.squeeze)
    if version == "2" and block.norm != "before":
        raise check.SettingError(
            f"{place}.norm: version 2 normalises before each activation; leave norm out or take version 1"
        )


@dataclass(frozen=True, slots=True)
class _Conv:
    """One convolution of a residual block; dropout comes before it."""

    filters: int
    kernel: int
    stride: int = 1
    groups: int = 1
    dropout: float = 0.0


@dataclass(frozen=True, slots=True)
class _Residual:
    """A residual block about to be built."""

    block: Basic | Bottleneck
    convs: tuple[_Conv, ...]
    stride: int
    make: Maker
    name: str

    def build(self, x: Tensor) -> Tensor:
        return self._preactivated(x) if self.block.version == "2" else self._postactivated(x)

    def _postactivated(self, x: Tensor) -> Tensor:
        """Conv-BN-ReLU …, Conv-BN, add, ReLU."""
        make, name, shortcut = self.make, self.name, self._shortcut(x)
        for i, conv in enumerate(self.convs, start=1):
            x = self._conv(x, i, conv, bias=self._biased)
            last = i == len(self.convs)
            if self.block.norm == "before" or (last and self._normalised):
                x = make.norm(x, f"{name}-norm{i}")
            if not last:
                x = make.activation(x, f"{name}-relu{i}", "relu")
                x = make.norm(x, f"{name}-norm{i}") if self.block.norm == "after" else x
        return make.activation(self._joined(shortcut, x), f"{name}-relu", "relu")

    def _preactivated(self, x: Tensor) -> Tensor:
        """BN-ReLU-Conv …, add. A projection reads the normalised tensor, an identity the raw one."""
        make, raw, shortcut = self.make, x, None
        for i, conv in enumerate(self.convs, start=1):
            x = make.activation(make.norm(x, f"{self.name}-norm{i}"), f"{self.name}-relu{i}", "relu")
            if i == 1:
                shortcut = self._shortcut(x if self._projects(raw) else raw)
            # Only the last convolution has no batch normalisation behind it, so only there a bias means anything.
            last = i == len(self.convs)
            x = self._conv(x, i, conv, bias=last and self._biased)
        return self._joined(shortcut, x)

    @property
    def _normalised(self) -> bool:
        return self.block.norm != "none"

    @property
    def _biased(self) -> bool:
        return self.block.bias or self.make.conventions.bias or not self._normalised

    def _conv(self, x: Tensor, i: int, conv: _Conv, *, bias: bool) -> Tensor:
        x = self.make.dropout(x, f"{self.name}-dropout{i}", conv.dropout)
        return self.make.conv(
            x,
            f"{self.name}-conv{i}",
            conv.filters,
            conv.kernel,
            stride=conv.stride,
            bias=bias,
            groups=conv.groups,
        )

    def _joined(self, shortcut: Tensor | None, x: Tensor) -> Tensor:
        if self.block.squeeze is not None:
            units = max(1, x.shape[-1] // self.block.squeeze)
            x = self.make.squeeze(x, self.name, units)
        return x if shortcut is None else self.make.add([shortcut, x], f"{self.name}-add")

    def _reshapes(self, x: Tensor) -> bool:
        return self.stride != 1 or x.shape[-1] != self.convs[-1].filters

    def _projects(self, x: Tensor) -> bool:
        if self.block.shortcut == "subsample":
            return bool(x.shape[-1] != self.convs[-1].filters)
        return self.block.shortcut == "projection" and self._reshapes(x)

    def _shortcut(self, x: Tensor) -> Tensor | None:
        if not self._reshapes(x):
            return x
        if self.block.shortcut == "none":
            return None
        if not self._projects(x):
            return self._padded(x)
        name, filters = f"{self.name}-shortcut-conv", self.convs[-1].filters
        x = self.make.conv(x, name, filters, 1, stride=self.stride, bias=self._biased)
        bare = self.block.version == "2" or not self._normalised
        return x if bare else self.make.norm(x, f"{self.name}-shortcut-norm")

    def _padded(self, x: Tensor) -> Tensor:
        """Option A: every stride-th pixel, and the missing channels as zeros, half of them before and half after."""
        name, missing = self.name, self.convs[-1].filters - x.shape[-1]
        if missing < 0:
            raise check.SettingError(f"{name}: padding cannot take channels away; use shortcut 'projection'")
        if self.stride > 1:
            x = self.make.layers.MaxPooling2D(1, strides=self.stride, name=f"{name}-shortcut-stride")(x)
        if missing:
            before = missing // 2
            # Channels and width change places, since Keras pads the two inner axes of an image.
            x = self.make.layers.Permute((1, 3, 2), name=f"{name}-shortcut-turn")(x)
            x = self.make.layers.ZeroPadding2D(((0, 0), (before, missing - before)), name=f"{name}-shortcut-pad")(x)
            x = self.make.layers.Permute((1, 3, 2), name=f"{name}-shortcut-back")(x)
        return x
