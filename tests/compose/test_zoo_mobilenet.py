"""MobileNet against ``keras.applications``: the same counts, and with the same weights the same numbers."""

from __future__ import annotations

import math
import re
from dataclasses import replace

import numpy as np
import pytest

from lensmith import compose
from lensmith.backend import keras
from lensmith.compose import Conv, InvertedResidual, Separable, Squeeze, zoo
from lensmith.compose.blocks.inverted import divisible
from lensmith.compose.layers import Maker, margins
from lensmith.compose.zoo.mobilenet import mobilenet_v1, mobilenet_v2, mobilenet_v3

# All and trainable parameters of keras.applications, 1,000 classes.
COUNTS = {
    "mobilenet-v1": (4_253_864, 4_231_976),
    "mobilenet-v2": (3_538_984, 3_504_872),
    "mobilenet-v3-small": (2_554_968, 2_542_856),
    "mobilenet-v3-large": (5_507_432, 5_483_032),
}
# The row, keras.applications' function and width, and an image: each on even and odd sides, which pad differently.
SAME = [
    ("mobilenet-v1-0.25", "MobileNet", 0.25, (64, 96)),
    ("mobilenet-v1-0.25", "MobileNet", 0.25, (67, 45)),  # odd at the input and further down
    ("mobilenet-v2-0.35", "MobileNetV2", 0.35, (64, 48)),
    ("mobilenet-v2-0.35", "MobileNetV2", 0.35, (67, 45)),
    ("mobilenet-v3-small-0.75", "MobileNetV3Small", 0.75, (64, 48)),
    ("mobilenet-v3-small-0.75", "MobileNetV3Small", 0.75, (67, 45)),
]
FURTHER = [
    ("mobilenet-v1", "MobileNet", 1.0, (67, 64)),
    ("mobilenet-v1-0.5", "MobileNet", 0.5, (67, 64)),
    ("mobilenet-v1-0.75", "MobileNet", 0.75, (67, 64)),
    ("mobilenet-v2", "MobileNetV2", 1.0, (67, 64)),
    *((f"mobilenet-v2-{width}", "MobileNetV2", width, (67, 64)) for width in (0.5, 0.75, 1.3, 1.4)),
    ("mobilenet-v3-small", "MobileNetV3Small", 1.0, (67, 64)),
    ("mobilenet-v3-large", "MobileNetV3Large", 1.0, (67, 64)),
    ("mobilenet-v3-large-0.75", "MobileNetV3Large", 0.75, (64, 48)),
    ("mobilenet-v3-large-0.75", "MobileNetV3Large", 0.75, (67, 45)),
]


def made(model) -> list:
    """The layers that have weights in the order in which they were made: Keras numbers symbolic tensors."""
    with_weights = [layer for layer in model.layers if layer.weights]
    return sorted(with_weights, key=lambda layer: int(re.search(r"\d+$", layer.output.name)[0]))


def draw(rng, path: str, shape: tuple[int, ...]) -> np.ndarray:
    """Weights that keep numbers in range and statistics that are not 0 and 1."""
    kind = path.rsplit("/", 1)[-1]
    if "kernel" in kind:
        inputs = math.prod(shape[:2]) if kind.startswith("depthwise") else math.prod(shape[:-1])
        return rng.normal(0, math.sqrt(2 / inputs), shape)
    return rng.uniform(0.5, 1.5, shape) if kind in ("gamma", "moving_variance") else rng.normal(0, 0.2, shape)


def copy_weights(theirs, ours) -> None:
    """Random weights into both, layer by layer; a 1×1 convolution of theirs may be a dense layer of ours."""
    rng = np.random.default_rng(11)
    for from_layer, to_layer in zip(made(theirs), made(ours), strict=True):
        for from_weight, to_weight in zip(from_layer.weights, to_layer.weights, strict=True):
            values = draw(rng, from_weight.path, tuple(from_weight.shape)).astype("float32")
            assert values.size == math.prod(to_weight.shape), (from_weight.path, to_weight.path)
            from_weight.assign(values)
            to_weight.assign(values.reshape(to_weight.shape))


