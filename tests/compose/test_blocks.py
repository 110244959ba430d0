"""Blocks and stems: what they compute, beside the same written by hand, and how their layers stand."""

from __future__ import annotations

import numpy as np
import pytest

from lensmith import check
from lensmith.backend import keras
from lensmith.compose import Basic, Bottleneck, Conv, Group, Groups, Recipe, Regress

SIZE = (7, 10)  # odd and even, so that a stride of 2 meets both
NAME = "learner-group1-block1"


def one_block(block, *, filters=4, stride=1, channels=4, blocks=1):
    """A model of one group without stem whose output is the group's feature maps."""
    learner = Groups(Group(block, filters=filters, stride=stride, blocks=blocks))
    model = Recipe((*SIZE, channels), None, learner, {"y": Regress()}).build(seed=0)
    *_, last = (layer for layer in model.layers if layer.name.startswith("learner-group1-"))
    return keras.Model(model.input, last.output)


def array(tensor) -> np.ndarray:
    return keras.ops.convert_to_numpy(tensor)


def order(model) -> list[str]:
    """The layers of the first block in the order data passes them, without the shortcut's."""
    own = [layer.name.removeprefix(f"{NAME}-") for layer in model.layers if layer.name.startswith(NAME)]
    return [name for name in own if not name.startswith("shortcut") and not name.endswith("-pad")]


def strides(model) -> dict[str, int]:
    names = {layer.name.removeprefix(f"{NAME}-"): layer for layer in model.layers}
    return {name: layer.strides[0] for name, layer in names.items() if isinstance(layer, keras.layers.Conv2D)}


def biases(model) -> set[bool]:
    return {layer.use_bias for layer in model.layers if isinstance(layer, keras.layers.Conv2D)}


# --- the same block written by hand --------------------------------------------------------------------------------


class ByHand:
    """Convolution and inference batch normalisation by torch's own functions, on the weights of a Keras model."""

    def __init__(self, model):
        self.torch = pytest.importorskip("torch")
        self.model = model

    def layer(self, name):
        layer = self.model.get_layer(f"{NAME}-{name}")
        return [self.torch.from_numpy(weight.copy()) for weight in layer.get_weights()]

    def conv(self, x, name, stride=1):
        kernel, *bias = self.layer(name)
        padding = kernel.shape[0] // 2
        weights = kernel.permute(3, 2, 0, 1)
        return self.torch.nn.functional.conv2d(x, weights, *bias, stride=stride, padding=padding)

    def norm(self, x, name):
        gamma, beta, mean, variance = self.layer(name)
        return self.torch.nn.functional.batch_norm(x, mean, variance, gamma, beta, eps=1e-5)


def v1(hand, x, strides, stride, projects):
    """He et al. 2016a: weight, BN, ReLU for each convolution, addition, ReLU."""
    y = x
    for i, own in enumerate(strides, start=1):
        y = hand.norm(hand.conv(y, f"conv{i}", own), f"norm{i}")
        y = y if i == len(strides) else y.relu()
    x = hand.norm(hand.conv(x, "shortcut-conv", stride), "shortcut-norm") if projects else x
    return (x + y).relu()


def v2(hand, x, strides, stride, projects):
    """He et al. 2016b: BN, ReLU, weight for each convolution, addition; a projection reads what the first ReLU gave."""
    y = x
    for i, own in enumerate(strides, start=1):
        y = hand.norm(y, f"norm{i}").relu()
        if i == 1 and projects:
            x = hand.conv(y, "shortcut-conv", stride)
        y = hand.conv(y, f"conv{i}", own)
    return x + y


