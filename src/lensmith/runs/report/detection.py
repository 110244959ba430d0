"""What a detector did, as a report says it: plain records."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

SIZES = ("small", "medium", "large")
# In the order of the page: what went wrong, and what its pictures show.
KINDS: Mapping[str, str] = {
    "missed": "Objects that were not found, the largest first",
    "invented": "What was found where no such object is, the surest first",
    "confused": "What was found at the right place and called by a wrong name, the surest first",
}


@dataclass(frozen=True, slots=True)
class ClassScore:
    """How well one class is found; shares 0..1, None where there is nothing to measure.

    Args:
        name: of the class.
        objects: how many are to be found.
        found: how many detections there are, down to scores that nobody is shown.
        map50: average precision at an overlap of 0.5.
        map: the mean over the overlaps 0.5, 0.55 … 0.95.
        best_precision, best_recall, best_f1: at an overlap of 0.5 and ``best_score``, where F1 is largest.
        best_score: that score.
    """

    name: str
    objects: int
    found: int
    map50: float | None = None
    map: float | None = None
    best_precision: float | None = None
    best_recall: float | None = None
    best_f1: float | None = None
    best_score: float | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Pictured:
    """An image in which a detector was wrong.

    Args:
        source: the file, or file and line, it came from.
        says: what is wrong in it, a sentence part each.
        image: uint8 ``(height, width, 3)`` with what is there and what was found; None where it is lost.
    """

    source: str
    says: tuple[str, ...] = ()
    image: np.ndarray | None = None


@dataclass(frozen=True, slots=True)
class AnchorMap:
    """The anchors of one map of a detector.

    Args:
        name: of the map.
        sizes: width and height of each anchor in pixels of the model's input.
    """

    name: str
    sizes: tuple[tuple[float, float], ...]


@dataclass(frozen=True, slots=True, eq=False)
class Detection:
    """How well a detector finds the objects of a part.

    Args:
        scores: shares 0..1 by name: ``map``, ``map50``, ``map75``, ``map_small`` …, ``recall_1``, ``recall_10``,
            ``recall_100``, ``recall_small`` …; None where nothing could be measured.
        classes: one row a class.
        curves: float64 ``(classes, 101)``: the precision at the recalls 0, 0.01 … 1 and an overlap of 0.5; NaN for
            classes without objects.
        counts: ``matched``, ``missed``, ``invented`` and ``confused`` at ``threshold``.
        threshold: the score from which on people are shown what was found.
        images: how many there were.
        pairs: how often objects of one class were called by another's name, the most frequent first: truth, name
            given, times.
        pictures: by kind of mistake, the worst first.
    """

    scores: Mapping[str, float | None]
    classes: tuple[ClassScore, ...] = ()
    curves: np.ndarray = field(default_factory=lambda: np.zeros((0, 101)))
    counts: Mapping[str, int] = field(default_factory=dict)
    threshold: float = 0.0
    images: int = 0
    pairs: tuple[tuple[str, str, int], ...] = ()
    pictures: Mapping[str, tuple[Pictured, ...]] = field(default_factory=dict)

    @property
    def objects(self) -> int:
        """How many are to be found at the threshold."""
        return sum(self.counts.get(name, 0) for name in ("matched", "missed", "confused"))

    @property
    def measured(self) -> tuple[ClassScore, ...]:
        """The classes that have objects."""
        return tuple(row for row in self.classes if row.objects)

    @property
    def by_size(self) -> tuple[tuple[str, float | None, float | None], ...]:
        """Name, mean average precision and recall of all objects, then of each size."""
        rows = [("all", self.scores.get("map"), self.scores.get("recall_100"))]
        rows += [(size, self.scores.get(f"map_{size}"), self.scores.get(f"recall_{size}")) for size in SIZES]
        return tuple(rows)
