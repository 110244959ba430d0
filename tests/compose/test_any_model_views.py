"""Encoding, embedding, logits and probabilities of any model, and taps where paths join, part and grow again."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

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
    logits,
    tap_names,
    views,
)
from lensmith.compose.views import embedding, encoding, probabilities

layers = keras.layers


def array(tensor: Any) -> np.ndarray:
    return keras.ops.convert_to_numpy(tensor)


def seeded(seed: int) -> Any:
    return keras.initializers.GlorotUniform(seed)


def base(name: str = "base") -> Any:
    start = keras.Input((6, 7, 3))
    x = layers.Conv2D(4, 3, activation="relu", kernel_initializer=seeded(0), name="conv1")(start)
    return keras.Model(start, layers.BatchNormalization(name="norm1")(x), name=name)


def sequential(*last: Any) -> Any:
    """Convolutions as an inner model, then dense layers, then what is given."""
    hidden = layers.Dense(5, activation="relu", kernel_initializer=seeded(1), name="hidden")
    return keras.Sequential([layers.Input((6, 7, 3)), base(), layers.Flatten(name="flat"), hidden, *last])


def fused(activation: str = "softmax") -> Any:
    """The usual ending of a user's own model: an activation inside the last layer."""
    return sequential(layers.Dense(3, activation=activation, kernel_initializer=seeded(2), name="out"))


def softmax(x: np.ndarray) -> np.ndarray:
    raised = np.exp(x - x.max(axis=-1, keepdims=True))
    return raised / raised.sum(axis=-1, keepdims=True)


# --- models of the user's own --------------------------------------------------------------------------------------


def test_views_of_a_model_with_a_model_inside(batch):
    model, x = fused(), batch((6, 7, 3))
    maps = array(encoding(model)(x))
    np.testing.assert_allclose(maps, array(model.get_layer("base")(x)), atol=1e-6)
    hidden, out = model.get_layer("hidden"), model.get_layer("out")
    vector = np.maximum(maps.reshape(2, -1) @ array(hidden.kernel) + array(hidden.bias), 0)
    np.testing.assert_allclose(array(embedding(model)(x)), vector, atol=1e-5)
    numbers = vector @ array(out.kernel) + array(out.bias)
    np.testing.assert_allclose(array(logits(model)(x)), numbers, atol=1e-5)
    np.testing.assert_allclose(array(probabilities(model)(x)), softmax(numbers), atol=1e-6)
    np.testing.assert_allclose(array(probabilities(logits(model), "softmax")(x)), array(model(x)), atol=1e-6)


@pytest.mark.parametrize(
    "last",
    [
        lambda: [layers.Dense(3, activation="softmax", name="out")],
        lambda: [layers.Dense(3, name="out"), layers.Softmax()],
        lambda: [layers.Dense(3, name="out"), layers.Activation("softmax")],
        lambda: [layers.Dense(1, activation="sigmoid", name="out")],
        lambda: [layers.Dense(2, name="out")],  # without an activation the outputs are the logits
        lambda: [layers.Dense(3, use_bias=False, activation="softmax", name="out")],
    ],
)
def test_logits_however_the_model_ends(last, batch):
    model, x = sequential(*last()), batch((6, 7, 3))
    out = model.get_layer("out")
    expected = array(embedding(model)(x)) @ array(out.kernel) + (0 if out.bias is None else array(out.bias))
    np.testing.assert_allclose(array(logits(model)(x)), expected, atol=1e-5)


def test_training_the_logits_trains_the_model(batch):
    model, x = fused(), batch((6, 7, 3))
    view = logits(model)
    assert {id(weight) for weight in view.weights} == {id(weight) for weight in model.weights}
    assert len(view.weights) == len(model.weights) and view.get_layer("out") is not model.get_layer("out")
    before = array(model(x))
    view.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    view.train_on_batch(x, np.array([0, 2]))
    np.testing.assert_allclose(softmax(array(view(x))), array(model(x)), atol=1e-6)
    assert np.abs(array(model(x)) - before).max() > 1e-4


def test_a_convolution_may_end_a_model_too(batch):
    start = keras.Input((4, 5, 2))
    model = keras.Model(start, layers.Conv2D(3, 1, activation="softmax", name="pixels")(start))
    np.testing.assert_allclose(
        softmax(array(logits(model)(batch((4, 5, 2))))), array(model(batch((4, 5, 2)))), atol=1e-6
    )
    # What the last convolution sees, averaged over its pixels, is the vector.
    np.testing.assert_allclose(array(embedding(model)(batch((4, 5, 2)))), batch((4, 5, 2)).mean((1, 2)), atol=1e-6)


