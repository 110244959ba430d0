"""The losses of YOLO on numbers worked out on paper, their settings, and the sizes they are trained at."""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
import pytest

from lensmith import check
from lensmith.backend import keras
from lensmith.backend.derivative import differentiated
from lensmith.compose.detection import (
    Candidates,
    Decode,
    Grid,
    YoloMaps,
    YoloOutput,
    YoloV1,
    YoloV2,
    YoloV3,
    YoloV3Tiny,
)
from lensmith.detect.losses import PARTS, YoloLoss, YoloV1Loss, YoloV2Loss, YoloV3Loss, loss_of
from lensmith.detect.losses.anchored import boxes, places_of
from lensmith.detect.losses.sizes import grids_of

LN2 = math.log(2)
NONE = (0.0, 0.0, 0.0, 0.0, -1.0, 0.0)

# YOLO v1: 2 × 2 cells with 2 boxes and 2 classes. The object's centre is (0.6, 0.3), in column 1 of row 0, at 0.2 and
# 0.6 of the cell; its sides are 0.36 and 0.25, of which the roots are 0.6 and 0.5.
CELLS = Grid(2, 2, ((0.0, 0.0), (0.0, 0.0)))
OBJECT_1 = (0.42, 0.175, 0.78, 0.425, 1, 1)
# YOLO v2 and v3: 1 × 2 cells with 2 anchors. The object's centre is (0.7, 0.4), at 0.4 of column 1 and 0.4 of row 0; it
# has the size of the first anchor: candidate (0 · 2 + 1) · 2 + 0 = 2, and 2 - wh is 1.875.
ANCHORED = Grid(1, 2, ((0.25, 0.5), (0.5, 0.25)))
OBJECT_2 = (0.575, 0.15, 0.825, 0.65, 1, 1)
IOU_2 = 8 / 17  # raw zeros are at (0.75, 0.5): 0.2 · 0.4 of 2 · 0.125 - 0.08


def truth(*rows: tuple[float, ...]) -> np.ndarray:
    return np.array([rows], np.float32)


def raw(count: int, **placed: dict[int, float]) -> np.ndarray:
    """Zeros for two classes, but for ``row2={4: 0.5}``."""
    found = np.zeros((1, count, 7), np.float32)
    for name, numbers in placed.items():
        for place, number in numbers.items():
            found[0, int(name.removeprefix("row")), place] = number
    return found


def parts(loss: YoloLoss, y_true: np.ndarray, y_pred: np.ndarray) -> list[float]:
    found = loss.parts(y_true, y_pred)
    assert tuple(found) == PARTS
    return [float(keras.ops.convert_to_numpy(found[name])[0]) for name in PARTS]


def slope(loss: YoloLoss, y_true: np.ndarray, y_pred: np.ndarray) -> tuple[float, np.ndarray]:
    value, _, found = differentiated(lambda x: (keras.ops.sum(loss.call(y_true, x)), ()))(y_pred)
    return float(keras.ops.convert_to_numpy(value)), np.asarray(keras.ops.convert_to_numpy(found))


FOUND_1 = {0: 0.2, 1: 0.6, 2: 0.5, 3: 0.5, 4: 0.5, 5: 0.25, 6: 0.5}  # of 0.25 × 0.25 at the centre: IoU 25 / 36


