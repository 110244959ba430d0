"""What a detector found and what is told of it: numbers on paper, in pixels of each image."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lensmith.boxes import Thresholds
from lensmith.boxes.suppression import padded
from lensmith.check import DataError
from lensmith.records import Boxes, Labels, Record, Records
from lensmith.runs.detected import Detected, detected
from lensmith.runs.folder import RunFolder
from lensmith.runs.found import MOST, counts, told

NAMES = ("cat", "dog")
LABELS = Labels("boxes", NAMES)
A, B, FAR = [10, 20, 60, 60], [100, 20, 160, 90], [5, 70, 25, 95]  # in an image 100 high and 200 wide


def records(*targets: tuple[list, list], **flags: list) -> Records:
    """Images 100 high and 200 wide with these boxes and classes."""
    items = [
        Record(f"{number}.png", image=np.full((100, 200, 3), 90, np.uint8), targets={"objects": Boxes(*one, **flags)})
        for number, one in enumerate(targets)
    ]
    return Records(tuple(items), {"objects": LABELS}, "made")


def outputs(*images: list[tuple[list, float, int]]) -> np.ndarray:
    """As a model gives them: shares of the image, padded."""
    rows = [
        np.array([[*np.array(box) / [200, 100, 200, 100], score, label] for box, score, label in one], np.float32)
        for one in images
    ]
    return np.stack([padded(one.reshape(-1, 6), 5) for one in rows])


def judged(part: Records, given: np.ndarray, **thresholds: object) -> Detected:
    return detected(part, "objects", given, LABELS, Thresholds(**thresholds))


def test_boxes_are_in_pixels_of_each_image_without_the_padding() -> None:
    one = judged(records(([A], [0]), ([], [])), outputs([(A, 0.9, 0), (B, 0.01, 1)], []))
    np.testing.assert_allclose(one.found[0], [[*A, 0.9, 0], [*B, 0.01, 1]], rtol=1e-6)
    assert one.found[1].shape == (0, 6)
    assert list(one.metrics().values()) == pytest.approx([1.0, 1.0, 1.0])
    assert list(one.metrics()) == ["map50", "map", "map75"]


def test_without_any_object_nothing_can_be_measured() -> None:
    one = judged(records(([], []), ([], [])), outputs([(A, 0.9, 0)], []))
    assert one.metrics() == {"map50": None, "map": None, "map75": None}
    assert counts(one) == {"matched": 0, "missed": 0, "invented": 1, "confused": 0}


def test_an_example_without_the_task_is_named() -> None:
    part = records(([A], [0]))
    part = Records((Record("bare.png", image=part[0].image, targets={}),), part.labels, "made")
    with pytest.raises(DataError, match=r"bare\.png: has no target for the task 'objects'"):
        judged(part, outputs([]))


# (what is there, what was found, matched, missed, invented, confused) at a threshold of 0.25
COUNTED = [
    (([A, B], [0, 1]), [(A, 0.9, 0), (B, 0.8, 1)], (2, 0, 0, 0)),  # all right
    (([A, B], [0, 1]), [(A, 0.9, 0), (B, 0.2, 1)], (1, 1, 0, 0)),  # not sure enough to be shown
    (([A], [0]), [(A, 0.25, 0)], (1, 0, 0, 0)),  # just sure enough
    (([A], [0]), [(A, 0.9, 1)], (0, 0, 0, 1)),  # by a wrong name
    (([A], [0]), [(A, 0.9, 0), (A, 0.3, 1)], (1, 0, 0, 0)),  # a box measured for both classes is shown once
    (([A], [0]), [(A, 0.3, 0), (A, 0.9, 1)], (0, 0, 0, 1)),  # as its surest class
    (([A], [0]), [(A, 0.9, 0), (FAR, 0.8, 0)], (1, 0, 1, 0)),  # one that is not there
    (([], []), [(A, 0.9, 0), (B, 0.8, 0)], (0, 0, 2, 0)),
    (([A], [0]), [], (0, 1, 0, 0)),
]


@pytest.mark.parametrize(("truth", "found", "expected"), COUNTED)
def test_counts_on_paper(truth: tuple, found: list, expected: tuple) -> None:
    one = counts(judged(records(truth), outputs(found)))
    assert (one["matched"], one["missed"], one["invented"], one["confused"]) == expected


def test_where_a_box_may_count_for_several_classes_it_is_shown_for_each() -> None:
    one = judged(records(([A], [0])), outputs([(A, 0.9, 0), (A, 0.3, 1)]), best=False)
    assert counts(one)["invented"] == 1


def test_no_more_than_the_recipe_allows_is_shown() -> None:
    found = outputs([(A, 0.9, 0), (B, 0.8, 1)])
    assert counts(judged(records(([A, B], [0, 1])), found, most=1))["missed"] == 1


def test_what_is_difficult_is_neither_found_nor_missed() -> None:
    one = judged(records(([A], [0]), difficult=[True]), outputs([(A, 0.9, 0)]))
    assert counts(one) == {"matched": 0, "missed": 0, "invented": 0, "confused": 0}


def test_what_is_told_can_be_written_and_its_pictures_are_there(tmp_path: Path) -> None:
    part = records(([A, B], [0, 1]), ([A], [0]), ([], []), ([B], [1]))
    given = outputs([(A, 0.9, 0)], [(A, 0.7, 1)], [(FAR, 0.6, 1)], [(B, 0.9, 1)])
    values = json.loads(json.dumps(told(RunFolder(tmp_path), "objects", judged(part, given), part)))
    assert values["counts"] == {"matched": 2, "missed": 1, "invented": 1, "confused": 1}
    assert values["threshold"] == 0.25
    assert values["pairs"] == [["cat", "dog", 1]]
    assert [len(row) for row in values["curves"]] == [101, 101]
    wrong = {kind: [(one["source"], one["says"]) for one in list_] for kind, list_ in values["pictures"].items()}
    assert wrong == {
        "missed": [("0.png", ["missed dog"])],
        "invented": [("2.png", ["invented dog 0.60"])],
        "confused": [("1.png", ["said dog 0.70, is cat"])],
    }
    for one in (one for kind in values["pictures"].values() for one in kind):
        with Image.open(tmp_path / one["picture"]) as picture:
            assert picture.size == (400, 200), "enlarged, so that names can be read"


def test_a_class_without_objects_has_no_curve(tmp_path: Path) -> None:
    part = records(([A], [0]))
    values = told(RunFolder(tmp_path), "objects", judged(part, outputs([(A, 0.9, 0)])), part)
    assert values["curves"] == [pytest.approx([1.0] * 101), [None] * 101]


def test_many_mistakes_are_told_in_short(tmp_path: Path) -> None:
    rows = [[x, 10, x + 12, 40] for x in range(5, 155, 20)]
    part = records(*[(rows, [0, 1] * 4)] * (MOST + 4), ([A], [0]))
    given = np.concatenate([outputs(*[[]] * (MOST + 4)), outputs([(FAR, 0.9, 1)])])
    values = told(RunFolder(tmp_path), "objects", judged(part, given), part)
    assert len(values["pictures"]["missed"]) == MOST
    assert values["pictures"]["missed"][-1]["says"] == ["missed 4 × cat", "missed 4 × dog"]
    part = records(([A, B, FAR], [0, 1, 0]))
    values = told(RunFolder(tmp_path), "objects", judged(part, outputs([])), part)
    assert values["pictures"]["missed"][0]["says"] == ["missed dog", "missed 2 × cat"], "the largest object first"
    part = records(([], []))
    given = outputs([(row, 0.9 - 0.1 * place, 0) for place, row in enumerate(rows[:5])])
    values = told(RunFolder(tmp_path), "objects", judged(part, given), part)
    said = values["pictures"]["invented"][0]["says"]
    assert said == ["invented cat 0.90", "invented cat 0.80", "invented cat 0.70", "and 2 more"]


def test_a_picture_that_is_gone_is_told_without_one(tmp_path: Path) -> None:
    path = tmp_path / "photo.png"
    Image.new("RGB", (200, 100)).save(path)
    part = Records((Record("photo.png", image=path, targets={"objects": Boxes([A], [0])}),), {"objects": LABELS}, "x")
    one = judged(part, outputs([]))
    path.unlink()
    (entry,) = told(RunFolder(tmp_path), "objects", one, part)["pictures"]["missed"]
    assert entry == {"source": "photo.png", "says": ["missed cat"], "picture": None}
