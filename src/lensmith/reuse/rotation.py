"""The rotation: a picture turned by 0, 90, 180 or 270 degrees.

Which of the four it was is what a network learns to tell: it must know what is in the picture and how that stands.

References:
    Gidaris, Singh and Komodakis, "Unsupervised Representation Learning by Predicting Image Rotations", 2018,
    section 2.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from lensmith import check
from lensmith.reuse.jigsaw import padded


@dataclass(frozen=True, slots=True)
class Rotation:
    """Tell by how many quarter turns, against the clock, a picture was rotated.

    Of a picture that is not square, the square in its middle is turned, and its edges are repeated up to the size of
    the picture, whatever the turn: so its shape does not tell the answer.

    Example:
        >>> picture = np.arange(4).reshape(1, 2, 2, 1)
        >>> Rotation().change(picture, np.array([1]), ())[0, ..., 0]
        array([[1, 3],
               [0, 2]])
    """

    @property
    def answers(self) -> int:
        """How many turns there are."""
        return 4

    @property
    def cells(self) -> int:
        """1: what stands where does not matter to this task."""
        return 1

    def check_size(self, size: tuple[int, int]) -> None:
        """Refuse pictures that look the same when they are turned.

        Raises:
            SettingError: the square in the middle is one pixel.
        """
        if min(size) < 2:
            expected = "pictures of at least 2 pixels a side"
            raise check.SettingError(check.sentence("rotation", expected, f"{size[0]}×{size[1]}"))

    def change(self, x: np.ndarray, answers: np.ndarray, chances: Sequence[np.random.Generator]) -> np.ndarray:
        """Turn each picture.

        Args:
            x: pictures of shape ``(n, h, w, c)``, any dtype.
            answers: whole numbers ``(n,)``, 0..3: quarter turns against the clock.
            chances: nothing here is left to chance.

        Returns:
            An array of the same shape and dtype.
        """
        size = (x.shape[1], x.shape[2])
        side = min(size)
        top, left = ((whole - side) // 2 for whole in size)
        squares = x[:, top : top + side, left : left + side]
        changed = np.empty_like(x)
        for place, (square, turns) in enumerate(zip(squares, answers.tolist(), strict=True)):
            turned = np.rot90(square, turns)
            changed[place] = turned if size == (side, side) else padded(turned, size)
        return changed

    def to_dict(self) -> dict[str, Any]:
        """The task as plain values."""
        return {"task": "rotation"}
