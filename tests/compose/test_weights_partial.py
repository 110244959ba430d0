"""Weights files that end before the network does."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lensmith import check
from lensmith.backend import keras
from lensmith.compose import Classify, weights, zoo
from lensmith.compose.weights.partial import load_as_far_as, scaling_in
from lensmith.compose.zoo.vgg import vgg

Arrays = dict[str, np.ndarray]
ENCODER = "vgg19_to_relu3_1/vgg_normalised_conv3_1.npz"
SMALL = replace(vgg((1, 2, 1, 1, 1)), input=(32, 32, 3), tasks={"label": Classify(2)})
LAYERS = [(1, 1), (2, 1), (2, 2), (3, 1), (4, 1), (5, 1)]  # group and block of each convolution
OURS = [f"learner-group{group}-block{block}-conv" for group, block in LAYERS]


def model() -> Any:
    return SMALL.build(seed=0)


def values(network: Any) -> Arrays:
    return {weight.path: keras.ops.convert_to_numpy(weight.value).copy() for weight in network.weights}


def drawn() -> list[tuple[np.ndarray, np.ndarray]]:
    """A kernel and a bias for each convolution, in Keras' layout."""
    random = np.random.default_rng(1)
    kernels = [weight.shape for weight in weights.weights_of(model()) if weight.path.endswith("conv/kernel")]
    return [(random.random(shape, np.float32), random.random(shape[-1], np.float32)) for shape in kernels]


