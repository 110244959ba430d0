"""Records → one ``.npz`` file of arrays."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from lensmith import check
from lensmith.data.formats.arrays.names import TASK, Key, parse
from lensmith.data.formats.walking import shown
from lensmith.data.formats.writing import target_of
from lensmith.data.images import checked, load
from lensmith.records import PARTS, Labels, Record, Records

FILE = "data.npz"


def write_archive(records: Records, folder: Path) -> None:
    """Write ``data.npz``: ``x`` and ``y``, or ``x_train``, ``y_train`` … where there are parts.

    Image files are decoded. A record without part, where others have one, is written to the training part.
    Several tasks, or one with another name than ``label``, are written as ``y_breed`` with ``names_breed``.

    Raises:
        DataError: the images differ in size or channels, a target is no class, classes or number, or a record lacks
            a target or a group that others have; names it.
    """
    parts = [part for part in PARTS if any((one.part or "train") == part for one in records)]
    by_part = {part: [one for one in records if (one.part or "train") == part] for part in parts}
    if not any(record.part for record in records):
        by_part = {"": list(records)}
    for task, labels in records.labels.items():
        _check_task(task, labels, records.name)
    arrays: dict[str, np.ndarray] = {}
    for part, items in by_part.items():
        behind = f"_{part}" if part else ""
        arrays[f"x{behind}"] = inputs_of(items, records[0])
        for task, labels in records.labels.items():
            arrays[f"{_name('y', task)}{behind}"] = _targets(items, task, labels)
        if any(record.group is not None for record in records):
            arrays[f"groups{behind}"] = np.asarray([_group(record) for record in items])
    for task, labels in records.labels.items():
        arrays[_name("names", task)] = np.asarray(labels.names, np.str_)
    np.savez_compressed(folder / FILE, **arrays)  # type: ignore[arg-type]


def inputs_of(items: list[Record], first: Record) -> np.ndarray:
    """All images ``(n, h, w, channels)``, uint8, or all rows ``(n, columns)``, float32, of the first one's shape.

    Raises:
        DataError: one has another shape; names it.
    """
    arrays = [_input(record) for record in items]
    wanted = _input(first).shape
    for array, record in zip(arrays, items, strict=True):
        if array.shape != wanted:
            remedy = "An array holds images of one size only; choose another format, or resize them"
            raise check.DataError(check.sentence(shown(record.source), f"the shape {wanted}", f"{array.shape}", remedy))
    return np.stack(arrays)


def _input(record: Record) -> np.ndarray:
    if record.row is not None:
        return record.row
    if isinstance(record.image, Path):
        return load(record.image)[0]
    return checked(record.image, record.source)  # type: ignore[arg-type]


def _check_task(task: str, labels: Labels, place: str) -> None:
    check_kind = labels.kind in ("class", "classes", "number")
    if not check_kind:
        expected = "targets that are a class, classes or numbers"
        raise check.DataError(check.sentence(shown(place), expected, f"{labels.kind} of the task {task!r}"))
    if parse(_name("y", task)) != Key("target", task) or parse(_name("names", task)) not in _names_keys(task):
        raise check.DataError(check.sentence(place, "tasks whose names an array can carry", f"{task!r}"))
    if any(name.endswith("\0") for name in labels.names):
        raise check.DataError(check.sentence(place, "class names that do not end in a zero byte", f"{labels.names}"))


def _names_keys(task: str) -> tuple[Key, ...]:
    return (Key("names"),) if task == TASK else (Key("names", task),)


def _name(role: str, task: str) -> str:
    return role if task == TASK else f"{role}_{task}"


def _targets(items: list[Record], task: str, labels: Labels) -> np.ndarray:
    targets = [target_of(record, task) for record in items]
    if labels.kind == "class":
        return np.asarray(targets, np.int64)
    if labels.kind == "number":
        return np.asarray(targets, np.float64).reshape(len(items), len(labels.names))
    chosen = np.zeros((len(items), len(labels.names)), bool)
    for row, places in zip(chosen, targets, strict=True):
        row[list(places)] = True
    return chosen


def _group(record: Record) -> str:
    if record.group is None:
        raise check.DataError(check.sentence(shown(record.source), "a group, as others have one", "none"))
    return record.group
