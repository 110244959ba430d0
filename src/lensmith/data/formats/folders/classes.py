"""Folders whose names are the classes of the images below them, on one level or two."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from lensmith import check
from lensmith.data.formats.folders.names import add_places
from lensmith.data.formats.format import Format, Hints
from lensmith.data.formats.parts import PART_OF
from lensmith.data.formats.walking import (
    CLOSED,
    check_opens,
    entries,
    folders,
    holds_image,
    images,
    in_order,
    is_image,
    loose_images,
    part_folders,
    shown,
)
from lensmith.data.formats.writing import check_file_names, class_tasks, part_name, put_image, target_of, unique_names
from lensmith.records import Labels, Problem, Record, Records

TASK, INNER_TASK = "label", "sublabel"
LAYOUT = "a folder with one folder of images for each class, if need be inside train, validation and test folders"


@dataclass(frozen=True, slots=True)
class _ClassFolder:
    path: Path
    part: str | None
    files: tuple[Path, ...]

    def inner(self) -> list[str | None]:
        """For each file the one folder between it and this one; None where it lies right here, or deeper."""
        steps = [file.relative_to(self.path).parts for file in self.files]
        return [step[0] if len(step) == 2 else None for step in steps]


def read_folder(folder: Path | str, *, labels: Sequence[str] | None = None) -> Records:
    """Read ``photos/<class>/**/image`` or ``photos/<part>/<class>/**/image``.

    The part folders are ``train`` or ``training``; ``validation``, ``valid`` or ``val``; ``test`` or
    ``testing``. Classes are sorted by name, by number where all names are numbers. Hidden entries are passed
    over; whatever else is not used (files that are no images, images outside a class folder, class folders that
    are empty, whatever cannot be opened) is listed in ``set_aside``. No image is opened:
    :func:`lensmith.data.audit` does that.

    Where every image lies exactly two folders down, and no inner folder has a name that stands in two outer
    ones, both are classes (``species/breed/image``): the outer of the task ``label``, the inner of ``sublabel``.

    Args:
        folder: as the user wrote it; every record's source begins with it.
        labels: what to call the task, or the two tasks. Two names ask for two levels, one for one.

    Raises:
        DataError: there is no such folder, it cannot be opened, it does not have this form, or it holds fewer than two
            classes.
        SettingError: the number of labels is wrong.
    """
    root = Path(folder)
    if labels is not None and (len(labels) not in (1, 2) or len(set(labels)) < len(labels)):
        raise check.SettingError(check.sentence("labels", "one name, or two that differ", ", ".join(labels) or "none"))
    check_opens(root, LAYOUT)
    problems: list[Problem] = []
    classes = _class_folders(root, problems)
    names = in_order(found.path.name for found in classes if found.files)
    if len(names) < 2:
        raise check.DataError(_too_few(root, names, problems))
    named = {problem.source for problem in problems}
    empty = [str(found.path) for found in classes if not found.files]
    problems += [Problem(path, "a class folder without an image") for path in empty if path not in named]
    tasks = tuple(labels or ((TASK, INNER_TASK) if _is_hierarchy(classes) else (TASK,)))
    if len(tasks) == 2:
        classes = [_two_levels_only(found, problems) for found in classes]
    return _records(root, classes, tasks, problems)


def write_folders(records: Records, folder: Path) -> None:
    """Write each image into the folder of its class, or of its two classes; in part folders where there are parts.

    Raises:
        DataError: there is no class task or a task of another kind, a class cannot be the name of a folder, or two
            levels could not be told again; names it.
    """
    tasks = _writable_tasks(records)
    parts = any(record.part for record in records)
    for record, stem in zip(records, unique_names(records), strict=True):
        place = folder / part_name(record) if parts else folder
        for task in tasks:
            place = place / records.labels[task].names[target_of(record, task)]
        place.mkdir(parents=True, exist_ok=True)
        put_image(record, place / stem)
    if len(tasks) == 2 and not _is_hierarchy(_class_folders(folder, [])):
        expected = "two tasks of which the second is a kind of the first (species/breed) and has more classes"
        remedy = f"Write csv or json, or read one task: --read labels={tasks[0]}"
        got = " and ".join(map(repr, tasks))
        raise check.DataError(check.sentence(shown(records.name), expected, got, remedy))


def _records(root: Path, classes: list[_ClassFolder], tasks: tuple[str, ...], problems: list[Problem]) -> Records:
    names = [in_order(found.path.name for found in classes if found.files)]
    if len(tasks) == 2:
        names.append(in_order(name for found in classes for name in found.inner() if name))
    places = [{name: index for index, name in enumerate(level)} for level in names]
    items = tuple(
        Record(
            source=str(file),
            image=file,
            targets={task: level[step] for task, level, step in zip(tasks, places, (name, inner), strict=False)},  # type: ignore[index]
            part=found.part,
        )
        for name in names[0]
        for found in classes
        if found.path.name == name
        for file, inner in zip(found.files, found.inner(), strict=True)
    )
    labels = {task: Labels("class", tuple(level)) for task, level in zip(tasks, names, strict=True)}
    layout = f"class folders: {' and '.join(f'{len(level)} classes' for level in names)}"
    layout += " on two levels" if len(tasks) == 2 else ""
    return Records(items, labels, str(root), tuple(problems), layout)


def _is_hierarchy(classes: list[_ClassFolder]) -> bool:
    """Whether the inner folders are classes, too: not parts of a class, nor one folder around its images."""
    outer_of: dict[str, set[str]] = defaultdict(set)
    outer = {found.path.name for found in classes if found.files}
    for found in classes:
        for name in found.inner():
            if name is None:
                return False
            outer_of[name].add(found.path.name)
    return len(outer) > 1 and len(outer_of) > len(outer) and all(len(above) == 1 for above in outer_of.values())


def _two_levels_only(found: _ClassFolder, problems: list[Problem]) -> _ClassFolder:
    """The class folder without the images that lie higher or deeper."""
    fitting = [inner is not None for inner in found.inner()]
    for file, fits in zip(found.files, fitting, strict=True):
        if not fits:
            problems.append(Problem(str(file), "an image that does not lie two class folders deep"))
    return replace(found, files=tuple(file for file, fits in zip(found.files, fitting, strict=True) if fits))


def _class_folders(root: Path, problems: list[Problem]) -> list[_ClassFolder]:
    inside = folders(root)
    parts = [folder for folder in part_folders(root) if folders(folder)]
    others = [folder for folder in inside if folder not in parts and holds_image(folder)]
    if parts and others:
        some, rest = (", ".join(folder.name for folder in group) for group in (parts, others))
        got = f"part folders ({shown(some)}) beside others ({shown(rest)})"
        raise check.DataError(check.sentence(shown(root), LAYOUT, got, "Move the others elsewhere"))
    if others and all(folder.name.lower() in PART_OF for folder in others):
        got = f"no class folder in {', '.join(folder.name for folder in others)}"
        raise check.DataError(check.sentence(shown(root), LAYOUT, got, "Put each class in a folder of its name"))
    for place in (root, *inside) if parts else (root,):
        loose = loose_images(place, problems)
        problems += [Problem(str(file), "an image outside any class folder") for file in loose]
    places: list[tuple[Path, str | None]] = [(folder, PART_OF[folder.name.lower()]) for folder in parts]
    return [
        _ClassFolder(path, part, tuple(images(path, problems, (root.resolve(), place.resolve()))))
        for place, part in places or [(root, None)]
        for path in folders(place)
    ]


def _too_few(root: Path, names: list[str], problems: list[Problem]) -> str:
    place = shown(root)
    closed = [problem for problem in problems if problem.reason.startswith(CLOSED)]
    if closed:
        return check.sentence(place, LAYOUT, f"{shown(closed[0].source)}, which {closed[0].reason}")
    if names:
        inner = root / names[0]
        several = len(folders(inner)) > 1
        remedy = f"Did you mean {shown(inner)}?" if several else "A second class is needed to tell apart"
        return check.sentence(place, LAYOUT, f"one class only ({shown(names[0])})", remedy)
    if any(is_image(entry.name) for inside in (root, *folders(root)) for entry in entries(inside, [])):
        return check.sentence(place, LAYOUT, "images in no class folder", "Put each class in a folder of its name")
    return check.sentence(place, LAYOUT, "no image at all" if entries(root, []) else "an empty folder")


def _writable_tasks(records: Records) -> tuple[str, ...]:
    tasks = class_tasks(records, 2, "one class task, or two, for folders to hold")
    for task in tasks:
        check_file_names(records, task, PART_OF)
    if len({record.targets.get(tasks[0]) for record in records}) < 2:
        raise check.DataError(check.sentence(shown(records.name), "two classes, for two folders", "one"))
    return tasks


def _recognise(path: Path) -> str | None:
    if not path.is_dir():
        return None
    parts = [folder for folder in part_folders(path) if folders(folder)]
    if parts and any(holds_image(folder) for folder in folders(path) if folder not in parts):
        return None
    inside = [folder for place in parts or [path] for folder in folders(place)]
    names = {folder.name for folder in inside if holds_image(folder, (path.resolve(), folder.parent.resolve()))}
    if len(names) < 2 or (not parts and all(name.lower() in PART_OF for name in names)):
        return None
    return f"{len(names)} classes{' in ' if parts else ''}{', '.join(f'{part.name}/' for part in parts)}"


def _read(path: Path, hints: Hints) -> Records:
    records = read_folder(path, labels=hints.labels)
    if hints.pattern is not None:
        return add_places(records, hints.pattern, hints.group)
    return records


FOLDERS = Format(
    name="folders",
    title="class folders",
    says="a folder of images for each class",
    recognise=_recognise,
    read=_read,
    write=write_folders,
    heeds=frozenset(("labels", "pattern", "group")),
)
