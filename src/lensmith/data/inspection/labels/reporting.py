"""How problems of labels are put into words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from lensmith.data.inspection.findings import Finding, Severity, mending
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
        *,
        mended: bool = False,
    ) -> Finding:
        """A finding about these records, or about these boxes of them.

        Args:
            severity: as :class:`Finding` has it.
            message: without the task, which is put before it.
            remedy: likewise of the finding.
            owners: places of the records.
            numbers: of the box of each; left out, it is about the records as wholes.
            mended: whether ``--mend label`` puts it right or leaves it out; the remedy then says so.
        """
        said: dict[str, list[int]] = {}
        for place, owner in enumerate(owners):
            boxes = said.setdefault(self.records[int(owner)].source, [])
            if numbers is not None:
                boxes.append(int(numbers[place]))
        notes = () if numbers is None else tuple(_boxes(found) for found in said.values())
        if mended:
            remedy = f"{remedy}. Without them: {mending(self.records, 'label')}"
        return Finding("label", severity, f"{self.task}: {message}", remedy, tuple(said), notes)


def _boxes(numbers: Sequence[int]) -> str:
    return f"{'box' if len(numbers) == 1 else 'boxes'} {', '.join(map(str, numbers))}"
