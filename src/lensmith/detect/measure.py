"""Mean average precision of a detector while it trains: of the validation part, after each epoch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from lensmith import boxes
from lensmith.backend import keras
from lensmith.boxes import Thresholds
from lensmith.detect.score import score
from lensmith.records import Boxes

# Darknet's own for measuring: hardly anything is left out, and a box may count for several classes.
MEASURED = Thresholds(score=0.005, iou=0.45, most=100, best=False)
_SPAN = 1000.0  # shares of the image as pixels of a square: overlaps do not change with the sides


@dataclass(frozen=True, slots=True)
class MeanAveragePrecision:
    """``map50`` (at IoU 0.5) and ``map`` (over IoU 0.5 to 0.95), as COCO has them.

    Args:
        decode: the layer that makes boxes of the raw numbers, ``task-NAME-detections``.
        names: of the classes.
        thresholds: which candidates are measured.
    """

    decode: Any
    names: tuple[str, ...]
    thresholds: Thresholds = MEASURED

    @property
    def directions(self) -> Mapping[str, Literal["min", "max"]]:
        """The values' names; of each more is better."""
        return {"map50": "max", "map": "max"}

    def begin(self) -> Precision:
        """A measure of a new pass."""
        return Precision(self)


@dataclass(slots=True)
class Precision:
    """Objects and detections, as they come in."""

    measure: MeanAveragePrecision
    truths: list[Boxes] = field(default_factory=list)
    found: list[np.ndarray] = field(default_factory=list)

    def add(self, y: np.ndarray, outputs: np.ndarray) -> None:
        """Take in targets ``(n, M, 6)`` and raw numbers ``(n, N, 5 + C)``."""
        decoded = np.asarray(keras.ops.convert_to_numpy(self.measure.decode(outputs)))
        self.truths += [truth_of(rows) for rows in y]
        self.found += [detected(rows, self.measure.thresholds) for rows in decoded]

    def result(self) -> Mapping[str, float]:
        """The values over all that came in; 0 where there is no object at all."""
        scores = score(self.truths, self.found, self.measure.names)
        return {"map50": scores.map50 or 0.0, "map": scores.map or 0.0}


def detected(rows: np.ndarray, thresholds: Thresholds) -> np.ndarray:
    """Candidates of one image, ``(N, 5 + C)`` in shares, as detections ``(k, 6)`` in pixels of a square.

    Those that are no finite numbers are none: it is for the loss to say that a model has diverged.
    """
    found = boxes.detections(rows[np.isfinite(rows).all(axis=1)], thresholds)
    found[:, :4] = found[:, :4].clip(0, 1) * _SPAN
    return found


def truth_of(rows: np.ndarray) -> Boxes:
    """The objects of one image from its targets, ``(M, 6)``, in the same pixels; what does not count is difficult."""
    there = rows[rows[:, 4] >= 0]
    return Boxes(there[:, :4] * _SPAN, there[:, 4].astype(np.int64), difficult=there[:, 5] == 0)
