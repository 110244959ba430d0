"""The model as a drawing: stem, groups and tasks as boxes, each with the shape it passes on and its parameters."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from markupsafe import Markup

from lensmith.runs.report import svg, wording

if TYPE_CHECKING:
    from lensmith.compose import Part

_WIDE, _HIGH, _LOW = 112.0, 138.0, 62.0  # of a box; the low one is for tasks, when there are many
_GAP, _ROW_GAP = 18.0, 34.0
_COLUMNS = 8  # that fit the page
_PADDING = 1.0  # for the outline of a box at the edge

Place = tuple[float, float]  # the left and top edge of a box


def name_of(part: str) -> str:
    """A part's name in words.

    >>> name_of("learner-group2"), name_of("task-species"), name_of("stem")
    ('group 2', 'species', 'stem')
    """
    if part.startswith("learner-group"):
        return f"group {part.removeprefix('learner-group')}"
    return wording.plain(part.removeprefix("task-"))


def diagram(parts: Sequence[Part]) -> Markup:
    """Draw the parts in the order data passes through them; long ones go on in a second row, tasks fan out.

    Args:
        parts: from ``compose.outline``.
    """
    trunk = [part for part in parts if not part.name.startswith("task-")]
    tasks = [part for part in parts if part.name.startswith("task-")]
    places, columns = _trunk_places(len(trunk), bool(tasks))
    ends, high = _task_places(places[-1] if places else (0.0, 0.0), len(tasks), columns)
    lift = _lift(places, ends, high)
    places = [(x, y + lift) for x, y in places]
    arrows = [_arrow(start, end) for start, end in itertools.pairwise(places)]
    arrows += [_fan(places[-1], end, high) for end in ends if places]
    boxes = [_box(part, place, _HIGH) for part, place in zip(trunk, places, strict=True)]
    boxes += [_box(part, place, high) for part, place in zip(tasks, ends, strict=True)]
    width = max((x for x, _ in places + ends), default=0) + _WIDE + _PADDING
    height = max([y + _HIGH for _, y in places] + [y + high for _, y in ends], default=0) + _PADDING
    says = "the model: " + " → ".join(name_of(part.name) for part in trunk)
    says += " → " + ", ".join(name_of(part.name) for part in tasks)
    return svg.picture(width, height, says, *arrows, *boxes)


def _trunk_places(count: int, has_tasks: bool) -> tuple[list[Place], int]:
    """Where the boxes before the tasks stand: rows as even as can be, the last with room for the tasks."""
    slots = count + has_tasks
    columns = math.ceil(slots / math.ceil(slots / _COLUMNS)) if slots else 1
    places = []
    for i in range(count):
        row, column = divmod(i, columns)
        places.append((_PADDING + column * (_WIDE + _GAP), _PADDING + row * (_HIGH + _ROW_GAP)))
    return places, columns


def _task_places(last: Place, count: int, columns: int) -> tuple[list[Place], float]:
    """Where the tasks stand, one under the other beside the last box, and how high each is."""
    high = _HIGH if count <= 2 else _LOW
    x = min(last[0] + _WIDE + 2 * _GAP, _PADDING + columns * (_WIDE + _GAP))
    return [(x, last[1] + i * (high + _GAP)) for i in range(count)], high


def _lift(places: list[Place], ends: list[Place], high: float) -> float:
    """How far down a single row is moved to stand at the middle of its tasks."""
    if not places or not ends or places[-1][1] != places[0][1]:
        return 0.0
    return max(0.0, (ends[-1][1] + high - _HIGH - _PADDING) / 2)


def _arrow(start: Place, end: Place) -> Markup:
    """From one box to the next: straight on in a row, around the corner and from above into the next row."""
    x, y = start[0] + _WIDE, start[1] + _HIGH / 2
    if end[1] == start[1]:
        return _stroke(f"M{x + 2} {y}H{end[0] - 4}", f"M{end[0] - 8} {y - 4}l6 4l-6 4")
    half, goal = end[1] - _ROW_GAP / 2 - 3, end[0] + _WIDE / 2
    turn = f"H{x + 4}q5 0 5 5V{half - 5}q0 5 -5 5H{goal + 5}q-5 0 -5 5V{end[1] - 4}"
    return _stroke(f"M{x + 2} {y}{turn}", f"M{goal - 4} {end[1] - 8}l4 6l4 -6")


def _fan(start: Place, end: Place, high: float) -> Markup:
    """From the last box to a task, in one curve."""
    x, y = start[0] + _WIDE, start[1] + _HIGH / 2
    goal, level = end[0], end[1] + high / 2
    middle = (x + goal) / 2
    curve = f"M{x + 2} {y}C{middle} {y} {middle} {level} {goal - 4} {level}"
    return _stroke(curve, f"M{goal - 8} {level - 4}l6 4l-6 4")


def _stroke(*paths: str) -> Markup:
    return Markup("").join(svg.element("path", {"d": path, "class": "arrow"}) for path in paths)


def _box(part: Part, place: Place, high: float) -> Markup:
    x, y = place
    middle = x + _WIDE / 2
    style = "box task" if part.name.startswith("task-") else "box"
    frame = {"x": x, "y": y, "width": _WIDE, "height": high, "rx": 7, "class": style}
    parameters = f"{wording.short(part.parameters)} parameters" if part.parameters else "no parameters"
    title = f"{part.name}: {part.detail or 'no layers with parameters'}; {part.parameters:,} parameters"
    drawn = [
        svg.element("title", {}, title),
        svg.element("rect", frame),
        svg.text(middle, y + 19, _fit(name_of(part.name)), "part middle"),
        svg.text(middle, y + high - 26, wording.shape(part.shape), "size middle"),
        svg.text(middle, y + high - 10, parameters, "note middle"),
    ]
    if high == _HIGH:
        drawn.append(_volume(part.shape, middle, y + 60))
    return svg.element("g", {}, *drawn)


def _fit(name: str) -> str:
    return name if len(name) <= 15 else f"{name[:14]}…"


def _volume(shape: tuple[int, ...], x: float, y: float) -> Markup:
    """What the part passes on, seen from aside: feature maps as a block, a vector as a column; sizes by logarithm."""
    if len(shape) != 3:
        tall = 14 + 4 * math.log2(max(1, shape[0])) if shape else 14.0
        tall = min(tall, 56.0)
        return svg.element("rect", {"x": x - 4, "y": y - tall / 2, "width": 8, "height": tall, "class": "face"})
    tall = min(44.0, 5 + 5 * math.log2(max(1, shape[0])))
    wide = min(44.0, 5 + 5 * math.log2(max(1, shape[1])))
    deep = min(30.0, 2 + 2.6 * math.log2(max(1, shape[2])))
    return _block(x, y, (deep, tall, wide * 0.36))


def _block(x: float, y: float, size: tuple[float, float, float]) -> Markup:
    """A block around its middle: channels to the right, height down, width into the picture at 45 degrees."""
    deep, tall, lean = size
    left, top = x - (deep + lean) / 2, y - (tall - lean) / 2
    front = f"M{left:.1f} {top:.1f}h{deep:.1f}v{tall:.1f}h{-deep:.1f}z"
    lid = f"M{left:.1f} {top:.1f}l{lean:.1f} {-lean:.1f}h{deep:.1f}l{-lean:.1f} {lean:.1f}z"
    side = f"M{left + deep:.1f} {top:.1f}l{lean:.1f} {-lean:.1f}v{tall:.1f}l{-lean:.1f} {lean:.1f}z"
    styles = ((front, "face"), (lid, "face lid"), (side, "face side"))
    return Markup("").join(svg.element("path", {"d": path, "class": style}) for path, style in styles)
