"""The objects of an image as rows of numbers: what a detector learns from."""

from __future__ import annotations

import numpy as np

from lensmith import boxes, check
from lensmith.records import Boxes, Target

NOTHING = np.array([0, 0, 0, 0, -1, 0], np.float32)  # a row without an object


def rows(target: Target, size: tuple[int, int], several: int, place: str) -> np.ndarray:
    """The objects of an image as a detector takes them: cut at its edges, without those that lie outside.

    Args:
        target: boxes, in pixels.
        size: height and width of the image in pixels.
        several: how many rows there are.
        place: for messages.

    Returns:
        float32 ``(several, 6)``, see :func:`.targets.encode`.

    Raises:
        DataError: there are more boxes than rows, or none could be; names the place.

    Example:
        >>> rows(Boxes(np.array([[-5, 0, 10, 20]]), np.array([2])), (20, 20), 2, "photo.png").tolist()
        [[0.0, 0.0, 0.5, 1.0, 2.0, 1.0], [0.0, 0.0, 0.0, 0.0, -1.0, 0.0]]
    """
    if not isinstance(target, Boxes) or len(target) > several:
        got = f"{len(target)}" if isinstance(target, Boxes) else "none"
        raise check.DataError(check.sentence(place, f"at most {several} boxes", got))
    made = np.tile(NOTHING, (several, 1))
    found = made[: len(target)]
    found[:, :4] = boxes.convert(boxes.clip(target.xyxy, size), "xyxy", "rel_xyxy", size=size)
    found[:, 4] = target.classes
    found[:, 5] = ~(target.crowd | target.difficult)
    found[(found[:, 2:4] <= found[:, :2]).any(axis=1)] = NOTHING
    return made
