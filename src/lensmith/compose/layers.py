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
    return check.one_of(place, name, ACTIVATIONS)


def check_padding(place: str, name: Padding) -> Padding:
    return check.one_of(place, name, PADDINGS)


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
        return zlib.crc32(f"{self.seed}/{name}".encode()) >> 1  # 31 bits, since torch keeps seeds as int32

    def _initializer(self, name: str, kind: str) -> Any:
        if self.empty:
            return "zeros"
        return keras.initializers.get({"class_name": kind, "config": {"seed": self.seed_for(name)}})

    def conv(
        self, x: Tensor, name: str, filters: int, kernel: int, *, stride: int = 1, bias: bool, padding: Padding = "same"
    ) -> Tensor:
        """A convolution, He-initialised (He et al. 2015, for layers that a rectifier follows).

        Where the stride is above 1, ``same`` pads ``kernel // 2`` on all four sides, as the papers'
        code does; Keras by itself would pad more at the bottom right, and torch could not follow it.
        """
        if padding == "same" and stride > 1:
            if kernel > 1:
                x = keras.layers.ZeroPadding2D(kernel // 2, name=f"{name}-pad")(x)
            padding = "valid"
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

    def dense(self, x: Tensor, name: str, units: int) -> Tensor:
        """A fully connected layer, Glorot-initialised (Glorot & Bengio 2010), with bias."""
        return keras.layers.Dense(units, kernel_initializer=self._initializer(name, "glorot_uniform"), name=name)(x)

    def norm(self, x: Tensor, name: str) -> Tensor:
        """Batch normalisation over the channels (Ioffe & Szegedy 2015)."""
        return keras.layers.BatchNormalization(momentum=NORM_MOMENTUM, epsilon=NORM_EPSILON, name=name)(x)

    def activation(self, x: Tensor, name: str, kind: str) -> Tensor:
        return x if kind == "linear" else keras.layers.Activation(kind, name=name)(x)

    def dropout(self, x: Tensor, name: str, rate: float) -> Tensor:
        """Dropout (Srivastava et al. 2014) with a random state of its own, so that a run can resume exactly."""
        return keras.layers.Dropout(rate, seed=self.seed_for(name), name=name)(x) if rate else x
