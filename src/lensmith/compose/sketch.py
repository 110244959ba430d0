"""Stand-ins for Keras' layers that know shapes and weights but hold none: a recipe built of them costs milliseconds.

A rule says what a layer passes on and what weights it would have. A layer or a setting without a rule is Keras' own
layer, so that a model may be made of both.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from lensmith.backend import keras

Shape = tuple[Any, ...]  # with the batch, whose size is None


@dataclass(frozen=True, slots=True)
class Drawn:
    """What a layer would be: the shape it passes on, and the shapes of its weights by name."""

    output: Shape
    trained: Mapping[str, Shape] = field(default_factory=dict)
    fixed: Mapping[str, Shape] = field(default_factory=dict)


Rule = Callable[..., Drawn]  # (the shapes that come in, **settings as Keras names them)

# Settings that change neither shapes nor weights; all others have to be in a rule's signature.
_NEUTRAL = frozenset({"name", "kernel_initializer", "depthwise_initializer", "pointwise_initializer", "seed"})
_NEUTRAL |= {"momentum", "epsilon", "activation", "bias_initializer", "negative_slope", "max_value"}


class Sketch(keras.Operation):  # type: ignore[misc]
    """A layer of a model that only counts.

    Args:
        kind: Keras' class name.
        rule: of the kind.
        settings: of the layer.
        name: of the layer.
    """

    def __new__(cls, *_: Any) -> Any:
        return object.__new__(cls)  # Keras would note the arguments for saving, which takes most of the time

    def __init__(self, kind: str, rule: Rule, settings: dict[str, Any], name: str) -> None:
        super().__init__(name=name)
        self.kind, self._rule, self._settings = kind, rule, settings
        pooled = settings.get("pool_size", 2) if kind in ("MaxPooling2D", "AveragePooling2D") else 1
        self.strides = settings.get("strides") or pooled
        self.drawn = Drawn(())

    def compute_output_spec(self, inputs: Any) -> Any:
        given = inputs if isinstance(inputs, list | tuple) else [inputs]
        self.drawn = self._rule([tuple(tensor.shape) for tensor in given], **self._settings)
        return keras.KerasTensor(self.drawn.output, dtype=given[0].dtype)

    def call(self, inputs: Any) -> Any:
        raise NotImplementedError("a sketched model has no weights; build the recipe to compute with it")


class Sketches:
    """What ``Maker.layers`` may be: Keras' layers by their names, sketched where there is a rule."""

    def __getattr__(self, kind: str) -> Any:
        real = getattr(keras.layers, kind)
        rule = RULES.get(kind)
        if rule is None:
            return real

        def make(*args: Any, **settings: Any) -> Any:
            positional, known = _signature(kind)
            named = dict(zip(positional, args, strict=False)) | settings
            kept = {key: value for key, value in named.items() if key not in _NEUTRAL}
            if not kept.keys() <= known or "name" not in named:
                return real(*args, **settings)
            return Sketch(kind, rule, kept, named["name"])

        return make


@cache
def _signature(kind: str) -> tuple[tuple[str, ...], frozenset[str]]:
    """Keras' names of a layer's settings in order, and those that its rule takes."""
    ordered = tuple(inspect.signature(getattr(keras.layers, kind).__init__).parameters)[1:]
    return ordered, frozenset(tuple(inspect.signature(RULES[kind]).parameters)[1:])


def _pair(value: Any) -> tuple[Any, Any]:
    return tuple(value) if isinstance(value, list | tuple) else (value, value)


