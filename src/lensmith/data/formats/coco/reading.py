"""COCO: one JSON file for many images, with their boxes and outlines."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from lensmith import check
from lensmith.data.formats.annotations import (
    Reading,
    class_names,
    count,
    files_named,
    folder_part,
    image_folders,
    likely_folders,
    nothing_usable,
    stated_size,
    summary,
    task_name,
)
from lensmith.data.formats.coco.parsing import Content, Image, Object, parse
from lensmith.data.formats.coco.writing import HOLDS, NAME, write
from lensmith.data.formats.format import Format, Hints
from lensmith.data.formats.parts import part_in
from lensmith.data.formats.paths import inner_path
from lensmith.data.formats.walking import shown
from lensmith.records import Boxes, Labels, Record, Records

__all__ = ["COCO", "HOLDS", "read", "recognise"]

LAYOUT = "COCO: a JSON file with the lists images, annotations and categories, beside the images or in annotations/"
_HEAD = 2**16  # bytes
_SMALL = 2**22
_SOME = 50  # JSON files of a folder that are opened to find out
_KEYS = re.compile(rb'"(images|annotations|categories)"\s*:\s*[\[{n]')  # a list; else the reader says what is wrong


@dataclass(frozen=True, slots=True)
class _Source:
    """A file, the part it belongs to, and what it says."""

    file: Path
    part: str | None
    content: Content


def recognise(path: Path) -> str | None:
    """What is seen: the JSON files with at least two of COCO's three lists, by their first and last bytes."""
    if path.is_file():
        return "a JSON file with images and annotations" if _is_coco(path) else None
    files = [file for folder in likely_folders(path) for file in _files_in(folder)] if path.is_dir() else []
    if not files:
        return None
    named = ", ".join(str(file.relative_to(path)) for file in files[:3])
    return f"{count(len(files), 'JSON file')} with images and annotations: {shown(named)}"


def _files_in(folder: Path, others: list[Path] | None = None) -> list[Path]:
    """The files of a folder that are read: as Roboflow calls them, else as COCO does, else all that look alike.

    COCO has files of captions and keypoints for the same images, which would come twice; they go to the others.
    """
    found = [folder / name for name in files_named(folder, ".json")[:_SOME] if _is_coco(folder / name)]
    for chosen in (
        [file for file in found if file.name == "_annotations.coco.json"],
        [file for file in found if file.name.startswith("instances")],
    ):
        if chosen:
            if others is not None:
                others += [file for file in found if file not in chosen]
            return chosen
    return found


def _is_coco(file: Path) -> bool:
    if file.suffix.lower() != ".json":
        return False
    try:
        with file.open("rb") as opened:
            text = opened.read(_HEAD)
            if not text.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"{"):
                return False
            length = opened.seek(0, 2)
            opened.seek(_HEAD if length <= _SMALL else length - _HEAD)
            text += opened.read()
    except OSError:
        return False
    return len(set(_KEYS.findall(text))) >= 2


def read(path: Path, hints: Hints) -> Records:
    """Read boxes, classes, outlines and crowds; one record an image, its source the image's path.

    Classes are the categories by ascending id, those that nothing belongs to among them; files for several parts
    are brought together by name. An image without annotations is a record without boxes. Polygons are read as they
    stand; run lengths become the outline of their pixels (:func:`lensmith.data.formats.coco.masks.contours`).
    Corners are x, y, x + width, y + height, rounded once, to float32. A box outside the image, or without an area,
    is kept: the audit names it. ``area``, ``attributes`` and supercategories are not read; keypoints neither, which
    is said.

    An annotation that is wrong is set aside by itself, by its id; its image keeps the others.

    Parts come from the names of the files (``instances_val2017.json``) or of folders (``valid/``); a file named by
    itself has no part. An image is looked for from the file's folder, from the folders above it up to the one that
    was named, and from ``images/`` and folders named for the part in each.

    Args:
        path: the JSON file, or a folder with one or several in it or in folders such as ``annotations/``.
        hints: ``names`` (a file with the classes, for their order), ``images`` (the folder of the images),
            ``labels`` (what to call the task instead of ``objects``).

    Raises:
        DataError: the path is not there, holds no such file, or nothing in it can be read.
        SettingError: a hint is wrong.
    """
    reading = Reading(path if path.is_dir() else path.parent, hints)
    task = task_name(hints)
    sources = _sources(reading, path)
    given = class_names((), hints)
    merged = tuple(dict.fromkeys(name for source in sources for name in source.content.names))
    names = given[1] if given else merged
    index = {name: place for place, name in enumerate(names)}
    items = tuple(record for source in sources for record in _records(reading, source, task, index))
    if path.is_dir():
        _say_the_rest(reading, {record.image for record in items if isinstance(record.image, Path)})
    if not items:
        raise nothing_usable(path, "at least one image of a COCO file", reading.problems)
    layout = summary(NAME, items, task, len(names))
    return Records(items, {task: Labels("boxes", names)}, str(path), tuple(reading.problems), layout)


