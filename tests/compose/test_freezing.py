"""Freezing by part, by pattern and by count: what trains, in numbers of the books, and that all weights are counted."""

from __future__ import annotations

import numpy as np
import pytest

from lensmith.backend import keras
from lensmith.compose import Basic, Classify, ConvStem, Dense, Flatten, Group, Groups, Recipe, Regress, logits
from lensmith.compose.freezing import Frozen, freeze, frozen, unfreeze

SMALL = Recipe(
    input=(9, 12, 3),
    stem=ConvStem(4, kernel=3, stride=1),
    learner=Groups(Group(Basic(), filters=4, blocks=2, stride=1), Group(Basic(), filters=8)),
    tasks={"species": Classify(5, hidden=(6,)), "quality": Regress()},
)
# Weights on paper: convolutions without bias, four numbers a channel of each norm, two of them moving statistics.
STEM = 9 * 3 * 4 + 4 * 4
GROUP1 = 2 * (2 * 9 * 4 * 4 + 2 * 4 * 4)
GROUP2 = 9 * 4 * 8 + 9 * 8 * 8 + 4 * 8 + 3 * 4 * 8
SPECIES = 8 * 6 + 6 + 6 * 5 + 5
QUALITY = 8 + 1
TOTAL = STEM + GROUP1 + GROUP2 + SPECIES + QUALITY


def plain(*units: int) -> keras.Model:
    """A network of dense layers on 784 pixels, as the books write it."""
    zeros = keras.initializers.Zeros()
    layers = [keras.layers.Dense(width, activation="relu", kernel_initializer=zeros) for width in units]
    return keras.Sequential([keras.layers.Input((784,)), *layers])


def nested() -> keras.Model:
    """A convolutional base as one layer of a Sequential model, the way a book extends a trained network."""
    start = keras.Input((8, 8, 3))
    x = keras.layers.Conv2D(2, 3, name="block1_conv1")(start)
    x = keras.layers.BatchNormalization(name="block1_norm")(x)
    x = keras.layers.Conv2D(2, 3, name="block2_conv1")(x)
    base = keras.Model(start, x, name="base")
    head = [keras.layers.Flatten(name="flat"), keras.layers.Dense(4, name="hidden"), keras.layers.Dense(3, name="out")]
    return keras.Sequential([keras.layers.Input((8, 8, 3)), base, *head])


BLOCK1, NORM, BLOCK2, HIDDEN, OUT = 3 * 9 * 2 + 2, 8, 2 * 9 * 2 + 2, 32 * 4 + 4, 4 * 3 + 3


def stillness(model: keras.Model) -> set[str]:
    return set(frozen(model).layers)


# --- numbers of the books ------------------------------------------------------------------------------------------


def test_the_second_layer_of_a_dense_network():
    model = plain(32, 32)
    assert model.count_params() == 26_176
    assert freeze(model, last=1) == Frozen((model.layers[1].name,), trainable=25_120, frozen=1_056, statistics=0)


def test_the_same_as_a_recipe():
    model = Recipe((784,), None, Dense((32,)), {"label": Classify(32)}).build(seed=0)
    assert freeze(model, "task-label") == Frozen(("task-label-logits",), 25_120, 1_056, 0)


def test_vgg16_with_its_last_block_and_a_new_head():
    zeros = {"kernel_initializer": "zeros"}
    start = x = keras.Input((150, 150, 3))
    for block, (filters, count) in enumerate(((64, 2), (128, 2), (256, 3), (512, 3), (512, 3)), start=1):
        for i in range(count):
            x = keras.layers.Conv2D(filters, 3, padding="same", name=f"block{block}_conv{i + 1}", **zeros)(x)
        x = keras.layers.MaxPooling2D(name=f"block{block}_pool")(x)
    x = keras.layers.Dense(1024, activation="relu", **zeros)(keras.layers.Flatten()(x))
    model = keras.Model(start, keras.layers.Dense(8, activation="softmax", **zeros)(keras.layers.Dropout(0.5)(x)))
    assert model.count_params() == 23_112_520
    for found in (freeze(model, "block[1-4]_*"), freeze(model, first=10), freeze(model, but_last=5)):
        assert (found.trainable, found.frozen, found.total) == (15_477_256, 7_635_264, 23_112_520)
    freeze(model)
    assert unfreeze(model, last=5).trainable == 15_477_256
    assert model.layers[-1].trainable and not model.get_layer("block4_conv3").trainable


# --- by part, by pattern, by count ---------------------------------------------------------------------------------

CHOICES = [
    # a part, and no other that begins alike
    (["stem"], {}, STEM),
    (["learner-group1"], {}, GROUP1),
    (["learner"], {}, GROUP1 + GROUP2),
    (["task-species"], {}, SPECIES),
    # one layer by its name
    (["task-quality-output"], {}, QUALITY),
    # patterns of names and of parts, and several at once
    (["stem-*"], {}, STEM),
    (["learner-group[12]"], {}, GROUP1 + GROUP2),
    (["*-norm1"], {}, 2 * 4 * 4 + 4 * 8),
    (["stem", "task-*"], {}, STEM + SPECIES + QUALITY),
    (["stem", "stem-conv"], {}, STEM),
    # counts of layers with weights: stem-conv and stem-norm, then the first convolution
    ([], {"first": 1}, 9 * 3 * 4),
    ([], {"first": 3}, STEM + 9 * 4 * 4),
    ([], {}, TOTAL),
]


