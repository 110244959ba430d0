"""Which of many boxes to keep: non-maximum suppression, hard and soft, and what a detector found with it.

Greedy suppression is defined one box at a time, and that is how its results are here: the best box is kept, all that
overlap it too much are dropped, and so on. The work is done for many boxes at once: overlaps are worked out in float64
for those pairs alone whose extents meet, which :mod:`lensmith.boxes.pairs` lists, and block by block of falling
score, so that what the best boxes drop is never looked at again.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from lensmith import check
from lensmith.boxes.formats import table
from lensmith.boxes.pairs import Sides, overlapping
from lensmith.boxes.thresholds import Thresholds

FIRST_BLOCK = 64  # candidates of the first block; each later one has twice as many
SOFT_METHODS = ("linear", "gaussian")
ENDLESS = float(np.finfo(np.float32).max)
COLUMNS = 6  # x1, y1, x2, y2, score, class


def nms(
    boxes: ArrayLike,
    scores: ArrayLike,
    *,
    iou: float = 0.45,
    score: float = 0.0,
    most: int | None = None,
    classes: ArrayLike | None = None,
) -> np.ndarray:
    """Greedy non-maximum suppression: the best box drops all that overlap it, then the best of the others, and so on.

    Of two boxes with the same score the one at the lower place is the better. Boxes without area drop nothing and
    are not dropped. All is worked out in float64, whatever the boxes' type.

    Args:
        boxes: shape ``(n, 4)``, ``xyxy``, in any unit.
        scores: shape ``(n,)``.
        iou: a box is dropped where its intersection over union with a kept one is above this, 0..1; 1 drops none.
        score: a box counts only if its score is above this.
        most: how many are kept, the best; None keeps all.
        classes: whole numbers of shape ``(n,)``; boxes of different classes do not drop each other. None: all are of
            one class.

    Returns:
        Places of the kept boxes, int64, best first.

    Raises:
        DataError: shapes do not fit, a number is not finite.
        SettingError: ``iou`` or ``most`` is out of range.

    Example:
        >>> nms([[0, 0, 4, 4], [0, 0, 4, 3], [9, 9, 12, 12]], [0.6, 0.9, 0.8]).tolist()
        [1, 2]
    """
    _check_settings(iou, most)
    corners, values, kinds = _checked(boxes, scores, classes)
    order = _by_score(values, score)
    sides = Sides.of(corners[order], kinds[order])
    places: np.ndarray = order[_greedy(sides, iou, len(order) if most is None else most)]
    return places


def soft_nms(
    boxes: ArrayLike,
    scores: ArrayLike,
    *,
    method: str = "linear",
    iou: float = 0.45,
    sigma: float = 0.5,
    score: float = 0.001,
    most: int | None = None,
    classes: ArrayLike | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Soft suppression: a kept box lowers the scores of those that overlap it instead of dropping them.

    ``linear`` multiplies a score by 1 − IoU where the IoU is above ``iou``; ``gaussian`` by exp(−IoU² / ``sigma``),
    whatever the IoU. (Bodla et al. 2017, Soft-NMS, section 3.) The best box is sought again after each step.

    Args:
        boxes: shape ``(n, 4)``, ``xyxy``, in any unit.
        scores: shape ``(n,)``.
        method: ``linear`` or ``gaussian``.
        iou: for ``linear``, 0..1.
        sigma: for ``gaussian``, above 0.
        score: a box counts only while its score is above this.
        most: how many are kept, the best; None keeps all.
        classes: as for :func:`nms`.

    Returns:
        Places of the kept boxes, int64, best first, and their lowered scores, float64.

    Raises:
        DataError: shapes do not fit, a number is not finite.
        SettingError: a setting is unknown or out of range.

    Example:
        >>> places, lowered = soft_nms([[0, 0, 4, 4], [0, 0, 4, 3]], [0.8, 0.9])
        >>> places.tolist(), lowered.round(3).tolist()
        ([1, 0], [0.9, 0.2])
    """
    check.one_of("soft_nms: method", method, SOFT_METHODS)
    _check_settings(iou, most)
    if not 0 < sigma < np.inf:
        raise check.SettingError(check.sentence("sigma", "a number above 0", repr(sigma)))
    corners, values, kinds = _checked(boxes, scores, classes)
    rest = np.flatnonzero(values > score)
    sides, left = Sides.of(corners[rest], kinds[rest]), values[rest]
    places: list[int] = []
    lowered: list[float] = []
    while len(rest) and (most is None or len(places) < most):
        best = int(np.argmax(left))  # the first of equals, and places only rise
        places.append(int(rest[best]))
        lowered.append(float(left[best]))
        overlap = sides.overlaps(best)
        factor = np.exp(-(overlap**2) / sigma) if method == "gaussian" else np.where(overlap > iou, 1 - overlap, 1.0)
        left = left * factor
        left[best] = -np.inf
        stay = left > score
        rest, left, sides = rest[stay], left[stay], sides.take(stay)
    return np.array(places, np.int64), np.array(lowered, np.float64)