@pytest.mark.backends
@pytest.mark.parametrize(
    ("settings", "placed", "rows", "expected"),
    [
        # 5 (0.6 - 0.5)²; (0.5 - 25/36)² + ½ 0.4²; 0.25² + (1 - 0.5)², the mean of both rows of the cell
        (
            {},
            {"row2": FOUND_1, "row3": {5: 0.25, 6: 0.5}, "row0": {4: 0.4}},
            [OBJECT_1],
            [0.05, (0.5 - 25 / 36) ** 2 + 0.08, 0.3125],
        ),
        # only one row of the cell says anything of classes: (0.3125 + 1) / 2
        ({}, {"row2": FOUND_1}, [OBJECT_1], [0.05, (0.5 - 25 / 36) ** 2, 0.65625]),
        # 0.1 and 0.3 beside the centre: 5 (0.01 + 0.09 + 0.01); a side of √w = -0.5 is no worse than 0.5 in size, but
        # has to become 0.6: 5 (0.01 + 0.09 + 1.21); the IoU is that of 0.25² at (0.65, 0.45):
        # 0.25 · 0.1 of 0.09 + 0.0625 - 0.025
        ({}, {"row3": FOUND_1 | {0: 0.3, 1: 0.9, 4: 0}}, [OBJECT_1], [0.55, (0.025 / 0.1275) ** 2, 0.65625]),
        ({}, {"row3": FOUND_1 | {0: 0.3, 1: 0.9, 2: -0.5, 4: 0}}, [OBJECT_1], [6.55, (0.025 / 0.1275) ** 2, 0.65625]),
        # λ alone: 2 (0.1)²; 3 · 0.4²
        (
            {"coord": 2.0, "no_object": 3.0},
            {"row2": FOUND_1 | {4: 25 / 36}, "row0": {4: 0.4}},
            [OBJECT_1],
            [0.02, 0.48, 0.65625],
        ),
        # sides as they are: 0.5 × 0.5 covers the object, 0.09 / 0.25; 5 (0.14² + 0.25²)
        ({"sqrt": False}, {"row2": FOUND_1}, [OBJECT_1], [0.4105, 0.0196, 0.65625]),
        # softmax of (0, 0) in both rows
        ({"softmax": True}, {"row2": FOUND_1 | {5: 0, 6: 0}}, [OBJECT_1], [0.05, (0.5 - 25 / 36) ** 2, LN2]),
        # no object: only ½ 0.4² + ½ 0.5²
        ({}, {"row2": FOUND_1, "row0": {4: 0.4}}, [NONE], [0, 0.205, 0]),
        # a crowd where candidate 0 is: it is not punished, 2 is
        ({}, {"row2": FOUND_1, "row0": {0: 0.5, 1: 0.5, 2: 0.5, 3: 0.5, 4: 0.4}}, [(0.125, 0.125, 0.375, 0.375, 0, 0)],
         [0, 0.125, 0]),
        # the crowd overlaps it by 1/2, which is not above ½
        ({}, {"row0": {0: 0.5, 1: 0.5, 2: 0.5, 3: 0.5, 4: 0.4}}, [(0.125, 0.125, 0.375, 0.25, 0, 0)], [0, 0.08, 0]),
    ],
)  # fmt: skip
def test_v1_on_paper(
    settings: dict[str, Any], placed: dict[str, dict[int, float]], rows: list[Any], expected: list[float]
) -> None:
    loss = YoloV1Loss([[CELLS]], **settings)
    np.testing.assert_allclose(parts(loss, truth(*rows), raw(8, **placed)), expected, rtol=1e-5, atol=1e-6)


@pytest.mark.backends
@pytest.mark.parametrize(
    ("settings", "placed", "rows", "expected"),
    [
        # ½ · 1.875 (0.1² + 0.1²); ½ · 5 (0.5 - 8/17)² + ½ · 3 · 0.5²; ln 2
        ({}, {}, [OBJECT_2], [0.01875, 2.5 * (0.5 - IOU_2) ** 2 + 0.375, LN2]),
        # sizes: ½ · 1.875 (0.02 + 0.2²); the box is e^0.2 · 0.25 wide, from 0.75 - 0.152675: 0.227675 · 0.4 = 0.09107
        # of 0.125 e^0.2 + 0.125 - 0.09107
        (
            {},
            {"row2": {2: 0.2}},
            [OBJECT_2],
            [0.05625, 2.5 * (0.5 - 0.09107015 / (0.125 * math.exp(0.2) + 0.125 - 0.09107015)) ** 2 + 0.375, LN2],
        ),
        # candidate 3, 0.5 × 0.25 at (0.75, 0.5), overlaps it by 0.0625 of 0.1875: more than 0.3, so it is left alone
        ({"ignore": 0.3}, {}, [OBJECT_2], [0.01875, 2.5 * (0.5 - IOU_2) ** 2 + 0.25, LN2]),
        # objectness ln 3 is 3/4: 2.5 (3/4 - 8/17)² + 3/8; the class of the object has 3/4 too
        ({}, {"row2": {4: math.log(3), 6: math.log(3)}}, [OBJECT_2],
         [0.01875, 2.5 * (0.75 - IOU_2) ** 2 + 0.375, math.log(4 / 3)]),
        # every weight: 2 ·, 4/5 · and 3 ·, 7 ·
        (
            {"coord": 2.0, "object": 4.0, "no_object": 3.0, "classes": 7.0},
            {},
            [OBJECT_2],
            [0.0375, 2 * (0.5 - IOU_2) ** 2 + 1.125, 7 * LN2],
        ),
        ({}, {}, [NONE], [0, 0.5, 0]),  # ½ · 4 · 0.5²
        # a crowd just where candidate 2 is, which is left alone; 3 overlaps it by 1/3
        ({}, {}, [(0.625, 0.25, 0.875, 0.75, 0, 0)], [0, 0.375, 0]),
    ],
)  # fmt: skip
def test_v2_on_paper(
    settings: dict[str, Any], placed: dict[str, dict[int, float]], rows: list[Any], expected: list[float]
) -> None:
    loss = YoloV2Loss([[ANCHORED]], **settings)
    np.testing.assert_allclose(parts(loss, truth(*rows), raw(4, **placed)), expected, rtol=1e-5, atol=1e-6)


