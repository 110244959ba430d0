"""Windows of ours as windows that Darknet has: square, with as many zeros on every side.

A window that is no square, whose taps lie apart, or that has more zeros on one side than on the other, is a larger
square one whose further weights are 0: it gives the same sums.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np


@dataclass(frozen=True, slots=True)
class Axis:
    """How a window goes along one axis.

    Args:
        size: pixels there are, without zeros.
        before, after: zeros at the two ends.
        window: pixels it covers, from its first tap to its last.
        count: places it takes.
    """

    size: int
    before: int
    after: int
    window: int
    count: int


@dataclass(frozen=True, slots=True)
class Square:
    """A square window.

    Args:
        size: of a side.
        padding: zeros on every side, or of a pool all in all along an axis.
        shifts: how far inside it our window begins, down and across.
    """

    size: int
    padding: int
    shifts: tuple[int, int] = (0, 0)


def convolution(axes: Sequence[Axis], stride: int) -> Square | None:
    """The smallest square window that gives the same sums at the same places; None where there is none.

    >>> convolution([Axis(8, 1, 1, 3, 8)] * 2, 1), convolution([Axis(8, 0, 1, 3, 4)] * 2, 2)
    (Square(size=3, padding=1, shifts=(0, 0)), Square(size=4, padding=1, shifts=(1, 1)))
    """
    largest = max(axis.window for axis in axes)
    most = max(max(axis.before, axis.after) for axis in axes) + largest
    for size, padding in product(range(largest, largest + 2 * most + 1), range(most + 1)):
        shifts = [padding - axis.before for axis in axes]
        if all(
            0 <= shift <= size - axis.window
            and size <= axis.size + 2 * padding
            and (axis.size + 2 * padding - size) // stride + 1 == axis.count
            for axis, shift in zip(axes, shifts, strict=True)
        ):
            return Square(size, padding, (shifts[0], shifts[1]))
    return None


def pool(axes: Sequence[Axis], stride: int) -> Square | None:
    """The padding that puts a maximum pool of ours at the same places; None where there is none.

    Darknet lays half of it, rounded down, before the image, and counts nothing of it.

    >>> pool([Axis(8, 0, 0, 2, 4)] * 2, 2), pool([Axis(8, 0, 1, 2, 8)] * 2, 1), pool([Axis(8, 1, 0, 2, 8)] * 2, 1)
    (Square(size=2, padding=0, shifts=(0, 0)), Square(size=2, padding=1, shifts=(0, 0)), None)
    """
    size = axes[0].window
    if any(axis.window != size for axis in axes):
        return None
    for padding in range(2 * size):
        if all(
            padding // 2 == axis.before and (axis.size + padding - size) // stride + 1 == axis.count for axis in axes
        ):
            return Square(size, padding)
    return None


def laid(kernel: np.ndarray[Any, Any], square: Square, dilation: tuple[int, int]) -> np.ndarray[Any, Any]:
    """A kernel ``(out, in, height, width)`` in a square one, with zeros elsewhere."""
    whole = np.zeros((*kernel.shape[:2], square.size, square.size), np.float32)
    places = [
        slice(shift, shift + (taps - 1) * apart + 1, apart)
        for shift, taps, apart in zip(square.shifts, kernel.shape[2:], dilation, strict=True)
    ]
    whole[:, :, places[0], places[1]] = kernel
    return whole