def torchs(kernel: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(kernel.transpose(3, 2, 0, 1))


def keras_names(pairs: list[tuple[np.ndarray, np.ndarray]]) -> Arrays:
    found = {}
    for (group, block), (kernel, bias) in zip(LAYERS, pairs, strict=False):
        found |= {f"block{group}_conv{block}/kernel": kernel, f"block{group}_conv{block}/bias": bias}
    return found


def own_names(pairs: list[tuple[np.ndarray, np.ndarray]]) -> Arrays:
    return {
        f"{layer}/{kind}": array
        for layer, pair in zip(OURS, pairs, strict=False)
        for kind, array in zip(("kernel", "bias"), pair, strict=True)
    }


def torchvision(pairs: list[tuple[np.ndarray, np.ndarray]]) -> Arrays:
    """Numbers count rectifiers and pools too."""
    found = {}
    for number, (kernel, bias) in zip((0, 3, 5, 8, 11, 14), pairs, strict=False):
        found |= {f"features.{number}.weight": torchs(kernel), f"features.{number}.bias": bias}
    return found


def encoder(pairs: list[tuple[np.ndarray, np.ndarray]]) -> Arrays:
    """Behind a layer that prepares the image; a layer of padding stands before each convolution."""
    turned = np.zeros((3, 3, 1, 1), np.float32)
    turned[[0, 1, 2], [2, 1, 0]] = 255
    found = {"0.weight": turned, "0.bias": np.array([-103.939, -116.779, -123.68], np.float32)}
    for number, (kernel, bias) in zip((2, 6, 9, 13, 17, 21), pairs, strict=False):
        found |= {f"{number}.weight": torchs(kernel), f"{number}.bias": bias}
    return found


NAMINGS: dict[str, Callable[[list[tuple[np.ndarray, np.ndarray]]], Arrays]] = {
    "Lensmith": own_names,
    "keras.applications VGG": keras_names,
    "torchvision VGG": torchvision,
    "VGG behind a layer that prepares the image": encoder,
}


def saved(folder: Path, arrays: Arrays) -> Path:
    path = folder / "cut.npz"
    np.savez(path, **arrays)
    return path


def same(path: Path, text: str) -> None:
    """Loading is refused in one line with this text, and the model is as it was."""
    network = model()
    before = values(network)
    with pytest.raises(check.DataError, match=text) as caught:
        load_as_far_as(network, "vgg19", path)
    assert "\n" not in str(caught.value) and str(path) in str(caught.value)
    assert all(np.array_equal(before[name], array) for name, array in values(network).items())


@pytest.fixture(scope="module")
def pairs() -> list[tuple[np.ndarray, np.ndarray]]:
    return drawn()


@settings(max_examples=12, deadline=None)
@given(st.sampled_from(sorted(NAMINGS)), st.integers(1, len(LAYERS)))
def test_loaded_as_far_as_the_file_goes(
    tmp_path_factory: pytest.TempPathFactory, pairs: list[Any], naming: str, count: int
) -> None:
    network = model()
    before = values(network)
    path = saved(tmp_path_factory.mktemp("cut"), NAMINGS[naming](pairs[:count]))
    report, missing = load_as_far_as(network, "vgg19", path)
    after = values(network)
    assert report.names == naming
    assert missing == tuple(OURS[count:])
    assert set(report.loaded) == {f"{layer}/{kind}" for layer in OURS[:count] for kind in ("kernel", "bias")}
    assert set(report.loaded) | set(report.left) == set(after) and not set(report.loaded) & set(report.left)
    for layer, (kernel, bias) in zip(OURS[:count], pairs, strict=False):
        np.testing.assert_array_equal(after[f"{layer}/kernel"], kernel)
        np.testing.assert_array_equal(after[f"{layer}/bias"], bias)
    assert all(np.array_equal(before[path], after[path]) for path in report.left)


def test_heads_stay_as_they_are(tmp_path: Path, pairs: list[Any]) -> None:
    """A file with a head for a thousand classes fits all the same."""
    arrays = torchvision(pairs) | {"classifier.0.weight": np.zeros((8, 25088)), "classifier.0.bias": np.zeros(8)}
    report, missing = load_as_far_as(model(), "vgg19", saved(tmp_path, arrays))
    assert missing == () and set(report.unused) == {"classifier.0.weight", "classifier.0.bias"}
    arrays = keras_names(pairs) | {"fc1/kernel": np.zeros((25088, 8)), "predictions/bias": np.zeros(8)}
    report, missing = load_as_far_as(model(), "vgg19", saved(tmp_path, arrays))
    assert missing == () and set(report.unused) == {"fc1/kernel", "predictions/bias"}


def test_files_of_keras_and_of_torch(tmp_path: Path, pairs: list[Any]) -> None:
    layers = [keras.Input((32, 32, 3))]
    for group, block in LAYERS[:3]:
        layers.append(keras.layers.Conv2D((64, 128)[group - 1], 3, name=f"block{group}_conv{block}"))
    theirs = keras.Sequential(layers)
    theirs.set_weights([array for pair in pairs[:3] for array in pair])
    theirs.save_weights(tmp_path / "cut.weights.h5")
    report, missing = load_as_far_as(model(), "vgg19", tmp_path / "cut.weights.h5")
    assert (report.names, missing) == ("keras.applications VGG", tuple(OURS[3:]))

    torch = pytest.importorskip("torch")
    for suffix in ("pth", "pt"):  # an encoder as torch saves it, and all that torchvision has of the features
        arrays = encoder(pairs[:3]) if suffix == "pth" else torchvision(pairs)
        torch.save({name: torch.from_numpy(array) for name, array in arrays.items()}, tmp_path / f"cut.{suffix}")
        report, missing = load_as_far_as(model(), "vgg19", tmp_path / f"cut.{suffix}")
        assert missing == (tuple(OURS[3:]) if suffix == "pth" else ())


def test_refuses_what_is_of_another_network(tmp_path: Path, pairs: list[Any]) -> None:
    whole = torchvision(pairs)
    # A gap: what lies behind it would be computed from random weights.
    gap = {name: array for name, array in keras_names(pairs).items() if "block2_conv2" not in name}
    same(saved(tmp_path, gap), "group2-block2-conv/kernel: expected the array 'block2_conv2/kernel'")
    # A layer whose bias is missing.
    bare = {name: array for name, array in keras_names(pairs[:2]).items() if name != "block2_conv1/bias"}
    same(saved(tmp_path, bare), "group2-block1-conv/bias: expected the array")
    # One convolution more than the network has there: shapes no longer fit.
    more = {f"features.{i}.{kind}": array for i, pair in enumerate([pairs[0], pairs[1], pairs[2], pairs[2], pairs[3]])
            for kind, array in (("weight", torchs(pair[0])), ("bias", pair[1]))}  # fmt: skip
    same(saved(tmp_path, more), "expected an array of shape")
    # An array that has no place.
    same(saved(tmp_path, whole | {"features.90.weight": np.zeros((512, 512, 3, 3), np.float32)}), "a place for every")
    same(saved(tmp_path, {"stem/weights": np.zeros((7, 7, 3, 8), np.float32)}), "expected the names of")
    same(saved(tmp_path, whole | {"features.0.bias": np.full(64, np.nan, np.float32)}), "finite")
    same(tmp_path / "none.npz", "No such file")


@pytest.mark.parametrize(
    ("kernel", "bias", "expected"),
    [
        # 255·x − 104 of x in 0..1 is the pixel 0..255 less 104.
        (np.eye(3) * 255, (-104, -117, -123), ((104.0, 117.0, 123.0), (1.0, 1.0, 1.0), "rgb")),
        (np.eye(3)[::-1] * 255, (-104, -117, -123), ((104.0, 117.0, 123.0), (1.0, 1.0, 1.0), "bgr")),
        # 2·x − 1: (pixel − 127.5) / 127.5.
        (np.eye(3) * 2, (-1, -1, -1), ((127.5,) * 3, (127.5,) * 3, "rgb")),
        # Another factor for each channel.
        (np.diag([255.0, 51, 85]), (0, -1, 1), ((0.0, 5.0, -3.0), (1.0, 5.0, 3.0), "rgb")),
    ],
)
def test_what_a_first_layer_says_of_pixels(kernel: np.ndarray, bias: tuple[float, ...], expected: Any) -> None:
    found = scaling_in({"0.weight": kernel[:, :, None, None].astype(np.float32), "0.bias": np.float32(bias)})
    assert found is not None
    assert (found["mean"], found["deviation"], found["channels"]) == expected


def test_no_first_layer_that_prepares(pairs: list[Any]) -> None:
    assert scaling_in(torchvision(pairs)) is None
    assert scaling_in({}) is None
    mixed = np.eye(3)[:, :, None, None] + 0.1
    with pytest.raises(check.DataError, match=r"0\.weight: expected a first layer that scales each channel"):
        scaling_in({"0.weight": mixed, "0.bias": np.zeros(3)})
    with pytest.raises(check.DataError, match="scales each channel"):
        scaling_in({"0.weight": -np.eye(3)[:, :, None, None], "0.bias": np.zeros(3)})


def test_the_published_encoder(shared_data: Path) -> None:
    """The file's first layer is Caffe's preparation of pixels, by its numbers."""
    network = replace(zoo.get("vgg19"), tasks={"label": Classify(2)}).build(seed=0)
    report, missing = load_as_far_as(network, "vgg19", shared_data / ENCODER)
    assert len(report.loaded) == 10 and report.unused == ("0.weight", "0.bias")
    assert missing[0] == "learner-group3-block2-conv" and len(missing) == 11
    found = scaling_in(weights.read(shared_data / ENCODER))
    assert found == dict(weights.PUBLISHED["vgg19"]["imagenet"].preprocessing)
    kernel = network.get_layer("learner-group2-block1-conv").get_weights()[0]
    theirs = weights.read(shared_data / ENCODER)["9.weight"]
    np.testing.assert_array_equal(kernel, theirs.transpose(2, 3, 1, 0))
    with pytest.raises(check.DataError, match="expected the names of"):
        load_as_far_as(zoo.get("resnet18-v1").build(seed=0), "resnet18-v1", shared_data / ENCODER)