@pytest.mark.parametrize(("stride", "channels", "projects"), [(1, 4, False), (1, 3, True), (2, 4, True), (3, 3, True)])
@pytest.mark.parametrize(
    ("block", "reference", "shape"),
    [
        (Basic(version="1"), v1, "s1"),
        (Basic(version="1", bias=True), v1, "s1"),
        (Basic(version="2"), v2, "s1"),
        (Bottleneck(version="1", expansion=1), v1, "s11"),
        (Bottleneck(version="1.5", expansion=1), v1, "1s1"),
        (Bottleneck(version="2", expansion=1), v2, "1s1"),
        (Bottleneck(version="2", expansion=1, bias=True), v2, "1s1"),
    ],
)
def test_residual_block_computes_what_the_paper_says(block, reference, shape, stride, channels, projects, fill, batch):
    model = fill(one_block(block, stride=stride, channels=channels))
    hand, x = ByHand(model), batch((*SIZE, channels))
    steps = [stride if letter == "s" else 1 for letter in shape]
    raw = hand.torch.from_numpy(x).permute(0, 3, 1, 2)
    expected = reference(hand, raw, steps, stride, projects).permute(0, 2, 3, 1).numpy()
    found = array(model(x))
    assert found.shape == (2, -(-SIZE[0] // stride), -(-SIZE[1] // stride), 4)
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_expansion_widens_the_output():
    model = one_block(Bottleneck(expansion=4), filters=3, channels=5)
    assert model.output.shape[-1] == 12
    assert model.get_layer(f"{NAME}-shortcut-conv").kernel.shape == (1, 1, 5, 12)


@pytest.mark.parametrize("stride", [1, 2, 3])
@pytest.mark.parametrize(("channels", "filters"), [(4, 4), (4, 8), (3, 8)])
def test_padding_shortcut_is_a_slice_and_zero_channels(stride, channels, filters, batch):
    """Option A. With all kernels zero the block gives ReLU(shortcut), which numpy can write in two lines."""
    model = one_block(Basic(shortcut="padding"), filters=filters, stride=stride, channels=channels)
    for layer in model.layers:
        if isinstance(layer, keras.layers.Conv2D):
            layer.set_weights([np.zeros_like(weight) for weight in layer.get_weights()])
    x = batch((*SIZE, channels)) - 0.5
    before = (filters - channels) // 2
    expected = np.pad(x[:, ::stride, ::stride], [(0, 0)] * 3 + [(before, filters - channels - before)])
    np.testing.assert_array_equal(array(model(x)), np.maximum(expected, 0))


def test_padding_and_identity_shortcuts_have_no_parameters():
    by_padding = one_block(Basic(shortcut="padding"), filters=8, stride=2)
    assert by_padding.count_params() == 9 * 4 * 8 + 9 * 8 * 8 + 2 * 4 * 8
    identity = one_block(Basic(), filters=4, stride=1)
    assert not [layer.name for layer in identity.layers if "shortcut" in layer.name]


def test_second_block_of_a_group_keeps_the_size_and_the_identity():
    model = one_block(Bottleneck(version="1.5"), filters=2, stride=2, blocks=2)
    names = [layer.name for layer in model.layers]
    assert f"{NAME}-shortcut-conv" in names
    assert "learner-group1-block2-shortcut-conv" not in names
    assert model.output.shape[1:] == (4, 5, 8)


def test_a_padding_shortcut_cannot_take_channels_away():
    with pytest.raises(check.SettingError, match=r"learner-group1-block1: padding cannot take channels away"):
        one_block(Basic(shortcut="padding"), filters=2, channels=4)


# --- order of layers, strides, biases ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("block", "expected"),
    [
        (Bottleneck(version="1"), {"conv1": 2, "conv2": 1, "conv3": 1, "shortcut-conv": 2}),
        (Bottleneck(version="1.5"), {"conv1": 1, "conv2": 2, "conv3": 1, "shortcut-conv": 2}),
        (Bottleneck(version="2"), {"conv1": 1, "conv2": 2, "conv3": 1, "shortcut-conv": 2}),
        (Basic(version="1"), {"conv1": 2, "conv2": 1, "shortcut-conv": 2}),
        (Basic(version="1.5"), {"conv1": 2, "conv2": 1, "shortcut-conv": 2}),
        (Basic(version="2"), {"conv1": 2, "conv2": 1, "shortcut-conv": 2}),
    ],
)
def test_where_each_version_strides(block, expected):
    assert strides(one_block(block, stride=2)) == expected


V1 = ["conv1", "norm1", "relu1", "conv2", "norm2", "add", "relu"]
V2 = ["norm1", "relu1", "conv1", "norm2", "relu2", "conv2", "add"]


@pytest.mark.parametrize(
    ("block", "expected"),
    [
        (Basic(), V1),
        (Basic(norm="after"), ["conv1", "relu1", "norm1", "conv2", "norm2", "add", "relu"]),
        (Basic(version="2"), V2),
        (Bottleneck(expansion=1), [*V1[:3], "conv2", "norm2", "relu2", "conv3", "norm3", "add", "relu"]),
        (Bottleneck(expansion=1, version="2"), [*V2[:6], "norm3", "relu3", "conv3", "add"]),
        (Conv(), ["conv", "activation"]),
        (Conv(norm="before"), ["conv", "norm", "activation"]),
        (Conv(norm="after"), ["conv", "activation", "norm"]),
        (Conv(activation="linear"), ["conv"]),
    ],
)
def test_order_of_layers(block, expected):
    assert order(one_block(block)) == expected


def test_version_2_closes_the_learner_with_norm_and_activation():
    for version, expected in (("1.5", []), ("2", ["learner-norm", "learner-relu"])):
        learner = Groups(Group(Basic(version=version), filters=2))
        layers = Recipe((*SIZE, 2), None, learner, {"y": Regress()}).build(seed=0).layers
        assert [
            layer.name for layer in layers if not layer.name.startswith(("learner-group", "task", "image"))
        ] == expected


def test_version_may_be_a_number_as_yaml_reads_it():
    assert Bottleneck(version=1.5) == Bottleneck(version="1.5")
    assert Basic(version=2) == Basic(version="2")


@pytest.mark.parametrize(
    ("block", "expected"),
    [
        (Conv(), {True}),  # nothing follows that could take its place
        (Conv(norm="after"), {True}),  # the activation stands between
        (Conv(norm="before"), {False}),  # the norm's own shift takes its place
        (Conv(norm="before", bias=True), {True}),
        (Conv(bias=False), {False}),
        (Basic(), {False}),
        (Basic(bias=True), {True}),
        (Bottleneck(bias=True), {True}),
        (Bottleneck(), {False}),
    ],
)
def test_biases(block, expected):
    assert biases(one_block(block, stride=2)) == expected


def test_version_2_has_biases_only_where_no_norm_follows():
    """The last convolution and the projection, as in keras.applications."""
    model = one_block(Bottleneck(version="2", bias=True), stride=2)
    with_bias = [layer.name for layer in model.layers if getattr(layer, "use_bias", False)]
    assert sorted(with_bias) == [f"{NAME}-conv3", f"{NAME}-shortcut-conv"]
