"""ResNet as keras.applications has it, the books' plain ResNet-34, ResNeXt, SE and wide networks."""

from __future__ import annotations

import json
import re
from collections import Counter
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from lensmith.backend import keras
from lensmith.compose import Basic, Bottleneck, Classify, ConvStem, Group, Groups, Recipe, tap_names, zoo
from lensmith.compose.weights import assign, resnet
from lensmith.compose.zoo.resnet import keras_resnet
from lensmith.compose.zoo.resnext import resnext
from lensmith.compose.zoo.se import se_resnet
from lensmith.compose.zoo.wide_resnet import wide_resnet

# Trainable parameters: what the papers' tables come to.
COUNTS = {
    "resnet34-plain": 21_542_376,
    "resnext50-32x4d": 25_028_904,
    "resnext101-32x4d": 44_177_704,
    "se-resnet50": 28_088_024,
    "se-resnet101": 49_326_872,
    "se-resnet152": 66_821_848,
    "wrn-28-10": 36_479_194,
    "wrn-16-8": 10_961_370,
    "wrn-40-4": 8_949_210,
}
SIZE = (45, 70, 3)
GOLDEN = json.loads(Path(__file__).with_name("golden.json").read_text(encoding="utf-8"))


def array(tensor) -> np.ndarray:
    return keras.ops.convert_to_numpy(tensor)


def layers(model, kind) -> dict[str, object]:
    return {layer.name: layer for layer in model.layers if isinstance(layer, kind)}


@pytest.mark.parametrize(("name", "trainable"), COUNTS.items(), ids=COUNTS)
def test_counts(name, trainable):
    """The table of golden rows is counted anew in its own test."""
    assert GOLDEN[name]["trainable"] == trainable


