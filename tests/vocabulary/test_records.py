"""The exchange record: what it takes, what it refuses, and how a sequence of them is cut."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from lensmith import check
from lensmith.records import Boxes, Labels, Problem, Record, Records

SPECIES = Labels("class", ("cat", "dog", "owl"))
TRAITS = Labels("classes", ("furry", "flies"))


@pytest.fixture
def animals() -> Records:
    """Four records: cat, dog, dog, cat; no owl."""
    rows = [
        Record("a.png", Path("a.png"), targets={"species": 0, "traits": (0,)}, part="train"),
        Record("b.png", Path("b.png"), targets={"species": 1, "traits": (0,)}, part="train"),
        Record("c.png", Path("c.png"), targets={"species": 1, "traits": ()}, part="test"),
        Record("d.png", Path("d.png"), targets={"species": 0, "traits": (0, 1)}),
    ]
    aside = (Problem("e.png", "the file is empty"),)
    return Records(tuple(rows), {"species": SPECIES, "traits": TRAITS}, name="animals", set_aside=aside)


def sources(records: Records) -> list[str]:
    return [record.source for record in records]


def test_boxes_become_arrays_of_their_types() -> None:
    boxes = Boxes([[0, 0, 2, 3]], [1])  # type: ignore[arg-type]
    assert (boxes.xyxy.dtype, boxes.xyxy.shape) == (np.float32, (1, 4))
    assert (boxes.classes.dtype, boxes.classes.shape) == (np.int64, (1,))


def test_an_image_may_have_no_boxes() -> None:
    boxes = Boxes([], [])  # type: ignore[arg-type]
    assert (boxes.xyxy.shape, boxes.classes.shape) == ((0, 4), (0,))


@pytest.mark.parametrize(
    ("xyxy", "classes", "message"),
    [
        ([[0, 0, 1, 1]], [0, 1], r"boxes: expected one class a box \(1\); got 2 classes"),
        (np.zeros((2, 6)), [0, 1, 2], r"boxes: expected an array of shape \(n, 4\); got shape \(2, 6\)"),  # 12 is 3 x 4
        ([[0, 0, 1]], [0], r"boxes: expected an array of shape \(n, 4\); got shape \(1, 3\)"),
    ],
)
def test_boxes_refuse(xyxy: np.ndarray, classes: np.ndarray, message: str) -> None:
    with pytest.raises(check.DataError, match=message):
        Boxes(xyxy, classes)


def test_labels_travel_through_json() -> None:
    assert Labels.from_dict(json.loads(json.dumps(SPECIES.to_dict()))) == SPECIES


def test_labels_refuse_an_unknown_kind_and_a_name_that_stands_twice() -> None:
    with pytest.raises(check.SettingError, match=r"labels\.kind: .*Did you mean 'class'"):
        Labels("clas", ("a",))  # type: ignore[arg-type]
    with pytest.raises(check.DataError, match="the name 'cat' stands twice"):
        Labels("class", ("cat", "dog", "cat"))


def test_a_record_has_an_image_or_a_row_and_never_both() -> None:
    Record("a.csv:2", row=np.zeros(3, np.float32))
    Record("array 0", image=np.zeros((2, 2, 3), np.uint8))
    with pytest.raises(check.DataError, match=r"a\.csv:2: expected either an image or a row"):
        Record("a.csv:2")
    with pytest.raises(check.DataError, match="expected either an image or a row"):
        Record("a.csv:2", image=Path("a.png"), row=np.zeros(3, np.float32))


def test_a_record_refuses_an_unknown_part() -> None:
    with pytest.raises(check.SettingError, match=r"a\.png: part: .*Did you mean 'validation'"):
        Record("a.png", Path("a.png"), part="valid")


def test_records_cannot_be_changed(animals: Records) -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        animals.name = "plants"  # type: ignore[misc]
    with pytest.raises(dataclasses.FrozenInstanceError):
        animals[0].part = "test"  # type: ignore[misc]


def test_records_are_a_sequence(animals: Records) -> None:
    assert isinstance(animals, Sequence)
    assert len(animals) == 4
    assert animals[-1].source == "d.png"
    assert sources(animals) == ["a.png", "b.png", "c.png", "d.png"]
    assert animals[2] in animals
    with pytest.raises(IndexError):
        animals[4]


@pytest.mark.parametrize(
    ("cut", "expected"),
    [
        (lambda r: r[1:3], ["b.png", "c.png"]),
        (lambda r: r[::-2], ["d.png", "b.png"]),
        (lambda r: r[4:], []),
        (lambda r: r.select([3, 0, 0]), ["d.png", "a.png", "a.png"]),  # any order, again if wanted
        (lambda r: r.select(np.array([2])), ["c.png"]),
        (lambda r: r.part("train"), ["a.png", "b.png"]),
        (lambda r: r.part("validation"), []),
    ],
)
def test_a_cut_is_records_again_and_keeps_the_rest(animals: Records, cut: object, expected: list[str]) -> None:
    some = cut(animals)  # type: ignore[operator]
    assert isinstance(some, Records)
    assert sources(some) == expected
    assert (some.labels, some.name, some.set_aside) == (animals.labels, "animals", animals.set_aside)


def test_counts_name_every_class_even_one_without_records(animals: Records) -> None:
    assert animals.counts("species") == {"cat": 2, "dog": 2, "owl": 0}
    assert animals.counts("traits") == {"furry": 3, "flies": 1}


def test_counts_and_parts_refuse_what_they_do_not_know(animals: Records) -> None:
    with pytest.raises(check.SettingError, match="Did you mean 'species'"):
        animals.counts("specie")
    with pytest.raises(check.SettingError, match="Did you mean 'train'"):
        animals.part("training")
    age = Records((), {"age": Labels("number", ("years",))})
    with pytest.raises(check.SettingError, match="labels of 'age': expected one of class, classes; got 'number'"):
        age.counts("age")
