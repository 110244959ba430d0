"""Records → ``records.json``, the JSON form of our own (see ``own_reading``), and the files beside it."""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from lensmith import check
from lensmith.data.formats import writing
from lensmith.data.formats.numbers import shortest
from lensmith.data.formats.tables.names import MARKS
from lensmith.data.formats.tables.own_reading import FILE
from lensmith.data.formats.walking import shown
from lensmith.records import Labels, Record, Records


def write(records: Records, folder: Path) -> None:
    """Write the form of our own: ``records.json``, ``images/``, and a folder for the masks of each task.

    Raises:
        DataError: a record whose files cannot be read, or with numbers that JSON does not have; names it.
    """
    if not len(records):
        raise check.DataError(f"{shown(records.name)}: no record to write")
    masks = [task for task, labels in records.labels.items() if labels.kind == "mask"]
    # Not in a folder called masks: images and masks side by side are a format of their own, with one task only.
    places = {task: f"targets-{number}" for number, task in enumerate(masks, 1)}
    for one in ("images", *places.values()):
        (folder / one).mkdir()
    labels = {task: one.to_dict() for task, one in records.labels.items()}
    with (folder / FILE).open("w", encoding="utf-8", newline="\n") as file:
        file.write(f'{{"lensmith": 1,\n "labels": {_text(labels, shown(records.name))},\n "examples": [')
        separator = "\n  "
        for record, name in zip(records, writing.unique_names(records), strict=True):
            file.write(separator + _text(_example(record, name, records.labels, places, folder), shown(record.source)))
            separator = ",\n  "
        file.write("]}\n")


def _text(value: object, place: str) -> str:
    try:
        text = json.dumps(value, ensure_ascii=False, allow_nan=False)
        text.encode()
    except UnicodeEncodeError as error:  # half of a pair, such as \ud800
        raise check.DataError(f"{place}: a text that is not Unicode") from error
    except ValueError as error:
        raise check.DataError(check.sentence(place, "finite numbers", "NaN or infinity")) from error
    return text


def _example(
    record: Record, name: str, labels: Mapping[str, Labels], places: Mapping[str, str], folder: Path
) -> dict[str, Any]:
    """What is written of a record, whose files are put below ``folder`` by the name given."""
    example: dict[str, Any] = {}
    if record.row is not None:
        example["row"] = _short(record.row)
    else:
        example["image"] = f"images/{writing.put_image(record, folder / 'images' / name).name}"
    targets = dict[str, Any]()
    for task, target in record.targets.items():
        if labels[task].kind == "mask":
            targets[task] = f"{places[task]}/{name}.png"
            _put_mask(target, folder / targets[task], f"{shown(record.source)}: {task}")
        else:
            targets[task] = _plain(target, labels[task])
    size = list(record.size) if record.size else None
    others = {
        "targets": targets,
        "group": record.group,
        "part": record.part,
        "size": size,
        "facts": dict(record.facts),
    }
    return example | {key: value for key, value in others.items() if value not in (None, {})}


def _plain(target: Any, labels: Labels) -> Any:
    """A target → what is written of it."""
    if labels.kind == "class":
        return labels.names[target]
    if labels.kind == "classes":
        return [labels.names[index] for index in target]
    if labels.kind == "number":
        return [float(number) for number in target]
    if labels.kind == "points":
        return [[None if math.isnan(one) else shortest(one) for one in point] for point in np.asarray(target)]
    found: dict[str, Any] = {"xyxy": _short(target.xyxy), "classes": [labels.names[index] for index in target.classes]}
    if any(target.polygons):
        found["polygons"] = [[_short(ring) for ring in one] for one in target.polygons]
    return found | {mark: getattr(target, mark).tolist() for mark in MARKS if getattr(target, mark).any()}


def _short(values: np.ndarray) -> list[Any]:
    """float32 numbers as lists of the shortest numbers that are read as just these."""
    return [_short(one) for one in values] if values.ndim > 1 else [shortest(one) for one in values]


def _put_mask(target: object, path: Path, place: str) -> None:
    if isinstance(target, Path):
        try:
            shutil.copyfile(target, path)
        except OSError as error:
            raise check.DataError(f"{place}: the mask {shown(target)} cannot be read: {error.strerror}") from error
        return
    pixels = np.asarray(target)
    if pixels.dtype != np.uint8 or pixels.ndim != 2 or not pixels.size:
        expected = "a mask, uint8 of shape (height, width)"
        raise check.DataError(check.sentence(place, expected, f"{pixels.dtype} of shape {pixels.shape}"))
    Image.fromarray(pixels).save(path)