def detections(rows: ArrayLike, thresholds: Thresholds) -> np.ndarray:
    """What a detector found in an image: the rows of its output above the threshold that suppression leaves.

    An untrained network's boxes may be endless (the exponential of a large number): such a side counts as the
    largest float32. NaN is refused.

    Args:
        rows: floating point of shape ``(n, 5 + classes)``: x1, y1, x2, y2 in any unit, objectness, and the score of
            each class, which is objectness × probability already.
        thresholds: which count; see :class:`Thresholds`.

    Returns:
        float32 ``(k, 6)``: x1, y1, x2, y2, score, class; at most ``thresholds.most``. Higher scores come first, equal
        ones in the order of the rows, then of the classes.

    Raises:
        DataError: the rows do not have the shape stated, or a number is NaN.

    Example:
        >>> rows = [[0, 0, 4, 4, 0.9, 0.7, 0.1], [0, 0, 4, 3, 0.9, 0.8, 0.0], [5, 5, 9, 9, 0.5, 0.1, 0.4]]
        >>> detections(rows, Thresholds()).astype(float).round(3).tolist()
        [[0.0, 0.0, 4.0, 3.0, 0.8, 0.0], [5.0, 5.0, 9.0, 9.0, 0.4, 1.0]]
    """
    numbers = _detector_rows(rows)
    classed = numbers[:, 5:]
    if thresholds.best:
        places, classes = np.arange(len(numbers)), np.argmax(classed, axis=1)
    else:
        places, classes = np.nonzero(classed > np.float64(thresholds.score))
    corners, scores = np.clip(numbers[places, :4], -ENDLESS, ENDLESS), classed[places, classes]
    kept = nms(
        corners,
        scores,
        iou=thresholds.iou,
        score=thresholds.score,
        most=thresholds.most,
        classes=classes if thresholds.classwise else None,
    )
    found = np.column_stack([corners[kept], scores[kept], classes[kept]])
    return found.astype(np.float32)


def padded(found: ArrayLike, most: int) -> np.ndarray:
    """Detections as an array of a fixed size.

    Args:
        found: ``(k, 6)``, as from :func:`detections`.
        most: how many rows; further ones are cut off.

    Returns:
        float32 ``(most, 6)``; a row that is missing has class -1 and 0 elsewhere.

    Raises:
        DataError: the detections do not have the shape stated.
        SettingError: ``most`` is not a whole number of at least 1.

    Example:
        >>> padded([[0, 0, 4, 3, 0.5, 2]], 2).tolist()
        [[0.0, 0.0, 4.0, 3.0, 0.5, 2.0], [0.0, 0.0, 0.0, 0.0, 0.0, -1.0]]
    """
    array = np.asarray(found, np.float32)
    if array.shape == (0,):  # what an empty list becomes
        array = array.reshape(0, COLUMNS)
    if array.ndim != 2 or array.shape[1] != COLUMNS:
        raise check.DataError(check.sentence("detections", f"shape (k, {COLUMNS})", f"shape {array.shape}"))
    full = np.zeros((check.positive("most", most), COLUMNS), np.float32)
    full[:, -1] = -1
    full[: len(array)] = array[:most]
    return full


