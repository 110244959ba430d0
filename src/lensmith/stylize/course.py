"""The way through the levels of a painting: what is made, told, saved, and gone on with."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from lensmith import backend, check
from lensmith.backend import keras
from lensmith.backend.memory import keep_freed
from lensmith.stylize import optimizers, pictures
from lensmith.stylize import state as states
from lensmith.stylize.optimizers import Outcome, Point, Step
from lensmith.stylize.task import Task

SAVE_SECONDS = 30.0  # how often the state is written, where no number of steps is asked for


@dataclass(frozen=True, slots=True)
class Moment:
    """Where a painting is, told after each step.

    Args:
        step: steps made over all levels; 0 for the picture that was begun with.
        steps: that are to be made.
        done: the part of the work that is done, 0..1: a step counts as much as its level has pixels.
        size: height and width of the level.
        loss: of the picture so far.
        halved: how often the loss was no number.
        terms: gives the parts of the loss by name; waits for the device.
        picture: gives the painting so far as uint8 pixels ``(h, w, 3)`` of the final size, colours and mask applied.
    """

    step: int
    steps: int
    done: float
    size: tuple[int, int]
    loss: float
    halved: int
    terms: Callable[[], dict[str, float]]
    picture: Callable[[], np.ndarray]


def shares(steps: int, levels: int) -> list[int]:
    """How many steps each level makes, from the smallest to the largest.

    >>> shares(500, 3)
    [167, 167, 166]
    """
    return [steps // levels + (level < steps % levels) for level in range(levels)]


@dataclass(frozen=True, slots=True)
class Kept:
    """Where an unfinished painting is kept."""

    path: Path
    facts: Mapping[str, Any]
    every: int | None

    def read(self, task: Task) -> states.State:
        found = states.read(self.path)
        states.check_facts(self.path, found.facts, self.facts)
        planned, done = shares(task.settings.steps, len(task.sizes)), found.point.step
        before = len(found.losses) - done - found.level  # steps of the levels that are done: each has a loss more
        if done > planned[found.level] or before != sum(planned[: found.level]):
            expected = f"at least {done * len(task.sizes)}, as {done} were made at this size"
            if found.level:
                expected = "as many as it was begun with, for a larger size has begun"
            raise check.SettingError(check.sentence("--resume: steps", expected, task.settings.steps))
        if found.threads is not None:
            backend.set_threads(found.threads)  # sums depend on it
        return found

    def write(self, level: int, point: Point, losses: Sequence[float]) -> None:
        arrays = point.converted(keras.ops.convert_to_numpy)
        found = states.State(level, arrays, tuple(losses), self.facts, backend.threads())
        states.write(self.path, found)


class Course:
    """The way through the levels: what was made, told and saved."""

    def __init__(
        self,
        task: Task,
        kept: Kept | None,
        stop: Callable[[], bool] | None,
        progress: Callable[[Moment], None] | None,
    ) -> None:
        self.losses: list[float] = []
        self._task, self._kept, self._stop, self._progress = task, kept, stop, progress
        self._shares = shares(task.settings.steps, len(task.sizes))
        self._level = 0
        self._before = 0  # losses of the levels before
        self._seconds, self._made = 0.0, 0  # of the steps of this call at this level
        self._resumed: float | None = None  # when the optimiser was last let go on
        self._saved_at, self._saved = time.perf_counter(), 0

    @property
    def steps(self) -> int:
        """Steps made over all levels."""
        begun = self._level + (len(self.losses) > self._before)  # each level's first loss is of no step
        return len(self.losses) - begun

    @property
    def speed(self) -> float:
        return self._made / self._seconds if self._made and self._seconds > 0 else 0.0

    def run(self, state: states.State | None) -> Outcome:
        """Go through the levels, from the beginning or from where a state stands."""
        point = self._begin(state)
        while True:
            outcome = self._descend(point)
            if not self.losses:
                raise check.LensmithError("the loss of the first picture is no number: weights or images are too large")
            last = self._level + 1 == len(self._task.sizes)
            if last or outcome.ended in ("stopped", "not finite"):
                return outcome
            enlarged = pictures.scaled(keras.ops.convert_to_numpy(outcome.pixels)[0], self._task.size(self._level + 1))
            self._level += 1
            self._before = len(self.losses)
            self._seconds, self._made = 0.0, 0
            point = Point(keras.ops.convert_to_tensor(enlarged[None]), halved=outcome.point.halved)

    def _begin(self, state: states.State | None) -> Point:
        if state is None:
            return Point(keras.ops.convert_to_tensor(self._task.first()))
        self._level, self.losses = state.level, list(state.losses)
        self._before = len(self.losses) - state.point.step
        self._saved = self.steps
        return state.point.converted(keras.ops.convert_to_tensor)

    def _descend(self, point: Point) -> Outcome:
        settings, steps = self._task.settings, self._shares[self._level]
        evaluate = self._task.objective(self._level).evaluate
        self._resumed = None
        with keep_freed():
            if settings.optimizer == "adam":
                return optimizers.adam(evaluate, point, steps, settings.rate, self._told)
            return optimizers.lbfgs(evaluate, point, steps, self._told)

    def _told(self, step: Step) -> bool:
        now = time.perf_counter()
        fresh = self._before + step.number == len(self.losses)  # a resume, or a new round, begins with a known one
        if self._resumed is not None:  # else the time until now was set-up
            self._seconds += now - self._resumed
            self._made += fresh
        if fresh:
            self.losses.append(step.loss)
            if self._progress is not None:
                self._progress(self._moment(step))
        self._save_if_due(step)
        stop = self._stop is not None and self._stop()
        self._resumed = time.perf_counter()
        return stop

    def _moment(self, step: Step) -> Moment:
        return Moment(
            self.steps,
            self.steps + self._shares[self._level] - step.number + sum(self._shares[self._level + 1 :]),
            self._done(step.number),
            self._task.size(self._level),
            step.loss,
            step.halved,
            lambda: {name: float(keras.ops.convert_to_numpy(term)) for name, term in step.terms.items()},
            lambda: self._task.finished(step.pixels),
        )

    def _done(self, number: int) -> float:
        """The part of the work that is done after this many steps at this level."""
        work = [share * math.prod(self._task.size(level)) for level, share in enumerate(self._shares)]
        here = work[self._level] * number / max(1, self._shares[self._level])
        return (sum(work[: self._level]) + here) / sum(work)

    def _save_if_due(self, step: Step) -> None:
        if self._kept is None or step.point is None or self.steps <= self._saved:
            return
        waited = time.perf_counter() - self._saved_at >= SAVE_SECONDS
        due = waited if self._kept.every is None else self.steps - self._saved >= self._kept.every
        if due:
            self._save(step.point)

    def _save(self, point: Point) -> None:
        if self._kept is not None:
            self._kept.write(self._level, point, self.losses[: self._before + point.step])
            self._saved_at, self._saved = time.perf_counter(), self.steps

    def close(self, outcome: Outcome) -> None:
        """Keep what was stopped, take away what is done."""
        if outcome.ended == "stopped":
            self._save(outcome.point)
        elif self._kept is not None:
            states.remove(self._kept.path)
