"""Published weights in our networks name what is on photographs: structure, padding, order of channels, all at once."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from lensmith.backend import keras
from lensmith.compose import weights, zoo

# ImageNet's classes by number.
DOGS = set(range(151, 269))
BALD_EAGLE = {22}
HOOFED = set(range(339, 355))  # sorrel 339, zebra, …, ox 345, bighorn 349, …, camel 354
AFRICAN_ELEPHANT = 386

PUBLISHED = {
    "squeezenet-1.0": Path("squeezenet_v10", "squeezenet_v10_decoded.npz"),
    "mobilenet-v1-0.25": Path("mobilenet_v1_025", "mobilenet_v1_0.25_224.h5"),
}
ROWS = pytest.mark.parametrize("row", PUBLISHED)


@cache
def loaded(row: str, path: Path) -> Any:
    model = zoo.get(row).build(seed=0)
    weights.load(model, row, path)
    return model


@pytest.fixture
def network(shared_data, row):
    path = shared_data / PUBLISHED[row]
    if not path.is_file():
        pytest.skip(f"{PUBLISHED[row]} is not in ../shared/data")
    return loaded(row, path)


def image(row: str, path: Path) -> np.ndarray:
    """A photograph as the network was trained on them, ``(1, side, side, 3)``."""
    side = zoo.get(row).input[0]
    with Image.open(path) as opened:
        pixels = np.asarray(opened.convert("RGB").resize((side, side), Image.Resampling.BILINEAR), dtype="float32")[
            None
        ]
    if row.startswith("squeezenet"):
        return pixels[..., ::-1] - np.float32([104, 117, 123])  # Caffe: blue, green, red
    return pixels / 127.5 - 1


def best(model: Any, x: np.ndarray) -> list[int]:
    """The five most probable classes, the most probable first."""
    return keras.ops.convert_to_numpy(model(x))[0].argsort()[::-1][:5].tolist()


@ROWS
def test_the_elephant_is_african(network, row, shared_data):
    x = image(row, shared_data / "photos" / "creative_commons_elephant.jpg")
    assert best(network, x)[0] == AFRICAN_ELEPHANT


# The photograph, and what should be among the first five; neither network is sure of these.
PHOTOS = [("dog.jpg", DOGS), ("eagle.jpg", BALD_EAGLE), ("horses.jpg", HOOFED)]


@ROWS
@pytest.mark.parametrize(("name", "classes"), PHOTOS)
def test_the_first_five_are_sensible(network, row, name, classes, shared_data):
    assert classes & set(best(network, image(row, shared_data / "darknet" / "data" / name)))


@pytest.mark.parametrize("row", ["squeezenet-1.0"])
def test_the_authors_rim_of_biases_changes_no_order_here(network, row, shared_data):
    """Their file pads the last convolution by a pixel: 15×15 maps, of which 56 pixels are the rectified bias alone."""
    model, averages = network, keras.Model(network.input, network.get_layer("task-label-logits").output)
    bias = np.maximum(keras.ops.convert_to_numpy(model.get_layer("task-label-maps").bias), 0)
    x = image(row, shared_data / "photos" / "creative_commons_elephant.jpg")
    padded = (keras.ops.convert_to_numpy(averages(x))[0] * 13**2 + bias * (15**2 - 13**2)) / 15**2
    assert padded.argsort()[::-1][:5].tolist() == best(model, x)


@pytest.mark.parametrize("row", ["squeezenet-1.0"])
def test_channels_in_the_wrong_order_would_show(network, row, shared_data):
    x = image(row, shared_data / "darknet" / "data" / "eagle.jpg")
    assert best(network, x) != best(network, x[..., ::-1])
