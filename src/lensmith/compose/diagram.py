"""The macro-architecture as an SVG file that stands by itself, light or dark as its reader prefers."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from html import escape

from lensmith.compose.drawing import Box, shape_in_words

_STYLE = """
.lensmith { --page: #fdfdfc; --ink: #1d1f23; --soft: #62676f; --faint: #9a9ea5; --blue: 41 98 168; --orange: 201 96 24;
  --face: #89a7d2; --lid: #c3d1e6; --side: #5a84bf; --front: #b9bcc1; --edge: #d5d7da; --back: #9fa3aa;
  background: var(--page); font-family: system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", sans-serif; }
@media (prefers-color-scheme: dark) { .lensmith { --page: #17181b; --ink: #e6e7e9; --soft: #a3a8b0; --faint: #757a82;
  --blue: 112 168 232; --orange: 240 152 88; --face: #47699a; --lid: #2f4363; --side: #6794cf;
  --front: #5d6168; --edge: #43464c; --back: #7b8088; } }
.lensmith text { fill: var(--soft); font-size: 12px; text-anchor: middle; }
.lensmith .title { fill: var(--ink); font-size: 18px; font-weight: 600; text-anchor: start; }
.lensmith .lead { font-size: 13px; text-anchor: start; }
.lensmith .name { fill: var(--ink); font-size: 14px; font-weight: 600; }
.lensmith .size { fill: var(--ink); }
.lensmith .tap { fill: rgb(var(--orange)); font-weight: 600; }
.lensmith .arrow { fill: none; stroke: var(--faint); stroke-width: 1.4; stroke-linecap: round; stroke-linejoin: round; }
.lensmith .mark { stroke: rgb(var(--orange)); stroke-width: 1.4; }
.lensmith .skip { stroke-dasharray: 4 4; }
.lensmith .face { fill: var(--face); stroke: var(--page); stroke-width: 1; stroke-linejoin: round; }
.lensmith .lid { fill: var(--lid); } .lensmith .side { fill: var(--side); }
.lensmith .input { --face: var(--front); --lid: var(--edge); --side: var(--back); }
.lensmith .task { fill: rgb(var(--blue) / 0.09); stroke: rgb(var(--blue) / 0.45); }
.lensmith .auxiliary { fill: rgb(var(--orange) / 0.08); stroke: rgb(var(--orange) / 0.5); stroke-dasharray: 5 4; }
"""
_EDGE, _GAP = 28.0, 30.0  # margins, room between parts
_LETTER, _LINE = 6.6, 16.0  # width and line height of the small print
_TOP, _TALL = 74.0, 170.0  # where volumes begin, and the height of the largest
_HEAD_WIDE, _HEAD_HIGH, _HEAD_GAP = 196.0, 58.0, 14.0  # of the boxes of tasks
_LETTERS = 26  # on a line under a part
_MOST_SLABS = 12  # of a group of more blocks, so many are drawn

Point = tuple[float, float]


def as_svg(boxes: Sequence[Box], title: str, lead: str = "") -> str:
    """The boxes from left to right: as high as their feature maps, as thick as they have channels, by logarithm.

    Each block of a group is a slab. Taps are named above, sizes and cost below; tasks stand at the right, auxiliary
    heads under the part they read.

    Args:
        boxes: from :func:`.drawing.plan`.
        title: above the drawing, such as the recipe's name.
        lead: a line under the title.
    """
    trunk = [box for box in boxes if box.role not in ("task", "auxiliary")]
    tasks = [box for box in boxes if box.role == "task"]
    helpers = [box for box in boxes if box.role == "auxiliary"]
    high = max(shape_size(box)[1] + _lean(box) for box in trunk)
    room = max(0.0, len(tasks) * (_HEAD_HIGH + _HEAD_GAP) - high - 60)
    axis = _TOP + 34 + (high + room) / 2
    places = _places(trunk)
    floor = axis + (high + room) / 2 + 26  # where the captions begin
    foot = floor + _LINE * max(len(_captions(box)) for box in trunk)
    end = places[-1] + _column(trunk[-1]) / 2
    drawn = [_text(_EDGE, 34, title, "title"), _text(_EDGE, 54, lead, "lead")]
    drawn += [
        _arrow((x + _reach(a), axis), (y - _reach(b), axis))
        for (x, a), (y, b) in itertools.pairwise(zip(places, trunk, strict=True))
    ]
    drawn += [_skips(trunk, places, axis)]
    drawn += [_trunk_box(box, x, axis, floor) for box, x in zip(trunk, places, strict=True)]
    drawn += _tasks(tasks, (places[-1] + _reach(trunk[-1]), axis), end + _GAP)
    drawn += _helpers(helpers, dict(zip((box.part.name for box in trunk), places, strict=True)), foot - 4)
    width = end + (_GAP + _HEAD_WIDE if tasks else 0) + _EDGE
    height = foot + (_HEAD_HIGH + 46 if helpers else 14)
    width = max(width, 2 * _EDGE + len(lead) * _LETTER)
    says = f"{title}: " + " → ".join(box.name for box in trunk) + " → " + ", ".join(box.name for box in tasks)
    attributes = {"viewBox": f"0 0 {width:.0f} {height:.0f}", "width": f"{width:.0f}", "height": f"{height:.0f}"}
    attributes |= {"xmlns": "http://www.w3.org/2000/svg", "class": "lensmith", "role": "img", "aria-label": says}
    return _element("svg", attributes, f"<style>{_STYLE}</style>", *drawn) + "\n"


def figure(number: int) -> str:
    """A count for a person: three digits and k, M or G.

    >>> figure(25557032), figure(3857973248), figure(240)
    ('25.6 M', '3.86 G', '240')
    """
    for scale, letter in ((10**9, "G"), (10**6, "M"), (10**3, "k")):
        if number >= scale:
            value = number / scale
            return f"{value:.{0 if value >= 100 else 1 if value >= 10 else 2}f} {letter}"
    return str(number)


def shape_size(box: Box) -> Point:
    """How thick and how high a part is drawn, its slabs together."""
    shape = [size or 1 for size in box.part.shape]
    if len(shape) != 3:
        return 12.0, min(_TALL, 16 + 9 * math.log2(max(1, shape[0] if shape else 1)))
    return _slabs(box) * (_slab(shape[2]) + 3) - 3, min(_TALL, 12 + 19 * math.log2(max(1, shape[0])))


def _slabs(box: Box) -> int:
    return max(1, min(box.blocks, _MOST_SLABS))


def _slab(channels: int) -> float:
    return 3 + 1.1 * math.log2(max(1, channels))


def _lean(box: Box) -> float:
    """How far a volume leans back: its width, seen from aside."""
    return 0.24 * shape_size(box)[1] if len(box.part.shape) == 3 else 0.0


def _reach(box: Box) -> float:
    """From the middle of a part to where an arrow may begin."""
    return (shape_size(box)[0] + _lean(box)) / 2 + 7


def _captions(box: Box) -> list[tuple[str, str]]:
    """What stands under a part, with its style."""
    said = _wrapped(box.says)
    cost = f"{figure(box.part.parameters)} parameters" if box.part.parameters else ""
    flops = f"{figure(box.part.flops)} FLOPs" if box.part.flops else ""
    lines = [(box.name, "name"), (shape_in_words(box.part.shape), "size"), *((line, "") for line in said)]
    return lines + [(line, "") for line in (cost, flops) if line]


def _wrapped(words: str, width: int = _LETTERS, most: int = 3) -> list[str]:
    """Words on lines of about this many letters, broken before an arrow where there is one.

    >>> _wrapped("conv 7×7 /2 64 → max pool 3 /2")
    ['conv 7×7 /2 64', '→ max pool 3 /2']
    """
    lines: list[str] = []
    while len(words) > width and len(lines) < most - 1:
        cuts = (words.rfind(" →", 1, width + 2), words.rfind(" ", 1, width + 1), width)
        cut = next(cut for cut in cuts if cut > 0)
        lines.append(words[:cut])
        words = words[cut:].lstrip()
    return [*lines, words if len(words) <= width else f"{words[: width - 1].rstrip()}…"]


def _column(box: Box) -> float:
    widest = max(len(line) for line, _ in _captions(box)) * _LETTER
    return max(widest, 2 * _reach(box), 64.0)


def _places(trunk: Sequence[Box]) -> list[float]:
    """The middle of each part from left to right."""
    places, left = [], _EDGE
    for box in trunk:
        places.append(left + _column(box) / 2)
        left += _column(box) + _GAP
    return places


def _trunk_box(box: Box, x: float, axis: float, floor: float) -> str:
    says = f"{box.part.name}: {box.part.detail or 'no weights'}; {box.part.parameters:,} parameters"
    drawn = [_element("title", {}, escape(says)), _volume(box, x, axis)]
    top = axis - (shape_size(box)[1] + _lean(box)) / 2
    if box.taps:
        drawn.append(_path(f"M{x:.1f} {top - 4:.1f}v-12", "mark"))
        drawn.append(_text(x, top - 22, " ".join(tap.name for tap in box.taps), "tap"))
    drawn += [_text(x, floor + _LINE * i, line, style) for i, (line, style) in enumerate(_captions(box))]
    return _element("g", {"class": box.role}, *drawn)


def _volume(box: Box, x: float, axis: float) -> str:
    """The slabs of a part around its middle, drawn from the right, for each covers a little of the next."""
    (thick, tall), lean, count = shape_size(box), _lean(box), _slabs(box)
    left, top, wide = x - (thick + lean) / 2, axis - (tall - lean) / 2, (thick + 3) / count - 3
    slabs = [_block(left + i * (wide + 3), top, (wide, tall, lean)) for i in range(count)]
    return "".join(slabs)


def _block(left: float, top: float, size: tuple[float, float, float]) -> str:
    """Channels to the right, height down, width into the picture at 45 degrees."""
    deep, tall, lean = size
    front = f"M{left:.1f} {top:.1f}h{deep:.1f}v{tall:.1f}h{-deep:.1f}z"
    lid = f"M{left:.1f} {top:.1f}l{lean:.1f} {-lean:.1f}h{deep:.1f}l{-lean:.1f} {lean:.1f}z"
    side = f"M{left + deep:.1f} {top:.1f}l{lean:.1f} {-lean:.1f}v{tall:.1f}l{-lean:.1f} {lean:.1f}z"
    faces = ((side, "face side"), (lid, "face lid"), (front, "face"))
    return "".join(_path(path, style) for path, style in faces if lean or style == "face")


def _skips(trunk: Sequence[Box], places: Sequence[float], axis: float) -> str:
    """Arcs over the drawing where a part reads another than the one before it."""
    number = {box.part.name: i for i, box in enumerate(trunk)}
    drawn = []
    for i, box in enumerate(trunk):
        for source in box.part.sources:
            j = number.get(source, i)
            if j >= i - 1:
                continue
            tops = [axis - (shape_size(trunk[k])[1] + _lean(trunk[k])) / 2 - 6 for k in (j, i)]
            peak = min(tops) - 20
            curve = f"M{places[j]:.1f} {tops[0]:.1f}C{places[j]:.1f} {peak:.1f} {places[i]:.1f} {peak:.1f} "
            drawn.append(_path(f"{curve}{places[i]:.1f} {tops[1]:.1f}", "arrow skip"))
    return "".join(drawn)


def _tasks(tasks: Sequence[Box], start: Point, x: float) -> list[str]:
    """The heads under each other, at the height of the trunk's middle, each with its arrow."""
    step = _HEAD_HIGH + _HEAD_GAP
    tops = [start[1] - (len(tasks) * step - _HEAD_GAP) / 2 + i * step for i in range(len(tasks))]
    drawn = []
    for box, top in zip(tasks, tops, strict=True):
        drawn += [_fan(start, (x, top + _HEAD_HIGH / 2)), _head(box, x, top)]
    return drawn


def _helpers(helpers: Sequence[Box], places: Mapping[str, float], top: float) -> list[str]:
    """Auxiliary heads in a row below, each with a line from the part that it reads."""
    drawn, free = [], 0.0
    for box in helpers:
        source = next((places[name] for name in box.part.sources if name in places), _EDGE)
        left = max(source - _HEAD_WIDE / 2, free, _EDGE)
        free = left + _HEAD_WIDE + _HEAD_GAP
        drawn += [_head(box, left, top + 26), _arrow_down((source, top), (left + _HEAD_WIDE / 2, top + 26))]
    return drawn


def _head(box: Box, x: float, y: float) -> str:
    frame = {"x": f"{x:.1f}", "y": f"{y:.1f}", "width": _HEAD_WIDE, "height": _HEAD_HIGH, "rx": 8, "class": box.role}
    middle, cost = x + _HEAD_WIDE / 2, f"{figure(box.part.parameters)} parameters"
    [words] = _wrapped(box.says, 28, most=1)
    drawn = [_element("title", {}, escape(f"{box.part.name}: {box.says}")), _element("rect", frame)]
    drawn += [_text(middle, y + 19, box.name, "name"), _text(middle, y + 35, words, "")]
    return _element("g", {}, *drawn, _text(middle, y + 50, cost, ""))


def _arrow(start: Point, end: Point) -> str:
    return _path(f"M{start[0]:.1f} {start[1]:.1f}H{end[0]:.1f}m-4 -4l4 4l-4 4", "arrow")


def _arrow_down(start: Point, end: Point) -> str:
    middle = (start[1] + end[1]) / 2
    curve = f"M{start[0]:.1f} {start[1]:.1f}C{start[0]:.1f} {middle:.1f} {end[0]:.1f} {middle:.1f} "
    return _path(f"{curve}{end[0]:.1f} {end[1] - 4:.1f}m-4 -4l4 4l4 -4", "arrow")


def _fan(start: Point, end: Point) -> str:
    middle = (start[0] + end[0]) / 2
    curve = f"M{start[0]:.1f} {start[1]:.1f}C{middle:.1f} {start[1]:.1f} {middle:.1f} {end[1]:.1f} "
    return _path(f"{curve}{end[0] - 5:.1f} {end[1]:.1f}m-4 -4l4 4l-4 4", "arrow")


def _path(data: str, style: str) -> str:
    return _element("path", {"d": data, "class": style})


def _text(x: float, y: float, words: str, style: str) -> str:
    return _element("text", {"x": f"{x:.1f}", "y": f"{y:.1f}"} | ({"class": style} if style else {}), escape(words))


def _element(name: str, attributes: Mapping[str, object], *children: str) -> str:
    """One element; children are markup already."""
    written = "".join(f' {key}="{escape(str(value))}"' for key, value in attributes.items())
    return f"<{name}{written}>{''.join(children)}</{name}>"
