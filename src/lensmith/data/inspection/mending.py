"""Data without what an audit found wrong: what goes is listed with its reason, and files are never touched."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from lensmith import boxes, check
from lensmith.data.images import extent
from lensmith.data.inspection.findings import Finding
from lensmith.data.inspection.labels.box_table import box_table, faults
from lensmith.data.inspection.labels.masks import mask_fault
from lensmith.records import PARTS, Boxes, Labels, Problem, Record, Records, Target

MENDABLE = ("duplicate", "near-duplicate", "leakage", "label", "empty", "unreadable")

_Size = tuple[int, int] | None
_DRAWN = ("boxes", "points", "mask")
_BOX_REASONS = {
    "not finite": "its corners are not finite",
    "no area": "it has no area, or its corners the wrong way round",
    "outside": "it lies wholly outside the image",
    "twice": "it is there twice",
}
_MASK_REASONS = {
    "missing": "the mask is missing",
    "unreadable": "the mask cannot be read as class indices",
    "size": "the mask has another size than the image",
    "values": "the mask has values that no class has",
}


def mend(
    records: Records, findings: Sequence[Finding], duplicates: Sequence[Sequence[int]], kinds: Iterable[str]
) -> Records:
    """Leave out, or put right, what an audit found.

    =================  =========================================================================================
    kind               what is done
    =================  =========================================================================================
    label              boxes are clipped to the image; those without area, wholly outside, there twice, not
                       finite or of an unknown class go, and so do outlines of fewer than 3 points. An example
                       goes when no box is left of those it had, when another target cannot be used (a mask that
                       is missing or has another size, a number that is not finite, a class without a name),
                       when its labels were drawn on the image before it was turned upright, or when copies of
                       it have other labels
    leakage            of a group of copies, or of records of one group, that stands in several parts the last
                       part keeps its own (test before validation before train), and the others' go
    duplicate          of each group of exact copies in one part the first is kept
    near-duplicate     likewise of images that show the same
    empty              images of almost one value throughout go
    unreadable         nothing: the audit has set them aside
    =================  =========================================================================================

    Class names that may mean the same are left, for which is meant only a person can tell.

    Args:
        records: of the audit.
        findings: of the audit.
        duplicates: of the audit: groups of places in ``records``.
        kinds: of findings to mend, from ``MENDABLE``.

    Returns:
        Records without these faults; what went stands in ``set_aside`` with its reason, a box as
        ``source (box 3)``.

    Raises:
        SettingError: a kind is unknown or cannot be mended.
        DataError: nothing is left.

    Example:
        >>> from lensmith.data import audit, from_arrays
        >>> photos = np.arange(5, dtype=np.uint8)[[0, 1, 1, 2], None, None] * np.ones((4, 9, 9), np.uint8)
        >>> made = mend(from_arrays(photos, [0, 0, 0, 1]), (), [(1, 2)], ["duplicate", "near-duplicate"])
        >>> len(made), made.set_aside
        (3, (Problem(source='arrays:2', reason='near-duplicate of arrays:1'),))
    """
    wanted = [check.one_of("mend", kind, MENDABLE) for kind in kinds]
    items: dict[int, Record] = dict(enumerate(records))
    gone: list[Problem] = []

    def drop(losses: Iterable[tuple[int, str]]) -> None:
        for place, reason in losses:
            if items.pop(place, None) is not None:
                gone.append(Problem(records[place].source, reason))

    if "empty" in wanted:
        drop(_listed(records, findings, "empty", "of almost one value throughout"))
    if "label" in wanted:
        changed, lost_boxes, losses = _without_wrong_labels(records)
        items.update({place: record for place, record in changed.items() if place in items})
        gone += lost_boxes
        drop(losses)
        drop(_contradictions(records, findings))
    if "leakage" in wanted:
        drop(_leaks(records, items, [*duplicates, *_groups(records)]))
    exact = _of_findings(records, findings, "duplicate")
    for groups in _chosen(findings, records, duplicates, exact, wanted):
        drop(_copies(records, items, groups, exact))
    if not items:
        raise check.DataError(f"{records.name}: nothing is left after mending {', '.join(wanted)}")
    return replace(records, items=tuple(items.values()), set_aside=(*records.set_aside, *gone))


def _listed(records: Records, findings: Sequence[Finding], kind: str, reason: str) -> Iterator[tuple[int, str]]:
    sources = {source for one in findings if one.kind == kind for source in one.files}
    return ((place, reason) for place, record in enumerate(records) if record.source in sources)


def _contradictions(records: Records, findings: Sequence[Finding]) -> Iterator[tuple[int, str]]:
    """Findings of labels that have groups are of copies with different labels."""
    for group in _of_findings(records, findings, "label"):
        names = [records[place].source for place in group]
        for place in group:
            other = next((name for name in names if name != records[place].source), names[0])
            yield place, f"a copy of it has another label: {other}"


def _of_findings(records: Records, findings: Sequence[Finding], kind: str) -> list[list[int]]:
    """The groups of a kind of finding, as places."""
    groups = [group for one in findings if one.kind == kind for group in one.groups]
    if not groups:
        return []
    places: dict[str, list[int]] = defaultdict(list)
    for place, record in enumerate(records):
        places[record.source].append(place)
    return [[place for source in dict.fromkeys(group) for place in places[source]] for group in groups]


def _groups(records: Records) -> list[list[int]]:
    by_name: dict[str, list[int]] = defaultdict(list)
    for place, record in enumerate(records):
        if record.group is not None:
            by_name[record.group].append(place)
    return list(by_name.values())


def _leaks(records: Records, items: Mapping[int, Record], groups: Iterable[Sequence[int]]) -> Iterator[tuple[int, str]]:
    for group in groups:
        stated = [(records[place].part, place) for place in group if place in items]
        numbers = [(PARTS.index(part), place) for part, place in stated if part is not None]
        last, keeper = max(numbers, key=lambda one: (one[0], -one[1]), default=(0, 0))
        for number, place in numbers:
            if number < last:
                yield place, f"leaks into the {PARTS[last]} part, which has {records[keeper].source}"


def _chosen(
    findings: Sequence[Finding],
    records: Records,
    duplicates: Sequence[Sequence[int]],
    exact: list[list[int]],
    wanted: Sequence[str],
) -> Iterator[Sequence[Sequence[int]]]:
    """The groups of copies to be thinned out."""
    if {"duplicate", "near-duplicate"} <= set(wanted):
        yield duplicates
    elif "duplicate" in wanted:
        yield exact
    elif "near-duplicate" in wanted:
        yield _of_findings(records, findings, "near-duplicate")


def _copies(
    records: Records, items: Mapping[int, Record], groups: Iterable[Sequence[int]], exact: Sequence[Sequence[int]]
) -> Iterator[tuple[int, str]]:
    """All but the first of each group that is still there, in each part."""
    number = {place: order for order, group in enumerate(exact) for place in group}
    for group in groups:
        first: dict[str | None, int] = {}
        for place in sorted(group):
            if place in items:
                kept = first.setdefault(records[place].part, place)
                same = number.get(place, -1) == number.get(kept, -2)
                if kept != place:
                    yield place, f"{'duplicate' if same else 'near-duplicate'} of {records[kept].source}"


def _without_wrong_labels(records: Records) -> tuple[dict[int, Record], list[Problem], list[tuple[int, str]]]:
    """Records whose boxes were put right, by place; the boxes that went; and the examples that cannot be used."""
    sizes = [_size(record) for record in records]
    targets: dict[int, dict[str, Target]] = defaultdict(dict)
    lost: list[Problem] = []
    losses: list[tuple[int, str]] = []
    if any(labels.kind in _DRAWN for labels in records.labels.values()):
        reason = "its size is stated with height and width exchanged: the labels may belong to the unturned image"
        for place, record in enumerate(records):
            if _turned(record, sizes[place]):
                losses.append((place, reason))
                sizes[place] = record.size  # one reason is enough
    for task, labels in records.labels.items():
        if labels.kind == "boxes":
            mended, bad, empty = _mended_boxes(records, task, labels, sizes)
            for place, target in mended.items():
                targets[place][task] = target
            lost += bad
            losses += [(place, f"{task}: no box is left that can be used") for place in empty]
        else:
            reasons = ((place, _fault(record, task, labels, sizes[place])) for place, record in enumerate(records))
            losses += [(place, f"{task}: {reason}") for place, reason in reasons if reason]
    changed = {
        place: replace(records[place], targets={**records[place].targets, **new}) for place, new in targets.items()
    }
    return changed, lost, losses


def _size(record: Record) -> _Size:
    """Height and width of the upright image: of the pixels, of the file's header, or as stated."""
    if isinstance(record.image, np.ndarray):
        return record.image.shape[0], record.image.shape[1]
    if isinstance(record.image, Path):
        try:
            return extent(record.image)
        except check.DataError:
            return record.size
    return record.size


