"""Arrays in files, ``.npz`` and ``.npy``: images or rows with their targets, known by the names of the arrays."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from lensmith import check
from lensmith.data import targets as targets_room
from lensmith.data.formats.arrays.files import SUFFIXES, Stored, check_growth, stored_arrays
from lensmith.data.formats.arrays.memory import from_arrays, from_rows
from lensmith.data.formats.arrays.names import TASK, Key, parse
from lensmith.data.formats.arrays.writing import write_archive
from lensmith.data.formats.format import Format, Hints
from lensmith.data.formats.text import read_names
from lensmith.data.formats.walking import entries, holds_image, shown
from lensmith.records import PARTS, Labels, Problem, Record, Records

LAYOUT = "arrays named x or images, with y or labels, if need be with _train, _val or _test behind"
_CHANNELS = (1, 3, 4)
_MOST_CLASSES = 1_000_000  # that are believed without their names

_Part = str | None
_Found = Mapping[Key, Stored]


def read_archive(path: Path | str, hints: Hints = Hints()) -> Records:  # noqa: B008, it is frozen
    """Read a ``.npz`` file, a ``.npy`` file with its neighbours, or a folder that holds one such set of arrays.

    ============================================  ============================================================
    array (case does not matter)                  is
    ============================================  ============================================================
    ``x``, ``images``, ``data``, ``features``     images ``(n, h, w)``, ``(n, h, w, c)``, ``(n, c, h, w)``, or rows
    ``y``, ``labels``, ``targets``                the targets of the task ``label``
    ``y_breed``, ``breed_labels``                 the targets of the task ``breed``
    ``names``, ``class_names``, ``names_breed``   class names by index
    ``groups``                                    the group of each example
    ============================================  ============================================================

    Each may have a part in front or behind: ``x_train``, ``test_images``. Targets are read as
    :func:`lensmith.data.from_arrays` reads them; rows with a single 1 among 0 are classes, too. Images in floating
    point from 0 to 1 become 0..255 where nothing is lost by it. Nothing that could run code is read. Arrays without
    a use, and parts without targets where others have some, are set aside.

    Args:
        path: a file or a folder.
        hints: ``image`` and ``group`` name arrays with other names; ``labels`` names tasks, or arrays that are
            targets, and the others are left out; ``names`` is a file of class names, for the only task or the task
            ``label``.

    Raises:
        DataError: a file is damaged, promises more than it holds, or holds no such arrays; names the array.
        SettingError: there is no such array or task.
    """
    root = Path(path)
    found, unknown = _by_key(root, hints)
    problems = [Problem(one.place, "neither images nor targets, by the name of the array") for one in unknown]
    inputs = {key.part: stored for key, stored in found.items() if key.role == "input"}
    if not inputs:
        others = [*unknown, *found.values()]
        got = f"{len(others)} other(s), such as {shown(others[0].name)!r}" if others else "none at all"
        raise check.DataError(check.sentence(shown(root), LAYOUT, got, "A model's weights are no data"))
    tasks = list(dict.fromkeys(key.task for key in found if key.role == "target" and key.task))
    if hints.labels is not None:
        tasks = [check.one_of(f"{shown(root)}: labels", task, tasks) for task in hints.labels]
    used = {
        part: stored for part, stored in inputs.items() if all(Key("target", task, part) in found for task in tasks)
    }
    problems += [Problem(one.place, "an array without targets") for part, one in inputs.items() if part not in used]
    if not used:
        raise check.DataError(check.sentence(shown(root), "targets for each example", "arrays of other parts"))
    return _records(root, found, used, tasks, hints, problems)


def _by_key(root: Path, hints: Hints) -> tuple[dict[Key, Stored], list[Stored]]:
    """The arrays by what they are for, and the others."""
    found: dict[Key, Stored] = {}
    unknown: list[Stored] = []
    for stored in _all_arrays(root):
        key = _key(stored.name, hints)
        if key is None:
            unknown.append(stored)
        elif key in found:
            got = f"{shown(found[key].name)} and {shown(stored.name)}"
            raise check.DataError(check.sentence(shown(root), f"one array with the {key.role}s of a part", got))
        else:
            found[key] = stored
    for name, role in ((hints.image, "input"), (hints.group, "groups")):
        if name is not None and not any(key.role == role and one.name == name for key, one in found.items()):
            check.one_of(f"{shown(root)}: arrays", name, [one.name for one in (*found.values(), *unknown)])
    return found, unknown


def _key(name: str, hints: Hints) -> Key | None:
    if hints.image is not None and name == hints.image:
        return Key("input")
    if hints.group is not None and name == hints.group:
        return Key("groups")
    by_name = parse(name)
    if hints.labels is not None and name in hints.labels and (by_name is None or by_name.role != "target"):
        return Key("target", name)
    return by_name


def _all_arrays(root: Path) -> list[Stored]:
    files = _files(root)
    if not files:
        raise check.DataError(check.sentence(shown(root), f"a file that ends in {' or '.join(SUFFIXES)}", "none"))
    return [stored for file in files for stored in stored_arrays(file)]


def _files(root: Path) -> list[Path]:
    """The files that make one set: one ``.npz``, or all ``.npy`` of a folder."""
    if not root.is_dir():
        if root.suffix.lower() != ".npy":
            return [root]
        part = _part_of(root)
        beside = _ending(root.parent, ".npy") if parse(root.stem) else []
        return [root, *(one for one in beside if one.name != root.name and _joins(one, part))]
    archives = _ending(root, ".npz")
    return archives if archives else _ending(root, ".npy")


def _part_of(path: Path) -> _Part:
    key = parse(path.stem)
    return key.part if key else None


def _joins(path: Path, part: _Part) -> bool:
    """Whether a neighbour says something about the images of a part."""
    key = parse(path.stem)
    return key is not None and key.role != "input" and (key.part == part or key.role == "names")


def _ending(folder: Path, suffix: str) -> list[Path]:
    return [Path(one) for one in entries(folder, []) if one.name.lower().endswith(suffix) and one.is_file()]


def _records(
    root: Path, found: _Found, used: Mapping[_Part, Stored], tasks: list[str], hints: Hints, problems: list[Problem]
) -> Records:
    _check_together([one for key, one in found.items() if key.role != "input" and key.task in (None, *tasks)], used)
    inputs = {part: _inputs(stored) for part, stored in used.items()}
    if len({array.ndim == 2 for array in inputs.values()}) > 1:
        raise check.DataError(check.sentence(shown(root), "images, or rows of numbers", "some of each"))
    values = {task: {part: _targets(found[Key("target", task, part)]) for part in used} for task in tasks}
    for task, by_part in values.items():
        for part, array in by_part.items():
            if len(array) != len(inputs[part]):
                place = shown(found[Key("target", task, part)].place)
                raise check.DataError(
                    check.sentence(place, f"one target an example ({len(inputs[part])})", f"{len(array)}")
                )
    labels = {task: _labels(task, list(values[task].values()), _names(task, found, hints)) for task in tasks}
    items: list[Record] = []
    for part, array in inputs.items():
        make = from_rows if array.ndim == 2 else from_arrays
        targets = {task: values[task][part] for task in tasks}
        names = {task: labels[task].names for task in tasks}
        groups = _groups(found.get(Key("groups", None, part)), len(array))
        made = make(array, targets, names, groups=groups, name=used[part].place)
        items += made if part is None else (replace(record, part=part) for record in made)
    what = "rows" if all(array.ndim == 2 for array in inputs.values()) else "images"
    parts = ", ".join(part for part in PARTS if part in inputs)
    layout = f"NumPy arrays: {len(items)} {what}{f' in {parts}' if parts else ''}"
    return Records(tuple(items), labels, str(root), tuple(problems), layout)


def _check_together(beside: list[Stored], used: Mapping[_Part, Stored]) -> None:
    """Refuse many arrays that each are small enough and together are not."""
    contents: Counter[Path] = Counter()
    for stored in (*used.values(), *beside):
        shape, dtype = stored.header()
        contents[stored.path] += math.prod(shape) * dtype.itemsize
    for path, content in contents.items():
        check_growth(path, content)


def _inputs(stored: Stored) -> np.ndarray:
    """Rows ``(n, columns)``, or images ``(n, h, w)`` or ``(n, h, w, channels)``."""
    shape, dtype = stored.header()
    if len(shape) not in (2, 3, 4) or dtype.kind not in "fiub":
        expected = "images (n, height, width[, channels]) or rows (n, columns)"
        raise check.DataError(check.sentence(shown(stored.place), expected, f"{dtype} of shape {shape}"))
    array = stored.load()
    if array.ndim == 4 and shape[3] not in _CHANNELS and shape[1] in _CHANNELS:
        array = np.ascontiguousarray(array.transpose(0, 2, 3, 1))
    return _whole(array, stored.place) if array.ndim > 2 and array.dtype.kind == "f" else array


def _whole(images: np.ndarray, place: str) -> np.ndarray:
    """Images from 0 to 1 as 0..255, uint8; those with another range as they are."""
    low, high = images.min(), images.max()
    if not 0 <= low <= high <= 1:
        return images
    whole = np.empty(images.shape, np.uint8)
    slack = max(1e-3, 255 * float(np.finfo(images.dtype).eps))  # what k / 255 may be off by, times 255
    for index, image in enumerate(images):
        scaled = image.astype(np.float64) * 255
        whole[index] = np.rint(scaled)
        off = np.abs(scaled - whole[index])
        if off.max() > slack:
            got = f"{image.flat[off.argmax()]:.6g}"
            expected = "whole numbers from 0 to 255, or these divided by 255"
            raise check.DataError(check.sentence(shown(f"{place}:{index}"), expected, got, "Round them: rint(x * 255)"))
    return whole


def _targets(stored: Stored) -> np.ndarray:
    """Targets as :func:`targets.from_array` takes them."""
    array = stored.load()
    if array.ndim == 0:
        raise check.DataError(check.sentence(shown(stored.place), "one target an example", "a single value"))
    if array.dtype.kind == "S":
        return np.asarray([bytes(text).decode(errors="replace") for text in array.ravel()]).reshape(array.shape)
    if array.ndim == 2 and array.shape[1] > 1 and array.dtype.kind in "iuf" and _is_one_hot(array):
        return np.asarray(array.argmax(axis=1))
    return array.astype(np.int64) if array.dtype.kind == "u" and array.dtype.itemsize < 8 else array


def _is_one_hot(array: np.ndarray) -> bool:
    return bool(((array == 0) | (array == 1)).all() and (array.sum(axis=1) == 1).all())


def _labels(task: str, arrays: list[np.ndarray], names: Sequence[str] | None) -> Labels:
    """The meaning of a task's targets over all parts."""
    if len({array.shape[1:] for array in arrays}) > 1:
        got = " and ".join(str(array.shape) for array in arrays)
        raise check.DataError(check.sentence(f"targets of {task!r}", "one form in all parts", got))
    together = np.concatenate(arrays)
    if names is None and together.dtype.kind in "iu" and together.max(initial=0) >= _MOST_CLASSES:
        got = f"the class index {together.max()}"
        raise check.DataError(check.sentence(f"targets of {task!r}", f"indices below {_MOST_CLASSES:,}", got))
    sources = [f"{task}:{index}" for index in range(len(together))]
    return targets_room.from_array(task, together, names, sources)[0]


