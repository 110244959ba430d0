"""Targets drawn over their image, each class in its colour."""

from __future__ import annotations

import colorsys
from collections.abc import Mapping, Sequence

import numpy as np
from PIL import Image, ImageDraw

from lensmith.data.masks import VOID
from lensmith.records import Boxes, Labels, Target

Colour = tuple[int, int, int]

_FINE = 3  # outlines are drawn so many times larger, then averaged: smooth at any angle
_SEE_THROUGH = 0.5  # of a mask over its image
_BACKGROUND = ("background", "none", "unlabelled", "unlabeled", "class 0")  # classes of a mask that are not painted
_UNKNOWN: Colour = (122, 128, 140)
_COLOURS: tuple[Colour, ...] = (
    (31, 119, 214), (240, 124, 20), (34, 160, 88), (222, 49, 67), (135, 86, 214),
    (0, 170, 187), (226, 78, 165), (178, 142, 0), (140, 86, 62), (120, 175, 20),
)  # fmt: skip


def colour_of(index: int) -> Colour:
    """The colour of a class: ten that are far apart, then others.

    Example:
        >>> colour_of(0) == colour_of(10)
        False
    """
    if index < len(_COLOURS):
        return _COLOURS[index]
    # Steps by the golden ratio never come back to the same hue.
    red, green, blue = colorsys.hsv_to_rgb(index * 0.618034 % 1, 0.75, 0.85)
    return round(255 * red), round(255 * green), round(255 * blue)


def palettes(labels: Mapping[str, Labels]) -> dict[str, int]:
    """The first colour of each task: tasks of other classes have other colours, those of the same classes the same.

    Example:
        >>> one, other = Labels("boxes", ("cat", "dog")), Labels("class", ("indoors",))
        >>> palettes({"a": one, "b": other, "c": Labels("mask", ("cat", "dog"))})
        {'a': 0, 'b': 2, 'c': 0}
    """
    first: dict[tuple[str, ...], int] = {}
    free, found = 0, {}
    for task, one in labels.items():
        names = tuple(one.names)
        if names not in first and one.kind != "number":
            first[names] = free
            free += len(names)
        found[task] = first.get(names, 0)
    return found


def is_painted(index: int, names: Sequence[str]) -> bool:
    """Whether a value of a mask is a class of its own, not the background and not void."""
    return index != VOID and not (index < len(names) and names[index].lower() in _BACKGROUND)


def painted(image: np.ndarray, targets: Mapping[str, Target], labels: Mapping[str, Labels]) -> np.ndarray:
    """The image with its targets over it: masks below, then boxes and outlines, then points.

    Args:
        image: uint8 ``(h, w, 3)``; it is not changed.
        targets: by task, in the pixels of the image; masks as arrays.
        labels: by task.

    Returns:
        uint8, the same shape.

    Example:
        >>> black, dog = np.zeros((8, 8, 3), np.uint8), Labels("boxes", ("dog",))
        >>> painted(black, {"dog": Boxes([[0, 0, 8, 8]], [0])}, {"dog": dog})[0, 4].tolist() == list(colour_of(0))
        True
    """
    drawn, palette = image.astype(np.float32), palettes(labels)
    for task, target in targets.items():
        if labels[task].kind == "mask":
            _paint_mask(drawn, np.asarray(target), labels[task].names, palette[task])
    layer = Image.new("RGBA", (image.shape[1] * _FINE, image.shape[0] * _FINE))
    pen = ImageDraw.Draw(layer)
    for task, target in targets.items():
        if isinstance(target, Boxes):
            _draw_boxes(pen, target, palette[task])
    for task, target in targets.items():
        if labels[task].kind == "points":
            _draw_points(pen, np.asarray(target), palette[task])
    over = np.asarray(layer.reduce(_FINE), np.float32)
    share = over[..., 3:] / 255
    return np.rint(drawn * (1 - share) + over[..., :3] * share).astype(np.uint8)


def _paint_mask(image: np.ndarray, mask: np.ndarray, names: Sequence[str], first: int) -> None:
    for index in np.unique(mask).tolist():
        if index == VOID or is_painted(index, names):
            there = mask == index
            colour = np.array(_UNKNOWN if index == VOID else colour_of(first + index), np.float32)
            image[there] = (1 - _SEE_THROUGH) * image[there] + _SEE_THROUGH * colour


def _draw_boxes(pen: ImageDraw.ImageDraw, boxes: Boxes, first: int) -> None:
    for corners, index, rings in zip(boxes.xyxy * _FINE, boxes.classes.tolist(), boxes.polygons, strict=True):
        left, top, right, bottom = corners.tolist()
        colour = colour_of(first + index)
        for ring in (ring for ring in rings if len(ring) >= 3):
            points = [(x, y) for x, y in (ring * _FINE).tolist()]
            pen.polygon(points, fill=(*colour, 90))
            pen.line([*points, points[0]], fill=(*colour, 255), width=_FINE)
        width = _FINE if rings else 2 * _FINE
        pen.rectangle((left, top, max(right - 1, left), max(bottom - 1, top)), outline=(*colour, 255), width=width)


def _draw_points(pen: ImageDraw.ImageDraw, points: np.ndarray, first: int) -> None:
    for index, (x, y) in enumerate((points * _FINE).tolist()):
        if np.isfinite([x, y]).all():
            for radius, colour in ((4.0, (255, 255, 255)), (3.0, colour_of(first + index))):
                reach = radius * _FINE
                pen.ellipse((x - reach, y - reach, x + reach, y + reach), fill=(*colour, 255))
