"""Predictions with names: what a model or an artifact says of images, for people and for JSON."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from lensmith import check
from lensmith.boxes import clip, convert
from lensmith.data.targets import image_size
from lensmith.records import Labels, Record
from lensmith.ship.artifact import Example, name_of
from lensmith.ship.proof import Predictor

_CORNERS = ("x1", "y1", "x2", "y2")  # what an answer of kind boxes holds


@dataclass(frozen=True, slots=True)
class Scored:
    """A name and its probability, 0..1; or, for a regression, its number; or a side of a box in pixels."""

    label: str
    score: float


@dataclass(frozen=True, slots=True)
class Found(Scored):
    """An object that was found: its class, its score 0..1, and its box, x1, y1, x2, y2 in pixels of the upright image.

    The box is cut at the image's edges.
    """

    box: tuple[float, float, float, float]


@dataclass(frozen=True, slots=True)
class Prediction:
    """What was said of one example.

    Args:
        source: the file, or what else names the example.
        tasks: for each task the names with their probabilities, most probable first; numbers in their own order; of a
            task that finds objects all that were found as :class:`Found`, the best first, none outside the image.
    """

    source: str
    tasks: Mapping[str, tuple[Scored, ...]]

    def to_dict(self) -> dict[str, Any]:
        """A form that JSON holds."""
        return {
            "source": self.source,
            "tasks": {task: [asdict(one) for one in scored] for task, scored in self.tasks.items()},
        }


def predict(model: Predictor, images: Sequence[Example], *, top: int = 3) -> list[Prediction]:
    """Predict, and name what was predicted.

    Args:
        model: a saved model or an opened artifact; both say the same.
        images: files, uint8 pixels ``(height, width, channels)``, records, or rows of numbers.
        top: how many classes to name at most; of a task with several classes at once, also all from 0.5 on.

    Returns:
        One prediction for each image, in order.

    Raises:
        DataError: an image cannot be read; it is named.
    """
    check.positive("top", top)
    if not len(images):
        return []
    outputs = model.predict(images)
    return [
        Prediction(
            name_of(image, i),
            {task: _answer(values[i], model.labels[task], image, top=top) for task, values in outputs.items()},
        )
        for i, image in enumerate(images)
    ]


def _answer(values: np.ndarray, labels: Labels, example: Example, *, top: int) -> tuple[Scored, ...]:
    """As :func:`named`; a box in pixels of this image, upright."""
    if labels.kind not in ("boxes", "points"):
        return named(values, labels, top=top)
    image = example.image if isinstance(example, Record) else example
    size = image_size(image, "image") if image is not None else None
    if labels.kind == "points":
        # A point is a box without extent.
        return _points(convert(np.tile(values.reshape(-1, 2), 2), "rel_xyxy", "xyxy", size=size)[:, :2], labels)
    if values.ndim == 1:  # the one box of a localiser
        return named(_inside(convert(values, "rel_xyxy", "xyxy", size=size), size), labels, top=top)
    rows = values[values[:, 5] >= 0]
    boxes = _inside(convert(rows[:, :4], "rel_xyxy", "xyxy", size=size), size)
    there = (boxes[:, :2] < boxes[:, 2:]).all(axis=1)
    return tuple(_object(row, box, labels) for row, box in zip(rows[there], boxes[there], strict=True))


def _inside(boxes: np.ndarray, size: tuple[int, int] | None) -> np.ndarray:
    return boxes if size is None else clip(boxes, size)


def _object(row: np.ndarray, box: np.ndarray, labels: Labels) -> Found:
    x1, y1, x2, y2 = box.tolist()
    return Found(labels.names[int(row[5])], float(row[4]), (x1, y1, x2, y2))


def _points(points: np.ndarray, labels: Labels) -> tuple[Scored, ...]:
    """The x and the y of each point, in pixels."""
    listed = zip(labels.names, points.tolist(), strict=True)
    return tuple(
        Scored(f"{name} {axis}", value) for name, point in listed for axis, value in zip("xy", point, strict=True)
    )


def named(values: np.ndarray, labels: Labels, *, top: int) -> tuple[Scored, ...]:
    """Put names to the outputs of one example and task.

    Example:
        >>> named(np.array([0.25]), Labels("class", ("benign", "malignant")), top=2)
        (Scored(label='benign', score=0.75), Scored(label='malignant', score=0.25))
    """
    if labels.kind == "class" and len(values) == 1:  # the one output is the probability of the second name
        values = np.array([1 - values[0], values[0]])
    names = _CORNERS if labels.kind == "boxes" else labels.names
    scored = [Scored(name, float(value)) for name, value in zip(names, values, strict=True)]
    if labels.kind in ("number", "boxes"):
        return tuple(scored)
    if labels.kind == "classes":
        top = max(top, sum(one.score >= 0.5 for one in scored))
    return tuple(sorted(scored, key=lambda one: -one.score)[:top])
