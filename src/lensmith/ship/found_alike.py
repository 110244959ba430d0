"""What it means that two lists of detections are alike, and that an artifact finds what its model finds."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Protocol

import numpy as np

from lensmith.boxes import Thresholds, iou
from lensmith.boxes.suppression import ENDLESS, detections, padded
from lensmith.ship.artifact import Example, Outputs

CHUNK = 8  # examples whose candidates are in memory at once
WRONG = 2.0  # a difference above any tolerance: of another shape, or not padded as it should be


class Finder(Protocol):
    """What a saved model and an artifact that find objects have in common."""

    def predict(self, examples: Sequence[Example], *, thresholds: Thresholds | None = None) -> Outputs: ...

    def candidates(self, examples: Sequence[Example]) -> Outputs: ...


def finding_differences(
    model: Finder, artifact: Finder, examples: Sequence[Example], thresholds: Mapping[str, Thresholds]
) -> np.ndarray:
    """How far an artifact is from finding what its model finds, for each example.

    It is the largest of three differences. Together they say that both see the same candidates, and that the artifact
    chooses from them as :func:`lensmith.boxes.detections` does:

    1. of the candidates of both, before any threshold: of each number relative to max(1, abs(number)), so that
       objectness and scores, which are 0..1 but for YOLO v1, count as they are;
    2. of what the artifact finds and what its own candidates become by :func:`lensmith.boxes.detections`, with the
       thresholds of the recipe, as :func:`found_difference` says;
    3. the same with a score threshold that is at most half of the highest score, so that there is something to compare
       where the recipe's threshold leaves nothing.

    Args:
        model, artifact: the two.
        examples: at least one.
        thresholds: of the recipe, by task that finds objects.

    Returns:
        float64 of shape ``(examples,)``; NaN where something is not finite, :data:`WRONG` where shapes differ.
    """
    chunks = (examples[start : start + CHUNK] for start in range(0, len(examples), CHUNK))
    return np.concatenate([_of_chunk(model, artifact, chunk, thresholds) for chunk in chunks])


def _of_chunk(
    model: Finder, artifact: Finder, chunk: Sequence[Example], thresholds: Mapping[str, Thresholds]
) -> np.ndarray:
    expected, got = model.candidates(chunk), artifact.candidates(chunk)
    parts = [candidate_differences(expected[task], got[task]) for task in thresholds]
    if not np.isfinite(parts).all():
        return np.asarray(np.max(parts, axis=0))
    usual = artifact.predict(chunk)
    for task, limits in thresholds.items():
        low = replace(limits, score=min(limits.score, float(np.clip(got[task][..., 5:].max() / 2, 0, 1))))
        for chosen, found in ((limits, usual), (low, artifact.predict(chunk, thresholds=low))):
            pairs = zip(got[task], found[task], strict=True)
            parts.append(np.array([_of_image(rows, listed, chosen) for rows, listed in pairs]))
    return np.asarray(np.max(parts, axis=0))


def candidate_differences(expected: np.ndarray, got: np.ndarray) -> np.ndarray:
    """The largest difference of the candidates of each image: float64 ``(images,)``, NaN or WRONG as above."""
    if expected.shape != got.shape:
        return np.full(len(expected), WRONG)
    first, second = (_finite(array) for array in (expected, got))
    apart = np.abs(first - second) / np.fmax(1, np.abs(first))
    return np.asarray(apart.max(axis=(1, 2)))


def _finite(candidates: np.ndarray) -> np.ndarray:
    """In float64; endless corners as :func:`lensmith.boxes.detections` takes them, other infinities as NaN."""
    array = candidates.astype(np.float64)
    array[..., :4] = np.clip(array[..., :4], -ENDLESS, ENDLESS)
    return np.where(np.isfinite(array), array, np.nan)


def _of_image(rows: np.ndarray, found: np.ndarray, thresholds: Thresholds) -> float:
    if found.shape != (thresholds.most, 6):
        return WRONG
    listed = found[found[:, 5] >= 0]
    if not np.array_equal(padded(listed, thresholds.most), found):  # a gap, no padding, or NaN
        return WRONG
    return found_difference(detections(rows, thresholds), listed, thresholds)


def found_difference(expected: np.ndarray, got: np.ndarray, thresholds: Thresholds) -> float:
    """How far two lists of detections of one image are from being alike.

    Each detection of one list is matched with the nearest of the same class in the other that overlaps it, each with
    one at most. What matched pairs differ by counts, relative to max(1, abs(number)).
    A detection that one list alone has counts by how little would have to be otherwise for it not to be there: its
    score above the threshold; the lowest score of the other list, if that is full; or the overlap with a better
    detection of both lists, which would suppress it.

    Args:
        expected, got: ``(k, 6)`` each: x1, y1, x2, y2, score, class.
        thresholds: those both were found with.

    Returns:
        0 where they are equal.

    Example:
        >>> one = np.array([[0, 0, 0.5, 0.5, 0.75, 2]])
        >>> found_difference(one, one + [[0, 0, 0.125, 0, 0, 0]], Thresholds())
        0.125
        >>> found_difference(one, one[:0], Thresholds(score=0.5))
        0.25
    """
    pairs = list(_matched(expected, got))
    matched = np.array(pairs, np.int64).reshape(-1, 2)
    worst = max((_apart(expected[first], got[second]) for first, second in pairs), default=0.0)
    for own, other, side in ((expected, got, 0), (got, expected, 1)):
        both = own[matched[:, side]]
        for alone in np.delete(own, matched[:, side], axis=0):
            worst = max(worst, _reason_to_go(alone, both, other, thresholds))
    return worst


def _matched(expected: np.ndarray, got: np.ndarray) -> Iterator[tuple[int, int]]:
    """Places of matched detections, one of each list."""
    overlaps = iou(expected[:, :4], got[:, :4])
    left = set(range(len(got)))
    for first, row in enumerate(expected):
        near = [
            second
            for second in left
            if row[5] == got[second, 5]
            # A box without area overlaps nothing, not even itself.
            and (overlaps[first, second] > 0 or np.array_equal(row[:4], got[second, :4]))
        ]
        if near:
            second = min(near, key=lambda place: (_apart(row, got[place]), place))
            left.remove(second)
            yield first, second


def _apart(one: np.ndarray, other: np.ndarray) -> float:
    first = one[:5].astype(np.float64)
    return float(np.max(np.abs(first - other[:5]) / np.fmax(1, np.abs(first))))


def _reason_to_go(alone: np.ndarray, both: np.ndarray, other: np.ndarray, thresholds: Thresholds) -> float:
    """How little would have to be otherwise for a detection not to be there."""
    score = float(alone[4])
    reasons = [abs(score - thresholds.score)]  # one below it has no right to be there
    if len(other) == thresholds.most:
        reasons.append(score - float(other[:, 4].min()))
    better = both[(both[:, 4] >= score) & ((both[:, 5] == alone[5]) | (not thresholds.classwise))]
    reasons += [abs(thresholds.iou - overlap) for overlap in iou(alone[None, :4], better[:, :4])[0].tolist()]
    return max(0.0, min(reasons))
