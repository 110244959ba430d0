"""Where annotation files and their images lie: folders listed once, parts by name, paths that stay inside."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from lensmith import check
from lensmith.data.formats.format import Hints
from lensmith.data.formats.listing import Listing, content_of
from lensmith.data.formats.parts import part_of, part_on
from lensmith.records import Problem

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
