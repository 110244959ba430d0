"""Each schedule against numbers on paper, and what holds for all of them whatever the settings."""

from __future__ import annotations

import json
import math
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from train_digits import digits

from lensmith.backend import keras
from lensmith.train import Constant, Cosine, Exponential, Fit, Linear, Objective, Plateau, Step, Time, Warmup
from lensmith.train.compiled import compiled
from lensmith.train.monitor import Monitor, plateau_monitor
from lensmith.train.optimizers import build, rate_at
from lensmith.train.schedules import SCHEDULES, Memory, Moment, Ramp, to_dict

# Stages of 4 epochs of 2 steps: the rates of steps 0 to 7, and of the moment after the last.
HALF = [0.5, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5]
TABLE: list[tuple[Any, list[float]]] = [
    (Constant(), HALF),
    # lr -= decay, once an epoch: 0.5, 0.4, 0.3, 0.2, 0.1
    (Linear(0.1), [0.5, 0.5, 0.4, 0.4, 0.3, 0.3, 0.2, 0.2, 0.1]),
    (Linear(0.1, by="step"), [0.5, 0.4, 0.3, 0.2, 0.1, 0.0, 0.0, 0.0, 0.0]),  # not below 0
    # lr0 / (1 + decay i), of lr0 each time: compounded, the third would be 0.5 / 2 / 3
    (Time(1.0), [0.5, 0.5, 0.25, 0.25, 0.5 / 3, 0.5 / 3, 0.125, 0.125, 0.1]),
    (Time(1.0, by="step"), [0.5 / (1 + i) for i in range(9)]),
    (Step(0.1), [0.5, 0.5, 0.05, 0.05, 0.005, 0.005, 5e-4, 5e-4, 5e-5]),  # lr0 decay^i
    (Step(0.5, every=2), [0.5, 0.5, 0.5, 0.5, 0.25, 0.25, 0.25, 0.25, 0.125]),
    (Step(0.5, every=3, by="step"), [0.5, 0.5, 0.5, 0.25, 0.25, 0.25, 0.125, 0.125, 0.125]),
    (Step(0.0), [0.5, 0.5, 0, 0, 0, 0, 0, 0, 0]),
    # ln 2 a time is a halving
    (Exponential(math.log(2)), [0.5, 0.5, 0.25, 0.25, 0.125, 0.125, 0.0625, 0.0625, 0.03125]),
    (Exponential(math.log(2), by="step"), [0.5 / 2**i for i in range(9)]),
    # (1 + cos(pi i / 8)) / 4, of the initial rate; half of it in the middle
    (Cosine(), [(1 + math.cos(math.pi * i / 8)) / 4 for i in range(9)]),
    (Cosine(final=0.2), [0.1 + 0.2 * (1 + math.cos(math.pi * i / 8)) for i in range(9)]),  # 0.5 to 0.1
    # by epoch: cos 0, cos 45°, cos 90°, cos 135°, cos 180°
    (Cosine(by="epoch"), [0.5, 0.5, *2 * [0.25 * (1 + math.sqrt(0.5))], 0.25, 0.25, *2 * [0.25 * (1 - 0.5**0.5)], 0]),
    # two falls of four steps each: 1, 1/2 + sqrt(1/2)/2, 1/2, 1/2 - sqrt(1/2)/2, and again
    (Cosine(restarts=1), [*2 * [0.5, 0.42677669, 0.25, 0.07322330], 0.0]),
    (Cosine(restarts=1, shrink=0.5), [0.5, 0.42677669, 0.25, 0.07322330, 0.25, 0.21338835, 0.125, 0.03661165, 0]),
    (Cosine(restarts=3, by="epoch"), [*HALF[:8], 0.0]),  # each epoch is a fall, which begins at the top
    # falls of 1 : 3, that is of 2 and 6 steps: the second falls by 30° a step
    (Cosine(restarts=1, growth=3), [0.5, 0.25, 0.5, 0.46650635, 0.375, 0.25, 0.125, 0.03349365, 0]),
    # a jump never goes below what the falls end at
    (Cosine(final=0.6, restarts=1, shrink=0.1), [0.5, 0.4707106, 0.4, 0.3292893, 0.3, 0.3, 0.3, 0.3, 0.3]),
]


@pytest.mark.parametrize(("schedule", "expected"), TABLE, ids=[repr(schedule) for schedule, _ in TABLE])
def test_rates_on_paper(schedule: Any, expected: list[float]) -> None:
    found = [schedule.rate(0.5, Moment(step, steps=2, epochs=4)) for step in range(9)]
    assert found == pytest.approx(expected, abs=1e-7)
    assert all(type(rate) is float for rate in found)


