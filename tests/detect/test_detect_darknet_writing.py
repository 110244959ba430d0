"""Models of ours as Darknet's files: read back they give the same numbers, and what Darknet lacks is named."""

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
from lensmith.compose import Recipe, zoo
from lensmith.compose.detection.tasks import YoloV1, YoloV2, YoloV3, YoloV3Tiny
from lensmith.data.preprocess import Preprocessing
from lensmith.detect.darknet.opening import open_darknet
from lensmith.detect.darknet.writing import Written, as_darknet, write_darknet
from lensmith.detect.darknet.writing_windows import Axis, convolution

L = keras.layers


def lively(model: Any, seed: int = 0) -> Any:
    """The model with statistics and biases that an exchange of two numbers would show."""
    draw = np.random.default_rng(seed)
    for layer in model.layers:
        for variable in layer.weights:
            name = variable.path.rpartition("/")[2]
            if name in ("gamma", "moving_variance"):
                variable.assign(draw.uniform(0.5, 1.5, variable.shape))
            elif name in ("beta", "moving_mean", "bias"):
                variable.assign(draw.normal(0, 0.3, variable.shape))
    return model


def answer(model: Any, images: np.ndarray) -> np.ndarray:
    return np.asarray(keras.ops.convert_to_numpy(model(images, training=False)))


def read_back(folder: Path, written: Written) -> Any:
    (folder / "net.cfg").write_text(written.cfg)
    (folder / "net.weights").write_bytes(written.weights)
    (folder / "net.names").write_text(written.names)
    return open_darknet(folder / "net.cfg", folder / "net.weights", folder / "net.names")


def same(folder: Path, model: Any, names: list[str], size: tuple[int, ...]) -> Written:
    images = np.random.default_rng(5).uniform(0, 1, (2, *size)).astype(np.float32)
    written = as_darknet(model, names)
    expected = answer(model, images)
    got = answer(read_back(folder, written).model, images)
    assert expected.std(axis=-1).max() > 1e-3  # there is something to compare
    np.testing.assert_allclose(got, expected, rtol=1e-5, atol=1e-5)
    return written


def branch(x: Any) -> Any:
    """A sum and a join of branches, and the image itself in one of them."""
    left, right = L.Conv2D(4, 1)(x), L.Conv2D(4, 3, padding="same")(x)
    total = L.Add()([left, right, left])
    return L.Concatenate()([L.Activation("tanh")(total), x, L.BatchNormalization()(total)])