def features(model):
    """The model's answers and the feature maps that its head pools."""
    pools = [layer for layer in model.layers if isinstance(layer, keras.layers.GlobalAveragePooling2D)]
    last = max(pools, key=lambda layer: int(re.search(r"\d+$", layer.output.name)[0]))
    return keras.Model(model.input, [model.output, last.input])


def compare(name, theirs) -> None:
    ours = replace(zoo.get(name), input=tuple(theirs.input_shape[1:])).build(seed=0)
    assert ours.count_params() == theirs.count_params()
    copy_weights(theirs, ours)
    x = np.random.default_rng(3).uniform(-1, 1, (2, *ours.input_shape[1:])).astype("float32")
    for found, expected in zip(features(ours)(x), features(theirs)(x), strict=True):
        found, expected = keras.ops.convert_to_numpy(found), keras.ops.convert_to_numpy(expected)
        assert expected.std() > 0  # they say something
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5 * np.abs(expected).max())


def build_theirs(function: str, width: float, size: tuple[int, int]):
    scaling = {} if "V3" not in function else {"include_preprocessing": False}
    return getattr(keras.applications, function)(weights=None, alpha=width, input_shape=(*size, 3), **scaling)


@pytest.mark.parametrize(("name", "function", "width", "size"), SAME)
def test_same_numbers_as_keras_applications(name, function, width, size):
    compare(name, build_theirs(function, width, size))


@pytest.mark.slow
@pytest.mark.parametrize(("name", "function", "width", "size"), FURTHER)
def test_same_numbers_as_keras_applications_further(name, function, width, size):
    compare(name, build_theirs(function, width, size))


@pytest.mark.parametrize(("name", "counts"), COUNTS.items(), ids=COUNTS)
def test_counts_of_keras_applications(name, counts):
    assert zoo.get(name).count() == counts


def test_conventions_of_training_are_those_of_keras_applications():
    for name, momentum in (("mobilenet-v1-0.25", 0.99), ("mobilenet-v2-0.35", 0.999), ("mobilenet-v3-small", 0.999)):
        conventions = zoo.get(name).conventions
        assert (conventions.epsilon, conventions.momentum, conventions.bias) == (1e-3, momentum, False)


# The nearest multiple of 8, except where that takes more than a tenth away.
WIDTHS = [
    (8.0, 8),
    (1.0, 8),  # never less than one multiple
    (11.9, 16),  # 8 is nearest but only two thirds of it
    (12.0, 16),  # half-way goes up
    (20.0, 24),
    (33.6, 32),  # 24 · 1.4
    (43.0, 40),  # 93 %
    (1280 * 1.3, 1664),
]


@pytest.mark.parametrize(("width", "expected"), WIDTHS)
def test_widths_are_rounded_as_the_authors_do(width, expected):
    assert divisible(width) == expected


def layers_of(block, channels: int, filters: int, stride: int = 1):
    source = keras.Input((8, 8, channels))
    output = block.build(source, Maker(seed=0), filters=filters, stride=stride, name="b")
    return {layer.name: layer for layer in keras.Model(source, output).layers}


def test_inverted_residual_adds_only_where_nothing_changes():
    assert "b-add" in layers_of(InvertedResidual(), 16, 16)
    assert "b-add" not in layers_of(InvertedResidual(), 16, 24)
    assert "b-add" not in layers_of(InvertedResidual(), 16, 16, stride=2)


