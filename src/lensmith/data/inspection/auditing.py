"""Look at the data before anything is trained on it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from rich.console import Console

from lensmith.data.inspection import classes, labels, quality, unused
from lensmith.data.inspection import copies as copy_rules
from lensmith.data.inspection.classes import Counts
from lensmith.data.inspection.display import print_audit
from lensmith.data.inspection.duplicates import Copies, find
from lensmith.data.inspection.findings import Finding, by_severity
from lensmith.data.inspection.looking import Look, OnFile, look_closely, open_all
from lensmith.data.inspection.record import AuditRecord, Spread
from lensmith.records import PARTS, Boxes, Records

_COUNTED = ("class", "classes", "boxes")
_SIZES = 12  # listed, of those that images have


@dataclass(frozen=True, slots=True, eq=False)
class Audit(AuditRecord):
    """What is in the data, and what is wrong with it; for its fields see :class:`AuditRecord`."""

    def show(self, console: Console | None = None) -> None:
        """Print the audit as tables, on standard output unless a console is given."""
        print_audit(self, console or Console())


def audit(records: Records, *, threads: int | None = None, on_file: OnFile | None = None) -> Audit:
    """Open every image once, set aside those that cannot be read, and say what is there and what is wrong with it.

    Found are: exact and near copies of images, copies in two parts of the source, copies with two labels, images that
    are empty, dark, bright, blurred or of an odd size, labels that cannot be right, classes that are missing, rare,
    or far rarer than others. Rows of numbers are only counted.

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
    kept, problems, seen = open_all(records, look_closely, threads=threads, on_file=on_file)
    counts = {task: _counts(kept, task) for task, meant in kept.labels.items() if meant.kind in _COUNTED}
    places = [place for place, look in enumerate(seen) if look is not None]
    looks = [look for look in seen if look is not None]
    facts = [look.facts for look in looks]
    copies = _copies(places, looks)
    found = (
        *unused.unreadable(records, problems),
        *unused.set_aside(records),
        *_of_labels(kept, counts, seen),
        *copy_rules.leakage(kept, copies, len(looks)),
        *copy_rules.duplicates(kept, copies),
        *copy_rules.contradictions(kept, copies),
        *_of_images(kept.select(places), looks),
    )
    sizes = Counter((fact.height, fact.width) for fact in facts)
    return Audit(
        records=kept,
        findings=by_severity(found),
        counts=counts,
        parts={name: len(part) for name, part in _by_part(kept).items()},
        kind="images" if facts else "rows",
        heights=_spread([fact.height for fact in facts]),
        widths=_spread([fact.width for fact in facts]),
        channel_counts=dict(sorted(Counter(fact.channels for fact in facts).items())) if facts else None,
        sizes=tuple((height, width, count) for (height, width), count in sizes.most_common(_SIZES)),
        duplicates=copies.groups,
        exact=copies.exact,
        together=copies.certain(len(looks)),
    )


def _of_labels(records: Records, counts: Counts, seen: Sequence[Look | None]) -> Iterator[Finding]:
    yield from classes.missing_classes(records, counts)
    yield from classes.few(records, counts)
    yield from classes.imbalance(records, counts)
    yield from classes.constant_numbers(records)
    yield from labels.problems(records, [(look.facts.height, look.facts.width) if look else None for look in seen])


def _of_images(images: Records, looks: Sequence[Look]) -> Iterator[Finding]:
    facts = [look.facts for look in looks]
    yield from quality.odd_images(images, [look.quality for look in looks])
    yield from quality.odd_sizes(images, facts)
    yield from quality.turned_and_mixed(images, facts)


def _copies(places: Sequence[int], looks: Sequence[Look]) -> Copies:
    """Copies among the images, by their places among all records."""
    if not looks:
        return Copies()
    thumbnails, colours = (np.stack([getattr(look, name) for look in looks]) for name in ("thumbnail", "colours"))
    found = find([look.content for look in looks], thumbnails, colours)
    groups, exact = (tuple(tuple(places[at] for at in group) for group in some) for some in (found.groups, found.exact))
    return Copies(groups, exact)


def _by_part(records: Records) -> dict[str, Records]:
    present = [part for part in PARTS if any(record.part == part for record in records)]
    return {part: records.part(part) for part in present} or {"all": records}


def _counts(records: Records, task: str) -> dict[str, dict[str, int]]:
    if records.labels[task].kind == "boxes":
        return {name: _box_counts(part, task) for name, part in _by_part(records).items()}
    return {name: part.counts(task) for name, part in _by_part(records).items()}


def _box_counts(records: Records, task: str) -> dict[str, int]:
    drawn = [target.classes for record in records if isinstance(target := record.targets.get(task), Boxes)]
    found: Counter[int] = Counter(np.concatenate(drawn).tolist() if drawn else [])
    return {name: found[index] for index, name in enumerate(records.labels[task].names)}


def _spread(values: Sequence[int]) -> Spread | None:
    return (float(min(values)), float(np.median(values)), float(max(values))) if values else None
