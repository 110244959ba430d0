"""Convolutions whose kernels do not change from call to call, for torch on a processor.

oneDNN computes a convolution with a kernel in blocks of its own, into which torch lays it anew in each call, forward
and backward; and a convolution of one pixel is left to another library, which takes twice as long on some processors.
Where only an image or feature maps are differentiated, kernels are laid out once here, and the relu that follows is
done along with the convolution. The derivative by the input of a convolution with stride 1 is itself a convolution,
with the kernel turned round.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from contextvars import ContextVar
from dataclasses import dataclass
from functools import cache
from typing import Any

import torch
from torch.autograd.function import once_differentiable

Tensor = Any  # a torch.Tensor
Pair = tuple[int, int]
Kernels = dict[Any, "_Kernel"]  # by layer

_LAST = torch.channels_last
_within: ContextVar[Kernels | None] = ContextVar("frozen", default=None)


@dataclass(slots=True, eq=False)
class _Kernel:
    """A kernel and its copies.

    Args:
        kernel: float32 ``(out, in, height, width)``, a view; while it is kept, nothing else can lie at its address.
        version: torch's count of the changes of these values.
        padding: of the convolution's input.
        dilation: of the kernel.
    """

    kernel: Tensor
    version: int
    padding: Pair
    dilation: Pair
    _forward: Tensor = None
    _backward: Tensor = None

    def is_of(self, kernel: Tensor, padding: Pair, dilation: Pair) -> bool:
        """Whether it is still of these values, in this place."""
        one, other = self.kernel, kernel
        same = (one.data_ptr(), one.shape, one.stride()) == (other.data_ptr(), other.shape, other.stride())
        return same and (self.version, self.padding, self.dilation) == (other._version, padding, dilation)

    def forward(self, x: Tensor, bias: Tensor | None, relu: bool) -> Tensor:
        if self._forward is None:
            self._forward = _laid_out(self.kernel, self.padding, self.dilation)
        return _convolved(x, self._forward, bias, self.padding, self.dilation, relu)

    def backward(self, slope: Tensor) -> Tensor:
        """The derivative by the input, of that by the output."""
        padding = _opposite(self.kernel, self.padding, self.dilation)
        if self._backward is None:
            self._backward = _laid_out(self.kernel.flip(2, 3).transpose(0, 1), padding, self.dilation)
        return _convolved(slope.contiguous(memory_format=_LAST), self._backward, None, padding, self.dilation, False)


class _Convolution(torch.autograd.Function):  # type: ignore[misc]
    """With the derivative by the input alone."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, kernel: _Kernel, bias: Tensor | None, relu: bool) -> Tensor:
        y = kernel.forward(x, bias, relu)
        ctx.kernel = kernel
        ctx.save_for_backward(*([y] if relu else []))
        return y

    @staticmethod
    @once_differentiable  # type: ignore[untyped-decorator]
    def backward(ctx: Any, slope: Tensor) -> tuple[Tensor, None, None, None]:
        for y in ctx.saved_tensors:
            slope = torch.ops.aten.threshold_backward(slope, y, 0)
        return ctx.kernel.backward(slope), None, None, None


@contextlib.contextmanager
def within(kernels: Kernels) -> Iterator[None]:
    """Within this, kernels are taken for constants; their copies are kept in ``kernels``, and made anew when changed.

    A change is noticed where torch counts it, which it does for all but changes through ``tensor.data``.
    """
    token = _within.set(kernels)
    try:
        yield
    finally:
        _within.reset(token)


def convolution(
    layer: Any, x: Tensor, kernel: Tensor, bias: Tensor | None, padding: Pair, *, relu: bool
) -> Tensor | None:
    """The convolution of a Keras layer with a relu after it, or without; its weights get no derivative.

    Args:
        layer: for its strides and its dilation.
        x: ``(batch, in, height, width)``.
        kernel: ``(out, in / groups, height, width)``.
        bias: ``(out,)``.
        padding: zeros above and below, and left and right.
        relu: whether one follows.

    Returns:
        What ``torch.nn.functional.conv2d`` gives, but for the order of sums; None where this is not :func:`within`,
        or the case is unusual.
    """
    kernels, dilation = _within.get(), tuple(layer.dilation_rate)
    if kernels is None or tuple(layer.strides) != (1, 1) or not _is_usual(x, kernel, bias):
        return None
    if x.shape[1] != kernel.shape[1] or min(_opposite(kernel, padding, dilation)) < 0 or not _works():
        return None
    known = kernels.get(layer)
    if known is None or not known.is_of(kernel, padding, dilation):
        known = kernels[layer] = _Kernel(kernel.detach(), kernel._version, padding, dilation)
    return _Convolution.apply(x, known, None if bias is None else bias.detach(), relu)


def _is_usual(x: Tensor, kernel: Tensor, bias: Tensor | None) -> bool:
    """Whether all are float32 numbers on the processor, and the image lies in channels-last memory."""
    tensors = [x, kernel] if bias is None else [x, kernel, bias]
    if any(each.dtype != torch.float32 or each.device.type != "cpu" or each.is_inference() for each in tensors):
        return False
    return bool(x.numel() > 0 and x.is_contiguous(memory_format=_LAST) and torch.backends.mkldnn.enabled)


def _opposite(kernel: Tensor, padding: Pair, dilation: Pair) -> Pair:
    """The padding of the convolution that gives the derivative."""
    height, width = (step * (side - 1) for side, step in zip(kernel.shape[2:], dilation, strict=True))
    return height - padding[0], width - padding[1]


def _laid_out(kernel: Tensor, padding: Pair, dilation: Pair) -> Tensor:
    return torch.ops.aten.mkldnn_reorder_conv2d_weight(kernel.to_mkldnn(), padding, (1, 1), dilation, 1)


def _convolved(x: Tensor, kernel: Tensor, bias: Tensor | None, padding: Pair, dilation: Pair, relu: bool) -> Tensor:
    after = "relu" if relu else "none"
    return torch.ops.mkldnn._convolution_pointwise(x, kernel, bias, padding, (1, 1), dilation, 1, after, [], None)


@cache
def _works() -> bool:
    """Whether this torch has these operations, which are not public, and they give what they should."""
    x, kernel = torch.arange(36.0).reshape(1, 4, 3, 3).contiguous(memory_format=_LAST), torch.ones(1, 4, 3, 3)
    try:
        found = _convolved(x, _laid_out(kernel, (1, 1), (1, 1)), None, (1, 1), (1, 1), True)
    except (AttributeError, RuntimeError):
        return False
    return bool(torch.equal(found, torch.nn.functional.conv2d(x, kernel, padding=1)))
