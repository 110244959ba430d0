"""The records that say how to train: a stage, its schedule and when to stop early."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from lensmith import check
from lensmith.train import schedules
from lensmith.train.ramp import Ramp
from lensmith.train.schedules import MODES, Cosine, Mode, Schedule

COSINE, RAMP = Cosine(), Ramp()

# What may change between a run and its resumption, because it does not change what is computed.
HOUSEKEEPING = frozenset({"checkpoint_every", "keep"})


@dataclass(frozen=True, slots=True)
class Patience:
    """Stop when the monitored value has not improved for a number of epochs.

    Args:
        monitor: a name in the history's rows, such as ``val_accuracy``; None takes the stage's own.
        patience: epochs without improvement after which training stops, at least 1.
        min_delta: a change smaller than this is no improvement.
        mode: whether less (``min``) or more (``max``) is better; ``auto`` goes by the metric.
    """

    monitor: str | None = None
    patience: int = 5
    min_delta: float = 0.0
    mode: Mode = "auto"

    def __post_init__(self) -> None:
        check.positive("stop.patience", self.patience)
        check.between("stop.min_delta", self.min_delta, 0.0, float("inf"))
        check.one_of("stop.mode", self.mode, MODES)


@dataclass(frozen=True, slots=True)
class GapDropout:
    """Hidden dropout that follows the gap between training and validation.

    After each epoch the rate of every dropout layer becomes its own rate plus ``gain`` times the gap
    ``(val_loss - loss) / loss``, within ``lowest`` and ``highest``. Where the network learns its examples by heart
    more is dropped, and less where it does not.

    Args:
        gain: how strongly the rate follows, at least 0.
        lowest: the least rate, 0 to 1.
        highest: the largest rate, from ``lowest`` to 0.95.
    """

    gain: float = 0.2
    lowest: float = 0.0
    highest: float = 0.7

    def __post_init__(self) -> None:
        check.between("dropout.gain", self.gain, 0.0, math.inf)
        check.between("dropout.lowest", self.lowest, 0.0, 0.95)
        check.between("dropout.highest", self.highest, self.lowest, 0.95)


@dataclass(frozen=True, slots=True)
class Fit:
    """One stage of training: so many epochs with one optimizer and one schedule.

    Losses and metrics are not here: they belong to the tasks, see :class:`lensmith.train.Objective`.

    Args:
        epochs: how often the training part is gone through, at least 1.
        optimizer: a Keras optimizer by name (``adam``, ``sgd``, ``rmsprop``, …), or a mapping of its
            ``name`` and its settings, as in ``{"name": "sgd", "momentum": 0.9, "nesterov": True}``.
        rate: the learning rate at the start.
        schedule: how the rate goes on from there, step by step.
        stop: when to stop before the last epoch.
        monitor: the value that decides which epoch was the best. ``val_loss`` means ``loss`` where
            there is no validation.
        mode: whether less (``min``) or more (``max``) of it is better; ``auto`` goes by the metric.
        restore_best: whether the model ends with the weights of its best epoch instead of the last
            one's. Without validation it always ends with the last one's.
        checkpoint_every: write a checkpoint every so many steps, besides those after epochs. There is one after each
            epoch, unless epochs are so short that writing would take more than a thirtieth of the time; then there
            is one as soon as it takes less, and one at the end. A run that is killed goes on from the newest.
        keep: how many of the newest checkpoints to keep, besides the best.
        freeze: which layers this stage leaves as they are, by the names of parts and layers or patterns of
            such names, as in ``("stem", "*-norm1")``; see :mod:`lensmith.trainable`. Their batch
            normalisation stays in inference mode. After the stage they are as trainable as before.
        tasks: train only these of the model's tasks: the loss is the sum of theirs, and the heads of all
            others are frozen. Metrics are reported of all. None trains every task.
        warmup: epochs, or a part of one, over which the rate first grows in a line from near 0 to what the
            schedule says.
        steps: steps an epoch; None goes through the whole training part. With fewer, each epoch takes so many
            batches of a new order; with more, it goes on with the next order.
        accumulate: over how many steps gradients are averaged before the weights change.
        average: the weights that are measured and kept are moving averages with this momentum, such as 0.999;
            None takes the weights as they are.
        hold_norms: whether all batch normalisation stays as it is, in inference mode: right for fine-tuning a
            trained backbone on few examples.
        dropout: lets the rate of dropout layers follow the gap between training and validation.

    Example:
        >>> from dataclasses import replace
        >>> replace(Fit(epochs=3), schedule=schedules.Step(0.1, every=2)).to_dict()["schedule"]
        {'name': 'step', 'decay': 0.1, 'every': 2, 'by': 'epoch'}
    """

    epochs: int = 20
    optimizer: str | Mapping[str, Any] = "adam"
    rate: float = 1e-3
    schedule: Schedule = COSINE
    stop: Patience | None = None
    monitor: str = "val_loss"
    mode: Mode = "auto"
    restore_best: bool = True
    checkpoint_every: int | None = None
    keep: int = 2
    freeze: tuple[str, ...] = ()
    tasks: tuple[str, ...] | None = None
    warmup: float = 0.0
    steps: int | None = None
    accumulate: int = 1
    average: float | None = None
    hold_norms: bool = False
    dropout: GapDropout | None = None

    def __post_init__(self) -> None:
        check.positive("epochs", self.epochs)
        check.positive("keep", self.keep)
        check.positive("accumulate", self.accumulate)
        check.between("warmup", self.warmup, 0.0, self.epochs)
        if self.steps is not None:
            check.positive("steps", self.steps)
        if self.average is not None and check.between("average", self.average, 0.0, 1.0) == 1.0:
            raise check.SettingError(check.sentence("average", "a number from 0 to below 1", self.average))
        if self.checkpoint_every is not None:
            check.positive("checkpoint_every", self.checkpoint_every)
        check.between("rate", self.rate, 0.0, float("inf"))
        check.one_of("mode", self.mode, MODES)
        if not isinstance(self.schedule, Schedule):
            expected = "a schedule such as Constant() or Cosine()"
            raise check.SettingError(check.sentence("schedule", expected, repr(self.schedule)))
        object.__setattr__(self, "freeze", _check_names("freeze", self.freeze))
        if self.tasks is not None:
            object.__setattr__(self, "tasks", _check_names("tasks", self.tasks))
            check.positive("tasks: their number", len(self.tasks))

    def to_dict(self) -> dict[str, Any]:
        """The stage as plain values, ready for JSON or YAML."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        if isinstance(self.optimizer, Mapping):
            values["optimizer"] = dict(self.optimizer)
        values["schedule"] = schedules.to_dict(self.schedule)
        values["stop"] = None if self.stop is None else _plain(self.stop)
        values["dropout"] = None if self.dropout is None else _plain(self.dropout)
        # None where nothing is frozen, so that runs begun before a stage could freeze can be resumed.
        values["freeze"] = list(self.freeze) or None
        values["tasks"] = None if self.tasks is None else list(self.tasks)
        return values


