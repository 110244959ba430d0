"""How problems of labels are put into words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from lensmith.data.inspection.findings import Finding, Severity
from lensmith.records import Records


@dataclass(frozen=True, slots=True)
class Reporter:
    """Makes the findings of one task.

    Args:
        records: that are looked at.
        task: of them.
    """

    records: Records
    task: str

    def finding(
        self,
        severity: Severity,
        message: str,
        remedy: str,
        owners: Sequence[int] | np.ndarray,
        numbers: Sequence[int] | np.ndarray | None = None,
    ) -> Finding:
        """A finding about these records, or about these boxes of them.

        Args:
            severity: as :class:`Finding` has it.
            message: without the task, which is put before it.
            remedy: likewise of the finding.
            owners: places of the records.
            numbers: of the box of each; left out, it is about the records as wholes.
        """
        sources = [self.records[int(owner)].source for owner in owners]
        if numbers is None:
            files = tuple(dict.fromkeys(sources))
        else:
            files = tuple(f"{source} (box {number})" for source, number in zip(sources, numbers, strict=True))
        return Finding("label", severity, f"{self.task}: {message}", remedy, files)


def counted(count: int, single: str, several: str = "") -> str:
    """A number with its noun.

    Example:
        >>> counted(1, "box", "boxes"), counted(1200, "image")
        ('1 box', '1,200 images')
    """
    return f"{count:,} {single if count == 1 else several or f'{single}s'}"
