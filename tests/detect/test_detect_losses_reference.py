"""The losses and their derivatives against loops, as the papers and Darknet write them."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lensmith import boxes
from lensmith.backend import keras
from lensmith.backend.derivative import differentiated
from lensmith.compose.detection import Grid
from lensmith.detect.losses import YoloLoss, YoloV1Loss, YoloV2Loss, YoloV3Loss

CLASSES = 3
GRIDS = (Grid(2, 3, ((0.5, 0.6), (0.7, 0.3)), 1.2), Grid(4, 6, ((0.1, 0.15), (0.25, 0.3))))
COUNT = 2 * 3 * 2 + 4 * 6 * 2
CELLS = Grid(3, 4, ((0.0, 0.0),) * 2)


def sigmoid(number: float) -> float:
    return float(1 / (1 + np.exp(-number)))


def entropy(chance: float, sought: float) -> float:
    return float(-sought * np.log(chance) - (1 - sought) * np.log(1 - chance))


def overlap(first: np.ndarray, second: np.ndarray) -> float:
    return float(boxes.iou(np.float64([first]), np.float64([second]))[0, 0])


def around(x: float, y: float, width: float, height: float) -> np.ndarray:
    return np.array([x - width / 2, y - height / 2, x + width / 2, y + height / 2])


def candidates() -> Iterator[tuple[int, Grid, int, int, tuple[float, float]]]:
    place = 0
    for grid in GRIDS:
        for row in range(grid.rows):
            for column in range(grid.columns):
                for anchor in grid.anchors:
                    yield place, grid, row, column, anchor
                    place += 1


def anchored_box(raw: np.ndarray, grid: Grid, row: int, column: int, anchor: tuple[float, float]) -> np.ndarray:
    x, y = (grid.scale_xy * sigmoid(t) - (grid.scale_xy - 1) / 2 for t in raw[:2])
    return around(
        (column + x) / grid.columns, (row + y) / grid.rows, np.exp(raw[2]) * anchor[0], np.exp(raw[3]) * anchor[1]
    )


def owners(truths: np.ndarray) -> dict[int, np.ndarray]:
    """The object of each candidate that has one: a later one overwrites an earlier one."""
    found = {}
    for truth in truths:
        if truth[4] < 0 or not truth[5]:
            continue
        width, height = truth[2] - truth[0], truth[3] - truth[1]
        x, y = (truth[0] + truth[2]) / 2, (truth[1] + truth[3]) / 2
        best, best_place = 0.0, -1
        for place, grid, row, column, anchor in candidates():
            if int(x * grid.columns) != column or int(y * grid.rows) != row:
                continue
            alike = overlap(np.array([0, 0, width, height]), np.array([0, 0, *anchor]))
            if alike > best:
                best, best_place = alike, place
        found[best_place] = truth
    return found


def darknet(raw: np.ndarray, truths: np.ndarray, version: int, ignore: float) -> tuple[float, np.ndarray]:
    """The loss of one image and the derivatives that Darknet's region (2) and yolo (3) layers pass back, negated."""
    loss, slopes, own = 0.0, np.zeros_like(raw), owners(truths)
    for place, grid, row, column, anchor in candidates():
        t, slope = raw[place], slopes[place]
        box, seen = anchored_box(t, grid, row, column, anchor), sigmoid(t[4])
        if place not in own:
            if all(overlap(box, truth[:4]) <= ignore for truth in truths if truth[4] >= 0):
                loss += seen**2 / 2 if version == 2 else entropy(seen, 0)
                slope[4] = seen * seen * (1 - seen) if version == 2 else seen
            continue
        truth = own[place]
        width, height = truth[2] - truth[0], truth[3] - truth[1]
        scale = 2 - width * height
        for side, middle, cell, count in (
            (0, truth[0] + truth[2], column, grid.columns),
            (1, truth[1] + truth[3], row, grid.rows),
        ):
            offset, bend, chance = middle / 2 * count - cell, grid.scale_xy, sigmoid(t[side])
            if version == 2:
                error = bend * chance - (bend - 1) / 2 - offset
                loss += scale * error**2 / 2
                slope[side] = scale * error * bend * chance * (1 - chance)
            else:
                sought = (offset + (bend - 1) / 2) / bend
                loss += scale * entropy(chance, sought)
                slope[side] = scale * (chance - sought)
        for side, extent, prior in ((2, width, anchor[0]), (3, height, anchor[1])):
            error = t[side] - np.log(extent / prior)
            loss += scale * error**2 / 2
            slope[side] = scale * error
        if version == 2:
            error = seen - overlap(box, truth[:4])
            loss += 5 * error**2 / 2
            slope[4] = 5 * error * seen * (1 - seen)
            chances = np.exp(t[5:]) / np.exp(t[5:]).sum()
            loss -= np.log(chances[int(truth[4])])
            slope[5:] = chances - np.eye(CLASSES)[int(truth[4])]
        else:
            loss += entropy(seen, 1)
            slope[4] = seen - 1
            for kind in range(CLASSES):
                chance, sought = sigmoid(t[5 + kind]), float(kind == truth[4])
                loss += entropy(chance, sought)
                slope[5 + kind] = chance - sought
    return loss, slopes


