"""The training loop: one stage, from the first step or from a checkpoint, to the same last bit."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from lensmith import check
from lensmith.train import averaging, diagnosis, divergence, history, optimizers, watch
from lensmith.train.callbacks import Callbacks
from lensmith.train.compiled import compiled
from lensmith.train.diagnosis import Diagnosis
from lensmith.train.epochs import Resized
from lensmith.train.frozen import frozen
from lensmith.train.gap_dropout import dropouts
from lensmith.train.history import Best, Earlier, History, Row
from lensmith.train.interrupt import Interrupted, requests
from lensmith.train.job import Batches, Job
from lensmith.train.measuring import evaluate, measure
from lensmith.train.monitor import monitors, plateau_monitor
from lensmith.train.objective import Objective, describe
from lensmith.train.progress import Progress, Silent
from lensmith.train.schedules import Plateau
from lensmith.train.stages import Fit, Warmup
from lensmith.train.state import State, seed_layers
from lensmith.train.stepping import train
from lensmith.train.store import ALONE, Store
from lensmith.train.trace import Trace

__all__ = ["Batches", "evaluate", "fit"]


def fit(
    model: Any,
    batches: Batches,
    *,
    stage: Fit | Warmup,
    objectives: Mapping[str, Objective],
    validation: Batches | None = None,
    folder: Path | None = None,
    resume: bool = False,
    seed: int = 0,
    progress: Progress | None = None,
    callbacks: Sequence[Any] = (),
    earlier: Earlier = ALONE,
    diagnose: bool = True,
    augmented: bool | None = None,
) -> History:
    """Train a model for one stage; killed at any moment and resumed, it ends with the same bits.

    Args:
        model: a ``keras.Model`` whose outputs are logits: a tensor for one task, a dict by task for
            several. It is trained in place, and compiled anew.
        batches: the training part.
        stage: how to train.
        objectives: what for, by task.
        validation: examples to measure after each epoch.
        folder: where to write ``checkpoints/``, ``history.jsonl``, ``watch.jsonl`` and ``timing.jsonl``.
            Without it nothing is written, and nothing can be resumed.
        resume: go on from the newest whole checkpoint of this stage in the folder, or begin when there is
            none. The model's own weights do not matter then. A finished stage is not trained again.
        seed: for random layers that have no seed of their own.
        progress: who is told how far it is; nobody when not given.
        callbacks: Keras callbacks, and functions of ``(epoch, row, model)`` that are called after each
            epoch; see :mod:`lensmith.train.callbacks` for what they are told and what resuming does.
        earlier: what earlier stages did in the same folder; epochs and steps are counted on from there.
        diagnose: whether the network is looked at while it trains, and its troubles are named.
        augmented: whether training examples are varied, which makes them harder than those of the validation. Only
            where it is False can it be said that the validation is easier than the training.

    Returns:
        The history. The model has the weights of the best epoch where ``stage.restore_best`` says so
        and there is validation, else those of the last; their averages where the stage keeps such.

    Raises:
        SettingError: a setting is unknown or does not fit; raised before the first step.
        DataError: a label is outside the range of the model's head.
        LensmithError: the loss is no longer a finite number (the model then has the last finite weights);
            memory does not suffice for a batch; a callback fails; a checkpoint cannot be written; or the
            run in the folder was begun with other data, another stage or another model.
        Interrupted: Ctrl-C or SIGTERM came; the step was finished and a checkpoint written.
    """
    if len(batches) == 0:
        raise check.DataError("the training part has no batches; there is nothing to learn from")
    stage = stage.to_fit() if isinstance(stage, Warmup) else stage
    sized = batches if stage.steps is None else Resized(batches, stage.steps)
    seed_layers(model, seed, earlier.stage)
    validated = validation is not None
    with frozen(model, stage), requests() as asked:
        steps = compiled(model, objectives, optimizers.build(stage), stage.tasks)
        best, stop = monitors(stage, steps.directions, validated=validated, measured=steps.measured)
        facts = {
            "stage": stage.to_dict(),
            "objectives": describe(objectives),
            "batches": sized.fingerprint,
            "validation": None if validation is None else validation.fingerprint,
            "seed": seed,
        }
        store = Store(
            folder, model, facts, keep=stage.keep, remembers_best=stage.restore_best and validated, earlier=earlier
        )
        called = Callbacks(callbacks, model, store.last_good)
        store.add_facts({"callbacks": called.names} if called.names else {})
        job = Job(
            steps=steps,
            batches=sized,
            validation=validation,
            stage=stage,
            best=best,
            stop=stop,
            plateau=plateau_monitor(stage, steps.directions, validated=validated, measured=steps.measured),
            store=store,
            progress=progress or Silent(),
            callbacks=called,
            dropouts=dropouts(model, stage.dropout, validated=validated),
            earlier=earlier,
            asked=asked,
            diagnosing=diagnose,
            classes=watch.classes(steps),
            augmented=augmented if stage.average is None else None,
        )
        with _own_dropout(job):
            return _run(job, store.begin(resume=resume))


@contextmanager
def _own_dropout(job: Job) -> Iterator[None]:
    """After the stage the dropout layers have their own rates again."""
    try:
        yield
    finally:
        if job.dropouts is not None:
            job.dropouts.put(job.dropouts.own)


def _run(job: Job, state: State) -> History:
    """Train from a state to the end of the stage."""
    model, best, length = job.steps.model, job.best.name, len(job.batches)
    if job.dropouts is not None and state.dropout:
        job.dropouts.put(state.dropout)
    known = _diagnoses(job, state)
    if not state.finished(job.stage):
        # Of an epoch that is trained and not yet measured, the last step counts as still to come.
        done = state.step - (state.trained is not None)
        try:
            job.progress.on_start(job.stage.epochs, length, done)
            states = state.callbacks
            job.callbacks.begin(job.stage.epochs, length, states, inside=state.inside, stopping=state.stopping)
            while not state.finished(job.stage):
                state = _epoch(job, state)
                known = _tell(job, state, known)
        except Exception:
            job.store.flush()
            raise
        finally:
            job.progress.on_end()
        restored = _final_weights(job, state)
        job.callbacks.end(state.rows[-1])
    else:
        restored = _final_weights(job, state)
    model.stop_training = state.stopping
    found = (state.rows, state.best, best, state.stopped, restored)
    return History(*found, epochs=state.epoch, steps=state.step, diagnoses=known)


def _final_weights(job: Job, state: State) -> int | None:
    """Give the model the weights it ends with; returns the epoch they are of, None for the last."""
    restored = None
    if job.stage.restore_best and job.validation is not None and state.best is not None:
        restored = job.store.restore_best(state.best)
    if restored is None:
        averaging.lay(job.steps.model)
    return restored


def _epoch(job: Job, state: State) -> State:
    """Train for the rest of an epoch, measure, write it down."""
    began, saved, waited = time.perf_counter(), state, 0.0
    number = job.epoch(state)
    job.callbacks.begin_epoch(number - 1)
    if state.trained is None:
        state, waited = train(job, state)
    measured: dict[str, float] = {}
    place = f"epoch {number}, validation"
    if job.validation is not None and not job.asked:
        with averaging.averaged(job.steps.model):
            measured = measure(job.steps, job.validation, place=place, asked=job.asked)
    if job.asked:
        if state is not saved:
            job.save(state)
        elif not state.inside:  # no step was made: callbacks are kept as they were before on_epoch_begin
            job.store.save(state)
        if state.rows:
            job.store.write_history(state)
        raise Interrupted(_interrupted(job, state))
    _refuse_infinite(job, state, measured, place)
    values = dict(state.trained or {}) | {f"val_{name}": value for name, value in measured.items()}
    mean = None if job.dropouts is None else job.dropouts.mean
    row = history.row(number, values, state.rate, stage=job.earlier.stage, dropout=mean)
    state = _judged(job, _closed(job, state, row))
    if job.callbacks.end_epoch(row, values):
        state = replace(state, stopped=True)
    seconds, made, waited = time.perf_counter() - began, state.step - saved.step, round(waited, 3)
    whole = replace(state, **job.callbacks.taken())
    job.store.close(whole, seconds=seconds, steps=made, waited=waited, last=state.finished(job.stage))
    job.progress.on_epoch(row, waited)
    return whole


def _closed(job: Job, state: State, row: Row) -> State:
    """The state after an epoch with this row, before anything is made of it."""
    watched = state.watched
    if job.diagnosing:
        trace = Trace() if state.trace is None else Trace.from_dict(state.trace)
        watched = (*watched, watch.row(job.epoch(state), trace, state.seen))
    return replace(
        state,
        epoch=state.epoch + 1,
        trained=None,
        running=None,
        trace=None,
        seen=None,
        rows=(*state.rows, row),
        watched=watched,
    )


def _judged(job: Job, state: State) -> State:
    """The state with all that follows from its newest row: the best epoch, patience, and what the next epoch has."""
    row, stop = state.rows[-1], job.stage.stop
    value = row[job.best.name]
    if value is not None and job.best.improves(value, on=state.best.value if state.best else None):
        best = Best(job.earlier.epochs + state.epoch, job.earlier.steps + state.step, value)
        state = replace(state, best=best)
    schedule = job.stage.schedule
    if isinstance(schedule, Plateau) and job.plateau is not None:
        value = row[job.plateau.name]
        improved = job.plateau.improves(value, on=state.memory.get("best"), by=schedule.min_delta)
        state = replace(state, memory=schedule.after_epoch(state.memory, value, improved=improved))
    if job.dropouts is not None:
        job.dropouts.put(job.dropouts.after(row))
        state = replace(state, dropout=job.dropouts.rates)
    if stop is None:
        return state
    value = row[job.stop.name]
    if job.stop.improves(value, on=state.patience, by=stop.min_delta):
        return replace(state, patience=value, waited=0)
    waited = state.waited + 1
    return replace(state, waited=waited, stopped=waited >= stop.patience)


def _refuse_infinite(job: Job, state: State, measured: Mapping[str, float], place: str) -> None:
    """Refuse a validation loss that is no number; the model has its last finite weights then."""
    if not measured or math.isfinite(loss := measured["loss"]) or job.validation is None:
        return
    found = divergence.broken_in(job.validation.epoch(0))
    reason, remedy = divergence.why(found, (), state.rate, job.steps.model)
    job.store.put_back()
    raise divergence.refusal(place, loss, reason, job.store.last_good(), remedy, job.epoch(state))


def _diagnoses(job: Job, state: State) -> tuple[Diagnosis, ...]:
    """What is wrong with the stage so far."""
    if not job.diagnosing or not state.rows:
        return ()
    waited, seconds = diagnosis.waiting(job.store.times)
    return diagnosis.diagnose(
        state.rows,
        state.watched,
        classes=job.classes,
        waited=waited,
        seconds=seconds,
        augmented=job.augmented,
    )


def _tell(job: Job, state: State, known: tuple[Diagnosis, ...]) -> tuple[Diagnosis, ...]:
    """Tell of what was not known before, and return all that is."""
    found = _diagnoses(job, state)
    kinds = {one.kind for one in known}
    new = tuple(one for one in found if one.kind not in kinds)
    if new:
        job.progress.on_diagnosis(new)
    return found


def _interrupted(job: Job, state: State) -> str:
    step = job.earlier.steps + state.step
    where = f"{job.asked[0]}: training stopped in epoch {job.epoch(state)} after step {step}"
    if job.store.folder is None:
        return f"{where}; nothing was saved, as no folder was given"
    return f"{where}. Everything is saved in {job.store.folder}; resume to go on"
