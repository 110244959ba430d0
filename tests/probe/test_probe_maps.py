"""Feature maps, kernels, before and after a layer, pooling: against convolutions written out a second way."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from lensmith import check
from lensmith.backend import keras
from lensmith.compose import zoo
from lensmith.probe.maps import before_and_after, feature_maps, kernels, pooling, strongest

L = keras.layers


def images(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).normal(size=shape).astype("float32")


def functional() -> Any:
    """Two branches added and joined, then pooled."""
    x = keras.Input((8, 10, 3), name="pixels")
    left = L.Conv2D(4, 3, padding="same", name="left")(x)
    right = L.Conv2D(4, 1, name="right")(x)
    total = L.Add(name="sum")([left, right])
    joined = L.Concatenate(name="joined")([total, right])
    small = L.MaxPooling2D(2, name="pool")(L.ReLU(name="relu")(joined))
    return keras.Model(x, L.Dense(5, name="scores")(L.Flatten(name="row")(small)), name="branches")


def nested() -> Any:
    inner = keras.Sequential([keras.Input((8, 8, 3)), L.Conv2D(4, 3, name="deep")], name="inner")
    x = keras.Input((8, 8, 3))
    return keras.Model(x, L.Dense(2, name="last")(L.GlobalAveragePooling2D(name="mean")(inner(x))))


def convolved(x: np.ndarray, kernel: np.ndarray, bias: np.ndarray) -> np.ndarray:
    """A convolution without padding, one output number at a time."""
    n, high, wide, _ = x.shape
    h, w, _, count = kernel.shape
    out = np.empty((n, high - h + 1, wide - w + 1, count))
    for i in range(out.shape[1]):
        for j in range(out.shape[2]):
            out[:, i, j] = np.einsum("nhwc,hwcf->nf", x[:, i : i + h, j : j + w].astype("float64"), kernel) + bias
    return out


@pytest.mark.backends
def test_the_maps_of_a_first_layer_are_those_of_a_convolution_written_out() -> None:
    model = keras.Sequential([keras.Input((9, 7, 3)), L.Conv2D(5, (3, 2), name="first"), L.ReLU(name="relu")])
    model.get_layer("first").bias.assign(np.arange(5.0))
    x = images(2, 9, 7, 3)
    found = feature_maps(model, x, ["first", "relu"])
    kernel, bias = model.get_layer("first").get_weights()
    expected = convolved(x, kernel, bias)
    np.testing.assert_allclose(found["first"], expected, atol=1e-5)
    np.testing.assert_allclose(found["relu"], np.maximum(expected, 0), atol=1e-5)
    assert {array.dtype for array in found.values()} == {np.dtype("float32")}


def test_deeper_maps_are_those_of_plain_torch_with_the_same_weights() -> None:
    torch = pytest.importorskip("torch")
    model = replace(zoo.get("compact"), input=(16, 16, 3)).build(seed=0)
    for layer in model.layers:  # as after training: moments that are not those of the first step
        if layer.name.endswith("norm"):
            rng = np.random.default_rng(len(layer.name))
            layer.set_weights([rng.uniform(0.5, 1.5, array.shape) for array in layer.get_weights()])
    x = images(2, 16, 16, 3)
    value = torch.from_numpy(x).permute(0, 3, 1, 2).double()
    for layer in model.layers:
        weights = [torch.from_numpy(array).double() for array in layer.get_weights()]
        if layer.name.endswith("conv"):
            value = torch.nn.functional.conv2d(value, weights[0].permute(3, 2, 0, 1), *weights[1:], padding=1)
        elif layer.name.endswith("norm"):
            gamma, beta, mean, variance = weights
            value = torch.nn.functional.batch_norm(value, mean, variance, gamma, beta, eps=layer.epsilon)
        elif layer.name.endswith("activation"):
            value = torch.relu(value)
        elif layer.name.endswith("pool"):
            value = torch.nn.functional.max_pool2d(value, layer.pool_size, layer.strides)
        if layer.name == "learner-group3-pool":
            break
    expected = value.permute(0, 2, 3, 1).numpy()
    [found] = feature_maps(model, x, ["P3"]).values()
    assert found.shape == (2, 2, 2, 128)
    np.testing.assert_allclose(found, expected, atol=1e-5 * np.abs(expected).max())


def test_maps_of_many_layers_come_in_one_pass_by_the_names_asked_for() -> None:
    model = functional()
    x = images(2, 8, 10, 3)
    names = ["scores", "joined", "left", "pixels", "joined"]
    found = feature_maps(model, x, names)
    assert list(found) == ["scores", "joined", "left", "pixels"]
    np.testing.assert_array_equal(found["pixels"], x)
    np.testing.assert_allclose(found["scores"], model.predict_on_batch(x), atol=1e-5)
    right = x @ kernels(model, "right")["kernel"][0, 0]
    np.testing.assert_allclose(found["joined"][..., 4:], right, atol=1e-5)


def test_layers_of_nested_models_are_found_by_their_own_name() -> None:
    model, x = nested(), images(1, 8, 8, 3)
    deep = feature_maps(model, x, ["deep"])["deep"]
    kernel, bias = model.get_layer("inner").get_layer("deep").get_weights()
    np.testing.assert_allclose(deep, convolved(x, kernel, bias), atol=1e-5)
    np.testing.assert_array_equal(kernels(model, "deep")["kernel"], kernel)


@pytest.mark.parametrize(
    ("maps", "count", "indices", "means"),
    [
        (np.array([[1.0, 3.0, 2.0]]), 2, [1, 2], [3.0, 2.0]),  # of one row of units
        (np.array([[1.0, 3.0, 2.0]]), 9, [1, 2, 0], [3.0, 2.0, 1.0]),  # more than there are: all
        (np.array([[0.0, 5.0], [4.0, -5.0]]), 2, [0, 1], [2.0, 0.0]),  # the mean, not the largest
        (np.zeros((2, 2, 3)), 3, [0, 1, 2], [0.0] * 3),  # of equals the first
        (np.array([[np.nan, 1.0, np.inf]]), 3, [2, 1, 0], [np.inf, 1.0, np.nan]),  # what is no number comes last
    ],
)
def test_the_strongest_channels_come_first(maps: np.ndarray, count: int, indices: list[int], means: Any) -> None:
    found, values = strongest(maps, count)
    assert found.tolist() == indices
    np.testing.assert_array_equal(values, np.asarray(means, "float32"))


@pytest.mark.parametrize(
    ("layer", "shapes"),
    [
        (L.Conv2D(5, (3, 2), name="it"), {"kernel": (3, 2, 4, 5)}),
        (L.Conv2D(6, 3, groups=2, name="it"), {"kernel": (3, 3, 2, 6)}),  # each kernel sees half of the channels
        (L.DepthwiseConv2D(3, depth_multiplier=2, name="it"), {"kernel": (3, 3, 4, 2)}),
        (L.SeparableConv2D(5, 3, name="it"), {"depthwise_kernel": (3, 3, 4, 1), "pointwise_kernel": (1, 1, 4, 5)}),
        (L.Conv2DTranspose(5, (3, 2), name="it"), {"kernel": (3, 2, 4, 5)}),  # kept as (height, width, out, in)
        (L.Dense(7, name="it"), {"kernel": (4, 7)}),
    ],
)
def test_kernels_of_every_kind_come_in_one_order(layer: Any, shapes: dict[str, tuple[int, ...]]) -> None:
    model = keras.Sequential([keras.Input((8, 8, 4)), layer])
    assert {name: array.shape for name, array in kernels(model, "it").items()} == shapes


def test_a_transposed_kernel_is_that_of_the_layer() -> None:
    """One bright pixel of channel 2 leaves the kernel itself in the output."""
    model = keras.Sequential([keras.Input((3, 3, 4)), L.Conv2DTranspose(5, 3, use_bias=False, name="up")])
    x = np.zeros((1, 3, 3, 4), "float32")
    x[0, 1, 1, 2] = 1
    np.testing.assert_allclose(
        feature_maps(model, x, ["up"])["up"][0, 1:4, 1:4], kernels(model, "up")["kernel"][:, :, 2], atol=1e-6
    )


def test_before_and_after_a_layer_with_several_inputs() -> None:
    model, x = functional(), images(2, 8, 10, 3)
    found = before_and_after(model, x, "sum")
    assert (found.layer, found.kind, found.sources) == ("sum", "Add", ("left", "right"))
    np.testing.assert_array_equal(found.before[0] + found.before[1], found.after)
    np.testing.assert_array_equal(found.before[0], feature_maps(model, x, ["left"])["left"])
    assert not np.array_equal(*found.before)


def test_of_a_layer_called_twice_the_last_call_is_looked_at() -> None:
    x = keras.Input((4,))
    layer = L.Dense(4, name="again")
    model, rows = keras.Model(x, layer(L.ReLU(name="relu")(layer(x)))), images(2, 4)
    found = before_and_after(model, rows, "again")
    assert found.sources == ("relu",)
    np.testing.assert_allclose(found.after, model.predict_on_batch(rows), atol=1e-6)


def test_before_an_activation_is_not_what_it_made_of_it() -> None:
    """Torch may do an activation in place: the maps before it must not be those after it."""
    model = replace(zoo.get("compact"), input=(16, 16, 3)).build(seed=0)
    found = before_and_after(model, images(1, 16, 16, 3), "learner-group1-block1-activation")
    assert found.before[0].min() < 0 <= found.after.min()
    np.testing.assert_array_equal(np.maximum(found.before[0], 0), found.after)


def test_pooling_is_shown_beside_what_it_was_given() -> None:
    model, x = functional(), images(2, 8, 10, 3)
    found = pooling(model, x)
    assert (found.layer, found.kind, found.factor) == ("pool", "MaxPooling2D", (2.0, 2.0))
    windows = found.before.reshape(2, 4, 2, 5, 2, 8)
    np.testing.assert_array_equal(found.after, windows.max(axis=(2, 4)))
    np.testing.assert_array_equal(pooling(model, x, "pool").after, found.after)


def test_pooling_over_the_whole_image_when_there_is_no_other() -> None:
    found = pooling(nested(), images(3, 8, 8, 3))
    assert (found.layer, found.factor, found.after.shape) == ("mean", (6.0, 6.0), (3, 4))
    np.testing.assert_allclose(found.before.mean(axis=(1, 2)), found.after, atol=1e-6)


def test_the_window_pools_of_a_network_come_before_its_last_average() -> None:
    model = replace(zoo.get("resnet18-v2"), input=(32, 32, 3)).build(seed=0)
    x = images(1, 32, 32, 3)
    assert pooling(model, x).kind == "MaxPooling2D"
    assert pooling(model, x, "task-label-pool").kind == "GlobalAveragePooling2D"


def bare() -> Any:
    return keras.Sequential([keras.Input((4, 4, 1)), L.ReLU(name="only")], name="bare")


@pytest.mark.parametrize(
    ("ask", "said"),
    [
        (lambda: feature_maps(functional(), images(1, 8, 10, 3), ["letf"]), "Did you mean 'left'"),
        (lambda: feature_maps(functional(), images(1, 8, 10, 3), []), "at least one tap or layer"),
        (lambda: feature_maps(functional(), images(8, 10, 3), ["left"]), "image[None]"),  # no batch
        (lambda: feature_maps(functional(), images(1, 8, 8, 3), ["left"]), "(1, 8, 8, 3)"),  # another size
        (lambda: kernels(nested(), "mean"), "got 'mean'. deep has some"),  # the nearest before it, in a model inside
        (lambda: kernels(functional(), "pixels"), "has some"),  # nothing before it: the first after it
        (lambda: kernels(functional(), "lefft"), "Did you mean 'left'"),
        (lambda: kernels(bare(), "only"), "a layer with kernels"),
        (lambda: pooling(bare(), images(1, 4, 4, 1)), "none among the layers of bare"),
        (lambda: pooling(functional(), images(1, 8, 10, 3), "left"), "one of pool; got 'left'"),
        (lambda: before_and_after(functional(), images(1, 8, 10, 3), "pixels"), "the input 'pixels'"),
        (lambda: strongest(np.zeros((2, 2)), 0), "at least 1"),
    ],
)
def test_what_cannot_be_shown_is_said_in_one_line(ask: Any, said: str) -> None:
    with pytest.raises(check.LensmithError) as caught:
        ask()
    assert said in str(caught.value) and "\n" not in str(caught.value)
