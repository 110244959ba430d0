"""Records → ``images/``, ``labels/`` and ``data.yaml``."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import yaml

from lensmith.data.formats.writing import boxes_of, image_extent, made, one_task, put_image, unique_names
from lensmith.data.formats.yolo.lines import lines
from lensmith.records import PARTS, Records

_KEYS = {"train": "train", "validation": "val", "test": "test"}


def write_yolo(records: Records, folder: Path) -> None:
    """Write the boxes of records as YOLO label files, in the layout Ultralytics reads.

    ``images/<part>/`` and ``labels/<part>/``, and ``data.yaml`` with the names and the parts; a record without a
    part stands in ``images/`` itself, and where there is such a one the config names no part. Objects with an
    outline are written as outlines, from which a reader makes the box around them; rings are joined to one. What
    is said of a box besides is left out: see ``HOLDS``.

    Args:
        records: with one task of boxes; other tasks are not written.
        folder: an empty one.

    Raises:
        DataError: there is no task of boxes, or several, or a record cannot be written; names it.
    """
    task = one_task(records, "boxes", "YOLO")
    names = records.labels[task].names
    for record, stem in zip(records, unique_names(records), strict=True):
        boxes = boxes_of(record, task, names)
        text = lines(boxes, image_extent(record), record.source) if len(boxes) else ""
        put_image(record, made(folder, "images", record) / stem)
        (made(folder, "labels", record) / f"{stem}.txt").write_text(text, encoding="utf-8")
    config = _config({record.part for record in records}, names)
    (folder / "data.yaml").write_text(config, encoding="utf-8")


def _config(parts: Iterable[str | None], names: Iterable[str]) -> str:
    found = set(parts)
    values: dict[str, Any] = {}
    if None not in found:
        values = {_KEYS[part]: f"images/{part}" for part in PARTS if part in found}
    values["names"] = dict(enumerate(names))
    # Written as they are, these end a line, and would be read as a space.
    ends = any(letter in name for name in values["names"].values() for letter in "\x85\u2028\u2029")
    return str(yaml.safe_dump(values, sort_keys=False, allow_unicode=not ends))