@pytest.mark.backends
@pytest.mark.parametrize(
    ("settings", "placed", "rows", "expected"),
    [
        # 1.875 · 2 ln 2; 4 ln 2; 2 ln 2
        ({}, {}, [OBJECT_2], [1.875 * 2 * LN2, 4 * LN2, 2 * LN2]),
        # x: ln(1 + e) - 0.4; w: ½ 0.2²
        (
            {},
            {"row2": {0: 1.0, 2: 0.2}},
            [OBJECT_2],
            [1.875 * (math.log(1 + math.e) - 0.4 + LN2 + 0.02), 4 * LN2, 2 * LN2],
        ),
        # objectness ln 3 is 3/4: -ln 3/4; another candidate's: -ln 1/4
        ({}, {"row2": {4: math.log(3)}, "row0": {4: math.log(3)}}, [OBJECT_2],
         [1.875 * 2 * LN2, math.log(4 / 3) + math.log(4) + 2 * LN2, 2 * LN2]),
        # classes ln 3: the wrong one -ln 1/4, the right one -ln 3/4
        ({}, {"row2": {5: math.log(3), 6: math.log(3)}}, [OBJECT_2],
         [1.875 * 2 * LN2, 4 * LN2, math.log(4) + math.log(4 / 3)]),
        ({"ignore": 0.3}, {}, [OBJECT_2], [1.875 * 2 * LN2, 3 * LN2, 2 * LN2]),
        (
            {"coord": 2.0, "object": 4.0, "no_object": 3.0, "classes": 7.0},
            {},
            [OBJECT_2],
            [2 * 1.875 * 2 * LN2, (4 + 9) * LN2, 14 * LN2],
        ),
        ({}, {}, [NONE], [0, 4 * LN2, 0]),
        ({}, {}, [(0.625, 0.25, 0.875, 0.75, 0, 0)], [0, 3 * LN2, 0]),
        ({"box": "iou"}, {}, [OBJECT_2], [1.875 * 9 / 17, 4 * LN2, 2 * LN2]),
        # the box around both is 0.3 · 0.6 = 0.18, of which 0.01 belongs to none
        ({"box": "giou"}, {}, [OBJECT_2], [1.875 * (9 / 17 + 0.01 / 0.18), 4 * LN2, 2 * LN2]),
        # centres are 0.05 and 0.1 apart: 0.0125 of the diagonal's 0.3² + 0.6²; the shapes are the same
        ({"box": "diou"}, {}, [OBJECT_2], [1.875 * (9 / 17 + 0.0125 / 0.45), 4 * LN2, 2 * LN2]),
        ({"box": "ciou"}, {}, [OBJECT_2], [1.875 * (9 / 17 + 0.0125 / 0.45), 4 * LN2, 2 * LN2]),
    ],
)  # fmt: skip
def test_v3_on_paper(
    settings: dict[str, Any], placed: dict[str, dict[int, float]], rows: list[Any], expected: list[float]
) -> None:
    loss = YoloV3Loss([[ANCHORED]], **settings)
    np.testing.assert_allclose(parts(loss, truth(*rows), raw(4, **placed)), expected, rtol=1e-5, atol=1e-6)


def test_centres_that_may_leave_their_cell() -> None:
    """With a bend of 2 the sigmoid 0.45 is what gives 2 · 0.45 - ½ = 0.4."""
    bent = Grid(1, 2, ANCHORED.anchors, 2.0)
    met = raw(4, row2={0: math.log(0.45 / 0.55), 1: math.log(0.45 / 0.55)})
    assert parts(YoloV2Loss([[bent]]), truth(OBJECT_2), met)[0] == pytest.approx(0, abs=1e-6)
    least = -(0.45 * math.log(0.45) + 0.55 * math.log(0.55))  # the entropy of what is sought
    assert parts(YoloV3Loss([[bent]]), truth(OBJECT_2), met)[0] == pytest.approx(1.875 * 2 * least, rel=1e-5)
    assert slope(YoloV3Loss([[bent]]), truth(OBJECT_2), met)[1][0, 2, :4] == pytest.approx([0] * 4, abs=1e-6)


