"""The manifest: which example went into which part of a run, so that a resume takes the same ones."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from lensmith import check
from lensmith.records import PARTS, Boxes, Kind, Labels, Record, Records, Target

Parts = tuple[Records, Records, Records]  # training, validation, test


def describe(parts: Parts) -> dict[str, Any]:
    """The manifest of three parts, as JSON holds it.

    Raises:
        DataError: two examples have the same source, so that they could not be told apart again.
    """
    keys = Counter(key_of(record) for part in parts for record in part)
    twice = [key for key, count in keys.items() if count > 1]
    if twice:
        remedy = "Each example stands in one part, once; give arrays different names"
        raise check.DataError(f"{twice[0]}: stands {keys[twice[0]]} times in the data. {remedy}")
    return {
        "labels": {task: labels.to_dict() for task, labels in parts[0].labels.items()},
        "parts": {name: entries(part) for name, part in zip(PARTS, parts, strict=True)},
        "set_aside": [{"source": one.source, "reason": one.reason} for one in parts[0].set_aside],
    }


def restore(noted: Mapping[str, Any], records: Sequence[Record], name: str) -> Parts:
    """The parts as the manifest says, found again among ``records``; new records are left out.

    Targets are those of the manifest, since a class that was added would number the others anew.

    Raises:
        DataError: an example is gone, or its content is another than when the run began.
    """
    train, validation, test = (restore_part(noted, part, records, name) for part in PARTS)
    return train, validation, test


def restore_part(noted: Mapping[str, Any], part: str, records: Sequence[Record], name: str) -> Records:
    """One of the parts; see :func:`restore`."""
    labels = {task: Labels.from_dict(values) for task, values in noted["labels"].items()}
    return restored(noted["parts"][part], labels, records, name)


def entries(records: Iterable[Record]) -> list[dict[str, Any]]:
    """What is noted of each example: where it is, what its content is, and its targets."""
    return [{"source": key_of(record), "sha256": content_hash(record), "targets": _plain(record)} for record in records]


def restored(
    noted: Iterable[Mapping[str, Any]], labels: Mapping[str, Labels], records: Sequence[Record], name: str
) -> Records:
    """The noted examples, found again among ``records``; see :func:`restore`."""
    found = {key_of(record): record for record in records}
    return Records(tuple(_found(found, entry, labels, name) for entry in noted), dict(labels), name)


def key_of(record: Record) -> str:
    """What an example is found again by: the file's full path, or its source where it is not a file."""
    return str(record.image.absolute()) if isinstance(record.image, Path) else record.source


def _plain(record: Record) -> dict[str, Any]:
    """The targets as JSON holds them; a mask in memory is part of the content instead."""
    return {task: _written(target) for task, target in record.targets.items() if not _in_memory(target)}


def _in_memory(target: Target) -> bool:
    return isinstance(target, np.ndarray) and target.dtype == np.uint8


def _written(target: Target) -> Any:
    if isinstance(target, Boxes):
        marks = {name: getattr(target, name).tolist() for name in ("crowd", "difficult", "truncated")}
        rings = [[ring.tolist() for ring in one] for one in target.polygons]
        shown = {"xyxy": target.xyxy.tolist(), "classes": target.classes.tolist()}
        return shown | ({"polygons": rings} if any(rings) else {}) | {k: v for k, v in marks.items() if any(v)}
    if isinstance(target, np.ndarray):
        return target.tolist()
    return str(target.absolute()) if isinstance(target, Path) else target


def _target(plain: Any, kind: Kind) -> Target:
    if kind == "boxes":
        return Boxes(**plain)
    if kind == "points":
        return np.asarray(plain, np.float32)
    if kind == "mask":
        return Path(plain)
    return tuple(plain) if isinstance(plain, list) else plain


def _found(records: Mapping[str, Record], entry: Mapping[str, Any], labels: Mapping[str, Labels], name: str) -> Record:
    record = records.get(entry["source"])
    if record is None:
        raise check.DataError(f"{entry['source']}: was part of the run and is no longer in {name}; put it back")
    if content_hash(record) != entry["sha256"]:
        raise check.DataError(f"{entry['source']}: changed since the run began; put the old one back, or begin anew")
    noted = entry["targets"]
    targets = {
        task: _target(noted[task], one.kind) if task in noted else record.targets[task] for task, one in labels.items()
    }
    return replace(record, part=None, targets=targets)


def content_hash(record: Record) -> str:
    """SHA-256 of the image file's bytes, or of the array's shape and values; masks are part of it."""
    masks = [target for target in record.targets.values() if isinstance(target, Path) or _in_memory(target)]
    values = record.row if record.image is None else record.image
    found = [_hash(one, record.source) for one in (values, *masks)]
    return found[0] if len(found) == 1 else hashlib.sha256("".join(found).encode()).hexdigest()


def _hash(values: Any, source: str) -> str:
    if isinstance(values, Path):
        try:
            with values.open("rb") as file:
                return hashlib.file_digest(file, "sha256").hexdigest()
        except OSError as error:
            raise check.DataError(f"{source}: cannot be read: {error.strerror}") from None
    digest = hashlib.sha256(repr((values.shape, str(values.dtype))).encode())
    digest.update(values.tobytes())
    return digest.hexdigest()
