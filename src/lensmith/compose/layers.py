"""Keras layers as the parts need them: named, seeded one by one, padded the same way on every backend."""

from __future__ import annotations

import math
import random
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from lensmith import check
from lensmith.backend import keras, layers
from lensmith.compose.local_response import LocalResponseNormalization

Tensor = Any  # a symbolic Keras tensor, (batch, height, width, channels) or (batch, features)
Padding = Literal["same", "valid"]

PADDINGS: tuple[Padding, ...] = ("same", "valid")
ACTIVATIONS: tuple[str, ...] = (
    "relu",
    "relu6",
    "leaky_relu",
    "elu",
    "selu",
    "gelu",
    "silu",
    "hard_silu",
    "hard_sigmoid",
    "tanh",
    "sigmoid",
    "linear",
)

# He et al. 2015, equation 10: a normal distribution, which is not truncated (and drawing one that is takes 15 times
# as long on torch); Glorot & Bengio 2010, equation 16.
HE = {"scale": 2.0, "mode": "fan_in", "distribution": "untruncated_normal"}
GLOROT = {"scale": 1.0, "mode": "fan_avg", "distribution": "uniform"}

Kernel = int | tuple[int, int]  # one side for a square window, or (height, width)
StridePadding = Literal["symmetric", "tensorflow", "after"]
STRIDE_PADDINGS: tuple[StridePadding, ...] = ("symmetric", "tensorflow", "after")


def check_activation(place: str, name: str) -> str:
    """Return ``name`` if it is one of the activations a part may have."""
    return check.one_of(place, name, ACTIVATIONS)


def check_padding(place: str, name: Padding) -> Padding:
    """Return ``name`` if it is ``same`` or ``valid``."""
    return check.one_of(place, name, PADDINGS)


def check_flag(place: str, value: bool) -> bool:
    """Return ``value`` if it is True or False: the string ``'no'`` would count as true."""
    if not isinstance(value, bool):
        raise check.SettingError(check.sentence(place, "True or False", repr(value)))
    return value


def check_widths(place: str, widths: Any) -> tuple[int, ...]:
    """Return ``widths`` as a tuple if it is a list or tuple of whole numbers of at least 1."""
    if not isinstance(widths, list | tuple):
        raise check.SettingError(check.sentence(place, "a list of whole numbers, one for each layer", repr(widths)))
    return tuple(check.positive(place, width) for width in widths)


def check_image(place: str, x: Tensor) -> None:
    """Refuse a row of numbers where an image belongs."""
    if len(x.shape) != 4:
        expected = "an image of shape (height, width, channels)"
        raise check.SettingError(check.sentence(place, expected, tuple(x.shape[1:]), "For rows use a Dense learner"))


def check_kernel(place: str, kernel: Any) -> Kernel:
    """Return ``kernel`` if it is a whole number of at least 1, or a pair of them; a list becomes a tuple."""
    if not isinstance(kernel, list | tuple):
        return check.positive(place, kernel)
    if len(kernel) != 2:
        raise check.SettingError(check.sentence(place, "one side, or height and width", repr(kernel)))
    return check.positive(place, kernel[0]), check.positive(place, kernel[1])


def sides(kernel: Kernel) -> tuple[int, int]:
    """A kernel as (height, width)."""
    return (kernel, kernel) if isinstance(kernel, int) else kernel


def check_window(place: str, x: Tensor, kernel: Kernel) -> None:
    """Refuse feature maps that a window of this size does not fit into."""
    (height, width), (high, wide) = x.shape[1:3], sides(kernel)
    if height < high or width < wide:
        expected = f"feature maps of at least {high}×{wide}, the size of the window"
        remedy = "Make the input larger, or use fewer strides and pools"
        raise check.SettingError(check.sentence(place, expected, f"{height}×{width}", remedy))


