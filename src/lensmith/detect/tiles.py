"""Big pictures in tiles: where the tiles lie, and how what is found in them becomes what is in the picture.

A detector takes a picture at one small size, and what is small in a big picture is lost in it. So the picture is cut
into tiles that overlap, each is looked at by itself, and the whole picture once more for what is larger than a tile
(Akyon et al. 2022, Slicing Aided Hyper Inference, section 3).

An object on the border between two tiles is found in parts, and one where they overlap twice. A detection that keeps
clear of its tile's inner edges shows a whole object, one that reaches such an edge a part. Of the same class,

1. of whole ones that overlap too much the best stays, as in any picture;
2. a whole one is dropped where a larger and better one covers three quarters of it and reaches beyond its tile: the
   other tile sees all that this one sees there, and what this one shows is a part that seemed whole;
3. of the whole picture and a tile that is as good for an object (it fits into what neighbouring tiles share), the
   better of their boxes stays if they share half of the smaller: at two sizes the same object may look rather unlike;
4. a part is dropped where a whole one from elsewhere agrees with it, or covers it as in 2. Two agree that, in what both
   tiles see, say the same: their boxes, cut to that, overlap by an IoU of at least one half;
5. parts that agree with each other, directly or through others, are joined: their box holds them all, and their score
   is the highest.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from lensmith import check
from lensmith.boxes import Thresholds, area
from lensmith.boxes.suppression import nms

Place = tuple[int, int, int, int]  # x1, y1, x2, y2 in pixels of the picture

_AGREE = 0.5  # IoU in what both tiles see
_COVERED = 0.75  # of a part's area, by what it is a part of
_SHARED = 0.5  # of the smaller box's area
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
class _One:
    """A detection ``row`` (6,), and the tile it was seen in, ``tile`` (4,): float64, pixels of the picture."""

    row: np.ndarray
    tile: np.ndarray


@dataclass(frozen=True, slots=True, eq=False)
class _Seen:
    """Several: ``rows`` (n, 6) and ``tiles`` (n, 4)."""

    rows: np.ndarray
    tiles: np.ndarray

    def __iter__(self) -> Iterator[_One]:
        return (_One(row, tile) for row, tile in zip(self.rows, self.tiles, strict=True))

    def take(self, places: np.ndarray) -> _Seen:
        return _Seen(self.rows[places], self.tiles[places])

    def touching(self, one: _One) -> np.ndarray:
        """The places of those that share some area with one; no other has to be looked at."""
        box = one.row
        across = (self.rows[:, 0] < box[2]) & (self.rows[:, 2] > box[0])
        return np.flatnonzero(across & (self.rows[:, 1] < box[3]) & (self.rows[:, 3] > box[1]))

    def drop(self, others: _Seen, because_of: Callable[[_One, _Seen], np.ndarray]) -> _Seen:
        """Those for which none of the others says that they are to be dropped."""
        stays = [not because_of(one, others.take(others.touching(one))).any() for one in self]
        return self.take(np.flatnonzero(np.array(stays, bool)))


def merge(
    found: Sequence[np.ndarray], places: Sequence[Place], size: tuple[int, int], tiles: Tiles, thresholds: Thresholds
) -> np.ndarray:
    """What was found in tiles as what is in the picture; the rule is told above.

    Args:
        found: for each place float ``(k, 6)``: x1, y1, x2, y2 in pixels of the picture, score, class.
        places: as ``tiles.places(size)`` gives them.
        size: height and width of the picture in pixels.
        tiles: how it was cut.
        thresholds: ``iou``, ``most`` and ``classwise`` are those of suppression; without ``classwise``, detections
            of different classes count as of the same, and the better one's class is told.

    Returns:
        float32 ``(k, 6)``, best first, at most ``thresholds.most``.

    Example:
        >>> left, right = [[60, 10, 100, 30, 0.5, 0]], [[75, 10, 130, 30, 0.75, 0]]
        >>> tiles = Tiles(100, overlap=0.2, whole=False)
        >>> places = tiles.places((100, 175))
        >>> merge([np.array(left), np.array(right)], places, (100, 175), tiles, Thresholds()).tolist()
        [[60.0, 10.0, 130.0, 30.0, 0.75, 0.0]]
    """
    counts = [len(rows) for rows in found]
    if not sum(counts):
        return np.zeros((0, 6), np.float32)
    rows = np.concatenate([np.asarray(rows, np.float64).reshape(-1, 6) for rows in found])
    seen = _Seen(rows, np.repeat(np.asarray(places, np.float64), counts, axis=0))
    cut, alike = _cut(seen, size), thresholds.classwise
    whole = seen.take(np.flatnonzero(~cut))
    whole = whole.take(_best(whole.rows, thresholds, most=None))
    whole = whole.drop(whole, lambda one, others: _covering(one, others, alike) & _as_fine(one, others))
    whole = whole.drop(whole, lambda one, others: _twice(one, others, tiles, size, alike))
    parts = seen.take(np.flatnonzero(cut))
    left = parts.drop(whole, lambda one, others: _agreeing(one, others, alike) | _covering(one, others, alike))
    everything = np.concatenate([whole.rows, _joined(left, alike)])
    best: np.ndarray = everything[_best(everything, thresholds, most=thresholds.most)].astype(np.float32)
    return best


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
    places: np.ndarray = nms(rows[:, :4], rows[:, 4], iou=thresholds.iou, most=most, classes=classes)
    return places


def _agreeing(one: _One, others: _Seen, classwise: bool) -> np.ndarray:
    """Which of the others say the same of what both tiles see: bool (m,)."""
    low, high = np.maximum(one.tile[:2], others.tiles[:, :2]), np.minimum(one.tile[2:], others.tiles[:, 2:])
    shared = np.concatenate([low, np.maximum(low, high)], axis=1)
    mine, theirs = _within(one.row[None, :4], shared), _within(others.rows[:, :4], shared)
    both = _both(mine, theirs)
    union = area(mine) + area(theirs) - both
    agree: np.ndarray = (both > 0) & (both >= _AGREE * union) & _related(one, others, classwise)
    return agree


def _covering(one: _One, others: _Seen, classwise: bool) -> np.ndarray:
    """Which of the others, larger and no worse, cover it and reach beyond its tile: bool (m,)."""
    theirs, mine = others.rows[:, :4], one.row[None, :4]
    beyond = (theirs[:, :2] < one.tile[:2]).any(axis=1) | (theirs[:, 2:] > one.tile[2:]).any(axis=1)
    covers = (_both(mine, theirs) >= _COVERED * area(mine)) & (area(theirs) > area(mine))
    drops: np.ndarray = beyond & covers & (others.rows[:, 4] >= one.row[4]) & _related(one, others, classwise)
    return drops


def _as_fine(one: _One, others: _Seen) -> np.ndarray:
    """Which of the others were seen in tiles, not in the whole picture: bool (m,)."""
    return np.asarray(area(others.tiles) <= area(one.tile), bool)


def _twice(one: _One, others: _Seen, tiles: Tiles, size: tuple[int, int], classwise: bool) -> np.ndarray:
    """Which of the others, better ones, show the same object at the other size, tile or whole picture: bool (m,)."""
    theirs, mine = others.rows[:, :4], one.row[None, :4]
    picture = np.array([0, 0, size[1], size[0]], np.float64)
    of_picture, is_picture = (others.tiles == picture).all(axis=1), bool((one.tile == picture).all())
    coarse = mine if is_picture else theirs
    small = (coarse[:, 2:] - coarse[:, :2] <= tiles.overlap * tiles.size).all(axis=1)
    same = _both(mine, theirs) >= _SHARED * np.minimum(area(mine), area(theirs))
    better = others.rows[:, 4] > one.row[4]
    drops: np.ndarray = (of_picture != is_picture) & small & same & better & _related(one, others, classwise)
    return drops


def _related(one: _One, others: _Seen, classwise: bool) -> np.ndarray:
    """Which of the others are of its class, and from another tile: bool (m,)."""
    elsewhere: np.ndarray = (one.tile != others.tiles).any(axis=1)
    return elsewhere & (one.row[5] == others.rows[:, 5]) if classwise else elsewhere


def _both(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """The area that boxes share, pair by pair."""
    low, high = np.maximum(first[:, :2], second[:, :2]), np.minimum(first[:, 2:], second[:, 2:])
    return area(np.concatenate([low, high], axis=1))


def _within(corners: np.ndarray, places: np.ndarray) -> np.ndarray:
    """Boxes cut at the edges of places, each at its own."""
    low, high = np.tile(places[:, :2], 2), np.tile(places[:, 2:], 2)
    inside: np.ndarray = np.clip(corners, low, high)
    return inside


def _joined(parts: _Seen, classwise: bool) -> np.ndarray:
    """Parts that agree, as one row each: (k, 6)."""
    count = len(parts.rows)
    pairs = []
    for place, one in enumerate(parts):
        near = parts.touching(one)
        pairs += [(place, other) for other in near[_agreeing(one, parts.take(near), classwise)]]
    first, second = np.array(pairs, np.int64).reshape(-1, 2).T
    graph = coo_array((np.ones(len(first)), (first, second)), shape=(count, count))
    groups = connected_components(graph, directed=False)[1] if count else np.zeros(0, np.int64)
    return np.array([_one(parts.rows[groups == group]) for group in np.unique(groups)]).reshape(-1, 6)


def _one(rows: np.ndarray) -> np.ndarray:
    """The box that holds all, with the score and the class of the best."""
    return np.concatenate([rows[:, :2].min(axis=0), rows[:, 2:4].max(axis=0), rows[np.argmax(rows[:, 4]), 4:]])
