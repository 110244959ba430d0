"""The content of one COCO file → its categories, images and annotations, checked one by one."""

from __future__ import annotations

import json
import math
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lensmith import check
from lensmith.data.formats.annotations import count, short
from lensmith.data.formats.coco.masks import outline
from lensmith.data.formats.numbers import is_finite, json_number
from lensmith.data.formats.text import read_text
from lensmith.data.formats.walking import is_unicode, shown
from lensmith.records import Polygons, Problem

Id = int | str
_LISTS = ("images", "annotations", "categories")


@dataclass(frozen=True, slots=True)
class Image:
    """One entry of ``images``: name as it stands, height and width where both are whole numbers above 0."""

    id: Id
    name: str
    size: tuple[int, int] | None


@dataclass(frozen=True, slots=True)
class Object:
    """One entry of ``annotations``: corners in pixels, the name of the category, and what else is read."""

    corners: tuple[float, float, float, float]
    name: str
    polygons: Polygons
    crowd: bool
    place: str


@dataclass(frozen=True, slots=True)
class Content:
    """What one file says.

    Args:
        names: of the categories by ascending id, each once.
        images: in the order of the file.
        objects: by the id of their image.
    """

    names: tuple[str, ...]
    images: tuple[Image, ...]
    objects: dict[Id, list[Object]]


def parse(file: Path, problems: list[Problem]) -> Content:
    """Read one file; entries that are wrong are added to the problems, each by the id it has in the file.

    Raises:
        DataError: it cannot be opened, is no JSON, has not the three lists, or annotations for another purpose.
    """
    lists = _load(file)
    reading = _Reading(str(file), problems)
    used = {
        key for one in lists["annotations"] if isinstance(one, dict) if (key := _id(one.get("category_id"))) is not None
    }
    names = _categories(reading, lists["categories"], used)
    images = _images(reading, lists["images"])
    objects = _annotations(reading, lists["annotations"], names, {image.id: image for image in images})
    return Content(tuple(dict.fromkeys(names.values())), images, objects)


@dataclass(frozen=True, slots=True)
class _Reading:
    file: str
    problems: list[Problem]
    unread: Counter[str] = field(default_factory=Counter)

    def put_aside(self, place: str, reason: object) -> None:
        self.problems.append(Problem(f"{self.file}: {place}" if place else self.file, str(reason)))


def _load(file: Path) -> dict[str, list[Any]]:
    try:
        content = json.loads(read_text(file, largest=None))
    except check.DataError:
        raise
    except (ValueError, RecursionError) as error:
        raise check.DataError(check.sentence(shown(file), "JSON", f"what is none: {error}")) from error
    lists = {name: content.get(name) for name in _LISTS} if isinstance(content, dict) else {}
    missing = [name for name in _LISTS if not isinstance(lists.get(name), list)]
    if missing:
        expected = "COCO: an object with the lists images, annotations and categories"
        got = f"no list {' nor '.join(missing)}" if lists else f"JSON that starts with {short(content)}"
        raise check.DataError(check.sentence(shown(file), expected, got))
    entries = [one for one in lists["annotations"] if isinstance(one, dict)]  # type: ignore[union-attr]
    if entries and not any("bbox" in one for one in entries):
        other = next((name for name in ("caption", "segments_info", "keypoints") if name in entries[0]), "no bbox")
        raise check.DataError(check.sentence(shown(file), "annotations with a bbox", other))
    return lists  # type: ignore[return-value]


