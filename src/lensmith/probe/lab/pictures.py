"""Images small enough to know what must come out."""

from __future__ import annotations

import numpy as np

from lensmith import check


def chessboard(side: int = 160, squares: int = 8) -> np.ndarray:
    """A chessboard: white 1 and black 0, white in the upper left corner.

    Args:
        side: pixels a side.
        squares: squares a side.

    Returns:
        int64 array of shape ``(side, side)``.

    Raises:
        SettingError: the side is no multiple of the squares, so that they would not be equal.

    Example:
        >>> chessboard(4, squares=2)
        array([[1, 1, 0, 0],
               [1, 1, 0, 0],
               [0, 0, 1, 1],
               [0, 0, 1, 1]])
    """
    if check.positive("side", side) % check.positive("squares", squares):
        raise check.SettingError(check.sentence("side", f"a multiple of the {squares} squares", side))
    place = np.arange(side) // (side // squares)
    return np.asarray(1 - (place[:, None] + place[None, :]) % 2)


def step_image(side: int = 8, high: int = 10, low: int = 0) -> np.ndarray:
    """A step: the left half is high, the right half low.

    Args:
        side: pixels a side.
        high: the number on the left.
        low: the number on the right.

    Returns:
        int64 array of shape ``(side, side)``.

    Raises:
        SettingError: the side is odd.

    Example:
        >>> step_image(4)[0]
        array([10, 10,  0,  0])
    """
    if check.positive("side", side) % 2:
        raise check.SettingError(check.sentence("side", "an even number", side))
    return np.repeat([[high] * (side // 2) + [low] * (side // 2)], side, axis=0)
