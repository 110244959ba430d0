"""Axes of a chart: round tick values, and where a value lies on the page."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from lensmith.runs.report import svg


def ticks(low: float, high: float, count: int = 5, *, whole: bool = False) -> tuple[float, ...]:
    """About ``count`` round values, from at or below ``low`` to at or above ``high``.

    Args:
        low: the smallest value to show.
        high: the largest; a range of no extent is widened.
        count: how many to aim at.
        whole: only whole numbers, and none outside the range, as for epochs.

    Example:
        >>> ticks(0.03, 0.91)
        (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)
        >>> ticks(1, 12, whole=True)
        (2.0, 4.0, 6.0, 8.0, 10.0, 12.0)
    """
    if high - low <= 1e-6 * max(abs(low), abs(high)):
        if whole:
            return (low,)
        low, high = low - (abs(low) or 1) / 10, high + (abs(high) or 1) / 10
    step = _step((high - low) / count)
    if whole:
        step = max(1.0, float(round(step)))
        first, last = math.ceil(low / step), math.floor(high / step)
    else:
        first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return tuple(float(f"{index * step:.12g}") for index in range(first, last + 1))


def _step(rough: float) -> float:
    """The round number (1, 2 or 5 times a power of ten) nearest to a rough step, by ratio."""
    power = 10 ** math.floor(math.log10(rough))
    factor = min((1, 2, 5, 10), key=lambda factor: abs(math.log(rough / power / factor)))
    return float(factor * power)


def labels(values: Sequence[float], *, percent: bool = False) -> tuple[str, ...]:
    """The tick values as text, all with as many decimals as their step needs.

    >>> labels((0.0, 0.5, 1.0)), labels((0.8, 0.9, 1.0), percent=True)
    (('0.0', '0.5', '1.0'), ('80\\u202f%', '90\\u202f%', '100\\u202f%'))
    """
    factor, unit = (100, "\u202f%") if percent else (1, "")
    step = factor * (values[1] - values[0]) if len(values) > 1 else 1.0
    decimals = max(0, -math.floor(math.log10(step) + 1e-9))
    form = f",.{decimals}f" if decimals <= 5 else ".3g"
    return tuple(f"{factor * value:{form}}{unit}" for value in values)


@dataclass(frozen=True, slots=True)
class Scale:
    """Where values from ``low`` to ``high`` lie between two pixels."""

    low: float
    high: float
    start: float
    end: float

    def __call__(self, value: float) -> float:
        extent = self.high - self.low
        return self.start + (self.end - self.start) * ((value - self.low) / extent if extent else 0.5)


@dataclass(frozen=True, slots=True)
class Frame:
    """The empty chart that lines and points are drawn into: pixels from its left and top edge.

    Args:
        x: the horizontal scale.
        y: the vertical scale; its start is the bottom.
    """

    x: Scale
    y: Scale

    def draw(self, across: Sequence[float], up: Sequence[float], label: str, *, percent: bool = False) -> Markup:
        """Grid lines with the tick values beside them, and the horizontal axis' label.

        Args:
            across: tick values of the horizontal axis.
            up: of the vertical one.
            label: of the horizontal axis.
            percent: whether the vertical values are shares, to be written in percent.
        """
        left, right, bottom = self.x.start, self.x.end, self.y.start
        rows = [
            svg.line((left, self.y(value)), (right, self.y(value)), "grid")
            + svg.text(left - 8, self.y(value) + 4, words, "tick end")
            for value, words in zip(up, labels(up, percent=percent), strict=True)
        ]
        columns = [
            svg.text(self.x(value), bottom + 18, words, "tick middle")
            for value, words in zip(across, labels(across), strict=True)
        ]
        name = svg.text((left + right) / 2, bottom + 36, label, "tick middle")
        return Markup("").join([*rows, *columns, name])
