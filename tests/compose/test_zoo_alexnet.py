"""AlexNet and its local response normalisation."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from lensmith.backend import keras
from lensmith.compose import Classify, Conv, Group, Groups, Recipe, zoo
from lensmith.compose.local_response import LocalResponseNormalization
from lensmith.compose.zoo.alexnet import alexnet


def array(tensor) -> np.ndarray:
    return keras.ops.convert_to_numpy(tensor)


def slowly(x: np.ndarray, size: int = 5, alpha: float = 1e-4, beta: float = 0.75, k: float = 2.0) -> np.ndarray:
    """The formula of Section 3.3, one channel after the other."""
    x, y, last = x.astype("float64"), np.empty(x.shape), x.shape[-1] - 1
    for i in range(last + 1):
        near = x[..., max(0, i - size // 2) : min(last, i + size // 2) + 1]
        y[..., i] = x[..., i] / (k + alpha * (near**2).sum(-1)) ** beta
    return y


@pytest.mark.parametrize(("name", "count"), [("alexnet", 60_965_224), ("alexnet-one-tower", 62_378_344)])
def test_counts(name, count):
    assert zoo.get(name).count() == (count, count)


def test_sizes_of_the_paper():
    """55, 27 and 13 pixels, and 6 before the dense layers (Figure 2)."""
    learner = zoo.get("alexnet").learner
    narrow = Groups(*(replace(group, filters=2) for group in learner.groups))
    model = replace(zoo.get("alexnet"), learner=narrow, tasks={"label": Classify(2, pool="flatten")}).build(seed=0)
    shapes = {layer.name: layer.output.shape[1:3] for layer in model.layers}
    assert [shapes[f"learner-group{group}-block1-conv"] for group in (1, 2, 3, 4)] == [
        (55, 55),
        (27, 27),
        (13, 13),
        (13, 13),
    ]
    assert shapes["learner-group4-pool"] == (6, 6)


# Each row: the row of the zoo, the groups of its five convolutions, and its local normalisations.
@pytest.mark.parametrize(
    ("name", "groups", "local"), [("alexnet", [1, 2, 1, 2, 2], 2), ("alexnet-one-tower", [1] * 5, 0)]
)
def test_towers_and_normalisation(name, groups, local, built):
    layers = built(name).layers
    assert [layer.groups for layer in layers if isinstance(layer, keras.layers.Conv2D)] == groups
    assert sum(isinstance(layer, LocalResponseNormalization) for layer in layers) == local


def test_three_towers():
    assert [group.block.groups for group in alexnet(1).learner.groups] == [1, 1, 1, 1]


# Each row: a shape and the settings; channels fewer than the window, odd and even numbers of them, rows of numbers.
@pytest.mark.parametrize(
    ("shape", "settings"),
    [
        ((3, 4, 7), {}),
        ((3, 4, 2), {}),
        ((2, 2, 8), {"size": 3, "alpha": 0.5, "beta": 0.5, "bias": 1.0}),
        ((1, 1, 5), {"size": 1, "alpha": 1.0}),
        ((6,), {}),
    ],
)
def test_local_response_equals_the_formula(shape, settings, batch):
    x = 100 * batch(shape) - 50
    wanted = {("k" if key == "bias" else key): value for key, value in settings.items()}
    found = LocalResponseNormalization(**settings)(x)
    np.testing.assert_allclose(array(found), slowly(x, **wanted), rtol=2e-5)


def test_local_response_on_paper():
    """One channel: 2 / (1 + 1·2²)^½ = 0.894; with a neighbour of 2: 2 / (1 + 8)^½ = 2/3."""
    layer = LocalResponseNormalization(size=3, alpha=1.0, beta=0.5, bias=1.0)
    np.testing.assert_allclose(array(layer(np.float32([[2.0]]))), [[0.894427]], rtol=1e-5)
    np.testing.assert_allclose(array(layer(np.float32([[2.0, 2.0]]))), [[2 / 3, 2 / 3]], rtol=1e-5)


def test_half_precision_does_not_overflow():
    """300² is beyond float16, whose largest number is 65,504."""
    layer = LocalResponseNormalization(dtype="float16")
    x = np.full((1, 2, 2, 6), 300, "float16")
    found = layer(x)
    assert keras.backend.standardize_dtype(found.dtype) == "float16"
    np.testing.assert_allclose(array(found).astype("float32"), slowly(x), rtol=2e-3)


def test_saved_and_loaded_with_its_settings(tmp_path, batch):
    source = keras.Input((4, 5, 6))
    model = keras.Model(source, LocalResponseNormalization(size=3, alpha=0.2, beta=0.6, bias=1.5, name="local")(source))
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    x = batch((4, 5, 6))
    np.testing.assert_array_equal(array(loaded(x)), array(model(x)))
    np.testing.assert_allclose(array(loaded(x)), slowly(x, 3, 0.2, 0.6, 1.5), rtol=1e-5)


def test_convolution_with_local_normalisation(batch):
    """It comes after the activation and leaves the bias where it is; without a batch size known."""
    learner = Groups(Group(Conv(norm="local"), filters=6))
    model = Recipe((4, 5, 3), None, learner, {"y": Classify(2)}).build(seed=0)
    names = [layer.name.removeprefix("learner-group1-block1-") for layer in model.layers]
    assert names[1:4] == ["conv", "activation", "norm"]
    assert model.get_layer("learner-group1-block1-conv").use_bias
    assert model.get_layer("learner-group1-block1-norm").output.shape == (None, 4, 5, 6)


@pytest.mark.parametrize("size", [0, 4, 2.5])
def test_a_window_that_has_no_middle_is_refused(size, refused):
    refused(lambda: LocalResponseNormalization(size=size), "local-response.size")
