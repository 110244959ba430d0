"""Which candidate learns which object: on paper, and against loops."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lensmith import boxes
from lensmith.backend import keras
from lensmith.compose.detection import Candidates, Grid
from lensmith.detect import assigning

# 2 candidates in a map of 1 × 2, then 16 in one of 2 × 4 with two anchors.
GRIDS = (Grid(1, 2, ((0.4, 0.4),)), Grid(2, 4, ((0.1, 0.1), (0.2, 0.2))))
NONE = (0.0, 0.0, 0.0, 0.0, -1.0, 0.0)


def host(tensor: Any) -> np.ndarray:
    return np.asarray(keras.ops.convert_to_numpy(tensor))


def truth(*rows: tuple[float, ...]) -> np.ndarray:
    return np.array([rows], np.float32)


def around(x: float, y: float, width: float, height: float, kind: int = 0, counted: int = 1) -> tuple[float, ...]:
    return (x - width / 2, y - height / 2, x + width / 2, y + height / 2, kind, counted)


def random_truth(rng: np.random.Generator, most: int = 6, classes: int = 3) -> np.ndarray:
    """Two images; objects of every size, crowds and rows without an object among them."""
    found = np.zeros((2, most, 6), np.float32)
    found[..., :2] = rng.uniform(0, 0.8, (2, most, 2))
    found[..., 2:4] = np.minimum(found[..., :2] + rng.uniform(0.02, 0.7, (2, most, 2)), 1.0)
    found[..., 4], found[..., 5] = rng.integers(0, classes, (2, most)), rng.random((2, most)) < 0.8
    found[rng.random((2, most)) < 0.3] = NONE
    return found


@pytest.mark.backends
@pytest.mark.parametrize(
    ("row", "present", "learned"),
    [
        ((0.1, 0.1, 0.2, 0.3, 0, 1), True, True),
        ((0.1, 0.1, 0.2, 0.3, 7, 0), True, False),  # a crowd, or difficult
        (NONE, False, False),
        ((0.1, 0.1, 0.2, 0.3, -1, 1), False, False),  # no class
        ((0.2, 0.1, 0.2, 0.3, 0, 1), False, False),  # no width
        ((0.1, 0.3, 0.2, 0.1, 0, 1), False, False),  # upside down
        ((np.nan, 0.1, 0.2, 0.3, 0, 1), False, False),
    ],
)
def test_objects(row: tuple[float, ...], present: bool, learned: bool) -> None:
    found = assigning.objects(truth(row))
    assert (host(found.present).item(), host(found.learned).item()) == (present, learned)
    sides = [host(side).item() for side in found[:4]]
    np.testing.assert_array_equal(sides, np.float32(row[:4]) if present else [0, 0, 1, 1])


@pytest.mark.backends
@pytest.mark.parametrize(
    ("centre", "cell"),
    [(0.0, 0), (0.124, 0), (0.125, 1), (0.999, 7), (1.0, 7), (1.3, 7), (-0.2, 0)],  # the edges belong to the image
)
def test_cells(centre: float, cell: int) -> None:
    assert host(assigning.in_cell(np.float32(centre), 8)).item() == cell


@pytest.mark.backends
def test_of_three_that_ask_for_one_candidate_the_last_has_it() -> None:
    index = np.array([[5, 2, 5, 5, 5]])
    asks = np.array([[True, True, True, True, False]])  # the last row holds no object: it takes nothing from anyone
    assert host(assigning.later_wins(index, asks)).tolist() == [[False, True, False, True, False]]


@pytest.mark.backends
@pytest.mark.parametrize(
    ("row", "index"),
    [
        # 0.5 × 0.5: of 0.4² it covers 0.16 / 0.25; the second cell of the first map
        (around(0.7, 0.5, 0.5, 0.5), 1),
        # 0.2 × 0.2 is the second anchor of the second map; row 1, column 2: 2 + (1 · 4 + 2) · 2 + 1
        (around(0.7, 0.7, 0.2, 0.2), 15),
        # 0.05 × 0.3: 0.005 / (0.015 + 0.01 - 0.005) = 0.25 of 0.1²; 0.01 / (0.015 + 0.04 - 0.01) = 0.22 of 0.2²
        (around(0.1, 0.2, 0.05, 0.3), 2),
        # the last corner lies in the last cell: 2 + (1 · 4 + 3) · 2 + 0
        ((0.96, 0.96, 1.04, 1.04, 0, 1), 16),
    ],
)
def test_best_anchors_on_paper(row: tuple[float, ...], index: int) -> None:
    asked = assigning.best_anchors(assigning.objects(truth(row)), GRIDS)
    assert (host(asked.index).item(), host(asked.has).item()) == (index, True)


@pytest.mark.backends
def test_a_crowd_asks_for_nothing() -> None:
    rows = truth(around(0.7, 0.7, 0.2, 0.2), around(0.7, 0.7, 0.21, 0.2, counted=0), NONE)
    asked = assigning.best_anchors(assigning.objects(rows), GRIDS)
    assert host(asked.has).tolist() == [[True, False, False]]


def slow_best_anchor(row: np.ndarray) -> int:
    """The loop over all anchors of Darknet's yolo layer."""
    width, height = row[2] - row[0], row[3] - row[1]
    best, found, first = 0.0, 0, 0
    for grid in GRIDS:
        column = int((row[0] + row[2]) / 2 * grid.columns)
        line = int((row[1] + row[3]) / 2 * grid.rows)
        for number, (across, down) in enumerate(grid.anchors):
            shared = min(width, across) * min(height, down)
            alike = shared / (width * height + across * down - shared)
            if alike > best:
                best, found = alike, first + (line * grid.columns + column) * len(grid.anchors) + number
        first += grid.rows * grid.columns * len(grid.anchors)
    return found


