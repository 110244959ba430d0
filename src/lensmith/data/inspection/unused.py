"""What could not be used: images that cannot be read, labels that cannot, and files that are no data."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from lensmith.data.images import EXTENSIONS
from lensmith.data.inspection.findings import Finding, counted, mending
from lensmith.records import Boxes, Problem, Records

_MANY = 0.5  # of all: more, and something went wrong with the whole collection
_DRAWN = ("boxes", "points", "mask")
_PLACE = re.compile(r".+\.(?:csv|json|jsonl|ndjson|tsv|txt|xml)(?::\d+|: .+)", re.IGNORECASE | re.DOTALL)


def unreadable(records: Records, problems: Sequence[Problem]) -> Iterator[Finding]:
    """Images that cannot be decoded.

    Args:
        records: from any reader, these images still among them.
        problems: of these images.
    """
    if problems:
        yield Finding(
            kind="unreadable",
            severity="severe" if len(problems) > _MANY * len(records) else "warning",
            message=f"{len(problems):,} of {counted(len(records), 'image')} cannot be read and were set aside",
            remedy=f"Replace or delete the listed files, or leave them out: {mending(records, 'unreadable')}",
            files=tuple(problem.source for problem in problems),
            notes=tuple(problem.reason for problem in problems),
        )


def set_aside(records: Records) -> Iterator[Finding]:
    """What the reader did not use: labels that are wrong or missing, and files that are no data.

    Args:
        records: from any reader.

    Example:
        >>> from dataclasses import replace
        >>> from lensmith.data import from_rows
        >>> problems = Problem("t.csv:3", "no label"), Problem("README.md", "not an image by its name")
        >>> table = replace(from_rows([[0.0], [1.0]], ["cat", "dog"]), set_aside=problems)
        >>> [(found.kind, found.severity, found.files) for found in set_aside(table)]
        [('label', 'warning', ('t.csv:3',)), ('skipped', 'info', ('README.md',))]
    """
    wrong = [problem for problem in records.set_aside if _is_label(problem.source, records)]
    others = [problem for problem in records.set_aside if not _is_label(problem.source, records)]
    if wrong:
        first = wrong[0]
        yield Finding(
            kind="label",
            severity="severe" if len(wrong) > _MANY * (len(wrong) + _labels(records)) else "warning",
            message=f"{counted(len(wrong), 'label')} cannot be used or missing, such as {first.source}: {first.reason}",
            remedy=f"Correct the listed places, or leave them out: {mending(records, 'label')}",
            files=_once(wrong),
            notes=_reasons(wrong),
        )
    if others:
        yield Finding(
            kind="skipped",
            severity="info",
            message=f"{counted(len(others), 'entry', 'entries')} of the source {'is' if len(others) == 1 else 'are'} "
            "not used",
            remedy="Nothing need be done, if these are no data",
            files=_once(others),
            notes=_reasons(others),
        )


def _is_label(source: str, records: Records) -> bool:
    """Whether a source names an annotation, a place in a file of them, or an image that should have a label."""
    suffix = Path(source).suffix.lower()
    if suffix[1:] in EXTENSIONS:
        return bool(records.labels)
    if suffix == ".xml" or (suffix == ".txt" and any(labels.kind in _DRAWN for labels in records.labels.values())):
        return True
    return _PLACE.fullmatch(source) is not None


def _labels(records: Records) -> int:
    """How many labels could be read: of boxes each, of anything else one an example."""
    targets = (target for record in records for target in record.targets.values())
    return max(len(records), sum(len(target) for target in targets if isinstance(target, Boxes)))


def _once(problems: Sequence[Problem]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(problem.source for problem in problems))


def _reasons(problems: Sequence[Problem]) -> tuple[str, ...]:
    """Of each source, in the order of :func:`_once`."""
    reasons: dict[str, list[str]] = {}
    for problem in problems:
        reasons.setdefault(problem.source, []).append(problem.reason)
    return tuple("; ".join(each) for each in reasons.values())
