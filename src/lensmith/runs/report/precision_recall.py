"""The precision-recall curves of a detector: one line a class, their mean in bold."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from markupsafe import Markup

from lensmith.runs.report import svg, wording
from lensmith.runs.report.axes import Frame, Scale
from lensmith.runs.report.detection import Detection

MOST_NAMED = 8  # classes with a kind of line each; more cannot be told apart
_MANY = 20  # classes, from which on the lines are painted fainter
_WIDTH, _HEIGHT = 520.0, 380.0
_LEFT, _RIGHT, _TOP, _BOTTOM = 58.0, 506.0, 24.0, 330.0
_STEPS = (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)


@dataclass(frozen=True, slots=True)
class Key:
    """An entry of the legend.

    Args:
        name: of the class; ``mean`` for the mean of the classes.
        shown: its average precision.
        sample: a piece of its line.
    """

    name: str
    shown: str
    sample: Markup


@dataclass(frozen=True, slots=True)
class Curves:
    """The drawing, and what its lines are; without entries the lines are not told apart."""

    drawing: Markup
    keys: tuple[Key, ...]
    classes: int


def precision_recall(detection: Detection) -> Curves | None:
    """The curves of the classes that have objects, at an overlap of 0.5; None where no class has any.

    Up to 8 classes have a kind of line each, which differ without colours too; of more, all have the same thin one.
    """
    there = [place for place, row in enumerate(detection.curves) if not np.isnan(row).any()]
    if not there:
        return None
    curves = detection.curves[there]
    rows = [detection.classes[place] for place in there]
    named, single = len(rows) <= MOST_NAMED, len(rows) == 1
    frame = Frame(Scale(0, 1, _LEFT, _RIGHT), Scale(0, 1, _BOTTOM, _TOP))
    styles = _styles(len(rows))
    drawn = [
        _path(frame, curve, style, f"{row.name}, average precision {wording.share(row.map50)}")
        for curve, style, row in zip(curves, styles, rows, strict=True)
    ]
    mean = _path(frame, curves.mean(axis=0), "line main", "mean of the classes")
    keys = [
        Key(row.name, wording.share(row.map50), _sample(style))
        for row, style in zip(rows, styles, strict=True)
        if named
    ]
    value = wording.share(float(np.mean([row.map50 or 0.0 for row in rows])))
    if not single:
        drawn.append(mean)
        keys.append(Key("mean", value, _sample("line main")))
    title = svg.text(_LEFT, _TOP - 10, "precision", "tick start")
    says = f"precision against recall at an overlap of 0.5, {len(rows)} classes, mean {value}"
    grid = frame.draw(_STEPS, _STEPS, "recall")
    return Curves(svg.picture(_WIDTH, _HEIGHT, says, grid, *drawn, title), tuple(keys), len(rows))


def _styles(count: int) -> list[str]:
    """The classes of the style sheet of as many lines."""
    if count == 1:
        return ["line main"]
    if count <= MOST_NAMED:
        return [f"line one kind{number}" for number in range(count)]
    return ["line thin" + " faint" * (count > _MANY)] * count


def _path(frame: Frame, curve: Sequence[float] | np.ndarray, style: str, says: str) -> Markup:
    """A curve of 101 recalls; where the precision stays the same, a point less."""
    values = [float(value) for value in curve]
    last = len(values) - 1
    kept = [
        place
        for place, value in enumerate(values)
        if place in (0, last) or value != values[place - 1] or value != values[place + 1]
    ]
    points = (f"{frame.x(place / last):.1f} {frame.y(values[place]):.1f}" for place in kept)
    return svg.element("path", {"d": "M" + "L".join(points), "class": style}, svg.element("title", {}, says))


def _sample(style: str) -> Markup:
    line = svg.line((0.0, 5.0), (34.0, 5.0), style)
    return svg.element("svg", {"viewBox": "0 0 34 10", "width": 34, "height": 10, "aria-hidden": "true"}, line)
