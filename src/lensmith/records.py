"""The exchange record: every reader makes these, every consumer takes them.

A :class:`Record` is one example: an image or a row of numbers, its targets by task, and the place
it came from. :class:`Records` is a sequence of them with what their targets mean (:class:`Labels`)
and the files that were set aside (:class:`Problem`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal, overload

import numpy as np

from lensmith import check

PARTS = ("train", "validation", "test")

Kind = Literal["class", "classes", "number", "points", "boxes", "mask"]
KINDS: tuple[Kind, ...] = ("class", "classes", "number", "points", "boxes", "mask")


@dataclass(frozen=True, slots=True)
class Boxes:
    """Rectangles of one image.

    Args:
        xyxy: float32 array of shape ``(n, 4)``: x1, y1, x2, y2 in pixels.
        classes: int64 array of shape ``(n,)``: the class of each box.
    """

    xyxy: np.ndarray
    classes: np.ndarray

    def __post_init__(self) -> None:
        corners = np.asarray(self.xyxy, np.float32)
        classes = np.asarray(self.classes, np.int64).reshape(-1)
        if corners.shape == (0,):  # what an empty list becomes
            corners = corners.reshape(0, 4)
        if corners.ndim != 2 or corners.shape[1] != 4:
            raise check.DataError(check.sentence("boxes", "an array of shape (n, 4)", f"shape {corners.shape}"))
        if len(corners) != len(classes):
            expected = f"one class a box ({len(corners)})"
            raise check.DataError(check.sentence("boxes", expected, f"{len(classes)} classes"))
        object.__setattr__(self, "xyxy", corners)
        object.__setattr__(self, "classes", classes)


# What a target is, by the kind of its labels:
#   class    int                    index into the names
#   classes  tuple of int           any number of indices into the names
#   number   tuple of float         one number a name
#   points   (n, 2) float32 array   x, y in pixels, one point a name
#   boxes    Boxes
#   mask     (height, width) uint8 array of class indices, or the path of a PNG that holds one
Target = int | tuple[int, ...] | tuple[float, ...] | np.ndarray | Boxes | Path


@dataclass(frozen=True, slots=True)
class Labels:
    """What the targets of one task mean.

    Args:
        kind: the form of the target; see the table above ``Target``.
        names: class names by index; for numbers and points, the name of each.
    """

    kind: Kind
    names: tuple[str, ...]

    def __post_init__(self) -> None:
        check.one_of("labels.kind", self.kind, KINDS)
        object.__setattr__(self, "names", tuple(self.names))
        twice = [name for name, count in Counter(self.names).items() if count > 1]
        if twice:
            raise check.DataError(f"labels: the name {twice[0]!r} stands twice; rename one of the two")

    def to_dict(self) -> dict[str, object]:
        return {"kind": self.kind, "names": list(self.names)}

    @staticmethod
    def from_dict(values: Mapping[str, object]) -> Labels:
        return Labels(kind=values["kind"], names=tuple(values["names"]))  # type: ignore[arg-type]


@dataclass(frozen=True, slots=True, eq=False)
class Record:
    """One example.

    Args:
        source: where it came from, as a person would look it up: a path, or ``table.csv:12``.
        image: a path, or a uint8 array of shape ``(height, width, channels)``.
        row: a float32 array of shape ``(columns,)``; exactly one of image and row is given.
        targets: by task.
        group: records of one group never stand on both sides of a split (a patient, a video).
        part: ``train``, ``validation`` or ``test`` where the source says so.
    """

    source: str
    image: Path | np.ndarray | None = None
    row: np.ndarray | None = None
    targets: Mapping[str, Target] = field(default_factory=dict)
    group: str | None = None
    part: str | None = None

    def __post_init__(self) -> None:
        if (self.image is None) == (self.row is None):
            raise check.DataError(f"{self.source}: expected either an image or a row of numbers")
        if self.part is not None:
            check.one_of(f"{self.source}: part", self.part, PARTS)


@dataclass(frozen=True, slots=True)
class Problem:
    """A file that cannot be used, and why."""

    source: str
    reason: str


@dataclass(frozen=True, slots=True, eq=False)
class Records(Sequence[Record]):
    """Examples that belong together. Slicing, :meth:`select` and :meth:`part` give Records again.

    Args:
        items: the examples.
        labels: the meaning of their targets, by task.
        name: what to call them in messages and reports, such as the folder's path.
        set_aside: what could not be read, by name.
    """

    items: tuple[Record, ...]
    labels: Mapping[str, Labels]
    name: str = "data"
    set_aside: tuple[Problem, ...] = ()

    def __len__(self) -> int:
        return len(self.items)

    @overload
    def __getitem__(self, index: int) -> Record: ...
    @overload
    def __getitem__(self, index: slice) -> Records: ...
    def __getitem__(self, index: int | slice) -> Record | Records:
        if isinstance(index, slice):
            return replace(self, items=self.items[index])
        return self.items[index]

    def __iter__(self) -> Iterator[Record]:
        return iter(self.items)

    def select(self, indices: Iterable[int]) -> Records:
        """The examples at these places, in this order."""
        return replace(self, items=tuple(self.items[i] for i in indices))

    def part(self, name: str) -> Records:
        """The examples whose source says they belong to this part."""
        check.one_of("part", name, PARTS)
        return replace(self, items=tuple(record for record in self.items if record.part == name))

    def counts(self, task: str) -> dict[str, int]:
        """How many examples each class of a ``class`` or ``classes`` task has, by name."""
        labels = self.labels[check.one_of("task", task, self.labels)]
        check.one_of(f"labels of {task!r}", labels.kind, ("class", "classes"))
        found: Counter[int] = Counter()
        for record in self.items:
            target = record.targets[task]
            found.update([target] if labels.kind == "class" else target)  # type: ignore[list-item,arg-type]
        return {name: found[index] for index, name in enumerate(labels.names)}
