"""Name maps: foreign weights in our models give the outputs of the network they come from, or nothing changes."""

from __future__ import annotations

import itertools
import math
import zlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from lensmith import check
from lensmith.backend import keras
from lensmith.compose import Basic, Bottleneck, Classify, Conv, ConvStem, Group, Groups, Recipe, weights, zoo
from lensmith.compose.layers import Conventions
from lensmith.compose.weights import mobilenet, resnet, vgg
from lensmith.compose.zoo.mobilenet import mobilenet_v1, mobilenet_v2, mobilenet_v3

SIZE = (65, 97, 3)  # odd and not square


def _fill(model: Any) -> Any:
    """Weights that keep activations near 1, so that a difference anywhere is seen in the output."""
    for weight in model.weights:
        rng, shape = np.random.default_rng(zlib.crc32(weight.path.encode())), tuple(weight.shape)
        if "kernel" in weight.path.rpartition("/")[2]:
            fan = math.prod(shape[:2]) if shape[-1] == 1 and len(shape) == 4 else math.prod(shape[:-1])
            weight.assign(rng.normal(0, math.sqrt(2 / fan), shape))
        elif weight.path.endswith(("gamma", "moving_variance")):
            weight.assign(rng.uniform(0.5, 1.0, shape))
        else:
            weight.assign(rng.normal(0, 0.1, shape))
    return model


def _arrays(model: Any) -> dict[str, np.ndarray]:
    return {weight.path: keras.ops.convert_to_numpy(weight.value) for weight in model.weights}


def _images(shape: tuple[int, ...] = SIZE) -> np.ndarray:
    return np.random.default_rng(1).uniform(-1, 1, (2, *shape)).astype(np.float32)


def _scores(model: Any, x: np.ndarray) -> np.ndarray:
    """The logits: probabilities would hide what is wrong behind a softmax that is nearly one-hot."""
    last = model.layers[-1]
    logits = keras.Model(model.input, last.input) if isinstance(last, keras.layers.Activation) else model
    return np.asarray(logits.predict(x, verbose=0))


def _small(recipe: Recipe, **task: Any) -> Recipe:
    return replace(recipe, input=SIZE, tasks={"label": replace(recipe.tasks["label"], classes=7, **task)})


APPLICATIONS = keras.applications
KERAS: dict[str, tuple[Callable[..., Any], Callable[[], Recipe], weights.NameMap]] = {
    "vgg16": (APPLICATIONS.VGG16, lambda: zoo.get("vgg16"), vgg.KERAS),
    "resnet50": (APPLICATIONS.ResNet50, lambda: zoo.get("resnet50-v1-keras"), resnet.KERAS),
    "resnet50-v2": (APPLICATIONS.ResNet50V2, lambda: zoo.get("resnet50-v2-keras"), resnet.KERAS_V2),
    "mobilenet-v1": (
        lambda **k: APPLICATIONS.MobileNet(alpha=0.25, **k),
        lambda: mobilenet_v1(0.25),
        mobilenet.KERAS_V1,
    ),
    "mobilenet-v2": (
        lambda **k: APPLICATIONS.MobileNetV2(alpha=0.35, **k),
        lambda: mobilenet_v2(0.35),
        mobilenet.KERAS_V2,
    ),
    "mobilenet-v3": (
        lambda **k: APPLICATIONS.MobileNetV3Small(include_preprocessing=False, **k),
        lambda: mobilenet_v3("small"),
        mobilenet.KERAS_V3,
    ),
    "mobilenet-v3 in order": (
        lambda **k: APPLICATIONS.MobileNetV3Small(include_preprocessing=False, **k),
        lambda: mobilenet_v3("small"),
        mobilenet.KERAS_V3_IN_ORDER,
    ),
}


SLOW = ("vgg16", "resnet50", "resnet50-v2", "mobilenet-v3 in order")  # of the full depth


@pytest.mark.parametrize("name", [pytest.param(name, marks=[pytest.mark.slow] * (name in SLOW)) for name in KERAS])
def test_weights_of_keras_applications_give_its_outputs(name: str) -> None:
    make, recipe, names = KERAS[name]
    # VGG's first dense layer has 100 million weights at full width and size; 32 pixels are enough for it.
    shape = (33, 35, 3) if name == "vgg16" else SIZE
    theirs = _fill(make(weights=None, input_shape=shape, classes=7, classifier_activation=None))
    ours = replace(_small(recipe()), input=shape).build(seed=0)
    report = weights.assign(ours, _arrays(theirs), names)
    assert (len(report.loaded), report.left, report.unused) == (len(ours.weights), (), ())
    x = _images(shape)
    expected, got = theirs.predict(x, verbose=0).reshape(2, 7), _scores(ours, x)
    assert expected.std() > 1e-3  # it says something
    np.testing.assert_allclose(got, expected, atol=1e-5 * max(1, abs(expected).max()))


