"""A detector whose answers can be checked by eye: it finds patches of three plain colours in the pixels it is given.

It says of each what a trained detector would: a box, a class and a score, which is lower where the patch reaches an
edge of the picture, so that only a part of it may be seen.
"""

from collections.abc import Mapping, Sequence
from types import SimpleNamespace
from typing import Any

import cv2
import numpy as np

from lensmith.boxes import Thresholds
from lensmith.boxes.suppression import detections, padded
from lensmith.data import decode
from lensmith.records import Labels, Record

NAMES = ("red", "green", "blue")
WHOLE, PART = 0.9, 0.6  # scores


class ColourDetector:
    """Finds patches of pure red, green and blue with sides of at least ``least`` of the picture's."""

    def __init__(self, least: float = 0.0, own: Thresholds | None = None) -> None:
        self.labels: Mapping[str, Labels] = {"objects": Labels("boxes", NAMES)}
        self.recipe: Any = SimpleNamespace(tasks={"objects": SimpleNamespace(thresholds=own or Thresholds())})
        self.least = least
        self.calls: list[int] = []

    def predict(self, examples: Sequence[Any], *, thresholds: Thresholds | None = None) -> dict[str, np.ndarray]:
        asked = thresholds or self.recipe.tasks["objects"].thresholds
        self.calls.append(len(examples))
        found = [detections(self._rows(one), asked) for one in examples]
        return {"objects": np.stack([padded(rows, asked.most) for rows in found])}

    def _rows(self, example: Any) -> np.ndarray:
        pixels = decode(example.image if isinstance(example, Record) else example, 3)
        height, width = pixels.shape[:2]
        rows = [np.zeros((0, 5 + len(NAMES)))]
        for index in range(len(NAMES)):
            mask = (pixels == 255 * np.eye(3, dtype=np.uint8)[index]).all(axis=2).astype(np.uint8)
            for x, y, w, h, _ in cv2.connectedComponentsWithStats(mask)[2][1:].tolist():
                if w >= self.least * width and h >= self.least * height:
                    inside = x > 0 and y > 0 and x + w < width and y + h < height
                    box = np.array([[x / width, y / height, (x + w) / width, (y + h) / height]])
                    scores = (WHOLE if inside else PART) * np.eye(len(NAMES))[index]
                    rows.append(np.concatenate([box, [[1.0]], [scores]], axis=1))
        return np.concatenate(rows)


def canvas(size: tuple[int, int], *patches: tuple[str, tuple[int, int, int, int]]) -> np.ndarray:
    """A gray picture of a height and width with patches: a colour and x1, y1, x2, y2."""
    pixels = np.full((*size, 3), 90, np.uint8)
    for name, (x1, y1, x2, y2) in patches:
        pixels[y1:y2, x1:x2] = 255 * np.eye(3, dtype=np.uint8)[NAMES.index(name)]
    return pixels
