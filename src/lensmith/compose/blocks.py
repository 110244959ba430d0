"""Blocks: what a group repeats. Each is a frozen record that adds its layers to a tensor.

A block's ``build`` takes and returns a tensor of shape ``(batch, height, width, channels)``; with stride s
the result is s times smaller. ``own_stride`` is the stride a group's first block gets when none is named.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from lensmith import check
from lensmith.backend import keras
from lensmith.compose.layers import Maker, Padding, Tensor, check_activation, check_flag, check_padding

Order = Literal["none", "before", "after"]
Version = Literal["1", "1.5", "2"]
Shortcut = Literal["projection", "padding"]


@dataclass(frozen=True, slots=True)
class Conv:
    """A convolution and its activation: the block of VGG (Simonyan & Zisserman 2015) and of plain networks.

    Args:
        kernel: side of the window in pixels.
        padding: ``same`` keeps the size (at stride 1), ``valid`` uses no padding.
        norm: batch normalisation ``before`` or ``after`` the activation, or ``none``.
        activation: a Keras activation name.
        bias: None leaves the bias out exactly where a batch normalisation comes before the activation.
    """

    own_stride: ClassVar[int] = 1

    kernel: int = 3
    padding: Padding = "same"
    norm: Order = "none"
    activation: str = "relu"
    bias: bool | None = None

    def __post_init__(self) -> None:
        check.positive("conv.kernel", self.kernel)
        check_padding("conv.padding", self.padding)
        check.one_of("conv.norm", self.norm, ("none", "before", "after"))
        check_activation("conv.activation", self.activation)
        if self.bias is not None:
            check_flag("conv.bias", self.bias)

    def build(self, x: Tensor, make: Maker, *, filters: int, stride: int, name: str) -> Tensor:
        bias = self.norm != "before" if self.bias is None else self.bias
        x = make.conv(x, f"{name}-conv", filters, self.kernel, stride=stride, bias=bias, padding=self.padding)
        if self.norm == "before":
            x = make.norm(x, f"{name}-norm")
        x = make.activation(x, f"{name}-activation", self.activation)
        return make.norm(x, f"{name}-norm") if self.norm == "after" else x


@dataclass(frozen=True, slots=True)
class Basic:
    """The two-convolution residual block (He et al. 2016a, Figure 5 left; version 2: He et al. 2016b, Figure 4e).

    Args:
        version: ``1`` and ``1.5`` (Conv-BN-ReLU, the same thing in a block without 1×1), or ``2`` (BN-ReLU-Conv);
            a number is taken too and becomes its name.
        shortcut: where the shape changes, a 1×1 ``projection`` (option B of the paper) or zero ``padding`` of the
            channels after taking every stride-th pixel (option A: no parameters; the CIFAR networks).
        norm: batch normalisation ``before`` or ``after`` the activation (version 1).
        bias: biases in the convolutions; the paper has none, since a batch normalisation follows.
    """

    own_stride: ClassVar[int] = 2
    expansion: ClassVar[int] = 1

    version: Version = "1"
    shortcut: Shortcut = "projection"
    norm: Order = "before"
    bias: bool = False

    def __post_init__(self) -> None:
        _check_residual("basic", self)

    def build(self, x: Tensor, make: Maker, *, filters: int, stride: int, name: str) -> Tensor:
        return _residual(x, make, self, [(filters, 3, stride), (filters, 3, 1)], stride, name)


@dataclass(frozen=True, slots=True)
class Bottleneck:
    """The 1×1, 3×3, 1×1 residual block (He et al. 2016a, Figure 5 right).

    Args:
        version: ``1`` strides in the first 1×1 (the paper), ``1.5`` in the 3×3 (the version in general use),
            ``2`` is BN-ReLU-Conv (He et al. 2016b) and strides in the 3×3.
        expansion: the block's output has ``expansion · filters`` channels.
        shortcut, norm, bias: see :class:`Basic`.
    """

    own_stride: ClassVar[int] = 2

    version: Version = "1"
    expansion: int = 4
    shortcut: Shortcut = "projection"
    norm: Order = "before"
    bias: bool = False

    def __post_init__(self) -> None:
        _check_residual("bottleneck", self)
        check.positive("bottleneck.expansion", self.expansion)

    def build(self, x: Tensor, make: Maker, *, filters: int, stride: int, name: str) -> Tensor:
        first, second = (stride, 1) if self.version == "1" else (1, stride)
        convs = [(filters, 1, first), (filters, 3, second), (filters * self.expansion, 1, 1)]
        return _residual(x, make, self, convs, stride, name)


Block = Conv | Basic | Bottleneck


def _check_residual(place: str, block: Basic | Bottleneck) -> None:
    version: Any = block.version
    if isinstance(version, int | float) and not isinstance(version, bool):
        version = f"{version:g}"  # YAML reads an unquoted 1.5 as a number
        object.__setattr__(block, "version", version)
    check.one_of(f"{place}.version", version, ("1", "1.5", "2"))
    check.one_of(f"{place}.shortcut", block.shortcut, ("projection", "padding"))
    check.one_of(f"{place}.norm", block.norm, ("before", "after"))
    check_flag(f"{place}.bias", block.bias)
    if version == "2" and block.norm == "after":
        raise check.SettingError(
            f"{place}.norm: version 2 normalises before each activation; leave norm out or take version 1"
        )


def _residual(
    x: Tensor, make: Maker, block: Basic | Bottleneck, convs: list[tuple[int, int, int]], stride: int, name: str
) -> Tensor:
    body = _preactivated if block.version == "2" else _postactivated
    return body(x, make, block, convs, stride, name)


def _postactivated(
    x: Tensor, make: Maker, block: Basic | Bottleneck, convs: list[tuple[int, int, int]], stride: int, name: str
) -> Tensor:
    """Conv-BN-ReLU …, Conv-BN, add, ReLU."""
    shortcut = _shortcut(x, make, block, convs[-1][0], stride, name)
    for i, (filters, kernel, step) in enumerate(convs, start=1):
        x = make.conv(x, f"{name}-conv{i}", filters, kernel, stride=step, bias=block.bias)
        last = i == len(convs)
        if block.norm == "before" or last:
            x = make.norm(x, f"{name}-norm{i}")
        if not last:
            x = make.activation(x, f"{name}-relu{i}", "relu")
            x = make.norm(x, f"{name}-norm{i}") if block.norm == "after" else x
    x = keras.layers.Add(name=f"{name}-add")([shortcut, x])
    return make.activation(x, f"{name}-relu", "relu")


def _preactivated(
    x: Tensor, make: Maker, block: Basic | Bottleneck, convs: list[tuple[int, int, int]], stride: int, name: str
) -> Tensor:
    """BN-ReLU-Conv …, add. A projection reads the normalised tensor, an identity the raw one."""
    raw = x
    for i, (filters, kernel, step) in enumerate(convs, start=1):
        x = make.activation(make.norm(x, f"{name}-norm{i}"), f"{name}-relu{i}", "relu")
        if i == 1:
            source = x if block.shortcut == "projection" and _reshapes(raw, convs[-1][0], stride) else raw
            shortcut = _shortcut(source, make, block, convs[-1][0], stride, name)
        # Only the last convolution has no batch normalisation behind it, so only there a bias means anything.
        x = make.conv(x, f"{name}-conv{i}", filters, kernel, stride=step, bias=block.bias and i == len(convs))
    return keras.layers.Add(name=f"{name}-add")([shortcut, x])


def _reshapes(x: Tensor, filters: int, stride: int) -> bool:
    return stride != 1 or x.shape[-1] != filters


def _shortcut(x: Tensor, make: Maker, block: Basic | Bottleneck, filters: int, stride: int, name: str) -> Tensor:
    if not _reshapes(x, filters, stride):
        return x
    if block.shortcut == "padding":
        return _padded_shortcut(x, filters, stride, name)
    x = make.conv(x, f"{name}-shortcut-conv", filters, 1, stride=stride, bias=block.bias)
    return x if block.version == "2" else make.norm(x, f"{name}-shortcut-norm")


def _padded_shortcut(x: Tensor, filters: int, stride: int, name: str) -> Tensor:
    """Option A: every stride-th pixel, and the missing channels as zeros, half of them before and half after."""
    missing = filters - x.shape[-1]
    if missing < 0:
        raise check.SettingError(f"{name}: padding cannot take channels away; use shortcut 'projection'")
    if stride > 1:
        x = keras.layers.MaxPooling2D(1, strides=stride, name=f"{name}-shortcut-stride")(x)
    if missing:
        before = missing // 2
        # Channels and width change places, since Keras pads the two inner axes of an image.
        x = keras.layers.Permute((1, 3, 2), name=f"{name}-shortcut-turn")(x)
        x = keras.layers.ZeroPadding2D(((0, 0), (before, missing - before)), name=f"{name}-shortcut-pad")(x)
        x = keras.layers.Permute((1, 3, 2), name=f"{name}-shortcut-back")(x)
    return x
