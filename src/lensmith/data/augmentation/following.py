"""Targets follow their image: boxes, outlines, points and masks through the matrix that moved the pixels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from lensmith import check
from lensmith.data.augmentation.clipping import clip_ring, ring_area
from lensmith.data.augmentation.geometry import Change, warp
from lensmith.data.augmentation.geometry import matrix as matrix_of
from lensmith.data.masks import VOID, load_mask, resize_mask
from lensmith.records import Boxes, Labels, Polygons, Target

_ROUNDING = 1e-3  # pixels by which a box may leave the frame and still count as whole
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
        targets: by task, in the pixels of the source; masks as arrays, see :func:`read_masks`.
        labels: by task.
        matrix: from source to target, float64 ``(3, 3)``.
        size: height and width of the target.
        fill: what the image was filled with, for masks.
        least: see :func:`apply_boxes`.

    Raises:
        DataError: a target does not have the form that its labels state.

    Example:
        >>> half = np.diag([0.5, 0.5, 1])
        >>> follow({"eye": np.array([[4.0, 6.0]])}, {"eye": Labels("points", ("left",))}, half, (8, 8))["eye"].tolist()
        [[2.0, 3.0]]
    """
    followed: dict[str, Target] = {}
    for task, target in targets.items():
        kind = labels[task].kind
        if kind == "boxes":
            followed[task] = apply_boxes(as_boxes(target, task), matrix, size, least=least)
        elif kind == "points":
            followed[task] = apply_points(as_array(target, task), matrix)
        elif kind == "mask":
            followed[task] = apply_mask(as_array(target, task), matrix, size, fill=fill)
        else:
            followed[task] = target
    return followed


def fit(
    targets: Mapping[str, Target], labels: Mapping[str, Labels], before: tuple[int, int], size: tuple[int, int]
) -> dict[str, Target]:
    """The targets of an image that is resized and not changed otherwise.

    Args:
        targets: by task, in the pixels of the source; masks as arrays or files.
        labels: by task.
        before: height and width of the source.
        size: height and width of the target.

    Raises:
        DataError: as :func:`follow`; or a mask cannot be read, or has not the size of its image.

    Example:
        >>> fit({"dog": Boxes([[2, 2, 4, 8]], [0])}, {"dog": Labels("boxes", ("dog",))}, (8, 8), (4, 8))["dog"].xyxy
        array([[2., 1., 4., 4.]], dtype=float32)
    """
    targets = read_masks(targets, labels, before)
    masks = {task: as_array(target, task) for task, target in targets.items() if labels[task].kind == "mask"}
    others = {task: target for task, target in targets.items() if task not in masks}
    fitted = follow(others, labels, matrix_of(Change(), before, size), size, least=0)
    fitted |= {task: resize_mask(mask, size) for task, mask in masks.items()}
    return {task: fitted[task] for task in targets}


def read_masks(targets: Mapping[str, Target], labels: Mapping[str, Labels], size: tuple[int, int]) -> dict[str, Target]:
    """The same targets with every mask as an array of its image's size.

    Raises:
        DataError: a mask cannot be read, or has another size.
    """
    read = dict(targets)
    for task, target in targets.items():
        if labels[task].kind == "mask" and isinstance(target, (Path, np.ndarray)):
            read[task] = load_mask(target, f"target of {task!r}", size=size, classes=len(labels[task].names))
    return read


