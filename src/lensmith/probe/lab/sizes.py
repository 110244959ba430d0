"""How large the result of a window that moves over an image is, and how far it sees.

A window of ``k`` pixels over ``n`` pixels, moved by ``s``, with ``p`` pixels of border on either side, fits
``floor((n + 2p - k) / s) + 1`` times (Dumoulin and Visin, "A guide to convolution arithmetic for deep learning", 2016,
relationship 6). All of this holds for each axis by itself, and for any window: nothing here takes a kernel for 3×3.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from lensmith import check

Pair = int | tuple[int, int]
"""One number for both axes, or one for the height and one for the width."""
Padding = Literal["valid", "same"] | int
"""No border; as much as keeps the size at a stride of 1; or so many pixels on all four sides."""


def pair(place: str, value: Pair) -> tuple[int, int]:
    """The number for the height and the one for the width.

    Raises:
        SettingError: it is neither a whole number of at least 1 nor two of them.

    Example:
        >>> pair("stride", 2), pair("kernel", (1, 7))
        ((2, 2), (1, 7))
    """
    if not isinstance(value, tuple):
        return (check.positive(place, value),) * 2
    if len(value) != 2:
        raise check.SettingError(check.sentence(place, "a whole number, or one for each axis", repr(value)))
    return check.positive(place, value[0]), check.positive(place, value[1])


def in_group(place: str, channels: int, groups: int) -> int:
    """How many of the channels each group has.

    Raises:
        SettingError: they do not divide.
    """
    if check.positive(place, channels) % check.positive("groups", groups):
        raise check.SettingError(check.sentence(place, f"a multiple of the {groups} groups", channels))
    return channels // groups


def extent(kernel: int, dilation: int = 1) -> int:
    """How many pixels a kernel spans when its numbers stand ``dilation`` pixels apart: ``d·(k - 1) + 1``.

    Example:
        >>> extent(3), extent(3, dilation=2)
        (3, 5)
    """
    return check.positive("dilation", dilation) * (check.positive("kernel", kernel) - 1) + 1


def margins(n: int, kernel: int, stride: int = 1, padding: Padding = "valid", dilation: int = 1) -> tuple[int, int]:
    """The border before and behind the ``n`` pixels of one axis.

    With ``"same"`` there are ``ceil(n / stride)`` results whatever the kernel; a border of an odd number of pixels has
    the one more behind, as Keras and TensorFlow have it.

    Args:
        n: pixels along the axis.
        kernel: numbers of the kernel along the axis.
        stride: pixels from one place of the window to the next.
        padding: see :data:`Padding`.
        dilation: pixels from one number of the kernel to the next.

    Raises:
        SettingError: one of them is impossible.

    Example:
        >>> margins(5, 3, padding="same"), margins(6, 3, stride=2, padding="same"), margins(5, 3, padding=2)
        ((1, 1), (0, 1), (2, 2))
    """
    if padding == "valid":
        return 0, 0
    if padding == "same":
        places = -(-check.positive("size", n) // check.positive("stride", stride))
        missing = max((places - 1) * stride + extent(kernel, dilation) - n, 0)
        return missing // 2, missing - missing // 2
    if isinstance(padding, bool) or not isinstance(padding, int) or padding < 0:
        expected = "valid, same or a whole number of at least 0"
        remedy = check.nearest(padding, ["valid", "same"]) if isinstance(padding, str) else ""
        raise check.SettingError(check.sentence("padding", expected, repr(padding), remedy))
    return padding, padding


def output_size(n: int, kernel: int, stride: int = 1, padding: Padding = "valid", dilation: int = 1) -> int:
    """How many places a window has along one axis: ``floor((n + 2p - k) / s) + 1``.

    Args:
        n: pixels along the axis.
        kernel: numbers of the kernel along the axis; a dilated one counts with its :func:`extent`.
        stride: pixels from one place to the next.
        padding: see :data:`Padding`; with an uneven border, ``2p`` is the whole of it.
        dilation: pixels from one number of the kernel to the next.

    Raises:
        SettingError: one of them is impossible, or the window is larger than the image with its border.

    Example:
        >>> output_size(160, kernel=3), output_size(160, kernel=3, padding=1), output_size(224, 7, stride=2, padding=3)
        (158, 160, 112)
        >>> output_size(2, kernel=3)
        Traceback (most recent call last):
            ...
        lensmith.check.SettingError: size: expected at least the 3 pixels that the kernel spans; got 2. Pad the image
    """
    whole = check.positive("size", n) + sum(margins(n, kernel, stride, padding, dilation))
    span = extent(kernel, dilation)
    if whole < span:
        expected = f"at least the {span} pixels that the kernel spans"
        raise check.SettingError(check.sentence("size", expected, whole, "Pad the image"))
    return (whole - span) // check.positive("stride", stride) + 1


def receptive_field(stack: Sequence[tuple[int, int] | tuple[int, int, int]]) -> int:
    """How many pixels of the image one number after a stack of convolutions or pools sees along one axis.

    Each layer adds ``(k - 1)`` steps, and a step is as long as the product of all strides before it:
    ``1 + sum((k_i - 1) · s_1 · … · s_(i-1))``.

    Args:
        stack: for each layer, from the image on, ``(kernel, stride)`` or ``(kernel, stride, dilation)``.

    Raises:
        SettingError: a number is less than 1, or a layer has other numbers.

    References:
        Araujo, Norris and Sim, "Computing receptive fields of convolutional neural networks", 2019, equation 2.

    Example:
        Two layers of 3×3 see what one of 5×5 sees; a pool doubles the steps of what comes behind it.

        >>> receptive_field([(3, 1), (3, 1)]), receptive_field([(3, 1), (2, 2), (3, 1)])
        (5, 8)
    """
    seen, step = 1, 1
    for layer in stack:
        if len(layer) not in (2, 3):
            expected = "(kernel, stride) or (kernel, stride, dilation)"
            raise check.SettingError(check.sentence("stack", expected, repr(layer)))
        seen += (extent(layer[0], *layer[2:]) - 1) * step
        step *= check.positive("stride", layer[1])
    return seen
