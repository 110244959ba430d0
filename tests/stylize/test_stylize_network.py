"""The network that a painting is judged by: which layers, which weights, which pixels."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lensmith import check
from lensmith.backend import keras, predict
from lensmith.backend.derivative import call, differentiated
from lensmith.compose import weights, zoo
from lensmith.data import Preprocessing
from lensmith.stylize.network import Network, open_network

L = keras.layers
ENCODER = "vgg19_to_relu3_1/vgg_normalised_conv3_1.npz"
PAPER = [*(f"block{group}_conv1" for group in range(1, 6)), "block5_conv2"]
UNIT = Preprocessing(image=(24, 24, 3))


def pixels(height: int = 40, width: int = 36) -> np.ndarray:
    return np.random.default_rng(0).random((1, height, width, 3), np.float32)


def maps(network: Network, image: np.ndarray) -> dict[str, np.ndarray]:
    found = predict(network.taps(image.shape[1:3]), network.prepare(keras.ops.convert_to_tensor(image)))
    return {name: np.asarray(each) for name, each in found.items()}


@pytest.fixture(scope="module")
def by_chance() -> Network:
    return open_network("vgg19", PAPER, random=True, seed=3)


def by_hand(image: np.ndarray, arrays: Any) -> dict[str, np.ndarray]:
    """VGG19 to its fifth convolution in torch, from the file alone: its own first layer prepares the image."""
    torch = pytest.importorskip("torch")
    conv, found = torch.nn.functional.conv2d, {}

    def of(number: int) -> tuple[Any, Any]:
        return torch.from_numpy(arrays[f"{number}.weight"]), torch.from_numpy(arrays[f"{number}.bias"])

    x = conv(torch.from_numpy(image).permute(0, 3, 1, 2), *of(0))
    for number, name in ((2, "block1_conv1"), (5, ""), (9, "block2_conv1"), (12, ""), (16, "block3_conv1")):
        if number in (9, 16):
            x = torch.nn.functional.max_pool2d(x, 2)
        x = torch.relu(conv(x, *of(number), padding=1))
        found[name] = x.permute(0, 2, 3, 1).numpy()
    return found


@pytest.mark.backends
def test_features_are_those_of_the_file_in_torch(shared_data: Path) -> None:
    network = open_network("vgg19", PAPER, weights=shared_data / ENCODER)
    found, expected = maps(network, pixels()), by_hand(pixels(), weights.read(shared_data / ENCODER))
    for name in PAPER[:3]:
        assert np.abs(found[name] - expected[name]).max() <= 1e-4 * np.abs(expected[name]).max(), name


def test_layers_that_weights_do_not_reach_are_replaced(shared_data: Path) -> None:
    network = open_network("vgg19", PAPER, weights=shared_data / ENCODER)
    deepest = "learner-group3-block1-activation"
    assert network.trained
    assert list(network.layers) == PAPER
    assert list(network.layers.values())[2:] == [deepest] * 4
    assert network.replaced == tuple((name, "block3_conv1") for name in PAPER[3:])
    assert network.preprocessing.channels == "bgr"
    outputs = network.taps((40, 36)).output
    assert list(outputs) == PAPER
    assert tuple(outputs["block5_conv2"].shape) == (None, 10, 9, 256)
    # A pool is replaced by the deepest pool, and maps before the rectifier by such.
    other = open_network(
        "vgg19", ["learner-group4-pool", "learner-group4-block2-conv", "P1"], weights=shared_data / ENCODER
    )
    assert list(other.layers.values())[:2] == ["learner-group2-pool", "learner-group3-block1-conv"]
    assert other.replaced == (
        ("learner-group4-pool", "learner-group2-pool"),
        ("learner-group4-block2-conv", "block3_conv1"),
    )


def test_a_layer_of_another_kind_where_there_is_none_of_its_own(shared_data: Path, tmp_path: Path) -> None:
    arrays = weights.read(shared_data / ENCODER)
    np.savez(tmp_path / "one.npz", **{name: arrays[name] for name in list(arrays)[:4]})
    network = open_network("vgg19", ["learner-group2-pool"], weights=tmp_path / "one.npz")
    assert list(network.layers.values()) == ["learner-group1-block1-activation"]  # there is no pool: the deepest
    assert network.replaced == (("learner-group2-pool", "block1_conv1"),)


@pytest.mark.parametrize(
    ("asked", "shape"),
    [
        ("block1_conv2", (48, 32, 64)),
        ("block5_conv4", (3, 2, 512)),
        ("P3", (6, 4, 512)),  # what ends with the stride of 8: the convolutions of group 4
        ("learner-group2-pool", (12, 8, 128)),
    ],
)
def test_names_of_layers(asked: str, shape: tuple[int, ...]) -> None:
    network = open_network("vgg19", [asked], random=True)
    assert tuple(network.taps((48, 32)).output[asked].shape[1:]) == shape
    assert network.replaced == () and not network.trained


def test_names_of_the_paper_mean_what_is_behind_the_rectifier(by_chance: Network) -> None:
    found = maps(by_chance, pixels(20, 20))
    assert all(each.min() == 0 < each.max() for each in found.values())


def test_nothing_deeper_is_computed(by_chance: Network) -> None:
    shallow = Network("x", by_chance.model, {"a": "learner-group2-pool"}, (), by_chance.preprocessing, trained=False)
    names = {layer.name for layer in shallow.taps((32, 32)).layers}
    assert "learner-group2-block2-conv" in names and not {name for name in names if "group3" in name}


@pytest.mark.parametrize(
    ("asked", "text"),
    [
        ("block5_conv9", "'block5_conv4'|'block5_conv"),
        ("blok3_conv1", "Did you mean 'block3_conv1'"),
        ("P33", "Did you mean 'P"),
        ("task-label-logits", "a layer that gives feature maps"),
        ("", "expected one of block1_conv1"),
    ],
)
def test_refuses_unknown_layers(asked: str, text: str) -> None:
    with pytest.raises(check.SettingError, match=text) as caught:
        open_network("vgg19", ["block1_conv1", asked], random=True)
    assert "\n" not in str(caught.value)


def test_refuses_none_and_unknown_networks() -> None:
    with pytest.raises(check.SettingError, match="layers: expected at least one"):
        open_network("vgg19", [], random=True)
    with pytest.raises(check.SettingError, match="vgg19"):
        open_network("vgg91", ["P1"], random=True)
    with pytest.raises(check.SettingError, match="takes images"):
        open_network("dense-binary", ["P1"], random=True)


def test_refuses_images_too_small(by_chance: Network) -> None:
    """Four pools by 2 leave nothing of fewer than 16 pixels."""
    assert by_chance.taps((16, 17)).output["block5_conv1"].shape[1:3] == (1, 1)
    with pytest.raises(check.SettingError, match=r"at least 16 x 16 pixels .* got 40 x 15") as caught:
        by_chance.taps((15, 40))
    assert "\n" not in str(caught.value)


# --- weights -------------------------------------------------------------------------------------------------------


def test_says_what_to_do_without_trained_weights(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))  # nothing is in its cache
    with pytest.raises(
        check.SettingError, match=r"got none\. Give --weights FILE .*'imagenet'.* random weights"
    ) as caught:
        open_network("vgg19", PAPER)
    assert "\n" not in str(caught.value)
    with pytest.raises(check.SettingError, match="weights: none are published for squeezenet"):
        open_network("squeezenet-1.1", ["P2"], weights="imagenet")
    with pytest.raises(check.DataError, match="No such file"):
        open_network("vgg19", PAPER, weights=tmp_path / "none.npz", random=True)  # not silently random


def test_weights_of_imagenet(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, shared_data: Path) -> None:
    """The smaller file is fetched; where one is in the cache already it is taken, asked for or not."""
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    asked: list[Any] = []

    def fetch(source: Any) -> Path:
        asked.append(source)
        return shared_data / ENCODER

    monkeypatch.setattr("lensmith.compose.weights.fetch", fetch)
    assert open_network("vgg19", PAPER, weights="imagenet").trained
    assert asked[-1].file.endswith("_notop.h5")
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "vgg19_weights_tf_dim_ordering_tf_kernels.h5").touch()
    assert open_network("vgg19", PAPER).trained
    assert asked[-1].file == "vgg19_weights_tf_dim_ordering_tf_kernels.h5"


def test_says_what_to_do_offline(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))

    def fetch(source: Any) -> Path:
        raise check.LensmithError(f"{source.url}: could not be fetched")

    monkeypatch.setattr("lensmith.compose.weights.fetch", fetch)
    with pytest.raises(check.LensmithError, match=r"could not be fetched\. Or give --weights FILE"):
        open_network("vgg19", PAPER, weights="imagenet")


def test_random_weights_follow_the_seed(by_chance: Network) -> None:
    again, other = (open_network("vgg19", PAPER, random=True, seed=seed) for seed in (3, 4))
    image = pixels(20, 20)
    first = maps(by_chance, image)["block2_conv1"]
    assert np.array_equal(first, maps(again, image)["block2_conv1"])
    assert not np.array_equal(first, maps(other, image)["block2_conv1"])


def test_our_own_weights_need_to_know_what_pixels_were(tmp_path: Path) -> None:
    network = zoo.get("compact").build(seed=1)
    arrays = {weight.path: keras.ops.convert_to_numpy(weight.value) for weight in network.weights}
    np.savez(tmp_path / "own.npz", **{name: each for name, each in arrays.items() if not name.startswith("task-")})
    with pytest.raises(check.SettingError, match="how pixels were scaled"):
        open_network("compact", ["P1"], weights=tmp_path / "own.npz")
    size = zoo.get("compact").input
    found = open_network("compact", ["P1"], weights=tmp_path / "own.npz", preprocessing=Preprocessing(image=size))
    assert found.trained and found.replaced == ()


# --- models of the user's own --------------------------------------------------------------------------------------


def test_any_model() -> None:
    inner = keras.Sequential([keras.Input((24, 24, 3)), L.Conv2D(4, 3, activation="relu", name="block1_conv1")])
    image = keras.Input((24, 24, 3))
    x = L.Conv2D(5, 3, strides=2, name="second")(inner(image))
    outputs = {"a": L.Dense(2)(L.Flatten()(x)), "b": L.GlobalAveragePooling2D()(x)}
    network = open_network(keras.Model(image, outputs), ["block1_conv1", "second"], preprocessing=UNIT)
    assert network.trained and network.layers == {"block1_conv1": "block1_conv1", "second": "second"}
    shapes = {name: tuple(each.shape[1:]) for name, each in network.taps((11, 31)).output.items()}
    assert shapes == {"block1_conv1": (9, 29, 4), "second": (4, 14, 5)}


@pytest.mark.parametrize("row", ["resnet18-v1", "googlenet", "mobilenet-v2"])
def test_taps_of_other_networks(row: str) -> None:
    network = open_network(row, ["P2", "P3"], random=True)
    found = network.taps((64, 96)).output
    assert [tuple(found[name].shape[1:3]) for name in ("P2", "P3")] == [(16, 24), (8, 12)]


def test_refuses_models_that_it_cannot_feed() -> None:
    model = keras.Sequential([keras.Input((24, 24, 3)), L.Conv2D(4, 3, name="one")])
    with pytest.raises(check.SettingError, match="preprocessing: expected what the model wants"):
        open_network(model, ["one"])
    with pytest.raises(check.SettingError, match=r"preprocessing\.image: expected 3 channels, as the model takes"):
        open_network(model, ["one"], preprocessing=Preprocessing(image=(24, 24, 1)))
    with pytest.raises(check.SettingError, match=r"a name of the zoo, or a keras\.Model"):
        open_network(3, ["one"], preprocessing=UNIT)
    # Of one size only.
    with pytest.raises(check.SettingError, match="connected"):
        open_network(keras.Sequential([L.Conv2D(4, 3, name="one")]), ["one"], preprocessing=UNIT)
    fixed = keras.Sequential(
        [keras.Input((24, 24, 3)), *model.layers, L.Flatten(), L.Dense(16), L.Reshape((2, 2, 4), name="last")]
    )
    network = open_network(fixed, ["last"], preprocessing=UNIT)
    with pytest.raises(check.SettingError, match="cannot be called for images of 32 x 32"):
        network.taps((32, 32))


# --- pixels --------------------------------------------------------------------------------------------------------


@pytest.mark.backends
@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        # Red 0.2, green 0.4, blue 0.6 is 51, 102, 153.
        ({"scaling": "0..1"}, (0.2, 0.4, 0.6)),
        ({"scaling": "-1..1"}, (-0.6, -0.2, 0.2)),
        ({"scaling": "none", "channels": "bgr"}, (153, 102, 51)),
        ({"scaling": "standardise", "mean": (3, 2, 1), "deviation": (5, 10, 50), "channels": "bgr"}, (30, 10, 1)),
    ],
)
def test_pixels_are_prepared(settings: dict[str, Any], expected: tuple[float, ...]) -> None:
    network = Network("x", None, {}, (), Preprocessing(image=(4, 4, 3), **settings), trained=False)
    image = np.broadcast_to(np.float32([0.2, 0.4, 0.6]), (1, 2, 3, 3))
    found = keras.ops.convert_to_numpy(network.prepare(keras.ops.convert_to_tensor(image)))
    np.testing.assert_allclose(found, np.broadcast_to(np.float32(expected), (1, 2, 3, 3)), rtol=1e-5, atol=1e-6)
    # As images are prepared from files.
    np.testing.assert_allclose(found, network.preprocessing.scale(image * 255), rtol=1e-5, atol=1e-4)


def test_models_of_gray_images_see_the_luma() -> None:
    network = Network("x", None, {}, (), Preprocessing(image=(4, 4, 1), scaling="none"), trained=False)
    found = network.prepare(keras.ops.convert_to_tensor(np.float32([[[[1, 0, 0], [0, 1, 0], [1, 1, 1]]]])))
    np.testing.assert_allclose(keras.ops.convert_to_numpy(found)[0, 0, :, 0], (76.245, 149.685, 255), rtol=1e-5)


@pytest.mark.backends
def test_derivatives_reach_the_pixels(by_chance: Network) -> None:
    model = by_chance.taps((18, 18))

    def mean(x: Any) -> tuple[Any, Any]:
        return keras.ops.mean(call(model, by_chance.prepare(x))["block3_conv1"]), ()

    run = differentiated(mean, model)
    image = pixels(18, 18)
    value, slope = (keras.ops.convert_to_numpy(run(image)[i]) for i in (0, 2))
    step = 1e-3 * slope / np.abs(slope).max()
    ahead, behind = (float(run(image + sign * step)[0]) for sign in (1, -1))
    assert value > 0
    np.testing.assert_allclose((ahead - behind) / 2, np.sum(slope * step), rtol=2e-2)


# --- memory that is kept -------------------------------------------------------------------------------------------

_HELD = """
import numpy as np
from lensmith.backend.memory import keep_freed

def held():
    np.ones(2**24, np.float32)  # 64 MiB, 16,384 pages, freed at once
    return int(open("/proc/self/statm").read().split()[1])

without = held()
with keep_freed() as kept, keep_freed():
    within = held()
print(kept, within - without, held() - without)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="the C library of other systems has no such setting")
def test_freed_memory_is_kept_and_given_back() -> None:
    done = subprocess.run([sys.executable, "-c", _HELD], capture_output=True, text=True, check=True)
    kept, within, after = done.stdout.split()
    if kept == "False":
        pytest.skip("the C library is not glibc")
    assert int(within) > 16_000
    assert int(after) < 1_000


def test_without_glibc_nothing_changes(monkeypatch: pytest.MonkeyPatch) -> None:
    from lensmith.backend import memory

    monkeypatch.setattr(memory.os, "confstr", lambda name: None)
    with memory.keep_freed() as kept:
        assert kept is False
