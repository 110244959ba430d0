"""Keras layers that call torch's operations on channels-last tensors as they lie in memory.

Keras on torch copies a tensor into another layout and back around every convolution and pool, lays every kernel out
anew in each step, adds a bias in a pass of its own and normalises in many small operations. The classes here are
subclasses of Keras' that do none of this: a tensor ``(batch, height, width, channels)`` is seen by torch as
``(batch, channels, height, width)`` in channels-last memory, which is the same bytes, and a kernel of shape
``(height, width, in, out)`` is kept in the bytes of torch's channels-last ``(out, in, height, width)``.

Whatever is unusual (masks, other axes, regularised outputs, hooks, tensors that stand for shapes only) goes Keras' way.
To Python's ``isinstance`` and to Keras' saving these layers are of Keras' classes, so that a ``.keras`` file names
plain Keras layers.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch.nn import functional

from lensmith.backend import frozen, load

keras = load()

Tensor = Any  # a torch.Tensor
InPlace = Callable[[Tensor], Tensor]

_DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}
_HOOKS = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")


@dataclass(frozen=True, slots=True)
class Joined:
    """What an operation does along with its own, instead of in a pass over memory before or after it.

    Args:
        padding: zeros above and below, and to the left and to the right, of a convolution's input.
        after: is given the result, and changes it in place.
    """

    padding: tuple[int, int] = (0, 0)
    after: InPlace | None = None


ALONE = Joined()
# Keras does not say elsewhere whether somebody else keeps the values of the variables just now.
in_stateless_scope: Callable[[], bool] = importlib.import_module(
    "keras.src.backend.common.stateless_scope"
).in_stateless_scope
Run = Callable[[Any, Any, bool | None, Joined], Tensor | None]


@dataclass(frozen=True, slots=True)
class Operation:
    """What runs in place of a Keras layer's ``call``.

    Args:
        run: is given the layer, its input, whether it trains, and what to do along with it. It returns None where the
            case is unusual and has to go Keras' way; then nothing was changed.
        order: the order of the kernel's axes in memory; None for a layer without a kernel.
        pads: whether it can do ``Joined.padding``.
        follows: whether it can do ``Joined.after``.
    """

    run: Run
    order: tuple[int, ...] | None = None
    pads: bool = False
    follows: bool = False


def layers() -> dict[str, Any]:
    """The native classes by the names of Keras' own."""
    return {name: _class(getattr(keras.layers, name), operation) for name, operation in _OPERATIONS.items()}


def _class(plain: Any, operation: Operation) -> Any:
    """A subclass of a Keras layer that runs an operation, and Keras' ``call`` where that gives None."""
    run = operation.run

    class Native(_Disguised, plain):  # type: ignore[misc]
        _is = plain
        _operation = operation

        def __call__(self, *args: Any, **kwargs: Any) -> Any:
            # What Layer.__call__ does besides costs as much as a small operation; most of it is for other cases.
            if len(args) == 1 and kwargs.keys() <= {"training"} and _usual(self, args[0]):
                outputs = run(self, args[0], kwargs.get("training"), ALONE)
                if outputs is not None:
                    return outputs
            return super().__call__(*args, **kwargs)

    if operation.order is not None:
        Native.build = _build(plain, operation.order)
    Native.call = _call_norm(plain, run) if operation is _NORM else _call(plain, run)
    Native.__name__, Native.__qualname__ = plain.__name__, plain.__qualname__
    return Native


def _build(plain: Any, order: tuple[int, ...]) -> Any:
    def build(self: Any, input_shape: Any) -> None:
        plain.build(self, input_shape)
        lay_out(vars(self).get("_kernel", self.kernel), order)

    return build


# Keras reads the names of the arguments of ``call``.
def _call(plain: Any, run: Run) -> Any:
    def call(self: Any, inputs: Any) -> Any:
        outputs = run(self, inputs, False, ALONE)
        return plain.call(self, inputs) if outputs is None else outputs

    return call


