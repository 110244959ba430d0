"""Keras layers that a layer graph needs and Keras does not have.

A saved model that has one of them can be loaded wherever Lensmith is imported; all others need Keras alone.
"""

from __future__ import annotations

from typing import Any

from lensmith import check
from lensmith.backend import keras

Tensor = Any
Shape = tuple[int | None, ...]

# Of activations.h of Darknet, those that Keras has no function for; hard_mish is of its successor (Bochkovskiy).
SHAPES: tuple[str, ...] = ("ramp", "hardtan", "lhtan", "loggy", "plse", "stair", "hard_mish")


@keras.saving.register_keras_serializable("lensmith")
class DarknetActivation(keras.layers.Layer):  # type: ignore[misc]
    """An activation function of Darknet that Keras lacks, by Darknet's name.

    Args:
        kind: ``ramp`` (x + 0.1 x above 0, 0.1 x below), ``hardtan`` (cut at ±1), ``lhtan`` (the same at 0 and 1, with
            a slope of 0.001 outside), ``loggy`` (2 σ(x) − 1), ``plse`` (x / 8 + ½ with a slope of 0.01 beyond ±4),
            ``stair`` or ``hard_mish``.

    Shapes:
        Any, in and out.

    Raises:
        SettingError: the kind is unknown.

    References:
        Redmon 2013-2018, Darknet, src/activations.h.

    >>> DarknetActivation("ramp")(keras.ops.array([-1.0, 1.0])).tolist()
    [-0.10000000149011612, 1.100000023841858]
    """

    def __init__(self, kind: str, **options: Any) -> None:
        super().__init__(**options)
        self.kind = check.one_of("activation", kind, SHAPES)

    def call(self, inputs: Tensor) -> Tensor:
        return _activated(inputs, self.kind)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        return input_shape

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "kind": self.kind}


def _activated(x: Tensor, kind: str) -> Tensor:
    ops = keras.ops
    if kind == "ramp":
        return ops.relu(x) + 0.1 * x
    if kind == "hardtan":
        return ops.clip(x, -1.0, 1.0)
    if kind == "lhtan":
        inside = ops.clip(x, 0.0, 1.0)
        return inside + 0.001 * (x - inside)
    if kind == "loggy":
        return 2.0 * ops.sigmoid(x) - 1.0
    if kind == "plse":
        inside = ops.clip(x, -4.0, 4.0)
        return 0.125 * inside + 0.5 + 0.01 * (x - inside)
    if kind == "stair":
        floor, half = ops.floor(x), ops.floor(x / 2.0)
        return ops.where(ops.equal(ops.mod(floor, 2.0), 0.0), half, x - floor + half)
    inside = ops.clip(x, -2.0, 0.0)
    return ops.relu(x) + inside * (inside / 2.0 + 1.0)


