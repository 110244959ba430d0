"""What goes into a convolution or a pool, brought into one form and checked."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from lensmith import check
from lensmith.probe.lab.sizes import Padding, Pair, in_group, margins, output_size, pair


def numbers(place: str, values: ArrayLike) -> np.ndarray:
    """The values as int64 when they are whole numbers or truth values, else as float64.

    Pixels of 8 bits would run over at the first product.

    Raises:
        DataError: they are no numbers, or rows of different lengths.
    """
    try:
        array = np.asarray(values)
    except ValueError:  # rows of different lengths
        array = np.empty(0, object)
    if array.dtype.kind not in "biuf":
        raise check.DataError(check.sentence(place, "an array of numbers", array.dtype))
    return array.astype(np.float64 if array.dtype.kind == "f" else np.int64)


def image_of(image: ArrayLike) -> np.ndarray:
    """The image with its channels, of shape ``(h, w, c)``.

    Raises:
        DataError: it is of another shape, or empty.
    """
    array = numbers("image", image)
    if array.ndim not in (2, 3) or array.size == 0:
        raise check.DataError(check.sentence("image", "the shape (height, width) or with channels", array.shape))
    return array if array.ndim == 3 else array[..., None]


def pad(image: ArrayLike, n: int | tuple[tuple[int, int], tuple[int, int]], value: float = 0) -> np.ndarray:
    """An image with a border of one value.

    A border of ``(k - 1) / 2`` pixels lets a convolution with an odd ``k`` keep the size of the image.

    Args:
        image: of shape ``(h, w)`` or ``(h, w, c)``.
        n: pixels on all four sides, or ``((above, below), (left, right))``.
        value: of the border.

    Returns:
        An array of shape ``(h + 2n, w + 2n)``, with the channels the image has; int64 where the image and the value
        are whole numbers, else float64.

    Raises:
        DataError: the image is of another shape, or empty.
        SettingError: ``n`` is negative or no whole number.

    Example:
        >>> pad([[1, 2]], 1)
        array([[0, 0, 0, 0],
               [0, 1, 2, 0],
               [0, 0, 0, 0]])
    """
    array = image_of(image)
    sides = n if isinstance(n, tuple) else ((n, n), (n, n))
    for side in [side for axis in sides for side in axis]:
        margins(1, 1, padding=side)  # refuses what is no border
    (above, below), (left, right) = sides
    border = numbers("value", value)
    dtype = np.result_type(array, border)
    result = np.full((above + array.shape[0] + below, left + array.shape[1] + right, array.shape[2]), border, dtype)
    result[above : above + array.shape[0], left : left + array.shape[1]] = array
    return result if np.ndim(image) == 3 else result[..., 0]


@dataclass(frozen=True, slots=True, eq=False)
class Operands:
    """What a convolution works on.

    Args:
        image: with its border, ``(h, w, c_in)``.
        kernel: ``(k, k', c_in / groups, c_out)``.
        bias: ``(c_out,)``.
        shape: of the result, ``(h', w', c_out)``.
        dtype: of the result.
        stride: by axis.
        dilation: by axis.
        plain: whether image and kernel came without channels, so that the result goes without them.
    """

    image: np.ndarray
    kernel: np.ndarray
    bias: np.ndarray
    shape: tuple[int, int, int]
    dtype: np.dtype
    stride: tuple[int, int]
    dilation: tuple[int, int]
    plain: bool


def operands(
    image: ArrayLike,
    kernel: ArrayLike,
    stride: Pair,
    padding: Padding,
    dilation: Pair,
    groups: int,
    bias: ArrayLike | None,
) -> Operands:
    """Bring what a convolution is given into one form.

    Raises:
        DataError: the image is no image.
        SettingError: kernel, bias and image do not fit together, or a number is impossible.
    """
    pixels, weights = image_of(image), numbers("kernel", kernel)
    plain = weights.ndim == 2
    weights = weights[..., None, None] if plain else weights
    check_kernel(weights, (2, in_group("image channels", pixels.shape[2], groups)))
    n_out = weights.shape[3]
    in_group("kernels", n_out, groups)
    added = bias_of(bias, n_out)
    steps, apart = pair("stride", stride), pair("dilation", dilation)
    axes = list(zip(pixels.shape[:2], weights.shape[:2], steps, apart, strict=True))
    above, left = (margins(n, k, s, padding, d) for n, k, s, d in axes)
    rows, columns = (output_size(n, k, s, padding, d) for n, k, s, d in axes)
    dtype = np.result_type(pixels, weights, added)
    return Operands(pad(pixels, (above, left)), weights, added, (rows, columns, n_out), dtype, steps, apart, plain)


def check_kernel(kernel: np.ndarray, channels: tuple[int, int]) -> None:
    """Refuse a kernel that does not fit.

    Args:
        kernel: of any shape.
        channels: which of its axes must have the channels of the image, and how many these are.

    Raises:
        SettingError: it has another number of axes, is empty, or reads another number of channels.
    """
    axis, depth = channels
    if kernel.ndim != 4 or kernel.size == 0 or kernel.shape[axis] != depth:
        wanted = ["height", "width", "channels", "channels"]
        wanted[axis], wanted[5 - axis] = str(depth), "kernels"
        got = f"{tuple(kernel.shape[:2]) if kernel.shape[2:] == (1, 1) else tuple(kernel.shape)}"
        remedy = "For the same on each channel there is depthwise" if kernel.shape[2:] == (1, 1) else ""
        raise check.SettingError(check.sentence("kernel", f"the shape ({', '.join(wanted)})", got, remedy))


def bias_of(bias: ArrayLike | None, n_out: int) -> np.ndarray:
    """One number for each output channel; zeros where there is no bias.

    Raises:
        SettingError: there are others.
    """
    added = numbers("bias", np.zeros(n_out, np.int64) if bias is None else bias)
    added = added[None] if added.ndim == 0 else added
    if added.shape != (n_out,):
        raise check.SettingError(check.sentence("bias", f"the shape ({n_out},), a number a kernel", added.shape))
    return added
