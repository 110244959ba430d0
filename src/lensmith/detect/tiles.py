"""Big pictures in tiles: where the tiles lie, and how what is found in them becomes what is in the picture.

A detector takes a picture at one small size, and what is small in a big picture is lost in it. So the picture is cut
into tiles that overlap, each is looked at by itself, and the whole picture once more for what is larger than a tile
(Akyon et al. 2022, Slicing Aided Hyper Inference, section 3).

An object on the border between two tiles is found in parts. What becomes of them is decided by one question: of two
detections of the same class from different tiles, do they agree in the part of the picture that both tiles see? There
both must say the same, and their boxes, cut to that part, overlap by an IoU of at least one half.

1. A detection that keeps clear of its tile's inner edges shows a whole object. Of those, ordinary suppression keeps
   the best.
2. One that reaches an inner edge is a part. It is dropped where a whole one agrees with it.
3. Parts that agree with each other, directly or through others, are joined: their box holds them all, and their score
   is the highest.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from lensmith import check
from lensmith.boxes import Thresholds, area
from lensmith.boxes.suppression import nms

Place = tuple[int, int, int, int]  # x1, y1, x2, y2 in pixels of the picture

_AGREE = 0.5  # IoU in what both tiles see
_NEAR = 0.02  # of a tile's shorter side: as far from an edge as a box may end and still be cut by it
_LEAST_OVERLAP, _MOST_OVERLAP = 0.05, 0.9


@dataclass(frozen=True, slots=True)
class Tiles:
    """How a big picture is cut.

    Args:
        size: height and width of a tile in pixels, at least 32; a picture that is smaller is one tile.
        overlap: the least share of a tile that its neighbour sees too, 0.05..0.9. Objects smaller than it are seen
            whole by one of them.
        whole: whether the whole picture is looked at too, for objects larger than a tile.

    Example:
        >>> Tiles(100, overlap=0.2, whole=False).places((100, 250))
        ((0, 0, 100, 100), (75, 0, 175, 100), (150, 0, 250, 100))
    """

    size: int = 640
    overlap: float = 0.2
    whole: bool = True

    def __post_init__(self) -> None:
        if check.positive("tiles", self.size) < 32:
            raise check.SettingError(check.sentence("tiles", "a side of at least 32 pixels", self.size))
        check.between("overlap of tiles", self.overlap, _LEAST_OVERLAP, _MOST_OVERLAP)

    def places(self, size: tuple[int, int]) -> tuple[Place, ...]:
        """Where the tiles of a picture lie: row by row, evenly spread, the last at its border; then the whole picture.

        Args:
            size: height and width of the picture in pixels.
        """
        height, width = size
        down, across = self._starts(height), self._starts(width)
        found = tuple((x, y, min(x + self.size, width), min(y + self.size, height)) for y in down for x in across)
        return (*found, (0, 0, width, height)) if self.whole and len(found) > 1 else found

    def _starts(self, length: int) -> list[int]:
        if length <= self.size:
            return [0]
        step = max(1, math.floor(self.size * (1 - self.overlap)))
        gaps = math.ceil((length - self.size) / step)
        return [index * (length - self.size) // gaps for index in range(gaps + 1)]


@dataclass(frozen=True, slots=True, eq=False)
class _Seen:
    """Detections ``rows`` (n, 6), and the tile each was seen in, ``tiles`` (n, 4): float64, pixels of the picture."""

    rows: np.ndarray
    tiles: np.ndarray

    def take(self, places: np.ndarray) -> _Seen:
        return _Seen(self.rows[places], self.tiles[places])


def merge(
    found: Sequence[np.ndarray], places: Sequence[Place], size: tuple[int, int], thresholds: Thresholds
) -> np.ndarray:
    """What was found in tiles as what is in the picture; the rule is told above.

    Args:
        found: for each tile float ``(k, 6)``: x1, y1, x2, y2 in pixels of the picture, score, class.
        places: the tiles.
        size: height and width of the picture in pixels.
        thresholds: ``iou``, ``most`` and ``classwise`` are those of suppression; without ``classwise``, detections
            of different classes may agree too, and the better one's class counts.

    Returns:
        float32 ``(k, 6)``, best first, at most ``thresholds.most``.

    Example:
        >>> left, right = [[60, 10, 100, 30, 0.6, 0]], [[80, 10, 130, 30, 0.8, 0]]
        >>> tiles = [(0, 0, 100, 100), (80, 0, 180, 100)]
        >>> merge([np.array(left), np.array(right)], tiles, (100, 180), Thresholds()).round(1).tolist()
        [[60.0, 10.0, 130.0, 30.0, 0.8, 0.0]]
    """
    counts = [len(rows) for rows in found]
    if not sum(counts):
        return np.zeros((0, 6), np.float32)
    rows = np.concatenate([np.asarray(rows, np.float64).reshape(-1, 6) for rows in found])
    seen = _Seen(rows, np.repeat(np.asarray(places, np.float64), counts, axis=0))
    cut = _cut(seen, size)
    whole = seen.take(np.flatnonzero(~cut))
    whole = whole.take(_best(whole.rows, thresholds, most=None))
    parts = seen.take(np.flatnonzero(cut))
    hidden = [bool(_agreeing(parts, index, whole, thresholds.classwise).any()) for index in range(len(parts.rows))]
    left = parts.take(np.flatnonzero(~np.asarray(hidden, bool)))
    everything = np.concatenate([whole.rows, _joined(left, thresholds.classwise)])
    return everything[_best(everything, thresholds, most=thresholds.most)].astype(np.float32)


def _cut(seen: _Seen, size: tuple[int, int]) -> np.ndarray:
    """Which detections reach an edge of their tile that is not the picture's: bool (n,)."""
    corners, tiles = seen.rows[:, :4], seen.tiles
    sides = np.minimum(tiles[:, 2] - tiles[:, 0], tiles[:, 3] - tiles[:, 1])
    near = np.maximum(2.0, _NEAR * sides)[:, None]
    picture = np.array([size[1], size[0]], np.float64)
    low = (tiles[:, :2] > 0) & (corners[:, :2] <= tiles[:, :2] + near)
    high = (tiles[:, 2:] < picture) & (corners[:, 2:] >= tiles[:, 2:] - near)
    reaches: np.ndarray = (low | high).any(axis=1)
    return reaches


