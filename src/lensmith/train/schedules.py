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

Mode = Literal["auto", "min", "max"]
MODES: tuple[Mode, ...] = ("auto", "min", "max")
By = Literal["epoch", "step"]
BYS: tuple[By, ...] = ("epoch", "step")

Memory = Mapping[str, float | None]
NOTHING: Memory = {}


@dataclass(frozen=True, slots=True)
class Moment:
    """When a step is made.

    Args:
        step: how many steps of the stage were made before, from 0.
        steps: of an epoch.
        epochs: of the stage.
    """

    step: int
    steps: int
    epochs: int

    @property
    def epoch(self) -> int:
        """How many whole epochs were finished before."""
        return self.step // self.steps

    @property
    def done(self) -> float:
        """What part of the stage was done before, 0 to 1."""
        return min(self.step / (self.steps * self.epochs), 1.0)

    def count(self, by: By) -> int:
        """How many steps or epochs were finished before."""
        return self.step if by == "step" else self.epoch


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
        check.between("schedule.decay", self.decay, 0.0, math.inf)
        check.one_of("schedule.by", self.by, BYS)

    def rate(self, initial: float, at: Moment, memory: Memory = NOTHING) -> float:
        return max(initial - self.decay * at.count(self.by), 0.0)


@dataclass(frozen=True, slots=True)
class Time:
    """The rate falls with time: ``initial / (1 + decay * i)``, not compounded. See :class:`Linear`."""

    decay: float
    by: By = "epoch"

    def __post_init__(self) -> None:
        check.between("schedule.decay", self.decay, 0.0, math.inf)
        check.one_of("schedule.by", self.by, BYS)

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
        check.between("schedule.decay", self.decay, 0.0, math.inf)
        check.one_of("schedule.by", self.by, BYS)

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
        return initial * _recalled(memory, "share", 1.0)

    def after_epoch(self, memory: Memory, value: float | None, *, improved: bool) -> Memory:
        """What to remember after an epoch.

        Args:
            memory: of the epoch before.
            value: of the epoch; None where it was no number.
            improved: whether it is better than ``memory.get("best")`` by more than ``min_delta``.
        """
        share, waited = _recalled(memory, "share", 1.0), _recalled(memory, "waited", 0.0)
        if improved:
            return {"share": share, "waited": 0.0, "best": value}
        if waited + 1 < self.patience:
            return {"share": share, "waited": waited + 1, "best": memory.get("best")}
        return {"share": max(share * self.factor, self.floor), "waited": 0.0, "best": memory.get("best")}


@dataclass(frozen=True, slots=True)
class Ramp:
    """The rate grows in a line from near 0 to the stage's rate, which it reaches; more slowly where the loss diverges.

    The loss is smoothed over ten steps. Where it comes to lie clearly above the lowest so far, by more than a part of
    it and by more than batches differ from each other, or where one step's loss is many times as large, the rate
    falls back to half of what it had reached, and grows at half the speed from there; the stage then lasts longer,
    but not longer than ``most`` times its epochs.

    Args:
        tolerance: by what part of itself the smoothed loss may rise.
        most: how many times its epochs the stage may last.

    References:
        Goyal et al., Accurate, Large Minibatch SGD, 2017, Section 2.2 (the ramp).
    """

    tolerance: float = 0.3
    most: int = 3

    def __post_init__(self) -> None:
        check.between("warmup.tolerance", self.tolerance, 0.0, math.inf)
        check.positive("warmup.most", self.most)

    def rate(self, initial: float, at: Moment, memory: Memory = NOTHING) -> float:
        return initial * min(self._grown(memory) / (at.steps * at.epochs), 1.0)

    def after_step(self, memory: Memory, at: Moment, loss: float) -> Memory:
        """What to remember after a step that was made at ``at``.

        Args:
            memory: of the step before.
            at: which step it was.
            loss: of this step's batch alone, before the weights changed; not the mean over the epoch.
        """
        grown, slowed, total = self._grown(memory), _recalled(memory, "slowed", 0.0), float(at.steps * at.epochs)
        seen = _smoothed(memory, loss)
        if self._diverges(memory, seen, loss):
            # From here on it is compared with how far it has come: it has to fall, or the rate falls again.
            level = max(loss, seen["loss"])
            seen |= {"count": float(_SMOOTHED_OVER), "loss": level, "lowest": level, "below": memory["below"] or 0.0}
            return {"grown": grown / 2, "progress": grown / 2 / total, "slowed": slowed + 1} | seen
        return {"grown": min(grown, total), "progress": min(grown / total, 1.0), "slowed": slowed} | seen

    def unfinished(self, epoch: int, epochs: int, memory: Memory) -> bool:
        """Whether the stage has to go on after so many epochs, as the rate is not reached yet."""
        return epoch < epochs * self.most and _recalled(memory, "progress", 0.0) < 1.0

    def _grown(self, memory: Memory) -> float:
        """How far the next step is up the ramp, in steps of full speed: their sums, and halves of these, are exact."""
        return _recalled(memory, "grown", 0.0) + float(0.5 ** _recalled(memory, "slowed", 0.0))

    def _diverges(self, before: Memory, seen: Mapping[str, float], loss: float) -> bool:
        """Whether the loss left the ground: it is compared with the lowest and with how it differs by batch."""
        if before.get("loss") is None:
            return False
        below, scale = _recalled(before, "below", 0.0), _scale(seen)
        if loss > _recalled(before, "loss", 0.0) + max(10 * scale, 20 * below):
            return True
        noise = min(5 * below, 1.5 * max(abs(seen["lowest"]), abs(seen["first"])))
        return seen["loss"] > seen["lowest"] + max(self.tolerance * scale, noise)


_SMOOTHED_OVER = 10


def _scale(memory: Memory) -> float:
    """What a change of the loss is compared with: what is small beside the loss at the start may be noise."""
    return max(abs(_recalled(memory, "lowest", 0.0)), abs(_recalled(memory, "first", 0.0)) / 4)


def _smoothed(memory: Memory, loss: float) -> dict[str, float]:
    """The loss with its noise taken off: a mean over the first steps, a moving mean from then on.

    ``below`` is how far losses lie under that mean, which a diverging loss does not make larger as it rises;
    ``lowest`` is the mean's lowest from the tenth step on, and ``first`` what it was then.
    """
    count = _recalled(memory, "count", 0.0) + 1
    before, below = _recalled(memory, "loss", loss), _recalled(memory, "below", 0.0)
    if count > _SMOOTHED_OVER:  # one hard batch does not count for more than its place
        loss = min(loss, before + max(_scale(memory), 5 * below))
    part = max(1 / count, 1 / _SMOOTHED_OVER)
    smooth = before + part * (loss - before)
    below += part * (max(before - loss, 0.0) - below)
    settling = count <= _SMOOTHED_OVER
    lowest = smooth if settling else min(smooth, _recalled(memory, "lowest", smooth))
    first = smooth if settling else _recalled(memory, "first", smooth)
    return {"count": count, "loss": smooth, "below": below, "lowest": lowest, "first": first}


def _recalled(memory: Memory, name: str, default: float) -> float:
    value = memory.get(name)
    return default if value is None else value


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
