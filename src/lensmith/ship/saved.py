"""A trained model as a folder of four files that any backend can load.

``recipe.yaml`` says how to build it, ``weights.safetensors`` holds every weight and moving statistic under its
layer's name, ``labels.json`` what its outputs mean, ``preprocessing.json`` what happens to an example first.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, TypeVar

import numpy as np
import safetensors
import safetensors.numpy

from lensmith import backend, check
from lensmith.backend import keras
from lensmith.boxes import Thresholds
from lensmith.boxes.suppression import detections, padded
from lensmith.compose import Binary, Chain, Recipe, read_yaml
from lensmith.compose.detection import DETECTORS, Detector
from lensmith.compose.tasks import Localise, Task, takes
from lensmith.data import Preprocessing
from lensmith.files import put_file, write_folder
from lensmith.records import Labels, Record
from lensmith.ship.artifact import Example, Outputs, finders, joined, windows

T = TypeVar("T")

RECIPE, WEIGHTS, LABELS, PREPROCESSING = FILES = (
    "recipe.yaml",
    "weights.safetensors",
    "labels.json",
    "preprocessing.json",
)
# One name only: safetensors writes several in an order of chance, and the same weights are to give the same bytes.
_FORMAT = {"format": "lensmith 1"}
_FORMATS = (_FORMAT, {"format": "lensmith", "version": "1"})


@dataclass(frozen=True, slots=True, eq=False)
class Saved:
    """A model with all that is needed to use it.

    Args:
        model: what ``recipe.build()`` made, trained; its outputs are probabilities or numbers.
        recipe: how it is built.
        labels: what its outputs mean, by task; those of tasks it does not have are left out.
        preprocessing: what happens to an example before it enters.

    Raises:
        SettingError: the four do not belong together; names the task or the field.
    """

    model: Any
    recipe: Recipe | Chain
    labels: Mapping[str, Labels]
    preprocessing: Preprocessing

    def __post_init__(self) -> None:
        shape = self.preprocessing.shape
        if shape != self.recipe.input:
            raise check.SettingError(
                check.sentence("preprocessing", f"the shape of the recipe's input, {self.recipe.input}", shape)
            )
        for task in self.recipe.tasks:
            self._check_labels(task)
            self._check_output(task)
        chosen = {task: self.labels[task] for task in self.recipe.tasks}
        object.__setattr__(self, "labels", MappingProxyType(chosen))

    @property
    def thresholds(self) -> dict[str, Thresholds]:
        """Those of the recipe, by task that finds objects."""
        return {task: head.thresholds for task, head in self.recipe.tasks.items() if isinstance(head, DETECTORS)}

    def predict(self, examples: Sequence[Example], *, thresholds: Thresholds | None = None) -> Outputs:
        """The outputs for examples of any sizes: what an :class:`Artifact` of this model gives.

        Args:
            examples: at least one.
            thresholds: which objects count as found; None: those of the recipe.

        Returns:
            For each task, float32 of shape ``(examples, units)``: probabilities or numbers. For one that finds
            objects ``(examples, most, 6)``: x1, y1, x2, y2 as shares of the image, score and class, the best first,
            padded as :func:`lensmith.boxes.padded` does.

        Raises:
            DataError: an example cannot be read, or what comes out for it is not finite; it is named.
            SettingError: there are thresholds, but no task that finds objects.
        """
        chosen = self.thresholds
        if thresholds is not None:
            chosen = dict.fromkeys(finders(tuple(chosen)), thresholds)
        return joined(
            {
                task: _found(window, values, chosen[task]) if task in chosen else values
                for task, values in self._window(window).items()
            }
            for window in windows(examples, rows=self.preprocessing.image is None)
        )

    def candidates(self, examples: Sequence[Example]) -> Outputs:
        """All that the tasks that find objects choose from, before any threshold.

        Returns:
            For each such task float32 ``(examples, N, 5 + classes)``: x1, y1, x2, y2 as shares of the image,
            objectness, and the score of each class.

        Raises:
            DataError: an example cannot be read; it is named.
            SettingError: no task finds objects.
        """
        tasks = finders(tuple(self.thresholds))
        parts = map(self._window, windows(examples, rows=self.preprocessing.image is None))
        return joined({task: outputs[task] for task in tasks} for outputs in parts)

    def _window(self, window: Sequence[Record]) -> Outputs:
        return self._batch(np.stack([self.preprocessing(record) for record in window]))

    def _batch(self, x: np.ndarray) -> Outputs:
        y = backend.predict(self.model, x)
        tasks = list(self.recipe.tasks)
        outputs = y if isinstance(y, dict) else {tasks[0]: y}
        return {task: np.asarray(outputs[task]) for task in tasks}

    def _check_labels(self, task: str) -> None:
        head = self.recipe.tasks[task]
        if task not in self.labels:
            raise check.SettingError(check.sentence("labels", f"those of the task {task!r}", list(self.labels)))
        labels = self.labels[task]
        if not takes(head, labels.kind, len(labels.names)):
            got = f"{len(labels.names)} of kind {labels.kind!r}"
            expected = f"{_names(head)} of kind {head.kind!r}"
            raise check.SettingError(check.sentence(f"labels of {task!r}", expected, got))

    def _check_output(self, task: str) -> None:
        expected = f"task-{task}-{_last(self.recipe.tasks[task])}"
        outputs = self.model.output if isinstance(self.model.output, dict) else {task: self.model.output}
        got = outputs[task]._keras_history.operation.name if task in outputs else "none"
        if got != expected:
            remedy = "Give the model that recipe.build() made, not its view for training"
            raise check.SettingError(check.sentence("model", f"an output of layer {expected}", got, remedy))


def _names(head: Task | Detector) -> int:
    """How many names the labels of a task have."""
    if isinstance(head, Binary):
        return 2
    if isinstance(head, DETECTORS):
        return head.classes
    return head.points if isinstance(head, Localise) and head.points else head.units


def _last(head: Task | Detector) -> str:
    """What the layer of a task's output is called after the task."""
    if isinstance(head, DETECTORS):
        return "detections"
    return "output" if head.output_activation == "linear" else "probabilities"


