"""All boxes of a task as one table, so that a hundred thousand are looked at at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from lensmith.records import Boxes, Records

TOLERANCE = 0.5  # pixels beyond the edge that rounding explains


@dataclass(frozen=True, slots=True)
class BoxTable:
    """The boxes of many records.

    Args:
        xyxy: float64 ``(n, 4)``, pixels.
        classes: int64 ``(n,)``.
        owners: int64 ``(n,)``: the place of the record.
        numbers: int64 ``(n,)``: the place of the box in its record.
        sizes: float64 ``(n, 2)``: height and width of the image; NaN where unknown.
    """

    xyxy: np.ndarray
    classes: np.ndarray
    owners: np.ndarray
    numbers: np.ndarray
    sizes: np.ndarray


def box_table(records: Records, task: str, sizes: Sequence[tuple[int, int] | None]) -> BoxTable:
    """The boxes of a task, in the order of the records."""
    targets = [record.targets.get(task) for record in records]
    lengths = np.array([len(target) if isinstance(target, Boxes) else 0 for target in targets], np.int64)
    filled = [target for target in targets if isinstance(target, Boxes) and len(target)]
    owners = np.repeat(np.arange(len(targets)), lengths)
    known = np.array([size or (np.nan, np.nan) for size in sizes], np.float64).reshape(-1, 2)
    return BoxTable(
        xyxy=np.concatenate([np.zeros((0, 4)), *(target.xyxy for target in filled)]).astype(np.float64),
        classes=np.concatenate([np.zeros(0, np.int64), *(target.classes for target in filled)]),
        owners=owners,
        numbers=np.arange(len(owners)) - np.repeat(np.cumsum(lengths) - lengths, lengths),
        sizes=known[owners],
    )


def faults(table: BoxTable) -> Mapping[str, np.ndarray]:
    """Which boxes have which fault, as bool arrays ``(n,)``; of the first four, no box has two.

    ``not finite``, ``no area`` (or inverted), ``outside`` (wholly), ``reaching out`` (partly), and ``twice``: the
    second and any further box of the same class and corners in an image.
    """
    finite = np.isfinite(table.xyxy).all(axis=1)
    corners = np.where(finite[:, None], table.xyxy, 0)
    flat = finite & (corners[:, 2:] <= corners[:, :2]).any(axis=1)
    fine = finite & ~flat
    span = table.sizes[:, ::-1]  # width and height; no comparison with NaN is true
    outside = fine & ((corners[:, 2:] <= 0) | (corners[:, :2] >= span)).any(axis=1)
    beyond = ((corners[:, :2] < -TOLERANCE) | (corners[:, 2:] > span + TOLERANCE)).any(axis=1)
    return {
        "not finite": ~finite,
        "no area": flat,
        "outside": outside,
        "reaching out": fine & ~outside & beyond,
        "twice": _twice(table, corners) & finite,
    }


def _twice(table: BoxTable, corners: np.ndarray) -> np.ndarray:
    keys = np.column_stack([table.owners, table.classes, corners])
    order = np.lexsort(keys.T[::-1])  # stable: of equals the first stays first
    ordered = keys[order]
    again = np.zeros(len(keys), bool)
    again[order[1:]] = (ordered[1:] == ordered[:-1]).all(axis=1)
    return again
