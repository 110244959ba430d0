"""Charts of a run: how loss and metrics went over the epochs, and predicted against true numbers."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from markupsafe import Markup

from lensmith.runs.report import svg, wording
from lensmith.runs.report.axes import Frame, Scale, ticks

_WIDTH, _HEIGHT = 520.0, 290.0
_LEFT, _RIGHT, _TOP, _BOTTOM = 58.0, 506.0, 24.0, 244.0
_MOST_EPOCHS = 400  # drawn and listed; a screen has no room for more
_MOST_POINTS = 500
_DOTS_UP_TO = 40  # epochs for which every value gets a dot that can be pointed at

Row = Mapping[str, float | None]
Borders = Sequence[tuple[float, str]]  # where on the axis, and what to write there


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a chart.

    Args:
        name: in words; empty where the chart's title says it.
        style: ``main`` for validation, or for the only line there is, else ``aside``.
        values: by epoch; None where there is none.
        shown: the value to read out beside the title.
    """

    name: str
    style: str
    values: tuple[float | None, ...]
    shown: str


@dataclass(frozen=True, slots=True)
class Chart:
    """One drawing with its title and legend."""

    title: str
    lines: tuple[Line, ...]
    drawing: Markup


def stage_borders(history: Sequence[Row]) -> tuple[tuple[float, str], ...]:
    """Where on the axis of epochs a stage begins after another, half-way between two epochs, and what to write there.

    >>> stage_borders([{"epoch": 1, "stage": 1}, {"epoch": 2, "stage": 2}])
    ((1.5, 'stage 2'),)
    """
    return tuple(
        (((before["epoch"] or 0) + (after["epoch"] or 0)) / 2, f"stage {after['stage']:g}")
        for before, after in pairwise(history)
        if after.get("stage") is not None and after["stage"] != before.get("stage")
    )


def thin(history: Sequence[Row], best: int | None) -> tuple[Row, ...]:
    """At most about 400 of the rows, evenly spaced; the best and the last are kept."""
    every = math.ceil(len(history) / _MOST_EPOCHS)
    last = len(history) - 1
    return tuple(row for i, row in enumerate(history) if i % every == 0 or i == last or row["epoch"] == best)


def curves(history: Sequence[Row], best: int | None) -> tuple[Chart, ...]:
    """A chart for the loss and for each metric, training and validation in each, and for a rate that changed.

    Args:
        history: one row an epoch, as ``Content.history``.
        best: the epoch to mark.
    """
    rows = thin(history, best)
    names = dict.fromkeys(name.removeprefix("val_") for row in rows for name in row)
    measured = [name for name in names if name not in ("epoch", "rate", "stage")]
    borders = stage_borders(history)
    charts = [_curve(rows, name, best, borders) for name in sorted(measured, key=lambda name: name != "loss")]
    if len({row.get("rate") for row in rows}) > 1:
        charts.append(_curve(rows, "rate", best, borders))
    return tuple(charts)


def _curve(rows: Sequence[Row], name: str, best: int | None, borders: Borders) -> Chart:
    epochs = [int(row["epoch"] or 0) for row in rows]
    at = epochs.index(best) if best in epochs else len(rows) - 1
    keys = [(key, words) for key, words in ((name, "training"), (f"val_{name}", "validation")) if _has(rows, key)]
    lines = tuple(_line(rows, key, words, at, main=key == keys[-1][0]) for key, words in keys)
    title = "learning rate" if name == "rate" else wording.metric(name)
    return Chart(title, lines, _draw(title, name, epochs, lines, best, borders))


def _has(rows: Sequence[Row], key: str) -> bool:
    return any(key in row for row in rows)


def _line(rows: Sequence[Row], key: str, words: str, at: int, *, main: bool) -> Line:
    values = tuple(_finite(row.get(key)) for row in rows)
    words = "" if key == "rate" else words
    return Line(words, "main" if main else "aside", values, wording.measure(values[at], key))


def _finite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None


