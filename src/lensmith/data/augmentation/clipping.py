"""Outlines cut at the frame of an image."""

from __future__ import annotations

import numpy as np


def clip_ring(ring: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """The part of an outline that lies in a frame.

    Where an outline leaves the frame and comes back, its parts stay joined along the border, without an area there.

    Args:
        ring: ``(n, 2)``, x and y; the last point is joined to the first.
        size: height and width of the frame.

    Returns:
        float64 ``(m, 2)``; no point at all where nothing lies inside, and ``ring`` itself where all of it does.

    Example:
        >>> clip_ring(np.array([[-2, 1], [2, 1], [2, 3], [-2, 3]]), (4, 4)).tolist()
        [[0.0, 1.0], [2.0, 1.0], [2.0, 3.0], [0.0, 3.0]]

    References:
        I. Sutherland and G. Hodgman, "Reentrant polygon clipping", 1974.
    """
    points = np.asarray(ring, np.float64)
    if not len(points):
        return points
    (left, top), (right, bottom) = points.min(axis=0).tolist(), points.max(axis=0).tolist()
    height, width = size
    sides = ((left < 0, 0, 0, 1), (right > width, 0, width, -1), (top < 0, 1, 0, 1), (bottom > height, 1, height, -1))
    for beyond, axis, limit, sign in sides:
        if beyond:
            depth = sign * (points[:, axis] - limit)  # how far inside this side of the frame
            points = _cut(points, depth, axis, limit)
    return points


def _cut(points: np.ndarray, depth: np.ndarray, axis: int, limit: float) -> np.ndarray:
    """Cut at one line: the points inside, and after each the point at which its edge crosses the line."""
    following, depth_there = _turned(points), _turned(depth)
    crosses = (depth < 0) != (depth_there < 0)
    along = np.divide(depth, depth - depth_there, out=np.zeros_like(depth), where=crosses)
    crossing = points + along[:, None] * (following - points)
    crossing[:, axis] = limit
    pairs = np.stack([points, crossing], axis=1).reshape(-1, 2)
    cut: np.ndarray = pairs[np.stack([depth >= 0, crosses], axis=1).ravel()]
    return cut


def ring_area(ring: np.ndarray) -> float:
    """The area inside an outline, in the square of its unit: the shoelace formula.

    Example:
        >>> ring_area(np.array([[0, 0], [4, 0], [0, 3]]))
        6.0
    """
    if len(ring) < 3:
        return 0.0
    x, y = np.asarray(ring, np.float64).T
    return float(abs(x @ _turned(y) - y @ _turned(x)) / 2)


def _turned(values: np.ndarray) -> np.ndarray:
    """Each one's follower, the first after the last; numpy's ``roll`` takes far longer."""
    return np.concatenate((values[1:], values[:1]))
