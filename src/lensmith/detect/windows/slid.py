"""What a sliding window found: the scores of every window, the best of them, and boxes after suppression."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lensmith import check
from lensmith.boxes.suppression import detections
from lensmith.boxes.thresholds import Thresholds

USUAL = Thresholds(score=0.6, iou=0.2, classwise=False)  # of Michelucci's chapter on the sliding window


@dataclass(frozen=True, slots=True)
class Best:
    """The window with the highest score.

    Args:
        box: x1, y1, x2, y2 in pixels of the image.
        label: the class.
        score: of this class.
    """

    box: tuple[float, float, float, float]
    label: int
    score: float


@dataclass(frozen=True, slots=True, eq=False)
class Slid:
    """The scores of all windows, scale by scale, in each row by row.

    Args:
        boxes: float32 ``(n, 4)``: x1, y1, x2, y2 in pixels of the image.
        scores: float32 ``(n, classes)``: what the model gave for each.
        grids: for each scale how many windows there are down and across.
        background: the class that says that there is no object, where there is one.
    """

    boxes: np.ndarray
    scores: np.ndarray
    grids: tuple[tuple[int, int], ...]
    background: int | None = None

    def __post_init__(self) -> None:
        if self.background is not None:
            check.one_of("background", self.background, range(self.scores.shape[1]))

    def best(self, label: int | None = None) -> Best:
        """The window with the highest score of any object, or of one class; of equals the first.

        Raises:
            SettingError: there is no such class.
        """
        scores = self.scores.copy()
        if label is not None:
            check.one_of("label", label, range(scores.shape[1]))
            scores[:, np.arange(scores.shape[1]) != label] = -np.inf
        elif self.background is not None:
            scores[:, self.background] = -np.inf
        window, found = np.unravel_index(int(np.argmax(scores)), scores.shape)
        x1, y1, x2, y2 = (float(number) for number in self.boxes[window])
        return Best((x1, y1, x2, y2), int(found), float(self.scores[window, found]))

    def map(self, label: int | None = None, scale: int = 0) -> np.ndarray:
        """The scores of one class, or the highest of any object's, as the windows lie in the image.

        Args:
            label: the class; None takes for each window that of its likeliest object.
            scale: which of the scales, counting from 0.

        Returns:
            float32 ``(windows down, windows across)``.

        Raises:
            SettingError: there is no such class or scale.
        """
        check.one_of("scale", scale, range(len(self.grids)))
        first = sum(rows * columns for rows, columns in self.grids[:scale])
        rows, columns = self.grids[scale]
        scores = self.scores[first : first + rows * columns]
        if label is not None:
            check.one_of("label", label, range(scores.shape[1]))
            return scores[:, label].reshape(rows, columns).copy()
        return np.asarray(self._objects(scores).max(axis=1).reshape(rows, columns))

    def detections(self, thresholds: Thresholds = USUAL) -> np.ndarray:
        """What was found, after non-maximum suppression.

        A window whose likeliest class is the background counts for nothing.

        Returns:
            float32 ``(k, 6)``: x1, y1, x2, y2 in pixels of the image, score, class; best first.
        """
        scores = self._objects(self.scores)
        if self.background is not None:
            scores[np.argmax(self.scores, axis=1) == self.background] = 0
        certain = np.ones((len(scores), 1), np.float32)
        return detections(np.concatenate([self.boxes, certain, scores], axis=1), thresholds)

    def _objects(self, scores: np.ndarray) -> np.ndarray:
        """The scores with 0 for the background, so that classes keep their numbers."""
        scores = scores.copy()
        if self.background is not None:
            scores[:, self.background] = 0
        return scores