def test_inverted_residual_by_hand():
    """16 → 4 · 16 = 64 → 24 channels; the last convolution is linear; without expansion there are two."""
    found = layers_of(InvertedResidual(4, kernel=5, squeeze=Squeeze(0.25)), 16, 24)
    kernels = {name: tuple(layer.kernel.shape) for name, layer in found.items() if hasattr(layer, "kernel")}
    assert kernels == {
        "b-conv1": (1, 1, 16, 64),
        "b-conv2": (5, 5, 64, 1),
        "b-reduce": (1, 1, 64, 16),
        "b-expand": (1, 1, 16, 64),
        "b-conv3": (1, 1, 64, 24),
    }
    assert list(found)[-1] == "b-norm3"
    assert "b-conv1" not in layers_of(InvertedResidual(1), 16, 24)


def test_squeeze_of_the_input_or_of_what_is_inside():
    inside = layers_of(InvertedResidual(4, squeeze=Squeeze(0.25, of="inside", multiple=1)), 16, 16)
    before = layers_of(InvertedResidual(4, squeeze=Squeeze(0.25, of="input", multiple=1)), 16, 16)
    assert (inside["b-reduce"].filters, before["b-reduce"].filters) == (16, 4)


def test_a_separable_block_may_pad_unlike_its_recipe():
    """Of 7 pixels TensorFlow pads one before and one after, version 1 of MobileNet only one after."""
    assert (margins(3, 2, 7, "tensorflow"), margins(3, 2, 7, "after")) == ((1, 1), (0, 1))
    source = keras.Input((7, 8, 3))
    output = Separable(padding="after").build(source, Maker(seed=0), filters=4, stride=2, name="b")
    assert output.shape == (None, 3, 4, 4)
    assert Separable().build(source, Maker(seed=0), filters=4, stride=2, name="c").shape == (None, 4, 4, 4)


def test_written_and_read_again_with_its_squeeze():
    recipe = replace(
        zoo.get("compact"),
        learner=compose.Groups(compose.Group(InvertedResidual(4.5, 5, Squeeze(0.5), "silu"), filters=8)),
    )
    assert compose.Recipe.from_yaml(recipe.to_yaml()) == recipe
    block = "{part: inverted-residual, squeeze: {share: 0.5}}"
    learner = "{part: groups, groups: [{block: " + block + ", filters: 8}]}"
    short = "{input: [8, 8, 3], learner: " + learner + ", tasks: {a: binary}}"
    assert compose.Recipe.from_yaml(short).learner.groups[0].block == InvertedResidual(squeeze=Squeeze(0.5))


# Every refusal in one line that names the setting.
REFUSED = [
    (lambda: InvertedResidual(0.5), "inverted-residual.expansion"),
    (lambda: InvertedResidual(kernel=0), "inverted-residual.kernel"),
    (lambda: InvertedResidual(squeeze=0.25), "inverted-residual.squeeze: expected a Squeeze record"),
    (lambda: InvertedResidual(activation="swish6"), "inverted-residual.activation"),
    (lambda: Squeeze(1.5), "squeeze.share"),
    (lambda: Squeeze(of="output"), "squeeze.of: expected one of inside, input"),
    (lambda: Squeeze(multiple=0), "squeeze.multiple"),
    (lambda: Squeeze(gate="hard"), "squeeze.gate"),
    (lambda: Separable(kernel=(3,)), "separable.kernel"),
    (lambda: Separable(padding="same"), "separable.padding"),
    (lambda: Separable(activation="rely"), "Did you mean 'relu'"),
    (lambda: mobilenet_v1(0.0), "width"),
    (lambda: mobilenet_v2(5), "width"),
    (lambda: mobilenet_v3("medium"), "size: expected one of small, large"),
]


@pytest.mark.parametrize(("make", "words"), REFUSED)
def test_refusals(make, words, refused):
    refused(make, words)


def test_blocks_stand_beside_others_in_one_learner():
    recipe = replace(
        zoo.get("compact"),
        input=(16, 16, 3),
        learner=compose.Groups(
            compose.Group(Conv(norm="before"), filters=8),
            compose.Group((Separable(), InvertedResidual(2)), filters=(8, 12), stride=2),
        ),
    )
    assert recipe.build(seed=0).output.shape == (None, 10)
