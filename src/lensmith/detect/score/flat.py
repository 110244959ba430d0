"""The detections and objects of a whole data set in one table each, and the pairs of them that overlap."""

from __future__ import annotations

from collections.abc import Iterator, Sequence, Sized
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from lensmith import boxes, check
from lensmith.records import Boxes

_AT_ONCE = 1 << 20  # pairs whose overlap is measured at a time: what keeps crowded data sets within some 100 MB


@dataclass(frozen=True, slots=True, eq=False)
class Found:
    """Detections by class, then by image, then from the surest on; equal scores keep the order they were given in.

    Args:
        corners: float64 ``(d, 4)``, x1, y1, x2, y2 in pixels.
        scores: float64 ``(d,)``.
        classes: int64 ``(d,)``.
        groups: int64 ``(d,)``, ascending: one number for each class of each image.
        ranks: int64 ``(d,)``: the place in its group, the surest is 0.
    """

    corners: np.ndarray
    scores: np.ndarray
    classes: np.ndarray
    groups: np.ndarray
    ranks: np.ndarray


@dataclass(frozen=True, slots=True, eq=False)
class Objects:
    """What is there, by class and then by image.

    Args:
        corners: float64 ``(g, 4)``, x1, y1, x2, y2 in pixels.
        classes: int64 ``(g,)``.
        groups: int64 ``(g,)``, ascending: one number for each class of each image.
        areas: float64 ``(g,)``, square pixels.
        crowd: bool ``(g,)``.
        difficult: bool ``(g,)``.
    """

    corners: np.ndarray
    classes: np.ndarray
    groups: np.ndarray
    areas: np.ndarray
    crowd: np.ndarray
    difficult: np.ndarray


@dataclass(frozen=True, slots=True, eq=False)
class Pairs:
    """Detections and objects of one image and class that overlap, in the order of the detections, then the objects.

    Args:
        found: int64 ``(p,)``, places in :class:`Found`.
        objects: int64 ``(p,)``, places in :class:`Objects`.
        overlap: float64 ``(p,)``: intersection over union; over the detection's area alone where the object is a crowd.
    """

    found: np.ndarray
    objects: np.ndarray
    overlap: np.ndarray


def found_of(found: Sequence[np.ndarray], classes: int, most: int | None = None) -> Found:
    """The detections of all images as one table.

    Args:
        found: for each image ``(k, 6)``: x1, y1, x2, y2, score, class. Rows of class -1 are padding and left out.
        classes: how many classes there are.
        most: how many are kept of each class of each image, the surest; left out, all.

    Raises:
        DataError: an array has another shape, a number that is not finite, or a class that does not exist.

    Example:
        >>> table = found_of([np.array([[0, 0, 2, 2, 0.5, 1], [0, 0, 1, 1, 0.9, 1]])], classes=2)
        >>> table.scores.tolist(), table.ranks.tolist()
        ([0.9, 0.5], [0, 1])
    """
    tables = [_checked(rows, classes, place) for place, rows in enumerate(found)]
    images = _repeated(tables)
    rows = np.concatenate([*tables, np.zeros((0, 6))])
    groups = rows[:, 5].astype(np.int64) * max(len(tables), 1) + images
    order = np.lexsort((-rows[:, 4], groups))  # which is stable
    groups = groups[order]
    ranks = np.arange(len(groups)) - np.searchsorted(groups, groups)
    order = order[ranks < most] if most is not None else order
    kept = ranks < most if most is not None else np.ones(len(ranks), bool)
    rows = rows[order]
    return Found(rows[:, :4], rows[:, 4], rows[:, 5].astype(np.int64), groups[kept], ranks[kept])


def objects_of(truths: Sequence[Boxes], classes: int, areas: Sequence[np.ndarray] | None = None) -> Objects:
    """The objects of all images as one table.

    Args:
        truths: the objects of each image.
        classes: how many classes there are.
        areas: the area of each object of each image in square pixels; left out, the area of its box.

    Raises:
        DataError: a class does not exist, or the areas are not one an object.
    """
    for place, target in enumerate(truths):
        _known(target.classes, classes, f"score: truths of image {place}")
    labels = np.concatenate([*(target.classes for target in truths), np.zeros(0, np.int64)])
    groups = labels * max(len(truths), 1) + _repeated(truths)
    order = np.argsort(groups, kind="stable")
    corners = np.concatenate([*(target.xyxy for target in truths), np.zeros((0, 4))]).astype(np.float64)
    sizes = boxes.area(corners) if areas is None else _areas(areas, truths)
    crowd, difficult = (
        np.concatenate([*(getattr(target, mark) for target in truths), np.zeros(0, bool)])
        for mark in ("crowd", "difficult")
    )
    return Objects(corners[order], labels[order], groups[order], sizes[order], crowd[order], difficult[order])


