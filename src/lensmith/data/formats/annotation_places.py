"""Where annotation files and their images lie: folders listed once, parts by name, paths that stay inside."""

from __future__ import annotations

import os
import re
import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

from lensmith import check
from lensmith.data.formats.format import Hints
from lensmith.data.formats.walking import PART_OF
from lensmith.data.images import EXTENSIONS

_ANNOTATIONS = frozenset(("annotation", "annotations", "label", "labels", "xml", "xmls"))
_IMAGES = frozenset(("image", "images", "img", "imgs", "jpegimages", "photos"))
_FEW = 32  # folders, into which one can look without having been told
_MANY = 5000  # entries of a folder, after which looking for another kind of file ends


def part_of(name: str) -> str | None:
    """The part that a folder of this name holds: ``train2017`` holds ``train``; most names hold none."""
    return PART_OF.get(name.lower().rstrip("0123456789").rstrip("_- "))


def part_in(name: str) -> str | None:
    """The part that a file's name speaks of, if it speaks of one: ``instances_val2017`` of ``validation``."""
    found = {PART_OF[word] for word in re.split(r"[^a-z]+", name.lower()) if word in PART_OF}
    return found.pop() if len(found) == 1 else None


def relative_path(text: str) -> str | None:
    """A path of an annotation file with ``/`` between its folders; None where it could lead out of its folder."""
    parts = text.replace("\\", "/").split("/")
    if not parts[0] or re.match(r"[A-Za-z]:", text) or ".." in parts or "\0" in text:
        return None
    return "/".join(part for part in parts if part not in ("", ".")) or None


def stem_of(name: str) -> str:
    """A file name without the suffix of an image; other dots belong to the name."""
    stem, _, suffix = name.rpartition(".")
    return stem if stem and suffix.lower() in EXTENSIONS else name


@dataclass(frozen=True, slots=True)
class _Folder:
    names: frozenset[str] = frozenset()
    by_key: dict[str, str] = field(default_factory=dict)
    by_stem: dict[str, list[str]] = field(default_factory=dict)
    folders: tuple[str, ...] = ()


class Listing:
    """What folders hold. Each is listed once, so that a hundred thousand images are not a hundred thousand questions.

    Names are compared as they stand first, then without regard to case and to how accents are composed.
    """

    def __init__(self) -> None:
        self._known: dict[Path, _Folder] = {}

    def find(self, folders: Iterable[Path], name: str) -> Path | None:
        """The file of this name, with ``/`` where it lies deeper, in the first folder that has it."""
        above, _, last = name.rpartition("/")
        places = [folder / above if above else folder for folder in folders]
        for place in places:
            if last in self._folder(place).names:
                return place / last
        key = _key(last)
        for place in places:
            if found := self._folder(place).by_key.get(key):
                return place / found
        return None

    def find_stem(self, folders: Iterable[Path], stem: str) -> Path | None:
        """The image of this name, whatever its suffix, in the first folder that has one.

        Raises:
            DataError: a folder has several.
        """
        for folder in folders:
            found = self._folder(folder).by_stem.get(_key(stem), [])
            if len(found) > 1:
                raise check.DataError(check.sentence(str(folder), f"one image named {stem!r}", ", ".join(found)))
            if found:
                return folder / found[0]
        return None

    def images(self, folder: Path) -> list[str]:
        """The names of the images in a folder, in order."""
        return sorted(name for name in self._folder(folder).names if stem_of(name) != name)

    def folders(self, folder: Path) -> tuple[str, ...]:
        """The names of the folders in a folder, in order."""
        return self._folder(folder).folders

    def _folder(self, folder: Path) -> _Folder:
        known = self._known.get(folder)
        if known is None:
            known = self._known[folder] = _look(folder)
        return known


