"""What a detector got wrong: on paper, and what holds whatever was found."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lensmith import boxes, check
from lensmith.detect.mistakes import Mistakes, mistakes, worst
from lensmith.records import Boxes

A = [0, 0, 10, 10]
NEAR_A = [0, 0, 10, 8]  # overlaps it by 0.8
B = [50, 0, 60, 10]
FAR = [200, 200, 210, 210]


def found(*detections: tuple[list[float], float, int]) -> np.ndarray:
    return np.array([[*box, value, label] for box, value, label in detections], np.float32).reshape(-1, 6)


def lists(one: Mistakes) -> tuple[list, list, list, list]:
    return one.matched.tolist(), one.confused.tolist(), one.missed.tolist(), one.invented.tolist()


# (objects with their classes, detections, matched, confused, missed, invented)
ON_PAPER = [
    ([(A, 0), (B, 1)], [(A, 0.9, 0), (B, 0.8, 1)], [[0, 0], [1, 1]], [], [], []),  # all right
    ([(A, 0), (B, 1)], [(B, 0.4, 1), (A, 0.9, 0)], [[1, 0], [0, 1]], [], [], []),  # the surest first
    ([(A, 0)], [(A, 0.9, 1)], [], [[0, 0]], [], []),  # the right place, the wrong class
    ([(A, 0)], [(FAR, 0.9, 0)], [], [], [0], [0]),  # elsewhere
    ([(A, 0)], [(A, 0.2, 0)], [], [], [0], []),  # not sure enough
    ([(A, 0)], [(A, 0.25, 0)], [[0, 0]], [], [], []),  # just sure enough
    ([(A, 0)], [(NEAR_A, 0.5, 0), (A, 0.9, 0)], [[1, 0]], [], [], [0]),  # the same object twice
    ([(A, 0)], [(A, 0.9, 1), (NEAR_A, 0.5, 0)], [[1, 0]], [], [], [0]),  # the right class has the first choice
    ([(A, 0), (NEAR_A, 0)], [(NEAR_A, 0.9, 0), (A, 0.8, 0)], [[0, 1], [1, 0]], [], [], []),  # each to its own
    ([(A, 0), (NEAR_A, 1)], [(A, 0.9, 0), (A, 0.8, 0)], [[0, 0]], [[1, 1]], [], []),  # the other one is still free
    ([(A, 0)], [], [], [], [0], []),
    ([], [(A, 0.9, 0)], [], [], [], [0]),
    ([], [], [], [], [], []),
]


@pytest.mark.parametrize(("objects", "detections", "matched", "confused", "missed", "invented"), ON_PAPER)
def test_on_paper(objects: list, detections: list, matched: list, confused: list, missed: list, invented: list) -> None:
    there = Boxes([box for box, _ in objects], [label for _, label in objects])
    assert lists(mistakes([there], [found(*detections)])[0]) == (matched, confused, missed, invented)


@pytest.mark.parametrize("mark", ["crowd", "difficult"])
def test_ignored_objects_are_no_mistakes(mark: str) -> None:
    there = Boxes([A, B], [0, 0], **{mark: [True, False]})
    assert lists(mistakes([there], [found((A, 0.9, 0), (NEAR_A, 0.8, 0), (B, 0.7, 0))])[0]) == ([[2, 1]], [], [], [])
    assert lists(mistakes([there], [found((A, 0.9, 1), (B, 0.7, 0))])[0]) == ([[1, 1]], [], [], [0])


def test_inside_a_crowd_is_no_mistake() -> None:
    there = Boxes([[0, 0, 100, 100]], [0], crowd=[True])
    assert lists(mistakes([there], [found((A, 0.9, 0), (FAR, 0.8, 0))])[0]) == ([], [], [], [1])


def test_a_stricter_overlap() -> None:
    there = Boxes([A], [0])
    assert lists(mistakes([there], [found((NEAR_A, 0.9, 0))], iou=0.75)[0]) == ([[0, 0]], [], [], [])
    assert lists(mistakes([there], [found((NEAR_A, 0.9, 0))], iou=0.85)[0]) == ([], [], [0], [0])


def test_padding_is_left_out() -> None:
    padded = np.concatenate([found((A, 0.9, 0)), np.array([[0, 0, 0, 0, 0, -1.0]])])
    assert lists(mistakes([Boxes([A], [0])], [padded], score=0.0)[0]) == ([[0, 0]], [], [], [])


def test_the_worst_images() -> None:
    truths = [Boxes([A], [0]), Boxes([[0, 0, 40, 40]], [0]), Boxes([], []), Boxes([A, B], [0, 1])]
    given_ = [found((FAR, 0.6, 0)), [], found((A, 0.9, 0), (B, 0.3, 0)), found((A, 0.9, 0), (B, 0.5, 0))]
    looked = mistakes(truths, given_)
    every = worst(looked, truths, given_)
    assert every.invented == (2, 0)
    assert every.missed == (1, 0)
    assert every.confused == (3,)
    assert worst(looked, truths, given_, most=1).invented == (2,)


grid = st.tuples(st.integers(0, 4), st.integers(0, 4), st.integers(1, 4), st.integers(1, 4))
tables = st.lists(st.tuples(grid, st.integers(0, 2), st.sampled_from([0.1, 0.5, 0.9])), max_size=8)


def _boxes(table: list) -> np.ndarray:
    return np.array([[x, y, x + w, y + h] for (x, y, w, h), *_ in table], np.float32).reshape(-1, 4)


@settings(max_examples=25, deadline=None)
@given(tables, tables, st.integers(0, 8))
def test_each_is_one_thing_and_no_fitting_pair_is_left(objects: list, detections: list, ignored: int) -> None:
    look(objects, detections, ignored)


def test_the_same_of_fuller_images() -> None:
    generator = np.random.default_rng(0)

    def some(count: int) -> list:
        boxes_ = [(*generator.integers(0, 3, 2), *generator.integers(2, 5, 2)) for _ in range(count)]
        return [(box, int(generator.integers(3)), float(generator.choice([0.1, 0.5, 0.9]))) for box in boxes_]

    for _ in range(60):
        look(some(8), some(12), int(generator.integers(4)))


def look(objects: list, detections: list, ignored: int) -> None:
    labels, values = [label for _, label, _ in objects], [value for *_, value in detections]
    difficult = np.arange(len(objects)) < ignored
    there = Boxes(_boxes(objects), labels, difficult=difficult)
    here = np.column_stack([_boxes(detections), values, [label for _, label, _ in detections]]).reshape(-1, 6)
    one = mistakes([there], [here])[0]
    overlap = boxes.iou(here[:, :4], there.xyxy)
    owned = [*one.matched[:, 1], *one.confused[:, 1], *one.missed]
    assert sorted(owned) == np.flatnonzero(~difficult).tolist()
    used = [*one.matched[:, 0], *one.confused[:, 0], *one.invented]
    assert len(used) == len(set(used))
    sure = set(np.flatnonzero(here[:, 4] >= 0.25).tolist())
    assert set(used) <= sure
    for spared in sure - set(used):
        assert any(overlap[spared, at] >= 0.5 and labels[at] == here[spared, 5] for at in np.flatnonzero(difficult))
    assert all(overlap[row, at] >= 0.5 and here[row, 5] == labels[at] for row, at in one.matched)
    assert all(overlap[row, at] >= 0.5 and here[row, 5] != labels[at] for row, at in one.confused)
    assert not (overlap[np.ix_(one.invented, one.missed)] >= 0.5).any()


# (settings, what the message says)
FAULTS = [
    ({"iou": 0.0}, "mistakes: iou: expected a number from 1e-06 to 1; got 0.0"),
    ({"score": 1.5}, "mistakes: score: expected a number from 0 to 1; got 1.5"),
    ({"found": [np.zeros((1, 4))]}, r"found of image 0: expected an array of shape \(k, 6\)"),
    ({"found": []}, "expected 1 images, as many as have truths; got 0"),
]


@pytest.mark.parametrize(("wrong", "message"), FAULTS)
def test_faults(wrong: dict[str, object], message: str) -> None:
    given_ = {"truths": [Boxes([A], [0])], "found": [found((A, 0.9, 0))], **wrong}
    with pytest.raises(check.LensmithError, match=message):
        mistakes(**given_)
