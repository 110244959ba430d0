"""Paths that files name: followed, but never out of their folder."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Sequence
from pathlib import Path, PureWindowsPath

from lensmith import check

_ODD = frozenset("\\:")  # separators on some systems
_IMAGE_FOLDERS = ("images", "image", "imgs", "img", "jpegimages")
_DEPTH = 12  # folders below the one that was named


def inner_path(text: str) -> str:
    """A path that a file names, from its own folder on, with ``/`` between the folders and ``..`` worked out.

    Raises:
        DataError: it is absolute, on any system, or climbs out of its folder; says only that.

    Example:
        >>> inner_path("photos\\\\cat.jpg"), inner_path("photos/../cat.jpg")
        ('photos/cat.jpg', 'cat.jpg')
    """
    if ".." not in text and _ODD.isdisjoint(text) and not text.startswith("/"):
        return text  # as nearly all are: only the others are taken apart
    windows = PureWindowsPath(text)  # which knows the separators of all systems
    if windows.drive or windows.root:
        raise check.DataError(f"the path {text[:80]!r} is absolute; paths start in the file's own folder")
    steps: list[str] = []
    for step in windows.parts:
        if step != "..":
            steps.append(step)
        elif not steps:
            raise check.DataError(f"the path {text[:80]!r} climbs out of its folder")
        else:
            steps.pop()
    return "/".join(steps)


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
