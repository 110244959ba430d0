"""Boxes: numbers one can check on paper, a slow reference beside the fast operation, and properties."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lensmith import boxes, check

patient = settings(deadline=None)  # a busy machine is not a wrong answer

sides = st.tuples(st.integers(1, 4000), st.integers(1, 4000))


@st.composite
def box_arrays(draw: st.DrawFn, least: int = 0) -> np.ndarray:
    """Valid xyxy boxes, partly outside any image; quarter pixels, so that float64 sums are exact."""
    place = st.integers(-4000, 4000)
    extent = st.integers(1, 4000)
    rows = draw(st.lists(st.tuples(place, place, extent, extent), min_size=least, max_size=6))
    return np.array([(x, y, x + w, y + h) for x, y, w, h in rows], np.float64).reshape(-1, 4) / 4


def slow_iou(first: np.ndarray, second: np.ndarray) -> list[list[float]]:
    """The definition, one pair at a time, in plain Python."""

    def pair(a: list[float], b: list[float]) -> float:
        width = min(a[2], b[2]) - max(a[0], b[0])
        height = min(a[3], b[3]) - max(a[1], b[1])
        shared = width * height if width > 0 and height > 0 else 0.0
        union = (a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - shared
        return shared / union if union else 0.0

    return [[pair(a, b) for b in second.tolist()] for a in first.tolist()]


# One box, from x 10 to 40 and y 20 to 60 in an image 100 high and 200 wide, written in every format.
SAME_BOX = {
    "xyxy": [10, 20, 40, 60],
    "xywh": [10, 20, 30, 40],
    "cxcywh": [25, 40, 30, 40],
    "rel_xyxy": [0.05, 0.2, 0.2, 0.6],
    "rel_xywh": [0.05, 0.2, 0.15, 0.4],
    "rel_cxcywh": [0.125, 0.4, 0.15, 0.4],
}


def test_every_format_has_its_row() -> None:
    assert tuple(SAME_BOX) == boxes.FORMATS


@pytest.mark.parametrize("target", boxes.FORMATS)
@pytest.mark.parametrize("source", boxes.FORMATS)
def test_convert_on_paper(source: str, target: str) -> None:
    got = boxes.convert(SAME_BOX[source], source, target, size=(100, 200))
    np.testing.assert_allclose(got, SAME_BOX[target], rtol=1e-12)


@patient
@given(box_arrays(), st.sampled_from(boxes.FORMATS), st.sampled_from(boxes.FORMATS), sides)
def test_convert_there_and_back(corners: np.ndarray, source: str, target: str, size: tuple[int, int]) -> None:
    here = boxes.convert(corners, "xyxy", source, size=size)
    there = boxes.convert(here, source, target, size=size)
    back = boxes.convert(there, target, source, size=size)
    # The numbers reach 2,000 pixels; as shares of an image one pixel wide they are as large.
    np.testing.assert_allclose(back, here, rtol=1e-9, atol=1e-9)


@patient
@given(box_arrays())
def test_area_is_width_times_height(corners: np.ndarray) -> None:
    sized = boxes.convert(corners, "xyxy", "xywh")
    np.testing.assert_array_equal(boxes.area(corners), sized[:, 2] * sized[:, 3])


def test_convert_needs_no_size_without_a_change_of_unit() -> None:
    assert boxes.convert([0.5, 0.5, 1, 1], "rel_cxcywh", "rel_xyxy").tolist() == [0, 0, 1, 1]


def test_convert_gives_a_new_array() -> None:
    given_boxes = np.array([[1.0, 2.0, 3.0, 4.0]])
    boxes.convert(given_boxes, "xyxy", "xyxy")[:] = 0
    assert given_boxes.tolist() == [[1, 2, 3, 4]]


def test_convert_any_leading_axes() -> None:
    batch = np.tile(np.array(SAME_BOX["xyxy"], np.float32), (2, 3, 1))
    got = boxes.convert(batch, "xyxy", "cxcywh")
    assert got.shape == (2, 3, 4)
    assert got[1, 2].tolist() == SAME_BOX["cxcywh"]


def test_iou_on_paper() -> None:
    first = [[0, 0, 10, 10], [20, 20, 30, 40]]
    second = [
        [0, 0, 10, 10],  # the same box
        [5, 0, 15, 10],  # half of each: 50 of 150
        [2, 2, 4, 7],  # inside: 10 of 100
        [10, 0, 20, 10],  # they share an edge, which has no area
        [0, 0, 30, 40],  # around both: 100 and 200 of 1,200
    ]
    expected = [[1, 50 / 150, 0.1, 0, 100 / 1200], [0, 0, 0, 0, 200 / 1200]]
    np.testing.assert_allclose(boxes.iou(first, second), expected, rtol=1e-12)


def test_iou_just_over_a_threshold() -> None:
    """A box built so that its overlap with a unit square exceeds one half by a millionth."""
    overlap = boxes.iou([[0.0, 0, 1, 1]], [[0.0, 0, 1, 0.5 + 1e-6]])[0, 0]
    assert overlap > 0.5
    assert overlap == pytest.approx(0.5 + 1e-6, abs=1e-12)


@patient
@given(box_arrays(), box_arrays())
def test_iou_equals_the_slow_reference(first: np.ndarray, second: np.ndarray) -> None:
    got = boxes.iou(first, second)
    assert got.shape == (len(first), len(second))
    np.testing.assert_allclose(got, np.reshape(slow_iou(first, second), got.shape), rtol=1e-12)


@patient
@given(box_arrays(), box_arrays())
def test_iou_is_symmetric_and_between_0_and_1(first: np.ndarray, second: np.ndarray) -> None:
    got = boxes.iou(first, second)
    np.testing.assert_array_equal(got, boxes.iou(second, first).T)
    assert ((got >= 0) & (got <= 1)).all()


@patient
@given(box_arrays(least=1))
def test_iou_with_itself_is_1(corners: np.ndarray) -> None:
    assert (np.diag(boxes.iou(corners, corners)) == 1).all()


@patient
@given(box_arrays(), box_arrays(), st.floats(1e-3, 1e3))
def test_iou_is_scale_invariant(first: np.ndarray, second: np.ndarray, factor: float) -> None:
    # A sliver of a quarter pixel at 2,000 pixels keeps about 12 of the 16 digits.
    scaled = boxes.iou(first * factor, second * factor)
    np.testing.assert_allclose(scaled, boxes.iou(first, second), rtol=1e-9, atol=1e-9)


def test_boxes_without_area_overlap_nothing() -> None:
    """0, not NaN, and no warning: warnings are errors here."""
    flat = [[3, 3, 3, 3], [0, 5, 9, 5], [4, 4, 1, 1]]  # a point, a line, corners in the wrong order
    assert boxes.area(flat).tolist() == [0, 0, 0]
    assert boxes.iou(flat, [*flat, [0, 0, 9, 9]]).tolist() == [[0] * 4] * 3


def test_clip() -> None:
    corners = [[-5, -5, 5, 5], [90, 10, 250, 90], [10, 20, 30, 40], [300, 300, 400, 400]]
    got = boxes.clip(corners, (100, 200))
    assert got.tolist() == [[0, 0, 5, 5], [90, 10, 200, 90], [10, 20, 30, 40], [200, 100, 200, 100]]
    assert boxes.area(got)[3] == 0  # it lay outside: it keeps its place, without area


@patient
@given(box_arrays(), sides)
def test_clip_stays_inside_and_changes_nothing_twice(corners: np.ndarray, size: tuple[int, int]) -> None:
    once = boxes.clip(corners, size)
    assert (once >= 0).all()
    assert (once <= [size[1], size[0]] * 2).all()
    np.testing.assert_array_equal(boxes.clip(once, size), once)


@pytest.mark.parametrize(
    ("given_type", "kept"),
    [(np.float64, np.float64), (np.float32, np.float32), (np.float16, np.float32), (np.int64, np.float64)],
)
def test_types_are_kept(given_type: type, kept: type) -> None:
    corners = np.array([[0, 0, 2, 2]], given_type)
    assert boxes.convert(corners, "xyxy", "rel_cxcywh", size=(4, 4)).dtype == kept
    assert boxes.area(corners).dtype == kept
    assert boxes.iou(corners, corners).dtype == kept
    assert boxes.clip(corners, (1, 1)).dtype == kept
    assert boxes.validate(corners).dtype == kept


def test_whole_numbers_of_a_narrow_type_do_not_wrap_around() -> None:
    """uint8 would make 10 - 20 into 246."""
    apart = np.array([[0, 0, 10, 10], [20, 20, 200, 200]], np.uint8)
    assert boxes.iou(apart, apart).tolist() == [[1, 0], [0, 1]]


@pytest.mark.parametrize("nothing", [[], np.zeros((0, 4), np.float32)], ids=["list", "array"])
def test_no_boxes_at_all(nothing: object) -> None:
    assert boxes.convert(nothing, "xywh", "rel_cxcywh", size=(3, 3)).shape == (0, 4)
    assert boxes.area(nothing).shape == (0,)
    assert boxes.iou(nothing, [[0, 0, 1, 1]]).shape == (0, 1)
    assert boxes.iou([[0, 0, 1, 1]], nothing).shape == (1, 0)
    assert boxes.clip(nothing, (3, 3)).shape == (0, 4)
    assert boxes.validate(nothing).shape == (0, 4)


@pytest.mark.parametrize(
    ("row", "why"),
    [
        ([4, 0, 4, 2], "no width"),
        ([0, 3, 4, 2], "upside down"),
        ([0, 0, np.nan, 2], "not a number"),
        ([0, 0, np.inf, 2], "endless"),
        ([-np.inf, 0, 1, 2], "endless to the left"),
    ],
)
def test_validate_names_the_first_wrong_box(row: list[float], why: str) -> None:
    with pytest.raises(check.DataError, match=r"^cat\.xml: box 1: expected finite numbers, x1 < x2 and y1 < y2; got "):
        boxes.validate([[0, 0, 1, 1], row, row], "cat.xml")


def test_validate_returns_what_is_fine() -> None:
    corners = np.array([[-1, 0, 1, 1e-6]], np.float32)
    assert boxes.validate(corners) is corners


def test_wrong_shapes_and_types_are_named() -> None:
    with pytest.raises(check.DataError, match=r"shape \(\.\.\., 4\); got int64 of shape \(2, 3\)"):
        boxes.area(np.zeros((2, 3), np.int64))
    with pytest.raises(check.DataError, match=r"expected an array of shape \(n, 4\); got shape \(4,\)"):
        boxes.iou([0, 0, 1, 1], [[0, 0, 1, 1]])
    with pytest.raises(check.DataError, match="expected numbers"):
        boxes.area([["a", "b", "c", "d"]])


def test_wrong_settings_are_named() -> None:
    with pytest.raises(check.SettingError, match="Did you mean 'cxcywh'"):
        boxes.convert([0, 0, 1, 1], "xcycwh", "xyxy")
    with pytest.raises(check.SettingError, match=r"size: expected \(height, width\) .*; got None"):
        boxes.convert([0, 0, 1, 1], "xyxy", "rel_xyxy")
    with pytest.raises(check.SettingError, match=r"size: expected \(height, width\) .*; got \(4, 4, 3\)"):
        boxes.clip([0, 0, 1, 1], (4, 4, 3))  # type: ignore[arg-type]
    with pytest.raises(check.SettingError, match="size: expected a whole number of at least 1; got 0"):
        boxes.clip([0, 0, 1, 1], (0, 4))