@keras.saving.register_keras_serializable("lensmith")
class DarknetReorg(keras.layers.Layer):  # type: ignore[misc]
    """Feature maps made ``stride`` times smaller and ``stride²`` times as many, in Darknet's own order.

    Darknet reads its input, ``channels · height · width`` numbers, as if they were ``channels / stride²`` maps that
    are ``stride`` times larger in both directions, and takes every ``stride``-th pixel of these. The order is no
    space-to-depth, but the published weights of YOLO v2 were trained with it.

    Args:
        stride: at least 1; its square has to divide the channels, and it the height and the width.

    Shapes:
        ``(batch, height, width, channels)`` to ``(batch, height / stride, width / stride, channels · stride²)``.

    Raises:
        SettingError: the sizes cannot be divided.

    References:
        Redmon 2013-2018, Darknet, src/blas.c, reorg_cpu; Redmon & Farhadi 2017, YOLO9000, section 2, "Fine-Grained
        Features".

    >>> pixels = keras.ops.reshape(keras.ops.arange(16.0), (1, 4, 1, 4))  # as 4 maps of a column: 0 4 8 12, 1 5 …
    >>> DarknetReorg(1)(pixels)[0, 1, 0].tolist()
    [4.0, 5.0, 6.0, 7.0]
    """

    def __init__(self, stride: int = 2, **options: Any) -> None:
        super().__init__(**options)
        self.stride = check.positive("reorg.stride", stride)
        self.strides = (stride, stride)  # by which a model's taps are found

    def call(self, inputs: Tensor) -> Tensor:
        ops, step = keras.ops, self.stride
        height, width, channels = self._sizes(tuple(inputs.shape))
        x = ops.transpose(inputs, (0, 3, 1, 2))
        x = ops.reshape(x, (-1, channels // step**2, height, step, width, step))
        x = ops.transpose(x, (0, 3, 5, 1, 2, 4))
        x = ops.reshape(x, (-1, channels * step**2, height // step, width // step))
        return ops.transpose(x, (0, 2, 3, 1))

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        height, width, channels = self._sizes(input_shape)
        return input_shape[0], height // self.stride, width // self.stride, channels * self.stride**2

    def _sizes(self, shape: Shape) -> tuple[int, int, int]:
        _, height, width, channels = shape
        step = self.stride
        if not (height and width and channels) or height % step or width % step or channels % step**2:
            expected = f"height and width that {step} divides, and channels that {step**2} divides"
            raise check.SettingError(check.sentence(self.name, expected, f"{height}×{width}×{channels}"))
        return height, width, channels

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "stride": self.stride}


@keras.saving.register_keras_serializable("lensmith")
class LowestPadding(keras.layers.Layer):  # type: ignore[misc]
    """Minus infinity around feature maps, so that a max pool leaves out what lies beside the image.

    Args:
        padding: ``((top, bottom), (left, right))`` in pixels.

    Shapes:
        ``(batch, height, width, channels)``, larger in the two directions by the padding.
    """

    def __init__(self, padding: Any, **options: Any) -> None:
        super().__init__(**options)
        (top, bottom), (left, right) = padding
        self.padding = ((top, bottom), (left, right))

    def call(self, inputs: Tensor) -> Tensor:
        return keras.ops.pad(inputs, ((0, 0), *self.padding, (0, 0)), constant_values=float("-inf"))

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        batch, height, width, channels = input_shape
        sizes = [
            None if size is None else size + sum(both) for size, both in zip((height, width), self.padding, strict=True)
        ]
        return batch, *sizes, channels

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "padding": self.padding}


@keras.saving.register_keras_serializable("lensmith")
class Channels(keras.layers.Layer):  # type: ignore[misc]
    """Some channels of feature maps; where there are too few, zeros after them.

    Args:
        first: the first channel that is passed on.
        count: how many come out.
        step: of every ``step``-th row and column only, from the first.

    Shapes:
        ``(batch, height, width, channels)`` to ``(batch, ⌈height / step⌉, ⌈width / step⌉, count)``.

    >>> Channels(1, 4)(keras.ops.reshape(keras.ops.arange(3.0), (1, 1, 1, 3)))[0, 0, 0].tolist()
    [1.0, 2.0, 0.0, 0.0]
    """

    def __init__(self, first: int, count: int, step: int = 1, **options: Any) -> None:
        super().__init__(**options)
        self.first, self.count, self.step = first, count, check.positive("channels.step", step)
        self.strides = (step, step)

    def call(self, inputs: Tensor) -> Tensor:
        found = inputs[:, :: self.step, :: self.step, self.first : self.first + self.count]
        missing = self.count - found.shape[-1]
        return keras.ops.pad(found, ((0, 0), (0, 0), (0, 0), (0, missing))) if missing else found

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        sizes = (None if size is None else -(-size // self.step) for size in input_shape[1:3])
        return input_shape[0], *sizes, self.count

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "first": self.first, "count": self.count, "step": self.step}


@keras.saving.register_keras_serializable("lensmith")
class LocallyConnected(keras.layers.Layer):  # type: ignore[misc]
    """A convolution whose kernel differs from place to place, without padding.

    Its weights are ``kernel``, ``(rows, columns, size, size, channels, filters)`` by place of the output, and
    ``bias``, ``(rows, columns, filters)``.

    Args:
        filters: how many maps come out.
        kernel_size: side of the square window.
        strides: from one window to the next.
        kernel_initializer: of the kernels.

    Shapes:
        ``(batch, height, width, channels)`` to ``(batch, rows, columns, filters)``.

    References:
        LeCun 1989, Generalization and Network Design Strategies; Redmon 2013-2018, Darknet, src/local_layer.c.
    """

    def __init__(
        self, filters: int, kernel_size: int, strides: int = 1, kernel_initializer: Any = "he_normal", **options: Any
    ) -> None:
        super().__init__(**options)
        self.filters = check.positive("local.filters", filters)
        self.kernel_size = check.positive("local.kernel", kernel_size)
        self.strides = check.positive("local.stride", strides)
        self.kernel_initializer = keras.initializers.get(kernel_initializer)

    def build(self, input_shape: Shape) -> None:
        _, rows, columns, _ = self.compute_output_shape(input_shape)
        size, channels = self.kernel_size, input_shape[-1]
        shape = (rows, columns, size, size, channels, self.filters)
        self.kernel = self.add_weight(shape=shape, initializer=self.kernel_initializer, name="kernel")
        self.bias = self.add_weight(shape=(rows, columns, self.filters), initializer="zeros", name="bias")
        self.built = True

    def call(self, inputs: Tensor) -> Tensor:
        rows, columns = self.bias.shape[:2]
        step = self.strides
        windows = [
            inputs[:, y : y + step * (rows - 1) + 1 : step, x : x + step * (columns - 1) + 1 : step]
            for y in range(self.kernel_size)
            for x in range(self.kernel_size)
        ]
        seen = keras.ops.concatenate(windows, axis=-1)
        kernel = keras.ops.reshape(self.kernel, (rows, columns, -1, self.filters))
        return keras.ops.einsum("nyxk,yxkf->nyxf", seen, kernel) + self.bias

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        _, height, width, _ = input_shape
        if height is None or width is None or min(height, width) < self.kernel_size:
            expected = f"feature maps of a fixed size of at least {self.kernel_size} pixels"
            raise check.SettingError(check.sentence(self.name, expected, f"{height}×{width}"))
        rows, columns = ((size - self.kernel_size) // self.strides + 1 for size in (height, width))
        return input_shape[0], rows, columns, self.filters

    def get_config(self) -> dict[str, Any]:
        own = {"filters": self.filters, "kernel_size": self.kernel_size, "strides": self.strides}
        made = keras.initializers.serialize(self.kernel_initializer)
        return {**super().get_config(), **own, "kernel_initializer": made}
