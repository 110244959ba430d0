"""How far boxes overlap."""

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
    """
    rows, columns = table(first), table(second)
    low = np.maximum(rows[:, None, :2], columns[None, :, :2])
    high = np.minimum(rows[:, None, 2:], columns[None, :, 2:])
    shared = area(np.concatenate([low, high], axis=-1))
    union = area(rows)[:, None] + area(columns)[None, :] - shared
    overlap = np.zeros_like(shared)
    np.divide(shared, union, out=overlap, where=union > 0)
    return overlap
