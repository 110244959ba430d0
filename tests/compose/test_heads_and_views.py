"""Dense learners, heads, the views of a model (logits, embedding, taps) and its outline."""

from __future__ import annotations

import numpy as np
import pytest

from lensmith import check, compose
from lensmith.backend import keras
from lensmith.compose import (
    Basic,
    Binary,
    Classify,
    Conv,
    ConvStem,
    Dense,
    Flatten,
    Group,
    Groups,
    MultiLabel,
    Recipe,
    Regress,
)

SMALL = Recipe(
    input=(9, 12, 3),
    stem=ConvStem(4, kernel=3, stride=1),
    learner=Groups(Group(Basic(), filters=4, blocks=2, stride=1), Group(Basic(), filters=8)),
    tasks={"species": Classify(5, hidden=(6,)), "quality": Regress()},
)


def array(tensor) -> np.ndarray:
    return keras.ops.convert_to_numpy(tensor)


# --- dense learners and heads --------------------------------------------------------------------------------------


def names_of(model) -> list[str]:
    return [layer.name for layer in model.layers]


def test_dropout_of_a_dense_learner_comes_before_the_activation():
    model = Recipe((8,), None, Dense((4,), dropout=0.5), {"y": Regress()}).build(seed=0)
    assert names_of(model) == ["row", "learner-dense1", "learner-dropout1", "learner-activation1", "task-y-output"]


def test_dropout_of_a_head_comes_after_each_hidden_layer_or_after_the_pool():
    deep = Recipe((8,), None, None, {"y": Binary(hidden=(4, 3), dropout=0.5)}).build(seed=0)
    assert names_of(deep) == [
        "row",
        *(f"task-y-{kind}{i}" for i in (1, 2) for kind in ("dense", "activation", "dropout")),
        "task-y-logits",
        "task-y-probabilities",
    ]
    flat = Recipe((4, 4, 2), None, None, {"y": Binary(dropout=0.5)}).build(seed=0)
    assert names_of(flat)[1:] == ["task-y-pool", "task-y-dropout", "task-y-logits", "task-y-probabilities"]


@pytest.mark.parametrize(
    ("pool", "reference"),
    [
        ("average", lambda x: x.mean(axis=(1, 2))),
        ("max", lambda x: x.max(axis=(1, 2))),
        ("flatten", lambda x: x.reshape(len(x), -1)),  # rows, then columns, then channels
    ],
)
def test_how_a_head_pools(pool, reference, batch):
    model = Recipe((3, 5, 2), None, None, {"y": Regress(pool=pool)}).build(seed=0)
    x = batch((3, 5, 2))
    np.testing.assert_allclose(array(compose.embedding(model)(x)), reference(x), rtol=1e-6)


def test_a_dense_network_is_the_sum_it_says(fill, batch):
    model = fill(Recipe((6,), None, Dense((5,), activation="tanh"), {"y": Classify(3)}).build(seed=0))
    given_weights = {weight.path: array(weight).astype("float64") for weight in model.weights}
    x = batch((6,))
    hidden = np.tanh(x @ given_weights["learner-dense1/kernel"] + given_weights["learner-dense1/bias"])
    logits = hidden @ given_weights["task-y-logits/kernel"] + given_weights["task-y-logits/bias"]
    np.testing.assert_allclose(array(compose.logits(model)(x)), logits, atol=1e-5)
    np.testing.assert_allclose(array(model(x)), np.exp(logits) / np.exp(logits).sum(1, keepdims=True), atol=1e-6)


@pytest.mark.parametrize(
    ("task", "units", "activation", "loss", "kind"),
    [
        (Classify(5), 5, "softmax", "sparse_categorical_crossentropy", "class"),
        (Binary(), 1, "sigmoid", "binary_crossentropy", "class"),
        (MultiLabel(7), 7, "sigmoid", "binary_crossentropy", "classes"),
        (Regress(2), 2, "linear", "mean_squared_error", "number"),
    ],
)
def test_what_each_task_is_trained_with(task, units, activation, loss, kind):
    assert (task.units, task.output_activation, task.loss, task.kind) == (units, activation, loss, kind)
    assert Recipe((4,), None, None, {"y": task}).build(seed=0).output.shape == (None, units)


# --- views ---------------------------------------------------------------------------------------------------------

# The heads are of unequal depth, and Keras lists the layers of a model by depth.
SEVERAL = {"zeta": Classify(3), "alpha": Classify(2, hidden=(4, 4)), "mid": Regress()}


def test_tasks_keep_their_order_everywhere():
    model = Recipe((8,), None, None, SEVERAL).build(seed=0)
    assert list(model.output) == list(compose.logits(model).output) == list(SEVERAL)
    assert [part.name for part in compose.outline(model)] == ["input", *(f"task-{name}" for name in SEVERAL)]
    assert compose.embedding(model).output.shape == (None, 8)  # of zeta, the first


