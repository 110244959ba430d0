"""The rules of the audit: each looks for one thing and says what to do about it."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np

from lensmith.data.images import Facts
from lensmith.records import PARTS, Records

Severity = Literal["severe", "warning", "info"]
SEVERITIES: tuple[Severity, ...] = ("severe", "warning", "info")
Counts = dict[str, dict[str, dict[str, int]]]  # by task, part, class

_IMBALANCE = 10  # times as many examples in the largest class as in the smallest
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


def mending(records: Records, kind: str) -> str:
    """The command that writes the data anew without the findings of this kind.

    Example:
        >>> mending(Records((), {}, name="my photos"), "duplicate")
        "lensmith data convert 'my photos' OUT --mend duplicate"
    """
    return f"lensmith data convert {shlex.quote(records.name)} OUT --mend {kind}"


def missing_classes(records: Records, counts: Counts) -> Iterator[Finding]:
    """Classes that one part of the source has and another lacks, and classes of boxes that none has."""
    for task, by_part in counts.items():
        boxes = records.labels[task].kind == "boxes"
        nowhere = [
            name for name in records.labels[task].names if not any(by_class[name] for by_class in by_part.values())
        ]
        if boxes and nowhere:
            message = f"{task}: no box of {_listed(nowhere)} anywhere: the model cannot learn them"
            yield Finding("label", "info", message, "Nothing need be done, if these classes are not wanted")
        for part, by_class in by_part.items():
            absent = [name for name, count in by_class.items() if not count and not (boxes and name in nowhere)]
            if absent and part in PARTS:
                lost = "the model cannot learn them" if part == "train" else "nothing can be said about them"
                # A detector learns the classes that are there; a classifier of a class without examples is wrong.
                yield Finding(
                    kind="label",
                    severity="severe" if part == "train" and not boxes else "warning",
                    message=f"{task}: the {part} part has no example of {_listed(absent)}: {lost}",
                    remedy=f"Add examples of these classes to the {part} part, or leave the classes out",
                )


def few(records: Records, counts: Counts) -> Iterator[Finding]:
    """Classes with too few examples to stand in every part of a split."""
    for task, by_part in counts.items():
        remedy = "Add examples of these classes, or leave them out"
        boxes = records.labels[task].kind == "boxes"
        least = 1 if boxes else 0  # that there is no box of a class is said above
        short = [f"{name} ({count})" for name, count in by_part.get("all", {}).items() if least <= count < 3]
        if short:
            message = (
                f"{task}: fewer than 3 {'boxes' if boxes else 'examples'} of {_listed(short)}, too few for three parts"
            )
            yield Finding("few", "warning" if boxes else "severe", message, remedy)
        single = [name for name, count in by_part.get("train", {}).items() if count == 1]
        if single:
            message = f"{task}: one training {'box' if boxes else 'example'} only of {_listed(single)}"
            yield Finding("few", "warning", message, remedy)


def imbalance(records: Records, counts: Counts) -> Iterator[Finding]:
    """One class far more frequent than another."""
    for task, by_part in counts.items():
        things = "boxes" if records.labels[task].kind == "boxes" else "examples"
        part = "train" if "train" in by_part else next(iter(by_part))
        present = {name: count for name, count in by_part[part].items() if count}
        if present and max(present.values()) > _IMBALANCE * min(present.values()):
            most, least = max(present, key=present.__getitem__), min(present, key=present.__getitem__)
            yield Finding(
                kind="imbalance",
                severity="warning",
                message=f"{task}: {present[most]} {things} of {most} but {present[least]} of {least}",
                remedy="Add examples of the rare classes, and judge by the per-class figures, not by accuracy",
            )


def constant_numbers(records: Records) -> Iterator[Finding]:
    """Numbers to be predicted that are the same everywhere."""
    for task, labels in records.labels.items():
        if labels.kind != "number" or len(records) < 2:
            continue
        rows = np.array([record.targets[task] for record in records if task in record.targets], np.float64)
        if not rows.size:
            continue
        same = [name for name, column in zip(labels.names, rows.T, strict=True) if (column == column[0]).all()]
        if same:
            message = f"{task}: {_listed(same)} has the same value throughout: there is nothing to learn"
            yield Finding("label", "warning", message, "Leave the column out, or read the one that was meant")


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - _LISTED} more" if len(names) > _LISTED else ""
    return ", ".join(names[:_LISTED]) + more


def turned_and_mixed(records: Records, facts: Sequence[Facts]) -> Iterator[Finding]:
    """Images that had to be turned or converted; nothing is lost by either."""
    pairs = list(zip(records, facts, strict=False))
    turned = tuple(record.source for record, fact in pairs if fact.orientation != 1)
    if turned:
        message = f"{len(turned)} images lie on their side or are mirrored by their EXIF block; they are turned upright"
        yield Finding("orientation", "info", message, "Nothing need be done", turned)
    gray = tuple(record.source for record, fact in pairs if fact.channels == 1)
    if 0 < len(gray) < len(facts):
        message = f"{len(gray)} gray images among {len(facts) - len(gray)} in colour; all are read as colour"
        yield Finding("mode", "info", message, files=gray)
    deep = tuple(record.source for record, fact in pairs if fact.bits > 8)
    if deep:
        message = f"{len(deep)} images of more than 8 bits a channel; they are scaled to 0..255"
        yield Finding("mode", "info", message, files=deep)
