"""The anchors of a detector as a drawing: their frames around one point, in the model's input."""

from __future__ import annotations

from collections.abc import Sequence

from markupsafe import Markup

from lensmith.runs.report import svg
from lensmith.runs.report.detection import AnchorMap

_SIDE = 220.0
_GAP = 28.0


def drawn_anchors(maps: Sequence[AnchorMap]) -> Markup:
    """A square for each map with its anchors around the middle, all at the same scale.

    Args:
        maps: at least one.
    """
    largest = max(max(size) for one in maps for size in one.sizes)
    width = len(maps) * _SIDE + (len(maps) - 1) * _GAP
    pieces: list[Markup] = []
    for number, one in enumerate(maps):
        left = number * (_SIDE + _GAP)
        pieces.append(_frame(left + _SIDE / 2, 20 + _SIDE / 2, _SIDE, _SIDE, "box"))
        pieces.append(svg.text(left, 12.0, f"map {one.name}", "tick start"))
        for across, down in sorted(one.sizes, key=lambda size: -size[0] * size[1]):
            sides = (0.92 * _SIDE * across / largest, 0.92 * _SIDE * down / largest)
            pieces.append(
                _frame(left + _SIDE / 2, 20 + _SIDE / 2, *sides, "anchor", f"{across:.0f} × {down:.0f} pixels")
            )
    says = "anchors: " + "; ".join(f"{one.name} {written(one)}" for one in maps)
    return svg.picture(width, _SIDE + 22, says, *pieces)


def written(one: AnchorMap) -> str:
    """The sizes of a map's anchors in words.

    >>> written(AnchorMap("P4", ((10.4, 12.0), (30.0, 28.7))))
    '10 × 12, 30 × 29'
    """
    return ", ".join(f"{width:.0f} × {height:.0f}" for width, height in one.sizes)


def _frame(x: float, y: float, width: float, height: float, style: str, says: str = "") -> Markup:
    place = {"x": x - width / 2, "y": y - height / 2, "width": width, "height": height, "class": style}
    return svg.element("rect", place, *([svg.element("title", {}, says)] if says else []))