def apply_points(points: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    """Points through a matrix.

    Each keeps its place in the array: the left eye of a mirrored face is still the first point, now on the other
    side. A point that leaves the frame is kept, with coordinates outside it; NaN stays NaN.

    Args:
        points: ``(..., 2)``, x and y.
        matrix: float64 ``(3, 3)``.

    Returns:
        float32, the same shape.
    """
    return _through(points, matrix).astype(np.float32)


def apply_mask(mask: np.ndarray, matrix: np.ndarray, size: tuple[int, int], *, fill: str = "nearest") -> np.ndarray:
    """A mask through a matrix, each pixel from the nearest of the source.

    Args:
        mask: uint8 ``(h, w)``.
        matrix: float64 ``(3, 3)``.
        size: height and width of the target.
        fill: as the image was filled; where that is ``"constant"``, nothing is known there: ``VOID``.

    Returns:
        uint8, at ``size``.
    """
    return warp(mask, matrix, size, fill=fill, value=VOID, nearest=True)


def apply_boxes(boxes: Boxes, matrix: np.ndarray, size: tuple[int, int], *, least: float = LEAST) -> Boxes:
    """Boxes and their outlines through a matrix, cut at the frame.

    The new box stands around what of the object is in the frame: of its outline, where it has one, else of its four
    corners. A box that is neither cut nor tilted stays that of its corners, for sources draw boxes a little wider
    than outlines. What was cut is marked as truncated.

    Args:
        boxes: in the pixels of the source.
        matrix: float64 ``(3, 3)``.
        size: height and width of the target.
        least: an object of which less than this share of its area, 0..1, remains in the frame is dropped.

    Returns:
        The boxes that remain, in their order.

    Example:
        >>> there = apply_boxes(Boxes([[0, 0, 4, 4], [6, 0, 8, 2]], [0, 1]), np.diag([2.0, 2, 1]), (6, 6))
        >>> there.xyxy.tolist(), there.truncated.tolist()
        ([[0.0, 0.0, 6.0, 6.0]], [True])
    """
    if not len(boxes):
        return boxes
    quads = _through(_corners(boxes.xyxy), matrix)
    low, high = quads.min(axis=1), quads.max(axis=1)
    frame = np.array([size[1], size[0]], np.float64)
    cut = ((low < -_ROUNDING) | (high > frame + _ROUNDING)).any(axis=1)
    tilted = not _keeps_axes(matrix)
    outlines = [tuple(_through(ring, matrix) for ring in rings) for rings in boxes.polygons]
    remains = np.ones(len(boxes))
    for place, rings in enumerate(outlines):
        if not (cut[place] or rings):
            continue
        shape: Sequence[np.ndarray] = rings if sum(map(ring_area, rings)) > 0 else (quads[place],)
        inside = [clip_ring(ring, size) for ring in shape]
        if any(part is not ring for part, ring in zip(inside, shape, strict=True)):  # something was cut
            remains[place] = _share(inside, shape)
        outlines[place] = tuple(ring for ring in inside if len(ring) >= 3) if rings else ()
        points = np.concatenate(inside)
        if len(points) and (cut[place] or tilted):
            low[place], high[place] = points.min(axis=0), points.max(axis=0)
    xyxy = np.hstack([low.clip(0, frame), high.clip(0, frame)])
    return _kept(boxes, xyxy, outlines, cut, remains >= max(least, 1e-9))


def _kept(boxes: Boxes, xyxy: np.ndarray, outlines: Sequence[Polygons], cut: np.ndarray, enough: np.ndarray) -> Boxes:
    corners = xyxy.astype(np.float32)
    enough &= (corners[:, 2:] > corners[:, :2]).all(axis=1)
    moved = replace(boxes, xyxy=corners, polygons=tuple(outlines), truncated=boxes.truncated | cut)
    return moved if enough.all() else moved.select(enough)


def _share(inside: Sequence[np.ndarray], shape: Sequence[np.ndarray]) -> float:
    whole = sum(map(ring_area, shape))
    return min(sum(map(ring_area, inside)) / whole, 1.0) if whole > 0 else 0.0


def _keeps_axes(matrix: np.ndarray) -> bool:
    """Whether a box with sides along the axes still has them there."""
    (a, b), (d, e) = matrix[:2, :2].tolist()
    return bool((b == 0 and d == 0) or (a == 0 and e == 0))


def _corners(xyxy: np.ndarray) -> np.ndarray:
    """The corners of each box in turn: ``(n, 4, 2)``."""
    return xyxy[:, [0, 1, 2, 1, 2, 3, 0, 3]].reshape(-1, 4, 2)


def _through(points: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    moved: np.ndarray = np.asarray(points, np.float64) @ matrix[:2, :2].T + matrix[:2, 2]
    return moved


def as_boxes(target: Target, task: str) -> Boxes:
    """The target as boxes.

    Raises:
        DataError: it is something else; names the task.
    """
    if not isinstance(target, Boxes):
        raise check.DataError(check.sentence(f"target of {task!r}", "boxes", type(target).__name__))
    return target


def as_array(target: Target, task: str) -> np.ndarray:
    """The target as an array: points, or a mask that was read from its file.

    Raises:
        DataError: it is something else, such as a path; names the task.
    """
    if not isinstance(target, np.ndarray):
        got = type(target).__name__
        raise check.DataError(check.sentence(f"target of {task!r}", "an array", got, "Read a mask's file first"))
    return target
