"""Suppression: the definition one box at a time beside the fast operation, and numbers checkable on paper."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lensmith import boxes, check
from lensmith.boxes import Thresholds
from lensmith.boxes.suppression import FIRST_BLOCK

quick = settings(max_examples=25, deadline=None)
shares = st.sampled_from([0.0, 0.25, 1 / 3, 0.45, 0.5, 0.7, 1.0])


def slow_iou(a: list[float], b: list[float]) -> float:
    width, height = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
    if width <= 0 or height <= 0:
        return 0.0
    shared = width * height
    return shared / ((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - shared)


def slow_nms(
    corners: np.ndarray, scores: np.ndarray, classes: np.ndarray, iou: float, score: float, most: int | None
) -> list[int]:
    """The definition: the best of what is left, then strike out all that overlap it."""
    rows, values = corners.astype(float).tolist(), scores.astype(float).tolist()
    left = [place for place in range(len(rows)) if values[place] > score]
    kept: list[int] = []
    while left and (most is None or len(kept) < most):
        best = min(left, key=lambda place: (-values[place], place))
        kept.append(best)
        left = [
            place
            for place in left
            if place != best and not (classes[place] == classes[best] and slow_iou(rows[best], rows[place]) > iou)
        ]
    return kept


def slow_soft(
    corners: np.ndarray, scores: np.ndarray, classes: np.ndarray, method: str, iou: float, sigma: float, score: float
) -> tuple[list[int], list[float]]:
    rows, values = corners.astype(float).tolist(), scores.astype(float).tolist()
    left = list(range(len(rows)))
    places, lowered = [], []
    while left := [place for place in left if values[place] > score]:
        best = min(left, key=lambda place: (-values[place], place))
        left.remove(best)
        places.append(best)
        lowered.append(values[best])
        for place in left:
            if classes[place] == classes[best]:
                overlap = slow_iou(rows[best], rows[place])
                if method == "gaussian":
                    values[place] *= math.exp(-(overlap**2) / sigma)
                elif overlap > iou:
                    values[place] *= 1 - overlap
    return places, lowered


def crowd(count: int, seed: int, *, clusters: int, sizes: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Boxes around some places, with scores of two digits, so that many are equal, and three classes."""
    rng = np.random.default_rng(seed)
    centre = rng.uniform(0, 400, (clusters, 2))[rng.integers(0, clusters, count)] + rng.normal(0, 6, (count, 2))
    size = 30 * np.exp(rng.normal(0, sizes, (count, 2)))
    size[rng.uniform(size=count) < 0.05, 0] = 0  # some have no width
    corners = np.concatenate([centre - size / 2, centre + size / 2], axis=1).astype(np.float32)
    return corners, np.round(rng.uniform(0, 1, count), 2), rng.choice([3, 7, 40], count)


