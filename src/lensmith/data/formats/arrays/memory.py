"""Arrays and tables in memory → records."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from lensmith import check
from lensmith.data import targets as targets_room
from lensmith.records import Record, Records, Target

Values = Sequence[object] | np.ndarray
Names = Sequence[str] | Mapping[str, Sequence[str]] | None


def from_arrays(
    images: Sequence[np.ndarray] | np.ndarray,
    targets: Values | Mapping[str, Values],
    names: Names = None,
    *,
    task: str = "label",
    groups: Sequence[str] | None = None,
    name: str = "arrays",
) -> Records:
    """Make records of images in memory.

    Args:
        images: ``(n, h, w)`` or ``(n, h, w, 1 | 3 | 4)``, or a list of single images of any sizes. Whole numbers
            0..255 of any dtype; they are kept as uint8.
        targets: one array for one task, or arrays by task. What each holds follows from its dtype and shape:
            whole numbers ``(n,)`` or text are classes, true/false ``(n, k)`` several classes, decimals numbers.
        names: class names by index; by task where the targets are.
        task: what to call the task when the targets are one array.
        groups: examples of one group never stand on both sides of a split.
        name: what to call the records; the sources are ``name:0``, ``name:1``, …

    Raises:
        DataError: an image or a target is wrong; the line names it.

    Example:
        >>> pair = from_arrays(np.zeros((2, 8, 8), np.uint8), [0, 1], ["cat", "dog"])
        >>> pair[1].source, pair[1].image.shape, pair.counts("label")
        ('arrays:1', (8, 8, 1), {'cat': 1, 'dog': 1})
    """
    sources = [f"{name}:{index}" for index in range(len(images))]
    pictures = [_image(image, source) for image, source in zip(images, sources, strict=True)]
    return _records(sources, ("image", pictures), _by_task(targets, names, task), groups=groups, name=name)


def from_rows(
    rows: Sequence[Sequence[float]] | np.ndarray,
    targets: Values | Mapping[str, Values],
    names: Names = None,
    *,
    task: str = "label",
    groups: Sequence[str] | None = None,
    name: str = "rows",
) -> Records:
    """Make records of a table of numbers.

    Args:
        rows: ``(n, columns)``, finite numbers.
        targets, names, task, groups, name: as :func:`from_arrays`.

    Raises:
        DataError: a row or a target is wrong; the line names it.

    Example:
        >>> houses = from_rows([[3, 120.0], [5, 210.0]], [250.0, 480.0], ["price"])
        >>> houses[0].targets, houses.labels["label"].kind
        ({'label': (250.0,)}, 'number')
    """
    table = np.asarray(rows, np.float32)
    if table.ndim != 2 or table.shape[1] == 0:
        raise check.DataError(check.sentence(name, "rows of shape (n, columns)", f"shape {table.shape}"))
    sources = [f"{name}:{index}" for index in range(len(table))]
    for row in np.flatnonzero(~np.isfinite(table).all(axis=1)):
        column = int(np.flatnonzero(~np.isfinite(table[row]))[0])
        got = f"{table[row, column]} in column {column}"
        raise check.DataError(check.sentence(sources[row], "finite numbers", got, "Fill the gap or leave the row out"))
    return _records(sources, ("row", list(table)), _by_task(targets, names, task), groups=groups, name=name)


def _image(image: np.ndarray, source: str) -> np.ndarray:
    pixels = np.asarray(image)
    if pixels.ndim == 2:
        pixels = pixels[..., None]
    if pixels.ndim != 3 or pixels.shape[2] not in (1, 3, 4) or not pixels.size:
        expected = "an image of shape (height, width) or (height, width, 1, 3 or 4)"
        raise check.DataError(check.sentence(source, expected, f"shape {np.shape(image)}"))
    if pixels.dtype == np.uint8:
        return pixels
    whole = pixels.astype(np.uint8, casting="unsafe") if pixels.dtype.kind in "iuf" and _in_range(pixels) else None
    if whole is None or not np.array_equal(whole, pixels):
        got = f"{pixels.dtype} from {pixels.min()} to {pixels.max()}"
        remedy = "Values 0..1? Pass numpy.rint(images * 255)"
        raise check.DataError(check.sentence(source, "whole numbers from 0 to 255", got, remedy))
    return whole


def _in_range(pixels: np.ndarray) -> bool:
    return bool(pixels.min() >= 0 and pixels.max() <= 255)  # false for NaN, too


def _by_task(targets: Values | Mapping[str, Values], names: Names, task: str) -> dict[str, tuple[Values, Names]]:
    """Pair each task's targets with its names, whichever way both were given."""
    by_task = dict(targets) if isinstance(targets, Mapping) else {task: targets}
    named = dict(names) if isinstance(names, Mapping) else dict.fromkeys(by_task, names)
    if names is not None and not isinstance(names, Mapping) and len(by_task) > 1:
        raise check.SettingError(check.sentence("names", "names by task, as the targets are", "one list for all"))
    for known in named:
        check.one_of("names", known, by_task)
    return {one: (values, named.get(one)) for one, values in by_task.items()}


def _records(
    sources: list[str],
    examples: tuple[str, list[np.ndarray]],
    by_task: dict[str, tuple[Values, Names]],
    *,
    groups: Sequence[str] | None,
    name: str,
) -> Records:
    if not sources:
        raise check.DataError(check.sentence(name, "at least one example", "none"))
    if groups is not None and len(groups) != len(sources):
        raise check.DataError(check.sentence("groups", f"one an example ({len(sources)})", str(len(groups))))
    labels, columns = {}, dict[str, list[Target]]()
    for task, (values, names) in by_task.items():
        labels[task], columns[task] = targets_room.from_array(task, values, names, sources)  # type: ignore[arg-type]
    kind, arrays = examples
    items = tuple(
        Record(
            source=source,
            image=arrays[index] if kind == "image" else None,
            row=arrays[index] if kind == "row" else None,
            targets={task: column[index] for task, column in columns.items()},
            group=None if groups is None else str(groups[index]),
        )
        for index, source in enumerate(sources)
    )
    return Records(items, labels, name)
