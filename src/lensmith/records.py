"""The exchange record: every reader makes these, every consumer takes them.

A :class:`Record` is one example: an image or a row of numbers, its targets by task, and the place
it came from. :class:`Records` is a sequence of them with what their targets mean (:class:`Labels`)
and the files that were set aside (:class:`Problem`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence, Sized
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, overload

import numpy as np

from lensmith import check

PARTS = ("train", "validation", "test")

Kind = Literal["class", "classes", "number", "points", "boxes", "mask"]
KINDS: tuple[Kind, ...] = ("class", "classes", "number", "points", "boxes", "mask")


Polygons = tuple[np.ndarray, ...]  # the rings of one object: float32 arrays of shape (n, 2), x and y in pixels
_MARKS = ("crowd", "difficult", "truncated")


@dataclass(frozen=True, slots=True, eq=False)
class Boxes:
    """Rectangles of one image, and what their source says about each.

    Args:
        xyxy: float32 array of shape ``(n, 4)``: x1, y1, x2, y2 in pixels.
        classes: int64 array of shape ``(n,)``: the class of each box.
        polygons: the outline of each object, in as many rings as it has parts; none where the source has no
            outline. Left out, no object has one.
        crowd: bool ``(n,)``: many objects in one box (COCO's ``iscrowd``); such a box is not scored.
        difficult: bool ``(n,)``: hard to recognise (Pascal VOC); such a box is not scored.
        truncated: bool ``(n,)``: the object goes on outside the image (Pascal VOC).

    Example:
        >>> pair = Boxes([[0, 0, 4, 4], [1, 1, 2, 3]], [0, 1], difficult=[False, True])
        >>> pair.select([1]).xyxy.tolist(), pair.select([1]).difficult.tolist()
        ([[1.0, 1.0, 2.0, 3.0]], [True])
    """

    xyxy: np.ndarray
    classes: np.ndarray
    polygons: tuple[Polygons, ...] = ()
    crowd: np.ndarray = ()  # type: ignore[assignment]
    difficult: np.ndarray = ()  # type: ignore[assignment]
    truncated: np.ndarray = ()  # type: ignore[assignment]

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
        rings = tuple(tuple(np.asarray(ring, np.float32).reshape(-1, 2) for ring in one) for one in self.polygons)
        object.__setattr__(self, "polygons", self._one_each("polygons", rings) or ((),) * len(corners))
        for name in _MARKS:
            marks = self._one_each(name, np.asarray(getattr(self, name), bool))
            object.__setattr__(self, name, marks if len(marks) else np.zeros(len(corners), bool))

    def _one_each(self, name: str, values: Sized) -> Any:
        if len(values) not in (0, len(self.xyxy)):
            expected = f"one a box ({len(self.xyxy)}), or none"
            raise check.DataError(check.sentence(f"boxes: {name}", expected, f"{len(values)}"))
        return values

    def __len__(self) -> int:
        return len(self.xyxy)

    def __eq__(self, other: object) -> bool:
        """Whether every number, outline and mark is the same."""
        if not isinstance(other, Boxes) or len(self) != len(other):
            return NotImplemented if not isinstance(other, Boxes) else False
        arrays = ("xyxy", "classes", *_MARKS)
        if not all(np.array_equal(getattr(self, name), getattr(other, name)) for name in arrays):
            return False
        return all(
            len(mine) == len(theirs) and all(map(np.array_equal, mine, theirs))
            for mine, theirs in zip(self.polygons, other.polygons, strict=True)
        )

    __hash__ = None  # type: ignore[assignment]

    def select(self, places: Sequence[int] | np.ndarray) -> Boxes:
        """The boxes at these places (or where a bool array is true), with all that is said about them."""
        chosen = np.arange(len(self))[np.asarray(places, bool if np.asarray(places).dtype == bool else int)]
        return Boxes(
            self.xyxy[chosen],
            self.classes[chosen],
            tuple(self.polygons[place] for place in chosen),
            **{name: getattr(self, name)[chosen] for name in _MARKS},
        )


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
        size: height and width in pixels, where the source states them.
        facts: what else the source says, by name: the parts of a file name, other columns of a table.
    """

    source: str
    image: Path | np.ndarray | None = None
    row: np.ndarray | None = None
    targets: Mapping[str, Target] = field(default_factory=dict)
    group: str | None = None
    part: str | None = None
    size: tuple[int, int] | None = None
    facts: Mapping[str, str] = field(default_factory=dict)

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


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Records(Sequence[Record]):
    """Examples that belong together. Slicing, :meth:`select` and :meth:`part` give Records again.

    Args:
        items: the examples.
        labels: the meaning of their targets, by task.
        name: what to call them in messages and reports, such as the folder's path.
        set_aside: what could not be read, by name.
        layout: what the source was found to be, for a person: ``class folders: 2 classes``.
    """

    items: tuple[Record, ...]
    labels: Mapping[str, Labels]
    name: str = "data"
    set_aside: tuple[Problem, ...] = ()
    layout: str = ""

    def __repr__(self) -> str:
        tasks = ", ".join(f"{task}: {labels.kind}" for task, labels in self.labels.items()) or "no labels"
        return f"<{len(self)} records of {self.name}; {tasks}>"

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
            if task in record.targets:
                target = record.targets[task]
                found.update([target] if labels.kind == "class" else target)  # type: ignore[list-item,arg-type]
        return {name: found[index] for index, name in enumerate(labels.names)}
