"""Labels that cannot be right: boxes, outlines, points, masks, classes and numbers, held against their images."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from lensmith import check
from lensmith.data.inspection.findings import Finding, Severity, counted
from lensmith.data.inspection.labels.box_table import BoxTable, box_table, faults
from lensmith.data.inspection.labels.masks import mask_problems
from lensmith.data.inspection.labels.outlines import outline_problems, point_problems
from lensmith.data.inspection.labels.reporting import Reporter
from lensmith.data.inspection.labels.values import (
    alike_names,
    number_problems,
    shifted_ids,
    unknown_classes,
    used_classes,
)
from lensmith.records import Records

__all__ = ["problems"]

Sizes = Sequence[tuple[int, int] | None]
_DRAWN = ("boxes", "points", "mask")  # kinds whose targets are places in the image

# Of each fault of a box: severity, what is said of one and of several, and the remedy.
_BOX_FAULTS: tuple[tuple[str, Severity, str, str, str], ...] = (
    ("not finite", "severe", "has no finite corners", "have no finite corners", "Draw them anew"),
    (
        "no area",
        "severe",
        "has no area or its corners the wrong way round",
        "have no area or their corners the wrong way round",
        "Check that the file holds the corners its format means (x1, y1, x2, y2 or x, y, width, height)",
    ),
    (
        "outside",
        "severe",
        "lies wholly outside its image",
        "lie wholly outside their image",
        "Check that these labels belong to these images, and that pixels are not taken for shares or the other way",
    ),
    ("reaching out", "warning", "reaches out of its image", "reach out of their image", "Clip them at its edge"),
    ("twice", "warning", "is there twice", "are there twice", "Keep one of each"),
)  # fmt: skip


def problems(records: Records, sizes: Sizes) -> Iterator[Finding]:
    """Look for labels that cannot be right, and say what each sort of them is and where.

    Of boxes: corners that are not finite, no area, wholly or partly outside the image (by more than half a pixel,
    which is rounding), the same box of the same class twice. Of outlines: fewer than 3 points, crossing itself
    (see :func:`crossing`), reaching out of its box by more than a pixel. Points outside the image. Masks that
    are missing, of another size than their image, or with values that no class has (255 is void). Numbers that
    are not finite; classes that have no name; names that differ only by case, spaces or a plural; class indices
    that seem to count from 1. Stated sizes that are not those of the image.

    A finding's notes name the boxes, counting from 0.

    Args:
        records: from any reader.
        sizes: height and width of each record's upright image, as decoded; None of a row, or where it is unknown.
            Where it is, the size that the record states is taken.

    Returns:
        One finding, of kind ``label``, for each sort of problem of each task.

    Raises:
        SettingError: there is not one size for each record.

    Example:
        >>> from lensmith import data
        >>> from lensmith.records import Boxes
        >>> image = np.zeros((1, 20, 20), np.uint8)
        >>> records = data.from_arrays(image, [Boxes([[2, 2, 9, 9], [15, 5, 30, 9]], [0, 0])], ["cat"])
        >>> for one in problems(records, [(20, 20)]):
        ...     print(one.severity, one.message, one.files, one.notes)
        warning label: 1 box reaches out of its image ('arrays:0',) ('box 1',)
    """
    if len(sizes) != len(records):
        raise check.SettingError(check.sentence("sizes", f"one a record ({len(records)})", str(len(sizes))))
    yield from _size_problems(records, sizes)
    known = [size if size is not None else record.size for size, record in zip(sizes, records, strict=True)]
    for task, labels in records.labels.items():
        report = Reporter(records, task)
        used = None
        if labels.kind == "boxes":
            table = box_table(records, task, known)
            yield from _box_problems(report, table)
            yield from outline_problems(report, records, table)
            yield from unknown_classes(report, labels, table.classes, table.owners, table.numbers)
            used = np.unique(table.classes)
        elif labels.kind in ("class", "classes"):
            classes, owners = used_classes(records, task)
            yield from unknown_classes(report, labels, classes, owners)
            used = np.unique(classes)
        elif labels.kind == "number":
            yield from number_problems(report, records)
        elif labels.kind == "points":
            yield from point_problems(report, records, known)
        elif labels.kind == "mask":
            yield from mask_problems(report, records, labels, known)
        if used is not None:
            yield from shifted_ids(report, labels, used)
        yield from alike_names(report, labels)


def _box_problems(report: Reporter, table: BoxTable) -> Iterator[Finding]:
    found = faults(table)
    for name, severity, single, several, remedy in _BOX_FAULTS:
        places = np.flatnonzero(found[name])
        if len(places):
            message = f"{counted(len(places), 'box', 'boxes')} {single if len(places) == 1 else several}"
            owners, numbers = table.owners[places], table.numbers[places]
            yield report.finding(severity, message, remedy, owners, numbers, mended=True)


def _size_problems(records: Records, sizes: Sizes) -> Iterator[Finding]:
    """Sizes that are stated otherwise than they are: on their side, or otherwise."""
    turned: list[str] = []
    other: list[str] = []
    for record, size in zip(records, sizes, strict=True):
        if record.size is not None and size is not None and tuple(record.size) != tuple(size):
            (turned if tuple(record.size) == tuple(size)[::-1] else other).append(record.source)
    drawn = any(labels.kind in _DRAWN for labels in records.labels.values())
    if turned:
        yield Finding(
            kind="label",
            severity="severe" if drawn else "warning",
            message=f"{counted(len(turned), 'image')} stated with height and width exchanged: the labels may belong to "
            "the image as it is stored, before its EXIF block turns it upright",
            remedy="Look whether the labels fit the upright image; if not, turn the labels or the files",
            files=tuple(turned),
        )
    if other:
        yield Finding(
            kind="label",
            severity="warning",
            message=f"{counted(len(other), 'image')} of another size than stated: the labels may belong to another "
            "version of the image",
            remedy="Look whether the labels fit; if not, scale them or fetch the images they were made for",
            files=tuple(other),
        )
