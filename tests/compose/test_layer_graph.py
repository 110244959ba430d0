"""The layer graph: every layer beside a slow reference written after Darknet's C, and the graph as a part."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lensmith import backend, check, compose
from lensmith.backend import keras
from lensmith.compose import Classify, Recipe
from lensmith.compose.layers import Conventions, Maker
from lensmith.compose.learners.layer_graph import LayerGraph, layer_name
from lensmith.compose.learners.layer_graph_joins import Product, Route, Shortcut
from lensmith.compose.learners.layer_graph_plain import (
    Activate,
    AveragePool,
    Crop,
    Dropout,
    MaxPool,
    Passing,
    Reorg,
    Upsample,
)
from lensmith.compose.learners.layer_graph_records import GRAPH_ACTIVATIONS, Connected, Convolution, Local, Norm

Array = np.ndarray[Any, Any]


def image(height: int, width: int, channels: int, seed: int = 0, batch: int = 2) -> Array:
    return np.random.default_rng(seed).normal(size=(batch, height, width, channels)).astype(np.float32)


def model_of(shape: Sequence[int], *layers: Any) -> Any:
    source = keras.Input(tuple(shape))
    return keras.Model(source, LayerGraph(layers).build(source, Maker(0, conventions=Conventions(epsilon=1e-6))))


def run(x: Array, *layers: Any) -> Array:
    return np.asarray(backend.predict(model_of(x.shape[1:], *layers), x))


# --- single layers -------------------------------------------------------------------------------------------------


def reorg_cpu(x: Array, stride: int) -> Array:
    """Darknet's src/blas.c, reorg_cpu with ``forward`` 0, on numbers in the order channels, rows, columns."""
    height, width, channels = x.shape
    flat = x.transpose(2, 0, 1).ravel()
    out = np.empty_like(flat)
    few = channels // stride**2
    for k in range(channels):
        for j in range(height):
            for i in range(width):
                place = i + width * (j + height * k)
                c2, offset = k % few, k // few
                w2, h2 = i * stride + offset % stride, j * stride + offset // stride
                out[place] = flat[w2 + width * stride * (h2 + height * stride * c2)]
    return out.reshape(channels * stride**2, height // stride, width // stride).transpose(1, 2, 0)


@pytest.mark.backends
@pytest.mark.parametrize(
    ("height", "width", "channels", "stride"),
    [(4, 4, 4, 2), (2, 6, 8, 2), (6, 4, 64, 2), (6, 3, 9, 3), (3, 5, 2, 1)],
)
def test_reorg_is_that_of_darknet(height: int, width: int, channels: int, stride: int) -> None:
    x = image(height, width, channels)
    np.testing.assert_array_equal(run(x, Reorg(stride)), [reorg_cpu(one, stride) for one in x])


def maxpool_cpu(x: Array, size: int, stride: int, padding: int) -> Array:
    """Darknet's src/maxpool_layer.c."""
    height, width, channels = x.shape
    rows, columns = (height + padding - size) // stride + 1, (width + padding - size) // stride + 1
    out = np.full((rows, columns, channels), -np.inf, np.float32)
    for i in range(rows):
        for j in range(columns):
            for n in range(size):
                for m in range(size):
                    y, z = i * stride + n - padding // 2, j * stride + m - padding // 2
                    if 0 <= y < height and 0 <= z < width:
                        out[i, j] = np.maximum(out[i, j], x[y, z])
    return out


@pytest.mark.parametrize(
    ("height", "width", "size", "stride", "padding"),
    [
        (6, 8, 2, 2, None),  # as usual
        pytest.param(7, 5, 2, 2, None, marks=pytest.mark.backends),  # the last window reaches over the edge
        (6, 6, 2, 1, None),  # of tiny YOLO, the size stays
        pytest.param(6, 7, 5, 1, None, marks=pytest.mark.backends),  # of spatial pyramids
        (6, 6, 13, 1, None),  # larger than the image
        pytest.param(6, 6, 3, 2, None, marks=pytest.mark.backends),  # of the ResNets: one pixel above and to the left
        (7, 7, 3, 2, None),
        (7, 7, 3, 2, 0),  # of AlexNet
        (8, 8, 3, 2, 0),  # the last column is not reached
        pytest.param(8, 9, 3, 3, 1, marks=pytest.mark.backends),  # both
        (5, 5, 1, 2, None),
        (4, 4, 2, 2, 3),  # more than the window needs
    ],
)
def test_max_pool_is_that_of_darknet(height: int, width: int, size: int, stride: int, padding: int | None) -> None:
    x = image(height, width, 3) - 3.0  # below zero, so that zeros around it would show
    total = size - 1 if padding is None else padding
    expected = [maxpool_cpu(one, size, stride, total) for one in x]
    np.testing.assert_array_equal(run(x, MaxPool(size, stride, padding)), expected)


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 9), st.integers(1, 9), st.integers(1, 4), st.integers(1, 3), st.integers(0, 6))
def test_max_pool_of_any_size(height: int, width: int, size: int, stride: int, padding: int) -> None:
    padding %= 2 * size
    if min(height, width) + padding < size:
        return
    x = image(height, width, 1, batch=1) - 3.0
    np.testing.assert_array_equal(run(x, MaxPool(size, stride, padding))[0], maxpool_cpu(x[0], size, stride, padding))


