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
        quotient: np.ndarray = np.divide(shared, union, out=np.zeros_like(shared), where=union > 0)
        return quotient


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
    fits: np.ndarray = near[quotient > iou]
    return fits


def _meeting(first: Sides, second: Sides, iou: float) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Lists of pairs, among them all whose IoU may be above the threshold."""
    if not len(first) or not len(second):
        return
    plan = _Plan.of(first, second, iou)
    start = plan.number(second.classes, plan.strip_of(second.y1 - plan.top), second.x1)
    order = np.argsort(start)
    window, box = _windows(first, plan, start[order], within=first is second)
    counts = window[1] - window[0]
    ends = np.cumsum(counts)
    done = 0
    while done < len(box):
        before = int(ends[done - 1]) if done else 0
        stop = max(int(np.searchsorted(ends, before + CHUNK, "right")), done + 1)
        which, other = _ranges(window[0, done:stop], counts[done:stop])
        yield box[done + which], order[other]
        done = stop


@dataclass(frozen=True, slots=True)
class _Plan:
    """How boxes are sorted: by class, strip and left side, all three in one number.

    Args:
        iou: the threshold, t.
        left: where x begins.
        top: where y begins.
        wide: width of the widest box.
        tall: height of the tallest box.
        strip: height of a strip.
        strips: how many there are.
        span: from one strip's numbers to the next one's: more than any window is wide, so that they stay apart.
        slack: by which windows are wider at either end.
    """

    iou: float
    left: float
    top: float
    wide: float
    tall: float
    strip: float
    strips: int
    span: float
    slack: float

    @classmethod
    def of(cls, first: Sides, second: Sides, iou: float) -> _Plan:
        both = (first, second)
        left, top = min(float(one.x1.min()) for one in both), min(float(one.y1.min()) for one in both)
        right, bottom = max(float(one.x1.max()) for one in both), max(float(one.y1.max()) for one in both)
        wide, tall = (max(0.0, *(float(side.max()) for side in sides)) for sides in _extents(both))
        usual = 2 * (1 - iou) * float(np.maximum(second.y2 - second.y1, 0).mean()) / STRIPS
        strip = max(usual, (bottom - top) / MOST_STRIPS) or 1.0
        strips = int((bottom - top) / strip) + 1
        span = 2 * (right - left + wide) or 1.0
        cells = strips * (1 + max(int(one.classes.max()) for one in both))
        return cls(iou, left, top, wide, tall, strip, strips, span, ROUNDING * span * cells)

    def number(self, classes: np.ndarray, strip: np.ndarray, x: np.ndarray) -> np.ndarray:
        """What boxes are sorted by."""
        cell = classes * self.strips + strip
        return np.asarray(cell * self.span + (x - self.left))

    def strip_of(self, below: np.ndarray) -> np.ndarray:
        """The strip of what lies so far below the top; the first and the last go on for ever."""
        strip: np.ndarray = np.clip(below / self.strip, 0, self.strips - 1).astype(np.int64)
        return strip

    def reach(self, extent: np.ndarray, most: float) -> tuple[np.ndarray, np.ndarray]:
        """How far before a box of this extent, and how far after where it begins, a partner may begin."""
        # A partner's extent is no more than the box's own divided by t, nor than the largest of all.
        with np.errstate(over="ignore"):
            partner = np.minimum(most, extent / self.iou) if self.iou else np.full_like(extent, most)
        return (1 - self.iou) * partner, (1 - self.iou) * extent


def _extents(both: tuple[Sides, Sides]) -> tuple[tuple[np.ndarray, ...], tuple[np.ndarray, ...]]:
    return tuple(one.x2 - one.x1 for one in both), tuple(one.y2 - one.y1 for one in both)


def _windows(first: Sides, plan: _Plan, start: np.ndarray, *, within: bool) -> tuple[np.ndarray, np.ndarray]:
    """Where in the sorted numbers the partners of each box may be: (2, windows) from and to, and each window's box.

    Args:
        first: whose partners are sought.
        plan: how the others were sorted.
        start: their numbers, sorted.
        within: whether the others are the same boxes, so that each pair need be found from one side only.
    """
    width, height = np.maximum(first.x2 - first.x1, 0), np.maximum(first.y2 - first.y1, 0)
    above, below = plan.reach(height, plan.tall)
    top, slack = first.y1 - plan.top, ROUNDING * plan.strip * (plan.strips + 1)
    low, high = plan.strip_of(top - above - slack), plan.strip_of(top + below + slack)
    box, strip = _ranges(low, high - low + 1)
    place = plan.number(first.classes[box], strip, first.x1[box])
    before, after = plan.reach(width, plan.wide)
    begin = place - plan.slack - (0 if within else before[box])
    return np.stack(
        [np.searchsorted(start, begin, "left"), np.searchsorted(start, place + plan.slack + after[box], "right")]
    ), box


def _ranges(starts: np.ndarray, counts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Ranges one after the other: of each number which range it is in, and the number itself."""
    which = np.repeat(np.arange(len(starts)), counts)
    first = np.cumsum(counts) - counts
    return which, np.arange(len(which)) + (starts - first)[which]
