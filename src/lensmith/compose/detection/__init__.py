"""Detectors as tasks: records of YOLO heads → candidate boxes from a backbone's taps.

A head reads feature maps of the learner and gives one row of numbers for each candidate box, ``(batch, N, 5 + C)``:
the layer ``task-NAME-logits`` the raw ones, which are trained, and ``task-NAME-detections`` what they mean.
"""

from __future__ import annotations

from lensmith.compose.detection.candidates import Candidates, Grid
from lensmith.compose.detection.decode import Decode
from lensmith.compose.detection.heads import build_detector
from lensmith.compose.detection.taps import Taps
from lensmith.compose.detection.tasks import (
    DETECTORS,
    Detector,
    YoloMaps,
    YoloOutput,
    YoloV1,
    YoloV2,
    YoloV3,
    YoloV3Tiny,
)

__all__ = [
    "DETECTORS",
    "Candidates",
    "Decode",
    "Detector",
    "Grid",
    "Taps",
    "YoloMaps",
    "YoloOutput",
    "YoloV1",
    "YoloV2",
    "YoloV3",
    "YoloV3Tiny",
    "build_detector",
]
