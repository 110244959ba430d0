"""Records → Pascal VOC: ``Annotations/``, ``JPEGImages/``, ``ImageSets/Main/`` and ``classes.txt``."""

from __future__ import annotations

import unicodedata
from pathlib import Path
from xml.etree import ElementTree

from lensmith import check
from lensmith.data.formats.numbers import plain
from lensmith.data.formats.writing import boxes_of, image_extent, one_task, part_name, put_image, unique_names
from lensmith.records import Boxes, Records

NAME = "Pascal VOC"
# The fields of a record's boxes that are written, beside corners and classes. Polygons and crowds are left behind.
HOLDS: frozenset[str] = frozenset(("difficult", "truncated"))
_LISTS = {"train": "train", "validation": "val", "test": "test"}


def write(records: Records, folder: Path) -> None:
    """Write records into an empty folder: one XML file for each, its image, the lists of the parts, the classes.

    Corners are written as they are, to the last digit of float32. An image without boxes gets an XML file without
    objects. ``classes.txt`` keeps the order of the classes, and those that no box has. A record without a part,
    where others have one, is listed under train.

    Raises:
        DataError: not exactly one task has boxes, or a record has none, no image or a number that is not finite, or
            a class has a name that XML or a line of text cannot hold; names it.
    """
    task = one_task(records, "boxes", NAME)
    names = records.labels[task].names
    for name in names:
        _check_name(name)
    annotations, images = folder / "Annotations", folder / "JPEGImages"
    annotations.mkdir()
    images.mkdir()
    stems = unique_names(records)
    for record, stem in zip(records, stems, strict=True):
        boxes = boxes_of(record, task, names)
        image = put_image(record, images / stem)
        tree = _tree(image.name, record.size or image_extent(record), boxes, names)
        (annotations / f"{stem}.xml").write_bytes(ElementTree.tostring(tree, "utf-8") + b"\n")
    _put_lines(folder / "classes.txt", names)
    if any(record.part for record in records):
        lists = folder / "ImageSets" / "Main"
        lists.mkdir(parents=True)
        for part, file in _LISTS.items():
            listed = [stem for record, stem in zip(records, stems, strict=True) if part_name(record) == part]
            if listed:
                _put_lines(lists / f"{file}.txt", listed)


def _tree(filename: str, size: tuple[int, int], boxes: Boxes, names: tuple[str, ...]) -> ElementTree.Element:
    root = ElementTree.Element("annotation")
    _add(root, "folder", "JPEGImages")
    _add(root, "filename", filename)
    extent = _add(root, "size")
    for side, length in zip(("width", "height"), size[::-1], strict=True):
        _add(extent, side, str(length))
    for place, corners in enumerate(boxes.xyxy):
        element = _add(root, "object")
        _add(element, "name", names[boxes.classes[place]])
        _add(element, "truncated", str(int(boxes.truncated[place])))
        _add(element, "difficult", str(int(boxes.difficult[place])))
        box = _add(element, "bndbox")
        for side, value in zip(("xmin", "ymin", "xmax", "ymax"), corners, strict=True):
            _add(box, side, str(plain(value)))
    ElementTree.indent(root)
    return root


def _add(parent: ElementTree.Element, name: str, text: str | None = None) -> ElementTree.Element:
    element = ElementTree.SubElement(parent, name)
    element.text = text
    return element


def _check_name(name: str) -> None:
    strange = [letter for letter in name if unicodedata.category(letter) in ("Cc", "Cs") or letter in "\ufffe\uffff"]
    if strange or not name or name != name.strip():
        expected = "a name without control characters, and no space before or after it"
        raise check.DataError(check.sentence(f"to write {NAME}: class", expected, repr(name)))


def _put_lines(file: Path, lines: tuple[str, ...] | list[str]) -> None:
    file.write_bytes("".join(f"{line}\n" for line in lines).encode())
