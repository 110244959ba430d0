"""Detector heads: their shapes, the order of their candidates, and what the raw numbers mean, worked out on paper."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from lensmith import check, compose
from lensmith.boxes import Thresholds
from lensmith.compose import Classify, Recipe, YoloMaps, YoloOutput, YoloV1, YoloV2, YoloV3, YoloV3Tiny, zoo
from lensmith.compose.cost import sketch
from lensmith.compose.detection import Candidates, Decode, Grid
from lensmith.compose.detection.space import CellsToRows, SpaceToDepth

SIX = ((10, 14), (23, 27), (37, 58), (81, 82), (135, 169), (344, 319))
NINE = (*SIX, (400, 300), (300, 400), (410, 410))
SMALL = replace(zoo.get("mobilenet-v1-0.25"), input=(64, 96, 3))

TASKS = [
    # the task, and how many candidates an input of 64×96 has
    pytest.param(YoloV3Tiny(3, SIX, width=16), 3 * (2 * 3 + 4 * 6), id="tiny"),
    pytest.param(YoloV3(2, NINE, width=16), 3 * (2 * 3 + 4 * 6 + 8 * 12), id="v3"),
    pytest.param(YoloV3(1, SIX[:2], taps=("P4",), width=16), 2 * 4 * 6, id="v3 on one map, one class"),
    pytest.param(YoloV2(4, SIX[:5], width=16), 5 * 2 * 3, id="v2"),
    pytest.param(YoloV2(4, SIX[:5], width=16, passthrough=None), 5 * 2 * 3, id="v2 without pass-through"),
    pytest.param(YoloV1(5, grid=3, boxes=2, hidden=(8,)), 3 * 3 * 2, id="v1"),
]


@pytest.mark.backends
@pytest.mark.parametrize(("task", "count"), TASKS)
def test_a_head_gives_a_row_for_each_candidate(task, count):
    recipe = replace(SMALL, tasks={"objects": task})
    assert Recipe.from_yaml(recipe.to_yaml()) == recipe
    model = recipe.build(seed=0)
    assert model.output.shape == (None, count, 5 + task.classes)
    assert compose.logits(model).output.shape == model.output.shape
    assert len(sketch(recipe).get_layer("task-objects-detections").candidates) == count
    assert recipe.count() == (model.count_params(), sum(math.prod(one.shape) for one in model.trainable_weights))
    rows = model.predict_on_batch(np.zeros((2, 64, 96, 3), np.float32))
    assert rows.shape == (2, count, 5 + task.classes) and np.isfinite(rows).all()


def test_a_model_may_classify_and_detect_on_one_backbone():
    recipe = replace(SMALL, tasks={"scene": Classify(2), "objects": YoloV3Tiny(3, SIX, width=16)})
    model = recipe.build(seed=0)
    assert {task: tuple(tensor.shape) for task, tensor in model.output.items()} == {
        "scene": (None, 2),
        "objects": (None, 90, 8),
    }


def test_hardly_a_candidate_holds_an_object_at_the_start():
    model = replace(SMALL, tasks={"objects": YoloV3Tiny(3, SIX, width=16)}).build(seed=0)
    rows = model.predict_on_batch(np.random.default_rng(0).random((1, 64, 96, 3), np.float32))
    assert 0.005 < rows[..., 4].mean() < 0.02


def test_candidates_come_map_by_map_cell_by_cell_anchor_by_anchor():
    made = Candidates.of([Grid(1, 2, ((0.5, 0.25), (0.1, 0.2))), Grid(2, 1, ((0.3, 0.3),))])
    assert made.cells.tolist() == [[0, 0], [0, 0], [1, 0], [1, 0], [0, 0], [0, 1]]
    assert made.grid.tolist() == [[2, 1]] * 4 + [[1, 2]] * 2
    assert made.anchor.tolist() == [0, 1, 0, 1, 0, 0] and made.scale.tolist() == [0, 0, 0, 0, 1, 1]


@pytest.mark.backends
def test_anchored_numbers_on_paper():
    # One cell of two; sigmoid(0) = 1/2, exp(log 2) = 2: the centre is (1 + 1/2) / 2 = 0.75 across and 0.5 down, the
    # sides 2 · 0.2 = 0.4 and 0.1. Objectness sigmoid(0) = 1/2; classes sigmoid(0) = 1/2 and sigmoid(log 3) = 3/4.
    layer = Decode([Grid(1, 2, ((0.2, 0.1),))])
    raw = np.zeros((1, 2, 7), np.float32)
    raw[0, 1] = [0, 0, math.log(2), 0, 0, 0, math.log(3)]
    given = np.asarray(layer(raw))[0, 1]
    np.testing.assert_allclose(given, [0.55, 0.45, 0.95, 0.55, 0.5, 0.25, 0.375], atol=1e-6)
    softmax = np.asarray(Decode([Grid(1, 2, ((0.2, 0.1),))], softmax=True)(raw))[0, 1]
    np.testing.assert_allclose(softmax[5:], [0.5 * 1 / 4, 0.5 * 3 / 4], atol=1e-6)


def test_a_centre_may_leave_its_cell_where_the_scale_says_so():
    # 2 · sigmoid(large) − 1/2 = 1.5: half a cell further than the cell's end.
    raw = np.full((1, 1, 6), 50, np.float32)
    raw[..., 2:4] = 0
    given = np.asarray(Decode([Grid(1, 1, ((1.0, 1.0),), 2.0)])(raw))[0, 0]
    np.testing.assert_allclose(given[:2], [1.0, 1.0], atol=1e-6)


@pytest.mark.backends
def test_cells_on_paper():
    # Column 1 of 2: (1 + 0.5) / 2 = 0.75; sides 0.6² = 0.36 and 0.2² = 0.04; scores 0.5 · (0.1, 0.9).
    raw = np.zeros((1, 4, 7), np.float32)
    raw[0, 1] = [0.5, 0.5, 0.6, 0.2, 0.5, 0.1, 0.9]
    given = np.asarray(Decode([Grid(2, 2, ((0.0, 0.0),))], "cells")(raw))[0, 1]
    np.testing.assert_allclose(given, [0.57, 0.23, 0.93, 0.27, 0.5, 0.05, 0.45], atol=1e-6)
    plain = np.asarray(Decode([Grid(2, 2, ((0.0, 0.0),))], "cells", sqrt=False)(raw))[0, 1]
    np.testing.assert_allclose(plain[2] - plain[0], 0.6, atol=1e-6)


@pytest.mark.backends
def test_the_vector_of_version_one_is_in_darknets_order():
    grid, boxes, classes = 2, 2, 3
    vector = np.arange(grid * grid * (classes + 5 * boxes), dtype=np.float32)[None]
    rows = np.asarray(CellsToRows(grid, boxes, classes)(vector))[0]
    for cell in range(grid * grid):
        for box in range(boxes):
            row = rows[cell * boxes + box]
            assert row[5:].tolist() == [cell * classes + one for one in range(classes)]
            assert row[4] == grid * grid * classes + cell * boxes + box
            assert row[0] == grid * grid * (classes + boxes) + (cell * boxes + box) * 4


@pytest.mark.backends
def test_pixels_become_channels():
    x = np.arange(16, dtype=np.float32).reshape(1, 4, 4, 1)
    assert np.asarray(SpaceToDepth(2)(x))[0, 0, 1].tolist() == [2, 3, 6, 7]


def test_a_saved_model_has_the_same_boxes(tmp_path):
    from lensmith.backend import keras

    model = replace(SMALL, tasks={"objects": YoloV2(4, SIX[:5], width=16)}).build(seed=0)
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    x = np.random.default_rng(0).random((1, 64, 96, 3), np.float32)
    np.testing.assert_array_equal(model.predict_on_batch(x), again.predict_on_batch(x))


def test_maps_as_they_are_read_layers_and_parts():
    recipe = replace(SMALL, tasks={"objects": YoloMaps(3, (YoloOutput("learner-group4", SIX[:2]),))})
    with pytest.raises(
        check.SettingError, match=r"tasks.objects: map 1: expected maps of 2 · 8 channels.*got \(4, 6, 128\)"
    ):
        recipe.build(seed=0)


REFUSED = [
    # what is wrong, and what the line says
    (lambda: YoloV3(2, SIX[:4]), "yolo-v3.anchors: expected pairs of width and height above 0, 3 times as many"),
    (lambda: YoloV2(2, ((0, 5),)), "yolo-v2.anchors: expected pairs of width and height above 0"),
    (lambda: YoloV3Tiny(0), "yolo-v3-tiny.classes: expected a whole number of at least 1"),
    (lambda: YoloV3Tiny(1, taps=("P4", "P4")), "yolo-v3-tiny.taps: expected names of feature maps"),
    (lambda: YoloV1(1, grid=0), "yolo-v1.grid: expected a whole number of at least 1"),
    (lambda: YoloMaps(1, ()), "yolo-maps.outputs: expected at least one YoloOutput"),
    (lambda: YoloOutput("P4", ()), "yolo-output.anchors: expected at least one"),
    (lambda: YoloV2(1, thresholds=0.5), "yolo-v2.thresholds: expected Thresholds; got 0.5"),
    (lambda: Thresholds(score=1.5), "thresholds.score: expected a number from 0 to 1; got 1.5"),
]


@pytest.mark.parametrize(("make", "message"), REFUSED)
def test_wrong_records_are_refused_in_one_line(make, message):
    with pytest.raises(check.SettingError) as refused:
        make()
    assert str(refused.value).startswith(message) and "\n" not in str(refused.value)


UNBUILDABLE = [
    # the task, and what the line says
    (YoloV3Tiny(2), "tasks.objects.anchors: expected width and height of each; got none"),
    (
        YoloV3Tiny(2, SIX, taps=("P6", "P5")),
        "tasks.objects.taps: expected feature maps of the backbone (P1, P2, P3, P4, P5)",
    ),
    (YoloV3(2, SIX, taps=("P5", "P3")), "tasks.objects.taps: P3: expected feature maps of 4×6, twice as large"),
    (YoloV1(2, grid=3, given=True), "tasks.objects: expected 108 numbers: 3·3·(2 + 5·2); got 1536"),
]


@pytest.mark.parametrize(("task", "message"), UNBUILDABLE)
def test_what_does_not_fit_the_backbone_is_refused(task, message):
    with pytest.raises(check.SettingError) as refused:
        replace(SMALL, tasks={"objects": task}).build(seed=0)
    assert str(refused.value).startswith(message)


def test_an_input_that_the_strides_do_not_divide_is_refused():
    recipe = replace(SMALL, input=(120, 120, 3), tasks={"objects": YoloV3Tiny(2, SIX, width=16)})
    with pytest.raises(check.SettingError, match="a multiple of 32"):
        recipe.build(seed=0)


def test_the_first_weights_of_a_head_follow_from_the_seed():
    recipe = replace(SMALL, tasks={"objects": YoloV3Tiny(2, SIX, width=16)})
    one, other = (recipe.build(seed=7).get_layer("task-objects-scale1-output").kernel for _ in range(2))
    np.testing.assert_array_equal(np.asarray(one), np.asarray(other))


def test_the_head_may_be_put_on_another_network():
    x = compose.encoding(SMALL.build(seed=0))
    made = compose.with_head(x, {"objects": YoloV3Tiny(2, SIX[:3], taps=("P5",), width=16)}, seed=0)
    assert made.output.shape == (None, 3 * 2 * 3, 7)


def test_a_sketch_knows_its_strides():
    recipe = replace(SMALL, tasks={"label": Classify(2)})
    built = compose.tap_names(recipe.build(seed=0))
    assert compose.tap_names(sketch(recipe)) == built