def _greedy(sides: Sides, iou: float, most: int) -> np.ndarray:
    """Places of the boxes that stay, of boxes in the order of falling score."""
    left = np.arange(len(sides))
    kept: list[np.ndarray] = []
    count, block = 0, FIRST_BLOCK
    while len(left) and count < most:
        head, left = left[:block], left[block:]
        chosen = head[_within(sides.take(head), iou)]
        kept.append(chosen)
        count, block = count + len(chosen), 2 * block
        if len(left) and count < most:
            dropped = overlapping(sides.take(chosen), sides.take(left), iou)[1]
            stay = np.ones(len(left), bool)
            stay[dropped] = False
            left = left[stay]
    return np.concatenate([np.zeros(0, np.int64), *kept])[:most]


def _within(sides: Sides, iou: float) -> np.ndarray:
    """Which of the boxes of one block stay, bool, of boxes in the order of falling score."""
    pair = overlapping(sides, sides, iou)
    one, other = np.minimum(*pair), np.maximum(*pair)
    one, other = one[one < other], other[one < other]
    order = np.argsort(one, kind="stable")
    one, other = one[order], other[order]
    stay = np.ones(len(sides), bool)
    starts = np.flatnonzero(np.diff(one, prepend=-1))
    ends = np.append(starts, len(one))[1:]
    for place, start, end in zip(one[starts].tolist(), starts.tolist(), ends.tolist(), strict=True):
        if stay[place]:
            stay[other[start:end]] = False
    return stay


def _by_score(scores: np.ndarray, score: float) -> np.ndarray:
    """Places of the candidates, best first."""
    places = np.flatnonzero(scores > score)
    return places[np.argsort(-scores[places], kind="stable")]


def _check_settings(iou: float, most: int | None) -> None:
    check.between("iou", iou, 0.0, 1.0)
    if most is not None:
        check.positive("most", most)


def _checked(
    boxes: ArrayLike, scores: ArrayLike, classes: ArrayLike | None
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Boxes and scores as float64, classes as whole numbers, of the same length; all finite."""
    corners = table(boxes).astype(np.float64, copy=False)
    values = np.asarray(scores)
    kinds = np.zeros(len(corners), np.int64) if classes is None else np.asarray(classes)
    for name, array, types in (("scores", values, "fiub"), ("classes", kinds, "iu")):
        if array.shape != (len(corners),) or (array.dtype.kind not in types and len(array)):
            expected = f"one number a box, shape ({len(corners)},)"
            raise check.DataError(check.sentence(name, expected, f"{array.dtype} of shape {array.shape}"))
    fine = np.isfinite(corners).all(axis=1) & np.isfinite(values)
    if not fine.all():
        place = int(np.argmin(fine))
        came = ", ".join(f"{number:g}" for number in (*corners[place], values[place]))
        raise check.DataError(check.sentence(f"box {place}", "finite coordinates and a finite score", came))
    if classes is not None:  # from 0 without gaps, whatever the numbers are
        kinds = np.unique(kinds, return_inverse=True)[1]
    return corners, values.astype(np.float64), kinds.astype(np.int64)


def _detector_rows(rows: ArrayLike) -> np.ndarray:
    numbers = np.asarray(rows)
    if numbers.ndim != 2 or numbers.shape[1] < COLUMNS or numbers.dtype.kind not in "fiu":
        expected = "numbers of shape (n, 5 + classes)"
        raise check.DataError(check.sentence("rows", expected, f"{numbers.dtype} of shape {numbers.shape}"))
    wrong = np.isnan(numbers).any(axis=1) | np.isinf(numbers[:, 5:]).any(axis=1)
    if wrong.any():
        came = ", ".join(f"{number:g}" for number in numbers[int(np.argmax(wrong)), :COLUMNS])
        place = f"row {int(np.argmax(wrong))} of a detector's output"
        raise check.DataError(check.sentence(place, "no NaN and finite scores", f"{came}, …"))
    return numbers.astype(np.result_type(numbers, np.float32), copy=False)