@dataclass(frozen=True, slots=True)
class Conventions:
    """What a paper leaves to its code, the same in all layers of a recipe.

    Args:
        epsilon: added to the variance in a batch normalisation.
        momentum: of its moving averages; the default is the ResNet authors', and follows ten steps rather than
            Keras' hundred.
        padding: where the zeros of ``same`` go when a window strides: ``symmetric`` (the papers' code in Caffe and
            torch: ``kernel // 2`` on all four sides), ``tensorflow`` (as few as are needed, the odd one at the bottom
            right) or ``after`` (``kernel − stride`` at the bottom right, none at the top left).
        bias: in the convolutions that a batch normalisation follows, where they mean nothing; some published
            weights have them.
        norm_scale: whether batch normalisations have their factor gamma; the Inception networks leave it out.
    """

    epsilon: float = 1e-5
    momentum: float = 0.9
    padding: StridePadding = "symmetric"
    bias: bool = False
    norm_scale: bool = True

    def __post_init__(self) -> None:
        check.between("conventions.epsilon", self.epsilon, 0.0, 1.0)
        check.between("conventions.momentum", self.momentum, 0.0, 1.0)
        check.one_of("conventions.padding", self.padding, STRIDE_PADDINGS)
        check_flag("conventions.bias", self.bias)
        check_flag("conventions.norm_scale", self.norm_scale)


USUAL = Conventions()


def margins(window: int, stride: int, size: int, padding: StridePadding) -> tuple[int, int]:
    """The pixels to pad before and after an axis of ``size`` pixels.

    >>> [margins(3, 2, 8, padding) for padding in STRIDE_PADDINGS]
    [(1, 1), (0, 1), (0, 1)]
    >>> [margins(3, 2, 7, padding) for padding in STRIDE_PADDINGS]
    [(1, 1), (1, 1), (0, 1)]
    """
    if padding == "symmetric":
        return (window - 1) // 2, window // 2
    if padding == "after":
        return 0, max(window - stride, 0)
    missing = max((math.ceil(size / stride) - 1) * stride + window - size, 0)
    return missing // 2, missing - missing // 2


