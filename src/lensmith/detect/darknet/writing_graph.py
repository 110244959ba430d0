"""A Keras graph, layer by layer, as the sections of a Darknet network.

Batch normalisation is folded into the convolution before it: Darknets do not agree on its epsilon (1e-6 added to the
deviation on a CPU, 1e-5 to the variance on a GPU), and without it all of them give the same numbers.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from functools import cache
from typing import Any

import numpy as np

from lensmith import check
from lensmith.backend import keras
from lensmith.compose import views
from lensmith.compose.detection.space import SpaceToDepth
from lensmith.compose.graph import Call, Tensor
from lensmith.detect.darknet.writing_layers import Array, Section
from lensmith.detect.darknet.writing_sections import IMAGE, NONE, POSITIVE, Pads, Sections
from lensmith.detect.darknet.writing_windows import Axis, pool

# What Darknet calls the activations that need no number of their own.
ACTIVATIONS = {
    "relu": "relu",
    "sigmoid": "logistic",
    "tanh": "tanh",
    "silu": "swish",
    "swish": "swish",
    "mish": "mish",
    "elu": "elu",
    "selu": "selu",
}
SLOPE = 0.1  # of Darknet's leaky rectifier
_KNOWN = "convolutions, pools, sums, joins, normalisations, fully connected layers and nearest upsampling"


class Walk:
    """What became of the tensors so far.

    Args:
        steps: all calls that will be walked, a layer after those it reads.
        ends: tensors that are read once more, by the heads.
        image: the model's input tensor.
    """

    def __init__(self, steps: Sequence[Call], ends: Iterable[Tensor], image: Tensor) -> None:
        height, width, channels = image.shape[1:]
        self.sections = Sections((height, width, channels))
        self.uses = Counter(id(tensor) for call in steps for tensor in call.inputs)
        self.uses.update(id(tensor) for tensor in ends)
        self.places = {id(image): IMAGE}
        self.pads: dict[int, Pads] = {}
        if self.uses[id(image)] > 1:  # Darknet's routes lead to layers, and the input is none
            self.places[id(image)] = self.sections.copy(IMAGE, "image")

    def take(self, call: Call) -> None:
        """Write one call of a layer.

        Raises:
            SettingError: Darknet has no such layer, or not with these settings; names the layer.
        """
        for kind, write in _writers():
            if isinstance(call.layer, kind):
                write(self, call)
                return
        raise refused(call, f"a layer that Darknet has: {_KNOWN}", type(call.layer).__name__)

    def place(self, tensor: Tensor) -> int:
        """Where a tensor is; zeros that were to be laid around it are there."""
        pads = self.pads.pop(id(tensor), None)
        if pads is not None:
            self.places[id(tensor)] = self.sections.copy(self.places[id(tensor)], "", pads)
        return self.places[id(tensor)]

    def unpadded(self, tensor: Tensor) -> tuple[int, Pads]:
        """Where a tensor is, and the zeros that are still to be laid around it."""
        return self.places[id(tensor)], self.pads.get(id(tensor), NONE)

    def put(self, call: Call, place: int | None) -> None:
        """Note where the call's output is; refuse what Darknet cannot do."""
        if place is None:
            raise refused(call, "a window that Darknet can lay", "one of which no square window takes the same places")
        self.places[id(call.outputs[0])] = place

    def pass_on(self, call: Call) -> None:
        """Let the output be the input: both are read by whoever reads either."""
        source, target = call.inputs[0], call.outputs[0]
        self.places[id(target)] = self.places[id(source)]
        if id(source) in self.pads:
            self.pads[id(target)] = self.pads[id(source)]
        self.uses[id(target)] += self.uses[id(source)] - 1

    def affine(self, call: Call, factor: Array, shift: Array) -> None:
        """``factor · x + shift``, folded into the layer before where nobody else reads that."""
        place = self.place(call.inputs[0])
        if self.sections.may_fold(place) and self.uses[id(call.inputs[0])] == 1:
            self.sections.made[place].fold(factor, shift)
        else:
            place = self.sections.scale(place, call.layer.name, factor, shift)
        self.put(call, place)

    def activate(self, call: Call, place: int, name: str, alone: bool) -> None:
        """An activation by Darknet's name after a place that nobody else reads, or somebody does."""
        made = self.sections.made
        if name == "relu6":  # 6 - relu(6 - relu(x)): the first Darknet and OpenCV have no relu6
            self.activate(call, place, "relu", alone)
            place, channels = self.places[id(call.outputs[0])], self.sections.shape(place)[2]
            for last in (False, True):
                minus, six = np.full(channels, -1, np.float32), np.full(channels, 6, np.float32)
                place = self.sections.scale(place, call.layer.name, minus, six)
                made[place].activation = "linear" if last else "relu"
                made[place].positive = True
        elif name != "linear":
            if not (alone and place != IMAGE and made[place].activation == "linear"):
                place = self.sections.copy(place, call.layer.name)
            made[place].activation = name
            made[place].positive = name in POSITIVE
        self.put(call, place)

    def own_activation(self, call: Call) -> None:
        """The activation that a convolution or a fully connected layer ends in."""
        if views.activation_of(call.layer) != "linear":
            place = self.places[id(call.outputs[0])]
            self.activate(call, place, _activation(call, call.layer.activation), alone=True)