def _call_norm(plain: Any, run: Run) -> Any:
    def call(self: Any, inputs: Any, training: bool | None = None, mask: Any = None) -> Any:
        outputs = None if mask is not None else run(self, inputs, bool(training), ALONE)
        return plain.call(self, inputs, training=training, mask=mask) if outputs is None else outputs

    return call


class _Disguised:
    """Says that it is of Keras' class, so that it is saved and copied as that."""

    _is: Any

    @property
    def __class__(self) -> Any:
        return self._is

    @__class__.setter
    def __class__(self, value: Any) -> None:
        raise TypeError("the class of a layer cannot be changed")


def operation_of(layer: Any) -> Operation | None:
    """The operation of a native layer; None for any other."""
    return getattr(type(layer), "_operation", None)


def lay_out(variable: Any, order: tuple[int, ...]) -> None:
    """Let a variable's bytes lie as if its axes were in another order; its shape and values stay."""
    tensor = variable._value
    if tensor is None:  # in a stateless scope nothing is there yet
        return
    back = [order.index(axis) for axis in range(len(order))]
    tensor.data = tensor.data.permute(order).contiguous().permute(back)


def hooked(layer: Any) -> bool:
    """Whether somebody listens to the layer, in torch's way or with a call of its own: it is called whole."""
    attributes = vars(layer)
    return "call" in attributes or any(attributes[name] for name in _HOOKS)


def special(layer: Any) -> bool:
    """Whether the layer does more with its outputs than to return them."""
    return bool(layer.activity_regularizer is not None or layer._remat_mode)


def fits(layer: Any, inputs: Any) -> bool:
    """Whether the inputs are tensors of the layer's own type without masks."""
    dtype = _DTYPES.get(layer.compute_dtype)
    return all(
        type(x) is torch.Tensor and x.dtype == dtype and getattr(x, "_keras_mask", None) is None
        for x in (inputs if isinstance(inputs, list) else (inputs,))
    )


def _usual(layer: Any, inputs: Any) -> bool:
    """Whether all that ``Layer.__call__`` would do beside the operation can be left out."""
    if not layer.built or special(layer) or hooked(layer) or torch.compiler.is_compiling():
        return False
    return fits(layer, inputs)


def _read(variable: Any, x: Tensor) -> Tensor | None:
    """A weight in the type of the input, as Keras' mixed precision casts it; None where it is elsewhere."""
    value = variable._value
    if value is None or in_stateless_scope() or value.device != x.device:
        return None
    return value if value.dtype == x.dtype else value.to(x.dtype)


def _is_image(layer: Any, x: Any) -> bool:
    """Whether it is a real tensor of shape (batch, height, width, channels)."""
    last = getattr(layer, "data_format", "channels_last") == "channels_last"
    return isinstance(x, torch.Tensor) and x.ndim == 4 and last and not x.is_meta


def _first(x: Tensor) -> Tensor:
    return x.permute(0, 3, 1, 2)


def _last(x: Tensor, after: InPlace | None) -> Tensor:
    # In place before the axes are moved back: autograd goes a long way round where a view is changed.
    return (x if after is None else after(x)).permute(0, 2, 3, 1)


def _convolve(layer: Any, x: Tensor, kernel: Tensor, groups: int, joined: Joined) -> Tensor | None:
    """A convolution with a kernel of shape (out, in / groups, height, width) in channels-last memory."""
    if kernel.dtype != _DTYPES.get(layer.compute_dtype):
        return None
    bias = _read(layer.bias, x) if layer.use_bias else None
    x, padding = _first(x), joined.padding
    if layer.padding == "same":
        x, padding = _pad_same(x, layer.kernel_size, layer.strides, layer.dilation_rate)
    own = None if layer.activation is None or layer.activation.__name__ == "linear" else layer.activation
    relu = joined.after is torch.relu_ if own is None else own is keras.activations.relu and joined.after is None
    y = frozen.convolution(layer, x, kernel, bias, padding, relu=relu)
    if y is None:
        y = functional.conv2d(x, kernel, bias, layer.strides, padding, layer.dilation_rate, groups)
    elif relu:  # done
        return _last(y, None)
    if own is None:
        return _last(y, joined.after)
    y = own(_last(y, None))
    return y if joined.after is None else joined.after(y.clone())


