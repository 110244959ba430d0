"""Histograms."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
from PIL import ImageDraw

from lensmith import check
from lensmith.probe.drawing import paper

_BLUE = (41, 98, 168)
_PANEL, _TALL = 226, 108  # pixels of a histogram
_HUGE = 1e300  # numbers beyond are drawn there: differences of larger ones would overflow


def bars(histograms: Mapping[str, tuple[np.ndarray, np.ndarray]], *, columns: int = 4, title: str = "") -> np.ndarray:
    """Histograms in rows, each with its own scale: its name and largest count above, its range below.

    Args:
        histograms: by name: counts ``(n,)``, and the edges between them ``(n + 1,)``, rising. One without a count
            says so.
        columns: how many in a row.
        title: a line above.

    Returns:
        uint8 RGB ``(height, width, 3)``.

    Raises:
        DataError: there is no histogram; counts are negative or not finite; there is not one edge more than counts,
            or they do not rise.
        SettingError: ``columns`` is not a whole number of at least 1.

    Example:
        >>> bars({"conv1": np.histogram([1.0, 2.0, 2.0])}).shape
        (186, 258, 3)
    """
    if not histograms:
        raise check.DataError(check.sentence("histograms", "at least one", "none"))
    columns = min(check.positive("columns", columns), len(histograms))
    step, rows = 2 * paper.LINE + _TALL + 2 * paper.GAP, math.ceil(len(histograms) / columns)
    width = columns * _PANEL + (columns - 1) * 2 * paper.GAP
    page, pen, top = paper.sheet(width, rows * step - paper.GAP + 6, title)
    for at, (name, (counts, edges)) in enumerate(histograms.items()):
        x = paper.MARGIN + at % columns * (_PANEL + 2 * paper.GAP)
        _histogram(pen, name, *_checked(name, counts, edges), x, top + at // columns * step)
    return np.asarray(page)


def _checked(name: str, counts: np.ndarray, edges: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    counts, edges = np.asarray(counts, float), np.asarray(edges, float)
    if counts.ndim != 1 or not (np.isfinite(counts) & (counts >= 0)).all():
        raise check.DataError(check.sentence(f"{name}: counts", "finite numbers (n,), none negative", counts.shape))
    if len(counts) and (
        edges.shape != (len(counts) + 1,) or not np.isfinite(edges).all() or (edges[1:] < edges[:-1]).any()
    ):
        expected = f"{len(counts) + 1} finite numbers that rise"
        raise check.DataError(check.sentence(f"{name}: edges", expected, f"{edges.shape}"))
    return counts, np.clip(edges, -_HUGE, _HUGE)


def _histogram(pen: ImageDraw.ImageDraw, name: str, counts: np.ndarray, edges: np.ndarray, x: int, y: int) -> None:
    most = float(counts.max(initial=0))
    largest = f"{most:,.4g}" if most else ""
    paper.put(pen, (x, y), paper.cut(name, _PANEL - paper.length(largest) - paper.GAP))
    paper.put(pen, (x + _PANEL, y), largest, "ra", soft=True)
    top, bottom = y + paper.LINE + 3, y + paper.LINE + 3 + _TALL
    if most:
        low, extent = float(edges[0]), float(edges[-1] - edges[0]) or 1.0
        across = [x + round((_PANEL - 1) * float(edge - low) / extent) for edge in edges]
        for count, left, right in zip(counts.tolist(), across, across[1:], strict=False):
            if count:  # a bar of at least a pixel: what is rare still shows
                pen.rectangle((left, bottom - max(1, round(_TALL * count / most)), max(left, right - 1), bottom), _BLUE)
        if edges[0] < 0 < edges[-1]:
            zero = x + round((_PANEL - 1) * float(-low) / extent)
            pen.line((zero, top, zero, bottom), fill=paper.FAINT)
        _range(pen, float(edges[0]), float(edges[-1]), x, bottom)
    else:
        paper.put(pen, (x + _PANEL / 2, (top + bottom) / 2), "nothing was counted", "mm", soft=True)
    pen.line((x, bottom, x + _PANEL - 1, bottom), fill=paper.FAINT)


def _range(pen: ImageDraw.ImageDraw, low: float, high: float, x: int, bottom: int) -> None:
    """The ends of the range below its axis, and zero where there is room for it between them."""
    first, last = f"{low:.3g}", f"{high:.3g}"
    paper.put(pen, (x, bottom + 4), first, soft=True)
    if high > low:
        paper.put(pen, (x + _PANEL, bottom + 4), last, "ra", soft=True)
    zero = _PANEL * -low / ((high - low) or 1.0)
    if paper.length(first) + 10 < zero < _PANEL - paper.length(last) - 10:
        paper.put(pen, (x + zero, bottom + 4), "0", "ma", soft=True)
