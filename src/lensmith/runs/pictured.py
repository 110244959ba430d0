"""The findings of an audit as pictures: the first examples each is about."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import accumulate

import numpy as np
from PIL import Image

from lensmith.data import Audit, Finding
from lensmith.data.sheet import strip
from lensmith.files import put_file
from lensmith.records import Record, Records
from lensmith.runs.folder import RunFolder

PICTURES = 12  # of a finding: two rows


def pictures(audit: Audit) -> dict[int, np.ndarray]:
    """By the number of a finding, the first examples it is about: uint8 of shape (height, width, 3)."""
    by_source = {record.source: record for record in audit.records if record.image is not None}
    made = ((number, _pictured(finding, audit.records, by_source)) for number, finding in enumerate(audit.findings))
    return {number: drawn for number, drawn in made if drawn is not None}


def _pictured(finding: Finding, records: Records, by_source: dict[str, Record]) -> np.ndarray | None:
    """The examples of a finding, copies of one image side by side; None where it is about no image."""
    groups = [group for group in (_known(group, by_source) for group in finding.groups) if group]
    known = [record for group in groups for record in group] or _known(finding.files, by_source)
    if not known:
        return None
    count = _whole(groups)
    numbers = [number for number, group in enumerate(groups) for _ in group][:count]
    title = "1 image" if len(known) == 1 else f"{len(known):,} images"
    if count < len(known):
        title = f"the first {count} of {len(known):,} images"
        if len(groups) > 1:
            title += f", {numbers[-1] + 1} of {len(groups):,} groups"
    elif len(groups) > 1:
        title += f" in {len(groups)} groups"
    return strip(replace(records, items=tuple(known[:count])), title, groups=numbers)


def _known(sources: Sequence[str], by_source: dict[str, Record]) -> list[Record]:
    return [by_source[source] for source in sources if source in by_source]


def _whole(groups: Sequence[Sequence[Record]]) -> int:
    """How many of the first pictures to show: no group but the first is cut."""
    ends = [end for end in accumulate(map(len, groups)) if end <= PICTURES]
    return ends[-1] if ends else PICTURES


def keep_pictures(folder: RunFolder, audit: Audit) -> None:
    """Write the pictures of the findings into a run's folder, where its report finds them without the data."""
    for number, sheet in pictures(audit).items():
        made = Image.fromarray(sheet)
        put_file(folder.finding(number), lambda beside, made=made: made.save(beside, "png"))  # type: ignore[misc]


def kept_pictures(folder: RunFolder, findings: int) -> dict[int, np.ndarray]:
    """What :func:`keep_pictures` wrote."""
    paths = {number: folder.finding(number) for number in range(findings)}
    return {number: np.asarray(Image.open(path).convert("RGB")) for number, path in paths.items() if path.is_file()}
