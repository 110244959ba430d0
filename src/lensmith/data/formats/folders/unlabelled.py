"""Images and nothing else: to look at, to audit, to predict on."""

from __future__ import annotations

from pathlib import Path

from lensmith import check
from lensmith.data.formats.format import Format, Hints
from lensmith.data.formats.walking import (
    check_opens,
    entries,
    folders,
    holds_image,
    images,
    images_and_parts,
    is_image,
    part_folders,
    shown,
)
from lensmith.data.formats.writing import part_name, put_image, unique_names
from lensmith.records import Problem, Record, Records

LAYOUT = "a folder with images somewhere below, or one image"


def read_unlabelled(path: Path | str) -> Records:
    """Read every image below a folder, or one image, without any target.

    Images in folders named ``train``, ``validation``, ``test`` or one of their other names belong to that part.
    No image is opened.

    Raises:
        DataError: there is no such folder or file, it cannot be opened, or there is no image.
    """
    root = Path(path)
    if root.is_file() and is_image(root.name):
        return Records((Record(str(root), root),), {}, str(root), layout="unlabelled images: one")
    check_opens(root, LAYOUT)
    problems: list[Problem] = []
    items = tuple(Record(str(file), file, part=part) for file, part in images_and_parts(root, problems))
    if not items:
        raise check.DataError(check.sentence(shown(root), LAYOUT, "no image at all"))
    return Records(items, {}, str(root), tuple(problems), f"unlabelled images: {len(items)}")


def write_unlabelled(records: Records, folder: Path) -> None:
    """Write the images into ``images/``, or into part folders below it where there are parts.

    Raises:
        DataError: there are targets, which would be lost, or a record has no image.
    """
    if records.labels:
        expected = "records without targets, which this format cannot hold"
        raise check.DataError(check.sentence(shown(records.name), expected, ", ".join(records.labels)))
    parts = any(record.part for record in records)
    for record, stem in zip(records, unique_names(records), strict=True):
        place = folder / part_name(record) if parts else folder / "images"
        place.mkdir(exist_ok=True)
        put_image(record, place / stem)


def _recognise(path: Path) -> str | None:
    if path.is_file():
        return "one image" if is_image(path.name) else None
    closed: list[Problem] = []
    for inner in folders(path):
        entries(inner, closed)
    # Class folders in a part folder, or beside one that cannot be opened, are labels that must not get lost.
    if any(one.source in map(str, folders(path)) for one in closed) or any(
        holds_image(inner) for part in part_folders(path) for inner in folders(part)
    ):
        return None
    count = sum(1 for _ in images(path, []))
    return f"{count} images without labels" if count else None


def _read(path: Path, hints: Hints) -> Records:
    del hints  # there is nothing to be told
    return read_unlabelled(path)


UNLABELLED = Format(
    name="unlabelled",
    title="unlabelled images",
    says="any folder of images, or one",
    recognise=_recognise,
    read=_read,
    write=write_unlabelled,
)