def test_several_outputs_keep_their_names(batch):
    start = keras.Input((4,))
    outputs = {"zeta": layers.Dense(3, activation="softmax")(start), "alpha": layers.Dense(2)(start)}
    model = keras.Model(start, outputs)
    x = batch((4,))
    assert list(logits(model).output) == ["zeta", "alpha"]
    given = probabilities(model, {"alpha": "sigmoid"})(x)
    np.testing.assert_allclose(array(given["zeta"]), array(model(x)["zeta"]), atol=1e-6)
    np.testing.assert_allclose(array(given["alpha"]), 1 / (1 + np.exp(-array(model(x)["alpha"]))), atol=1e-6)


def test_a_pooled_pixel_is_no_encoding():
    start = keras.Input((8, 8, 3))
    x = layers.Conv2D(4, 3, name="maps")(start)
    x = layers.Conv2D(5, 1, name="scores")(layers.GlobalAveragePooling2D(keepdims=True)(x))
    model = keras.Model(start, layers.Softmax()(layers.Flatten()(x)))
    assert encoding(model).output.shape == (None, 6, 6, 4)
    assert logits(model).output.shape == (None, 5)


def test_a_layer_called_twice():
    twin = layers.Dense(3, name="twin")
    left, right = keras.Input((3,), name="left"), keras.Input((3,), name="right")
    joined = layers.Concatenate(name="both")([twin(left), twin(right)])
    model = keras.Model([left, right], layers.Dense(1, activation="sigmoid")(joined))
    assert embedding(model).output.shape == (None, 6)
    assert logits(model)([np.ones((2, 3)), np.ones((2, 3))]).shape == (2, 1)


# --- models of recipes ---------------------------------------------------------------------------------------------

SMALL = Recipe(
    input=(9, 12, 3),
    stem=ConvStem(4, kernel=3, stride=1),
    learner=Groups(Group(Basic(), filters=4, blocks=2, stride=1), Group(Basic(), filters=8)),
    tasks={"species": Classify(5, hidden=(6,)), "marks": MultiLabel(3, pool="flatten"), "quality": Regress()},
)


def test_encoding_of_a_recipe():
    model = SMALL.build(seed=0)
    assert encoding(model).output is model.get_layer("learner-group2-block1-relu").output
    rows = Recipe((9, 12, 3), Flatten(), Dense((7,)), {"y": Regress()}).build(seed=0)
    assert encoding(rows).output.shape == (None, 7)


def test_probabilities_of_a_recipe(batch):
    model, x = SMALL.build(seed=0), batch(SMALL.input)
    expected = model(x)
    for view in (probabilities(model), probabilities(logits(model), {"species": "softmax", "marks": "sigmoid"})):
        assert list(view.output) == list(SMALL.tasks)
        for task, value in view(x).items():
            np.testing.assert_allclose(array(value), array(expected[task]), atol=1e-6)
    assert "task-species-probabilities" in [layer.name for layer in probabilities(logits(model), "softmax").layers]


# --- refusals ------------------------------------------------------------------------------------------------------


class OwnDense(keras.layers.Layer):
    """A layer of the user's own with an activation inside."""

    def __init__(self) -> None:
        super().__init__(name="own")
        self.inner = keras.layers.Dense(2)
        self.activation = keras.activations.softmax

    def build(self, shape: Any) -> None:
        self.inner.build(shape)

    def call(self, x: Any) -> Any:
        return self.activation(self.inner(x))


class Subclassed(keras.Model):
    def call(self, x: Any) -> Any:
        return x


REFUSALS = [
    (lambda: logits(sequential(OwnDense())), ["logits", "own", "add keras.layers.Activation after it"]),
    (lambda: logits(Subclassed(name="mine")), ["mine", "whose layers are connected", "Subclassed"]),
    (lambda: encoding(keras.Sequential([layers.Input((4,)), layers.Dense(2)])), ["encoding", "Take its embedding"]),
    (lambda: embedding(keras.Sequential([layers.Input((4,)), layers.ReLU()])), ["embedding", "without weights"]),
    (lambda: probabilities(logits(fused())), ["activation", "softmax, sigmoid", "out gives no probabilities"]),
    (lambda: probabilities(logits(fused()), "softmaxx"), ["Did you mean 'softmax'?"]),
    (lambda: probabilities(logits(SMALL.build(seed=0)), {"species": "softmax"}), ["activation of marks", "got None"]),
]


@pytest.mark.parametrize(("make", "words"), REFUSALS)
def test_what_has_no_such_view(make, words, refused):
    refused(make, *words)


# --- taps ----------------------------------------------------------------------------------------------------------


def conv(stride: Any = 1, name: str = "") -> Any:
    return layers.Conv2D(2, 3, strides=stride, padding="same", name=name or None, kernel_initializer="zeros")


