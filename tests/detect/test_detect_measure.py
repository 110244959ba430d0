"""Mean average precision while a detector trains: on paper, batch by batch, and as the finished model is scored."""

import numpy as np
import pytest

from lensmith.boxes import Thresholds
from lensmith.detect.measure import MeanAveragePrecision, detected, truth_of
from lensmith.detect.score import score
from lensmith.records import Boxes

NOTHING = [0, 0, 0, 0, -1, 0]


def measure(**settings):
    """Of a detector whose raw numbers are its decoded ones already."""
    return MeanAveragePrecision(lambda outputs: outputs, ("red", "blue"), **settings)


def result(*batches):
    begun = measure().begin()
    for y, outputs in batches:
        begun.add(np.asarray(y, np.float32), np.asarray(outputs, np.float32))
    return dict(begun.result())


RED = [0.1, 0.1, 0.5, 0.5]
BLUE = [0.6, 0.6, 0.9, 0.9]
TRUTH = [[*RED, 0, 1], [*BLUE, 1, 1]]


@pytest.mark.parametrize(
    ("truth", "found", "map50", "mean"),
    [
        # Both found where they are: perfect at every overlap.
        (TRUTH, [[*RED, 1, 0.9, 0], [*BLUE, 1, 0, 0.8]], 1, 1),
        # One class found, the other not: half.
        (TRUTH, [[*RED, 1, 0.9, 0], [*RED, 1, 0, 0]], 0.5, 0.5),
        # Each taken for the other.
        (TRUTH, [[*RED, 1, 0, 0.9], [*BLUE, 1, 0.8, 0]], 0, 0),
        # An overlap of 0.801 (the lower fifth is missing): right at 0.5, 0.55, ... 0.8, seven of ten thresholds.
        ([[*RED, 0, 1]], [[0.1, 0.1, 0.5, 0.4205, 1, 0.9, 0]], 1, 0.7),
        # A sure invention before the object: precision 1/2 at every recall.
        ([[*RED, 0, 1]], [[*BLUE, 1, 0.9, 0], [*RED, 1, 0.5, 0]], 0.5, 0.5),
        # No object, nothing found: there is nothing to be right about.
        ([NOTHING], [[*RED, 1, 0, 0]], 0, 0),
        # An object that does not count is neither missed ...
        ([[*RED, 0, 1], [*BLUE, 0, 0]], [[*RED, 1, 0.9, 0]], 1, 1),
        # ... nor is finding it wrong, however sure.
        ([[*RED, 0, 1], [*BLUE, 0, 0]], [[*RED, 1, 0.5, 0], [*BLUE, 1, 0.9, 0]], 1, 1),
    ],
)
def test_on_paper(truth, found, map50, mean):
    values = result(([truth], [found]))
    assert values.keys() == {"map50", "map"}
    assert values["map50"] == pytest.approx(map50, abs=1e-6)
    assert values["map"] == pytest.approx(mean, abs=1e-6)


def test_numbers_that_are_none_are_no_detections():
    """The loss of such an epoch refuses it; the measure before it must not fail with other words."""
    nan = [np.nan] * 7
    assert result(([TRUTH], [[nan, [*RED, 1, 0.9, 0]]])) == {"map50": pytest.approx(0.5), "map": pytest.approx(0.5)}


def test_batches_of_another_length_come_to_the_same():
    """The last batch of an epoch is shorter, and two parts may have another number of rows."""
    rng = np.random.default_rng(2)
    corners = rng.uniform(0, 0.5, (6, 3, 2))
    boxes = np.concatenate([corners, corners + rng.uniform(0.1, 0.4, (6, 3, 2))], axis=-1)
    y = np.concatenate([boxes, rng.integers(0, 2, (6, 3, 1)), np.ones((6, 3, 1))], axis=-1)
    moved = boxes + rng.normal(0, 0.01, boxes.shape)
    outputs = np.concatenate([moved, np.ones((6, 3, 1)), rng.uniform(0, 1, (6, 3, 2))], axis=-1)
    whole = result((y, outputs))
    empty = np.tile(np.asarray(NOTHING, float), (2, 1, 1))
    assert 0 < whole["map"] < 1
    assert result((y[:4], outputs[:4]), (np.concatenate([y[4:], empty], axis=1), outputs[4:])) == whole


def test_it_equals_the_score_in_pixels_of_the_images():
    truth = np.asarray(TRUTH, np.float32)
    rows = np.asarray([[*RED, 1, 0.9, 0.2], [0.58, 0.61, 0.88, 0.93, 1, 0.1, 0.8]], np.float32)
    span = np.array([640, 480, 640, 480])
    there = Boxes(truth[:, :4] * span, truth[:, 4].astype(int))
    found = detected(rows, measure().thresholds)
    found[:, :4] *= span / 1000
    expected = score([there], [found], ("red", "blue"))
    values = result(([truth], [rows]))
    assert (values["map50"], values["map"]) == pytest.approx((expected.map50, expected.map))


def test_rows_without_an_object_are_none_and_what_does_not_count_is_difficult():
    made = truth_of(np.asarray([[*RED, 1, 1], NOTHING, [*BLUE, 0, 0]], np.float32))
    assert made.classes.tolist() == [1, 0]
    assert made.difficult.tolist() == [False, True]
    np.testing.assert_allclose(made.xyxy[0], [100, 100, 500, 500], rtol=1e-6)


def test_its_thresholds_are_kept():
    rows = np.asarray([[*RED, 1, 0.9, 0], [*BLUE, 1, 0.4, 0]], np.float32)
    assert len(detected(rows, Thresholds(score=0.5))) == 1
    begun = measure(thresholds=Thresholds(score=0.5)).begin()
    begun.add(np.asarray([TRUTH], np.float32), rows[None])
    assert begun.result()["map50"] == pytest.approx(0.5)
    assert measure().directions == {"map50": "max", "map": "max"}
