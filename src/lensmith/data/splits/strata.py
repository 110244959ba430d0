"""What is kept in proportion: classes, labels, boxes, ranges of a number."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from lensmith import check
from lensmith.records import Boxes, Kind, Records

_ORDER: tuple[Kind, ...] = ("class", "classes", "boxes", "number")  # what is looked for, where no task is named
_BINS = 10  # ranges of a number, each with as many examples as the others
_LEAST = 10  # examples of a range


@dataclass(frozen=True, slots=True)
class Strata:
    """What each example counts for.

    Args:
        marks: of each example the strata it counts for, as numbers below ``count``.
        count: how many strata there are.
        kind: ``class`` (one each, and every stratum must stand in every part), ``range`` (one each), ``labels``
            (any number each) or ``all`` (one and the same).
        names: of the strata, for messages.
    """

    marks: tuple[tuple[int, ...], ...]
    count: int
    kind: Literal["class", "range", "labels", "all"]
    names: tuple[str, ...] = ()

    def select(self, places: Sequence[int]) -> Strata:
        return Strata(tuple(self.marks[place] for place in places), self.count, self.kind, self.names)


def choose_task(records: Records, stratify: str | None) -> str | None:
    """The task to keep in proportion: as asked, else the first of classes, of labels, of boxes, of numbers.

    Raises:
        SettingError: there is no such task, or none whose proportions can be kept.
    """
    fit = [task for kind in _ORDER for task, labels in records.labels.items() if labels.kind == kind]
    if stratify is None:
        return fit[0] if fit else None
    return check.one_of("stratify", stratify, fit)


def strata(records: Records, task: str | None) -> Strata:
    """What each example counts for in a task; an image of boxes counts once for each class that it shows.

    An example without a target counts, among classes and numbers, for a stratum of its own kind.
    """
    if task is None:
        return Strata(((0,),) * len(records), 1, "all", ("all",))
    labels = records.labels[task]
    targets = [record.targets.get(task) for record in records]
    if labels.kind == "number":
        return _ranges(targets)
    if labels.kind == "class":
        none = len(labels.names)
        classes = [none if target is None else int(target) for target in targets]  # type: ignore[arg-type]
        return Strata(tuple((one,) for one in classes), max([none, *classes]) + 1, "class", labels.names)
    marks = tuple(_shown(target) for target in targets)
    return Strata(marks, max((mark for one in marks for mark in one), default=0) + 1, "labels", labels.names)


def _shown(target: object) -> tuple[int, ...]:
    if isinstance(target, Boxes):
        return tuple(np.unique(target.classes).tolist())
    return tuple(sorted(set(target))) if isinstance(target, tuple) else ()


def _ranges(targets: Sequence[object]) -> Strata:
    """Ranges of equal frequency; of several numbers, an example counts for one range of each."""
    width = max((len(target) for target in targets if isinstance(target, tuple)), default=0)
    table = np.full((len(targets), max(width, 1)), np.nan)
    for place, target in enumerate(targets):
        if isinstance(target, tuple):
            table[place, : len(target)] = target
    columns = [_bins(column) + (_BINS + 1) * number for number, column in enumerate(table.T)]
    marks = tuple(map(tuple, np.stack(columns, axis=1).tolist()))
    return Strata(marks, (_BINS + 1) * len(columns), "range" if len(columns) == 1 else "labels")


def _bins(values: np.ndarray) -> np.ndarray:
    """The range of each value, 0 the lowest; what is no finite number is in the last."""
    finite = np.isfinite(values)
    bins = np.full(len(values), _BINS)
    if finite.any():
        count = int(np.clip(finite.sum() // _LEAST, 1, _BINS))
        edges = np.quantile(values[finite], np.arange(1, count) / count)
        bins[finite] = np.searchsorted(edges, values[finite], side="right")
    return bins
