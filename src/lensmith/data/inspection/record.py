"""What an audit found, as data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from lensmith.data.inspection.classes import Counts
from lensmith.data.inspection.findings import Finding
from lensmith.records import Records

Spread = tuple[float, float, float]  # smallest, median, largest


@dataclass(frozen=True, slots=True, eq=False)
class AuditRecord:
    """What is in the data, and what is wrong with it.

    Args:
        records: those that can be used; the others stand in ``records.set_aside``.
        findings: what deserves attention, the most severe first.
        counts: examples by class task, then part (``all`` where the source has none), then class; of boxes, boxes.
        parts: examples by part.
        kind: whether the examples are images or rows.
        heights: smallest, median and largest, in pixels; None for rows.
        widths: likewise.
        channel_counts: how many images have 1 channel (gray) and how many 3 (colour).
        sizes: height, width and how many images have them; the most frequent 12.
        duplicates: places in ``records`` of images that show the same, in groups.
        exact: likewise, those of the very same pixels; each of these lies within one group of ``duplicates``.
        together: the groups that a split keeps together: ``duplicates``, but only ``exact`` where a good part of the
            collection looks alike, as drawings do.
    """

    records: Records
    findings: tuple[Finding, ...]
    counts: Counts
    parts: dict[str, int]
    kind: Literal["images", "rows"]
    heights: Spread | None = None
    widths: Spread | None = None
    channel_counts: dict[int, int] | None = None
    sizes: tuple[tuple[int, int, int], ...] = ()
    duplicates: tuple[tuple[int, ...], ...] = ()
    exact: tuple[tuple[int, ...], ...] = ()
    together: tuple[tuple[int, ...], ...] = ()

    @property
    def channels(self) -> int | None:
        """The channels a model of these images wants: 1 if every one is gray, else 3; None for rows."""
        if self.channel_counts is None:
            return None
        return 1 if set(self.channel_counts) == {1} else 3

    @property
    def median_size(self) -> tuple[int, int] | None:
        """The median height and the median width; None for rows."""
        if self.heights is None or self.widths is None:
            return None
        return round(self.heights[1]), round(self.widths[1])

    @property
    def severe(self) -> bool:
        """Whether anything was found that makes training pointless or its result wrong."""
        return any(finding.severity == "severe" for finding in self.findings)

    def to_dict(self) -> dict[str, Any]:
        """The audit as JSON holds it; the records themselves are counted, not listed."""
        return {
            "source": self.records.name,
            "kind": self.kind,
            "examples": len(self.records),
            "parts": self.parts,
            "counts": self.counts,
            "heights": self.heights,
            "widths": self.widths,
            "channel_counts": {str(key): count for key, count in (self.channel_counts or {}).items()},
            "channels": self.channels,
            "sizes": [{"height": h, "width": w, "images": n} for h, w, n in self.sizes],
            "set_aside": [{"source": one.source, "reason": one.reason} for one in self.records.set_aside],
            "duplicates": [[self.records[place].source for place in group] for group in self.duplicates],
            "findings": [finding.to_dict() for finding in self.findings],
        }