def _look(folder: Path) -> _Folder:
    names, folders = _entries(folder)
    by_key, by_stem = dict[str, str](), dict[str, list[str]]()
    for name in sorted(names):
        by_key.setdefault(_key(name), name)
        if stem_of(name) != name:
            by_stem.setdefault(_key(stem_of(name)), []).append(name)
    return _Folder(frozenset(names), by_key, by_stem, tuple(sorted(folders)))


def _entries(folder: Path, limit: int | None = None) -> tuple[list[str], list[str]]:
    """The names of the files and the folders in a folder, but hidden ones; nothing where it cannot be opened."""
    files, folders = list[str](), list[str]()
    try:
        with os.scandir(folder) as entries:
            for entry in islice(entries, limit):
                if not entry.name.startswith(".") and (kind := _kind(entry)):
                    (folders if kind == "folder" else files).append(entry.name)
    except (OSError, ValueError):  # ValueError: a name that no file system takes
        return [], []
    return files, folders


def _kind(entry: os.DirEntry[str]) -> str | None:
    """None for a pipe, which would be waited for without end, and for a link that leads nowhere or to itself."""
    try:
        return "folder" if entry.is_dir() else "file" if entry.is_file() else None
    except OSError:
        return None


def _key(name: str) -> str:
    return name.casefold() if name.isascii() else unicodedata.normalize("NFC", name).casefold()


def files_named(folder: Path, suffix: str, *, all_of_them: bool = True) -> list[str]:
    """The names in a folder that end so, in order; to learn whether there is any, not all need be seen."""
    files, _ = _entries(folder, None if all_of_them else _MANY)
    return sorted(name for name in files if name.lower().endswith(suffix))


def likely_folders(root: Path) -> Iterator[Path]:
    """The folder, those in it and those in these in which annotations may lie, each once.

    Where there are many, as in a folder for each class, only those whose names promise something are opened.
    """
    seen: set[str] = set()
    level = [root]
    for depth in range(3):
        below: list[Path] = []
        for folder in level:
            real = os.path.realpath(folder)
            if real in seen:  # a link back up
                continue
            seen.add(real)
            yield folder
            names = sorted(_entries(folder, _MANY)[1]) if depth < 2 else []
            below += [folder / name for name in names if len(names) <= _FEW or _promising(name)]
        level = below


def _promising(name: str) -> bool:
    return name.lower() in _ANNOTATIONS or part_of(name) is not None or name.lower().startswith("voc")


def folder_part(folder: Path, root: Path) -> str | None:
    """The part that a folder below the root belongs to by its name, or by that of one above it."""
    names = folder.relative_to(root).parts
    return next((part for part in map(part_of, reversed(names)) if part), None)


def folders_above(folder: Path, root: Path) -> list[Path]:
    """The folder itself, then those above it, up to the root; above a root that holds annotations only, one more."""
    found = [folder, *(above for above in folder.parents if above.is_relative_to(root))] if folder != root else [root]
    last = root.resolve()
    if last.name.lower() in _ANNOTATIONS:
        found.append(root.parent if root.name == last.name else last.parent)
    return found


def image_folders(
    folder: Path, root: Path, part: str | None, names: Iterable[str], hints: Hints, listing: Listing
) -> list[Path]:
    """Where the images of the annotations in a folder may lie, the likeliest first.

    Beside them; in the folders above, up to the root; in folders called ``images`` or the like beside any of
    these; in one of these in a folder for the part, or of one of the names.
    """
    if hints.images is not None:
        if not hints.images.is_dir():
            raise check.SettingError(check.sentence("images", "a folder", f"{hints.images}, which is none"))
        return [hints.images]
    wanted, found = set(names), list[Path]()
    for above in folders_above(folder, root):
        inner = [above / name for name in listing.folders(above) if name.lower() in _IMAGES]
        for place in (above, *inner):
            deeper = [name for name in listing.folders(place) if name in wanted or (part and part_of(name) == part)]
            found += [place, *(place / name for name in deeper)]
    return list(dict.fromkeys(found))
