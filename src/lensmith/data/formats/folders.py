"""Folders whose names are the classes of the images below them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from lensmith import check
from lensmith.data.images import EXTENSIONS
from lensmith.records import Labels, Problem, Record, Records

TASK = "label"
LAYOUT = "a folder with one folder of images for each class, if need be inside train, validation and test folders"
_PART_OF = {
    "train": "train",
    "training": "train",
    "validation": "validation",
    "valid": "validation",
    "val": "validation",
    "test": "test",
    "testing": "test",
}
_SYSTEM_FILES = ("desktop.ini", "thumbs.db")
_CLOSED = "cannot be opened"


@dataclass(frozen=True, slots=True)
class _ClassFolder:
    path: Path
    part: str | None
    files: tuple[Path, ...]


def read_folder(folder: Path | str) -> Records:
    """Read ``photos/<class>/**/image`` or ``photos/<part>/<class>/**/image``.

    The part folders are ``train`` or ``training``; ``validation``, ``valid`` or ``val``; ``test`` or
    ``testing``. Classes are sorted by name, by number where all names are numbers. Hidden entries are passed
    over; whatever else is not used (files that are no images, images outside a class folder, class folders that
    are empty, whatever cannot be opened) is listed in ``set_aside``. No image is opened:
    :func:`lensmith.data.audit` does that.

    Args:
        folder: as the user wrote it; every record's source begins with it.

    Raises:
        DataError: there is no such folder, it cannot be opened, it does not have this form, or it holds fewer than two
            classes.
    """
    root = Path(folder)
    _check_opens(root)
    problems: list[Problem] = []
    classes = _class_folders(root, problems)
    names = _in_order({found.path.name for found in classes if found.files})
    if len(names) < 2:
        raise check.DataError(_too_few(root, names, problems))
    named = {problem.source for problem in problems}
    empty = [str(found.path) for found in classes if not found.files]
    problems += [Problem(path, "a class folder without an image") for path in empty if path not in named]
    items = tuple(
        Record(source=str(file), image=file, targets={TASK: index}, part=found.part)
        for index, name in enumerate(names)
        for found in classes
        if found.path.name == name
        for file in found.files
    )
    return Records(items, {TASK: Labels("class", tuple(names))}, str(root), tuple(problems))


def _class_folders(root: Path, problems: list[Problem]) -> list[_ClassFolder]:
    folders = _folders(root)
    parts = [folder for folder in folders if folder.name.lower() in _PART_OF and _folders(folder)]
    others = [folder for folder in folders if folder not in parts and any(_images(folder, []))]
    if parts and others:
        some, rest = (", ".join(folder.name for folder in group) for group in (parts, others))
        got = f"part folders ({some}) beside others ({rest})"
        raise check.DataError(check.sentence(str(root), LAYOUT, got, "Move the others elsewhere"))
    if others and all(folder.name.lower() in _PART_OF for folder in others):
        got = f"no class folder in {', '.join(folder.name for folder in others)}"
        raise check.DataError(check.sentence(str(root), LAYOUT, got, "Put each class in a folder of its name"))
    for place in (root, *folders) if parts else (root,):
        loose = [Path(entry) for entry in _entries(place, problems) if not entry.is_dir() and _is_image(entry)]
        problems += [Problem(str(file), "an image outside any class folder") for file in loose]
    places: list[tuple[Path, str | None]] = [(folder, _PART_OF[folder.name.lower()]) for folder in parts]
    return [
        _ClassFolder(path, part, tuple(_images(path, problems)))
        for place, part in places or [(root, None)]
        for path in _folders(place)
    ]


def _folders(place: Path) -> list[Path]:
    return [Path(entry) for entry in _entries(place, []) if entry.is_dir()]


def _images(folder: Path, problems: list[Problem], above: tuple[Path, ...] = ()) -> Iterator[Path]:
    """Every image below, in order. Links are followed, but not back into a folder that leads here."""
    real = folder.resolve()
    if real in above:
        return
    for entry in _entries(folder, problems):
        path = Path(entry)
        if entry.is_dir():
            yield from _images(path, problems, (*above, real))
        elif _is_image(entry):
            yield path
        elif entry.name.lower() not in _SYSTEM_FILES:
            problems.append(Problem(str(path), f"not an image by its name; these are: {', '.join(EXTENSIONS)}"))


def _entries(folder: Path, problems: list[Problem]) -> list[os.DirEntry[str]]:
    """What is in a folder, by name; each of these can be told to be a folder or not."""
    try:
        with os.scandir(folder) as entries:
            found = sorted((one for one in entries if not one.name.startswith(".")), key=lambda one: one.name)
    except OSError as error:
        problems.append(Problem(str(folder), _closed(error)))
        return []
    return [entry for entry in found if _can_be_told(entry, problems)]


def _can_be_told(entry: os.DirEntry[str], problems: list[Problem]) -> bool:
    try:
        entry.is_dir()
    except OSError as error:  # such as a link that leads to itself
        problems.append(Problem(entry.path, _closed(error)))
        return False
    return True


def _closed(error: OSError) -> str:
    return f"{_CLOSED}: {(error.strerror or str(error)).lower()}"


def _check_opens(root: Path) -> None:
    try:
        os.scandir(root).close()
    except OSError as error:
        known = {FileNotFoundError: "nothing: there is no such folder", NotADirectoryError: "a file"}
        got = known.get(type(error), f"a folder that {_closed(error)}")
        raise check.DataError(check.sentence(str(root), LAYOUT, got)) from error


def _is_image(entry: os.DirEntry[str]) -> bool:
    return Path(entry.name).suffix.lower()[1:] in EXTENSIONS


def _in_order(names: set[str]) -> list[str]:
    if all(name.isdecimal() for name in names):
        return sorted(names, key=lambda name: (int(name), name))
    return sorted(names)


def _too_few(root: Path, names: list[str], problems: list[Problem]) -> str:
    closed = [problem for problem in problems if problem.reason.startswith(_CLOSED)]
    if closed:
        return check.sentence(str(root), LAYOUT, f"{closed[0].source}, which {closed[0].reason}")
    if names:
        inner = root / names[0]
        remedy = f"Did you mean {inner}?" if len(_folders(inner)) > 1 else "A second class is needed to tell apart"
        return check.sentence(str(root), LAYOUT, f"one class only ({names[0]})", remedy)
    if any(_is_image(entry) for place in (root, *_folders(root)) for entry in _entries(place, [])):
        return check.sentence(str(root), LAYOUT, "images in no class folder", "Put each class in a folder of its name")
    return check.sentence(str(root), LAYOUT, "no image at all" if _entries(root, []) else "an empty folder")
