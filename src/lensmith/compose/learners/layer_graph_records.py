"""The layers of a layer graph that have weights: frozen records, which add their Keras layers to the tensors before.

What they compute is what the layers of Darknet do (Redmon 2013-2018, Darknet, src/*_layer.c), on
``(batch, height, width, channels)``. A layer of the graph has the name of its place, ``learner-layer12``; the Keras
layers it is made of are ``learner-layer12-conv``, ``-norm``, ``-activation``, ….
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from lensmith import check
from lensmith.backend import keras
from lensmith.compose.layers import HE, Maker, Padding, Tensor, check_flag, check_image
from lensmith.compose.learners.layer_graph_layers import SHAPES, DarknetActivation, LocallyConnected

# Darknet's names of what Keras calls otherwise, or the same.
_KERAS = {
    "linear": "linear",
    "relu": "relu",
    "relu6": "relu6",
    "logistic": "sigmoid",
    "elu": "elu",
    "selu": "selu",
    "tanh": "tanh",
    "mish": "mish",
    "swish": "silu",
    "gelu": "gelu",
}
_SLOPES = {"leaky": 0.1, "relie": 0.01}  # of rectifiers, below zero
GRAPH_ACTIVATIONS: tuple[str, ...] = (*_KERAS, *_SLOPES, *SHAPES)


def whole(place: str, value: int, low: int) -> int:
    """Return ``value`` if it is a whole number of at least ``low``."""
    if isinstance(value, bool) or not isinstance(value, int) or value < low:
        raise check.SettingError(check.sentence(place, f"a whole number of at least {low}", repr(value)))
    return value


def activated(x: Tensor, make: Maker, name: str, kind: str) -> Tensor:
    """An activation layer by Darknet's name; none where it is ``linear``."""
    if kind in _SLOPES:
        return make.layers.LeakyReLU(negative_slope=_SLOPES[kind], name=name)(x)
    return DarknetActivation(kind, name=name)(x) if kind in SHAPES else make.activation(x, name, _KERAS[kind])


def check_graph_activation(place: str, kind: str) -> None:
    """Refuse what is not one of ``GRAPH_ACTIVATIONS``."""
    check.one_of(f"{place}.activation", kind, GRAPH_ACTIVATIONS)


def _padded(x: Tensor, make: Maker, name: str, padding: int) -> Tensor:
    return make.layers.ZeroPadding2D(((padding, padding), (padding, padding)), name=name)(x) if padding else x


@dataclass(frozen=True, slots=True)
class Convolution:
    """A convolution, its normalisation and its activation: ``-conv``, ``-norm``, ``-activation``.

    Where each channel has one filter of its own, ``-conv`` is a ``DepthwiseConv2D``, else a ``Conv2D``; it has a bias
    where no normalisation follows.

    Args:
        filters: how many maps come out.
        kernel: side of the window.
        stride: from one window to the next.
        padding: zeros on each of the four sides.
        groups: into how many the channels are divided, which see nothing of each other.
        norm: whether batch normalisation follows.
        activation: one of ``GRAPH_ACTIVATIONS``; ``leaky`` has a slope of 0.1 below zero.
    """

    filters: int
    kernel: int = 1
    stride: int = 1
    padding: int = 0
    groups: int = 1
    norm: bool = False
    activation: str = "logistic"

    def __post_init__(self) -> None:
        for name in ("filters", "kernel", "stride", "groups"):
            check.positive(f"convolution.{name}", getattr(self, name))
        whole("convolution.padding", self.padding, 0)
        check_flag("convolution.norm", self.norm)
        check_graph_activation("convolution", self.activation)

    def build(self, x: Tensor, before: Sequence[Tensor], make: Maker, name: str) -> Tensor:
        check_image(name, x)
        padding: Padding = "same" if self.stride == 1 and 2 * self.padding == self.kernel - 1 else "valid"
        if padding == "valid":
            x = _padded(x, make, f"{name}-pad", self.padding)
        x = self._convolved(x, make, f"{name}-conv", padding)
        x = make.norm(x, f"{name}-norm") if self.norm else x
        return activated(x, make, f"{name}-activation", self.activation)

    def _convolved(self, x: Tensor, make: Maker, name: str, padding: Padding) -> Tensor:
        bias, stride = not self.norm, self.stride
        if self.groups == self.filters == x.shape[-1] > 1:
            return make.depthwise(x, name, self.kernel, stride=stride, bias=bias, padding=padding)
        return make.conv(
            x, name, self.filters, self.kernel, stride=stride, bias=bias, padding=padding, groups=self.groups
        )


@dataclass(frozen=True, slots=True)
class Connected:
    """A fully connected layer: ``-dense``, ``-norm``, ``-activation``; feature maps are laid in a row (``-flatten``).

    A row goes over rows, columns and channels, in this order.

    Args:
        units: how many numbers come out.
        norm: whether batch normalisation follows, which replaces the bias.
        activation: one of ``GRAPH_ACTIVATIONS``.
    """

    units: int
    norm: bool = False
    activation: str = "logistic"

    def __post_init__(self) -> None:
        check.positive("connected.units", self.units)
        check_flag("connected.norm", self.norm)
        check_graph_activation("connected", self.activation)

    def build(self, x: Tensor, before: Sequence[Tensor], make: Maker, name: str) -> Tensor:
        x = make.layers.Flatten(name=f"{name}-flatten")(x) if len(x.shape) == 4 else x
        initial = _initial(make, f"{name}-dense")
        dense = make.layers.Dense(self.units, use_bias=not self.norm, kernel_initializer=initial, name=f"{name}-dense")
        x = make.norm(dense(x), f"{name}-norm") if self.norm else dense(x)
        return activated(x, make, f"{name}-activation", self.activation)


@dataclass(frozen=True, slots=True)
class Local:
    """A convolution whose kernel differs from place to place: ``-local``, ``-activation``.

    Args:
        filters: how many maps come out.
        kernel: side of the window.
        stride: from one window to the next.
        padding: zeros on each of the four sides.
        activation: one of ``GRAPH_ACTIVATIONS``.
    """

    filters: int
    kernel: int = 1
    stride: int = 1
    padding: int = 0
    activation: str = "logistic"

    def __post_init__(self) -> None:
        for name in ("filters", "kernel", "stride"):
            check.positive(f"local.{name}", getattr(self, name))
        whole("local.padding", self.padding, 0)
        check_graph_activation("local", self.activation)

    def build(self, x: Tensor, before: Sequence[Tensor], make: Maker, name: str) -> Tensor:
        check_image(name, x)
        x = _padded(x, make, f"{name}-pad", self.padding)
        layer = LocallyConnected(
            self.filters, self.kernel, self.stride, _initial(make, f"{name}-local"), name=f"{name}-local"
        )
        return activated(layer(x), make, f"{name}-activation", self.activation)


def _initial(make: Maker, name: str) -> object:
    # Not through Keras' variance scaling for kernels of six axes, whose fan-in it would take from the wrong ones.
    if make.empty:
        return "zeros"
    return keras.initializers.get({"class_name": "VarianceScaling", "config": {**HE, "seed": make.seed_for(name)}})


@dataclass(frozen=True, slots=True)
class Norm:
    """Batch normalisation by itself: ``-norm``."""

    def build(self, x: Tensor, before: Sequence[Tensor], make: Maker, name: str) -> Tensor:
        return make.norm(x, f"{name}-norm")