def _found(window: Sequence[Record], candidates: np.ndarray, thresholds: Thresholds) -> np.ndarray:
    """The detections of each image of a window, float32 ``(images, most, 6)``."""
    found = []
    for record, rows in zip(window, candidates, strict=True):
        try:
            found.append(padded(detections(rows, thresholds), thresholds.most))
        except check.DataError as error:
            raise check.DataError(f"{record.source}: {error}") from error
    return np.stack(found)


def save(folder: Path | str, saved: Saved) -> None:
    """Write a model into ``folder``, whole or not at all; an earlier one there is replaced.

    Raises:
        SettingError: the folder holds other things.
        LensmithError: the disk is full or refuses; an earlier model stays as it is.
    """
    labels = {task: labels.to_dict() for task, labels in saved.labels.items()}
    files = {
        RECIPE: saved.recipe.to_yaml().encode(),
        WEIGHTS: safetensors.numpy.save(arrays_of(saved.model), metadata=_FORMAT),
        LABELS: _json(labels),
        PREPROCESSING: _json(saved.preprocessing.to_dict()),
    }
    write_folder(Path(folder), files)


def save_keras(path: Path | str, saved: Saved) -> None:
    """Write the model alone as a ``.keras`` file, uncompiled, so that it loads on every backend.

    Raises:
        SettingError: the name does not end in ``.keras``.
        LensmithError: the disk is full or refuses; an earlier file stays as it is.
    """
    path = Path(path)
    if path.suffix != ".keras":
        raise check.SettingError(check.sentence(str(path), "a name that ends in .keras", repr(path.suffix)))
    # A view of the same layers: the model itself may be compiled, and an optimizer of torch loads on torch only.
    view = keras.Model(saved.model.input, saved.model.output, name=saved.model.name)
    put_file(path, lambda beside: view.save(os.fspath(beside)))


def load(folder: Path | str) -> Saved:
    """Build the model that :func:`save` wrote, on the backend in use.

    Raises:
        DataError: a file is missing or damaged, or a weight does not fit its layer; one line names it.
    """
    folder = Path(folder)
    if not folder.is_dir():
        expected = f"a folder with {', '.join(FILES)}"
        raise check.DataError(check.sentence(str(folder), expected, "no such folder"))
    recipe = _parsed(folder / RECIPE, read_yaml)
    labels = _parsed(folder / LABELS, _labels)
    preprocessing = _parsed(folder / PREPROCESSING, lambda text: Preprocessing.from_dict(json.loads(text)))
    model = recipe.build(seed=0)
    assign(model, _arrays(folder / WEIGHTS), str(folder / WEIGHTS))
    try:
        return Saved(model, recipe, labels, preprocessing)
    except check.SettingError as error:
        raise check.DataError(f"{folder}: {error}") from error


def arrays_of(model: Any) -> dict[str, np.ndarray]:
    """Every weight and moving statistic of a model, by ``layer/weight``; the states of random generators are none."""
    return {
        variable.path: np.require(keras.ops.convert_to_numpy(variable.value), requirements="C")
        for variable in model.weights
    }


def assign(model: Any, arrays: Mapping[str, np.ndarray], place: str) -> None:
    """Put every weight in its place; a name or a shape that differs is refused before any is changed.

    Raises:
        DataError: names the weight.
    """
    weights = {variable.path: variable for variable in model.weights}
    for name in sorted(weights.keys() | arrays.keys()):
        expected = f"an array of shape {tuple(weights[name].shape)}" if name in weights else "no such weight"
        got = f"an array of shape {arrays[name].shape}" if name in arrays else "none"
        if got != expected:
            remedy = "The recipe and the weights do not belong together"
            raise check.DataError(check.sentence(f"{place}: {name}", expected, got, remedy))
    for name, variable in weights.items():
        variable.assign(arrays[name])


def _json(values: Any) -> bytes:
    return (json.dumps(values, indent=1, ensure_ascii=False) + "\n").encode()


def _labels(text: str) -> dict[str, Labels]:
    return {task: Labels.from_dict(values) for task, values in json.loads(text).items()}


def _parsed(path: Path, parse: Callable[[str], T]) -> T:
    try:
        return parse(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise check.DataError(f"{path}: {_reason(error)}") from error
    except check.LensmithError as error:
        raise check.DataError(f"{path}: {error}") from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise check.DataError(f"{path}: not what was written there: {_reason(error)}") from error


def _arrays(path: Path) -> dict[str, np.ndarray]:
    """The weights of a file by name.

    Raises:
        DataError: it is missing, cut short, or not of this format.
    """
    try:
        with safetensors.safe_open(path, framework="numpy") as file:
            metadata = file.metadata()
            arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118, it is no mapping
    except (OSError, safetensors.SafetensorError) as error:
        raise check.DataError(f"{path}: {_reason(error)}") from error
    if metadata not in _FORMATS:
        raise check.DataError(check.sentence(str(path), f"the metadata {_FORMAT}", metadata))
    return arrays


def _reason(error: Exception) -> str:
    text = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return " ".join(text.split()) or type(error).__name__