EVERY = [
    pytest.param(YoloV1Loss([[CELLS]]), 8, OBJECT_1, id="v1"),
    pytest.param(YoloV1Loss([[CELLS]], softmax=True, sqrt=False), 8, OBJECT_1, id="v1-softmax"),
    pytest.param(YoloV2Loss([[ANCHORED]]), 4, OBJECT_2, id="v2"),
    pytest.param(YoloV3Loss([[ANCHORED]]), 4, OBJECT_2, id="v3"),
    pytest.param(YoloV3Loss([[ANCHORED]], box="ciou"), 4, OBJECT_2, id="v3-ciou"),
]


@pytest.mark.parametrize(("loss", "count", "row"), EVERY)
def test_of_two_that_ask_for_one_candidate_the_later_has_it(loss: YoloLoss, count: int, row: tuple[float, ...]) -> None:
    other = (*(side + 0.01 for side in row[:4]), 0, 1)
    numbers = np.random.default_rng(3).normal(0, 0.1, (1, count, 7)).astype(np.float32)
    assert parts(loss, truth(other, row, NONE), numbers) == pytest.approx(parts(loss, truth(row), numbers))
    assert parts(loss, truth(row, other), numbers) == pytest.approx(parts(loss, truth(other), numbers))
    assert parts(loss, truth(row), numbers) != pytest.approx(parts(loss, truth(other), numbers))


@pytest.mark.backends
@pytest.mark.parametrize(("loss", "count", "row"), EVERY)
@pytest.mark.parametrize("rows", [[], [NONE, NONE]])
def test_an_image_without_objects_learns_that_there_are_none(
    loss: YoloLoss, count: int, row: tuple[float, ...], rows: list[tuple[float, ...]]
) -> None:
    y_true = np.array(rows, np.float32).reshape(1, len(rows), 6)
    numbers = np.random.default_rng(0).normal(0, 1, (1, count, 7)).astype(np.float32)
    value, gradient = slope(loss, y_true, numbers)
    assert math.isfinite(value) and np.isfinite(gradient).all()
    assert gradient[..., 4].all() and not np.delete(gradient, 4, axis=-1).any()


@pytest.mark.backends
@pytest.mark.parametrize(("loss", "count", "row"), EVERY)
def test_extreme_predictions_give_finite_numbers(loss: YoloLoss, count: int, row: tuple[float, ...]) -> None:
    rows = truth(row, (0.0, 0.0, 1e-6, 1.0, 0, 1), (0.2, 0.2, 0.9, 0.9, 1, 0), NONE)
    sizes = np.float32([-1e4, -90.0, 90.0, 1e4])[:, None, None]
    value, gradient = slope(loss, np.repeat(rows, 4, axis=0), sizes * np.ones((4, count, 7), np.float32))
    assert math.isfinite(value) and np.isfinite(gradient).all()


@pytest.mark.parametrize(("loss", "count", "row"), EVERY)
def test_each_image_has_its_own_loss(loss: YoloLoss, count: int, row: tuple[float, ...]) -> None:
    """Whatever stands beside it in the batch, and however its truths are padded; Keras averages over the batch."""
    numbers = np.random.default_rng(1).normal(0, 1, (3, count, 7)).astype(np.float32)
    y_true = np.concatenate([truth(row, NONE), truth(NONE, row), truth(NONE, NONE)])
    together = np.asarray(keras.ops.convert_to_numpy(loss.call(y_true, numbers)))
    alone = [sum(parts(loss, y_true[place : place + 1], numbers[place : place + 1])) for place in range(3)]
    np.testing.assert_allclose(together, alone, rtol=1e-5)
    assert together[0] == pytest.approx(sum(parts(loss, truth(row), numbers[:1])), rel=1e-5)
    assert float(loss(y_true, numbers)) == pytest.approx(np.mean(alone), rel=1e-5)


@pytest.mark.parametrize(("loss", "count", "row"), EVERY)
def test_saved_as_plain_values(loss: YoloLoss, count: int, row: tuple[float, ...]) -> None:
    written = json.loads(json.dumps(keras.losses.serialize(loss)))
    again = keras.losses.deserialize(written)
    assert type(again) is type(loss) and again.get_config() == loss.get_config()
    numbers = np.random.default_rng(2).normal(0, 1, (1, count, 7)).astype(np.float32)
    assert parts(again, truth(row), numbers) == parts(loss, truth(row), numbers)


def test_boxes_are_those_that_the_model_shows() -> None:
    grids = (ANCHORED, Grid(2, 3, ((0.1, 0.2),), 1.5))
    numbers = np.random.default_rng(4).normal(0, 1, (2, 10, 7)).astype(np.float32)
    shown = keras.ops.convert_to_numpy(Decode(grids)(numbers))[..., :4]
    tensor = keras.ops.convert_to_tensor(numbers)
    mine = keras.ops.convert_to_numpy(boxes(tensor, places_of(Candidates.of(grids))))
    np.testing.assert_allclose(mine, shown, rtol=1e-5, atol=1e-6)