def _id(value: object) -> Id | None:
    """An id: a whole number or a text; None for anything else."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    if isinstance(value, float):
        return int(value) if math.isfinite(value) and value.is_integer() else None
    return value


def _entries(reading: _Reading, kind: str, values: list[Any]) -> list[tuple[Id, dict[str, Any]]]:
    """The entries of a list that are objects with an id, each id once."""
    found: dict[Id, dict[str, Any]] = {}
    for place, value in enumerate(values):
        key = _id(value.get("id")) if isinstance(value, dict) else None
        if key is None:
            got = short(value.get("id")) if isinstance(value, dict) else short(value)
            reading.put_aside(f"{kind} at place {place}", check.sentence("id", "a whole number or a text", got))
        elif key in found:
            reading.put_aside(f"{kind} {key!r} at place {place}", "an earlier one has the same id")
        else:
            found[key] = value
    return list(found.items())


def _categories(reading: _Reading, values: list[Any], used: set[Id]) -> dict[Id, str]:
    """The name of each category, by ascending id.

    Where several have one name, they are one class unless more than one of them is used: some exports list the
    project as a category that nothing belongs to, by the name of its only class.
    """
    entries = sorted(_entries(reading, "category", values), key=lambda entry: (isinstance(entry[0], str), entry[0]))
    names: dict[Id, str] = {}
    for key, entry in entries:
        name = entry.get("name")
        if isinstance(name, int | float) and not isinstance(name, bool):
            name = str(name)
        if not isinstance(name, str) or not name.strip() or not is_unicode(name):
            reading.put_aside(f"category {key!r}", check.sentence("name", "a text", short(name)))
            continue
        names[key] = name
    times = Counter(name for key, name in names.items() if key in used)
    taken, seen = set(names.values()), Counter[str]()
    for key, name in names.items():
        if times[name] > 1 and key in used:
            seen[name] += 1
            names[key] = name if seen[name] == 1 else _free(name, taken)
    return names


def _free(name: str, taken: set[str]) -> str:
    """The name with the first number from 2 that nobody has."""
    found = next(text for index in range(2, len(taken) + 3) if (text := f"{name} {index}") not in taken)
    taken.add(found)
    return found


def _images(reading: _Reading, values: list[Any]) -> tuple[Image, ...]:
    images = []
    for key, entry in _entries(reading, "image", values):
        name = entry.get("file_name")
        if not isinstance(name, str) or not name:
            reading.put_aside(f"image {key!r}", check.sentence("file_name", "a text", short(name)))
            continue
        sides = [json_number(entry.get(side)) for side in ("height", "width")]
        whole = [int(side) for side in sides if side is not None and side.is_integer() and side > 0]
        images.append(Image(key, name, (whole[0], whole[1]) if len(whole) == 2 else None))
    return tuple(images)


def _annotations(
    reading: _Reading, values: list[Any], names: dict[Id, str], images: dict[Id, Image]
) -> dict[Id, list[Object]]:
    objects: dict[Id, list[Object]] = {key: [] for key in images}
    for place, value in enumerate(values):
        if not isinstance(value, dict):
            reading.put_aside(
                f"annotation at place {place}", check.sentence("", "an object", short(value)).lstrip(": ")
            )
            continue
        key = _id(value.get("id"))
        label = f"annotation {key!r}" if key is not None else f"annotation at place {place}"
        try:
            image, found = _object(reading, value, label, names, images)
        except check.DataError as error:
            reading.put_aside(label, error)
            continue
        objects[image.id].append(found)
    if number_of := reading.unread["keypoints"]:
        reading.put_aside("", f"the keypoints of {count(number_of, 'annotation')} are not read, only the boxes")
    return objects


def _object(
    reading: _Reading, value: dict[str, Any], label: str, names: dict[Id, str], images: dict[Id, Image]
) -> tuple[Image, Object]:
    key, category = _id(value.get("image_id")), _id(value.get("category_id"))
    if key is None or key not in images:
        raise check.DataError(check.sentence("image_id", "the id of an image", short(value.get("image_id"))))
    if category is None or category not in names:
        expected = "the id of a category that has a name"
        raise check.DataError(check.sentence("category_id", expected, short(value.get("category_id"))))
    crowd = value.get("iscrowd")
    if crowd not in (None, 0, 1):
        raise check.DataError(check.sentence("iscrowd", "0 or 1", short(crowd)))
    corners = _corners(value.get("bbox"))
    try:
        polygons = outline(value.get("segmentation"), images[key].size)
    except check.DataError as error:
        reading.put_aside(label, f"{error}; its box is kept")
        polygons = ()
    if value.get("keypoints"):
        reading.unread["keypoints"] += 1
    return images[key], Object(corners, names[category], polygons, bool(crowd), f"{reading.file}: {label}")


def _corners(bbox: object) -> tuple[float, float, float, float]:
    numbers = [json_number(value) for value in bbox] if isinstance(bbox, list) else []
    finite = [value for value in numbers if value is not None]
    if len(finite) == len(numbers) == 4:
        x, y, width, height = finite
        if is_finite(x + width) and is_finite(y + height):
            return x, y, x + width, y + height
    raise check.DataError(check.sentence("bbox", "four finite numbers: x, y, width, height", short(bbox)))
