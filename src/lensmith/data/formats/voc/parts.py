"""The lists of Pascal VOC that say which image belongs to which part: ``ImageSets/Main/train.txt``."""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from lensmith.data.formats.annotations import files_named
from lensmith.data.formats.listing import image_stem
from lensmith.data.formats.parts import part_of
from lensmith.data.formats.walking import closed
from lensmith.records import Problem


@dataclass(frozen=True, slots=True)
class Listed:
    """That an image is listed, and where: ``train.txt:12``."""

    part: str
    place: str


def listed_parts(folder: Path, known: Collection[str], problems: list[Problem]) -> dict[str, Listed]:
    """The part of each image by name without suffix, from ``train.txt``, ``val.txt``, ``test.txt`` in a folder.

    ``trainval.txt`` counts as training where the others do not name an image. Lists for one class, such as
    ``cat_train.txt``, are not needed. An image in two lists keeps the first, and that is said.

    Args:
        folder: where the lists are, if there are any.
        known: names without suffix; a 0 or 1 after one of them is a mark of the list, not of the name.
        problems: what is wrong is added here.
    """
    found: dict[str, Listed] = {}
    for name in sorted(files_named(folder, ".txt"), key=_order):
        union = name.lower() == "trainval.txt"
        part = "train" if union else part_of(name[: -len(".txt")])
        if part is None:
            continue
        for number, line in enumerate(_lines(folder / name, problems), 1):
            stem = _stem(line.strip(), known)
            place = f"{folder / name}:{number}"
            first = found.setdefault(stem, Listed(part, place)) if stem else None
            if first is not None and first.part != part and not union:
                problems.append(Problem(place, f"{stem!r} stands in {first.place} too, and stays in {first.part}"))
    return found


def _stem(line: str, known: Collection[str]) -> str:
    whole, marked = image_stem(line), image_stem(re.sub(r"\s+-?[01]$", "", line))
    return marked if whole not in known and marked in known else whole


def _order(name: str) -> tuple[bool, str]:
    return name.lower() == "trainval.txt", name


def _lines(file: Path, problems: list[Problem]) -> list[str]:
    try:
        return file.read_bytes().decode("utf-8-sig", errors="replace").split("\n")
    except OSError as error:
        problems.append(Problem(str(file), closed(error)))
        return []
