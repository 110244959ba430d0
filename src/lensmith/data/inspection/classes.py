"""Classes and numbers that nothing can be learnt from, or little: missing, rare, far rarer than others, constant."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from lensmith.data.inspection.findings import Finding, listed
from lensmith.records import PARTS, Records

Counts = dict[str, dict[str, dict[str, int]]]  # by task, part, class

_IMBALANCE = 10  # times as many examples in the largest class as in the smallest


def missing_classes(records: Records, counts: Counts) -> Iterator[Finding]:
    """Classes that one part of the source has and another lacks, and classes of boxes that none has."""
    for task, by_part in counts.items():
        boxes = records.labels[task].kind == "boxes"
        nowhere = [
            name for name in records.labels[task].names if not any(by_class[name] for by_class in by_part.values())
        ]
        if boxes and nowhere:
            message = f"{task}: no box of {listed(nowhere)} anywhere: the model cannot learn them"
            yield Finding("label", "info", message, "Nothing need be done, if these classes are not wanted")
        for part, by_class in by_part.items():
            absent = [name for name, count in by_class.items() if not count and not (boxes and name in nowhere)]
            if absent and part in PARTS:
                lost = "the model cannot learn them" if part == "train" else "nothing can be said about them"
                # A detector learns the classes that are there; a classifier of a class without examples is wrong.
                yield Finding(
                    kind="label",
                    severity="severe" if part == "train" and not boxes else "warning",
                    message=f"{task}: the {part} part has no example of {listed(absent)}: {lost}",
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
                f"{task}: fewer than 3 {'boxes' if boxes else 'examples'} of {listed(short)}, too few for three parts"
            )
            yield Finding("few", "warning" if boxes else "severe", message, remedy)
        single = [name for name, count in by_part.get("train", {}).items() if count == 1]
        if single:
            message = f"{task}: one training {'box' if boxes else 'example'} only of {listed(single)}"
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
                message=f"{task}: {present[most]:,} {things} of {most} but {present[least]:,} of {least}",
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
            message = f"{task}: {listed(same)} has the same value throughout: there is nothing to learn"
            yield Finding("label", "warning", message, "Leave the column out, or read the one that was meant")
