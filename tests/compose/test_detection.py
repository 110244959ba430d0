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


# --- what is done with any model -----------------------------------------------------------------------------------

TINY = YoloV3Tiny(3, SIX, width=16)
BOTH = replace(SMALL, tasks={"scene": Classify(2), "objects": TINY})
PHOTOS = np.random.default_rng(0).random((2, 64, 96, 3), np.float32)


def test_boxes_stay_in_full_precision():
    """Eight bits are too few for where a box is."""
    from lensmith.backend import keras

    before = keras.config.dtype_policy()
    expected = BOTH.build(seed=0).predict_on_batch(PHOTOS)["objects"]
    try:
        keras.config.set_dtype_policy("mixed_bfloat16")
        model = BOTH.build(seed=0)
    finally:
        keras.config.set_dtype_policy(before)
    assert str(compose.logits(model).output["objects"].dtype) == "bfloat16"
    assert str(model.output["objects"].dtype) == "float32"
    rows = model.predict_on_batch(PHOTOS)["objects"]
    assert rows.dtype == np.float32
    np.testing.assert_allclose(rows, expected, atol=0.02, rtol=0.02)


def test_decode_is_called_on_as_many_candidates_as_its_maps_have():
    with pytest.raises(ValueError, match=r"expected 2 candidates, as images of the model's own size have; got 3"):
        Decode([Grid(1, 2, ((0.2, 0.1),))])(np.zeros((1, 3, 7), np.float32))


def test_its_embedding_is_the_average_of_the_last_maps():
    for recipe in (replace(SMALL, tasks={"objects": TINY}), replace(BOTH, tasks={"objects": TINY, **BOTH.tasks})):
        model = recipe.build(seed=0)
        maps = compose.encoding(model).predict_on_batch(PHOTOS)
        rows = compose.embedding(model).predict_on_batch(PHOTOS)
        assert rows.shape == (2, 256)
        np.testing.assert_allclose(rows, maps.mean((1, 2)), atol=1e-6)
    first = replace(SMALL, tasks={"objects": YoloV1(2, grid=3, hidden=(8,))}).build(seed=0)
    assert compose.embedding(first).output.shape == (None, 8)


def test_a_frozen_backbone_is_computed_once():
    model = BOTH.build(seed=0)
    halves = compose.halves(model, ["stem", "learner"])
    given, expected = (
        halves.rest.predict_on_batch(halves.front.predict_on_batch(PHOTOS)),
        model.predict_on_batch(PHOTOS),
    )
    for task, rows in expected.items():
        np.testing.assert_allclose(given[task], rows, atol=1e-6)
    compose.freeze(model, "stem", "learner")
    assert {weight.path.split("-")[0] for weight in model.trainable_weights} == {"task"}


def test_several_recipes_become_one_with_a_detector():
    recipe = compose.amalgamate(
        {"things": replace(SMALL, tasks={"a": TINY}), "scene": replace(SMALL, tasks={"b": Classify(4)})}
    )
    assert list(recipe.tasks) == ["things", "scene"]
    assert {task: tuple(x.shape) for task, x in recipe.build(seed=0).output.items()} == {
        "things": (None, 90, 8),
        "scene": (None, 4),
    }
    assert [part.name for part in compose.outline(recipe)][-2:] == ["task-things", "task-scene"]


def test_a_chain_may_detect_while_it_looks_for_the_crop():
    find = replace(SMALL, tasks={"where": compose.Localise(), "objects": TINY})
    eye = compose.Groups(compose.Group(compose.Conv(), filters=8, pool=2))
    chain = compose.Chain(find, compose.Crop("where"), Recipe((14, 14, 3), None, eye, {"digit": Classify(10)}))
    assert compose.read_yaml(chain.to_yaml()) == chain
    rows = chain.build(seed=0).predict_on_batch(PHOTOS)
    np.testing.assert_allclose(rows["objects"], find.build(seed=0).predict_on_batch(PHOTOS)["objects"], atol=1e-6)
    with pytest.raises(check.SettingError, match=r"then.tasks: expected heads of what its learner gives last"):
        compose.Chain(find, compose.Crop("where"), replace(SMALL, tasks={"more": TINY}))


def test_rows_are_no_maps():
    recipe = Recipe((8,), None, compose.Dense((4,)), {"objects": YoloV2(2, SIX[:2], tap="learner-dense1")})
    with pytest.raises(check.SettingError, match=r"tasks.objects.tap: expected feature maps of the backbone \(none\)"):
        recipe.build(seed=0)


def test_maps_are_looked_up_in_one_model(monkeypatch):
    """A graph of a hundred layers and three taps is gone through once."""
    from lensmith.backend import keras
    from lensmith.compose.detection import Taps

    backbone = compose.encoding(SMALL.build(seed=0))
    taps, made = Taps(backbone.input, backbone.output), []
    monkeypatch.setattr(keras, "Model", lambda *args: made.append(args) or backbone)
    assert [taps.get(tap, "taps").shape[1:3] for tap in ("P5", "P4", "learner-group3")] == [(2, 3), (4, 6), (8, 12)]
    assert len(made) == 1
