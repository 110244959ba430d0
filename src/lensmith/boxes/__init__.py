"""Rectangles as numbers: the formats they are written in, how far two overlap, and which of many to keep.

Inside the program a box is ``xyxy`` in pixels; each reader and writer converts its own format. The
last axis holds the four numbers:

=========  ============================================
xyxy       x1, y1, x2, y2: two opposite corners
xywh       x1, y1, width, height: upper left corner, size
cxcywh     x, y of the centre, width, height
=========  ============================================

With ``rel_`` before the name the numbers are shares of the image, 0..1: x and width of its width,
y and height of its height. Coordinates are continuous: pixel (0, 0) covers x and y from 0 to 1, so a
box of the whole image is ``0, 0, width, height``, and nothing is ever added to a width.

float64 stays float64, float32 stays float32, and whole numbers become floating point. No box at all,
``[]`` or shape ``(0, 4)``, is welcome everywhere.

>>> from lensmith import boxes
>>> boxes.convert([[10, 20, 30, 40]], "xywh", "xyxy").tolist()
[[10.0, 20.0, 40.0, 60.0]]
>>> boxes.iou([[0, 0, 2, 2]], [[0, 0, 2, 2], [1, 0, 3, 2]]).round(3).tolist()
[[1.0, 0.333]]
"""

from __future__ import annotations

from lensmith.boxes.deltas import decode, encode
from lensmith.boxes.formats import FORMATS, area, clip, convert, validate
from lensmith.boxes.overlap import ciou, diou, giou, iou
from lensmith.boxes.suppression import detections, nms, padded, soft_nms
from lensmith.boxes.thresholds import Thresholds

__all__ = [
    "FORMATS",
    "Thresholds",
    "area",
    "ciou",
    "clip",
    "convert",
    "decode",
    "detections",
    "diou",
    "encode",
    "giou",
    "iou",
    "nms",
    "padded",
    "soft_nms",
    "validate",
]
