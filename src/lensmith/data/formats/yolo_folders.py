"""Folders of images and, beside them, folders of labels: what YOLO files and masks have in common."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PureWindowsPath

from lensmith import check
from lensmith.data.images import EXTENSIONS
from lensmith.records import Problem

_PART_OF = {
    "train": "train",
    "training": "train",
    "validation": "validation",
    "valid": "validation",
    "val": "validation",
    "test": "test",
    "testing": "test",
}
_IMAGE_FOLDERS = ("images", "image", "imgs", "img", "jpegimages")
# What stands beside images and labels without being one of them: configs, caches of training programs, notes.
_BESIDE = ("txt", "yaml", "yml", "names", "data", "cache", "npy", "md", "cfg", "csv", "json", "xml", "html", "zip")
_SYSTEM_FILES = ("desktop.ini", "thumbs.db")
_DEPTH = 12  # folders below the one that was named


@dataclass(frozen=True, slots=True)
class Pair:
    """An image, and the file that holds its label where there is one.

    Args:
        image: the file.
        label: the file, or None.
        part: ``train``, ``validation``, ``test`` or None.
    """

    image: str
    label: str | None
    part: str | None


@dataclass(frozen=True, slots=True)
class Listing:
    """Folders, each listed no more than once; entries whose names begin with a dot are passed over."""

    _seen: dict[str, tuple[dict[str, None], tuple[str, ...]]] = field(default_factory=dict)

    def files(self, folder: str) -> dict[str, None]:
        """The names of the files, in order, for a quick look-up; none where there is no such folder."""
        return self._entries(folder)[0]

    def folders(self, folder: str) -> tuple[str, ...]:
        """The names of the folders, in order."""
        return self._entries(folder)[1]

    def walk(self, folder: str, above: tuple[Path, ...] = ()) -> Iterator[str]:
        """The folder and every folder below it. Links are followed, but not back into a folder that leads here."""
        real = Path(folder).resolve()
        if real in above or len(above) > _DEPTH:
            return
        yield folder
        for name in self.folders(folder):
            yield from self.walk(join(folder, name), (*above, real))

    def _entries(self, folder: str) -> tuple[dict[str, None], tuple[str, ...]]:
        if folder not in self._seen:
            files, folders = [], []
            try:
                with os.scandir(folder) as entries:
                    for entry in entries:
                        if not entry.name.startswith("."):
                            (folders if _is_folder(entry) else files).append(entry.name)
            except (OSError, ValueError):  # not there, not a folder, closed, or a name that no file can have
                files, folders = [], []
            self._seen[folder] = dict.fromkeys(sorted(files)), tuple(sorted(folders))
        return self._seen[folder]


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # such as a link that leads to itself
        return False


def join(folder: str, name: str) -> str:
    """A path as the user would write it, without ``.`` and with ``..`` worked out."""
    return os.path.normpath(f"{folder}/{name}" if name else folder)


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
        part = _PART_OF.get(re.sub(r"[-_]?\d+$", "", name))
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


def _below(folder: str, root: str) -> str:
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


@dataclass(frozen=True, slots=True)
class Matcher:
    """How the labels of a format are found from the images.

    Args:
        folders: the names of label folders that stand for ``images``.
        suffixes: of label files.
        endings: that a label's stem may have after the image's: ``""``, ``_mask``.
        beside: the endings that do in the image's own folder.
    """

    folders: tuple[str, ...]
    suffixes: tuple[str, ...]
    endings: tuple[str, ...] = ("",)
    beside: tuple[str, ...] = ("",)

    def holds(self, names: Iterable[str]) -> bool:
        """Whether any of these file names is that of a label."""
        return any(suffix(name) in self.suffixes for name in names)

    def find(self, image: str, files: dict[str, None], *, same: bool) -> str | None:
        """The name of an image's label among the files of its label folder."""
        for ending in self.beside if same else self.endings:
            for one in self.suffixes:
                name = f"{stem(image)}{ending}.{one}"
                if name in files:
                    return name
        return None


