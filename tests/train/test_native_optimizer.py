"""The optimizers made for torch against Keras' own: the same weights, slots and names, and what is saved."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from lensmith.backend import keras, layers
from lensmith.backend.optimizers import fastest
from lensmith.train import Fit, optimizers

if keras.config.backend() != "torch":
    pytest.skip("these optimizers are torch's", allow_module_level=True)

SHAPES = ((3, 3, 4, 8), (8,), (8, 5))
COSINE = {"class_name": "CosineDecay", "config": {"initial_learning_rate": 0.01, "decay_steps": 10}}


def numbers(variables: Any) -> list[np.ndarray]:
    return [np.array(keras.ops.convert_to_numpy(variable.value)) for variable in variables]


def trained(optimizer: Any, steps: int) -> list[np.ndarray]:
    """Weights after so many steps down gradients that are the same for all, then the slots."""
    random = np.random.default_rng(0)
    weights = [keras.Variable(random.normal(size=shape), dtype="float32", name=f"w{len(shape)}") for shape in SHAPES]
    optimizer.build(weights)
    for _ in range(steps):
        grads = [keras.ops.convert_to_tensor(random.normal(size=shape), "float32") for shape in SHAPES]
        optimizer.apply(grads, weights)
    return numbers((*weights, *optimizer.variables))


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("Adam", {}),
        ("Adam", {"amsgrad": True, "beta_1": 0.8, "epsilon": 1e-3}),  # another slot
        ("Adam", {"learning_rate": COSINE}),  # a schedule
        ("Adam", {"clipnorm": 0.5, "weight_decay": 0.01}),  # Keras' own work before the kernel
        ("Adam", {"use_ema": True, "ema_overwrite_frequency": 3}),  # and after it
        ("Adam", {"gradient_accumulation_steps": 2}),  # the kernel runs every other step
        ("AdamW", {}),
        ("SGD", {"momentum": 0.9, "nesterov": True}),  # Keras' own, with other slots
        ("RMSprop", {}),
    ],
)
def test_the_weights_and_slots_are_keras_own(name: str, settings: dict[str, Any]) -> None:
    plain = getattr(keras.optimizers, name)
    settings = {"learning_rate": 0.01} | settings
    if isinstance(settings["learning_rate"], dict):
        settings["learning_rate"] = keras.optimizers.schedules.deserialize(settings["learning_rate"])
    native, known = fastest(plain)(**settings), plain(**settings)
    for found, expected in zip(trained(native, 7), trained(known, 7), strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-6)
    assert [v.name for v in native.variables] == [v.name for v in known.variables]


def test_the_first_step_of_adam_is_the_rate_whatever_the_gradient() -> None:
    # m = 0.1 g and v = 0.001 g², corrected to g and g²: the step is rate · g / |g|.
    weight = keras.Variable([1.0, 1.0, 1.0], name="w")
    optimizer = fastest(keras.optimizers.Adam)(learning_rate=0.5)
    optimizer.build([weight])
    optimizer.apply([keras.ops.convert_to_tensor([1.0, -3.0, 100.0])], [weight])
    np.testing.assert_allclose(keras.ops.convert_to_numpy(weight.value), [0.5, 1.5, 0.5], rtol=1e-4)


def test_a_resumed_optimizer_goes_on_to_the_same_bits() -> None:
    whole = trained(fastest(keras.optimizers.Adam)(), 6)
    random = np.random.default_rng(0)
    weights = [keras.Variable(random.normal(size=shape), dtype="float32") for shape in SHAPES]
    optimizer = fastest(keras.optimizers.Adam)()
    optimizer.build(weights)
    for step in range(6):
        if step == 3:  # everything there is, through arrays, into new ones
            state = numbers(optimizer.variables)
            weights = [keras.Variable(value) for value in numbers(weights)]
            optimizer = fastest(keras.optimizers.Adam)()
            optimizer.build(weights)
            for variable, value in zip(optimizer.variables, state, strict=True):
                variable.assign(value)
        optimizer.apply([keras.ops.convert_to_tensor(random.normal(size=s), "float32") for s in SHAPES], weights)
    for found, expected in zip(numbers((*weights, *optimizer.variables)), whole, strict=True):
        np.testing.assert_array_equal(found, expected)


def test_slots_lie_in_memory_as_the_kernels_do() -> None:
    given = keras.Input((8, 8, 3))
    model = keras.Model(given, layers.Conv2D(4, 3)(given))
    optimizer = optimizers.build(Fit(optimizer={"name": "sgd", "momentum": 0.9}))
    optimizer.build(model.trainable_variables)
    kernel = model.trainable_variables[0]
    slot = next(variable for variable in optimizer.variables if variable.shape == kernel.shape)
    assert slot.value.stride() == kernel.value.stride() != (36, 12, 4, 1)


@pytest.mark.parametrize("name", ["Adam", "AdamW", "SGD"])
def test_an_optimizer_passes_for_keras_own(name: str) -> None:
    plain = getattr(keras.optimizers, name)
    native = fastest(plain)(learning_rate=0.25, name="made")
    assert isinstance(native, plain)
    config = keras.saving.serialize_keras_object(native)
    assert (config["module"], config["class_name"]) == ("keras.optimizers", name)
    assert native.get_config() == plain(learning_rate=0.25, name="made").get_config()
    assert fastest(plain) is fastest(plain)


def test_a_stage_gets_the_fastest() -> None:
    assert type(optimizers.build(Fit(optimizer="adam"))) is fastest(keras.optimizers.Adam)
