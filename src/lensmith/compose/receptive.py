"""Receptive fields: which pixels of the image a position of feature maps is computed from.

Only the shapes of a model decide, not its weights. A field goes from the first pixel seen to the last, whatever a
dilated window leaves out in between, and over the image's border where zeros were added there.

References: Araujo et al. 2019, Computing Receptive Fields of Convolutional Neural Networks.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any

from lensmith.compose import graph
from lensmith.compose.graph import Call

# Layers, and operations of keras.ops, that compute each position from the same position of all their inputs.
_IN_PLACE = re.compile(
    "Activation|DarknetActivation|ReLU|LeakyReLU|PReLU|ELU|Identity|ActivityRegularization|Rescaling|Normalization|"
    "BatchNormalization|LocalResponseNormalization|(Spatial|Alpha|Gaussian|)Dropout(2D)?|GaussianNoise|Add|Subtract|"
    "Multiply|Average|Maximum|Minimum|Divide|TrueDivide|Power|Relu6?|Sigmoid|Tanh|Silu|Gelu|Elu|Selu|Softplus|"
    "HardSigmoid|HardSilu|Square|Sqrt|Abs(olute)?|Negative|Exp|Log|Clip|Cast|StopGradient"
)
# The same, as long as the axis they work along is neither down nor across.
_ALONG = {"Softmax", "LayerNormalization", "UnitNormalization", "Concatenate", "Dense"}


@dataclass(frozen=True, slots=True)
class Field:
    """What the positions of feature maps see of the image, each pair down and across.

    Position ``i`` sees the ``size`` pixels from ``start + i · stride`` on.

    Args:
        size: in pixels; of maps that were made larger again, the most that any position sees.
        stride: from one field to the next, in pixels; a fraction, the mean, where maps were made larger again.
        start: the first pixel that position 0 sees; negative where it looks at zeros beside the image.
    """

    size: tuple[int, int]
    stride: tuple[int | Fraction, int | Fraction]
    start: tuple[int, int]


def receptive_fields(model: Any) -> dict[str, Field | None]:
    """The receptive field of every layer of a model, models inside it included.

    Exact for convolutions (also depthwise, separable, dilated, transposed), pools, padding, cropping, enlarging by
    whole factors and what joins or changes single positions, over any number of branches. Where feature maps are
    padded to the ``same`` size and theirs is not known, it is taken for one that the stride divides.

    Args:
        model: any model made of connected layers; of several inputs, all count as the one image.

    Returns:
        By the name of the layer (of one called several times, its last call), in the order data passes; None where a
        position may see the whole image (dense layers on rows, averages over the image and what they weigh) or where
        it is not known (layers of the user's own).

    Raises:
        SettingError: the layers are not known to be connected.

    Example:
        >>> from lensmith.compose import zoo
        >>> receptive_fields(zoo.get("vgg16").build(seed=0))["learner-group2-block1-conv"]
        Field(size=(10, 10), stride=(2, 2), start=(-4, -4))
    """
    found: dict[int, _Maps | None] = {}
    fields: dict[str, Field | None] = {}
    for call in graph.calls(graph.flat(model)):
        maps = _after(call, [found.get(id(tensor)) for tensor in call.inputs])
        found |= dict.fromkeys(map(id, call.outputs), maps)
        fields[call.layer.name] = None if maps is None else _field(maps)
    return fields


@dataclass(frozen=True, slots=True)
class _Axis:
    """What positions see along one axis: position ``i`` the pixels ``spans[i % n]``, moved ``i // n`` times.

    Args:
        spans: first and last pixel; one unless maps were made larger again, where neighbours may see the same.
        move: pixels from a position to the one n further on.
    """

    spans: tuple[tuple[int, int], ...] = ((0, 0),)
    move: int = 1

    def seen(self, first: int, last: int, step: int = 1) -> tuple[int, int]:
        """The pixels that these positions see together."""
        each = [divmod(position, len(self.spans)) for position in range(first, last + 1, step)]
        low = min(self.spans[place][0] + turn * self.move for turn, place in each)
        return low, max(self.spans[place][1] + turn * self.move for turn, place in each)


@dataclass(frozen=True, slots=True)
class _Maps:
    """Feature maps: what their rows and columns see, where these two axes stand in the tensor, and, where a reshape
    made one axis of both, how many there were of each."""

    down: _Axis
    across: _Axis
    places: tuple[int, int] = (1, 2)
    row: tuple[int, int] | None = None

    def axes(self) -> tuple[_Axis, _Axis]:
        return self.down, self.across


Change = Callable[[_Axis], _Axis | None]
Rule = Callable[[Any, int, int | None], Change]  # of a layer, 0 for down or 1 for across, and the length of the axis


def _field(maps: _Maps) -> Field:
    size = [max(last - first + 1 for first, last in axis.spans) for axis in maps.axes()]
    strides = [Fraction(axis.move, len(axis.spans)) for axis in maps.axes()]
    down, across = (int(stride) if stride.denominator == 1 else stride for stride in strides)
    return Field((size[0], size[1]), (down, across), (maps.down.spans[0][0], maps.across.spans[0][0]))


def _after(call: Call, inputs: Sequence[_Maps | None]) -> _Maps | None:
    """What a call gives; None where it is not known."""
    layer, shape = call.layer, tuple(call.outputs[0].shape)
    if not inputs:
        return _Maps(_Axis(), _Axis()) if len(shape) == 4 else None
    maps = _merged(inputs, call)
    if maps is None or not type(layer).__module__.startswith(("keras.", "lensmith.")):  # what a user's own does
        return None
    name = type(layer).__name__
    if name in _ALONG:
        axes = getattr(layer, "axis", -1)
        along = {axis % len(shape) for axis in (axes if isinstance(axes, list | tuple) else (axes,))}
        return None if along & set(maps.places) else maps
    if name in _WINDOWS:
        return _moved(maps, layer, _WINDOWS[name], tuple(call.inputs[0].shape))
    if name == "Permute":
        first, second = (layer.dims.index(place) + 1 for place in maps.places)
        return replace(maps, places=(first, second))
    if name == "Reshape":
        return _reshaped(maps, tuple(call.inputs[0].shape), shape)
    return maps if _IN_PLACE.fullmatch(name) else None


def _merged(inputs: Sequence[_Maps | None], call: Call) -> _Maps | None:
    """What positions of all inputs see together; None where not all have the same positions."""
    known = [maps for maps in inputs if maps is not None]
    if len(known) != len(inputs) or len({(maps.places, maps.row) for maps in known}) > 1:
        return None
    if len({tuple(tensor.shape[place] for place in known[0].places) for tensor in call.inputs}) > 1:
        return None
    down, across = (_together(each) for each in zip(*(maps.axes() for maps in known), strict=True))
    return None if down is None or across is None else replace(known[0], down=down, across=across)


def _together(axes: Sequence[_Axis]) -> _Axis | None:
    """The pixels from the first to the last that any of these sees; None where they do not move alike."""
    if len({Fraction(axis.move, len(axis.spans)) for axis in axes}) > 1:
        return None
    count = math.lcm(*(len(axis.spans) for axis in axes))
    each = [[axis.seen(i, i) for axis in axes] for i in range(count)]
    spans = tuple((min(first for first, _ in seen), max(last for _, last in seen)) for seen in each)
    return _shortest(spans, axes[0].move * count // len(axes[0].spans))


def _shortest(spans: tuple[tuple[int, int], ...], move: int) -> _Axis:
    """An axis whose spans repeat no later than they have to."""
    for count in range(1, len(spans)):
        step, rest = divmod(move * count, len(spans))
        axis = _Axis(spans[:count], step)
        if len(spans) % count == rest == 0 and all(axis.seen(i, i) == span for i, span in enumerate(spans)):
            return axis
    return _Axis(spans, move)


def _moved(maps: _Maps, layer: Any, rule: Rule, shape: tuple[Any, ...]) -> _Maps | None:
    """The maps after a layer with a window."""
    begin = 2 if getattr(layer, "data_format", "channels_last") == "channels_first" else 1
    if maps.row is not None or len(shape) != 4:
        return None
    axes: list[_Axis | None] = []
    for axis, place in zip(maps.axes(), maps.places, strict=True):
        if place - begin in (0, 1):
            axes.append(rule(layer, place - begin, shape[place])(axis))
        else:  # rows or columns stand where the layer has its channels, which a convolution reads all of
            axes.append(None if hasattr(layer, "kernel_size") else axis)
    return None if axes[0] is None or axes[1] is None else replace(maps, down=axes[0], across=axes[1])


def _reshaped(maps: _Maps, before: tuple[Any, ...], after: tuple[Any, ...]) -> _Maps | None:
    """Maps of which one row is made, or that are put back in their places; None for any other shape."""
    if maps.row is not None:
        back = maps.places == (1, 1) and after[1:3] == maps.row and len(after) == 4
        return replace(maps, places=(1, 2), row=None) if back else None
    if maps.places != (1, 2) or None in before[1:]:
        return None
    if after[1:3] == before[1:3] and len(after) == 4:
        return maps
    return replace(maps, places=(1, 1), row=before[1:3]) if after[1] == before[1] * before[2] else None


# --- windows -------------------------------------------------------------------------------------------------------


def _pair(value: Any, axis: int) -> int:
    return int(value[axis] if isinstance(value, list | tuple) else value)


def _windowed(layer: Any, axis: int, length: int | None) -> Change:
    """A convolution or a pool."""
    size = _pair(layer.kernel_size if hasattr(layer, "kernel_size") else layer.pool_size, axis)
    stride, step = _pair(layer.strides, axis), _pair(getattr(layer, "dilation_rate", 1), axis)
    before = _before((size - 1) * step + 1, stride, length) if getattr(layer, "padding", "valid") == "same" else 0

    def change(source: _Axis) -> _Axis:
        count = len(source.spans) // math.gcd(len(source.spans), stride)
        firsts = [i * stride - before for i in range(count)]
        spans = tuple(source.seen(first, first + (size - 1) * step, step) for first in firsts)
        return _shortest(spans, source.move * stride * count // len(source.spans))

    return change


def _before(window: int, stride: int, length: int | None) -> int:
    """The zeros before the first pixel where Keras pads to the same size: the odd one comes after the last."""
    length = stride if length is None else length
    return max((math.ceil(length / stride) - 1) * stride + window - length, 0) // 2


def _picked(layer: Any, axis: int, length: int | None) -> Change:
    """Every so many positions, from the first."""

    def change(source: _Axis) -> _Axis:
        count = len(source.spans) // math.gcd(len(source.spans), layer.step)
        spans = tuple(source.seen(i * layer.step, i * layer.step) for i in range(count))
        return _shortest(spans, source.move * layer.step * count // len(source.spans))

    return change


def _padded(layer: Any, axis: int, length: int | None) -> Change:
    return lambda source: _from(source, -layer.padding[axis][0])


def _cropped(layer: Any, axis: int, length: int | None) -> Change:
    return lambda source: _from(source, layer.cropping[axis][0])


def _from(source: _Axis, first: int) -> _Axis:
    """The same with another position as the first."""
    return _Axis(tuple(source.seen(first + i, first + i) for i in range(len(source.spans))), source.move)


def _enlarged(layer: Any, axis: int, length: int | None) -> Change:
    factor = _pair(layer.size, axis)

    def change(source: _Axis) -> _Axis | None:
        if factor == 1:
            return source
        if layer.interpolation != "nearest":
            return None
        places = [i // factor for i in range(factor * len(source.spans))]
        return _shortest(tuple(source.seen(place, place) for place in places), source.move)

    return change


def _transposed(layer: Any, axis: int, length: int | None) -> Change:
    size, stride = _pair(layer.kernel_size, axis), _pair(layer.strides, axis)
    plain = layer.output_padding is None and _pair(layer.dilation_rate, axis) == 1 and stride <= size
    cut = (size - stride) // 2 if layer.padding == "same" else 0

    def change(source: _Axis) -> _Axis | None:
        if not plain:
            return None
        # Pixel m of the input adds to the positions from m * stride - cut on, as many as the kernel is long.
        ends = [(-((size - 1 - i - cut) // stride), (i + cut) // stride) for i in range(stride * len(source.spans))]
        return _shortest(tuple(source.seen(first, last) for first, last in ends), source.move)

    return change


_WINDOWS: dict[str, Rule] = {
    **dict.fromkeys(("Conv2D", "DepthwiseConv2D", "SeparableConv2D", "MaxPooling2D", "AveragePooling2D"), _windowed),
    "LocallyConnected": _windowed,
    "Channels": _picked,
    "ZeroPadding2D": _padded,
    "LowestPadding": _padded,
    "Cropping2D": _cropped,
    "UpSampling2D": _enlarged,
    "Conv2DTranspose": _transposed,
}
