"""What a detector found in labelled images, and how good that is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from lensmith import boxes
from lensmith.boxes import Thresholds
from lensmith.data.targets import check_has, record_size
from lensmith.detect.measure import MEASURED
from lensmith.detect.score import DetectionScores, score
from lensmith.records import Boxes, Labels, Records

_NOTHING = Boxes(np.zeros((0, 4)), np.zeros(0))

__all__ = ["MEASURED", "Detected", "detected"]


@dataclass(frozen=True, slots=True, eq=False)
class Detected:
    """What a detector found in labelled images.

    Args:
        scores: mean average precision and what goes with it.
        truths: the objects of each image.
        found: for each image float32 ``(k, 6)``: x1, y1, x2, y2 in pixels of the image, score, class; the best first,
            down to scores that nobody would be shown.
        thresholds: of the recipe: what is shown to people.
    """

    scores: DetectionScores
    truths: tuple[Boxes, ...]
    found: tuple[np.ndarray, ...]
    thresholds: Thresholds

    def metrics(self) -> dict[str, Any]:
        """The values that stand for the task, the most telling first."""
        return {"map50": self.scores.map50, "map": self.scores.map, "map75": self.scores.map75}


def detected(records: Records, task: str, outputs: np.ndarray, labels: Labels, thresholds: Thresholds) -> Detected:
    """Compare a detector's outputs with the objects of the examples.

    Args:
        records: the examples.
        task: whose boxes they are compared with.
        outputs: float32 ``(examples, most, 6)`` in shares of each image, padded; see :func:`lensmith.boxes.padded`.
        labels: of the task.
        thresholds: of the recipe.

    Raises:
        DataError: an example has no boxes of this task; names it.
    """
    truths, found = [], []
    for record, rows in zip(records, outputs, strict=True):
        check_has(record, task)
        there = record.targets[task]
        truths.append(there if isinstance(there, Boxes) else _NOTHING)
        rows = rows[rows[:, 5] >= 0].copy()
        size = record_size(record)  # boxes end at its edges, as people are shown them
        rows[:, :4] = boxes.clip(boxes.convert(rows[:, :4], "rel_xyxy", "xyxy", size=size), size)
        found.append(rows)
    return Detected(score(truths, found, labels.names), tuple(truths), tuple(found), thresholds)
