"""Layers of Keras as sections of Darknet, one function a kind.

Batch normalisation is folded into the convolution before it: Darknets do not agree on its epsilon (1e-6 added to the
deviation on a CPU, 1e-5 to the variance on a GPU), and without it all of them give the same numbers.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

import numpy as np

from lensmith.backend import keras
from lensmith.compose.detection.space import SpaceToDepth
from lensmith.compose.graph import Call
from lensmith.detect.darknet.writing_activations import activated, own_activation
from lensmith.detect.darknet.writing_graph import Walk, refused
from lensmith.detect.darknet.writing_graph_layers import WRITERS
from lensmith.detect.darknet.writing_layers import Array, Section
from lensmith.detect.darknet.writing_sections import IMAGE, NONE, Pads
from lensmith.detect.darknet.writing_windows import Axis, pool

_KNOWN = "convolutions, pools, sums, joins, normalisations, fully connected layers and nearest upsampling"


def take(walk: Walk, call: Call) -> None:
    """Write one call of a layer.

    Raises:
        SettingError: Darknet has no such layer, or not with these settings; names the layer.
    """
    for kind, write in _writers():
        if isinstance(call.layer, kind):
            write(walk, call)
            return
    raise refused(call, f"a layer that Darknet has: {_KNOWN}", type(call.layer).__name__)


def _numbers(variable: Any) -> Array:
    return np.asarray(keras.ops.convert_to_numpy(variable), np.float32)


def _bias(layer: Any) -> Array | None:
    return _numbers(layer.bias) if layer.use_bias else None


def _one_stride(call: Call, strides: Any) -> int:
    down, across = strides
    if down != across:
        raise refused(call, "one stride for both directions", f"{down} and {across}")
    return int(down)


def _same(call: Call, pads: Pads, windows: Sequence[int], stride: int, sizes: Sequence[int]) -> Pads:
    """The zeros around an image: those given, and those of ``same``."""
    if call.layer.padding == "valid":
        return pads
    if call.layer.padding != "same":
        raise refused(call, "the padding same or valid", call.layer.padding)
    both = []
    for (before, after), window, size in zip(pads, windows, sizes, strict=True):
        padded = size + before + after
        missing = max((-(-padded // stride) - 1) * stride + window - padded, 0)
        both.append((before + missing // 2, after + missing - missing // 2))
    return both[0], both[1]


def _channels_last(call: Call) -> None:
    if getattr(call.layer, "data_format", "channels_last") != "channels_last":
        raise refused(call, "channels last", call.layer.data_format)


def _convolution(walk: Walk, call: Call) -> None:
    layer = call.layer
    kernel = np.transpose(_numbers(layer.kernel), (3, 2, 0, 1))
    _windowed(walk, call, kernel, _bias(layer), layer.groups)


def _depthwise(walk: Walk, call: Call) -> None:
    height, width, channels, times = call.layer.kernel.shape
    kernel = np.transpose(_numbers(call.layer.kernel), (2, 3, 0, 1)).reshape(channels * times, 1, height, width)
    _windowed(walk, call, kernel, _bias(call.layer), channels)


def _windowed(walk: Walk, call: Call, kernel: Array, bias: Array | None, groups: int) -> None:
    _channels_last(call)
    place, pads = walk.unpadded(call.inputs[0])
    stride, dilation = _one_stride(call, call.layer.strides), tuple(call.layer.dilation_rate)
    windows = [(taps - 1) * apart + 1 for taps, apart in zip(kernel.shape[2:], dilation, strict=True)]
    pads = _same(call, pads, windows, stride, walk.sections.shape(place)[:2])
    made = walk.sections.convolve(
        place, call.layer.name, kernel, bias, groups=groups, stride=stride, dilation=dilation, pads=pads
    )
    walk.put(call, made)
    own_activation(walk, call)


def _dense(walk: Walk, call: Call) -> None:
    layer = call.layer
    place = walk.place(call.inputs[0])
    height, width, channels = walk.sections.shape(place)
    if len(call.inputs[0].shape) != 2:
        raise refused(call, "a vector", f"shape {tuple(call.inputs[0].shape[1:])}", "Put a Flatten before it")
    kernel = _numbers(layer.kernel)  # (height * width * channels, out), the channels last
    units = kernel.shape[1]
    before = walk.sections.made[place].kind if place != IMAGE else ""
    if (height, width) == (1, 1) and before != "connected":
        made = walk.sections.convolve(place, layer.name, kernel.T.reshape(units, -1, 1, 1), _bias(layer))
        walk.put(call, made)
    else:
        turned: Array = kernel.reshape(height, width, channels, units).transpose(3, 2, 0, 1).reshape(units, -1)
        bias = np.zeros(units, np.float32) if _bias(layer) is None else _bias(layer)
        section = Section("connected", layer.name, (1, 1, units), {"output": units}, turned, bias, activation="linear")
        walk.put(call, walk.sections.add(section, place))
    own_activation(walk, call)


def _norm(walk: Walk, call: Call) -> None:
    layer = call.layer
    if layer.axis not in (-1, len(call.inputs[0].shape) - 1):
        raise refused(call, "a normalisation of the channels", f"axis {layer.axis}")
    deviation = np.sqrt(_numbers(layer.moving_variance).astype(np.float64) + layer.epsilon)
    factor = (_numbers(layer.gamma) if layer.scale else 1.0) / deviation
    shift = (_numbers(layer.beta) if layer.center else 0.0) - _numbers(layer.moving_mean) * factor
    walk.affine(call, factor.astype(np.float32), shift.astype(np.float32))


def _rescaling(walk: Walk, call: Call) -> None:
    channels = walk.sections.shape(walk.place(call.inputs[0]))[2]
    factor, shift = (np.full(channels, value, np.float32) for value in (call.layer.scale, call.layer.offset))
    walk.affine(call, factor, shift)


def _max_pool(walk: Walk, call: Call) -> None:
    _channels_last(call)
    layer, tensor = call.layer, call.inputs[0]
    place, pads = walk.unpadded(tensor)
    lowest = walk.lowest.get(id(tensor))
    if lowest is not None:
        walk.put(call, _placed(walk, _pooled(walk, call, place, lowest, _one_stride(call, layer.strides)), place))
        return
    stride = _one_stride(call, layer.strides)
    if pads != NONE and (layer.padding == "same" or not walk.sections.positive(place)):
        place, pads = walk.place(tensor), NONE  # a zero is then not as good as nothing
    section = _pooled(walk, call, place, pads, stride)
    if section is None and pads != NONE:
        place = walk.place(tensor)
        section = _pooled(walk, call, place, NONE, stride)
    walk.put(call, _placed(walk, section, place))


def _placed(walk: Walk, section: Section | None, place: int) -> int | None:
    return None if section is None else walk.sections.add(section, place)


def _pooled(walk: Walk, call: Call, place: int, pads: Pads, stride: int) -> Section | None:
    height, width, channels = walk.sections.shape(place)
    pads = _same(call, pads, call.layer.pool_size, stride, (height, width))
    counts = call.outputs[0].shape[1:3]
    axes = [
        Axis(size, *pad, window, count)
        for size, pad, window, count in zip((height, width), pads, call.layer.pool_size, counts, strict=True)
    ]
    square = pool(axes, stride)
    if square is None:
        return None
    settings = {"size": square.size, "stride": stride, "padding": square.padding}
    return Section("maxpool", call.layer.name, (counts[0], counts[1], channels), settings)


def _average_pool(walk: Walk, call: Call) -> None:
    """The mean of a window is a convolution of each channel."""
    _channels_last(call)
    place = walk.place(call.inputs[0])
    height, width, channels = walk.sections.shape(place)
    stride, (high, wide) = _one_stride(call, call.layer.strides), call.layer.pool_size
    if _same(call, NONE, (high, wide), stride, (height, width)) != NONE:
        raise refused(call, "an average pool without padding", "padding, which Keras leaves out of the mean")
    kernel = np.full((channels, 1, high, wide), 1 / (high * wide), np.float32)
    made = walk.sections.convolve(place, call.layer.name, kernel, groups=channels, stride=stride)
    walk.put(call, made)


def _global_average(walk: Walk, call: Call) -> None:
    place = walk.place(call.inputs[0])
    channels = walk.sections.shape(place)[2]
    walk.put(call, walk.sections.add(Section("avgpool", call.layer.name, (1, 1, channels)), place))


def _padding(walk: Walk, call: Call) -> None:
    _channels_last(call)
    place, pads = walk.unpadded(call.inputs[0])
    own = call.layer.padding
    walk.put(call, place)
    both = [(first + before, last + after) for (first, last), (before, after) in zip(pads, own, strict=True)]
    walk.pads[id(call.outputs[0])], walk.padders[id(call.outputs[0])] = (both[0], both[1]), call.layer.name


def _add(walk: Walk, call: Call) -> None:
    if len({tuple(tensor.shape[1:]) for tensor in call.inputs}) > 1:
        shapes = ", ".join(str(tuple(tensor.shape[1:])) for tensor in call.inputs)
        raise refused(call, "a sum of tensors of one shape", shapes)
    walk.put(call, walk.sections.total([walk.place(tensor) for tensor in call.inputs], call.layer.name))


def _concatenate(walk: Walk, call: Call) -> None:
    shape = call.inputs[0].shape
    if len(shape) != 4 or call.layer.axis not in (-1, 3):
        raise refused(call, "channels of feature maps to join", f"axis {call.layer.axis} of shape {tuple(shape[1:])}")
    walk.put(call, walk.sections.join([walk.place(tensor) for tensor in call.inputs], call.layer.name))


def _upsampling(walk: Walk, call: Call) -> None:
    _channels_last(call)
    if call.layer.interpolation != "nearest":
        raise refused(call, "nearest upsampling", call.layer.interpolation)
    times = _one_stride(call, call.layer.size)
    place = walk.place(call.inputs[0])
    height, width, channels = walk.sections.shape(place)
    shape = (height * times, width * times, channels)
    walk.put(call, walk.sections.add(Section("upsample", call.layer.name, shape, {"stride": times}), place))


def _to_depth(walk: Walk, call: Call) -> None:
    """Pixels as channels by a convolution of ones and zeros: the order of Darknet's reorg is another one."""
    place, block = walk.place(call.inputs[0]), call.layer.block
    channels = walk.sections.shape(place)[2]
    ones = np.eye(block * block * channels, dtype=np.float32)
    kernel = ones.reshape(-1, block, block, channels).transpose(0, 3, 1, 2)
    walk.put(call, walk.sections.convolve(place, call.layer.name, kernel, stride=block))


def _flatten(walk: Walk, call: Call) -> None:
    walk.place(call.inputs[0])
    walk.pass_on(call)


@cache
def _writers() -> tuple[tuple[Any, Callable[[Walk, Call], None]], ...]:
    layers = keras.layers
    activations = (layers.Activation, layers.ReLU, layers.LeakyReLU, layers.ELU, layers.Softmax)
    passing = (layers.Dropout, layers.SpatialDropout2D, layers.GaussianNoise, layers.Identity)
    return (
        (layers.DepthwiseConv2D, _depthwise),
        (layers.Conv2D, _convolution),
        (layers.Dense, _dense),
        (layers.BatchNormalization, _norm),
        (layers.Rescaling, _rescaling),
        (activations, activated),
        (layers.MaxPooling2D, _max_pool),
        (layers.AveragePooling2D, _average_pool),
        (layers.GlobalAveragePooling2D, _global_average),
        (layers.ZeroPadding2D, _padding),
        (layers.Add, _add),
        (layers.Concatenate, _concatenate),
        (layers.UpSampling2D, _upsampling),
        (SpaceToDepth, _to_depth),
        (layers.Flatten, _flatten),
        (passing, Walk.pass_on),
        *WRITERS,
    )
