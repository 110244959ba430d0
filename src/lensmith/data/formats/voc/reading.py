"""Pascal VOC: one XML file an image, with its boxes."""

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
    folders_above,
    image_folders,
    likely_folders,
    nothing_usable,
    stated_size,
    summary,
    task_name,
)
from lensmith.data.formats.format import Format, Hints
from lensmith.data.formats.listing import Listing, image_stem
from lensmith.data.formats.paths import inner_path
from lensmith.data.formats.voc.parts import Listed, listed_parts
from lensmith.data.formats.voc.writing import HOLDS, NAME, write
from lensmith.data.formats.voc.xml import Annotation, parse
from lensmith.data.formats.walking import check_opens, closed, shown
from lensmith.records import Boxes, Labels, Record, Records

__all__ = ["HOLDS", "VOC", "read", "recognise"]

LAYOUT = "Pascal VOC: XML files with an <annotation> each, beside the images or in annotations/"


@dataclass(frozen=True, slots=True)
class _Found:
    """An annotation and what it belongs to."""

    file: Path
    said: Annotation
    image: Path
    part: str | None


def recognise(path: Path) -> str | None:
    """What is seen: the number of XML files and where, if the first of them hold an ``<annotation>``."""
    if not path.is_dir():
        return None
    for folder in likely_folders(path):
        names = files_named(folder, ".xml", all_of_them=False)
        if any(_is_annotation(folder / name) for name in names[:3]):
            folders = {place: len(files_named(place, ".xml")) for place in likely_folders(path)}
            total = sum(folders.values())
            where = [f"{place.relative_to(path)}/" for place, number in folders.items() if number and place != path]
            return f"{count(total, 'XML file')} in {shown(', '.join(where)) if where else 'the folder'}"
    return None


def _is_annotation(file: Path) -> bool:
    try:
        with file.open("rb") as opened:
            return re.search(rb"<annotation[\s>]", opened.read(4096)) is not None
    except OSError:
        return False


def read(path: Path, hints: Hints) -> Records:
    """Read boxes, classes and marks; one record an XML file, its source the image.

    Coordinates are taken as they stand, as corners in continuous pixels: the devkit of the challenge counts
    pixels from 1 and includes the last, LabelImg and most other programs write corners that count from 0 and
    few files say which was meant. A guess that is wrong half the time is worth less than the half pixel that is at
    stake, and numbers that are not touched come back the same from any other format. A box outside the image, or
    without an area, is kept: the audit names it.

    Of the object, the name, ``difficult`` and ``truncated`` are read; pose and occlusion are passed over, and of
    anything else, such as polygons or the parts of a body, it is said once that it is not read. ``<folder>`` and
    ``<path>`` name places on the machine of whoever drew the boxes and are not looked at. The image is the file
    that ``<filename>`` names, or else the one that is called like the XML file.

    Parts come from folders named train, valid, test …, or from ``ImageSets/Main/train.txt`` and so on; an image
    that such a list names is a record without boxes if it has no XML file. Classes are sorted by name, unless
    ``classes.txt``, ``labels.txt`` or ``label_map.pbtxt`` names them.

    Args:
        path: the folder.
        hints: ``names`` (a file with the classes), ``images`` (the folder of the images), ``labels`` (what to call
            the task instead of ``objects``).

    Raises:
        DataError: there is no such folder, or nothing in it can be read.
        SettingError: a hint is wrong.
    """
    check_opens(path, LAYOUT)
    reading = Reading(path, hints)
    task = task_name(hints)
    folders = {folder: names for folder in likely_folders(path) if (names := files_named(folder, ".xml"))}
    if not folders:
        raise check.DataError(check.sentence(shown(path), LAYOUT, "no XML file"))
    parts = {folder: _lists(reading, folder, names) for folder, names in folders.items()}
    annotations = [found for folder, names in folders.items() for found in _folder(reading, folder, names, parts)]
    annotations = _one_each(reading, annotations)
    classes, annotations = _classes(reading, list(folders), annotations)
    index = {name: place for place, name in enumerate(classes)}
    items = [_record(found, task, index) for found in annotations]
    used = {found.image for found in annotations}
    items += [record for folder in folders for record in _listed_only(reading, folder, parts[folder], used, task)]
    _say_the_rest(reading, folders, annotations, {record.image for record in items if isinstance(record.image, Path)})
    if not items:
        raise nothing_usable(path, "at least one image with a Pascal VOC annotation", reading.problems)
    layout = summary(NAME, tuple(items), task, len(classes))
    return Records(tuple(items), {task: Labels("boxes", classes)}, str(path), tuple(reading.problems), layout)


def _places(reading: Reading, folder: Path) -> list[Path]:
    part = folder_part(folder, reading.root)
    return image_folders(folder, reading.root, part, (folder.name,), reading.hints, reading.listing)


def _lists(reading: Reading, folder: Path, names: list[str]) -> dict[str, Listed]:
    """The part of each image by name; a folder named for a part needs no list."""
    if folder_part(folder, reading.root):
        return {}
    known = {name[: -len(".xml")] for name in names}
    for above in folders_above(folder, reading.root):
        if found := listed_parts(above / "ImageSets" / "Main", known, reading.problems):
            return found
    return {}


