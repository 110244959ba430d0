"""Adam and L-BFGS on pixels: against hand-written ones, within bounds, stopped and gone on, and with no numbers."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest

from lensmith.backend import keras
from lensmith.stylize import optimizers
from lensmith.stylize.optimizers import Outcome, Point, Step

rng = np.random.default_rng(0)
START = rng.random((1, 3, 4, 3)).astype(np.float32)
GOAL = rng.uniform(-0.3, 1.3, START.shape).astype(np.float32)  # some of it outside of what pixels can be
SCALE = rng.uniform(0.5, 20, START.shape).astype(np.float32)


@dataclass
class Bowl:
    """What is known of a picture; the loss is the mean of scale · (pixels − goal)²."""

    loss: Any = None
    gradient: Any = None
    terms: Mapping[str, Any] = field(default_factory=dict)


def bowl(pixels: Any) -> Bowl:
    goal, scale = map(keras.ops.convert_to_tensor, (GOAL, SCALE))
    away = keras.ops.convert_to_tensor(pixels) - goal
    loss = keras.ops.mean(scale * away * away)
    return Bowl(loss, 2 * scale * away / GOAL.size, {"style": loss})


def array(tensor: Any) -> np.ndarray:
    return keras.ops.convert_to_numpy(tensor)


def point(pixels: np.ndarray = START) -> Point:
    return Point(keras.ops.convert_to_tensor(pixels))


class Told:
    """Notes all that is told, and stops at a number."""

    def __init__(self, stop_at: int | None = None) -> None:
        self.steps: list[Step] = []
        self.stop_at = stop_at

    def __call__(self, step: Step) -> bool:
        self.steps.append(step)
        return step.number == self.stop_at

    @property
    def losses(self) -> dict[int, float]:
        return {step.number: step.loss for step in self.steps}


def run(optimizer: str, begin: Point, steps: int, told: Told, evaluate: Any = bowl) -> Outcome:
    if optimizer == "adam":
        return optimizers.adam(evaluate, begin, steps, 0.03, told)
    return optimizers.lbfgs(evaluate, begin, steps, told)


@pytest.mark.backends
def test_adam_is_the_papers() -> None:
    """Algorithm 1 in numpy and float64, with the clipping of the pixels."""
    pixels, mean, square = START.astype(np.float64), 0.0, 0.0
    for t in range(1, 13):
        gradient = 2 * SCALE * (pixels - GOAL) / GOAL.size
        mean, square = 0.9 * mean + 0.1 * gradient, 0.999 * square + 0.001 * gradient**2
        pixels -= 0.03 * (mean / (1 - 0.9**t)) / (np.sqrt(square / (1 - 0.999**t)) + 1e-12)
        pixels = pixels.clip(0, 1)
    found = run("adam", point(), 12, Told())
    assert found.ended == "done"
    assert np.abs(array(found.pixels) - pixels).max() < 1e-5


@pytest.mark.backends
@pytest.mark.parametrize("optimizer", ["adam", "lbfgs"])
def test_the_best_picture_within_bounds_is_found(optimizer: str) -> None:
    """The best is the goal, clipped: the bowl has no mixed terms."""
    told = Told()
    found = run(optimizer, point(), 300, told)
    assert np.abs(array(found.pixels) - GOAL.clip(0, 1)).max() < 5e-3
    for step in told.steps:
        pixels = array(step.pixels)
        assert pixels.min() >= 0
        assert pixels.max() <= 1


def test_lbfgs_needs_fewer_steps() -> None:
    losses = {name: array(bowl(run(name, point(), 15, Told()).pixels).loss) for name in ("adam", "lbfgs")}
    assert losses["lbfgs"] < losses["adam"]


@pytest.mark.parametrize("optimizer", ["adam", "lbfgs"])
def test_each_picture_is_told_with_its_own_loss(optimizer: str) -> None:
    told = Told()
    found = run(optimizer, point(), 7, told)
    assert list(told.losses) == list(range(8))
    for step in told.steps:
        assert step.loss == pytest.approx(float(array(bowl(step.pixels).loss)), rel=1e-6)
    assert np.array_equal(array(found.pixels), array(told.steps[-1].pixels))
    assert told.losses[7] < told.losses[0]


@pytest.mark.backends
@pytest.mark.parametrize(("optimizer", "stop", "steps"), [("adam", 5, 20), ("lbfgs", 3, 9), ("lbfgs", 5, 17)])
def test_stopped_and_gone_on_is_equal_to_never_stopped(
    monkeypatch: pytest.MonkeyPatch, optimizer: str, stop: int, steps: int
) -> None:
    monkeypatch.setattr(optimizers, "ROUND", 4)
    whole = Told()
    expected = run(optimizer, point(), steps, whole)
    first = run(optimizer, point(), steps, Told(stop_at=stop))
    assert first.ended == "stopped"
    kept = first.point.converted(array).converted(keras.ops.convert_to_tensor)  # as through a file
    rest = Told()
    found = run(optimizer, kept, steps, rest)
    assert np.array_equal(array(found.pixels), array(expected.pixels))
    assert all(whole.losses[number] == loss for number, loss in rest.losses.items())


def test_inside_a_round_of_lbfgs_there_is_no_point_to_go_on_from(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(optimizers, "ROUND", 4)
    told = Told()
    run("lbfgs", point(), 10, told)
    assert sorted({step.number for step in told.steps if step.point is not None}) == [0, 4, 8, 10]


def wall(pixels: Any) -> Bowl:
    """No number where any pixel is over 0.97, though the goal is there: small steps come nearer than large ones."""
    found = bowl(pixels)
    if float(array(keras.ops.max(keras.ops.convert_to_tensor(pixels)))) > 0.97:
        found.loss = keras.ops.convert_to_tensor(np.float32(math.nan))
    return found


@pytest.mark.backends
@pytest.mark.parametrize("optimizer", ["adam", "lbfgs"])
def test_no_number_leads_back_and_then_ends_with_the_last_good_picture(optimizer: str) -> None:
    told = Told()
    found = run(optimizer, point(START * 0.9), 500, told, wall)
    assert found.ended == "not finite"
    last = array(found.pixels)
    assert np.isfinite(last).all()
    assert last.max() <= 0.97
    assert found.point.halved == optimizers.HALVINGS
    assert np.array_equal(last, array(told.steps[-1].pixels))
    numbers = [step.number for step in told.steps]
    assert optimizer == "lbfgs" or numbers == list(range(len(numbers))), "each picture once"


def test_a_smaller_step_may_help() -> None:
    """A hole that the first length falls into, and half of it does not."""
    seen: list[bool] = []

    def hole(pixels: Any) -> Bowl:
        found = bowl(pixels)
        away = float(np.abs(array(keras.ops.convert_to_tensor(pixels)) - START).max())
        seen.append(0.025 < away < 0.035)
        if seen[-1]:  # the first step of Adam is 0.03 long, everywhere
            found.gradient = found.gradient * math.inf
        return found

    told = Told()
    found = run("adam", point(), 1, told, hole)
    assert (found.ended, found.point.halved, found.point.step) == ("done", 1, 1)
    assert seen == [False, True, False]
    assert np.abs(array(found.pixels) - START).max() == pytest.approx(0.015, abs=1e-5)


@pytest.mark.parametrize("optimizer", ["adam", "lbfgs"])
def test_no_number_from_the_beginning(optimizer: str) -> None:
    told = Told()
    found = run(optimizer, point(np.ones_like(START)), 5, told, wall)
    assert (found.ended, told.steps) == ("not finite", [])


@pytest.mark.parametrize("optimizer", ["adam", "lbfgs"])
def test_where_all_steps_are_made_the_result_is_told(optimizer: str) -> None:
    """As when it was killed between the last step and the end."""
    done = run(optimizer, point(), 6, Told())
    told = Told()
    again = run(optimizer, done.point, 6, told)
    assert (again.ended, list(told.losses)) == ("done", [6])
    assert np.array_equal(array(again.pixels), array(done.pixels))


def test_where_nothing_is_to_gain_lbfgs_ends() -> None:
    found = run("lbfgs", point(GOAL.clip(0, 1)), 20, Told())
    assert found.ended == "nothing to gain"
    assert np.array_equal(array(found.pixels), GOAL.clip(0, 1))
