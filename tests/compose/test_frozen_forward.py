"""Kernels that are laid out once where only pixels are differentiated: the same values and derivatives."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

from lensmith.backend import derivative, keras, layers
from lensmith.compose import zoo

pytestmark = pytest.mark.skipif(keras.config.backend() != "torch", reason="a matter of torch alone")


@pytest.fixture(autouse=True)
def seeded() -> None:
    """Where a sum is all but zero, its rounding decides whether relu lets it through; here none is so near."""
    keras.utils.set_random_seed(0)


def images(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).normal(size=shape).astype(np.float32)


@pytest.fixture
def frozen() -> Iterator[Any]:
    from lensmith.backend import frozen

    if not frozen._works():
        pytest.skip("this torch has no such operations")
    yield frozen


def vgg() -> keras.Model:
    """As VGG is built: a bias and a relu in each convolution, and pools."""
    x = image = keras.Input((16, 16, 3))
    for channels in (8, 16):
        for _ in range(2):
            x = layers.Conv2D(channels, 3, padding="same", activation="relu", bias_initializer="random_normal")(x)
        x = layers.MaxPooling2D(2)(x)
    return keras.Model(image, {"maps": x, "mean": layers.GlobalAveragePooling2D()(x)})


def resnet() -> keras.Model:
    """Kernels of one pixel, strides, no bias, norms, sums and activations apart."""
    image = keras.Input((16, 16, 3))
    x = layers.ReLU()(layers.Conv2D(16, 7, strides=2, padding="same", use_bias=False)(image))
    for strides in (1, 2):
        y = layers.Conv2D(8, 1, use_bias=False)(x)
        y = layers.ReLU()(layers.BatchNormalization()(y))
        y = layers.ZeroPadding2D(1)(y)
        y = layers.BatchNormalization()(layers.Conv2D(8, 3, strides=strides, use_bias=False)(y))
        y = layers.Conv2D(16, 1)(layers.ReLU()(y))
        x = layers.ReLU()(layers.Add()([layers.Conv2D(16, 1, strides=strides)(x), y]))
    return keras.Model(image, {"maps": x})


def odd() -> keras.Model:
    """What is seldom: dilation, even and long kernels, groups, other activations, one layer twice, a model inside."""
    image = keras.Input((16, 16, 4))
    x = layers.Conv2D(8, 3, dilation_rate=2, padding="same", activation="swish")(image)
    x = layers.Conv2D(8, (1, 4), padding="same", activation="relu")(x)
    x = layers.ReLU(max_value=6)(layers.Conv2D(8, 3, groups=2, padding="same")(x))
    x = layers.ReLU(max_value=6)(layers.Conv2D(8, (5, 1))(x))
    x = layers.ReLU()(layers.Conv2D(8, 2, activation="relu")(x))
    twice = layers.Conv2D(8, 3, padding="same")
    x = twice(layers.ReLU()(twice(x)))
    inside = keras.Sequential([keras.Input(x.shape[1:]), layers.Conv2D(4, 3, activation="relu")])
    return keras.Model(image, {"maps": inside(x), "before": x})


def compact() -> keras.Model:
    return zoo.get("compact").build(seed=0)


def run_of(model: keras.Model) -> derivative.Differentiated:
    """The sum of what each output is times a fixed weight at each place."""
    weights = np.random.default_rng(1)

    def function(x: Any) -> tuple[Any, Any]:
        found = keras.tree.flatten(derivative.call(model, x))
        for place, each in enumerate(found):
            if place not in kept:
                kept[place] = keras.ops.convert_to_tensor(weights.normal(size=each.shape[1:]).astype(np.float32))
        return sum(
            keras.ops.sum(kept[place] * keras.ops.cast(each, "float32")) for place, each in enumerate(found)
        ), found

    kept: dict[int, Any] = {}
    return derivative.differentiated(function, model)


def arrays(found: Any) -> list[np.ndarray]:
    return [keras.ops.convert_to_numpy(each) for each in keras.tree.flatten(found)]


def assert_same(found: Any, expected: Any) -> None:
    """Maps and derivatives within 1e-5 of the largest; their weighted sum is smaller than what it adds."""
    for one, other in zip(arrays(found[1:]), arrays(expected[1:]), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-5 * np.abs(other).max())
    np.testing.assert_allclose(*arrays([found[0], expected[0]]), rtol=1e-3)


@pytest.mark.parametrize("build", [vgg, resnet, odd, compact])
@pytest.mark.parametrize("batch", [1, 3])
def test_values_and_derivatives_are_the_usual_ones(
    build: Callable[[], keras.Model], batch: int, frozen: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, counted = build(), count(monkeypatch, frozen)
    x = images(batch, *model.input_shape[1:])
    run = run_of(model)
    made = [run(x), run(x)]
    assert counted
    monkeypatch.setattr(frozen, "_works", lambda: False)
    usual = run_of(model)(x)
    for found in made:
        assert_same(found, usual)
    assert np.abs(arrays(usual[2])).max() > 0


def count(monkeypatch: pytest.MonkeyPatch, frozen: Any) -> list[int]:
    """Grows with each kernel that is laid out."""
    counted: list[int] = []
    laid_out = frozen._laid_out
    monkeypatch.setattr(frozen, "_laid_out", lambda *args: (counted.append(1), laid_out(*args))[1])
    return counted


def test_kernels_are_laid_out_once_for_each_direction(frozen: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    model, counted = vgg(), count(monkeypatch, frozen)
    run = run_of(model)
    for batch in (1, 1, 2):
        run(images(batch, 16, 16, 3))
    assert len(counted) == 2 * 4


CHANGES: dict[str, Callable[[Any], object]] = {
    "assigned": lambda variable: variable.assign(variable * 0.5),  # as Keras loads weights
    "in place": lambda variable: variable.value.detach().mul_(0.5),  # as torch's optimisers do
    "another tensor": lambda variable: setattr(variable, "_value", variable.value.detach() * 0.5),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_changed_weights_are_noticed(
    change: Callable[[Any], object], frozen: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = vgg()
    run, x = run_of(model), images(1, 16, 16, 3)
    before = run(x)
    for layer in model.layers:
        if isinstance(layer, keras.layers.Conv2D):
            for variable in (layer._kernel, layer.bias):
                change(variable)
    after = run(x)
    monkeypatch.setattr(frozen, "_works", lambda: False)
    assert_same(after, run_of(model)(x))
    assert abs(float(after[0]) - float(before[0])) > 1e-3 * abs(float(before[0]))


def test_training_through_the_same_model_is_noticed(frozen: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from lensmith.backend import steps

    image = keras.Input((8, 8, 3))
    x = layers.GlobalAveragePooling2D()(layers.Conv2D(8, 3, activation="relu")(image))
    model = keras.Model(image, layers.Dense(2)(x))
    model.compile(keras.optimizers.SGD(0.5), keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    run, x = run_of(model), images(4, 8, 8, 3)
    before, train = run(x), steps.steps(model)[0]
    for _ in range(3):
        train(x, np.array([0, 1, 0, 1]))
    after = run(x)
    assert np.abs(arrays(after[2])[0] - arrays(before[2])[0]).max() > 0
    monkeypatch.setattr(frozen, "_works", lambda: False)
    assert_same(after, run_of(model)(x))


@pytest.mark.parametrize("policy", ["mixed_bfloat16", "bfloat16"])
def test_other_types_go_the_usual_way(policy: str, frozen: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    image = keras.Input((8, 8, 3))
    layer = layers.Conv2D(8, 3, padding="same", activation="relu", dtype=keras.DTypePolicy(policy))
    model, counted = keras.Model(image, layer(image)), count(monkeypatch, frozen)
    x = images(1, 8, 8, 3)
    found = run_of(model)(x)
    assert np.abs(arrays(found[2])).max() > 0
    assert not counted


def test_outside_weights_keep_their_derivatives(frozen: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only inside of `differentiated` are weights taken for constants."""
    model, counted = vgg(), count(monkeypatch, frozen)
    keras.ops.sum(derivative.call(model, images(1, 16, 16, 3))["maps"]).backward()
    assert model.layers[1]._kernel.value.grad is not None
    assert not counted


def test_where_torch_has_no_such_operations_it_is_done_without(frozen: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(*_: Any) -> Any:
        raise AttributeError("no such operation")

    model, x = vgg(), images(1, 16, 16, 3)
    expected = run_of(model)(x)
    frozen._works.cache_clear()
    monkeypatch.setattr(frozen, "_convolved", missing)
    try:
        assert_same(run_of(model)(x), expected)
    finally:
        frozen._works.cache_clear()
