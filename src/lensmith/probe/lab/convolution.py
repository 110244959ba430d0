"""Convolutions written out in loops, to be read.

What networks call a convolution is a cross-correlation: the kernel is laid on the image as it is, not turned by half a
turn. :mod:`lensmith.probe.lab.vectorised` has the same without loops over pixels.

>>> convolve(np.arange(1, 17).reshape(4, 4), np.arange(1, 10).reshape(3, 3))
array([[348, 393],
       [528, 573]])
"""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from lensmith import check
from lensmith.probe.lab.operands import bias_of, check_kernel, image_of, numbers, operands
from lensmith.probe.lab.sizes import Padding, Pair, extent, pair


def convolve(
    image: ArrayLike,
    kernel: ArrayLike,
    *,
    stride: Pair = 1,
    padding: Padding = "valid",
    dilation: Pair = 1,
    groups: int = 1,
    bias: ArrayLike | None = None,
) -> np.ndarray:
    """Lay a kernel on each place of an image, multiply number by number, and add up: a cross-correlation.

    The window is as large as the kernel, whatever that is: a printed listing takes every kernel for 3×3.

    Args:
        image: ``(h, w)`` or ``(h, w, c_in)``.
        kernel: ``(k, k')`` for an image of one channel, or ``(k, k', c_in / groups, c_out)`` as Keras has it.
        stride: pixels from one place to the next; one number, or one for each axis.
        padding: ``"valid"``, ``"same"`` as Keras has it, or so many zeros on all four sides.
        dilation: pixels from one number of the kernel to the next.
        groups: the channels are divided into so many groups; each kernel sees one of them.
        bias: ``(c_out,)``, added at each place.

    Returns:
        ``(h', w')`` for a kernel of two axes, else ``(h', w', c_out)``, the sizes by
        :func:`~lensmith.probe.lab.sizes.output_size`; int64 where all is whole numbers, else float64.

    Raises:
        DataError: the image is no array of numbers of that shape.
        SettingError: kernel, bias and image do not fit together, or a number is impossible.

    Example:
        Where the step falls, from 10 to 0, the kernel for vertical edges answers.

        >>> step = np.repeat([[10, 10, 0, 0]], 3, axis=0)
        >>> convolve(step, [[1, 0, -1]] * 3), convolve(step, [[1, 0, -1]] * 3, padding="same").shape
        (array([[30, 30]]), (3, 4))
    """
    given = operands(image, kernel, stride, padding, dilation, groups, bias)
    height, width, depth, kernels = given.kernel.shape
    (down, across), (apart_down, apart_across) = given.stride, given.dilation
    result = np.empty(given.shape, given.dtype)
    for row in range(given.shape[0]):
        for column in range(given.shape[1]):
            top, left = row * down, column * across
            bottom, right = top + extent(height, apart_down), left + extent(width, apart_across)
            window = given.image[top:bottom:apart_down, left:right:apart_across]
            for k in range(kernels):
                first = k // (kernels // groups) * depth  # the first channel of the group of this kernel
                seen = window[..., first : first + depth]
                result[row, column, k] = np.sum(seen * given.kernel[..., k]) + given.bias[k]
    return result[..., 0] if given.plain else result


def depthwise(
    image: ArrayLike,
    kernel: ArrayLike,
    *,
    stride: Pair = 1,
    padding: Padding = "valid",
    dilation: Pair = 1,
    bias: ArrayLike | None = None,
) -> np.ndarray:
    """Convolve each channel by itself: as many groups as channels.

    Args:
        image: ``(h, w)`` or ``(h, w, c)``.
        kernel: ``(k, k')``, the same for each channel; ``(k, k', c)``, one for each; or ``(k, k', c, m)`` as Keras has
            it, ``m`` for each.
        stride: as in :func:`convolve`, and so are padding and dilation.
        padding: likewise.
        dilation: likewise.
        bias: ``(c·m,)``.

    Returns:
        ``(h', w', c·m)``: first what came of the first channel.

    Raises:
        DataError: the image is no array of numbers of that shape.
        SettingError: kernel, bias and image do not fit together, or a number is impossible.

    Example:
        >>> depthwise(np.ones((3, 3, 2)), np.ones((3, 3))).tolist()
        [[[9.0, 9.0]]]
    """
    pixels, weights = image_of(image), numbers("kernel", kernel)
    channels = pixels.shape[2]
    if weights.ndim == 2:
        weights = np.repeat(weights[..., None], channels, axis=2)
    weights = weights[..., None] if weights.ndim == 3 else weights
    check_kernel(weights, (2, channels))
    weights = weights.reshape(*weights.shape[:2], 1, -1)
    return convolve(pixels, weights, stride=stride, padding=padding, dilation=dilation, groups=channels, bias=bias)


