"""Suppression as ONNX against a slow reference written out here, and against lensmith.boxes."""

from __future__ import annotations

from functools import cache

import numpy as np
import onnx
import onnxruntime
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lensmith.boxes import Thresholds
from lensmith.boxes.suppression import detections, padded
from lensmith.ship import suppression as room

DEFAULT = Thresholds(score=0.5, iou=0.5, most=3)


@cache
def session(classes):
    model = room.suppression(classes, DEFAULT)
    onnx.checker.check_model(model, full_check=True)
    return onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])


def run(candidates, thresholds=None):
    given = {} if thresholds is None else room.settings(thresholds)
    feed = {"candidates": np.asarray(candidates, np.float32), **given}
    return session(feed["candidates"].shape[2] - 5).run(["detections"], feed)[0]


def overlap(one, other):
    one, other = one.astype(np.float64), other.astype(np.float64)
    width = min(one[2], other[2]) - max(one[0], other[0])
    height = min(one[3], other[3]) - max(one[1], other[1])
    if width <= 0 or height <= 0:
        return 0.0
    areas = [(box[2] - box[0]) * (box[3] - box[1]) for box in (one, other)]
    return width * height / (sum(areas) - width * height)


def slowly(rows, thresholds):
    """One candidate after the other, as the rule is told."""
    listed = []
    for place, row in enumerate(rows):
        classes = [int(np.argmax(row[5:]))] if thresholds.best else range(len(row) - 5)
        listed += [(-float(row[5 + one]), place, one) for one in classes if float(row[5 + one]) > thresholds.score]
    found = np.zeros((thresholds.most, 6), np.float32)
    found[:, 5] = -1
    kept = []
    for score, place, one in sorted(listed):
        rivals = [other for other, kind in kept if kind == one or not thresholds.classwise]
        if all(overlap(rows[place, :4], rows[other, :4]) <= thresholds.iou for other in rivals):
            kept.append((place, one))
            if len(kept) <= thresholds.most:
                found[len(kept) - 1] = [*rows[place, :4], -score, one]
    return found


def draw(seed, images, count, classes, steps):
    """Candidates; with steps, corners and scores are multiples of 1/steps, so that many are equal."""
    rng = np.random.default_rng((seed, images, count, classes, steps))
    numbers = rng.random((images, count, 4)), rng.random((images, count, 1 + classes))
    corners, scores = (np.round(array * steps) / steps if steps else array for array in numbers)
    centre, size = corners[..., :2], corners[..., 2:] / 2
    return np.concatenate([centre - size, centre + size, scores], axis=-1).astype(np.float32)


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 2**32),
    images=st.integers(1, 3),
    count=st.integers(0, 40),
    classes=st.sampled_from([1, 3]),
    steps=st.sampled_from([0, 4, 8]),
    thresholds=st.builds(
        Thresholds,
        score=st.sampled_from([0.0, 0.1, 0.25, 0.5, 0.7, 1.0]),
        iou=st.sampled_from([0.0, 0.25, 0.45, 0.5, 1.0]),
        most=st.sampled_from([1, 4, 100]),
        classwise=st.booleans(),
        best=st.booleans(),
    ),
)
def test_it_finds_what_the_rule_finds(seed, images, count, classes, steps, thresholds):
    candidates = draw(seed, images, count, classes, steps)
    found = run(candidates, thresholds)
    np.testing.assert_array_equal(found, [slowly(rows, thresholds) for rows in candidates])
    np.testing.assert_array_equal(found, [padded(detections(rows, thresholds), thresholds.most) for rows in candidates])


LARGEST = float(np.finfo(np.float32).max)
BLANK = [0, 0, 0, 0, 0, -1]
A, B, C = [0, 0, 0.5, 0.5], [0, 0, 0.5, 0.25], [0.5, 0.5, 1, 1]  # B is half of A; C meets neither


