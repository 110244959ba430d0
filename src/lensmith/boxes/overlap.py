"""How far boxes overlap, as numbers that training and matching use: IoU and the measures made from it.

Each is worked out for every box of one set with every box of another. With I the area that two boxes share, U the
area that they cover together, C that of the smallest box around both and c its diagonal, and d the distance of their
centres:

======  ===================  ==========  =====================================================
iou     I / U                0..1        the Jaccard index
giou    IoU - (C - U) / C    -1..1       Rezatofighi et al. 2019, algorithm 1
diou    IoU - d² / c²        -1..1       Zheng et al. 2020, section 3.3
ciou    DIoU - α v           -1.5..1     Zheng et al. 2020, section 3.4: v compares the shapes
======  ===================  ==========  =====================================================

Here v = 4 / π² (atan(w / h) - atan(w' / h'))² and α = v / ((1 - IoU) + v). A quotient whose divisor is 0 is 0, so that
a box without extent gives a number, never NaN; of a box without width and height the angle is 0. Corners in the wrong
order are no extent; the smallest box around two holds all their corners.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from lensmith.boxes.formats import area, table


def iou(first: ArrayLike, second: ArrayLike) -> np.ndarray:
    """Intersection over union (the Jaccard index) of every box of one set with every box of another.

    Args:
        first: shape ``(n, 4)``, ``xyxy``.
        second: shape ``(m, 4)``, ``xyxy``, in the same unit.

    Returns:
        Shape ``(n, m)``, 0..1. Where neither box has an area it is 0.

    Raises:
        DataError: the boxes do not have the shape stated.

    Example:
        >>> iou([[0, 0, 4, 4]], [[0, 0, 4, 2], [2, 0, 6, 4]]).round(3).tolist()
        [[0.5, 0.333]]
    """
    shared, union = _shared_and_union(table(first), table(second))
    return _quotient(shared, union)


def giou(first: ArrayLike, second: ArrayLike) -> np.ndarray:
    """Generalised IoU, which falls below 0 the farther two boxes lie apart (Rezatofighi et al. 2019, algorithm 1).

    Arguments, shape and errors are those of :func:`iou`.

    Returns:
        Shape ``(n, m)``, -1..1.

    Example:
        >>> giou([[0, 0, 2, 2]], [[0, 0, 2, 2], [2, 0, 4, 2], [6, 0, 8, 2]]).tolist()
        [[1.0, 0.0, -0.5]]
    """
    rows, columns = table(first), table(second)
    shared, union = _shared_and_union(rows, columns)
    width, height = _around(rows, columns)
    around = np.multiply(width, height, out=width)
    empty = np.maximum(around - union, 0, out=height)  # rounding alone makes it less than 0
    overlap = _quotient(shared, union)
    overlap -= _quotient(empty, around)
    return overlap


def diou(first: ArrayLike, second: ArrayLike) -> np.ndarray:
    """Distance IoU: less by how far the centres are apart (Zheng et al. 2020, section 3.3).

    Arguments, shape and errors are those of :func:`iou`.

    Returns:
        Shape ``(n, m)``, -1..1.

    Example:
        >>> diou([[0, 0, 2, 2]], [[0, 0, 2, 2], [4, 0, 6, 2]]).tolist()
        [[1.0, -0.4]]
    """
    rows, columns = table(first), table(second)
    overlap = _quotient(*_shared_and_union(rows, columns))
    overlap -= _distance(rows, columns)
    return overlap


def ciou(first: ArrayLike, second: ArrayLike) -> np.ndarray:
    """Complete IoU: DIoU, less by how much the shapes differ (Zheng et al. 2020, section 3.4).

    Arguments, shape and errors are those of :func:`iou`.

    Returns:
        Shape ``(n, m)``, -1.5..1.

    Example:
        >>> ciou([[0, 0, 2, 2]], [[0, 0, 2, 2], [4, 0, 6, 2]]).tolist()
        [[1.0, -0.4]]
        >>> ciou([[0, 0, 2, 2]], [[0, 0, 2, 4]]).round(3).tolist()  # 0.5 - 1 / 20 - 0.003
        [[0.447]]
    """
    rows, columns = table(first), table(second)
    overlap = _quotient(*_shared_and_union(rows, columns))
    differ = (_angle(rows)[:, None] - _angle(columns)[None]) ** 2
    differ *= 4 / np.pi**2
    trade = 1 - overlap
    trade += differ
    overlap -= _distance(rows, columns)
    overlap -= _quotient(differ * differ, trade)
    return overlap


def _shared_and_union(rows: np.ndarray, columns: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The areas that pairs share and cover together, ``(n, m)`` each: worked out side by side, in few arrays."""
    width = np.minimum(rows[:, 2, None], columns[None, :, 2])
    spare = np.maximum(rows[:, 0, None], columns[None, :, 0])
    width -= spare
    np.maximum(width, 0, out=width)
    height = np.minimum(rows[:, 3, None], columns[None, :, 3])
    height -= np.maximum(rows[:, 1, None], columns[None, :, 1], out=spare)
    np.maximum(height, 0, out=height)
    shared = np.multiply(width, height, out=width)
    union = np.add(area(rows)[:, None], area(columns)[None, :], out=height)
    union -= shared
    return shared, union


def _around(rows: np.ndarray, columns: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Width and height of the smallest box around each pair."""
    sides = []
    for axis in (0, 1):
        (low, high), (other_low, other_high) = _ordered(rows, axis), _ordered(columns, axis)
        side = np.maximum(high[:, None], other_high[None])
        side -= np.minimum(low[:, None], other_low[None])
        sides.append(side)
    return sides[0], sides[1]


def _ordered(corners: np.ndarray, axis: int) -> tuple[np.ndarray, np.ndarray]:
    one, other = corners[:, axis], corners[:, axis + 2]
    return np.minimum(one, other), np.maximum(one, other)


def _distance(rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """The square of the centres' distance, as a share of the square of the diagonal around both."""
    width, height = _around(rows, columns)
    diagonal = width**2 + height**2
    across, down = ((rows[:, i] + rows[:, i + 2])[:, None] - (columns[:, i] + columns[:, i + 2])[None] for i in (0, 1))
    apart = np.add(across**2, down**2, out=width)
    apart /= 4
    return _quotient(apart, diagonal)


def _angle(corners: np.ndarray) -> np.ndarray:
    width, height = np.maximum(corners[:, 2:] - corners[:, :2], 0).T
    angle: np.ndarray = np.arctan2(width, height)
    return angle


def _quotient(number: np.ndarray, divisor: np.ndarray) -> np.ndarray:
    """0 where the divisor is 0."""
    quotient: np.ndarray = np.divide(number, divisor, out=np.zeros_like(number), where=divisor > 0)
    return quotient
