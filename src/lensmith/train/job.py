"""What a stage of training is made of, and what does not change while it lasts."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

from lensmith.train.callbacks import Callbacks
from lensmith.train.compiled import Compiled
from lensmith.train.gap_dropout import Dropouts
from lensmith.train.history import Earlier
from lensmith.train.monitor import Monitor
from lensmith.train.progress import Progress, Silent
from lensmith.train.schedules import Moment
from lensmith.train.stages import Fit
from lensmith.train.state import State
from lensmith.train.store import Store
from lensmith.train.waiting import Positioned


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
    """What does not change during a stage.

    Args:
        steps: the compiled model.
        batches: of the training part, as many as an epoch has steps.
        validation: examples to measure after each epoch.
        stage: how to train.
        best: the value that decides on the best epoch.
        stop: the value that decides when to stop early.
        plateau: the value by which the schedule cuts the rate, where it does.
        store: where it is written.
        progress: who is told.
        callbacks: of the user.
        dropouts: the dropout layers of a stage in which they follow the gap.
        earlier: what earlier stages did.
        asked: the names of the signals that asked to stop.
        diagnosing: whether the network is looked at while it trains.
        classes: how many there are, by task, where the loss is a plain cross-entropy.
        augmented: whether training examples are varied; None where nothing can be made of it.
        recent: the losses of the last steps, to say how the loss went when it is no number any more.
    """

    steps: Compiled
    batches: Batches
    validation: Batches | None
    stage: Fit
    best: Monitor
    stop: Monitor
    plateau: Monitor | None
    store: Store
    progress: Progress
    callbacks: Callbacks
    dropouts: Dropouts | None
    earlier: Earlier
    asked: Sequence[str]
    diagnosing: bool
    classes: Mapping[str, int]
    augmented: bool | None
    recent: deque[float] = field(default_factory=lambda: deque(maxlen=20))

    @property
    def watched_by_anyone(self) -> bool:
        """Whether somebody wants to know of each step."""
        return type(self.progress).on_step is not Silent.on_step

    def epoch(self, state: State) -> int:
        """The number of the epoch that the state is in, from 1, over all stages."""
        return self.earlier.epochs + state.epoch + 1

    def moment(self, step: int) -> Moment:
        """When a step is made before which so many of the stage were made."""
        return Moment(step, len(self.batches), self.stage.epochs)

    def save(self, state: State) -> None:
        """Write a checkpoint of everything as it is now."""
        self.store.save(replace(state, **self.callbacks.taken()))