def _best(rows: np.ndarray, thresholds: Thresholds, most: int | None) -> np.ndarray:
    classes = rows[:, 5].astype(np.int64) if thresholds.classwise else None
    return nms(rows[:, :4], rows[:, 4], iou=thresholds.iou, most=most, classes=classes)


def _agreeing(parts: _Seen, index: int, others: _Seen, classwise: bool) -> np.ndarray:
    """Which of ``others`` say of what both tiles see the same as one of the parts: bool (m,)."""
    row, tile = parts.rows[index], parts.tiles[index]
    low, high = np.maximum(tile[:2], others.tiles[:, :2]), np.minimum(tile[2:], others.tiles[:, 2:])
    shared = np.concatenate([low, np.maximum(low, high)], axis=1)
    mine, theirs = _within(row[None, :4], shared), _within(others.rows[:, :4], shared)
    both = area(
        np.concatenate([np.maximum(mine[:, :2], theirs[:, :2]), np.minimum(mine[:, 2:], theirs[:, 2:])], axis=1)
    )
    union = area(mine) + area(theirs) - both
    same: np.ndarray = (both > 0) & (both >= _AGREE * union) & (tile != others.tiles).any(axis=1)
    return same & (row[5] == others.rows[:, 5]) if classwise else same


def _within(corners: np.ndarray, places: np.ndarray) -> np.ndarray:
    """Boxes cut at the edges of places, each at its own."""
    low, high = np.tile(places[:, :2], 2), np.tile(places[:, 2:], 2)
    inside: np.ndarray = np.clip(corners, low, high)
    return inside


def _joined(parts: _Seen, classwise: bool) -> np.ndarray:
    """Parts that agree, as one row each: (k, 6)."""
    count = len(parts.rows)
    pairs = [(one, other) for one in range(count) for other in np.flatnonzero(_agreeing(parts, one, parts, classwise))]
    first, second = np.array(pairs, np.int64).reshape(-1, 2).T
    graph = coo_array((np.ones(len(first)), (first, second)), shape=(count, count))
    groups = connected_components(graph, directed=False)[1] if count else np.zeros(0, np.int64)
    return np.array([_one(parts.rows[groups == group]) for group in np.unique(groups)]).reshape(-1, 6)


def _one(rows: np.ndarray) -> np.ndarray:
    """The box that holds all, with the score and the class of the best."""
    return np.concatenate([rows[:, :2].min(axis=0), rows[:, 2:4].max(axis=0), rows[np.argmax(rows[:, 4]), 4:]])