def _slid(source: Shape, window: tuple[int, int], strides: Any, padding: str) -> tuple[int, ...]:
    """Height and width that a window leaves."""
    sizes = zip(source[1:3], window, _pair(strides), strict=True)
    if padding == "same":
        return tuple(math.ceil(size / stride) for size, _, stride in sizes)
    return tuple((size - side) // stride + 1 for size, side, stride in sizes)


def _bias(units: int, use_bias: bool) -> dict[str, Shape]:
    return {"bias": (units,)} if use_bias else {}


def _conv(
    sources: list[Shape],
    filters: int,
    kernel_size: Any,
    strides: Any = 1,
    padding: str = "valid",
    groups: int = 1,
    use_bias: bool = True,
) -> Drawn:
    (source,), sides = sources, _pair(kernel_size)
    kernel = (*sides, source[-1] // groups, filters)
    output = (source[0], *_slid(source, sides, strides, padding), filters)
    return Drawn(output, {"kernel": kernel} | _bias(filters, use_bias))


def _depthwise(
    sources: list[Shape],
    kernel_size: Any,
    strides: Any = 1,
    padding: str = "valid",
    depth_multiplier: int = 1,
    use_bias: bool = True,
) -> Drawn:
    (source,), sides = sources, _pair(kernel_size)
    channels = source[-1] * depth_multiplier
    output = (source[0], *_slid(source, sides, strides, padding), channels)
    return Drawn(output, {"kernel": (*sides, source[-1], depth_multiplier)} | _bias(channels, use_bias))


def _separable(
    sources: list[Shape],
    filters: int,
    kernel_size: Any,
    strides: Any = 1,
    padding: str = "valid",
    use_bias: bool = True,
) -> Drawn:
    (source,), sides = sources, _pair(kernel_size)
    kernels = {"depthwise_kernel": (*sides, source[-1], 1), "pointwise_kernel": (1, 1, source[-1], filters)}
    output = (source[0], *_slid(source, sides, strides, padding), filters)
    return Drawn(output, kernels | _bias(filters, use_bias))


def _dense(sources: list[Shape], units: int, use_bias: bool = True) -> Drawn:
    (source,) = sources
    return Drawn((*source[:-1], units), {"kernel": (source[-1], units)} | _bias(units, use_bias))


def _norm(sources: list[Shape], scale: bool = True, center: bool = True) -> Drawn:
    (source,) = sources
    row = (source[-1],)
    trained = {"gamma": row} if scale else {}
    return Drawn(source, trained | ({"beta": row} if center else {}), {"moving_mean": row, "moving_variance": row})


def _pool(sources: list[Shape], pool_size: Any = 2, strides: Any = None, padding: str = "valid") -> Drawn:
    (source,), sides = sources, _pair(pool_size)
    return Drawn((source[0], *_slid(source, sides, sides if strides is None else strides, padding), source[-1]))


def _global_pool(sources: list[Shape], keepdims: bool = False) -> Drawn:
    (source,) = sources
    return Drawn((source[0], *(1, 1) * keepdims, source[-1]))


def _pad(sources: list[Shape], padding: Any = 1) -> Drawn:
    ((batch, height, width, channels),) = sources
    (top, bottom), (left, right) = map(_pair, _pair(padding))
    return Drawn((batch, height + top + bottom, width + left + right, channels))


def _crop(sources: list[Shape], cropping: Any = 0) -> Drawn:
    ((batch, height, width, channels),) = sources
    (top, bottom), (left, right) = map(_pair, _pair(cropping))
    return Drawn((batch, height - top - bottom, width - left - right, channels))


def _beside(sources: list[Shape]) -> Drawn:
    return Drawn((*sources[0][:-1], sum(source[-1] for source in sources)))


def _flat(sources: list[Shape]) -> Drawn:
    (source,) = sources
    return Drawn((source[0], math.prod(source[1:])))


def _turned(sources: list[Shape], dims: tuple[int, ...]) -> Drawn:
    (source,) = sources
    return Drawn((source[0], *(source[axis] for axis in dims)))


def _combined(sources: list[Shape]) -> Drawn:
    """Of several tensors of one shape, or of shapes that are stretched where they are 1."""
    return Drawn((sources[0][0], *(max(sizes) for sizes in zip(*(source[1:] for source in sources), strict=True))))


def _same(sources: list[Shape]) -> Drawn:
    return Drawn(sources[0])


def _scaled(sources: list[Shape], scale: float) -> Drawn:
    return Drawn(sources[0])


def _dropped(sources: list[Shape], rate: float) -> Drawn:
    return Drawn(sources[0])


RULES: Mapping[str, Rule] = {
    "Conv2D": _conv,
    "DepthwiseConv2D": _depthwise,
    "SeparableConv2D": _separable,
    "Dense": _dense,
    "BatchNormalization": _norm,
    "MaxPooling2D": _pool,
    "AveragePooling2D": _pool,
    "GlobalAveragePooling2D": _global_pool,
    "GlobalMaxPooling2D": _global_pool,
    "ZeroPadding2D": _pad,
    "Cropping2D": _crop,
    "Concatenate": _beside,
    "Flatten": _flat,
    "Permute": _turned,
    "Add": _combined,
    "Multiply": _combined,
    "Activation": _same,
    "ReLU": _same,
    "LeakyReLU": _same,
    "Rescaling": _scaled,
    "Dropout": _dropped,
}
