"""Curves over steps."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw

from lensmith import check
from lensmith.data.overlay import colour_of
from lensmith.probe.drawing import paper

_WIDTH, _HEIGHT = 760, 300  # pixels of a chart with its labels, and of its curves
_MOST_NAMES = 40  # of curves that the legend names
_HUGE = 1e300  # numbers beyond are drawn there: differences of larger ones would overflow


@dataclass(frozen=True, slots=True)
class _Frame:
    """The square of a chart on its page, in pixels, and the values at its borders."""

    left: int
    top: int
    right: int
    bottom: int
    last: float
    low: float
    high: float

    def x(self, step: float) -> float:
        return self.left + (self.right - self.left) * (step / self.last if self.last else 0.5)

    def y(self, value: float) -> float:
        return self.bottom - (self.bottom - self.top) * (value / 2 - self.low / 2) / (self.high / 2 - self.low / 2)


def lines(series: Mapping[str, np.ndarray], *, title: str = "", x: str = "", y: str = "") -> np.ndarray:
    """Curves over the place of each value in its series, counted from 0.

    Args:
        series: by name: ``(n,)`` numbers; where one is not finite, its curve is broken.
        title: a line above.
        x: what the horizontal axis is.
        y: what the vertical one is.

    Returns:
        uint8 RGB ``(height, width, 3)``.

    Raises:
        DataError: there is no series, or one has another shape.

    Example:
        >>> lines({"loss": np.array([3.0, 2.0, 1.5])}, x="step").shape[1]
        792
    """
    if not series:
        raise check.DataError(check.sentence("series", "at least one", "none"))
    values = [_checked(name, one) for name, one in series.items()]
    found = np.concatenate([one[np.isfinite(one)] for one in values])
    up = _ticks(float(found.min()), float(found.max())) if len(found) else [0.0, 1.0]
    last = max([1, *(len(one) for one in values)]) - 1
    keys = _keys(list(series)) if any(series) else []  # one curve needs no name
    head = paper.LINE * (keys[-1][1] + 1 if keys else 0) + (paper.LINE + 6) * bool(y) + 8
    page, pen, top = paper.sheet(_WIDTH, head + _HEIGHT + 20 + (paper.LINE + 3) * bool(x), title)
    for at, (shift, row, name) in enumerate(keys):
        _key(pen, paper.MARGIN + shift, top + row * paper.LINE, name, at)
    paper.put(pen, (paper.MARGIN, top + head - paper.LINE - 8), y, soft=True)
    left = paper.MARGIN + max(map(paper.length, _labels(up))) + 8
    frame = _Frame(left, top + head, paper.MARGIN + _WIDTH - 4, top + head + _HEIGHT, last, up[0], up[-1])
    _axes(pen, frame, up, [step for step in _ticks(0, last) if step <= last and step % 1 == 0] if last else [0.0])
    paper.put(pen, ((frame.left + frame.right) / 2, frame.bottom + 20), x, "ma", soft=True)
    _curves(page, frame, values)
    if not len(found):
        paper.put(pen, ((left + frame.right) / 2, frame.top + _HEIGHT / 2), "no value to draw", "mm", soft=True)
    return np.asarray(page)


def _checked(name: str, values: np.ndarray) -> np.ndarray:
    found = np.asarray(values)
    if found.ndim != 1 or found.dtype.kind not in "fiub":
        raise check.DataError(check.sentence(f"series {name}", "numbers (n,)", f"{found.dtype} {found.shape}"))
    found = found.astype(float)
    return np.where(np.isfinite(found), np.clip(found, -_HUGE, _HUGE), np.nan)


def _ticks(low: float, high: float) -> list[float]:
    """About five round values, from at or below the lowest to at or above the highest.

    Example:
        >>> _ticks(0.03, 0.91)
        [0.0, 0.2, 0.4, 0.6, 0.8, 1.0]
    """
    if high - low <= 1e-6 * max(abs(low), abs(high)):
        low, high = low - (abs(low) or 1) / 10, high + (abs(high) or 1) / 10
    rough = max((high - low) / 5, 1e-300)
    power = 10.0 ** math.floor(math.log10(rough))
    step = power * min((1, 2, 5, 10), key=lambda factor: abs(math.log(rough / power / factor)))
    first, end = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [float(f"{place * step:.12g}") + 0.0 for place in range(first, max(end, first + 1) + 1)]


def _labels(values: Sequence[float]) -> list[str]:
    """The values of an axis, with as many decimals as tell them apart.

    Example:
        >>> _labels([1000000.0, 1000000.5]), _labels([0.0, 2e-9])
        (['1,000,000.0', '1,000,000.5'], ['0', '2e-09'])
    """
    decimals = max(0, -math.floor(math.log10(values[1] - values[0]) + 1e-9))
    plain = decimals <= 6 and max(map(abs, values)) < 1e9
    return [f"{value:,.{decimals}f}" if plain else f"{value:.4g}" for value in values]


def _keys(names: Sequence[str]) -> list[tuple[int, int, str]]:
    """Pixels from the left, row and words of each curve's name."""
    entries, x, row = [], 0, 0
    words = [paper.cut(name, 240) for name in names[:_MOST_NAMES]]
    words += [f"and {len(names) - _MOST_NAMES:,} more"] if len(names) > _MOST_NAMES else []
    for name in words:
        long = 22 + paper.length(name)
        if x and x + long > _WIDTH:
            x, row = 0, row + 1
        entries.append((x, row, name))
        x += long + paper.MARGIN
    return entries


def _key(pen: ImageDraw.ImageDraw, x: int, y: int, name: str, at: int) -> None:
    if at < _MOST_NAMES:
        pen.rectangle((x, y + 6, x + 15, y + 8), fill=colour_of(at))
    paper.put(pen, (x + 22, y), name)


def _axes(pen: ImageDraw.ImageDraw, frame: _Frame, up: Sequence[float], across: Sequence[float]) -> None:
    for value, words in zip(up, _labels(up), strict=True):
        y = round(frame.y(value))
        pen.line((frame.left, y, frame.right, y), fill=paper.RULE)
        paper.put(pen, (frame.left - 8, y), words, "rm", soft=True)
    for step in across:
        paper.put(pen, (frame.x(step), frame.bottom + 5), f"{step:,.0f}", "ma", soft=True)


def _curves(page: Image.Image, frame: _Frame, series: Sequence[np.ndarray]) -> None:
    fine = paper.FINE
    layer = Image.new("RGBA", (page.width * fine, (frame.bottom + paper.MARGIN) * fine))
    pen = ImageDraw.Draw(layer)
    for at, values in enumerate(series):
        colour = (*colour_of(at), 255)
        for piece in np.split(np.arange(len(values)), np.flatnonzero(np.isnan(values))):
            path = [
                (frame.x(step) * fine, frame.y(values[step]) * fine) for step in piece if not np.isnan(values[step])
            ]
            if len(path) > 1:
                pen.line(path, fill=colour, width=2 * fine, joint="curve")
            elif path:  # a lone value, as a dot
                (x, y), reach = path[0], 2.5 * fine
                pen.ellipse((x - reach, y - reach, x + reach, y + reach), fill=colour)
    paper.over(page, layer, (0, 0))