def _turned(record: Record, size: _Size) -> bool:
    return record.size is not None and size is not None and record.size != size and record.size == size[::-1]


def _mended_boxes(
    records: Records, task: str, labels: Labels, sizes: Sequence[_Size]
) -> tuple[dict[int, Boxes], list[Problem], list[int]]:
    """Targets that changed, by place; the boxes that went; and the examples that had boxes and have none left."""
    table = box_table(records, task, sizes)
    edges = np.where(np.isnan(table.sizes), np.inf, table.sizes)[:, [1, 0, 1, 0]]
    inside = replace(table, xyxy=np.clip(table.xyxy, 0, edges))
    beyond = (inside.xyxy != table.xyxy).any(axis=1)
    # Clipped, two boxes may become one.
    found = {**faults(table), "twice": faults(inside)["twice"]}
    unknown = (table.classes < 0) | (table.classes >= len(labels.names))
    reasons = {**{reason: found[name] for name, reason in _BOX_REASONS.items()}, "its class has no name": unknown}
    bad = np.any(list(reasons.values()), axis=0)
    lost = []
    for row in np.flatnonzero(bad):
        reason = next(reason for reason, which in reasons.items() if which[row])
        source = records[int(table.owners[row])].source
        lost.append(Problem(f"{source} (box {table.numbers[row]})", f"{task}: {reason}"))
    mended, empty = {}, []
    thin = set(_with_short_rings(records, task))
    for place in sorted({*table.owners[bad | beyond].tolist(), *thin}):
        rows = slice(*np.searchsorted(table.owners, (place, place + 1)))
        target: Boxes = records[place].targets[task].select(~bad[rows])
        if len(target):
            mended[place] = _clipped(target, sizes[place])
        else:
            empty.append(place)
    return mended, lost, empty


