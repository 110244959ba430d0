"""Detect: where things are. Sliding windows, YOLO and its losses, scores, Darknet's files, what was found as pictures.

The heads are tasks of a recipe, such as :class:`lensmith.compose.YoloV3`; what they give is looked through here. The
rooms inside: :mod:`.windows` (the sliding window), :mod:`.losses`, :mod:`.score` (mean average precision),
:mod:`.darknet` (``.cfg`` and ``.weights``).
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lensmith.detect.anchors import Anchors, fit_anchors, mean_iou, sizes_of
    from lensmith.detect.darknet import Darknet, open_darknet, write_darknet
    from lensmith.detect.drawing import draw
    from lensmith.detect.finding import Finder, Found, find, finder
    from lensmith.detect.losses import loss_of
    from lensmith.detect.score import ClassScores, DetectionScores
    from lensmith.detect.tiles import Tiles
    from lensmith.detect.training import candidates_of, detectors, objective

# Loaded on first use: most need Keras, which takes seconds to import.
_ROOMS = {
    "Anchors": "anchors",
    "ClassScores": "score",
    "Darknet": "darknet",
    "DetectionScores": "score",
    "Finder": "finding",
    "Found": "finding",
    "Tiles": "tiles",
    "candidates_of": "training",
    "detectors": "training",
    "draw": "drawing",
    "find": "finding",
    "finder": "finding",
    "fit_anchors": "anchors",
    "loss_of": "losses",
    "mean_iou": "anchors",
    "objective": "training",
    "open_darknet": "darknet",
    "sizes_of": "anchors",
    "write_darknet": "darknet",
}

__all__ = [
    "Anchors",
    "ClassScores",
    "Darknet",
    "DetectionScores",
    "Finder",
    "Found",
    "Tiles",
    "candidates_of",
    "detectors",
    "draw",
    "find",
    "finder",
    "fit_anchors",
    "loss_of",
    "mean_iou",
    "objective",
    "open_darknet",
    "sizes_of",
    "write_darknet",
]


def __getattr__(name: str) -> Any:
    if name in _ROOMS:
        return getattr(importlib.import_module(f"lensmith.detect.{_ROOMS[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