@given(st.integers(0, 10**6))
@settings(max_examples=25, deadline=None)
def test_best_anchors_against_loops(seed: int) -> None:
    rows = random_truth(np.random.default_rng(seed))
    asked = assigning.best_anchors(assigning.objects(rows), GRIDS)
    index, has = host(asked.index), host(asked.has)
    for image in range(2):
        owner = {slow_best_anchor(row): place for place, row in enumerate(rows[image]) if row[4] >= 0 and row[5]}
        assert {int(index[image, place]): place for place in np.flatnonzero(has[image])} == owner


CELLS = Grid(2, 2, ((0.0, 0.0), (0.0, 0.0)))  # YOLO v1: 4 cells with 2 boxes each


def predicted(**placed: tuple[float, float, float, float]) -> np.ndarray:
    """Eight boxes without an area, but for those named ``box3``."""
    found = np.zeros((1, 8, 4), np.float32)
    for name, box in placed.items():
        found[0, int(name.removeprefix("box"))] = box
    return found


@pytest.mark.backends
@pytest.mark.parametrize(
    ("placed", "index"),
    [
        # the object is 0.5, 0, 0.9, 0.4, in cell 1: candidates 2 and 3
        ({"box2": (0.5, 0, 0.9, 0.2), "box3": (0.5, 0, 0.9, 0.3)}, 3),  # IoU 1/2 and 3/4
        ({"box2": (0.5, 0, 0.9, 0.3), "box3": (0.5, 0, 0.9, 0.2)}, 2),
        ({"box0": (0.5, 0, 0.9, 0.4), "box3": (0.8, 0.3, 1, 1)}, 3),  # a perfect box of another cell is none of its
        ({"box2": (0, 0.5, 0.4, 0.9), "box3": (0.5, 0.5, 0.9, 0.9)}, 3),  # none overlaps it: the nearer one
        ({"box2": (0.5, 0, 0.9, 0.4), "box3": (0.5, 0, 0.9, 0.4)}, 2),  # equal: the first
        ({"box2": (0.5, 0.4, 0.9, 0.8), "box3": (0.0, 0.0, 0.51, 0.1)}, 3),  # touching an edge is no overlap, a bit is
        ({"box2": (0.9, 0.4, 0.5, 0.0), "box3": (0.0, 0.5, 0.1, 0.6)}, 3),  # upside down covers nothing
    ],
)
def test_responsible_on_paper(placed: dict[str, tuple[float, float, float, float]], index: int) -> None:
    things = assigning.objects(truth((0.5, 0.0, 0.9, 0.4, 0, 1)))
    asked = assigning.responsible(things, predicted(**placed), CELLS)
    assert host(asked.index).tolist() == [[index]]


