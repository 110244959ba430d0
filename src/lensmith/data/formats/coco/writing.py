"""Records → COCO: ``annotations.json`` and ``images/``, or a folder with ``_annotations.coco.json`` for each part."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from lensmith import check
from lensmith.data.formats.numbers import plain
from lensmith.data.formats.writing import boxes_of, image_extent, one_task, part_name, put_image, unique_names
from lensmith.records import Polygons, Record, Records

NAME = "COCO"
# The fields of a record's boxes that are written, beside corners and classes. Difficult and truncated are left behind.
HOLDS: frozenset[str] = frozenset(("polygons", "crowd"))
_FOLDERS = {"train": "train", "validation": "valid", "test": "test"}


def write(records: Records, folder: Path) -> None:
    """Write records into an empty folder: the images, and JSON files with their boxes and outlines.

    Where records have parts, each part has a folder with its images and ``_annotations.coco.json``, as Roboflow
    exports them; a record without one goes to train. Else there are ``annotations.json`` and ``images/``. Every file
    has all categories, those that nothing belongs to among them. Ids count from 1. Corners are the same in float32
    when they are read again, but for differences under a billionth of a pixel where a box spans from a large number
    to a tiny one.

    Raises:
        DataError: not exactly one task has boxes, or a record has none, no image, a number that is not finite, or an
            outline of fewer than 3 points; names it.
    """
    task = one_task(records, "boxes", NAME)
    stems = unique_names(records)
    pairs = list(zip(records, stems, strict=True))
    if not any(record.part for record in records):
        _put(records, task, pairs, folder / "annotations.json", folder / "images")
        return
    for part, name in _FOLDERS.items():
        chosen = [(record, stem) for record, stem in pairs if part_name(record) == part]
        if chosen:
            _put(records, task, chosen, folder / name / "_annotations.coco.json", folder / name)


def _put(records: Records, task: str, pairs: Sequence[tuple[Record, str]], file: Path, images: Path) -> None:
    names = records.labels[task].names
    images.mkdir(parents=True)
    entries, annotations = list[dict[str, Any]](), list[dict[str, Any]]()
    for image, (record, stem) in enumerate(pairs, 1):
        written = put_image(record, images / stem)
        height, width = record.size or image_extent(record)
        entries.append({"id": image, "file_name": written.name, "height": height, "width": width})
        annotations += _annotations(record, task, names, image, len(annotations) + 1)
    categories = [{"id": place, "name": name, "supercategory": "none"} for place, name in enumerate(names, 1)]
    content = {"categories": categories, "images": entries, "annotations": annotations}
    file.write_bytes((json.dumps(content, ensure_ascii=True) + "\n").encode())


def _annotations(record: Record, task: str, names: tuple[str, ...], image: int, first: int) -> list[dict[str, Any]]:
    boxes = boxes_of(record, task, names)
    if any(len(ring) < 3 for rings in boxes.polygons for ring in rings):
        raise check.DataError(check.sentence(f"{record.source}: polygons", "at least 3 points each", "fewer"))
    return [
        {
            "id": first + place,
            "image_id": image,
            "category_id": int(boxes.classes[place]) + 1,
            "bbox": _bbox(corners),
            "area": _area(corners, boxes.polygons[place]),
            "segmentation": [[plain(value) for value in ring.reshape(-1)] for ring in boxes.polygons[place]],
            "iscrowd": int(boxes.crowd[place]),
        }
        for place, corners in enumerate(boxes.xyxy)
    ]


def _bbox(corners: np.ndarray) -> list[float]:
    """x, y, width, height, so that x + width is the right corner again once it is rounded to float32."""
    low, high = corners[:2], corners[2:]
    return [*(plain(value) for value in low), *(_length(*pair) for pair in zip(low, high, strict=True))]


def _length(low: np.float32, high: np.float32) -> float:
    start = plain(low)
    short = plain(np.float32(plain(high) - start)) if abs(plain(high) - start) < np.finfo(np.float32).max else 0.0
    if np.float32(start + short) == high:
        return short
    return float(high) - start


def _area(corners: np.ndarray, polygons: Polygons) -> float:
    """In square pixels: of the outline by the shoelace formula, or of the box where there is none."""
    if not polygons:
        width, height = (corners[2:].astype(np.float64) - corners[:2]).clip(0)
        return float(width * height)
    return float(sum(_shoelace(ring.astype(np.float64)) for ring in polygons))


def _shoelace(ring: np.ndarray) -> float:
    x, y = ring.T
    return abs(float(np.dot(x, np.roll(y, -1)) - np.dot(y, np.roll(x, -1)))) / 2