def _keras_resnet(version: str) -> Any:
    """The builder inside ``keras.applications``, two narrow groups without strides, which version 2 puts elsewhere."""
    from keras.src.applications import resnet as theirs

    stack = theirs.stack_residual_blocks_v1 if version == "1" else theirs.stack_residual_blocks_v2

    def groups(x: Any) -> Any:
        return stack(stack(x, 4, 2, stride1=1, name="conv2"), 8, 2, stride1=1, name="conv3")

    return theirs.ResNet(
        groups, version == "2", True, weights=None, input_shape=SIZE, classes=7, classifier_activation=None
    )


@pytest.mark.parametrize(("version", "names"), [("1", resnet.KERAS), ("2", resnet.KERAS_V2)])
def test_weights_of_both_versions_of_resnet_in_keras_applications(version: Any, names: weights.NameMap) -> None:
    theirs, block = _fill(_keras_resnet(version)), Bottleneck(version=version, bias=True)
    entry: dict[str, Any] = {} if version == "1" else {"norm": False, "activation": "linear"}
    recipe = Recipe(
        SIZE,
        ConvStem(64, pool=3, bias=True, **entry),
        Groups(*(Group(block, filters=filters, blocks=2, stride=1) for filters in (4, 8))),
        {"label": Classify(7)},
        Conventions(epsilon=1.001e-5, bias=version == "1"),
    )
    ours = recipe.build(seed=0)
    assert len(weights.assign(ours, _arrays(theirs), names).loaded) == len(theirs.weights)
    expected = theirs.predict(_images(), verbose=0)
    np.testing.assert_allclose(_scores(ours, _images()), expected, atol=1e-5 * max(1, abs(expected).max()))


