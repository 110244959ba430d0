"""Measures of overlap and deltas: numbers worked out on paper, and the formulas of the papers in plain Python."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lensmith import boxes, check

quick = settings(max_examples=25, deadline=None)
MEASURES: dict[str, Callable[[Any, Any], np.ndarray]] = {
    "iou": boxes.iou,
    "giou": boxes.giou,
    "diou": boxes.diou,
    "ciou": boxes.ciou,
}


def slow(kind: str, a: list[float], b: list[float]) -> float:
    """One pair, as the papers write it."""

    def sides(box: list[float]) -> tuple[float, float]:
        return max(box[2] - box[0], 0.0), max(box[3] - box[1], 0.0)

    (aw, ah), (bw, bh) = sides(a), sides(b)
    shared = max(min(a[2], b[2]) - max(a[0], b[0]), 0.0) * max(min(a[3], b[3]) - max(a[1], b[1]), 0.0)
    union = aw * ah + bw * bh - shared
    iou = shared / union if union else 0.0
    xs, ys = (a[0], a[2], b[0], b[2]), (a[1], a[3], b[1], b[3])
    width, height = max(xs) - min(xs), max(ys) - min(ys)
    if kind == "iou":
        return iou
    if kind == "giou":
        return iou - (width * height - union) / (width * height) if width * height else iou
    apart = ((a[0] + a[2] - b[0] - b[2]) / 2) ** 2 + ((a[1] + a[3] - b[1] - b[3]) / 2) ** 2
    diou = iou - apart / (width**2 + height**2) if width or height else iou
    if kind == "diou":
        return diou
    v = 4 / math.pi**2 * (math.atan2(aw, ah) - math.atan2(bw, bh)) ** 2
    return diou - (v * v / (1 - iou + v) if v else 0.0)


@st.composite
def any_boxes(draw: st.DrawFn) -> np.ndarray:
    """Of quarter units; some without extent, some upside down."""
    number = st.integers(0, 40)
    rows = draw(st.lists(st.tuples(number, number, number, number), max_size=6))
    return np.array(rows, np.float64).reshape(-1, 4) / 4


@pytest.mark.parametrize("kind", MEASURES)
@quick
@given(any_boxes(), any_boxes())
def test_pairwise_equals_the_slow_reference(kind: str, first: np.ndarray, second: np.ndarray) -> None:
    got = MEASURES[kind](first, second)
    expected = [[slow(kind, a, b) for b in second.tolist()] for a in first.tolist()]
    assert got.shape == (len(first), len(second))
    np.testing.assert_allclose(got, np.reshape(expected, got.shape), rtol=1e-12, atol=1e-12)
    assert ((got >= (-1.5 if kind == "ciou" else -1)) & (got <= 1)).all()
    np.testing.assert_allclose(got, MEASURES[kind](second, first).T, rtol=1e-12, atol=1e-12)


SQUARE = [0, 0, 2, 2]


@pytest.mark.parametrize(
    ("other", "iou", "giou", "diou", "ciou"),
    [
        (SQUARE, 1, 1, 1, 1),
        # half a side to the right: 2 of 6; around both 3 x 2, nothing empty; centres 1 apart, diagonal 9 + 4
        ([1, 0, 3, 2], 1 / 3, 1 / 3, 1 / 3 - 1 / 13, 1 / 3 - 1 / 13),
        # to the corner: 1 of 7; around both 9, of which 2 empty; centres 1 + 1, diagonal 18
        ([1, 1, 3, 3], 1 / 7, 1 / 7 - 2 / 9, 1 / 7 - 1 / 9, 1 / 7 - 1 / 9),
        # they touch: 0 of 8; centres 2 apart, diagonal 16 + 4
        ([2, 0, 4, 2], 0, 0, -1 / 5, -1 / 5),
        # apart: 0 of 8, around both 12, of which 4 empty; centres 4, diagonal 36 + 4
        ([4, 0, 6, 2], 0, -1 / 3, -2 / 5, -2 / 5),
        # around the square with its centre: 4 of 16, and the same shape
        ([-1, -1, 3, 3], 1 / 4, 1 / 4, 1 / 4, 1 / 4),
        # a line through it: no area; around both the square; the same centre; atan(2 / 0) = pi / 2 and
        # atan(1) = pi / 4, so v = 4 / 16 = 1 / 4 and v² / (1 + v) = 1 / 20
        ([0, 1, 2, 1], 0, 0, 0, -1 / 20),
        # inside out: no extent, but its corners count for what is around; v as above with atan 0 = 0
        ([2, 2, 0, 0], 0, 0, 0, -1 / 20),
    ],
)
def test_on_paper(other: list[float], iou: float, giou: float, diou: float, ciou: float) -> None:
    for kind, expected in (("iou", iou), ("giou", giou), ("diou", diou), ("ciou", ciou)):
        assert MEASURES[kind]([SQUARE], [other])[0, 0] == pytest.approx(expected, abs=1e-12), kind


def test_shapes_differ_on_paper() -> None:
    """2 x 2 in 2 x 4: 1 / 2; centres 1 apart, diagonal 4 + 16; angles 45 and atan(1 / 2) = 26.565 degrees."""
    v = 4 / math.pi**2 * math.radians(45 - 26.56505117707799) ** 2
    expected = 0.5 - 1 / 20 - v * v / (0.5 + v)
    assert boxes.ciou([SQUARE], [[0, 0, 2, 4]])[0, 0] == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("kind", MEASURES)
def test_nothing_and_points(kind: str) -> None:
    """Shapes without boxes; two points in one place are 0 apart, and overlap 0."""
    assert MEASURES[kind]([], [SQUARE]).shape == (0, 1)
    assert MEASURES[kind]([SQUARE], []).shape == (1, 0)
    assert MEASURES[kind]([[1, 1, 1, 1]], [[1, 1, 1, 1]]).tolist() == [[0]]
    assert MEASURES[kind](np.float32([SQUARE]), np.float32([SQUARE])).dtype == np.float32
    assert MEASURES[kind](np.float32([SQUARE]), np.float64([SQUARE])).dtype == np.float64
    with pytest.raises(check.DataError, match=r"shape \(n, 4\)"):
        MEASURES[kind](SQUARE, [SQUARE])


def test_pairwise_leaves_what_it_was_given() -> None:
    first, second = np.float64([SQUARE, [1, 0, 3, 2]]), np.float64([[1, 1, 3, 3]])
    before = first.copy(), second.copy()
    for measure in MEASURES.values():
        measure(first, second)
    np.testing.assert_array_equal(first, before[0])
    np.testing.assert_array_equal(second, before[1])


@st.composite
def pairs(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray]:
    """Boxes with an extent and as many anchors, no more than 62 times as large or small."""
    place, side = st.floats(-500, 500), st.floats(8, 400)
    rows = draw(st.lists(st.tuples(place, place, side, side, place, place, side, side), max_size=5))
    numbers = np.array(rows, np.float64).reshape(-1, 2, 4)
    corners = np.concatenate([numbers[..., :2], numbers[..., :2] + numbers[..., 2:]], axis=-1)
    return corners[:, 0], corners[:, 1]


@quick
@given(pairs(), st.sampled_from([(1, 1, 1, 1), (0.1, 0.1, 0.2, 0.2)]))
def test_encode_and_decode_there_and_back(pair: tuple[np.ndarray, np.ndarray], variances: tuple[float, ...]) -> None:
    real, anchors = pair
    deltas = boxes.encode(real, anchors, variances=variances)
    np.testing.assert_allclose(boxes.decode(deltas, anchors, variances=variances), real, atol=1e-9)
    for delta, (x1, y1, x2, y2), (a1, b1, a2, b2) in zip(deltas, real, anchors, strict=True):
        expected = [
            ((x1 + x2) / 2 - (a1 + a2) / 2) / (a2 - a1) / variances[0],
            ((y1 + y2) / 2 - (b1 + b2) / 2) / (b2 - b1) / variances[1],
            math.log((x2 - x1) / (a2 - a1)) / variances[2],
            math.log((y2 - y1) / (b2 - b1)) / variances[3],
        ]
        np.testing.assert_allclose(delta, expected, rtol=1e-9, atol=1e-9)


def test_deltas_on_paper() -> None:
    """Anchor 10 x 20 with its centre at 5, 10; box 20 x 10 with its centre at 15, 15."""
    deltas = boxes.encode([5, 10, 25, 20], [0, 0, 10, 20], variances=(0.1, 0.1, 0.2, 0.2))
    np.testing.assert_allclose(deltas, [10, 2.5, 5 * math.log(2), -5 * math.log(2)])


def test_one_anchor_for_many_boxes_and_types() -> None:
    many = np.float32([[0, 0, 10, 20], [5, 0, 15, 20]])
    deltas = boxes.encode(many, np.float32([0, 0, 10, 20]))
    assert deltas.dtype == np.float32
    assert deltas.tolist() == [[0, 0, 0, 0], [0.5, 0, 0, 0]]
    assert boxes.decode(deltas, np.float32([0, 0, 10, 20])).tolist() == many.tolist()
    assert boxes.encode([], []).shape == boxes.decode([], []).shape == (0, 4)


def test_a_box_grows_to_62_and_a_half_anchors_at_most() -> None:
    anchor = [0.0, 0.0, 2.0, 4.0]
    for big in (math.log(62.5), 5.0, 1e6):
        np.testing.assert_allclose(boxes.decode([0.0, 0, big, big], anchor), [-61.5, -123, 63.5, 127], rtol=1e-12)
    np.testing.assert_allclose(
        boxes.decode([0.0, 0, 20.0, 0], anchor, variances=(1, 1, 0.1, 1)), [1 - math.e**2, 0, 1 + math.e**2, 4]
    )


@pytest.mark.parametrize(
    ("action", "kind", "words"),
    [
        (lambda: boxes.encode([0, 0, 0, 1], SQUARE), check.DataError, "boxes: expected finite numbers, x1 < x2"),
        (lambda: boxes.encode(SQUARE, [0, 0, np.nan, 1]), check.DataError, "anchors: .*; got 0, 0, nan, 1"),
        (lambda: boxes.decode([0, 0, 0, 0], [1, 0, 0, 1]), check.DataError, "anchors: expected finite numbers"),
        (lambda: boxes.encode([SQUARE] * 3, [SQUARE] * 2), check.DataError, r"go together; got \(3,\) and \(2,\)"),
        (lambda: boxes.decode([SQUARE] * 3, [SQUARE] * 2), check.DataError, r"go together; got \(3,\) and \(2,\)"),
        (lambda: boxes.encode(SQUARE, SQUARE, variances=(1, 1)), check.SettingError, "four numbers above 0"),
        (lambda: boxes.decode(SQUARE, SQUARE, variances=(1, 1, 0, 1)), check.SettingError, "four numbers above 0"),
    ],
)
def test_what_cannot_be_a_delta_is_named(action: Any, kind: type[Exception], words: str) -> None:
    with pytest.raises(kind, match=words):
        action()
