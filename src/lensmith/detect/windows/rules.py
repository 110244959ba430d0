"""What each layer of a network for one window becomes in the network for all windows."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from lensmith import check
from lensmith.backend import keras, layers
from lensmith.detect.windows.pooling import DilatedPool

Tensor = Any
Pair = tuple[int, int]

# Layers and operations of keras.ops that compute each number from the same one of all their inputs.
_IN_PLACE = re.compile(
    "Activation|ReLU|LeakyReLU|ELU|Identity|ActivityRegularization|Rescaling|(Spatial|Alpha|Gaussian|)Dropout(2D)?|"
    "GaussianNoise|Add|Subtract|Multiply|Average|Maximum|Minimum|Divide|TrueDivide|Power|Relu6?|Sigmoid|Tanh|Silu|Gelu|"
    "Elu|Selu|Softplus|HardSigmoid|HardSilu|Square|Sqrt|Abs(olute)?|Negative|Exp|Log|Clip|Cast|StopGradient"
)
# The same along the channels of each position.
_BY_CHANNEL = ("BatchNormalization", "LayerNormalization", "LocalResponseNormalization", "Normalization", "Softmax")
_CONVOLUTIONS = ("Conv2D", "DepthwiseConv2D", "SeparableConv2D")
_POOLS = {"MaxPooling2D": "max", "AveragePooling2D": "average"}
_GLOBAL = {"GlobalMaxPooling2D": "max", "GlobalAveragePooling2D": "average"}


@dataclass(frozen=True, slots=True)
class Maps:
    """A tensor of the window's network, for all windows.

    The number at row i and column j of a window's map stands, for the window from row y and column x of the image on,
    at row ``y + i · step`` and column ``x + j · step``.

    Args:
        tensor: symbolic, ``(batch, height, width, channels)``.
        sides: rows and columns that the map has in the window's network; (1, 1) for a vector.
        step: how far apart neighbours of a window's map stand, in pixels, down and across.
        flat: whether it is a row of numbers in the window's network.
    """

    tensor: Tensor
    sides: Pair
    step: Pair
    flat: bool = False


def after(node: Any, known: Mapping[int, Maps], *, approximate: bool) -> Maps:
    """What a call of a layer gives, for all windows.

    Args:
        node: of Keras, the call in the window's network.
        known: by the id of each tensor of that network, what it has become.
        approximate: whether zeros beside a window's maps may be its neighbours instead.

    Raises:
        SettingError: there is no such form of the layer; names it.
    """
    layer, name = node.operation, type(node.operation).__name__
    if not type(layer).__module__.startswith(("keras.", "lensmith.")):  # what a user's own layer does is not known
        raise _refusal(layer, "a layer of Keras", name)
    maps = _merged(layer, [known[id(tensor)] for tensor in node.input_tensors])
    if getattr(layer, "data_format", "channels_last") == "channels_first":
        raise _refusal(layer, "channels in the last place", "channels_first")
    if name in _CONVOLUTIONS and not maps.flat:
        return _convolved(layer, maps, approximate)
    if name in _POOLS and not maps.flat:
        padding = _padding(layer, layer.pool_size, maps, approximate)
        return _windowed(layer, maps, tuple(layer.pool_size), padding, kind=_POOLS[name])
    if name in _GLOBAL and not maps.flat:
        pooled = DilatedPool(_GLOBAL[name], maps.sides, maps.step, name=layer.name)(maps.tensor)
        return Maps(pooled, (1, 1), maps.step, flat=not layer.keepdims)
    if name in ("ZeroPadding2D", "Cropping2D") and not maps.flat:
        return _resized(layer, maps, approximate)
    if name == "Flatten":
        return replace(maps, flat=True)
    if name == "Dense":
        return _dense(layer, maps)
    if name in _BY_CHANNEL or (name == "Concatenate" and len(node.input_tensors) > 1):
        return _along_channels(layer, maps, [known[id(tensor)].tensor for tensor in node.input_tensors])
    # The operation of keras.ops that is called Average is a mean over axes, unlike the layer.
    if _IN_PLACE.fullmatch(name) and (name != "Average" or isinstance(layer, keras.layers.Layer)):
        args, kwargs = node.arguments.fill_in({key: each.tensor for key, each in known.items()})
        if any(getattr(each, "shape", ()) for each in _constants(args, kwargs)):
            raise _refusal(layer, "single numbers beside the maps", "an array")
        return replace(maps, tensor=layer(*args, **kwargs))
    raise _refusal(layer, "a layer that has a convolutional form", name)


def _refusal(layer: Any, expected: str, got: object, remedy: str = "") -> check.SettingError:
    return check.SettingError(check.sentence(f"convolutional: {layer.name}", expected, got, remedy))


def _constants(args: Any, kwargs: Any) -> list[Any]:
    return [each for each in keras.tree.flatten((args, kwargs)) if not isinstance(each, keras.KerasTensor)]


def _merged(layer: Any, inputs: list[Maps]) -> Maps:
    """The maps that a layer is given; of several, all must have the same places."""
    places = {(maps.sides, maps.step if maps.sides != (1, 1) else (1, 1), maps.flat) for maps in inputs}
    if len(places) != 1:
        got = " and ".join(f"{sides[0]}×{sides[1]}" for sides, _, _ in sorted(places))
        remedy = "What is worked out from a whole window and laid on its maps, as by squeeze-and-excitation, differs"
        raise _refusal(layer, "maps of one size", f"{got}", f"{remedy} from window to window")
    return inputs[0]


def _convolved(layer: Any, maps: Maps, approximate: bool) -> Maps:
    dilation = tuple(layer.dilation_rate)
    reach = tuple((size - 1) * apart + 1 for size, apart in zip(layer.kernel_size, dilation, strict=True))
    padding = _padding(layer, reach, maps, approximate)
    step = tuple(apart * step for apart, step in zip(dilation, maps.step, strict=True))
    changed = {"strides": (1, 1), "padding": "valid", "dilation_rate": step}
    made = _again(layer, type(layer).__name__, changed, maps.tensor.shape[-1])
    return _windowed(layer, maps, reach, padding, made=made)


def _again(layer: Any, kind: str, changed: Mapping[str, Any], channels: int) -> Any:
    """A layer with the same settings but a few, and the same weights."""
    made = getattr(layers, kind, None) or getattr(keras.layers, kind)
    made = made.from_config(layer.get_config() | changed)
    made.build((None, None, None, channels))
    made.set_weights(layer.get_weights())
    return made


def _windowed(
    layer: Any, maps: Maps, reach: Pair, padding: tuple[Pair, Pair], *, made: Any = None, kind: str = ""
) -> Maps:
    """What a convolution or a pool gives.

    Args:
        layer: of the window's network.
        maps: what it is called on.
        reach: positions from the first to the last that its window covers.
        padding: zeros before and after, down and across.
        made: the convolution for all windows; None for a pool.
        kind: of the pool.
    """
    strides = tuple(layer.strides)
    padded = [side + sum(both) for side, both in zip(maps.sides, padding, strict=True)]
    if min(padded[0] - reach[0], padded[1] - reach[1]) < 0:
        raise _refusal(layer, f"maps of at least {reach[0]}×{reach[1]}", f"{padded[0]}×{padded[1]}")
    x = _moved_apart(maps, padding, f"{layer.name}-padding")
    made = made or DilatedPool(kind, reach, maps.step, name=layer.name)
    x = made(x)
    # Where a stride stops before the last row, that row is part of no window, and other branches know nothing of it.
    left_over = [
        (side - size) % stride * step
        for side, size, stride, step in zip(padded, reach, strides, maps.step, strict=True)
    ]
    if any(left_over):
        x = keras.layers.Cropping2D(tuple((0, rest) for rest in left_over), name=f"{layer.name}-rest")(x)
    sides = [(side - size) // stride + 1 for side, size, stride in zip(padded, reach, strides, strict=True)]
    step = tuple(step * stride for step, stride in zip(maps.step, strides, strict=True))
    return Maps(x, (sides[0], sides[1]), (step[0], step[1]))


def _padding(layer: Any, reach: Any, maps: Maps, approximate: bool) -> tuple[Pair, Pair]:
    """The zeros that a layer adds to a window's maps: before and after, down and across."""
    both = []
    for side, size, stride in zip(maps.sides, reach, layer.strides, strict=True):
        total = max((-(-side // stride) - 1) * stride + size - side, 0) if layer.padding == "same" else 0
        both.append((total // 2, total - total // 2))
    return _allowed(layer, (both[0], both[1]), approximate)


def _allowed(layer: Any, padding: tuple[Pair, Pair], approximate: bool) -> tuple[Pair, Pair]:
    if layer.padding not in ("valid", "same") and not isinstance(layer.padding, tuple):
        raise _refusal(layer, "the padding valid or same", repr(layer.padding))
    if any(map(any, padding)) and not approximate:
        got = f"zeros beside its maps: {padding[0]} down, {padding[1]} across"
        remedy = (
            "A window by itself sees them where in an image it sees its neighbours: use padding='valid', or accept "
        )
        raise _refusal(layer, "a layer without padding", got, remedy + "other scores with approximate=True")
    return padding


def _resized(layer: Any, maps: Maps, approximate: bool) -> Maps:
    """Zeros around a window's maps, or rows and columns less."""
    if type(layer).__name__ == "ZeroPadding2D":
        padding = _allowed(layer, tuple(layer.padding), approximate)
        sides = [side + sum(both) for side, both in zip(maps.sides, padding, strict=True)]
        return Maps(_moved_apart(maps, padding, layer.name), (sides[0], sides[1]), maps.step)
    cropping = tuple(layer.cropping)
    sides = [side - sum(both) for side, both in zip(maps.sides, cropping, strict=True)]
    apart = tuple((first * step, last * step) for (first, last), step in zip(cropping, maps.step, strict=True))
    return Maps(keras.layers.Cropping2D(apart, name=layer.name)(maps.tensor), (sides[0], sides[1]), maps.step)


def _moved_apart(maps: Maps, padding: tuple[Pair, Pair], name: str) -> Tensor:
    """The maps with zeros around the whole image's, where each window would have had its own."""
    if not any(map(any, padding)):
        return maps.tensor
    apart = tuple((first * step, last * step) for (first, last), step in zip(padding, maps.step, strict=True))
    return keras.layers.ZeroPadding2D(apart, name=name)(maps.tensor)


def _dense(layer: Any, maps: Maps) -> Maps:
    """A fully connected layer: a convolution as large as the maps it is given."""
    channels = maps.tensor.shape[-1]
    size, step = (maps.sides, maps.step) if maps.flat else ((1, 1), (1, 1))
    made = layers.Conv2D(
        layer.units,
        size,
        dilation_rate=step if size != (1, 1) else 1,
        use_bias=layer.use_bias,
        activation=layer.activation,
        dtype=layer.dtype_policy,
        name=layer.name,
    )
    made.build((None, None, None, channels))
    kernel, *bias = layer.get_weights()
    made.set_weights([np.reshape(kernel, (*size, channels, layer.units)), *bias])
    return Maps(made(maps.tensor), (1, 1) if maps.flat else maps.sides, maps.step, maps.flat)


def _along_channels(layer: Any, maps: Maps, tensors: list[Tensor]) -> Maps:
    """What works along the channels of each position, or puts the channels of several one behind the other."""
    name = type(layer).__name__
    axes = getattr(layer, "axis", -1)
    axes = list(axes) if isinstance(axes, list | tuple) else [axes]
    last = 1 if maps.flat else 3
    if axes not in ([-1], [last]):
        raise _refusal(layer, "the channels' axis, -1", axes)
    if maps.flat and maps.sides != (1, 1):
        remedy = "Let it stand before the layer that flattens them"
        raise _refusal(layer, "maps, or numbers of a window that are one each", "maps in a row", remedy)
    if name in ("Concatenate", "Softmax"):
        made = getattr(keras.layers, name)(axis=-1, name=layer.name)
        return replace(maps, tensor=made(tensors if name == "Concatenate" else tensors[0]))
    if name in ("Normalization", "LocalResponseNormalization"):
        return replace(maps, tensor=layer(tensors[0]))
    made = _again(layer, name, {"axis": -1}, tensors[0].shape[-1])
    return replace(maps, tensor=made(tensors[0]))
