"""A shift by roll: what moves out of the image on one side comes in on the other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields

import numpy as np

from lensmith.data.augmentation.following import LEAST, apply_boxes, as_array, as_boxes
from lensmith.records import Boxes, Labels, Target


def roll_targets(
    targets: Mapping[str, Target],
    labels: Mapping[str, Labels],
    shift: tuple[float, float],
    size: tuple[int, int],
    *,
    least: float = LEAST,
) -> dict[str, Target]:
    """Targets of an image that was rolled.

    An object that is torn has a box for each piece that holds at least ``least`` of its area. A point outside the
    image moves, but is not wrapped.

    Args:
        targets: by task, in the pixels of the image.
        labels: by task.
        shift: to the right and downwards, in pixels.
        size: height and width of the image.
        least: as in :func:`apply_boxes`.
    """
    rolled: dict[str, Target] = {}
    for task, target in targets.items():
        kind = labels[task].kind
        if kind == "boxes":
            rolled[task] = _roll_boxes(as_boxes(target, task), shift, size, least)
        elif kind == "points":
            rolled[task] = _roll_points(as_array(target, task), shift, size)
        elif kind == "mask":
            rolled[task] = np.roll(as_array(target, task), (round(shift[1]), round(shift[0])), axis=(0, 1))
        else:
            rolled[task] = target
    return rolled


def join(parts: Sequence[Boxes]) -> Boxes:
    """All boxes of several images, or pieces of one, in order."""
    joined = {field.name: [getattr(part, field.name) for part in parts] for field in fields(Boxes)}
    outlines = tuple(rings for part in joined.pop("polygons") for rings in part)
    arrays = {name: np.concatenate(values) for name, values in joined.items()}
    return Boxes(arrays.pop("xyxy"), arrays.pop("classes"), outlines, **arrays)


def _roll_boxes(boxes: Boxes, shift: tuple[float, float], size: tuple[int, int], least: float) -> Boxes:
    pieces = []
    for x in (shift[0], shift[0] - np.sign(shift[0]) * size[1]):
        for y in (shift[1], shift[1] - np.sign(shift[1]) * size[0]):
            pieces.append(apply_boxes(boxes, np.array([[1, 0, x], [0, 1, y], [0, 0, 1.0]]), size, least=least))
            if not shift[1]:
                break
        if not shift[0]:
            break
    return join(pieces)


def _roll_points(points: np.ndarray, shift: tuple[float, float], size: tuple[int, int]) -> np.ndarray:
    frame = np.array([size[1], size[0]], np.float64)
    inside = ((points >= 0) & (points <= frame)).all(axis=-1, keepdims=True)
    moved = points + np.array(shift, np.float64)
    rolled: np.ndarray = np.where(inside, moved % frame, moved)
    return rolled.astype(np.float32)
