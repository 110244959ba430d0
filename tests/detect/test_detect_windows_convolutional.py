"""The convolutional form gives the loop's scores, or says which layer it cannot take."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lensmith import backend, check
from lensmith.backend import keras
from lensmith.compose import zoo
from lensmith.detect.windows.convolutional import convolutional
from lensmith.detect.windows.pooling import DilatedPool

layers, ops = keras.layers, keras.ops


def network(*steps, size=(11, 13, 2)):
    """A functional model of layers or functions, with weights that are nowhere 0."""
    image = keras.Input(size)
    x = image
    for step in steps:
        x = step(x)
    return randomised(keras.Model(image, x))


def randomised(model):
    random = np.random.default_rng(5)
    for weight in model.weights:
        if "seed" not in weight.path:
            low, high = (0.5, 1.5) if "variance" in weight.path else (-0.5, 0.5)
            weight.assign(random.uniform(low, high, weight.shape))
    return model


def looped(model, image):
    """The slow reference: one window after the other."""
    height, width = model.inputs[0].shape[1:3]
    rows, columns = image.shape[0] - height + 1, image.shape[1] - width + 1
    crops = [image[y : y + height, x : x + width] for y in range(rows) for x in range(columns)]
    scores = np.asarray(backend.predict(model, np.stack(crops)))
    return scores.reshape(rows, columns, -1)


def pictured(model, more=(4, 3)):
    height, width, channels = model.inputs[0].shape[1:]
    size = (height + more[0], width + more[1], channels)
    return np.random.default_rng(7).normal(0.3, 1, size).astype(np.float32)


def check_equal(model, form=None):
    image = pictured(model)
    given = np.asarray(backend.predict(form or convolutional(model), image[None]))[0]
    wanted = looped(model, image)
    assert given.shape == wanted.shape
    np.testing.assert_allclose(given, wanted, atol=1e-4)
    assert np.ptp(wanted) > 1e-2  # else nothing was compared


def branched(x):
    """Two ways of 3×3 maps, one by a stride that leaves a row over and one by a pool, added and joined."""
    first = layers.Conv2D(4, 3, strides=3)(x)
    second = layers.Conv2D(4, 1)(layers.MaxPooling2D(3)(x))
    return layers.Concatenate()([layers.Add()([first, second]), ops.relu(first * 2.0)])


def cropped(x):
    """A residual block without padding: the way past it is cropped."""
    return layers.Add()([layers.Conv2D(2, 3, activation="tanh")(x), layers.Cropping2D(1)(x)])


def two_vectors(x):
    mean, largest = layers.GlobalAveragePooling2D()(x), layers.GlobalMaxPooling2D()(x)
    return layers.Concatenate()([mean, layers.Dense(3)(largest)])


def scaled(x):
    """Weights of a whole window laid on a vector of the same window."""
    return layers.Multiply()(
        [layers.GlobalMaxPooling2D()(x), layers.Dense(2, activation="sigmoid")(layers.Flatten()(x))]
    )


def head():
    return layers.Flatten(), layers.Dense(3)


NETWORKS = {
    "dense alone": lambda: (layers.Flatten(), layers.Dense(3)),
    "hidden layers": lambda: (layers.Flatten(), layers.Dense(5, activation="relu"), layers.Dropout(0.5),
                              layers.Dense(3)),
    "softmax": lambda: (layers.Conv2D(3, 3), layers.Flatten(), layers.Dense(3), layers.Softmax()),
    "valid convolution": lambda: (layers.Conv2D(4, (3, 2), activation="relu"), layers.Flatten(), layers.Dense(3)),
    "stride": lambda: (layers.Conv2D(4, 3, strides=2), layers.Conv2D(3, 2), layers.Flatten(), layers.Dense(3)),
    "different strides": lambda: (layers.Conv2D(4, 3, strides=(2, 3)), layers.Flatten(), layers.Dense(3)),
    "two pools": lambda: (
        layers.Conv2D(4, 2), layers.MaxPooling2D(2), layers.Conv2D(4, 2), layers.MaxPooling2D(2), layers.Flatten(),
        layers.Dense(3),
    ),
    "pools that overlap": lambda: (layers.MaxPooling2D(3, strides=2), layers.AveragePooling2D(3, strides=1),
                                   layers.Flatten(), layers.Dense(3)),
    "rows left over": lambda: (layers.AveragePooling2D(4), layers.Flatten(), layers.Dense(3)),
    "same without padding": lambda: (layers.Conv2D(4, 1, padding="same"), layers.Conv2D(3, (2, 4)),
                                     layers.MaxPooling2D(2, padding="same"), layers.Flatten(), layers.Dense(3)),
    "dilated": lambda: (layers.MaxPooling2D(2), layers.Conv2D(4, 2, dilation_rate=2), layers.Flatten(),
                        layers.Dense(3)),
    "depthwise": lambda: (layers.DepthwiseConv2D(3, strides=2, depth_multiplier=2), layers.Flatten(), layers.Dense(3)),
    "separable": lambda: (layers.SeparableConv2D(4, 3, strides=2), layers.Flatten(), layers.Dense(3)),
    "grouped": lambda: (layers.Conv2D(4, 3, groups=2, use_bias=False), layers.Flatten(),
                        layers.Dense(3, use_bias=False)),
    "normalised": lambda: (layers.Rescaling(0.5, 0.1), layers.Conv2D(4, 3, strides=2), layers.BatchNormalization(),
                           layers.LeakyReLU(), layers.LayerNormalization(), layers.Flatten(), layers.Dense(4),
                           layers.BatchNormalization(), layers.Dense(3)),
    "global average": lambda: (layers.Conv2D(3, 2, strides=2), layers.GlobalAveragePooling2D()),
    "global largest": lambda: (layers.MaxPooling2D(2), layers.GlobalMaxPooling2D(keepdims=True), layers.Flatten(),
                               layers.Dense(3)),
    "dense at each pixel": lambda: (layers.Dense(4, activation="tanh"), layers.GlobalAveragePooling2D(),
                                    layers.Dense(3)),
    "branches": lambda: (branched, layers.Flatten(), layers.Dense(3)),
    "cropped way past": lambda: (layers.MaxPooling2D(2), cropped, layers.GlobalAveragePooling2D(), layers.Dense(3)),
    "two vectors": lambda: (layers.MaxPooling2D(2), two_vectors, layers.Dense(3)),
    "vectors multiplied": lambda: (layers.MaxPooling2D(2), scaled, layers.Dense(3)),
}  # fmt: skip


@pytest.mark.backends
@pytest.mark.parametrize("name", NETWORKS)
def test_the_scores_are_those_of_the_loop(name):
    check_equal(network(*NETWORKS[name]()))


side = st.integers(1, 3)


@given(
    st.lists(st.tuples(st.sampled_from(["conv", "max", "average"]), side, side, st.integers(1, 2)), max_size=3),
    st.integers(0, 3),
)
@settings(max_examples=25, deadline=None)
def test_any_chain_of_valid_layers_gives_the_scores_of_the_loop(chain, seed):
    image = keras.Input((14 + seed, 14, 1))
    x = image
    for kind, size, stride, dilation in chain:
        if min(x.shape[1:3]) <= 2 * (size - 1):
            break  # no room for another
        if kind == "conv":
            x = layers.Conv2D(2, size, strides=stride, dilation_rate=dilation if stride == 1 else 1)(x)
        else:
            pool = layers.MaxPooling2D if kind == "max" else layers.AveragePooling2D
            x = pool(size, strides=stride)(x)
    check_equal(randomised(keras.Model(image, layers.Dense(2)(layers.Flatten()(x)))))


def test_a_model_of_the_zoo_a_sequential_one_and_a_model_inside_another_are_taken():
    check_equal(zoo.get("conv-digits").build(seed=0), None)
    inner = keras.Sequential([keras.Input((9, 9, 1)), layers.Conv2D(3, 3, strides=2), layers.Flatten()])
    check_equal(randomised(keras.Sequential([keras.Input((9, 9, 1)), inner, layers.Dense(2)])))


def test_the_form_takes_images_of_any_size_and_several_at_once_and_can_be_saved(tmp_path):
    model = network(*NETWORKS["two pools"]())
    form = convolutional(model)
    form.save(tmp_path / "form.keras")
    check_equal(model, keras.models.load_model(tmp_path / "form.keras"))
    images = np.random.default_rng(0).normal(size=(2, 11, 30, 2)).astype(np.float32)
    given = np.asarray(backend.predict(form, images))
    assert given.shape == (2, 1, 18, 3)
    np.testing.assert_allclose(given[1], looped(model, images[1]), atol=1e-4)


def test_the_weights_are_copies():
    model = network(*NETWORKS["normalised"]())
    form, image = convolutional(model), pictured(model)
    before = np.asarray(backend.predict(form, image[None]))
    for weight in model.trainable_weights:
        weight.assign(ops.zeros_like(weight))
    np.testing.assert_array_equal(np.asarray(backend.predict(form, image[None])), before)


def squeezed(x):
    return layers.Multiply()(
        [x, layers.Dense(2, activation="sigmoid")(layers.GlobalAveragePooling2D(keepdims=True)(x))]
    )


class Own(layers.Layer):
    def call(self, inputs):
        return inputs * 2


# What cannot be taken, and what the line says.
REFUSED = [
    ((layers.Conv2D(2, 3, padding="same", name="edge"), *head()), "edge: expected a layer without"),
    ((layers.ZeroPadding2D(1, name="edge"), *head()), "zeros beside its maps: (1, 1) down, (1, 1)"),
    ((layers.MaxPooling2D(3, padding="same", name="p"), *head()), "p: expected a layer without"),
    ((layers.UpSampling2D(name="up"), *head()), "up: expected a layer that has a convolu"),
    ((squeezed, *head()), "expected maps of one size; got 1×1 and 11×13"),
    ((Own(name="own"), *head()), "own: expected a layer of Keras; got Own"),
    ((layers.Flatten(), layers.BatchNormalization(name="n"), layers.Dense(2)), "n: expected maps, or numbers of a"),
    ((layers.BatchNormalization(axis=1, name="n"), *head()), "n: expected the channels' axis, -1"),
    ((lambda x: x + np.ones((1, 11, 13, 2), np.float32), layers.Flatten(), layers.Dense(2)), "single numbers beside"),
    ((layers.Conv2D(3, 3),), "expected a model with one answer for a window; got a map of 9×11"),
]  # fmt: skip


@pytest.mark.parametrize(("steps", "line"), REFUSED)
def test_what_has_no_convolutional_form_is_named(steps, line):
    with pytest.raises(check.SettingError) as refused:
        convolutional(network(*steps))
    assert line in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_model_with_two_outputs_or_rows_is_refused():
    image = keras.Input((4, 4, 1))
    flat = layers.Flatten()(image)
    with pytest.raises(check.SettingError, match="a model with one output; got 2"):
        convolutional(keras.Model(image, {"a": layers.Dense(2)(flat), "b": layers.Dense(2)(flat)}))
    row = keras.Input((4,))
    with pytest.raises(check.SettingError, match="an input of height, width and channels"):
        convolutional(keras.Model(row, layers.Dense(2)(row)))


def test_padding_makes_the_scores_differ_unless_all_around_is_dark():
    """With zeros around the window, and layers that keep zeros zero, neighbours are the padding."""
    steps = (
        layers.Conv2D(3, 3, padding="same", use_bias=False, activation="relu"),
        layers.MaxPooling2D(2),
        layers.Conv2D(3, 3, padding="same", use_bias=False),
        layers.Flatten(),
        layers.Dense(3),
    )
    model = network(*steps, size=(12, 12, 2))
    form = convolutional(model, approximate=True)
    image = pictured(model, more=(8, 8))
    given, wanted = np.asarray(backend.predict(form, image[None]))[0], looped(model, image)
    assert given.shape == wanted.shape
    assert np.abs(given - wanted).max() > 1e-2
    dark = np.zeros_like(image)
    dark[6:14, 6:14] = image[6:14, 6:14]
    given, wanted = np.asarray(backend.predict(form, dark[None]))[0], looped(model, dark)
    np.testing.assert_allclose(given[4, 4], wanted[4, 4], atol=1e-4)


@pytest.mark.backends
def test_a_dilated_pool_is_that_of_the_pixels_that_lie_apart():
    x = np.random.default_rng(0).normal(size=(1, 9, 8, 2)).astype(np.float32)
    for kind, reduce in (("max", np.max), ("average", np.mean)):
        given = ops.convert_to_numpy(DilatedPool(kind, (3, 2), (2, 3))(x))
        wanted = np.stack(
            [[reduce(x[0, y : y + 5 : 2, c : c + 4 : 3], axis=(0, 1)) for c in range(5)] for y in range(5)]
        )
        np.testing.assert_allclose(given[0], wanted, atol=1e-6)
    with pytest.raises(check.SettingError, match="dilated-pool"):
        DilatedPool("sum", (2, 2), (1, 1))