@dataclass(frozen=True, slots=True)
class Maker:
    """Makes the layers of one model.

    Every layer draws its initial weights from a seed of its own, made from the model's seed and the
    layer's name: swapping one part leaves the initial weights of all others as they were.

    Args:
        seed: the model's seed; None draws one from Python's global generator, which
            ``keras.utils.set_random_seed`` governs.
        empty: all weights 0, which costs neither time nor memory: for counting parameters.
        conventions: of the recipe.
        layers: where the layers come from: Keras' own in the backend's fastest form, or others of the same names,
            such as :mod:`.cost` has.
    """

    seed: int | None = None
    empty: bool = False
    conventions: Conventions = USUAL
    layers: Any = None

    def __post_init__(self) -> None:
        if self.layers is None:
            object.__setattr__(self, "layers", layers)
        if self.seed is None:
            object.__setattr__(self, "seed", random.randrange(2**31))

    def seed_for(self, name: str) -> int:
        """The seed of the layer of this name, 0..2³¹ − 1."""
        return zlib.crc32(f"{self.seed}/{name}".encode()) >> 1  # 31 bits, since torch keeps seeds as int32

    def _initializer(self, name: str, kind: Mapping[str, Any]) -> Any:
        if self.empty:
            return "zeros"
        return keras.initializers.get(
            {"class_name": "VarianceScaling", "config": {**kind, "seed": self.seed_for(name)}}
        )

    def conv(
        self,
        x: Tensor,
        name: str,
        filters: int,
        kernel: Kernel,
        *,
        stride: int = 1,
        bias: bool,
        padding: Padding = "same",
        groups: int = 1,
    ) -> Tensor:
        """A convolution, He-initialised (He et al. 2015, for layers that a rectifier follows).

        Where the stride is above 1, ``same`` pads as the recipe's conventions say.
        """
        if x.shape[-1] % groups or filters % groups:
            expected = f"channels and filters that {groups} groups divide"
            raise check.SettingError(check.sentence(name, expected, f"{x.shape[-1]} and {filters}"))
        x, padding = self._padded(x, name, kernel, stride, padding)
        layer = self.layers.Conv2D(
            filters,
            kernel,
            strides=stride,
            padding=padding,
            groups=groups,
            use_bias=bias,
            kernel_initializer=self._initializer(name, HE),
            name=name,
        )
        return layer(x)

    def depthwise(
        self, x: Tensor, name: str, kernel: Kernel, *, stride: int = 1, bias: bool = False, padding: Padding = "same"
    ) -> Tensor:
        """A convolution of each channel by itself."""
        x, padding = self._padded(x, name, kernel, stride, padding)
        layer = self.layers.DepthwiseConv2D(
            kernel,
            strides=stride,
            padding=padding,
            use_bias=bias,
            depthwise_initializer=self._initializer(name, HE),
            name=name,
        )
        return layer(x)

    def transposed(self, x: Tensor, name: str, filters: int, kernel: Kernel, *, stride: int, bias: bool) -> Tensor:
        """A transposed convolution: feature maps ``stride`` times larger (an up-convolution)."""
        layer = self.layers.Conv2DTranspose(
            filters,
            kernel,
            strides=stride,
            padding="same",
            use_bias=bias,
            kernel_initializer=self._initializer(name, HE),
            name=name,
        )
        return layer(x)

    def _padded(self, x: Tensor, name: str, kernel: Kernel, stride: int, padding: Padding) -> tuple[Tensor, Padding]:
        """What a window goes over, and how it is padded still."""
        if padding == "same" and stride > 1:
            x, padding = self.pad(x, f"{name}-pad", kernel, stride), "valid"
        if padding == "valid":
            check_window(name, x, kernel)
        return x, padding

    def pad(self, x: Tensor, name: str, kernel: Kernel, stride: int) -> Tensor:
        """Zeros around the image, as the recipe's conventions say; none where none are needed."""
        both = [
            margins(window, stride, size, self.conventions.padding)
            for window, size in zip(sides(kernel), x.shape[1:3], strict=True)
        ]
        return self.layers.ZeroPadding2D(tuple(both), name=name)(x) if any(map(any, both)) else x

    def dense(self, x: Tensor, name: str, units: int) -> Tensor:
        """A fully connected layer, Glorot-initialised (Glorot & Bengio 2010), with bias."""
        return self.layers.Dense(units, kernel_initializer=self._initializer(name, GLOROT), name=name)(x)

    def norm(self, x: Tensor, name: str) -> Tensor:
        """Batch normalisation over the channels (Ioffe & Szegedy 2015), as the recipe's conventions say."""
        made = self.layers.BatchNormalization(
            momentum=self.conventions.momentum,
            epsilon=self.conventions.epsilon,
            scale=self.conventions.norm_scale,
            name=name,
        )
        return made(x)

    def local_norm(self, x: Tensor, name: str) -> Tensor:
        """Local response normalisation over five channels (Krizhevsky et al. 2012, Section 3.3)."""
        return LocalResponseNormalization(name=name)(x)

    def activation(self, x: Tensor, name: str, kind: str) -> Tensor:
        """An activation layer, or none where it is ``linear``."""
        return x if kind == "linear" else self.layers.Activation(kind, name=name)(x)

    def dropout(self, x: Tensor, name: str, rate: float) -> Tensor:
        """Dropout (Srivastava et al. 2014) with a random state of its own, so that a run can resume exactly."""
        return self.layers.Dropout(rate, seed=self.seed_for(name), name=name)(x) if rate else x

    def add(self, tensors: list[Tensor], name: str) -> Tensor:
        """The sum of tensors of one shape."""
        return self.layers.Add(name=name)(tensors)

    def add_scaled(self, x: Tensor, update: Tensor, name: str, scale: float) -> Tensor:
        """``x + scale · update``."""
        return self.add([x, self.layers.Rescaling(scale, name=f"{name}-scale")(update)], name)

    def concatenate(self, tensors: list[Tensor], name: str) -> Tensor:
        """The channels of all tensors beside each other; a single one is passed on."""
        sizes = {tuple(tensor.shape[1:3]) for tensor in tensors}
        if len(sizes) > 1:
            expected = "branches that give feature maps of one size"
            raise check.SettingError(check.sentence(name, expected, ", ".join(f"{h}×{w}" for h, w in sorted(sizes))))
        return self.layers.Concatenate(name=name)(tensors) if len(tensors) > 1 else tensors[0]

    def squeeze(
        self, x: Tensor, name: str, units: int, *, activation: str = "relu", gate: str = "sigmoid", bias: bool = True
    ) -> Tensor:
        """Squeeze and excitation: each channel times a factor from the means of all (Hu et al. 2018)."""
        means = self.layers.GlobalAveragePooling2D(keepdims=True, name=f"{name}-squeeze")(x)
        hidden = self.conv(means, f"{name}-reduce", units, 1, bias=bias)
        hidden = self.activation(hidden, f"{name}-reduce-activation", activation)
        factors = self.conv(hidden, f"{name}-expand", x.shape[-1], 1, bias=bias)
        factors = self.activation(factors, f"{name}-gate", gate)
        return self.layers.Multiply(name=f"{name}-excite")([x, factors])
