"""What a rule of the audit says: a finding, its command, its words."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

from lensmith.records import Records

Severity = Literal["severe", "warning", "info"]
SEVERITIES: tuple[Severity, ...] = ("severe", "warning", "info")

_LISTED = 12  # names in a message


@dataclass(frozen=True, slots=True)
class Finding:
    """Something about the data that deserves attention.

    Args:
        kind: ``unreadable``, ``skipped``, ``duplicate``, ``near-duplicate``, ``leakage``, ``label``, ``few``,
            ``imbalance``, ``orientation``, ``mode``, ``size``, ``empty``, ``dark``, ``bright``, ``blurred`` or
            ``suspect``.
        severity: ``severe`` (training makes no sense so), ``warning`` or ``info``.
        message: one line for a person.
        remedy: what to do about it, with the command that does it where there is one; empty where nothing need be done.
        files: the sources it is about, each once.
        notes: what there is to say of each of them, such as ``box 3``; none where that is nothing.
        groups: the sources that belong together, where it is about several at once, such as the copies of an image.
    """

    kind: str
    severity: Severity
    message: str
    remedy: str = ""
    files: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    groups: tuple[tuple[str, ...], ...] = ()

    def to_dict(self) -> dict[str, Any]:
        groups = [list(group) for group in self.groups]
        return {**asdict(self), "files": list(self.files), "notes": list(self.notes), "groups": groups}


def by_severity(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """The findings, the most severe first; those of one severity keep their order."""
    return tuple(sorted(findings, key=lambda finding: SEVERITIES.index(finding.severity)))


def mending(records: Records, *kinds: str) -> str:
    """The command that writes the data anew without the findings of these kinds.

    Example:
        >>> mending(Records((), {}, name="my photos"), "duplicate")
        "lensmith data convert 'my photos' OUT --mend duplicate"
    """
    options = " ".join(f"--mend {kind}" for kind in kinds)
    return f"lensmith data convert {shlex.quote(records.name)} OUT {options}"


def counted(count: int, single: str, several: str = "") -> str:
    """A number with its noun.

    Example:
        >>> counted(1, "box", "boxes"), counted(1200, "image")
        ('1 box', '1,200 images')
    """
    return f"{count:,} {single if count == 1 else several or f'{single}s'}"


def listed(names: Sequence[str]) -> str:
    """Names after one another, of many the first."""
    more = f" and {len(names) - _LISTED} more" if len(names) > _LISTED else ""
    return ", ".join(names[:_LISTED]) + more
