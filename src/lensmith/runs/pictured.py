"""The findings of an audit as pictures: a sheet of the examples each is about."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from PIL import Image

from lensmith import data
from lensmith.data import Audit, Finding
from lensmith.files import put_file
from lensmith.records import Record
from lensmith.runs.folder import RunFolder

PICTURES = 12  # of a finding: two rows of a sheet


def pictures(audit: Audit) -> dict[int, np.ndarray]:
    """By the number of a finding, a sheet of the first examples it is about: uint8 of shape (height, width, 3)."""
    by_source = {record.source: record for record in audit.records if record.image is not None}
    shown = {number: _shown(finding, by_source) for number, finding in enumerate(audit.findings)}
    return {
        number: data.sheet(replace(audit.records, items=items), count=PICTURES)
        for number, items in shown.items()
        if items
    }


def _shown(finding: Finding, by_source: dict[str, Record]) -> tuple[Record, ...]:
    known = [by_source[source] for source in finding.files if source in by_source]
    return tuple(known[:PICTURES])


def keep_pictures(folder: RunFolder, audit: Audit) -> None:
    """Write the pictures of the findings into a run's folder, where its report finds them without the data."""
    for number, sheet in pictures(audit).items():
        made = Image.fromarray(sheet)
        put_file(folder.finding(number), lambda beside, made=made: made.save(beside, "png"))  # type: ignore[misc]


def kept_pictures(folder: RunFolder, findings: int) -> dict[int, np.ndarray]:
    """What :func:`keep_pictures` wrote."""
    paths = {number: folder.finding(number) for number in range(findings)}
    return {number: np.asarray(Image.open(path).convert("RGB")) for number, path in paths.items() if path.is_file()}
