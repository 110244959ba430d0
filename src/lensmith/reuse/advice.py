"""From scratch, the heads alone, or fine-tuning as well? Found out by trying each for a while."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from lensmith import check, data, train
from lensmith.reuse import transfer
from lensmith.reuse.features import features
from lensmith.train import Fit, History, Objective

HEAD, TUNE, SCRATCH = "head", "fine-tune", "scratch"
SIMPLEST = (HEAD, TUNE, SCRATCH)  # the least work first


@dataclass(frozen=True, slots=True)
class Way:
    """What one way of training came to.

    Args:
        name: ``head``, ``fine-tune`` or ``scratch``.
        value: of the monitored metric on the validation part, in the best epoch.
        epochs: that it was trained for.
        seconds: that it took, computing features included; from one run to the next they differ.
    """

    name: str
    value: float
    epochs: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Advice:
    """Which way to train, and why.

    Args:
        ways: what was tried, the simplest first.
        best: the name of the way to take: the simplest of those that are as good as the best.
        monitor: the metric that decided, such as ``val_accuracy``.
        noise: how large a difference in it means nothing: the standard error of a share; 0 where the metric is none.
        sentence: all of it in words.
    """

    ways: tuple[Way, ...]
    best: str
    monitor: str
    noise: float
    sentence: str

    def to_dict(self) -> dict[str, Any]:
        """A form that JSON holds."""
        return asdict(self)


def compare(
    trained: Callable[[], Any],
    scratch: Callable[[], Any],
    batches: data.Batches,
    validation: data.Batches,
    *,
    objectives: Mapping[str, Objective],
    epochs: int = 6,
    rate: float = 1e-3,
    tune_rate: float | None = None,
    share: float = 0.34,
    monitor: str | None = None,
    cache: Path | None = None,
    limit: int | None = None,
    seed: int = 0,
    progress: train.Progress | None = None,
) -> Advice:
    """Train each way for the same number of steps, and say which to take.

    Heads are trained on features that are computed once. Fine-tuning has half of its epochs for the heads.

    Args:
        trained: gives the model with trained weights before its heads, whose outputs are logits.
        scratch: gives the model with weights of chance.
        batches: the training part.
        validation: the part that decides; its number of examples says what is noise.
        objectives: by task.
        epochs: for each way, at least 2.
        rate, tune_rate, share: as of :func:`lensmith.reuse.transfer.plan`; ``rate`` is that from scratch too.
        monitor: the value to go by; None is the first accuracy of the validation part, else ``val_loss``.
        cache: a folder for the features; None keeps them in memory.
        limit: bytes that the cache may take.
        seed: for random layers.
        progress: is told of each stage.

    Raises:
        SettingError: a setting is wrong, the models have no heads, or there is no such monitor.
    """
    check.between("epochs", epochs, 2, math.inf)
    wanted = monitor or _monitor(objectives)
    # Without patience, so that each way makes as many steps.
    planned = partial(transfer.plan, rate=rate, tune_rate=tune_rate, share=share, monitor=wanted)

    def stages(model: Any, head_epochs: int, tune_epochs: int) -> tuple[Fit, Fit]:
        both = planned(model, head_epochs=head_epochs, tune_epochs=tune_epochs)
        return replace(both[0], stop=None), replace(both[1], stop=None)

    def fit(model: Any, stage: Fit, training: train.Batches, measured: train.Batches) -> History:
        return train.fit(
            model, training, stage=stage, objectives=objectives, validation=measured, seed=seed, progress=progress
        )

    def heads(model: Any, stage: Fit) -> History:
        made = [
            features(
                model,
                part.records,
                part.preprocessing,
                freeze=stage.freeze,
                cache=cache,
                limit=limit,
                tasks=list(part.examples.labels),
            )
            for part in (batches, validation)
        ]
        training = made[0].batches(batches.size, seed=batches.seed)
        on_features = replace(stage, freeze=made[0].frozen)
        return fit(made[0].rest, on_features, training, made[1].batches(validation.size, shuffle=False))

    def alone() -> History:
        model = trained()
        return heads(model, stages(model, epochs, 1)[0])

    def tuned() -> History:
        model = trained()
        first, second = stages(model, epochs // 2, epochs - epochs // 2)
        heads(model, first)
        return fit(model, second, batches, validation)

    def from_scratch() -> History:
        return fit(scratch(), Fit(epochs=epochs, rate=rate, monitor=wanted), batches, validation)

    tries = {HEAD: alone, TUNE: tuned, SCRATCH: from_scratch}
    ways = [_timed(name, run, epochs) for name, run in tries.items()]
    return advise(ways, wanted, len(validation.records))


def advise(ways: Sequence[Way], monitor: str, examples: int) -> Advice:
    """The simplest way that is as good as the best, but for noise.

    Noise is one binomial standard error of the best share, ``sqrt(p (1 - p) / n)``.

    Args:
        ways: what was tried.
        monitor: the metric their values are of.
        examples: of the validation part.

    Example:
        >>> tried = [Way("head", 0.93, 6, 2.0), Way("fine-tune", 0.94, 6, 60.0), Way("scratch", 0.64, 6, 90.0)]
        >>> advice = advise(tried, "val_accuracy", 300)
        >>> advice.best, round(advice.noise, 4)
        ('head', 0.0137)
    """
    check.positive("ways: their number", len(ways))
    falls = transfer.falls(monitor)
    ordered = tuple(sorted(ways, key=lambda way: SIMPLEST.index(check.one_of("way", way.name, SIMPLEST))))
    top = (min if falls else max)(ordered, key=lambda way: way.value)
    share = transfer.is_share(monitor) and 0 <= top.value <= 1
    noise = math.sqrt(top.value * (1 - top.value) / check.positive("examples", examples)) if share else 0.0
    chosen = next(way for way in ordered if abs(way.value - top.value) <= noise)
    return Advice(ordered, chosen.name, monitor, noise, _sentence(ordered, chosen, top, monitor, noise, examples))


def _sentence(ways: Sequence[Way], chosen: Way, top: Way, monitor: str, noise: float, examples: int) -> str:
    told = ", ".join(f"{way.name} {transfer.in_words(monitor, way.value)} ({way.seconds:.0f} s)" for way in ways)
    said = f"{monitor} after {max(way.epochs for way in ways)} epochs of each: {told}. Take {chosen.name}"
    if chosen is not top:
        better = transfer.difference_in_words(monitor, abs(top.value - chosen.value))
        usual = transfer.difference_in_words(monitor, noise)
        return f"{said}: {top.name} is {better} better, which {examples} examples cannot tell from chance ({usual})"
    others = [way for way in ways if way is not chosen]
    if not others:
        return said
    next_best = min(others, key=lambda way: abs(way.value - chosen.value))
    by = abs(next_best.value - chosen.value)
    return f"{said}: it is {transfer.difference_in_words(monitor, by)} better than {next_best.name}"


def _timed(name: str, run: Callable[[], History], epochs: int) -> Way:
    began = time.perf_counter()
    history = run()
    if history.best is None:
        raise check.LensmithError(check.sentence(name, f"a {history.monitor} that is a number", "none"))
    return Way(name, history.best.value, epochs, time.perf_counter() - began)


def _monitor(objectives: Mapping[str, Objective]) -> str:
    """The first accuracy among the metrics, as the history calls it."""
    for task, objective in objectives.items():
        if "accuracy" in objective.metrics:
            return f"val_{task}_accuracy" if len(objectives) > 1 else "val_accuracy"
    return "val_loss"