@pytest.mark.parametrize(("schedule", "expected"), TABLE, ids=[repr(schedule) for schedule, _ in TABLE])
def test_with_a_warm_up_in_front(schedule: Any, expected: list[float]) -> None:
    # One and a half epochs are three steps: a third, two thirds, and from then on what the schedule says.
    stage = Fit(epochs=4, rate=0.5, schedule=schedule, warmup=1.5)
    shares = [1 / 3, 2 / 3, 1, 1, 1, 1, 1, 1, 1]
    found = [rate_at(stage, Moment(step, steps=2, epochs=4)) for step in range(9)]
    assert found == pytest.approx([one * share for one, share in zip(expected, shares, strict=True)], abs=1e-7)
    if isinstance(schedule, Constant):
        assert found[2:] == HALF[2:], "exactly the stage's rate, once the warm-up is over"


def test_a_part_of_an_epoch_can_be_the_warm_up() -> None:
    stage = Fit(epochs=2, rate=1.0, schedule=Constant(), warmup=0.5)
    assert [rate_at(stage, Moment(step, steps=8, epochs=2)) for step in range(5)] == [0.25, 0.5, 0.75, 1.0, 1.0]
    # Half of three steps: the first is at two thirds of the rate.
    assert [rate_at(stage, Moment(step, steps=3, epochs=2)) for step in range(2)] == [2 / 3, 1.0]


SHARE, AMOUNT, BY = st.floats(0, 1), st.floats(0, 10), st.sampled_from(["epoch", "step"])
ANY = st.one_of(
    st.just(Constant()),
    st.builds(Linear, AMOUNT, BY),
    st.builds(Time, AMOUNT, BY),
    st.builds(Step, SHARE, st.integers(1, 5), BY),
    st.builds(Exponential, AMOUNT, BY),
    st.builds(Cosine, SHARE, st.integers(0, 6), st.floats(1, 4), SHARE, BY),
    st.just(Plateau()),
)


@settings(max_examples=40, deadline=None)
@given(ANY, st.integers(1, 9), st.integers(1, 9), st.floats(0, 1), st.randoms(use_true_random=False))
def test_rates_follow_from_the_moment_alone(schedule, steps: int, epochs: int, warm: float, random) -> None:
    stage = Fit(epochs=epochs, rate=0.3, schedule=schedule, warmup=warm * epochs)
    moments = [Moment(step, steps, epochs) for step in range(steps * epochs + 3)]
    rates = {at: rate_at(stage, at) for at in moments}
    assert all(0 <= rate <= 0.3 * (1 + 1e-12) for rate in rates.values())
    random.shuffle(moments)
    assert all(rate_at(stage, at) == rates[at] for at in moments)
    falling = stage.warmup == 0 and not (isinstance(schedule, Cosine) and schedule.restarts)
    ordered = list(rates.values())
    assert not falling or all(b <= a + 1e-12 for a, b in pairwise(ordered))


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 12), st.integers(2, 30), st.sampled_from([1, 2, 3]))
def test_restarts_jump_at_the_end_of_each_fall(restarts: int, unit: int, growth: int) -> None:
    restarts = restarts if growth == 1 else min(restarts, 4)
    lengths = [unit * growth**fall for fall in range(restarts + 1)]
    ends = [sum(lengths[: fall + 1]) for fall in range(restarts + 1)]
    cosine = Cosine(restarts=restarts, growth=growth, final=0.1)
    rates = [cosine.rate(0.7, Moment(step, steps=ends[-1], epochs=1)) for step in range(ends[-1] + 1)]
    top = [step for step, rate in enumerate(rates) if rate == 0.7]
    assert top == [0, *ends[:-1]], "at the very step, not one late by rounding"
    assert rates[-1] == pytest.approx(0.07)


def test_a_schedule_as_plain_values_names_its_class() -> None:
    for name, kind in SCHEDULES.items():
        schedule = kind(0.1) if name in ("linear", "time", "exponential") else kind()
        values = to_dict(schedule)
        assert values.pop("name") == name and kind(**values) == schedule
    assert to_dict(Ramp()) == {"name": "ramp", "tolerance": 0.3, "most": 3}


def plateau(values: list[float | None], schedule: Plateau) -> list[float]:
    """The rate of each epoch, and of the one after the last, when the values were measured."""
    memory: Memory = {}
    rates, monitor = [], Monitor("loss", "min")
    for epoch, value in enumerate(values):
        rates.append(schedule.rate(1.0, Moment(epoch, 1, len(values)), memory))
        improved = monitor.improves(value, on=memory.get("best"), by=schedule.min_delta)
        memory = schedule.after_epoch(memory, value, improved=improved)
        assert json.loads(json.dumps(memory)) == memory, "a checkpoint holds it"
    return [*rates, schedule.rate(1.0, Moment(len(values), 1, len(values)), memory)]


