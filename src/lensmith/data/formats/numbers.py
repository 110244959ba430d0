"""Numbers in files: those that float32 can hold, and the shortest way to write them."""

from __future__ import annotations

from typing import Any

import numpy as np

TOO_LARGE = 2.0**128 - 2.0**103  # what is below is a finite float32 once it is rounded


def is_finite(value: float) -> bool:
    """Whether float32 can hold the number; it cannot hold NaN or infinity either."""
    return abs(value) < TOO_LARGE


def as_number(text: str) -> float | None:
    """The finite number (in float32) that a text is, or None."""
    try:
        number = float(text)
    except ValueError:
        return None
    return number if is_finite(number) and "_" not in text else None  # Python takes 1_0 for 10


def json_number(value: object) -> float | None:
    """The finite number (in float32) that a value of a JSON file is; None for anything else."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        return float(value) if is_finite(float(value)) else None
    except OverflowError:
        return None


def shortest(number: float | np.floating[Any]) -> float:
    """The number with the fewest digits that is read as just this float32.

    Example:
        >>> shortest(np.float32(0.1)), float(np.float32(0.1))
        (0.1, 0.10000000149011612)
    """
    exact = float(np.float32(number))
    short = float(str(np.float32(number)))
    return short if float(np.float32(short)) == exact else exact


def plain(number: float | np.floating[Any]) -> int | float:
    """:func:`shortest`, and whole numbers without a point.

    Example:
        >>> plain(12.0), plain(np.float32(0.1))
        (12, 0.1)
    """
    return int(number) if float(number).is_integer() else shortest(number)
