"""The pretext stage: a backbone learns from unlabelled pictures, by a task whose answers are made and not marked.

The pictures are changed by :class:`~lensmith.reuse.jigsaw.Jigsaw` or :class:`~lensmith.reuse.rotation.Rotation`, and
a head that is thrown away afterwards tells how. The layers before it are those of the model itself.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from lensmith import check, compose, data, train
from lensmith.backend import keras
from lensmith.data import Augment, Preprocessing
from lensmith.records import Records
from lensmith.reuse.jigsaw import Jigsaw
from lensmith.reuse.rotation import Rotation
from lensmith.reuse.unlabelled import placed, places
from lensmith.train.history import Earlier
from lensmith.train.waiting import Positioned

Task = Jigsaw | Rotation

NAME = "pretext"  # of the head that is thrown away
ALONE = Earlier()
_DEALING, _CHANGING = 1, 2  # set the draws of answers and those of shifts apart
_HIDDEN = (128,)  # of a head to which the places of things matter
_MAPS = 2  # pixels of feature maps a side that such a head gets of each tile


@dataclass(frozen=True, slots=True, eq=False)
class Changed:
    """Batches of pictures that a pretext task has changed, with the answers; :func:`changed` makes them.

    They have the form of :class:`lensmith.train.Batches`. In every epoch each answer comes as often as any other, but
    for one; which picture has which follows from the seed, the epoch and the picture's place among the records.

    Args:
        batches: of the pictures, whose targets are their places.
        task: what is done to them.
        seed: of the answers and the shifts.
    """

    batches: data.Batches
    task: Task
    seed: int

    def __len__(self) -> int:
        return len(self.batches)

    @property
    def fingerprint(self) -> str:
        """A hash of all that decides the batches: the pictures' own, the task and the seed."""
        setting = [self.batches.fingerprint, self.task.to_dict(), self.seed]
        return hashlib.sha256(json.dumps(setting).encode()).hexdigest()

    def answers(self, epoch: int) -> np.ndarray:
        """The answer to each record's picture in one epoch: int32 of shape ``(records,)``."""
        count = len(self.batches.records)
        dealt = np.random.default_rng([self.seed, _DEALING, epoch]).permutation(count)
        return (dealt % self.task.answers).astype(np.int32)

    def epoch(self, number: int) -> Epoch:
        """An iterator over one epoch's ``(x, y)``: changed pictures, float32 ``(n, h, w, c)``, and int32 ``(n,)``."""
        return Epoch(self, number)


class Epoch:
    """One epoch of changed pictures: an iterator whose position is that of the pictures' own batches."""

    __slots__ = ("_answers", "_made", "_number", "_source")

    def __init__(self, source: Changed, number: int) -> None:
        self._source, self._number = source, number
        self._answers = source.answers(number)
        self._made: Positioned = source.batches.epoch(number)

    def __iter__(self) -> Epoch:
        return self

    def __next__(self) -> tuple[np.ndarray, np.ndarray]:
        x, targets = next(self._made)
        here = places(targets)
        chances = [np.random.default_rng([self._source.seed, _CHANGING, self._number, one]) for one in here.tolist()]
        answers = self._answers[here]
        return self._source.task.change(x, answers, chances), answers

    def get_state(self) -> Mapping[str, Any]:
        """A dict that JSON holds."""
        return self._made.get_state()

    def set_state(self, state: Mapping[str, Any]) -> None:
        """Go to a position that :meth:`get_state` gave."""
        self._made.set_state(state)


def changed(
    records: Records,
    preprocessing: Preprocessing,
    task: Task,
    *,
    size: int = 32,
    seed: int = 0,
    shuffle: bool = True,
    augment: Augment | None = None,
) -> Changed:
    """Make the batches of a pretext task.

    Args:
        records: pictures; whatever targets they have do not matter.
        preprocessing: of the model; the task changes what comes out of it.
        task: what is done to the pictures.
        size: of a batch.
        seed: of the order, the augmentation, the answers and the shifts.
        shuffle: whether the order changes from epoch to epoch.
        augment: changes to make before.

    Raises:
        SettingError: the examples are no pictures, or too small for the task; or the augmentation mixes them.
        DataError: there are no records.

    Example:
        >>> batches = changed(data.bundled("digits")[:100], Preprocessing(image=(8, 8, 1)), Rotation(), size=60)
        >>> x, y = next(batches.epoch(0))
        >>> x.shape, y.dtype, np.bincount(batches.answers(0)).tolist()
        ((60, 8, 8, 1), dtype('int32'), [25, 25, 25, 25])
    """
    if preprocessing.image is None:
        raise check.SettingError(check.sentence(NAME, "pictures", "rows of numbers", "Leave the stage out"))
    task.check_size(preprocessing.image[:2])
    if augment is not None and (augment.mixes or augment.mosaic):
        remedy = "Leave mixup, cutmix and mosaic out"
        raise check.SettingError(check.sentence(f"{NAME}.augment", "changes of one picture", "a mixture", remedy))
    made = data.batches(placed(records), preprocessing, size=size, seed=seed, shuffle=shuffle, augment=augment)
    return Changed(made, task, seed)


