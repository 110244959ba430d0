"""Models for images of any size: the same layers give what a model built for that size would give."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from lensmith import backend, check, compose
from lensmith.backend import keras
from lensmith.compose import Classify, Conventions, Localise, Recipe, YoloV1, YoloV2, YoloV3Tiny, zoo
from lensmith.compose.learners import LayerGraph
from lensmith.compose.learners.layer_graph import layer_name
from lensmith.compose.learners.layer_graph_joins import Route
from lensmith.compose.learners.layer_graph_plain import MaxPool, Reorg
from lensmith.compose.learners.layer_graph_records import Convolution, Local

SIX = ((10, 14), (23, 27), (37, 58), (81, 82), (135, 169), (344, 319))
MOBILE = replace(zoo.get("mobilenet-v1-0.25"), input=(64, 96, 3))  # pads as TensorFlow does, which depends on the size


def photos(*size: int) -> np.ndarray:
    return np.random.default_rng(0).random((2, *size, 3), np.float32)


def raw(recipe: Recipe, size: tuple[int, int]) -> dict[str, np.ndarray]:
    """What a model built for this size gives before its last activations."""
    model = compose.logits(replace(recipe, input=(*size, 3)).build(seed=0))
    return named(recipe, backend.predict(model, photos(*size)))


def named(recipe: Recipe, given: object) -> dict[str, np.ndarray]:
    found = given if isinstance(given, dict) else {next(iter(recipe.tasks)): given}
    return {task: np.asarray(values) for task, values in found.items()}


GRAPH = LayerGraph(
    (Convolution(8, 3, 2, 1, activation="leaky"), MaxPool(2, 2), Convolution(16, 3, 1, 1), MaxPool(2, 1), Route((1, 3)))
)
TINY = YoloV3Tiny(3, SIX, width=16)
RECIPES = {
    "a detector and a classifier": replace(MOBILE, tasks={"scene": Classify(2), "objects": TINY}),
    "a pass-through": replace(MOBILE, tasks={"objects": YoloV2(4, SIX[:5], width=16)}),
    "symmetric padding": replace(MOBILE, tasks={"objects": TINY}, conventions=Conventions(padding="symmetric")),
    "a layer graph": Recipe((64, 96, 3), None, GRAPH, {"where": Localise()}),
}


@pytest.mark.backends
@pytest.mark.parametrize("name", RECIPES)
def test_it_gives_what_a_model_of_that_size_gives(name: str) -> None:
    recipe = RECIPES[name]
    model = compose.resizable(compose.logits(recipe.build(seed=0)))
    assert tuple(model.input.shape) == (None, None, None, 3)
    for size in ((64, 96), (96, 64), (128, 128)):  # 32 divides the differences
        given = named(
            recipe, keras.tree.map_structure(keras.ops.convert_to_numpy, model(photos(*size), training=False))
        )
        for task, expected in raw(recipe, size).items():
            np.testing.assert_allclose(given[task], expected, atol=1e-5 * max(1.0, float(np.abs(expected).max())))


def test_it_shares_its_weights_with_the_model() -> None:
    model = compose.logits(RECIPES["a pass-through"].build(seed=0))
    assert [id(weight) for weight in compose.resizable(model).weights] == [id(weight) for weight in model.weights]


REFUSED = [
    # what has a layer for which the size matters, and how the line begins
    (replace(MOBILE, tasks={"label": Classify(3, pool="flatten")}), "task-label-pool: expected 1536 numbers in a row"),
    (replace(MOBILE, tasks={"objects": YoloV1(2, grid=2)}), "task-objects-flat: expected 1536 numbers in a row"),
    (replace(zoo.get("vgg16"), input=(32, 32, 3)), "task-label-pool: expected 512 numbers in a row"),
    (
        Recipe((8, 8, 3), None, LayerGraph((Local(2, 3),)), {"label": Classify(2)}),
        "learner-layer0-local: expected feature maps of a fixed size of at least 3 pixels; got None×None",
    ),
    (
        Recipe((8, 8, 4), None, LayerGraph((Reorg(2),)), {"label": Classify(2)}),
        "learner-layer0-reorg: expected height and width that 2 divides, and channels that 4 divides; got None×None×4",
    ),
]


@pytest.mark.parametrize(("recipe", "message"), REFUSED)
def test_layers_that_need_a_size_are_refused_in_one_line(recipe: Recipe, message: str) -> None:
    with pytest.raises(check.SettingError) as refused:
        compose.resizable(compose.logits(recipe.build(seed=0)))
    assert "\n" not in str(refused.value)
    assert str(refused.value).startswith(message)


def test_what_a_detector_means_depends_on_the_size() -> None:
    model = compose.resizable(replace(MOBILE, tasks={"objects": TINY}).build(seed=0))
    assert model(photos(64, 96)).shape == (2, 90, 8)
    with pytest.raises(
        ValueError, match=r"expected 90 candidates, .*; got 180\. For other sizes take the model's logits"
    ):
        model(photos(128, 96))


def test_a_detector_at_another_size_is_refused_in_one_line() -> None:
    model = replace(MOBILE, tasks={"objects": TINY}).build(seed=0)
    with pytest.raises(check.SettingError) as refused:
        compose.tapped(model, ["task-objects-detections"], size=(128, 96))
    assert str(refused.value).startswith(
        "task-objects-detections: expected 90 candidates, as images of the model's own"
    )
    assert "\n" not in str(refused.value)


def test_layers_of_a_graph_are_called_as_before() -> None:
    model = RECIPES["a layer graph"].build(seed=0)
    names = {layer.name for layer in compose.resizable(model).layers}
    assert f"{layer_name(0)}-conv" in names
