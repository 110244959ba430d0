"""Scores of detections on numbers that one can work out on paper, and what is refused."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest

from lensmith import check
from lensmith.detect.score import STYLES, score
from lensmith.detect.score.average_precision import all_points, best, ceiling, ceilings, eleven_points, interpolated
from lensmith.records import Boxes

HERE = [0, 0, 10, 10]
THERE = [100, 100, 110, 110]
NOWHERE = [300, 300, 310, 310]


def rows(*detections: tuple[list[float], float, int]) -> np.ndarray:
    """Detections of one image: a box, a score and a class each."""
    return np.array([[*box, value, label] for box, value, label in detections], np.float32).reshape(-1, 6)


TWO = Boxes([HERE, THERE], [0, 0])
ONE = Boxes([HERE], [0])
# (style, average precision) where the first is right, the second wrong, the third right, of two objects: the precision
# is 1 up to a recall of 1/2, and 2/3 up to 1.
TWO_OF_THREE = [
    ("coco", (51 * 1 + 50 * 2 / 3) / 101),  # recalls 0 … 0.5, and 0.51 … 1
    ("voc", 1 / 2 * 1 + 1 / 2 * 2 / 3),
    ("voc07", (6 * 1 + 5 * 2 / 3) / 11),  # recalls 0 … 0.5, and 0.6 … 1
]


@pytest.mark.parametrize(("style", "expected"), TWO_OF_THREE)
def test_average_precision_on_paper(style: str, expected: float) -> None:
    found = rows((HERE, 0.9, 0), (NOWHERE, 0.8, 0), (THERE, 0.7, 0))
    scores = score([TWO], [found], ["cat"], style=style)
    assert scores.map50 == pytest.approx(expected, abs=1e-12)
    assert scores.map == pytest.approx(expected, abs=1e-12)  # they overlap wholly, at every threshold
    assert scores.classes[0].map50 == scores.map50
    assert scores.style == style


# Of one object of 10 by 10 and one detection of it: (the detection, at how many of the ten thresholds it is right).
OVERLAPS = [
    ([0, 0, 10, 10], 10),  # the same box
    ([0, 0, 10, 5], 1),  # 50 of 100: exactly 0.5 is enough
    ([0, 0, 10, 4.9], 0),
    ([0, 0, 10, 7.5], 6),  # exactly 0.75
    ([0, 0, 10, 12.5], 7),  # 100 of 125: exactly 0.8
    ([5, 0, 15, 10], 0),  # 50 of 150
]


@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize(("box", "levels"), OVERLAPS)
def test_thresholds_of_overlap(box: list[float], levels: int, style: str) -> None:
    scores = score([ONE], [rows((box, 0.5, 0))], ["cat"], style=style)
    assert scores.map == pytest.approx(levels / 10, abs=1e-12)
    assert scores.map50 == pytest.approx(float(levels >= 1), abs=1e-12)
    assert scores.map75 == pytest.approx(float(levels >= 6), abs=1e-12)


@pytest.mark.parametrize("style", STYLES)
def test_a_second_detection_of_one_object_is_wrong(style: str) -> None:
    twice = rows((HERE, 0.9, 0), (HERE, 0.8, 0), (THERE, 0.7, 0))
    wrong = rows((HERE, 0.9, 0), (NOWHERE, 0.8, 0), (THERE, 0.7, 0))
    assert score([TWO], [twice], ["cat"], style=style).map50 == score([TWO], [wrong], ["cat"], style=style).map50 < 1


@pytest.mark.parametrize("style", STYLES)
def test_what_is_found_in_an_image_without_objects_is_wrong(style: str) -> None:
    found = [rows((HERE, 0.5, 0)), rows((HERE, 0.9, 0))]
    scores = score([ONE, Boxes([], [])], found, ["cat"], style=style)
    assert scores.map == pytest.approx(0.5, abs=1e-12)  # the surest is wrong, and the precision never reaches more
    assert scores.images == 2


@pytest.mark.parametrize("style", STYLES)
def test_another_class_is_wrong_and_a_class_without_objects_does_not_count(style: str) -> None:
    scores = score([ONE], [rows((HERE, 0.9, 1), (HERE, 0.8, 0))], ["cat", "dog"], style=style)
    assert scores.map == pytest.approx(1.0)
    dog = scores.classes[1]
    assert (dog.objects, dog.found, dog.map, dog.best_score) == (0, 1, None, None)
    assert np.isnan(scores.curves[1]).all()
    np.testing.assert_allclose(scores.curves[0], 1.0)


@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize("mark", ["crowd", "difficult"])
def test_ignored_objects_are_neither_missed_nor_found(mark: str, style: str) -> None:
    marked = Boxes([HERE, THERE], [0, 0], **{mark: [False, True]})
    missed = score([marked], [rows((HERE, 0.5, 0))], ["cat"], style=style)
    assert missed.map == pytest.approx(1.0)
    assert missed.classes[0].objects == 1
    found = score([marked], [rows((THERE, 0.9, 0), (HERE, 0.5, 0))], ["cat"], style=style)
    assert found.map == pytest.approx(1.0)


# (mark, style, are two detections on the ignored object both ignored)
SEVERAL = [
    ("crowd", "coco", True),
    ("crowd", "voc", True),
    ("difficult", "voc", True),  # as VOC's development kit does
    ("difficult", "coco", False),  # as COCO treats an object of the wrong size: it is found once
]


@pytest.mark.parametrize(("mark", "style", "both"), SEVERAL)
def test_two_detections_of_an_ignored_object(mark: str, style: str, both: bool) -> None:
    marked = Boxes([HERE, THERE], [0, 0], **{mark: [False, True]})
    found = rows((THERE, 0.9, 0), (THERE, 0.8, 0), (HERE, 0.5, 0))
    expected = 1.0 if both else 0.5
    assert score([marked], [found], ["cat"], style=style).map == pytest.approx(expected)


@pytest.mark.parametrize("style", STYLES)
def test_a_crowd_is_a_region(style: str) -> None:
    """What lies within is ignored, however small; what is half outside is wrong beyond a threshold of one half."""
    crowd = Boxes([HERE, [100, 0, 300, 200]], [0, 0], crowd=[False, True])
    inside = rows(([150, 50, 160, 60], 0.9, 0), (HERE, 0.5, 0))
    assert score([crowd], [inside], ["cat"], style=style).map == pytest.approx(1.0)
    half = rows(([90, 50, 110, 60], 0.9, 0), (HERE, 0.5, 0))
    scores = score([crowd], [half], ["cat"], style=style)
    assert (scores.map50, scores.map75) == (pytest.approx(1.0), pytest.approx(0.5))


def test_an_object_goes_before_a_crowd_that_overlaps_more() -> None:
    there = Boxes([[0, 0, 10, 8], [0, 0, 100, 100]], [0, 0], crowd=[False, True])
    scores = score([there], [rows((HERE, 0.9, 0))], ["cat"])
    assert scores.map50 == pytest.approx(1.0)
    assert scores.classes[0].recall == pytest.approx(0.7)  # 0.5 … 0.8; beyond, the crowd takes it


def test_sizes_go_by_area_with_both_ends() -> None:
    sides = [10, 32, 50, 96, 200]
    there = Boxes([[0, 300 * at, side, 300 * at + side] for at, side in enumerate(sides)], [0] * 5)
    found = np.column_stack([there.xyxy, np.full(5, 0.5), np.zeros(5)])
    # 10 and 32 are small, 32, 50 and 96 medium, 96 and 200 large.
    for chosen, expected in [([0, 1], (1, 1 / 3, 0)), ([3, 4], (0, 1 / 3, 1)), ([2], (0, 1 / 3, 0))]:
        scores = score([there], [found[chosen]], ["cat"])
        assert tuple(scores.size_recalls.values()) == pytest.approx(expected), chosen
    # What has the wrong size for a range is no wrong detection in it.
    assert dict(score([there], [found], ["cat"]).sizes) == pytest.approx({"small": 1, "medium": 1, "large": 1})


def test_a_size_without_objects_has_no_score() -> None:
    scores = score([ONE], [rows((HERE, 0.9, 0))], ["cat"])
    assert scores.sizes == {"small": pytest.approx(1.0), "medium": None, "large": None}


def test_areas_given_decide_on_the_size() -> None:
    found = [rows(([0, 0, 100, 100], 0.9, 0))]
    there = [Boxes([[0, 0, 100, 100]], [0])]
    assert score(there, found, ["cat"]).sizes["medium"] is None
    assert score(there, found, ["cat"], areas=[np.array([5000.0])]).sizes["medium"] == pytest.approx(1.0)


def test_recalls_by_the_number_of_detections() -> None:
    there = Boxes([[20 * at, 0, 20 * at + 10, 10] for at in range(12)], [0] * 12)
    found = np.column_stack([there.xyxy, np.linspace(0.9, 0.1, 12), np.zeros(12)])
    scores = score([there], [found], ["cat"])
    assert dict(scores.recalls) == pytest.approx({1: 1 / 12, 10: 10 / 12, 100: 1})
    assert scores.size_recalls["small"] == pytest.approx(1)


@pytest.mark.parametrize(("style", "expected"), [("coco", 0.0), ("voc", 1 / 101), ("voc07", 1 / 101)])
def test_only_coco_stops_at_a_hundred_detections_of_a_class(style: str, expected: float) -> None:
    wrong = [(NOWHERE, 0.9, 0)] * 100
    scores = score([ONE], [rows(*wrong, (HERE, 0.1, 0))], ["cat", "dog"], style=style)
    assert scores.map == pytest.approx(expected, abs=1e-12)
    others = [(NOWHERE, 0.9, 1)] * 100  # of another class: they do not count against it
    assert score([ONE], [rows(*others, (HERE, 0.1, 0))], ["cat", "dog"], style=style).map == pytest.approx(1.0)


# (style, average precision at 0.75): the surest overlaps both objects by 0.8, the next is the second object
EQUAL = [("coco", 51 / 101), ("voc", 1.0)]


@pytest.mark.parametrize(("style", "expected"), EQUAL)
def test_equal_overlaps_take_the_last_object_in_coco_and_the_first_in_voc(style: str, expected: float) -> None:
    there = Boxes([[0, 0, 10, 8], [0, 2, 10, 10]], [0, 0])
    found = rows((HERE, 0.9, 0), ([0, 2, 10, 10], 0.8, 0))
    assert score([there], [found], ["cat"], style=style).map75 == pytest.approx(expected)


def test_an_object_goes_before_a_difficult_one_in_coco_alone() -> None:
    there = Boxes([HERE, HERE], [0, 0], difficult=[True, False])
    found = rows((HERE, 0.9, 0))
    assert score([there], [found], ["cat"], style="coco").map == pytest.approx(1.0)
    assert score([there], [found], ["cat"], style="voc").map == 0.0  # it belongs to the first, the difficult one


def test_the_best_threshold() -> None:
    # Right, wrong, right, wrong of two objects: F1 is 2/3, 1/2, 4/5, 2/3.
    found = rows((HERE, 0.75, 0), (NOWHERE, 0.625, 0), (THERE, 0.5, 0), (NOWHERE, 0.25, 0))
    row = score([TWO], [found], ["cat"]).classes[0]
    assert (row.best_precision, row.best_recall, row.best_f1) == pytest.approx((2 / 3, 1.0, 0.8))
    assert row.best_score == 0.5
    assert (row.objects, row.found) == (2, 4)


def test_a_threshold_lets_in_all_detections_of_a_score() -> None:
    found = best(np.array([True, False, False]), np.ones(3, bool), np.array([0.5, 0.5, 0.5]), 1)
    assert (found.precision, found.recall, found.threshold) == (pytest.approx(1 / 3), 1.0, 0.5)


@pytest.mark.parametrize("style", STYLES)
def test_nothing_found_scores_nothing(style: str) -> None:
    scores = score([ONE], [[]], ["cat"], style=style)
    assert (scores.map, scores.map50, scores.recalls[100]) == (0.0, 0.0, 0.0)
    row = scores.classes[0]
    assert (row.best_precision, row.best_recall, row.best_f1, row.best_score) == (0.0, 0.0, 0.0, None)


# (truths, found): nothing can be measured
NOTHING = [([], []), ([Boxes([], [])], [[]]), ([Boxes([], [])], [rows((HERE, 0.9, 0))])]


@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize(("truths", "found"), NOTHING)
def test_without_objects_there_is_no_score(truths: list[Boxes], found: list[np.ndarray], style: str) -> None:
    scores = score(truths, found, ["cat"], style=style)
    assert (scores.map, scores.map50, scores.map75) == (None, None, None)
    assert set(scores.recalls.values()) == {None}
    assert score(truths, [np.zeros((0, 6))] * len(truths), [], style=style).curves.shape == (0, 101)


def test_padding_does_not_count() -> None:
    padded = np.concatenate([rows((HERE, 0.9, 0)), np.tile([[0, 0, 0, 0, 0, -1.0]], (5, 1))])
    scores = score([ONE], [padded], ["cat"])
    assert (scores.map, scores.classes[0].found) == (pytest.approx(1.0), 1)


def test_for_json_all_is_plain() -> None:
    there = Boxes([HERE], [0])
    answer = score([there], [rows((HERE, 0.5, 0))], ["cat", "dog"]).to_dict()
    again = json.loads(json.dumps(answer, allow_nan=False))
    assert again == answer
    assert again["map_small"] == pytest.approx(1.0)
    assert (again["map_large"], again["recall_100"], again["images"]) == (None, 1.0, 1)
    assert [row["name"] for row in again["classes"]] == ["cat", "dog"]
    assert again["classes"][1]["map"] is None


def test_a_curve_on_paper() -> None:
    """Right, wrong, wrong, right, right of four objects: precisions 1, 1/2, 3/5 at recalls 1/4, 1/2, 3/4."""
    right = np.array([True, False, False, True, True])
    edge = ceiling(right, np.ones(5, bool))
    np.testing.assert_allclose(edge, [1, 0.6, 0.6])
    curve = interpolated(edge, 4)
    assert curve.shape == (101,)
    np.testing.assert_allclose(curve[[0, 25, 26, 75]], [1, 1, 0.6, 0.6])
    assert curve[76] == 0
    assert all_points(edge, 4) == pytest.approx(0.25 + 0.6 / 2)
    assert eleven_points(edge, 4) == pytest.approx((3 * 1 + 5 * 0.6) / 11)  # 0 … 0.2, 0.3 … 0.7


def test_ignored_detections_leave_the_precision_alone() -> None:
    right, kept = np.array([False, True, False, True]), np.array([False, True, False, True])
    np.testing.assert_allclose(ceiling(right, kept), [1, 1])


def test_columns_are_measured_as_one_by_one() -> None:
    generator = np.random.default_rng(3)
    right = generator.random((40, 7)) < 0.3
    right[:, 2] = False
    kept = right | (generator.random((40, 7)) < 0.8)
    together = ceilings(right, kept)
    assert len(together) == 7
    for column, edge in enumerate(together):
        np.testing.assert_array_equal(edge, ceiling(right[:, column], kept[:, column]))


@pytest.mark.parametrize("count", range(1, 41))
def test_eleven_points_take_whole_objects(count: int) -> None:
    """With all but the surest ``found`` of them missing, as many points count as tenths are reached."""
    for found in range(count + 1):
        reached = sum(10 * found >= tenth * count for tenth in range(11)) if found else 0
        assert eleven_points(np.ones(found), count) == pytest.approx(reached / 11)


def test_the_order_of_rows_and_what_the_scores_mean_do_not_matter() -> None:
    generator = np.random.default_rng(5)
    corner = generator.uniform(0, 200, (30, 2))
    there = Boxes(np.concatenate([corner, corner + generator.uniform(20, 60, (30, 2))], axis=1), [0, 1] * 15)
    askew = there.xyxy + generator.normal(0, 3, (30, 4))
    values = generator.permutation(30) / 30
    found = np.column_stack([askew, values, there.classes])
    first = score([there], [found], ["cat", "dog"])
    squared = np.column_stack([askew, values**2, there.classes])[generator.permutation(30)]
    second = score([there], [squared], ["cat", "dog"])
    assert 0 < first.map < 1
    assert (first.map, first.map50, first.recalls) == (second.map, second.map50, second.recalls)


def _with(row: int, column: int, value: float) -> np.ndarray:
    wrong = rows((HERE, 0.9, 0), (THERE, 0.8, 0)).copy()
    wrong[row, column] = value
    return wrong


# (what is given in place of the right thing, what the message says)
FAULTS = [
    ({"found": [np.zeros((2, 5))]}, r"found of image 0: expected an array of shape \(k, 6\).*got shape \(2, 5\)"),
    ({"found": [_with(1, 2, math.nan)]}, "found of image 0, detection 1: expected finite numbers; got 100, 100, nan"),
    ({"found": [_with(0, 4, math.inf)]}, "found of image 0, detection 0: expected finite numbers"),
    ({"found": [_with(1, 5, 7)]}, "found of image 0: expected classes from 0 to 0, one a name; got 7"),
    ({"found": [_with(1, 5, 0.5)]}, "got 0.5"),
    ({"found": []}, "detections of 1 images, as many as have truths; got those of 0"),
    ({"truths": [Boxes([HERE], [3])]}, "truths of image 0: expected classes from 0 to 0, one a name; got 3"),
    ({"areas": [np.ones(3)]}, "areas of image 0: expected 1, one an object; got 3"),
    ({"areas": []}, "areas: expected 1; got 0"),
    ({"style": "voc2007"}, "style: expected one of coco, voc, voc07; got 'voc2007'. Did you mean 'voc07'?"),
]


@pytest.mark.parametrize(("wrong", "message"), FAULTS)
def test_faults(wrong: dict[str, object], message: str) -> None:
    given = {"truths": [ONE], "found": [rows((HERE, 0.9, 0))], "names": ["cat"], **wrong}
    with pytest.raises(check.LensmithError, match=message) as caught:
        score(given.pop("truths"), given.pop("found"), given.pop("names"), **given)
    assert "\n" not in str(caught.value)
