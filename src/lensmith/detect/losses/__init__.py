"""What detectors are trained with: the losses of YOLO v1 to v3, by their parts."""

from __future__ import annotations

from lensmith.detect.losses.base import PARTS, YoloLoss
from lensmith.detect.losses.choosing import loss_of
from lensmith.detect.losses.v1 import YoloV1Loss
from lensmith.detect.losses.v2 import YoloV2Loss
from lensmith.detect.losses.v3 import BOX_FORMS, YoloV3Loss

__all__ = ["BOX_FORMS", "PARTS", "YoloLoss", "YoloV1Loss", "YoloV2Loss", "YoloV3Loss", "loss_of"]
