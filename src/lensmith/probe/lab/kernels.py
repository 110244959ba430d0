"""The classic kernels: 3×3 numbers, each with a job that can be seen.

A printed listing gives the box blur a minus sign, which makes a negative of the image: all of its numbers are +1/9.
"""

from __future__ import annotations

from types import MappingProxyType

import numpy as np

from lensmith import check


def _fixed(rows: list[list[int]], divisor: int = 1) -> np.ndarray:
    kernel = np.array(rows) if divisor == 1 else np.array(rows) / divisor
    kernel.setflags(write=False)  # one caller must not change it for all
    return kernel


KERNELS = MappingProxyType(
    {
        "identity": _fixed([[0, 0, 0], [0, 1, 0], [0, 0, 0]]),
        # Bright above dark gives a positive number, and so does bright left of dark.
        "horizontal-edges": _fixed([[1, 1, 1], [0, 0, 0], [-1, -1, -1]]),
        "vertical-edges": _fixed([[1, 0, -1], [1, 0, -1], [1, 0, -1]]),
        "all-edges": _fixed([[-1, -1, -1], [-1, 8, -1], [-1, -1, -1]]),
        "sobel-horizontal": _fixed([[1, 2, 1], [0, 0, 0], [-1, -2, -1]]),
        "sobel-vertical": _fixed([[1, 0, -1], [2, 0, -2], [1, 0, -1]]),
        "sharpen": _fixed([[0, -1, 0], [-1, 5, -1], [0, -1, 0]]),
        "blur": _fixed([[1, 1, 1], [1, 1, 1], [1, 1, 1]], 9),
        "gaussian": _fixed([[1, 2, 1], [2, 4, 2], [1, 2, 1]], 16),
        "emboss": _fixed([[-2, -1, 0], [-1, 1, 1], [0, 1, 2]]),
    }
)
"""Read-only arrays of shape (3, 3) by name: int64, but float64 where the numbers are fractions."""


def kernel(name: str) -> np.ndarray:
    """The classic kernel of this name, read-only, of shape ``(3, 3)``.

    Edges answer 0 to an even surface, since their numbers sum to 0 (``all-edges`` is the Laplacian with diagonals). The
    others leave it as it is, since theirs sum to 1.

    Raises:
        SettingError: there is none of this name.

    Example:
        >>> kernel("vertical-edges")
        array([[ 1,  0, -1],
               [ 1,  0, -1],
               [ 1,  0, -1]])
    """
    return KERNELS[check.one_of("kernel", name, KERNELS)]
