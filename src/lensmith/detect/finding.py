"""Find objects: a detector and a picture in, boxes in pixels with names and scores out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from lensmith import check
from lensmith.boxes import Thresholds, clip
from lensmith.data.images import decode
from lensmith.detect.tiles import Place, Tiles, merge
from lensmith.records import Labels, Record

Picture = Record | np.ndarray | Path | str  # uint8 pixels (h, w, channels), an image file, or a record of either

AT_ONCE = 8  # pictures or tiles that enter the model together
BYTES = 10**8  # of such pictures at most, if there is more than one
_BEFORE_CHOOSING = 1000  # found before some classes are chosen, so that others do not take their places


class Detector(Protocol):
    """What finds: a saved model or a shipped artifact with a detector's task."""

    @property
    def labels(self) -> Mapping[str, Labels]:
        """The names of the classes, by task."""

    @property
    def recipe(self) -> Any:
        """Its ``tasks`` hold the thresholds of each."""

    def predict(self, examples: Sequence[Any], *, thresholds: Thresholds | None = None) -> Mapping[str, np.ndarray]:
        """By task float32 ``(examples, most, 6)``: x1, y1, x2, y2 as shares of the image, score, class or -1."""


@dataclass(frozen=True, slots=True, eq=False)
class Found:
    """What was found in one picture, best first.

    Args:
        size: height and width of the picture in pixels, upright.
        boxes: float32 ``(k, 4)``: x1, y1, x2, y2 in its pixels, none outside it.
        scores: float32 ``(k,)``, 0..1.
        classes: int64 ``(k,)``: indices into the model's names.
        labels: the name of each.
    """

    size: tuple[int, int]
    boxes: np.ndarray
    scores: np.ndarray
    classes: np.ndarray
    labels: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.boxes)

    @property
    def rows(self) -> np.ndarray:
        """The same as one array, float32 ``(k, 6)``: x1, y1, x2, y2, score, class; what is scored."""
        return np.column_stack([self.boxes, self.scores, self.classes]).astype(np.float32)

    def to_dicts(self) -> list[dict[str, Any]]:
        """A form that JSON holds: ``label``, ``score`` and ``box`` of each."""
        listed = zip(self.labels, self.scores.tolist(), self.boxes.tolist(), strict=True)
        return [
            {"label": label, "score": round(score, 6), "box": [round(side, 3) for side in box]}
            for label, score, box in listed
        ]


@dataclass(frozen=True, slots=True, eq=False)
class Finder:
    """A detector with all that was decided about how it is asked; :func:`finder` makes it.

    Args:
        model: the detector.
        task: which of its tasks.
        names: of its classes.
        thresholds: what counts as found.
        wanted: the classes that are told of; None tells of all.
        tiles: how big pictures are cut; None does not cut them.
    """

    model: Detector
    task: str
    names: tuple[str, ...]
    thresholds: Thresholds
    wanted: tuple[int, ...] | None = None
    tiles: Tiles | None = None

    def __call__(self, pictures: Sequence[Picture]) -> list[Found]:
        """What is in each picture.

        Raises:
            DataError: one cannot be read; it is named.
        """
        read = [_read(picture, f"picture {index + 1}") for index, picture in enumerate(pictures)]
        if self.tiles is None:
            return [self._found(rows, _size(one)) for one, rows in zip(read, self._predicted(read), strict=True)]
        return [self._in_tiles(one, self.tiles) for one in read]

    def _in_tiles(self, picture: Record, tiles: Tiles) -> Found:
        size, pixels = _size(picture), _pixels(picture)
        places = tiles.places(size)
        crops = [
            Record(f"{picture.source}: tile {index + 1}", image=pixels[y1:y2, x1:x2])
            for index, (x1, y1, x2, y2) in enumerate(places)
        ]
        rows = [_moved(one, place) for one, place in zip(self._predicted(crops), places, strict=True)]
        merged = merge(rows, places, size, tiles, self._asked())
        return self._found(merged, size)

    def _predicted(self, pictures: Sequence[Record]) -> Iterator[np.ndarray]:
        """Of each picture float32 (k, 6), in its pixels."""
        asked = self._asked()
        for batch in _batches(pictures):
            outputs = self.model.predict(batch, thresholds=asked)[self.task]
            for picture, rows in zip(batch, outputs, strict=True):
                yield _in_pixels(np.asarray(rows), _size(picture))

    def _asked(self) -> Thresholds:
        """What the model is asked for: more than is told of, where only some classes are."""
        if self.wanted is None:
            return self.thresholds
        return replace(self.thresholds, most=max(self.thresholds.most, _BEFORE_CHOOSING))

    def _found(self, rows: np.ndarray, size: tuple[int, int]) -> Found:
        if self.wanted is not None:
            rows = rows[np.isin(rows[:, 5], self.wanted)]
        rows = rows[: self.thresholds.most]
        classes = rows[:, 5].astype(np.int64)
        labels = tuple(self.names[index] for index in classes)
        return Found(size, rows[:, :4].astype(np.float32), rows[:, 4].astype(np.float32), classes, labels)


