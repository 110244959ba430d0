"""Drawing initial weights several times, and keeping the draw that begins to learn best."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from lensmith import check
from lensmith.train import draw_store, history, optimizers
from lensmith.train.compiled import compiled, fitted
from lensmith.train.draw_store import Draws
from lensmith.train.interrupt import Interrupted, requests
from lensmith.train.objective import Objective, describe
from lensmith.train.progress import Progress, RichProgress, Silent
from lensmith.train.schedules import Constant
from lensmith.train.stages import Draw, Fit
from lensmith.train.state import arrays_of, put, seed_layers

if TYPE_CHECKING:
    from lensmith.train.job import Batches


@dataclass(frozen=True, slots=True, eq=False)
class Drawn:
    """The best of several draws of initial weights.

    Args:
        best: which draw it is, from 0.
        seed: that its weights were drawn with.
        losses: of each draw at its end; NaN where it was no finite number.
        model: the best draw, with the weights it had at its end.
    """

    best: int
    seed: int
    losses: tuple[float, ...]
    model: Any


@dataclass(frozen=True, slots=True, eq=False)
class _Job:
    """What does not change from draw to draw."""

    build: Callable[[int], Any]
    batches: Batches
    stage: Draw
    objectives: Mapping[str, Objective]
    progress: Progress
    asked: list[str]


def draw(
    build: Callable[[int], Any],
    batches: Batches,
    *,
    stage: Draw,
    objectives: Mapping[str, Objective],
    seed: int = 0,
    folder: Path | None = None,
    progress: Progress | None = None,
) -> Drawn:
    """Draw initial weights, train each draw for a few steps, and keep the one whose loss is the lowest then.

    All draws see the same batches, those of the first epoch, round and round if these are fewer than the steps. The
    loss at the end is measured on them too, without learning.

    Args:
        build: makes a model whose outputs are logits, with initial weights that follow from the seed it is given.
        batches: the training part.
        stage: how many draws, and how to train them.
        objectives: what for, by task.
        seed: of the first draw; those of the others follow from it.
        folder: where ``draws.json`` holds the losses of finished draws and ``draw.safetensors`` the best one's
            weights. Killed at any moment and called again, it goes on from there and ends with the same bits.
        progress: who is told how far it is, with each draw in the place of an epoch.

    Returns:
        The best draw; the first of them where two are equal.

    Raises:
        SettingError: a setting is unknown, or the folder holds draws that were begun with other settings.
        DataError: there are no batches, or a label is outside the range of the model's head.
        LensmithError: no draw ended with a finite loss, or the disk refuses.
        Interrupted: Ctrl-C or SIGTERM came; the finished draws are kept.
    """
    if len(batches) == 0:
        raise check.DataError("the training part has no batches; there is nothing to learn from")
    seeds = _seeds(seed, stage.draws)
    facts = _facts(batches, stage, objectives, seed)
    draws = Draws() if folder is None else draw_store.read(folder, facts)
    progress = progress.of("draw") if isinstance(progress, RichProgress) else progress or Silent()
    with requests() as asked:
        job = _Job(build, batches, stage, objectives, progress, asked)
        progress.on_start(stage.draws, stage.steps, len(draws.losses) * stage.steps)
        try:
            for number in _left(draws, stage.draws):
                draws = _with(draws, job, number, seeds[number])
                if folder is not None:
                    draw_store.write(folder, draws, facts)
                progress.on_epoch(history.row(number + 1, {"loss": draws.losses[number]}, stage.rate), 0.0)
        finally:
            progress.on_end()
    if draws.best is None or draws.arrays is None:
        expected = "a draw that ends with a finite loss"
        remedy = f"Try a rate lower than {stage.rate:g}, and look at the inputs"
        raise check.LensmithError(check.sentence("draw", expected, f"none of {stage.draws}", remedy))
    model = _fresh(build, seeds[draws.best])
    put(model.variables, draws.arrays, "the best draw's weights")
    return Drawn(draws.best, seeds[draws.best], draws.losses, model)


def _left(draws: Draws, count: int) -> tuple[int, ...]:
    """Which draws are still to be made: first the best one again, where its weights are lost."""
    again = () if draws.best is None or draws.arrays is not None else (draws.best,)
    return (*again, *range(len(draws.losses), count))


def _with(draws: Draws, job: _Job, number: int, seed: int) -> Draws:
    """The draws with one more."""
    model, loss = _trained(job, number, seed)
    more = Draws((*draws.losses[:number], loss, *draws.losses[number + 1 :]), draws.arrays)
    return replace(more, arrays=arrays_of(model.variables)) if more.best == number else more


def _seeds(seed: int, count: int) -> tuple[int, ...]:
    """The first is the given one; the others are below 2**31, which every backend can hold."""
    return (seed, *(int(one) >> 1 for one in np.random.SeedSequence(seed).generate_state(count - 1)))


def _fresh(build: Callable[[int], Any], seed: int) -> Any:
    model = build(seed)
    seed_layers(model, seed)
    return model


def _trained(job: _Job, number: int, seed: int) -> tuple[Any, float]:
    """A draw after its steps, and its loss then; NaN in place of anything that is not finite."""
    stage, model = job.stage, _fresh(job.build, seed)
    fit = Fit(epochs=1, optimizer=stage.optimizer, rate=stage.rate, schedule=Constant())
    steps = compiled(model, job.objectives, optimizers.build(fit))
    place = f"draw {number + 1}"
    for step, (x, y) in enumerate(_round(job.batches, stage.steps), start=1):
        y = fitted(steps.tasks, y, f"{place}, step {step}")
        if step == 1:
            steps.build(x, y)
            model.reset_metrics()
        values = steps.train(x, y)
        job.progress.on_step(number * stage.steps + step, partial(steps.floats, values), 0.0)
        if job.asked:
            raise Interrupted(f"{job.asked[0]}: {place} was given up after step {step}; finished draws are kept")
    model.reset_metrics()
    for x, y in _round(job.batches, min(stage.steps, len(job.batches))):
        values = steps.test(x, fitted(steps.tasks, y, place))
    loss = steps.floats(values)["loss"]
    whole = all(np.isfinite(array).all() for array in arrays_of(model.trainable_variables).values())
    return model, loss if math.isfinite(loss) and whole else math.nan


def _round(batches: Batches, count: int) -> Iterator[tuple[Any, Any]]:
    """So many of the first epoch's batches, from the first one again after the last."""
    given = 0
    while given < count:
        before = given
        for batch in batches.epoch(0):
            yield batch
            given += 1
            if given == count:
                return
        if given == before:
            raise check.DataError(check.sentence("draw", f"{len(batches)} batches an epoch", "none"))


def _facts(batches: Batches, stage: Draw, objectives: Mapping[str, Objective], seed: int) -> dict[str, Any]:
    optimizer = stage.optimizer if isinstance(stage.optimizer, str) else dict(stage.optimizer)
    facts = {
        "draws": stage.draws,
        "steps": stage.steps,
        "rate": stage.rate,
        "optimizer": optimizer,
        "objectives": describe(objectives),
        "batches": batches.fingerprint,
        "seed": seed,
    }
    return json.loads(json.dumps(facts, default=str))  # type: ignore[no-any-return]
