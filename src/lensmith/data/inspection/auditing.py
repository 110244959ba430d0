"""Look at the data before anything is trained on it: every image opened once, every class counted."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
from rich.console import Console

from lensmith import check
from lensmith.data.images import Facts, checked, load
from lensmith.data.inspection import findings as look_for
from lensmith.data.inspection.display import print_audit
from lensmith.data.inspection.findings import Finding
from lensmith.data.reading import choose_threads, problem
from lensmith.records import PARTS, Problem, Record, Records

Spread = tuple[float, float, float]  # smallest, median, largest


@dataclass(frozen=True, slots=True, eq=False)
class Audit:
    """What is in the data, and what is wrong with it.

    Args:
        records: those that can be used; the others stand in ``records.set_aside``.
        findings: what deserves attention, the most severe first.
        counts: examples by class task, then part (``all`` where the source has none), then class.
        parts: examples by part.
        kind: whether the examples are images or rows.
        heights: smallest, median and largest, in pixels; None for rows.
        widths: likewise.
        channel_counts: how many images have 1 channel (gray) and how many 3 (colour).
    """

    records: Records
    findings: tuple[Finding, ...]
    counts: dict[str, dict[str, dict[str, int]]]
    parts: dict[str, int]
    kind: Literal["images", "rows"]
    heights: Spread | None = None
    widths: Spread | None = None
    channel_counts: dict[int, int] | None = None

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
            "set_aside": [{"source": one.source, "reason": one.reason} for one in self.records.set_aside],
            "findings": [finding.to_dict() for finding in self.findings],
        }

    def show(self, console: Console | None = None) -> None:
        """Print the audit as tables, on standard output unless a console is given."""
        print_audit(self, console or Console())


def audit(records: Records, *, threads: int | None = None, on_file: Callable[[int, int], None] | None = None) -> Audit:
    """Open every image once, set aside those that cannot be read, and count the rest.

    Args:
        records: from any reader.
        threads: that open files; left out, up to 4.
        on_file: called after each example with how many are done and how many there are.

    Raises:
        DataError: not one example can be used.

    Example:
        >>> from lensmith.data import bundled
        >>> report = audit(bundled("digits"))
        >>> report.channels, report.median_size, report.findings
        (1, (8, 8), ())
    """
    looks = _look_at_all(records, threads, on_file)
    problems = tuple(look for look in looks if isinstance(look, Problem))
    if len(problems) == len(records):
        first = f"; the first: {problems[0].source}: {problems[0].reason}" if problems else ""
        raise check.DataError(f"{records.name}: none of {len(records)} examples can be used{first}")
    good = [index for index, look in enumerate(looks) if not isinstance(look, Problem)]
    kept = replace(records.select(good), set_aside=records.set_aside + problems)
    facts = [look for look in looks if isinstance(look, Facts)]
    counts = {task: _counts(kept, task) for task, labels in kept.labels.items() if labels.kind in ("class", "classes")}
    found = (
        *look_for.unreadable(records, problems),
        *look_for.skipped(records),
        *look_for.missing_classes(counts),
        *look_for.few(counts),
        *look_for.imbalance(counts),
        *look_for.turned_and_mixed(kept, facts),
    )
    return Audit(
        records=kept,
        findings=tuple(sorted(found, key=lambda finding: look_for.SEVERITIES.index(finding.severity))),
        counts=counts,
        parts={name: len(part) for name, part in _by_part(kept).items()},
        kind="images" if facts else "rows",
        heights=_spread([fact.height for fact in facts]),
        widths=_spread([fact.width for fact in facts]),
        channel_counts={n: sum(fact.channels == n for fact in facts) for n in sorted({f.channels for f in facts})}
        if facts
        else None,
    )


def _look_at_all(
    records: Records, threads: int | None, on_file: Callable[[int, int], None] | None
) -> list[Facts | Problem | None]:
    looks = []
    with warnings.catch_warnings(), ThreadPoolExecutor(max(choose_threads(records, threads), 1)) as pool:
        warnings.simplefilter("ignore")  # of decoders, about metadata: what matters here is whether the pixels come
        for done, look in enumerate(pool.map(_look, records), start=1):
            looks.append(look)
            if on_file is not None:
                on_file(done, len(records))
    return looks


def _look(record: Record) -> Facts | Problem | None:
    """The facts of an image, None of a row, or why the image cannot be used."""
    if record.image is None:
        return None
    try:
        if isinstance(record.image, np.ndarray):
            height, width, channels = checked(record.image, record.source).shape
            return Facts(height, width, 1 if channels == 1 else 3)
        return load(record.image)[1]
    except check.DataError as error:
        return problem(record, error)


def _by_part(records: Records) -> dict[str, Records]:
    present = [part for part in PARTS if any(record.part == part for record in records)]
    return {part: records.part(part) for part in present} or {"all": records}


def _counts(records: Records, task: str) -> dict[str, dict[str, int]]:
    return {name: part.counts(task) for name, part in _by_part(records).items()}


def _spread(values: Sequence[int]) -> Spread | None:
    return (float(min(values)), float(np.median(values)), float(max(values))) if values else None
