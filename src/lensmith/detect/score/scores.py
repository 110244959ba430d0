"""The scores of a detector: of every class, and of all of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, slots=True)
class ClassScores:
    """The scores of one class, 0..1; all of them None where it has no object that counts.

    Args:
        name: the class.
        objects: how many are to be found; crowds and difficult ones are not.
        found: how many detections it has.
        map: average precision, the mean over the overlaps 0.5, 0.55 … 0.95.
        map50: average precision at an overlap of 0.5.
        map75: at 0.75.
        recall: the share of the objects found by all its detections, the mean over the same overlaps.
        best_precision: at an overlap of 0.5 and the score with the largest F1.
        best_recall: the same.
        best_f1: the same.
        best_score: that score; None too where nothing right was found.
    """

    name: str
    objects: int
    found: int
    map: float | None = None
    map50: float | None = None
    map75: float | None = None
    recall: float | None = None
    best_precision: float | None = None
    best_recall: float | None = None
    best_f1: float | None = None
    best_score: float | None = None

    def to_dict(self) -> dict[str, object]:
        return {name: getattr(self, name) for name in self.__slots__}


@dataclass(frozen=True, slots=True, eq=False)
class DetectionScores:
    """The scores of a detector over a data set, 0..1: means over the classes that have objects.

    A score that nothing could be measured for is None: all of them without any object, ``small`` without small ones.

    Args:
        style: ``coco``, ``voc`` or ``voc07``: which definition of average precision.
        images: how many.
        map: mean average precision, the mean over the overlaps 0.5, 0.55 … 0.95 (COCO's mAP@[.5:.95]).
        map50: at an overlap of 0.5, Pascal VOC's measure.
        map75: at 0.75.
        sizes: ``map`` of the objects that are ``small`` (up to 32² square pixels), ``medium`` (up to 96²) and
            ``large``; COCO's style alone.
        recalls: the mean share of objects found when each class of each image may have 1, 10 and 100 detections.
        size_recalls: the last of these for each size; COCO's style alone.
        classes: the scores of each class, in the order of the names.
        curves: float64 ``(classes, 101)``: the precision at an overlap of 0.5 for the recalls 0, 0.01 … 1, the largest
            at or beyond each; NaN for classes without objects.
    """

    style: str
    images: int
    map: float | None
    map50: float | None
    map75: float | None
    sizes: Mapping[str, float | None]
    recalls: Mapping[int, float | None]
    size_recalls: Mapping[str, float | None]
    classes: tuple[ClassScores, ...]
    curves: np.ndarray

    def to_dict(self) -> dict[str, object]:
        """Everything but the curves, for JSON: plain numbers, and None for what could not be measured."""
        return {
            "map": self.map,
            "map50": self.map50,
            "map75": self.map75,
            **{f"map_{size}": value for size, value in self.sizes.items()},
            **{f"recall_{most}": value for most, value in self.recalls.items()},
            **{f"recall_{size}": value for size, value in self.size_recalls.items()},
            "style": self.style,
            "images": self.images,
            "classes": [row.to_dict() for row in self.classes],
        }
