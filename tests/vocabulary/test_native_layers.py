"""The native layers against Keras' own: outputs, gradients, statistics, what is saved, and the way through a graph."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lensmith.backend import keras, layers

if keras.config.backend() != "torch":
    pytest.skip("the native layers are torch's", allow_module_level=True)
import torch

from lensmith.backend import graph, steps

Arguments = dict[str, Any]
RANDOM = np.random.default_rng(0)
IMAGES = RANDOM.normal(size=(4, 9, 7, 6)).astype(np.float32)

LAYERS: list[tuple[str, Arguments]] = [
    ("Conv2D", {"filters": 8, "kernel_size": 3}),  # no padding
    ("Conv2D", {"filters": 8, "kernel_size": 3, "padding": "same"}),  # torch pads
    ("Conv2D", {"filters": 8, "kernel_size": (3, 4), "padding": "same", "strides": 2}),  # the sides differ
    ("Conv2D", {"filters": 8, "kernel_size": 3, "padding": "same", "dilation_rate": 2, "use_bias": False}),
    ("Conv2D", {"filters": 8, "kernel_size": 1, "groups": 2, "activation": "tanh"}),  # an activation of its own
    ("Conv2D", {"filters": 8, "kernel_size": 1, "activity_regularizer": "l2"}),  # goes Keras' way
    ("DepthwiseConv2D", {"kernel_size": 3, "padding": "same"}),
    ("DepthwiseConv2D", {"kernel_size": 3, "strides": 2, "depth_multiplier": 2}),
    ("BatchNormalization", {"momentum": 0.9, "epsilon": 1e-5}),
    ("BatchNormalization", {"scale": False, "center": False}),
    ("BatchNormalization", {"axis": 1}),  # goes Keras' way
    ("BatchNormalization", {"renorm": True}),  # goes Keras' way
    ("BatchNormalization", {"trainable": False}),  # normalises with what it remembers
    ("MaxPooling2D", {"pool_size": 3, "strides": 2}),
    ("MaxPooling2D", {"pool_size": 3, "strides": 2, "padding": "same"}),  # torch pads
    ("MaxPooling2D", {"pool_size": 2, "padding": "same"}),  # the sides differ
    ("AveragePooling2D", {"pool_size": 3, "strides": 1, "padding": "same"}),  # zeros do not count
    ("ZeroPadding2D", {"padding": ((1, 2), (0, 3))}),
    ("Activation", {"activation": "relu"}),
    ("Activation", {"activation": "relu6"}),
    ("Activation", {"activation": "tanh"}),  # goes Keras' way
    ("ReLU", {"max_value": 0.5}),
    ("ReLU", {"negative_slope": 0.1}),  # goes Keras' way
    ("LeakyReLU", {"negative_slope": 0.1}),
    ("LeakyReLU", {"negative_slope": 0.0}),  # has no derivative in place
]
NAMES = [f"{name}{i}" for i, (name, _) in enumerate(LAYERS)]


def pair(name: str, arguments: Arguments) -> tuple[Any, Any]:
    """A native and a plain model of one layer with the same weights, none of which is 0 or 1."""
    models = []
    for room in (layers, keras.layers):
        given = keras.Input(IMAGES.shape[1:])
        models.append(keras.Model(given, getattr(room, name)(**arguments, name="layer")(given)))
    native, plain = models
    random = np.random.default_rng(1)
    weights = [random.uniform(0.5, 1.5, weight.shape).astype(np.float32) for weight in plain.weights]
    for model in models:
        model.set_weights(weights)
    return native, plain


def numbers(tensor: Any) -> np.ndarray:
    return np.array(keras.ops.convert_to_numpy(tensor))


def passes(model: Any, call: Callable[[Any], Any]) -> list[np.ndarray]:
    """The outputs, and the gradients of a sum over them by the input and by every weight."""
    x = torch.tensor(IMAGES, requires_grad=True)
    outputs = call(x * 1)
    torch.sum(outputs * torch.cos(torch.arange(outputs.numel()).reshape(outputs.shape))).backward()
    grads = [numbers(weight.value.grad) for weight in model.trainable_weights]
    return [numbers(outputs), numbers(x.grad), *grads]


def the_same(first: Any, second: Any, within: float = 1e-5) -> None:
    assert len(first) == len(second)
    for a, b in zip(first, second, strict=True):
        np.testing.assert_allclose(a, b, rtol=within, atol=within * max(1.0, float(np.abs(b).max(initial=0))))


@pytest.mark.parametrize(("name", "arguments"), LAYERS, ids=NAMES)
@pytest.mark.parametrize("training", [False, True])
def test_outputs_gradients_and_statistics_are_keras_own(name: str, arguments: Arguments, training: bool) -> None:
    native, plain = pair(name, arguments)
    for _ in range(3):  # the statistics move
        found = [passes(model, lambda x, model=model: model(x, training=training)) for model in (native, plain)]
        for model in (native, plain):
            model.zero_grad()
        the_same(*found)
    the_same(native.get_weights(), plain.get_weights(), within=1e-6)
    assert [w.path for w in native.weights] == [w.path for w in plain.weights]


@pytest.mark.parametrize(("name", "arguments"), LAYERS, ids=NAMES)
def test_a_layer_passes_for_keras_own(name: str, arguments: Arguments) -> None:
    native, plain = (model.get_layer("layer") for model in pair(name, arguments))
    assert isinstance(native, getattr(keras.layers, name))
    assert keras.saving.serialize_keras_object(native) == keras.saving.serialize_keras_object(plain)


def network(room: Any) -> Any:
    """All that a graph joins: padding, convolution, normalisation, activation, a sum, a pool."""
    keras.utils.set_random_seed(0)
    given = keras.Input((12, 12, 3))
    x = room.ZeroPadding2D(1, name="pad")(given)
    x = room.Conv2D(8, 3, strides=2, use_bias=False, name="conv")(x)
    x = room.BatchNormalization(name="norm")(x)
    x = shortcut = room.Activation("relu", name="relu")(x)
    x = room.ReLU(6.0, name="relu6")(room.DepthwiseConv2D(3, padding="same", name="depthwise")(x))
    x = room.Activation("relu", name="sum-relu")(room.Add(name="sum")([x, shortcut]))
    x = room.LeakyReLU(0.1, name="leaky")(room.Conv2D(8, 1, name="last")(x))
    x = room.LeakyReLU(0.0, name="rectified")(room.Conv2D(8, 1, name="very-last")(x))
    x = room.MaxPooling2D(2, name="pool")(x)
    x = room.GlobalAveragePooling2D(name="mean")(x)
    return keras.Model(given, room.Dense(3, name="dense")(x))


PHOTOS = RANDOM.normal(size=(5, 12, 12, 3)).astype(np.float32)


@pytest.mark.parametrize("training", [False, True])
def test_a_graph_gives_what_the_model_gives(training: bool) -> None:
    native, plain = network(layers), network(keras.layers)
    x = torch.tensor(PHOTOS)
    joined = graph.forward(native)
    for _ in range(2):
        torch.sum(joined(x, training) ** 2).backward()
        torch.sum(plain(x, training=training) ** 2).backward()
    grads = [[numbers(weight.value.grad) for weight in model.trainable_weights] for model in (native, plain)]
    the_same(*grads, within=1e-4)
    the_same(native.get_weights(), plain.get_weights(), within=1e-6)
    the_same([steps.predict(native, PHOTOS)], [plain.predict_on_batch(PHOTOS)])


# A tensor that somebody else reads too must not be changed in place.
@pytest.mark.parametrize("name", ["norm", "relu", "sum", "depthwise", "pad"])
def test_a_graph_leaves_alone_what_others_read(name: str) -> None:
    outputs = []
    for room in (layers, keras.layers):
        whole = network(room)
        view = keras.Model(whole.input, {"inner": whole.get_layer(name).output, "end": whole.output})
        outputs.append(view.predict_on_batch(PHOTOS) if room is keras.layers else steps.predict(view, PHOTOS))
    the_same([outputs[0]["inner"], outputs[0]["end"]], [outputs[1]["inner"], outputs[1]["end"]])


def test_a_graph_calls_a_layer_that_somebody_listens_to() -> None:
    model, heard = network(layers), []
    call = graph.forward(model)
    model.get_layer("norm").register_forward_hook(lambda *given: heard.append(given[2].shape))
    call(torch.tensor(PHOTOS), False)
    assert heard == [(5, 6, 6, 8)]


def test_kernels_keep_their_place_in_memory() -> None:
    model = network(layers)
    kernel, depthwise = (model.get_layer(name).kernel for name in ("conv", "depthwise"))

    def lie() -> tuple[bool, bool]:
        first, second = kernel.value.permute(3, 2, 0, 1), depthwise.value.permute(2, 3, 0, 1)
        return first.is_contiguous(memory_format=torch.channels_last), second.is_contiguous()

    assert kernel.shape == (3, 3, 3, 8) and depthwise.shape == (3, 3, 8, 1)
    assert lie() == (True, True)
    model.set_weights([weight + 1 for weight in model.get_weights()])
    assert lie() == (True, True)
    kernel.assign(np.arange(216.0).reshape(3, 3, 3, 8))
    assert lie() == (True, True)
    assert numbers(kernel)[2, 1, 0, 5] == ((2 * 3 + 1) * 3 + 0) * 8 + 5
    model(PHOTOS).sum().backward()
    assert kernel.value.grad.stride() == kernel.value.stride()


@pytest.mark.parametrize("policy", ["mixed_bfloat16", "mixed_float16"])
def test_mixed_precision_computes_as_keras_does(policy: str) -> None:
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(policy)
    try:
        native, plain = network(layers), network(keras.layers)
    finally:
        keras.config.set_dtype_policy(before)
    found = steps.predict(native, PHOTOS), plain.predict_on_batch(PHOTOS)
    assert found[0].dtype == found[1].dtype
    the_same([found[0].astype(np.float32)], [found[1].astype(np.float32)], within=0.02)
    outputs = [numbers(call(PHOTOS)).astype(np.float32) for call in (lambda x: native(x, training=True), plain)]
    assert outputs[0].shape == outputs[1].shape
    assert {weight.dtype for weight in native.weights} == {"float32"}


PLAIN = """
import sys, numpy as np, keras
model = keras.saving.load_model(sys.argv[1])
assert not any(name.split(".")[0] == "lensmith" for name in sys.modules)
np.save(sys.argv[3], model.predict_on_batch(np.load(sys.argv[2])))
"""


def test_a_saved_model_is_plain_keras(tmp_path: Path) -> None:
    model = network(layers)
    model.save(tmp_path / "model.keras")
    np.save(tmp_path / "x.npy", PHOTOS)
    with zipfile.ZipFile(tmp_path / "model.keras") as file:
        text = file.read("config.json").decode()
    assert "lensmith" not in text
    assert {layer["module"] for layer in json.loads(text)["config"]["layers"]} == {"keras.layers"}
    paths = [str(tmp_path / name) for name in ("model.keras", "x.npy", "y.npy")]
    environment = os.environ | {"KERAS_BACKEND": "torch", "KERAS_HOME": str(tmp_path)}
    subprocess.run([sys.executable, "-c", PLAIN, *paths], check=True, env=environment, cwd=tmp_path)
    the_same([np.load(tmp_path / "y.npy")], [steps.predict(model, PHOTOS)])


def test_a_model_can_be_cloned() -> None:
    model = network(layers)
    clone = keras.models.clone_model(model)
    clone.set_weights(model.get_weights())
    the_same([clone.predict_on_batch(PHOTOS)], [model.predict_on_batch(PHOTOS)])


def test_other_names_are_keras_own() -> None:
    assert layers.Dropout is keras.layers.Dropout
    with pytest.raises(AttributeError):
        _ = layers.Conv5D
