"""Axes of a chart: round tick values, and where a value lies on the page."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from lensmith.runs.report import svg

Form = Callable[[float], str]  # how a value reads beside its tick


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
    if high <= low:
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

    def draw(self, across: Sequence[float], up: Sequence[float], forms: tuple[Form, Form], label: str) -> Markup:
        """Grid lines with the tick values beside them, and the horizontal axis' label."""
        left, right, bottom = self.x.start, self.x.end, self.y.start
        rows = [
            svg.line((left, self.y(tick)), (right, self.y(tick)), "grid")
            + svg.text(left - 8, self.y(tick) + 4, forms[1](tick), "tick end")
            for tick in up
        ]
        columns = [svg.text(self.x(tick), bottom + 18, forms[0](tick), "tick middle") for tick in across]
        name = svg.text((left + right) / 2, bottom + 36, label, "tick middle")
        return Markup("").join([*rows, *columns, name])