def _sources(reading: Reading, path: Path) -> list[_Source]:
    if not path.is_dir():
        return [_Source(path, None, parse(path, reading.problems))]
    others: list[Path] = []
    files = [file for folder in likely_folders(path) for file in _files_in(folder, others)]
    for file in others:
        reading.put_aside(file, "other annotations of the same images; name this file to read it")
    if not files:
        raise check.DataError(check.sentence(shown(path), LAYOUT, "no such file"))
    sources, refused = [], []
    for file in files:
        try:
            content = parse(file, reading.problems)
        except check.DataError as error:
            refused.append(error)
            reading.put_aside(file, str(error).removeprefix(f"{shown(file)}: "))
        else:
            sources.append(_Source(file, part_in(file.stem) or folder_part(file.parent, path), content))
    if not sources:
        raise refused[0]
    return sources


def _records(reading: Reading, source: _Source, task: str, index: Mapping[str, int]) -> list[Record]:
    places, images, objects = _places(reading, source), dict[Path, Image](), dict[Path, list[Object]]()
    for image in source.content.images:
        try:
            found = _image(reading, places, image.name)
        except check.DataError as error:
            reading.put_aside(f"{source.file}: image {image.id!r}", f"file_name: {error}")
            continue
        # An image that is listed twice is one record, with the objects of both.
        images.setdefault(found, image)
        objects.setdefault(found, []).extend(source.content.objects[image.id])
    return [
        Record(
            str(found),
            found,
            targets={task: _boxes(reading, objects[found], index)},
            part=source.part,
            size=image.size or stated_size(found),
        )
        for found, image in images.items()
    ]


def _image(reading: Reading, places: list[Path], name: str) -> Path:
    found = reading.listing.find(places, inner_path(name))
    if found is None:
        got = f"{name[:80]!r}, which is not there"
        raise check.DataError(f"expected an image in or beside the folder of this file; got {got}")
    return found


def _places(reading: Reading, source: _Source) -> list[Path]:
    folder = source.file.parent
    names = (folder.name, source.file.stem, source.file.stem.rpartition("_")[2])
    return image_folders(
        folder, reading.root, source.part or part_in(source.file.stem), names, reading.hints, reading.listing
    )


def _boxes(reading: Reading, objects: list[Object], index: Mapping[str, int]) -> Boxes:
    known = []
    for one in objects:
        if one.name in index:
            known.append(one)
        else:
            hint = check.nearest(one.name, index)
            reading.put_aside(one.place, check.sentence("category", "one of the names given", repr(one.name), hint))
    return Boxes(
        np.asarray([one.corners for one in known], np.float64).reshape(-1, 4),
        np.asarray([index[one.name] for one in known], np.int64),
        polygons=tuple(one.polygons for one in known),
        crowd=np.asarray([one.crowd for one in known], bool),
    )


def _say_the_rest(reading: Reading, used: set[Path]) -> None:
    """Name the folders that hold images which no file names, beside some that are named."""
    for folder in sorted({image.parent for image in used}):
        more = [name for name in reading.listing.images(folder) if folder / name not in used]
        if more:
            reason = f"{count(len(more), 'image')} here that no annotation file names, such as {more[0]!r}"
            reading.put_aside(folder, reason)


COCO = Format(
    name="coco",
    title="COCO",
    says="a JSON file with the boxes and outlines of many images",
    recognise=recognise,
    read=read,
    write=write,
    heeds=frozenset(("images", "labels", "names")),
    holds=HOLDS,
)