def refused(call: Call, expected: str, got: object, remedy: str = "") -> check.SettingError:
    """What is raised where Darknet has nothing for a layer."""
    return check.SettingError(check.sentence(call.layer.name, expected, got, remedy))


def _numbers(variable: Any) -> Array:
    return np.asarray(keras.ops.convert_to_numpy(variable), np.float32)


def _bias(layer: Any) -> Array | None:
    return _numbers(layer.bias) if layer.use_bias else None


def _activation(call: Call, function: Any) -> str:
    name = "linear" if function is None else str(getattr(function, "__name__", type(function).__name__)).lower()
    if name in ("linear", "relu6"):
        return name
    if name not in ACTIVATIONS:
        listed = ", ".join(["linear", "relu6", "leaky with slope 0.1", *ACTIVATIONS])
        raise refused(call, f"an activation that Darknet has ({listed})", name)
    return ACTIVATIONS[name]


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
    walk.own_activation(call)


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
        turned = kernel.reshape(height, width, channels, units).transpose(3, 2, 0, 1).reshape(units, -1)
        bias = np.zeros(units, np.float32) if _bias(layer) is None else _bias(layer)
        section = Section(
            "connected", layer.name, (1, 1, units), {"output": units}, turned, bias, activation="linear"
        )
        walk.put(call, walk.sections.add(section, place))
    walk.own_activation(call)


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


def _activated(walk: Walk, call: Call) -> None:
    layer, tensor = call.layer, call.inputs[0]
    name = type(layer).__name__
    if views.activation_of(layer) == "softmax":
        place = walk.place(tensor)
        if walk.sections.shape(place)[:2] != (1, 1):
            raise refused(call, "a softmax over a vector", f"shape {tuple(tensor.shape[1:])}")
        section = Section("softmax", layer.name, walk.sections.shape(place), {"groups": 1}, positive=True)
        walk.put(call, walk.sections.add(section, place))
        return
    if name == "LeakyReLU":
        kind = _leaky(call, layer.negative_slope)
    elif name == "ReLU":
        kind = _rectifier(call)
    elif name == "ELU":
        kind = _exponential(call)
    else:
        kind = _activation(call, layer.activation)
    place = walk.place(tensor)
    walk.activate(call, place, kind, alone=walk.uses[id(tensor)] == 1)


def _leaky(call: Call, slope: float) -> str:
    if abs(float(slope) - SLOPE) > 1e-7:
        raise refused(call, f"a leaky rectifier of slope {SLOPE}, which is Darknet's", float(slope))
    return "leaky"


def _exponential(call: Call) -> str:
    if call.layer.alpha != 1:
        raise refused(call, "an exponential unit of alpha 1", call.layer.alpha)
    return "elu"


def _rectifier(call: Call) -> str:
    layer = call.layer
    slope, most, least = float(layer.negative_slope or 0), layer.max_value, float(layer.threshold or 0)
    if least or (most is not None and (slope or float(most) != 6)):
        raise refused(call, "a plain, a leaky or a rectifier up to 6", f"threshold {least:g}, largest {most}")
    return "relu6" if most is not None else _leaky(call, slope) if slope else "relu"


def _max_pool(walk: Walk, call: Call) -> None:
    _channels_last(call)
    layer, tensor = call.layer, call.inputs[0]
    place, pads = walk.unpadded(tensor)
    stride = _one_stride(call, layer.strides)
    if pads != NONE and (layer.padding == "same" or not walk.sections.positive(place)):
        place, pads = walk.place(tensor), NONE  # a zero is then not as good as nothing
    section = _pooled(walk, call, place, pads, stride)
    if section is None and pads != NONE:
        place = walk.place(tensor)
        section = _pooled(walk, call, place, NONE, stride)
    walk.put(call, None if section is None else walk.sections.add(section, place))


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
    walk.pads[id(call.outputs[0])] = (both[0], both[1])


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
    kernel = np.eye(block * block * channels, dtype=np.float32)
    kernel = kernel.reshape(-1, block, block, channels).transpose(0, 3, 1, 2)
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
        (activations, _activated),
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
    )