def with_task(model: Any, task: Task, *, seed: int = 0) -> Any:
    """A view of a model that solves a pretext task: its own backbone, and a new head with the answers' logits.

    Args:
        model: built from a recipe, or any other made of connected layers that ends in a head.
        task: what to solve.
        seed: of the head's initial weights.

    Returns:
        A ``keras.Model`` of output ``(batch, answers)`` that shares the backbone's layers with the model.

    Raises:
        SettingError: the model has no backbone that can be shared.
    """
    base = _backbone(model)
    x = base.output
    if len(x.shape) == 4 and task.cells > 1:  # where something is must not be averaged away, and may be told roughly
        windows = tuple(max(side // (_MAPS * task.cells), 1) for side in x.shape[1:3])
        x = keras.layers.AveragePooling2D(windows, name=f"{NAME}-pool")(x)
        head = compose.Classify(task.answers, pool="flatten", hidden=_HIDDEN)
    else:
        head = compose.Classify(task.answers)
    return compose.logits(compose.with_head(keras.Model(base.input, x), {NAME: head}, seed=seed))


def pretext(
    model: Any,
    records: Records,
    preprocessing: Preprocessing,
    *,
    task: Task,
    stage: train.Fit,
    validation: Records | None = None,
    size: int = 32,
    augment: Augment | None = None,
    folder: Path | None = None,
    resume: bool = False,
    seed: int = 0,
    progress: train.Progress | None = None,
    earlier: Earlier = ALONE,
) -> train.History:
    """Train the backbone of a model on a pretext task; its heads are left as they are.

    Args:
        model: whose layers before the heads are trained in place; its heads are neither used nor changed.
        records: pictures, labelled or not: the training part, or others.
        preprocessing: of the model's input.
        task: :class:`Jigsaw` or :class:`Rotation`.
        stage: how to train. It goes through :func:`lensmith.train.fit`, as do all that follow.
        validation: pictures to measure on after each epoch, always changed in the same way.
        size: of a batch.
        augment: changes to make to each picture before the task's own.
        folder: where to write checkpoints and the history.
        resume: go on from the newest checkpoint there. A finished stage is not trained again.
        seed: of the head, the order, the answers and all else that is drawn.
        progress: who is told how far it is.
        earlier: what earlier stages of the same folder did.

    Returns:
        The history: ``loss`` and ``accuracy`` of the pretext task, and the same with ``val_``.

    Raises:
        SettingError: the examples are no pictures, or too small for the task; or as :func:`lensmith.train.fit`.
        DataError, LensmithError, Interrupted: as :func:`lensmith.train.fit`.
    """
    if stage.tasks is not None:
        remedy = "A pretext stage has a task of its own"
        raise check.SettingError(check.sentence(f"{NAME}.tasks", "none", ", ".join(stage.tasks), remedy))
    if not records:
        raise check.DataError(f"{records.name}: there are no pictures for the pretext task")
    batches = changed(records, preprocessing, task, size=size, seed=seed, augment=augment)
    measured = changed(validation, preprocessing, task, size=size, seed=seed, shuffle=False) if validation else None
    objective = train.Objective("sparse_categorical_crossentropy", ("accuracy",), activation="softmax")
    return train.fit(
        with_task(model, task, seed=seed),
        batches,
        stage=stage,
        objectives={NAME: objective},
        validation=measured,
        folder=folder,
        resume=resume,
        seed=seed,
        progress=progress,
        earlier=earlier,
    )


def _backbone(model: Any) -> Any:
    """What comes before the heads: feature maps where there are such, else the vector that the head gets."""
    try:
        return compose.encoding(model)
    except check.SettingError:
        return compose.embedding(model)