LAYERS: dict[str, tuple[Callable[[Any], Any], str]] = {
    # what stands between the image and the last layers, and a line that the file has to hold
    "convolution with bias": (
        lambda x: L.Conv2D(4, 3, padding="same", activation="relu")(x),
        "size=3\nstride=1\npad=1",
    ),
    "a normalisation is folded": (lambda x: L.BatchNormalization()(L.Conv2D(4, 3)(x)), "size=3\nstride=1\npad=0"),
    "one without scale and centre": (
        lambda x: L.BatchNormalization(scale=False, center=False)(L.Conv2D(4, 3, use_bias=False)(x)),
        "size=3",
    ),
    "zeros at the bottom right, as TensorFlow has them": (
        lambda x: L.Conv2D(4, 3, strides=2, padding="same")(x),
        "size=5",
    ),
    "zeros on all four sides": (lambda x: L.Conv2D(4, 3, strides=2)(L.ZeroPadding2D(1)(x)), "size=3\nstride=2\npad=1"),
    "zeros of each side its own": (
        lambda x: L.Conv2D(4, 3)(L.ZeroPadding2D(((0, 2), (1, 1)))(x)),
        "activation=linear",
    ),
    "zeros for nobody": (lambda x: L.Activation("relu")(L.ZeroPadding2D(((0, 2), (2, 0)))(x)), "groups=3"),
    "a window that is no square": (lambda x: L.Conv2D(4, (1, 5), padding="same")(x), "size=5"),
    "taps that lie apart": (lambda x: L.Conv2D(4, 3, dilation_rate=2, padding="same")(x), "size=5"),
    "groups": (lambda x: L.Conv2D(6, 3, groups=3)(x), "groups=3"),
    "one filter a channel": (lambda x: L.DepthwiseConv2D(3, padding="same")(x), "groups=3"),
    "two filters a channel": (lambda x: L.DepthwiseConv2D(3, depth_multiplier=2)(x), "filters=6"),
    "relu6, which the first Darknet lacks": (
        lambda x: L.ReLU(max_value=6.0)(L.Rescaling(20.0, -3.0)(x)),
        "activation=relu",
    ),
    "leaky, swish, mish, logistic, elu": (
        lambda x: L.ELU()(
            L.Activation("sigmoid")(L.Activation("mish")(L.Activation("silu")(L.LeakyReLU(negative_slope=0.1)(x))))
        ),
        "activation=leaky",
    ),
    "a pool": (lambda x: L.MaxPooling2D(2)(L.Conv2D(3, 1)(x)), "[maxpool]\nsize=2\nstride=2\npadding=0"),
    "a pool over the edge": (lambda x: L.MaxPooling2D(3, strides=1, padding="same")(L.Conv2D(3, 1)(x)), "padding=2"),
    "a pool of zeros among numbers above 0": (
        lambda x: L.MaxPooling2D(3, strides=2)(L.ZeroPadding2D(1)(L.Activation("relu")(L.Conv2D(3, 1)(x)))),
        "padding=2",
    ),
    "a pool of zeros among numbers below 0": (
        lambda x: L.MaxPooling2D(3, strides=2)(L.ZeroPadding2D(1)(L.Rescaling(1.0, -2.0)(x))),
        "padding=0",
    ),
    "a mean of windows": (lambda x: L.AveragePooling2D(2)(x), "size=2\nstride=2"),
    "upsampling": (lambda x: L.UpSampling2D(2)(L.Conv2D(2, 3)(x)), "[upsample]\nstride=2"),
    "branches": (branch, "[shortcut]"),
    "what training alone has": (lambda x: L.SpatialDropout2D(0.5)(L.Dropout(0.5)(L.Conv2D(3, 3)(x))), "size=3"),
    "the same layer twice": (lambda x: (lambda layer: layer(layer(x)))(L.Conv2D(3, 3, padding="same")), "size=3"),
}


@pytest.mark.backends
@pytest.mark.parametrize("name", LAYERS)
def test_every_layer_read_back_gives_the_same(name: str, tmp_path: Path) -> None:
    made, line = LAYERS[name]
    image = keras.Input((7, 6, 3))
    x = L.Dense(3)(L.Flatten()(made(image)))  # every pixel counts by itself
    model = lively(keras.Model(image, L.Softmax()(x)))
    assert line in same(tmp_path, model, ["a", "b", "c"], (7, 6, 3)).cfg


@pytest.mark.parametrize("last", ["pooled", "flattened", "hidden"])
def test_ends_of_classifiers(last: str, tmp_path: Path) -> None:
    image = keras.Input((6, 6, 3))
    x = L.Conv2D(5, 3, activation="relu")(image)
    x = L.GlobalAveragePooling2D()(x) if last == "pooled" else L.Flatten()(x)
    x = L.Dropout(0.5)(L.Dense(7, activation="relu")(x)) if last == "hidden" else x
    model = lively(keras.Model(image, L.Dense(4, activation="softmax")(x)))
    same(tmp_path, model, list("abcd"), (6, 6, 3))


ANCHORS = ((8, 10), (14, 20), (20, 16), (30, 40), (50, 33), (40, 70), (12.5, 7.25), (60, 60), (64, 20))
DETECTORS = {
    # each head, on a backbone whose zeros lie as Caffe lays them and on one with relu6
    "yolo-v3": (YoloV3(2, ANCHORS, width=16), "resnet18-v1", 3),
    "yolo-v3-tiny": (YoloV3Tiny(3, ANCHORS[:6], width=16), "mobilenet-v1-0.25", 2),
    "yolo-v2": (YoloV2(2, ANCHORS[:5], width=16), "mobilenet-v1-0.25", 1),
    "yolo-v1": (YoloV1(2, grid=3, hidden=(12,), dropout=0.5), "mobilenet-v1-0.25", 1),
}


def detector(name: str) -> tuple[Recipe, Any]:
    task, backbone, _ = DETECTORS[name]
    recipe = replace(zoo.get(backbone), input=(64, 96, 3), tasks={"objects": task}, auxiliaries=())
    model = lively(recipe.build(seed=0))
    for layer in model.layers:
        if layer.name.endswith("-output"):
            layer.kernel.assign(keras.ops.convert_to_numpy(layer.kernel) * 0.2)
    return recipe, model


