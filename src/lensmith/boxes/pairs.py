"""The pairs of boxes that overlap by more than a threshold, without looking at all the pairs there are.

Where the intersection over union is above t, the shared width is above t times either width. So of two such boxes the
one that begins later begins within (1 − t) widths of the other: with the boxes sorted by their left sides, the
partners of a box follow each other. The same holds for the shared height, so that the boxes are sorted by class, by
strip of the image and by left side, and each box has a window of partners in each of few strips.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

CHUNK = 1 << 17  # pairs looked at together: their numbers stay in the processor's cache
STRIPS = 4  # so many to the height in which a box of the usual height may have partners
MOST_STRIPS = 256
ROUNDING = 8 * float(np.finfo(np.float64).eps)  # windows are wider by this share, so that no pair is lost


@dataclass(frozen=True, slots=True, eq=False)
class Sides:
    """Boxes as columns, float64 of shape ``(n,)`` each, and their classes, int64 from 0 without gaps."""

    x1: np.ndarray
    y1: np.ndarray
    x2: np.ndarray
    y2: np.ndarray
    area: np.ndarray
    classes: np.ndarray

    @classmethod
    def of(cls, corners: np.ndarray, classes: np.ndarray) -> Sides:
        """From float64 ``(n, 4)``."""
        x1, y1, x2, y2 = np.ascontiguousarray(corners.T)
        return cls(x1, y1, x2, y2, np.maximum(x2 - x1, 0) * np.maximum(y2 - y1, 0), classes)

    def __len__(self) -> int:
        return len(self.x1)

    def take(self, places: np.ndarray) -> Sides:
        """Some of the boxes: places or a bool of each."""
        return Sides(
            self.x1[places],
            self.y1[places],
            self.x2[places],
            self.y2[places],
            self.area[places],
            self.classes[places],
        )

    def overlaps(self, place: int) -> np.ndarray:
        """Intersection over union of one box with each; 0 with those of another class."""
        width = np.minimum(self.x2, self.x2[place]) - np.maximum(self.x1, self.x1[place])
        height = np.minimum(self.y2, self.y2[place]) - np.maximum(self.y1, self.y1[place])
        shared = np.maximum(width, 0) * np.maximum(height, 0)
        shared[self.classes != self.classes[place]] = 0
        union = self.area + self.area[place] - shared
        return np.divide(shared, union, out=np.zeros_like(shared), where=union > 0)


def overlapping(first: Sides, second: Sides, iou: float) -> tuple[np.ndarray, np.ndarray]:
    """Places in ``first`` and in ``second`` of the pairs of one class whose IoU is above the threshold.

    A pair may come twice, and pairs come in no order.
    """
    found = [
        (one[fits], other[fits])
        for one, other in _meeting(first, second, iou)
        for fits in (_above(first, second, one, other, iou),)
    ]
    none = np.zeros(0, np.int64)
    return np.concatenate([none, *(one for one, _ in found)]), np.concatenate([none, *(two for _, two in found)])


def _above(first: Sides, second: Sides, one: np.ndarray, other: np.ndarray, iou: float) -> np.ndarray:
    """Which of the pairs overlap by more than the threshold: their places in the list."""
    height = np.minimum(first.y2[one], second.y2[other]) - np.maximum(first.y1[one], second.y1[other])
    near = np.flatnonzero(height > 0)
    one, other, height = one[near], other[near], height[near]
    width = np.minimum(first.x2[one], second.x2[other]) - np.maximum(first.x1[one], second.x1[other])
    shared = np.maximum(width, 0) * height
    union = first.area[one] + second.area[other] - shared
    # Where nothing is shared the quotient is no concern: 0 / 0 of two boxes without area.
    quotient = np.divide(shared, union, out=np.zeros_like(shared), where=shared > 0)
    return near[quotient > iou]


def _meeting(first: Sides, second: Sides, iou: float) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Lists of pairs, among them all whose IoU may be above the threshold."""
    if not len(first) or not len(second):
        return
    plan = _Plan.of(first, second, iou)
    yield from _followers(first, second, plan)
    if first is not second:  # in a set itself the other order is the same pairs again
        for other, one in _followers(second, first, plan):
            yield one, other


