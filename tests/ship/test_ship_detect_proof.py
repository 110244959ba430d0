"""The proof of what finds objects: what it takes for alike, and the faults it does not."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
import pytest

from lensmith.boxes import Thresholds
from lensmith.boxes.suppression import detections, padded
from lensmith.records import Labels, Record
from lensmith.ship import ProofError, prove
from lensmith.ship.found_alike import found_difference

LIMITS = Thresholds(score=0.25, iou=0.5, most=4)
A, B, C = [0, 0, 0.5, 0.5], [0, 0, 0.5, 0.25], [0.5, 0.5, 1, 1]  # B is half of A; C meets neither
CANDIDATES = np.array([[[*A, 1, 0.75, 0], [*C, 1, 0.125, 0.5]], [[*C, 1, 0.0625, 0], [*A, 1, 0, 0.125]]], np.float32)
EXAMPLES = [Record("first.png", row=np.zeros(1)), Record("second.png", row=np.zeros(1))]


@dataclass
class Says:
    """Gives candidates that were written down, and what they become, changed by a fault."""

    given: np.ndarray
    fault: object = None
    labels: ClassVar = {"things": Labels("boxes", ("cat", "dog"))}
    thresholds: ClassVar = {"things": LIMITS}

    def candidates(self, examples):
        return {"things": self.given[: len(examples)]}

    def predict(self, examples, *, thresholds=None):
        limits = thresholds or LIMITS
        found = np.stack([padded(detections(rows, limits), limits.most) for rows in self.given])
        return {"things": found if self.fault is None else self.fault(found)}


MODEL = Says(CANDIDATES)


def changed(place, value):
    array = CANDIDATES.copy()
    array[place] = value
    return array


def faulty(place, value):
    def fault(found):
        found[place] = value
        return found

    return Says(CANDIDATES, fault)


def test_what_is_equal_is_proven():
    assert prove(MODEL, MODEL, EXAMPLES).max_difference == 0


@pytest.mark.parametrize(
    ("artifact", "difference", "worst"),
    [
        (Says(changed((1, 0, 0), 0.625)), 0.125, "second.png"),  # a corner of what no threshold lets through
        (Says(changed((0, 1, 5), 0.25)), 0.125, "first.png"),  # a score that is not the class's
        (faulty((0, 1, 2), 0.75), 0.25, "first.png"),  # a box that was moved on its way out
        (faulty((0, 0, 4), 0.625), 0.125, "first.png"),  # a score
        (faulty((0, 1, 5), 0), 0.25, "first.png"),  # a wrong class: 0.5 is 0.25 above the threshold
        (faulty((0, 1), [0, 0, 0, 0, 0, -1]), 0.25, "first.png"),  # one that is missing
        (faulty((0, 2), [*C, 0.5, 0]), 0.25, "first.png"),  # one too many
    ],
)
def test_faults_are_seen_and_measured(artifact, difference, worst):
    # The lower threshold of the proof must not hide what is looked for: both are 0.25 here.
    proof = prove(MODEL, artifact, EXAMPLES, tolerance=1)
    assert (proof.max_difference, proof.worst) == (difference, worst)
    with pytest.raises(ProofError, match=f"within 0.1; got a difference of {difference:.2g} on {worst}"):
        prove(MODEL, artifact, EXAMPLES, tolerance=0.1)


@pytest.mark.parametrize(
    "fault",
    [
        lambda found: found[:, :3],  # fewer rows
        lambda found: found[:, ::-1],  # the padding first
        lambda found: np.where(found == 0.75, np.nan, found),
    ],
)
def test_what_is_no_padded_list_is_refused_whatever_the_tolerance(fault):
    with pytest.raises(ProofError, match=r"a difference of 2 on first\.png"):
        prove(MODEL, Says(CANDIDATES, fault), EXAMPLES, tolerance=1)


def test_candidates_of_another_shape_or_that_are_not_finite_are_refused():
    with pytest.raises(ProofError, match="a difference of 2 on"):
        prove(MODEL, Says(CANDIDATES[:, :1]), EXAMPLES, tolerance=1)
    for place, value in (((1, 0, 6), np.nan), ((1, 0, 2), np.nan), ((1, 0, 6), np.inf)):
        broken = Says(changed(place, value))
        with pytest.raises(ProofError, match=r"second\.png: expected outputs that are finite"):
            prove(MODEL, broken, EXAMPLES)
        with pytest.raises(ProofError, match=r"second\.png: expected outputs that are finite"):
            prove(broken, broken, EXAMPLES)


def test_endless_sides_are_alike_if_both_have_them():
    endless = Says(changed((1, 0, 2), np.inf))
    assert prove(endless, endless, EXAMPLES).max_difference == 0
    with pytest.raises(ProofError, match=r"a difference of .* on second\.png"):
        prove(MODEL, endless, EXAMPLES)


def test_where_nothing_is_found_a_lower_threshold_shows_a_fault():
    unsure = CANDIDATES * np.float32([1, 1, 1, 1, 1, 0.125, 0.125])  # no score above 0.25

    def moved(found):
        return found + np.where(found[..., 5:] >= 0, np.float32([0.125, 0, 0, 0, 0, 0]), 0)

    assert not np.any(Says(unsure).predict(EXAMPLES)["things"][..., 5] >= 0)
    assert prove(Says(unsure), Says(unsure), EXAMPLES).max_difference == 0
    with pytest.raises(ProofError, match=r"a difference of 0\.12"):
        prove(Says(unsure), Says(unsure, moved), EXAMPLES)


@pytest.mark.parametrize(
    ("expected", "got", "thresholds", "difference"),
    [
        ([], [], LIMITS, 0),
        ([[*A, 0.5, 0]], [], LIMITS, 0.25),  # 0.25 above the threshold
        ([], [[*A, 0.3125, 0]], LIMITS, 0.0625),  # hardly above it
        ([], [[0, 0, 0, 0, 0, 0]], LIMITS, 0.25),  # far below it: it has no right to be there
        # A full list's lowest score is a threshold too.
        ([[*A, 0.75, 0]], [[*C, 0.6875, 0]], replace(LIMITS, most=1), 0.0625),
        ([[*A, 0.75, 0], [*C, 0.5, 1]], [[*A, 0.75, 0], [*B, 0.4375, 1]], replace(LIMITS, most=2), 0.0625),
        # Suppression may have gone the other way: B overlaps A, which both have, by just the threshold.
        ([[*A, 0.75, 0], [*B, 0.5, 0]], [[*A, 0.75, 0]], LIMITS, 0),
        ([[*A, 0.75, 0], [*B, 0.5, 0]], [[*A, 0.75, 0]], replace(LIMITS, iou=0.625), 0.125),
        ([[*A, 0.75, 1], [*B, 0.5, 0]], [[*A, 0.75, 1]], LIMITS, 0.25),  # but not for another class,
        ([[*A, 0.75, 1], [*B, 0.5, 0]], [[*A, 0.75, 1]], replace(LIMITS, classwise=False), 0),  # unless it may
        ([[*A, 0.5, 0], [*B, 0.75, 0]], [[*A, 0.5, 0]], LIMITS, 0.5),  # nor for one that is worse
        # Of two that are near the nearer is its counterpart, in whatever order they come.
        ([[*A, 0.75, 0], [*B, 0.5, 0]], [[*B, 0.75, 0], [*A, 0.625, 0]], replace(LIMITS, iou=1), 0.25),
        # A box without area is its own counterpart.
        ([[0, 0, 0, 1, 0.75, 0]], [[0, 0, 0, 1, 0.625, 0]], LIMITS, 0.125),
    ],
)
def test_differences_worked_out_by_hand(expected, got, thresholds, difference):
    first, second = (np.array(rows, np.float32).reshape(-1, 6) for rows in (expected, got))
    assert found_difference(first, second, thresholds) == difference
