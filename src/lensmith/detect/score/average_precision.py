"""Precision and recall of ranked detections, and the area under their curve in three definitions."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

# Numbers that COCO's reference program steps through; a recall of 57 of 100 does not reach its 0.5700000000000001.
RECALLS: np.ndarray = np.linspace(0.0, 1.0, 101)
THRESHOLDS: np.ndarray = np.linspace(0.5, 0.95, 10)


@dataclass(frozen=True, slots=True)
class Best:
    """The score above which detections serve best, and how well.

    Args:
        precision: the share of the detections that are right.
        recall: the share of the objects that are found.
        f1: the harmonic mean of the two, the largest there is.
        threshold: the least score; None where nothing was found.
    """

    precision: float
    recall: float
    f1: float
    threshold: float | None


def ceiling(right: np.ndarray, kept: np.ndarray) -> np.ndarray:
    """For each right detection, from the surest on: the largest precision from it on.

    Args:
        right: bool ``(n,)``, from the surest on.
        kept: bool ``(n,)``: those that are right or wrong; the rest is ignored.

    Returns:
        float64 ``(k,)``, one for each right detection, never rising. Precision rises at right ones alone, so that
        these hold the whole upper edge of the curve.

    Example:
        >>> ceiling(np.array([True, False, True, True]), np.ones(4, bool)).round(3).tolist()
        [1.0, 0.75, 0.75]
    """
    return _ceiling(np.cumsum(kept)[right])


def interpolated(edge: np.ndarray, objects: int) -> np.ndarray:
    """The largest precision at or beyond each of COCO's 101 recalls: float64 ``(101,)``; 0 where none is reached.

    Args:
        edge: what :func:`ceiling` gives.
        objects: how many are to be found, at least 1.
    """
    recalls = np.arange(1, len(edge) + 1) / objects
    places = np.searchsorted(recalls, RECALLS)
    return np.asarray(np.append(edge, 0.0)[places])


def all_points(edge: np.ndarray, objects: int) -> float:
    """The area under the whole curve: Pascal VOC from 2010 on.

    Example:
        >>> all_points(np.array([1.0, 0.75, 0.75]), 4)
        0.625
    """
    return float(edge.sum() / objects)


def eleven_points(edge: np.ndarray, objects: int) -> float:
    """The mean of the largest precision at or beyond the recalls 0, 0.1 … 1: Pascal VOC 2007 (section 4.2).

    Recalls are compared as whole numbers: three of ten objects are a recall of 0.3.

    Example:
        >>> eleven_points(np.array([1.0, 0.75, 0.75]), 4)  # 3 times 1, 5 times 0.75 and 3 times 0
        0.6136363636363636
    """
    wanted = -(-np.arange(11) * objects // 10)  # how many found objects reach each recall, rounded up
    return float(np.append(edge, np.zeros(objects + 1))[np.maximum(wanted - 1, 0)].mean())


def best(right: np.ndarray, kept: np.ndarray, scores: np.ndarray, objects: int) -> Best:
    """Where precision and recall have the largest harmonic mean; of equal ones the highest score.

    Args:
        right: bool ``(n,)``, from the surest on.
        kept: bool ``(n,)``: those that are right or wrong.
        scores: float64 ``(n,)``, falling.
        objects: how many are to be found, at least 1.

    Example:
        >>> best(np.array([True, False, True, False]), np.ones(4, bool), np.array([0.9, 0.8, 0.7, 0.6]), 2)
        Best(precision=0.6666666666666666, recall=1.0, f1=0.8, threshold=0.7)
    """
    found, scores = np.cumsum(right[kept]), scores[kept]
    # A threshold lets all detections of one score in, or none of them.
    ends = np.flatnonzero(np.append(scores[1:] != scores[:-1], True)[: len(scores)])
    if not len(ends) or not found[-1]:
        return Best(0.0, 0.0, 0.0, None)
    f1 = 2 * found[ends] / (ends + 1 + objects)
    place = int(ends[f1.argmax()])
    return Best(float(found[place] / (place + 1)), float(found[place] / objects), float(f1.max()), float(scores[place]))


def ceilings(right: np.ndarray, kept: np.ndarray) -> list[np.ndarray]:
    """:func:`ceiling` of each column of two bool arrays ``(n, columns)``."""
    counts = np.cumsum(kept, axis=0, dtype=np.int32)
    columns, places = np.nonzero(np.ascontiguousarray(right.T))
    edges = np.searchsorted(columns, np.arange(1, right.shape[1]))
    return [_ceiling(part) for part in np.split(counts[places, columns], edges)]


def _ceiling(counts: np.ndarray) -> np.ndarray:
    """The same from how many detections stand up to each right one, with it."""
    # The small number is in COCO's reference program, and without it the last digits would differ.
    precision = np.arange(1, len(counts) + 1) / (counts + np.spacing(1))
    return np.asarray(np.maximum.accumulate(precision[::-1])[::-1])