PLATEAUS = [
    (Plateau(patience=2), [3, 2, 1, 0.5], [1, 1, 1, 1, 1]),  # all is well
    (Plateau(patience=2), [3, 3, 3, 3, 3], [1, 1, 1, 0.5, 0.5, 0.25]),  # cut after the 3rd and the 5th
    (Plateau(patience=1), [3, 3, 2, 2], [1, 1, 0.5, 0.5, 0.25]),  # an improvement begins the waiting anew
    (Plateau(patience=1, min_delta=0.5), [3, 2.8, 2.6, 2.4], [1, 1, 0.5, 0.25, 0.25]),  # 2.4 is 0.6 below the best, 3
    (Plateau(patience=1, factor=0.1, floor=0.05), [3, 3, 3, 3], [1, 1, 0.1, 0.05, 0.05]),
    (Plateau(patience=1), [None, 3, None, 2], [1, 0.5, 0.5, 0.25, 0.25]),  # what is no number is no improvement
]


@pytest.mark.parametrize(("schedule", "values", "expected"), PLATEAUS)
def test_a_plateau_cuts_the_rate(schedule: Plateau, values: list[float | None], expected: list[float]) -> None:
    assert plateau(values, schedule) == pytest.approx(expected)


def test_a_rate_that_was_cut_to_nothing_stays_there() -> None:
    memory = {"share": 0.0, "waited": 0.0, "best": 1.0}
    assert Plateau().rate(0.5, Moment(9, 1, 9), memory) == 0.0


def test_what_a_plateau_looks_at() -> None:
    ways: Any = {"loss": "min", "accuracy": "max"}
    assert plateau_monitor(Fit(), ways, validated=True) is None
    stage = Fit(schedule=Plateau(), monitor="val_accuracy")
    assert plateau_monitor(stage, ways, validated=True) == Monitor("val_accuracy", "max")
    stage = Fit(schedule=Plateau(monitor="val_loss"), monitor="accuracy")
    assert plateau_monitor(stage, ways, validated=False) == Monitor("loss", "min")


def ramped(ramp: Ramp, losses: Any, *, steps: int, epochs: int) -> tuple[list[float], Memory]:
    """The rates of a warm-up to 1.0 in which these losses are met."""
    rates: list[float] = []
    memory: Memory = {}
    epoch = 0
    while epoch < epochs or ramp.unfinished(epoch, epochs, memory):
        for _ in range(steps):
            at = Moment(len(rates), steps, epochs)
            rates.append(ramp.rate(1.0, at, memory))
            memory = ramp.after_step(memory, at, float(losses(len(rates) - 1, rates[-1])))
            assert json.loads(json.dumps(memory)) == memory, "a checkpoint holds it"
        epoch += 1
    return rates, memory


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 40), st.integers(1, 4), st.integers(0, 10**6))
def test_a_ramp_reaches_the_target_with_its_last_step(steps: int, epochs: int, seed: int) -> None:
    random = np.random.default_rng(seed)
    total = steps * epochs
    rates, memory = ramped(
        Ramp(), lambda i, rate: 2 - i / total + random.uniform(-0.1, 0.1), steps=steps, epochs=epochs
    )
    assert rates == [(i + 1) / total for i in range(total)], "exactly, in a line"
    assert rates[-1] == 1.0 and not Ramp().unfinished(epochs, epochs, memory)


NOISES: list[tuple[str, Any]] = [
    ("an even loss", lambda i, random: 2.3),
    ("no loss at all", lambda i, random: 0.0),
    ("batches that differ by half", lambda i, random: 2.3 * random.uniform(0.5, 1.5)),
    ("batches with long tails", lambda i, random: random.exponential(1.0)),
    (
        "a loss that falls to almost nothing, with noise",
        lambda i, random: 2.3 * math.exp(-i / 20) + random.exponential(0.1),
    ),
    ("a hard batch now and then", lambda i, random: 1.0 + 3.0 * (random.random() < 0.05)),
    ("a loss below zero", lambda i, random: -5 - i / 50 + random.normal()),
]


@pytest.mark.parametrize(("name", "loss"), NOISES, ids=[name for name, _ in NOISES])
def test_the_noise_of_batches_does_not_slow_it(name: str, loss: Any) -> None:
    slowed = []
    for seed in range(10):
        random = np.random.default_rng(seed)
        _, memory = ramped(Ramp(), lambda i, rate, random=random: loss(i, random), steps=100, epochs=2)
        slowed.append(memory["slowed"])
    assert sum(slowed) <= 1, f"{slowed}: at most once in ten warm-ups of 200 steps"


