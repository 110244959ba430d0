"""Folders that are listed once, and paths that files name: found, but never followed out of their folder."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PureWindowsPath

from lensmith import check
from lensmith.data.formats.walking import PART_OF, closed
from lensmith.records import Problem

_IMAGE_FOLDERS = ("images", "image", "imgs", "img", "jpegimages")
_DEPTH = 12  # folders below the one that was named


@dataclass(frozen=True, slots=True)
class _Content:
    files: dict[str, None]
    folders: tuple[str, ...]
    problems: tuple[Problem, ...]


@dataclass(frozen=True, slots=True)
class Listing:
    """Folders, each listed no more than once; entries whose names begin with a dot are passed over."""

    _seen: dict[str, _Content] = field(default_factory=dict)

    def files(self, folder: str) -> dict[str, None]:
        """The names of the files, in order, for a quick look-up; none where there is no such folder."""
        return self._content(folder).files

    def folders(self, folder: str) -> tuple[str, ...]:
        """The names of the folders, in order."""
        return self._content(folder).folders

    def walk(self, folder: str, problems: list[Problem], above: tuple[Path, ...] = ()) -> Iterator[str]:
        """The folder and every folder below it. Links are followed, but not back into a folder that leads here."""
        real = Path(folder).resolve()
        if real in above or len(above) > _DEPTH:
            problems.append(Problem(folder, "a folder that leads here again, or lies too deep"))
            return
        problems += self._content(folder).problems
        yield folder
        for name in self.folders(folder):
            yield from self.walk(join(folder, name), problems, (*above, real))

    def _content(self, folder: str) -> _Content:
        if folder not in self._seen:
            files, folders = list[str](), list[str]()
            problems: list[Problem] = []
            try:
                with os.scandir(folder) as entries:
                    for entry in entries:
                        _sort_in(entry, files, folders, problems)
            except OSError as error:
                problems.append(Problem(folder, closed(error)))
            except ValueError:  # a name that no folder can have
                pass
            self._seen[folder] = _Content(dict.fromkeys(sorted(files)), tuple(sorted(folders)), tuple(problems))
        return self._seen[folder]


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


def join(folder: str, name: str) -> str:
    """A path as the user would write it, without ``.`` and with ``..`` worked out."""
    return os.path.normpath(f"{folder}/{name}" if name else folder)


def without_steps_up(path: Path) -> Path:
    """The same place without ``..`` in its path, which would hide that one folder lies in another.

    Example:
        >>> without_steps_up(Path("photos/../labels")).as_posix(), without_steps_up(Path("../photos")).as_posix()
        ('labels', '../photos')
    """
    if ".." not in path.parts:
        return path
    plain = Path(os.path.normpath(path))
    try:
        same = plain.samefile(path)
    except (OSError, ValueError):
        same = not path.exists()
    return plain if same else path.resolve()  # behind a link, `..` leads elsewhere than it seems


def stem(name: str) -> str:
    """A file name without its suffix."""
    return name.rpartition(".")[0]


def suffix(name: str) -> str:
    """The suffix of a file name, in small letters and without the dot."""
    return name.rpartition(".")[2].lower() if "." in name else ""


def part_of(folder: str) -> str | None:
    """The part that a folder's path names: ``images/val2017`` is validation.

    Example:
        >>> part_of("images/val2017"), part_of("training/images"), part_of("images")
        ('validation', 'train', None)
    """
    for name in folder.lower().split("/"):
        part = PART_OF.get(re.sub(r"[-_]?\d+$", "", name))
        if part:
            return part
    return None


def resolve(value: str, bases: Sequence[str], allowed: str, *, tails: bool = False) -> str:
    """Find the file or folder that a line of a file means.

    Args:
        value: what the line says. With ``..`` it may lead out of its own folder, but not out of ``allowed``; a
            leading ``..`` that leads nowhere is passed over, since Roboflow writes one too many.
        bases: folders it may start from; the first under which it exists counts.
        allowed: the folder that must hold it.
        tails: whether the folders it begins with may be missing, as in Darknet's lists, which start from wherever
            the program did.

    Raises:
        DataError: it is absolute or leads out, or there is nothing of that name; only the reason is said.
    """
    plain = value.strip().replace("\\", "/")
    inner = os.path.normpath(re.sub(r"^(\.{1,2}/)+", "", plain))
    forms = [plain, inner]
    if tails:
        names = inner.split("/")
        forms += ["/".join(names[first:]) for first in range(1, len(names))]
    absolute = plain.startswith("/") or PureWindowsPath(plain).is_absolute()
    tried = [plain] if absolute else [join(base, form) for form in forms for base in bases]
    found = [path for path in tried if inside(path, allowed)]
    for path in found:
        if _exists(path):
            return os.path.normpath(path)
    if not inside(tried[0], allowed) or not found:
        raise check.DataError(f"{value!r} leads out of {allowed}, and is not followed")
    raise check.DataError(f"{value!r} is not there")


def inside(path: str, folder: str) -> bool:
    """Whether a path, as it is written, lies in a folder or is that folder."""
    # Links inside are the user's own; only what a file says is not to be trusted.
    try:
        full, holder = (Path(os.path.normpath(Path.cwd() / one)) for one in (path, folder))
    except ValueError:
        return False
    return full == holder or holder in full.parents


def _exists(path: str) -> bool:
    try:
        return Path(path).exists()
    except (OSError, ValueError):  # too long, or not a name
        return False


def below(folder: str, root: str) -> str:
    """The way from one folder down to another."""
    way = os.path.relpath(folder, root)
    return "" if way == "." else way


def swaps(folder: str, names: Iterable[str]) -> list[str]:
    """The same path with another name in place of its last image folder; none where it has no such folder.

    Example:
        >>> swaps("train/images/day", ["labels"]), swaps("day", ["labels"])
        (['train/labels/day'], [])
    """
    steps = folder.split("/")
    for place in reversed(range(len(steps))):
        if steps[place].lower() in _IMAGE_FOLDERS:
            return ["/".join((*steps[:place], name, *steps[place + 1 :])) for name in names]
    return []
