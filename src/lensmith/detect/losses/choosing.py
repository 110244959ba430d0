"""The loss that a detector is trained with."""

from __future__ import annotations

from collections.abc import Mapping

from lensmith import check
from lensmith.compose.detection import Detector, YoloMaps, YoloV1, YoloV2
from lensmith.detect.losses.base import YoloLoss
from lensmith.detect.losses.sizes import Given, sizes_of
from lensmith.detect.losses.v1 import YoloV1Loss
from lensmith.detect.losses.v2 import YoloV2Loss
from lensmith.detect.losses.v3 import YoloV3Loss


def loss_of(task: Detector, candidates: Given | Mapping[int, Given], *, box: str = "squared") -> YoloLoss:
    """The published loss of a detector, for targets ``(batch, M, 6)`` and its raw output ``(batch, N, 5 + C)``.

    Args:
        task: YOLO v1; v2, and maps with a softmax; or v3, its small form, and maps without one.
        candidates: those of the built model (``Decode.candidates``), or its maps (``Decode.grids``); for training at
            several input sizes a mapping of their number at each to them.
        box: how boxes are judged by YOLO v3, see :class:`.v3.YoloV3Loss`.

    Raises:
        SettingError: two sizes have as many candidates, or the version judges boxes in its own way.

    Example:
        >>> from lensmith.compose.detection import Grid, YoloV3
        >>> loss_of(YoloV3(3), [Grid(2, 2, ((0.5, 0.5),))], box="giou").box
        'giou'
    """
    sizes = sizes_of(candidates)
    if isinstance(task, YoloV1) or (isinstance(task, YoloV2 | YoloMaps) and task.softmax):
        if box != "squared":
            remedy = "Take YOLO v3 for others"
            raise check.SettingError(check.sentence("loss.box", f"squared for {type(task).__name__}", box, remedy))
        return YoloV1Loss(sizes, task.sqrt, task.softmax) if isinstance(task, YoloV1) else YoloV2Loss(sizes)
    return YoloV3Loss(sizes, box)