@pytest.mark.backends
def test_a_cell_has_one_object_though_two_of_its_boxes_fit() -> None:
    rows = truth(around(0.25, 0.25, 0.4, 0.1), around(0.25, 0.25, 0.1, 0.4), around(0.25, 0.25, 0.2, 0.2, counted=0))
    boxes_of_cell = predicted(box0=(0.05, 0.2, 0.45, 0.3), box1=(0.2, 0.05, 0.3, 0.45))
    asked = assigning.responsible(assigning.objects(rows), boxes_of_cell, CELLS)
    assert host(asked.index)[0, :2].tolist() == [0, 1]
    assert host(asked.has).tolist() == [[False, True, False]]


@given(st.integers(0, 10**6), st.sampled_from([0.1, 0.5, 0.7]))
@settings(max_examples=25, deadline=None)
def test_overlapping_against_pairwise_iou(seed: int, threshold: float) -> None:
    rng = np.random.default_rng(seed)
    rows = random_truth(rng)
    guessed = rows[..., [0, 1, 2, 3]] + rng.normal(0, 0.05, (2, 6, 4)).astype(np.float32)  # some upside down
    for every in (True, False):
        found = host(assigning.overlapping(guessed, assigning.objects(rows), threshold, all_of_them=every))
        for image in range(2):
            looked = rows[image][(rows[image, :, 4] >= 0) & (every | (rows[image, :, 5] == 0))]
            shares = boxes.iou(guessed[image], looked[:, :4]) if len(looked) else np.zeros((6, 1))
            assert found[image].tolist() == (shares > threshold).any(axis=1).tolist()


@pytest.mark.backends
def test_what_is_infinite_overlaps_nothing() -> None:
    guessed = np.float32([[[-np.inf, 0, np.inf, 1], [np.nan, 0, 1, 1], [0, 0, 1, 1]]])
    assert host(assigning.overlapping(guessed, assigning.objects(truth((0, 0, 1, 1, 0, 1))), 0.5)).tolist() == [
        [False, False, True]
    ]


@pytest.mark.backends
def test_taken() -> None:
    asked = assigning.Asked(np.array([[3, 0, 1], [2, 2, 2]]), np.array([[True, False, True], [False, False, False]]))
    assert host(assigning.taken(asked, 4)).tolist() == [[False, True, False, True], [False] * 4]


@pytest.mark.backends
def test_no_rows_at_all() -> None:
    things = assigning.objects(np.zeros((2, 0, 6), np.float32))
    asked = assigning.best_anchors(things, GRIDS)
    assert tuple(asked.index.shape) == tuple(asked.has.shape) == (2, 0)
    assert not host(assigning.taken(asked, 18)).any()
    assert not host(assigning.overlapping(np.zeros((2, 18, 4), np.float32), things, 0.5)).any()
    assert tuple(assigning.responsible(things, np.zeros((2, 8, 4), np.float32), CELLS).index.shape) == (2, 0)


def test_candidates_are_counted_as_the_assigner_counts_them() -> None:
    """What a candidate's row says of itself, for the candidates that objects of every cell and anchor ask for."""
    candidates = Candidates.of(GRIDS)
    for index in range(len(candidates)):
        x, y = (candidates.cells[index] + 0.5) / candidates.grid[index]
        asked = assigning.best_anchors(assigning.objects(truth(around(x, y, *candidates.anchors[index]))), GRIDS)
        assert host(asked.index).item() == index
