"""Distillation: a small network learns what a large one answers, and not only which answer is the right one.

Hinton, Vinyals & Dean 2015, Distilling the Knowledge in a Neural Network, Section 2: the teacher's logits ``v`` and
the student's ``z`` are softened by a temperature T, and the student minimises

    share · T² · KL(softmax(v / T) ‖ softmax(z / T)) + (1 − share) · the ordinary loss.

T² makes up for the gradients of softened outputs, which are 1/T² as large. Where a task has a sigmoid for each label,
so has its teacher; where its outputs are plain numbers, the mean squared distance to the teacher's numbers stands in
for the first term, without a temperature.

The teacher is asked once (:func:`lensmith.reuse.teacher.ask`), and what it answered goes with the records as further
targets (:func:`lensmith.reuse.teacher.taught`). The student has a further output for them (:func:`student`) with an
objective of its own (:func:`objectives`). So it is trained by :func:`lensmith.train.fit` as any other model is, and
resumed as any other.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from lensmith import check, train
from lensmith.backend import keras
from lensmith.reuse.teacher import SUFFIX, check_free, named_outputs
from lensmith.train import Objective

_Distance = Callable[[Any, Any, float], Any]  # of the teacher's and the student's logits at a temperature


@dataclass(frozen=True, slots=True)
class Teaching:
    """How a student listens to its teacher.

    Args:
        temperature: by which the logits of both are divided, 0.01 to 1000; the higher it is, the more the small
            probabilities of wrong classes count.
        share: of the teacher in the loss, 0..1; with 0 the student learns as if it had none.

    Raises:
        SettingError: a setting is out of its range.
    """

    temperature: float = 4.0
    share: float = 0.7

    def __post_init__(self) -> None:
        check.between("teacher.temperature", self.temperature, 0.01, 1000.0)
        check.between("teacher.share", self.share, 0.0, 1.0)


class Softened(keras.losses.Loss):  # type: ignore[misc]
    """How far a student's answers are from its teacher's: ``T² · KL`` of softened outputs, or a squared distance.

    Targets are the teacher's logits, float32 ``(batch, …, units)``; predictions are the student's, of the same shape.

    Args:
        temperature: T, above 0; it does not matter where the outputs are numbers.
        activation: ``softmax`` over the last axis; ``sigmoid``, the mean of all labels' divergences; or ``linear`` for
            numbers, the mean of their squared differences.
        name, reduction, dtype: as of any Keras loss.

    Example:
        >>> import numpy as np
        >>> loss = Softened(temperature=2.0, activation="softmax")
        >>> round(float(loss(np.float32([[2.0, 0.0]]), np.float32([[0.0, 0.0]]))), 4)  # 4 · KL((0.731, 0.269) ‖ ½)
        0.4438
    """

    def __init__(
        self,
        temperature: float = 4.0,
        activation: str = "softmax",
        name: str = "softened",
        reduction: str = "sum_over_batch_size",
        dtype: Any = None,
    ) -> None:
        super().__init__(name=name, reduction=reduction, dtype=dtype)
        self.temperature = float(check.between("temperature", temperature, 0.01, 1000.0))
        self.activation = check.one_of("activation", activation, _DISTANCES)

    def call(self, y_true: Any, y_pred: Any) -> Any:
        """The loss of each example."""
        return _DISTANCES[self.activation](y_true, y_pred, self.temperature)

    def get_config(self) -> dict[str, Any]:
        """The settings as plain values."""
        return {**super().get_config(), "temperature": self.temperature, "activation": self.activation}


def student(model: Any, tasks: Sequence[str] | None = None) -> Any:
    """The model that trains a student: the logits of each task once more, as the output ``label_teacher``.

    Args:
        model: a ``keras.Model`` whose outputs are logits: a tensor for one task, or a dict by task.
        tasks: those that are taught; None is all but auxiliary heads. The one output of a model that was not built
            from a recipe has no name: name it here.

    Returns:
        A model that shares all its layers with the one given, and whose output is a dict by task.

    Raises:
        SettingError: the model has no such task, or a name is taken.

    Example:
        >>> from lensmith.compose import Classify, Dense, Recipe, logits
        >>> model = logits(Recipe((4,), None, Dense((3,)), {"label": Classify(2)}).build(seed=0))
        >>> sorted(student(model).output)
        ['label', 'label_teacher']
    """
    outputs = named_outputs(model, tasks)
    again = {}
    for task in [task for task in outputs if not _is_auxiliary(task, outputs)] if tasks is None else tasks:
        name = f"{check.one_of('teacher.tasks', task, outputs)}{SUFFIX}"
        check_free(name, outputs)
        again[name] = keras.layers.Activation("linear", name=f"task-{name}-logits")(outputs[task])
    return keras.Model(model.input, {**outputs, **again}, name=model.name)


def objectives(
    own: Mapping[str, Objective], teaching: Teaching, tasks: Sequence[str] | None = None
) -> dict[str, Objective]:
    """What a student is trained for: its own objectives and its teacher's, weighed by the share.

    Args:
        own: by task, as without a teacher; auxiliary heads and losses on taps among them.
        teaching: temperature and share.
        tasks: those that are taught; None is all that have targets of their own.

    Raises:
        SettingError: there is no such task.

    Example:
        >>> own = {"label": Objective("sparse_categorical_crossentropy", ("accuracy",), "softmax")}
        >>> {name: round(one.weight, 3) for name, one in objectives(own, Teaching(share=0.7)).items()}
        {'label': 0.3, 'label_teacher': 0.7}
    """
    known = [task for task, one in own.items() if one.target is None and not one.tap]
    chosen = [check.one_of("teacher.tasks", task, known) for task in (known if tasks is None else tasks)]
    ordinary = {
        task: replace(one, weight=one.weight * (1.0 - teaching.share)) if (one.target or task) in chosen else one
        for task, one in own.items()
    }
    told = {}
    for task in chosen:
        check_free(f"{task}{SUFFIX}", own)
        loss = Softened(teaching.temperature, own[task].activation)
        told[f"{task}{SUFFIX}"] = Objective(loss, weight=own[task].weight * teaching.share)
    return ordinary | told


def distil(
    model: Any,
    batches: train.Batches,
    *,
    stage: train.Fit,
    objectives_of: Mapping[str, Objective],
    teaching: Teaching,
    tasks: Sequence[str] | None = None,
    validation: train.Batches | None = None,
    folder: Path | None = None,
    resume: bool = False,
    seed: int = 0,
    progress: train.Progress | None = None,
) -> train.History:
    """Train a student for one stage; :func:`lensmith.train.fit` with the teacher's output and objective added.

    Args:
        model: the student, whose outputs are logits; it is trained in place.
        batches: of records that :func:`lensmith.reuse.teacher.taught` gave, so that the teacher's answers are among
            the targets.
        stage: how to train. Names of values begin with the task's, as in ``monitor="val_label_accuracy"``.
        objectives_of: by task, as without a teacher.
        teaching: temperature and share.
        tasks: those that are taught; None is all.
        validation: batches of such records too.
        folder, resume, seed, progress: as of :func:`lensmith.train.fit`.

    Returns:
        The history; the loss in it is the whole one, with the teacher's share.

    Raises:
        LensmithError: as :func:`lensmith.train.fit`.
    """
    return train.fit(
        student(model, tasks),
        batches,
        stage=stage,
        objectives=objectives(objectives_of, teaching, tasks),
        validation=validation,
        folder=folder,
        resume=resume,
        seed=seed,
        progress=progress,
    )


def _is_auxiliary(task: str, outputs: Mapping[str, Any]) -> bool:
    """Whether an output belongs to an auxiliary head."""
    own, mark, number = task.rpartition("_aux")
    return bool(mark) and number.isdigit() and own in outputs


def _between_classes(teacher: Any, pupil: Any, temperature: float) -> Any:
    ops = keras.ops
    log_p = ops.log_softmax(teacher / temperature, axis=-1)
    log_q = ops.log_softmax(pupil / temperature, axis=-1)
    return temperature**2 * ops.sum(ops.exp(log_p) * (log_p - log_q), axis=-1)


def _between_labels(teacher: Any, pupil: Any, temperature: float) -> Any:
    ops = keras.ops
    v, z = teacher / temperature, pupil / temperature
    yes = ops.sigmoid(v) * (ops.log_sigmoid(v) - ops.log_sigmoid(z))
    no = ops.sigmoid(-v) * (ops.log_sigmoid(-v) - ops.log_sigmoid(-z))
    return temperature**2 * ops.mean(yes + no, axis=-1)


def _between_numbers(teacher: Any, pupil: Any, _: float) -> Any:
    return keras.ops.mean(keras.ops.square(teacher - pupil), axis=-1)


_DISTANCES: Mapping[str, _Distance] = {
    "softmax": _between_classes,
    "sigmoid": _between_labels,
    "linear": _between_numbers,
}
