"""What a model costs: FLOPs checkable on paper and against the papers, and sketches that equal real models."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from lensmith import check
from lensmith.backend import keras
from lensmith.compose import Classify, Conv, Group, Groups, Recipe, zoo
from lensmith.compose.cost import Cost, cost, flops, lines, sketch
from lensmith.compose.learners.layer_graph_layers import LocallyConnected

layers = keras.layers


def through(layer: Any, *shape: int | None) -> Any:
    source = keras.Input(shape)
    return keras.Model(source, layer(source))


# Each row: a layer on an input, and its multiply-adds worked out by hand.
BY_HAND = [
    (layers.Conv2D(8, 3, padding="same"), (10, 6, 4), 10 * 6 * 9 * 4 * 8),  # every place, every window, both channels
    (layers.Conv2D(8, 3), (10, 6, 4), 8 * 4 * 9 * 4 * 8),  # valid: two places fewer each way
    (layers.Conv2D(8, 3, strides=2, padding="same"), (9, 6, 4), 5 * 3 * 9 * 4 * 8),  # the places of the output
    (layers.Conv2D(8, (1, 7), padding="same", groups=2), (10, 6, 4), 10 * 6 * 7 * 2 * 8),  # half the channels each
    (layers.DepthwiseConv2D(3, padding="same"), (10, 6, 4), 10 * 6 * 9 * 4),
    (layers.DepthwiseConv2D(3, depth_multiplier=2, padding="same"), (10, 6, 4), 10 * 6 * 9 * 4 * 2),
    (layers.SeparableConv2D(8, 3, padding="same"), (10, 6, 4), 10 * 6 * (9 * 4 + 4 * 8)),
    (layers.Conv2DTranspose(8, 2, strides=2), (5, 3, 4), 5 * 3 * 4 * 4 * 8),  # the places of the input
    (layers.Dense(8), (4,), 4 * 8),
    (layers.Dense(8), (5, 4), 5 * 4 * 8),  # once for each row
    (layers.BatchNormalization(), (10, 6, 4), 0),  # free, as all that follows
    (layers.MaxPooling2D(2), (10, 6, 4), 0),
    (layers.Flatten(), (10, 6, 4), 0),
]


@pytest.mark.parametrize(("layer", "shape", "expected"), BY_HAND, ids=lambda value: getattr(value, "name", None))
def test_a_layer_costs_what_paper_says(layer: Any, shape: tuple[int, ...], expected: int) -> None:
    assert flops(through(layer, *shape)) == expected


# Each row: a recipe and its multiply-adds as published, with the digits that the paper gives.
PUBLISHED = [
    ("vgg16", 15_470_264_320, 0),  # by arithmetic from Table 1 of the paper, fully connected layers included
    ("resnet18-v1", 1.8e9, 0.05e9),  # He et al. 2016, Table 1, as are the next four
    ("resnet34-v1", 3.6e9, 0.1e9),
    ("resnet50-v1", 3.8e9, 0.1e9),
    ("resnet101-v1", 7.6e9, 0.05e9),
    ("resnet152-v1", 11.3e9, 0.05e9),
    ("mobilenet-v1", 569e6, 0.5e6),  # Howard et al. 2017, Table 4
    ("mobilenet-v2", 300e6, 1e6),  # Sandler et al. 2018, Table 4
    ("nasnet-mobile", 564e6, 0.5e6),  # Zoph et al. 2018, Table 3
    ("nasnet-large", 23.8e9, 0.05e9),  # the same, Table 2
]


@pytest.mark.parametrize(("name", "expected", "within"), PUBLISHED, ids=[row[0] for row in PUBLISHED])
def test_a_network_costs_what_its_paper_says(name: str, expected: float, within: float) -> None:
    assert abs(flops(zoo.get(name)) - expected) <= within


# Rows of every kind of block in every run; all the others take minutes to build.
QUICK = {"dense-digits", "conv-digits", "vgg16", "alexnet", "resnet18-v2", "resnet20-cifar-v1", "mobilenet-v1-0.25"}
QUICK |= {"mobilenet-v3-small", "googlenet", "squeezenet-1.1", "shufflenet-v1-g3", "densenet121"}
ROWS = [pytest.param(name, marks=() if name in QUICK else pytest.mark.slow) for name in zoo.names()]


@pytest.mark.parametrize("name", ROWS)
def test_a_sketch_equals_the_model(name: str, small: Callable[[str], Recipe], built: Callable[[str], Any]) -> None:
    """The same layers with the same shapes, parameters and multiply-adds, in every row of the zoo."""
    drawn, real = lines(small(name)), lines(built(name))
    assert sorted(drawn, key=lambda line: line.name) == sorted(real, key=lambda line: line.name)
    model = built(name)
    assert cost(model).parameters == model.count_params()


def test_a_sketch_holds_no_weights_and_cannot_compute() -> None:
    model = sketch(zoo.get("vgg16"))  # half a gigabyte, were it built
    assert model.count_params() == 0
    assert cost(model) == Cost(138_357_544, 138_357_544, 15_470_264_320)


def test_layers_applied_twice_and_nested_models_cost_twice() -> None:
    inner = through(layers.Dense(3), 5)
    one, two = keras.Input((5,)), keras.Input((5,))
    twin = keras.Model([one, two], layers.Add()([inner(one), inner(two)]))
    assert cost(twin) == Cost(parameters=18, trainable=18, flops=30)
    assert [line.name.split("/")[-1] for line in lines(twin) if line.parameters] == [inner.layers[1].name]


def test_frozen_layers_are_not_trainable() -> None:
    model = through(layers.Dense(3), 5)
    model.layers[1].trainable = False
    assert cost(model) == Cost(parameters=18, trainable=0, flops=15)


def test_kernels_of_each_place_cost_their_size() -> None:
    # 4·3 places, each with a kernel of 3·3·2·5 and five biases.
    assert cost(through(LocallyConnected(5, 3), 6, 5, 2)) == Cost(12 * 95, 12 * 95, flops=12 * 90)


def test_refusals(refused: Callable[..., None]) -> None:
    refused(lambda: flops("vgg16"), "a model or a recipe", "'vgg16'")
    refused(lambda: flops(through(layers.Conv2D(2, 3), None, None, 3)), "a fixed size", "fixed height and width")
    too_small = Recipe((4, 4, 3), None, Groups(Group(Conv(padding="valid"), (8, 8))), {"label": Classify(2)})
    refused(lambda: flops(replace(too_small, input=(2, 2, 3))), "learner-group1-block1-conv", "2×2")
    assert issubclass(check.SettingError, ValueError)