@pytest.mark.parametrize("name", ["yolo-v3-tiny", "yolo-v2", "yolo-v1"])
def test_detectors_read_back_give_the_same_boxes(name: str, tmp_path: Path) -> None:
    recipe, model = detector(name)
    classes = recipe.tasks["objects"].classes  # type: ignore[union-attr]
    written = same(tmp_path, model, [f"thing {i}" for i in range(classes)], recipe.input)
    kinds = [f"[{kind}]" for kind in ("yolo", "region", "detection")]
    assert sum(written.cfg.count(kind) for kind in kinds) == DETECTORS[name][2]
    assert "batch_normalize" not in written.cfg


def test_a_large_detector_read_back_gives_the_same_boxes(tmp_path: Path) -> None:
    recipe, model = detector("yolo-v3")
    written = same(tmp_path, model, ["cat", "dog"], recipe.input)
    assert [line for line in written.cfg.splitlines() if line.startswith("mask")] == [
        "mask=6,7,8",
        "mask=3,4,5",
        "mask=0,1,2",
    ]


@pytest.mark.parametrize(
    "given",
    [
        Preprocessing(image=(6, 6, 3), scaling="0..1"),
        Preprocessing(image=(6, 6, 3), scaling="-1..1"),
        Preprocessing(image=(6, 6, 3), scaling="none", channels="bgr"),
        Preprocessing(
            image=(6, 6, 3), scaling="standardise", mean=(124, 117, 104), deviation=(58, 57, 57), channels="bgr"
        ),
    ],
)
def test_another_range_of_pixels_becomes_a_layer(given: Preprocessing, tmp_path: Path) -> None:
    image = keras.Input((6, 6, 3))
    x = L.Conv2D(4, 3, padding="same")(image)  # whose zeros come after the scaling
    x = L.Rescaling(0.02)(x) if given.scaling == "none" else x
    model = lively(keras.Model(image, L.Softmax()(L.Dense(3)(L.Flatten()(x)))))
    pixels = np.random.default_rng(0).integers(0, 256, (6, 6, 3), np.uint8)
    network = read_back(tmp_path, as_darknet(model, ["a", "b", "c"], given))
    expected = answer(model, given(pixels)[None])
    np.testing.assert_allclose(answer(network.model, network.preprocessing(pixels)[None]), expected, atol=1e-5)


def _gelu(x: Any) -> Any:
    return L.Activation("gelu", name="here")(x)