def _draw(
    title: str, name: str, epochs: Sequence[int], lines: Sequence[Line], best: int | None, borders: Borders
) -> Markup:
    found = [value for line in lines for value in line.values if value is not None]
    up = ticks(min(found, default=0), max(found, default=1))
    frame = Frame(Scale(epochs[0], epochs[-1], _LEFT, _RIGHT), Scale(up[0], up[-1], _BOTTOM, _TOP))
    across = ticks(epochs[0], epochs[-1], 6, whole=True)
    drawn = [frame.draw(across, up, "epoch", percent=wording.is_share(name))]
    drawn += [_border(frame, *border) for border in borders]
    if best in epochs:
        drawn.append(_best(frame, best or 0))
    drawn += [_path(frame, epochs, line, best) for line in lines]
    says = f"{title} to epoch {epochs[-1]}: " + ", ".join(f"{line.name} {line.shown}".strip() for line in lines)
    return svg.picture(_WIDTH, _HEIGHT, says, *drawn)


def _border(frame: Frame, at: float, words: str) -> Markup:
    """Where a stage begins; its name stands lower than that of the best epoch."""
    x = frame.x(at)
    side, shift = ("start", 6) if x < (_LEFT + _RIGHT) / 2 else ("end", -6)
    return svg.line((x, _TOP), (x, _BOTTOM), "border") + svg.text(x + shift, _TOP + 10, words, f"tick {side}")


def _best(frame: Frame, best: int) -> Markup:
    x = frame.x(best)
    side, shift = ("start", 6) if x < (_LEFT + _RIGHT) / 2 else ("end", -6)
    return svg.line((x, _TOP - 16), (x, _BOTTOM), "best") + svg.text(x + shift, _TOP - 8, "best epoch", f"tick {side}")


def _path(frame: Frame, epochs: Sequence[int], line: Line, best: int | None) -> Markup:
    """The line, broken where a value is missing, and its dots: all of a short line, the best and any lone ones."""
    steps, dots = [], []
    values = line.values
    for i, (epoch, value) in enumerate(zip(epochs, values, strict=True)):
        if value is None:
            continue
        begins = i == 0 or values[i - 1] is None
        steps.append(f"{'M' if begins else 'L'}{frame.x(epoch):.1f} {frame.y(value):.1f}")
        lone = begins and (i + 1 == len(values) or values[i + 1] is None)
        if lone or epoch == best or len(epochs) <= _DOTS_UP_TO:
            dots.append(_dot(frame, epoch, value, line, best))
    return svg.element("path", {"d": "".join(steps), "class": f"line {line.style}"}) + Markup("").join(dots)


def _dot(frame: Frame, epoch: int, value: float, line: Line, best: int | None) -> Markup:
    style = f"dot {line.style}" + (" chosen" if epoch == best else "")
    place = {"cx": frame.x(epoch), "cy": frame.y(value), "r": 4.5 if epoch == best else 2.2, "class": style}
    says = f"epoch {epoch}: " + f"{line.name} {wording.number(value)}".strip()
    return svg.element("circle", place, svg.element("title", {}, says))


def scatter(truth: np.ndarray, predicted: np.ndarray, name: str) -> Markup:
    """Predicted against true values, each of shape ``(n,)``; on the diagonal, both agree.

    Of more than 500 points, evenly spaced ones are drawn.
    """
    usable = np.isfinite(truth) & np.isfinite(predicted)
    pairs = np.stack([truth[usable], predicted[usable]], axis=1).astype(float)
    pairs = pairs[:: max(1, math.ceil(len(pairs) / _MOST_POINTS))]
    low, high = (float(pairs.min()), float(pairs.max())) if len(pairs) else (0.0, 1.0)
    steps = ticks(low, high)
    ends = steps[0], steps[-1]
    frame = Frame(Scale(*ends, _LEFT, _RIGHT), Scale(*ends, _BOTTOM + 90, _TOP))
    grid = frame.draw(steps, steps, f"true {name}")
    diagonal = svg.line((frame.x(ends[0]), frame.y(ends[0])), (frame.x(ends[1]), frame.y(ends[1])), "best")
    points = [_point(frame, true, guess) for true, guess in pairs]
    title = svg.text(_LEFT, _TOP - 10, f"predicted {name}", "tick start")
    says = f"predicted against true {name}, {len(pairs)} examples"
    return svg.picture(_WIDTH, _HEIGHT + 90, says, grid, diagonal, *points, title)


def _point(frame: Frame, true: float, guess: float) -> Markup:
    says = f"true {wording.number(true)}, predicted {wording.number(guess)}"
    place = {"cx": frame.x(true), "cy": frame.y(guess), "r": 3.2, "class": "point"}
    return svg.element("circle", place, svg.element("title", {}, says))