def test_counts_of_other_members():
    assert wide_resnet(28, 10, classes=100).count()[1] == 36_536_884
    # The squeeze's two layers with biases hold 2·C²/16 + C/16 + C numbers after each block of C channels.
    blocks = {256: 3, 512: 4, 1024: 6, 2048: 3}
    added = sum(count * (2 * c * c // 16 + c // 16 + c) for c, count in blocks.items())
    assert GOLDEN["se-resnext50-32x4d"]["trainable"] == COUNTS["resnext50-32x4d"] + added
    assert added == COUNTS["se-resnet50"] - 25_557_032


# --- keras.applications --------------------------------------------------------------------------------------------


def theirs(name: str, fill):
    """A network of keras.applications with numbers drawn for all weights, statistics among them."""
    return fill(getattr(keras.applications, name)(weights=None, input_shape=SIZE, classes=7))


@cache
def ours(name: str):
    return replace(zoo.get(name), input=SIZE, tasks={"label": Classify(7)}).build(seed=0)


@pytest.mark.parametrize(
    ("name", "other"),
    [
        ("resnet50-v1-keras", "ResNet50"),
        ("resnet50-v2-keras", "ResNet50V2"),
        pytest.param("resnet101-v1-keras", "ResNet101", marks=pytest.mark.slow),
        pytest.param("resnet101-v2-keras", "ResNet101V2", marks=pytest.mark.slow),
        pytest.param("resnet152-v1-keras", "ResNet152", marks=pytest.mark.slow),
        pytest.param("resnet152-v2-keras", "ResNet152V2", marks=pytest.mark.slow),
    ],
)
def test_same_numbers_as_keras_applications(name, other, fill, batch):
    reference, model = theirs(other, fill), ours(name)
    arrays = {weight.path: array(weight).copy() for weight in reference.weights}
    assign(model, arrays, resnet.KERAS_V2 if "-v2-" in name else resnet.KERAS)
    x = batch(SIZE)
    pairs = {"task-label-pool": "avg_pool", "task-label-probabilities": "predictions"}
    for tap in tap_names(model).values():  # the features of every size
        if match := re.match(r"learner-group(\d)-block(\d+)", tap):
            pairs[tap] = f"conv{int(match[1]) + 1}_block{match[2]}_out"
    found = keras.Model(model.input, [model.get_layer(name).output for name in pairs])(x)
    expected = keras.Model(reference.input, [reference.get_layer(name).output for name in pairs.values()])(x)
    assert len(pairs) >= 5
    for one, other in zip(found, expected, strict=True):
        close(one, other)


def close(found, expected) -> None:
    found, expected = array(found), array(expected)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5 * np.abs(expected).max())


@pytest.mark.parametrize("name", ["resnet50-v1-keras", "resnet50-v2-keras"])
def test_normalisation_is_as_keras_has_it(name):
    norms = layers(ours(name), keras.layers.BatchNormalization).values()
    assert {(norm.epsilon, norm.momentum) for norm in norms} == {(1.001e-5, 0.99)}


def test_keras_version_2_strides_in_the_last_block():
    """The shortcut takes every second pixel there; the last group keeps its size."""
    convs = layers(ours("resnet50-v2-keras"), keras.layers.Conv2D)
    strided = [name for name, conv in convs.items() if conv.strides == (2, 2)]
    assert strided == ["stem-conv", *(f"learner-group{g}-block{b}-conv2" for g, b in ((1, 3), (2, 4), (3, 6)))]


def test_there_is_no_keras_version_1_5(refused):
    refused(lambda: keras_resnet(50, "1.5"), "version: expected one of 1, 2", "'1.5'")
    refused(lambda: keras_resnet(34, "1"), "depth: expected one of 50, 101, 152")


# --- the books' ResNet-34 ------------------------------------------------------------------------------------------


def test_plain_resnet_has_no_normalisation_and_no_projection():
    model = replace(zoo.get("resnet34-plain"), input=SIZE).build(seed=0)
    convs = layers(model, keras.layers.Conv2D)
    assert not layers(model, keras.layers.BatchNormalization)
    assert {conv.use_bias for conv in convs.values()} == {True}
    # 2, 3, 5 and 2 blocks with a shortcut; between the groups one convolution strides, and only one.
    assert Counter(name[8:14] for name in layers(model, keras.layers.Add)) == {
        "group1": 2,
        "group2": 3,
        "group3": 5,
        "group4": 2,
    }
    strided = [name for name, conv in convs.items() if conv.strides == (2, 2)]
    assert strided == ["stem-conv", *(f"learner-group{group}-block1-conv1" for group in (2, 3, 4))]
    assert len(convs) + 1 == 32  # and the dense layer: not the 34 of its name


def test_residual_block_without_normalisation_by_hand(fill, batch):
    """relu(x + conv(relu(conv(x)))), with 1×1 projections that have biases too."""
    for filters, layer_names in ((3, ["conv1", "conv2"]), (4, ["conv1", "conv2", "shortcut-conv"])):
        learner = Groups(Group(Basic(norm="none"), filters=filters, stride=1))
        model = fill(Recipe((5, 4, 3), None, learner, {"y": Classify(2)}).build(seed=0))
        convs = layers(model, keras.layers.Conv2D)
        assert sorted(convs) == [f"learner-group1-block1-{name}" for name in layer_names]
        x = batch((5, 4, 3))
        by = {name.removeprefix("learner-group1-block1-"): conv for name, conv in convs.items()}
        inner = array(by["conv2"](np.maximum(array(by["conv1"](x)), 0)))
        shortcut = array(by["shortcut-conv"](x)) if "shortcut-conv" in by else x
        found = keras.Model(model.input, model.get_layer("learner-group1-block1-relu").output)(x)
        np.testing.assert_allclose(array(found), np.maximum(shortcut + inner, 0), atol=1e-6)


def test_version_2_without_normalisation_is_refused(refused):
    refused(lambda: Bottleneck("2", norm="none"), "bottleneck.norm: version 2 normalises")


# --- ResNeXt, SE, wide ---------------------------------------------------------------------------------------------


def test_resnext_deals_the_3x3_into_32_groups():
    """32 groups of 4 channels in the first stage, of 8, 16 and 32 in the others (Table 1); the 3×3 strides."""
    learner = Groups(*(replace(group, blocks=1) for group in zoo.get("resnext50-32x4d").learner.groups))
    model = replace(zoo.get("resnext50-32x4d"), input=SIZE, learner=learner).build(seed=0)
    convs = layers(model, keras.layers.Conv2D)
    firsts = [convs[f"learner-group{group}-block1-conv2"] for group in (1, 2, 3, 4)]
    assert [(conv.groups, conv.filters // conv.groups, conv.strides[0]) for conv in firsts] == [
        (32, 4, 1),
        (32, 8, 2),
        (32, 16, 2),
        (32, 32, 2),
    ]


def test_squeeze_and_excitation_by_hand(fill, batch):
    """relu(x + s·f(x)) with s = sigmoid(W₂ relu(W₁ mean f(x)))."""
    learner = Groups(Group(Bottleneck("1", expansion=1, squeeze=2), filters=4, stride=1))
    model = fill(Recipe((5, 6, 4), None, learner, {"y": Classify(2)}).build(seed=0))
    names = ("norm3", "reduce", "expand", "relu")
    x, name = batch((5, 6, 4)), "learner-group1-block1"
    end = {key: model.get_layer(f"{name}-{key}") for key in names}
    branch = array(keras.Model(model.input, end["norm3"].output)(x))
    (first, first_bias), (second, second_bias) = (end[key].get_weights() for key in ("reduce", "expand"))
    assert first.shape == (1, 1, 4, 2)
    hidden = np.maximum(branch.mean((1, 2)) @ first[0, 0] + first_bias, 0)
    scale = 1 / (1 + np.exp(-(hidden @ second[0, 0] + second_bias)))
    expected = np.maximum(x + branch * scale[:, None, None, :], 0)
    np.testing.assert_allclose(array(keras.Model(model.input, end["relu"].output)(x)), expected, atol=1e-5)


def test_se_resnet_strides_in_the_first_1x1(built):
    convs = layers(built("se-resnet50"), keras.layers.Conv2D)
    strided = [name for name, conv in convs.items() if conv.strides == (2, 2) and "shortcut" not in name]
    assert strided == ["stem-conv", *(f"learner-group{group}-block1-conv1" for group in (2, 3, 4))]


def test_wide_resnet_is_16_filters_and_three_wide_groups():
    recipe = zoo.get("wrn-28-10")
    assert recipe.stem == ConvStem(16, kernel=3, stride=1, norm=False, activation="linear", bias=False)
    assert [(group.filters, group.blocks, group.stride) for group in recipe.learner.groups] == [
        (160, 4, 1),
        (320, 4, 2),
        (640, 4, 2),
    ]
    model = wide_resnet(10, 1, dropout=0.3).build(seed=0)
    assert model.get_layer("task-label-pool").input.shape == (None, 8, 8, 64)
    assert list(layers(model, keras.layers.Dropout)) == [f"learner-group{g}-block1-dropout2" for g in (1, 2, 3)]


# Each row: a member that there is not, and what the refusal says.
@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: wide_resnet(27, 10), ["depth: expected 6n + 4; got 27", "Take 22 or 28"]),
        (lambda: wide_resnet(28, 0), ["width: expected a whole number"]),
        (lambda: resnext(18), ["depth: expected one of 50, 101, 152"]),
        (lambda: resnext(50, cardinality=0), ["bottleneck.cardinality"]),
        (lambda: se_resnet(34), ["depth"]),
        (lambda: se_resnet(50, reduction=0), ["bottleneck.squeeze"]),
    ],
)
def test_members_that_there_are_not(make, words, refused):
    refused(make, *words)