def paper(raw: np.ndarray, truths: np.ndarray, ignore: float) -> tuple[float, np.ndarray]:
    """Equation 3 of YOLO v1 for one image, and its derivatives."""
    loss, slopes, boxes_of_cell = 0.0, np.zeros_like(raw), 2
    own: dict[tuple[int, int], np.ndarray] = {}
    for truth in truths:
        if truth[4] >= 0 and truth[5]:
            x, y = (truth[0] + truth[2]) / 2, (truth[1] + truth[3]) / 2
            own[int(y * CELLS.rows), int(x * CELLS.columns)] = truth
    for row in range(CELLS.rows):
        for column in range(CELLS.columns):
            first = (row * CELLS.columns + column) * boxes_of_cell
            found = [
                around((column + t[0]) / CELLS.columns, (row + t[1]) / CELLS.rows, t[2] ** 2, t[3] ** 2)
                for t in raw[first : first + boxes_of_cell]
            ]
            responsible, truth = -1, own.get((row, column))
            if truth is not None:
                overlaps = [overlap(box, truth[:4]) for box in found]
                corner, far = np.array(found), np.array([[-1, 0, 1, 0], [0, -1, 0, 1]])
                centres, sides = (corner[:, :2] + corner[:, 2:]) / 2, corner @ far.T
                apart = ((centres - (truth[:2] + truth[2:4]) / 2) ** 2).sum(1) + ((sides - far @ truth[:4]) ** 2).sum(1)
                responsible = int(np.argmax(overlaps) if max(overlaps) > 0 else np.argmin(apart))
            for number in range(boxes_of_cell):
                t, slope = raw[first + number], slopes[first + number]
                if number != responsible:
                    crowds = [one for one in truths if one[4] >= 0 and not one[5]]
                    if all(overlap(found[number], crowd[:4]) <= ignore for crowd in crowds):
                        loss += 0.5 * t[4] ** 2
                        slope[4] = t[4]
                else:
                    x, y = (truth[0] + truth[2]) / 2 * CELLS.columns, (truth[1] + truth[3]) / 2 * CELLS.rows
                    roots = np.sqrt([truth[2] - truth[0], truth[3] - truth[1]])
                    error = t[:4] - np.array([x - column, y - row, *roots])
                    loss += 5 * (error**2).sum() + (t[4] - overlaps[number]) ** 2
                    slope[:4], slope[4] = 10 * error, 2 * (t[4] - overlaps[number])
                if truth is not None:
                    error = t[5:] - np.eye(CLASSES)[int(truth[4])]
                    loss += (error**2).sum() / boxes_of_cell
                    slope[5:] = 2 * error / boxes_of_cell
    return loss, slopes


def drawn(seed: int, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Two images with crowds and rows without an object, and raw numbers; some predictions are near an object."""
    rng = np.random.default_rng(seed)
    truths = np.zeros((2, 5, 6), np.float32)
    truths[..., :2] = rng.uniform(0, 0.7, (2, 5, 2))
    truths[..., 2:4] = np.minimum(truths[..., :2] + rng.uniform(0.05, 0.6, (2, 5, 2)), 1.0)
    truths[..., 4], truths[..., 5] = rng.integers(0, CLASSES, (2, 5)), rng.random((2, 5)) < 0.7
    truths[rng.random((2, 5)) < 0.3] = (0, 0, 0, 0, -1, 0)
    return truths, rng.normal(0, 0.7, (2, count, 5 + CLASSES)).astype(np.float32)


def compared(loss: YoloLoss, truths: np.ndarray, raw: np.ndarray, slow: list[tuple[float, np.ndarray]]) -> None:
    values, others, found = differentiated(lambda x: (keras.ops.sum(loss.call(truths, x)), loss.call(truths, x)))(raw)
    np.testing.assert_allclose(keras.ops.convert_to_numpy(others), [value for value, _ in slow], rtol=1e-4, atol=1e-5)
    assert float(values) == pytest.approx(sum(value for value, _ in slow), rel=1e-4)
    np.testing.assert_allclose(keras.ops.convert_to_numpy(found), [one for _, one in slow], rtol=1e-3, atol=1e-5)


def compare_v1(seed: int, ignore: float) -> None:
    truths, raw = drawn(seed, 24)
    slow = [paper(raw[image].astype(np.float64), truths[image].astype(np.float64), ignore) for image in range(2)]
    compared(YoloV1Loss([[CELLS]], ignore=ignore), truths, raw, slow)


def compare_anchored(version: int, seed: int, ignore: float) -> None:
    truths, raw = drawn(seed, COUNT)
    slow = [
        darknet(raw[image].astype(np.float64), truths[image].astype(np.float64), version, ignore) for image in range(2)
    ]
    compared((YoloV2Loss if version == 2 else YoloV3Loss)([GRIDS], ignore=ignore), truths, raw, slow)


@given(st.integers(0, 10**6), st.sampled_from([0.2, 0.5]))
@settings(max_examples=25, deadline=None)
def test_v1_against_the_paper(seed: int, ignore: float) -> None:
    compare_v1(seed, ignore)


@pytest.mark.parametrize("version", [2, 3])
@given(seed=st.integers(0, 10**6), ignore=st.sampled_from([0.2, 0.5]))
@settings(max_examples=25, deadline=None)
def test_v2_and_v3_against_darknet(version: int, seed: int, ignore: float) -> None:
    compare_anchored(version, seed, ignore)


@pytest.mark.backends
@pytest.mark.parametrize("version", [1, 2, 3])
def test_every_backend_against_the_loops(version: int) -> None:
    """One batch: each draw would be compiled anew."""
    if version == 1:
        compare_v1(7, 0.2)
    else:
        compare_anchored(version, 7, 0.2)
