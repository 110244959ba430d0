"""The text of one Pascal VOC annotation → what it says."""

from __future__ import annotations

import re
from dataclasses import dataclass
from xml.etree import ElementTree

from lensmith import check
from lensmith.data.formats.annotations import short
from lensmith.data.formats.numbers import as_number

_LARGEST = 2**24  # bytes: some fifty thousand objects
_SIDES = ("xmin", "ymin", "xmax", "ymax")
_READ = frozenset(("name", "bndbox", "difficult", "truncated"))
# What says nothing of where an object is or how it is scored, so that nobody needs to be told it is not read.
_PASSED_OVER = frozenset(("pose", "occluded", "view", "id", "deleted", "verified", "date", "attributes"))
# Codecs that pass most bytes through as ASCII letters, or are slow on purpose, are not among these.
_ENCODING = re.compile(
    r"utf-?8|utf-?16([lb]e)?|us-ascii|ascii|iso-8859-\d+|latin-?1|windows-125\d|cp125\d|gb2312|gbk|gb18030|big5"
    r"|shift_jis|euc-(jp|kr)|koi8-[ru]"
)
_MARKS = {"true": True, "yes": True, "false": False, "no": False, "": False, "unspecified": False, "none": False}


@dataclass(frozen=True, slots=True)
class Annotation:
    """What one file says.

    Args:
        filename: of the image, or an empty string.
        size: height and width in pixels, where both are stated as whole numbers above 0.
        names: the class of each object.
        corners: xmin, ymin, xmax, ymax of each object, as they stand.
        difficult: of each object.
        truncated: of each object.
        unread: names of elements in objects that hold more than is read.
    """

    filename: str
    size: tuple[int, int] | None
    names: tuple[str, ...]
    corners: tuple[tuple[float, ...], ...]
    difficult: tuple[bool, ...]
    truncated: tuple[bool, ...]
    unread: frozenset[str] = frozenset()


def parse(content: bytes) -> Annotation:
    """Read one annotation.

    Raises:
        DataError: it is no XML, has a document type (which could refer to other files or expand without end), or
            is no annotation; or an object has no name, no box, or a number that is none. The message does not
            name the file.
    """
    root = _tree(content)
    if root.tag != "annotation":
        raise check.DataError(check.sentence("XML", "an <annotation>", f"<{root.tag}>"))
    objects = root.findall("object")
    boxes = [_box(element, f"object {place}") for place, element in enumerate(objects, 1)]
    return Annotation(
        filename=_text(root, "filename"),
        size=_size(root),
        names=tuple(_name(element, f"object {place}") for place, element in enumerate(objects, 1)),
        corners=tuple(boxes),
        difficult=tuple(_mark(element, "difficult", place) for place, element in enumerate(objects, 1)),
        truncated=tuple(_mark(element, "truncated", place) for place, element in enumerate(objects, 1)),
        unread=frozenset(str(child.tag) for element in objects for child in element) - _READ - _PASSED_OVER,
    )


def _tree(content: bytes) -> ElementTree.Element:
    if len(content) > _LARGEST:
        raise check.DataError(check.sentence("XML", f"at most {_LARGEST:,} bytes", f"{len(content):,}"))
    text = _decoded(content)
    if re.search(r"<!\s*(DOCTYPE|ENTITY)", text, re.IGNORECASE):
        raise check.DataError(check.sentence("XML", "no document type and no entities", "one, which is not safe"))
    try:
        return ElementTree.fromstring(text)
    except (ElementTree.ParseError, ValueError) as error:
        raise check.DataError(f"not XML that can be read: {error}") from error


def _decoded(content: bytes) -> str:
    """The text that is searched and then parsed: one and the same, so that no encoding hides anything."""
    declared = re.match(rb"\s*<\?xml[^>]*?encoding\s*=\s*['\"]([\w.-]+)['\"]", content[:200])
    encoding = declared[1].decode(errors="replace").lower() if declared else "utf-8"
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        encoding = "utf-16"
    elif content.startswith(b"\xef\xbb\xbf") or encoding in ("utf-8", "utf8"):
        encoding = "utf-8-sig"
    elif not _ENCODING.fullmatch(encoding):
        raise check.DataError(check.sentence("XML", "an encoding such as UTF-8", short(encoding)))
    try:
        return content.decode(encoding)
    except (UnicodeError, LookupError) as error:
        raise check.DataError(f"not XML that can be read: its letters are not {encoding}") from error


def _text(element: ElementTree.Element, name: str) -> str:
    return (element.findtext(name) or "").strip()


def _name(element: ElementTree.Element, place: str) -> str:
    name = _text(element, "name")
    if not name:
        raise check.DataError(check.sentence(place, "a class in <name>", "none"))
    return name


def _box(element: ElementTree.Element, place: str) -> tuple[float, ...]:
    boxes = element.findall("bndbox")
    if len(boxes) != 1:
        raise check.DataError(check.sentence(place, "one <bndbox>", len(boxes) or "none"))
    return tuple(_number(boxes[0], side, place) for side in _SIDES)


def _number(box: ElementTree.Element, side: str, place: str) -> float:
    text = _text(box, side)
    value = as_number(text)
    if value is None:
        raise check.DataError(check.sentence(place, f"a finite number in <{side}>", short(text) if text else "none"))
    return value


def _mark(element: ElementTree.Element, name: str, place: int) -> bool:
    text = _text(element, name).lower()
    if text in _MARKS:
        return _MARKS[text]
    value = as_number(text)
    if value is None:
        raise check.DataError(check.sentence(f"object {place}", f"0 or 1 in <{name}>", short(text)))
    return value != 0


def _size(root: ElementTree.Element) -> tuple[int, int] | None:
    try:
        height, width = (float(root.findtext(f"size/{side}") or "") for side in ("height", "width"))
        whole = height.is_integer() and width.is_integer() and height > 0 and width > 0
    except ValueError:
        return None
    return (int(height), int(width)) if whole else None
