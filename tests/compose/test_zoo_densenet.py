"""DenseNet: the same counts and numbers as keras.applications, and its two blocks by hand."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from lensmith.backend import keras
from lensmith.compose import Classify, DenseLayer, Group, Groups, Recipe, Transition, tap_names, zoo
from lensmith.compose.weights import NameMap, assign, densenet, weights_of
from lensmith.compose.zoo.densenet import densenet as make_densenet

SIZE = (45, 70, 3)
# (total, trainable) of keras.applications
COUNTS = {
    "densenet121": (8_062_504, 7_978_856),
    "densenet169": (14_307_880, 14_149_480),
    "densenet201": (20_242_984, 20_013_928),
}


def array(tensor) -> np.ndarray:
    return keras.ops.convert_to_numpy(tensor)


def part(model, name: str, x) -> np.ndarray:
    return array(keras.Model(model.input, model.get_layer(name).output)(x))


def close(found: np.ndarray, expected: np.ndarray) -> None:
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5 * np.abs(expected).max())


@pytest.mark.parametrize(("name", "counts"), COUNTS.items(), ids=COUNTS)
def test_counts_of_keras_applications(name, counts):
    """The table of golden rows is counted anew in its own test."""
    row = json.loads(Path(__file__).with_name("golden.json").read_text(encoding="utf-8"))[name]
    assert (row["parameters"], row["trainable"]) == counts


@pytest.mark.parametrize(
    ("name", "other"),
    [
        ("densenet121", "DenseNet121"),
        pytest.param("densenet169", "DenseNet169", marks=pytest.mark.slow),
        pytest.param("densenet201", "DenseNet201", marks=pytest.mark.slow),
    ],
)
def test_same_numbers_as_keras_applications(name, other, fill, batch):
    reference = fill(getattr(keras.applications, other)(weights=None, input_shape=SIZE, classes=7))
    model = replace(zoo.get(name), input=SIZE, tasks={"label": Classify(7)}).build(seed=0)
    assign(model, {weight.path: array(weight).copy() for weight in reference.weights}, densenet.KERAS)
    x = batch(SIZE)
    pairs = {f"learner-group{2 * stage}-block1-pool": f"pool{stage + 1}_pool" for stage in (1, 2, 3)}
    pairs |= {"task-label-pool": "avg_pool", "task-label-probabilities": "predictions"}
    found = keras.Model(model.input, [model.get_layer(name).output for name in pairs])(x)
    expected = keras.Model(reference.input, [reference.get_layer(name).output for name in pairs.values()])(x)
    for one, theirs in zip(found, expected, strict=True):
        close(array(one), array(theirs))


def test_normalisation_is_as_keras_has_it():
    layers = small().layers
    norms = {(each.epsilon, each.momentum) for each in layers if isinstance(each, keras.layers.BatchNormalization)}
    assert norms == {(1.001e-5, 0.99)}


def small(**settings):
    return replace(make_densenet((2, 3), growth=4, **settings), input=(33, 47, 3)).build(seed=0)


def test_taps_are_the_ends_of_the_dense_blocks():
    assert tap_names(small()) == {
        "P1": "stem-activation",
        "P2": "learner-group1-block2-concat",
        "P3": "learner-relu",
    }


# Each row: the settings, and the channels of stem, first dense block, transition and second dense block.
@pytest.mark.parametrize(
    ("settings", "channels"),
    [
        ({}, [8, 16, 8, 20]),
        ({"compression": 1.0}, [8, 16, 16, 28]),
        ({"compression": 0.3}, [8, 16, 4, 16]),
        ({"bottleneck": None}, [8, 16, 8, 20]),
    ],
)
def test_growth_and_compression(settings, channels):
    model = small(**settings)
    ends = ("stem-conv", "learner-group1-block2-concat", "learner-group2-block1-conv", "learner-group3-block3-concat")
    assert [model.get_layer(name).output.shape[-1] for name in ends] == channels


def test_bottleneck_is_a_1x1_to_four_times_the_growth():
    kernels = {layer.name: layer.kernel.shape for layer in small().layers if isinstance(layer, keras.layers.Conv2D)}
    assert kernels["learner-group1-block2-conv1"] == (1, 1, 12, 16)
    assert kernels["learner-group1-block2-conv2"] == (3, 3, 16, 4)
    plain = small(bottleneck=None)
    assert plain.get_layer("learner-group1-block2-conv1").kernel.shape == (3, 3, 12, 4)


def test_blocks_by_hand(fill, batch):
    """A dense layer is [x, conv(relu(BN(x)))], a transition the mean of 2×2 windows of conv(relu(BN(x)))."""
    learner = Groups(Group(DenseLayer(None), filters=2), Group(Transition(0.5)))
    model = fill(Recipe((5, 6, 3), None, learner, {"y": Classify(2)}).build(seed=0))
    x = batch((5, 6, 3))
    conv = model.get_layer("learner-group1-block1-conv1")
    dense = np.concatenate([x, array(conv(activated(model, "learner-group1-block1-norm1", x)))], -1)
    np.testing.assert_allclose(part(model, "learner-group1-block1-concat", x), dense, atol=1e-5)
    kernel = model.get_layer("learner-group2-block1-conv").get_weights()[0][0, 0]
    maps = (activated(model, "learner-group2-block1-norm", dense) @ kernel)[:, :4]  # the fifth row fills no window
    means = maps.reshape(2, 2, 2, 3, 2, 2).mean((2, 4))
    np.testing.assert_allclose(part(model, "learner-group2-block1-pool", x), means, atol=1e-5)


def activated(model, name: str, x: np.ndarray) -> np.ndarray:
    gamma, beta, mean, variance = model.get_layer(name).get_weights()
    return np.maximum((x - mean) / np.sqrt(variance + 1e-5) * gamma + beta, 0).astype("float32")


def test_dropout_follows_each_convolution():
    learner = Groups(Group(DenseLayer(dropout=0.2), filters=2, blocks=2))
    layers = Recipe((4, 4, 3), None, learner, {"y": Classify(2)}).build(seed=0).layers
    assert sum(isinstance(layer, keras.layers.Dropout) for layer in layers) == 4


def test_transition_of_stride_1_keeps_the_size():
    learner = Groups(Group(Transition(), stride=1))
    model = Recipe((4, 5, 6), None, learner, {"y": Classify(2)}).build(seed=0)
    assert model.get_layer("task-y-pool").input.shape == (None, 4, 5, 3)


# torchvision's names as its code has them, and as its older files do
@pytest.mark.parametrize(("names", "dot"), [(densenet.TORCHVISION, ""), (densenet.TORCHVISION_FILES, ".")])
def test_names_of_torchvision(names: NameMap, dot):
    model = small()
    found = names.find(weights_of(model), {})
    assert found["stem-conv/kernel"] == "features.conv0.weight"
    assert found["learner-group1-block2-norm1/gamma"] == f"features.denseblock1.denselayer2.norm{dot}1.weight"
    assert found["learner-group2-block1-conv/kernel"] == "features.transition1.conv.weight"
    assert found["learner-group3-block3-conv2/kernel"] == f"features.denseblock2.denselayer3.conv{dot}2.weight"
    assert found["learner-norm/moving_mean"] == "features.norm5.running_mean"
    assert found["task-label-logits/kernel"] == "classifier.weight"
    assert len(set(found.values())) == len(model.weights)


# Each row: a wrong setting, and what the refusal says.
@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: DenseLayer(bottleneck=0), ["dense-layer.bottleneck"]),
        (lambda: DenseLayer(dropout=2.0), ["dense-layer.dropout"]),
        (lambda: Transition(compression=0.0), ["transition.compression", "above 0"]),
        (lambda: Transition(compression=1.5), ["transition.compression", "1.5"]),
        (lambda: make_densenet(()), ["layers: expected a number for each dense block"]),
        (lambda: make_densenet((2, 2), growth=0), ["group.filters"]),
    ],
)
def test_wrong_settings(make, words, refused):
    refused(make, *words)


def test_a_dense_layer_does_not_stride(refused):
    learner = Groups(Group(DenseLayer(), filters=4, stride=2))
    refused(Recipe((8, 8, 3), None, learner, {"y": Classify(2)}).build, "group1-block1", "stride 1", "Transition")
