"""The step of a small head, which is made a shorter way, beside Keras' own: equal to the bit."""

from __future__ import annotations

import numpy as np
import pytest

from lensmith import backend, train
from lensmith.backend import keras
from lensmith.train import compiled, optimizers


def small(units: int, **settings):
    start = keras.Input((6,))
    seeds = iter(range(9))
    x = start
    for width in (8, 5):
        kernel = keras.initializers.GlorotUniform(next(seeds))
        x = keras.layers.Dense(width, activation="relu", kernel_initializer=kernel, **settings)(x)
        x = keras.layers.Dropout(0.3, seed=next(seeds))(x)
    kernel = keras.initializers.GlorotUniform(next(seeds))
    return keras.Model(start, keras.layers.Dense(units, kernel_initializer=kernel)(x))


torch_only = pytest.mark.skipif(keras.config.backend() != "torch", reason="the short way is torch's")
SOFTMAX = ("sparse_categorical_crossentropy", ("accuracy", "sparse_categorical_crossentropy"), "softmax")
SIGMOID = ("binary_crossentropy", ("accuracy",), "sigmoid")


@torch_only
@pytest.mark.parametrize(
    ("units", "objective", "optimizer", "settings"),
    [
        (3, SOFTMAX, "adam", {}),  # all of it the short way
        (1, SIGMOID, "adam", {}),
        (3, SOFTMAX, {"name": "sgd", "momentum": 0.9}, {}),
        (3, SOFTMAX, {"name": "adam", "clipnorm": 0.01}, {}),  # the optimizer has more to do than to update
        (3, SOFTMAX, {"name": "adamw", "weight_decay": 0.1}, {}),
        (3, SOFTMAX, "adam", {"kernel_regularizer": "l2"}),  # the loss has more to it
        (3, SOFTMAX, "adam", {"kernel_constraint": "max_norm"}),
        (1, ("mse", ("mae",), "linear"), "adam", {}),
    ],
)
def test_a_step_gives_what_keras_own_gives(units, objective, optimizer, settings):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(5, 16, 6)).astype(np.float32)
    y = rng.integers(0, max(units, 2), (5, 16)).astype(np.int32)
    if objective[2] != "softmax":
        y = y[..., None]
    ours, theirs = small(units, **settings), small(units, **settings)
    objectives = {"label": train.Objective(*objective)}
    stage = train.Fit(optimizer=optimizer)
    made_ready, as_keras = (compiled.compiled(one, objectives, optimizers.build(stage)) for one in (ours, theirs))
    made_ready.build(x[0], y[0])
    as_keras.build(x[0], y[0])
    for one in (ours, theirs):
        one.reset_metrics()
    for i in range(5):
        mine = made_ready.floats(made_ready.train(x[i], y[i]))
        wanted = as_keras.floats(theirs.train_step((x[i], y[i])))
        assert mine == wanted
    for group in ("variables", "metrics_variables"):
        for a, b in zip(getattr(ours, group), getattr(theirs, group), strict=True):
            np.testing.assert_array_equal(keras.ops.convert_to_numpy(a), keras.ops.convert_to_numpy(b))
    for a, b in zip(ours.optimizer.variables, theirs.optimizer.variables, strict=True):
        np.testing.assert_array_equal(keras.ops.convert_to_numpy(a), keras.ops.convert_to_numpy(b))
    measured = made_ready.floats(made_ready.test(x[0], y[0]))
    assert measured == as_keras.floats(theirs.test_step((x[0], y[0])))


@torch_only
def test_a_small_step_is_made_on_one_thread_and_the_number_is_put_back():
    before, seen = backend.threads(), []

    def loss(y, outputs):
        seen.append(backend.threads())
        return keras.ops.mean(keras.ops.square(outputs - y))

    one = small(1)
    made_ready = compiled.compiled(one, {"label": train.Objective(loss)}, optimizers.build(train.Fit()))
    x, y = np.zeros((16, 6), np.float32), np.zeros((16, 1), np.float32)
    made_ready.build(x, y)
    seen.clear()
    backend.set_threads(2)
    made_ready.train(x, y)
    large = np.zeros((100_000, 6), np.float32)  # times 160 parameters
    made_ready.test(large, np.zeros((100_000, 1), np.float32))
    assert (seen, backend.threads()) == ([1, 2], 2)
    backend.set_threads(before)