ANCHORS = ((16.0, 32.0), (32.0, 16.0), (64.0, 64.0))


@pytest.mark.parametrize(
    ("task", "kind"),
    [
        (YoloV1(2), YoloV1Loss),
        (YoloV2(2, ANCHORS), YoloV2Loss),
        (YoloMaps(2, (YoloOutput("P5", ANCHORS),), softmax=True), YoloV2Loss),
        (YoloMaps(2, (YoloOutput("P5", ANCHORS),)), YoloV3Loss),
        (YoloV3(2, ANCHORS), YoloV3Loss),
        (YoloV3Tiny(2, ANCHORS, ("P4",)), YoloV3Loss),
    ],
)
def test_the_loss_of_a_task(task: Any, kind: type) -> None:
    assert type(loss_of(task, Candidates.of([ANCHORED]))) is kind


def test_the_loss_of_a_task_has_its_settings() -> None:
    loss = loss_of(YoloV1(2, sqrt=False, softmax=True), Candidates.of([CELLS]))
    assert loss.get_config()["sqrt"] is False and loss.get_config()["softmax"] is True
    assert loss_of(YoloV3(2), [ANCHORED], box="ciou").get_config()["box"] == "ciou"
    with pytest.raises(check.SettingError, match="squared for YoloV2; got ciou"):
        loss_of(YoloV2(2), [ANCHORED], box="ciou")
    with pytest.raises(check.SettingError, match="Did you mean 'ciou'"):
        loss_of(YoloV3(2), [ANCHORED], box="cious")


def test_each_input_size_has_its_candidates() -> None:
    """Multi-scale training: the number of candidates says which size it is."""
    small, large = (ANCHORED,), (Grid(2, 4, ANCHORED.anchors),)
    loss = loss_of(YoloV3(2), {4: Candidates.of(small), 16: Candidates.of(large)})
    for grids, count in ((small, 4), (large, 16)):
        numbers = np.random.default_rng(5).normal(0, 1, (1, count, 7)).astype(np.float32)
        assert parts(loss, truth(OBJECT_2), numbers) == parts(YoloV3Loss([grids]), truth(OBJECT_2), numbers)
    with pytest.raises(check.SettingError, match="expected 4 or 16 candidates; got 5"):
        loss(truth(OBJECT_2), np.zeros((1, 5, 7), np.float32))


@pytest.mark.parametrize(
    ("candidates", "message"),
    [
        ({}, "at least one input size; got none"),
        ([], "at each input size another number of them; got 0"),
        ({5: [ANCHORED]}, "candidates of 5: expected 5 candidates; got 4"),
    ],
)
def test_sizes_that_cannot_be(candidates: Any, message: str) -> None:
    with pytest.raises(check.SettingError, match=message):
        loss_of(YoloV3(2), candidates)


def test_two_sizes_of_as_many_candidates_are_refused() -> None:
    with pytest.raises(check.SettingError, match="another number of them; got 4 twice"):
        YoloV3Loss([[ANCHORED], [Grid(2, 1, ANCHORED.anchors)]])
    assert YoloV3Loss([[ANCHORED], [ANCHORED]]).sizes.of(4)[0] == (ANCHORED,)  # the same again is no contradiction


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"coord": -1.0}, "loss.coord: expected a number from 0"),
        ({"no_object": math.nan}, "loss.no_object"),
        ({"ignore": 1.5}, "loss.ignore: expected a number from 0 to 1"),
    ],
)
def test_settings_out_of_range(settings: dict[str, float], message: str) -> None:
    for kind in (YoloV1Loss, YoloV2Loss, YoloV3Loss):
        with pytest.raises(check.SettingError, match=message):
            kind([[ANCHORED]], **settings)


def test_maps_from_candidates_and_back() -> None:
    grids = (Grid(2, 3, ((0.1, 0.2), (0.3, 0.4)), 1.5), Grid(1, 1, ((0.5, 0.5),)), Grid(1, 1, ((0.25, 0.5),)))
    found = grids_of(Candidates.of(grids))
    assert [(one.rows, one.columns, one.scale_xy) for one in found] == [(2, 3, 1.5), (1, 1, 1.0), (1, 1, 1.0)]
    for one, given in zip(found, grids, strict=True):
        np.testing.assert_allclose(one.anchors, given.anchors, rtol=1e-7)