def pairs_of(found: Found, objects: Objects, least: float) -> Pairs:
    """The pairs of one image and class that overlap by at least so much."""
    parts = [_pairs(found, objects, least, chunk) for chunk in _chunks(found, objects)]
    empty = (np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0))
    return Pairs(*(np.concatenate(columns) for columns in zip(empty, *parts, strict=True)))


def _checked(rows: np.ndarray, classes: int, image: int) -> np.ndarray:
    place = f"score: found of image {image}"
    table: np.ndarray = np.asarray(rows, np.float64)
    if table.shape == (0,):  # what an empty list becomes
        table = table.reshape(0, 6)
    if table.ndim != 2 or table.shape[1] != 6:
        expected = "an array of shape (k, 6): x1, y1, x2, y2, score, class"
        raise check.DataError(check.sentence(place, expected, f"shape {table.shape}"))
    table = table[table[:, 5] != -1]
    if not np.isfinite(table).all():
        row = int(np.argmin(np.isfinite(table).all(axis=1)))
        came = ", ".join(f"{number:g}" for number in table[row])
        raise check.DataError(check.sentence(f"{place}, detection {row}", "finite numbers", came))
    _known(table[:, 5], classes, place)
    return table


def _repeated(images: Sequence[Sized]) -> np.ndarray:
    """The place of its image, for each thing in one of them."""
    return np.repeat(np.arange(len(images)), np.array([len(image) for image in images], np.int64))


def _known(labels: np.ndarray, classes: int, place: str) -> None:
    fine = (labels >= 0) & (labels < classes) & (labels == np.floor(labels))
    if not fine.all():
        wrong = labels[int(np.argmin(fine))]
        raise check.DataError(check.sentence(place, f"classes from 0 to {classes - 1}, one a name", f"{wrong:g}"))


def _areas(areas: Sequence[np.ndarray], truths: Sequence[Boxes]) -> np.ndarray:
    counts, wanted = [len(sizes) for sizes in areas], [len(target) for target in truths]
    if counts != wanted:
        place = next((at for at, pair in enumerate(zip(counts, wanted, strict=False)) if pair[0] != pair[1]), -1)
        here = f"score: areas of image {place}" if place >= 0 else "score: areas"
        expected, got = (f"{wanted[place]}, one an object", counts[place]) if place >= 0 else (len(wanted), len(counts))
        raise check.DataError(check.sentence(here, str(expected), got))
    every: list[np.ndarray] = [np.asarray(sizes, np.float64).reshape(-1) for sizes in areas]
    return np.concatenate([*every, np.zeros(0)])


def _chunks(found: Found, objects: Objects) -> Iterator[slice]:
    """Runs of detections with about as many pairs each."""
    low, high = (np.searchsorted(objects.groups, found.groups, side) for side in ("left", "right"))
    upto = np.cumsum(high - low)
    total = int(upto[-1]) if len(upto) else 0
    edges = np.searchsorted(upto, np.arange(_AT_ONCE, total, _AT_ONCE)).tolist()
    marks = [0, *edges, len(upto)]
    for begin, end in pairwise(marks):
        if begin < end:
            yield slice(begin, end)


def _pairs(found: Found, objects: Objects, least: float, chunk: slice) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    groups = found.groups[chunk]
    low, high = (np.searchsorted(objects.groups, groups, side) for side in ("left", "right"))
    counts = high - low
    first = np.repeat(np.arange(len(groups)), counts)
    # Within each detection the objects count up from the first of its group.
    second = np.arange(len(first)) - np.repeat(np.cumsum(counts) - counts, counts) + np.repeat(low, counts)
    first += chunk.start
    overlap = _overlap(found.corners[first], objects.corners[second], objects.crowd[second])
    near = overlap >= least
    return first[near], second[near], overlap[near]


def _overlap(found: np.ndarray, objects: np.ndarray, crowd: np.ndarray) -> np.ndarray:
    """Of each with each, row by row: COCO's measure, in which a crowd is a region and not an object."""
    low, high = np.maximum(found[:, :2], objects[:, :2]), np.minimum(found[:, 2:], objects[:, 2:])
    shared = boxes.area(np.concatenate([low, high], axis=1))
    own = boxes.area(found)
    whole = np.where(crowd, own, own + boxes.area(objects) - shared)
    overlap = np.zeros(len(shared))
    np.divide(shared, whole, out=overlap, where=whole > 0)
    return overlap