def _folder(
    reading: Reading, folder: Path, names: list[str], parts: Mapping[Path, Mapping[str, Listed]]
) -> list[_Found]:
    places, part, listed = _places(reading, folder), folder_part(folder, reading.root), parts[folder]
    found = []
    for name in names:
        stem = name[: -len(".xml")]
        try:
            said = parse((folder / name).read_bytes())
            image = _image(reading.listing, places, said.filename, stem)
        except check.DataError as error:
            reading.put_aside(folder / name, error)
            continue
        except OSError as error:
            reading.put_aside(folder / name, closed(error))
            continue
        in_list = listed.get(stem) or listed.get(image_stem(said.filename))
        found.append(_Found(folder / name, said, image, part or (in_list.part if in_list else None)))
    return found


def _image(listing: Listing, places: list[Path], filename: str, stem: str) -> Path:
    if filename:
        inner = inner_path(filename)
        above, _, last = inner.rpartition("/")
        deeper = [place / above for place in places] if above else places
        if found := listing.find(places, inner) or listing.find_stem(deeper, image_stem(last)):
            return found
    if found := listing.find_stem(places, stem):
        return found
    named = f"{filename!r} nor one named like this file" if filename else "one named like this file"
    raise check.DataError(f"its image is missing: there is {'neither' if filename else 'not'} {named}")


def _one_each(reading: Reading, annotations: list[_Found]) -> list[_Found]:
    """An image that two files describe is described by the one of its name; labels would be missing in each."""
    owner: dict[Path, _Found] = {}
    for found in annotations:
        first = owner.setdefault(found.image, found)
        if first is not found and found.file.stem == found.image.stem and first.file.stem != first.image.stem:
            owner[found.image] = found
    for found in annotations:
        if owner[found.image] is not found:
            reading.put_aside(found.file, f"its image, {found.image.name}, is that of {owner[found.image].file} too")
    return [found for found in annotations if owner[found.image] is found]


def _classes(reading: Reading, folders: list[Path], annotations: list[_Found]) -> tuple[tuple[str, ...], list[_Found]]:
    """The names, and the annotations that use no other."""
    near = dict.fromkeys(place for folder in folders for place in (folder, *folders_above(folder, reading.root)))
    given = class_names([reading.root, *near], reading.hints)
    if given is None:
        return tuple(sorted({name for found in annotations for name in found.said.names})), annotations
    file, names = given
    known, kept = set(names), []
    for found in annotations:
        strange = next((name for name in found.said.names if name not in known), None)
        if strange is None:
            kept.append(found)
        else:
            hint = check.nearest(strange, names)
            reading.put_aside(found.file, check.sentence("class", f"one that {file} names", repr(strange), hint))
    return names, kept


def _record(found: _Found, task: str, index: Mapping[str, int]) -> Record:
    said = found.said
    boxes = Boxes(
        np.asarray(said.corners, np.float64).reshape(-1, 4),
        np.asarray([index[name] for name in said.names], np.int64),
        difficult=np.asarray(said.difficult, bool),
        truncated=np.asarray(said.truncated, bool),
    )
    size = said.size or stated_size(found.image)
    return Record(str(found.image), found.image, targets={task: boxes}, part=found.part, size=size)


def _listed_only(
    reading: Reading, folder: Path, listed: Mapping[str, Listed], used: set[Path], task: str
) -> list[Record]:
    """The images that a list names and no XML file describes: whoever made the list knows them to be empty."""
    described = {name[: -len(".xml")] for name in files_named(folder, ".xml")}
    places, records = _places(reading, folder), []
    for stem, entry in listed.items():
        if stem in described:
            continue
        try:
            image = reading.listing.find_stem(places, stem)
        except check.DataError as error:
            reading.put_aside(entry.place, error)
            continue
        if image is None:
            reading.put_aside(entry.place, f"{stem!r} has neither an image nor an annotation file")
        elif image not in used:
            used.add(image)
            empty = Boxes(np.zeros((0, 4)), np.zeros(0))
            records.append(Record(str(image), image, targets={task: empty}, part=entry.part, size=stated_size(image)))
    return records


def _say_the_rest(
    reading: Reading, folders: Mapping[Path, list[str]], annotations: list[_Found], used: set[Path]
) -> None:
    """Name the images without an annotation, beside those that have one, and the elements that are not read."""
    described = {name[: -len(".xml")] for names in folders.values() for name in names}
    where = ", ".join(map(str, list(folders)[:3])) + (", …" if len(folders) > 3 else "")
    for folder in sorted({image.parent for image in used}):
        for name in reading.listing.images(folder):
            if folder / name not in used and image_stem(name) not in described:
                reading.put_aside(
                    folder / name, f"an image without an annotation file: no {image_stem(name)}.xml in {where}"
                )
    unread: dict[str, int] = {}
    for found in annotations:
        for element in found.said.unread:
            unread[element] = unread.get(element, 0) + 1
    for element, number in sorted(unread.items()):
        reason = f"<{element}> in objects is not read, only their boxes; it stands in {count(number, 'file')}"
        reading.put_aside(reading.root, reason)


VOC = Format(
    name="voc",
    title="Pascal VOC",
    says="an XML file for each image, with its boxes",
    recognise=recognise,
    read=read,
    write=write,
    heeds=frozenset(("images", "labels", "names")),
    holds=HOLDS,
)
