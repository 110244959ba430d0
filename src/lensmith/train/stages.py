"""The records that say how to train: a stage, its schedule and when to stop early."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Literal

from lensmith import check

Mode = Literal["auto", "min", "max"]
MODES: tuple[Mode, ...] = ("auto", "min", "max")

# What may change between a run and its resumption, because it does not change what is computed.
HOUSEKEEPING = frozenset({"checkpoint_every", "keep"})


@dataclass(frozen=True, slots=True)
class Constant:
    """The learning rate stays what it is."""


@dataclass(frozen=True, slots=True)
class Cosine:
    """The learning rate falls along half a cosine, from the stage's rate to a share of it.

    Args:
        final: the rate at the last step, as a share of the initial rate, 0 to 1.

    References:
        Loshchilov and Hutter, SGDR, 2016, equation 5, without restarts.
    """

    final: float = 0.0

    def __post_init__(self) -> None:
        check.between("schedule.final", self.final, 0.0, 1.0)


Schedule = Constant | Cosine
SCHEDULES: Mapping[str, type[Schedule]] = {"constant": Constant, "cosine": Cosine}


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
        checkpoint_every: write a checkpoint every so many steps, besides the one after each epoch.
        keep: how many of the newest checkpoints to keep, besides the best.
        freeze: which layers this stage leaves as they are, by the names of parts and layers or patterns of
            such names, as in ``("stem", "*-norm1")``; see :mod:`lensmith.trainable`. Their batch
            normalisation stays in inference mode. After the stage they are as trainable as before.
        tasks: train only these of the model's tasks: the loss is the sum of theirs, and the heads of all
            others are frozen. Metrics are reported of all. None trains every task.

    Example:
        >>> from dataclasses import replace
        >>> replace(Fit(epochs=3), schedule=Cosine()).to_dict()["schedule"]
        {'name': 'cosine', 'final': 0.0}
    """

    epochs: int = 20
    optimizer: str | Mapping[str, Any] = "adam"
    rate: float = 1e-3
    schedule: Schedule = Cosine()
    stop: Patience | None = None
    monitor: str = "val_loss"
    mode: Mode = "auto"
    restore_best: bool = True
    checkpoint_every: int | None = None
    keep: int = 2
    freeze: tuple[str, ...] = ()
    tasks: tuple[str, ...] | None = None

    def __post_init__(self) -> None:
        check.positive("epochs", self.epochs)
        check.positive("keep", self.keep)
        if self.checkpoint_every is not None:
            check.positive("checkpoint_every", self.checkpoint_every)
        check.between("rate", self.rate, 0.0, float("inf"))
        check.one_of("mode", self.mode, MODES)
        if not isinstance(self.schedule, Constant | Cosine):
            expected = "Constant() or Cosine()"
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
        kind = next(name for name, record in SCHEDULES.items() if isinstance(self.schedule, record))
        values["schedule"] = {"name": kind} | _plain(self.schedule)
        values["stop"] = None if self.stop is None else _plain(self.stop)
        # None where nothing is frozen, so that runs begun before a stage could freeze can be resumed.
        values["freeze"] = list(self.freeze) or None
        values["tasks"] = None if self.tasks is None else list(self.tasks)
        return values


def _check_names(place: str, names: Any) -> tuple[str, ...]:
    if not isinstance(names, list | tuple) or not all(isinstance(name, str) and name for name in names):
        remedy = f"Put it into a tuple: ({names!r},)" if isinstance(names, str) else ""
        raise check.SettingError(check.sentence(place, "a tuple of names", repr(names), remedy))
    return tuple(dict.fromkeys(names))


def _plain(record: Schedule | Patience) -> dict[str, Any]:
    return {field.name: getattr(record, field.name) for field in fields(record)}