@dataclass(slots=True)
class Gathering:
    """Pairs on their way from folders and lists into a task. Every image has one place, the first.

    Args:
        listing: of the folders.
        matcher: of the format.
        bases: the folders that label folders may start from.
        allowed: the folder that must hold them.
        known: files that are no label although they look like it, such as ``classes.txt``.
    """

    listing: Listing
    matcher: Matcher
    bases: tuple[str, ...]
    allowed: str
    known: frozenset[str] = frozenset()
    pairs: dict[str, Pair] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    labels: dict[str, str] = field(default_factory=dict)  # label folders by image folder
    again: int = 0

    def folder(self, root: str, value: str, part: str | None, label_root: str | None = None) -> None:
        """Take every image below a folder.

        Args:
            root: the folder.
            value: the same as its source writes it, from which the label folder is made.
            part: of all; None to go by the names of the folders.
            label_root: where the labels begin, if that is said.
        """
        seen = (len(self.pairs), self.again)
        for folder in self.listing.walk(root):
            below = _below(folder, root)
            images = [name for name in self.listing.files(folder) if self._is_image(folder, name)]
            if not images:
                continue
            labels = self.label_folder(folder, join(value, below), join(label_root, below) if label_root else None)
            for name in images:
                self.image(folder, name, labels, part or part_of(below))
        if len(self.pairs) == seen[0] and self.again > seen[1]:
            self.problems.append(Problem(root, "its images already stand in another part, and count there only"))

    def image(self, folder: str, name: str, labels: str, part: str | None) -> None:
        """Take one image."""
        path = f"{folder}/{name}" if folder != "." else name
        if path in self.pairs:
            self.again += 1
            return
        found = self.matcher.find(name, self.listing.files(labels), same=folder == labels)
        label = None if found is None else (f"{labels}/{found}" if labels != "." else found)
        self.pairs[path] = Pair(path, label, part)

    def label_folder(self, folder: str, value: str, said: str | None = None) -> str:
        """The folder that holds the labels of the images of another: ``labels`` for ``images``, or the same."""
        if folder not in self.labels:
            value = re.sub(r"^(\.{1,2}/)+", "", value)
            candidates = [said] if said else []
            candidates += [join(base, one) for base in self.bases for one in swaps(value, self.matcher.folders)]
            if inside(folder, self.allowed):
                below = _below(folder, self.allowed)
                candidates += [join(self.allowed, one) for one in swaps(below, self.matcher.folders)]
            fits = [one for one in candidates if self.matcher.holds(self.listing.files(one))]
            self.labels[folder] = next((one for one in fits if inside(one, self.allowed)), folder)
        return self.labels[folder]

    def orphans(self, folders: Iterable[str]) -> None:
        """List the labels in these folders that belong to no image."""
        used = {pair.label for pair in self.pairs.values()}
        for folder in sorted(set(folders)):
            for name in self.listing.files(folder):
                path = f"{folder}/{name}" if folder != "." else name
                if suffix(name) in self.matcher.suffixes and path not in used and not self._passes(path):
                    self.problems.append(Problem(path, "a label without an image of its name"))

    def _passes(self, path: str) -> bool:
        if path in self.known or path in self.pairs:
            return True
        name = path.rpartition("/")[2].lower()
        return stem(name) in ("classes", "obj", "labels", "names", "requirements", "license") or "readme" in name

    def _is_image(self, folder: str, name: str) -> bool:
        kind = suffix(name)
        if kind in EXTENSIONS:
            # A mask beside its image is no second image.
            return not any(stem(name).endswith(one) for one in self.matcher.beside if one)
        if kind not in _BESIDE and name.lower() not in _SYSTEM_FILES:
            reason = f"not an image by its name; these are: {', '.join(EXTENSIONS)}"
            self.problems.append(Problem(join(folder, name), reason))
        return False


def chunks(count: int, size: int = 256) -> list[slice]:
    """Slices that cover ``count`` things, for work that is too small to be handed to a thread singly."""
    return [slice(first, first + size) for first in range(0, count, size)]