def _clipped(target: Boxes, size: _Size) -> Boxes:
    """Boxes cut at the edges of the image, without rings of fewer than 3 points."""
    polygons = tuple(tuple(ring for ring in rings if len(ring) >= 3) for rings in target.polygons)
    corners = target.xyxy if size is None else boxes.clip(target.xyxy, size)
    return replace(target, xyxy=corners, polygons=polygons)


def _with_short_rings(records: Records, task: str) -> Iterator[int]:
    for place, record in enumerate(records):
        target = record.targets.get(task)
        if isinstance(target, Boxes) and any(len(ring) < 3 for rings in target.polygons for ring in rings):
            yield place


def _fault(record: Record, task: str, labels: Labels, size: _Size) -> str:
    """Why a target cannot be used, or an empty string."""
    target = record.targets.get(task)
    if target is None:
        return ""
    if labels.kind == "mask":
        return _MASK_REASONS.get(mask_fault(target, len(labels.names), size)[0], "")
    if labels.kind in ("number", "points"):
        return "" if np.isfinite(np.asarray(target, np.float64)).all() else "a number is not finite"
    indices = target if isinstance(target, tuple) else (target,)
    known = all(0 <= index < len(labels.names) for index in indices)  # type: ignore[operator]
    return "" if known else "its class has no name"
