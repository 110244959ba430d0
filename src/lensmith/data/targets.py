"""Targets between the forms people have and the forms a model takes: arrays → records → batches."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from lensmith import boxes, check
from lensmith.data.images import checked, extent
from lensmith.data.objects import rows
from lensmith.data.reading import choose_threads
from lensmith.records import Boxes, Labels, Record, Records, Target


def from_array(
    task: str, values: Sequence[object] | np.ndarray, names: Sequence[str] | None, sources: Sequence[str]
) -> tuple[Labels, list[Target]]:
    """Read one task's targets from an array; its dtype and shape say what they are.

    ====================  ==========  =======================================================
    array                 kind        names, where none are given
    ====================  ==========  =======================================================
    whole numbers (n,)    class       "0", "1", … up to the largest
    text (n,)             class       the different texts, sorted
    true/false (n,)       class       "false", "true"
    true/false (n, k)     classes     "0", "1", … k − 1
    decimals (n[, k])     number      the task's own name, or with k > 1 "0", "1", … k − 1
    a list of Boxes       boxes       "0", "1", … up to the largest
    ====================  ==========  =======================================================

    Args:
        task: the name of the task, for messages.
        values: one target for each source.
        names: of the classes, or of the numbers.
        sources: where each example came from, for messages.

    Returns:
        The meaning of the targets, and the targets.

    Raises:
        DataError: a count, a label or a number is wrong; the line names the record.
    """
    if len(values) and all(isinstance(value, Boxes) for value in values):
        return _boxes(task, values, names, sources)
    array = np.asarray(values)
    if array.ndim == 2 and array.shape[1] == 1:
        array = array[:, 0]
    if array.ndim not in (1, 2) or len(array) != len(sources):
        raise check.DataError(check.sentence(task, f"one target an example ({len(sources)})", f"shape {array.shape}"))
    if array.dtype.kind in "OUST" and array.ndim == 1:
        return _texts(task, array, names, sources)
    if array.dtype.kind == "b" and array.ndim == 2:
        labels = Labels("classes", _names(task, names, array.shape[1], None))
        return labels, [tuple(int(i) for i in np.flatnonzero(row)) for row in array]
    if array.dtype.kind in "iub" and array.ndim == 1:
        return _indices(task, array, names, sources)
    if array.dtype.kind == "f":
        return _numbers(task, array, names, sources)
    expected = "whole numbers or text (n,), true/false (n, k), or decimals (n,) or (n, k)"
    raise check.DataError(check.sentence(f"targets of {task!r}", expected, f"{array.dtype} {array.shape}"))


def _texts(
    task: str, array: np.ndarray, names: Sequence[str] | None, sources: Sequence[str]
) -> tuple[Labels, list[Target]]:
    texts = [str(value) for value in array]
    labels = Labels("class", tuple(names) if names is not None else tuple(sorted(set(texts))))
    places = {name: index for index, name in enumerate(labels.names)}
    for text, source in zip(texts, sources, strict=True):
        if text not in places:
            remedy = check.nearest(text, labels.names)
            raise check.DataError(check.sentence(f"{source}: {task}", f"one of {', '.join(names or ())}", text, remedy))
    return labels, [places[text] for text in texts]


def _indices(
    task: str, array: np.ndarray, names: Sequence[str] | None, sources: Sequence[str]
) -> tuple[Labels, list[Target]]:
    if array.dtype.kind == "b":
        names = names or ("false", "true")
    if names is None:
        names = [str(index) for index in range(max(array.tolist(), default=-1) + 1)]
    targets: list[Target] = [int(value) for value in array]
    labels = Labels("class", tuple(names))
    for target, source in zip(targets, sources, strict=True):
        check_target(target, task, labels, source)
    return labels, targets


def _numbers(
    task: str, array: np.ndarray, names: Sequence[str] | None, sources: Sequence[str]
) -> tuple[Labels, list[Target]]:
    rows = array.reshape(len(array), -1)
    labels = Labels("number", _names(task, names, rows.shape[1], (task,) if rows.shape[1] == 1 else None))
    targets: list[Target] = [tuple(float(value) for value in row) for row in rows]
    for target, source in zip(targets, sources, strict=True):
        check_target(target, task, labels, source)
    return labels, targets


def _boxes(
    task: str, values: Sequence[object] | np.ndarray, names: Sequence[str] | None, sources: Sequence[str]
) -> tuple[Labels, list[Target]]:
    targets: list[Target] = [value for value in values if isinstance(value, Boxes)]
    if len(targets) != len(sources):
        raise check.DataError(check.sentence(task, f"one target an example ({len(sources)})", f"{len(targets)}"))
    if names is None:
        last = max((int(one.classes.max(initial=0)) for one in targets if isinstance(one, Boxes)), default=0)
        names = [str(index) for index in range(last + 1)]
    labels = Labels("boxes", tuple(names))
    for target, source in zip(targets, sources, strict=True):
        check_target(target, task, labels, source)
    return labels, targets


def _names(task: str, names: Sequence[str] | None, count: int, default: tuple[str, ...] | None) -> tuple[str, ...]:
    if names is None:
        return default or tuple(str(index) for index in range(count))
    if len(names) != count:
        raise check.DataError(check.sentence(f"names of {task!r}", f"{count}, one a column", f"{len(names)}"))
    return tuple(names)


def check_target(target: Target, task: str, labels: Labels, source: str) -> None:
    """Refuse a class outside the names, boxes without extent, or numbers or points that are missing or not finite.

    Raises:
        DataError: names the record and the task.
    """
    if isinstance(target, Boxes):
        boxes.validate(target.xyxy, f"{source}: {task}")
        target = tuple(int(index) for index in target.classes)
    if labels.kind == "number":
        values = np.asarray(target, np.float64)
        if values.shape != (len(labels.names),) or not np.isfinite(values).all():
            expected = f"{len(labels.names)} finite number(s)"
            raise check.DataError(check.sentence(f"{source}: {task}", expected, str(target)))
        return
    if labels.kind == "points":
        places = np.asarray(target)
        if places.shape != (len(labels.names), 2) or places.dtype.kind not in "fiu" or not np.isfinite(places).all():
            expected = f"{len(labels.names)} point(s), x and y of each a finite number"
            raise check.DataError(check.sentence(f"{source}: {task}", expected, f"shape {places.shape}"))
        return
    chosen = (target,) if labels.kind == "class" else target
    last = len(labels.names) - 1
    for index in chosen if isinstance(chosen, tuple) else (chosen,):
        if isinstance(index, bool) or not isinstance(index, (int, np.integer)) or not 0 <= index <= last:
            raise check.DataError(check.sentence(f"{source}: {task}", f"a class index from 0 to {last}", f"{index!r}"))


_DETECTOR = "Several objects in an image are for a detector, which is not trained this way"


def to_array(records: Records, task: str, *, several: int | None = None) -> np.ndarray:
    """All targets of one task as a model takes them.

    Args:
        records: the examples.
        task: which targets.
        several: of boxes: how many rows an image has, for a detector, see :func:`encode`; None where each image has
            one box.

    Returns:
        ``class``: int32 ``(n,)``; ``classes``: float32 ``(n, k)`` of 0 and 1; ``number``: float32 ``(n, k)``;
        ``points``: float32 ``(n, k, 2)``, x and y as shares of the image, 0..1; ``boxes``, of which each image has
        one: float32 ``(n, 4)``, x1, y1, x2, y2 as shares likewise; with ``several``, float32 ``(n, several, 6)``.
        Masks, which would fill the memory, are made batch by batch: see :func:`encode`.

    Raises:
        DataError: a record lacks the task, or its target is wrong, or has not one box; the line names the record.
        SettingError: no such task, or one of masks.
    """
    labels = records.labels[check.one_of("task", task, records.labels)]
    check.one_of(f"kind of task {task!r}", labels.kind, ("class", "classes", "number", "points", "boxes"))
    for record in records:
        check_has(record, task)
        check_target(record.targets[task], task, labels, record.source)
    if labels.kind == "class":  # the many at once
        return np.asarray([record.targets[task] for record in records], np.int32)
    placed = labels.kind in ("points", "boxes")

    def one(record: Record) -> np.ndarray:
        size = record_size(record) if placed else (1, 1)
        return encode(record.targets[task], task, labels, size, record.source, several=several)

    if not placed:
        return np.stack([one(record) for record in records])
    with ThreadPoolExecutor(max(choose_threads(records, None), 1)) as pool:
        return np.stack(list(pool.map(one, records)))


def check_has(record: Record, task: str) -> None:
    """Refuse a record without a target for a task.

    Raises:
        DataError: names the record and the task.
    """
    if task not in record.targets:
        others = ", ".join(record.targets)
        remedy = f". It has {others}; read one task alone: --read labels={next(iter(record.targets))}" if others else ""
        raise check.DataError(f"{record.source}: has no target for the task {task!r}{remedy}")


def encode(
    target: Target, task: str, labels: Labels, size: tuple[int, int], source: str, *, several: int | None = None
) -> np.ndarray:
    """One target as a model takes it, in the forms of :func:`to_array` without the first axis.

    Args:
        target: of the kind its labels name, not a mask.
        task: for messages.
        labels: what it means.
        size: height and width in pixels of the image that points and boxes lie in.
        source: for messages.
        several: of boxes, for a detector: how many rows there are, ``(several, 6)``: x1, y1, x2, y2 as shares of the
            image, the class, and 1, or 0 for a crowd or a difficult object, which is neither learnt nor punished. Rows
            without an object have class -1 and else zeros. Boxes are cut at the edges of the image.

    Raises:
        DataError: an image has not one box, or more than there are rows; names the record.

    Example:
        >>> encode((0, 2), "marks", Labels("classes", ("a", "b", "c")), (1, 1), "photo.png").tolist()
        [1.0, 0.0, 1.0]
    """
    if labels.kind == "class":
        return np.asarray(target, np.int32)
    if labels.kind == "number":
        return np.asarray(target, np.float32).reshape(len(labels.names))
    if labels.kind == "points":
        shares: np.ndarray = np.asarray(target, np.float64) / (size[1], size[0])
        return shares.astype(np.float32)
    if labels.kind == "boxes" and several is not None:
        return rows(target, size, several, f"{source}: {task}")
    if labels.kind == "boxes":
        if not isinstance(target, Boxes) or len(target) != 1:
            got = f"{len(target)} boxes" if isinstance(target, Boxes) else "none"
            raise check.DataError(check.sentence(f"{source}: {task}", "an image with one box", got, _DETECTOR))
        return boxes.convert(target.xyxy[0], "xyxy", "rel_xyxy", size=size).astype(np.float32)
    hot = np.zeros(len(labels.names), np.float32)
    hot[list(target)] = 1  # type: ignore[arg-type]
    return hot


def most_boxes(records: Records, task: str) -> int:
    """The largest number of boxes that an image of these has in a task, at least 1."""
    return max((len(target) for one in records if isinstance(target := one.targets.get(task), Boxes)), default=1) or 1


def one_hot(classes: np.ndarray, count: int) -> np.ndarray:
    """Class indices ``(n,)`` as float32 ``(n, count)`` of 0 and 1.

    Example:
        >>> one_hot(np.array([1, 0]), 3).tolist()
        [[0.0, 1.0, 0.0], [1.0, 0.0, 0.0]]
    """
    rows: np.ndarray = np.eye(count, dtype=np.float32)[classes]
    return rows


def record_size(record: Record) -> tuple[int, int]:
    """Height and width in which a record's targets are given: as its source states, else as its image is read.

    Raises:
        DataError: there is no image, or it cannot be read; names the record.
    """
    if record.size is not None and min(record.size) > 0:  # some tools write 0 for what they do not know
        return record.size
    if record.image is None:
        raise check.DataError(check.sentence(record.source, "an image, for its targets are places in one", "a row"))
    return image_size(record.image, record.source)


def image_size(image: Path | str | np.ndarray, place: str) -> tuple[int, int]:
    """Height and width of an image as it is read: upright. Of a file no more than the header is read.

    Raises:
        DataError: it cannot be read; it is named.
    """
    if isinstance(image, np.ndarray):
        height, width = checked(image, place).shape[:2]
        return int(height), int(width)
    return extent(image)
