"""Classes of examples and of a model are matched by their names, whatever their numbers and however they are spelt."""

import numpy as np
import pytest

from lensmith.check import DataError
from lensmith.records import Boxes, Labels, Record, Records
from lensmith.runs.matching import SYNONYMS, match_labels

PIXELS = np.zeros((8, 8, 3), np.uint8)


def found(names, known):
    """The model's classes of one box of each of the data's."""
    boxes = Boxes([[0, 0, 4, 4]] * len(names), list(range(len(names))))
    records = Records((Record("a", PIXELS, targets={"objects": boxes}),), {"objects": Labels("boxes", names)}, "d")
    made = match_labels(records, {"objects": Labels("boxes", known)}, ["objects"])
    assert made.labels["objects"].names == known
    return made[0].targets["objects"].classes.tolist()


@pytest.mark.parametrize(
    ("names", "known", "expected"),
    [
        (("cat", "dog"), ("dog", "cat"), [1, 0]),  # in another order
        (("dog",), ("cat", "dog", "cow"), [1]),  # fewer
        (("Cat", "traffic_light"), ("traffic light", "cat"), [1, 0]),  # spelt otherwise
        (("tvmonitor", "aeroplane"), ("airplane", "tv"), [1, 0]),  # VOC's names beside COCO's
        (("tv", "airplane"), ("aeroplane", "tvmonitor"), [1, 0]),  # and the other way
        (("TVmonitor", "dining_table"), ("diningtable", "tv"), [1, 0]),  # both at once
        (("A", "a"), ("a", "A"), [1, 0]),  # letters, of which both are there: the same spelling counts
        (("tv", "tvmonitor"), ("tvmonitor", "tv"), [1, 0]),
    ],
)
def test_classes_by_name(names, known, expected):
    assert found(names, known) == expected


def test_every_name_of_voc_is_one_of_coco():
    assert found(tuple(SYNONYMS), tuple(SYNONYMS.values())) == list(range(len(SYNONYMS)))


@pytest.mark.parametrize(
    ("names", "known", "expected"),
    [
        (
            ("cat", "dgo"),
            ("cat", "dog"),
            r"d: objects: expected classes the model knows \(cat, dog\); got dgo\. Did you",
        ),
        (("CAT",), ("cat", "Cat"), "got CAT"),  # either might be meant
    ],
)
def test_a_class_that_the_model_does_not_know_is_named(names, known, expected):
    with pytest.raises(DataError, match=expected):
        found(names, known)


def several(targets, labels):
    return Records((Record("a", PIXELS, targets=targets),), labels, "d")


def test_the_only_boxes_are_those_of_the_only_detector():
    box = Boxes([[0, 0, 4, 4]], [0])
    records = several({"raccoons": box}, {"raccoons": Labels("boxes", ("raccoon",))})
    made = match_labels(records, {"objects": Labels("boxes", ("cat", "raccoon"))}, ["objects"])
    assert made[0].targets["objects"].classes.tolist() == [1]
    two = several({"a": box, "b": box}, {"a": Labels("boxes", ("x",)), "b": Labels("boxes", ("x",))})
    with pytest.raises(DataError, match="labels for the model's task 'objects'; got labels for a, b"):
        match_labels(two, {"objects": Labels("boxes", ("x",))}, ["objects"])


def test_a_box_of_a_localiser_has_no_class_that_matters():
    """Nor would renamed boxes be known to be its own."""
    box = Boxes([[0, 0, 4, 4]], [1])
    records = several({"place": box}, {"place": Labels("boxes", ("x", "y"))})
    made = match_labels(records, {"place": Labels("boxes", ("object",))})
    assert made[0].targets["place"] is box


def test_classes_of_images_are_matched_too_and_kinds_must_agree():
    labels = {"label": Labels("class", ("b", "a")), "marks": Labels("classes", ("y", "x"))}
    records = several({"label": 0, "marks": (0, 1)}, labels)
    made = match_labels(records, {"label": Labels("class", ("a", "b")), "marks": Labels("classes", ("x", "y", "z"))})
    assert made[0].targets == {"label": 1, "marks": (1, 0)}
    with pytest.raises(DataError, match="targets of kind number; got class"):
        match_labels(records, {"label": Labels("number", ("a",))})