@dataclass(frozen=True, slots=True)
class Warmup:
    """A stage that brings the learning rate from near 0 up to a target, and does so gently.

    It goes through :func:`lensmith.train.fit` as any stage does, see :meth:`to_fit`. Where the loss diverges the rate
    falls back and grows more slowly, see :class:`lensmith.train.schedules.Ramp`; the stage then lasts longer.

    Args:
        epochs: how long the rate grows where nothing diverges, at least 1.
        rate: the target, which the last step is made with.
        optimizer, freeze, tasks, steps, accumulate, checkpoint_every, keep: as of :class:`Fit`.
        ramp: how the rate grows.
    """

    epochs: int = 1
    rate: float = 1e-3
    optimizer: str | Mapping[str, Any] = "adam"
    freeze: tuple[str, ...] = ()
    tasks: tuple[str, ...] | None = None
    steps: int | None = None
    accumulate: int = 1
    checkpoint_every: int | None = None
    keep: int = 2
    ramp: Ramp = RAMP

    def __post_init__(self) -> None:
        self.to_fit()  # refuses what is wrong

    def to_fit(self) -> Fit:
        """The stage as the loop takes it: it ends with the weights of its last step, not of its best epoch."""
        shared = {field.name: getattr(self, field.name) for field in fields(self) if field.name != "ramp"}
        return Fit(**shared, schedule=self.ramp, restore_best=False)


@dataclass(frozen=True, slots=True)
class Draw:
    """A stage that draws initial weights several times and keeps the best draw.

    Each draw is trained for a few steps at a tiny rate, on the same batches; the one whose loss is the lowest at the
    end is kept, with the weights it had then.

    Args:
        draws: how many, at least 2.
        steps: of each, at least 1.
        rate: of these steps.
        optimizer: as of :class:`Fit`.
    """

    draws: int = 5
    steps: int = 20
    rate: float = 1e-5
    optimizer: str | Mapping[str, Any] = "adam"

    def __post_init__(self) -> None:
        if isinstance(self.draws, bool) or not isinstance(self.draws, int) or self.draws < 2:
            raise check.SettingError(check.sentence("draws", "a whole number of at least 2", repr(self.draws)))
        check.positive("steps", self.steps)
        check.between("rate", self.rate, 0.0, math.inf)


def _check_names(place: str, names: Any) -> tuple[str, ...]:
    if not isinstance(names, list | tuple) or not all(isinstance(name, str) and name for name in names):
        remedy = f"Put it into a tuple: ({names!r},)" if isinstance(names, str) else ""
        raise check.SettingError(check.sentence(place, "a tuple of names", repr(names), remedy))
    return tuple(dict.fromkeys(names))


def _plain(record: Patience | GapDropout) -> dict[str, Any]:
    return {field.name: getattr(record, field.name) for field in fields(record)}
