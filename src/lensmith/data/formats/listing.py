"""What folders hold: each listed once, so that a hundred thousand images are not a hundred thousand questions."""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

from lensmith import check
from lensmith.data.formats.walking import closed, is_image
from lensmith.records import Problem

_DEPTH = 12  # folders below the one that was named


@dataclass(frozen=True, slots=True)
class Content:
    """What is in one folder but hidden entries, by name; and what could not be looked at."""

    files: dict[str, None] = field(default_factory=dict)
    folders: tuple[str, ...] = ()
    problems: tuple[Problem, ...] = ()


class Listing:
    """Folders, each listed no more than once.

    Names that are looked for are compared as they stand first, then without regard to case and to how accents are
    composed.
    """

    def __init__(self) -> None:
        self._known: dict[str, Content] = {}
        self._by_key: dict[Path, dict[str, str]] = {}
        self._by_stem: dict[Path, dict[str, list[str]]] = {}

    def files(self, folder: Path | str) -> dict[str, None]:
        """The names of the files, in order, for a quick look-up; none where there is no such folder."""
        return self._content(folder).files

    def folders(self, folder: Path | str) -> tuple[str, ...]:
        """The names of the folders, in order."""
        return self._content(folder).folders

    def images(self, folder: Path) -> list[str]:
        """The names of the images, in order."""
        return [name for name in self.files(folder) if is_image(name)]

    def find(self, folders: Iterable[Path], name: str) -> Path | None:
        """The file of this name, with ``/`` where it lies deeper, in the first folder that has it."""
        above, _, last = name.rpartition("/")
        places = [folder / above if above else folder for folder in folders]
        for place in places:
            if last in self.files(place):
                return place / last
        key = _key(last)
        for place in places:
            if place not in self._by_key:
                self._by_key[place] = {_key(one): one for one in reversed(self.files(place))}
            if found := self._by_key[place].get(key):
                return place / found
        return None

    def find_stem(self, folders: Iterable[Path], stem: str) -> Path | None:
        """The image of this name, whatever its suffix, in the first folder that has one.

        Raises:
            DataError: a folder has several.
        """
        for folder in folders:
            if folder not in self._by_stem:
                by_stem = self._by_stem[folder] = {}
                for name in self.images(folder):
                    by_stem.setdefault(_key(image_stem(name)), []).append(name)
            found = self._by_stem[folder].get(_key(stem), [])
            if len(found) > 1:
                raise check.DataError(check.sentence(str(folder), f"one image named {stem!r}", ", ".join(found)))
            if found:
                return folder / found[0]
        return None

    def walk(self, folder: str, problems: list[Problem], depth: int = 0, above: Collection[Path] = ()) -> Iterator[str]:
        """The folder and every folder below it. Links are followed, but not back into a folder that leads here."""
        real = Path(folder).resolve()
        above = above or real.parents
        if real in above or depth > _DEPTH:
            problems.append(Problem(folder, "a folder that leads here again, or lies too deep"))
            return
        problems += self._content(folder).problems
        yield folder
        for name in self.folders(folder):
            yield from self.walk(os.path.normpath(f"{folder}/{name}"), problems, depth + 1, (*above, real))

    def _content(self, folder: Path | str) -> Content:
        place = str(folder)
        if place not in self._known:
            self._known[place] = content_of(place)
        return self._known[place]


def content_of(folder: Path | str, limit: int | None = None) -> Content:
    """What is in a folder; with a limit, in the first so many of its entries."""
    files, folders = list[str](), list[str]()
    problems: list[Problem] = []
    try:
        with os.scandir(folder) as entries:
            for entry in islice(entries, limit):
                _sort_in(entry, files, folders, problems)
    except OSError as error:
        problems.append(Problem(str(folder), closed(error)))
    except ValueError:  # a name that no folder can have
        pass
    return Content(dict.fromkeys(sorted(files)), tuple(sorted(folders)), tuple(problems))


def _sort_in(entry: os.DirEntry[str], files: list[str], folders: list[str], problems: list[Problem]) -> None:
    if entry.name.startswith("."):
        return
    try:
        if entry.is_dir():
            folders.append(entry.name)
        elif entry.is_file() or entry.is_symlink():  # a broken link stays, to be named; a pipe would be waited for
            files.append(entry.name)
    except OSError as error:  # such as a link that leads to itself
        problems.append(Problem(entry.path, closed(error)))


def image_stem(name: str) -> str:
    """A file name without the suffix of an image; other dots belong to the name."""
    return name.rpartition(".")[0] if is_image(name) else name


def _key(name: str) -> str:
    return name.casefold() if name.isascii() else unicodedata.normalize("NFC", name).casefold()
