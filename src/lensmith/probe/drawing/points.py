"""Points on a plane, such as a map of embeddings, with small pictures at some of them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw

from lensmith import check
from lensmith.data.overlay import colour_of
from lensmith.probe.drawing import paper

_FRINGE = 3  # pixels of its class' colour round a small picture
_MOST_NAMES = 24  # classes named in the legend


def scatter(
    points: np.ndarray,
    *,
    classes: Sequence[str] = (),
    colours: Sequence[int] = (),
    thumbnails: Sequence[np.ndarray] = (),
    side: int = 900,
    title: str = "",
) -> np.ndarray:
    """A point for each example, in the colour of its class; one unit is as long across as up.

    Args:
        points: ``(n, 2)``: across, up. Those that are not finite are left out.
        classes: the names of the classes, for the legend.
        colours: the class of each point, counted from 0; others are drawn gray. Without them, all points are blue.
        thumbnails: a picture of each point. Those that would cover another one drawn before stay points.
        side: pixels of the square that the points lie in.
        title: a line above.

    Returns:
        uint8 RGB ``(height, width, 3)``.

    Raises:
        DataError: the points have another shape, or there are not as many colours or thumbnails as points.
        SettingError: ``side`` is not a whole number of at least 1.

    Example:
        >>> scatter(np.array([[0.0, 0.0], [1.0, 1.0]]), side=100).shape
        (132, 132, 3)
    """
    check.positive("side", side)
    found = np.asarray(points)
    if found.ndim != 2 or found.shape[1] != 2 or found.dtype.kind not in "fiub":
        raise check.DataError(check.sentence("points", "numbers (n, 2)", f"{found.dtype} {found.shape}"))
    for place, given in (("colours", colours), ("thumbnails", thumbnails)):
        if len(given) not in (0, len(found)):
            raise check.DataError(check.sentence(place, f"none, or one for each of {len(found)} points", len(given)))
    pictures = [paper.coloured_picture(f"thumbnail {at}", one) for at, one in enumerate(thumbnails, 1)]
    size = min(max(side // 20, 16), 64) if pictures else 10
    kept = np.flatnonzero(np.isfinite(found.astype(float)).all(axis=1)).tolist()
    places = _places(found[kept].astype(float), side, size)
    painted = [_colour(int(colours[at])) if len(colours) else colour_of(0) for at in kept]
    legend = _legend(classes, [int(colours[at]) for at in kept] if len(colours) else [], side)
    below = paper.LINE * (legend[-1][1] + 1) + paper.GAP if legend else 0
    page, pen, top = paper.sheet(side, side + below, title)
    pen.rectangle((paper.MARGIN, top, paper.MARGIN + side - 1, top + side - 1), outline=paper.RULE)
    _dots(page, places, painted, (paper.MARGIN, top), side)
    if pictures:
        for at in _apart(places, size + paper.GAP // 2):
            corner = places[at] + (paper.MARGIN, top)
            _thumbnail(page, pen, pictures[kept[at]], corner, size, painted[at])
    if not len(kept):
        paper.put(pen, (paper.MARGIN + side / 2, top + side / 2), "no point to draw", "mm", soft=True)
    for x, row, index, name in legend:
        y = top + side + paper.GAP + row * paper.LINE
        pen.rectangle((paper.MARGIN + x, y + 3, paper.MARGIN + x + 8, y + 11), fill=_colour(index))
        paper.put(pen, (paper.MARGIN + x + 13, y), name)
    return np.asarray(page)


def _colour(index: int) -> tuple[int, int, int]:
    return colour_of(index) if index >= 0 else paper.FAINT


def _places(points: np.ndarray, side: int, size: int) -> np.ndarray:
    """Where the points lie in the square, in pixels, with room for a small picture at the borders."""
    if not len(points):
        return np.zeros((0, 2))
    points = points / max(float(np.abs(points).max()), 1e-300)  # so that no difference overflows
    low, high = points.min(axis=0), points.max(axis=0)
    extent = float((high - low).max()) or 1.0
    room = max(side - size - 8, 1)
    shares = (points - (low + high) / 2) / extent * (1, -1) + 0.5
    return np.asarray(shares * room + (side - room) / 2)


def _dots(
    page: Image.Image,
    places: np.ndarray,
    colours: Sequence[tuple[int, int, int]],
    corner: tuple[int, int],
    side: int,
) -> None:
    layer = Image.new("RGBA", (side * paper.FINE, side * paper.FINE))
    pen, reach = ImageDraw.Draw(layer), paper.FINE * (3.4 if len(places) <= 2000 else 2.2)
    for (x, y), colour in zip((places * paper.FINE).tolist(), colours, strict=True):
        pen.ellipse((x - reach, y - reach, x + reach, y + reach), fill=(*colour, 255))
    paper.over(page, layer, corner)


def _apart(places: np.ndarray, distance: int) -> list[int]:
    """Of places, taken in order, those that are further than this from every one taken before, across or up."""
    taken: list[int] = []
    for at, place in enumerate(places):
        if not taken or (np.abs(places[taken] - place).max(axis=1) >= distance).all():
            taken.append(at)
    return taken


def _thumbnail(
    page: Image.Image,
    pen: ImageDraw.ImageDraw,
    picture: np.ndarray,
    centre: np.ndarray,
    size: int,
    colour: tuple[int, int, int],
) -> None:
    small = paper.fitted(picture, size - 2 * _FRINGE, size - 2 * _FRINGE)
    height, width = small.shape[:2]
    x, y = round(float(centre[0]) - width / 2), round(float(centre[1]) - height / 2)
    pen.rectangle((x - _FRINGE, y - _FRINGE, x + width + _FRINGE - 1, y + height + _FRINGE - 1), fill=colour)
    paper.paste(page, small, (x, y))


def _legend(classes: Sequence[str], colours: Sequence[int], width: int) -> list[tuple[int, int, int, str]]:
    """Pixels from the left, row, class and name of each entry: the classes that occur, then how many more."""
    present = [index for index in sorted(set(colours)) if 0 <= index < len(classes)]
    named = [(index, paper.cut(classes[index], min(width - 13, 200))) for index in present[:_MOST_NAMES]]
    if len(present) > _MOST_NAMES:
        named.append((-1, f"and {len(present) - _MOST_NAMES:,} more"))
    entries, x, row = [], 0, 0
    for index, name in named:
        long = 13 + paper.length(name)
        if x and x + long > width:
            x, row = 0, row + 1
        entries.append((x, row, index, name))
        x += long + paper.MARGIN
    return entries
