"""Pictures of layers: what they show, what they say, and that no kind of layer or number stops them."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from lensmith import check
from lensmith.backend import keras
from lensmith.compose import zoo
from lensmith.probe import drawing, layer_figures
from lensmith.probe.figure import Figure
from lensmith.probe.layer_figures import (
    before_after_figure,
    kernels_figure,
    layers_to_show,
    maps_figure,
    maps_figures,
    pooling_figure,
)
from lensmith.probe.maps import before_and_after, feature_maps, pooling

L = keras.layers


def images(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).normal(size=shape).astype("float32")


def of_the_users_own() -> Any:
    """Layers of every kind that has kernels, with names as users give them."""
    x = keras.Input((12, 12, 3), name="the_pixels")
    first = L.Conv2D(6, 3, name="Conv_1-First")(x)
    maps = L.SeparableConv2D(6, 3, name="separable")(L.DepthwiseConv2D(3, depth_multiplier=2, name="depth")(first))
    maps = L.Conv2D(4, 1, name="point")(L.MaxPooling2D(2, name="pool")(maps))
    maps = L.Conv2DTranspose(2, 2, strides=2, name="up")(L.Add(name="twice")([maps, maps]))
    return keras.Model(x, L.Dense(5, name="scores")(L.Flatten(name="row")(maps)))


def in_order(figure: Figure) -> Figure:
    """Refuse a figure that cannot be written down."""
    json.dumps(dict(figure.facts), allow_nan=False)
    assert figure.title and figure.picture.dtype == np.uint8
    assert all(isinstance(array, np.ndarray) for array in figure.arrays.values())
    return figure


def tile(picture: np.ndarray, colour: tuple[int, int, int]) -> np.ndarray:
    """Rows and columns where a picture has a colour."""
    return np.argwhere((picture == colour).all(axis=2))


def test_the_strongest_maps_come_first_and_are_kept_as_arrays() -> None:
    maps = np.zeros((6, 6, 3), "float32")
    maps[..., 1] = 1.0
    maps[0, 0, 2] = 72.0  # the mean of 2, and one bright corner
    figure = in_order(maps_figure("conv", maps, count=2))
    assert figure.facts["channels"] == [2, 1] and figure.facts["means"] == [2.0, 1.0]
    np.testing.assert_array_equal(figure.arrays["maps"], maps[..., [2, 1]])
    yellow = tile(figure.picture, (253, 231, 37))  # the bright corner: the left upper one of the first tile
    assert len(yellow) == 16 * 16 and yellow[:, 1].max() < figure.picture.shape[1] / 4


def test_units_of_a_dense_layer_are_listed() -> None:
    figure = in_order(maps_figure("scores", np.array([0.5, -1.0, 2.0], "float32"), count=2))
    assert figure.facts["channels"] == [2, 0] and figure.arrays["maps"].tolist() == [2.0, 0.5]


def test_maps_of_nothing_but_nan_can_be_drawn() -> None:
    figure = in_order(maps_figure("broken", np.full((3, 3, 2), np.nan, "float32")))
    assert figure.facts["means"] == [None, None]


def test_maps_of_another_shape_are_refused() -> None:
    with pytest.raises(check.DataError, match="conv: expected maps"):
        maps_figure("conv", np.zeros((2, 2)))


def test_without_a_name_the_taps_are_shown_or_the_last_maps_of_each_size() -> None:
    compact = replace(zoo.get("compact"), input=(16, 16, 3)).build(seed=0)
    assert layers_to_show(compact) == ("P0", "P1", "P2", "P3")
    assert layers_to_show(of_the_users_own()) == ("Conv_1-First", "depth", "separable", "twice", "up")
    figures = maps_figures(compact, images(2, 16, 16, 3))
    assert [figure.name for figure in map(in_order, figures)] == ["maps-P0", "maps-P1", "maps-P2", "maps-P3"]


def test_of_a_batch_the_first_image_is_shown() -> None:
    model, x = of_the_users_own(), images(2, 12, 12, 3)
    [figure] = maps_figures(model, x, ["point"], count=4)
    expected = feature_maps(model, x, ["point"])["point"][0][..., figure.facts["channels"]]
    np.testing.assert_allclose(figure.arrays["maps"], expected, atol=1e-5)


def test_kernels_of_three_channels_are_shown_in_colour_around_gray() -> None:
    model = of_the_users_own()
    kernel = np.zeros((3, 3, 3, 6), "float32")
    kernel[0, 0, :, 4] = [1.0, 0.0, -1.0]  # red up, blue down
    model.get_layer("Conv_1-First").set_weights([kernel, np.zeros(6)])
    figure = in_order(kernels_figure(model, "Conv_1-First", count=1))
    assert len(tile(figure.picture, (255, 128, 0))) * 8 == len(tile(figure.picture, (128, 128, 128)))


def test_a_kernel_of_many_channels_is_shown_where_it_weighs_most() -> None:
    x = keras.Input((8, 8, 5))
    model = keras.Model(x, L.Conv2D(2, 3, name="conv")(x))
    kernel = np.zeros((3, 3, 5, 2), "float32")
    kernel[1, 1, 3, 1], kernel[0, 0, 2, 1] = -2.0, 1.0
    model.get_layer("conv").set_weights([kernel, np.zeros(2)])
    figure = in_order(kernels_figure(model, "conv"))
    blue = drawing.signed(np.array([[-1.0]]))[0, 0]
    assert len(tile(figure.picture, tuple(blue))) == 63 // 3 * 63 // 3  # one of nine squares
    assert not len(tile(figure.picture, tuple(drawing.signed(np.array([[0.5, 1.0]]))[0, 0])))  # input 2 is not shown
    np.testing.assert_array_equal(figure.arrays["kernel"], kernel)
    assert figure.facts["norms"]["kernel"] == pytest.approx(5**0.5)


@pytest.mark.parametrize("layer", ["Conv_1-First", "depth", "separable", "point", "up", "scores"])
def test_kernels_of_every_kind_can_be_drawn(layer: str) -> None:
    figure = in_order(kernels_figure(of_the_users_own(), layer))
    assert figure.facts["layer"] == layer and len(figure.arrays) == (2 if layer == "separable" else 1)


def test_kernels_that_are_zero_or_broken_can_be_drawn() -> None:
    model = of_the_users_own()
    for value in (0.0, np.nan, np.inf):
        for layer in ("Conv_1-First", "depth", "scores"):
            weights = [np.full(array.shape, value) for array in model.get_layer(layer).get_weights()]
            model.get_layer(layer).set_weights(weights)
            in_order(kernels_figure(model, layer))


def test_of_a_large_table_of_weights_the_largest_rows_are_shown() -> None:
    values = np.ones((400, 3), "float32")
    values[:150] = 0.0
    seen: list[np.ndarray] = []
    signed = drawing.signed
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(drawing, "signed", lambda shown, *a, **k: (seen.append(shown), signed(shown, *a, **k))[1])
        layer_figures._matrix(values, 1.0)
    assert seen[0].shape == (3, 256) and seen[0].sum() == 3 * 250


@pytest.mark.parametrize("layer", ["Conv_1-First", "depth", "twice", "pool", "row", "scores"])
def test_before_and_after_any_kind_of_layer(layer: str) -> None:
    model, x = of_the_users_own(), images(2, 12, 12, 3)
    around = before_and_after(model, x, layer)
    figure = in_order(before_after_figure(around))
    assert figure.facts["sources"] == list(around.sources)
    np.testing.assert_array_equal(figure.arrays["after"], around.after[0])
    np.testing.assert_array_equal(figure.arrays["before-1"], around.before[0][0])


def test_pooling_is_drawn_on_one_scale_with_its_factor() -> None:
    x = keras.Input((4, 4, 1))
    model = keras.Model(x, L.AveragePooling2D(2, name="mean")(x))
    image = np.zeros((1, 4, 4, 1), "float32")
    image[0, 0, 0] = 4.0
    figure = in_order(pooling_figure(pooling(model, image)))
    assert figure.facts["factor"] == [2.0, 2.0] and figure.arrays["after"][0, 0, 0] == 1.0
    assert "4×4 to 2×2" in figure.title
    # The largest colour is that of the pixel before: afterwards it is a quarter, and not stretched to yellow.
    assert len(tile(figure.picture, (253, 231, 37))) == 24 * 24


def test_pooling_over_the_whole_image_can_be_drawn() -> None:
    x = keras.Input((4, 4, 3))
    figure = pooling_figure(pooling(keras.Model(x, L.GlobalMaxPooling2D(name="most")(x)), images(1, 4, 4, 3)))
    assert in_order(figure).facts["factor"] == [4.0, 4.0]