@dataclass(frozen=True, slots=True)
class _Plan:
    """How boxes are sorted: by class, strip and left side, all three in one number.

    Args:
        share: of its width or height within which a box has the partners that begin later: 1 − t.
        left: where x begins.
        top: where y begins.
        tall: height of the tallest box.
        ratio: no partner is taller than this times the box: 1 / t.
        strip: height of a strip.
        strips: how many there are.
        span: from one strip's numbers to the next one's: twice the width of all, so that windows stay apart.
        slack: by which windows are wider at either end.
    """

    share: float
    left: float
    top: float
    tall: float
    ratio: float
    strip: float
    strips: int
    span: float
    slack: float

    @classmethod
    def of(cls, first: Sides, second: Sides, iou: float) -> _Plan:
        left, top = (min(float(a.min()), float(b.min())) for a, b in ((first.x1, second.x1), (first.y1, second.y1)))
        right = max(float(side.max()) for one in (first, second) for side in (one.x1, one.x2))
        bottom = max(float(side.max()) for one in (first, second) for side in (one.y1, one.y2))
        heights = np.maximum(second.y2 - second.y1, 0)
        tall = max(float((first.y2 - first.y1).max()), float(heights.max()), 0.0)
        extent = bottom - top
        usual = 2 * (1 - iou) * float(heights.mean()) / STRIPS
        strip = max(usual, extent / MOST_STRIPS) or 1.0
        strips = int(extent / strip) + 1
        span = 2 * (right - left) or 1.0
        cells = strips * (1 + max(int(first.classes.max()), int(second.classes.max())))
        ratio = 1 / iou if iou else np.inf
        return cls(1 - iou, left, top, tall, ratio, strip, strips, span, ROUNDING * span * cells)

    def strip_of(self, y: np.ndarray) -> np.ndarray:
        """The strip of each y; the first and the last go on for ever."""
        return np.clip((y - self.top) / self.strip, 0, self.strips - 1).astype(np.int64)


def _followers(first: Sides, second: Sides, plan: _Plan) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Pairs in which the second box begins at or right of the first, within the first's reach."""
    start = (second.classes * plan.strips + plan.strip_of(second.y1)) * plan.span + (second.x1 - plan.left)
    order = np.argsort(start)
    start = start[order]
    height, width = np.maximum(first.y2 - first.y1, 0), np.maximum(first.x2 - first.x1, 0)
    low = plan.strip_of(first.y1 - plan.share * np.minimum(plan.tall, plan.ratio * height) - ROUNDING * plan.tall)
    high = plan.strip_of(first.y1 + plan.share * height + ROUNDING * plan.tall)
    box, strip = _ranges(low, high - low + 1)
    begin = (first.classes[box] * plan.strips + strip) * plan.span + (first.x1[box] - plan.left) - plan.slack
    window = np.searchsorted(start, begin, "left")
    counts = np.searchsorted(start, begin + plan.share * width[box] + 2 * plan.slack, "right") - window
    ends = np.cumsum(counts)
    done = 0
    while done < len(box):
        before = int(ends[done - 1]) if done else 0
        stop = max(int(np.searchsorted(ends, before + CHUNK, "right")), done + 1)
        which, other = _ranges(window[done:stop], counts[done:stop])
        yield box[done + which], order[other]
        done = stop


def _ranges(starts: np.ndarray, counts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Ranges one after the other: of each number which range it is in, and the number itself."""
    which = np.repeat(np.arange(len(starts)), counts)
    first = np.cumsum(counts) - counts
    return which, np.arange(len(which)) + (starts - first)[which]