@st.composite
def candidates(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Few boxes of whole numbers, of zero extent and upside down too; few different scores and classes."""
    place, extent = st.integers(0, 6), st.integers(-1, 5)
    one = st.tuples(place, place, extent, extent, st.sampled_from([0.0, 0.2, 0.5, 0.9]), st.integers(0, 2))
    rows = np.array(draw(st.lists(one, max_size=12)), np.float64).reshape(-1, 6)
    corners = np.concatenate([rows[:, :2], rows[:, :2] + rows[:, 2:4]], axis=1)
    return corners, rows[:, 4], rows[:, 5].astype(np.int64)


@quick
@given(candidates(), shares, st.sampled_from([0.0, 0.2, 0.45]), st.sampled_from([None, 1, 3]), st.booleans())
def test_nms_equals_the_slow_reference(
    some: tuple[np.ndarray, np.ndarray, np.ndarray], iou: float, score: float, most: int | None, apart: bool
) -> None:
    corners, scores, classes = some
    kinds = classes if apart else np.zeros(len(classes), np.int64)
    got = boxes.nms(corners, scores, iou=iou, score=score, most=most, classes=classes if apart else None)
    assert got.dtype == np.int64
    assert got.tolist() == slow_nms(corners, scores, kinds, iou, score, most)


@pytest.mark.parametrize("apart", [False, True], ids=["over all", "by class"])
@pytest.mark.parametrize("iou", [0.0, 0.1, 0.45, 0.7, 1.0])
@pytest.mark.parametrize(
    ("clusters", "sizes"),
    [
        (1, 0.2),  # all in one heap
        (20, 0.3),
        (400, 1.2),  # spread out, from 1 to 1,000 pixels
    ],
)
def test_nms_of_many_boxes_equals_the_slow_reference(clusters: int, sizes: float, iou: float, apart: bool) -> None:
    """More than two blocks, so that what one block drops of the later ones is tested too."""
    corners, scores, classes = crowd(3 * FIRST_BLOCK + 50, clusters, clusters=clusters, sizes=sizes)
    kinds = classes if apart else np.zeros_like(classes)
    got = boxes.nms(corners, scores, iou=iou, classes=classes if apart else None)
    assert got.tolist() == slow_nms(corners, scores, kinds, iou, 0.0, None)
    assert boxes.nms(corners, scores, iou=iou, most=9, classes=classes if apart else None).tolist() == got[:9].tolist()


@quick
@given(st.integers(0, 10**6), st.floats(1e-3, 1e3), st.floats(-1e6, 1e6))
def test_nms_far_from_the_origin_and_of_any_unit(seed: int, unit: float, away: float) -> None:
    """Where windows of partners are cut to a hair by rounding, no pair may be lost."""
    corners, scores, classes = crowd(60, seed, clusters=3, sizes=0.3)
    moved = (corners.astype(np.float64) * unit + away).astype(np.float32)
    expected = slow_nms(moved, scores, classes, 0.4, 0.1, None)
    assert boxes.nms(moved, scores, iou=0.4, score=0.1, classes=classes).tolist() == expected


@pytest.mark.parametrize("iou", [0.25, 0.5, 0.75])
def test_an_overlap_of_exactly_the_threshold_drops_nothing(iou: float) -> None:
    """A box over the lower part of a unit square: the IoU is that part, exactly."""
    square = [0.0, 0.0, 1.0, 1.0]
    assert boxes.nms([square, [0, 0, 1, iou]], [0.9, 0.8], iou=iou).tolist() == [0, 1]
    assert boxes.nms([square, [0, 0, 1, np.nextafter(iou, 1)]], [0.9, 0.8], iou=iou).tolist() == [0]


def test_many_grazing_boxes_of_exactly_the_threshold() -> None:
    """Two thirds shared each way, IoU 1 / 2: kept at 0.5, and each second one dropped just below it."""
    row = np.array([[x, 0, x + 3, 2] for x in range(40)], np.float64)
    column = row[:, [1, 0, 3, 2]]
    for corners in (row, column, row / 3 + 1e7):
        scores = np.linspace(0.9, 0.5, 40)
        slow = slow_nms(corners, scores, np.zeros(40), 0.5, 0.0, None)
        assert boxes.nms(corners, scores, iou=0.5).tolist() == slow
    assert boxes.nms(row, np.linspace(0.9, 0.5, 40), iou=0.5).tolist() == list(range(40))
    assert boxes.nms(row, np.linspace(0.9, 0.5, 40), iou=0.49).tolist() == list(range(0, 40, 2))


def test_equal_scores_fall_to_the_lower_place() -> None:
    same = [[0, 0, 2, 2]] * 3 + [[5, 5, 7, 7]] * 2
    assert boxes.nms(same, [0.5, 0.5, 0.5, 0.5, 0.5]).tolist() == [0, 3]
    assert boxes.nms(same, [0.5, 0.6, 0.6, 0.5, 0.7]).tolist() == [4, 1]


def test_a_dropped_box_drops_no_other() -> None:
    """The first drops the second, IoU 3 / 5, which alone would drop the third; 1 / 7 is too little."""
    chain = [[0, 0, 4, 1], [1, 0, 5, 1], [2, 0, 6, 1]]
    assert boxes.nms(chain, [0.9, 0.8, 0.7], iou=0.5).tolist() == [0, 2]
    assert boxes.nms(chain, [0.8, 0.9, 0.7], iou=0.5).tolist() == [1]


def test_scores_must_be_above_the_least() -> None:
    apart = [[i, 0, i + 1, 1] for i in range(4)]
    assert boxes.nms(apart, [0.0, 0.3, 0.2, -1.0]).tolist() == [1, 2]
    assert boxes.nms(apart, [0.0, 0.3, 0.2, -1.0], score=0.2).tolist() == [1]
    assert boxes.nms(apart, [0.0, 0.3, 0.2, -1.0], score=-2.0).tolist() == [1, 2, 0, 3]


def test_boxes_without_area_are_kept_and_drop_nothing() -> None:
    flat = [[1, 1, 1, 1], [0, 0, 4, 4], [1, 1, 1, 1], [3, 3, 2, 2]]
    assert boxes.nms(flat, [0.9, 0.8, 0.7, 0.6], iou=0.0).tolist() == [0, 1, 2, 3]


def test_nothing_comes_of_nothing() -> None:
    assert boxes.nms([], []).tolist() == []
    assert boxes.nms(np.zeros((0, 4)), np.zeros(0), classes=np.zeros(0, np.int64)).dtype == np.int64
    places, scores = boxes.soft_nms([], [])
    assert (places.shape, scores.shape) == ((0,), (0,))
    assert boxes.detections(np.zeros((0, 25), np.float32), Thresholds()).shape == (0, 6)


@quick
@given(candidates(), shares, st.sampled_from(["linear", "gaussian"]), st.sampled_from([0.05, 0.3]), st.booleans())
def test_soft_nms_equals_the_slow_reference(
    some: tuple[np.ndarray, np.ndarray, np.ndarray], iou: float, method: str, score: float, apart: bool
) -> None:
    corners, scores, classes = some
    kinds = classes if apart else np.zeros(len(classes), np.int64)
    found, lowered = boxes.soft_nms(
        corners, scores, method=method, iou=iou, sigma=0.4, score=score, classes=classes if apart else None
    )
    expected, values = slow_soft(corners, scores, kinds, method, iou, 0.4, score)
    assert found.tolist() == expected
    np.testing.assert_allclose(lowered, values, rtol=1e-12)


def test_soft_nms_on_paper() -> None:
    """IoU 3 / 5 between neighbours, 1 / 3 between the ends."""
    chain = [[0, 0, 4, 1], [1, 0, 5, 1], [2, 0, 6, 1]]
    places, scores = boxes.soft_nms(chain, [0.9, 0.8, 0.7], iou=0.5)
    assert places.tolist() == [0, 2, 1]  # 0.9; 0.7 untouched by the first; 0.8 * 0.4 * 0.4
    np.testing.assert_allclose(scores, [0.9, 0.7, 0.128])
    places, scores = boxes.soft_nms(chain, [0.9, 0.8, 0.7], method="gaussian", sigma=0.5, most=2)
    assert places.tolist() == [0, 2]
    np.testing.assert_allclose(scores, [0.9, 0.7 * math.exp(-2 / 9)])


@st.composite
def outputs(draw: st.DrawFn) -> np.ndarray:
    """What a detector of three classes might say: few different scores."""
    corners, _, _ = draw(candidates())
    score = st.sampled_from([0.0, 0.1, 0.3, 0.5, 0.8])
    scored = draw(st.lists(st.tuples(score, score, score, score), min_size=len(corners), max_size=len(corners)))
    return np.concatenate([corners, np.reshape(scored, (-1, 4))], axis=1).astype(np.float32)


@quick
@given(outputs(), shares, st.sampled_from([0.0, 0.3, 0.4]), st.integers(1, 5), st.booleans(), st.booleans())
def test_detections_equal_the_slow_reference(
    rows: np.ndarray, iou: float, score: float, most: int, classwise: bool, best: bool
) -> None:
    claims: list[tuple[int, int, float]] = []
    for place, row in enumerate(rows.tolist()):
        scores = row[5:]
        chosen = [scores.index(max(scores))] if best else range(len(scores))
        claims += [(place, kind, scores[kind]) for kind in chosen]
    corners = np.array([rows[place, :4] for place, _, _ in claims]).reshape(-1, 4)
    scores = np.array([one for _, _, one in claims])
    kinds = np.array([kind if classwise else 0 for _, kind, _ in claims])
    kept = slow_nms(corners, scores, kinds, iou, score, most)
    expected = [[*rows[claims[i][0], :4].tolist(), claims[i][2], claims[i][1]] for i in kept]
    got = boxes.detections(rows, Thresholds(score, iou, most, classwise, best))
    assert got.dtype == np.float32
    np.testing.assert_array_equal(got, np.array(expected, np.float32).reshape(-1, 6))


def test_detections_on_paper() -> None:
    rows = [
        [0, 0, 4, 4, 0.9, 0.5, 0.5],  # the lower class of equals
        [0, 0, 4, 3, 0.9, 0.1, 0.4],
        [6, 6, 8, 8, 0.9, 0.25, 0.0],  # not above the threshold
    ]
    first, second, other = [0, 0, 4, 4, 0.5, 0], [0, 0, 4, 3, 0.4, 1], [0, 0, 4, 4, 0.5, 1]
    cases: list[tuple[dict[str, Any], list[list[float]]]] = [
        ({}, [first, second]),
        ({"classwise": False}, [first]),
        ({"best": False}, [first, other]),  # the second box's class is taken by the first
        ({"best": False, "iou": 1.0}, [first, other, second]),
        ({"best": False, "iou": 1.0, "most": 2}, [first, other]),
    ]
    for settings_, expected in cases:
        np.testing.assert_array_equal(boxes.detections(rows, Thresholds(**settings_)), np.float32(expected))


def test_a_threshold_between_two_float32_numbers() -> None:
    """float32(0.3) is above 0.3, and counts; in float32 alone the two would be equal."""
    row = np.array([[0, 0, 1, 1, 1, 0.3]], np.float32)
    for best in (True, False):
        assert len(boxes.detections(row, Thresholds(score=0.3, best=best))) == 1


def test_an_endless_box_is_the_largest_there_is() -> None:
    rows = np.array([[-np.inf, 0, np.inf, 9, 1, 0.9], [0, 0, 9, 9, 1, 0.8]], np.float32)
    found = boxes.detections(rows, Thresholds())
    assert found[:, 4].tolist() == [np.float32(0.9), np.float32(0.8)]
    assert np.isfinite(found).all()


def test_padded() -> None:
    found = np.array([[0, 0, 4, 3, 0.5, 2], [1, 1, 2, 2, 0.4, 0]], np.float32)
    blank = [0, 0, 0, 0, 0, -1]
    assert boxes.padded(found, 4).tolist() == [*found.tolist(), blank, blank]
    assert boxes.padded(found, 1).tolist() == found[:1].tolist()
    assert boxes.padded([], 1).tolist() == [blank]
    assert boxes.padded(found, 2).dtype == np.float32


BOX = [[0.0, 0, 1, 1], [0, 0, 1, 1]]


@pytest.mark.parametrize(
    ("action", "words"),
    [
        (
            lambda: boxes.nms([BOX[0], [0, np.nan, 1, 1]], [0.1, 0.2]),
            "box 1: expected finite .*; got 0, nan, 1, 1, 0.2",
        ),
        (lambda: boxes.nms(BOX, [np.nan, 0.2]), "box 0: expected finite coordinates and a finite score"),
        (lambda: boxes.nms(BOX, [0.1, np.inf]), "box 1: expected finite"),
        (
            lambda: boxes.nms(BOX, [0.1]),
            r"scores: expected one number a box, shape \(2,\); got float64 of shape \(1,\)",
        ),
        (lambda: boxes.nms(BOX, [0.1, 0.2], classes=[0]), "classes: expected one number a box"),
        (lambda: boxes.nms(BOX, [0.1, 0.2], classes=[0.5, 1.0]), "classes: expected one number a box"),
        (lambda: boxes.nms([[0, 0, 1]], [0.1]), r"boxes: expected numbers of shape \(\.\.\., 4\)"),
        (lambda: boxes.soft_nms([[0, np.nan, 1, 1]], [0.1]), "box 0: expected finite"),
        (lambda: boxes.detections([[0, 0, 1, 1, 1]], Thresholds()), r"rows: expected numbers of shape \(n, 5 \+ cl"),
        (lambda: boxes.detections([[0, 0, 1, 1, 1, np.nan]], Thresholds()), "row 0 .*: expected no NaN .*; got 0, 0,"),
        (lambda: boxes.detections([[0, np.nan, 1, 1, 1, 0]], Thresholds()), "row 0 .*: expected no NaN"),
        (lambda: boxes.padded([[0, 0, 1, 1, 1]], 3), r"detections: expected shape \(k, 6\); got shape \(1, 5\)"),
    ],
)
def test_wrong_numbers_are_named_in_one_line(action: Any, words: str) -> None:
    with pytest.raises(check.DataError, match=words) as caught:
        action()
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("action", "words"),
    [
        (lambda: boxes.nms(BOX, [0.1, 0.2], iou=1.5), "iou: expected a number from 0 to 1; got 1.5"),
        (lambda: boxes.nms(BOX, [0.1, 0.2], iou=float("nan")), "iou: expected a number from 0 to 1; got nan"),
        (lambda: boxes.nms(BOX, [0.1, 0.2], most=0), "most: expected a whole number of at least 1; got 0"),
        (lambda: boxes.soft_nms(BOX, [0.1, 0.2], method="linaer"), "Did you mean 'linear'"),
        (lambda: boxes.soft_nms(BOX, [0.1, 0.2], sigma=0.0), "sigma: expected a number above 0; got 0.0"),
        (lambda: boxes.padded([], 0), "most: expected a whole number of at least 1; got 0"),
    ],
)
def test_wrong_settings_are_named_in_one_line(action: Any, words: str) -> None:
    with pytest.raises(check.SettingError, match=words):
        action()
