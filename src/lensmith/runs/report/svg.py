"""Drawings as SVG inside the page: colours come from its style sheet, so that they follow light and dark."""

from __future__ import annotations

from collections.abc import Mapping

from markupsafe import Markup


def element(name: str, attributes: Mapping[str, object], *children: str) -> Markup:
    """One SVG element; text and attributes are escaped, coordinates rounded to a tenth of a pixel.

    >>> element("text", {"x": 1.25, "class": "axis"}, "a < b")
    Markup('<text x="1.2" class="axis">a &lt; b</text>')
    """
    written = Markup("").join(Markup(' {}="{}"').format(key, _value(value)) for key, value in attributes.items())
    return Markup("<{0}{1}>{2}</{0}>").format(name, written, Markup("").join(children))


def _value(value: object) -> str:
    return f"{value:.1f}".removesuffix(".0") if isinstance(value, float) else str(value)


def picture(width: float, height: float, says: str, *children: str) -> Markup:
    """A drawing of this size in pixels; ``says`` is read out in its place."""
    attributes = {"viewBox": f"0 0 {_value(width)} {_value(height)}", "role": "img", "aria-label": says}
    return element("svg", attributes | {"style": f"max-width:{_value(width)}px"}, *children)


def text(x: float, y: float, words: str, style: str) -> Markup:
    """Words at a place; ``style`` names a class of the style sheet, which also says how they are anchored."""
    return element("text", {"x": x, "y": y, "class": style}, words)


def line(start: tuple[float, float], end: tuple[float, float], style: str) -> Markup:
    """A straight line between two points."""
    places = {"x1": start[0], "y1": start[1], "x2": end[0], "y2": end[1]}
    return element("line", {**places, "class": style})
