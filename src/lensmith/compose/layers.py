"""Keras layers as the parts need them: named, seeded one by one, padded the same way on every backend."""

from __future__ import annotations

import random
import zlib
from dataclasses import dataclass
from typing import Any, Literal

from lensmith import check
from lensmith.backend import keras

Tensor = Any  # a symbolic Keras tensor, (batch, height, width, channels) or (batch, features)
Padding = Literal["same", "valid"]

PADDINGS: tuple[Padding, ...] = ("same", "valid")
ACTIVATIONS = ("relu", "relu6", "leaky_relu", "elu", "selu", "gelu", "silu", "hard_silu", "tanh", "sigmoid", "linear")

# The ResNet authors' batch normalisation: moving averages that follow ten steps rather than Keras' hundred.
NORM_MOMENTUM = 0.9
NORM_EPSILON = 1e-5


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


def check_window(place: str, x: Tensor, size: int) -> None:
    """Refuse feature maps that a window of ``size`` pixels does not fit into."""
    height, width = x.shape[1:3]
    if min(height, width) < size:
        expected = f"feature maps of at least {size}×{size}, the size of the window"
        remedy = "Make the input larger, or use fewer strides and pools"
        raise check.SettingError(check.sentence(place, expected, f"{height}×{width}", remedy))


def margins(window: int) -> tuple[int, int]:
    """The pixels to pad before and after, so that windows of stride s give ``ceil(size / s)`` results."""
    return (window - 1) // 2, window // 2


@dataclass(frozen=True, slots=True)
class Maker:
    """Makes the layers of one model.

    Every layer draws its initial weights from a seed of its own, made from the model's seed and the
    layer's name: swapping one part leaves the initial weights of all others as they were.

    Args:
        seed: the model's seed; None draws one from Python's global generator, which
            ``keras.utils.set_random_seed`` governs.
        empty: all weights 0, which costs neither time nor memory: for counting parameters.
    """

    seed: int | None = None
    empty: bool = False

    def __post_init__(self) -> None:
        if self.seed is None:
            object.__setattr__(self, "seed", random.randrange(2**31))

    def seed_for(self, name: str) -> int:
        """The seed of the layer of this name, 0..2³¹ − 1."""
        return zlib.crc32(f"{self.seed}/{name}".encode()) >> 1  # 31 bits, since torch keeps seeds as int32

    def _initializer(self, name: str, kind: str) -> Any:
        if self.empty:
            return "zeros"
        return keras.initializers.get({"class_name": kind, "config": {"seed": self.seed_for(name)}})

    def conv(
        self, x: Tensor, name: str, filters: int, kernel: int, *, stride: int = 1, bias: bool, padding: Padding = "same"
    ) -> Tensor:
        """A convolution, He-initialised (He et al. 2015, for layers that a rectifier follows).

        Where the stride is above 1, ``same`` pads an odd kernel by ``kernel // 2`` on all four sides, as the
        papers' code does; Keras by itself would pad more at the bottom right, and torch could not follow it.
        """
        if padding == "same" and stride > 1:
            if kernel > 1:
                x = self.pad(x, f"{name}-pad", kernel)
            padding = "valid"
        if padding == "valid":
            check_window(name, x, kernel)
        layer = keras.layers.Conv2D(
            filters,
            kernel,
            strides=stride,
            padding=padding,
            use_bias=bias,
            kernel_initializer=self._initializer(name, "he_normal"),
            name=name,
        )
        return layer(x)

    def pad(self, x: Tensor, name: str, window: int) -> Tensor:
        """Zeros around the image, as many as a window of this size needs to start at every stride-th pixel."""
        return keras.layers.ZeroPadding2D((margins(window), margins(window)), name=name)(x)

    def dense(self, x: Tensor, name: str, units: int) -> Tensor:
        """A fully connected layer, Glorot-initialised (Glorot & Bengio 2010), with bias."""
        return keras.layers.Dense(units, kernel_initializer=self._initializer(name, "glorot_uniform"), name=name)(x)

    def norm(self, x: Tensor, name: str) -> Tensor:
        """Batch normalisation over the channels (Ioffe & Szegedy 2015)."""
        return keras.layers.BatchNormalization(momentum=NORM_MOMENTUM, epsilon=NORM_EPSILON, name=name)(x)

    def activation(self, x: Tensor, name: str, kind: str) -> Tensor:
        """An activation layer, or none where it is ``linear``."""
        return x if kind == "linear" else keras.layers.Activation(kind, name=name)(x)

    def dropout(self, x: Tensor, name: str, rate: float) -> Tensor:
        """Dropout (Srivastava et al. 2014) with a random state of its own, so that a run can resume exactly."""
        return keras.layers.Dropout(rate, seed=self.seed_for(name), name=name)(x) if rate else x