@pytest.mark.parametrize(
    ("rows", "thresholds", "expected"),
    [
        ([[*A, 1, 0.75, 0]], Thresholds(score=0.75), []),  # the threshold itself is not above it
        ([[*A, 1, 0.75, 0]], Thresholds(score=0.625), [[*A, 0.75, 0]]),
        ([[*A, 1, 0, 0]], Thresholds(score=0), []),  # a score of 0 never counts
        # An overlap of just the threshold drops nothing, any smaller threshold does.
        ([[*A, 1, 0.75, 0], [*B, 1, 0.5, 0]], Thresholds(iou=0.5), [[*A, 0.75, 0], [*B, 0.5, 0]]),
        ([[*A, 1, 0.75, 0], [*B, 1, 0.5, 0]], Thresholds(iou=0.4999), [[*A, 0.75, 0]]),
        # Of two equal boxes the first; of two equal scores too.
        ([[*B, 1, 0.5, 0], [*A, 1, 0.5, 0]], Thresholds(iou=0.25), [[*B, 0.5, 0]]),
        ([[*C, 1, 0, 0.5], [*A, 1, 0.5, 0]], Thresholds(), [[*C, 0.5, 1], [*A, 0.5, 0]]),
        # Of two equal classes the lower counts; where all count, both do, the lower first.
        ([[*A, 1, 0.5, 0.5]], Thresholds(), [[*A, 0.5, 0]]),
        ([[*A, 1, 0.5, 0.5]], Thresholds(best=False), [[*A, 0.5, 0], [*A, 0.5, 1]]),
        ([[*A, 1, 0.5, 0.5]], Thresholds(best=False, classwise=False), [[*A, 0.5, 0]]),
        # Another class is in the way only if all classes are.
        ([[*A, 1, 0.75, 0], [*A, 1, 0, 0.5]], Thresholds(), [[*A, 0.75, 0], [*A, 0.5, 1]]),
        ([[*A, 1, 0.75, 0], [*A, 1, 0, 0.5]], Thresholds(classwise=False), [[*A, 0.75, 0]]),
        # What is cut off drops nobody's place: the best of all classes stay.
        (
            [[*A, 1, 0.5, 0], [*C, 1, 0, 0.75], [*C, 1, 0.625, 0]],
            Thresholds(most=2),
            [[*C, 0.75, 1], [*C, 0.625, 0]],
        ),
        # A box that is upside down has no area: it drops nothing and is kept.
        (
            [[0.5, 0.5, 0, 0, 1, 0.75, 0], [*A, 1, 0.5, 0]],
            Thresholds(),
            [[0.5, 0.5, 0, 0, 0.75, 0], [*A, 0.5, 0]],
        ),
        # Endless sides count as the largest float32; one drops the other.
        (
            [[-np.inf, 0, np.inf, np.inf, 1, 0.75, 0], [-np.inf, 0, np.inf, np.inf, 1, 0.5, 0], [*A, 1, 0.5, 0]],
            Thresholds(),
            [[-LARGEST, 0, LARGEST, LARGEST, 0.75, 0], [*A, 0.5, 0]],
        ),
    ],
)
def test_cases_worked_out_by_hand(rows, thresholds, expected):
    wanted = [*expected, *[BLANK] * (thresholds.most - len(expected))]
    np.testing.assert_array_equal(run([rows], thresholds)[0], np.array(wanted, np.float32))
    found = padded(detections(np.array(rows, np.float32), thresholds), thresholds.most)
    np.testing.assert_array_equal(found, np.array(wanted, np.float32))


def test_its_thresholds_need_not_be_given():
    candidates = draw(5, 2, 30, 3, 8)
    np.testing.assert_array_equal(run(candidates), run(candidates, DEFAULT))
    assert [one.name for one in session(3).get_inputs()] == ["candidates"]
    assert [one.name for one in session(3).get_overridable_initializers()] == list(room.SETTINGS)


@pytest.mark.parametrize("threshold", [0.1, 0.3, 0.7, 0.45, 0.5, 1.0])  # 0.1 is less than its float32, 0.3 too
def test_the_same_float32_numbers_are_above_the_threshold_in_float32(threshold):
    below = room.settings(Thresholds(score=threshold))["score_threshold"]
    near = np.float32(threshold)
    for value in (np.nextafter(near, np.float32(0)), near, np.nextafter(near, np.float32(2))):
        assert (value > below) == (float(value) > threshold)
