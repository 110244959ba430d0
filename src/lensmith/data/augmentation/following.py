"""Targets follow their image: boxes, outlines, points and masks through the matrix that moved the pixels."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from lensmith import check
from lensmith.data.augmentation.geometry import warp
from lensmith.records import Boxes, Labels, Polygons, Target

VOID = 255  # the value of a mask where nothing is known
LEAST = 0.1  # of an object's area that must remain in the frame


def follow(
    targets: Mapping[str, Target],
    labels: Mapping[str, Labels],
    matrix: np.ndarray,
    size: tuple[int, int],
    *,
    fill: str = "nearest",
    least: float = LEAST,
) -> dict[str, Target]:
    """Every target of an example in the pixels of the target image; classes and numbers as they are.

    Args:
        targets: by task, in the pixels of the source.
        labels: by task.
        matrix: from source to target, float64 ``(3, 3)``.
        size: height and width of the target.
        fill: what the image was filled with, for masks.
        least: see :func:`apply_boxes`.

    Raises:
        DataError: a target is not what its labels say.

    Example:
        >>> half = np.diag([0.5, 0.5, 1])
        >>> follow({"eye": np.array([[4.0, 6.0]])}, {"eye": Labels("points", ("left",))}, half, (8, 8))["eye"].tolist()
        [[2.0, 3.0]]
    """
    followed: dict[str, Target] = {}
    for task, target in targets.items():
        kind = labels[task].kind
        if kind == "boxes":
            followed[task] = apply_boxes(_expect(target, Boxes, task), matrix, size, least=least)
        elif kind == "points":
            followed[task] = apply_points(np.asarray(target), matrix)
        elif kind == "mask":
            followed[task] = apply_mask(_expect(target, np.ndarray, task), matrix, size, fill=fill)
        else:
            followed[task] = target
    return followed


def _expect[T](target: object, form: type[T], task: str) -> T: ...