def separable(
    image: ArrayLike,
    depth_kernel: ArrayLike,
    point_kernel: ArrayLike,
    *,
    stride: Pair = 1,
    padding: Padding = "valid",
    dilation: Pair = 1,
    bias: ArrayLike | None = None,
) -> np.ndarray:
    """Convolve each channel by itself, then mix the channels with 1×1 kernels.

    Args:
        image: ``(h, w)`` or ``(h, w, c)``.
        depth_kernel: as the kernel of :func:`depthwise`, with ``m`` for each channel.
        point_kernel: ``(1, 1, c·m, c_out)``.
        stride: as in :func:`convolve`, and so are padding and dilation.
        padding: likewise.
        dilation: likewise.
        bias: ``(c_out,)``, added at the end.

    Returns:
        ``(h', w', c_out)``.

    Raises:
        DataError: the image is no array of numbers of that shape.
        SettingError: kernels, bias and image do not fit together, or a number is impossible.

    References:
        Chollet, "Xception: deep learning with depthwise separable convolutions", 2017, section 1.1.

    Example:
        >>> separable(np.ones((3, 3, 2)), np.ones((3, 3)), np.ones((1, 1, 2, 1))).tolist()
        [[[18.0]]]
    """
    channels = depthwise(image, depth_kernel, stride=stride, padding=padding, dilation=dilation)
    return convolve(channels, point_kernel, bias=bias)


def transposed(
    image: ArrayLike,
    kernel: ArrayLike,
    *,
    stride: Pair = 1,
    padding: Literal["valid", "same"] = "valid",
    bias: ArrayLike | None = None,
) -> np.ndarray:
    """Go the way of a convolution backwards: each pixel paints the kernel, times its value, on a larger canvas.

    Where the paintings overlap, they add up. It undoes the sizes of a convolution, not what that did to the numbers.

    Args:
        image: ``(h, w)`` or ``(h, w, c_in)``.
        kernel: ``(k, k')`` for an image of one channel, or ``(k, k', c_out, c_in)`` as Keras has it.
        stride: pixels of the canvas from one painting to the next.
        padding: ``"valid"`` keeps the whole canvas, ``max(n·s, (n - 1)·s + k)`` a side; ``"same"`` its middle, ``n·s``.
        bias: ``(c_out,)``, added at each place.

    Returns:
        ``(h', w')`` for a kernel of two axes, else ``(h', w', c_out)``.

    Raises:
        DataError: the image is no array of numbers of that shape.
        SettingError: kernel, bias and image do not fit together, or a number is impossible.

    References:
        Dumoulin and Visin, "A guide to convolution arithmetic for deep learning", 2016, chapter 4.

    Example:
        >>> transposed([[1, 2]], [[1, 1]], stride=(1, 2)), transposed([[1, 2]], [[1, 1]])
        (array([[1, 1, 2, 2]]), array([[1, 3, 2]]))
    """
    pixels, weights = image_of(image), numbers("kernel", kernel)
    plain = weights.ndim == 2
    weights = weights[..., None, None] if plain else weights
    check_kernel(weights, (3, pixels.shape[2]))
    check.one_of("padding", padding, ["valid", "same"])
    (rows, columns), (down, across) = pixels.shape[:2], pair("stride", stride)
    height, width, kernels = weights.shape[:3]
    added = bias_of(bias, kernels)
    more = max(height - down, 0), max(width - across, 0)  # what reaches beyond n·s
    canvas = np.zeros((rows * down + more[0], columns * across + more[1], kernels), np.result_type(pixels, weights))
    for row in range(rows):
        for column in range(columns):
            top, left = row * down, column * across
            canvas[top : top + height, left : left + width] += weights @ pixels[row, column]
    if padding == "same":
        top, left = more[0] // 2, more[1] // 2
        canvas = canvas[top : top + rows * down, left : left + columns * across]
    result: np.ndarray = canvas + added
    return result[..., 0] if plain else result
