"""What copies of images do to the data: they weigh double, they contradict each other, they give the test away."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from lensmith.data.inspection.duplicates import Copies
from lensmith.data.inspection.findings import Finding, Severity, counted, mending
from lensmith.records import PARTS, Boxes, Labels, Record, Records, Target

Groups = Sequence[tuple[int, ...]]

_SLACK = 2  # pixels by which two people, or two formats, draw the same box differently


def duplicates(records: Records, copies: Copies) -> Iterator[Finding]:
    """Images that stand there more than once."""
    if copies.exact:
        more = sum(len(group) - 1 for group in copies.exact)
        said = "is an exact copy" if more == 1 else "are exact copies"
        message = f"{counted(more, 'image')} {said} of another: each counts as often as it stands there"
        yield _finding(records, "duplicate", message, copies.exact)
    exact = set(copies.exact)
    near = [group for group in copies.groups if group not in exact]
    if near:
        count = sum(len(group) for group in near)
        changed = f"encoded, resized, lit or cropped anew ({counted(len(near), 'group')})"
        message = f"{count:,} images show the same as another, {changed}"
        yield _finding(records, "near-duplicate", message, near)


def _finding(records: Records, kind: str, message: str, groups: Groups) -> Finding:
    sources = tuple(tuple(records[place].source for place in group) for group in groups)
    files = tuple(source for group in sources for source in group)
    # Mending copies keeps one in each part; which part loses them, where there are several, is for leakage to say.
    leaking = any(_across(records, group) for group in groups)
    remedy = f"Keep one of each: {mending(records, kind, *(['leakage'] if leaking else []))}"
    return Finding(kind, "warning", message, remedy, files, groups=sources)


def leakage(records: Records, copies: Copies, count: int) -> Iterator[Finding]:
    """The same image, or the same group of records, in two parts that the source itself keeps apart.

    Where a good part of the ``count`` images looks alike, near copies are for a person to judge.
    """
    remedy = f"Keep each in one part: {mending(records, 'leakage')}, or train all the same with --allow-leakage"
    certain = copies.certain(count)
    pairs = [pair for group in certain for pair in _across(records, group)]
    if pairs:
        said = "image of one part stands" if len(pairs) == 1 else "images of one part stand"
        message = f"{len(pairs):,} {said} in another too: what is measured there is too good"
        yield _leak("severe", message, remedy, pairs)
    alike = [pair for group in set(copies.groups) - set(certain) for pair in _across(records, group)]
    if alike:
        said = "image of one part looks" if len(alike) == 1 else "images of one part look"
        message = f"{len(alike):,} {said} like one of another, as do many of this collection"
        yield _leak("warning", message, "Look at them: drawings may, but copies of a photo may not", sorted(alike))
    by_group: dict[str, list[int]] = defaultdict(list)
    for place, record in enumerate(records):
        if record.group is not None and record.part is not None:
            by_group[record.group].append(place)
    split = {name: _across(records, places)[:1] for name, places in by_group.items()}
    split = {name: pairs for name, pairs in split.items() if pairs}
    if split:
        first = [pairs[0] for pairs in split.values()]
        said = "group stands" if len(split) == 1 else "groups stand"
        message = f"{len(split):,} {said} in more than one part, such as {next(iter(split))!r}"
        yield _leak("severe", message, remedy, first)


def _across(records: Records, places: Sequence[int]) -> list[tuple[str, str]]:
    """Each image of a later part with the first of an earlier one, train before validation before test."""
    by_part = {part: [place for place in places if records[place].part == part] for part in PARTS}
    present = [members for members in by_part.values() if members]
    if len(present) < 2:
        return []
    first, *others = present
    return [(records[first[0]].source, records[place].source) for members in others for place in members]


def _leak(severity: Severity, message: str, remedy: str, pairs: Sequence[tuple[str, str]]) -> Finding:
    files = tuple(dict.fromkeys(source for pair in pairs for source in pair))
    return Finding("leakage", severity, message, remedy, files, groups=tuple(pairs))


def contradictions(records: Records, copies: Copies) -> Iterator[Finding]:
    """The same image with two labels, of which one must be wrong; of boxes, in exact copies only."""
    for task, labels in records.labels.items():
        if labels.kind == "boxes":
            yield from _other_boxes(records, copies, task)
        if labels.kind not in ("class", "classes", "number"):
            continue
        apart = [group for group in copies.groups if len({_said(records[place], task, labels) for place in group}) > 1]
        if apart:
            example = _example([records[place] for place in apart[0]], task, labels)
            said = "image has" if len(apart) == 1 else "images have"
            message = f"{task}: {len(apart):,} {said} two labels, such as {example}"
            yield _contradiction(records, message, apart)


def _contradiction(records: Records, message: str, apart: Groups) -> Finding:
    sources = tuple(tuple(records[place].source for place in group) for group in apart)
    files = tuple(source for group in sources for source in group)
    remedy = f"Put the label right, or leave such images out: {mending(records, 'label')}"
    return Finding("label", "warning", message, remedy, files, groups=sources)


def _other_boxes(records: Records, copies: Copies, task: str) -> Iterator[Finding]:
    # A near copy may be cropped or resized, which moves its boxes.
    apart, example = [], ""
    for group in copies.exact:
        first, *others = (records[place] for place in group)
        other = next((one for one in others if not _same_boxes(_boxes(first, task), _boxes(one, task))), None)
        if other is not None:
            apart.append(group)
            example = example or f"{first.source} and {other.source}"
    if apart:
        message = f"{task}: the same image has different boxes ({counted(len(apart), 'image')}), such as {example}"
        yield _contradiction(records, message, apart)


def _boxes(record: Record, task: str) -> Boxes:
    targets: Mapping[str, Target] = record.targets
    target = targets.get(task)
    return target if isinstance(target, Boxes) else Boxes([], [])  # type: ignore[arg-type]


def _same_boxes(one: Boxes, other: Boxes) -> bool:
    """Whether each box of one has its own of the same class in the other, no edge further off than a few pixels."""
    if sorted(one.classes.tolist()) != sorted(other.classes.tolist()):
        return False
    if np.array_equal(one.xyxy, other.xyxy, equal_nan=True) and np.array_equal(one.classes, other.classes):
        return True
    free = np.ones(len(other), bool)
    for corners, label in zip(one.xyxy, one.classes, strict=True):
        away = np.abs(other.xyxy - corners).max(axis=1)
        away = np.where(free & (other.classes == label), away, np.inf)
        if not (away <= _SLACK).any():
            return False
        free[np.nanargmin(away)] = False
    return True


def _example(group: Sequence[Record], task: str, labels: Labels) -> str:
    first = group[0]
    other = next(record for record in group if _said(record, task, labels) != _said(first, task, labels))
    return " but ".join(f"{record.source}: {_said(record, task, labels)}" for record in (first, other))


def _said(record: Record, task: str, labels: Labels) -> str:
    targets: Mapping[str, Target] = record.targets
    target = targets.get(task)
    if target is None:
        return "nothing"
    if labels.kind == "number":
        return ", ".join(f"{number:g}" for number in target)  # type: ignore[union-attr]
    indices = [target] if labels.kind == "class" else sorted(target)  # type: ignore[arg-type]
    names = dict(enumerate(labels.names))
    return ", ".join(names.get(int(index), f"class {index}") for index in indices) or "nothing"  # type: ignore[arg-type]