def finder(
    model: Detector,
    *,
    thresholds: Thresholds | None = None,
    task: str | None = None,
    classes: Sequence[str] | None = None,
    tiles: Tiles | None = None,
) -> Finder:
    """A detector that is ready to be asked.

    Args:
        model: a saved model or a shipped artifact.
        thresholds: what counts as found; left out, those of the model's recipe.
        task: which of its tasks, where it has several detectors.
        classes: the names of those that are told of; left out, all.
        tiles: how big pictures are cut; left out, they are not.

    Raises:
        SettingError: the model has no detector or several, or a name is unknown; the nearest is named.
    """
    detectors = thresholds_of(model)
    chosen = _chosen(model, detectors, task)
    names = tuple(model.labels[chosen].names)
    wanted = None if classes is None else tuple(_index(name, names) for name in classes)
    return Finder(model, chosen, names, thresholds or detectors[chosen], wanted, tiles)


def find(
    model: Detector,
    picture: Picture,
    *,
    thresholds: Thresholds | None = None,
    task: str | None = None,
    classes: Sequence[str] | None = None,
    tiles: Tiles | None = None,
) -> Found:
    """What is in one picture. For the arguments and the refusals see :func:`finder`.

    Args:
        picture: uint8 pixels ``(h, w, channels)``, or a file.

    Raises:
        DataError: the picture cannot be read.
    """
    return finder(model, thresholds=thresholds, task=task, classes=classes, tiles=tiles)([picture])[0]


def thresholds_of(model: Detector) -> dict[str, Thresholds]:
    """The tasks of a model that find objects, with the thresholds of its recipe."""
    tasks = {name: getattr(task, "thresholds", None) for name, task in model.recipe.tasks.items()}
    return {name: one for name, one in tasks.items() if isinstance(one, Thresholds)}


def _chosen(model: Detector, detectors: Mapping[str, Thresholds], task: str | None) -> str:
    if not detectors:
        got = ", ".join(f"{name} ({labels.kind})" for name, labels in model.labels.items())
        remedy = "lensmith predict asks such a model"
        raise check.SettingError(check.sentence("the model's tasks", "one that finds objects", got, remedy))
    if task is not None:
        return check.one_of("task", task, detectors)
    if len(detectors) > 1:
        listed = ", ".join(detectors)
        raise check.SettingError(check.sentence("task", f"one of {listed}, which all find objects", "none"))
    return next(iter(detectors))


def _index(name: str, names: Sequence[str]) -> int:
    if name in names:
        return names.index(name)
    expected = f"names of the model's {len(names)} classes"
    remedy = check.nearest(name, names) or f"It has {', '.join(names[:10])}{', …' if len(names) > 10 else ''}"
    raise check.SettingError(check.sentence("classes", expected, repr(name), remedy))


def _batches(pictures: Sequence[Record]) -> Iterator[list[Record]]:
    """A few at a time, so that they and what the model makes of them fit in memory."""
    batch: list[Record] = []
    for picture in pictures:
        if len(batch) == AT_ONCE or (batch and sum(_pixels(one).size for one in [*batch, picture]) > BYTES):
            yield batch
            batch = []
        batch.append(picture)
    if batch:
        yield batch


def _read(picture: Picture, name: str) -> Record:
    """The picture as pixels (h, w, 3), with a name for refusals."""
    content = picture.image if isinstance(picture, Record) else picture
    source = picture.source if isinstance(picture, Record) else name
    if content is None:
        raise check.DataError(check.sentence(source, "an image", "a row of numbers"))
    source = source if isinstance(content, np.ndarray) else str(content)
    return Record(source, image=decode(content, 3, place=source))


def _pixels(picture: Record) -> np.ndarray:
    return np.asarray(picture.image)


def _in_pixels(rows: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Shares as pixels, cut at the picture's edges; missing rows and what lies outside are left out."""
    height, width = size
    rows = rows[rows[:, 5] >= 0].astype(np.float32)
    rows[:, :4] = clip(rows[:, :4] * np.array([width, height, width, height], np.float32), size)
    return rows[(rows[:, :2] < rows[:, 2:4]).all(axis=1)]


def _moved(rows: np.ndarray, place: Place) -> np.ndarray:
    """From a tile's pixels to the picture's."""
    moved = rows.copy()
    moved[:, :4] += np.array([place[0], place[1], place[0], place[1]], np.float32)
    return moved


def _size(picture: Record) -> tuple[int, int]:
    height, width = _pixels(picture).shape[:2]
    return height, width
