"""What the readers of annotation files share: where such files and their images lie, class names, what is said of them.

A format with many images in one file, or a file for each image, in folders of their own: COCO and Pascal VOC.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from lensmith import check
from lensmith.data.formats.format import Hints
from lensmith.data.formats.listing import Listing, content_of
from lensmith.data.formats.parts import part_of, part_on
from lensmith.data.formats.text import read_names, read_text
from lensmith.data.formats.walking import shown
from lensmith.data.images import extent
from lensmith.records import Boxes, Problem, Record

TASK = "objects"
_NAMES_FILES = ("classes.txt", "labels.txt", "label_map.pbtxt")
_ANNOTATIONS = frozenset(("annotation", "annotations", "label", "labels", "xml", "xmls"))
_IMAGES = frozenset(("image", "images", "img", "imgs", "jpegimages", "photos"))
_FEW = 32  # folders, into which one can look without having been told
_MANY = 5000  # entries of a folder, after which looking for another kind of file ends


@dataclass(frozen=True, slots=True)
class Reading:
    """What the steps of a read share: the folder and the hints, folders listed once, and what was set aside."""

    root: Path
    hints: Hints
    listing: Listing = field(default_factory=Listing)
    problems: list[Problem] = field(default_factory=list)

    def put_aside(self, source: Path | str, reason: object) -> None:
        self.problems.append(Problem(str(source), str(reason)))


def files_named(folder: Path, suffix: str, *, all_of_them: bool = True) -> list[str]:
    """The names in a folder that end so, in order; to learn whether there is any, not all need be seen."""
    files = content_of(folder, None if all_of_them else _MANY).files
    return [name for name in files if name.lower().endswith(suffix)]


def likely_folders(root: Path) -> Iterator[Path]:
    """The folder, those in it and those in these in which annotations may lie, each once.

    Where there are many, as in a folder for each class, only those whose names promise something are opened.
    """
    seen = set(map(str, Path(os.path.realpath(root)).parents))
    level = [root]
    for depth in range(3):
        below: list[Path] = []
        for folder in level:
            real = os.path.realpath(folder)
            if real in seen:  # a link back up
                continue
            seen.add(real)
            yield folder
            names = content_of(folder, _MANY).folders if depth < 2 else ()
            below += [folder / name for name in names if len(names) <= _FEW or _promising(name)]
        level = below


def _promising(name: str) -> bool:
    return name.lower() in _ANNOTATIONS or part_of(name) is not None or name.lower().startswith("voc")


def folder_part(folder: Path, root: Path) -> str | None:
    """The part that a folder below the root belongs to by its name, or by that of one above it."""
    return part_on(folder.relative_to(root).parts)


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


def task_name(hints: Hints) -> str:
    """What to call the task: as the user says, else ``objects``."""
    if hints.labels is None:
        return TASK
    if len(hints.labels) != 1:
        raise check.SettingError(check.sentence("labels", "one name, for boxes are one task", ", ".join(hints.labels)))
    return hints.labels[0]


def stated_size(image: Path) -> tuple[int, int] | None:
    """Height and width from the header of an image whose annotation has none; None if it cannot be read.

    That it cannot is for the audit to say.
    """
    try:
        return extent(image)
    except check.DataError:
        return None


def short(value: object) -> str:
    """A value for a message, on one line and not endless."""
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def class_names(folders: Iterable[Path], hints: Hints) -> tuple[Path, tuple[str, ...]] | None:
    """The file that names the classes in their order, and the names: as the user says, else found in the folders.

    Raises:
        SettingError: the user's file cannot be read or names nothing.
        DataError: a name stands twice.
    """
    if hints.names is not None:
        if not (hints.names.is_file() and hints.names.stat().st_size):
            raise check.SettingError(check.sentence("names", "a file with class names, one a line", str(hints.names)))
        return hints.names, read_names(hints.names)
    for folder in folders:
        for name in _NAMES_FILES:
            if (folder / name).is_file() and read_text(folder / name).strip():
                return folder / name, read_names(folder / name)
    return None


def nothing_usable(root: Path, expected: str, problems: list[Problem]) -> check.DataError:
    """What to raise when everything was set aside: names the first of it."""
    first = f"; the first of {len(problems)} set aside: {problems[0].source}: {problems[0].reason}" if problems else ""
    return check.DataError(check.sentence(shown(root), expected, f"none{shown(first)}"))


def count(number: int, one: str, more: str | None = None) -> str:
    """``1 box``, ``2 boxes``."""
    return f"{number:,} {one if number == 1 else more or one + 's'}"


def summary(name: str, items: tuple[Record, ...], task: str, classes: int) -> str:
    """What was found, for a person."""
    targets = [record.targets[task] for record in items]
    boxes = sum(len(target) for target in targets if isinstance(target, Boxes))
    return f"{name}: {count(len(items), 'image')}, {count(boxes, 'box', 'boxes')}, {count(classes, 'class', 'classes')}"
