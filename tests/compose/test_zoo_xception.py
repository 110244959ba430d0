"""Xception: counts, the blocks against plain numpy, and the same numbers as keras.applications."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from lensmith.backend import keras
from lensmith.compose import Classify, Group, Groups, Recipe, tap_names, zoo
from lensmith.compose.blocks import SeparableConv, SeparableResidual
from lensmith.compose.cost import lines as cost_lines
from lensmith.compose.weights import inception


def array(tensor) -> np.ndarray:
    return keras.ops.convert_to_numpy(tensor)


def close(found: np.ndarray, expected: np.ndarray) -> None:
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5 * np.abs(expected).max())


def one(block, filters: int, stride: int | None = None, channels: int = 3) -> Recipe:
    """A network of one block."""
    learner = Groups(Group(block, filters=filters, stride=stride))
    return Recipe(input=(7, 10, channels), stem=None, learner=learner, tasks={"label": Classify(2)})


def depthwise(x: np.ndarray, kernel: np.ndarray) -> np.ndarray:
    """Each channel under its own window, zeros around; the slow way."""
    side, (height, width) = kernel.shape[0] // 2, x.shape[1:3]
    padded = np.pad(x, ((0, 0), (side, side), (side, side), (0, 0)))
    found = np.zeros_like(x)
    for i in range(kernel.shape[0]):
        for j in range(kernel.shape[1]):
            found += padded[:, i : i + height, j : j + width] * kernel[i, j, :, 0]
    return found


def separable(x: np.ndarray, model, name: str) -> np.ndarray:
    """The window, the 1×1 convolution, the normalisation."""
    window, mix, norm = (model.get_layer(f"{name}-{part}") for part in ("depthwise", "pointwise", "norm"))
    x = depthwise(x, array(window.kernel)) @ array(mix.kernel)[0, 0]
    return normalised(x, norm)


def normalised(x: np.ndarray, norm) -> np.ndarray:
    gamma, beta, mean, variance = (array(weight) for weight in norm.weights)
    return (x - mean) / np.sqrt(variance + norm.epsilon) * gamma + beta


def pooled(x: np.ndarray) -> np.ndarray:
    """The largest of 3×3 every second pixel, as TensorFlow pads: the odd pixel at the end."""
    height, width = (-(-side // 2) for side in x.shape[1:3])
    before = [((out - 1) * 2 + 3 - side) // 2 for out, side in zip((height, width), x.shape[1:3], strict=True)]
    padded = np.pad(x, ((0, 0), *((each, 2) for each in before), (0, 0)), constant_values=-np.inf)
    return np.stack(
        [
            [padded[:, 2 * i : 2 * i + 3, 2 * j : 2 * j + 3].max(axis=(1, 2)) for j in range(width)]
            for i in range(height)
        ]
    ).transpose(2, 0, 1, 3)


def test_counts():
    """keras.applications: total and trainable; the golden table is counted anew in its own test."""
    row = json.loads(Path(__file__).with_name("golden.json").read_text(encoding="utf-8"))["xception"]
    assert (row["parameters"], row["trainable"]) == (22_910_480, 22_855_952)


def test_shapes_of_figure_5():
    lines = {line.name: line for line in cost_lines(zoo.get("xception"))}
    shapes = {
        "stem-1-activation": (149, 149, 32),
        "stem-2-activation": (147, 147, 64),
        "learner-group1-block1-add": (74, 74, 128),
        "learner-group2-block1-add": (37, 37, 256),
        "learner-group3-block1-add": (19, 19, 728),
        "learner-group3-block9-add": (19, 19, 728),
        "learner-group4-block1-add": (10, 10, 1024),
        "learner-group4-block3-activation": (10, 10, 2048),
    }
    assert {name: lines[name].shape for name in shapes} == shapes
    assert round(sum(line.flops for line in lines.values()) / 1e9, 1) == 8.4


def test_same_numbers_as_keras_applications(fill, same_numbers):
    size = (71, 90, 3)
    reference = fill(keras.applications.Xception(weights=None, input_shape=size, classes=7))
    recipe = replace(zoo.get("xception"), input=size, tasks={"label": Classify(7)})
    arrays = {weight.path: array(weight).copy() for weight in reference.weights}
    pairs = {
        "learner-group1-block1-2-norm": "block2_sepconv2_bn",
        "learner-group3-block9-3-norm": "block12_sepconv3_bn",
        "learner-group4-block3-activation": "block14_sepconv2_act",
        "task-label-pool": "avg_pool",
        "task-label-probabilities": "predictions",
    }
    model = same_numbers(reference, arrays, recipe, inception.KERAS_XCEPTION, pairs)
    assert list(tap_names(model)) == ["P1", "P2", "P3", "P4", "P5"]


def test_strided_block_by_hand(fill, batch):
    model = fill(one(SeparableResidual(), 5).build(seed=0))
    x = batch((7, 10, 3))
    name = "learner-group1-block1"
    inner = separable(np.maximum(x, 0), model, f"{name}-1")
    inner = pooled(separable(np.maximum(inner, 0), model, f"{name}-2"))
    kernel = array(model.get_layer(f"{name}-shortcut-conv").kernel)[0, 0]
    shortcut = normalised(x[:, ::2, ::2] @ kernel, model.get_layer(f"{name}-shortcut-norm"))
    found = keras.Model(model.input, model.get_layer(f"{name}-add").output)(x)
    close(array(found), inner + shortcut)


def test_plain_convolution_by_hand(fill, batch):
    model = fill(one(SeparableConv(kernel=5), 4).build(seed=0))
    x = batch((7, 10, 3))
    found = keras.Model(model.input, model.get_layer("learner-group1-block1-activation").output)(x)
    close(array(found), np.maximum(separable(x, model, "learner-group1-block1"), 0))


# Each row: the block, its filters and stride on 3 channels, the channels of each convolution, and of the shortcut.
@pytest.mark.parametrize(
    ("block", "filters", "stride", "widths", "shortcut"),
    [
        (SeparableResidual(), 5, None, [5, 5], True),  # the block's own stride is 2
        (SeparableResidual(widening="last"), 5, None, [3, 5], True),
        (SeparableResidual(depth=3), 3, 1, [3, 3, 3], False),  # nothing changes: the input itself is added
        (SeparableResidual(depth=1), 5, 1, [5], True),
        (SeparableResidual(depth=1), 3, 2, [3], True),
    ],
)
def test_widths_and_shortcuts(block, filters, stride, widths, shortcut):
    layers = {
        line.name.removeprefix("learner-group1-block1-"): line for line in cost_lines(one(block, filters, stride))
    }
    assert [line.shape[-1] for name, line in layers.items() if name.endswith("-pointwise")] == widths
    assert ("shortcut-conv" in layers) == shortcut
    assert ("pool" in layers) == (stride != 1)


@pytest.mark.parametrize(("activated", "count"), [(True, 2), (False, 1)])
def test_the_first_activation_may_be_left_out(activated, count):
    lines = cost_lines(one(SeparableResidual(activated=activated), 5))
    assert sum("-activation" in line.name for line in lines) == count


def test_written_and_read_again():
    recipe = one(SeparableResidual(depth=3, kernel=(3, 5), widening="last", activated=False), 6)
    assert Recipe.from_yaml(recipe.to_yaml()) == recipe
    assert "part: separable-residual" in recipe.to_yaml()


# Each row: what is made wrongly, and the words its refusal must have.
@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: SeparableResidual(depth=0), ["separable-residual.depth", "at least 1", "0"]),
        (lambda: SeparableResidual(kernel=0), ["separable-residual.kernel", "at least 1"]),
        (lambda: SeparableResidual(widening="lst"), ["separable-residual.widening", "Did you mean 'last'?"]),
        (lambda: SeparableResidual(activated="no"), ["separable-residual.activated", "True or False"]),
        (lambda: SeparableResidual(activation="rely"), ["separable-residual.activation", "Did you mean 'relu'?"]),
        (lambda: SeparableConv(kernel=(3, 3, 3)), ["separable-conv.kernel", "height and width"]),
        (lambda: SeparableConv(activation="rely"), ["separable-conv.activation", "Did you mean 'relu'?"]),
        (lambda: replace(zoo.get("xception"), input=(4, 4, 3)).count(), ["stem-2", "at least 3×3", "1×1"]),
    ],
)
def test_refusals(make, words, refused):
    refused(make, *words)
