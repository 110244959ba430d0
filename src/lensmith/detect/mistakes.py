"""What a detector got wrong, image by image: for pictures in a report."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from lensmith import boxes, check
from lensmith.records import Boxes


@dataclass(frozen=True, slots=True, eq=False)
class Mistakes:
    """What became of the detections and objects of one image; all numbers are rows of the two arrays given.

    Args:
        matched: int64 ``(m, 2)``: a detection and the object that it found.
        confused: int64 ``(c, 2)``: a detection in the right place and the object there, which has another class.
        missed: int64 ``(n,)``: objects that nothing found.
        invented: int64 ``(i,)``: detections without an object of their own; a second one of the same object, too.
    """

    matched: np.ndarray
    confused: np.ndarray
    missed: np.ndarray
    invented: np.ndarray


@dataclass(frozen=True, slots=True)
class Worst:
    """The images worth looking at, the worst first.

    Args:
        invented: those with the surest invented detection.
        missed: those with the largest missed object.
        confused: those with the surest detection of the wrong class.
    """

    invented: tuple[int, ...]
    missed: tuple[int, ...]
    confused: tuple[int, ...]


def mistakes(
    truths: Sequence[Boxes], found: Sequence[np.ndarray], *, iou: float = 0.5, score: float = 0.25
) -> tuple[Mistakes, ...]:
    """What each image's detector found, missed, invented and confused.

    From the surest on, each detection takes the free object of its class that it overlaps most; of equal ones the
    first. What is left over is confused where it overlaps a free object of another class; otherwise it is invented.
    Crowds and difficult objects are neither found nor missed, and a detection of their class on one (of a crowd: with
    that share of its own area) is no mistake.

    Args:
        truths: the objects of each image.
        found: for each image ``(k, 6)``: x1, y1, x2, y2 in pixels, score, class; any order. Rows of class -1 are
            padding.
        iou: the least overlap at which a detection is in the right place, more than 0 and at most 1.
        score: detections below it are left out.

    Raises:
        SettingError: a threshold is outside its range.
        DataError: the two sequences are not of one length, or an array is not ``(k, 6)``.

    Example:
        >>> there = Boxes([[0, 0, 10, 10], [20, 0, 30, 10], [40, 0, 50, 10]], [0, 0, 1])
        >>> here = np.array([[0, 0, 10, 9, 0.9, 0], [40, 0, 50, 10, 0.8, 0], [70, 0, 80, 10, 0.7, 1]])
        >>> one = mistakes([there], [here])[0]
        >>> one.matched.tolist(), one.confused.tolist(), one.missed.tolist(), one.invented.tolist()
        ([[0, 0]], [[1, 2]], [1], [2])
    """
    check.between("mistakes: iou", iou, 1e-6, 1.0)
    check.between("mistakes: score", score, 0.0, 1.0)
    _same_length(truths, found)
    pairs = zip(truths, found, strict=True)
    return tuple(_mistakes(one, _table(rows, place), iou, score) for place, (one, rows) in enumerate(pairs))


def worst(looked: Sequence[Mistakes], truths: Sequence[Boxes], found: Sequence[np.ndarray], *, most: int = 8) -> Worst:
    """The images with the surest invented, the largest missed and the surest confused.

    Args:
        looked: what :func:`mistakes` gave.
        truths: the objects that were given to it.
        found: the detections that were given to it.
        most: how many images of each; those without such a mistake are not among them.

    Example:
        >>> there = [Boxes([[0, 0, 10, 10]], [0]), Boxes([[0, 0, 20, 20]], [0]), Boxes([], [])]
        >>> here = [np.zeros((0, 6)), np.zeros((0, 6)), np.array([[0, 0, 5, 5, 0.9, 0]])]
        >>> worst(mistakes(there, here), there, here)
        Worst(invented=(2,), missed=(1, 0), confused=())
    """
    check.positive("worst: most", most)
    _same_length(truths, found)
    _same_length(truths, looked)
    areas = [boxes.area(one.xyxy) for one in truths]
    scores = [_table(rows, place)[:, 4] for place, rows in enumerate(found)]
    return Worst(
        invented=_first(scores, [one.invented for one in looked], most),
        missed=_first(areas, [one.missed for one in looked], most),
        confused=_first(scores, [one.confused[:, 0] for one in looked], most),
    )


def _first(values: Sequence[np.ndarray], chosen: Sequence[np.ndarray], most: int) -> tuple[int, ...]:
    """The images with the largest values among the chosen; of equal ones the earlier."""
    largest = {
        image: float(value[places].max())
        for image, (value, places) in enumerate(zip(values, chosen, strict=True))
        if len(places)
    }
    return tuple(sorted(largest, key=lambda image: (-largest[image], image))[:most])


def _mistakes(truth: Boxes, rows: np.ndarray, iou: float, score: float) -> Mistakes:
    order = np.argsort(-rows[:, 4], kind="stable")
    order = order[(rows[order, 4] >= score) & (rows[order, 5] != -1)]
    same = rows[order, 5][:, None] == truth.classes[None, :]
    overlap = boxes.iou(rows[order, :4], truth.xyxy.astype(np.float64))
    near = overlap >= iou
    counts = ~(truth.crowd | truth.difficult)
    free_rows, free_objects = np.ones(len(order), bool), counts.copy()
    matched = _taken(overlap, near & same, free_rows, free_objects)
    spared = near & truth.difficult | (_share(rows[order, :4], truth.xyxy) >= iou) & truth.crowd
    free_rows &= ~(spared & same).any(axis=1)
    # Of its own class no fitting object is left to any of these.
    confused = _taken(overlap, near, free_rows, free_objects)
    return Mistakes(
        np.column_stack([order[matched[:, 0]], matched[:, 1]]),
        np.column_stack([order[confused[:, 0]], confused[:, 1]]),
        np.flatnonzero(free_objects),
        order[free_rows],
    )


def _taken(overlap: np.ndarray, fits: np.ndarray, free_rows: np.ndarray, free_objects: np.ndarray) -> np.ndarray:
    """Give each free row in turn the free object it fits best, and strike out both: int64 ``(n, 2)``."""
    pairs = []
    for row in np.flatnonzero(free_rows & fits.any(axis=1)):
        value = np.where(fits[row] & free_objects, overlap[row], 0.0)
        best = int(value.argmax())
        if value[best] > 0:
            pairs.append((int(row), best))
            free_rows[row] = free_objects[best] = False
    return np.array(pairs, np.int64).reshape(-1, 2)


def _share(rows: np.ndarray, objects: np.ndarray) -> np.ndarray:
    """The share of each row's area that lies in each object: ``(k, n)``."""
    low = np.maximum(rows[:, None, :2], objects[None, :, :2])
    high = np.minimum(rows[:, None, 2:], objects[None, :, 2:])
    inside, whole = boxes.area(np.concatenate([low, high], axis=-1)), boxes.area(rows)[:, None]
    share = np.zeros_like(inside)
    np.divide(inside, whole, out=share, where=whole > 0)
    return share


def _table(rows: np.ndarray, image: int) -> np.ndarray:
    table: np.ndarray = np.asarray(rows, np.float64)
    if table.shape == (0,):  # what an empty list becomes
        table = table.reshape(0, 6)
    if table.ndim != 2 or table.shape[1] != 6:
        expected = "an array of shape (k, 6): x1, y1, x2, y2, score, class"
        raise check.DataError(check.sentence(f"mistakes: found of image {image}", expected, f"shape {table.shape}"))
    return table


def _same_length(truths: Sequence[Boxes], others: Sequence[object]) -> None:
    if len(truths) != len(others):
        raise check.DataError(check.sentence("mistakes", f"{len(truths)} images, as many as have truths", len(others)))
