"""Outlines and points: too few corners, crossing themselves, out of the box, out of the image."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from lensmith.data.inspection.findings import Finding, counted
from lensmith.data.inspection.labels.box_table import TOLERANCE, BoxTable
from lensmith.data.inspection.labels.reporting import Reporter
from lensmith.records import Boxes, Records

_LONGEST = 512  # corners of a ring that is tested for crossings; longer ones are traced by programs, not drawn
_AT_ONCE = 2_000_000  # pairs of edges tested at once: some 100 MB
_ROOM = 1.0  # pixels that a ring may reach out of its box: boxes are often rounded to whole pixels


@dataclass(frozen=True, slots=True)
class _Rings:
    """The rings of many boxes: all points after each other, the length of each ring, and the row of its box."""

    points: np.ndarray
    lengths: np.ndarray
    rows: np.ndarray


def outline_problems(report: Reporter, records: Records, table: BoxTable) -> Iterator[Finding]:
    """Rings with fewer than 3 points, that cross themselves, or that reach out of their box."""
    rings = _rings(report.task, records, table)
    if not len(rings.lengths):
        return
    crossed = crossing(rings.points, rings.lengths)
    sorts = (
        ("severe", rings.lengths < 3, "with an outline of fewer than 3 points", "Draw the outlines anew"),
        ("warning", crossed, "with an outline that crosses itself", "Put the points in order along the edge"),
        ("warning", _out_of_box(rings, table), "with an outline that reaches out of it", "Take the box of the outline"),
    )
    for severity, which, what, remedy in sorts:
        rows = np.unique(rings.rows[which])
        if len(rows):
            message = f"{counted(len(rows), 'box', 'boxes')} {what}"
            yield report.finding(severity, message, remedy, table.owners[rows], table.numbers[rows])  # type: ignore[arg-type]


def point_problems(report: Reporter, records: Records, sizes: Sequence[tuple[int, int] | None]) -> Iterator[Finding]:
    """Points that are not finite, or outside their image."""
    endless, outside = [], []
    for place, record in enumerate(records):
        target = record.targets.get(report.task)
        if not isinstance(target, np.ndarray):
            continue
        height, width = sizes[place] or (np.inf, np.inf)
        if not np.isfinite(target).all():
            endless.append(place)
        elif (target < -TOLERANCE).any() or (target > (width + TOLERANCE, height + TOLERANCE)).any():
            outside.append(place)
    if endless:
        message = f"{counted(len(endless), 'example')} with points that are not finite"
        yield report.finding("severe", message, "Set the points anew, or leave the examples out", endless, mended=True)
    if outside:
        message = f"{counted(len(outside), 'image')} with points outside"
        yield report.finding("warning", message, "Check that these points belong to these images", outside)


def crossing(points: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """Which closed rings cross themselves: two of their edges meet inside both.

    Edges that only touch, and corners that stand twice, are no crossing. Each pair of edges is tested by the side
    on which each lies of the other's ends, all rings of one length at once; rings of more than 512 corners are
    not tested.

    Args:
        points: ``(n, 2)``, the points of all rings after each other.
        lengths: ``(rings,)``, with sum n.

    Returns:
        bool ``(rings,)``.

    Example:
        >>> square, bow = [(0, 0), (2, 0), (2, 2), (0, 2)], [(0, 0), (2, 2), (2, 0), (0, 2)]
        >>> crossing(np.array(square + bow), np.array([4, 4])).tolist()
        [False, True]
    """
    found = np.zeros(len(lengths), bool)
    starts = np.cumsum(lengths) - lengths
    for length in np.unique(lengths[(lengths > 3) & (lengths <= _LONGEST)]).tolist():
        places = np.flatnonzero(lengths == length)
        step = max(_AT_ONCE // length**2, 1)
        for first in range(0, len(places), step):
            some = places[first : first + step]
            rings = points[starts[some][:, None] + np.arange(length)].astype(np.float64)
            found[some] = _crossed(rings)
    return found


def _crossed(rings: np.ndarray) -> np.ndarray:
    """Of rings ``(r, m, 2)``, which cross themselves."""
    x, y = rings[..., 0], rings[..., 1]
    dx, dy = np.roll(x, -1, axis=1) - x, np.roll(y, -1, axis=1) - y
    # side[r, i, j]: on which side of edge i corner j lies. Of the edge's own corners it is 0 to the bit, so that
    # neighbours, which share one, never count.
    side = dx[:, :, None] * (y[:, None, :] - y[:, :, None]) - dy[:, :, None] * (x[:, None, :] - x[:, :, None])
    index = np.arange(x.shape[1])
    side[:, index, np.roll(index, -1)] = 0
    apart = np.sign(side) * np.sign(np.roll(side, -1, axis=2)) < 0
    crossed: np.ndarray = (apart & apart.swapaxes(1, 2)).any(axis=(1, 2))
    return crossed


def _rings(task: str, records: Records, table: BoxTable) -> _Rings:
    points, rows, row = [np.zeros((0, 2), np.float32)], [], 0
    for record in records:
        target = record.targets.get(task)
        if not isinstance(target, Boxes):
            continue
        for number, rings in enumerate(target.polygons):
            points += rings
            rows += [row + number] * len(rings)
        row += len(target)
    lengths = np.array([len(ring) for ring in points[1:]], np.int64)
    return _Rings(np.concatenate(points).astype(np.float64), lengths, np.array(rows, np.int64))


def _out_of_box(rings: _Rings, table: BoxTable) -> np.ndarray:
    filled = np.flatnonzero(rings.lengths > 0)
    starts = (np.cumsum(rings.lengths) - rings.lengths)[filled]
    out = np.zeros(len(rings.lengths), bool)
    if len(filled):
        low = np.minimum.reduceat(rings.points, starts)
        high = np.maximum.reduceat(rings.points, starts)
        box = table.xyxy[rings.rows[filled]]
        out[filled] = ((low < box[:, :2] - _ROOM) | (high > box[:, 2:] + _ROOM)).any(axis=1)
    return out