def _names(task: str, found: _Found, hints: Hints) -> list[str] | None:
    only = {key.task for key in found if key.role == "target"} == {task}
    if hints.names is not None and (only or task == TASK):
        return list(read_names(hints.names))
    own = [stored for key, stored in found.items() if key.role == "names" and key.task == task]
    general = [stored for key, stored in found.items() if key.role == "names" and key.task is None]
    for stored in own or (general if only or task == TASK else []):
        array = stored.load()
        if array.dtype.kind in "US" and array.ndim == 1:
            return [text.decode(errors="replace") if isinstance(text, bytes) else str(text) for text in array.tolist()]
        raise check.DataError(check.sentence(shown(stored.place), "names, one a class", f"{array.dtype} {array.shape}"))
    return None


def _groups(stored: Stored | None, count: int) -> list[str] | None:
    if stored is None:
        return None
    array = stored.load()
    if array.shape != (count,):
        expected = f"one group an example ({count})"
        raise check.DataError(check.sentence(shown(stored.place), expected, f"shape {array.shape}"))
    return [text.decode(errors="replace") if isinstance(text, bytes) else str(text) for text in array.tolist()]


def _recognise(path: Path) -> str | None:
    if path.is_file():
        return f"a {path.suffix.lower()} file" if path.suffix.lower() in SUFFIXES else None
    archives = _ending(path, ".npz") if path.is_dir() else []
    if len(archives) == 1 and not holds_image(path):
        return f"arrays in {shown(archives[0].name)}"
    known = [one for one in _ending(path, ".npy") if not archives and parse(one.stem)] if path.is_dir() else []
    return f"{len(known)} .npy files" if any(_part_input(one) for one in known) else None


def _part_input(path: Path) -> bool:
    key = parse(path.stem)
    return key is not None and key.role == "input"


NPZ = Format(
    name="npz",
    title="NumPy arrays",
    says="images and targets in .npz or .npy files",
    recognise=_recognise,
    read=read_archive,
    write=write_archive,
    heeds=frozenset(("image", "labels", "group", "names")),
)
