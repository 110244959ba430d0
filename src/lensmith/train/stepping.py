"""The steps of an epoch: batch by batch, from its start or from a checkpoint inside it."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

from lensmith import check
from lensmith.train import divergence, memory, optimizers, watch
from lensmith.train.batch import size_of
from lensmith.train.compiled import Values, fitted
from lensmith.train.job import Job
from lensmith.train.schedules import Memory, Ramp
from lensmith.train.state import State
from lensmith.train.trace import Trace
from lensmith.train.waiting import Watched


@dataclass(slots=True)
class Account:
    """What is known of the steps of an epoch so far.

    The loss of a step is read while the next one runs, so that no device waits; at once where something depends on it.

    Args:
        job: the stage.
        number: of the epoch, for messages.
        memory: of the schedule.
        trace: how the loss goes.
        mean: of the losses so far.
        count: of the examples so far.
        rate: of the last step.
    """

    job: Job
    number: int
    memory: Memory
    trace: Trace
    mean: float = 0.0
    count: int = 0
    rate: float = 0.0
    pending: tuple[Values, Any, Any, int] | None = field(default=None, init=False)

    @staticmethod
    def of(job: Job, state: State) -> Account:
        """The account at the start of an epoch, or inside it."""
        trace = Trace() if state.trace is None else Trace.from_dict(state.trace)
        mean, count = state.running or (0.0, 0)
        return Account(job, job.epoch(state), state.memory, trace, mean, count, state.rate)

    def into(self, state: State, step: int) -> State:
        """The state after so many steps of the stage; everything is read for it."""
        self.settle()
        trace = self.trace.to_dict() if self.job.diagnosing else None
        running = (self.mean, self.count)
        return replace(state, step=step, memory=self.memory, running=running, rate=self.rate, trace=trace)

    def settle(self) -> None:
        """Read the loss of the last step that was made, unless it is read.

        Raises:
            LensmithError: it is no finite number; the model has its last finite weights then.
        """
        if self.pending is None:
            return
        (values, x, y, step), self.pending = self.pending, None
        mean, before, size = float(values["loss"]), self.count, size_of(x)
        if not math.isfinite(mean):
            raise self._refusal(mean, x, y, step)
        self.count += size
        loss = mean if before == 0 else (mean * self.count - self.mean * before) / size
        self.mean = mean
        self.job.recent.append(loss)
        if self.job.diagnosing:
            self.trace.add(mean, step % len(self.job.batches) + 1)
        schedule = self.job.stage.schedule
        if isinstance(schedule, Ramp):
            self.memory = schedule.after_step(self.memory, self.job.moment(step), loss)

    def _refusal(self, mean: float, x: Any, y: Any, step: int) -> divergence.Diverged:
        store = self.job.store
        reason, remedy = divergence.why(divergence.broken(x, y), list(self.job.recent), self.rate, self.job.steps.model)
        store.put_back()
        place = f"epoch {self.number}, step {self.job.earlier.steps + step + 1}"
        return divergence.refusal(place, mean, reason, store.last_good(), remedy, self.number)


def train(job: Job, state: State) -> tuple[State, float]:
    """Make the steps of an epoch that are still to be made, up to its end or a request to stop.

    Returns:
        The state then, and the part of the time that was spent waiting for batches.
    """
    steps, length = job.steps, len(job.batches)
    every, last = job.stage.checkpoint_every, (state.epoch + 1) * length
    iterator = job.batches.epoch(job.epoch(state) - 1)
    if state.position is not None:
        iterator.set_state(state.position)
    watched, rates = Watched(iterator), _Rates(job)
    account, step = Account.of(job, state), state.step
    # What is asked for in each step is looked up once.
    at_once = isinstance(job.stage.schedule, Ramp)
    listening, told = job.callbacks.any_step, job.watched_by_anyone
    while step < last and not job.asked:
        place = f"epoch {account.number}, step {job.earlier.steps + step + 1}"
        x, y = _next(watched, place, length)
        y = fitted(steps.tasks, y, place)
        if step == state.step:
            state = _begun(job, state, x, y, place)
        if listening:
            job.callbacks.begin_step(step % length)
        account.rate = rates.set(step, account.memory)
        try:
            values = steps.train(x, y)
        except Exception as error:
            _refuse_too_large(job, error, steps.train, x, y, place)
            raise
        account.settle()
        account.pending = (values, x, y, step)
        if at_once:
            account.settle()
        if listening:
            job.callbacks.end_step(step % length, partial(steps.floats, values))
        step += 1
        if told:
            job.progress.on_step(step, partial(steps.floats, values), watched.share)
        if every and step % every == 0 and step < last:
            job.save(replace(account.into(state, step), position=iterator.get_state()))
    waited = watched.share
    if step == state.step:
        return state, waited
    state = account.into(state, step)
    if step < last:
        return replace(state, position=iterator.get_state()), waited
    return replace(state, position=None, running=None, trained=steps.floats(values)), waited


@dataclass(slots=True)
class _Rates:
    """Sets the learning rate before each step, where it is another than before."""

    job: Job
    now: float | None = None

    def set(self, step: int, memory: Memory) -> float:
        rate = optimizers.rate_at(self.job.stage, self.job.moment(step), memory)
        # A callback may have set another rate, which does not count.
        if rate != self.now or self.job.callbacks.any_step:
            self.job.steps.model.optimizer.learning_rate = rate
            self.now = rate
        return rate


def _begun(job: Job, state: State, x: Any, y: Any, place: str) -> State:
    """Make ready for the first step that this process makes of an epoch; look at the network where that is due."""
    try:
        job.steps.build(x, y)
        going_on = state.position is not None
        if job.diagnosing and not going_on:
            seen = watch.look(job.steps, x, y) if watch.due(state.epoch, len(job.batches)) else None
            state = replace(state, seen=seen)
    except Exception as error:
        _refuse_too_large(job, error, job.steps.model.train_on_batch, x, y, place)
        raise
    job.store.begin_metrics(going_on=going_on)
    return state


def _refuse_too_large(job: Job, error: Exception, step: Any, x: Any, y: Any, place: str) -> None:
    """Say which batch would fit, where an error is for want of memory."""
    if memory.out_of_memory(error):
        raise memory.refusal(error, job.steps.model, step, x, y, place, job.store.last_good()) from error


def _next(iterator: Watched, place: str, expected: int) -> tuple[Any, Any]:
    try:
        return next(iterator)
    except StopIteration:
        text = check.sentence(place, f"{expected} batches an epoch, which is their length", "fewer")
        raise check.DataError(text) from None
