"""SqueezeNet: counts of the paper's table, sizes, bypasses by hand, and a head whose average comes last."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from lensmith import compose
from lensmith.backend import keras
from lensmith.compose import Classify, Fire, Regress, zoo
from lensmith.compose.layers import Maker
from lensmith.compose.zoo.squeezenet import squeezenet

# Figure 2: the 1×1 convolutions around fire 2, 4, 6, 8 with their biases; a simple bypass has no parameters.
COMPLEX_1_0 = sum(before * after + after for before, after in ((96, 128), (128, 256), (256, 384), (384, 512)))
COMPLEX_1_1 = sum(before * after + after for before, after in ((64, 128), (128, 256), (256, 384), (384, 512)))
COUNTS = {
    "squeezenet-1.0": 1_248_424,
    "squeezenet-1.0-simple": 1_248_424,
    "squeezenet-1.0-complex": 1_248_424 + COMPLEX_1_0,
    "squeezenet-1.1": 1_235_496,
    "squeezenet-1.1-simple": 1_235_496,
    "squeezenet-1.1-complex": 1_235_496 + COMPLEX_1_1,
}


@pytest.mark.parametrize(("name", "count"), COUNTS.items(), ids=COUNTS)
def test_counts(name, count):
    assert zoo.get(name).count() == (count, count)


def test_sizes_of_table_1():
    """conv1 111, maxpool1 55, maxpool4 27, maxpool8 13; 1,000 maps of 13×13, then their averages."""
    model = zoo.get("squeezenet-1.0").build(seed=0)
    sizes = {
        name: tuple(model.get_layer(name).output.shape[1:])
        for name in (
            "stem-1-conv",
            "stem-2-pool",
            "learner-group1-pool",
            "learner-group2-pool",
            "task-label-maps",
            "task-label-logits",
        )
    }
    assert list(sizes.values()) == [(111, 111, 96), (55, 55, 96), (27, 27, 256), (13, 13, 512), (13, 13, 1000), (1000,)]


def layers_of(block: Fire, channels: int, filters: int):
    source = keras.Input((6, 5, channels))
    output = block.build(source, Maker(seed=0), filters=filters, stride=1, name="b")
    return {layer.name: layer for layer in keras.Model(source, output).layers}


# Bypass, channels in, whether there is a sum and whether a convolution leads to it; the block has 16 filters.
BYPASSES = [
    ("none", 16, False, False),
    ("simple", 16, True, False),
    ("simple", 8, False, False),  # other channels: nothing to add
    ("complex", 16, True, False),  # the same channels need no convolution
    ("complex", 8, True, True),
]


@pytest.mark.parametrize(("bypass", "channels", "adds", "converts"), BYPASSES)
def test_bypasses(bypass, channels, adds, converts):
    found = layers_of(Fire(bypass=bypass), channels, 16)
    assert ("b-add" in found, "b-shortcut-conv" in found) == (adds, converts)


def test_the_paper_bypasses_every_second_module():
    """Figure 2: simple around fire 3, 5, 7, 9; complex convolutions around fire 2, 4, 6, 8."""
    modules = [
        f"learner-group{g}-block{b}" for g, b in ((1, 1), (1, 2), (1, 3), (2, 1), (2, 2), (2, 3), (2, 4), (3, 1))
    ]
    for name, kind in (("squeezenet-1.0-simple", "-add"), ("squeezenet-1.0-complex", "-shortcut-conv")):
        model = replace(zoo.get(name), input=(63, 63, 3), tasks={"label": Regress()}).build(seed=0)
        found = [layer.name.removesuffix(kind) for layer in model.layers if layer.name.endswith(kind)]
        assert found == modules[1 if kind == "-add" else 0 :: 2]


def test_ratios_of_the_paper():
    """Fire 2: of 128 filters an eighth, 16, squeeze, and half, 64, are 3×3. Without 3×3 filters a branch is missing."""
    found = layers_of(Fire(), 96, 128)
    kernels = {name: tuple(layer.kernel.shape) for name, layer in found.items() if hasattr(layer, "kernel")}
    assert kernels == {"b-conv1": (1, 1, 96, 16), "b-conv2": (1, 1, 16, 64), "b-conv3": (3, 3, 16, 64)}
    assert set(layers_of(Fire(share=0.0), 8, 16)) & {"b-conv3", "b-concat"} == set()
    assert set(layers_of(Fire(share=1.0), 8, 16)) & {"b-conv2", "b-concat"} == set()


def with_head(task) -> tuple[object, np.ndarray]:
    recipe = replace(
        zoo.get("compact"),
        input=(5, 4, 3),
        learner=compose.Groups(compose.Group(compose.Conv(1), filters=6)),
        tasks={"label": task},
    )
    return recipe.build(seed=0), np.random.default_rng(0).normal(size=(2, 5, 4, 3)).astype("float32")


@pytest.mark.parametrize("activation", ["relu", "linear"])
def test_logits_are_the_averages_of_the_activated_maps(activation):
    model, x = with_head(Classify(3, pool="average-last", activation=activation, dropout=0.5))
    maps = keras.Model(model.input, model.get_layer("task-label-maps").input)(x)
    kernel, bias = (keras.ops.convert_to_numpy(weight) for weight in model.get_layer("task-label-maps").weights)
    answers = keras.ops.convert_to_numpy(maps) @ kernel[0, 0] + bias
    expected = (np.maximum(answers, 0) if activation == "relu" else answers).mean(axis=(1, 2))
    found = keras.ops.convert_to_numpy(compose.logits(model)(x))
    np.testing.assert_allclose(found, expected, atol=1e-6)
    np.testing.assert_allclose(keras.ops.convert_to_numpy(model(x)).sum(axis=1), 1, atol=1e-6)


def test_a_regression_may_average_last_too():
    model, x = with_head(Regress(2, pool="average-last", activation="linear"))
    assert model.output._keras_history.operation.name == "task-label-output"
    assert model(x).shape == (2, 2)


def test_embedding_is_a_vector_of_the_features_before_the_classes():
    model, x = with_head(Classify(3, pool="average-last"))
    maps = keras.Model(model.input, model.get_layer("task-label-maps").input)(x)
    expected = keras.ops.convert_to_numpy(maps).mean(axis=(1, 2))
    np.testing.assert_allclose(keras.ops.convert_to_numpy(compose.embedding(model)(x)), expected, atol=1e-6)


def test_written_and_read_again():
    recipe = zoo.get("squeezenet-1.1-complex")
    assert compose.Recipe.from_yaml(recipe.to_yaml()) == recipe


REFUSED = [
    (lambda: Fire(squeeze=2.0), "fire.squeeze"),
    (lambda: Fire(share=-0.1), "fire.share"),
    (lambda: Fire(bypass="easy"), "fire.bypass: expected one of none, simple, complex"),
    (lambda: squeezenet("1.2"), "version"),
    (lambda: squeezenet(bypass="full"), "fire.bypass"),
    (lambda: Classify(3, pool="average-last", hidden=(4,)), "no hidden layers"),
    (lambda: Fire().build(keras.Input((8, 8, 3)), Maker(seed=0), filters=8, stride=2, name="b"), "stride 1"),
]


@pytest.mark.parametrize(("make", "words"), REFUSED)
def test_refusals(make, words, refused):
    refused(make, words)
