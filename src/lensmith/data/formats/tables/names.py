"""The names that columns are known by, and what a column's name says of itself."""

from __future__ import annotations

import re
from typing import cast

from lensmith.data.formats.parts import PART_OF
from lensmith.records import Kind

IMAGE_NAMES = {"image", "images", "img", "file", "filename", "path", "filepath", "imagepath", "imagefile", "imagename"}
IMAGE_NAMES |= {"imagefilename", "url", "imageurl", "photo", "picture"}
LABEL_NAMES = {"label", "labels", "class", "classes", "classname", "target", "category", "species", "breed", "digit"}
LABEL_NAMES |= {"diagnosis", "emotion", "tag", "tags"}
PART_NAMES = ("part", "split", "subset", "usage", "set")
PART_WORDS = {**PART_OF, "publictest": "validation", "privatetest": "test"}  # the last two are those of FER-2013
CORNERS = ("xmin", "ymin", "xmax", "ymax")
MARKS = ("crowd", "difficult", "truncated")
FACT = ":fact"  # at the end of a column's name: it is none of all that, whatever it is called
UNNAMED = "column0"  # what the column without a name is called, in which some programs number the rows


def plain(name: str) -> str:
    """A column's name as it is compared: ``Image Path``, ``image_path`` and ``imagePath`` are one."""
    return re.sub(r"[\s_\-.]+", "", name).lower()


def is_plain_name(name: str) -> bool:
    """Whether a compared name is one that columns are known by."""
    return name in IMAGE_NAMES or name in LABEL_NAMES or name in PART_NAMES


def is_numbered(name: str) -> bool:
    """Whether this is what the writer calls a column of a row of numbers: ``column12``."""
    return re.fullmatch(r"column[1-9]\d*", name) is not None


def typed(column: str) -> tuple[str, Kind, str] | None:
    """Task, kind and name of the number that a column says of itself.

    Example:
        >>> typed("species:class"), typed("body:number:weight"), typed("species")
        (('species', 'class', 'species'), ('body', 'number', 'weight'), None)
    """
    if column.endswith(FACT):
        return None
    # The longer form first: in body:number:class the number is called so, and is no class.
    found = re.fullmatch(r"(.+?):number:(.+)", column, re.DOTALL)
    if found:
        return found[1], "number", found[2]
    found = re.fullmatch(r"(.+):(class|classes|number)", column, re.DOTALL)
    return (found[1], cast(Kind, found[2]), found[1]) if found else None
