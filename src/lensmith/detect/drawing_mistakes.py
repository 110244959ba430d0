"""A picture for a report: the objects that are there in white, what was found in colours."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from PIL import Image, ImageDraw

from lensmith.detect.drawing import draw, enlarged_by
from lensmith.detect.finding import Found
from lensmith.records import Boxes

_BLACK, _WHITE = (0, 0, 0), (255, 255, 255)


def draw_mistakes(
    picture: np.ndarray, truth: Boxes, found: np.ndarray, names: Sequence[str], *, longest: int
) -> np.ndarray:
    """The objects of an image as white frames, and what a detector found with names and scores.

    Args:
        picture: uint8 ``(h, w, 3)``; made smaller where it is larger than ``longest``.
        truth: the objects, in its pixels.
        found: ``(k, 6)``: x1, y1, x2, y2 in its pixels, score, class.
        names: of the classes.
        longest: pixels of the longer side.

    Returns:
        uint8 ``(h', w', 3)``.
    """
    factor = min(1.0, longest / max(picture.shape[:2]))
    size = max(1, round(picture.shape[1] * factor)), max(1, round(picture.shape[0] * factor))
    small = cv2.resize(picture, size, interpolation=cv2.INTER_AREA) if factor < 1 else picture
    classes = found[:, 5].astype(np.int64)
    labels = tuple(names[index] for index in classes.tolist())
    things = Found((size[1], size[0]), found[:, :4] * factor, found[:, 4], classes, labels)
    canvas = Image.fromarray(draw(small, things))
    brush, times = ImageDraw.Draw(canvas), factor * enlarged_by((size[1], size[0]))
    for corners in (truth.xyxy * times).tolist():
        brush.rectangle([*corners], outline=_BLACK, width=3)
        brush.rectangle([*(side + 1 for side in corners[:2]), *(side - 1 for side in corners[2:])], outline=_WHITE)
    return np.asarray(canvas)
