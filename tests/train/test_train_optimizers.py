"""Each optimizer by its name against its formulas, written out slowly in float64."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from lensmith.backend import keras
from lensmith.train import Constant, Cosine, Fit
from lensmith.train.optimizers import ALIASES, build, rate_at
from lensmith.train.schedules import Moment

pytestmark = pytest.mark.backends

RATE, STEPS = 0.1, 4
Rule = Callable[[dict[str, Any], np.ndarray, np.ndarray, int, float], np.ndarray]


def sgd(s: dict[str, Any], w: np.ndarray, g: np.ndarray, t: int, rate: float) -> np.ndarray:
    return w - rate * g


def momentum(s: dict[str, Any], w: np.ndarray, g: np.ndarray, t: int, rate: float) -> np.ndarray:
    s["v"] = 0.9 * s.get("v", 0) - rate * g
    return w + s["v"]


def nesterov(s: dict[str, Any], w: np.ndarray, g: np.ndarray, t: int, rate: float) -> np.ndarray:
    s["v"] = 0.9 * s.get("v", 0) - rate * g
    return w + 0.9 * s["v"] - rate * g  # the step from where the next one will look (Sutskever et al. 2013)


def adagrad(s: dict[str, Any], w: np.ndarray, g: np.ndarray, t: int, rate: float) -> np.ndarray:
    s["sum"] = s.get("sum", 0.1) + g**2
    return w - rate * g / np.sqrt(s["sum"] + 1e-7)


def adadelta(s: dict[str, Any], w: np.ndarray, g: np.ndarray, t: int, rate: float) -> np.ndarray:
    s["g"] = 0.95 * s.get("g", 0) + 0.05 * g**2
    step = np.sqrt(s.get("x", 0) + 1e-7) / np.sqrt(s["g"] + 1e-7) * g
    s["x"] = 0.95 * s.get("x", 0) + 0.05 * step**2
    return w - rate * step


def rmsprop(s: dict[str, Any], w: np.ndarray, g: np.ndarray, t: int, rate: float) -> np.ndarray:
    s["v"] = 0.9 * s.get("v", 0) + 0.1 * g**2
    return w - rate * g / np.sqrt(s["v"] + 1e-7)


def adam(s: dict[str, Any], w: np.ndarray, g: np.ndarray, t: int, rate: float) -> np.ndarray:
    s["m"] = 0.9 * s.get("m", 0) + 0.1 * g
    s["v"] = 0.999 * s.get("v", 0) + 0.001 * g**2
    # The order of Section 2's last remark, in which epsilon is not corrected.
    return w - rate * math.sqrt(1 - 0.999**t) / (1 - 0.9**t) * s["m"] / (np.sqrt(s["v"]) + 1e-7)


def amsgrad(s: dict[str, Any], w: np.ndarray, g: np.ndarray, t: int, rate: float) -> np.ndarray:
    s["m"] = 0.9 * s.get("m", 0) + 0.1 * g
    s["v"] = 0.999 * s.get("v", 0) + 0.001 * g**2
    s["top"] = np.maximum(s.get("top", 0), s["v"])
    return w - rate * math.sqrt(1 - 0.999**t) / (1 - 0.9**t) * s["m"] / (np.sqrt(s["top"]) + 1e-7)


def adamax(s: dict[str, Any], w: np.ndarray, g: np.ndarray, t: int, rate: float) -> np.ndarray:
    s["m"] = 0.9 * s.get("m", 0) + 0.1 * g
    s["u"] = np.maximum(0.999 * s.get("u", 0), np.abs(g))
    return w - rate / (1 - 0.9**t) * s["m"] / (s["u"] + 1e-7)


def nadam(s: dict[str, Any], w: np.ndarray, g: np.ndarray, t: int, rate: float) -> np.ndarray:
    # Dozat 2016, with its schedule of the momentum.
    now, later = (0.9 * (1 - 0.5 * 0.96**i) for i in (t, t + 1))
    s["product"] = s.get("product", 1.0) * now
    s["m"] = 0.9 * s.get("m", 0) + 0.1 * g
    s["v"] = 0.999 * s.get("v", 0) + 0.001 * g**2
    m = later * s["m"] / (1 - s["product"] * later) + (1 - now) * g / (1 - s["product"])
    return w - rate * m / (np.sqrt(s["v"] / (1 - 0.999**t)) + 1e-7)


RULES: dict[str, Rule] = {
    "sgd": sgd,
    "momentum": momentum,
    "nesterov": nesterov,
    "adagrad": adagrad,
    "adadelta": adadelta,
    "rmsprop": rmsprop,
    "adam": adam,
    "amsgrad": amsgrad,
    "adamax": adamax,
    "nadam": nadam,
}
# Large first, then small: there AMSGrad remembers what Adam forgets. And two weights, whose norms differ.
SHAPES = ((3, 2), (4,))


def gradients() -> list[list[np.ndarray]]:
    random = np.random.default_rng(3)
    return [[random.normal(size=shape) * size for shape in SHAPES] for size in (3.0, 1.0, 0.3, 0.1)]


def start() -> list[np.ndarray]:
    random = np.random.default_rng(4)
    return [random.normal(size=shape) for shape in SHAPES]


def stepped(optimizer: Any, rates: list[float], steps: list[list[np.ndarray]]) -> list[np.ndarray]:
    """The weights after these gradients, each with its rate set before, as the training loop does."""
    weights = [keras.Variable(value, dtype="float32") for value in start()]
    optimizer.build(weights)
    for rate, grads in zip(rates, steps, strict=True):
        optimizer.learning_rate = rate
        optimizer.apply([keras.ops.convert_to_tensor(grad, "float32") for grad in grads], weights)
    return [keras.ops.convert_to_numpy(weight.value) for weight in weights]


def slow(rule: Rule, rates: list[float], steps: list[list[np.ndarray]], decay: float = 0.0) -> list[np.ndarray]:
    found = []
    for index, value in enumerate(start()):
        state: dict[str, Any] = {}
        for t, (rate, grads) in enumerate(zip(rates, steps, strict=True), start=1):
            value = rule(state, value - decay * rate * value, grads[index], t, rate)
        found.append(value)
    return found


def same(found: list[np.ndarray], expected: list[np.ndarray]) -> None:
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one, other, rtol=2e-5, atol=2e-6)


@pytest.mark.parametrize("name", RULES)
def test_by_the_formulas(name: str) -> None:
    same(
        stepped(build(Fit(optimizer=name, rate=RATE)), [RATE] * STEPS, gradients()),
        slow(RULES[name], [RATE] * STEPS, gradients()),
    )


@pytest.mark.parametrize("name", ["sgd", "momentum", "adam", "nadam"])
def test_the_rate_of_each_step_is_the_one_it_was_given(name: str) -> None:
    stage = Fit(epochs=2, rate=RATE, schedule=Cosine(), warmup=0.75, optimizer=name)
    rates = [rate_at(stage, Moment(step, steps=2, epochs=2)) for step in range(STEPS)]
    assert rates == pytest.approx([0.1 * 2 / 3, 0.05 + 0.05 * math.sqrt(0.5), 0.05, 0.05 - 0.05 * math.sqrt(0.5)])
    same(stepped(build(stage), rates, gradients()), slow(RULES[name], rates, gradients()))


@pytest.mark.parametrize("name", ["sgd", "nesterov", "adam", "rmsprop"])
def test_weight_decay_is_apart_from_the_gradient(name: str) -> None:
    # Loshchilov and Hutter 2019: w loses rate * decay of itself, and no moment sees that.
    optimizer = build(Fit(optimizer={"name": name, "weight_decay": 0.2}, rate=RATE))
    same(stepped(optimizer, [RATE] * STEPS, gradients()), slow(RULES[name], [RATE] * STEPS, gradients(), decay=0.2))


def norm(*arrays: np.ndarray) -> float:
    return math.sqrt(sum(float((array**2).sum()) for array in arrays))


CLIPPING: dict[str, Callable[[list[np.ndarray]], list[np.ndarray]]] = {
    "clipnorm": lambda grads: [grad * min(1, 0.5 / norm(grad)) for grad in grads],  # each by its own norm
    "global_clipnorm": lambda grads: [grad * min(1, 0.5 / norm(*grads)) for grad in grads],  # all by one factor
    "clipvalue": lambda grads: [np.clip(grad, -0.5, 0.5) for grad in grads],  # each number
}


@pytest.mark.parametrize("name", ["sgd", "adam"])
@pytest.mark.parametrize("kind", CLIPPING)
def test_clipping(name: str, kind: str) -> None:
    clipped = [CLIPPING[kind](grads) for grads in gradients()]
    assert any((a != b).any() for a, b in zip(clipped[0], gradients()[0], strict=True)), "some are cut"
    np.testing.assert_array_equal(clipped[-1][1], gradients()[-1][1])  # and some are not
    optimizer = build(Fit(optimizer={"name": name, kind: 0.5}, rate=RATE))
    same(stepped(optimizer, [RATE] * STEPS, gradients()), slow(RULES[name], [RATE] * STEPS, clipped))


def test_accumulated_gradients_are_their_mean() -> None:
    given = gradients()
    means = [[(a + b) / 2 for a, b in zip(given[i], given[i + 1], strict=True)] for i in (0, 2)]
    optimizer = build(Fit(optimizer="adam", rate=RATE, accumulate=2))
    same(stepped(optimizer, [RATE] * STEPS, given), slow(adam, [RATE] * 2, means))


def test_averaged_weights() -> None:
    optimizer = build(Fit(optimizer="sgd", rate=RATE, average=0.75))
    stepped(optimizer, [RATE] * STEPS, gradients())
    expected: Any = None
    for steps in range(1, STEPS + 1):  # the first step's weights, then a quarter of each step's
        now = slow(sgd, [RATE] * steps, gradients()[:steps])
        expected = now if expected is None else [0.75 * a + 0.25 * b for a, b in zip(expected, now, strict=True)]
    same([keras.ops.convert_to_numpy(one.value) for one in optimizer._model_variables_moving_average], expected)
    assert optimizer.use_ema and optimizer.ema_overwrite_frequency is None
    assert not build(Fit()).use_ema


def test_a_setting_beside_a_name_changes_what_the_name_sets() -> None:
    assert build(Fit(optimizer={"name": "nesterov", "momentum": 0.5})).get_config()["momentum"] == 0.5
    assert build(Fit(optimizer={"name": "amsgrad", "beta_1": 0.8})).amsgrad
    assert set(ALIASES) == {"momentum", "nesterov", "amsgrad"}


@pytest.mark.parametrize("name", ["AdamW", "Adafactor", "Ftrl", "Lamb", "Lion", "Muon"])
def test_keras_other_optimizers_go_downhill(name: str) -> None:
    optimizer = build(Fit(optimizer=name, rate=0.01, schedule=Constant()))
    weight = keras.Variable(np.full((4, 3), 2.0), dtype="float32")
    optimizer.build([weight])
    for _ in range(3):  # the slope of w² / 2 is w
        optimizer.apply([keras.ops.convert_to_tensor(keras.ops.convert_to_numpy(weight.value))], [weight])
    assert (np.abs(keras.ops.convert_to_numpy(weight.value)) < 2.0).all()