REFUSED: dict[str, tuple[Callable[[Any], Any], str]] = {
    "an activation": (_gelu, "here: expected an activation that Darknet has"),
    "a slope": (
        lambda x: L.LeakyReLU(negative_slope=0.2, name="here")(x),
        "here: expected a leaky rectifier of slope 0.1",
    ),
    "a slope by name": (lambda x: L.Activation("leaky_relu", name="here")(x), "here: expected an activation that"),
    "a largest number": (lambda x: L.ReLU(max_value=3.0, name="here")(x), "here: expected a plain, a leaky or"),
    "a product": (lambda x: L.Multiply(name="here")([x, x]), "here: expected a layer that Darknet has"),
    "a reshape": (lambda x: L.Reshape((6, 6, 3), name="here")(x), "here: expected a layer that Darknet has"),
    "bilinear": (lambda x: L.UpSampling2D(2, interpolation="bilinear", name="here")(x), "here: expected nearest"),
    "two strides": (lambda x: L.Conv2D(2, 3, strides=(1, 2), name="here")(x), "here: expected one stride"),
    "a mean over the edge": (
        lambda x: L.AveragePooling2D(3, strides=1, padding="same", name="here")(x),
        "here: expected an average pool without padding",
    ),
    "a pool that is no square": (lambda x: L.MaxPooling2D((2, 3), name="here")(x), "here: expected"),
    "a sum of two shapes": (lambda x: L.Add(name="here")([x, L.Conv2D(1, 1)(x)]), "here: expected a sum of tensors of"),
    # every square window makes rows and columns more by the same number
    "zeros below alone": (lambda x: L.ZeroPadding2D(((0, 1), (0, 0)), name="here")(x), "here: expected as many zeros"),
    "and for a convolution": (
        lambda x: L.Conv2D(2, 3, name="here")(L.ZeroPadding2D(((0, 1), (0, 0)))(x)),
        "here: expected a window that Darknet can lay",
    ),
    "a norm of rows": (lambda x: L.BatchNormalization(axis=1, name="here")(x), "here: expected a normalisation of the"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_darknet_lacks_is_refused_by_the_layer(name: str, tmp_path: Path) -> None:
    made, line = REFUSED[name]
    image = keras.Input((6, 6, 3))
    model = keras.Model(image, L.Softmax()(L.Dense(2)(L.Flatten()(made(image)))))
    with pytest.raises(check.SettingError) as caught:
        write_darknet(tmp_path / "net", model, ["a", "b"])
    assert str(caught.value).startswith(line)
    assert "\n" not in str(caught.value)
    assert not list(tmp_path.iterdir())


def small() -> Any:
    image = keras.Input((4, 4, 3))
    return keras.Model(image, L.Softmax()(L.Dense(2)(L.Flatten()(image))), name="small")


@pytest.mark.parametrize("names", [["a"], ["a", "b", "c"], []])
def test_names_have_to_be_as_many_as_the_classes(names: list[str]) -> None:
    with pytest.raises(check.SettingError, match="names: expected 2, one a class; got"):
        as_darknet(small(), names)


def test_a_name_is_one_line() -> None:
    with pytest.raises(check.SettingError, match="expected names of one line each"):
        as_darknet(small(), ["a", "b\nc"])


def test_only_one_task_of_one_image_fits() -> None:
    image, other = keras.Input((4, 4, 3)), keras.Input((4, 4, 3))
    flat = L.Flatten()(image)
    with pytest.raises(check.SettingError, match="two: expected a model of one task; got 2 outputs"):
        as_darknet(keras.Model(image, {"a": L.Dense(2)(flat), "b": L.Dense(2)(flat)}, name="two"), ["a", "b"])
    with pytest.raises(
        check.SettingError, match="expected a model with one input, images of a fixed size; got 2 inputs"
    ):
        as_darknet(keras.Model([image, other], L.Dense(2)(L.Flatten()(L.Add()([image, other])))), ["a", "b"])
    free = keras.Input((None, None, 3))
    with pytest.raises(check.SettingError, match=r"images of a fixed size; got shape \(None, None, 3\)"):
        as_darknet(keras.Model(free, L.Dense(2)(L.GlobalAveragePooling2D()(free))), ["a", "b"])
    with pytest.raises(check.SettingError, match=r"preprocessing: expected of \(4, 4, 3\)"):
        as_darknet(small(), ["a", "b"], Preprocessing(image=(8, 8, 3)))


def test_three_files_are_written_beside_each_other(tmp_path: Path) -> None:
    paths = write_darknet(tmp_path / "my.net", small(), ["a cat", "b"])
    assert [path.name for path in paths] == ["my.net.cfg", "my.net.weights", "my.net.names"]
    assert paths[2].read_text() == "a cat\nb\n"
    assert paths[1].stat().st_size == 20 + 4 * (2 + 96)
    assert open_darknet(*paths).labels["label"].names == ("a cat", "b")


side = st.integers(0, 3)


@settings(max_examples=25, deadline=None)
@given(st.tuples(side, side), st.tuples(side, side), st.integers(1, 4), st.integers(1, 4), st.integers(1, 3))
def test_a_square_window_takes_the_places_of_any_other(
    down: tuple[int, int], across: tuple[int, int], high: int, wide: int, stride: int
) -> None:
    axes = [
        Axis(size, *pad, window, (size + sum(pad) - window) // stride + 1)
        for size, pad, window in ((9, down, high), (8, across, wide))
    ]
    square = convolution(axes, stride)
    if square is None:
        return
    for axis, shift in zip(axes, square.shifts, strict=True):
        starts = [place * stride - square.padding for place in range(axis.count)]
        assert (axis.size + 2 * square.padding - square.size) // stride + 1 == axis.count
        assert [start + shift for start in starts] == [place * stride - axis.before for place in range(axis.count)]
        assert shift + axis.window <= square.size