@pytest.mark.backends
def test_local_has_a_kernel_of_its_own_at_each_place() -> None:
    x = image(5, 6, 2)
    model = model_of((5, 6, 2), Local(3, 3, 2, 1, "linear"))
    layer = model.get_layer("learner-layer0-local")
    bias = np.random.default_rng(1).normal(size=layer.bias.shape).astype(np.float32)
    layer.bias.assign(bias)
    kernel, padded = keras.ops.convert_to_numpy(layer.kernel), np.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)))
    expected = np.empty((2, 3, 3, 3))
    for i in range(3):
        for j in range(3):
            window = padded[:, 2 * i : 2 * i + 3, 2 * j : 2 * j + 3]
            expected[:, i, j] = np.tensordot(window, kernel[i, j], 3) + bias[i, j]
    assert kernel.shape == (3, 3, 3, 3, 2, 3)
    np.testing.assert_allclose(backend.predict(model, x), expected, atol=1e-5)


def convolved(x: Array, kernel: Array, stride: int, padding: int, groups: int) -> Array:
    """(height, width, channels) by (filters, channels / groups, size, size), as Darknet stores them."""
    filters, depth, size, _ = kernel.shape
    x = np.pad(x, ((padding, padding), (padding, padding), (0, 0)))
    rows, columns = ((side - size) // stride + 1 for side in x.shape[:2])
    out = np.zeros((rows, columns, filters))
    for f in range(filters):
        first = f // (filters // groups) * depth
        for i in range(rows):
            for j in range(columns):
                window = x[i * stride : i * stride + size, j * stride : j * stride + size, first : first + depth]
                out[i, j, f] = np.sum(window.transpose(2, 0, 1) * kernel[f])
    return out


@pytest.mark.parametrize(
    ("filters", "size", "stride", "padding", "groups"),
    [
        (5, 3, 1, 1, 1),
        pytest.param(4, 3, 2, 1, 1, marks=pytest.mark.backends),  # one pixel on all sides, whatever the size
        (4, 1, 1, 0, 1),
        (4, 1, 2, 0, 1),
        (3, 2, 1, 1, 1),  # an even window grows the maps
        pytest.param(3, 4, 2, 2, 1, marks=pytest.mark.backends),
        (3, 1, 1, 1, 1),  # zeros beside a window of one pixel
        (4, 5, 1, 2, 4),  # each channel by itself
        pytest.param(4, 3, 2, 1, 4, marks=pytest.mark.backends),
        pytest.param(6, 3, 1, 1, 2, marks=pytest.mark.backends),  # groups
        (8, 3, 2, 0, 4),  # two filters a channel
    ],
)
def test_convolution_is_that_of_darknet(filters: int, size: int, stride: int, padding: int, groups: int) -> None:
    x = image(6, 7, 4)
    model = model_of(x.shape[1:], Convolution(filters, size, stride, padding, groups, activation="linear"))
    layer = model.get_layer("learner-layer0-conv")
    depthwise = type(layer).__name__ == "DepthwiseConv2D"
    assert depthwise == (groups == 4 == filters)
    kernel = keras.ops.convert_to_numpy(layer.kernel).transpose((2, 3, 0, 1) if depthwise else (3, 2, 0, 1))
    expected = [convolved(one, kernel, stride, padding, groups) for one in x]
    np.testing.assert_allclose(backend.predict(model, x), expected, atol=1e-5)


# Darknet's src/activations.h, written anew.
FORMULAS = {
    "linear": lambda x: x,
    "relu": lambda x: max(x, 0.0),
    "relu6": lambda x: min(max(x, 0.0), 6.0),
    "logistic": lambda x: 1 / (1 + math.exp(-x)),
    "elu": lambda x: x if x >= 0 else math.exp(x) - 1,
    "selu": lambda x: 1.0507 * x if x >= 0 else 1.0507 * 1.6732 * (math.exp(x) - 1),
    "tanh": math.tanh,
    "mish": lambda x: x * math.tanh(math.log1p(math.exp(x))),
    "swish": lambda x: x / (1 + math.exp(-x)),
    "gelu": lambda x: x * (1 + math.erf(x / math.sqrt(2))) / 2,
    "leaky": lambda x: x if x > 0 else 0.1 * x,
    "relie": lambda x: x if x > 0 else 0.01 * x,
    "ramp": lambda x: x * (x > 0) + 0.1 * x,
    "hardtan": lambda x: min(max(x, -1.0), 1.0),
    "lhtan": lambda x: 0.001 * x if x < 0 else 0.001 * (x - 1) + 1 if x > 1 else x,
    "loggy": lambda x: 2 / (1 + math.exp(-x)) - 1,
    "plse": lambda x: 0.01 * (x + 4) if x < -4 else 0.01 * (x - 4) + 1 if x > 4 else 0.125 * x + 0.5,
    "stair": lambda x: math.floor(x / 2) + (0 if math.floor(x) % 2 == 0 else x - math.floor(x)),
    "hard_mish": lambda x: x if x > 0 else x * x / 2 + x if x > -2 else 0.0,
}


@pytest.mark.backends
def test_activations_are_those_of_darknet() -> None:
    x = np.concatenate([np.linspace(-9, 9, 181), [-4.0, -1.0, 0.0, 1.0, 4.0]]).astype(np.float32)
    layers = [layer for kind in GRAPH_ACTIVATIONS for layer in (Route((0,)), Activate(kind))]
    source = keras.Input((1, 1, 1))
    outputs = tuple(range(2, len(layers) + 1, 2))
    given = LayerGraph((Activate(), *layers), outputs).build(source, Maker(0))
    found = backend.predict(keras.Model(source, list(given.values())), x.reshape(-1, 1, 1, 1))
    assert len(found) == len(GRAPH_ACTIVATIONS) == len(FORMULAS)
    for kind, values in zip(GRAPH_ACTIVATIONS, found, strict=True):
        expected = [FORMULAS[kind](float(value)) for value in x]
        np.testing.assert_allclose(np.asarray(values).reshape(-1), expected, atol=1e-3, rtol=1e-4, err_msg=kind)


def test_leaky_has_a_slope_of_a_tenth_and_not_keras_fifth() -> None:
    layer = model_of((4, 4, 3), Convolution(2, activation="leaky")).get_layer("learner-layer0-activation")
    assert layer.negative_slope == 0.1


@pytest.mark.backends
@pytest.mark.parametrize(
    ("filters", "stride", "channels"),
    [(6, 1, 6), (8, 1, 6), (4, 1, 6), (6, 2, 6), (4, 2, 6)],  # of what came in, against the image's size and six
)
def test_shortcut_is_that_of_darknet(filters: int, stride: int, channels: int) -> None:
    x = image(4, 6, 6)
    layers = (Activate("leaky"), Convolution(filters, 1, stride, activation="linear"))
    own, other = run(x, *layers).astype(np.float64), run(x, layers[0])
    for k in range(min(filters, channels)):  # shortcut_cpu
        for j in range(own.shape[1]):
            for i in range(own.shape[2]):
                own[:, j, i, k] += other[:, j * stride, i * stride, k]
    np.testing.assert_allclose(run(x, *layers, Shortcut(0, "relu")), np.maximum(own, 0), atol=1e-5)


@pytest.mark.backends
def test_products_have_factors_for_channels_pixels_or_both() -> None:
    x = image(2, 3, 4)
    ramp = x * (x > 0) + np.float32(0.1) * x
    both = run(x, Activate(), Activate("ramp"), Product(0))  # of [sam]
    np.testing.assert_allclose(both, x * ramp, rtol=1e-5)
    channels = run(x, Activate(), AveragePool(), Product(0, "relu"))  # of [scale_channels]
    np.testing.assert_allclose(channels, np.maximum(x * x.mean((1, 2), keepdims=True), 0), atol=1e-6)
    model = model_of(x.shape[1:], Activate(), Convolution(1, activation="linear"), Product(0))  # with scale_wh
    kernel = keras.ops.convert_to_numpy(model.get_layer("learner-layer1-conv").kernel)[0, 0]
    np.testing.assert_allclose(backend.predict(model, x), x * (x @ kernel), atol=1e-5)


@pytest.mark.backends
def test_routes_join_and_divide_channels() -> None:
    x = image(2, 3, 4)
    layers = (Activate("linear"), Activate("ramp"))
    ramp = x * (x > 0) + np.float32(0.1) * x
    np.testing.assert_allclose(run(x, *layers, Route((1, 0))), np.concatenate([ramp, x], -1), rtol=1e-6)
    np.testing.assert_allclose(run(x, *layers, Route((0,))), x)
    parts = [ramp[..., 2:], x[..., 2:]]
    np.testing.assert_allclose(run(x, *layers, Route((1, 0), 2, 1)), np.concatenate(parts, -1), rtol=1e-6)


@pytest.mark.backends
def test_layers_without_weights() -> None:
    x = image(4, 6, 2)
    np.testing.assert_allclose(run(x, AveragePool()), x.mean((1, 2), keepdims=True), atol=1e-6)
    np.testing.assert_allclose(run(x, Upsample(2, 0.5)), x.repeat(2, 1).repeat(2, 2) * 0.5, rtol=1e-6)
    np.testing.assert_allclose(run(x, Crop(2, 3)), x[:, 1:3, 1:4] * 2 - 1, atol=1e-6)
    np.testing.assert_array_equal(run(x, Activate(), Dropout(0.9), Passing("yolo")), x)
    np.testing.assert_allclose(run(x, Passing("softmax", 0.25)), x / 4, rtol=1e-6)


def test_connected_reads_rows_then_columns_then_channels() -> None:
    x = image(2, 3, 4)
    model = model_of((2, 3, 4), Connected(5, activation="linear"))
    kernel = keras.ops.convert_to_numpy(model.get_layer("learner-layer0-dense").kernel)
    np.testing.assert_allclose(backend.predict(model, x), x.reshape(2, -1) @ kernel, atol=1e-5)


def test_normalisation_replaces_the_bias() -> None:
    model = model_of((4, 4, 3), Convolution(2, 3, norm=True), Connected(5, norm=True), Connected(3))
    assert model.get_layer("learner-layer0-conv").bias is None
    assert model.get_layer("learner-layer1-dense").bias is None
    assert model.get_layer("learner-layer2-dense").bias is not None
    assert model.get_layer("learner-layer0-norm").epsilon == 1e-6
    assert [weight.path.split("/")[0] for weight in model_of((4, 4, 3), Norm()).weights] == ["learner-layer0-norm"] * 4


# --- the graph as a part -------------------------------------------------------------------------------------------

EVERY = LayerGraph(
    (
        Crop(16, 16),
        Convolution(8, 3, 1, 1, norm=True, activation="leaky"),
        MaxPool(2, 2),
        Convolution(8, 3, 1, 1, groups=8, activation="mish"),
        Dropout(0.2),
        Shortcut(2, "relu"),
        Norm(),
        Activate("loggy"),
        Route((2, 7)),
        Reorg(2),
        Upsample(2),
        Route((10,), 2, 1),
        MaxPool(3, 2),
        Local(4, 3, 1, 1, "ramp"),
        AveragePool(),
        Product(13),
        AveragePool(),
        Connected(7, activation="linear"),
        Passing("softmax", 0.5),
    )
)
RECIPE = Recipe((18, 20, 3), None, EVERY, {"label": Classify(7, pool="given")}, Conventions(epsilon=1e-6))


def test_yaml_and_back() -> None:
    text = RECIPE.to_yaml()
    assert Recipe.from_yaml(text) == RECIPE
    assert "  - {part: max-pool, size: 2, stride: 2, padding: null}\n" in text


def test_counts_agree_and_are_those_of_paper() -> None:
    # conv 3·3·3·8 and 4·8 of its normalisation; depthwise 9·8 + 8; norm 4·8; local 4·4 places of 9·32·4 + 4; 4·7 + 7.
    count = (216 + 32) + (72 + 8) + 32 + 16 * (1152 + 4) + 35
    assert RECIPE.count()[0] == count == RECIPE.build(seed=0).count_params()
    assert compose.cost(RECIPE) == compose.cost(RECIPE.build(seed=0))


def test_taps_and_receptive_fields() -> None:
    model = RECIPE.build(seed=0)
    taps = {"P0": "learner-layer1-activation", "P1": "learner-layer8-concat", "P2": "learner-layer9-reorg"}
    assert compose.tap_names(model) == taps
    assert compose.receptive_fields(model)["learner-layer3-conv"].size == (8, 8)  # 3, pooled 4, 4 + 2·2


def test_the_outline_has_one_part_for_the_graph() -> None:
    assert [part.name for part in compose.outline(RECIPE)] == ["input", "learner", "task-label"]


@pytest.mark.backends
def test_saved_and_loaded(tmp_path: Any) -> None:
    model, x = RECIPE.build(seed=0), image(18, 20, 3)
    model.save(tmp_path / "graph.keras")
    loaded = keras.models.load_model(tmp_path / "graph.keras")
    np.testing.assert_array_equal(backend.predict(loaded, x), backend.predict(model, x))


@pytest.mark.backends
def test_it_trains() -> None:
    # Without the crop in front, all that is named moves by one.
    moved = {5: Shortcut(1, "relu"), 8: Route((1, 6)), 11: Route((9,), 2, 1), 15: Product(12)}
    layers = tuple(moved.get(i, layer) for i, layer in enumerate(EVERY.layers))[1:]
    recipe = Recipe((8, 8, 3), None, LayerGraph(layers), {"label": Classify(7, pool="given")})
    model = recipe.build(seed=0)
    model.compile("adam", "sparse_categorical_crossentropy")
    x, y = image(8, 8, 3), np.array([1, 5])
    before = [keras.ops.convert_to_numpy(weight).copy() for weight in model.trainable_weights]
    loss = model.fit(x, y, epochs=3, verbose=0).history["loss"]
    assert loss[-1] < loss[0]
    for old, weight in zip(before, model.trainable_weights, strict=True):
        assert np.any(old != keras.ops.convert_to_numpy(weight)), weight.path


def test_outputs_are_named_by_their_layers() -> None:
    source = keras.Input((8, 8, 3))
    layers = (Convolution(4), Passing("yolo"), Route((0,)), MaxPool(2, 2))
    given = LayerGraph(layers, outputs=(1, 0)).build(source, Maker(0))
    assert list(given) == ["learner-layer1", "learner-layer0", "learner-layer3"]
    assert given["learner-layer1"] is given["learner-layer0"]
    assert tuple(given["learner-layer3"].shape) == (None, 4, 4, 4)
    assert list(LayerGraph(layers, outputs=(3, 1)).build(source, Maker(0))) == ["learner-layer1", "learner-layer3"]
    assert layer_name(16) == "learner-layer16"


# --- refusals ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: LayerGraph(()), "layer-graph.layers: expected at least one layer"),
        (lambda: LayerGraph((3,)), r"layer-graph.layers\[0\]: expected a record of a layer; got 3"),
        (lambda: LayerGraph((Route((0,)),)), r"layers\[0\]: expected no layer, as none is before it; got 0"),
        (lambda: LayerGraph((Norm(), Shortcut(1))), r"layers\[1\]: expected layers before this one, 0 to 0; got 1"),
        (lambda: LayerGraph((Norm(),), outputs=(1,)), "outputs: expected different places of layers, 0 to 0"),
        (lambda: LayerGraph((Norm(), Norm()), outputs=(1, 1)), "outputs: expected different places"),
        (lambda: LayerGraph((Norm(),), outputs=3), "outputs: expected a list of places"),
        (lambda: Convolution(0), "convolution.filters: expected a whole number of at least 1; got 0"),
        (lambda: Convolution(1, padding=-1), "convolution.padding: expected a whole number of at least 0; got -1"),
        (lambda: Convolution(1, norm=1), "convolution.norm: expected True or False"),
        (lambda: Convolution(1, activation="leeky"), "Did you mean 'leaky'"),
        (lambda: MaxPool(2, 2, 4), "max-pool.padding: expected less than 4"),
        (lambda: Route(()), "route.layers: expected at least one layer"),
        (lambda: Route((0,), 2, 2), "route.group: expected a number from 0 to 1; got 2"),
        (lambda: Shortcut(-1), "shortcut.source: expected a whole number of at least 0; got -1"),
        (lambda: Dropout(1.5), "dropout.rate: expected a number from 0 to 1; got 1.5"),
        (lambda: Passing("yelo"), "Did you mean 'yolo'"),
        (lambda: Classify(7, pool="given", hidden=(3,)), "no hidden layers where the pool is given"),
        # What only shows when the sizes are known.
        (lambda: run(image(4, 4, 3), Reorg(2)), "reorg: expected height and width that 2 divides, and channels that 4"),
        (lambda: run(image(4, 4, 3), Convolution(4, groups=2)), "expected channels and filters that 2 groups divide"),
        (lambda: run(image(4, 4, 3), Convolution(4, 5)), "expected feature maps of at least 5×5"),
        (lambda: run(image(4, 4, 3), Crop(5, 2)), "expected feature maps of at least 5×2"),
        (lambda: run(image(4, 4, 3), Connected(4), Convolution(4)), "learner-layer1: expected an image of shape"),
        (lambda: run(image(4, 4, 3), Local(1, 5)), "expected feature maps of a fixed size of at least 5 pixels"),
        (lambda: run(image(4, 4, 3), Norm(), MaxPool(2, 2), Route((0, 1))), "branches that give feature maps of one"),
        (lambda: run(image(4, 4, 3), Norm(), Route((0,), 2)), "expected channels that 2 divides; got 3"),
        (lambda: run(image(4, 4, 3), MaxPool(2, 2), Upsample(), Shortcut(0)), "expected feature maps of 4×4, or so"),
        (lambda: run(image(4, 4, 3), Norm(), Connected(4), Shortcut(0)), "learner-layer2-channels: expected"),
        (lambda: LayerGraph((Norm(), Product(1))), r"layers\[1\]: expected layers before this one, 0 to 0; got 1"),
        (lambda: Product(0, "leeky"), "Did you mean 'leaky'"),
        (
            lambda: run(image(4, 4, 3), Norm(), MaxPool(2, 2), Product(0)),
            "learner-layer2: expected 4×4×3, or such maps of one pixel or one channel; got 2×2×3",
        ),
        (
            lambda: Recipe((4, 4, 3), None, LayerGraph((Norm(),)), {"label": Classify(7, pool="given")}).build(),
            "task-label: expected 7 numbers for an image, which the learner gives; got 4×4×3",
        ),
        (
            lambda: Recipe.from_yaml(
                "{input: [4, 4, 1], learner: {part: layer-graph, layers: [{part: convolution, filters: x}]},"
                " tasks: {a: binary}}"
            ),
            r"learner.layers\[0\].filters: expected a whole number of at least 1; got 'x'",
        ),
    ],
)
def test_refusals(make: Any, words: str) -> None:
    with pytest.raises(check.SettingError, match=words) as caught:
        make()
    assert "\n" not in str(caught.value)
