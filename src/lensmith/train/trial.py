"""Whether a network can learn a single batch by heart: if it cannot, nothing else is worth trying."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from lensmith.train import measures, optimizers
from lensmith.train.compiled import Compiled, compiled, fitted
from lensmith.train.frozen import frozen
from lensmith.train.measures import Gathered
from lensmith.train.objective import Objective
from lensmith.train.schedules import Constant
from lensmith.train.stages import Fit
from lensmith.train.state import arrays_of, put, seed_layers

# How often the batch is measured without dropout, in steps.
_MEASURED = 0.9  # of a measure such as mAP, whose best is 1: a loss may have a floor far above 0
_EVERY = 10
# How long another rate is tried, and what part of the loss has to be left then.
_SHORT, _HELPED = 50, 0.5


@dataclass(frozen=True, slots=True)
class Trial:
    """What came of learning one batch by heart.

    Args:
        steps: how many were made.
        losses: of the batch before each step; NaN or infinite where it was no finite number.
        learnt: whether the network can do it.
        evidence: what was seen, in words.
        advice: what to do.
    """

    steps: int
    losses: tuple[float, ...]
    learnt: bool
    evidence: str
    advice: str


@dataclass(frozen=True, slots=True, eq=False)
class _Job:
    model: Any
    x: Any
    y: Any
    stage: Fit
    objectives: Mapping[str, Objective]
    seed: int


def try_one_batch(
    model: Any,
    batch: tuple[Any, Any],
    *,
    stage: Fit,
    objectives: Mapping[str, Objective],
    steps: int = 200,
    seed: int = 0,
) -> Trial:
    """Train on one batch alone until it is known by heart, then put the model back as it was.

    It is known once its loss is below 0.01 and a tenth of what it was, or below 1 % of that; once all its classes are
    right and the loss is below 0.1; or once the measures of its tasks, such as mAP, are at 0.9 or above. Where the
    rate does not do it, others are tried for some steps each.

    Args:
        model: a ``keras.Model`` whose outputs are logits. It is compiled anew; its weights and random states are the
            same after as before, bit for bit.
        batch: ``(x, y)`` as of :class:`lensmith.train.Batches`, without augmentation.
        stage: the optimizer, the rate and what is frozen are taken from it; the rate stays what it is.
        objectives: what to learn, by task. Labels are not smoothed, as a smoothed loss does not go to 0.
        steps: how many at most.
        seed: for random layers that have no seed of their own.

    Raises:
        SettingError: a setting is unknown or does not fit the model.
        DataError: a label is outside the range of the model's head.
    """
    plain = {task: replace(objective, smoothing=0.0) for task, objective in objectives.items()}
    alone = replace(stage, schedule=Constant(), warmup=0.0, accumulate=1, average=None)
    job = _Job(model, batch[0], batch[1], alone, plain, seed)
    with _as_it_was(model):
        losses, learnt = _learn(job, stage.rate, steps)
        if learnt:
            advice = "the network, its losses and its labels go together: train on all the data"
            return Trial(len(losses), losses, True, _went(losses), advice)
        return Trial(len(losses), losses, False, _evidence(job, losses), _advice(job, losses, steps))


@contextlib.contextmanager
def _as_it_was(model: Any) -> Iterator[None]:
    """Give the model back its weights, its statistics and its random states after whatever happens."""
    arrays = arrays_of(model.variables)
    generators = [one for layer in model._flatten_layers() for one in layer._seed_generators]
    seeds = [generator._initial_seed for generator in generators]
    try:
        yield
    finally:
        put(model.variables, arrays, "the weights before the trial")
        for generator, seed in zip(generators, seeds, strict=True):
            generator._initial_seed = seed


def _learn(job: _Job, rate: float, steps: int) -> tuple[tuple[float, ...], bool]:
    """Learn the batch from the model's own weights, which come back; gives the losses and whether it is known."""
    stage = replace(job.stage, rate=rate)
    with _as_it_was(job.model), frozen(job.model, stage):
        seed_layers(job.model, job.seed)
        made = compiled(job.model, job.objectives, optimizers.build(stage), stage.tasks)
        y = fitted(made.tasks, job.y, "the batch")
        made.build(job.x, y)
        losses: list[float] = []
        while len(losses) < steps:
            job.model.reset_metrics()
            values = made.floats(made.train(job.x, y))
            losses.append(values["loss"])
            if not math.isfinite(losses[-1]):
                return tuple(losses), False
            best = measures.leading(job.objectives)
            if _known(values, losses[0], best) or (
                len(losses) % _EVERY == 0 and _known(_measured(made, job.x, y), losses[0], best)
            ):
                return tuple(losses), True
        return tuple(losses), False