def test_steps_of_a_stem_and_a_padding_end_no_part_before_its_time():
    start = keras.Input((32, 32, 3))
    x = conv(2, "stem-1-conv")(start)
    x = layers.ReLU(name="stem-1-activation")(x)
    x = conv(1, "stem-2-conv")(x)
    x = layers.ZeroPadding2D(1, name="stem-3-pool-pad")(x)
    x = layers.MaxPooling2D(3, 2, name="stem-3-pool")(x)
    x = conv(1, "learner-group1-block1-conv1")(x)  # still as large, but within a block that strides
    x = layers.ZeroPadding2D(1, name="learner-group1-block1-conv2-pad")(x)
    x = layers.Conv2D(2, 3, strides=2, name="learner-group1-block1-conv2")(x)
    x = layers.Dropout(0.5, name="learner-group1-dropout")(x)
    model = keras.Model(start, layers.GlobalAveragePooling2D(name="task-y-pool")(x))
    assert tap_names(model) == {"P1": "stem-2-conv", "P2": "stem-3-pool", "P3": "learner-group1-block1-conv2"}


def test_branches_that_stride_each_in_its_way():
    start = keras.Input((32, 32, 3))
    x = layers.ReLU(name="learner-group1-block1-activation")(conv(1, "learner-group1-block1-conv")(start))
    deep = conv(1, "learner-group2-block1-branch1-1-conv")(x)
    deep = conv(2, "learner-group2-block1-branch1-2-conv")(deep)
    pool = layers.MaxPooling2D(3, 2, padding="same", name="learner-group2-block1-branch2-1-pool")(x)
    x = layers.Concatenate(name="learner-group2-block1-concat")([deep, pool])
    x = conv(1, "learner-conv")(x)
    x = layers.BatchNormalization(name="learner-norm")(x)
    model = keras.Model(start, layers.GlobalAveragePooling2D(name="task-y-pool")(x))
    assert tap_names(model) == {"P0": "learner-group1-block1-activation", "P1": "learner-norm"}


def test_a_squeeze_does_not_hide_the_maps_it_weighs():
    start = keras.Input((32, 32, 3))
    x = conv(2, "learner-group1-block1-conv1")(start)
    weights = layers.GlobalAveragePooling2D(keepdims=True, name="learner-group1-block1-squeeze-pool")(x)
    weights = layers.Conv2D(2, 1, activation="sigmoid", name="learner-group1-block1-squeeze-conv")(weights)
    x = layers.Multiply(name="learner-group1-block1-squeeze")([x, weights])
    model = keras.Model(start, layers.GlobalAveragePooling2D(name="task-y-pool")(x))
    assert tap_names(model) == {"P1": "learner-group1-block1-squeeze"}


def test_a_transition_belongs_to_the_next_size():
    start = keras.Input((32, 32, 3))
    x = layers.Concatenate(name="learner-group1-block1-concat")([start, conv(1, "learner-group1-block1-conv1")(start)])
    x = conv(1, "learner-group1-block2-conv")(x)
    x = layers.AveragePooling2D(2, name="learner-group1-block2-pool")(x)
    model = keras.Model(start, layers.GlobalAveragePooling2D(name="task-y-pool")(x))
    assert tap_names(model) == {"P0": "learner-group1-block1-concat", "P1": "learner-group1-block2-pool"}


@pytest.mark.parametrize(
    "up", [lambda name: layers.UpSampling2D(2, name=name), lambda name: layers.Conv2DTranspose(2, 2, 2, name=name)]
)
@pytest.mark.parametrize("prefix", ["decoder", "learner-group9"])  # no tap whatever the name
def test_a_path_up_has_no_taps(up, prefix):
    start = keras.Input((32, 32, 3))
    first = conv(1, "learner-group1-block1-conv")(start)
    second = conv(1, "learner-group2-block1-conv")(layers.MaxPooling2D(name="learner-group1-pool")(first))
    x = layers.Concatenate(name=f"{prefix}-block1-concat")([first, up(f"{prefix}-block1-up")(second)])
    x = conv(1, f"{prefix}-block1-conv")(x)
    model = keras.Model(start, layers.Conv2D(1, 1, name="task-y-logits")(x))
    expected = {"P0": "learner-group1-block1-conv", "P1": "learner-group2-block1-conv"}
    assert tap_names(model) == expected
    if prefix == "decoder":
        assert encoding(model).output.shape == (None, 16, 16, 2)


def test_a_size_that_differs_between_the_axes_is_no_tap():
    start = keras.Input((32, 32, 3))
    x = conv((2, 1), "learner-group1-block1-conv")(start)
    x = conv((1, 2), "learner-group2-block1-conv")(x)
    model = keras.Model(start, layers.GlobalAveragePooling2D(name="task-y-pool")(x))
    assert tap_names(model) == {"P1": "learner-group2-block1-conv"}


def test_taps_of_a_saved_model_and_of_views(tmp_path):
    model = Recipe((32, 32, 3), ConvStem(4, pool=3), Groups(Group(Conv(), 4)), {"y": Binary()}).build(seed=0)
    model.save(tmp_path / "m.keras")
    taps = tap_names(model)
    assert taps == {"P1": "stem-activation", "P2": "learner-group1-block1-activation"}
    assert tap_names(keras.models.load_model(tmp_path / "m.keras")) == tap_names(logits(model)) == taps
    assert views.tap_name(8) == "P3"
