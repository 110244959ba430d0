"""Finding images below a folder: in order, without going in circles, naming what cannot be opened."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from lensmith import check
from lensmith.data.formats.numbers import as_number
from lensmith.data.formats.parts import PART_OF
from lensmith.data.images import EXTENSIONS
from lensmith.records import Problem

CLOSED = "cannot be opened"
_AROUND = "a link to a folder that is read already, or that leads here"
_SYSTEM_FILES = ("desktop.ini", "thumbs.db")


def entries(folder: Path, problems: list[Problem]) -> list[os.DirEntry[str]]:
    """What is in a folder, by name; each of these can be told to be a folder or not. Hidden entries are left out."""
    try:
        with os.scandir(folder) as found:
            visible = sorted((one for one in found if not one.name.startswith(".")), key=lambda one: one.name)
    except OSError as error:
        problems.append(Problem(str(folder), closed(error)))
        return []
    return [entry for entry in visible if _can_be_told(entry, problems)]


def folders(place: Path) -> list[Path]:
    return [Path(entry) for entry in entries(place, []) if entry.is_dir()]


def part_folders(root: Path) -> list[Path]:
    """The folders named ``train``, ``validation``, ``test`` or one of their other names."""
    return [folder for folder in folders(root) if folder.name.lower() in PART_OF]


def images(folder: Path, problems: list[Problem], above: Iterable[Path] = ()) -> Iterator[Path]:
    """Every image below, in order. Links are followed, but into no folder twice, nor back into one of ``above``."""
    real = folder.resolve()
    above = {one for known in above for one in (known, *known.parents)}
    if real in above:
        problems.append(Problem(str(folder), _AROUND))
        return
    seen = {*above, real, *real.parents}
    levels = [iter(entries(folder, problems))]
    while levels:
        entry = next(levels[-1], None)
        if entry is None:
            levels.pop()
        elif not entry.is_dir():
            yield from _image(entry, problems)
        elif (inner := Path(entry).resolve()) not in seen:
            seen.add(inner)
            levels.append(iter(entries(Path(entry), problems)))
        else:
            problems.append(Problem(entry.path, _AROUND))


def images_and_parts(root: Path, problems: list[Problem]) -> list[tuple[Path, str | None]]:
    """Every image below, and the part that its part folder says it belongs to."""
    parts = {folder: PART_OF[folder.name.lower()] for folder in part_folders(root)}
    return [(file, parts.get(root / file.relative_to(root).parts[0])) for file in images(root, problems)]


def loose_images(folder: Path, problems: list[Problem]) -> list[Path]:
    """The images that lie in a folder itself."""
    return [Path(entry) for entry in entries(folder, problems) if not entry.is_dir() and is_image(entry.name)]


def holds_image(folder: Path, above: Iterable[Path] = ()) -> bool:
    """Whether there is any image below, without going back into one of ``above``."""
    return any(True for _ in images(folder, [], above))


def is_image(name: str) -> bool:
    """Whether a file is an image by its name."""
    stem, _, suffix = name.rpartition(".")
    return bool(stem) and suffix.lower() in EXTENSIONS


def in_order(names: Iterable[str]) -> list[str]:
    """Sorted by name, each once; by number where all are numbers."""
    values = {name: as_number(name) for name in names}
    return sorted(values, key=None if None in values.values() else lambda name: (values[name], name))


def check_opens(root: Path, expected: str) -> None:
    """Refuse what is no folder that can be opened.

    Raises:
        DataError: names it, and what was expected.
    """
    try:
        os.scandir(root).close()
    except OSError as error:
        known = {FileNotFoundError: "nothing: there is no such folder", NotADirectoryError: "a file"}
        got = known.get(type(error), f"a folder that {closed(error)}")
        raise check.DataError(check.sentence(shown(root), expected, got)) from error


def closed(error: OSError) -> str:
    return f"{CLOSED}: {(error.strerror or str(error)).lower()}"


def is_unicode(text: str) -> bool:
    r"""Whether a text has no half of a pair (``\ud800``), which no file takes; so bytes that are no text are read."""
    return not any("\ud800" <= letter <= "\udfff" for letter in text)


def shown(path: Path | str) -> str:
    """A path for a message of one line: what cannot be printed, such as a line feed, is written as its code."""
    text = str(path)
    return text if text.isprintable() else ascii(text)[1:-1]


def _image(entry: os.DirEntry[str], problems: list[Problem]) -> Iterator[Path]:
    path = Path(entry)
    if is_image(entry.name):
        # A broken link stays, for the audit to name; a pipe would be waited for without end.
        if entry.is_file() or not path.exists():
            yield path
        else:
            problems.append(Problem(str(path), "not a file, though it is named as an image"))
    elif entry.name.lower() not in _SYSTEM_FILES:
        problems.append(Problem(str(path), f"not an image by its name; these are: {', '.join(EXTENSIONS)}"))


def _can_be_told(entry: os.DirEntry[str], problems: list[Problem]) -> bool:
    try:
        entry.is_dir()
    except OSError as error:  # such as a link that leads to itself
        problems.append(Problem(entry.path, closed(error)))
        return False
    return True
