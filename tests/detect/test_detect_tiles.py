"""Tiles: where they lie, and that what lies on a seam is found once and whole."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from colour_detector import ColourDetector, canvas
from lensmith import check
from lensmith.boxes import Thresholds
from lensmith.detect.finding import Found, find
from lensmith.detect.tiles import Tiles, merge

Patch = tuple[str, tuple[int, int, int, int]]
USUAL = Thresholds()


def seen(found: Found) -> list[Patch]:
    """What was found, in whole pixels, sorted."""
    boxes = np.rint(found.boxes).astype(int).tolist()
    return sorted((label, (x1, y1, x2, y2)) for label, (x1, y1, x2, y2) in zip(found.labels, boxes, strict=True))


# --- where they lie ------------------------------------------------------------------------------------------------


def test_a_small_picture_is_one_tile() -> None:
    assert Tiles(100).places((100, 100)) == ((0, 0, 100, 100),)
    assert Tiles(100).places((20, 60)) == ((0, 0, 60, 20),)


def test_rows_and_columns_then_the_whole() -> None:
    # 180 pixels need a second tile, 80 pixels on: 20 of 100 are shared.
    corners = [(0, 0, 100, 100), (80, 0, 180, 100), (0, 80, 100, 180), (80, 80, 180, 180)]
    assert Tiles(100, 0.2).places((180, 180)) == (*corners, (0, 0, 180, 180))


@given(
    size=st.tuples(st.integers(1, 400), st.integers(1, 400)), side=st.integers(32, 120), overlap=st.floats(0.05, 0.9)
)
@settings(max_examples=25, deadline=None)
def test_tiles_cover_the_picture_and_share_enough(size: tuple[int, int], side: int, overlap: float) -> None:
    places = Tiles(side, overlap, whole=False).places(size)
    covered = np.zeros(size, int)
    for x1, y1, x2, y2 in places:
        assert (x2 - x1, y2 - y1) == (min(side, size[1]), min(side, size[0]))
        covered[y1:y2, x1:x2] += 1
    assert covered.min() >= 1
    for axis in (0, 1):
        starts = sorted({place[axis] for place in places})
        assert all(later - earlier <= side * (1 - overlap) + 1 for earlier, later in pairwise(starts))


@pytest.mark.parametrize(
    ("size", "overlap", "words"),
    [
        (16, 0.2, "tiles: expected a side of at least 32"),  # too small for any detector
        (0, 0.2, "tiles: expected a whole number"),
        (640, 0.0, "overlap of tiles: expected a number from 0.05 to 0.9"),  # nothing to agree in
        (640, 1.0, "overlap of tiles"),  # would never come to the end
        (640, float("nan"), "overlap of tiles"),
    ],
)
def test_settings_refused(size: int, overlap: float, words: str) -> None:
    with pytest.raises(check.SettingError, match=words):
        Tiles(size, overlap)


# --- seams ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "patches",
    [
        [("red", (85, 20, 95, 30))],  # in what two tiles share: seen whole by both
        [("red", (70, 20, 95, 30))],  # whole in the left one, cut by the right one's edge
        [("red", (70, 20, 130, 30))],  # cut by both: joined
        [("red", (20, 20, 170, 30))],  # across both, nearly the picture's width
        [("red", (70, 70, 120, 130))],  # in all four tiles, cut by each
        [("red", (85, 85, 95, 95))],  # in all four, whole in each
        [("red", (78, 40, 102, 60))],  # a little more than what they share
        [("red", (60, 20, 130, 30)), ("red", (60, 40, 130, 50))],  # two that lie one above the other
        [("red", (60, 20, 130, 30)), ("green", (60, 30, 130, 40))],  # two that touch, of different classes
        [("red", (0, 0, 30, 30)), ("blue", (150, 150, 180, 180))],  # at the picture's edges: not cut
    ],
)
@pytest.mark.parametrize("whole", [False, True])
def test_on_a_seam_found_once_and_whole(patches: list[Patch], whole: bool) -> None:
    picture = canvas((180, 180), *patches)
    assert seen(find(ColourDetector(), picture, tiles=Tiles(100, 0.2, whole=whole))) == sorted(patches)


def test_a_tile_of_many_is_larger_than_what_is_too_small_for_the_picture() -> None:
    # The detector sees what fills a tenth of its picture: the small one in a tile only, the large one as a whole only.
    patches = [("red", (300, 300, 316, 316)), ("blue", (20, 20, 280, 280))]
    picture = canvas((400, 400), *patches)
    assert seen(find(ColourDetector(least=0.1), picture)) == [patches[1]]
    assert seen(find(ColourDetector(least=0.1), picture, tiles=Tiles(100))) == sorted(patches)


@given(
    patches=st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9), st.integers(1, 4), st.integers(1, 4)), max_size=6),
    side=st.integers(60, 160),
    overlap=st.sampled_from([0.15, 0.3, 0.5]),
)
@settings(max_examples=25, deadline=None)
def test_tiles_find_what_the_whole_shows(patches: list[tuple[int, int, int, int]], side: int, overlap: float) -> None:
    """Patches on a grid of 32 pixels, which may touch: in tiles as in the whole picture."""
    colours = ("red", "green", "blue")
    drawn = [
        (colours[index % 3], (32 * x, 32 * y, 32 * min(x + w, 10), 32 * min(y + h, 10)))
        for index, (x, y, w, h) in enumerate(patches)
    ]
    picture = canvas((320, 320), *drawn)
    everything = Thresholds(iou=0.99)
    expected = seen(find(ColourDetector(), picture, thresholds=everything))
    alone = [one for one in expected if _is_plain(picture, one)]
    found = seen(find(ColourDetector(), picture, thresholds=everything, tiles=Tiles(side, overlap, whole=False)))
    # Shapes that are no rectangles look different in parts, so that only of the others the same is to be said.
    if alone == expected:
        assert found == expected


def _is_plain(picture: np.ndarray, patch: Patch) -> bool:
    x1, y1, x2, y2 = patch[1]
    return len(np.unique(picture[y1:y2, x1:x2].reshape(-1, 3), axis=0)) == 1


# --- the rule by numbers -------------------------------------------------------------------------------------------

TILES, SIZE = Tiles(100, 0.2), (100, 180)
LEFT, RIGHT, WHOLE = TILES.places(SIZE)  # 0..100, 80..180, and 0..180
Rows = list[list[float]]


def merged(left: Rows, right: Rows, whole: Rows, thresholds: Thresholds = USUAL) -> np.ndarray:
    rows = [np.array(some, float).reshape(-1, 6) for some in (left, right, whole)]
    return merge(rows, [LEFT, RIGHT, WHOLE], SIZE, TILES, thresholds)


def test_the_tiles_of_the_rule() -> None:
    assert (LEFT, RIGHT, WHOLE) == ((0, 0, 100, 100), (80, 0, 180, 100), (0, 0, 180, 100))


@pytest.mark.parametrize(
    ("left", "right", "whole", "expected"),
    [
        # a part on the left, the whole on the right: the whole one stays though its score is lower
        ([[85, 10, 100, 30, 0.9, 0]], [[85, 10, 120, 30, 0.5, 0]], [], [[85, 10, 120, 30, 0.5, 0]]),
        # two parts that share rows 10..30 of 20 columns: joined, with the higher score
        ([[60, 10, 100, 30, 0.6, 0]], [[80, 12, 130, 30, 0.8, 0]], [], [[60, 10, 130, 30, 0.8, 0]]),
        # two parts of different heights: 20 and 60 rows overlap by a third only, so that they are two objects
        (
            [[60, 10, 100, 30, 0.6, 0]],
            [[80, 10, 130, 70, 0.8, 0]],
            [],
            [[80, 10, 130, 70, 0.8, 0], [60, 10, 100, 30, 0.6, 0]],
        ),
        # two parts of different classes are two objects
        (
            [[60, 10, 100, 30, 0.6, 0]],
            [[80, 10, 130, 30, 0.8, 1]],
            [],
            [[80, 10, 130, 30, 0.8, 1], [60, 10, 100, 30, 0.6, 0]],
        ),
        # a part of which the other tile says nothing stays as it is
        ([[60, 10, 100, 30, 0.6, 0]], [], [], [[60, 10, 100, 30, 0.6, 0]]),
        # whole in both: the better stays
        ([[84, 10, 96, 30, 0.6, 0]], [[84, 10, 95, 30, 0.7, 0]], [], [[84, 10, 95, 30, 0.7, 0]]),
        # a part whose box ends 10 pixels before the edge: the right tile sees more of it, and it all
        ([[84, 12, 90, 28, 0.4, 0]], [[84, 10, 120, 30, 0.7, 0]], [], [[84, 10, 120, 30, 0.7, 0]]),
        # the same, but the larger one is the worse: both stay
        (
            [[84, 12, 90, 28, 0.8, 0]],
            [[84, 10, 120, 30, 0.7, 0]],
            [],
            [[84, 12, 90, 28, 0.8, 0], [84, 10, 120, 30, 0.7, 0]],
        ),
        # one object inside another of its class, both in the same tile: both stay
        (
            [[10, 10, 60, 60, 0.9, 0], [20, 20, 40, 40, 0.5, 0]],
            [],
            [],
            [[10, 10, 60, 60, 0.9, 0], [20, 20, 40, 40, 0.5, 0]],
        ),
        # parts of what the whole picture shows whole: that alone stays
        (
            [[5, 10, 100, 90, 0.9, 0]],
            [[80, 10, 175, 90, 0.8, 0]],
            [[5, 10, 175, 90, 0.7, 0]],
            [[5, 10, 175, 90, 0.7, 0]],
        ),
        # a small object has a rough box in the whole picture: of the two the better stays
        ([[30, 30, 36, 36, 0.8, 0]], [], [[26, 26, 40, 40, 0.6, 0]], [[30, 30, 36, 36, 0.8, 0]]),
        ([[30, 30, 36, 36, 0.6, 0]], [], [[26, 26, 40, 40, 0.8, 0]], [[26, 26, 40, 40, 0.8, 0]]),
        # one of 30 pixels is no small one for tiles that share 20: both stay
        (
            [[30, 30, 36, 36, 0.8, 0]],
            [],
            [[20, 20, 50, 50, 0.6, 0]],
            [[30, 30, 36, 36, 0.8, 0], [20, 20, 50, 50, 0.6, 0]],
        ),
        # nothing
        ([], [], [], []),
    ],
)
def test_rule(left: Rows, right: Rows, whole: Rows, expected: Rows) -> None:
    found = merged(left, right, whole)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, np.array(expected).reshape(-1, 6), atol=1e-6)


def test_without_classes_parts_of_two_classes_are_one() -> None:
    found = merged([[60, 10, 100, 30, 0.6, 0]], [[80, 10, 130, 30, 0.8, 1]], [], Thresholds(classwise=False))
    np.testing.assert_allclose(found, [[60, 10, 130, 30, 0.8, 1]], atol=1e-6)


def test_no_more_than_most() -> None:
    found = merged([[10, 10, 20, 20, 0.6, 0], [40, 10, 50, 20, 0.9, 0]], [], [], Thresholds(most=1))
    np.testing.assert_allclose(found, [[40, 10, 50, 20, 0.9, 0]], atol=1e-6)