def test_one_task_gives_a_tensor_and_several_a_dictionary():
    one = Recipe((8,), None, None, {"alpha": SEVERAL["alpha"]}).build(seed=0)
    assert one.output.shape == compose.logits(one).output.shape == (None, 2)
    assert compose.embedding(one).output.shape == (None, 4)  # the last hidden layer


def test_logits_of_logits_are_the_logits(batch):
    view = compose.logits(SMALL.build(seed=0))
    x = batch(SMALL.input)
    for name, value in compose.logits(view)(x).items():
        np.testing.assert_array_equal(array(value), array(view(x)[name]))


def test_training_a_view_trains_the_model(batch):
    model = SMALL.build(seed=0)
    view = compose.logits(model)
    view.get_layer("task-quality-output").bias.assign([41.0])
    assert array(model(batch(SMALL.input))["quality"]).mean() > 30


def test_a_model_without_connected_layers_is_refused():
    with pytest.raises(check.SettingError, match="give it an Input"):
        compose.logits(keras.Sequential([keras.layers.Dense(2)], name="loose"))


@pytest.mark.parametrize(
    ("recipe", "expected"),
    [
        # a stem of stride 2 and its pool
        (
            Recipe((32, 32, 3), ConvStem(4, pool=3), None, {"y": Binary()}),
            {"P1": "stem-activation", "P2": "stem-pool"},
        ),
        # the last block of each size; a pool opens the next
        (
            Recipe((32, 32, 3), None, Groups(Group(Conv(), (4, 4), pool=2), Group(Conv(), (4, 4))), {"y": Binary()}),
            {"P0": "learner-group1-block2-activation", "P1": "learner-group2-block2-activation"},
        ),
        # strides that are no power of two
        (
            Recipe((36, 36, 3), None, Groups(*[Group(Conv(), 4, stride=3, pool=2)] * 2), {"y": Binary()}),
            {
                "S3": "learner-group1-block1-activation",
                "S6": "learner-group1-pool",
                "S18": "learner-group2-block1-activation",
                "S36": "learner-group2-pool",
            },
        ),
        # dropout is no feature map of its own; the closing norm of version 2 is
        (
            Recipe((32, 32, 3), None, Groups(Group(Basic(version="2"), 4, dropout=0.5)), {"y": Binary()}),
            {"P1": "learner-relu"},
        ),
        # rows have no size
        (Recipe((13,), None, Dense((10,)), {"y": Regress()}), {}),
        (Recipe((8, 8, 1), Flatten(), Dense((10,)), {"y": Regress()}), {}),
    ],
)
def test_taps(recipe, expected):
    assert compose.tap_names(recipe.build(seed=0)) == expected


# --- outline -------------------------------------------------------------------------------------------------------


def test_outline_on_paper():
    found = {part.name: (part.shape, part.parameters, part.trainable) for part in compose.outline(SMALL.build(seed=0))}
    norm = 4 * 4  # gamma and beta are trained, the two moving statistics are not
    block = 2 * (9 * 4 * 4 + norm)
    wide = 9 * 4 * 8 + 9 * 8 * 8 + 4 * 8 + 3 * (4 * 8)  # two convolutions, the projection, three norms of 8 channels
    assert found == {
        "input": ((9, 12, 3), 0, 0),
        "stem": ((9, 12, 4), 9 * 3 * 4 + norm, 9 * 3 * 4 + norm // 2),
        "learner-group1": ((9, 12, 4), 2 * block, 2 * (block - norm)),
        "learner-group2": ((5, 6, 8), wide, wide - 3 * 2 * 8),
        "task-species": ((5,), 8 * 6 + 6 + 6 * 5 + 5, 89),
        "task-quality": ((1,), 9, 9),
    }


def test_outline_says_what_a_part_is_made_of():
    stem = compose.outline(SMALL.build(seed=0))[1]
    assert (stem.name, stem.layers, stem.detail) == ("stem", 3, "1 Conv2D, 1 BatchNormalization")


def test_outline_puts_group_10_after_group_9():
    learner = Groups(*[Group(Conv(kernel=1), filters=1)] * 11)
    parts = compose.outline(Recipe((2, 2, 1), None, learner, {"y": Binary()}).build(seed=0))
    assert [part.name for part in parts[1:-1]] == [f"learner-group{i}" for i in range(1, 12)]


def test_frozen_layers_are_not_trainable_in_the_outline():
    model = SMALL.build(seed=0)
    model.get_layer("stem-conv").trainable = False
    assert compose.outline(model)[1].trainable == 8
