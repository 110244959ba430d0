"""How good a model is: its outputs on labelled examples, and what they come to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
from sklearn import metrics as scores

from lensmith import boxes, check, data, ship
from lensmith.compose.tasks import Localise, Task
from lensmith.records import Labels, Problem, Records
from lensmith.runs.report import ClassRow, confusion, per_class, per_label


@dataclass(frozen=True, slots=True, eq=False)
class Scores:
    """What a model makes of labelled examples.

    Args:
        loss: the weighted sum over the tasks.
        metrics: by name; with several tasks the name begins with the task's.
        confusion: for each task of classes, an int array of shape (true, predicted).
        outputs: probabilities or numbers by task, float32 of shape (examples, units).
        truth: targets by task: int of shape (examples,), or float of shape (examples, units).
        examples: how many there were.
        set_aside: files that could not be read, and so do not count.
    """

    loss: float
    metrics: Mapping[str, float]
    confusion: Mapping[str, np.ndarray]
    outputs: Mapping[str, np.ndarray]
    truth: Mapping[str, np.ndarray]
    labels: Mapping[str, Labels]
    examples: int
    set_aside: tuple[Problem, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """What JSON holds: the loss, every metric, and for each task of classes the counts of each class."""
        return {
            "loss": self.loss,
            **self.metrics,
            "examples": self.examples,
            "classes": self.classes(),
            "set_aside": [asdict(problem) for problem in self.set_aside],
        }

    def classes(self) -> dict[str, list[dict[str, Any]]]:
        """For each task of classes, a row a class: name, examples, correct, predicted, precision, recall, f1."""
        counted = {task: self._counts(task) for task in self.labels if self.labels[task].kind in ("class", "classes")}
        return {
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
    records = match_labels(records, model.labels)
    tasks = model.recipe.tasks
    truth = {task: data.to_array(records, task) for task in tasks}
    outputs = model.predict(records)
    loss = 0.0
    found: dict[str, float] = {}
    for task, head in tasks.items():
        values = _measure(head, truth[task], outputs[task])
        loss += head.weight * values["loss"]
        if len(tasks) > 1:
            found |= {f"{task}_{name}": value for name, value in values.items()}
        else:
            found |= {name: value for name, value in values.items() if name != "loss"}
    tables = {
        task: confusion(truth[task], chosen(outputs[task]), len(model.labels[task].names))
        for task, head in tasks.items()
        if head.kind == "class"
    }
    return Scores(loss, found, tables, outputs, truth, model.labels, len(records), records.set_aside)


def match_labels(records: Records, labels: Mapping[str, Labels]) -> Records:
    """The same records with class indices that mean what the model's do: matched by name.

    Raises:
        DataError: names the task or the classes that the model does not know.
    """
    maps = {task: _places(records, task, known) for task, known in labels.items()}
    items = tuple(
        replace(record, targets={task: _moved(record.targets[task], maps[task]) for task in labels})
        for record in records
    )
    return replace(records, items=items, labels=dict(labels))


def chosen(outputs: np.ndarray) -> np.ndarray:
    """The class each row of probabilities speaks for, int64 of shape (examples,); one column is a yes or no."""
    answers: np.ndarray = outputs[:, 0] > 0.5 if outputs.shape[1] == 1 else outputs.argmax(axis=1)
    return answers.astype(np.int64)


def _places(records: Records, task: str, known: Labels) -> tuple[int, ...] | None:
    """Where each of the data's classes stands among the model's; None where targets are numbers or boxes."""
    if task not in records.labels:
        got = ", ".join(records.labels) or "none"
        raise check.DataError(
            check.sentence(records.name, f"labels for the model's task {task!r}", f"labels for {got}")
        )
    here = records.labels[task]
    if here.kind != known.kind:
        raise check.DataError(check.sentence(f"{records.name}: {task}", f"targets of kind {known.kind}", here.kind))
    if known.kind in ("number", "boxes"):
        return None
    strange = [name for name in here.names if name not in known.names]
    if strange:
        expected = f"classes the model knows ({', '.join(known.names)})"
        raise check.DataError(check.sentence(f"{records.name}: {task}", expected, ", ".join(strange)))
    return tuple(known.names.index(name) for name in here.names)


def _moved(target: Any, places: tuple[int, ...] | None) -> Any:
    if places is None:
        return target
    return tuple(places[index] for index in target) if isinstance(target, tuple) else places[target]


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
    """The same for a head of one box: float arrays of shape (examples, 4), shares of the image."""
    off = np.abs(outputs.astype(np.float64) - truth)
    losses = off**2
    if head.distance == "smooth-l1":
        losses = np.where(off <= head.bend, off**2 / 2, head.bend * (off - head.bend / 2))
    overlaps = [boxes.iou(true[None], given[None])[0, 0] for true, given in zip(truth, outputs, strict=True)]
    return {
        "loss": float(losses.mean()),
        "mean_absolute_error": float(off.mean()),
        "iou": float(np.mean(overlaps)),
    }
