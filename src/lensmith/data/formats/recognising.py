"""Which format a folder or file has; and where it is none, what is there instead and what may be meant."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from lensmith import check
from lensmith.data.formats import FORMATS
from lensmith.data.formats.arrays.archives import NPZ
from lensmith.data.formats.arrays.idx import IDX
from lensmith.data.formats.folders.classes import FOLDERS, TASK, read_folder
from lensmith.data.formats.folders.names import NAMES
from lensmith.data.formats.folders.patterns import Pattern
from lensmith.data.formats.folders.unlabelled import UNLABELLED
from lensmith.data.formats.format import Format, Hints
from lensmith.data.formats.masks.reading import MASKS
from lensmith.data.formats.parts import part_in
from lensmith.data.formats.tables import csv_files, lists
from lensmith.data.formats.walking import closed, entries, folders, holds_image, is_image, loose_images, shown
from lensmith.data.formats.yolo.reading import YOLO

_ARCHIVES = (".zip", ".tar", ".gz", ".tgz", ".bz2", ".xz", ".7z", ".rar")
_PARTS_OF_MANY = (".xml", ".txt")  # one file for each image
_MANY = 32  # folders, which may be classes rather than data sets
_NAMED = 8  # tables that a message lists
_DEEPEST = 3  # wrappers, one in the other, as archives unpack to


@dataclass(frozen=True, slots=True)
class Seen:
    """A format, the folder or file that has it, and what it was known by."""

    format: Format
    path: Path
    what: str


def see(root: Path, hints: Hints) -> Seen:
    """The first format that fits a path, or the folder in it where it holds nothing else.

    Raises:
        DataError: there is nothing, or nothing that can be understood; says what was looked for, and what is there.
    """
    if not _exists(root):
        raise check.DataError(check.sentence(shown(root), _looked_for(), "nothing: there is no such folder or file"))
    if hints.pattern is not None and root.is_dir():
        return _by_pattern(root, Pattern(hints.pattern))
    for place in _wrapped(root):
        for one in FORMATS:
            what = None if one is UNLABELLED else look(one, place)
            if what is not None:
                _check_one(place)
                return Seen(one, place, what)
    what = look(UNLABELLED, root)
    if what is None:
        raise check.DataError(_refusal(root))
    _check_no_tables(root)
    return Seen(UNLABELLED, root, what)


def _check_one(place: Path) -> None:
    """Refuse a folder of data sets, which would be read as the first of them; of one format they may be one set."""
    real = place.resolve()
    back = {real, *real.parents}  # where links may lead
    inside = folders(place) if place.is_dir() else []
    inside = [folder for folder in inside if part_in(folder.name) is None and folder.resolve() not in back]
    sets = {} if len(inside) > _MANY else {folder: name for folder in inside if (name := _whole(folder, real))}
    if len(set(sets.values())) > 1:
        some = [shown(folder) for folder in sets][:3]
        remedy = f"Did you mean {', '.join(some[:-1])} or {some[-1]}?"
        raise check.DataError(check.sentence(shown(place), "one data set", f"a folder of {len(sets)}", remedy))


def _check_no_tables(root: Path) -> None:
    """Refuse images with several tables of them, whose labels would be lost."""
    try:
        for place in _wrapped(root) if root.is_dir() else ():
            found = [*csv_files.tables_of_images(place), *lists.tables_of_images(place)]
            if len(found) > 1:
                got = f"several tables ({', '.join(shown(one.name) for one in found[:_NAMED])})"
                remedy = "Name the one that is meant, or read the images alone: --format unlabelled"
                raise check.DataError(check.sentence(shown(place), "one table", got, remedy))
    except OSError:  # gone since, or closed: for the reader to name
        return


def _whole(folder: Path, root: Path) -> str | None:
    """The format of a folder that needs no other: it has both images, or arrays, and what is said of them."""
    if all(is_image(entry.name) and not entry.is_dir() for entry in entries(folder, [])):
        return None
    found = next((one for one in FORMATS if one not in (NAMES, UNLABELLED) and look(one, folder)), None)
    if found is None or not (found in (NPZ, IDX) or holds_image(folder, (root,))):
        return None
    return YOLO.name if found is MASKS else found.name  # boxes and masks of the same images may lie side by side


def _by_pattern(root: Path, pattern: Pattern) -> Seen:
    in_folders = None if TASK in pattern.places else look(FOLDERS, root)
    return Seen(FOLDERS, root, in_folders) if in_folders else Seen(NAMES, root, pattern.text)


def look(format: Format, path: Path) -> str | None:
    """What a format sees at a path; None where it does not fit, or what is there cannot be opened."""
    try:
        return format.recognise(path)
    except OSError:  # closed, or gone since: for the reader to name, if another format is not found
        return None


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except OSError:  # too long for a name, or in a folder that is closed
        return False


def _wrapped(root: Path) -> Iterator[Path]:
    """The folder, and as long as there is nothing but one folder in it, that one."""
    yield root
    place = root
    for _ in range(_DEEPEST):
        inside = [folder for folder in folders(place) if not folder.name.startswith("__")] if place.is_dir() else []
        if len(inside) != 1 or loose_images(place, []):
            return
        place = inside[0]
        yield place


def _refusal(root: Path) -> str:
    """One line: what was looked for, what is there, and what may be meant."""
    if root.is_file():
        remedy = "Unpack it, and name the folder" if root.suffix.lower() in _ARCHIVES else ""
        if root.suffix.lower() in _PARTS_OF_MANY:
            remedy = f"Name the folder of all such files: {shown(root.absolute().parent)}"
        return check.sentence(shown(root), _looked_for(), f"a file that ends in {root.suffix or 'nothing'}", remedy)
    try:
        os.scandir(root).close()
    except OSError as error:
        return check.sentence(shown(root), _looked_for(), f"a folder that {closed(error)}")
    if holds_image(root):
        return _folder_refusal(root)
    inside = entries(root, [])
    kinds = Counter(Path(entry.name).suffix.lower() or entry.name for entry in inside if not entry.is_dir())
    number = sum(1 for entry in inside if entry.is_dir())
    listed = ", ".join(
        [*(f"{count} {kind}" for kind, count in kinds.most_common(4)), *([f"{number} folder(s)"] * (number > 0))]
    )
    got = f"no image at all, but {shown(listed)}" if inside else "an empty folder"
    return check.sentence(shown(root), _looked_for(), got, _meant(root))


def _folder_refusal(root: Path) -> str:
    try:
        read_folder(root)
    except check.DataError as error:
        return str(error)
    return check.sentence(shown(root), _looked_for(), "images in folders that no format fits")


def _meant(root: Path) -> str:
    for entry in entries(root, [])[:20]:
        if any(look(one, Path(entry)) for one in FORMATS if one is not UNLABELLED):
            return f"Did you mean {shown(entry.path)}?"
    return ""


def _looked_for() -> str:
    return f"a folder or file in one of the formats {', '.join(one.name for one in FORMATS)}"
