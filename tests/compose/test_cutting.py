"""The last layers cut off and other heads put on: parameters as the books count them, and the layers shared."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from lensmith.backend import keras
from lensmith.compose import (
    Basic,
    Binary,
    Classify,
    ConvStem,
    Dense,
    Group,
    Groups,
    Recipe,
    Regress,
    embedding,
    logits,
    tap_names,
    zoo,
)
from lensmith.compose.cutting import with_head, without_last
from lensmith.compose.freezing import freeze

layers = keras.layers

SMALL = Recipe(
    input=(9, 12, 3),
    stem=ConvStem(4, kernel=3, stride=1),
    learner=Groups(Group(Basic(), filters=4, blocks=2, stride=1), Group(Basic(), filters=8)),
    tasks={"species": Classify(5, hidden=(6,)), "quality": Regress()},
)
ONE = replace(SMALL, tasks={"species": Classify(5, hidden=(6,))})


def array(tensor: Any) -> np.ndarray:
    return keras.ops.convert_to_numpy(tensor)


def plain(*units: int) -> Any:
    dense = [layers.Dense(width, activation="relu", name=f"dense{i}") for i, width in enumerate(units, start=1)]
    return keras.Sequential([layers.Input((784,)), *dense])


def nested() -> Any:
    start = keras.Input((8, 8, 3))
    x = layers.Conv2D(2, 3, name="block1_conv1")(start)
    x = layers.BatchNormalization(name="block1_norm")(x)
    base = keras.Model(start, layers.MaxPooling2D(name="block1_pool")(x), name="base")
    head = [layers.Flatten(name="flat"), layers.Dense(4, name="fc1"), layers.Dense(3, activation="softmax", name="fc2")]
    return keras.Sequential([layers.Input((8, 8, 3)), base, *head])


# --- numbers of the books ------------------------------------------------------------------------------------------


def test_a_dense_network_without_its_last_layer_and_with_another():
    model = plain(32, 32, 32)
    assert model.count_params() == 27_232
    cut = without_last(model)
    assert (cut.count_params(), cut.output.shape) == (26_176, (None, 32))
    longer = keras.Model(cut.input, layers.Dense(16)(cut.output))
    assert longer.count_params() == 26_704
    assert with_head(cut, Classify(16)).count_params() == 26_704
    assert freeze(without_last(plain(32, 32, 32)), last=1).trainable == 25_120


def test_the_same_as_a_recipe():
    model = Recipe((784,), None, Dense((32, 32)), {"label": Classify(32)}).build(seed=0)
    assert without_last(model).count_params() == without_last(model, "task").count_params() == 26_176
    assert with_head(without_last(model), Classify(16), seed=0).count_params() == 26_704


def test_histology_on_a_frozen_base():
    # vgg16 without its head, 14,714,688 parameters, and a head of 8 classes; all filters an eighth, for speed.
    recipe = zoo.get("vgg16")
    groups = (
        replace(group, filters=tuple(f // 8 for f in group.each_filters), blocks=None)
        for group in recipe.learner.groups
    )
    narrow = replace(recipe, input=(150, 150, 3), learner=Groups(*groups), tasks={"label": Binary()}).build(seed=0)
    base = without_last(narrow, "task-label")
    assert base.output.shape == (None, 4, 4, 64)
    model = with_head(base, {"tissue": Classify(8, pool="flatten", hidden=(128,), dropout=0.5)}, seed=0)
    found = freeze(model, "learner-group[1-4]")
    assert found.trainable == 3 * (9 * 64 * 64 + 64) + (4 * 4 * 64 * 128 + 128) + (128 * 8 + 8)
    assert found.total == model.count_params()


# --- where to cut --------------------------------------------------------------------------------------------------

CUTS = [
    # a count takes layers with weights, and what comes after each
    (ONE, 1, "task-species-activation1"),
    (ONE, 2, "task-species-pool"),
    # the shortcut's norm, the last norm and the convolutions before them go together: a whole block
    (ONE, 8, "learner-group1-block2-relu"),
    # a head, a layer of it, a pattern, a group and all after it
    (ONE, "task", "learner-group2-block1-relu"),
    (ONE, "task-species", "learner-group2-block1-relu"),
    (ONE, "task-species-dense1", "task-species-pool"),
    (ONE, "*-logits", "task-species-activation1"),
    (ONE, "learner-group2", "learner-group1-block2-relu"),
    (ONE, "learner", "stem-activation"),
    # the first layer of a block takes the identity shortcut with it
    (ONE, "learner-group1-block2-conv1", "learner-group1-block1-relu"),
    # all heads at once
    (SMALL, "task", "learner-group2-block1-relu"),
]


@pytest.mark.parametrize(("recipe", "last", "expected"), CUTS)
def test_what_the_cut_model_ends_with(recipe, last, expected, batch):
    model = recipe.build(seed=0)
    cut = without_last(model, last)
    x = batch(recipe.input)
    same = keras.Model(model.input, model.get_layer(expected).output)
    np.testing.assert_array_equal(array(cut(x)), array(same(x)))
    assert {id(layer) for layer in cut.layers} == {id(layer) for layer in same.layers}


def test_inside_a_model_that_is_a_layer(batch):
    model, x = nested(), batch((8, 8, 3))
    assert without_last(model, "fc*").output.shape == (None, 18)
    assert without_last(model, 2).output.shape == (None, 18)
    cut = without_last(model, "block1_pool")
    assert cut.output.shape == (None, 6, 6, 2)
    conv = model.get_layer("base").get_layer("block1_conv1")
    assert cut.get_layer("block1_conv1") is conv
    conv.bias.assign([5.0, 5.0])
    assert array(cut(x)).mean() > 3
    # The model itself goes on as before.
    assert model(x).shape == (2, 3)


def test_a_layer_called_twice_is_cut_wherever_it_is_called():
    twin = layers.Dense(3, name="twin")
    start = keras.Input((3,))
    first = layers.Dense(3, name="first")(start)
    model = keras.Model(start, layers.Add()([twin(first), twin(twin(first))]))
    assert without_last(model, "twin").output is first


# --- heads ---------------------------------------------------------------------------------------------------------


def test_heads_on_a_model_of_the_users_own(batch):
    model = with_head(without_last(nested(), "flat"), {"kind": Classify(4), "age": Regress(hidden=(3,))}, seed=0)
    assert list(model.output) == ["kind", "age"]
    assert [layer.name for layer in model.layers if layer.name.startswith("task-kind")] == [
        "task-kind-pool",
        "task-kind-logits",
        "task-kind-probabilities",
    ]
    assert logits(model).output["kind"].shape == (None, 4)
    assert embedding(model).output.shape == (None, 2)
    np.testing.assert_allclose(array(model(batch((8, 8, 3)))["kind"]).sum(axis=1), 1, atol=1e-6)


def test_a_new_head_on_a_recipe_is_the_recipe_with_that_head(batch):
    model = SMALL.build(seed=0)
    changed = with_head(without_last(model, "task"), {"species": Classify(7)}, seed=3)
    fresh = replace(SMALL, tasks={"species": Classify(7)}).build(seed=3)
    assert [layer.name for layer in changed.layers] == [layer.name for layer in fresh.layers]
    assert tap_names(changed) == tap_names(fresh)
    head = [array(m.get_layer("task-species-logits").kernel) for m in (changed, fresh)]
    np.testing.assert_array_equal(*head)
    assert changed.get_layer("stem-conv") is model.get_layer("stem-conv")


def test_a_head_on_an_inner_model_that_stays_one():
    start = keras.Input((8, 8, 3))
    inner = keras.Model(start, layers.Conv2D(2, 3)(start), name="inner")
    outer = keras.Input((8, 8, 3))
    model = with_head(keras.Model(outer, inner(outer)), Binary(), seed=0)
    assert freeze(model, "inner").trainable == 2 + 1


# --- refusals ------------------------------------------------------------------------------------------------------


def shortcut() -> Any:
    return ONE.build(seed=0)


def clash() -> Any:
    start = keras.Input((8, 8, 3))
    one = keras.Model(start, layers.Conv2D(3, 1, name="conv")(start), name="one")
    two = keras.Model(start, layers.Conv2D(3, 1, name="conv")(start), name="two")
    return keras.Sequential([layers.Input((8, 8, 3)), one, two], name="pair")


REFUSALS = [
    # through both ways of a block with a projection
    (lambda: without_last(shortcut(), "learner-group2-block1-conv2"), ["through one tensor", "everything passes"]),
    (lambda: without_last(shortcut(), 4), ["through one tensor", "learner-group2-block1-shortcut"]),
    (lambda: without_last(SMALL.build(seed=0), "task-species"), ["task-quality-output left", "'task'"]),
    (lambda: without_last(shortcut(), "task-specis"), ["'task-specis'", "Did you mean 'task-species'?"]),
    (lambda: without_last(shortcut(), 0), ["without_last", "at least 1", "got 0"]),
    (lambda: without_last(plain(4, 4), 2), ["at most 1, since 2 layers have weights", "got 2"]),
    (lambda: without_last(clash()), ["pair", "cannot be opened"]),
    (lambda: with_head(shortcut(), Binary()), ["with_head", "task-species-probabilities", "without_last"]),
    (lambda: with_head(SMALL.build(seed=0), Binary()), ["one output and no head"]),
    (lambda: with_head(nested(), Binary()), ["one output and no head", "fc2", "without_last(model)"]),
    (lambda: with_head(without_last(shortcut()), {"species": Binary()}), ["task-species-", "got species"]),
    (lambda: with_head(without_last(shortcut(), "task"), {"a b": Binary()}), ["letters, digits and underscores"]),
    (lambda: with_head(without_last(shortcut(), "task"), {}), ["tasks", "at least one"]),
    (lambda: with_head(keras.Sequential([layers.Input((4, 2)), layers.Dense(3)]), Binary()), ["shape (4, 3)"]),
]


@pytest.mark.parametrize(("make", "words"), REFUSALS)
def test_what_is_refused(make, words, refused):
    refused(make, *words)
