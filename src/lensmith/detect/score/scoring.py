"""Mean average precision, as COCO and as Pascal VOC measure it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from lensmith import check
from lensmith.detect.score import average_precision, matching
from lensmith.detect.score.average_precision import RECALLS, THRESHOLDS
from lensmith.detect.score.flat import Found, Objects, found_of, objects_of, pairs_of
from lensmith.detect.score.matching import Matches
from lensmith.detect.score.scores import ClassScores, DetectionScores
from lensmith.records import Boxes

STYLES = ("coco", "voc", "voc07")
_MOST = (1, 10, 100)  # detections of a class in an image
_SIZES = ("small", "medium", "large")
# Square pixels, both ends included: all sizes, then each of these.
_RANGES = np.array([[0, 1e5**2], [0, 32**2], [32**2, 96**2], [96**2, 1e5**2]])


@dataclass(frozen=True, slots=True, eq=False)
class _Measured:
    """Of one class that has objects.

    Args:
        precision: float64 ``(ranges, thresholds)``: average precision; NaN where a range holds no object.
        recall: float64 ``(most, ranges, thresholds)``, likewise.
        curve: float64 ``(101,)``.
        best: at an overlap of 0.5.
    """

    precision: np.ndarray
    recall: np.ndarray
    curve: np.ndarray
    best: average_precision.Best


def score(
    truths: Sequence[Boxes],
    found: Sequence[np.ndarray],
    names: Sequence[str],
    *,
    style: str = "coco",
    areas: Sequence[np.ndarray] | None = None,
) -> DetectionScores:
    """Mean average precision and what goes with it, over a data set.

    ``coco`` is the measure of Lin et al. 2014 ("Microsoft COCO") as its reference program computes it, digit by digit:
    precision interpolated at 101 recalls, at most 100 detections of a class in an image, crowds as regions that
    detections may fall into unpunished. Difficult objects, which COCO does not have, are ignored as objects of the
    wrong size are. ``voc`` is the area under the whole curve (Everingham et al. 2010, from 2010 on), ``voc07`` the
    mean at 11 recalls; both without a limit of detections, and for difficult objects as VOC's development kit does.
    Coordinates are continuous in every style: VOC's kit adds a pixel to each width.

    What was found in images without objects is wrong. Of detections with equal scores the earlier image, and in it
    the earlier row, goes first. To score while training, keep the lists of an epoch and call this at its end.

    Args:
        truths: the objects of each image.
        found: for each image float ``(k, 6)``: x1, y1, x2, y2 in pixels, score, class; any order. Rows of class -1
            are padding. Let a detector give all its candidates, down to a score of 0.001: a threshold cuts the curve.
        names: the classes.
        style: ``coco``, ``voc`` or ``voc07``.
        areas: the area of each object of each image in square pixels, by which it is small, medium or large: COCO
            counts the pixels of the outline. Left out, the area of its box.

    Raises:
        SettingError: the style is unknown.
        DataError: the sequences are not of one length; an array has the wrong shape, a class without a name, or a
            number that is not finite.

    Example:
        >>> there = Boxes([[0, 0, 10, 10], [20, 0, 30, 10]], [0, 0])
        >>> here = np.array([[0, 0, 10, 10, 0.9, 0], [50, 0, 60, 10, 0.8, 0], [20, 0, 30, 8, 0.7, 0]])
        >>> scores = score([there], [here], ["digit"], style="voc")
        >>> round(scores.map50, 4), round(scores.map, 4)  # 1/2 + 1/2 * 2/3; the last overlaps by 0.8
        (0.8333, 0.7333)
    """
    check.one_of("score: style", style, STYLES)
    if len(found) != len(truths):
        expected = f"detections of {len(truths)} images, as many as have truths"
        raise check.DataError(check.sentence("score: found", expected, f"those of {len(found)}"))
    objects = objects_of(truths, len(names), areas)
    table = found_of(found, len(names), _MOST[-1] if style == "coco" else None)
    pairs = pairs_of(table, objects, THRESHOLDS[0])
    if style == "coco":
        matches = matching.coco(table, objects, pairs, _RANGES, THRESHOLDS)
    else:
        matches = matching.voc(table, objects, pairs, THRESHOLDS)
    measured = [_measured(table, objects, matches, label, style) for label in range(len(names))]
    rows = tuple(
        _row(name, _counts(table, objects, matches, label), one)
        for label, (name, one) in enumerate(zip(names, measured, strict=True))
    )
    return _scores(style, len(truths), rows, measured)


def _slice(labels: np.ndarray, label: int) -> slice:
    low, high = (int(np.searchsorted(labels, label, side)) for side in ("left", "right"))
    return slice(low, high)


def _counts(table: Found, objects: Objects, matches: Matches, label: int) -> tuple[int, int]:
    """How many objects that count a class has, and how many detections."""
    mine = _slice(table.classes, label)
    return int(matches.counted[_slice(objects.classes, label), 0].sum()), mine.stop - mine.start


def _measured(table: Found, objects: Objects, matches: Matches, label: int, style: str) -> _Measured | None:
    """None where the class has no object that counts."""
    counts = matches.counted[_slice(objects.classes, label)].sum(axis=0)
    if not counts[0]:
        return None
    mine = _slice(table.classes, label)
    order = mine.start + np.argsort(-table.scores[mine], kind="stable")
    right, kept = matches.right[order], ~matches.ignored[order]
    ranges, levels = right.shape[1:]
    flat = (len(order), ranges * levels)
    edges = average_precision.ceilings(right.reshape(flat), kept.reshape(flat))
    known = np.repeat(counts, levels).tolist()
    values = [_area(style, edge, count) if count else np.nan for edge, count in zip(edges, known, strict=True)]
    totals = np.stack([right[table.ranks[order] < most].sum(axis=0) for most in _MOST])
    if style != "coco":
        totals = np.concatenate([totals, right.sum(axis=0)[None]])
    return _Measured(
        np.reshape(values, (ranges, levels)),
        np.divide(totals, counts[:, None], out=np.full(totals.shape, np.nan), where=counts[:, None] > 0),
        average_precision.interpolated(edges[0], known[0]),
        average_precision.best(right[:, 0, 0], kept[:, 0, 0], table.scores[order], known[0]),
    )


def _area(style: str, edge: np.ndarray, objects: int) -> float:
    if not len(edge):  # as most are where there are many classes
        return 0.0
    if style == "coco":
        return float(average_precision.interpolated(edge, objects).mean())
    area = average_precision.all_points if style == "voc" else average_precision.eleven_points
    return area(edge, objects)


def _row(name: str, counts: tuple[int, int], one: _Measured | None) -> ClassScores:
    if one is None:
        return ClassScores(name, *counts)
    best = one.best
    return ClassScores(
        name,
        *counts,
        map=float(one.precision[0].mean()),
        map50=float(one.precision[0, 0]),
        map75=float(one.precision[0, 5]),
        recall=float(one.recall[-1, 0].mean()),
        best_precision=best.precision,
        best_recall=best.recall,
        best_f1=best.f1,
        best_score=best.threshold,
    )


def _scores(
    style: str, images: int, rows: tuple[ClassScores, ...], measured: Sequence[_Measured | None]
) -> DetectionScores:
    there = [one for one in measured if one is not None]
    sizes = _SIZES if style == "coco" else ()
    blank = np.full(len(RECALLS), np.nan)
    return DetectionScores(
        style=style,
        images=images,
        map=_mean([one.precision[0] for one in there]),
        map50=_mean([one.precision[0, 0] for one in there]),
        map75=_mean([one.precision[0, 5] for one in there]),
        sizes={size: _mean([one.precision[place] for one in there]) for place, size in enumerate(sizes, 1)},
        recalls={most: _mean([one.recall[place, 0] for one in there]) for place, most in enumerate(_MOST)},
        size_recalls={size: _mean([one.recall[2, place] for one in there]) for place, size in enumerate(sizes, 1)},
        classes=rows,
        curves=np.stack([blank, *(blank if one is None else one.curve for one in measured)])[1:],
    )


def _mean(values: Sequence[np.ndarray]) -> float | None:
    """Over what was measured; None where nothing was."""
    numbers = np.ravel(values)
    numbers = numbers[~np.isnan(numbers)]
    return float(numbers.mean()) if len(numbers) else None
