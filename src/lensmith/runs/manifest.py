"""The manifest: which example went into which part of a run, so that a resume takes the same ones."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from lensmith import check
from lensmith.records import PARTS, Labels, Record, Records

Parts = tuple[Records, Records, Records]  # training, validation, test


def describe(parts: Parts) -> dict[str, Any]:
    """The manifest of three parts, as JSON holds it."""
    return {
        "labels": {task: labels.to_dict() for task, labels in parts[0].labels.items()},
        "parts": {name: _entries(records) for name, records in zip(PARTS, parts, strict=True)},
        "set_aside": [{"source": one.source, "reason": one.reason} for one in parts[0].set_aside],
    }


def restore(manifest: Mapping[str, Any], records: Sequence[Record], name: str) -> Parts:
    """The parts as the manifest says, found again among ``records``; new records are left out.

    Raises:
        DataError: an example is gone, or its content is another than when the run began.
    """
    found = {key_of(record): record for record in records}
    labels = {task: Labels.from_dict(values) for task, values in manifest["labels"].items()}
    parts = [
        Records(tuple(_found(found, entry, name) for entry in manifest["parts"][part]), labels, name) for part in PARTS
    ]
    return parts[0], parts[1], parts[2]


def key_of(record: Record) -> str:
    """What an example is found again by: the file's full path, or its source where it is not a file."""
    return str(record.image.resolve()) if isinstance(record.image, Path) else record.source


def _entries(records: Records) -> list[dict[str, str]]:
    return [{"source": key_of(record), "sha256": content_hash(record)} for record in records]


def _found(records: Mapping[str, Record], entry: Mapping[str, str], name: str) -> Record:
    record = records.get(entry["source"])
    if record is None:
        raise check.DataError(f"{entry['source']}: was part of the run and is no longer in {name}; put it back")
    if content_hash(record) != entry["sha256"]:
        raise check.DataError(f"{entry['source']}: changed since the run began; put the old one back, or begin anew")
    return replace(record, part=None)


def content_hash(record: Record) -> str:
    """SHA-256 of the file's bytes, or of the array's shape and values."""
    if isinstance(record.image, Path):
        try:
            with record.image.open("rb") as file:
                return hashlib.file_digest(file, "sha256").hexdigest()
        except OSError as error:
            raise check.DataError(f"{record.source}: cannot be read: {error.strerror}") from None
    values = record.row if record.image is None else record.image
    digest = hashlib.sha256(repr((values.shape, str(values.dtype))).encode())  # type: ignore[union-attr]
    digest.update(values.tobytes())  # type: ignore[union-attr]
    return digest.hexdigest()
