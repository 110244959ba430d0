"""How good a model is: its outputs on labelled examples, and what they come to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
from sklearn import metrics as scores

from lensmith import boxes, data, ship
from lensmith.compose.detection import DETECTORS
from lensmith.compose.overlap import OVERLAPS
from lensmith.compose.tasks import Localise, Task
from lensmith.records import Labels, Problem, Records
from lensmith.runs.detected import MEASURED, Detected, detected
from lensmith.runs.matching import match_labels
from lensmith.runs.report import ClassRow, confusion, per_class, per_label


@dataclass(frozen=True, slots=True, eq=False)
class Scores:
    """What a model makes of labelled examples.

    Args:
        loss: the weighted sum over the tasks, but for detectors; None where all are.
        metrics: by name; with several tasks the name begins with the task's.
        confusion: for each task of classes, an int array of shape (true, predicted).
        outputs: probabilities or numbers by task, float32 of shape (examples, units).
        truth: targets by task: int of shape (examples,), or float of shape (examples, units).
        examples: how many there were.
        set_aside: files that could not be read, and so do not count.
        detections: of each task that finds objects, what it found and how good that is; these are not among the
            outputs.
    """

    loss: float | None
    metrics: Mapping[str, float]
    confusion: Mapping[str, np.ndarray]
    outputs: Mapping[str, np.ndarray]
    truth: Mapping[str, np.ndarray]
    labels: Mapping[str, Labels]
    examples: int
    set_aside: tuple[Problem, ...] = ()
    detections: Mapping[str, Detected] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """What JSON holds: the loss, every metric, and for each task of classes the counts of each class."""
        detectors = {task: one.scores.to_dict() for task, one in self.detections.items()}
        return {
            **({} if self.loss is None else {"loss": self.loss}),
            **self.metrics,
            **({"detectors": detectors} if detectors else {}),
            "examples": self.examples,
            "classes": self.classes(),
            "set_aside": [asdict(problem) for problem in self.set_aside],
        }

    def classes(self) -> dict[str, list[dict[str, Any]]]:
        """For each task of classes, a row a class: name, examples, correct, predicted, precision, recall, f1."""
        counted = {task: self._counts(task) for task in self.labels if self.labels[task].kind in ("class", "classes")}
        found = {task: [row.to_dict() for row in one.scores.classes] for task, one in self.detections.items()}
        return found | {
            task: [
                {**asdict(row), "correct": int(correct), "predicted": int(predicted)}
                for row, correct, predicted in zip(rows, *counts, strict=True)
            ]
            for task, (rows, counts) in counted.items()
        }

    def _counts(self, task: str) -> tuple[tuple[ClassRow, ...], tuple[np.ndarray, np.ndarray]]:
        names = self.labels[task].names
        if task in self.confusion:
            table = self.confusion[task]
            return per_class(table, names), (np.diag(table), table.sum(axis=0))
        truth, given = self.truth[task] > 0.5, self.outputs[task] > 0.5
        return per_label(truth, given, names), ((truth & given).sum(axis=0), given.sum(axis=0))


def score(model: ship.Saved | ship.Artifact, records: Records) -> Scores:
    """Run a model over labelled examples.

    Args:
        model: a trained model or a shipped artifact.
        records: their labels are matched with the model's by name.

    Raises:
        DataError: a task or a class of the examples is unknown to the model.
    """
    detectors = [task for task, head in model.recipe.tasks.items() if isinstance(head, DETECTORS)]
    records = match_labels(records, model.labels, detectors)
    tasks = {task: head for task, head in model.recipe.tasks.items() if task not in detectors}
    truth = {task: data.to_array(records, task) for task in tasks}
    outputs = model.predict(records, thresholds=MEASURED if detectors else None)
    detections = {
        task: detected(records, task, outputs.pop(task), model.labels[task], model.recipe.tasks[task].thresholds)  # type: ignore[union-attr]
        for task in detectors
    }
    loss = 0.0 if tasks else None
    found: dict[str, float] = {}
    several = len(tasks) + len(detections) > 1
    for task, head in tasks.items():
        values = _measure(head, truth[task], outputs[task])
        loss = (loss or 0.0) + head.weight * values["loss"]
        if several:
            found |= {f"{task}_{name}": value for name, value in values.items()}
        else:
            found |= {name: value for name, value in values.items() if name != "loss"}
    for task, one in detections.items():
        found |= {f"{task}_{name}" if several else name: value for name, value in one.metrics().items()}
    tables = {
        task: confusion(truth[task], chosen(outputs[task]), len(model.labels[task].names))
        for task, head in tasks.items()
        if head.kind == "class"
    }
    aside = records.set_aside
    return Scores(loss, found, tables, outputs, truth, model.labels, len(records), aside, detections)


def chosen(outputs: np.ndarray) -> np.ndarray:
    """The class each row of probabilities speaks for, int64 of shape (examples,); one column is a yes or no."""
    answers: np.ndarray = outputs[:, 0] > 0.5 if outputs.shape[1] == 1 else outputs.argmax(axis=1)
    return answers.astype(np.int64)


def _measure(head: Task, truth: np.ndarray, outputs: np.ndarray) -> dict[str, float]:
    """The loss of one head and its metrics, by name."""
    if isinstance(head, Localise):
        return _measure_boxes(head, truth, outputs)
    if head.kind == "number":
        return {
            "loss": float(scores.mean_squared_error(truth, outputs)),
            "mean_absolute_error": float(scores.mean_absolute_error(truth, outputs)),
        }
    probabilities = outputs.astype(np.float64)
    if head.kind == "class" and outputs.shape[1] > 1:
        of_truth = probabilities[np.arange(len(truth)), truth]
        right = chosen(outputs) == truth
    else:  # each output a yes or no of its own
        truth = truth.reshape(outputs.shape) > 0.5
        of_truth = np.where(truth, probabilities, 1 - probabilities)
        right = (outputs > 0.5) == truth
    # Keras' own bound on a probability, so that one sure mistake does not make the loss infinite.
    losses = -np.log(np.clip(of_truth, 1e-7, 1.0))
    return {"loss": float(losses.mean()), "accuracy": float(right.mean())}


def _measure_boxes(head: Localise, truth: np.ndarray, outputs: np.ndarray) -> dict[str, float]:
    """The same for a head of one box or of key points: shares of the image, ``(examples, 4)`` or ``(examples, k, 2)``.

    The mean absolute error is that of a coordinate; a box has its overlap with the true one too.
    """
    given = outputs.astype(np.float64)
    off = np.abs(given - truth)
    losses = off**2
    if head.distance == "smooth-l1":
        losses = np.where(off <= head.bend, off**2 / 2, head.bend * (off - head.bend / 2))
    found = {"loss": float(losses.mean()), "mean_absolute_error": float(off.mean())}
    if head.points:
        return found
    if head.distance in OVERLAPS:  # as OverlapLoss has it
        disorder = np.maximum(given[:, :2] - given[:, 2:], 0).sum(axis=1)
        found["loss"] = float(np.mean(1 - _overlaps(head.distance, truth, given) + disorder))
    return found | {"iou": float(np.mean(_overlaps("iou", truth, given)))}


def _overlaps(measure: str, truth: np.ndarray, given: np.ndarray) -> np.ndarray:
    """One of the measures of overlap, box by box: float64 of shape (examples,)."""
    between = getattr(boxes, measure)
    return np.array([between(true[None], found[None])[0, 0] for true, found in zip(truth, given, strict=True)])
