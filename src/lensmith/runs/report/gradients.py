"""The chart of gradients by layer, at the first look of a run and at the last."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from markupsafe import Markup

from lensmith.runs.report import svg, wording
from lensmith.runs.report.axes import Frame, Scale
from lensmith.runs.report.charts import Chart, Line

_WIDTH, _HEIGHT = 520.0, 290.0
_LEFT, _RIGHT, _TOP, _BOTTOM = 58.0, 506.0, 24.0, 244.0
_FEWEST_LAYERS = 2
_LOWEST = 1e-20  # what is below is drawn there


def by_layer(watched: Sequence[Mapping[str, Any]]) -> Chart | None:
    """Gradients as parts of the weights, on a scale of powers of ten; None where there are not two layers to compare.

    Args:
        watched: rows of ``watch.jsonl``. Of the looks at the layers that the last one saw, the first and the last are
            drawn.
    """
    looks = [(row["epoch"], row["seen"]["layers"]) for row in watched if row.get("seen")]
    if not looks:
        return None
    names = [layer["name"] for layer in looks[-1][1]]
    same = [look for look in looks if [layer["name"] for layer in look[1]] == names]
    ends = [same[0], same[-1]] if len(same) > 1 else same
    lines = tuple(
        Line(f"before epoch {epoch}", "main" if at == len(ends) - 1 else "aside", _parts(layers), "")
        for at, (epoch, layers) in enumerate(ends)
    )
    found = [value for line in lines for value in line.values if value is not None]
    if len(names) < _FEWEST_LAYERS or not found:
        return None
    return Chart("gradient by layer", lines, _draw(names, lines, found))


def _parts(layers: Sequence[Mapping[str, Any]]) -> tuple[float | None, ...]:
    """The power of ten of each gradient as a part of the weights; None where one of them is 0 or no number."""
    pairs = [(layer["gradient"], layer["weights"]) for layer in layers]
    return tuple(math.log10(max(up / down, _LOWEST)) if up and down else None for up, down in pairs)


def _draw(names: Sequence[str], lines: Sequence[Line], found: Sequence[float]) -> Markup:
    low, high = math.floor(min(found)), max(math.ceil(max(found)), math.floor(min(found)) + 1)
    frame = Frame(Scale(0, len(names) - 1, _LEFT, _RIGHT), Scale(low, high, _BOTTOM, _TOP))
    every = max(1, math.ceil((high - low) / 6))
    grid = [
        svg.line((_LEFT, frame.y(power)), (_RIGHT, frame.y(power)), "grid")
        + svg.text(_LEFT - 8, frame.y(power) + 4, f"{10.0**power:g}", "tick end")
        for power in range(low, high + 1, every)
    ]
    ends = svg.text(_LEFT, _BOTTOM + 18, _cut(names[0]), "tick start")
    ends += svg.text(_RIGHT, _BOTTOM + 18, _cut(names[-1]), "tick end")
    between = svg.text((_LEFT + _RIGHT) / 2, _BOTTOM + 36, f"{len(names)} layers", "tick middle")
    says = f"gradient by layer, from {names[0]} to {names[-1]}"
    return svg.picture(_WIDTH, _HEIGHT, says, *grid, ends, between, *(_path(frame, names, line) for line in lines))


def _cut(name: str) -> str:
    return wording.tail(name, 28)


def _path(frame: Frame, names: Sequence[str], line: Line) -> Markup:
    """The line, broken where a gradient is 0 or no number, with a dot to point at for each layer."""
    steps, dots = [], []
    for at, value in enumerate(line.values):
        if value is None:
            continue
        begins = at == 0 or line.values[at - 1] is None
        steps.append(f"{'M' if begins else 'L'}{frame.x(at):.1f} {frame.y(value):.1f}")
        says = f"{names[at]}, {line.name}: {10**value:.2g}"
        place = {"cx": frame.x(at), "cy": frame.y(value), "r": 2.2, "class": f"dot {line.style}"}
        dots.append(svg.element("circle", place, svg.element("title", {}, says)))
    return svg.element("path", {"d": "".join(steps), "class": f"line {line.style}"}) + Markup("").join(dots)