class _TorchBlock(torch.nn.Module):
    """A residual block as torchvision writes it, from its documentation: the names are what matters."""

    def __init__(self, before: int, width: int, stride: int, expansion: int) -> None:
        super().__init__()
        nn, after = torch.nn, width * expansion
        shapes = [(before, width, 3, stride), (width, width, 3, 1)]
        if expansion > 1:
            shapes = [(before, width, 1, 1), (width, width, 3, stride), (width, after, 1, 1)]
        self.count = len(shapes)
        for i, (a, b, kernel, step) in enumerate(shapes, start=1):
            setattr(self, f"conv{i}", nn.Conv2d(a, b, kernel, step, kernel // 2, bias=False))
            setattr(self, f"bn{i}", nn.BatchNorm2d(b))
        self.downsample = None
        if stride > 1 or before != after:
            self.downsample = nn.Sequential(nn.Conv2d(before, after, 1, stride, bias=False), nn.BatchNorm2d(after))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        source = x if self.downsample is None else self.downsample(x)
        for i in range(1, self.count + 1):
            x = getattr(self, f"bn{i}")(getattr(self, f"conv{i}")(x))
            x = torch.relu(x) if i < self.count else x
        return torch.relu(x + source)


class _TorchResNet(torch.nn.Module):
    def __init__(self, width: int, expansion: int) -> None:
        super().__init__()
        nn = torch.nn
        self.conv1, self.bn1 = nn.Conv2d(3, width, 7, 2, 3, bias=False), nn.BatchNorm2d(width)
        self.maxpool = nn.MaxPool2d(3, 2, 1)
        before = width
        for i in range(1, 5):
            wide = width * 2 ** (i - 1)
            first = _TorchBlock(before, wide, 1 if i == 1 else 2, expansion)
            setattr(self, f"layer{i}", nn.Sequential(first, _TorchBlock(wide * expansion, wide, 1, expansion)))
            before = wide * expansion
        self.fc = nn.Linear(before, 7)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.maxpool(torch.relu(self.bn1(self.conv1(x))))
        for i in range(1, 5):
            x = getattr(self, f"layer{i}")(x)
        return self.fc(x.mean((2, 3)))


def _torch_filled(network: torch.nn.Module) -> torch.nn.Module:
    torch.manual_seed(0)
    with torch.no_grad():
        for name, tensor in itertools.chain(network.named_parameters(), network.named_buffers()):
            if tensor.ndim > 1:
                torch.nn.init.kaiming_normal_(tensor)
            elif "num_batches" not in name:
                tensor.uniform_(0.5, 1.0)
    return network.eval()


def _torch_scores(network: torch.nn.Module, x: np.ndarray) -> np.ndarray:
    with torch.no_grad():
        return network(torch.from_numpy(x.transpose(0, 3, 1, 2).copy())).numpy()


@pytest.mark.parametrize("block", [Basic(version="1"), Bottleneck(version="1.5")])  # resnet18's and resnet50's
def test_a_state_dict_with_torchvisions_names_gives_its_outputs(block: Any, tmp_path: Path) -> None:
    network = _torch_filled(_TorchResNet(8, block.expansion))
    torch.save(network.state_dict(), tmp_path / "resnet.pth")
    groups = (Group(block, filters=8 * 2**i, blocks=2, stride=2 if i else 1) for i in range(4))
    recipe = Recipe(SIZE, ConvStem(8, pool=3, bias=False), Groups(*groups), {"label": Classify(7)})
    ours = recipe.build(seed=0)
    report = weights.load(ours, "resnet18-v1", tmp_path / "resnet.pth")
    assert report.names == "torchvision ResNet"
    assert all(name.endswith("num_batches_tracked") for name in report.unused)
    np.testing.assert_allclose(_scores(ours, _images()), _torch_scores(network, _images()), rtol=1e-4, atol=1e-4)


def _torch_vgg() -> torch.nn.Module:
    """torchvision's VGG, narrow: its dense layer lists the feature maps channel by channel."""
    nn = torch.nn
    layers: list[torch.nn.Module] = []
    for a, b, pool in ((3, 4, False), (4, 5, True), (5, 6, True)):
        layers += [nn.Conv2d(a, b, 3, padding=1), nn.ReLU()] + [nn.MaxPool2d(2)] * pool
    dense = [nn.Linear(6 * 2 * 3, 8), nn.ReLU(), nn.Dropout(), nn.Linear(8, 7)]
    network = nn.Sequential()
    network.features, network.classifier = nn.Sequential(*layers), nn.Sequential(*dense)
    network.forward = lambda x: network.classifier(network.features(x).flatten(1))
    return network


def _vgg_recipe() -> Recipe:
    return Recipe(
        (9, 13, 3),
        None,
        Groups(Group(Conv(), filters=(4, 5), pool=2), Group(Conv(), filters=6, pool=2)),
        {"label": Classify(7, pool="flatten", hidden=(8,))},
    )


def test_a_dense_layer_on_flattened_maps_is_turned_to_our_order_of_axes(tmp_path: Path) -> None:
    network = _torch_filled(_torch_vgg())
    torch.save(network.state_dict(), tmp_path / "vgg.pth")
    ours = _vgg_recipe().build(seed=0)
    assert weights.load(ours, "vgg16", tmp_path / "vgg.pth").names == "torchvision VGG"
    x = _images((9, 13, 3))
    np.testing.assert_allclose(_scores(ours, x), _torch_scores(network, x), rtol=1e-5, atol=1e-5)


def test_a_depthwise_kernel_is_turned_to_our_order_of_axes() -> None:
    """Two filters a channel: torch lists channel 0's two, then channel 1's."""
    image = keras.Input((6, 7, 3))
    ours = keras.Model(image, keras.layers.DepthwiseConv2D(3, depth_multiplier=2, name="deep")(image))
    theirs = torch.nn.Conv2d(3, 6, 3, groups=3)
    arrays = {f"deep.{name}": tensor.detach().numpy() for name, tensor in theirs.named_parameters()}
    weights.assign(ours, arrays, weights.by_name("torch", lambda layer: layer, layout="torch"))
    x = _images((6, 7, 3))
    np.testing.assert_allclose(ours.predict(x, verbose=0).transpose(0, 3, 1, 2), _torch_scores(theirs, x), atol=1e-5)


def test_what_we_saved_ourselves_fits_any_row(tmp_path: Path) -> None:
    model = _fill(_vgg_recipe().build(seed=0))
    model.save_weights(tmp_path / "own.weights.h5")
    other = _vgg_recipe().build(seed=1)
    assert weights.load(other, "no such row", tmp_path / "own.weights.h5").names == "Lensmith"
    for path, array in _arrays(model).items():
        np.testing.assert_array_equal(_arrays(other)[path], array)


def test_layers_numbered_by_keras_are_taken_in_the_order_of_their_numbers() -> None:
    """Twelve alike: sorted as text, 10 would come before 2; and branches are taken as they were made."""
    x = image = keras.Input((4, 4, 2))
    for i in range(12):
        x = keras.layers.Conv2D(2, 1, use_bias=False, name=f"ours-{i}")(x)
    ours = keras.Model(image, x)
    numbers = [""] + [f"_{i}" for i in range(1, 12)]
    arrays = {f"conv2d{number}/kernel": np.full((1, 1, 2, 2), i) for i, number in enumerate(numbers)}
    arrays = dict(sorted(arrays.items()))  # as an HDF5 file lists them
    weights.assign(ours, arrays, weights.by_order("numbered"))
    assert [_arrays(ours)[f"ours-{i}/kernel"][0, 0, 0, 0] for i in range(12)] == list(range(12))


def test_branches_are_in_the_order_in_which_they_were_made() -> None:
    """Keras' own list sorts by depth, which puts the long branch's first layer before the short one's."""
    image = keras.Input((4, 4, 2))
    short = keras.layers.Conv2D(1, 1, use_bias=False, name="short")(image)
    long = keras.layers.Conv2D(2, 1, use_bias=False, name="long1")(image)
    long = keras.layers.Conv2D(1, 1, use_bias=False, name="long2")(long)
    model = keras.Model(image, keras.layers.Add()([long, short]))
    assert [weight.layer for weight in weights.weights_of(model)] == ["short", "long1", "long2"]


def test_without_the_head_its_layers_stay_and_other_classes_fit() -> None:
    arrays = _arrays(_fill(_vgg_recipe().build(seed=0)))
    recipe = replace(_vgg_recipe(), tasks={"species": Classify(3), "age": Classify(4)})
    ours = recipe.build(seed=1)
    before = _arrays(ours)
    report = weights.assign(ours, arrays, weights.OWN, head=False)
    assert set(report.left) == {path for path in before if path.startswith("task-")}
    assert set(report.unused) == {path for path in arrays if path.startswith("task-")}
    for path in report.left:
        np.testing.assert_array_equal(_arrays(ours)[path], before[path])
    for path in report.loaded:
        np.testing.assert_array_equal(_arrays(ours)[path], arrays[path])


CONV = "learner-group1-block2-conv"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        # a weight without a source
        ({f"{CONV}/kernel": None}, [f"{CONV}/kernel: expected the array '{CONV}/kernel'; got none"]),
        # ours has a bias, theirs none
        ({f"{CONV}/bias": None}, [f"{CONV}/bias", "got none", "no bias"]),
        # an array that is used nowhere
        ({"extra/kernel": np.zeros(3)}, ["a place for every array", "1 left over, such as extra/kernel"]),
        # theirs has a bias, ours none
        ({"extra/bias": np.zeros(3)}, ["extra/bias", "have biases"]),
        # a shape that does not fit: both names, both shapes
        ({f"{CONV}/kernel": np.zeros((3, 3, 4, 9))}, [f"{CONV}/kernel", "(3, 3, 4, 5)", "(3, 3, 4, 9)", "from"]),
        # other classes
        ({"task-label-logits/kernel": np.zeros((8, 1000))}, ["task-label-logits/kernel", "(8, 1000)", "head=False"]),
        # the file's numbers are spoilt
        ({f"{CONV}/bias": np.full(5, np.nan)}, [f"{CONV}/bias", "finite numbers"]),
    ],
)
def test_what_does_not_fit_is_refused_before_anything_changes(change: dict[str, Any], words: list[str]) -> None:
    arrays = {**_arrays(_fill(_vgg_recipe().build(seed=0))), **change}
    arrays = {name: array for name, array in arrays.items() if array is not None}
    ours = _vgg_recipe().build(seed=1)
    before = _arrays(ours)
    with pytest.raises(check.DataError) as caught:
        weights.assign(ours, arrays, weights.OWN)
    text = str(caught.value)
    assert "\n" not in text
    assert [word for word in words if word not in text] == [], text
    for path, array in _arrays(ours).items():
        np.testing.assert_array_equal(array, before[path])


def test_an_array_for_two_weights_is_refused() -> None:
    recipe = replace(_vgg_recipe(), tasks={"a": Classify(7), "b": Classify(7)})
    model = recipe.build(seed=0)
    names = weights.by_name("twice", lambda layer: layer.replace("task-b", "task-a"))
    with pytest.raises(check.DataError, match="it for task-a-logits/kernel too"):
        weights.assign(model, _arrays(model), names)


def test_a_file_no_map_knows_is_refused_with_names_of_both_sides(tmp_path: Path) -> None:
    np.savez(tmp_path / "other.npz", **{"encoder.0.weight": np.zeros(3), "encoder.0.bias": np.zeros(3)})
    ours = _small(zoo.get("resnet18-v1")).build(seed=0)
    with pytest.raises(check.DataError) as caught:
        weights.load(ours, "resnet18-v1", tmp_path / "other.npz")
    text = str(caught.value)
    words = ["other.npz", "torchvision ResNet", "stem-conv/kernel", "encoder.0.weight"]
    assert [word for word in words if word not in text] == [], text