def _pad_same(x: Tensor, kernel: Any, strides: Any, dilation: Any) -> tuple[Tensor, tuple[int, int]]:
    """The input and the padding that torch is to add: none where the two sides differ and it is added here."""
    sides = []
    for size, width, stride, step in zip(x.shape[2:], kernel, strides, dilation, strict=True):
        total = max(0, (-(-size // stride) - 1) * stride + (width - 1) * step + 1 - size)
        sides.append((total // 2, total - total // 2))
    (top, bottom), (left, right) = sides
    if top == bottom and left == right:
        return x, (top, left)
    return functional.pad(x, (left, right, top, bottom)), (0, 0)


def _conv(layer: Any, x: Any, training: bool | None, joined: Joined) -> Tensor | None:
    kernel = _read(layer._kernel, x) if _is_image(layer, x) and not layer.lora_enabled else None
    return None if kernel is None else _convolve(layer, x, kernel.permute(3, 2, 0, 1), layer.groups, joined)


def _depthwise(layer: Any, x: Any, training: bool | None, joined: Joined) -> Tensor | None:
    kernel = _read(layer.kernel, x) if _is_image(layer, x) else None
    if kernel is None:
        return None
    height, width, channels, times = kernel.shape
    kernel = kernel.permute(2, 3, 0, 1).reshape(channels * times, 1, height, width)  # a view, as the kernel lies
    return _convolve(layer, x, kernel, channels, joined)


def _batch_norm(layer: Any, x: Any, training: bool | None, joined: Joined) -> Tensor | None:
    if training is None or not _is_image(layer, x) or layer.axis not in (-1, 3) or layer.renorm or layer.synchronized:
        return None
    mean, variance = layer.moving_mean._value, layer.moving_variance._value
    gamma, beta = layer.gamma._value if layer.scale else None, layer.beta._value if layer.center else None
    if in_stateless_scope() or mean is None or mean.device != x.device or mean.dtype != torch.float32:
        return None
    if x.dtype not in (torch.float32, torch.bfloat16) or x.dtype != _DTYPES.get(layer.compute_dtype):
        return None
    x, epsilon = _first(x), layer.epsilon
    if not (training and layer.trainable):
        return _last(functional.batch_norm(x, mean, variance, gamma, beta, False, 0.0, epsilon), joined.after)
    count = x.numel() // x.shape[1]
    if count < 2:  # torch refuses to normalise one value
        return None
    # torch averages unbiased variances, Keras biased ones, which are smaller by (n - 1) / n: the same average of all
    # in other units. ``data`` because torch takes the statistics for inputs, which nobody may change before backward.
    variance.data.mul_(count / (count - 1))
    y = functional.batch_norm(x, mean, variance, gamma, beta, True, 1 - layer.momentum, epsilon)
    variance.data.mul_((count - 1) / count)
    return _last(y, joined.after)


def _pool_padding(layer: Any, x: Any) -> tuple[int, int] | None:
    if not _is_image(layer, x):
        return None
    if layer.padding == "valid":
        return (0, 0)
    padded, padding = _pad_same(_first(x), layer.pool_size, layer.strides, (1, 1))
    return padding if padded.shape[2:] == x.shape[1:3] else None


def _max_pool(layer: Any, x: Any, training: bool | None, joined: Joined) -> Tensor | None:
    padding = _pool_padding(layer, x)
    if padding is None:
        return None
    return _last(functional.max_pool2d(_first(x), layer.pool_size, layer.strides, padding), None)


def _average_pool(layer: Any, x: Any, training: bool | None, joined: Joined) -> Tensor | None:
    padding = _pool_padding(layer, x)
    if padding is None:
        return None
    y = functional.avg_pool2d(_first(x), layer.pool_size, layer.strides, padding, count_include_pad=False)
    return _last(y, None)


def _zero_pad(layer: Any, x: Any, training: bool | None, joined: Joined) -> Tensor | None:
    if not _is_image(layer, x):
        return None
    (top, bottom), (left, right) = layer.padding
    return functional.pad(x, (0, 0, left, right, top, bottom))


def _relu6_(x: Tensor) -> Tensor:
    return functional.hardtanh_(x, 0.0, 6.0)


# By name: the function, and the same in place.
_ACTIVATIONS: dict[str, tuple[InPlace, InPlace]] = {
    "relu": (functional.relu, torch.relu_),
    "relu6": (functional.relu6, _relu6_),
}


def in_place(layer: Any) -> InPlace | None:
    """What an activation layer does to a tensor, done in place; None where it cannot be or is another layer."""
    run = getattr(operation_of(layer), "run", None)
    if run is _activation:
        return _ACTIVATIONS.get(layer.activation.__name__, (None, None))[1]
    if run is _relu and not layer.negative_slope and not layer.threshold and layer.max_value in (None, 6):
        return torch.relu_ if layer.max_value is None else _relu6_
    if run is _leaky and layer.negative_slope > 0:  # else the sign of the input, which its derivative needs, is lost
        return partial(functional.leaky_relu_, negative_slope=layer.negative_slope)
    return None


def _activation(layer: Any, x: Any, training: bool | None, joined: Joined) -> Tensor | None:
    functions = _ACTIVATIONS.get(getattr(layer.activation, "__name__", ""))
    if functions is None or not isinstance(x, torch.Tensor) or x.is_meta:
        return None
    return functions[0](x)


def _relu(layer: Any, x: Any, training: bool | None, joined: Joined) -> Tensor | None:
    if layer.negative_slope or layer.threshold or not isinstance(x, torch.Tensor) or x.is_meta:
        return None
    if layer.max_value is None:
        return functional.relu(x)
    return functional.hardtanh(x, 0.0, float(layer.max_value))


def _leaky(layer: Any, x: Any, training: bool | None, joined: Joined) -> Tensor | None:
    if not isinstance(x, torch.Tensor) or x.is_meta:
        return None
    return functional.leaky_relu(x, layer.negative_slope)


def _add(layer: Any, inputs: Any, training: bool | None, joined: Joined) -> Tensor | None:
    if len(inputs) != 2 or not all(isinstance(x, torch.Tensor) and not x.is_meta for x in inputs):
        return None
    if inputs[0].shape != inputs[1].shape or inputs[0].dtype != inputs[1].dtype:
        return None
    y = inputs[0] + inputs[1]
    return y if joined.after is None else joined.after(y)


_NORM = Operation(_batch_norm, follows=True)
_OPERATIONS = {
    "Conv2D": Operation(_conv, order=(3, 0, 1, 2), pads=True, follows=True),
    "DepthwiseConv2D": Operation(_depthwise, order=(2, 3, 0, 1), pads=True, follows=True),
    "BatchNormalization": _NORM,
    "MaxPooling2D": Operation(_max_pool),
    "AveragePooling2D": Operation(_average_pool),
    "ZeroPadding2D": Operation(_zero_pad),
    "Activation": Operation(_activation),
    "ReLU": Operation(_relu),
    "LeakyReLU": Operation(_leaky),
    "Add": Operation(_add, follows=True),
}


def zeros_around(layer: Any) -> tuple[int, int] | None:
    """The zeros that a padding layer adds above and to the left, where it adds as many below and to the right."""
    if getattr(operation_of(layer), "run", None) is not _zero_pad or layer.data_format != "channels_last":
        return None
    (top, bottom), (left, right) = layer.padding
    return (top, left) if top == bottom and left == right else None