def _measured(made: Compiled, x: Any, y: Any) -> dict[str, float]:
    """The values without dropout, which learns by heart what it never shows in training."""
    made.model.reset_metrics()
    gathered = Gathered(made.model, made.objectives)
    gathered.add(x, y)
    return made.floats(made.test(x, y)) | gathered.result()


def _known(values: Mapping[str, float], start: float, measured: Sequence[str]) -> bool:
    loss = values["loss"]
    shares = [values[name] for name in measured if name in values]
    if shares and min(shares) >= _MEASURED and loss < start:
        return True
    right = [value for name, value in values.items() if name == "accuracy" or name.endswith("_accuracy")]
    if right and min(right) == 1.0 and loss < 0.1:
        return True
    return loss < start / 100 or (loss < 0.01 and loss < start / 10)


def _went(losses: tuple[float, ...]) -> str:
    ways = "rose" if losses[-1] > losses[0] else "went"
    return f"the loss {ways} from {losses[0]:.3g} to {_end(losses):.3g} in {len(losses)} steps"


def _end(losses: tuple[float, ...]) -> float:
    """The last loss, or the mean of the last five where there are many."""
    return losses[-1] if len(losses) < 10 or losses[-1] < losses[0] / 10 else float(np.mean(losses[-5:]))


def _stays(losses: tuple[float, ...]) -> bool:
    return len(losses) > 1 and abs(_end(losses) - losses[0]) <= 0.05 * abs(losses[0])


def _diverges(losses: tuple[float, ...]) -> bool:
    return not math.isfinite(losses[-1]) or _end(losses) > 1.05 * losses[0]


def _evidence(job: _Job, losses: tuple[float, ...]) -> str:
    if not math.isfinite(losses[-1]):
        if len(losses) == 1:
            return f"the loss is {losses[0]} before the first step"
        return f"the loss was {losses[0]:.3g} at first, and {losses[-1]} after {len(losses) - 1} steps"
    if not _stays(losses):
        return f"{_went(losses)}, which is not by heart"
    text = f"the loss stays at {_end(losses):.4g}"
    classes = _classes(job)
    if classes and abs(_end(losses) - math.log(classes)) < 0.02 * math.log(classes):
        text += f", which is ln {classes}"
    return f"{text}: nothing is learnt in {len(losses)} steps"


def _classes(job: _Job) -> int | None:
    """Between how many classes the only output decides."""
    if len(job.objectives) != 1:
        return None
    activation = next(iter(job.objectives.values())).activation
    last = job.model.output.shape[-1] if hasattr(job.model.output, "shape") else None
    return {"softmax": last, "sigmoid": 2}.get(activation)


def _advice(job: _Job, losses: tuple[float, ...], steps: int) -> str:
    if not math.isfinite(losses[0]):
        return f"look at the inputs ({_inputs(job)}), the targets and the initial weights for what is no number"
    down, up = (0.1, 0.01, 0.001, 0.0001), (10.0, 100.0, 1000.0, 10000.0)
    factors = (*down, 10.0) if _diverges(losses) else (*up, 0.1) if _stays(losses) else (10.0, 0.1)
    short = min(steps, _SHORT)
    for factor in factors:
        rate = float(f"{job.stage.rate * factor:.6g}")
        tried, learnt = _learn(job, rate, short)
        if learnt or (math.isfinite(tried[-1]) and _end(tried) < _HELPED * min(losses[0], _end(losses[:short]))):
            way = "higher" if factor > 1 else "lower"
            return f"train at a {way} rate, {rate:g} in place of {job.stage.rate:g}: there {_went(tried)}"
    rates = [job.stage.rate * factor for factor in (*factors, 1.0)]
    text = f"the rate is not the reason, from {min(rates):g} to {max(rates):g} none does better"
    if not _diverges(losses) and not _stays(losses):
        text = f"more steps may do it, {text}; otherwise"
    else:
        text += ":"
    return f"{text} look at the labels, the inputs ({_inputs(job)}), what is frozen and the initial weights"


def _inputs(job: _Job) -> str:
    arrays = [np.asarray(one) for one in (job.x.values() if isinstance(job.x, Mapping) else [job.x])]
    low, high = min(float(one.min()) for one in arrays), max(float(one.max()) for one in arrays)
    return f"all {low:g}" if low == high else f"{low:.3g} to {high:.3g}"
