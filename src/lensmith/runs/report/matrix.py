"""The confusion matrix as a table: one cell a pair of classes, the darker the larger its share of the row."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

LARGEST = 40  # classes; above, a table of the most confused pairs says more


@dataclass(frozen=True, slots=True)
class Cell:
    """One pair of classes.

    Args:
        count: how many examples of the row's class were given the column's.
        heat: how dark to paint it; 0..1.
        style: ``right`` on the diagonal, ``wrong`` beside it, ``none`` where the count is zero.
    """

    count: int
    heat: float
    style: str


def cells(confusion: np.ndarray) -> tuple[tuple[Cell, ...], ...]:
    """The cells of a confusion matrix, row by row.

    The heat of a right cell is its share of the row. That of a wrong one is the share's square root, because
    the few mistakes of a good model are what one looks for.
    """
    totals = np.maximum(confusion.sum(axis=1, keepdims=True), 1)
    shares = confusion / totals
    size = len(confusion)
    return tuple(
        tuple(_cell(int(confusion[i, j]), float(shares[i, j]), right=i == j) for j in range(size)) for i in range(size)
    )


def _cell(count: int, share: float, *, right: bool) -> Cell:
    if not count:
        return Cell(0, 0.0, "none")
    return Cell(count, round(share if right else math.sqrt(share), 2), "right" if right else "wrong")
