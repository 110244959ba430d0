"""Pictures of mistakes: which frame is which, and boxes that are hardly there."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lensmith.data.overlay import colour_of
from lensmith.detect.drawing_mistakes import draw_mistakes
from lensmith.detect.mistakes import mistakes
from lensmith.records import Boxes

NAMES = ("cat", "dog")
GREY = np.full((400, 400, 3), 90, np.uint8)
WHITE, BLACK = [255, 255, 255], [0, 0, 0]
NOTHING = np.zeros((0, 6))


def drawn(truth: Boxes, found: np.ndarray, picture: np.ndarray = GREY, longest: int = 400) -> np.ndarray:
    (wrong,) = mistakes([truth], [found])
    return draw_mistakes(picture, truth, found, NAMES, longest=longest, wrong=wrong)


def test_an_object_that_was_found_has_a_white_frame_under_a_coloured_one() -> None:
    there = Boxes([[100, 100, 300, 300]], [1])
    made = drawn(there, np.array([[90, 110, 310, 310, 0.9, 1]]))
    assert made[200, 90].tolist() == list(colour_of(1))  # the left side of what was found
    assert made[200, 100:104].tolist() == [BLACK, WHITE, WHITE, BLACK]  # of what is there
    assert made[104:290, 200].tolist().count([90, 90, 90]) > 170, "the inside is left alone"
    assert (GREY == 90).all(), "the picture itself is not changed"


def test_where_both_lie_at_one_place_both_are_seen() -> None:
    made = drawn(Boxes([[100, 100, 300, 300]], [1]), np.array([[100, 100, 300, 300, 0.9, 1]]))
    assert made[200, 100].tolist() == list(colour_of(1))
    assert WHITE in made[200, 100:104].tolist()


def test_a_missed_object_is_striped_and_bears_its_name() -> None:
    made = drawn(Boxes([[100, 100, 300, 300]], [0]), NOTHING)
    left = made[100:260, 101].tolist()  # above the name
    assert {tuple(one) for one in left} == {tuple(BLACK), tuple(WHITE)}
    assert [left[at] for at in (0, 6, 7, 13, 14)] == [WHITE, WHITE, BLACK, BLACK, WHITE]
    corner = made[270:298, 260:298].reshape(-1, 3)
    assert (corner == 0).all(axis=1).sum() > 150, "the ground of the name"
    assert (corner > 200).all(axis=1).sum() > 20, "its letters"


def test_only_what_was_missed_or_confused_bears_its_name() -> None:
    there = Boxes([[100, 100, 300, 300]], [0])
    right, wrong = (drawn(there, np.array([[100, 100, 300, 300, 0.9, label]])) for label in (0, 1))
    assert not (right[260:290, 200:290] == 0).all(axis=2).any()
    assert (wrong[270:298, 250:298] == 0).all(axis=2).any()


def test_large_pictures_are_made_smaller_and_small_ones_larger() -> None:
    large = drawn(Boxes([[200, 200, 600, 600]], [0]), NOTHING, np.full((800, 400, 3), 90, np.uint8), 320)
    assert large.shape == (320, 160, 3)
    small = drawn(
        Boxes([[8, 8, 24, 24]], [0]), np.array([[8, 8, 24, 24, 0.9, 0]]), np.zeros((32, 32, 3), np.uint8), 320
    )
    assert small.shape == (320, 320, 3)
    assert small[160, 80].tolist() == list(colour_of(0)), "boxes are as much larger as the picture"


@pytest.mark.parametrize(
    "corners",
    [
        [10, 10, 10.2, 10.2],  # less than a pixel
        [-50, -50, 20, 20],  # outside on two sides
        [390, 390, 500, 500],
        [500, 500, 600, 600],  # wholly outside
        [0, 0, 400, 400],
        [5, 5, 7, 200],  # narrower than its lines
    ],
)
def test_any_box_can_be_drawn(corners: list[float]) -> None:
    assert drawn(Boxes([corners], [0]), NOTHING).shape == (400, 400, 3)
    assert drawn(Boxes([corners], [0]), np.array([[*corners, 0.9, 0]])).shape == (400, 400, 3)


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 60), st.integers(1, 60), st.integers(0, 6), st.integers(0, 2**31))
def test_any_picture_with_any_boxes_can_be_drawn(height: int, width: int, count: int, seed: int) -> None:
    random = np.random.default_rng(seed)
    low = random.uniform(-10, 60, (2, count, 2))
    there, here = (np.concatenate([one, one + random.uniform(0.1, 40, (count, 2))], axis=1) for one in low)
    found = np.column_stack([here, random.random(count), random.integers(0, 2, count)])
    made = drawn(Boxes(there, random.integers(0, 2, count)), found, np.zeros((height, width, 3), np.uint8), 320)
    assert made.dtype == np.uint8
    assert max(made.shape[:2]) >= 320