@pytest.mark.parametrize(("patterns", "count", "expected"), CHOICES)
def test_what_is_chosen(patterns, count, expected):
    model = SMALL.build(seed=0)
    found = freeze(model, *patterns, **count)
    assert found.frozen == expected
    assert found.total == model.count_params() == TOTAL
    assert found.trainable == sum(int(np.prod(weight.shape)) for weight in model.trainable_weights)
    again = unfreeze(model, *patterns, **count)
    assert (again.layers, again.frozen) == ((), 0)
    assert again.statistics == 2 * (5 * 4 + 3 * 8)  # five norms of 4 channels, three of 8: two numbers each


def test_group_10_is_not_group_1():
    learner = Groups(*[Group(Basic(), filters=1, stride=1)] * 10)
    model = Recipe((2, 2, 1), None, learner, {"y": Regress()}).build(seed=0)
    assert all(name.startswith("learner-group1-") for name in freeze(model, "learner-group1").layers)


def test_a_view_shares_what_is_frozen():
    model = SMALL.build(seed=0)
    assert freeze(logits(model), "stem").layers == frozen(model).layers == ("stem-conv", "stem-norm")


# --- models of the user's own --------------------------------------------------------------------------------------


def test_models_inside_a_model_are_gone_into():
    model = nested()
    assert freeze(model, "base").frozen == BLOCK1 + NORM + BLOCK2
    assert unfreeze(model, "base/block2_*").frozen == BLOCK1 + NORM
    assert unfreeze(model).frozen == 0
    assert freeze(model, "*_conv1") == Frozen(
        ("base/block1_conv1", "base/block2_conv1"), HIDDEN + OUT + NORM // 2, BLOCK1 + BLOCK2, NORM // 2
    )
    assert freeze(model, first=3).frozen == BLOCK1 + NORM + BLOCK2


def test_one_layer_of_a_model_frozen_as_a_whole():
    model = nested()
    model.get_layer("base").trainable = False
    found = unfreeze(model, "block2_conv1")
    assert found.layers == ("base/block1_conv1", "base/block1_norm")
    assert found.trainable == BLOCK2 + HIDDEN + OUT == sum(int(np.prod(w.shape)) for w in model.trainable_weights)
    model.trainable = False
    assert unfreeze(model, "out").trainable == OUT
    assert stillness(model) == {"base/block1_conv1", "base/block1_norm", "base/block2_conv1", "hidden"}


def test_a_layer_used_twice_is_counted_once():
    shared = keras.layers.Dense(3, name="twin")
    left, right = keras.Input((3,)), keras.Input((3,))
    joined = keras.layers.Dense(1, name="out")(keras.layers.Concatenate()([shared(left), shared(right)]))
    assert freeze(keras.Model([left, right], joined), first=1) == Frozen(("twin",), 7, 12, 0)


def test_dense_on_flattened_pictures():
    model = Recipe((2, 2, 1), Flatten(), Dense((3,)), {"y": Regress()}).build(seed=0)
    assert freeze(model, "learner") == Frozen(("learner-dense1",), 4, 15, 0)


# --- inference mode ------------------------------------------------------------------------------------------------


def test_statistics_of_frozen_layers_do_not_move(batch):
    model = SMALL.build(seed=0)
    freeze(model, "stem", "learner-group1")
    before = [weight.copy() for weight in model.get_weights()]  # on torch they are windows on the weights
    model(batch(SMALL.input), training=True)
    pairs = zip(model.weights, before, model.get_weights(), strict=True)
    moved = {weight.path for weight, then, now in pairs if (then != now).any()}
    assert moved
    assert all(path.startswith("learner-group2-") and "/moving_" in path for path in moved)


# --- refusals ------------------------------------------------------------------------------------------------------

WRONG = [
    (["stam"], {}, ["freeze", "'stam'", "Did you mean 'stem'?"]),
    (["learner-grop1"], {}, ["Did you mean 'learner-group1'?"]),
    (["stam-*"], {}, ["'stam-*'", "Did you mean 'stem'?"]),
    (["stem", "task-specis"], {}, ["Did you mean 'task-species'?"]),
    (["stem-activation"], {}, ["layers with weights", "stem-activation has none"]),
    (["xyz"], {}, ["got 'xyz'"]),
    ([], {"first": 99}, ["freeze.first", "at most 19", "got 99"]),
    ([], {"but_last": 0}, ["freeze.but_last", "at least 1"]),
    (["stem"], {"last": 1}, ["patterns or one count", "'stem', last=1"]),
    ([], {"first": 1, "last": 1}, ["first=1, last=1"]),
]


@pytest.mark.parametrize(("patterns", "count", "words"), WRONG)
def test_what_is_refused(patterns, count, words, refused):
    model = SMALL.build(seed=0)
    refused(lambda: freeze(model, *patterns, **count), *words)
    assert frozen(model).layers == ()