def test_a_loss_that_diverges_slows_it_and_lets_the_rate_fall() -> None:
    # Above a rate of 0.3 the loss grows by a fifth a step, below it falls as fast.
    loss = [1.0]

    def next_loss(i: int, rate: float) -> float:
        loss.append(max(loss[-1] * (1.2 if rate > 0.3 and i < 100 else 1 / 1.2), 0.5))
        return loss[-1]

    rates, memory = ramped(Ramp(), next_loss, steps=100, epochs=1)
    falls = [i for i in range(1, len(rates)) if rates[i] < rates[i - 1]]
    assert falls and memory["slowed"] == len(falls)
    for fall in falls:
        before, after = rates[fall - 1], rates[fall]
        assert after == pytest.approx(before / 2, rel=0.1), "half of what it had reached"
        assert before > 0.3
    pace = [b - a for a, b in pairwise(rates) if b > a]
    assert pace[0] == pytest.approx(0.01) and min(pace[: falls[0] + 3]) == pytest.approx(0.005)
    assert max(loss) < 10, "it is caught early"
    assert len(rates) > 100, "and so it lasts longer"


def test_it_lasts_longer_but_never_longer_than_it_may() -> None:
    # It diverges once, at half of the way: from a quarter of the way it goes on at half the speed.
    def once(i: int, rate: float) -> float:
        return 1.0 if i != 50 else 100.0

    rates, memory = ramped(Ramp(), once, steps=100, epochs=1)
    assert memory["slowed"] == 1 and len(rates) == 200 and rates[-1] == 1.0 and max(rates[:51]) == 0.51
    assert rates[51] == pytest.approx(0.255 + 0.005)
    assert rates.index(1.0) == 51 + 149 - 1, "74.5 hundredths are left, at half a hundredth a step"
    for most in (1, 2, 5):
        rates, memory = ramped(Ramp(most=most), lambda i, rate: 2.0**i, steps=20, epochs=2)
        assert len(rates) == 20 * 2 * most and rates[-1] < 1.0


def test_a_warm_up_is_a_stage_that_ramps_and_keeps_its_last_weights() -> None:
    stage = Warmup(epochs=2, rate=0.1, optimizer="sgd", freeze=("hidden",), steps=7).to_fit()
    assert (stage.schedule, stage.restore_best, stage.rate, stage.epochs) == (Ramp(), False, 0.1, 2)
    assert (stage.optimizer, stage.freeze, stage.steps) == ("sgd", ("hidden",), 7)


class Unslowed(Ramp):
    """A ramp that does not look at the loss."""

    def after_step(self, memory: Memory, at: Moment, loss: float) -> Memory:
        return Ramp.after_step(self, memory, at, 1.0)


def warmed(ramp: Ramp, rate: float, *, epochs: int = 2, size: int = 8) -> tuple[list[float], Memory]:
    """The losses of a warm-up on digits, to the end or to the first that is not finite."""
    start = keras.Input((64,))
    x = keras.layers.Dense(32, "relu", kernel_initializer=keras.initializers.HeNormal(0))(start)
    model = keras.Model(start, keras.layers.Dense(10, kernel_initializer=keras.initializers.GlorotUniform(1))(x))
    stage = Fit(epochs=epochs, rate=rate, optimizer="sgd", schedule=ramp)
    made = compiled(model, {"digit": Objective("mse")}, build(stage))
    batches = digits(0, 320, size=size)
    losses: list[float] = []
    memory: Memory = {}
    epoch = 0
    while epoch < epochs or ramp.unfinished(epoch, epochs, memory):
        for x, y in batches.epoch(epoch):
            made.build(x, np.eye(10, dtype="float32")[y])
            model.reset_metrics()
            at = Moment(len(losses), len(batches), epochs)
            model.optimizer.learning_rate = rate_at(stage, at, memory)
            losses.append(made.floats(made.train(x, np.eye(10, dtype="float32")[y]))["loss"])
            if not math.isfinite(losses[-1]):
                return losses, memory
            memory = ramp.after_step(memory, at, losses[-1])
        epoch += 1
    return losses, memory


def test_a_real_network_outlives_a_target_that_is_far_too_high() -> None:
    # 64-32-10 on digits with the squared error: rates above some 5 diverge.
    plain, _ = warmed(Unslowed(), 100.0)
    assert not math.isfinite(plain[-1]) and len(plain) < 80
    slowed, memory = warmed(Ramp(), 100.0)
    assert math.isfinite(slowed[-1]) and len(slowed) > 2 * len(plain) and (memory["slowed"] or 0) >= 2
    assert np.mean(slowed[-20:]) < np.mean(slowed[:5]), "and learns"
    assert warmed(Ramp(), 100.0)[0] == slowed, "the same again"


def test_a_real_network_at_a_sound_rate_is_not_slowed() -> None:
    losses, memory = warmed(Ramp(), 0.5, epochs=1)
    assert memory["slowed"] == 0 and memory["progress"] == 1.0 and len(losses) == 40
