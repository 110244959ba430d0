"""Anchors: the few widths and heights that come closest to the boxes of a data set.

Redmon and Farhadi 2017 ("YOLO9000", section 2, "Dimension Clusters") find them by k-means with the distance 1 - IoU of
two sizes put on one corner, so that large boxes do not count for more than small ones.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from lensmith import check
from lensmith.data.targets import record_size
from lensmith.records import Boxes, Records

_STARTS = 10
_STEPS = 300
_MOST = 20_000  # different sizes that the clusters are found with
_MOST_ANCHORS = 1_000


@dataclass(frozen=True, slots=True, eq=False)
class Anchors:
    """Sizes fitted to boxes.

    Args:
        sizes: float64 ``(count, 2)``: width and height in the unit of the boxes, from the smallest area on.
        mean_iou: the mean over the boxes of the overlap with the anchor that fits best, 0..1.
        history: the mean overlap after each step of the best start, from its seeds on, over the sizes that were used
            (see :func:`fit_anchors`); it never falls.
        note: what a reader should know, such as that there were fewer different sizes than anchors; else empty.
    """

    sizes: np.ndarray
    mean_iou: float
    history: tuple[float, ...]
    note: str = ""

    def to_dict(self) -> dict[str, object]:
        """Plain numbers, for JSON and YAML."""
        sizes = [[round(side, 3) for side in size] for size in self.sizes.tolist()]
        return {"sizes": sizes, "mean_iou": self.mean_iou, "steps": len(self.history) - 1, "note": self.note}


def fit_anchors(sizes: ArrayLike, count: int, *, seed: int = 0) -> Anchors:
    """Cluster the sizes of boxes by how far they overlap.

    Ten starts are seeded as k-means++ does (Arthur and Vassilvitskii 2007): each further seed is drawn with a
    probability in proportion to its distance from the nearest one. A step gives each box to the anchor that it
    overlaps most and moves each anchor to the mean or the median of its boxes, whichever they overlap more; where
    neither is better than what it was, it stays. The mean alone, as in the paper, can make the overlap fall.

    The result depends on the boxes and the seed alone, not on the order of the boxes. The clusters of more than
    20,000 different sizes are found with 20,000 of them, evenly chosen; the mean overlap is that of all boxes.

    Args:
        sizes: ``(n, 2)``: width and height of each box, such as :func:`sizes_of` gives them.
        count: how many anchors, at most 1,000; YOLO v2 has 5, v3 has 9 and its small form 6.
        seed: of the starts.

    Raises:
        SettingError: the count is not a whole number from 1 to 1,000.
        DataError: there is no box, or a side is not a finite number above 0.

    Example:
        >>> anchors = fit_anchors([[10, 20], [40, 40], [10, 20], [40, 50]], 2)
        >>> anchors.sizes.tolist(), round(anchors.mean_iou, 3)  # 1, 1, 1 and 40 * 40 of 40 * 50
        ([[10.0, 20.0], [40.0, 40.0]], 0.95)
    """
    check.between("fit_anchors: count", check.positive("fit_anchors: count", count), 1, _MOST_ANCHORS)
    table = _checked("fit_anchors: sizes", sizes)
    distinct, weights = np.unique(table, axis=0, return_counts=True)
    if len(distinct) <= count:
        return _few(table, distinct, count)
    distinct, weights = _sample(distinct, weights)
    generator = np.random.default_rng(seed)
    starts = [_fitted(distinct, weights, _seeds(distinct, weights, count, generator)) for _ in range(_STARTS)]
    centres, history = max(starts, key=lambda start: start[1][-1])
    ordered = _by_area(centres)
    return Anchors(ordered, mean_iou(table, ordered), history)


def mean_iou(sizes: ArrayLike, anchors: ArrayLike) -> float:
    """The mean over boxes of the overlap with the anchor that fits best, all put on one corner.

    Args:
        sizes: ``(n, 2)``: width and height of each box.
        anchors: ``(count, 2)``: the same of each anchor.

    Example:
        >>> mean_iou([[10, 10], [10, 30]], [[10, 20]])  # 1/2 and 2/3
        0.5833333333333333
    """
    overlap = _overlap(_checked("mean_iou: sizes", sizes), _checked("mean_iou: anchors", anchors))
    return float(overlap.max(axis=1).mean())


def sizes_of(records: Records, task: str, input_size: tuple[int, int]) -> np.ndarray:
    """The width and height of every object that a detector learns, in pixels of its network's input.

    Crowds and difficult objects are left out, for they are not learned, and boxes without extent.

    Args:
        records: images with boxes.
        task: which of their tasks.
        input_size: height and width of the network's input, to which each image is resized, whatever its shape.

    Returns:
        float64 ``(n, 2)``.

    Raises:
        SettingError: there is no such task, or it is not one of boxes.
        DataError: an image whose size is not stated cannot be read.

    Example:
        >>> from lensmith.records import Labels, Record
        >>> cat = Boxes([[0, 0, 50, 50]], [0])
        >>> photo = Record("a.jpg", image=np.zeros((100, 200, 3), np.uint8), targets={"object": cat})
        >>> sizes_of(Records((photo,), {"object": Labels("boxes", ("cat",))}), "object", (416, 416)).tolist()
        [[104.0, 208.0]]
    """
    labels = records.labels[check.one_of("sizes_of: task", task, records.labels)]
    check.one_of(f"sizes_of: labels of {task!r}", labels.kind, ("boxes",))
    height, width = (check.positive("sizes_of: input_size", side) for side in input_size)
    found = [np.zeros((0, 2))]
    for record in records:
        target = record.targets.get(task)
        if isinstance(target, Boxes) and len(target):
            own_height, own_width = record_size(record)
            corners = target.xyxy[~(target.crowd | target.difficult)].astype(np.float64)
            found.append((corners[:, 2:] - corners[:, :2]) * [width / own_width, height / own_height])
    sizes = np.concatenate(found)
    return np.asarray(sizes[(sizes > 0).all(axis=1)])


def _checked(place: str, sizes: ArrayLike) -> np.ndarray:
    table: np.ndarray = np.asarray(sizes, np.float64)
    if table.ndim != 2 or table.shape[1] != 2 or not len(table):
        expected = "widths and heights of at least one box, shape (n, 2)"
        raise check.DataError(check.sentence(place, expected, f"shape {table.shape}"))
    fine = (np.isfinite(table) & (table > 0)).all(axis=1)
    if not fine.all():
        row = int(np.argmin(fine))
        got = f"{table[row, 0]:g}, {table[row, 1]:g} in row {row}"
        raise check.DataError(check.sentence(place, "finite numbers above 0", got))
    return table


def _sample(sizes: np.ndarray, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """At most so many sizes, evenly from the narrowest on; each weighs as much as those up to the next one."""
    if len(sizes) <= _MOST:
        return sizes, weights
    chosen = np.linspace(0, len(sizes), _MOST, endpoint=False).astype(int)
    return sizes[chosen], np.add.reduceat(weights, chosen)


def _overlap(sizes: np.ndarray, anchors: np.ndarray) -> np.ndarray:
    """``(n, count)``."""
    shared = np.minimum(sizes[:, None, 0], anchors[None, :, 0]) * np.minimum(sizes[:, None, 1], anchors[None, :, 1])
    return np.asarray(shared / (sizes.prod(axis=1)[:, None] + anchors.prod(axis=1)[None, :] - shared))


def _seeds(sizes: np.ndarray, weights: np.ndarray, count: int, generator: np.random.Generator) -> np.ndarray:
    chosen = [int(generator.choice(len(sizes), p=weights / weights.sum()))]
    distance = 1 - _overlap(sizes, sizes[chosen])[:, 0]
    for _ in range(count - 1):
        # Two sizes may differ by so little that their overlap rounds to 1, and then any other will do.
        odds = np.where(np.isin(np.arange(len(sizes)), chosen), 0.0, np.maximum(distance, 1e-12)) * weights
        chosen.append(int(generator.choice(len(sizes), p=odds / odds.sum())))
        distance = np.minimum(distance, 1 - _overlap(sizes, sizes[chosen[-1:]])[:, 0])
    return sizes[chosen]


def _fitted(sizes: np.ndarray, weights: np.ndarray, centres: np.ndarray) -> tuple[np.ndarray, tuple[float, ...]]:
    """Step until nothing moves: the centres, and the mean overlap after each step."""
    overlap = _overlap(sizes, centres)
    history = [_mean(overlap, weights)]
    for _ in range(_STEPS):
        moved = _moved(sizes, weights, centres, overlap.argmax(axis=1))
        overlap = _overlap(sizes, moved)
        value = _mean(overlap, weights)
        if value <= history[-1]:  # equal, but for the last digit
            break
        centres = moved
        history.append(value)
    return centres, tuple(history)


def _mean(overlap: np.ndarray, weights: np.ndarray) -> float:
    return float(overlap.max(axis=1) @ weights / weights.sum())


def _moved(sizes: np.ndarray, weights: np.ndarray, centres: np.ndarray, owner: np.ndarray) -> np.ndarray:
    moved = centres.copy()
    for place in np.unique(owner):
        mine, heavy = sizes[owner == place], weights[owner == place]
        tries = np.stack([centres[place], heavy @ mine / heavy.sum(), _median(mine, heavy)])
        moved[place] = tries[(heavy @ _overlap(mine, tries)).argmax()]
    return moved


def _median(sizes: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Of widths and of heights, each by itself."""
    orders = np.argsort(sizes, axis=0, kind="stable")
    middle = [int(np.searchsorted(np.cumsum(weights[order]), weights.sum() / 2)) for order in orders.T]
    return np.array([sizes[orders[at, axis], axis] for axis, at in enumerate(middle)])


def _few(table: np.ndarray, distinct: np.ndarray, count: int) -> Anchors:
    """Each size is an anchor; what is wanting is spread around them, ever larger and smaller ones in turn."""
    chosen = list(distinct)
    step = 1
    while len(chosen) < count:
        for factor in (2 ** (step / 2), 2 ** (-step / 2)):
            fresh = [size * factor for size in distinct if not _among(size * factor, chosen)]
            chosen += fresh[: count - len(chosen)]
        step += 1
    ordered = _by_area(np.array(chosen))
    value = mean_iou(table, ordered)
    added = count - len(distinct)
    sizes = "1 different size" if len(distinct) == 1 else f"{len(distinct)} different sizes"
    note = f"{sizes} for {count} anchors: {added} added, larger and smaller than these by steps of the root of 2"
    return Anchors(ordered, value, (value,), note if added else "")


def _among(size: np.ndarray, chosen: list[np.ndarray]) -> bool:
    return any(np.allclose(size, one, rtol=1e-6) for one in chosen)


def _by_area(sizes: np.ndarray) -> np.ndarray:
    return sizes[np.lexsort((sizes[:, 0], sizes.prod(axis=1)))]
