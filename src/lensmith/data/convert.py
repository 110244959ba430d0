"""From one format to another, and from data with faults to data without."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from lensmith.data.formats.sources import held as held_by
from lensmith.data.formats.sources import write
from lensmith.data.inspection.auditing import audit
from lensmith.data.inspection.mending import mend
from lensmith.records import Boxes, Problem, Records

_BESIDE_BOXES = ("polygons", "crowd", "difficult", "truncated")


@dataclass(frozen=True, slots=True)
class Converted:
    """What was written.

    Args:
        records: the examples that were written.
        format: in which they were written.
        left_out: examples that were not, by name, with the reason.
        not_held: what the records say about boxes and the format cannot: ``difficult``, ``polygons``, …
    """

    records: Records
    format: str
    left_out: tuple[Problem, ...]
    not_held: tuple[str, ...]


def convert(
    records: Records,
    folder: Path | str,
    format: str,
    *,
    mending: Sequence[str] = (),
    on_file: Callable[[int, int], None] | None = None,
) -> Converted:
    """Write records in a format; the originals stay as they are.

    Nothing is checked without ``mending``: an image that cannot be read is copied like any other.

    Args:
        records: from any reader.
        folder: a new one.
        format: by name; see :data:`lensmith.data.FORMATS`.
        mending: kinds of findings to be rid of, which needs an audit: ``duplicate``, ``near-duplicate``,
            ``leakage``, ``label``, ``empty``, ``unreadable``.
        on_file: told of each audited example.

    Raises:
        SettingError: the folder holds something, or there is no such format or kind of finding.
        DataError: the format cannot hold these records; names the first.
    """
    before = records
    if mending:
        found = audit(records, on_file=on_file)
        records = mend(found.records, found.findings, found.together, tuple(mending))
    write(records, folder, format)
    known = set(before.set_aside)
    left_out = (*before.set_aside, *(one for one in records.set_aside if one not in known))
    return Converted(records, format, left_out, _not_held(records, held_by(format)))


def _not_held(records: Records, held: frozenset[str]) -> tuple[str, ...]:
    boxes = [target for record in records for target in record.targets.values() if isinstance(target, Boxes)]
    said = {name for name in _BESIDE_BOXES for one in boxes if any(map(_says, getattr(one, name)))}
    return tuple(name for name in _BESIDE_BOXES if name in said - held)


def _says(value: object) -> bool:
    return bool(len(value)) if isinstance(value, tuple) else bool(value)
