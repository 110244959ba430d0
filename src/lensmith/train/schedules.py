"""Schedules: the learning rate of each step, from the stage's own rate.

A schedule is a pure function of the moment, so that a resumed run has the same rates. The two that go by what was
measured, :class:`Plateau` and :class:`Ramp`, keep what they remember in a mapping of numbers, which is part of each
checkpoint: they are given it, and give a new one.

>>> from lensmith.train.schedules import Cosine, Moment
>>> [round(Cosine().rate(0.1, Moment(step, steps=2, epochs=2)), 3) for step in range(5)]
[0.1, 0.085, 0.05, 0.015, 0.0]
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Literal

from lensmith import check
from lensmith.train.moment import BYS, NOTHING, By, Memory, Moment, recalled
from lensmith.train.ramp import Ramp

__all__ = [
    "BYS",
    "MODES",
    "NOTHING",
    "SCHEDULES",
    "By",
    "Constant",
    "Cosine",
    "Exponential",
    "Linear",
    "Memory",
    "Mode",
    "Moment",
    "Plateau",
    "Ramp",
    "Schedule",
    "Step",
    "Time",
    "to_dict",
]

Mode = Literal["auto", "min", "max"]
MODES: tuple[Mode, ...] = ("auto", "min", "max")


def _check_decay(decay: float, by: By) -> None:
    check.between("schedule.decay", decay, 0.0, math.inf)
    check.one_of("schedule.by", by, BYS)


@dataclass(frozen=True, slots=True)
class Constant:
    """The rate stays what it is."""

    def rate(self, initial: float, at: Moment, memory: Memory = NOTHING) -> float:
        return initial


@dataclass(frozen=True, slots=True)
class Linear:
    """The rate falls by a fixed amount each time: ``initial - decay * i``, and not below 0.

    Args:
        decay: what is taken off, in units of the rate.
        by: whether ``i`` counts epochs or steps.
    """

    decay: float
    by: By = "epoch"

    def __post_init__(self) -> None:
        _check_decay(self.decay, self.by)

    def rate(self, initial: float, at: Moment, memory: Memory = NOTHING) -> float:
        return max(initial - self.decay * at.count(self.by), 0.0)


@dataclass(frozen=True, slots=True)
class Time:
    """The rate falls with time: ``initial / (1 + decay * i)``, not compounded. See :class:`Linear`."""

    decay: float
    by: By = "epoch"

    def __post_init__(self) -> None:
        _check_decay(self.decay, self.by)

    def rate(self, initial: float, at: Moment, memory: Memory = NOTHING) -> float:
        return initial / (1.0 + self.decay * at.count(self.by))


@dataclass(frozen=True, slots=True)
class Step:
    """The rate falls in steps: ``initial * decay ** (i // every)``.

    Args:
        decay: what the rate is multiplied with at each step down, 0 to 1.
        every: epochs, or steps of training, from one to the next.
        by: whether ``every`` counts epochs or steps.
    """

    decay: float = 0.5
    every: int = 1
    by: By = "epoch"

    def __post_init__(self) -> None:
        check.between("schedule.decay", self.decay, 0.0, 1.0)
        check.positive("schedule.every", self.every)
        check.one_of("schedule.by", self.by, BYS)

    def rate(self, initial: float, at: Moment, memory: Memory = NOTHING) -> float:
        return initial * self.decay ** (at.count(self.by) // self.every)


@dataclass(frozen=True, slots=True)
class Exponential:
    """The rate falls exponentially: ``initial * exp(-decay * i)``. See :class:`Linear`."""

    decay: float
    by: By = "epoch"

    def __post_init__(self) -> None:
        _check_decay(self.decay, self.by)

    def rate(self, initial: float, at: Moment, memory: Memory = NOTHING) -> float:
        return initial * math.exp(-self.decay * at.count(self.by))


@dataclass(frozen=True, slots=True)
class Cosine:
    """The rate falls along half a cosine over the stage, from its rate to a share of it; if wanted, again and again.

    Args:
        final: the rate at the end of each fall, as a share of the initial rate, 0 to 1.
        restarts: how often the rate jumps up again before the stage's end, 0 to 100.
        growth: how many times as long as the one before each fall lasts, 1 to 100.
        shrink: how high the rate jumps, as a share of where the fall before began, 0 to 1; never below ``final``.
        by: whether the rate changes from epoch to epoch or from step to step.

    References:
        Loshchilov and Hutter, SGDR, 2016, equation 5.
    """

    final: float = 0.0
    restarts: int = 0
    growth: float = 1.0
    shrink: float = 1.0
    by: By = "step"

    def __post_init__(self) -> None:
        check.between("schedule.final", self.final, 0.0, 1.0)
        _whole("schedule.restarts", self.restarts, 100)
        check.between("schedule.growth", self.growth, 1.0, 100.0)
        check.between("schedule.shrink", self.shrink, 0.0, 1.0)
        check.one_of("schedule.by", self.by, BYS)

    def rate(self, initial: float, at: Moment, memory: Memory = NOTHING) -> float:
        total = at.epochs if self.by == "epoch" else at.steps * at.epochs
        fall, done = self._place(min(at.count(self.by), total), total)
        high = max(self.shrink**fall, self.final)
        return initial * (self.final + (high - self.final) * (1 + math.cos(math.pi * done)) / 2)

    def _place(self, count: int, total: int) -> tuple[int, float]:
        """Which fall it is, from 0, and what part of it is done."""
        lengths = [self.growth**fall for fall in range(self.restarts + 1)]
        # Whole numbers stay whole in these units, so that each fall begins at its step and not one late.
        before, place = 0.0, count * sum(lengths)
        for fall, length in enumerate(lengths[:-1]):
            if place < before + length * total:
                return fall, (place - before) / (length * total)
            before += length * total
        return self.restarts, min((place - before) / (lengths[-1] * total), 1.0)


@dataclass(frozen=True, slots=True)
class Plateau:
    """The rate is cut whenever a value has not improved for some epochs.

    Args:
        factor: what the rate is multiplied with, above 0 and below 1.
        patience: epochs without improvement before that, at least 1.
        monitor: a name in the history's rows; None takes the stage's own.
        min_delta: a change smaller than this is no improvement.
        mode: whether less (``min``) or more (``max``) is better; ``auto`` goes by the metric.
        floor: the rate does not fall below this share of the initial one.
    """

    factor: float = 0.5
    patience: int = 3
    monitor: str | None = None
    min_delta: float = 0.0
    mode: Mode = "auto"
    floor: float = 0.0

    def __post_init__(self) -> None:
        if check.between("schedule.factor", self.factor, 0.0, 1.0) in (0.0, 1.0):
            raise check.SettingError(check.sentence("schedule.factor", "a number between 0 and 1", self.factor))
        check.positive("schedule.patience", self.patience)
        check.between("schedule.min_delta", self.min_delta, 0.0, math.inf)
        check.one_of("schedule.mode", self.mode, MODES)
        check.between("schedule.floor", self.floor, 0.0, 1.0)

    def rate(self, initial: float, at: Moment, memory: Memory = NOTHING) -> float:
        return initial * recalled(memory, "share", 1.0)

    def after_epoch(self, memory: Memory, value: float | None, *, improved: bool) -> Memory:
        """What to remember after an epoch.

        Args:
            memory: of the epoch before.
            value: of the epoch; None where it was no number.
            improved: whether it is better than ``memory.get("best")`` by more than ``min_delta``.
        """
        share, waited = recalled(memory, "share", 1.0), recalled(memory, "waited", 0.0)
        if improved:
            return {"share": share, "waited": 0.0, "best": value}
        if waited + 1 < self.patience:
            return {"share": share, "waited": waited + 1, "best": memory.get("best")}
        return {"share": max(share * self.factor, self.floor), "waited": 0.0, "best": memory.get("best")}


def _whole(place: str, value: int, high: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= high:
        raise check.SettingError(check.sentence(place, f"a whole number from 0 to {high}", repr(value)))


Schedule = Constant | Linear | Time | Step | Exponential | Cosine | Plateau | Ramp
# Those a user names. A ramp is the schedule of a warm-up stage.
SCHEDULES: Mapping[str, type[Schedule]] = {
    "constant": Constant,
    "linear": Linear,
    "time": Time,
    "step": Step,
    "exponential": Exponential,
    "cosine": Cosine,
    "plateau": Plateau,
}


def to_dict(schedule: Schedule) -> dict[str, Any]:
    """A schedule as plain values with its ``name``."""
    name = next((name for name, kind in SCHEDULES.items() if isinstance(schedule, kind)), "ramp")
    return {"name": name} | {one.name: getattr(schedule, one.name) for one in fields(schedule)}
