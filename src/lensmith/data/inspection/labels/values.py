"""Classes without a name, names that say the same, ids that count from 1, numbers that are none."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator

import numpy as np

from lensmith.data.inspection.findings import Finding, counted
from lensmith.data.inspection.labels.reporting import Reporter
from lensmith.records import Labels, Records

_NUMBERED = re.compile(r"(class[ _-]?)?\d+")


def used_classes(records: Records, task: str) -> tuple[np.ndarray, np.ndarray]:
    """The class indices of a ``class`` or ``classes`` task, and the place of the record of each."""
    targets = [record.targets.get(task) for record in records]
    rows = [one if isinstance(one, tuple) else () if one is None else (one,) for one in targets]
    owners = np.repeat(np.arange(len(rows)), [len(row) for row in rows])
    return np.array([index for row in rows for index in row], np.int64), owners


def unknown_classes(
    report: Reporter, labels: Labels, classes: np.ndarray, owners: np.ndarray, numbers: np.ndarray | None = None
) -> Iterator[Finding]:
    """Class indices that have no name."""
    wrong = np.flatnonzero((classes < 0) | (classes >= len(labels.names)))
    if len(wrong):
        listed = ", ".join(str(index) for index in np.unique(classes[wrong])[:8])
        what = counted(len(wrong), *(("example",) if numbers is None else ("box", "boxes")))
        message = f"{what} of a class that has no name ({listed}; there are {len(labels.names)} names, from 0)"
        remedy = "Name every class, and check whether the ids count from 0"
        chosen = None if numbers is None else numbers[wrong]
        yield report.finding("severe", message, remedy, owners[wrong], chosen, mended=True)


def shifted_ids(report: Reporter, labels: Labels, used: np.ndarray) -> Iterator[Finding]:
    """Ids that seem to count from 1: class 0 is never used, and either names are numbers or one id is too large.

    Where classes have names of their own and every id has one, a class 0 that is never used is no sign of it.
    """
    if len(used) < 2 or used[0] != 1:
        return
    count = len(labels.names)
    if used[-1] == count or all(_NUMBERED.fullmatch(name.strip().casefold()) for name in labels.names):
        message = (
            f"the smallest class id in use is 1, the largest {used[-1]}, and 0 is never used: ids seem to count from 1"
        )
        yield report.finding(
            "warning", message, "If they do, subtract 1 from each, or every class has the wrong name", []
        )


def alike_names(report: Reporter, labels: Labels) -> Iterator[Finding]:
    """Class names that differ only by case, by spaces, hyphens and underscores, or by a plural."""
    if labels.kind in ("number", "points"):
        return
    groups: dict[str, list[str]] = defaultdict(list)
    for name in labels.names:
        groups[_singular(spelling(name))].append(name)
    alike = [names for names in groups.values() if len(names) > 1]
    if alike:
        listed = "; ".join(", ".join(repr(name) for name in names) for names in alike[:8])
        message = f"class names that may mean the same: {listed}"
        yield report.finding("warning", message, "Give each class one name", [])


def number_problems(report: Reporter, records: Records) -> Iterator[Finding]:
    """Numbers that are NaN or infinite."""
    targets = [record.targets.get(report.task) for record in records]
    wrong = [place for place, one in enumerate(targets) if isinstance(one, tuple) and not np.isfinite(one).all()]
    if wrong:
        message = f"{counted(len(wrong), 'example')} with a number that is not finite"
        yield report.finding("severe", message, "Fill the gaps, or leave the examples out", wrong, mended=True)


def spelling(name: str) -> str:
    """A name without case, and with single spaces for whatever separates its words.

    Example:
        >>> spelling(" Golden_Retriever"), spelling("golden-retriever ")
        ('golden retriever', 'golden retriever')
    """
    return re.sub(r"[\s_-]+", " ", name.casefold()).strip()


def _singular(name: str) -> str:
    """An English plural without its ending, as far as a rule can tell."""
    if name.endswith(("ss", "us", "is")) or len(name) < 4:
        return name
    for ending, end in (("ies", "y"), ("ses", "s"), ("xes", "x"), ("ches", "ch"), ("shes", "sh"), ("s", "")):
        if name.endswith(ending):
            return name.removesuffix(ending) + end
    return name
