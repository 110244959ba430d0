"""Near neighbours among many points, in n · log n steps however the points lie."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

TABLES = 16  # looks at the points, each through another grid
WINDOW = 8  # points after each one, in the order of its table, that are measured
_CELL, _SMALLEST_CELL = 2.0, 0.25  # deviations that a cell is wide, and what it is wide at the least
_FEWEST, _SPARED = 4, 4  # axes of a grid: at least so many, and so many fewer than the points can be halved
_HELD = 16  # pairs a point, above which the farthest are let go


def neighbours(points: np.ndarray, radius: float, most: int) -> np.ndarray:
    """Pairs of points that lie near each other.

    Locality-sensitive hashing after Datar et al., "Locality-Sensitive Hashing Scheme Based on p-Stable Distributions"
    (2004), section 3, on the axes themselves: each table lays a grid of random offset over some of the axes, sorts the
    points by their cells, and measures each one against the 8 that follow it within its cell. The more points, the more
    axes, so that cells stay small. A pair misses a table where a line of the grid comes between; 16 tables leave few
    out. Where very many lie in one cell only those next to each other in it meet, which bounds the work.

    Args:
        points: float32 array of shape ``(n, d)``, d at most 15; the axes should depend little on one another.
        radius: within which two points are near, and to which the grid is fitted: at least what noise adds to any axis.
        most: neighbours of a point; the nearest of those found.

    Returns:
        int64 array of shape ``(m, 2)``, each row ascending, in ascending order; no pair twice. Each is one of the
        ``most`` nearest of at least one of its points. The same points give the same pairs every time.

    Example:
        >>> corners = np.float32([[0, 0], [0, 5], [5, 0], [5, 0.1]])
        >>> neighbours(corners, 0.25, 8).tolist()
        [[2, 3]]
    """
    count = len(points)
    keys, spans = np.zeros(0, np.int64), np.zeros(0, np.float32)
    for order, cells in _tables(points):
        for step in range(1, WINDOW + 1):
            together = np.flatnonzero(cells[:-step] == cells[step:])
            if not len(together):
                break
            first, second = order[together], order[together + step]
            distances = np.square(points[first] - points[second]).sum(axis=1)
            near = distances < radius**2
            first, second = first[near], second[near]
            keys = np.append(keys, np.minimum(first, second) * count + np.maximum(first, second))
            spans = np.append(spans, distances[near])
        if len(keys) > _HELD * count:
            keys, spans = _nearest(keys, spans, count, most)
    keys, _ = _nearest(keys, spans, count, most)
    return np.stack([keys // max(count, 1), keys % max(count, 1)], axis=1)


def _tables(points: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """The points in the order of a grid's cells, and the cell of each in that order."""
    count, axes = points.shape
    if count < 2:
        return
    rng = np.random.default_rng(0)
    width = np.maximum(_CELL * points.std(axis=0), _SMALLEST_CELL)
    used = min(axes, max(_FEWEST, round(np.log2(count)) - _SPARED))
    for _ in range(TABLES):
        chosen = rng.permutation(axes)[:used]
        steps = np.floor(points[:, chosen] / width[chosen] + rng.random(used)).astype(np.int64)
        cells = (np.clip(steps + 8, 0, 15) << (4 * np.arange(used))).sum(axis=1)  # 4 bits an axis
        order = np.lexsort((points[:, rng.integers(axes)], cells))
        yield order, cells[order]


def _nearest(keys: np.ndarray, spans: np.ndarray, count: int, most: int) -> tuple[np.ndarray, np.ndarray]:
    """Each pair once, of those that are among the ``most`` nearest of one of their points."""
    keys, first = np.unique(keys, return_index=True)
    spans = spans[first]
    owners = np.concatenate([keys // max(count, 1), keys % max(count, 1)])
    # The bits of a float32 from 0 upwards are in the order of its values: one sort for both.
    order = np.argsort((owners << 32) | np.tile(spans.view(np.uint32), 2), kind="stable")
    begins = np.searchsorted(owners[order], np.arange(count))
    ranks = np.empty(len(owners), np.int64)
    ranks[order] = np.arange(len(owners)) - begins[owners[order]]
    kept = (ranks < most).reshape(2, -1).any(axis=0)
    return keys[kept], spans[kept]
