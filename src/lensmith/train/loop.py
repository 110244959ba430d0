"""The training loop: one stage, from the first step or from a checkpoint, to the same last bit."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Protocol

from lensmith import check
from lensmith.train import history, optimizers
from lensmith.train.compiled import Compiled, Values, compiled, fitted
from lensmith.train.frozen import frozen
from lensmith.train.history import Best, History, Row
from lensmith.train.interrupt import Interrupted, requests
from lensmith.train.monitor import Monitor, monitors
from lensmith.train.objective import Objective, describe
from lensmith.train.progress import Progress, Silent
from lensmith.train.stages import Fit
from lensmith.train.state import State, seed_layers
from lensmith.train.store import Store
from lensmith.train.waiting import Positioned, Watched


class Batches(Protocol):
    """What training needs of its data: so many batches an epoch, each epoch in an order of its own.

    A batch is ``(x, y)``: float32 of shape ``(n, …)`` and one array of targets, or a dict by task.
    ``fingerprint`` changes when anything changes that decides which batches come.
    """

    @property
    def fingerprint(self) -> str: ...
    def __len__(self) -> int: ...
    def epoch(self, number: int) -> Positioned: ...


@dataclass(frozen=True, slots=True, eq=False)
class Job:
    """What does not change during a stage."""

    steps: Compiled
    batches: Batches
    validation: Batches | None
    stage: Fit
    best: Monitor
    stop: Monitor
    store: Store
    progress: Progress
    asked: list[str]


def fit(
    model: Any,
    batches: Batches,
    *,
    stage: Fit,
    objectives: Mapping[str, Objective],
    validation: Batches | None = None,
    folder: Path | None = None,
    resume: bool = False,
    seed: int = 0,
    progress: Progress | None = None,
) -> History:
    """Train a model for one stage; killed at any moment and resumed, it ends with the same bits.

    Args:
        model: a ``keras.Model`` whose outputs are logits: a tensor for one task, a dict by task for
            several. It is trained in place, and compiled anew.
        batches: the training part.
        stage: how to train.
        objectives: what for, by task.
        validation: examples to measure after each epoch.
        folder: where to write ``checkpoints/``, ``history.jsonl`` and ``timing.jsonl``. Without it
            nothing is written, and nothing can be resumed.
        resume: go on from the newest whole checkpoint in the folder, or begin when there is none.
            The model's own weights do not matter then. A finished stage is not trained again.
        seed: for random layers that have no seed of their own.
        progress: who is told how far it is; nobody when not given.

    Returns:
        The history. The model has the weights of the best epoch where ``stage.restore_best`` says so
        and there is validation, else those of the last.

    Raises:
        SettingError: a setting is unknown or does not fit; raised before the first step.
        DataError: a label is outside the range of the model's head.
        LensmithError: the loss is no longer a finite number; a checkpoint cannot be written; or the
            run in the folder was begun with other data, another stage or another model.
        Interrupted: Ctrl-C or SIGTERM came; the step was finished and a checkpoint written.
    """
    if len(batches) == 0:
        raise check.DataError("the training part has no batches; there is nothing to learn from")
    seed_layers(model, seed)
    with frozen(model, stage):
        optimizer = optimizers.build(stage, stage.epochs * len(batches))
        steps = compiled(model, objectives, optimizer, stage.tasks)
        best, stop = monitors(stage, steps.directions, validated=validation is not None)
        facts = {
            "stage": stage.to_dict(),
            "objectives": describe(objectives),
            "batches": batches.fingerprint,
            "validation": None if validation is None else validation.fingerprint,
            "seed": seed,
        }
        returns_best = stage.restore_best and validation is not None
        store = Store(folder, model, facts, keep=stage.keep, remembers_best=returns_best)
        progress = progress or Silent()
        with requests() as asked:
            job = Job(steps, batches, validation, stage, best, stop, store, progress, asked)
            state = store.begin(resume=resume)
            try:
                progress.on_start(stage.epochs, len(batches), state.step)
                while not state.finished(stage.epochs):
                    state = _epoch(job, state)
            finally:
                progress.on_end()
        restored = store.restore_best(state.best) if returns_best and state.best is not None else None
        return History(state.rows, state.best, best.name, state.stopped, restored)


def evaluate(model: Any, batches: Batches, objectives: Mapping[str, Objective]) -> dict[str, float]:
    """The loss and each metric of a model, exactly, over all examples of the batches.

    Args:
        model: a ``keras.Model`` whose outputs are logits; it is compiled anew.
        batches: the examples.
        objectives: losses and metrics, by task.

    Returns:
        ``loss`` and the metrics by name; with several tasks also each task's loss, and names that
        begin with the task's.

    Raises:
        DataError: there are no batches, or a label is outside the range of the model's head.
    """
    return _measure(compiled(model, objectives), batches, place="evaluation", asked=())


def _epoch(job: Job, state: State) -> State:
    """Train for the rest of an epoch, measure, write it down."""
    began, saved, waited = time.perf_counter(), state, 0.0
    if state.trained is None:
        state, waited = _train(job, state)
    measured: dict[str, float] = {}
    if job.validation is not None and not job.asked:
        place = f"epoch {state.epoch + 1}, validation"
        measured = _measure(job.steps, job.validation, place=place, asked=job.asked)
    if job.asked:
        if state is not saved:
            job.store.save(state)
        raise Interrupted(_interrupted(job, state))
    _refuse_infinite(job, measured, f"epoch {state.epoch + 1}, validation")
    row = _row(job, state, measured)
    state = _judged(job, replace(state, epoch=state.epoch + 1, trained=None, rows=(*state.rows, row)))
    job.store.save(state)
    job.store.record(state, seconds=time.perf_counter() - began, steps=state.step - saved.step, waited=waited)
    job.progress.on_epoch(row, waited)
    return state


def _train(job: Job, state: State) -> tuple[State, float]:
    """Make the steps of an epoch that are still to be made, up to its end or a request to stop.

    Gives the state then, and the part of the time that was spent waiting for batches.
    """
    steps, every = job.steps, job.stage.checkpoint_every
    end = (state.epoch + 1) * len(job.batches)
    iterator = job.batches.epoch(state.epoch)
    if state.position is not None:
        iterator.set_state(state.position)
    watched = Watched(iterator)
    step, place = state.step, ""
    values: Values = {}
    while step < end and not job.asked:
        before, earlier = values, place
        place = f"epoch {state.epoch + 1}, step {step + 1}"
        x, y = _next(watched, place, len(job.batches))
        y = fitted(steps.tasks, y, place)
        if not values:
            steps.build(x, y)
            job.store.begin_metrics(going_on=state.position is not None)
        values = steps.train(x, y)
        step += 1
        # The loss of the step before is looked at while this one runs, so that no device waits.
        _refuse_infinite(job, before, earlier)
        job.progress.on_step(step, partial(steps.floats, values), watched.share)
        if every and step % every == 0 and step < end:
            _refuse_infinite(job, values, place)
            job.store.save(replace(state, step=step, position=iterator.get_state()))
    waited = watched.share
    if not values:
        return state, waited
    _refuse_infinite(job, values, place)
    if step < end:
        return replace(state, step=step, position=iterator.get_state()), waited
    return replace(state, step=step, position=None, trained=steps.floats(values)), waited


def _measure(steps: Compiled, batches: Batches, *, place: str, asked: Sequence[str]) -> dict[str, float]:
    """The values over all batches, or over those before a request to stop."""
    values: Values = {}
    for x, y in batches.epoch(0):
        if asked:
            return {}
        y = fitted(steps.tasks, y, place)
        if not values:
            steps.build(x, y)
            steps.model.reset_metrics()
        values = steps.test(x, y)
    if not values:
        raise check.DataError(f"{place}: there are no batches to measure on")
    return steps.floats(values)


def _next(iterator: Watched, place: str, expected: int) -> tuple[Any, Any]:
    try:
        return next(iterator)
    except StopIteration:
        text = check.sentence(place, f"{expected} batches an epoch, which is their length", "fewer")
        raise check.DataError(text) from None


def _row(job: Job, state: State, measured: Mapping[str, float]) -> Row:
    values = dict(state.trained or {}) | {f"val_{name}": value for name, value in measured.items()}
    rate = optimizers.rate_at(job.stage, state.step - 1, job.stage.epochs * len(job.batches))
    return history.row(state.epoch + 1, values, rate)


def _judged(job: Job, state: State) -> State:
    """The state with its newest row compared with the best one, and with the patience there is."""
    row, stop = state.rows[-1], job.stage.stop
    value = row[job.best.name]
    if value is not None and job.best.improves(value, on=state.best.value if state.best else None):
        state = replace(state, best=Best(state.epoch, state.step, value))
    if stop is None:
        return state
    value = row[job.stop.name]
    if job.stop.improves(value, on=state.patience, by=stop.min_delta):
        return replace(state, patience=value, waited=0)
    waited = state.waited + 1
    return replace(state, waited=waited, stopped=waited >= stop.patience)


def _refuse_infinite(job: Job, values: Values, place: str) -> None:
    if not values or math.isfinite(loss := float(values["loss"])):
        return
    text = check.sentence(place, "a loss that is a finite number", f"{loss}")
    raise check.LensmithError(f"{text}. {job.store.last_good()}. Try a rate lower than {job.stage.rate:g}")


def _interrupted(job: Job, state: State) -> str:
    where = f"{job.asked[0]}: training stopped in epoch {state.epoch + 1} after step {state.step}"
    if job.store.folder is None:
        return f"{where}; nothing was saved, as no folder was given"
    return f"{where}. Everything is saved in {job.store.folder}; resume to go on"
